#include "assembler/text/quote.hpp"

#include <fmt/format.h>

#include <iterator>

#include "vm/base/types.hpp"

namespace atollvm::text {

namespace {

// Decodes the character at the beginning; its length in bytes, or 0 if it is not valid UTF-8.
usize decode_utf8(std::string_view text, u32& value) {
  const u8 first = static_cast<u8>(text[0]);
  if (first < 0x80) return value = first, 1;
  const usize length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length) return 0;
  value = first & (0x7fu >> length);
  for (usize i = 1; i < length; ++i) {
    const u8 byte = static_cast<u8>(text[i]);
    if ((byte & 0xc0) != 0x80) return 0;
    value = value << 6 | (byte & 0x3f);
  }
  if (length == 3 && (value < 0x800 || (value >= 0xd800 && value <= 0xdfff))) return 0;
  if (length == 4 && (value < 0x10000 || value > 0x10ffff)) return 0;
  return length;
}

bool is_visible(u32 value) {
  return value >= 0x20 && !(value >= 0x7f && value <= 0xa0) && value != 0xad && value != 0x61c &&
         !(value >= 0x200b && value <= 0x200f) && !(value >= 0x2028 && value <= 0x202e) &&
         !(value >= 0x2060 && value <= 0x206f) && value != 0xfeff && value < 0xe0000;
}

}  // namespace

std::string quote(std::string_view bytes) {
  std::string out = "\"";
  while (!bytes.empty()) {
    u32 value = 0;
    const usize length = decode_utf8(bytes, value);
    if (length == 0) {
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", static_cast<u8>(bytes[0]));
      bytes.remove_prefix(1);
      continue;
    }
    if (value == '\n') {
      out += "\\n";
    } else if (value == '\t') {
      out += "\\t";
    } else if (value == '\r') {
      out += "\\r";
    } else if (value == '"' || value == '\\') {
      out += '\\';
      out += static_cast<char>(value);
    } else if (is_visible(value)) {
      out += bytes.substr(0, length);
    } else if (value < 0x80) {
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", value);
    } else {
      fmt::format_to(std::back_inserter(out), "\\u{{{:x}}}", value);
    }
    bytes.remove_prefix(length);
  }
  return out + '"';
}

bool is_plain_name(std::string_view text) {
  if (text.empty() || text == "inf" || text == "nan") return false;
  if (text[0] >= '0' && text[0] <= '9') return false;
  for (char c : text) {
    const bool good =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    if (!good) return false;
  }
  return true;
}

}  // namespace atollvm::text
