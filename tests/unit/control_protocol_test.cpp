// The control protocol without a socket: docs/control.md word for word, streams, mistakes.
#include <doctest/doctest.h>

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "scheduler/machine/protocol.hpp"
#include "tests/support/fake_operator.hpp"

namespace {

using namespace atollvm;
using Json = nlohmann::json;

constexpr u64 ms = 1'000'000;

std::vector<Json> lines_of(const std::string& out) {
  std::vector<Json> result;
  std::istringstream stream(out);
  for (std::string line; std::getline(stream, line);) {
    result.push_back(Json::parse(line, nullptr, false));
    REQUIRE(result.back().is_object());
  }
  return result;
}

struct Fixture {
  test::FakeOperator machines;
  machine::Session session{machines};
  u64 now = 1000 * ms;

  std::vector<Json> ask(const std::string& line) {
    std::string out;
    session.request(line, now, out);
    return lines_of(out);
  }
  // The only answer's error, as text.
  std::string mistake(const std::string& line) {
    const auto answers = ask(line);
    if (answers.size() != 1 || !answers[0].contains("error")) return "no error";
    const Json& error = answers[0]["error"];
    return error.value("code", "?") + " " + error.value("place", "") + ": " +
           error.value("message", "?");
  }
  std::vector<Json> after(u64 time) {
    now += time;
    std::string out;
    session.advance(now, out);
    return lines_of(out);
  }
};

TEST_CASE_FIXTURE(Fixture, "the conversation of docs/control.md") {
  std::ifstream page(ATOLL_SOURCE_DIR "/docs/control.md");
  // The lines of its blocks; those that go on are indented.
  std::vector<std::string> lines;
  bool is_inside = false;
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with("```")) {
      is_inside = !is_inside;
    } else if (is_inside && line.starts_with("   ")) {
      lines.back() += line;
    } else if (is_inside) {
      lines.push_back(line);
    }
  }
  usize asked = 0;
  std::vector<Json> answers;
  for (const std::string& line : lines) {
    INFO(line);
    if (line.starts_with("> ")) {
      CHECK(answers.empty());
      answers = ask(line.substr(2));
      ++asked;
      continue;
    }
    REQUIRE(line.starts_with("< "));
    Json expected = Json::parse(line.substr(2));
    if (answers.empty()) answers = after(250 * ms);
    REQUIRE(!answers.empty());
    for (const char* key : {"pid", "version"}) {
      if (expected.contains("result") && expected["result"].contains("protocol")) {
        expected["result"][key] = answers[0]["result"].at(key);
      }
    }
    CHECK(answers[0] == expected);
    answers.erase(answers.begin());
  }
  CHECK(answers.empty());
  CHECK(asked == 10);
}

TEST_CASE_FIXTURE(Fixture, "requests that are wrong") {
  CHECK(mistake("") == "malformed : not a JSON object");
  CHECK(mistake("[1]") == "malformed : not a JSON object");
  CHECK(mistake("{\"id\":1,\"request\":\"info\"") == "malformed : not a JSON object");
  CHECK(mistake("{\"id\":\"\xff\"}") == "malformed : not a JSON object");
  CHECK(mistake(std::string(100'000, '[')) == "malformed : nested in more than 32 levels");
  CHECK(mistake("{}") == "invalid : needs `request`: the name of one");
  CHECK(mistake(R"({"request": 5})") == "invalid request: needs `request`: the name of one");
  CHECK(mistake(R"({"request": "halt"})") == "unsupported request: there is no request `halt`");
  CHECK(mistake(R"({"v": 2, "request": "info"})") ==
        "unsupported v: this speaks version 1 of the protocol");
  CHECK(mistake(R"({"id": 1.5, "request": "info"})") ==
        "invalid id: `id` must be a number or a text of at most 64 bytes");
  CHECK(mistake(R"({"request": "start"})") == "invalid : needs `machine`: a machine's name");
  CHECK(mistake(R"({"request": "start", "machine": "../x"})") ==
        "invalid machine: `machine` must be a machine's name");
  CHECK(mistake(R"({"request": "start", "machnie": "x"})") ==
        "invalid machnie: `start` has no `machnie`; did you mean `machine`?");
  CHECK(mistake(R"({"request": "kill", "machine": "store", "pid": 0})").starts_with("invalid pid"));
  CHECK(mistake(R"({"request": "kill", "machine": "store", "pid": 5})") ==
        "not_found store: has no process 5");
  CHECK(mistake(R"({"request": "ps", "limit": 10001})").starts_with("invalid limit"));
  CHECK(mistake(R"({"request": "ps", "after": {"pid": "x"}})").starts_with("invalid after.pid"));
  CHECK(mistake(R"({"request": "create"})").starts_with("invalid : needs `spec`"));
  CHECK(mistake(R"({"request": "create", "spec": []})")
            .starts_with("invalid spec: a machine must be a table with the keys name,"));
  CHECK(mistake(R"({"request": "create", "spec": {"name": "a", "module": "x"}})") ==
        "invalid spec.module: `module` must be an absolute path");
  CHECK(mistake(R"({"request": "create", "spec": {"name": "store", "module": "/x"}})") ==
        "usage store: there is a machine of this name");
  CHECK(mistake(R"({"request": "snapshot", "machine": "store", "file": "x"})") ==
        "invalid : needs `file`: an absolute path");
  CHECK(mistake(R"({"request": "snapshot", "machine": "store", "file": "/proc/x"})") ==
        "io /proc/x: Permission denied");
  CHECK(mistake(R"({"request": "restore", "file": "/a.txt"})") ==
        "malformed /a.txt: is no snapshot");
  CHECK(mistake(R"({"request": "logs", "machine": "none"})").starts_with("not_found"));
  CHECK(mistake(R"({"request": "top", "machine": "none"})").starts_with("not_found"));
  CHECK(mistake(R"({"request": "top", "interval": "1ms"})").starts_with("invalid interval"));
  CHECK(mistake(R"({"request": "cancel", "stream": 5})").starts_with("not_found stream"));
  CHECK(!session.due());
}

TEST_CASE_FIXTURE(Fixture, "ids are repeated as they were") {
  CHECK(ask(R"({"request": "info"})")[0]["id"].is_null());
  CHECK(ask(R"({"id": -5, "request": "info"})")[0]["id"] == -5);
  CHECK(ask(R"({"id": "a\"\n", "request": "info"})")[0]["id"] == "a\"\n");
  CHECK(ask(R"({"id": null, "request": "info"})")[0]["error"]["code"] == "invalid");
  CHECK(ask(R"({"id": 7, "request": "none"})")[0]["id"] == 7);
}

TEST_CASE_FIXTURE(Fixture, "the life of a machine") {
  const auto state = [&](const std::string& request) -> std::string {
    const Json answer = ask(R"({"machine": "batch", "request": ")" + request + "\"}").at(0);
    return answer.contains("error") ? answer["error"].value("code", "?")
                                    : answer["result"]["machine"].value("state", "?");
  };
  CHECK(state("pause") == "usage");
  CHECK(state("start") == "running");
  CHECK(state("start") == "usage");
  CHECK(state("pause") == "paused");
  CHECK(state("resume") == "running");
  CHECK(state("kill") == "ended");
  CHECK(ask(R"({"machine": "batch", "request": "machines"})")[0]["result"]["machines"].size() == 1);
  CHECK(ask(R"({"machine": "batch", "request": "destroy"})")[0]["result"] == Json::object());
  CHECK(state("start") == "not_found");
  CHECK(ask(R"({"request": "restore", "file": "/a.snap"})")[0]["result"]["machine"]["name"] ==
        "old");
  CHECK(ask(R"({"request": "restore", "file": "/a.snap", "machine": "b"})")[0]["result"]["machine"]
                                                                           ["state"] == "paused");
}

TEST_CASE_FIXTURE(Fixture, "processes in pages") {
  machines.set_processes("store", 2500);
  static_cast<void>(machines.start("batch"));
  std::string next;
  usize count = 0;
  i64 last = 0;
  for (int pages = 0; pages < 10; ++pages) {
    const Json result = ask(R"({"request": "ps")" + next + "}").at(0)["result"];
    count += result["processes"].size();
    for (const Json& each : result["processes"]) {
      if (each["machine"] != "store") continue;
      CHECK(each["pid"] > last);
      last = each["pid"];
    }
    if (!result.contains("next")) break;
    next = ", \"after\": " + result["next"].dump();
  }
  CHECK(count == 2503);
}

TEST_CASE_FIXTURE(Fixture, "a log that is followed") {
  auto answers = ask(R"({"id": 1, "request": "logs", "machine": "store", "follow": true})");
  REQUIRE(answers.size() == 1);
  CHECK(answers[0]["event"]["records"].size() == 2);
  CHECK(session.due() == now);
  CHECK(after(0).empty());
  CHECK(session.due() == now + 100 * ms);
  machines.log("store", machine::LogStream::error, 7, "\xff\x1b[31m");
  answers = after(100 * ms);
  REQUIRE(answers.size() == 1);
  CHECK(answers[0]["event"]["records"][0] == Json({{"number", 3},
                                                   {"time", 1800000003.0},
                                                   {"stream", "stderr"},
                                                   {"pid", 7},
                                                   {"text", "\xef\xbf\xbd\x1b[31m"}}));
  // More than is kept, while nobody took them: in pages, and what is lost is counted.
  for (int i = 0; i < 6000; ++i) machines.log("store", machine::LogStream::output, 7, "x");
  usize records = 0;
  u64 lost = 0;
  for (int i = 0; i < 6; ++i) {
    for (const Json& each : after(i == 0 ? 100 * ms : 0)) {
      records += each["event"]["records"].size();
      lost += each["event"].value("lost", u64{0});
    }
  }
  CHECK(records == 5000);
  CHECK(lost == 1000);
  // None of the old lines; a machine that goes takes its streams along.
  CHECK(ask(R"({"id": 2, "request": "logs", "machine": "store", "lines": 0, "follow": true})")
            .empty());
  static_cast<void>(machines.destroy("store"));
  answers = after(100 * ms);
  REQUIRE(answers.size() == 2);
  CHECK(answers[0]["id"] == 1);
  CHECK(answers[0]["error"]["code"] == "not_found");
  CHECK(answers[1]["id"] == 2);
  CHECK(!session.due());
}

TEST_CASE_FIXTURE(Fixture, "top: loads of the time between") {
  machines.set_processes("store", 30);
  CHECK(ask(R"({"id": 1, "request": "top", "interval": "2s", "count": 2})").empty());
  CHECK(session.due() == now + 250 * ms);
  CHECK(after(249 * ms).empty());
  machines.set_cpu("store", 350 * ms);
  auto answers = after(1 * ms);
  REQUIRE(answers.size() == 1);
  Json event = answers[0]["event"];
  CHECK(event["interval"] == 0.25);
  CHECK(event["machines"][1]["name"] == "store");
  CHECK(event["machines"][1]["load"] == doctest::Approx(0.4));
  CHECK(event["machines"][0]["load"] == 0);
  REQUIRE(event["processes"].size() == 2);
  CHECK(event["processes"][0]["load"] == doctest::Approx(0.4));
  CHECK(event["processes"][1]["load"] == 0);
  CHECK(session.due() == now + 2000 * ms);
  machines.set_cpu("store", 2350 * ms);
  CHECK(after(1999 * ms).empty());
  event = after(1 * ms).at(0)["event"];
  CHECK(event["machines"][1]["load"] == doctest::Approx(1.0));
  // A machine that begins anew has no more than it has used.
  machines.set_cpu("store", 100 * ms);
  CHECK(after(2000 * ms).at(0)["event"]["machines"][1]["load"] == 0);
}

TEST_CASE_FIXTURE(Fixture, "streams of a connection") {
  for (int i = 0; i < 8; ++i) {
    CHECK(ask(R"({"request": "top", "id": )" + std::to_string(i) + "}").empty());
  }
  CHECK(mistake(R"({"request": "top", "id": 3})") ==
        "usage id: a stream of this `id` is under way");
  CHECK(mistake(R"({"request": "logs", "machine": "store", "follow": true, "id": 9})") ==
        "limit : a connection has at most 8 streams at once");
  CHECK(after(250 * ms).size() == 8);
  const auto answers = ask(R"({"request": "cancel", "stream": 3, "id": 10})");
  REQUIRE(answers.size() == 2);
  CHECK(answers[0]["id"] == 3);
  CHECK(after(1000 * ms).size() == 7);
}

}  // namespace
