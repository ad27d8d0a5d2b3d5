// A list that usually has no item or one, which needs no memory of its own.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

#include "vm/base/types.hpp"

namespace atollvm::base {

// Stays where it is: neither copied nor moved. Items move when it grows beyond what was reserved.
template <class T>
class Few {
 public:
  Few() = default;
  ~Few() { clear(); }
  Few(const Few&) = delete;
  Few& operator=(const Few&) = delete;

  [[nodiscard]] usize size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  T& operator[](usize index) { return data_[index]; }
  const T& operator[](usize index) const { return data_[index]; }
  [[nodiscard]] T& front() { return *data_; }
  [[nodiscard]] const T& front() const { return *data_; }
  [[nodiscard]] T& back() { return data_[size_ - 1]; }
  [[nodiscard]] T* begin() { return data_; }
  [[nodiscard]] T* end() { return data_ + size_; }
  [[nodiscard]] const T* begin() const { return data_; }
  [[nodiscard]] const T* end() const { return data_ + size_; }

  // Throws std::bad_alloc.
  void reserve(usize count) {
    if (count <= capacity_) return;
    std::allocator<T> allocator;
    T* const larger = allocator.allocate(count);
    std::uninitialized_move_n(data_, size_, larger);
    const u32 kept = size_;
    clear();
    data_ = larger;
    size_ = kept;
    capacity_ = static_cast<u32>(count);
  }
  void push_back(T item) {
    if (size_ == capacity_) reserve(usize{capacity_} * 2);
    std::construct_at(data_ + size_, std::move(item));
    ++size_;
  }
  // Takes items away from the end.
  void shrink(usize count) {
    while (size_ > count) std::destroy_at(data_ + --size_);
  }

 private:
  void clear() {
    shrink(0);
    if (data_ != own()) std::allocator<T>().deallocate(data_, capacity_);
    data_ = own();
    capacity_ = 1;
  }

  T* own() { return reinterpret_cast<T*>(one_); }

  alignas(T) std::byte one_[sizeof(T)];
  T* data_ = own();
  u32 size_ = 0;
  u32 capacity_ = 1;
};

// Flags, as many as were set up; up to 64 need no memory of their own.
class Flags {
 public:
  Flags() = default;
  // All off. Throws std::bad_alloc.
  void assign(usize count) {
    more_ = count > 64 ? std::make_unique<u64[]>((count + 63) / 64) : nullptr;
    few_ = 0;
  }
  [[nodiscard]] bool test(usize index) const {
    return (words()[index / 64] >> index % 64 & 1) != 0;
  }
  void set(usize index) {
    u64* const words = more_ != nullptr ? more_.get() : &few_;
    words[index / 64] |= u64{1} << index % 64;
  }

 private:
  [[nodiscard]] const u64* words() const { return more_ != nullptr ? more_.get() : &few_; }
  u64 few_ = 0;
  std::unique_ptr<u64[]> more_;
};

}  // namespace atollvm::base
