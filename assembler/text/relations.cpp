#include "assembler/text/relations.hpp"

namespace atollvm::text {

namespace {

using isa::Op;
using mod::ValType;

constexpr u16 number(Op op) { return static_cast<u16>(op); }

// Branches stand in the table in one order, forward and backward.
constexpr u16 backward_offset = number(Op::back_i32_eq) - number(Op::br_i32_eq);
static_assert(number(Op::back_f64_nle) - number(Op::br_f64_nle) == backward_offset);
static_assert(number(Op::back_i64_lt_s_i) - number(Op::br_i64_lt_s_i) == backward_offset);
static_assert(number(Op::br_i32_le_u) - number(Op::br_i32_eq) == 5);
static_assert(number(Op::br_i32_ge_u_i) - number(Op::br_i32_eq_i) == 9);
static_assert(number(Op::br_i64_le_u) - number(Op::br_i64_eq) == 5);
static_assert(number(Op::br_i64_ge_u_i) - number(Op::br_i64_eq_i) == 9);
static_assert(number(Op::br_f32_nle) - number(Op::br_f32_eq) == 5);
static_assert(number(Op::br_f64_nle) - number(Op::br_f64_eq) == 5);
static_assert(number(Op::i32_le_u) - number(Op::i32_eq) == 5);
static_assert(number(Op::i32_ge_u_i) - number(Op::i32_eq_i) == 9);
static_assert(number(Op::i64_le_u) - number(Op::i64_eq) == 5);
static_assert(number(Op::i64_ge_u_i) - number(Op::i64_eq_i) == 9);
static_assert(number(Op::f32_le) - number(Op::f32_eq) == 3);
static_assert(number(Op::f64_le) - number(Op::f64_eq) == 3);

static_assert(number(Op::back_load32_nz) - number(Op::br_load32_nz) ==
              number(Op::back_load8_z) - number(Op::br_load8_z));
constexpr u16 immediate_relations = 10;
static_assert(number(Op::ret_if_i32_ge_u_i) - number(Op::ret_if_i32_eq_i) == 9);
static_assert(number(Op::ret_if_i64_ge_u_i) - number(Op::ret_if_i64_eq_i) == 9);
static_assert(number(Op::back_i32_load_step_ge_u) - number(Op::back_i32_load_step_eq) == 9);
static_assert(number(Op::back_i64_load_step_ge_u) - number(Op::back_i64_load_step_eq) == 9);

// Position among the operations of one type.
u16 position(ValType type, Rel rel, bool immediate) {
  if (immediate) return static_cast<u16>(rel);
  if (is_float(type)) {
    switch (rel) {
      case Rel::eq:
        return 0;
      case Rel::ne:
        return 1;
      case Rel::lt:
        return 2;
      case Rel::le:
        return 3;
      case Rel::nlt:
        return 4;
      default:
        return 5;
    }
  }
  switch (rel) {
    case Rel::eq:
    case Rel::ne:
    case Rel::lt_s:
    case Rel::lt_u:
      return static_cast<u16>(rel);
    default:
      return static_cast<u16>(static_cast<u16>(rel) - 2);  // le_s, le_u
  }
}

Op at(Op first, ValType type, Rel rel, bool immediate) {
  return static_cast<Op>(number(first) + position(type, rel, immediate));
}

}  // namespace

Rel inverse(Rel rel, bool floats) {
  switch (rel) {
    case Rel::eq:
      return Rel::ne;
    case Rel::ne:
      return Rel::eq;
    case Rel::lt_s:
      return floats ? Rel::nlt : Rel::ge_s;
    case Rel::lt_u:
      return Rel::ge_u;
    case Rel::gt_s:
      return floats ? Rel::ngt : Rel::le_s;
    case Rel::gt_u:
      return Rel::le_u;
    case Rel::le_s:
      return floats ? Rel::nle : Rel::gt_s;
    case Rel::le_u:
      return Rel::gt_u;
    case Rel::ge_s:
      return floats ? Rel::nge : Rel::lt_s;
    case Rel::ge_u:
      return Rel::lt_u;
    case Rel::nlt:
      return Rel::lt;
    case Rel::nle:
      return Rel::le;
    case Rel::ngt:
      return Rel::gt;
    case Rel::nge:
      return Rel::ge;
  }
  return rel;
}

Rel swapped(Rel rel) {
  switch (rel) {
    case Rel::eq:
    case Rel::ne:
      return rel;
    case Rel::lt_s:
      return Rel::gt_s;
    case Rel::lt_u:
      return Rel::gt_u;
    case Rel::gt_s:
      return Rel::lt_s;
    case Rel::gt_u:
      return Rel::lt_u;
    case Rel::le_s:
      return Rel::ge_s;
    case Rel::le_u:
      return Rel::ge_u;
    case Rel::ge_s:
      return Rel::le_s;
    case Rel::ge_u:
      return Rel::le_u;
    case Rel::nlt:
      return Rel::ngt;
    case Rel::nle:
      return Rel::nge;
    case Rel::ngt:
      return Rel::nlt;
    case Rel::nge:
      return Rel::nle;
  }
  return rel;
}

bool in_registers(Rel rel) {
  switch (rel) {
    case Rel::gt_s:
    case Rel::gt_u:
    case Rel::ge_s:
    case Rel::ge_u:
    case Rel::ngt:
    case Rel::nge:
      return false;
    default:
      return true;
  }
}

Op compare_op(ValType type, Rel rel, bool immediate) {
  switch (type) {
    case ValType::i32:
      return at(immediate ? Op::i32_eq_i : Op::i32_eq, type, rel, immediate);
    case ValType::i64:
      return at(immediate ? Op::i64_eq_i : Op::i64_eq, type, rel, immediate);
    case ValType::f32:
      return at(Op::f32_eq, type, rel, false);
    default:
      return at(Op::f64_eq, type, rel, false);
  }
}

Op branch_op(ValType type, Rel rel, bool immediate) {
  switch (type) {
    case ValType::i32:
      return at(immediate ? Op::br_i32_eq_i : Op::br_i32_eq, type, rel, immediate);
    case ValType::i64:
      return at(immediate ? Op::br_i64_eq_i : Op::br_i64_eq, type, rel, immediate);
    case ValType::f32:
      return at(Op::br_f32_eq, type, rel, false);
    default:
      return at(Op::br_f64_eq, type, rel, false);
  }
}

std::optional<Op> return_op(Op branch) {
  const auto among = [&](Op first) {
    return number(branch) >= number(first) && number(branch) < number(first) + immediate_relations;
  };
  const auto find = [&](Op first, Op returns) {
    const Rel rel = static_cast<Rel>(number(branch) - number(first));
    return static_cast<Op>(number(returns) + static_cast<u16>(inverse(rel, false)));
  };
  if (among(Op::br_i32_eq_i)) return find(Op::br_i32_eq_i, Op::ret_if_i32_eq_i);
  if (among(Op::br_i64_eq_i)) return find(Op::br_i64_eq_i, Op::ret_if_i64_eq_i);
  return std::nullopt;
}

Op scan_op(ValType type, Rel rel) {
  const Op first = type == ValType::i32 ? Op::back_i32_load_step_eq : Op::back_i64_load_step_eq;
  return static_cast<Op>(number(first) + static_cast<u16>(rel));
}

Op memory_backward(Op forward) {
  return static_cast<Op>(number(forward) + number(Op::back_load8_z) - number(Op::br_load8_z));
}

Op backward(Op forward) { return static_cast<Op>(number(forward) + backward_offset); }

}  // namespace atollvm::text
