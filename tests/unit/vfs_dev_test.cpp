// The file systems of devices and of processes.
#include <sys/stat.h>

#include <set>
#include <thread>

#include "stdlib/host/stream.hpp"
#include "stdlib/vfs/dev.hpp"
#include "stdlib/vfs/name_space.hpp"
#include "stdlib/vfs/proc.hpp"
#include "tests/support/file_systems.hpp"
#include "tests/support/wasi_guest.hpp"
#include "tests/unit/processes.hpp"

using namespace atollvm;
using namespace atollvm::test;
using cap::Errno;

namespace {

constexpr i64 path_at = 1024;
constexpr i64 data_at = 32768;
constexpr cap::Rights all_of_file =
    cap::right_read | cap::right_write | cap::right_stat | cap::right_truncate;

// Handles 0 to 2 are a pipe's ends; "/dev" and "/proc" are mounted.
struct DevGuest : Guest {
  Pipe input;
  Pipe output;
  std::shared_ptr<vfs::NameSpace> names = std::make_shared<vfs::NameSpace>();
  i64 root = 0;

  DevGuest() {
    grant(host::make_stream(input.ends[0]), cap::right_read | cap::right_stat);
    grant(host::make_stream(output.ends[1]), cap::right_write | cap::right_stat);
    grant(host::make_stream(output.ends[1]), cap::right_write);
    REQUIRE(names->mount("/dev", vfs::make_dev(), vfs::rights_read_write).ok());
    REQUIRE(names->mount("/proc", vfs::make_proc(), vfs::rights_read_only).ok());
    root = grant(names, cap::rights_all);
  }
  i64 open(std::string_view path, u32 flags, cap::Rights rights, i64 from = -1) {
    put(path_at, path);
    return (*this)("open",
                   {from < 0 ? root : from, path_at, static_cast<i64>(path.size()), flags, rights});
  }
  i64 stat(std::string_view path) {
    put(path_at, path);
    return (*this)("stat_at", {root, path_at, static_cast<i64>(path.size()), 0, data_at});
  }
  // What a file holds, read in pieces.
  std::string content(std::string_view path, i64 from = -1) {
    const i64 file = open(path, 0, cap::right_read, from);
    REQUIRE(file >= 0);
    std::string all;
    while (true) {
      const i64 size = (*this)("read", {file, data_at, 7});
      REQUIRE(size >= 0);
      if (size == 0) break;
      all += text(data_at, static_cast<usize>(size));
    }
    REQUIRE((*this)("close", {file}) == 0);
    return all;
  }
};

// The value of a name in a text of lines; -1: it has none, -2: it is no number.
i64 value_of(const std::string& text, const std::string& name) {
  usize at = ("\n" + text).find("\n" + name + " ");
  if (at == std::string::npos) return -1;
  at += name.size() + 1;
  if (text[at] < '0' || text[at] > '9') return -2;
  return static_cast<i64>(std::strtoull(text.c_str() + at, nullptr, 10));
}

}  // namespace

TEST_CASE("dev: each device does what it does on Linux") {
  DevGuest guest;
  for (const char* const name : {"null", "zero", "full", "random", "urandom"}) {
    CAPTURE(std::string(name));
    const i64 file = guest.open("/dev/" + std::string(name), 0, all_of_file);
    REQUIRE(file >= 0);
    const std::string_view is(name);
    const i64 size = guest("read", {file, data_at, 1000});
    CHECK(size == (is == "null" ? 0 : 1000));
    if (is == "zero" || is == "full") CHECK(guest.text(data_at, 1000) == std::string(1000, '\0'));
    if (is == "random" || is == "urandom") {
      const std::string once = guest.text(data_at, 1000);
      CHECK(std::set<char>(once.begin(), once.end()).size() > 50);
      CHECK(guest("pread", {file, data_at, 1000, 0}) == 1000);
      CHECK(guest.text(data_at, 1000) != once);
    }
    CHECK(guest("write", {file, data_at, 1000}) == (is == "full" ? -Errno::nospc : 1000));
    CHECK(guest("pwrite", {file, data_at, 10, 1 << 20}) == (is == "full" ? -Errno::nospc : 10));
    CHECK(guest("write", {file, data_at, 0}) == 0);
    CHECK(guest("seek", {file, 100, 0}) == 0);
    CHECK(guest("seek", {file, -100, 1}) == 0);
    CHECK(guest("seek", {file, 0, 3}) == -Errno::inval);
    CHECK(guest("truncate", {file, 0}) == -Errno::inval);
    CHECK(guest("stat", {file, data_at}) == 0);
    CHECK(guest.number<u64>(data_at + 16) == static_cast<u64>(vfs::FileType::character));
    CHECK(guest.stat("/dev/" + std::string(name)) == 0);
    CHECK(guest.number<u64>(data_at + 16) == static_cast<u64>(vfs::FileType::character));
    // Opening to write afresh is nothing special.
    CHECK(guest.open("/dev/" + std::string(name), vfs::open_create | vfs::open_truncate,
                     cap::right_write) >= 0);
    CHECK(guest("close", {file}) == 0);
    const i64 reads = guest.open("/dev/" + std::string(name), 0, cap::right_read);
    CHECK(guest("write", {reads, data_at, 1}) == -Errno::notcapable);
    const i64 writes = guest.open("/dev/" + std::string(name), 0, cap::right_write);
    CHECK(guest("read", {writes, data_at, 1}) == -Errno::notcapable);
  }
}

TEST_CASE("dev: the standard streams are the process's own, with its rights") {
  DevGuest guest;
  const i64 out =
      guest.open("/dev/stdout", vfs::open_create | vfs::open_truncate, cap::right_write);
  REQUIRE(out >= 0);
  guest.put(data_at, "hello");
  CHECK(guest("write", {out, data_at, 5}) == 5);
  char bytes[8] = {};
  CHECK(read(guest.output.ends[0], bytes, 8) == 5);
  CHECK(std::string_view(bytes) == "hello");
  CHECK(write(guest.input.ends[1], "in", 2) == 2);
  const i64 in = guest.open("/dev/stdin", 0, cap::right_read);
  CHECK(guest("read", {in, data_at, 8}) == 2);

  // Not more than the handle may.
  CHECK(guest.open("/dev/stdout", 0, cap::right_read) == -Errno::notcapable);
  CHECK(guest.open("/dev/stdin", 0, cap::right_write) == -Errno::notcapable);
  CHECK(guest.open("/dev/stderr", 0, cap::right_stat) == -Errno::notcapable);
  CHECK(guest.open("/dev/stdout", vfs::open_directory, cap::right_stat) == -Errno::notdir);
  CHECK(guest.stat("/dev/stdout") == 0);
  CHECK(guest.number<u64>(data_at + 16) == static_cast<u64>(vfs::FileType::character));

  // One that was taken away, one that is closed, one of another kind.
  const i64 revoker = guest("revoker_make");
  const i64 revocable = guest("handle_revocable", {1, revoker, cap::right_write});
  REQUIRE(revocable >= 0);
  REQUIRE(guest("close", {1}) == 0);
  CHECK(guest.stat("/dev/stdout") == -Errno::noent);
  CHECK(guest.open("/dev/stdout", 0, cap::right_write) == -Errno::noent);
  REQUIRE(guest("handle_attenuate", {revocable, cap::right_write}) == 1);
  const i64 again = guest.open("/dev/stdout", 0, cap::right_write);
  CHECK(guest("write", {again, data_at, 1}) == 1);
  CHECK(guest("revoke", {revoker}) == 0);
  CHECK(guest("write", {again, data_at, 1}) == -Errno::notcapable);
  CHECK(guest.open("/dev/stdout", 0, cap::right_write) == -Errno::noent);
  CHECK(guest.stat("/dev/stdout") == -Errno::noent);
  REQUIRE(guest("close", {2}) == 0);
  REQUIRE(guest("handle_attenuate", {guest.root, cap::right_open}) == 2);
  CHECK(guest.open("/dev/stderr", 0, cap::right_write) == -Errno::noent);
}

TEST_CASE("dev and proc: names can't be changed, and nothing leads out") {
  const std::shared_ptr<Directory> both_kinds[] = {vfs::make_dev(), vfs::make_proc()};
  for (const auto& made : both_kinds) {
    const Root root(made);
    const bool is_dev = made->type_name() == "dev";
    const std::string file = is_dev ? "null" : "self/status";
    const std::string folder = is_dev ? "." : "self";
    struct Row {
      std::string path;
      u32 flags;
      vfs::Access access;
      Errno error;
    };
    using namespace vfs;
    const Errno write_error = is_dev ? Errno::success : Errno::rofs;
    const Row rows[] = {
        {file, 0, reading, Errno::success},
        {file, 0, writing, write_error},
        {file, open_create, reading, Errno::success},
        {file, open_create | open_exclusive, reading, Errno::exist},
        {file, open_truncate, reading, write_error},
        {file, open_directory, reading, Errno::notdir},
        {file + "/", 0, reading, Errno::notdir},
        {file + "/.", 0, reading, Errno::notdir},
        {file + "/x", open_create, writing, Errno::notdir},
        {file, open_create | open_directory, reading, Errno::inval},
        {file, open_exclusive, reading, Errno::inval},
        {file, open_flags_all + 1, reading, Errno::inval},
        {folder, 0, reading, Errno::success},
        {folder, open_directory, {}, Errno::success},
        {folder + "/", open_directory, {}, Errno::success},
        {folder, 0, writing, Errno::isdir},
        {folder, open_truncate, reading, Errno::isdir},
        {"new", 0, reading, Errno::noent},
        {"new", open_create, writing, Errno::rofs},
        {"new/", open_create, writing, Errno::isdir},
        {"new/x", open_create, writing, Errno::noent},
        {"", 0, reading, Errno::noent},
        {"..", 0, reading, Errno::notcapable},
        {folder + "/../../x", 0, reading, Errno::notcapable},
        {"/" + file, 0, reading, Errno::notcapable},
        {std::string("a\0b", 3), 0, reading, Errno::inval},
        {std::string(256, 'x'), 0, reading, Errno::nametoolong},
        {std::string(5000, 'x'), 0, reading, Errno::nametoolong},
    };
    for (const Row& row : rows) {
      CAPTURE(row.path);
      CAPTURE(row.flags);
      CHECK(error_of(root.open(row.path, row.flags, row.access)) == row.error);
    }
    CHECK(root.mkdir("new") == Errno::rofs);
    CHECK(root.mkdir(file) == Errno::exist);
    CHECK(root.remove(file) == Errno::rofs);
    CHECK(root.remove(folder) == Errno::isdir);
    CHECK(root.rmdir(file) == Errno::notdir);
    CHECK(root.rmdir("none") == Errno::noent);
    CHECK(root.rename(file, "new") == Errno::rofs);
    CHECK(root.rename("none", "new") == Errno::noent);
    CHECK(root.rename(file, Root(make_memory({})), "new") == Errno::xdev);
    CHECK(root.link(file, "new") == Errno::rofs);
    CHECK(root.make_link("null", "new") == Errno::rofs);
    CHECK(root.make_link("/null", "new") == Errno::notcapable);
    CHECK(error_of(root.read_link(file)) == Errno::inval);
    CHECK(root.times(file, true, {}) == Errno::rofs);
    CHECK(root.times("none", true, {}) == Errno::noent);
    CHECK(root.sync() == Errno::success);
    CHECK(error_of(root.list(1000)) == Errno::inval);
    // Who makes no call has no streams.
    CHECK(sorted_names(root) ==
          (is_dev ? std::vector<std::string>{"full", "null", "random", "urandom", "zero"}
                  : std::vector<std::string>{"machine", "self"}));
    CHECK(root.status(file).inode != root.status(folder).inode);
  }
}

TEST_CASE("proc: texts of a process, fixed when they are opened") {
  DevGuest guest;
  const std::string status = guest.content("/proc/self/status");
  CHECK(status.find("state running\n") != std::string::npos);
  CHECK(status.find("fuel unlimited\n") != std::string::npos);
  CHECK(value_of(status, "memory_bytes") == Guest::memory_size);
  CHECK(value_of(status, "handles") == 4);
  CHECK(value_of(guest.content("/proc/self/limits"), "handles") == 64);
  CHECK(guest.content("/proc/self/mounts") == "dev rw /dev\nproc ro /proc\n");
  CHECK(guest.content("/proc/self/handles") ==
        "0 stream read,stat\n1 stream write,stat\n2 stream write\n"
        "3 name_space read,write,append,create,remove,list,stat,truncate,times,link,open,sync,"
        "revoke,load,lock,connect,listen,accept,datagrams,resolve,option\n");
  // Without a scheduler there are no others.
  CHECK(guest.content("/proc/self/children").empty());
  CHECK(guest.content("/proc/machine/status").empty());

  const i64 file = guest.open("/proc/self/handles", 0, cap::right_read | cap::right_stat);
  REQUIRE(file >= 0);
  const i64 before = guest("pread", {file, data_at, 4096, 0});
  const std::string once = guest.text(data_at, static_cast<usize>(before));
  CHECK(guest("handle_attenuate", {file, 0}) > 0);
  CHECK(guest("pread", {file, data_at, 4096, 0}) == before);
  CHECK(guest.text(data_at, static_cast<usize>(before)) == once);
  CHECK(guest("pread", {file, data_at, 4096, 10}) == before - 10);
  CHECK(guest("pread", {file, data_at, 4096, INT64_MAX}) == 0);
  CHECK(guest("seek", {file, -3, 2}) == before - 3);
  CHECK(guest("read", {file, data_at, 100}) == 3);
  CHECK(guest("read", {file, data_at, 100}) == 0);
  CHECK(guest("stat", {file, data_at}) == 0);
  CHECK(guest.number<i64>(data_at + 32) == before);
  CHECK(guest.number<u64>(data_at + 16) == static_cast<u64>(vfs::FileType::regular));

  // A directory of it is whose that uses it.
  const i64 self = guest.open("/proc/self", vfs::open_directory, vfs::rights_read_only);
  REQUIRE(self >= 0);
  CHECK(guest.content("mounts", self) == "dev rw /dev\nproc ro /proc\n");
  CHECK(guest.open("../machine/limits", 0, cap::right_read, self) == -Errno::notcapable);
  CHECK(guest.open("status", 0, cap::right_write, self) == -Errno::notcapable);
  CHECK(guest.open("status", vfs::open_truncate, cap::right_read, self) == -Errno::notcapable);
}

TEST_CASE("proc: what could break a line is escaped; long lists are cut off") {
  Guest guest(20000);
  const auto names = std::make_shared<vfs::NameSpace>();
  REQUIRE(names->mount("/", vfs::make_proc(), vfs::rights_read_only).ok());
  REQUIRE(names->mount("/a b\n\\x", vfs::make_memory({}), vfs::rights_read_write).ok());
  const i64 root = guest.grant(names, cap::rights_all);
  const auto size_of = [&](std::string_view path) {
    guest.put(path_at, path);
    const i64 file =
        guest("open", {root, path_at, static_cast<i64>(path.size()), 0, cap::right_read});
    REQUIRE(file >= 0);
    const i64 size = guest("read", {file, data_at, 90000});
    REQUIRE(guest("close", {file}) == 0);
    return static_cast<usize>(size);
  };
  const usize size = size_of("/self/mounts");
  CHECK(guest.text(data_at, size) == "memory rw /a b\\012\\134x\nproc ro /\n");
  for (int i = 0; i < 5000; ++i) guest("handle_attenuate", {root, 0});
  const std::string handles = guest.text(data_at, size_of("/self/handles"));
  CHECK(handles.ends_with("4095 name_space -\nincomplete\n"));
}

TEST_CASE("dev and proc: WASI programs open them") {
  WasiGuest guest;
  Pipe output;
  guest.insert(wasi::stream(std::make_shared<host::Stream>(), false));
  guest.insert(wasi::stream(host::make_stream(output.ends[1]), true));
  const i64 dev = guest.grant_directory(vfs::make_dev(), "/dev", true);
  const i64 proc = guest.grant_directory(vfs::make_proc(), "/proc", false);
  using namespace wasi;
  const i64 null = guest.open(dev, "null", {WasiGuest::trunc, right_fd_write | right_fd_read, 0});
  REQUIRE(null >= 0);
  CHECK(guest.write(null, "gone") == Errno::success);
  CHECK(guest.value() == 4);
  CHECK(guest.read(null, 100) == Errno::success);
  CHECK(guest.value() == 0);
  CHECK(guest("fd_fdstat_get", {null, data_at}) == Errno::success);
  CHECK(guest.memory(data_at)[0] == static_cast<u8>(vfs::FileType::character));
  const i64 zero = guest.open(dev, "zero", {0, right_fd_read, 0});
  CHECK(guest.read(zero, 50000) == Errno::success);
  CHECK(guest.value() == 50000);
  const i64 out = guest.open(dev, "stdout",
                             {WasiGuest::creat | WasiGuest::trunc,
                              right_fd_write | right_fd_seek | right_fd_filestat_get});
  REQUIRE(out >= 0);
  CHECK(guest.write(out, "hello") == Errno::success);
  char bytes[8] = {};
  CHECK(read(output.ends[0], bytes, 8) == 5);
  CHECK(guest.open(dev, "stdout", {0, right_fd_read}) == -Errno::notcapable);
  CHECK(guest.open(dev, "stderr", {0, right_fd_write}) == -Errno::noent);  // a directory is there
  CHECK(guest.stat(dev, "stdout") == Errno::success);
  CHECK(guest.stat(dev, "stderr") == Errno::noent);
  const i64 mounts = guest.open(proc, "self/mounts", {0, right_fd_read});
  REQUIRE(mounts >= 0);
  CHECK(guest.read(mounts, 1000) == Errno::success);
  CHECK(guest.text(data_at, guest.value()) == "dev rw /dev\nproc ro /proc\n");
  CHECK(guest.open(proc, "self/mounts", {0, right_fd_write}) == -Errno::notcapable);
  CHECK(guest("fd_readdir", {dev, data_at, 4096, 0, WasiGuest::result_at}) == Errno::success);
  const std::string listing = guest.text(data_at, guest.value());
  CHECK(listing.find("stdout") != std::string::npos);
  CHECK(listing.find("stderr") == std::string::npos);
}

TEST_CASE(
    "proc: children, limits, machine; each process sees itself, through a passed handle too") {
  for (const unsigned workers : {1u, 4u}) {
    Pipe output;
    ProcessOptions options = on_workers(workers);
    options.output = output.ends[1];
    options.mounts.push_back({"proc", "", "/proc"});
    check_guest(R"(
data status_path = "/proc/self/status"
data self_path = "/proc/self"
data status = "status"
data children_path = "/proc/self/children"
data limits_path = "/proc/machine/limits"
data child_name = "child"
reserve options sizeof(SpawnOptions) align 8
reserve text 4096
reserve passed 8
reserve from_child 8 align 8
// The number after the first space of the text at p.
func number_at(p: i32) -> i64 {
    var sum: i64, c: i32
    while i32.ne (i32.load8_u [p]), ' ' { i32.add p, p, 1 }
    i32.add p, p, 1
    loop {
        i32.load8_u c, [p]
        if i32.lt_u c, '0' or i32.gt_u c, '9' { ret sum }
        i64.add sum, (i64.mul sum, 10), (i64.extend_i32_u (i32.sub c, '0'))
        i32.add p, p, 1
    }
}
export func child(parent: i64, directory: i32) {
    var h: i32, n: i32
    call open(directory, status, len(status), 0, RIGHT_READ) -> h
    call is(1, (i32.gt_s h, 0), 1)
    call read(h, text, 4096) -> n
    // It is its own.
    call is64(2, (call number_at(text)), (call process_self()))
    call is(3, (call process_send(parent, 1, text, 0)), 0)
    call receive(2, text, 4096, -1, 0) -> n
    ret
}
reserve arguments 16 align 8
export func main() -> i32 {
    var h: i32, n: i32, pid: i64
    call open(ROOT, self_path, len(self_path), OPEN_DIRECTORY, RIGHT_READ | RIGHT_OPEN) -> h
    call is(10, (i32.gt_s h, 0), 1)
    i32.store [passed], h
    i32.store [options + SpawnOptions.handles], passed
    i32.store [options + SpawnOptions.handle_count], 1
    i64.store [arguments], (call process_self())
    i64.store [arguments + 8], 0
    call start(child_name, len(child_name), arguments, 2, options) -> pid
    call is(11, (i64.gt_s pid, 0), 1)
    call is(12, (call receive(1, text, 4096, 30_000_000_000, 0)), 0)
    call open(ROOT, children_path, len(children_path), 0, RIGHT_READ) -> h
    call is(13, (i32.gt_s h, 0), 1)
    i32.store8 [text], ' '
    call read(h, (i32.add text, 1), 4095) -> n
    call is64(14, (call number_at(text)), pid)
    call open(ROOT, limits_path, len(limits_path), 0, RIGHT_READ) -> h
    call read(h, text, 4096) -> n
    call is(15, (i32.gt_s n, 10), 1)
    call write(STDOUT, text, n) -> n
    call is(16, (call process_send(pid, 2, text, 0)), 0)
    ret 0
}
)",
                options);
    char bytes[4096] = {};
    const ssize_t size = read(output.ends[0], bytes, sizeof bytes);
    const std::string text(bytes, static_cast<usize>(std::max<ssize_t>(size, 0)));
    CHECK(value_of(text, "processes") > 0);
    CHECK(value_of(text, "memory_bytes") != -1);
  }
}
