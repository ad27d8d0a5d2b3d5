// What is behind the opaque classes of the public headers.
#pragma once

#include <memory>

#include <atoll/engine.hpp>
#include <atoll/host.hpp>
#include <atoll/memory.hpp>
#include <atoll/module.hpp>
#include <atoll/process.hpp>
#include <atoll/result.hpp>

#include "atoll/embed/host.hpp"
#include "atoll/embed/watchdog.hpp"
#include "vm/base/result.hpp"
#include "vm/cap/handle_table.hpp"
#include "vm/runtime/memory.hpp"
#include "vm/runtime/program.hpp"

namespace atollvm {

struct Engine::Impl {
  EngineOptions options;
  Watchdog watchdog;
};

struct Module::Impl {
  std::shared_ptr<Engine::Impl> engine;
  std::shared_ptr<const runtime::Program> program;
};

// The way of the other sources in this folder into the opaque classes.
struct Access {
  static const std::shared_ptr<Engine::Impl>& impl(const Engine& engine) { return engine.impl_; }
  static const std::shared_ptr<const Module::Impl>& impl(const Module& module) {
    return module.impl_;
  }
  static const std::shared_ptr<const Imports::Impl>& impl(const Imports& imports) {
    return imports.impl_;
  }
  static Memory memory(const runtime::Memory* memory) { return Memory(memory); }
  static Caller caller(runtime::HostContext& context);
  static detail::Ticket suspend(const Caller& caller, std::function<void()> canceled) {
    return caller.suspend(std::move(canceled));
  }
  // For detail::run_function.
  static void* impl(const Process& process) { return process.impl_.get(); }
  static Result<std::uint32_t> find_function(const Process& process, std::string_view name,
                                             const FunctionType& type) {
    return process.find_function(name, type);
  }
  // An exported function of the program's own, of this type. Errors: as Process::function.
  static Result<std::uint32_t> find_function(const runtime::Program& program, std::string_view name,
                                             const FunctionType& type);
  // A handle to an object of the embedder. Errors: as Process::insert.
  static Result<std::uint32_t> insert(runtime::Process& process,
                                      std::shared_ptr<HostObject> object);
  // As Process::revoke, for the objects that `matches`.
  template <class Predicate>
  static std::uint32_t revoke_if(Process& process, Predicate matches) {
    return handles(process).close_if([&](const cap::Capability& capability) {
      return capability.object->kind() == cap::Kind::host &&
             matches(*static_cast<const ObjectHolder&>(*capability.object).object());
    });
  }
  static cap::HandleTable& handles(Process& process);
  // As Caller::object and Caller::close.
  static std::shared_ptr<HostObject> object(cap::HandleTable& handles, std::uint32_t handle);
  static bool close(cap::HandleTable& handles, std::uint32_t handle);
};

// The same error, in the public type.
Error to_public(base::Error error);
ValueType to_public(mod::ValType type);
mod::ValType to_internal(ValueType type);
// As in source: "(i32, i32) -> i32".
std::string signature_text(const mod::FuncType& type);

}  // namespace atollvm
