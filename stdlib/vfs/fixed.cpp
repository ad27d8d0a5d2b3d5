#include "stdlib/vfs/fixed.hpp"

#include <algorithm>

#include "stdlib/vfs/path.hpp"

namespace atollvm::vfs {

// Stays below the directory that the walk begins in.
Outcome<u32> FixedDirectory::walk(std::string_view path) const {
  if (const Errno error = check_path(path); error != Errno::success) return error;
  u32 at = node_;
  for (Names names(path); !names.empty() || names.must_be_directory();) {
    if (nodes_[at].type != FileType::directory) return Errno::notdir;
    if (names.empty()) break;
    const Outcome<std::string> next = names.next();
    if (const Errno* const error = std::get_if<Errno>(&next)) return *error;
    const auto& name = std::get<std::string>(next);
    if (name == ".") continue;
    if (name == "..") {
      if (at == node_) return Errno::notcapable;
      at = nodes_[at].parent;
      continue;
    }
    u32 found = 1;
    while (found < nodes_.size() && (nodes_[found].parent != at || nodes_[found].name != name)) {
      ++found;
    }
    if (found == nodes_.size() || !exists(found)) return Errno::noent;
    at = found;
  }
  return at;
}

Stat FixedDirectory::stat_of(u32 node) const {
  Stat stat;
  stat.device = static_cast<u64>(device_);
  stat.inode = u64{node} + 1;
  stat.type = nodes_[node].type;
  stat.links = 1;
  stat.size = stat.type == FileType::directory ? 0 : size_of(node);
  return stat;
}

Outcome<std::shared_ptr<cap::Object>> FixedDirectory::open(std::string_view path, u32 flags,
                                                           Access access, Wait) {
  if (const Errno error = check_open(path, flags, access); error != Errno::success) return error;
  const bool create = (flags & open_create) != 0;
  const Outcome<u32> found = walk(path);
  if (const Errno* const error = std::get_if<Errno>(&found)) {
    return *error == Errno::noent && create ? refuse_new(path) : *error;
  }
  if ((flags & open_exclusive) != 0) return Errno::exist;
  const u32 index = std::get<u32>(found);
  if (nodes_[index].type == FileType::directory) {
    if (create || (flags & open_truncate) != 0 || access.write) return Errno::isdir;
    return directory_at(index);
  }
  if ((flags & open_directory) != 0) return Errno::notdir;
  return file_at(index, flags, access);
}

Outcome<Stat> FixedDirectory::stat(std::string_view path, bool, Wait) {
  const Outcome<u32> found = walk(path);
  if (const Errno* const error = std::get_if<Errno>(&found)) return *error;
  return stat_of(std::get<u32>(found));
}

Errno FixedDirectory::set_times(std::string_view path, bool, const Times&, Wait) {
  const Outcome<u32> found = walk(path);
  const Errno* const error = std::get_if<Errno>(&found);
  return error == nullptr ? Errno::rofs : *error;
}

// A cookie is the number of a row.
Outcome<std::vector<Entry>> FixedDirectory::list(u64 cookie, u32 bytes, Wait) {
  if (cookie > nodes_.size()) return Errno::inval;
  const usize most = std::max<u32>(bytes, 4096);
  std::vector<Entry> entries;
  usize used = 0;
  for (u32 i = std::max(static_cast<u32>(cookie), u32{1}); i < nodes_.size() && used < most; ++i) {
    if (nodes_[i].parent != node_ || !exists(i)) continue;
    entries.push_back({u64{i} + 1, u64{i} + 1, nodes_[i].type, std::string(nodes_[i].name)});
    used += 24 + nodes_[i].name.size();
  }
  return entries;
}

Errno FixedDirectory::refuse_new(std::string_view path) const {
  if (const Errno error = check_path(path); error != Errno::success) return error;
  if (std::holds_alternative<u32>(walk(path))) return Errno::exist;
  const std::string_view folder = split_last(path).folder;
  const Outcome<u32> parent = folder.empty() ? node_ : walk(folder);
  const Errno* const error = std::get_if<Errno>(&parent);
  return error == nullptr ? Errno::rofs : *error;
}

Errno FixedDirectory::refuse_two(std::string_view path, const Directory& to,
                                 std::string_view to_path) const {
  if (to.file_system() != file_system()) return Errno::xdev;
  const Outcome<u32> found = walk(path);
  if (const Errno* const error = std::get_if<Errno>(&found)) return *error;
  const Errno error = check_path(to_path);
  return error == Errno::success ? Errno::rofs : error;
}

Errno FixedDirectory::remove_file(std::string_view path, Wait) {
  const Outcome<u32> found = walk(path);
  if (const Errno* const error = std::get_if<Errno>(&found)) return *error;
  return nodes_[std::get<u32>(found)].type == FileType::directory ? Errno::isdir : Errno::rofs;
}

Errno FixedDirectory::remove_directory(std::string_view path, Wait) {
  const Outcome<u32> found = walk(path);
  if (const Errno* const error = std::get_if<Errno>(&found)) return *error;
  return nodes_[std::get<u32>(found)].type == FileType::directory ? Errno::rofs : Errno::notdir;
}

Errno FixedDirectory::make_link(std::string_view target, std::string_view path, Wait) {
  const Errno error = check_path(target);
  return error == Errno::success ? refuse_new(path) : error;
}

Outcome<std::string> FixedDirectory::read_link(std::string_view path, Wait) {
  const Outcome<u32> found = walk(path);
  const Errno* const error = std::get_if<Errno>(&found);
  return error == nullptr ? Errno::inval : *error;
}

}  // namespace atollvm::vfs
