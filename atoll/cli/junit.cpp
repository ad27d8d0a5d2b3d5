#include "cli/junit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace atollvm::cli {

namespace {

constexpr std::string_view replacement = "\xef\xbf\xbd";

// The bytes of the character at `at` that XML 1.0 allows (section 2.2), or 0.
size_t character(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) -> std::uint32_t {
    return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0;
  };
  const std::uint32_t first = byte(0);
  if (first < 0x80) return first >= 0x20 || first == '\n' || first == '\t' || first == '\r';
  const size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  std::uint32_t value = first & (0x7f >> length);
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
    value = value << 6 | (byte(i) & 0x3f);
  }
  constexpr std::uint32_t least[] = {0x80, 0x800, 0x10000};
  const bool allowed = first >= 0xc2 && value >= least[length - 2] && value <= 0x10ffff &&
                       (value < 0xd800 || value > 0xdfff) && value != 0xfffe && value != 0xffff;
  return allowed ? length : 0;
}

// For text, and for attributes in double quotes.
std::string escaped(std::string_view text, bool attribute) {
  std::string result;
  result.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const size_t length = character(text, at);
    if (length == 0) {
      result += replacement;
      ++at;
      continue;
    }
    switch (text[at]) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      case '\n':
      case '\t':
      case '\r':  // as they are, a reader makes others of them
        if (attribute || text[at] == '\r') {
          result += fmt::format("&#{};", static_cast<int>(text[at]));
        } else {
          result += text[at];
        }
        break;
      default:
        result += text.substr(at, length);
        break;
    }
    at += length;
  }
  return result;
}

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
    const std::string file = escaped(suite.name, true);
    text += fmt::format("  <testsuite name=\"{}\" {}>\n", file, attributes(sum_of(suite)));
    for (const JunitCase& each : suite.cases) {
      const TestResult& result = *each.result;
      text += fmt::format(
          R"(    <testcase classname="{0}" name="{1}" file="{0}" line="{2}" time="{3:.6f}">)", file,
          escaped(each.name, true), each.line, result.seconds);
      const bool empty = result.passed && result.output.empty() && result.error.empty();
      if (!result.passed) {
        text +=
            fmt::format("\n      <failure message=\"{}\">{}</failure>",
                        escaped(result.reason, true), escaped(result.reason + result.trace, false));
      }
      if (!result.output.empty()) {
        text += fmt::format("\n      <system-out>{}</system-out>", escaped(result.output, false));
      }
      if (!result.error.empty()) {
        text += fmt::format("\n      <system-err>{}</system-err>", escaped(result.error, false));
      }
      text += empty ? "</testcase>\n" : "\n    </testcase>\n";
    }
    text += "  </testsuite>\n";
  }
  return text + "</testsuites>\n";
}

}  // namespace atollvm::cli
