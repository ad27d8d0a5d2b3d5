#include <atoll/value.hpp>

#include <charconv>
#include <iterator>

#include "assembler/text/floats.hpp"
#include "vm/base/types.hpp"

namespace atollvm {

namespace {

constexpr std::string_view names[] = {"i32", "i64", "f32", "f64", "funcref", "externref"};

template <class Unsigned>
std::optional<u64> parse_integer(std::string_view text) {
  const bool negative = text.starts_with("-");
  if (negative || text.starts_with("+")) text.remove_prefix(1);
  const bool hex = text.starts_with("0x") || text.starts_with("0X");
  if (hex) text.remove_prefix(2);
  Unsigned magnitude = 0;
  const char* const end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, magnitude, hex ? 16 : 10);
  if (error != std::errc() || at != end) return std::nullopt;
  if (!negative) return magnitude;
  if (magnitude > Unsigned{1} << (sizeof(Unsigned) * 8 - 1)) return std::nullopt;
  return static_cast<Unsigned>(0 - magnitude);
}

template <class Bits>
std::optional<u64> parse_float(std::string_view text,
                               std::optional<Bits> (*parse)(std::string_view)) {
  const bool negative = text.starts_with("-");
  if (negative || text.starts_with("+")) text.remove_prefix(1);
  const std::optional<Bits> bits = parse(text);
  if (!bits) return std::nullopt;
  return *bits | Bits{negative} << (sizeof(Bits) * 8 - 1);
}

}  // namespace

std::string_view to_text(ValueType type) noexcept { return names[static_cast<u8>(type)]; }

std::optional<Value> parse_value(ValueType type, std::string_view text) {
  std::optional<u64> bits;
  switch (type) {
    case ValueType::i32:
      bits = parse_integer<u32>(text);
      break;
    case ValueType::i64:
      bits = parse_integer<u64>(text);
      break;
    case ValueType::f32:
      bits = parse_float<u32>(text, text::f32_bits);
      break;
    case ValueType::f64:
      bits = parse_float<u64>(text, text::f64_bits);
      break;
    case ValueType::funcref:
    case ValueType::externref:
      if (text == "null") bits = 0;
      break;
  }
  if (!bits) return std::nullopt;
  return Value{type, *bits};
}

std::string to_text(const Value& value) {
  switch (value.type) {
    case ValueType::i32:
      return std::to_string(static_cast<i32>(static_cast<u32>(value.bits)));
    case ValueType::i64:
      return std::to_string(static_cast<i64>(value.bits));
    case ValueType::f32:
      return text::f32_text(static_cast<u32>(value.bits));
    case ValueType::f64:
      return text::f64_text(value.bits);
    case ValueType::funcref:
    case ValueType::externref:
      return value.bits == 0 ? "null" : std::string(to_text(value.type));
  }
  return {};
}

}  // namespace atollvm
