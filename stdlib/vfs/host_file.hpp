// A regular file of the host. Internal to the folder and to the standard streams.
#pragma once

#include <time.h>

#include <array>

#include "stdlib/vfs/posix.hpp"

namespace atollvm::vfs {

// `descriptor` is a regular file, open for what `access` says.
std::shared_ptr<File> make_host_file(Descriptor descriptor, Access access, bool append);

// As utimensat takes them.
std::array<timespec, 2> to_timespecs(const Times& times);

}  // namespace atollvm::vfs
