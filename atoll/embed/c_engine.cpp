// The C interface: errors, values, engines, modules, options.
#include <cstring>
#include <string_view>

#include "atoll/embed/c_api.hpp"

using namespace atollvm;

namespace atollvm::c {

atoll_error no_memory{ErrorCode::limit, "out of memory"};

atoll_error* make_error(ErrorCode code, const char* text) noexcept {
  try {
    return new atoll_error{code, text};
  } catch (const std::bad_alloc&) {
    return &no_memory;
  }
}
atoll_error* make_error(const Error& error) noexcept {
  try {
    return new atoll_error{error.code, error.text()};
  } catch (const std::bad_alloc&) {
    return &no_memory;
  }
}

std::uint64_t to_slot(const atoll_value& value, ValueType type) {
  switch (type) {
    case ValueType::i32:
    case ValueType::f32: {
      std::uint32_t bits = 0;
      std::memcpy(&bits, &value.of, sizeof bits);
      return bits;
    }
    default:
      return value.of.ref;
  }
}

atoll_value from_slot(std::uint64_t slot, ValueType type) {
  atoll_value value;
  value.type = static_cast<std::int32_t>(type);
  const bool narrow = type == ValueType::i32 || type == ValueType::f32;
  value.of.ref = narrow ? static_cast<std::uint32_t>(slot) : slot;
  return value;
}

static_assert(ATOLL_TRAPPED == static_cast<int>(ErrorCode::trapped));
static_assert(ATOLL_USAGE == static_cast<int>(ErrorCode::usage));
static_assert(ATOLL_EXTERNREF == static_cast<int>(ValueType::externref));
static_assert(sizeof(atoll_value) == 16);

}  // namespace atollvm::c

using c::attempt;
using c::guard;
using c::make_error;

const char* atoll_version(void) { return ATOLL_VERSION; }

atoll_code atoll_error_code(const atoll_error* error) {
  return static_cast<atoll_code>(error->code);
}
const char* atoll_error_text(const atoll_error* error) { return error->text.c_str(); }
void atoll_error_free(atoll_error* error) {
  if (error != &c::no_memory) delete error;
}

atoll_engine* atoll_engine_new(atoll_tier tier, bool guarded_memory) {
  const EngineOptions usual;
  return atoll_engine_with(tier, guarded_memory, usual.hardened, usual.code_memory, usual.warm_up);
}
atoll_engine* atoll_engine_with(atoll_tier tier, bool guarded_memory, bool hardened,
                                uint64_t code_memory, uint32_t warm_up) {
  constexpr Tier tiers[] = {Tier::automatic, Tier::interp, Tier::jit};
  return attempt([&]() -> atoll_engine* {
    if (tier < 0 || static_cast<size_t>(tier) >= std::size(tiers)) return nullptr;
    EngineOptions options;
    options.tier = tiers[tier];
    options.memory = guarded_memory ? MemoryStrategy::guarded : MemoryStrategy::checked;
    options.hardened = hardened;
    options.code_memory = code_memory;
    options.warm_up = warm_up;
    return new atoll_engine{Engine(options)};
  });
}
void atoll_engine_free(atoll_engine* engine) { delete engine; }

namespace {
atoll_error* give_module(Result<Module> made, atoll_module** module) {
  if (!made) return make_error(made.error());
  *module = new atoll_module{*std::move(made)};
  return nullptr;
}
}  // namespace

atoll_error* atoll_module_load(const atoll_engine* engine, const void* bytes, size_t size,
                               atoll_module** module) {
  return guard([&] {
    return give_module(
        Module::load(engine->engine, std::string_view(static_cast<const char*>(bytes), size)),
        module);
  });
}
atoll_error* atoll_module_assemble(const atoll_engine* engine, const char* name, const char* text,
                                   size_t size, atoll_module** module) {
  return guard([&] {
    return give_module(
        Module::assemble(engine->engine, {name, std::string(text, size)}, no_source_files), module);
  });
}
atoll_error* atoll_module_open(const atoll_engine* engine, const char* path,
                               atoll_module** module) {
  return guard(
      [&] { return give_module(Module::open(engine->engine, path, no_source_files), module); });
}
void atoll_module_free(atoll_module* module) { delete module; }

atoll_options* atoll_options_new(void) {
  return attempt([] { return new atoll_options; });
}
void atoll_options_free(atoll_options* options) { delete options; }
bool atoll_options_argument(atoll_options* options, const char* argument) {
  return attempt([&] {
    options->options.arguments.emplace_back(argument);
    return true;
  });
}
bool atoll_options_variable(atoll_options* options, const char* name, const char* value) {
  return attempt([&] {
    options->options.environment.emplace_back(name, value);
    return true;
  });
}
bool atoll_options_directory(atoll_options* options, const char* host, const char* guest,
                             bool writable) {
  return attempt([&] {
    options->options.directories.push_back({host, guest, writable});
    return true;
  });
}
atoll_error* atoll_options_mount(atoll_options* options, const char* mount) {
  return guard([&]() -> atoll_error* {
    auto parsed = parse_mount(mount);
    if (!parsed) return make_error(parsed.error());
    options->options.mounts.push_back(*std::move(parsed));
    return nullptr;
  });
}
atoll_error* atoll_options_network(atoll_options* options, const char* rules,
                                   void (*log)(void* env, const char* line), void* env) {
  return guard([&]() -> atoll_error* {
    if (rules != nullptr) {
      if (const auto error = check_network_rules(rules)) return make_error(*error);
    }
    options->options.network.rules = rules == nullptr ? "" : rules;
    options->options.network.log = nullptr;
    if (log != nullptr) {
      options->options.network.log = [log, env](std::string_view line) {
        log(env, std::string(line).c_str());
      };
    }
    return nullptr;
  });
}
atoll_error* atoll_options_listener(atoll_options* options, const char* address) {
  return guard([&]() -> atoll_error* {
    if (const auto error = check_listener(address)) return make_error(*error);
    options->options.network.listeners.emplace_back(address);
    return nullptr;
  });
}
void atoll_options_streams(atoll_options* options, int input, int output, int error) {
  options->options.input = input;
  options->options.output = output;
  options->options.error = error;
}
void atoll_options_memory(atoll_options* options, uint64_t bytes) {
  options->options.limits.memory_bytes = bytes;
}
void atoll_options_stack(atoll_options* options, uint64_t bytes) {
  options->options.limits.stack_bytes = bytes;
}
void atoll_options_handles(atoll_options* options, uint32_t count) {
  options->options.limits.handles = count;
  options->handles = count;
}
void atoll_options_table_elements(atoll_options* options, uint64_t count) {
  options->options.limits.table_elements = count;
}
void atoll_options_fuel(atoll_options* options, uint64_t fuel) {
  options->options.limits.fuel = fuel;
}
void atoll_options_time(atoll_options* options, uint64_t milliseconds) {
  constexpr uint64_t most = INT64_MAX / 1'000'000;  // in nanoseconds
  options->options.limits.time =
      std::chrono::milliseconds(static_cast<std::int64_t>(std::min(milliseconds, most)));
}
void atoll_options_imports(atoll_options* options, const atoll_imports* imports) {
  options->options.imports = imports->imports;
}
void atoll_options_trap_unknown_imports(atoll_options* options, bool trap) {
  options->options.trap_unknown_imports = trap;
}
