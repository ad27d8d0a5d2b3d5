// Source lines of a WebAssembly module's code, from DWARF (dwarf_lines.hpp) or from a source map
// (source_map.hpp). They are for people: what is broken in their source is left out.
#pragma once

#include <string>
#include <vector>

#include "vm/base/types.hpp"

namespace atollvm::wasm {

// The place in the source of the code from `offset` up to the next entry.
struct CodeLine {
  u32 offset = 0;  // bytes from the start of the code section's contents (Image::code_offset)
  u32 file = 0;    // in LineTable::files
  u32 line = 0;    // from 1; 0: the code from here on has no place in the source
  u32 column = 0;  // from 1; 0: unknown

  bool operator==(const CodeLine&) const = default;
};

struct LineTable {
  std::vector<std::string> files;  // UTF-8 without control characters; at most limits::files
  std::vector<CodeLine> lines;     // sorted by offset, none twice; at most max_lines

  // The entry that covers an offset and has a line, or null. Logarithmic.
  [[nodiscard]] const CodeLine* at(u32 offset) const;
};

inline constexpr usize max_lines = 1u << 22;
inline constexpr usize max_file_name = 4096;  // bytes of one part of a name; longer ones are cut

// Brings the entries into order. Of several for one offset the last with a line stays, and
// of several neighbours that say the same the first.
void sort_lines(LineTable& table);

}  // namespace atollvm::wasm
