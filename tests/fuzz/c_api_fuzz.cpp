// Bytes to a sequence of calls of the C interface that follows its rules (what is freed is not used
// again) and nothing else: any order, any numbers, host functions that do whatever the bytes say.
#include <atoll.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "tests/support/entropy.hpp"

extern "C" int LLVMFuzzerTestOneInput(const atollvm::u8* data, atollvm::usize size);

namespace {

using namespace atollvm;
using test::Entropy;

constexpr const char* source = R"(
import func act(a: i32, b: i64) -> i32 from "h" "act"
import func bytes(p: i32, n: i32) -> i64 from "h" "bytes"
import func later(a: i32) -> i32 from "h" "later"
import func numbers(a: f32, b: f64, c: externref) -> f64, f32, externref from "h" "numbers"
memory 100 .. 200000
export global counter: mut i64 = 0
export global half: f32 = 0.5
export func f_act(a: i32, b: i64) -> i32 { ret (call act(a, b)) }
export func f_bytes(p: i32, n: i32) -> i64 { ret (call bytes(p, n)) }
export func f_later(a: i32) -> i32 { ret (call later(a)) }
export func f_numbers(a: f32, b: f64, c: externref) -> f64, f32, externref {
    var x: f64, y: f32, z: externref
    call numbers(a, b, c) -> x, y, z
    ret x, y, z
}
export func f_spin() { loop { } }
export func f_recurse(a: i32) -> i32 { ret (i32.add (call f_recurse(a)), 1) }
export func f_grow(n: i32) -> i32 { ret (memory.grow n) }
export func f_store(p: i32) { i32.store [p], 1; ret }
export func f_trap() { unreachable }
export func main() -> i32 { ret (call act(1, 2)) }
)";
constexpr const char* names[] = {"f_act",     "f_bytes", "f_later", "f_numbers", "f_spin",
                                 "f_recurse", "f_grow",  "f_store", "f_trap",    "main",
                                 "counter",   "half",    "none",    ""};
constexpr const char* function_names[] = {"act", "bytes", "later", "numbers"};
const char types[2] = {};

// What one run of the fuzzer has at hand.
struct World {
  Entropy entropy;
  atoll_process* process = nullptr;  // that runs, or that is worked with
  std::vector<atoll_deferred*> deferred{};
  int alive = 0;  // objects and callbacks that were not freed yet

  u32 pick(u32 below) { return entropy.below(below); }
  u32 number() {
    constexpr u32 edges[] = {0, 1, 3, 4, 99, 100, 65536, 0x7fff'ffff, 0x8000'0000, 0xffff'ffff};
    return pick(3) == 0 ? edges[pick(10)] : pick(300);
  }
};
World* world;  // of the run under way

void drop(atoll_error* error) {
  if (error == nullptr) return;
  if (std::strlen(atoll_error_text(error)) == 0) std::abort();
  atoll_error_free(error);
}
void free_one(void* counter) { --*static_cast<int*>(counter); }
void canceled(void* env) {
  if (env != world) std::abort();
}

atoll_value any_value() {
  atoll_value value;
  value.type = static_cast<std::int32_t>(world->pick(8)) - 1;
  value.of.ref = world->number() | static_cast<u64>(world->number()) << 32;
  return value;
}

atoll_action complete_later(void* env, atoll_caller* caller, const atoll_value*,
                            atoll_value* results);
void call(atoll_process* process, u32 which);
void look(const atoll_process* process);

atoll_action behave(atoll_caller* caller, atoll_value* results, bool returns_one) {
  switch (world->pick(16)) {
    case 0:
      return atoll_caller_fail(caller, "fails");
    case 1:
      return atoll_caller_trap(caller, static_cast<int>(world->number()));
    case 2:
      return atoll_caller_exit(caller, world->number());
    case 3:
      return static_cast<atoll_action>(world->number());
    case 4:
    case 5: {
      atoll_deferred* deferred =
          atoll_caller_defer(caller, world->pick(2) == 0 ? canceled : nullptr, world);
      if (deferred == nullptr) return atoll_caller_fail(caller, "no memory");
      world->deferred.push_back(deferred);
      const atoll_value value = world->pick(3) == 0 ? any_value() : atoll_i32(7);
      switch (world->pick(4)) {
        case 0:
          atoll_deferred_complete(deferred, &value, returns_one ? 1 : world->pick(2));
          break;
        case 1:
          ++world->alive;
          atoll_deferred_complete_with(deferred, complete_later, &world->alive, free_one);
          break;
        case 2:
          atoll_deferred_fail(deferred, "later");
          break;
        default:
          break;  // it stays parked
      }
      return world->pick(4) == 0 ? ATOLL_RETURN : ATOLL_PENDING;
    }
    case 6: {
      u32 handle = 0;
      ++world->alive;
      drop(atoll_caller_insert(caller, &world->alive, world->pick(8) == 0 ? nullptr : &types[0],
                               free_one, &handle));
      if (returns_one) results[0] = atoll_i32(static_cast<std::int32_t>(handle));
      return ATOLL_RETURN;
    }
    case 7:
      atoll_caller_object(caller, world->number(), &types[world->pick(2)]);
      return ATOLL_RETURN;
    case 8:
      atoll_caller_close(caller, world->number());
      return ATOLL_RETURN;
    case 9:
      // Against the rules, and refused.
      drop(atoll_process_run(world->process, nullptr));
      return ATOLL_RETURN;
    case 10:
    case 11:
      call(world->process, world->pick(14));
      look(world->process);
      return ATOLL_RETURN;
    default:
      return ATOLL_RETURN;
  }
}
atoll_action complete_later(void*, atoll_caller* caller, const atoll_value*, atoll_value* results) {
  if (u8* bytes = atoll_caller_memory(caller, world->number(), 4)) std::memset(bytes, 1, 4);
  return behave(caller, results, false);
}
atoll_action act(void*, atoll_caller* caller, const atoll_value*, atoll_value* results) {
  return behave(caller, results, true);
}
atoll_action sum_bytes(void*, atoll_caller* caller, const atoll_value* arguments,
                       atoll_value* results) {
  const u32 length = static_cast<u32>(arguments[1].of.i32);
  const u8* bytes = atoll_caller_memory(caller, static_cast<u32>(arguments[0].of.i32), length);
  if (bytes == nullptr) return atoll_caller_trap(caller, ATOLL_TRAP_MEMORY_BOUNDS);
  if (length > atoll_caller_memory_size(caller)) std::abort();
  for (u32 i = 0; i < length; ++i) results[0].of.i64 += bytes[i];
  return ATOLL_RETURN;
}
atoll_action numbers(void*, atoll_caller*, const atoll_value* arguments, atoll_value* results) {
  results[0] = atoll_f64(static_cast<double>(arguments[0].of.f32));
  results[1] = atoll_f32(static_cast<float>(arguments[1].of.f64 > 1e30 ? 0 : 1));
  return ATOLL_RETURN;
}

void define(atoll_imports* imports, u32 which) {
  constexpr atoll_type act_types[] = {ATOLL_I32, ATOLL_I64};
  constexpr atoll_type bytes_types[] = {ATOLL_I32, ATOLL_I32};
  constexpr atoll_type number_types[] = {ATOLL_F32, ATOLL_F64, ATOLL_EXTERNREF};
  constexpr atoll_type number_results[] = {ATOLL_F64, ATOLL_F32, ATOLL_EXTERNREF};
  const char* name = function_names[which];
  ++world->alive;
  switch (which) {
    case 0:
      return drop(atoll_imports_define(imports, "h", name, act_types, 2, act_types, 1, act,
                                       &world->alive, free_one));
    case 1:
      return drop(atoll_imports_define(imports, "h", name, bytes_types, 2, act_types + 1, 1,
                                       sum_bytes, &world->alive, free_one));
    case 2:
      return drop(atoll_imports_define(imports, "h", name, act_types, 1, act_types, 1, act,
                                       &world->alive, free_one));
    default:
      return drop(atoll_imports_define(imports, "h", name, number_types, 3, number_results, 3,
                                       numbers, &world->alive, free_one));
  }
}

void call(atoll_process* process, u32 which) {
  atoll_function* function = nullptr;
  drop(atoll_process_function(process, names[which], &function));
  if (function == nullptr) return;
  std::vector<atoll_value> arguments(atoll_function_parameter_count(function));
  for (usize i = 0; i < arguments.size(); ++i) {
    arguments[i] = any_value();
    if (world->pick(16) != 0) arguments[i].type = atoll_function_parameter(function, i);
    if (arguments[i].type == ATOLL_EXTERNREF && world->pick(4) != 0) arguments[i].of.ref = 0;
  }
  std::vector<atoll_value> results(atoll_function_result_count(function) +
                                   (world->pick(16) == 0 ? 1 : 0));
  drop(atoll_function_call(function, arguments.data(), arguments.size(), results.data(),
                           results.size()));
  atoll_function_free(function);
}

void look(const atoll_process* process) {
  const atoll_outcome outcome = atoll_process_outcome(process);
  if (outcome < ATOLL_EXITED || outcome > ATOLL_INTERRUPTED) std::abort();
  if (std::strlen(atoll_trap_text(atoll_process_outcome_trap(process))) == 0) std::abort();
  if (atoll_process_outcome_message(process) == nullptr) std::abort();
  for (usize i = 0; atoll_process_trace_function(process, i) != nullptr; ++i) {
    if (atoll_process_trace_location(process, i) == nullptr) std::abort();
  }
  const u64 address = world->number();
  const u64 length = world->number();
  const u64 all = atoll_process_memory_size(process);
  const bool inside = address <= all && length <= all - address;
  if ((atoll_process_memory(process, address, length) != nullptr) != inside) std::abort();
}

void step(std::vector<atoll_process*>& processes, const atoll_module* module,
          const atoll_engine* engine) {
  const u32 what = world->pick(12);
  if (processes.empty() || (what == 0 && processes.size() < 4)) {
    atoll_imports* imports = atoll_imports_new();
    for (u32 i = 0; i < 4; ++i) {
      if (world->pick(32) != 0) define(imports, i);
    }
    atoll_options* options = atoll_options_new();
    atoll_options_imports(options, imports);
    atoll_options_fuel(options, world->pick(3000));
    atoll_options_time(options, 3);  // for what stays parked
    if (world->pick(4) == 0) atoll_options_memory(options, world->number());
    if (world->pick(4) == 0) atoll_options_handles(options, world->pick(8));
    if (world->pick(4) == 0) atoll_options_stack(options, world->number());
    atoll_options_trap_unknown_imports(options, world->pick(2) == 0);
    atoll_process* process = nullptr;
    drop(atoll_process_new(engine, module, options, &process));
    if (process != nullptr) processes.push_back(process);
    atoll_options_free(options);
    atoll_imports_free(imports);
    return;
  }
  const u32 at = world->pick(static_cast<u32>(processes.size()));
  atoll_process* const process = world->process = processes[at];
  u32 handle = 0;
  atoll_value value = any_value();
  switch (what) {
    case 1:
      atoll_process_free(process);
      processes.erase(processes.begin() + at);
      break;
    case 2:
      atoll_process_add_fuel(process, world->number());
      break;
    case 3:
      atoll_process_interrupt(process);
      break;
    case 4:
      ++world->alive;
      drop(atoll_process_insert(process, &world->alive, &types[world->pick(2)], free_one, &handle));
      break;
    case 5:
      handle = world->number();
      if (world->pick(2) == 0) {
        atoll_process_revoke(process, &world->alive, &types[world->pick(2)]);
      } else if (atoll_process_object(process, handle, &types[world->pick(2)]) != nullptr) {
        atoll_process_close(process, handle);
      }
      break;
    case 6:
      drop(atoll_process_global(process, names[world->pick(14)], &value));
      drop(atoll_process_set_global(process, names[world->pick(14)], any_value()));
      break;
    case 7:
      if (world->pick(4) == 0) drop(atoll_process_run(process, &handle));
      break;
    case 8:
      if (world->deferred.empty()) break;
      value = atoll_i32(1);
      atoll_deferred_complete(world->deferred.back(), &value, 1);
      atoll_deferred_free(world->deferred.back());
      world->deferred.pop_back();
      break;
    default:
      call(process, world->pick(14));
      break;
  }
  for (const atoll_process* each : processes) look(each);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const atollvm::u8* data, atollvm::usize size) {
  World here{Entropy({data, size})};
  world = &here;
  atoll_engine* engine = atoll_engine_new(static_cast<atoll_tier>(here.pick(3)), here.pick(8) == 0);
  atoll_module* module = nullptr;
  drop(atoll_module_assemble(engine, "fuzz.atoll", source, std::strlen(source), &module));
  if (module == nullptr) std::abort();
  std::vector<atoll_process*> processes;
  const u32 steps = here.pick(60);
  for (u32 i = 0; i < steps; ++i) step(processes, module, engine);
  const bool engine_first = here.pick(2) == 0;
  if (engine_first) atoll_engine_free(engine);
  atoll_module_free(module);
  for (atoll_process* each : processes) atoll_process_free(each);
  for (atoll_deferred* each : here.deferred) atoll_deferred_free(each);
  if (!engine_first) atoll_engine_free(engine);
  if (here.alive != 0) {
    std::fprintf(stderr, "%d callbacks and objects were not freed\n", here.alive);
    std::abort();
  }
  return 0;
}
