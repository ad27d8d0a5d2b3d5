// What handles name that processes can be started from: a program whose imports are there.
#pragma once

#include <memory>
#include <span>

#include "vm/cap/object.hpp"
#include "vm/runtime/process.hpp"

namespace atollvm::runtime {

// Immutable, any thread.
class ModuleObject final : public cap::Object {
 public:
  // Each process keeps room for what an import is, so a module can't have any number of them.
  static constexpr usize max_imports = 1000;

  // The functions are those of the machine, which must outlive the processes. Errors: not_found,
  // invalid (an import that nothing gives, or of another type), limit (max_imports).
  static base::Result<std::shared_ptr<ModuleObject>> make(
      const std::shared_ptr<const Program>& program, std::span<const HostFunction> host,
      std::span<const HostFunction> more_host);

  [[nodiscard]] const std::shared_ptr<const Program>& program() const {
    return like_.linked->program;
  }
  // For Process::add_instance: an instance of no process.
  [[nodiscard]] const Instance& like() const { return like_; }

 private:
  ModuleObject() : Object(cap::Kind::module) {}

  Instance like_;
};

}  // namespace atollvm::runtime
