// Machines of an embedding program: their processes, ends, limits and grants.
#include <doctest/doctest.h>

#include <atomic>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>

#include "tests/support/engine.hpp"
#include "tests/unit/embed_machines.hpp"

using namespace atollvm;
using namespace atollvm::test;

TEST_CASE("a machine runs exported functions, and tells how they ended") {
  const Engine engine(test::engine_options());
  const Module module = assembled(engine, R"(
export func add(a: i32, b: i64) -> i64 { ret (i64.add (i64.extend_i32_s a), b) }
export func two() -> (i32, f64) { ret 7, 1.5 }
func inner(x: i32) -> i32 { ret (i32.div_s 1, x) }
export func crash() -> i32 { ret (call inner(0)) }
export func leave(code: i32) { call exit(code) }
export func main() -> i32 { ret 3 }
)");
  for (const char* policy : {"fair", "rr", "fcfs", "sjf", "priority"}) {
    CAPTURE(policy);
    const Scheduler scheduler = scheduler_of(engine, 2, policy);
    CHECK(scheduler.workers() == 2);
    Machine machine = machine_of(scheduler);
    const Task add = spawned(machine, module, "add", {i32(-2), i64(44)});
    CHECK(add.pid() != 0);
    ProcessEnd end = end_of(add);
    CHECK(end.exit.reason == ExitReason::normal);
    CHECK(end.text() == "ended");
    REQUIRE(end.results.size() == 1);
    CHECK(end.results[0].type == ValueType::i64);
    CHECK(end.results[0].bits == 42);
    CHECK(end_of(add).results.size() == 1);  // again
    CHECK_FALSE(add.kill());

    end = end_of(spawned(machine, module, "two"));
    REQUIRE(end.results.size() == 2);
    CHECK(end.results[0].bits == 7);
    CHECK(to_text(end.results[1]) == "1.5");

    end = end_of(spawned(machine, module, "crash"));
    CHECK(end.exit.reason == ExitReason::trap);
    CHECK(static_cast<Trap>(end.exit.code) == Trap::divide_by_zero);
    CHECK(end.text() == "trap: integer divide by zero");
    REQUIRE(end.trace.size() == 2);
    CHECK(end.trace[0].name == "inner");
    CHECK(end.trace[1].name == "crash");
    CHECK(end.results.empty());

    end = end_of(spawned(machine, module, "leave", {i32(5)}));
    CHECK(end.text() == "exit code 5");
    CHECK(end_of(spawned(machine, module, "leave", {i32(0)})).exit.reason == ExitReason::normal);
    CHECK(end_of(spawned(machine, module, "")).text() == "exit code 3");
    // Elsewhere a result is no exit code.
    CHECK(end_of(spawned(machine, module, "main")).exit.reason == ExitReason::normal);
  }
}

TEST_CASE("what can't be spawned, made or called says why") {
  const Engine engine(test::engine_options());
  const Scheduler scheduler = scheduler_of(engine, 1);
  const Module module = assembled(engine, "export func f(x: i32) { ret }\n");
  const auto unknown = Module::assemble(
      engine, {"u.atoll", "import func g() from \"no\" \"where\"\nexport func f() { ret }\n"},
      no_source_files);
  REQUIRE(unknown.ok());
  Machine machine = machine_of(scheduler);
  const auto code = [&](const auto& result) {
    REQUIRE_FALSE(result.ok());
    CHECK_FALSE(result.error().text().empty());
    return result.error().code;
  };
  CHECK(code(machine.spawn(module, "g")) == ErrorCode::not_found);
  CHECK(code(machine.spawn(module, "")) == ErrorCode::not_found);
  CHECK(code(machine.spawn(module, "f")) == ErrorCode::usage);
  CHECK(code(machine.spawn(module, "f", std::array{i64(1)})) == ErrorCode::usage);
  CHECK(code(machine.spawn(*unknown, "f")) == ErrorCode::not_found);
  SpawnOptions options;
  options.weight = 0;
  CHECK(code(machine.spawn(module, "f", std::array{i32(1)}, options)) == ErrorCode::usage);
  options = {};
  options.priority = 32;
  CHECK(code(machine.spawn(module, "f", std::array{i32(1)}, options)) == ErrorCode::usage);
  options = {};
  options.grants.emplace_back();
  CHECK(code(machine.spawn(module, "f", std::array{i32(1)}, options)) == ErrorCode::usage);
  options = {};
  options.parent = 12345;
  options.is_linked = true;
  CHECK(code(machine.spawn(module, "f", std::array{i32(1)}, options)) == ErrorCode::not_found);
  options = {};
  options.limits.handles = 2;
  CHECK(code(machine.spawn(module, "f", std::array{i32(1)}, options)) == ErrorCode::limit);

  SchedulerOptions wrong;
  wrong.policy = "chaos";
  CHECK(code(Scheduler::create(engine, wrong)) == ErrorCode::not_found);
  wrong.policy = "";
  wrong.workers = 257;
  CHECK(code(Scheduler::create(engine, wrong)) == ErrorCode::usage);
  MachineOptions bad;
  bad.directories.push_back({"/no/such/directory", "/d", false});
  CHECK(code(Machine::create(scheduler, bad)) == ErrorCode::not_found);
  bad.directories.clear();
  bad.weight = 0;
  CHECK(code(Machine::create(scheduler, bad)) == ErrorCode::usage);
  CHECK(machine.info().processes == 0);
  CHECK_FALSE(machine.kill(1));
  CHECK_FALSE(machine.info(1).has_value());
}

TEST_CASE("processes are killed, paused, resumed, named and described") {
  const Engine engine(test::engine_options());
  const Module module = assembled(engine, R"(
export func spin() { loop { } }
export func sleep() {
    var n: i32
    call receive(5, 0, 0, -1, 0) -> n
    ret
}
)");
  const Scheduler scheduler = scheduler_of(engine, 2);
  MachineOptions options;
  options.name = "tenant";
  Machine machine = machine_of(scheduler, options);
  SpawnOptions heavy;
  heavy.weight = 300;
  heavy.priority = 20;
  const Task spin = spawned(machine, module, "spin");
  const Task sleep = spawned(machine, module, "sleep", {}, heavy);
  CHECK(spin.pid() != sleep.pid());
  CHECK_FALSE(spin.wait_for(std::chrono::nanoseconds(0)).has_value());
  until([&] { return machine.info(sleep.pid())->state == ProcessInfo::State::waiting; });
  until([&] { return machine.info(spin.pid())->cpu_time.count() > 0; });
  ProcessInfo info = *machine.info(sleep.pid());
  CHECK(info.weight == 300);
  CHECK(info.priority == 20);
  CHECK(info.handles == 4);
  CHECK(info.parent == 0);
  CHECK_FALSE(info.is_mailbox);
  CHECK(machine.processes().size() == 2);
  CHECK(machine.info().processes == 2);
  CHECK(machine.info().handles == 8);
  CHECK(machine.info().memory_bytes >= 2048);

  CHECK(machine.register_name("dormouse", sleep.pid()).ok());
  CHECK(machine.register_name("mouse", sleep.pid()).ok());
  CHECK_FALSE(machine.register_name("mouse", spin.pid()).ok());
  CHECK_FALSE(machine.register_name("", spin.pid()).ok());
  CHECK_FALSE(machine.register_name(std::string(256, 'x'), spin.pid()).ok());
  CHECK_FALSE(machine.register_name("nobody", 999).ok());
  CHECK(machine.find("dormouse") == sleep.pid());
  CHECK(machine.info(sleep.pid())->names == std::vector<std::string>{"dormouse", "mouse"});
  CHECK(machine.unregister_name("mouse"));
  CHECK_FALSE(machine.unregister_name("mouse"));

  CHECK(machine.pause().ok());
  CHECK(machine.info().is_paused);
  CHECK(machine.info(spin.pid())->state == ProcessInfo::State::paused);
  const auto before = machine.info(spin.pid())->cpu_time;
  for (int i = 0; i < 1000; ++i) std::this_thread::yield();
  CHECK(machine.info(spin.pid())->cpu_time == before);
  machine.resume();
  CHECK_FALSE(machine.info().is_paused);
  until([&] { return machine.info(spin.pid())->cpu_time > before; });

  CHECK(spin.kill());
  CHECK(end_of(spin).exit.reason == ExitReason::killed);
  CHECK(end_of(spin).text() == "killed");
  // One that is paused can be killed too.
  CHECK(machine.pause().ok());
  CHECK(machine.kill(sleep.pid()));
  CHECK(end_of(sleep).exit.reason == ExitReason::killed);
  CHECK(machine.find("dormouse") == 0);
  CHECK_FALSE(machine.info(sleep.pid()).has_value());
  machine.resume();
  CHECK(machine.info().processes == 0);
  CHECK(machine.info().memory_bytes == 0);
  CHECK(machine.info().handles == 0);
}

TEST_CASE("limits of processes and of machines") {
  const Engine engine(test::engine_options());
  const Module module = assembled(engine, R"(
memory 65536
export func spin() { loop { } }
export func sleep() {
    var n: i32
    call receive(5, 0, 0, -1, 0) -> n
    ret
}
export func grow() -> i32 { ret (memory.grow 2) }
)");
  const Scheduler scheduler = scheduler_of(engine, 2);
  {
    Machine machine = machine_of(scheduler);
    SpawnOptions options;
    options.limits.fuel = 1000;
    ProcessEnd end = end_of(spawned(machine, module, "spin", {}, options));
    CHECK(end.exit.reason == ExitReason::fuel);
    CHECK(end.fuel_left == 0u);
    CHECK(end.trace.size() == 1);
    options = {};
    options.limits.time = std::chrono::milliseconds(2);
    end = end_of(spawned(machine, module, "spin", {}, options));
    CHECK(end.exit.reason == ExitReason::time);
    CHECK(end.cpu_time >= std::chrono::milliseconds(2));
    options.limits.time = std::chrono::milliseconds::max();
    options.limits.memory_bytes = 65536;
    end = end_of(spawned(machine, module, "grow", {}, options));
    REQUIRE(end.results.size() == 1);
    CHECK(end.results[0].bits == 0xffffffff);
  }
  MachineOptions options;
  options.limits.processes = 2;
  options.limits.memory_bytes = 300'000;
  {
    Machine machine = machine_of(scheduler, options);
    const Task first = spawned(machine, module, "sleep");
    const ProcessEnd end = end_of(spawned(machine, module, "grow"));
    REQUIRE(end.results.size() == 1);
    CHECK(end.results[0].bits == 65536);
    const Task second = spawned(machine, module, "sleep");
    const auto third = machine.spawn(module, "sleep");
    REQUIRE_FALSE(third.ok());
    CHECK(third.error().code == ErrorCode::limit);
  }
  {
    options.limits.processes = 100;
    Machine machine = machine_of(scheduler, options);
    std::vector<Task> tasks;
    while (true) {
      auto task = machine.spawn(module, "sleep");
      if (!task) {
        CHECK(task.error().code == ErrorCode::limit);
        break;
      }
      tasks.push_back(*task);
    }
    CHECK(tasks.size() == 4);
  }
  {
    // All of its processes end, those too that wait.
    options.limits.cpu_time = std::chrono::milliseconds(5);
    Machine machine = machine_of(scheduler, options);
    const Task waits = spawned(machine, module, "sleep");
    auto mailbox = machine.open_mailbox();
    REQUIRE(mailbox.ok());
    const Task runs = spawned(machine, module, "spin");
    CHECK(end_of(runs).exit.reason == ExitReason::time);
    CHECK(end_of(waits).exit.reason == ExitReason::time);
    CHECK_FALSE(mailbox->receive().ok());
    CHECK(mailbox->end()->exit.reason == ExitReason::time);
    CHECK_FALSE(machine.spawn(module, "spin").ok());
    CHECK_FALSE(machine.open_mailbox().ok());
  }
}

TEST_CASE("what a machine is granted: arguments, streams, directories, objects") {
  const Engine engine(test::engine_options());
  const Module module = assembled(engine, R"(
import func look(h: i32) -> i32 from "h" "look"
export func use(h: i32) -> i32 { ret (call look(h)) }
data text = "x"
export func put() -> i32 { ret (call write(1, text, 1)) }
)");
  struct Box : HostObject {
    int value = 0;
  };
  const Scheduler scheduler = scheduler_of(engine, 2);
  const Pipe pipe;
  MachineOptions options;
  options.output = pipe.ends[1];
  options.imports.define("h", "look", [](std::shared_ptr<Box> box) { return box->value; });
  Machine machine = machine_of(scheduler, options);
  CHECK(end_of(spawned(machine, module, "put")).results.at(0).bits == 1);
  CHECK(pipe.text() == "x");
  auto box = std::make_shared<Box>();
  box->value = 9;
  SpawnOptions with;
  with.grants.emplace_back(box);
  CHECK(end_of(spawned(machine, module, "use", {i32(4)}, with)).results.at(0).bits == 9);
  with.standard_handles = false;
  CHECK(end_of(spawned(machine, module, "use", {i32(0)}, with)).results.at(0).bits == 9);
  const ProcessEnd end = end_of(spawned(machine, module, "put", {}, with));
  CHECK(static_cast<std::int32_t>(end.results.at(0).bits) < 0);
  with.grants.clear();
  CHECK(machine.info().processes == 0);
  CHECK(box.use_count() == 1);
}

TEST_CASE("host functions on workers: they throw, fail, wait for others, and use the machine") {
  const Engine engine(test::engine_options());
  const Module module = assembled(engine, R"(
import func throws() from "h" "throws"
import func throws_other() from "h" "throws_other"
import func fails(x: i32) from "h" "fails"
import func later(x: i32) -> i32 from "h" "later"
import func waits() -> i32 from "h" "waits"
import func more() -> i64 from "h" "more"
export func f_throws() {
    call throws()
    ret
}
export func f_other() {
    call throws_other()
    ret
}
export func f_fails(x: i32) {
    call fails(x)
    ret
}
export func f_later(x: i32) -> i32 { ret (call later(x)) }
export func f_waits() -> i32 { ret (call waits()) }
export func f_more() -> i64 { ret (call more()) }
export func nothing() { ret }
)");
  const Scheduler scheduler = scheduler_of(engine, 2);
  Machine* machine_at = nullptr;
  const Task* task_at = nullptr;
  std::atomic<int> refused = 0;
  std::mutex mutex;
  std::vector<Deferred<std::int32_t>> parked;
  MachineOptions options;
  options.imports
      .define("h", "throws", []() -> void { throw std::runtime_error("thrown by the host"); })
      .define("h", "throws_other", []() -> void { throw 5; })
      .define("h", "fails",
              [](Caller& caller, std::int32_t x) { return caller.fail(std::to_string(x)); })
      .define("h", "later",
              [&](Caller& caller, std::int32_t) {
                auto deferred = caller.defer<std::int32_t>();
                const std::lock_guard guard(mutex);
                parked.push_back(deferred);
                return deferred;
              })
      .define("h", "waits",
              [&]() -> std::int32_t {
                refused += machine_at->pause().ok() ? 0 : 1;
                refused += task_at->wait().ok() ? 0 : 1;
                refused += task_at->wait_for(std::chrono::hours(1)).has_value() ? 0 : 1;
                return refused.load();
              })
      .define("h", "more", [&]() -> std::int64_t {
        const auto child = machine_at->spawn(module, "nothing");
        return child ? static_cast<std::int64_t>(child->pid()) : 0;
      });
  Machine machine = machine_of(scheduler, options);
  machine_at = &machine;
  CHECK(end_of(spawned(machine, module, "f_throws")).text() ==
        "trap: host function failed: thrown by the host");
  ProcessEnd end = end_of(spawned(machine, module, "f_other"));
  CHECK(end.exit.reason == ExitReason::trap);
  CHECK(end.trace.at(0).name == "f_other");
  // Many at once: each has its own message.
  std::vector<Task> tasks;
  for (int i = 0; i < 200; ++i) tasks.push_back(spawned(machine, module, "f_fails", {i32(i)}));
  for (int i = 0; i < 200; ++i) {
    CHECK(end_of(tasks[static_cast<std::size_t>(i)]).message == std::to_string(i));
  }
  const Task parks = spawned(machine, module, "f_later", {i32(1)});
  task_at = &parks;
  until([&] {
    const std::lock_guard guard(mutex);
    return !parked.empty();
  });
  end = end_of(spawned(machine, module, "f_waits"));
  REQUIRE_MESSAGE(end.results.size() == 1, end.text());
  CHECK(end.results[0].bits == 3);
  parked.at(0).complete(77);
  CHECK(end_of(parks).results.at(0).bits == 77);
  CHECK(end_of(spawned(machine, module, "f_more")).results.at(0).bits != 0);
  // One that is parked for ever goes with the machine.
  const Task left = spawned(machine, module, "f_later", {i32(1)});
  until([&] {
    const std::lock_guard guard(mutex);
    return parked.size() == 2;
  });
  {
    const Machine goes = std::move(machine);
  }
  CHECK(end_of(left).exit.reason == ExitReason::stopped);
  parked.at(1).complete(1);
}

TEST_CASE("host functions on workers call the guest that waits for them") {
  const Engine engine(test::engine_options());
  const Module module = assembled(engine, R"(
import func ask(what: i32) -> i32 from "h" "ask"
data box_name = "box"
func send_to_box() -> i32 {
    ret (call process_send((call name_find(box_name, len(box_name))), 1, 0, 0))
}
export func f(what: i32) -> i32 {
    if i32.eq what, 9 {
        call is(1, (call ask(8)), -5)
        ret (call receive(5, 0, 0, -1, 0))
    }
    if i32.eq what, 10 { ret (call send_to_box()) }
    ret (call ask(what))
}
export func g(what: i32) -> i32 {
    var n: i32
    if i32.eq what, 1 { unreachable }
    if i32.eq what, 2 { call exit(7) }
    if i32.eq what, 3 {
        loop { }
    }
    if i32.eq what, 4 { call receive(5, 0, 0, -1, 0) -> n }
    if i32.eq what, 5 { ret (i32.add (call ask(0)), 1) }
    if i32.eq what, 6 { ret (i32.add (call ask(6)), 1) }
    if i32.eq what, 7 { call process_yield() -> n }
    if i32.eq what, 8 { ret (call send_to_box()) }
    ret 42
}
)");
  const Scheduler scheduler = scheduler_of(engine, 2);
  std::mutex mutex;
  std::string error;
  std::atomic<Pid> caller_pid = 0;
  std::atomic<bool> is_inside = false;
  MachineOptions options;
  options.imports.define("h", "ask",
                         [&](Caller& caller, std::int32_t what) -> Result<std::int32_t> {
                           caller_pid = caller.pid();
                           const auto g = caller.function<std::int32_t(std::int32_t)>("g");
                           if (!g) return g.error();
                           is_inside = true;
                           auto result = (*g)(what);
                           if (result) return *result;
                           const std::lock_guard guard(mutex);
                           if (error.empty()) error = result.error().text();
                           return -5;
                         });
  Machine machine = machine_of(scheduler, options);
  const auto ask = [&](int what, const SpawnOptions& spawn = {}) {
    error.clear();
    const Task task = spawned(machine, module, "f", {i32(what)}, spawn);
    ProcessEnd end = end_of(task);
    CHECK(caller_pid == task.pid());
    return end;
  };
  CHECK(ask(0).results.at(0).bits == 42);
  CHECK(ask(7).results.at(0).bits == 42);
  CHECK(ask(5).results.at(0).bits == 43);
  // A trap inside is an error; the guest that waits goes on.
  CHECK(static_cast<std::int32_t>(ask(1).results.at(0).bits) == -5);
  CHECK(error == "g: unreachable");
  // So is what would wait; the process can be sent to, and wait, afterwards.
  CHECK(static_cast<std::int32_t>(ask(4).results.at(0).bits) == -5);
  CHECK(error == "the call would wait, and a worker can't");
  // Also for room in a mailbox; it does not stand in line there any more, before others.
  MailboxOptions one;
  one.limits.messages = 1;
  one.limits.overflow = Overflow::wait;
  Mailbox box = mailbox_of(machine, one);
  CHECK(machine.register_name("box", box.pid()).ok());
  CHECK(machine.send(box.pid(), 1, "full").ok());
  CHECK(static_cast<std::int32_t>(ask(8).results.at(0).bits) == -5);
  CHECK(error == "the call would wait, and a worker can't");
  std::vector<Task> tasks;
  for (const int what : {9, 10}) {
    tasks.push_back(spawned(machine, module, "f", {i32(what)}));
    const Pid pid = tasks.back().pid();
    until([&] { return machine.info(pid)->state == ProcessInfo::State::waiting; });
  }
  CHECK(received(box).bytes == "full");
  CHECK(received(box).sender == tasks[1].pid());
  CHECK(machine.send(tasks[0].pid(), 5, "").ok());
  for (const Task& task : tasks) CHECK(end_of(task).results.at(0).bits == 0);
  CHECK(machine.send(box.pid(), 1, "full").ok());
  CHECK(static_cast<std::int32_t>(ask(8).results.at(0).bits) == -5);
  CHECK(received(box).bytes == "full");
  CHECK(ask(8).results.at(0).bits == 0);
  CHECK(static_cast<std::int32_t>(ask(8).results.at(0).bits) == -5);
  // Too deep.
  CHECK(static_cast<std::int32_t>(ask(6).results.at(0).bits) == 64 - 5);
  CHECK(ask(2).text() == "exit code 7");
  SpawnOptions limited;
  limited.limits.time = std::chrono::milliseconds(3);
  CHECK(ask(3, limited).exit.reason == ExitReason::time);
  CHECK(error.find("time limit") != std::string::npos);
  limited = {};
  limited.limits.fuel = 100'000;
  CHECK(ask(3, limited).exit.reason == ExitReason::fuel);
  is_inside = false;
  const Task spins = spawned(machine, module, "f", {i32(3)});
  until([&] { return is_inside.load(); });
  CHECK(spins.kill());
  CHECK(end_of(spins).exit.reason == ExitReason::killed);
  is_inside = false;
  const Task last = spawned(machine, module, "f", {i32(3)});
  until([&] { return is_inside.load(); });
  {
    const Machine goes = std::move(machine);
  }
  CHECK(end_of(last).exit.reason == ExitReason::stopped);
}

TEST_CASE("on_end hears of every process, also of those that guests start") {
  const Engine engine(test::engine_options());
  const Module module = assembled(engine, R"(
data name = "child"
reserve numbers 8 align 8
export func child(x: i64) {
    i64.div_s x, 100, x
    ret
}
export func parent() {
    var pid: i64
    i64.store [numbers], 0
    call start(name, len(name), numbers, 1, 0) -> pid
    i64.store [numbers], 5
    call start(name, len(name), numbers, 1, 0) -> pid
    ret
}
)");
  const Scheduler scheduler = scheduler_of(engine, 2);
  std::mutex mutex;
  std::vector<std::string> ends;
  MachineOptions options;
  options.on_end = [&](Pid, const ProcessEnd& end) {
    const std::lock_guard guard(mutex);
    ends.push_back(end.text());
    throw std::runtime_error("is nobody's");
  };
  Machine machine = machine_of(scheduler, options);
  spawned(machine, module, "parent");
  until([&] {
    const std::lock_guard guard(mutex);
    return ends.size() == 3;
  });
  CHECK(std::multiset<std::string>(ends.begin(), ends.end()) ==
        std::multiset<std::string>{"ended", "ended", "trap: integer divide by zero"});
}

TEST_CASE("torn down in any order, while processes run and threads wait") {
  const Module module = [] {
    const Engine engine(test::engine_options());
    return assembled(engine, R"(
data name = "breed"
export func spin() { loop { } }
// Never fewer of them.
export func breed() {
    var pid: i64
    loop {
        call start(name, len(name), 0, 0, 0) -> pid
        if i64.lt_s pid, 0 { ret }
    }
}
)");
  }();
  std::optional<Machine> machine;
  std::optional<Task> task;
  {
    const Engine engine(test::engine_options());
    const Scheduler scheduler = scheduler_of(engine, 3);
    MachineOptions options;
    options.limits.processes = 200;
    machine.emplace(machine_of(scheduler, options));
    task.emplace(spawned(*machine, module, "spin"));
    // They may fill the machine before all of them are there.
    for (int i = 0; i < 5; ++i) static_cast<void>(machine->spawn(module, "breed"));
  }
  std::vector<std::thread> threads;
  std::atomic<int> told = 0;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      if (end_of(*task).exit.reason == ExitReason::stopped) ++told;
    });
  }
  machine.reset();
  for (std::thread& thread : threads) thread.join();
  CHECK(told == 4);
  CHECK_FALSE(task->kill());
  CHECK(task->wait_for(std::chrono::hours(1))->text() == "machine ended");
}

TEST_CASE("a machine and its scheduler may go on a worker") {
  const Engine engine(test::engine_options());
  const Module module = assembled(engine, R"(
import func drop() from "h" "drop"
export func f() {
    call drop()
    loop { }
}
)");
  std::optional<Machine> machine;
  std::optional<Task> task;
  {
    MachineOptions options;
    options.imports.define("h", "drop", [&] { machine.reset(); });
    machine.emplace(machine_of(scheduler_of(engine, 1), options));
  }
  CHECK(machine->pause().ok());
  task.emplace(spawned(*machine, module, "f"));
  machine->resume();
  CHECK(end_of(*task).exit.reason == ExitReason::stopped);
}

TEST_CASE("10,000 processes, started and waited for by several threads") {
  const Engine engine(test::engine_options());
  const Module module = assembled(engine, R"(
export func work(x: i64) -> i64 {
    var n: i32
    if i64.eqz (i64.and x, 1) { call process_yield() -> n }
    ret (i64.mul x, 2)
}
)");
  const Scheduler scheduler = scheduler_of(engine, 4);
  Machine machine = machine_of(scheduler);
  constexpr int threads = 4;
  std::atomic<std::int64_t> sum = 0;
  std::vector<std::thread> all;
  for (int thread = 0; thread < threads; ++thread) {
    all.emplace_back([&, thread] {
      std::vector<Task> tasks;
      for (int i = thread; i < 10'000; i += threads) {
        auto task = machine.spawn(module, "work", std::array{i64(i)});
        if (task) tasks.push_back(*task);
      }
      for (const Task& task : tasks) {
        const auto end = task.wait();
        if (end && end->results.size() == 1) {
          sum += static_cast<std::int64_t>(end->results[0].bits);
        }
      }
    });
  }
  for (std::thread& thread : all) thread.join();
  CHECK(sum == 10'000ll * 9'999);
  CHECK(machine.info().processes == 0);
}
