// A list that usually has no item or one, which needs no memory of its own.
#pragma once

#include <cstddef>
#include <cstdint>
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
  // For compiled code: where in a list the address of its first item is.
  static constexpr usize items_offset() { return offsetof(Few, data_); }
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

// Flags, as many as were set up; up to 63 need no memory of their own.
class Flags {
 public:
  Flags() = default;
  ~Flags() { delete[] more(); }
  Flags(const Flags&) = delete;
  Flags& operator=(const Flags&) = delete;
  // All off. Throws std::bad_alloc.
  void assign(usize count) {
    u64* const words = count > most_few ? new u64[(count + 63) / 64]() : nullptr;
    delete[] more();
    bits_ = words != nullptr ? reinterpret_cast<std::uintptr_t>(words) : few_mark;
  }
  [[nodiscard]] bool test(usize index) const {
    if (is_few()) return (bits_ >> (index + 1) & 1) != 0;
    return (more()[index / 64] >> index % 64 & 1) != 0;
  }
  void set(usize index) { set(index, 1); }
  // Sets `count` of them from `begin` on.
  void set(usize begin, usize count) {
    if (is_few()) {
      if (count != 0) bits_ |= ~u64{0} >> (64 - count) << (begin + 1);
      return;
    }
    for (usize i = begin; i < begin + count; ++i) more()[i / 64] |= u64{1} << i % 64;
  }

 private:
  static constexpr usize most_few = 63;
  static constexpr u64 few_mark = 1;  // the lowest bit; the flags are above it
  static_assert(sizeof(u64*) == sizeof(u64));

  [[nodiscard]] bool is_few() const { return (bits_ & few_mark) != 0; }
  [[nodiscard]] u64* more() const {
    return is_few() ? nullptr : reinterpret_cast<u64*>(static_cast<std::uintptr_t>(bits_));
  }
  u64 bits_ = few_mark;  // or an address
};

}  // namespace atollvm::base
