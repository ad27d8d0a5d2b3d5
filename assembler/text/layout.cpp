// Offsets in structures, and addresses in memory 0.
#include <algorithm>
#include <limits>

#include "assembler/text/data.hpp"
#include "assembler/text/parser.hpp"
#include "vm/module/limits.hpp"

namespace atollvm::text {

namespace {

u64 align_up(u64 value, u64 align) { return (value + align - 1) / align * align; }

}  // namespace

std::optional<Scalar> scalar_of(const Token& token) {
  if (token.kind != Kind::name) return std::nullopt;
  switch (static_cast<Keyword>(token.value)) {
    case Keyword::i8:
      return Scalar::i8;
    case Keyword::u8:
      return Scalar::u8;
    case Keyword::i16:
      return Scalar::i16;
    case Keyword::u16:
      return Scalar::u16;
    case Keyword::i32:
      return Scalar::i32;
    case Keyword::u32:
      return Scalar::u32;
    case Keyword::i64:
      return Scalar::i64;
    case Keyword::u64:
      return Scalar::u64;
    case Keyword::f32:
      return Scalar::f32;
    case Keyword::f64:
      return Scalar::f64;
    default:
      return std::nullopt;
  }
}

u32 size_of(Scalar scalar) {
  constexpr u8 sizes[] = {1, 1, 2, 2, 4, 4, 8, 8, 4, 8};
  return sizes[static_cast<u8>(scalar)];
}

Parser::Extent Parser::field_type() {
  const Deeper deeper(unit_, place());
  if (const auto scalar = scalar_of(*at_)) {
    ++at_;
    return {size_of(*scalar), size_of(*scalar), ~0u};
  }
  if (is(Kind::lbracket)) {
    const Token& bracket = *at_++;
    const i64 count = integer("the number of elements", 0, max_memory);
    expect(Kind::rbracket, "`]`");
    Extent extent = field_type();
    if (extent.size != 0 && static_cast<u64>(count) > max_memory / extent.size) {
      fail(bracket, "the array is larger than a memory can be");
    }
    extent.size *= static_cast<u64>(count);
    return extent;
  }
  const Token& name = *at_;
  if (!is(Kind::name)) missing("a field type");
  const Binding bound = binding(name.value);
  if (bound.kind != Bind::structure) {
    std::string hint = near_miss(text(name.value), {Bind::structure});
    if (hint.empty()) hint = "i8 to u64, f32, f64, structures, [N]T";
    fail(name, "there is no field type " + text_of(name), std::move(hint));
  }
  ++at_;
  layout_struct(bound.index, name);
  const StructItem& item = unit_.structs[bound.index];
  return {item.size, item.align, bound.index};
}

void Parser::layout_struct(u32 index, const Token& use) {
  if (unit_.structs[index].state == State::known) return;
  if (unit_.structs[index].state == State::failed) throw Stop{};
  if (unit_.structs[index].state == State::busy) {
    fail(use, "the structure " + quoted(text(unit_.token_of(unit_.structs[index].name).value)) +
                  " contains itself");
  }
  unit_.structs[index].state = State::busy;
  try {
    const StructItem item = unit_.structs[index];
    u64 end = 0;
    u64 align = 1;
    for (u32 i = item.first_field; i < item.first_field + item.field_count; ++i) {
      Parser parser(unit_, unit_.fields[i].type);
      const Extent extent = parser.field_type();
      if (!parser.is(Kind::comma) && !parser.is(Kind::newline) && !parser.is(Kind::rbrace)) {
        parser.missing("`,` or `}` after the field");
      }
      const u64 field_align = item.packed ? 1 : extent.align;
      end = align_up(end, field_align);
      unit_.fields[i].offset = end;
      unit_.fields[i].structure = extent.structure;
      align = std::max(align, field_align);
      end += extent.size;
      if (end > max_memory) {
        const Token& name = unit_.token_of(item.name);
        unit_.reporter.error(
            unit_.place_of(item.name),
            "the structure " + quoted(text(name.value)) + " is larger than a memory can be");
        throw Stop{};
      }
    }
    unit_.structs[index].size = align_up(end, align);
    unit_.structs[index].align = align;
    unit_.structs[index].state = State::known;
  } catch (Stop&) {
    unit_.structs[index].state = State::failed;
    throw;
  }
}

void Parser::measure_data(u32 index) {
  DataItem& item = unit_.datas[index];
  if (item.state == State::known) return;
  if (item.state == State::failed) throw Stop{};
  const Token& name = unit_.token_of(item.name);
  if (item.state == State::busy) {
    unit_.reporter.error(unit_.place_of(item.name),
                         "the size of " + quoted(text(name.value)) + " depends on itself");
    throw Stop{};
  }
  item.state = State::busy;
  try {
    const DataSize size = data_size(unit_, index);
    unit_.datas[index].size = size.bytes;
    unit_.datas[index].align = size.align;
    unit_.datas[index].state = State::known;
  } catch (Stop&) {
    unit_.datas[index].state = State::failed;
    throw;
  }
}

void Parser::layout_memory(const Token& use) {
  if (unit_.layout_state == State::known) return;
  if (unit_.layout_state == State::failed) throw Stop{};
  if (unit_.layout_state == State::busy) {
    fail(use, "the size of a data item depends on an address");
  }
  unit_.layout_state = State::busy;
  bool good = true;
  u64 end = 0;
  for (u32 i = 0; i < unit_.datas.size(); ++i) {
    if (!unit_.datas[i].used) continue;
    try {
      measure_data(i);
    } catch (Stop&) {
      good = false;
      continue;
    }
    DataItem& item = unit_.datas[i];
    if (item.passive) continue;
    item.address = align_up(end, item.align);
    end = item.address + item.size;
    if (end > max_memory) {
      unit_.reporter.error(unit_.place_of(item.name), "the data do not fit a memory of 4 GiB");
      good = false;
      break;
    }
  }
  unit_.data_end = align_up(end, 16);
  unit_.layout_state = good ? State::known : State::failed;
  if (!good) throw Stop{};
}

u64 Parser::heap_base(const Token& use) {
  layout_memory(use);
  return unit_.data_end;
}

}  // namespace atollvm::text
