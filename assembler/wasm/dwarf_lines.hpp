// Line tables of DWARF 2 to 5 (DWARF 5, section 6.2), as the debug sections of a WebAssembly module
// hold them.
#pragma once

#include <span>

#include "assembler/wasm/image.hpp"
#include "assembler/wasm/line_table.hpp"

namespace atollvm::wasm {

struct DebugSections {
  std::span<const u8> line;      // .debug_line
  std::span<const u8> line_str;  // .debug_line_str, for version 5
  std::span<const u8> str;       // .debug_str, for version 5
};

// The lines of code below `code_size`, bytes of the code section's contents. Files are named as the
// compiler was given them: relative names stay relative to where it ran. A unit with a mistake ends
// at it; code that the linker dropped (its address is 0 or beyond the code) is left out. Time
// is n log n and memory linear in the size of the sections.
LineTable dwarf_lines(const DebugSections& sections, u32 code_size);

// The same from the sections of an image; empty where it has none.
LineTable dwarf_lines(const Image& image);

}  // namespace atollvm::wasm
