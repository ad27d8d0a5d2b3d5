// What handlers work on. A State lives in CPU registers: it is built from a handler's arguments,
// its address never escapes, and it goes back into the next handler's arguments.
//
// Every operation has a Body: a struct with one static function template `run<exact>(State&, Insn)`
// (exact: fuel is counted and NaN bits are canonical). Its result type says how control goes on:
//   void    to the next instruction
//   Check   to the next instruction, or a trap
//   bool    a conditional branch: whether it is taken
//   Taken   a conditional branch that may trap (out of bounds memory access)
//   Returns a conditional return: whether the frame is left, its results in their slots
//   Flow    the body has set State::pc, or has stopped, or wants its run_slow
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
using isa::field_bc;
using isa::Op;
using isa::Word;
using runtime::Outcome;
using runtime::Slot;
using runtime::Trap;
using runtime::Worker;

// An instruction by its address. Fields are read from memory one by one when they are needed: fewer
// CPU instructions than to load the word and take it apart (3 % of fib's time).
class Insn {
 public:
  explicit constexpr Insn(const Word* at) : at_(at) {}
  [[nodiscard]] const Word* at() const { return at_; }
  template <class T, int byte>
  ATOLL_INLINE T field() const {
    T bits;
    std::memcpy(&bits, reinterpret_cast<const char*>(at_) + byte, sizeof bits);
    return bits;
  }

 private:
  const Word* at_;
};
ATOLL_INLINE u16 opcode(Insn w) { return w.field<u16, 0>(); }
ATOLL_INLINE u16 field_a(Insn w) { return w.field<u16, 2>(); }
ATOLL_INLINE u16 field_b(Insn w) { return w.field<u16, 4>(); }
ATOLL_INLINE u16 field_c(Insn w) { return w.field<u16, 6>(); }
ATOLL_INLINE u32 field_bc(Insn w) { return w.field<u32, 4>(); }
// Of the extension word.
ATOLL_INLINE u16 field_e0(Insn w) { return w.field<u16, 8>(); }
ATOLL_INLINE u16 field_e1(Insn w) { return w.field<u16, 10>(); }
ATOLL_INLINE u16 field_e2(Insn w) { return w.field<u16, 12>(); }
ATOLL_INLINE u16 field_e3(Insn w) { return w.field<u16, 14>(); }

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

enum class Taken : u8 { no, yes, trap };
enum class Returns : u8 { no, yes };

// How control goes on after a body, in one register so that shells can test it at no cost.
class Flow {
 public:
  static constexpr Flow on() { return Flow(0); }  // at State::pc
  // Do the body's run_slow instead: it handles every case, out of the fast path's way.
  static constexpr Flow slow() { return Flow(1); }
  // Leave; the state is saved.
  static constexpr Flow stop(Outcome::Kind kind, Trap trap = Trap::unreachable, u32 exit_code = 0) {
    return Flow(stop_bit | u64{static_cast<u8>(kind)} << 8 | u64{static_cast<u8>(trap)} << 16 |
                u64{exit_code} << 32);
  }

  [[nodiscard]] constexpr bool goes_on() const { return bits_ == 0; }
  [[nodiscard]] constexpr bool is_slow() const { return bits_ == 1; }
  // Of a stop.
  [[nodiscard]] constexpr Outcome outcome() const {
    return {static_cast<Outcome::Kind>(bits_ >> 8 & 0xff), static_cast<Trap>(bits_ >> 16 & 0xff),
            static_cast<u32>(bits_ >> 32)};
  }
  // The same, for results of calls of which the compiler can't see that they are stops.
  [[nodiscard]] constexpr Flow as_stop() const { return Flow(bits_ | stop_bit); }

 private:
  static constexpr u64 stop_bit = 2;
  explicit constexpr Flow(u64 bits) : bits_(bits) {}
  u64 bits_;
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

ATOLL_INLINE i32 imm_b(Insn w) { return static_cast<i16>(field_b(w)); }
ATOLL_INLINE i32 imm_c(Insn w) { return static_cast<i16>(field_c(w)); }
ATOLL_INLINE i32 imm_e0(Insn w) { return static_cast<i16>(field_e0(w)); }

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

// The state that `save` stored.
ATOLL_INLINE State load(runtime::Process& process) {
  Worker& worker = *process.worker();
  State s{worker.code + process.saved.pc,
          process.stack() + process.saved.fp,
          nullptr,
          0,
          process.fuel(),
          &worker};
  reload_memory(s);
  return s;
}

// Leaves with a trap of the instruction at pc.
[[gnu::noinline, gnu::cold]] Flow leave_trap(Worker* worker, const Word* pc, Slot* fp, i64 fuel,
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
[[gnu::noinline, gnu::cold]] Flow leave_safepoint(Worker* worker, const Word* pc, Slot* fp,
                                                  i64 fuel);

ATOLL_INLINE Flow trap_here(const State& s, Trap trap) {
  return leave_trap(s.worker, s.pc, s.fp, s.fuel, trap).as_stop();
}
ATOLL_INLINE Flow stop_here(const State& s) {
  return leave_safepoint(s.worker, s.pc, s.fp, s.fuel).as_stop();
}

template <Op op>
struct Body;

}  // namespace atollvm::interp
