// Conversions between numbers.
#include <bit>

#include "vm/jit/x64_emitter.hpp"

namespace atollvm::jit {

using namespace asmjit;
using isa::field_a;
using isa::field_b;
using isa::Op;
namespace Id = x86::Inst;

namespace {

struct ConversionIds {
  Id::Id from_integer, to_integer, compare, add;
};
constexpr ConversionIds of_singles = {Id::kIdCvtsi2ss, Id::kIdCvttss2si, Id::kIdUcomiss,
                                      Id::kIdAddss};
constexpr ConversionIds of_doubles = {Id::kIdCvtsi2sd, Id::kIdCvttsd2si, Id::kIdUcomisd,
                                      Id::kIdAddsd};
constexpr const ConversionIds& conversion_ids(bool is_64) {
  return is_64 ? of_doubles : of_singles;
}

// The bits of a number that both types have.
u64 bits_of(f64 number, bool is_64) {
  return is_64 ? std::bit_cast<u64>(number) : std::bit_cast<u32>(static_cast<f32>(number));
}
constexpr f64 two_to_63 = 9223372036854775808.0;

}  // namespace

void Emitter::float_from_integer(bool to_64, bool from_64, bool is_signed) {
  const ConversionIds& id = conversion_ids(to_64);
  const u16 d = field_a(w_);
  const Gp value = use(field_b(w_), x86::rax);
  const Xmm to = target_float(d);
  a_.xorps(to, to);
  if (is_signed) {
    a_.emit(id.from_integer, to, sized(value, from_64));
  } else if (!from_64) {
    a_.mov(x86::eax, value.r32());
    a_.emit(id.from_integer, to, x86::rax);
  } else {
    const Label large = a_.newLabel();
    const Label done = a_.newLabel();
    if (value.id() != x86::rax.id()) a_.mov(x86::rax, value);
    a_.test(x86::rax, x86::rax);
    a_.js(large);
    a_.emit(id.from_integer, to, x86::rax);
    a_.jmp(done);
    // Half of it, with the lost bit kept for the rounding, and twice the result.
    a_.bind(large);
    a_.mov(x86::rcx, x86::rax);
    a_.shr(x86::rcx, 1);
    a_.and_(x86::eax, 1);
    a_.or_(x86::rcx, x86::rax);
    a_.emit(id.from_integer, to, x86::rcx);
    a_.emit(id.add, to, to);
    a_.bind(done);
  }
  define_float(d, to);
}

// The CPU converts to 64 signed bits; what does not fit them becomes the lowest number. Whatever
// may not fit the result is looked at again.
void Emitter::truncate(const Truncation& to) {
  const ConversionIds& id = conversion_ids(to.from_64);
  const Xmm value = use_float(field_b(w_), x86::xmm0);
  const Label fits = a_.newLabel();
  a_.emit(id.to_integer, x86::rax, value);
  if (!to.is_64) {
    if (to.is_signed) {
      a_.movsxd(x86::rcx, x86::eax);
    } else {
      a_.mov(x86::ecx, x86::eax);
    }
    a_.cmp(x86::rcx, x86::rax);
    a_.je(fits);
  } else if (to.is_signed) {
    a_.cmp(x86::rax, 1);  // overflows for the lowest number alone
    a_.jno(fits);
  } else {
    a_.test(x86::rax, x86::rax);
    a_.jns(fits);
    truncate_upper_half(to, value, fits);
  }
  if (to.saturates) {
    saturate(to, value);
  } else if (to.is_64 && to.is_signed) {
    a_.mov(x86::rcx, bits_of(-two_to_63, to.from_64));
    a_.movq(x86::xmm1, x86::rcx);
    a_.emit(id.compare, value, x86::xmm1);
    a_.jp(trap(Trap::invalid_conversion));
    a_.jne(trap(Trap::integer_overflow));
  } else {
    a_.emit(id.compare, value, value);
    a_.jp(trap(Trap::invalid_conversion));
    a_.jmp(trap(Trap::integer_overflow));
  }
  a_.bind(fits);
  if (!to.is_64) a_.mov(x86::eax, x86::eax);
  define(field_a(w_), x86::rax);
}

// Numbers from 2^63 on, of which 2^63 is taken off; goes to `fits` with the result of those below
// 2^64.
void Emitter::truncate_upper_half(const Truncation& to, Xmm value, Label fits) {
  const ConversionIds& id = conversion_ids(to.from_64);
  const Label other = a_.newLabel();
  a_.mov(x86::rcx, bits_of(two_to_63, to.from_64));
  a_.movq(x86::xmm1, x86::rcx);
  a_.emit(id.compare, value, x86::xmm1);
  a_.jb(other);  // NaN too
  // `value` is needed once more.
  const Xmm rest = x86::xmm1;
  a_.mov(x86::rcx, bits_of(-two_to_63, to.from_64));
  a_.movq(rest, x86::rcx);
  a_.emit(id.add, rest, value);
  a_.emit(id.to_integer, x86::rax, rest);
  a_.btc(x86::rax, 63);
  a_.jnc(fits);
  a_.bind(other);
}

// NaN is 0, all others the nearest number that there is.
void Emitter::saturate(const Truncation& to, Xmm value) {
  const Label done = a_.newLabel();
  const u32 bits = to.is_64 ? 64 : 32;
  const u64 largest = ~u64{0} >> (64 - bits + (to.is_signed ? 1 : 0));
  a_.xor_(x86::eax, x86::eax);
  a_.xorps(x86::xmm1, x86::xmm1);
  a_.emit(conversion_ids(to.from_64).compare, value, x86::xmm1);
  a_.jp(done);
  // Moves leave the flags.
  a_.mov(x86::rax, largest);
  a_.ja(done);
  a_.mov(x86::rax, to.is_signed ? u64{1} << (bits - 1) : u64{0});
  a_.bind(done);
}

bool Emitter::emit_conversion(Op op) {
  switch (op) {
    case Op::f32_demote_f64:
    case Op::f64_promote_f32: {
      const Xmm value = use_float(field_b(w_), x86::xmm1);
      a_.xorps(x86::xmm0, x86::xmm0);
      a_.emit(op == Op::f32_demote_f64 ? Id::kIdCvtsd2ss : Id::kIdCvtss2sd, x86::xmm0, value);
      return define_computed(field_a(w_), x86::xmm0, op == Op::f64_promote_f32), true;
    }
#define CONVERSIONS(i, f, i_64, f_64)                   \
  case Op::f##_convert_##i##_s:                         \
    return float_from_integer(f_64, i_64, true), true;  \
  case Op::f##_convert_##i##_u:                         \
    return float_from_integer(f_64, i_64, false), true; \
  case Op::i##_trunc_##f##_s:                           \
    return truncate({f_64, i_64, true, false}), true;   \
  case Op::i##_trunc_##f##_u:                           \
    return truncate({f_64, i_64, false, false}), true;  \
  case Op::i##_trunc_sat_##f##_s:                       \
    return truncate({f_64, i_64, true, true}), true;    \
  case Op::i##_trunc_sat_##f##_u:                       \
    return truncate({f_64, i_64, false, true}), true;
      CONVERSIONS(i32, f32, false, false)
      CONVERSIONS(i32, f64, false, true)
      CONVERSIONS(i64, f32, true, false)
      CONVERSIONS(i64, f64, true, true)
#undef CONVERSIONS
    default:
      return false;
  }
}

}  // namespace atollvm::jit
