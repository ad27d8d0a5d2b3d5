// The disassembler: a module as a raw program (docs/assembly.md, section 4).
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "vm/module/module.hpp"

namespace atollvm::text {

struct DisassembleOptions {
  bool annotate = false;  // each instruction's word in the code, and its source line, as a comment
  std::optional<u32> function{};  // only that of the module's own functions
  // Further lines behind each instruction, whose word in the code it is given.
  std::function<std::string(u32 pc)> behind{};
};

// The text of any module; for a verified one it assembles to a module with the same file, byte for
// byte. What is no instruction comes out as `word`. Time and size are linear in the module.
std::string disassemble(const mod::Module& module, const DisassembleOptions& options = {});

}  // namespace atollvm::text
