#include "scheduler/core/alarm.hpp"

#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>

#include "scheduler/core/worker.hpp"
#include "scheduler/loop/loop.hpp"

namespace atollvm::sched {

namespace {

// It looks at least so often while any worker runs something,
constexpr u64 alarm_period = 1'000'000;  // ns
// and so soon again after it rang: the next alarm may be close.
constexpr u64 alarm_again = 200'000;
// It sleeps at least so long: Linux lets who has just run wait.
constexpr u64 alarm_sleep = 100'000;
// The second thread looks so long after the first one should have.
constexpr u64 alarm_grace = 150'000;

timespec time_of(u64 ns) {
  return {static_cast<time_t>(ns / 1'000'000'000), static_cast<long>(ns % 1'000'000'000)};
}

// Has the calling thread run as soon as it wakes, also on a CPU that a worker uses.
void hurry() {
  prctl(PR_SET_TIMERSLACK, 1);  // ns; the default is 50 us
  // From Linux 6.12 on, threads with shorter slices take the CPU from others: sched_setattr(2).
  struct {
    u32 size = 0;
    u32 policy = 0;
    u64 flags = 0;
    i32 nice = 0;
    u32 priority = 0;
    u64 runtime = 0;  // ns of a slice
    u64 deadline = 0;
    u64 period = 0;
  } attributes;
  if (syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) != 0) return;
  if (attributes.policy != SCHED_OTHER) return;
  attributes.runtime = 100'000;  // the least that there is
  syscall(SYS_sched_setattr, 0, &attributes, 0);
}

}  // namespace

AlarmClock::AlarmClock(std::span<const std::unique_ptr<Worker>> workers)
    : workers_(workers), timer_(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC)) {
  thread_ = std::thread([this] { watch(); });
  if (timer_ >= 0) late_ = std::thread([this] { watch_late(); });
}

AlarmClock::~AlarmClock() {
  ends_.store(true);
  wake();
  thread_.join();
  if (timer_ < 0) return;
  expect(1);
  late_.join();
  close(timer_);
}

void AlarmClock::wake() {
  if (!sleeps_.load()) return;
  {
    const std::lock_guard guard(mutex_);
    sleeps_.store(false);
  }
  changed_.notify_all();
}

bool AlarmClock::all_parked() const {
  return std::all_of(workers_.begin(), workers_.end(),
                     [](const auto& worker) { return worker->is_parked(); });
}

// Rings what is due, and gives the time of the next look.
u64 AlarmClock::look() {
  const u64 now = loop::monotonic_ns();
  u64 next = now + alarm_period;
  for (const auto& worker : workers_) {
    const u64 alarm = worker->alarm();
    if (alarm <= now) {
      worker->ring();
      next = std::min(next, now + alarm_again);
    } else {
      next = std::min(next, alarm);
    }
  }
  return std::max(next, now + alarm_sleep);
}

void AlarmClock::watch() {
  hurry();
  while (!ends_.load()) {
    if (all_parked()) {
      expect(0);
      std::unique_lock lock(mutex_);
      sleeps_.store(true);
      if (all_parked() && !ends_.load()) changed_.wait(lock, [&] { return !sleeps_.load(); });
      sleeps_.store(false);
    }
    const u64 next = look();
    expect(next + alarm_grace);
    const timespec until = time_of(next);
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr);
  }
}

void AlarmClock::watch_late() {
  hurry();
  u64 count = 0;
  while (!ends_.load()) {
    if (read(timer_, &count, sizeof count) == sizeof count) look();
  }
}

// When the second thread is to wake; monotonic ns, 0: not at all.
void AlarmClock::expect(u64 at) const {
  const itimerspec setting{{0, 0}, time_of(at)};
  if (timer_ >= 0) timerfd_settime(timer_, TFD_TIMER_ABSTIME, &setting, nullptr);
}

}  // namespace atollvm::sched
