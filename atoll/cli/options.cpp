#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <charconv>
#include <cmath>

#include "cli/command.hpp"

namespace atollvm::cli {

namespace {

class HelpFormatter : public CLI::Formatter {
 public:
  explicit HelpFormatter(const char* usage) : usage_(usage) {}
  std::string make_usage(const CLI::App*, std::string name) const override {
    return "Usage: " + name + " " + usage_ + "\n";
  }

 private:
  const char* usage_;
};

}  // namespace

std::optional<int> parse(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
    return std::nullopt;
  } catch (const CLI::CallForHelp&) {
    return write_output("-", app.help());
  } catch (const CLI::ParseError& error) {
    complain(app.get_name().substr(std::string_view("atoll ").size()) + ": " +
             printable(error.what()) + "; see `" + app.get_name() + " --help`");
    return exit_usage;
  }
}

void describe(CLI::App& app, const AppText& text) {
  app.name(std::string("atoll ") + text.name);
  app.description(text.summary);
  app.footer(std::string("Examples:\n") + text.examples);
  app.formatter(std::make_shared<HelpFormatter>(text.usage));
  app.get_formatter()->column_width(32);
  app.set_help_flag("-h,--help", "Print this help");
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
  std::uint64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || end - rest > 1) return std::nullopt;
  int shift = 0;
  if (rest != end) {
    switch (*rest) {
      case 'k':
      case 'K':
        shift = 10;
        break;
      case 'M':
        shift = 20;
        break;
      case 'G':
        shift = 30;
        break;
      default:
        return std::nullopt;
    }
  }
  if (number > UINT64_MAX >> shift) return std::nullopt;
  return number << shift;
}

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
  double number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number, std::chars_format::fixed);
  if (error != std::errc() || !(number >= 0)) return std::nullopt;
  const std::string_view unit(rest, static_cast<size_t>(end - rest));
  double factor = 0;
  if (unit == "ms") factor = 1;
  if (unit == "s") factor = 1000;
  if (unit == "m") factor = 60'000;
  const double milliseconds = std::ceil(number * factor);
  if (factor == 0 || !(milliseconds < 1e15)) return std::nullopt;
  return std::chrono::milliseconds(static_cast<std::int64_t>(milliseconds));
}

}  // namespace atollvm::cli
