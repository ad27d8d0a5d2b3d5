// The types of WebAssembly's numeric instructions, for generators: written down a second time, so
// that a mistake in the translator's own table shows.
#pragma once

#include <vector>

#include "vm/base/types.hpp"

namespace atollvm::test {

inline constexpr u8 wasm_i32 = 0x7f;
inline constexpr u8 wasm_i64 = 0x7e;
inline constexpr u8 wasm_f32 = 0x7d;
inline constexpr u8 wasm_f64 = 0x7c;
inline constexpr u8 wasm_funcref = 0x70;
inline constexpr u8 wasm_externref = 0x6f;

struct WasmNumeric {
  u16 code;  // 0xfc00 + n: prefixed
  u8 out;
  u8 left;
  u8 right;  // 0: one operand
};

// Sections 5.4.6 and 4.3 of the core specification.
inline const std::vector<WasmNumeric>& wasm_numerics() {
  static const std::vector<WasmNumeric> all = [] {
    constexpr u8 I = wasm_i32, L = wasm_i64, F = wasm_f32, D = wasm_f64;
    std::vector<WasmNumeric> rows;
    const auto add = [&](u32 first, u32 last, u8 out, u8 left, u8 right) {
      for (u32 code = first; code <= last; ++code) {
        rows.push_back({static_cast<u16>(code), out, left, right});
      }
    };
    add(0x45, 0x45, I, I, 0);
    add(0x46, 0x4f, I, I, I);
    add(0x50, 0x50, I, L, 0);
    add(0x51, 0x5a, I, L, L);
    add(0x5b, 0x60, I, F, F);
    add(0x61, 0x66, I, D, D);
    add(0x67, 0x69, I, I, 0);
    add(0x6a, 0x78, I, I, I);
    add(0x79, 0x7b, L, L, 0);
    add(0x7c, 0x8a, L, L, L);
    add(0x8b, 0x91, F, F, 0);
    add(0x92, 0x98, F, F, F);
    add(0x99, 0x9f, D, D, 0);
    add(0xa0, 0xa6, D, D, D);
    add(0xa7, 0xa7, I, L, 0);
    add(0xa8, 0xa9, I, F, 0);
    add(0xaa, 0xab, I, D, 0);
    add(0xac, 0xad, L, I, 0);
    add(0xae, 0xaf, L, F, 0);
    add(0xb0, 0xb1, L, D, 0);
    add(0xb2, 0xb3, F, I, 0);
    add(0xb4, 0xb5, F, L, 0);
    add(0xb6, 0xb6, F, D, 0);
    add(0xb7, 0xb8, D, I, 0);
    add(0xb9, 0xba, D, L, 0);
    add(0xbb, 0xbb, D, F, 0);
    add(0xbc, 0xbc, I, F, 0);
    add(0xbd, 0xbd, L, D, 0);
    add(0xbe, 0xbe, F, I, 0);
    add(0xbf, 0xbf, D, L, 0);
    add(0xc0, 0xc1, I, I, 0);
    add(0xc2, 0xc4, L, L, 0);
    add(0xfc00, 0xfc01, I, F, 0);
    add(0xfc02, 0xfc03, I, D, 0);
    add(0xfc04, 0xfc05, L, F, 0);
    add(0xfc06, 0xfc07, L, D, 0);
    return rows;
  }();
  return all;
}

}  // namespace atollvm::test
