#include "vm/jit/fuel.hpp"

#include <algorithm>
#include <array>

namespace atollvm::jit {

namespace {

bool ends_block(const isa::OpInfo& op) {
  if (op.has(isa::ends) || op.has(isa::calls) || op.has(isa::bulk)) return true;
  if (op.format == isa::Format::sis) return true;  // returns on a condition
  return std::ranges::any_of(isa::info(op.format).list(), [](const isa::Operand& operand) {
    using enum isa::OperandKind;
    return operand.kind == forward || operand.kind == backward || operand.kind == targets;
  });
}

bool has_label(const mod::Module& module, const mod::Function& function, u32 pc) {
  const auto begin = module.labels.begin() + function.label_begin;
  const auto end = begin + function.label_count;
  const auto at = std::lower_bound(
      begin, end, pc, [](const mod::Label& label, u32 sought) { return label.pc < sought; });
  return at != end && at->pc == pc;
}

}  // namespace

bool ends_fuel_block(isa::Op op) {
  static const auto table = [] {
    std::array<bool, isa::op_count> ends{};
    for (u32 i = 0; i < isa::op_count; ++i) ends[i] = ends_block(isa::op_table[i]);
    return ends;
  }();
  return table[static_cast<usize>(op)];
}

u32 fuel_from(const mod::Module& module, const mod::Function& function, u32 pc) {
  const isa::Word* const code = module.code.data() + function.code_begin;
  u32 fuel = 0;
  while (true) {
    const isa::Op op = isa::op_of(code[pc]);
    if (isa::info(op).has(isa::bulk)) return fuel;
    fuel += isa::info(op).fuel;
    if (ends_fuel_block(op)) return fuel;
    pc += static_cast<u32>(isa::length(code + pc));
    if (has_label(module, function, pc)) return fuel;
  }
}

u32 fuel_after(const mod::Module& module, const mod::Function& function, u32 pc) {
  const isa::Op op = isa::op_of(module.code[function.code_begin + pc]);
  if (isa::info(op).has(isa::bulk)) return 0;
  return fuel_from(module, function, pc) - isa::info(op).fuel;
}

}  // namespace atollvm::jit
