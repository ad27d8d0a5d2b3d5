// Tables and references to functions.
#include "vm/jit/x64_emitter.hpp"
#include "vm/jit/x64_worker.hpp"

namespace atollvm::jit {

using namespace asmjit;
using isa::field_a;
using isa::field_b;
using isa::field_c;
using isa::Op;

// The address of a table.
void Emitter::find_table(u16 number, const Gp& to) {
  a_.mov(to, instance());
  a_.mov(to, x86::ptr(to, at::tables, 8));
  a_.mov(to, x86::ptr(to, i32{number} * 8, 8));
}

// The element `number` of the table in rcx, which is used up as `scratch` is. `outside` is where
// there is none; a CPU that does not expect this meets a null pointer at the worst.
x86::Mem Emitter::find_element(const Gp& number, const Gp& scratch, Label outside) {
  a_.cmp(number, x86::ptr(x86::rcx, at::size, 8));
  a_.jae(outside);
  a_.mov(x86::rcx, x86::ptr(x86::rcx, at::elements, 8));
  if (!variant_.hardened) return x86::ptr(x86::rcx, number, 3, 0, 8);
  a_.mov(scratch.r32(), 0);  // the flags stay
  a_.lea(x86::rcx, x86::ptr(x86::rcx, number, 3));
  a_.cmovae(x86::rcx, scratch);
  return x86::ptr(x86::rcx, 0, 8);
}

// The element that a slot names, of the table in rcx, which is used up as rax and rdx are.
x86::Mem Emitter::element(u16 index) {
  return find_element(use_clean(index, x86::rdx), x86::rax, trap(Trap::table_bounds));
}

bool Emitter::emit_table(Op op) {
  const u16 a = field_a(w_);
  switch (op) {
    case Op::ref_func: {
      // {function:32, instance + 1:32}
      const Gp to = target(a);
      a_.mov(x86::rcx, instance());
      a_.mov(x86::ecx, x86::ptr(x86::rcx, at::index, 4));
      a_.inc(x86::rcx);
      a_.shl(x86::rcx, 32);
      a_.mov(to.r32(), isa::field_bc(w_));
      a_.or_(to, x86::rcx);
      return define(a, to), true;
    }
    case Op::table_get: {
      find_table(field_c(w_), x86::rcx);
      const Mem from = element(field_b(w_));
      const Gp to = target(a);
      a_.mov(to, from);
      return define(a, to), true;
    }
    case Op::table_set: {
      find_table(field_c(w_), x86::rcx);
      const Mem to = element(a);
      a_.mov(to, use(field_b(w_), x86::rax));
      return true;
    }
    case Op::table_size: {
      find_table(field_b(w_), x86::rcx);
      const Gp to = target(a);
      a_.mov(to.r32(), x86::ptr(x86::rcx, at::size, 4));
      return define(a, to), true;
    }
    case Op::table_grow:
      return by_runtime(Routine::table_grow), true;
    case Op::table_fill:
      return by_runtime(Routine::table_fill), true;
    case Op::table_copy:
      return by_runtime(Routine::table_copy), true;
    case Op::table_init:
      return by_runtime(Routine::table_init), true;
    case Op::elem_drop:
      return by_runtime(Routine::elem_drop), true;
    default:
      return false;
  }
}

}  // namespace atollvm::jit
