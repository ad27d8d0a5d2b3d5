// Machines that go on elsewhere: everything of them that guests can see.
#include <atomic>

#include "atoll/embed/impl.hpp"
#include "tests/support/snapshots.hpp"
#include "tests/unit/processes.hpp"

using namespace atollvm;
using namespace atollvm::test;
using sched::ExitKind;

namespace {

std::shared_ptr<const runtime::Program> program_of(const std::string& body) {
  const Engine engine;
  return Access::impl(assembled(engine, body))->program;
}

// How many safepoints all processes may still pass.
std::atomic<i64> steps{0};

// Each turn is one step up to the next safepoint, while there are any.
runtime::Outcome step(runtime::Process& process) {
  if (steps.fetch_sub(1) <= 0) {
    steps.fetch_add(1);
    return {runtime::Outcome::Kind::preempted, runtime::Trap::unreachable, 0};
  }
  process.preempt();
  return interp::run(process);
}

// Runs a guest that checks itself, one safepoint at a time, each in another scheduler.
void go_step_by_step(const std::string& body, sched::Spawn spawn = {}) {
  steps = 0;
  auto guests = std::make_unique<Guests>(1, step);
  REQUIRE(guests->start(program_of(body), spawn) != 0);
  u64 count = 0;
  while (true) {
    steps = 1;
    while (steps.load() > 0 && !guests->main_end()) nap_shortly();
    if (guests->main_end()) break;
    guests->pause();
    std::string image;
    const auto written = guests->write(image);
    if (!written && guests->main_end()) break;
    REQUIRE_MESSAGE(written.ok(), written.error().text());
    if (written->main == 0) break;
    ++count;
    steps = 0;
    guests = std::make_unique<Guests>(1, step);
    const auto read = guests->read(image);
    REQUIRE_MESSAGE(read.ok(), read.error().text());
    CHECK(read->processes == written->processes);
    CHECK(read->memory_bytes == written->memory_bytes);
    CHECK(read->stored_bytes == written->stored_bytes);
    CHECK(read->messages == written->messages);
    CHECK(read->main == written->main);
    // What was read is what was written.
    std::string again;
    REQUIRE(guests->write(again).ok());
    CHECK(again.size() == image.size());
    guests->resume();
  }
  steps = i64{1} << 40;
  const sched::Exit end = guests->wait_for_main();
  CHECK(end.kind == ExitKind::normal);
  CHECK(end.code == 0);
  CHECK(count > 3);
  MESSAGE(count << " safepoints");
  guests.reset();
  steps = 0;
}

}  // namespace

TEST_CASE("snapshot: loops, calls and recursion go on at every safepoint") {
  go_step_by_step(R"(
global total: mut i64 = 5
func fib(n: i32) -> i32 {
    if i32.lt_s n, 2 { ret n }
    ret (i32.add (call fib((i32.sub n, 1))), (call fib((i32.sub n, 2))))
}
func sum(n: i64) -> i64 {
    var s: i64
    for i: i64 in 0 .. n { i64.add s, s, i }
    ret s
}
func down(n: i32) -> i32 {
    if i32.eqz n { ret 9 }
    ret (i32.add (call down((i32.sub n, 1))), 1)
}
export func main() -> i32 {
    call is(1, (call fib(7)), 13)
    call is64(2, (call sum(20)), 190)
    call is(3, (call down(30)), 39)
    global.set total, (i64.add (global.get total), 2)
    call is(4, (call process_yield()), 0)
    call is64(5, (global.get total), 7)
    ret 0
}
)");
}

TEST_CASE("snapshot: bulk operations go on in their middle") {
  go_step_by_step(R"(
memory 9_000_000
table t: funcref 0 .. 1_000_000
export func main() -> i32 {
    memory.fill 1000, 7, 3_500_000
    call is(1, (i32.load8_u [1000]), 7)
    call is(2, (i32.load8_u [3_500_999]), 7)
    call is(3, (i32.load8_u [3_501_000]), 0)
    i32.store8 [1000], 1
    i32.store8 [3_500_999], 2
    // Up over itself: from the end.
    memory.copy 1_500_000, 1000, 3_500_000
    call is(4, (i32.load8_u [1_500_000]), 1)
    call is(5, (i32.load8_u [4_999_999]), 2)
    memory.copy 10, 1_500_000, 3_500_000
    call is(6, (i32.load8_u [10]), 1)
    call is(7, (i32.load8_u [3_500_009]), 2)
    var old: i32
    table.grow t, (ref.null func), 600_000 -> old
    call is(8, old, 0)
    table.fill t, 3, (ref.func main), 400_000
    call is(9, (table.size t), 600_000)
    call is(10, (ref.is_null (table.get t, 400_002)), 0)
    call is(11, (ref.is_null (table.get t, 400_003)), 1)
    ret 0
}
)");
}

TEST_CASE("snapshot: messages, bonds, names and timers survive every safepoint") {
  go_step_by_step(R"(
data echo_name = "echo"
data public_name = "the echo"
reserve how sizeof(SpawnOptions) align 8
reserve buffer 64 align 8
reserve info sizeof(MessageInfo) align 8
reserve pinfo sizeof(ProcessInfo) align 8
// Sends back what comes, until a 0.
export func echo(parent: i64) {
    call is(70, (call name_register(public_name, len(public_name), (call process_self()))), 0)
    loop {
        call is(71, (call receive(TAG_ANY, buffer, 64, -1, info)), 8)
        if i64.eqz (i64.load [buffer]) { ret }
        call is(72, (call process_send(parent, 1, buffer, 8)), 0)
    }
}
export func main() -> i32 {
    var me: i64, child: i64, timer: i64, watch: i64
    call process_self() -> me
    call is(1, (call process_trap_exit(1)), 0)
    i64.store [buffer], me
    i32.store [how + SpawnOptions.flags], SPAWN_LINK | SPAWN_MONITOR
    call start(echo_name, len(echo_name), buffer, 1, how) -> child
    call process_monitor(child) -> watch
    call timer_start(3_600_000_000_000, 5, 55) -> timer
    call is64(2, timer, 1)
    for i: i64 in 1 .. 4 {
        i64.store [buffer], i
        call is(3, (call process_send(child, 2, buffer, 8)), 0)
    }
    for i: i64 in 1 .. 4 {
        call is(4, (call receive(1, buffer, 64, 30_000_000_000, info)), 8)
        call is64(5, (i64.load [buffer]), i)
        call is64(6, (i64.load [info + MessageInfo.sender]), child)
    }
    call is64(7, (call name_find(public_name, len(public_name))), child)
    call is(8, (call process_info(child, pinfo)), 0)
    call is(9, (i32.load [pinfo + ProcessInfo.links]), 1)
    call is(10, (call timer_cancel(timer)), 0)
    call is(11, (call timer_cancel(timer)), -E_NOENT)
    call is64(12, (call timer_start(1_000_000, 6, 66)), 2)
    call is(13, (call receive(6, buffer, 64, 30_000_000_000, 0)), 8)
    call is64(14, (i64.load [buffer]), 66)
    i64.store [buffer], 0
    call is(15, (call process_send(child, 2, buffer, 8)), 0)
    call is_end(16, TAG_DOWN, child, EXIT_NORMAL, 0)
    call is_end(17, TAG_DOWN, child, EXIT_NORMAL, 0)
    call is_end(18, TAG_EXIT, child, EXIT_NORMAL, 0)
    call is64(19, (call name_find(public_name, len(public_name))), -E_NOENT)
    call is(20, (call receive(TAG_ANY, buffer, 64, 2_000_000, 0)), -E_TIMEDOUT)
    call nap(2)
    // The next one is another.
    i64.store [buffer], me
    i32.store [how + SpawnOptions.flags], 0
    if i64.eq (call start(echo_name, len(echo_name), buffer, 1, how)), child { ret 21 }
    ret 0
}
)");
}
