// `atoll sched`.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include <nlohmann/json.hpp>

#include <atoll/sched.hpp>

#include "cli/command.hpp"
#include "cli/sched_svg.hpp"

namespace atollvm::cli {

namespace {

using tools::Replay;

// Four digits and a unit.
std::string time_text(double seconds) {
  if (seconds < 1e-3) return fmt::format("{:.4g} us", seconds * 1e6);
  if (seconds < 1) return fmt::format("{:.4g} ms", seconds * 1e3);
  return fmt::format("{:.4g} s", seconds);
}

double difference(const Replay& replay) {
  return replay.mean_response / replay.predicted_response - 1;
}

std::string table(const std::string& name, const std::vector<Replay>& replays) {
  std::string text = fmt::format("{}\n{:<9} {:>9} {:>10} {:>5} {:>11} {:>11} {:>11} {:>11} {:>8}\n",
                                 name, "policy", "done", "per second", "busy", "response", "p99",
                                 "waiting", "p99", "fairness");
  for (const Replay& each : replays) {
    text += fmt::format("{:<9} {:>9} {:>10.5g} {:>4.0f}% {:>11} {:>11} {:>11} {:>11} {:>8.3f}\n",
                        each.policy, each.completed, each.throughput, each.utilisation * 100,
                        time_text(each.mean_response), time_text(each.p99_response),
                        time_text(each.mean_waiting), time_text(each.p99_waiting), each.fairness);
  }
  for (const Replay& each : replays) {
    if (each.theory.empty()) continue;
    text += fmt::format("{}: {} predicts a mean response of {}; replayed {:+.1f} %\n", each.policy,
                        each.theory, time_text(each.predicted_response), difference(each) * 100);
  }
  const auto& groups = replays.front().groups;
  if (groups.size() < 2) return text;
  double sum = 0;
  for (const auto& group : groups) sum += group.weight;
  text += fmt::format("\n{:<16} {:>8} {:>7}", "CPU share of", "weight", "due");
  for (const Replay& each : replays) text += fmt::format(" {:>9}", each.policy);
  text += "\n";
  for (size_t g = 0; g < groups.size(); ++g) {
    text += fmt::format("{:<16} {:>8} {:>6.2f}%", groups[g].name, groups[g].weight,
                        groups[g].weight / sum * 100);
    for (const Replay& each : replays)
      text += fmt::format(" {:>8.2f}%", each.groups[g].share * 100);
    text += "\n";
  }
  return text;
}

nlohmann::ordered_json json(const std::string& name, const std::vector<Replay>& replays) {
  nlohmann::ordered_json result = {{"workload", name}};
  result["policies"] = nlohmann::ordered_json::array();
  for (const Replay& each : replays) {
    nlohmann::ordered_json row = {{"policy", each.policy},
                                  {"arrived", each.arrived},
                                  {"completed", each.completed},
                                  {"elapsed", each.elapsed},
                                  {"throughput", each.throughput},
                                  {"utilisation", each.utilisation},
                                  {"mean_response", each.mean_response},
                                  {"p99_response", each.p99_response},
                                  {"mean_waiting", each.mean_waiting},
                                  {"p99_waiting", each.p99_waiting},
                                  {"fairness", each.fairness}};
    row["theory"] = nullptr;
    if (!each.theory.empty()) {
      row["theory"] = {{"model", each.theory},
                       {"mean_response", each.predicted_response},
                       {"difference", difference(each)}};
    }
    row["response_cdf"] = each.response_cdf;
    row["groups"] = nlohmann::ordered_json::array();
    for (const auto& group : each.groups) {
      row["groups"].push_back({{"name", group.name},
                               {"weight", group.weight},
                               {"share", group.share},
                               {"parts", group.parts}});
    }
    result["policies"].push_back(std::move(row));
  }
  return result;
}

// "A,B" as a list.
std::vector<std::string> names_in(const std::string& text) {
  std::vector<std::string> names;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    names.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return names;
}

std::string policies_help() {
  std::string text = "Policies:\n";
  for (const auto& each : tools::scheduling_policies()) {
    text += fmt::format("  {:<9} {}\n", each.name, each.summary);
  }
  return text +
         "\nExamples:\n"
         "  atoll sched samples/workloads/web.toml\n"
         "  atoll sched --policy fair,rr --svg web.svg samples/workloads/web.toml";
}

// Replays one file under each policy. Gives the exit code where that failed.
int replay_file(const std::string& path, const std::vector<std::string>& policies,
                std::vector<Replay>& replays) {
  const std::optional<std::string> text = read_or_complain(path);
  if (!text) return exit_failure;
  const auto workload = tools::read_workload(display_name(path), *text);
  if (!workload) {
    complain(workload.error().text());
    return exit_failure;
  }
  for (const std::string& policy : policies) {
    auto replay = tools::replay(*workload, policy);
    if (!replay) {
      complain("sched: " + replay.error().text());
      return exit_usage;
    }
    replays.push_back(*std::move(replay));
  }
  return exit_ok;
}

}  // namespace

int sched_command(int argc, char** argv) {
  CLI::App app;
  describe(app, {"sched", "[OPTIONS] WORKLOAD...",
                 "Replays workloads in simulated time under each scheduling policy, and prints how "
                 "they did,\nbeside what queueing theory predicts. docs/scheduling.md describes "
                 "workload files.",
                 ""});
  app.footer(policies_help());
  std::vector<std::string> paths;
  std::string policies;
  std::string svg_path;
  bool as_json = false;
  app.add_option("WORKLOAD", paths, "Workload files (TOML), or `-`")->required()->type_name("");
  app.add_option("--policy", policies, "Only these policies, separated by commas")
      ->type_name("A,B");
  app.add_flag("--json", as_json, "As JSON: one array, an object for each workload");
  app.add_option("--svg", svg_path, "Also plot the (one) workload to this file")->type_name("FILE");
  if (const auto code = parse(app, argc, argv)) return *code;
  if (!svg_path.empty() && paths.size() > 1) {
    complain("sched: --svg takes one workload");
    return exit_usage;
  }
  std::vector<std::string> names;
  if (policies.empty()) {
    for (auto& each : tools::scheduling_policies()) names.push_back(std::move(each.name));
  } else {
    names = names_in(policies);
  }
  std::string text;
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  for (const std::string& path : paths) {
    std::vector<Replay> replays;
    if (const int code = replay_file(path, names, replays); code != exit_ok) return code;
    const std::string name = display_name(path);
    if (as_json) {
      all.push_back(json(name, replays));
    } else {
      text += (text.empty() ? "" : "\n") + table(name, replays);
    }
    if (svg_path.empty()) continue;
    if (const int code = write_output(svg_path, sched_svg(name, replays)); code != exit_ok) {
      return code;
    }
  }
  return write_output("-", as_json ? all.dump(2) + "\n" : text);
}

}  // namespace atollvm::cli
