// When a machine whose root process has ended is started again.
#pragma once

#include <deque>
#include <vector>

#include "scheduler/core/exit.hpp"
#include "scheduler/machine/spec.hpp"

namespace atollvm::machine {

// Threads: one at a time. Times are nanoseconds on a clock that does not run backwards.
class Restarts {
 public:
  explicit Restarts(const RestartRule& rule) : rule_(rule) {}

  enum class Verdict : u8 {
    stays,     // the rule does not want it again
    restarts,  // after pause()
    failed,    // it has been restarted too often
  };
  // The root process has ended by itself: not by an operator who wants it gone.
  Verdict ended(sched::ExitKind why, u64 now);
  // How long ago the restarts were that still count, and the same to go on with.
  [[nodiscard]] std::vector<u64> ages(u64 now) const;
  void go_on(const std::vector<u64>& ages, u64 now);
  // After `restarts`: how long to wait.
  [[nodiscard]] u64 pause() const { return pause_; }

 private:
  RestartRule rule_;
  std::deque<u64> times_;  // of the restarts in the last rule_.within
  u64 pause_ = 0;
};

}  // namespace atollvm::machine
