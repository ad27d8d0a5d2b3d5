// Runs one program in several ways that must not differ in anything a guest or a host can see.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/generate.hpp"
#include "vm/interp/interp.hpp"
#include "vm/jit/analysis.hpp"
#include "vm/jit/jit.hpp"
#include "vm/runtime/process.hpp"

namespace atollvm::test {

// The host functions of generated programs. "later" is finished before it returns.
inline const std::vector<runtime::HostFunction>& generated_host() {
  using runtime::HostContext;
  using runtime::HostResult;
  static const std::vector<runtime::HostFunction> functions = [] {
    const auto value = [](HostContext& context) {
      return context.arg_i64(0) ^ static_cast<i64>(context.arg_u64(1) * 0x9e37'79b9'7f4a'7c15);
    };
    std::vector<runtime::HostFunction> all(2);
    for (auto& function : all) {
      function.module = "test";
      function.type = {{ValType::i64, ValType::i64}, {ValType::i64}};
    }
    all[0].name = "mix";
    all[0].call = [value](HostContext& context) {
      if (const auto bytes = context.memory(3, 5)) ++(*bytes)[2];
      return context.result_i64(value(context));
    };
    all[1].name = "later";
    all[1].call = [value](HostContext& context) {
      const i64 result = value(context);
      context.suspend().finish([result](HostContext& later) {
        return later.result_i64(static_cast<i64>(static_cast<u64>(result) + 1));
      });
      return HostResult::pending();
    };
    return all;
  }();
  return functions;
}

// What is left of a run.
struct Ending {
  runtime::Outcome outcome;
  std::vector<u64> results;
  u64 state = 0;  // hash of memories, tables and globals
  i64 fuel = 0;
  u32 pc = 0;  // where it stopped, unless it finished
  u64 fp = 0;
  std::vector<std::vector<u64>> stops;  // what was there whenever it was preempted

  // What differs from another ending, in words; empty if nothing.
  [[nodiscard]] std::string difference(const Ending& other) const {
    const auto numbers = [](const char* what, auto a, auto b) {
      return std::string(what) + " " + std::to_string(a) + " and " + std::to_string(b);
    };
    if (outcome.kind != other.outcome.kind) {
      return numbers("outcomes", static_cast<int>(outcome.kind),
                     static_cast<int>(other.outcome.kind));
    }
    if (outcome.kind == runtime::Outcome::Kind::trapped && outcome.trap != other.outcome.trap) {
      return "traps '" + std::string(runtime::text(outcome.trap)) + "' and '" +
             std::string(runtime::text(other.outcome.trap)) + "'";
    }
    if (results != other.results) return "results";
    if (state != other.state) return "memories, tables or globals";
    if (fuel != other.fuel) return numbers("fuel", fuel, other.fuel);
    if (pc != other.pc) return numbers("addresses", pc, other.pc);
    if (fp != other.fp) return numbers("frames", fp, other.fp);
    return {};
  }
};

inline u64 state_hash(runtime::Process& process) {
  u64 hash = 0xcbf2'9ce4'8422'2325;
  const auto add = [&](u64 value) { hash = (hash ^ value) * 0x100'0000'01b3; };
  const runtime::Instance& instance = process.instance();
  for (const runtime::Memory* memory : instance.memories) {
    add(memory->size());
    for (u64 i = 0; i < memory->size(); ++i) add(memory->base()[i]);
  }
  for (const runtime::Table* table : instance.tables) {
    add(table->elements.size());
    for (u64 element : table->elements) add(element);
  }
  for (const runtime::GlobalCell& cell : instance.globals) add(cell.low);
  return hash;
}

// Sees where a process of a program is stopped, and what the innermost call's slots hold that are
// defined there: the lower half where its code reads no more, as moves in machine code may leave
// the rest out.
class StopReader {
 public:
  std::vector<u64> read(runtime::Process& process) {
    const runtime::Program& program = *process.current().program;
    const runtime::Process::Saved& saved = process.saved;
    const auto& [analysis, defined] = known(program, program.function_at(saved.pc));
    std::vector<u64> stop = {saved.pc, saved.fp, saved.bulk, u64{saved.paid},
                             static_cast<u64>(process.fuel())};
    const auto at = defined.find(saved.pc);
    for (u16 slot = 0; at != defined.end() && slot < at->second; ++slot) {
      const u64 value = process.stack()[saved.fp + slot];
      stop.push_back(analysis.loads_32(slot) ? static_cast<u32>(value) : value);
    }
    return stop;
  }

 private:
  struct Known {
    jit::Analysis analysis;
    std::map<u32, u32> defined;  // so many of the first slots, where that is known
  };
  const Known& known(const runtime::Program& program, u32 number) {
    if (const auto there = known_.find(number); there != known_.end()) return there->second;
    const mod::Module& module = program.module();
    const mod::Function& function = module.functions[number - program.imported_functions()];
    Known made{jit::Analysis(program, number, 0, 0), {{function.code_begin, function.local_slots}}};
    for (u32 i = 0; i < function.label_count; ++i) {
      const mod::Label& label = module.labels[function.label_begin + i];
      made.defined[function.code_begin + label.pc] = label.defined;
    }
    return known_.emplace(number, std::move(made)).first->second;
  }

  std::map<u32, Known> known_;  // by function
};

// In words, where there is one.
inline std::string difference_of_stops(const std::vector<std::vector<u64>>& some,
                                       const std::vector<std::vector<u64>>& others) {
  const auto [first, second] = std::ranges::mismatch(some, others);
  std::string text = "stop " + std::to_string(first - some.begin());
  if (first == some.end() || second == others.end()) return text;
  const auto [a, b] = std::ranges::mismatch(*first, *second);
  const auto shown = [](auto at, auto end) { return at == end ? "none" : std::to_string(*at); };
  text += " at address " + std::to_string(first->front()) + ", number " +
          std::to_string(a - first->begin()) + ": ";
  return text + shown(a, first->end()) + " and " + shown(b, second->end());
}

// Runs the generated program's main function. `advance` runs the process once in some way; when it
// gives preempted or pending it is called again. Fuel is added twice, then the run ends.
inline Ending run_generated(const std::shared_ptr<const runtime::Program>& program, u64 seed,
                            runtime::MemoryStrategy strategy,
                            const std::function<runtime::Outcome(runtime::Process&)>& advance) {
  using Kind = runtime::Outcome::Kind;
  Ending ending;
  runtime::Options options;
  options.memory = strategy;
  options.host = generated_host();
  options.limits.fuel = 20'000;
  options.limits.stack_bytes = 2000 * 8;
  options.limits.memory_bytes = 200'000;
  options.limits.table_elements = 100;
  auto made = runtime::Process::create(program, options);
  if (!made) return ending;
  runtime::Process& process = **made;
  const u64 arguments[ProgramGenerator::main_params] = {seed, ~seed, seed * 0x0101'0101'0101};
  if (!process.prepare(ProgramGenerator::main_function, arguments)) return ending;
  StopReader stops;
  for (int refuels = 0;;) {
    ending.outcome = advance(process);
    if (ending.outcome.kind == Kind::out_of_fuel && refuels < 2) {
      ++refuels;
      process.add_fuel(1000);
      continue;
    }
    if (ending.outcome.kind == Kind::preempted) ending.stops.push_back(stops.read(process));
    if (ending.outcome.kind != Kind::preempted && ending.outcome.kind != Kind::pending) break;
  }
  ending.results.assign(process.results().begin(), process.results().end());
  ending.state = state_hash(process);
  ending.fuel = process.fuel();
  if (ending.outcome.kind != Kind::finished) {
    ending.pc = process.saved.pc;
    ending.fp = process.saved.fp;
  }
  return ending;
}

struct Comparison {
  Ending ending;      // of the plain run
  std::string error;  // empty: all ways agree
};

// `module` must come from ProgramGenerator.
inline Comparison compare_runs(const ModuleBuilder& module, u64 seed) {
  using runtime::MemoryStrategy;
  using runtime::Process;
  Comparison result;
  auto verified = verify::verify(module.module);
  if (!verified) {
    result.error = "the verifier refused it: " + verified.error().text();
    return result;
  }
  const auto program = runtime::Program::make(std::move(*verified));
  result.ending = run_generated(program, seed, MemoryStrategy::checked,
                                [](Process& process) { return interp::run(process); });
  struct Way {
    const char* name;
    MemoryStrategy memory;
    std::function<runtime::Outcome(Process&)> advance;
    bool is_compiled = true;
  };
  u64 random = seed;
  const auto dice = [&random] {
    random = random * 6364136223846793005u + 1442695040888963407u;
    return random >> 40;
  };
  constexpr const char* stopped = "stopped at every safepoint";
  constexpr const char* compiled_stopped = "machine code, stopped at every safepoint";
  const Way ways[] = {
      {"single steps", MemoryStrategy::guarded,
       [](Process& process) { return interp::step(process, 1); }, false},
      {stopped, MemoryStrategy::checked,
       [](Process& process) {
         process.preempt();
         return interp::run(process);
       },
       false},
      {"steps and runs in turn", MemoryStrategy::checked,
       [&dice](Process& process) {
         const u64 at_random = dice();
         if (at_random % 4 == 0) process.preempt();
         return at_random % 2 == 0 ? interp::step(process, at_random % 50) : interp::run(process);
       },
       false},
      {"machine code", MemoryStrategy::checked, jit::run},
      {"machine code, guarded memory", MemoryStrategy::guarded, jit::run},
      {"hardened machine code", MemoryStrategy::checked, jit::run_hardened},
      {"hardened machine code, guarded memory", MemoryStrategy::guarded, jit::run_hardened},
      {compiled_stopped, MemoryStrategy::checked,
       [](Process& process) {
         process.preempt();
         return jit::run(process);
       }},
      {"interpreter and machine code in turn", MemoryStrategy::guarded, [&dice](Process& process) {
         const u64 at_random = dice();
         if (at_random % 4 != 0) process.preempt();
         return at_random % 8 < 4 ? interp::run(process) : jit::run(process);
       }}};
  std::vector<std::vector<u64>> stops;
  for (const Way& way : ways) {
    if (way.is_compiled && !jit::is_available()) continue;
    const Ending other = run_generated(program, seed, way.memory, way.advance);
    std::string difference = result.ending.difference(other);
    if (way.name == stopped) stops = other.stops;
    if (way.name == compiled_stopped && difference.empty() && other.stops != stops) {
      difference = difference_of_stops(stops, other.stops);
    }
    if (difference.empty()) continue;
    result.error = std::string("run and ") + way.name + " differ in " + difference;
    return result;
  }
  return result;
}

}  // namespace atollvm::test
