// What the generator of WebAssembly modules is made of: decisions, encodings, the parts of a
// module.
#pragma once

#include <string>

#include "tests/support/wasm_bytes.hpp"
#include "tests/support/wasm_numeric.hpp"

namespace atollvm::test {

// Decisions from a seed (splitmix64).
class WasmDice {
 public:
  explicit WasmDice(u64 seed) : state_(seed) {}
  u64 bits() {
    state_ += 0x9e37'79b9'7f4a'7c15;
    u64 mixed = (state_ ^ (state_ >> 30)) * 0xbf58'476d'1ce4'e5b9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d0'49bb'1331'11eb;
    return mixed ^ (mixed >> 31);
  }
  u32 below(u32 count) { return static_cast<u32>((bits() >> 32) % count); }
  u32 between(u32 least, u32 most) { return least + below(most - least + 1); }
  bool once_in(u32 count) { return below(count) == 0; }
  u8 type(bool references) {
    static constexpr u8 types[] = {wasm_i32, wasm_i64, wasm_f32,     wasm_f64,
                                   wasm_i32, wasm_i64, wasm_funcref, wasm_externref};
    return types[below(references && once_in(4) ? 8 : 5)];
  }
  // Edges and small numbers as often as any.
  u64 number(u32 width) {
    const u64 top = u64{1} << (width - 1);
    switch (below(6)) {
      case 0:
        return bits() & (top | (top - 1));
      case 1:
        return top - below(3) + 1;
      case 2:
        return (u64{0} - below(40)) & (top | (top - 1));
      case 3:
        return u64{1} << below(width);
      default:
        return below(40);
    }
  }
  u64 float32() {
    static constexpr u32 edges[] = {0,           0x8000'0000, 0x3f80'0000, 0xbf00'0000,
                                    0x7f80'0000, 0xff80'0000, 0x7fc0'0000, 0x7fa0'0001,
                                    0x4f00'0000, 0xcf00'0000, 0x5f00'0000, 1,
                                    0x4048'f5c3, 0x42c8'0000, 0xc120'0000, 0x4b80'0001};
    return once_in(4) ? bits() & 0xffff'ffff : edges[below(16)];
  }
  u64 float64() {
    static constexpr u64 edges[] = {0,
                                    u64{1} << 63,
                                    0x3ff0 * k48,
                                    0xbfe0 * k48,
                                    0x7ff0 * k48,
                                    0xfff0 * k48,
                                    0x7ff8 * k48,
                                    0x7ff4 * k48,
                                    0x41e0 * k48,
                                    0xc1e0 * k48,
                                    0x43e0 * k48,
                                    1,
                                    0x4009 * k48,
                                    0x4059 * k48,
                                    0xc024 * k48,
                                    0x36a0 * k48};
    return once_in(4) ? bits() : edges[below(16)];
  }

 private:
  static constexpr u64 k48 = u64{1} << 48;
  u64 state_;
};

inline ByteString sleb(i64 number) {
  for (ByteString bytes;;) {
    const u8 next = static_cast<u8>(number & 0x7f);
    number >>= 7;
    if ((number == 0 && (next & 0x40) == 0) || (number == -1 && (next & 0x40) != 0)) {
      bytes.push_back(next);
      return bytes;
    }
    bytes.push_back(next | 0x80);
  }
}

inline ByteString little(u64 bits, u32 count) {
  ByteString bytes;
  for (u32 i = 0; i < count; ++i) bytes.push_back(static_cast<u8>(bits >> (8 * i)));
  return bytes;
}

using WasmTypes = std::vector<u8>;

struct WasmType {
  WasmTypes params;
  WasmTypes results;
};

struct WasmGlobal {
  u8 type;
  bool is_mutable;
};

// What bodies can name: three tables (of `table_slots` functions, 5 externrefs, 3 functions), four
// element segments, two of data, a memory of one page. Global 0 counts down calls and turns; global
// 1 takes up values.
inline constexpr u8 table_slots = 16;
struct WasmEnvironment {
  std::vector<WasmType> types;
  std::vector<u32> functions;  // types of all so far, imports first
  std::vector<WasmGlobal> globals;
  u32 imported = 0;
  u32 callable = 0;  // functions that bodies call
  bool typed_selects = true;
  bool plain_calls = false;  // a call and a return in place of each tail call
};

struct WasmCode {
  ByteString locals;
  ByteString bytes;         // with the last end
  std::vector<u32> starts;  // of the instructions
};

}  // namespace atollvm::test
