#include "tests/isa/suite.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <map>
#include <set>
#include <tuple>

#include "tests/support/disturb.hpp"
#include "vm/interp/interp.hpp"
#include "vm/jit/jit.hpp"

namespace atollvm::test {

namespace {

using isa::Format;

Outcome run_at_once(Process& process) { return interp::run(process); }

Outcome run_compiled(Process& process) { return jit::run(process); }
Outcome run_hardened(Process& process) { return jit::run_hardened(process); }

Outcome run_by_steps(Process& process) {
  while (true) {
    const Outcome outcome = interp::step(process, 1);
    if (outcome.kind != Outcome::Kind::preempted) return outcome;
  }
}

// At every safepoint on another thread, perhaps.
Outcome run_disturbed(Process& process) {
  static Disturber disturber(1);
  return disturber.run(process);
}

// Operations in the modules that a scenario made.
std::set<Op>& operations_seen() {
  static std::set<Op> seen;
  return seen;
}

std::string hex(u64 value) {
  constexpr char digits[] = "0123456789abcdef";
  std::string text = "0x";
  for (int shift = 60; shift >= 0; shift -= 4) text += digits[value >> shift & 15];
  return text;
}

std::string to_text(const Vm::Run& run) {
  switch (run.outcome.kind) {
    case Outcome::Kind::trapped:
      return "trap: " + std::string(runtime::text(run.outcome.trap));
    case Outcome::Kind::finished: {
      std::string text = "results";
      for (u64 value : run.results) text += " " + hex(value);
      return text;
    }
    default:
      return "outcome number " + std::to_string(static_cast<int>(run.outcome.kind));
  }
}

// Types of a case's inputs: letters of the signature, a use_def operand first.
std::string input_types(Op op) {
  const std::string_view signature = isa::info(op).signature;
  const usize equals = signature.find('=');
  std::string types(signature.substr(equals + 1));
  if (isa::info(op).format == Format::xss) types.insert(0, signature.substr(0, equals));
  return types;
}

bool is_branch(Format format) {
  switch (format) {
    case Format::ssf:
    case Format::ssb:
    case Format::sif:
    case Format::sib:
    case Format::xsb:
    case Format::xssb:
      return true;
    default:
      return false;
  }
}

bool has_immediate(Format format) {
  switch (format) {
    case Format::dsi:
    case Format::dssi:
    case Format::sif:
    case Format::sib:
    case Format::d_imm32:
    case Format::d_imm64:
    case Format::d_bits32:
    case Format::d_bits64:
      return true;
    default:
      return false;
  }
}

// Where a case's operands are.
enum class Layout : u8 {
  apart,     // each in a slot of its own
  on_first,  // the result replaces the first input
  on_last,   // the result replaces the last input
  far,       // slots above 255
  looped,    // apart, twice in a loop: compiled code has them in registers
};
constexpr Layout layouts[] = {Layout::apart, Layout::on_first, Layout::on_last, Layout::far,
                              Layout::looped};
constexpr u32 far_slot = 1000;

struct Shape {
  CodeBuilder code;
  u32 result_slot;  // of the function's results
};

// The operation between parameters 0 .. n-1 and slot n, which all are the function's results.
Shape value_shape(ModuleBuilder& module, Op op, i64 imm, Layout layout) {
  const Format format = isa::info(op).format;
  const u32 inputs = static_cast<u32>(input_types(op).size());
  const u32 results = inputs + 1;
  const u32 base = layout == Layout::far ? far_slot : 0;
  u32 result = inputs;
  if (format == Format::xss || layout == Layout::on_first) result = 0;
  if (format != Format::xss && layout == Layout::on_last) result = inputs - 1;

  const u32 type =
      module.type(std::vector(inputs, ValType::i64), std::vector(results, ValType::i64));
  const bool loops = layout == Layout::looped;
  const u32 turns = results;  // its slot
  CodeBuilder code(type, loops ? turns + 1 : inputs, base + results + (loops ? 1 : 0));
  for (u32 i = 0; i < inputs && base != 0; ++i) code.emit(Op::mov, {base + i, i});
  const Label again = code.label();
  if (loops) code.emit(Op::i32_const, {turns, 2}).bind(again);
  std::vector<Arg> args;
  if (format == Format::xss) {
    args = {base, base + 1, base + 2};
  } else {
    args.emplace_back(base + result);
    for (u32 i = 0; i < inputs; ++i) args.emplace_back(base + i);
    if (has_immediate(format)) args.emplace_back(imm);
  }
  code.emit(op, args);
  if (loops)
    code.emit(Op::i32_add_i, {turns, turns, -1}).emit(Op::back_i32_ne_i, {turns, 0, again});
  if (base != 0) code.emit(Op::mov, {result, base + result});
  if (result != inputs) code.emit(Op::i64_const, {inputs, 0});
  if (results == 1) {
    code.emit(Op::ret_1, {0});
  } else {
    code.emit(Op::ret_n, {0, results});
  }
  return {std::move(code), result};
}

// A branch over or to "slot n = 1"; the parameters and slot n are the function's results.
Shape branch_shape(ModuleBuilder& module, Op op, i64 imm, Layout layout) {
  const Format format = isa::info(op).format;
  const u32 inputs = static_cast<u32>(input_types(op).size());
  const u32 base = layout == Layout::far ? far_slot : 0;
  const u32 frame = base + inputs + 1;
  const u32 locals = base == 0 ? inputs : frame;
  const u32 type =
      module.type(std::vector(inputs, ValType::i64), std::vector(inputs + 1, ValType::i64));
  CodeBuilder code(type, locals, frame);
  const Label taken = code.label();
  std::vector<Arg> args;
  for (u32 i = 0; i < inputs; ++i) args.emplace_back(base + i);
  if (has_immediate(format)) args.emplace_back(imm);
  args.emplace_back(taken);
  const auto leave = [&](bool was_taken) {
    if (base != 0) code.emit(Op::mov, {0, base});
    code.emit(Op::i64_const, {inputs, was_taken ? 1 : 0}).emit(Op::ret_n, {0, inputs + 1});
  };
  const bool backward = format != Format::ssf && format != Format::sif;
  if (backward) {
    const Label start = code.label();
    code.emit(Op::br, {start});
    code.bind(taken);
    leave(true);
    code.bind(start);
  }
  for (u32 i = 0; i < inputs && base != 0; ++i) code.emit(Op::mov, {base + i, i});
  code.emit(op, args);
  leave(false);
  if (!backward) {
    code.bind(taken);
    leave(true);
  }
  return {std::move(code), inputs};
}

Shape shape_of(ModuleBuilder& module, Op op, i64 imm, Layout layout) {
  return is_branch(isa::info(op).format) ? branch_shape(module, op, imm, layout)
                                         : value_shape(module, op, imm, layout);
}

bool layout_fits(Op op, Layout layout) {
  const Format format = isa::info(op).format;
  const bool aliases = layout == Layout::on_first || layout == Layout::on_last;
  if (layout == Layout::looped) return !is_branch(format) && format != Format::xss;
  return !aliases || (!is_branch(format) && format != Format::xss && !input_types(op).empty());
}

// What stands in the upper halves of i32 and f32 inputs.
constexpr u32 pollutions[] = {0xdead'beef, 0xffff'ffff, 0x0000'0001, 0x8000'0000};

std::string describe(const Tier& tier, const ValueCase& test, const std::vector<u64>& inputs,
                     Layout layout) {
  std::string text = tier.name + ": " + std::string(isa::info(test.op).name);
  for (u64 value : inputs) text += " " + hex(value);
  if (has_immediate(isa::info(test.op).format)) text += " imm " + std::to_string(test.imm);
  return text + ", layout " + std::to_string(static_cast<int>(layout));
}

class ValueRunner {
 public:
  ValueRunner(const Tier& tier, const std::vector<ValueCase>& cases) : tier_(tier), cases_(cases) {
    ModuleBuilder module;
    for (const ValueCase& test : cases) {
      for (Layout layout : layouts) {
        if (!layout_fits(test.op, layout)) continue;
        const auto [at, added] = functions_.try_emplace(Key{test.op, test.imm, layout});
        if (!added) continue;
        const Shape shape = shape_of(module, test.op, test.imm, layout);
        at->second = {module.add(shape.code), shape.result_slot};
      }
    }
    vm_ = std::make_unique<Vm>(tier, module);
  }

  void run() {
    u32 number = 0;
    for (const ValueCase& test : cases_) {
      for (Layout layout : layouts) {
        if (layout_fits(test.op, layout)) run(test, layout, pollutions[number++ % 4]);
      }
    }
    CHECK(failures_ == 0);
  }

 private:
  using Key = std::tuple<Op, i64, Layout>;
  struct Entry {
    u32 function = 0;
    u32 result_slot = 0;
  };

  void run(const ValueCase& test, Layout layout, u32 pollution) {
    const std::string types = input_types(test.op);
    std::vector<u64> inputs(test.in.begin(), test.in.begin() + types.size());
    for (usize i = 0; i < types.size(); ++i) {
      if (types[i] == 'i' || types[i] == 'f') {
        inputs[i] = static_cast<u32>(inputs[i]) | u64{pollution} << 32;
      }
    }
    const Entry& entry = functions_.at(Key{test.op, test.imm, layout});
    const Vm::Run run = vm_->call(entry.function, inputs);
    if (!as_expected(test, entry, inputs, run)) {
      if (++failures_ <= 20) {
        FAIL_CHECK(describe(tier_, test, inputs, layout)
                   << ": expected " << test::to_text(test.out) << ", is " << to_text(run));
      }
    }
  }

  bool as_expected(const ValueCase& test, const Entry& entry, std::vector<u64> expected,
                   const Vm::Run& run) {
    if (test.out.kind == Expect::Kind::trap) {
      return run.outcome.kind == Outcome::Kind::trapped && run.outcome.trap == test.out.trap;
    }
    if (run.outcome.kind != Outcome::Kind::finished) return false;
    if (run.results.size() != expected.size() + 1) return false;
    const Format format = isa::info(test.op).format;
    // Inputs stay as they were, their upper halves too.
    if (format == Format::xsb || format == Format::xssb) expected[0] = test.updated;
    for (u32 i = 0; i < expected.size(); ++i) {
      if (i != entry.result_slot && run.results[i] != expected[i]) return false;
    }
    return matches(test.out, run.results[entry.result_slot], tier_.fuel);
  }

  const Tier& tier_;
  const std::vector<ValueCase>& cases_;
  std::map<Key, Entry> functions_;
  std::unique_ptr<Vm> vm_;
  u32 failures_ = 0;
};

}  // namespace

std::span<const Tier> tiers() {
  static const std::vector<Tier> all = [] {
    std::vector<Tier> tiers = {
        {"run", run_at_once, MemoryStrategy::checked, false},
        {"step", run_by_steps, MemoryStrategy::checked, false},
        {"run, guarded memory", run_at_once, MemoryStrategy::guarded, false},
        {"run, fuel", run_at_once, MemoryStrategy::checked, true},
        {"step, fuel, guarded memory", run_by_steps, MemoryStrategy::guarded, true},
        {"jit", run_compiled, MemoryStrategy::checked, false},
        {"jit, guarded memory", run_compiled, MemoryStrategy::guarded, false},
        {"jit, fuel", run_compiled, MemoryStrategy::checked, true},
        {"jit, fuel, guarded memory", run_compiled, MemoryStrategy::guarded, true},
        {"jit, hardened", run_hardened, MemoryStrategy::checked, false},
        {"jit, hardened, fuel, guarded memory", run_hardened, MemoryStrategy::guarded, true},
        {"disturbed", run_disturbed, MemoryStrategy::checked, false, true},
        {"disturbed, fuel, guarded memory", run_disturbed, MemoryStrategy::guarded, true, true},
    };
    // Where there is no compiled tier the interpreter would run it all once more.
    if (!jit::is_available()) {
      std::erase_if(tiers, [](const Tier& tier) {
        return tier.run == run_compiled || tier.run == run_hardened;
      });
    }
    return tiers;
  }();
  return all;
}

bool matches(const Expect& expect, u64 actual, bool canonical) {
  switch (expect.kind) {
    case Expect::Kind::bits:
      return actual == expect.bits;
    case Expect::Kind::nan32_canonical:
      return canonical ? actual == 0x7fc0'0000 : (actual & ~u64{0x8000'0000}) == 0x7fc0'0000;
    case Expect::Kind::nan32:
      return canonical ? actual == 0x7fc0'0000
                       : actual >> 32 == 0 && (actual & 0x7fc0'0000) == 0x7fc0'0000;
    case Expect::Kind::nan64_canonical:
      return canonical ? actual == 0x7ff8'0000'0000'0000
                       : (actual & ~(u64{1} << 63)) == 0x7ff8'0000'0000'0000;
    case Expect::Kind::nan64:
      return canonical ? actual == 0x7ff8'0000'0000'0000
                       : (actual & 0x7ff8'0000'0000'0000) == 0x7ff8'0000'0000'0000;
    case Expect::Kind::trap:
      return false;
  }
  return false;
}

std::string to_text(const Expect& expect) {
  switch (expect.kind) {
    case Expect::Kind::bits:
      return hex(expect.bits);
    case Expect::Kind::nan32_canonical:
    case Expect::Kind::nan64_canonical:
      return "a canonical NaN";
    case Expect::Kind::nan32:
    case Expect::Kind::nan64:
      return "a quiet NaN";
    case Expect::Kind::trap:
      return "trap: " + std::string(runtime::text(expect.trap));
  }
  return "?";
}

void note_operations(const mod::Module& module) {
  for (const mod::Function& function : module.functions) {
    for (u64 at = 0; at < function.code_size;) {
      const Word* code = module.code.data() + function.code_begin + at;
      operations_seen().insert(isa::op_of(*code));
      at += isa::length(code);
    }
  }
}

void run_values(const std::vector<ValueCase>& cases) {
  // Millions of values: an emulator gets them once with and once without fuel.
  const bool emulated = std::getenv("ATOLL_EMULATED") != nullptr;
  for (const Tier& tier : tiers()) {
    if (emulated && (tier.run != run_at_once || tier.memory != MemoryStrategy::checked)) continue;
    // One operation has no safepoint, and a change of threads for each takes long.
    if (!tier.disturbed) ValueRunner(tier, cases).run();
  }
}

void run_scenarios(std::span<const Scenario> scenarios) {
  const bool emulated = std::getenv("ATOLL_EMULATED") != nullptr;
  for (const Scenario& scenario : scenarios) {
    for (const Tier& tier : tiers()) {
      const bool guarded = tier.memory == MemoryStrategy::guarded;
      if (emulated && (tier.disturbed || (guarded && scenario.many_processes))) continue;
      INFO(std::string(scenario.name) << " on tier: " << tier.name);
      operations_seen().clear();
      scenario.run(tier);
      for (Op op : scenario.ops) {
        INFO(isa::info(op).name);
        CHECK(operations_seen().count(op) == 1);
      }
    }
  }
}

Vm::Vm(const Tier& tier, const ModuleBuilder& module, runtime::Options options)
    : tier_(tier), options_(options) {
  options_.memory = tier.memory;
  if (tier.fuel && !options_.limits.fuel) options_.limits.fuel = u64{1} << 60;
  note_operations(module.module);
  auto verified = verify::verify(module.module);
  REQUIRE_MESSAGE(verified.ok(), (verified.ok() ? "" : verified.error().text()));
  program_ = runtime::Program::make(std::move(*verified));
}

Process& Vm::process() {
  if (process_ == nullptr) {
    auto made = Process::create(program_, options_);
    REQUIRE_MESSAGE(made.ok(), (made.ok() ? "" : made.error().text()));
    process_ = std::move(*made);
  }
  return *process_;
}

void Vm::renew() {
  process_.reset();
  trapped_ = false;
}

Vm::Run Vm::call(u32 function, const std::vector<u64>& arguments) {
  if (trapped_) renew();
  const base::Status prepared = process().prepare(function, arguments);
  REQUIRE_MESSAGE(prepared.ok(), (prepared.ok() ? "" : prepared.error().text()));
  Run run;
  run.outcome = tier_.run(*process_);
  if (run.outcome.kind == Outcome::Kind::finished) {
    run.results.assign(process_->results().begin(), process_->results().end());
  }
  trapped_ = run.outcome.kind == Outcome::Kind::trapped;
  return run;
}

std::vector<u64> Vm::results(u32 function, const std::vector<u64>& arguments) {
  Run run = call(function, arguments);
  INFO(to_text(run));
  REQUIRE(run.outcome.kind == Outcome::Kind::finished);
  return run.results;
}

u64 Vm::result(u32 function, const std::vector<u64>& arguments) {
  const std::vector<u64> all = results(function, arguments);
  REQUIRE(all.size() == 1);
  return all[0];
}

void Vm::traps(Trap why, u32 function, const std::vector<u64>& arguments) {
  const Run run = call(function, arguments);
  INFO(to_text(run));
  REQUIRE(run.outcome.kind == Outcome::Kind::trapped);
  CHECK(runtime::text(run.outcome.trap) == runtime::text(why));
}

}  // namespace atollvm::test
