// Bodies of constants, moves, arithmetic, comparisons and conversions.
#pragma once

#include "vm/interp/state.hpp"

namespace atollvm::interp {

// d = fn(a), d = fn(a, b), d = fn(a, immediate). T is the operands' type.
template <auto fn, class T>
struct Unary {
  template <bool exact>
  ATOLL_INLINE static void run(State& s, Insn w) {
    set<exact>(s, field_a(w), fn(get<T>(s, field_b(w))));
  }
};
template <auto fn, class T>
struct Binary {
  template <bool exact>
  ATOLL_INLINE static void run(State& s, Insn w) {
    set<exact>(s, field_a(w), fn(get<T>(s, field_b(w)), get<T>(s, field_c(w))));
  }
};
template <auto fn, class T>
struct BinaryImm {
  template <bool exact>
  ATOLL_INLINE static void run(State& s, Insn w) {
    set_bits(s, field_a(w), fn(get<T>(s, field_b(w)), static_cast<T>(imm_c(w))));
  }
};
template <auto fn, class T>
struct Compare {
  template <bool exact>
  ATOLL_INLINE static void run(State& s, Insn w) {
    s.fp[field_a(w)] = fn(get<T>(s, field_b(w)), get<T>(s, field_c(w)));
  }
};
template <auto fn, class T>
struct CompareImm {
  template <bool exact>
  ATOLL_INLINE static void run(State& s, Insn w) {
    s.fp[field_a(w)] = fn(get<T>(s, field_b(w)), static_cast<T>(imm_c(w)));
  }
};
// Sign operations keep NaN bits.
template <auto fn, class T>
struct SignUnary {
  template <bool exact>
  ATOLL_INLINE static void run(State& s, Insn w) {
    set_bits(s, field_a(w), fn(get<T>(s, field_b(w))));
  }
};
template <auto fn, class T>
struct SignBinary {
  template <bool exact>
  ATOLL_INLINE static void run(State& s, Insn w) {
    set_bits(s, field_a(w), fn(get<T>(s, field_b(w)), get<T>(s, field_c(w))));
  }
};
template <auto fn, class T, bool overflows>
struct Divide {
  template <bool exact>
  ATOLL_INLINE static Check run(State& s, Insn w) {
    const T a = get<T>(s, field_b(w));
    const T b = get<T>(s, field_c(w));
    if (b == 0) [[unlikely]]
      return Trap::divide_by_zero;
    if constexpr (overflows) {
      if (num::quotient_overflows(a, b)) [[unlikely]]
        return Trap::integer_overflow;
    }
    set_bits(s, field_a(w), fn(a, b));
    return {};
  }
};
template <class I, class F>
struct Truncate {
  template <bool exact>
  ATOLL_INLINE static Check run(State& s, Insn w) {
    const F a = get<F>(s, field_b(w));
    if (!num::truncates<I>(a)) [[unlikely]] {
      return a != a ? Trap::invalid_conversion : Trap::integer_overflow;
    }
    set_bits(s, field_a(w), num::truncate<I>(a));
    return {};
  }
};
// d = a * b + c with the operands of dsss; d = d + a * b and d = d - a * b of xss.
template <auto fn, class T>
struct Ternary {
  template <bool exact>
  ATOLL_INLINE static void run(State& s, Insn w) {
    const u16 third = static_cast<u16>(s.pc[1]);
    set<exact>(s, field_a(w), fn(get<T>(s, field_b(w)), get<T>(s, field_c(w)), get<T>(s, third)));
  }
};
// d = a * b + c * e and d = a * b - c * e of dssss.
template <auto fn, class T>
struct Products {
  template <bool exact>
  ATOLL_INLINE static void run(State& s, Insn w) {
    set<exact>(s, field_a(w),
               fn(get<T>(s, field_b(w)) * get<T>(s, field_c(w)),
                  get<T>(s, field_e0(w)) * get<T>(s, field_e1(w))));
  }
};
// d = a op (b shifted by an immediate) of dssi.
template <auto fn, auto shift, class T>
struct BinaryShifted {
  template <bool exact>
  ATOLL_INLINE static void run(State& s, Insn w) {
    const T places = static_cast<T>(imm_e0(w));
    set_bits(s, field_a(w), fn(get<T>(s, field_b(w)), shift(get<T>(s, field_c(w)), places)));
  }
};
template <class T, u32 scale>
struct AddScaled {
  template <bool exact>
  ATOLL_INLINE static void run(State& s, Insn w) {
    set_bits(s, field_a(w), static_cast<T>(get<T>(s, field_b(w)) + get<T>(s, field_c(w)) * scale));
  }
};
template <class T, u32 scale>
struct AddScaledImm {
  template <bool exact>
  ATOLL_INLINE static void run(State& s, Insn w) {
    const T scaled = get<T>(s, field_c(w)) * scale;
    set_bits(s, field_a(w),
             static_cast<T>(get<T>(s, field_b(w)) + scaled + static_cast<T>(imm_e0(w))));
  }
};
template <auto fn, class T>
struct Accumulate {
  template <bool exact>
  ATOLL_INLINE static void run(State& s, Insn w) {
    const T d = get<T>(s, field_a(w));
    set<exact>(s, field_a(w), fn(get<T>(s, field_b(w)), get<T>(s, field_c(w)), d));
  }
};

template <>
struct Body<Op::unreachable> {
  template <bool exact>
  ATOLL_INLINE static Check run(State&, Insn) {
    return Trap::unreachable;
  }
};
template <>
struct Body<Op::nop> {
  template <bool exact>
  ATOLL_INLINE static void run(State&, Insn) {}
};
template <>
struct Body<Op::mov> {
  template <bool exact>
  ATOLL_INLINE static void run(State& s, Insn w) {
    s.fp[field_a(w)] = s.fp[field_b(w)];
  }
};
template <>
struct Body<Op::mov_2> {
  template <bool exact>
  ATOLL_INLINE static void run(State& s, Insn w) {
    const Slot first = s.fp[field_b(w)];
    const Slot second = s.fp[field_e1(w)];
    s.fp[field_a(w)] = first;
    s.fp[field_e0(w)] = second;
  }
};
template <>
struct Body<Op::i32_add_i2> {
  template <bool exact>
  ATOLL_INLINE static void run(State& s, Insn w) {
    const u32 first = get<u32>(s, field_b(w)) + static_cast<u32>(imm_c(w));
    const u32 second = get<u32>(s, field_e1(w)) + static_cast<u32>(static_cast<i16>(field_e2(w)));
    set_bits(s, field_a(w), first);
    set_bits(s, field_e0(w), second);
  }
};
template <>
struct Body<Op::mov_3> {
  template <bool exact>
  ATOLL_INLINE static void run(State& s, Insn w) {
    const Slot first = s.fp[field_b(w)];
    const Slot second = s.fp[field_e1(w)];
    const Slot third = s.fp[field_e3(w)];
    s.fp[field_a(w)] = first;
    s.fp[field_e0(w)] = second;
    s.fp[field_e2(w)] = third;
  }
};
template <>
struct Body<Op::mov_n> {
  template <bool exact>
  ATOLL_INLINE static void run(State& s, Insn w) {
    std::memmove(s.fp + field_a(w), s.fp + field_b(w), field_c(w) * sizeof(Slot));
  }
};
template <>
struct Body<Op::i32_const> {
  template <bool exact>
  ATOLL_INLINE static void run(State& s, Insn w) {
    s.fp[field_a(w)] = field_bc(w);
  }
};
template <>
struct Body<Op::i64_const> {
  template <bool exact>
  ATOLL_INLINE static void run(State& s, Insn w) {
    s.fp[field_a(w)] = num::extend_i32_s(field_bc(w));
  }
};
template <>
struct Body<Op::f32_const> : Body<Op::i32_const> {};
template <>
struct Body<Op::i64_const_long> {
  template <bool exact>
  ATOLL_INLINE static void run(State& s, Insn w) {
    s.fp[field_a(w)] = s.pc[1];
  }
};
template <>
struct Body<Op::f64_const> : Body<Op::i64_const_long> {};
template <>
struct Body<Op::select> {
  template <bool exact>
  ATOLL_INLINE static void run(State& s, Insn w) {
    const bool first = get<u32>(s, static_cast<u16>(s.pc[1])) != 0;
    s.fp[field_a(w)] = first ? s.fp[field_b(w)] : s.fp[field_c(w)];
  }
};
template <>
struct Body<Op::mov_if> {
  template <bool exact>
  ATOLL_INLINE static void run(State& s, Insn w) {
    const u16 d = field_a(w);
    s.fp[d] = get<u32>(s, field_c(w)) != 0 ? s.fp[field_b(w)] : s.fp[d];
  }
};

// The lists: operation, kind of body, function, operand type.
#define BODY(op, kind, ...) \
  template <>               \
  struct Body<Op::op> : kind<__VA_ARGS__> {};

#define INTEGER_BODIES(t, T)                       \
  BODY(t##_clz, Unary, num::clz<T>, T)             \
  BODY(t##_ctz, Unary, num::ctz<T>, T)             \
  BODY(t##_popcnt, Unary, num::popcnt<T>, T)       \
  BODY(t##_eqz, Unary, num::eqz<T>, T)             \
  BODY(t##_add, Binary, num::add<T>, T)            \
  BODY(t##_sub, Binary, num::sub<T>, T)            \
  BODY(t##_mul, Binary, num::mul<T>, T)            \
  BODY(t##_div_s, Divide, num::div_s<T>, T, true)  \
  BODY(t##_div_u, Divide, num::div_u<T>, T, false) \
  BODY(t##_rem_s, Divide, num::rem_s<T>, T, false) \
  BODY(t##_rem_u, Divide, num::rem_u<T>, T, false) \
  BODY(t##_and, Binary, num::bit_and<T>, T)        \
  BODY(t##_or, Binary, num::bit_or<T>, T)          \
  BODY(t##_xor, Binary, num::bit_xor<T>, T)        \
  BODY(t##_shl, Binary, num::shl<T>, T)            \
  BODY(t##_shr_s, Binary, num::shr_s<T>, T)        \
  BODY(t##_shr_u, Binary, num::shr_u<T>, T)        \
  BODY(t##_rotl, Binary, num::rotl<T>, T)          \
  BODY(t##_rotr, Binary, num::rotr<T>, T)          \
  BODY(t##_add_i, BinaryImm, num::add<T>, T)       \
  BODY(t##_mul_i, BinaryImm, num::mul<T>, T)       \
  BODY(t##_and_i, BinaryImm, num::bit_and<T>, T)   \
  BODY(t##_or_i, BinaryImm, num::bit_or<T>, T)     \
  BODY(t##_xor_i, BinaryImm, num::bit_xor<T>, T)   \
  BODY(t##_shl_i, BinaryImm, num::shl<T>, T)       \
  BODY(t##_shr_s_i, BinaryImm, num::shr_s<T>, T)   \
  BODY(t##_shr_u_i, BinaryImm, num::shr_u<T>, T)   \
  BODY(t##_rotl_i, BinaryImm, num::rotl<T>, T)
INTEGER_BODIES(i32, u32)
INTEGER_BODIES(i64, u64)

#define COMBINED_BODIES(t, T)                                           \
  BODY(t##_add_add, Ternary, num::add_add<T>, T)                        \
  BODY(t##_mul_add, Ternary, num::mul_add<T>, T)                        \
  BODY(t##_xor_shl, BinaryShifted, num::bit_xor<T>, num::shl<T>, T)     \
  BODY(t##_xor_shr_u, BinaryShifted, num::bit_xor<T>, num::shr_u<T>, T) \
  BODY(t##_xor_rotl, BinaryShifted, num::bit_xor<T>, num::rotl<T>, T)
COMBINED_BODIES(i32, u32)
COMBINED_BODIES(i64, u64)
BODY(i32_add_x2, AddScaled, u32, 2)
BODY(i32_add_x4, AddScaled, u32, 4)
BODY(i32_add_x8, AddScaled, u32, 8)
BODY(i32_add_add_i, AddScaledImm, u32, 1)
BODY(i32_add_x2_i, AddScaledImm, u32, 2)
BODY(i32_add_x4_i, AddScaledImm, u32, 4)
BODY(i32_add_x8_i, AddScaledImm, u32, 8)

#define COMPARE_BODIES(t, U, I)               \
  BODY(t##_eq, Compare, num::eq<U>, U)        \
  BODY(t##_ne, Compare, num::ne<U>, U)        \
  BODY(t##_lt_s, Compare, num::lt<I>, I)      \
  BODY(t##_lt_u, Compare, num::lt<U>, U)      \
  BODY(t##_le_s, Compare, num::le<I>, I)      \
  BODY(t##_le_u, Compare, num::le<U>, U)      \
  BODY(t##_eq_i, CompareImm, num::eq<U>, U)   \
  BODY(t##_ne_i, CompareImm, num::ne<U>, U)   \
  BODY(t##_lt_s_i, CompareImm, num::lt<I>, I) \
  BODY(t##_lt_u_i, CompareImm, num::lt<U>, U) \
  BODY(t##_gt_s_i, CompareImm, num::gt<I>, I) \
  BODY(t##_gt_u_i, CompareImm, num::gt<U>, U) \
  BODY(t##_le_s_i, CompareImm, num::le<I>, I) \
  BODY(t##_le_u_i, CompareImm, num::le<U>, U) \
  BODY(t##_ge_s_i, CompareImm, num::ge<I>, I) \
  BODY(t##_ge_u_i, CompareImm, num::ge<U>, U)
COMPARE_BODIES(i32, u32, i32)
COMPARE_BODIES(i64, u64, i64)

BODY(i32_wrap_i64, Unary, num::wrap, u64)
BODY(i64_extend_i32_s, Unary, num::extend_i32_s, u32)
BODY(i64_extend_i32_u, Unary, num::extend_i32_u, u32)
BODY(i32_extend8_s, Unary, (num::extend_s<i8, u32>), u32)
BODY(i32_extend16_s, Unary, (num::extend_s<i16, u32>), u32)
BODY(i64_extend8_s, Unary, (num::extend_s<i8, u64>), u64)
BODY(i64_extend16_s, Unary, (num::extend_s<i16, u64>), u64)
BODY(i64_extend32_s, Unary, (num::extend_s<i32, u64>), u64)

#define FLOAT_BODIES(t, F)                                                 \
  BODY(t##_abs, SignUnary, num::abs<F>, F)                                 \
  BODY(t##_neg, SignUnary, num::neg<F>, F)                                 \
  BODY(t##_ceil, Unary, num::ceil<F>, F)                                   \
  BODY(t##_floor, Unary, num::floor<F>, F)                                 \
  BODY(t##_trunc, Unary, num::trunc<F>, F)                                 \
  BODY(t##_nearest, Unary, num::nearest<F>, F)                             \
  BODY(t##_sqrt, Unary, num::sqrt<F>, F)                                   \
  BODY(t##_add, Binary, num::add<F>, F)                                    \
  BODY(t##_sub, Binary, num::sub<F>, F)                                    \
  BODY(t##_mul, Binary, num::mul<F>, F)                                    \
  BODY(t##_div, Binary, num::div<F>, F)                                    \
  BODY(t##_min, Binary, num::min<F>, F)                                    \
  BODY(t##_max, Binary, num::max<F>, F)                                    \
  BODY(t##_copysign, SignBinary, num::copysign<F>, F)                      \
  BODY(t##_eq, Compare, num::eq<F>, F)                                     \
  BODY(t##_ne, Compare, num::ne<F>, F)                                     \
  BODY(t##_lt, Compare, num::lt<F>, F)                                     \
  BODY(t##_le, Compare, num::le<F>, F)                                     \
  BODY(t##_mul_add, Ternary, num::mul_add<F>, F)                           \
  BODY(t##_mul_sub, Ternary, num::mul_sub<F>, F)                           \
  BODY(t##_sub_mul, Ternary, num::mul_sub_from<F>, F)                      \
  BODY(t##_add_add, Ternary, num::add_add<F>, F)                           \
  BODY(t##_mul_mul, Ternary, num::mul_mul<F>, F)                           \
  BODY(t##_sub_add, Ternary, num::sub_add<F>, F)                           \
  BODY(t##_acc_add, Accumulate, num::mul_add<F>, F)                        \
  BODY(t##_acc_sub, Accumulate, num::mul_sub_from<F>, F)                   \
  BODY(t##_mul_add_mul, Products, num::add<F>, F)                          \
  BODY(t##_mul_sub_mul, Products, num::sub<F>, F)                          \
  BODY(i32_trunc_##t##_s, Truncate, i32, F)                                \
  BODY(i32_trunc_##t##_u, Truncate, u32, F)                                \
  BODY(i64_trunc_##t##_s, Truncate, i64, F)                                \
  BODY(i64_trunc_##t##_u, Truncate, u64, F)                                \
  BODY(i32_trunc_sat_##t##_s, Unary, (num::truncate_saturated<i32, F>), F) \
  BODY(i32_trunc_sat_##t##_u, Unary, (num::truncate_saturated<u32, F>), F) \
  BODY(i64_trunc_sat_##t##_s, Unary, (num::truncate_saturated<i64, F>), F) \
  BODY(i64_trunc_sat_##t##_u, Unary, (num::truncate_saturated<u64, F>), F) \
  BODY(t##_convert_i32_s, Unary, (num::convert<i32, F>), u32)              \
  BODY(t##_convert_i32_u, Unary, (num::convert<u32, F>), u32)              \
  BODY(t##_convert_i64_s, Unary, (num::convert<i64, F>), u64)              \
  BODY(t##_convert_i64_u, Unary, (num::convert<u64, F>), u64)
FLOAT_BODIES(f32, f32)
FLOAT_BODIES(f64, f64)
BODY(f32_demote_f64, Unary, num::demote, f64)
BODY(f64_promote_f32, Unary, num::promote, f32)

}  // namespace atollvm::interp
