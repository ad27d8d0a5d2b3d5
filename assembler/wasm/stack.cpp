// The operand stack of the translator: validation's view of it, and where its values are.
#include <algorithm>

#include "assembler/wasm/function.hpp"

namespace atollvm::wasm {

FunctionTranslator::Entry FunctionTranslator::pop_any() {
  if (height() == control_.back().height) return pop_nothing(bottom);
  return pop(stack_.back().type);
}

FunctionTranslator::Entry FunctionTranslator::pop_nothing(ValType wanted) {
  if (!control_.back().unreachable) {
    invalid(wanted == bottom ? "type mismatch: an operand is missing"
                             : "type mismatch: an operand of type " +
                                   std::string(mod::name_of(wanted)) + " is missing");
  }
  return {};
}

void FunctionTranslator::check_type(ValType wanted, ValType found) {
  if (found != bottom && wanted != bottom) wrong_type(wanted, found);
}

void FunctionTranslator::truncate(u32 to) {
  while (height() > to) {
    const Entry& entry = stack_.back();
    if (entry.kind == Kind::local) heads_[entry.slot] = entry.below;
    stack_.pop_back();
  }
}

void FunctionTranslator::widen(u32 slot) {
  if (!live_) return;
  frame_ = slot + 1;
  if (slot >= Emitter::slot_limit) {
    fail(base::ErrorCode::limit, "it needs more than the " + std::to_string(Emitter::slot_limit) +
                                     " slots of the largest frame");
  }
}

u32 FunctionTranslator::constant_slot(const Entry& entry, u32 position) {
  // In loops it pays to set the constant once, at the function's start; zero costs nothing there.
  if (loops_ != 0 || entry.bits == 0) {
    const u32 slot = emit_.constant_slot(entry.type, entry.bits);
    if (slot != Emitter::none) return slot;
  }
  const u32 slot = result_slot(position);
  emit_.constant(entry.type, slot, entry.bits);
  return slot;
}

void FunctionTranslator::put(const Entry& entry, u32 slot) {
  if (entry.kind == Kind::constant) return emit_.constant(entry.type, slot, entry.bits);
  emit_.move(slot, entry.slot);
}

void FunctionTranslator::bring_home() {
  const u32 first = high_;
  high_ = none;
  if (!live_ || first >= height()) return;
  u32 count = 0;
  while (first + count < height() && stack_[first + count].kind == Kind::temporary &&
         stack_[first + count].slot == home(first + count) + 1) {
    stack_[first + count].slot = static_cast<u16>(home(first + count));
    ++count;
  }
  if (count != 0) emit_.move(home(first), home(first) + 1, count);
}

void FunctionTranslator::place_merged(u32 count, u32 position) {
  const u32 first = height() - count;
  if (count == 0) return;
  use_slot(merged(position + count - 1));
  if (count == 1 && stack_[first].kind == Kind::temporary &&
      stack_[first].slot != merged(position) && emit_.last_defines(stack_[first].slot)) {
    emit_.set_last_result(merged(position));
    return;
  }
  // Upward: no source is below its own destination.
  for (u32 i = 0; i < count;) {
    const Entry& entry = stack_[first + i];
    const u32 slot = merged(position + i);
    if (entry.kind == Kind::constant) {
      emit_.constant(entry.type, slot, entry.bits);
      ++i;
      continue;
    }
    u32 run = 1;
    while (i + run < count && stack_[first + i + run].kind == Kind::temporary &&
           entry.kind == Kind::temporary && stack_[first + i + run].slot == entry.slot + run) {
      ++run;
    }
    emit_.move(slot, entry.slot, run);
    i += run;
  }
}

void FunctionTranslator::merge_all() {
  if (!live_) return;
  high_ = none;
  const u32 from = std::min(merged_, height());
  const u32 count = height() - from;
  if (count == 0) return;
  place_merged(count, from);
  for (u32 i = from; i < height(); ++i) {
    Entry& entry = stack_[i];
    if (entry.kind == Kind::local) heads_[entry.slot] = none;
    entry.kind = Kind::temporary;
    entry.slot = static_cast<u16>(merged(i));
  }
  merged_ = height();
}

bool FunctionTranslator::keep_old(u32 local) {
  u32 at = heads_[local];
  if (at == none) return false;
  for (; at != none; at = stack_[at].below) {
    Entry& entry = stack_[at];
    entry.kind = Kind::temporary;
    entry.slot = static_cast<u16>(result_slot(at));
    if (live_) emit_.move(entry.slot, local);
  }
  heads_[local] = none;
  return true;
}

void FunctionTranslator::check_top(Types types) {
  const u32 base = control_.back().height;
  for (u32 i = 0; i < types.count; ++i) {
    const u32 from_top = types.count - i;
    if (height() - base < from_top) {
      if (!control_.back().unreachable) {
        pop_nothing(types.data[i]);
        return;
      }
      continue;
    }
    const ValType found = stack_[height() - from_top].type;
    if (found != types.data[i]) check_type(types.data[i], found);
  }
}

void FunctionTranslator::pop_types(Types types) {
  for (u32 i = types.count; i-- > 0;) pop(types.data[i]);
}

void FunctionTranslator::push_merged(Types types, u32 position) {
  for (u32 i = 0; i < types.count; ++i) push_temporary(types.data[i], merged(position + i));
  merged_ = height();
}

}  // namespace atollvm::wasm
