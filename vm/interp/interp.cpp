#include "vm/interp/interp.hpp"

#include <cfenv>

#include "vm/interp/shell.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace atollvm::interp {

using runtime::HostResult;
using runtime::Process;

Flow leave_trap(Worker* worker, const Word* pc, Slot* fp, i64 fuel, Trap trap) {
  save(State{pc, fp, nullptr, 0, fuel, worker}, pc);
  worker->process->state = Process::State::done;
  return Flow::stop(Outcome::Kind::trapped, trap);
}

Flow leave_counted(Worker* worker, const Word* pc, Slot* fp, i64 fuel) {
  save(State{pc, fp, nullptr, 0, fuel, worker}, pc);
  return Flow::stop(Outcome::Kind::preempted);
}

Flow leave_safepoint(Worker* worker, const Word* pc, Slot* fp, i64 fuel) {
  Process& process = *worker->process;
  save(State{pc, fp, nullptr, 0, fuel, worker}, pc);
  if (process.counts_fuel() && fuel < 0) {
    return Flow::stop(Outcome::Kind::out_of_fuel, Trap::out_of_fuel);
  }
  process.rearm();
  return Flow::stop(Outcome::Kind::preempted);
}

namespace {

// Guests run with the default floating-point environment, whatever the host's thread has set. The
// flags of what happened add up over guests and host. To read the register takes 5 ns, a fifth of
// a short call, so where no code works on such numbers it is left alone.
class FloatEnvironment {
 public:
#if defined(__x86_64__)
  explicit FloatEnvironment(bool needed) : saved_(needed ? _mm_getcsr() : defaults) {
    if ((saved_ & ~flags) != defaults) _mm_setcsr(defaults);
  }
  ~FloatEnvironment() {
    if ((saved_ & ~flags) != defaults) _mm_setcsr(saved_);
  }

 private:
  static constexpr unsigned defaults = 0x1f80;
  static constexpr unsigned flags = 0x3f;
  unsigned saved_;
#else
  explicit FloatEnvironment(bool needed) : needed_(needed) {
    if (!needed_) return;
    std::fegetenv(&saved_);
    std::fesetenv(FE_DFL_ENV);
  }
  ~FloatEnvironment() {
    if (needed_) std::fesetenv(&saved_);
  }

 private:
  bool needed_;
  std::fenv_t saved_;
#endif
};

// Where a parked call's arguments are, and its results will be.
Slot* window_of(Process& process, const Word* call) {
  const bool is_tail = process.parked == Process::Parked::tail_call;
  return process.stack() + process.saved.fp + (is_tail ? 0 : field_a(Insn(call)));
}

// What follows a completed host call, unless that just goes on behind `call`.
template <bool exact>
[[gnu::noinline]] Flow leave_host(Process& process, const Word* call, HostResult result,
                                  bool is_tail) {
  State s = load(process);
  const Flow flow = after_host<exact>(s, result, call + 1, is_tail);
  if (flow.goes_on()) save(s, s.pc);
  return flow;
}

// Completes the host call that the process is parked in, and saves the state after it.
template <bool exact>
Flow complete(Process& process) {
  // As during the host call: its address, not the one after it.
  const Word* const call = process.worker()->code + --process.saved.pc;
  Slot* const window = window_of(process, call);
  const bool is_tail = process.parked == Process::Parked::tail_call;
  process.state = Process::State::runnable;
  process.parked = Process::Parked::no;
  const HostResult result = process.complete(window);
  const bool is_over = result.status == HostResult::Status::value && !is_tail;
  const bool may_go_on =
      !exact && process.worker()->limit.load(std::memory_order_relaxed) != nullptr;
  if (!is_over || !may_go_on) [[unlikely]]
    return leave_host<exact>(process, call, result, is_tail);
  ++process.saved.pc;
  return Flow::on();
}

template <class Shell>
Outcome run_with(Process& process, const Shell& shell) {
  const FloatEnvironment environment(process.uses_floats());
  const bool exact = process.counts_fuel();
  if (process.state == Process::State::pending) {
    if (!process.ready()) return {Outcome::Kind::pending, Trap::unreachable, 0};
    const Flow flow = exact ? complete<true>(process) : complete<false>(process);
    if (!flow.goes_on()) return flow.outcome();
  } else if (process.state != Process::State::runnable) {
    return {Outcome::Kind::trapped, Trap::host_error, 0};
  }
  return shell(process, exact);
}

}  // namespace

Outcome run(Process& process) { return run_with(process, run_shell); }
Outcome run_by(Process& process, Shell shell) { return run_with(process, shell); }

Outcome step(Process& process, u64 count) {
  return run_with(process, [count](Process& p, bool exact) { return run_steps(p, exact, count); });
}

}  // namespace atollvm::interp
