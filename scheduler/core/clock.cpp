#include "scheduler/core/clock.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "scheduler/loop/loop.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#include <x86intrin.h>
#endif

namespace atollvm::sched {

namespace {

__extension__ using u128 = unsigned __int128;

// How long the counter is trusted between two looks at the system's clock.
constexpr u64 trusted = 10'000'000;  // ns

#if defined(__x86_64__)
bool has_counter() {
  u32 a = 0;
  u32 b = 0;
  u32 c = 0;
  u32 d = 0;
  // Invariant TSC: Intel SDM volume 3, 18.17.1.
  return __get_cpuid(0x80000007, &a, &b, &c, &d) == 1 && (d & 1u << 8) != 0;
}
u64 counter() { return __rdtsc(); }
#else
bool has_counter() { return false; }
u64 counter() { return 0; }
#endif

}  // namespace

Clock::Clock() : counts_(has_counter()) {
  if (counts_) count_ = counter();
  base_ = last_ = loop::monotonic_ns();
}

u64 Clock::now() {
  if (!counts_) return loop::monotonic_ns();
  const u64 count = counter();
  if (count - count_ >= next_) return synchronize(count);
  const u64 now = base_ + static_cast<u64>(static_cast<u128>(count - count_) * ns_per_count_ >> 32);
  return last_ = std::max(last_, now);
}

u64 Clock::synchronize(u64 count) {
  const u64 now = loop::monotonic_ns();
  const u64 counted = count - count_;
  const u64 passed = now - base_;
  // Before a millisecond has passed, the ratio would not be worth much.
  if (passed >= 1'000'000 && counted > 0) {
    ns_per_count_ = static_cast<u64>((static_cast<u128>(passed) << 32) / counted);
    next_ = static_cast<u64>(static_cast<u128>(trusted) * counted / passed);
    count_ = count;
    base_ = now;
  }
  return last_ = std::max(last_, now);
}

RunDelay::~RunDelay() {
  if (file_ >= 0) close(file_);
}

void RunDelay::open() {
  file_ = ::open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
  take();
}

u64 RunDelay::take() {
  char text[64];
  const ssize_t size = file_ < 0 ? -1 : pread(file_, text, sizeof text, 0);
  if (size <= 0) return 0;
  const char* const end = text + size;
  u64 all = 0;
  const auto [at, error] = std::from_chars(
      std::min(std::find(static_cast<const char*>(text), end, ' ') + 1, end), end, all);
  if (error != std::errc()) return 0;
  return all - std::exchange(taken_, all);
}

}  // namespace atollvm::sched
