// Processes that are stopped at random, moved between workers and put to sleep; long work that is
// cut in pieces.
#include "tests/support/engine.hpp"
#include "tests/unit/processes.hpp"

using namespace atollvm;
using namespace atollvm::test;

namespace {

// Undisturbed, and disturbed on one and on several workers, with and without counted fuel.
void check_disturbed(const std::string& body) {
  check_guest(body);
  std::uint64_t stops = 0;
  for (const unsigned workers : {1u, 3u}) {
    ProcessOptions options = on_workers(workers);
    options.scheduling.stress = workers;
    if (workers == 3) options.limits.fuel = std::uint64_t{1} << 50;
    const Engine engine(test::engine_options());
    Process process = process_of(engine, body, options);
    const Outcome outcome = run(process);
    CAPTURE(workers);
    CHECK(outcome.kind == Outcome::Kind::exited);
    CHECK(outcome.exit_code == 0);
    stops += process.stats().stress_stops;
  }
  CHECK(stops > 1000);
}

}  // namespace

TEST_CASE("processes: disturbed ones compute the same") {
  check_disturbed(R"(
memory 4
type unary = func(i32) -> i32
table entries: funcref 64 .. 20_000
data passive pattern = "0123456789abcdefghijklmnopqrstuvwxyz"
reserve buffer 100_000
func twice(x: i32) -> i32 { ret (i32.add x, x) }
func fib(n: i32) -> i32 {
    if i32.lt_s n, 2 { ret n }
    ret (i32.add (call fib((i32.sub n, 1))), (call fib((i32.sub n, 2))))
}
func deep(n: i32) -> i32 {
    if i32.eqz n { ret 0 }
    ret (i32.add (call deep((i32.sub n, 1))), 1)
}
func sum_of(p: i32, n: i32) -> i32 {
    var sum: i32
    for i: i32 in 0 .. n { i32.add sum, (i32.mul sum, 31), (i32.load8_u [p + i]) }
    ret sum
}
export func main() -> i32 {
    var f: funcref, old: i32, error: i32
    call is(1, (call fib(20)), 6765)
    call is(2, (call deep(5000)), 5000)
    memory.fill buffer, 7, 100_000
    call is(3, (i32.load8_u [buffer + 99_999]), 7)
    memory.init pattern, buffer, 0, 36
    for i: i32 in 0 .. 36 { i32.store8 [buffer + 1000 + i], i }
    memory.copy buffer + 36, buffer, 90_000
    call is(4, (i32.load8_u [buffer + 36]), '0')
    call is(5, (i32.load8_u [buffer + 1036]), 0)
    call is(6, (call sum_of(buffer, 2000)), (call sum_of(buffer, 2000)))
    memory.copy buffer, buffer + 36, 90_000
    call is(7, (i32.load8_u [buffer + 1001]), 1)
    ref.func f, twice
    table.fill entries, 0, f, 64
    table.grow old, entries, f, 10_000
    call is(8, old, 64)
    table.copy entries, entries, 1, 0, 10_063
    for i: i32 in 0 .. 100 { 
        call.table entries, unary, (i32.mul i, 100) (i) -> error
        call is(9, error, (i32.mul i, 2))
    }
    call nap(1)
    ret 0
}
)");
}

TEST_CASE("processes: large messages arrive whole, however their copying is cut") {
  check_disturbed(R"(
const size = 3_000_001
memory 256
data name = "echo"
reserve info sizeof(MessageInfo) align 8
reserve big size + 8
export func echo() {
    var n: i32
    loop {
        call receive(7, big, size, -1, info) -> n
        call is(50, n, size)
        call is(51, (call process_send((i64.load [info + MessageInfo.sender]), 8, big, n)), 0)
    }
}
func byte(i: i32) -> i32 { ret (i32.and (i32.shr_u (i32.mul i, 0x9e3779b1), 13), 255) }
export func main() -> i32 {
    var pid: i64
    call start(name, len(name), 0, 0, 0) -> pid
    for i: i32 in 0 .. size step 1009 { i32.store8 [big + i], (call byte(i)) }
    for round: i32 in 0 .. 3 {
        call is(1, (call process_send(pid, 7, big, size)), 0)
        memory.fill big, 0, size
        call is(2, (call receive(8, big, size - 1, -1, info)), -E_RANGE)
        call is(3, (call receive(8, big, size, -1, info)), size)
        for i: i32 in 0 .. size step 1009 { call is(4, (i32.load8_u [big + i]), (call byte(i))) }
    }
    call is(5, (call process_kill(pid)), 0)
    ret 0
}
)");
}

TEST_CASE("processes: one with many bonds, messages and bytes is buried in pieces, whole") {
  check_guest(R"(
const bonds = 20_000
memory 64
data keeper_name = "keeper"
data bond_name = "bond"
reserve how sizeof(SpawnOptions) align 8
reserve pid_of 8 align 8
reserve info sizeof(ExitInfo) align 8
reserve seen bonds + 1
// Never takes what it is sent, but for the last.
export func keeper() {
    var old: i32
    memory.grow old, 50_000_000
    for i: i32 in 0 .. 50_000_000 step 4096 { i32.store8 [old + i], 1 }
    call is(50, (call receive(9, 0, 0, -1, 0)), 0)
    unreachable
}
// Ends with what it is linked to.
export func bond(other: i64) {
    call is(51, (call process_link(other)), 0)
    call is(52, (call process_send((call process_parent()), 5, 0, 0)), 0)
    call is(53, (call receive(99, 0, 0, -1, 0)), 0)
    ret
}
export func main() -> i32 {
    var kept: i64, pid: i64, reference: i64, first: i64, error: i32
    i32.store [how + SpawnOptions.flags], SPAWN_MONITOR
    call start(keeper_name, len(keeper_name), 0, 0, 0) -> kept
    i64.store [pid_of], kept
    for i: i32 in 0 .. 2000 {
        call start(bond_name, len(bond_name), pid_of, 1, how) -> pid
        if i64.lt_s pid, 0 { call exit(2) }
    }
    for i: i32 in 0 .. 2000 { call is(3, (call receive(5, 0, 0, -1, 0)), 0) }
    // The references of one process count up.
    for i: i32 in 0 .. bonds {
        call process_monitor(kept) -> reference
        if i32.eqz i { i64.add first, reference, 0 }
        call is64(4, reference, (i64.add first, (i64.extend_i32_u i)))
        call is(5, (call process_send(kept, 8, 0, 0)), 0)
    }
    call is(6, (call process_send(kept, 9, 0, 0)), 0)
    // Each monitor tells once: those of the keeper, and those of the processes linked to it.
    for i: i32 in 0 .. bonds + 2000 {
        call is(7, (call receive(TAG_DOWN, info, sizeof(ExitInfo), -1, 0)), sizeof(ExitInfo))
        call is(8, (i32.load [info + ExitInfo.reason]), EXIT_TRAP)
        if i64.eq (i64.load [info + ExitInfo.pid]), kept {
            i64.sub reference, (i64.load [info + ExitInfo.reference]), first
            call is(9, (i32.load8_u [seen + (i32.wrap_i64 reference)]), 0)
            i32.store8 [seen + (i32.wrap_i64 reference)], 1
        }
    }
    call is(10, (call receive(TAG_ANY, 0, 0, 0, 0)), -E_TIMEDOUT)
    for i: i32 in 0 .. bonds { call is(11, (i32.load8_u [seen + i]), 1) }
    call is(12, (call process_kill(kept)), -E_SRCH)
    ret 0
}
)");
}
