// Values at the edges, and reference results written without the engine's code.
#pragma once

#include <bit>
#include <cmath>
#include <optional>

#include "tests/isa/suite.hpp"

namespace atollvm::test {

inline constexpr u32 edges32[] = {
    0,           1,           2,           3,           7,           8,           31,
    32,          33,          63,          0x7f,        0x80,        0xff,        0x100,
    0x7fff,      0x8000,      0xffff,      0x1'0000,    0x1234'5678, 0x5555'5555, 0x7fff'fffe,
    0x7fff'ffff, 0x8000'0000, 0x8000'0001, 0xdead'beef, 0xffff'8000, 0xffff'fffe, 0xffff'ffff};

inline constexpr u64 edges64[] = {0,
                                  1,
                                  2,
                                  7,
                                  31,
                                  32,
                                  33,
                                  63,
                                  64,
                                  65,
                                  0x7f,
                                  0x80,
                                  0x7fff,
                                  0x8000,
                                  0x7fff'ffff,
                                  0x8000'0000,
                                  0xffff'ffff,
                                  0x1'0000'0000,
                                  0x1234'5678'9abc'def0,
                                  0x5555'5555'5555'5555,
                                  0x7fff'ffff'ffff'fffe,
                                  0x7fff'ffff'ffff'ffff,
                                  0x8000'0000'0000'0000,
                                  0x8000'0000'0000'0001,
                                  0xdead'beef'cafe'f00d,
                                  0xffff'ffff'7fff'ffff,
                                  0xffff'ffff'ffff'8000,
                                  0xffff'ffff'ffff'fffe,
                                  0xffff'ffff'ffff'ffff};

// Immediates of 16 bits.
inline constexpr i64 edges_imm[] = {0,  1,  -1,  2,   7,    31,    32,    33,
                                    63, 64, 127, 128, -128, 12345, 32767, -32768};

// How numbers of one float width are laid out.
template <class Bits>
struct FloatLayout;
template <>
struct FloatLayout<u32> {
  using Float = f32;
  static constexpr int mantissa = 23;
  static constexpr int bias = 127;
};
template <>
struct FloatLayout<u64> {
  using Float = f64;
  static constexpr int mantissa = 52;
  static constexpr int bias = 1023;
};

template <class Bits>
struct FloatBits {
  using Layout = FloatLayout<Bits>;
  using Float = typename Layout::Float;
  static constexpr int width = sizeof(Bits) * 8;
  static constexpr Bits sign = Bits{1} << (width - 1);
  static constexpr Bits fraction = (Bits{1} << Layout::mantissa) - 1;
  static constexpr Bits infinity = static_cast<Bits>(~sign & ~fraction);
  static constexpr Bits quiet = Bits{1} << (Layout::mantissa - 1);
  static constexpr Bits canonical_nan = infinity | quiet;
  static constexpr Bits one = static_cast<Bits>(Bits{Layout::bias} << Layout::mantissa);

  static constexpr bool is_nan(Bits bits) { return (bits & ~sign) > infinity; }
  static constexpr bool is_canonical(Bits bits) { return (bits & ~sign) == canonical_nan; }
  static constexpr int exponent(Bits bits) {
    return static_cast<int>((bits & infinity) >> Layout::mantissa) - Layout::bias;
  }
  static Float value(Bits bits) { return std::bit_cast<Float>(bits); }
  static Bits of(Float value) { return std::bit_cast<Bits>(value); }
};
using Bits32 = FloatBits<u32>;
using Bits64 = FloatBits<u64>;

// The expectation for an arithmetic result: its bits, or the class of NaN that WebAssembly gives:
// canonical if no input is a NaN of another kind.
template <class Bits, class... Inputs>
Expect number(typename FloatBits<Bits>::Float result, Inputs... inputs) {
  const bool wide = sizeof(Bits) == 8;
  if (!std::isnan(result)) return bits(FloatBits<Bits>::of(result));
  const auto odd = [](auto input) {
    using Type = FloatBits<decltype(input)>;
    return Type::is_nan(input) && !Type::is_canonical(input);
  };
  if ((odd(inputs) || ...)) return {wide ? Expect::Kind::nan64 : Expect::Kind::nan32, 0, {}};
  return {wide ? Expect::Kind::nan64_canonical : Expect::Kind::nan32_canonical, 0, {}};
}

// Zeros, ones, halves and ties, limits of each kind of number, NaNs, both signs of all.
template <class Bits>
const std::vector<Bits>& float_edges() {
  using Type = FloatBits<Bits>;
  using Float = typename Type::Float;
  static const std::vector<Bits> all = [] {
    std::vector<Bits> values = {
        0,
        1,                                      // smallest denormal
        Type::fraction,                         // largest denormal
        Type::fraction + 1,                     // smallest normal
        static_cast<Bits>(Type::infinity - 1),  // largest
        Type::infinity,
        Type::canonical_nan,
        static_cast<Bits>(Type::infinity | 1),  // signalling
        static_cast<Bits>(Type::canonical_nan | 0x1234),
        static_cast<Bits>(Type::infinity | Type::fraction),
        static_cast<Bits>(Type::one - 1),  // just below 1
        static_cast<Bits>(Type::one + 1),  // just above 1
    };
    for (double number : {0.25,
                          0.5,
                          0.75,
                          1.0,
                          1.5,
                          2.0,
                          2.5,
                          3.0,
                          3.5,
                          4.5,
                          6.28318548202514648,
                          100.1,
                          8388607.5,
                          8388608.5,
                          16777216.0,
                          4503599627370495.5,
                          4503599627370497.5,
                          9007199254740992.0,
                          1e-30,
                          1e30}) {
      values.push_back(Type::of(static_cast<Float>(number)));
    }
    const usize positive = values.size();
    for (usize i = 0; i < positive; ++i) values.push_back(values[i] | Type::sign);
    return values;
  }();
  return all;
}

}  // namespace atollvm::test
