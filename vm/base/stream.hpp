// Numbers and strings as bytes: little-endian, without padding.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstring>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "vm/base/result.hpp"

namespace atollvm::base {

// Where bytes go, in order, in pieces of any size. Large ones may be a guest's memory itself: what
// must be kept is to be copied before write() returns.
class Sink {
 public:
  virtual ~Sink() = default;
  // An error ends the writing and is passed on.
  virtual Status write(std::span<const u8> bytes) = 0;
};

// Where they come from.
class Source {
 public:
  virtual ~Source() = default;
  // Fills all of `bytes`, or gives an error, which is passed on (malformed where there is an end
  // too early).
  virtual Status read(std::span<u8> bytes) = 0;
};

// Takes so many bytes of the host's memory for what is read. False: that is too much, and the
// reader has failed.
using Take = std::function<bool(u64 bytes)>;

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
  [[nodiscard]] const Status& status() const { return status_; }
  void fail(Error error) {
    if (status_) status_ = std::move(error);
  }

 private:
  static constexpr usize capacity = 1 << 18;
  static constexpr usize direct = 1 << 16;

  void pass(std::span<const u8> from) {
    if (status_ && !from.empty()) status_ = sink_.write(from);
  }

  Sink& sink_;
  std::unique_ptr<u8[]> buffer_;
  usize size_ = 0;
  Status status_;
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
      fail(ErrorCode::limit, "a text of " + std::to_string(size) + " bytes");
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
  [[nodiscard]] const Status& status() const { return status_; }
  // What is being read, for errors.
  std::string where;
  void fail(ErrorCode code, std::string message) {
    if (ok()) status_ = Error{code, where, std::move(message)};
  }
  void invalid(std::string message) { fail(ErrorCode::invalid, std::move(message)); }
  // Whether `holds`; else that is the error.
  bool check(bool holds, const char* otherwise) {
    if (!holds) invalid(otherwise);
    return ok();
  }

 private:
  static constexpr usize piece = 1 << 16;

  Source& source_;
  Status status_;
};

}  // namespace atollvm::base
