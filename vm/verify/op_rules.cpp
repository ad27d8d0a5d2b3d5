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

// Operations that address memory 0 without naming it. Names carry a grammar: what loads or stores
// has a part that begins so ("i32.load8_s", "i32.store.x", "br.load8.z").
bool uses_memory_0(const isa::OpInfo& info) {
  for (const isa::Operand& operand : isa::info(info.format).list()) {
    if (operand.kind == OperandKind::memory) return false;
  }
  const std::string_view name = info.name;
  for (usize at = 0; at != std::string_view::npos; at = name.find('.', at)) {
    if (at != 0) ++at;
    const std::string_view part = name.substr(at);
    if (part.starts_with("load") || part.starts_with("store")) return true;
  }
  return false;
}

OpRules make_rules(isa::Op op) {
  const isa::OpInfo& info = isa::info(op);
  const isa::FormatInfo& format = isa::info(info.format);
  OpRules rules;
  rules.words = format.words;
  rules.flags = info.flags;
  rules.needs_memory = uses_memory_0(info);
  rules.floats = info.signature.find_first_of("fF") != std::string_view::npos;
  if (op == isa::Op::ret) rules.returned = 0;
  // "ret.1", "ret.i32.add", "ret.if.i32.eq.i": all but "ret.n", which says how many.
  if (info.name.starts_with("ret.") && op != isa::Op::ret_n) rules.returned = 1;
  isa::Word named[2] = {0xffff, 0};
  for (const isa::Operand& operand : format.list()) {
    isa::write_field(named, operand.field, isa::field_limit(operand.field));
    const bool use = operand.kind == OperandKind::use || operand.kind == OperandKind::use_def;
    const bool def = operand.kind == OperandKind::def || operand.kind == OperandKind::use_def;
    if (use) rules.uses[rules.use_count++] = slot_field(operand.field);
    if (def) rules.defs[rules.def_count++] = slot_field(operand.field);
    if (!use && !def) rules.others[rules.other_count++] = operand;
  }
  assert(rules.use_count <= rules.uses.size() && rules.def_count <= rules.defs.size());
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
