// Small things for code that calls the operating system.
#pragma once

#include <utility>

#include "stdlib/vfs/vfs.hpp"

struct stat;

namespace atollvm::vfs {

// The guest's number for an errno of the host; io for those without one.
Errno from_errno(int error);
// The guest's view of a stat result.
Stat from_stat(const struct ::stat& status);

// Where the host has what a descriptor is open for; nothing: nowhere any more, or it does not say.
std::optional<std::string> path_of(int fd);

// Whether there is a regular file of that name.
bool is_file(const std::string& path);

// An open file descriptor, closed at the end.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor();
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  [[nodiscard]] int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

}  // namespace atollvm::vfs
