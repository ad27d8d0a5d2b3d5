#include "scheduler/snapshot/atomic_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string_view>

#include "vm/base/utf8.hpp"

namespace atollvm::snapshot {

namespace {

constexpr std::string_view prefix = ".atoll-";
constexpr std::string_view suffix = ".part";
constexpr int attempts = 1000;

std::string other_name() {
  static std::atomic<u32> count{0};
  return fmt::format("{}{}-{}{}", prefix, getpid(), count.fetch_add(1), suffix);
}

}  // namespace

bool is_left_over(std::string_view name) {
  return name.starts_with(prefix) && name.ends_with(suffix);
}

base::Error AtomicFile::failed(int error) const {
  return {error == ENOENT || error == ENOTDIR ? base::ErrorCode::not_found : base::ErrorCode::io,
          base::printable(path_, 200), std::strerror(error)};
}

base::Result<std::unique_ptr<AtomicFile>> AtomicFile::create(const std::string& path) {
  std::unique_ptr<AtomicFile> file(new AtomicFile);
  file->path_ = path;
  const usize slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  file->name_ = slash == std::string::npos ? path : path.substr(slash + 1);
  if (path.find('\0') != std::string::npos) return file->failed(ENOENT);
  if (file->name_.empty() || file->name_ == "." || file->name_ == "..") {
    return file->failed(EISDIR);
  }
  file->folder_ = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file->folder_ < 0) return file->failed(errno);
  struct stat status = {};
  if (fstatat(file->folder_, file->name_.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) {
    if (!S_ISREG(status.st_mode)) {
      return base::Error{base::ErrorCode::usage, base::printable(path, 200),
                         "is there already, and is no regular file"};
    }
  } else if (errno != ENOENT) {
    return file->failed(errno);
  }
  // A name may be left over from a killed program that had our pid.
  for (int i = 0; i < attempts && file->file_ < 0; ++i) {
    std::string other = other_name();
    file->file_ = openat(file->folder_, other.c_str(),
                         O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file->file_ >= 0) {
      file->other_ = std::move(other);
    } else if (errno != EEXIST) {
      break;
    }
  }
  if (file->file_ < 0) return file->failed(errno);
  return file;
}

AtomicFile::~AtomicFile() {
  if (file_ >= 0) close(file_);
  if (!other_.empty()) unlinkat(folder_, other_.c_str(), 0);
  if (folder_ >= 0) close(folder_);
}

base::Status AtomicFile::write(std::span<const u8> bytes) {
  while (!bytes.empty()) {
    const ssize_t size = ::write(file_, bytes.data(), bytes.size());
    if (size < 0 && errno == EINTR) continue;
    // A regular file takes something, or says why it does not.
    if (size <= 0) return failed(size == 0 ? ENOSPC : errno);
    bytes = bytes.subspan(static_cast<usize>(size));
  }
  return {};
}

base::Status AtomicFile::commit() {
  // The bytes before the name: a power cut must not leave the name with half of them.
  if (fsync(file_) != 0) return failed(errno);
  const int file = std::exchange(file_, -1);
  if (close(file) != 0) return failed(errno);
  if (renameat(folder_, other_.c_str(), folder_, name_.c_str()) != 0) return failed(errno);
  other_.clear();
  if (fsync(folder_) != 0) {
    base::Error error = failed(errno);
    error.message = fmt::format("written, but not known to be on the disk: {}", error.message);
    return error;
  }
  return {};
}

}  // namespace atollvm::snapshot
