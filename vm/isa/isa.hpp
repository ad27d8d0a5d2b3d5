// The instruction set as data: operations, their formats, and reading and writing of fields.
//
// Code is a sequence of 64-bit words. An instruction's first word is
// {opcode:16, a:16, b:16, c:16} from the low end; some formats have an extension word
// {e0:16, e1:16, e2:16, e3:16}; br_table is followed by its targets, two 32-bit distances a word.
// Branch distances are counted in words between the branch's first word and the target; forward
// distances are at least the branch's length, backward ones may be 0 (a branch to itself).
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string_view>

#include "vm/base/types.hpp"

namespace atollvm::isa {

using Word = u64;

enum class Op : u16 {
#define OP(number, id, ...) id = number,
#include "vm/isa/opcodes.def"
#undef OP
};

inline constexpr u32 op_count = 0
#define OP(...) +1
#include "vm/isa/opcodes.def"
#undef OP
    ;

enum class Format : u8 {
#define FORMAT(name, ...) name,
#include "vm/isa/formats.def"
#undef FORMAT
};

inline constexpr u32 format_count = 0
#define FORMAT(...) +1
#include "vm/isa/formats.def"
#undef FORMAT
    ;

// What an operand is. `window`: first slot of a call window (for tail calls: of the arguments);
// its header is the slot below. `window_copy`: the same number again in the word before the
// address where the caller goes on, so that a return finds it there in every call format.
// `targets`: number of br_table targets, the targets follow. `count`: length of the slot ranges.
enum class OperandKind : u8 {
  use,
  def,
  use_def,
  use_range,
  def_range,
  count,
  imm16,
  imm32,
  imm64,
  bits32,
  bits64,
  offset,
  forward,
  backward,
  targets,
  window,
  window_copy,
  func,
  func_import,
  func_any,
  type,
  global,
  table,
  memory,
  elem,
  data,
};

// Where an operand's bits are. bc and e23 are 32 bits, e is a whole word.
enum class Field : u8 { a, b, c, bc, e0, e1, e2, e3, e23, e };

struct Operand {
  OperandKind kind;
  Field field;
};

// Flags of an operation; see opcodes.def.
enum Flags : u8 { none = 0, ends = 1, traps = 2, safepoint = 4, calls = 8, bulk = 16 };

struct FormatInfo {
  std::string_view name;
  u8 words;  // 0: variable
  u8 operand_count;
  std::array<Operand, 6> operands;

  [[nodiscard]] std::span<const Operand> list() const { return {operands.data(), operand_count}; }
};

struct OpInfo {
  std::string_view name;
  Format format;
  u8 flags;
  u8 fuel;
  std::string_view signature;
  std::string_view semantics;

  [[nodiscard]] bool has(Flags flag) const { return (flags & flag) != 0; }
};

extern const std::array<OpInfo, op_count> op_table;
extern const std::array<FormatInfo, format_count> format_table;

// `op` must be below op_count.
inline const OpInfo& info(Op op) { return op_table[static_cast<u16>(op)]; }
inline const FormatInfo& info(Format format) { return format_table[static_cast<u8>(format)]; }
inline const FormatInfo& format_of(Op op) { return info(info(op).format); }

// The operation with this exact name.
std::optional<Op> find(std::string_view name);

// Raw opcode of a first word; may be op_count or above in unverified code.
inline u16 raw_op(Word word) { return static_cast<u16>(word); }
inline Op op_of(Word word) { return static_cast<Op>(raw_op(word)); }

inline u16 field_a(Word word) { return static_cast<u16>(word >> 16); }
inline u16 field_b(Word word) { return static_cast<u16>(word >> 32); }
inline u16 field_c(Word word) { return static_cast<u16>(word >> 48); }
inline u32 field_bc(Word word) { return static_cast<u32>(word >> 32); }

// Bits of a field, zero-extended. `code` starts at the instruction and holds all of its words.
u64 read_field(const Word* code, Field field);
// Sets a field's bits; the field must be zero before.
void write_field(Word* code, Field field, u64 bits);
// Largest value that a field holds.
u64 field_limit(Field field);

// Length of an instruction in words. For br_table it reads the count of targets; the sum cannot
// overflow, but may point past the code: the caller checks. Opcode must be valid.
u64 length(const Word* code);

// Number of words that br_table's list of `count` targets takes.
inline u64 target_words(u64 count) { return (count + 1) / 2; }
// Distance number `index` of the br_table that starts at `code`.
inline u32 table_target(const Word* code, u64 index) {
  return static_cast<u32>(code[1 + index / 2] >> (index % 2 * 32));
}

// First word of an instruction.
inline Word encode(Op op, u16 a = 0, u16 b = 0, u16 c = 0) {
  return static_cast<Word>(op) | Word{a} << 16 | Word{b} << 32 | Word{c} << 48;
}
inline Word encode_wide(Op op, u16 a, u32 bc) {
  return static_cast<Word>(op) | Word{a} << 16 | Word{bc} << 32;
}
// Extension word.
inline Word encode_ext(u16 e0, u16 e1 = 0, u32 e23 = 0) {
  return Word{e0} | Word{e1} << 16 | Word{e23} << 32;
}

}  // namespace atollvm::isa
