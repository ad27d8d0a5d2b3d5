// Volumes: what is kept, when a program or a computer ends, and when the file is an enemy's
// (stdlib/vfs/volume.hpp).
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "tests/support/volumes.hpp"

using namespace atollvm;
using namespace atollvm::test;
using cap::Errno;

namespace {

u64 from_environment(const char* name, u64 otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

std::string error_text(const std::string& path) {
  const auto opened = vfs::open_volume(path);
  return opened.ok() ? "" : opened.error().text();
}

}  // namespace

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

TEST_CASE("volumes: what is none, and one that is in use") {
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
  // Another program has it.
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const pid_t child = fork();
  if (child == 0) {
    const auto root = vfs::open_volume(path);
    const char said = root.ok() ? '1' : '0';
    if (write(ends[1], &said, 1) == 1) pause();
    _exit(1);
  }
  char said = 0;
  REQUIRE(read(ends[0], &said, 1) == 1);
  CHECK(said == '1');
  CHECK(error_text(path).find("in use by another program") != std::string::npos);
  kill(child, SIGKILL);
  REQUIRE(waitpid(child, nullptr, 0) == child);
  close(ends[0]);
  close(ends[1]);
  CHECK(error_text(path) == "");
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

// ATOLL_KILLS and ATOLL_SEED: how many, and of what.
TEST_CASE("volumes: a program that is killed at any moment") {
  const u64 kills = from_environment("ATOLL_KILLS", 6);
  const u64 first = from_environment("ATOLL_SEED", 1);
  for (u64 seed = first; seed < first + kills; ++seed) {
    CAPTURE(seed);
    const ScratchDirectory scratch;
    REQUIRE(vfs::create_volume(scratch / "volume", u64{256} << 20).ok());
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    const pid_t child = fork();
    if (child == 0) {
      const auto root = vfs::open_volume(scratch / "volume");
      if (!root.ok()) _exit(1);
      Workload workload(*root, seed);
      for (u64 i = 1;; ++i) {
        const bool is_sync = workload.step();
        const u64 said[2] = {i, is_sync};
        if (write(ends[1], said, sizeof said) != sizeof said) _exit(1);
      }
    }
    close(ends[1]);
    Random random{seed};
    usleep(static_cast<useconds_t>(2000 + random(random(8) == 0 ? 1'300'000 : 150'000)));
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    u64 said[2], done = 0, synced = 0;
    while (read(ends[0], said, sizeof said) == sizeof said) {
      done = said[0];
      if (said[1] != 0) synced = done;
    }
    close(ends[0]);
    const Root root(in_volume(scratch));
    CHECK(faults_of(*root) == "");
    const auto found = calls_of(*root, seed, synced, done + 1);
    CHECK(found.has_value());
    MESSAGE("killed after " << done << " calls, " << synced << " synced: " << (found ? *found : 0)
                            << " are there");
  }
}

// ATOLL_CUTS: how many.
TEST_CASE("volumes: a computer that loses its power at any moment") {
  const u64 cuts = from_environment("ATOLL_CUTS", 40);
  const u64 first = from_environment("ATOLL_SEED", 1);
  Disk& disk = Disk::get();
  disk.tracks = true;
  u64 made = 0;
  for (u64 seed = first; made < cuts; ++seed) {
    const ScratchDirectory scratch;
    const std::string path = scratch / "volume";
    REQUIRE(vfs::create_volume(path, u64{256} << 20).ok());
    struct Left {
      std::string folder;
      u64 done, synced;
    };
    std::vector<Left> all;
    {
      auto root = vfs::open_volume(path, {Disk::name});
      REQUIRE(root.ok());
      Random random{seed * 977};
      Workload workload(*root, seed);
      u64 done = 0, synced = 0, writes = 0, next = 1 + random(300);
      disk.before_write = [&] {
        if (++writes < next || all.size() >= 10) return;
        next = writes + 1 + random(600);
        const std::string folder = scratch / ("left" + std::to_string(all.size()));
        std::filesystem::create_directories(folder);
        disk.leave(folder, path, random);
        all.push_back({folder, done, synced});
      };
      for (; done < 400; ++done) {
        if (workload.step()) synced = done + 1;
      }
      root->reset();
      disk.before_write = nullptr;
    }
    disk.forget();
    for (const Left& each : all) {
      CAPTURE(seed);
      CAPTURE(each.folder);
      CAPTURE(each.done);
      CAPTURE(each.synced);
      ++made;
      const auto opened = vfs::open_volume(each.folder + "/volume");
      REQUIRE_MESSAGE(opened.ok(), (opened.ok() ? "" : opened.error().text()));
      CHECK(faults_of(**opened) == "");
      CHECK(calls_of(**opened, seed, each.synced, each.done + 1).has_value());
    }
    REQUIRE(!all.empty());
  }
  MESSAGE(made << " cuts");
}

// ATOLL_DAMAGES: how many.
TEST_CASE("volumes: files with random bytes in them give errors at most") {
  const u64 cases = from_environment("ATOLL_DAMAGES", 1500);
  const u64 first = from_environment("ATOLL_SEED", 1);
  const ScratchDirectory scratch;
  const std::string path = scratch / "volume";
  REQUIRE(vfs::create_volume(path, u64{16} << 20).ok());
  {
    const Root root(in_volume(scratch));
    Workload workload(root.object(), 3);
    for (int i = 0; i < 60; ++i) workload.step();
    for (int i = 0; i < 100; ++i) root.put("name" + std::to_string(i), "text");
    REQUIRE(root.make_link("d0/f1", "link") == Errno::success);
  }
  const std::string sound = text_of(path);
  Disk& disk = Disk::get();
  disk.tracks = false;
  u64 opened = 0, clean = 0;
  for (u64 i = 0; i < cases; ++i) {
    Random random{first * 1'000'003 + i};
    CAPTURE(i);
    std::string bytes = sound;
    // Most of the bytes are those of files: the pages of the trees are hit more often than by
    // chance.
    for (u64 n = 1 + random(8); n > 0; --n) {
      const u64 at =
          random(4) == 0 ? random(bytes.size()) : random(bytes.size() / 8192) * 8192 + random(64);
      if (at >= 100 || random(10) == 0) bytes[at] = static_cast<char>(random(256));
    }
    if (random(20) == 0) bytes.resize(random(bytes.size()));
    put_text(path, bytes);
    auto volume = vfs::open_volume(path, {Disk::name});
    if (volume.ok()) {
      ++opened;
      digest_of(**volume);
      Workload workload(*volume, i);
      for (int turn = 0; turn < 15; ++turn) workload.step();
      clean += faults_of(**volume).empty();
    } else {
      CHECK(!volume.error().message.empty());
    }
    volume = base::Error{};
    std::filesystem::remove(path + "-wal");
  }
  disk.tracks = true;
  disk.forget();
  CHECK(opened > 0);
  MESSAGE(cases << " damaged files: " << opened << " opened, of which " << clean << " are sound");
}
