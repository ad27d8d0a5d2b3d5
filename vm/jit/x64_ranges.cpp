// Ranges of slots: moves of several, results.
#include "vm/jit/x64_emitter.hpp"

namespace atollvm::jit {

using namespace asmjit;
using isa::field_a;
using isa::field_b;
using isa::field_c;
using isa::Op;

namespace {

constexpr u32 most_unrolled = 16;

}  // namespace

Homes Emitter::homes_in(u32 begin, u32 count) const {
  Homes homes = 0;
  for (const Zone::Assigned& each : analysis_.zones()[zone_].assigned) {
    if (each.slot >= begin && each.slot < begin + count) homes |= bit(each.home);
  }
  return homes;
}

// Copies a slot's value, from wherever it is, into another slot's memory. Uses rax. What is in
// memory too is taken from there: homes may have been loaded with less than the slot.
void Emitter::store_slot(u16 to, u16 from) {
  const Home general = general_of(from);
  const Home floating = float_of(from);
  if (general != no_home && (regs_.dirty & bit(general)) != 0) {
    a_.mov(slot(to), gp(general));
  } else if (floating != no_home && (regs_.dirty & bit(floating)) != 0) {
    a_.movsd(slot(to), xmm(floating));
  } else {
    a_.mov(x86::rax, slot(from));
    a_.mov(slot(to), x86::rax);
  }
}

// Moves slots as if through a buffer; afterwards the targets are in memory alone. Uses rax and rcx.
void Emitter::move_range(u16 to, u16 from, u32 count) {
  const bool upward = to > from;
  if (to == from) return;
  if (count <= most_unrolled) {
    for (u32 i = 0; i < count; ++i) {
      const u32 at = upward ? count - 1 - i : i;
      store_slot(static_cast<u16>(to + at), static_cast<u16>(from + at));
    }
  } else {
    flush(regs_.dirty & homes_in(from, count));
    const Label more = a_.newLabel();
    // From the range's begin on, with the distance to its end in rcx; or from its end on.
    const i32 first = static_cast<i32>((upward ? 0 : count) * 8) - (upward ? 8 : 0);
    const auto element = [&](u16 range) {
      return x86::ptr(x86::rbx, x86::rcx, 3, i32{range} * 8 + first, 8);
    };
    a_.mov(x86::rcx, upward ? i64{count} : -i64{count});
    a_.bind(more);
    a_.mov(x86::rax, element(from));
    a_.mov(element(to), x86::rax);
    a_.add(x86::rcx, upward ? -1 : 1);
    a_.jnz(more);
  }
  const Homes moved = homes_in(to, count);
  regs_.valid &= ~moved;
  regs_.dirty &= ~moved;
}

bool Emitter::emit_range(Op op) {
  const u16 a = field_a(w_);
  const u16 b = field_b(w_);
  switch (op) {
    case Op::mov_n:
      return move_range(a, b, field_c(w_)), true;
    case Op::ret_n:
      if (a == 0) flush(regs_.dirty & homes_in(0, b));
      move_range(0, a, b);
      a_.mov(x86::rax, slot(0));
      return a_.ret(), true;
    default:
      return false;
  }
}

}  // namespace atollvm::jit
