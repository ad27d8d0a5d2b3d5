// Bytes that are zero, and copies that leave them out.
#pragma once

#include <algorithm>
#include <cstring>

#include "vm/base/types.hpp"

namespace atollvm::base {

inline bool is_zero(const u8* at, u64 bytes) {
  return bytes == 0 || (*at == 0 && std::memcmp(at, at + 1, bytes - 1) == 0);
}

// memcpy to where all is zero: what lies on one page of `to` and is all zero in `from` is not
// written, so that the kernel need not back a page which nothing else touches.
inline void copy_to_zeros(u8* to, const u8* from, u64 bytes) {
  constexpr u64 page = 4096;
  while (bytes > 0) {
    const u64 piece = std::min(bytes, page - reinterpret_cast<std::uintptr_t>(to) % page);
    if (!is_zero(from, piece)) std::memcpy(to, from, piece);
    to += piece;
    from += piece;
    bytes -= piece;
  }
}

}  // namespace atollvm::base
