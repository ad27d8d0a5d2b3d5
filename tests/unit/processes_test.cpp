// Messages between processes: order, limits, timeouts, handles. As guests see them.
#include "tests/unit/processes.hpp"

using namespace atollvm;
using namespace atollvm::test;

TEST_CASE("processes: a process knows itself, and what it may start") {
  check_guest(R"(
data main_name = "main"
data import_name = "receive"
reserve info sizeof(ProcessInfo) align 8
export func main() -> i32 {
    var me: i64
    call process_self() -> me
    if i64.le_s me, 0 { ret 1 }
    call is64(2, (call process_parent()), 0)
    if i32.lt_s (call entry_find(main_name, len(main_name))), 0 { ret 3 }
    call is(4, (call entry_find(main_name, 3)), -E_NOENT)
    call is(5, (call entry_find(import_name, len(import_name))), -E_NOENT)
    call is(6, (call entry_find(-8, 16)), -E_FAULT)
    call is(7, (call process_info(me, info)), 0)
    call is64(8, (i64.load [info + ProcessInfo.pid]), me)
    call is64(9, (i64.load [info + ProcessInfo.parent]), 0)
    call is(10, (i32.load [info + ProcessInfo.state]), STATE_RUNNING)
    call is(11, (i32.load [info + ProcessInfo.messages]), 0)
    call is(12, (call process_send(me, 5, info, 8)), 0)
    call is(13, (call process_info(me, info)), 0)
    call is(14, (i32.load [info + ProcessInfo.messages]), 1)
    call is(15, (call process_info(me, -4)), -E_FAULT)
    call is(16, (call process_info(0, info)), -E_SRCH)
    call is(17, (call process_info((i64.add me, 1), info)), -E_SRCH)
    call is(18, (call process_info((i64.or me, -1 << 63), info)), -E_SRCH)
    call is(19, (call process_info(-1, info)), -E_SRCH)
    call is(20, (call process_yield()), 0)
    ret 0
}
)");
}

TEST_CASE("processes: errors of sending and receiving") {
  check_guest(R"(
memory 40_000_000
reserve buffer 64 align 8
reserve info sizeof(MessageInfo) align 8
export func main() -> i32 {
    var me: i64
    call process_self() -> me
    call is(1, (call process_send(me, -1, buffer, 1)), -E_INVAL)
    call is(2, (call process_send(me, TAG_EXIT, buffer, 1)), -E_INVAL)
    call is(3, (call process_send(me, TAG_ANY, buffer, 1)), -E_INVAL)
    call is(4, (call process_send(0, 1, buffer, 1)), -E_SRCH)
    call is(5, (call process_send(-1, 1, buffer, 1)), -E_SRCH)
    call is(6, (call process_send(me, 1, 39_999_999, 2)), -E_FAULT)
    call is(7, (call process_send(me, 1, -1, 1)), -E_FAULT)
    call is(8, (call process_send(me, 1, buffer, -1)), -E_FAULT)
    call is(9, (call process_send(me, 1, 0, (1 << 24) + 1)), -E_TOOBIG)
    call is(10, (call receive(TAG_ANY, buffer, 64, 0, 0)), -E_TIMEDOUT)
    call is(11, (call receive(TAG_ANY, 39_999_999, 2, 0, 0)), -E_FAULT)
    call is(12, (call receive(TAG_ANY, buffer, 64, 0, -8)), -E_FAULT)
    call is(13, (call receive(TAG_ANY, buffer, -1, -1, 0)), -E_FAULT)
    call is(14, (call process_send_handles(me, 1, buffer, 0, buffer, 9)), -E_INVAL)
    call is(15, (call process_send_handles(me, 1, buffer, 0, buffer, -1)), -E_INVAL)
    call is(16, (call process_send_handles(me, 1, buffer, 0, 39_999_999, 1)), -E_FAULT)
    i32.store [buffer], 77
    call is(17, (call process_send_handles(me, 1, buffer, 0, buffer, 1)), -E_BADF)
    call is(18, (call process_send_handles(me, 1, buffer, 0, buffer, 0)), 0)
    call is(19, (call receive(1, buffer, 0, 0, info)), 0)
    call is(20, (i32.load [info + MessageInfo.handle_count]), 0)
    // 0 bytes and 16 MiB.
    i32.store [20_000_000], 12345
    i32.store [20_000_000 + (1 << 24) - 4], 54321
    call is(21, (call process_send(me, 2, 20_000_000, 1 << 24)), 0)
    call is(22, (call process_send(me, 3, 0, 0)), 0)
    call is(23, (call receive(3, 0, 0, 0, info)), 0)
    call is64(24, (i64.load [info + MessageInfo.sender]), me)
    call is(25, (i32.load [info + MessageInfo.tag]), 3)
    // Longer than the room: the message stays, and says how long it is.
    call is(26, (call receive(2, 100_000, (1 << 24) - 1, 0, info)), -E_RANGE)
    call is(27, (i32.load [info + MessageInfo.size]), 1 << 24)
    call is(28, (i32.load [100_000]), 0)
    call is(29, (call receive(2, 0, 0, -1, 0)), -E_RANGE)
    call is(30, (call receive(2, 100_000, 1 << 24, 0, 0)), 1 << 24)
    call is(31, (i32.load [100_000]), 12345)
    call is(32, (i32.load [100_000 + (1 << 24) - 4]), 54321)
    call is(33, (call receive(2, 100_000, 1 << 24, 0, 0)), -E_TIMEDOUT)
    ret 0
}
)");
}

TEST_CASE("processes: selective receive keeps the order, and timeouts are kept") {
  check_guest(R"(
reserve buffer 64 align 8
func put(to: i64, tag: i32, value: i32) {
    i32.store [buffer], value
    call is(90, (call process_send(to, tag, buffer, 4)), 0)
    ret
}
func take(number: i32, tag: i32, value: i32) {
    call is(number, (call receive(tag, buffer, 64, 0, 0)), 4)
    call is(number, (i32.load [buffer]), value)
    ret
}
export func main() -> i32 {
    var me: i64, then: i64, now: i64
    call process_self() -> me
    for i: i32 in 0 .. 10000 { call put(me, (i32.and i, 3), i) }
    // Far down in the mailbox, more than one turn of searching.
    call put(me, 9, 1)
    call take(1, 9, 1)
    for i: i32 in 0 .. 2500 { call take(2, 2, (i32.add (i32.mul i, 4), 2)) }
    call is(3, (call receive(2, buffer, 64, 0, 0)), -E_TIMEDOUT)
    call take(4, TAG_ANY, 0)
    call take(5, TAG_ANY, 1)
    call take(6, TAG_ANY, 3)
    call take(7, 0, 4)
    call take(8, TAG_ANY, 5)
    for i: i32 in 1 .. 1250 {
        call take(9, 3, (i32.add (i32.mul i, 4), 3))
    }
    call is(10, (call receive(7, buffer, 64, 0, 0)), -E_TIMEDOUT)
    call clock_now(CLOCK_MONOTONIC) -> then
    call is(11, (call receive(7, buffer, 64, 20_000_000, 0)), -E_TIMEDOUT)
    call clock_now(CLOCK_MONOTONIC) -> now
    if i64.lt_s (i64.sub now, then), 20_000_000 { ret 12 }
    // The deadline is the call's: a message that is not wanted does not move it.
    call is64(13, (i64.and (call timer_start(5_000_000, 8, 1)), 0), 0)
    call clock_now(CLOCK_MONOTONIC) -> then
    call is(14, (call receive(7, buffer, 64, 30_000_000, 0)), -E_TIMEDOUT)
    call clock_now(CLOCK_MONOTONIC) -> now
    if i64.lt_s (i64.sub now, then), 30_000_000 { ret 15 }
    call is(16, (call receive(8, buffer, 64, 0, 0)), 8)
    // A timeout near the end of time waits, too.
    call is64(17, (i64.and (call timer_start(1_000_000, 8, 1)), 0), 0)
    call is(18, (call receive(8, buffer, 64, 0x7fff_ffff_ffff_ffff, 0)), 8)
    ret 0
}
)");
}

TEST_CASE("processes: ping-pong, and a receiver with a timeout that is woken in time") {
  check_guest(R"(
data echo_name = "echo"
reserve buffer 64 align 8
reserve info sizeof(MessageInfo) align 8
export func echo() {
    var n: i32
    loop {
        call receive(TAG_ANY, buffer, 64, 60_000_000_000, info) -> n
        if i32.lt_s n, 0 { call exit(50) }
        call is(51, (call process_send((i64.load [info + MessageInfo.sender]),
            (i32.load [info + MessageInfo.tag]), buffer, n)), 0)
    }
}
export func main() -> i32 {
    var child: i64
    call start(echo_name, len(echo_name), 0, 0, 0) -> child
    for i: i32 in 0 .. 20000 {
        i32.store [buffer], i
        call is(1, (call process_send(child, i, buffer, 4)), 0)
        i32.store [buffer], -1
        call is(2, (call receive(i, buffer, 4, 60_000_000_000, 0)), 4)
        call is(3, (i32.load [buffer]), i)
    }
    ret 0
}
)");
}

TEST_CASE("processes: overflow rules") {
  check_guest(R"(
data receiver_name = "receiver"
reserve options sizeof(SpawnOptions) align 8
reserve buffer 1024 align 8
reserve info sizeof(ProcessInfo) align 8
// Waits for a message with tag 1, then tells how many others there are, the first and the last.
export func receiver(parent: i64) {
    var n: i32, count: i32, first: i32, last: i32
    call receive(1, buffer, 64, -1, 0) -> n
    loop {
        call receive(2, buffer, 1024, 0, 0) -> n
        if i32.lt_s n, 0 { break }
        i32.load last, [buffer]
        if i32.eqz count { i32.load first, [buffer] }
        i32.add count, count, 1
    }
    i32.store [buffer], count
    i32.store [buffer + 4], first
    i32.store [buffer + 8], last
    call is(60, (call process_send(parent, 3, buffer, 12)), 0)
    ret
}
func make(rule: i32, messages: i32, bytes: i64) -> i64 {
    i32.store [options + SpawnOptions.overflow], rule
    i32.store [options + SpawnOptions.flags], SPAWN_MONITOR
    i32.store [options + SpawnOptions.mailbox_messages], messages
    i64.store [options + SpawnOptions.mailbox_bytes], bytes
    i64.store [buffer], (call process_self())
    ret (call start(receiver_name, len(receiver_name), buffer, 1, options))
}
func result(number: i32, count: i32, first: i32, last: i32) {
    call is(number, (call receive(3, buffer, 64, 30_000_000_000, 0)), 12)
    call is(number, (i32.load [buffer]), count)
    call is(number, (i32.load [buffer + 4]), first)
    call is(number, (i32.load [buffer + 8]), last)
    ret
}
func put(to: i64, value: i32, n: i32) -> i32 {
    i32.store [buffer], value
    ret (call process_send(to, 2, buffer, n))
}
func go(to: i64) {
    call is(61, (call process_send(to, 1, buffer, 0)), 0)
    ret
}
export func main() -> i32 {
    var child: i64
    // 9 and the one to go fit.
    call make(OVERFLOW_REFUSE, 10, 0) -> child
    for i: i32 in 0 .. 9 { call is(1, (call put(child, i, 4)), 0) }
    call go(child)
    call result(2, 9, 0, 8)
    call is_end(3, TAG_DOWN, child, EXIT_NORMAL, 0)
    // Full: nobody gets in, also not the one to go.
    call make(OVERFLOW_REFUSE, 10, 0) -> child
    for i: i32 in 0 .. 10 { call is(4, (call put(child, i, 4)), 0) }
    call is(5, (call put(child, 10, 4)), -E_AGAIN)
    call is(6, (call process_send(child, 1, buffer, 0)), -E_AGAIN)
    call is(7, (call process_info(child, info)), 0)
    call is(8, (i32.load [info + ProcessInfo.messages]), 10)
    call is(9, (call process_kill(child)), 0)
    call is_end(10, TAG_DOWN, child, EXIT_KILLED, 0)
    // Bytes count, too.
    call make(OVERFLOW_REFUSE, 0, 2000) -> child
    call is(11, (call put(child, 0, 1000)), 0)
    call is(12, (call put(child, 1, 1000)), -E_AGAIN)
    call go(child)
    call result(13, 1, 0, 0)
    call is_end(14, TAG_DOWN, child, EXIT_NORMAL, 0)
    // The newest are dropped.
    call make(OVERFLOW_NEWEST, 5, 0) -> child
    for i: i32 in 0 .. 100 { call is(15, (call put(child, i, 4)), 0) }
    call is(16, (call process_info(child, info)), 0)
    call is(17, (i32.load [info + ProcessInfo.messages]), 5)
    call is(18, (call process_kill(child)), 0)
    call is_end(19, TAG_DOWN, child, EXIT_KILLED, 0)
    // The oldest are.
    call make(OVERFLOW_OLDEST, 5, 0) -> child
    for i: i32 in 0 .. 100 { call is(20, (call put(child, i, 4)), 0) }
    call go(child)
    call result(21, 4, 96, 99)
    call is_end(22, TAG_DOWN, child, EXIT_NORMAL, 0)
    call make(OVERFLOW_OLDEST, 0, 600) -> child
    for i: i32 in 0 .. 10 { call is(23, (call put(child, i, 100)), 0) }
    call is(24, (call put(child, 77, 1000)), 0)
    call is(25, (call process_info(child, info)), 0)
    call is(25, (i32.load [info + ProcessInfo.messages]), 0)
    call go(child)
    call result(26, 0, 0, 0)
    call is_end(27, TAG_DOWN, child, EXIT_NORMAL, 0)
    // The receiver ends.
    call make(OVERFLOW_KILL, 5, 0) -> child
    for i: i32 in 0 .. 6 { call is(28, (call put(child, i, 4)), 0) }
    call is_end(29, TAG_DOWN, child, EXIT_MAILBOX, 0)
    call is(30, (call put(child, 0, 4)), -E_SRCH)
    ret 0
}
)");
}
