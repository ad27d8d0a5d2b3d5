// Volumes: file systems in one file of the host, to be mounted (docs/file-systems.md). All of this
// waits for the disk.
// Threads: any, at once.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <atoll/result.hpp>

#pragma GCC visibility push(default)
namespace atollvm {

struct VolumeInfo {
  std::uint64_t size = 0;    // bytes that the volume may come to
  std::uint64_t used = 0;    // bytes of it that are in use
  std::uint64_t inodes = 0;  // files, directories and links, with the root
};

struct VolumeEntry {
  enum class Kind : std::uint8_t { file, directory, link };
  std::string path;  // from the directory that was listed
  Kind kind = Kind::file;
  std::uint64_t size = 0;  // bytes
  std::uint64_t links = 0;
  std::int64_t modified_ns = 0;  // since 1970, UTC
  std::string target;            // of a symbolic link
};

// What is wrong in a volume: where, and what.
struct VolumeFault {
  std::string place;
  std::string text;
};

// An open volume. Paths in it begin at its root, with or without a slash. A function without a
// result gives nothing, or what went wrong.
class Volume {
 public:
  // Makes an empty volume where there is no file; `size`: bytes that it may come to, from 1 MiB to
  // 16 TiB. Errors: io (also: there is a file), usage (the size).
  static std::optional<Error> create(const std::string& path, std::uint64_t size);
  // Errors: not_found, io (also: in use by another program), malformed, unsupported.
  static Result<Volume> open(const std::string& path);
  ~Volume();
  Volume(Volume&&) noexcept;
  Volume& operator=(Volume&&) noexcept;

  Result<VolumeInfo> info() const;
  // A directory's entries, sorted by their paths; with `below`, those of all directories in it.
  Result<std::vector<VolumeEntry>> list(const std::string& path, bool below) const;
  // Copies a file, a link or a directory with all in it. Into a directory that is there it goes by
  // its own name. Errors: not_found, io (also: no room), with the path.
  std::optional<Error> copy_in(const std::string& host, const std::string& path);
  std::optional<Error> copy_out(const std::string& path, const std::string& host) const;
  // Copies what is in a directory of the host or in a tar or zip archive into a directory, which is
  // made where there is none.
  std::optional<Error> import_from(const std::string& host, const std::string& path);
  // Writes what is in a directory as a tar archive; `write` says whether it could.
  std::optional<Error> export_to(const std::string& path,
                                 const std::function<bool(std::string_view)>& write) const;
  // Looks at all of it; none: it is sound. About 100 are told at most.
  Result<std::vector<VolumeFault>> check() const;
  // Errors: usage (fewer bytes than now, or too many), io.
  std::optional<Error> grow(std::uint64_t size);
  // Returns when all is on the disk.
  std::optional<Error> sync();

 private:
  struct Impl;
  explicit Volume(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace atollvm
#pragma GCC visibility pop
