// The shell that runs a counted number of instructions, for debuggers and comparisons.
#include "vm/interp/shell.hpp"

namespace atollvm::interp {

namespace {

using StepFn = bool (*)(State&, Insn, Outcome&);

template <Op op, bool exact>
bool step_op(State& s, Insn w, Outcome& outcome) {
  return execute<op, exact ? Counts::fuel : Counts::nothing>(s, w, outcome);
}

template <bool exact>
constexpr StepFn steps[] = {
#define OP(number, id, ...) &step_op<Op::id, exact>,
#include "vm/isa/opcodes.def"
#undef OP
};

}  // namespace

bool step_one(State& s, bool exact, Outcome& outcome) {
  const Insn w(s.pc);
  const StepFn* const table = exact ? steps<true> : steps<false>;
  return table[opcode(w)](s, w, outcome);
}

Outcome run_steps(runtime::Process& process, bool exact, u64 count) {
  State s = load(process);
  const StepFn* table = exact ? steps<true> : steps<false>;
  Outcome outcome;
  for (; count != 0; --count) {
    const Insn w(s.pc);
    if (!table[opcode(w)](s, w, outcome)) return outcome;
  }
  save(s, s.pc);
  return {Outcome::Kind::preempted, Trap::unreachable, 0};
}

}  // namespace atollvm::interp
