// Trees of files from one file system to another, and as tar archives. All of it blocks.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "stdlib/vfs/vfs.hpp"
#include "vm/base/result.hpp"

namespace atollvm::vfs {

// What an error means, for people.
std::string_view text_of(Errno error);

// Copies what a path names, a directory with all in it, to what another one names: directories that
// are there are filled, files that are there are replaced. Symbolic links are copied as they are,
// names of one file stay that, times of change are kept. Devices, pipes and sockets are left out.
// What was copied before an error stays. Errors: with the path of what could not be copied.
base::Status copy_tree(Directory& from, const std::string& path, Directory& to,
                       const std::string& to_path);

// Writes what is in a directory as a tar archive (POSIX.1-2001, pax). `write` says whether it
// could. Errors: as above; io when write could not.
base::Status write_tar(const std::shared_ptr<Directory>& root,
                       const std::function<bool(std::string_view)>& write);

// What is in a directory and, if that is asked for, below it, in no order; false ends it.
struct TreeEntry {
  std::string path;  // from the directory
  Stat stat;
  std::string target;  // of a symbolic link
  std::shared_ptr<Directory> folder;
  std::string name;  // in the folder
};
base::Status walk_tree(std::shared_ptr<Directory> root, bool below,
                       const std::function<base::Status(const TreeEntry&)>& visit);

}  // namespace atollvm::vfs
