// Whether code follows the binary format, without regard to what it means.
#pragma once

#include <optional>

#include "assembler/wasm/image.hpp"

namespace atollvm::wasm {

// The first place in the bodies from number `first` on where they are malformed (core
// specification, section 5.4). A module with one is malformed, whatever rules of validation it also
// breaks before that place; so this is asked once such a break is found. Code of other proposals
// counts as well-formed and ends the search. Linear in the size of the bodies.
std::optional<base::Error> find_malformed(const Image& image, u32 first);

}  // namespace atollvm::wasm
