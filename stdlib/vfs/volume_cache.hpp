// Blocks of a volume's files that can be read without SQLite, and so without waiting for anyone.
// Internal to the folder.
#pragma once

#include <array>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <span>

#include "stdlib/vfs/volume_database.hpp"

namespace atollvm::vfs {

// A block here is what its row holds, as long as that stays so: who changes a row drops it first.
// Nothing is put here but by who keeps others from changing rows. Threads: any.
class VolumeCache {
 public:
  using Block = std::array<u8, volume_block>;  // zero behind what the row holds

  // Bytes from `at` of a file, as they were at one moment. False: they are not all here, or that
  // can't be told without waiting.
  bool read(i64 inode, u64 at, std::span<u8> to);
  [[nodiscard]] bool has(i64 place);
  void put(i64 place, std::shared_ptr<const Block> block);
  void drop(i64 first, i64 last);
  // Notes that a block is read; whether it was among the last ones that were.
  bool note(i64 place);

  static constexpr usize most_read = usize{1} << 18;  // bytes of one call, on a guest's worker

 private:
  static constexpr usize most_blocks = 128;

  struct Held {
    std::shared_ptr<const Block> block;
    std::list<i64>::iterator turn;
  };
  std::mutex mutex_;
  std::map<i64, Held> blocks_;
  std::list<i64> turns_;          // the last one goes first
  std::array<i64, 256> noted_{};  // 0: none
};

}  // namespace atollvm::vfs
