// Guests that start processes, run by the public API: what the tests of processes share.
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>

#include <atoll/engine.hpp>
#include <atoll/module.hpp>
#include <atoll/process.hpp>

#include "tests/support/engine.hpp"
#include "vm/base/sanitizers.hpp"

namespace atollvm::test {

// Before each guest. `is` ends the process with a number that tells which check failed; `start`
// starts the function whose name is a data item.
inline constexpr const char* prelude = R"(module t
use std.sys
func is(number: i32, got: i32, wanted: i32) {
    if i32.ne got, wanted { call exit(number) }
    ret
}
func is64(number: i32, got: i64, wanted: i64) {
    if i64.ne got, wanted { call exit(number) }
    ret
}
func start(p: i32, n: i32, args: i32, count: i32, options_at: i32) -> i64 {
    ret (call spawn((call entry_find(p, n)), args, count, options_at))
}
reserve exit_info sizeof(ExitInfo) align 8
// Waits for a TAG_DOWN or TAG_EXIT message about `pid`.
func is_end(number: i32, tag: i32, pid: i64, reason: i32, code: i32) {
    call is(number, (call receive(tag, exit_info, sizeof(ExitInfo), 30_000_000_000, 0)),
        sizeof(ExitInfo))
    call is64(number, (i64.load [exit_info + ExitInfo.pid]), pid)
    call is(number, (i32.load [exit_info + ExitInfo.reason]), reason)
    call is(number, (i32.load [exit_info + ExitInfo.code]), code)
    ret
}
func nap(ms: i64) {
    call is(99, (call clock_sleep((i64.mul ms, 1_000_000))), 0)
    ret
}
)";

inline Module assembled(const Engine& engine, const std::string& body) {
  std::vector<Diagnostic> diagnostics;
  Result<Module> module =
      Module::assemble(engine, {"test.atoll", prelude + body}, no_source_files, &diagnostics);
  for (const Diagnostic& each : diagnostics) MESSAGE(to_text(each, false));
  REQUIRE(module.ok());
  return *std::move(module);
}

inline ProcessOptions on_workers(unsigned workers) {
  ProcessOptions options;
  options.scheduling.workers = workers;
  // For the suite of processes as a whole; see ProcessOptions.
  if (const char* const seed = std::getenv("ATOLL_STRESS")) {
    options.scheduling.stress = std::strtoull(seed, nullptr, 10);
  }
  return options;
}

// Data of a guest, `NAME` and `NAME_size`, that are the bytes of a module.
inline std::string data_of(const std::string& name, std::string bytes) {
  std::string text = "const " + name + "_size = " + std::to_string(bytes.size()) + "\n";
  bytes.resize((bytes.size() + 4) / 4 * 4);
  text += "data " + name + " align 8 = i32";
  for (std::size_t i = 0; i < bytes.size(); i += 4) {
    std::int32_t word = 0;
    std::memcpy(&word, bytes.data() + i, sizeof word);
    text += (i == 0 ? " " : ", ") + std::to_string(word);
  }
  return text + "\n";
}

inline Process process_of(const Engine& engine, const std::string& body,
                          const ProcessOptions& options) {
  Result<Process> process = Process::create(engine, assembled(engine, body), options);
  if (!process) MESSAGE(process.error().text());
  REQUIRE(process.ok());
  return *std::move(process);
}

inline Outcome run(Process& process) {
  Result<Outcome> outcome = process.run();
  if (!outcome) MESSAGE(outcome.error().text());
  REQUIRE(outcome.ok());
  return *std::move(outcome);
}

// Runs a guest that checks itself and gives 0 when all is well.
inline void check_guest(const std::string& body, const ProcessOptions& options) {
  const Engine engine(test::engine_options());
  Process process = process_of(engine, body, options);
  const Outcome outcome = run(process);
  CAPTURE(options.scheduling.workers);
  CAPTURE(options.scheduling.policy);
  CHECK(outcome.kind == Outcome::Kind::exited);
  for (const TraceFrame& frame : outcome.trace) MESSAGE(frame.name << " " << frame.location);
  CHECK(outcome.exit_code == 0);
}
inline void check_guest(const std::string& body) {
  for (const unsigned workers : {1u, 4u}) check_guest(body, on_workers(workers));
}

// Bytes of this program that are in memory now; nothing where that can't be known.
inline std::uint64_t resident() {
  // Emulators have their own way with memory, and sanitizers keep what was freed.
  if (std::getenv("ATOLL_EMULATED") != nullptr) return 0;
  if (ATOLL_SANITIZED) return 0;
  std::ifstream file("/proc/self/statm");
  std::uint64_t size = 0;
  std::uint64_t pages = 0;
  file >> size >> pages;
  return pages * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

// A pipe whose ends never block; what a guest writes into ends[1] is read back by text().
struct Pipe {
  Pipe() { REQUIRE(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0); }
  ~Pipe() {
    close(ends[0]);
    close(ends[1]);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  [[nodiscard]] std::string text() const {
    char buffer[4096];
    const ssize_t got = read(ends[0], buffer, sizeof buffer);
    return {buffer, got > 0 ? static_cast<size_t>(got) : 0};
  }
  int ends[2] = {-1, -1};
};

}  // namespace atollvm::test
