// How much of something may be done in a second: a token bucket that holds what one second gives,
// and is full in the beginning.
//
// It is kept as one number, the time at which it is full again, as in the generic cell rate
// algorithm (ITU-T I.371, annex A). Who takes more than there is has to wait, and is told until
// when; the next one waits for longer. So turns come in the order of taking, each waits once, and
// nobody holds a lock. In any t seconds not more than (t + 1) times the rate is used.
#pragma once

#include <algorithm>
#include <atomic>

#include "vm/base/types.hpp"

namespace atollvm::cap {

// Times are monotonic ns; the caller says how late it is. Any thread.
class Rate {
 public:
  static constexpr u64 unlimited = ~u64{0};
  static constexpr u64 second = 1'000'000'000;

  // At least 1 a second.
  explicit Rate(u64 per_second = unlimited) : per_second_(std::max<u64>(per_second, 1)) {}

  [[nodiscard]] bool is_limited() const { return per_second_ != unlimited; }
  [[nodiscard]] u64 limit() const { return per_second_; }

  // How much of `wanted` to take at once: what there is, but an eighth of the bucket at least, so
  // that nobody goes on by one at a time.
  [[nodiscard]] u64 share(u64 wanted, u64 now) const {
    const u64 full_at = full_at_.load(std::memory_order_relaxed);
    const u64 missing = full_at > now ? std::min(full_at - now, second) : 0;
    const u64 left = static_cast<u64>(Wide{second - missing} * per_second_ / second);
    return std::min(wanted, std::max({left, per_second_ / 8, u64{1}}));
  }
  // Takes it; gives the time from which on it may be used, 0: now. More than the bucket holds waits
  // until it would be full, and for what is missing.
  u64 take(u64 amount, u64 now) noexcept {
    const u64 cost = ns_for(amount, per_second_ - 1);
    u64 full_at = full_at_.load(std::memory_order_relaxed);
    u64 then = 0;
    do {
      then = std::min(std::max(full_at, now) + cost, last);
    } while (!full_at_.compare_exchange_weak(full_at, then, std::memory_order_relaxed));
    return then > now + second ? then - second : 0;
  }
  // Takes back what was taken and not used.
  void give(u64 amount) noexcept {
    const u64 cost = ns_for(amount, 0);
    u64 full_at = full_at_.load(std::memory_order_relaxed);
    while (!full_at_.compare_exchange_weak(full_at, full_at - std::min(full_at, cost),
                                           std::memory_order_relaxed)) {
    }
  }

 private:
  __extension__ using Wide = unsigned __int128;
  static constexpr u64 last = u64{1} << 62;

  [[nodiscard]] u64 ns_for(u64 amount, u64 round) const {
    const Wide ns = (Wide{amount} * second + round) / per_second_;
    return ns < last ? static_cast<u64>(ns) : last;
  }

  std::atomic<u64> full_at_{0};
  const u64 per_second_;
};

}  // namespace atollvm::cap
