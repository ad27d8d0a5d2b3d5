// Documentation in source texts, and the guest library's sources.
// Threads: any, at once.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <atoll/diagnostic.hpp>

#pragma GCC visibility push(default)
namespace atollvm::tools {

// An item of a source that has a doc comment, or is exported. Names with `__` in them are left out:
// libraries have those for themselves.
struct DocItem {
  std::string kind;        // the word that defines it: "func", "struct", ...
  std::string name;        // empty for a memory without one
  std::string signature;   // as in the source; of functions, macros and data without their contents
  std::string text;        // of its doc comment, without `///`; may have several lines, or be empty
  std::string section;     // the heading above it, a comment `// --- NAME ---`; or empty
  std::uint32_t line = 0;  // of its first word, from 1
};

struct Documentation {
  std::string text;  // the comment at the head of the file
  std::vector<DocItem> items;
  std::vector<Diagnostic> diagnostics;

  [[nodiscard]] bool ok() const noexcept { return diagnostics.empty(); }
};

// Collects the documentation of a source text. Only the text is looked at: diagnostics are of
// lexical mistakes alone.
Documentation document(const Source& source);

// The source of a module that `use std.NAME` finds, by that name ("std.sys"); nothing: there is no
// such module.
std::optional<Source> library_source(std::string_view name);
// The names of all such modules, in alphabetical order.
std::vector<std::string> library_names();

}  // namespace atollvm::tools
#pragma GCC visibility pop
