// Memories as a whole: their size, what moves ranges of bytes; and memories other than the first.
#include <bit>

#include "vm/interp/ops_bulk.hpp"
#include "vm/jit/x64_emitter.hpp"
#include "vm/jit/x64_worker.hpp"

namespace atollvm::jit {

using namespace asmjit;
using isa::field_a;
using isa::field_b;
using isa::field_c;
using isa::Op;
using runtime::Memory;
namespace Id = x86::Inst;

namespace {

constexpr i32 base_offset = Memory::base_offset();
constexpr i32 size_offset = Memory::size_offset();

}  // namespace

// The address of a memory's record.
void Emitter::find_memory(u16 number, const Gp& to) {
  a_.mov(to, instance());
  a_.mov(to, x86::ptr(to, at::memories, 8));
  a_.mov(to, x86::ptr(to, i32{number} * 8, 8));
}

// As plain(), of any memory. rcx and rdx are used up, and rax for now.
x86::Mem Emitter::in_memory(u16 memory, u16 base, u64 offset, u32 size) {
  if (memory == 0) return plain(base, offset, size);
  const Gp address = use_clean(base, x86::rdx);
  if (offset + size <= INT32_MAX && !is_blinded(offset + size)) {
    a_.lea(x86::rdx, x86::ptr(address, static_cast<i32>(offset + size)));
  } else {
    constant(x86::rax, offset + size, x86::rcx);
    a_.add(x86::rax, address);
    a_.mov(x86::rdx, x86::rax);
  }
  find_memory(memory, x86::rcx);
  a_.cmp(x86::rdx, x86::ptr(x86::rcx, size_offset, 8));
  a_.ja(trap(Trap::memory_bounds));
  if (variant_.hardened && least_bytes(memory) < size) {
    a_.mov(x86::eax, 0);  // the flags stay
    a_.mov(x86::rcx, x86::ptr(x86::rcx, base_offset, 8));
    a_.lea(x86::rdx, x86::ptr(x86::rcx, x86::rdx, 0, -static_cast<i32>(size)));
    a_.cmova(x86::rdx, x86::rax);
    return x86::ptr(x86::rdx, 0, size);
  }
  if (variant_.hardened) a_.cmova(x86::rdx, x86::ptr(x86::rcx, size_offset, 8));
  a_.mov(x86::rcx, x86::ptr(x86::rcx, base_offset, 8));
  return x86::ptr(x86::rcx, x86::rdx, 0, -static_cast<i32>(size), size);
}

// Copies and fills of few bytes of memory 0 are made here, by a routine of the function's own: in
// one piece, without a safepoint, as the runtime would make them. The rest is the runtime's, and so
// is what a stopped process goes on with.
void Emitter::few_bytes(Label& helper, Routine routine) {
  if (variant_.hardened && least_bytes(0) < 2 * interp::least_bytes_a_piece) {
    return by_runtime(routine);
  }
  if (!helper.isValid()) helper = a_.newLabel();
  const bool copies = routine == Routine::memory_copy;
  const Gp to = use_clean(field_a(w_), x86::rcx);
  const Gp second = copies ? use_clean(field_b(w_), x86::rdx) : use(field_b(w_), x86::rdx);
  const Gp count = use_clean(field_c(w_), x86::rax);
  const Label slow = a_.newLabel();
  const Label after = a_.newLabel();
  slow_paths_.push_back({slow, after, pc_, routine, zone_, regs_});
  if (count.id() != x86::rax.id()) a_.mov(x86::rax, count);
  // What costs more fuel than the instruction alone is left to the runtime.
  const u32 most = variant_.counts_fuel ? interp::bytes_a_fuel - 1 : interp::least_bytes_a_piece;
  a_.cmp(x86::rax, most);
  a_.ja(slow);
  // Hardened code takes the memory's begin where the CPU expects wrongly that a range is inside.
  static_assert(std::has_single_bit(interp::least_bytes_a_piece));
  if (variant_.hardened) a_.and_(x86::eax, 2 * interp::least_bytes_a_piece - 1);
  if (to.id() != x86::rcx.id()) a_.mov(x86::rcx, to);
  if (second.id() != x86::rdx.id()) a_.mov(x86::rdx, second);
  // The ends of the ranges, as offsets and then as addresses.
  const auto find_end = [&](const Gp& range) {
    a_.add(range, x86::rax);
    a_.cmp(range, x86::r13);
    a_.ja(slow);
    if (variant_.hardened) a_.cmova(range, x86::rax);
    a_.add(range, x86::r15);
  };
  find_end(x86::rcx);
  if (copies) find_end(x86::rdx);
  if (variant_.counts_fuel) {
    const u32 cost = isa::info(isa::op_of(w_)).fuel;
    a_.cmp(fuel(), cost);
    a_.jl(slow);
    a_.sub(fuel(), cost);
  }
  a_.call(helper);
  a_.bind(after);
}

// Copies eax bytes, at most least_bytes_a_piece, that end at rdx to where they end at rcx, as if
// through a buffer. Uses these, xmm0 and xmm1.
void Emitter::copy_helper() {
  const Label below_2 = a_.newLabel();
  const Label below_4 = a_.newLabel();
  const Label below_8 = a_.newLabel();
  const Label below_16 = a_.newLabel();
  const Label above_32 = a_.newLabel();
  const Label upward = a_.newLabel();
  const Label none = a_.newLabel();
  // The last and the first bytes, which may overlap; all are read before any is written.
  const auto both_ends = [&](Id::Id move, i32 width) {
    a_.emit(move, x86::xmm0, x86::ptr(x86::rdx, -width, static_cast<u32>(width)));
    a_.sub(x86::rdx, x86::rax);
    a_.emit(move, x86::xmm1, x86::ptr(x86::rdx, 0, static_cast<u32>(width)));
    a_.emit(move, x86::ptr(x86::rcx, -width, static_cast<u32>(width)), x86::xmm0);
    a_.sub(x86::rcx, x86::rax);
    a_.emit(move, x86::ptr(x86::rcx, 0, static_cast<u32>(width)), x86::xmm1);
    a_.ret();
  };
  a_.cmp(x86::eax, 16);
  a_.jb(below_16);
  a_.cmp(x86::eax, 32);
  a_.ja(above_32);
  both_ends(Id::kIdMovups, 16);
  a_.bind(below_16);
  a_.cmp(x86::eax, 8);
  a_.jb(below_8);
  both_ends(Id::kIdMovq, 8);
  a_.bind(below_8);
  a_.cmp(x86::eax, 4);
  a_.jb(below_4);
  both_ends(Id::kIdMovd, 4);
  a_.bind(below_4);
  a_.cmp(x86::eax, 2);
  a_.jb(below_2);
  a_.pinsrw(x86::xmm0, x86::ptr(x86::rdx, -2, 2), 0);
  a_.sub(x86::rdx, x86::rax);
  a_.movzx(x86::edx, x86::ptr(x86::rdx, 0, 2));
  a_.neg(x86::rax);
  a_.mov(x86::ptr(x86::rcx, x86::rax, 0, 0, 2), x86::dx);
  a_.movd(x86::eax, x86::xmm0);
  a_.mov(x86::ptr(x86::rcx, -2, 2), x86::ax);
  a_.ret();
  a_.bind(below_2);
  a_.test(x86::eax, x86::eax);
  a_.jz(none);
  a_.movzx(x86::eax, x86::ptr(x86::rdx, -1, 1));
  a_.mov(x86::ptr(x86::rcx, -1, 1), x86::al);
  a_.bind(none);
  a_.ret();
  // 16 at a time from one end on; the others, at the other end, were read before.
  a_.bind(above_32);
  a_.cmp(x86::rcx, x86::rdx);
  a_.ja(upward);
  const Label next_up = a_.newLabel();
  a_.movups(x86::xmm1, x86::ptr(x86::rdx, -16, 16));
  a_.neg(x86::rax);
  a_.bind(next_up);
  a_.movups(x86::xmm0, x86::ptr(x86::rdx, x86::rax, 0, 0, 16));
  a_.movups(x86::ptr(x86::rcx, x86::rax, 0, 0, 16), x86::xmm0);
  a_.add(x86::rax, 16);
  a_.cmp(x86::rax, -16);
  a_.jl(next_up);
  a_.movups(x86::ptr(x86::rcx, -16, 16), x86::xmm1);
  a_.ret();
  a_.bind(upward);
  const Label next_down = a_.newLabel();
  a_.sub(x86::rdx, x86::rax);
  a_.sub(x86::rcx, x86::rax);
  a_.movups(x86::xmm1, x86::ptr(x86::rdx, 0, 16));
  a_.bind(next_down);
  a_.movups(x86::xmm0, x86::ptr(x86::rdx, x86::rax, 0, -16, 16));
  a_.movups(x86::ptr(x86::rcx, x86::rax, 0, -16, 16), x86::xmm0);
  a_.sub(x86::rax, 16);
  a_.cmp(x86::rax, 16);
  a_.ja(next_down);
  a_.movups(x86::ptr(x86::rcx, 0, 16), x86::xmm1);
  a_.ret();
}

// Fills eax bytes, at most least_bytes_a_piece, that end at rcx with dl. Uses these and xmm0.
void Emitter::fill_helper() {
  const Label below_4 = a_.newLabel();
  const Label below_8 = a_.newLabel();
  const Label below_16 = a_.newLabel();
  const Label next = a_.newLabel();
  const Label none = a_.newLabel();
  const auto first = [&](u32 width) { return x86::ptr(x86::rcx, x86::rax, 0, 0, width); };
  const auto last = [&](u32 width) { return x86::ptr(x86::rcx, -static_cast<i32>(width), width); };
  a_.movzx(x86::edx, x86::dl);
  a_.imul(x86::edx, x86::edx, 0x01010101);
  a_.neg(x86::rax);
  a_.cmp(x86::eax, -4);
  a_.jg(below_4);
  a_.cmp(x86::eax, -8);
  a_.jg(below_8);
  a_.movd(x86::xmm0, x86::edx);
  a_.pshufd(x86::xmm0, x86::xmm0, 0);
  a_.cmp(x86::eax, -16);
  a_.jg(below_16);
  a_.bind(next);
  a_.movups(first(16), x86::xmm0);
  a_.add(x86::rax, 16);
  a_.cmp(x86::rax, -16);
  a_.jl(next);
  a_.movups(last(16), x86::xmm0);
  a_.ret();
  a_.bind(below_16);
  a_.movq(first(8), x86::xmm0);
  a_.movq(last(8), x86::xmm0);
  a_.ret();
  a_.bind(below_8);
  a_.mov(first(4), x86::edx);
  a_.mov(last(4), x86::edx);
  a_.ret();
  a_.bind(below_4);
  a_.test(x86::eax, x86::eax);
  a_.jz(none);
  a_.mov(first(1), x86::dl);
  a_.mov(last(1), x86::dl);
  a_.cmp(x86::eax, -3);
  a_.jg(none);
  a_.mov(last(2), x86::dx);
  a_.bind(none);
  a_.ret();
}

bool Emitter::emit_memories(Op op) {
  const u16 a = field_a(w_);
  const isa::Word* const at = code_ + pc_;
  switch (op) {
    case Op::memory_size: {
      find_memory(field_b(w_), x86::rdx);
      a_.movzx(x86::ecx, x86::ptr(x86::rdx, Memory::page_shift_offset(), 1));
      a_.mov(x86::rax, x86::ptr(x86::rdx, size_offset, 8));
      a_.shr(x86::rax, x86::cl);
      a_.mov(x86::eax, x86::eax);
      return define(a, x86::rax), true;
    }
    case Op::memory_grow:
      return by_runtime(Routine::memory_grow), true;
    case Op::memory_fill:
      if (extra(0) != 0) return by_runtime(Routine::memory_fill), true;
      return few_bytes(fill_helper_, Routine::memory_fill), true;
    case Op::memory_copy:
      if (at[1] != 0) return by_runtime(Routine::memory_copy), true;
      return few_bytes(copy_helper_, Routine::memory_copy), true;
    case Op::memory_init:
      return by_runtime(Routine::memory_init), true;
    case Op::data_drop:
      return by_runtime(Routine::data_drop), true;
    default:
      return false;
  }
}

}  // namespace atollvm::jit
