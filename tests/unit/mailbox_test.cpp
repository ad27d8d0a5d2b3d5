// Messages between guests and an embedding program.
#include <doctest/doctest.h>

#include <atomic>
#include <cstring>
#include <mutex>
#include <numeric>
#include <optional>
#include <stdexcept>

#include "tests/support/engine.hpp"
#include "tests/unit/embed_machines.hpp"

using namespace atollvm;
using namespace atollvm::test;

namespace {

constexpr const char* echo = R"(
reserve buffer 65536 align 8
reserve about sizeof(MessageInfo) align 8
data host_name = "host"
func sender() -> i64 { ret (i64.load [about + MessageInfo.sender]) }
// Sends each message back, with its tag plus one and its handles, until one has tag 99.
export func echo() {
    var n: i32, tag: i32, error: i32
    loop {
        call receive(TAG_ANY, buffer, 65536, -1, about) -> n
        i32.load tag, [about + MessageInfo.tag]
        if i32.eq tag, 99 { ret }
        call process_send_handles((call sender()), (i32.add tag, 1), buffer, n, about + MessageInfo.handle0,
            (i32.load [about + MessageInfo.handle_count])) -> error
        call is(1, error, 0)
    }
}
// Sends `count` numbers to the process named "host".
export func send_numbers(count: i64) {
    var host: i64, error: i32, i: i64
    call name_find(host_name, len(host_name)) -> host
    i64.const i, 0
    while i64.lt_s i, count {
        i64.store [buffer], i
        loop {
            call process_send(host, 7, buffer, 8) -> error
            if i32.eqz error { break }
            call process_yield() -> error
        }
        i64.add i, i, 1
    }
    ret
}
export func sleep() {
    var n: i32
    call receive(5, 0, 0, -1, 0) -> n
    ret
}
export func crash() {
    var n: i32
    call receive(5, 0, 0, -1, 0) -> n
    unreachable
}
// Kills, monitors or links with a process; ends with what it hears.
export func kill(pid: i64) -> i32 { ret (call process_kill(pid)) }
export func watch(pid: i64) -> i32 {
    var reference: i64, n: i32
    call process_monitor(pid) -> reference
    call receive(TAG_DOWN, exit_info, sizeof(ExitInfo), -1, 0) -> n
    ret (i32.load [exit_info + ExitInfo.reason])
}
export func bind(pid: i64) {
    var n: i32
    call is(2, (call process_link(pid)), 0)
    call receive(5, 0, 0, -1, 0) -> n
    unreachable
}
export func parent_is(pid: i64) -> i32 { ret (i64.eq (call process_parent()), pid) }
)";

struct Box : HostObject {};

std::int64_t number_in(const Message& message) {
  std::int64_t number = -1;
  if (message.bytes.size() == sizeof number) {
    std::memcpy(&number, message.bytes.data(), sizeof number);
  }
  return number;
}

}  // namespace

TEST_CASE("messages go both ways, with tags, senders and handles") {
  const Engine engine(test::engine_options());
  const Module module = assembled(engine, echo);
  const Scheduler scheduler = scheduler_of(engine, 2);
  Machine machine = machine_of(scheduler);
  Mailbox mailbox = mailbox_of(machine);
  CHECK(machine.info(mailbox.pid())->is_mailbox);
  const Task task = spawned(machine, module, "echo");
  CHECK(mailbox.send(task.pid(), 4, "hello").ok());
  Message message = received(mailbox);
  CHECK(message.sender == task.pid());
  CHECK(message.tag == 5);
  CHECK(message.bytes == "hello");
  CHECK(message.grants.empty());
  CHECK_FALSE(end_news(message).has_value());

  // By its tag; the others stay, in their order.
  for (int i = 10; i < 14; ++i) CHECK(mailbox.send(task.pid(), i, std::to_string(i)).ok());
  CHECK(received(mailbox, 13).bytes == "12");
  CHECK(received(mailbox).bytes == "10");
  CHECK(received(mailbox, 14).bytes == "13");
  CHECK(received(mailbox).bytes == "11");
  CHECK_FALSE(mailbox.receive_for(std::chrono::nanoseconds(0))->has_value());
  CHECK_FALSE(mailbox.receive_for(std::chrono::milliseconds(1), 3)->has_value());

  // A handle goes there and back, and is charged while it is in the machine.
  const auto before = machine.info().handles;
  auto box = std::make_shared<Box>();
  CHECK(mailbox.send(task.pid(), 0, "", std::array{Grant(box)}).ok());
  message = received(mailbox);
  REQUIRE(message.grants.size() == 1);
  CHECK(message.grants[0].object<Box>() == box);
  CHECK(machine.info().handles == before);
  // As one that is no object of this program could be sent on.
  CHECK(Grant().object() == nullptr);
  message = {};
  until([&] { return box.use_count() == 1; });

  // From the program itself.
  CHECK(machine.send(mailbox.pid(), 3, "to itself").ok());
  CHECK(received(mailbox).sender == 0);
  CHECK(machine.send(task.pid(), 99, "").ok());
  CHECK(end_of(task).exit.reason == ExitReason::normal);
}

TEST_CASE("a module is granted to a guest, which starts processes of it in that machine alone") {
  const Engine engine(test::engine_options());
  const Module module = assembled(engine, echo);
  const auto square = Module::assemble(engine, {"square.atoll", R"(
use std.sys
reserve number 8 align 8
export func square(x: i64) {
    var error: i32
    i64.store [number], (i64.mul x, x)
    call process_send((call process_parent()), 1, number, 8) -> error
    ret
}
)"},
                                       no_source_files);
  REQUIRE(square.ok());
  const Module starter = assembled(engine, R"(
use std.process
data name = "square"
reserve cell 8 align 8
export func main_of(module_handle: i32, x: i64) -> i64 {
    var pid: i64, n: i32
    i64.store [cell], x
    call process_start_module(module_handle, name, len(name), cell, 1, 0) -> pid
    if i64.lt_s pid, 0 { ret pid }
    call receive(1, cell, 8, -1, 0) -> n
    ret (i64.load [cell])
}
)");
  const Scheduler scheduler = scheduler_of(engine, 2);
  Machine machine = machine_of(scheduler);
  Machine other = machine_of(scheduler);
  const auto grant = machine.grant(*square);
  REQUIRE_MESSAGE(grant.ok(), (grant.ok() ? "" : grant.error().text()));
  CHECK(grant->object() == nullptr);
  SpawnOptions options;
  options.grants.push_back(*grant);
  CHECK(
      end_of(spawned(machine, starter, "main_of", {i32(4), i64(12)}, options)).results.at(0).bits ==
      144);
  const auto refused = other.spawn(starter, "main_of", std::array{i32(4), i64(12)}, options);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().code == ErrorCode::usage);

  // Nor by way of a guest and this program.
  Mailbox mailbox = mailbox_of(machine);
  const Task task = spawned(machine, module, "echo");
  CHECK(mailbox.send(task.pid(), 1, "", std::array{*grant}).ok());
  const Message message = received(mailbox);
  REQUIRE(message.grants.size() == 1);
  Mailbox far = mailbox_of(other);
  CHECK_FALSE(other.send(far.pid(), 1, "", message.grants).ok());
  CHECK(mailbox.send(task.pid(), 1, "", message.grants).ok());
  CHECK(received(mailbox).grants.size() == 1);
}

TEST_CASE("what can't be sent says why") {
  const Engine engine(test::engine_options());
  const Module module = assembled(engine, echo);
  const Scheduler scheduler = scheduler_of(engine, 1);
  MachineOptions options;
  options.limits.handles = 10;
  options.limits.memory_bytes = 4 << 20;
  Machine machine = machine_of(scheduler, options);
  MailboxOptions small;
  small.limits.messages = 2;
  small.handles = 3;
  Mailbox mailbox = mailbox_of(machine, small);
  const auto code = [&](const auto& result) {
    REQUIRE_FALSE(result.ok());
    CHECK_FALSE(result.error().text().empty());
    return result.error().code;
  };
  const Pid own = mailbox.pid();
  const std::string large((16 << 20) + 1, 'x');
  const Grant grant(std::make_shared<Box>());
  CHECK(code(machine.send(own, -1, "")) == ErrorCode::usage);
  CHECK(code(machine.send(own, 0, large)) == ErrorCode::usage);
  CHECK(code(machine.send(own, 0, large.substr(1))) == ErrorCode::limit);  // the machine's memory
  CHECK(code(machine.send(own, 0, "", std::vector(9, grant))) == ErrorCode::usage);
  CHECK(code(machine.send(own, 0, "", std::vector(4, grant))) == ErrorCode::limit);
  CHECK(code(machine.send(own, 0, "", std::array{Grant()})) == ErrorCode::usage);
  CHECK(code(machine.send(own + 1, 0, "")) == ErrorCode::not_found);
  CHECK(code(machine.send(0, 0, "")) == ErrorCode::not_found);
  CHECK(machine.info().handles == 0);
  CHECK(machine.send(own, 0, "1", std::vector(3, grant)).ok());
  CHECK(machine.info().handles == 3);
  CHECK(machine.send(own, 0, "2").ok());
  CHECK(code(machine.send(own, 0, "3")) == ErrorCode::limit);
  CHECK(received(mailbox).grants.size() == 3);
  CHECK(machine.info().handles == 0);
  Mailbox other = mailbox_of(machine);
  CHECK(machine.send(other.pid(), 0, "", std::vector(8, grant)).ok());
  CHECK(code(mailbox.send(own, 0, "", std::vector(3, grant))) == ErrorCode::limit);
  CHECK(machine.info().handles == 8);
}

TEST_CASE("each overflow rule, at a mailbox of the program") {
  const Engine engine(test::engine_options());
  const Scheduler scheduler = scheduler_of(engine, 2);
  Machine machine = machine_of(scheduler);
  MailboxOptions options;
  options.limits.messages = 2;
  const auto filled = [&](Overflow rule) {
    options.limits.overflow = rule;
    Mailbox mailbox = mailbox_of(machine, options);
    for (const char* text : {"a", "b", "c"}) CHECK(machine.send(mailbox.pid(), 1, text).ok());
    return mailbox;
  };
  Mailbox newest = filled(Overflow::newest);
  CHECK(received(newest).bytes == "a");
  CHECK(received(newest).bytes == "b");
  CHECK_FALSE(newest.receive_for(std::chrono::nanoseconds(0))->has_value());
  Mailbox oldest = filled(Overflow::oldest);
  CHECK_FALSE(oldest.receive_for(std::chrono::nanoseconds(0), 2)->has_value());
  CHECK(machine.send(oldest.pid(), 1, "d").ok());
  CHECK(received(oldest).bytes == "c");
  CHECK(received(oldest).bytes == "d");
  Mailbox kill = filled(Overflow::kill);
  // Messages that were there before are gone as well.
  until([&] { return kill.end().has_value(); });
  CHECK(kill.end()->exit.reason == ExitReason::mailbox);
  CHECK_FALSE(kill.receive().ok());
  CHECK_FALSE(kill.send(newest.pid(), 0, "").ok());

  // Guests wait; the program, which may be on a worker, does not.
  options.limits.overflow = Overflow::wait;
  const Module module = assembled(engine, R"(
reserve buffer 8 align 8
export func count_up(to: i64, count: i64) {
    var i: i64
    while i64.lt_s i, count {
        i64.store [buffer], i
        call is(1, (call process_send(to, 7, buffer, 8)), 0)
        i64.add i, i, 1
    }
    ret
}
export func end_with_error(to: i64) {
    loop { call is(2, (call process_send(to, 7, buffer, 8)), 0) }
}
)");
  {
    Mailbox wait = mailbox_of(machine, options);
    for (const char* text : {"a", "b"}) CHECK(machine.send(wait.pid(), 1, text).ok());
    const auto refused = machine.send(wait.pid(), 1, "c");
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().code == ErrorCode::limit);
    const Task task = spawned(machine, module, "count_up", {value_of(wait.pid()), i64(1000)});
    until([&] { return machine.info(task.pid())->state == ProcessInfo::State::waiting; });
    CHECK(machine.info(wait.pid())->messages == 2);
    CHECK(received(wait).bytes == "a");
    CHECK(received(wait).bytes == "b");
    for (int i = 0; i < 1000; ++i) CHECK(number_in(received(wait)) == i);
    CHECK(end_of(task).exit.reason == ExitReason::normal);
  }
  {
    std::atomic<int> next = 0;
    std::atomic<bool> in_order = true;
    options.on_message = [&](Mailbox&, const Message& message) {
      if (number_in(message) != next++) in_order = false;
    };
    const Mailbox actor = mailbox_of(machine, options);
    const Task task = spawned(machine, module, "count_up", {value_of(actor.pid()), i64(1000)});
    CHECK(end_of(task).exit.reason == ExitReason::normal);
    until([&] { return next == 1000; });
    CHECK(in_order);
    options.on_message = nullptr;
  }
  std::optional<Mailbox> left = mailbox_of(machine, options);
  const Task task = spawned(machine, module, "end_with_error", {value_of(left->pid())});
  until([&] { return machine.info(task.pid())->state == ProcessInfo::State::waiting; });
  left.reset();
  CHECK(end_of(task).exit.reason == ExitReason::code);
}

TEST_CASE("guests find, watch, bind and kill a mailbox as any process") {
  const Engine engine(test::engine_options());
  const Module module = assembled(engine, echo);
  const Scheduler scheduler = scheduler_of(engine, 2);
  Machine machine = machine_of(scheduler);
  Mailbox mailbox = mailbox_of(machine);
  REQUIRE(machine.register_name("host", mailbox.pid()).ok());
  spawned(machine, module, "send_numbers", {i64(1000)});
  for (std::int64_t i = 0; i < 1000; ++i) {
    const Message message = received(mailbox, 7);
    CHECK(number_in(message) == i);
  }
  SpawnOptions child;
  child.parent = mailbox.pid();
  CHECK(end_of(spawned(machine, module, "parent_is", {value_of(mailbox.pid())}, child))
            .results.at(0)
            .bits == 1);

  // The guest crashes, and the mailbox hears of it.
  const Task bound = spawned(machine, module, "bind", {value_of(mailbox.pid())});
  until([&] { return machine.info(mailbox.pid())->links == 1; });
  CHECK(machine.send(bound.pid(), 5, "").ok());
  auto news = end_news(received(mailbox, exit_tag));
  REQUIRE(news.has_value());
  CHECK(news->pid == bound.pid());
  CHECK(news->reference == 0);
  CHECK(news->exit.reason == ExitReason::trap);
  CHECK(static_cast<Trap>(news->exit.code) == Trap::unreachable);

  // A mailbox that goes ends normally; one that is killed does not.
  {
    Mailbox goes = mailbox_of(machine);
    const Task watcher = spawned(machine, module, "watch", {value_of(goes.pid())});
    until([&] { return machine.info(watcher.pid())->state == ProcessInfo::State::waiting; });
    {
      const Mailbox gone = std::move(goes);
    }
    CHECK(end_of(watcher).results.at(0).bits == 0);
  }
  const Task watcher = spawned(machine, module, "watch", {value_of(mailbox.pid())});
  until([&] { return machine.info(watcher.pid())->state == ProcessInfo::State::waiting; });
  const Task linked = spawned(machine, module, "bind", {value_of(mailbox.pid())});
  until([&] { return machine.info(mailbox.pid())->links == 1; });
  CHECK(end_of(spawned(machine, module, "kill", {value_of(mailbox.pid())})).results.at(0).bits ==
        0);
  CHECK_FALSE(mailbox.receive().ok());
  CHECK(mailbox.end()->exit.reason == ExitReason::killed);
  CHECK(end_of(watcher).results.at(0).bits == static_cast<int>(ExitReason::killed));
  CHECK(end_of(linked).exit.reason == ExitReason::killed);
  CHECK(machine.find("host") == 0);
  CHECK_FALSE(mailbox.monitor(1).ok());
  CHECK_FALSE(mailbox.link(1).ok());
}

TEST_CASE("the program links and monitors processes") {
  const Engine engine(test::engine_options());
  const Module module = assembled(engine, echo);
  const Scheduler scheduler = scheduler_of(engine, 2);
  Machine machine = machine_of(scheduler);
  Mailbox mailbox = mailbox_of(machine);
  const Task task = spawned(machine, module, "sleep");
  const auto first = mailbox.monitor(task.pid());
  const auto second = mailbox.monitor(task.pid());
  REQUIRE(first.ok());
  REQUIRE(second.ok());
  CHECK(*first != *second);
  mailbox.demonitor(*first);
  CHECK(machine.send(task.pid(), 5, "").ok());
  auto news = end_news(received(mailbox));
  REQUIRE(news.has_value());
  CHECK(news->reference == *second);
  CHECK(news->exit.reason == ExitReason::normal);
  // Also of one that is not there any more.
  end_of(task);
  const auto third = mailbox.monitor(task.pid());
  REQUIRE(third.ok());
  news = end_news(received(mailbox, down_tag));
  CHECK(news->reference == *third);
  CHECK(news->exit.reason == ExitReason::noproc);
  REQUIRE(mailbox.monitor(task.pid()).ok());
  mailbox.demonitor(*third + 1);
  CHECK_FALSE(mailbox.receive_for(std::chrono::nanoseconds(0))->has_value());
  CHECK(mailbox.link(task.pid()).ok());
  CHECK(end_news(received(mailbox))->exit.reason == ExitReason::noproc);

  const Task crash = spawned(machine, module, "crash");
  CHECK(mailbox.link(crash.pid()).ok());
  mailbox.unlink(crash.pid());
  MailboxOptions options;
  options.traps_exits = false;
  Mailbox fragile = mailbox_of(machine, options);
  CHECK(fragile.link(crash.pid()).ok());
  SpawnOptions child;
  child.parent = fragile.pid();
  child.is_linked = true;
  const Task last = spawned(machine, module, "sleep", {}, child);
  CHECK(machine.send(crash.pid(), 5, "").ok());
  CHECK(end_of(last).exit.reason == ExitReason::trap);
  CHECK(fragile.end()->exit.reason == ExitReason::trap);
  CHECK_FALSE(mailbox.receive_for(std::chrono::nanoseconds(0))->has_value());
}

TEST_CASE("on_message: one at a time, in order, on a worker") {
  const Engine engine(test::engine_options());
  const Module module = assembled(engine, echo);
  const Scheduler scheduler = scheduler_of(engine, 3);
  Machine machine = machine_of(scheduler);
  std::vector<std::int64_t> got;  // by one worker at a time
  std::atomic<int> inside = 0;
  std::atomic<int> errors = 0;
  std::atomic<bool> is_done = false;
  MailboxOptions options;
  options.on_message = [&](Mailbox& mailbox, const Message& message) {
    if (++inside != 1) ++errors;
    if (mailbox.receive().ok() || mailbox.pid() == 0) ++errors;
    got.push_back(number_in(message));
    if (got.size() == 3000) is_done = true;
    --inside;
  };
  Mailbox mailbox = mailbox_of(machine, options);
  REQUIRE(machine.register_name("host", mailbox.pid()).ok());
  for (int i = 0; i < 3; ++i) spawned(machine, module, "send_numbers", {i64(1000)});
  until([&] { return is_done.load(); });
  CHECK(machine.pause().ok());  // what it wrote is here
  CHECK(errors == 0);
  CHECK(std::accumulate(got.begin(), got.end(), std::int64_t{0}) == 3ll * 500 * 999);
  // While it is paused, nothing is called.
  CHECK(machine.send(mailbox.pid(), 1, "x").ok());
  for (int i = 0; i < 1000; ++i) std::this_thread::yield();
  CHECK(got.size() == 3000);
  machine.resume();
  until([&] { return machine.info(mailbox.pid())->messages == 0; });
}

TEST_CASE("a mailbox that goes waits for its on_message") {
  const Engine engine(test::engine_options());
  const Scheduler scheduler = scheduler_of(engine, 2);
  Machine machine = machine_of(scheduler);
  for (int i = 0; i < 200; ++i) {
    std::atomic<int> begun = 0;
    std::atomic<int> ended = 0;
    {
      MailboxOptions options;
      options.on_message = [&](Mailbox&, const Message&) {
        ++begun;
        for (int turn = 0; turn < 10; ++turn) std::this_thread::yield();
        ++ended;
      };
      const Mailbox mailbox = mailbox_of(machine, options);
      for (int message = 0; message < 5; ++message) {
        REQUIRE(machine.send(mailbox.pid(), 0, "").ok());
      }
      if (i % 2 == 0) until([&] { return begun != 0; });
    }
    const int at_end = begun;
    CHECK(ended == at_end);
    std::this_thread::yield();
    CHECK(begun == at_end);
  }
}

TEST_CASE("on_message answers guests, throws, and drops its mailbox") {
  const Engine engine(test::engine_options());
  const Module module = assembled(engine, echo);
  const Scheduler scheduler = scheduler_of(engine, 2);
  Machine machine = machine_of(scheduler);
  Mailbox results = mailbox_of(machine);
  MailboxOptions options;
  options.on_message = [](Mailbox& mailbox, const Message& message) {
    if (message.tag == 1) static_cast<void>(mailbox.send(message.sender, 2, message.bytes + "!"));
    if (message.tag == 3) throw std::runtime_error("thrown");
    if (message.tag == 4) throw 4;
  };
  Mailbox server = mailbox_of(machine, options);
  CHECK(results.send(server.pid(), 1, "hi").ok());
  CHECK(received(results).bytes == "hi!");
  CHECK(results.monitor(server.pid()).ok());
  CHECK(results.send(server.pid(), 3, "").ok());
  CHECK(end_news(received(results, down_tag))->exit.reason == ExitReason::trap);
  CHECK(server.end()->text() == "trap: host function failed: thrown");
  Mailbox other = mailbox_of(machine, options);
  CHECK(machine.send(other.pid(), 4, "").ok());
  until([&] { return other.end().has_value(); });
  CHECK(other.end()->exit.reason == ExitReason::trap);

  std::optional<Mailbox> drops;
  options.on_message = [&](Mailbox&, const Message&) { drops.reset(); };
  {
    // It has its place before it is called.
    REQUIRE(machine.pause().ok());
    drops.emplace(mailbox_of(machine, options));
    CHECK(results.monitor(drops->pid()).ok());
    CHECK(machine.send(drops->pid(), 0, "").ok());
    machine.resume();
  }
  CHECK(end_news(received(results, down_tag))->exit.reason == ExitReason::normal);
}

TEST_CASE("many threads receive from one mailbox, by different tags, while others send") {
  const Engine engine(test::engine_options());
  const Scheduler scheduler = scheduler_of(engine, 2);
  Machine machine = machine_of(scheduler);
  for (const Overflow rule : {Overflow::refuse, Overflow::oldest}) {
    MailboxOptions options;
    options.limits.overflow = rule;
    Mailbox mailbox = mailbox_of(machine, options);
    std::atomic<std::int64_t> sum = 0;
    std::vector<std::thread> threads;
    constexpr int each = 2000;
    for (int tag = 0; tag < 4; ++tag) {
      threads.emplace_back([&, tag] {
        for (int i = 0; i < each; ++i) {
          auto message = mailbox.receive(tag);
          if (message && message->tag == tag) sum += std::stoi(message->bytes);
        }
      });
      threads.emplace_back([&, tag] {
        for (int i = 0; i < each; ++i) {
          while (!machine.send(mailbox.pid(), tag, std::to_string(i)).ok()) {
            std::this_thread::yield();
          }
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(sum == 4ll * each * (each - 1) / 2);
  }
}

TEST_CASE("a machine goes while threads wait in receive, and mailboxes outlive it") {
  const Engine engine(test::engine_options());
  const Module module = assembled(engine, echo);
  std::optional<Mailbox> mailbox;
  std::atomic<int> refused = 0;
  std::vector<std::thread> threads;
  {
    const Scheduler scheduler = scheduler_of(engine, 2);
    Machine machine = machine_of(scheduler);
    mailbox.emplace(mailbox_of(machine));
    std::atomic<int> begun = 0;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        ++begun;
        const auto received = mailbox->receive(3);
        if (!received && received.error().code == ErrorCode::usage) ++refused;
      });
    }
    until([&] { return begun == 4; });
    CHECK(
        machine.send(mailbox->pid(), 2, "stays", std::array{Grant(std::make_shared<Box>())}).ok());
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(refused == 4);
  CHECK(mailbox->end()->exit.reason == ExitReason::stopped);
  CHECK_FALSE(mailbox->send(1, 0, "").ok());
  CHECK_FALSE(mailbox->receive_for(std::chrono::hours(1)).ok());
  mailbox->unlink(1);
  mailbox->demonitor(1);
}

TEST_CASE("1,000 mailboxes, with a process for each, come and go") {
  const Engine engine(test::engine_options());
  const Module module = assembled(engine, echo);
  const Scheduler scheduler = scheduler_of(engine, 4);
  Machine machine = machine_of(scheduler);
  std::vector<std::thread> threads;
  std::atomic<int> right = 0;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&] {
      for (int i = 0; i < 250; ++i) {
        auto mailbox = machine.open_mailbox();
        if (!mailbox) continue;
        SpawnOptions child;
        child.parent = mailbox->pid();
        child.is_linked = true;
        const auto task = machine.spawn(module, "echo", {}, child);
        if (!task) continue;
        const std::string text = std::to_string(i);
        if (!mailbox->send(task->pid(), 0, text)) continue;
        auto answer = mailbox->receive(1);
        if (answer && answer->bytes == text) ++right;
        if (i % 2 == 0) task->kill();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(right == 1000);
}
