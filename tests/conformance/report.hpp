// What came of a script's directives.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "vm/base/types.hpp"

namespace atollvm::conformance {

struct Tally {
  u64 passed = 0;
  u64 failed = 0;
  u64 not_run = 0;

  Tally& operator+=(const Tally& other) {
    passed += other.passed;
    failed += other.failed;
    not_run += other.not_run;
    return *this;
  }
};

struct Report {
  struct Failure {
    u64 line = 0;
    std::string kind;  // of the directive
    std::string what;
  };

  std::map<std::string, Tally> kinds;                  // by the directive's name
  std::vector<Failure> failures;                       // in the script's order
  std::map<std::string, u64> reasons;                  // why directives were not run, how many
  std::map<std::string, std::vector<u64>> strategies;  // of memories: the modules' lines

  void pass(const std::string& kind) { ++kinds[kind].passed; }
  void fail(u64 line, const std::string& kind, std::string what) {
    ++kinds[kind].failed;
    failures.push_back({line, kind, std::move(what)});
  }
  void leave_out(const std::string& kind, const std::string& why) {
    ++kinds[kind].not_run;
    ++reasons[why];
  }
  [[nodiscard]] Tally total() const {
    Tally sum;
    for (const auto& [kind, tally] : kinds) sum += tally;
    return sum;
  }
};

}  // namespace atollvm::conformance
