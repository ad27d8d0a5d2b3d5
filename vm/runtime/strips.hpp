// Address space for small linear memories: strips, each one mapping that holds many slots of one
// size, a power of two. The kernel limits mappings to 65,530 a process, not the pages in them.
//
// One pool for the whole host process, since what it shares out (address space and mappings) is the
// host process's too: engines and threads come and go, and each strip serves all of them.
//
// A slot is all zero when it is taken. Released slots wait, with what is in them, until those of a
// size make 4 MiB; then they are discarded together, neighbours by one call of the kernel, and are
// zero again. So the kernel backs no page that the taker doesn't touch. Strips without a taken slot
// are unmapped, but for 64 MiB of each size.
#pragma once

#include "vm/base/types.hpp"

namespace atollvm::runtime {

struct Strip;

struct StripSlot {
  u8* base = nullptr;  // aligned to the host's pages
  u64 bytes = 0;
  Strip* strip = nullptr;
};

// The largest size of slots, in bytes; 0 when the host's pages are larger.
u64 largest_strip_slot();

// A slot of the least size that holds `bytes` (not 0, at most largest_strip_slot()). Its base is
// null when the host has no address space or memory. Any thread. Its bytes are poisoned: users
// unpoison what they use (vm/base/poison.hpp).
StripSlot take_strip_slot(u64 bytes);

// Back to the pool, with any contents. Any thread, also another than the taker's.
void release_strip_slot(Strip* strip, u8* base);

struct StripUsage {
  u64 strips = 0;
  u64 reserved = 0;  // bytes of address space
  u64 taken = 0;     // slots
  u64 waiting = 0;   // slots that were released and not yet discarded
};
// Over all sizes. Any thread.
StripUsage strip_usage();

}  // namespace atollvm::runtime
