// Machines whose processes are stopped, moved and delayed at random, and that go on elsewhere again
// and again.
#include <random>

#include "atoll/embed/impl.hpp"
#include "tests/support/snapshots.hpp"
#include "tests/support/tier.hpp"
#include "tests/unit/processes.hpp"

using namespace atollvm;
using namespace atollvm::test;
using sched::ExitKind;

TEST_CASE("snapshot: disturbed machines that go on elsewhere at random end as they would") {
  // Workers compute, work on ranges, send large and small messages, sleep and end; the main process
  // counts.
  const Engine engine(test::engine_options());
  const auto program = Access::impl(assembled(engine, R"(
const large = 300_000
memory 64
data worker_name = "worker"
reserve how sizeof(SpawnOptions) align 8
reserve numbers 16 align 8
reserve info sizeof(MessageInfo) align 8
reserve buffer large
func fib(n: i32) -> i32 {
    if i32.lt_s n, 2 { ret n }
    ret (i32.add (call fib((i32.sub n, 1))), (call fib((i32.sub n, 2))))
}
export func worker(parent: i64, number: i64) {
    for round: i32 in 0 .. 4 {
        call is(50, (call fib(15)), 610)
        memory.fill buffer, (i32.wrap_i64 number), large
        memory.copy buffer + 1, buffer, large - 1
        call is(51, (i32.load8_u [buffer + large - 1]), (i32.wrap_i64 number))
        call is(52, (call process_send(parent, 1, buffer, 1000)), 0)
        call nap(1)
    }
    call is(53, (call process_send(parent, 2, buffer, large)), 0)
    ret
}
export func main() -> i32 {
    var pid: i64, n: i32, small: i32, big: i32, ends: i32, sum: i32
    i32.store [how + SpawnOptions.flags], SPAWN_MONITOR
    i64.store [numbers], (call process_self())
    for i: i32 in 1 .. 21 {
        i64.store [numbers + 8], (i64.extend_i32_u i)
        call start(worker_name, len(worker_name), numbers, 2, how) -> pid
        if i64.lt_s pid, 0 { call exit(2) }
    }
    while i32.lt_u ends, 20 {
        call receive(TAG_ANY, buffer, large, -1, info) -> n
        switch (i32.load [info + MessageInfo.tag]) {
            1 => {
                call is(3, n, 1000)
                i32.add small, small, 1
                i32.add sum, sum, (i32.load8_u [buffer + 999])
            }
            2 => {
                call is(4, n, large)
                i32.add big, big, 1
                call is(5, (i32.load8_u [buffer + large - 1]), (i32.load8_u [buffer]))
            }
            TAG_DOWN => {
                call is(6, (i32.load [buffer + ExitInfo.reason]), EXIT_NORMAL)
                i32.add ends, ends, 1
            }
            else => { call exit(7) }
        }
    }
    call is(8, small, 80)
    call is(9, big, 20)
    call is(10, sum, 840)
    call is(11, (call receive(TAG_ANY, 0, 0, 0, 0)), -E_TIMEDOUT)
    ret 0
}
)"))
                           ->program;
  for (const u64 seed : {1, 2}) {
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    sched::Spawn spawn;
    spawn.limits.fuel = u64{1} << 40;
    spawn.limits.handles = 64;
    if (seed == 2) {
      // Workers wait for room at the main process.
      spawn.mailbox.messages = 3;
      spawn.mailbox.bytes = 400'000;
      spawn.mailbox.overflow = sched::Overflow::wait;
    }
    auto guests = std::make_unique<Guests>(3, test::run_tier, std::vector<runtime::HostFunction>(),
                                           random() | 1);
    REQUIRE(guests->start(program, spawn) != 0);
    u64 moves = 0;
    u64 stops = 0;
    while (!guests->main_end()) {
      for (u64 naps = random() % 20; naps > 0 && !guests->main_end(); --naps) nap_shortly();
      if (guests->main_end()) break;
      guests->pause();
      std::string image;
      const auto written = guests->write(image);
      if (!written && guests->main_end()) break;
      REQUIRE_MESSAGE(written.ok(), written.error().text());
      if (written->main == 0) break;
      stops += guests->scheduler().stress_counts().stops;
      guests = std::make_unique<Guests>(3, test::run_tier, std::vector<runtime::HostFunction>(),
                                        random() | 1);
      const auto read = guests->read(image);
      REQUIRE_MESSAGE(read.ok(), read.error().text());
      guests->resume();
      ++moves;
    }
    const sched::Exit end = guests->wait_for_main();
    stops += guests->scheduler().stress_counts().stops;
    CHECK(end.kind == ExitKind::normal);
    CHECK(end.code == 0);
    CHECK(moves > 0);
    CHECK(stops > 10'000);
  }
}
