// Text back to modules, for the disassembler's tests and fuzzer.
#pragma once

#include <string>

#include "assembler/text/assemble.hpp"

namespace atollvm::test {

inline text::Assembly reassemble(const std::string& source) {
  const auto nothing = [](std::string_view, std::string_view, bool) {
    return std::optional<text::Source>();
  };
  return text::assemble({"module.atoll", source}, nothing);
}

// All mistakes of a text, as a person reads them.
inline std::string mistakes(const text::Assembly& assembly) {
  std::string all;
  for (const text::Diagnostic& diagnostic : assembly.diagnostics) {
    all += text::format(diagnostic, false) + "\n";
  }
  return all;
}

}  // namespace atollvm::test
