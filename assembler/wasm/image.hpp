// A WebAssembly module taken apart: everything but its code in Atoll's terms, and where the code
// is.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "vm/base/result.hpp"
#include "vm/module/module.hpp"

namespace atollvm::wasm {

// The locals and the code of one function: bytes begin .. end-1 of the file.
struct Body {
  u32 begin = 0;
  u32 end = 0;
};

// A part of the file: bytes begin .. end-1. Both 0: there is none.
struct Extent {
  u32 begin = 0;
  u32 end = 0;
};

struct Image {
  std::span<const u8> bytes;  // the file; must outlive the image
  // Complete but for code, labels, lines, names (see read_names), and all of `functions` but their
  // types.
  mod::Module module;
  std::vector<Body> bodies;            // of module.functions
  std::vector<u32> function_types;     // type index by function index, imports first
  std::vector<mod::TableType> tables;  // index spaces, imports first
  std::vector<mod::MemoryType> memories;
  std::vector<mod::GlobalType> globals;
  std::vector<bool> declared;     // by function index: may be the operand of ref.func in code
  std::optional<u32> data_count;  // of the data count section
  u32 code_offset = 0;            // of the code section's contents: where DWARF addresses start
  Extent names;                   // contents of custom sections, without their names: `name`,
  Extent debug_line;              // `.debug_line`,
  Extent debug_line_str;          // `.debug_line_str`,
  Extent debug_str;               // `.debug_str`,
  Extent source_map_url;          // `sourceMappingURL`: a length and a URL

  [[nodiscard]] u32 imported_functions() const {
    return static_cast<u32>(function_types.size() - module.functions.size());
  }
  // "function $name (7)" or "function 7", for messages.
  [[nodiscard]] std::string function_label(u32 index) const;
};

// Whether bytes begin as a WebAssembly module does, or as a component.
bool is_wasm(std::span<const u8> bytes);

// Reads and validates all but the code: WebAssembly 2.0 without SIMD, with tail calls and extended
// constant expressions. Errors: malformed, invalid, unsupported (a module that needs another
// proposal, named), limit; the place is like "0x1a4 (import section, entry 2)" with the byte offset
// in the file.
base::Result<Image> read_image(std::span<const u8> bytes);

// Sets the names of image.module: its own, and those of functions, locals (by their index, as
// slot), types, tables, memories, globals and segments from the name section; functions without one
// get that of their first export. In the order that modules need, none twice, at most limits::names
// (names of locals are left out first). Never fails: what is broken, out of range, empty or not
// UTF-8 in the name section is left out.
void read_names(Image& image);

}  // namespace atollvm::wasm
