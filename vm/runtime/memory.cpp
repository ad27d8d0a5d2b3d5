#include "vm/runtime/memory.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "vm/base/blocks.hpp"
#include "vm/base/poison.hpp"
#include "vm/base/zero.hpp"
#include "vm/runtime/guard.hpp"
#include "vm/runtime/strips.hpp"

namespace atollvm::runtime {

namespace {

constexpr u64 host_page = 65536;  // of every supported host, or a multiple

u64 round_up(u64 bytes) { return (bytes + host_page - 1) / host_page * host_page; }

u8* map_zeros(u64 bytes, int protection) {
  void* at = mmap(nullptr, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return at == MAP_FAILED ? nullptr : static_cast<u8*>(at);
}

// There may be millions; blocks have eight bytes more than a multiple of 16.
static_assert(sizeof(Memory) <= 56);

}  // namespace

std::unique_ptr<Memory> Memory::create(const mod::MemoryType& type, u64 byte_limit,
                                       MemoryStrategy strategy) {
  std::unique_ptr<Memory> memory(new (std::nothrow) Memory(type, byte_limit, strategy));
  if (memory == nullptr) return nullptr;
  if (strategy == MemoryStrategy::guarded) {
    memory->base_ = map_zeros(guarded_reserve, PROT_NONE);
    if (memory->base_ == nullptr) return nullptr;
    memory->home_ = Home::mapping;
    memory->mappings_ = nullptr;
  }
  if (type.size.min > (u64{1} << 32) >> type.page_shift) return nullptr;
  const u64 bytes = type.size.min << type.page_shift;
  if (bytes > byte_limit || !memory->resize(bytes)) return nullptr;
  return memory;
}

Memory::~Memory() { leave(); }

void* Memory::operator new(usize size, const std::nothrow_t&) noexcept {
  return base::take_block(size);
}
void Memory::operator delete(void* memory) noexcept { base::give_block(memory, sizeof(Memory)); }

mod::MemoryType Memory::type() const {
  mod::MemoryType type;
  type.size.min = pages();
  if (max_pages_ != no_max) type.size.max = max_pages_;
  type.page_shift = page_shift_;
  return type;
}

i64 Memory::grow(u64 delta_pages) {
  const u64 old_pages = pages();
  const u64 hard_limit = page_shift_ == 0 ? (u64{1} << 32) - 65536 : u64{1} << 32;
  const u64 max_pages =
      std::min({max_pages_, hard_limit >> page_shift_, byte_limit_ >> page_shift_});
  if (old_pages > max_pages || delta_pages > max_pages - old_pages) return -1;
  if (!resize((old_pages + delta_pages) << page_shift_)) return -1;
  return static_cast<i64>(old_pages);
}

// Makes `bytes` bytes usable; new ones are zero because they were so when they came here, and
// nothing writes beyond size_.
bool Memory::resize(u64 bytes) {
  if (bytes > capacity_) {
    base::unpoison(base_ + size_, capacity_ - size_);
    const bool done = reserve(bytes);
    if (done) size_ = bytes;
    base::poison(base_ + size_, capacity_ - size_);
    return done;
  }
  base::unpoison(base_ + size_, bytes - size_);
  size_ = bytes;
  return true;
}

// Capacity at least doubles, so that growth by small steps is cheap.
bool Memory::reserve(u64 bytes) {
  if (strategy_ == MemoryStrategy::guarded) {
    const u64 capacity = round_up(bytes);
    if (mprotect(base_, capacity, PROT_READ | PROT_WRITE) != 0) return false;
    capacity_ = capacity;
    return true;
  }
  if (bytes <= largest_block) return reserve_block(bytes);
  if (bytes > largest_strip_slot()) return reserve_mapping(bytes);
  const StripSlot slot = take_strip_slot(bytes);
  if (slot.base == nullptr) return false;
  settle(Home::slot, slot.base, slot.bytes, slot.strip);
  return true;
}

bool Memory::reserve_block(u64 bytes) {
  const u64 capacity = std::max(bytes, std::min(capacity_ * 2, largest_block));
  u8* const block = static_cast<u8*>(base::take_block(capacity));
  if (block == nullptr) return false;
  std::memset(block, 0, capacity);
  settle(Home::block, block, capacity, nullptr);
  return true;
}

bool Memory::reserve_mapping(u64 bytes) {
  const u64 capacity = std::max(round_up(bytes), std::min(capacity_ * 2, round_up(byte_limit_)));
  if (home_ != Home::mapping) {
    u8* const base = map_zeros(capacity, PROT_READ | PROT_WRITE);
    if (base == nullptr) return false;
    settle(Home::mapping, base, capacity, nullptr);
    return true;
  }
  if (mappings_ != nullptr) return move_mapped(capacity);
  void* const at = mremap(base_, capacity_, capacity, MREMAP_MAYMOVE);
  if (at == MAP_FAILED) return false;
  base_ = static_cast<u8*>(at);
  capacity_ = capacity;
  return true;
}

// The kernel moves no mapping of several kinds.
bool Memory::move_mapped(u64 capacity) {
  u8* const to = map_zeros(capacity, PROT_READ | PROT_WRITE);
  if (to == nullptr) return false;
  base::unpoison(to, capacity);
  if (!mappings_->copy(to, base_, size_)) {
    munmap(to, capacity);
    return false;
  }
  munmap(base_, capacity_);
  base_ = to;
  capacity_ = capacity;
  return true;
}

bool Memory::map(u64 at, u64 bytes, const std::shared_ptr<const SharedBytes>& from, u64 offset) {
  if (mappings_ == nullptr) mappings_ = new Mappings;
  return mappings_->put(base_, at, bytes, from, offset);
}

// Moves to `capacity` zero bytes at `base`, which are the memory's from now on.
void Memory::settle(Home home, u8* base, u64 capacity, Strip* strip) {
  base::unpoison(base, capacity);
  base::copy_to_zeros(base, base_, size_);
  leave();
  home_ = home;
  base_ = base;
  capacity_ = capacity;
  if (home == Home::mapping) {
    mappings_ = nullptr;
  } else {
    strip_ = strip;
  }
}

void Memory::begin_again(u64 minimum, u64 byte_limit) {
  std::memset(base_, 0, size_);
  byte_limit_ = byte_limit;
  base::unpoison(base_, capacity_);
  size_ = minimum;
  base::poison(base_ + size_, capacity_ - size_);
}

bool Memory::release(u64 bytes) {
  // To unmap all of a large one takes long. Its pages are the host's, so this can't fail.
  if (home_ != Home::mapping || size_ <= bytes) return true;
  size_ = (size_ - bytes) & ~u64{0xffff};
  base::unpoison(base_ + size_, capacity_ - size_);
  madvise(base_ + size_, std::min(capacity_ - size_, bytes + 0xffff), MADV_DONTNEED);
  return false;
}

// Gives up where it is.
void Memory::leave() {
  switch (home_) {
    case Home::none:
      return;
    case Home::block:
      base::unpoison(base_, capacity_);
      base::give_block(base_, capacity_);
      return;
    case Home::slot:
      release_strip_slot(strip_, base_);
      return;
    case Home::mapping:
      base::unpoison(base_, capacity_);
      munmap(base_, strategy_ == MemoryStrategy::guarded ? guarded_reserve : capacity_);
      delete mappings_;
      return;
  }
}

}  // namespace atollvm::runtime
