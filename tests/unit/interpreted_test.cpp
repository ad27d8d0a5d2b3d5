// What compiled code leaves to the interpreter: each costs a call of the runtime, a search for what
// it is, and all registers. (What the runtime executes by a routine of its own costs less.)
#include <doctest/doctest.h>

#include <set>
#include <string>

#include "tests/support/process.hpp"
#include "tests/support/sample_modules.hpp"

namespace atollvm::test {
namespace {

// Operations of which some form is interpreted. One that gets machine code leaves the list. A new
// one comes into it only where programs execute it seldom.
const std::set<std::string> expected = {"tail.import"};

// Every operation on memories and tables with index 0, in place of 1.
mod::Module on_first_ones(mod::Module module) {
  for (const mod::Function& function : module.functions) {
    for (u64 at = 0; at < function.code_size;
         at += isa::length(&module.code[function.code_begin + at])) {
      isa::Word* const word = &module.code[function.code_begin + at];
      for (const isa::Operand& operand : isa::format_of(isa::op_of(*word)).list()) {
        using isa::OperandKind;
        if (operand.kind != OperandKind::memory && operand.kind != OperandKind::table) continue;
        isa::Word mask[2] = {0, 0};
        isa::write_field(mask, operand.field, isa::field_limit(operand.field));
        word[0] &= ~mask[0];
        if (mask[1] != 0) word[1] &= ~mask[1];
      }
    }
  }
  return module;
}

// Moves and returns of more slots than every_op() has.
mod::Module long_ranges() {
  constexpr u32 count = 300;
  ModuleBuilder m;
  CodeBuilder f(m.type({}, std::vector(count, ValType::i32)), count, count * 3);
  f.emit(Op::mov_n, {count, 0, count}).emit(Op::ret_n, {count, count});
  m.add(f);
  return std::move(m.module);
}

// Adds the names of operations that the module's compiled code leaves to the interpreter.
void add_interpreted(mod::Module module, std::set<std::string>& names) {
  auto verified = verify::verify(std::move(module));
  REQUIRE_MESSAGE(verified.ok(), (verified.ok() ? "" : verified.error().text()));
  const auto program = runtime::Program::make(std::move(*verified));
  for (u32 i = program->imported_functions(); i < program->functions().size(); ++i) {
    const auto words = jit::interpreted(*program, i);
    REQUIRE(words.has_value());
    for (const u32 pc : *words) names.emplace(isa::info(isa::op_of(program->code()[pc])).name);
  }
}

}  // namespace

TEST_CASE("compiled code leaves only listed operations to the interpreter") {
  if (!jit::is_available()) return;
  std::set<std::string> names;
  add_interpreted(every_op(), names);
  add_interpreted(on_first_ones(every_op()), names);
  add_interpreted(long_ranges(), names);
  for (const std::string& name : names) {
    INFO(name << " is interpreted, and not in the list");
    CHECK(expected.contains(name));
  }
  for (const std::string& name : expected) {
    INFO(name << " is in the list, and has machine code");
    CHECK(names.contains(name));
  }
}

}  // namespace atollvm::test
