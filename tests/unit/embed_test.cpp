// The C++ API: the public headers alone, as a program outside of the tree uses them.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <set>
#include <string>
#include <thread>

#include <atoll/engine.hpp>
#include <atoll/module.hpp>
#include <atoll/process.hpp>
#include <atoll/tools.hpp>

#include "tests/support/engine.hpp"

using namespace atollvm;
using namespace std::chrono_literals;
using Kind = Outcome::Kind;

namespace {

constexpr const char* loop_source = "module m\nexport func main() { loop { } }\n";

Module assembled(const Engine& engine, const std::string& text) {
  std::vector<Diagnostic> diagnostics;
  Result<Module> module =
      Module::assemble(engine, {"test.atoll", text}, no_source_files, &diagnostics);
  for (const Diagnostic& each : diagnostics) MESSAGE(to_text(each, false));
  REQUIRE(module.ok());
  return *std::move(module);
}

Process process_of(const Engine& engine, const std::string& text,
                   const ProcessOptions& options = {}) {
  Result<Process> process = Process::create(engine, assembled(engine, text), options);
  if (!process) MESSAGE(process.error().text());
  REQUIRE(process.ok());
  return *std::move(process);
}

Outcome run(Process& process) {
  Result<Outcome> outcome = process.run();
  if (!outcome) MESSAGE(outcome.error().text());
  REQUIRE(outcome.ok());
  return *std::move(outcome);
}

// A pipe; what a guest writes into `in` is read back by text().
struct Pipe {
  Pipe() { REQUIRE(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0); }
  ~Pipe() {
    close(ends[0]);
    close(ends[1]);
  }
  std::string text() const {
    char buffer[4096];
    const ssize_t got = read(ends[0], buffer, sizeof buffer);
    return {buffer, got > 0 ? static_cast<size_t>(got) : 0};
  }
  int ends[2] = {-1, -1};
};

}  // namespace

TEST_CASE("a program runs and gives its exit code") {
  const Engine engine(test::engine_options());
  Process process = process_of(engine, "module m\nexport func main() -> i32 { ret 42 }\n");
  const Outcome outcome = run(process);
  CHECK(outcome.kind == Kind::exited);
  CHECK(outcome.exit_code == 42);
  CHECK(outcome.trace.empty());
  const Result<Outcome> again = process.run();
  REQUIRE_FALSE(again.ok());
  CHECK(again.error().code == ErrorCode::usage);
}

TEST_CASE("a module goes through bytes and back") {
  const Engine engine(test::engine_options());
  const Module module = assembled(engine, "module m\nexport func main() -> i32 { ret 7 }\n");
  const std::string bytes = module.bytes();
  CHECK(is_module_file(bytes));
  CHECK_FALSE(is_module_file("module m"));
  CHECK_FALSE(is_module_file(""));
  const Result<Module> loaded = Module::load(engine, bytes);
  REQUIRE(loaded.ok());
  CHECK(loaded->bytes() == bytes);
  Result<Process> process = Process::create(engine, *loaded);
  REQUIRE(process.ok());
  CHECK(run(*process).exit_code == 7);
}

TEST_CASE("processes of one module, and engines of one program, know nothing of each other") {
  const std::string counter =
      "module m\n"
      "global n: mut i32 = 0\n"
      "func init() { global.set n, (i32.add (global.get n), 1); ret }\n"
      "start init\n"
      "export func main() -> i32 { ret (global.get n) }\n";
  const Engine checked(test::engine_options());
  const Engine guarded(test::engine_options(MemoryStrategy::guarded));
  CHECK(checked.options().memory == MemoryStrategy::checked);
  CHECK(guarded.options().memory == MemoryStrategy::guarded);
  for (const Engine& engine : {checked, guarded}) {
    const Module module = assembled(engine, counter);
    for (int i = 0; i < 3; ++i) {
      Result<Process> process = Process::create(engine, module);
      REQUIRE(process.ok());
      CHECK(run(*process).exit_code == 1);
    }
  }
}

TEST_CASE("a process outlives the engine and module objects it was made with") {
  auto engine = std::make_unique<Engine>(test::engine_options());
  ProcessOptions options;
  options.limits.time = 1h;
  Process process = process_of(*engine, "module m\nexport func main() -> i32 { ret 3 }\n", options);
  engine.reset();
  CHECK(run(process).exit_code == 3);
}

TEST_CASE("wrong bytes and wrong source give errors with a place") {
  const Engine engine(test::engine_options());
  const Module module = assembled(engine, "module m\nexport func main() -> i32 { ret 7 }\n");
  const std::string bytes = module.bytes();
  // Between sections a file may end and still be a module.
  std::set<size_t> ends = {8};
  for (const SectionInfo& section : module.info().sections) {
    ends.insert(section.offset + section.size);
  }
  for (size_t size = 0; size < bytes.size(); ++size) {
    const Result<Module> cut = Module::load(engine, std::string_view(bytes).substr(0, size));
    if (cut.ok()) {
      CHECK(ends.count(size) == 1);
    } else {
      CHECK_FALSE(cut.error().message.empty());
    }
  }
  std::vector<Diagnostic> diagnostics;
  const Result<Module> wrong = Module::assemble(
      engine, {"w.atoll", "module m\nexport func main() {\n    i32.ad 1\n    ret x\n}\n"},
      no_source_files, &diagnostics);
  REQUIRE_FALSE(wrong.ok());
  CHECK(wrong.error().code == ErrorCode::invalid);
  CHECK(wrong.error().place.rfind("w.atoll:3:", 0) == 0);
  REQUIRE(diagnostics.size() == 2);
  CHECK(diagnostics[1].line == 4);
  CHECK(to_text(diagnostics[0], false).rfind("w.atoll:3:5: error: ", 0) == 0);
  CHECK(to_text(diagnostics[0], true).find("\x1b[") != std::string::npos);
}

TEST_CASE("used files come from the reader alone") {
  const Engine engine(test::engine_options());
  const Source source{"dir/main.atoll",
                      "module m\nuse \"lib.atoll\"\nexport func main() -> i32 { ret answer }\n"};
  std::string asked;
  const FileReader reader = [&asked](std::string_view from, std::string_view name) {
    asked.append(from).append(" ").append(name);
    return std::optional(Source{"lib.atoll", "const answer = 42\n"});
  };
  const Result<Module> module = Module::assemble(engine, source, reader);
  REQUIRE(module.ok());
  CHECK(asked == "dir/main.atoll lib.atoll");
  CHECK_FALSE(Module::assemble(engine, source, no_source_files).ok());
  CHECK_FALSE(Module::assemble(engine, source).ok());
}

TEST_CASE("read_source_file reads regular files only") {
  CHECK_FALSE(read_source_file("x.atoll", "/dev/zero"));
  CHECK_FALSE(read_source_file("x.atoll", "/"));
  CHECK_FALSE(read_source_file("x.atoll", ""));
  CHECK_FALSE(read_source_file("x.atoll", std::string_view("CMakeLists.txt\0", 15)));
  const std::string folder = std::string(ATOLL_SOURCE_DIR) + "/tests/x.atoll";
  const auto found = read_source_file(folder, "../vm/../CMakeLists.txt");
  REQUIRE(found.has_value());
  CHECK(found->name == std::string(ATOLL_SOURCE_DIR) + "/CMakeLists.txt");
  CHECK(found->text.find("project(atoll") != std::string::npos);
}

TEST_CASE("process errors") {
  const Engine engine(test::engine_options());
  SUBCASE("no main") {
    Process process = process_of(engine, "module m\nexport func other() { ret }\n");
    const Result<Outcome> outcome = process.run();
    REQUIRE_FALSE(outcome.ok());
    CHECK(outcome.error().code == ErrorCode::not_found);
  }
  SUBCASE("an import that nobody has") {
    const Module module = assembled(
        engine,
        "module m\nimport func f() from \"x\" \"y\"\nexport func main() { call f(); ret }\n");
    const Result<Process> process = Process::create(engine, module);
    REQUIRE_FALSE(process.ok());
    CHECK(process.error().code == ErrorCode::not_found);
  }
  SUBCASE("a directory that is not there") {
    ProcessOptions options;
    options.directories.push_back({"/no/such/directory", "/d", false});
    const Module module = assembled(engine, loop_source);
    const Result<Process> process = Process::create(engine, module, options);
    REQUIRE_FALSE(process.ok());
    CHECK(process.error().code == ErrorCode::not_found);
    CHECK(process.error().text().find("/no/such/directory") != std::string::npos);
  }
  SUBCASE("more memory than its limit") {
    ProcessOptions options;
    options.limits.memory_bytes = 65536;
    const Module module = assembled(engine, "module m\nmemory 65537\nexport func main() { ret }\n");
    const Result<Process> process = Process::create(engine, module, options);
    REQUIRE_FALSE(process.ok());
    CHECK(process.error().code == ErrorCode::limit);
  }
}

TEST_CASE("a trap has a text and a trace") {
  const Engine engine(test::engine_options());
  Process process = process_of(engine,
                               "module m\n"
                               "func half(n: i32) -> i32 {\n"
                               "    ret (i32.div_u 1, n)\n"
                               "}\n"
                               "export func main() -> i32 { ret (call half(0)) }\n");
  const Outcome outcome = run(process);
  CHECK(outcome.kind == Kind::trapped);
  CHECK(outcome.trap == Trap::divide_by_zero);
  CHECK(to_text(outcome.trap) == "integer divide by zero");
  REQUIRE(outcome.trace.size() == 2);
  CHECK(outcome.trace[0].name == "half");
  CHECK(outcome.trace[0].location.rfind("test.atoll:3", 0) == 0);
  CHECK(outcome.trace[1].name == "main");
  CHECK(outcome.trace[1].depth == 1);
}

TEST_CASE("fuel is exact, and more of it goes on where it stopped") {
  const Engine engine(test::engine_options());
  const std::string source =
      "module m\n"
      "export func main() -> i32 {\n"
      "    var sum: i32\n"
      "    for i: i32 in 0 .. 1000 { i32.add sum, sum, 1 }\n"
      "    ret (i32.and sum, 255)\n"
      "}\n";
  ProcessOptions options;
  options.limits.fuel = 1'000'000;
  Process whole = process_of(engine, source, options);
  CHECK(run(whole).exit_code == (1000 & 255));
  const auto needed = whole.stats().fuel_used;
  REQUIRE(needed.has_value());
  CHECK(*needed > 1000);

  options.limits.fuel = 100;
  Process pieces = process_of(engine, source, options);
  int stops = 0;
  Outcome outcome = run(pieces);
  while (outcome.kind == Kind::out_of_fuel && stops < 1000) {
    CHECK(outcome.trap == Trap::out_of_fuel);
    CHECK(outcome.trace.size() == 1);
    ++stops;
    pieces.add_fuel(100);
    outcome = run(pieces);
  }
  CHECK(outcome.kind == Kind::exited);
  CHECK(outcome.exit_code == (1000 & 255));
  CHECK(stops > 5);
  CHECK(pieces.stats().fuel_used == needed);
}

TEST_CASE("a time limit ends a loop and a sleep") {
  const Engine engine(test::engine_options());
  ProcessOptions options;
  options.limits.time = 30ms;
  const std::string sleeping =
      "module m\nuse std.sys\nexport func main() { call clock_sleep(3_600_000_000_000); ret }\n";
  for (const std::string& source : {std::string(loop_source), sleeping}) {
    Process process = process_of(engine, source, options);
    const auto begin = std::chrono::steady_clock::now();
    const Outcome outcome = run(process);
    const auto took = std::chrono::steady_clock::now() - begin;
    CHECK(outcome.kind == Kind::time_limit);
    CHECK(outcome.trap == Trap::time_limit);
    CHECK(outcome.trace.size() == 1);
    CHECK(took >= 30ms);
    CHECK(took < 20s);
    CHECK(process.stats().run_time >= 30ms);
  }
}

TEST_CASE("interrupt from another thread") {
  const Engine engine(test::engine_options());
  Pipe silent;
  ProcessOptions options;
  options.input = silent.ends[0];
  const std::string head = "module m\nuse std.sys\nreserve b 1\nexport func main() ";
  for (const std::string& source :
       {std::string(loop_source), head + "{ call clock_sleep(3_600_000_000_000); ret }\n",
        head + "{ call read(STDIN, b, 1); ret }\n"}) {
    Process process = process_of(engine, source, options);
    std::thread other([&process] {
      std::this_thread::sleep_for(20ms);
      process.interrupt();
    });
    const Outcome outcome = run(process);
    other.join();
    CHECK(outcome.kind == Kind::interrupted);
  }
}

TEST_CASE("an interrupt before run() counts") {
  const Engine engine(test::engine_options());
  Process process = process_of(engine, loop_source);
  process.interrupt();
  CHECK(run(process).kind == Kind::interrupted);
}

TEST_CASE("processes on many threads at once") {
  const Engine engine(test::engine_options());
  const Module module = assembled(engine,
                                  "module m\n"
                                  "func fib(n: i32) -> i32 {\n"
                                  "    if i32.lt_s n, 2 { ret n }\n"
                                  "    ret (i32.add (call fib((i32.sub n, 1))), "
                                  "(call fib((i32.sub n, 2))))\n"
                                  "}\n"
                                  "export func main() -> i32 { ret (call fib(20)) }\n");
  std::atomic<int> right{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 5; ++i) {
        ProcessOptions options;
        options.limits.time = 1h;
        Result<Process> process = Process::create(engine, module, options);
        if (!process) continue;
        const Result<Outcome> outcome = process->run();
        if (outcome && outcome->exit_code == 6765) ++right;
      }
    });
  }
  for (std::thread& each : threads) each.join();
  CHECK(right == 20);
}

TEST_CASE("streams, arguments and environment are what was given") {
  const Engine engine(test::engine_options());
  Pipe output;
  ProcessOptions options;
  options.output = output.ends[1];
  options.arguments = {"name", "second"};
  options.environment = {{"KEY", "value"}};
  Process process = process_of(engine,
                               "module m\n"
                               "use std.sys\n"
                               "reserve buffer 100\n"
                               "export func main() -> i32 {\n"
                               "    var n: i32\n"
                               "    call args_get(1, buffer, 100) -> n\n"
                               "    call write(STDOUT, buffer, n)\n"
                               "    call env_get(0, buffer, 100) -> n\n"
                               "    call write(STDOUT, buffer, n)\n"
                               "    ret (i32.add (call args_count()), (call env_count()))\n"
                               "}\n",
                               options);
  CHECK(run(process).exit_code == 3);
  CHECK(output.text() == "secondKEY=value");
}

TEST_CASE("a process without streams has none") {
  const Engine engine(test::engine_options());
  Process process =
      process_of(engine,
                 "module m\nuse std.sys\nreserve b 1\n"
                 "export func main() -> i32 { ret (i32.sub 0, (call write(STDOUT, b, 1))) }\n");
  CHECK(run(process).exit_code == 8);  // badf
}

TEST_CASE("inspection") {
  const Engine engine(test::engine_options());
  const Module module = assembled(engine,
                                  "module m\nuse std.sys\nmemory 65536 .. 131072\ndata d = \"hi\"\n"
                                  "export func main() -> i32 { ret (call write(STDOUT, d, 2)) }\n");
  const ModuleInfo info = module.info();
  CHECK(info.name == "m");
  CHECK(info.file_bytes == module.bytes().size());
  CHECK(info.data_bytes == 2);
  CHECK_FALSE(info.has_start);
  REQUIRE(info.imports.size() == 1);
  CHECK(info.imports[0].name == "write");
  CHECK(info.imports[0].is_host_call);
  CHECK(info.imports[0].object == "stream or file");
  REQUIRE(info.exports.size() == 1);
  CHECK(info.exports[0].type == "() -> i32");
  REQUIRE(info.functions.size() == 1);
  CHECK(info.functions[0].name == "main");
  CHECK(info.functions[0].location == "test.atoll:5");
  REQUIRE(info.memories.size() == 1);
  CHECK(info.memories[0].max_bytes == 131072);
  std::uint64_t end = 8;
  for (const SectionInfo& section : info.sections) {
    CHECK(section.offset > end);
    end = section.offset + section.size;
  }
  CHECK(end == info.file_bytes);
}

TEST_CASE("tools") {
  const Source main{
      "main.atoll",
      "module m\nextern func f() -> i32\nexport func main() -> i32 { ret (call f()) }\n"};
  const Source other{"f.atoll", "module f\nexport func f() -> i32 { ret 5 }\n"};
  tools::AssembleOptions options;
  options.object = true;
  const tools::Assembly a = tools::assemble(main, options);
  const tools::Assembly b = tools::assemble(other, options);
  REQUIRE(a.ok());
  REQUIRE(b.ok());
  const std::vector<tools::LinkInput> inputs = {{"a", a.bytes}, {"b", b.bytes}};
  const Result<std::string> linked = tools::link(inputs);
  REQUIRE(linked.ok());
  const Engine engine(test::engine_options());
  const Result<Module> module = Module::load(engine, *linked);
  REQUIRE(module.ok());
  Result<Process> process = Process::create(engine, *module);
  REQUIRE(process.ok());
  CHECK(run(*process).exit_code == 5);

  const Result<std::string> alone = tools::link(std::span(inputs).first(1));
  REQUIRE_FALSE(alone.ok());
  CHECK(alone.error().code == ErrorCode::not_found);
  CHECK_FALSE(tools::link({}).ok());
  CHECK_FALSE(tools::disassemble("nonsense").ok());

  const Result<std::string> text = tools::disassemble(*linked);
  REQUIRE(text.ok());
  const tools::Assembly again = tools::assemble({"again.atoll", *text});
  REQUIRE(again.ok());
  CHECK(again.bytes == *linked);

  const tools::Formatted once = tools::format({"x", "func  f( ){\nret // c\n}\n"});
  REQUIRE(once.ok());
  CHECK(once.text.find("// c") != std::string::npos);
  CHECK(tools::format({"x", once.text}).text == once.text);
  CHECK_FALSE(tools::format({"x", "func f() { \"open"}).ok());
}
