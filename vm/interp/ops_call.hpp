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

// Enters `callee` with its frame at fp + window; `next` is where the caller goes on. The frame's
// header is written here unless the frame replaces the caller's (window 0).
template <bool exact, bool replaces>
ATOLL_INLINE Flow enter(State& s, const FuncInfo& callee, u16 window, const Word* next) {
  Slot* fp = s.fp + window;
  bool stop = false;
  if (fp + callee.window_slots > s.worker->limit.load(std::memory_order_relaxed)) [[unlikely]] {
    if (!grow_stack(s, window, callee.window_slots)) {
      return Flow::stop(leave_trap(s.worker, s.pc, s.fp, s.fuel, Trap::stack_overflow));
    }
    fp = s.fp + window;
    stop = s.worker->limit.load(std::memory_order_relaxed) == nullptr;
  }
  if constexpr (!replaces) fp[-1] = static_cast<u32>(next - s.worker->code);
  for (Slot *slot = fp + callee.param_slots, *end = fp + callee.local_slots; slot < end; ++slot) {
    *slot = 0;
  }
  s.fp = fp;
  s.pc = callee.code;
  if constexpr (exact) stop = stop || s.fuel < 0;
  if (stop) [[unlikely]]
    return Flow::stop(leave_safepoint(s.worker, s.pc, s.fp, s.fuel));
  return Flow::on();
}

// Returns from the frame at fp; its results are in its first slots.
ATOLL_INLINE Flow leave_frame(State& s) {
  const Slot header = s.fp[-1];
  if (header >> 32 != 0) [[unlikely]] {  // FrameKind::entry
    runtime::Process& process = *s.worker->process;
    const u32 function =
        s.worker->instance->program->function_at(static_cast<u32>(s.pc - s.worker->code));
    save(s, s.pc);
    process.finish(s.fp, s.worker->functions[function].result_slots);
    return Flow::stop({Outcome::Kind::finished, Trap::unreachable, 0});
  }
  s.pc = s.worker->code + static_cast<u32>(header);
  s.fp -= field_a(s.pc[-1]);
  return Flow::on();
}

// Ends the host call made from the instruction before `next`, whose window was at `window`.
// A parked call's process has its state saved at `next`.
template <bool exact>
ATOLL_INLINE Flow after_host(State& s, runtime::HostResult result, const Word* next, bool tail) {
  using Status = runtime::HostResult::Status;
  if (result.status == Status::value) [[likely]] {
    reload_memory(s);
    if (tail) return leave_frame(s);
    s.pc = next;
    if (must_stop<exact>(s)) [[unlikely]] {
      return Flow::stop(leave_safepoint(s.worker, s.pc, s.fp, s.fuel));
    }
    return Flow::on();
  }
  runtime::Process& process = *s.worker->process;
  if (result.status == Status::trap) {
    return Flow::stop(leave_trap(s.worker, s.pc, s.fp, s.fuel, result.trap));
  }
  if (result.status == Status::exit) {
    save(s, s.pc);
    process.state = runtime::Process::State::done;
    return Flow::stop({Outcome::Kind::exited, Trap::unreachable, result.exit_code});
  }
  save(s, next);
  process.state = runtime::Process::State::pending;
  process.parked = tail ? runtime::Process::Parked::tail_call : runtime::Process::Parked::call;
  return Flow::stop({Outcome::Kind::pending, Trap::unreachable, 0});
}

template <bool exact>
ATOLL_INLINE Flow call_host(State& s, u32 import, u16 window, const Word* next, bool tail) {
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

template <bool exact>
ATOLL_INLINE Flow call_any(State& s, u32 function, u16 window, const Word* next) {
  const FuncInfo& callee = s.worker->functions[function];
  if (callee.code == nullptr) return call_host<exact>(s, function, window, next, false);
  return enter<exact, false>(s, callee, window, next);
}

// A tail call of any function: its arguments move to the frame's first slots.
template <bool exact>
ATOLL_INLINE Flow tail_any(State& s, u32 function, u16 arguments, const Word* next) {
  const FuncInfo& callee = s.worker->functions[function];
  if (callee.code == nullptr) {
    // The frame is this function's still: room for results beyond it is in the caller's window.
    std::memmove(s.fp, s.fp + arguments, callee.param_slots * sizeof(Slot));
    return call_host<exact>(s, function, 0, next, true);
  }
  if (s.fp + callee.window_slots > s.worker->limit.load(std::memory_order_relaxed)) [[unlikely]] {
    if (!grow_stack(s, 0, callee.window_slots)) {
      return Flow::stop(leave_trap(s.worker, s.pc, s.fp, s.fuel, Trap::stack_overflow));
    }
  }
  std::memmove(s.fp, s.fp + arguments, callee.param_slots * sizeof(Slot));
  return enter<exact, true>(s, callee, 0, next);
}

ATOLL_INLINE Check table_element(const State& s, u16 table, u32 index, u64& element) {
  const runtime::Table& elements = *s.worker->instance->tables[table];
  if (index >= elements.elements.size()) return Trap::undefined_element;
  element = elements.elements[index];
  return {};
}

ATOLL_INLINE Flow trap_here(const State& s, Trap trap) {
  return Flow::stop(leave_trap(s.worker, s.pc, s.fp, s.fuel, trap));
}

template <>
struct Body<Op::call> {
  template <bool exact>
  ATOLL_INLINE static Flow run(State& s, Word w) {
    return enter<exact, false>(s, s.worker->functions[field_bc(w)], field_a(w), s.pc + 1);
  }
};
template <>
struct Body<Op::call_import> {
  template <bool exact>
  ATOLL_INLINE static Flow run(State& s, Word w) {
    return call_host<exact>(s, field_bc(w), field_a(w), s.pc + 1, false);
  }
};
template <bool is_table, bool is_tail>
struct CallIndirect {
  template <bool exact>
  ATOLL_INLINE static Flow run(State& s, Word w) {
    u64 reference = s.fp[field_b(w)];
    if constexpr (is_table) {
      const Check found = table_element(s, field_c(w), static_cast<u32>(reference), reference);
      if (!found.ok()) [[unlikely]]
        return trap_here(s, found.trap());
    }
    u32 function = 0;
    const Check resolved = resolve(s, reference, field_bc(s.pc[1]), function);
    if (!resolved.ok()) [[unlikely]]
      return trap_here(s, resolved.trap());
    if constexpr (is_tail) return tail_any<exact>(s, function, field_a(w), s.pc + 2);
    return call_any<exact>(s, function, field_a(w), s.pc + 2);
  }
};
template <>
struct Body<Op::call_table> : CallIndirect<true, false> {};
template <>
struct Body<Op::call_ref> : CallIndirect<false, false> {};
template <>
struct Body<Op::tail_table> : CallIndirect<true, true> {};
template <>
struct Body<Op::tail_ref> : CallIndirect<false, true> {};
template <>
struct Body<Op::tail> {
  template <bool exact>
  ATOLL_INLINE static Flow run(State& s, Word w) {
    return tail_any<exact>(s, field_bc(w), field_a(w), s.pc + 1);
  }
};
template <>
struct Body<Op::tail_import> : Body<Op::tail> {};

template <>
struct Body<Op::ret> {
  template <bool exact>
  ATOLL_INLINE static Flow run(State& s, Word) {
    return leave_frame(s);
  }
};
template <>
struct Body<Op::ret_1> {
  template <bool exact>
  ATOLL_INLINE static Flow run(State& s, Word w) {
    s.fp[0] = s.fp[field_a(w)];
    return leave_frame(s);
  }
};
template <>
struct Body<Op::ret_n> {
  template <bool exact>
  ATOLL_INLINE static Flow run(State& s, Word w) {
    std::memmove(s.fp, s.fp + field_a(w), field_b(w) * sizeof(Slot));
    return leave_frame(s);
  }
};

}  // namespace atollvm::interp
