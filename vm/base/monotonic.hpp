// The clock of all deadlines.
#pragma once

#include <time.h>

#include "vm/base/types.hpp"

namespace atollvm::base {

// Nanoseconds of CLOCK_MONOTONIC.
inline u64 monotonic_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<u64>(now.tv_sec) * 1'000'000'000 + static_cast<u64>(now.tv_nsec);
}

}  // namespace atollvm::base
