// Source maps (ECMA-426; formerly "Source Map Revision 3 Proposal"), which for WebAssembly have one
// generated line, whose columns are byte offsets in the file.
#pragma once

#include <string>
#include <string_view>

#include "assembler/wasm/image.hpp"
#include "assembler/wasm/line_table.hpp"

namespace atollvm::wasm {

// The URL of the module's source map; empty where it names none. From the module: not to be
// trusted.
std::string source_map_url(const Image& image);

// The lines of a source map's JSON text for the code of an image. Empty where the text is not
// a source map; mappings end at the first that is broken. Index maps (with sections) are not read.
// Time is n log n and memory linear in the size of the text.
LineTable source_map_lines(std::string_view json, const Image& image);

}  // namespace atollvm::wasm
