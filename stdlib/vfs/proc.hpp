// The file system of processes: what the process that makes a call and its machine are, have and
// may, as texts. It shows nothing of others.
#pragma once

#include "stdlib/vfs/vfs.hpp"

namespace atollvm::vfs {

// Its root. The texts come from Viewer::describe, when a file is opened: then they stay.
std::shared_ptr<Directory> make_proc();

}  // namespace atollvm::vfs
