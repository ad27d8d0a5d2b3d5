// Fused operations in place of sequences: each function looks at the instructions just emitted. A
// label between two of them, or a value that is still needed, leaves them as they are.
#include "assembler/text/function.hpp"
#include "assembler/text/relations.hpp"

namespace atollvm::text {

// The instruction that was emitted last, if it has one word and no label stands behind it.
const Word* FunctionCompiler::last_instruction() const {
  if (last_ == no_label || last_ + 1 != pc()) return nullptr;
  if (!bound_.empty() && labels_[bound_.back()].pc == pc()) return nullptr;
  return &unit_.module.code.back();
}

// Removes the last word, and the lines that began behind it.
void FunctionCompiler::take_back() {
  unit_.module.code.pop_back();
  last_ = no_label;
  auto& lines = unit_.module.lines;
  while (lines.size() > lines_mark_ && lines.back().pc > unit_.module.code.size()) lines.pop_back();
}

// A call of a function of this program; `arguments` slots of the window hold its arguments. One
// that was just computed by adding a constant, or moved there, is computed by the call.
void FunctionCompiler::emit_own_call(u16 window, u32 function, u32 arguments) {
  Op op = Op::call;
  Word sum = 0;
  u16 constant = 0;
  if (const Word* last = last_instruction()) {
    const u32 slot = isa::field_a(*last);
    if (slot >= window && slot < window + arguments) {
      sum = *last;
      constant = isa::field_c(sum);
      if (isa::op_of(sum) == Op::i32_add_i) op = Op::call_i32_add_i;
      if (isa::op_of(sum) == Op::i64_add_i || isa::op_of(sum) == Op::mov) op = Op::call_i64_add_i;
    }
  }
  if (op != Op::call) take_back();
  unit_.own_refs.push_back(static_cast<u32>(unit_.module.code.size()));
  emit_wide(op, window, function);
  if (op == Op::call) return;
  emit_ext(isa::field_b(sum), window, Word{constant} | Word{isa::field_a(sum)} << 16);
}

// Returns a slot. A sum that was just computed into a temporary is computed by the return.
void FunctionCompiler::emit_return(u16 slot) {
  const Word* last = last_instruction();
  if (last != nullptr && slot >= temp_base && isa::field_a(*last) == slot) {
    const Word sum = *last;
    if (isa::op_of(sum) == Op::i32_add || isa::op_of(sum) == Op::i64_add) {
      take_back();
      return emit(isa::op_of(sum) == Op::i32_add ? Op::ret_i32_add : Op::ret_i64_add,
                  isa::field_b(sum), isa::field_c(sum));
    }
  }
  emit(Op::ret_1, slot);
}

// "Load into a temporary, branch if it is (not) zero".
bool FunctionCompiler::fuse_jump(const Compare& compare, u32 label) {
  const Word* last = last_instruction();
  const bool tests_zero = compare.type == ValType::i32 && compare.immediate && compare.b == 0 &&
                          (compare.rel == Rel::eq || compare.rel == Rel::ne);
  if (last == nullptr || !tests_zero || compare.a < temp_base) return false;
  const Word load = *last;
  if (isa::field_a(load) != compare.a) return false;
  const bool if_zero = compare.rel == Rel::eq;
  Op op = Op::nop;
  switch (isa::op_of(load)) {
    case Op::i32_load8_u:
    case Op::i32_load8_s:
      op = if_zero ? Op::br_load8_z : Op::br_load8_nz;
      break;
    case Op::i32_load:
      op = if_zero ? Op::br_load32_z : Op::br_load32_nz;
      break;
    default:
      return false;
  }
  --labels_[label].uses;
  take_back();
  jump_on_memory(op, isa::field_b(load), isa::field_c(load), label);
  return true;
}

// "Step the address and load, branch back if what was loaded compares so with a register".
bool FunctionCompiler::fuse_scan(const Compare& compare, u32 number) {
  const Word* last = last_instruction();
  const Label& label = labels_[number];
  if (last == nullptr || compare.immediate || label.pc == no_label || label.pc > last_) {
    return false;
  }
  const Op wanted = compare.type == ValType::i32 ? Op::i32_load_step : Op::i64_load_step;
  const Word load = *last;
  if (isa::op_of(load) != wanted ||
      (compare.type != ValType::i32 && compare.type != ValType::i64)) {
    return false;
  }
  const u16 value = isa::field_a(load);
  const u16 address = isa::field_b(load);
  const bool is_first = compare.a == value;
  const u16 bound = is_first ? compare.b : compare.a;
  if (!is_first && compare.b != value) return false;
  // The operation reads its bound first.
  if (bound == value || bound == address || value == address) return false;
  take_back();
  const u32 distance = pc() - label.pc;
  emit(scan_op(compare.type, is_first ? compare.rel : swapped(compare.rel)), address, value,
       static_cast<u16>(distance));
  emit_ext(isa::field_c(load), bound);
  return true;
}

// "Branch over a return to here": a conditional return.
bool FunctionCompiler::fuse_return(u32 label) {
  const Word* last = last_instruction();
  if (last == nullptr || isa::op_of(*last) != Op::ret_1 || fixups_.empty()) return false;
  const Fixup& branch = fixups_.back();
  if (branch.label != label || branch.entry != no_label || branch.pc + 2 != pc()) return false;
  if (!bound_.empty() && labels_[bound_.back()].pc > branch.pc) return false;
  const Word compare = unit_.module.code[unit_.module.code.size() - 2];
  const auto op = return_op(isa::op_of(compare));
  if (!op) return false;
  const u16 slot = isa::field_a(*last);
  take_back();
  take_back();
  fixups_.pop_back();
  emit(*op, isa::field_a(compare), isa::field_b(compare), slot);
  return true;
}

}  // namespace atollvm::text
