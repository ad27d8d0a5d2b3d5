// Linear memories.
#pragma once

#include <cstddef>
#include <memory>
#include <new>

#include "vm/base/types.hpp"
#include "vm/module/module.hpp"
#include "vm/runtime/mappings.hpp"

namespace atollvm::runtime {

struct Strip;

// How accesses of compiled code are kept inside; the interpreter always checks explicitly.
enum class MemoryStrategy : u8 {
  checked,  // exact size, compared at each access; may move when it grows; small ones share
            // mappings
  guarded,  // 4 GiB and a guard are reserved; never moves
};

// One linear memory: zero-filled, grows, never shrinks. Belongs to the process's thread.
class Memory {
 public:
  // Up to here it is a block of the heap: a tenth of the time of a slot, whose first touched byte
  // costs a page fault, for at most one resident page more.
  static constexpr u64 largest_block = 8192;

  // `byte_limit` bounds the size whatever the type says. Null when the minimum is above it or the
  // host has no memory.
  static std::unique_ptr<Memory> create(const mod::MemoryType& type, u64 byte_limit,
                                        MemoryStrategy strategy);
  ~Memory();
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  static void* operator new(usize size, const std::nothrow_t&) noexcept;
  static void operator delete(void* memory) noexcept;

  [[nodiscard]] u8* base() const { return base_; }
  [[nodiscard]] u64 size() const { return size_; }  // bytes
  [[nodiscard]] u64 pages() const { return size_ >> page_shift_; }
  // Its type now: its minimum is what it has.
  [[nodiscard]] mod::MemoryType type() const;
  [[nodiscard]] u32 page_shift() const { return page_shift_; }
  [[nodiscard]] MemoryStrategy strategy() const { return strategy_; }

  // For compiled code: where these are.
  static constexpr usize base_offset() { return offsetof(Memory, base_); }
  static constexpr usize size_offset() { return offsetof(Memory, size_); }
  static constexpr usize page_shift_offset() { return offsetof(Memory, page_shift_); }

  // Adds pages. The old size in pages, or -1 when the type's maximum, the limit or the host
  // refuses (then nothing changed). The base may change.
  i64 grow(u64 delta_pages);
  // A block of the heap.
  [[nodiscard]] bool is_small() const { return home_ == Home::block; }
  // A small one as it was created, of the same type, with this limit, which is not below its
  // minimum.
  void begin_again(u64 minimum, u64 byte_limit);
  // Bytes that are held for it.
  [[nodiscard]] u64 capacity() const { return capacity_; }
  // Whether it is large enough that bytes can be mapped into it.
  [[nodiscard]] bool can_map() const { return home_ == Home::mapping; }
  // Has bytes of others in place of its own, all of them inside and multiples of map_granule, until
  // it writes to them. False: the host refuses, or there are too many, and nothing changed. Throws
  // std::bad_alloc.
  bool map(u64 at, u64 bytes, const std::shared_ptr<const SharedBytes>& from, u64 offset);
  // Of others that it holds, whole.
  [[nodiscard]] u64 held_bytes() const {
    return can_map() && mappings_ != nullptr ? mappings_->held_bytes() : 0;
  }
  // Of a memory that nobody uses any more: gives about so many bytes back to the host. False: there
  // are more.
  bool release(u64 bytes);

 private:
  Memory(const mod::MemoryType& type, u64 byte_limit, MemoryStrategy strategy)
      : max_pages_(type.size.max.value_or(no_max)),
        byte_limit_(byte_limit),
        page_shift_(type.page_shift),
        strategy_(strategy) {}
  // Where its bytes are.
  enum class Home : u8 { none, block, slot, mapping };

  bool resize(u64 bytes);
  bool reserve(u64 bytes);
  bool reserve_block(u64 bytes);
  bool reserve_mapping(u64 bytes);
  bool move_mapped(u64 capacity);
  void settle(Home home, u8* base, u64 capacity, Strip* strip);
  void leave();

  static constexpr u64 no_max = ~u64{0};

  u64 max_pages_;  // of its type
  u64 byte_limit_;
  u8 page_shift_;
  MemoryStrategy strategy_;
  Home home_ = Home::none;
  u8* base_ = nullptr;
  u64 size_ = 0;      // bytes that guests may use
  u64 capacity_ = 0;  // bytes that are readable and writable; beyond size_ they are zero
  union {
    Strip* strip_ = nullptr;  // Home::slot: that the slot is in
    Mappings* mappings_;      // Home::mapping: owned; null: none
  };
};

}  // namespace atollvm::runtime
