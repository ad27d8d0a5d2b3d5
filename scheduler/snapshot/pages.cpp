#include "scheduler/snapshot/pages.hpp"

#include <sys/mman.h>

#include <algorithm>

#include "vm/base/zero.hpp"

#ifndef MADV_POPULATE_WRITE  // Linux 5.14
#define MADV_POPULATE_WRITE 23
#endif

namespace atollvm::snapshot {

namespace {

// Read at a time: so much memory is taken in one step, before there is something to put there.
constexpr u64 piece_bytes = 1 << 20;

// Takes the host's pages for `bytes`, which are all written now: quicker than by a fault for each.
void populate(std::span<u8> bytes) {
  const std::uintptr_t begin = reinterpret_cast<std::uintptr_t>(bytes.data()) & ~(page - 1);
  const std::uintptr_t end = reinterpret_cast<std::uintptr_t>(bytes.data() + bytes.size());
  // Where this fails, they fault.
  madvise(reinterpret_cast<void*>(begin), end - begin, MADV_POPULATE_WRITE);
}

}  // namespace

// Runs of {zero pages, stored pages, the bytes of those}; the last page of a memory may be short.
// What is behind the last run is zero; a run without stored pages ends the list.
u64 write_pages(Writer& to, const runtime::Memory& memory) {
  const u8* const base = memory.base();
  const u64 size = memory.size();
  const auto is_zero = [&](u64 at) { return base::is_zero(base + at, std::min(page, size - at)); };
  u64 stored = 0;
  u64 last = 0;  // where the run before ended
  for (u64 at = 0; at < size;) {
    if (is_zero(at)) {
      at += page;
      continue;
    }
    const u64 first = at;
    do at += page;
    while (at < size && !is_zero(at));
    const u64 end = std::min(at, size);
    to.number(static_cast<u32>((first - last) / page));
    to.number(static_cast<u32>((at - first) / page));
    to.bytes({base + first, end - first});
    stored += end - first;
    last = at;
  }
  to.number(u32{0});
  to.number(u32{0});
  return stored;
}

u64 read_pages(Reader& from, runtime::Memory& memory) {
  const u64 pages = (memory.size() + page - 1) / page;
  u64 stored = 0;
  u64 at = 0;  // in pages
  while (from.ok()) {
    const u64 zero = from.number<u32>();
    const u64 count = from.number<u32>();
    if (count == 0) break;
    if (!from.check(zero + count <= pages - at, "more pages than the memory has")) break;
    const u64 first = (at + zero) * page;
    at += zero + count;
    const u64 end = std::min(at * page, memory.size());
    for (u64 next = first; next < end && from.ok();) {
      const std::span<u8> piece(memory.base() + next, std::min(piece_bytes, end - next));
      if (piece.size() > page) populate(piece);
      from.bytes(piece);
      next += piece.size();
    }
    stored += end - first;
  }
  return stored;
}

}  // namespace atollvm::snapshot
