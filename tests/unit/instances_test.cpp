// Several instances in one process: imports of all kinds.
#include "tests/support/instances.hpp"

using namespace atollvm;
using namespace atollvm::test;

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
    CHECK(error.code == base::ErrorCode::not_found);
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
    CHECK(error.code == base::ErrorCode::invalid);
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
  CHECK(process->prepare(f, {}, last).error().code == base::ErrorCode::usage);
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
  CHECK(refusal(*process, memory(3)).code == base::ErrorCode::limit);
  CHECK(refusal(*process, table(6)).code == base::ErrorCode::limit);
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
  CHECK(error.code == base::ErrorCode::invalid);
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
  CHECK(process->prepare(1, {}, second).error().code == base::ErrorCode::usage);
  CHECK(process->prepare(0, {}, 2).error().code == base::ErrorCode::usage);
  REQUIRE(process->prepare(0, {}, second).ok());
  CHECK(process->add_instance(program_of(module)).error().code == base::ErrorCode::usage);
}
