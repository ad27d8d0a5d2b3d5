// Sections of a module file, shared by the reader and the writer (docs/format.md).
#pragma once

#include <array>
#include <string_view>

#include "vm/base/types.hpp"

namespace atollvm::mod {

// In the order of the file; the number is the section's first byte.
enum class SectionId : u8 {
  types = 1,
  imports,
  functions,
  tables,
  memories,
  globals,
  exports,
  start,
  elements,
  data,
  labels,
  code,
  names,
  lines,
  custom,
};

inline constexpr std::array<std::string_view, 16> section_names = {
    "",      "types",    "imports", "functions", "tables", "memories", "globals", "exports",
    "start", "elements", "data",    "labels",    "code",   "names",    "lines",   "custom"};

inline constexpr u32 header_size = 8;

// How the items of an element segment are written.
enum class ItemForm : u8 { expressions = 0, functions = 1 };

// Bytes before the words of the code section, so that they are aligned in the file.
constexpr u32 code_padding(u64 file_offset) { return static_cast<u32>((0 - file_offset) % 8); }

// Differences of neighbours as unsigned numbers that are small for small steps both ways.
constexpr u32 zigzag(u32 step) { return step << 1 ^ (0u - (step >> 31)); }
constexpr u32 unzigzag(u32 coded) { return coded >> 1 ^ (0u - (coded & 1)); }

}  // namespace atollvm::mod
