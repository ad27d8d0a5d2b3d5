// What can be written as an operation in a function: the operations of the instruction set in
// groups that share a spelling, and the further spellings of docs/assembly.md.
#pragma once

#include <span>
#include <string>

#include "assembler/text/names.hpp"
#include "vm/isa/isa.hpp"
#include "vm/module/module.hpp"

namespace atollvm::text {

enum class Shape : u8 {
  generic,       // operands as format and signature say
  arithmetic,    // d, a, b; perhaps with an immediate form
  compare,       // d, a, b with a relation
  jump_compare,  // a, b, label with a relation
  jump,          // label
  jump_if,       // x, label: x is not 0
  jump_ifz,      // x, label: x is 0
  jump_load,     // memory operand, label: what is there is (not) 0
  jump_table,    // x, [labels], label
  count_back,    // counting loop ends
  load,
  store,
  constant,     // d, constant
  mov,          // d, a of one type
  reinterpret,  // d, a of two types
  call,
  call_table,
  call_ref,
  tail,
  tail_table,
  tail_ref,
  ret,
  global_get,
  global_set,
  raw_only,  // can be written in raw functions only
};

// Relations of comparisons. Float ones use lt, gt, le, ge and their negations.
enum class Rel : u8 {
  eq,
  ne,
  lt_s,
  lt_u,
  gt_s,
  gt_u,
  le_s,
  le_u,
  ge_s,
  ge_u,
  nlt,
  nle,
  ngt,
  nge,
  lt = lt_s,
  gt = gt_s,
  le = le_s,
  ge = ge_s,
};

struct Mnemonic {
  std::string name;
  Shape shape = Shape::generic;
  isa::Op op = isa::Op::nop;
  bool has_imm = false;  // arithmetic: `imm` takes a constant as its last operand
  bool negate = false;   // ... negated
  bool commutes = false;
  isa::Op imm = isa::Op::nop;
  isa::Op longer = isa::Op::nop;   // load, store
  isa::Op indexed = isa::Op::nop;  // load, store
  u8 width = 0;                    // load, store: bytes
  Rel rel = Rel::eq;
  // Operands of arithmetic, comparison and constants; result of loads; value of stores; source of
  // reinterpretations.
  mod::ValType type = mod::ValType::i32;
  mod::ValType result = mod::ValType::i32;
};

std::span<const Mnemonic> mnemonics();

// The symbol of the first operation; the others follow in the order of mnemonics().
inline constexpr Symbol first_operation = word_count;

// Whether a symbol names an operation.
inline bool is_operation(Symbol symbol, u32 operation_count) {
  return symbol - first_operation < operation_count;
}

}  // namespace atollvm::text
