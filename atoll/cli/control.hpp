// What the commands that talk to a running server share: the connection, tables, figures.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <atoll/control.hpp>

namespace CLI {
class App;
}

namespace atollvm::cli {

using Json = nlohmann::ordered_json;

struct ControlOptions {
  std::string socket;
  bool as_json = false;
};
// --socket and --json; `json` says what that prints.
void add_control_options(CLI::App& app, ControlOptions& options, const std::string& json);

// Complains of `command` where it can't.
std::optional<control::Client> connect(std::string_view command, const ControlOptions& options);
// The result of a request; complains where it is refused.
std::optional<Json> ask(std::string_view command, control::Client& client, std::string_view request,
                        const Json& parameters);
void complain_refused(std::string_view command, const Error& error);

// A member of an object: 0 or an empty text where it is not there, or of another type. Texts are
// made fit to print.
double number_in(const Json& object, const char* key);
// An integer in full.
std::string count_in(const Json& object, const char* key);
std::string text_in(const Json& object, const char* key);
// A list in an object; empty where it is not there.
const Json& list_in(const Json& object, const char* key);

// "1.5 MiB".
std::string size_text(double bytes);
// "0.25 s", "5m12s", "3h05m".
std::string cpu_text(double seconds);
// A load as a part of one processor: "40.0%".
std::string load_text(double load);

// Rows of texts under a heading, in columns as wide as they need.
class TextTable {
 public:
  struct Column {
    const char* name;
    bool is_number = false;  // to the right
  };
  explicit TextTable(std::vector<Column> columns) : columns_(std::move(columns)) {}
  void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  [[nodiscard]] std::string text() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// The path as seen from the root.
std::string absolute_path(const std::string& path);

}  // namespace atollvm::cli
