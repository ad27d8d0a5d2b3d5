// A directory of the host as a file system. It is named once, when it is granted; from then on only
// its descriptor counts, and no path leaves it.
#pragma once

#include "stdlib/vfs/beneath.hpp"
#include "stdlib/vfs/vfs.hpp"
#include "vm/base/result.hpp"

namespace atollvm::vfs {

// Grants `path` of the host, with all that is below it. Errors: not_found, io (with the system's
// reason). `resolver` is chosen only by tests.
base::Result<std::shared_ptr<Directory>> open_host_directory(const std::string& path,
                                                             Resolver resolver = best_resolver());

}  // namespace atollvm::vfs
