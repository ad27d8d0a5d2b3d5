// What the verifier's one pass promises, checked by a second, slow method: a fixed point over all
// ways through a function. No way reaches a word that is no instruction, leaves the function, or
// reads a slot that is undefined on it.
#include <map>

#include "tests/verify/expect.hpp"
#include "tests/verify/mutate.hpp"

using namespace atollvm;
using namespace atollvm::test;
using isa::OperandKind;

namespace {

using Slots = std::vector<char>;  // whether each slot of the frame is defined

class FixedPoint {
 public:
  FixedPoint(const mod::Module& module, const mod::Function& function)
      : module_(module), function_(function), code_(&module.code[function.code_begin]) {
    Slots entry(function.frame_slots);
    std::fill_n(entry.begin(), function.local_slots, 1);
    arrive(0, entry);
    while (!open_.empty()) {
      const u32 pc = open_.back();
      open_.pop_back();
      step(pc, states_.at(pc));
    }
  }

 private:
  void arrive(u32 pc, const Slots& slots) {
    REQUIRE(pc < function_.code_size);
    const auto [at, is_new] = states_.try_emplace(pc, slots);
    bool changed = is_new;
    for (usize i = 0; i < slots.size(); ++i) {
      if (at->second[i] == 0 || slots[i] != 0) continue;
      at->second[i] = 0;
      changed = true;
    }
    if (changed) open_.push_back(pc);
  }

  static void used(const Slots& slots, u64 first, u64 count) {
    REQUIRE(first + count <= slots.size());
    for (u64 i = first; i < first + count; ++i) REQUIRE(slots[i] != 0);
  }

  [[nodiscard]] const mod::FuncType& type_of(u64 function) const {
    for (const mod::Import& import : module_.imports) {
      if (import.kind != mod::ExternKind::function) continue;
      if (function-- == 0) return module_.types[import.func_type];
    }
    return module_.types[module_.functions[function].type];
  }

  void step(u32 pc, Slots slots) {
    const isa::Word* code = code_ + pc;
    REQUIRE(isa::raw_op(*code) < isa::op_count);
    const Op op = isa::op_of(*code);
    const u64 length = isa::length(code);
    REQUIRE(length <= function_.code_size - pc);
    const mod::FuncType* callee = nullptr;
    u64 window = 0;
    u64 count = 0;
    std::vector<u32> targets;
    for (const isa::Operand& operand : isa::format_of(op).list()) {
      const u64 bits = isa::read_field(code, operand.field);
      switch (operand.kind) {
        case OperandKind::use:
        case OperandKind::use_def:
          used(slots, bits, 1);
          break;
        case OperandKind::count:
          count = bits;
          break;
        case OperandKind::forward:
          targets.push_back(pc + static_cast<u32>(bits));
          break;
        case OperandKind::backward:
          REQUIRE(bits <= pc);
          targets.push_back(pc - static_cast<u32>(bits));
          break;
        case OperandKind::targets:
          for (u64 i = 0; i < bits; ++i) targets.push_back(pc + isa::table_target(code, i));
          break;
        case OperandKind::window:
          window = bits;
          break;
        case OperandKind::func:
        case OperandKind::func_import:
          callee = &type_of(bits);
          break;
        case OperandKind::type:
          callee = &module_.types[bits];
          break;
        default:
          break;
      }
    }
    for (const isa::Operand& operand : isa::format_of(op).list()) {
      const u64 bits = isa::read_field(code, operand.field);
      if (operand.kind == OperandKind::use_range) used(slots, bits, count);
      const bool one = operand.kind == OperandKind::def || operand.kind == OperandKind::use_def;
      if (one || operand.kind == OperandKind::def_range) {
        const u64 size = one ? 1 : count;
        REQUIRE(bits + size <= slots.size());
        std::fill_n(slots.begin() + static_cast<std::ptrdiff_t>(bits), size, 1);
      }
    }
    const bool ends = isa::info(op).has(isa::ends);
    if (callee != nullptr) {
      used(slots, window, callee->param_slots());
      const mod::FuncType& own = module_.types[function_.type];
      if (ends) REQUIRE(callee->results == own.results);
      if (!ends) {
        REQUIRE(window > function_.local_slots);
        REQUIRE(window + callee->result_slots() <= slots.size());
        const auto at = slots.begin() + static_cast<std::ptrdiff_t>(window);
        std::fill(at - 1, slots.end(), 0);
        std::fill_n(at, callee->result_slots(), 1);
      }
    }
    for (const u32 target : targets) arrive(target, slots);
    if (!ends) arrive(pc + static_cast<u32>(length), slots);
  }

  const mod::Module& module_;
  const mod::Function& function_;
  const isa::Word* code_;
  std::map<u32, Slots> states_;  // at the instructions reached so far
  std::vector<u32> open_;        // whose state changed
};

u32 check_if_verified(const mod::Module& module) {
  const auto verified = verify::verify(module);
  if (!verified.ok()) return 0;
  for (const mod::Function& function : module.functions) FixedPoint(module, function);
  return 1;
}

}  // namespace

TEST_CASE("sound: modules that the verifier accepts, as they are and after damage") {
  const mod::Module bases[] = {every_section(), many_functions(6, 11), every_op()};
  for (const mod::Module& module : bases) CHECK(check_if_verified(module) == 1);
  Mutator mutator(99);
  u32 accepted = 0;
  for (u32 i = 0; i < 6000; ++i) {
    CAPTURE(i);
    mod::Module module = bases[i % 20 == 0 ? 2 : i % 2];
    for (u32 changes = 1 + mutator.below(3); changes > 0; --changes) mutator.change_code(module);
    accepted += check_if_verified(module);
  }
  CHECK(accepted > 300);
}
