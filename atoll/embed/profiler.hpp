// Which functions of guests take the CPU's time: their calls are looked at whenever a thread that
// runs them has used so much of it.
//
// A thread of its own looks at the CPU clocks of the threads that run processes, and asks a process
// whose thread is due to stop at its next safepoint. The thread that runs it notes its calls there,
// and gives it back to its caller as preempted, which it may have been asked for by others too.
#pragma once

#include <chrono>
#include <condition_variable>
#include <ctime>
#include <list>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <atoll/process.hpp>

#include "atoll/embed/impl.hpp"

namespace atollvm {

// Outlives what it runs.
class Profiler {
 public:
  // `tier` runs the code. `interval`: CPU time of one sample, above 0. Throws std::system_error: no
  // thread.
  Profiler(RunTier tier, std::chrono::nanoseconds interval);
  ~Profiler();
  Profiler(const Profiler&) = delete;
  Profiler& operator=(const Profiler&) = delete;

  // As the tier. Any thread.
  runtime::Outcome run(runtime::Process& process);
  // Any thread.
  [[nodiscard]] std::vector<StackSamples> samples() const;

 private:
  // Of a thread that runs processes. Its clock is read while there is a process, so while it lives.
  struct Seat {
    clockid_t clock{};
    std::mutex mutex;                     // guards what follows
    runtime::Process* process = nullptr;  // that runs; null: none
    bool is_due = false;                  // a sample, once a process stops
    i64 counted = 0;  // CPU time that is in samples, ns; may be ahead of the clock
  };
  Seat& seat_of_thread();
  void look_at(Seat& seat) const;
  void take_sample(Seat& seat, const runtime::Process& process);
  void watch();

  const RunTier tier_;
  const i64 interval_;  // ns
  const u64 id_;        // no other one ever has it

  mutable std::mutex mutex_;  // guards what follows; taken before a seat's
  std::condition_variable changed_;
  bool is_stopping_ = false;
  std::list<Seat> seats_;
  std::map<std::vector<std::string>, u64> samples_;
  std::thread watcher_;
};

}  // namespace atollvm
