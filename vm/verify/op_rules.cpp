#include "vm/verify/op_rules.hpp"

#include <cassert>

namespace atollvm::verify {

namespace {

using isa::Field;
using isa::OperandKind;

SlotField slot_field(Field field) {
  isa::Word probe[2] = {0, 0};
  isa::write_field(probe, field, 0xffff);
  const u8 word = probe[0] != 0 ? 0 : 1;
  u8 shift = 0;
  while ((probe[word] >> shift & 1) == 0) shift = static_cast<u8>(shift + 16);
  return {word, shift};
}

// Operations that address memory 0 implicitly: the short forms and those with a scaled index,
// whose names end in ".x".
bool uses_memory_0(const isa::OpInfo& info) {
  return info.format == isa::Format::load || info.format == isa::Format::store ||
         info.name.ends_with(".x");
}

OpRules make_rules(isa::Op op) {
  const isa::OpInfo& info = isa::info(op);
  const isa::FormatInfo& format = isa::info(info.format);
  OpRules rules;
  rules.words = format.words;
  rules.flags = info.flags;
  rules.needs_memory = uses_memory_0(info);
  if (op == isa::Op::ret) rules.returned = 0;
  if (op == isa::Op::ret_1) rules.returned = 1;
  isa::Word named[2] = {0xffff, 0};
  for (const isa::Operand& operand : format.list()) {
    isa::write_field(named, operand.field, isa::field_limit(operand.field));
    const bool use = operand.kind == OperandKind::use || operand.kind == OperandKind::use_def;
    const bool def = operand.kind == OperandKind::def || operand.kind == OperandKind::use_def;
    if (use) rules.uses[rules.use_count++] = slot_field(operand.field);
    if (def) {
      assert(!rules.has_def);
      rules.has_def = true;
      rules.def = slot_field(operand.field);
    }
    if (!use && !def) rules.others[rules.other_count++] = operand;
  }
  rules.zero = {~named[0], ~named[1]};
  return rules;
}

}  // namespace

const std::array<OpRules, isa::op_count>& op_rules() {
  static const auto table = [] {
    std::array<OpRules, isa::op_count> rules;
    for (u32 i = 0; i < isa::op_count; ++i) rules[i] = make_rules(static_cast<isa::Op>(i));
    return rules;
  }();
  return table;
}

}  // namespace atollvm::verify
