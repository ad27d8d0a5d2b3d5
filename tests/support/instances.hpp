// What the tests of several instances in one process share.
#pragma once

#include <algorithm>
#include <functional>

#include "tests/support/process.hpp"
#include "tests/support/tier.hpp"

namespace atollvm::test {

using mod::ConstOp;
using mod::ExternKind;
using runtime::HostContext;
using runtime::HostFunction;
using runtime::HostResult;
using runtime::Options;
using runtime::Outcome;
using runtime::Process;
using runtime::Trap;
using Kind = runtime::Outcome::Kind;

inline constexpr ValType int32 = ValType::i32;
inline constexpr ValType int64 = ValType::i64;

inline void give(ModuleBuilder& module, std::string name, ExternKind kind, u32 index) {
  module.module.exports.push_back({std::move(name), kind, index});
}

inline u32 add(Process& process, const ModuleBuilder& module, const std::string& name = "") {
  auto added = process.add_instance(program_of(module));
  REQUIRE_MESSAGE(added.ok(), (added.ok() ? "" : added.error().text()));
  if (!name.empty()) process.name_instance(name, *added);
  return *added;
}

inline base::Error refusal(Process& process, const ModuleBuilder& module) {
  auto added = process.add_instance(program_of(module));
  REQUIRE(!added.ok());
  return added.error();
}

inline std::vector<u64> call_in(Process& process, u32 instance, u32 function,
                                const std::vector<u64>& arguments = {}) {
  REQUIRE(process.prepare(function, arguments, instance).ok());
  const Outcome outcome = test::run_tier(process);
  REQUIRE(outcome.kind == Kind::finished);
  return {process.results().begin(), process.results().end()};
}

inline Trap trap_in(Process& process, u32 instance, u32 function,
                    const std::vector<u64>& arguments = {}) {
  REQUIRE(process.prepare(function, arguments, instance).ok());
  const Outcome outcome = test::run_tier(process);
  REQUIRE(outcome.kind == Kind::trapped);
  return outcome.trap;
}

inline u32 export_of(Process& process, u32 instance, std::string_view name) {
  const auto index = process.instance(instance).program->find_export(name, ExternKind::function);
  REQUIRE(index.has_value());
  return *index;
}

inline void active_elements(ModuleBuilder& module, u32 table, u32 offset,
                            std::vector<u32> functions) {
  const u32 segment = module.elem(functions);
  module.module.elems[segment].mode = mod::SegmentMode::active;
  module.module.elems[segment].table = table;
  module.module.elems[segment].offset = {ModuleBuilder::i32_const(offset)};
}

inline void active_data(ModuleBuilder& module, u32 offset, std::string bytes) {
  const u32 segment = module.data(std::move(bytes));
  module.module.datas[segment].mode = mod::SegmentMode::active;
  module.module.datas[segment].offset = {ModuleBuilder::i32_const(offset)};
}

// A module with one of each: `f` () -> i32 is 42, `memory` of 1 to 5 pages, `table` of 10 to 20
// functions, `constant` i32 7, `variable` i64 100.
inline ModuleBuilder giver() {
  ModuleBuilder module;
  CodeBuilder code(module.type({}, {int32}), 0, 1);
  give(module, "f", ExternKind::function,
       module.add(code.emit(Op::i32_const, {0, 42}).emit(Op::ret_1, {0})));
  give(module, "memory", ExternKind::memory, module.memory(1, 5));
  give(module, "table", ExternKind::table, module.table(10, 20));
  give(module, "constant", ExternKind::global,
       module.global(int32, false, ModuleBuilder::i32_const(7)));
  give(module, "variable", ExternKind::global,
       module.global(int64, true, ModuleBuilder::i64_const(100)));
  return module;
}

// An `Op` that calls, with its operands: for import, table and reference.
inline void emit_call(CodeBuilder& code, Op way, u32 window, u32 import, u32 type, u32 scratch) {
  switch (way) {
    case Op::call_table:
    case Op::tail_table:  // element 0 of table 0
      code.emit(Op::i32_const, {scratch, 0}).emit(way, {window, 0, type, scratch});
      break;
    case Op::call_ref:
    case Op::tail_ref:
      code.emit(Op::ref_func, {scratch, import}).emit(way, {window, type, scratch});
      break;
    default:
      code.emit(way, {window, import});
  }
}

inline constexpr Op calls[] = {Op::call_import, Op::call_table, Op::call_ref};
inline constexpr Op tails[] = {Op::tail_import, Op::tail_table, Op::tail_ref};

// Two instances that call each other. "b" is (n, a, b, c) -> (a, b, c) or, at n = 0, their sum in
// each; it goes on in "a" through an element of the table that both share; "a" calls "b" in the
// given way. Each adds 1 to a different argument, so that the results tell how often each ran.
struct Pair {
  std::unique_ptr<Process> process;
  u32 a = 0;         // instance
  u32 function = 0;  // of a

  explicit Pair(Op way, const Options& options = {}) {
    const bool is_tail = isa::info(way).has(isa::ends);
    const std::vector<ValType> params = {int64, int64, int64, int64};
    const std::vector<ValType> results = {int64, int64, int64};
    ModuleBuilder table;
    give(table, "table", ExternKind::table, table.table(2));
    process = process_of(table, options);
    process->name_instance("tables", 0);

    // Calls with n - 1, and one of the others increased.
    const auto body = [&](ModuleBuilder& module, u32 changed, auto emit) {
      CodeBuilder code(module.type(params, results), 4, 14);
      const Label end = code.label();
      code.emit(Op::br_i64_eq_i, {0, 0, end});
      code.emit(Op::mov_n, {8, 0, 4}).emit(Op::i64_add_i, {8, 0, -1});
      code.emit(Op::i64_add_i, {8 + changed, changed, 1});
      emit(code);
      if (!is_tail) code.emit(Op::ret_n, {8, 3});
      code.bind(end).emit(Op::ret_n, {1, 3});
      return code;
    };
    const mod::TableType shared{ValType::funcref, {2, {}}};
    ModuleBuilder second;
    second.type({}, {});  // so that type indexes differ
    second.import_table("tables", "table", shared);
    const u32 second_type = second.type(params, results);
    const u32 b = second.add(body(second, 2, [&](CodeBuilder& code) {
      code.emit(Op::i32_const, {12, 1});
      code.emit(is_tail ? Op::tail_table : Op::call_table, {8, 0, second_type, 12});
    }));
    second.export_function("b", b);
    active_elements(second, 0, 0, {b});
    add(*process, second, "second");

    ModuleBuilder first;
    const u32 first_type = first.type(params, results);
    const u32 import = first.import_function("second", "b", first_type);
    first.import_table("tables", "table", shared);
    first.memory(1);
    function = first.add(body(
        first, 1, [&](CodeBuilder& code) { emit_call(code, way, 8, import, first_type, 12); }));
    first.export_function("a", function);
    active_elements(first, 0, 1, {function});
    a = add(*process, first);
  }
};

inline Options stack_of(u64 bytes) {
  Options options;
  options.limits.stack_bytes = bytes;
  return options;
}
inline Options with_fuel(u64 fuel) {
  Options options;
  options.limits.fuel = fuel;
  return options;
}

}  // namespace atollvm::test
