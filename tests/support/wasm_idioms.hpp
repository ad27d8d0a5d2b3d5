// What compilers write, for the generator of WebAssembly bodies: shapes that a translator may join
// to fewer instructions.
#pragma once

#include "tests/support/wasm_body.hpp"

namespace atollvm::test {

// One of two operations that belong together; its operands are locals, constants or memory.
inline void WasmBody::inner(u8 type) {
  const u32 kind = dice_.below(6);
  const bool is_float = type == wasm_f32 || type == wasm_f64;
  static constexpr u8 first[] = {0xa0, 0x92, 0x7c, 0x6a};  // add of f64, f32, i64, i32
  const u8 add = first[type - wasm_f64];
  if (kind == 0) {
    get(pointer(200));
    ins({load_of(type), 0, static_cast<u8>(dice_.below(100))});
  } else if (kind <= 2 && !is_float) {
    static constexpr u8 shifts[] = {0x74, 0x76, 0x77};  // shl, shr_u, rotl
    get(any_local(type));
    number(type, dice_.below(40));
    op(shifts[dice_.below(3)] + (type == wasm_i64 ? 0x12u : 0u));
  } else {
    get(any_local(type));
    get(any_local(type));
    op(add + dice_.below(3));  // add, sub, mul
  }
}

inline void WasmBody::joined(u8 type) {
  const bool is_float = type == wasm_f32 || type == wasm_f64;
  static constexpr u8 first[] = {0xa0, 0x92, 0x7c, 0x6a};
  const u32 target = own_local(type);
  const u32 kind = dice_.below(4);
  if (kind == 0) get(dice_.once_in(2) ? target : any_local(type));
  inner(type);
  if (kind == 1) get(dice_.once_in(2) ? target : any_local(type));
  if (kind >= 2) inner(type);
  // and, or, xor too.
  static constexpr u8 logic[] = {7, 8, 9};
  op(first[type - wasm_f64] +
     (is_float || dice_.once_in(2) ? dice_.below(3) : logic[dice_.below(3)]));
  set(target);
}

// Loads and stores at a base and a scaled index, or at a pointer that steps.
inline void WasmBody::joined_access() {
  const u8 code = static_cast<u8>(dice_.between(0x28, 0x3e));
  const u8 type = type_of_access(code);
  const u32 base = pointer(100);
  const u32 index = pointer(20);
  const bool stores = code >= 0x36;
  const u32 value = any_local(type);
  const u32 form = dice_.below(6);
  if (form < 2) {
    get(base);
    get(index);
    if (form == 1) {
      i32_const(dice_.below(4));
      op(0x74);
    }
    op(0x6a);
  } else if (form == 2) {
    get(index);
    i32_const(dice_.below(4));
    op(0x74);
    i32_const(dice_.below(3000));
    op(0x6a);
  } else {
    get(base);
    i32_const(dice_.between(1, 16));
    op(0x6a);
    if (form == 3) {
      ins(ByteString{0x22} + leb(base));
    } else if (form == 4) {
      set(base);
      get(base);
    }
  }
  if (stores) {
    const bool narrow_float = type == wasm_f32 || type == wasm_f64;
    if (narrow_float) {
      constant(type);
    } else if (dice_.once_in(2)) {
      get(value);
    } else {
      constant(type);
    }
  }
  ins({code, 0, 0});
  if (!stores) set(dice_.once_in(6) && type == wasm_i32 ? base : own_local(type));
}

// memory[p] += x
inline void WasmBody::joined_sum() {
  const u8 type = dice_.once_in(2) ? wasm_i32 : wasm_i64;
  const u32 base = pointer(300);
  const u8 offset = static_cast<u8>(dice_.below(4));
  get(base);
  get(base);
  ins({load_of(type), 0, offset});
  if (dice_.once_in(2)) {
    get(any_local(type));
  } else {
    constant(type);
  }
  op(type == wasm_i32 ? 0x6a : 0x7c);
  ins({static_cast<u8>(type == wasm_i32 ? 0x36 : 0x37), 0, offset});
}

// Sums of locals and constants, one after the other; copies of them.
inline void WasmBody::joined_steps() {
  const u8 type = dice_.once_in(3) ? wasm_i64 : wasm_i32;
  for (u32 count = dice_.between(2, 4); count > 0; --count) {
    const u32 to = own_local(type);
    get(any_local(type));
    number(type, dice_.below(50));
    op(type == wasm_i32 ? 0x6a : 0x7c);
    set(to);
    if (!dice_.once_in(3)) continue;
    get(to);
    set(own_local(type));
  }
}

// Steps over memory until a comparison fails; it fails at a value put there.
inline void WasmBody::scan() {
  const u8 type = dice_.once_in(2) ? wasm_i32 : wasm_i64;
  const bool wide = type == wasm_i64;
  const u32 at = pointer(100);
  const u32 bound = reserve(type);
  const u64 limit = dice_.below(100);
  const u32 step = 8 * dice_.between(1, 2);
  const u8 compare = static_cast<u8>((wide ? 0x51 : 0x46) + dice_.below(10));
  // eq, ne, lt_s, lt_u, gt_s, gt_u, le_s, le_u, ge_s, ge_u
  static constexpr i8 beside[] = {1, 0, 0, 0, 0, 0, 1, 1, -1, -1};
  const u32 kind = compare - (wide ? 0x51u : 0x46u);
  number(type, limit + 1);
  set(bound);
  get(at);
  number(type, limit + 1 + static_cast<u64>(static_cast<i64>(beside[kind])));
  ins({static_cast<u8>(wide ? 0x37 : 0x36), 0, static_cast<u8>(step * dice_.between(1, 5))});
  ins({0x03, 0x40});
  get(at);
  i32_const(step);
  op(0x6a);
  ins(ByteString{0x22} + leb(at));
  ins({load_of(type), 0, 0});
  get(bound);
  op(compare);
  ins({0x0d, 0});
  ins({0x0b});
}

// A test of memory or of a comparison with a small number, and a branch out.
inline void WasmBody::test() {
  ins({0x02, 0x40});
  if (dice_.once_in(2)) {
    get(pointer(300));
    ins({static_cast<u8>(dice_.once_in(2) ? 0x2d : 0x28), 0, static_cast<u8>(dice_.below(3))});
  } else {
    const bool wide = dice_.once_in(3);
    get(any_local(wide ? wasm_i64 : wasm_i32));
    number(wide ? wasm_i64 : wasm_i32, dice_.below(3));
    op((wide ? 0x51u : 0x46u) + dice_.below(10));
  }
  if (dice_.once_in(3)) op(0x45);
  if (type_.results.empty() && dice_.once_in(4)) {
    ins({0x04, 0x40});
    ins({0x0f});
    ins({0x0b});
  } else if (type_.results.empty() && dice_.once_in(4)) {
    ins(ByteString{0x0d} + leb(frames_.size()));
  } else {
    ins({0x0d, 0});
  }
  joined_steps();
  ins({0x0b});
}

inline void WasmBody::idiom_step() {
  static constexpr u8 types[] = {wasm_i32, wasm_i64, wasm_f32, wasm_f64};
  const u32 kind = dice_.below(12);
  if (kind < 4) return joined(types[kind]);
  if (kind < 7) return joined_access();
  if (kind == 7) return joined_sum();
  if (kind == 8) return joined_steps();
  if (kind == 9) return scan();
  test();
}

}  // namespace atollvm::test
