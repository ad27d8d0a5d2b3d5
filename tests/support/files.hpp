// Directories for tests of file access.
#pragma once

#include <doctest/doctest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "stdlib/vfs/host_directory.hpp"

namespace atollvm::test {

// A new directory, removed at the end with all that is in it.
class ScratchDirectory {
 public:
  ScratchDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "atoll-test-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~ScratchDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;

  [[nodiscard]] std::string operator/(std::string_view name) const { return path_ / name; }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline void put_text(const std::string& path, std::string_view text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  REQUIRE(file.flush().good());
}

inline std::string text_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline std::shared_ptr<vfs::Directory> granted(const std::string& path,
                                               vfs::Resolver resolver = vfs::best_resolver()) {
  auto opened = vfs::open_host_directory(path, resolver);
  REQUIRE(opened.ok());
  return *opened;
}

// The ways of resolving paths that this system has.
inline std::vector<vfs::Resolver> resolvers() {
  if (vfs::best_resolver() == vfs::Resolver::walk) return {vfs::Resolver::walk};
  return {vfs::Resolver::kernel, vfs::Resolver::walk};
}

template <class T>
cap::Errno error_of(const std::variant<T, cap::Errno>& outcome) {
  const cap::Errno* error = std::get_if<cap::Errno>(&outcome);
  return error == nullptr ? cap::Errno::success : *error;
}

}  // namespace atollvm::test
