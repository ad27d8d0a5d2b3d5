// Test results as JUnit's XML, which CI systems read.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace atollvm::cli {

struct TestResult {
  bool passed = false;
  double seconds = 0;
  std::string reason;  // of a failure: "trap: unreachable"
  std::string place;   // "file:line:column", or empty
  std::string trace;   // each call in a line that begins with "\n"
  std::string output;  // what it wrote to its standard streams
  std::string error;
};

struct JunitCase {
  std::string name;
  std::uint32_t line = 0;
  const TestResult* result = nullptr;
};

struct JunitSuite {
  std::string name;
  std::vector<JunitCase> cases;
};

// The document, in UTF-8. What XML can't hold (control characters, bytes that are no UTF-8) becomes
// U+FFFD.
std::string junit_report(const std::vector<JunitSuite>& suites);

}  // namespace atollvm::cli
