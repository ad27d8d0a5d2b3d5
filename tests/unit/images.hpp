// Images for tests.
#pragma once

#include <doctest/doctest.h>
#include <unistd.h>

#include <atoll/image.hpp>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "tests/unit/processes.hpp"

namespace atollvm::test {

// Made by OpenSSL for these tests alone.
inline constexpr std::string_view private_key = R"(-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIAv5WJmxjpLPLvqKLHgULetLk5kpMw8Th2tgxMQ26HW1
-----END PRIVATE KEY-----
)";
inline constexpr std::string_view public_key = R"(-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEA34L+NcNswTXQ27VW/T2lSdUQTIVq1+6EVTlRzsWsecM=
-----END PUBLIC KEY-----
)";
inline constexpr std::string_view other_key = R"(-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAp0Wuo6q847C7QYzwVjLyYnu5ZU3OT8EzdX3ZcPuuK6M=
-----END PUBLIC KEY-----
)";

// A folder with what a.toml packs.
class ImageFolder {
 public:
  ImageFolder() {
    char name[] = "/tmp/atoll-image-XXXXXX";
    path_ = std::filesystem::canonical(mkdtemp(name)).string();
    std::filesystem::create_directories(path_ + "/files/deep/empty");
    write("files/b", "bytes of b");
    write("files/deep/a", std::string(3000, 'a'));
    write("files/" + std::string(200, 'n'), "a long name");
    std::filesystem::create_symlink("deep/a", path_ + "/files/link");
    write("module.atb",
          test::assembled(Engine(test::engine_options()), "export func main() -> i32 { ret 7 }\n")
              .bytes());
    write("a.toml", R"(
name = "a \"test\""
module = "module.atb"
root = "files"
overlay = true
size = "1 MiB"
arguments = ["one", "t\two", ""]
environment = { A = "1", "B C" = "\\" }
limits = { memory = "8 MiB", handles = 10 }
[[mounts]]
guest = "/out"
required = true
about = "where pages go"
[[mounts]]
guest = "/in"
access = "ro"
[[mounts]]
guest = "/tmp"
type = "memory"
size = "1 GiB"
)");
  }
  ~ImageFolder() { std::filesystem::remove_all(path_); }
  ImageFolder(const ImageFolder&) = delete;
  ImageFolder& operator=(const ImageFolder&) = delete;
  void write(const std::string& name, std::string_view text) const {
    std::ofstream(path_ + "/" + name, std::ios::binary) << text;
  }
  [[nodiscard]] std::string at(const std::string& name) const { return path_ + "/" + name; }
  [[nodiscard]] std::string pack(std::string_view key = {}) const {
    const auto bytes = pack_image(at("a.toml"), key);
    REQUIRE_MESSAGE(bytes.ok(), bytes.error().text());
    return *bytes;
  }
  // Of an image with these bytes.
  [[nodiscard]] Result<Image> open(std::string_view bytes, std::string_view key = {}) const {
    write("image", bytes);
    return Image::open(at("image"), key);
  }

 private:
  std::string path_;
};

}  // namespace atollvm::test
