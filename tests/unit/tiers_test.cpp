// What the tiers hand over to each other, and what compiled code must not believe.
#include <doctest/doctest.h>

#include <atoll/module.hpp>

#include <chrono>
#include <thread>

#include "atoll/embed/impl.hpp"
#include "tests/support/process.hpp"

namespace atollvm {
namespace {

using runtime::Process;
using Kind = runtime::Outcome::Kind;
using Run = runtime::Outcome (*)(Process&);
constexpr Run tiers[] = {interp::run, jit::run, jit::run_auto, jit::run_hardened};

std::shared_ptr<const runtime::Program> program_of(const std::string& text) {
  const Engine engine;
  const auto module = Module::assemble(engine, {"t.atoll", text}, no_source_files);
  REQUIRE_MESSAGE(module.ok(), module.error().text());
  return Access::impl(*module)->program;
}

u32 function_of(const runtime::Program& program, const char* name) {
  return *program.find_export(name, mod::ExternKind::function);
}

// The first result of a call that must finish.
u64 call(const std::shared_ptr<const runtime::Program>& program, Run run, const char* name,
         const std::vector<u64>& arguments, const runtime::Options& options = {}) {
  const auto process = test::process_of(program, options);
  test::prepare(*process, function_of(*program, name), arguments);
  const runtime::Outcome outcome = run(*process);
  REQUIRE_MESSAGE(outcome.kind == Kind::finished, runtime::text(outcome.trap));
  return process->results()[0];
}

}  // namespace

TEST_CASE("tiers: a tail call of the function that follows") {
  const auto program = program_of(R"(module m
export func first(n: i32) -> i32 { tail second(n) }
export func second(n: i32) -> i32 { ret (i32.add n, 1) }
)");
  for (const Run run : tiers) CHECK(call(program, run, "first", {41}) == 42);
}

TEST_CASE("tiers: a function goes on in each of them where another one stopped") {
  const auto program = program_of(R"(module m
memory 65536
func add(p: i32, n: i64) -> i64 {
    i64.store [p], (i64.add (i64.load [p]), n)
    ret (i64.load [p])
}
export func work(n: i64) -> i64 {
    var i: i64, sum: i64, x: f64 = 1.0
    while i64.lt_u i, n {
        i64.add i, i, 1
        f64.mul x, x, 1.0000001
        call add(64, (i64.trunc_sat_f64_s (f64.mul x, 1000.0))) -> sum
    }
    ret (i64.xor sum, (i64.reinterpret_f64 x))
}
)");
  const u64 expected = call(program, interp::run, "work", {2000});
  for (u32 seed = 1; seed <= 8; ++seed) {
    const auto process = test::process_of(program);
    test::prepare(*process, function_of(*program, "work"), {2000});
    u32 random = seed;
    u32 stops = 0;
    while (true) {
      random = random * 1664525 + 1013904223;
      process->preempt();
      const runtime::Outcome outcome = tiers[(random >> 16) % std::size(tiers)](*process);
      if (outcome.kind == Kind::finished) break;
      REQUIRE(outcome.kind == Kind::preempted);
      ++stops;
    }
    CHECK(stops > 3000);
    CHECK(process->results()[0] == expected);
  }
}

TEST_CASE("tiers: recursion as deep as the stack's limit, and one call more") {
  const auto program = program_of(R"(module m
export func depth(n: i32) -> i32 {
    if i32.eqz n { ret 0 }
    ret (i32.add (call depth((i32.sub n, 1))), 1)
}
export func endless(n: i32) -> i32 { ret (i32.add (call endless((i32.add n, 1))), 1) }
export func by_tail(n: i32) -> i32 { tail by_call(n) }
func by_call(n: i32) -> i32 {
    if i32.eqz n { ret 0 }
    ret (i32.add (call by_tail((i32.sub n, 1))), 1)
}
)");
  runtime::Options options;
  options.limits.stack_bytes = 8 << 20;
  for (const Run run : tiers) {
    CHECK(call(program, run, "depth", {100'000}, options) == 100'000);
    CHECK(call(program, run, "by_tail", {100'000}, options) == 100'000);
    const auto process = test::process_of(program, options);
    test::prepare(*process, function_of(*program, "endless"), {0});
    const runtime::Outcome outcome = run(*process);
    CHECK(outcome.kind == Kind::trapped);
    CHECK(outcome.trap == runtime::Trap::stack_overflow);
  }
}

TEST_CASE("tiers: endless tail calls stop when they are asked to, with the arguments of the next") {
  const auto program = program_of(R"(module m
export func itself(n: i64, step: i64) -> i64 { tail itself((i64.add n, step), step) }
export func other(n: i64, step: i64) -> i64 { tail another((i64.add n, step), step) }
func another(n: i64, step: i64) -> i64 { tail other((i64.add n, step), step) }
)");
  for (const Run run : tiers) {
    for (const char* const name : {"itself", "other"}) {
      const auto process = test::process_of(program);
      test::prepare(*process, function_of(*program, name), {5, 7});
      u64 before = 0;
      for (u32 turn = 0; turn < 20; ++turn) {
        std::thread asks([&] {
          std::this_thread::sleep_for(std::chrono::microseconds(turn * 50));
          process->preempt();
        });
        const runtime::Outcome outcome = run(*process);
        asks.join();
        REQUIRE(outcome.kind == Kind::preempted);
        CHECK(process->trace().size() == 1);
        const runtime::Slot* const frame = process->stack() + process->saved.fp;
        CHECK((frame[0] - 5) % 7 == 0);
        CHECK(frame[0] > before);
        CHECK(frame[1] == 7);
        before = frame[0];
      }
    }
  }
}

TEST_CASE("jit: the upper half of a 32-bit slot reaches nothing") {
  // Each address is used narrowly and copied widely. A frame with something in upper halves comes
  // from a hostile snapshot only.
  const auto program = program_of(R"(module m
memory 65536
export func scan(n: i32) -> i32 {
    var p: i32, q: i32, sum: i32
    while i32.lt_u p, n {
        mov q, p
        i32.store [p], 5
        i32.add sum, sum, (i32.load8_u [q + 4])
        i32.store8 [p + q], 7
        memory.fill p, p, 3
        memory.copy q, p, (i32.and p, 255)
        i32.add p, p, 1
        i32.add sum, sum, (i32.load [p])
    }
    ret sum
}
)");
  const u64 expected = call(program, interp::run, "scan", {1000});
  for (const u64 upper : {u64{1} << 32, u64{0xffffffff} << 32, u64{1} << 63}) {
    const auto process = test::process_of(program);
    test::prepare(*process, function_of(*program, "scan"), {1000});
    for (u32 turn = 0;; ++turn) {
      process->preempt();
      const runtime::Outcome outcome = jit::run(*process);
      if (outcome.kind == Kind::finished) break;
      REQUIRE(outcome.kind == Kind::preempted);
      if (turn == 0) continue;  // the frame is just begun
      runtime::Slot* const frame = process->stack() + process->saved.fp;
      for (u32 slot = 0; slot < 4; ++slot) frame[slot] |= upper;
    }
    CHECK(process->results()[0] % (u64{1} << 32) == expected);
  }
}

}  // namespace atollvm
