// A part of an image that can be passed over without being understood: pieces, each with its size
// before it; an empty one is the end. Internal to the folder.
#pragma once

#include <algorithm>

#include "scheduler/snapshot/stream.hpp"

namespace atollvm::snapshot {

class PiecesSink final : public Sink {
 public:
  explicit PiecesSink(Writer& to) : to_(to) {}
  base::Status write(std::span<const u8> bytes) override {
    while (!bytes.empty()) {
      const auto piece = bytes.first(std::min(bytes.size(), most));
      to_.number(static_cast<u32>(piece.size()));
      to_.bytes(piece);
      bytes = bytes.subspan(piece.size());
    }
    return to_.status();
  }
  void end() { to_.number(u32{0}); }

 private:
  static constexpr usize most = 1 << 30;
  Writer& to_;
};

class PiecesSource final : public Source {
 public:
  explicit PiecesSource(Reader& from) : from_(from) {}
  base::Status read(std::span<u8> bytes) override {
    while (!bytes.empty()) {
      if (!next()) {
        from_.invalid("it ends too early");
        return from_.status();
      }
      const auto part = bytes.first(std::min<usize>(bytes.size(), left_));
      from_.bytes(part);
      left_ -= static_cast<u32>(part.size());
      bytes = bytes.subspan(part.size());
    }
    return from_.status();
  }
  // Whether there is more; else the end has been read.
  bool next() {
    if (left_ == 0 && !is_over_) {
      left_ = from_.number<u32>();
      is_over_ = left_ == 0;
    }
    return !is_over_;
  }
  void skip() {
    u8 passed[4096];
    while (from_.ok() && next()) {
      const auto part = std::span(passed).first(std::min<usize>(sizeof passed, left_));
      from_.bytes(part);
      left_ -= static_cast<u32>(part.size());
    }
  }

 private:
  Reader& from_;
  u32 left_ = 0;
  bool is_over_ = false;
};

}  // namespace atollvm::snapshot
