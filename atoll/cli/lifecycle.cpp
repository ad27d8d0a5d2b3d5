// `atoll create`, `start`, `pause`, `resume`, `kill`, `destroy`, `snapshot` and `restore`.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "cli/command.hpp"
#include "cli/control.hpp"

namespace atollvm::cli {

namespace {

const char* const machines_json = "Print the machines as JSON: an array";

// What is printed at the end: with --json what the server said, else nothing.
int finish(const ControlOptions& options, const Json& results) {
  return options.as_json ? write_output("-", results.dump(2) + "\n") : exit_ok;
}

// A command that takes machines, and asks for the same of each.
int for_each_machine(int argc, char** argv, const AppText& text) {
  CLI::App app;
  describe(app, text);
  ControlOptions options;
  std::vector<std::string> machines;
  app.add_option("MACHINE", machines, "Machines")->required()->type_name("");
  add_control_options(app, options, machines_json);
  if (const auto code = parse(app, argc, argv)) return *code;
  auto client = connect(text.name, options);
  if (!client) return exit_failure;
  Json results = Json::array();
  int code = exit_ok;
  for (const std::string& machine : machines) {
    const auto result = ask(text.name, *client, text.name, {{"machine", machine}});
    if (!result) {
      code = exit_failure;
    } else if (result->is_object() && result->contains("machine")) {
      results.push_back((*result)["machine"]);
    }
  }
  const int written = finish(options, results);
  return code != exit_ok ? code : written;
}

// The machines of a file, or those of them that are wanted; nothing where one is not there.
std::optional<std::vector<control::MachineDescription>> read_wanted(
    std::string_view command, const std::string& path, const std::vector<std::string>& wanted) {
  const std::optional<std::string> text = read_or_complain(path);
  if (!text) return std::nullopt;
  const std::string whole = absolute_path(path == "-" ? "." : path);
  const std::string folder = path == "-" ? whole : whole.substr(0, whole.rfind('/') + 1);
  auto machines = control::read_machines(display_name(path), *text, folder);
  if (!machines) {
    complain(machines.error().text());
    return std::nullopt;
  }
  for (const std::string& name : wanted) {
    if (std::ranges::find(*machines, name, &control::MachineDescription::name) != machines->end()) {
      continue;
    }
    complain(fmt::format("{}: {} has no machine `{}`", command, printable(display_name(path)),
                         printable(name)));
    return std::nullopt;
  }
  if (!wanted.empty()) {
    std::erase_if(*machines, [&](const control::MachineDescription& each) {
      return std::ranges::find(wanted, each.name) == wanted.end();
    });
  }
  return *std::move(machines);
}

std::optional<std::int64_t> pid_in(std::string_view text) {
  std::int64_t pid = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, pid);
  if (error != std::errc() || rest != end || pid <= 0) return std::nullopt;
  return pid;
}

}  // namespace

int create_command(int argc, char** argv) {
  CLI::App app;
  describe(app, {"create", "[OPTIONS] FILE [MACHINE...]",
                 "Creates the machines of a file, or some of them, in a running server.\n"
                 "docs/machines.md describes machine files.",
                 "  atoll create --start tenants.toml\n"
                 "  atoll create tenants.toml store batch"});
  ControlOptions options;
  std::string path;
  std::vector<std::string> wanted;
  bool starts = false;
  app.add_option("FILE", path, "A machine file (TOML), or `-`")->required()->type_name("");
  app.add_option("MACHINE", wanted, "Only these of it")->type_name("");
  app.add_flag("--start", starts, "Start them, too");
  add_control_options(app, options, machines_json);
  if (const auto code = parse(app, argc, argv)) return *code;
  const auto machines = read_wanted("create", path, wanted);
  if (!machines) return exit_failure;
  auto client = connect("create", options);
  if (!client) return exit_failure;
  Json results = Json::array();
  int code = exit_ok;
  for (const control::MachineDescription& each : *machines) {
    const auto result =
        ask("create", *client, "create", {{"spec", Json::parse(each.spec)}, {"start", starts}});
    if (!result) {
      code = exit_failure;
    } else if (result->is_object() && result->contains("machine")) {
      results.push_back((*result)["machine"]);
    }
  }
  const int written = finish(options, results);
  return code != exit_ok ? code : written;
}

int start_command(int argc, char** argv) {
  return for_each_machine(
      argc, argv,
      {"start", "[OPTIONS] MACHINE...", "Starts machines that are created, ended or failed.",
       "  atoll start store"});
}

int pause_command(int argc, char** argv) {
  return for_each_machine(argc, argv,
                          {"pause", "[OPTIONS] MACHINE...",
                           "Pauses machines: none of their processes runs until `atoll resume`.",
                           "  atoll pause store"});
}

int resume_command(int argc, char** argv) {
  return for_each_machine(
      argc, argv,
      {"resume", "[OPTIONS] MACHINE...", "Lets paused machines go on.", "  atoll resume store"});
}

int destroy_command(int argc, char** argv) {
  return for_each_machine(
      argc, argv,
      {"destroy", "[OPTIONS] MACHINE...",
       "Ends all processes of machines, and forgets the machines.", "  atoll destroy store"});
}

int kill_command(int argc, char** argv) {
  CLI::App app;
  describe(app, {"kill", "[OPTIONS] MACHINE [PID...]",
                 "Ends processes of a machine, or all of them; then it has ended, and is not "
                 "restarted.",
                 "  atoll kill store\n"
                 "  atoll kill store 4294967298"});
  ControlOptions options;
  std::string machine;
  std::vector<std::string> words;
  app.add_option("MACHINE", machine, "The machine")->required()->type_name("");
  app.add_option("PID", words, "Only these of its processes")->type_name("");
  add_control_options(app, options, machines_json);
  if (const auto code = parse(app, argc, argv)) return *code;
  std::vector<Json> requests;
  for (const std::string& word : words) {
    const auto pid = pid_in(word);
    if (!pid) {
      complain(fmt::format("kill: `{}` is no pid; `atoll ps` lists them", printable(word)));
      return exit_usage;
    }
    requests.push_back({{"machine", machine}, {"pid", *pid}});
  }
  if (requests.empty()) requests.push_back({{"machine", machine}});
  auto client = connect("kill", options);
  if (!client) return exit_failure;
  Json results = Json::array();
  int code = exit_ok;
  for (const Json& request : requests) {
    const auto result = ask("kill", *client, "kill", request);
    if (!result) {
      code = exit_failure;
    } else if (result->is_object() && result->contains("machine")) {
      results = Json::array({(*result)["machine"]});
    }
  }
  const int written = finish(options, results);
  return code != exit_ok ? code : written;
}

int snapshot_command(int argc, char** argv) {
  CLI::App app;
  describe(app, {"snapshot", "[OPTIONS] MACHINE FILE",
                 "Writes a machine to a file, from which `atoll restore` lets it go on.",
                 "  atoll snapshot store store.snap"});
  ControlOptions options;
  std::string machine;
  std::string file;
  app.add_option("MACHINE", machine, "The machine")->required()->type_name("");
  app.add_option("FILE", file, "The file; the server writes it")->required()->type_name("");
  add_control_options(app, options, "Print what was written as JSON: `bytes` and `processes`");
  if (const auto code = parse(app, argc, argv)) return *code;
  auto client = connect("snapshot", options);
  if (!client) return exit_failure;
  const auto result =
      ask("snapshot", *client, "snapshot", {{"machine", machine}, {"file", absolute_path(file)}});
  return result ? finish(options, *result) : int{exit_failure};
}

int restore_command(int argc, char** argv) {
  CLI::App app;
  describe(app, {"restore", "[OPTIONS] FILE",
                 "Makes a machine of a file that `atoll snapshot` wrote. It is paused. Without "
                 "--spec or --grant it\ngets no directories and files of this host, and limits not "
                 "above the defaults.",
                 "  atoll restore store.snap --spec tenants.toml && atoll resume store\n"
                 "  atoll restore store.snap --grant --as store-2"});
  ControlOptions options;
  std::string file;
  std::string machine;
  std::string spec;
  bool grants = false;
  app.add_option("FILE", file, "The file; the server reads it")->required()->type_name("");
  app.add_option("--as", machine, "Its name from now on, in place of the old one")
      ->type_name("NAME");
  CLI::Option* const with_spec =
      app.add_option("--spec", spec,
                     "A machine file (TOML), or `-`: its machine NAME, or its only one, says what "
                     "this one is and gets")
          ->type_name("MACHINES");
  app.add_flag("--grant", grants, "Grant all that the snapshot says: only if you trust the file")
      ->excludes(with_spec);
  add_control_options(app, options, machines_json);
  if (const auto code = parse(app, argc, argv)) return *code;
  Json parameters = {{"file", absolute_path(file)}};
  if (!machine.empty()) parameters["machine"] = machine;
  if (grants) parameters["grant"] = true;
  if (!spec.empty()) {
    std::vector<std::string> wanted;
    if (!machine.empty()) wanted.push_back(machine);
    const auto machines = read_wanted("restore", spec, wanted);
    if (!machines) return exit_failure;
    if (machines->size() != 1) {
      complain(fmt::format("restore: {} has several machines: say which with --as",
                           printable(display_name(spec))));
      return exit_usage;
    }
    parameters["spec"] = Json::parse(machines->front().spec);
  }
  auto client = connect("restore", options);
  if (!client) return exit_failure;
  const auto result = ask("restore", *client, "restore", parameters);
  if (!result) return exit_failure;
  Json results = Json::array();
  if (result->is_object() && result->contains("machine")) results.push_back((*result)["machine"]);
  return finish(options, results);
}

}  // namespace atollvm::cli
