// What handlers work on. A State lives in CPU registers: it is built from a handler's arguments,
// its address never escapes, and it goes back into the next handler's arguments.
//
// Every operation has a Body: a struct with one static function template `run<exact>(State&, Word)`
// (exact: fuel is counted and NaN bits are canonical). Its result type says how control goes on:
//   void    to the next instruction
//   Check   to the next instruction, or a trap
//   bool    a conditional branch: whether it is taken
//   Flow    the body has set State::pc, or has stopped
// The shells (shell_tail.cpp, shell_goto.cpp, shell_step.cpp) find the next instruction.
#pragma once

#include <bit>
#include <cstring>
#include <optional>

#include "vm/interp/numeric.hpp"
#include "vm/isa/isa.hpp"
#include "vm/runtime/process.hpp"

#define ATOLL_INLINE [[gnu::always_inline]] inline

namespace atollvm::interp {

using isa::field_a;
using isa::field_b;
using isa::field_bc;
using isa::field_c;
using isa::Op;
using isa::Word;
using runtime::Outcome;
using runtime::Slot;
using runtime::Trap;
using runtime::Worker;

struct State {
  const Word* pc;
  Slot* fp;
  u8* memory;       // of memory 0; null without one
  u64 memory_size;  // bytes
  i64 fuel;
  Worker* worker;
};

// A trap code or none.
class Check {
 public:
  constexpr Check() = default;
  constexpr Check(Trap trap) : code_(static_cast<u32>(trap) + 1) {}
  [[nodiscard]] constexpr bool ok() const { return code_ == 0; }
  [[nodiscard]] constexpr Trap trap() const { return static_cast<Trap>(code_ - 1); }

 private:
  u32 code_ = 0;
};

// `go`: on at State::pc. Otherwise the outcome with which to leave; the body has saved the state.
struct Flow {
  bool go = true;
  Outcome outcome;

  static Flow on() { return {}; }
  static Flow stop(Outcome why) { return {false, why}; }
};

template <class T>
ATOLL_INLINE T get(const State& s, u16 reg) {
  if constexpr (std::is_same_v<T, f32>) {
    return std::bit_cast<f32>(static_cast<u32>(s.fp[reg]));
  } else if constexpr (std::is_same_v<T, f64>) {
    return std::bit_cast<f64>(s.fp[reg]);
  } else {
    return static_cast<T>(s.fp[reg]);
  }
}

template <bool exact, class T>
ATOLL_INLINE void set(State& s, u16 reg, T value) {
  if constexpr (std::is_floating_point_v<T>) {
    num::Bits<T> bits = std::bit_cast<num::Bits<T>>(value);
    if constexpr (exact) {
      if (value != value) bits = num::canonical_nan<T>;
    }
    s.fp[reg] = bits;
  } else {
    s.fp[reg] = static_cast<std::make_unsigned_t<T>>(value);
  }
}
// For values whose NaN bits are the program's own (constants, moves, sign changes).
template <class T>
ATOLL_INLINE void set_bits(State& s, u16 reg, T value) {
  set<false>(s, reg, value);
}

ATOLL_INLINE i32 imm_b(Word w) { return static_cast<i16>(field_b(w)); }
ATOLL_INLINE i32 imm_c(Word w) { return static_cast<i16>(field_c(w)); }

// Stores where the process is, so that others (and a later run) find it.
ATOLL_INLINE void save(const State& s, const Word* pc) {
  runtime::Process& process = *s.worker->process;
  process.saved.pc = static_cast<u32>(pc - s.worker->code);
  process.saved.fp = static_cast<u64>(s.fp - process.stack());
  process.set_fuel(s.fuel);
}

// Memory 0 may have grown or moved.
ATOLL_INLINE void reload_memory(State& s) {
  const runtime::Instance& instance = *s.worker->instance;
  if (instance.memories.empty()) return;
  s.memory = instance.memories.front()->base();
  s.memory_size = instance.memories.front()->size();
}

// Leaves with a trap of the instruction at pc.
[[gnu::noinline, gnu::cold]] Outcome leave_trap(Worker* worker, const Word* pc, Slot* fp, i64 fuel,
                                                Trap trap);

// At a safepoint (state complete, the next instruction at pc): whether to stop there.
template <bool exact>
ATOLL_INLINE bool must_stop(const State& s) {
  if constexpr (exact) {
    if (s.fuel < 0) return true;
  }
  return s.fp > s.worker->limit.load(std::memory_order_relaxed);
}
// Why, with the state saved.
[[gnu::noinline, gnu::cold]] Outcome leave_safepoint(Worker* worker, const Word* pc, Slot* fp,
                                                     i64 fuel);

template <Op op>
struct Body;

}  // namespace atollvm::interp
