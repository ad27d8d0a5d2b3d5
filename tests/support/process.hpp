// Processes for doctest programs: what must succeed is required.
#pragma once

#include <doctest/doctest.h>

#include <memory>
#include <vector>

#include "tests/support/build.hpp"
#include "tests/support/tier.hpp"
#include "vm/runtime/process.hpp"

namespace atollvm::test {

inline std::shared_ptr<const runtime::Program> program_of(const ModuleBuilder& module) {
  auto verified = verify::verify(module.module);
  REQUIRE_MESSAGE(verified.ok(), (verified.ok() ? "" : verified.error().text()));
  return runtime::Program::make(std::move(*verified));
}

inline std::unique_ptr<runtime::Process> process_of(std::shared_ptr<const runtime::Program> program,
                                                    const runtime::Options& options = {}) {
  auto made = runtime::Process::create(std::move(program), options);
  REQUIRE_MESSAGE(made.ok(), (made.ok() ? "" : made.error().text()));
  return std::move(*made);
}

inline std::unique_ptr<runtime::Process> process_of(const ModuleBuilder& module,
                                                    const runtime::Options& options = {}) {
  return process_of(program_of(module), options);
}

inline void prepare(runtime::Process& process, u32 function, const std::vector<u64>& arguments) {
  const base::Status status = process.prepare(function, arguments);
  REQUIRE_MESSAGE(status.ok(), (status.ok() ? "" : status.error().text()));
}

// Results of a call that must finish.
inline std::vector<u64> call(runtime::Process& process, u32 function,
                             const std::vector<u64>& arguments = {}) {
  prepare(process, function, arguments);
  REQUIRE(test::run_tier(process).kind == runtime::Outcome::Kind::finished);
  return {process.results().begin(), process.results().end()};
}

}  // namespace atollvm::test
