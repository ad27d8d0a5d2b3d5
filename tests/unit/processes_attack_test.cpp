// Guests that mean no good: floods, endless spawning, kills at every moment; and all policies.
#include <chrono>
#include <thread>

#include "tests/support/engine.hpp"
#include "tests/unit/processes.hpp"
#include "vm/base/sanitizers.hpp"

using namespace atollvm;
using namespace atollvm::test;
using namespace std::chrono_literals;
using Kind = Outcome::Kind;

namespace {

constexpr const char* all_policies[] = {"fair", "rr", "fcfs", "sjf", "priority"};

// One process of every kind that is hard to stop, many times.
constexpr const char* stubborn = R"(
data spins_name = "spins"
data calls_name = "calls"
data naps_name = "naps"
data waits_name = "waits"
data reads_name = "reads"
data yields_name = "yields"
data fills_name = "fills"
data pool_name = "pools"
data path = "/d/no such file"
reserve pids 8 * 1024 align 8
reserve how sizeof(SpawnOptions) align 8
reserve cells 64 align 8
memory 1 << 20
export func spins() { loop { } }
export func calls() { loop { call is(40, 0, 0) } }
export func naps() { call nap(1_000_000); ret }
export func waits() { call is(50, (call receive(99, 0, 0, -1, 0)), 0); ret }
export func reads() { call is(51, (call read(STDIN, cells, 8)), 8); ret }
export func yields() {
    var n: i32
    loop { call process_yield() -> n }
}
export func fills() { loop { memory.fill 4096, 0, 900_000 } }
export func pools() {
    var n: i32
    loop { call open(ROOT, path, len(path), 0, RIGHT_READ) -> n }
}
func make(p: i32, n: i32, at: i32) {
    var pid: i64
    call start(p, n, 0, 0, how) -> pid
    if i64.lt_s pid, 0 { call exit(90) }
    i64.store [pids + at * 8], pid
    ret
}
func make_all(turns: i32) -> i32 {
    var count: i32
    i32.store [how + SpawnOptions.flags], SPAWN_STDIO | SPAWN_MONITOR
    for i: i32 in 0 .. turns {
        call make(spins_name, len(spins_name), count)
        call make(calls_name, len(calls_name), (i32.add count, 1))
        call make(naps_name, len(naps_name), (i32.add count, 2))
        call make(waits_name, len(waits_name), (i32.add count, 3))
        call make(reads_name, len(reads_name), (i32.add count, 4))
        call make(yields_name, len(yields_name), (i32.add count, 5))
        call make(fills_name, len(fills_name), (i32.add count, 6))
        call make(pool_name, len(pool_name), (i32.add count, 7))
        i32.add count, count, 8
    }
    ret count
}
)";

}  // namespace

TEST_CASE("processes: whatever a process does, it can be killed") {
  for (const unsigned workers : {1u, 2u, 4u}) {
    Pipe input;
    ProcessOptions options = on_workers(workers);
    options.input = input.ends[0];
    options.directories.push_back({"/tmp", "/d", false});
    check_guest(std::string(stubborn) + R"(
export func main() -> i32 {
    var count: i32
    for round: i32 in 0 .. 4 {
        call make_all(6) -> count
        if round { call nap(5) }
        for i: i32 in 0 .. count { call is(1, (call process_kill((i64.load [pids + i * 8]))), 0) }
        for i: i32 in 0 .. count {
            call is(2, (call receive(TAG_DOWN, exit_info, 24, 60_000_000_000, 0)), 24)
            call is(3, (i32.load [exit_info + ExitInfo.reason]), EXIT_KILLED)
        }
        call is(4, (call receive(TAG_ANY, exit_info, 24, 0, 0)), -E_TIMEDOUT)
    }
    ret 0
}
)",
                options);
  }
}

TEST_CASE("processes: many that read one pipe are killed while others are busy") {
  for (const unsigned workers : {2u, 4u}) {
    Pipe input;
    ProcessOptions options = on_workers(workers);
    options.input = input.ends[0];
    check_guest(R"(
data reads_name = "reads"
data naps_name = "naps"
data spins_name = "spins"
reserve how sizeof(SpawnOptions) align 8
reserve pids 8 * 512 align 8
reserve cells 64 align 8
export func reads() { call is(51, (call read(STDIN, cells, 8)), 8); ret }
export func naps() { loop { call nap(1) } }
export func spins() { for i: i32 in 0 .. 20_000 { }; ret }
export func main() -> i32 {
    var pid: i64
    for round: i32 in 0 .. 15 {
        i32.store [how + SpawnOptions.flags], SPAWN_STDIO | SPAWN_MONITOR
        for i: i32 in 0 .. 200 {
            call start(reads_name, len(reads_name), 0, 0, how) -> pid
            i64.store [pids + i * 8], pid
            call start(naps_name, len(naps_name), 0, 0, how) -> pid
            i64.store [pids + i * 8 + 1600], pid
            call start(spins_name, len(spins_name), 0, 0, 0) -> pid
        }
        call nap(3)
        for i: i32 in 0 .. 400 { call is(1, (call process_kill((i64.load [pids + i * 8]))), 0) }
        for i: i32 in 0 .. 400 {
            call is(2, (call receive(TAG_DOWN, exit_info, 24, 60_000_000_000, 0)), 24)
        }
    }
    ret 0
}
)",
                options);
  }
}

TEST_CASE("processes: interrupt and time limit end all of them, under every policy") {
  for (const char* policy : all_policies) {
    for (const unsigned workers : {1u, 4u}) {
      for (const bool by_limit : {false, true}) {
        CAPTURE(policy);
        CAPTURE(workers);
        Pipe input;
        ProcessOptions options = on_workers(workers);
        options.scheduling.policy = policy;
        options.input = input.ends[0];
        options.directories.push_back({"/tmp", "/d", false});
        if (by_limit) options.limits.time = 40ms;
        const Engine engine(test::engine_options());
        Process process = process_of(engine, std::string(stubborn) + R"(
export func main() -> i32 {
    call is(1, (call make_all(100)), 800)
    call waits()
    ret 0
}
)",
                                     options);
        std::thread interrupter;
        if (!by_limit) {
          interrupter = std::thread([&process] {
            std::this_thread::sleep_for(40ms);
            process.interrupt();
          });
        }
        const Outcome outcome = run(process);
        if (interrupter.joinable()) interrupter.join();
        CHECK(outcome.kind == (by_limit ? Kind::time_limit : Kind::interrupted));
      }
    }
  }
}

TEST_CASE("processes: every policy runs what others wait for") {
  for (const char* policy : all_policies) {
    for (const unsigned workers : {1u, 4u}) {
      ProcessOptions options = on_workers(workers);
      options.scheduling.policy = policy;
      options.scheduling.slice = 100us;
      check_guest(R"(
data child_name = "child"
reserve how sizeof(SpawnOptions) align 8
reserve cells 64 align 8
reserve info sizeof(MessageInfo) align 8
export func child(number: i32) {
    var sum: i32
    for i: i32 in 0 .. 30_000 { i32.add sum, sum, i }
    for i: i32 in 0 .. 20 {
        call is(40, (call receive(1, cells, 4, -1, 0)), 4)
        i32.add sum, sum, (i32.load [cells])
        call is(41, (call process_yield()), 0)
        call is(42, (call process_send((call process_parent()), 2, cells, 4)), 0)
    }
    call exit(number)
    ret
}
export func main() -> i32 {
    var pid: i64, error: i32
    for i: i32 in 0 .. 100 {
        i64.store [cells], (i64.extend_i32_s i)
        i32.store [how + SpawnOptions.flags], SPAWN_MONITOR
        i32.store [how + SpawnOptions.priority], (i32.rem_u i, 32)
        i32.store [how + SpawnOptions.weight], (i32.add (i32.mul i, 7), 1)
        call start(child_name, len(child_name), cells, 1, how) -> pid
        if i64.le_s pid, 0 { ret 1 }
        for k: i32 in 0 .. 5 { call is(2, (call process_send(pid, 1, cells, 4)), 0) }
    }
    // 5 are on their way to each; each answer is answered.
    for i: i32 in 0 .. 2000 {
        call is(3, (call receive(2, cells, 4, 60_000_000_000, info)), 4)
        call process_send((i64.load [info + MessageInfo.sender]), 1, cells, 4) -> error
    }
    for i: i32 in 0 .. 100 { call is(4, (call receive(TAG_DOWN, exit_info, 24, -1, 0)), 24) }
    ret 0
}
)",
                  options);
    }
  }
}

TEST_CASE("processes: a worker that has slept comes to help, though nobody leaves the other one") {
  ProcessOptions options = on_workers(2);
  options.scheduling.policy = "fcfs";
  options.limits.time = 60s;
  check_guest(R"(
data looks_name = "looks"
data tells_name = "tells"
reserve cells 8 align 8
reserve how sizeof(SpawnOptions) align 8
// Looks for a message without ever waiting.
export func looks() {
    while i32.ne (call receive(1, 0, 0, 0, 0)), 0 { }
    ret
}
export func tells(to: i64) { call is(50, (call process_send(to, 1, 0, 0)), 0); ret }
export func main() -> i32 {
    var pid: i64
    call nap(20)
    i32.store [how + SpawnOptions.flags], SPAWN_MONITOR
    call start(looks_name, len(looks_name), 0, 0, how) -> pid
    i64.store [cells], pid
    call start(tells_name, len(tells_name), cells, 1, 0) -> pid
    call is_end(1, TAG_DOWN, (i64.load [cells]), EXIT_NORMAL, 0)
    ret 0
}
)",
              options);
}

TEST_CASE("processes: timers and messages of one do not hold up others") {
  for (const unsigned workers : {1u, 4u}) {
    check_guest(R"(
data timed_name = "timed"
data hoards_name = "hoards"
reserve cells 64 align 8
reserve how sizeof(SpawnOptions) align 8
export func timed() {
    var error: i32
    for i: i32 in 0 .. 4096 {
        if i64.le_s (call timer_start(30_000_000, 1, 1)), 0 { call exit(50) }
    }
    for i: i32 in 0 .. 4096 { call is(51, (call receive(1, cells, 8, -1, 0)), 8) }
    ret
}
// Searches a long mailbox that may lose its oldest messages at any time.
export func hoards() {
    for i: i32 in 0 .. 100_000 {
        call is(52, (call process_send((call process_self()), 1, cells, 8)), 0)
    }
    call is(53, (call receive(2, cells, 8, 1_000_000, 0)), -E_TIMEDOUT)
    i32.store [cells], 77
    call is(54, (call process_send((call process_self()), 2, cells, 8)), 0)
    i32.store [cells], 0
    call is(55, (call receive(2, cells, 8, 1_000_000, 0)), 8)
    call is(56, (i32.load [cells]), 77)
    ret
}
export func main() -> i32 {
    i32.store [how + SpawnOptions.flags], SPAWN_MONITOR
    i32.store [how + SpawnOptions.overflow], OVERFLOW_OLDEST
    for i: i32 in 0 .. 20 {
        if i64.lt_s (call start(timed_name, len(timed_name), 0, 0, how)), 0 { ret 1 }
    }
    for i: i32 in 0 .. 3 {
        if i64.lt_s (call start(hoards_name, len(hoards_name), 0, 0, how)), 0 { ret 2 }
    }
    for i: i32 in 0 .. 23 {
        call is(3, (call receive(TAG_DOWN, exit_info, 24, 60_000_000_000, 0)), 24)
        call is((i32.load [exit_info + ExitInfo.code]), (i32.load [exit_info + ExitInfo.reason]), 0)
    }
    ret 0
}
)",
                on_workers(workers));
  }
}

TEST_CASE("processes: without a scheduler there are none") {
  const Engine engine(test::engine_options());
  Process process = process_of(engine, R"(
reserve cells 64 align 8
export func all() -> i32 {
    call is64(1, (call process_self()), -E_NOSYS)
    call is64(2, (call spawn(0, 0, 0, 0)), -E_NOSYS)
    call is(3, (call process_send(1, 1, cells, 1)), -E_NOSYS)
    call is(4, (call receive(1, cells, 1, -1, 0)), -E_NOSYS)
    call is(5, (call process_kill(1)), -E_NOSYS)
    call is64(6, (call process_monitor(1)), -E_NOSYS)
    call is64(10, (call process_monitor_as(1, 1)), -E_NOSYS)
    call is64(7, (call timer_start(1, 1, 1)), -E_NOSYS)
    call is64(8, (call name_find(cells, 1)), -E_NOSYS)
    call is(9, (call process_yield()), 0)
    ret 5
}
)",
                               {});
  REQUIRE(process.call("all", {}).ok());
  CHECK(process.outcome().kind == Kind::returned);
  REQUIRE(process.results().size() == 1);
  CHECK(process.results()[0].bits == 5);
}

TEST_CASE("processes: many thousands that wait are killed") {
  for (const unsigned workers : {1u, 4u}) {
    const char* const most = std::getenv("ATOLL_EMULATED") != nullptr ? "5_000"
                             : ATOLL_ASAN != 0 ? "20_000"  // it notes each memory's pages
                             : workers == 4    ? "100_000"
                                               : "5_000";
    check_guest(std::string("const most = ") + most + R"(
data waits_name = "waits"
reserve pids 8 * most align 8
reserve how sizeof(SpawnOptions) align 8
export func waits() { call is(50, (call receive(99, 0, 0, -1, 0)), 0); ret }
export func main() -> i32 {
    var pid: i64
    i32.store [how + SpawnOptions.flags], SPAWN_MONITOR
    for i: i32 in 0 .. most {
        call start(waits_name, len(waits_name), 0, 0, how) -> pid
        if i64.lt_s pid, 0 { ret 1 }
        i64.store [pids + i * 8], pid
    }
    for i: i32 in 0 .. most {
        call is(2, (call process_kill((i64.load [pids + i * 8]))), 0)
    }
    for i: i32 in 0 .. most {
        call is(3, (call receive(TAG_DOWN, exit_info, 24, 60_000_000_000, 0)), 24)
        call is(4, (i32.load [exit_info + ExitInfo.reason]), EXIT_KILLED)
    }
    call is(5, (call receive(TAG_ANY, exit_info, 24, 0, 0)), -E_TIMEDOUT)
    ret 0
}
)",
                on_workers(workers));
  }
}

TEST_CASE("processes: a chain of fifty thousand links falls without a deep stack") {
  check_guest(R"(
data link_name = "chained"
reserve cells 16 align 8
reserve how sizeof(SpawnOptions) align 8
export func chained(top: i64, left: i64) {
    var pid: i64
    if i64.eqz left {
        call is(50, (call process_send(top, 1, 0, 0)), 0)
    }
    if i64.ne left, 0 {
        i64.store [cells], top
        i64.store [cells + 8], (i64.sub left, 1)
        i32.store [how + SpawnOptions.flags], SPAWN_LINK
        call start(link_name, len(link_name), cells, 2, how) -> pid
        if i64.lt_s pid, 0 { call exit(51) }
    }
    call is(52, (call receive(99, 0, 0, -1, 0)), 0)
    ret
}
export func main() -> i32 {
    var first: i64
    i64.store [cells], (call process_self())
    i64.store [cells + 8], 50_000
    i32.store [how + SpawnOptions.flags], SPAWN_MONITOR
    call start(link_name, len(link_name), cells, 2, how) -> first
    call is(1, (call receive(1, 0, 0, 60_000_000_000, 0)), 0)
    call is(2, (call process_kill(first)), 0)
    call is_end(3, TAG_DOWN, first, EXIT_KILLED, 0)
    call nap(50)
    ret 0
}
)");
}

TEST_CASE("processes: spawning without end starves nobody and stops at the limit") {
  for (const unsigned workers : {1u, 4u}) {
    ProcessOptions options = on_workers(workers);
    options.scheduling.max_processes = 2000;
    check_guest(R"(
data forks_name = "forks"
export func forks() {
    var pid: i64
    loop { call start(forks_name, len(forks_name), 0, 0, 0) -> pid }
}
export func main() -> i32 {
    var pid: i64
    call start(forks_name, len(forks_name), 0, 0, 0) -> pid
    for i: i32 in 0 .. 20 { call nap(5) }
    ret 0
}
)",
                options);
  }
}

TEST_CASE("processes: floods end at the limits, not in the host's memory") {
  for (const unsigned workers : {1u, 4u}) {
    const std::uint64_t before = resident();
    check_guest(R"(
data floods_name = "floods"
data slow_name = "slow"
reserve cells 8192 align 8
reserve how sizeof(SpawnOptions) align 8
export func slow() {
    loop {
        call nap(1)
        call is(50, (call receive(TAG_ANY, cells, 8192, -1, 0)), 4096)
    }
}
export func floods(to: i64) {
    var full: i32, error: i32
    loop {
        call process_send(to, 1, cells, 4096) -> error
        if i32.eq error, -E_AGAIN { i32.add full, full, 1 }
        if i32.eq error, -E_SRCH { ret }
        if i32.eq full, 2000 { ret }
    }
}
export func main() -> i32 {
    var receiver: i64
    i64.store [how + SpawnOptions.mailbox_bytes], 4 << 20
    call start(slow_name, len(slow_name), 0, 0, how) -> receiver
    i64.store [cells], receiver
    i64.store [how + SpawnOptions.mailbox_bytes], 0
    i32.store [how + SpawnOptions.flags], SPAWN_MONITOR
    for i: i32 in 0 .. 4 {
        if i64.lt_s (call start(floods_name, len(floods_name), cells, 1, how)), 0 { ret 1 }
    }
    for i: i32 in 0 .. 4 {
        call is(2, (call receive(TAG_DOWN, exit_info, 24, 60_000_000_000, 0)), 24)
        call is(3, (i32.load [exit_info + ExitInfo.reason]), EXIT_NORMAL)
    }
    ret 0
}
)",
                on_workers(workers));
    CHECK(resident() < before + (std::uint64_t{200} << 20));
  }
}

TEST_CASE("processes: signals, monitors and names of one process are bounded, too") {
  check_guest(R"(
data signals_name = "signals"
data downs_name = "downs"
data links_name = "links"
data names_name = "names"
data monitors_name = "monitors"
reserve cells 64 align 8
reserve how sizeof(SpawnOptions) align 8
export func signals() {
    var ignored: i32
    call process_trap_exit(1) -> ignored
    loop { call process_exit((call process_self()), 0) -> ignored }
}
export func downs() {
    var ignored: i64
    loop { call process_monitor(0) -> ignored }
}
export func links() {
    var ignored: i32
    call process_trap_exit(1) -> ignored
    loop { call process_link(0) -> ignored }
}
// Until it is refused.
export func names() {
    var error: i32
    for i: i32 in 0 .. 1_000_000 {
        i32.store [cells], i
        call name_register(cells, 4, (call process_self())) -> error
        if error { break }
    }
    call is(50, error, -E_AGAIN)
    ret
}
export func monitors(other: i64) {
    var reference: i64
    for i: i32 in 0 .. 3_000_000 {
        call process_monitor(other) -> reference
        if i64.lt_s reference, 0 { break }
    }
    call is64(51, reference, -E_AGAIN)
    ret
}
func one(number: i32, p: i32, n: i32, count: i32, reason: i32) {
    var pid: i64
    i64.store [cells], (call process_self())
    i32.store [how + SpawnOptions.flags], SPAWN_MONITOR
    call start(p, n, cells, count, how) -> pid
    call is(number, (call receive(TAG_DOWN, exit_info, 24, 60_000_000_000, 0)), 24)
    call is((i32.load [exit_info + ExitInfo.code]), (i32.load [exit_info + ExitInfo.reason]), reason)
    ret
}
export func main() -> i32 {
    call one(1, signals_name, len(signals_name), 0, EXIT_MAILBOX)
    call one(2, downs_name, len(downs_name), 0, EXIT_MAILBOX)
    call one(3, links_name, len(links_name), 0, EXIT_MAILBOX)
    call one(4, names_name, len(names_name), 0, EXIT_NORMAL)
    call one(5, monitors_name, len(monitors_name), 1, EXIT_NORMAL)
    ret 0
}
)");
}
