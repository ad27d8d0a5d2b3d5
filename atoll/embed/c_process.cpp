// The C interface: processes and their functions.
#include "atoll/embed/c_api.hpp"
#include "atoll/embed/impl.hpp"

using namespace atollvm;
using c::attempt;
using c::guard;
using c::make_error;

struct atoll_function {
  void* process;  // for detail::run_function
  std::uint32_t index;
  FunctionType type;
};

namespace {

atoll_type type_at(const std::vector<ValueType>& types, size_t position) {
  return static_cast<atoll_type>(position < types.size() ? static_cast<int>(types[position]) : -1);
}

// As stopped() of the C++ interface says it.
atoll_error* trapped(const Outcome& outcome) {
  std::string text(to_text(outcome.trap));
  if (!outcome.message.empty()) text += ": " + outcome.message;
  const std::string place = outcome.trace.empty() ? "" : outcome.trace.front().name;
  return make_error(Error{ErrorCode::trapped, place, std::move(text)});
}

template <class E, class From>
constexpr bool same(E mine, From theirs) {
  return static_cast<int>(mine) == static_cast<int>(theirs);
}
static_assert(same(ATOLL_TRAP_UNKNOWN_IMPORT, Trap::unknown_import) &&
              same(ATOLL_TRAP_HOST_ERROR, Trap::host_error) &&
              same(ATOLL_TRAP_MEMORY_BOUNDS, Trap::memory_bounds));
static_assert(same(ATOLL_EXITED, Outcome::Kind::exited) &&
              same(ATOLL_RETURNED, Outcome::Kind::returned) &&
              same(ATOLL_STOPPED, Outcome::Kind::trapped) &&
              same(ATOLL_OUT_OF_FUEL, Outcome::Kind::out_of_fuel) &&
              same(ATOLL_TIME_LIMIT, Outcome::Kind::time_limit) &&
              same(ATOLL_INTERRUPTED, Outcome::Kind::interrupted));

}  // namespace

atoll_error* atoll_process_new(const atoll_engine* engine, const atoll_module* module,
                               const atoll_options* options, atoll_process** process) {
  return guard([&]() -> atoll_error* {
    auto made = Process::create(engine->engine, module->module,
                                options == nullptr ? ProcessOptions() : options->options);
    if (!made) return make_error(made.error());
    *process = new atoll_process{*std::move(made), module->module};
    return nullptr;
  });
}
void atoll_process_free(atoll_process* process) { delete process; }

atoll_error* atoll_process_run(atoll_process* process, uint32_t* exit_code) {
  return guard([&]() -> atoll_error* {
    const auto outcome = process->process.run();
    if (!outcome) return make_error(outcome.error());
    if (outcome->kind != Outcome::Kind::exited) return trapped(*outcome);
    if (exit_code != nullptr) *exit_code = outcome->exit_code;
    return nullptr;
  });
}

atoll_error* atoll_process_function(atoll_process* process, const char* name,
                                    atoll_function** function) {
  return guard([&]() -> atoll_error* {
    const auto type = process->module.function_type(name);
    if (!type) {
      return make_error(Error{ErrorCode::not_found, name, "the module exports no such function"});
    }
    const auto index = Access::find_function(process->process, name, *type);
    if (!index) return make_error(index.error());
    *function = new atoll_function{Access::impl(process->process), *index, *type};
    return nullptr;
  });
}
void atoll_function_free(atoll_function* function) { delete function; }
size_t atoll_function_parameter_count(const atoll_function* function) {
  return function->type.parameters.size();
}
size_t atoll_function_result_count(const atoll_function* function) {
  return function->type.results.size();
}
atoll_type atoll_function_parameter(const atoll_function* function, size_t position) {
  return type_at(function->type.parameters, position);
}
atoll_type atoll_function_result(const atoll_function* function, size_t position) {
  return type_at(function->type.results, position);
}

atoll_error* atoll_function_call(const atoll_function* function, const atoll_value* arguments,
                                 size_t argument_count, atoll_value* results, size_t result_count) {
  return guard([&]() -> atoll_error* {
    const FunctionType& type = function->type;
    if (argument_count != type.parameters.size() || result_count != type.results.size()) {
      return make_error(ErrorCode::usage, "another number of arguments or results");
    }
    c::Few<std::uint64_t> slots(std::max(argument_count, result_count));
    for (size_t i = 0; i < argument_count; ++i) {
      const ValueType wanted = type.parameters[i];
      const bool reference = wanted == ValueType::funcref || wanted == ValueType::externref;
      if (arguments[i].type != static_cast<std::int32_t>(wanted) ||
          (reference && arguments[i].of.ref != 0)) {
        return make_error(ErrorCode::usage,
                          "an argument is of another type, or a reference that is not null");
      }
      slots[i] = c::to_slot(arguments[i], wanted);
    }
    if (!detail::run_function(function->process, function->index, slots.data(), argument_count,
                              result_count)) {
      return make_error(detail::function_error(function->process));
    }
    for (size_t i = 0; i < result_count; ++i) {
      results[i] = c::from_slot(slots[i], type.results[i]);
    }
    return nullptr;
  });
}

void atoll_process_add_fuel(atoll_process* process, uint64_t fuel) {
  process->process.add_fuel(fuel);
}
void atoll_process_interrupt(atoll_process* process) { process->process.interrupt(); }

uint8_t* atoll_process_memory(const atoll_process* process, uint64_t address, uint64_t length) {
  const auto found = process->process.memory().bytes(address, length);
  if (!found) return nullptr;
  static uint8_t nothing;  // for no bytes of no memory: not NULL, and nobody may look
  return found->data() != nullptr ? found->data() : &nothing;
}
uint64_t atoll_process_memory_size(const atoll_process* process) {
  return process->process.memory().size();
}

atoll_error* atoll_process_global(const atoll_process* process, const char* name,
                                  atoll_value* value) {
  return guard([&]() -> atoll_error* {
    const auto found = process->process.global(name);
    if (!found) return make_error(found.error());
    *value = c::from_slot(found->bits, found->type);
    return nullptr;
  });
}
atoll_error* atoll_process_set_global(atoll_process* process, const char* name, atoll_value value) {
  return guard([&]() -> atoll_error* {
    if (value.type < ATOLL_I32 || value.type > ATOLL_EXTERNREF) {
      return make_error(ErrorCode::usage, "the value is of no atoll_type");
    }
    const auto type = static_cast<ValueType>(value.type);
    const auto done = process->process.set_global(name, {type, c::to_slot(value, type)});
    return done ? nullptr : make_error(done.error());
  });
}

atoll_error* atoll_process_insert(atoll_process* process, void* object, const void* type,
                                  void (*free_object)(void*), uint32_t* handle) {
  return c::insert_object(object, type, free_object, handle,
                          [&](auto made) { return process->process.insert(std::move(made)); });
}
uint32_t atoll_process_revoke(atoll_process* process, const void* object, const void* type) {
  return Access::revoke_if(process->process, [&](const HostObject& each) {
    const auto* held = dynamic_cast<const c::Object*>(&each);
    return held != nullptr && object != nullptr && held->get(type) == object;
  });
}
void* atoll_process_object(const atoll_process* process, uint32_t handle, const void* type) {
  const auto found = std::dynamic_pointer_cast<c::Object>(process->process.object(handle));
  return found == nullptr ? nullptr : found->get(type);
}
bool atoll_process_close(atoll_process* process, uint32_t handle) {
  return attempt([&] { return process->process.close(handle); });
}

atoll_outcome atoll_process_outcome(const atoll_process* process) {
  return static_cast<atoll_outcome>(process->process.outcome().kind);
}
uint32_t atoll_process_outcome_exit_code(const atoll_process* process) {
  return process->process.outcome().exit_code;
}
atoll_trap atoll_process_outcome_trap(const atoll_process* process) {
  return static_cast<atoll_trap>(process->process.outcome().trap);
}
const char* atoll_process_outcome_message(const atoll_process* process) {
  return process->process.outcome().message.c_str();
}
const char* atoll_process_trace_function(const atoll_process* process, size_t frame) {
  const auto& trace = process->process.outcome().trace;
  return frame < trace.size() ? trace[frame].name.c_str() : nullptr;
}
const char* atoll_process_trace_location(const atoll_process* process, size_t frame) {
  const auto& trace = process->process.outcome().trace;
  return frame < trace.size() ? trace[frame].location.c_str() : nullptr;
}
const char* atoll_trap_text(int trap) {
  if (trap < 0 || trap > ATOLL_TRAP_UNKNOWN_IMPORT) return "";
  return to_text(static_cast<Trap>(trap)).data();  // a literal
}
