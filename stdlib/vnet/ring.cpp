#include "stdlib/vnet/ring.hpp"

#include <string.h>

#include <algorithm>

namespace atollvm::vnet {
namespace {

constexpr usize least = 2048;

}  // namespace

void Ring::reserve(usize count) {
  if (count <= bytes_.size()) return;
  usize to = std::max(least, bytes_.size());
  while (to < count) to *= 2;
  to = std::min(to, capacity_);
  // Also what was put behind the end moves along.
  std::vector<u8> larger(to);
  const usize first = bytes_.size() - start_;
  if (!bytes_.empty()) {
    memcpy(larger.data(), bytes_.data() + start_, first);
    memcpy(larger.data() + first, bytes_.data(), start_);
  }
  bytes_ = std::move(larger);
  start_ = 0;
}

usize Ring::push(std::span<const u8> bytes) {
  const usize count = std::min(bytes.size(), free());
  put(0, bytes.first(count));
  size_ += count;
  return count;
}

void Ring::put(usize offset, std::span<const u8> bytes) {
  if (bytes.empty()) return;
  reserve(size_ + offset + bytes.size());
  usize at = start_ + size_ + offset;
  if (at >= bytes_.size()) at -= bytes_.size();
  const usize first = std::min(bytes.size(), bytes_.size() - at);
  memcpy(bytes_.data() + at, bytes.data(), first);
  memcpy(bytes_.data(), bytes.data() + first, bytes.size() - first);
}

Ring::Pieces Ring::peek(usize offset, usize count) const {
  if (count == 0) return {};
  usize at = start_ + offset;
  if (at >= bytes_.size()) at -= bytes_.size();
  const usize first = std::min(count, bytes_.size() - at);
  return {std::span(bytes_).subspan(at, first), std::span(bytes_).first(count - first)};
}

void Ring::drop(usize count) {
  size_ -= count;
  start_ += count;
  if (start_ >= bytes_.size()) start_ -= bytes_.size();
}

usize Ring::copy(std::span<u8> to) const {
  const usize count = std::min(to.size(), size_);
  const auto [first, second] = peek(0, count);
  std::copy(first.begin(), first.end(), to.begin());
  std::copy(second.begin(), second.end(), to.begin() + static_cast<std::ptrdiff_t>(first.size()));
  return count;
}

usize Ring::pop(std::span<u8> to) {
  const usize count = copy(to);
  drop(count);
  return count;
}

void Ring::clear() {
  bytes_ = {};
  start_ = 0;
  size_ = 0;
}

}  // namespace atollvm::vnet
