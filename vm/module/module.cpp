#include "vm/module/module.hpp"

#include <algorithm>
#include <tuple>

namespace atollvm::mod {

std::string_view name_of(ValType type) {
  switch (type) {
    case ValType::i32:
      return "i32";
    case ValType::i64:
      return "i64";
    case ValType::f32:
      return "f32";
    case ValType::f64:
      return "f64";
    case ValType::v128:
      return "v128";
    case ValType::funcref:
      return "funcref";
    case ValType::externref:
      return "externref";
  }
  return {};
}

u32 Module::imported(ExternKind kind) const {
  return static_cast<u32>(
      std::count_if(imports.begin(), imports.end(),
                    [kind](const Import& import) { return import.kind == kind; }));
}

std::string_view Module::name_of(NameSpace space, u32 index, u32 slot) const {
  const auto key = std::tuple(space, index, slot);
  const auto of = [](const Name& entry) {
    return std::tuple(entry.space, entry.index, entry.slot);
  };
  const auto at = std::lower_bound(names.begin(), names.end(), key,
                                   [&](const Name& entry, const auto& k) { return of(entry) < k; });
  return at != names.end() && of(*at) == key ? std::string_view(at->text) : std::string_view();
}

const Line* Module::line_at(u32 pc) const {
  const auto after = std::upper_bound(lines.begin(), lines.end(), pc,
                                      [](u32 word, const Line& line) { return word < line.pc; });
  return after == lines.begin() ? nullptr : &*std::prev(after);
}

}  // namespace atollvm::mod
