// The file that a snapshot is kept in: a description that people can read, and an image, packed and
// checked. docs/snapshots.md has the format. Neither knows what the image says.
//
// Writing and reading use threads of their own, up to one for each processor, which pack and unpack
// blocks; memory is bounded by a few blocks for each.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "scheduler/snapshot/snapshot.hpp"
#include "vm/base/result.hpp"

namespace atollvm::snapshot {

inline constexpr u32 file_version = 1;
inline constexpr usize max_header = 8 << 20;
inline constexpr usize block_bytes = 1 << 20;

// Threads: one at a time. Errors: io, limit (a header of more than max_header bytes), and those of
// AtomicFile.
class FileWriter final : public Sink {
 public:
  // `header` is JSON. `threads`: at most so many that pack; 0: one for each processor.
  static base::Result<std::unique_ptr<FileWriter>> create(const std::string& path,
                                                          std::string_view header, u32 threads = 0);
  // Without finish() nothing has changed.
  ~FileWriter() override;

  base::Status write(std::span<const u8> bytes) override;
  // Packs what is left. Nothing can be written then.
  base::Status seal();
  // After seal(): puts the file in its place, with AtomicFile's promise. Its size in bytes.
  base::Result<u64> finish();

 private:
  struct Impl;
  explicit FileWriter(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Threads: one at a time.
class FileReader final : public Source {
 public:
  // Checks all of the file, and reads its header. Errors: not_found, io; malformed (no snapshot,
  // cut off, damaged), unsupported (of a newer version), limit (the header).
  static base::Result<std::unique_ptr<FileReader>> open(const std::string& path, u32 threads = 0);
  ~FileReader() override;

  [[nodiscard]] const std::string& header() const;
  // Of the image, unpacked.
  [[nodiscard]] u64 image_bytes() const;
  base::Status read(std::span<u8> bytes) override;
  // Whether all has been read. Errors: malformed.
  base::Status end();

 private:
  struct Impl;
  explicit FileReader(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace atollvm::snapshot
