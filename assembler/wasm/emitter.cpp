#include "assembler/wasm/emitter.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace atollvm::wasm {

using mod::ValType;

void Emitter::reset(u32 locals, bool long_branches) {
  size_ = 0;
  barrier();
  locals_ = locals;
  long_branches_ = long_branches;
  overflow_ = false;
  fixups_.clear();
  records_.clear();
  constants_.clear();
  lines_.clear();
}

void Emitter::grow(u32 words) {
  words_.resize(std::max<usize>(words_.size() * 2, words_.size() + words + 256));
}

void Emitter::constant(ValType type, u32 slot, u64 bits) {
  switch (type) {
    case ValType::i32:
      return op_wide(Op::i32_const, slot, static_cast<u32>(bits));
    case ValType::f32:
      return op_wide(Op::f32_const, slot, static_cast<u32>(bits));
    case ValType::f64:
      return op_ext(Op::f64_const, slot, 0, 0, bits);
    default:
      break;
  }
  if (static_cast<i64>(bits) == static_cast<i32>(bits)) {
    op_wide(Op::i64_const, slot, static_cast<u32>(bits));
  } else {
    op_ext(Op::i64_const_long, slot, 0, 0, bits);
  }
}

void Emitter::move(u32 to, u32 from, u32 count) {
  if (to == from || count == 0) return;
  if (count == 1) return move_one(to, from);
  op(Op::mov_n, to, from, count);
}

// Joins it to moves just before, if it reads nothing that they write.
void Emitter::move_one(u32 to, u32 from) {
  const Op before = last_ == none ? Op::nop : isa::op_of(words_[last_]);
  if (before != Op::mov && before != Op::mov_2) return op(Op::mov, to, from);
  const Word first = words_[last_];
  const u32 written = isa::field_a(first);
  if (from == written || to == written) return op(Op::mov, to, from);
  if (before == Op::mov) {
    remove_last();
    return op_ext(Op::mov_2, written, isa::field_b(first), 0,
                  isa::encode_ext(static_cast<u16>(to), static_cast<u16>(from)));
  }
  const Word second = words_[last_ + 1];
  const u32 also = static_cast<u16>(second);
  if (from == also || to == also) return op(Op::mov, to, from);
  remove_last();
  op_ext(Op::mov_3, written, isa::field_b(first), 0, second | Word{to} << 32 | Word{from} << 48);
}

bool Emitter::swap_sums() {
  if (last_ == none || before_last_ == none) return false;
  Word& first = words_[before_last_];
  Word& second = words_[last_];
  if (isa::op_of(first) != Op::i32_add_i || isa::op_of(second) != Op::i32_add_i) return false;
  const u32 made = isa::field_a(second);
  if (isa::field_a(first) == made || isa::field_b(first) == made ||
      isa::field_b(second) == isa::field_a(first)) {
    return false;
  }
  std::swap(first, second);
  return true;
}

void Emitter::join_sums(u32 locals) {
  if (last_ == none || before_last_ == none) return;
  const Word first = words_[before_last_];
  const Word second = words_[last_];
  if (isa::op_of(first) != Op::i32_add_i || isa::op_of(second) != Op::i32_add_i) return;
  const u32 made = isa::field_a(first);
  if (made >= locals || isa::field_b(second) == made || isa::field_a(second) == made) return;
  remove_last();
  remove_last();
  op_ext(Op::i32_add_i2, made, isa::field_b(first), isa::field_c(first), second >> 16);
}

bool Emitter::copy_sum(u32 from, u32 to) {
  if (last_ == none || from == to) return false;
  const Word sum = words_[last_];
  if (isa::op_of(sum) != Op::i32_add_i || isa::field_a(sum) != from) return false;
  remove_last();
  op_ext(Op::i32_add_i2, from, isa::field_b(sum), isa::field_c(sum),
         isa::encode_ext(static_cast<u16>(to), isa::field_b(sum), isa::field_c(sum)));
  return true;
}

void Emitter::split_sums(u32 slot) {
  if (last_ == none || isa::op_of(words_[last_]) != Op::i32_add_i2) return;
  const Word first = words_[last_];
  const Word second = words_[last_ + 1];
  if (static_cast<u16>(second) != slot || static_cast<u16>(second >> 16) != slot) return;
  remove_last();
  op(Op::i32_add_i, isa::field_a(first), isa::field_b(first), isa::field_c(first));
  op(Op::i32_add_i, slot, slot, static_cast<u16>(second >> 32));
}

u32 Emitter::constant_slot(ValType type, u64 bits) {
  for (usize i = 0; i < constants_.size(); ++i) {
    // A slot is bits: only zero is the same in every type, but equal bits of equal width do too.
    if (constants_[i].bits == bits) return 0xffff - static_cast<u32>(i);
  }
  if (constants_.size() == max_constants) return none;
  constants_.push_back({type, bits});
  return 0xffff - static_cast<u32>(constants_.size() - 1);
}

// --- Labels and branches ------------------------------------------------------------------------

// Records are sorted by pc, none twice: two labels at one place are one, with the fewer defined
// slots (nothing between them needs the others).
void Emitter::set_record(u32 pc, u32 defined, bool targeted) {
  if (!records_.empty() && records_.back().pc == pc) {
    LabelRecord& record = records_.back();
    // One that no branch goes to yet does not bind the other.
    record.defined = static_cast<u16>(std::min<u32>(record.defined, defined));
    record.targeted |= targeted;
    return;
  }
  records_.push_back({pc, static_cast<u16>(defined), targeted});
}

Emitter::Label Emitter::loop_label(u32 defined) {
  set_record(size_, defined, false);
  barrier();
  Label label;
  label.record = static_cast<u32>(records_.size() - 1);
  return label;
}

bool Emitter::bind(const Label& label, u32 defined) {
  if (label.first_fixup == none) return false;
  for (u32 at = label.first_fixup; at != none; at = fixups_[at].next) {
    const Fixup& fixup = fixups_[at];
    const u32 distance = size_ - fixup.pc;
    if (fixup.kind == jump_fixup) {
      words_[fixup.pc] |= Word{distance} << 32;
    } else if (fixup.kind == conditional_fixup) {
      if (distance > 0xffff) overflow_ = true;
      words_[fixup.pc] |= Word{distance} << 48;
    } else {
      const u32 index = fixup.kind - table_fixup;
      words_[fixup.pc + 1 + index / 2] |= Word{distance} << (index % 2 * 32);
    }
  }
  set_record(size_, defined, true);
  barrier();
  return true;
}

void Emitter::add_fixup(Label& label, u32 pc, u32 kind) {
  fixups_.push_back({pc, label.first_fixup, kind});
  label.first_fixup = static_cast<u32>(fixups_.size() - 1);
}

u32 Emitter::back_distance(const Label& label) {
  LabelRecord& record = records_[label.record];
  record.targeted = true;
  return size_ - record.pc;
}

void Emitter::branch(Op operation, u32 a, u32 b, Label& target, u32 defined) {
  if (long_branches_) {
    const Inverse inverse = inverse_of(operation);
    op(inverse.operation, inverse.swaps ? b : a, inverse.swaps ? a : b, 2);
    jump(target);
    set_record(size_, defined, true);
    barrier();
    return;
  }
  if (target.record == none) {
    op(operation, a, b);
    add_fixup(target, size_ - 1, conditional_fixup);
    return;
  }
  branch_back(backward_of(operation), a, b, target);
}

void Emitter::branch_back(Op operation, u32 a, u32 b, Label& target) {
  const u32 distance = back_distance(target);
  if (distance > 0xffff) overflow_ = true;
  op(operation, a, b, distance);
}

void Emitter::branch_back_by(Op operation, u32 a, u32 b, u32 c, Label& target) {
  const u32 distance = back_distance(target);
  op_ext(operation, a, b, c, isa::encode_ext(0, 0, distance));
}

void Emitter::branch_back_scan(Op operation, u32 loaded, u32 address, u32 step, u32 bound,
                               Label& target) {
  const u32 distance = back_distance(target);
  if (distance > 0xffff) overflow_ = true;
  op_ext(operation, address, loaded, distance,
         isa::encode_ext(static_cast<u16>(step), static_cast<u16>(bound)));
}

void Emitter::jump(Label& target) {
  if (target.record != none) {
    const u32 distance = back_distance(target);
    op_wide(Op::back, 0, distance);
  } else {
    op_wide(Op::br, 0, 0);
    add_fixup(target, size_ - 1, jump_fixup);
  }
}

void Emitter::table(u32 index, std::span<Label* const> targets) {
  const u32 count = static_cast<u32>(targets.size());
  const u32 more = static_cast<u32>(isa::target_words(count));
  begin(1 + more);
  const u32 pc = size_;
  words_[size_++] = isa::encode_wide(Op::br_table, static_cast<u16>(index), count);
  std::fill_n(words_.begin() + size_, more, Word{0});
  size_ += more;
  for (u32 i = 0; i < count; ++i) add_fixup(*targets[i], pc, table_fixup + i);
}

Inverse inverse_of(Op branch) {
  switch (branch) {
#define PAIR(a, b)         \
  case Op::a:              \
    return {Op::b, false}; \
  case Op::b:              \
    return {Op::a, false};
#define SWAPPED(a, b)     \
  case Op::a:             \
    return {Op::b, true}; \
  case Op::b:             \
    return {Op::a, true};
    PAIR(br_i32_eq, br_i32_ne)
    SWAPPED(br_i32_lt_s, br_i32_le_s)
    SWAPPED(br_i32_lt_u, br_i32_le_u)
    PAIR(br_i32_eq_i, br_i32_ne_i)
    PAIR(br_i32_lt_s_i, br_i32_ge_s_i)
    PAIR(br_i32_lt_u_i, br_i32_ge_u_i)
    PAIR(br_i32_gt_s_i, br_i32_le_s_i)
    PAIR(br_i32_gt_u_i, br_i32_le_u_i)
    PAIR(br_i64_eq, br_i64_ne)
    SWAPPED(br_i64_lt_s, br_i64_le_s)
    SWAPPED(br_i64_lt_u, br_i64_le_u)
    PAIR(br_i64_eq_i, br_i64_ne_i)
    PAIR(br_i64_lt_s_i, br_i64_ge_s_i)
    PAIR(br_i64_lt_u_i, br_i64_ge_u_i)
    PAIR(br_i64_gt_s_i, br_i64_le_s_i)
    PAIR(br_i64_gt_u_i, br_i64_le_u_i)
    PAIR(br_f32_eq, br_f32_ne)
    PAIR(br_f32_lt, br_f32_nlt)
    PAIR(br_f32_le, br_f32_nle)
    PAIR(br_f64_eq, br_f64_ne)
    PAIR(br_f64_lt, br_f64_nlt)
    PAIR(br_f64_le, br_f64_nle)
    PAIR(br_load8_z, br_load8_nz)
    PAIR(br_load32_z, br_load32_nz)
#undef PAIR
#undef SWAPPED
    default:
      return {branch, false};  // not a conditional branch: callers give none
  }
}

// --- The end ------------------------------------------------------------------------------------

void Emitter::rebase(Word* code, u32 size) const {
  const u32 constants = static_cast<u32>(constants_.size());
  const auto moved = [&](Word slot) -> Word {
    if (slot < locals_) return slot;
    if (slot > 0xffff - max_constants) return locals_ + (0xffff - slot);
    return slot + constants;
  };
  const auto word = [&](Word bits, u8 lanes) {
    for (u32 lane = 0; lane < 4; ++lane) {
      if ((lanes >> lane & 1) == 0) continue;
      const u32 shift = lane * 16;
      bits = (bits & ~(Word{0xffff} << shift)) | moved(bits >> shift & 0xffff) << shift;
    }
    return bits;
  };
  for (u32 at = 0; at < size;) {
    const OpShape& shape = shape_of(code[at]);
    const u32 length = shape.words != 0 ? shape.words : static_cast<u32>(isa::length(code + at));
    code[at] = word(code[at], shape.slots[0]);
    if (shape.slots[1] != 0) code[at + 1] = word(code[at + 1], shape.slots[1]);
    at += length;
  }
}

mod::Function Emitter::finish(mod::Module& module, u32 type, u32 frame_slots) {
  const u32 constants = static_cast<u32>(constants_.size());
  const u32 body = size_;
  // The constants are set at the start: written behind the body, then put before it.
  for (u32 i = 0; i < constants; ++i) {
    if (constants_[i].bits == 0) continue;  // locals are zero
    constant(constants_[i].type, 0xffff - i, constants_[i].bits);
  }
  const u32 prologue = size_ - body;
  if (constants != 0) rebase(words_.data(), size_);

  mod::Function function;
  function.type = type;
  function.code_begin = static_cast<u32>(module.code.size());
  function.code_size = size_;
  function.label_begin = static_cast<u32>(module.labels.size());
  function.local_slots = static_cast<u16>(locals_ + constants);
  function.frame_slots = static_cast<u16>(std::max(frame_slots, locals_) + constants);
  module.code.insert(module.code.end(), words_.begin() + body, words_.begin() + size_);
  module.code.insert(module.code.end(), words_.begin(), words_.begin() + body);
  for (const LabelRecord& record : records_) {
    if (!record.targeted) continue;
    module.labels.push_back({record.pc + prologue, static_cast<u16>(record.defined + constants)});
  }
  function.label_count = static_cast<u32>(module.labels.size()) - function.label_begin;
  for (usize i = 0; i < lines_.size(); ++i) {
    const Line& line = lines_[i];
    // Of several lines at one place the last counts; none lie behind the code.
    if (line.pc >= body || (i + 1 < lines_.size() && lines_[i + 1].pc == line.pc)) continue;
    const u32 pc = function.code_begin + (line.pc == 0 ? 0 : line.pc + prologue);
    module.lines.push_back({pc, line.file, line.line, line.column});
  }
  return function;
}

}  // namespace atollvm::wasm
