// The formats of formats.def, compiled for the verifier: for each operation the fields to check.
#pragma once

#include <array>

#include "vm/isa/isa.hpp"

namespace atollvm::verify {

// A 16-bit field of an instruction: the word that holds it and its place in there.
struct SlotField {
  u8 word = 0;
  u8 shift = 0;

  [[nodiscard]] u32 read(const isa::Word* code) const {
    return static_cast<u16>(code[word] >> shift);
  }
};

struct OpRules {
  std::array<isa::Word, 2> zero{};  // bits of the first and the extension word that must be zero
  u8 words = 0;                     // as FormatInfo
  u8 flags = 0;                     // as OpInfo
  bool needs_memory = false;        // works on memory 0 without naming it
  bool floats = false;              // takes or gives floating-point numbers
  i8 returned = -1;  // result slots that are returned, where no operand says how many
  u8 use_count = 0;
  u8 def_count = 0;
  u8 other_count = 0;
  std::array<SlotField, 4> uses{};       // `use` and `use_def`
  std::array<SlotField, 3> defs{};       // `def` and `use_def`
  std::array<isa::Operand, 5> others{};  // operands of all further kinds, in text order
};

// Indexed by opcode number.
const std::array<OpRules, isa::op_count>& op_rules();

}  // namespace atollvm::verify
