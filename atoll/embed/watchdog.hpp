// Deadlines: calls functions when their time has come, from one thread of its own, which exists
// only once the first deadline was set.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

namespace atollvm {

// Any thread, but destroyed last.
class Watchdog {
 public:
  using Clock = std::chrono::steady_clock;
  using Ticket = std::pair<Clock::time_point, std::uint64_t>;

  Watchdog() = default;
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  // Calls `alarm` once, at `when` or soon after it, unless it is cleared before. `alarm` must be
  // short, and must not call the watchdog. Nothing: the system has no thread to give.
  std::optional<Ticket> set(Clock::time_point when, std::function<void()> alarm);
  // After it returned, the alarm has been called or never will be.
  void clear(const Ticket& ticket);

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<Ticket, std::function<void()>> alarms_;
  std::uint64_t next_ = 0;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace atollvm
