// What the reader and the writer of an image share. Internal to the folder.
#pragma once

#include "scheduler/snapshot/snapshot.hpp"
#include "vm/base/stream.hpp"

namespace atollvm::snapshot {

using base::Reader;
using base::Writer;

// First bytes of an image.
inline constexpr u8 image_magic[4] = {0, 'a', 't', 'i'};
inline constexpr u32 image_version = 4;
inline constexpr u32 end_mark = 0x2e646e65;  // "end."

// Bits of a process's flags.
inline constexpr u8 flag_main = 1 << 0;
inline constexpr u8 flag_traps_exits = 1 << 1;
inline constexpr u8 flag_counts_fuel = 1 << 2;
inline constexpr u8 flag_pending = 1 << 3;    // parked in a host call
inline constexpr u8 flag_tail_call = 1 << 4;  // which was a tail call
inline constexpr u8 flag_canceled = 1 << 5;   // and which fails with `canceled`, else is made anew
inline constexpr u8 flag_paid = 1 << 6;       // the bulk operation's fuel was taken
inline constexpr u8 flags_all = (1 << 7) - 1;

inline constexpr u32 none = ~u32{0};
inline constexpr u64 page = 4096;  // of memories, whatever the host's are
inline constexpr usize max_name = 255;

}  // namespace atollvm::snapshot
