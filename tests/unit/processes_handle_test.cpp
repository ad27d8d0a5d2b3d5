// Handles that go from process to process.
#include <sys/resource.h>

#include <cstdlib>
#include <filesystem>
#include <iterator>

#include "tests/unit/processes.hpp"

using namespace atollvm;
using namespace atollvm::test;

namespace {

size_t open_descriptors() {
  const std::filesystem::directory_iterator all("/proc/self/fd");
  return static_cast<size_t>(std::distance(begin(all), end(all)));
}

struct TemporaryDirectory {
  TemporaryDirectory() { REQUIRE(mkdtemp(path.data()) != nullptr); }
  ~TemporaryDirectory() { std::filesystem::remove_all(path); }
  std::string path = "/tmp/atoll-processes-XXXXXX";
};

// Few descriptors, so that each one that leaks is missed.
struct FewDescriptors {
  FewDescriptors() {
    REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
    rlimit few = before;
    few.rlim_cur = 256;
    REQUIRE(setrlimit(RLIMIT_NOFILE, &few) == 0);
  }
  ~FewDescriptors() { setrlimit(RLIMIT_NOFILE, &before); }
  rlimit before{};
};

}  // namespace

TEST_CASE("processes: a handle that is sent is gone from the sender, and the receiver's to use") {
  for (const unsigned workers : {1u, 4u}) {
    Pipe output;
    ProcessOptions options = on_workers(workers);
    options.output = output.ends[1];
    check_guest(R"(
data writer_name = "writer"
reserve buffer 64 align 8
reserve how sizeof(SpawnOptions) align 8
reserve info sizeof(MessageInfo) align 8
export func writer(expected: i32) {
    var h: i32
    call is(40, (call receive(TAG_ANY, buffer, 64, -1, info)), 3)
    call is(41, (i32.load [info + MessageInfo.handle_count]), expected)
    for i: i32 in 0 .. expected {
        i32.load h, [info + MessageInfo.handle0 + i * 4]
        call is(42, (call write(h, buffer, 3)), 3)
        call is(43, (call close(h)), 0)
    }
    ret
}
func copies(count: i32) {
    var h: i32
    for i: i32 in 0 .. count {
        call handle_attenuate(STDOUT, RIGHT_WRITE) -> h
        if i32.lt_s h, 0 { call exit(60) }
        i32.store [buffer + i * 4], h
    }
    ret
}
data word = "abc"
func give(number: i32, count: i32, handle_limit: i32) -> i64 {
    var child: i64
    i64.store [buffer], (i64.extend_i32_s count)
    i32.store [how + SpawnOptions.flags], SPAWN_MONITOR
    i32.store [how + SpawnOptions.handle_limit], handle_limit
    call start(writer_name, len(writer_name), buffer, 1, how) -> child
    call copies(count)
    call is(number, (call process_send_handles(child, 3, word, 3, buffer, count)), 0)
    for i: i32 in 0 .. count {
        call is(number, (call write((i32.load [buffer + i * 4]), word, 3)), -E_BADF)
    }
    ret child
}
export func main() -> i32 {
    var child: i64, h: i32
    call is_end(1, TAG_DOWN, (call give(2, 1, 0)), EXIT_NORMAL, 0)
    call is_end(3, TAG_DOWN, (call give(4, 8, 8)), EXIT_NORMAL, 0)
    // The same one twice, and one that is none: nothing moves.
    call copies(1)
    i32.load h, [buffer]
    i32.store [buffer + 4], h
    call process_self() -> child
    call is(5, (call process_send_handles(child, 3, word, 3, buffer, 2)), -E_BADF)
    i32.store [buffer + 4], 1000
    call is(6, (call process_send_handles(child, 3, word, 3, buffer, 2)), -E_BADF)
    call is(7, (call process_send_handles((i64.add child, 1), 3, word, 3, buffer, 1)), -E_SRCH)
    call is(8, (call process_send_handles(child, -3, word, 3, buffer, 1)), -E_INVAL)
    call is(9, (call receive(TAG_ANY, buffer, 0, 0, 0)), -E_TIMEDOUT)
    call is(10, (call write(h, word, 3)), 3)
    // To itself: under a number that is free.
    call is(11, (call process_send_handles(child, 3, word, 3, buffer, 1)), 0)
    call is(12, (call write(h, word, 3)), -E_BADF)
    call is(13, (call receive(3, buffer, 3, 0, info)), 3)
    call is(14, (call write((i32.load [info + MessageInfo.handle0]), word, 3)), 3)
    ret 0
}
)",
                options);
    std::string all;
    for (int i = 0; i < 11; ++i) all += "abc";
    CHECK(output.text() == all);
  }
}

TEST_CASE("processes: no room for a message's handles leaves it where it is") {
  for (const unsigned workers : {1u, 4u}) {
    Pipe output;
    ProcessOptions options = on_workers(workers);
    options.output = output.ends[1];
    options.limits.handles = 10;
    check_guest(R"(
reserve numbers 64 align 8
reserve info sizeof(MessageInfo) align 8
export func main() -> i32 {
    var me: i64, h: i32, count: i32, first: i32
    call process_self() -> me
    call handle_attenuate(STDOUT, RIGHT_WRITE) -> h
    i32.store [numbers], h
    call handle_attenuate(STDOUT, RIGHT_WRITE) -> h
    i32.store [numbers + 4], h
    call is(1, (call process_send_handles(me, 3, numbers, 5, numbers, 2)), 0)
    // All numbers but one are taken.
    loop {
        call handle_attenuate(STDOUT, RIGHT_WRITE) -> h
        if i32.lt_s h, 0 { break }
        mov first, h
        i32.add count, count, 1
    }
    call is(2, h, -E_MFILE)
    call is(3, (call close(first)), 0)
    call is(4, (call receive(3, numbers, 64, -1, info)), -E_MFILE)
    call is(5, (i32.load [info + MessageInfo.handle_count]), 2)
    call is(6, (i32.load [info + MessageInfo.size]), 5)
    call is(7, (call close((i32.sub first, 1))), 0)
    call is(8, (call receive(3, numbers, 64, -1, info)), 5)
    call is(9, (call write((i32.load [info + MessageInfo.handle0]), numbers, 1)), 1)
    call is(10, (call write((i32.load [info + MessageInfo.handle1]), numbers, 1)), 1)
    // Without a MessageInfo they are closed.
    i32.store [numbers], (i32.load [info + MessageInfo.handle0])
    i32.store [numbers + 4], (i32.load [info + MessageInfo.handle1])
    call is(11, (call process_send_handles(me, 3, numbers, 0, numbers, 2)), 0)
    call is(12, (call receive(3, numbers, 0, -1, 0)), 0)
    call handle_attenuate(STDOUT, RIGHT_WRITE) -> h
    if i32.lt_s h, 0 { ret 13 }
    call handle_attenuate(STDOUT, RIGHT_WRITE) -> h
    if i32.lt_s h, 0 { ret 14 }
    ret 0
}
)",
                options);
  }
}

TEST_CASE("processes: handles that wait in a mailbox count, too") {
  for (const unsigned workers : {1u, 4u}) {
    Pipe output;
    ProcessOptions options = on_workers(workers);
    options.output = output.ends[1];
    options.limits.handles = 16;
    check_guest(R"(
reserve numbers 64 align 8
reserve info sizeof(MessageInfo) align 8
func put() -> i32 {
    var h: i32, error: i32
    call handle_attenuate(STDOUT, RIGHT_WRITE) -> h
    if i32.lt_s h, 0 { call exit(50) }
    i32.store [numbers], h
    call process_send_handles((call process_self()), 1, 0, 0, numbers, 1) -> error
    if error { call is(51, (call close(h)), 0) }
    ret error
}
export func main() -> i32 {
    for i: i32 in 0 .. 16 { call is(1, (call put()), 0) }
    call is(2, (call put()), -E_AGAIN)
    call is(3, (call process_send((call process_self()), 2, 0, 0)), 0)
    call is(4, (call receive(1, 0, 0, 0, info)), 0)
    call is(5, (call put()), 0)
    call is(6, (call put()), -E_AGAIN)
    ret 0
}
)",
                options);
  }
}

TEST_CASE("processes: handles in messages that nobody takes are closed") {
  const TemporaryDirectory directory;
  const size_t before = open_descriptors();
  for (const unsigned workers : {1u, 4u}) {
    const FewDescriptors few;
    ProcessOptions options = on_workers(workers);
    options.directories.push_back({directory.path, "/d", true});
    check_guest(R"(
data sleeper_name = "sleeper"
data dier_name = "dier"
data path = "/d/file"
reserve how sizeof(SpawnOptions) align 8
reserve numbers 64 align 8
export func sleeper() {
    call is(50, (call receive(99, 0, 0, -1, 0)), 0)
    ret
}
export func dier() { ret }
func opened() -> i32 {
    var h: i32
    call open(ROOT, path, len(path), OPEN_CREATE, RIGHT_READ | RIGHT_WRITE) -> h
    if i32.lt_s h, 0 { call exit(70) }
    i32.store [numbers], h
    ret h
}
export func main() -> i32 {
    var child: i64, me: i64, h: i32, error: i32
    call process_self() -> me
    i32.store [how + SpawnOptions.mailbox_messages], 3
    for i: i32 in 0 .. 300 {
        // In the mailbox of one that is killed, or dropped there.
        i32.store [how + SpawnOptions.overflow], (i32.add (i32.rem_u i, 3), 1)
        i32.store [how + SpawnOptions.flags], SPAWN_MONITOR
        call start(sleeper_name, len(sleeper_name), 0, 0, how) -> child
        for k: i32 in 0 .. 5 {
            call opened() -> h
            call process_send_handles(child, 1, 0, 0, numbers, 1) -> error
            if error {
                // The rule was to end it.
                call is(2, error, -E_SRCH)
                call is(3, (call close(h)), 0)
            }
            if i32.eqz error { call is(4, (call close(h)), -E_BADF) }
        }
        call process_kill(child) -> error
        call is(5, (call receive(TAG_DOWN, numbers, 64, 30_000_000_000, 0)), sizeof(ExitInfo))
        // To one that ends just now: it has it, or the sender still does.
        i32.store [how + SpawnOptions.overflow], 0
        call start(dier_name, len(dier_name), 0, 0, how) -> child
        call opened() -> h
        call process_send_handles(child, 1, 0, 0, numbers, 1) -> error
        if error { call is(6, (call close(h)), 0) }
        call is(7, (call receive(TAG_DOWN, numbers, 64, 30_000_000_000, 0)), sizeof(ExitInfo))
        // To one that was given it at its start.
        call opened() -> h
        i32.store [how + SpawnOptions.handles], numbers
        i32.store [how + SpawnOptions.handle_count], 1
        call start(dier_name, len(dier_name), 0, 0, how) -> child
        call is(8, (call close(h)), -E_BADF)
        i32.store [how + SpawnOptions.handle_count], 0
        call is(9, (call receive(TAG_DOWN, numbers, 64, 30_000_000_000, 0)), sizeof(ExitInfo))
    }
    // Left in its own mailbox when it ends.
    call opened() -> h
    call is(10, (call process_send_handles(me, 1, 0, 0, numbers, 1)), 0)
    ret 0
}
)",
                options);
  }
  CHECK(open_descriptors() == before);
}

TEST_CASE("processes: many use one file and one name space at the same time") {
  const TemporaryDirectory directory;
  for (const unsigned workers : {1u, 4u}) {
    Pipe output;
    ProcessOptions options = on_workers(workers);
    options.output = output.ends[1];
    options.directories.push_back({directory.path, "/d", true});
    check_guest(R"(
data user_name = "user"
data path = "/d/shared"
data dir_path = "/d"
reserve how sizeof(SpawnOptions) align 8
reserve numbers 1024 align 8
// Handles 0 to 3 are shared, 4 is a file that all have.
export func user(number: i32) {
    var h: i32, error: i32
    i32.store8 [numbers], (i32.add 'a', (i32.and number, 15))
    for i: i32 in 0 .. 30 {
        call is(40, (call pwrite(4, numbers, 1, (i64.extend_i32_u number))), 1)
        if i64.lt_s (call seek(4, 0, SEEK_END)), 0 { call exit(41) }
        call is(42, (call stat(4, numbers + 64)), 0)
        call open(ROOT, path, len(path), 0, RIGHT_READ) -> h
        if i32.lt_s h, 0 { call exit(43) }
        call is(44, (call pread(h, numbers + 8, 1, (i64.extend_i32_u number))), 1)
        call is(45, (i32.load8_u [numbers + 8]), (i32.load8_u [numbers]))
        call is(46, (call close(h)), 0)
        call open(ROOT, dir_path, len(dir_path), OPEN_DIRECTORY, RIGHT_LIST) -> h
        if i32.lt_s h, 0 { call exit(47) }
        if i32.le_s (call read_dir(h, 0, numbers + 256, 512)), 0 { call exit(48) }
        call is(49, (call close(h)), 0)
    }
    call is(50, (call write(STDOUT, numbers, 1)), 1)
    ret
}
export func main() -> i32 {
    var h: i32, child: i64, shared: i32
    call open(ROOT, path, len(path), OPEN_CREATE, RIGHT_READ | RIGHT_WRITE | RIGHT_STAT) -> shared
    if i32.lt_s shared, 0 { ret 1 }
    i32.store [how + SpawnOptions.flags], SPAWN_STDIO | SPAWN_MONITOR
    for i: i32 in 0 .. 40 {
        call handle_attenuate(shared, RIGHT_READ | RIGHT_WRITE | RIGHT_STAT) -> h
        i32.store [numbers], h
        i64.store [numbers + 8], (i64.extend_i32_s i)
        i32.store [how + SpawnOptions.handles], numbers
        i32.store [how + SpawnOptions.handle_count], 1
        call start(user_name, len(user_name), numbers + 8, 1, how) -> child
        if i64.lt_s child, 0 { ret 2 }
    }
    for i: i32 in 0 .. 40 {
        call is(3, (call receive(TAG_DOWN, exit_info, 24, 60_000_000_000, 0)), 24)
        call is((i32.load [exit_info + ExitInfo.code]), (i32.load [exit_info + ExitInfo.reason]), 0)
    }
    ret 0
}
)",
                options);
    CHECK(output.text().size() == 40);
  }
}

TEST_CASE("processes: what was lent by a message is taken back, also what was opened through it") {
  for (const unsigned workers : {1u, 4u}) {
    ProcessOptions options = on_workers(workers);
    options.mounts.push_back({"memory", "", "/"});
    check_guest(R"(
data borrower_name = "borrower"
data path = "file"
data folder = "/"
reserve buffer 64 align 8
reserve info sizeof(MessageInfo) align 8
export func borrower(owner: i64) {
    var directory: i32, file: i32, copy: i32
    call is(40, (call receive(1, buffer, 64, -1, info)), 0)
    i32.load directory, [info + MessageInfo.handle0]
    call open(directory, path, len(path), OPEN_CREATE, RIGHT_WRITE) -> file
    call is(41, (i32.ge_s file, 0), 1)
    call is(42, (call write(file, path, 4)), 4)
    call handle_attenuate(directory, RIGHT_STAT) -> copy
    call is(43, (call process_send(owner, 2, path, 0)), 0)
    call is(44, (call receive(3, buffer, 64, -1, 0)), 0)
    call is(45, (call write(file, path, 4)), -E_NOTCAPABLE)
    call is(46, (call open(directory, path, len(path), 0, RIGHT_WRITE)), -E_NOTCAPABLE)
    call is(47, (call stat_at(copy, path, len(path), 0, buffer)), -E_NOTCAPABLE)
    call is(48, (call handle_attenuate(file, 0)), -E_NOTCAPABLE)
    call is(49, (call close(file)), 0)
    ret
}
export func main() -> i32 {
    var child: i64, directory: i32, by: i32
    call process_trap_exit(1) -> by
    call open(ROOT, folder, len(folder), OPEN_DIRECTORY,
        RIGHT_OPEN | RIGHT_CREATE | RIGHT_WRITE | RIGHT_STAT) -> directory
    call is(1, (i32.ge_s directory, 0), 1)
    call revoker_make() -> by
    call handle_revocable(directory, by,
        RIGHT_OPEN | RIGHT_CREATE | RIGHT_WRITE | RIGHT_STAT) -> directory
    i64.store [buffer], (call process_self())
    call start(borrower_name, len(borrower_name), buffer, 1, 0) -> child
    call is64(2, (call process_monitor(child)), 1)
    i32.store [buffer], directory
    call is(3, (call process_send_handles(child, 1, path, 0, buffer, 1)), 0)
    call is(4, (call receive(2, buffer, 64, 30_000_000_000, 0)), 0)
    call is(5, (call revoke(by)), 0)
    call is(6, (call process_send(child, 3, path, 0)), 0)
    call is_end(7, TAG_DOWN, child, EXIT_NORMAL, 0)
    call is(8, (i32.ge_s (call open(ROOT, path, len(path), 0, RIGHT_WRITE)), 0), 1)
    ret 0
}
)",
                options);
  }
}
