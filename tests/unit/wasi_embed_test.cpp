// Programs that import WASI through the C++ API: what they are given, and how they begin and end.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <string>

#include <atoll/engine.hpp>
#include <atoll/module.hpp>
#include <atoll/process.hpp>

#include "tests/support/engine.hpp"
#include "tests/support/files.hpp"

using namespace atollvm;
using Kind = Outcome::Kind;

namespace {

Module assembled(const std::string& text) {
  const Engine engine(test::engine_options());
  std::vector<Diagnostic> diagnostics;
  Result<Module> module =
      Module::assemble(engine, {"test.atoll", text}, no_source_files, &diagnostics);
  for (const Diagnostic& each : diagnostics) MESSAGE(to_text(each, false));
  REQUIRE(module.ok());
  return *std::move(module);
}

// What a program wrote and how it ended.
struct Run {
  std::string text;
  Outcome outcome;
};

Run run(const std::string& text, ProcessOptions options = {}) {
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
  Run result;
  {
    options.output = ends[1];
    Result<Process> process =
        Process::create(Engine(test::engine_options()), assembled(text), options);
    if (!process) MESSAGE(process.error().text());
    REQUIRE(process.ok());
    Result<Outcome> outcome = process->run();
    if (!outcome) MESSAGE(outcome.error().text());
    REQUIRE(outcome.ok());
    result.outcome = *std::move(outcome);
    CHECK(!process->run().ok());
  }
  char buffer[4096];
  const ssize_t size = read(ends[0], buffer, sizeof buffer);
  if (size > 0) result.text.assign(buffer, static_cast<size_t>(size));
  close(ends[0]);
  close(ends[1]);
  return result;
}

// Declarations, and `say(p, n)` to write to standard output.
const std::string prelude = R"(module m
import func fd_write(fd: i32, iovs: i32, count: i32, to: i32) -> i32 from "wasi_snapshot_preview1" "fd_write"
import func fd_prestat_get(fd: i32, to: i32) -> i32 from "wasi_snapshot_preview1" "fd_prestat_get"
import func fd_prestat_dir_name(fd: i32, p: i32, n: i32) -> i32 from "wasi_snapshot_preview1" "fd_prestat_dir_name"
import func args_get(argv: i32, texts: i32) -> i32 from "wasi_snapshot_preview1" "args_get"
import func environ_get(environ: i32, texts: i32) -> i32 from "wasi_snapshot_preview1" "environ_get"
import func proc_exit(code: i32) from "wasi_snapshot_preview1" "proc_exit"
memory 65536
reserve vector 8
reserve count 4
reserve room 1024
func say(p: i32, n: i32) {
    var error: i32
    i32.store [vector], p
    i32.store [vector + 4], n
    call fd_write(1, vector, 1, count) -> error
}
)";

}  // namespace

TEST_CASE("wasi programs: a command runs _start, whatever else it exports") {
  const Run ran = run(prelude + R"(
data one = "start"
data two = "main"
export func _start() { call say(one, 5) }
export func main() -> i32 { call say(two, 4)
    ret 7
}
export func _initialize() { call say(two, 4) }
)");
  CHECK(ran.text == "start");
  CHECK(ran.outcome.kind == Kind::exited);
  CHECK(ran.outcome.exit_code == 0);
}

TEST_CASE("wasi programs: a reactor is initialized, before main if it has one") {
  const std::string initialize = prelude + R"(
data one = "initialize "
data two = "main"
export func _initialize() { call say(one, 11) }
)";
  CHECK(run(initialize).text == "initialize ");
  CHECK(run(initialize).outcome.exit_code == 0);
  const Run ran = run(initialize + R"(
export func main() -> i32 { call say(two, 4)
    ret 7
}
)");
  CHECK(ran.text == "initialize main");
  CHECK(ran.outcome.exit_code == 7);
}

TEST_CASE("wasi programs: entries of other types are none") {
  for (const char* entry :
       {"export func _start() -> i32 { ret 1 }\n", "export func _start(x: i32) { ret }\n",
        "export func _initialize() -> i32 { ret 1 }\n",
        "export func main(argc: i32, argv: i32) -> i32 { ret 1 }\n"}) {
    CAPTURE(entry);
    Result<Process> process =
        Process::create(Engine(test::engine_options()), assembled(prelude + entry));
    REQUIRE(process.ok());
    const Result<Outcome> outcome = process->run();
    REQUIRE(!outcome.ok());
    CHECK(outcome.error().code == ErrorCode::not_found);
  }
}

TEST_CASE("wasi programs: exit codes are as given") {
  for (const std::uint32_t code : {0u, 1u, 125u, 126u, 255u, 4294967295u}) {
    const Run ran = run(prelude + "export func _start() { call proc_exit(" +
                        std::to_string(static_cast<std::int32_t>(code)) + ")\n unreachable }\n");
    CHECK(ran.outcome.kind == Kind::exited);
    CHECK(ran.outcome.exit_code == code);
  }
}

TEST_CASE("wasi programs: arguments, variables and preopened directories") {
  test::ScratchDirectory scratch;
  ProcessOptions options;
  options.arguments = {"prog", "x y"};
  options.environment = {{"A", "1"}};
  options.directories = {{scratch.path().string(), "/data", true},
                         {scratch.path().string(), ".", false}};
  const Run ran = run(prelude + R"(
export func _start() {
    var error: i32, fd: i32 = 3, n: i32
    call args_get(room, room + 100) -> error
    call say(room + 100, 8)
    call environ_get(room, room + 100) -> error
    call say(room + 100, 3)
    while i32.eqz (call fd_prestat_get(fd, room)) {
        i32.load n, [room + 4]
        call fd_prestat_dir_name(fd, room + 100, n) -> error
        call say(room + 100, n)
        i32.add fd, fd, 1
    }
    call proc_exit(fd)
}
)",
                      options);
  CHECK(ran.text == std::string("prog\0x yA=1/data.", 17));
  CHECK(ran.outcome.exit_code == 5);
}

// A file is made, written and read again in each, and the directory of the host stays as it is.
TEST_CASE("wasi programs: mounts are preopened directories, behind the others") {
  test::ScratchDirectory scratch;
  test::put_text(scratch / "file", "below");
  ProcessOptions options;
  options.directories = {{scratch.path().string(), "/d", false}};
  for (const std::string& text :
       {std::string("memory::/tmp:size=1M"), "overlay:" + scratch.path().string() + ":/o",
        std::string("memory::/full:size=1k")}) {
    auto mount = parse_mount(text);
    REQUIRE(mount.ok());
    options.mounts.push_back(*std::move(mount));
  }
  const std::string program = prelude + R"(
import func path_open(fd: i32, dirflags: i32, p: i32, n: i32, oflags: i32, base: i64, inheriting: i64, fdflags: i32, to: i32) -> i32 from "wasi_snapshot_preview1" "path_open"
import func fd_pread(fd: i32, iovs: i32, n: i32, at: i64, to: i32) -> i32 from "wasi_snapshot_preview1" "fd_pread"
data name = "file"
reserve to 16
func try(dir: i32) -> i32 {
    var error: i32, fd: i32, n: i32
    // Creates, to read and write.
    call path_open(dir, 0, name, 4, 1, 70, 0, 0, to) -> error
    if i32.ne error, 0 { ret error }
    i32.load fd, [to]
    i32.store [vector], name
    i32.store [vector + 4], 4
    call fd_write(fd, vector, 1, count) -> error
    if i32.ne error, 0 { ret error }
    i32.store [vector], room
    i32.store [vector + 4], 100
    call fd_pread(fd, vector, 1, 0, count) -> error
    if i32.ne error, 0 { ret error }
    i32.load n, [count]
    call say(room, n)
    ret 0
}
export func _start() {
    var error: i32, fd: i32 = 3, n: i32
    while i32.eqz (call fd_prestat_get(fd, room)) {
        i32.load n, [room + 4]
        call fd_prestat_dir_name(fd, room + 100, n) -> error
        call say(room + 100, n)
        call try(fd) -> error
        i32.store8 [room], (i32.add error, 48)
        call say(room, 1)
        i32.add fd, fd, 1
    }
    call proc_exit(fd)
}
)";
  const Run ran = run(program, options);
  // 76 (notcapable) is '|', 51 (nospc) is 'c'.
  CHECK(ran.text == "/d|/tmpfile0/ofilew0/fullc");
  CHECK(ran.outcome.exit_code == 7);
  CHECK(test::text_of(scratch / "file") == "below");
  CHECK(!parse_mount("memory").ok());
  CHECK(parse_mount("memory").error().code == ErrorCode::usage);
  options.mounts = {{"tape", "", "/t"}};
  const Result<Process> refused =
      Process::create(Engine(test::engine_options()), assembled(program), options);
  REQUIRE(!refused.ok());
  CHECK(refused.error().code == ErrorCode::usage);
}

TEST_CASE("wasi programs: a process without streams and directories has neither") {
  const Run ran = run(prelude + R"(
export func _start() {
    var error: i32
    i32.store [vector + 4], 1
    call fd_write(2, vector, 1, count) -> error
    if i32.ne error, 8 { call proc_exit(1) }
    call fd_prestat_get(3, room) -> error
    if i32.ne error, 8 { call proc_exit(2) }
    call proc_exit(42)
}
)");
  CHECK(ran.outcome.exit_code == 42);
}

TEST_CASE("wasi programs: the older edition, and calls of Atoll's beside WASI's") {
  test::ScratchDirectory scratch;
  test::put_text(scratch / "file", "content");
  ProcessOptions options;
  options.directories = {{scratch.path().string(), "/", false}};
  const Run ran = run(R"(module m
import func fd_seek(fd: i32, offset: i64, whence: i32, to: i32) -> i32 from "wasi_unstable" "fd_seek"
import func path_open(fd: i32, dirflags: i32, p: i32, n: i32, oflags: i32, base: i64, inheriting: i64, fdflags: i32, to: i32) -> i32 from "wasi_unstable" "path_open"
import func open(dir: i32, p: i32, n: i32, flags: i32, rights: i32) -> i32 from "atoll" "open"
import func read(h: i32, p: i32, n: i32) -> i32 from "atoll" "read"
import func write(h: i32, p: i32, n: i32) -> i32 from "atoll" "write"
memory 65536
data name = "file"
reserve to 16
reserve buffer 100
export func main() -> i32 {
    var error: i32, fd: i32, n: i32
    // A descriptor of WASI's, moved by WASI's call, read by Atoll's.
    call path_open(3, 0, name, 4, 0, 6, 0, 0, to) -> error
    if i32.ne error, 0 { ret 1 }
    i32.load fd, [to]
    call fd_seek(fd, 3, 2, to) -> error      // from the start, in this edition
    if i32.ne error, 0 { ret 2 }
    call read(fd, buffer, 100) -> n
    call write(1, buffer, n) -> n
    // A handle of Atoll's, opened through a directory of WASI's.
    call open(3, name, 4, 0, 1) -> fd
    if i32.lt_s fd, 0 { ret 3 }
    call fd_seek(fd, 5, 2, to) -> error
    if i32.ne error, 0 { ret 4 }
    call read(fd, buffer, 100) -> n
    call write(1, buffer, n) -> n
    // What was given to be read is not opened to be written, by either.
    call open(3, name, 4, 0, 3) -> n
    if i32.ne n, -76 { ret 5 }
    call path_open(3, 0, name, 4, 0, 66, 0, 0, to) -> error
    ret error
}
)",
                      options);
  CHECK(ran.outcome.exit_code == 76);
  CHECK(ran.text == "tentnt");
}

TEST_CASE("wasi programs: a limit of fuel in the middle of a start is gone on from") {
  ProcessOptions options;
  options.limits.fuel = 1;
  Result<Process> process = Process::create(Engine(test::engine_options()), assembled(prelude + R"(
export func _initialize() { }
export func main() -> i32 { ret 3 }
)"),
                                            options);
  REQUIRE(process.ok());
  int turns = 0;
  Result<Outcome> outcome = process->run();
  for (; outcome.ok() && outcome->kind == Kind::out_of_fuel && turns < 100; ++turns) {
    process->add_fuel(1);
    outcome = process->run();
  }
  REQUIRE(outcome.ok());
  CHECK(outcome->kind == Kind::exited);
  CHECK(outcome->exit_code == 3);
}
