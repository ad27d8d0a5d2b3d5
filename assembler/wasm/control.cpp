// Blocks, branches, calls and returns.
#include <algorithm>

#include "assembler/wasm/function.hpp"
#include "assembler/wasm/reader.hpp"

namespace atollvm::wasm {

// --- Blocks ---

bool FunctionTranslator::read_block_type(BlockType& type) {
  static constexpr ValType single[] = {ValType::i32, ValType::i64,     ValType::f32,
                                       ValType::f64, ValType::funcref, ValType::externref};
  type = {};
  if (in_.left() == 0) return in_.fail("unexpected end"), false;
  const u8 first = *in_.at();
  if (first == 0x40) {
    in_.byte();
    return true;
  }
  for (const ValType& each : single) {
    if (first != static_cast<u8>(each)) continue;
    in_.byte();
    type.results = {&each, 1};
    return true;
  }
  if (const char* proposal = proposal_of_type(first)) return unsupported("a type", proposal), false;
  const i64 index = in_.leb_i33();
  if (!in_.ok()) return false;
  if (index < 0) return malformed("unknown block type"), false;
  if (static_cast<u64>(index) >= out_.types.size()) {
    return invalid("unknown type " + std::to_string(index)), false;
  }
  const mod::FuncType& found = out_.types[static_cast<usize>(index)];
  type.params = types_of(found.params);
  type.results = types_of(found.results);
  return true;
}

void FunctionTranslator::begin_block(Block kind) {
  Control control;
  control.kind = kind;
  control.dead = !live_;
  if (!read_block_type(control.type)) return;
  Condition condition;
  if (kind == Block::if_) {
    const Entry entry = pop(ValType::i32);
    if (live_) condition = take_condition(entry, height());
  }
  check_top(control.type.params);
  if (error_) return;
  if (control_.back().unreachable) {
    // Operands that were missing are there from now on.
    pop_types(control.type.params);
    for (u32 i = 0; i < control.type.params.count; ++i) {
      push_temporary(control.type.params.data[i], 0);
    }
  }
  control.height = height() - control.type.params.count;
  merge_all();
  if (kind == Block::loop) {
    if (live_) control.label = emit_.loop_label(merged(height()));
    ++loops_;
  }
  if (kind == Block::if_ && live_) emit_branch_not(condition, control.otherwise);
  control_.push_back(control);
}

void FunctionTranslator::begin_else() {
  Control& control = control_.back();
  if (control.kind != Block::if_) return malformed("else without an if");
  check_end(control);
  if (error_) return;
  if (live_) {
    place_merged(control.type.results.count, control.height);
    emit_.jump(control.label);
  }
  truncate(control.height);
  high_ = none;
  live_ = !control.dead &&
          emit_.bind(control.otherwise, merged(control.height) + control.type.params.count);
  control.otherwise = {};
  control.kind = Block::else_;
  control.unreachable = false;
  push_merged(control.type.params, control.height);
}

// That the operands are just the results.
void FunctionTranslator::check_end(const Control& control) {
  check_top(control.type.results);
  if (!error_ && height() > control.height + control.type.results.count) {
    invalid(
        "type mismatch: " + std::to_string(height() - control.height - control.type.results.count) +
        " operands too many at the end of the block");
  }
}

void FunctionTranslator::end_block() {
  Control& control = control_.back();
  const Types results = control.type.results;
  check_end(control);
  if (error_) return;
  if (control.kind == Block::if_ &&
      !std::equal(control.type.params.data, control.type.params.data + control.type.params.count,
                  results.data, results.data + results.count)) {
    return invalid("type mismatch: an if without else gives its parameters as results");
  }
  if (control.kind == Block::function) return end_function();
  const bool joins =
      control.label.first_fixup != Emitter::none || control.otherwise.first_fixup != Emitter::none;
  if (control.kind == Block::loop) --loops_;
  if (!joins && live_) {
    // Nothing but the way from above comes here: the results stay where they are.
    for (u32 i = 0; i < results.count; ++i) {
      stack_[height() - results.count + i].type = results.data[i];
    }
    control_.pop_back();
    return;
  }
  if (live_) place_merged(results.count, control.height);
  const u32 defined = merged(control.height) + results.count;
  const bool otherwise = emit_.bind(control.otherwise, defined);
  const bool bound = emit_.bind(control.label, defined);
  live_ = live_ || bound || otherwise;
  const u32 base = control.height;
  truncate(base);
  high_ = none;
  control_.pop_back();
  if (results.count != 0) use_slot(merged(base + results.count - 1));
  push_merged(results, base);
}

void FunctionTranslator::end_function() {
  Control& control = control_.back();
  const u32 count = control.type.results.count;
  if (control.label.first_fixup == Emitter::none) {
    if (live_) emit_return(count);
  } else {
    if (live_) place_merged(count, 0);
    emit_.bind(control.label, merged(count));
    if (count == 0) {
      emit_.op(Op::ret);
    } else if (count == 1) {
      emit_.op(Op::ret_1, merged(0));
    } else {
      emit_.op(Op::ret_n, merged(0), count);
    }
  }
  truncate(0);
  control_.pop_back();
}

void FunctionTranslator::unreachable() {
  truncate(control_.back().height);
  high_ = none;
  control_.back().unreachable = true;
  live_ = false;
}

// --- Branches ---

FunctionTranslator::Control* FunctionTranslator::target(u32 depth) {
  if (!in_.ok()) return nullptr;
  if (depth >= control_.size()) {
    invalid("unknown label " + std::to_string(depth) + ": there are " +
            std::to_string(control_.size()) + " around it");
    return nullptr;
  }
  return &control_[control_.size() - 1 - depth];
}

void FunctionTranslator::branch(u32 depth) {
  Control* to = target(depth);
  if (to == nullptr) return;
  const Types types = to->branch_types();
  check_top(types);
  if (error_) return;
  if (live_) {
    if (to->kind == Block::function) {
      emit_return(types.count);
    } else {
      place_merged(types.count, to->height);
      emit_.jump(to->label);
    }
  }
  unreachable();
}

FunctionTranslator::Condition FunctionTranslator::take_condition(const Entry& entry, u32 position) {
  if (entry.kind == Kind::temporary) {
    // The comparison that made it, and one negation of that.
    bool negated = false;
    u32 slot = entry.slot;
    if (emit_.last_defines(slot) && isa::op_of(*emit_.last()) == Op::i32_eqz) {
      const u32 of = isa::field_b(*emit_.last());
      const Word* before = emit_.before_last();
      if (of >= locals_ && before != nullptr && isa::field_a(*before) == of &&
          branch_of(isa::op_of(*before)) != Op::nop) {
        emit_.remove_last();
        negated = true;
        slot = of;
      }
    }
    if (emit_.last_defines(slot)) {
      const Word word = *emit_.last();
      const Op op = isa::op_of(word);
      if (branch_of(op) != Op::nop) {
        emit_.remove_last();
        Condition condition{branch_of(op), isa::field_b(word), isa::field_c(word)};
        if ((op == Op::i32_eq_i || op == Op::i32_ne_i) && condition.b == 0) {
          condition = test_of(condition.op, condition.a);
        }
        if (!negated) return condition;
        const Inverse inverse = inverse_of(condition.op);
        if (inverse.swaps) std::swap(condition.a, condition.b);
        condition.op = inverse.operation;
        return condition;
      }
      if (op == Op::i64_eqz) {
        emit_.remove_last();
        return {Op::br_i64_eq_i, isa::field_b(word), 0};
      }
      if (op == Op::i32_eqz) {
        emit_.remove_last();
        return test_of(Op::br_i32_eq_i, isa::field_b(word));
      }
    }
  }
  return test_of(Op::br_i32_ne_i, slot_of(entry, position));
}

// A branch that compares a slot with zero, or the memory that it was just loaded from.
FunctionTranslator::Condition FunctionTranslator::test_of(Op op, u32 slot) {
  if (slot >= locals_ && emit_.last_defines(slot)) {
    const Word word = *emit_.last();
    const bool byte = isa::op_of(word) == Op::i32_load8_u;
    if (byte || isa::op_of(word) == Op::i32_load) {
      emit_.remove_last();
      const Op zero = byte ? Op::br_load8_z : Op::br_load32_z;
      const Op other = byte ? Op::br_load8_nz : Op::br_load32_nz;
      return {op == Op::br_i32_eq_i ? zero : other, isa::field_b(word), isa::field_c(word)};
    }
  }
  return {op, slot, 0};
}

void FunctionTranslator::emit_branch(Condition condition, Emitter::Label& to) {
  emit_.branch(condition.op, condition.a, condition.b, to, merged(height()));
}

void FunctionTranslator::emit_branch_not(Condition condition, Emitter::Label& to) {
  const Inverse inverse = inverse_of(condition.op);
  if (inverse.swaps) std::swap(condition.a, condition.b);
  emit_branch({inverse.operation, condition.a, condition.b}, to);
}

void FunctionTranslator::branch_if(u32 depth) {
  const Entry entry = pop(ValType::i32);
  Control* to = target(depth);
  if (to == nullptr) return;
  const Types types = to->branch_types();
  check_top(types);
  if (error_) return;
  if (control_.back().unreachable) {
    pop_types(types);
    for (u32 i = 0; i < types.count; ++i) push_temporary(types.data[i], 0);
  }
  if (!live_) return;
  const Condition condition = take_condition(entry, height());
  // A label behind the branch needs all values merged.
  const bool label_behind =
      emit_.long_branches() || (types.count != 0 && height() != to->height + types.count);
  if (label_behind || types.count != 0) merge_all();
  if (types.count != 0) use_slot(merged(to->height + types.count - 1));
  if (types.count == 0 || height() == to->height + types.count) {
    if (types.count == 0 && to->label.record != Emitter::none &&
        (fuse_step(condition, *to) || fuse_scan(condition, *to))) {
      return;
    }
    return emit_branch(condition, to->label);
  }
  Emitter::Label behind;
  emit_branch_not(condition, behind);
  emit_.move(merged(to->height), merged(height() - types.count), types.count);
  emit_.jump(to->label);
  emit_.bind(behind, merged(height()));
}

void FunctionTranslator::branch_table() {
  const Entry entry = pop(ValType::i32);
  const u32 count = in_.leb_u32();
  if (!in_.ok()) return;
  if (count >= in_.left()) return in_.fail("unexpected end");
  // First the default's depth is needed: it says how many values the branch carries.
  Bytes ahead = in_;
  for (u32 i = 0; i < count; ++i) ahead.leb_u32();
  const u32 last_depth = ahead.leb_u32();
  if (!ahead.ok()) {
    in_ = ahead;
    return;
  }
  Control* fallback = target(last_depth);
  if (fallback == nullptr) return;
  const u32 arity = fallback->branch_types().count;
  u32 index = 0;
  if (live_) {
    if (arity != 0) merge_all();
    index = slot_of(entry, height());
  }
  ++tables_;
  table_targets_.clear();
  std::vector<std::pair<Emitter::Label, Control*>> stubs;
  // Labels of stubs are found by number while the vector grows, by address afterwards.
  std::vector<u32> chosen;
  const u32 stub_bit = 0x8000'0000;
  for (u32 i = 0; i <= count; ++i) {
    const u32 depth = in_.leb_u32();
    Control* to = target(depth);
    if (to == nullptr) return;
    if (to->last_table != tables_) {
      to->last_table = tables_;
      to->stub = none;
      const Types types = to->branch_types();
      if (types.count != arity) return invalid("type mismatch: labels of a br_table differ");
      check_top(types);
      if (error_) return;
      if (to->kind == Block::loop || (arity != 0 && height() != to->height + arity)) {
        to->stub = static_cast<u32>(stubs.size());
        stubs.push_back({{}, to});
      }
    }
    chosen.push_back(to->stub != none ? to->stub | stub_bit : depth);
  }
  if (live_) {
    for (const u32 each : chosen) {
      table_targets_.push_back((each & stub_bit) != 0
                                   ? &stubs[each & ~stub_bit].first
                                   : &control_[control_.size() - 1 - each].label);
    }
    emit_.table(index, table_targets_);
    for (auto& [label, to] : stubs) {
      emit_.bind(label, arity != 0 ? merged(height()) : merged(to->height));
      emit_.move(merged(to->height), merged(height() - arity), arity);
      emit_.jump(to->label);
    }
  }
  unreachable();
}

void FunctionTranslator::emit_return(u32 count) {
  if (count == 0) return emit_.op(Op::ret);
  if (count == 1) {
    const u32 slot = slot_of(stack_.back(), height() - 1);
    if (!fuse_return(slot)) emit_.op(Op::ret_1, slot);
    return;
  }
  place_merged(count, height() - count);
  emit_.op(Op::ret_n, merged(height() - count), count);
}

void FunctionTranslator::return_all() {
  check_top(control_.front().type.results);
  if (error_) return;
  if (live_) emit_return(control_.front().type.results.count);
  unreachable();
}

// --- Calls ---

u32 FunctionTranslator::place_arguments(u32 count, bool header, const Entry* index,
                                        u32* index_slot) {
  const u32 position = height() - count;
  // Below a window nothing may be high: there would be no slot for the header, and the results
  // would lie three above their merged slots.
  if (header && high_ < position) bring_home();
  u32 window = home(position);
  if (header && position > 0) {
    const Entry& below = stack_[position - 1];
    // It is in the header's slot.
    if (below.kind == Kind::temporary && below.slot >= window - 1) ++window;
  }
  use_slot(window + count);
  // The arguments only move up, so the topmost goes first.
  if (index != nullptr) {
    *index_slot = index->slot;
    if (index->kind == Kind::constant) {
      *index_slot = window + count;
      emit_.constant(index->type, *index_slot, index->bits);
    } else if (index->kind == Kind::temporary && index->slot < window + count) {
      *index_slot = window + count;
      if (emit_.last_defines(index->slot)) {
        emit_.set_last_result(*index_slot);
      } else {
        emit_.move(*index_slot, index->slot);
      }
    }
  }
  for (u32 i = count; i-- > 0;) {
    Entry& entry = stack_[position + i];
    if (entry.kind != Kind::temporary) continue;
    if (entry.slot != window + i && emit_.last_defines(entry.slot)) {
      emit_.set_last_result(window + i);
      entry.slot = static_cast<u16>(window + i);
    }
    break;
  }
  for (u32 i = count; i-- > 0;) {
    const Entry& entry = stack_[position + i];
    if (entry.kind != Kind::temporary) {
      put(entry, window + i);
      continue;
    }
    u32 run = 1;
    while (i > 0 && stack_[position + i - 1].kind == Kind::temporary &&
           stack_[position + i - 1].slot + run == entry.slot) {
      --i;
      ++run;
    }
    emit_.move(window + i, entry.slot + 1 - run, run);
  }
  truncate(position);
  high_ = none;
  if (merged_ > position) merged_ = position;
  return window;
}

void FunctionTranslator::push_results(Types results, u32 window) {
  if (results.count == 0) return;
  const u32 position = height();
  if (live_) use_slot(window + results.count - 1);
  for (u32 i = 0; i < results.count; ++i) push_temporary(results.data[i], window + i);
  if (live_ && window != home(position)) high_ = position;
}

void FunctionTranslator::call(bool tail) {
  const u32 index = in_.leb_u32();
  if (!in_.ok()) return;
  if (index >= image_.function_types.size()) {
    return invalid("unknown function " + std::to_string(index));
  }
  const mod::FuncType& type = out_.types[image_.function_types[index]];
  check_top(types_of(type.params));
  if (tail && type.results != type_->results) {
    return invalid("type mismatch: a tail call gives other results than the function");
  }
  if (error_) return;
  u32 window = 0;
  if (live_) {
    window = place_arguments(static_cast<u32>(type.params.size()), !tail, nullptr, nullptr);
    const bool import = index < image_.imported_functions();
    const Op op =
        tail ? (import ? Op::tail_import : Op::tail) : (import ? Op::call_import : Op::call);
    if (op != Op::call || !fuse_call(window, static_cast<u32>(type.params.size()), index)) {
      emit_.op_wide(op, window, index);
    }
  } else {
    pop_types(types_of(type.params));
  }
  if (tail) return unreachable();
  push_results(types_of(type.results), window);
}

void FunctionTranslator::call_indirect(bool tail) {
  const u32 type_index = in_.leb_u32();
  const u32 table = in_.leb_u32();
  if (!in_.ok()) return;
  if (table >= image_.tables.size()) return invalid("unknown table " + std::to_string(table));
  if (image_.tables[table].element != ValType::funcref) {
    return invalid("type mismatch: the table does not hold functions");
  }
  if (type_index >= out_.types.size()) {
    return invalid("unknown type " + std::to_string(type_index));
  }
  const mod::FuncType& type = out_.types[type_index];
  if (tail && type.results != type_->results) {
    return invalid("type mismatch: a tail call gives other results than the function");
  }
  Entry index = pop(ValType::i32);
  check_top(types_of(type.params));
  if (error_) return;
  u32 window = 0;
  if (live_) {
    u32 slot = 0;
    window = place_arguments(static_cast<u32>(type.params.size()), !tail, &index, &slot);
    emit_.op_ext(tail ? Op::tail_table : Op::call_table, window, slot, table,
                 isa::encode_ext(0, static_cast<u16>(window), type_index));
  } else {
    pop_types(types_of(type.params));
  }
  if (tail) return unreachable();
  push_results(types_of(type.results), window);
}

}  // namespace atollvm::wasm
