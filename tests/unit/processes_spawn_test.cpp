// Starting processes: arguments, what they get, limits; and how a program of many ends.
#include <atomic>
#include <chrono>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "tests/support/engine.hpp"
#include "tests/unit/processes.hpp"

using namespace atollvm;
using namespace atollvm::test;
using namespace std::chrono_literals;
using Kind = Outcome::Kind;

TEST_CASE("processes: errors of spawn") {
  check_guest(R"(
data child_name = "child"
data one_name = "one"
data refers_name = "refers"
reserve how sizeof(SpawnOptions) align 8
reserve cells 4096 align 8
export func child() { ret }
export func one(x: i32) { ret }
export func refers(x: externref) { ret }
func with(number: i32, wanted: i64) {
    call is64(number, (call start(child_name, len(child_name), 0, 0, how)), wanted)
    memory.fill how, 0, sizeof(SpawnOptions)
    ret
}
export func main() -> i32 {
    var entry: i32, h: i32
    call entry_find(child_name, len(child_name)) -> entry
    call is64(1, (call spawn(-1, 0, 0, 0)), -E_INVAL)
    call is64(2, (call spawn(1_000_000, 0, 0, 0)), -E_INVAL)
    call is64(3, (call spawn(0, 0, 0, 0)), -E_INVAL)
    call is64(4, (call spawn(entry, cells, 1, 0)), -E_INVAL)
    call is64(5, (call spawn(entry, cells, 256, 0)), -E_INVAL)
    call is64(6, (call spawn(entry, cells, -1, 0)), -E_INVAL)
    call is64(7, (call spawn(entry, -8, 2, 0)), -E_FAULT)
    call is64(8, (call spawn(entry, 0, 0, -8)), -E_FAULT)
    call is64(9, (call start(one_name, len(one_name), 0, 0, 0)), -E_INVAL)
    call is64(10, (call start(refers_name, len(refers_name), cells, 1, 0)), -E_INVAL)
    i32.store [how + SpawnOptions.flags], 64
    call with(11, -E_INVAL)
    i32.store [how + SpawnOptions.overflow], 5
    call with(12, -E_INVAL)
    i32.store [how + SpawnOptions.overflow], -1
    call with(13, -E_INVAL)
    i32.store [how + SpawnOptions.weight], -1
    call with(14, -E_INVAL)
    i32.store [how + SpawnOptions.priority], 32
    call with(15, -E_INVAL)
    i32.store [how + SpawnOptions.priority], -2
    call with(16, -E_INVAL)
    i32.store [how + SpawnOptions.handle_count], 1
    i32.store [how + SpawnOptions.handles], -4
    call with(17, -E_FAULT)
    i32.store [how + SpawnOptions.handle_count], 1
    i32.store [how + SpawnOptions.handles], cells
    i32.store [cells], 500
    call with(18, -E_BADF)
    i32.store [how + SpawnOptions.handle_count], -1
    i32.store [how + SpawnOptions.handles], cells
    call with(19, -E_MFILE)
    call handle_attenuate(ROOT, 0) -> h
    if i32.lt_s h, 0 { ret 20 }
    i32.store [cells], h
    i32.store [cells + 4], h
    i32.store [how + SpawnOptions.handle_count], 2
    i32.store [how + SpawnOptions.handles], cells
    call with(21, -E_BADF)
    i32.store [how + SpawnOptions.handle_count], 1
    i32.store [how + SpawnOptions.handles], cells
    i32.store [how + SpawnOptions.flags], SPAWN_STDIO
    i32.store [how + SpawnOptions.handle_limit], 4
    call with(22, -E_MFILE)
    call is(23, (call handle_rights(h)), 0)
    i64.store [how + SpawnOptions.memory], 100
    call with(24, -E_NOMEM)
    // Nothing of all that was started.
    call is(26, (call receive(TAG_ANY, cells, 64, 1_000_000, 0)), -E_TIMEDOUT)
    ret 0
}
)");
}

TEST_CASE("processes: arguments of every type, start functions, memories and globals of its own") {
  check_guest(R"(
data child_name = "child"
reserve how sizeof(SpawnOptions) align 8
reserve cells 64 align 8
reserve info sizeof(ProcessInfo) align 8
global started: mut i32 = 0
global ready: mut i32 = 0
func begin() {
    global.set started, (i32.add (global.get started), 1)
    ret
}
start begin
export func _initialize() {
    call is(70, (global.get started), 1)
    global.set ready, (i32.add (global.get ready), 1)
    ret
}
export func child(a: i32, b: i64, c: f32, d: f64, e: i32) {
    call is(40, (global.get started), 1)
    call is(41, (global.get ready), 1)
    call is(42, (i32.load [cells]), 0)
    call is(43, a, -2)
    call is64(44, b, -3)
    call is(45, (f32.eq c, 1.5), 1)
    call is(46, (f64.eq d, -2.5), 1)
    call is(47, e, 7)
    call is(48, (call process_info((call process_self()), info)), 0)
    call is(49, (i32.load [info + ProcessInfo.priority]), 31)
    call is(50, (i32.load [info + ProcessInfo.weight]), 1000)
    call is(51, (i32.load [info + ProcessInfo.handles]), 0)
    call is64(52, (i64.load [info + ProcessInfo.parent]), (call process_parent()))
    call is(53, (i32.load [info + ProcessInfo.traps_exits]), 0)
    ret
}
export func main() -> i32 {
    var pid: i64
    call is(1, (global.get ready), 1)
    i64.store [cells], 0xffff_ffff_ffff_fffe
    i64.store [cells + 8], -3
    i64.store [cells + 16], 0x1234_5678_3fc0_0000
    f64.store [cells + 24], -2.5
    i64.store [cells + 32], 0x7fff_0000_0000_0007
    i32.store [how + SpawnOptions.flags], SPAWN_MONITOR
    i32.store [how + SpawnOptions.priority], 31
    i32.store [how + SpawnOptions.weight], 1000
    call start(child_name, len(child_name), cells, 5, how) -> pid
    call is_end(2, TAG_DOWN, pid, EXIT_NORMAL, 0)
    ret 0
}
)");
}

TEST_CASE("processes: a frame that has no room after the start function is a stack overflow") {
  std::string wide = "export func child() -> i64 {\n    var sum: i64\n";
  for (int i = 0; i < 3000; ++i) wide += "    var v" + std::to_string(i) + ": i64 = 1\n";
  for (int i = 0; i < 3000; ++i) wide += "    i64.add sum, sum, v" + std::to_string(i) + "\n";
  wide += "    ret sum\n}\n";
  check_guest(wide + R"(
data child_name = "child"
reserve how sizeof(SpawnOptions) align 8
func begin() { ret }
start begin
export func main() -> i32 {
    var pid: i64
    i32.store [how + SpawnOptions.flags], SPAWN_MONITOR
    i64.store [how + SpawnOptions.stack], 4096
    call start(child_name, len(child_name), 0, 0, how) -> pid
    if i64.lt_s pid, 0 { ret 0 }
    call is(1, (call receive(TAG_DOWN, exit_info, 24, -1, 0)), 24)
    call is(2, (i32.load [exit_info + ExitInfo.reason]), EXIT_TRAP)
    ret 0
}
)");
}

TEST_CASE("processes: a child has no more memory, stack, fuel and time than its parent may have") {
  for (const unsigned workers : {1u, 4u}) {
    ProcessOptions options = on_workers(workers);
    options.limits.memory_bytes = 1 << 20;
    options.limits.stack_bytes = 1 << 16;
    options.limits.handles = 16;
    options.limits.fuel = 1'000'000;
    check_guest(R"(
data grower_name = "grower"
data deep_name = "deep"
data spinner_name = "spinner"
data inner_name = "inner"
reserve how sizeof(SpawnOptions) align 8
reserve cells 64 align 8
// Grows to exactly so many pages.
export func grower(pages: i32) {
    var got: i32
    loop {
        memory.grow got, 1
        if i32.lt_s got, 0 { break }
    }
    call is(40, (memory.size), pages)
    ret
}
func down(n: i32) -> i32 {
    if i32.eqz n { ret 0 }
    ret (i32.add (call down((i32.sub n, 1))), 1)
}
export func deep(n: i32) { call is(41, (call down(n)), n); ret }
export func spinner() { loop { } }
func one(number: i32, p: i32, n: i32, argument: i64, reason: i32) {
    var pid: i64
    i64.store [cells], argument
    i32.store [how + SpawnOptions.flags], SPAWN_MONITOR
    call start(p, n, cells, (i32.and (i64.ne argument, 0), 1), how) -> pid
    if i64.lt_s pid, 0 { call exit((i32.wrap_i64 (i64.sub 0, pid))) }
    call is(number, (call receive(TAG_DOWN, exit_info, 24, -1, 0)), 24)
    call is((i32.load [exit_info + ExitInfo.code]), (i32.load [exit_info + ExitInfo.reason]), reason)
    memory.fill how, 0, sizeof(SpawnOptions)
    ret
}
memory 1 .. 1000 pages
export func main() -> i32 {
    i64.store [how + SpawnOptions.memory], 1 << 40
    i64.store [how + SpawnOptions.fuel], 10_000
    call one(1, grower_name, len(grower_name), 16, EXIT_NORMAL)
    i64.store [how + SpawnOptions.memory], 3 << 16
    i64.store [how + SpawnOptions.fuel], 10_000
    call one(2, grower_name, len(grower_name), 3, EXIT_NORMAL)
    i64.store [how + SpawnOptions.stack], 1 << 40
    i64.store [how + SpawnOptions.fuel], 100_000
    call one(3, deep_name, len(deep_name), 100, EXIT_NORMAL)
    i64.store [how + SpawnOptions.stack], 1 << 40
    i64.store [how + SpawnOptions.fuel], 100_000
    call one(4, deep_name, len(deep_name), 10_000, EXIT_TRAP)
    i64.store [how + SpawnOptions.fuel], 100_000
    call one(5, spinner_name, len(spinner_name), 0, EXIT_FUEL)
    // More than there is left.
    i64.store [how + SpawnOptions.fuel], 900_000
    call is64(6, (call start(spinner_name, len(spinner_name), 0, 0, how)), -E_INVAL)
    i64.store [how + SpawnOptions.fuel], -1
    call is64(7, (call start(spinner_name, len(spinner_name), 0, 0, how)), -E_INVAL)
    ret 0
}
)",
                options);
  }
}

TEST_CASE("processes: no more messages lie in a mailbox than the run allows") {
  for (const unsigned workers : {1u, 4u}) {
    ProcessOptions options = on_workers(workers);
    options.scheduling.max_messages = 120'000;
    check_guest(R"(
data waits_name = "waits"
reserve how sizeof(SpawnOptions) align 8
export func waits() { call is(50, (call receive(99, 0, 0, -1, 0)), 0); ret }
export func main() -> i32 {
    var pid: i64
    // No child gets more than its parent has.
    i32.store [how + SpawnOptions.mailbox_messages], 1_000_000
    call start(waits_name, len(waits_name), 0, 0, how) -> pid
    for i: i32 in 0 .. 120_000 { call is(1, (call process_send(pid, 1, 0, 0)), 0) }
    call is(2, (call process_send(pid, 1, 0, 0)), -E_AGAIN)
    ret 0
}
)",
                options);
  }
}

TEST_CASE("processes: no more than the machine may have, and their places are free again") {
  for (const unsigned workers : {1u, 4u}) {
    ProcessOptions options = on_workers(workers);
    options.scheduling.max_processes = 50;
    check_guest(R"(
data waits_name = "waits"
reserve pids 8 * 64 align 8
reserve how sizeof(SpawnOptions) align 8
export func waits() { call is(50, (call receive(99, 0, 0, -1, 0)), 0); ret }
export func main() -> i32 {
    var pid: i64
    i32.store [how + SpawnOptions.flags], SPAWN_MONITOR
    for round: i32 in 0 .. 20 {
        for i: i32 in 0 .. 49 {
            call start(waits_name, len(waits_name), 0, 0, how) -> pid
            if i64.le_s pid, 0 { ret 1 }
            i64.store [pids + i * 8], pid
        }
        call is64(2, (call start(waits_name, len(waits_name), 0, 0, how)), -E_AGAIN)
        for i: i32 in 0 .. 49 {
            i64.load pid, [pids + i * 8]
            if i32.and i, 1 { call is(3, (call process_kill(pid)), 0) }
            if i32.eqz (i32.and i, 1) { call is(4, (call process_send(pid, 99, 0, 0)), 0) }
        }
        for i: i32 in 0 .. 49 { call is(5, (call receive(TAG_DOWN, exit_info, 24, -1, 0)), 24) }
    }
    ret 0
}
)",
                options);
  }
}

TEST_CASE("processes: crashes are reported, one at a time; other ends are not") {
  for (const unsigned workers : {1u, 4u}) {
    ProcessOptions options = on_workers(workers);
    std::vector<Outcome> outcomes;
    std::set<std::uint64_t> pids;
    std::atomic<int> inside{0};
    bool overlapped = false;
    options.scheduling.on_crash = [&](std::uint64_t pid, const Outcome& outcome) {
      overlapped = overlapped || ++inside != 1;
      pids.insert(pid);
      outcomes.push_back(outcome);
      --inside;
    };
    check_guest(R"(
data child_name = "child"
reserve cells 8 align 8
reserve how sizeof(SpawnOptions) align 8
export func child(way: i32) {
    switch way {
        0 => { unreachable }
        1 => { call exit(3) }
        2 => { call is(1, (call process_kill((call process_self()))), 0) }
        else => { ret }
    }
    ret
}
export func main() -> i32 {
    i32.store [how + SpawnOptions.flags], SPAWN_MONITOR
    for i: i32 in 0 .. 80 {
        i32.store [cells], (i32.and i, 3)
        if i64.lt_s (call start(child_name, len(child_name), cells, 1, how)), 0 { ret 2 }
    }
    for i: i32 in 0 .. 80 { call is(3, (call receive(TAG_DOWN, exit_info, 24, -1, 0)), 24) }
    ret 0
}
)",
                options);
    CHECK_FALSE(overlapped);
    CHECK(pids.size() == 20);
    CHECK(outcomes.size() == 20);
    for (const Outcome& outcome : outcomes) {
      CHECK(outcome.kind == Kind::trapped);
      CHECK(outcome.trap == Trap::unreachable);
      REQUIRE(outcome.trace.size() == 1);
      CHECK(outcome.trace[0].name == "child");
    }
  }
}

TEST_CASE("processes: the main process ends while others run, sleep, wait and start more") {
  for (const unsigned workers : {1u, 4u}) {
    for (const int code : {0, 3}) {
      Pipe input;
      ProcessOptions options = on_workers(workers);
      options.input = input.ends[0];
      // All want the CPU, and main may have to wait for a turn of each.
      options.scheduling.max_processes = 1000;
      const Engine engine(test::engine_options());
      Process process = process_of(engine, R"(
data spins_name = "spins"
data naps_name = "naps"
data waits_name = "waits"
data reads_name = "reads"
data forks_name = "forks"
reserve how sizeof(SpawnOptions) align 8
reserve cells 8 align 8
export func spins() { loop { } }
export func naps() { call nap(1_000_000); ret }
export func waits() { call is(50, (call receive(99, 0, 0, -1, 0)), 0); ret }
export func reads() { call is(51, (call read(STDIN, cells, 8)), 8); ret }
export func forks() {
    var pid: i64
    loop { call start(forks_name, len(forks_name), 0, 0, 0) -> pid }
}
func make(p: i32, n: i32) {
    if i64.lt_s (call start(p, n, 0, 0, how)), 0 { call exit(90) }
    ret
}
export func main() -> i32 {
    i32.store [how + SpawnOptions.flags], SPAWN_STDIO
    for i: i32 in 0 .. 20 {
        call make(spins_name, len(spins_name))
        call make(naps_name, len(naps_name))
        call make(waits_name, len(waits_name))
        call make(reads_name, len(reads_name))
    }
    call make(forks_name, len(forks_name))
    call nap(20)
    ret )" + std::to_string(code) + "\n}\n",
                                   options);
      const Outcome outcome = run(process);
      CHECK(outcome.kind == Kind::exited);
      CHECK(outcome.exit_code == static_cast<unsigned>(code));
    }
  }
}

TEST_CASE("spawn: options that run over the end of a full memory") {
  // Their first part ends where the memory does: the rest is not at its beginning.
  ProcessOptions options = on_workers(1);
  options.limits.memory_bytes = std::uint64_t{1} << 33;
  check_guest(R"(
data entry_name = "nothing"
memory 65536 pages
export func nothing() { ret }
export func main() -> i32 {
    var entry: i32
    call entry_find(entry_name, len(entry_name)) -> entry
    i32.store [-72 + SpawnOptions.flags], SPAWN_MORE
    call is64(1, (call spawn(entry, 0, 0, -72)), -E_FAULT)
    i32.store [-96 + SpawnOptions.flags], SPAWN_MORE | SPAWN_MODULE
    call is64(2, (call spawn(entry, 0, 0, -96)), -E_BADF)
    i32.store [-88 + SpawnOptions.flags], SPAWN_MODULE
    call is64(3, (call spawn(entry, 0, 0, -88)), -E_FAULT)
    ret 0
}
)",
              options);
}

// Hosts keep processes that have ended and begin them again for the same program.
TEST_CASE("spawn: nothing is left of who had the record before") {
  check_guest(R"(
data dirty_name = "dirty"
data fresh_name = "fresh"
data own_name = "own"
data image = "image\0!"
data passive more = "more"
reserve cells 1024 align 8
reserve how sizeof(SpawnOptions) align 8
reserve info sizeof(ProcessInfo) align 8
reserve parts 8
global sum: mut i64 = 41
func spin() {
    loop { }
}
// Leaves all that can be left, and ends in one of many ways.
export func dirty(way: i32) {
    var ignored: i32, timer: i64
    memory.init more, parts, 0, 4
    data.drop more
    global.set sum, 7
    memory.fill image, 0xff, 7
    memory.fill cells, 0xee, 1024
    call process_trap_exit(1) -> ignored
    call timer_start(30_000_000_000, 1, 1) -> timer
    call name_register(own_name, len(own_name), (call process_self())) -> ignored
    call process_send((call process_self()), 5, cells, 100) -> ignored
    call receive(6, cells, 8, 0, 0) -> ignored
    if i32.eq way, 1 { unreachable }
    if i32.eq way, 2 { call exit(9) }
    if i32.eq way, 3 { call clock_sleep(30_000_000_000) -> ignored }
    if i32.eq way, 4 { call spin() }
    if i32.eq way, 5 { memory.grow ignored, 100 }
    ret
}
export func fresh(size: i32) {
    call is(50, (memory.size), size)
    memory.init more, parts, 0, 4
    call is(51, (i32.load8_u [parts]), 109)
    call is64(52, (global.get sum), 41)
    call is(53, (i32.load8_u [image]), 105)
    call is(54, (i32.load8_u [image + 5]), 0)
    for i: i32 in 0 .. 1024 step 8 { call is64(55, (i64.load [cells + i]), 0) }
    call is(56, (call process_info((call process_self()), info)), 0)
    call is(57, (i32.load [info + ProcessInfo.traps_exits]), 0)
    call is(58, (i32.load [info + ProcessInfo.messages]), 0)
    call is64(59, (i64.load [info + ProcessInfo.mailbox_bytes]), 0)
    call is(60, (i32.load [info + ProcessInfo.links]), 0)
    call is(61, (i32.load [info + ProcessInfo.handles]), 0)
    call is(62, (i32.load [info + ProcessInfo.weight]), 100)
    call is(63, (i32.load [info + ProcessInfo.priority]), 16)
    call is64(64, (i64.load [info + ProcessInfo.parent]), (call process_parent()))
    call is(65, (call receive(TAG_ANY, cells, 8, 0, 0)), -E_TIMEDOUT)
    call is64(66, (call name_find(own_name, len(own_name))), -E_NOENT)
    ret
}
func round(way: i32) {
    var pid: i64, ignored: i32
    i32.store [how + SpawnOptions.flags], SPAWN_MONITOR | SPAWN_LINK
    i32.store [how + SpawnOptions.weight], 1000
    i32.store [how + SpawnOptions.priority], 3
    i64.store [cells], (i64.extend_i32_u way)
    call start(dirty_name, len(dirty_name), cells, 1, how) -> pid
    call nap(1)
    call process_kill(pid) -> ignored
    call is(40, (call receive(TAG_DOWN, exit_info, sizeof(ExitInfo), 30_000_000_000, 0)),
        sizeof(ExitInfo))
    call receive(TAG_EXIT, exit_info, sizeof(ExitInfo), 0, 0) -> ignored
    memory.fill how, 0, sizeof(SpawnOptions)
    i32.store [how + SpawnOptions.flags], SPAWN_MONITOR
    i64.store [cells], (i64.extend_i32_u (memory.size))
    call start(fresh_name, len(fresh_name), cells, 1, how) -> pid
    call is_end(41, TAG_DOWN, pid, EXIT_NORMAL, 0)
    ret
}
export func main() -> i32 {
    call is(1, (call process_trap_exit(1)), 0)
    for i: i32 in 0 .. 24 { call round((i32.rem_u i, 6)) }
    ret 0
}
)");
}
