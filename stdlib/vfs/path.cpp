#include "stdlib/vfs/path.hpp"

#include <utility>

namespace atollvm::vfs {
namespace {

// Names walked for one path, those of links included: links that say "a/../a/../..." would keep a
// worker busy. Any path without links has fewer.
constexpr u32 max_steps = 8192;

}  // namespace

Errno check_path(std::string_view path) {
  if (path.empty()) return Errno::noent;
  if (path.size() > max_path) return Errno::nametoolong;
  if (path.find('\0') != std::string_view::npos) return Errno::inval;
  if (path.front() == '/') return Errno::notcapable;
  return Errno::success;
}

Errno check_open(std::string_view path, u32 flags, Access access) {
  const bool create = (flags & open_create) != 0;
  const bool directory = (flags & open_directory) != 0;
  if ((flags & ~open_flags_all) != 0 || (create && directory)) return Errno::inval;
  if ((flags & open_exclusive) != 0 && !create) return Errno::inval;
  if (const Errno error = check_path(path); error != Errno::success) return error;
  if (create && path.ends_with('/')) return Errno::isdir;
  if (directory && ((flags & open_truncate) != 0 || access.write)) return Errno::isdir;
  return Errno::success;
}

LastName split_last(std::string_view path) {
  LastName last;
  const usize end = path.find_last_not_of('/') + 1;
  last.must_be_directory = end < path.size();
  path = path.substr(0, end);
  const usize begin = path.rfind('/') + 1;
  last.folder = path.substr(0, begin);
  last.name = path.substr(begin);
  return last;
}

void Names::push(std::string_view path) {
  must_be_directory_ |= left_.empty() && path.ends_with('/');
  for (usize end = path.size(); end > 0;) {
    const usize begin = path.rfind('/', end - 1) + 1;
    if (begin < end) left_.emplace_back(path.substr(begin, end - begin));
    end = begin == 0 ? 0 : begin - 1;
  }
}

Outcome<std::string> Names::next() {
  if (++steps_ > max_steps) return Errno::loop;
  std::string name = std::move(left_.back());
  left_.pop_back();
  if (name.size() > max_name) return Errno::nametoolong;
  return name;
}

Errno Names::follow(std::string_view target) {
  if (++links_ > max_links) return Errno::loop;
  if (const Errno error = check_path(target); error != Errno::success) return error;
  push(target);
  return Errno::success;
}

}  // namespace atollvm::vfs
