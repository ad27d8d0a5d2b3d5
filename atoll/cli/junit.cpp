#include "cli/junit.hpp"

#include <fmt/format.h>

#include "cli/xml.hpp"

namespace atollvm::cli {

namespace {

struct Sum {
  size_t tests = 0;
  size_t failures = 0;
  double seconds = 0;
};

Sum sum_of(const JunitSuite& suite) {
  Sum sum;
  for (const JunitCase& each : suite.cases) {
    ++sum.tests;
    sum.failures += !each.result->passed;
    sum.seconds += each.result->seconds;
  }
  return sum;
}

std::string attributes(const Sum& sum) {
  return fmt::format(R"(tests="{}" failures="{}" errors="0" skipped="0" time="{:.6f}")", sum.tests,
                     sum.failures, sum.seconds);
}

}  // namespace

std::string junit_report(const std::vector<JunitSuite>& suites) {
  Sum all;
  for (const JunitSuite& suite : suites) {
    const Sum sum = sum_of(suite);
    all.tests += sum.tests;
    all.failures += sum.failures;
    all.seconds += sum.seconds;
  }
  std::string text =
      fmt::format("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {}>\n", attributes(all));
  for (const JunitSuite& suite : suites) {
    const std::string file = xml_escaped(suite.name, true);
    text += fmt::format("  <testsuite name=\"{}\" {}>\n", file, attributes(sum_of(suite)));
    for (const JunitCase& each : suite.cases) {
      const TestResult& result = *each.result;
      text += fmt::format(
          R"(    <testcase classname="{0}" name="{1}" file="{0}" line="{2}" time="{3:.6f}">)", file,
          xml_escaped(each.name, true), each.line, result.seconds);
      const bool empty = result.passed && result.output.empty() && result.error.empty();
      if (!result.passed) {
        text += fmt::format("\n      <failure message=\"{}\">{}</failure>",
                            xml_escaped(result.reason, true),
                            xml_escaped(result.reason + result.trace, false));
      }
      if (!result.output.empty()) {
        text +=
            fmt::format("\n      <system-out>{}</system-out>", xml_escaped(result.output, false));
      }
      if (!result.error.empty()) {
        text +=
            fmt::format("\n      <system-err>{}</system-err>", xml_escaped(result.error, false));
      }
      text += empty ? "</testcase>\n" : "\n    </testcase>\n";
    }
    text += "  </testsuite>\n";
  }
  return text + "</testsuites>\n";
}

}  // namespace atollvm::cli
