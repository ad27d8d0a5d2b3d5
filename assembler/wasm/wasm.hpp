// WebAssembly modules become Atoll modules.
#pragma once

#include <span>

#include "vm/base/result.hpp"
#include "vm/module/module.hpp"

namespace atollvm::wasm {

struct TranslateOptions {
  bool line_table = true;  // source lines from DWARF, where it is present
  bool names = true;       // of functions, locals and so on
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
