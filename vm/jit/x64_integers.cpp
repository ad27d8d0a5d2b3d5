// Integers, moves, branches and returns.
#include "vm/jit/x64_emitter.hpp"

namespace atollvm::jit {

using namespace asmjit;
using isa::field_a;
using isa::field_b;
using isa::field_c;
using isa::Op;
namespace Id = x86::Inst;

void Emitter::binary(Id::Id id, bool is_64, bool commutes, u16 d, u16 a, u16 b) {
  Gp left = use(a, x86::rax);
  Operand right = source(b, x86::rcx, is_64);
  const Gp to = target(d);
  const auto narrow = [&](const Gp& value) { return sized(value, is_64); };
  if (right.isReg() && right.as<Gp>().id() == to.id() && left.id() != to.id()) {
    if (!commutes) {
      if (left.id() != x86::rax.id()) a_.mov(narrow(x86::rax), narrow(left));
      a_.emit(id, narrow(x86::rax), right);
      define(d, x86::rax);
      return;
    }
    const Gp other = right.as<Gp>();
    right = narrow(left);
    left = other.r64();
  }
  if (id == Id::kIdAdd && right.isReg() && left.id() != to.id()) {
    a_.lea(narrow(to), x86::ptr(left, right.as<Gp>().r64()));
  } else {
    if (left.id() != to.id()) a_.mov(narrow(to), narrow(left));
    a_.emit(id, narrow(to), right);
  }
  define(d, to);
}

void Emitter::binary_imm(Id::Id id, bool is_64, u16 d, u16 a, i32 imm) {
  const Gp left = use(a, x86::rax);
  const Gp to = target(d);
  const auto narrow = [&](const Gp& value) { return sized(value, is_64); };
  if (is_blinded(sign_extended(imm))) {
    constant(x86::rcx, is_64 ? sign_extended(imm) : static_cast<u32>(imm), x86::rdx);
    if (left.id() != to.id()) a_.mov(narrow(to), narrow(left));
    a_.emit(id, narrow(to), narrow(x86::rcx));
  } else if (id == Id::kIdImul) {
    a_.imul(narrow(to), narrow(left), imm);
  } else if (id == Id::kIdAdd && left.id() != to.id()) {
    a_.lea(narrow(to), x86::ptr(left, imm));
  } else {
    if (left.id() != to.id()) a_.mov(narrow(to), narrow(left));
    a_.emit(id, narrow(to), imm);
  }
  // A 32-bit result whose register was only shifted by 0 keeps its upper half.
  if (!is_64 && imm == 0 && left.id() == to.id()) a_.mov(to.r32(), to.r32());
  define(d, to);
}

void Emitter::shift(Id::Id id, bool is_64, u16 d, u16 a, u16 b) {
  const Operand count = source(b, x86::rcx, false);
  a_.emit(Id::kIdMov, x86::ecx, count);
  const Gp left = use(a, x86::rax);
  const Gp to = target(d);
  if (is_64) {
    if (left.id() != to.id()) a_.mov(to, left);
    a_.emit(id, to, x86::cl);
  } else {
    a_.mov(to.r32(), left.r32());  // a shift by 0 leaves the upper half
    a_.emit(id, to.r32(), x86::cl);
  }
  define(d, to);
}

void Emitter::divide(bool is_64, bool is_signed, bool remainder) {
  const auto narrow = [&](const Gp& value) { return sized(value, is_64); };
  const Gp dividend = use(field_b(w_), x86::rax);
  if (dividend.id() != x86::rax.id()) a_.mov(narrow(x86::rax), narrow(dividend));
  Gp divisor = use(field_c(w_), x86::rcx);
  a_.test(narrow(divisor), narrow(divisor));
  a_.jz(trap(Trap::divide_by_zero));
  const Label done = a_.newLabel();
  if (is_signed) {
    const Label plain = a_.newLabel();
    a_.cmp(narrow(divisor), -1);
    a_.jne(plain);
    if (remainder) {
      a_.xor_(x86::edx, x86::edx);
      a_.jmp(done);
    } else {
      // The negation overflows where the quotient does.
      a_.neg(narrow(x86::rax));
      a_.jo(trap(Trap::integer_overflow));
      a_.jmp(done);
    }
    a_.bind(plain);
    if (is_64) {
      a_.cqo();
    } else {
      a_.cdq();
    }
    a_.idiv(narrow(divisor));
  } else {
    a_.xor_(x86::edx, x86::edx);
    a_.div(narrow(divisor));
  }
  a_.bind(done);
  define(field_a(w_), remainder ? x86::rdx : x86::rax);
}

void Emitter::compare(bool is_64, u16 a, u16 b) {
  const Gp left = use(a, x86::rax);
  const Operand right = source(b, x86::rcx, is_64);
  a_.emit(Id::kIdCmp, sized(left, is_64), right);
}

void Emitter::compare_imm(bool is_64, u16 a, i32 imm) {
  const Operand left = source(a, x86::rax, is_64);
  if (imm == 0 && left.isReg()) {
    a_.emit(Id::kIdTest, left, left);
  } else if (is_blinded(sign_extended(imm))) {
    constant(x86::rcx, is_64 ? sign_extended(imm) : static_cast<u32>(imm), x86::rdx);
    a_.emit(Id::kIdCmp, left, sized(x86::rcx, is_64));
  } else {
    a_.emit(Id::kIdCmp, left, Imm(imm));
  }
}

void Emitter::compare_set(bool is_64, Cond cond) {
  compare(is_64, field_b(w_), field_c(w_));
  a_.set(cond, x86::al);
  const Gp to = target(field_a(w_));
  a_.movzx(to.r32(), x86::al);
  define(field_a(w_), to);
}

void Emitter::compare_set_imm(bool is_64, Cond cond) {
  compare_imm(is_64, field_b(w_), signed_16(field_c(w_)));
  a_.set(cond, x86::al);
  const Gp to = target(field_a(w_));
  a_.movzx(to.r32(), x86::al);
  define(field_a(w_), to);
}

void Emitter::unary(Id::Id id, bool is_64) {
  const Operand value = source(field_b(w_), x86::rax, is_64);
  const Gp to = target(field_a(w_));
  a_.emit(id, sized(to, is_64), value);
  define(field_a(w_), to);
}

void Emitter::move(u16 d, u16 a) {
  const Home general = general_of(a);
  const Home floating = float_of(a);
  const auto is_valid = [&](Home home) {
    return home != no_home && (regs_.valid & bit(home)) != 0;
  };
  if (!is_valid(general) && !is_valid(floating) && (general != no_home || floating != no_home)) {
    load_home(general != no_home ? general : floating);
  }
  if (is_valid(floating) && (!is_valid(general) || general_of(d) == no_home)) {
    define_float(d, xmm(floating));
  } else if (is_valid(general) || general_of(d) != no_home || float_of(d) == no_home) {
    define(d, use(a, target(d)));
  } else {
    const Xmm to = xmm(float_of(d));
    a_.movsd(to, slot(a));
    define_float(d, to);
  }
}

// Several moves, all read before any is written.
void Emitter::moves() {
  struct Pair {
    u16 to;
    u16 from;
  };
  Pair pairs[3] = {{field_a(w_), field_b(w_)}, {extra(0), extra(1)}, {extra(2), extra(3)}};
  const usize count = isa::op_of(w_) == Op::mov_3 ? 3 : 2;
  const Gp scratch[] = {x86::rax, x86::rcx, x86::rdx};
  for (usize i = 0; i < count; ++i) {
    const Gp value = use(pairs[i].from, scratch[i]);
    if (value.id() != scratch[i].id()) a_.mov(scratch[i], value);
  }
  for (usize i = 0; i < count; ++i) define(pairs[i].to, scratch[i]);
}

void Emitter::select() {
  const u16 d = field_a(w_);
  const u16 condition = extra(0);
  const Gp test = use(condition, x86::rdx);
  const Gp no = use(field_c(w_), x86::rax);
  if (no.id() != x86::rax.id()) a_.mov(x86::rax, no);
  const Operand yes = source(field_b(w_), x86::rcx, true);
  a_.test(test.r32(), test.r32());
  a_.emit(Id::kIdCmovne, x86::rax, yes);
  define(d, x86::rax);
}

// d = a + (b << shift_by) + imm, modulo 2^32.
void Emitter::sum(u16 d, u16 a, u16 b, u32 shift_by, i32 imm) {
  const Gp base = use(a, x86::rax);
  const Gp index = use(b, x86::rcx);
  const Gp to = target(d);
  if (is_blinded(sign_extended(imm))) {
    constant(x86::rdx, static_cast<u32>(imm), x86::rdx);
    a_.lea(x86::edx, x86::ptr(x86::rdx, index, shift_by));
    a_.lea(to.r32(), x86::ptr(base, x86::rdx));
  } else {
    a_.lea(to.r32(), x86::ptr(base, index, shift_by, imm));
  }
  define(d, to);
}

// a = a + 1 or a + b, then back while a compares so with the last operand.
void Emitter::counted_back(bool is_64, bool by_slot) {
  const u16 counter = field_a(w_);
  if (by_slot) {
    binary(Id::kIdAdd, is_64, true, counter, counter, field_b(w_));
    back(pc_ - static_cast<u32>(code_[pc_ + 1] >> 32));
  } else {
    binary_imm(Id::kIdAdd, is_64, counter, counter, 1);
    back(pc_ - field_c(w_));
  }
}

bool Emitter::emit_integer(Op op) {
  const u16 a = field_a(w_);
  const u16 b = field_b(w_);
  const u16 c = field_c(w_);
  const i32 imm = signed_16(c);
  switch (op) {
    case Op::unreachable:
      return a_.jmp(trap(Trap::unreachable)), true;
    case Op::nop:
      return true;
    case Op::mov:
      return move(a, b), true;
    case Op::mov_2:
    case Op::mov_3:
      return moves(), true;
    case Op::i32_const: {
      const Gp to = target(a);
      constant(to, isa::field_bc(w_), x86::rcx);
      return define(a, to), true;
    }
    case Op::i64_const: {
      const Gp to = target(a);
      constant(to, sign_extended(static_cast<i32>(isa::field_bc(w_))), x86::rcx);
      return define(a, to), true;
    }
    case Op::i64_const_long: {
      const Gp to = target(a);
      constant(to, code_[pc_ + 1], x86::rcx);
      return define(a, to), true;
    }
    case Op::select:
      return select(), true;
    case Op::mov_if: {
      const Gp test = use(c, x86::rdx);
      const Gp old = use(a, x86::rax);
      if (old.id() != x86::rax.id()) a_.mov(x86::rax, old);
      const Operand value = source(b, x86::rcx, true);
      a_.test(test.r32(), test.r32());
      a_.emit(Id::kIdCmovne, x86::rax, value);
      return define(a, x86::rax), true;
    }
#define BINARY(name, Name, commutes)                              \
  case Op::i32_##name:                                            \
    return binary(Id::kId##Name, false, commutes, a, b, c), true; \
  case Op::i64_##name:                                            \
    return binary(Id::kId##Name, true, commutes, a, b, c), true;
      BINARY(add, Add, true)
      BINARY(sub, Sub, false)
      BINARY(mul, Imul, true)
      BINARY(and, And, true)
      BINARY(or, Or, true)
      BINARY(xor, Xor, true)
#undef BINARY
#define BINARY_IMM(name, Name, value)                               \
  case Op::i32_##name##_i:                                          \
    return binary_imm(Id::kId##Name, false, a, b, value(31)), true; \
  case Op::i64_##name##_i:                                          \
    return binary_imm(Id::kId##Name, true, a, b, value(63)), true;
#define WHOLE(mask) imm
#define MASKED(mask) (imm & (mask))
      BINARY_IMM(add, Add, WHOLE)
      BINARY_IMM(mul, Imul, WHOLE)
      BINARY_IMM(and, And, WHOLE)
      BINARY_IMM(or, Or, WHOLE)
      BINARY_IMM(xor, Xor, WHOLE)
      BINARY_IMM(shl, Shl, MASKED)
      BINARY_IMM(shr_s, Sar, MASKED)
      BINARY_IMM(shr_u, Shr, MASKED)
      BINARY_IMM(rotl, Rol, MASKED)
#undef BINARY_IMM
#define SHIFT(name, Name)                              \
  case Op::i32_##name:                                 \
    return shift(Id::kId##Name, false, a, b, c), true; \
  case Op::i64_##name:                                 \
    return shift(Id::kId##Name, true, a, b, c), true;
      SHIFT(shl, Shl)
      SHIFT(shr_s, Sar)
      SHIFT(shr_u, Shr)
      SHIFT(rotl, Rol)
      SHIFT(rotr, Ror)
#undef SHIFT
#define DIVIDE(name, is_signed, remainder)            \
  case Op::i32_##name:                                \
    return divide(false, is_signed, remainder), true; \
  case Op::i64_##name:                                \
    return divide(true, is_signed, remainder), true;
      DIVIDE(div_s, true, false)
      DIVIDE(div_u, false, false)
      DIVIDE(rem_s, true, true)
      DIVIDE(rem_u, false, true)
#undef DIVIDE
#define COMPARE(name, Name)                             \
  case Op::i32_##name:                                  \
    return compare_set(false, Cond::k##Name), true;     \
  case Op::i64_##name:                                  \
    return compare_set(true, Cond::k##Name), true;      \
  case Op::i32_##name##_i:                              \
    return compare_set_imm(false, Cond::k##Name), true; \
  case Op::i64_##name##_i:                              \
    return compare_set_imm(true, Cond::k##Name), true;
#define COMPARE_IMM(name, Name)                         \
  case Op::i32_##name##_i:                              \
    return compare_set_imm(false, Cond::k##Name), true; \
  case Op::i64_##name##_i:                              \
    return compare_set_imm(true, Cond::k##Name), true;
      COMPARE(eq, E)
      COMPARE(ne, NE)
      COMPARE(lt_s, L)
      COMPARE(lt_u, B)
      COMPARE(le_s, LE)
      COMPARE(le_u, BE)
      COMPARE_IMM(gt_s, G)
      COMPARE_IMM(gt_u, A)
      COMPARE_IMM(ge_s, GE)
      COMPARE_IMM(ge_u, AE)
#undef COMPARE
#undef COMPARE_IMM
    case Op::i32_eqz:
    case Op::i64_eqz:
    case Op::ref_is_null: {
      compare_imm(op != Op::i32_eqz, b, 0);
      a_.set(Cond::kE, x86::al);
      const Gp to = target(a);
      a_.movzx(to.r32(), x86::al);
      return define(a, to), true;
    }
    case Op::i32_popcnt:
      return unary(Id::kIdPopcnt, false), true;
    case Op::i64_popcnt:
      return unary(Id::kIdPopcnt, true), true;
    case Op::i32_clz:
    case Op::i64_clz:
    case Op::i32_ctz:
    case Op::i64_ctz: {
      const bool is_64 = op == Op::i64_clz || op == Op::i64_ctz;
      const bool leading = op == Op::i32_clz || op == Op::i64_clz;
      const i32 bits = is_64 ? 64 : 32;
      const Operand value = source(b, x86::rax, is_64);
      const Gp to = sized(x86::rdx, is_64);
      const Gp none = sized(x86::rcx, is_64);
      a_.mov(x86::ecx, leading ? 2 * bits - 1 : bits);
      a_.emit(leading ? Id::kIdBsr : Id::kIdBsf, to, value);
      a_.cmovz(to, none);
      if (leading) a_.xor_(to, bits - 1);
      return define(a, x86::rdx), true;
    }
    case Op::i32_wrap_i64:
    case Op::i64_extend_i32_u: {
      const Operand value = source(b, x86::rax, false);
      const Gp to = target(a);
      a_.emit(Id::kIdMov, to.r32(), value);
      return define(a, to), true;
    }
    case Op::i64_extend_i32_s:
    case Op::i64_extend32_s: {
      const Operand value = source(b, x86::rax, false);
      const Gp to = target(a);
      a_.emit(Id::kIdMovsxd, to.r64(), value);
      return define(a, to), true;
    }
    case Op::i32_extend8_s:
    case Op::i64_extend8_s: {
      const Gp value = use(b, x86::rax);
      const Gp to = target(a);
      a_.movsx(sized(to, op == Op::i64_extend8_s), value.r8());
      return define(a, to), true;
    }
    case Op::i32_extend16_s:
    case Op::i64_extend16_s: {
      const Gp value = use(b, x86::rax);
      const Gp to = target(a);
      a_.movsx(sized(to, op == Op::i64_extend16_s), value.r16());
      return define(a, to), true;
    }
    case Op::i32_add_add:
    case Op::i64_add_add:
    case Op::i32_mul_add:
    case Op::i64_mul_add: {
      const bool is_64 = op == Op::i64_add_add || op == Op::i64_mul_add;
      const bool product = op == Op::i32_mul_add || op == Op::i64_mul_add;
      const auto narrow = [&](const Gp& value) { return sized(value, is_64); };
      const Gp left = use(b, x86::rax);
      if (left.id() != x86::rax.id()) a_.mov(narrow(x86::rax), narrow(left));
      a_.emit(product ? Id::kIdImul : Id::kIdAdd, narrow(x86::rax), source(c, x86::rcx, is_64));
      a_.emit(Id::kIdAdd, narrow(x86::rax), source(extra(0), x86::rcx, is_64));
      return define(a, x86::rax), true;
    }
    case Op::i32_add_x2:
      return sum(a, b, c, 1, 0), true;
    case Op::i32_add_x4:
      return sum(a, b, c, 2, 0), true;
    case Op::i32_add_x8:
      return sum(a, b, c, 3, 0), true;
    case Op::i32_add_add_i:
      return sum(a, b, c, 0, signed_16(extra(0))), true;
    case Op::i32_add_x2_i:
      return sum(a, b, c, 1, signed_16(extra(0))), true;
    case Op::i32_add_x4_i:
      return sum(a, b, c, 2, signed_16(extra(0))), true;
    case Op::i32_add_x8_i:
      return sum(a, b, c, 3, signed_16(extra(0))), true;
#define XOR_SHIFT(name, Name)                                        \
  case Op::i32_xor_##name:                                           \
  case Op::i64_xor_##name: {                                         \
    const bool is_64 = op == Op::i64_xor_##name;                     \
    const Gp shifted = use(c, x86::rax);                             \
    const Gp work = sized(x86::rax, is_64);                          \
    if (shifted.id() != x86::rax.id()) {                             \
      a_.mov(work, sized(shifted, is_64));                           \
    }                                                                \
    a_.emit(Id::kId##Name, work, Imm(extra(0) & (is_64 ? 63 : 31))); \
    a_.emit(Id::kIdXor, work, source(b, x86::rcx, is_64));           \
    return define(a, x86::rax), true;                                \
  }
      XOR_SHIFT(shl, Shl)
      XOR_SHIFT(shr_u, Shr)
      XOR_SHIFT(rotl, Rol)
#undef XOR_SHIFT
    case Op::i32_add_i2: {
      const Gp first = use(b, x86::rax);
      add_constant(x86::rax, first, imm, x86::rdx);
      const Gp second = use(extra(1), x86::rcx);
      add_constant(x86::rcx, second, signed_16(extra(2)), x86::rdx);
      define(a, x86::rax);
      return define(extra(0), x86::rcx), true;
    }
    default:
      return false;
  }
}

// --- Branches -----------------------------------------------------------------------------------

#define INTEGER_CONDITIONS(X) X(eq, E) X(ne, NE) X(lt_s, L) X(lt_u, B) X(le_s, LE) X(le_u, BE)
#define IMMEDIATE_CONDITIONS(X) INTEGER_CONDITIONS(X) X(gt_s, G) X(gt_u, A) X(ge_s, GE) X(ge_u, AE)
#define FLOAT_CONDITIONS(X) X(eq, 0) X(ne, 1) X(lt, 2) X(le, 3) X(nlt, 4) X(nle, 5)
#define COUNTED_CONDITIONS(X) X(lt_s, L) X(lt_u, B) X(ne, NE)

Emitter::Test Emitter::condition() {
  const u16 a = field_a(w_);
  const u16 b = field_b(w_);
  const i32 imm = signed_16(b);
  switch (isa::op_of(w_)) {
#define CONDITION(name, Name)                         \
  case Op::br_i32_##name:                             \
  case Op::back_i32_##name:                           \
    return compare(false, a, b), Test{Cond::k##Name}; \
  case Op::br_i64_##name:                             \
  case Op::back_i64_##name:                           \
    return compare(true, a, b), Test{Cond::k##Name};
    INTEGER_CONDITIONS(CONDITION)
#undef CONDITION
#define CONDITION(name, Name)                               \
  case Op::br_i32_##name##_i:                               \
  case Op::back_i32_##name##_i:                             \
  case Op::ret_if_i32_##name##_i:                           \
    return compare_imm(false, a, imm), Test{Cond::k##Name}; \
  case Op::br_i64_##name##_i:                               \
  case Op::back_i64_##name##_i:                             \
  case Op::ret_if_i64_##name##_i:                           \
    return compare_imm(true, a, imm), Test{Cond::k##Name};
    IMMEDIATE_CONDITIONS(CONDITION)
#undef CONDITION
#define CONDITION(name, kind)                 \
  case Op::br_f32_##name:                     \
  case Op::back_f32_##name:                   \
    return compare_floats(false, kind, a, b); \
  case Op::br_f64_##name:                     \
  case Op::back_f64_##name:                   \
    return compare_floats(true, kind, a, b);
    FLOAT_CONDITIONS(CONDITION)
#undef CONDITION
#define CONDITION(name, Name)                                   \
  case Op::back_i32_inc_##name:                                 \
    return compare(false, a, b), Test{Cond::k##Name};           \
  case Op::back_i64_inc_##name:                                 \
    return compare(true, a, b), Test{Cond::k##Name};            \
  case Op::back_i32_add_##name:                                 \
    return compare(false, a, field_c(w_)), Test{Cond::k##Name}; \
  case Op::back_i64_add_##name:                                 \
    return compare(true, a, field_c(w_)), Test{Cond::k##Name};
    COUNTED_CONDITIONS(CONDITION)
#undef CONDITION
    default:
      return {};
  }
}

bool Emitter::emit_branch(Op op) {
  switch (op) {
    case Op::br:
      return jump(pc_ + isa::field_bc(w_)), true;
    case Op::br_table:
      return table_branch(), true;
    case Op::back: {
      // Unconditional.
      LabelState& to = label_at(pc_ - isa::field_bc(w_));
      conform(to);
      PollStub& stub = polls_.emplace_back();
      stub.label = a_.newLabel();
      stub.pc = pc_;
      stub.target = to.pc;
      stub.zone = zone_;
      stub.regs = regs_;
      poll(stub.label);
      a_.jmp(to.header);
      return true;
    }
#define FORWARD(name, ...) \
  case Op::br_i32_##name:  \
  case Op::br_i64_##name:
#define FORWARD_IMM(name, ...) \
  case Op::br_i32_##name##_i:  \
  case Op::br_i64_##name##_i:
#define FORWARD_FLOAT(name, ...) \
  case Op::br_f32_##name:        \
  case Op::br_f64_##name:
      INTEGER_CONDITIONS(FORWARD)
      IMMEDIATE_CONDITIONS(FORWARD_IMM)
      FLOAT_CONDITIONS(FORWARD_FLOAT) {
        const Test test = condition();
        return branch(pc_ + field_c(w_), test), true;
      }
#define BACKWARD(name, ...) \
  case Op::back_i32_##name: \
  case Op::back_i64_##name:
#define BACKWARD_IMM(name, ...) \
  case Op::back_i32_##name##_i: \
  case Op::back_i64_##name##_i:
#define BACKWARD_FLOAT(name, ...) \
  case Op::back_f32_##name:       \
  case Op::back_f64_##name:
      INTEGER_CONDITIONS(BACKWARD)
      IMMEDIATE_CONDITIONS(BACKWARD_IMM)
      FLOAT_CONDITIONS(BACKWARD_FLOAT)
      return back(pc_ - field_c(w_)), true;
#define COUNTED(name, Name)                  \
  case Op::back_i32_inc_##name:              \
    return counted_back(false, false), true; \
  case Op::back_i64_inc_##name:              \
    return counted_back(true, false), true;  \
  case Op::back_i32_add_##name:              \
    return counted_back(false, true), true;  \
  case Op::back_i64_add_##name:              \
    return counted_back(true, true), true;
      COUNTED_CONDITIONS(COUNTED)
    default:
      return false;
  }
}

// --- Returns ------------------------------------------------------------------------------------

void Emitter::return_slot(u16 number) {
  const Home floating = float_of(number);
  if (floating != no_home && (regs_.valid & bit(floating)) != 0) {
    a_.movq(x86::rax, xmm(floating));
  } else if (const Gp value = use(number, x86::rax); value != x86::rax) {
    a_.mov(x86::rax, value);
  }
  a_.ret();
}

bool Emitter::emit_return(Op op) {
  const u16 a = field_a(w_);
  const u16 b = field_b(w_);
  switch (op) {
    case Op::ret:
      return a_.ret(), true;
    case Op::ret_1:
      return return_slot(a), true;
    case Op::ret_i32_add:
    case Op::ret_i64_add: {
      const bool is_64 = op == Op::ret_i64_add;
      const Gp left = use(a, x86::rax);
      if (left.id() != x86::rax.id()) a_.mov(sized(x86::rax, is_64), sized(left, is_64));
      a_.emit(Id::kIdAdd, sized(x86::rax, is_64), source(b, x86::rcx, is_64));
      return a_.ret(), true;
    }
#define RETURNS_WHERE(name, ...)  \
  case Op::ret_if_i32_##name##_i: \
  case Op::ret_if_i64_##name##_i:
      IMMEDIATE_CONDITIONS(RETURNS_WHERE) {
        const Test test = condition();
        const Label on = a_.newLabel();
        const Regs regs = regs_;
        jump_unless(test, on);
        return_slot(field_c(w_));
        a_.bind(on);
        regs_ = regs;
        return true;
      }
    default:
      return false;
  }
}

}  // namespace atollvm::jit
