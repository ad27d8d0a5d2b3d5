// Runs one process on the calling thread until it ends, and waits where it waits.
#pragma once

#include <atomic>
#include <optional>

#include "scheduler/loop/loop.hpp"
#include "vm/runtime/process.hpp"

namespace atollvm::sched {

class Runner {
 public:
  // The tier that runs a process's code, e.g. interp::run.
  using Run = runtime::Outcome (*)(runtime::Process&);

  // Both must outlive the runner; the loop belongs to the thread that calls run().
  Runner(runtime::Process& process, loop::Loop& loop, Run run);
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  // Runs the prepared or stopped call. Gives finished, exited, trapped or out_of_fuel.
  runtime::Outcome run();

  // Ends the call under way, or else the next one, with a trap: at the next safepoint, or at once
  // where it waits. Of several reasons the first one counts. Any thread, async-signal-safe.
  void stop(runtime::Trap why) noexcept;
  // What stop() asked for, taken out; for whoever runs something else in place of run().
  std::optional<runtime::Trap> take_request() noexcept;
  // Takes such a request back, if nothing came of it yet. Any thread.
  void withdraw(runtime::Trap why) noexcept;

 private:
  static constexpr u32 nothing = ~0u;

  runtime::Process& process_;
  loop::Loop& loop_;
  Run run_;
  std::atomic<u32> stop_{nothing};  // a Trap
};

}  // namespace atollvm::sched
