// What the translator must know of an operation to change its slots afterwards; from opcodes.def.
#pragma once

#include <array>

#include "vm/isa/isa.hpp"

namespace atollvm::wasm {

struct OpShape {
  u8 words = 0;      // 0: br_table
  u8 slots[2] = {};  // 16-bit lanes of the first and the extension word that name slots, a bit each
  bool defines_a = false;  // field a is the result, and no other is
};

namespace detail {

struct FormatOperand {
  isa::OperandKind kind;
  isa::Field field;
};

constexpr bool names_slot(isa::OperandKind kind) {
  using Kind = isa::OperandKind;
  switch (kind) {
    case Kind::use:
    case Kind::def:
    case Kind::use_def:
    case Kind::use_range:
    case Kind::def_range:
    case Kind::window:
    case Kind::window_copy:
      return true;
    default:
      return false;
  }
}

constexpr OpShape make_shape(u8 words, std::initializer_list<FormatOperand> operands) {
  using Field = isa::Field;
  OpShape shape;
  shape.words = words;
  u32 results = 0;
  for (const FormatOperand& operand : operands) {
    if (!names_slot(operand.kind)) continue;
    const u8 field = static_cast<u8>(operand.field);
    if (operand.field <= Field::c) {
      shape.slots[0] |= static_cast<u8>(2u << (field - static_cast<u8>(Field::a)));
    } else {
      shape.slots[1] |= static_cast<u8>(1u << (field - static_cast<u8>(Field::e0)));
    }
    if (operand.kind != isa::OperandKind::def) continue;
    ++results;
    if (operand.field == Field::a) shape.defines_a = true;
  }
  // Given another slot, one of several could meet the others.
  if (results != 1) shape.defines_a = false;
  return shape;
}

inline constexpr OpShape format_shapes[] = {
#define O(kind, field) \
  FormatOperand { isa::OperandKind::kind, isa::Field::field }
#define FORMAT(name, words, ...) make_shape(words, {__VA_ARGS__}),
#include "vm/isa/formats.def"
#undef FORMAT
#undef O
};

}  // namespace detail

// By opcode number.
inline constexpr std::array<OpShape, isa::op_count> op_shapes = {{
#define OP(number, id, name, format, ...) \
  detail::format_shapes[static_cast<u8>(isa::Format::format)],
#include "vm/isa/opcodes.def"
#undef OP
}};

inline const OpShape& shape_of(isa::Word first) { return op_shapes[isa::raw_op(first)]; }

}  // namespace atollvm::wasm
