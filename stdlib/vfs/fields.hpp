// Texts of fields with NUL between them, which no path has: how a snapshot names what handles name.
#pragma once

#include <array>
#include <charconv>
#include <optional>
#include <string_view>

#include "vm/base/types.hpp"

namespace atollvm::vfs {

inline constexpr char field_separator = '\0';

// False: there are not so many fields.
template <usize n>
bool split_fields(std::string_view text, std::array<std::string_view, n>& fields) {
  for (usize i = 0; i + 1 < n; ++i) {
    const usize end = text.find(field_separator);
    if (end == std::string_view::npos) return false;
    fields[i] = text.substr(0, end);
    text.remove_prefix(end + 1);
  }
  fields[n - 1] = text;
  return text.find(field_separator) == std::string_view::npos;
}

// Nothing: it is no number of this type.
template <class T>
std::optional<T> number_in(std::string_view text) {
  T number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || rest != end) return std::nullopt;
  return number;
}

}  // namespace atollvm::vfs
