#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <atoll/image.hpp>

#include "cli/command.hpp"

namespace atollvm::cli {

namespace {

constexpr size_t max_input = size_t{256} << 20;

bool closed_streams[3] = {};

Error system_error(const std::string& path, int error) {
  const ErrorCode code = error == ENOENT || error == ENOTDIR ? ErrorCode::not_found : ErrorCode::io;
  return {code, printable(path), std::strerror(error)};
}

struct File {
  int fd;
  ~File() {
    if (fd > 2) close(fd);
  }
};

// Where a file that is there or not would be written, symbolic links followed.
std::string real_path(const std::string& path) {
  char* const resolved = realpath(path.c_str(), nullptr);
  if (resolved == nullptr) return path;
  std::string result = resolved;
  std::free(resolved);
  return result;
}

int replace_file(const std::string& target, mode_t mode, std::string_view bytes) {
  std::string temporary = target + ".XXXXXX";
  const File file{mkostemp(temporary.data(), O_CLOEXEC)};
  if (file.fd < 0) return errno;
  int error = write_all(file.fd, bytes);
  if (error == 0 && fchmod(file.fd, mode) != 0) error = errno;
  if (error == 0 && rename(temporary.c_str(), target.c_str()) != 0) error = errno;
  if (error != 0) unlink(temporary.c_str());
  return error;
}

int overwrite_file(const std::string& path, std::string_view bytes) {
  const File file{open(path.c_str(), O_WRONLY | O_TRUNC | O_CREAT | O_NOCTTY | O_CLOEXEC, 0666)};
  return file.fd < 0 ? errno : write_all(file.fd, bytes);
}

int write_file(const std::string& path, std::string_view bytes) {
  if (path == "-") return has_stream(1) ? write_all(1, bytes) : EBADF;
  const std::string target = real_path(path);
  struct stat status = {};
  if (stat(target.c_str(), &status) != 0) {
    if (errno != ENOENT) return errno;
    const mode_t mask = umask(0);
    umask(mask);
    return replace_file(target, 0666 & ~mask, bytes);
  }
  if (S_ISDIR(status.st_mode)) return EISDIR;
  return S_ISREG(status.st_mode) ? replace_file(target, status.st_mode & 07777, bytes)
                                 : overwrite_file(target, bytes);
}

}  // namespace

void hold_streams() {
  for (int fd = 0; fd < 3; ++fd) {
    if (fcntl(fd, F_GETFD) >= 0) continue;
    closed_streams[fd] = true;
    open("/dev/null", O_RDWR);  // takes the lowest free number: fd
  }
}

bool has_stream(int fd) { return !closed_streams[fd]; }

Result<std::string> read_input(const std::string& path) {
  if (path == "-" && !has_stream(0)) return system_error("standard input", EBADF);
  const File file{path == "-" ? 0 : open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY)};
  if (file.fd < 0) return system_error(path, errno);
  struct stat status = {};
  if (fstat(file.fd, &status) != 0) return system_error(path, errno);
  if (S_ISDIR(status.st_mode)) return system_error(path, EISDIR);

  // One byte more than a file has, so that its end is seen without growing.
  const size_t hint = S_ISREG(status.st_mode) ? static_cast<size_t>(status.st_size) : 65535;
  std::string bytes(std::min(hint, max_input) + 1, '\0');
  size_t done = 0;
  while (true) {
    if (done > max_input) return Error{ErrorCode::limit, printable(path), "larger than 256 MiB"};
    if (done == bytes.size()) bytes.resize(std::min(done * 2, max_input + 1));
    const ssize_t got = read(file.fd, bytes.data() + done, bytes.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error(path, errno);
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  bytes.resize(done);
  return bytes;
}

std::optional<std::string> read_or_complain(const std::string& path) {
  const bool is_image = path != "-" && Image::is_image(path);
  Result<std::string> bytes = is_image ? Result<std::string>(std::string()) : read_input(path);
  if (bytes && (is_image || is_image_file(*bytes))) {
    complain(printable(display_name(path)) +
             ": it is an image, which this command does not take; `atoll run` and `module` in "
             "machine files do, and `atoll inspect` shows what it holds");
    return std::nullopt;
  }
  if (bytes) return *std::move(bytes);
  complain(bytes.error().text());
  return std::nullopt;
}

std::string display_name(const std::string& path) { return path == "-" ? "<stdin>" : path; }

int write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return 0;
}

int write_output(const std::string& path, std::string_view bytes) {
  const int error = write_file(path, bytes);
  if (error == 0) return exit_ok;
  if (error == EPIPE) return exit_closed_pipe;
  complain(path == "-" ? std::string("standard output: ") + std::strerror(error)
                       : printable(path) + ": " + std::strerror(error));
  return exit_failure;
}

}  // namespace atollvm::cli
