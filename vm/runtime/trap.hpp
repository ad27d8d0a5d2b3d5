// Why guest code stopped with an error.
#pragma once

#include <string_view>

#include "vm/base/types.hpp"

namespace atollvm::runtime {

enum class Trap : u8 {
#define TRAP(id, text) id,
#include "vm/runtime/traps.def"
#undef TRAP
};

// A short text for people, e.g. "out of bounds memory access" (WebAssembly's where it has one).
std::string_view text(Trap trap);

}  // namespace atollvm::runtime
