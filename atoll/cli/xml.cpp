#include "cli/xml.hpp"

#include <fmt/format.h>

#include <cstdint>

namespace atollvm::cli {

namespace {

constexpr std::string_view replacement = "\xef\xbf\xbd";

// The bytes of the character at `at` that XML 1.0 allows (section 2.2), or 0.
size_t character(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) -> std::uint32_t {
    return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0;
  };
  const std::uint32_t first = byte(0);
  if (first < 0x80) return first >= 0x20 || first == '\n' || first == '\t' || first == '\r';
  const size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  std::uint32_t value = first & (0x7f >> length);
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
    value = value << 6 | (byte(i) & 0x3f);
  }
  constexpr std::uint32_t least[] = {0x80, 0x800, 0x10000};
  const bool allowed = first >= 0xc2 && value >= least[length - 2] && value <= 0x10ffff &&
                       (value < 0xd800 || value > 0xdfff) && value != 0xfffe && value != 0xffff;
  return allowed ? length : 0;
}

}  // namespace

std::string xml_escaped(std::string_view text, bool attribute) {
  std::string result;
  result.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const size_t length = character(text, at);
    if (length == 0) {
      result += replacement;
      ++at;
      continue;
    }
    switch (text[at]) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      case '\n':
      case '\t':
      case '\r':  // as they are, a reader makes others of them
        if (attribute || text[at] == '\r') {
          result += fmt::format("&#{};", static_cast<int>(text[at]));
        } else {
          result += text[at];
        }
        break;
      default:
        result += text.substr(at, length);
        break;
    }
    at += length;
  }
  return result;
}

}  // namespace atollvm::cli
