#include "assembler/text/diagnostics.hpp"

#include <algorithm>
#include <tuple>

namespace atollvm::text {

namespace {

constexpr usize max_line_bytes = 4096;

// Length of the valid UTF-8 sequence at `at`, or 0.
usize sequence_length(std::string_view text, usize at) {
  const u8 first = static_cast<u8>(text[at]);
  if (first < 0x80) return 1;
  const usize length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  const std::string_view one = text.substr(at, length);
  return find_invalid_utf8(one) == std::string_view::npos ? one.size() : 0;
}

}  // namespace

u32 characters(std::string_view text) {
  return static_cast<u32>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<u8>(c) & 0xc0) != 0x80; }));
}

std::string printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (usize at = 0; at < text.size();) {
    const usize length = sequence_length(text, at);
    const u8 first = static_cast<u8>(text[at]);
    const bool control = first < 0x20 || first == 0x7f ||
                         (length == 2 && first == 0xc2 && static_cast<u8>(text[at + 1]) < 0xa0);
    if (length == 0 || (control && first != '\t')) {
      out += "\xef\xbf\xbd";
    } else {
      out += text.substr(at, length);
    }
    at += length == 0 ? 1 : length;
  }
  return out;
}

std::string quoted(std::string_view name) {
  constexpr usize limit = 80;
  if (name.size() <= limit) return "`" + printable(name) + "`";
  return "`" + printable(name.substr(0, limit)) + "...`";
}

u32 Reporter::line_of(Place place) const {
  const auto& begins = files_[place.file]->line_begins;
  return static_cast<u32>(std::upper_bound(begins.begin(), begins.end(), place.begin) -
                          begins.begin());
}

void Reporter::error(Place place, std::string message, std::string hint) {
  for (const Entry& entry : list_) {
    if (entry.place.file == place.file && entry.place.begin == place.begin) return;
  }
  if (macro_use_) {
    if (!hint.empty()) hint += "; ";
    hint += "in a macro used at " + printable(files_[macro_use_->file]->name) + ":" +
            std::to_string(line_of(*macro_use_));
  }
  const File& file = *files_[place.file];
  const auto line = std::upper_bound(file.line_begins.begin(), file.line_begins.end(), place.begin);
  const u32 line_begin = line == file.line_begins.begin() ? 0 : *(line - 1);
  const std::string_view rest = std::string_view(file.text).substr(line_begin);
  std::string_view text = rest.substr(0, std::min(rest.find('\n'), rest.size()));
  if (text.ends_with('\r')) text.remove_suffix(1);
  const usize column = std::min<usize>(place.begin - line_begin, text.size());
  const std::string_view marked = text.substr(column, place.length);

  Diagnostic diagnostic;
  diagnostic.file = file.name;
  diagnostic.line = static_cast<u32>(line - file.line_begins.begin());
  diagnostic.column = characters(printable(text.substr(0, column))) + 1;
  diagnostic.width = std::max<u32>(characters(printable(marked)), 1);
  diagnostic.message = std::move(message);
  diagnostic.hint = std::move(hint);
  if (text.size() <= max_line_bytes) diagnostic.line_text = printable(text);
  list_.push_back({place, std::move(diagnostic)});
  if (list_.size() >= max_errors_) throw Enough{};
}

std::vector<Diagnostic> Reporter::take() {
  std::stable_sort(list_.begin(), list_.end(), [](const Entry& x, const Entry& y) {
    return std::tie(x.place.file, x.place.begin) < std::tie(y.place.file, y.place.begin);
  });
  std::vector<Diagnostic> result;
  for (Entry& entry : list_) result.push_back(std::move(entry.diagnostic));
  list_.clear();
  return result;
}

std::string format(const Diagnostic& diagnostic, bool color) {
  const std::string bold = color ? "\x1b[1m" : "";
  const std::string red = color ? "\x1b[1;31m" : "";
  const std::string green = color ? "\x1b[1;32m" : "";
  const std::string plain = color ? "\x1b[0m" : "";
  std::string out = bold + printable(diagnostic.file) + ":" + std::to_string(diagnostic.line) +
                    ":" + std::to_string(diagnostic.column) + ": " + red + "error: " + plain +
                    bold + diagnostic.message + plain + "\n";
  const u32 length = characters(diagnostic.line_text);
  if (diagnostic.column <= length + 1 && !diagnostic.line_text.empty()) {
    const std::string number = std::to_string(diagnostic.line);
    out += " " + number + " | " + diagnostic.line_text + "\n";
    out += " " + std::string(number.size(), ' ') + " | ";
    // Tabs stay tabs, so that the caret stands under its character.
    u32 column = 1;
    for (usize at = 0; at < diagnostic.line_text.size() && column < diagnostic.column; ++at) {
      const char c = diagnostic.line_text[at];
      if ((static_cast<u8>(c) & 0xc0) == 0x80) continue;
      out += c == '\t' ? '\t' : ' ';
      ++column;
    }
    const u32 room = length + 1 - diagnostic.column;
    const u32 width = std::max<u32>(1, std::min(diagnostic.width, std::max<u32>(room, 1)));
    out += green + "^" + std::string(width - 1, '~') + plain + "\n";
  }
  if (!diagnostic.hint.empty()) out += "  hint: " + diagnostic.hint + "\n";
  return out;
}

}  // namespace atollvm::text
