// The tier that tests run guests in: the one that the variable ATOLL_TIER names (interp, jit,
// auto), or the interpreter.
#pragma once

#include <atoll/engine.hpp>

#include <cstdlib>
#include <string_view>

namespace atollvm::test {

inline Tier tier() {
  static const Tier tier = [] {
    const char* const set = std::getenv("ATOLL_TIER");
    const std::string_view name = set == nullptr ? "interp" : set;
    if (name != "interp" && name != "jit" && name != "auto") std::abort();
    return name == "jit" ? Tier::jit : name == "auto" ? Tier::automatic : Tier::interp;
  }();
  return tier;
}

inline EngineOptions engine_options(MemoryStrategy memory = MemoryStrategy::checked) {
  return {memory, tier(), false};
}

}  // namespace atollvm::test
