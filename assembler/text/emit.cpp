// Words, temporaries and branches.
#include "assembler/text/function.hpp"
#include "assembler/text/relations.hpp"

namespace atollvm::text {

namespace {
constexpr u32 max_temps = 0x7fff;
}

u16 FunctionCompiler::temp() {
  if (temps_ >= max_temps) fail(*at_, "the expression needs too many temporary registers");
  const u16 slot = static_cast<u16>(temp_base + temps_++);
  if (temps_ > max_temps_) max_temps_ = temps_;
  return slot;
}

// Makes sure that the frame has the slots of a call window, by its slot number.
void FunctionCompiler::reserve_window(u32 window, u32 slots) {
  const u32 end = window - temp_base + slots;
  if (end > max_temps) fail(*at_, "the call needs too many temporary registers");
  if (end > max_temps_) max_temps_ = end;
}

void FunctionCompiler::move(u16 to, u16 from) {
  if (to != from) emit(Op::mov, to, from);
}

void FunctionCompiler::load_constant(u16 slot, ValType type, const Const& value, const Token& at) {
  if (value.base != Const::Base::none) {
    if (type != ValType::i32) {
      fail(at, "an address is an i32", "extend it: (i64.extend_i32_u ...)");
    }
    emit_wide(Op::i32_const, slot, static_cast<u32>(value.integer));
    relocate_last(value.base == Const::Base::heap ? 3 : 0);
    return;
  }
  const u64 raw = bits(value, type, at);
  switch (type) {
    case ValType::i32:
      return emit_wide(Op::i32_const, slot, static_cast<u32>(raw));
    case ValType::f32:
      return emit_wide(Op::f32_const, slot, static_cast<u32>(raw));
    case ValType::f64:
      emit(Op::f64_const, slot);
      unit_.module.code.push_back(raw);
      return;
    default:
      if (static_cast<i64>(raw) == static_cast<i32>(raw)) {
        return emit_wide(Op::i64_const, slot, static_cast<u32>(raw));
      }
      emit(Op::i64_const_long, slot);
      unit_.module.code.push_back(raw);
  }
}

// Notes that the linker has to change the last instruction; see docs/format.md.
void FunctionCompiler::relocate_last(u8 kind) {
  const u32 back = kind == 1 ? 2 : 1;
  unit_.relocs.push_back({kind, static_cast<u32>(unit_.module.code.size()) - back, 0});
}

void FunctionCompiler::bind_label(u32 number) {
  Label& label = labels_[number];
  // A jump to the next word is none, unless another label is here already.
  if (!fixups_.empty() && fixups_.back().label == number && fixups_.back().pc + 1 == pc() &&
      fixups_.back().entry == no_label - 1 &&
      (bound_.empty() || labels_[bound_.back()].pc != pc())) {
    fixups_.pop_back();
    unit_.module.code.pop_back();
    --label.uses;
    reachable_ = true;
  }
  if (fuse_return(number)) {
    --label.uses;
    reachable_ = true;
  }
  label.pc = pc();
  bound_.push_back(number);
  straight_ = false;
  if (label.uses != 0) reachable_ = true;
}

void FunctionCompiler::jump(u32 number) {
  Label& label = labels_[number];
  ++label.uses;
  if (label.pc != no_label) {
    emit_wide(Op::back, 0, pc() - label.pc);
  } else {
    fixups_.push_back({pc(), number, no_label - 1});
    emit(Op::br);
  }
  ended();
}

void FunctionCompiler::jump_if(const Compare& compare, u32 number) {
  Label& label = labels_[number];
  ++label.uses;
  const bool is_back = label.pc != no_label;
  const u32 distance = is_back ? pc() - label.pc : 0;
  const bool far = is_back ? distance > 0xffff : long_branches_;
  if (!far && (fuse_jump(compare, number) || fuse_scan(compare, number))) return;
  if (far) {
    // The long way: over an unconditional branch.
    const Compare over{compare.type, inverse(compare.rel, is_float(compare.type)),
                       compare.immediate, compare.a, compare.b};
    Compare fitting = over;
    if (!over.immediate && !in_registers(over.rel)) {
      fitting.rel = swapped(over.rel);
      std::swap(fitting.a, fitting.b);
    }
    const u32 next = new_label();
    ++labels_[next].uses;
    fixups_.push_back({pc(), next, no_label});
    emit(branch_op(fitting.type, fitting.rel, fitting.immediate), fitting.a, fitting.b);
    jump(number);
    bind_label(next);
    return;
  }
  Op op = branch_op(compare.type, compare.rel, compare.immediate);
  if (is_back) {
    op = backward(op);
  } else {
    fixups_.push_back({pc(), number, no_label});
  }
  emit(op, compare.a, compare.b, static_cast<u16>(distance));
}

// Branches on what is at base + offset; `op` is one of the br.load* operations.
void FunctionCompiler::jump_on_memory(Op op, u16 base, u16 offset, u32 number) {
  Label& label = labels_[number];
  ++label.uses;
  if (label.pc != no_label) {
    emit(memory_backward(op), base, offset, static_cast<u16>(pc() - label.pc));
    return;
  }
  fixups_.push_back({pc(), number, no_label});
  emit(op, base, offset);
}

// The end of a counting loop: `op` is one of the back.*.inc and back.*.add operations.
void FunctionCompiler::count_back(Op op, u16 counter, u16 step, u16 limit, u32 number) {
  const bool by_step = isa::info(op).format == isa::Format::xssb;
  Label& label = labels_[number];
  ++label.uses;
  const u32 distance = pc() - label.pc;
  if (by_step) {
    emit(op, counter, step, limit);
    emit_ext(0, 0, distance);
    return;
  }
  if (distance <= 0xffff) {
    emit(op, counter, limit, static_cast<u16>(distance));
    return;
  }
  const bool wide =
      op == Op::back_i64_inc_lt_s || op == Op::back_i64_inc_lt_u || op == Op::back_i64_inc_ne;
  Rel rel = Rel::lt_u;
  if (op == Op::back_i32_inc_lt_s || op == Op::back_i64_inc_lt_s) rel = Rel::lt_s;
  if (op == Op::back_i32_inc_ne || op == Op::back_i64_inc_ne) rel = Rel::ne;
  emit(wide ? Op::i64_add_i : Op::i32_add_i, counter, counter, 1);
  jump_if({wide ? ValType::i64 : ValType::i32, rel, false, counter, limit}, number);
}

}  // namespace atollvm::text
