// `atoll test`.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <mutex>
#include <thread>

#include <atoll/tools.hpp>

#include "cli/command.hpp"
#include "cli/junit.hpp"
#include "cli/process_options.hpp"

namespace atollvm::cli {

namespace {

using Clock = std::chrono::steady_clock;

constexpr AppText test_about = {
    "test", "[OPTIONS] FILE...",
    "Runs the tests of sources: the functions marked so, `test func NAME() { ... }`. Each runs in "
    "a "
    "process\nof its own. It passes when it returns; a trap, a limit or an exit code other than 0 "
    "is a failure.",
    "  atoll test sum.atoll\n"
    "  atoll test --filter overflow src/*.atoll   those with this in their names\n"
    "  atoll test --dir-ro data --time 1s x.atoll  with a directory, at most 1 s each\n"
    "  atoll test --junit report.xml src/*.atoll  a report for CI too\n"
    "\nExit codes: 0 all passed; 1 a test failed, or there was none to run; 2 wrong command line,\n"
    "or a mistake in a source."};

constexpr off_t max_captured = 16 << 20;  // bytes of each stream; writing more fails
constexpr size_t max_shown = 64 << 10;

struct TestOptions {
  EngineOptions engine;
  ProcessOptions process;
  std::vector<std::string> files;
  std::string filter;
  std::string junit;
  std::uint64_t jobs = std::max(1u, std::thread::hardware_concurrency());
  bool list = false;
  bool verbose = false;
};

struct Suite {
  std::string name;  // of the file
  Module module;
};

struct Case {
  const Suite* suite;
  tools::Test test;
  TestResult result;
  bool done = false;
};

// A file in memory that takes what a guest writes.
class Capture {
 public:
  explicit Capture(const char* name) : fd_(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING)) {
    if (fd_ >= 0 && (ftruncate(fd_, max_captured) != 0 ||
                     fcntl(fd_, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK) != 0)) {
      close(fd_);
      fd_ = -1;
    }
  }
  ~Capture() {
    if (fd_ >= 0) close(fd_);
  }
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;
  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] std::string text() const {
    const off_t size = std::clamp<off_t>(lseek(fd_, 0, SEEK_CUR), 0, max_captured);
    std::string text(static_cast<size_t>(size), '\0');
    const ssize_t got = pread(fd_, text.data(), text.size(), 0);
    text.resize(static_cast<size_t>(std::max<ssize_t>(got, 0)));
    return text;
  }

 private:
  int fd_;
};

void judge(const Outcome& outcome, TestResult& result) {
  switch (outcome.kind) {
    case Outcome::Kind::exited:
      result.passed = outcome.exit_code == 0;
      if (!result.passed) result.reason = fmt::format("exit code {}", outcome.exit_code);
      return;
    case Outcome::Kind::trapped:
      result.reason = fmt::format("trap: {}", to_text(outcome.trap));
      break;
    default:
      result.reason = to_text(outcome.trap);
      break;
  }
  result.trace = trace_text(outcome.trace);
  // The place in the test, not in the library function that checks.
  for (const TraceFrame& frame : outcome.trace) {
    if (frame.location.empty() || frame.location.starts_with("std.")) continue;
    result.place = printable(frame.location);
    break;
  }
}

// Runs one test. A process whose time is over may have a host call under way that does not end: it
// is kept for as long as the command lives, and `stuck` is set.
void run_test(const Engine& engine, const TestOptions& options, int input, Case& job,
              std::atomic<bool>& stuck) {
  TestResult& result = job.result;
  const Capture output("stdout");
  const Capture error("stderr");
  if (output.fd() < 0 || error.fd() < 0) {
    result.reason = "no file in memory for its output";
    return;
  }
  ProcessOptions process_options = options.process;
  process_options.arguments = {job.suite->name};
  process_options.input = input;
  process_options.output = output.fd();
  process_options.error = error.fd();
  Result<Process> process = Process::create(engine, job.suite->module, process_options);
  if (!process) {
    result.reason = printable(process.error().text());
    return;
  }
  const Clock::time_point begin = Clock::now();
  const Result<Outcome> outcome = process->run("test " + job.test.name);
  result.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  if (!outcome) {
    result.reason = printable(outcome.error().text());
    return;
  }
  note_stress(process->stats());
  judge(*outcome, result);
  if (outcome->kind == Outcome::Kind::time_limit) {
    stuck = true;
    new Process(*std::move(process));
  }
  result.output = output.text();
  result.error = error.text();
}

// What a guest wrote, each line indented, fit for a terminal.
std::string indented(std::string_view title, std::string_view text) {
  if (text.empty()) return {};
  std::string result = fmt::format("  {}:\n", title);
  const std::string_view shown = text.substr(0, max_shown);
  for (size_t at = 0; at < shown.size();) {
    const size_t end = std::min(shown.find('\n', at), shown.size());
    result += "    " + printable(shown.substr(at, end - at)) + "\n";
    at = end + 1;
  }
  if (shown.size() < text.size()) {
    result += fmt::format("    ... {} bytes more\n", text.size() - shown.size());
  }
  return result;
}

std::string report(const Case& job, bool verbose) {
  const TestResult& result = job.result;
  std::string text = fmt::format("{} {}: {}", result.passed ? "ok" : "FAILED",
                                 printable(job.suite->name), job.test.name);
  if (verbose) text += fmt::format(" ({:.1f} ms)", result.seconds * 1000);
  if (!result.passed) {
    text += ": " + result.reason;
    if (!result.place.empty()) text += " at " + result.place;
    text += result.trace;
  }
  text += '\n';
  if (!result.passed || verbose) {
    text += indented("standard output", result.output) + indented("standard error", result.error);
  }
  return text;
}

// Assembles the files. Nothing: a mistake, which was shown.
std::optional<std::vector<Case>> load(const Engine& engine, const TestOptions& options,
                                      std::vector<std::unique_ptr<Suite>>& suites) {
  std::vector<Case> cases;
  std::vector<Diagnostic> diagnostics;
  bool good = true;
  tools::AssembleOptions assemble_options;
  assemble_options.tests = true;
  for (const std::string& path : options.files) {
    std::optional<std::string> text = read_or_complain(path);
    if (!text) {
      good = false;
      continue;
    }
    const std::string name = display_name(path);
    const tools::Assembly assembly = tools::assemble({name, *std::move(text)}, assemble_options);
    diagnostics.insert(diagnostics.end(), assembly.diagnostics.begin(), assembly.diagnostics.end());
    if (!assembly.ok()) continue;
    Result<Module> module = Module::load(engine, assembly.bytes);
    if (!module) {
      complain(printable(name + ": " + module.error().text()));
      good = false;
      continue;
    }
    suites.push_back(std::make_unique<Suite>(Suite{name, *std::move(module)}));
    for (const tools::Test& test : assembly.tests) {
      if (test.name.find(options.filter) == test.name.npos) continue;
      cases.push_back({suites.back().get(), test, {}, false});
    }
  }
  if (!diagnostics.empty()) show(diagnostics);
  if (!good || !diagnostics.empty()) return std::nullopt;
  return cases;
}

// Runs all, several at once, and prints each result in the order of the cases as soon as it and
// those before it are there. Gives the exit code of the printing.
int run_all(const Engine& engine, const TestOptions& options, std::vector<Case>& cases,
            std::atomic<bool>& stuck) {
  const int input = open("/dev/null", O_RDONLY | O_CLOEXEC);
  std::atomic<size_t> next{0};
  std::mutex printing;
  size_t printed = 0;
  int code = exit_ok;
  const auto work = [&] {
    for (size_t i = next++; i < cases.size(); i = next++) {
      run_test(engine, options, input, cases[i], stuck);
      const std::lock_guard lock(printing);
      cases[i].done = true;
      for (; printed < cases.size() && cases[printed].done; ++printed) {
        if (code == exit_ok) code = write_output("-", report(cases[printed], options.verbose));
      }
    }
  };
  std::vector<std::thread> threads;
  const size_t count = std::min<size_t>(options.jobs, cases.size());
  for (size_t i = 1; i < count; ++i) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
  if (!stuck) close(input);
  return code;
}

int write_junit(const TestOptions& options, const std::vector<Case>& cases) {
  std::vector<JunitSuite> suites;
  for (const Case& job : cases) {
    if (suites.empty() || suites.back().name != job.suite->name) {
      suites.push_back({job.suite->name, {}});
    }
    suites.back().cases.push_back({job.test.name, job.test.line, &job.result});
  }
  return write_output(options.junit, junit_report(suites));
}

}  // namespace

int test_command(int argc, char** argv) {
  TestOptions options;
  options.process.limits.time = std::chrono::seconds(10);
  CLI::App app;
  describe(app, test_about);
  app.add_option("FILE", options.files, "Sources, or `-`")->required()->type_name("");
  app.add_option("--filter", options.filter, "Only tests with TEXT in their names")
      ->type_name("TEXT");
  app.add_flag("--list", options.list, "Only list the tests");
  app.add_flag("--verbose", options.verbose, "Times, and also what passing tests write");
  app.add_option("--junit", options.junit, "Write a report in JUnit's XML")->type_name("FILE");
  add_count(app, "--jobs", "Tests to run at once (as many as processors)",
            [&options](std::uint64_t number) {
              if (number == 0 || number > 1024) {
                throw CLI::ValidationError("--jobs", "1 to 1024");
              }
              options.jobs = number;
            });
  add_process_options(app, options.engine, options.process);
  if (const auto code = parse(app, argc, argv)) return *code;

  const Engine engine(options.engine);
  std::vector<std::unique_ptr<Suite>> suites;
  std::optional<std::vector<Case>> cases = load(engine, options, suites);
  if (!cases) return exit_usage;
  if (options.list) {
    std::string text;
    for (const Case& job : *cases) text += job.suite->name + ": " + job.test.name + "\n";
    return write_output("-", text);
  }
  std::atomic<bool> stuck{false};
  int code = run_all(engine, options, *cases, stuck);
  const auto passed = static_cast<size_t>(std::count_if(
      cases->begin(), cases->end(), [](const Case& job) { return job.result.passed; }));
  if (code == exit_ok) {
    code = write_output("-", fmt::format("{} passed, {} failed\n", passed, cases->size() - passed));
  }
  if (!options.junit.empty()) {
    const int written = write_junit(options, *cases);
    if (code == exit_ok) code = written;
  }
  if (cases->empty()) complain("test: no test to run");
  if (code == exit_ok && (cases->empty() || passed != cases->size())) code = exit_failure;
  if (stuck) std::_Exit(code);
  return code;
}

}  // namespace atollvm::cli
