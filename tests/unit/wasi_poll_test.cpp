// WASI: poll_oneoff.
#include <fcntl.h>
#include <unistd.h>

#include "tests/support/wasi_guest.hpp"

using namespace atollvm;
using namespace atollvm::test;
using namespace atollvm::wasi;
using Status = runtime::HostResult::Status;

namespace {

constexpr u32 result_at = WasiGuest::result_at;
constexpr u32 in_at = 1024;
constexpr u32 out_at = 32768;
constexpr i64 end = WasiGuest::end;
constexpr Errno success = Errno::success;
constexpr u32 event_size = 32;
constexpr u64 milliseconds = 1'000'000;

struct PollGuest : WasiFiles {
  u32 count = 0;

  explicit PollGuest(Edition which = Edition::snapshot_preview1)
      : WasiFiles(vfs::best_resolver(), which) {}

  [[nodiscard]] u32 size() const { return edition == Edition::unstable ? 56 : 48; }
  u32 next(u64 userdata, u8 type) {
    const u32 at = in_at + count++ * size();
    memset(memory(at), 0, size());
    set<u64>(at, userdata);
    set<u8>(at + 8, type);
    return at;
  }
  void clock(u64 userdata, u32 id, u64 timeout, u16 flags) {
    const u32 at = next(userdata, 0);
    const u32 skip = edition == Edition::unstable ? 8 : 0;
    set<u32>(at + 16 + skip, id);
    set<u64>(at + 24 + skip, timeout);
    set<u64>(at + 32 + skip, 1);
    set<u16>(at + 40 + skip, flags);
  }
  void descriptor(u64 userdata, bool write, i64 fd) {
    set<u32>(next(userdata, write ? 2 : 1) + 16, static_cast<u32>(fd));
  }
  void clear() { count = 0; }
  Errno poll() { return (*this)("poll_oneoff", {in_at, out_at, count, result_at}); }
  Status start_poll() { return start("poll_oneoff", {in_at, out_at, count, result_at}).status; }
  void wait() {
    runtime::HostResult ended = runtime::HostResult::pending();
    while (ended.status == Status::pending) {
      while (!process->ready()) loop.run_once(true);
      ended = process->complete(window);
    }
    REQUIRE(ended.status == Status::value);
    REQUIRE(static_cast<Errno>(window[0]) == success);
  }

  struct Event {
    u64 userdata = 0;
    Errno error = Errno::success;
    u8 type = 0;
    u64 bytes = 0;
    u16 flags = 0;
  };
  [[nodiscard]] Event event(u32 index) const {
    const u32 at = out_at + index * event_size;
    return {number<u64>(at), static_cast<Errno>(number<u16>(at + 8)), number<u8>(at + 10),
            number<u64>(at + 16), number<u16>(at + 24)};
  }
};

struct Pipe {
  int fds[2] = {-1, -1};
  Pipe() { REQUIRE(pipe2(fds, O_CLOEXEC) == 0); }
  ~Pipe() {
    for (const int fd : fds) {
      if (fd >= 0) close(fd);
    }
  }
};

u64 now(host::Clock clock, const WasiGuest& guest) {
  return static_cast<u64>(guest.environment.clock(clock));
}

}  // namespace

TEST_CASE("wasi poll: clocks, relative and absolute") {
  for (const Edition edition : {Edition::snapshot_preview1, Edition::unstable}) {
    CAPTURE(edition == Edition::unstable);
    for (const u32 id : {0u, 1u}) {
      PollGuest guest(edition);
      const auto which = static_cast<host::Clock>(id);
      const u64 begin = loop::monotonic_ns();
      guest.clock(77, id, 20 * milliseconds, 0);
      CHECK(guest.poll() == success);
      CHECK(guest.value() == 1);
      CHECK(loop::monotonic_ns() - begin >= 20 * milliseconds);
      CHECK(guest.event(0).userdata == 77);
      CHECK(guest.event(0).type == 0);
      CHECK(guest.event(0).error == success);
      guest.clear();
      const u64 from = loop::monotonic_ns();
      guest.clock(78, id, now(which, guest) + 20 * milliseconds, 1);
      CHECK(guest.poll() == success);
      CHECK(loop::monotonic_ns() - from >= 19 * milliseconds);
      CHECK(guest.event(0).userdata == 78);
      // Long past: at once.
      guest.clear();
      guest.clock(79, id, 5, 1);
      guest.clock(80, id, 0, 0);
      guest.clock(81, id, UINT64_MAX, 0);
      CHECK(guest.start_poll() == Status::value);
      CHECK(guest.value() == 2);
      CHECK(guest.event(0).userdata == 79);
      CHECK(guest.event(1).userdata == 80);
    }
  }
}

TEST_CASE("wasi poll: the first of several things, and those that happened with it") {
  PollGuest guest;
  Pipe one;
  Pipe two;
  const i64 first = guest.insert(wasi::stream(host::make_stream(one.fds[0]), false));
  const i64 second = guest.insert(wasi::stream(host::make_stream(two.fds[0]), false));
  guest.clock(1, 1, UINT64_MAX, 0);
  guest.descriptor(2, false, first);
  guest.descriptor(3, false, second);
  guest.descriptor(4, false, second);
  REQUIRE(guest.start_poll() == Status::pending);
  CHECK(guest.loop.waiting() == 3);
  guest.loop.run_once(false);
  CHECK(!guest.process->ready());
  REQUIRE(write(two.fds[1], "abc", 3) == 3);
  guest.wait();
  CHECK(guest.loop.waiting() == 0);
  CHECK(guest.value() == 2);
  for (u32 i = 0; i < 2; ++i) {
    CHECK(guest.event(i).userdata == 3 + i);
    CHECK(guest.event(i).type == 1);
    CHECK(guest.event(i).bytes == 3);
    CHECK(guest.event(i).flags == 0);
  }
  // The end of the other.
  close(std::exchange(one.fds[1], -1));
  guest.clear();
  guest.descriptor(5, false, first);
  CHECK(guest.start_poll() == Status::value);
  CHECK(guest.event(0).flags == 1);
  CHECK(guest.event(0).bytes == 0);
  // The time is up first.
  REQUIRE(read(two.fds[0], guest.memory(60000), 3) == 3);
  guest.clear();
  guest.descriptor(6, false, second);
  guest.clock(7, 1, 10 * milliseconds, 0);
  CHECK(guest.poll() == success);
  CHECK(guest.value() == 1);
  CHECK(guest.event(0).userdata == 7);
  CHECK(guest.loop.waiting() == 0);
}

TEST_CASE("wasi poll: room in a pipe") {
  PollGuest guest;
  Pipe pipe;
  const i64 output = guest.insert(wasi::stream(host::make_stream(pipe.fds[1]), true));
  guest.descriptor(1, true, output);
  CHECK(guest.start_poll() == Status::value);
  CHECK(guest.event(0).type == 2);
  fcntl(pipe.fds[1], F_SETFL, O_NONBLOCK);
  const std::string zeros(4096, '\0');
  while (write(pipe.fds[1], zeros.data(), zeros.size()) > 0) {
  }
  REQUIRE(guest.start_poll() == Status::pending);
  char bytes[65536];
  REQUIRE(read(pipe.fds[0], bytes, sizeof bytes) > 0);
  guest.wait();
  CHECK(guest.event(0).error == success);
}

TEST_CASE("wasi poll: files and devices are always ready") {
  PollGuest guest;
  const u64 rights = right_fd_read | right_fd_write | right_fd_seek | right_poll_fd_readwrite;
  const i64 file = guest.open(guest.dir, "a", {0, rights, 0, 0, 0});
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  const i64 device = guest.insert(wasi::stream(host::make_stream(null), true));
  guest.descriptor(1, false, file);
  guest.descriptor(2, true, file);
  guest.descriptor(3, true, device);
  CHECK(guest.start_poll() == Status::value);
  CHECK(guest.value() == 3);
  CHECK(guest.event(0).bytes == 5);
  CHECK(guest.event(0).flags == 0);
  CHECK(guest("fd_seek", {file, 0, 2, result_at}) == success);
  guest.clear();
  guest.descriptor(1, false, file);
  CHECK(guest.start_poll() == Status::value);
  CHECK(guest.event(0).bytes == 0);
  CHECK(guest.event(0).flags == 1);
  close(null);
}

TEST_CASE("wasi poll: what is wrong with a descriptor is told by its event") {
  PollGuest guest;
  const i64 no_poll = guest.open(guest.dir, "a", {0, right_fd_read, 0, 0, 0});
  const i64 no_write =
      guest.open(guest.dir, "a", {0, right_fd_read | right_poll_fd_readwrite, 0, 0, 0});
  guest.descriptor(1, false, 99);
  guest.descriptor(2, false, guest.dir);
  guest.descriptor(3, false, no_poll);
  guest.descriptor(4, true, no_write);
  guest.descriptor(5, false, no_write);
  guest.descriptor(6, false, 0);  // a stream that the process was not given
  guest.clock(7, 1, UINT64_MAX, 0);
  CHECK(guest.start_poll() == Status::value);
  CHECK(guest.value() == 6);
  const Errno errors[] = {Errno::badf,       Errno::badf, Errno::notcapable,
                          Errno::notcapable, success,     Errno::badf};
  for (u32 i = 0; i < 6; ++i) {
    CAPTURE(i);
    CHECK(guest.event(i).userdata == i + 1);
    CHECK(guest.event(i).error == errors[i]);
  }
}

TEST_CASE("wasi poll: bad subscriptions, counts and addresses") {
  PollGuest guest;
  CHECK(guest.poll() == Errno::inval);  // nothing to wait for
  guest.clock(1, 2, 0, 0);
  CHECK(guest.poll() == Errno::inval);
  guest.clear();
  guest.clock(1, 4, 0, 0);
  CHECK(guest.poll() == Errno::inval);
  guest.clear();
  guest.clock(1, 1, 0, 2);
  CHECK(guest.poll() == Errno::inval);
  guest.clear();
  guest.next(1, 3);
  CHECK(guest.poll() == Errno::inval);
  guest.clear();
  guest.clock(1, 1, 0, 0);
  for (const i64 count : {i64{8193}, i64{0x05555556}, i64{0x08000000}, i64{0xffffffff}}) {
    CHECK(guest("poll_oneoff", {in_at, out_at, count, result_at}) == Errno::inval);
  }
  CHECK(guest("poll_oneoff", {in_at, out_at, 8192, result_at}) == Errno::fault);
  CHECK(guest("poll_oneoff", {end - 47, out_at, 1, result_at}) == Errno::fault);
  CHECK(guest("poll_oneoff", {0xffffffff, out_at, 1, result_at}) == Errno::fault);
  CHECK(guest("poll_oneoff", {in_at, end - 31, 1, result_at}) == Errno::fault);
  CHECK(guest("poll_oneoff", {in_at, out_at, 1, end - 3}) == Errno::fault);
  // Events over the subscriptions: these are read first.
  CHECK(guest("poll_oneoff", {in_at, in_at, 1, result_at}) == success);
  CHECK(guest.number<u64>(in_at) == 1);
}

TEST_CASE("wasi poll: a process that ends while it waits for many things") {
  PollGuest guest;
  Pipe pipe;
  const i64 output = guest.insert(wasi::stream(host::make_stream(pipe.fds[1]), true));
  fcntl(pipe.fds[1], F_SETFL, O_NONBLOCK);
  const std::string zeros(4096, '\0');
  while (write(pipe.fds[1], zeros.data(), zeros.size()) > 0) {
  }
  Pipe other;
  const i64 empty = guest.insert(wasi::stream(host::make_stream(other.fds[0]), false));
  for (u32 i = 0; i < 200; ++i) guest.descriptor(i, i % 2 == 0, i % 2 == 0 ? output : empty);
  guest.clock(1, 1, UINT64_MAX, 0);
  guest.clock(2, 0, UINT64_MAX, 1);
  REQUIRE(guest.start_poll() == Status::pending);
  CHECK(guest.loop.waiting() == 3);  // each thing once, and the first clock
  guest.process.reset();
  CHECK(guest.loop.waiting() == 0);
}
