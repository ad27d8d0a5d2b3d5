// The kinds of file systems that an operator can mount: one table, which the command line, machine
// files and the embedding API share.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "stdlib/vfs/vfs.hpp"
#include "vm/base/result.hpp"

namespace atollvm::vfs {

struct Mount {
  std::string type;  // the name of a row of mount_types()
  std::string
      source;  // a directory, an archive or a volume of the host; empty where the type has none
  std::string guest;  // as in NameSpace::mount
  bool writable = true;
  // Of a memory file system, also an overlay's upper layer, or of what an archive takes; without
  // them MemoryLimits' and ArchiveLimits' own.
  std::optional<u64> bytes{};
  std::optional<u64> inodes{};
  std::string upper{};  // of an overlay: a directory of the host for the changes; empty: memory
  // What the guest may not do with it; see rights_of().
  bool append_only = false;  // change what a file holds, but for writing at its end; remove, rename
  bool no_delete = false;    // remove and rename
  bool no_modules = false;   // make modules of its files
  // It has no name: the guest has a handle to it, and its path is noent.
  bool is_hidden = false;
};

struct MountType {
  std::string_view name;
  const char* source = nullptr;  // what it needs of the host; null: it can have nothing
  bool has_limits = false;       // bytes and inodes mean something
  bool has_upper = false;
  bool is_read_only = false;
  base::Result<std::shared_ptr<Directory>> (*open)(const Mount&) = nullptr;
};
std::span<const MountType> mount_types();
// Whether a guest may write to it: that was not refused, and the type can be written to.
bool is_writable(const Mount& mount);
// The rights of a guest to it.
cap::Rights rights_of(const Mount& mount);

// "TYPE:SOURCE:GUEST", or "TYPE:SOURCE:GUEST:OPTION,...": ro, rw, append, nodelete, nomodules,
// hidden, size=SIZE, inodes=N, upper=DIRECTORY.
// SIZE is bytes, or a number with k, M or G. A path with a colon can't be said so. Errors: usage,
// with the text as place and what to write.
base::Result<Mount> parse_mount(std::string_view text);

// A new file system, or what a directory or an archive of the host holds. Errors: usage (no such
// type, or what the type can't have), not_found, io, and open_archive's.
base::Result<std::shared_ptr<Directory>> open_mount(const Mount& mount);

}  // namespace atollvm::vfs
