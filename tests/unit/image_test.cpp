// Images: packing, manifests, signatures, and what an image is given.
#include <doctest/doctest.h>
#include <unistd.h>

#include <atoll/image.hpp>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>

#include "atoll/embed/image_manifest.hpp"
#include "atoll/embed/image_tar.hpp"
#include "stdlib/vfs/image.hpp"
#include "tests/unit/images.hpp"
#include "tests/unit/processes.hpp"

namespace atollvm {
namespace {

namespace fs = std::filesystem;
using Folder = test::ImageFolder;
using test::other_key;
using test::private_key;
using test::public_key;

TEST_CASE("image: what is packed is there again, and the same bytes each time") {
  const Folder folder;
  const std::string bytes = folder.pack();
  fs::last_write_time(folder.at("files/b"), fs::file_time_type::clock::now());
  CHECK(folder.pack() == bytes);
  CHECK(bytes.size() % tar_block == 0);
  const auto image = folder.open(bytes);
  REQUIRE_MESSAGE(image.ok(), image.error().text());
  CHECK_FALSE(image->is_signed());
  const ImageManifest& manifest = image->manifest();
  CHECK(manifest.name == "a \"test\"");
  CHECK(manifest.has_root);
  CHECK(manifest.is_overlay);
  CHECK(manifest.bytes == 1 << 20);
  CHECK(manifest.arguments == std::vector<std::string>{"one", "t\two", ""});
  CHECK(manifest.environment.size() == 2);
  CHECK(manifest.memory_bytes == 8 << 20);
  CHECK(manifest.handles == 10);
  CHECK_FALSE(manifest.fuel.has_value());
  REQUIRE(manifest.mounts.size() == 3);
  CHECK(manifest.mounts[0].is_required);
  CHECK(manifest.mounts[0].about == "where pages go");
  CHECK_FALSE(manifest.mounts[1].writable);
  const auto module = image->module_bytes();
  REQUIRE(module.ok());
  CHECK(is_module_file(*module));
  const auto root = vfs::open_image_root(folder.at("image"));
  REQUIRE(root.ok());
  for (const std::string& name :
       {std::string("deep/empty"), std::string("link"), std::string(200, 'n'), std::string("b")}) {
    const auto stat = (*root)->stat(name, true, vfs::Wait::allowed);
    CHECK_MESSAGE(std::get_if<vfs::Stat>(&stat) != nullptr, name);
  }
  for (const char* name : {"..", "../module", "../atoll-image.toml"}) {
    const auto stat = (*root)->stat(name, true, vfs::Wait::allowed);
    CHECK(std::get<vfs::Errno>(stat) == vfs::Errno::notcapable);
  }
}

TEST_CASE("image: its files are listed and read") {
  const Folder folder;
  const auto image = folder.open(folder.pack());
  REQUIRE(image.ok());
  const auto files = image->files();
  REQUIRE(files.ok());
  using Type = ImageFile::Type;
  const std::vector<ImageFile> wanted = {
      {"/b", Type::file, 10},
      {"/deep", Type::directory},
      {"/deep/a", Type::file, 3000},
      {"/deep/empty", Type::directory},
      {"/link", Type::link, 0, "deep/a"},
      {"/" + std::string(200, 'n'), Type::file, 11},
  };
  REQUIRE(files->size() == wanted.size());
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    CHECK((*files)[i].path == wanted[i].path);
    CHECK((*files)[i].type == wanted[i].type);
    CHECK((*files)[i].size == wanted[i].size);
    CHECK((*files)[i].target == wanted[i].target);
  }
  CHECK(*image->file_bytes("/b") == "bytes of b");
  CHECK(*image->file_bytes("deep/a") == std::string(3000, 'a'));
  for (const char* name : {"/none", "/deep", "/link", "", "/", "/../module", "../module", "/b/"}) {
    const auto read = image->file_bytes(name);
    CHECK_MESSAGE(!read.ok(), name);
    if (!read) CHECK_MESSAGE(read.error().code == ErrorCode::not_found, name);
  }
}

TEST_CASE("image: it is no module, and says so") {
  const Folder folder;
  const std::string bytes = folder.pack();
  folder.write("image", bytes);
  CHECK(is_image_file(bytes));
  CHECK_FALSE(is_image_file("atoll-image.toml"));
  CHECK_FALSE(is_image_file(""));
  const auto module = Module::open(Engine(test::engine_options()), folder.at("image"));
  REQUIRE_FALSE(module.ok());
  CHECK(module.error().code == ErrorCode::usage);
  CHECK(module.error().message == "it is an image, no module: Image::open takes it");
}

TEST_CASE("image: what it is granted, and no more") {
  const Folder folder;
  const auto image = folder.open(folder.pack());
  REQUIRE(image.ok());
  ProcessOptions options;
  auto error = image->apply({}, options);
  REQUIRE(error.has_value());
  CHECK(error->code == ErrorCode::denied);
  CHECK(error->message == "it needs /out, where pages go: give it one by `--grant /out=PATH`");
  CHECK(options.mounts.empty());
  const ImageGrant unknown[] = {{"/out", "/a"}, {"/etc", "/etc"}};
  CHECK(image->apply(unknown, options)->code == ErrorCode::usage);
  const ImageGrant twice[] = {{"/out", "/a"}, {"/out", "/b"}};
  CHECK(image->apply(twice, options)->code == ErrorCode::usage);

  const ImageGrant grants[] = {{"/out", "/a"}};
  options.arguments = {"program"};
  options.environment = {{"A", "mine"}};
  options.limits.handles = 5;
  CHECK_FALSE(image->apply(grants, options).has_value());
  REQUIRE(options.mounts.size() == 3);
  CHECK(options.mounts[0].type == "overlay");
  CHECK(options.mounts[0].guest == "/");
  CHECK(options.mounts[0].bytes == 1 << 20);
  CHECK(options.mounts[1].source == "/a");
  CHECK(options.mounts[1].writable);
  CHECK(options.mounts[2].type == "memory");
  CHECK(options.mounts[2].bytes == 64 << 20);
  CHECK(options.arguments == std::vector<std::string>{"program", "one", "t\two", ""});
  CHECK(options.environment ==
        std::vector<std::pair<std::string, std::string>>{{"A", "mine"}, {"B C", "\\"}});
  CHECK(options.limits.memory_bytes == 8 << 20);
  CHECK(options.limits.handles == 5);

  // Never more than it asks for, and less where the operator says so.
  const ImageGrant more[] = {{"/out", "/a", false}, {"/in", "/b", true}, {"/tmp", ""}};
  ProcessOptions other;
  other.arguments = {"program", "own"};
  CHECK_FALSE(image->apply(more, other).has_value());
  REQUIRE(other.mounts.size() == 4);
  CHECK_FALSE(other.mounts[1].writable);
  CHECK_FALSE(other.mounts[2].writable);
  CHECK(other.mounts[3].bytes == u64{1} << 30);
  CHECK(other.arguments == std::vector<std::string>{"program", "own"});
}

TEST_CASE("image: changes to its root are limited, whatever it asks for") {
  const Folder folder;
  folder.write("a.toml",
               "name = \"a\"\nmodule = \"module.atb\"\nroot = \"files\"\noverlay = true\n"
               "size = \"1 GiB\"\n");
  const auto image = folder.open(folder.pack());
  REQUIRE_MESSAGE(image.ok(), image.error().text());
  ProcessOptions options;
  CHECK_FALSE(image->apply({}, options).has_value());
  REQUIRE(options.mounts.size() == 1);
  CHECK(options.mounts[0].bytes == 64 << 20);
}

TEST_CASE("image: a signature covers all of it") {
  const Folder folder;
  const std::string bytes = folder.pack(private_key);
  CHECK(folder.pack(private_key) == bytes);
  const auto good = folder.open(bytes, public_key);
  REQUIRE_MESSAGE(good.ok(), good.error().text());
  CHECK(good->is_signed());
  // What was checked is held: the file does not matter any more.
  folder.write("image", "gone");
  ProcessOptions options;
  const ImageGrant grants[] = {{"/out", folder.at("files")}};
  CHECK_FALSE(good->apply(grants, options).has_value());
  CHECK(good->module_bytes().ok());
  CHECK(vfs::open_image_root(options.mounts[0].source).ok());

  CHECK(folder.open(bytes).ok());
  CHECK(folder.open(bytes, other_key).error().code == ErrorCode::denied);
  CHECK(folder.open(folder.pack(), public_key).error().message.find("it has no signature") == 0);
  for (const std::string_view bad : {std::string_view("x"), std::string_view("\n"), private_key}) {
    CHECK(folder.open(bytes, bad).error().code == ErrorCode::usage);
  }
  for (const std::string_view bad : {std::string_view("x"), public_key}) {
    CHECK(pack_image(folder.at("a.toml"), bad).error().code == ErrorCode::usage);
  }
  std::mt19937_64 random(1);
  // Each byte of the heads and of the tail; of the rest, some.
  for (usize at = 0; at < bytes.size();
       at += at < 1024 || at + 2048 >= bytes.size() ? 1 : 1 + random() % 100) {
    std::string changed = bytes;
    changed[at] = static_cast<char>(changed[at] ^ 1 << random() % 8);
    const auto opened = folder.open(changed, public_key);
    REQUIRE_MESSAGE(!opened.ok(), at);
    const bool is_refused =
        opened.error().code == ErrorCode::denied ||
        (at <= vfs::image_manifest.size() && opened.error().code == ErrorCode::malformed);
    CHECK_MESSAGE(is_refused, at);
  }
  for (const usize size : {bytes.size() - 1, bytes.size() - 512, bytes.size() - 2048, usize{600}}) {
    CHECK_FALSE(folder.open(bytes.substr(0, size), public_key).ok());
  }
  CHECK_FALSE(folder.open(bytes + '\0', public_key).ok());
  CHECK_FALSE(folder.open(bytes + std::string(512, '\0'), public_key).ok());
}

TEST_CASE("image: damaged ones are refused or give something") {
  const Folder folder;
  const std::string bytes = folder.pack();
  std::mt19937_64 random(2);
  u32 refused = 0;
  for (int round = 0; round < 500; ++round) {
    std::string changed = bytes;
    for (u64 n = 1 + random() % 3; n > 0; --n) {
      changed[random() % (random() % 2 == 0 ? 2048 : bytes.size())] = static_cast<char>(random());
    }
    if (random() % 10 == 0) changed.resize(random() % changed.size());
    const auto image = folder.open(changed);
    refused += image.ok() ? 0 : 1;
    if (!image.ok()) CHECK_FALSE(image.error().message.empty());
    if (image.ok()) static_cast<void>(image->module_bytes());
  }
  CHECK(refused > 100);
}

TEST_CASE("image: mistakes in a manifest are told with their place") {
  const auto wrong = [](std::string_view text) {
    const auto read = read_manifest_source("m.toml", text);
    return read ? std::string() : read.error().text();
  };
  const std::string start = "name = \"n\"\nmodule = \"m\"\n";
  CHECK(wrong(start).empty());
  CHECK(wrong("name = 1").find("m.toml:1") == 0);
  CHECK(wrong("name = \"n\"").find("an image needs a `module`") != std::string::npos);
  CHECK(wrong(start + "roots = 1").find("m.toml:3:1") == 0);
  CHECK(wrong(start + "overlay = true").find("it has none") != std::string::npos);
  CHECK(wrong(start + "root = \"r\"\nsize = 10").find("`size` limits") != std::string::npos);
  CHECK(wrong(start + "arguments = [1]").find("m.toml:3") == 0);
  CHECK(wrong(start + "arguments = [\"a\\u0000\"]").find("without NUL") != std::string::npos);
  CHECK(wrong(start + "environment = { \"a=b\" = \"c\" }").find("a variable") != std::string::npos);
  CHECK(wrong(start + "[[mounts]]\ntype = \"dir\"").find("needs `guest`") != std::string::npos);
  CHECK(wrong(start + "[[mounts]]\nguest = \"/a\"\n[[mounts]]\nguest = \"/a\"").find("already") !=
        std::string::npos);
  CHECK(wrong(start + "[[mounts]]\nguest = \"/a\"\ntype = \"disk\"").find("`type` must be") !=
        std::string::npos);
  CHECK(wrong(start + "[[mounts]]\nguest = \"/a\"\nsize = 1").find("only a mount") !=
        std::string::npos);
  std::string many = start;
  for (u32 i = 0; i < 16; ++i) {
    many += "[[mounts]]\ntype = \"memory\"\nguest = \"/" + std::to_string(i) + "\"\n";
    CHECK(wrong(many).empty() == (i < 15));
  }
  // One of another format, and one that names what only a source has.
  CHECK(read_manifest("i", "format = 2\nname = \"n\"").error().text().find("this one 2") !=
        std::string::npos);
  CHECK_FALSE(read_manifest("i", "format = 1\nname = \"n\"\nmodule = \"m\"").ok());
}

}  // namespace
}  // namespace atollvm
