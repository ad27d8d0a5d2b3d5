#include "vm/runtime/mappings.hpp"

#include <errno.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <unordered_set>
#include <utility>

#include "vm/base/zero.hpp"

namespace atollvm::runtime {

namespace {

constexpr u64 least_host_page = 4096;  // of any host, or a part of one
std::atomic<u32> all_pieces{0};

// The pieces of all memories change from `before` to `after`. False: there would be too many.
bool count(usize before, usize after) {
  if (after <= before) {
    all_pieces.fetch_sub(static_cast<u32>(before - after), std::memory_order_relaxed);
    return true;
  }
  const u32 more = static_cast<u32>(after - before);
  u32 now = all_pieces.load(std::memory_order_relaxed);
  do {
    if (more > Mappings::most_of_all - now) return false;
  } while (!all_pieces.compare_exchange_weak(now, now + more, std::memory_order_relaxed));
  return true;
}

bool map_at(u8* at, u64 bytes, const SharedBytes& from, u64 offset) {
  void* const got = mmap(at, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE,
                         from.fd(), static_cast<off_t>(offset));
  return got != MAP_FAILED;
}

}  // namespace

Mappings::~Mappings() { count(pieces_.size(), 0); }

bool Mappings::put(u8* base, u64 at, u64 bytes, const std::shared_ptr<const SharedBytes>& from,
                   u64 offset) {
  const u64 end = at + bytes;
  std::vector<Piece> pieces;
  for (const Piece& each : pieces_) {
    if (each.begin < at) {
      pieces.push_back({each.begin, std::min(each.end, at), each.from, each.offset});
    }
    if (each.end > end) {
      const u64 begin = std::max(each.begin, end);
      pieces.push_back({begin, each.end, each.from, each.offset + (begin - each.begin)});
    }
  }
  pieces.push_back({at, end, from, offset});
  std::ranges::sort(pieces, {}, &Piece::begin);
  if (pieces.size() > most || !count(pieces_.size(), pieces.size())) return false;
  if (!map_at(base + at, bytes, *from, offset)) {
    count(pieces.size(), pieces_.size());
    // Where the kernel took away what was there before it failed, others would get it.
    const bool is_hole = madvise(base + at, bytes, MADV_NORMAL) != 0 && errno == ENOMEM;
    if (is_hole &&
        mmap(base + at, bytes, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) == MAP_FAILED) {
      std::abort();
    }
    return false;
  }
  pieces_.swap(pieces);
  return true;
}

bool Mappings::copy(u8* to, const u8* from, u64 size) const {
  u64 done = 0;
  for (const Piece& each : pieces_) {
    base::copy_to_zeros(to + done, from + done, each.begin - done);
    if (!map_at(to + each.begin, each.end - each.begin, *each.from, each.offset)) return false;
    for (u64 at = each.begin; at < each.end; at += least_host_page) {
      if (std::memcmp(to + at, from + at, least_host_page) != 0) {
        std::memcpy(to + at, from + at, least_host_page);
      }
    }
    done = each.end;
  }
  base::copy_to_zeros(to + done, from + done, size - done);
  return true;
}

u64 Mappings::held_bytes() const {
  std::unordered_set<const SharedBytes*> seen;
  u64 bytes = 0;
  for (const Piece& each : pieces_) {
    if (seen.insert(each.from.get()).second) bytes += each.from->size();
  }
  return bytes;
}

}  // namespace atollvm::runtime
