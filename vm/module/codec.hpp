// Reading and writing of module files (docs/format.md).
#pragma once

#include <span>
#include <string>

#include "vm/base/result.hpp"
#include "vm/module/module.hpp"

namespace atollvm::mod {

// First bytes of a module file.
inline constexpr char magic[4] = {'\0', 'a', 't', 'b'};
inline constexpr u32 format_version = 1;

// Decodes a module file. Everything is copied: `bytes` may go away or change afterwards.
// Checks the format only (sizes, counts, encodings, order of sections); rules between parts are
// the verifier's. Errors: malformed or unsupported, with the section and byte offset as place.
// Memory: never more than 64 MiB + 4 x the input, together with verification.
base::Result<Module> read(std::span<const u8> bytes);

// Encodes a module: the same module always gives the same bytes.
std::string write(const Module& module);

}  // namespace atollvm::mod
