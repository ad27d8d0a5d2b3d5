// Floating-point numbers. A home of an f32 has zeros above it, as its slot.
#include "vm/jit/x64_emitter.hpp"

namespace atollvm::jit {

using namespace asmjit;
using isa::field_a;
using isa::field_b;
using isa::field_c;
using isa::Op;
namespace Id = x86::Inst;

namespace {

struct FloatIds {
  Id::Id add, sub, mul, div, compare, sqrt, round, min, max;
};
constexpr FloatIds singles = {Id::kIdAddss,   Id::kIdSubss,   Id::kIdMulss,
                              Id::kIdDivss,   Id::kIdUcomiss, Id::kIdSqrtss,
                              Id::kIdRoundss, Id::kIdMinss,   Id::kIdMaxss};
constexpr FloatIds doubles = {Id::kIdAddsd,   Id::kIdSubsd,   Id::kIdMulsd,
                              Id::kIdDivsd,   Id::kIdUcomisd, Id::kIdSqrtsd,
                              Id::kIdRoundsd, Id::kIdMinsd,   Id::kIdMaxsd};
constexpr const FloatIds& ids(bool is_64) { return is_64 ? doubles : singles; }

}  // namespace

void Emitter::float_binary(Id::Id id, bool is_64, u16 d, u16 a, const Operand& right) {
  const Xmm left = clean_float(a, x86::xmm0, is_64);
  Xmm to = target_float(d);
  if (right.isReg() && right.as<Xmm>().id() == to.id() && left.id() != to.id()) to = x86::xmm0;
  if (left.id() != to.id()) a_.movaps(to, left);
  a_.emit(id, to, right);
  define_computed(d, to, is_64);
}

// The CPU's NaN is another one than the canonical, and it takes the bits of operands.
void Emitter::canonical(Xmm value, bool is_64) {
  if (!variant_.counts_fuel) return;
  const NanStub stub{a_.newLabel(), a_.newLabel(), value, is_64};
  a_.emit(ids(is_64).compare, value, value);
  a_.jp(stub.label);
  a_.bind(stub.after);
  nans_.push_back(stub);
}

void Emitter::define_computed(u16 number, Xmm value, bool is_64) {
  canonical(value, is_64);
  define_float(number, value);
}

// Kinds: eq, ne, lt, le, not lt, not le. NaN makes the CPU's comparison say "below" and "equal".
Emitter::Test Emitter::compare_floats(bool is_64, int kind, u16 a, u16 b) {
  const bool swapped = kind >= 2;
  const Xmm left = use_float(swapped ? b : a, x86::xmm0);
  const Operand right = source_float(swapped ? a : b, x86::xmm1, is_64);
  a_.emit(ids(is_64).compare, left, right);
  constexpr Test tests[] = {
      {Cond::kE, Test::Nan::and_ordered}, {Cond::kNE, Test::Nan::or_unordered},
      {Cond::kA, Test::Nan::plain},       {Cond::kAE, Test::Nan::plain},
      {Cond::kBE, Test::Nan::plain},      {Cond::kB, Test::Nan::plain}};
  return tests[kind];
}

void Emitter::float_compare_set(bool is_64, int kind) {
  const Test test = compare_floats(is_64, kind, field_b(w_), field_c(w_));
  a_.set(test.cond, x86::al);
  if (test.nan == Test::Nan::and_ordered) {
    a_.setnp(x86::cl);
    a_.and_(x86::al, x86::cl);
  } else if (test.nan == Test::Nan::or_unordered) {
    a_.setp(x86::cl);
    a_.or_(x86::al, x86::cl);
  }
  const Gp to = target(field_a(w_));
  a_.movzx(to.r32(), x86::al);
  define(field_a(w_), to);
}

void Emitter::float_minmax(bool is_64, bool is_max) {
  const FloatIds& id = ids(is_64);
  const Xmm right = clean_float(field_c(w_), x86::xmm1, is_64);
  const Xmm left = clean_float(field_b(w_), x86::xmm0, is_64);
  if (left.id() != x86::xmm0.id()) a_.movaps(x86::xmm0, left);
  const Label differ = a_.newLabel();
  const Label nan = a_.newLabel();
  const Label done = a_.newLabel();
  a_.emit(id.compare, x86::xmm0, right);
  a_.jp(nan);
  a_.jne(differ);
  // Zeros of both signs are equal.
  a_.emit(is_max ? Id::kIdAndps : Id::kIdOrps, x86::xmm0, right);
  a_.jmp(done);
  a_.bind(nan);
  a_.emit(id.add, x86::xmm0, right);
  a_.jmp(done);
  a_.bind(differ);
  a_.emit(is_max ? id.max : id.min, x86::xmm0, right);
  a_.bind(done);
  define_computed(field_a(w_), x86::xmm0, is_64);
}

void Emitter::copy_sign(bool is_64) {
  const Xmm number = clean_float(field_b(w_), x86::xmm0, is_64);
  if (number.id() != x86::xmm0.id()) a_.movaps(x86::xmm0, number);
  const Xmm sign = clean_float(field_c(w_), x86::xmm1, is_64);
  if (sign.id() != x86::xmm1.id()) a_.movaps(x86::xmm1, sign);
  const u32 rest = is_64 ? 63 : 31;
  const Id::Id right = is_64 ? Id::kIdPsrlq : Id::kIdPsrld;
  const Id::Id left = is_64 ? Id::kIdPsllq : Id::kIdPslld;
  a_.emit(left, x86::xmm0, Imm(1));
  a_.emit(right, x86::xmm0, Imm(1));
  a_.emit(right, x86::xmm1, Imm(rest));
  a_.emit(left, x86::xmm1, Imm(rest));
  a_.orps(x86::xmm0, x86::xmm1);
  define_float(field_a(w_), x86::xmm0);
}

bool Emitter::emit_float(Op op) {
  const u16 a = field_a(w_);
  const u16 b = field_b(w_);
  const u16 c = field_c(w_);
  switch (op) {
    case Op::f32_const:
    case Op::f64_const: {
      const u64 bits = op == Op::f32_const ? isa::field_bc(w_) : code_[pc_ + 1];
      const Home home = float_of(a);
      if (home != no_home && bits == 0) {
        a_.xorps(xmm(home), xmm(home));
        return define_float(a, xmm(home)), true;
      }
      constant(x86::rax, bits, x86::rcx);
      if (home == no_home) return define(a, x86::rax), true;
      a_.movq(xmm(home), x86::rax);
      return define_float(a, xmm(home)), true;
    }
#define BOTH(name, ...)                      \
  case Op::f32_##name:                       \
  case Op::f64_##name: {                     \
    const bool is_64 = op == Op::f64_##name; \
    const FloatIds& id = ids(is_64);         \
    static_cast<void>(id);                   \
    __VA_ARGS__;                             \
    return true;                             \
  }
      BOTH(add, float_binary(id.add, is_64, a, b, source_float(c, x86::xmm1, is_64)))
      BOTH(sub, float_binary(id.sub, is_64, a, b, source_float(c, x86::xmm1, is_64)))
      BOTH(mul, float_binary(id.mul, is_64, a, b, source_float(c, x86::xmm1, is_64)))
      BOTH(div, float_binary(id.div, is_64, a, b, source_float(c, x86::xmm1, is_64)))
      BOTH(min, float_minmax(is_64, false))
      BOTH(max, float_minmax(is_64, true))
      BOTH(eq, float_compare_set(is_64, 0))
      BOTH(ne, float_compare_set(is_64, 1))
      BOTH(lt, float_compare_set(is_64, 2))
      BOTH(le, float_compare_set(is_64, 3))
#define ROUND(name, mode)                                                                        \
  BOTH(name, const Xmm value = clean_float(b, x86::xmm0, is_64); const Xmm to = target_float(a); \
       if (value.id() != to.id()) a_.movaps(to, value); a_.emit(id.round, to, to, Imm(mode));    \
       define_computed(a, to, is_64))
      ROUND(ceil, 10)
      ROUND(floor, 9)
      ROUND(trunc, 11)
      ROUND(nearest, 8)
#undef ROUND
      BOTH(sqrt, const Xmm value = clean_float(b, x86::xmm0, is_64); const Xmm to = target_float(a);
           if (value.id() != to.id()) a_.movaps(to, value); a_.emit(id.sqrt, to, to);
           define_computed(a, to, is_64))
      BOTH(
          abs, const Xmm value = clean_float(b, x86::xmm0, is_64);
          if (value.id() != x86::xmm0.id()) a_.movaps(x86::xmm0, value);
          a_.pcmpeqd(x86::xmm1, x86::xmm1); if (is_64) { a_.psrlq(x86::xmm1, 1); } else {
            a_.psrld(x86::xmm1, 1);
          } a_.andps(x86::xmm0, x86::xmm1);
          define_float(a, x86::xmm0))
      BOTH(neg, const Xmm value = clean_float(b, x86::xmm0, is_64);
           if (value.id() != x86::xmm0.id()) a_.movaps(x86::xmm0, value);
           a_.mov(x86::rax, is_64 ? u64{1} << 63 : u64{1} << 31); a_.movq(x86::xmm1, x86::rax);
           a_.xorps(x86::xmm0, x86::xmm1); define_float(a, x86::xmm0))
      BOTH(copysign, copy_sign(is_64))
      // a * b, then with c.
#define PRODUCT                                                \
  const Xmm left = clean_float(b, x86::xmm0, is_64);           \
  if (left.id() != x86::xmm0.id()) a_.movaps(x86::xmm0, left); \
  a_.emit(id.mul, x86::xmm0, source_float(c, x86::xmm1, is_64))
      BOTH(mul_add, PRODUCT; a_.emit(id.add, x86::xmm0, source_float(extra(0), x86::xmm1, is_64));
           define_computed(a, x86::xmm0, is_64))
      BOTH(mul_sub, PRODUCT; a_.emit(id.sub, x86::xmm0, source_float(extra(0), x86::xmm1, is_64));
           define_computed(a, x86::xmm0, is_64))
      BOTH(mul_mul, PRODUCT; a_.emit(id.mul, x86::xmm0, source_float(extra(0), x86::xmm1, is_64));
           define_computed(a, x86::xmm0, is_64))
      BOTH(sub_mul, PRODUCT; const Xmm from = clean_float(extra(0), x86::xmm1, is_64);
           if (from.id() != x86::xmm1.id()) a_.movaps(x86::xmm1, from);
           a_.emit(id.sub, x86::xmm1, x86::xmm0); define_computed(a, x86::xmm1, is_64))
      BOTH(acc_add, PRODUCT; const Xmm sum = clean_float(a, x86::xmm1, is_64);
           a_.emit(id.add, sum, x86::xmm0); define_computed(a, sum, is_64))
      BOTH(acc_sub, PRODUCT; const Xmm sum = clean_float(a, x86::xmm1, is_64);
           a_.emit(id.sub, sum, x86::xmm0); define_computed(a, sum, is_64))
      BOTH(add_add, const Xmm left = clean_float(b, x86::xmm0, is_64);
           if (left.id() != x86::xmm0.id()) a_.movaps(x86::xmm0, left);
           a_.emit(id.add, x86::xmm0, source_float(c, x86::xmm1, is_64));
           a_.emit(id.add, x86::xmm0, source_float(extra(0), x86::xmm1, is_64));
           define_computed(a, x86::xmm0, is_64))
      BOTH(sub_add, const Xmm left = clean_float(b, x86::xmm0, is_64);
           if (left.id() != x86::xmm0.id()) a_.movaps(x86::xmm0, left);
           a_.emit(id.sub, x86::xmm0, source_float(c, x86::xmm1, is_64));
           a_.emit(id.add, x86::xmm0, source_float(extra(0), x86::xmm1, is_64));
           define_computed(a, x86::xmm0, is_64))
#define SECOND_PRODUCT                                                            \
  const Xmm right = clean_float(extra(0), x86::xmm1, is_64);                      \
  if (right.id() != x86::xmm1.id()) a_.movaps(x86::xmm1, right);                  \
  const u16 last = extra(1);                                                      \
  if (float_of(last) != no_home) {                                                \
    a_.emit(id.mul, x86::xmm1, use_float(last, x86::xmm1));                       \
  } else {                                                                        \
    flush(general_of(last) != no_home ? regs_.dirty & bit(general_of(last)) : 0); \
    a_.emit(id.mul, x86::xmm1, is_64 ? slot(last) : slot32(last));                \
  }
      BOTH(mul_add_mul, PRODUCT; SECOND_PRODUCT; a_.emit(id.add, x86::xmm0, x86::xmm1);
           define_computed(a, x86::xmm0, is_64))
      BOTH(mul_sub_mul, PRODUCT; SECOND_PRODUCT; a_.emit(id.sub, x86::xmm0, x86::xmm1);
           define_computed(a, x86::xmm0, is_64))
#undef PRODUCT
#undef SECOND_PRODUCT
#undef BOTH
    default:
      return false;
  }
}

}  // namespace atollvm::jit
