// The pages of a linear memory that are not all zero. Internal to the folder.
#pragma once

#include "scheduler/snapshot/stream.hpp"
#include "vm/runtime/memory.hpp"

namespace atollvm::snapshot {

// Gives the bytes that were stored.
u64 write_pages(Writer& to, const runtime::Memory& memory);
// Into a memory that is all zero and has its size.
u64 read_pages(Reader& from, runtime::Memory& memory);

}  // namespace atollvm::snapshot
