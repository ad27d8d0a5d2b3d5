// Reading WebAssembly's binary encodings (core specification, section 5.2). Never reads outside of
// its range: the first failure stays, and everything after it reads as zero.
#pragma once

#include <cstring>
#include <span>
#include <string_view>

#include "vm/base/types.hpp"

namespace atollvm::wasm {

class Bytes {
 public:
  Bytes(const u8* begin, const u8* end) : at_(begin), end_(end) {}

  [[nodiscard]] bool ok() const { return failure_ == nullptr; }
  [[nodiscard]] const char* failure() const { return failure_; }  // null, or what is malformed
  [[nodiscard]] const u8* failed_at() const { return failed_at_; }
  [[nodiscard]] const u8* at() const { return at_; }
  [[nodiscard]] const u8* end() const { return end_; }
  [[nodiscard]] usize left() const { return static_cast<usize>(end_ - at_); }

  // Notes a failure at the current place, unless there is one already.
  [[gnu::noinline, gnu::cold]] void fail(const char* what) {
    if (failure_ != nullptr) return;
    failure_ = what;
    failed_at_ = at_;
    at_ = end_;
  }

  u8 byte() {
    if (at_ == end_) [[unlikely]] {
      fail("unexpected end");
      return 0;
    }
    return *at_++;
  }
  u32 leb_u32() {
    if (at_ != end_ && *at_ < 0x80) [[likely]]
      return *at_++;
    return static_cast<u32>(unsigned_slow(32));
  }
  u64 leb_u64() { return unsigned_slow(64); }
  i32 leb_i32() {
    if (at_ != end_ && *at_ < 0x80) [[likely]]
      return static_cast<i32>(static_cast<u32>(*at_++) << 25) >> 25;
    return static_cast<i32>(signed_slow(32));
  }
  i64 leb_i33() { return signed_slow(33); }
  i64 leb_i64() { return signed_slow(64); }
  template <class T>
  T fixed() {
    T value{};
    if (left() < sizeof value) {
      fail("unexpected end");
      return value;
    }
    std::memcpy(&value, at_, sizeof value);
    at_ += sizeof value;
    return value;
  }
  std::span<const u8> take(usize count) {
    if (left() < count) {
      fail("unexpected end");
      return {};
    }
    const u8* begin = at_;
    at_ += count;
    return {begin, count};
  }

 private:
  [[gnu::noinline]] u64 unsigned_slow(u32 bits) {
    u64 value = 0;
    for (u32 shift = 0;; shift += 7) {
      const u8 next = byte();
      if (!ok()) return 0;
      if (shift + 7 > bits) {
        // The last byte: no continuation, and its unused bits are zero.
        if ((next & 0x80) != 0) return too(representation_long);
        if (next >> (bits - shift) != 0) return too(representation_large);
      }
      value |= u64{next & 0x7fu} << shift;
      if ((next & 0x80) == 0) return value;
    }
  }
  [[gnu::noinline]] i64 signed_slow(u32 bits) {
    u64 value = 0;
    for (u32 shift = 0;; shift += 7) {
      const u8 next = byte();
      if (!ok()) return 0;
      if (shift + 7 > bits) {
        if ((next & 0x80) != 0) return static_cast<i64>(too(representation_long));
        // The unused bits repeat the sign.
        const u32 used = bits - shift;
        const u32 above = (next & 0x7fu) >> (used - 1);
        if (above != 0 && above != 0x7fu >> (used - 1)) {
          return static_cast<i64>(too(representation_large));
        }
      }
      value |= u64{next & 0x7fu} << shift;
      if ((next & 0x80) == 0) {
        const u32 width = shift + 7;
        return width >= 64 ? static_cast<i64>(value)
                           : static_cast<i64>(value << (64 - width)) >> (64 - width);
      }
    }
  }
  static constexpr const char* representation_long = "integer representation too long";
  static constexpr const char* representation_large = "integer too large";
  u64 too(const char* what) {
    --at_;
    fail(what);
    return 0;
  }

  const u8* at_;
  const u8* end_;
  const char* failure_ = nullptr;
  const u8* failed_at_ = nullptr;
};

}  // namespace atollvm::wasm
