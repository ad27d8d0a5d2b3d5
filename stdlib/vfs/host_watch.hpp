// Changes of directories of the host, as the kernel tells of them. Internal to the folder.
#pragma once

#include "stdlib/vfs/watch.hpp"

namespace atollvm::vfs {

// Of the directory that a descriptor is open for, or of its name `only` if that is not empty. Each
// has a queue of its own in the kernel, so that no guest fills another one's. Errors: mfile (as
// many as the host's user may have), acces (it can't be read), notsup (the host can't tell, or may
// not).
Outcome<std::shared_ptr<Watch>> watch_host_directory(int directory, std::string_view only);

}  // namespace atollvm::vfs
