// Small blocks of memory for what comes and goes by the thousand, such as the records of processes:
// what a thread gives back it keeps, up to a bound, for the next that is taken there. (The heap's
// own caches hold seven blocks of a size; beyond that it took a third of a short process's life.)
#pragma once

#include "vm/base/types.hpp"

namespace atollvm::base {

// Larger ones are the heap's alone.
inline constexpr usize largest_kept_block = 2048;

// `size` bytes, aligned as malloc does it; null: the host has no memory. Any thread.
[[nodiscard]] void* take_block(usize size) noexcept;
// `size` as it was taken; null is nothing. Any thread.
void give_block(void* block, usize size) noexcept;
// Gives the heap what the calling thread has kept: much of a heap that is not used is held by what
// is in between.
void free_kept_blocks() noexcept;

}  // namespace atollvm::base
