// Bodies of calls and returns; the frame layout is in vm/runtime/process.hpp.
#pragma once

#include <algorithm>

#include "vm/interp/state.hpp"

namespace atollvm::interp {

using runtime::FuncInfo;

// Makes room for the frame of a callee at `fp`; on success fp (the caller's, in the state) and the
// limit are up to date. False: stack overflow.
ATOLL_INLINE bool grow_stack(State& s, u64 window, u32 slots) {
  runtime::Process& process = *s.worker->process;
  const u64 base = static_cast<u64>(s.fp - process.stack());
  if (!process.ensure_stack(base + window + slots)) return false;
  s.fp = process.stack() + base;
  return true;
}

// Writes the frame of `callee` at `fp`, with room for it, and goes to its start. `next` is where
// the caller goes on.
ATOLL_INLINE void start_frame(State& s, const FuncInfo& callee, Slot* fp) {
  if (callee.zeroed_slots != 0) {
    Slot* slot = fp + callee.param_slots;
    Slot* const end = slot + callee.zeroed_slots;
    do {
      // Usually a few slots: keep the compiler from making it a call of memset.
      asm volatile("" : "+r"(slot));
      *slot++ = 0;
    } while (slot != end);
  }
  s.fp = fp;
  s.pc = callee.code;
}
ATOLL_INLINE void write_header(const State& s, Slot* fp, u16 window, const Word* next) {
  fp[-1] = runtime::frame_header(static_cast<u32>(next - s.worker->code), window,
                                 runtime::FrameKind::guest);
}
ATOLL_INLINE bool has_room(const State& s, const Slot* fp, const FuncInfo& callee) {
  return fp + callee.window_slots <= s.worker->limit.load(std::memory_order_relaxed);
}
template <bool exact>
ATOLL_INLINE Flow entry_safepoint(const State& s) {
  if constexpr (exact) {
    if (s.fuel < 0) [[unlikely]]
      return stop_here(s);
  }
  return Flow::on();
}

// Calls a function of this module; slow when its frame does not fit below the limit.
template <bool exact>
ATOLL_INLINE Flow enter(State& s, const FuncInfo& callee, u16 window, const Word* next) {
  Slot* const fp = s.fp + window;
  if (!has_room(s, fp, callee)) [[unlikely]]
    return Flow::slow();
  write_header(s, fp, window, next);
  start_frame(s, callee, fp);
  return entry_safepoint<exact>(s);
}
template <bool exact>
inline Flow enter_slow(State& s, const FuncInfo& callee, u16 window, const Word* next) {
  if (!grow_stack(s, window, callee.window_slots)) return trap_here(s, Trap::stack_overflow);
  Slot* const fp = s.fp + window;
  const bool preempted = !has_room(s, fp, callee);
  write_header(s, fp, window, next);
  start_frame(s, callee, fp);
  return preempted ? stop_here(s) : entry_safepoint<exact>(s);
}

// Returns from the frame at fp; its results are in its first slots. Slow at the end of the call
// from outside.
ATOLL_INLINE Flow leave_frame(State& s) {
  const Slot header = s.fp[-1];
  if (runtime::header_kind(header) != runtime::FrameKind::guest) [[unlikely]] {
    return Flow::slow();
  }
  s.pc = s.worker->code + runtime::header_pc(header);
  s.fp -= runtime::header_window(header);
  return Flow::on();
}
inline Flow finish_call(State& s) {
  runtime::Process& process = *s.worker->process;
  const u32 pc = static_cast<u32>(s.pc - s.worker->code);
  const u32 function = s.worker->instance->program->function_at(pc);
  save(s, s.pc);
  process.finish(s.fp, s.worker->functions[function].result_slots);
  return Flow::stop(Outcome::Kind::finished);
}
inline Flow leave_any_frame(State& s) {
  const Flow flow = leave_frame(s);
  return flow.is_slow() ? finish_call(s) : flow;
}

// Ends the host call made from the instruction before `next`.
// A parked call's process has its state saved at `next`.
template <bool exact>
inline Flow after_host(State& s, runtime::HostResult result, const Word* next, bool tail) {
  using Status = runtime::HostResult::Status;
  runtime::Process& process = *s.worker->process;
  if constexpr (exact) s.fuel = process.fuel();  // the host may have added some
  switch (result.status) {
    case Status::value:
      break;
    case Status::trap:
      return trap_here(s, result.trap);
    case Status::exit:
      save(s, s.pc);
      process.state = runtime::Process::State::done;
      return Flow::stop(Outcome::Kind::exited, Trap::unreachable, result.exit_code);
    case Status::pending:
      save(s, next);
      process.state = runtime::Process::State::pending;
      process.parked = tail ? runtime::Process::Parked::tail_call : runtime::Process::Parked::call;
      return Flow::stop(Outcome::Kind::pending);
  }
  reload_memory(s);
  if (tail) {
    if (const Flow flow = leave_any_frame(s); !flow.goes_on()) return flow;
  } else {
    s.pc = next;
  }
  return must_stop<exact>(s) ? stop_here(s) : Flow::on();
}

template <bool exact>
inline Flow call_host(State& s, u32 import, u16 window, const Word* next, bool tail) {
  runtime::Process& process = *s.worker->process;
  const runtime::HostFunction& function = *s.worker->instance->imports[import];
  // Host functions may look at the process (traces, usage): its state is true during the call.
  save(s, s.pc);
  return after_host<exact>(s, process.call_host(function, s.fp + window), next, tail);
}

// Resolves a function reference for a call of canonical type `type`. On success `index` is the
// function's index in the current instance.
ATOLL_INLINE Check resolve(const State& s, u64 reference, u32 type, u32& index) {
  if (reference == 0) return Trap::null_reference;
  const runtime::Instance& instance = *s.worker->instance;
  const u32 function = static_cast<u32>(reference);
  if (reference >> 32 != u64{instance.index} + 1 ||
      function >= instance.program->functions().size()) {
    return Trap::invalid_reference;
  }
  if (s.worker->functions[function].type != instance.program->canonical_types()[type]) {
    return Trap::type_mismatch;
  }
  index = function;
  return {};
}

// A tail call of any function: its arguments move to the frame's first slots.
template <bool exact>
inline Flow tail_any(State& s, u32 function, u16 arguments, const Word* next) {
  const FuncInfo& callee = s.worker->functions[function];
  bool preempted = false;
  if (callee.code != nullptr && !has_room(s, s.fp, callee)) [[unlikely]] {
    if (!grow_stack(s, 0, callee.window_slots)) return trap_here(s, Trap::stack_overflow);
    preempted = !has_room(s, s.fp, callee);
  }
  std::memmove(s.fp, s.fp + arguments, callee.param_slots * sizeof(Slot));
  if (callee.code == nullptr) return call_host<exact>(s, function, 0, next, true);
  start_frame(s, callee, s.fp);
  return preempted ? stop_here(s) : entry_safepoint<exact>(s);
}

ATOLL_INLINE Check table_element(const State& s, u16 table, u32 index, u64& element) {
  const runtime::Table& elements = *s.worker->instance->tables[table];
  if (index >= elements.elements.size()) return Trap::undefined_element;
  element = elements.elements[index];
  return {};
}

template <>
struct Body<Op::call> {
  template <bool exact>
  ATOLL_INLINE static Flow run(State& s, Insn w) {
    return enter<exact>(s, s.worker->functions[field_bc(w)], field_a(w), s.pc + 1);
  }
  template <bool exact>
  static Flow run_slow(State& s, Insn w) {
    return enter_slow<exact>(s, s.worker->functions[field_bc(w)], field_a(w), s.pc + 1);
  }
};
template <>
struct Body<Op::call_import> {
  template <bool exact>
  ATOLL_INLINE static Flow run(State& s, Insn w) {
    return call_host<exact>(s, field_bc(w), field_a(w), s.pc + 1, false);
  }
};

// The function that call.table or call.ref names: its index, or a trap.
template <bool is_table>
ATOLL_INLINE Check indirect_callee(const State& s, Insn w, u32& function) {
  u64 reference = s.fp[field_b(w)];
  if constexpr (is_table) {
    const Check found = table_element(s, field_c(w), static_cast<u32>(reference), reference);
    if (!found.ok()) return found;
  }
  return resolve(s, reference, field_bc(s.pc[1]), function);
}
template <bool is_table>
struct CallIndirect {
  template <bool exact>
  ATOLL_INLINE static Flow run(State& s, Insn w) {
    u32 function = 0;
    if (!indirect_callee<is_table>(s, w, function).ok()) [[unlikely]]
      return Flow::slow();
    const FuncInfo& callee = s.worker->functions[function];
    if (callee.code == nullptr) [[unlikely]]
      return Flow::slow();
    return enter<exact>(s, callee, field_a(w), s.pc + 2);
  }
  template <bool exact>
  static Flow run_slow(State& s, Insn w) {
    u32 function = 0;
    const Check found = indirect_callee<is_table>(s, w, function);
    if (!found.ok()) return trap_here(s, found.trap());
    const FuncInfo& callee = s.worker->functions[function];
    if (callee.code == nullptr) return call_host<exact>(s, function, field_a(w), s.pc + 2, false);
    return enter_slow<exact>(s, callee, field_a(w), s.pc + 2);
  }
};
template <>
struct Body<Op::call_table> : CallIndirect<true> {};
template <>
struct Body<Op::call_ref> : CallIndirect<false> {};

template <>
struct Body<Op::tail> {
  template <bool exact>
  ATOLL_INLINE static Flow run(State& s, Insn w) {
    return tail_any<exact>(s, field_bc(w), field_a(w), s.pc + 1);
  }
};
template <>
struct Body<Op::tail_import> : Body<Op::tail> {};
template <bool is_table>
struct TailIndirect {
  template <bool exact>
  ATOLL_INLINE static Flow run(State& s, Insn w) {
    u32 function = 0;
    const Check found = indirect_callee<is_table>(s, w, function);
    if (!found.ok()) [[unlikely]]
      return trap_here(s, found.trap());
    return tail_any<exact>(s, function, field_a(w), s.pc + 2);
  }
};
template <>
struct Body<Op::tail_table> : TailIndirect<true> {};
template <>
struct Body<Op::tail_ref> : TailIndirect<false> {};

// The results are moved by then; the slow path does not do it again.
template <>
struct Body<Op::ret> {
  template <bool exact>
  ATOLL_INLINE static Flow run(State& s, Insn) {
    return leave_frame(s);
  }
  template <bool exact>
  static Flow run_slow(State& s, Insn) {
    return finish_call(s);
  }
};
template <>
struct Body<Op::ret_1> : Body<Op::ret> {
  template <bool exact>
  ATOLL_INLINE static Flow run(State& s, Insn w) {
    s.fp[0] = s.fp[field_a(w)];
    return leave_frame(s);
  }
};
template <>
struct Body<Op::ret_n> : Body<Op::ret> {
  template <bool exact>
  ATOLL_INLINE static Flow run(State& s, Insn w) {
    std::memmove(s.fp, s.fp + field_a(w), field_b(w) * sizeof(Slot));
    return leave_frame(s);
  }
};

}  // namespace atollvm::interp
