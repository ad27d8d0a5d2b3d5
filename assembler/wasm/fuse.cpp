// Two or three instructions as one. All look at the last instructions written: where one of them
// made a temporary that is used up now, it can be taken back.
#include <array>
#include <iterator>
#include <utility>

#include "assembler/wasm/function.hpp"

namespace atollvm::wasm {

namespace {

struct Fusion {
  Op op;     // of the instruction
  Op made;   // the operation that made one of its operands
  Op left;   // the fused operation if it made the left one; nop: none
  Op right;  // the same for the right one
  enum class Form : u8 {
    ternary,  // d, the made one's operands, the other operand
    shifted,  // d, the other operand, the made one's first operand, its immediate
    memory,   // d, the other operand, the made one's address and offset
  } form;
};

constexpr Fusion fusions[] = {
#define FLOAT(t)                                                                             \
  {Op::t##_mul, Op::t##_mul, Op::t##_mul_mul, Op::t##_mul_mul, Fusion::Form::ternary},       \
      {Op::t##_add, Op::t##_mul, Op::t##_mul_add, Op::t##_mul_add, Fusion::Form::ternary},   \
      {Op::t##_sub, Op::t##_mul, Op::t##_mul_sub, Op::t##_sub_mul, Fusion::Form::ternary},   \
      {Op::t##_add, Op::t##_add, Op::t##_add_add, Op::t##_add_add, Fusion::Form::ternary},   \
      {Op::t##_add, Op::t##_sub, Op::t##_sub_add, Op::t##_sub_add, Fusion::Form::ternary},   \
      {Op::t##_add, Op::t##_load, Op::t##_add_load, Op::t##_add_load, Fusion::Form::memory}, \
      {Op::t##_mul, Op::t##_load, Op::t##_mul_load, Op::t##_mul_load, Fusion::Form::memory}, \
      {Op::t##_sub, Op::t##_load, Op::nop, Op::t##_sub_load, Fusion::Form::memory},
    FLOAT(f32) FLOAT(f64)
#undef FLOAT
#define INTEGER(t)                                                                                 \
  {Op::t##_add, Op::t##_mul, Op::t##_mul_add, Op::t##_mul_add, Fusion::Form::ternary},             \
      {Op::t##_add, Op::t##_add, Op::t##_add_add, Op::t##_add_add, Fusion::Form::ternary},         \
      {Op::t##_xor, Op::t##_shl_i, Op::t##_xor_shl, Op::t##_xor_shl, Fusion::Form::shifted},       \
      {Op::t##_xor, Op::t##_shr_u_i, Op::t##_xor_shr_u, Op::t##_xor_shr_u, Fusion::Form::shifted}, \
      {Op::t##_xor, Op::t##_rotl_i, Op::t##_xor_rotl, Op::t##_xor_rotl, Fusion::Form::shifted},    \
      {Op::t##_add, Op::t##_load, Op::t##_add_load, Op::t##_add_load, Fusion::Form::memory},       \
      {Op::t##_mul, Op::t##_load, Op::t##_mul_load, Op::t##_mul_load, Fusion::Form::memory},       \
      {Op::t##_and, Op::t##_load, Op::t##_and_load, Op::t##_and_load, Fusion::Form::memory},       \
      {Op::t##_or, Op::t##_load, Op::t##_or_load, Op::t##_or_load, Fusion::Form::memory},          \
      {Op::t##_xor, Op::t##_load, Op::t##_xor_load, Op::t##_xor_load, Fusion::Form::memory},
        INTEGER(i32) INTEGER(i64)
#undef INTEGER
};

// By the instruction: the fusions of one operation follow each other there.
constexpr auto by_op = [] {
  std::array<std::array<u8, 8>, isa::op_count> lists{};
  for (u32 i = 0; i < std::size(fusions); ++i) {
    auto& list = lists[static_cast<u16>(fusions[i].op)];
    u32 at = 0;
    while (list[at] != 0) ++at;
    list[at] = static_cast<u8>(i + 1);
  }
  return lists;
}();

// base + (index << the place) + immediate
constexpr Op sums[] = {Op::i32_add_add_i, Op::i32_add_x2_i, Op::i32_add_x4_i, Op::i32_add_x8_i};

}  // namespace

bool FunctionTranslator::fuse_sum(u32 left, u32 right, u32 slot) {
  u32 base = left;
  u32 index = right;
  u32 shift = 0;
  u32 immediate = 0;
  bool summed = false;
  const auto made = [&](u32 operand, Op op) {
    return operand >= locals_ && emit_.last_defines(operand) && isa::op_of(*emit_.last()) == op;
  };
  for (u32 round = 0; round < 2; ++round) {
    if (shift == 0 && made(base, Op::i32_shl_i)) std::swap(base, index);
    if (shift == 0 && !summed && made(index, Op::i32_add_i)) std::swap(base, index);
    if (shift != 0 && base >= locals_ && !emit_.last_defines(base)) emit_.swap_sums();
    if (shift == 0 && made(index, Op::i32_shl_i)) {
      const u32 places = isa::field_c(*emit_.last());
      if (places == 0 || places > 3) break;
      shift = places;
      index = isa::field_b(*emit_.last());
    } else if (!summed && made(base, Op::i32_add_i)) {
      summed = true;
      immediate = isa::field_c(*emit_.last());
      base = isa::field_b(*emit_.last());
    } else {
      break;
    }
    emit_.remove_last();
  }
  constexpr Op scaled[] = {Op::nop, Op::i32_add_x2, Op::i32_add_x4, Op::i32_add_x8};
  if (summed) {
    emit_.op_ext(sums[shift], slot, base, index, isa::encode_ext(static_cast<u16>(immediate)));
  } else if (shift != 0) {
    emit_.op(scaled[shift], slot, base, index);
  }
  return summed || shift != 0;
}

bool FunctionTranslator::add_to_sum(u32 operand, u32 immediate, u32 slot) {
  if (operand < locals_ || !emit_.last_defines(operand)) return false;
  const Word sum = *emit_.last();
  u32 shift = 0;
  switch (isa::op_of(sum)) {
    case Op::i32_add:
      break;
    case Op::i32_add_x2:
      shift = 1;
      break;
    case Op::i32_add_x4:
      shift = 2;
      break;
    case Op::i32_add_x8:
      shift = 3;
      break;
    default:
      return false;
  }
  emit_.remove_last();
  emit_.op_ext(sums[shift], slot, isa::field_b(sum), isa::field_c(sum),
               isa::encode_ext(static_cast<u16>(immediate)));
  return true;
}

bool FunctionTranslator::fuse(Op op, u32 left, u32 right, u32 slot) {
  if (op == Op::i32_add && fuse_sum(left, right, slot)) return true;
  const auto& list = by_op[static_cast<u16>(op)];
  if (list[0] == 0 || emit_.last() == nullptr) return false;
  const bool made_left = left >= locals_ && emit_.last_defines(left);
  const bool made_right = right >= locals_ && emit_.last_defines(right);
  if (made_left == made_right) return false;
  const Word word = *emit_.last();
  const u32 other = made_left ? right : left;
  const u32 first = isa::field_b(word);
  const u32 second = isa::field_c(word);
  for (u32 i = 0; list[i] != 0; ++i) {
    const Fusion& fusion = fusions[list[i] - 1];
    if (fusion.made != isa::op_of(word)) continue;
    const Op fused = made_left ? fusion.left : fusion.right;
    if (fused == Op::nop) return false;
    emit_.remove_last();
    switch (fusion.form) {
      case Fusion::Form::ternary:
        emit_.op_ext(fused, slot, first, second, isa::encode_ext(static_cast<u16>(other)));
        break;
      case Fusion::Form::shifted:
        emit_.op_ext(fused, slot, other, first, isa::encode_ext(static_cast<u16>(second)));
        break;
      case Fusion::Form::memory:
        emit_.op_ext(fused, slot, other, first, second);
        break;
    }
    return true;
  }
  return false;
}

bool FunctionTranslator::take_address(const Access& access, u32 address, Address& fused) {
  if (address < locals_) {
    // "p = p + imm", just before.
    emit_.split_sums(address);
    if (!emit_.last_defines(address)) return false;
    const Word sum = *emit_.last();
    if (isa::op_of(sum) != Op::i32_add_i || isa::field_b(sum) != address) return false;
    fused = {access.stepped, address, isa::field_c(sum), Address::Form::immediate};
    emit_.remove_last();
    return true;
  }
  if (!emit_.last_defines(address)) return false;
  const Word sum = *emit_.last();
  fused = {access.indexed, isa::field_b(sum), isa::field_c(sum), Address::Form::index};
  switch (isa::op_of(sum)) {
    case Op::i32_add:
      if (access.log2 != 0 && access.byte_indexed == Op::nop) return false;
      if (access.log2 != 0) fused.op = access.byte_indexed;
      break;
    case Op::i32_add_x2:
      if (access.log2 != 1) return false;
      break;
    case Op::i32_add_x4:
      if (access.log2 != 2) return false;
      break;
    case Op::i32_add_x8:
      if (access.log2 != 3) return false;
      break;
    case Op::i32_add_i: {
      // A table at a fixed place: its address becomes a constant of the function.
      const Word* before = emit_.before_last();
      const u32 scaled = fused.a;
      if (loops_ != 0 && before != nullptr && isa::op_of(*before) == Op::i32_shl_i &&
          isa::field_a(*before) == scaled && scaled >= locals_ &&
          isa::field_c(*before) == access.log2) {
        const u32 base = emit_.constant_slot(
            ValType::i32, static_cast<u32>(static_cast<i16>(static_cast<u16>(fused.b))));
        if (base != Emitter::none) {
          fused.a = base;
          fused.b = isa::field_b(*before);
          emit_.remove_last();
          break;
        }
      }
      fused.op = access.wrapped;
      fused.form = Address::Form::immediate;
      break;
    }
    case Op::i32_add_add_i:
      fused.op = access.log2 == 0 ? access.indexed_sum : access.byte_indexed_sum;
      fused.form = Address::Form::both;
      fused.extension = emit_.last()[1];
      break;
    case Op::i32_add_x2_i:
    case Op::i32_add_x4_i:
    case Op::i32_add_x8_i:
      if (isa::op_of(sum) != sums[access.log2]) return false;
      fused.op = access.indexed_sum;
      fused.form = Address::Form::both;
      fused.extension = emit_.last()[1];
      break;
    default:
      return false;
  }
  if (fused.op == Op::nop) return false;
  emit_.remove_last();
  return true;
}

// "x = x + step; back if x differs from y (or is below y)" as one operation.
bool FunctionTranslator::fuse_step(Condition condition, Control& to) {
  if (emit_.long_branches() || emit_.last() == nullptr) return false;
  const Word word = *emit_.last();
  const Op op = isa::op_of(word);
  if (op != Op::i32_add_i && op != Op::i64_add_i) return false;
  const u32 slot = isa::field_a(word);
  if (isa::field_b(word) != slot || slot != condition.a) return false;
  const bool by_one = isa::field_c(word) == 1;
  bool limit_is_immediate = false;
  Op inc = Op::nop;
  Op add = Op::nop;
  switch (condition.op) {
#define STEPS(t)                                                  \
  case Op::br_##t##_lt_s:                                         \
    inc = Op::back_##t##_inc_lt_s, add = Op::back_##t##_add_lt_s; \
    break;                                                        \
  case Op::br_##t##_lt_u:                                         \
    inc = Op::back_##t##_inc_lt_u, add = Op::back_##t##_add_lt_u; \
    break;                                                        \
  case Op::br_##t##_ne:                                           \
    inc = Op::back_##t##_inc_ne, add = Op::back_##t##_add_ne;     \
    break;                                                        \
  case Op::br_##t##_lt_s_i:                                       \
    inc = Op::back_##t##_inc_lt_s, add = Op::back_##t##_add_lt_s; \
    limit_is_immediate = true;                                    \
    break;                                                        \
  case Op::br_##t##_lt_u_i:                                       \
    inc = Op::back_##t##_inc_lt_u, add = Op::back_##t##_add_lt_u; \
    limit_is_immediate = true;                                    \
    break;                                                        \
  case Op::br_##t##_ne_i:                                         \
    inc = Op::back_##t##_inc_ne, add = Op::back_##t##_add_ne;     \
    limit_is_immediate = true;                                    \
    break;
    STEPS(i32)
    STEPS(i64)
#undef STEPS
    default:
      return false;
  }
  const ValType type = op == Op::i32_add_i ? ValType::i32 : ValType::i64;
  const auto constant = [&](u32 bits) {
    const i64 value = static_cast<i16>(static_cast<u16>(bits));
    return emit_.constant_slot(
        type, type == ValType::i32 ? static_cast<u32>(value) : static_cast<u64>(value));
  };
  const u32 limit = limit_is_immediate ? constant(condition.b) : condition.b;
  if (limit == Emitter::none || limit == slot) return false;
  const u32 step = by_one ? 0 : constant(isa::field_c(word));
  if (step == Emitter::none) return false;
  emit_.remove_last();
  if (by_one) {
    emit_.branch_back(inc, slot, limit, to.label);
  } else {
    emit_.branch_back_by(add, slot, step, limit, to.label);
  }
  return true;
}

// "x = x at an address + y" from the load and the sum that are there and the store that follows.
bool FunctionTranslator::fuse_sum_into_memory(const Access& access, u32 base, u32 from,
                                              u64 offset) {
  if (access.summed == Op::nop || from < locals_ || !emit_.last_defines(from)) return false;
  const Word* last = emit_.last();
  if (isa::op_of(*last) != access.sum || isa::field_c(*last) != base || last[1] != offset) {
    return false;
  }
  const u32 value = isa::field_b(*last);
  emit_.remove_last();
  emit_.op_ext(access.summed, base, value, 0, offset);
  return true;
}

// "p = p + imm; x = the number at p; back if x compares so with y" as one operation.
bool FunctionTranslator::fuse_scan(Condition condition, Control& to) {
  if (emit_.long_branches() || emit_.last() == nullptr) return false;
  const Word word = *emit_.last();
  const Op op = isa::op_of(word);
  if (op != Op::i32_load_step && op != Op::i64_load_step) return false;
  const u32 loaded = isa::field_a(word);
  const u32 address = isa::field_b(word);
  if (loaded == address) return false;
  Op fused = Op::nop;
  bool swapped = false;
  const bool is_64 = op == Op::i64_load_step;
  switch (condition.op) {
#define SCANS(t, wide)                                                                 \
  case Op::br_##t##_eq:                                                                \
    fused = is_64 == wide ? Op::back_##t##_load_step_eq : fused;                       \
    break;                                                                             \
  case Op::br_##t##_ne:                                                                \
    fused = is_64 == wide ? Op::back_##t##_load_step_ne : fused;                       \
    break;                                                                             \
  case Op::br_##t##_lt_s:                                                              \
    swapped = condition.b == loaded;                                                   \
    if (is_64 == wide)                                                                 \
      fused = swapped ? Op::back_##t##_load_step_gt_s : Op::back_##t##_load_step_lt_s; \
    break;                                                                             \
  case Op::br_##t##_lt_u:                                                              \
    swapped = condition.b == loaded;                                                   \
    if (is_64 == wide)                                                                 \
      fused = swapped ? Op::back_##t##_load_step_gt_u : Op::back_##t##_load_step_lt_u; \
    break;                                                                             \
  case Op::br_##t##_le_s:                                                              \
    swapped = condition.b == loaded;                                                   \
    if (is_64 == wide)                                                                 \
      fused = swapped ? Op::back_##t##_load_step_ge_s : Op::back_##t##_load_step_le_s; \
    break;                                                                             \
  case Op::br_##t##_le_u:                                                              \
    swapped = condition.b == loaded;                                                   \
    if (is_64 == wide)                                                                 \
      fused = swapped ? Op::back_##t##_load_step_ge_u : Op::back_##t##_load_step_le_u; \
    break;
    SCANS(i32, false)
    SCANS(i64, true)
#undef SCANS
    default:
      return false;
  }
  if (fused == Op::nop) return false;
  if (condition.b == loaded && !swapped) swapped = true;  // eq and ne are the same both ways
  const u32 bound = swapped ? condition.a : condition.b;
  if ((swapped ? condition.b : condition.a) != loaded || bound == loaded || bound == address) {
    return false;
  }
  const u32 step = isa::field_c(word);
  emit_.remove_last();
  emit_.branch_back_scan(fused, loaded, address, step, bound, to.label);
  return true;
}

bool FunctionTranslator::fuse_call(u32 window, u32 count, u32 function) {
  const Word* last = emit_.last();
  if (last == nullptr) return false;
  const Word word = *last;
  const u32 argument = isa::field_a(word);
  if (argument < window || argument >= window + count) return false;
  Op op = Op::nop;
  u32 sum = isa::field_c(word);
  switch (isa::op_of(word)) {
    case Op::i32_add_i:
      op = Op::call_i32_add_i;
      break;
    case Op::i64_add_i:
      op = Op::call_i64_add_i;
      break;
    case Op::mov:
      op = Op::call_i64_add_i;
      sum = 0;
      break;
    default:
      return false;
  }
  emit_.remove_last();
  emit_.op_ext(op, window, function & 0xffff, function >> 16,
               isa::encode_ext(isa::field_b(word), static_cast<u16>(window), sum | argument << 16));
  return true;
}

bool FunctionTranslator::fuse_return(u32 slot) {
  if (slot < locals_ || !emit_.last_defines(slot)) return false;
  const Word word = *emit_.last();
  const Op op = isa::op_of(word);
  if (op != Op::i32_add && op != Op::i64_add) return false;
  emit_.remove_last();
  emit_.op(op == Op::i32_add ? Op::ret_i32_add : Op::ret_i64_add, isa::field_b(word),
           isa::field_c(word));
  return true;
}

}  // namespace atollvm::wasm
