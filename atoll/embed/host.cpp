#include "atoll/embed/host.hpp"

#include <algorithm>
#include <new>
#include <utility>
#include <variant>

#include "atoll/embed/impl.hpp"
#include "scheduler/core/task.hpp"
#include "vm/runtime/process.hpp"

namespace atollvm {

namespace {

using Status = runtime::HostResult::Status;
static_assert(static_cast<int>(HostResult::Kind::value) == static_cast<int>(Status::value) &&
              static_cast<int>(HostResult::Kind::trap) == static_cast<int>(Status::trap) &&
              static_cast<int>(HostResult::Kind::exit) == static_cast<int>(Status::exit) &&
              static_cast<int>(HostResult::Kind::pending) == static_cast<int>(Status::pending));

runtime::HostResult to_internal(HostResult result) {
  return {static_cast<Status>(result.kind), static_cast<runtime::Trap>(result.trap),
          result.exit_code};
}

HostState& state_of(const runtime::HostContext& context) {
  const runtime::Process& process = context.process();
  if (process.worker()->core != nullptr) return HostState::of_worker();
  return *static_cast<HostState*>(process.owner);
}

runtime::HostResult run(const HostCode& code, runtime::HostContext& context) {
  Caller caller = Access::caller(context);
  try {
    const HostResult result = code(caller, context.slots());
    HostState& state = state_of(context);
    if (state.ends) [[unlikely]]
      return *std::exchange(state.ends, std::nullopt);
    return to_internal(result);
  } catch (const std::bad_alloc&) {
    throw;  // the runtime traps as out_of_memory
  } catch (const std::exception& error) {
    return to_internal(caller.fail(error.what()));
  }
}

runtime::HostContext& context_of(void* context) {
  return *static_cast<runtime::HostContext*>(context);
}

}  // namespace

HostState& HostState::of_worker() {
  thread_local HostState state;
  return state;
}

Caller Access::caller(runtime::HostContext& context) { return Caller(&context); }

// --- Memory --------------------------------------------------------------------------------------

namespace {
const runtime::Memory* memory_of(const void* memory) {
  return static_cast<const runtime::Memory*>(memory);
}
}  // namespace

std::uint64_t Memory::size() const noexcept {
  return memory_ == nullptr ? 0 : memory_of(memory_)->size();
}

std::optional<std::span<std::uint8_t>> Memory::bytes(std::uint64_t address,
                                                     std::uint64_t length) const noexcept {
  const std::uint64_t end = size();
  if (address > end || length > end - address) return std::nullopt;
  if (end == 0) return std::span<std::uint8_t>();
  return std::span<std::uint8_t>(memory_of(memory_)->base() + address, length);
}

// --- Caller --------------------------------------------------------------------------------------

Memory Caller::memory() const {
  const runtime::Instance& instance = *context_of(context_).process().host_caller;
  return Access::memory(instance.memories.empty() ? nullptr : instance.memories.front());
}

Result<std::uint32_t> Caller::insert(std::shared_ptr<HostObject> object) const {
  return Access::insert(context_of(context_).process(), std::move(object));
}

std::shared_ptr<HostObject> Caller::object(std::uint32_t handle) const {
  return Access::object(context_of(context_).handles(), handle);
}

bool Caller::close(std::uint32_t handle) const {
  return Access::close(context_of(context_).handles(), handle);
}

std::shared_ptr<HostObject> Access::object(cap::HandleTable& handles, std::uint32_t handle) {
  const auto found = handles.find(handle, cap::Kind::host, cap::rights_none);
  const auto* capability = std::get_if<cap::Capability*>(&found);
  if (capability == nullptr) return nullptr;
  return static_cast<const ObjectHolder&>(*(*capability)->object).object();
}

bool Access::close(cap::HandleTable& handles, std::uint32_t handle) {
  const cap::Capability* capability = handles.find(handle);
  if (capability == nullptr || capability->object->kind() != cap::Kind::host) return false;
  return handles.close(handle) == cap::Errno::success;
}

void* Caller::process() const {
  runtime::Process& process = context_of(context_).process();
  return process.worker()->core != nullptr ? task_callee(process)
                                           : static_cast<HostState*>(process.owner)->process;
}

std::uint64_t Caller::pid() const {
  const runtime::Process& process = context_of(context_).process();
  return process.worker()->core != nullptr ? static_cast<const sched::Task&>(process).pid : 0;
}

Result<std::uint32_t> Caller::find_function(std::string_view name, const FunctionType& type) const {
  return Access::find_function(context_of(context_).process().program(), name, type);
}

HostResult Caller::fail(std::string message) const {
  state_of(context_of(context_)).message = std::move(message);
  return HostResult::trapped(Trap::host_error);
}

Result<std::uint32_t> Access::insert(runtime::Process& process,
                                     std::shared_ptr<HostObject> object) {
  if (object == nullptr) return Error{ErrorCode::usage, "", "a handle needs an object"};
  const auto handle = process.handles().insert(
      {std::make_shared<ObjectHolder>(std::move(object)), cap::rights_all});
  if (std::holds_alternative<cap::Errno>(handle)) {
    return Error{ErrorCode::limit, "", "the process has as many handles as it may have"};
  }
  return std::get<cap::Handle>(handle);
}

// --- Parked calls --------------------------------------------------------------------------------

struct detail::Ticket::State {
  runtime::Completion completion;
};

void detail::Ticket::finish(HostCode code) const {
  if (state_ == nullptr) return;
  state_->completion.finish(
      [code = std::move(code)](runtime::HostContext& context) { return run(code, context); });
}

detail::Ticket Caller::suspend(std::function<void()> canceled) const {
  detail::Ticket ticket;
  ticket.state_ = std::make_shared<detail::Ticket::State>();
  ticket.state_->completion = context_of(context_).suspend(std::move(canceled));
  return ticket;
}

// --- Imports -------------------------------------------------------------------------------------

Imports::Imports() = default;

Imports& Imports::define(std::string module, std::string name, FunctionType type, HostCode code) {
  auto changed = impl_ == nullptr ? std::make_shared<Impl>() : std::make_shared<Impl>(*impl_);
  std::erase_if(changed->functions, [&](const runtime::HostFunction& each) {
    return each.module == module && each.name == name;
  });
  runtime::HostFunction function;
  function.module = std::move(module);
  function.name = std::move(name);
  for (ValueType each : type.parameters) function.type.params.push_back(to_internal(each));
  for (ValueType each : type.results) function.type.results.push_back(to_internal(each));
  function.call = [code = std::move(code)](runtime::HostContext& context) {
    return run(code, context);
  };
  changed->functions.push_back(std::move(function));
  impl_ = std::move(changed);
  return *this;
}

}  // namespace atollvm
