#include "atoll/embed/sources.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "stdlib/host/host.hpp"
#include "vm/base/utf8.hpp"

namespace atollvm {

namespace {

constexpr usize max_file_bytes = usize{256} << 20;

Error system_error(const std::string& path, int number) {
  const ErrorCode code = number == ENOENT || number == ENOTDIR ? ErrorCode::not_found
                         : number == EACCES || number == EPERM ? ErrorCode::denied
                                                               : ErrorCode::io;
  return {code, shown_path(path), std::strerror(number)};
}

}  // namespace

std::string shown_path(const std::string& path) { return base::printable(path, 4096); }

Result<std::string> read_file(const std::string& path) {
  if (path.find('\0') != path.npos) return system_error(path, ENOENT);
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return system_error(path, errno);
  const struct Closer {
    int fd;
    ~Closer() { close(fd); }
  } closer{fd};
  struct stat status = {};
  if (fstat(fd, &status) != 0) return system_error(path, errno);
  if (!S_ISREG(status.st_mode)) {
    return Error{ErrorCode::io, shown_path(path), "is no regular file"};
  }
  if (static_cast<usize>(status.st_size) > max_file_bytes) {
    return Error{ErrorCode::limit, shown_path(path), "larger than 256 MiB"};
  }
  std::string text(static_cast<usize>(status.st_size), '\0');
  usize done = 0;
  while (done < text.size()) {
    const ssize_t got = read(fd, text.data() + done, text.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error(path, errno);
    if (got == 0) break;
    done += static_cast<usize>(got);
  }
  text.resize(done);
  return text;
}

std::string to_text(const Diagnostic& diagnostic, bool color) {
  return text::format({diagnostic.file, diagnostic.line, diagnostic.column, diagnostic.width,
                       diagnostic.message, diagnostic.hint, diagnostic.line_text},
                      color);
}

std::optional<Source> read_source_file(std::string_view from, std::string_view name) {
  std::string path(name);
  if (const usize slash = from.rfind('/'); slash != from.npos && !name.starts_with('/')) {
    path.insert(0, from.substr(0, slash + 1));
  }
  Result<std::string> text = read_file(path);
  if (!text) return std::nullopt;
  // One file has one name, however it was reached: sources that use each other in a circle end.
  return Source{std::filesystem::path(path).lexically_normal().string(), *std::move(text)};
}

std::optional<Source> no_source_files(std::string_view, std::string_view) { return std::nullopt; }

std::vector<Diagnostic> to_public(std::vector<text::Diagnostic> diagnostics) {
  std::vector<Diagnostic> result;
  result.reserve(diagnostics.size());
  for (text::Diagnostic& each : diagnostics) {
    result.push_back({std::move(each.file), each.line, each.column, each.width,
                      std::move(each.message), std::move(each.hint), std::move(each.line_text)});
  }
  return result;
}

text::Resolver make_resolver(const FileReader& reader) {
  return [&reader](std::string_view from, std::string_view name,
                   bool is_library) -> std::optional<text::Source> {
    if (is_library) {
      const auto library = host::library(name);
      if (!library) return std::nullopt;
      return text::Source{std::string(name), std::string(*library)};
    }
    std::optional<Source> found = reader(from, name);
    if (!found) return std::nullopt;
    return text::Source{std::move(found->name), std::move(found->text)};
  };
}

}  // namespace atollvm
