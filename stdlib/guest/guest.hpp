// The library modules that are written in assembly.
#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace atollvm::guest {

struct Library {
  std::string_view name;  // as `use` names it: "std.map"
  std::string_view text;
};

// All of them, by name. They live for ever.
std::span<const Library> libraries();

// The text of one, or nothing.
std::optional<std::string_view> library(std::string_view name);

}  // namespace atollvm::guest
