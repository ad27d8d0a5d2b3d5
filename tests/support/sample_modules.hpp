// Valid modules for tests, fuzzing and benchmarks.
#pragma once

#include <random>

#include "tests/support/build.hpp"

namespace atollvm::test {

// Something of every kind to refer to. Index 0 of each kind is imported, index 1 is own.
// Types: 0 () -> (), 1 (i32, i32) -> (i32), 2 () -> (i32, i64), 3 () -> (i32).
inline ModuleBuilder universe() {
  ModuleBuilder m;
  m.type({}, {});
  m.type({ValType::i32, ValType::i32}, {ValType::i32});
  m.type({}, {ValType::i32, ValType::i64});
  m.type({}, {ValType::i32});
  m.import_function("env", "add", 1);
  m.import_global("env", "base", {ValType::i32, true});
  m.import_table("env", "table", {ValType::funcref, {1, {}}});
  m.import_memory("env", "memory", {{1, 2}, 16});
  m.global(ValType::i64, true, ModuleBuilder::i64_const(7));
  m.table(4, 8);
  m.memory(16, 4096, 0);
  CodeBuilder own(1, 2, 2);  // function 1
  own.emit(Op::i32_add, {0, 0, 1}).emit(Op::ret_1, {0});
  m.add(own);
  m.elem({0, 1});
  m.data("bytes");
  return m;
}

// In functions of add_op: the locals (all defined), the frame, and a call window in it.
inline constexpr u32 op_locals = 8;
inline constexpr u32 op_frame = 20;
inline constexpr u32 op_window = 10;

// Valid arguments of an operation in a universe(), branches to these targets.
inline std::vector<Arg> valid_args(Op op, Label forward, Label backward) {
  using isa::OperandKind;
  const std::string_view name = isa::info(op).name;
  const bool import = name.ends_with(".import");
  std::vector<Arg> args;
  u32 slot = 0;
  for (const isa::Operand& operand : isa::format_of(op).list()) {
    switch (operand.kind) {
      case OperandKind::use:
      case OperandKind::use_def:
        args.push_back(slot++);
        break;
      case OperandKind::def:
      case OperandKind::def_range:
        args.push_back(op_window);
        break;
      case OperandKind::use_range:
        args.push_back(1);
        break;
      case OperandKind::count:
        args.push_back(2);
        break;
      case OperandKind::imm16:
      case OperandKind::imm32:
      case OperandKind::imm64:
        args.push_back(-3);
        break;
      case OperandKind::bits32:
      case OperandKind::bits64:
        args.push_back(0x7fc0'0000);
        break;
      case OperandKind::offset:
        args.push_back(40);
        break;
      case OperandKind::forward:
        args.push_back(forward);
        break;
      case OperandKind::targets:
        args.insert(args.end(), {forward, forward, forward});
        break;
      case OperandKind::backward:
        args.push_back(backward);
        break;
      case OperandKind::window:
        // The arguments of a tail call can be locals; those of a call are defined by add_op.
        args.push_back(isa::info(op).has(isa::ends) ? 1 : op_window);
        break;
      case OperandKind::window_copy:
        break;
      case OperandKind::func:
      case OperandKind::func_any:
      case OperandKind::type:
        args.push_back(1);
        break;
      case OperandKind::func_import:
        args.push_back(0);
        break;
      case OperandKind::global:
        args.push_back(import ? 0 : 1);
        break;
      case OperandKind::table:
      case OperandKind::memory:
        args.push_back(1);
        break;
      case OperandKind::elem:
      case OperandKind::data:
        args.push_back(0);
        break;
    }
  }
  return args;
}

// A function around one operation; `at` gets the word where it is.
inline CodeBuilder op_function(Op op, u32* at = nullptr) {
  const u32 type = op == Op::ret ? 0 : op == Op::ret_n ? 2 : op == Op::ret_1 ? 3 : 1;
  CodeBuilder f(type, op_locals, op_frame);
  const Label forward = f.label();
  const Label backward = f.label();
  bool goes_forward = false;
  bool goes_back = false;
  for (const isa::Operand& operand : isa::format_of(op).list()) {
    goes_back |= operand.kind == isa::OperandKind::backward;
    goes_forward |= operand.kind == isa::OperandKind::forward;
    goes_forward |= operand.kind == isa::OperandKind::targets;
  }
  if (isa::info(op).has(isa::calls) && !isa::info(op).has(isa::ends)) {
    f.emit(Op::mov, {op_window, 0}).emit(Op::mov, {op_window + 1, 1});
  }
  if (goes_back) f.bind(backward);
  if (at != nullptr) *at = f.here();
  f.emit(op, valid_args(op, forward, backward));
  const bool ends = isa::info(op).has(isa::ends);
  if (!ends) f.emit(Op::nop);
  if (goes_forward) f.bind(forward);
  if (!ends || goes_forward) f.emit(Op::unreachable);
  return f;
}

// A module with a function for each operation.
inline mod::Module every_op() {
  ModuleBuilder m = universe();
  for (u32 i = 0; i < isa::op_count; ++i) m.add(op_function(static_cast<Op>(i)));
  return std::move(m.module);
}

// A module with something in every section and every form of entry.
inline mod::Module every_section() {
  ModuleBuilder m = universe();
  const u32 start = m.add(std::move(CodeBuilder(0, 0, 1).emit(Op::ret)));
  CodeBuilder sum(1, 3, 4);  // adds the numbers from a to b
  const Label done = sum.label();
  const Label loop = sum.label(4);
  sum.emit(Op::br_i32_lt_s, {1, 0, done}).emit(Op::i32_const, {3, 1});
  sum.bind(loop).emit(Op::i32_add, {2, 2, 0}).emit(Op::i32_add, {0, 0, 3});
  sum.emit(Op::back_i32_le_s, {0, 1, loop}).bind(done).emit(Op::ret_1, {2});
  m.export_function("sum", m.add(sum));

  mod::Module& module = m.module;
  module.exports.push_back({"memory", mod::ExternKind::memory, 0});
  module.exports.push_back({"table", mod::ExternKind::table, 1});
  module.exports.push_back({"", mod::ExternKind::global, 1});
  module.start = start;
  module.imports.push_back(module.imports[0]);  // another function, types may repeat
  module.imports.back().name = "again";
  // One more imported function moves all own ones up.
  module.start = *module.start + 1;
  module.exports[0].index += 1;

  using Kind = mod::ConstOp::Kind;
  m.global(ValType::f32, false, {Kind::f32_const, 0x7fc0'0001});
  m.global(ValType::f64, false, {Kind::f64_const, 0x8000'0000'0000'0000});
  m.global(ValType::i32, false, {Kind::i32_const, 0xffff'ff80});
  m.global(ValType::externref, true, {Kind::ref_null, 0});
  m.global(ValType::i64, false, {Kind::i64_const, 0x8000'0000'0000'0000});
  module.tables[0].init = {{Kind::ref_func, 1}};
  mod::ElemSegment elem = module.elems[0];
  elem.mode = mod::SegmentMode::active;
  elem.table = 1;
  elem.offset = {{Kind::i32_const, 3}, {Kind::global_get, 4}, {Kind::i32_mul, 0}};
  elem.items.push_back({{Kind::ref_null, 0}});
  module.elems.push_back(elem);
  elem.mode = mod::SegmentMode::declared;
  elem.table = 0;
  elem.offset.clear();
  elem.items.clear();
  module.elems.push_back(elem);
  mod::DataSegment data;
  data.mode = mod::SegmentMode::active;
  data.memory = 1;
  data.offset = {{Kind::i32_const, 0xffff'ffff}};
  data.bytes = std::string("\0\x01\xff", 3);
  module.datas.push_back(data);

  module.name = "every section";
  using Space = mod::NameSpace;
  module.names = {{Space::function, 0, 0, "add"},
                  {Space::function, 3, 0, "start"},
                  {Space::function, 4, 0, "s\xc3\xbcm"},
                  {Space::global, 1, 0, "counter"},
                  {Space::table, 0, 0, "t"},
                  {Space::memory, 1, 0, "bytes"},
                  {Space::type, 2, 0, "pair"},
                  {Space::data, 1, 0, "blob"},
                  {Space::elem, 2, 0, "kept"},
                  {Space::local, 0, 1, "b"},
                  {Space::local, 4, 0, "from"},
                  {Space::local, 4, 2, "total"}};
  module.files = {"sum.atoll", "lib/start.atoll"};
  module.lines = {{0, 0, 10, 3}, {2, 1, 4, 1}, {3, 0, 1, 0}, {5, 0, 70'000, 80}};
  module.customs = {{"producer", "tests"}, {"producer", ""}, {"", std::string(3, '\0')}};
  return std::move(module);
}

// A large module with the mix of operations that compiled programs have: `functions` functions of
// about 70 words, with loops, calls, branches, names and a line entry every other instruction.
inline mod::Module many_functions(u32 functions, u32 seed) {
  std::mt19937 random(seed);
  const auto below = [&](u32 limit) { return static_cast<u32>(random() % limit); };
  ModuleBuilder m;
  const u32 type = m.type({ValType::i32, ValType::i32}, {ValType::i32});
  m.import_function("env", "print", type);
  m.memory(16, 1024);
  m.global(ValType::i32, true, ModuleBuilder::i32_const(1024));
  m.module.files = {"generated.atoll"};
  static constexpr Op plain[] = {Op::i32_add, Op::i32_sub, Op::i32_and,  Op::i64_add,
                                 Op::i64_xor, Op::f64_mul, Op::i32_lt_s, Op::i32_load_x};
  for (u32 number = 0; number < functions; ++number) {
    const u32 begin = static_cast<u32>(m.module.code.size());
    CodeBuilder f(type, 4, 16);
    u32 line = number * 40 + 1;
    const auto mark = [&] { m.module.lines.push_back({begin + f.here(), 0, line++, 5}); };
    const u32 blocks = 3 + below(5);
    for (u32 block = 0; block < blocks; ++block) {
      const Label loop = f.label(6);
      const Label skip = f.label(7);
      mark();
      f.emit(Op::i32_const, {4, below(1000)}).emit(Op::mov, {5, below(4)}).bind(loop);
      mark();
      f.emit(Op::i32_load, {6, below(6), 4 * below(64)});
      for (u32 i = below(4); i > 0; --i) {
        f.emit(plain[below(8)], {6, below(7), below(7)});
        mark();
        f.emit(Op::i32_add_i, {below(7), 6, below(100)});
      }
      f.emit(Op::br_i32_eq_i, {6, 0, skip});
      mark();
      f.emit(Op::mov, {8, 4}).emit(Op::mov, {9, 5});
      f.emit(Op::call, {8, 1 + below(number + 1)}).emit(Op::mov, {6, 8});
      f.emit(Op::global_set, {0, 6}).bind(skip);
      mark();
      f.emit(Op::i32_store, {4, 16, 6}).emit(Op::back_i32_inc_lt_s, {5, 4, loop});
    }
    mark();
    f.emit(Op::ret_1, {4});
    const u32 index = m.add(f);
    m.module.names.push_back(
        {mod::NameSpace::function, index, 0, "generated_function_" + std::to_string(number)});
  }
  m.export_function("main", 1);
  return std::move(m.module);
}

}  // namespace atollvm::test
