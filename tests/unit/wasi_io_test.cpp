// WASI: reading, writing, positions, flags, streams, poll_oneoff.
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/wasi_guest.hpp"

using namespace atollvm;
using namespace atollvm::test;
using namespace atollvm::wasi;
using Status = runtime::HostResult::Status;

namespace {

constexpr u32 result_at = WasiGuest::result_at;
constexpr u32 vectors_at = WasiGuest::vectors_at;
constexpr u32 data_at = WasiGuest::data_at;
constexpr i64 end = WasiGuest::end;
constexpr Errno success = Errno::success;
constexpr u64 read_write = right_fd_read | right_fd_write | right_fd_seek | right_fd_tell |
                           right_fd_fdstat_set_flags | right_poll_fd_readwrite;

struct Pipe {
  int fds[2] = {-1, -1};
  Pipe() { REQUIRE(pipe2(fds, O_CLOEXEC) == 0); }
  ~Pipe() {
    for (const int fd : fds) {
      if (fd >= 0) close(fd);
    }
  }
  void close_end(int which) { close(std::exchange(fds[which], -1)); }
  void fill() const {
    const int flags = fcntl(fds[1], F_GETFL);
    fcntl(fds[1], F_SETFL, flags | O_NONBLOCK);
    const std::string zeros(4096, '\0');
    while (::write(fds[1], zeros.data(), zeros.size()) > 0) {
    }
    fcntl(fds[1], F_SETFL, flags);
  }
};

struct StreamGuest : WasiGuest {
  i64 add(int fd, bool writable) { return insert(wasi::stream(host::make_stream(fd), writable)); }
  Errno wait() {
    runtime::HostResult ended = runtime::HostResult::pending();
    while (ended.status == Status::pending) {
      while (!process->ready()) loop.run_once(true);
      ended = process->complete(window);
    }
    REQUIRE(ended.status == Status::value);
    return static_cast<Errno>(window[0]);
  }
};

}  // namespace

TEST_CASE("wasi io: several buffers, positions, and the end of a file") {
  WasiFiles guest;
  const i64 file = guest.open(guest.dir, "new", {WasiGuest::creat, read_write, 0, 0, 0});
  REQUIRE(file == 5);
  guest.put(data_at, "one two three");
  guest.vectors({{data_at, 4}, {0xffffffff, 0}, {data_at + 4, 4}, {data_at + 8, 5}});
  CHECK(guest("fd_write", {file, vectors_at, 4, result_at}) == success);
  CHECK(guest.value() == 13);
  CHECK(guest("fd_tell", {file, result_at}) == success);
  CHECK(guest.wide_value() == 13);
  CHECK(guest("fd_seek", {file, -9, 2, result_at}) == success);
  CHECK(guest.wide_value() == 4);
  guest.vectors({{data_at + 100, 3}, {data_at + 200, 1}, {data_at + 300, 100}});
  CHECK(guest("fd_read", {file, vectors_at, 3, result_at}) == success);
  CHECK(guest.value() == 9);
  CHECK(guest.text(data_at + 100, 3) == "two");
  CHECK(guest.text(data_at + 200, 1) == " ");
  CHECK(guest.text(data_at + 300, 5) == "three");
  CHECK(guest("fd_read", {file, vectors_at, 3, result_at}) == success);
  CHECK(guest.value() == 0);
  // Not moved by reading and writing elsewhere.
  guest.vectors({{data_at, 3}});
  CHECK(guest("fd_pread", {file, vectors_at, 1, 4, result_at}) == success);
  CHECK(guest.read_text() == "two");
  guest.put(data_at, "TWO");
  CHECK(guest("fd_pwrite", {file, vectors_at, 1, 4, result_at}) == success);
  CHECK(guest.value() == 3);
  CHECK(guest("fd_tell", {file, result_at}) == success);
  CHECK(guest.wide_value() == 13);
  CHECK(text_of(guest.scratch / "data/new") == "one TWO three");
  // Past the end.
  CHECK(guest("fd_pread", {file, vectors_at, 1, 1000, result_at}) == success);
  CHECK(guest.value() == 0);
  for (const i64 at : {i64{-1}, INT64_MAX, INT64_MIN}) {
    CHECK(guest("fd_pread", {file, vectors_at, 1, at, result_at}) == Errno::inval);
    CHECK(guest("fd_pwrite", {file, vectors_at, 1, at, result_at}) == Errno::inval);
  }
  // Nothing to do.
  CHECK(guest("fd_read", {file, vectors_at, 0, result_at}) == success);
  CHECK(guest.value() == 0);
  CHECK(guest("fd_write", {file, 0xffffffff, 0, result_at}) == success);
  CHECK(guest.value() == 0);
}

TEST_CASE("wasi io: seeking") {
  for (const Edition edition : {Edition::snapshot_preview1, Edition::unstable}) {
    CAPTURE(edition == Edition::unstable);
    WasiFiles guest(vfs::best_resolver(), edition);
    const i64 start = edition == Edition::unstable ? 2 : 0;
    const i64 current = edition == Edition::unstable ? 0 : 1;
    const i64 from_end = edition == Edition::unstable ? 1 : 2;
    const i64 file = guest.open(guest.dir, "a", {0, right_fd_seek | right_fd_read, 0, 0, 0});
    CHECK(guest("fd_seek", {file, 3, start, result_at}) == success);
    CHECK(guest.wide_value() == 3);
    CHECK(guest("fd_seek", {file, -1, current, result_at}) == success);
    CHECK(guest.wide_value() == 2);
    CHECK(guest("fd_seek", {file, -1, from_end, result_at}) == success);
    CHECK(guest.wide_value() == 4);
    CHECK(guest("fd_seek", {file, 1000, from_end, result_at}) == success);
    CHECK(guest.wide_value() == 1005);
    CHECK(guest("fd_seek", {file, -1006, current, result_at}) == Errno::inval);
    CHECK(guest("fd_seek", {file, -1, start, result_at}) == Errno::inval);
    CHECK(guest("fd_seek", {file, INT64_MIN, current, result_at}) == Errno::inval);
    CHECK(guest("fd_seek", {file, 0, 3, result_at}) == Errno::inval);
    CHECK(guest("fd_seek", {file, 0, -1, result_at}) == Errno::inval);
    CHECK(guest("fd_seek", {file, 0, start, end - 7}) == Errno::fault);
    CHECK(guest("fd_tell", {file, result_at}) == success);
    CHECK(guest.wide_value() == 1005);
  }
}

TEST_CASE("wasi io: every bad address, length and count, before anything happens") {
  WasiFiles guest;
  const i64 file = guest.open(guest.dir, "a", {0, read_write, 0, 0, 0});
  const auto all = [&](u32 array, i64 count, i64 result, Errno error) {
    CHECK(guest("fd_read", {file, array, count, result}) == error);
    CHECK(guest("fd_write", {file, array, count, result}) == error);
    CHECK(guest("fd_pread", {file, array, count, 0, result}) == error);
    CHECK(guest("fd_pwrite", {file, array, count, 0, result}) == error);
  };
  const std::pair<u32, u32> outside[] = {{end, 1},        {end - 1, 2},
                                         {0, end + 1},    {0xffffffff, 1},
                                         {1, 0xffffffff}, {0x80000000, 0x80000000}};
  for (const auto& [address, size] : outside) {
    CAPTURE(address);
    CAPTURE(size);
    guest.vectors({{address, size}});
    all(vectors_at, 1, result_at, Errno::fault);
    guest.vectors({{data_at, 1}, {address, size}});
    all(vectors_at, 2, result_at, Errno::fault);
  }
  guest.vectors({{data_at, 1}});
  all(vectors_at, 1, end - 3, Errno::fault);
  all(vectors_at, 1, 0xffffffff, Errno::fault);
  all(static_cast<u32>(end - 7), 1, result_at, Errno::fault);
  all(0xfffffff8, 1, result_at, Errno::fault);
  all(0xfffffff8, 2, result_at, Errno::fault);
  // Counts whose array would wrap, or that no program has.
  for (const i64 count : {i64{1025}, i64{0x20000000}, i64{0x20000001}, i64{0xffffffff}}) {
    all(vectors_at, count, result_at, Errno::inval);
  }
  // More bytes than a count can say, from buffers that are one and the same.
  for (u32 i = 0; i < 1024; ++i) {
    guest.set<u32>(vectors_at + i * 8, 65536);
    guest.set<u32>(vectors_at + i * 8 + 4, 65536);
  }
  CHECK(guest("fd_read", {file, vectors_at, 1024, result_at}) == success);
  CHECK(guest.value() == 5);
  CHECK(text_of(guest.scratch / "data/a") == "hello");
}

TEST_CASE("wasi io: more bytes than 32 bits count are refused") {
  ModuleBuilder module;
  module.memory(8 << 20, 8 << 20, 0);
  WasiFiles guest;
  const i64 fd = guest.open(guest.dir, "a", {0, read_write, 0, 0, 0});
  WasiGuest large;
  large.use(process_of(module));
  large.insert(*guest.process->handles().find(static_cast<u32>(fd)));
  for (u32 i = 0; i < 1024; ++i) {
    large.set<u32>(vectors_at + i * 8, 65536);
    large.set<u32>(vectors_at + i * 8 + 4, 7 << 20);
  }
  CHECK(large("fd_write", {0, vectors_at, 1024, result_at}) == Errno::inval);
  CHECK(large("fd_read", {0, vectors_at, 1024, result_at}) == Errno::inval);
  CHECK(text_of(guest.scratch / "data/a") == "hello");
}

TEST_CASE("wasi io: buffers that overlap each other, their array and the result") {
  WasiFiles guest;
  put_text(guest.scratch / "data/a", "abcdefgh");
  const i64 file = guest.open(guest.dir, "a", {0, read_write, 0, 0, 0});
  // One after the other: the later one wins.
  guest.vectors({{data_at, 4}, {data_at + 2, 4}});
  CHECK(guest("fd_read", {file, vectors_at, 2, result_at}) == success);
  CHECK(guest.value() == 8);
  CHECK(guest.text(data_at, 6) == "abefgh");
  // Over the array itself: the array is read first.
  guest.vectors({{vectors_at, 8}, {data_at, 8}});
  CHECK(guest("fd_pread", {file, vectors_at, 2, 0, result_at}) == success);
  CHECK(guest.value() == 8);
  CHECK(guest.text(vectors_at, 8) == "abcdefgh");
  // Over the result: the count is written last.
  guest.vectors({{result_at, 8}});
  CHECK(guest("fd_pread", {file, vectors_at, 1, 0, result_at}) == success);
  CHECK(guest.value() == 8);
  // The same bytes written twice.
  guest.put(data_at, "xy");
  guest.vectors({{data_at, 2}, {data_at, 2}});
  CHECK(guest("fd_pwrite", {file, vectors_at, 2, 0, result_at}) == success);
  CHECK(text_of(guest.scratch / "data/a") == "xyxyefgh");
}

TEST_CASE("wasi io: large transfers are whole, in turns that can be stopped") {
  ModuleBuilder module;
  module.memory(8 << 20, 8 << 20, 0);
  WasiFiles files;
  const i64 fd = files.open(files.dir, "large", {WasiGuest::creat, read_write, 0, 0, 0});
  WasiGuest guest;
  guest.use(process_of(module));
  const i64 file = guest.insert(*files.process->handles().find(static_cast<u32>(fd)));
  constexpr u32 size = 3'000'001;
  for (u32 i = 0; i < size; ++i) guest.memory()[65536 + i] = static_cast<u8>(i * 7 + i / 1000);
  guest.vectors({{65536, 1'000'000}, {1'065'536, size - 1'000'000}});
  CHECK(guest.start("fd_write", {file, vectors_at, 2, result_at}).status == Status::pending);
  guest.process->stop(runtime::Trap::interrupted);
  // A part of it may still be on its way: through an open file of its own, whose offset is apart.
  const i64 later = files.open(files.dir, "large", {0, read_write, 0, 0, 0});
  const i64 again = guest.insert(*files.process->handles().find(static_cast<u32>(later)));
  CHECK(guest("fd_write", {again, vectors_at, 2, result_at}) == success);
  CHECK(guest.value() == size);
  CHECK(std::filesystem::file_size(files.scratch / "data/large") == size);
  CHECK(guest("fd_seek", {again, 0, 0, result_at}) == success);
  guest.vectors({{4'000'000, 500'000}, {4'500'000, size}});
  CHECK(guest("fd_read", {again, vectors_at, 2, result_at}) == success);
  CHECK(guest.value() == size);
  CHECK(memcmp(guest.memory(65536), guest.memory(4'000'000), size) == 0);
}

TEST_CASE("wasi io: flags of a descriptor: append, and writes that reach the disk") {
  WasiFiles guest;
  const i64 file = guest.open(guest.dir, "a", {0, read_write, 0, 1, 0});
  CHECK(guest.fdstat(file).flags == 1);
  CHECK(guest.write(file, " you") == success);
  CHECK(guest("fd_seek", {file, 0, 0, result_at}) == success);
  CHECK(guest.write(file, "!") == success);
  CHECK(text_of(guest.scratch / "data/a") == "hello you!");
  CHECK(guest("fd_tell", {file, result_at}) == success);
  CHECK(guest.wide_value() == 10);
  CHECK(guest("fd_fdstat_set_flags", {file, 0}) == success);
  CHECK(guest.fdstat(file).flags == 0);
  CHECK(guest("fd_seek", {file, 0, 0, result_at}) == success);
  CHECK(guest.write(file, "H") == success);
  CHECK(text_of(guest.scratch / "data/a") == "Hello you!");
  // At a position, appending is left alone.
  CHECK(guest("fd_fdstat_set_flags", {file, 1}) == success);
  guest.put(data_at, "Y");
  guest.vectors({{data_at, 1}});
  CHECK(guest("fd_pwrite", {file, vectors_at, 1, 6, result_at}) == success);
  CHECK(text_of(guest.scratch / "data/a") == "Hello You!");
  for (const u32 flags : {2u, 8u, 16u, 31u}) {
    CHECK(guest("fd_fdstat_set_flags", {file, flags}) == success);
    CHECK(guest.fdstat(file).flags == flags);
    CHECK(guest.write(file, "x") == success);
  }
  for (const i64 flags : {32, 64, -1}) {
    CHECK(guest("fd_fdstat_set_flags", {file, flags}) == Errno::inval);
    CHECK(guest.path_open(guest.dir, "a", {0, 0, 0, static_cast<u32>(flags), 0}) == Errno::inval);
  }
  CHECK(guest.path_open(guest.dir, "a", {0, 0, 0, 2 | 8 | 16, 0}) == success);
}

TEST_CASE("wasi io: sizes, room, advice, times of a file") {
  WasiFiles guest;
  const u64 all = rights_inheritable();
  const i64 file = guest.open(guest.dir, "a", {0, all, 0, 0, 0});
  const auto size = [&] {
    REQUIRE(guest("fd_filestat_get", {file, data_at}) == success);
    return guest.number<u64>(data_at + 32);
  };
  CHECK(size() == 5);
  CHECK(guest("fd_filestat_set_size", {file, 100}) == success);
  CHECK(size() == 100);
  CHECK(guest("fd_filestat_set_size", {file, 3}) == success);
  CHECK(text_of(guest.scratch / "data/a") == "hel");
  CHECK(guest("fd_filestat_set_size", {file, -1}) == Errno::fbig);
  CHECK(guest("fd_allocate", {file, 10, 10}) == success);
  CHECK(size() == 20);
  CHECK(guest("fd_allocate", {file, 0, 1}) == success);
  CHECK(size() == 20);
  CHECK(guest("fd_allocate", {file, 0, 0}) == Errno::inval);
  CHECK(guest("fd_allocate", {file, -1, 1}) == Errno::fbig);
  CHECK(guest("fd_allocate", {file, 1, -1}) == Errno::fbig);
  CHECK(guest("fd_allocate", {file, INT64_MAX, 1}) == Errno::fbig);
  CHECK(size() == 20);
  for (i64 advice = 0; advice < 6; ++advice) {
    CHECK(guest("fd_advise", {file, 0, 0, advice}) == success);
    CHECK(guest("fd_advise", {file, 5, 1'000'000, advice}) == success);
  }
  CHECK(guest("fd_advise", {file, 0, 0, 6}) == Errno::inval);
  CHECK(guest("fd_advise", {file, -1, 0, 0}) == Errno::inval);
  CHECK(guest("fd_advise", {file, INT64_MAX, 1, 0}) == Errno::inval);

  const auto times = [&] {
    REQUIRE(guest("fd_filestat_get", {file, data_at}) == success);
    return std::pair{guest.number<u64>(data_at + 40), guest.number<u64>(data_at + 48)};
  };
  CHECK(guest("fd_filestat_set_times", {file, 1'500'000'000'123'456'789, 7, 1}) == success);
  CHECK(times().first == 1'500'000'000'123'456'789u);
  const u64 modified = times().second;
  CHECK(modified != 7);
  CHECK(guest("fd_filestat_set_times", {file, 5, 7, 4}) == success);
  CHECK(times() == std::pair<u64, u64>{1'500'000'000'123'456'789u, 7});
  CHECK(guest("fd_filestat_set_times", {file, 5, 9, 0}) == success);
  CHECK(times() == std::pair<u64, u64>{1'500'000'000'123'456'789u, 7});
  CHECK(guest("fd_filestat_set_times", {file, 5, 9, 2 | 8}) == success);
  CHECK(times().first > 1'600'000'000'000'000'000u);
  CHECK(times().second > 1'600'000'000'000'000'000u);
  for (const i64 flags : {3, 12, 15, 16, -1}) {
    CHECK(guest("fd_filestat_set_times", {file, 5, 9, flags}) == Errno::inval);
  }
  // What does not fit in the nanoseconds that are kept.
  CHECK(guest("fd_filestat_set_times", {file, -1, 9, 1}) == Errno::overflow);
  CHECK(guest("fd_filestat_set_times", {file, 5, INT64_MIN, 4}) == Errno::overflow);
  CHECK(guest("fd_filestat_set_times", {file, -1, -1, 0}) == success);
  CHECK(guest("fd_filestat_set_times", {file, INT64_MAX, 9, 1}) == success);
  CHECK(guest("fd_filestat_set_times", {guest.dir, 5, 9, 5}) == success);
}

TEST_CASE("wasi io: times of the host that nanoseconds can't hold") {
  WasiFiles guest;
  for (const i64 seconds : {i64{-1'000'000'000}, i64{99'999'999'999}}) {
    const timespec times[2] = {{seconds, 0}, {seconds, 0}};
    REQUIRE(utimensat(AT_FDCWD, (guest.scratch / "data/a").c_str(), times, 0) == 0);
    CHECK(guest.stat(guest.dir, "a") == success);
    const u64 modified = guest.number<u64>(data_at + 48);
    if (seconds < 0) {
      CHECK(modified == 0);
    } else {
      CHECK(modified > 4'000'000'000'000'000'000u);  // as late as the file system keeps it
      CHECK(modified <= static_cast<u64>(INT64_MAX));
    }
  }
}

TEST_CASE("wasi io: the structure filestat, in both editions") {
  for (const Edition edition : {Edition::snapshot_preview1, Edition::unstable}) {
    CAPTURE(edition == Edition::unstable);
    WasiFiles guest(vfs::best_resolver(), edition);
    const bool old = edition == Edition::unstable;
    const u32 size = old ? 56 : 64;
    struct stat status{};
    REQUIRE(stat((guest.scratch / "data/a").c_str(), &status) == 0);
    memset(guest.memory(data_at), 0xff, 100);
    CHECK(guest.stat(guest.dir, "a") == success);
    CHECK(guest.number<u64>(data_at) == status.st_dev);
    CHECK(guest.number<u64>(data_at + 8) == status.st_ino);
    CHECK(guest.number<u8>(data_at + 16) == 4);
    CHECK((old ? guest.number<u32>(data_at + 20) : guest.number<u64>(data_at + 24)) == 1);
    CHECK(guest.number<u64>(data_at + size - 32) == 5);
    CHECK(guest.number<u64>(data_at + size - 16) / 1'000'000'000 ==
          static_cast<u64>(status.st_mtim.tv_sec));
    CHECK(guest.number<u8>(data_at + size) == 0xff);
    guest.put(WasiGuest::path_at, "a");
    const auto stat_to = [&](i64 address) {
      return guest("path_filestat_get", {guest.dir, 0, WasiGuest::path_at, 1, address});
    };
    CHECK(stat_to(end - size) == success);
    CHECK(stat_to(end - size + 1) == Errno::fault);
    CHECK(guest("fd_filestat_get", {guest.dir, end - size + 1}) == Errno::fault);
    CHECK(guest("fd_filestat_get", {guest.dir, data_at}) == success);
    CHECK(guest.number<u8>(data_at + 16) == 3);
  }
}

TEST_CASE("wasi io: pipes wait, and don't when they are told so") {
  signal(SIGPIPE, SIG_IGN);
  Pipe pipe;
  StreamGuest guest;
  const i64 input = guest.add(pipe.fds[0], false);
  const i64 output = guest.add(pipe.fds[1], true);
  CHECK(guest.read(output, 1) == Errno::notcapable);
  CHECK(guest.write(input, "x") == Errno::notcapable);
  CHECK(guest("fd_seek", {input, 0, 0, result_at}) == Errno::spipe);
  CHECK(guest("fd_tell", {output, result_at}) == Errno::spipe);
  CHECK(guest("fd_pread", {input, 0, 0, 0, result_at}) == Errno::spipe);
  CHECK(guest("fd_pwrite", {output, 0, 0, 0, result_at}) == Errno::spipe);
  CHECK(guest.fdstat(input).type == 0);

  guest.vectors({{data_at, 2}, {data_at + 100, 50}});
  CHECK(guest.start("fd_read", {input, vectors_at, 2, result_at}).status == Status::pending);
  guest.loop.run_once(false);
  CHECK(!guest.process->ready());
  REQUIRE(::write(pipe.fds[1], "data", 4) == 4);
  CHECK(guest.wait() == success);
  CHECK(guest.value() == 4);
  CHECK(guest.text(data_at, 2) == "da");
  CHECK(guest.text(data_at + 100, 2) == "ta");

  CHECK(guest("fd_fdstat_set_flags", {input, 4}) == success);
  CHECK(guest.fdstat(input).flags == 4);
  CHECK(guest.read(input, 1) == Errno::again);
  REQUIRE(::write(pipe.fds[1], "x", 1) == 1);
  CHECK(guest.read(input, 10) == success);
  CHECK(guest.read_text() == "x");

  // A full pipe: a write waits until all is written, or says how much.
  pipe.fill();
  CHECK(guest("fd_fdstat_set_flags", {output, 4}) == success);
  CHECK(guest.write(output, "x") == Errno::again);
  char bytes[65536];
  REQUIRE(::read(pipe.fds[0], bytes, 4096) == 4096);
  CHECK(guest.write(output, std::string(60000, 'y')) == success);
  CHECK(guest.value() == 4096);
  CHECK(guest("fd_fdstat_set_flags", {output, 0}) == success);
  guest.vectors({{data_at, 60000}});
  CHECK(guest.start("fd_write", {output, vectors_at, 1, result_at}).status == Status::pending);
  usize drained = 0;
  while (!guest.process->ready() || guest.process->complete(guest.window).status != Status::value) {
    const ssize_t size = ::read(pipe.fds[0], bytes, sizeof bytes);
    REQUIRE(size > 0);
    drained += static_cast<usize>(size);
    guest.loop.run_once(false);
    REQUIRE(drained < 1'000'000);
  }
  CHECK(static_cast<Errno>(guest.window[0]) == success);
  CHECK(guest.value() == 60000);

  // Nobody reads any more.
  CHECK(guest("fd_close", {input}) == success);
  pipe.close_end(0);
  CHECK(guest.write(output, "x") == Errno::pipe);
}

TEST_CASE("wasi io: the end of a pipe, and one that is not there") {
  Pipe pipe;
  StreamGuest guest;
  const i64 input = guest.add(pipe.fds[0], false);
  const i64 none = guest.insert(wasi::stream(std::make_shared<host::Stream>(), true));
  REQUIRE(::write(pipe.fds[1], "x", 1) == 1);
  pipe.close_end(1);
  CHECK(guest.read(input, 10) == success);
  CHECK(guest.value() == 1);
  CHECK(guest.read(input, 10) == success);
  CHECK(guest.value() == 0);
  CHECK(guest.write(none, "x") == Errno::badf);
  CHECK(guest("fd_filestat_get", {none, data_at}) == Errno::badf);
  CHECK(guest("fd_filestat_get", {input, data_at}) == success);
  CHECK(guest.number<u8>(data_at + 16) == 0);
}

TEST_CASE("wasi io: redirected streams are files with a position; a device is no terminal") {
  ScratchDirectory scratch;
  put_text(scratch / "in", "content");
  const int in = ::open((scratch / "in").c_str(), O_RDONLY | O_CLOEXEC);
  const int out = ::open((scratch / "out").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  REQUIRE(in >= 0);
  {
    StreamGuest guest;
    const i64 input = guest.add(in, false);
    const i64 output = guest.add(out, true);
    const i64 device = guest.add(null, true);
    CHECK(guest.read(input, 3) == success);
    CHECK(guest.read_text() == "con");
    CHECK(guest("fd_seek", {input, 1, 0, result_at}) == success);
    CHECK(guest.read(input, 100) == success);
    CHECK(guest.read_text() == "ontent");
    guest.vectors({{data_at, 2}});
    CHECK(guest("fd_pread", {input, vectors_at, 1, 0, result_at}) == success);
    CHECK(guest.read_text() == "co");
    CHECK(guest.fdstat(input).type == 4);
    CHECK(guest("fd_filestat_get", {input, data_at}) == success);
    CHECK(guest.number<u64>(data_at + 32) == 7);
    CHECK(guest.write(output, "text") == success);
    CHECK(guest("fd_filestat_set_size", {output, 0}) == Errno::badf);
    CHECK(guest.fdstat(device).type == 0);
    CHECK(guest.write(device, "text") == success);
    CHECK(guest.value() == 4);
  }
  CHECK(text_of(scratch / "out") == "text");
  for (const int fd : {in, out, null}) close(fd);
}

TEST_CASE("wasi io: a terminal") {
  const int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0) return;
  const int terminal = ::open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
  REQUIRE(terminal >= 0);
  {
    StreamGuest guest;
    const i64 input = guest.add(terminal, false);
    CHECK(guest.fdstat(input).type == 2);
    // As wasi-libc's isatty looks at it.
    CHECK((guest.fdstat(input).base & (right_fd_seek | right_fd_tell)) == 0);
    guest.vectors({{data_at, 100}});
    CHECK(guest.start("fd_read", {input, vectors_at, 1, result_at}).status == Status::pending);
    REQUIRE(::write(master, "line\n", 5) == 5);
    CHECK(guest.wait() == success);
    CHECK(guest.read_text() == "line\n");
  }
  close(terminal);
  close(master);
}
