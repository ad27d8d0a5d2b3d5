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

bool begins_with(const auto& names, const auto& first) {
  return names.size() >= first.size() && std::equal(first.begin(), first.end(), names.begin());
}

// A path, and the names from number `from` on below it.
std::string joined(std::string path, const std::vector<std::string_view>& names, usize from) {
  for (usize i = from; i < names.size(); ++i) {
    if (!path.empty()) path += '/';
    path += names[i];
  }
  return path;
}

}  // namespace

base::Status NameSpace::mount(std::string_view guest, std::shared_ptr<Directory> directory,
                              cap::Rights rights) {
  Mount mount;
  mount.directory = std::move(directory);
  mount.rights = rights;
  return add_checked(guest, std::move(mount));
}

base::Status NameSpace::reserve(std::string_view guest) {
  Mount mount;
  mount.is_hidden = true;
  return add_checked(guest, std::move(mount));
}

base::Status NameSpace::add_checked(std::string_view guest, Mount added) {
  const auto refuse = [guest](const char* why) {
    return base::Error{base::ErrorCode::usage, std::string(guest), why};
  };
  std::vector<std::string_view> names;
  if (guest.empty()) return refuse("a mount needs a path for the guest");
  if (guest.find('\0') != std::string_view::npos) return refuse("a path can't have NUL bytes");
  if (guest.size() > max_path) return refuse("the path is too long");
  if (!split(guest, names)) return refuse("a mount's path for the guest can't begin with '..'");
  added.absolute = guest.front() == '/';
  added.names.assign(names.begin(), names.end());
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
  hidden.is_change = true;
  std::vector<std::string_view> names;
  const Errno error = take_apart(path, names, hidden.absolute);
  if (error != Errno::success) return error;
  hidden.names.assign(names.begin(), names.end());
  auto less = std::make_shared<NameSpace>();
  less->has_relative_ = has_relative_;
  for (const auto& each : mounts_) {
    if (!begins_with(each->names, names) || each->absolute != hidden.absolute) {
      less->mounts_.push_back(each);
    }
  }
  less->add(std::move(hidden));
  if (less->changes() > max_changes) return Errno::mlink;
  return less;
}

Outcome<std::shared_ptr<NameSpace>> NameSpace::attenuated(std::string_view path,
                                                          cap::Rights rights) const {
  Mount own;
  own.is_change = true;
  std::vector<std::string_view> names;
  const Errno error = take_apart(path, names, own.absolute);
  if (error != Errno::success) return error;
  own.names.assign(names.begin(), names.end());
  auto less = std::make_shared<NameSpace>();
  less->has_relative_ = has_relative_;
  bool is_mounted = false;  // there or below
  bool is_itself = false;
  for (const auto& each : mounts_) {
    const bool is_below = begins_with(each->names, names) && each->absolute == own.absolute;
    if (is_below && !each->is_hidden) {
      auto copy = std::make_shared<Mount>(*each);
      copy->rights &= rights;
      less->mounts_.push_back(std::move(copy));
      is_mounted = true;
    } else {
      less->mounts_.push_back(each);
    }
    is_itself |= is_below && each->names.size() == names.size();
  }
  const Mount* const whole = find(names, own.absolute);
  const bool is_part = whole != nullptr && !whole->is_hidden;
  if (!is_mounted && !is_part) return Errno::noent;
  if (is_part && !is_itself) {
    own.directory = whole->directory;
    own.rights = whole->rights & rights;
    own.inner = joined(whole->inner, names, whole->names.size());
    less->add(std::move(own));
  }
  if (less->changes() > max_changes) return Errno::mlink;
  return less;
}

usize NameSpace::changes() const {
  return static_cast<usize>(
      std::ranges::count_if(mounts_, [](const auto& each) { return each->is_change; }));
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
  const Mount* const mount = find(names, absolute);
  if (mount == nullptr || mount->is_hidden) return Errno::noent;
  Resolved resolved{mount->directory, mount->rights,
                    joined(mount->inner, names, mount->names.size())};
  resolved.holds_mounts = std::ranges::any_of(mounts_, [&](const auto& each) {
    return each.get() != mount && each->absolute == absolute && begins_with(each->names, names);
  });
  if (resolved.path.empty()) {
    resolved.path.assign(1, '.');
  } else if (means_directory(path)) {
    resolved.path += '/';
  }
  return resolved;
}

const NameSpace::Mount* NameSpace::find(const std::vector<std::string_view>& names,
                                        bool absolute) const {
  for (const auto& each : mounts_) {
    if (each->absolute == absolute && begins_with(names, each->names)) return each.get();
  }
  return nullptr;
}

}  // namespace atollvm::vfs
