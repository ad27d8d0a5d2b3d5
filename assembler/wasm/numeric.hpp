// WebAssembly's numeric instructions (opcodes 0x45 to 0xc4) and the operations for them.
#pragma once

#include <array>

#include "vm/module/module.hpp"

namespace atollvm::wasm {

using isa::Op;
using mod::ValType;

struct Numeric {
  Op op = Op::nop;
  Op imm = Op::nop;       // with the right operand as an immediate; nop: there is none
  Op imm_left = Op::nop;  // with the left operand as an immediate
  ValType in = ValType::i32;
  ValType out = ValType::i32;
  u8 operands = 0;      // 1 or 2; 0: no such instruction
  bool swap = false;    // the operation takes the operands in the other order
  bool retype = false;  // the same bits in the same slot, of another type
};

inline constexpr u8 first_numeric = 0x45;
inline constexpr u8 last_numeric = 0xc4;

namespace detail {

constexpr std::array<Numeric, last_numeric - first_numeric + 1> make_numeric() {
  std::array<Numeric, last_numeric - first_numeric + 1> table{};
  using enum ValType;
  const auto at = [&](u32 code) -> Numeric& { return table[code - first_numeric]; };
  const auto unary = [&](u32 code, Op op, ValType in, ValType out) {
    at(code) = {op, Op::nop, Op::nop, in, out, 1, false, false};
  };
  const auto binary = [&](u32 code, Op op, ValType type, Op imm = Op::nop, Op left = Op::nop) {
    at(code) = {op, imm, left, type, type, 2, false, false};
  };
  const auto compare = [&](u32 code, Op op, ValType type, bool swap = false, Op imm = Op::nop,
                           Op left = Op::nop) {
    at(code) = {op, imm, left, type, i32, 2, swap, false};
  };
  const auto retype = [&](u32 code, ValType in, ValType out) {
    at(code) = {Op::nop, Op::nop, Op::nop, in, out, 1, false, true};
  };
  unary(0x45, Op::i32_eqz, i32, i32);
  unary(0x50, Op::i64_eqz, i64, i32);
#define COMPARES(base, t)                                                    \
  compare(base + 0, Op::t##_eq, t, false, Op::t##_eq_i, Op::t##_eq_i);       \
  compare(base + 1, Op::t##_ne, t, false, Op::t##_ne_i, Op::t##_ne_i);       \
  compare(base + 2, Op::t##_lt_s, t, false, Op::t##_lt_s_i, Op::t##_gt_s_i); \
  compare(base + 3, Op::t##_lt_u, t, false, Op::t##_lt_u_i, Op::t##_gt_u_i); \
  compare(base + 4, Op::t##_lt_s, t, true, Op::t##_gt_s_i, Op::t##_lt_s_i);  \
  compare(base + 5, Op::t##_lt_u, t, true, Op::t##_gt_u_i, Op::t##_lt_u_i);  \
  compare(base + 6, Op::t##_le_s, t, false, Op::t##_le_s_i, Op::t##_ge_s_i); \
  compare(base + 7, Op::t##_le_u, t, false, Op::t##_le_u_i, Op::t##_ge_u_i); \
  compare(base + 8, Op::t##_le_s, t, true, Op::t##_ge_s_i, Op::t##_le_s_i);  \
  compare(base + 9, Op::t##_le_u, t, true, Op::t##_ge_u_i, Op::t##_le_u_i);
  COMPARES(0x46, i32)
  COMPARES(0x51, i64)
#undef COMPARES
#define COMPARES(base, t)                 \
  compare(base + 0, Op::t##_eq, t);       \
  compare(base + 1, Op::t##_ne, t);       \
  compare(base + 2, Op::t##_lt, t);       \
  compare(base + 3, Op::t##_lt, t, true); \
  compare(base + 4, Op::t##_le, t);       \
  compare(base + 5, Op::t##_le, t, true);
  COMPARES(0x5b, f32)
  COMPARES(0x61, f64)
#undef COMPARES
#define INTEGERS(base, t)                                             \
  unary(base + 0, Op::t##_clz, t, t);                                 \
  unary(base + 1, Op::t##_ctz, t, t);                                 \
  unary(base + 2, Op::t##_popcnt, t, t);                              \
  binary(base + 3, Op::t##_add, t, Op::t##_add_i, Op::t##_add_i);     \
  binary(base + 4, Op::t##_sub, t); /* its immediate form is add's */ \
  binary(base + 5, Op::t##_mul, t, Op::t##_mul_i, Op::t##_mul_i);     \
  binary(base + 6, Op::t##_div_s, t);                                 \
  binary(base + 7, Op::t##_div_u, t);                                 \
  binary(base + 8, Op::t##_rem_s, t);                                 \
  binary(base + 9, Op::t##_rem_u, t);                                 \
  binary(base + 10, Op::t##_and, t, Op::t##_and_i, Op::t##_and_i);    \
  binary(base + 11, Op::t##_or, t, Op::t##_or_i, Op::t##_or_i);       \
  binary(base + 12, Op::t##_xor, t, Op::t##_xor_i, Op::t##_xor_i);    \
  binary(base + 13, Op::t##_shl, t, Op::t##_shl_i);                   \
  binary(base + 14, Op::t##_shr_s, t, Op::t##_shr_s_i);               \
  binary(base + 15, Op::t##_shr_u, t, Op::t##_shr_u_i);               \
  binary(base + 16, Op::t##_rotl, t, Op::t##_rotl_i);                 \
  binary(base + 17, Op::t##_rotr, t);
  INTEGERS(0x67, i32)
  INTEGERS(0x79, i64)
#undef INTEGERS
#define FLOATS(base, t)                   \
  unary(base + 0, Op::t##_abs, t, t);     \
  unary(base + 1, Op::t##_neg, t, t);     \
  unary(base + 2, Op::t##_ceil, t, t);    \
  unary(base + 3, Op::t##_floor, t, t);   \
  unary(base + 4, Op::t##_trunc, t, t);   \
  unary(base + 5, Op::t##_nearest, t, t); \
  unary(base + 6, Op::t##_sqrt, t, t);    \
  binary(base + 7, Op::t##_add, t);       \
  binary(base + 8, Op::t##_sub, t);       \
  binary(base + 9, Op::t##_mul, t);       \
  binary(base + 10, Op::t##_div, t);      \
  binary(base + 11, Op::t##_min, t);      \
  binary(base + 12, Op::t##_max, t);      \
  binary(base + 13, Op::t##_copysign, t);
  FLOATS(0x8b, f32)
  FLOATS(0x99, f64)
#undef FLOATS
  // An i32 is read from the low half of its slot, whatever the high half holds.
  retype(0xa7, i64, i32);
  unary(0xa8, Op::i32_trunc_f32_s, f32, i32);
  unary(0xa9, Op::i32_trunc_f32_u, f32, i32);
  unary(0xaa, Op::i32_trunc_f64_s, f64, i32);
  unary(0xab, Op::i32_trunc_f64_u, f64, i32);
  unary(0xac, Op::i64_extend_i32_s, i32, i64);
  unary(0xad, Op::i64_extend_i32_u, i32, i64);
  unary(0xae, Op::i64_trunc_f32_s, f32, i64);
  unary(0xaf, Op::i64_trunc_f32_u, f32, i64);
  unary(0xb0, Op::i64_trunc_f64_s, f64, i64);
  unary(0xb1, Op::i64_trunc_f64_u, f64, i64);
  unary(0xb2, Op::f32_convert_i32_s, i32, f32);
  unary(0xb3, Op::f32_convert_i32_u, i32, f32);
  unary(0xb4, Op::f32_convert_i64_s, i64, f32);
  unary(0xb5, Op::f32_convert_i64_u, i64, f32);
  unary(0xb6, Op::f32_demote_f64, f64, f32);
  unary(0xb7, Op::f64_convert_i32_s, i32, f64);
  unary(0xb8, Op::f64_convert_i32_u, i32, f64);
  unary(0xb9, Op::f64_convert_i64_s, i64, f64);
  unary(0xba, Op::f64_convert_i64_u, i64, f64);
  unary(0xbb, Op::f64_promote_f32, f32, f64);
  retype(0xbc, f32, i32);
  retype(0xbd, f64, i64);
  retype(0xbe, i32, f32);
  retype(0xbf, i64, f64);
  unary(0xc0, Op::i32_extend8_s, i32, i32);
  unary(0xc1, Op::i32_extend16_s, i32, i32);
  unary(0xc2, Op::i64_extend8_s, i64, i64);
  unary(0xc3, Op::i64_extend16_s, i64, i64);
  unary(0xc4, Op::i64_extend32_s, i64, i64);
  return table;
}

}  // namespace detail

inline constexpr auto numeric_table = detail::make_numeric();

// Saturating truncations, 0xfc 0 to 7.
struct Truncation {
  Op op;
  ValType in;
  ValType out;
};
inline constexpr Truncation saturating[8] = {
    {Op::i32_trunc_sat_f32_s, ValType::f32, ValType::i32},
    {Op::i32_trunc_sat_f32_u, ValType::f32, ValType::i32},
    {Op::i32_trunc_sat_f64_s, ValType::f64, ValType::i32},
    {Op::i32_trunc_sat_f64_u, ValType::f64, ValType::i32},
    {Op::i64_trunc_sat_f32_s, ValType::f32, ValType::i64},
    {Op::i64_trunc_sat_f32_u, ValType::f32, ValType::i64},
    {Op::i64_trunc_sat_f64_s, ValType::f64, ValType::i64},
    {Op::i64_trunc_sat_f64_u, ValType::f64, ValType::i64},
};

// Loads (0x28 to 0x35) and stores (0x36 to 0x3e).
struct Access {
  Op op;            // 16-bit offset
  Op long_op;       // any offset
  Op indexed;       // base and scaled index
  Op stepped;       // base register plus an immediate, which goes back into the register
  Op wrapped;       // base plus an immediate, modulo 2^32
  Op byte_indexed;  // base and index in bytes; nop: there is none, or `indexed` is it
  ValType type;
  u8 log2;              // of the width in bytes: the largest alignment, and the index's scale
  Op sum = Op::nop;     // of a full-width store: the sum with an operand in memory,
  Op summed = Op::nop;  // and the sum into memory
  // `indexed` and `byte_indexed` plus an immediate, modulo 2^32; nop: there is none.
  Op indexed_sum = Op::nop;
  Op byte_indexed_sum = Op::nop;
};
inline constexpr u8 first_load = 0x28;
inline constexpr u8 first_store = 0x36;
inline constexpr u8 last_store = 0x3e;
#define ACCESS(id, t, log2)                                       \
  {Op::id,  Op::id##_long, Op::id##_x, Op::id##_step, Op::id##_w, \
   Op::nop, ValType::t,    log2,       Op::nop,       Op::nop}
#define STORE_ACCESS(t, type, log2)                                            \
  {Op::t##_store,    Op::t##_store_long, Op::t##_store_x,  Op::t##_store_step, \
   Op::t##_store_w,  Op::t##_store_xb,   ValType::type,    log2,               \
   Op::t##_add_load, Op::t##_add_store,  Op::t##_store_xw, Op::t##_store_xbw}
#define FULL_ACCESS(id, t, log2)                                                   \
  {Op::id,     Op::id##_long, Op::id##_x, Op::id##_step, Op::id##_w,  Op::id##_xb, \
   ValType::t, log2,          Op::nop,    Op::nop,       Op::id##_xw, Op::id##_xbw}
#define BYTE_ACCESS(id)                                                                 \
  {Op::id, Op::id##_long, Op::id##_x, Op::id##_step, Op::id##_w, Op::nop, ValType::i32, \
   0,      Op::nop,       Op::nop,    Op::id##_xw,   Op::nop}
inline constexpr Access accesses[last_store - first_load + 1] = {
    FULL_ACCESS(i32_load, i32, 2), FULL_ACCESS(i64_load, i64, 3), FULL_ACCESS(f32_load, f32, 2),
    FULL_ACCESS(f64_load, f64, 3), ACCESS(i32_load8_s, i32, 0),   BYTE_ACCESS(i32_load8_u),
    ACCESS(i32_load16_s, i32, 1),  ACCESS(i32_load16_u, i32, 1),  ACCESS(i64_load8_s, i64, 0),
    ACCESS(i64_load8_u, i64, 0),   ACCESS(i64_load16_s, i64, 1),  ACCESS(i64_load16_u, i64, 1),
    ACCESS(i64_load32_s, i64, 2),  ACCESS(i64_load32_u, i64, 2),  STORE_ACCESS(i32, i32, 2),
    STORE_ACCESS(i64, i64, 3),     STORE_ACCESS(f32, f32, 2),     STORE_ACCESS(f64, f64, 3),
    BYTE_ACCESS(i32_store8),       ACCESS(i32_store16, i32, 1),   ACCESS(i64_store8, i64, 0),
    ACCESS(i64_store16, i64, 1),   ACCESS(i64_store32, i64, 2),
};
#undef ACCESS
#undef FULL_ACCESS
#undef BYTE_ACCESS
#undef STORE_ACCESS

namespace detail {
constexpr std::array<Op, isa::op_count> make_branches() {
  std::array<Op, isa::op_count> branches{};
  for (Op& branch : branches) branch = Op::nop;
  // clang-format off
#define FOR(name) branches[static_cast<u16>(Op::name)] = Op::br_##name;
  FOR(i32_eq)
  FOR(i32_ne)
  FOR(i32_lt_s)
  FOR(i32_lt_u) FOR(i32_le_s) FOR(i32_le_u) FOR(i32_eq_i) FOR(i32_ne_i) FOR(i32_lt_s_i)
      FOR(i32_lt_u_i) FOR(i32_gt_s_i) FOR(i32_gt_u_i) FOR(i32_le_s_i) FOR(i32_le_u_i)
          FOR(i32_ge_s_i) FOR(i32_ge_u_i) FOR(i64_eq) FOR(i64_ne) FOR(i64_lt_s) FOR(i64_lt_u)
              FOR(i64_le_s) FOR(i64_le_u) FOR(i64_eq_i) FOR(i64_ne_i) FOR(i64_lt_s_i)
                  FOR(i64_lt_u_i) FOR(i64_gt_s_i) FOR(i64_gt_u_i) FOR(i64_le_s_i) FOR(i64_le_u_i)
                      FOR(i64_ge_s_i) FOR(i64_ge_u_i) FOR(f32_eq) FOR(f32_ne) FOR(f32_lt)
                          FOR(f32_le) FOR(f64_eq) FOR(f64_ne) FOR(f64_lt) FOR(f64_le)
#undef FOR
      // clang-format on
      return branches;
}
inline constexpr auto branch_table = make_branches();
}  // namespace detail

// The branch that is taken where the comparison gives 1, or nop.
inline Op branch_of(Op compare) { return detail::branch_table[static_cast<u16>(compare)]; }

}  // namespace atollvm::wasm
