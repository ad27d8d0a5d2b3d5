// Blocks of bytes that threads work on, while one brings them in and takes them out in order.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "vm/base/types.hpp"

namespace atollvm::snapshot {

struct Block {
  std::vector<u8> in;
  std::vector<u8> out;
  const char* error = nullptr;  // why it could not be worked on; null: it could
  u64 place = 0;                // of whoever brought it
};

// A Context is what one thread works with: `work(context, block)` makes `out` of `in`.
// Threads: one at a time; besides the line's own.
template <class Context>
class Line {
 public:
  using Work = void (*)(Context& context, Block& block);

  // `threads`: how many work, with the caller's. Without more threads the caller does all.
  // There are enough blocks that one thread which the system holds up holds up no other soon.
  Line(u32 threads, Work work) : work_(work), blocks_(4 * usize{threads} + 4) {
    for (u32 i = 1; i < threads; ++i) {
      try {
        threads_.emplace_back([this] { run(); });
      } catch (const std::system_error&) {
        break;
      }
    }
  }
  ~Line() {
    {
      const std::lock_guard guard(mutex_);
      is_over_ = true;
    }
    changed_.notify_all();
    for (std::thread& each : threads_) each.join();
  }
  Line(const Line&) = delete;
  Line& operator=(const Line&) = delete;

  [[nodiscard]] bool is_full() const { return brought_ - taken_ == blocks_.size(); }
  [[nodiscard]] bool is_empty() const { return brought_ == taken_; }
  // If it is not full: the block to fill. It goes off with bring().
  Block& next() { return at(brought_).block; }
  void bring() {
    {
      const std::lock_guard guard(mutex_);
      at(brought_).is_done = false;
      at(brought_).block.error = nullptr;
      ++brought_;
    }
    changed_.notify_one();
  }
  // If it is not empty: the oldest block, done. It is good until the next bring().
  Block& take() {
    std::unique_lock lock(mutex_);
    while (!at(taken_).is_done) {
      if (begun_ < brought_) {
        work_on_next(lock, own_);
      } else {
        changed_.wait(lock);
      }
    }
    return at(taken_++).block;
  }

 private:
  struct Place {
    Block block;
    bool is_done = false;
  };
  Place& at(u64 number) { return blocks_[number % blocks_.size()]; }

  void work_on_next(std::unique_lock<std::mutex>& lock, Context& context) {
    Place& place = at(begun_++);
    lock.unlock();
    work_(context, place.block);
    lock.lock();
    place.is_done = true;
    changed_.notify_all();
  }
  void run() {
    Context context;
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return is_over_ || begun_ < brought_; });
      if (is_over_) return;
      work_on_next(lock, context);
    }
  }

  Work work_;
  Context own_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Place> blocks_;
  u64 brought_ = 0;  // the caller's, written under mutex_
  u64 begun_ = 0;
  u64 taken_ = 0;  // the caller's
  bool is_over_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace atollvm::snapshot
