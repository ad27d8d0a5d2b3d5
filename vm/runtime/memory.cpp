#include "vm/runtime/memory.hpp"

#include <sys/mman.h>

#include <algorithm>

namespace atollvm::runtime {

namespace {

constexpr u64 host_page = 65536;  // of every supported host, or a multiple
constexpr u64 guard_bytes = 32u << 20;
constexpr u64 full_reserve = (u64{1} << 32) + guard_bytes;

u64 round_up(u64 bytes) { return (bytes + host_page - 1) / host_page * host_page; }

u8* map(u64 bytes, int protection) {
  void* at = mmap(nullptr, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return at == MAP_FAILED ? nullptr : static_cast<u8*>(at);
}

}  // namespace

std::unique_ptr<Memory> Memory::create(const mod::MemoryType& type, u64 byte_limit,
                                       MemoryStrategy strategy) {
  std::unique_ptr<Memory> memory(new Memory(type, byte_limit, strategy));
  if (strategy == MemoryStrategy::guarded) {
    memory->base_ = map(full_reserve, PROT_NONE);
    if (memory->base_ == nullptr) return nullptr;
    memory->reserved_ = full_reserve;
  }
  if (type.size.min > (u64{1} << 32) >> type.page_shift) return nullptr;
  const u64 bytes = type.size.min << type.page_shift;
  if (bytes > byte_limit || !memory->resize(bytes)) return nullptr;
  return memory;
}

Memory::~Memory() {
  if (base_ != nullptr) munmap(base_, reserved_);
}

i64 Memory::grow(u64 delta_pages) {
  const u64 old_pages = pages();
  const u64 hard_limit = type_.page_shift == 0 ? (u64{1} << 32) - 65536 : u64{1} << 32;
  const u64 max_pages = std::min({type_.size.max.value_or(hard_limit >> type_.page_shift),
                                  hard_limit >> type_.page_shift, byte_limit_ >> type_.page_shift});
  if (old_pages > max_pages || delta_pages > max_pages - old_pages) return -1;
  if (!resize((old_pages + delta_pages) << type_.page_shift)) return -1;
  return static_cast<i64>(old_pages);
}

// Makes `bytes` bytes usable; new ones are zero because they were never writable before, or were
// beyond size_ where nothing writes. Capacity doubles, so that growth by small steps is cheap.
bool Memory::resize(u64 bytes) {
  if (bytes > capacity_) {
    u64 capacity = round_up(bytes);
    if (strategy_ == MemoryStrategy::guarded) {
      if (mprotect(base_, capacity, PROT_READ | PROT_WRITE) != 0) return false;
    } else if (base_ == nullptr) {
      base_ = map(capacity, PROT_READ | PROT_WRITE);
      if (base_ == nullptr) return false;
      reserved_ = capacity;
    } else {
      capacity = std::max(capacity, std::min(capacity_ * 2, round_up(byte_limit_)));
      void* at = mremap(base_, reserved_, capacity, MREMAP_MAYMOVE);
      if (at == MAP_FAILED) return false;
      base_ = static_cast<u8*>(at);
      reserved_ = capacity;
    }
    capacity_ = capacity;
  }
  size_ = bytes;
  return true;
}

}  // namespace atollvm::runtime
