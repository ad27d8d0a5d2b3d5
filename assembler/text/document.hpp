// The documentation in a source text: what `atoll doc` prints.
#pragma once

#include "assembler/text/assemble.hpp"

namespace atollvm::text {

// An item with a doc comment, or with `export`, whose name has no `__`: libraries have those for
// themselves.
struct DocItem {
  std::string kind;       // the word that defines it: "func", "struct", ...
  std::string name;       // empty for a memory without one
  std::string signature;  // as in the source; of functions, macros and data without their contents
  std::string text;       // of its doc comment, without `///`; lines ended but for the last
  std::string section;    // the heading above it, `// --- NAME ---`, or empty
  u32 line = 0;           // of its first word, from 1
};

struct Documentation {
  std::string text;  // the comment at the head of the file
  std::vector<DocItem> items;
  std::vector<Diagnostic> diagnostics;  // lexical mistakes alone

  [[nodiscard]] bool ok() const { return diagnostics.empty(); }
};

// Looks at the text only: what it uses need not be there. Linear in the text.
Documentation document(const Source& source);

}  // namespace atollvm::text
