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
// the verifier's. Errors: malformed, limit or unsupported (version), with a place such as
// "section exports at 0x1a4, entry 2" (byte offset in the file where reading stopped).
// Memory: never more than 64 MiB + 4 x the input, together with verification.
base::Result<Module> read(std::span<const u8> bytes);

// Encodes a module: the same module always gives the same bytes, and for every `bytes` that `read`
// accepts, write(*read(bytes)) == bytes. The functions' label ranges must lie in `labels`; only a
// verified module is sure to be readable again.
std::string write(const Module& module);

}  // namespace atollvm::mod
