// What a command is given: source, module file, WebAssembly module or WebAssembly text.
#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include <atoll/tools.hpp>

#include "cli/command.hpp"

extern char** environ;

namespace atollvm::cli {

namespace {

// A file in memory that another program can open by its path.
class MemoryFile {
 public:
  explicit MemoryFile(const char* name) : fd_(memfd_create(name, 0)) {}
  ~MemoryFile() {
    if (fd_ >= 0) close(fd_);
  }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] std::string path() const { return "/proc/self/fd/" + std::to_string(fd_); }

 private:
  int fd_;
};

// Runs wabt's wat2wasm; its messages go to standard error as they are.
Result<std::string> wat_to_wasm(std::string_view text) {
  const MemoryFile in("text.wat");
  const MemoryFile out("module.wasm");
  if (in.fd() < 0 || out.fd() < 0) return Error{ErrorCode::io, "", std::strerror(errno)};
  if (const int error = write_all(in.fd(), text)) {
    return Error{ErrorCode::io, "", std::strerror(error)};
  }
  std::string words[] = {"wat2wasm", "--enable-tail-call", "--enable-extended-const",
                         in.path(),  "--debug-names",      "-o",
                         out.path()};
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_t child = 0;
  if (const int error =
          posix_spawnp(&child, "wat2wasm", nullptr, nullptr, arguments.data(), environ)) {
    return Error{ErrorCode::not_found, "",
                 std::string("WebAssembly text needs wabt's wat2wasm (apt-get install wabt): ") +
                     std::strerror(error)};
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    return Error{ErrorCode::invalid, "", "wat2wasm refused it"};
  }
  return read_input(out.path());
}

// WebAssembly's text begins with a form or a comment; source in Atoll's language never with "(".
bool is_wat(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == text.npos) return false;
  const std::string_view rest = text.substr(first);
  return rest.starts_with("(") || rest.starts_with(";;");
}

}  // namespace

Result<std::string> to_binary(std::string bytes) {
  if (!is_module_file(bytes) && !is_wasm_file(bytes) && is_wat(bytes)) return wat_to_wasm(bytes);
  return bytes;
}

Result<Module> load_module(const Engine& engine, const std::string& path, std::string input,
                           std::vector<Diagnostic>& diagnostics) {
  const auto with_path = [&path](Error error) {
    error.place = display_name(path) + (error.place.empty() ? "" : ": " + error.place);
    return error;
  };
  if (is_image_file(input)) {
    return with_path({ErrorCode::usage, "", "an image must be named as a file"});
  }
  const Result<std::string> bytes = to_binary(std::move(input));
  if (!bytes) return with_path(bytes.error());
  if (!is_module_file(*bytes) && !is_wasm_file(*bytes)) {
    return Module::assemble(engine, {display_name(path), *bytes}, read_source_file, &diagnostics);
  }
  Result<Module> module = Module::load(
      engine, *bytes, {path, path == "-" ? FileReader(no_source_files) : read_source_file});
  if (module) return module;
  return with_path(std::move(module).error());
}

}  // namespace atollvm::cli
