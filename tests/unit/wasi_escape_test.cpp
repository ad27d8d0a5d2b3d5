// Hostile WASI guests: nothing leaves a directory that was given, and what was given to be read is
// never written. The tricks are those that were published against other runtimes' file systems.
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "tests/support/wasi_guest.hpp"

using namespace atollvm;
using namespace atollvm::test;
using namespace atollvm::wasi;

namespace {

constexpr u32 result_at = WasiGuest::result_at;
constexpr u32 vectors_at = WasiGuest::vectors_at;
constexpr u32 data_at = WasiGuest::data_at;
constexpr Errno success = Errno::success;
constexpr u64 read_write = right_fd_read | right_fd_write;

// With each way of resolving paths, and through an overlay.
template <class Test>
void for_each_resolver(const Test& test) {
  const auto run = [&test](WasiFiles&& guest) {
    test(guest);
    guest.check_unchanged();
  };
  for (const vfs::Resolver resolver : resolvers()) {
    CAPTURE(resolver == vfs::Resolver::kernel);
    run(WasiFiles(resolver));
  }
  CAPTURE("overlaid");
  run(WasiFiles(vfs::best_resolver(), wasi::Edition::snapshot_preview1, WasiFiles::Kind::overlay));
}

// The same, and in a volume: for tests that do not look at the host's files.
template <class Test>
void for_each_kind(const Test& test) {
  for_each_resolver(test);
  CAPTURE("volume");
  WasiFiles guest(vfs::best_resolver(), wasi::Edition::snapshot_preview1, WasiFiles::Kind::volume);
  test(guest);
  guest.check_unchanged();
}

// All ways to reach a path, none of which may succeed: each gives one of these errors.
void check_refused(WasiFiles& guest, i64 dir, std::string_view path, Errno expected) {
  CAPTURE(path);
  for (const u32 follow : {0u, 1u}) {
    for (const u32 oflags : {0u, WasiGuest::directory}) {
      CHECK(guest.path_open(dir, path, {oflags, right_fd_read, ~u64{0}, 0, follow}) == expected);
    }
    CHECK(guest.stat(dir, path, follow) == expected);
    CHECK(guest.set_times(dir, path, 1, 1, 5, follow) == expected);
    for (const u32 oflags :
         {0u, WasiGuest::creat, WasiGuest::trunc, WasiGuest::creat | WasiGuest::trunc,
          WasiGuest::creat | WasiGuest::excl}) {
      CHECK(guest.path_open(dir, path, {oflags, read_write, 0, 0, follow}) != success);
    }
  }
}

// The same for calls that work on a name in a directory.
void check_name_refused(WasiFiles& guest, i64 dir, std::string_view path, Errno expected) {
  CAPTURE(path);
  CHECK(guest.path_call("path_create_directory", dir, path) == expected);
  CHECK(guest.path_call("path_remove_directory", dir, path) == expected);
  CHECK(guest.path_call("path_unlink_file", dir, path) == expected);
  CHECK(guest.rename(dir, path, dir, "got") == expected);
  CHECK(guest.rename(dir, "a", dir, path) == expected);
  CHECK(guest.link(dir, path, dir, "got") == expected);
  CHECK(guest.link(dir, "a", dir, path) == expected);
  CHECK(guest.symlink("a", dir, path) == expected);
  CHECK(guest.readlink(dir, path, 100) == expected);
  CHECK(guest.stat(dir, "got") == Errno::noent);
}

}  // namespace

TEST_CASE("wasi escapes: .. and absolute paths") {
  for_each_kind([](WasiFiles& guest) {
    for (const char* path :
         {"..", "../", "../outside", "../data/a", "../readonly/b", "d/../../outside",
          "d/e/../../../outside", "./.././outside", "d/..//../outside", ".//../outside"}) {
      check_refused(guest, guest.dir, path, Errno::notcapable);
      check_name_refused(guest, guest.dir, path, Errno::notcapable);
    }
    for (const char* path : {"/", "//", "/etc/passwd", "/outside", "//data/a", "/../outside"}) {
      check_refused(guest, guest.dir, path, Errno::notcapable);
      check_name_refused(guest, guest.dir, path, Errno::notcapable);
    }
    check_refused(guest, guest.dir, guest.scratch / "outside", Errno::notcapable);
    // A directory opened below is as closed, each for itself.
    const WasiGuest::Stat all = guest.fdstat(guest.dir);
    const i64 below =
        guest.open(guest.dir, "d", {WasiGuest::directory, all.base, all.inheriting, 0, 0});
    check_refused(guest, below, "../a", Errno::notcapable);
    check_refused(guest, below, "e/../../a", Errno::notcapable);
    CHECK(guest.path_open(below, "..", {WasiGuest::directory, 0, 0, 0, 0}) == Errno::notcapable);
  });
}

TEST_CASE("wasi escapes: links that a guest makes itself") {
  for_each_kind([](WasiFiles& guest) {
    const auto make = [&](std::string_view target, std::string_view path) {
      CHECK(guest.symlink(target, guest.dir, path) == success);
    };
    // Absolute targets are not even made; by any spelling.
    for (const char* target : {"/", "//", "/etc/passwd", "/proc/self/root"}) {
      CHECK(guest.symlink(target, guest.dir, "absolute") == Errno::notcapable);
    }
    make("..", "up");
    make("../outside", "out");
    make("../none", "out_new");
    make("../readonly", "out_dir");
    make("up/..", "up2");
    make("d", "to_d");
    make("d/../..", "round");
    make("to_d/../../outside", "by_link");
    make("./up/./outside", "by_up");
    for (const char* path : {"up/outside", "out/", "out_dir/", "out_dir/b", "up2/x",
                             "round/outside", "up/", "up/.", "up/data/a", "out_dir/../outside",
                             "to_d/../../outside", "d/../up/outside", "by_link/", "by_up/"}) {
      check_refused(guest, guest.dir, path, Errno::notcapable);
    }
    // Only with a slash, or when it is followed, is the link more than itself.
    for (const char* path : {"up", "out", "out_new", "out_dir", "round", "by_link", "by_up"}) {
      CAPTURE(path);
      CHECK(guest.path_open(guest.dir, path, {0, right_fd_read, 0, 0, 1}) == Errno::notcapable);
      CHECK(guest.path_open(guest.dir, path, {WasiGuest::directory, 0, 0, 0, 1}) ==
            Errno::notcapable);
      CHECK(guest.path_open(guest.dir, path, {WasiGuest::creat, read_write, 0, 0, 1}) ==
            Errno::notcapable);
      CHECK(guest.path_open(guest.dir, path,
                            {WasiGuest::creat | WasiGuest::trunc, read_write, 0, 0, 1}) ==
            Errno::notcapable);
      CHECK(guest.path_open(guest.dir, path, {0, read_write, 0, 0, 0}) == Errno::loop);
      CHECK(guest.path_open(guest.dir, path, {WasiGuest::trunc, read_write, 0, 0, 0}) ==
            Errno::loop);
      CHECK(guest.stat(guest.dir, path, 1) == Errno::notcapable);
      CHECK(guest.set_times(guest.dir, path, 1, 1, 5, 1) == Errno::notcapable);
      CHECK(guest.stat(guest.dir, path, 0) == success);
      CHECK(guest.number<u8>(data_at + 16) == 7);
      const std::string slash = std::string(path) + "/";
      CHECK(guest.path_open(guest.dir, slash, {0, right_fd_read, 0, 0, 0}) == Errno::notcapable);
      CHECK(guest.path_call("path_create_directory", guest.dir, path) == Errno::exist);
      CHECK(guest.path_call("path_create_directory", guest.dir, slash) == Errno::exist);
      CHECK(guest.path_call("path_remove_directory", guest.dir, slash) == Errno::notdir);
      CHECK(guest.path_call("path_unlink_file", guest.dir, slash) == Errno::notdir);
      CHECK(guest.rename(guest.dir, slash, guest.dir, "got") == Errno::notdir);
      CHECK(guest.rename(guest.dir, "a", guest.dir, slash) == Errno::notdir);
      CHECK(guest.link(guest.dir, slash, guest.dir, "got") == Errno::notdir);
      CHECK(guest.link(guest.dir, "a", guest.dir, slash) == Errno::notdir);
      CHECK(guest.readlink(guest.dir, slash, 100) != success);
      const std::string below = slash + "x";
      check_name_refused(guest, guest.dir, below, Errno::notcapable);
    }
    // A hard link to a link is that link.
    CHECK(guest.link(guest.dir, "out", guest.dir, "hard") == success);
    CHECK(guest.path_open(guest.dir, "hard", {0, right_fd_read, 0, 0, 1}) == Errno::notcapable);
    // Moved to where it would lead elsewhere, it still leads nowhere.
    make("../../outside", "d/e/far");
    CHECK(guest.path_open(guest.dir, "d/e/far", {0, right_fd_read, 0, 0, 1}) == Errno::noent);
    CHECK(guest.rename(guest.dir, "d/e/far", guest.dir, "d/far") == success);
    CHECK(guest.path_open(guest.dir, "d/far", {0, right_fd_read, 0, 0, 1}) == Errno::notcapable);
  });
}

TEST_CASE("wasi escapes: links that others left, also absolute and of /proc") {
  for_each_resolver([](WasiFiles& guest) {
    const auto leave = [&](const std::string& target, const char* path) {
      REQUIRE(::symlink(target.c_str(), (guest.scratch / path).c_str()) == 0);
    };
    leave(guest.scratch / "outside", "data/absolute");
    leave("/", "data/root");
    leave("/proc/self/fd", "data/fds");
    for (const char* path : {"absolute/", "root/", "root/etc/passwd", "fds/0", "fds/3/"}) {
      check_refused(guest, guest.dir, path, Errno::notcapable);
    }
    for (const char* path : {"absolute", "root", "fds"}) {
      CHECK(guest.path_open(guest.dir, path, {0, right_fd_read, 0, 0, 1}) == Errno::notcapable);
      CHECK(guest.path_open(guest.dir, path, {0, right_fd_read, 0, 0, 0}) == Errno::loop);
    }
    // Read they may be, followed not.
    CHECK(guest.readlink(guest.dir, "absolute", 4096) == success);
  });
}

TEST_CASE("wasi escapes: what is only to be read is not written, whichever way") {
  for_each_kind([](WasiFiles& guest) {
    const i64 ro = guest.readonly;
    const WasiGuest::Stat given = guest.fdstat(ro);
    for (const u64 rights : {given.base, given.inheriting}) {
      CHECK((rights &
             (right_fd_write | right_fd_allocate | right_fd_filestat_set_size |
              right_fd_filestat_set_times | right_path_create_directory | right_path_create_file |
              right_path_link_source | right_path_link_target | right_path_rename_source |
              right_path_rename_target | right_path_filestat_set_size |
              right_path_filestat_set_times | right_path_symlink | right_path_remove_directory |
              right_path_unlink_file)) == 0);
    }
    const Errno no = Errno::notcapable;
    const auto all_ways = [&](i64 dir, std::string_view file) {
      for (const u32 oflags : {0u, WasiGuest::trunc, WasiGuest::creat}) {
        CHECK(guest.path_open(dir, file, {oflags, read_write, ~u64{0}, 0, 0}) == no);
        CHECK(guest.path_open(dir, file, {oflags, right_fd_write, ~u64{0}, 1, 1}) == no);
      }
      for (const u32 oflags :
           {WasiGuest::trunc, WasiGuest::creat, WasiGuest::creat | WasiGuest::excl,
            WasiGuest::creat | WasiGuest::trunc}) {
        CHECK(guest.path_open(dir, file, {oflags, right_fd_read, 0, 0, 0}) == no);
        CHECK(guest.path_open(dir, file, {oflags, 0, 0, 0, 1}) == no);
        CHECK(guest.path_open(dir, "new", {oflags, 0, 0, 0, 0}) == no);
      }
      CHECK(guest.set_times(dir, file, 1, 1, 5) == no);
      CHECK(guest.set_times(dir, file, 1, 1, 2 | 8, 1) == no);
      CHECK(guest.path_call("path_create_directory", dir, "new") == no);
      CHECK(guest.path_call("path_remove_directory", dir, "d") == no);
      CHECK(guest.path_call("path_unlink_file", dir, file) == no);
      CHECK(guest.symlink("b", dir, "new") == no);
      // Neither out of it, where more may be done, nor into it, nor inside.
      for (const i64 other : {dir, guest.dir}) {
        CHECK(guest.rename(dir, file, other, "got") == no);
        CHECK(guest.link(dir, file, other, "got") == no);
      }
      CHECK(guest.rename(guest.dir, "a", dir, "got") == no);
      CHECK(guest.link(guest.dir, "a", dir, "got") == no);
    };
    all_ways(ro, "b");
    // A directory below, with all rights asked for that there are.
    const i64 below = guest.open(ro, "d", {WasiGuest::directory, ~(read_write), ~u64{0}, 0, 0});
    REQUIRE(below >= 0);
    CHECK((guest.fdstat(below).base & ~given.inheriting) == 0);
    CHECK((guest.fdstat(below).inheriting & ~given.inheriting) == 0);
    all_ways(below, "c");
    const i64 same = guest.open(ro, ".", {0, ~(read_write), ~u64{0}, 0, 0});
    REQUIRE(same >= 0);
    all_ways(same, "b");
    // A file, the same way.
    const i64 file = guest.open(ro, "b", {0, ~right_fd_write, ~u64{0}, 31 & ~(2 | 8 | 16), 0});
    REQUIRE(file >= 0);
    const auto all_file_ways = [&](i64 fd) {
      CHECK(guest.write(fd, "x") == no);
      CHECK(guest("fd_pwrite", {fd, vectors_at, 1, 0, result_at}) == no);
      CHECK(guest("fd_filestat_set_size", {fd, 0}) == no);
      CHECK(guest("fd_filestat_set_times", {fd, 1, 1, 5}) == no);
      CHECK(guest("fd_allocate", {fd, 0, 100}) == no);
      CHECK(guest("fd_fdstat_set_rights", {fd, static_cast<i64>(read_write), 0}) == no);
    };
    all_file_ways(file);
    CHECK(guest("fd_fdstat_set_flags", {file, 1}) == success);
    all_file_ways(file);
    // Under another number, also that of a directory with more rights or of an output stream.
    CHECK(guest("fd_renumber", {file, 1}) == success);
    all_file_ways(1);
    CHECK(guest("fd_fdstat_set_rights", {ro, ~i64{0}, ~i64{0}}) == no);
    CHECK(guest("fd_renumber", {below, guest.dir}) == success);
    CHECK(guest.path_open(guest.dir, "c", {0, read_write, 0, 0, 0}) == no);
    CHECK(guest.path_call("path_unlink_file", guest.dir, "c") == no);
  });
}

TEST_CASE("wasi escapes: rights are not gained by moving or linking to where there are more") {
  for_each_kind([](WasiFiles& guest) {
    const WasiGuest::Stat all = guest.fdstat(guest.dir);
    const i64 less = guest.open(
        guest.dir, "d", {WasiGuest::directory, all.base, all.inheriting & ~right_fd_write, 0, 0});
    REQUIRE(less >= 0);
    CHECK(guest.rename(less, "e/f", guest.dir, "f") == Errno::notcapable);
    CHECK(guest.link(less, "e/f", guest.dir, "f") == Errno::notcapable);
    CHECK(guest.rename(less, "e/f", less, "f") == success);
    CHECK(guest.rename(guest.dir, "a", less, "a") == success);
    CHECK(guest.path_open(less, "f", {0, read_write, 0, 0, 0}) == Errno::notcapable);
    const i64 no_times = guest.open(
        guest.dir, "d",
        {WasiGuest::directory, all.base & ~right_path_filestat_set_times, all.inheriting, 0, 0});
    CHECK(guest.rename(no_times, "f", guest.dir, "f") == Errno::notcapable);
  });
}

TEST_CASE("wasi escapes: descriptors swapped under other names") {
  for_each_kind([](WasiFiles& guest) {
    const WasiGuest::Stat all = guest.fdstat(guest.dir);
    const i64 below =
        guest.open(guest.dir, "d", {WasiGuest::directory, all.base, all.inheriting, 0, 0});
    REQUIRE(below >= 0);
    // The number of the directory now means the one below it: its ".." is outside.
    CHECK(guest("fd_renumber", {below, guest.dir}) == success);
    CHECK(guest.path_open(guest.dir, "e/f", {}) == success);
    check_refused(guest, guest.dir, "../a", Errno::notcapable);
    // Over the one to be read, and back: rights go with what they were given for.
    CHECK(guest("fd_renumber", {guest.readonly, guest.dir}) == success);
    CHECK(guest.path_open(guest.dir, "b", {0, right_fd_read, 0, 0, 0}) == success);
    CHECK(guest.path_open(guest.dir, "b", {0, read_write, 0, 0, 0}) == Errno::notcapable);
    // The number that became free is the file's now.
    CHECK(guest.path_open(guest.readonly, "b", {}) == Errno::notdir);
  });
}

TEST_CASE("wasi escapes: a directory that was moved away keeps its guest inside") {
  for_each_kind([](WasiFiles& guest) {
    const WasiGuest::Stat all = guest.fdstat(guest.dir);
    const i64 deep =
        guest.open(guest.dir, "d/e", {WasiGuest::directory, all.base, all.inheriting, 0, 0});
    CHECK(guest.rename(guest.dir, "d/e", guest.dir, "e") == success);
    check_refused(guest, deep, "..", Errno::notcapable);
    check_refused(guest, deep, "../a", Errno::notcapable);
    CHECK(guest.path_open(deep, "f", {0, right_fd_read, 0, 0, 0}) == success);
    // Removed: it can't be used to make anything.
    CHECK(guest.path_call("path_unlink_file", guest.dir, "e/f") == success);
    CHECK(guest.path_call("path_remove_directory", guest.dir, "e") == success);
    CHECK(guest.path_open(deep, "x", {WasiGuest::creat, read_write, 0, 0, 0}) == Errno::noent);
    CHECK(guest.path_call("path_create_directory", deep, "x") == Errno::noent);
  });
}

TEST_CASE("wasi escapes: two guests, one renames while the other opens") {
  for (const vfs::Resolver resolver : resolvers()) {
    CAPTURE(resolver == vfs::Resolver::kernel);
    WasiFiles reader(resolver);
    put_text(reader.scratch / "data/d/a", "inside");
    put_text(reader.scratch / "data/a", "inside");
    put_text(reader.scratch / "a", "outside");
    std::atomic<bool> stop{false};
    std::atomic<u64> swaps{0};
    // A directory, a link that leads out and one that leads in change places, and the directory
    // moves up and down.
    std::thread other([&] {
      WasiGuest writer;
      const i64 dir = writer.grant_directory(granted(reader.scratch / "data", resolver), "/", true);
      writer.symlink("..", dir, "out");
      writer.symlink("d", dir, "in");
      while (!stop.load(std::memory_order_relaxed)) {
        writer.rename(dir, "x", dir, "y");
        writer.rename(dir, "out", dir, "x");
        writer.rename(dir, "x", dir, "out");
        writer.rename(dir, "in", dir, "x");
        writer.rename(dir, "x", dir, "in");
        writer.rename(dir, "d/e", dir, "e");
        writer.rename(dir, "e", dir, "d/e");
        swaps.fetch_add(1, std::memory_order_relaxed);
      }
    });
    u64 good = 0;
    bool escaped = false;
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(1);
    while (std::chrono::steady_clock::now() < deadline) {
      for (const char* path : {"x/a", "d/e/../a", "d/e/../../a", "e/../a", "x/../a", "in/a"}) {
        for (const u32 oflags : {0u, WasiGuest::creat}) {
          const i64 file = reader.open(reader.dir, path, {oflags, read_write, 0, 0, 1});
          if (file < 0) continue;
          reader.read(file, 20);
          const std::string text = reader.read_text();
          escaped |= text == "outside";
          good += text == "inside" ? 1 : 0;
          reader("fd_close", {file});
        }
      }
    }
    stop.store(true);
    other.join();
    CHECK(!escaped);
    CHECK(good > 0);
    CHECK(swaps.load() > 0);
    CHECK(text_of(reader.scratch / "a") == "outside");
    reader.check_unchanged();
  }
}
