// What is behind the opaque classes of the public headers.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include <atoll/engine.hpp>
#include <atoll/host.hpp>
#include <atoll/machine.hpp>
#include <atoll/memory.hpp>
#include <atoll/module.hpp>
#include <atoll/process.hpp>
#include <atoll/result.hpp>

#include "atoll/embed/host.hpp"
#include "atoll/embed/watchdog.hpp"
#include "scheduler/core/scheduler.hpp"
#include "vm/base/result.hpp"
#include "vm/cap/account.hpp"
#include "vm/cap/handle_table.hpp"
#include "vm/runtime/memory.hpp"
#include "vm/runtime/process.hpp"
#include "vm/runtime/program.hpp"

namespace atollvm {

struct Engine::Impl {
  EngineOptions options;
  std::shared_ptr<runtime::NativePool> pool;  // of its compiled code
  Watchdog watchdog;
};

// What runs the code of an engine's processes.
using RunTier = runtime::Outcome (*)(runtime::Process&);
RunTier tier_of(const EngineOptions& options);
// For a scheduler that runs them.
sched::Scheduler::Options with_pool(sched::Scheduler::Options options, const Engine::Impl& engine);

struct Module::Impl {
  std::shared_ptr<Engine::Impl> engine;
  std::shared_ptr<const runtime::Program> program;
};

// What a Function calls: a Process, or the process of a machine that called a host function. The
// void* that a Function holds is its address, so it is the first base of what it is part of.
struct Callee {
  virtual ~Callee() = default;
  // Calls a function by its index with arguments in `values`, where it leaves the results. False:
  // `error` says why it did not return.
  virtual bool call(std::uint32_t function, std::uint64_t* values, std::size_t arguments,
                    std::size_t results) noexcept = 0;
  std::optional<Error> error;  // of the call that failed last
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
  // Its Callee.
  static void* impl(const Process& process) { return process.impl_.get(); }
  static Result<std::uint32_t> find_function(const Process& process, std::string_view name,
                                             const FunctionType& type) {
    return process.find_function(name, type);
  }
  // An exported function of the program's own. Errors: not_found.
  static Result<std::uint32_t> find_own(const runtime::Program& program, std::string_view name);
  // The arguments for a function of this type and name. Errors: usage.
  static Result<std::vector<runtime::Slot>> to_slots(const mod::FuncType& type,
                                                     std::string_view name,
                                                     std::span<const Value> arguments);
  // The results of one.
  static std::vector<Value> to_values(const mod::FuncType& type,
                                      std::span<const runtime::Slot> slots);
  // The same, if it is of this type. Errors: as Process::function.
  static Result<std::uint32_t> find_function(const runtime::Program& program, std::string_view name,
                                             const FunctionType& type);
  // For a process of the machine. Errors: usage.
  static Result<cap::Capability> capability(const Grant& grant, const sched::Machine& machine);
  // Of what a process of the machine with that account had.
  static Grant grant(cap::Capability capability, std::shared_ptr<const cap::Account> machine);
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
// But for the time.
runtime::Limits to_internal(const Limits& limits);
runtime::IoAmount io_of(const Limits& limits);
runtime::IoAmount io_rate_of(const Limits& limits);
std::vector<TraceFrame> to_public(std::vector<runtime::TraceFrame> trace);
// Of a call that did not return: where, and why.
Error call_error(const Outcome& outcome);

}  // namespace atollvm
