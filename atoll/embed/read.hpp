// Module files and WebAssembly modules, told apart by their first bytes.
#pragma once

#include <string_view>

#include <atoll/module.hpp>

#include "vm/base/result.hpp"
#include "vm/verify/verify.hpp"

namespace atollvm {

// Reads a module file, or reads, validates and translates a WebAssembly module.
base::Result<mod::Module> read_any(std::string_view bytes, const LoadOptions& options = {});

// The same, verified.
base::Result<verify::VerifiedModule> read_verified(std::string_view bytes,
                                                   const LoadOptions& options = {});

}  // namespace atollvm
