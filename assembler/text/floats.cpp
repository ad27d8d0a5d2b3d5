#include "assembler/text/floats.hpp"

#include <fmt/format.h>

#include <bit>
#include <charconv>
#include <cmath>
#include <system_error>

namespace atollvm::text {

namespace {

template <class Bits>
struct Traits;
template <>
struct Traits<u32> {
  using Float = f32;
  static constexpr u32 fraction = 23;
};
template <>
struct Traits<u64> {
  using Float = f64;
  static constexpr u32 fraction = 52;
};

template <class Bits>
constexpr Bits sign_bit = Bits{1} << (sizeof(Bits) * 8 - 1);
template <class Bits>
constexpr Bits fraction_mask = (Bits{1} << Traits<Bits>::fraction) - 1;
template <class Bits>
constexpr Bits infinity = static_cast<Bits>(~sign_bit<Bits> & ~fraction_mask<Bits>);
template <class Bits>
constexpr Bits quiet_bit = Bits{1} << (Traits<Bits>::fraction - 1);

template <class Bits>
std::string text_of(Bits bits) {
  std::string text = (bits & sign_bit<Bits>) != 0 ? "-" : "";
  const Bits magnitude = bits & static_cast<Bits>(~sign_bit<Bits>);
  if (magnitude == infinity<Bits>) return text + "inf";
  if (magnitude > infinity<Bits>) {
    const Bits fraction = magnitude & fraction_mask<Bits>;
    return fraction == quiet_bit<Bits> ? text + "nan" : text + fmt::format("nan:0x{:x}", fraction);
  }
  char digits[64];
  const auto end = std::to_chars(digits, digits + sizeof digits,
                                 std::bit_cast<typename Traits<Bits>::Float>(magnitude));
  const std::string_view number(digits, static_cast<usize>(end.ptr - digits));
  text += number;
  if (number.find_first_of(".e") == std::string_view::npos) text += ".0";
  return text;
}

// Only digits of a number that is too large or too small for a float decide which; the lexer has
// checked the rest.
template <class Float>
bool has_value_zero_or_tiny(std::string_view digits, char exponent_letter) {
  const usize exponent = digits.find(exponent_letter);
  const std::string_view mantissa = digits.substr(0, exponent);
  if (mantissa.find_first_not_of("0.") == std::string_view::npos) return true;
  if (exponent == std::string_view::npos) return mantissa.starts_with("0.");
  return digits.substr(exponent + 1).starts_with('-');
}

template <class Bits>
std::optional<Bits> bits_of(std::string_view literal) {
  using Float = typename Traits<Bits>::Float;
  if (literal == "inf") return infinity<Bits>;
  if (literal == "nan") return infinity<Bits> | quiet_bit<Bits>;
  std::string digits;
  for (char c : literal) {
    if (c != '_') digits += c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  }
  const char* begin = digits.data();
  const char* end = begin + digits.size();
  if (digits.starts_with("nan:0x")) {
    Bits fraction = 0;
    const auto [at, error] = std::from_chars(begin + 6, end, fraction, 16);
    if (error != std::errc{} || at != end || fraction == 0 || fraction > fraction_mask<Bits>) {
      return std::nullopt;
    }
    return infinity<Bits> | fraction;
  }
  const bool hex = digits.starts_with("0x");
  if (hex) begin += 2;
  Float value = 0;
  const auto [at, error] =
      std::from_chars(begin, end, value, hex ? std::chars_format::hex : std::chars_format::general);
  if (at != end || begin == end) return std::nullopt;
  if (error == std::errc::result_out_of_range) {
    const std::string_view number(begin, static_cast<usize>(end - begin));
    if (!has_value_zero_or_tiny<Float>(number, hex ? 'p' : 'e')) return std::nullopt;
    return Bits{0};
  }
  if (error != std::errc{} || std::isinf(value)) return std::nullopt;
  return std::bit_cast<Bits>(value);
}

}  // namespace

std::string f32_text(u32 bits) { return text_of(bits); }
std::string f64_text(u64 bits) { return text_of(bits); }
std::optional<u32> f32_bits(std::string_view literal) { return bits_of<u32>(literal); }
std::optional<u64> f64_bits(std::string_view literal) { return bits_of<u64>(literal); }

}  // namespace atollvm::text
