#include "cli/control.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "cli/command.hpp"

namespace atollvm::cli {

void add_control_options(CLI::App& app, ControlOptions& options, const std::string& json) {
  options.socket = control::default_socket();
  app.add_option("--socket", options.socket,
                 "The server's socket ($XDG_RUNTIME_DIR/atoll.sock, or /run/atoll.sock)")
      ->type_name("PATH");
  app.add_flag("--json", options.as_json, json);
}

void complain_refused(std::string_view command, const Error& error) {
  complain(fmt::format("{}: {}", command, printable(error.text())));
}

std::optional<control::Client> connect(std::string_view command, const ControlOptions& options) {
  Result<control::Client> client = control::Client::connect(options.socket);
  if (client) return *std::move(client);
  Error error = std::move(client).error();
  if (error.code == ErrorCode::not_found) error.message += "; no atoll serves there";
  complain_refused(command, error);
  return std::nullopt;
}

std::optional<Json> ask(std::string_view command, control::Client& client, std::string_view request,
                        const Json& parameters) {
  const Result<std::string> result =
      client.request(request, parameters.dump(-1, ' ', false, Json::error_handler_t::replace));
  if (result) return Json::parse(*result, nullptr, false);
  complain_refused(command, result.error());
  return std::nullopt;
}

double number_in(const Json& object, const char* key) {
  if (!object.is_object()) return 0;
  const auto found = object.find(key);
  return found != object.end() && found->is_number() ? found->get<double>() : 0;
}

std::string count_in(const Json& object, const char* key) {
  if (!object.is_object()) return "0";
  const auto found = object.find(key);
  return found != object.end() && found->is_number_integer() ? found->dump() : "0";
}

std::string text_in(const Json& object, const char* key) {
  if (!object.is_object()) return "";
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? printable(found->get<std::string>()) : "";
}

const Json& list_in(const Json& object, const char* key) {
  static const Json none = Json::array();
  if (!object.is_object()) return none;
  const auto found = object.find(key);
  return found != object.end() && found->is_array() ? *found : none;
}

std::string size_text(double bytes) {
  constexpr const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  size_t unit = 0;
  // Not "1024.0 KiB", which rounding would make.
  while (bytes >= (unit == 0 ? 1024 : 1023.95) && unit + 1 < std::size(units)) {
    bytes /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{:.0f} B", bytes) : fmt::format("{:.1f} {}", bytes, units[unit]);
}

std::string cpu_text(double seconds) {
  if (!(seconds < 1e15)) return "-";
  if (seconds < 59.995) return fmt::format("{:.2f} s", seconds);
  const auto whole = static_cast<std::uint64_t>(seconds + 0.5);
  if (whole < 3600) return fmt::format("{}m{:02}s", whole / 60, whole % 60);
  return fmt::format("{}h{:02}m", whole / 3600, whole / 60 % 60);
}

std::string load_text(double load) { return fmt::format("{:.1f}%", load * 100); }

std::string TextTable::text() const {
  const auto width_of = [](std::string_view text) {
    return static_cast<size_t>(std::ranges::count_if(
        text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
  };
  std::vector<size_t> widths;
  for (size_t i = 0; i < columns_.size(); ++i) {
    widths.push_back(width_of(columns_[i].name));
    for (const auto& row : rows_) widths[i] = std::max(widths[i], width_of(row[i]));
  }
  std::string result;
  const auto add = [&](size_t column, std::string_view text) {
    const std::string space(widths[column] - width_of(text), ' ');
    if (column > 0) result += "  ";
    if (columns_[column].is_number) result += space;
    result += text;
    if (!columns_[column].is_number) result += space;
  };
  const auto end_line = [&] {
    result.erase(result.find_last_not_of(' ') + 1);
    result += "\n";
  };
  for (size_t i = 0; i < columns_.size(); ++i) add(i, columns_[i].name);
  end_line();
  for (const auto& row : rows_) {
    for (size_t i = 0; i < columns_.size(); ++i) add(i, row[i]);
    end_line();
  }
  return result;
}

std::string absolute_path(const std::string& path) {
  if (path.starts_with('/')) return path;
  char* const folder = getcwd(nullptr, 0);
  if (folder == nullptr) return path;
  std::string result = folder;
  std::free(folder);
  return result + (result.ends_with('/') ? "" : "/") + path;
}

}  // namespace atollvm::cli
