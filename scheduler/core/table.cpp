#include "scheduler/core/table.hpp"

#include <sched.h>

#include <cstdlib>
#include <mutex>
#include <new>

#include "scheduler/core/task.hpp"

namespace atollvm::sched {

namespace {

constexpr u32 none = ~u32{0};

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

// Half a megabyte of pointers, of which a machine usually needs one: calloc takes it from the
// system, which gives no page before it is written.
Table::Table()
    : chunks_(static_cast<std::atomic<Place*>*>(
          std::calloc(max_processes / chunk_size, sizeof(std::atomic<Place*>)))) {
  static_assert(sizeof(std::atomic<Place*>) == sizeof(Place*));
  if (chunks_ == nullptr) throw std::bad_alloc();
}

Table::~Table() {
  const u32 count = (used_.load() + chunk_size - 1) / chunk_size;
  for (u32 i = 0; i < count; ++i) delete[] chunks_[i].load();
  std::free(chunks_);
}

bool Table::make_place(u32 index) {
  std::atomic<Place*>& chunk = chunks_[index >> chunk_bits];
  if (chunk.load() != nullptr) return true;
  Place* const places = new (std::nothrow) Place[chunk_size];
  chunk.store(places, std::memory_order_release);
  return places != nullptr;
}

Pid Table::reserve(u32 most, runtime::LinkedProgram* shared) {
  const std::lock_guard guard(lock_);
  const u32 processes = processes_.load(std::memory_order_relaxed);
  if (processes >= most) return 0;
  u32 index = first_free_;
  if (index != none) {
    first_free_ = place(index)->next_free();
  } else {
    index = used_.load(std::memory_order_relaxed);
    if (index == max_processes || !make_place(index)) return 0;
    used_.store(index + 1, std::memory_order_release);
  }
  processes_.store(processes + 1, std::memory_order_relaxed);
  ++records_;
  if (shared != nullptr && shared->users++ == 0) shared->held = shared->shared_from_this();
  return Pid{place(index)->generation} << 32 | index;
}

void Table::add(Task& task, Pid pid) {
  task.pid = pid;
  place(static_cast<u32>(pid))->set_task(task);
}

void Table::remove(Pid pid) {
  Place& at = *place(static_cast<u32>(pid));
  const std::lock_guard guard(at.lock);
  at.set_free(none);
  ++at.generation;
}

void Table::uncount() {
  const std::lock_guard guard(lock_);
  processes_.store(processes() - 1, std::memory_order_relaxed);
}

bool Table::release(Pid pid, bool is_counted, runtime::LinkedProgram* shared) {
  const u32 index = static_cast<u32>(pid);
  Place& at = *place(index);
  std::unique_lock guard(lock_);
  if (shared != nullptr && --shared->users == 0) {
    // What it charges its machine for goes before the last record does.
    std::shared_ptr<runtime::LinkedProgram> last = std::move(shared->held);
    guard.unlock();
    last.reset();
    guard.lock();
  }
  // A number is never given twice: where the generations are used up, the place is left.
  if (at.generation <= last_generation) {
    at.set_free(first_free_);
    first_free_ = index;
  }
  if (is_counted) processes_.store(processes() - 1, std::memory_order_relaxed);
  return --records_ == 0;
}

u32 Table::records() {
  const std::lock_guard guard(lock_);
  return records_;
}

std::vector<u32> Table::generations() {
  const std::lock_guard guard(lock_);
  std::vector<u32> all;
  all.reserve(used_.load());
  for (u32 index = 0; index < used_.load(); ++index) all.push_back(place(index)->generation);
  return all;
}

bool Table::restore(std::span<const u32> generations, std::span<Task* const> tasks) {
  const std::lock_guard guard(lock_);
  const u32 count = static_cast<u32>(generations.size());
  for (u32 index = 0; index < count; ++index) {
    if (!make_place(index)) return false;
    place(index)->generation = generations[index];
  }
  for (Task* const task : tasks) place(static_cast<u32>(task->pid))->set_task(*task);
  // The lowest is given first.
  for (u32 index = count; index-- > 0;) {
    Place& at = *place(index);
    if (at.task() != nullptr || at.generation > last_generation) continue;
    at.set_free(first_free_);
    first_free_ = index;
  }
  used_.store(count, std::memory_order_release);
  records_ = static_cast<u32>(tasks.size());
  processes_.store(records_, std::memory_order_relaxed);
  return true;
}

}  // namespace atollvm::sched
