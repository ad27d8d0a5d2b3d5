// Archives of the host (tar and zip) as directories that can only be read.
#pragma once

#include <memory>
#include <string>

#include "stdlib/vfs/vfs.hpp"
#include "vm/base/result.hpp"

namespace atollvm::vfs {

struct ArchiveLimits {
  // Of what is held unpacked: all of a compressed tar archive, each compressed file of a zip
  // archive that was opened.
  u64 bytes = u64{512} << 20;
  // Of the archive's entries and of the directories that it has only in the names of others.
  u64 entries = u64{1} << 20;
};

// Reads what there is in the archive, and keeps the file open: what is not packed is read from it
// at each call. If the file changes meanwhile, reading gives what is there then, or io.
//
// Nothing in it can be written: that is rofs. Opening a compressed file of a zip archive gives
// nospc beyond the limit, and io when it is damaged. Errors: not_found, io (the file can't be
// read), malformed (with the entry, and what is wrong), limit, unsupported (this build or this
// system has no libarchive).
base::Result<std::shared_ptr<Directory>> open_archive(const std::string& path,
                                                      const ArchiveLimits& limits);

// Whether archives can be read here. Loads what that takes, for programs that can load nothing
// later on.
base::Status load_archives();

}  // namespace atollvm::vfs
