#include <atoll/module.hpp>
#include <atoll/process.hpp>
#include <cstdio>

// Runs the source of a program that nobody trusts: it may print, but it has 1 s, 16 MiB and no
// files. Gives its exit code, or -1.
int run_untrusted(const std::string& source) {
  const atollvm::Engine engine;
  auto module =
      atollvm::Module::assemble(engine, {"plugin.atoll", source}, atollvm::no_source_files);
  if (!module) {
    std::fprintf(stderr, "%s\n", module.error().text().c_str());
    return -1;
  }
  atollvm::ProcessOptions options;
  options.output = 1;
  options.limits.memory_bytes = 16 << 20;
  options.limits.time = std::chrono::seconds(1);
  auto process = atollvm::Process::create(engine, *module, options);
  if (!process) {
    std::fprintf(stderr, "%s\n", process.error().text().c_str());
    return -1;
  }
  auto outcome = process->run();
  if (!outcome) {
    std::fprintf(stderr, "%s\n", outcome.error().text().c_str());
    return -1;
  }
  if (outcome->kind == atollvm::Outcome::Kind::exited) return static_cast<int>(outcome->exit_code);
  std::fprintf(stderr, "stopped: %s\n", std::string(to_text(outcome->trap)).c_str());
  for (const atollvm::TraceFrame& frame : outcome->trace) {
    std::fprintf(stderr, "  at %s (%s)\n", frame.name.c_str(), frame.location.c_str());
  }
  return -1;
}
// End of the example in docs/embedding.md.

#include <doctest/doctest.h>

#include "tests/support/example.hpp"

TEST_CASE("the example in docs/embedding.md is the one above, and works") {
  atollvm::test::check_example("tests/unit/embedding_example_test.cpp", "docs/embedding.md");

  CHECK(run_untrusted("module p\nexport func main() -> i32 { ret 42 }\n") == 42);
  CHECK(run_untrusted("module p\nexport func main() { loop { } }\n") == -1);
  CHECK(run_untrusted("module p\nmemory 17 << 20\nexport func main() { ret }\n") == -1);
  CHECK(run_untrusted("module p\nexport func main() { rte }\n") == -1);
}
