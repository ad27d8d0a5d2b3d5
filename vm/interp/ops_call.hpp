// Bodies of calls and returns; the frame layout is in vm/runtime/process.hpp.
#pragma once

#include <algorithm>

#include "vm/interp/state.hpp"

namespace atollvm::interp {

using runtime::FuncInfo;
using runtime::FunctionTarget;

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
  // Half by half, as leave_frame reads it: two shifts less on each side.
  const u32 low = static_cast<u32>(next - s.worker->code);
  const u32 high =
      static_cast<u32>(runtime::frame_header(0, window, runtime::FrameKind::guest) >> 32);
  std::memcpy(fp - 1, &low, sizeof low);
  std::memcpy(reinterpret_cast<char*>(fp - 1) + sizeof low, &high, sizeof high);
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

// Of a call that computes nothing itself.
struct NoArgument {
  ATOLL_INLINE void operator()(State&) const {}
};

// Calls a function of this module; slow when its frame does not fit below the limit. `argument`
// runs exactly once, in the caller's frame, when the call is certain.
template <bool exact, class Argument = NoArgument>
ATOLL_INLINE Flow enter(State& s, const FuncInfo& callee, u16 window, const Word* next,
                        const Argument& argument = {}) {
  Slot* const fp = s.fp + window;
  if (!has_room(s, fp, callee)) [[unlikely]]
    return Flow::slow();
  argument(s);
  write_header(s, fp, window, next);
  start_frame(s, callee, fp);
  return entry_safepoint<exact>(s);
}
template <bool exact, class Argument = NoArgument>
inline Flow enter_slow(State& s, const FuncInfo& callee, u16 window, const Word* next,
                       const Argument& argument = {}) {
  if (!grow_stack(s, window, callee.window_slots)) return trap_here(s, Trap::stack_overflow);
  argument(s);
  Slot* const fp = s.fp + window;
  const bool preempted = !has_room(s, fp, callee);
  write_header(s, fp, window, next);
  start_frame(s, callee, fp);
  return preempted ? stop_here(s) : entry_safepoint<exact>(s);
}

// Returns from the frame at fp; its results are in its first slots. Slow where what is under the
// frame isn't of this instance: finish_call then does it.
ATOLL_INLINE Flow leave_frame(State& s) {
  u32 low;
  u32 high;
  std::memcpy(&low, s.fp - 1, sizeof low);
  std::memcpy(&high, reinterpret_cast<const char*>(s.fp - 1) + sizeof low, sizeof high);
  // Of a guest's frame the upper half is the window alone.
  static_assert(runtime::frame_header(0, 0, runtime::FrameKind::guest) == 0);
  if (high > 0xffff) [[unlikely]]
    return Flow::slow();
  s.pc = s.worker->code + low;
  s.fp -= high;
  return Flow::on();
}
// Goes over to another instance of the process.
inline void switch_instance(State& s, runtime::Instance& instance) {
  s.worker->process->enter(instance);
  s.memory = nullptr;
  s.memory_size = 0;
  reload_memory(s);
}
// Returns over a marker to the instance below.
[[gnu::noinline]] inline Flow leave_instance(State& s) {
  const u32 results = runtime::header_pc(s.fp[-1]);
  s.fp -= runtime::marker_slots;
  switch_instance(s, s.worker->process->instance(static_cast<u32>(s.fp[0])));
  std::memmove(s.fp, s.fp + runtime::marker_slots, results * sizeof(Slot));
  return leave_frame(s);
}
// The same, or returns out of the call from outside.
ATOLL_INLINE Flow finish_call(State& s) {
  runtime::Process& process = *s.worker->process;
  const Slot header = s.fp[-1];
  if (runtime::header_kind(header) == runtime::FrameKind::instance) return leave_instance(s);
  process.set_fuel(s.fuel);
  process.finish(s.fp, runtime::header_pc(header));
  return Flow::stop(Outcome::Kind::finished);
}
inline Flow leave_any_frame(State& s) {
  const Flow flow = leave_frame(s);
  return flow.is_slow() ? finish_call(s) : flow;
}

// Stops after a host call that is not just over: it was made from the instruction before `next`, or
// is the one that the process was parked in.
template <bool exact>
[[gnu::noinline]] inline Flow stop_after_host(Worker* worker, const Word* pc, Slot* fp, i64 fuel,
                                              runtime::HostResult result, const Word* next,
                                              bool tail) {
  using Status = runtime::HostResult::Status;
  State s{pc, fp, nullptr, 0, fuel, worker};
  runtime::Process& process = *worker->process;
  switch (result.status) {
    case Status::trap:
      return trap_here(s, result.trap);
    case Status::exit:
      save(s, pc);
      process.state = runtime::Process::State::done;
      return Flow::stop(Outcome::Kind::exited, Trap::unreachable, result.exit_code);
    case Status::pending:
    case Status::waiting:
      save(s, next);
      process.state = runtime::Process::State::pending;
      process.parked = tail ? runtime::Process::Parked::tail_call : runtime::Process::Parked::call;
      return Flow::stop(result.status == Status::pending ? Outcome::Kind::pending
                                                         : Outcome::Kind::waiting);
    case Status::value:
    case Status::rest:
      break;
  }
  s.pc = next;
  if (tail) {
    if (const Flow flow = leave_any_frame(s); !flow.goes_on()) return flow;
  }
  save(s, s.pc);
  return Flow::stop(Outcome::Kind::rested);
}

// What follows a host call made from the instruction before `next`, with the state saved there.
template <bool exact>
ATOLL_INLINE Flow after_host(State& s, runtime::HostResult result, const Word* next, bool tail) {
  if constexpr (exact) s.fuel = s.worker->process->fuel();  // the host may have added some
  if (result.status != runtime::HostResult::Status::value) [[unlikely]] {
    return stop_after_host<exact>(s.worker, s.pc, s.fp, s.fuel, result, next, tail).as_stop();
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
ATOLL_INLINE Flow call_host(State& s, const FunctionTarget& target, u16 window, const Word* next,
                            bool tail) {
  // Host functions may look at the process (traces, usage): its state is true during the call.
  save(s, s.pc);
  return after_host<exact>(s, s.worker->process->call_host(target, s.fp + window), next, tail);
}

// Makes room for a callee at `fp` + `above`, which may move the stack. Nothing: stack overflow;
// else whether the process is to stop at the callee's entry.
inline std::optional<bool> make_room(State& s, u64 above, const FuncInfo& callee) {
  if (has_room(s, s.fp + above, callee)) return false;
  if (!grow_stack(s, above, callee.window_slots)) return std::nullopt;
  return !has_room(s, s.fp + above, callee);
}
ATOLL_INLINE const FuncInfo& info_of(const State& s, const FunctionTarget& target) {
  // A host function of the current instance's imports is known by its number there.
  if (target.instance == nullptr) return s.worker->functions[target.function];
  return target.instance->program->functions()[target.function];
}
// Writes a marker at `at`: back to the current instance, with the results of `callee`.
inline void write_marker(const State& s, Slot* at, const FuncInfo& callee) {
  at[0] = s.worker->instance->index;
  at[1] = runtime::frame_header(callee.result_slots, runtime::marker_slots,
                                runtime::FrameKind::instance);
}

// Calls what a function of the index space or a reference means, wherever it is.
template <bool exact>
inline Flow call_target(State& s, const FunctionTarget& target, u16 window, const Word* next) {
  if (target.host != nullptr) return call_host<exact>(s, target, window, next, false);
  const FuncInfo& callee = info_of(s, target);
  if (target.instance == s.worker->instance) return enter_slow<exact>(s, callee, window, next);
  const std::optional<bool> preempted = make_room(s, u64{window} + runtime::marker_slots, callee);
  if (!preempted) return trap_here(s, Trap::stack_overflow);
  Slot* const marker = s.fp + window;
  Slot* const fp = marker + runtime::marker_slots;
  std::memmove(fp, marker, callee.param_slots * sizeof(Slot));
  write_header(s, marker, window, next);
  write_marker(s, marker, callee);
  switch_instance(s, *target.instance);
  start_frame(s, callee, fp);
  return *preempted ? stop_here(s) : entry_safepoint<exact>(s);
}

// Tail calls: the arguments move to the frame's first slots, or up by a marker where one is needed.
template <bool exact>
inline Flow tail_own(State& s, const FuncInfo& callee, u16 arguments) {
  const std::optional<bool> preempted = make_room(s, 0, callee);
  if (!preempted) [[unlikely]]
    return trap_here(s, Trap::stack_overflow);
  std::memmove(s.fp, s.fp + arguments, callee.param_slots * sizeof(Slot));
  start_frame(s, callee, s.fp);
  return *preempted ? stop_here(s) : entry_safepoint<exact>(s);
}
template <bool exact>
inline Flow tail_target(State& s, const FunctionTarget& target, u16 arguments, const Word* next) {
  const FuncInfo& callee = info_of(s, target);
  if (target.host != nullptr) {
    std::memmove(s.fp, s.fp + arguments, callee.param_slots * sizeof(Slot));
    return call_host<exact>(s, target, 0, next, true);
  }
  if (target.instance == s.worker->instance) return tail_own<exact>(s, callee, arguments);
  const bool needs_marker = runtime::header_kind(s.fp[-1]) == runtime::FrameKind::guest;
  const u16 above = needs_marker ? runtime::marker_slots : 0;
  const std::optional<bool> preempted = make_room(s, above, callee);
  if (!preempted) return trap_here(s, Trap::stack_overflow);
  std::memmove(s.fp + above, s.fp + arguments, callee.param_slots * sizeof(Slot));
  if (needs_marker) write_marker(s, s.fp, callee);
  switch_instance(s, *target.instance);
  start_frame(s, callee, s.fp + above);
  return *preempted ? stop_here(s) : entry_safepoint<exact>(s);
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
// d = a + imm.
template <class T>
struct SumArgument {
  Insn w;
  ATOLL_INLINE void operator()(State& s) const {
    const T sum = get<T>(s, field_e0(w)) + static_cast<T>(static_cast<i16>(field_e2(w)));
    set_bits(s, field_e3(w), sum);
  }
};
template <class T>
struct CallWithSum {
  template <bool exact>
  ATOLL_INLINE static Flow run(State& s, Insn w) {
    return enter<exact>(s, s.worker->functions[field_bc(w)], field_a(w), s.pc + 2,
                        SumArgument<T>{w});
  }
  template <bool exact>
  static Flow run_slow(State& s, Insn w) {
    return enter_slow<exact>(s, s.worker->functions[field_bc(w)], field_a(w), s.pc + 2,
                             SumArgument<T>{w});
  }
};
template <>
struct Body<Op::call_i32_add_i> : CallWithSum<u32> {};
template <>
struct Body<Op::call_i64_add_i> : CallWithSum<u64> {};
template <>
struct Body<Op::call_import> {
  template <bool exact>
  ATOLL_INLINE static Flow run(State& s, Insn w) {
    const FunctionTarget& target = s.worker->instance->imports[field_bc(w)];
    if (target.host == nullptr) [[unlikely]]
      return Flow::slow();
    return call_host<exact>(s, target, field_a(w), s.pc + 1, false);
  }
  template <bool exact>
  static Flow run_slow(State& s, Insn w) {
    return call_target<exact>(s, s.worker->instance->imports[field_bc(w)], field_a(w), s.pc + 1);
  }
};

// The function of this instance's own code that call.table or call.ref names; null for everything
// else, which indirect_target finds or refuses.
template <bool is_table>
ATOLL_INLINE const FuncInfo* own_callee(const State& s, Insn w) {
  u64 reference = s.fp[field_b(w)];
  if constexpr (is_table) {
    if (!table_element(s, field_c(w), static_cast<u32>(reference), reference).ok()) return nullptr;
  }
  const runtime::Instance& instance = *s.worker->instance;
  const u32 function = static_cast<u32>(reference);
  if (reference >> 32 != u64{instance.index} + 1 ||
      function >= instance.program->functions().size()) {
    return nullptr;
  }
  const FuncInfo& callee = s.worker->functions[function];
  if (callee.type != instance.program->canonical_types()[field_bc(s.pc[1])]) return nullptr;
  return callee.code != nullptr ? &callee : nullptr;
}
template <bool is_table>
inline Check indirect_target(const State& s, Insn w, FunctionTarget& target) {
  u64 reference = s.fp[field_b(w)];
  if constexpr (is_table) {
    const Check found = table_element(s, field_c(w), static_cast<u32>(reference), reference);
    if (!found.ok()) return found;
  }
  if (reference == 0) return Trap::null_reference;
  const std::optional<FunctionTarget> found = s.worker->process->find_function(reference);
  if (!found) return Trap::invalid_reference;
  // Types of different modules are compared by what they are.
  const runtime::Program& here = *s.worker->instance->program;
  const runtime::Program& there = *found->instance->program;
  if (!(here.module().types[field_bc(s.pc[1])] ==
        there.module().types[there.type_of(found->function)])) {
    return Trap::type_mismatch;
  }
  target = *found;
  return {};
}
template <bool is_table>
struct CallIndirect {
  template <bool exact>
  ATOLL_INLINE static Flow run(State& s, Insn w) {
    const FuncInfo* const callee = own_callee<is_table>(s, w);
    if (callee == nullptr) [[unlikely]]
      return Flow::slow();
    return enter<exact>(s, *callee, field_a(w), s.pc + 2);
  }
  template <bool exact>
  static Flow run_slow(State& s, Insn w) {
    FunctionTarget target;
    const Check found = indirect_target<is_table>(s, w, target);
    if (!found.ok()) return trap_here(s, found.trap());
    return call_target<exact>(s, target, field_a(w), s.pc + 2);
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
    return tail_own<exact>(s, s.worker->functions[field_bc(w)], field_a(w));
  }
};
template <>
struct Body<Op::tail_import> {
  template <bool exact>
  ATOLL_INLINE static Flow run(State& s, Insn w) {
    return tail_target<exact>(s, s.worker->instance->imports[field_bc(w)], field_a(w), s.pc + 1);
  }
};
template <bool is_table>
struct TailIndirect {
  template <bool exact>
  ATOLL_INLINE static Flow run(State& s, Insn w) {
    const FuncInfo* const callee = own_callee<is_table>(s, w);
    if (callee == nullptr) [[unlikely]]
      return Flow::slow();
    return tail_own<exact>(s, *callee, field_a(w));
  }
  template <bool exact>
  static Flow run_slow(State& s, Insn w) {
    FunctionTarget target;
    const Check found = indirect_target<is_table>(s, w, target);
    if (!found.ok()) return trap_here(s, found.trap());
    return tail_target<exact>(s, target, field_a(w), s.pc + 2);
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
  ATOLL_INLINE static Flow run_slow(State& s, Insn) {
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

template <class T>
struct ReturnSum : Body<Op::ret> {
  template <bool exact>
  ATOLL_INLINE static Flow run(State& s, Insn w) {
    set_bits(s, 0, static_cast<T>(get<T>(s, field_a(w)) + get<T>(s, field_b(w))));
    return leave_frame(s);
  }
};
template <>
struct Body<Op::ret_i32_add> : ReturnSum<u32> {};
template <>
struct Body<Op::ret_i64_add> : ReturnSum<u64> {};

// Returns c if a compares so with the immediate.
template <auto fn, class T>
struct ReturnIf {
  template <bool exact>
  ATOLL_INLINE static Returns run(State& s, Insn w) {
    if (!fn(get<T>(s, field_a(w)), static_cast<T>(imm_b(w)))) return Returns::no;
    s.fp[0] = s.fp[field_c(w)];
    return Returns::yes;
  }
  template <bool exact>
  ATOLL_INLINE static Flow run_slow(State& s, Insn) {
    return finish_call(s);
  }
};
#define RETURN_IF(op, ...) \
  template <>              \
  struct Body<Op::op> : ReturnIf<__VA_ARGS__> {};
#define RETURNS_IF(t, U, I)            \
  RETURN_IF(t##_eq_i, num::eq<U>, U)   \
  RETURN_IF(t##_ne_i, num::ne<U>, U)   \
  RETURN_IF(t##_lt_s_i, num::lt<I>, I) \
  RETURN_IF(t##_lt_u_i, num::lt<U>, U) \
  RETURN_IF(t##_gt_s_i, num::gt<I>, I) \
  RETURN_IF(t##_gt_u_i, num::gt<U>, U) \
  RETURN_IF(t##_le_s_i, num::le<I>, I) \
  RETURN_IF(t##_le_u_i, num::le<U>, U) \
  RETURN_IF(t##_ge_s_i, num::ge<I>, I) \
  RETURN_IF(t##_ge_u_i, num::ge<U>, U)
RETURNS_IF(ret_if_i32, u32, i32)
RETURNS_IF(ret_if_i64, u64, i64)

}  // namespace atollvm::interp
