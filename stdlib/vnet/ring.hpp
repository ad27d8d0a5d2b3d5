// Bytes in the order of a stream, up to a capacity. Memory is taken as it fills.
#pragma once

#include <span>
#include <vector>

#include "vm/base/types.hpp"

namespace atollvm::vnet {

class Ring {
 public:
  explicit Ring(usize capacity) : capacity_(capacity) {}

  [[nodiscard]] usize size() const { return size_; }
  [[nodiscard]] usize free() const { return capacity_ - size_; }
  [[nodiscard]] usize capacity() const { return capacity_; }
  // What it has taken.
  [[nodiscard]] usize memory() const { return bytes_.size(); }

  // Puts in as many as fit.
  usize push(std::span<const u8> bytes);
  // Puts bytes `offset` behind the end, which they do not move; all must fit.
  void put(usize offset, std::span<const u8> bytes);
  // The end moves over so many bytes that put() has put there.
  void extend(usize count) { size_ += count; }
  // The bytes from `offset` on, in two pieces.
  struct Pieces {
    std::span<const u8> first;
    std::span<const u8> second;
  };
  [[nodiscard]] Pieces peek(usize offset, usize count) const;
  void drop(usize count);
  usize pop(std::span<u8> to);
  // The same, but they stay.
  usize copy(std::span<u8> to) const;
  // Gives the memory back.
  void clear();

 private:
  void reserve(usize count);

  usize capacity_;
  std::vector<u8> bytes_;
  usize start_ = 0;
  usize size_ = 0;
};

}  // namespace atollvm::vnet
