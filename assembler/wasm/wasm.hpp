// WebAssembly modules become Atoll modules.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "vm/base/result.hpp"
#include "vm/module/module.hpp"

namespace atollvm::wasm {

struct TranslateOptions {
  bool line_table = true;  // source lines from DWARF or a source map
  bool names = true;       // of functions, locals and so on
  // Gives the source map (its JSON text) that the module names by a URL, for a module without
  // DWARF. The URL is the module's, not to be trusted. None: such a module has no line table.
  std::function<std::optional<std::string>(std::string_view url)> source_map;
};

// Reads, validates and translates a WebAssembly 2.0 module (without SIMD; with tail calls and
// extended constant expressions). The result still has to pass the verifier, as any module.
// Errors: malformed, invalid (the module breaks a rule of the specification), unsupported (it needs
// a proposal that is named), limit (it is valid, but beyond a stated limit of modules: the largest
// frame, say); the place is a byte offset in the file with the function's name or the section.
// Time is linear in the size of the input.
base::Result<mod::Module> translate(std::span<const u8> bytes,
                                    const TranslateOptions& options = {});

}  // namespace atollvm::wasm
