// Replays of workloads: against queueing theory, and for what goes in and out.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <atoll/sched.hpp>
#include <cmath>
#include <string>

namespace {

using namespace atollvm;

tools::Workload workload(const std::string& text) {
  auto read = tools::read_workload("w.toml", text);
  if (!read.ok()) FAIL(read.error().text());
  return *std::move(read);
}
tools::Replay run(const std::string& text, const char* policy) {
  auto done = tools::replay(workload(text), policy);
  REQUIRE(done.ok());
  return *std::move(done);
}

// Poisson arrivals with `rate` a second.
std::string queue(double rate, const std::string& service, int cores, int seconds, int seed) {
  return fmt::format(
      "cores = {}\nseed = {}\nduration = \"{}s\"\nslice = \"50us\"\n[[task]]\n"
      "arrivals = {{ poisson = {:.3f} }}\nservice = {}\n",
      cores, seed, seconds, rate, service);
}

void check_theory(const tools::Replay& replay, const char* model, double response, double bound) {
  INFO(replay.policy << " " << model << ": " << replay.mean_response << ", due " << response);
  CHECK(replay.theory == model);
  CHECK(std::abs(replay.predicted_response / response - 1) < 1e-6);
  CHECK(std::abs(replay.mean_response / response - 1) < bound);
}

TEST_CASE("M/M/1 and processor sharing: mean response 1 / (mu - lambda)") {
  struct Row {
    double load;
    int seconds;
    double bound;
  };
  for (const Row& row : {Row{0.5, 200, 0.02}, Row{0.8, 400, 0.04}, Row{0.9, 800, 0.06}}) {
    const std::string text = queue(1000 * row.load, "{ exponential = \"1ms\" }", 1, row.seconds, 2);
    const double due = 1e-3 / (1 - row.load);
    const auto fcfs = run(text, "fcfs");
    check_theory(fcfs, "M/M/1", due, row.bound);
    CHECK(std::abs(fcfs.utilisation - row.load) < 0.01);
    CHECK(std::abs(fcfs.throughput - 1000 * row.load) < 10);
    // Response times of M/M/1 are exponential: the 99th percentile is ln 100 means.
    CHECK(std::abs(fcfs.p99_response / (due * std::log(100.0)) - 1) < 2 * row.bound);
    check_theory(run(text, "rr"), "M/M/1-PS", due, row.bound + 0.02);
  }
}

TEST_CASE("M/G/1: Pollaczek and Khinchine for fcfs, insensitive under processor sharing") {
  struct Row {
    const char* service;
    double second;  // moment, in ms^2
    double bound;
  };
  // The mean is 1 ms in all.
  for (const Row& row :
       {Row{"\"1ms\"", 1, 0.02}, Row{"{ uniform = [\"0ms\", \"2ms\"] }", 4.0 / 3, 0.02},
        Row{"{ bimodal = [\"0.5ms\", \"5.5ms\"], chance = 0.1 }", 3.25, 0.05}}) {
    const std::string text = queue(700, row.service, 1, 400, 3);
    check_theory(run(text, "fcfs"), "M/G/1", 1e-3 * (1 + 0.7 * row.second / (2 * 0.3)), row.bound);
    check_theory(run(text, "rr"), "M/G/1-PS", 1e-3 / 0.3, 0.06);
  }
}

TEST_CASE("M/M/c: Erlang C") {
  // Two cores at load r: 1 / (mu (1 - r^2)).
  check_theory(run(queue(1600, "{ exponential = \"1ms\" }", 2, 200, 4), "fcfs"), "M/M/2",
               1e-3 / (1 - 0.64), 0.03);
  // Four cores at load 0.75: the waiting probability is 0.509434.
  check_theory(run(queue(3000, "{ exponential = \"1ms\" }", 4, 100, 5), "fcfs"), "M/M/4",
               1e-3 + 0.50943396226 * 1e-3, 0.03);
}

TEST_CASE("no model where none fits") {
  const std::string task = "service = { exponential = \"1ms\" }\n";
  for (const std::string& text :
       {"duration = \"1s\"\n[[task]]\narrivals = { poisson = 1000.0 }\n" + task,
        "duration = \"1s\"\nswitch = \"1us\"\n[[task]]\narrivals = { poisson = 100.0 }\n" + task,
        "duration = \"1s\"\n[[task]]\narrivals = { periodic = \"10ms\" }\n" + task,
        "[[task]]\narrivals = { poisson = 100.0 }\ncount = 50\n" + task}) {
    CHECK(run(text, "fcfs").theory.empty());
  }
  const std::string plain = queue(500, "{ exponential = \"1ms\" }", 1, 1, 1);
  CHECK(run(plain, "sjf").theory.empty());
  CHECK(run(plain, "fair").theory.empty());
}

TEST_CASE("a schedule that can be followed by hand") {
  const std::string text =
      "slice = \"1ms\"\nswitch = \"100us\"\n[[task]]\narrivals = { at = [\"0s\", \"1ms\"] }\n"
      "service = { list = [\"3ms\", \"2ms\"] }\n";
  // 0.1 to 3.1 and 3.2 to 5.2 ms.
  const auto fcfs = run(text, "fcfs");
  CHECK(fcfs.arrived == 2);
  CHECK(fcfs.completed == 2);
  CHECK(std::abs(fcfs.elapsed - 5.2e-3) < 1e-9);
  CHECK(std::abs(fcfs.mean_response - 3.65e-3) < 1e-9);
  CHECK(std::abs(fcfs.p99_response - 4.2e-3) < 1e-9);
  CHECK(std::abs(fcfs.mean_waiting - 1.15e-3) < 1e-9);
  CHECK(std::abs(fcfs.utilisation - 5 / 5.2) < 1e-9);
  const double a = 3 / 3.1;
  const double b = 2 / 4.2;
  CHECK(std::abs(fcfs.fairness - (a + b) * (a + b) / (2 * (a * a + b * b))) < 1e-9);
  // First to 1.1, second to 2.2, first to 3.3, second to 4.4, first to 5.5 ms.
  const auto rr = run(text, "rr");
  CHECK(std::abs(rr.elapsed - 5.5e-3) < 1e-9);
  CHECK(std::abs(rr.mean_response - (5.5e-3 + 3.4e-3) / 2) < 1e-9);
}

TEST_CASE("shares: machines by weight under fair, on several cores too") {
  for (const int cores : {1, 2}) {
    const auto done =
        run(fmt::format("cores = {}\nduration = \"60s\"\n[[group]]\nname = \"a\"\nweight = 1\n"
                        "[[group]]\nname = \"b\"\nweight = 2\n[[group]]\nname = \"c\"\nweight = 5\n"
                        "[[task]]\ngroup = \"a\"\narrivals = {{ closed = 9 }}\nservice = \"30s\"\n"
                        "[[task]]\ngroup = \"b\"\narrivals = {{ closed = 5 }}\nservice = \"7ms\"\n"
                        "[[task]]\ngroup = \"c\"\narrivals = {{ closed = 3 }}\nservice = \"30s\"\n",
                        cores),
            "fair");
    REQUIRE(done.groups.size() == 3);
    const double due[] = {0.125, 0.25, 0.625};
    for (int g = 0; g < 3; ++g) {
      CHECK(std::abs(done.groups[g].share - due[g]) < 0.01);
      REQUIRE(done.groups[g].parts.size() == 50);
      for (const double part : done.groups[g].parts) CHECK(std::abs(part - due[g]) < 0.02);
    }
    CHECK(done.utilisation > 0.999);
  }
}

TEST_CASE("fair: a thousand sleepers among hogs wake within a fraction of a slice") {
  const auto done =
      run("duration = \"10s\"\nswitch = \"100ns\"\n[[task]]\narrivals = { closed = 4 }\n"
          "service = \"100s\"\n[[task]]\narrivals = { closed = 1000, think = { uniform = [\"9ms\", "
          "\"11ms\"] } }\nservice = \"2us\"\n",
          "fair");
  CHECK(done.completed > 990'000);
  CHECK(done.p99_waiting < 20e-6);
  CHECK(done.utilisation > 0.97);  // the hogs have the rest
}

TEST_CASE("the same seed gives the same replay, another one another") {
  for (const auto& policy : tools::scheduling_policies()) {
    const std::string text = queue(700, "{ exponential = \"1ms\" }", 2, 5, 9);
    const auto one = run(text, policy.name.c_str());
    const auto two = run(text, policy.name.c_str());
    CHECK(one.mean_response == two.mean_response);
    CHECK(one.response_cdf == two.response_cdf);
    CHECK(one.completed > 3000);
    CHECK(one.response_cdf.size() == 201);
    const auto other = run(queue(700, "{ exponential = \"1ms\" }", 2, 5, 10), policy.name.c_str());
    CHECK(other.mean_response != one.mean_response);
  }
}

TEST_CASE("a closed loop: as many as its processes, never more") {
  const auto done =
      run("[[task]]\narrivals = { closed = 10, think = \"5ms\" }\nservice = \"1ms\"\ncount = 20\n",
          "rr");
  CHECK(done.completed == 200);
  // Ten bursts of 1 ms in a cycle that takes at least 10 ms.
  CHECK(done.elapsed >= 0.2);
  CHECK(done.elapsed < 0.23);
}

TEST_CASE("mistakes in workload files have a place and say what to do") {
  struct Row {
    const char* text;
    const char* place;
    const char* part;
  };
  const Row rows[] = {
      {"", "w.toml:1:1", "there is no [[task]]"},
      {"seed = ", "w.toml:1:", ""},
      {"[[ =\n", "w.toml:1:4", "expected bare key"},
      {"[[taa\u0243]]\n", "w.toml:1:6", ""},
      {"\u00e9 = 1\n", "w.toml:1:1", ""},
      {"[[=\n", "w.toml:1:3", "expected bare key"},
      {"speed = 1\n", "w.toml:1:1", "a workload has no `speed`; did you mean `seed`?"},
      {"seed = -1\n", "w.toml:1:8", "from 0"},
      {"cores = 0\n", "w.toml:1:9", "from 1 to 256"},
      {"cores = 2.5\n", "w.toml:1:9", "an integer"},
      {"duration = 5\n", "w.toml:1:12", "a time such as"},
      {"duration = \"nan\"\n", "w.toml:1:12", "a time such as"},
      {"duration = \"nans\"\n", "w.toml:1:12", "a time such as"},
      {"duration = \"infs\"\n", "w.toml:1:12", "a time such as"},
      {"duration = \"-1s\"\n", "w.toml:1:12", "a time such as"},
      {"duration = \"1e300s\"\n", "w.toml:1:12", "a time such as"},
      {"duration = \"0s\"\n", "w.toml:1:12", "more than 0"},
      {"slice = \"1ns\"\n", "w.toml:1:9", "at least 100ns"},
      {"task = 1\n", "w.toml:1:8", "[[task]]"},
      {"task = [1]\n", "w.toml:1:9", "[[task]]"},
      {"[[group]]\nweight = 1\n", "w.toml:1:", "needs a `name`"},
      {"[[group]]\nname = \"a\"\n[[group]]\nname = \"a\"\n", "w.toml:3:", "already"},
      {"[[group]]\nname = \"a\"\nweight = 1000001\n", "w.toml:3:10", "1000000"},
      {"[[task]]\n", "w.toml:1:", "needs `service`"},
      {"[[task]]\nservice = \"1ms\"\n", "w.toml:1:", "needs `arrivals`"},
      {"[[task]]\nservice = \"0ms\"\n", "w.toml:2:11", "more than 0"},
      {"[[task]]\nservice = { exponential = nan }\n", "w.toml:2:27", "a time such as"},
      {"[[task]]\nservice = { uniform = [\"2ms\", \"1ms\"] }\n", "w.toml:2:23", "shorter one"},
      {"[[task]]\nservice = { uniform = [\"2ms\"] }\n", "w.toml:2:23", "two times"},
      {"[[task]]\nservice = { list = [] }\n", "w.toml:2:20", "a list of times"},
      {"[[task]]\nservice = { bimodal = [\"1ms\", \"2ms\"] }\n", "w.toml:2:11", "chance"},
      {"[[task]]\nservice = { bimodal = [\"1ms\", \"2ms\"], chance = nan }\n", "w.toml:2:48",
       "from 0 to 1"},
      {"[[task]]\nservice = { constant = \"1ms\", list = [\"1ms\"] }\n", "w.toml:2:11", "one of"},
      {"[[task]]\nservice = \"1ms\"\ngroup = \"x\"\n", "w.toml:3:9", "called `x`"},
      {"[[task]]\nservice = \"1ms\"\npriority = 32\n", "w.toml:3:12", "31"},
      {"[[task]]\nservice = \"1ms\"\narrivals = { poisson = nan }\n", "w.toml:3:24", "above 0"},
      {"[[task]]\nservice = \"1ms\"\narrivals = { poisson = -5.0 }\n", "w.toml:3:24", "above 0"},
      {"[[task]]\nservice = \"1ms\"\narrivals = { poisson = inf }\n", "w.toml:3:24", "at most"},
      {"[[task]]\nservice = \"1ms\"\narrivals = { periodic = \"0s\" }\n", "w.toml:3:25", "1ns"},
      {"[[task]]\nservice = \"1ms\"\narrivals = { at = [\"0s\"], think = \"1s\" }\n", "w.toml:3:35",
       "belongs to closed"},
      {"[[task]]\nservice = \"1ms\"\narrivals = { closed = 0 }\n", "w.toml:3:23", "from 1"},
      {"[[task]]\nservice = \"1ms\"\narrivals = { poisson = 5.0 }\n", "w.toml:1:1", "has no end"},
      {"[[task]]\nservice = \"1ms\"\narrivals = { closed = 5 }\n", "w.toml:1:1", "has no end"},
      {"duration = \"1000000s\"\n[[task]]\nservice = \"1ms\"\narrivals = { poisson = 1e9 }\n",
       "w.toml:1:1", "too large"},
      {"[[task]]\nservice = \"1ms\"\narrivals = { closed = 1000000 }\ncount = 10000000\n",
       "w.toml:1:1", "too large"},
      {"duration = \"1s\"\n[[task]]\nservice = \"1ns\"\narrivals = { closed = 1 }\n", "w.toml:1:1",
       "too large"},
  };
  for (const Row& row : rows) {
    INFO(std::string(row.text));
    const auto read = tools::read_workload("w.toml", row.text);
    REQUIRE(!read.ok());
    INFO(read.error().text());
    CHECK(read.error().place.starts_with(row.place));
    CHECK(read.error().message.find(row.part) != std::string::npos);
  }
  CHECK(!tools::read_workload("w", std::string(5 << 20, ' ')).ok());
  CHECK(!tools::read_workload("w", "a = " + std::string(100'000, '[')).ok());
  // A table for each part: toml++ takes them down by recursion.
  std::string parts = "a";
  for (int i = 0; i < 500'000; ++i) parts += ".a";
  CHECK(!tools::read_workload("w", parts + " = 1").ok());
  CHECK(!tools::read_workload("w", "[" + parts + "]").ok());
  const auto unknown = tools::replay(
      workload("[[task]]\nservice = \"1ms\"\narrivals = { at = [\"0s\"] }\n"), "best");
  REQUIRE(!unknown.ok());
  CHECK(unknown.error().code == ErrorCode::not_found);
}

}  // namespace
