// Opening paths of the host that must stay below a directory.
#pragma once

#include <string>
#include <string_view>

#include "stdlib/vfs/path.hpp"
#include "stdlib/vfs/posix.hpp"

namespace atollvm::vfs {

enum class Resolver : u8 {
  kernel,  // openat2: one system call, resolved atomically
  walk,    // one name after the other, for kernels and emulators without openat2
};

// The best resolver that this system has.
Resolver best_resolver();

// Opens `path`, relative to the directory `root` and not leaving it, with open(2)'s `flags`
// (O_CLOEXEC is added) and `mode`. The path has no NUL bytes and is not empty. With Wait::never it
// gives `again` unless everything needed is cached. Errors: those of vfs::Directory's paths and of
// open(2), translated.
Outcome<Descriptor> open_beneath(Resolver resolver, int root, const std::string& path, int flags,
                                 unsigned mode, Wait wait);

}  // namespace atollvm::vfs
