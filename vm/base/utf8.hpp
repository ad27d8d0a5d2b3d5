// UTF-8 checks for text that comes from outside.
#pragma once

#include <string>
#include <string_view>

#include "vm/base/types.hpp"

namespace atollvm::base {

// Whether `text` is valid UTF-8: shortest forms only, no surrogates, nothing above U+10FFFF.
inline bool is_utf8(std::string_view text) {
  usize i = 0;
  while (i < text.size()) {
    const u8 lead = static_cast<u8>(text[i]);
    if (lead < 0x80) {
      ++i;
      continue;
    }
    const usize length = lead >= 0xc2 && lead <= 0xdf   ? 2
                         : lead >= 0xe0 && lead <= 0xef ? 3
                         : lead >= 0xf0 && lead <= 0xf4 ? 4
                                                        : 0;
    if (length == 0 || text.size() - i < length) return false;
    for (usize k = 1; k < length; ++k) {
      if ((static_cast<u8>(text[i + k]) & 0xc0) != 0x80) return false;
    }
    const u8 second = static_cast<u8>(text[i + 1]);
    if (lead == 0xe0 && second < 0xa0) return false;  // longer than needed
    if (lead == 0xed && second > 0x9f) return false;  // surrogates
    if (lead == 0xf0 && second < 0x90) return false;  // longer than needed
    if (lead == 0xf4 && second > 0x8f) return false;  // above U+10FFFF
    i += length;
  }
  return true;
}

// `text` as it may stand in a message: at most `limit` bytes, control characters (and, if it is not
// UTF-8, all bytes outside of ASCII) replaced by '?'.
inline std::string printable(std::string_view text, usize limit = 64) {
  usize end = text.size() < limit ? text.size() : limit;
  while (end < text.size() && end > 0 && (static_cast<u8>(text[end]) & 0xc0) == 0x80) --end;
  std::string shown(text.substr(0, end));
  const bool valid = is_utf8(shown);
  for (char& letter : shown) {
    const u8 byte = static_cast<u8>(letter);
    if (byte < 0x20 || byte == 0x7f || (byte >= 0x80 && !valid)) letter = '?';
  }
  if (end < text.size()) shown += "...";
  return shown;
}

}  // namespace atollvm::base
