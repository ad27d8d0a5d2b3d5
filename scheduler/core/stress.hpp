// Disturbs processes at random, to show that what they compute does not hang on where they stop,
// for how long, and where they go on.
#pragma once

#include <atomic>

#include "vm/base/types.hpp"

namespace atollvm::sched {

// How often it happened, all together.
struct StressCounts {
  u64 stops = 0;   // at safepoints, though nobody waited for the CPU
  u64 moves = 0;   // to another worker
  u64 sleeps = 0;  // for a moment
  u64 wakes = 0;   // before what a process waited for had come

  StressCounts& operator+=(const StressCounts& other) {
    stops += other.stops;
    moves += other.moves;
    sleeps += other.sleeps;
    wakes += other.wakes;
    return *this;
  }
};

// The dice of one worker. Its thread's alone but for counts().
class Stress {
 public:
  Stress(u64 seed, u32 worker) : state_(seed + worker * 0x9e3779b97f4a7c15) {}

  // Whether a process stops at its very next safepoint; else after slice() or when it waits.
  bool stops_at_once() { return below(4096) != 0; }
  // Nanoseconds.
  u64 slice() { return below(50'000); }
  // What becomes of a process that has stopped and could go on.
  enum class Turn : u8 { stays, moves, sleeps };
  Turn turn() {
    count(stops_);
    const u64 chance = below(1024);
    if (chance == 0) return Turn::sleeps;
    return chance <= 16 ? Turn::moves : Turn::stays;
  }
  // Nanoseconds.
  u64 nap() { return below(200'000); }
  // Whether a process that waits makes its call anew at once.
  bool wakes_early() { return below(4) == 0 && count(wakes_); }
  // Of `count` workers, another than `own`.
  u32 other(u32 own, u32 count) { return (own + 1 + static_cast<u32>(below(count - 1))) % count; }

  void count_move() { count(moves_); }
  void count_sleep() { count(sleeps_); }
  // Any thread.
  [[nodiscard]] StressCounts counts() const { return {stops_, moves_, sleeps_, wakes_}; }

 private:
  // SplitMix64.
  u64 below(u64 end) {
    u64 z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return (z ^ z >> 31) % end;
  }
  static bool count(std::atomic<u64>& counter) {
    counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    return true;
  }

  u64 state_;
  std::atomic<u64> stops_{0};
  std::atomic<u64> moves_{0};
  std::atomic<u64> sleeps_{0};
  std::atomic<u64> wakes_{0};
};

}  // namespace atollvm::sched
