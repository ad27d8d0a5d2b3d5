// Runs one script of the specification: its directives in order, all instances in one process.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tests/conformance/report.hpp"
#include "vm/base/result.hpp"
#include "vm/runtime/memory.hpp"

namespace atollvm::conformance {

// `json`: what wast2json made of a script; the modules are beside it. `seconds`: how long one
// action may take before it fails. Errors: io or malformed (the file itself), limit.
base::Result<Report> run_script(const std::filesystem::path& json, runtime::MemoryStrategy strategy,
                                unsigned seconds);

// Runs wabt's wast2json on `script`, with the proposals that are on by the name of the script's
// folder ("tail-call", "extended-const"), into the folder `target`. Gives the JSON file. Errors:
// io (wast2json is missing, or failed: with what it said).
base::Result<std::filesystem::path> convert_script(const std::filesystem::path& script,
                                                   const std::filesystem::path& target);

}  // namespace atollvm::conformance
