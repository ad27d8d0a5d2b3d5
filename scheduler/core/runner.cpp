#include "scheduler/core/runner.hpp"

namespace atollvm::sched {

Runner::Runner(runtime::Process& process, loop::Loop& loop, Run run_process)
    : process_(process), loop_(loop), run_(run_process) {
  loop::serve(*process_.worker(), loop);
  process_.on_ready([&loop] { loop.wake(); });
}

// The reason is stored before the process is told: who sees the flag sees the reason.
void Runner::stop(runtime::Trap why) noexcept {
  u32 expected = nothing;
  stop_.compare_exchange_strong(expected, static_cast<u32>(why));
  process_.preempt();
  loop_.wake();
}

void Runner::withdraw(runtime::Trap why) noexcept {
  u32 expected = static_cast<u32>(why);
  stop_.compare_exchange_strong(expected, nothing);
}

std::optional<runtime::Trap> Runner::take_request() noexcept {
  if (stop_.load() == nothing) return std::nullopt;
  const u32 why = stop_.exchange(nothing);
  if (why == nothing) return std::nullopt;
  return static_cast<runtime::Trap>(why);
}

runtime::Outcome Runner::run() {
  while (true) {
    if (const auto why = take_request()) return process_.stop(*why);
    const runtime::Outcome outcome = run_(process_);
    switch (outcome.kind) {
      case runtime::Outcome::Kind::preempted:
      case runtime::Outcome::Kind::rested:
        break;
      case runtime::Outcome::Kind::pending:
        while (!process_.ready() && stop_.load() == nothing) loop_.run_once(true);
        break;
      default:
        return outcome;
    }
  }
}

}  // namespace atollvm::sched
