// Advisory locks between processes: handed on, and with their holders and waiters killed.
#include "tests/unit/processes.hpp"

using namespace atollvm;
using namespace atollvm::test;

namespace {

// `file` opens the one file of all.
constexpr const char* files = R"(
data path = "/m/file"
data child_name = "child"
reserve how sizeof(SpawnOptions) align 8
reserve argument 8 align 8
reserve numbers 8 align 8
reserve info sizeof(MessageInfo) align 8
memory 65536
func file() -> i32 {
    var h: i32
    call open(ROOT, path, len(path), OPEN_CREATE, RIGHT_READ | RIGHT_WRITE | RIGHT_LOCK) -> h
    if i32.lt_s h, 0 { call exit(90) }
    ret h
}
func child_of(x: i64) -> i64 {
    var pid: i64
    i64.store [argument], x
    i32.store [how + SpawnOptions.flags], SPAWN_STDIO | SPAWN_MONITOR
    call start(child_name, len(child_name), argument, 1, how) -> pid
    if i64.lt_s pid, 0 { call exit(91) }
    ret pid
}
)";

void check_locks(const std::string& body) {
  for (const unsigned workers : {1u, 4u}) {
    ProcessOptions options = on_workers(workers);
    options.mounts.push_back(*parse_mount("memory::/m"));
    check_guest(files + body, options);
  }
}

}  // namespace

TEST_CASE("processes: locks end with their process, also with one that is killed") {
  check_locks(R"(
export func child(x: i64) {
    var h: i32, n: i32
    call is(40, (call lock((call file()), LOCK_EXCLUSIVE, 0, 0, -1)), 0)
    call is(41, (call process_send((call process_parent()), 1, 0, 0)), 0)
    if i64.eqz x { ret }
    call receive(99, 0, 0, -1, 0) -> n
    ret
}
export func main() -> i32 {
    var h: i32, pid: i64
    call file() -> h
    for i: i32 in 0 .. 50 {
        call child_of((i64.extend_i32_s (i32.and i, 1))) -> pid
        call is(1, (call receive(1, 0, 0, -1, 0)), 0)
        if i32.and i, 1 {
            call is(2, (call lock(h, LOCK_SHARED, 0, 0, 0)), -E_TIMEDOUT)
            call is(3, (call process_kill(pid)), 0)
        }
        call is(4, (call lock(h, LOCK_SHARED, 5, 5, 10_000_000_000)), 0)
        call is(5, (call lock(h, LOCK_NONE, 0, 0, 0)), 0)
        call is(6, (call receive(TAG_DOWN, exit_info, sizeof(ExitInfo), -1, 0)), sizeof(ExitInfo))
    }
    ret 0
}
)");
}

TEST_CASE("processes: a lock goes with its handle in a message") {
  check_locks(R"(
export func child(x: i64) {
    var h: i32
    call is(40, (call receive(2, 0, 0, -1, info)), 0)
    i32.load h, [info + MessageInfo.handle0]
    call is(41, (call lock((call file()), LOCK_SHARED, 0, 0, 0)), -E_TIMEDOUT)
    call is(42, (call lock(h, LOCK_NONE, 0, 10, 0)), 0)
    call is(43, (call process_send((call process_parent()), 1, 0, 0)), 0)
    call is(44, (call receive(3, 0, 0, -1, 0)), 0)
    ret
}
export func main() -> i32 {
    var h: i32, other: i32, pid: i64
    for i: i32 in 0 .. 50 {
        call file() -> h
        call file() -> other
        call is(1, (call lock(h, LOCK_EXCLUSIVE, 0, 0, 0)), 0)
        call child_of(0) -> pid
        i32.store [numbers], h
        call is(2, (call process_send_handles(pid, 2, 0, 0, numbers, 1)), 0)
        call is(3, (call receive(1, 0, 0, -1, 0)), 0)
        call is(4, (call lock(other, LOCK_EXCLUSIVE, 0, 10, 0)), 0)
        call is(5, (call lock(other, LOCK_EXCLUSIVE, 10, 1, 0)), -E_TIMEDOUT)
        call is(6, (call process_send(pid, 3, 0, 0)), 0)
        call is(7, (call lock(other, LOCK_EXCLUSIVE, 0, 0, 10_000_000_000)), 0)
        call is(8, (call close(other)), 0)
        call is_end(9, TAG_DOWN, pid, EXIT_NORMAL, 0)
    }
    // One that is in a mailbox ends with it: nobody takes this message.
    call file() -> h
    call file() -> other
    call is(10, (call lock(h, LOCK_EXCLUSIVE, 0, 0, 0)), 0)
    call child_of(0) -> pid
    i32.store [numbers], h
    call is(11, (call process_send_handles(pid, 7, 0, 0, numbers, 1)), 0)
    call is(12, (call lock(other, LOCK_SHARED, 0, 0, 0)), -E_TIMEDOUT)
    call is(13, (call process_kill(pid)), 0)
    call is(14, (call lock(other, LOCK_SHARED, 0, 0, 10_000_000_000)), 0)
    ret 0
}
)");
}

TEST_CASE("processes: a lock that is dropped on its way to one who waits for it") {
  // Its mailbox drops what is new, so the sender lets it go on.
  check_locks(R"(
export func child(x: i64) {
    call is(40, (call process_send((call process_parent()), 1, 0, 0)), 0)
    call is(41, (call lock((call file()), LOCK_EXCLUSIVE, 0, 0, 10_000_000_000)), 0)
    ret
}
export func main() -> i32 {
    var h: i32, pid: i64
    for i: i32 in 0 .. 20 {
        call file() -> h
        call is(1, (call lock(h, LOCK_EXCLUSIVE, 0, 0, 0)), 0)
        i32.store [how + SpawnOptions.overflow], OVERFLOW_NEWEST
        i32.store [how + SpawnOptions.mailbox_messages], 1
        call child_of(0) -> pid
        call is(2, (call receive(1, 0, 0, -1, 0)), 0)
        call nap(2)
        i32.store [numbers], h
        call is(3, (call process_send(pid, 5, 0, 0)), 0)
        call is(4, (call process_send_handles(pid, 5, 0, 0, numbers, 1)), 0)
        call is_end(5, TAG_DOWN, pid, EXIT_NORMAL, 0)
    }
    ret 0
}
)");
}

TEST_CASE("processes: a thousand wait for a lock, and are killed") {
  // Two of three are killed while they wait, the others get it one after the other.
  check_locks(R"(
reserve pids 8 * 1000 align 8
reserve total 8 align 8
export func child(x: i64) {
    var h: i32, n: i32
    call file() -> h
    call is(40, (call process_send((call process_parent()), 1, 0, 0)), 0)
    call is(41, (call lock(h, LOCK_EXCLUSIVE, x, 0, -1)), 0)
    // Alone: the file's bytes are a number that nobody changes meanwhile.
    call pread(h, total, 8, 0) -> n
    i64.store [total], (i64.add (i64.load [total]), 1)
    if i64.eqz x { call process_yield() -> n }
    call is(42, (call pwrite(h, total, 8, 0)), 8)
    ret
}
export func main() -> i32 {
    var h: i32, n: i32, left: i64
    call file() -> h
    i64.store [total], 0
    call is(1, (call pwrite(h, total, 8, 0)), 8)
    call is(2, (call lock(h, LOCK_EXCLUSIVE, 0, 0, 0)), 0)
    for i: i32 in 0 .. 1000 {
        i64.store [pids + i * 8], (call child_of(0))
    }
    for i: i32 in 0 .. 1000 { call is(3, (call receive(1, 0, 0, -1, 0)), 0) }
    for i: i32 in 0 .. 1000 {
        if i32.ne (i32.rem_u i, 3), 1 {
            call process_kill((i64.load [pids + i * 8])) -> n
        }
        if i32.eq i, 500 { call is(5, (call lock(h, LOCK_NONE, 0, 0, 0)), 0) }
    }
    for i: i32 in 0 .. 1000 {
        call is(6, (call receive(TAG_DOWN, exit_info, sizeof(ExitInfo), 60_000_000_000, 0)),
            sizeof(ExitInfo))
        if i32.eq (i32.load [exit_info + ExitInfo.reason]), EXIT_NORMAL {
            i64.add left, left, 1
        } else {
            call is(7, (i32.load [exit_info + ExitInfo.reason]), EXIT_KILLED)
        }
    }
    call is(8, (call lock(h, LOCK_EXCLUSIVE, 0, 0, 10_000_000_000)), 0)
    call is(9, (call pread(h, total, 8, 0)), 8)
    // Who was killed may have counted before.
    if i64.lt_u (i64.load [total]), left { ret 10 }
    if i64.lt_u left, 333 { ret 11 }
    ret 0
}
)");
}
