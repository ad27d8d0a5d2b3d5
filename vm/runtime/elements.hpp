// The elements of a table.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <new>
#include <utility>
#include <vector>

#include "vm/base/types.hpp"

namespace atollvm::runtime {

// Like a vector, but it makes room without writing to it, and large ones move without being copied
// (realloc remaps them): so growth can be cut in pieces.
class Elements {
 public:
  Elements() = default;
  // Throws std::bad_alloc.
  Elements(u64 size, u64 value) {
    if (!reserve(size)) throw std::bad_alloc();
    std::fill_n(data_, size, value);
    size_ = size;
  }
  ~Elements() { std::free(data_); }
  Elements(Elements&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)),
        capacity_(std::exchange(other.capacity_, 0)) {}
  Elements& operator=(Elements&&) = delete;

  [[nodiscard]] u64 size() const { return size_; }
  [[nodiscard]] u64* data() { return data_; }
  [[nodiscard]] const u64* data() const { return data_; }
  u64& operator[](u64 index) { return data_[index]; }
  const u64& operator[](u64 index) const { return data_[index]; }
  [[nodiscard]] const u64* begin() const { return data_; }
  [[nodiscard]] const u64* end() const { return data_ + size_; }
  bool operator==(const std::vector<u64>& other) const {
    return std::equal(begin(), end(), other.begin(), other.end());
  }

  // Bytes that it holds.
  [[nodiscard]] u64 bytes() const { return capacity_ * sizeof(u64); }
  // Elements that there would be room for after reserve(count).
  [[nodiscard]] u64 capacity_for(u64 count) const {
    const u64 needed = size_ + count;
    return needed <= capacity_ ? capacity_ : std::max(needed, capacity_ * 2);
  }
  // Room for `count` more elements at end(), not yet written. False: the host has no memory.
  bool reserve(u64 count) { return make_room(capacity_for(count)); }
  // Room for `capacity` elements, if that is more than there is.
  bool make_room(u64 capacity) {
    if (capacity <= capacity_) return true;
    void* const larger = std::realloc(data_, capacity * sizeof(u64));
    if (larger == nullptr) return false;
    data_ = static_cast<u64*>(larger);
    capacity_ = capacity;
    return true;
  }
  // When nobody uses them any more: gives about so many bytes back to the host. False: there are
  // more.
  bool release(u64 bytes) {
    const u64 count = bytes / sizeof(u64);
    if (capacity_ <= count) return true;
    capacity_ -= count;
    size_ = std::min(size_, capacity_);
    void* const smaller = std::realloc(data_, capacity_ * sizeof(u64));
    if (smaller == nullptr) return true;
    data_ = static_cast<u64*>(smaller);
    return false;
  }
  // For compiled code: where the address of the first one is, and their number.
  static constexpr usize data_offset() { return offsetof(Elements, data_); }
  static constexpr usize size_offset() { return offsetof(Elements, size_); }
  // Takes in `count` elements that were written to reserved room.
  void extend(u64 count) { size_ += count; }

 private:
  u64* data_ = nullptr;
  u64 size_ = 0;
  u64 capacity_ = 0;
};

}  // namespace atollvm::runtime
