#include "stdlib/guest/guest.hpp"

namespace atollvm::guest {

std::optional<std::string_view> library(std::string_view name) {
  for (const Library& each : libraries()) {
    if (each.name == name) return each.text;
  }
  return std::nullopt;
}

}  // namespace atollvm::guest
