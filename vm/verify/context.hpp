// What the parts of the verifier share: the index spaces of the module, and the first failure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "vm/base/result.hpp"
#include "vm/module/module.hpp"

namespace atollvm::verify {

// Slots that a function type takes.
struct Shape {
  u16 params = 0;
  u16 results = 0;
  u32 result_class = 0;  // the same number for types with the same results
};

// The index spaces, imports first.
struct Context {
  explicit Context(const mod::Module& checked) : module(checked) {}

  const mod::Module& module;
  std::vector<Shape> shapes;             // of `types`
  std::vector<u32> functions;            // type index
  std::vector<mod::ValType> tables;      // element type
  std::vector<mod::GlobalType> globals;  // imported and own
  u32 memories = 0;
  u32 imported_functions = 0;
  u32 imported_globals = 0;
  u32 imported_tables = 0;
  u32 imported_memories = 0;
};

// The rules outside of code: limits, types, indexes, constant expressions, names, lines, tiling of
// functions. Fills the context; `context.module` is what it checks.
std::optional<base::Error> check_module(Context& context);

// The rules for code, one function after the other. Needs what check_module has checked.
base::Result<bool> check_code(const Context& context);

}  // namespace atollvm::verify
