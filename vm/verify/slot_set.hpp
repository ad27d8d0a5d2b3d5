// The set of frame slots that hold defined values, as the verifier walks through a function.
#pragma once

#include <algorithm>
#include <array>
#include <bit>

#include "vm/base/types.hpp"

namespace atollvm::verify {

// A watermark (all slots below are in the set) and a bit for each further slot, with a summary of
// the words that hold bits, so that clearing costs no more than setting did. Bits at or below the
// watermark are always zero: a slot at the watermark raises it.
class SlotSet {
 public:
  static constexpr u32 capacity = 65'536;

  // Exactly the slots 0 .. count-1.
  void reset(u32 count) {
    clear(0, capacity);
    below_ = count;
  }

  [[nodiscard]] bool has(u32 slot) const {
    return slot < below_ || (bits_[slot / 64] >> (slot % 64) & 1) != 0;
  }

  // The lowest slot that is not in the set.
  [[nodiscard]] u32 first_missing() const { return below_; }

  // The lowest slot of first .. end-1 that is not in the set; `end` if all are.
  [[nodiscard]] u32 missing_in(u32 first, u32 end) const {
    u32 slot = first > below_ ? first : below_;
    while (slot < end) {
      const u64 missing = ~bits_[slot / 64] >> (slot % 64);
      if (missing != 0) {
        slot += static_cast<u32>(std::countr_zero(missing));
        break;
      }
      slot = (slot / 64 + 1) * 64;
    }
    return slot < end ? slot : end;
  }

  void add(u32 slot) {
    if (slot < below_) return;
    if (slot == below_) {
      ++below_;
      absorb();
      return;
    }
    bits_[slot / 64] |= u64{1} << (slot % 64);
    used_[slot / 4096] |= u64{1} << (slot / 64 % 64);
  }

  // Adds first .. end-1.
  void add_range(u32 first, u32 end) {
    if (end <= below_ || first >= end) return;
    if (first <= below_) {
      clear(below_, end);
      below_ = end;
      absorb();
      return;
    }
    const u32 first_word = first / 64;
    const u32 last_word = (end - 1) / 64;
    bits_[first_word] |= part(first_word, first, end);
    if (first_word != last_word) {
      std::fill(&bits_[first_word + 1], &bits_[last_word], ~u64{0});
      bits_[last_word] |= part(last_word, first, end);
    }
    for (u32 group = first_word / 64; group <= last_word / 64; ++group) {
      used_[group] |= part(group, first_word, last_word + 1);
    }
  }

  // Removes all slots from `first` on.
  void remove_from(u32 first) {
    if (first <= below_) {
      clear(below_, capacity);
      below_ = first;
    } else {
      clear(first, capacity);
    }
  }

 private:
  // The bits of word number `word` that stand for first .. end-1.
  static u64 part(u32 word, u32 first, u32 end) {
    const u32 base = word * 64;
    u64 mask = ~u64{0};
    if (first > base) mask &= ~u64{0} << (first - base);
    if (end < base + 64) mask &= ~u64{0} >> (base + 64 - end);
    return mask;
  }

  void absorb() {
    while (true) {
      const u32 word = below_ / 64;
      if (word >= bits_.size() || bits_[word] == 0) return;
      const u32 ones = static_cast<u32>(std::countr_one(bits_[word] >> (below_ % 64)));
      if (ones == 0) return;
      bits_[word] &= ~part(word, below_, below_ + ones);
      if (bits_[word] == 0) used_[word / 64] &= ~(u64{1} << (word % 64));
      below_ += ones;
      if (below_ % 64 != 0) return;
    }
  }

  void clear(u32 first, u32 end) {
    const u32 first_word = first / 64;
    const u32 end_word = (end - 1) / 64 + 1;
    for (u32 group = first_word / 64; group <= (end_word - 1) / 64; ++group) {
      u64 left = used_[group] & part(group, first_word, end_word);
      if (left == ~u64{0} && first <= group * 4096 && end >= (group + 1) * 4096) {
        std::fill_n(&bits_[group * 64], 64, 0);
        used_[group] = 0;
        continue;
      }
      for (; left != 0; left &= left - 1) {
        const u32 bit = static_cast<u32>(std::countr_zero(left));
        const u32 word = group * 64 + bit;
        bits_[word] &= ~part(word, first, end);
        if (bits_[word] == 0) used_[group] &= ~(u64{1} << bit);
      }
    }
  }

  u32 below_ = 0;
  std::array<u64, capacity / 64> bits_{};
  std::array<u64, capacity / 4096> used_{};  // a bit for each word of bits_ that is not zero
};

}  // namespace atollvm::verify
