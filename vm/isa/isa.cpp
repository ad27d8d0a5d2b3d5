#include "vm/isa/isa.hpp"

#include <algorithm>
#include <initializer_list>

namespace atollvm::isa {

namespace {

constexpr FormatInfo make_format(std::string_view name, u8 words,
                                 std::initializer_list<Operand> operands) {
  FormatInfo format{name, words, static_cast<u8>(operands.size()), {}};
  std::copy(operands.begin(), operands.end(), format.operands.begin());
  return format;
}

constexpr u32 shift_of(Field field) {
  switch (field) {
    case Field::a:
    case Field::e1:
      return 16;
    case Field::b:
    case Field::bc:
    case Field::e2:
    case Field::e23:
      return 32;
    case Field::c:
    case Field::e3:
      return 48;
    case Field::e0:
    case Field::e:
      return 0;
  }
  return 0;
}

constexpr u64 mask_of(Field field) {
  switch (field) {
    case Field::bc:
    case Field::e23:
      return 0xffff'ffff;
    case Field::e:
      return ~u64{0};
    default:
      return 0xffff;
  }
}

constexpr bool in_extension(Field field) { return field >= Field::e0; }

}  // namespace

const std::array<OpInfo, op_count> op_table = {{
#define OP(number, id, name, format, signature, flags, fuel, semantics) \
  OpInfo{name, Format::format, static_cast<u8>(flags), fuel, signature, semantics},
#include "vm/isa/opcodes.def"
#undef OP
}};

namespace {
constexpr u32 numbers[] = {
#define OP(number, ...) number,
#include "vm/isa/opcodes.def"
#undef OP
};
constexpr bool numbers_are_positions() {
  for (u32 i = 0; i < op_count; ++i) {
    if (numbers[i] != i) return false;
  }
  return true;
}
// A gap or a swap in the table does not build.
static_assert(numbers_are_positions(), "opcodes.def: numbers must run from 0 without gaps");
}  // namespace

const std::array<FormatInfo, format_count> format_table = {{
#define O(kind, field) \
  Operand { OperandKind::kind, Field::field }
#define FORMAT(name, words, ...) make_format(#name, words, {__VA_ARGS__}),
#include "vm/isa/formats.def"
#undef FORMAT
#undef O
}};

std::optional<Op> find(std::string_view name) {
  static const auto sorted = [] {
    std::array<u16, op_count> order{};
    for (u16 i = 0; i < op_count; ++i) order[i] = i;
    std::sort(order.begin(), order.end(),
              [](u16 x, u16 y) { return op_table[x].name < op_table[y].name; });
    return order;
  }();
  const auto* at =
      std::lower_bound(sorted.begin(), sorted.end(), name,
                       [](u16 op, std::string_view text) { return op_table[op].name < text; });
  if (at == sorted.end() || op_table[*at].name != name) return std::nullopt;
  return static_cast<Op>(*at);
}

u64 read_field(const Word* code, Field field) {
  return code[in_extension(field) ? 1 : 0] >> shift_of(field) & mask_of(field);
}

void write_field(Word* code, Field field, u64 bits) {
  code[in_extension(field) ? 1 : 0] |= (bits & mask_of(field)) << shift_of(field);
}

u64 field_limit(Field field) { return mask_of(field); }

u64 length(const Word* code) {
  const u8 words = format_of(op_of(*code)).words;
  return words != 0 ? words : 1 + target_words(field_bc(*code));
}

}  // namespace atollvm::isa
