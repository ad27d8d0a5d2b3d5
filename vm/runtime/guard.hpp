// Where guarded memories end.
#pragma once

#include "vm/base/types.hpp"

namespace atollvm::runtime {

// Beyond the 4 GiB that addresses reach. Never accessible, so that what begins at an address and is
// inside with its offset needs no comparison: what is outside faults.
inline constexpr u64 guard_bytes = 32u << 20;
// That a guarded memory takes of the address space, from its base on.
inline constexpr u64 guarded_reserve = (u64{1} << 32) + guard_bytes;

}  // namespace atollvm::runtime
