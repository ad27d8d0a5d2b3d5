// What Linux's perf needs to know of compiled functions; see jit::write_jitdump.
#pragma once

#include <string_view>

#include "vm/jit/code_memory.hpp"

namespace atollvm::jit::jitdump {

// Adds a function, if a dump is written. Before its code is executed. Any thread.
void add(const CodeMemory::Block& block, std::string_view name);

}  // namespace atollvm::jit::jitdump
