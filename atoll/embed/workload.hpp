// Workloads for replays: what a file says, and its random numbers.
#pragma once

#include <atoll/sched.hpp>
#include <cmath>
#include <string>
#include <vector>

#include "vm/base/types.hpp"

namespace atollvm::tools {

// A reproducible generator: splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number
// generators, 2014).
class Random {
 public:
  explicit Random(u64 seed) : state_(seed) {}
  u64 next() {
    u64 z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  // In [0, 1).
  double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }

 private:
  u64 state_;
};

// Of a time, in nanoseconds.
struct Distribution {
  enum class Kind : u8 { constant, exponential, uniform, bimodal, list };
  Kind kind = Kind::constant;
  double low = 0;     // the mean, where there is one number
  double high = 0;    // uniform: the upper end; bimodal: the longer time
  double chance = 0;  // bimodal: of the longer time
  std::vector<double> values;

  // `turn` counts the samples: a list is gone through in order, and then again.
  double sample(Random& random, u64 turn) const;
  [[nodiscard]] double mean() const;
  [[nodiscard]] double second_moment() const;
};

struct TaskData {
  enum class Arrivals : u8 { poisson, periodic, at, closed };
  std::string name;
  u32 group = 0;
  Arrivals arrivals = Arrivals::poisson;
  double rate = 0;         // poisson: a second
  u64 period = 0;          // periodic: ns
  std::vector<u64> times;  // at: ns, ascending
  u32 processes = 0;       // closed
  Distribution think;      // closed
  Distribution service;
  u64 count = 0;  // bursts of a closed process, arrivals of the others; 0: without an end
  u32 weight = 0;
  u8 priority = 0;
  u64 length = 0;  // declared, ns; 0: none
  bool length_is_exact = false;
};

struct GroupData {
  std::string name;
  u32 weight = 0;
};

struct WorkloadData {
  std::string name;
  u64 seed = 1;
  u32 cores = 1;
  u64 duration = 0;  // ns; 0: until all is done
  u64 slice = 0;     // ns
  u64 switch_cost = 0;
  std::vector<GroupData> groups;
  std::vector<TaskData> tasks;
};

// The mean response that queueing theory predicts for a policy, in seconds; an empty name where no
// model fits.
struct Prediction {
  std::string model;
  double response = 0;
};
Prediction predict(const WorkloadData& workload, std::string_view policy);

}  // namespace atollvm::tools
