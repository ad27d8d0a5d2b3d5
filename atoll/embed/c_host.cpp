// The C interface: host functions.
#include <cstring>

#include "atoll/embed/c_api.hpp"
#include "atoll/embed/impl.hpp"

using namespace atollvm;
using c::attempt;
using c::guard;
using c::make_error;

namespace {

static_assert(ATOLL_PENDING == static_cast<int>(HostResult::Kind::pending));

using Type = std::shared_ptr<const FunctionType>;

// What the program's callback said, once its results are in the slots.
HostResult finish(const atoll_caller& caller, atoll_action action, c::Few<atoll_value>& results,
                  std::uint64_t* slots) {
  switch (action) {
    case ATOLL_RETURN:
      for (std::size_t i = 0; i < caller.type->results.size(); ++i) {
        slots[i] = c::to_slot(results[i], caller.type->results[i]);
      }
      return HostResult::value();
    case ATOLL_TRAP:
    case ATOLL_EXIT:
      // As atoll_caller_fail, _trap or _exit left it.
      if (static_cast<atoll_action>(caller.result.kind) == action) return caller.result;
      break;
    case ATOLL_PENDING:
      return HostResult::pending();
    default:
      break;
  }
  return caller.caller->fail("a host function gave back an action that it had not prepared");
}

HostResult run(atoll_callback function, void* env, const Type& type, const Caller& caller,
               std::uint64_t* slots, bool with_arguments) {
  const std::size_t count = with_arguments ? type->parameters.size() : 0;
  c::Few<atoll_value> arguments(count);
  c::Few<atoll_value> results(type->results.size());
  for (std::size_t i = 0; i < count; ++i) {
    arguments[i] = c::from_slot(slots[i], type->parameters[i]);
  }
  for (std::size_t i = 0; i < type->results.size(); ++i) {
    results[i] = c::from_slot(0, type->results[i]);
  }
  atoll_caller context{&caller, type, {}};
  const atoll_action action = function(env, &context, arguments.data(), results.data());
  return finish(context, action, results, slots);
}

}  // namespace

struct atoll_deferred {
  detail::Ticket ticket;
  Type type;
};

atoll_imports* atoll_imports_new(void) {
  return attempt([] { return new atoll_imports; });
}
void atoll_imports_free(atoll_imports* imports) { delete imports; }

atoll_error* atoll_imports_define(atoll_imports* imports, const char* module, const char* name,
                                  const atoll_type* parameters, size_t parameter_count,
                                  const atoll_type* results, size_t result_count,
                                  atoll_callback function, void* env, void (*free_env)(void*)) {
  if (free_env == nullptr) free_env = [](void*) {};
  return guard([&]() -> atoll_error* {
    const std::shared_ptr<void> kept(env, free_env);  // frees it also when it throws
    if (imports == nullptr || module == nullptr || name == nullptr || function == nullptr) {
      return make_error(ErrorCode::usage, "a set, a module, a name and a function are needed");
    }
    const auto type = std::make_shared<FunctionType>();
    const auto append = [](std::vector<ValueType>& to, const atoll_type* types, size_t count) {
      for (size_t i = 0; i < count; ++i) {
        if (types[i] < ATOLL_I32 || types[i] > ATOLL_EXTERNREF) return false;
        to.push_back(static_cast<ValueType>(types[i]));
      }
      return true;
    };
    if (!append(type->parameters, parameters, parameter_count) ||
        !append(type->results, results, result_count)) {
      return make_error(ErrorCode::usage, "a parameter or result is of no atoll_type");
    }
    imports->imports.define(
        module, name, *type,
        [function, kept, type = Type(type)](Caller& caller, std::uint64_t* slots) {
          return run(function, kept.get(), type, caller, slots, true);
        });
    return nullptr;
  });
}

uint8_t* atoll_caller_memory(const atoll_caller* caller, uint64_t address, uint64_t length) {
  const auto found = caller->caller->memory().bytes(address, length);
  if (!found) return nullptr;
  static uint8_t nothing;  // for no bytes of no memory: not NULL, and nobody may look
  return found->data() != nullptr ? found->data() : &nothing;
}
uint64_t atoll_caller_memory_size(const atoll_caller* caller) {
  return caller->caller->memory().size();
}

uint64_t atoll_caller_pid(const atoll_caller* caller) { return caller->caller->pid(); }

atoll_action atoll_caller_fail(atoll_caller* caller, const char* text) {
  caller->result = HostResult::trapped(Trap::host_error);
  attempt([&] {
    caller->result = caller->caller->fail(text);
    return true;
  });
  return ATOLL_TRAP;
}
atoll_action atoll_caller_trap(atoll_caller* caller, int trap) {
  const bool known = trap >= 0 && trap <= ATOLL_TRAP_UNKNOWN_IMPORT;
  caller->result = HostResult::trapped(known ? static_cast<Trap>(trap) : Trap::host_error);
  return ATOLL_TRAP;
}
atoll_action atoll_caller_exit(atoll_caller* caller, uint32_t code) {
  caller->result = HostResult::exited(code);
  return ATOLL_EXIT;
}

atoll_error* atoll_caller_insert(atoll_caller* caller, void* object, const void* type,
                                 void (*free_object)(void*), uint32_t* handle) {
  return c::insert_object(object, type, free_object, handle,
                          [&](auto made) { return caller->caller->insert(std::move(made)); });
}
void* atoll_caller_object(const atoll_caller* caller, uint32_t handle, const void* type) {
  const auto found = std::dynamic_pointer_cast<c::Object>(caller->caller->object(handle));
  return found == nullptr ? nullptr : found->get(type);
}
bool atoll_caller_close(atoll_caller* caller, uint32_t handle) {
  return attempt([&] { return caller->caller->close(handle); });
}

atoll_deferred* atoll_caller_defer(atoll_caller* caller, void (*canceled)(void*), void* env) {
  return attempt([&] {
    auto deferred = std::make_unique<atoll_deferred>();
    std::function<void()> tell;
    if (canceled != nullptr) tell = [canceled, env] { canceled(env); };
    deferred->type = caller->type;
    deferred->ticket = Access::suspend(*caller->caller, std::move(tell));
    return deferred.release();
  });
}

void atoll_deferred_complete(const atoll_deferred* deferred, const atoll_value* results,
                             size_t count) {
  attempt([&] {
    const FunctionType& type = *deferred->type;
    bool fits = count == type.results.size();
    std::vector<std::uint64_t> slots;
    for (size_t i = 0; fits && i < count; ++i) {
      fits = results[i].type == static_cast<std::int32_t>(type.results[i]);
      slots.push_back(c::to_slot(results[i], type.results[i]));
    }
    deferred->ticket.finish([fits, slots](Caller& caller, std::uint64_t* to) {
      if (!fits) return caller.fail("a deferred call was given results of other types");
      std::copy(slots.begin(), slots.end(), to);
      return HostResult::value();
    });
    return true;
  });
}
void atoll_deferred_complete_with(const atoll_deferred* deferred, atoll_callback function,
                                  void* env, void (*free_env)(void*)) {
  if (free_env == nullptr) free_env = [](void*) {};
  attempt([&] {
    const std::shared_ptr<void> kept(env, free_env);
    deferred->ticket.finish(
        [function, kept, type = deferred->type](Caller& caller, std::uint64_t* slots) {
          return run(function, kept.get(), type, caller, slots, false);
        });
    return true;
  });
}
void atoll_deferred_fail(const atoll_deferred* deferred, const char* text) {
  attempt([&] {
    deferred->ticket.finish([message = std::string(text)](Caller& caller, std::uint64_t*) {
      return caller.fail(message);
    });
    return true;
  });
}
void atoll_deferred_free(atoll_deferred* deferred) { delete deferred; }
