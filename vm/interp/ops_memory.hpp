// Bodies of loads and stores.
#pragma once

#include "vm/interp/state.hpp"

namespace atollvm::interp {

// Addressing: where an access goes, before the bounds check. No sum can overflow 64 bits: register
// and offset are below 2^32 each (the verifier bounds long offsets).
struct Access {
  u8* memory;
  u64 size;
  u64 address;
};
template <class T>
struct ShortLoad {
  ATOLL_INLINE static Access at(const State& s, Insn w) {
    return {s.memory, s.memory_size, u64{get<u32>(s, field_b(w))} + field_c(w)};
  }
};
template <class T>
struct ShortStore {
  ATOLL_INLINE static Access at(const State& s, Insn w) {
    return {s.memory, s.memory_size, u64{get<u32>(s, field_a(w))} + field_c(w)};
  }
  static u16 value(Insn w) { return field_b(w); }
};
ATOLL_INLINE Access long_access(const State& s, Insn w, u16 base) {
  const runtime::Memory& memory = *s.worker->instance->memories[field_c(w)];
  return {memory.base(), memory.size(), u64{get<u32>(s, base)} + s.pc[1]};
}
template <class T>
struct LongLoad {
  ATOLL_INLINE static Access at(const State& s, Insn w) { return long_access(s, w, field_b(w)); }
};
template <class T>
struct LongStore {
  ATOLL_INLINE static Access at(const State& s, Insn w) { return long_access(s, w, field_a(w)); }
  static u16 value(Insn w) { return field_b(w); }
};
template <class T>
ATOLL_INLINE u32 scaled(u32 base, u32 index) {
  return base + index * static_cast<u32>(sizeof(T));
}
template <class T>
struct IndexedLoad {
  ATOLL_INLINE static Access at(const State& s, Insn w) {
    return {s.memory, s.memory_size, scaled<T>(get<u32>(s, field_b(w)), get<u32>(s, field_c(w)))};
  }
};
template <class T>
struct IndexedStore {
  ATOLL_INLINE static Access at(const State& s, Insn w) {
    return {s.memory, s.memory_size, scaled<T>(get<u32>(s, field_a(w)), get<u32>(s, field_b(w)))};
  }
  static u16 value(Insn w) { return field_c(w); }
};

// An unscaled index.
template <class T>
struct ByteIndexedLoad {
  ATOLL_INLINE static Access at(const State& s, Insn w) {
    return {s.memory, s.memory_size, get<u32>(s, field_b(w)) + get<u32>(s, field_c(w))};
  }
};
template <class T>
struct ByteIndexedStore {
  ATOLL_INLINE static Access at(const State& s, Insn w) {
    return {s.memory, s.memory_size, get<u32>(s, field_a(w)) + get<u32>(s, field_b(w))};
  }
  static u16 value(Insn w) { return field_c(w); }
};
// The same, and scaled, with an immediate too.
ATOLL_INLINE Access with_immediate(const State& s, Insn w, u32 sum) {
  return {s.memory, s.memory_size, sum + static_cast<u32>(imm_e0(w))};
}
template <class T>
struct IndexedSumLoad {
  ATOLL_INLINE static Access at(const State& s, Insn w) {
    return with_immediate(s, w, scaled<T>(get<u32>(s, field_b(w)), get<u32>(s, field_c(w))));
  }
};
template <class T>
struct IndexedSumStore {
  ATOLL_INLINE static Access at(const State& s, Insn w) {
    return with_immediate(s, w, scaled<T>(get<u32>(s, field_a(w)), get<u32>(s, field_b(w))));
  }
  static u16 value(Insn w) { return field_c(w); }
};
template <class T>
struct ByteIndexedSumLoad {
  ATOLL_INLINE static Access at(const State& s, Insn w) {
    return with_immediate(s, w, get<u32>(s, field_b(w)) + get<u32>(s, field_c(w)));
  }
};
template <class T>
struct ByteIndexedSumStore {
  ATOLL_INLINE static Access at(const State& s, Insn w) {
    return with_immediate(s, w, get<u32>(s, field_a(w)) + get<u32>(s, field_b(w)));
  }
  static u16 value(Insn w) { return field_c(w); }
};
// A sum with an immediate, which wraps.
template <class T>
struct WrappedLoad {
  ATOLL_INLINE static Access at(const State& s, Insn w) {
    return {s.memory, s.memory_size, get<u32>(s, field_b(w)) + static_cast<u32>(imm_c(w))};
  }
};
template <class T>
struct WrappedStore {
  ATOLL_INLINE static Access at(const State& s, Insn w) {
    return {s.memory, s.memory_size, get<u32>(s, field_a(w)) + static_cast<u32>(imm_c(w))};
  }
  static u16 value(Insn w) { return field_b(w); }
};

// The address register steps first; on a trap it keeps its value.
template <class T>
struct SteppedLoad {
  ATOLL_INLINE static Access at(const State& s, Insn w) {
    return {s.memory, s.memory_size, get<u32>(s, field_b(w)) + static_cast<u32>(imm_c(w))};
  }
  ATOLL_INLINE static void done(State& s, Insn w, const Access& access) {
    s.fp[field_b(w)] = access.address;
  }
};
template <class T>
struct SteppedStore {
  ATOLL_INLINE static Access at(const State& s, Insn w) {
    return {s.memory, s.memory_size, get<u32>(s, field_a(w)) + static_cast<u32>(imm_c(w))};
  }
  ATOLL_INLINE static void done(State& s, Insn w, const Access& access) {
    s.fp[field_a(w)] = access.address;
  }
  static u16 value(Insn w) { return field_b(w); }
};

// Loads a T and extends it to R (with T's signedness), stores R zero-extended to the slot.
template <template <class> class Addressing, class T, class R>
struct Load {
  template <bool exact>
  ATOLL_INLINE static Check run(State& s, Insn w) {
    const Access access = Addressing<T>::at(s, w);
    if (access.address + sizeof(T) > access.size) [[unlikely]]
      return Trap::memory_bounds;
    T value;
    std::memcpy(&value, access.memory + access.address, sizeof(T));
    if constexpr (requires { Addressing<T>::done(s, w, access); })
      Addressing<T>::done(s, w, access);
    s.fp[field_a(w)] = static_cast<R>(value);
    return {};
  }
};
template <template <class> class Addressing, class T>
struct Store {
  template <bool exact>
  ATOLL_INLINE static Check run(State& s, Insn w) {
    const Access access = Addressing<T>::at(s, w);
    if (access.address + sizeof(T) > access.size) [[unlikely]]
      return Trap::memory_bounds;
    const T value = static_cast<T>(s.fp[Addressing<T>::value(w)]);
    std::memcpy(access.memory + access.address, &value, sizeof(T));
    if constexpr (requires { Addressing<T>::done(s, w, access); })
      Addressing<T>::done(s, w, access);
    return {};
  }
};

// d = fn(a, the T at b + offset).
template <auto fn, class T>
struct LoadOperand {
  template <bool exact>
  ATOLL_INLINE static Check run(State& s, Insn w) {
    const u64 address = u64{get<u32>(s, field_c(w))} + s.pc[1];
    if (address + sizeof(T) > s.memory_size) [[unlikely]]
      return Trap::memory_bounds;
    T value;
    std::memcpy(&value, s.memory + address, sizeof(T));
    set<exact>(s, field_a(w), fn(get<T>(s, field_b(w)), value));
    return {};
  }
};

// The T at a + offset = it + b.
template <class T>
struct AddToMemory {
  template <bool exact>
  ATOLL_INLINE static Check run(State& s, Insn w) {
    const u64 address = u64{get<u32>(s, field_a(w))} + s.pc[1];
    if (address + sizeof(T) > s.memory_size) [[unlikely]]
      return Trap::memory_bounds;
    T value;
    std::memcpy(&value, s.memory + address, sizeof(T));
    num::Bits<T> sum = std::bit_cast<num::Bits<T>>(num::add<T>(get<T>(s, field_b(w)), value));
    if constexpr (exact && std::is_floating_point_v<T>) {
      if (const T number = std::bit_cast<T>(sum); number != number) sum = num::canonical_nan<T>;
    }
    std::memcpy(s.memory + address, &sum, sizeof(T));
    return {};
  }
};

#define MEMORY_BODY(op, ...) \
  template <>                \
  struct Body<Op::op> : __VA_ARGS__ {};
#define LOAD_BODIES(suffix, addressing)                         \
  MEMORY_BODY(i32_load##suffix, Load<addressing, u32, u32>)     \
  MEMORY_BODY(i64_load##suffix, Load<addressing, u64, u64>)     \
  MEMORY_BODY(f32_load##suffix, Load<addressing, u32, u32>)     \
  MEMORY_BODY(f64_load##suffix, Load<addressing, u64, u64>)     \
  MEMORY_BODY(i32_load8_s##suffix, Load<addressing, i8, u32>)   \
  MEMORY_BODY(i32_load8_u##suffix, Load<addressing, u8, u32>)   \
  MEMORY_BODY(i32_load16_s##suffix, Load<addressing, i16, u32>) \
  MEMORY_BODY(i32_load16_u##suffix, Load<addressing, u16, u32>) \
  MEMORY_BODY(i64_load8_s##suffix, Load<addressing, i8, u64>)   \
  MEMORY_BODY(i64_load8_u##suffix, Load<addressing, u8, u64>)   \
  MEMORY_BODY(i64_load16_s##suffix, Load<addressing, i16, u64>) \
  MEMORY_BODY(i64_load16_u##suffix, Load<addressing, u16, u64>) \
  MEMORY_BODY(i64_load32_s##suffix, Load<addressing, i32, u64>) \
  MEMORY_BODY(i64_load32_u##suffix, Load<addressing, u32, u64>)
#define STORE_BODIES(suffix, addressing)                   \
  MEMORY_BODY(i32_store##suffix, Store<addressing, u32>)   \
  MEMORY_BODY(i64_store##suffix, Store<addressing, u64>)   \
  MEMORY_BODY(f32_store##suffix, Store<addressing, u32>)   \
  MEMORY_BODY(f64_store##suffix, Store<addressing, u64>)   \
  MEMORY_BODY(i32_store8##suffix, Store<addressing, u8>)   \
  MEMORY_BODY(i32_store16##suffix, Store<addressing, u16>) \
  MEMORY_BODY(i64_store8##suffix, Store<addressing, u8>)   \
  MEMORY_BODY(i64_store16##suffix, Store<addressing, u16>) \
  MEMORY_BODY(i64_store32##suffix, Store<addressing, u32>)
LOAD_BODIES(, ShortLoad)
LOAD_BODIES(_long, LongLoad)
LOAD_BODIES(_x, IndexedLoad)
LOAD_BODIES(_step, SteppedLoad)
STORE_BODIES(, ShortStore)
STORE_BODIES(_long, LongStore)
STORE_BODIES(_x, IndexedStore)
STORE_BODIES(_step, SteppedStore)
LOAD_BODIES(_w, WrappedLoad)
STORE_BODIES(_w, WrappedStore)
MEMORY_BODY(i32_load_xb, Load<ByteIndexedLoad, u32, u32>)
MEMORY_BODY(i64_load_xb, Load<ByteIndexedLoad, u64, u64>)
MEMORY_BODY(f32_load_xb, Load<ByteIndexedLoad, u32, u32>)
MEMORY_BODY(f64_load_xb, Load<ByteIndexedLoad, u64, u64>)
MEMORY_BODY(i32_store_xb, Store<ByteIndexedStore, u32>)
MEMORY_BODY(i64_store_xb, Store<ByteIndexedStore, u64>)
MEMORY_BODY(f32_store_xb, Store<ByteIndexedStore, u32>)
MEMORY_BODY(f64_store_xb, Store<ByteIndexedStore, u64>)
MEMORY_BODY(i32_load_xw, Load<IndexedSumLoad, u32, u32>)
MEMORY_BODY(i64_load_xw, Load<IndexedSumLoad, u64, u64>)
MEMORY_BODY(f32_load_xw, Load<IndexedSumLoad, u32, u32>)
MEMORY_BODY(f64_load_xw, Load<IndexedSumLoad, u64, u64>)
MEMORY_BODY(i32_load8_u_xw, Load<IndexedSumLoad, u8, u32>)
MEMORY_BODY(i32_store_xw, Store<IndexedSumStore, u32>)
MEMORY_BODY(i64_store_xw, Store<IndexedSumStore, u64>)
MEMORY_BODY(f32_store_xw, Store<IndexedSumStore, u32>)
MEMORY_BODY(f64_store_xw, Store<IndexedSumStore, u64>)
MEMORY_BODY(i32_store8_xw, Store<IndexedSumStore, u8>)
MEMORY_BODY(i32_load_xbw, Load<ByteIndexedSumLoad, u32, u32>)
MEMORY_BODY(i64_load_xbw, Load<ByteIndexedSumLoad, u64, u64>)
MEMORY_BODY(f32_load_xbw, Load<ByteIndexedSumLoad, u32, u32>)
MEMORY_BODY(f64_load_xbw, Load<ByteIndexedSumLoad, u64, u64>)
MEMORY_BODY(i32_store_xbw, Store<ByteIndexedSumStore, u32>)
MEMORY_BODY(i64_store_xbw, Store<ByteIndexedSumStore, u64>)
MEMORY_BODY(f32_store_xbw, Store<ByteIndexedSumStore, u32>)
MEMORY_BODY(f64_store_xbw, Store<ByteIndexedSumStore, u64>)
#define INTEGER_OPERANDS(t, U)                               \
  MEMORY_BODY(t##_add_load, LoadOperand<num::add<U>, U>)     \
  MEMORY_BODY(t##_mul_load, LoadOperand<num::mul<U>, U>)     \
  MEMORY_BODY(t##_and_load, LoadOperand<num::bit_and<U>, U>) \
  MEMORY_BODY(t##_or_load, LoadOperand<num::bit_or<U>, U>)   \
  MEMORY_BODY(t##_xor_load, LoadOperand<num::bit_xor<U>, U>)
#define FLOAT_OPERANDS(t, F)                             \
  MEMORY_BODY(t##_add_load, LoadOperand<num::add<F>, F>) \
  MEMORY_BODY(t##_sub_load, LoadOperand<num::sub<F>, F>) \
  MEMORY_BODY(t##_mul_load, LoadOperand<num::mul<F>, F>)
MEMORY_BODY(i32_add_store, AddToMemory<u32>)
MEMORY_BODY(i64_add_store, AddToMemory<u64>)
MEMORY_BODY(f32_add_store, AddToMemory<f32>)
MEMORY_BODY(f64_add_store, AddToMemory<f64>)
INTEGER_OPERANDS(i32, u32)
INTEGER_OPERANDS(i64, u64)
FLOAT_OPERANDS(f32, f32)
FLOAT_OPERANDS(f64, f64)

}  // namespace atollvm::interp
