// Links, monitors, exit reasons, names and timers.
#include "tests/unit/processes.hpp"

using namespace atollvm;
using namespace atollvm::test;

TEST_CASE("processes: exit reasons of every kind, by monitors and by links") {
  check_guest(R"(
data returns_name = "returns"
data gives_name = "gives"
data exits_name = "exits"
data traps_name = "traps"
data overflows_name = "overflows"
data spins_name = "spins"
data waits_name = "waits"
reserve how sizeof(SpawnOptions) align 8
reserve value 8 align 8
export func returns() { ret }
// What another function than main returns means nothing.
export func gives() -> i32 { ret 5 }
export func exits(exit_code: i32) { call exit(exit_code); ret }
export func traps() { unreachable }
export func overflows() { call overflows(); call nap(0); ret }
export func spins() { loop { } }
export func waits() { call is(50, (call receive(99, 0, 0, -1, 0)), 0); ret }

func expect(number: i32, p: i32, n: i32, count: i32, reason: i32, wanted: i32) {
    var child: i64
    i32.store [how + SpawnOptions.flags], SPAWN_MONITOR
    call start(p, n, value, count, how) -> child
    if i64.lt_s child, 0 { call exit((i32.wrap_i64 (i64.sub 0, child))) }
    call is_end(number, TAG_DOWN, child, reason, wanted)
    call is(number, (call receive(TAG_ANY, 0, 0, 0, 0)), -E_TIMEDOUT)
    i32.store [how + SpawnOptions.flags], SPAWN_LINK
    call start(p, n, value, count, how) -> child
    call is_end(number, TAG_EXIT, child, reason, wanted)
    call is(number, (call receive(TAG_ANY, 0, 0, 0, 0)), -E_TIMEDOUT)
    i32.store [how + SpawnOptions.flags], SPAWN_LINK | SPAWN_MONITOR
    call start(p, n, value, count, how) -> child
    call is_end(number, TAG_DOWN, child, reason, wanted)
    call is_end(number, TAG_EXIT, child, reason, wanted)
    call is(number, (call receive(TAG_ANY, 0, 0, 0, 0)), -E_TIMEDOUT)
    ret
}
export func main() -> i32 {
    call is(1, (call process_trap_exit(1)), 0)
    call is(2, (call process_trap_exit(1)), 1)
    call expect(3, returns_name, len(returns_name), 0, EXIT_NORMAL, 0)
    call expect(4, gives_name, len(gives_name), 0, EXIT_NORMAL, 0)
    i32.store [value], 7
    call expect(5, exits_name, len(exits_name), 1, EXIT_CODE, 7)
    i32.store [value], 0
    call expect(6, exits_name, len(exits_name), 1, EXIT_NORMAL, 0)
    i32.store [value], -1
    call expect(7, exits_name, len(exits_name), 1, EXIT_CODE, -1)
    call expect(8, traps_name, len(traps_name), 0, EXIT_TRAP, 0)
    i64.store [how + SpawnOptions.fuel], 10000
    call expect(9, spins_name, len(spins_name), 0, EXIT_FUEL, 0)
    i64.store [how + SpawnOptions.fuel], 0
    i64.store [how + SpawnOptions.time], 3_000_000
    call expect(10, spins_name, len(spins_name), 0, EXIT_TIME, 0)
    // To wait costs no CPU time.
    i64.store [how + SpawnOptions.time], 1_000_000_000
    i32.store [how + SpawnOptions.flags], SPAWN_MONITOR
    var child: i64
    call start(waits_name, len(waits_name), 0, 0, how) -> child
    call nap(20)
    call is(11, (call process_kill(child)), 0)
    call is_end(12, TAG_DOWN, child, EXIT_KILLED, 0)
    call is(13, (call process_kill(child)), -E_SRCH)
    ret 0
}
)");
}

TEST_CASE("processes: a monitor's message comes with the tag that was asked for") {
  check_guest(R"(
data answers_name = "answers"
reserve argument 8 align 8
reserve inbox 64 align 8
reserve info sizeof(MessageInfo) align 8
// Answers with the tag 5 as often as it is told to, then ends.
export func answers(count: i64) {
    while i64.ne count, 0 {
        call is(50, (call process_send((call process_parent()), 5, argument, 8)), 0)
        i64.sub count, count, 1
    }
    ret
}
func begin(count: i64) -> i64 {
    i64.store [argument], count
    ret (call start(answers_name, len(answers_name), argument, 1, 0))
}
func expect_end(number: i32, tag: i32, pid: i64, ref: i64, reason: i32) {
    call is(number, (call receive(tag, exit_info, sizeof(ExitInfo), -1, info)), sizeof(ExitInfo))
    call is64(number, (i64.load [exit_info + ExitInfo.pid]), pid)
    call is64(number, (i64.load [exit_info + ExitInfo.reference]), ref)
    call is(number, (i32.load [exit_info + ExitInfo.reason]), reason)
    call is64(number, (i64.load [info + MessageInfo.sender]), 0)
    ret
}
export func main() -> i32 {
    var child: i64, first: i64, second: i64, me: i64
    call process_self() -> me
    call is64(1, (call process_monitor_as(me, -1)), -E_INVAL)
    call is64(2, (call process_monitor_as(me, TAG_ANY)), -E_INVAL)
    // Answers, then the end: all with one tag, in their order; others' ends have their own tags.
    call begin(2) -> child
    call process_monitor_as(child, 5) -> first
    call process_monitor_as(child, 6) -> second
    call is(3, (call receive(5, inbox, 64, -1, info)), 8)
    call is64(4, (i64.load [info + MessageInfo.sender]), child)
    call is(5, (call receive(5, inbox, 64, -1, info)), 8)
    call expect_end(6, 5, child, first, EXIT_NORMAL)
    call expect_end(7, 6, child, second, EXIT_NORMAL)
    // One that has ended long ago.
    call process_monitor_as(child, 7) -> first
    call expect_end(8, 7, child, first, EXIT_NOPROC)
    // Undone: only the message of this monitor is dropped, not what has the same tag.
    call begin(0) -> child
    call process_monitor_as(child, 5) -> first
    call process_monitor_as(child, 5) -> second
    call is(9, (call process_send(me, 5, argument, 3)), 0)
    call process_monitor(child) -> child
    call is(10, (call receive(TAG_DOWN, inbox, 64, -1, 0)), sizeof(ExitInfo))
    call is(11, (call process_demonitor(0)), 0)
    call is(12, (call process_demonitor(first)), 0)
    // Ends are told of in any order.
    for i: i32 in 0 .. 2 {
        call is(13, (i32.ge_s (call receive(5, inbox, 64, -1, info)), 3), 1)
        if i64.eqz (i64.load [info + MessageInfo.sender]) {
            call is64(14, (i64.load [inbox + ExitInfo.reference]), second)
        }
    }
    call is(15, (call receive(TAG_ANY, inbox, 64, 0, info)), -E_TIMEDOUT)
    ret 0
}
)");
}

TEST_CASE("processes: links go both ways, and can be undone") {
  check_guest(R"(
data waits_name = "waits"
data relay_name = "relay"
data mute_name = "mute"
reserve how sizeof(SpawnOptions) align 8
reserve info sizeof(ProcessInfo) align 8
reserve cell 8 align 8
export func waits() { call is(50, (call receive(99, 0, 0, -1, 0)), 0); ret }
// Links with another one; both wait.
export func relay(other: i64) {
    call is(51, (call process_link(other)), 0)
    call waits()
    ret
}
export func mute(other: i64) {
    call is(52, (call process_trap_exit(1)), 0)
    call is(53, (call process_link(other)), 0)
    call is_end(54, TAG_EXIT, other, EXIT_KILLED, 0)
    call exit(55)
    ret
}
func links_of(pid: i64) -> i32 {
    call is(60, (call process_info(pid, info)), 0)
    ret (i32.load [info + ProcessInfo.links])
}
func make(p: i32, n: i32, other: i64) -> i64 {
    i64.store [cell], other
    i32.store [how + SpawnOptions.flags], SPAWN_MONITOR
    ret (call start(p, n, cell, (i32.and (i64.ne other, 0), 1), how))
}
func settle(pid: i64, links: i32) {
    while i32.ne (call links_of(pid)), links { call nap(1) }
    ret
}
export func main() -> i32 {
    var a: i64, b: i64, me: i64
    call process_self() -> me
    // The end of one is the end of the other, from either side, with the same reason.
    call make(waits_name, len(waits_name), 0) -> a
    call make(relay_name, len(relay_name), a) -> b
    call settle(a, 1)
    call is(1, (call process_kill(a)), 0)
    call is(2, (call receive(TAG_DOWN, exit_info, 24, -1, 0)), 24)
    call is(3, (i32.load [exit_info + ExitInfo.reason]), EXIT_KILLED)
    call is(4, (call receive(TAG_DOWN, exit_info, 24, -1, 0)), 24)
    call is(5, (i32.load [exit_info + ExitInfo.reason]), EXIT_KILLED)
    call make(waits_name, len(waits_name), 0) -> a
    call make(relay_name, len(relay_name), a) -> b
    call settle(a, 1)
    call is(6, (call process_exit(b, 9)), 0)
    call is(7, (call receive(TAG_DOWN, exit_info, 24, -1, 0)), 24)
    call is(8, (i32.load [exit_info + ExitInfo.reason]), EXIT_CODE)
    call is(9, (i32.load [exit_info + ExitInfo.code]), 9)
    call is(10, (call receive(TAG_DOWN, exit_info, 24, -1, 0)), 24)
    call is(11, (i32.load [exit_info + ExitInfo.code]), 9)
    // Who traps exits hears of it.
    call make(waits_name, len(waits_name), 0) -> a
    call make(mute_name, len(mute_name), a) -> b
    call settle(a, 1)
    call is(12, (call process_kill(a)), 0)
    call is_end(13, TAG_DOWN, a, EXIT_KILLED, 0)
    call is_end(14, TAG_DOWN, b, EXIT_CODE, 55)
    // A normal end ends nobody else; nor does a normal signal.
    call make(waits_name, len(waits_name), 0) -> a
    call is(15, (call process_link(a)), 0)
    call is(16, (call process_link(a)), 0)
    call is(17, (call links_of(me)), 1)
    call is(18, (call process_exit(a, 0)), 0)
    call is(19, (call process_send(a, 99, 0, 0)), 0)
    call is_end(20, TAG_DOWN, a, EXIT_NORMAL, 0)
    call is(21, (call links_of(me)), 0)
    // Undone.
    call make(waits_name, len(waits_name), 0) -> a
    call is(22, (call process_link(a)), 0)
    call is(23, (call links_of(a)), 1)
    call is(24, (call process_unlink(a)), 0)
    call is(25, (call process_unlink(a)), 0)
    call is(26, (call links_of(a)), 0)
    call is(27, (call links_of(me)), 0)
    call is(28, (call process_kill(a)), 0)
    call is_end(29, TAG_DOWN, a, EXIT_KILLED, 0)
    call is(30, (call process_unlink(a)), 0)
    // Itself, and nobody.
    call is(31, (call process_link(me)), 0)
    call is(32, (call process_trap_exit(1)), 0)
    call is(33, (call process_link(a)), 0)
    call is_end(34, TAG_EXIT, a, EXIT_NOPROC, 0)
    call is(35, (call process_link(0)), 0)
    call is_end(36, TAG_EXIT, 0, EXIT_NOPROC, 0)
    call is(37, (call process_exit(me, 3)), 0)
    call is_end(38, TAG_EXIT, me, EXIT_CODE, 3)
    call is(39, (call process_exit(me, 0)), 0)
    call is_end(40, TAG_EXIT, me, EXIT_NORMAL, 0)
    call is(41, (call process_exit(a, 0)), -E_SRCH)
    call is(42, (call receive(TAG_ANY, info, 80, 0, 0)), -E_TIMEDOUT)
    ret 0
}
)");
}

TEST_CASE("processes: whoever ends itself goes no further") {
  for (const unsigned workers : {1u, 4u}) {
    Pipe output;
    ProcessOptions options = on_workers(workers);
    options.output = output.ends[1];
    check_guest(R"(
data child_name = "child"
reserve how sizeof(SpawnOptions) align 8
reserve cell 8 align 8
data word = "no"
export func child(way: i32) {
    var me: i64, error: i32
    call process_self() -> me
    switch way {
        0 => { call process_kill(me) -> error }
        1 => { call process_exit(me, 4) -> error }
        2 => { call process_link((i64.add me, 12345)) -> error }
        else => { call process_kill((call process_parent())) -> error }
    }
    call write(STDOUT, word, 2) -> error
    loop { }
}
func make(way: i64) -> i64 {
    i64.store [cell], way
    i32.store [how + SpawnOptions.flags], SPAWN_MONITOR | SPAWN_STDIO
    ret (call start(child_name, len(child_name), cell, 1, how))
}
export func main() -> i32 {
    call is_end(1, TAG_DOWN, (call make(0)), EXIT_KILLED, 0)
    call is_end(2, TAG_DOWN, (call make(1)), EXIT_CODE, 4)
    call is_end(3, TAG_DOWN, (call make(2)), EXIT_NOPROC, 0)
    ret 0
}
)",
                options);
    CHECK(output.text().empty());
  }
}

TEST_CASE("processes: monitors tell once, and can be taken back") {
  check_guest(R"(
data waits_name = "waits"
reserve how sizeof(SpawnOptions) align 8
reserve buffer 256 align 8
export func waits() { call is(50, (call receive(99, 0, 0, -1, 0)), 0); ret }
func make(rule: i32) -> i64 {
    i32.store [how + SpawnOptions.overflow], rule
    ret (call start(waits_name, len(waits_name), 0, 0, how))
}
func wait_end(pid: i64) {
    var error: i32
    while i32.eqz error { call process_send(pid, 1, 0, 0) -> error }
    ret
}
export func main() -> i32 {
    var a: i64, one: i64, two: i64, three: i64
    call make(0) -> a
    call process_monitor(a) -> one
    call process_monitor(a) -> two
    call process_monitor(a) -> three
    if i64.le_s one, 0 { ret 1 }
    if i64.le_s two, one { ret 2 }
    call is(3, (call process_demonitor(two)), 0)
    call is(4, (call process_demonitor(two)), 0)
    call is(5, (call process_demonitor(12345)), 0)
    call is(6, (call process_demonitor(-1)), 0)
    call is(7, (call process_kill(a)), 0)
    call is_end(8, TAG_DOWN, a, EXIT_KILLED, 0)
    i64.load two, [exit_info + ExitInfo.reference]
    call is_end(9, TAG_DOWN, a, EXIT_KILLED, 0)
    call is64(10, (i64.add two, (i64.load [exit_info + ExitInfo.reference])), (i64.add one, three))
    call is(11, (call receive(TAG_ANY, buffer, 64, 1_000_000, 0)), -E_TIMEDOUT)
    // The message is dropped if it has come, wherever it is in the mailbox.
    for i: i32 in 0 .. 200 {
        call make(0) -> a
        call process_monitor(a) -> one
        call process_monitor(a) -> two
        call is(12, (call process_kill(a)), 0)
        if i32.and i, 1 { call wait_end(a) }
        call is(13, (call process_send((call process_self()), 4, 0, 0)), 0)
        call is(14, (call process_demonitor(one)), 0)
        call is_end(15, TAG_DOWN, a, EXIT_KILLED, 0)
        call is64(16, (i64.load [exit_info + ExitInfo.reference]), two)
        call is(17, (call receive(TAG_ANY, buffer, 64, 0, 0)), 0)
        call is(18, (call receive(TAG_ANY, buffer, 64, 0, 0)), -E_TIMEDOUT)
    }
    // Of nobody.
    call process_monitor(a) -> one
    call is_end(19, TAG_DOWN, a, EXIT_NOPROC, 0)
    call is64(20, (i64.load [exit_info + ExitInfo.reference]), one)
    call process_monitor(0) -> one
    call is(21, (call process_demonitor(one)), 0)
    call is(22, (call receive(TAG_ANY, buffer, 64, 0, 0)), -E_TIMEDOUT)
    if i64.le_s (call process_monitor((call process_self()))), 0 { ret 23 }
    ret 0
}
)");
}

TEST_CASE("processes: monitors are taken back while others push messages out") {
  check_guest(R"(
data pusher_name = "pusher"
data receiver_name = "receiver"
reserve how sizeof(SpawnOptions) align 8
reserve cell 64 align 8
export func pusher(to: i64) {
    var error: i32
    while i32.eqz error { call process_send(to, 1, cell, 16) -> error }
    ret
}
export func receiver() {
    var n: i32, one: i64, pushers: i32
    i64.store [cell], (call process_self())
    for i: i32 in 0 .. 3 {
        if i64.lt_s (call start(pusher_name, len(pusher_name), cell, 1, 0)), 0 { call exit(2) }
    }
    for i: i32 in 0 .. 3000 {
        call process_monitor(1) -> one
        call receive(1, cell + 32, 16, (i64.extend_i32_s (i32.sub (i32.and i, 1), 1)), 0) -> n
        call is(3, (call process_demonitor(one)), 0)
    }
    ret
}
export func main() -> i32 {
    var child: i64
    i32.store [how + SpawnOptions.overflow], OVERFLOW_OLDEST
    i32.store [how + SpawnOptions.mailbox_messages], 20
    i32.store [how + SpawnOptions.flags], SPAWN_MONITOR
    call start(receiver_name, len(receiver_name), 0, 0, how) -> child
    call is_end(1, TAG_DOWN, child, EXIT_NORMAL, 0)
    ret 0
}
)");
}

TEST_CASE("processes: names are the machine's, and go with their process") {
  check_guest(R"(
data waits_name = "waits"
data name = "some name"
data other = "other"
reserve long_name 300
reserve how sizeof(SpawnOptions) align 8
export func waits() { call is(50, (call receive(99, 0, 0, -1, 0)), 0); ret }
export func main() -> i32 {
    var a: i64, me: i64
    call process_self() -> me
    call is64(1, (call name_find(name, len(name))), -E_NOENT)
    call is(2, (call name_unregister(name, len(name))), -E_NOENT)
    call is(3, (call name_register(name, 0, me)), -E_INVAL)
    call is(4, (call name_register(long_name, 256, me)), -E_INVAL)
    call is(5, (call name_register(-4, 8, me)), -E_FAULT)
    call is64(6, (call name_find(name, 0)), -E_INVAL)
    call is(7, (call name_unregister(-4, 8)), -E_FAULT)
    call is(8, (call name_register(name, len(name), (i64.add me, 5))), -E_SRCH)
    call is(9, (call name_register(long_name, 255, me)), 0)
    call is64(10, (call name_find(long_name, 255)), me)
    call is64(11, (call name_find(long_name, 254)), -E_NOENT)
    i32.store [how + SpawnOptions.flags], SPAWN_MONITOR
    for i: i32 in 0 .. 100 {
        call start(waits_name, len(waits_name), 0, 0, how) -> a
        call is(12, (call name_register(name, len(name), a)), 0)
        call is(13, (call name_register(other, len(other), a)), 0)
        call is(14, (call name_register(name, len(name), me)), -E_EXIST)
        call is64(15, (call name_find(name, len(name))), a)
        call is(16, (call name_unregister(other, len(other))), 0)
        call is64(17, (call name_find(other, len(other))), -E_NOENT)
        call is(18, (call process_kill(a)), 0)
        call is_end(19, TAG_DOWN, a, EXIT_KILLED, 0)
        call is64(20, (call name_find(name, len(name))), -E_NOENT)
    }
    ret 0
}
)");
}

TEST_CASE("processes: timers go off once, in order, unless they are cancelled") {
  check_guest(R"(
data timed_name = "timed"
reserve how sizeof(SpawnOptions) align 8
reserve buffer 64 align 8
reserve info sizeof(MessageInfo) align 8
export func timed() {
    for i: i32 in 0 .. 4096 {
        if i64.le_s (call timer_start(60_000_000_000, 1, 1)), 0 { call exit(50) }
    }
    call is64(51, (call timer_start(60_000_000_000, 1, 1)), -E_AGAIN)
    ret
}
export func main() -> i32 {
    var one: i64, two: i64, a: i64
    call is64(1, (call timer_start(-1, 1, 1)), -E_INVAL)
    call is64(2, (call timer_start(1, -1, 1)), -E_INVAL)
    call is64(3, (call timer_start(1, TAG_ANY, 1)), -E_INVAL)
    call is(4, (call timer_cancel(0)), -E_NOENT)
    call is(5, (call timer_cancel(-1)), -E_NOENT)
    call timer_start(30_000_000, 5, 111) -> one
    call timer_start(10_000_000, 5, -222) -> two
    if i64.le_s one, 0 { ret 6 }
    call is(7, (call receive(5, buffer, 64, -1, info)), 8)
    call is64(8, (i64.load [buffer]), -222)
    call is64(9, (i64.load [info + MessageInfo.sender]), (call process_self()))
    call is(10, (call timer_cancel(two)), -E_NOENT)
    call is(11, (call receive(5, buffer, 64, -1, info)), 8)
    call is64(12, (i64.load [buffer]), 111)
    call is(13, (call timer_cancel(one)), -E_NOENT)
    call timer_start(5_000_000, 5, 1) -> one
    call timer_start(0x7fff_ffff_ffff_ffff, 5, 1) -> two
    call is(14, (call timer_cancel(one)), 0)
    call is(15, (call timer_cancel(one)), -E_NOENT)
    call is(16, (call receive(5, buffer, 64, 15_000_000, info)), -E_TIMEDOUT)
    call is(17, (call timer_cancel(two)), 0)
    call timer_start(0, 5, 3) -> one
    call is(18, (call receive(5, buffer, 64, -1, info)), 8)
    // Those of a process that ends go with it, and are nobody else's.
    i32.store [how + SpawnOptions.flags], SPAWN_MONITOR
    for i: i32 in 0 .. 5 {
        call start(timed_name, len(timed_name), 0, 0, how) -> a
        call is_end(19, TAG_DOWN, a, EXIT_NORMAL, 0)
    }
    call timer_start(1_000_000_000_000, 5, 3) -> one
    call is(20, (call receive(TAG_ANY, buffer, 64, 10_000_000, info)), -E_TIMEDOUT)
    ret 0
}
)");
}

// The first monitor of each has the same number.
TEST_CASE("processes: several processes watch one, and each is told") {
  check_guest(R"(
data waits_name = "waits"
data watches_name = "watches"
reserve how sizeof(SpawnOptions) align 8
reserve cell 16 align 8
export func waits() { call is(50, (call receive(1, 0, 0, -1, 0)), 0); ret }
export func watches(other: i64, parent: i64) {
    call is64(51, (call process_monitor(other)), 1)
    i64.store [cell], other
    call is(52, (call process_send(parent, 2, cell, 8)), 0)
    call is_end(53, TAG_DOWN, other, EXIT_NORMAL, 0)
    call is(54, (call process_send(parent, 3, cell, 8)), 0)
    ret
}
// Its monitor goes with it; those of the others stay.
export func looks_away(other: i64, parent: i64) {
    call is64(55, (call process_monitor(other)), 1)
    call is(56, (call process_send(parent, 2, cell, 8)), 0)
    ret
}
data looks_away_name = "looks_away"
export func main() -> i32 {
    var one: i64, brief: i64
    call start(waits_name, len(waits_name), 0, 0, 0) -> one
    i64.store [cell], one
    i64.store [cell + 8], (call process_self())
    for i: i32 in 0 .. 3 {
        if i64.lt_s (call start(watches_name, len(watches_name), cell, 2, 0)), 0 { ret 2 }
    }
    for i: i32 in 0 .. 3 { call is(3, (call receive(2, cell, 16, -1, 0)), 8) }
    i64.store [cell], one
    i32.store [how + SpawnOptions.flags], SPAWN_MONITOR
    call start(looks_away_name, len(looks_away_name), cell, 2, how) -> brief
    call is(4, (call receive(2, cell, 16, -1, 0)), 8)
    call is_end(5, TAG_DOWN, brief, EXIT_NORMAL, 0)
    call is(6, (call process_send(one, 1, 0, 0)), 0)
    for i: i32 in 0 .. 3 { call is(7, (call receive(3, cell, 16, 30_000_000_000, 0)), 8) }
    ret 0
}
)");
}
