// What the shells share: the tables of operations as types, and leaving.
#pragma once

#include <array>

#include "vm/interp/interp.hpp"
#include "vm/interp/ops_branch.hpp"
#include "vm/interp/ops_bulk.hpp"
#include "vm/interp/ops_call.hpp"
#include "vm/interp/ops_memory.hpp"
#include "vm/interp/ops_numeric.hpp"

namespace atollvm::interp {

inline constexpr u8 op_fuel[] = {
#define OP(number, id, name, format, signature, flags, fuel, semantics) fuel,
#include "vm/isa/opcodes.def"
#undef OP
};
inline constexpr auto op_flags = [] {
  using enum isa::Flags;
  return std::array<u8, isa::op_count>{
#define OP(number, id, name, format, signature, flags, ...) static_cast<u8>(flags),
#include "vm/isa/opcodes.def"
#undef OP
  };
}();
inline constexpr isa::Format op_format[] = {
#define OP(number, id, name, format, ...) isa::Format::format,
#include "vm/isa/opcodes.def"
#undef OP
};
inline constexpr u8 format_words[] = {
#define FORMAT(name, words, ...) words,
#include "vm/isa/formats.def"
#undef FORMAT
};

template <Op op>
inline constexpr u8 words_of = format_words[static_cast<u8>(op_format[static_cast<u16>(op)])];

template <Op op>
inline constexpr bool goes_back =
    op == Op::back || op_format[static_cast<u16>(op)] == isa::Format::ssb ||
    op_format[static_cast<u16>(op)] == isa::Format::sib ||
    op_format[static_cast<u16>(op)] == isa::Format::xsb ||
    op_format[static_cast<u16>(op)] == isa::Format::xssb ||
    op_format[static_cast<u16>(op)] == isa::Format::mem_back ||
    op_format[static_cast<u16>(op)] == isa::Format::load_scan;

template <Op op>
inline constexpr bool is_scan = op_format[static_cast<u16>(op)] == isa::Format::load_scan;

// Where a taken conditional branch goes.
template <Op op>
ATOLL_INLINE const Word* target_of(const Word* pc, Insn w) {
  if constexpr (op_format[static_cast<u16>(op)] == isa::Format::xssb) {
    return pc - static_cast<u32>(pc[1] >> 32);
  } else if constexpr (op == Op::back) {
    return pc - field_bc(w);
  } else if constexpr (goes_back<op>) {
    return pc - field_c(w);
  } else {
    return pc + field_c(w);
  }
}

template <Op op, bool exact>
using BodyResult = decltype(Body<op>::template run<exact>(std::declval<State&>(), Insn(nullptr)));

template <Op op>
inline constexpr bool has_slow =
    requires(State& s) { Body<op>::template run_slow<false>(s, Insn(nullptr)); };

// How a shell counts: exact fuel, or (`turns`) calls and turns of loops down from Native::turns.
enum class Counts : u8 { nothing, fuel, turns };
// Whether an operation is counted as a turn, when it jumps: a branch back, or a guest's call.
template <Op op>
inline constexpr bool is_turn =
    goes_back<op> || ((op_flags[static_cast<u16>(op)] & isa::calls) != 0 &&
                      op_format[static_cast<u16>(op)] != isa::Format::call_import);

// Counts a turn: whether it was the last one.
ATOLL_INLINE bool count_turn(const State& s) { return --s.worker->native.turns < 0; }
// Leaves after it, as if preempted.
[[gnu::noinline, gnu::cold]] Flow leave_counted(Worker* worker, const Word* pc, Slot* fp, i64 fuel);
template <Op op, Counts counts>
ATOLL_INLINE bool is_last_turn(const State& s) {
  if constexpr (counts == Counts::turns && is_turn<op>) return count_turn(s);
  return false;
}

// One instruction: true with s.pc at the next one, false with the outcome to leave with.
template <Op op, Counts counts>
ATOLL_INLINE bool execute(State& s, Insn w, Outcome& outcome) {
  constexpr bool exact = counts == Counts::fuel;
  if constexpr (exact) s.fuel -= op_fuel[static_cast<u16>(op)];
  using Result = BodyResult<op, exact>;
  if constexpr (std::is_void_v<Result>) {
    Body<op>::template run<exact>(s, w);
    s.pc += words_of<op>;
  } else if constexpr (std::is_same_v<Result, Check>) {
    const Check check = Body<op>::template run<exact>(s, w);
    if (!check.ok()) [[unlikely]]
      return outcome = trap_here(s, check.trap()).outcome(), false;
    s.pc += words_of<op>;
  } else if constexpr (std::is_same_v<Result, bool> || std::is_same_v<Result, Taken>) {
    const auto taken = Body<op>::template run<exact>(s, w);
    if constexpr (std::is_same_v<Result, Taken>) {
      if (taken == Taken::trap) [[unlikely]]
        return outcome = trap_here(s, Trap::memory_bounds).outcome(), false;
    }
    if (static_cast<bool>(taken)) {
      s.pc = target_of<op>(s.pc, w);
      if constexpr (goes_back<op>) {
        if (must_stop<exact>(s)) [[unlikely]]
          return outcome = stop_here(s).outcome(), false;
        if (is_last_turn<op, counts>(s)) [[unlikely]]
          return outcome = leave_counted(s.worker, s.pc, s.fp, s.fuel).outcome(), false;
      }
    } else {
      s.pc += words_of<op>;
    }
  } else if constexpr (std::is_same_v<Result, Returns>) {
    if (Body<op>::template run<exact>(s, w) == Returns::no) {
      s.pc += words_of<op>;
    } else {
      Flow flow = leave_frame(s);
      if (flow.is_slow()) [[unlikely]]
        flow = Body<op>::template run_slow<exact>(s, w);
      if (!flow.goes_on()) [[unlikely]]
        return outcome = flow.outcome(), false;
    }
  } else {
    Flow flow = Body<op>::template run<exact>(s, w);
    if constexpr (has_slow<op>) {
      if (flow.is_slow()) [[unlikely]]
        flow = Body<op>::template run_slow<exact>(s, w);
    }
    if (!flow.goes_on()) [[unlikely]]
      return outcome = flow.outcome(), false;
    if (is_last_turn<op, counts>(s)) [[unlikely]]
      return outcome = leave_counted(s.worker, s.pc, s.fp, s.fuel).outcome(), false;
  }
  return true;
}

// One instruction, as `execute` does it. `exact`: fuel is counted.
bool step_one(State& s, bool exact, Outcome& outcome);
// The same, at most `count` instructions; then the process is preempted.
Outcome run_steps(runtime::Process& process, bool exact, u64 count);

}  // namespace atollvm::interp
