// Host functions that call the guest that waits for them.
#include <doctest/doctest.h>

#include <atoll/module.hpp>
#include <atoll/process.hpp>

#include <atomic>
#include <chrono>
#include <cstring>
#include <optional>
#include <thread>

#include "tests/support/engine.hpp"

using namespace atollvm;

namespace {

using Number = std::int32_t;

// A guest whose `f` calls the host; what it has in registers must be there when it comes back.
constexpr const char* source = R"(
use std.sys
import func host(x: i32) -> i32 from "h" "host"
memory 1 .. 100 pages
export func f(x: i32) -> i32 {
    var before: i32, r: i32
    i32.mul before, x, 1000
    call host(x) -> r
    ret (i32.add before, r)
}
export func square(x: i32) -> i32 { ret (i32.mul x, x) }
export func trap(x: i32) -> i32 { unreachable }
export func forever(x: i32) -> i32 {
    loop { }
}
export func leave(x: i32) -> i32 {
    call exit(x)
    ret 0
}
export func sleep(x: i32) -> i32 {
    var r: i32
    call clock_sleep(1_000_000) -> r
    ret (i32.add x, r)
}
export func deep(n: i32) -> i32 {
    var r: i32
    if i32.eq n, 0 { ret 0 }
    call deep((i32.sub n, 1)) -> r
    ret (i32.add r, 1)
}
export func then_deep(n: i32) -> i32 {
    var r: i32
    call host(n) -> r
    call deep(n) -> r
    ret r
}
export func alloc(size: i32) -> i32 {
    var old: i32
    memory.grow old, 20
    ret (i32.shl old, 16)
}
)";

Process started(ProcessOptions options, const Imports& imports) {
  options.imports = imports;
  const Engine engine(test::engine_options());
  auto module = Module::assemble(engine, {"guest.atoll", source}, no_source_files);
  REQUIRE_MESSAGE(module.ok(), (module.ok() ? "" : module.error().text()));
  auto process = Process::create(engine, *module, options);
  REQUIRE_MESSAGE(process.ok(), (process.ok() ? "" : process.error().text()));
  return *std::move(process);
}

// `host` calls the export `name` with its argument, and gives its result or traps with its error.
Process calling(const std::string& name, const ProcessOptions& options = {}) {
  Imports imports;
  imports.define("h", "host", [name](Caller& caller, Number x) -> Result<Number> {
    const auto function = caller.function<Number(Number)>(name);
    if (!function) return function.error();
    return (*function)(x);
  });
  return started(options, imports);
}

Result<Number> f(Process& process, Number x) { return (*process.function<Number(Number)>("f"))(x); }

}  // namespace

TEST_CASE("a host function calls its guest") {
  Process process = calling("square");
  for (Number x = 0; x < 5; ++x) {
    const auto result = f(process, x);
    REQUIRE(result.ok());
    CHECK(*result == 1000 * x + x * x);
  }
  // The untyped way does the same.
  const Value argument{ValueType::i32, 7};
  REQUIRE(process.call("f", {&argument, 1}).ok());
  CHECK(process.results()[0].bits == 7049);
}

TEST_CASE("nested calls: no such function, another type") {
  Process missing = calling("nothing");
  CHECK_FALSE(f(missing, 1).ok());
  CHECK(missing.outcome().message.find("exports no such function") != std::string::npos);
  Imports imports;
  imports.define("h", "host", [](Caller& caller, Number) -> Result<Number> {
    const auto function = caller.function<void()>("square");
    REQUIRE_FALSE(function.ok());
    CHECK(function.error().code == ErrorCode::usage);
    return 1;
  });
  Process process = started({}, imports);
  CHECK(*f(process, 1) == 1001);
}

TEST_CASE("nested calls go so deep, and no deeper") {
  int depth = 0;
  std::string refusal;
  Imports imports;
  imports.define("h", "host", [&](Caller& caller, Number x) -> Result<Number> {
    ++depth;
    const auto again = caller.function<Number(Number)>("f");
    const auto result = (*again)(x + 1);
    if (!result) {
      CHECK(result.error().code == ErrorCode::usage);
      refusal = result.error().text();
      return x;
    }
    return *result;
  });
  Process process = started({}, imports);
  const auto result = f(process, 1);
  REQUIRE(result.ok());
  CHECK(depth == 65);
  CHECK(*result == 1000 * (65 * 66 / 2) + 65);
  CHECK(refusal.find("too many") != std::string::npos);
}

TEST_CASE("after a nested call a recursion is as deep as the guest's stack allows") {
  ProcessOptions options;
  options.limits.stack_bytes = std::uint64_t{1} << 28;
  Process process = calling("square", options);
  const auto result = (*process.function<Number(Number)>("then_deep"))(3'000'000);
  REQUIRE_MESSAGE(result.ok(), result.error().text());
  CHECK(*result == 3'000'000);
}

TEST_CASE("a nested call may need a larger stack, within the limit of both") {
  ProcessOptions options;
  options.limits.stack_bytes = 64 << 10;
  Process process = calling("deep", options);
  CHECK(*f(process, 300) == 300'300);
  CHECK(process.stats().stack_bytes <= 2 * options.limits.stack_bytes);
  const auto overflow = f(process, 100'000);
  REQUIRE_FALSE(overflow.ok());
  CHECK(process.outcome().message.find(to_text(Trap::stack_overflow)) != std::string::npos);
}

TEST_CASE("a nested call grows the memory; the guest that waits sees it") {
  Imports imports;
  imports.define("h", "host", [](Caller& caller, Number x) -> Result<Number> {
    const auto place = (*caller.function<Number(Number)>("alloc"))(4);
    if (!place) return place.error();
    const auto bytes = caller.memory().bytes(static_cast<std::uint32_t>(*place), 4);
    REQUIRE(bytes);
    std::memcpy(bytes->data(), &x, 4);
    return *place;
  });
  Process process = started({}, imports);
  const auto place = f(process, 0);
  REQUIRE(place.ok());
  CHECK(*place == 65536);
  CHECK(*f(process, 77) == 77'000 + 65536 * 21);
  CHECK(process.memory().load<Number>(65536u * 21) == 77);
}

TEST_CASE("a trap in a nested call is an error, and the guest that waits goes on") {
  std::optional<Outcome> inner;
  Process* running = nullptr;
  Imports imports;
  imports.define("h", "host", [&](Caller& caller, Number x) -> Number {
    const auto result = (*caller.function<Number(Number)>("trap"))(x);
    REQUIRE_FALSE(result.ok());
    CHECK(result.error().code == ErrorCode::trapped);
    inner = running->outcome();
    return 5;
  });
  Process process = started({}, imports);
  running = &process;
  CHECK(*f(process, 2) == 2005);
  REQUIRE(inner);
  CHECK(inner->kind == Outcome::Kind::trapped);
  CHECK(to_text(inner->trap) == to_text(Trap::unreachable));
  // The stack of both.
  REQUIRE(inner->trace.size() == 2);
  CHECK(inner->trace[0].name == "trap");
  CHECK(inner->trace[1].name == "f");
  CHECK(inner->trace[1].location == "guest.atoll:8:5");
  CHECK(process.outcome().kind == Outcome::Kind::returned);
  CHECK(*f(process, 3) == 3005);
}

TEST_CASE("a guest that ends itself in a nested call ends when the host function returns") {
  bool came_back = false;
  Imports imports;
  imports.define("h", "host", [&](Caller& caller, Number x) -> Number {
    const auto result = (*caller.function<Number(Number)>("leave"))(x);
    CHECK_FALSE(result.ok());
    came_back = true;
    return 5;
  });
  Process process = started({}, imports);
  CHECK_FALSE(f(process, 42).ok());
  CHECK(came_back);
  CHECK(process.outcome().kind == Outcome::Kind::exited);
  CHECK(process.outcome().exit_code == 42);
  CHECK_FALSE(f(process, 1).ok());
}

TEST_CASE("the time limit and interrupts stop a nested call and the one that waits") {
  std::atomic<int> turns{0};
  std::atomic<bool> inside{false};
  Imports imports;
  imports.define("h", "host", [&](Caller& caller, Number x) -> Number {
    inside = true;
    // However stubborn the host function is.
    for (int i = 0; i < 3; ++i) {
      CHECK_FALSE((*caller.function<Number(Number)>("forever"))(x).ok());
      ++turns;
    }
    return 1;
  });
  ProcessOptions options;
  // On a loaded machine a short limit may end before the guest has called.
  for (int limit = 20; !inside; limit *= 4) {
    options.limits.time = std::chrono::milliseconds(limit);
    Process timed = started(options, imports);
    CHECK_FALSE(f(timed, 1).ok());
    CHECK(timed.outcome().kind == Outcome::Kind::time_limit);
  }
  CHECK(turns == 3);
  inside = false;
  Process stopped = started({}, imports);
  std::thread other([&] {
    while (!inside) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    stopped.interrupt();
  });
  CHECK_FALSE(f(stopped, 1).ok());
  other.join();
  CHECK(stopped.outcome().kind == Outcome::Kind::interrupted);
  CHECK(turns == 6);
}

TEST_CASE("fuel is of one account: where a nested call runs out, so does the one that waits") {
  ProcessOptions options;
  options.limits.fuel = 10'000;
  Process process = calling("square", options);
  REQUIRE(f(process, 1).ok());
  const auto used = process.stats().fuel_used;
  CHECK(*used >= 6);
  CHECK(*used < 20);
  Imports imports;
  imports.define("h", "host", [](Caller& caller, Number x) -> Number {
    CHECK_FALSE((*caller.function<Number(Number)>("forever"))(x).ok());
    return 5;
  });
  Process endless = started(options, imports);
  CHECK_FALSE(f(endless, 2).ok());
  CHECK(endless.outcome().kind == Outcome::Kind::out_of_fuel);
  // It goes on behind the host call.
  endless.add_fuel(10'000);
  CHECK(*f(endless, 2) == 2005);
}

TEST_CASE("a nested call may wait, also for the program's own Deferred") {
  Process sleeping = calling("sleep");
  CHECK(*f(sleeping, 3) == 3003);
  std::thread worker;
  Imports imports;
  imports.define("h", "host", [&](Caller& caller, Number x) -> Deferred<Number> {
    // The inner one of two completes at once, the outer one from another thread.
    if (x > 100) {
      const auto later = caller.defer<Number>();
      later.complete(x);
      return later;
    }
    const auto inner = (*caller.function<Number(Number)>("f"))(x + 100);
    REQUIRE(inner.ok());
    const auto later = caller.defer<Number>();
    worker = std::thread([later, value = *inner] { later.complete(value); });
    return later;
  });
  Process process = started({}, imports);
  CHECK(*f(process, 1) == 1000 + 101'000 + 101);
  worker.join();
}

TEST_CASE("a host function that asked for a Deferred can't call any more; what completes it can") {
  Imports imports;
  imports.define("h", "host", [](Caller& caller, Number x) -> Deferred<Number> {
    const auto later = caller.defer<Number>();
    const auto refused = (*caller.function<Number(Number)>("square"))(x);
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().code == ErrorCode::usage);
    later.complete_with([x](Caller& at_end) -> Result<Number> {
      const auto square = at_end.function<Number(Number)>("square");
      if (!square) return square.error();
      return (*square)(x);
    });
    return later;
  });
  Process process = started({}, imports);
  CHECK(*f(process, 9) == 9081);
}

TEST_CASE("run() can't be nested") {
  Process* running = nullptr;
  Imports imports;
  imports.define("h", "host", [&](Number) -> Number {
    const auto whole = running->run();
    REQUIRE_FALSE(whole.ok());
    CHECK(whole.error().code == ErrorCode::usage);
    return 1;
  });
  Process process = started({}, imports);
  running = &process;
  CHECK(*f(process, 1) == 1001);
}
