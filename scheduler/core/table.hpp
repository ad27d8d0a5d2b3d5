// Where a machine's processes are found by their numbers, and the lock of each.
//
// A process's record may only be touched by the worker that runs it, or by others while they hold
// the lock of its place. It ends under that lock: nobody finds it from then on.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "scheduler/core/message.hpp"
#include "vm/runtime/process.hpp"

namespace atollvm::sched {

class Task;

// Held for a few dozen CPU instructions at a time, but for what is rare.
class SpinLock {
 public:
  void lock() noexcept {
    if (held_.exchange(true, std::memory_order_acquire)) [[unlikely]]
      wait();
  }
  void unlock() noexcept { held_.store(false, std::memory_order_release); }

 private:
  void wait() noexcept;
  std::atomic<bool> held_{false};
};

class Table {
 public:
  // Of a process, or of none.
  struct Place {
    SpinLock lock;
    u32 generation = 1;  // written under the lock

    [[nodiscard]] Task* task() const {
      const std::uintptr_t content = content_.load(std::memory_order_acquire);
      return (content & 1) == 0 ? reinterpret_cast<Task*>(content) : nullptr;
    }
    void set_task(Task& task) {
      content_.store(reinterpret_cast<std::uintptr_t>(&task), std::memory_order_release);
    }
    // Of one that is free, under the table's lock: the next one.
    [[nodiscard]] u32 next_free() const {
      return static_cast<u32>(content_.load(std::memory_order_relaxed) >> 1);
    }
    void set_free(u32 next) {
      content_.store(std::uintptr_t{next} << 1 | 1, std::memory_order_relaxed);
    }

   private:
    std::atomic<std::uintptr_t> content_{1};  // an address, or a number with the lowest bit set
  };
  static_assert(sizeof(Place) == 16);

  // A process held by the lock of its place. `task` is null when there is no such process (then
  // nothing is held).
  class Held {
   public:
    Held() = default;
    Held(Place* place, Task* task) : place_(place), task_(task) {}
    Held(Held&& other) noexcept
        : place_(std::exchange(other.place_, nullptr)),
          task_(std::exchange(other.task_, nullptr)) {}
    Held& operator=(Held&&) = delete;
    ~Held() { release(); }
    void release() {
      if (place_ != nullptr) place_->lock.unlock();
      place_ = nullptr;
      task_ = nullptr;
    }
    explicit operator bool() const { return task_ != nullptr; }
    Task* operator->() const { return task_; }
    Task& operator*() const { return *task_; }

   private:
    Place* place_ = nullptr;
    Task* task_ = nullptr;
  };

  static constexpr u32 max_processes = 1u << 26;
  static constexpr u32 last_generation = 0x7fffffff;

  // Throws std::bad_alloc.
  Table();
  ~Table();
  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;

  // The number of a process that is to be made, which is counted from here on. 0: there are `most`,
  // or max_processes, or the host has no memory. It becomes a user of `shared`, which may be null.
  Pid reserve(u32 most, runtime::LinkedProgram* shared);
  // From now on it is found.
  void add(Task& task, Pid pid);
  // From now on nobody finds it, and its number is never given again. Its lock must not be held.
  void remove(Pid pid);
  // A process that has been removed, or was not added, is no longer one, though something is left
  // of it.
  void uncount();
  // Nothing is left of it, which was a user of `shared`. Whether nothing is left of any other.
  bool release(Pid pid, bool is_counted, runtime::LinkedProgram* shared);
  // Processes that are not about to end.
  [[nodiscard]] u32 processes() const { return processes_.load(std::memory_order_relaxed); }
  // The same with those of which something is left. Who finds none may destroy the table.
  [[nodiscard]] u32 records();
  Held find(Pid pid);
  // The same for one that is known to be there.
  Held hold(Task& task, Pid pid) {
    Place& at = *place(static_cast<u32>(pid));
    at.lock.lock();
    return {&at, &task};
  }
  // Whether it has ever had a process.
  [[nodiscard]] bool is_used() const { return used_.load() != 0; }
  // How often each place was used, so that numbers given before are not given again. Of a machine
  // that is frozen.
  [[nodiscard]] std::vector<u32> generations();
  // Of a table that has had no process: goes on from another's `generations` (not 0, at most
  // 2^31), with `tasks` in the places that their pids say, each another. False: the host has no
  // memory.
  bool restore(std::span<const u32> generations, std::span<Task* const> tasks);
  // Calls `visit` with each process, held. Those that come or go meanwhile may be left out.
  template <class Visit>
  void for_each(const Visit& visit) {
    for_each_of(max_processes, visit);
  }
  // The same in the first so many places only. False: there are more.
  template <class Visit>
  bool for_each_of(u32 places, const Visit& visit) {
    const u32 used = used_.load();
    for (u32 index = 0; index < std::min(used, places); ++index) {
      Place& at = *place(index);
      at.lock.lock();
      const Held held(&at, at.task());
      if (held) visit(*held);
    }
    return used <= places;
  }

 private:
  static constexpr u32 chunk_bits = 10;
  static constexpr u32 chunk_size = 1u << chunk_bits;

  [[nodiscard]] Place* place(u32 index) {
    return chunks_[index >> chunk_bits].load(std::memory_order_acquire) +
           (index & (chunk_size - 1));
  }

  [[nodiscard]] bool make_place(u32 index);

  std::atomic<Place*>* chunks_;  // zero pages of the host until they are used
  SpinLock lock_;                // of what follows
  std::atomic<u32> used_{0};
  u32 first_free_ = ~u32{0};
  std::atomic<u32> processes_{0};
  u32 records_ = 0;
};

inline Table::Held Table::find(Pid pid) {
  const u32 index = static_cast<u32>(pid);
  if (index >= used_.load(std::memory_order_acquire)) return {};
  Place& at = *place(index);
  at.lock.lock();
  Task* const task = at.task();
  if (at.generation != pid >> 32 || task == nullptr) {
    at.lock.unlock();
    return {};
  }
  return {&at, task};
}

}  // namespace atollvm::sched
