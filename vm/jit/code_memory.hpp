// Where the machine code of a JIT lives.
//
// One range of at most 1 GiB, so that all code in it reaches all other by a 32-bit displacement (on
// AArch64 a branch reaches 128 MiB: who relies on that asks for no more). Its memory has two views
// at different addresses: one executable and readable, one readable and writable. No mapping is
// ever writable and executable, and what is executable never becomes writable (Linux 5.1 and later
// enforce it). What is in no block traps when it is executed: fresh and given-back memory holds
// trapping instructions (SIGTRAP), memory that was never used is not accessible (SIGSEGV), or,
// after open_all(), not there (SIGBUS). Guards of 64 KiB that are never accessible lie on both ends
// of each view.
//
// A child of fork() can go on executing what its parent keeps, in the same memory. It does not have
// the writable view, and must neither call anything but contains() nor destroy the object.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

#include "vm/base/result.hpp"
#include "vm/base/types.hpp"

namespace atollvm::jit {

class CodeMemory {
 public:
  static constexpr usize alignment = 64;           // of blocks and their sizes, in bytes
  static constexpr usize step = 256 << 10;         // bytes that the host is asked for at once
  static constexpr usize guard = 64 << 10;         // bytes
  static constexpr usize largest_limit = 1 << 30;  // bytes

  // The same bytes by two addresses.
  struct Block {
    const u8* code = nullptr;  // to execute and read; a multiple of `alignment`
    u8* writable = nullptr;    // to write
    usize size = 0;            // bytes, a multiple of `alignment`
  };

  // `limit_bytes` is rounded up to steps. Errors: `usage`, the limit is 0 or above the largest;
  // `io`, the host refuses the memory or its execution, and the message says which.
  static base::Result<std::unique_ptr<CodeMemory>> make(usize limit_bytes);
  // No thread executes its code any more; blocks need not be given back.
  ~CodeMemory();
  CodeMemory(const CodeMemory&) = delete;
  CodeMemory& operator=(const CodeMemory&) = delete;

  // A block of at least `bytes` (0 is as 1), full of traps, at the lowest address that has room,
  // among the first `within` bytes: the caller's alone until give(). Errors: `limit`, no free range
  // is as large; `io`, the host has no memory; nothing has changed then. Any thread.
  base::Result<Block> take(usize bytes, usize within = largest_limit);

  // After all writing and before the first execution of what was written: instruction caches of all
  // cores forget what was there before. Any thread; others learn of the code only afterwards.
  void finish(const Block& block);

  // Makes all of the executable view executable at once, in place of step by step: the host is
  // asked for no more of that afterwards. Errors: `io`. Any thread.
  base::Status open_all();

  // Back, exactly as it was taken. No thread executes it, will return into it or writes it. Any
  // thread, also another than the taker's.
  void give(const Block& block);

  // The lowest address of the executable view. Any thread.
  [[nodiscard]] const u8* base() const { return code_; }

  // Whether `at` lies in the executable view, its guards excepted, in a block or not. Any thread,
  // and signal handlers.
  [[nodiscard]] bool contains(const void* at) const noexcept {
    return reinterpret_cast<std::uintptr_t>(at) - reinterpret_cast<std::uintptr_t>(code_) < limit_;
  }

  // Where the block begins that holds a byte; null: none. As long as it is not given back. Any
  // thread, and signal handlers.
  [[nodiscard]] const u8* block_of(const u8* at) const noexcept;

  // Bytes in blocks. Any thread.
  [[nodiscard]] usize used() const;
  // Bytes that all blocks together can have, as rounded by make(). Any thread.
  [[nodiscard]] usize limit() const { return limit_; }

 private:
  CodeMemory() = default;

  base::Status map_views(usize limit);
  base::Status open_step();
  bool runs_new_code();
  void map_again(const Block& block);

  usize limit_ = 0;
  int file_ = -1;
  u8* code_ = nullptr;
  u8* writable_ = nullptr;
  bool keeps_old_code_ = false;  // the host, unless code is mapped again
  // A bit for each unit of `alignment` bytes, set where a block begins. Memory of its own, of which
  // the host gives what is used.
  std::atomic<u64>* begins_ = nullptr;

  mutable std::mutex mutex_;  // guards all below
  usize used_ = 0;
  usize opened_ = 0;             // the first bytes of both views: accessible
  bool is_all_open_ = false;     // as to execution
  std::map<usize, usize> free_;  // offset to size; no two of them touch
};

}  // namespace atollvm::jit
