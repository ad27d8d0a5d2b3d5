// What backends share that take paths apart by themselves. Internal to the folder.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "stdlib/vfs/vfs.hpp"

namespace atollvm::vfs {

// A name longer than this (bytes) is refused with nametoolong.
inline constexpr usize max_name = 255;
// Symbolic links followed for one path.
inline constexpr u32 max_links = 40;
// Directories between the start and the end of a path, where a walk keeps each open.
inline constexpr usize max_walk_depth = 200;

// Errors: noent (empty), nametoolong, inval (NUL bytes), notcapable (absolute).
Errno check_path(std::string_view path);
// Whether a path and what is asked for contradict; the path is checked, too. Errors: inval, isdir.
Errno check_open(std::string_view path, u32 flags, Access access);

// A path that is cut before its last name, for calls that work on a name in a directory.
struct LastName {
  std::string_view folder;  // of the name, with a slash at its end; empty: it is in the start
  std::string_view name;
  bool must_be_directory = false;  // a slash followed

  // "." and ".." name no place for something new, but a directory that is there.
  [[nodiscard]] bool is_dots() const { return name == "." || name == ".."; }
  // The folder and the name, without the slash behind them.
  [[nodiscard]] std::string_view whole() const {
    return {folder.empty() ? name.data() : folder.data(), folder.size() + name.size()};
  }
};
LastName split_last(std::string_view path);

// The names of a path that are still to be walked; those of a symbolic link take its place.
class Names {
 public:
  // A checked path.
  explicit Names(std::string_view path) { push(path); }

  [[nodiscard]] bool empty() const { return left_.empty(); }
  // Whether the last name must be a directory, and is followed if it is a link: a slash is behind.
  [[nodiscard]] bool must_be_directory() const { return must_be_directory_; }
  // Errors: nametoolong; loop, for a path that takes too many steps.
  Outcome<std::string> next();
  // What a link says, before what is left. Errors: loop (too many), and those of check_path.
  Errno follow(std::string_view target);

 private:
  void push(std::string_view path);

  std::vector<std::string> left_;  // the next one last
  u32 links_ = 0;
  u32 steps_ = 0;
  bool must_be_directory_ = false;
};

}  // namespace atollvm::vfs
