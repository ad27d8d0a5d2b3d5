// Tools on source texts and module files: what the `atoll` command offers, as functions.
// Threads: any, at once.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <atoll/diagnostic.hpp>
#include <atoll/engine.hpp>
#include <atoll/result.hpp>

#pragma GCC visibility push(default)
namespace atollvm::tools {

struct AssembleOptions {
  bool object = false;      // keep `extern` items for link()
  bool line_table = true;   // put source lines in, for traces
  bool local_names = true;  // put register names in
  // Keep the source's `test func` items; each is exported as "test NAME". They are left out else,
  // with what only they use.
  bool tests = false;
  // Leave nothing of libraries out, and export each of the module's own globals as "global NAME":
  // addresses and globals stay when items are added at the source's end.
  bool open = false;
  FileReader reader = read_source_file;
};

// A test of a source, to be called by its export "test NAME".
struct Test {
  std::string name;
  std::uint32_t line = 0;  // from 1
};

struct Assembly {
  std::vector<Test> tests;  // in the source's order, with AssembleOptions::tests
  std::string bytes;        // the module file; empty when there are diagnostics
  std::vector<Diagnostic> diagnostics;

  [[nodiscard]] bool ok() const noexcept { return diagnostics.empty(); }
};

// Assembles a source text and verifies the result. Every failure is a diagnostic; at most 100 of
// them.
Assembly assemble(const Source& source, const AssembleOptions& options = {});

// What may be left out of a translated module.
struct TranslateOptions {
  bool line_table = true;  // source lines for traces, where the module has DWARF
  bool names = true;       // of functions, locals and so on
};

// The module file that a WebAssembly module becomes.
// Errors: malformed, unsupported, invalid, limit, with the place in the file.
Result<std::string> translate(std::string_view bytes, const TranslateOptions& options = {});

// The text of a module file or of a WebAssembly module's translation; assemble() makes the same
// module file of it again. Errors: malformed, unsupported, invalid, limit, with the place in the
// file.
Result<std::string> disassemble(std::string_view bytes);

// For which processes machine code is made: as in ProcessOptions and EngineOptions.
struct NativeOptions {
  MemoryStrategy memory = MemoryStrategy::checked;
  bool fuel = false;  // with a limit of it
  bool hardened = false;
};

// One function of such a module, by its name or its number, with the machine code behind each
// instruction that the tier `jit` makes of it. For people: the form may change. Errors: those of
// disassemble(); not_found (no such function, or an imported one); unsupported (the host has no
// compiled tier).
Result<std::string> disassemble_native(std::string_view bytes, std::string_view function,
                                       const NativeOptions& options = {});

// A source text in the standard layout, comments kept. Formatting a formatted text changes
// nothing. Only the text is looked at: diagnostics are of lexical mistakes alone.
struct Formatted {
  std::string text;  // empty when there are diagnostics
  std::vector<Diagnostic> diagnostics;

  [[nodiscard]] bool ok() const noexcept { return diagnostics.empty(); }
};
Formatted format(const Source& source);

// A module file or WebAssembly module to link.
struct LinkInput {
  std::string name;  // for messages
  std::string bytes;
};

// Joins modules to one: resolves `extern` items by exports, drops functions that nothing uses.
// Gives the module file. Errors: malformed, unsupported or invalid (an input), not_found (missing
// symbols, all of them named), invalid (a symbol defined twice), usage (no input).
Result<std::string> link(std::span<const LinkInput> inputs);

}  // namespace atollvm::tools
#pragma GCC visibility pop
