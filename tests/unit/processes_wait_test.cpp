// The overflow rule `wait`: senders to a full mailbox wait until there is room.
#include "tests/unit/machines.hpp"

using namespace atollvm;
using namespace atollvm::test;

namespace {

// `make` starts a process with such a mailbox.
constexpr const char* common = R"(
memory 40
reserve how sizeof(SpawnOptions) align 8
reserve arguments 32 align 8
reserve buffer 100_000 align 8
reserve inbox 100_000 align 8
reserve info sizeof(MessageInfo) align 8
reserve about sizeof(ProcessInfo) align 8
func make(p: i32, n: i32, a: i64, b: i64, count: i32, flags: i32) -> i64 {
    var pid: i64
    i32.store [how + SpawnOptions.flags], flags
    i64.store [arguments], a
    i64.store [arguments + 8], b
    call start(p, n, arguments, count, how) -> pid
    if i64.le_s pid, 0 { call exit(97) }
    ret pid
}
func limit(rule: i32, messages: i32, bytes: i64) {
    i32.store [how + SpawnOptions.overflow], rule
    i32.store [how + SpawnOptions.mailbox_messages], messages
    i64.store [how + SpawnOptions.mailbox_bytes], bytes
    ret
}
func free_limit() {
    call limit(OVERFLOW_REFUSE, 0, 0)
    ret
}
// Until a process waits.
func await(pid: i64) {
    loop {
        call is(98, (call process_info(pid, about)), 0)
        if i32.eq (i32.load [about + ProcessInfo.state]), STATE_WAITING { ret }
        call nap(1)
    }
}
)";

// Senders count; the receiver checks that nothing of any of them is lost, doubled or in another
// order.
constexpr const char* crowd = R"(
data sender_name = "sender"
data receiver_name = "receiver"
reserve counts 400 align 8
reserve seen 4 * 100 align 8
// Some messages are long.
func size_of(number: i32, i: i32) -> i32 {
    if i32.ne (i32.and (i32.add number, i), 15), 0 { ret 8 }
    ret longest
}
export func sender(to: i64, number: i64) {
    for i: i32 in 0 .. per_sender {
        i32.store [buffer], (i32.wrap_i64 number)
        i32.store [buffer + 4], i
        call is(50, (call process_send(to, (i32.and i, 1), buffer, (call size_of((i32.wrap_i64 number), i)))), 0)
    }
    ret
}
// kind 0: takes any; 1: those with tag 1 first; 2: never waits.
func next(kind: i32) -> i32 {
    var n: i32
    if i32.eq kind, 1 {
        call receive(1, inbox, 100_000, 0, info) -> n
        if i32.ge_s n, 0 { ret n }
    }
    if i32.ne kind, 2 { ret (call receive(TAG_ANY, inbox, 100_000, 60_000_000_000, info)) }
    loop {
        call receive(TAG_ANY, inbox, 100_000, 0, info) -> n
        if i32.ge_s n, 0 { ret n }
        call is(51, n, -E_TIMEDOUT)
        call process_yield() -> n
    }
}
export func receiver(kind: i64, parent: i64) {
    var n: i32, number: i32, i: i32, at: i32
    for total: i32 in 0 .. senders * per_sender {
        call next((i32.wrap_i64 kind)) -> n
        i32.load number, [inbox]
        i32.load i, [inbox + 4]
        if i32.ge_u number, senders { call exit(52) }
        call is(53, n, (call size_of(number, i)))
        // In the order of each tag, where these are taken one after the other.
        i32.add at, counts, (i32.mul number, 8)
        i32.add at, at, (i32.mul (i32.load [info + MessageInfo.tag]), 4)
        call is(54, (i32.shr_u i, 1), (i32.load [at]))
        i32.store [at], (i32.add (i32.load [at]), 1)
        if i64.ne kind, 1 {
            i32.add at, seen, (i32.mul number, 4)
            call is(55, i, (i32.load [at]))
            i32.store [at], (i32.add i, 1)
        }
    }
    call is(56, (call receive(TAG_ANY, inbox, 100_000, 0, 0)), -E_TIMEDOUT)
    call is(57, (call process_send(parent, 3, buffer, 0)), 0)
    ret
}
func round(kind: i64, messages: i32, bytes: i64) {
    var to: i64, pid: i64
    call limit(OVERFLOW_WAIT, messages, bytes)
    call make(receiver_name, len(receiver_name), kind, (call process_self()), 2, SPAWN_LINK) -> to
    call free_limit()
    for i: i32 in 0 .. senders {
        call make(sender_name, len(sender_name), to, (i64.extend_i32_u i), 2, SPAWN_LINK) -> pid
    }
    call is(1, (call receive(3, 0, 0, 120_000_000_000, 0)), 0)
    ret
}
export func main() -> i32 {
    for kind: i32 in 0 .. 3 {
        call round((i64.extend_i32_u kind), 1, 0)
        call round((i64.extend_i32_u kind), 2, 0)
        call round((i64.extend_i32_u kind), 10, 0)
        call round((i64.extend_i32_u kind), 0, 60_000)
        call round((i64.extend_i32_u kind), 0, 0)
    }
    ret 0
}
)";

std::string crowd_of(int senders, int count) {
  return common +
         ("const senders = " + std::to_string(senders) +
          "\nconst per_sender = " + std::to_string(count) + "\nconst longest = 50_000\n") +
         crowd;
}

}  // namespace

TEST_CASE("processes wait: nothing is lost or out of order, however many send") {
  check_guest(crowd_of(50, 100));
  for (const char* policy : {"rr", "priority", "fcfs"}) {
    ProcessOptions options = on_workers(2);
    options.scheduling.policy = policy;
    check_guest(crowd_of(20, 50), options);
  }
}

TEST_CASE("processes wait: nothing is lost where processes are disturbed") {
  for (const unsigned seed : {1u, 2u, 3u}) {
    ProcessOptions options = on_workers(3);
    options.scheduling.stress = seed;
    check_guest(crowd_of(10, 30), options);
  }
}

TEST_CASE("processes wait: who waits, who does not, and what can never be sent") {
  check_guest(common + std::string(R"(
data idle_name = "idle"
data sender_name = "sender"
// Takes so many messages for each message with tag 1.
export func idle() {
    var n: i32
    loop {
        call receive(1, inbox, 8, -1, 0) -> n
        for i: i32 in 0 .. (i32.load [inbox]) {
            call receive(2, inbox + 8, 90_000, -1, 0) -> n
            if i32.lt_s n, 0 { call exit(50) }
        }
    }
}
// Tells its parent what came of it.
export func sender(to: i64, size: i64) {
    i32.store [buffer], (call process_send(to, 2, buffer, (i32.wrap_i64 size)))
    call is(51, (call process_send((call process_parent()), 4, buffer, 4)), 0)
    ret
}
func sender_to(to: i64, size: i64) -> i64 {
    call free_limit()
    ret (call make(sender_name, len(sender_name), to, size, 2, 0))
}
func lying(pid: i64) -> i32 {
    call is(90, (call process_info(pid, about)), 0)
    ret (i32.load [about + ProcessInfo.messages])
}
func result(number: i32, wanted: i32) {
    call is(number, (call receive(4, inbox, 8, 30_000_000_000, 0)), 4)
    call is(number, (i32.load [inbox]), wanted)
    ret
}
func go(to: i64, n: i32) {
    i32.store [inbox], n
    call is(91, (call process_send(to, 1, inbox, 4)), 0)
    ret
}
export func main() -> i32 {
    var to: i64, a: i64, b: i64, c: i64, n: i32
    call limit(OVERFLOW_WAIT, 4, 20_000)
    call make(idle_name, len(idle_name), 0, 0, 0, SPAWN_MONITOR) -> to
    // More than it could ever hold; and to nobody.
    call is(1, (call process_send(to, 2, buffer, 20_000)), -E_TOOBIG)
    call is(2, (call process_send((i64.add to, 1 << 32), 2, buffer, 20_000)), -E_SRCH)
    for i: i32 in 0 .. 4 { call is(3, (call process_send(to, 2, buffer, 8)), 0) }
    // It holds what it may, also when others wait.
    call sender_to(to, 8) -> a
    call await(a)
    call sender_to(to, 10_000) -> b
    call await(b)
    call sender_to(to, 8) -> c
    call await(c)
    call is(4, (call lying(to)), 4)
    call is(5, (call receive(4, inbox, 8, 0, 0)), -E_TIMEDOUT)
    // One that ends is not waited for.
    call is(6, (call process_kill(a)), 0)
    call is(7, (call lying(to)), 4)
    call is(8, (call process_kill(to)), 0)
    call is_end(9, TAG_DOWN, to, EXIT_KILLED, 0)
    // There is nobody any more.
    call result(10, -E_SRCH)
    call result(11, -E_SRCH)
    call is(12, (call receive(4, inbox, 8, 0, 0)), -E_TIMEDOUT)

    // A receiver that takes messages below the half lets them go on, in their order.
    call limit(OVERFLOW_WAIT, 5, 20_000)
    call make(idle_name, len(idle_name), 0, 0, 0, SPAWN_MONITOR) -> to
    for i: i32 in 0 .. 4 { call is(13, (call process_send(to, 2, buffer, 8)), 0) }
    call go(to, 1)
    call await(to)
    call is(14, (call lying(to)), 3)
    call is(15, (call process_send(to, 2, buffer, 8)), 0)
    call is(16, (call process_send(to, 2, buffer, 8)), 0)
    call sender_to(to, 8) -> a
    call await(a)
    call sender_to(to, 8) -> b
    call await(b)
    call is(17, (call process_kill(a)), 0)
    call is(18, (call process_kill(b)), 0)
    call is(19, (call process_kill(to)), 0)
    call is_end(20, TAG_DOWN, to, EXIT_KILLED, 0)

    // One that waits for a message which is not there leaves the room that it has to others, though
    // that is less than half.
    call limit(OVERFLOW_WAIT, 6, 0)
    call make(idle_name, len(idle_name), 0, 0, 0, 0) -> to
    for i: i32 in 0 .. 5 { call is(27, (call process_send(to, 2, buffer, 8)), 0) }
    call go(to, 1)
    call is(28, (call process_send(to, 2, buffer, 8)), 0)
    call is(29, (call process_send(to, 2, buffer, 8)), 0)

    // One that has taken half of what it may have, and then takes nothing for long.
    call limit(OVERFLOW_WAIT, 4, 0)
    call make(busy_name, len(busy_name), 0, 0, 0, SPAWN_MONITOR) -> a
    for i: i32 in 0 .. 6 { call is(30, (call process_send(a, 2, buffer, 8)), 0) }
    call is(31, (call process_kill(a)), 0)
    call is_end(32, TAG_DOWN, a, EXIT_KILLED, 0)

    // A process that sends to itself would wait for ever.
    call limit(OVERFLOW_WAIT, 3, 0)
    call make(self_name, len(self_name), 0, 0, 0, SPAWN_MONITOR) -> a
    call is_end(21, TAG_DOWN, a, EXIT_NORMAL, 0)
    // Two that wait for each other can be killed.
    call make(tell_name, len(tell_name), 0, 0, 1, SPAWN_MONITOR) -> a
    call make(tell_name, len(tell_name), a, 0, 1, SPAWN_MONITOR) -> b
    i64.store [buffer], b
    call is(22, (call process_send(a, 1, buffer, 8)), 0)
    call await(a)
    call await(b)
    call is(23, (call process_kill(a)), 0)
    call is_end(24, TAG_DOWN, a, EXIT_KILLED, 0)
    // The other one has learnt of it.
    call is_end(25, TAG_DOWN, b, EXIT_CODE, E_SRCH)
    // Timers find no room either, and nobody waits for them.
    call make(timer_name, len(timer_name), 0, 0, 0, SPAWN_MONITOR) -> a
    call is_end(26, TAG_DOWN, a, EXIT_NORMAL, 0)
    ret 0
}
data busy_name = "busy"
export func busy() {
    for i: i32 in 0 .. 3 { call is(68, (call receive(2, inbox, 8, -1, 0)), 8) }
    loop { }
}
data self_name = "to_itself"
export func to_itself() {
    for i: i32 in 0 .. 3 { call is(60, (call process_send((call process_self()), 1, buffer, 8)), 0) }
    call is(61, (call process_send((call process_self()), 1, buffer, 8)), -E_AGAIN)
    call is(62, (call receive(1, inbox, 8, 0, 0)), 8)
    call is(63, (call process_send((call process_self()), 1, buffer, 8)), 0)
    ret
}
data tell_name = "tell"
export func tell(to: i64) {
    var n: i32
    if i64.eqz to {
        call receive(1, inbox, 8, -1, 0) -> n
        i64.load to, [inbox]
    }
    loop {
        call process_send(to, 2, buffer, 8) -> n
        if n { call exit((i32.sub 0, n)) }
    }
}
data timer_name = "timer"
export func timer() {
    for i: i32 in 0 .. 3 { call is(64, (call process_send((call process_self()), 1, buffer, 8)), 0) }
    if i64.le_s (call timer_start(0, 5, 1)), 0 { call exit(65) }
    call nap(5)
    call is(66, (call receive(5, inbox, 8, 0, 0)), -E_TIMEDOUT)
    for i: i32 in 0 .. 3 { call is(67, (call receive(1, inbox, 8, 0, 0)), 8) }
    ret
}
)"));
}

// Senders come, wait, and are killed; one that was called may be among them. Handles go with some.
TEST_CASE("processes wait: senders that are killed leave nothing, and hold up nobody") {
  for (const unsigned workers : {1u, 4u}) {
    MachineGuest guest(common + std::string(R"(
data sender_name = "sender"
data receiver_name = "receiver"
reserve pids 8 * 100 align 8
export func receiver() {
    var n: i32
    loop {
        call receive(TAG_ANY, inbox, 100_000, -1, info) -> n
        if i32.lt_s n, 0 { call exit(50) }
        if i32.load [info + MessageInfo.handle_count] {
            call is(51, (call close((i32.load [info + MessageInfo.handle0]))), 0)
        }
        // The last one: tells how many bytes it came with.
        if i32.eq (i32.load [info + MessageInfo.tag]), 9 {
            call is(52, (call process_send((i64.load [info + MessageInfo.sender]), 9, inbox, n)), 0)
        }
    }
}
export func sender(to: i64, number: i64) {
    var h: i32
    loop {
        call handle_attenuate(0, 0) -> h
        if i32.lt_s h, 0 { call exit(53) }
        i32.store [buffer], h
        call is(54, (call process_send_handles(to, 2, buffer, (i32.mul (i32.wrap_i64 number), 1000),
            buffer, 1)), 0)
    }
}
export func main() -> i32 {
    var to: i64, pid: i64, error: i32, handles: i64, memory_used: i64
    call limit(OVERFLOW_WAIT, 5, 60_000)
    call make(receiver_name, len(receiver_name), 0, 0, 0, SPAWN_LINK) -> to
    call free_limit()
    // So that the mailbox has what it will have: its line.
    call is(1, (call process_send(to, 9, buffer, 4)), 0)
    call is(2, (call receive(9, inbox, 4, 30_000_000_000, 0)), 4)
    call used_handles() -> handles
    call used_memory() -> memory_used
    for round: i32 in 0 .. 100 {
        for i: i32 in 0 .. 30 {
            i64.store [pids + i * 8], (call make(sender_name, len(sender_name), to,
                (i64.extend_i32_u i), 2, SPAWN_STDIO))
        }
        for i: i32 in 0 .. (i32.and round, 7) { call process_yield() -> error }
        // Some of them in another order than they came.
        for i: i32 in 0 .. 30 {
            i64.load pid, [pids + (i32.rem_u (i32.mul i, (i32.add (i32.mul round, 2), 1)), 30) * 8]
            call process_kill(pid) -> error
            if i32.eqz (i32.and i, 7) { call process_yield() -> error }
        }
        for i: i32 in 0 .. 30 { call process_kill((i64.load [pids + i * 8])) -> error }
        call is(3, (call process_send(to, 9, buffer, 4)), 0)
        call is(4, (call receive(9, inbox, 4, 30_000_000_000, 0)), 4)
    }
    while i64.ne (call used_handles()), handles { call nap(1) }
    while i64.ne (call used_memory()), memory_used { call nap(1) }
    ret 0
}
)"),
                       limited({.memory = 1 << 30, .handles = 10'000}), workers);
    guest.check();
  }
}

// A receiver that takes what 10,000 wait to send calls them a few at a time.
TEST_CASE("processes wait: many who wait") {
  check_guest(common + std::string(R"(
data sender_name = "sender"
data receiver_name = "receiver"
export func sender(to: i64) {
    call is(50, (call process_send(to, 1, buffer, 8)), 0)
    ret
}
export func receiver() {
    var n: i32
    call receive(2, inbox, 8, -1, info) -> n
    for i: i32 in 0 .. 10_000 { call is(51, (call receive(1, inbox, 8, 60_000_000_000, 0)), 8) }
    call is(52, (call process_send((i64.load [info + MessageInfo.sender]), 3, inbox, 8)), 0)
    ret
}
export func main() -> i32 {
    var to: i64, pid: i64
    call limit(OVERFLOW_WAIT, 1000, 0)
    call make(receiver_name, len(receiver_name), 0, 0, 0, SPAWN_LINK) -> to
    call free_limit()
    call is(1, (call process_send(to, 2, buffer, 8)), 0)
    for i: i32 in 0 .. 10_000 {
        call make(sender_name, len(sender_name), to, 0, 1, 0) -> pid
    }
    call is(2, (call receive(3, inbox, 8, 60_000_000_000, 0)), 8)
    ret 0
}
)"));
}
