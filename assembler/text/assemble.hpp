// The assembler: source text to a module (docs/assembly.md).
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "vm/module/module.hpp"

namespace atollvm::text {

// A mistake in a source text. line and column count from 1; columns count characters (UTF-8 code
// points); `line_text` is the whole line, fit to print (control characters and invalid bytes are
// replaced), or empty if it has more than 4,096 bytes; `width` the number of characters to
// underline.
struct Diagnostic {
  std::string file;
  u32 line = 0;
  u32 column = 0;
  u32 width = 1;
  std::string message;  // what is wrong
  std::string hint;     // what to do, e.g. "did you mean `i32.add`?"; may be empty
  std::string line_text;
};

// As a person reads it: "file:line:column: error: message", the line, a caret, the hint.
// With `color`, ANSI colours.
std::string format(const Diagnostic& diagnostic, bool color);

struct Source {
  std::string name;  // as diagnostics and line tables show it
  std::string text;
};

// Finds what `use` and `file` name. `from` is the name of the using source; `name` is as written:
// "std.sys" (is_library) or "lib/util.atoll". Returns nothing when there is none.
using Resolver = std::function<std::optional<Source>(std::string_view from, std::string_view name,
                                                     bool is_library)>;

struct Options {
  bool object = false;      // keep `extern`s and relocations for the linker
  bool line_table = true;   // put source lines in
  bool local_names = true;  // put register names in
  bool tests = false;       // keep the main source's tests; each is exported as "test NAME"
  // Leave nothing of libraries out, and export each own global as "global NAME", so that what a
  // process of one module holds fits another one of a longer source.
  bool open = false;
  u32 max_errors = 100;  // stop collecting after this many
  // What `use` finds without quotes ("std.sys"), for the hint when it does not.
  std::vector<std::string_view> libraries = {};
};

// A test of the main source.
struct Test {
  std::string name;
  u32 line = 0;  // from 1
};

struct Assembly {
  mod::Module module;       // not verified yet; meaningful only without diagnostics
  std::vector<Test> tests;  // in order, when they are kept
  std::vector<Diagnostic> diagnostics;

  [[nodiscard]] bool ok() const { return diagnostics.empty(); }
};

// Assembles a program. Any input gives a module or at least one diagnostic; time is linear in the
// input and in what its macros expand to (at most 4 million statements). Reentrant.
Assembly assemble(const Source& main, const Resolver& resolver, const Options& options = {});

}  // namespace atollvm::text
