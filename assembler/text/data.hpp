// The contents of data items.
#pragma once

#include <optional>

#include "assembler/text/unit.hpp"
#include "vm/module/limits.hpp"

namespace atollvm::text {

inline constexpr u64 max_memory = mod::limits::memory_bytes;

// Passive data are held as they are, zeros included.
inline constexpr u64 max_passive = u64{64} << 20;

std::optional<Scalar> scalar_of(const Token& token);
u32 size_of(Scalar scalar);

struct DataSize {
  u64 bytes = 0;
  u64 align = 1;
};

// Size and alignment of a data item, without looking at values that do not matter for them.
DataSize data_size(Unit& unit, u32 index);

// Puts a data item's segments into the module.
void emit_data(Unit& unit, u32 index);

}  // namespace atollvm::text
