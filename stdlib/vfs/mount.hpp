// The kinds of file systems that an operator can mount: one table, which the command line, machine
// files and the embedding API share.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "stdlib/vfs/memory.hpp"
#include "vm/base/result.hpp"

namespace atollvm::vfs {

struct Mount {
  std::string type;    // the name of a row of mount_types()
  std::string source;  // a directory of the host; empty where the type has none
  std::string guest;   // as in NameSpace::mount
  bool writable = true;
  MemoryLimits memory{};    // of a memory file system, also an overlay's upper layer
  bool has_memory = false;  // these limits were given
  std::string upper{};      // of an overlay: a directory of the host for the changes; empty: memory
};

struct MountType {
  std::string_view name;
  bool has_source = false;  // it needs one; else it can have none
  bool has_memory = false;  // limits of memory mean something
  bool has_upper = false;
  base::Result<std::shared_ptr<Directory>> (*open)(const Mount&) = nullptr;
};
std::span<const MountType> mount_types();

// "TYPE:SOURCE:GUEST", or "TYPE:SOURCE:GUEST:OPTION,...": ro, size=SIZE, inodes=N, upper=DIRECTORY.
// SIZE is bytes, or a number with k, M or G. A path with a colon can't be said so. Errors: usage,
// with the text as place and what to write.
base::Result<Mount> parse_mount(std::string_view text);

// A new file system, or what a directory of the host holds. Errors: usage (no such type, or what
// the type can't have), not_found, io.
base::Result<std::shared_ptr<Directory>> open_mount(const Mount& mount);

}  // namespace atollvm::vfs
