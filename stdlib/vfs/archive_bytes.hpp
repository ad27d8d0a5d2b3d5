// Where an archive's bytes are. Internal to the folder.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "stdlib/vfs/posix.hpp"
#include "stdlib/vfs/vfs.hpp"

namespace atollvm::vfs {

// Bytes that nobody writes to through it. Threads: any, at once.
class ArchiveBytes {
 public:
  ArchiveBytes() = default;
  virtual ~ArchiveBytes() = default;
  ArchiveBytes(const ArchiveBytes&) = delete;
  ArchiveBytes& operator=(const ArchiveBytes&) = delete;

  [[nodiscard]] virtual u64 size() const = 0;
  // As many as there are at once; of the bytes that size() promises at least one, or io.
  virtual Outcome<u32> read(std::span<u8> to, u64 at, Wait wait) const = 0;
};

// A file of the host. It is read, never mapped: what is cut off from it meanwhile is an error of
// the call, and no fault.
class HostBytes final : public ArchiveBytes {
 public:
  HostBytes(Descriptor file, u64 size) : file_(std::move(file)), size_(size) {}

  [[nodiscard]] u64 size() const override { return size_; }
  Outcome<u32> read(std::span<u8> to, u64 at, Wait wait) const override;

 private:
  Descriptor file_;
  u64 size_;  // when it was opened
};

// What was unpacked. Threads: appending in one, before any other reads.
class UnpackedBytes final : public ArchiveBytes {
 public:
  void append(std::span<const u8> bytes);

  [[nodiscard]] u64 size() const override { return size_; }
  Outcome<u32> read(std::span<u8> to, u64 at, Wait wait) const override;

 private:
  static constexpr usize chunk_size = usize{1} << 16;

  std::vector<std::vector<u8>> chunks_;  // all full, but the last one
  u64 size_ = 0;
};

}  // namespace atollvm::vfs
