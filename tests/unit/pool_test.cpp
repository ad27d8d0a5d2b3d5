// Compiled code in little memory: it comes and goes while threads are in it, and nobody notices.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <atoll/module.hpp>

#include <thread>

#include "atoll/embed/impl.hpp"
#include "tests/support/disturb.hpp"
#include "tests/support/process.hpp"
#include "vm/jit/jit.hpp"
#include "vm/jit/pool.hpp"

namespace atollvm {
namespace {

using runtime::Process;
using Kind = runtime::Outcome::Kind;
using Run = runtime::Outcome (*)(Process&);
using Pool = std::shared_ptr<runtime::NativePool>;

std::shared_ptr<const runtime::Program> program_of(const std::string& text) {
  const Engine engine;
  const auto module = Module::assemble(engine, {"t.atoll", text}, no_source_files);
  REQUIRE_MESSAGE(module.ok(), module.error().text());
  return Access::impl(*module)->program;
}

// So many functions, which call each other as the numbers say; `fault` reads where it is told.
std::string many_functions(u32 count) {
  std::string text = fmt::format(R"(module m
memory 1 .. 2 pages
type work = func(i64, i32) -> i64
export func run(x: i64, n: i64) -> i64 {{
    var i: i64
    while i64.lt_u i, n {{
        call next(x, 6) -> x
        i64.add i, i, 1
    }}
    ret x
}}
func next(x: i64, depth: i32) -> i64 {{
    ret (call.table all, work, (i32.wrap_i64 (i64.rem_u (i64.shr_u x, 7), {})) (x, depth))
}}
export func fault(x: i64, n: i64) -> i64 {{
    call run(x, n) -> x
    ret (i64.load8_u [(i32.wrap_i64 (i64.or x, 0x80000000))])
}}
)",
                                 count);
  std::string table = fmt::format("table all: funcref {} = [", count);
  for (u32 i = 0; i < count; ++i) {
    table += fmt::format("{}work_{}", i == 0 ? "" : ", ", i);
    text += fmt::format(R"(func work_{0}(x: i64, depth: i32) -> i64 {{
    var i: i64
    while i64.lt_u i, {1} {{
        i64.mul x, x, 0x5851f42d4c957f2d
        i64.add x, x, {0}
        i64.store [128 + {2}], x
        i64.xor x, x, (i64.shr_u x, 29)
        i64.add i, i, 1
    }}
    if depth {{
        call next(x, (i32.sub depth, 1)) -> x
        i64.xor x, x, (i64.load [128 + {2}])
    }}
    ret (i64.add x, {0})
}}
)",
                        i, i % 3 + 1, i % 100 * 8);
  }
  return text + table + "]\n";
}

struct Guest {
  Guest(std::shared_ptr<const runtime::Program> of, const Pool& pool,
        const runtime::Options& options = {})
      : program(std::move(of)), process(test::process_of(program, options)) {
    process->worker()->pool = pool.get();
  }
  // To the call's end; what asks for code can stop others at any safepoint.
  runtime::Outcome run(Run tier, const char* name, u64 x, u64 n) {
    const std::vector<u64> arguments{x, n};
    if (!process->prepare(*program->find_export(name, mod::ExternKind::function), arguments).ok()) {
      return {};
    }
    while (true) {
      const runtime::Outcome outcome = tier(*process);
      if (outcome.kind != Kind::preempted) return outcome;
    }
  }
  u64 result(Run tier, u64 x, u64 n) {
    const runtime::Outcome outcome = run(tier, "run", x, n);
    return outcome.kind == Kind::finished ? process->results()[0] : 0;
  }

  std::shared_ptr<const runtime::Program> program;
  std::unique_ptr<Process> process;
};

Pool pool_of(u64 limit, u32 warm_up = 20) {
  jit::PoolOptions options;
  options.limit = limit;
  options.warm_up = warm_up;
  options.patience = 0;
  return jit::make_pool(options);
}

constexpr u64 tiny = 256 << 10;
constexpr Run machine_code[] = {jit::run, jit::run_auto};

}  // namespace

TEST_CASE("code memory: thousands of functions in several threads, in room for a part of them") {
  if (!jit::is_available()) return;
  const auto program = program_of(many_functions(3000));
  const Pool pool = pool_of(tiny);
  constexpr u64 threads = 3;
  constexpr u64 rounds = 6;
  constexpr u64 calls = 300;
  std::vector<u64> expected;
  std::vector<u64> got(threads * rounds);
  for (u64 i = 0; i < threads * rounds; ++i) {
    expected.push_back(Guest(program, pool).result(interp::run, i + 1, calls));
  }
  std::vector<std::thread> running;
  for (u64 thread = 0; thread < threads; ++thread) {
    running.emplace_back([&, thread] {
      for (u64 round = 0; round < rounds; ++round) {
        const u64 i = thread * rounds + round;
        got[i] = Guest(program, pool).result(machine_code[i % 2], i + 1, calls);
      }
    });
  }
  for (std::thread& each : running) each.join();
  CHECK(got == expected);
  const jit::CompiledStats stats = jit::compiled(*program);
  CHECK(stats.discarded > 50);
  CHECK(stats.functions > stats.discarded);
  CHECK(static_cast<jit::Pool&>(*pool).used() <= tiny);
}

TEST_CASE("code memory: programs that come and go, and faults, while code is thrown away") {
  if (!jit::is_available()) return;
  const std::string text = many_functions(400);
  const auto common = program_of(text);
  const Pool pool = pool_of(64 << 10);
  const u64 expected = Guest(common, pool).result(interp::run, 5, 200);
  std::atomic<u32> wrong{0};
  std::vector<std::thread> running;
  for (u64 thread = 0; thread < 3; ++thread) {
    running.emplace_back([&, thread] {
      runtime::Options options;
      if (thread != 0) options.memory = runtime::MemoryStrategy::guarded;
      for (u32 round = 0; round < 6; ++round) {
        const auto program = thread == 1 ? program_of(text) : common;
        Guest guest(program, pool, options);
        if (guest.result(machine_code[round % 2], 5, 200) != expected) ++wrong;
        const runtime::Outcome outcome = guest.run(jit::run, "fault", 5, 100);
        if (outcome.kind != Kind::trapped || outcome.trap != runtime::Trap::memory_bounds) ++wrong;
      }
    });
  }
  for (std::thread& each : running) each.join();
  CHECK(wrong.load() == 0);
}

TEST_CASE(
    "code memory: with exact fuel all tiers stop at the same place, whatever is thrown away") {
  if (!jit::is_available()) return;
  const auto program = program_of(many_functions(500));
  const Pool pool = pool_of(64 << 10);
  for (const u64 fuel : {20'000, 100'003, 300'001}) {
    runtime::Options options;
    options.limits.fuel = fuel;
    Guest one(program, pool, options);
    Guest other(program, pool, options);
    const runtime::Outcome outcome = one.run(jit::run, "run", 3, 1'000'000);
    CHECK(other.run(interp::run, "run", 3, 1'000'000).kind == Kind::out_of_fuel);
    CHECK(outcome.kind == Kind::out_of_fuel);
    CHECK(one.process->fuel() == other.process->fuel());
    CHECK(one.process->saved.pc == other.process->saved.pc);
    CHECK(one.process->saved.fp == other.process->saved.fp);
  }
  CHECK(jit::compiled(*program).discarded > 10);
}

TEST_CASE("code memory: stops at every safepoint, on threads that take turns") {
  if (!jit::is_available()) return;
  const auto program = program_of(many_functions(300));
  const Pool pool = pool_of(32 << 10);
  const u64 expected = Guest(program, pool).result(interp::run, 9, 60);
  for (u64 seed = 1; seed <= 3; ++seed) {
    Guest guest(program, pool);
    guest.result(jit::run, 9, 1);  // so that the code goes to this pool
    test::prepare(*guest.process, *program->find_export("run", mod::ExternKind::function), {9, 60});
    test::Disturber disturber(seed);
    REQUIRE(disturber.run(*guest.process).kind == Kind::finished);
    CHECK(guest.process->results()[0] == expected);
  }
  CHECK(jit::compiled(*program).discarded > 10);
}

TEST_CASE("code memory: who has most gives, and what is used stays") {
  if (!jit::is_available()) return;
  const Pool pool = pool_of(tiny, 0);
  const auto greedy = program_of(many_functions(3000));
  const auto small = program_of(many_functions(40));
  Guest hog(greedy, pool);
  Guest guest(small, pool);
  hog.result(jit::run, 1, 3000);
  CHECK(jit::compiled(*greedy).discarded != 0);
  for (u64 round = 0; round < 20; ++round) {
    hog.result(jit::run, round, 300);
    guest.result(jit::run, round, 300);
  }
  // It has less than half, so that nothing of its own was thrown away for the other.
  CHECK(jit::compiled(*small).functions >= 40);
  CHECK(jit::compiled(*small).discarded == 0);
}

TEST_CASE("code memory: none at all, and less than one function takes") {
  const auto program = program_of(many_functions(20));
  const u64 expected = Guest(program, pool_of(0)).result(interp::run, 1, 100);
  for (const u64 limit : {0, 300}) {
    const auto own = program_of(many_functions(20));
    const Pool pool = pool_of(limit, 0);
    for (const Run tier : machine_code) CHECK(Guest(own, pool).result(tier, 1, 100) == expected);
    CHECK(jit::compiled(*own).functions == 0);
  }
}

TEST_CASE("code memory: a limit larger than any memory") {
  if (!jit::is_available()) return;
  const Pool pool = pool_of(~u64{0});
  const auto program = program_of(many_functions(3000));
  Guest(program, pool).result(jit::run, 1, 3000);
  CHECK(jit::compiled(*program).functions >= 3000);
  CHECK(jit::compiled(*program).discarded == 0);
}

TEST_CASE("code memory: what finds no room is compiled when there is some") {
  if (!jit::is_available()) return;
  const Pool pool = pool_of(64 << 10, 0);
  {
    const auto before = program_of(many_functions(2000));
    Guest hog(before, pool);
    hog.result(jit::run, 1, 2000);
  }
  const auto program = program_of(many_functions(20));
  Guest guest(program, pool);
  for (u64 round = 0; round < 50; ++round) guest.result(jit::run, round, 100);
  CHECK(jit::compiled(*program).functions >= 20);
}

TEST_CASE("code memory: a large function is compiled beside those who run it") {
  if (!jit::is_available()) return;
  std::string text = R"(module m
export func run(x: i64, n: i64) -> i64 {
    var i: i64
    while i64.lt_u i, n {
)";
  for (u32 i = 0; i < 40'000; ++i) {
    text += fmt::format("        i64.add x, (i64.mul x, {}), {}\n", i % 1000 + 3, i % 1000);
  }
  text += "        i64.add i, i, 1\n    }\n    ret x\n}\n";
  const auto program = program_of(text);
  const Pool pool = pool_of(16 << 20, 0);
  const u64 expected = Guest(program, pool).result(interp::run, 3, 50);
  Guest guest(program, pool);
  // However long that takes.
  while (jit::compiled(*program).functions == 0) {
    REQUIRE(guest.result(jit::run, 3, 50) == expected);
  }
  CHECK(guest.process->worker()->owed != 0);
  CHECK(guest.result(jit::run, 3, 50) == expected);
  runtime::Options counted;
  counted.limits.fuel = 10'000'000;
  const auto again = program_of(text);
  Guest exact(again, pool, counted);
  while (jit::compiled(*again).functions == 0) {
    exact.process->add_fuel(10'000'000);
    REQUIRE(exact.result(jit::run, 3, 50) == expected);
  }
}

}  // namespace atollvm
