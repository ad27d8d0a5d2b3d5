// File systems in memory: limits, and that nothing in them ever waits.
#include <thread>

#include "tests/support/file_systems.hpp"

using namespace atollvm;
using namespace atollvm::test;
using cap::Errno;

namespace {

constexpr u64 page = 4096;
constexpr u64 inode = 256;
u64 name_cost(usize size) { return 128 + size; }

Root with(u64 bytes, u64 inodes = ~u64{0}) { return Root(vfs::make_memory({bytes, inodes})); }

// What a file can still hold, in pages.
u64 pages_left(const Root& root) {
  const auto file = root.file("probe", vfs::open_create, both);
  u64 pages = 0;
  while (attempt([&](Wait wait) { return file->allocate(pages * page, page, wait); }) ==
         Errno::success) {
    ++pages;
  }
  REQUIRE(root.remove("probe") == Errno::success);
  return pages;
}

}  // namespace

TEST_CASE("memory: nothing waits") {
  const auto root = vfs::make_memory({});
  const auto opened = root->open("f", vfs::open_create, both, Wait::never);
  REQUIRE(error_of(opened) == Errno::success);
  auto& file = static_cast<vfs::File&>(*std::get<std::shared_ptr<cap::Object>>(opened));
  std::vector<u8> bytes(1 << 20, 1);
  const auto written = file.write(bytes, 0, {true, vfs::Durability::all}, Wait::never);
  CHECK(std::get<u32>(written) == bytes.size());
  CHECK(std::get<u32>(file.read(bytes, 0, Wait::never)) == bytes.size());
  CHECK(file.truncate(5, Wait::never) == Errno::success);
  CHECK(file.allocate(0, 1 << 20, Wait::never) == Errno::success);
  CHECK(file.advise(0, 0, vfs::Advice::random, Wait::never) == Errno::success);
  CHECK(file.sync(vfs::Durability::all, Wait::never) == Errno::success);
  CHECK(file.set_times({1, 2}, Wait::never) == Errno::success);
  CHECK(error_of(file.stat(Wait::never)) == Errno::success);
  CHECK(root->make_directory("d", Wait::never) == Errno::success);
  CHECK(root->rename("f", *root, "d/f", Wait::never) == Errno::success);
  CHECK(root->link("d/f", *root, "g", Wait::never) == Errno::success);
  CHECK(root->make_link("g", "h", Wait::never) == Errno::success);
  CHECK(error_of(root->read_link("h", Wait::never)) == Errno::success);
  CHECK(error_of(root->list(0, 0, Wait::never)) == Errno::success);
  CHECK(error_of(root->stat("h", true, Wait::never)) == Errno::success);
  CHECK(root->set_times("h", true, {1, 2}, Wait::never) == Errno::success);
  CHECK(root->remove_file("h", Wait::never) == Errno::success);
  CHECK(root->remove_file("d/f", Wait::never) == Errno::success);
  CHECK(root->remove_directory("d", Wait::never) == Errno::success);
  CHECK(root->sync(Wait::never) == Errno::success);
  CHECK(!root->origin());
}

TEST_CASE("memory: a full one") {
  const Root root = with(10 * page);
  const auto file = root.file("f", vfs::open_create, both);
  const std::string text(16 * page, 'x');
  // As much as there is room for, then the error; what is there stays.
  const u32 size = write_at(*file, text, 0);
  CHECK(size == 9 * page);
  CHECK(write_error(*file, "x", size) == Errno::nospc);
  CHECK(write_error(*file, "x", u64{1} << 60) == Errno::nospc);
  CHECK(write_at(*file, "y", 0) == 1);
  CHECK(attempt([&](Wait wait) { return file->allocate(0, 11 * page, wait); }) == Errno::nospc);
  const auto huge = static_cast<u64>(INT64_MAX);
  CHECK(attempt([&](Wait wait) { return file->allocate(0, huge, wait); }) == Errno::nospc);
  CHECK(attempt([&](Wait wait) { return file->truncate(huge, wait); }) == Errno::success);
  CHECK(root.status("f").size == huge);
  // Names and files take room, too, and renaming to a longer name does.
  int made = 0;
  while (root.mkdir("d" + std::to_string(made)) == Errno::success) ++made;
  CHECK(made > 0);
  CHECK(root.mkdir("x") == Errno::nospc);
  CHECK(error_of(root.open("x", vfs::open_create, writing)) == Errno::nospc);
  CHECK(root.make_link("target", "x") == Errno::nospc);
  CHECK(root.link("f", std::string(255, 'x')) == Errno::nospc);
  CHECK(root.rename("f", std::string(255, 'x')) == Errno::nospc);
  CHECK(root.rename("f", "g") == Errno::success);
  CHECK(root.rename("d0", "h") == Errno::success);
  CHECK(root.remove("g") == Errno::success);
  // The bytes are held by who has the file open, and free after that.
  CHECK(write_error(*file, "z", 9 * page) == Errno::nospc);
}

TEST_CASE("memory: what is taken is given back, exactly") {
  const u64 bytes = 100 * page;
  const Root root = with(bytes, 50);
  const u64 before = pages_left(root);
  CHECK(before == (bytes - inode * 2 - name_cost(5)) / page);
  for (int turn = 0; turn < 3; ++turn) {
    {
      const auto file = root.file("f", vfs::open_create, both);
      REQUIRE(write_at(*file, std::string(7 * page + 5, 'x'), 3) == 7 * page + 5);
      REQUIRE(attempt([&](Wait wait) { return file->allocate(0, 20 * page, wait); }) ==
              Errno::success);
      REQUIRE(write_at(*file, "sparse", u64{1} << 50) == 6);
      REQUIRE(attempt([&](Wait wait) { return file->truncate(page / 2, wait); }) == Errno::success);
    }
    REQUIRE(root.mkdir("d") == Errno::success);
    REQUIRE(root.link("f", "d/f") == Errno::success);
    REQUIRE(root.make_link("somewhere", "d/link") == Errno::success);
    REQUIRE(root.rename("d/f", "d/a longer name") == Errno::success);
    REQUIRE(root.rename("d/a longer name", "f") == Errno::success);
    REQUIRE(root.remove("d/a longer name") == Errno::success);
    root.put("g", "g");
    REQUIRE(root.rename("g", "f") == Errno::success);
    REQUIRE(root.mkdir("e") == Errno::success);
    REQUIRE(root.remove("d/link") == Errno::success);
    REQUIRE(root.rename("d", "e") == Errno::success);
    REQUIRE(root.rmdir("e") == Errno::success);
    REQUIRE(root.remove("f") == Errno::success);
    CHECK(root.names().empty());
    CHECK(pages_left(root) == before);
  }
}

TEST_CASE("memory: so many files") {
  const Root root = with(~u64{0} >> 1, 3);
  root.put("a", "");
  root.put("b", "");
  CHECK(root.make_link("x", "c") == Errno::success);
  CHECK(root.mkdir("d") == Errno::nospc);
  CHECK(root.link("a", "e") == Errno::success);  // another name, not another file
  const auto open = root.file("a", 0, reading);
  CHECK(root.remove("a") == Errno::success);
  CHECK(root.remove("e") == Errno::success);
  CHECK(root.mkdir("d") == Errno::nospc);  // it is still open
  CHECK(error_of(Root(vfs::make_memory({0, 0})).stat(".")) == Errno::success);
  CHECK(Root(vfs::make_memory({0, 0})).mkdir("d") == Errno::nospc);
}

TEST_CASE("memory: many names of one file") {
  const Root root = with(u64{1} << 30);
  root.put("f", "");
  Errno error = Errno::success;
  u64 count = 1;
  for (; error == Errno::success && count < 100'000; ++count) {
    error = root.link("f", std::to_string(count));
  }
  CHECK(error == Errno::mlink);
  CHECK(root.status("f").links == 65'000);
}

// Neither ending one nor taking it apart may need a native stack as deep as its tree.
TEST_CASE("memory: trees of any depth") {
  Root root = with(u64{1} << 30);
  Root at = root;
  for (int i = 0; i < 200'000; ++i) {
    REQUIRE(at.mkdir("d") == Errno::success);
    at = at.directory("d");
  }
  at.put("f", "deep");
  CHECK(root.mkdir("other") == Errno::success);
  // Whether that leads into itself would take too long to say.
  CHECK(root.rename("other", at, "x") == Errno::nametoolong);
  CHECK(root.rename("d", at, "x") == Errno::nametoolong);
  CHECK(at.rename("f", root, "f") == Errno::success);
  CHECK(root.rename("d", "e") == Errno::success);
  root = at;  // only the innermost directory is held
  CHECK(error_of(root.stat("..")) == Errno::notcapable);
}

TEST_CASE("memory: links that make a path endless") {
  const Root root = with(1 << 24);
  REQUIRE(root.mkdir("a") == Errno::success);
  std::string back;
  for (int i = 0; i < 800; ++i) back += "a/../";
  for (int i = 0; i < 39; ++i) {
    const std::string next = i == 0 ? "." : "l" + std::to_string(i - 1);
    REQUIRE(root.make_link(back + next, "l" + std::to_string(i)) == Errno::success);
  }
  CHECK(error_of(root.stat("l2")) == Errno::success);
  CHECK(error_of(root.stat("l38")) == Errno::loop);
}

TEST_CASE("memory: sizes at the end of all numbers") {
  const Root root = with(1 << 24);
  const auto file = root.file("f", vfs::open_create, both);
  const auto most = static_cast<u64>(INT64_MAX);
  CHECK(write_at(*file, "xy", most - 1) == 1);
  CHECK(write_error(*file, "x", most) == Errno::fbig);
  CHECK(root.status("f").size == most);
  CHECK(read_text(*file, most - 2) == std::string("\0x", 2));
  CHECK(error_of(file->seek(1, 2)) == Errno::inval);
  CHECK(error_of(file->seek(INT64_MAX, 2)) == Errno::inval);
  CHECK(error_of(file->seek(0, 2)) == Errno::success);
  CHECK(write_error(*file, "x", std::nullopt) == Errno::fbig);
  const auto appended = root.file("f", vfs::open_append, writing);
  CHECK(write_error(*appended, "x", std::nullopt) == Errno::fbig);
  CHECK(attempt([&](Wait wait) { return file->allocate(most, 1, wait); }) == Errno::fbig);
  CHECK(attempt([&](Wait wait) { return file->allocate(most - 1, 1, wait); }) == Errno::success);
  CHECK(attempt([&](Wait wait) { return file->truncate(0, wait); }) == Errno::success);
}

TEST_CASE("memory: several threads against one limit") {
  const u64 bytes = 64 * page;
  const Root root = with(bytes);
  const u64 before = pages_left(root);
  std::vector<std::thread> all;
  for (int i = 0; i < 4; ++i) {
    all.emplace_back([&, i] {
      auto& directory = *root.object();
      const std::string name = "f" + std::to_string(i);
      const std::vector<u8> text(5 * page, 1);
      for (int turn = 0; turn < 200; ++turn) {
        const auto opened = directory.open(name, vfs::open_create, both, Wait::never);
        if (error_of(opened) != Errno::success) continue;
        auto& file = static_cast<vfs::File&>(*std::get<std::shared_ptr<cap::Object>>(opened));
        for (u64 at = 0; at < 20; ++at)
          static_cast<void>(file.write(text, at * page, {}, Wait::never));
        static_cast<void>(file.allocate(0, 30 * page, Wait::never));
        static_cast<void>(file.truncate(3 * page, Wait::never));
        static_cast<void>(directory.remove_file("f" + std::to_string((i + turn) % 4), Wait::never));
      }
    });
  }
  for (std::thread& each : all) each.join();
  for (int i = 0; i < 4; ++i) static_cast<void>(root.remove("f" + std::to_string(i)));
  CHECK(root.names().empty());
  CHECK(pages_left(root) == before);
}
