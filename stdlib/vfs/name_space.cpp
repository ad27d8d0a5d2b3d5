#include "stdlib/vfs/name_space.hpp"

#include <algorithm>

namespace atollvm::vfs {
namespace {

// The names of a path, "." and ".." taken out. False when ".." leads outside.
bool split(std::string_view path, std::vector<std::string_view>& names) {
  while (!path.empty()) {
    const usize end = std::min(path.find('/'), path.size());
    const std::string_view name = path.substr(0, end);
    path.remove_prefix(std::min(end + 1, path.size()));
    if (name.empty() || name == ".") continue;
    if (name != "..") {
      names.push_back(name);
    } else if (names.empty()) {
      return false;
    } else {
      names.pop_back();
    }
  }
  return true;
}

// A path that ends so can only mean a directory.
bool means_directory(std::string_view path) {
  return path.ends_with('/') || path.ends_with("/.") || path.ends_with("/..");
}

}  // namespace

base::Status NameSpace::mount(std::string_view guest, std::shared_ptr<Directory> directory,
                              cap::Rights rights) {
  const auto refuse = [guest](const char* why) {
    return base::Error{base::ErrorCode::usage, std::string(guest), why};
  };
  std::vector<std::string_view> names;
  if (guest.empty()) return refuse("a mount needs a path for the guest");
  if (guest.find('\0') != std::string_view::npos) return refuse("a path can't have NUL bytes");
  if (guest.size() > max_path) return refuse("the path is too long");
  if (!split(guest, names)) return refuse("a mount's path for the guest can't begin with '..'");
  Mount added{guest.front() == '/', {names.begin(), names.end()}, std::move(directory), rights};
  for (const Mount& each : mounts_) {
    if (each.absolute == added.absolute && each.names == added.names) {
      return refuse("something is mounted there already");
    }
  }
  has_relative_ |= !added.absolute;
  const auto shorter = [&added](const Mount& each) {
    return each.names.size() < added.names.size();
  };
  mounts_.insert(std::find_if(mounts_.begin(), mounts_.end(), shorter), std::move(added));
  return {};
}

std::vector<NameSpace::Shown> NameSpace::mounts() const {
  std::vector<Shown> all;
  for (const Mount& each : mounts_) {
    std::string guest = each.absolute ? "/" : each.names.empty() ? "." : "";
    for (usize i = 0; i < each.names.size(); ++i) {
      if (i != 0) guest += '/';
      guest += each.names[i];
    }
    all.push_back({std::move(guest), each.directory, each.rights});
  }
  return all;
}

Outcome<NameSpace::Resolved> NameSpace::resolve(std::string_view path) const {
  if (path.empty()) return Errno::noent;
  if (path.size() > max_path) return Errno::nametoolong;
  if (path.find('\0') != std::string_view::npos) return Errno::inval;
  const bool absolute = path.front() == '/' || !has_relative_;
  std::vector<std::string_view> names;
  if (!split(path, names)) return Errno::notcapable;
  for (const Mount& mount : mounts_) {
    if (mount.absolute != absolute || mount.names.size() > names.size()) continue;
    if (!std::equal(mount.names.begin(), mount.names.end(), names.begin())) continue;
    Resolved resolved{mount.directory, mount.rights, {}};
    for (usize i = mount.names.size(); i < names.size(); ++i) {
      if (!resolved.path.empty()) resolved.path += '/';
      resolved.path += names[i];
    }
    if (resolved.path.empty()) {
      resolved.path.assign(1, '.');
    } else if (means_directory(path)) {
      resolved.path += '/';
    }
    return resolved;
  }
  return Errno::noent;
}

}  // namespace atollvm::vfs
