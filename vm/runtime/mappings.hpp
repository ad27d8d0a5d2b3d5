// What of a linear memory lies on bytes that others use too.
#pragma once

#include <memory>
#include <vector>

#include "vm/base/types.hpp"

namespace atollvm::runtime {

// Begins and sizes of what is mapped are multiples of this, on every host.
inline constexpr u64 map_granule = 65536;

// Bytes that never change and are never fewer, whoever has them; behind a descriptor.
class SharedBytes {
 public:
  SharedBytes() = default;
  SharedBytes(const SharedBytes&) = delete;
  SharedBytes& operator=(const SharedBytes&) = delete;
  virtual ~SharedBytes() = default;
  [[nodiscard]] virtual int fd() const = 0;
  [[nodiscard]] virtual u64 size() const = 0;  // a multiple of map_granule
};

// The mapped pieces of one memory. They are its own where they are written to (copy on write), so
// no access of a guest or a host function to them differs from others.
class Mappings {
 public:
  // Of one memory; of all together there are 16,384: the kernel has 65,530 for a program, and takes
  // up to two for each.
  static constexpr usize most = 64;
  static constexpr u32 most_of_all = 16'384;

  Mappings() = default;
  ~Mappings();
  Mappings(const Mappings&) = delete;
  Mappings& operator=(const Mappings&) = delete;

  // Puts bytes in place of those that a mapping at `base` has at `at`. False: there are too many
  // pieces, or the host refuses, and nothing changed. Throws std::bad_alloc.
  bool put(u8* base, u64 at, u64 bytes, const std::shared_ptr<const SharedBytes>& from, u64 offset);
  // Gives to zeros at `to` what the memory of `size` bytes at `from` holds; what is shared stays
  // so. False: the host refuses, and some of it is there.
  bool copy(u8* to, const u8* from, u64 size) const;
  // Of all shared bytes that it uses a part of.
  [[nodiscard]] u64 held_bytes() const;

 private:
  struct Piece {
    u64 begin = 0;
    u64 end = 0;
    std::shared_ptr<const SharedBytes> from;
    u64 offset = 0;
  };
  std::vector<Piece> pieces_;  // in their order, apart
};

}  // namespace atollvm::runtime
