// Rates of I/O: the bucket by itself, and calls that wait for it. Where a test needs somebody to
// wait it drains the bucket for an hour, so that no delay of the host decides.
#include <fcntl.h>
#include <unistd.h>

#include "stdlib/host/socket.hpp"
#include "tests/support/guest.hpp"
#include "tests/support/snapshots.hpp"
#include "tests/support/wasi_guest.hpp"
#include "tests/unit/machines.hpp"

using namespace atollvm;
using namespace atollvm::test;
using cap::Errno;
using cap::Rate;
using Status = runtime::HostResult::Status;

namespace {

constexpr u64 second = Rate::second;
constexpr u64 hour = 3600;

}  // namespace

TEST_CASE("rate: what one second gives at once, then as it comes") {
  Rate rate(10);
  u64 now = 5 * second;
  for (int i = 0; i < 10; ++i) CHECK(rate.take(1, now) == 0);
  // In the order of taking, a tenth of a second after each other.
  for (u64 i = 1; i <= 5; ++i) CHECK(rate.take(1, now) == now + i * second / 10);
  now += second;
  for (int i = 0; i < 5; ++i) CHECK(rate.take(1, now) == 0);
  CHECK(rate.take(1, now) == now + second / 10);
  // It never holds more than that.
  now += hour * second;
  for (int i = 0; i < 10; ++i) CHECK(rate.take(1, now) == 0);
  CHECK(rate.take(1, now) > now);
}

TEST_CASE("rate: in any time not more than the rate gives in it and a second more") {
  for (const u64 limit : {u64{1}, u64{3}, u64{7'000}, u64{1} << 30, u64{1} << 46}) {
    Rate rate(limit);
    u64 now = second;
    u64 random = limit;
    std::vector<std::pair<u64, u64>> uses;  // when, how much
    for (int i = 0; i < 500; ++i) {
      random = random * 6364136223846793005u + 1442695040888963407u;
      now += (random >> 33) % (second / 4);
      const u64 amount = rate.share((random >> 20) % (2 * limit) + 1, now);
      CHECK(amount >= 1);
      CHECK(amount <= std::max<u64>(limit, 1));
      const u64 at = rate.take(amount, now);
      uses.emplace_back(std::max(at, now), amount);
    }
    for (usize first = 0; first < uses.size(); first += 7) {
      __extension__ using Wide = unsigned __int128;
      Wide sum = 0;
      for (usize i = first; i < uses.size(); ++i) {
        sum += uses[i].second;
        const u64 time = uses[i].first - uses[first].first;
        if (sum * second > Wide{limit} * (time + second)) FAIL("too much at ", limit);
      }
    }
  }
}

TEST_CASE("rate: shares, what is given back, more than it holds, ends of the numbers") {
  Rate rate(800);
  const u64 now = 7 * second;
  CHECK(rate.share(10, now) == 10);
  CHECK(rate.share(5000, now) == 800);
  CHECK(rate.take(700, now) == 0);
  CHECK(rate.share(5000, now) == 100);
  CHECK(rate.take(60, now) == 0);
  CHECK(rate.share(5000, now) == 100);  // an eighth at least, for which it waits
  CHECK(rate.share(7, now) == 7);
  CHECK(rate.take(100, now) == now + second * 60 / 800);
  rate.give(100);
  rate.give(60);
  CHECK(rate.take(100, now) == 0);
  rate.give(800);
  // More than it holds comes when there would be as much.
  CHECK(rate.take(1600, now) == now + second);
  CHECK(rate.take(1, now) == now + second + second / 800);
  rate.give(~u64{0});
  CHECK(rate.take(800, now) == 0);
  for (int i = 0; i < 100; ++i) rate.take(~u64{0}, now);
  const u64 last = rate.take(~u64{0}, now);
  CHECK(last > now + hour * second * 24 * 365);
  for (int i = 0; i < 100; ++i) rate.give(~u64{0});
  CHECK(rate.take(800, now) == 0);
  CHECK(Rate(0).limit() == 1);
  CHECK_FALSE(Rate().is_limited());
}

namespace {

// A guest whose machine has rates.
struct RatedGuest : Guest {
  cap::Account account;
  explicit RatedGuest(const cap::AccountLimits& limits, runtime::IoAmount own = {})
      : account(limits) {
    ModuleBuilder module;
    module.memory(memory_size, memory_size, 0);
    runtime::Options options;
    options.limits.handles = 64;
    options.io_rate = own;
    account.memory.add(1 << 20);
    options.account = &account;
    use(process_of(module, options));
  }
  ~RatedGuest() { process.reset(); }
  // Nothing of a kind for an hour.
  static void drain(Rate& rate) { rate.take((hour + 1) * rate.limit(), loop::monotonic_ns()); }
  static void refill(Rate& rate) { rate.give(2 * hour * rate.limit()); }
};

struct Ends {
  int ends[2];
  Ends() { REQUIRE(pipe2(ends, O_CLOEXEC) == 0); }
  ~Ends() {
    close(ends[0]);
    close(ends[1]);
  }
};

}  // namespace

TEST_CASE("I/O rates: transfers come in pieces that there is room for") {
  const Ends pipe;
  RatedGuest guest({.io_bytes_rate = 1 << 16});
  const i64 out = guest.grant(host::make_stream(pipe.ends[1]), cap::right_write);
  const i64 in = guest.grant(host::make_stream(pipe.ends[0]), cap::right_read);
  CHECK(guest("write", {out, 0, 1000}) == 1000);
  // What a read finds is charged, not what it would have taken.
  CHECK(guest("read", {in, 0, 60'000}) == 1000);
  CHECK(guest.account.io_bytes.used() == 2000);
  CHECK(guest("write", {out, 0, 3000}) == 3000);
  CHECK(guest.account.io_bytes_rate.share(1 << 16, loop::monotonic_ns()) >= (1 << 16) - 5000);

  RatedGuest::drain(guest.account.io_bytes_rate);
  REQUIRE(guest.start("read", {in, 0, 60'000}).status == Status::pending);
  CHECK_FALSE(guest.process->ready());
  CHECK(guest.process->is_unbegun);
  CHECK_FALSE(guest.process->is_in_job());
  CHECK(guest.account.io_bytes.used() == 5000 + (1 << 13));  // an eighth
  // Its end gives back what it waited for.
  guest.process->stop(runtime::Trap::interrupted);
  CHECK(guest.loop.waiting() == 0);
  CHECK(guest.account.io_bytes.used() == 5000);
  RatedGuest::refill(guest.account.io_bytes_rate);
  CHECK(guest.account.io_bytes_rate.share(1 << 16, loop::monotonic_ns()) == 1 << 16);
}

TEST_CASE("I/O rates: a call goes on when there is enough, and no sooner") {
  const vfs::Descriptor file(open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  const std::string bytes(4000, 'x');
  REQUIRE(write(file.get(), bytes.data(), bytes.size()) == 4000);
  for (const bool is_own : {true, false}) {
    const u64 limit = 20'000;
    RatedGuest guest(is_own ? cap::AccountLimits{} : cap::AccountLimits{.io_bytes_rate = limit},
                     is_own ? runtime::IoAmount{.bytes = limit} : runtime::IoAmount{});
    const i64 h = guest.grant(host::make_stream(file.get()), cap::right_read);
    // 24,000 bytes: 4,000 of them take a fifth of a second.
    const u64 begin = loop::monotonic_ns();
    for (i64 left = 24'000; left > 0;) {
      lseek(file.get(), 0, SEEK_SET);
      const i64 got = guest("read", {h, 0, std::min<i64>(left, 4000)});
      REQUIRE(got > 0);
      left -= got;
    }
    CHECK(loop::monotonic_ns() - begin >= second / 5);
  }
}

TEST_CASE("I/O rates: operations") {
  for (const bool is_own : {true, false}) {
    RatedGuest guest(is_own ? cap::AccountLimits{} : cap::AccountLimits{.io_operations_rate = 50},
                     is_own ? runtime::IoAmount{.operations = 50} : runtime::IoAmount{});
    const Ends pipe;
    const i64 h = guest.grant(host::make_stream(pipe.ends[1]), cap::right_write);
    const u64 begin = loop::monotonic_ns();
    for (int i = 0; i < 60; ++i) REQUIRE(guest("write", {h, 0, 1}) == 1);
    CHECK(loop::monotonic_ns() - begin >= second / 5);
    CHECK(guest.process->io_used().operations == 60);
    CHECK(guest.process->io_rate().operations == (is_own ? 50 : Rate::unlimited));
    if (is_own) continue;
    RatedGuest::drain(guest.account.io_operations_rate);
    REQUIRE(guest.start("write", {h, 0, 1}).status == Status::pending);
    CHECK(guest.process->is_unbegun);
    CHECK(guest.account.io_operations.used() == 61);
    guest.process->stop(runtime::Trap::interrupted);
    CHECK(guest.account.io_operations.used() == 60);
  }
}

TEST_CASE("I/O rates: the gate looks again at a handle when its turn has come") {
  RatedGuest guest({.io_operations_rate = 20});
  const Ends pipe;
  const i64 revoker = guest("revoker_make");
  const i64 first = guest.grant(host::make_stream(pipe.ends[1]), cap::right_write);
  const i64 h = guest("handle_revocable", {first, revoker, cap::right_write});
  REQUIRE(h >= 0);
  guest.account.io_operations_rate.take(22, loop::monotonic_ns());
  REQUIRE(guest.start("write", {h, 0, 1}).status == Status::pending);
  static_cast<cap::Revoker&>(
      *guest.process->handles().find(static_cast<cap::Handle>(revoker))->object)
      .revoke();
  while (!guest.process->ready()) guest.loop.run_once(true);
  REQUIRE(guest.process->complete(guest.window).status == Status::value);
  CHECK(guest.result("write") == -Errno::notcapable);
}

TEST_CASE("I/O rates: calls with a timeout keep it") {
  auto rules = net::Rules::parse("udp-listen:127.0.0.1:0,listen:127.0.0.1:0,dns,names=5,packets=5");
  REQUIRE(rules.ok());
  const auto network = std::make_shared<net::Network>(*rules);
  RatedGuest guest({.io_bytes_rate = 1 << 20, .io_operations_rate = 1000});
  guest.environment.resolve = [](std::string_view) {
    return std::vector{*net::parse_address("10.1.1.1")};
  };
  const i64 h = guest.grant(network, net::network_rights);
  guest.put(0, "127.0.0.1");
  const i64 socket = guest("udp_open", {h, 0, 9, 0});
  const i64 listener = guest("tcp_listen", {h, 0, 9, 0, 5});
  REQUIRE(socket >= 0);
  REQUIRE(listener >= 0);
  const auto used = [&] { return guest.account.io_operations.used(); };
  const u64 before = used();
  CHECK(guest("udp_receive", {socket, 0, 100, 0, 1'000'000}) == -Errno::timedout);
  CHECK(guest("tcp_accept", {listener, 0, 1'000'000}) == -Errno::timedout);
  CHECK(used() == before + 2);
  // Each of what it could wait for.
  RatedGuest::drain(guest.account.io_operations_rate);
  CHECK(guest("udp_receive", {socket, 0, 100, 0, 1'000'000}) == -Errno::timedout);
  CHECK(guest("tcp_accept", {listener, 0, 0}) == -Errno::timedout);
  CHECK(used() == before + 2);  // they were not made
  RatedGuest::refill(guest.account.io_operations_rate);
  RatedGuest::drain(guest.account.io_bytes_rate);
  CHECK(guest("udp_receive", {socket, 0, 100, 0, 1'000'000}) == -Errno::timedout);
  RatedGuest::refill(guest.account.io_bytes_rate);
  RatedGuest::drain(*network->packets());
  CHECK(guest("udp_receive", {socket, 0, 100, 0, 1'000'000}) == -Errno::timedout);
  CHECK(guest.account.io_bytes.used() == 0);
  // What did not come is not counted as a datagram.
  RatedGuest::refill(*network->packets());
  for (int i = 0; i < 20; ++i) {
    CHECK(guest("udp_receive", {socket, 0, 100, 0, 0}) == -Errno::timedout);
  }
  CHECK(network->packets()->share(100, loop::monotonic_ns()) == 5);
  guest.put(64, "example.org");
  CHECK(guest("host_lookup", {h, 64, 11, 128, 4, 1'000'000}) == 1);
  RatedGuest::drain(*network->names());
  CHECK(guest("host_lookup", {h, 64, 11, 128, 4, 1'000'000}) == -Errno::timedout);
  guest.put(64, "localhost  ");  // asks nobody
  CHECK(guest("host_lookup", {h, 64, 9, 128, 4, 1'000'000}) == 2);
  guest.put(64, "example.org");
  REQUIRE(guest.start("host_lookup", {h, 64, 11, 128, 4, -1}).status == Status::pending);
  CHECK_FALSE(guest.process->ready());
  // The time that it waits for its turn is of its timeout.
  const u64 begin = loop::monotonic_ns();
  RatedGuest other({.io_operations_rate = 10});
  const i64 receiver = other.grant(guest.process->handles().find(static_cast<u32>(socket))->object,
                                   host::datagrams_rights);
  other.account.io_operations_rate.take(11, begin);
  CHECK(other("udp_receive", {receiver, 0, 100, 0, 300'000'000}) == -Errno::timedout);
  CHECK(loop::monotonic_ns() - begin >= second * 3 / 10);
  CHECK(static_cast<i64>(other.account.io_operations.used()) == 1);
}

TEST_CASE("networks: bytes and datagrams a second, in both directions, of all sockets") {
  auto rules = net::Rules::parse(
      "listen:127.0.0.1:0,connect:127.0.0.1:*,udp-listen:127.0.0.1:0,udp:127.0.0.1:*,"
      "bandwidth=10k/s,packets=4");
  REQUIRE(rules.ok());
  CHECK(rules->bandwidth() == 10 << 10);
  const auto network = std::make_shared<net::Network>(*rules);
  Guest guest;
  const i64 h = guest.grant(network, net::network_rights);
  guest.put(0, "127.0.0.1");
  const i64 listener = guest("tcp_listen", {h, 0, 9, 0, 5});
  REQUIRE(guest("socket_address", {listener, 0, 64}) == 0);
  const i64 one = guest("tcp_connect", {h, 0, 9, guest.number<u32>(68), 5'000'000'000});
  const i64 two = guest("tcp_accept", {listener, 0, 5'000'000'000});
  REQUIRE(one >= 0);
  REQUIRE(two >= 0);
  Rate& bytes = *network->bandwidth();
  const auto now = [] { return loop::monotonic_ns(); };
  bytes.take(10'000, now());
  bytes.give(10'000);
  CHECK(guest("write", {one, 1024, 400}) == 400);
  CHECK(guest("read", {two, 1024, 10'000}) == 400);
  RatedGuest::drain(bytes);
  REQUIRE(guest.start("write", {two, 1024, 1}).status == Status::pending);
  CHECK_FALSE(guest.process->ready());
  guest.process->stop(runtime::Trap::interrupted);
  guest.process->state = runtime::Process::State::idle;
  RatedGuest::refill(bytes);
  // More at once than the rate gives in a second: as much as that.
  CHECK(guest("write", {two, 1024, 100'000}) == 10 << 10);
  const u64 begin = now();
  CHECK(guest("write", {two, 1024, 1280}) >= 1);
  CHECK(guest("read", {one, 1024, 1280}) == 1280);
  CHECK(now() - begin >= second / 8);

  const i64 socket = guest("udp_open", {h, 0, 9, 0});
  REQUIRE(guest("socket_address", {socket, 0, 64}) == 0);
  RatedGuest::refill(bytes);
  // A datagram is never cut: the others wait for what it was too large.
  CHECK(guest("udp_send", {socket, 1024, 20'000, 64}) == 20'000);
  CHECK(bytes.take(0, now()) > now() + second / 4);
  RatedGuest::refill(bytes);
  CHECK(guest("udp_receive", {socket, 1024, 65'536, 0, 5'000'000'000}) == 20'000);
  RatedGuest::refill(bytes);
  RatedGuest::refill(*network->packets());
  CHECK(guest("udp_send", {socket, 1024, 1, 64}) == 1);
  RatedGuest::drain(*network->packets());
  REQUIRE(guest.start("udp_send", {socket, 1024, 1, 64}).status == Status::pending);
  CHECK_FALSE(guest.process->ready());
  guest.process->stop(runtime::Trap::interrupted);
}

TEST_CASE("I/O rates: who waits holds up nobody, and can be killed") {
  for (const unsigned workers : {1u, 2u}) {
    const Pipe pipe;
    MachineGuest guest(R"(
data slow_name = "slow"
data fast_name = "fast"
reserve how sizeof(SpawnOptions) align 8
reserve text 100
export func slow() {
    var n: i32
    loop {
        call write(STDOUT, text, 1) -> n
    }
}
export func fast() {
    var i: i32
    loop {
        call is(1, (call write(STDERR, text, 1)), -E_BADF)
        i32.add i, i, 1
        if i32.ge_s i, 1000 { break }
    }
    ret
}
export func main() -> i32 {
    var one: i64, other: i64, i: i32
    i32.store [how + SpawnOptions.flags], SPAWN_MONITOR | SPAWN_STDIO | SPAWN_RATES
    i64.store [how + SpawnOptions.io_operations_rate], 1
    loop {
        call start(slow_name, len(slow_name), 0, 0, how) -> one
        i32.add i, i, 1
        if i32.ge_s i, 50 { break }
    }
    i64.store [how + SpawnOptions.io_operations_rate], 0
    call start(fast_name, len(fast_name), 0, 0, how) -> other
    call is_end(2, TAG_DOWN, other, EXIT_NORMAL, 0)
    call is(3, (call process_kill(one)), 0)
    call is_end(4, TAG_DOWN, one, EXIT_KILLED, 0)
    ret 0
}
)",
                       limited({}), workers);
    guest.output = pipe.ends[1];
    guest.check();
    // The end of those that waited gave back what they waited for.
    CHECK(guest.machine().account().io_operations.used() >= 1000);
  }
}

TEST_CASE("I/O rates: a child may have less, and never more") {
  const Pipe pipe;
  MachineGuest guest(R"(
data child_name = "child"
reserve how sizeof(SpawnOptions) align 8
data text = "abcdefghij"
export func child(most: i32) {
    var n: i32
    call write(STDOUT, text, 10) -> n
    if i32.gt_s n, most { call exit(40) }
    ret
}
reserve argument 8 align 8
export func main() -> i32 {
    var pid: i64
    i32.store [how + SpawnOptions.flags], SPAWN_MONITOR | SPAWN_STDIO | SPAWN_RATES
    i64.store [how + SpawnOptions.io_bytes_rate], 3
    i32.store [argument], 3
    call start(child_name, len(child_name), argument, 1, how) -> pid
    call is_end(1, TAG_DOWN, pid, EXIT_NORMAL, 0)
    i64.store [how + SpawnOptions.io_bytes_rate], 1000
    i32.store [argument], 5
    call start(child_name, len(child_name), argument, 1, how) -> pid
    call is_end(2, TAG_DOWN, pid, EXIT_NORMAL, 0)
    i32.store [how + SpawnOptions.flags], SPAWN_MONITOR | SPAWN_STDIO
    call start(child_name, len(child_name), argument, 1, how) -> pid
    call is_end(3, TAG_DOWN, pid, EXIT_NORMAL, 0)
    ret 0
}
)",
                     limited({}));
  guest.spawn.io_rate.bytes = 5;
  guest.output = pipe.ends[1];
  guest.check();
  CHECK(pipe.text() == "abcabcdeabcde");
}

TEST_CASE("I/O rates: a call that waits for its turn is made anew by a snapshot") {
  const Ends pipe;
  const std::string data(60, 'x');
  REQUIRE(write(pipe.ends[1], data.data(), data.size()) == 60);
  for (const bool of_operations : {false, true}) {
    Guests guests;
    sched::Spawn spawn;
    spawn.handles.push_back({host::make_stream(pipe.ends[0]), cap::rights_all});
    (of_operations ? spawn.io_rate.operations : spawn.io_rate.bytes) = 1;
    Engine engine(test::engine_options());
    const auto program = Access::impl(assembled(engine, R"(
reserve buffer 64 align 8
export func main() -> i32 {
    var n: i32
    loop {
        call read(0, buffer, 1) -> n
        if i32.ne n, 1 { break }
    }
    // A restored process has no such handle.
    call is(1, n, -E_BADF)
    ret 0
}
)"))
                             ->program;
    const sched::Pid main = guests.start(program, spawn);
    REQUIRE(main != 0);
    const auto waits = [&] {
      const auto held = guests.scheduler().find(guests.machine(), main);
      return held && held->phase_now() == sched::Task::Phase::waiting;
    };
    while (!waits()) nap_shortly();
    guests.pause();
    std::string image;
    const auto written = guests.write(image);
    REQUIRE(written.ok());
    CHECK(written->canceled_calls == 0);
    Guests moved;
    snapshot::Bounds bounds;
    bounds.io_rate.operations = 7;
    const auto read = moved.read(image, bounds);
    REQUIRE(read.ok());
    {
      const auto held = moved.scheduler().find(moved.machine(), main);
      REQUIRE(held);
      CHECK(held->io_rate().operations == 7);
    }
    moved.resume();
    CHECK(moved.wait_for_main().code == 0);
    guests.resume();
    guests.scheduler().kill_all(guests.machine(), {sched::ExitKind::stopped, 0});
    guests.wait_until_empty();
  }
}

TEST_CASE("wasi: a transfer of several buffers goes on when its turns come") {
  const Ends pipe;
  WasiGuest guest;
  cap::Account account({.io_bytes_rate = 20'000});
  account.memory.add(1 << 20);
  guest.process->charge_to(account);
  const i64 out = guest.insert(wasi::stream(host::make_stream(pipe.ends[1]), true));
  const i64 in = guest.insert(wasi::stream(host::make_stream(pipe.ends[0]), false));
  account.io_bytes_rate.take(15'000, loop::monotonic_ns());
  guest.put(WasiGuest::data_at, "abcdefghij");
  // 9,000 bytes, of which 4,000 take a fifth of a second.
  guest.vectors({{WasiGuest::data_at, 5000}, {WasiGuest::data_at, 0}, {WasiGuest::data_at, 4000}});
  const u64 begin = loop::monotonic_ns();
  CHECK(guest("fd_write", {out, WasiGuest::vectors_at, 3, WasiGuest::result_at}) == Errno::success);
  CHECK(loop::monotonic_ns() - begin >= second / 5);
  CHECK(guest.value() == 9000);
  CHECK(account.io_bytes.used() == 9000);
  guest.vectors({{WasiGuest::data_at + 20'000, 5000}, {WasiGuest::data_at + 30'000, 9000}});
  u32 got = 0;
  while (got < 9000) {
    CHECK(guest("fd_read", {in, WasiGuest::vectors_at, 2, WasiGuest::result_at}) == Errno::success);
    REQUIRE(guest.value() > 0);
    got += guest.value();
  }
  CHECK(account.io_bytes.used() == 18'000);
  guest.process.reset();
}
