// Quotas of machines: exact, an error of whoever asks, and given back.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/unit/machines.hpp"

using namespace atollvm;
using namespace atollvm::test;

namespace {

struct TemporaryDirectory {
  TemporaryDirectory() { REQUIRE(mkdtemp(path.data()) != nullptr); }
  ~TemporaryDirectory() { std::filesystem::remove_all(path); }
  std::string path = "/tmp/atoll-quota-XXXXXX";
};

// What a guest is charged that does nothing but end.
u64 cost_of(const std::string& body) {
  MachineGuest guest(body + R"(
export func main() -> i32 { ret (i32.wrap_i64 (call used_memory())) }
)",
                     limited({}));
  guest.run();
  return guest.code();
}

}  // namespace

TEST_CASE("quota: linear memory, to the page") {
  const std::string memory = "memory 1 .. 1000 pages\n";
  const u64 cost = cost_of(memory);
  CHECK(cost == runtime::process_bytes + 65536);
  for (const u64 short_of : {0, 1}) {
    MachineGuest guest(memory + R"(
export func main() -> i32 {
    var n: i32, pages: i32 = 1, many: i32 = 3
    memory.grow n, many
    call is(1, n, -1)
    memory.grow n, pages
    call is(2, n, 1)
    memory.grow n, pages
    if i32.eq n, -1 { ret 9 }
    call is(3, n, 2)
    memory.grow n, pages
    call is(4, n, -1)
    ret 0
}
)",
                       limited({.memory = cost + 2 * 65536 - short_of}));
    guest.run();
    CHECK(guest.code() == (short_of == 0 ? 0 : 9));
  }
}

TEST_CASE("quota: there is no process without its first memory") {
  const std::string memory = "memory 1 .. 1000 pages\n";
  MachineGuest guest(memory + "export func main() { ret }\n",
                     limited({.memory = cost_of(memory) - 1}));
  const auto pid = guest.start();
  REQUIRE(!pid.ok());
  CHECK(pid.error().code == base::ErrorCode::limit);
  CHECK(guest.machine().account().memory.used() == 0);
  CHECK(guest.machine().account().handles.used() == 0);
}

TEST_CASE("quota: spawn is refused to the byte, and what a process had comes back with its end") {
  const std::string common = R"(
data child_name = "child"
reserve how sizeof(SpawnOptions) align 8
reserve buffer 64 align 8
export func child() {
    var n: i32
    call receive(1, buffer, 64, -1, 0) -> n
    ret
}
)";
  const u64 cost = cost_of(common);
  for (const u64 short_of : {0, 1}) {
    // Two children at a time, and a monitor.
    MachineGuest guest(common + R"(
export func main() -> i32 {
    var a: i64, b: i64, used: i64
    call used_memory() -> used
    for i: i32 in 0 .. 3 {
        i32.store [how + SpawnOptions.flags], 0
        call start(child_name, len(child_name), 0, 0, how) -> a
        if i64.le_s a, 0 { ret 1 }
        i32.store [how + SpawnOptions.flags], SPAWN_MONITOR
        call start(child_name, len(child_name), 0, 0, how) -> b
        if i64.eq b, -E_NOMEM {
            call is64(5, (call used_memory()), (i64.div_u (i64.mul used, 2), 1))
            ret 9
        }
        if i64.le_s b, 0 { ret 2 }
        call is64(3, (call start(child_name, len(child_name), 0, 0, 0)), -E_NOMEM)
        call is(4, (call process_kill(a)), 0)
        call is(4, (call process_kill(b)), 0)
        call is_end(6, TAG_DOWN, b, EXIT_KILLED, 0)
        while i64.ne (call used_memory()), used { call nap(1) }
    }
    ret 0
}
)",
                       limited({.memory = 3 * cost + sched::monitor_bytes - short_of}));
    guest.run();
    CHECK(guest.code() == (short_of == 0 ? 0 : 9));
  }
}

TEST_CASE("quota: a stack that may not grow overflows, in its own process") {
  MachineGuest guest(R"(
data child_name = "child"
reserve how sizeof(SpawnOptions) align 8
func deep(n: i64) -> i64 {
    if i64.eqz n { ret 0 }
    ret (i64.add (call deep((i64.sub n, 1))), 1)
}
export func child(n: i64) {
    call is64(7, (call deep(n)), n)
    ret
}
reserve argument 8 align 8
func try(depth: i64, reason: i32, code: i32) {
    var pid: i64
    i64.store [argument], depth
    call start(child_name, len(child_name), argument, 1, how) -> pid
    call is_end(8, TAG_DOWN, pid, reason, code)
    ret
}
export func main() -> i32 {
    i32.store [how + SpawnOptions.flags], SPAWN_MONITOR
    call try(100, EXIT_NORMAL, 0)
    call try(10_000, EXIT_TRAP, 10)
    call try(100, EXIT_NORMAL, 0)
    ret 0
}
)",
                     limited({.memory = 20'000}));
  guest.run();
  CHECK(guest.how().kind == sched::ExitKind::normal);
  CHECK(guest.code() == 0);
}

TEST_CASE("quota: tables") {
  MachineGuest guest(R"(
table cells: externref 0 .. 100000
export func main() -> i32 {
    var n: i32, more: i32 = 1000, none: externref, used: i64
    call used_memory() -> used
    mov none, null
    table.grow n, cells, none, more
    call is(1, n, 0)
    call is64(2, (call used_memory()), (i64.add used, 8000))
    table.grow n, cells, none, more
    call is(3, n, -1)
    i32.const more, 200
    table.grow n, cells, none, more
    call is(4, n, 1000)
    ret 0
}
)",
                     limited({.memory = 11'000}));
  guest.check();
}

TEST_CASE("quota: mailboxes; what is taken out makes room again") {
  for (const unsigned workers : {1u, 4u}) {
    MachineGuest guest(R"(
data child_name = "child"
reserve how sizeof(SpawnOptions) align 8
reserve buffer 1000 align 8
// Takes everything when it is told to.
export func child() {
    var n: i32
    loop {
        call is(40, (call receive(2, buffer, 0, -1, 0)), 0)
        i32.const n, 0
        while i32.ge_s n, 0 { call receive(1, buffer, 1000, 0, 0) -> n }
        call is(41, (call process_send((call process_parent()), 3, buffer, 0)), 0)
    }
}
export func main() -> i32 {
    var pid: i64, used: i64, error: i32, sent: i32, first: i32
    call start(child_name, len(child_name), 0, 0, 0) -> pid
    call used_memory() -> used
    for turn: i32 in 0 .. 5 {
        i32.const sent, 0
        i32.const error, 0
        while not error {
            call process_send(pid, 1, buffer, 1000) -> error
            i32.add sent, sent, 1
        }
        call is(1, error, -E_NOMEM)
        if i32.lt_s sent, 18 { ret 2 }
        if not turn { i32.or first, sent, 0 }
        call is(3, sent, first)
        // This fits into what comes with each process.
        call is(4, (call process_send(pid, 2, buffer, 0)), 0)
        call is(5, (call receive(3, buffer, 0, -1, 0)), 0)
        while i64.ne (call used_memory()), used { call nap(1) }
    }
    ret 0
}
)",
                       limited({.memory = 24'000}), workers);
    guest.check();
  }
}

TEST_CASE("quota: handles; moving them needs no more, dropped messages give them back") {
  for (const unsigned workers : {1u, 4u}) {
    MachineGuest guest(R"(
data child_name = "child"
data getter_name = "getter"
data word = "x"
reserve how sizeof(SpawnOptions) align 8
reserve numbers 64 align 8
reserve info sizeof(MessageInfo) align 8
export func child() {
    var n: i32
    call receive(9, numbers, 64, -1, 0) -> n
    ret
}
export func getter() {
    call is(40, (call receive(1, numbers, 64, -1, info)), 1)
    call is(41, (i32.load [info + MessageInfo.handle_count]), 2)
    call is(42, (call handle_rights((i32.load [info + MessageInfo.handle1]))), 0)
    call is(43, (call process_send((call process_parent()), 3, word, 1)), 0)
    call child()
    ret
}
func fill(wanted: i32) {
    var h: i32, count: i32
    loop {
        call handle_attenuate(ROOT, 0) -> h
        if i32.lt_s h, 0 { break }
        i32.store [numbers + count * 4], h
        i32.add count, count, 1
    }
    call is(1, h, -E_NFILE)
    call is(2, count, wanted)
    ret
}
func used(number: i32, wanted: i64) {
    while i64.ne (call used_handles()), wanted { call nap(1) }
    ret
}
export func main() -> i32 {
    var pid: i64
    call used(3, 4)
    call fill(6)
    // By a message that nobody takes.
    i32.store [how + SpawnOptions.flags], SPAWN_MONITOR
    call start(child_name, len(child_name), 0, 0, how) -> pid
    call is(5, (call process_send_handles(pid, 1, word, 1, numbers, 3)), 0)
    call used(6, 10)
    call is(7, (call handle_rights((i32.load [numbers]))), -E_BADF)
    call is(8, (call process_kill(pid)), 0)
    call is_end(9, TAG_DOWN, pid, EXIT_KILLED, 0)
    call used(10, 7)
    call fill(3)
    // By one that is taken.
    call start(getter_name, len(getter_name), 0, 0, how) -> pid
    call is(11, (call process_send_handles(pid, 1, word, 1, numbers, 2)), 0)
    call is(12, (call receive(3, numbers + 32, 8, -1, 0)), 1)
    call used(13, 10)
    call is(14, (call handle_attenuate(ROOT, 0)), -E_NFILE)
    call is(8, (call process_kill(pid)), 0)
    call is_end(9, TAG_DOWN, pid, EXIT_KILLED, 0)
    call used(15, 8)
    call fill(2)
    // To a new process; one that is not started takes nothing.
    i32.store [how + SpawnOptions.handles], numbers
    i32.store [how + SpawnOptions.handle_count], 1
    i64.store [how + SpawnOptions.memory], 1
    call is64(16, (call start(child_name, len(child_name), 0, 0, how)), -E_NOMEM)
    call used(17, 10)
    call is(18, (call handle_rights((i32.load [numbers]))), 0)
    i64.store [how + SpawnOptions.memory], 0
    i32.store [how + SpawnOptions.flags], SPAWN_MONITOR | SPAWN_STDIO
    call is64(19, (call start(child_name, len(child_name), 0, 0, how)), -E_NFILE)
    i32.store [how + SpawnOptions.flags], SPAWN_MONITOR
    call start(child_name, len(child_name), 0, 0, how) -> pid
    if i64.lt_s pid, 0 { ret 20 }
    call used(21, 10)
    call is(22, (call process_kill(pid)), 0)
    call is_end(23, TAG_DOWN, pid, EXIT_KILLED, 0)
    call used(24, 9)
    // To a process that is not there, or has no room: nothing has moved.
    call is(25, (call process_send_handles(pid, 1, word, 1, numbers + 4, 1)), -E_SRCH)
    call used(26, 9)
    call is(27, (call close((i32.load [numbers + 4]))), 0)
    call used(28, 8)
    ret 0
}
)",
                       limited({.handles = 10}), workers);
    guest.check();
  }
}

TEST_CASE("quota: links, monitors, names and timers are held to the memory") {
  MachineGuest guest(R"(
data child_name = "child"
reserve buffer 64 align 8
data letter = "abcdefghijklmnopqrstuvwxyz"
export func child() {
    var n: i32
    call receive(9, buffer, 64, -1, 0) -> n
    ret
}
export func main() -> i32 {
    var pid: i64, got: i64 = 1, used: i64, n: i32, count: i32, low: i64
    call start(child_name, len(child_name), 0, 0, 0) -> pid
    call used_memory() -> used
    // Monitors of one that lives, and taken back.
    while i64.gt_s got, 0 {
        call process_monitor(pid) -> got
        i32.add count, count, 1
    }
    call is64(1, got, -E_NOMEM)
    call is(2, (call process_link(pid)), -E_NOMEM)
    call is64(3, (call timer_start(1_000_000_000_000, 1, 0)), -E_AGAIN)
    call is(4, (call name_register(letter, 26, pid)), -E_NOMEM)
    call is64(5, (call process_monitor(1)), -E_NOMEM)
    i64.const got, 1
    while i64.lt_s got, (i64.extend_i32_s count) {
        call is(6, (call process_demonitor(got)), 0)
        i64.add got, got, 1
    }
    call is64(7, (call used_memory()), used)
    // Of what is not there: the messages stay.
    i64.const got, 1
    while i64.gt_s got, 0 { call process_monitor(1) -> got }
    call is64(8, got, -E_NOMEM)
    while i32.ge_s n, 0 { call receive(TAG_DOWN, buffer, 64, 0, 0) -> n }
    call is(9, n, -E_TIMEDOUT)
    // To wait gives back what its mailbox was charged.
    call is(10, (call receive(1, buffer, 64, 1_000_000, 0)), -E_TIMEDOUT)
    call is64(11, (call used_memory()), used)
    call is(12, (call process_link(pid)), 0)
    call is(13, (call process_link(pid)), 0)
    call is(14, (call name_register(letter, 26, pid)), 0)
    call timer_start(1_000_000_000_000, 1, 0) -> got
    call is64(15, (call used_memory()), (i64.add used, 2 * 128 + 160 + 52 + 192))
    call is(16, (call process_unlink(pid)), 0)
    call is(17, (call name_unregister(letter, 26)), 0)
    call is(18, (call timer_cancel(got)), 0)
    call is64(19, (call used_memory()), used)
    // One that fires.
    call timer_start(0, 1, 7) -> got
    call is(20, (call receive(1, buffer, 64, -1, 0)), 8)
    call is(21, (call receive(1, buffer, 64, 1_000_000, 0)), -E_TIMEDOUT)
    call is64(22, (call used_memory()), used)
    // And what is still there when the process ends.
    call is(23, (call name_register(letter, 3, (call process_self()))), 0)
    call is(24, (call process_link(pid)), 0)
    call process_monitor(pid) -> got
    call timer_start(1_000_000_000_000, 1, 0) -> got
    ret 0
}
)",
                     limited({.memory = 8'000}));
  guest.check();
}

TEST_CASE("quota: processes of a machine, whoever starts them at once") {
  sched::Machine::Options options = limited({});
  options.max_processes = 8;
  MachineGuest guest(R"(
data child_name = "child"
export func child() {
    var pid: i64
    for i: i32 in 0 .. 2000 { call start(child_name, len(child_name), 0, 0, 0) -> pid }
    ret
}
export func main() -> i32 {
    var pid: i64
    for i: i32 in 0 .. 2000 { call start(child_name, len(child_name), 0, 0, 0) -> pid }
    ret 0
}
)",
                     options, 4);
  const auto pid = guest.start();
  REQUIRE(pid.ok());
  u32 most = 0;
  for (int i = 0; i < 200; ++i) {
    most = std::max(most, guest.machine().processes());
    MachineGuest::nap();
  }
  CHECK(most <= 8);
  guest.end_all();
}

TEST_CASE("quota: CPU time of a machine ends it when its last slice ends") {
  std::atomic<int> told{0};
  sched::Machine::Options options = limited({});
  options.cpu_limit = 20'000'000;
  options.on_cpu_limit = [&] { ++told; };
  MachineGuest guest(R"(
data child_name = "child"
export func child() { loop { } }
export func main() -> i32 {
    var pid: i64
    for i: i32 in 0 .. 5 { call start(child_name, len(child_name), 0, 0, 0) -> pid }
    loop { }
}
)",
                     options, 2);
  guest.run();
  CHECK(guest.how().kind == sched::ExitKind::time);
  CHECK(guest.machine().cpu_time() >= 20'000'000);
  CHECK(told.load() == 1);
  // Nothing runs any more in it: a further process ends before its first instruction.
  const u64 used = guest.machine().cpu_time();
  guest.run();
  CHECK(guest.how().kind == sched::ExitKind::time);
  CHECK(guest.machine().cpu_time() - used < 5'000'000);
  CHECK(told.load() == 1);
}

TEST_CASE("quota: watches are charged for the most that they can hold, until they are closed") {
  const TemporaryDirectory directory;
  const std::string body = R"(
data path = "/d"
export func main() -> i32 {
    var used: i64, one: i32, two: i32
    call used_memory() -> used
    call watch_at(ROOT, path, len(path)) -> one
    if i32.lt_s one, 0 { ret 1 }
    call is64(2, (i64.sub (call used_memory()), used), 65536)
    call watch_at(ROOT, path, len(path)) -> two
    call is(3, two, -E_NOMEM)
    call is(4, (call close(one)), 0)
    call is64(5, (call used_memory()), used)
    call watch_at(ROOT, path, len(path)) -> one
    if i32.lt_s one, 0 { ret 6 }
    ret 0
}
)";
  MachineGuest guest(body, limited({.memory = cost_of("") + 2 * 65536 - 1}));
  guest.directories = {{directory.path, "/d", true}};
  guest.check();
}

TEST_CASE("quota: bytes and operations of I/O, to the byte") {
  const TemporaryDirectory directory;
  std::ofstream(directory.path + "/in") << "0123456789";
  const std::string body = R"(
data in_path = "/d/in"
data out_path = "/d/out"
data text = "abcdefghij"
reserve buffer 64 align 8
export func main() -> i32 {
    var in: i32, out: i32
    call open(ROOT, in_path, len(in_path), 0, RIGHT_READ) -> in
    call open(ROOT, out_path, len(out_path), OPEN_CREATE, RIGHT_WRITE) -> out
    call is(1, (call read(in, buffer, 4)), 4)
    call is(2, (call write(out, text, 5)), 5)
    call is(3, (call read(in, buffer, 64)), 6)
    call is(4, (call write(out, text, 10)), 1)
    call is(5, (call write(out, text, 10)), -E_DQUOT)
    call is(6, (call read(in, buffer, 1)), -E_DQUOT)
    call is(7, (call pread(in, buffer, 1, 0)), -E_DQUOT)
    call is(8, (call pwrite(out, text, 1, 0)), -E_DQUOT)
    call is64(9, (call seek(in, 0, SEEK_START)), 0)
    call is64(10, (call seek(in, 0, SEEK_START)), 0)
    call is64(11, (call seek(in, 0, SEEK_START)), -E_DQUOT)
    call is(12, (call open(ROOT, in_path, len(in_path), 0, RIGHT_READ)), -E_DQUOT)
    // To give up is always possible.
    call is(13, (call close(in)), 0)
    ret 0
}
)";
  for (const bool of_machine : {true, false}) {
    MachineGuest guest(body,
                       limited(of_machine ? cap::AccountLimits{.io_bytes = 16, .io_operations = 12}
                                          : cap::AccountLimits{}));
    if (!of_machine) guest.spawn.io = {16, 12};
    guest.directories = {{directory.path, "/d", true}};
    guest.check();
    CHECK(guest.machine().account().io_bytes.used() == 16);
    CHECK(guest.machine().account().io_operations.used() == 12);
    std::ifstream written(directory.path + "/out");
    CHECK(std::string(std::istreambuf_iterator<char>(written), {}) == "abcdea");
  }
}

TEST_CASE("quota: what a read waits for is not taken from others; a child may have less") {
  const Pipe pipe;
  MachineGuest guest(R"(
data child_name = "child"
reserve how sizeof(SpawnOptions) align 8
data text = "abcdefghij"
export func child() {
    call is(40, (call write(STDOUT, text, 10)), 3)
    call is(41, (call write(STDOUT, text, 10)), -E_DQUOT)
    ret
}
export func main() -> i32 {
    var pid: i64
    i32.store [how + SpawnOptions.flags], SPAWN_MONITOR | SPAWN_STDIO | SPAWN_MORE
    i64.store [how + SpawnOptions.io_bytes], 3
    call start(child_name, len(child_name), 0, 0, how) -> pid
    call is_end(1, TAG_DOWN, pid, EXIT_NORMAL, 0)
    i64.store [how + SpawnOptions.io_bytes], 100
    i64.store [how + SpawnOptions.io_operations], 1
    call start(child_name, len(child_name), 0, 0, how) -> pid
    call is_end(2, TAG_DOWN, pid, EXIT_CODE, 40)
    ret 0
}
)",
                     limited({.io_bytes = 9}));
  guest.output = pipe.ends[1];
  guest.check();
  CHECK(pipe.text() == "abcabcdef");
}

TEST_CASE("quota: after a storm of spawns, kills, messages and handles nothing is charged") {
  MachineGuest guest(R"(
data child_name = "child"
data name = "name"
reserve how sizeof(SpawnOptions) align 8
reserve argument 8 align 8
reserve buffer 4096 align 8
reserve info sizeof(MessageInfo) align 8
global seed: mut i64 = 1
func random(below: i64) -> i64 {
    var x: i64
    global.get x, seed
    i64.add x, (i64.mul x, 6364136223846793005), 1442695040888963407
    global.set seed, x
    ret (i64.rem_u (i64.shr_u x, 33), below)
}
func act(partner: i64, depth: i64) {
    var n: i32, h: i32, pid: i64
    switch (i32.wrap_i64 (call random(10))) {
        0, 1 => {
            if i64.gt_s depth, 0 {
                i64.store [argument], (i64.sub depth, 1)
                i32.store [how + SpawnOptions.flags], (i32.wrap_i64 (call random(8)))
                call start(child_name, len(child_name), argument, 1, how) -> pid
                if i64.eqz (call random(3)) { call process_kill(pid) -> n }
                if i64.gt_s pid, 0 { call process_send(pid, 1, buffer, 3000) -> n }
            }
        }
        2 => { call process_send(partner, 1, buffer, (i32.wrap_i64 (call random(4096)))) -> n }
        3 => {
            call handle_attenuate(0, 0) -> h
            if i32.ge_s h, 0 {
                i32.store [buffer], h
                call process_send_handles(partner, 1, buffer, 4, buffer, 1) -> n
                if n { call close(h) -> n }
            }
        }
        4 => { call receive(TAG_ANY, buffer, 4096, 1000, info) -> n }
        5 => { call process_monitor(partner) -> pid }
        6 => { call process_link(partner) -> n }
        7 => { call timer_start(100_000, 1, 5) -> pid }
        8 => { call name_register(name, 4, (call process_self())) -> n }
        else => { call process_exit(partner, 3) -> n }
    }
    ret
}
export func child(depth: i64) {
    var n: i32
    global.set seed, (call process_self())
    call process_trap_exit((i32.wrap_i64 (call random(2)))) -> n
    for i: i32 in 0 .. 30 { call act((call process_parent()), depth) }
    ret
}
export func main() -> i32 {
    var pid: i64, n: i32
    call process_trap_exit(1) -> n
    for i: i32 in 0 .. 300 {
        i64.store [argument], 3
        i32.store [how + SpawnOptions.flags], SPAWN_STDIO
        call start(child_name, len(child_name), argument, 1, how) -> pid
        call act(pid, 1)
    }
    ret 0
}
)",
                     limited({.memory = 1'000'000, .handles = 200}), 4);
  for (int i = 0; i < 3; ++i) guest.run();
}
