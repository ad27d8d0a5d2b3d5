// Virtual time, and a queue in its order.
//
// A node that runs for t ns at weight w gains t / w of virtual time. It is counted in ticks of
// 2^26 / 2^20 = 64 ns at weight 1 (6.4 us at weight 100), and a fraction of 26 bits, so that no
// burst is too short to count at any weight, and 64 bits of ticks last for 37,000 years.
#pragma once

#include <algorithm>
#include <bit>

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

// Nodes in order of their keys; those of one tick in order of their coming. A radix heap with
// 64 slots a level: keys in the same block of 64 ticks as `base_` are at level 0, by their low six
// bits; others at the level of the highest six bits in which they differ from it. A node moves down
// at most once for each level, and how high it starts depends on the CPU time that it used, so that
// short bursts, which are the ones where it matters, never move.
//
// Keys lie at most 2^34 ticks above base_, so that those at the highest level are unambiguous
// although their bits above are not looked at. Keys before base_ are queued as if they were base_.
class Wheel {
 public:
  [[nodiscard]] bool empty() const noexcept { return levels_ == 0; }

  // `now`: where the queue's time is; it has picked nothing above it. Keys are at most max_debt
  // above.
  void push(Node& node, u64 now) noexcept {
    if (empty()) base_ = now;
    place(node);
  }

  // The first node, or null. It stays queued.
  Node* front() noexcept {
    if ((levels_ & 1) == 0) {
      if (empty()) return nullptr;
      refill();
    }
    return slots_[0][std::countr_zero(bits_[0])].front();
  }

  void remove(Node& node) noexcept {
    Ring& ring = slots_[node.level][node.slot];
    ring.remove(node);
    if (!ring.empty()) return;
    clear_bit(node.level, node.slot);
    if (node.level == 1 && (half_moved_ & 63) == node.slot) half_moved_ = none;
  }

 private:
  static constexpr u32 level_count = 6;
  static constexpr u32 top = level_count - 1;

  void place(Node& node) noexcept {
    constexpr u64 mask = (u64{1} << (6 * level_count)) - 1;
    const u64 key = std::max(node.key, base_);
    const u64 difference = (key ^ base_) & mask;
    u32 level = (63 - static_cast<u32>(std::countl_zero(difference | 1))) / 6;
    if (key >> 6 == half_moved_) level = 1;
    const u32 slot = (key >> (6 * level)) & 63;
    node.level = static_cast<u8>(level);
    node.slot = static_cast<u8>(slot);
    slots_[level][slot].push_back(node);
    bits_[level] |= u64{1} << slot;
    levels_ |= 1u << level;
  }

  void clear_bit(u32 level, u32 slot) noexcept {
    bits_[level] &= ~(u64{1} << slot);
    if (bits_[level] == 0) levels_ &= ~(1u << level);
  }

  // Moves the first occupied slot above level 0 down, onto its least key. Of very many in a slot of
  // level 1, so many at a time: those come first, and as long as there are others, who comes back
  // within the 64 ticks is put behind them.
  void refill() noexcept {
    const u32 level = static_cast<u32>(std::countr_zero(levels_));
    // Only at the highest level can slots have gone round.
    const u32 start = level == top ? (base_ >> (6 * top)) & 63 : 0;
    const u32 offset =
        static_cast<u32>(std::countr_zero(std::rotr(bits_[level], static_cast<int>(start))));
    const u32 slot = (start + offset) & 63;
    Ring& ring = slots_[level][slot];
    Ring moved;
    u64 least = ~u64{0};
    u32 left = level == 1 ? most_moved : ~u32{0};
    for (; left > 0 && !ring.empty(); --left) {
      Node& node = *ring.front();
      ring.remove(node);
      least = std::min(least, node.key);
      moved.push_back(node);
    }
    if (ring.empty()) clear_bit(level, slot);
    base_ = std::max(least, base_);
    half_moved_ = none;
    while (Node* const node = moved.front()) {
      moved.remove(*node);
      place(*node);
    }
    if (!ring.empty()) half_moved_ = base_ >> 6;
  }

  static constexpr u32 most_moved = 1024;
  static constexpr u64 none = ~u64{0};

  u64 half_moved_ = none;  // keys over 64 of what is left at level 1 and belongs to level 0
  u64 base_ = 0;
  u32 levels_ = 0;  // bit n: level n has nodes
  u64 bits_[level_count] = {};
  Ring slots_[level_count][64];
};

}  // namespace atollvm::policy
