// What is to happen, in order of virtual time, and at one time in the order in which it was asked
// for. Time is in nanoseconds, and stands still between calls.
#pragma once

#include <optional>
#include <vector>

#include "vm/base/types.hpp"

namespace atollvm::vnet {

inline constexpr u64 ns_per_second = 1'000'000'000;

class Events;

// Something that is to happen at a time, or not for now. Its end takes it out.
class Timer {
 public:
  explicit Timer(Events& events) : events_(events) {}
  virtual ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  [[nodiscard]] Events& events() const { return events_; }
  [[nodiscard]] bool is_set() const { return index_ != unset; }
  [[nodiscard]] u64 at() const { return at_; }
  // Times that have passed are now.
  void set(u64 at);
  void cancel();

 protected:
  // Is not set any more; may end itself.
  virtual void due() = 0;

 private:
  friend class Events;
  static constexpr usize unset = ~usize{0};

  Events& events_;
  u64 at_ = 0;
  u64 order_ = 0;
  usize index_ = unset;
};

class Events {
 public:
  [[nodiscard]] u64 now() const { return now_; }
  [[nodiscard]] std::optional<u64> next() const;
  // Everything up to a time, which becomes now unless it has passed. At most `most` of it: false
  // when there is more.
  bool run(u64 until, u64 most = ~u64{0});

 private:
  friend class Timer;
  void place(Timer& timer, usize index);
  void sift(Timer& timer, usize index);
  static bool is_before(const Timer& a, const Timer& b);

  u64 now_ = 0;
  u64 order_ = 0;
  std::vector<Timer*> heap_;  // the first is next
};

// Chance: the same numbers everywhere from the same seed (splitmix64).
class Chance {
 public:
  explicit Chance(u64 seed) : state_(seed) {}
  u64 next();
  // Below `bound`, or 0.
  u64 below(u64 bound) { return bound == 0 ? 0 : next() % bound; }
  // Whether something happens that happens so often in a million times.
  bool happens(u32 in_a_million) { return in_a_million != 0 && below(1'000'000) < in_a_million; }

 private:
  u64 state_;
};

}  // namespace atollvm::vnet
