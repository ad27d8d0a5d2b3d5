#include "tests/conformance/spectest.hpp"

#include <bit>

#include "tests/support/build.hpp"

namespace atollvm::conformance {

std::shared_ptr<const runtime::Program> make_spectest() {
  using mod::ConstOp;
  using mod::ExternKind;
  using mod::ValType;
  test::ModuleBuilder module;
  const auto give = [&](const char* name, ExternKind kind, u32 index) {
    module.module.exports.push_back({name, kind, index});
  };
  const auto print = [&](const char* name, std::vector<ValType> params) {
    const u32 slots = static_cast<u32>(params.size());
    test::CodeBuilder code(module.type(std::move(params), {}), slots, slots);
    give(name, ExternKind::function, module.add(code.emit(isa::Op::ret)));
  };
  print("print", {});
  print("print_i32", {ValType::i32});
  print("print_i64", {ValType::i64});
  print("print_f32", {ValType::f32});
  print("print_f64", {ValType::f64});
  print("print_i32_f32", {ValType::i32, ValType::f32});
  print("print_f64_f64", {ValType::f64, ValType::f64});
  const auto global = [&](const char* name, ValType type, ConstOp init) {
    give(name, ExternKind::global, module.global(type, false, init));
  };
  global("global_i32", ValType::i32, {ConstOp::Kind::i32_const, 666});
  global("global_i64", ValType::i64, {ConstOp::Kind::i64_const, 666});
  global("global_f32", ValType::f32, {ConstOp::Kind::f32_const, std::bit_cast<u32>(666.6f)});
  global("global_f64", ValType::f64, {ConstOp::Kind::f64_const, std::bit_cast<u64>(666.6)});
  give("table", ExternKind::table, module.table(10, 20));
  give("memory", ExternKind::memory, module.memory(1, 2));
  auto verified = verify::verify(std::move(module.module));
  return verified ? runtime::Program::make(*std::move(verified)) : nullptr;
}

}  // namespace atollvm::conformance
