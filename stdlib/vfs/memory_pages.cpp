#include "stdlib/vfs/memory_pages.hpp"

#include <string.h>

#include <algorithm>
#include <bit>
#include <new>

namespace atollvm::vfs {
namespace {

constexpr u64 most_bytes = static_cast<u64>(INT64_MAX);

}  // namespace

bool Budget::take(u64 amount) {
  u64 left = left_.load(std::memory_order_relaxed);
  do {
    if (left < amount) return false;
  } while (!left_.compare_exchange_weak(left, left - amount, std::memory_order_relaxed));
  return true;
}

Pages::Chunk* Pages::find(u64 index) {
  if (last_ != nullptr && last_index_ == index) return last_;
  const auto found = chunks_.find(index);
  if (found == chunks_.end()) return nullptr;
  last_ = &found->second;
  last_index_ = index;
  return last_;
}

u32 Pages::read(std::span<u8> bytes, u64 at) {
  if (at >= size_) return 0;
  bytes = bytes.first(static_cast<usize>(std::min<u64>(bytes.size(), size_ - at)));
  for (usize done = 0; done < bytes.size();) {
    const u64 here = at + done;
    const u64 inside = here % page_size;
    const usize part = static_cast<usize>(std::min<u64>(bytes.size() - done, page_size - inside));
    const Chunk* const chunk = find(here / chunk_size);
    const Page* const page =
        chunk == nullptr ? nullptr : chunk->pages[here / page_size % chunk_pages].get();
    if (page != nullptr) {
      memcpy(bytes.data() + done, page->data() + inside, part);
    } else {
      memset(bytes.data() + done, 0, part);
    }
    done += part;
  }
  return static_cast<u32>(bytes.size());
}

Pages::Page* Pages::make_page(u64 at, bool is_overwritten) {
  const u64 index = at / chunk_size;
  const u64 number = at / page_size % chunk_pages;
  Chunk* chunk = find(index);
  if (chunk != nullptr && chunk->pages[number] != nullptr) return chunk->pages[number].get();
  const bool is_paid = chunk != nullptr && (chunk->paid >> number & 1) != 0;
  if (!is_paid && !budget_.take(page_size)) return nullptr;
  std::unique_ptr<Page> page(new (std::nothrow) Page);
  if (page == nullptr) {
    if (!is_paid) budget_.give(page_size);
    return nullptr;
  }
  if (!is_overwritten) page->fill(0);
  if (chunk == nullptr) {
    chunk = last_ = &chunks_[index];
    last_index_ = index;
  }
  if (!is_paid) ++paid_pages_;
  chunk->paid |= 1u << number;
  chunk->pages[number] = std::move(page);
  return chunk->pages[number].get();
}

Outcome<u32> Pages::write(std::span<const u8> bytes, u64 at) {
  if (bytes.empty()) return 0u;
  if (at >= most_bytes) return Errno::fbig;
  bytes = bytes.first(static_cast<usize>(std::min<u64>(bytes.size(), most_bytes - at)));
  usize done = 0;
  while (done < bytes.size()) {
    const u64 here = at + done;
    const u64 inside = here % page_size;
    const usize part = static_cast<usize>(std::min<u64>(bytes.size() - done, page_size - inside));
    Page* const page = make_page(here, part == page_size);
    if (page == nullptr) break;
    memcpy(page->data() + inside, bytes.data() + done, part);
    done += part;
  }
  if (done == 0) return Errno::nospc;
  size_ = std::max(size_, at + done);
  return static_cast<u32>(done);
}

Errno Pages::resize(u64 size) {
  if (size > most_bytes) return Errno::fbig;
  if (size < size_) {
    cut(size);
    const Chunk* const chunk = find(size / chunk_size);
    Page* const page =
        chunk == nullptr ? nullptr : chunk->pages[size / page_size % chunk_pages].get();
    if (page != nullptr)
      std::fill(page->begin() + static_cast<i64>(size % page_size), page->end(), 0);
  }
  size_ = size;
  return Errno::success;
}

Errno Pages::reserve(u64 at, u64 size) {
  if (at > most_bytes || size > most_bytes - at) return Errno::fbig;
  const u64 first = at / page_size;
  const u64 end = (at + size + page_size - 1) / page_size;
  // What is certainly too much is not begun with.
  if (end - first > paid_pages_ && end - first - paid_pages_ > budget_.left() / page_size) {
    return Errno::nospc;
  }
  // The bits of the range in a chunk.
  const auto wanted = [&](u64 index) {
    const u64 begin = index * chunk_pages;
    const u64 low = std::max(first, begin) - begin;
    const u64 high = std::min(end, begin + chunk_pages) - begin;
    return ((1u << high) - 1) & ~((1u << low) - 1);
  };
  const u64 end_chunk = (end + chunk_pages - 1) / chunk_pages;
  u64 missing = end - first;
  for (auto each = chunks_.lower_bound(first / chunk_pages);
       each != chunks_.end() && each->first < end_chunk; ++each) {
    missing -= static_cast<u64>(std::popcount(each->second.paid & wanted(each->first)));
  }
  if (!budget_.take(missing * page_size)) return Errno::nospc;
  paid_pages_ += missing;
  for (u64 index = first / chunk_pages; index < end_chunk; ++index) {
    chunks_[index].paid |= wanted(index);
  }
  size_ = std::max(size_, at + size);
  return Errno::success;
}

void Pages::cut(u64 size) {
  const u64 kept = (size + page_size - 1) / page_size;  // pages
  u64 freed = 0;
  last_ = nullptr;
  auto each = chunks_.lower_bound(kept / chunk_pages);
  while (each != chunks_.end()) {
    Chunk& chunk = each->second;
    for (u64 bit = 0; bit < chunk_pages; ++bit) {
      if (each->first * chunk_pages + bit < kept) continue;
      chunk.pages[bit].reset();
      freed += chunk.paid >> bit & 1;
      chunk.paid &= ~(1u << bit);
    }
    each = chunk.paid == 0 ? chunks_.erase(each) : std::next(each);
  }
  paid_pages_ -= freed;
  budget_.give(freed * page_size);
}

}  // namespace atollvm::vfs
