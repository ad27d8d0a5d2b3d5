// Float arithmetic and comparisons. References: the C++ compiler's own arithmetic (IEEE 754, no
// contraction) for + - * / and the square root, work on bits for everything else.
#include "tests/isa/values.hpp"

namespace atollvm::test {

namespace {

enum class Rounding : u8 { up, down, zero, even };

// Rounds to an integer by cutting off the bits of the fraction.
template <class Bits>
Bits round_to_integer(Bits value, Rounding rounding) {
  using Type = FloatBits<Bits>;
  const Bits sign = value & Type::sign;
  const Bits magnitude = value & ~Type::sign;
  const int exponent = Type::exponent(magnitude);
  if (exponent >= Type::Layout::mantissa) return value;
  if (exponent < 0) {
    const Bits half = Type::one - (Bits{1} << Type::Layout::mantissa);
    const bool away = (rounding == Rounding::up && sign == 0 && magnitude != 0) ||
                      (rounding == Rounding::down && sign != 0 && magnitude != 0) ||
                      (rounding == Rounding::even && magnitude > half);
    return sign | (away ? Type::one : Bits{0});
  }
  const Bits unit = Bits{1} << (Type::Layout::mantissa - exponent);
  const Bits rest = magnitude & (unit - 1);
  const Bits below = magnitude - rest;
  const bool odd = (below & unit) != 0;
  const bool away =
      rest != 0 &&
      ((rounding == Rounding::up && sign == 0) || (rounding == Rounding::down && sign != 0) ||
       (rounding == Rounding::even && (rest > unit / 2 || (rest == unit / 2 && odd))));
  return sign | (away ? below + unit : below);
}

template <class Bits>
Expect rounded(Bits value, Rounding rounding) {
  using Type = FloatBits<Bits>;
  if (Type::is_nan(value)) return number<Bits>(Type::value(value), value);
  return bits(round_to_integer(value, rounding));
}

template <class Bits>
Expect lesser(Bits a, Bits b, bool want_greater) {
  using Type = FloatBits<Bits>;
  if (Type::is_nan(a)) return number<Bits>(Type::value(a), a, b);
  if (Type::is_nan(b)) return number<Bits>(Type::value(b), a, b);
  // Orders all numbers, -0 below +0.
  const auto key = [](Bits value) {
    return (value & Type::sign) != 0 ? static_cast<Bits>(~value) : value | Type::sign;
  };
  return bits((key(a) < key(b)) != want_greater ? a : b);
}

template <class Bits>
Expect unary(u32 index, Bits a) {
  using Type = FloatBits<Bits>;
  switch (index) {
    case 0:
      return bits(a & ~Type::sign);
    case 1:
      return bits(a ^ Type::sign);
    case 2:
      return rounded(a, Rounding::up);
    case 3:
      return rounded(a, Rounding::down);
    case 4:
      return rounded(a, Rounding::zero);
    case 5:
      return rounded(a, Rounding::even);
    default:
      return number<Bits>(std::sqrt(Type::value(a)), a);
  }
}

// In the order of the table: add ... copysign, then eq ne lt le.
template <class Bits>
Expect binary(u32 index, Bits a, Bits b) {
  using Type = FloatBits<Bits>;
  const typename Type::Float x = Type::value(a);
  const typename Type::Float y = Type::value(b);
  const bool ordered = !Type::is_nan(a) && !Type::is_nan(b);
  switch (index) {
    case 0:
      return number<Bits>(x + y, a, b);
    case 1:
      return number<Bits>(x - y, a, b);
    case 2:
      return number<Bits>(x * y, a, b);
    case 3:
      return number<Bits>(x / y, a, b);
    case 4:
      return lesser(a, b, false);
    case 5:
      return lesser(a, b, true);
    case 6:
      return bits((a & ~Type::sign) | (b & Type::sign));
    case 7:
      return bits(ordered && x == y);
    case 8:
      return bits(!ordered || x != y);
    case 9:
      return bits(ordered && x < y);
    default:
      return bits(ordered && x <= y);
  }
}

Op operator+(Op op, u32 distance) { return static_cast<Op>(static_cast<u32>(op) + distance); }

static_assert(static_cast<u32>(Op::f32_sqrt) - static_cast<u32>(Op::f32_abs) == 6);
static_assert(static_cast<u32>(Op::f64_sqrt) - static_cast<u32>(Op::f64_abs) == 6);
static_assert(static_cast<u32>(Op::f32_le) - static_cast<u32>(Op::f32_add) == 10);
static_assert(static_cast<u32>(Op::f64_le) - static_cast<u32>(Op::f64_add) == 10);

struct FusedOps {
  Op mul_add;      // a * b + c
  Op acc_add;      // d + a * b
  Op acc_sub;      // d - a * b
  Op mul_sub;      // a * b - c
  Op sub_mul;      // c - a * b
  Op add_add;      // (a + b) + c
  Op sub_add;      // (a - b) + c
  Op mul_add_mul;  // a * b + c * e
  Op mul_sub_mul;  // a * b - c * e
  Op mul_mul;      // (a * b) * c
};

template <class Bits>
void add_fused(std::vector<ValueCase>& cases, FusedOps ops, Bits a, Bits b, Bits c) {
  using Type = FloatBits<Bits>;
  const typename Type::Float product = Type::value(a) * Type::value(b);
  const Expect sum = number<Bits>(product + Type::value(c), a, b, c);
  const Expect difference = number<Bits>(Type::value(c) - product, a, b, c);
  cases.push_back({.op = ops.mul_add, .in = {a, b, c}, .out = sum});
  cases.push_back({.op = ops.acc_add, .in = {c, a, b}, .out = sum});
  cases.push_back({.op = ops.acc_sub, .in = {c, a, b}, .out = difference});
  cases.push_back({.op = ops.sub_mul, .in = {a, b, c}, .out = difference});
  const auto add = [&](Op op, typename Type::Float result) {
    cases.push_back({.op = op, .in = {a, b, c}, .out = number<Bits>(result, a, b, c)});
  };
  const typename Type::Float x = Type::value(a);
  const typename Type::Float y = Type::value(b);
  add(ops.mul_sub, product - Type::value(c));
  add(ops.mul_mul, product * Type::value(c));
  const typename Type::Float plus = x + y;
  const typename Type::Float minus = x - y;
  add(ops.add_add, plus + Type::value(c));
  add(ops.sub_add, minus + Type::value(c));
  // The second product of every kind that the first one has.
  for (Bits e : {b, static_cast<Bits>(Type::one + 1), static_cast<Bits>(Type::sign)}) {
    const typename Type::Float other = Type::value(c) * Type::value(e);
    cases.push_back({.op = ops.mul_add_mul,
                     .in = {a, b, c, e},
                     .out = number<Bits>(product + other, a, b, c, e)});
    cases.push_back({.op = ops.mul_sub_mul,
                     .in = {a, b, c, e},
                     .out = number<Bits>(product - other, a, b, c, e)});
  }
}

template <class Bits>
void add_all(std::vector<ValueCase>& cases, Op first_unary, Op first_binary, FusedOps fused) {
  using Type = FloatBits<Bits>;
  const std::vector<Bits>& edges = float_edges<Bits>();
  for (Bits a : edges) {
    for (u32 index = 0; index <= 6; ++index) {
      cases.push_back({.op = first_unary + index, .in = {a}, .out = unary(index, a)});
    }
    for (Bits b : edges) {
      for (u32 index = 0; index <= 10; ++index) {
        cases.push_back({.op = first_binary + index, .in = {a, b}, .out = binary(index, a, b)});
      }
    }
  }
  // Fewer values for three operands.
  const Bits some[] = {0,
                       Type::sign,
                       1,
                       Type::one,
                       static_cast<Bits>(Type::one | Type::sign),
                       static_cast<Bits>(Type::one + 1),
                       static_cast<Bits>(Type::infinity - 1),
                       Type::infinity,
                       static_cast<Bits>(Type::infinity | Type::sign),
                       Type::canonical_nan,
                       static_cast<Bits>(Type::infinity | 1)};
  for (Bits a : some) {
    for (Bits b : some) {
      for (Bits c : some) add_fused(cases, fused, a, b, c);
    }
  }
  // (1 + e)^2 - (1 + 2 e): rounded twice it is 0, rounded once it is e^2.
  const Bits plus_e = Type::one + 1;
  const Bits minus_square = static_cast<Bits>((Type::one + 2) | Type::sign);
  cases.push_back({.op = fused.mul_add, .in = {plus_e, plus_e, minus_square}, .out = bits(0)});
  cases.push_back({.op = fused.acc_add, .in = {minus_square, plus_e, plus_e}, .out = bits(0)});
  cases.push_back({.op = fused.acc_sub, .in = {Type::one + 2, plus_e, plus_e}, .out = bits(0)});
  cases.push_back({.op = fused.mul_sub, .in = {plus_e, plus_e, Type::one + 2}, .out = bits(0)});
  cases.push_back({.op = fused.sub_mul, .in = {plus_e, plus_e, Type::one + 2}, .out = bits(0)});
  const Bits one = Type::one;
  cases.push_back(
      {.op = fused.mul_add_mul, .in = {plus_e, plus_e, minus_square, one}, .out = bits(0)});
  cases.push_back(
      {.op = fused.mul_sub_mul, .in = {plus_e, plus_e, one, Type::one + 2}, .out = bits(0)});
}

// Results worked out by hand, a check of the references too.
constexpr u32 minus32 = 0x8000'0000;
constexpr u64 minus64 = 0x8000'0000'0000'0000;
const ValueCase by_hand[] = {
    {.op = Op::f32_min, .in = {0, minus32}, .out = bits(minus32)},
    {.op = Op::f32_max, .in = {minus32, 0}, .out = bits(0)},
    {.op = Op::f64_min, .in = {minus64, 0}, .out = bits(minus64)},
    {.op = Op::f64_max, .in = {0, minus64}, .out = bits(0)},
    {.op = Op::f32_min,
     .in = {0x3f80'0000, 0x7fc0'0000},
     .out = {Expect::Kind::nan32_canonical, 0, {}}},
    {.op = Op::f32_nearest, .in = {0x3f00'0000}, .out = bits(0)},            // 0.5 -> 0
    {.op = Op::f32_nearest, .in = {0x3fc0'0000}, .out = bits(0x4000'0000)},  // 1.5 -> 2
    {.op = Op::f32_nearest, .in = {0x4020'0000}, .out = bits(0x4000'0000)},  // 2.5 -> 2
    {.op = Op::f32_nearest, .in = {0xbf00'0000}, .out = bits(minus32)},      // -0.5 -> -0
    {.op = Op::f64_nearest, .in = {0xc00c'0000'0000'0000}, .out = bits(0xc010'0000'0000'0000)},
    {.op = Op::f32_ceil, .in = {0xbf40'0000}, .out = bits(minus32)},  // -0.75 -> -0
    {.op = Op::f32_trunc, .in = {0xbf40'0000}, .out = bits(minus32)},
    {.op = Op::f32_floor, .in = {0x8000'0001}, .out = bits(0xbf80'0000)},
    {.op = Op::f32_sqrt, .in = {minus32}, .out = bits(minus32)},
    {.op = Op::f32_sqrt, .in = {0x4000'0000}, .out = bits(0x3fb5'04f3)},
    {.op = Op::f64_sqrt, .in = {0x4000'0000'0000'0000}, .out = bits(0x3ff6'a09e'667f'3bcd)},
    {.op = Op::f64_sqrt,
     .in = {0xbff0'0000'0000'0000},
     .out = {Expect::Kind::nan64_canonical, 0, {}}},
    {.op = Op::f32_neg, .in = {0x7f80'0001}, .out = bits(0xff80'0001)},
    {.op = Op::f32_abs, .in = {0xff80'0001}, .out = bits(0x7f80'0001)},
    {.op = Op::f32_copysign, .in = {0x7f80'0001, minus32}, .out = bits(0xff80'0001)},
    {.op = Op::f64_copysign,
     .in = {0x3ff0'0000'0000'0000, 0xfff0'0000'0000'0001},
     .out = bits(0xbff0'0000'0000'0000)},
    {.op = Op::f32_add,
     .in = {0x7f80'0000, 0xff80'0000},
     .out = {Expect::Kind::nan32_canonical, 0, {}}},
    {.op = Op::f32_mul, .in = {0x7f80'0000, 0}, .out = {Expect::Kind::nan32_canonical, 0, {}}},
    {.op = Op::f32_div, .in = {0, minus32}, .out = {Expect::Kind::nan32_canonical, 0, {}}},
    {.op = Op::f32_div, .in = {0x3f80'0000, minus32}, .out = bits(0xff80'0000)},
    {.op = Op::f32_sub, .in = {0x0080'0000, 1}, .out = bits(0x007f'ffff)},  // to a denormal
    {.op = Op::f64_mul,
     .in = {0x0010'0000'0000'0000, 0x3fe0'0000'0000'0000},
     .out = bits(0x0008'0000'0000'0000)},
    {.op = Op::f32_add, .in = {0x7f80'0001, 0x3f80'0000}, .out = {Expect::Kind::nan32, 0, {}}},
};

}  // namespace

std::vector<ValueCase> float_values() {
  std::vector<ValueCase> cases(std::begin(by_hand), std::end(by_hand));
  add_all<u32>(cases, Op::f32_abs, Op::f32_add,
               {Op::f32_mul_add, Op::f32_acc_add, Op::f32_acc_sub, Op::f32_mul_sub, Op::f32_sub_mul,
                Op::f32_add_add, Op::f32_sub_add, Op::f32_mul_add_mul, Op::f32_mul_sub_mul,
                Op::f32_mul_mul});
  add_all<u64>(cases, Op::f64_abs, Op::f64_add,
               {Op::f64_mul_add, Op::f64_acc_add, Op::f64_acc_sub, Op::f64_mul_sub, Op::f64_sub_mul,
                Op::f64_add_add, Op::f64_sub_add, Op::f64_mul_add_mul, Op::f64_mul_sub_mul,
                Op::f64_mul_mul});
  return cases;
}

}  // namespace atollvm::test
