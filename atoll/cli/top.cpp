// `atoll top`.
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "cli/command.hpp"
#include "cli/control.hpp"
#include "cli/process_options.hpp"

namespace atollvm::cli {

namespace {

constexpr std::string_view enter_screen = "\x1b[?1049h\x1b[?25l";  // another one, no cursor
constexpr std::string_view leave_screen = "\x1b[?25h\x1b[?1049l";

struct Size {
  size_t rows = 24;
  size_t columns = 80;
};

Size terminal_size() {
  struct winsize size = {};
  if (ioctl(1, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0) return {};
  return {size.ws_row, size.ws_col};
}

bool is_screen() {
  const char* const terminal = std::getenv("TERM");
  return isatty(1) != 0 && terminal != nullptr && std::string_view(terminal) != "dumb";
}

void leave_by(int number) {
  static_cast<void>(write(1, leave_screen.data(), leave_screen.size()));
  std::raise(number);
}

// The screen is as it was before when the command ends, also by a signal.
class Screen {
 public:
  Screen() {
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
      struct sigaction action = {};
      action.sa_handler = leave_by;
      action.sa_flags = static_cast<int>(SA_RESETHAND | SA_NODEFER);
      sigaction(number, &action, nullptr);
    }
    write_all(1, enter_screen);
  }
  ~Screen() { write_all(1, leave_screen); }
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  // Draws over what is there: no flicker.
  [[nodiscard]] static std::string frame(std::string_view text) {
    const Size size = terminal_size();
    std::string result = "\x1b[H";
    for (size_t row = 0; row < size.rows && !text.empty(); ++row) {
      const size_t end = std::min(text.find('\n'), text.size());
      if (row > 0) result += "\r\n";
      result.append(cut(text.substr(0, end), size.columns)).append("\x1b[K");
      text.remove_prefix(std::min(end + 1, text.size()));
    }
    return result + "\x1b[J";
  }

 private:
  // The first `columns` characters.
  static std::string_view cut(std::string_view line, size_t columns) {
    size_t at = 0;
    for (; at < line.size(); ++at) {
      const bool is_first = (static_cast<unsigned char>(line[at]) & 0xc0) != 0x80;
      if (is_first && columns-- == 0) break;
    }
    return line.substr(0, at);
  }
};

std::string page(const Json& event) {
  std::vector<const Json*> machines;
  double load = 0;
  double processes = 0;
  for (const Json& each : list_in(event, "machines")) {
    machines.push_back(&each);
    load += number_in(each, "load");
    processes += number_in(each, "processes");
  }
  std::ranges::stable_sort(machines, std::ranges::greater(),
                           [](const Json* each) { return number_in(*each, "load"); });
  std::string text = fmt::format("{} machine{}, {:.0f} process{}, {} of a processor\n\n",
                                 machines.size(), machines.size() == 1 ? "" : "s", processes,
                                 processes == 1 ? "" : "es", load_text(load));
  TextTable upper({{"MACHINE"},
                   {"STATE"},
                   {"CPU%", true},
                   {"CPU", true},
                   {"MEMORY", true},
                   {"LIMIT", true},
                   {"PROCESSES", true},
                   {"MESSAGES", true},
                   {"WEIGHT", true}});
  for (const Json* each : machines) {
    upper.add({text_in(*each, "name"), text_in(*each, "state"), load_text(number_in(*each, "load")),
               cpu_text(number_in(*each, "cpu")), size_text(number_in(*each, "memory")),
               size_text(number_in(*each, "memory_limit")), count_in(*each, "processes"),
               count_in(*each, "messages"), count_in(*each, "weight")});
  }
  TextTable lower({{"MACHINE"},
                   {"PID", true},
                   {"STATE"},
                   {"CPU%", true},
                   {"CPU", true},
                   {"MEMORY", true},
                   {"MESSAGES", true},
                   {"MAILBOX", true},
                   {"NAME"}});
  for (const Json& each : list_in(event, "processes")) {
    lower.add({text_in(each, "machine"), count_in(each, "pid"), text_in(each, "state"),
               load_text(number_in(each, "load")), cpu_text(number_in(each, "cpu")),
               size_text(number_in(each, "memory")), count_in(each, "messages"),
               size_text(number_in(each, "mailbox_bytes")), text_in(each, "name")});
  }
  return text + upper.text() + "\n" + lower.text();
}

}  // namespace

int top_command(int argc, char** argv) {
  CLI::App app;
  describe(app, {"top", "[OPTIONS] [MACHINE]",
                 "Shows what machines use, and their busiest processes: on a terminal again and "
                 "again until Ctrl-C,\nelse once.",
                 "  atoll top\n"
                 "  atoll top --interval 200ms store\n"
                 "  atoll top --json --samples 60 >minute.jsonl"});
  ControlOptions options;
  std::string machine;
  std::string interval = "1s";
  std::optional<std::uint64_t> count;
  std::optional<std::uint64_t> samples;
  app.add_option("MACHINE", machine, "Only this one")->type_name("");
  app.add_option("--interval", interval, "Time between samples (1s)")->type_name("DURATION");
  add_count(app, "--count", "Show this many processes", [&](std::uint64_t n) { count = n; });
  add_count(app, "--samples", "End after this many", [&](std::uint64_t n) { samples = n; });
  add_control_options(app, options, "As JSON: an object for each sample, in a line");
  if (const auto code = parse(app, argc, argv)) return *code;
  auto client = connect("top", options);
  if (!client) return exit_failure;
  const bool is_live = !options.as_json && is_screen();
  if (!samples && !is_live) samples = 1;
  Json parameters = {{"interval", interval},
                     {"count", count.value_or(is_live ? terminal_size().rows : 20)}};
  if (!machine.empty()) parameters["machine"] = machine;
  int written = exit_ok;
  std::uint64_t seen = 0;
  std::optional<Screen> screen;
  const auto take = [&](std::string_view event) {
    const Json json = Json::parse(event, nullptr, false);
    if (is_live && !screen) screen.emplace();
    std::string text = options.as_json ? std::string(event) + "\n" : page(json);
    if (is_live) {
      text = Screen::frame(text);
    } else if (!options.as_json && seen > 0) {
      text.insert(0, "\n");
    }
    written = write_output("-", text);
    return written == exit_ok && (!samples || ++seen < *samples);
  };
  const auto ended =
      client->stream("top", parameters.dump(-1, ' ', false, Json::error_handler_t::replace), take);
  screen.reset();
  if (ended) return written;
  complain_refused("top", ended.error());
  return exit_failure;
}

}  // namespace atollvm::cli
