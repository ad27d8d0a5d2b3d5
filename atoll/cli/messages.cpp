#include <unistd.h>

#include <cstdlib>

#include "cli/command.hpp"

namespace atollvm::cli {

void complain(std::string_view text) {
  std::string line = "atoll: ";
  line.append(text).append("\n");
  write_all(2, line);
}

std::string printable(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return result;
}

bool color_on_error() {
  const char* const no_color = std::getenv("NO_COLOR");
  const char* const terminal = std::getenv("TERM");
  return (no_color == nullptr || *no_color == '\0') && isatty(2) != 0 &&
         (terminal == nullptr || std::string_view(terminal) != "dumb");
}

void show(const std::vector<Diagnostic>& diagnostics) {
  const bool color = color_on_error();
  std::string text;
  for (const Diagnostic& each : diagnostics) text += to_text(each, color);
  text += "atoll: " + std::to_string(diagnostics.size()) +
          (diagnostics.size() == 1 ? " error\n" : " errors\n");
  write_all(2, text);
}

}  // namespace atollvm::cli
