// The verifier: the only maker of VerifiedModule, and so the only way for code into the engine.
#pragma once

#include <memory>

#include "vm/base/result.hpp"
#include "vm/module/module.hpp"

namespace atollvm::verify {

// A module that keeps every rule of docs/format.md. Immutable; shared by all processes that run
// it; copies are cheap and refer to the same module. Any thread.
class VerifiedModule {
 public:
  [[nodiscard]] const mod::Module& operator*() const { return *module_; }
  [[nodiscard]] const mod::Module* operator->() const { return module_.get(); }
  // Whether any of its operations takes or gives floating-point numbers.
  [[nodiscard]] bool uses_floats() const { return uses_floats_; }
  [[nodiscard]] bool same(const VerifiedModule& other) const { return module_ == other.module_; }

 private:
  VerifiedModule(std::shared_ptr<const mod::Module> module, bool uses_floats)
      : module_(std::move(module)), uses_floats_(uses_floats) {}
  friend base::Result<VerifiedModule> verify(mod::Module module);

  std::shared_ptr<const mod::Module> module_;
  bool uses_floats_;
};

// Checks all rules of docs/format.md, in time linear in the module's size; needs 4 bytes for each
// word of the longest function besides the module. Errors: invalid, limit or unsupported (v128),
// with a place such as "section exports, entry 2" or "function main (7), word 12, i32.add"
// (function index with imports; word from the function's first).
base::Result<VerifiedModule> verify(mod::Module module);

}  // namespace atollvm::verify
