// Bodies of branches. Conditional ones only say whether they are taken; the shell goes there, and
// for backward ones passes the safepoint.
#pragma once

#include "vm/interp/state.hpp"

namespace atollvm::interp {

template <auto fn, class T>
struct Branch {
  template <bool exact>
  ATOLL_INLINE static bool run(State& s, Insn w) {
    return fn(get<T>(s, field_a(w)), get<T>(s, field_b(w)));
  }
};
template <auto fn, class T>
struct BranchImm {
  template <bool exact>
  ATOLL_INLINE static bool run(State& s, Insn w) {
    return fn(get<T>(s, field_a(w)), static_cast<T>(imm_b(w)));
  }
};
// a = a + 1, a = a + b; I is the signedness of the comparison that follows.
template <class U, class I, auto goes_on = num::lt<I>>
struct CountUp {
  template <bool exact>
  ATOLL_INLINE static bool run(State& s, Insn w) {
    const U next = get<U>(s, field_a(w)) + 1;
    set_bits(s, field_a(w), next);
    return goes_on(static_cast<I>(next), get<I>(s, field_b(w)));
  }
};
template <class U, class I, auto goes_on = num::lt<I>>
struct CountBy {
  template <bool exact>
  ATOLL_INLINE static bool run(State& s, Insn w) {
    const U next = get<U>(s, field_a(w)) + get<U>(s, field_b(w));
    set_bits(s, field_a(w), next);
    return goes_on(static_cast<I>(next), get<I>(s, field_c(w)));
  }
};

// Loads a T at a + offset and compares it with zero.
template <class T, bool if_zero>
struct BranchOnMemory {
  template <bool exact>
  ATOLL_INLINE static Taken run(State& s, Insn w) {
    const u64 address = u64{get<u32>(s, field_a(w))} + field_b(w);
    if (address + sizeof(T) > s.memory_size) [[unlikely]]
      return Taken::trap;
    T value;
    std::memcpy(&value, s.memory + address, sizeof(T));
    return (value == 0) == if_zero ? Taken::yes : Taken::no;
  }
};

// Steps the address, loads a T there, and compares it with a register.
template <auto fn, class T>
struct Scan {
  template <bool exact>
  ATOLL_INLINE static Taken run(State& s, Insn w) {
    const u16 base = field_a(w);
    const T bound = get<T>(s, field_e1(w));
    const u32 address = get<u32>(s, base) + static_cast<u32>(static_cast<i16>(field_e0(w)));
    if (u64{address} + sizeof(T) > s.memory_size) [[unlikely]]
      return Taken::trap;
    T value;
    std::memcpy(&value, s.memory + address, sizeof(T));
    s.fp[base] = address;
    set_bits(s, field_b(w), value);
    return fn(value, bound) ? Taken::yes : Taken::no;
  }
};

template <>
struct Body<Op::br> {
  template <bool exact>
  ATOLL_INLINE static Flow run(State& s, Insn w) {
    s.pc += field_bc(w);
    return Flow::on();
  }
};
template <>
struct Body<Op::back> {
  template <bool exact>
  ATOLL_INLINE static bool run(State&, Insn) {
    return true;
  }
};
template <>
struct Body<Op::br_table> {
  template <bool exact>
  ATOLL_INLINE static Flow run(State& s, Insn w) {
    const u32 last = field_bc(w) - 1;
    const u32 index = get<u32>(s, field_a(w));
    s.pc += isa::table_target(s.pc, index < last ? index : last);
    return Flow::on();
  }
};

#define BRANCH(op, kind, ...) \
  template <>                 \
  struct Body<Op::op> : kind<__VA_ARGS__> {};
#define INTEGER_BRANCHES(t, U, I)              \
  BRANCH(t##_eq, Branch, num::eq<U>, U)        \
  BRANCH(t##_ne, Branch, num::ne<U>, U)        \
  BRANCH(t##_lt_s, Branch, num::lt<I>, I)      \
  BRANCH(t##_lt_u, Branch, num::lt<U>, U)      \
  BRANCH(t##_le_s, Branch, num::le<I>, I)      \
  BRANCH(t##_le_u, Branch, num::le<U>, U)      \
  BRANCH(t##_eq_i, BranchImm, num::eq<U>, U)   \
  BRANCH(t##_ne_i, BranchImm, num::ne<U>, U)   \
  BRANCH(t##_lt_s_i, BranchImm, num::lt<I>, I) \
  BRANCH(t##_lt_u_i, BranchImm, num::lt<U>, U) \
  BRANCH(t##_gt_s_i, BranchImm, num::gt<I>, I) \
  BRANCH(t##_gt_u_i, BranchImm, num::gt<U>, U) \
  BRANCH(t##_le_s_i, BranchImm, num::le<I>, I) \
  BRANCH(t##_le_u_i, BranchImm, num::le<U>, U) \
  BRANCH(t##_ge_s_i, BranchImm, num::ge<I>, I) \
  BRANCH(t##_ge_u_i, BranchImm, num::ge<U>, U)
#define FLOAT_BRANCHES(t, F)                 \
  BRANCH(t##_eq, Branch, num::eq<F>, F)      \
  BRANCH(t##_ne, Branch, num::ne<F>, F)      \
  BRANCH(t##_lt, Branch, num::lt<F>, F)      \
  BRANCH(t##_le, Branch, num::le<F>, F)      \
  BRANCH(t##_nlt, Branch, num::not_lt<F>, F) \
  BRANCH(t##_nle, Branch, num::not_le<F>, F)
INTEGER_BRANCHES(br_i32, u32, i32)
INTEGER_BRANCHES(br_i64, u64, i64)
FLOAT_BRANCHES(br_f32, f32)
FLOAT_BRANCHES(br_f64, f64)
INTEGER_BRANCHES(back_i32, u32, i32)
INTEGER_BRANCHES(back_i64, u64, i64)
FLOAT_BRANCHES(back_f32, f32)
FLOAT_BRANCHES(back_f64, f64)
BRANCH(back_i32_inc_lt_s, CountUp, u32, i32)
BRANCH(back_i32_inc_lt_u, CountUp, u32, u32)
BRANCH(back_i64_inc_lt_s, CountUp, u64, i64)
BRANCH(back_i64_inc_lt_u, CountUp, u64, u64)
BRANCH(back_i32_add_lt_s, CountBy, u32, i32)
BRANCH(back_i32_add_lt_u, CountBy, u32, u32)
BRANCH(back_i64_add_lt_s, CountBy, u64, i64)
BRANCH(back_i64_add_lt_u, CountBy, u64, u64)
BRANCH(back_i32_inc_ne, CountUp, u32, u32, num::ne<u32>)
BRANCH(back_i64_inc_ne, CountUp, u64, u64, num::ne<u64>)
BRANCH(back_i32_add_ne, CountBy, u32, u32, num::ne<u32>)
BRANCH(back_i64_add_ne, CountBy, u64, u64, num::ne<u64>)

#define MEMORY_BRANCHES(t)                        \
  BRANCH(t##_load8_z, BranchOnMemory, u8, true)   \
  BRANCH(t##_load8_nz, BranchOnMemory, u8, false) \
  BRANCH(t##_load32_z, BranchOnMemory, u32, true) \
  BRANCH(t##_load32_nz, BranchOnMemory, u32, false)
MEMORY_BRANCHES(br)
MEMORY_BRANCHES(back)

#define SCANS(t, U, I)                  \
  BRANCH(t##_eq, Scan, num::eq<U>, U)   \
  BRANCH(t##_ne, Scan, num::ne<U>, U)   \
  BRANCH(t##_lt_s, Scan, num::lt<I>, I) \
  BRANCH(t##_lt_u, Scan, num::lt<U>, U) \
  BRANCH(t##_gt_s, Scan, num::gt<I>, I) \
  BRANCH(t##_gt_u, Scan, num::gt<U>, U) \
  BRANCH(t##_le_s, Scan, num::le<I>, I) \
  BRANCH(t##_le_u, Scan, num::le<U>, U) \
  BRANCH(t##_ge_s, Scan, num::ge<I>, I) \
  BRANCH(t##_ge_u, Scan, num::ge<U>, U)
SCANS(back_i32_load_step, u32, i32)
SCANS(back_i64_load_step, u64, i64)

}  // namespace atollvm::interp
