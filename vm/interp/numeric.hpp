// What numeric operations compute: WebAssembly's semantics as plain functions.
#pragma once

#include <bit>
#include <cmath>
#include <limits>
#include <type_traits>

#include "vm/base/types.hpp"

namespace atollvm::interp::num {

template <class T>
using Signed = std::make_signed_t<T>;
template <class T>
inline constexpr u32 width = sizeof(T) * 8;

// Integers. T is u32 or u64; arithmetic wraps.
template <class T>
T clz(T a) {
  return static_cast<T>(std::countl_zero(a));
}
template <class T>
T ctz(T a) {
  return static_cast<T>(std::countr_zero(a));
}
template <class T>
T popcnt(T a) {
  return static_cast<T>(std::popcount(a));
}
template <class T>
u32 eqz(T a) {
  return a == 0;
}
template <class From, class T>
T extend_s(T a) {
  return static_cast<T>(static_cast<Signed<T>>(static_cast<From>(a)));
}
inline u32 wrap(u64 a) { return static_cast<u32>(a); }
inline u64 extend_i32_s(u32 a) { return static_cast<u64>(static_cast<i64>(static_cast<i32>(a))); }
inline u64 extend_i32_u(u32 a) { return a; }

template <class T>
T add(T a, T b) {
  return a + b;
}
template <class T>
T sub(T a, T b) {
  return a - b;
}
template <class T>
T mul(T a, T b) {
  return a * b;
}
template <class T>
T bit_and(T a, T b) {
  return a & b;
}
template <class T>
T bit_or(T a, T b) {
  return a | b;
}
template <class T>
T bit_xor(T a, T b) {
  return a ^ b;
}
template <class T>
T shl(T a, T b) {
  return a << (b % width<T>);
}
template <class T>
T shr_s(T a, T b) {
  return static_cast<T>(static_cast<Signed<T>>(a) >> (b % width<T>));
}
template <class T>
T shr_u(T a, T b) {
  return a >> (b % width<T>);
}
template <class T>
T rotl(T a, T b) {
  return std::rotl(a, static_cast<int>(b % width<T>));
}
template <class T>
T rotr(T a, T b) {
  return std::rotr(a, static_cast<int>(b % width<T>));
}

// The divisor is not zero, and the quotient does not overflow.
template <class T>
T div_s(T a, T b) {
  return static_cast<T>(static_cast<Signed<T>>(a) / static_cast<Signed<T>>(b));
}
template <class T>
T div_u(T a, T b) {
  return a / b;
}
template <class T>
T rem_s(T a, T b) {
  return b == static_cast<T>(-1)
             ? T{0}
             : static_cast<T>(static_cast<Signed<T>>(a) % static_cast<Signed<T>>(b));
}
template <class T>
T rem_u(T a, T b) {
  return a % b;
}
template <class T>
bool quotient_overflows(T a, T b) {
  return a == T{1} << (width<T> - 1) && b == static_cast<T>(-1);
}

// Comparisons; of floats too where the name has no sign.
template <class T>
bool eq(T a, T b) {
  return a == b;
}
template <class T>
bool ne(T a, T b) {
  return a != b;
}
template <class T>
bool lt(T a, T b) {
  return a < b;
}
template <class T>
bool le(T a, T b) {
  return a <= b;
}
template <class T>
bool gt(T a, T b) {
  return a > b;
}
template <class T>
bool ge(T a, T b) {
  return a >= b;
}
template <class T>
bool not_lt(T a, T b) {
  return !(a < b);
}
template <class T>
bool not_le(T a, T b) {
  return !(a <= b);
}

// Floats. abs, neg and copysign work on bits, so NaN payloads stay.
template <class F>
using Bits = std::conditional_t<sizeof(F) == 4, u32, u64>;
template <class F>
inline constexpr Bits<F> sign_bit = Bits<F>{1} << (sizeof(F) * 8 - 1);
template <class F>
inline constexpr Bits<F> canonical_nan =
    std::bit_cast<Bits<F>>(std::numeric_limits<F>::quiet_NaN());

template <class F>
F abs(F a) {
  return std::bit_cast<F>(std::bit_cast<Bits<F>>(a) & ~sign_bit<F>);
}
template <class F>
F neg(F a) {
  return std::bit_cast<F>(std::bit_cast<Bits<F>>(a) ^ sign_bit<F>);
}
template <class F>
F copysign(F a, F b) {
  return std::bit_cast<F>((std::bit_cast<Bits<F>>(a) & ~sign_bit<F>) |
                          (std::bit_cast<Bits<F>>(b) & sign_bit<F>));
}
// Adding zero quiets a signalling NaN and keeps the sign of every zero that it is given.
template <class F>
F quiet(F a) {
  return a != a ? a + a : a;
}
template <class F>
F ceil(F a) {
  return quiet(std::ceil(a));
}
template <class F>
F floor(F a) {
  return quiet(std::floor(a));
}
template <class F>
F trunc(F a) {
  return quiet(std::trunc(a));
}
template <class F>
F nearest(F a) {
  return quiet(std::nearbyint(a));
}  // rounding mode is to nearest even
template <class F>
F sqrt(F a) {
  return std::sqrt(a);
}
template <class F>
F div(F a, F b) {
  return a / b;
}
template <class F>
F min(F a, F b) {
  if (a != a || b != b) return a + b;
  if (a == b) return std::bit_cast<F>(std::bit_cast<Bits<F>>(a) | std::bit_cast<Bits<F>>(b));
  return a < b ? a : b;
}
template <class F>
F max(F a, F b) {
  if (a != a || b != b) return a + b;
  if (a == b) return std::bit_cast<F>(std::bit_cast<Bits<F>>(a) & std::bit_cast<Bits<F>>(b));
  return a > b ? a : b;
}
// Rounded twice: the build forbids contraction (-ffp-contract=off).
template <class F>
F mul_add(F a, F b, F c) {
  return a * b + c;
}
template <class F>
F mul_sub(F a, F b, F c) {
  return a * b - c;
}
template <class F>
F add_add(F a, F b, F c) {
  return (a + b) + c;
}
template <class F>
F mul_mul(F a, F b, F c) {
  return (a * b) * c;
}
template <class F>
F sub_add(F a, F b, F c) {
  return (a - b) + c;
}
template <class F>
F mul_sub_from(F a, F b, F c) {
  return c - a * b;
}

// Float to integer. I is the (signed or unsigned) result type.
// Bounds are exact: the first values on either side whose truncation does not fit.
template <class I, class F>
bool truncates(F a) {
  constexpr int exponent = static_cast<int>(sizeof(I) * 8) - (std::is_signed_v<I> ? 1 : 0);
  constexpr F above = static_cast<F>(u64{1} << (exponent - 1)) * F{2};
  if constexpr (std::is_unsigned_v<I>) {
    return a > F{-1} && a < above;
  } else if constexpr (sizeof(I) * 8 <= std::numeric_limits<F>::digits) {
    return a > -above - F{1} && a < above;
  } else {
    return a >= -above && a < above;
  }
}
template <class I, class F>
I truncate(F a) {
  return static_cast<I>(a);
}
template <class I, class F>
std::make_unsigned_t<I> truncate_saturated(F a) {
  using U = std::make_unsigned_t<I>;
  if (a != a) return 0;
  if (truncates<I>(a)) return static_cast<U>(static_cast<I>(a));
  return static_cast<U>(a < F{0} ? std::numeric_limits<I>::min() : std::numeric_limits<I>::max());
}
template <class I, class F>
F convert(std::make_unsigned_t<I> a) {
  return static_cast<F>(static_cast<I>(a));
}
inline f32 demote(f64 a) { return static_cast<f32>(a); }
inline f64 promote(f32 a) { return static_cast<f64>(a); }

}  // namespace atollvm::interp::num
