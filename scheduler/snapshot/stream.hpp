// Numbers and strings of an image: little-endian, without padding. Internal to the folder.
#pragma once

#include <concepts>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "scheduler/snapshot/snapshot.hpp"

namespace atollvm::snapshot {

// First bytes of an image.
inline constexpr u8 image_magic[4] = {0, 'a', 't', 'i'};
inline constexpr u32 image_version = 2;
inline constexpr u32 end_mark = 0x2e646e65;  // "end."

// Bits of a process's flags.
inline constexpr u8 flag_main = 1 << 0;
inline constexpr u8 flag_traps_exits = 1 << 1;
inline constexpr u8 flag_counts_fuel = 1 << 2;
inline constexpr u8 flag_pending = 1 << 3;    // parked in a host call
inline constexpr u8 flag_tail_call = 1 << 4;  // which was a tail call
inline constexpr u8 flag_canceled = 1 << 5;   // and which fails with `canceled`, else is made anew
inline constexpr u8 flag_paid = 1 << 6;       // the bulk operation's fuel was taken
inline constexpr u8 flags_all = (1 << 7) - 1;

inline constexpr u32 none = ~u32{0};
inline constexpr u64 page = 4096;  // of memories, whatever the host's are
inline constexpr usize max_name = 255;

// Collects small pieces; after an error everything is dropped and status() tells it.
class Writer {
 public:
  explicit Writer(Sink& sink) : sink_(sink), buffer_(new u8[capacity]) {}

  template <std::integral T>
  void number(T value) {
    if (capacity - size_ < sizeof value) flush();
    std::memcpy(buffer_.get() + size_, &value, sizeof value);
    size_ += sizeof value;
  }
  void bytes(std::span<const u8> from) {
    if (from.size() >= direct) {
      flush();
      pass(from);
      return;
    }
    if (capacity - size_ < from.size()) flush();
    if (!from.empty()) std::memcpy(buffer_.get() + size_, from.data(), from.size());
    size_ += from.size();
  }
  void slots(std::span<const u64> from) {
    bytes({reinterpret_cast<const u8*>(from.data()), from.size_bytes()});
  }
  void string(std::string_view text) {
    number(static_cast<u32>(text.size()));
    bytes({reinterpret_cast<const u8*>(text.data()), text.size()});
  }
  void flush() {
    pass({buffer_.get(), size_});
    size_ = 0;
  }
  [[nodiscard]] const base::Status& status() const { return status_; }

 private:
  static constexpr usize capacity = 1 << 18;
  static constexpr usize direct = 1 << 16;

  void pass(std::span<const u8> from) {
    if (status_ && !from.empty()) status_ = sink_.write(from);
  }

  Sink& sink_;
  std::unique_ptr<u8[]> buffer_;
  usize size_ = 0;
  base::Status status_;
};

// After an error every number is 0 and every string empty, and status() tells it: loops look at it,
// and nothing that was read counts before. The first error stays.
class Reader {
 public:
  explicit Reader(Source& source) : source_(source) {}

  template <std::integral T>
  T number() {
    T value = 0;
    bytes({reinterpret_cast<u8*>(&value), sizeof value});
    return value;
  }
  // False: `to` is zero.
  bool bytes(std::span<u8> to) {
    if (to.empty()) return ok();
    if (ok()) status_ = source_.read(to);
    if (!ok()) std::memset(to.data(), 0, to.size());
    return ok();
  }
  // Takes memory only as bytes come.
  std::string string(usize most) {
    const u32 size = number<u32>();
    if (size > most) {
      fail(base::ErrorCode::limit, "a text of " + std::to_string(size) + " bytes");
      return {};
    }
    std::string text;
    while (ok() && text.size() < size) {
      const usize at = text.size();
      text.resize(std::min<usize>(size, at + piece));
      bytes({reinterpret_cast<u8*>(text.data()) + at, text.size() - at});
    }
    return ok() ? text : std::string();
  }
  // The same for `count` numbers.
  template <std::integral T>
  std::vector<T> numbers(u64 count) {
    std::vector<T> all;
    while (ok() && all.size() < count) {
      const usize at = all.size();
      all.resize(std::min<u64>(count, at + piece / sizeof(T)));
      bytes({reinterpret_cast<u8*>(all.data() + at), (all.size() - at) * sizeof(T)});
    }
    if (!ok()) all.clear();
    return all;
  }

  [[nodiscard]] bool ok() const { return status_.ok(); }
  [[nodiscard]] const base::Status& status() const { return status_; }
  // What is being read, for errors.
  std::string where;
  void fail(base::ErrorCode code, std::string message) {
    if (ok()) status_ = base::Error{code, where, std::move(message)};
  }
  void invalid(std::string message) { fail(base::ErrorCode::invalid, std::move(message)); }
  // Whether `holds`; else that is the error.
  bool check(bool holds, const char* otherwise) {
    if (!holds) invalid(otherwise);
    return ok();
  }

 private:
  static constexpr usize piece = 1 << 16;

  Source& source_;
  base::Status status_;
};

}  // namespace atollvm::snapshot
