#include "stdlib/vfs/archive_tree.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "stdlib/vfs/archive_library.hpp"
#include "stdlib/vfs/memory_tree.hpp"
#include "stdlib/vfs/path.hpp"
#include "vm/base/utf8.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace atollvm::vfs {
namespace {

using base::Error;
using base::ErrorCode;

constexpr u64 most_entries = u64{1} << 31;  // nodes have a 32-bit number
constexpr usize shown_name = 200;           // bytes of an entry's name in a message

// The names of a path of the archive; nothing is said by "." and by slashes at the end. Gives what
// is wrong with it; "": nothing.
std::string_view split(std::string_view path, std::vector<std::string_view>& names) {
  if (path.empty()) return "it has no name";
  if (path.size() > max_path) return "its path is longer than 4095 bytes";
  if (path.front() == '/') return "its name is absolute";
  if (path.find('\0') != std::string_view::npos) return "its name has a NUL";
  while (!path.empty()) {
    const usize end = std::min(path.find('/'), path.size());
    const std::string_view name = path.substr(0, end);
    path.remove_prefix(std::min(end + 1, path.size()));
    if (name.empty() || name == ".") continue;
    if (name == "..") return "its name has `..` in it";
    if (name.size() > max_name) return "a name in its path is longer than 255 bytes";
    names.push_back(name);
  }
  return {};
}

}  // namespace

ArchiveTree::ArchiveTree(std::shared_ptr<const ArchiveBytes> bytes, std::string place,
                         const ArchiveLimits& limits)
    : bytes_(std::move(bytes)),
      place_(std::move(place)),
      limits_(limits),
      device_(next_device()),
      left_(limits.bytes) {
  limits_.entries = std::min(limits_.entries, most_entries);
  nodes_.push_back({.type = FileType::directory});
}

Error ArchiveTree::refuse(std::string_view path, std::string_view why) const {
  return {ErrorCode::malformed, place_,
          fmt::format("the entry `{}`: {}", base::printable(path, shown_name), why)};
}

std::optional<Error> ArchiveTree::count_one() {
  if (counted_ < limits_.entries) {
    ++counted_;
    return std::nullopt;
  }
  return Error{
      ErrorCode::limit, place_,
      fmt::format("the archive has more than {} entries: `inodes` of the mount is the limit",
                  limits_.entries)};
}

// --- Filling ---

std::optional<Error> ArchiveTree::add(ArchiveEntry entry) {
  for (usize i = 0; i <= entry.parts.size(); ++i) {
    if (auto error = count_one()) return error;
  }
  std::vector<std::string_view> names;
  if (const auto why = split(entry.path, names); !why.empty()) return refuse(entry.path, why);
  const bool is_folder = !entry.is_hard_link && entry.node.type == FileType::directory;
  if (names.empty()) {
    if (!is_folder) return refuse(entry.path, "it has no name");
    nodes_[root].modified_ns = entry.node.modified_ns;
    return std::nullopt;
  }
  Node folder = root;
  for (usize i = 0; i + 1 < names.size(); ++i) {
    const auto [found, is_new] = names_.try_emplace({folder, std::string(names[i])}, 0);
    if (is_new) {
      if (auto error = count_one()) return error;
      found->second = static_cast<Node>(nodes_.size());
      ++nodes_[folder].count;
      nodes_.push_back({.type = FileType::directory, .modified_ns = entry.node.modified_ns});
    } else if (nodes_[found->second].type != FileType::directory) {
      return refuse(entry.path, fmt::format("it lies below `{}`, which is no directory",
                                            base::printable(names[i], shown_name)));
    }
    folder = found->second;
  }
  if (entry.is_hard_link) {
    std::vector<std::string_view> to;
    if (!split(entry.target, to).empty() || to.empty()) {
      return refuse(entry.path,
                    fmt::format("it is a hard link to `{}`, which is no name in the archive",
                                base::printable(entry.target, shown_name)));
    }
    Node node = root;
    for (const std::string_view name : to) {
      const auto found = names_.find({node, std::string(name)});
      if (found == names_.end()) {
        return refuse(entry.path, fmt::format("it is a hard link to `{}`, which is not before it",
                                              base::printable(entry.target, shown_name)));
      }
      node = found->second;
    }
    if (nodes_[node].type == FileType::directory) {
      return refuse(entry.path, "it is a hard link to a directory");
    }
    return put(entry, folder, names.back(), node);
  }
  ArchiveNode& node = entry.node;
  if (node.type == FileType::link) {
    if (entry.target.empty()) return refuse(entry.path, "it is a link that says nothing");
    if (entry.target.size() > max_path) {
      return refuse(entry.path, "it is a link that says more than 4095 bytes");
    }
    node.body = ArchiveNode::Body::text;
    node.index = targets_.size();
    node.size = entry.target.size();
    targets_.push_back(std::move(entry.target));
  } else if (node.body == ArchiveNode::Body::parts) {
    node.index = parts_.size();
    parts_.push_back(std::move(entry.parts));
  }
  nodes_.push_back(node);
  return put(entry, folder, names.back(), static_cast<Node>(nodes_.size() - 1));
}

std::optional<Error> ArchiveTree::put(const ArchiveEntry& entry, Node folder, std::string_view name,
                                      Node node) {
  const auto [found, is_new] = names_.try_emplace({folder, std::string(name)}, node);
  if (is_new) {
    ++nodes_[folder].count;
  } else if (found->second == node) {
    return std::nullopt;
  } else {
    ArchiveNode& old = nodes_[found->second];
    if (old.type == FileType::directory) {
      if (nodes_[node].type == FileType::directory) {
        old.modified_ns = nodes_[node].modified_ns;
        return std::nullopt;
      }
      if (old.count != 0) return refuse(entry.path, "a directory with entries has its name");
    } else {
      --old.links;
    }
    found->second = node;
  }
  ++nodes_[node].links;
  return std::nullopt;
}

void ArchiveTree::finish() {
  slots_.reserve(names_.size());
  for (ArchiveNode& each : nodes_) {
    if (each.type == FileType::directory) each.links = 2;
    each.count = 0;
  }
  while (!names_.empty()) {
    auto name = names_.extract(names_.begin());
    const auto& [folder, text] = name.key();
    ArchiveNode& holder = nodes_[folder];
    if (holder.count++ == 0) holder.first = static_cast<u32>(slots_.size());
    if (nodes_[name.mapped()].type == FileType::directory) ++holder.links;
    slots_.push_back({std::move(name.key().second), name.mapped()});
  }
  nodes_.shrink_to_fit();
}

// --- Reading ---

std::span<const ArchiveTree::Slot> ArchiveTree::slots(Node folder) const {
  const ArchiveNode& node = nodes_[folder];
  return std::span(slots_).subspan(node.first, node.count);
}

const ArchiveTree::Slot* ArchiveTree::find(Node folder, std::string_view name) const {
  const std::span<const Slot> all = slots(folder);
  const auto found = std::ranges::lower_bound(
      all, name, {}, [](const Slot& slot) { return std::string_view(slot.name); });
  return found == all.end() || found->name != name ? nullptr : &*found;
}

const std::string& ArchiveTree::target(Node link) const {
  return targets_[static_cast<usize>(nodes_[link].index)];
}

const std::vector<ArchivePart>& ArchiveTree::parts(Node file) const {
  return parts_[static_cast<usize>(nodes_[file].index)];
}

Stat ArchiveTree::stat(Node index) const {
  const ArchiveNode& node = nodes_[index];
  Stat stat;
  stat.device = device_;
  stat.inode = u64{index} + 1;
  stat.type = node.type;
  stat.links = node.links;
  stat.size = node.size;
  stat.accessed_ns = stat.modified_ns = stat.changed_ns = node.modified_ns;
  return stat;
}

std::optional<std::string> ArchiveTree::identity() const {
  const std::lock_guard lock(identity_mutex_);
  if (identity_) return identity_;
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state(XXH3_createState(),
                                                                       XXH3_freeState);
  if (state == nullptr || XXH3_128bits_reset(state.get()) != XXH_OK) return std::nullopt;
  std::vector<u8> piece(usize{1} << 18);
  for (u64 at = 0; at < bytes_->size();) {
    const auto some = bytes_->read(piece, at, Wait::allowed);
    const u32* const size = std::get_if<u32>(&some);
    if (size == nullptr || *size == 0) return std::nullopt;
    static_cast<void>(XXH3_128bits_update(state.get(), piece.data(), *size));
    at += *size;
  }
  const XXH128_hash_t hash = XXH3_128bits_digest(state.get());
  identity_ = fmt::format("{}-{:016x}{:016x}", bytes_->size(), hash.high64, hash.low64);
  return identity_;
}

Outcome<ArchiveTree::Node> ArchiveTree::walk(Node start, std::string_view path, bool follow) const {
  if (const Errno error = check_path(path); error != Errno::success) return error;
  Names names(path);
  std::vector<Node> way{start};  // from the start to here
  while (true) {
    Outcome<std::string> next = names.next();
    if (const Errno* error = std::get_if<Errno>(&next)) return *error;
    const std::string& name = std::get<std::string>(next);
    const bool last = names.empty();
    if (name == "..") way.pop_back();
    if (way.empty()) return Errno::notcapable;
    if (name == "." || name == "..") {
      if (last) return way.back();
      continue;
    }
    const Slot* const slot = find(way.back(), name);
    if (slot == nullptr) return Errno::noent;
    const FileType type = nodes_[slot->node].type;
    if (type == FileType::link && (!last || follow || names.must_be_directory())) {
      const Errno error = names.follow(target(slot->node));
      if (error != Errno::success) return error;
      continue;
    }
    if (type != FileType::directory && (!last || names.must_be_directory())) return Errno::notdir;
    if (last) return slot->node;
    way.push_back(slot->node);
  }
}

Outcome<std::shared_ptr<const ArchiveBytes>> ArchiveTree::unpacked(Node file, Wait wait) const {
  const auto known = [&]() -> Outcome<std::shared_ptr<const ArchiveBytes>> {
    const std::lock_guard lock(mutex_);
    const auto found = unpacked_.find(file);
    if (found == unpacked_.end()) return Errno::again;
    if (found->second.is_damaged) return Errno::io;
    return found->second.bytes;
  };
  if (auto first = known(); wait == Wait::never || first != decltype(first)(Errno::again)) {
    return first;
  }
  const std::lock_guard turn(unpack_mutex_);
  if (auto other = known(); other != decltype(other)(Errno::again)) return other;
  const ArchiveNode& node = nodes_[file];
  if (!left_.take(node.size)) return Errno::nospc;
  auto bytes = unpack_zip_entry(bytes_, node.at, node.size);
  if (!bytes) left_.give(node.size);
  const std::lock_guard lock(mutex_);
  Unpacked& entry = unpacked_[file];
  entry.bytes = std::move(bytes);
  entry.is_damaged = entry.bytes == nullptr;
  if (entry.is_damaged) return Errno::io;
  return entry.bytes;
}

}  // namespace atollvm::vfs
