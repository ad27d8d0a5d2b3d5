// Compiled code that reaches a memory's guard, and faults that are the host's.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <thread>

#include "atoll/embed/impl.hpp"
#include "tests/support/process.hpp"
#include "vm/runtime/guard.hpp"

namespace atollvm {
namespace {

using runtime::Process;
using Kind = runtime::Outcome::Kind;

constexpr const char* text = R"(module m
import func crash() -> i32 from "test" "crash"
memory 1 .. 2 pages
export func at(p: i32) -> i32 { ret (i32.load8_u [p]) }
export func far(p: i32) -> i32 { ret (i32.load [p + 33554428]) }
export func farther(p: i32) -> i32 { ret (i32.load [p + 33554429]) }
export func put(p: i32) {
    i64.store [p], 0x0123456789abcdef
    ret
}
export func grown(p: i32) -> i32 {
    var n: i32
    i32.load n, [p - 65536]
    memory.grow n, 1
    i32.load n, [p]
    ret n
}
export func deep(n: i32, p: i32) -> i32 {
    if n {
        call deep((i32.sub n, 1), p) -> n
        ret (i32.add n, 1)
    }
    ret (i32.load [p])
}
export func host(n: i32) -> i32 {
    i32.load n, [n]
    call crash() -> n
    ret n
}
)";

std::shared_ptr<const runtime::Program> program() {
  const Engine engine;
  const auto module = Module::assemble(engine, {"t.atoll", text}, no_source_files);
  REQUIRE_MESSAGE(module.ok(), module.error().text());
  return Access::impl(*module)->program;
}

bool crashes = false;

const std::vector<runtime::HostFunction>& functions() {
  static const auto all = [] {
    runtime::HostFunction function;
    function.module = "test";
    function.name = "crash";
    function.type = {{}, {mod::ValType::i32}};
    function.call = [](runtime::HostContext& context) {
      // What the sanitizers would tell of it is another thing.
      if (crashes) kill(getpid(), SIGSEGV);
      return context.result_i32(7);
    };
    return std::vector{function};
  }();
  return all;
}

struct Guest {
  std::shared_ptr<const runtime::Program> program;
  std::unique_ptr<Process> process;
  explicit Guest(std::shared_ptr<const runtime::Program> of,
                 runtime::MemoryStrategy memory = runtime::MemoryStrategy::guarded)
      : program(std::move(of)) {
    runtime::Options options;
    options.memory = memory;
    options.host = functions();
    process = test::process_of(program, options);
  }
  runtime::Outcome run(runtime::Outcome (*tier)(Process&), const char* name,
                       const std::vector<u64>& arguments) {
    test::prepare(*process, *program->find_export(name, mod::ExternKind::function), arguments);
    return tier(*process);
  }
  // As the interpreter, to the last detail of the trap's trace.
  void same_as_interpreted(const char* name, const std::vector<u64>& arguments) {
    CAPTURE(name);
    CAPTURE(arguments.back());
    const runtime::Outcome outcome = run(jit::run, name, arguments);
    Guest other(program, runtime::MemoryStrategy::checked);
    const runtime::Outcome expected = other.run(interp::run, name, arguments);
    REQUIRE(outcome.kind == expected.kind);
    if (outcome.kind == Kind::trapped) {
      CHECK(outcome.trap == expected.trap);
      const auto frames = process->trace(1000);
      const auto wanted = other.process->trace(1000);
      REQUIRE(frames.size() == wanted.size());
      for (usize i = 0; i < frames.size(); ++i) {
        CHECK(frames[i].name == wanted[i].name);
        CHECK(frames[i].location == wanted[i].location);
      }
    } else {
      CHECK(std::ranges::equal(process->results(), other.process->results()));
    }
    runtime::Memory& memory = *process->instance().memories[0];
    runtime::Memory& like = *other.process->instance().memories[0];
    REQUIRE(memory.size() == like.size());
    CHECK(std::equal(memory.base(), memory.base() + memory.size(), like.base()));
  }
};

constexpr u64 top = u64{1} << 32;

}  // namespace

TEST_CASE("faults: what is outside a guarded memory is a trap, where it is") {
  const auto of = program();
  for (const u64 p : {u64{0}, u64{65535}, u64{65536}, u64{131072}, top / 2, top - 1}) {
    Guest(of).same_as_interpreted("at", {p});
    Guest(of).same_as_interpreted("at", {u64{0xdead'beef} << 32 | p});
  }
  for (const char* name : {"far", "farther"}) {
    for (const u64 p : {u64{0}, top / 2, top - 4, top - 1}) {
      Guest(of).same_as_interpreted(name, {p});
    }
  }
  // Nothing is written of what is partly outside.
  for (const u64 p : {65528, 65529, 65532, 65535, 65536}) {
    Guest(of).same_as_interpreted("put", {p});
  }
  for (const u64 p : {65536, 131068, 131069, 131072}) {
    Guest(of).same_as_interpreted("grown", {p});
  }
  for (const u64 depth : {0, 1, 100, 3000}) {
    Guest(of).same_as_interpreted("deep", {depth, 65533});
    Guest(of).same_as_interpreted("deep", {depth, 65532});
  }
}

TEST_CASE("faults: in several threads at once") {
  const auto of = program();
  std::vector<std::thread> threads;
  std::atomic<int> traps{0};
  std::atomic<int> others{0};
  for (u64 i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (u64 n = 0; n < 200; ++n) {
        Guest guest(of);
        const runtime::Outcome outcome = guest.run(jit::run, "deep", {n, 65536 + 4096 * i});
        const bool is_right =
            outcome.kind == Kind::trapped && outcome.trap == runtime::Trap::memory_bounds;
        ++(is_right ? traps : others);
      }
    });
  }
  for (std::thread& each : threads) each.join();
  CHECK(traps.load() == 800);
  CHECK(others.load() == 0);
}

TEST_CASE("faults: one of the host, and signals from outside, go where they went before") {
  const auto of = program();
  Guest guest(of);
  CHECK(guest.run(jit::run, "host", {0}).kind == Kind::finished);
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const pid_t child = fork();
  if (child == 0) {
    // The code is compiled: a child can go on executing it.
    dup2(ends[1], 2);
    crashes = true;
    guest.run(jit::run, "host", {0});
    _exit(0);
  }
  REQUIRE(child > 0);
  close(ends[1]);
  std::string told;
  char part[512];
  for (ssize_t n = 0; (n = read(ends[0], part, sizeof part)) > 0;) {
    told.append(part, static_cast<usize>(n));
  }
  close(ends[0]);
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  // This program's own handler, or a sanitizer's.
  CHECK((WIFSIGNALED(status) || WEXITSTATUS(status) != 0));
  CHECK(told.size() > 10);
}

}  // namespace atollvm
