// WASI's calls: arguments, clocks, descriptors and their rights.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/wasi_guest.hpp"

using namespace atollvm;
using namespace atollvm::test;
using namespace atollvm::wasi;
using Status = runtime::HostResult::Status;

namespace {

constexpr u32 result_at = WasiGuest::result_at;
constexpr u32 data_at = WasiGuest::data_at;
constexpr i64 end = WasiGuest::end;
constexpr Errno success = Errno::success;

}  // namespace

TEST_CASE("wasi: 46 functions in one edition, 45 in the other") {
  WasiGuest guest;
  CHECK(guest.functions.size() == 46);
  CHECK(wasi::functions(guest.environment, Edition::unstable).size() == 45);
  CHECK(edition_of("wasi_snapshot_preview1") == Edition::snapshot_preview1);
  CHECK(edition_of("wasi_unstable") == Edition::unstable);
  CHECK(!edition_of("wasi_snapshot_preview2"));
  CHECK(!edition_of(""));
}

TEST_CASE("wasi: arguments and variables") {
  WasiGuest guest;
  guest.environment.arguments = {"name", "", "third"};
  guest.environment.variables = {"A=1", "LONG=value"};
  CHECK(guest("args_sizes_get", {64, 68}) == success);
  CHECK(guest.number<u32>(64) == 3);
  CHECK(guest.number<u32>(68) == 12);
  CHECK(guest("args_get", {100, 200}) == success);
  CHECK(guest.number<u32>(100) == 200);
  CHECK(guest.number<u32>(104) == 205);
  CHECK(guest.number<u32>(108) == 206);
  CHECK(guest.text(200, 12) == std::string("name\0\0third\0", 12));
  CHECK(guest("environ_sizes_get", {64, 68}) == success);
  CHECK(guest.number<u32>(64) == 2);
  CHECK(guest.number<u32>(68) == 15);
  CHECK(guest("environ_get", {100, 200}) == success);
  CHECK(guest.text(200, 15) == std::string("A=1\0LONG=value\0", 15));
  // Exactly to the end of the memory, and not beyond.
  CHECK(guest("args_get", {end - 12, end - 24}) == success);
  CHECK(guest("args_get", {end - 11, 0}) == Errno::fault);
  CHECK(guest("args_get", {0, end - 11}) == Errno::fault);
  CHECK(guest("args_get", {0xffffffff, 0}) == Errno::fault);
  CHECK(guest("args_sizes_get", {end - 3, 0}) == Errno::fault);
  CHECK(guest("environ_sizes_get", {0, end - 3}) == Errno::fault);
  guest.environment.arguments.clear();
  CHECK(guest("args_get", {end + 1, 0xffffffff}) == success);
}

TEST_CASE("wasi: clocks") {
  WasiGuest guest;
  for (const i64 clock : {0, 1}) {
    CHECK(guest("clock_res_get", {clock, result_at}) == success);
    CHECK(guest.wide_value() > 0);
    CHECK(guest.wide_value() <= 1'000'000'000);
    CHECK(guest("clock_time_get", {clock, 0, result_at}) == success);
    const u64 before = guest.wide_value();
    CHECK(guest("clock_time_get", {clock, -1, result_at}) == success);
    CHECK(guest.wide_value() >= before);
    CHECK(guest("clock_time_get", {clock, 0, end - 7}) == Errno::fault);
    CHECK(guest("clock_res_get", {clock, end - 7}) == Errno::fault);
  }
  CHECK(guest("clock_time_get", {0, 0, result_at}) == success);
  CHECK(guest.wide_value() > 1'600'000'000'000'000'000u);
  for (const i64 clock : {2, 3}) {
    CHECK(guest("clock_time_get", {clock, 0, result_at}) == Errno::badf);
    CHECK(guest("clock_res_get", {clock, result_at}) == Errno::badf);
  }
  for (const i64 clock : {4, -1}) {
    CHECK(guest("clock_time_get", {clock, 0, result_at}) == Errno::inval);
    CHECK(guest("clock_res_get", {clock, result_at}) == Errno::inval);
  }
  guest.environment.clock = [](host::Clock clock) { return clock == host::Clock::real ? 7 : -1; };
  CHECK(guest("clock_time_get", {0, 0, result_at}) == success);
  CHECK(guest.wide_value() == 7);
  CHECK(guest("clock_time_get", {1, 0, result_at}) == Errno::overflow);
}

TEST_CASE("wasi: random numbers, yielding, the end") {
  WasiGuest guest;
  CHECK(guest("random_get", {100, 64}) == success);
  CHECK(guest.text(100, 32) != guest.text(132, 32));
  CHECK(guest("random_get", {0xffffffff, 0}) == success);
  CHECK(guest("random_get", {end, 1}) == Errno::fault);
  CHECK(guest("random_get", {1, 0xffffffff}) == Errno::fault);
  CHECK(guest("sched_yield") == success);
  CHECK(guest.start("sched_yield", {}).status == Status::pending);
  CHECK(guest.process->ready());
  CHECK(guest.process->complete(guest.window).status == Status::value);
  CHECK(guest("proc_raise", {9}) == Errno::notsup);
  for (const u32 code : {0u, 1u, 125u, 126u, 255u, 0xffffffffu}) {
    const runtime::HostResult ended = guest.start("proc_exit", {code});
    CHECK(ended.status == Status::exit);
    CHECK(ended.exit_code == code);
  }
}

TEST_CASE("wasi: much random data comes in pieces that can be stopped") {
  ModuleBuilder module;
  module.memory(3 << 20, 3 << 20, 0);
  WasiGuest guest;
  guest.use(process_of(module));
  std::vector<usize> pieces;
  guest.environment.random = [&](std::span<u8> bytes) {
    pieces.push_back(bytes.size());
    memset(bytes.data(), 0x55, bytes.size());
    return true;
  };
  CHECK(guest.start("random_get", {1, (3 << 20) - 1}).status == Status::pending);
  CHECK(pieces.size() == 1);
  CHECK(guest("random_get", {1, (3 << 20) - 1}) == success);
  CHECK(guest.memory()[0] == 0);
  CHECK(guest.memory()[1] == 0x55);
  CHECK(guest.memory()[(3 << 20) - 1] == 0x55);
  guest.environment.random = [](std::span<u8>) { return false; };
  CHECK(guest("random_get", {0, 1}) == Errno::io);
}

TEST_CASE("wasi: descriptors that are not there, on every call that takes one") {
  WasiFiles guest;
  for (const runtime::HostFunction& each : guest.functions) {
    if (!each.takes_handle) continue;
    CAPTURE(each.name);
    for (const u32 fd : {5u, 64u, 0x7fffffffu, 0xffffffffu}) {
      std::fill(std::begin(guest.window), std::end(guest.window), 0);
      guest.window[each.handle_index] = fd;
      const auto ended =
          guest.process->call_host({&each, &guest.process->instance(), 0}, guest.window);
      REQUIRE(ended.status == Status::value);
      CHECK(static_cast<Errno>(guest.window[0]) == Errno::badf);
    }
  }
  CHECK(guest("fd_renumber", {guest.dir, 5}) == Errno::badf);
  CHECK(guest.rename(guest.dir, "a", 5, "b") == Errno::badf);
  CHECK(guest.link(guest.dir, "a", 5, "b") == Errno::badf);
}

TEST_CASE("wasi: every call without its right gives notcapable and does nothing") {
  WasiFiles guest;
  const i64 file = guest.open(guest.dir, "a", {0, rights_inheritable(), 0, 0, 0});
  REQUIRE(file >= 0);
  for (const i64 fd : {guest.dir, file}) {
    CHECK(guest("fd_fdstat_set_rights", {fd, 0, 0}) == success);
  }
  CHECK(guest.fdstat(guest.dir).base == 0);
  CHECK(guest.fdstat(guest.dir).inheriting == 0);
  const std::pair<std::string_view, std::vector<i64>> on_file[] = {
      {"fd_advise", {file, 0, 0, 0}},
      {"fd_allocate", {file, 0, 100}},
      {"fd_datasync", {file}},
      {"fd_fdstat_set_flags", {file, 1}},
      {"fd_filestat_get", {file, data_at}},
      {"fd_filestat_set_size", {file, 0}},
      {"fd_filestat_set_times", {file, 1, 1, 5}},
      {"fd_pread", {file, 0, 0, 0, result_at}},
      {"fd_pwrite", {file, 0, 0, 0, result_at}},
      {"fd_read", {file, 0, 0, result_at}},
      {"fd_seek", {file, 1, 0, result_at}},
      {"fd_seek", {file, 0, 1, result_at}},
      {"fd_sync", {file}},
      {"fd_tell", {file, result_at}},
      {"fd_write", {file, 0, 0, result_at}},
      {"fd_readdir", {guest.dir, data_at, 100, 0, result_at}},
      {"fd_sync", {guest.dir}},
      {"fd_datasync", {guest.dir}},
      {"fd_filestat_get", {guest.dir, data_at}},
      {"fd_filestat_set_times", {guest.dir, 1, 1, 5}},
  };
  for (const auto& [name, arguments] : on_file) {
    CAPTURE(name);
    CHECK(guest(name, arguments) == Errno::notcapable);
  }
  CHECK(guest.path_open(guest.dir, "a", {}) == Errno::notcapable);
  for (const char* name : {"path_create_directory", "path_remove_directory", "path_unlink_file"}) {
    CHECK(guest.path_call(name, guest.dir, "a") == Errno::notcapable);
  }
  CHECK(guest.stat(guest.dir, "a") == Errno::notcapable);
  CHECK(guest.set_times(guest.dir, "a", 1, 1, 5) == Errno::notcapable);
  CHECK(guest.rename(guest.dir, "a", guest.dir, "b") == Errno::notcapable);
  CHECK(guest.link(guest.dir, "a", guest.dir, "b") == Errno::notcapable);
  CHECK(guest.symlink("a", guest.dir, "b") == Errno::notcapable);
  CHECK(guest.readlink(guest.dir, "a", 10) == Errno::notcapable);
  CHECK(text_of(guest.scratch / "data/a") == "hello");
  // What needs no right still works.
  CHECK(guest("fd_close", {file}) == success);
}

TEST_CASE("wasi: rights only shrink, and are exactly what was left") {
  WasiFiles guest;
  const WasiGuest::Stat all = guest.fdstat(guest.dir);
  CHECK(all.type == 3);
  CHECK(all.base == rights_on(cap::Kind::directory));
  CHECK(all.inheriting == rights_inheritable());
  // One right after the other can be given up, and none comes back.
  u64 base = all.base;
  u64 inheriting = all.inheriting;
  for (u32 bit = 0; bit < 64; ++bit) {
    const u64 right = u64{1} << bit;
    CHECK(guest("fd_fdstat_set_rights", {guest.dir, static_cast<i64>(base & ~right),
                                         static_cast<i64>(inheriting & ~right)}) == success);
    base &= ~right;
    inheriting &= ~right;
    const WasiGuest::Stat now = guest.fdstat(guest.dir);
    CHECK(now.base == base);
    CHECK(now.inheriting == inheriting);
    CHECK(guest("fd_fdstat_set_rights", {guest.dir, static_cast<i64>(base | right),
                                         static_cast<i64>(inheriting)}) == Errno::notcapable);
    CHECK(guest("fd_fdstat_set_rights",
                {guest.dir, static_cast<i64>(base), static_cast<i64>(inheriting | right)}) ==
          Errno::notcapable);
  }
}

TEST_CASE("wasi: what is opened has no more rights than its directory hands on") {
  WasiFiles guest;
  const i64 dir =
      guest.open(guest.dir, "d",
                 {WasiGuest::directory, right_path_open | right_fd_readdir,
                  right_fd_read | right_path_open | right_fd_readdir | right_fd_tell, 0, 0});
  REQUIRE(dir >= 0);
  const WasiGuest::Stat stat = guest.fdstat(dir);
  CHECK(stat.base == (right_path_open | right_fd_readdir));
  CHECK(stat.inheriting == (right_fd_read | right_path_open | right_fd_readdir | right_fd_tell));
  // All rights asked for: those that are there; without reading or writing that is refused.
  const i64 below = guest.open(dir, "e", {0, ~(right_fd_read | right_fd_write), ~u64{0}, 0, 0});
  REQUIRE(below >= 0);
  CHECK(guest.fdstat(below).base == (right_path_open | right_fd_readdir));
  CHECK(guest.fdstat(below).inheriting == stat.inheriting);
  CHECK(guest.path_open(dir, "e/f", {0, right_fd_write, 0, 0, 0}) == Errno::notcapable);
  CHECK(guest.path_open(dir, "e/f", {0, right_fd_read | right_fd_write, 0, 0, 0}) ==
        Errno::notcapable);
  const i64 file = guest.open(below, "f", {0, ~right_fd_write, ~u64{0}, 0, 0});
  REQUIRE(file >= 0);
  CHECK(guest.fdstat(file).base == (right_fd_read | right_fd_tell));
  CHECK(guest.fdstat(file).inheriting == 0);
  CHECK(guest.read(file, 10) == success);
  CHECK(guest.read_text() == "deep");
  CHECK(guest("fd_tell", {file, result_at}) == success);
  CHECK(guest.wide_value() == 4);
  // To seek by nothing is to tell.
  CHECK(guest("fd_seek", {file, 0, 1, result_at}) == success);
  CHECK(guest("fd_seek", {file, 1, 1, result_at}) == Errno::notcapable);
  // Creating and truncating go by the directory's own rights.
  CHECK(guest.path_open(dir, "new", {WasiGuest::creat, 0, 0, 0, 0}) == Errno::notcapable);
  CHECK(guest.path_open(dir, "e/f", {WasiGuest::trunc, 0, 0, 0, 0}) == Errno::notcapable);
  CHECK(text_of(guest.scratch / "data/d/e/f") == "deep");
  // A file that is only read can't be grown, whatever was asked.
  const i64 reader = guest.open(guest.dir, "a", {0, ~right_fd_write, 0, 0, 0});
  CHECK((guest.fdstat(reader).base &
         (right_fd_write | right_fd_allocate | right_fd_filestat_set_size)) == 0);
  CHECK(guest("fd_filestat_set_size", {reader, 0}) == Errno::notcapable);
  // Flushing at each write needs the right to flush.
  CHECK(guest.path_open(dir, "e/f", {0, 0, 0, 16, 0}) == Errno::notcapable);
  CHECK(guest.path_open(dir, "e/f", {0, 0, 0, 2, 0}) == Errno::notcapable);
}

TEST_CASE("wasi: Atoll's own calls can do no more with a descriptor than WASI's") {
  WasiFiles guest;
  cap::HandleTable& handles = guest.process->handles();
  const auto rights = [&](i64 fd) { return handles.find(static_cast<u32>(fd))->rights; };
  CHECK((rights(guest.readonly) & ~(cap::right_read | cap::right_list | cap::right_stat |
                                    cap::right_open | cap::right_load | cap::right_lock)) == 0);
  CHECK((rights(guest.dir) & cap::right_write) != 0);
  // Giving up one of WASI's rights takes the whole right of Atoll's away that stood for it.
  const WasiGuest::Stat all = guest.fdstat(guest.dir);
  const auto drop = [&](u64 base, u64 inheriting) {
    const WasiGuest::Stat now = guest.fdstat(guest.dir);
    REQUIRE(guest("fd_fdstat_set_rights", {guest.dir, static_cast<i64>(now.base & ~base),
                                           static_cast<i64>(now.inheriting & ~inheriting)}) ==
            success);
  };
  CHECK((all.base & right_path_symlink) != 0);
  drop(right_path_symlink, 0);
  CHECK((rights(guest.dir) & cap::right_link) == 0);
  CHECK((rights(guest.dir) & cap::right_write) != 0);
  drop(0, right_fd_write);
  CHECK((rights(guest.dir) & (cap::right_write | cap::right_append)) == 0);
  CHECK((rights(guest.dir) & cap::right_read) != 0);
  const i64 file = guest.open(guest.dir, "a", {0, right_fd_read | right_fd_sync, 0, 0, 0});
  CHECK(rights(file) == (cap::right_read | cap::right_load | cap::right_lock));
  // And a handle of Atoll's is a descriptor with the rights that it implies.
  const auto opened =
      granted(guest.scratch / "data")->open("a", 0, {true, false}, vfs::Wait::allowed);
  const i64 foreign = guest.grant(std::get<0>(opened), cap::right_read | cap::right_stat);
  const u64 base = guest.fdstat(foreign).base;
  CHECK((base & right_fd_read) != 0);
  CHECK((base & right_fd_filestat_get) != 0);
  CHECK((base & (right_fd_write | right_fd_filestat_set_size | right_fd_sync)) == 0);
  CHECK(guest.read(foreign, 10) == success);
  CHECK(guest.read_text() == "hello");
  CHECK(guest.write(foreign, "x") == Errno::notcapable);
}

TEST_CASE("wasi: preopened directories") {
  WasiFiles guest;
  CHECK(guest.dir == 3);
  CHECK(guest("fd_prestat_get", {3, result_at}) == success);
  CHECK(guest.number<u8>(result_at) == 0);
  CHECK(guest.number<u32>(result_at + 4) == 1);
  CHECK(guest("fd_prestat_get", {4, result_at}) == success);
  CHECK(guest.number<u32>(result_at + 4) == 3);
  CHECK(guest("fd_prestat_dir_name", {4, data_at, 3}) == success);
  CHECK(guest.text(data_at, 4) == std::string("/ro\0", 4));
  CHECK(guest("fd_prestat_dir_name", {4, data_at, 2}) == Errno::nametoolong);
  CHECK(guest("fd_prestat_dir_name", {4, data_at, 100}) == success);
  CHECK(guest("fd_prestat_dir_name", {4, end - 2, 3}) == Errno::fault);
  CHECK(guest("fd_prestat_get", {4, end - 7}) == Errno::fault);
  CHECK(guest("fd_prestat_get", {5, result_at}) == Errno::badf);
  const i64 below = guest.open(guest.dir, ".", {WasiGuest::directory, 0, 0, 0, 0});
  for (const i64 fd : {i64{0}, below}) {
    CHECK(guest("fd_prestat_get", {fd, result_at}) == Errno::badf);
    CHECK(guest("fd_prestat_dir_name", {fd, data_at, 100}) == Errno::notdir);
  }
  CHECK(guest("fd_close", {3}) == success);
  CHECK(guest("fd_prestat_get", {3, result_at}) == Errno::badf);
  CHECK(guest("fd_close", {3}) == Errno::badf);
}

TEST_CASE("wasi: the lowest free number, and renumbering") {
  WasiFiles guest;
  const auto open = [&] { return guest.open(guest.dir, "a", {0, right_fd_read, 0, 0, 0}); };
  CHECK(open() == 5);
  CHECK(open() == 6);
  CHECK(open() == 7);
  CHECK(guest("fd_close", {5}) == success);
  CHECK(guest("fd_close", {0}) == success);
  CHECK(open() == 0);
  CHECK(open() == 5);
  // A descriptor takes another one's number; the other is closed, its own free.
  CHECK(guest.read(6, 2) == success);
  CHECK(guest("fd_renumber", {6, 5}) == success);
  CHECK(guest("fd_close", {6}) == Errno::badf);
  CHECK(guest("fd_tell", {5, result_at}) == Errno::notcapable);
  CHECK(guest.read(5, 10) == success);
  CHECK(guest.read_text() == "llo");
  CHECK(guest("fd_renumber", {5, 6}) == Errno::badf);
  CHECK(guest("fd_renumber", {5, 5}) == success);
  CHECK(guest.read(5, 10) == success);
  CHECK(open() == 6);
  // Over a preopened directory: it is no longer one.
  CHECK(guest("fd_renumber", {6, 3}) == success);
  CHECK(guest("fd_prestat_get", {3, result_at}) == Errno::badf);
  CHECK(guest.path_open(3, "a", {}) == Errno::notdir);
  CHECK(guest.fdstat(3).base == right_fd_read);
  // A preopened one keeps its name at its new number.
  CHECK(guest("fd_renumber", {4, 3}) == success);
  CHECK(guest("fd_prestat_get", {3, result_at}) == success);
  CHECK(guest("fd_prestat_get", {4, result_at}) == Errno::badf);
}

TEST_CASE("wasi: fewer descriptors allowed than opened") {
  WasiGuest guest(3);
  ScratchDirectory scratch;
  put_text(scratch / "a", "");
  const i64 dir = guest.grant_directory(granted(scratch.path().string()), ".", true);
  CHECK(guest.open(dir, "a", {}) == 1);
  CHECK(guest.open(dir, "a", {}) == 2);
  CHECK(guest.open(dir, "a", {}) == -Errno::mfile);
  CHECK(guest("fd_close", {1}) == success);
  CHECK(guest.open(dir, "a", {}) == 1);
}

TEST_CASE("wasi: the wrong kind of descriptor") {
  WasiFiles guest;
  const i64 file = guest.open(guest.dir, "a", {0, rights_inheritable(), 0, 0, 0});
  const std::pair<std::string_view, std::vector<i64>> on_directories[] = {
      {"fd_read", {guest.dir, 0, 0, result_at}},  {"fd_pread", {guest.dir, 0, 0, 0, result_at}},
      {"fd_write", {guest.dir, 0, 0, result_at}}, {"fd_pwrite", {guest.dir, 0, 0, 0, result_at}},
      {"fd_seek", {guest.dir, 0, 0, result_at}},  {"fd_tell", {guest.dir, result_at}},
      {"fd_allocate", {guest.dir, 0, 1}},         {"fd_advise", {guest.dir, 0, 1, 0}},
      {"fd_filestat_set_size", {guest.dir, 0}},   {"fd_fdstat_set_flags", {guest.dir, 0}},
  };
  for (const auto& [name, arguments] : on_directories) {
    CAPTURE(name);
    CHECK(guest(name, arguments) == Errno::badf);
  }
  for (const i64 fd : {file, i64{0}}) {
    CHECK(guest.path_open(fd, "a", {}) == Errno::notdir);
    CHECK(guest.path_call("path_unlink_file", fd, "a") == Errno::notdir);
    CHECK(guest.path_call("path_create_directory", fd, "a") == Errno::notdir);
    CHECK(guest.stat(fd, "a") == Errno::notdir);
    CHECK(guest.rename(fd, "a", guest.dir, "b") == Errno::notdir);
    CHECK(guest.rename(guest.dir, "a", fd, "b") == Errno::notdir);
    CHECK(guest.link(guest.dir, "a", fd, "b") == Errno::notdir);
    CHECK(guest.symlink("a", fd, "b") == Errno::notdir);
    CHECK(guest("fd_readdir", {fd, data_at, 100, 0, result_at}) == Errno::notdir);
  }
  for (const char* name : {"fd_sync", "fd_datasync"}) {
    CHECK(guest(name, {0}) == Errno::badf);
    CHECK(guest(name, {guest.dir}) == success);
    CHECK(guest(name, {file}) == success);
  }
}

TEST_CASE("wasi: sockets: no descriptor is one") {
  WasiFiles guest;
  for (const i64 fd : {i64{0}, i64{1}, guest.dir}) {
    CHECK(guest("sock_accept", {fd, 0, result_at}) == Errno::notsock);
    CHECK(guest("sock_recv", {fd, 0, 0, 0, result_at, result_at}) == Errno::notsock);
    CHECK(guest("sock_send", {fd, 0, 0, 0, result_at}) == Errno::notsock);
    CHECK(guest("sock_shutdown", {fd, 3}) == Errno::notsock);
  }
  CHECK(guest("sock_shutdown", {99, 3}) == Errno::badf);
}

TEST_CASE("wasi: a revoked directory and all that came from it stop working") {
  WasiFiles guest;
  cap::Revoker revoker;
  cap::Capability given =
      wasi::preopen(granted(guest.scratch / "data"), "/x", vfs::rights_read_write);
  given.revocation = revoker.revocation();
  const i64 dir = guest.insert(std::move(given));
  const i64 file = guest.open(dir, "a", {0, right_fd_read, 0, 0, 0});
  CHECK(guest.read(file, 2) == success);
  revoker.revoke();
  CHECK(guest.read(file, 2) == Errno::notcapable);
  CHECK(guest.path_open(dir, "a", {}) == Errno::notcapable);
  CHECK(guest.rename(guest.dir, "a", dir, "b") == Errno::notcapable);
}
