// Host functions of an embedding program: types, hostile arguments, objects, calls that complete
// later, and what guests and hosts do wrong.
#include <doctest/doctest.h>

#include <atoll/module.hpp>
#include <atoll/process.hpp>

#include <cfenv>
#include <chrono>
#include <limits>
#include <stdexcept>
#include <thread>

#include "tests/support/engine.hpp"

using namespace atollvm;

namespace {

Result<Process> start(const std::string& source, ProcessOptions options) {
  const Engine engine(test::engine_options());
  auto module = Module::assemble(engine, {"guest.atoll", source}, no_source_files);
  REQUIRE_MESSAGE(module.ok(), (module.ok() ? "" : module.error().text()));
  return Process::create(engine, *module, options);
}
Process started(const std::string& source, const Imports& imports) {
  ProcessOptions options;
  options.imports = imports;
  auto process = start(source, options);
  REQUIRE_MESSAGE(process.ok(), (process.ok() ? "" : process.error().text()));
  return *std::move(process);
}

// Runs the exported function `f` of type () -> ().
Outcome run(Process& process) {
  auto outcome = process.call("f", {});
  REQUIRE_MESSAGE(outcome.ok(), (outcome.ok() ? "" : outcome.error().text()));
  return *outcome;
}
bool traps(Process& process, Trap trap, const std::string& message = "") {
  const Outcome outcome = run(process);
  CHECK(outcome.kind == Outcome::Kind::trapped);
  CHECK(to_text(outcome.trap) == to_text(trap));
  CHECK(outcome.message == message);
  return outcome.kind == Outcome::Kind::trapped && outcome.trap == trap;
}

struct Counter : HostObject {
  explicit Counter(int* alive_count) : alive(alive_count) { ++*alive; }
  ~Counter() override { --*alive; }
  int value = 0;
  int* alive;
};
struct Other : HostObject {};

}  // namespace

TEST_CASE("numbers of every type go both ways") {
  Imports imports;
  imports.define("h", "i32", [](std::int32_t x) { return x - 1; })
      .define("h", "u32", [](std::uint32_t x) { return x / 2; })
      .define("h", "i64", [](std::int64_t x) { return x - 1; })
      .define("h", "u64", [](std::uint64_t x) { return x / 2; })
      .define("h", "f32", [](float x) { return x / 2; })
      .define("h", "f64", [](double x) { return x / 2; })
      .define("h", "bool", [](bool x) { return !x; })
      .define("h", "pair", [](std::int32_t a, double b) { return std::tuple(b, a); });
  Process process = started(R"(
import func i32_(x: i32) -> i32 from "h" "i32"
import func u32_(x: i32) -> i32 from "h" "u32"
import func i64_(x: i64) -> i64 from "h" "i64"
import func u64_(x: i64) -> i64 from "h" "u64"
import func f32_(x: f32) -> f32 from "h" "f32"
import func f64_(x: f64) -> f64 from "h" "f64"
import func bool_(x: i32) -> i32 from "h" "bool"
import func pair_(a: i32, b: f64) -> f64, i32 from "h" "pair"
export func a(x: i32) -> i32 { ret (call i32_(x)) }
export func b(x: i32) -> i32 { ret (call u32_(x)) }
export func c(x: i64) -> i64 { ret (call i64_(x)) }
export func d(x: i64) -> i64 { ret (call u64_(x)) }
export func e(x: f32) -> f32 { ret (call f32_(x)) }
export func g(x: f64) -> f64 { ret (call f64_(x)) }
export func h(x: i32) -> i32 { ret (call bool_(x)) }
export func i(x: i32, y: f64) -> f64, i32 {
    var p: f64, q: i32
    call pair_(x, y) -> p, q
    ret p, q
}
)",
                            imports);
  using Low = std::numeric_limits<std::int32_t>;
  CHECK(*(*process.function<std::int32_t(std::int32_t)>("a"))(Low::min() + 1) == Low::min());
  CHECK(*(*process.function<std::uint32_t(std::uint32_t)>("b"))(0xffff'fffe) == 0x7fff'ffff);
  CHECK(*(*process.function<std::int64_t(std::int64_t)>("c"))(0) == -1);
  CHECK(*(*process.function<std::uint64_t(std::uint64_t)>("d"))(~std::uint64_t{0}) ==
        ~std::uint64_t{0} / 2);
  CHECK(*(*process.function<float(float)>("e"))(-3) == -1.5f);
  CHECK(*(*process.function<double(double)>("g"))(1e300) == 5e299);
  const auto flip = process.function<bool(bool)>("h");
  CHECK(*(*flip)(false) == true);
  CHECK(*(*flip)(true) == false);
  const auto pair = process.function<std::tuple<double, std::int32_t>(std::int32_t, double)>("i");
  REQUIRE(pair.ok());
  const auto swapped = (*pair)(-7, 0.25);
  REQUIRE(swapped.ok());
  CHECK(*swapped == std::tuple(0.25, -7));
}

TEST_CASE("a function of another type is refused, with both types") {
  Process process = started("export func f(a: i32, b: f64) -> i64 { ret 1 }\n", {});
  const auto wrong = process.function<std::int64_t(std::int32_t, float)>("f");
  REQUIRE_FALSE(wrong.ok());
  CHECK(wrong.error().code == ErrorCode::usage);
  CHECK(wrong.error().text() == "f: is of type (i32, f64) -> i64, not (i32, f32) -> i64");
  const auto missing = process.function<void()>("g");
  REQUIRE_FALSE(missing.ok());
  CHECK(missing.error().code == ErrorCode::not_found);
}

TEST_CASE("an import of another type than the function's is refused") {
  ProcessOptions options;
  options.imports.define("h", "f", [](std::int64_t) {});
  auto process = start(
      "import func g(x: i32) from \"h\" \"f\"\nexport func f() { call g(1); ret }\n", options);
  REQUIRE_FALSE(process.ok());
  CHECK(process.error().code == ErrorCode::invalid);
  CHECK(process.error().message.find("(i64)") != std::string::npos);
}

TEST_CASE("bytes of the guest's memory: inside, at its edges, and lying addresses and lengths") {
  std::string heard;
  Imports imports;
  imports.define("h", "say", [&](std::string_view text) { heard = text; })
      .define("h", "fill", [](std::span<std::uint8_t> bytes) {
        for (std::uint8_t& each : bytes) each = 'x';
      });
  const std::string source = R"(
import func say(p: i32, n: i32) from "h" "say"
import func fill(p: i32, n: i32) from "h" "fill"
memory 1 pages
data text = "hello"
export func say_it(p: i32, n: i32) { call say(p, n); ret }
export func fill_it(p: i32, n: i32) { call fill(p, n); ret }
export func where() -> i32 { ret text }
)";
  using Call = void(std::uint32_t, std::uint32_t);
  {
    Process process = started(source, imports);
    const auto say = process.function<Call>("say_it");
    const auto where = *process.function<std::uint32_t()>("where");
    const std::uint32_t text = *where();
    CHECK((*say)(text, 5).ok());
    CHECK(heard == "hello");
    CHECK((*say)(text, 0).ok());
    CHECK(heard.empty());
    CHECK((*say)(0, 65536).ok());
    CHECK(heard.size() == 65536);
    CHECK((*say)(65536, 0).ok());
    CHECK((*process.function<Call>("fill_it"))(text + 1, 3).ok());
    CHECK(process.memory().text(text, 5) == "hxxxo");
  }
  constexpr std::uint32_t all = ~std::uint32_t{0};
  constexpr std::pair<std::uint32_t, std::uint32_t> lies[] = {
      {65536, 1}, {0, 65537}, {65535, 2}, {all, 1}, {all, all}, {1, all}, {65537, 0}};
  for (const auto& [address, length] : lies) {
    CAPTURE(address);
    CAPTURE(length);
    for (const char* name : {"say_it", "fill_it"}) {
      Process process = started(source, imports);
      const auto result = (*process.function<Call>(name))(address, length);
      REQUIRE_FALSE(result.ok());
      CHECK(result.error().code == ErrorCode::trapped);
      CHECK(process.outcome().trap == Trap::memory_bounds);
      // It has ended.
      const auto again = (*process.function<Call>(name))(0, 0);
      REQUIRE_FALSE(again.ok());
      CHECK(again.error().code == ErrorCode::usage);
    }
  }
}

TEST_CASE("without a memory, only no bytes are inside") {
  Imports imports;
  imports.define("h", "say", [](std::string_view text) { CHECK(text.empty()); });
  Process process = started(
      "import func say(p: i32, n: i32) from \"h\" \"say\"\n"
      "export func f() { call say(0, 0); call say(0, 1); ret }\n",
      imports);
  CHECK(process.memory().size() == 0);
  CHECK(process.memory().bytes(0, 0).has_value());
  CHECK_FALSE(process.memory().bytes(0, 1).has_value());
  CHECK(traps(process, Trap::memory_bounds));
}

TEST_CASE("Memory: numbers at any place, and nothing beyond the end") {
  Process process = started("memory 100\nexport func f() { ret }\n", {});
  const Memory memory = process.memory();
  CHECK(memory.size() == 100);
  CHECK(memory.store(93, std::uint32_t{0x01020304}));
  CHECK(memory.load<std::uint32_t>(93) == 0x01020304);
  CHECK(memory.load<std::uint8_t>(93) == 4);
  CHECK_FALSE(memory.store(97, std::uint32_t{1}));
  CHECK(memory.load<std::uint8_t>(97).value() == 0);
  CHECK_FALSE(memory.load<std::uint32_t>(97).has_value());
  CHECK_FALSE(memory.load<std::uint64_t>(~std::uint64_t{0}).has_value());
  CHECK(memory.write(95, "abcde"));
  CHECK_FALSE(memory.write(96, "abcde"));
  CHECK(memory.text(95, 5) == "abcde");
}

TEST_CASE("what host functions say and throw traps with its message") {
  Imports imports;
  imports.define("h", "fail", [](Caller& caller) { return caller.fail("out of paper"); })
      .define("h", "error",
              []() -> Result<std::int32_t> {
                return Error{ErrorCode::denied, "printer", "out of ink"};
              })
      .define("h", "throw", []() { throw std::runtime_error("on fire"); })
      .define("h", "throw_int", []() { throw 7; })
      .define("h", "bad_alloc", []() { throw std::bad_alloc(); })
      .define("h", "exit", []() { return HostResult::exited(7); })
      .define("h", "trap", []() { return HostResult::trapped(Trap::divide_by_zero); });
  const auto with = [&](const std::string& name, const std::string& type) {
    return started("import func g()" + type + " from \"h\" \"" + name +
                       "\"\nexport func f() { call g(); ret }\n",
                   imports);
  };
  Process fail = with("fail", "");
  CHECK(traps(fail, Trap::host_error, "out of paper"));
  Process error = with("error", " -> i32");
  CHECK(traps(error, Trap::host_error, "printer: out of ink"));
  Process thrown = with("throw", "");
  CHECK(traps(thrown, Trap::host_error, "on fire"));
  Process number = with("throw_int", "");
  CHECK(traps(number, Trap::host_error));
  Process memory = with("bad_alloc", "");
  CHECK(traps(memory, Trap::out_of_memory));
  Process trap = with("trap", "");
  CHECK(traps(trap, Trap::divide_by_zero));
  Process ended = with("exit", "");
  const Outcome outcome = run(ended);
  CHECK(outcome.kind == Outcome::Kind::exited);
  CHECK(outcome.exit_code == 7);
  CHECK_FALSE(ended.call("f", {}).ok());
}

TEST_CASE("another process may be called from a host function") {
  Process inner = started("export func f(x: i32) -> i32 { ret (i32.mul x, x) }\n", {});
  const auto square = *inner.function<std::int32_t(std::int32_t)>("f");
  Imports imports;
  imports.define("h", "square", [&](std::int32_t x) { return square(x); });
  Process outer = started(
      "import func square(x: i32) -> i32 from \"h\" \"square\"\n"
      "export func f(x: i32) -> i32 { ret (call square(x)) }\n",
      imports);
  CHECK(*(*outer.function<std::int32_t(std::int32_t)>("f"))(12) == 144);
}

TEST_CASE("objects: handles, types, closing, revoking, and when they die") {
  int alive = 0;
  {
    Imports imports;
    imports
        .define("h", "make",
                [&](Caller& caller) { return caller.insert(std::make_shared<Counter>(&alive)); })
        .define("h", "other",
                [](Caller& caller) { return caller.insert(std::make_shared<Other>()); })
        .define("h", "next", [](std::shared_ptr<Counter> counter) { return ++counter->value; })
        .define("h", "is",
                [](Caller& caller, std::uint32_t handle) {
                  return caller.object<Counter>(handle) != nullptr;
                })
        .define("h", "close",
                [](Caller& caller, std::uint32_t handle) { return caller.close(handle); });
    const std::string source = R"(
import func make() -> i32 from "h" "make"
import func other() -> i32 from "h" "other"
import func next(h: i32) -> i32 from "h" "next"
import func is(h: i32) -> i32 from "h" "is"
import func close_(h: i32) -> i32 from "h" "close"
export func g_make() -> i32 { ret (call make()) }
export func g_other() -> i32 { ret (call other()) }
export func g_next(h: i32) -> i32 { ret (call next(h)) }
export func g_is(h: i32) -> i32 { ret (call is(h)) }
export func g_close(h: i32) -> i32 { ret (call close_(h)) }
)";
    using Call = std::uint32_t(std::uint32_t);
    Process process = started(source, imports);
    const auto make = *process.function<std::uint32_t()>("g_make");
    const auto other = *process.function<std::uint32_t()>("g_other");
    const auto next = *process.function<Call>("g_next");
    const auto is = *process.function<Call>("g_is");
    const auto close = *process.function<Call>("g_close");
    const std::uint32_t first = *make();
    const std::uint32_t second = *make();
    CHECK(first != second);
    CHECK(alive == 2);
    CHECK(*next(first) == 1);
    CHECK(*next(first) == 2);
    CHECK(*next(second) == 1);
    CHECK(*is(*other()) == 0);
    // The standard streams are no objects of the host's.
    for (std::uint32_t handle : {0u, 1u, 2u, 3u, 999u, ~0u}) {
      CHECK(*is(handle) == 0);
      CHECK(*close(handle) == 0);
    }
    CHECK(*close(first) == 1);
    CHECK(*close(first) == 0);
    CHECK(alive == 1);
    const auto granted = std::make_shared<Counter>(&alive);
    const std::uint32_t third = *process.insert(granted);
    CHECK(third == first);  // the lowest that is free
    CHECK(*next(third) == 1);
    CHECK(granted->value == 1);
    CHECK(process.revoke(granted) == 1);
    CHECK(process.revoke(granted) == 0);
    CHECK(process.revoke(nullptr) == 0);
    CHECK(*is(third) == 0);
    CHECK(*is(second) == 1);
    const auto refused = next(third);
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().code == ErrorCode::trapped);
    CHECK(process.outcome().message.find("names no object") != std::string::npos);
    CHECK_FALSE(process.insert(nullptr).ok());
  }
  CHECK(alive == 0);
}

TEST_CASE("a guest has as many objects as its limit of handles says") {
  int alive = 0;
  ProcessOptions options;
  options.limits.handles = 10;
  options.imports.define("h", "make", [&](Caller& caller) {
    return caller.insert(std::make_shared<Counter>(&alive));
  });
  auto process = start(
      "import func make() -> i32 from \"h\" \"make\"\n"
      "export func f() {\n var x: i32\n loop { call make() -> x }\n }\n",
      options);
  REQUIRE(process.ok());
  const Outcome outcome = run(*process);
  CHECK(outcome.trap == Trap::host_error);
  CHECK(outcome.message.find("as many handles") != std::string::npos);
  CHECK(alive == 10 - 4);  // four are Atoll's own
}

TEST_CASE("a call that completes later, from another thread") {
  Imports imports;
  std::thread worker;
  imports.define("h", "slow", [&](Caller& caller, std::int32_t x) {
    auto later = caller.defer<std::int32_t>();
    worker = std::thread([later, x] {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      later.complete(x * 2);
      later.complete(-1);  // does nothing
      later.fail("nor this");
    });
    return later;
  });
  Process process = started(
      "import func slow(x: i32) -> i32 from \"h\" \"slow\"\n"
      "export func f(x: i32) -> i32 { ret (call slow(x)) }\n",
      imports);
  const auto f = *process.function<std::int32_t(std::int32_t)>("f");
  for (std::int32_t x : {21, 4}) {
    const auto result = f(x);
    worker.join();
    REQUIRE(result.ok());
    CHECK(*result == x * 2);
  }
}

TEST_CASE("a call that completes before its function returns, with memory, or fails") {
  Imports imports;
  imports
      .define("h", "at_once",
              [](Caller& caller) {
                auto later = caller.defer<std::int64_t>();
                later.complete(std::int64_t{1} << 40);
                return later;
              })
      .define("h", "read",
              [](Caller& caller, std::uint32_t to) {
                auto later = caller.defer<std::uint32_t>();
                later.complete_with([to](Caller& then) -> Result<std::uint32_t> {
                  if (!then.memory().write(to, "data")) {
                    return Error{ErrorCode::invalid, "", "no room"};
                  }
                  return 4u;
                });
                return later;
              })
      .define("h", "nothing",
              [](Caller& caller) {
                auto later = caller.defer<void>();
                later.complete();
                return later;
              })
      .define("h", "fail", [](Caller& caller) {
        auto later = caller.defer<void>();
        later.fail("gave up");
        return later;
      });
  const std::string source = R"(
import func at_once() -> i64 from "h" "at_once"
import func read(to: i32) -> i32 from "h" "read"
import func nothing() from "h" "nothing"
import func fail() from "h" "fail"
memory 100
export func a() -> i64 { call nothing(); ret (call at_once()) }
export func b(to: i32) -> i32 { ret (call read(to)) }
export func f() { call fail(); ret }
)";
  Process process = started(source, imports);
  CHECK(*(*process.function<std::int64_t()>("a"))() == std::int64_t{1} << 40);
  const auto b = *process.function<std::uint32_t(std::uint32_t)>("b");
  CHECK(*b(96) == 4);
  CHECK(process.memory().text(96, 4) == "data");
  REQUIRE_FALSE(b(97).ok());
  CHECK(process.outcome().message == "no room");
  Process failing = started(source, imports);
  CHECK(traps(failing, Trap::host_error, "gave up"));
}

TEST_CASE("a guest that waits forever is interrupted and timed out, and its call canceled") {
  int canceled = 0;
  ProcessOptions options;
  options.limits.time = std::chrono::milliseconds(20);
  std::optional<Deferred<std::int32_t>> kept;
  options.imports.define("h", "never", [&](Caller& caller) {
    kept = caller.defer<std::int32_t>([&] { ++canceled; });
    return *kept;
  });
  {
    auto process = start(
        "import func never() -> i32 from \"h\" \"never\"\n"
        "export func f() {\n var r: i32\n call never() -> r\n ret\n }\n",
        options);
    REQUIRE(process.ok());
    const Outcome outcome = run(*process);
    CHECK(outcome.kind == Outcome::Kind::time_limit);
    CHECK(canceled == 1);
    kept->complete(5);  // too late, and harmless
  }
  kept->complete(6);  // also when the process is gone
  CHECK(canceled == 1);
}

TEST_CASE(
    "HostResult::pending without a Deferred traps; a Deferred that is not given back is void") {
  Imports imports;
  imports.define("h", "lie", []() { return HostResult::pending(); })
      .define("h", "drop", [](Caller& caller) {
        const auto later = caller.defer<std::int32_t>();
        later.complete(1);
        return std::int32_t{2};
      });
  Process lying = started(
      "import func lie() from \"h\" \"lie\"\nexport func f() { call lie(); ret }\n", imports);
  CHECK(traps(lying, Trap::host_error));
  Process dropping = started(
      "import func drop() -> i32 from \"h\" \"drop\"\n"
      "export func g() -> i32 { ret (call drop()) }\n",
      imports);
  const auto g = *dropping.function<std::int32_t()>("g");
  CHECK(*g() == 2);
  CHECK(*g() == 2);
}

TEST_CASE("globals by their names") {
  Process process = started(R"(
export global counter: mut i32 = 5
export global pi: f64 = 3.25
export func bump() { global.set counter, (i32.add (global.get counter), 1); ret }
)",
                            {});
  CHECK(process.global("counter")->bits == 5);
  CHECK(process.set_global("counter", {ValueType::i32, 41}).ok());
  CHECK((*process.function<void()>("bump"))().ok());
  CHECK(process.global("counter")->bits == 42);
  CHECK(process.global("pi")->type == ValueType::f64);
  CHECK_FALSE(process.set_global("pi", {ValueType::f64, 0}).ok());
  CHECK_FALSE(process.set_global("counter", {ValueType::i64, 0}).ok());
  CHECK_FALSE(process.global("nothing").ok());
  CHECK(process.set_global("nothing", {}).error().code == ErrorCode::not_found);
}

TEST_CASE("fuel: a typed call that runs out of it goes on after more") {
  ProcessOptions options;
  options.limits.fuel = 1000;
  auto process = start(
      "export func f(n: i32) -> i32 {\n var s: i32\n for i: i32 in 0 .. n { i32.add s, s, i }\n"
      " ret s }\n",
      options);
  REQUIRE(process.ok());
  const auto f = *process->function<std::int32_t(std::int32_t)>("f");
  CHECK(*f(10) == 45);
  auto result = f(10'000);
  int rounds = 0;
  while (!result.ok() && process->outcome().kind == Outcome::Kind::out_of_fuel) {
    process->add_fuel(1000);
    result = f(10'000);
    ++rounds;
  }
  REQUIRE(result.ok());
  CHECK(*result == 49'995'000);
  CHECK(rounds > 5);
}

TEST_CASE("a function of the program takes the place of one of Atoll's own") {
  std::vector<std::uint32_t> codes;
  Imports imports;
  imports.define("atoll", "exit", [&](std::uint32_t code) { codes.push_back(code); });
  Process process = started(
      "import func exit(code: i32) from \"atoll\" \"exit\"\nexport func f() { call exit(3); ret "
      "}\n",
      imports);
  CHECK(run(process).kind == Outcome::Kind::returned);
  CHECK(codes == std::vector<std::uint32_t>{3});
}

TEST_CASE("sets of functions: the last definition counts, copies keep theirs") {
  Imports first;
  first.define("h", "x", [] { return 1; });
  Imports second = first;
  second.define("h", "x", [] { return 2; });
  const std::string source =
      "import func x() -> i32 from \"h\" \"x\"\nexport func f() -> i32 { ret (call x()) }\n";
  Process a = started(source, first);
  Process b = started(source, second);
  CHECK(*(*a.function<int()>("f"))() == 1);
  CHECK(*(*b.function<int()>("f"))() == 2);
}

TEST_CASE("the host's floating-point mode does not reach guests, nor theirs the host") {
  Process process = started("export func f(a: f64, b: f64) -> f64 { ret (f64.div a, b) }\n", {});
  const auto f = *process.function<double(double, double)>("f");
  const double nearest = 1.0 / 3.0;
  std::fesetround(FE_UPWARD);
  const auto third = f(1, 3);
  const int after = std::fegetround();
  std::fesetround(FE_TONEAREST);
  CHECK(*third == nearest);
  CHECK(after == FE_UPWARD);
}

TEST_CASE("the program looks up and closes handles that a guest gives it") {
  int alive = 0;
  Imports imports;
  imports.define("h", "make", [&alive](Caller& caller) -> Result<std::uint32_t> {
    return caller.insert(std::make_shared<Counter>(&alive));
  });
  Process process = started(R"(
import func make_() -> i32 from "h" "make"
export func make() -> i32 { ret (call make_()) }
)",
                            imports);
  const auto make = process.function<std::uint32_t()>("make");
  REQUIRE(make.ok());
  const std::uint32_t handle = *(*make)();
  CHECK(alive == 1);
  REQUIRE(process.object<Counter>(handle) != nullptr);
  CHECK(process.object<Other>(handle) == nullptr);
  CHECK(process.object<Counter>(handle + 1) == nullptr);
  CHECK(process.object<Counter>(0) == nullptr);  // a standard stream's, if it had one
  CHECK(process.close(handle));
  CHECK(alive == 0);
  CHECK(process.object<Counter>(handle) == nullptr);
  CHECK_FALSE(process.close(handle));
  CHECK_FALSE(process.close(0xffff'ffff));
  CHECK(*(*make)() == handle);  // the number is free again
}

TEST_CASE("an object is taken away from a guest that made handles of its handle") {
  int alive = 0;
  Imports imports;
  imports.define("h", "value", [](const std::shared_ptr<Counter>& counter) {
    return static_cast<std::uint32_t>(counter->value);
  });
  Process process = started(
      "use std.sys\n"
      "import func value(h: i32) -> i32 from \"h\" \"value\"\n"
      "export func get(h: i32) -> i32 { ret (call value(h)) }\n"
      "export func hide(h: i32) -> i32 {\n"
      "    var copy: i32, r: i32\n"
      "    call handle_attenuate(h, 0) -> copy\n"
      "    call close(h) -> r\n"
      "    ret copy\n"
      "}\n",
      imports);
  using Call = std::uint32_t(std::uint32_t);
  const auto get = *process.function<Call>("get");
  const auto hide = *process.function<Call>("hide");
  auto counter = std::make_shared<Counter>(&alive);
  const auto other = std::make_shared<Counter>(&alive);
  counter->value = 7;
  other->value = 8;
  const std::uint32_t kept = *process.insert(other);
  const std::uint32_t hidden = *hide(*process.insert(counter));
  const std::uint32_t second = *process.insert(counter);
  CHECK(*get(hidden) == 7);
  CHECK(process.revoke(counter) == 2);
  counter.reset();
  CHECK(alive == 1);
  CHECK(process.object(hidden) == nullptr);
  CHECK(process.object(second) == nullptr);
  CHECK(*get(kept) == 8);
  CHECK_FALSE(get(hidden).ok());
}
