#include "stdlib/host/stream.hpp"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "stdlib/host/support.hpp"
#include "stdlib/vfs/host_file.hpp"

namespace atollvm::host {

using vfs::Outcome;
using vfs::Wait;

Outcome<u32> Stream::read(std::span<u8>, Wait) { return Errno::badf; }
Outcome<u32> Stream::write(std::span<const u8>, Wait) { return Errno::badf; }
Outcome<vfs::Stat> Stream::stat(Wait) { return Errno::notsup; }

namespace {

// A redirected file: `< file`, `> file`.
class FileStream final : public Stream {
 public:
  explicit FileStream(std::shared_ptr<vfs::File> file) : file_(std::move(file)) {}

  Outcome<u32> read(std::span<u8> bytes, Wait wait) override {
    return file_->read(bytes, std::nullopt, wait);
  }
  Outcome<u32> write(std::span<const u8> bytes, Wait wait) override {
    return file_->write(bytes, std::nullopt, {}, wait);
  }
  Outcome<vfs::Stat> stat(Wait wait) override { return file_->stat(wait); }
  [[nodiscard]] vfs::File* file() const override { return file_.get(); }

 private:
  std::shared_ptr<vfs::File> file_;
};

bool is_ready(int fd, short events) {
  pollfd one{fd, events, 0};
  return poll(&one, 1, 0) > 0;
}

// Pipes, terminals, sockets and character devices.
class FdStream final : public Stream {
 public:
  // `own` is a second opening of a terminal that may be non-blocking, or nothing.
  FdStream(int fd, bool is_socket, vfs::Descriptor own)
      : fd_(own ? own.get() : fd), is_socket_(is_socket), own_(std::move(own)) {}

  Outcome<u32> read(std::span<u8> bytes, Wait) override {
    return result(is_socket_ ? recv(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT)
                             : try_read(bytes));
  }
  Outcome<u32> write(std::span<const u8> bytes, Wait) override {
    return result(is_socket_ ? send(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL)
                             : try_write(bytes));
  }
  Outcome<vfs::Stat> stat(Wait) override {
    struct stat status{};
    if (fstat(fd_, &status) != 0) return vfs::from_errno(errno);
    return vfs::from_stat(status);
  }
  [[nodiscard]] std::optional<int> wait_fd() const override { return fd_; }
  [[nodiscard]] bool is_terminal() const override { return isatty(fd_) == 1; }

 private:
  static Outcome<u32> result(ssize_t size) {
    if (size >= 0) return static_cast<u32>(size);
    // A signal: the loop calls again at once.
    return errno == EINTR ? Errno::again : vfs::from_errno(errno);
  }

  // RWF_NOWAIT where the kernel has it for this kind of file. Else ask first; another program that
  // reads the same pipe could be quicker in between, which only emulators and old kernels expose.
  ssize_t try_read(std::span<u8> bytes) const {
    const iovec part{bytes.data(), bytes.size()};
    const ssize_t size = preadv2(fd_, &part, 1, -1, RWF_NOWAIT);
    if (size >= 0 || (errno != EOPNOTSUPP && errno != ENOSYS)) return size;
    if (!is_ready(fd_, POLLIN)) return errno = EAGAIN, -1;
    return ::read(fd_, bytes.data(), bytes.size());
  }

  // A pipe that is ready has room for PIPE_BUF bytes at least; more would block.
  ssize_t try_write(std::span<const u8> bytes) const {
    const iovec part{const_cast<u8*>(bytes.data()), bytes.size()};
    const ssize_t size = pwritev2(fd_, &part, 1, -1, RWF_NOWAIT);
    if (size >= 0 || (errno != EOPNOTSUPP && errno != ENOSYS)) return size;
    if (!is_ready(fd_, POLLOUT)) return errno = EAGAIN, -1;
    return ::write(fd_, bytes.data(),
                   own_ ? bytes.size() : std::min<usize>(bytes.size(), PIPE_BUF));
  }

  int fd_;
  bool is_socket_;
  vfs::Descriptor own_;
};

// A terminal blocks writers while its output is stopped, and says that it is ready when it has room
// for less than is written. Opened once more, it can be non-blocking without anybody noticing.
vfs::Descriptor reopen_terminal(int fd) {
  int number = 0;
  const bool is_master = ioctl(fd, TIOCGPTN, &number) == 0;  // opening that makes another terminal
  const int flags = fcntl(fd, F_GETFL);
  if (is_master || flags < 0) return vfs::Descriptor();
  const std::string path = "/proc/self/fd/" + std::to_string(fd);
  return vfs::Descriptor(
      open(path.c_str(), (flags & O_ACCMODE) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
}

}  // namespace

std::shared_ptr<Stream> make_stream(int fd) {
  struct stat status{};
  if (fstat(fd, &status) != 0) return std::make_shared<Stream>();
  if (S_ISREG(status.st_mode)) {
    const int mode = fcntl(fd, F_GETFL) & O_ACCMODE;
    vfs::Descriptor copy(fcntl(fd, F_DUPFD_CLOEXEC, 3));
    if (!copy) return std::make_shared<Stream>();
    return std::make_shared<FileStream>(vfs::make_host_file(
        std::move(copy), {mode != O_WRONLY, mode != O_RDONLY}, /*append=*/false));
  }
  vfs::Descriptor own = isatty(fd) ? reopen_terminal(fd) : vfs::Descriptor();
  return std::make_shared<FdStream>(fd, S_ISSOCK(status.st_mode), std::move(own));
}

}  // namespace atollvm::host
