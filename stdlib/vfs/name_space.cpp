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
  for (const auto& each : mounts_) {
    if (each->absolute == added.absolute && each->names == added.names) {
      return refuse("something is mounted there already");
    }
  }
  add(std::move(added));
  return {};
}

void NameSpace::add(Mount mount) {
  has_relative_ |= !mount.absolute;
  const auto shorter = [&mount](const auto& each) {
    return each->names.size() < mount.names.size();
  };
  const auto at = std::find_if(mounts_.begin(), mounts_.end(), shorter);
  mounts_.insert(at, std::make_shared<const Mount>(std::move(mount)));
}

Errno NameSpace::take_apart(std::string_view path, std::vector<std::string_view>& names,
                            bool& absolute) const {
  if (path.empty()) return Errno::noent;
  if (path.size() > max_path) return Errno::nametoolong;
  if (path.find('\0') != std::string_view::npos) return Errno::inval;
  absolute = path.front() == '/' || !has_relative_;
  return split(path, names) ? Errno::success : Errno::notcapable;
}

Outcome<std::shared_ptr<NameSpace>> NameSpace::without(std::string_view path) const {
  Mount hidden;
  hidden.is_hidden = true;
  std::vector<std::string_view> names;
  const Errno error = take_apart(path, names, hidden.absolute);
  if (error != Errno::success) return error;
  hidden.names.assign(names.begin(), names.end());
  auto less = std::make_shared<NameSpace>();
  less->has_relative_ = has_relative_;
  usize hidden_count = 1;
  for (const auto& each : mounts_) {
    const bool is_below = each->absolute == hidden.absolute && each->names.size() >= names.size() &&
                          std::equal(names.begin(), names.end(), each->names.begin());
    if (is_below) continue;
    hidden_count += each->is_hidden ? 1 : 0;
    less->mounts_.push_back(each);
  }
  if (hidden_count > max_hidden) return Errno::mlink;
  less->add(std::move(hidden));
  return less;
}

std::vector<NameSpace::Shown> NameSpace::mounts() const {
  std::vector<Shown> all;
  for (const auto& each : mounts_) {
    if (each->is_hidden) continue;
    std::string guest = each->absolute ? "/" : each->names.empty() ? "." : "";
    for (usize i = 0; i < each->names.size(); ++i) {
      if (i != 0) guest += '/';
      guest += each->names[i];
    }
    all.push_back({std::move(guest), each->directory, each->rights});
  }
  return all;
}

Outcome<NameSpace::Resolved> NameSpace::resolve(std::string_view path) const {
  bool absolute = true;
  std::vector<std::string_view> names;
  if (const Errno error = take_apart(path, names, absolute); error != Errno::success) return error;
  for (const auto& each : mounts_) {
    const Mount& mount = *each;
    if (mount.absolute != absolute || mount.names.size() > names.size()) continue;
    if (!std::equal(mount.names.begin(), mount.names.end(), names.begin())) continue;
    if (mount.is_hidden) return Errno::noent;
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
