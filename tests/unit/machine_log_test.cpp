// Logs and restarts of machines.
#include <doctest/doctest.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "scheduler/machine/log.hpp"
#include "scheduler/machine/restarts.hpp"

namespace {

using namespace atollvm;
using machine::Log;
using machine::LogStream;
using machine::RestartRule;
using machine::Restarts;

constexpr u64 second = 1'000'000'000;

std::vector<std::string> texts(const Log& log, std::optional<u64> after = std::nullopt,
                               u32 limit = 1'000'000) {
  std::vector<std::string> result;
  for (const auto& each : log.read(after, limit)) result.push_back(each.text);
  return result;
}
using Texts = std::vector<std::string>;

TEST_CASE("lines in pieces are records when they are whole") {
  Log log;
  CHECK(log.read(std::nullopt, 10).empty());
  CHECK(log.read(0, 10).empty());
  log.write(LogStream::output, 5, "one\ntw", 1 * second);
  CHECK(texts(log) == Texts{"one"});
  log.write(LogStream::error, 5, "err\n", 2 * second);
  log.write(LogStream::output, 5, "o\n\nthr", 3 * second);
  CHECK(texts(log) == Texts{"one", "err", "two", ""});
  // Another process does not go on with the line.
  log.write(LogStream::output, 6, "six", 4 * second);
  log.say("paused", 5 * second);
  log.end(6 * second);
  log.end(6 * second);
  CHECK(texts(log) == Texts{"one", "err", "two", "", "thr", "paused", "six"});
  const auto records = log.read(4, 10);
  REQUIRE(records.size() == 3);
  CHECK(records[0].number == 5);
  CHECK(records[0].pid == 5);
  CHECK(records[0].time == 4 * second);
  CHECK(records[1].stream == LogStream::system);
  CHECK(records[2].pid == 6);
  CHECK(records[2].time == 6 * second);
}

TEST_CASE("reading the newest, and what comes after a number") {
  Log log;
  for (int i = 1; i <= 10; ++i) log.say(std::to_string(i), 0);
  CHECK(texts(log, std::nullopt, 2) == Texts{"9", "10"});
  CHECK(texts(log, std::nullopt, 0).empty());
  CHECK(texts(log, 0, 2) == Texts{"1", "2"});
  CHECK(texts(log, 8, 5) == Texts{"9", "10"});
  CHECK(texts(log, 10, 5).empty());
  CHECK(texts(log, ~u64{0}, 5).empty());
}

TEST_CASE("a log is bounded, also by hostile writers") {
  Log log;
  // Empty lines, and one without an end.
  for (int i = 0; i < 100; ++i) log.write(LogStream::output, 1, std::string(1000, '\n'), 0);
  CHECK(texts(log).size() == Log::max_bytes / 64);
  CHECK(log.read(0, 1)[0].number == 100'000 - Log::max_bytes / 64 + 1);
  for (int i = 0; i < 300; ++i) log.write(LogStream::output, 1, std::string(10'000, 'x'), 0);
  usize bytes = 0;
  for (const auto& each : log.read(std::nullopt, 1'000'000)) {
    CHECK(each.text.size() == Log::max_line);
    bytes += each.text.size();
  }
  CHECK(bytes <= Log::max_bytes);
  CHECK(bytes > Log::max_bytes - 2 * Log::max_line);
  // Exactly as long as a piece, and its newline.
  Log other;
  other.write(LogStream::output, 1, std::string(Log::max_line, 'x') + "\ny\n", 0);
  CHECK(texts(other) == Texts{std::string(Log::max_line, 'x'), "y"});
}

TEST_CASE("a log's file") {
  std::string folder = (std::filesystem::temp_directory_path() / "log.XXXXXX").string();
  REQUIRE(mkdtemp(folder.data()) != nullptr);
  const std::string path = folder + "/log";
  std::ofstream(path) << "before\n";
  {
    Log log;
    CHECK(!log.append_to(folder + "/none/log").ok());
    REQUIRE(log.append_to(path).ok());
    log.write(LogStream::error, 1, "hello\n", 1'800'000'001 * second + 250'000'000);
    log.say("started", 1'800'000'002 * second);
  }
  std::ifstream file(path);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  CHECK(text ==
        "before\n2027-01-15T08:00:01.250Z stderr hello\n2027-01-15T08:00:02.000Z system started\n");
  if (std::filesystem::exists("/dev/full")) {
    Log log;
    REQUIRE(log.append_to("/dev/full").ok());
    log.say("one", 0);
    log.say("two", 0);
    CHECK(texts(log) == Texts{"one", "the log's file is given up: No space left on device", "two"});
  }
  std::filesystem::remove_all(folder);
}

TEST_CASE("many threads write and read one log") {
  Log log;
  std::atomic<bool> stop{false};
  std::thread reader([&] {
    u64 last = 0;
    while (!stop) {
      for (const auto& each : log.read(last, 100)) {
        CHECK(each.number > last);
        last = each.number;
      }
    }
  });
  std::vector<std::thread> writers;
  for (int i = 1; i <= 4; ++i) {
    writers.emplace_back([&log, i] {
      for (int turn = 0; turn < 500; ++turn) log.write(LogStream::output, i, "a line\n", 0);
    });
  }
  for (std::thread& each : writers) each.join();
  stop = true;
  reader.join();
  CHECK(texts(log).size() == 2000);
}

TEST_CASE("restarts: what the rule wants") {
  using Kind = sched::ExitKind;
  using Verdict = Restarts::Verdict;
  RestartRule rule;
  CHECK(Restarts(rule).ended(Kind::trap, 0) == Verdict::stays);
  rule.when = RestartRule::When::on_failure;
  CHECK(Restarts(rule).ended(Kind::normal, 0) == Verdict::stays);
  for (const Kind kind : {Kind::code, Kind::trap, Kind::killed, Kind::fuel, Kind::memory}) {
    CHECK(Restarts(rule).ended(kind, 0) == Verdict::restarts);
  }
  rule.when = RestartRule::When::always;
  CHECK(Restarts(rule).ended(Kind::normal, 0) == Verdict::restarts);
  rule.intensity = 0;
  CHECK(Restarts(rule).ended(Kind::normal, 0) == Verdict::failed);
}

TEST_CASE("restarts: intensity and pauses") {
  RestartRule rule;
  rule.when = RestartRule::When::always;
  rule.intensity = 3;
  rule.within = 5 * second;
  rule.backoff = second / 10;
  rule.max_backoff = second * 3 / 10;
  Restarts restarts(rule);
  const auto end = [&](u64 now) { return restarts.ended(sched::ExitKind::trap, now); };
  u64 now = 100 * second;
  for (const u64 tenths : {1, 2, 3}) {
    CHECK(end(now) == Restarts::Verdict::restarts);
    CHECK(restarts.pause() == tenths * second / 10);
    now += restarts.pause();
  }
  CHECK(end(now) == Restarts::Verdict::failed);
  // The first of them, at 100.1 s, is 5 s ago: there is room for one.
  CHECK(end(105 * second) == Restarts::Verdict::failed);
  CHECK(end(105 * second + second / 10) == Restarts::Verdict::restarts);
  CHECK(restarts.pause() == second * 3 / 10);
  CHECK(end(105 * second + second / 5) == Restarts::Verdict::failed);
  // After a quiet time all begins anew.
  CHECK(end(200 * second) == Restarts::Verdict::restarts);
  CHECK(restarts.pause() == second / 10);
  // Pauses neither overflow nor take time to compute.
  rule.intensity = 1'000'000;
  rule.within = rule.max_backoff = 1'000'000 * second;
  Restarts many(rule);
  for (int i = 0; i < 1000; ++i) {
    CHECK(many.ended(sched::ExitKind::trap, 0) == Restarts::Verdict::restarts);
  }
  CHECK(many.pause() == rule.max_backoff);
  rule.backoff = 0;
  Restarts none(rule);
  for (int i = 0; i < 10; ++i) {
    CHECK(none.ended(sched::ExitKind::trap, 0) == Restarts::Verdict::restarts);
  }
  CHECK(none.pause() == 0);
}

}  // namespace
