// What of the inputs is needed in the output.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "assembler/link/symbols.hpp"

namespace atollvm::link {

// Marks by input and index. Of imports that stand for something else only that is marked.
struct Needed {
  std::array<std::vector<std::vector<bool>>, kind_count> items;
  std::vector<std::vector<bool>> elems;
  std::vector<std::vector<bool>> datas;

  [[nodiscard]] bool item(mod::ExternKind kind, Ref ref) const {
    return items[static_cast<u8>(kind)][ref.object][ref.index];
  }
};

// `exports`: names of those that stay; empty: all.
Needed find_needed(const std::vector<Object>& objects, const Symbols& symbols,
                   const std::vector<std::string>& exports);

// Whether an export of this name stays in the output.
bool is_kept(const std::vector<std::string>& exports, const std::string& name);

}  // namespace atollvm::link
