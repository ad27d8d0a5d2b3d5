// doctest's own handlers of signals come and go with each test case, and would take the place of
// those under test.
#define DOCTEST_CONFIG_NO_POSIX_SIGNALS
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <unistd.h>

#include <csignal>
#include <cstring>

#include "vm/base/sanitizers.hpp"

namespace {

// The test case that runs.
char running[256];

struct Listener final : doctest::IReporter {
  explicit Listener(const doctest::ContextOptions&) {}
  void report_query(const doctest::QueryData&) override {}
  void test_run_start() override {}
  void test_run_end(const doctest::TestRunStats&) override {}
  void test_case_start(const doctest::TestCaseData& data) override {
    std::strncpy(running, data.m_name, sizeof running - 1);
  }
  void test_case_reenter(const doctest::TestCaseData&) override {}
  void test_case_end(const doctest::CurrentTestCaseStats&) override {}
  void test_case_exception(const doctest::TestCaseException&) override {}
  void subcase_start(const doctest::SubcaseSignature&) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData&) override {}
  void log_message(const doctest::MessageData&) override {}
  void test_case_skipped(const doctest::TestCaseData&) override {}
};
REGISTER_LISTENER("crashes", 1, Listener);

void tell(int signal) {
  const auto write = [](const char* text) { (void)!::write(2, text, std::strlen(text)); };
  write("TEST CASE:  ");
  write(running);
  write("\nERROR: a signal has ended it\n");
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

}  // namespace

int main(int argc, char** argv) {
  // A sanitizer tells more of it.
  if (!ATOLL_SANITIZED) {
    for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) std::signal(signal, tell);
  }
  return doctest::Context(argc, argv).run();
}
