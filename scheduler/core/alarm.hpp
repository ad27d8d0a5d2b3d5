// The alarm clock: stops processes whose slice is over.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <span>
#include <thread>

#include "vm/base/types.hpp"

namespace atollvm::sched {

class Worker;

// A thread that sleeps until a worker's alarm is due, and then rings it. A worker writes its alarm
// without any barrier, and one that rings just when it changes processes may be lost: the next
// look, within a period, finds it.
//
// Where a worker has the thread's CPU, Linux lets it wait for up to a tick (4 ms) when it wakes
// shortly before the worker's own slice ends, unless another thread wakes there meanwhile. So there
// is a second one, which a timer wakes when the first is late.
class AlarmClock {
 public:
  // The workers are there as long as this.
  explicit AlarmClock(std::span<const std::unique_ptr<Worker>> workers);
  AlarmClock(const AlarmClock&) = delete;
  AlarmClock& operator=(const AlarmClock&) = delete;
  ~AlarmClock();

  // A worker goes on that was parked. Any thread.
  void wake();

 private:
  [[nodiscard]] bool all_parked() const;
  u64 look();
  void watch();
  void watch_late();
  void expect(u64 at) const;

  std::span<const std::unique_ptr<Worker>> workers_;
  std::atomic<bool> ends_{false};
  std::mutex mutex_;
  std::condition_variable changed_;
  std::atomic<bool> sleeps_{false};
  int timer_ = -1;  // of the second thread; -1: there is none
  std::thread thread_;
  std::thread late_;
};

}  // namespace atollvm::sched
