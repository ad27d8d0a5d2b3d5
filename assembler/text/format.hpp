// The source formatter.
#pragma once

#include <string>
#include <vector>

#include "assembler/text/assemble.hpp"

namespace atollvm::text {

struct Formatted {
  std::string text;                     // empty with diagnostics
  std::vector<Diagnostic> diagnostics;  // lexical mistakes only

  [[nodiscard]] bool ok() const { return diagnostics.empty(); }
};

// The same program in the one layout: lines stay lines; 4 spaces a level, labels one level less;
// one space around operators and after commas; at most one blank line, none at either end of a
// block; comments at the ends of neighbouring lines in one column. Tokens and comments stay as they
// are and in their order, so the meaning does too; formatting twice changes nothing more. A source
// with lexical mistakes is refused. Time is linear in the source. Reentrant.
Formatted format_source(const Source& source);

}  // namespace atollvm::text
