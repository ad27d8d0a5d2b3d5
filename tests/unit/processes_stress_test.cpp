// Processes that send counted messages and files along random edges, while they are killed and
// started again: at the end every message is accounted for, and nothing is left.
#include <cstdlib>
#include <filesystem>
#include <iterator>

#include "tests/unit/processes.hpp"

using namespace atollvm;
using namespace atollvm::test;

namespace {

constexpr const char* nodes = R"(
const node_count = 16
enum Tag { none, data_message, update, finish, report, reported, stopped }
struct Peer { pid: i64, sent: i32, pad: i32, received_from: i64, received: i32, pad2: i32 }
struct Data { from: i32, number: i32 }
struct Update { index: i32, pad: i32, pid: i64 }
reserve peers sizeof(Peer) * node_count align 8
reserve message 1024 align 8
reserve inbox 1024 align 8
reserve info sizeof(MessageInfo) align 8
reserve how sizeof(SpawnOptions) align 8
data node_name = "node"
data path = "/d/file"
global seed: mut i32 = 1
global stops: mut i32 = 0

func random(below: i32) -> i32 {
    var x: i32
    global.get x, seed
    i32.add x, (i32.mul x, 1664525), 1013904223
    global.set seed, x
    ret (i32.rem_u (i32.shr_u x, 8), below)
}
func peer(index: i32) -> i32 { ret (i32.add (i32.mul index, sizeof(Peer)), peers) }

func take(index: i32, n: i32) {
    var p: i32, from: i32, sender: i64, at: i32
    i64.load sender, [info + MessageInfo.sender]
    switch (i32.load [info + MessageInfo.tag]) {
        Tag.data_message => {
            i32.load from, [inbox + Data.from]
            call peer(from) -> p
            if i64.ne (i64.load [p + Peer.received_from]), sender {
                i64.store [p + Peer.received_from], sender
                i32.store [p + Peer.received], 0
            }
            call is(60, n, sizeof(Data))
            call is(61, (i32.load [inbox + Data.number]), (i32.load [p + Peer.received]))
            i32.store [p + Peer.received], (i32.add (i32.load [p + Peer.received]), 1)
            if i32.load [info + MessageInfo.handle_count] {
                call is(62, (call close((i32.load [info + MessageInfo.handle0]))), 0)
            }
        }
        Tag.update => {
            call peer((i32.load [inbox + Update.index])) -> p
            i64.store [p + Peer.pid], (i64.load [inbox + Update.pid])
            i32.store [p + Peer.sent], 0
        }
        Tag.finish => {
            global.set stops, 1
            call is(63, (call process_send((call process_parent()), Tag.stopped, message, 0)), 0)
        }
        Tag.report => {
            call is(64, (call process_send((call process_parent()), Tag.reported, peers,
                sizeof(Peer) * node_count)), 0)
        }
        else => { call exit(65) }
    }
    ret
}
func take_all(index: i32, timeout: i64) {
    var n: i32
    call receive(TAG_ANY, inbox, 1024, timeout, info) -> n
    while i32.ge_s n, 0 {
        call take(index, n)
        call receive(TAG_ANY, inbox, 1024, 0, info) -> n
    }
    call is(66, n, -E_TIMEDOUT)
    ret
}
func put(index: i32) {
    var p: i32, error: i32, h: i32, handles: i32
    call peer((call random(node_count))) -> p
    i32.store [message + Data.from], index
    i32.store [message + Data.number], (i32.load [p + Peer.sent])
    if i32.eqz (call random(16)) {
        call open(ROOT, path, len(path), 0, RIGHT_READ) -> h
        if i32.lt_s h, 0 { call exit(67) }
        i32.store [message + 64], h
        i32.const handles, 1
    }
    call process_send_handles((i64.load [p + Peer.pid]), Tag.data_message, message, sizeof(Data),
        message + 64, handles) -> error
    if i32.eqz error { i32.store [p + Peer.sent], (i32.add (i32.load [p + Peer.sent]), 1) }
    if error {
        if i32.ne error, -E_SRCH { call is(68, error, -E_AGAIN) }
        if handles { call is(69, (call close(h)), 0) }
    }
    ret
}
export func node(index: i32, start_seed: i32) {
    var ignored: i32
    global.set seed, start_seed
    // Nobody is known before the first update.
    while i32.eqz (global.get stops) {
        switch (call random(32)) {
            0 => { call process_yield() -> ignored }
            1 => { call take_all(index, 50_000) }
            2 => { for i: i32 in 0 .. 2000 { } }
            3, 4, 5, 6 => { call take_all(index, 0) }
            else => { call put(index) }
        }
    }
    loop { call take_all(index, -1) }
}

reserve pids 8 * node_count align 8
reserve reports sizeof(Peer) * node_count * node_count align 8
reserve arguments 16 align 8
func start_node(index: i32) -> i64 {
    var pid: i64
    i64.store [arguments], (i64.extend_i32_s index)
    i64.store [arguments + 8], (i64.extend_i32_s (call random(1_000_000)))
    i32.store [how + SpawnOptions.flags], SPAWN_STDIO | SPAWN_MONITOR | SPAWN_LINK
    call start(node_name, len(node_name), arguments, 2, how) -> pid
    if i64.lt_s pid, 0 { call exit(2) }
    i64.store [pids + index * 8], pid
    ret pid
}
// Its mailbox may be full for a while.
func tell(to: i64, tag: i32, n: i32) {
    var error: i32
    loop {
        call process_send(to, tag, inbox, n) -> error
        if i32.ne error, -E_AGAIN { break }
        call process_yield() -> error
    }
    if error { call blame(3) }
    ret
}
func introduce(index: i32, to: i64) {
    i32.store [inbox + Update.index], index
    i64.store [inbox + Update.pid], (i64.load [pids + index * 8])
    call tell(to, Tag.update, sizeof(Update))
    ret
}
// A node that has found something wrong has ended with a number of its own.
func blame(number: i32) {
    while i32.eq (call receive(TAG_DOWN, exit_info, sizeof(ExitInfo), 1_000_000_000, 0)), 24 {
        if i32.eq (i32.load [exit_info + ExitInfo.reason]), EXIT_CODE { br found }
        if i32.eq (i32.load [exit_info + ExitInfo.reason]), EXIT_TRAP { call exit(44) }
    }
    call exit(number)
found:
    call exit((i32.load [exit_info + ExitInfo.code]))
    ret
}
func expect_end(pid: i64) {
    call is(4, (call receive(TAG_DOWN, exit_info, 24, 30_000_000_000, 0)), 24)
    if i64.ne (i64.load [exit_info + ExitInfo.pid]), pid { call exit((i32.load [exit_info + ExitInfo.code])) }
    if i32.ne (i32.load [exit_info + ExitInfo.reason]), EXIT_KILLED { call exit((i32.load [exit_info + ExitInfo.code])) }
    call is_end(5, TAG_EXIT, pid, EXIT_KILLED, 0)
    ret
}
export func main() -> i32 {
    var pid: i64, victim: i32, a: i32, b: i32, sent: i32, got: i32, total: i64, h: i32
    call open(ROOT, path, len(path), OPEN_CREATE, RIGHT_READ | RIGHT_WRITE) -> h
    if i32.lt_s h, 0 { ret 6 }
    call is(7, (call process_trap_exit(1)), 0)
    for i: i32 in 0 .. node_count { call start_node(i) -> pid }
    for i: i32 in 0 .. node_count {
        for k: i32 in 0 .. node_count { call introduce(k, (i64.load [pids + i * 8])) }
    }
    for round: i32 in 0 .. rounds {
        call is(8, (call clock_sleep((i64.extend_i32_s (call random(2_000_000))))), 0)
        call random(node_count) -> victim
        i64.load pid, [pids + victim * 8]
        call is(9, (call process_kill(pid)), 0)
        call expect_end(pid)
        call start_node(victim) -> pid
        for k: i32 in 0 .. node_count {
            call introduce(k, pid)
            if i32.ne k, victim { call introduce(victim, (i64.load [pids + k * 8])) }
        }
    }
    for i: i32 in 0 .. node_count { call tell((i64.load [pids + i * 8]), Tag.finish, 0) }
    for i: i32 in 0 .. node_count {
        call is(10, (call receive(Tag.stopped, inbox, 0, 60_000_000_000, 0)), 0)
    }
    for i: i32 in 0 .. node_count {
        call tell((i64.load [pids + i * 8]), Tag.report, 0)
        call is(11, (call receive(Tag.reported, (i32.add (i32.mul i, sizeof(Peer) * node_count), reports),
            sizeof(Peer) * node_count, 60_000_000_000, 0)), sizeof(Peer) * node_count)
    }
    for i: i32 in 0 .. node_count {
        for k: i32 in 0 .. node_count {
            i32.add a, (i32.mul (i32.add (i32.mul i, node_count), k), sizeof(Peer)), reports
            i32.add b, (i32.mul (i32.add (i32.mul k, node_count), i), sizeof(Peer)), reports
            i32.load sent, [a + Peer.sent]
            i32.const got, 0
            if i64.eq (i64.load [b + Peer.received_from]), (i64.load [pids + i * 8]) {
                i32.load got, [b + Peer.received]
            }
            call is(12, got, sent)
            i64.add total, total, (i64.extend_i32_s got)
        }
    }
    if i64.eqz total { ret 13 }
    for i: i32 in 0 .. node_count {
        i64.load pid, [pids + i * 8]
        call is(14, (call process_kill(pid)), 0)
        call expect_end(pid)
        call is(15, (call process_send(pid, 1, 0, 0)), -E_SRCH)
    }
    call is(16, (call receive(TAG_ANY, inbox, 1024, 0, 0)), -E_TIMEDOUT)
    ret 0
}
)";

size_t open_descriptors() {
  const std::filesystem::directory_iterator all("/proc/self/fd");
  return static_cast<size_t>(std::distance(begin(all), end(all)));
}

void run_nodes(unsigned workers, const char* policy, int rounds, const std::string& directory) {
  ProcessOptions options = on_workers(workers);
  options.scheduling.policy = policy;
  options.scheduling.slice = std::chrono::microseconds(200);
  options.limits.handles = 16;
  options.directories.push_back({directory, "/d", true});
  check_guest("const rounds = " + std::to_string(rounds) + "\n" + nodes, options);
}

}  // namespace

// ATOLL_STRESS_ROUNDS: kills in each run, for the long tests.
TEST_CASE("processes: no message, handle or process is lost or doubled") {
  const char* const wanted = std::getenv("ATOLL_STRESS_ROUNDS");
  const int rounds = wanted != nullptr ? std::atoi(wanted) : 30;
  std::string directory = "/tmp/atoll-processes-XXXXXX";
  REQUIRE(mkdtemp(directory.data()) != nullptr);
  run_nodes(4, "", 20, directory);
  const size_t descriptors = open_descriptors();
  const std::uint64_t before = resident();
  for (const unsigned workers : {1u, 2u, 4u}) run_nodes(workers, "", rounds, directory);
  for (const char* policy : {"rr", "priority"}) run_nodes(4, policy, rounds / 3, directory);
  CHECK(open_descriptors() == descriptors);
  CHECK(resident() < before + (std::uint64_t{64} << 20));
  std::filesystem::remove_all(directory);
}
