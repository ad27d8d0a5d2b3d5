// The file system of devices: null, zero, full, random, urandom, and the standard streams of the
// process that makes a call.
#pragma once

#include "stdlib/vfs/vfs.hpp"

namespace atollvm::vfs {

// Its root. A stream opens as OwnHandle, and is there for those who have it; see
// Directory::seen_by.
std::shared_ptr<Directory> make_dev();

}  // namespace atollvm::vfs
