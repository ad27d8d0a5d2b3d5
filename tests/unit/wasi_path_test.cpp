// WASI: paths and directories. Each case runs with both ways of resolving paths.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "tests/support/wasi_guest.hpp"

using namespace atollvm;
using namespace atollvm::test;
using namespace atollvm::wasi;

namespace {

constexpr u32 result_at = WasiGuest::result_at;
constexpr u32 data_at = WasiGuest::data_at;
constexpr i64 end = WasiGuest::end;
constexpr Errno success = Errno::success;

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

struct Entry {
  u64 next = 0;
  u64 inode = 0;
  u8 type = 0;
  std::string name;
};

// The whole entries in what one call gave.
std::vector<Entry> entries_in(const WasiGuest& guest, u32 used) {
  std::vector<Entry> entries;
  for (u32 at = 0; at + 24 <= used;) {
    const u32 from = data_at + at;
    const u32 size = guest.number<u32>(from + 16);
    if (at + 24 + size > used) break;
    entries.push_back({guest.number<u64>(from), guest.number<u64>(from + 8),
                       guest.number<u8>(from + 20), guest.text(from + 24, size)});
    at += 24 + size;
  }
  return entries;
}

// All of a directory, read as wasi-libc does it, with a buffer of `room` bytes.
std::vector<Entry> list(WasiGuest& guest, i64 fd, u32 room) {
  std::vector<Entry> all;
  u64 cookie = 0;
  for (int turn = 0; turn < 100'000; ++turn) {
    REQUIRE(guest("fd_readdir", {fd, data_at, room, static_cast<i64>(cookie), result_at}) ==
            success);
    const u32 used = guest.value();
    REQUIRE(used <= room);
    const std::vector<Entry> some = entries_in(guest, used);
    all.insert(all.end(), some.begin(), some.end());
    if (used < room) return all;
    REQUIRE(!some.empty());  // else this room is too small
    cookie = some.back().next;
  }
  FAIL("endless");
  return all;
}

}  // namespace

TEST_CASE("wasi paths: opening, creating, truncating") {
  for_each_resolver([](WasiFiles& guest) {
    constexpr u64 rw = right_fd_read | right_fd_write;
    const auto error = [&](std::string_view path, WasiGuest::Open how) {
      return guest.path_open(guest.dir, path, how);
    };
    CHECK(error("none", {}) == Errno::noent);
    CHECK(error("", {}) == Errno::noent);
    CHECK(error("a", {WasiGuest::creat | WasiGuest::excl, rw, 0, 0, 0}) == Errno::exist);
    CHECK(error("a", {WasiGuest::directory, 0, 0, 0, 0}) == Errno::notdir);
    CHECK(error("a/", {}) == Errno::notdir);
    CHECK(error("a//", {}) == Errno::notdir);
    CHECK(error("a/b", {}) == Errno::notdir);
    CHECK(error("d", {0, rw, 0, 0, 0}) == Errno::isdir);
    CHECK(error("d", {WasiGuest::directory, rw, 0, 0, 0}) == Errno::isdir);
    CHECK(error("d", {WasiGuest::directory, right_fd_read, 0, 0, 0}) == success);
    CHECK(error(".", {0, 0, 0, 4, 0}) == success);
    CHECK(error("n/", {WasiGuest::creat, rw, 0, 0, 0}) == Errno::isdir);
    CHECK(error("n", {WasiGuest::creat | WasiGuest::directory, rw, 0, 0, 0}) == Errno::inval);
    CHECK(error("n", {16, rw, 0, 0, 0}) == Errno::inval);
    CHECK(error("n", {0, rw, 0, 0, 2}) == Errno::inval);
    CHECK(error("d/./..//d/e/../e/f", {0, rw, 0, 0, 0}) == success);
    CHECK(!std::filesystem::exists(guest.scratch / "data/n"));

    const i64 made = guest.open(guest.dir, "n", {WasiGuest::creat | WasiGuest::excl, rw, 0, 0, 0});
    REQUIRE(made >= 0);
    CHECK(guest.write(made, "text") == success);
    CHECK(error("n", {WasiGuest::trunc, 0, 0, 0, 0}) == success);
    CHECK(std::filesystem::file_size(guest.scratch / "data/n") == 0);
    // All rights of a directory, as programs ask for them.
    const WasiGuest::Stat all = guest.fdstat(guest.dir);
    const i64 again = guest.open(guest.dir, ".", {0, all.base, all.inheriting, 0, 0});
    REQUIRE(again >= 0);
    CHECK(guest.fdstat(again).base == all.base);
    CHECK(guest.fdstat(again).inheriting == all.inheriting);
    // Where the number goes is looked at first.
    guest.put(WasiGuest::path_at, "m");
    CHECK(guest("path_open", {guest.dir, 0, WasiGuest::path_at, 1, WasiGuest::creat, 0, 0, 0,
                              end - 3}) == Errno::fault);
    CHECK(!std::filesystem::exists(guest.scratch / "data/m"));
  });
}

TEST_CASE("wasi paths: text that is no path") {
  using namespace std::string_view_literals;
  for_each_resolver([](WasiFiles& guest) {
    const std::string long_name(256, 'x');
    std::string long_path = "d";
    while (long_path.size() < 4096) long_path += "/../d";
    const std::pair<std::string_view, Errno> paths[] = {
        {"a\0"sv, Errno::inval},         {"\0a"sv, Errno::inval},
        {"d\0/../a"sv, Errno::inval},    {"\xff"sv, Errno::ilseq},
        {"a\xc0\xaf"sv, Errno::ilseq},   {"\xed\xa0\x80"sv, Errno::ilseq},
        {long_name, Errno::nametoolong}, {long_path, Errno::nametoolong},
        {"/a"sv, Errno::notcapable},     {"/"sv, Errno::notcapable},
    };
    for (const auto& [path, error] : paths) {
      CAPTURE(path.size());
      CHECK(guest.path_open(guest.dir, path, {WasiGuest::creat, 0, 0, 0, 0}) == error);
      CHECK(guest.stat(guest.dir, path) == error);
      CHECK(guest.set_times(guest.dir, path, 1, 1, 5) == error);
      CHECK(guest.readlink(guest.dir, path, 10) == error);
      for (const char* name :
           {"path_create_directory", "path_remove_directory", "path_unlink_file"}) {
        CHECK(guest.path_call(name, guest.dir, path) == error);
      }
      CHECK(guest.rename(guest.dir, path, guest.dir, "x") == error);
      CHECK(guest.rename(guest.dir, "a", guest.dir, path) == error);
      CHECK(guest.link(guest.dir, path, guest.dir, "x") == error);
      CHECK(guest.link(guest.dir, "a", guest.dir, path) == error);
      CHECK(guest.symlink("a", guest.dir, path) == error);
      if (path != long_name) CHECK(guest.symlink(path, guest.dir, "x") == error);
    }
    // A path as long as paths can be; one byte more can't be read any more.
    std::string longest;
    while (longest.size() + 6 <= 4095) longest += "d/../";
    longest += "a";
    CHECK(guest.path_open(guest.dir, longest, {}) == success);
    // Addresses outside.
    for (const auto& [address, size] :
         {std::pair<i64, i64>{end, 1}, {end - 1, 2}, {0xffffffff, 0xffffffff}, {1, 0xffffffff}}) {
      CHECK(guest("path_open", {guest.dir, 0, address, size, 0, 0, 0, 0, result_at}) ==
            Errno::fault);
      CHECK(guest("path_symlink", {address, size, guest.dir, 0, 1}) == Errno::fault);
      CHECK(guest("path_symlink", {0, 1, guest.dir, address, size}) == Errno::fault);
      CHECK(guest("path_rename", {guest.dir, 0, 1, guest.dir, address, size}) == Errno::fault);
      CHECK(guest("path_link", {guest.dir, 0, address, size, guest.dir, 0, 1}) == Errno::fault);
      CHECK(guest("path_readlink", {guest.dir, 0, 1, address, size, result_at}) == Errno::fault);
    }
  });
}

TEST_CASE("wasi paths: directories and files come and go") {
  for_each_resolver([](WasiFiles& guest) {
    const auto make = [&](std::string_view path) {
      return guest.path_call("path_create_directory", guest.dir, path);
    };
    const auto remove = [&](std::string_view path) {
      return guest.path_call("path_remove_directory", guest.dir, path);
    };
    const auto unlink = [&](std::string_view path) {
      return guest.path_call("path_unlink_file", guest.dir, path);
    };
    CHECK(make("new") == success);
    CHECK(make("new") == Errno::exist);
    CHECK(make("new/") == Errno::exist);
    CHECK(make(".") == Errno::exist);
    CHECK(make("d/..") == Errno::exist);
    CHECK(make("none/x") == Errno::noent);
    CHECK(make("a/x") == Errno::notdir);
    CHECK(make("new/sub/") == success);
    CHECK(remove("new") == Errno::notempty);
    CHECK(remove("new/sub/") == success);
    CHECK(remove("new") == success);
    CHECK(remove("new") == Errno::noent);
    CHECK(remove("a") == Errno::notdir);
    CHECK(remove("a/") == Errno::notdir);
    CHECK(remove(".") == Errno::inval);
    CHECK(unlink("d") == Errno::isdir);
    CHECK(unlink("d/") == Errno::isdir);
    CHECK(unlink(".") == Errno::isdir);
    CHECK(unlink("a/") == Errno::notdir);
    CHECK(unlink("a") == success);
    CHECK(unlink("a") == Errno::noent);
  });
}

TEST_CASE("wasi paths: renaming") {
  for_each_resolver([](WasiFiles& guest) {
    const auto rename = [&](std::string_view from, std::string_view to) {
      return guest.rename(guest.dir, from, guest.dir, to);
    };
    const auto make = [&](std::string_view path) {
      CHECK(guest.path_call("path_create_directory", guest.dir, path) == success);
    };
    CHECK(rename("a", "b") == success);
    CHECK(rename("a", "c") == Errno::noent);
    CHECK(rename("b", "d") == Errno::isdir);
    CHECK(rename("d", "b") == Errno::notdir);
    CHECK(rename("d", "d/e/x") == Errno::inval);
    CHECK(rename("b/", "c") == Errno::notdir);
    CHECK(rename("b", "c/") == Errno::notdir);
    CHECK(rename(".", "c") == Errno::busy);
    CHECK(rename("b", ".") == Errno::busy);
    make("s");
    CHECK(rename("s/", "t") == success);
    CHECK(rename("t", "s/") == success);
    CHECK(rename("s/", "t/") == success);
    make("s");
    CHECK(rename("t", "s") == success);
    CHECK(rename("s", "d") == Errno::notempty);
    CHECK(rename("d/e/f", "b") == success);
    CHECK(text_of(guest.scratch / "data/b") == "deep");
    // From one directory to another.
    const WasiGuest::Stat all = guest.fdstat(guest.dir);
    const i64 below =
        guest.open(guest.dir, "d", {WasiGuest::directory, all.base, all.inheriting, 0, 0});
    CHECK(guest.rename(guest.dir, "b", below, "e/b") == success);
    CHECK(guest.rename(below, "e/b", guest.dir, "b") == success);
  });
}

TEST_CASE("wasi paths: hard links") {
  for_each_resolver([](WasiFiles& guest) {
    const auto link = [&](std::string_view from, std::string_view to, u32 flags = 0) {
      return guest.link(guest.dir, from, guest.dir, to, flags);
    };
    CHECK(link("a", "d/l") == success);
    CHECK(guest.stat(guest.dir, "d/l") == success);
    CHECK(guest.number<u64>(data_at + 24) == 2);
    CHECK(link("a", "d/l") == Errno::exist);
    CHECK(link("a", "a") == Errno::exist);
    CHECK(link("a", "d") == Errno::exist);
    CHECK(link("a", ".") == Errno::exist);
    CHECK(link("d", "x") == Errno::perm);
    CHECK(link(".", "x") == Errno::perm);
    CHECK(link("a", "x/") == Errno::noent);
    CHECK(link("a/", "x") == Errno::notdir);
    CHECK(link("none", "x") == Errno::noent);
    CHECK(link("a", "x", 1) == Errno::inval);
    CHECK(link("a", "x", 2) == Errno::inval);
    // Of a link itself, whatever it says.
    CHECK(guest.symlink("nowhere", guest.dir, "s") == success);
    CHECK(link("s", "s2") == success);
    CHECK(guest.readlink(guest.dir, "s2", 100) == success);
    CHECK(guest.read_text() == "nowhere");
    CHECK(link("a", "s") == Errno::exist);
  });
}

TEST_CASE("wasi paths: symbolic links") {
  for_each_resolver([](WasiFiles& guest) {
    const auto link = [&](std::string_view target, std::string_view path) {
      return guest.symlink(target, guest.dir, path);
    };
    CHECK(link("a", "to_a") == success);
    CHECK(link("d", "to_d") == success);
    CHECK(link("self", "self") == success);
    CHECK(link("nowhere", "dangling") == success);
    CHECK(link("a", "a") == Errno::exist);
    CHECK(link("a", "d/") == Errno::exist);
    CHECK(link("a", "a/") == Errno::notdir);
    CHECK(link("a", "new/") == Errno::noent);
    CHECK(link("", "empty") == Errno::noent);
    CHECK(link("/", "absolute") == Errno::notcapable);
    CHECK(link("/etc/passwd", "absolute") == Errno::notcapable);

    CHECK(guest.readlink(guest.dir, "to_a", 100) == success);
    CHECK(guest.read_text() == "a");
    memset(guest.memory(data_at), 0x77, 10);
    CHECK(guest.readlink(guest.dir, "dangling", 3) == success);
    CHECK(guest.read_text() == "now");
    CHECK(guest.number<u8>(data_at + 3) == 0x77);
    CHECK(guest.readlink(guest.dir, "dangling", 0) == success);
    CHECK(guest.value() == 0);
    CHECK(guest.readlink(guest.dir, "a", 10) == Errno::inval);
    CHECK(guest.readlink(guest.dir, "d", 10) == Errno::inval);
    CHECK(guest.readlink(guest.dir, "none", 10) == Errno::noent);

    const auto open = [&](std::string_view path, u32 follow, u32 oflags = 0) {
      return guest.path_open(guest.dir, path, {oflags, 0, 0, 0, follow});
    };
    CHECK(open("to_a", 1) == success);
    CHECK(open("to_a", 0) == Errno::loop);
    CHECK(open("to_d/e/f", 0) == success);
    CHECK(open("to_d", 1, WasiGuest::directory) == success);
    CHECK(open("to_a", 1, WasiGuest::directory) == Errno::notdir);
    const Errno no_link = open("to_d", 0, WasiGuest::directory);
    CHECK((no_link == Errno::loop || no_link == Errno::notdir));
    CHECK(open("self", 1) == Errno::loop);
    CHECK(open("self", 0) == Errno::loop);
    CHECK(open("dangling", 1) == Errno::noent);
    CHECK(open("dangling", 0) == Errno::loop);
    CHECK(open("dangling", 0, WasiGuest::creat) == Errno::loop);
    CHECK(open("dangling", 1, WasiGuest::creat | WasiGuest::excl) == Errno::exist);
    CHECK(!std::filesystem::exists(guest.scratch / "data/nowhere"));
    CHECK(open("dangling", 1, WasiGuest::creat) == success);
    CHECK(std::filesystem::exists(guest.scratch / "data/nowhere"));

    CHECK(guest.stat(guest.dir, "to_a", 0) == success);
    CHECK(guest.number<u8>(data_at + 16) == 7);
    CHECK(guest.stat(guest.dir, "to_a", 1) == success);
    CHECK(guest.number<u8>(data_at + 16) == 4);
    CHECK(guest.stat(guest.dir, "to_a", 2) == Errno::inval);
    CHECK(guest.set_times(guest.dir, "to_a", 0, 12345, 4, 0) == success);
    CHECK(guest.stat(guest.dir, "to_a", 0) == success);
    CHECK(guest.number<u64>(data_at + 48) == 12345);
    CHECK(guest.stat(guest.dir, "a", 0) == success);
    CHECK(guest.number<u64>(data_at + 48) != 12345);
    CHECK(guest.set_times(guest.dir, "to_a", 0, 54321, 4, 1) == success);
    CHECK(guest.stat(guest.dir, "a", 0) == success);
    CHECK(guest.number<u64>(data_at + 48) == 54321);
    CHECK(guest.set_times(guest.dir, "a", 1, 1, 1 | 2) == Errno::inval);
    CHECK(guest.set_times(guest.dir, "a", 1, UINT64_MAX, 4) == Errno::overflow);
    CHECK(guest.set_times(guest.dir, "none", 1, 1, 5) == Errno::noent);
    // The link goes, not what it leads to.
    CHECK(guest.path_call("path_unlink_file", guest.dir, "to_d") == success);
    CHECK(std::filesystem::exists(guest.scratch / "data/d/e/f"));
  });
}

TEST_CASE("wasi directories: entries, with . and .. first") {
  for_each_resolver([](WasiFiles& guest) {
    const u64 rights = right_fd_readdir | right_fd_filestat_get | right_path_create_file;
    const i64 d = guest.open(guest.dir, "d/e", {WasiGuest::directory, rights, 0, 0, 0});
    REQUIRE(d >= 0);
    REQUIRE(guest("fd_filestat_get", {d, data_at}) == success);
    const u64 inode = guest.number<u64>(data_at + 8);
    struct stat file{};
    REQUIRE(stat((guest.scratch / "data/d/e/f").c_str(), &file) == 0);
    const std::vector<Entry> entries = list(guest, d, 4096);
    REQUIRE(entries.size() == 3);
    CHECK(entries[0].name == ".");
    CHECK(entries[0].inode == inode);
    CHECK(entries[0].type == 3);
    CHECK(entries[1].name == "..");
    CHECK(entries[1].type == 3);
    CHECK(entries[2].name == "f");
    CHECK(entries[2].inode == file.st_ino);
    CHECK(entries[2].type == 4);
    // From each entry's cookie on come those after it.
    for (usize i = 0; i < 3; ++i) {
      REQUIRE(guest("fd_readdir",
                    {d, data_at, 4096, static_cast<i64>(entries[i].next), result_at}) == success);
      const std::vector<Entry> rest = entries_in(guest, guest.value());
      REQUIRE(rest.size() == 2 - i);
      if (!rest.empty()) CHECK(rest[0].name == entries[i + 1].name);
    }
    CHECK(guest("fd_readdir", {d, data_at, 0, 0, result_at}) == success);
    CHECK(guest.value() == 0);
    CHECK(guest("fd_readdir", {d, end - 99, 100, 0, result_at}) == Errno::fault);
    CHECK(guest("fd_readdir", {d, data_at, 100, 0, end - 3}) == Errno::fault);
    CHECK(guest("fd_readdir", {d, 1, 0xffffffff, 0, result_at}) == Errno::fault);
    // Cookies that nobody gave do no harm.
    for (const i64 cookie : {i64{-1}, INT64_MIN, INT64_MAX, i64{0x123456789}}) {
      const Errno error = guest("fd_readdir", {d, data_at, 4096, cookie, result_at});
      CHECK((error == success || error == Errno::inval));
    }
  });
}

TEST_CASE("wasi directories: an entry is cut where the buffer ends") {
  WasiFiles guest;
  const i64 d = guest.open(guest.dir, "d/e", {WasiGuest::directory, right_fd_readdir, 0, 0, 0});
  REQUIRE(guest("fd_readdir", {d, data_at, 4096, 0, result_at}) == success);
  const u32 whole = guest.value();
  CHECK(whole == 3 * 24 + 1 + 2 + 1);
  const std::string all = guest.text(data_at, whole);
  for (u32 room = 1; room <= whole + 1; ++room) {
    CAPTURE(room);
    memset(guest.memory(data_at), 0x77, whole + 10);
    REQUIRE(guest("fd_readdir", {d, data_at, room, 0, result_at}) == success);
    const u32 used = std::min(room, whole);
    CHECK(guest.value() == used);
    CHECK(guest.text(data_at, used) == all.substr(0, used));
    CHECK(guest.number<u8>(data_at + used) == 0x77);
  }
}

TEST_CASE("wasi directories: large ones, in buffers of any size, while others come and go") {
  for_each_resolver([](WasiFiles& guest) {
    std::vector<std::string> names;
    std::filesystem::create_directory(guest.scratch / "data/many");
    for (int i = 0; i < 1000; ++i) {
      names.push_back("file-" + std::to_string(i));
      put_text(guest.scratch / ("data/many/" + names.back()), "");
    }
    std::sort(names.begin(), names.end());
    const i64 many =
        guest.open(guest.dir, "many", {WasiGuest::directory, right_fd_readdir, 0, 0, 0});
    for (const u32 room : {40u, 100u, 4096u, 32768u, 90000u}) {
      CAPTURE(room);
      std::vector<std::string> seen;
      for (const Entry& each : list(guest, many, room)) seen.push_back(each.name);
      REQUIRE(seen.size() == 1002);
      CHECK(seen[0] == ".");
      CHECK(seen[1] == "..");
      seen.erase(seen.begin(), seen.begin() + 2);
      std::sort(seen.begin(), seen.end());
      CHECK(seen == names);
    }
    // What is there all the time is seen once.
    std::vector<std::string> seen;
    u64 cookie = 0;
    for (int turn = 0;; ++turn) {
      REQUIRE(turn < 10'000);
      REQUIRE(guest("fd_readdir", {many, data_at, 400, static_cast<i64>(cookie), result_at}) ==
              success);
      const u32 used = guest.value();
      const std::vector<Entry> some = entries_in(guest, used);
      for (const Entry& each : some) {
        if (each.name.starts_with("file-")) seen.push_back(each.name);
      }
      if (used < 400) break;
      cookie = some.back().next;
      const std::string other = guest.scratch / ("data/many/other-" + std::to_string(turn));
      put_text(other, "");
      if (turn % 2 == 0) std::filesystem::remove(other);
    }
    std::sort(seen.begin(), seen.end());
    CHECK(seen == names);
  });
}
