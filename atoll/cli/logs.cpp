// `atoll logs`.
#include <fmt/format.h>
#include <unistd.h>

#include <cmath>
#include <ctime>
#include <nlohmann/json.hpp>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "cli/command.hpp"
#include "cli/control.hpp"
#include "cli/process_options.hpp"

namespace atollvm::cli {

namespace {

struct LogOptions {
  ControlOptions control;
  bool has_times = false;
  bool is_terminal = false;
};

// "2027-01-15T08:00:02.250Z".
std::string time_text(double seconds) {
  if (!(seconds >= 0 && seconds < 1e11)) return "-";
  const auto whole = static_cast<std::time_t>(seconds);
  std::tm parts = {};
  gmtime_r(&whole, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900,
                     parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                     static_cast<int>((seconds - std::floor(seconds)) * 1000));
}

std::string line_of(const Json& record, const LogOptions& options) {
  if (options.control.as_json) {
    return record.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  }
  std::string line;
  if (options.has_times) {
    line = fmt::format("{} {} ", time_text(number_in(record, "time")), text_in(record, "stream"));
  } else if (text_in(record, "stream") == "system") {
    line = "atoll: ";
  }
  // What a guest writes must not command the terminal; a file gets it as it is.
  if (options.is_terminal) return line + text_in(record, "text") + "\n";
  const auto text = record.find("text");
  if (text != record.end() && text->is_string()) line += text->get<std::string>();
  return line + "\n";
}

std::string lines_of(const Json& event, const LogOptions& options) {
  std::string text;
  const double lost = number_in(event, "lost");
  if (lost > 0 && options.control.as_json) {
    text = Json({{"lost", event["lost"]}}).dump() + "\n";
  } else if (lost > 0) {
    complain(fmt::format("logs: {:.0f} lines were lost here", lost));
  }
  for (const Json& each : list_in(event, "records")) {
    if (each.is_object()) text += line_of(each, options);
  }
  return text;
}

}  // namespace

int logs_command(int argc, char** argv) {
  CLI::App app;
  describe(app, {"logs", "[OPTIONS] MACHINE",
                 "Prints what a machine has written, as far as the server keeps it, and what "
                 "happened to it.",
                 "  atoll logs store\n"
                 "  atoll logs -f -n 20 store"});
  LogOptions options;
  std::string machine;
  std::uint64_t lines = 10'000;
  bool follows = false;
  app.add_option("MACHINE", machine, "The machine")->required()->type_name("");
  app.add_flag("-f,--follow", follows, "Go on with what it writes");
  add_count(app, "-n,--lines", "Only the newest N lines",
            [&](std::uint64_t number) { lines = std::min<std::uint64_t>(number, 10'000); });
  app.add_flag("--times", options.has_times, "Begin each line with its time and stream");
  add_control_options(app, options.control, "As JSON: an object for each line, in a line");
  if (const auto code = parse(app, argc, argv)) return *code;
  options.is_terminal = isatty(1) != 0;
  auto client = connect("logs", options.control);
  if (!client) return exit_failure;
  int written = exit_ok;
  const Json parameters = {{"machine", machine}, {"lines", lines}, {"follow", follows}};
  const auto ended = client->stream(
      "logs", parameters.dump(-1, ' ', false, Json::error_handler_t::replace),
      [&](std::string_view event) {
        written = write_output("-", lines_of(Json::parse(event, nullptr, false), options));
        return written == exit_ok;
      });
  if (ended) return written;
  complain_refused("logs", ended.error());
  return exit_failure;
}

}  // namespace atollvm::cli
