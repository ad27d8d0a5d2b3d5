// The C interface: that it gives the C++ interface's power, and survives what C programs do wrong.
// That it is C, and can be linked from outside, is tested by tests/package.
#include <atoll.h>
#include <doctest/doctest.h>

#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/c_interface.hpp"

using atollvm::test::code_of;
using atollvm::test::Owned;

namespace {

std::string text_of(atoll_error* error) {
  if (error == nullptr) return "no error";
  std::string text = atoll_error_text(error);
  atoll_error_free(error);
  return text;
}

using Imports = Owned<atoll_imports, atoll_imports_free>;
using Options = Owned<atoll_options, atoll_options_free>;
using Module = Owned<atoll_module, atoll_module_free>;
using Process = Owned<atoll_process, atoll_process_free>;
using Function = Owned<atoll_function, atoll_function_free>;

Module assembled(const std::string& source) {
  atoll_engine* engine = atoll_engine_new(ATOLL_TIER_AUTO, false);
  atoll_module* module = nullptr;
  const std::string error =
      text_of(atoll_module_assemble(engine, "guest.atoll", source.data(), source.size(), &module));
  atoll_engine_free(engine);  // the module keeps what it needs
  REQUIRE_MESSAGE(module != nullptr, error);
  return Module(module);
}
Process started(const std::string& source, const atoll_options* options = nullptr) {
  atoll_engine* engine = atoll_engine_new(ATOLL_TIER_AUTO, false);
  const Module module = assembled(source);
  atoll_process* process = nullptr;
  const std::string error = text_of(atoll_process_new(engine, module.get(), options, &process));
  atoll_engine_free(engine);
  REQUIRE_MESSAGE(process != nullptr, error);
  return Process(process);
}
Function function(const Process& process, const char* name) {
  atoll_function* found = nullptr;
  const std::string error = text_of(atoll_process_function(process.get(), name, &found));
  REQUIRE_MESSAGE(found != nullptr, error);
  return Function(found);
}
// Calls a function (i32...) -> i32.
int call(const Process& process, const char* name, std::vector<int> numbers) {
  std::vector<atoll_value> arguments;
  for (int each : numbers) arguments.push_back(atoll_i32(each));
  atoll_value result = atoll_i64(-1);
  const std::string error = text_of(atoll_function_call(
      function(process, name).get(), arguments.data(), arguments.size(), &result, 1));
  REQUIRE_MESSAGE(error == "no error", error);
  CHECK(result.type == ATOLL_I32);
  return result.of.i32;
}

void define(const Imports& imports, const char* name, std::vector<atoll_type> parameters,
            std::vector<atoll_type> results, atoll_callback callback, void* env = nullptr) {
  CHECK(atoll_imports_define(imports.get(), "h", name, parameters.data(), parameters.size(),
                             results.data(), results.size(), callback, env, nullptr) == nullptr);
}
Options options_with(const Imports& imports) {
  Options options(atoll_options_new());
  atoll_options_imports(options.get(), imports.get());
  return options;
}

}  // namespace

TEST_CASE("C: a module runs, with its arguments and exit code") {
  Options options(atoll_options_new());
  CHECK(atoll_options_argument(options.get(), "guest"));
  CHECK(atoll_options_argument(options.get(), "two"));
  const Process process = started(R"(
use std.sys
export func main() -> i32 {
    var n: i32
    call args_count() -> n
    ret n
}
)",
                                  options.get());
  uint32_t exit_code = 99;
  CHECK(atoll_process_run(process.get(), &exit_code) == nullptr);
  CHECK(exit_code == 2);
  CHECK(atoll_process_outcome(process.get()) == ATOLL_EXITED);
  CHECK(code_of(atoll_process_run(process.get(), nullptr)) == ATOLL_USAGE);
}

TEST_CASE("C: a network, and what is told of refusals") {
  Options options(atoll_options_new());
  CHECK(code_of(atoll_options_network(options.get(), "connect", nullptr, nullptr)) == ATOLL_USAGE);
  std::string lines;
  const auto log = [](void* env, const char* line) {
    *static_cast<std::string*>(env) += std::string(line) + "\n";
  };
  CHECK(atoll_options_network(options.get(), "connect:127.0.0.1:1", log, &lines) == nullptr);
  const Process process = started(R"(
use std.sys
data host = "127.0.0.1"
export func main() -> i32 {
    var h: i32
    call tcp_connect(NETWORK, host, 9, 2, -1) -> h
    ret (i32.sub 0, h)
}
)",
                                  options.get());
  uint32_t exit_code = 99;
  CHECK(atoll_process_run(process.get(), &exit_code) == nullptr);
  CHECK(exit_code == 2);
  CHECK(lines == "refused to connect to 127.0.0.1:2: no rule allows it\n");
}

TEST_CASE("C: a listener, and the port that the host chooses") {
  Options options(atoll_options_new());
  CHECK(text_of(atoll_options_listener(options.get(), "8080")) ==
        "8080: no address to take connections at: write ADDRESS:PORT, such as 127.0.0.1:8080 or "
        "[::1]:0");
  CHECK(atoll_options_network(options.get(), nullptr, nullptr, nullptr) == nullptr);
  std::string lines;
  const auto log = [](void* env, const char* line) { *static_cast<std::string*>(env) += line; };
  CHECK(atoll_options_network(options.get(), nullptr, log, &lines) == nullptr);
  CHECK(atoll_options_listener(options.get(), "127.0.0.1:0") == nullptr);
  const Process process = started(R"(
use std.sys
reserve address sizeof(SocketAddress) align 8
export func main() -> i32 {
    var error: i32
    call socket_address(4, 0, address) -> error
    if error { ret error }
    call tcp_accept(4, 0, 0) -> error
    ret (i32.sub 0, error)
}
)",
                                  options.get());
  uint32_t exit_code = 99;
  CHECK(atoll_process_run(process.get(), &exit_code) == nullptr);
  CHECK(exit_code == 73);
  CHECK(lines.starts_with("listening at 127.0.0.1:"));
}

TEST_CASE("C: a file system in memory is mounted") {
  Options options(atoll_options_new());
  CHECK(text_of(atoll_options_mount(options.get(), "tape::/t")) ==
        "tape::/t: there is no type of mount `tape`; there are dir, memory, overlay, archive, "
        "image, volume, dev, "
        "proc");
  CHECK(code_of(atoll_options_mount(options.get(), "memory")) == ATOLL_USAGE);
  CHECK(atoll_options_mount(options.get(), "memory::/tmp:size=16k") == nullptr);
  const Process process = started(R"(
use std.sys
data name = "/tmp/f"
export func main() -> i32 {
    var h: i32
    call open(ROOT, name, 6, OPEN_CREATE, RIGHT_WRITE) -> h
    call write(h, name, 6) -> h
    ret h
}
)",
                                  options.get());
  uint32_t exit_code = 99;
  CHECK(atoll_process_run(process.get(), &exit_code) == nullptr);
  CHECK(exit_code == 6);
}

TEST_CASE("C: errors say what is wrong, and leave the place for the result alone") {
  CHECK(atoll_engine_new(-1, false) == nullptr);
  CHECK(atoll_engine_new(3, false) == nullptr);
  CHECK(atoll_engine_with(3, false, true, 1 << 20, 100) == nullptr);
  atoll_engine* engine = atoll_engine_with(ATOLL_TIER_AUTO, true, true, 1 << 20, 100);
  atoll_module* module = nullptr;
  CHECK(code_of(atoll_module_load(engine, "nonsense", 8, &module)) == ATOLL_MALFORMED);
  CHECK(code_of(atoll_module_load(engine, nullptr, 0, &module)) == ATOLL_MALFORMED);
  CHECK(text_of(atoll_module_assemble(engine, "x.atoll", "func f( {", 9, &module))
            .find("x.atoll:1:") == 0);
  CHECK(module == nullptr);
  const Module needy =
      assembled("import func f() from \"no\" \"where\"\nexport func g() { call f(); ret }\n");
  atoll_process* process = nullptr;
  CHECK(code_of(atoll_process_new(engine, needy.get(), nullptr, &process)) == ATOLL_NOT_FOUND);
  CHECK(process == nullptr);
  atoll_engine_free(engine);
  atoll_error_free(nullptr);
  atoll_module_free(nullptr);
  atoll_process_free(nullptr);
  atoll_options_free(nullptr);
  atoll_imports_free(nullptr);
  atoll_function_free(nullptr);
  atoll_deferred_free(nullptr);
  atoll_engine_free(nullptr);
}

TEST_CASE("C: values of all types, and calls that don't fit") {
  const Process process = started(
      "export func f(a: i32, b: i64, c: f32, d: f64, e: externref) -> f64, f32, i64, i32 {\n"
      " ret d, c, b, a }\n");
  const Function f = function(process, "f");
  CHECK(atoll_function_parameter_count(f.get()) == 5);
  CHECK(atoll_function_result_count(f.get()) == 4);
  CHECK(atoll_function_parameter(f.get(), 4) == ATOLL_EXTERNREF);
  CHECK(atoll_function_result(f.get(), 0) == ATOLL_F64);
  CHECK(static_cast<int>(atoll_function_result(f.get(), 4)) == -1);
  atoll_value null;
  null.type = ATOLL_EXTERNREF;
  null.of.ref = 0;
  atoll_value arguments[] = {atoll_i32(-7), atoll_i64(INT64_MIN), atoll_f32(0.5f),
                             atoll_f64(-1e300), null};
  atoll_value results[4];
  CHECK(atoll_function_call(f.get(), arguments, 5, results, 4) == nullptr);
  CHECK(results[0].of.f64 == -1e300);
  CHECK(results[1].of.f32 == 0.5f);
  CHECK(results[2].of.i64 == INT64_MIN);
  CHECK(results[3].of.i32 == -7);
  CHECK(results[3].of.i64 == 0xffff'fff9);
  CHECK(code_of(atoll_function_call(f.get(), arguments, 4, results, 4)) == ATOLL_USAGE);
  CHECK(code_of(atoll_function_call(f.get(), arguments, 5, results, 3)) == ATOLL_USAGE);
  arguments[4].of.ref = 1;
  CHECK(code_of(atoll_function_call(f.get(), arguments, 5, results, 4)) == ATOLL_USAGE);
  arguments[4] = atoll_i32(0);
  CHECK(code_of(atoll_function_call(f.get(), arguments, 5, results, 4)) == ATOLL_USAGE);
  atoll_function* none = nullptr;
  CHECK(code_of(atoll_process_function(process.get(), "g", &none)) == ATOLL_NOT_FOUND);
}

TEST_CASE("C: host functions: arguments, memory, errors, exits, and lies about actions") {
  const Imports imports(atoll_imports_new());
  int seen = 0;
  define(
      imports, "add", {ATOLL_I32, ATOLL_I32}, {ATOLL_I32},
      [](void* env, atoll_caller*, const atoll_value* a, atoll_value* r) -> atoll_action {
        ++*static_cast<int*>(env);
        r[0].of.i32 = a[0].of.i32 + a[1].of.i32;
        return ATOLL_RETURN;
      },
      &seen);
  define(imports, "sum", {ATOLL_I32, ATOLL_I32}, {ATOLL_I32},
         [](void*, atoll_caller* caller, const atoll_value* a, atoll_value* r) -> atoll_action {
           const auto length = static_cast<uint32_t>(a[1].of.i32);
           const uint8_t* bytes =
               atoll_caller_memory(caller, static_cast<uint32_t>(a[0].of.i32), length);
           if (bytes == nullptr) return atoll_caller_trap(caller, ATOLL_TRAP_MEMORY_BOUNDS);
           for (uint32_t i = 0; i < length; ++i) r[0].of.i32 += bytes[i];
           return ATOLL_RETURN;
         });
  define(imports, "fail", {}, {},
         [](void*, atoll_caller* caller, const atoll_value*, atoll_value*) -> atoll_action {
           return atoll_caller_fail(caller, "no luck");
         });
  define(imports, "exit", {}, {},
         [](void*, atoll_caller* caller, const atoll_value*, atoll_value*) -> atoll_action {
           return atoll_caller_exit(caller, 300);
         });
  define(imports, "lie", {ATOLL_I32}, {},
         [](void*, atoll_caller*, const atoll_value* a, atoll_value*) -> atoll_action {
           return static_cast<atoll_action>(a[0].of.i32);
         });
  define(imports, "wrong_trap", {}, {},
         [](void*, atoll_caller* caller, const atoll_value*, atoll_value*) -> atoll_action {
           return atoll_caller_trap(caller, 4711);
         });
  const Options options = options_with(imports);
  const std::string source = R"(
import func add(a: i32, b: i32) -> i32 from "h" "add"
import func sum(p: i32, n: i32) -> i32 from "h" "sum"
import func fail() from "h" "fail"
import func exit() from "h" "exit"
import func lie(a: i32) from "h" "lie"
import func wrong_trap() from "h" "wrong_trap"
memory 1000
data text = "\x01\x02\x03"
export func g_add(a: i32, b: i32) -> i32 { ret (call add(a, b)) }
export func g_sum(p: i32, n: i32) -> i32 { ret (call sum(p, n)) }
export func g_text() -> i32 { ret (call sum(text, len(text))) }
export func g_fail() { call fail(); ret }
export func g_exit() { call exit(); ret }
export func g_lie(a: i32) { call lie(a); ret }
export func g_wrong_trap() { call wrong_trap(); ret }
)";
  const Process process = started(source, options.get());
  CHECK(call(process, "g_add", {40, 2}) == 42);
  CHECK(seen == 1);
  CHECK(call(process, "g_text", {}) == 6);
  CHECK(call(process, "g_sum", {1000, 0}) == 0);
  const auto stops = [&](const char* name, std::vector<atoll_value> arguments, size_t results) {
    const Process fresh = started(source, options.get());
    atoll_value result;
    atoll_error* error = atoll_function_call(function(fresh, name).get(), arguments.data(),
                                             arguments.size(), &result, results);
    CHECK(code_of(error) == ATOLL_TRAPPED);
    return std::string(atoll_process_outcome(fresh.get()) == ATOLL_EXITED
                           ? "exit " + std::to_string(atoll_process_outcome_exit_code(fresh.get()))
                           : atoll_trap_text(atoll_process_outcome_trap(fresh.get()))) +
           ": " + atoll_process_outcome_message(fresh.get());
  };
  CHECK(stops("g_sum", {atoll_i32(1000), atoll_i32(1)}, 1) == "out of bounds memory access: ");
  CHECK(stops("g_sum", {atoll_i32(-1), atoll_i32(-1)}, 1) == "out of bounds memory access: ");
  CHECK(stops("g_fail", {}, 0).find(": no luck") != std::string::npos);
  CHECK(stops("g_exit", {}, 0) == "exit 300: ");
  for (int action : {1, 2, 4, -1}) {
    CHECK(stops("g_lie", {atoll_i32(action)}, 0).find("had not prepared") != std::string::npos);
  }
  CHECK(stops("g_lie", {atoll_i32(3)}, 0).find("host") != std::string::npos);
  CHECK(stops("g_wrong_trap", {}, 0).find("host") != std::string::npos);
  CHECK(std::string(atoll_trap_text(4711)).empty());
}

TEST_CASE("C: what was defined is freed when nobody has it any more") {
  int freed = 0;
  const auto free_env = [](void* env) { ++*static_cast<int*>(env); };
  const auto nothing = [](void*, atoll_caller*, const atoll_value*, atoll_value*) -> atoll_action {
    return ATOLL_RETURN;
  };
  {
    const Imports imports(atoll_imports_new());
    const atoll_type wrong = static_cast<atoll_type>(6);
    CHECK(code_of(atoll_imports_define(imports.get(), "h", "f", &wrong, 1, nullptr, 0, nothing,
                                       &freed, free_env)) == ATOLL_USAGE);
    CHECK(freed == 1);
    CHECK(code_of(atoll_imports_define(imports.get(), "h", nullptr, nullptr, 0, nullptr, 0, nothing,
                                       &freed, free_env)) == ATOLL_USAGE);
    CHECK(freed == 2);
    CHECK(atoll_imports_define(imports.get(), "h", "f", nullptr, 0, nullptr, 0, nothing, &freed,
                               free_env) == nullptr);
    CHECK(atoll_imports_define(imports.get(), "h", "f", nullptr, 0, nullptr, 0, nothing, &freed,
                               free_env) == nullptr);
    CHECK(freed == 3);
    Options options = options_with(imports);
    const Process process =
        started("import func f() from \"h\" \"f\"\nexport func g() -> i32 { call f(); ret 5 }\n",
                options.get());
    options.reset();
    CHECK(call(process, "g", {}) == 5);
    CHECK(freed == 3);
  }
  CHECK(freed == 4);
}

TEST_CASE("C: objects with types of their own") {
  static const char first_type = 0;
  static const char second_type = 0;
  static int freed;
  freed = 0;
  const Imports imports(atoll_imports_new());
  define(imports, "get", {ATOLL_I32}, {ATOLL_I32},
         [](void*, atoll_caller* caller, const atoll_value* a, atoll_value* r) -> atoll_action {
           const auto handle = static_cast<uint32_t>(a[0].of.i32);
           const auto* number =
               static_cast<const int*>(atoll_caller_object(caller, handle, &first_type));
           r[0].of.i32 = number == nullptr ? -1 : *number;
           return ATOLL_RETURN;
         });
  define(imports, "close", {ATOLL_I32}, {ATOLL_I32},
         [](void*, atoll_caller* caller, const atoll_value* a, atoll_value* r) -> atoll_action {
           r[0].of.i32 = atoll_caller_close(caller, static_cast<uint32_t>(a[0].of.i32));
           return ATOLL_RETURN;
         });
  const Options options = options_with(imports);
  int numbers[] = {10, 20, 30};
  const auto free_it = [](void* number) { freed += *static_cast<int*>(number); };
  {
    const Process process = started(
        "import func get(h: i32) -> i32 from \"h\" \"get\"\n"
        "import func close_(h: i32) -> i32 from \"h\" \"close\"\n"
        "export func f(h: i32) -> i32 { ret (call get(h)) }\n"
        "export func g(h: i32) -> i32 { ret (call close_(h)) }\n",
        options.get());
    uint32_t a = 0;
    uint32_t b = 0;
    uint32_t c = 0;
    CHECK(atoll_process_insert(process.get(), &numbers[0], &first_type, free_it, &a) == nullptr);
    CHECK(atoll_process_insert(process.get(), &numbers[1], &second_type, free_it, &b) == nullptr);
    CHECK(atoll_process_insert(process.get(), &numbers[2], &first_type, free_it, &c) == nullptr);
    CHECK(code_of(atoll_process_insert(process.get(), &numbers[0], nullptr, nullptr, &a)) ==
          ATOLL_USAGE);
    CHECK(call(process, "f", {static_cast<int>(a)}) == 10);
    CHECK(call(process, "f", {static_cast<int>(b)}) == -1);
    CHECK(call(process, "f", {0}) == -1);
    CHECK(call(process, "f", {-1}) == -1);
    CHECK(call(process, "g", {static_cast<int>(a)}) == 1);
    CHECK(freed == 10);
    CHECK(call(process, "g", {static_cast<int>(a)}) == 0);
    CHECK(atoll_process_revoke(process.get(), &numbers[2], &second_type) == 0);
    CHECK(atoll_process_revoke(process.get(), nullptr, &first_type) == 0);
    CHECK(atoll_process_revoke(process.get(), &numbers[2], &first_type) == 1);
    CHECK(freed == 40);
    CHECK(call(process, "f", {static_cast<int>(c)}) == -1);
    CHECK(atoll_process_object(process.get(), c, &first_type) == nullptr);
    CHECK(atoll_process_object(process.get(), b, &second_type) == &numbers[1]);
    CHECK(atoll_process_object(process.get(), b, &first_type) == nullptr);
    CHECK(atoll_process_close(process.get(), b));
    CHECK(freed == 60);
    CHECK_FALSE(atoll_process_close(process.get(), b));
    CHECK(atoll_process_object(process.get(), b, &second_type) == nullptr);
  }
  CHECK(freed == 60);
}

TEST_CASE("C: a host function calls the guest that waits for it") {
  atoll_function* inner = nullptr;
  const Imports imports(atoll_imports_new());
  define(
      imports, "again", {ATOLL_I32}, {ATOLL_I32},
      [](void* env, atoll_caller* caller, const atoll_value* a, atoll_value* r) -> atoll_action {
        const atoll_function* called = *static_cast<atoll_function**>(env);
        const int code = code_of(atoll_function_call(called, a, 1, r, 1));
        if (code == -1) return ATOLL_RETURN;
        CHECK(code == ATOLL_TRAPPED);
        CHECK(atoll_caller_memory_size(caller) == 0);
        r[0] = atoll_i32(-1);
        return ATOLL_RETURN;
      },
      &inner);
  const Process process = started(
      "import func again(x: i32) -> i32 from \"h\" \"again\"\n"
      "export func f(x: i32) -> i32 { ret (call again(x)) }\n"
      "export func inverse(x: i32) -> i32 { ret (i32.div_s 100, x) }\n",
      options_with(imports).get());
  const Function inverse = function(process, "inverse");
  inner = inverse.get();
  CHECK(call(process, "f", {4}) == 25);
  CHECK(call(process, "f", {0}) == -1);  // a trap inside, which the host function takes
  CHECK(call(process, "f", {5}) == 20);
}

TEST_CASE("C: calls that complete later") {
  struct State {
    std::thread worker;
    int canceled = 0;
    atoll_deferred* kept = nullptr;
  } state;
  const Imports imports(atoll_imports_new());
  define(
      imports, "slow", {ATOLL_I32}, {ATOLL_I32},
      [](void* env, atoll_caller* caller, const atoll_value* a, atoll_value*) -> atoll_action {
        atoll_deferred* deferred = atoll_caller_defer(caller, nullptr, nullptr);
        const int number = a[0].of.i32;
        static_cast<State*>(env)->worker = std::thread([deferred, number] {
          const atoll_value result = atoll_i32(number * 2);
          atoll_deferred_complete(deferred, &result, 1);
          atoll_deferred_fail(deferred, "too late");
          atoll_deferred_free(deferred);
        });
        return ATOLL_PENDING;
      },
      &state);
  define(
      imports, "write", {ATOLL_I32}, {ATOLL_I32},
      [](void*, atoll_caller* caller, const atoll_value* a, atoll_value*) -> atoll_action {
        atoll_deferred* deferred = atoll_caller_defer(caller, nullptr, nullptr);
        atoll_deferred_complete_with(
            deferred,
            [](void* env, atoll_caller* then, const atoll_value*, atoll_value* r) -> atoll_action {
              uint8_t* to = atoll_caller_memory(then, *static_cast<uint32_t*>(env), 1);
              if (to == nullptr) return atoll_caller_fail(then, "outside");
              *to = 9;
              r[0].of.i32 = 1;
              return ATOLL_RETURN;
            },
            new uint32_t(static_cast<uint32_t>(a[0].of.i32)),
            [](void* env) { delete static_cast<uint32_t*>(env); });
        atoll_deferred_free(deferred);
        return ATOLL_PENDING;
      });
  define(
      imports, "never", {}, {ATOLL_I32},
      [](void* env, atoll_caller* caller, const atoll_value*, atoll_value*) -> atoll_action {
        auto* mine = static_cast<State*>(env);
        mine->kept =
            atoll_caller_defer(caller, [](void* it) { ++static_cast<State*>(it)->canceled; }, mine);
        return ATOLL_PENDING;
      },
      &state);
  define(imports, "wrong", {}, {ATOLL_I32},
         [](void*, atoll_caller* caller, const atoll_value*, atoll_value*) -> atoll_action {
           atoll_deferred* deferred = atoll_caller_defer(caller, nullptr, nullptr);
           const atoll_value result = atoll_i64(1);
           atoll_deferred_complete(deferred, &result, 1);
           atoll_deferred_free(deferred);
           return ATOLL_PENDING;
         });
  Options options = options_with(imports);
  const std::string source = R"(
import func slow(x: i32) -> i32 from "h" "slow"
import func write_(x: i32) -> i32 from "h" "write"
import func never() -> i32 from "h" "never"
import func wrong() -> i32 from "h" "wrong"
memory 100
export func g_slow(x: i32) -> i32 { ret (call slow(x)) }
export func g_write(x: i32) -> i32 { ret (call write_(x)) }
export func g_never() -> i32 { ret (call never()) }
export func g_wrong() -> i32 { ret (call wrong()) }
)";
  const Process process = started(source, options.get());
  CHECK(call(process, "g_slow", {21}) == 42);
  state.worker.join();
  CHECK(call(process, "g_write", {99}) == 1);
  CHECK(*atoll_process_memory(process.get(), 99, 1) == 9);
  CHECK(atoll_process_memory(process.get(), 99, 2) == nullptr);
  CHECK(atoll_process_memory_size(process.get()) == 100);
  atoll_value result;
  // On a loaded machine a short limit may end before the guest has called.
  for (uint32_t limit = 20; state.kept == nullptr; limit *= 4) {
    Options timed = options_with(imports);
    atoll_options_time(timed.get(), limit);
    const Process waiting = started(source, timed.get());
    CHECK(code_of(atoll_function_call(function(waiting, "g_never").get(), nullptr, 0, &result,
                                      1)) == ATOLL_TRAPPED);
    CHECK(atoll_process_outcome(waiting.get()) == ATOLL_TIME_LIMIT);
  }
  CHECK(state.canceled == 1);
  result = atoll_i32(1);
  atoll_deferred_complete(state.kept, &result, 1);
  atoll_deferred_free(state.kept);
  const Process other = started(source, options.get());
  CHECK(code_of(atoll_function_call(function(other, "g_wrong").get(), nullptr, 0, &result, 1)) ==
        ATOLL_TRAPPED);
  CHECK(std::string(atoll_process_outcome_message(other.get())).find("other types") !=
        std::string::npos);
}

TEST_CASE("C: limits, fuel, interrupts, globals and traces") {
  Options options(atoll_options_new());
  atoll_options_fuel(options.get(), 1000);
  atoll_options_memory(options.get(), 65536);
  const Process process = started(R"(
export global n: mut i64 = 7
memory 1 .. 10 pages
export func endless() { loop { } }
export func grow() -> i32 { ret (memory.grow 1) }
export func inner() { unreachable }
export func outer() { call inner(); ret }
)",
                                  options.get());
  CHECK(call(process, "grow", {}) == -1);
  atoll_value value;
  CHECK(atoll_process_global(process.get(), "n", &value) == nullptr);
  CHECK(value.of.i64 == 7);
  CHECK(atoll_process_set_global(process.get(), "n", atoll_i64(-1)) == nullptr);
  CHECK(code_of(atoll_process_set_global(process.get(), "n", atoll_i32(-1))) == ATOLL_USAGE);
  CHECK(code_of(atoll_process_global(process.get(), "m", &value)) == ATOLL_NOT_FOUND);
  value.type = 17;
  CHECK(code_of(atoll_process_set_global(process.get(), "n", value)) == ATOLL_USAGE);
  const Function endless = function(process, "endless");
  CHECK(code_of(atoll_function_call(endless.get(), nullptr, 0, nullptr, 0)) == ATOLL_TRAPPED);
  CHECK(atoll_process_outcome(process.get()) == ATOLL_OUT_OF_FUEL);
  atoll_process_add_fuel(process.get(), 1000);
  CHECK(code_of(atoll_function_call(endless.get(), nullptr, 0, nullptr, 0)) == ATOLL_TRAPPED);
  CHECK(atoll_process_outcome(process.get()) == ATOLL_OUT_OF_FUEL);
  atoll_process_add_fuel(process.get(), UINT64_MAX);
  std::thread other([&] { atoll_process_interrupt(process.get()); });
  CHECK(code_of(atoll_function_call(endless.get(), nullptr, 0, nullptr, 0)) == ATOLL_TRAPPED);
  other.join();
  CHECK(atoll_process_outcome(process.get()) == ATOLL_INTERRUPTED);
  const Process second =
      started("export func inner() { unreachable }\nexport func outer() { call inner(); ret }\n");
  CHECK(text_of(atoll_function_call(function(second, "outer").get(), nullptr, 0, nullptr, 0)) ==
        "inner: unreachable");
  CHECK(std::string(atoll_process_trace_function(second.get(), 0)) == "inner");
  CHECK(std::string(atoll_process_trace_function(second.get(), 1)) == "outer");
  CHECK(std::string(atoll_process_trace_location(second.get(), 0)) == "guest.atoll:1:23");
  CHECK(atoll_process_trace_function(second.get(), 2) == nullptr);
}
