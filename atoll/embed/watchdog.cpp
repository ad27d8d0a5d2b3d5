#include "atoll/embed/watchdog.hpp"

#include <system_error>

namespace atollvm {

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

std::optional<Watchdog::Ticket> Watchdog::set(Clock::time_point when, std::function<void()> alarm) {
  const std::lock_guard lock(mutex_);
  if (!thread_.joinable()) {
    try {
      thread_ = std::thread([this] { run(); });
    } catch (const std::system_error&) {
      return std::nullopt;
    }
  }
  const Ticket ticket{when, next_++};
  alarms_.emplace(ticket, std::move(alarm));
  if (alarms_.begin()->first == ticket) changed_.notify_one();
  return ticket;
}

void Watchdog::clear(const Ticket& ticket) {
  const std::lock_guard lock(mutex_);
  alarms_.erase(ticket);
}

// Alarms are called with the lock held: that is what clear() promises.
void Watchdog::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (alarms_.empty()) {
      changed_.wait(lock);
      continue;
    }
    const auto first = alarms_.begin();
    if (Clock::now() < first->first.first) {
      const Clock::time_point when = first->first.first;
      changed_.wait_until(lock, when);
      continue;
    }
    first->second();
    alarms_.erase(first);
  }
}

}  // namespace atollvm
