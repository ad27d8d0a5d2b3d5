#include "vm/base/blocks.hpp"

#include <cstdlib>
#include <new>
#include <utility>

#include "vm/base/sanitizers.hpp"

namespace atollvm::base {

namespace {

// AddressSanitizer is to see the end of each block.
constexpr bool keeps = ATOLL_ASAN == 0;

// The heap's own: a block has eight bytes more than a multiple of 16.
constexpr usize step = 16;
constexpr usize most_kept = 4 << 20;  // bytes, of one thread
constexpr u32 misses_a_stretch = 128;
constexpr usize stretch = 112 << 10;  // less than what the heap maps apart, or gives back

struct Block {
  Block* next;
};

struct Kept {
  Block* first[largest_kept_block / step + 2];  // by size in steps
  usize room;                                   // bytes that may still be kept
  u32 misses;
  bool is_open;  // `room` says it
};

constinit thread_local Kept kept{};

// Frees what the thread has kept when that ends.
struct Cleaner {
  Cleaner() = default;
  Cleaner(const Cleaner&) = delete;
  Cleaner& operator=(const Cleaner&) = delete;
  ~Cleaner() {
    free_kept_blocks();
    kept.room = 0;
  }
  void arm() {}
};

thread_local Cleaner cleaner;

constexpr usize steps(usize size) { return (size + step / 2 - 1) / step; }
constexpr usize bytes_of(usize steps) { return steps * step + step / 2; }

// The heap of a thread other than the first one grows by single pages, with a system call for each
// (glibc 2.36): a quarter of the time of starting many processes. What was taken and given back at
// once, it keeps.
[[gnu::cold, gnu::noinline]] void stretch_heap() {
  void* volatile block = std::malloc(stretch);  // volatile: else the compiler leaves both out
  std::free(block);
}

// Of the first block that a thread keeps.
[[gnu::cold, gnu::noinline]] bool open() {
  if (kept.is_open) return false;
  kept.is_open = true;
  kept.room = most_kept;
  cleaner.arm();
  return true;
}

}  // namespace

void* take_block(usize size) noexcept {
  if (!keeps || size > largest_kept_block) return std::malloc(size);
  const usize bytes = bytes_of(steps(size));
  Block*& list = kept.first[steps(size)];
  if (list == nullptr) {
    if (++kept.misses % misses_a_stretch == 0) stretch_heap();
    return std::malloc(bytes);
  }
  kept.room += bytes;
  return std::exchange(list, list->next);
}

void give_block(void* block, usize size) noexcept {
  if (!keeps || size > largest_kept_block || block == nullptr) return std::free(block);
  const usize bytes = bytes_of(steps(size));
  if (kept.room < bytes && !open()) return std::free(block);
  kept.room -= bytes;
  Block*& list = kept.first[steps(size)];
  list = new (block) Block{list};
}

void free_kept_blocks() noexcept {
  for (Block*& list : kept.first) {
    while (list != nullptr) std::free(std::exchange(list, list->next));
  }
  if (kept.is_open) kept.room = most_kept;
}

}  // namespace atollvm::base
