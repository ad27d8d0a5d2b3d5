#include "stdlib/vfs/beneath.hpp"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <vector>

namespace atollvm::vfs {
namespace {

// Not in the headers of older systems.
constexpr u64 resolve_cached = 0x20;

// A rename somewhere on the way makes openat2 ask to try again; then the walk does it.
constexpr int race_retries = 16;

int open_kernel(int root, const char* path, int flags, unsigned mode, u64 resolve) {
  open_how how{};
  how.flags = static_cast<u64>(flags);
  how.mode = (flags & O_CREAT) != 0 ? mode : 0;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | resolve;
  return static_cast<int>(syscall(SYS_openat2, root, path, &how, sizeof how));
}

// The way of Resolver::walk: directories are only entered by O_NOFOLLOW from one that is already
// held open, and ".." goes back to the one held before. So nothing that others rename or replace
// meanwhile leads to a directory that was not below the root when it was entered.
class Walk {
 public:
  Walk(int root, int flags, unsigned mode) : root_(root), flags_(flags), mode_(mode) {}

  Outcome<Descriptor> run(std::string_view path) {
    if (const Errno error = push_names(path); error != Errno::success) return error;
    while (true) {
      const std::string name = std::move(names_.back());
      names_.pop_back();
      const bool last = names_.empty();
      if (name == ".." && held_.empty()) return Errno::notcapable;
      if (name == "..") held_.pop_back();
      if (name == "." || name == "..") {
        if (last) return open_here();
        continue;
      }
      Outcome<Descriptor> opened = last ? open_last(name) : enter(name);
      if (const Errno* error = std::get_if<Errno>(&opened)) {
        if (*error != Errno::success) return opened;
        continue;  // a link: its names are next
      }
      if (last) return opened;
      if (held_.size() >= max_walk_depth) return Errno::nametoolong;
      held_.push_back(std::move(std::get<Descriptor>(opened)));
    }
  }

 private:
  [[nodiscard]] int here() const { return held_.empty() ? root_ : held_.back().get(); }

  // Puts the names of a path before those that are left.
  Errno push_names(std::string_view path) {
    if (path.empty()) return Errno::noent;
    if (path.front() == '/') return Errno::notcapable;
    // A name is meant to be a directory when a slash follows it.
    if (path.back() == '/' && names_.empty()) flags_ = (flags_ | O_DIRECTORY) & ~O_NOFOLLOW;
    for (usize end = path.size(); end != std::string_view::npos && end > 0;) {
      const usize slash = path.rfind('/', end - 1);
      const usize begin = slash == std::string_view::npos ? 0 : slash + 1;
      if (begin < end) names_.emplace_back(path.substr(begin, end - begin));
      end = slash;
    }
    return Errno::success;
  }

  Outcome<Descriptor> open_here() {
    const int fd = openat(here(), ".", flags_, mode_);
    if (fd < 0) return from_errno(errno);
    return Descriptor(fd);
  }

  Outcome<Descriptor> enter(const std::string& name) {
    const int fd = openat(here(), name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0) return Descriptor(fd);
    return follow(name, errno);
  }

  Outcome<Descriptor> open_last(const std::string& name) {
    const bool may_follow =
        (flags_ & O_NOFOLLOW) == 0 && (flags_ & (O_CREAT | O_EXCL)) != (O_CREAT | O_EXCL);
    const int fd = openat(here(), name.c_str(), flags_ | O_NOFOLLOW, mode_);
    if (fd < 0) return may_follow ? follow(name, errno) : Outcome<Descriptor>(from_errno(errno));
    Descriptor opened(fd);
    if (may_follow && (flags_ & O_PATH) != 0) {
      struct stat status{};
      if (fstat(fd, &status) != 0) return from_errno(errno);
      if (S_ISLNK(status.st_mode)) return follow(name, ELOOP);
    }
    return opened;
  }

  // If `name` is a link, puts its target's names in its place and gives success; else the error
  // that opening it gave.
  Outcome<Descriptor> follow(const std::string& name, int error) {
    if (error != ELOOP && error != ENOTDIR) return from_errno(error);
    std::array<char, max_path + 1> target;
    const ssize_t size = readlinkat(here(), name.c_str(), target.data(), target.size());
    if (size < 0) return from_errno(error);
    if (++links_ > max_links) return Errno::loop;
    if (static_cast<usize>(size) > max_path) return Errno::nametoolong;
    return push_names({target.data(), static_cast<usize>(size)});
  }

  int root_;
  int flags_;
  unsigned mode_;
  u32 links_ = 0;
  std::vector<Descriptor> held_;    // from the root to here
  std::vector<std::string> names_;  // left to do, the next one last
};

}  // namespace

Resolver best_resolver() {
  static const Resolver best = [] {
    const int fd = open_kernel(AT_FDCWD, ".", O_PATH | O_CLOEXEC, 0, 0);
    if (fd >= 0) close(fd);
    // EPERM: a filter of system calls that does not know it.
    return fd < 0 && (errno == ENOSYS || errno == EPERM) ? Resolver::walk : Resolver::kernel;
  }();
  return best;
}

Outcome<Descriptor> open_beneath(Resolver resolver, int root, const std::string& path, int flags,
                                 unsigned mode, Wait wait) {
  if (path.size() > max_path) return Errno::nametoolong;
  flags |= O_CLOEXEC;
  // A trailing slash follows a link whatever the flags say.
  if (!path.empty() && path.back() == '/') flags = (flags | O_DIRECTORY) & ~O_NOFOLLOW;
  if (resolver == Resolver::kernel) {
    const bool cached = wait == Wait::never;
    for (int turn = 0; turn < race_retries; ++turn) {
      const int fd = open_kernel(root, path.c_str(), flags, mode, cached ? resolve_cached : 0);
      if (fd >= 0) return Descriptor(fd);
      if (errno == EXDEV) return Errno::notcapable;
      // EINVAL: a kernel between openat2 (5.6) and RESOLVE_CACHED (5.12).
      if (cached && (errno == EAGAIN || errno == EINVAL)) return Errno::again;
      if (errno != EAGAIN && errno != EINTR) return from_errno(errno);
    }
  }
  if (wait == Wait::never) return Errno::again;
  Outcome<Descriptor> opened = Walk(root, flags, mode).run(path);
  // Devices may say it: there is nothing to wait for.
  if (const Errno* error = std::get_if<Errno>(&opened); error && *error == Errno::again) {
    return Errno::notsup;
  }
  return opened;
}

}  // namespace atollvm::vfs
