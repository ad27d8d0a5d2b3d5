// How a path is walked in a tree that a backend holds by itself. Internal to the folder.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "stdlib/vfs/path.hpp"

namespace atollvm::vfs {

// Where a path leads.
template <class Node>
struct WalkPlace {
  std::optional<Node> folder;  // that has the name; nothing: the path ended with "." or ".."
  std::string name;
  std::optional<Node> node;  // nothing: there is nothing of that name
  bool must_be_directory = false;
};

// Finds what a path names, and follows a link at its end if that is asked for or a slash is behind
// it. `start` is where no ".." leads out of. A Tree has
//   Outcome<std::optional<Node>> find(const Node& folder, std::string_view name);
//   FileType type_of(const Node&);
//   Outcome<std::string> target_of(const Node& link);
// Errors: those of a path and of the tree; never noent for the last name.
template <class Node, class Tree>
Outcome<WalkPlace<Node>> walk_in(Tree& tree, const Node& start, std::string_view path,
                                 bool follow) {
  if (const Errno error = check_path(path); error != Errno::success) return error;
  Names names(path);
  std::vector<Node> way{start};  // from the start to here
  while (true) {
    Outcome<std::string> next = names.next();
    if (const Errno* const error = std::get_if<Errno>(&next)) return *error;
    std::string& name = std::get<std::string>(next);
    const bool last = names.empty();
    WalkPlace<Node> place;
    place.must_be_directory = names.must_be_directory();
    if (name == "..") way.pop_back();
    if (way.empty()) return Errno::notcapable;
    if (name == "." || name == "..") {
      if (!last) continue;
      place.node = way.back();
      return place;
    }
    Outcome<std::optional<Node>> found = tree.find(way.back(), name);
    if (const Errno* const error = std::get_if<Errno>(&found)) return *error;
    std::optional<Node>& node = std::get<std::optional<Node>>(found);
    if (!node && !last) return Errno::noent;
    const FileType type = node ? tree.type_of(*node) : FileType::unknown;
    if (type == FileType::link && (!last || follow || place.must_be_directory)) {
      const Outcome<std::string> target = tree.target_of(*node);
      if (const Errno* const error = std::get_if<Errno>(&target)) return *error;
      const Errno error = names.follow(std::get<std::string>(target));
      if (error != Errno::success) return error;
      continue;
    }
    if (last) {
      if (node && place.must_be_directory && type != FileType::directory) return Errno::notdir;
      place.folder = way.back();
      place.name = std::move(name);
      place.node = std::move(node);
      return place;
    }
    if (type != FileType::directory) return Errno::notdir;
    way.push_back(*std::move(node));
  }
}

}  // namespace atollvm::vfs
