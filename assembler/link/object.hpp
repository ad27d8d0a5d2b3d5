// What the linker knows of an input.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "vm/base/result.hpp"
#include "vm/module/module.hpp"

namespace atollvm::link {

inline constexpr std::string_view reloc_section = "atoll.reloc";
inline constexpr u32 kind_count = 4;  // of mod::ExternKind

// A place that depends on where static data end up.
struct Reloc {
  enum class Kind : u8 {
    code_address = 0,    // imm32 of an instruction in field bc
    code_offset = 1,     // offset of a load or store in its extension word
    data_address = 2,    // 4 bytes of a data segment
    code_heap_base = 3,  // as 0: counted from heap_base
    data_heap_base = 4,  // as 2: counted from heap_base
  };
  Kind kind = Kind::code_address;
  u64 index = 0;   // code: word of the instruction; data: segment
  u64 offset = 0;  // data: byte in the segment
};

struct Object {
  std::string file;
  mod::Module module;
  std::array<std::vector<u32>, kind_count> imports;  // of a kind: indexes into module.imports
  bool is_object = false;                            // has relocations
  std::vector<Reloc> relocs;
  u64 data_end = 0;     // of its static data in memory 0
  u64 data_align = 16;  // of static data as a whole
  u64 delta = 0;        // by which they are moved

  [[nodiscard]] u32 imported(mod::ExternKind kind) const {
    return static_cast<u32>(imports[static_cast<u8>(kind)].size());
  }
  // Size of the kind's index space.
  [[nodiscard]] u32 count(mod::ExternKind kind) const;
  // The import behind an index below imported().
  [[nodiscard]] const mod::Import& import(mod::ExternKind kind, u32 index) const {
    return module.imports[imports[static_cast<u8>(kind)][index]];
  }
  [[nodiscard]] const mod::FuncType& func_type(u32 function) const;
  [[nodiscard]] const mod::TableType& table_type(u32 table) const;
  [[nodiscard]] const mod::MemoryType& memory_type(u32 memory) const;
  [[nodiscard]] const mod::GlobalType& global_type(u32 global) const;
};

// Verifies a module and reads its relocations.
base::Result<Object> open_object(std::string file, mod::Module module);

// Adds `delta` to addresses, and `heap_base` to what is counted from it.
void relocate(Object& object, u64 heap_base);

}  // namespace atollvm::link
