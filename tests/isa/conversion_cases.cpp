// Conversions between integers and floats. References work on exact 128-bit integers.
#include <limits>

#include "tests/isa/values.hpp"

namespace atollvm::test {

namespace {

__extension__ using Wide = __int128;

// The integer part of a float below 2^100, exactly; nothing for NaN, infinity or more.
template <class Bits>
std::optional<Wide> integer_part(Bits value) {
  using Type = FloatBits<Bits>;
  const int exponent = Type::exponent(value);
  if (exponent >= 100) return std::nullopt;
  if (exponent < 0) return Wide{0};
  const int shift = exponent - Type::Layout::mantissa;
  Wide magnitude = (value & Type::fraction) | (Type::fraction + 1);
  magnitude = shift >= 0 ? magnitude << shift : magnitude >> -shift;
  return (value & Type::sign) != 0 ? -magnitude : magnitude;
}

struct Range {
  Wide min;
  Wide max;
};
constexpr Wide two(int exponent) { return Wide{1} << exponent; }
constexpr Range i32_range{-two(31), two(31) - 1};
constexpr Range u32_range{0, two(32) - 1};
constexpr Range i64_range{-two(63), two(63) - 1};
constexpr Range u64_range{0, two(64) - 1};

Expect as_slot(Wide value, Range to) {
  return bits(to.max <= u32_range.max ? static_cast<u32>(value) : static_cast<u64>(value));
}

template <class Bits>
Expect truncated(Bits value, Range to, bool saturating) {
  using Type = FloatBits<Bits>;
  if (Type::is_nan(value)) return saturating ? bits(0) : trap(Trap::invalid_conversion);
  const std::optional<Wide> exact = integer_part(value);
  if (exact && *exact >= to.min && *exact <= to.max) return as_slot(*exact, to);
  if (!saturating) return trap(Trap::integer_overflow);
  return as_slot((value & Type::sign) != 0 ? to.min : to.max, to);
}

// An integer rounded to a float, ties to even.
template <class Bits>
Expect converted(Wide value) {
  using Type = FloatBits<Bits>;
  if (value == 0) return bits(0);
  const Bits sign = value < 0 ? Type::sign : 0;
  Wide magnitude = value < 0 ? -value : value;
  int exponent = 0;
  while (magnitude >> (exponent + 1) != 0) ++exponent;
  const int extra = exponent - Type::Layout::mantissa;
  if (extra <= 0) {
    magnitude <<= -extra;
  } else {
    const Wide rest = magnitude & (two(extra) - 1);
    const Wide half = two(extra - 1);
    magnitude >>= extra;
    if (rest > half || (rest == half && (magnitude & 1) != 0)) ++magnitude;
  }
  // A carry out of the mantissa raises the exponent.
  const Wide encoded =
      (Wide{exponent + Type::Layout::bias - 1} << Type::Layout::mantissa) + magnitude;
  return bits(sign | static_cast<Bits>(encoded));
}

struct TruncRow {
  Op op;
  Range to;
  bool saturating;
};
const TruncRow from_f32[] = {
    {Op::i32_trunc_f32_s, i32_range, false},    {Op::i32_trunc_f32_u, u32_range, false},
    {Op::i64_trunc_f32_s, i64_range, false},    {Op::i64_trunc_f32_u, u64_range, false},
    {Op::i32_trunc_sat_f32_s, i32_range, true}, {Op::i32_trunc_sat_f32_u, u32_range, true},
    {Op::i64_trunc_sat_f32_s, i64_range, true}, {Op::i64_trunc_sat_f32_u, u64_range, true},
};
const TruncRow from_f64[] = {
    {Op::i32_trunc_f64_s, i32_range, false},    {Op::i32_trunc_f64_u, u32_range, false},
    {Op::i64_trunc_f64_s, i64_range, false},    {Op::i64_trunc_f64_u, u64_range, false},
    {Op::i32_trunc_sat_f64_s, i32_range, true}, {Op::i32_trunc_sat_f64_u, u32_range, true},
    {Op::i64_trunc_sat_f64_s, i64_range, true}, {Op::i64_trunc_sat_f64_u, u64_range, true},
};

// Each limit of each range with its neighbours on both sides, and the floats near them.
template <class Bits>
std::vector<Bits> near_limits() {
  using Type = FloatBits<Bits>;
  using Float = typename Type::Float;
  std::vector<Bits> values = float_edges<Bits>();
  for (double limit : {0.0, 1.0, 128.0, 2147483647.0, 2147483648.0, 2147483649.0, 4294967295.0,
                       4294967296.0, 9223372036854775808.0, 18446744073709551616.0}) {
    for (double offset : {0.0, 0.5, -0.5, 0.9, -0.9, 1.0, -1.0}) {
      for (Float value :
           {static_cast<Float>(limit + offset), static_cast<Float>(-limit + offset)}) {
        const Float infinity = std::numeric_limits<Float>::infinity();
        values.push_back(Type::of(value));
        values.push_back(Type::of(std::nextafter(value, infinity)));
        values.push_back(Type::of(std::nextafter(value, -infinity)));
      }
    }
  }
  return values;
}

template <class Bits, usize n>
void add_truncations(std::vector<ValueCase>& cases, const TruncRow (&rows)[n]) {
  for (Bits value : near_limits<Bits>()) {
    for (const TruncRow& row : rows) {
      cases.push_back(
          {.op = row.op, .in = {value}, .out = truncated(value, row.to, row.saturating)});
    }
  }
}

// Integers where rounding to 24 or 53 bits is exact, a tie to either side, or next to a tie.
std::vector<u64> rounding_edges() {
  std::vector<u64> values(std::begin(edges64), std::end(edges64));
  for (int high : {24, 25, 31, 32, 40, 53, 54, 62, 63}) {
    for (int low : {0, high - 23, high - 24, high - 25, high - 52, high - 53, high - 54}) {
      if (low < 0) continue;
      for (u64 more : {u64{0}, u64{1}, u64{2}, u64{3}}) {
        for (int delta : {-1, 0, 1}) {
          const u64 value = (u64{1} << high) + (more << low) + static_cast<u64>(delta);
          values.push_back(value);
          values.push_back(~value + 1);
        }
      }
    }
  }
  return values;
}

const ValueCase by_hand[] = {
    {.op = Op::i32_trunc_f64_s, .in = {0x41df'ffff'ffff'ffff}, .out = bits(0x7fff'ffff)},
    {.op = Op::i32_trunc_f64_s, .in = {0x41e0'0000'0000'0000}, .out = trap(Trap::integer_overflow)},
    {.op = Op::i32_trunc_f64_s, .in = {0xc1e0'0000'001f'ffff}, .out = bits(0x8000'0000)},
    {.op = Op::i32_trunc_f64_s, .in = {0xc1e0'0000'0020'0000}, .out = trap(Trap::integer_overflow)},
    {.op = Op::i32_trunc_f64_u, .in = {0xbfef'ffff'ffff'ffff}, .out = bits(0)},
    {.op = Op::i32_trunc_f64_u, .in = {0xbff0'0000'0000'0000}, .out = trap(Trap::integer_overflow)},
    {.op = Op::i64_trunc_f32_u, .in = {0x5f7f'ffff}, .out = bits(0xffff'ff00'0000'0000)},
    {.op = Op::i64_trunc_f32_u, .in = {0x5f80'0000}, .out = trap(Trap::integer_overflow)},
    {.op = Op::i64_trunc_f64_s, .in = {0xc3e0'0000'0000'0000}, .out = bits(u64{1} << 63)},
    {.op = Op::i64_trunc_f64_s, .in = {0xc3e0'0000'0000'0001}, .out = trap(Trap::integer_overflow)},
    {.op = Op::i32_trunc_f32_s, .in = {0xffc0'0000}, .out = trap(Trap::invalid_conversion)},
    {.op = Op::i32_trunc_f32_s, .in = {0x7f80'0000}, .out = trap(Trap::integer_overflow)},
    {.op = Op::i32_trunc_sat_f32_s, .in = {0xff80'0000}, .out = bits(0x8000'0000)},
    {.op = Op::i64_trunc_sat_f64_u, .in = {0x7ff0'0000'0000'0000}, .out = bits(~u64{0})},
    {.op = Op::f32_convert_i32_s, .in = {16777217}, .out = bits(0x4b80'0000)},
    {.op = Op::f32_convert_i32_u, .in = {0xffff'ffff}, .out = bits(0x4f80'0000)},
    // Through f64 these would be rounded twice.
    {.op = Op::f32_convert_i64_u, .in = {0x0020'0000'2000'0001}, .out = bits(0x5a00'0001)},
    {.op = Op::f32_convert_i64_s, .in = {0x0020'0000'2000'0001}, .out = bits(0x5a00'0001)},
    {.op = Op::f32_convert_i64_u, .in = {0xffff'ff80'0000'0000}, .out = bits(0x5f80'0000)},
    {.op = Op::f32_convert_i64_u, .in = {0xffff'ff7f'ffff'ffff}, .out = bits(0x5f7f'ffff)},
    {.op = Op::f64_convert_i64_u,
     .in = {0xffff'ffff'ffff'fc00},
     .out = bits(0x43f0'0000'0000'0000)},
    {.op = Op::f64_convert_i64_u,
     .in = {0xffff'ffff'ffff'fbff},
     .out = bits(0x43ef'ffff'ffff'ffff)},
    {.op = Op::f64_convert_i64_u,
     .in = {0x8000'0000'0000'0400},
     .out = bits(0x43e0'0000'0000'0000)},
    {.op = Op::f64_convert_i64_u,
     .in = {0x8000'0000'0000'0401},
     .out = bits(0x43e0'0000'0000'0001)},
    {.op = Op::f64_convert_i64_s, .in = {~u64{0}}, .out = bits(0xbff0'0000'0000'0000)},
    // Half of the smallest denormal f32 is a tie to zero; anything above goes up.
    {.op = Op::f32_demote_f64, .in = {0x3690'0000'0000'0000}, .out = bits(0)},
    {.op = Op::f32_demote_f64, .in = {0x3690'0000'0000'0001}, .out = bits(1)},
    {.op = Op::f32_demote_f64, .in = {0xb690'0000'0000'0000}, .out = bits(0x8000'0000)},
    {.op = Op::f32_demote_f64, .in = {0x3ff0'0000'1000'0000}, .out = bits(0x3f80'0000)},
    {.op = Op::f32_demote_f64, .in = {0x3ff0'0000'1000'0001}, .out = bits(0x3f80'0001)},
    {.op = Op::f32_demote_f64, .in = {0x3ff0'0000'3000'0000}, .out = bits(0x3f80'0002)},
    {.op = Op::f32_demote_f64, .in = {0x47ef'ffff'efff'ffff}, .out = bits(0x7f7f'ffff)},
    {.op = Op::f32_demote_f64, .in = {0x47ef'ffff'f000'0000}, .out = bits(0x7f80'0000)},
    {.op = Op::f64_promote_f32, .in = {1}, .out = bits(0x36a0'0000'0000'0000)},
    {.op = Op::f64_promote_f32, .in = {0x807f'ffff}, .out = bits(0xb80f'ffff'c000'0000)},
};

}  // namespace

std::vector<ValueCase> conversion_values() {
  std::vector<ValueCase> cases(std::begin(by_hand), std::end(by_hand));
  add_truncations<u32>(cases, from_f32);
  add_truncations<u64>(cases, from_f64);
  for (u64 value : rounding_edges()) {
    const u32 low = static_cast<u32>(value);
    const Wide signed32 = static_cast<i32>(low);
    const Wide signed64 = static_cast<i64>(value);
    const auto add = [&](Op op, Expect out) {
      cases.push_back({.op = op, .in = {value}, .out = out});
    };
    add(Op::f32_convert_i32_s, converted<u32>(signed32));
    add(Op::f32_convert_i32_u, converted<u32>(low));
    add(Op::f32_convert_i64_s, converted<u32>(signed64));
    add(Op::f32_convert_i64_u, converted<u32>(value));
    add(Op::f64_convert_i32_s, converted<u64>(signed32));
    add(Op::f64_convert_i32_u, converted<u64>(low));
    add(Op::f64_convert_i64_s, converted<u64>(signed64));
    add(Op::f64_convert_i64_u, converted<u64>(value));
  }
  for (u32 value : float_edges<u32>()) {
    const f64 exact = Bits32::value(value);
    cases.push_back({.op = Op::f64_promote_f32, .in = {value}, .out = number<u64>(exact, value)});
  }
  for (u64 value : near_limits<u64>()) {
    const f32 nearest = static_cast<f32>(Bits64::value(value));
    cases.push_back({.op = Op::f32_demote_f64, .in = {value}, .out = number<u32>(nearest, value)});
  }
  return cases;
}

}  // namespace atollvm::test
