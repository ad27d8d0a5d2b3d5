#include "stdlib/vfs/posix.hpp"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

namespace atollvm::vfs {

Errno from_errno(int error) {
  switch (error) {
    case 0:
      return Errno::success;
    case E2BIG:
      return Errno::toobig;
    case EACCES:
      return Errno::acces;
    case EAGAIN:
      return Errno::again;
    case EBADF:
      return Errno::badf;
    case EBUSY:
      return Errno::busy;
    case ECANCELED:
      return Errno::canceled;
    case EEXIST:
      return Errno::exist;
    case EFAULT:
      return Errno::fault;
    case EFBIG:
      return Errno::fbig;
    case EILSEQ:
      return Errno::ilseq;
    case EINTR:
      return Errno::intr;
    case EINVAL:
      return Errno::inval;
    case EISDIR:
      return Errno::isdir;
    case ELOOP:
      return Errno::loop;
    case EMFILE:
      return Errno::mfile;
    case EMLINK:
      return Errno::mlink;
    case ENAMETOOLONG:
      return Errno::nametoolong;
    case ENFILE:
      return Errno::nfile;
    case ENOENT:
      return Errno::noent;
    case ENOMEM:
      return Errno::nomem;
    case EDQUOT:
    case ENOSPC:
      return Errno::nospc;
    case ENOSYS:
      return Errno::nosys;
    case ENOTDIR:
      return Errno::notdir;
    case ENOTEMPTY:
      return Errno::notempty;
    case ENXIO:
    case ENODEV:
    case EOPNOTSUPP:
      return Errno::notsup;
    case EOVERFLOW:
      return Errno::overflow;
    case EALREADY:
      return Errno::already;
    case EINPROGRESS:
      return Errno::inprogress;
    case EISCONN:
      return Errno::isconn;
    case EADDRINUSE:
      return Errno::addrinuse;
    case EADDRNOTAVAIL:
      return Errno::addrnotavail;
    case EAFNOSUPPORT:
      return Errno::afnosupport;
    case ECONNABORTED:
      return Errno::connaborted;
    case ECONNREFUSED:
      return Errno::connrefused;
    case ECONNRESET:
      return Errno::connreset;
    case EHOSTUNREACH:
      return Errno::hostunreach;
    case EMSGSIZE:
      return Errno::msgsize;
    case ENETDOWN:
      return Errno::netdown;
    case ENETUNREACH:
      return Errno::netunreach;
    case ENOBUFS:
      return Errno::nobufs;
    case EDESTADDRREQ:
    case ENOTCONN:
      return Errno::notconn;
    case ETIMEDOUT:
      return Errno::timedout;
    case EPERM:
      return Errno::perm;
    case EPIPE:
      return Errno::pipe;
    case ERANGE:
      return Errno::range;
    case EROFS:
      return Errno::rofs;
    case ESPIPE:
      return Errno::spipe;
    case ETXTBSY:
      return Errno::txtbsy;
    case EXDEV:
      return Errno::xdev;
    default:
      return Errno::io;
  }
}

std::optional<std::string> path_of(int fd) {
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  std::string path(max_path + 1, '\0');
  const ssize_t size = readlink(link.c_str(), path.data(), path.size());
  if (size <= 0 || static_cast<usize>(size) > max_path || path[0] != '/') return std::nullopt;
  path.resize(static_cast<usize>(size));
  // Of a removed file the link says a name that nothing has, or another file.
  struct stat own{};
  struct stat named{};
  if (fstat(fd, &own) != 0 || ::stat(path.c_str(), &named) != 0 || own.st_dev != named.st_dev ||
      own.st_ino != named.st_ino) {
    return std::nullopt;
  }
  return path;
}

Stat from_stat(const struct ::stat& status) {
  const auto nanoseconds = [](const timespec& time) {
    // Files can have times that nanoseconds can't hold: the nearest one then.
    constexpr i64 second = 1'000'000'000;
    constexpr i64 most = INT64_MAX / second - 1;
    return std::clamp<i64>(time.tv_sec, -most, most) * second + time.tv_nsec;
  };
  Stat result;
  result.device = status.st_dev;
  result.inode = status.st_ino;
  switch (status.st_mode & S_IFMT) {
    case S_IFBLK:
      result.type = FileType::block;
      break;
    case S_IFCHR:
      result.type = FileType::character;
      break;
    case S_IFDIR:
      result.type = FileType::directory;
      break;
    case S_IFREG:
      result.type = FileType::regular;
      break;
    case S_IFSOCK:
      result.type = FileType::socket;
      break;
    case S_IFLNK:
      result.type = FileType::link;
      break;
    default:
      break;
  }
  result.links = status.st_nlink;
  result.size = status.st_size < 0 ? 0 : static_cast<u64>(status.st_size);
  result.accessed_ns = nanoseconds(status.st_atim);
  result.modified_ns = nanoseconds(status.st_mtim);
  result.changed_ns = nanoseconds(status.st_ctim);
  return result;
}

bool is_file(const std::string& path) {
  struct stat status{};
  return stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode);
}

Descriptor::~Descriptor() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace atollvm::vfs
