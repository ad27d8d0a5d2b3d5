// Virtual time, and a queue in its order.
//
// A node that runs for t ns at weight w gains t / w of virtual time. It is counted in ticks of
// 2^26 / 2^20 = 64 ns at weight 1 (6.4 us at weight 100), and a fraction of 26 bits, so that no
// burst is too short to count at any weight, and 64 bits of ticks last for 37,000 years.
#pragma once

#include <algorithm>
#include <bit>
#include <utility>

#include "scheduler/policy/ring.hpp"

namespace atollvm::policy {

inline constexpr u32 fraction_bits = 26;
// What is owed beyond this many ticks (68 s of CPU time at weight 1) is forgiven: it bounds how
// long anyone can be kept waiting for what happened before, and the range of a wheel.
inline constexpr u64 max_debt = u64{1} << 30;

// 2^40 / weight, rounded up: who runs is never charged less than it ran.
constexpr u64 inverse_of(u32 weight) noexcept { return ((u64{1} << 40) + weight - 1) / weight; }

// Virtual time of `ran` ns in 1/2^26 ticks, at most max_debt ticks.
inline u64 virtual_time(u64 ran, u64 inverse) noexcept {
  __extension__ using u128 = unsigned __int128;
  const u128 exact = (static_cast<u128>(ran) * inverse) >> 20;
  return static_cast<u64>(std::min<u128>(exact, max_debt << fraction_bits));
}

inline void charge(Node& node, u64 ran, u64 inverse) noexcept {
  const u64 sum = node.fraction + virtual_time(ran, inverse);
  node.key += sum >> fraction_bits;
  node.fraction = static_cast<u32>(sum & ((u64{1} << fraction_bits) - 1));
}

// Nodes in order of their keys; those of one tick in order of their coming. A timing wheel of
// levels (Varghese, Lauck, 1987) with 64 slots each that go round: at level n a slot holds a block
// of 64^n ticks, and a node is at the lowest level where its block is one of the 64 from that of
// `base_` on. When the queue's time comes to a block above level 0, its nodes move down. How high a
// node starts depends on the CPU time that it used, so that short bursts, which are the ones where
// it matters, never move.
//
// No call moves more than `most_moved` nodes. Of a block with more, so many move at each call until
// all have, and what is given meanwhile is the first of those that have: so order is exact but for
// one in 256, where very many are in a block.
//
// Keys lie at most 2^34 ticks above base_. Keys before base_ are queued as if they were base_.
class Wheel {
 public:
  [[nodiscard]] bool empty() const noexcept { return levels_ == 0; }

  // `now`: where the queue's time is; it has picked nothing above it. Keys are at most max_debt
  // above.
  void push(Node& node, u64 now) noexcept {
    if (empty()) {
      base_ = now;
      due_ = never;
    }
    place(node);
  }

  // The first node, or null. It stays queued.
  Node* front() noexcept {
    if (empty()) return nullptr;
    u64 first = first_tick();
    for (u32 left = most_moved; first >= due_; first = first_tick()) {
      if (left == 0) return front_of(static_cast<u32>(std::countr_zero(levels_)));
      left = move_down(first, left);
    }
    // To its block of 64: who comes later can still be before it there.
    base_ = std::max(base_, first & ~u64{63});
    return slots_[0][first & 63].front();
  }

  // Whether front() has moved nodes since this was asked last: that takes time.
  bool take_moved() noexcept { return std::exchange(has_moved_, false); }

  void remove(Node& node) noexcept {
    Ring& ring = slots_[node.level][node.slot];
    ring.remove(node);
    if (ring.empty()) clear(node.level, node.slot);
  }

 private:
  static constexpr u32 level_count = 6;
  static constexpr u32 most_moved = 256;
  static constexpr u64 never = ~u64{0};

  static u64 block_of(u64 tick, u32 level) noexcept { return tick >> (6 * level); }
  static u64 start_of(u64 block, u32 level) noexcept { return block << (6 * level); }

  // The first occupied block of a level that has one.
  [[nodiscard]] u64 first_block(u32 level) const noexcept {
    const u64 base = block_of(base_, level);
    return base + static_cast<u32>(std::countr_zero(std::rotr(bits_[level], base & 63)));
  }
  // Of level 0; never: it has none.
  [[nodiscard]] u64 first_tick() const noexcept {
    return (levels_ & 1) != 0 ? first_block(0) : never;
  }
  [[nodiscard]] Node* front_of(u32 level) const noexcept {
    return slots_[level][first_block(level) & 63].front();
  }

  void place(Node& node) noexcept {
    const u64 key = std::max(node.key, base_);
    u32 level = (63 - static_cast<u32>(std::countl_zero((key - base_) | 1))) / 6;
    if (block_of(key, level) - block_of(base_, level) > 63) ++level;
    const u64 block = block_of(key, level);
    node.level = static_cast<u8>(level);
    node.slot = static_cast<u8>(block & 63);
    slots_[level][node.slot].push_back(node);
    bits_[level] |= u64{1} << node.slot;
    levels_ |= 1u << level;
    if (level != 0) due_ = std::min(due_, start_of(block, level));
  }

  void clear(u32 level, u32 slot) noexcept {
    bits_[level] &= ~(u64{1} << slot);
    if (bits_[level] == 0) levels_ &= ~(1u << level);
  }

  // Sets due_ anew, and where it is not above `first`, the first tick of level 0, moves up to
  // `left` nodes of the highest block that starts there down. How many more may move.
  u32 move_down(u64 first, u32 left) noexcept {
    u32 level = 0;
    u64 bound = first;  // base_ may not leave what is elsewhere behind
    due_ = never;
    for (u32 others = levels_ & ~1u; others != 0; others &= others - 1) {
      const u32 each = static_cast<u32>(std::countr_zero(others));
      const u64 start = start_of(first_block(each), each);
      if (start <= due_) {
        bound = std::min(bound, due_);
        due_ = start;
        level = each;
      } else {
        bound = std::min(bound, start);
      }
    }
    if (first < due_) return left;
    const u64 block = first_block(level);
    Ring& ring = slots_[level][block & 63];
    Ring moved;
    for (; left > 0 && !ring.empty(); --left) {
      Node& node = *ring.front();
      ring.remove(node);
      bound = std::min(bound, node.key);
      moved.push_back(node);
    }
    has_moved_ = true;
    base_ = std::max(base_, due_);
    if (ring.empty()) {
      clear(level, block & 63);
      base_ = std::max(base_, bound);
    }
    while (Node* const node = moved.front()) {
      moved.remove(*node);
      place(*node);
    }
    return left;
  }

  u64 base_ = 0;
  u64 due_ = never;  // where the first block above level 0 starts, or before
  u32 levels_ = 0;   // bit n: level n has nodes
  bool has_moved_ = false;
  u64 bits_[level_count] = {};
  Ring slots_[level_count][64];
};

}  // namespace atollvm::policy
