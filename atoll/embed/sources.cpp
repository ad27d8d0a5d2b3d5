#include "atoll/embed/sources.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <utility>

#include "stdlib/host/host.hpp"

namespace atollvm {

namespace {

constexpr usize max_source_bytes = usize{256} << 20;

// The whole regular file, or nothing.
std::optional<std::string> read_file(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return std::nullopt;
  struct stat status = {};
  std::optional<std::string> text;
  if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
      static_cast<usize>(status.st_size) <= max_source_bytes) {
    text.emplace(static_cast<usize>(status.st_size), '\0');
    usize done = 0;
    ssize_t got = 1;
    while (done < text->size() && (got = read(fd, text->data() + done, text->size() - done)) > 0) {
      done += static_cast<usize>(got);
    }
    if (got < 0) text.reset();
    if (text) text->resize(done);
  }
  close(fd);
  return text;
}

}  // namespace

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
  if (path.find('\0') != path.npos) return std::nullopt;
  std::optional<std::string> text = read_file(path);
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
