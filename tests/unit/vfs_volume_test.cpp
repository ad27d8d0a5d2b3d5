// Volumes: files as they are kept in one (stdlib/vfs/volume.hpp).
#include <thread>

#include "tests/support/volumes.hpp"

using namespace atollvm;
using namespace atollvm::test;
using cap::Errno;

TEST_CASE("volumes: what was written is there again") {
  const ScratchDirectory scratch;
  const std::string path = scratch / "volume";
  REQUIRE(vfs::create_volume(path, u64{4} << 20).ok());
  CHECK(!vfs::create_volume(path, u64{4} << 20).ok());
  u64 inode = 0;
  {
    const Root root(in_volume(scratch));
    REQUIRE(root.mkdir("d") == Errno::success);
    root.put("d/file", "text");
    REQUIRE(root.link("d/file", "hard") == Errno::success);
    REQUIRE(root.make_link("d/file", "soft") == Errno::success);
    inode = root.status("hard").inode;
    // One more opening is the same volume.
    const Root other(in_volume(scratch));
    CHECK(other.text("soft") == "text");
    CHECK(other.rename("hard", root, "name") == Errno::success);
    CHECK(faults_of(*root).empty());
  }
  CHECK(!std::filesystem::exists(path + "-wal"));
  const Root root(in_volume(scratch));
  CHECK(root.text("soft") == "text");
  CHECK(root.status("name").inode == inode);
  CHECK(root.status("name").links == 2);
  CHECK(sorted_names(root) == std::vector<std::string>{"d", "name", "soft"});
  CHECK(faults_of(*root).empty());
}

TEST_CASE("volumes: what is none") {
  const ScratchDirectory scratch;
  const std::string path = scratch / "volume";
  CHECK(error_text(path).find("No such file") != std::string::npos);
  put_text(path, "no volume");
  CHECK(error_text(path).find("it is no volume") != std::string::npos);
  CHECK(!vfs::is_volume(path));
  std::filesystem::remove(path);
  CHECK(!vfs::create_volume(path, 1000).ok());
  CHECK(!vfs::create_volume(path, ~u64{0}).ok());
  REQUIRE(vfs::create_volume(path, u64{4} << 20).ok());
  CHECK(vfs::is_volume(path));
  put_text(path + "-journal", "");
  CHECK(error_text(path).find("-journal") != std::string::npos);
  std::filesystem::remove(path + "-journal");
}

TEST_CASE("volumes: a full one") {
  const ScratchDirectory scratch;
  REQUIRE(vfs::create_volume(scratch / "volume", u64{2} << 20).ok());
  const Root root(in_volume(scratch));
  const std::string text(100'000, 'x');
  int made = 0;
  const auto fill = [&] {
    for (; made < 1000; ++made) {
      const auto opened =
          root.open("f" + std::to_string(made), vfs::open_create | vfs::open_truncate, both);
      if (opened.index() != 0) {
        CHECK(error_of(opened) == Errno::nospc);
        return;
      }
      auto& file = static_cast<vfs::File&>(*std::get<0>(opened));
      if (const Errno error = write_error(file, text, 0); error != Errno::success) {
        CHECK(error == Errno::nospc);
        // Nothing of it is there.
        const auto stat = attempt([&](Wait wait) { return file.stat(wait); });
        CHECK(std::get<0>(stat).size == 0);
        return;
      }
    }
  };
  fill();
  CHECK(made > 10);
  CHECK(made < 22);
  const auto info = vfs::volume_info(*root);
  REQUIRE(info.ok());
  CHECK(info->used <= info->size);
  // Small ones, until nothing fits; what is there can be read, renamed and removed.
  for (int i = 0; i < 100'000; ++i) {
    if (root.mkdir("d" + std::to_string(i)) == Errno::nospc) break;
  }
  CHECK(root.mkdir("more") == Errno::nospc);
  CHECK(error_of(root.open("new", vfs::open_create, both)) == Errno::nospc);
  CHECK(error_of(root.open("f0", vfs::open_create, both)) == Errno::success);
  CHECK(root.rename("f0", "g0") == Errno::success);
  CHECK(root.sync() == Errno::success);
  CHECK(faults_of(*root).empty());
  CHECK(vfs::volume_info(*root)->used <= info->size);
  for (int i = 1; i < 8; ++i) CHECK(root.remove("f" + std::to_string(i)) == Errno::success);
  fill();
  CHECK(root.text("g0").substr(0, 3) == "xxx");
  // A larger one has room again.
  CHECK(!vfs::grow_volume(*root, u64{1} << 20).ok());
  CHECK(vfs::grow_volume(*root, u64{4} << 20).ok());
  root.put("after", text);
  CHECK(faults_of(*root).empty());
}

TEST_CASE("volumes: files that are removed while they are open go with their handle") {
  const ScratchDirectory scratch;
  REQUIRE(vfs::create_volume(scratch / "volume", u64{8} << 20).ok());
  const Root root(in_volume(scratch));
  const u64 before = vfs::volume_info(*root)->inodes;
  auto file = root.file("file", vfs::open_create, both);
  write_at(*file, std::string(1'000'000, 'x'), 0);
  REQUIRE(root.remove("file") == Errno::success);
  CHECK(read_text(*file, 999'999) == "x");
  CHECK(vfs::volume_info(*root)->inodes == before + 1);
  file.reset();
  root.put("other", "");
  CHECK(vfs::volume_info(*root)->inodes == before + 1);
  CHECK(faults_of(*root).empty());
}

TEST_CASE("volumes: two users at once") {
  const ScratchDirectory scratch;
  const Root root(in_volume(scratch));
  std::vector<std::thread> users;
  for (int i = 0; i < 2; ++i) {
    users.emplace_back([&, i] {
      const Root own(vfs::open_volume(scratch / "volume").value());
      const std::string folder = "u" + std::to_string(i);
      static_cast<void>((*own).make_directory(folder, Wait::allowed));
      Workload workload(own.directory(folder).object(), 5 + static_cast<u64>(i));
      for (int turn = 0; turn < 200; ++turn) workload.step();
    });
  }
  for (std::thread& each : users) each.join();
  CHECK(faults_of(*root).empty());
  for (u64 i = 0; i < 2; ++i) {
    CHECK(calls_of(*root.directory("u" + std::to_string(i)), 5 + i, 200, 200) == 200);
  }
}
