// Host calls: results, errors, hostile numbers.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "stdlib/host/stream.hpp"
#include "stdlib/vfs/name_space.hpp"
#include "tests/support/files.hpp"
#include "tests/support/guest.hpp"

using namespace atollvm;
using namespace atollvm::test;
using cap::Errno;
using runtime::HostResult;
using vfs::rights_read_only;
using vfs::rights_read_write;
using Status = runtime::HostResult::Status;

namespace {

constexpr i64 end = Guest::memory_size;

// Places in the guest's memory.
constexpr i64 path_at = 1024;
constexpr i64 path2_at = 8192;
constexpr i64 data_at = 32768;

// A guest with a directory "/" to read and write, "/ro" to read, "." the same directory as "/".
struct FileGuest : Guest {
  ScratchDirectory scratch;
  std::shared_ptr<vfs::NameSpace> names = std::make_shared<vfs::NameSpace>();
  i64 root = 0;

  explicit FileGuest(vfs::Resolver resolver = vfs::best_resolver(), u32 handle_limit = 64)
      : Guest(handle_limit) {
    REQUIRE(mkdir((scratch / "data").c_str(), 0700) == 0);
    REQUIRE(mkdir((scratch / "readonly").c_str(), 0700) == 0);
    put_text(scratch / "data/a", "hello");
    put_text(scratch / "readonly/b", "fixed");
    REQUIRE(mkdir((scratch / "readonly/d").c_str(), 0700) == 0);
    const auto data = granted(scratch / "data", resolver);
    REQUIRE(names->mount("/", data, rights_read_write).ok());
    REQUIRE(names->mount("/ro", granted(scratch / "readonly", resolver), rights_read_only).ok());
    REQUIRE(names->mount(".", data, rights_read_write).ok());
    root = grant(names, cap::rights_all);
  }

  i64 open(std::string_view path, u32 flags, cap::Rights rights, i64 from = -1) {
    put(path_at, path);
    return (*this)("open",
                   {from < 0 ? root : from, path_at, static_cast<i64>(path.size()), flags, rights});
  }
  i64 path_call(std::string_view name, std::string_view path, i64 from = -1) {
    put(path_at, path);
    return (*this)(name, {from < 0 ? root : from, path_at, static_cast<i64>(path.size())});
  }
  i64 rename(std::string_view path, std::string_view to, i64 from = -1, i64 to_dir = -1) {
    put(path_at, path);
    put(path2_at, to);
    return (*this)("rename_at",
                   {from < 0 ? root : from, path_at, static_cast<i64>(path.size()),
                    to_dir < 0 ? root : to_dir, path2_at, static_cast<i64>(to.size())});
  }
};

}  // namespace

TEST_CASE("host calls: arguments and variables") {
  Guest guest;
  guest.environment.arguments = {"name", "", "third"};
  guest.environment.variables = {"A=1"};
  CHECK(guest("args_count") == 3);
  CHECK(guest("env_count") == 1);
  CHECK(guest("args_size", {0}) == 4);
  CHECK(guest("args_get", {2, 100, 5}) == 5);
  CHECK(guest.text(100, 5) == "third");
  CHECK(guest("env_get", {0, 100, 50}) == 3);
  CHECK(guest.text(100, 3) == "A=1");
  CHECK(guest("args_get", {1, end, 0}) == 0);
  CHECK(guest("args_get", {2, 100, 4}) == -Errno::range);
  CHECK(guest("args_get", {2, end - 4, 5}) == -Errno::fault);
  for (const i64 index : {i64{3}, i64{-1}, i64{0x7fffffff}}) {
    CHECK(guest("args_size", {index}) == -Errno::inval);
    CHECK(guest("args_get", {index, 0, 10}) == -Errno::inval);
    CHECK(guest("env_size", {index}) == -Errno::inval);
  }
}

TEST_CASE("host calls: every address and length is checked before anything happens") {
  FileGuest guest;
  const i64 file = guest.open("a", 0, cap::right_read | cap::right_write | cap::right_stat);
  const i64 directory = guest.open(".", vfs::open_directory, rights_read_only);
  REQUIRE(file >= 0);
  REQUIRE(directory >= 0);
  const std::pair<i64, i64> places[] = {{end, 1},        {end - 1, 2},
                                        {0, end + 1},    {1, end},
                                        {0xffffffff, 1}, {0xffffffff, 0xffffffff},
                                        {1, 0xffffffff}, {0x80000000, 0x80000000},
                                        {0x7fffffff, 1}, {end + 1, 0}};
  for (const auto& [p, n] : places) {
    CAPTURE(p);
    CAPTURE(n);
    CHECK(guest("read", {file, p, n}) == -Errno::fault);
    CHECK(guest("write", {file, p, n}) == -Errno::fault);
    CHECK(guest("pread", {file, p, n, 0}) == -Errno::fault);
    CHECK(guest("pwrite", {file, p, n, 0}) == -Errno::fault);
    CHECK(guest("open", {guest.root, p, n, vfs::open_create, cap::right_write}) == -Errno::fault);
    CHECK(guest("stat_at", {guest.root, p, n, 0, 0}) == -Errno::fault);
    CHECK(guest("read_dir", {directory, 0, p, n}) == -Errno::fault);
    CHECK(guest("mkdir_at", {guest.root, p, n}) == -Errno::fault);
    CHECK(guest("remove_at", {guest.root, p, n}) == -Errno::fault);
    CHECK(guest("rmdir_at", {guest.root, p, n}) == -Errno::fault);
    CHECK(guest("rename_at", {guest.root, p, n, guest.root, 0, 1}) == -Errno::fault);
    guest.put(0, "a");
    CHECK(guest("rename_at", {guest.root, 0, 1, guest.root, p, n}) == -Errno::fault);
    CHECK(guest("set_times_at", {guest.root, p, n, 0, 0, 0}) == -Errno::fault);
    CHECK(guest("random_fill", {p, n}) == -Errno::fault);
    CHECK(guest("args_get", {0, p, n}) == -Errno::fault);
  }
  for (const i64 p : {end - 63, end, i64{0xffffffff}, i64{0xffffffc0}}) {
    CHECK(guest("stat", {file, p}) == -Errno::fault);
    CHECK(guest("stat_at", {guest.root, 0, 1, 0, p}) == -Errno::fault);
  }
  CHECK(guest("stat", {file, end - 64}) == 0);
  CHECK(text_of(guest.scratch / "data/a") == "hello");
}

TEST_CASE("host calls: handles that don't exist or are of another kind") {
  FileGuest guest;
  const i64 file = guest.open("a", 0, cap::right_read);
  for (const i64 bad : {i64{-1}, i64{63}, i64{64}, i64{0x7fffffff}, i64{0x80000000}}) {
    for (const host::CallInfo& call : host::calls()) {
      if (call.kind == cap::Kind{}) continue;
      CAPTURE(call.name);
      CHECK(guest(call.name, {bad, 0, 0, 0, 0, 0}) == -Errno::badf);
    }
    CHECK(guest("close", {bad}) == -Errno::badf);
    CHECK(guest("handle_rights", {bad}) == -Errno::badf);
    CHECK(guest("handle_attenuate", {bad, 0}) == -Errno::badf);
    CHECK(guest.rename("a", "c", -1, bad) == (bad == -1 ? 0 : -Errno::badf));
  }
  CHECK(guest.path_call("mkdir_at", "x", file) == -Errno::badf);
  CHECK(guest("read", {guest.root, 0, 1}) == -Errno::badf);
  CHECK(guest("read_dir", {guest.root, 0, 0, 100}) == -Errno::badf);
  CHECK(guest("close", {file}) == 0);
  CHECK(guest("read", {file, 0, 1}) == -Errno::badf);
}

TEST_CASE("host calls: reading and writing files") {
  for (const vfs::Resolver resolver : resolvers()) {
    FileGuest guest(resolver);
    constexpr cap::Rights both = cap::right_read | cap::right_write | cap::right_truncate |
                                 cap::right_stat | cap::right_sync | cap::right_times;
    const i64 file = guest.open("new", vfs::open_create | vfs::open_exclusive, both);
    REQUIRE(file >= 0);
    guest.put(data_at, "0123456789");
    CHECK(guest("write", {file, data_at, 10}) == 10);
    CHECK(guest("read", {file, data_at, 10}) == 0);
    CHECK(guest("seek", {file, -4, 2}) == 6);
    CHECK(guest("read", {file, data_at + 100, 10}) == 4);
    CHECK(guest.text(data_at + 100, 4) == "6789");
    CHECK(guest("pread", {file, data_at, 3, 2}) == 3);
    CHECK(guest.text(data_at, 3) == "234");
    CHECK(guest("pwrite", {file, data_at, 3, 20}) == 3);
    CHECK(guest("seek", {file, 0, 1}) == 10);
    CHECK(guest("seek", {file, -11, 1}) == -Errno::inval);
    CHECK(guest("seek", {file, 0, 3}) == -Errno::inval);
    CHECK(guest("seek", {file, 0, -1}) == -Errno::inval);
    CHECK(guest("pread", {file, data_at, 3, -1}) == -Errno::inval);
    CHECK(guest("pread", {file, data_at, 3, INT64_MIN}) == -Errno::inval);
    CHECK(guest("pwrite", {file, data_at, 3, -1}) == -Errno::inval);
    CHECK(guest("pwrite", {file, data_at, 3, INT64_MAX}) < 0);
    CHECK(guest("pread", {file, data_at, 3, 1000}) == 0);
    CHECK(guest("stat", {file, data_at}) == 0);
    CHECK(guest.number<u64>(data_at + 32) == 23);
    CHECK(guest.memory(data_at + 16)[0] == 4);
    CHECK(guest("truncate", {file, 5}) == 0);
    CHECK(guest("truncate", {file, -1}) == -Errno::inval);
    CHECK(guest("sync", {file}) == 0);
    CHECK(guest("set_times", {file, 1'500'000'000'000'000'001, INT64_MIN}) == 0);
    CHECK(guest("stat", {file, data_at}) == 0);
    CHECK(guest.number<i64>(data_at + 40) == 1'500'000'000'000'000'001);
    CHECK(guest("set_times", {file, INT64_MIN, -1}) == 0);
    CHECK(guest("stat", {file, data_at}) == 0);
    CHECK(guest.number<i64>(data_at + 48) == -1);
    CHECK(text_of(guest.scratch / "data/new") == "01234");
    CHECK(guest.open("new", vfs::open_create | vfs::open_exclusive, both) == -Errno::exist);
    CHECK(guest.open("new", vfs::open_truncate, cap::right_read) >= 0);
    CHECK(text_of(guest.scratch / "data/new").empty());
    CHECK(guest("read", {file, data_at, 0}) == 0);
    CHECK(guest("write", {file, end, 0}) == 0);
  }
}

TEST_CASE("host calls: appending") {
  FileGuest guest;
  const i64 by_flag = guest.open("a", vfs::open_append, cap::right_write | cap::right_read);
  const i64 by_right = guest.open("a", 0, cap::right_append);
  REQUIRE(by_flag >= 0);
  REQUIRE(by_right >= 0);
  guest.put(data_at, "XYZ");
  CHECK(guest("write", {by_flag, data_at, 1}) == 1);
  CHECK(guest("write", {by_right, data_at + 1, 1}) == 1);
  CHECK(guest("seek", {by_right, 0, 0}) == 0);
  CHECK(guest("write", {by_right, data_at + 2, 1}) == 1);
  CHECK(text_of(guest.scratch / "data/a") == "helloXYZ");
  CHECK(guest("pwrite", {by_right, data_at, 1, 0}) == -Errno::notcapable);
  CHECK(guest("pwrite", {by_flag, data_at, 1, 0}) == 1);
  CHECK(text_of(guest.scratch / "data/a") == "XelloXYZ");
  // A handle that was cut down to appending.
  const i64 whole = guest.open("a", 0, cap::right_write | cap::right_append);
  const i64 less = guest("handle_attenuate", {whole, cap::right_append});
  REQUIRE(less >= 0);
  CHECK(guest("write", {less, data_at + 1, 1}) == 1);
  CHECK(text_of(guest.scratch / "data/a") == "XelloXYZY");
}

TEST_CASE("host calls: what a mount or a handle does not grant is refused") {
  for (const vfs::Resolver resolver : resolvers()) {
    FileGuest guest(resolver);
    for (const cap::Rights right :
         {cap::right_write, cap::right_append, cap::right_truncate, cap::right_times,
          cap::right_create, cap::right_remove, cap::right_link, cap::right_sync}) {
      CHECK(guest.open("/ro/b", 0, right) == -Errno::notcapable);
      CHECK(guest.open("/ro/b", 0, right | cap::right_read) == -Errno::notcapable);
      CHECK(guest.open("/ro/d", vfs::open_directory, right) == -Errno::notcapable);
    }
    CHECK(guest.open("/ro/b", vfs::open_truncate, cap::right_read) == -Errno::notcapable);
    CHECK(guest.open("/ro/new", vfs::open_create, cap::right_read) == -Errno::notcapable);
    CHECK(guest.open("/ro/b", 0, 0x80000000u) == -Errno::notcapable);
    CHECK(guest.path_call("mkdir_at", "/ro/x") == -Errno::notcapable);
    CHECK(guest.path_call("remove_at", "/ro/b") == -Errno::notcapable);
    CHECK(guest.path_call("rmdir_at", "/ro/d") == -Errno::notcapable);
    CHECK(guest.rename("/ro/b", "/b") == -Errno::notcapable);
    CHECK(guest.rename("/a", "/ro/a") == -Errno::notcapable);
    CHECK(guest.rename("/ro/b", "/ro/c") == -Errno::notcapable);
    guest.put(path_at, "/ro/b");
    CHECK(guest("set_times_at", {guest.root, path_at, 5, 0, 0, 0}) == -Errno::notcapable);

    const i64 file = guest.open("/ro/b", 0, cap::right_read | cap::right_stat);
    REQUIRE(file >= 0);
    CHECK(guest("read", {file, data_at, 100}) == 5);
    CHECK(guest("write", {file, data_at, 1}) == -Errno::notcapable);
    CHECK(guest("pwrite", {file, data_at, 1, 0}) == -Errno::notcapable);
    CHECK(guest("truncate", {file, 0}) == -Errno::notcapable);
    CHECK(guest("set_times", {file, 0, 0}) == -Errno::notcapable);
    CHECK(guest("sync", {file}) == -Errno::notcapable);
    CHECK(guest("handle_attenuate", {file, cap::right_write}) == -Errno::notcapable);

    // The same below a directory's handle, also when others gave it more on paper.
    const i64 directory = guest.open("/ro/.", vfs::open_directory, rights_read_only);
    REQUIRE(directory >= 0);
    CHECK(guest.open("b", 0, cap::right_write, directory) == -Errno::notcapable);
    CHECK(guest.open("b", vfs::open_truncate, cap::right_read, directory) == -Errno::notcapable);
    CHECK(guest.path_call("remove_at", "b", directory) == -Errno::notcapable);
    CHECK(guest.rename("a", "a", -1, directory) == -Errno::notcapable);

    // Rights are not gained by moving a file to where more may be done.
    const i64 source = guest.open(".", vfs::open_directory, rights_read_write & ~cap::right_read);
    REQUIRE(source >= 0);
    CHECK(guest.rename("a", "a2", source) == -Errno::notcapable);
    CHECK(guest.rename("a", "a2", source, source) == 0);

    // A name space that was cut down.
    const i64 less = guest("handle_attenuate", {guest.root, rights_read_only});
    CHECK(guest.open("a2", 0, cap::right_write, less) == -Errno::notcapable);
    CHECK(guest.open("a2", 0, cap::right_read, less) >= 0);
    const i64 no_open = guest("handle_attenuate", {guest.root, cap::right_stat});
    CHECK(guest.open("a2", 0, cap::right_stat, no_open) == -Errno::notcapable);
    CHECK(text_of(guest.scratch / "readonly/b") == "fixed");
    CHECK(std::filesystem::exists(guest.scratch / "readonly/d"));
    CHECK(!std::filesystem::exists(guest.scratch / "readonly/new"));
  }
}

TEST_CASE("host calls: a revoked handle and all that came from it stop working") {
  FileGuest guest;
  cap::Revoker revoker;
  const i64 root = guest.grant(guest.names, cap::rights_all, revoker.revocation());
  const i64 file = guest.open("a", 0, cap::right_read, root);
  const i64 directory = guest.open(".", vfs::open_directory, rights_read_only, root);
  const i64 below = guest.open("a", 0, cap::right_read, directory);
  REQUIRE(below >= 0);
  CHECK(guest("read", {below, data_at, 2}) == 2);
  revoker.revoke();
  for (const i64 handle : {file, below}) {
    CHECK(guest("read", {handle, data_at, 1}) == -Errno::notcapable);
    CHECK(guest("handle_rights", {handle}) == -Errno::notcapable);
    CHECK(guest("handle_attenuate", {handle, 0}) == -Errno::notcapable);
  }
  CHECK(guest.open("a", 0, cap::right_read, root) == -Errno::notcapable);
  CHECK(guest.open("a", 0, cap::right_read, directory) == -Errno::notcapable);
  CHECK(guest("close", {file}) == 0);
}

TEST_CASE("host calls: directories and their entries") {
  for (const vfs::Resolver resolver : resolvers()) {
    FileGuest guest(resolver);
    CHECK(guest.path_call("mkdir_at", "/many") == 0);
    CHECK(guest.path_call("mkdir_at", "/many") == -Errno::exist);
    std::vector<std::string> names;
    for (int i = 0; i < 300; ++i) {
      names.push_back("file-" + std::to_string(i));
      put_text(guest.scratch / ("data/many/" + names.back()), "");
    }
    const i64 directory = guest.open("/many", vfs::open_directory, rights_read_only);
    REQUIRE(directory >= 0);
    for (const i64 room : {40, 100, 4096, 60000}) {
      std::vector<std::string> seen;
      i64 cookie = 0;
      while (true) {
        const i64 used = guest("read_dir", {directory, cookie, data_at, room});
        REQUIRE(used >= 0);
        if (used == 0) break;
        for (i64 at = data_at; at < data_at + used;) {
          cookie = guest.number<i64>(static_cast<u32>(at));
          const u32 size = guest.number<u32>(static_cast<u32>(at + 16));
          CHECK(guest.memory(static_cast<u32>(at + 20))[0] == 4);
          seen.push_back(guest.text(static_cast<u32>(at + 24), size));
          at += 24 + size;
        }
      }
      std::sort(seen.begin(), seen.end());
      std::sort(names.begin(), names.end());
      CHECK(seen == names);
    }
    CHECK(guest("read_dir", {directory, 0, data_at, 10}) == -Errno::range);
    CHECK(guest("read_dir", {directory, 0, data_at, 0}) == -Errno::range);
    CHECK(guest("read_dir", {directory, -1, data_at, 100}) == -Errno::inval);
    // A cookie that nobody gave must do no harm, whatever the file system makes of it.
    guest("read_dir", {directory, 0x123456789abcdef, data_at, 1000});
    CHECK(guest.path_call("rmdir_at", "/many") == -Errno::notempty);
    CHECK(guest.path_call("remove_at", "/many") == -Errno::isdir);
    CHECK(guest.path_call("rmdir_at", "/a") == -Errno::notdir);
    CHECK(guest.rename("/a", "/many/file-7") == 0);
    CHECK(text_of(guest.scratch / "data/many/file-7") == "hello");
    CHECK(guest.rename("/many", "/many/inside") == -Errno::inval);
    CHECK(guest.path_call("remove_at", "/many/file-7") == 0);
    CHECK(guest.path_call("remove_at", "/many/file-7") == -Errno::noent);
  }
}

TEST_CASE("host calls: paths through the name space") {
  using namespace std::string_view_literals;
  FileGuest guest;
  constexpr cap::Rights read = cap::right_read;
  for (const std::string_view path :
       {"/a"sv, "a"sv, "./a"sv, "//a"sv, "/./a"sv, "/x/../a"sv, "/ro/../a"sv, "x/../a"sv, "/ro/b"sv,
        "/ro//b"sv, "/x/../ro/b"sv}) {
    CAPTURE(path);
    CHECK(guest.open(path, 0, read) >= 0);
  }
  const std::pair<std::string_view, Errno> refused[] = {{"", Errno::noent},
                                                        {"/..", Errno::notcapable},
                                                        {"..", Errno::notcapable},
                                                        {"../a", Errno::notcapable},
                                                        {"/../a", Errno::notcapable},
                                                        {"a/../../a", Errno::notcapable},
                                                        {"/ro/../../a", Errno::notcapable},
                                                        {"ro/b", Errno::noent},
                                                        {"/none", Errno::noent},
                                                        {"/rob", Errno::noent},
                                                        {"a\0"sv, Errno::inval},
                                                        {"a/", Errno::notdir},
                                                        {"/ro/b/.", Errno::notdir}};
  for (const auto& [path, error] : refused) {
    CAPTURE(path);
    CHECK(guest.open(path, 0, read) == -error);
  }
  const std::string long_path(4096, '/');
  CHECK(guest.open(long_path, 0, read) == -Errno::nametoolong);
  guest.put(path_at, "/a");
  CHECK(guest("stat_at", {guest.root, path_at, 2, 1, data_at}) == -Errno::inval);
  CHECK(guest("stat_at", {guest.root, path_at, 2, 0, data_at}) == 0);
  CHECK(guest.number<u64>(data_at + 32) == 5);

  vfs::NameSpace names;
  CHECK(!names.mount("", nullptr, 0).ok());
  CHECK(!names.mount("../x", nullptr, 0).ok());
  CHECK(!names.mount("/a/../..", nullptr, 0).ok());
  CHECK(!names.mount("/a\0"sv, nullptr, 0).ok());
  CHECK(names.mount("/a/b", nullptr, 1).ok());
  CHECK(!names.mount("/a/./b/", nullptr, 1).ok());
  CHECK(names.mount("a/b", nullptr, 2).ok());
  CHECK(names.mount("/a", nullptr, 4).ok());
  const auto rights = [&](std::string_view path) {
    const auto resolved = names.resolve(path);
    return error_of(resolved) == Errno::success ? std::get<0>(resolved).rights : 0;
  };
  CHECK(rights("/a/b/c") == 1);
  CHECK(rights("a/b/") == 2);
  CHECK(rights("/a/bc") == 4);
  CHECK(rights("/a/b/../c") == 4);
  CHECK(rights("/b") == 0);
  CHECK(rights("a") == 0);
}

TEST_CASE("host calls: the limit of handles") {
  FileGuest guest(vfs::best_resolver(), 4);
  CHECK(guest.open("a", 0, cap::right_read) == 1);
  CHECK(guest.open("a", 0, cap::right_read) == 2);
  CHECK(guest("handle_attenuate", {1, 0}) == 3);
  CHECK(guest.open("a", 0, cap::right_read) == -Errno::mfile);
  CHECK(guest("handle_attenuate", {1, 0}) == -Errno::mfile);
  CHECK(guest("close", {2}) == 0);
  CHECK(guest.open("a", 0, cap::right_read) == 2);
}

TEST_CASE("host calls: clocks, sleep, random numbers, exit") {
  Guest guest;
  const i64 before = guest("clock_now", {1});
  CHECK(guest("clock_sleep", {5'000'000}) == 0);
  CHECK(guest("clock_now", {1}) - before >= 5'000'000);
  CHECK(guest("clock_now", {0}) > 1'600'000'000'000'000'000);
  CHECK(guest("clock_now", {2}) == -Errno::inval);
  CHECK(guest("clock_now", {-1}) == -Errno::inval);
  CHECK(guest("clock_sleep", {-1}) == -Errno::inval);
  CHECK(guest("clock_sleep", {0}) == 0);
  CHECK(guest("random_fill", {100, 64}) == 0);
  CHECK(guest.text(100, 32) != guest.text(132, 32));
  const HostResult ended = guest.start("exit", {42});
  CHECK(ended.status == Status::exit);
  CHECK(ended.exit_code == 42);
  // For ever is cancelled with the process.
  CHECK(guest.start("clock_sleep", {INT64_MAX}).status == Status::pending);
  guest.process.reset();
  CHECK(guest.loop.waiting() == 0);
}

TEST_CASE("host calls: replaced clock and random source") {
  Guest guest;
  guest.environment.clock = [](host::Clock clock) { return clock == host::Clock::real ? 7 : 8; };
  guest.environment.random = [](std::span<u8> bytes) {
    memset(bytes.data(), 0x55, bytes.size());
    return bytes.size() < 5;
  };
  CHECK(guest("clock_now", {0}) == 7);
  CHECK(guest("clock_now", {1}) == 8);
  CHECK(guest("random_fill", {0, 4}) == 0);
  CHECK(guest.text(0, 5) == std::string("UUUU\0", 5));
  CHECK(guest("random_fill", {0, 5}) == -Errno::io);
}

namespace {

struct Ends {
  int fds[2];
  ~Ends() {
    for (const int fd : fds) {
      if (fd >= 0) close(fd);
    }
  }
};

void fill(int fd, int flags) {
  REQUIRE(fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0);
  const std::string zeros(4096, '\0');
  while (write(fd, zeros.data(), zeros.size()) > 0) {
  }
  REQUIRE(fcntl(fd, F_SETFL, flags) == 0);
}

void drain(int fd) {
  char bytes[65536];
  pollfd one{fd, POLLIN, 0};
  while (poll(&one, 1, 0) > 0) REQUIRE(read(fd, bytes, sizeof bytes) > 0);
}

}  // namespace

TEST_CASE("host calls: pipes and sockets wait without blocking the thread") {
  signal(SIGPIPE, SIG_IGN);
  for (const bool is_socket : {false, true}) {
    CAPTURE(is_socket);
    Ends ends;
    REQUIRE((is_socket ? socketpair(AF_UNIX, SOCK_STREAM, 0, ends.fds) : pipe(ends.fds)) == 0);
    const int in_flags = fcntl(ends.fds[0], F_GETFL);
    const int out_flags = fcntl(ends.fds[1], F_GETFL);
    Guest guest;
    const i64 input = guest.grant(host::make_stream(ends.fds[0]), cap::right_read);
    const i64 output = guest.grant(host::make_stream(ends.fds[1]), cap::right_write);
    CHECK(guest("read", {output, 0, 1}) == -Errno::notcapable);
    CHECK(guest("write", {input, 0, 1}) == -Errno::notcapable);
    CHECK(guest("seek", {input, 0, 0}) == -Errno::spipe);

    // Nothing there yet.
    REQUIRE(guest.start("read", {input, 100, 50}).status == Status::pending);
    guest.loop.run_once(false);
    CHECK(!guest.process->ready());
    REQUIRE(write(ends.fds[1], "data", 4) == 4);
    while (!guest.process->ready()) guest.loop.run_once(true);
    CHECK(guest.process->complete(guest.window).status == Status::value);
    CHECK(guest.result("read") == 4);
    CHECK(guest.text(100, 4) == "data");

    // Full: waits until somebody reads.
    fill(ends.fds[1], out_flags);
    REQUIRE(guest.start("write", {output, 0, 1000}).status == Status::pending);
    drain(ends.fds[0]);
    while (!guest.process->ready()) guest.loop.run_once(true);
    CHECK(guest.process->complete(guest.window).status == Status::value);
    CHECK(guest.result("write") > 0);
    CHECK(fcntl(ends.fds[0], F_GETFL) == in_flags);
    CHECK(fcntl(ends.fds[1], F_GETFL) == out_flags);

    // The other end closes while a write waits.
    fill(ends.fds[1], out_flags);
    REQUIRE(guest.start("write", {output, 0, 1000}).status == Status::pending);
    guest("close", {input});
    close(std::exchange(ends.fds[0], -1));
    while (!guest.process->ready()) guest.loop.run_once(true);
    CHECK(guest.process->complete(guest.window).status == Status::value);
    CHECK(guest.result("write") == -Errno::pipe);
    CHECK(guest("write", {output, 0, 1}) == -Errno::pipe);
  }
}

TEST_CASE("host calls: the end of a pipe, and a process that ends while it reads") {
  Ends ends;
  REQUIRE(pipe(ends.fds) == 0);
  Guest guest;
  const i64 input = guest.grant(host::make_stream(ends.fds[0]), cap::right_read);
  REQUIRE(write(ends.fds[1], "x", 1) == 1);
  close(std::exchange(ends.fds[1], -1));
  CHECK(guest("read", {input, 0, 10}) == 1);
  CHECK(guest("read", {input, 0, 10}) == 0);
  CHECK(guest("read", {input, 0, 10}) == 0);

  Ends other;
  REQUIRE(pipe(other.fds) == 0);
  const i64 waiting = guest.grant(host::make_stream(other.fds[0]), cap::right_read);
  REQUIRE(guest.start("read", {waiting, 0, 10}).status == Status::pending);
  CHECK(guest.loop.waiting() == 1);
  guest.process.reset();
  CHECK(guest.loop.waiting() == 0);
}

TEST_CASE("host calls: a redirected file as a stream") {
  ScratchDirectory scratch;
  const std::string path = scratch / "file";
  put_text(path, "content");
  const int in = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const int out = open((scratch / "out").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  REQUIRE(in >= 0);
  REQUIRE(out >= 0);
  {
    Guest guest;
    const i64 input = guest.grant(host::make_stream(in), cap::right_read | cap::right_stat);
    const i64 output = guest.grant(host::make_stream(out), cap::right_write | cap::right_read);
    CHECK(guest("read", {input, 0, 3}) == 3);
    CHECK(guest("read", {input, 3, 100}) == 4);
    CHECK(guest("read", {input, 100, 100}) == 0);
    CHECK(guest("stat", {input, 1000}) == 0);
    CHECK(guest.memory(1016)[0] == 4);
    CHECK(guest.number<u64>(1032) == 7);
    CHECK(guest("write", {output, 0, 7}) == 7);
    CHECK(guest("read", {output, 0, 7}) == -Errno::badf);
  }
  // The caller's descriptors are left open, and their position has moved, as for any program.
  CHECK(lseek(in, 0, SEEK_CUR) == 7);
  CHECK(lseek(out, 0, SEEK_CUR) == 7);
  CHECK(text_of(scratch / "out") == "content");
  close(in);
  close(out);
}

TEST_CASE("host calls: what gives no data and what takes none") {
  Guest guest;
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  const int full = open("/dev/full", O_RDWR | O_CLOEXEC);
  const i64 empty = guest.grant(host::make_stream(null), cap::rights_all);
  const i64 no_space = guest.grant(host::make_stream(full), cap::rights_all);
  const i64 closed = guest.grant(std::make_shared<host::Stream>(), cap::rights_all);
  CHECK(guest("read", {empty, 0, 10}) == 0);
  CHECK(guest("write", {empty, 0, 1000}) == 1000);
  CHECK(guest("write", {no_space, 0, 10}) == -Errno::nospc);
  CHECK(guest("read", {closed, 0, 10}) == -Errno::badf);
  CHECK(guest("write", {closed, 0, 10}) == -Errno::badf);
  CHECK(guest("stat", {closed, 0}) == -Errno::notsup);
  close(null);
  close(full);
}

TEST_CASE("host calls: large transfers are cut, small ones whole") {
  FileGuest guest;
  put_text(guest.scratch / "data/large", std::string(300'000, 'x'));
  const i64 file = guest.open("large", 0, cap::right_read);
  i64 total = 0;
  while (const i64 size = guest("read", {file, 0, end})) {
    REQUIRE(size > 0);
    CHECK(size <= end);
    total += size;
  }
  CHECK(total == 300'000);
  CHECK(guest("random_fill", {0, end}) == 0);
}
