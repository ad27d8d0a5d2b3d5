// Several instances in one process: imports of all kinds, calls between them, references.
#include <algorithm>
#include <functional>

#include "tests/support/process.hpp"

using namespace atollvm;
using namespace atollvm::test;
using base::ErrorCode;
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

namespace {

constexpr ValType int32 = ValType::i32;
constexpr ValType int64 = ValType::i64;

void give(ModuleBuilder& module, std::string name, ExternKind kind, u32 index) {
  module.module.exports.push_back({std::move(name), kind, index});
}

u32 add(Process& process, const ModuleBuilder& module, const std::string& name = "") {
  auto added = process.add_instance(program_of(module));
  REQUIRE_MESSAGE(added.ok(), (added.ok() ? "" : added.error().text()));
  if (!name.empty()) process.name_instance(name, *added);
  return *added;
}

base::Error refusal(Process& process, const ModuleBuilder& module) {
  auto added = process.add_instance(program_of(module));
  REQUIRE(!added.ok());
  return added.error();
}

std::vector<u64> call_in(Process& process, u32 instance, u32 function,
                         const std::vector<u64>& arguments = {}) {
  REQUIRE(process.prepare(function, arguments, instance).ok());
  const Outcome outcome = interp::run(process);
  REQUIRE(outcome.kind == Kind::finished);
  return {process.results().begin(), process.results().end()};
}

Trap trap_in(Process& process, u32 instance, u32 function, const std::vector<u64>& arguments = {}) {
  REQUIRE(process.prepare(function, arguments, instance).ok());
  const Outcome outcome = interp::run(process);
  REQUIRE(outcome.kind == Kind::trapped);
  return outcome.trap;
}

u32 export_of(Process& process, u32 instance, std::string_view name) {
  const auto index = process.instance(instance).program->find_export(name, ExternKind::function);
  REQUIRE(index.has_value());
  return *index;
}

void active_elements(ModuleBuilder& module, u32 table, u32 offset, std::vector<u32> functions) {
  const u32 segment = module.elem(functions);
  module.module.elems[segment].mode = mod::SegmentMode::active;
  module.module.elems[segment].table = table;
  module.module.elems[segment].offset = {ModuleBuilder::i32_const(offset)};
}

void active_data(ModuleBuilder& module, u32 offset, std::string bytes) {
  const u32 segment = module.data(std::move(bytes));
  module.module.datas[segment].mode = mod::SegmentMode::active;
  module.module.datas[segment].offset = {ModuleBuilder::i32_const(offset)};
}

// A module with one of each: `f` () -> i32 is 42, `memory` of 1 to 5 pages, `table` of 10 to 20
// functions, `constant` i32 7, `variable` i64 100.
ModuleBuilder giver() {
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
void emit_call(CodeBuilder& code, Op way, u32 window, u32 import, u32 type, u32 scratch) {
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

constexpr Op calls[] = {Op::call_import, Op::call_table, Op::call_ref};
constexpr Op tails[] = {Op::tail_import, Op::tail_table, Op::tail_ref};

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

Options stack_of(u64 bytes) {
  Options options;
  options.limits.stack_bytes = bytes;
  return options;
}
Options with_fuel(u64 fuel) {
  Options options;
  options.limits.fuel = fuel;
  return options;
}

}  // namespace

// --- Imports ------------------------------------------------------------------------------

TEST_CASE("instances: imports of all kinds are shared, not copied") {
  const auto process = process_of(giver());
  process->name_instance("giver", 0);
  ModuleBuilder module;
  const u32 f = module.import_function("giver", "f", module.type({}, {int32}));
  module.import_memory("giver", "memory", {{1, 5}, 16});
  module.import_table("giver", "table", {ValType::funcref, {10, {}}});
  const u32 constant = module.import_global("giver", "constant", {int32, false});
  const u32 variable = module.import_global("giver", "variable", {int64, true});
  const u32 sum = module.global(int32, false, ModuleBuilder::global_get(constant));
  module.module.globals[0].init.push_back(ModuleBuilder::i32_const(3));
  module.module.globals[0].init.push_back({ConstOp::Kind::i32_mul, 0});
  active_data(module, 5, "hello");
  // () -> (f(), constant, sum, variable; variable += 1; memory.grow 2; table.grow 3)
  CodeBuilder code(module.type({}, {int32, int32, int32, int64, int32, int32}), 0, 12);
  code.emit(Op::call_import, {7, f}).emit(Op::mov, {0, 7});
  code.emit(Op::global_get_import, {1, constant}).emit(Op::global_get, {2, sum});
  code.emit(Op::global_get_import, {3, variable}).emit(Op::i64_add_i, {7, 3, 1});
  code.emit(Op::global_set_import, {variable, 7});
  code.emit(Op::i32_const, {7, 2}).emit(Op::memory_grow, {4, 0, 7});
  code.emit(Op::i32_const, {8, 3}).emit(Op::ref_func, {7, f});
  code.emit(Op::table_grow, {5, 0, 7, 8});
  const u32 function = module.add(code.emit(Op::ret_n, {0, 6}));
  const u32 taker = add(*process, module);
  CHECK(call_in(*process, taker, function) == std::vector<u64>{42, 7, 21, 100, 1, 10});
  CHECK(call_in(*process, taker, function) == std::vector<u64>{42, 7, 21, 101, 3, 13});
  runtime::Instance& first = process->instance();
  CHECK(first.globals[1].low == 102);
  CHECK(first.memories[0]->pages() == 5);
  CHECK(std::string(reinterpret_cast<char*>(first.memories[0]->base()) + 5, 5) == "hello");
  CHECK(first.tables[0]->elements.size() == 16);
  CHECK(first.tables[0]->elements[15] == runtime::function_reference(taker, f));
  CHECK(process->usage().memory_bytes == 5 * 65536);
}

TEST_CASE("instances: what is imported can be exported, over any number of modules") {
  const auto process = process_of(giver());
  process->name_instance("m0", 0);
  u32 last = 0;
  for (u32 i = 1; i <= 5; ++i) {
    const std::string from = "m" + std::to_string(i - 1);
    ModuleBuilder module;
    module.type({int64}, {});
    give(module, "f", ExternKind::function,
         module.import_function(from, "f", module.type({}, {int32})));
    give(module, "memory", ExternKind::memory, module.import_memory(from, "memory", {{0, 6}, 16}));
    give(module, "table", ExternKind::table,
         module.import_table(from, "table", {ValType::funcref, {0, 20 + i}}));
    give(module, "variable", ExternKind::global,
         module.import_global(from, "variable", {int64, true}));
    last = add(*process, module, "m" + std::to_string(i));
  }
  const runtime::Instance& first = process->instance(0);
  const runtime::Instance& end = process->instance(last);
  CHECK(end.imports[0].instance == &first);
  CHECK(end.memories[0] == first.memories[0]);
  CHECK(end.tables[0] == first.tables[0]);
  CHECK(end.imported_globals[0] == &first.globals[1]);
  CHECK(call_in(*process, last, 0) == std::vector<u64>{42});
}

TEST_CASE("instances: an unknown import says what was wanted") {
  const auto process = process_of(giver());
  process->name_instance("giver", 0);
  const auto check = [&](const ModuleBuilder& module, std::string_view wanted) {
    const base::Error error = refusal(*process, module);
    CHECK(error.code == ErrorCode::not_found);
    CHECK(error.message.starts_with("unknown import"));
    CHECK(error.message.ends_with(wanted));
  };
  for (const auto& [from, name] : {std::pair<std::string, std::string>{"giver", "nothing"},
                                   {"nobody", "f"},
                                   {"", ""},
                                   {"f", "giver"}}) {
    ModuleBuilder function;
    function.import_function(from, name, function.type({int32, int64}, {int32}));
    check(function, "a function of type (i32, i64) -> i32");
    CHECK(refusal(*process, function).place == "import \"" + from + "\" \"" + name + "\"");
    ModuleBuilder memory;
    memory.import_memory(from, name, {{1, {}}, 16});
    check(memory, "a memory of 1 or more pages");
    ModuleBuilder table;
    table.import_table(from, name, {ValType::externref, {1, 9}});
    check(table, "a table of externref with 1 to 9 elements");
    ModuleBuilder global;
    global.import_global(from, name, {int64, true});
    check(global, "a mutable global of type i64");
  }
  CHECK(process->instance_count() == 1);
  CHECK(process->usage().memory_bytes == 65536);
}

TEST_CASE("instances: an import must match what is there, and the message has both") {
  const auto process = process_of(giver());
  process->name_instance("giver", 0);
  const auto bad = [&](const ModuleBuilder& module, std::string_view found) {
    const base::Error error = refusal(*process, module);
    CHECK(error.code == ErrorCode::invalid);
    CHECK(error.message.starts_with("incompatible import type: wanted a"));
    CHECK_MESSAGE(error.message.ends_with(found), error.message);
  };
  const std::string function_text = "found a function of type () -> i32";
  const std::string table_text = "found a table of funcref with 10 to 20 elements";
  const std::string memory_text = "found a memory of 1 to 5 pages";
  const std::string variable_text = "found a mutable global of type i64";

  const auto import_function = [](const mod::FuncType& type, std::string name) {
    ModuleBuilder module;
    module.import_function("giver", std::move(name), module.type(type.params, type.results));
    return module;
  };
  bad(import_function({{}, {int64}}, "f"), function_text);
  bad(import_function({{}, {}}, "f"), function_text);
  bad(import_function({{int32}, {int32}}, "f"), function_text);
  bad(import_function({{}, {int32}}, "table"), table_text);
  bad(import_function({{}, {int32}}, "memory"), memory_text);
  bad(import_function({{}, {int32}}, "variable"), variable_text);
  add(*process, import_function({{}, {int32}}, "f"));

  const auto import_table = [](ValType element, mod::Range size, std::string name = "table") {
    ModuleBuilder module;
    module.import_table("giver", std::move(name), {element, size});
    return module;
  };
  bad(import_table(ValType::externref, {10, 20}), table_text);
  bad(import_table(ValType::funcref, {11, {}}), table_text);
  bad(import_table(ValType::funcref, {10, 19}), table_text);
  bad(import_table(ValType::funcref, {10, 20}, "f"), function_text);
  add(*process, import_table(ValType::funcref, {10, 20}));
  add(*process, import_table(ValType::funcref, {0, 21}));
  add(*process, import_table(ValType::funcref, {9, {}}));

  const auto import_memory = [](mod::Range size, u8 page_shift, std::string name = "memory") {
    ModuleBuilder module;
    module.import_memory("giver", std::move(name), {size, page_shift});
    return module;
  };
  bad(import_memory({2, {}}, 16), memory_text);
  bad(import_memory({1, 4}, 16), memory_text);
  bad(import_memory({0, 0}, 16), memory_text);
  bad(import_memory({1, {}}, 0), memory_text);
  bad(import_memory({1, {}}, 16, "constant"), "found a constant global of type i32");
  add(*process, import_memory({1, 5}, 16));
  add(*process, import_memory({0, 65536}, 16));

  const auto import_global = [](mod::GlobalType type, std::string name = "variable") {
    ModuleBuilder module;
    module.import_global("giver", std::move(name), type);
    return module;
  };
  bad(import_global({int64, false}), variable_text);
  bad(import_global({int32, true}), variable_text);
  bad(import_global({int64, true}, "f"), function_text);
  add(*process, import_global({int64, true}));
  add(*process, import_global({int32, false}, "constant"));

  // What counts is the size now.
  CHECK(process->grow_memory(*process->instance().memories[0], 1) == 1);
  add(*process, import_memory({2, {}}, 16));
  runtime::Elements& elements = process->instance().tables[0]->elements;
  REQUIRE(process->reserve_table(*process->instance().tables[0], 5));
  std::fill_n(elements.data() + elements.size(), 5, 0);
  elements.extend(5);
  add(*process, import_table(ValType::funcref, {15, {}}));
}

TEST_CASE("instances: named ones come before the host, and a name can go over") {
  HostFunction host;
  host.module = "env";
  host.name = "f";
  host.type = {{}, {int32}};
  host.call = [](HostContext& context) { return context.result_i32(1); };
  HostFunction other = host;
  other.name = "g";
  const std::vector<HostFunction> functions = {host, other};
  Options options;
  options.host = functions;
  const auto process = process_of(giver(), options);
  ModuleBuilder module;
  const u32 f = module.import_function("env", "f", module.type({}, {int32}));
  const u32 g = module.import_function("env", "g", module.type({}, {int32}));
  CodeBuilder code(module.type({}, {int32, int32}), 0, 4);
  code.emit(Op::call_import, {1, f}).emit(Op::mov, {0, 1}).emit(Op::call_import, {2, g});
  const u32 function = module.add(code.emit(Op::mov, {1, 2}).emit(Op::ret_n, {0, 2}));
  const u32 before = add(*process, module);
  process->name_instance("env", 0);
  const u32 after = add(*process, module);
  CHECK(call_in(*process, before, function) == std::vector<u64>{1, 1});
  CHECK(call_in(*process, after, function) == std::vector<u64>{42, 1});
  process->name_instance("env", after);  // exports nothing
  const u32 last = add(*process, module);
  CHECK(call_in(*process, last, function) == std::vector<u64>{1, 1});
  CHECK(call_in(*process, after, function) == std::vector<u64>{42, 1});
  CHECK(process->prepare(f, {}, last).error().code == ErrorCode::usage);
}

TEST_CASE("instances: limits hold for all together") {
  Options options;
  options.limits.memory_bytes = 3 * 65536;
  options.limits.table_elements = 15;
  const auto process = process_of(giver(), options);
  const auto memory = [](u32 pages) {
    ModuleBuilder module;
    module.memory(pages);
    return module;
  };
  const auto table = [](u32 elements) {
    ModuleBuilder module;
    module.table(elements);
    return module;
  };
  CHECK(refusal(*process, memory(3)).code == ErrorCode::limit);
  CHECK(refusal(*process, table(6)).code == ErrorCode::limit);
  CHECK(process->instance_count() == 1);
  CHECK(process->usage().memory_bytes == 65536);
  CHECK(process->usage().table_elements == 10);
  const u32 second = add(*process, memory(1));
  add(*process, table(5));
  CHECK(process->usage().table_elements == 15);
  CHECK(process->grow_memory(*process->instance(0).memories[0], 1) == 1);
  CHECK(process->grow_memory(*process->instance(second).memories[0], 1) == -1);
}

TEST_CASE(
    "instances: a segment that does not fit traps after those before it, and its instance stays") {
  const auto process = process_of(giver());
  process->name_instance("giver", 0);
  ModuleBuilder module;
  module.import_memory("giver", "memory", {{1, {}}, 16});
  module.import_table("giver", "table", {ValType::funcref, {10, {}}});
  CodeBuilder code(module.type({}, {int32}), 0, 1);
  const u32 function = module.add(code.emit(Op::i32_const, {0, 77}).emit(Op::ret_1, {0}));
  active_elements(module, 0, 3, {function});
  active_data(module, 0, "first");
  active_data(module, 65534, "abc");
  active_data(module, 10, "never");
  const base::Error error = refusal(*process, module);
  CHECK(error.code == ErrorCode::invalid);
  CHECK(error.place == "data segment 1");
  CHECK(error.message.starts_with("out of bounds memory access"));
  const u8* base = process->instance().memories[0]->base();
  CHECK(std::string(base, base + 5) == "first");
  CHECK(base[10] == 0);
  CHECK(base[65534] == 0);
  CHECK(process->instance_count() == 2);

  ModuleBuilder caller;
  caller.import_table("giver", "table", {ValType::funcref, {10, {}}});
  const u32 type = caller.type({}, {int32});
  CodeBuilder by_table(type, 0, 3);
  by_table.emit(Op::i32_const, {0, 3}).emit(Op::call_table, {2, 0, type, 0}).emit(Op::ret_1, {2});
  const u32 main = caller.add(by_table);
  CHECK(call_in(*process, add(*process, caller), main) == std::vector<u64>{77});
}

TEST_CASE("instances: calls from outside name an instance, also for what it imports") {
  const auto process = process_of(giver());
  process->name_instance("giver", 0);
  ModuleBuilder module;
  module.import_function("giver", "f", module.type({}, {int32}));
  const u32 second = add(*process, module);
  CHECK(call_in(*process, second, 0) == std::vector<u64>{42});
  CHECK(call_in(*process, 0, 0) == std::vector<u64>{42});
  CHECK(process->prepare(1, {}, second).error().code == ErrorCode::usage);
  CHECK(process->prepare(0, {}, 2).error().code == ErrorCode::usage);
  REQUIRE(process->prepare(0, {}, second).ok());
  CHECK(process->add_instance(program_of(module)).error().code == ErrorCode::usage);
}

// --- Calls --------------------------------------------------------------------------------

TEST_CASE("instances: calls there and back carry arguments and results") {
  for (const Op way : calls) {
    INFO(isa::info(way).name);
    const Pair pair(way);
    for (const u64 n : {0, 1, 2, 3, 10, 501}) {
      CHECK(call_in(*pair.process, pair.a, pair.function, {n, 10, 20, 30}) ==
            std::vector<u64>{10 + (n + 1) / 2, 20 + n / 2, 30});
    }
  }
}

TEST_CASE("instances: every operation that returns does so over a marker") {
  // Each function is (a, b) -> one or two slots.
  ModuleBuilder callee;
  const u32 one = callee.type({int32, int32}, {int32});
  const u32 two = callee.type({int32, int32}, {int32, int32});
  const u32 none = callee.type({int32, int32}, {});
  const auto function = [&](const char* name, u32 type, auto emit) {
    CodeBuilder code(type, 2, 4);
    emit(code);
    callee.export_function(name, callee.add(code));
  };
  function("ret", none, [](CodeBuilder& code) { code.emit(Op::ret); });
  function("ret.1", one, [](CodeBuilder& code) { code.emit(Op::ret_1, {1}); });
  function("ret.n", two, [](CodeBuilder& code) {
    code.emit(Op::mov, {2, 1}).emit(Op::mov, {3, 0}).emit(Op::ret_n, {2, 2});
  });
  function("sum", one, [](CodeBuilder& code) { code.emit(Op::ret_i32_add, {0, 1}); });
  function("if", one, [](CodeBuilder& code) {
    code.emit(Op::ret_if_i32_eq_i, {0, 7, 1}).emit(Op::ret_1, {0});
  });
  const auto process = process_of(callee);
  process->name_instance("callee", 0);
  ModuleBuilder module;
  module.type({}, {});
  const u32 one_here = module.type({int32, int32}, {int32});
  const u32 two_here = module.type({int32, int32}, {int32, int32});
  const u32 none_here = module.type({int32, int32}, {});
  const std::vector<std::pair<const char*, u32>> imports = {{"ret", none_here},
                                                            {"ret.1", one_here},
                                                            {"ret.n", two_here},
                                                            {"sum", one_here},
                                                            {"if", one_here}};
  for (const auto& [name, type] : imports) module.import_function("callee", name, type);
  std::vector<u32> wrappers;
  for (u32 i = 0; i < imports.size(); ++i) {
    // The window's results, and the local below, which must keep its value.
    const u32 count = i == 0 ? 0 : i == 2 ? 2 : 1;
    CodeBuilder code(module.type({int32, int32}, std::vector<ValType>(count + 1, int32)), 2, 8);
    code.emit(Op::mov_n, {5, 0, 2}).emit(Op::call_import, {5, i}).emit(Op::mov, {2, 0});
    if (count != 0) code.emit(Op::mov_n, {3, 5, count});
    if (count == 0) {
      code.emit(Op::ret_1, {2});
    } else {
      code.emit(Op::ret_n, {2, count + 1});
    }
    wrappers.push_back(module.add(code));
  }
  const u32 instance = add(*process, module);
  const auto run = [&](u32 i, u64 a, u64 b) {
    return call_in(*process, instance, wrappers[i], {a, b});
  };
  CHECK(run(0, 7, 9) == std::vector<u64>{7});
  CHECK(run(1, 7, 9) == std::vector<u64>{7, 9});
  CHECK(run(2, 7, 9) == std::vector<u64>{7, 9, 7});
  CHECK(run(3, 7, 9) == std::vector<u64>{7, 16});
  CHECK(run(4, 7, 9) == std::vector<u64>{7, 9});
  CHECK(run(4, 8, 9) == std::vector<u64>{8, 8});
}

TEST_CASE("instances: recursion between instances overflows at the same place in all shells") {
  for (const Op way : calls) {
    INFO(isa::info(way).name);
    std::vector<u64> places;
    for (const bool steps : {false, true}) {
      const Pair pair(way, stack_of(64 << 10));
      Process& process = *pair.process;
      REQUIRE(process.prepare(pair.function, std::vector<u64>{1'000'000, 1, 2, 3}, pair.a).ok());
      const Outcome outcome = steps ? interp::step(process, ~u64{0}) : interp::run(process);
      CHECK(outcome.kind == Kind::trapped);
      CHECK(outcome.trap == Trap::stack_overflow);
      places.push_back(process.saved.fp);
      places.push_back(process.saved.pc);
      const auto trace = process.trace(1000);
      // 8192 slots, a frame and its marker each 10 slots apart, the last with room for 16.
      CHECK(trace.size() == (8192 - 1 - 16) / 10 + 1);
      for (usize i = 0; i < trace.size(); ++i) {
        const bool in_a = (trace.size() - 1 - i) % 2 == 0;
        REQUIRE(trace[i].name == (in_a ? "a" : "b"));
        REQUIRE(trace[i].instance == (in_a ? pair.a : 1));
        REQUIRE(trace[i].depth == i);
      }
      // The process's other instances can be called again.
      CHECK(call_in(process, pair.a, pair.function, {4, 0, 0, 0}) == std::vector<u64>{2, 2, 0});
    }
    CHECK(places[0] == places[2]);
    CHECK(places[1] == places[3]);
  }
}

TEST_CASE("instances: tail calls between instances run in constant space") {
  for (const Op way : tails) {
    INFO(isa::info(way).name);
    const Pair pair(way, stack_of(100 * sizeof(u64)));
    CHECK(call_in(*pair.process, pair.a, pair.function, {1'000'001, 5, 6, 7}) ==
          std::vector<u64>{5 + 500'001, 6 + 500'000, 7});
    // Under a guest's frame: one marker, however many calls.
    ModuleBuilder outer;
    const std::vector<ValType> params = {int64, int64, int64, int64};
    const std::vector<ValType> results = {int64, int64, int64};
    const u32 type = outer.type(params, results);
    pair.process->name_instance("a", pair.a);
    const u32 a = outer.import_function("a", "a", type);
    CodeBuilder inner(type, 4, 4);
    const u32 between = outer.add(inner.emit(Op::tail_import, {0, a}));
    CodeBuilder code(type, 4, 10);
    code.emit(Op::mov_n, {5, 0, 4}).emit(Op::call, {5, between});
    code.emit(Op::i64_add, {5, 5, 0}).emit(Op::ret_n, {5, 3});
    const u32 main = outer.add(code);
    outer.export_function("main", main);
    const u32 instance = add(*pair.process, outer);
    for (const u64 n : {0, 1, 2, 100'000}) {
      CHECK(call_in(*pair.process, instance, main, {n, 1, 2, 3}) ==
            std::vector<u64>{1 + (n + 1) / 2 + n, 2 + n / 2, 3});
    }
  }
}

TEST_CASE("instances: a tail call's marker shows the frame under it in traces") {
  ModuleBuilder deep;
  CodeBuilder trap(deep.type({}, {}), 0, 0);
  deep.export_function("deep", deep.add(trap.emit(Op::unreachable)));
  const auto process = process_of(deep);
  process->name_instance("deep", 0);
  ModuleBuilder module;
  const u32 import = module.import_function("deep", "deep", module.type({}, {}));
  CodeBuilder tail(module.type({}, {}), 0, 0);
  const u32 leaves = module.add(tail.emit(Op::tail_import, {0, import}));
  CodeBuilder code(module.type({}, {}), 0, 3);
  const u32 main = module.add(code.emit(Op::nop).emit(Op::call, {3, leaves}).emit(Op::ret));
  module.export_function("main", main);
  const u32 second = add(*process, module);
  CHECK(trap_in(*process, second, main) == Trap::unreachable);
  const auto trace = process->trace();
  REQUIRE(trace.size() == 2);
  CHECK(trace[0].name == "deep");
  CHECK(trace[0].instance == 0);
  CHECK(trace[1].name == "main");
  CHECK(trace[1].instance == second);
  CHECK(trace[1].pc == 2);
}

TEST_CASE("instances: each sees its own memory, however deep, and growth by the other") {
  // "grow" () grows the shared memory, and the caller then reaches its new end.
  ModuleBuilder owner;
  const u32 memory = owner.memory(1);
  give(owner, "memory", ExternKind::memory, memory);
  CodeBuilder grow(owner.type({}, {}), 0, 2);
  grow.emit(Op::i32_const, {0, 1}).emit(Op::memory_grow, {1, memory, 0}).emit(Op::ret);
  owner.export_function("grow", owner.add(grow));
  for (auto strategy : {runtime::MemoryStrategy::checked, runtime::MemoryStrategy::guarded}) {
    Options options;
    options.memory = strategy;
    const auto process = process_of(owner, options);
    process->name_instance("owner", 0);
    // Without a memory, in between.
    ModuleBuilder middle;
    const u32 grow_import = middle.import_function("owner", "grow", middle.type({}, {}));
    CodeBuilder pass(middle.type({}, {}), 0, 2);
    middle.export_function("pass",
                           middle.add(pass.emit(Op::call_import, {1, grow_import}).emit(Op::ret)));
    add(*process, middle, "middle");
    ModuleBuilder user;
    const u32 pass_import = user.import_function("middle", "pass", user.type({}, {}));
    user.import_memory("owner", "memory", {{1, {}}, 16});
    // (address, turns) -> i32 at address after so many calls
    CodeBuilder code(user.type({int32, int32}, {int32}), 3, 6);
    const Label loop = code.label();
    const Label end = code.label();
    code.emit(Op::i32_const, {3, 9}).emit(Op::i32_store, {2, 8, 3});  // at 8
    code.emit(Op::br_i32_eq_i, {1, 0, end}).bind(loop).emit(Op::call_import, {5, pass_import});
    code.emit(Op::i32_add_i, {1, 1, -1}).emit(Op::back_i32_ne_i, {1, 0, loop}).bind(end);
    code.emit(Op::i32_load, {3, 2, 8}).emit(Op::i32_load, {4, 0, 0});
    const u32 function = user.add(code.emit(Op::i32_add, {3, 3, 4}).emit(Op::ret_1, {3}));
    const u32 instance = add(*process, user);
    CHECK(process->instance(instance).memories[0]->strategy() == strategy);
    CHECK(trap_in(*process, instance, function, {65536, 0}) == Trap::memory_bounds);
    CHECK(call_in(*process, instance, function, {65536, 1}) == std::vector<u64>{9});
    CHECK(call_in(*process, instance, function, {65536 + 300 * 65536, 300}) == std::vector<u64>{9});
    CHECK(process->usage().memory_bytes == 302 * 65536);
  }
}

TEST_CASE("instances: preemption and fuel at every safepoint change nothing") {
  for (const Op way : {Op::call_import, Op::call_table, Op::call_ref, Op::tail_import,
                       Op::tail_table, Op::tail_ref}) {
    INFO(isa::info(way).name);
    const std::vector<u64> arguments = {301, 1, 2, 3};
    const std::vector<u64> expected = {152, 152, 3};
    const Pair undisturbed(way, with_fuel(1'000'000));
    CHECK(call_in(*undisturbed.process, undisturbed.a, undisturbed.function, arguments) ==
          expected);
    const i64 used = 1'000'000 - undisturbed.process->fuel();
    for (const bool steps : {false, true}) {
      for (const bool fuel : {false, true}) {
        const Pair pair(way, fuel ? with_fuel(1'000'000) : Options{});
        Process& process = *pair.process;
        REQUIRE(process.prepare(pair.function, arguments, pair.a).ok());
        u64 stops = 0;
        bool both[3] = {};
        Outcome outcome;
        while (true) {
          if (!steps) process.preempt();
          outcome = steps ? interp::step(process, 1) : interp::run(process);
          if (outcome.kind != Kind::preempted) break;
          ++stops;
          both[process.worker.instance->index] = true;
          REQUIRE(process.trace(2).size() <= 2);
        }
        REQUIRE(outcome.kind == Kind::finished);
        CHECK(std::vector<u64>(process.results().begin(), process.results().end()) == expected);
        CHECK(stops >= 301);
        CHECK(both[1]);
        CHECK(both[2]);
        if (fuel) CHECK(1'000'000 - process.fuel() == used);
      }
    }
    // Two units of fuel at a time.
    const Pair pair(way, with_fuel(0));
    REQUIRE(pair.process->prepare(pair.function, arguments, pair.a).ok());
    u64 stops = 0;
    while (interp::run(*pair.process).kind == Kind::out_of_fuel) {
      pair.process->add_fuel(2);
      ++stops;
      REQUIRE(stops < 10'000);
    }
    CHECK(stops > 200);
    CHECK(static_cast<i64>(2 * stops) - pair.process->fuel() == used);
  }
}

// --- References ---------------------------------------------------------------------------

namespace {

// A module whose "call" (reference: i64 bits) -> i64 calls it as () -> i64, and whose "tail" tail
// calls it; "set" (reference) writes it to element 0 of its own table, "by_table" calls that.
ModuleBuilder caller_of_references() {
  ModuleBuilder module;
  module.table(1);
  const u32 callee = module.type({}, {int64});
  const u32 takes = module.type({int64}, {int64});
  CodeBuilder call(takes, 1, 3);
  module.export_function("call",
                         module.add(call.emit(Op::call_ref, {2, callee, 0}).emit(Op::ret_1, {2})));
  CodeBuilder tail(takes, 1, 3);
  const u32 tail_function = module.add(tail.emit(Op::tail_ref, {0, callee, 0}));
  CodeBuilder outer(takes, 1, 3);
  outer.emit(Op::mov, {2, 0}).emit(Op::call, {2, tail_function}).emit(Op::ret_1, {2});
  module.export_function("tail", module.add(outer));
  CodeBuilder table(takes, 2, 4);
  table.emit(Op::table_set, {0, 1, 0}).emit(Op::call_table, {3, 0, callee, 1});
  module.export_function("by_table", module.add(table.emit(Op::ret_1, {3})));
  return module;
}

}  // namespace

TEST_CASE("instances: references are checked by what they name and by the type's structure") {
  ModuleBuilder first;
  first.type({}, {});
  first.type({int32}, {int32});
  CodeBuilder wrong(first.type({}, {int32}), 0, 1);
  const u32 wrong_function = first.add(wrong.emit(Op::i32_const, {0, 1}).emit(Op::ret_1, {0}));
  CodeBuilder right(first.type({}, {int64}), 0, 1);
  const u32 right_function =
      first.add(right.emit(Op::i64_const, {0, 123'456}).emit(Op::ret_1, {0}));
  first.export_function("right", right_function);
  const auto process = process_of(first);
  process->name_instance("first", 0);
  ModuleBuilder module = caller_of_references();
  const u32 caller = add(*process, module);
  ModuleBuilder third;
  const u32 passed_on = third.import_function("first", "right", third.type({}, {int64}));
  const u32 other = add(*process, third);
  for (const char* name : {"call", "tail", "by_table"}) {
    INFO(name);
    const u32 function = export_of(*process, caller, name);
    const auto trap_of = [&](u64 reference) {
      return trap_in(*process, caller, function, {reference});
    };
    CHECK(call_in(*process, caller, function, {runtime::function_reference(0, right_function)}) ==
          std::vector<u64>{123'456});
    CHECK(call_in(*process, caller, function, {runtime::function_reference(other, passed_on)}) ==
          std::vector<u64>{123'456});
    CHECK(trap_of(runtime::function_reference(0, wrong_function)) == Trap::type_mismatch);
    CHECK(trap_of(runtime::function_reference(caller, 0)) == Trap::type_mismatch);
    CHECK(trap_of(0) == Trap::null_reference);
    for (const u64 forged :
         {u64{1}, u64{0xffff'ffff}, runtime::function_reference(0, 2),
          runtime::function_reference(0, 0xffff'ffff), runtime::function_reference(caller, 4),
          runtime::function_reference(3, 0), runtime::function_reference(0x7fff'ffff, 0),
          runtime::function_reference(0xffff'fffe, 0), ~u64{0}}) {
      CHECK(trap_of(forged) == Trap::invalid_reference);
    }
  }
}

TEST_CASE("instances: a host function sees the memory of the instance that imported it") {
  // Reads a byte at 0; also when the call is parked first.
  runtime::Completion ticket;
  bool parks = false;
  HostFunction host;
  host.module = "env";
  host.name = "peek";
  host.type = {{}, {int64}};
  const auto peek = [](HostContext& context) {
    const auto bytes = context.memory(0, 1);
    return context.result_i64(bytes ? (*bytes)[0] : -1);
  };
  host.call = [&](HostContext& context) {
    if (!parks) return peek(context);
    ticket = context.suspend();
    return HostResult::pending();
  };
  const std::vector<HostFunction> functions = {host};
  Options options;
  options.host = functions;

  ModuleBuilder first;
  const u32 import = first.import_function("env", "peek", first.type({}, {int64}));
  first.memory(1);
  active_data(first, 0, "A");
  first.export_function("peek", import);
  const auto process = process_of(first, options);
  process->name_instance("first", 0);

  ModuleBuilder second = caller_of_references();
  second.memory(1);
  active_data(second, 0, "B");
  const u32 caller = add(*process, second);
  ModuleBuilder third;
  const u32 passed_on = third.import_function("first", "peek", third.type({}, {int64}));
  const u32 own = third.import_function("env", "peek", third.type({}, {int64}));
  third.memory(1);
  active_data(third, 0, "C");
  CodeBuilder both(third.type({}, {int64, int64}), 0, 3);
  both.emit(Op::call_import, {1, passed_on}).emit(Op::mov, {0, 1}).emit(Op::call_import, {2, own});
  const u32 direct = third.add(both.emit(Op::mov, {1, 2}).emit(Op::ret_n, {0, 2}));
  const u32 last = add(*process, third);

  const auto run = [&](u32 instance, u32 function, const std::vector<u64>& arguments) {
    REQUIRE(process->prepare(function, arguments, instance).ok());
    Outcome outcome = interp::run(*process);
    while (outcome.kind == Kind::pending) {
      CHECK(!process->ready());
      CHECK(process->trace()[0].instance == instance);
      ticket.finish(peek);
      outcome = interp::run(*process);
    }
    REQUIRE(outcome.kind == Kind::finished);
    return std::vector<u64>(process->results().begin(), process->results().end());
  };
  for (const bool parked : {false, true}) {
    parks = parked;
    CHECK(run(last, direct, {}) == std::vector<u64>{'A', 'C'});
    for (const char* name : {"call", "tail", "by_table"}) {
      INFO(name);
      const u32 function = export_of(*process, caller, name);
      CHECK(run(caller, function, {runtime::function_reference(0, import)}) ==
            std::vector<u64>{'A'});
      CHECK(run(caller, function, {runtime::function_reference(last, passed_on)}) ==
            std::vector<u64>{'A'});
      CHECK(run(caller, function, {runtime::function_reference(last, own)}) ==
            std::vector<u64>{'C'});
    }
  }
}
