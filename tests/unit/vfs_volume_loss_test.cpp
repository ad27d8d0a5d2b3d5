// Volumes when a program or a computer ends, and when the file is an enemy's
// (stdlib/vfs/volume.hpp). Children made by fork() start threads here, which neither
// ThreadSanitizer nor qemu allows.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "tests/support/volumes.hpp"

using namespace atollvm;
using namespace atollvm::test;
using cap::Errno;

namespace {

u64 from_environment(const char* name, u64 otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

}  // namespace

TEST_CASE("volumes: one that is in use by another program") {
  const ScratchDirectory scratch;
  const std::string path = scratch / "volume";
  REQUIRE(vfs::create_volume(path, u64{4} << 20).ok());
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    const auto root = vfs::open_volume(path);
    const char said = root.ok() ? '1' : '0';
    if (write(ends[1], &said, 1) == 1) pause();
    _exit(1);
  }
  close(ends[1]);
  char said = 0;
  REQUIRE(read(ends[0], &said, 1) == 1);
  CHECK(said == '1');
  CHECK(error_text(path).find("in use by another program") != std::string::npos);
  kill(child, SIGKILL);
  REQUIRE(waitpid(child, nullptr, 0) == child);
  close(ends[0]);
  CHECK(error_text(path) == "");
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
