// Decisions of a generator, taken from bytes: a fuzzer's input, or numbers from a seed.
#pragma once

#include <span>
#include <vector>

#include "vm/base/types.hpp"

namespace atollvm::test {

class Entropy {
 public:
  explicit Entropy(std::span<const u8> bytes) : bytes_(bytes) {}

  // Used-up bytes are zeros: every generator must end then.
  [[nodiscard]] bool used_up() const { return at_ >= bytes_.size(); }
  u8 byte() { return used_up() ? u8{0} : bytes_[at_++]; }
  // 0 .. count-1; count is at least 1.
  u32 below(u32 count) {
    u32 number = byte();
    if (count > 256) number |= u32{byte()} << 8;
    return number % count;
  }
  // True once in `count` times; false when used up.
  bool once_in(u32 count) { return !used_up() && below(count) == count - 1; }
  u64 bits() {
    u64 value = 0;
    for (u32 i = 0; i < 8; ++i) value = value << 8 | byte();
    return value;
  }

 private:
  std::span<const u8> bytes_;
  usize at_ = 0;
};

// `count` bytes from a seed (splitmix64).
inline std::vector<u8> random_bytes(u64 seed, usize count) {
  std::vector<u8> bytes(count);
  for (usize i = 0; i < count; ++i) {
    if (i % 8 == 0) seed += 0x9e37'79b9'7f4a'7c15;
    u64 mixed = (seed ^ (seed >> 30)) * 0xbf58'476d'1ce4'e5b9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d0'49bb'1331'11eb;
    bytes[i] = static_cast<u8>((mixed ^ (mixed >> 31)) >> (i % 8 * 8));
  }
  return bytes;
}

}  // namespace atollvm::test
