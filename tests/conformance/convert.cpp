// Scripts become JSON and modules by wabt's wast2json.
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <fstream>
#include <sstream>

#include "tests/conformance/script.hpp"

extern char** environ;

namespace atollvm::conformance {

namespace {

using base::Error;
using base::ErrorCode;
namespace fs = std::filesystem;

std::string first_lines(const fs::path& file) {
  std::ifstream in(file);
  std::string text, line;
  for (int i = 0; i < 4 && std::getline(in, line); ++i) text += "\n  " + line;
  return text;
}

// Runs a program of PATH with its standard error in a file.
base::Status run_program(std::vector<std::string> words, const fs::path& errors) {
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 2, errors.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  pid_t child = 0;
  const int failed = posix_spawnp(&child, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) {
    return Error{ErrorCode::io, words[0],
                 std::string(std::strerror(failed)) + " (it is in Debian's package wabt)"};
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    return Error{ErrorCode::io, words[0], "failed:" + first_lines(errors)};
  }
  return {};
}

}  // namespace

base::Result<fs::path> convert_script(const fs::path& script, const fs::path& target) {
  const fs::path json = target / (script.stem().string() + ".json");
  std::vector<std::string> words = {"wast2json", "--disable-simd"};
  const std::string folder = fs::absolute(script).parent_path().filename();
  if (folder == "tail-call" || folder == "extended-const") words.push_back("--enable-" + folder);
  words.insert(words.end(), {"-o", json.string(), "--", script.string()});
  if (base::Status status = run_program(std::move(words), target / "errors"); !status) {
    return std::move(status).error();
  }
  return json;
}

}  // namespace atollvm::conformance
