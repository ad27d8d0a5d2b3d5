// The shell of computed goto, for compilers without guaranteed tail calls.
#include "vm/interp/shell.hpp"

#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wpedantic"  // labels as values

namespace atollvm::interp {

namespace {

template <Counts counts>
Outcome loop(State s) {
  static const void* const labels[] = {
#define OP(number, id, ...) &&label_##id,
#include "vm/isa/opcodes.def"
#undef OP
  };
  Outcome outcome;
  Insn w(s.pc);
  goto* labels[opcode(w)];
#define OP(number, id, ...)                                                 \
  label_##id : if (!execute<Op::id, counts>(s, w, outcome)) return outcome; \
  w = Insn(s.pc);                                                           \
  goto* labels[opcode(w)];
#include "vm/isa/opcodes.def"
#undef OP
}

}  // namespace

Outcome run_shell(runtime::Process& process, bool exact) {
  const State s = load(process);
  return exact ? loop<Counts::fuel>(s) : loop<Counts::nothing>(s);
}
Outcome run_counted(runtime::Process& process) { return loop<Counts::turns>(load(process)); }

}  // namespace atollvm::interp

#endif
