// Any lines give answers that are JSON objects, one a line, whatever the streams do in between.
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string_view>

#include "scheduler/machine/protocol.hpp"
#include "tests/support/fake_operator.hpp"

using namespace atollvm;

namespace {

void check(std::string_view out) {
  while (!out.empty()) {
    const usize end = out.find('\n');
    if (end == out.npos) std::abort();
    const auto answer = nlohmann::json::parse(out.substr(0, end), nullptr, false);
    if (!answer.is_object() || answer.size() != 2 || !answer.contains("id")) std::abort();
    if (!answer.contains("result") && !answer.contains("error") && !answer.contains("event")) {
      std::abort();
    }
    out.remove_prefix(end + 1);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  test::FakeOperator machines;
  machine::Session session(machines);
  u64 now = 0;
  for (int lines = 0; !text.empty() && lines < 100; ++lines) {
    const usize end = std::min(text.find('\n'), text.size());
    std::string out;
    session.request(text.substr(0, end), now, out);
    text.remove_prefix(std::min(end + 1, text.size()));
    now += 50'000'000;
    session.advance(now, out);
    check(out);
  }
  return 0;
}
