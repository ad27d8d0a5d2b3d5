// Two directories as one: what is changed goes to the upper one, the lower one stays as it is.
#pragma once

#include "stdlib/vfs/vfs.hpp"

namespace atollvm::vfs {

// The names of the upper directory that begin so are the overlay's own, and no guest can see or
// make any: ".wh.NAME" says that the lower NAME beside it does not count (of a directory: with all
// that is in it), as in layers of OCI images.
inline constexpr std::string_view whiteout_prefix = ".wh.";

// Of `lower` nothing is changed but times of reading, and nobody else may change it meanwhile, or
// what is found there is one or the other. It is no overlay itself: its cookies must stay below
// 2^63. `upper` can be empty, or from an earlier overlay of the
// same directory; only one may use it at a time.
//
// A lower file is copied up, whole, before it is written to, renamed, linked to or gets other
// times; who has it open for reading sees the copy from then on. It is another inode, and the names
// that it shared a file with below stay what they were. A directory with anything below can't be
// renamed: that is xdev, and programs copy then, as they do on Linux's overlayfs. Making or
// removing names that begin with whiteout_prefix is perm.
std::shared_ptr<Directory> make_overlay(std::shared_ptr<Directory> lower,
                                        std::shared_ptr<Directory> upper);

}  // namespace atollvm::vfs
