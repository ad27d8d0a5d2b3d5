// `atoll net`: the virtual networks of a running server.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "cli/command.hpp"
#include "cli/control.hpp"

namespace atollvm::cli {

namespace {

// "a,b,c".
Json names_in(const std::string& text) {
  Json names = Json::array();
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    names.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return names;
}

// Asks; nothing is printed.
int tell(std::string_view command, const ControlOptions& options, std::string_view request,
         const Json& parameters) {
  auto client = connect(command, options);
  if (!client) return exit_failure;
  return ask(command, *client, request, parameters) ? exit_ok : exit_failure;
}

void add_socket(CLI::App& app, ControlOptions& options) {
  options.socket = control::default_socket();
  app.add_option("--socket", options.socket,
                 "The server's socket ($XDG_RUNTIME_DIR/atoll.sock, or /run/atoll.sock)")
      ->type_name("PATH");
}

int show(int argc, char** argv) {
  CLI::App app;
  describe(app, {"net show", "[OPTIONS]",
                 "Draws the switches of a running server with all that is on them, their links' "
                 "faults and partitions.",
                 "  atoll net show\n  atoll net show --svg -o networks.svg"});
  ControlOptions options;
  bool as_svg = false;
  std::string output = "-";
  app.add_flag("--svg", as_svg, "As an SVG document");
  app.add_option("-o,--output", output, "File to write, or `-`")->type_name("OUT");
  add_socket(app, options);
  if (const auto code = parse(app, argc, argv)) return *code;
  auto client = connect("net show", options);
  if (!client) return exit_failure;
  const auto result = ask("net show", *client, "net_show", {{"svg", as_svg}});
  if (!result) return exit_failure;
  const auto text = result->find("text");
  if (text == result->end() || !text->is_string()) return exit_failure;
  return write_output(output, text->get<std::string>());
}

// "loss=1%" as a member.
bool add_setting(const std::string& text, Json& link) {
  const size_t at = text.find('=');
  if (at == std::string::npos || at == 0 || at + 1 == text.size()) return false;
  const std::string value = text.substr(at + 1);
  Json& member = link[text.substr(0, at)];
  if (value == "true" || value == "false") {
    member = value == "true";
  } else if (value.size() <= 18 && value.find_first_not_of("0123456789") == std::string::npos) {
    member = std::stoll(value);
  } else {
    member = value;
  }
  return true;
}

int link(int argc, char** argv) {
  CLI::App app;
  describe(app, {"net link", "[OPTIONS] NIC KEY=VALUE...",
                 "Changes the link of a NIC, NODE-SWITCH, or a machine's if it has one. Keys: "
                 "latency, jitter, bandwidth,\nqueue, loss, duplicate, reorder, down. What is not "
                 "named stays.",
                 "  atoll net link web latency=20ms jitter=5ms loss=1%\n"
                 "  atoll net link --in web-lan down=true"});
  ControlOptions options;
  std::string nic;
  std::vector<std::string> settings;
  bool is_out = false;
  bool is_in = false;
  app.add_option("NIC", nic, "A NIC")->required()->type_name("");
  app.add_option("KEY=VALUE", settings, "What is to be another value")->required()->type_name("");
  CLI::Option* const out = app.add_flag("--out", is_out, "Only what the NIC sends");
  app.add_flag("--in", is_in, "Only what it gets")->excludes(out);
  add_socket(app, options);
  if (const auto code = parse(app, argc, argv)) return *code;
  Json changes = Json::object();
  for (const std::string& each : settings) {
    if (add_setting(each, changes)) continue;
    complain(fmt::format("net link: `{}` is no KEY=VALUE, such as latency=5ms", printable(each)));
    return exit_usage;
  }
  const char* const way = is_out ? "out" : is_in ? "in" : "both";
  return tell("net link", options, "net_link", {{"nic", nic}, {"link", changes}, {"way", way}});
}

int partition(int argc, char** argv) {
  CLI::App app;
  describe(app, {"net partition", "[OPTIONS] NAMES [NAMES]",
                 "Lets no packet pass between machines (and routers) and others, or all others, "
                 "until they are healed.\nNAMES are separated by commas.",
                 "  atoll net partition a b,c\n  atoll net partition --one-way leader"});
  ControlOptions options;
  std::string from;
  std::string to;
  bool is_one_way = false;
  app.add_option("FROM", from, "Names")->required()->type_name("");
  app.add_option("TO", to, "Others")->type_name("");
  app.add_flag("--one-way", is_one_way, "Only packets from the first to the second");
  add_socket(app, options);
  if (const auto code = parse(app, argc, argv)) return *code;
  Json parameters = {{"from", names_in(from)}, {"one_way", is_one_way}};
  if (!to.empty()) parameters["to"] = names_in(to);
  return tell("net partition", options, "net_partition", parameters);
}

int heal(int argc, char** argv) {
  CLI::App app;
  describe(app, {"net heal", "[OPTIONS] [NAMES [NAMES]]",
                 "Ends partitions: all, those of some machines, or those between some and others.",
                 "  atoll net heal\n  atoll net heal a b,c"});
  ControlOptions options;
  std::string from;
  std::string to;
  app.add_option("FROM", from, "Names")->type_name("");
  app.add_option("TO", to, "Others")->type_name("");
  add_socket(app, options);
  if (const auto code = parse(app, argc, argv)) return *code;
  Json parameters = Json::object();
  if (!from.empty()) parameters["from"] = names_in(from);
  if (!to.empty()) parameters["to"] = names_in(to);
  return tell("net heal", options, "net_heal", parameters);
}

int capture(int argc, char** argv) {
  CLI::App app;
  describe(app, {"net capture", "[OPTIONS] FILE PLACE...",
                 "Lets the server write all packets of NICs or switches to a pcap file, which "
                 "Wireshark, tshark and tcpdump\nread, until --stop or 1 GiB.",
                 "  atoll net capture lan.pcap lan\n  atoll net capture both.pcap a-lan b-lan\n"
                 "  atoll net capture --stop lan"});
  ControlOptions options;
  std::vector<std::string> places;
  bool stops = false;
  app.add_option("PLACE", places, "File, then switches and NICs")->required()->type_name("");
  app.add_flag("--stop", stops, "Ends it; there is no FILE");
  add_socket(app, options);
  if (const auto code = parse(app, argc, argv)) return *code;
  Json parameters = Json::object();
  if (!stops) {
    parameters["file"] = absolute_path(places.front());
    places.erase(places.begin());
  }
  if (places.empty()) {
    complain("net capture: a switch or NIC is missing; see `atoll net capture --help`");
    return exit_usage;
  }
  parameters["at"] = places;
  return tell("net capture", options, "net_capture", parameters);
}

struct NetAction {
  const char* name;
  const char* usage;
  const char* summary;
  int (*run)(int argc, char** argv);
};
constexpr NetAction net_actions[] = {
    {"show", "[--svg]", "Draws the networks", show},
    {"link", "NIC KEY=VALUE...", "Changes a link", link},
    {"partition", "NAMES [NAMES]", "Keeps machines apart", partition},
    {"heal", "[NAMES [NAMES]]", "Ends partitions", heal},
    {"capture", "FILE PLACE...", "Writes packets to a file", capture},
};

}  // namespace

int net_command(int argc, char** argv) {
  const std::string_view name = argc > 1 ? argv[1] : "";
  for (const NetAction& each : net_actions) {
    if (name == each.name) return each.run(argc - 1, argv + 1);
  }
  CLI::App app;
  std::string text = "Actions, each with a --help of its own:\n";
  for (const NetAction& each : net_actions) {
    text += fmt::format("  {:<11}{:<18}{}\n", each.name, each.usage, each.summary);
  }
  describe(app, {"net", "ACTION [ARGUMENTS]",
                 "Shows and changes the virtual networks of a running server "
                 "(docs/virtual-networks.md).",
                 "  atoll net show\n"
                 "  atoll net link web latency=20ms loss=1%\n"
                 "  atoll net partition a b,c\n"
                 "  atoll net heal\n"
                 "  atoll net capture lan.pcap lan"});
  app.description(app.get_description() + "\n\n" + text);
  if (name.empty() || name.starts_with('-')) {
    if (const auto code = parse(app, argc, argv)) return *code;
    complain("net: an action is missing; see `atoll net --help`");
    return exit_usage;
  }
  complain("net: there is no action `" + printable(name.substr(0, 80)) +
           "`; see `atoll net --help`");
  return exit_usage;
}

}  // namespace atollvm::cli
