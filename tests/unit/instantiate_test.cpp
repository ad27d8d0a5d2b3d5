// Making processes: imports, memories, tables, globals, segments.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "tests/support/process.hpp"

using namespace atollvm;
using namespace atollvm::test;
using mod::ConstOp;
using mod::SegmentMode;
using runtime::HostContext;
using runtime::HostFunction;
using runtime::Options;
using runtime::Process;

namespace {

HostFunction host_function(std::string module, std::string name, mod::FuncType type) {
  HostFunction function;
  function.module = std::move(module);
  function.name = std::move(name);
  function.type = std::move(type);
  function.call = [](HostContext&) { return runtime::HostResult::value(); };
  return function;
}

base::Error refusal(const ModuleBuilder& module, const Options& options = {}) {
  auto process = Process::create(program_of(module), options);
  REQUIRE(!process.ok());
  return process.error();
}

bool mentions(const base::Error& error, std::string_view text) {
  return error.text().find(text) != std::string::npos;
}

void add_active_data(ModuleBuilder& module, u32 memory, mod::ConstExpr offset, std::string bytes) {
  mod::DataSegment segment;
  segment.mode = SegmentMode::active;
  segment.memory = memory;
  segment.offset = std::move(offset);
  segment.bytes = std::move(bytes);
  module.module.datas.push_back(std::move(segment));
}

void add_active_elements(ModuleBuilder& module, u32 table, mod::ConstExpr offset, u32 nulls) {
  mod::ElemSegment segment;
  segment.mode = SegmentMode::active;
  segment.table = table;
  segment.offset = std::move(offset);
  segment.items.assign(nulls, {ModuleBuilder::ref_null()});
  module.module.elems.push_back(std::move(segment));
}

std::string text(const runtime::Memory& memory, u64 at, u64 count) {
  const char* base = reinterpret_cast<const char*>(memory.base());
  return {base + at, base + at + count};
}

}  // namespace

TEST_CASE("instantiation: an import is found by module, name and type") {
  ModuleBuilder module;
  module.import_function("sys", "read", module.type({ValType::i32}, {ValType::i64}));
  module.import_function("sys", "write", module.type({}, {}));
  std::vector<HostFunction> host = {host_function("sys", "write", {{}, {}}),
                                    host_function("sys", "read", {{ValType::i32}, {ValType::i64}})};
  Options options;
  options.host = host;
  const auto process = process_of(module, options);
  runtime::Instance& instance = process->instance();
  CHECK(instance.resolve(0) == runtime::FunctionTarget{&host[1], &instance, 0});
  CHECK(instance.resolve(1) == runtime::FunctionTarget{&host[0], &instance, 1});
}

TEST_CASE("instantiation: a missing import is named with its type") {
  ModuleBuilder module;
  module.import_function("sys", "raed", module.type({ValType::i32, ValType::f64}, {ValType::i64}));
  const std::vector<HostFunction> host = {
      host_function("sys", "read", {{ValType::i32, ValType::f64}, {ValType::i64}}),
      host_function("other", "raed", {{ValType::i32, ValType::f64}, {ValType::i64}})};
  Options options;
  options.host = host;
  const base::Error error = refusal(module, options);
  CHECK(error.code == base::ErrorCode::not_found);
  CHECK(mentions(error, "sys"));
  CHECK(mentions(error, "raed"));
  CHECK(mentions(error, "(i32, f64) -> i64"));
  CHECK(refusal(module).code == base::ErrorCode::not_found);
}

TEST_CASE("instantiation: an import of another type names both types") {
  ModuleBuilder module;
  module.import_function("sys", "read", module.type({ValType::i32}, {ValType::i64}));
  for (const mod::FuncType& type :
       {mod::FuncType{{ValType::i64}, {ValType::i64}}, mod::FuncType{{ValType::i32}, {}},
        mod::FuncType{{ValType::i32, ValType::i32}, {ValType::i64}}}) {
    const std::vector<HostFunction> host = {host_function("sys", "read", type)};
    Options options;
    options.host = host;
    const base::Error error = refusal(module, options);
    CHECK(error.code == base::ErrorCode::invalid);
    CHECK(mentions(error, "(i32) -> i64"));
    CHECK(mentions(error, type.params.size() == 2 ? "(i32, i32)" : "read"));
  }
}

TEST_CASE("instantiation: memories, tables and globals that nobody gives are refused by name") {
  {
    ModuleBuilder module;
    module.import_memory("env", "the memory", {{1, {}}, 16});
    CHECK(refusal(module).code == base::ErrorCode::not_found);
    CHECK(mentions(refusal(module), "the memory"));
  }
  {
    ModuleBuilder module;
    module.import_table("env", "the table", {ValType::funcref, {1, {}}});
    CHECK(refusal(module).code == base::ErrorCode::not_found);
    CHECK(mentions(refusal(module), "the table"));
  }
  {
    ModuleBuilder module;
    module.import_global("env", "the global", {ValType::i32, false});
    CHECK(refusal(module).code == base::ErrorCode::not_found);
    CHECK(mentions(refusal(module), "the global"));
  }
}

TEST_CASE("instantiation: constant expressions") {
  using Kind = ConstOp::Kind;
  ModuleBuilder module;
  CodeBuilder code(module.type({}, {}), 0, 0);
  const u32 function = module.add(code.emit(Op::ret));
  const auto add = [&](ValType type, mod::ConstExpr init) {
    module.module.globals.push_back({{type, false}, std::move(init)});
  };
  const ConstOp big32 = ModuleBuilder::i32_const(0xffff'ffff);
  const ConstOp big64 = ModuleBuilder::i64_const(~u64{0});
  add(ValType::i32, {big32});
  add(ValType::i64, {big64});
  add(ValType::f32, {{Kind::f32_const, 0x7fa0'0001}});
  add(ValType::f64, {{Kind::f64_const, 0x7ff4'0000'0000'0001}});
  add(ValType::funcref, {ModuleBuilder::ref_null()});
  add(ValType::funcref, {ModuleBuilder::ref_func(function)});
  add(ValType::i32, {ModuleBuilder::global_get(0)});
  // 32-bit results wrap and stay zero-extended.
  add(ValType::i32, {big32, ModuleBuilder::i32_const(2), {Kind::i32_add, 0}});
  add(ValType::i32, {ModuleBuilder::i32_const(0), ModuleBuilder::i32_const(1), {Kind::i32_sub, 0}});
  add(ValType::i32, {big32, big32, {Kind::i32_mul, 0}});
  add(ValType::i64, {big64, ModuleBuilder::i64_const(2), {Kind::i64_add, 0}});
  add(ValType::i64, {ModuleBuilder::i64_const(1), ModuleBuilder::i64_const(3), {Kind::i64_sub, 0}});
  add(ValType::i64, {big64, ModuleBuilder::i64_const(5), {Kind::i64_mul, 0}});
  // (g0 * 3 - 10) + 20, nested on the left and the right.
  add(ValType::i32, {ModuleBuilder::global_get(0),
                     ModuleBuilder::i32_const(3),
                     {Kind::i32_mul, 0},
                     ModuleBuilder::i32_const(10),
                     {Kind::i32_sub, 0},
                     ModuleBuilder::i32_const(20),
                     {Kind::i32_add, 0}});
  add(ValType::i32, {ModuleBuilder::i32_const(100),
                     ModuleBuilder::i32_const(7),
                     ModuleBuilder::i32_const(5),
                     {Kind::i32_mul, 0},
                     {Kind::i32_sub, 0}});
  const auto process = process_of(module);
  std::vector<u64> values;
  for (const runtime::GlobalCell& cell : process->instance().globals) values.push_back(cell.low);
  CHECK(values == std::vector<u64>{0xffff'ffff, ~u64{0}, 0x7fa0'0001, 0x7ff4'0000'0000'0001, 0,
                                   runtime::function_reference(0, function), 0xffff'ffff, 1,
                                   0xffff'ffff, 1, 1, static_cast<u64>(-2), static_cast<u64>(-5), 7,
                                   65});
}

TEST_CASE("instantiation: active segments, in order, later ones over earlier ones") {
  ModuleBuilder module;
  module.memory(100, {}, 0);
  module.memory(1, {}, 16);
  module.global(ValType::i32, false, ModuleBuilder::i32_const(90));
  add_active_data(module, 0, {ModuleBuilder::i32_const(10)}, "abcdef");
  add_active_data(module, 0, {ModuleBuilder::i32_const(12)}, "XY");
  add_active_data(module, 0, {ModuleBuilder::global_get(0)}, "0123456789");
  add_active_data(module, 0, {ModuleBuilder::i32_const(100)}, "");
  add_active_data(
      module, 1,
      {ModuleBuilder::global_get(0), ModuleBuilder::i32_const(65440), {ConstOp::Kind::i32_add, 0}},
      "end...");
  const auto process = process_of(module);
  const auto& memories = process->instance().memories;
  CHECK(text(*memories[0], 9, 8) == std::string("\0abXYef\0", 8));
  CHECK(text(*memories[0], 90, 10) == "0123456789");
  CHECK(text(*memories[1], 65530, 6) == "end...");
}

TEST_CASE("instantiation: constant segments are applied in one piece, with the same result") {
  ModuleBuilder module;
  module.memory(400, {}, 0);
  add_active_data(module, 0, {ModuleBuilder::i32_const(120)}, "abcdef");
  add_active_data(module, 0, {ModuleBuilder::i32_const(20)}, "first");
  add_active_data(module, 0, {ModuleBuilder::i32_const(122)}, "XY");
  add_active_data(module, 0, {ModuleBuilder::i32_const(130)}, "");
  const auto program = program_of(module);
  CHECK(program->memory_image().offset == 20);
  CHECK(program->memory_image().bytes.size() == 110);
  const auto process = process_of(program);
  const runtime::Memory& memory = *process->instance().memories[0];
  CHECK(text(memory, 19, 7) == std::string("\0first\0", 7));
  CHECK(text(memory, 119, 8) == std::string("\0abXYef\0", 8));
  for (u32 i = 0; i < 4; ++i) {
    CHECK(process->instance().dropped.test(process->instance().data_segment(i)));
  }
  // An empty one past the end is out of bounds all the same.
  add_active_data(module, 0, {ModuleBuilder::i32_const(401)}, "");
  CHECK(mentions(refusal(module), "data segment 4"));
  // Where one is passive, or far from the others, they are applied one by one.
  module.module.datas.back().mode = SegmentMode::passive;
  module.module.datas.back().offset.clear();
  CHECK(program_of(module)->memory_image().bytes.empty());
  CHECK(text(*process_of(module)->instance().memories[0], 119, 8) == std::string("\0abXYef\0", 8));
  ModuleBuilder sparse;
  sparse.memory(1, {}, 16);
  add_active_data(sparse, 0, {ModuleBuilder::i32_const(0)}, "a");
  add_active_data(sparse, 0, {ModuleBuilder::i32_const(65535)}, "z");
  CHECK(program_of(sparse)->memory_image().bytes.empty());
  CHECK(text(*process_of(sparse)->instance().memories[0], 65535, 1) == "z");
}

TEST_CASE("instantiation: segments out of bounds are refused by number") {
  for (u64 offset : {u64{98}, u64{101}, u64{0x7fff'ffff}, u64{0xffff'ffff}}) {
    ModuleBuilder module;
    module.memory(100, {}, 0);
    add_active_data(module, 0, {ModuleBuilder::i32_const(0)}, "fits");
    add_active_data(module, 0, {ModuleBuilder::i32_const(static_cast<u32>(offset))}, "abc");
    const base::Error error = refusal(module);
    CHECK(error.code == base::ErrorCode::invalid);
    CHECK(mentions(error, "data segment 1"));
    CHECK(mentions(error, "out of bounds memory access"));
  }
  for (u64 offset : {u64{8}, u64{11}, u64{0x7fff'ffff}, u64{0xffff'ffff}}) {
    ModuleBuilder module;
    module.table(10);
    add_active_elements(module, 0, {ModuleBuilder::i32_const(7)}, 3);
    add_active_elements(module, 0, {ModuleBuilder::i32_const(static_cast<u32>(offset))}, 3);
    const base::Error error = refusal(module);
    CHECK(error.code == base::ErrorCode::invalid);
    CHECK(mentions(error, "element segment 1"));
    CHECK(mentions(error, "out of bounds table access"));
  }
  // An empty segment one past the end.
  ModuleBuilder module;
  module.memory(100, {}, 0);
  add_active_data(module, 0, {ModuleBuilder::i32_const(101)}, "");
  CHECK(refusal(module).code == base::ErrorCode::invalid);
}

TEST_CASE("instantiation: tables start with their initial value") {
  ModuleBuilder module;
  CodeBuilder code(module.type({}, {}), 0, 0);
  const u32 function = module.add(code.emit(Op::ret));
  module.table(3);
  module.module.tables[0].init = {ModuleBuilder::ref_func(function)};
  module.table(2);
  const auto process = process_of(module);
  const auto& tables = process->instance().tables;
  CHECK(tables[0]->elements == std::vector<u64>(3, runtime::function_reference(0, function)));
  CHECK(tables[1]->elements == std::vector<u64>(2, 0));
  CHECK(process->usage().table_elements == 5);
}

TEST_CASE("instantiation: zero pages of a data segment are not touched") {
  constexpr u64 host_page = 4096;
  ModuleBuilder module;
  module.memory(2, {}, 16);
  std::string bytes(100'000, '\0');
  bytes[0] = 'a';
  bytes[50'000] = 'b';
  bytes.back() = 'c';
  add_active_data(module, 0, {ModuleBuilder::i32_const(100)}, bytes);
  const auto program = program_of(module);
  // Other pages are resident on hosts with larger ones, and in emulators, which don't pass on the
  // advice against huge ones.
  std::vector<unsigned char> resident(2 * 65536 / host_page);
  for (u32 round = 0; round < 3; ++round) {
    const auto process = process_of(program);
    const runtime::Memory& memory = *process->instance().memories[0];
    const bool seen = static_cast<u64>(sysconf(_SC_PAGESIZE)) == host_page &&
                      std::getenv("ATOLL_EMULATED") == nullptr &&
                      mincore(memory.base(), memory.size(), resident.data()) == 0;
    if (seen) {
      CHECK(std::count_if(resident.begin(), resident.end(), [](u8 byte) { return byte & 1; }) == 3);
    }
    CHECK(text(memory, 100, bytes.size()) == bytes);
    CHECK(text(memory, 100 + bytes.size(), 1000) == std::string(1000, '\0'));
  }
}

TEST_CASE("instantiation: a data segment's zeros replace what an earlier one wrote") {
  ModuleBuilder module;
  module.memory(1, {}, 16);
  add_active_data(module, 0, {ModuleBuilder::i32_const(8000)}, std::string(20'000, 'x'));
  add_active_data(module, 0, {ModuleBuilder::i32_const(10'000)}, std::string(9000, '\0'));
  add_active_data(module, 0, {ModuleBuilder::i32_const(30'000)}, "y");
  const auto process = process_of(module);
  const runtime::Memory& memory = *process->instance().memories[0];
  CHECK(text(memory, 8000, 20'000) ==
        std::string(2000, 'x') + std::string(9000, '\0') + std::string(9000, 'x'));
  CHECK(text(memory, 30'000, 1) == "y");
}

TEST_CASE("instantiation: minimum sizes above the limits are refused") {
  ModuleBuilder memories;
  memories.memory(1, {}, 16);
  memories.memory(1000, {}, 0);
  for (auto strategy : {runtime::MemoryStrategy::checked, runtime::MemoryStrategy::guarded}) {
    Options options;
    options.memory = strategy;
    options.limits.memory_bytes = 66536;
    CHECK(process_of(memories, options)->usage().memory_bytes == 66536);
    options.limits.memory_bytes = 66535;
    CHECK(refusal(memories, options).code == base::ErrorCode::limit);
    CHECK(mentions(refusal(memories, options), "memory 1"));
    options.limits.memory_bytes = 65535;
    CHECK(mentions(refusal(memories, options), "memory 0"));
  }
  ModuleBuilder huge;
  huge.memory(65536, {}, 16);
  Options small;
  small.limits.memory_bytes = 1 << 20;
  CHECK(refusal(huge, small).code == base::ErrorCode::limit);

  ModuleBuilder tables;
  tables.table(600);
  tables.table(400);
  Options options;
  options.limits.table_elements = 1000;
  CHECK(process_of(tables, options)->usage().table_elements == 1000);
  options.limits.table_elements = 999;
  CHECK(refusal(tables, options).code == base::ErrorCode::limit);
  CHECK(mentions(refusal(tables, options), "table 1"));
}

TEST_CASE("programs: exports, names and equal types") {
  ModuleBuilder module;
  module.import_function("sys", "f", module.type({}, {}));
  CodeBuilder first(module.type({}, {}), 0, 0);
  const u32 a = module.add(first.emit(Op::ret));
  module.module.types.push_back({});
  CodeBuilder second(static_cast<u32>(module.module.types.size() - 1), 0, 0);
  const u32 b = module.add(second.emit(Op::nop).emit(Op::ret));
  module.export_function("run", b);
  module.module.names.push_back({mod::NameSpace::function, a, 0, "helper"});
  const auto program = program_of(module);
  CHECK(program->find_export("run", mod::ExternKind::function) == b);
  CHECK(!program->find_export("run", mod::ExternKind::memory));
  CHECK(!program->find_export("helper", mod::ExternKind::function));
  CHECK(program->function_name(0) == "func[0]");
  CHECK(program->function_name(a) == "helper");
  CHECK(program->function_name(b) == "run");
  CHECK(program->functions()[a].type == program->functions()[b].type);
  CHECK(program->imported_functions() == 1);
  CHECK(program->function_at(0) == a);
  CHECK(program->function_at(1) == b);
  CHECK(program->function_at(2) == b);
}
