// Integer operations. References use 128-bit arithmetic and loops over bits.
#include "tests/isa/values.hpp"

namespace atollvm::test {

namespace {

__extension__ using Wide = __int128;
__extension__ using UnsignedWide = unsigned __int128;

template <class T>
constexpr u32 width = sizeof(T) * 8;

template <class T>
bool bit(T value, u32 index) {
  return (value >> index % width<T> & 1) != 0;
}

// A T made of the bits that `source(i)` gives for each place.
template <class T, class Source>
T assemble(Source source) {
  T result = 0;
  for (u32 i = 0; i < width<T>; ++i) {
    if (source(i)) result = static_cast<T>(result | T{1} << i);
  }
  return result;
}

template <class T>
Wide as_signed(T value) {
  return bit(value, width<T> - 1) ? Wide{value} - (Wide{1} << width<T>) : Wide{value};
}
template <class T>
Expect cut(Wide value) {
  return bits(static_cast<T>(value));
}

// Operations of two operands, in the order of the table: add sub ... rotr, then comparisons.
template <class T>
Expect binary(u32 index, T a, T b) {
  const Wide sa = as_signed(a);
  const Wide sb = as_signed(b);
  const u32 places = static_cast<u32>(b % width<T>);
  switch (index) {
    case 0:
      return cut<T>(Wide{a} + b);
    case 1:
      return cut<T>(Wide{a} - b);
    case 2:
      return bits(static_cast<T>(static_cast<UnsignedWide>(a) * b));
    case 3:
      if (b == 0) return trap(Trap::divide_by_zero);
      if (sa / sb == Wide{1} << (width<T> - 1)) return trap(Trap::integer_overflow);
      return cut<T>(sa / sb);
    case 4:
      return b == 0 ? trap(Trap::divide_by_zero) : cut<T>(Wide{a} / b);
    case 5:
      return b == 0 ? trap(Trap::divide_by_zero) : cut<T>(sa % sb);
    case 6:
      return b == 0 ? trap(Trap::divide_by_zero) : cut<T>(Wide{a} % b);
    case 7:
      return bits(assemble<T>([&](u32 i) { return bit(a, i) && bit(b, i); }));
    case 8:
      return bits(assemble<T>([&](u32 i) { return bit(a, i) || bit(b, i); }));
    case 9:
      return bits(assemble<T>([&](u32 i) { return bit(a, i) != bit(b, i); }));
    case 10:
      return bits(assemble<T>([&](u32 i) { return i >= places && bit(a, i - places); }));
    case 11:
      return bits(assemble<T>(
          [&](u32 i) { return bit(a, i + places < width<T> ? i + places : width<T> - 1); }));
    case 12:
      return bits(assemble<T>([&](u32 i) { return i + places < width<T> && bit(a, i + places); }));
    case 13:
      return bits(assemble<T>([&](u32 i) { return bit(a, i + width<T> - places); }));
    case 14:
      return bits(assemble<T>([&](u32 i) { return bit(a, i + places); }));
    case 15:
      return bits(a == b);
    case 16:
      return bits(a != b);
    case 17:
      return bits(sa < sb);
    case 18:
      return bits(a < b);
    case 19:
      return bits(sa <= sb);
    case 20:
      return bits(a <= b);
    case 21:
      return bits(sa > sb);
    case 22:
      return bits(a > b);
    case 23:
      return bits(sa >= sb);
    default:
      return bits(a >= b);
  }
}

// The same with an immediate: which of the above each row is.
constexpr u32 immediate_as[] = {0,  2,  7,  8,  9,  10, 11, 12, 13, 15,
                                16, 17, 18, 21, 22, 19, 20, 23, 24};

template <class T>
Expect unary(Op op, T a) {
  u32 count = 0;
  switch (op) {
    case Op::i32_clz:
    case Op::i64_clz:
      while (count < width<T> && !bit(a, width<T> - 1 - count)) ++count;
      return bits(count);
    case Op::i32_ctz:
    case Op::i64_ctz:
      while (count < width<T> && !bit(a, count)) ++count;
      return bits(count);
    case Op::i32_popcnt:
    case Op::i64_popcnt:
      for (u32 i = 0; i < width<T>; ++i) count += bit(a, i);
      return bits(count);
    default:
      return bits(a == 0);
  }
}

// Low `from` bits of a, sign-extended to T.
template <class T>
Expect extend(u64 a, u32 from) {
  return bits(assemble<T>([&](u32 i) { return bit(a, i < from ? i : from - 1); }));
}

Op operator+(Op op, u32 distance) { return static_cast<Op>(static_cast<u32>(op) + distance); }

template <class T, usize n>
void add_all(std::vector<ValueCase>& cases, const T (&edges)[n], Op first_unary, Op first_binary,
             Op first_immediate) {
  for (u32 index = 0; index < 4; ++index) {  // clz ctz popcnt eqz
    for (T a : edges)
      cases.push_back({.op = first_unary + index, .in = {a}, .out = unary(first_unary + index, a)});
  }
  for (u32 index = 0; index <= 20; ++index) {
    for (T a : edges) {
      for (T b : edges) {
        cases.push_back({.op = first_binary + index, .in = {a, b}, .out = binary<T>(index, a, b)});
      }
    }
  }
  for (u32 row = 0; row < std::size(immediate_as); ++row) {
    for (T a : edges) {
      for (i64 imm : edges_imm) {
        const T b = static_cast<T>(imm);
        cases.push_back({.op = first_immediate + row,
                         .in = {a},
                         .imm = imm,
                         .out = binary<T>(immediate_as[row], a, b)});
      }
    }
  }
}

// The table's order, which the indexes above lean on.
static_assert(static_cast<u32>(Op::i32_le_u) - static_cast<u32>(Op::i32_add) == 20);
static_assert(static_cast<u32>(Op::i64_le_u) - static_cast<u32>(Op::i64_add) == 20);
static_assert(static_cast<u32>(Op::i32_ge_u_i) - static_cast<u32>(Op::i32_add_i) == 18);
static_assert(static_cast<u32>(Op::i64_ge_u_i) - static_cast<u32>(Op::i64_add_i) == 18);

struct CombinedOps {
  Op add_add, mul_add, xor_shl, xor_shr_u, xor_rotl;
};

template <class T, usize n>
void add_combined(std::vector<ValueCase>& cases, const T (&edges)[n], const CombinedOps& ops) {
  for (T a : edges) {
    for (T b : edges) {
      for (T c : {T{0}, T{1}, static_cast<T>(0x89ab'cdef'89ab'cdef), static_cast<T>(~T{0})}) {
        cases.push_back({.op = ops.add_add, .in = {a, b, c}, .out = cut<T>(Wide{a} + b + c)});
        const UnsignedWide product = static_cast<UnsignedWide>(a) * b;
        cases.push_back({.op = ops.mul_add,
                         .in = {a, b, c},
                         .out = bits(static_cast<T>(product + static_cast<UnsignedWide>(c)))});
      }
      for (i64 imm : edges_imm) {
        const T places = static_cast<T>(imm);
        const auto shifted = [&](u32 index) {
          return bits(a ^ static_cast<T>(binary<T>(index, b, places).bits));
        };
        cases.push_back({.op = ops.xor_shl, .in = {a, b}, .imm = imm, .out = shifted(10)});
        cases.push_back({.op = ops.xor_shr_u, .in = {a, b}, .imm = imm, .out = shifted(12)});
        cases.push_back({.op = ops.xor_rotl, .in = {a, b}, .imm = imm, .out = shifted(13)});
      }
    }
  }
}

// Results worked out by hand, a check of the references too.
const ValueCase by_hand[] = {
    {.op = Op::i32_add, .in = {0x7fff'ffff, 1}, .out = bits(0x8000'0000)},
    {.op = Op::i32_sub, .in = {0, 1}, .out = bits(0xffff'ffff)},
    {.op = Op::i32_mul, .in = {0x1'0001, 0x1'0001}, .out = bits(0x2'0001)},
    {.op = Op::i32_div_s, .in = {0x8000'0000, 0xffff'ffff}, .out = trap(Trap::integer_overflow)},
    {.op = Op::i32_div_s, .in = {0xffff'fff9, 2}, .out = bits(0xffff'fffd)},
    {.op = Op::i32_div_u, .in = {0x8000'0000, 0xffff'ffff}, .out = bits(0)},
    {.op = Op::i32_rem_s, .in = {0x8000'0000, 0xffff'ffff}, .out = bits(0)},
    {.op = Op::i32_rem_s, .in = {0xffff'fff9, 2}, .out = bits(0xffff'ffff)},
    {.op = Op::i32_rem_u, .in = {0xffff'fff9, 10}, .out = bits(9)},
    {.op = Op::i32_shl, .in = {1, 33}, .out = bits(2)},
    {.op = Op::i32_shr_s, .in = {0x8000'0000, 31}, .out = bits(0xffff'ffff)},
    {.op = Op::i32_rotl, .in = {0xabcd'9876, 1}, .out = bits(0x579b'30ed)},
    {.op = Op::i32_rotr, .in = {0xb0c1'd2e3, 0xff05}, .out = bits(0x1d86'0e97)},
    {.op = Op::i32_clz, .in = {0}, .out = bits(32)},
    {.op = Op::i32_ctz, .in = {0}, .out = bits(32)},
    {.op = Op::i64_clz, .in = {0}, .out = bits(64)},
    {.op = Op::i64_ctz, .in = {0}, .out = bits(64)},
    {.op = Op::i64_mul,
     .in = {0x0123'4567'89ab'cdef, 0xfedc'ba98'7654'3210},
     .out = bits(0x2236'd88f'e561'8cf0)},
    {.op = Op::i64_div_s, .in = {u64{1} << 63, ~u64{0}}, .out = trap(Trap::integer_overflow)},
    {.op = Op::i64_rem_s, .in = {u64{1} << 63, ~u64{0}}, .out = bits(0)},
    {.op = Op::i64_rotl, .in = {0xabcd'9876'1234'5678, 65}, .out = bits(0x579b'30ec'2468'acf1)},
    {.op = Op::i64_shr_s, .in = {u64{1} << 63, 127}, .out = bits(~u64{0})},
};

}  // namespace

std::vector<ValueCase> integer_values() {
  std::vector<ValueCase> cases(std::begin(by_hand), std::end(by_hand));
  add_all<u32>(cases, edges32, Op::i32_clz, Op::i32_add, Op::i32_add_i);
  add_all<u64>(cases, edges64, Op::i64_clz, Op::i64_add, Op::i64_add_i);
  add_combined<u32>(
      cases, edges32,
      {Op::i32_add_add, Op::i32_mul_add, Op::i32_xor_shl, Op::i32_xor_shr_u, Op::i32_xor_rotl});
  add_combined<u64>(
      cases, edges64,
      {Op::i64_add_add, Op::i64_mul_add, Op::i64_xor_shl, Op::i64_xor_shr_u, Op::i64_xor_rotl});
  for (u32 a : edges32) {
    for (u32 b : edges32) {
      cases.push_back({.op = Op::i32_add_x2, .in = {a, b}, .out = cut<u32>(Wide{b} * 2 + a)});
      cases.push_back({.op = Op::i32_add_x4, .in = {a, b}, .out = cut<u32>(Wide{b} * 4 + a)});
      cases.push_back({.op = Op::i32_add_x8, .in = {a, b}, .out = cut<u32>(Wide{b} * 8 + a)});
      for (i64 imm : edges_imm) {
        const auto sum = [&](Op op, i64 scale) {
          cases.push_back(
              {.op = op, .in = {a, b}, .imm = imm, .out = cut<u32>(Wide{b} * scale + a + imm)});
        };
        sum(Op::i32_add_add_i, 1);
        sum(Op::i32_add_x2_i, 2);
        sum(Op::i32_add_x4_i, 4);
        sum(Op::i32_add_x8_i, 8);
      }
    }
  }
  for (u64 a : edges64) {
    cases.push_back({.op = Op::i32_wrap_i64, .in = {a}, .out = bits(a & 0xffff'ffff)});
    cases.push_back({.op = Op::i32_extend8_s, .in = {a}, .out = extend<u32>(a, 8)});
    cases.push_back({.op = Op::i32_extend16_s, .in = {a}, .out = extend<u32>(a, 16)});
    cases.push_back({.op = Op::i64_extend8_s, .in = {a}, .out = extend<u64>(a, 8)});
    cases.push_back({.op = Op::i64_extend16_s, .in = {a}, .out = extend<u64>(a, 16)});
    cases.push_back({.op = Op::i64_extend32_s, .in = {a}, .out = extend<u64>(a, 32)});
    cases.push_back({.op = Op::i64_extend_i32_s, .in = {a}, .out = extend<u64>(a, 32)});
    cases.push_back({.op = Op::i64_extend_i32_u, .in = {a}, .out = bits(a & 0xffff'ffff)});
  }
  return cases;
}

std::vector<ValueCase> constant_values() {
  std::vector<ValueCase> cases;
  for (u32 value : edges32) {
    const i64 extended = static_cast<i32>(value);
    cases.push_back({.op = Op::i32_const, .imm = extended, .out = bits(value)});
    cases.push_back(
        {.op = Op::i64_const, .imm = extended, .out = bits(static_cast<u64>(extended))});
  }
  for (u64 value : edges64) {
    const i64 imm = static_cast<i64>(value);
    cases.push_back({.op = Op::i64_const_long, .imm = imm, .out = bits(value)});
  }
  for (u32 value : float_edges<u32>()) {
    cases.push_back({.op = Op::f32_const, .imm = static_cast<i64>(value), .out = bits(value)});
  }
  for (u64 value : float_edges<u64>()) {
    cases.push_back({.op = Op::f64_const, .imm = static_cast<i64>(value), .out = bits(value)});
  }
  // Moves carry all 64 bits; conditions look at the low 32 (upper halves are polluted).
  constexpr u64 x = 0x0123'4567'89ab'cdef;
  constexpr u64 y = 0xfedc'ba98'7654'3210;
  for (u64 value : edges64) cases.push_back({.op = Op::mov, .in = {value}, .out = bits(value)});
  for (u32 condition : edges32) {
    const u64 chosen = condition != 0 ? x : y;
    cases.push_back({.op = Op::select, .in = {x, y, condition}, .out = bits(chosen)});
    cases.push_back({.op = Op::mov_if, .in = {y, x, condition}, .out = bits(chosen)});
  }
  return cases;
}

}  // namespace atollvm::test
