// Machines that go on elsewhere: everything of them that guests can see.
#include <atomic>
#include <chrono>
#include <thread>

#include "atoll/embed/impl.hpp"
#include "scheduler/loop/loop.hpp"
#include "stdlib/host/stream.hpp"
#include "tests/support/snapshots.hpp"
#include "tests/support/tier.hpp"
#include "tests/unit/processes.hpp"

using namespace atollvm;
using namespace atollvm::test;
using sched::ExitKind;

namespace {

std::shared_ptr<const runtime::Program> program_of(const std::string& body) {
  const Engine engine(test::engine_options());
  return Access::impl(assembled(engine, body))->program;
}

// How many safepoints all processes may still pass.
std::atomic<i64> steps{0};

// Each turn is one step up to the next safepoint, while there are any.
runtime::Outcome step(runtime::Process& process) {
  // A snapshot waits for the end of what a thread of the pool works on.
  if (process.is_in_job()) {
    process.preempt();
    return test::run_tier(process);
  }
  if (steps.fetch_sub(1) <= 0) {
    steps.fetch_add(1);
    return {runtime::Outcome::Kind::preempted, runtime::Trap::unreachable, 0};
  }
  const bool waited = process.state == runtime::Process::State::pending;
  process.preempt();
  const runtime::Outcome outcome = test::run_tier(process);
  // To find that it still waits, as all do that were restored, is none.
  if (waited && outcome.kind == runtime::Outcome::Kind::waiting) steps.fetch_add(1);
  return outcome;
}

// Runs a guest that checks itself, one safepoint at a time, each in another scheduler.
void go_step_by_step(const std::string& body, sched::Spawn spawn = {}) {
  steps = 0;
  auto guests = std::make_unique<Guests>(1, step);
  REQUIRE(guests->start(program_of(body), spawn) != 0);
  u64 count = 0;
  while (true) {
    steps = 1;
    while (steps.load() > 0 && !guests->main_end()) nap_shortly();
    if (guests->main_end()) break;
    guests->pause();
    std::string image;
    const auto written = guests->write(image);
    if (!written && guests->main_end()) break;
    REQUIRE_MESSAGE(written.ok(), written.error().text());
    if (written->main == 0) break;
    ++count;
    steps = 0;
    guests = std::make_unique<Guests>(1, step);
    const auto read = guests->read(image);
    REQUIRE_MESSAGE(read.ok(), read.error().text());
    CHECK(read->processes == written->processes);
    CHECK(read->memory_bytes == written->memory_bytes);
    CHECK(read->stored_bytes == written->stored_bytes);
    CHECK(read->messages == written->messages);
    CHECK(read->main == written->main);
    // What was read is what was written, but for a timer that has become a message meanwhile: time
    // passes in a paused machine too.
    std::string again;
    const auto rewritten = guests->write(again);
    REQUIRE_MESSAGE(rewritten.ok(), rewritten.error().text());
    CHECK((again.size() == image.size() || rewritten->messages > written->messages));
    guests->resume();
  }
  steps = i64{1} << 40;
  const sched::Exit end = guests->wait_for_main();
  CHECK(end.kind == ExitKind::normal);
  CHECK(end.code == 0);
  CHECK(count > 3);
  const i64 fuel = guests->main_fuel();
  guests.reset();
  steps = 0;
  if (!spawn.limits.fuel) return;
  Guests undisturbed;
  REQUIRE(undisturbed.start(program_of(body), spawn) != 0);
  undisturbed.wait_for_main();
  CHECK(undisturbed.main_fuel() == fuel);
}

sched::Spawn with_fuel() {
  sched::Spawn spawn;
  spawn.limits.fuel = 100'000'000;
  return spawn;
}

// Objects that both machines have.
struct SharedObjects final : snapshot::Objects {
  std::vector<std::shared_ptr<cap::Object>> all;
  std::optional<std::string> describe(const std::shared_ptr<cap::Object>& object) override {
    for (usize i = 0; i < all.size(); ++i) {
      if (all[i] == object) return std::string(1, static_cast<char>(i));
    }
    return std::nullopt;
  }
  std::shared_ptr<cap::Object> restore(cap::Kind kind, std::string_view description,
                                       cap::Rights& rights) override {
    const usize number = description.size() == 1 ? static_cast<usize>(description[0]) : all.size();
    if (number >= all.size() || all[number]->kind() != kind) return nullptr;
    rights &= ~cap::right_stat;
    return all[number];
  }
  std::string describe(const cap::Facet&) override { return {}; }
  bool restore(std::string_view, cap::Capability&) override { return false; }
};

// Takes a machine from one scheduler to another.
std::unique_ptr<Guests> move(Guests& from, snapshot::Objects& objects, snapshot::Summary& summary) {
  from.pause();
  std::string image;
  const auto written = from.write(image, objects);
  REQUIRE_MESSAGE(written.ok(), written.error().text());
  auto to = std::make_unique<Guests>(2);
  const auto read = to->read(image, objects);
  REQUIRE_MESSAGE(read.ok(), read.error().text());
  CHECK(read->processes == written->processes);
  CHECK(read->handles == written->handles);
  CHECK(read->lost_handles == written->lost_handles);
  CHECK(read->canceled_calls == written->canceled_calls);
  // What they hold is known before they run.
  u64 memory = 0;
  u64 handles = read->handles;
  to->machine().table().for_each([&](const sched::Task& task) {
    const sched::Census held = task.census(false);
    memory += held.memory_bytes;
    handles -= held.handles + task.mailbox.handles();
  });
  CHECK(memory == read->memory_bytes);
  CHECK(handles == 0);
  summary = *read;
  return to;
}

void wait_for_handles(Guests& guests, u64 pid, u32 count) {
  while (true) {
    const auto held = guests.scheduler().find(guests.machine(), pid);
    REQUIRE(held);
    if (held->phase_now() == sched::Task::Phase::waiting && held->open_handles() == count) return;
  }
}

}  // namespace

TEST_CASE("snapshot: loops, calls and recursion go on at every safepoint") {
  go_step_by_step(R"(
global total: mut i64 = 5
func fib(n: i32) -> i32 {
    if i32.lt_s n, 2 { ret n }
    ret (i32.add (call fib((i32.sub n, 1))), (call fib((i32.sub n, 2))))
}
func sum(n: i64) -> i64 {
    var s: i64
    for i: i64 in 0 .. n { i64.add s, s, i }
    ret s
}
func down(n: i32) -> i32 {
    if i32.eqz n { ret 9 }
    ret (i32.add (call down((i32.sub n, 1))), 1)
}
export func main() -> i32 {
    call is(1, (call fib(7)), 13)
    call is64(2, (call sum(20)), 190)
    call is(3, (call down(30)), 39)
    global.set total, (i64.add (global.get total), 2)
    call is(4, (call process_yield()), 0)
    call is64(5, (global.get total), 7)
    ret 0
}
)",
                  with_fuel());
}

TEST_CASE("snapshot: bulk operations go on in their middle") {
  go_step_by_step(R"(
memory 10_000
table t: funcref 0 .. 1_000
export func main() -> i32 {
    memory.fill 1000, 7, 2_000
    call is(1, (i32.load8_u [1000]), 7)
    call is(2, (i32.load8_u [2999]), 7)
    call is(3, (i32.load8_u [3000]), 0)
    i32.store8 [1000], 1
    i32.store8 [2999], 2
    // Up over itself: from the end.
    memory.copy 1500, 1000, 2_000
    call is(4, (i32.load8_u [1500]), 1)
    call is(5, (i32.load8_u [3499]), 2)
    memory.copy 10, 1500, 2_000
    call is(6, (i32.load8_u [10]), 1)
    call is(7, (i32.load8_u [2009]), 2)
    var old: i32, some: funcref, is_null: i32
    table.grow old, t, some, 600
    call is(8, old, 0)
    ref.func some, main
    table.fill t, 3, some, 300
    table.size old, t
    call is(9, old, 600)
    table.get some, t, 302
    ref.is_null is_null, some
    call is(10, is_null, 0)
    table.get some, t, 303
    ref.is_null is_null, some
    call is(11, is_null, 1)
    ret 0
}
)",
                  with_fuel());
}

TEST_CASE("snapshot: messages, bonds, names and timers survive every safepoint") {
  go_step_by_step(R"(
data echo_name = "echo"
data public_name = "the echo"
reserve how sizeof(SpawnOptions) align 8
reserve buffer 64 align 8
reserve info sizeof(MessageInfo) align 8
reserve pinfo sizeof(ProcessInfo) align 8
// Sends back what comes, until a 0.
export func echo(parent: i64) {
    call is(70, (call name_register(public_name, len(public_name), (call process_self()))), 0)
    loop {
        call is(71, (call receive(TAG_ANY, buffer, 64, -1, info)), 8)
        if i64.eqz (i64.load [buffer]) { ret }
        call is(72, (call process_send(parent, 1, buffer, 8)), 0)
    }
}
export func main() -> i32 {
    var me: i64, child: i64, timer: i64, watch: i64
    call process_self() -> me
    call is(1, (call process_trap_exit(1)), 0)
    i64.store [buffer], me
    i32.store [how + SpawnOptions.flags], SPAWN_LINK | SPAWN_MONITOR
    call start(echo_name, len(echo_name), buffer, 1, how) -> child
    call process_monitor(child) -> watch
    call process_monitor_as(child, 9) -> watch
    call timer_start(3_600_000_000, 5, 55) -> timer
    call is64(2, timer, 1)
    for i: i64 in 1 .. 4 {
        i64.store [buffer], i
        call is(3, (call process_send(child, 2, buffer, 8)), 0)
    }
    for i: i64 in 1 .. 4 {
        call is(4, (call receive(1, buffer, 64, 30_000_000_000, info)), 8)
        call is64(5, (i64.load [buffer]), i)
        call is64(6, (i64.load [info + MessageInfo.sender]), child)
    }
    call is64(7, (call name_find(public_name, len(public_name))), child)
    call is(8, (call process_info(child, pinfo)), 0)
    call is(9, (i32.load [pinfo + ProcessInfo.links]), 1)
    call is(10, (call timer_cancel(timer)), 0)
    call is(11, (call timer_cancel(timer)), -E_NOENT)
    call is64(12, (call timer_start(1_000_000, 6, 66)), 2)
    call is(13, (call receive(6, buffer, 64, 30_000_000_000, 0)), 8)
    call is64(14, (i64.load [buffer]), 66)
    i64.store [buffer], 0
    call is(15, (call process_send(child, 2, buffer, 8)), 0)
    call is_end(16, TAG_DOWN, child, EXIT_NORMAL, 0)
    call is_end(17, TAG_DOWN, child, EXIT_NORMAL, 0)
    call is_end(18, TAG_EXIT, child, EXIT_NORMAL, 0)
    // One of these two has come, and is dropped.
    call process_monitor_as(child, 9) -> timer
    call is(22, (call process_demonitor(timer)), 0)
    call is_end(23, 9, child, EXIT_NORMAL, 0)
    call is64(24, (i64.load [exit_info + ExitInfo.reference]), watch)
    call is64(19, (call name_find(public_name, len(public_name))), -E_NOENT)
    call is(20, (call receive(TAG_ANY, buffer, 64, 2_000_000, 0)), -E_TIMEDOUT)
    call nap(2)
    // The next one is another.
    i64.store [buffer], me
    i32.store [how + SpawnOptions.flags], 0
    if i64.eq (call start(echo_name, len(echo_name), buffer, 1, how)), child { ret 21 }
    ret 0
}
)");
}

TEST_CASE("snapshot: senders that wait for room go on, and nothing is lost or doubled") {
  go_step_by_step(R"(
memory 1
data sender_name = "sender"
reserve how sizeof(SpawnOptions) align 8
reserve arguments 16 align 8
reserve buffer 8000
reserve next 8 align 8
export func sender(to: i64, number: i64) {
    for i: i32 in 0 .. 3 {
        i32.store [buffer], (i32.wrap_i64 number)
        i32.store [buffer + 4], i
        // One of them has long messages.
        call is(50, (call process_send(to, 1, buffer, (i32.add (i32.mul (i32.wrap_i64 number), 5000), 8))), 0)
    }
    ret
}
export func main() -> i32 {
    var pid: i64, at: i32
    i64.store [arguments], (call process_self())
    for i: i32 in 0 .. 2 {
        i64.store [arguments + 8], (i64.extend_i32_u i)
        call start(sender_name, len(sender_name), arguments, 2, how) -> pid
        if i64.le_s pid, 0 { ret 1 }
    }
    for i: i32 in 0 .. 6 {
        if i32.lt_s (call receive(1, buffer, 8000, -1, 0)), 8 { ret 2 }
        i32.add at, next, (i32.mul (i32.load [buffer]), 4)
        call is(3, (i32.load [buffer + 4]), (i32.load [at]))
        i32.store [at], (i32.add (i32.load [at]), 1)
    }
    call is(4, (call receive(TAG_ANY, buffer, 8000, 0, 0)), -E_TIMEDOUT)
    ret 0
}
)",
                  [] {
                    sched::Spawn spawn;
                    spawn.mailbox.messages = 1;
                    spawn.mailbox.overflow = sched::Overflow::wait;
                    return spawn;
                  }());
}

TEST_CASE("snapshot: modules that were loaded, and their processes") {
  const Engine engine(test::engine_options());
  const std::string child = assembled(engine, R"(
reserve cell 8 align 8
export func child(x: i64) {
    call is(90, (call receive(2, cell, 8, -1, 0)), 8)
    i64.store [cell], (i64.mul x, (i64.load [cell]))
    call is(91, (call process_send((call process_parent()), 1, cell, 8)), 0)
    ret
}
)")
                                .bytes();
  go_step_by_step(data_of("bytes", child) + R"(
data child_name = "child"
reserve how sizeof(SpawnOptions) align 8
reserve cell 8 align 8
reserve words 64
func begin(module_handle: i32, x: i64) -> i64 {
    i64.store [cell], x
    i32.store [how + SpawnOptions.flags], SPAWN_MODULE
    i32.store [how + SpawnOptions.module], module_handle
    ret (call spawn((call module_entry(module_handle, child_name, len(child_name))), cell, 1, how))
}
func check(number_of_check: i32, pid: i64, expected: i64) {
    i64.store [cell], 3
    call is(number_of_check, (call process_send(pid, 2, cell, 8)), 0)
    call is(number_of_check, (call receive(1, cell, 8, 30_000_000_000, 0)), 8)
    call is64(number_of_check, (i64.load [cell]), expected)
    ret
}
export func main() -> i32 {
    var first: i32, second: i32, a: i64, b: i64
    call module_load(bytes, bytes_size, words, 64) -> first
    call begin(first, 5) -> a
    call handle_attenuate(first, RIGHT_READ) -> second
    call is(1, (call close(first)), 0)
    call begin(second, 7) -> b
    call check(2, a, 15)
    call is(3, (call close(second)), 0)
    // Of a module that no handle names any more.
    call check(4, b, 21)
    call is(5, (call module_load(bytes, bytes_size - 1, words, 64)), -E_NOEXEC)
    ret 0
}
)");
}

TEST_CASE("snapshot: a read that waits is canceled, and a lost handle gives errors") {
  Pipe pipe;
  Guests guests;
  sched::Spawn spawn;
  spawn.handles.push_back({host::make_stream(pipe.ends[0]), cap::rights_all});
  const sched::Pid main = guests.start(program_of(R"(
reserve buffer 64 align 8
export func main() -> i32 {
    call is(1, (call read(0, buffer, 64)), -E_CANCELED)
    call is(2, (call read(0, buffer, 64)), -E_BADF)
    call is(3, (call stat(0, buffer)), -E_BADF)
    call is(4, (call handle_attenuate(0, RIGHT_READ)), 1)
    call is(5, (call close(0)), 0)
    call is(6, (call close(0)), -E_BADF)
    ret 0
}
)"),
                                       spawn);
  REQUIRE(main != 0);
  wait_for_handles(guests, main, 1);
  snapshot::NoObjects none;
  snapshot::Summary summary;
  const auto moved = move(guests, none, summary);
  CHECK(summary.main == main);
  CHECK(summary.handles == 1);
  CHECK(summary.lost_handles == 1);
  CHECK(summary.canceled_calls == 1);
  moved->resume();
  CHECK(moved->wait_for_main().code == 0);
  // The first one still waits.
  guests.resume();
  CHECK_FALSE(guests.main_end());
}

TEST_CASE("snapshot: what handles share is shared, also in messages; rights only shrink") {
  Pipe output;
  SharedObjects objects;
  objects.all.push_back(host::make_stream(output.ends[1]));
  Guests guests;
  sched::Spawn spawn;
  for (int i = 0; i < 3; ++i) {
    spawn.handles.push_back({objects.all[0], cap::right_write | cap::right_read | cap::right_stat});
  }
  cap::Revoker revoker;
  revoker.revoke();
  spawn.handles[2].revocation = revoker.revocation();
  const sched::Pid main = guests.start(program_of(R"(
reserve buffer 64 align 8
reserve info sizeof(MessageInfo) align 8
data text = "hello"
export func main() -> i32 {
    // One goes to itself.
    i32.store [buffer], 1
    call is(1, (call process_send_handles((call process_self()), 4, text, 5, buffer, 1)), 0)
    call is(2, (call receive(9, 0, 0, 100_000_000, 0)), -E_TIMEDOUT)
    call is(3, (call handle_rights(0)), RIGHT_WRITE | RIGHT_READ)
    call is(4, (call handle_rights(1)), -E_BADF)
    call is(5, (call write(2, text, 5)), -E_NOTCAPABLE)
    call is(6, (call receive(4, buffer, 64, 0, info)), 5)
    var h: i32
    i32.load h, [info + MessageInfo.handle0]
    call is(7, (call handle_rights(h)), RIGHT_WRITE | RIGHT_READ)
    call is(8, (call write(h, text, 5)), 5)
    call is(9, (call write(0, text, 5)), 5)
    ret 0
}
)"),
                                       spawn);
  REQUIRE(main != 0);
  wait_for_handles(guests, main, 2);
  snapshot::Summary summary;
  const auto moved = move(guests, objects, summary);
  CHECK(summary.handles == 3);
  CHECK(summary.messages == 1);
  CHECK(summary.lost_handles == 0);
  moved->resume();
  CHECK(moved->wait_for_main().code == 0);
  CHECK(output.text() == "hellohello");
}

TEST_CASE("snapshot: what can be taken away can still be, in all processes") {
  Pipe output;
  SharedObjects objects;
  objects.all.push_back(host::make_stream(output.ends[1]));
  Guests guests;
  sched::Spawn spawn;
  for (int i = 0; i < 5; ++i) spawn.handles.push_back({objects.all[0], cap::right_write});
  // The embedder's own, one that it has given up, and one over each other.
  cap::Revoker kept;
  auto gone = std::make_unique<cap::Revoker>();
  spawn.handles[1].revocation = kept.revocation();
  spawn.handles[2].revocation = gone->revocation();
  gone.reset();
  const sched::Pid main = guests.start(program_of(R"(
reserve buffer 64 align 8
reserve info sizeof(MessageInfo) align 8
reserve options sizeof(SpawnOptions) align 8
data text = "x"
data child_name = "child"
/// Has the handle that its parent lends as its number 0, and in a message another one.
export func child(parent: i64) {
    var h: i32
    call is(20, (call write(0, text, 1)), 1)
    call is(21, (call receive(1, buffer, 64, -1, info)), 1)
    call is(22, (call write(0, text, 1)), -E_NOTCAPABLE)
    i32.load h, [info + MessageInfo.handle0]
    call is(23, (call write(h, text, 1)), -E_NOTCAPABLE)
    call is(24, (call process_send(parent, 2, text, 1)), 0)
    ret
}
export func main() -> i32 {
    var by: i32, other: i32, lent: i32, twice: i32, own: i32, pid: i64
    call revoker_make() -> by
    call revoker_make() -> other
    call handle_revocable(0, by, RIGHT_WRITE) -> lent
    call handle_revocable(3, other, RIGHT_WRITE) -> own
    call handle_revocable(lent, other, RIGHT_WRITE) -> twice
    i32.store [options + SpawnOptions.handles], buffer
    i32.store [options + SpawnOptions.handle_count], 1
    i32.store [buffer], (call handle_attenuate(lent, RIGHT_WRITE))
    i64.store [buffer + 8], (call process_self())
    call spawn((call entry_find(child_name, len(child_name))), buffer + 8, 1, options) -> pid
    i32.store [buffer], twice
    call is(1, (call receive(9, 0, 0, 200_000_000, 0)), -E_TIMEDOUT)
    // The machine was moved meanwhile.
    call is(2, (call write(0, text, 1)), 1)
    call is(3, (call write(1, text, 1)), -E_NOTCAPABLE)
    call is(4, (call write(2, text, 1)), 1)
    call is(5, (call write(lent, text, 1)), 1)
    call is(6, (call write(own, text, 1)), 1)
    call is(7, (call handle_rights(by)), RIGHT_REVOKE)
    call is(8, (call revoke(by)), 0)
    call is(9, (call write(lent, text, 1)), -E_NOTCAPABLE)
    call is(10, (call write(own, text, 1)), 1)
    call is(11, (call process_send_handles(pid, 1, text, 1, buffer, 1)), 0)
    call is(12, (call receive(2, buffer, 64, -1, 0)), 1)
    call is(13, (call revoke(other)), 0)
    call is(14, (call write(own, text, 1)), -E_NOTCAPABLE)
    call is(15, (call write(0, text, 1)), 1)
    ret 0
}
)"),
                                       spawn);
  REQUIRE(main != 0);
  wait_for_handles(guests, main, 10);
  snapshot::Summary summary;
  const auto moved = move(guests, objects, summary);
  CHECK(summary.processes == 2);
  CHECK(summary.lost_handles == 0);
  moved->resume();
  CHECK(moved->wait_for_main().code == 0);
  kept.revoke();
}

TEST_CASE("snapshot: ten thousand processes go on elsewhere") {
  Guests guests(2);
  const sched::Pid main = guests.start(program_of(R"(
data child_name = "child"
reserve cell 16 align 8
const children = 10_000
export func child(parent: i64, number: i64) {
    call is(1, (call receive(1, cell, 16, -1, 0)), 8)
    i64.store [cell], (i64.add (i64.load [cell]), number)
    call is(2, (call process_send(parent, 2, cell, 8)), 0)
    ret
}
export func main() -> i32 {
    var sum: i64, first: i64, last: i64
    i64.store [cell], (call process_self())
    for i: i64 in 0 .. children {
        i64.store [cell + 8], i
        call start(child_name, len(child_name), cell, 2, 0) -> last
        if i64.lt_s last, 0 { ret 3 }
        if i64.eqz first { i64.add first, last, 0 }
    }
    call nap(200)
    i64.store [cell], 5
    // Their numbers follow each other.
    i64.add last, last, 1
    for pid: i64 in first .. last { call is(4, (call process_send(pid, 1, cell, 8)), 0) }
    for i: i64 in 0 .. children {
        call is(5, (call receive(2, cell, 16, 60_000_000_000, 0)), 8)
        i64.add sum, sum, (i64.load [cell])
    }
    call is64(6, sum, 50_045_000)
    ret 0
}
)"));
  REQUIRE(main != 0);
  while (guests.machine().processes() != 10'001) nap_shortly();
  snapshot::NoObjects none;
  snapshot::Summary summary;
  const auto moved = move(guests, none, summary);
  CHECK(summary.processes == 10'001);
  guests.scheduler().kill_all(guests.machine(), {ExitKind::killed, 0});
  moved->resume();
  CHECK(moved->wait_for_main().code == 0);
  moved->wait_until_empty();
}

TEST_CASE("snapshot: numbers of processes are the machine's own, and are not used again") {
  Guests first;
  Guests second;
  const auto program = program_of(R"(
reserve cell 8 align 8
export func main() -> i32 { ret (call receive(1, cell, 8, -1, 0)) }
)");
  const sched::Pid one = first.start(program);
  CHECK(second.start(program) == one);
  // A number that was used before the snapshot is used up after it.
  const sched::Pid gone = first.start(program);
  first.scheduler().kill(first.machine(), gone, {ExitKind::killed, 0});
  while (first.machine().processes() != 1) nap_shortly();
  snapshot::NoObjects none;
  snapshot::Summary summary;
  const auto moved = move(first, none, summary);
  CHECK(summary.processes == 1);
  CHECK(summary.main == one);
  CHECK(moved->start(program) == gone + (u64{1} << 32));
  moved->resume();
}

TEST_CASE("snapshot: what ends while a snapshot is written ends after it") {
  Guests guests;
  const sched::Pid main = guests.start(program_of(R"(
export func main() -> i32 {
    loop { call process_yield() }
}
)"));
  guests.pause();
  guests.scheduler().freeze(guests.machine());
  CHECK(guests.scheduler().kill(guests.machine(), main, {ExitKind::killed, 0}));
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  CHECK_FALSE(guests.main_end());
  CHECK(guests.machine().processes() == 1);
  guests.scheduler().thaw(guests.machine());
  CHECK(guests.wait_for_main().kind == ExitKind::killed);
}

namespace {

// Functions that never end by themselves before the machine is moved, and give 5 and more after it.
std::vector<runtime::HostFunction> slow_functions(const std::atomic<bool>& ends) {
  using mod::ValType;
  struct Row {
    const char* name;
    std::vector<ValType> results;
    bool restartable;
    runtime::ErrorSign errors;
  };
  std::vector<runtime::HostFunction> functions;
  for (Row& row : std::vector<Row>{
           {"anew", {ValType::i32}, true, runtime::ErrorSign::negative},
           {"once", {ValType::i64}, false, runtime::ErrorSign::negative},
           {"positive", {ValType::i32}, false, runtime::ErrorSign::positive},
           {"nothing", {}, false, runtime::ErrorSign::negative},
           {"number", {ValType::f64}, false, runtime::ErrorSign::negative},
       }) {
    runtime::HostFunction& function = functions.emplace_back();
    function.module = "test";
    function.name = row.name;
    function.type = {{ValType::i32}, std::move(row.results)};
    function.restartable = row.restartable;
    function.errors = row.errors;
    function.call = [&ends](runtime::HostContext& context) {
      if (ends.load()) return context.result_i32(context.arg_i32(0));
      (void)context.suspend();
      return runtime::HostResult::pending();
    };
  }
  return functions;
}

// Moves a machine while `body` waits in one of them.
sched::Exit move_while_slow(const std::string& body) {
  std::atomic<bool> ends{false};
  const auto program = program_of(R"(
import func anew(n: i32) -> i32 from "test" "anew"
import func once(n: i32) -> i64 from "test" "once"
import func positive(n: i32) -> i32 from "test" "positive"
import func nothing(n: i32) from "test" "nothing"
import func floating(n: i32) -> f64 from "test" "number"
type slow_type = func(i32) -> i32
table t: funcref 1 = [anew]
func tail_anew(n: i32) -> i32 { tail anew(n) }
export func main() -> i32 {
)" + body + "\n}\n");
  Guests guests(1, test::run_tier, slow_functions(ends));
  const sched::Pid main = guests.start(program);
  REQUIRE(main != 0);
  const auto waits = [&] {
    const sched::Table::Held held = guests.scheduler().find(guests.machine(), main);
    return held && held->phase_now() == sched::Task::Phase::waiting;
  };
  while (!waits()) {
  }
  guests.pause();
  std::string image;
  const auto written = guests.write(image);
  REQUIRE(written.ok());
  CHECK(written->canceled_calls + written->restarted_calls == 1);
  ends = true;
  Guests moved(1, test::run_tier, slow_functions(ends));
  REQUIRE(moved.read(image).ok());
  moved.resume();
  const sched::Exit end = moved.wait_for_main();
  // A machine without these functions can't take the image.
  Guests other;
  CHECK(other.read(image).error().code == base::ErrorCode::not_found);
  return end;
}

}  // namespace

TEST_CASE("snapshot: a host call under way is made anew, or fails with canceled in its own way") {
  const auto code = [](const std::string& body) {
    const sched::Exit end = move_while_slow(body);
    CHECK(end.kind == ExitKind::code);
    return static_cast<i32>(end.code);
  };
  CHECK(code("ret (call anew(5))") == 5);
  CHECK(code("ret (i32.add (call tail_anew(6)), 1)") == 7);
  CHECK(code("var r: i32\n call.table t, slow_type, 0 (8) -> r\n ret r") == 8);
  CHECK(code("ret (i32.wrap_i64 (call once(5)))") == -11);
  CHECK(code("ret (call positive(5))") == 11);
  CHECK(code("call nothing(5)\n ret 3") == 3);
  CHECK(move_while_slow("var r: f64\n call floating(5) -> r\n ret 3").kind == ExitKind::trap);
}

TEST_CASE("snapshot: what the host carries out comes to its end first, within a second") {
  const auto program = program_of(R"(
import func work() -> i32 from "test" "work"
export func main() -> i32 {
    var n: i32
    call work() -> n
    ret n
}
)");
  std::atomic<bool> may_end{false};
  std::atomic<int> begun{0};
  runtime::HostFunction work;
  work.module = "test";
  work.name = "work";
  work.type = {{}, {mod::ValType::i32}};
  work.call = [&](runtime::HostContext& context) {
    return loop::of(context).work(context, [&]() -> runtime::Finish {
      ++begun;
      while (!may_end.load()) nap_shortly();
      return [](runtime::HostContext& later) { return later.result_i32(7); };
    });
  };
  // Before the pause, between that and the writing, while it is written, only long after it.
  for (const int end : {0, 1, 2, 3}) {
    CAPTURE(end);
    may_end = false;
    begun = 0;
    Guests guests(1, test::run_tier, {work});
    guests.start(program);
    while (begun.load() == 0) nap_shortly();
    may_end = end == 0;
    guests.pause();
    if (end == 1) {
      may_end = true;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    std::thread later([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      if (end < 3) may_end = true;
    });
    std::string image;
    const auto written = guests.write(image);
    later.join();
    may_end = true;
    REQUIRE(written.ok());
    CHECK(guests.machine().is_paused());
    if (written->main == 0) {
      // It had ended before the pause.
      CHECK(end == 0);
      continue;
    }
    CHECK(written->canceled_calls == (end == 3 ? 1 : 0));
    Guests moved(1, test::run_tier, {work});
    REQUIRE(moved.read(image).ok());
    moved.resume();
    CHECK(static_cast<i32>(moved.wait_for_main().code) == (end == 3 ? -11 : 7));
    CHECK(begun.load() == 1);
  }
}
