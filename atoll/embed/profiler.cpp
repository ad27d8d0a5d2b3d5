#include "atoll/embed/profiler.hpp"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <new>
#include <utility>

#include "vm/runtime/process_parts.hpp"

namespace atollvm {

namespace {

constexpr usize most_calls = 128;  // of a stack
constexpr const char* left_out = "[calls left out]";
constexpr usize most_stacks = 100'000;  // that are told apart
constexpr const char* others = "[other stacks]";

std::atomic<u64> next_id{1};

i64 time_of(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return i64{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

// Outermost first.
std::vector<std::string> names_of(const std::vector<runtime::ProcessParts::Call>& calls) {
  std::vector<std::string> names;
  names.reserve(calls.size() + 1);
  for (usize i = calls.size(); i-- > 0;) {
    const runtime::Program& program = *calls[i].instance->program;
    names.push_back(program.function_name(program.function_at(calls[i].pc)));
    if (i > 0 && calls[i - 1].depth + 1 != calls[i].depth) names.emplace_back(left_out);
  }
  return names;
}

}  // namespace

Profiler::Profiler(RunTier tier, std::chrono::nanoseconds interval)
    : tier_(tier), interval_(interval.count()), id_(next_id++), watcher_([this] { watch(); }) {}

Profiler::~Profiler() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  changed_.notify_one();
  watcher_.join();
}

Profiler::Seat& Profiler::seat_of_thread() {
  struct Known {
    u64 profiler = 0;
    Seat* seat = nullptr;
  };
  thread_local Known known;
  if (known.profiler == id_) return *known.seat;
  const std::lock_guard lock(mutex_);
  Seat& seat = seats_.emplace_back();
  pthread_getcpuclockid(pthread_self(), &seat.clock);
  seat.counted = time_of(seat.clock);
  known = {id_, &seat};
  return seat;
}

runtime::Outcome Profiler::run(runtime::Process& process) {
  Seat& seat = seat_of_thread();
  runtime::Process* outer = nullptr;  // which waits for a host function that runs this one
  {
    const std::lock_guard lock(seat.mutex);
    outer = std::exchange(seat.process, &process);
    if (seat.is_due) process.preempt();
  }
  const runtime::Outcome outcome = tier_(process);
  bool is_due = false;
  {
    const std::lock_guard lock(seat.mutex);
    seat.process = outer;
    is_due = seat.is_due;
  }
  if (is_due) take_sample(seat, process);
  return outcome;
}

void Profiler::take_sample(Seat& seat, const runtime::Process& process) {
  const i64 now = time_of(seat.clock);
  const auto calls = runtime::ProcessParts::calls(process, most_calls);
  // A call that has come to its end has left none: the time is that of whoever is next.
  if (calls.empty()) return;
  const i64 count = std::max<i64>((now - seat.counted + interval_ / 2) / interval_, 1);
  try {
    std::vector<std::string> names = names_of(calls);
    const std::lock_guard lock(mutex_);
    if (samples_.size() >= most_stacks && !samples_.contains(names)) names = {others};
    samples_[std::move(names)] += static_cast<u64>(count);
  } catch (const std::bad_alloc&) {
    // A sample less.
  }
  const std::lock_guard lock(seat.mutex);
  seat.is_due = false;
  // What this has taken is nobody's.
  seat.counted += count * interval_ + (time_of(seat.clock) - now);
}

void Profiler::look_at(Seat& seat) const {
  const std::lock_guard lock(seat.mutex);
  if (seat.process == nullptr || seat.is_due) return;
  if (time_of(seat.clock) - seat.counted < interval_ / 2) return;
  seat.is_due = true;
  seat.process->preempt();
}

void Profiler::watch() {
  std::unique_lock lock(mutex_);
  while (!is_stopping_) {
    changed_.wait_for(lock, std::chrono::nanoseconds(interval_));
    for (Seat& seat : seats_) look_at(seat);
  }
}

std::vector<StackSamples> Profiler::samples() const {
  std::vector<StackSamples> result;
  const std::lock_guard lock(mutex_);
  for (const auto& [functions, count] : samples_) result.push_back({functions, count});
  return result;
}

}  // namespace atollvm
