// Runs processes with a stop at every safepoint, on threads and in tiers that take turns at random.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "vm/interp/interp.hpp"
#include "vm/jit/jit.hpp"
#include "vm/runtime/process.hpp"

namespace atollvm::test {

class Disturber {
 public:
  // How often it happened: stops of processes that could go on, and moves to another thread.
  struct Counts {
    u64 stops = 0;
    u64 moves = 0;
  };

  explicit Disturber(u64 seed, u32 threads = 3) : random_(seed) {
    for (u32 i = 0; i < threads; ++i) {
      threads_.emplace_back([this, i] { take_turns(i); });
    }
  }
  ~Disturber() {
    give_turn(end);
    for (std::thread& thread : threads_) thread.join();
  }
  Disturber(const Disturber&) = delete;
  Disturber& operator=(const Disturber&) = delete;

  // As interp::run of a process that nobody else asks to stop; where `stops` says so between two
  // safepoints, it gives `preempted`. Afterwards the process is back on its own worker.
  runtime::Outcome run(runtime::Process& process, const std::function<bool()>& stops = {}) {
    runtime::Worker& own = *process.worker();
    process.detach();
    process_ = &process;
    stops_ = stops;
    give_turn(other(nobody));
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return turn_ == nobody; });
    }
    process.attach(own);
    return outcome_;
  }
  [[nodiscard]] const Counts& counts() const { return counts_; }

 private:
  static constexpr u32 nobody = ~u32{0};
  static constexpr u32 end = nobody - 1;

  // Whose turn it is owns all else.
  void give_turn(u32 to) {
    const std::lock_guard guard(mutex_);
    turn_ = to;
    changed_.notify_all();
  }
  u32 other(u32 than) {
    const u32 count = static_cast<u32>(threads_.size());
    const u32 chosen = static_cast<u32>(random_() % count);
    return chosen == than ? (chosen + 1) % count : chosen;
  }

  void take_turns(u32 index) {
    runtime::Worker worker;
    while (true) {
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return turn_ == index || turn_ == end; });
        if (turn_ == end) return;
      }
      process_->attach(worker);
      const bool is_over = run_slices();
      process_->detach();
      if (!is_over) ++counts_.moves;
      give_turn(is_over ? nobody : other(index));
    }
  }

  // Whether the call is over.
  bool run_slices() {
    using Kind = runtime::Outcome::Kind;
    for (u64 left = 1 + random_() % 400; left > 0; --left) {
      process_->preempt();
      outcome_ = random_() % 2 == 0 ? interp::run(*process_) : jit::run(*process_);
      if (outcome_.kind != Kind::preempted && outcome_.kind != Kind::rested) return true;
      ++counts_.stops;
      if (stops_ && stops_()) return true;
    }
    return false;
  }

  std::mt19937_64 random_;
  std::vector<std::thread> threads_;
  std::mutex mutex_;
  std::condition_variable changed_;
  u32 turn_ = nobody;
  runtime::Process* process_ = nullptr;
  std::function<bool()> stops_;
  runtime::Outcome outcome_;
  Counts counts_;
};

}  // namespace atollvm::test
