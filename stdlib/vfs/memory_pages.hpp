// The bytes of a file in memory, and what all files may take. Internal to the folder.
#pragma once

#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <span>

#include "stdlib/vfs/vfs.hpp"

namespace atollvm::vfs {

// What is left of a limit. Threads: any, at once.
class Budget {
 public:
  explicit Budget(u64 limit) : left_(limit) {}

  // False, and nothing is taken: there is less.
  bool take(u64 amount);
  void give(u64 amount) { left_.fetch_add(amount, std::memory_order_relaxed); }
  [[nodiscard]] u64 left() const { return left_.load(std::memory_order_relaxed); }

 private:
  std::atomic<u64> left_;
};

// Sparse bytes: a page that was never written takes nothing. Threads: one.
//
// Bytes of a page behind the end are zero, so growing makes zeros of them. A page is paid for
// before it is there: reserve() pays without making any.
class Pages {
 public:
  explicit Pages(Budget& budget) : budget_(budget) {}
  ~Pages() { cut(0); }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;

  [[nodiscard]] u64 size() const { return size_; }
  u32 read(std::span<u8> bytes, u64 at);
  // As many as there is room for. Errors: fbig, nospc (not even one), nomem.
  Outcome<u32> write(std::span<const u8> bytes, u64 at);
  // Errors: fbig.
  Errno resize(u64 size);
  // Errors: fbig, nospc, nomem; without an effect then.
  Errno reserve(u64 at, u64 size);

  static constexpr u64 page_size = 4096;
  using Page = std::array<u8, page_size>;
  // All that is paid for, in order. `page` is null: all zero.
  template <class Visit>  // (u64 number, const Page* page)
  void for_each_page(const Visit& visit) const {
    for (const auto& [index, chunk] : chunks_) {
      for (u64 bit = 0; bit < chunk_pages; ++bit) {
        if ((chunk.paid >> bit & 1) == 0) continue;
        visit(index * chunk_pages + bit, chunk.pages[bit].get());
      }
    }
  }
  // Of the host's memory, besides the pages themselves, that reserve() takes at most.
  static constexpr u64 cost_of_reserving(u64 pages) {
    return (pages / chunk_pages + 2) * (sizeof(Chunk) + 64);
  }

 private:
  static constexpr u64 chunk_pages = 16;
  static constexpr u64 chunk_size = chunk_pages * page_size;
  struct Chunk {
    std::array<std::unique_ptr<Page>, chunk_pages> pages;
    u32 paid = 0;  // a bit for each page
  };

  // Null: there is none.
  Chunk* find(u64 index);
  // The page of a byte, made when there is none. Null: no room, or no memory.
  Page* make_page(u64 at, bool is_overwritten);
  // Gives back what lies behind the first `size` bytes.
  void cut(u64 size);

  Budget& budget_;
  u64 size_ = 0;
  u64 paid_pages_ = 0;
  std::map<u64, Chunk> chunks_;
  // The chunk that was used last: files are mostly read and written in order.
  Chunk* last_ = nullptr;
  u64 last_index_ = 0;
};

}  // namespace atollvm::vfs
