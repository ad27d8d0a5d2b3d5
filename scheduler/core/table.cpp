#include "scheduler/core/table.hpp"

#include <sched.h>

#include <new>

#include "scheduler/core/task.hpp"

namespace atollvm::sched {

namespace {

constexpr u32 none = ~u32{0};
constexpr u32 last_generation = 0x7fffffff;

void pause_cpu() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

void SpinLock::wait() noexcept {
  for (u32 turn = 0;; ++turn) {
    // Whoever holds it may have lost its CPU.
    if (turn % 64 == 63) sched_yield();
    pause_cpu();
    if (!held_.load(std::memory_order_relaxed) &&
        !held_.exchange(true, std::memory_order_acquire)) {
      return;
    }
  }
}

Table::Table() : chunks_(new std::atomic<Place*>[max_processes / chunk_size]()) {}

Table::~Table() {
  for (u32 i = 0; i < max_processes / chunk_size; ++i) delete[] chunks_[i].load();
}

Pid Table::add(Task& task) {
  u32 index;
  {
    const std::lock_guard guard(mutex_);
    index = first_free_;
    if (index != none) {
      first_free_ = place(index)->next_free;
    } else {
      index = used_.load();
      if (index == max_processes) return 0;
      std::atomic<Place*>& chunk = chunks_[index >> chunk_bits];
      if (chunk.load() == nullptr) {
        Place* const places = new (std::nothrow) Place[chunk_size];
        if (places == nullptr) return 0;
        chunk.store(places, std::memory_order_release);
      }
      used_.store(index + 1);
    }
  }
  Place& at = *place(index);
  at.lock.lock();
  at.task = &task;
  const Pid pid = task.pid = Pid{at.generation} << 32 | index;
  at.lock.unlock();
  return pid;
}

void Table::remove(Pid pid) {
  const u32 index = static_cast<u32>(pid);
  Place& at = *place(index);
  at.lock.lock();
  at.task = nullptr;
  const bool is_used_up = ++at.generation > last_generation;
  at.lock.unlock();
  // A number is never given twice: where the generations are used up, the place is left.
  if (is_used_up) return;
  const std::lock_guard guard(mutex_);
  at.next_free = first_free_;
  first_free_ = index;
}

Table::Held Table::find(Pid pid) {
  const u32 index = static_cast<u32>(pid);
  if (index >= used_.load(std::memory_order_acquire)) return {};
  Place& at = *place(index);
  at.lock.lock();
  if (at.generation != pid >> 32 || at.task == nullptr) {
    at.lock.unlock();
    return {};
  }
  return {&at, at.task};
}

}  // namespace atollvm::sched
