// Which definition each import of the inputs stands for.
#pragma once

#include <array>
#include <compare>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "assembler/link/object.hpp"

namespace atollvm::link {

// Something in an index space of an input: a definition, or an import that stays one.
struct Ref {
  u32 object = 0;
  u32 index = 0;

  auto operator<=>(const Ref&) const = default;
};

std::string_view kind_name(mod::ExternKind kind);

class Symbols {
 public:
  // Finds everything; what is wrong goes to `mistakes`, a line each with the file.
  Symbols(const std::vector<Object>& objects, std::vector<std::string>& mistakes);

  // What an index of an input stands for in the end. Imports that stay and are alike stand for the
  // first of them. All of the inputs' memories 0 are one, {0, 0}.
  [[nodiscard]] Ref target(mod::ExternKind kind, u32 object, u32 index) const;
  // Whether a symbol is defined nowhere.
  [[nodiscard]] bool is_missing() const { return is_missing_; }
  // The import that memory 0 is, if any.
  [[nodiscard]] const mod::Import* memory_0_import() const { return memory_0_import_; }

 private:
  void check_exports();
  void resolve(mod::ExternKind kind, u32 object, u32 index);
  [[nodiscard]] bool find(const mod::Import& import, u32 object, Ref& found) const;
  void check_type(mod::ExternKind kind, u32 object, u32 index, Ref found);
  void check_memory_0();

  const std::vector<Object>& objects_;
  std::vector<std::string>& mistakes_;
  struct Exported {
    u32 object;
    const mod::Export* item;
  };
  std::unordered_map<std::string_view, std::vector<Exported>> exports_;
  std::array<std::vector<std::vector<Ref>>, kind_count> targets_;  // by kind, input, import
  const mod::Import* memory_0_import_ = nullptr;
  bool is_missing_ = false;
};

}  // namespace atollvm::link
