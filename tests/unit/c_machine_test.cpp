// Machines, tasks and mailboxes in C: that they give what the C++ interface gives.
#include <atoll.h>
#include <doctest/doctest.h>

#include <atomic>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/c_interface.hpp"

using atollvm::test::code_of;
using atollvm::test::Owned;

namespace {

void must(atoll_error* error) {
  const std::string text = error == nullptr ? "" : atoll_error_text(error);
  atoll_error_free(error);
  REQUIRE_MESSAGE(text.empty(), text);
}

using Module = Owned<atoll_module, atoll_module_free>;
using Options = Owned<atoll_options, atoll_options_free>;
using Imports = Owned<atoll_imports, atoll_imports_free>;
using Scheduler = Owned<atoll_scheduler, atoll_scheduler_free>;
using Machine = Owned<atoll_machine, atoll_machine_free>;
using Task = Owned<atoll_task, atoll_task_free>;
using Mailbox = Owned<atoll_mailbox, atoll_mailbox_free>;
using Message = Owned<atoll_message, atoll_message_free>;
using Grant = Owned<atoll_grant, atoll_grant_free>;

constexpr const char* source = R"(module t
use std.sys
import func check(h: i32) -> i32 from "h" "check"
reserve buffer 4096 align 8
reserve about sizeof(MessageInfo) align 8
export func add(a: i32, b: f64) -> (i32, f64) { ret (i32.add a, 1), (f64.add b, 1.0) }
export func inner() { unreachable }
export func crash() {
    call inner()
    ret
}
export func spin() { loop { } }
export func main() -> i32 { ret 5 }
// Sends a message back to its parent, with its handles, once.
export func echo() -> i32 {
    var n: i32, error: i32
    call receive(TAG_ANY, buffer, 4096, -1, about) -> n
    if i32.ne (i32.load [about + MessageInfo.handle_count]), 0 {
        call check((i32.load [about + MessageInfo.handle0])) -> error
    }
    call process_send_handles((call process_parent()), 8, buffer, n, about + MessageInfo.handle0,
        (i32.load [about + MessageInfo.handle_count])) -> error
    ret error
}
)";

const int box_type = 0;

struct World {
  explicit World(const atoll_options* options = nullptr, uint32_t workers = 2) {
    atoll_engine* engine = atoll_engine_new(ATOLL_TIER_AUTO, false);
    atoll_module* made = nullptr;
    must(atoll_module_assemble(engine, "guest.atoll", source, std::strlen(source), &made));
    module.reset(made);
    atoll_scheduler* scheduler = nullptr;
    must(atoll_scheduler_new(engine, workers, nullptr, 500, &scheduler));
    CHECK(atoll_scheduler_workers(scheduler) == workers);
    const atoll_type i32 = ATOLL_I32;
    Options own;
    if (options == nullptr) {
      own.reset(atoll_options_new());
      const Imports imports(atoll_imports_new());
      must(atoll_imports_define(
          imports.get(), "h", "check", &i32, 1, &i32, 1,
          [](void*, atoll_caller* caller, const atoll_value* arguments, atoll_value* results) {
            const auto handle = static_cast<uint32_t>(arguments[0].of.i32);
            void* const box = atoll_caller_object(caller, handle, &box_type);
            if (box == nullptr) return atoll_caller_fail(caller, "no box");
            *results = atoll_i32(++*static_cast<int*>(box));
            return static_cast<atoll_action>(ATOLL_RETURN);
          },
          nullptr, nullptr));
      atoll_options_imports(own.get(), imports.get());
      options = own.get();
    }
    atoll_machine* new_machine = nullptr;
    must(atoll_machine_new(scheduler, options, &new_machine));
    machine.reset(new_machine);
    atoll_scheduler_free(scheduler);  // they keep what they need
    atoll_engine_free(engine);
  }
  [[nodiscard]] Task spawn(const char* function, std::vector<atoll_value> arguments = {},
                           const atoll_options* options = nullptr) const {
    atoll_task* task = nullptr;
    must(atoll_machine_spawn(machine.get(), module.get(), function, arguments.data(),
                             arguments.size(), options, &task));
    return Task(task);
  }
  [[nodiscard]] Mailbox mailbox(const atoll_options* options = nullptr) const {
    atoll_mailbox* made = nullptr;
    must(atoll_mailbox_new(machine.get(), options, &made));
    return Mailbox(made);
  }

  Module module;
  Machine machine;
};

Imports with_check() {
  Imports imports(atoll_imports_new());
  const atoll_type i32 = ATOLL_I32;
  must(atoll_imports_define(
      imports.get(), "h", "check", &i32, 1, &i32, 1,
      [](void*, atoll_caller*, const atoll_value*, atoll_value*) {
        return static_cast<atoll_action>(ATOLL_RETURN);
      },
      nullptr, nullptr));
  return imports;
}

std::string text_of(const Message& message) {
  return {reinterpret_cast<const char*>(atoll_message_bytes(message.get())),
          atoll_message_size(message.get())};
}

Message received(const Mailbox& mailbox, int32_t tag = ATOLL_TAG_ANY) {
  atoll_message* message = nullptr;
  must(atoll_mailbox_receive(mailbox.get(), tag, -1, &message));
  REQUIRE(message != nullptr);
  return Message(message);
}

}  // namespace

TEST_CASE("C: processes of a machine, and their ends") {
  const World world;
  Task task = world.spawn("add", {atoll_i32(41), atoll_f64(0.5)});
  CHECK(atoll_task_pid(task.get()) != 0);
  CHECK(atoll_task_wait(task.get(), -1));
  CHECK(atoll_task_reason(task.get()) == ATOLL_END_NORMAL);
  CHECK(atoll_task_text(task.get()) == std::string("ended"));
  atoll_value results[3];
  CHECK(atoll_task_results(task.get(), results, 3) == 2);
  CHECK(results[0].type == ATOLL_I32);
  CHECK(results[0].of.i32 == 42);
  CHECK(results[1].of.f64 == 1.5);
  CHECK_FALSE(atoll_task_kill(task.get()));

  task = world.spawn("crash");
  CHECK(atoll_task_wait(task.get(), INT64_MAX));
  CHECK(atoll_task_reason(task.get()) == ATOLL_END_TRAP);
  CHECK(atoll_task_code(task.get()) == ATOLL_TRAP_UNREACHABLE);
  CHECK(atoll_task_trace_function(task.get(), 0) == std::string("inner"));
  CHECK(atoll_task_trace_location(task.get(), 1) != nullptr);
  CHECK(atoll_task_trace_function(task.get(), 2) == nullptr);
  task = world.spawn(nullptr);
  CHECK(atoll_task_wait(task.get(), -1));
  CHECK(atoll_task_text(task.get()) == std::string("exit code 5"));
  CHECK(atoll_task_code(task.get()) == 5);

  task = world.spawn("spin");
  CHECK_FALSE(atoll_task_wait(task.get(), 0));
  CHECK(atoll_task_text(task.get()) == nullptr);
  CHECK(atoll_task_results(task.get(), results, 3) == 0);
  CHECK(atoll_task_trace_function(task.get(), 0) == nullptr);
  atoll_process_state state{};
  while (state.cpu_time == 0) {
    CHECK(atoll_machine_process(world.machine.get(), atoll_task_pid(task.get()), &state,
                                sizeof state));
  }
  must(atoll_machine_pause(world.machine.get()));
  CHECK(
      atoll_machine_process(world.machine.get(), atoll_task_pid(task.get()), &state, sizeof state));
  CHECK(state.pid == atoll_task_pid(task.get()));
  CHECK(state.state == 3);
  CHECK(state.weight == 100);
  CHECK(state.handles == 4);
  atoll_machine_state all;
  atoll_machine_look(world.machine.get(), &all, sizeof all);
  CHECK(all.paused == 1);
  CHECK(all.processes >= 1);
  CHECK(all.memory > 0);
  uint64_t pids[4] = {};
  CHECK(atoll_machine_processes(world.machine.get(), pids, 4) >= 1);
  CHECK(pids[0] != 0);
  // A program that knows a shorter structure.
  std::memset(&state, 0xff, sizeof state);
  CHECK(atoll_machine_process(world.machine.get(), atoll_task_pid(task.get()), &state, 8));
  CHECK(state.parent == ~uint64_t{0});
  atoll_machine_resume(world.machine.get());
  must(atoll_machine_register(world.machine.get(), "spinner", atoll_task_pid(task.get())));
  CHECK(atoll_machine_find(world.machine.get(), "spinner") == atoll_task_pid(task.get()));
  CHECK(atoll_machine_unregister(world.machine.get(), "spinner"));
  CHECK(atoll_machine_find(world.machine.get(), "spinner") == 0);
  CHECK(atoll_machine_kill(world.machine.get(), atoll_task_pid(task.get())));
  CHECK(atoll_task_wait(task.get(), -1));
  CHECK(atoll_task_reason(task.get()) == ATOLL_END_KILLED);
  CHECK_FALSE(atoll_machine_kill(world.machine.get(), atoll_task_pid(task.get())));
}

TEST_CASE("C: messages and grants go both ways") {
  const World world;
  Mailbox mailbox = world.mailbox();
  const Options child(atoll_options_new());
  atoll_options_parent(child.get(), atoll_mailbox_pid(mailbox.get()), true);
  atoll_options_weight(child.get(), 10);
  atoll_options_priority(child.get(), 3);
  atoll_options_mailbox(child.get(), 10, 10'000, ATOLL_OLDEST);
  const Task task = world.spawn("echo", {}, child.get());
  int box = 0;
  atoll_grant* made = nullptr;
  must(atoll_grant_new(
      &box, &box_type, [](void* object) { *static_cast<int*>(object) += 100; }, &made));
  Grant grant(made);
  const atoll_grant* grants[] = {grant.get()};
  must(atoll_mailbox_send(mailbox.get(), atoll_task_pid(task.get()), 3, "hello", 5, grants, 1));
  Message message = received(mailbox, 8);
  CHECK(atoll_message_sender(message.get()) == atoll_task_pid(task.get()));
  CHECK(atoll_message_tag(message.get()) == 8);
  CHECK(text_of(message) == "hello");
  CHECK_FALSE(atoll_message_end(message.get(), nullptr, nullptr, nullptr, nullptr));
  Grant back(atoll_message_grant(message.get(), 0));
  REQUIRE(back != nullptr);
  CHECK(atoll_message_grant(message.get(), 1) == nullptr);
  CHECK(atoll_grant_object(back.get(), &box_type) == &box);
  CHECK(atoll_grant_object(back.get(), &box) == nullptr);
  CHECK(box == 1);
  message = received(mailbox, ATOLL_TAG_EXIT);
  uint64_t pid = 0;
  uint64_t reference = 1;
  atoll_reason reason = -1;
  uint32_t code = 1;
  CHECK(atoll_message_end(message.get(), &pid, &reference, &reason, &code));
  CHECK(pid == atoll_task_pid(task.get()));
  CHECK(reference == 0);
  CHECK(reason == ATOLL_END_NORMAL);
  CHECK(code == 0);
  message.reset();
  back.reset();
  CHECK(box == 1);
  CHECK(atoll_task_wait(task.get(), -1));
  CHECK(atoll_machine_processes(world.machine.get(), nullptr, 0) == 1);
  grant.reset();
  CHECK(box == 101);

  must(atoll_mailbox_link(mailbox.get(), pid));
  CHECK(atoll_message_tag(received(mailbox).get()) == ATOLL_TAG_EXIT);
  must(atoll_mailbox_monitor(mailbox.get(), pid, &reference));
  CHECK(reference != 0);
  message = received(mailbox, ATOLL_TAG_DOWN);
  uint64_t told = 0;
  CHECK(atoll_message_end(message.get(), nullptr, &told, &reason, nullptr));
  CHECK(told == reference);
  CHECK(reason == ATOLL_END_NOPROC);
  atoll_mailbox_unlink(mailbox.get(), pid);
  atoll_mailbox_demonitor(mailbox.get(), reference);
  must(atoll_machine_send(world.machine.get(), atoll_mailbox_pid(mailbox.get()), 0, nullptr, 0,
                          nullptr, 0));
  CHECK(atoll_message_size(received(mailbox).get()) == 0);
  atoll_message* none = nullptr;
  must(atoll_mailbox_receive(mailbox.get(), 1, 1000, &none));
  CHECK(none == nullptr);
}

TEST_CASE("C: functions are told of messages and ends, and their environments freed") {
  struct Told {
    std::atomic<int> messages = 0;
    std::atomic<int> ends = 0;
    std::atomic<int> freed = 0;
    std::mutex mutex;
    std::string text;
  } told;
  const auto freed = [](void* env) { ++static_cast<Told*>(env)->freed; };
  {
    const Options options(atoll_options_new());
    const Imports imports = with_check();
    atoll_options_imports(options.get(), imports.get());
    CHECK(atoll_options_on_end(
        options.get(),
        [](void* env, uint64_t pid, atoll_reason reason, uint32_t, const char* text) {
          auto* const to = static_cast<Told*>(env);
          const std::lock_guard guard(to->mutex);
          if (pid != 0 && reason == ATOLL_END_TRAP) to->text = text;
          ++to->ends;
        },
        &told, freed));
    CHECK(atoll_options_on_message(
        options.get(),
        [](void* env, atoll_mailbox* mailbox, const atoll_message* message) {
          ++static_cast<Told*>(env)->messages;
          atoll_message* none = nullptr;
          if (code_of(atoll_mailbox_receive(mailbox, 0, -1, &none)) != ATOLL_USAGE) return;
          atoll_error_free(
              atoll_mailbox_send(mailbox, atoll_message_sender(message), 2, "yes", 3, nullptr, 0));
        },
        &told, freed));
    const World world(options.get());
    const Mailbox server = world.mailbox(options.get());
    Mailbox client = world.mailbox();
    must(atoll_mailbox_send(client.get(), atoll_mailbox_pid(server.get()), 1, "", 0, nullptr, 0));
    CHECK(text_of(received(client)) == "yes");
    const Task task = world.spawn("crash");
    CHECK(atoll_task_wait(task.get(), -1));
    CHECK(told.ends == 1);
    CHECK(told.text == "trap: unreachable");
    CHECK(told.messages == 1);
    CHECK(told.freed == 0);
  }
  CHECK(told.freed == 2);
}

TEST_CASE("C: what a program does wrong is an error, and its limits hold") {
  const World world;
  atoll_task* task = nullptr;
  const auto spawn = [&](const char* function, const atoll_value* arguments, size_t count,
                         const atoll_options* options) {
    return code_of(atoll_machine_spawn(world.machine.get(), world.module.get(), function, arguments,
                                       count, options, &task));
  };
  CHECK(spawn("nothing", nullptr, 0, nullptr) == ATOLL_NOT_FOUND);
  CHECK(spawn("add", nullptr, 0, nullptr) == ATOLL_USAGE);
  atoll_value bad = atoll_i32(1);
  bad.type = 77;
  CHECK(spawn("spin", &bad, 1, nullptr) == ATOLL_USAGE);
  const Options options(atoll_options_new());
  atoll_options_mailbox(options.get(), 1, 1000, 5);
  CHECK(spawn("spin", nullptr, 0, options.get()) == ATOLL_USAGE);
  atoll_mailbox* mailbox = nullptr;
  CHECK(code_of(atoll_mailbox_new(world.machine.get(), options.get(), &mailbox)) == ATOLL_USAGE);
  atoll_options_mailbox(options.get(), 1, 1000, ATOLL_WAIT);
  atoll_options_weight(options.get(), 0);
  CHECK(spawn("spin", nullptr, 0, options.get()) == ATOLL_USAGE);
  CHECK(task == nullptr);
  atoll_engine* engine = atoll_engine_new(ATOLL_TIER_AUTO, false);
  atoll_scheduler* scheduler = nullptr;
  CHECK(code_of(atoll_scheduler_new(engine, 1, "chaos", 0, &scheduler)) == ATOLL_NOT_FOUND);
  CHECK(code_of(atoll_scheduler_new(engine, 1000, nullptr, 0, &scheduler)) == ATOLL_USAGE);
  atoll_engine_free(engine);
  atoll_grant* grant = nullptr;
  int freed = 0;
  CHECK(code_of(atoll_grant_new(
            &freed, nullptr, [](void* object) { ++*static_cast<int*>(object); }, &grant)) ==
        ATOLL_USAGE);
  CHECK(freed == 1);
  CHECK(code_of(atoll_machine_register(world.machine.get(), "x", 12345)) == ATOLL_NOT_FOUND);
  CHECK_FALSE(atoll_machine_process(world.machine.get(), 12345, nullptr, 0));
  CHECK(code_of(atoll_machine_send(world.machine.get(), 12345, 0, "", 0, nullptr, 0)) ==
        ATOLL_NOT_FOUND);

  const Options limits(atoll_options_new());
  const Imports imports = with_check();
  atoll_options_imports(limits.get(), imports.get());
  atoll_options_processes(limits.get(), 1);
  atoll_options_time(limits.get(), 3);
  atoll_options_io(limits.get(), 100, 100);
  atoll_options_io_rate(limits.get(), UINT64_MAX, 100);
  const World small(limits.get());
  const Task first = small.spawn("spin");
  CHECK(code_of(atoll_machine_spawn(small.machine.get(), small.module.get(), "spin", nullptr, 0,
                                    nullptr, &task)) == ATOLL_LIMIT);
  CHECK(atoll_task_wait(first.get(), -1));
  CHECK(atoll_task_reason(first.get()) == ATOLL_END_TIME);
}

TEST_CASE("C: a machine is freed while threads wait, and others outlive it") {
  World world;
  const Mailbox mailbox = world.mailbox();
  const Task task = world.spawn("spin");
  std::atomic<int> right = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&, i] {
      atoll_message* none = nullptr;
      atoll_error* const error =
          atoll_mailbox_receive(mailbox.get(), ATOLL_TAG_ANY, i % 2 == 0 ? -1 : INT64_MAX, &none);
      if (error != nullptr && none == nullptr) ++right;
      atoll_error_free(error);
    });
    threads.emplace_back([&] {
      if (atoll_task_wait(task.get(), -1) && atoll_task_reason(task.get()) == ATOLL_END_STOPPED) {
        ++right;
      }
    });
  }
  world.machine.reset();
  for (std::thread& thread : threads) thread.join();
  CHECK(right == 6);
  CHECK(atoll_task_text(task.get()) == std::string("machine ended"));
  CHECK(code_of(atoll_mailbox_send(mailbox.get(), 1, 1, "", 0, nullptr, 0)) == ATOLL_USAGE);
  atoll_task_free(nullptr);
  atoll_mailbox_free(nullptr);
  atoll_machine_free(nullptr);
  atoll_scheduler_free(nullptr);
  atoll_message_free(nullptr);
  atoll_grant_free(nullptr);
}
