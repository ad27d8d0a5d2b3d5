// Runs one script of the specification: its directives in order, all instances in one process.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tests/conformance/report.hpp"
#include "tests/support/disturb.hpp"
#include "vm/base/result.hpp"
#include "vm/runtime/memory.hpp"

namespace atollvm::conformance {

struct RunOptions {
  runtime::MemoryStrategy memory = runtime::MemoryStrategy::checked;
  unsigned seconds = 120;    // one action may take before it fails
  bool counts_fuel = false;  // without a limit
  runtime::Outcome (*tier)(runtime::Process&) = interp::run;
  test::Disturber* stress = nullptr;  // runs all of it, in its own way; null: as usual
};

// `json`: what wast2json made of a script; the modules are beside it. Errors: io or malformed (the
// file itself), limit.
base::Result<Report> run_script(const std::filesystem::path& json, const RunOptions& options);

// Runs wabt's wast2json on `script`, with the proposals that are on by the name of the script's
// folder ("tail-call", "extended-const"), into the folder `target`. Gives the JSON file. Errors:
// io (wast2json is missing, or failed: with what it said).
base::Result<std::filesystem::path> convert_script(const std::filesystem::path& script,
                                                   const std::filesystem::path& target);

}  // namespace atollvm::conformance
