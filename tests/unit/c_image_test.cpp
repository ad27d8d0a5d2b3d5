// The C interface of images.
#include <atoll.h>
#include <doctest/doctest.h>

#include <fstream>
#include <string>
#include <vector>

#include "tests/support/c_interface.hpp"
#include "tests/unit/images.hpp"

namespace {

using atollvm::test::code_of;
using atollvm::test::ImageFolder;
using atollvm::test::Owned;
using Engine = Owned<atoll_engine, atoll_engine_free>;
using Image = Owned<atoll_image, atoll_image_free>;
using Module = Owned<atoll_module, atoll_module_free>;
using Options = Owned<atoll_options, atoll_options_free>;
using Process = Owned<atoll_process, atoll_process_free>;

// Packs a.toml, with or without a key, and gives the image's path.
std::string packed(const ImageFolder& folder, const char* key) {
  uint8_t* bytes = nullptr;
  size_t size = 0;
  REQUIRE(atoll_image_pack(folder.at("a.toml").c_str(), key, &bytes, &size) == nullptr);
  folder.write("image", {reinterpret_cast<const char*>(bytes), size});
  atoll_bytes_free(bytes);
  return folder.at("image");
}
Image opened(const std::string& path, const char* key = nullptr) {
  atoll_image* image = nullptr;
  REQUIRE(atoll_image_open(path.c_str(), key, &image) == nullptr);
  return Image(image);
}
std::string text(const char* from) { return from == nullptr ? "(null)" : from; }

TEST_CASE("C: what an image says of itself") {
  const ImageFolder folder;
  const std::string path = packed(folder, nullptr);
  CHECK(atoll_image_is(path.c_str()));
  CHECK_FALSE(atoll_image_is(folder.at("module.atb").c_str()));
  CHECK_FALSE(atoll_image_is("/none"));
  const Image image = opened(path);
  CHECK(text(atoll_image_name(image.get())) == "a \"test\"");
  CHECK_FALSE(atoll_image_is_signed(image.get()));
  atoll_image_manifest manifest;
  atoll_image_get_manifest(image.get(), &manifest);
  CHECK(manifest.has_root);
  CHECK(manifest.is_overlay);
  CHECK(manifest.size == 1 << 20);
  CHECK(manifest.memory == 8 << 20);
  CHECK(manifest.handles == 10);
  CHECK(manifest.stack == 0);
  CHECK(manifest.fuel == 0);
  REQUIRE(manifest.argument_count == 3);
  CHECK(text(atoll_image_argument(image.get(), 1)) == "t\two");
  CHECK(atoll_image_argument(image.get(), 3) == nullptr);
  REQUIRE(manifest.variable_count == 2);
  CHECK(text(atoll_image_variable_name(image.get(), 0)) == "A");
  CHECK(text(atoll_image_variable_value(image.get(), 0)) == "1");
  CHECK(atoll_image_variable_name(image.get(), 2) == nullptr);
  CHECK(atoll_image_variable_value(image.get(), 2) == nullptr);
  REQUIRE(manifest.mount_count == 3);
  atoll_image_mount mount;
  REQUIRE(atoll_image_get_mount(image.get(), 0, &mount));
  CHECK(text(mount.guest) == "/out");
  CHECK(text(mount.type) == "dir");
  CHECK(text(mount.about) == "where pages go");
  CHECK(mount.required);
  CHECK(mount.writable);
  REQUIRE(atoll_image_get_mount(image.get(), 2, &mount));
  CHECK(mount.size == 1 << 30);
  CHECK_FALSE(atoll_image_get_mount(image.get(), 3, &mount));
}

TEST_CASE("C: the files of an image") {
  const ImageFolder folder;
  const Image image = opened(packed(folder, nullptr));
  std::vector<std::string> seen;
  const auto visit = [](void* env, const char* path, atoll_image_file_type type, uint64_t size,
                        const char* target) {
    auto& all = *static_cast<std::vector<std::string>*>(env);
    all.push_back(std::string(path) + " " + std::to_string(type) + " " + std::to_string(size) +
                  " " + target);
    return all.size() < 5;
  };
  CHECK(atoll_image_files(image.get(), visit, &seen) == nullptr);
  CHECK(seen == std::vector<std::string>{"/b 0 10 ", "/deep 1 0 ", "/deep/a 0 3000 ",
                                         "/deep/empty 1 0 ", "/link 2 0 deep/a"});
  uint8_t* bytes = nullptr;
  size_t size = 0;
  REQUIRE(atoll_image_read(image.get(), "/b", &bytes, &size) == nullptr);
  CHECK(std::string(reinterpret_cast<const char*>(bytes), size) == "bytes of b");
  atoll_bytes_free(bytes);
  atoll_bytes_free(nullptr);
  CHECK(code_of(atoll_image_read(image.get(), "/none", &bytes, &size)) == ATOLL_NOT_FOUND);
}

TEST_CASE("C: an image runs with what it is granted") {
  const ImageFolder folder;
  const std::string key(atollvm::test::private_key);
  const std::string path = packed(folder, key.c_str());
  const Image image = opened(path, std::string(atollvm::test::public_key).c_str());
  CHECK(atoll_image_is_signed(image.get()));
  const Engine engine(atoll_engine_new(ATOLL_TIER_AUTO, false));
  atoll_module* loaded = nullptr;
  REQUIRE(atoll_image_module(image.get(), engine.get(), &loaded) == nullptr);
  const Module module(loaded);
  const Options options(atoll_options_new());
  CHECK(code_of(atoll_image_apply(image.get(), nullptr, 0, options.get())) == ATOLL_DENIED);
  const atoll_image_grant wrong[] = {{"/etc", "/etc", true}};
  CHECK(code_of(atoll_image_apply(image.get(), wrong, 1, options.get())) == ATOLL_USAGE);
  const std::string files = folder.at("files");
  const atoll_image_grant grants[] = {{"/out", files.c_str(), true}, {"/tmp", nullptr, true}};
  REQUIRE(atoll_image_apply(image.get(), grants, 2, options.get()) == nullptr);
  // What was checked is in memory: the file may be anything by now.
  folder.write("image", "something else");
  atoll_process* made = nullptr;
  REQUIRE(atoll_process_new(engine.get(), module.get(), options.get(), &made) == nullptr);
  const Process process(made);
  uint32_t exit_code = 99;
  CHECK(atoll_process_run(process.get(), &exit_code) == nullptr);
  CHECK(exit_code == 7);
}

TEST_CASE("C: images that are refused") {
  const ImageFolder folder;
  const std::string path = packed(folder, nullptr);
  atoll_image* image = nullptr;
  const std::string key(atollvm::test::public_key);
  CHECK(code_of(atoll_image_open(path.c_str(), key.c_str(), &image)) == ATOLL_DENIED);
  CHECK(code_of(atoll_image_open(path.c_str(), "", &image)) == ATOLL_DENIED);
  CHECK(code_of(atoll_image_open("/none", nullptr, &image)) == ATOLL_NOT_FOUND);
  CHECK(code_of(atoll_image_open(folder.at("module.atb").c_str(), nullptr, &image)) ==
        ATOLL_MALFORMED);
  CHECK(image == nullptr);
  atoll_image_free(nullptr);
  uint8_t* bytes = nullptr;
  size_t size = 0;
  CHECK(code_of(atoll_image_pack("/none", nullptr, &bytes, &size)) == ATOLL_NOT_FOUND);
  CHECK(code_of(atoll_image_pack(folder.at("a.toml").c_str(), "", &bytes, &size)) == ATOLL_USAGE);
  CHECK(bytes == nullptr);
}

}  // namespace
