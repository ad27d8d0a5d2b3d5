// The scheduler by itself: machines, pausing, weights.
#include "scheduler/core/scheduler.hpp"

#include <doctest/doctest.h>
#include <sched.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include <atoll/module.hpp>

#include "atoll/embed/impl.hpp"
#include "tests/support/tier.hpp"

namespace atollvm {
namespace {

using sched::ExitKind;
using sched::Machine;
using sched::Pid;
using sched::Scheduler;

std::shared_ptr<const runtime::Program> program_of(const std::string& text) {
  const Engine engine(test::engine_options());
  const auto module = Module::assemble(engine, {"t.atoll", text}, no_source_files);
  REQUIRE(module.ok());
  return Access::impl(*module)->program;
}

// Processes of one machine that count up for ever.
struct Counters {
  explicit Counters(Scheduler& on, const char* name = "m", u32 weight = 100) : scheduler(on) {
    Machine::Options options;
    options.name = name;
    options.weight = weight;
    options.on_end = [this](sched::Task&, const runtime::Outcome&, sched::Exit why) {
      last = why.kind;
      ++ended;
    };
    machine = &scheduler.add_machine(options);
  }
  Pid start() {
    static const auto program =
        program_of("module m\nexport func main() { var i: i64\n loop { i64.add i, i, 1 } }\n");
    const u32 function = *program->find_export("main", mod::ExternKind::function);
    sched::Spawn spawn;
    spawn.program = program;
    spawn.functions = std::span(&function, 1);
    const auto pid = scheduler.spawn(*machine, spawn);
    REQUIRE(pid.ok());
    return *pid;
  }
  void wait_for_more() const {
    for (const u64 before = machine->cpu_time(); machine->cpu_time() == before;) nap();
  }
  static void nap() { std::this_thread::sleep_for(std::chrono::milliseconds(5)); }

  Scheduler& scheduler;
  Machine* machine = nullptr;
  std::atomic<int> ended{0};
  std::atomic<ExitKind> last{ExitKind::normal};
};

TEST_CASE("scheduler: nothing of a paused machine runs; others do") {
  for (const u32 workers : {1u, 3u}) {
    Scheduler scheduler({.workers = workers}, test::run_tier);
    Counters paused(scheduler);
    Counters other(scheduler);
    for (int i = 0; i < 5; ++i) paused.start();
    other.start();
    for (int turn = 0; turn < 3; ++turn) {
      paused.wait_for_more();
      scheduler.pause(*paused.machine);
      // What ran until then is charged when others run; only then it stays.
      other.wait_for_more();
      other.wait_for_more();
      u64 before = paused.machine->cpu_time();
      while (true) {
        Counters::nap();
        const u64 now = paused.machine->cpu_time();
        if (now == before) break;
        before = now;
      }
      for (int i = 0; i < 5; ++i) other.wait_for_more();
      CHECK(paused.machine->cpu_time() == before);
      scheduler.resume(*paused.machine);
    }
    paused.wait_for_more();
    scheduler.remove_machine(*paused.machine);
    CHECK(paused.ended == 5);
    scheduler.remove_machine(*other.machine);
    CHECK(other.ended == 1);
  }
}

TEST_CASE("scheduler: a paused machine's processes can be killed, and it can be removed") {
  Scheduler scheduler({.workers = 2}, test::run_tier);
  Counters machine(scheduler);
  const Pid first = machine.start();
  machine.start();
  scheduler.pause(*machine.machine);
  CHECK(scheduler.kill(*machine.machine, first, {ExitKind::killed, 0}));
  while (machine.ended != 1) Counters::nap();
  CHECK(machine.last == ExitKind::killed);
  // One that is started now waits as well.
  const Pid third = machine.start();
  CHECK(scheduler.kill(*machine.machine, third, {ExitKind::killed, 0}));
  while (machine.ended != 2) Counters::nap();
  // on_end is told before the pid is free.
  while (scheduler.kill(*machine.machine, third, {ExitKind::killed, 0})) Counters::nap();
  scheduler.remove_machine(*machine.machine);
  CHECK(machine.ended == 3);
  CHECK(machine.last == ExitKind::stopped);
}

TEST_CASE("scheduler: waiting for a CPU that others of the system have is not charged" *
          doctest::skip(access("/proc/thread-self/schedstat", R_OK) != 0)) {
  // Two threads of one CPU, of which neither waits for anything else.
  std::thread([] {
    cpu_set_t all;
    CHECK(sched_getaffinity(0, sizeof all, &all) == 0);
    int first = 0;
    while (!CPU_ISSET(first, &all)) ++first;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
    Scheduler scheduler({.workers = 1}, test::run_tier);
    Counters machine(scheduler);
    machine.start();
    machine.start();
    const auto begin = std::chrono::steady_clock::now();
    auto passed = begin - begin;
    do {
      passed = std::chrono::steady_clock::now() - begin;
    } while (passed < std::chrono::milliseconds(500));
    const u64 used = machine.machine->cpu_time();
    const auto wall = static_cast<u64>(std::chrono::nanoseconds(passed).count());
    CHECK(used > 0);
    CHECK(used < wall / 4 * 3);
    scheduler.remove_machine(*machine.machine);
  }).join();
}

TEST_CASE("scheduler: machines come and go while others run") {
  Scheduler scheduler({.workers = 2}, test::run_tier);
  Counters steady(scheduler, "steady");
  steady.start();
  for (int turn = 0; turn < 50; ++turn) {
    Counters brief(scheduler, "brief", 1 + static_cast<u32>(turn));
    for (int i = 0; i <= turn % 4; ++i) brief.start();
    if (turn % 3 == 0) scheduler.pause(*brief.machine);
    scheduler.remove_machine(*brief.machine);
    CHECK(brief.ended == 1 + turn % 4);
  }
  steady.wait_for_more();
  scheduler.remove_machine(*steady.machine);
  CHECK(steady.ended == 1);
}

TEST_CASE("scheduler: a scheduler that goes ends what runs, waits or is paused") {
  for (const u32 workers : {1u, 4u}) {
    std::optional<Scheduler> scheduler;
    scheduler.emplace(Scheduler::Options{.workers = workers}, test::run_tier);
    Counters paused(*scheduler);
    Counters runs(*scheduler);
    for (int i = 0; i < 3; ++i) paused.start();
    for (int i = 0; i < 3; ++i) runs.start();
    scheduler->pause(*paused.machine);
    scheduler.reset();
    CHECK(paused.ended == 3);
    CHECK(runs.ended == 3);
  }
}

}  // namespace
}  // namespace atollvm
