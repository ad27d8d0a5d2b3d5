// `atoll machines` and `atoll ps`.
#include <nlohmann/json.hpp>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "cli/command.hpp"
#include "cli/control.hpp"

namespace atollvm::cli {

namespace {

// "trap: unreachable", "code 3", "normal"; "-": it has not ended.
std::string exit_text(const Json& machine) {
  const auto found = machine.find("exit");
  if (found == machine.end() || !found->is_object()) return "-";
  const std::string reason = text_in(*found, "reason");
  if (reason == "code") return "code " + count_in(*found, "code");
  const std::string message = text_in(*found, "message");
  return message.empty() ? reason : reason + ": " + message;
}

std::string machines_table(const Json& machines) {
  TextTable table({{"NAME"},
                   {"STATE"},
                   {"WEIGHT", true},
                   {"PROCESSES", true},
                   {"CPU", true},
                   {"MEMORY", true},
                   {"LIMIT", true},
                   {"RESTARTS", true},
                   {"EXIT"}});
  for (const Json& each : machines) {
    if (!each.is_object()) continue;
    table.add({text_in(each, "name"), text_in(each, "state"), count_in(each, "weight"),
               count_in(each, "processes"), cpu_text(number_in(each, "cpu")),
               size_text(number_in(each, "memory")), size_text(number_in(each, "memory_limit")),
               count_in(each, "restarts"), exit_text(each)});
  }
  return table.text();
}

std::string processes_table(const Json& processes) {
  TextTable table({{"MACHINE"},
                   {"PID", true},
                   {"PARENT", true},
                   {"STATE"},
                   {"CPU", true},
                   {"MEMORY", true},
                   {"MESSAGES", true},
                   {"HANDLES", true},
                   {"NAME"}});
  for (const Json& each : processes) {
    if (!each.is_object()) continue;
    table.add({text_in(each, "machine"), count_in(each, "pid"),
               number_in(each, "parent") == 0 ? "-" : count_in(each, "parent"),
               text_in(each, "state"), cpu_text(number_in(each, "cpu")),
               size_text(number_in(each, "memory")), count_in(each, "messages"),
               count_in(each, "handles"), text_in(each, "name")});
  }
  return table.text();
}

}  // namespace

int machines_command(int argc, char** argv) {
  CLI::App app;
  describe(app, {"machines", "[OPTIONS] [MACHINE]", "Lists the machines of a running server.",
                 "  atoll machines\n"
                 "  atoll machines --json store | jq '.[0].exit'"});
  ControlOptions options;
  std::string machine;
  app.add_option("MACHINE", machine, "Only this one")->type_name("");
  add_control_options(app, options, "As JSON: an array with an object for each machine");
  if (const auto code = parse(app, argc, argv)) return *code;
  auto client = connect("machines", options);
  if (!client) return exit_failure;
  Json parameters = Json::object();
  if (!machine.empty()) parameters["machine"] = machine;
  const auto result = ask("machines", *client, "machines", parameters);
  if (!result) return exit_failure;
  const Json& machines = list_in(*result, "machines");
  return write_output("-", options.as_json ? machines.dump(2) + "\n" : machines_table(machines));
}

int ps_command(int argc, char** argv) {
  CLI::App app;
  describe(app, {"ps", "[OPTIONS] [MACHINE]",
                 "Lists the processes of a running server's machines, or of one of them.",
                 "  atoll ps\n"
                 "  atoll ps store\n"
                 "  atoll ps --json | jq -r '.[] | select(.messages > 100) | .pid'"});
  ControlOptions options;
  std::string machine;
  app.add_option("MACHINE", machine, "Only of this one")->type_name("");
  add_control_options(app, options, "As JSON: an array with an object for each process");
  if (const auto code = parse(app, argc, argv)) return *code;
  auto client = connect("ps", options);
  if (!client) return exit_failure;
  Json parameters = {{"limit", 10'000}};
  if (!machine.empty()) parameters["machine"] = machine;
  Json processes = Json::array();
  while (true) {
    const auto result = ask("ps", *client, "ps", parameters);
    if (!result) return exit_failure;
    for (const Json& each : list_in(*result, "processes")) processes.push_back(each);
    const auto next = result->is_object() ? result->find("next") : result->end();
    if (!result->is_object() || next == result->end()) break;
    parameters["after"] = *next;
  }
  return write_output("-", options.as_json ? processes.dump(2) + "\n" : processes_table(processes));
}

}  // namespace atollvm::cli
