// Values, and functions of a guest that are called one by one, through the C++ API.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <limits>
#include <string>

#include <atoll/process.hpp>

#include "tests/support/engine.hpp"

using namespace atollvm;
using Kind = Outcome::Kind;

namespace {

Module assembled(const std::string& text) {
  std::vector<Diagnostic> diagnostics;
  Result<Module> module = Module::assemble(Engine(test::engine_options()), {"test.atoll", text},
                                           no_source_files, &diagnostics);
  for (const Diagnostic& each : diagnostics) MESSAGE(to_text(each, false));
  REQUIRE(module.ok());
  return *std::move(module);
}

Process process_of(const std::string& text, const ProcessOptions& options = {}) {
  Result<Process> process =
      Process::create(Engine(test::engine_options()), assembled(text), options);
  if (!process) MESSAGE(process.error().text());
  REQUIRE(process.ok());
  return *std::move(process);
}

Value i32_value(std::uint32_t bits) { return {ValueType::i32, bits}; }
Value i64_value(std::uint64_t bits) { return {ValueType::i64, bits}; }

// Calls a function that must return; its results as text, with a space between them.
std::string call(Process& process, std::string_view function,
                 const std::vector<Value>& arguments = {}) {
  const Result<Outcome> outcome = process.call(function, arguments);
  if (!outcome) MESSAGE(outcome.error().text());
  REQUIRE(outcome.ok());
  REQUIRE(outcome->kind == Kind::returned);
  CHECK(outcome->trace.empty());
  std::string text;
  for (const Value& result : process.results()) {
    text += (text.empty() ? "" : " ") + std::string(to_text(result.type)) + ":" + to_text(result);
  }
  return text;
}

ErrorCode refusal(Process& process, std::string_view function,
                  const std::vector<Value>& arguments = {}) {
  const Result<Outcome> outcome = process.call(function, arguments);
  REQUIRE(!outcome.ok());
  CHECK(!outcome.error().message.empty());
  return outcome.error().code;
}

std::optional<std::uint64_t> bits_of(ValueType type, std::string_view text) {
  const std::optional<Value> value = parse_value(type, text);
  if (!value) return std::nullopt;
  CHECK(value->type == type);
  return value->bits;
}

const std::string functions = R"(module m
export func add(a: i32, b: i32) -> i32 { ret (i32.add a, b) }
export func swap(a: i64, b: f64) -> (f64, i64) { ret b, a }
export func narrow(a: f32) -> f32 { ret a }
export func divide(a: i32, b: i32) -> i32 { ret (i32.div_s a, b) }
global count: mut i32 = 10
export func next() -> i32 {
    global.set count, (i32.add (global.get count), 1)
    ret (global.get count)
}
export func work(turns: i32) -> i32 {
    var i: i32 = 0
    while i32.lt_s i, turns {
        i32.add i, i, 1
    }
    ret i
}
export func endless() {
    loop {
    }
}
)";

}  // namespace

TEST_CASE("values: integers are read from the least signed to the largest unsigned") {
  CHECK(bits_of(ValueType::i32, "0") == 0);
  CHECK(bits_of(ValueType::i32, "+7") == 7);
  CHECK(bits_of(ValueType::i32, "-1") == 0xffff'ffff);
  CHECK(bits_of(ValueType::i32, "-2147483648") == 0x8000'0000);
  CHECK(bits_of(ValueType::i32, "4294967295") == 0xffff'ffff);
  CHECK(bits_of(ValueType::i32, "0xDEADbeef") == 0xdead'beef);
  CHECK(bits_of(ValueType::i32, "-0x80000000") == 0x8000'0000);
  CHECK(bits_of(ValueType::i64, "-9223372036854775808") == std::uint64_t{1} << 63);
  CHECK(bits_of(ValueType::i64, "18446744073709551615") ==
        std::numeric_limits<std::uint64_t>::max());
  CHECK(bits_of(ValueType::i64, "0xffffffffffffffff") == std::numeric_limits<std::uint64_t>::max());
}

TEST_CASE("values: what is no integer of the type is none") {
  for (const char* text : {"", "-", "+", "0x", "-0x", "--1", "+-1", "1 ", " 1", "1.0", "1e3", "x",
                           "0b1", "1_000", "4294967296", "-2147483649", "0x100000000", "null"}) {
    CAPTURE(text);
    CHECK(!parse_value(ValueType::i32, text));
  }
  for (const char* text : {"18446744073709551616", "-9223372036854775809", "0x10000000000000000"}) {
    CAPTURE(text);
    CHECK(!parse_value(ValueType::i64, text));
  }
  CHECK(!parse_value(ValueType::i32, std::string_view("1\0", 2)));
}

TEST_CASE("values: floats") {
  CHECK(bits_of(ValueType::f64, "1") == 0x3ff0'0000'0000'0000);
  CHECK(bits_of(ValueType::f64, "-0.0") == std::uint64_t{1} << 63);
  CHECK(bits_of(ValueType::f64, "0x1.8p1") == 0x4008'0000'0000'0000);
  CHECK(bits_of(ValueType::f64, "-inf") == 0xfff0'0000'0000'0000);
  CHECK(bits_of(ValueType::f64, "nan") == 0x7ff8'0000'0000'0000);
  CHECK(bits_of(ValueType::f64, "nan:0x1") == 0x7ff0'0000'0000'0001);
  CHECK(bits_of(ValueType::f32, "0.1") == 0x3dcc'cccd);
  CHECK(bits_of(ValueType::f32, "+1e-45") == 1);
  CHECK(bits_of(ValueType::f32, "-nan:0x7fffff") == 0xffff'ffff);
  for (const char* text : {"", "-", "one", "1.5.2", "nan:", "nan:0x0", "nan:0x800000", "1e40"}) {
    CAPTURE(text);
    CHECK(!parse_value(ValueType::f32, text));
  }
}

TEST_CASE("values: references are null or none") {
  for (const ValueType type : {ValueType::funcref, ValueType::externref}) {
    CHECK(bits_of(type, "null") == 0);
    CHECK(!parse_value(type, "0"));
    CHECK(!parse_value(type, ""));
    CHECK(to_text(Value{type, 0}) == "null");
    CHECK(to_text(Value{type, 7}) == to_text(type));
  }
}

TEST_CASE("values: texts are read back as the same bits") {
  const std::uint64_t top = std::uint64_t{1} << 63;
  for (const std::uint64_t bits :
       {std::uint64_t{0}, std::uint64_t{1}, top, top - 1, top + 1, ~top}) {
    for (const ValueType type : {ValueType::i64, ValueType::f64}) {
      CAPTURE(bits);
      CHECK(bits_of(type, to_text(Value{type, bits})) == bits);
    }
  }
  for (const std::uint32_t bits : {0u, 1u, 0x7fff'ffffu, 0x8000'0000u, 0xffff'ffffu, 0x3dcc'cccdu,
                                   0x7f80'0000u, 0xff80'0000u, 0x7fc0'0000u, 0x7f80'0001u}) {
    for (const ValueType type : {ValueType::i32, ValueType::f32}) {
      CAPTURE(bits);
      CHECK(bits_of(type, to_text(Value{type, bits})) == bits);
    }
  }
  CHECK(to_text(i32_value(0xffff'ffff)) == "-1");
  CHECK(to_text(i64_value(top)) == "-9223372036854775808");
  CHECK(to_text(ValueType::f32) == "f32");
  CHECK(to_text(ValueType::externref) == "externref");
}

TEST_CASE("function types: of exported functions alone") {
  const Module module = assembled(functions + "export global answer: i32 = 42\n");
  const std::optional<FunctionType> type = module.function_type("swap");
  REQUIRE(type);
  CHECK(type->parameters == std::vector{ValueType::i64, ValueType::f64});
  CHECK(type->results == std::vector{ValueType::f64, ValueType::i64});
  CHECK(module.function_type("endless")->parameters.empty());
  CHECK(!module.function_type("answer"));
  CHECK(!module.function_type("none"));
  CHECK(!module.function_type(""));
}

TEST_CASE("calls: arguments go in and results come out, as often as wanted") {
  Process process = process_of(functions);
  CHECK(process.results().empty());
  CHECK(call(process, "add", {i32_value(2), i32_value(0xffff'ffff)}) == "i32:1");
  CHECK(
      call(process, "swap", {i64_value(~std::uint64_t{0}), *parse_value(ValueType::f64, "0.5")}) ==
      "f64:0.5 i64:-1");
  CHECK(call(process, "narrow", {*parse_value(ValueType::f32, "-inf")}) == "f32:-inf");
  CHECK(call(process, "next") == "i32:11");
  CHECK(call(process, "next") == "i32:12");
}

TEST_CASE("calls: a narrow argument's upper half is nothing to the guest") {
  Process process = process_of(functions);
  CHECK(call(process, "add", {{ValueType::i32, 0xdead'0000'0001}, i32_value(1)}) == "i32:2");
  CHECK(process.results()[0].bits == 2);
}

TEST_CASE("calls: what does not fit is refused, and harms nothing") {
  Process process = process_of(functions + "export global answer: i32 = 42\n");
  CHECK(refusal(process, "none") == ErrorCode::not_found);
  CHECK(refusal(process, "answer") == ErrorCode::not_found);
  CHECK(refusal(process, "add") == ErrorCode::usage);
  CHECK(refusal(process, "add", {i32_value(1)}) == ErrorCode::usage);
  CHECK(refusal(process, "add", {i32_value(1), i64_value(1)}) == ErrorCode::usage);
  CHECK(refusal(process, "next", {i32_value(1)}) == ErrorCode::usage);
  CHECK(call(process, "next") == "i32:11");
}

TEST_CASE("calls: references go in as null only") {
  Process process = process_of(R"(module m
export func is_null(f: funcref, x: externref) -> i32 {
    ret (i32.add (ref.is_null f), (ref.is_null x))
}
export func itself() -> funcref { ret (ref.func itself) }
)");
  CHECK(call(process, "is_null", {{ValueType::funcref, 0}, {ValueType::externref, 0}}) == "i32:2");
  CHECK(call(process, "itself") == "funcref:funcref");
  const Value reference = process.results()[0];
  CHECK(reference.bits != 0);
  CHECK(refusal(process, "is_null", {reference, {ValueType::externref, 0}}) == ErrorCode::usage);
  CHECK(refusal(process, "is_null", {{ValueType::funcref, 0}, {ValueType::externref, 1}}) ==
        ErrorCode::usage);
}

TEST_CASE("calls: the start function and _initialize run once, before the first") {
  Process process = process_of(R"(module m
global state: mut i32 = 1
start begin
func begin() { global.set state, (i32.mul (global.get state), 2) }
export func _initialize() { global.set state, (i32.add (global.get state), 3) }
export func main() -> i32 { ret (global.get state) }
)");
  CHECK(call(process, "main") == "i32:5");
  CHECK(call(process, "main") == "i32:5");
}

TEST_CASE("calls: _initialize can be called, and is not run twice by that") {
  Process process = process_of(R"(module m
global state: mut i32 = 0
export func _initialize() { global.set state, (i32.add (global.get state), 1) }
export func get() -> i32 { ret (global.get state) }
)");
  CHECK(call(process, "_initialize").empty());
  CHECK(call(process, "get") == "i32:1");
}

TEST_CASE("calls: a trap ends the process") {
  Process process = process_of(functions);
  const std::vector<Value> arguments{i32_value(1), i32_value(0)};
  const Result<Outcome> outcome = process.call("divide", arguments);
  REQUIRE(outcome.ok());
  CHECK(outcome->kind == Kind::trapped);
  CHECK(outcome->trap == Trap::divide_by_zero);
  REQUIRE(outcome->trace.size() == 1);
  CHECK(outcome->trace[0].name == "divide");
  CHECK(refusal(process, "next") == ErrorCode::usage);
  CHECK(!process.run().ok());
}

TEST_CASE("calls: a guest that ends itself ends the process") {
  Process process = process_of(R"(module m
import func proc_exit(code: i32) from "wasi_snapshot_preview1" "proc_exit"
memory 65536
export func leave(code: i32) { call proc_exit(code) }
)");
  const Result<Outcome> outcome = process.call("leave", std::array{i32_value(7)});
  REQUIRE(outcome.ok());
  CHECK(outcome->kind == Kind::exited);
  CHECK(outcome->exit_code == 7);
  CHECK(refusal(process, "leave", {i32_value(0)}) == ErrorCode::usage);
}

TEST_CASE("calls: none after run, and no run after them") {
  const std::string text = functions + "export func main() -> i32 { ret 3 }\n";
  Process ran = process_of(text);
  const Result<Outcome> outcome = ran.run();
  REQUIRE(outcome.ok());
  CHECK(outcome->kind == Kind::exited);
  CHECK(outcome->exit_code == 3);
  CHECK(refusal(ran, "next") == ErrorCode::usage);

  Process called = process_of(text);
  CHECK(call(called, "next") == "i32:11");
  const Result<Outcome> second = called.run();
  REQUIRE(!second.ok());
  CHECK(second.error().code == ErrorCode::usage);
}

TEST_CASE("calls: with more fuel, the same call goes on") {
  ProcessOptions options;
  options.limits.fuel = 100;
  Process process = process_of(functions, options);
  const std::vector<Value> arguments{i32_value(1000)};
  int stops = 0;
  while (true) {
    const Result<Outcome> outcome = process.call("work", arguments);
    REQUIRE(outcome.ok());
    if (outcome->kind == Kind::returned) break;
    REQUIRE(outcome->kind == Kind::out_of_fuel);
    REQUIRE(++stops < 1000);
    process.add_fuel(100);
  }
  CHECK(stops > 3);
  REQUIRE(process.results().size() == 1);
  CHECK(process.results()[0].bits == 1000);
}

TEST_CASE("calls: the time limit ends one") {
  ProcessOptions options;
  options.limits.time = std::chrono::milliseconds(20);
  Process process = process_of(functions, options);
  const Result<Outcome> outcome = process.call("endless", {});
  REQUIRE(outcome.ok());
  CHECK(outcome->kind == Kind::time_limit);
  CHECK(refusal(process, "next") == ErrorCode::usage);
}

TEST_CASE("calls: imports that nobody provides trap, if that was asked for") {
  const std::string text = R"(module m
import func absent(x: i32) -> i32 from "env" "absent"
import func write(h: i32, p: i32, n: i32) -> i32 from "atoll" "write"
memory 65536
export func calls() -> i32 { ret (call absent(1)) }
export func five() -> i32 { ret 5 }
)";
  const Result<Process> without = Process::create(Engine(test::engine_options()), assembled(text));
  REQUIRE(!without.ok());
  CHECK(without.error().code == ErrorCode::not_found);

  ProcessOptions options;
  options.trap_unknown_imports = true;
  Process process = process_of(text, options);
  CHECK(call(process, "five") == "i32:5");
  const Result<Outcome> outcome = process.call("calls", {});
  REQUIRE(outcome.ok());
  CHECK(outcome->kind == Kind::trapped);
  CHECK(outcome->trap == Trap::unknown_import);
  REQUIRE(!outcome->trace.empty());
  CHECK(outcome->trace[0].name == "calls");
  CHECK(!to_text(Trap::unknown_import).empty());
}

TEST_CASE("call: a trap in WebAssembly shows the line of a source map beside the module") {
  // One function "main" that is `unreachable`, at byte 33.
  std::string bytes("\0asm\1\0\0\0\1\4\1\x60\0\0\3\2\1\0\7\x8\1\4main\0\0\xa\5\1\3\0\0\xb", 35);
  const auto with_url = [&](const std::string& url) {
    std::string section = "\x10sourceMappingURL";
    section += static_cast<char>(url.size());
    section += url;
    return bytes + '\0' + static_cast<char>(section.size()) + section;
  };
  std::vector<std::string> asked;
  LoadOptions options;
  options.name = "dir/a.wasm";
  options.reader = [&](std::string_view from, std::string_view name) -> std::optional<Source> {
    CHECK(from == "dir/a.wasm");
    asked.emplace_back(name);
    return Source{"", R"({"version":3,"sources":["a.ts"],"names":[],"mappings":"iCAME"})"};
  };
  const Engine engine(test::engine_options());
  const auto location = [&](const std::string& file) {
    const Result<Module> module = Module::load(engine, file, options);
    REQUIRE_MESSAGE(module.ok(), (module.ok() ? "" : module.error().text()));
    Result<Process> process = Process::create(engine, *module);
    REQUIRE(process.ok());
    const Result<Outcome> outcome = process->run();
    REQUIRE(outcome.ok());
    REQUIRE(outcome->trace.size() == 1);
    return outcome->trace[0].location;
  };
  CHECK(location(with_url("./m.map")) == "a.ts:7:3");
  CHECK(asked == std::vector<std::string>{"m.map"});
  // Only beside the module.
  CHECK(location(with_url("../m.map")).empty());
  CHECK(location(with_url("/etc/passwd")).empty());
  CHECK(asked.size() == 1);
  options.reader = [](std::string_view, std::string_view) { return Source{"", "no map"}; };
  CHECK(location(with_url("m.map")).empty());
  options.reader = {};
  CHECK(location(with_url("m.map")).empty());
}

TEST_CASE("run() of another entry") {
  const std::string text = R"(
    global begun: mut i32 = 0
    start begin
    func begin() { global.set begun, 1; ret }
    export func other() -> i32 { ret (i32.add (global.get begun), 41) }
    export func quiet() { ret }
    export func takes(x: i32) -> i32 { ret x }
    export func main() -> i32 { ret 7 })";
  Process process = process_of(text);
  const Result<Outcome> unknown = process.run("none");
  REQUIRE(!unknown.ok());
  CHECK(unknown.error().code == ErrorCode::not_found);
  const Result<Outcome> other_type = process.run("takes");
  REQUIRE(!other_type.ok());
  CHECK(other_type.error().code == ErrorCode::not_found);
  const Result<Outcome> outcome = process.run("other");
  REQUIRE(outcome.ok());
  CHECK(outcome->kind == Kind::exited);
  CHECK(outcome->exit_code == 42);
  CHECK(!process.run("other").ok());

  CHECK(process_of(text).run("quiet")->exit_code == 0);
  CHECK(process_of(text).run("")->exit_code == 7);
}
