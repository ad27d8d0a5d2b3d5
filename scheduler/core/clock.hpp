// The time of one thread, read often.
#pragma once

#include "vm/base/types.hpp"

namespace atollvm::sched {

// CLOCK_MONOTONIC to within a microsecond, by the CPU's own counter where that runs at one speed
// (to ask the system takes 37 to 48 ns on a virtual machine where the counter takes 19).
// Never goes back. One thread.
class Clock {
 public:
  Clock();
  // Nanoseconds.
  u64 now();

 private:
  u64 synchronize(u64 count);

  bool counts_ = false;  // there is such a counter
  u64 count_ = 0;        // it, when `base_` was the time
  u64 base_ = 0;
  u64 ns_per_count_ = 0;  // in 2^-32; 0: not yet known
  u64 next_ = 0;          // the count from which on the system is asked again
  u64 last_ = 0;
};

// How long the system has had one thread, which could have run, wait for a CPU: the second number
// of its `schedstat` (proc(5)).
class RunDelay {
 public:
  RunDelay() = default;
  ~RunDelay();
  RunDelay(const RunDelay&) = delete;
  RunDelay& operator=(const RunDelay&) = delete;

  // Is of the calling thread from now on, which alone may call the rest.
  void open();
  // Nanoseconds since it was asked last; 0 where the system does not say. Takes a system call.
  u64 take();

 private:
  int file_ = -1;
  u64 taken_ = 0;
};

}  // namespace atollvm::sched
