// The memory of a VM stack.
#pragma once

#include <utility>

#include "vm/base/blocks.hpp"
#include "vm/runtime/host.hpp"

namespace atollvm::runtime {

// So many slots, or none.
class Slots {
 public:
  Slots() = default;
  // Without values. None: the host has no memory. At most 2^32 - 1.
  explicit Slots(u64 capacity) noexcept
      : data_(static_cast<Slot*>(base::take_block(capacity * sizeof(Slot)))),
        capacity_(data_ == nullptr ? 0 : static_cast<u32>(capacity)) {}
  Slots(Slots&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), capacity_(std::exchange(other.capacity_, 0)) {}
  Slots& operator=(Slots&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(capacity_, other.capacity_);
    return *this;
  }
  ~Slots() { base::give_block(data_, capacity_ * sizeof(Slot)); }

  [[nodiscard]] Slot* get() const { return data_; }
  [[nodiscard]] Slot* end() const { return data_ + capacity_; }
  [[nodiscard]] u32 capacity() const { return capacity_; }

 private:
  Slot* data_ = nullptr;
  u32 capacity_ = 0;
};

}  // namespace atollvm::runtime
