// A file system in memory, empty at first. It ends with the last handle to any of it.
#pragma once

#include "stdlib/vfs/vfs.hpp"

namespace atollvm::vfs {

struct MemoryLimits {
  // Of all that it holds: pages of 4096 bytes, 256 bytes for each file, directory or link, and for
  // each name its length and 128 bytes. More is nospc.
  u64 bytes = u64{64} << 20;
  u64 inodes = ~u64{0};  // files, directories and links
};

// Its root. Nothing in it ever blocks: Wait::never never gives `again`. A link's target is never
// outside; what is there can be renamed and linked from any directory of it to any other.
std::shared_ptr<Directory> make_memory(const MemoryLimits& limits);

}  // namespace atollvm::vfs
