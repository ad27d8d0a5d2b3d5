// Calls, and what the runtime executes.
#include <algorithm>
#include <array>

#include "vm/jit/x64_emitter.hpp"
#include "vm/jit/x64_worker.hpp"

namespace atollvm::jit {

using namespace asmjit;
using isa::field_a;
using isa::Op;

// At a function's entry: from the homes that all callers use into this function's own.
void Emitter::take_arguments() {
  const u32 count = std::min<u32>(program_.functions()[index_].param_slots, arguments_in_homes);
  for (u32 i = 0; i < count; ++i) {
    const u16 number = static_cast<u16>(i);
    const Gp argument = homes_general[i];
    const Home floating = float_of(number);
    const bool is_clean = analysis_.is_clean_32(number);
    Home home = general_of(number);
    if (home != no_home) {
      if (is_clean) a_.mov(argument.r32(), argument.r32());
    } else if (floating != no_home) {
      home = floating;
      const bool is_32 = is_clean || analysis_.loads_32(number);
      a_.emit(is_32 ? x86::Inst::kIdMovd : x86::Inst::kIdMovq, xmm(home), sized(argument, !is_32));
    } else {
      a_.mov(slot(number), argument);
      continue;
    }
    regs_.valid |= bit(home);
    regs_.dirty |= bit(home);
  }
}

// Puts the first of `count` arguments into homes for the callee; what else is in homes is lost.
// Uses rax.
void Emitter::give_arguments(u16 arguments, u32 count) {
  struct Move {
    Gp from;
    bool waits = false;
  };
  std::array<Move, arguments_in_homes> moves;
  count = std::min(count, arguments_in_homes);
  const auto number = [&](u32 i) { return static_cast<u16>(arguments + i); };
  for (u32 i = 0; i < count; ++i) {
    const Home home = general_of(number(i));
    if (home == no_home || (regs_.valid & bit(home)) == 0) continue;
    moves[i] = {gp(home), gp(home) != homes_general[i]};
  }
  const auto is_read = [&](const Gp& target) {
    return std::any_of(moves.begin(), moves.end(),
                       [&](const Move& each) { return each.waits && each.from == target; });
  };
  // Those whose target nobody waits for any more; where all wait in circles, one of them is put
  // aside.
  for (bool goes_on = true; goes_on;) {
    goes_on = false;
    Move* waiting = nullptr;
    for (u32 i = 0; i < count; ++i) {
      if (!moves[i].waits) continue;
      waiting = &moves[i];
      if (is_read(homes_general[i])) continue;
      a_.mov(homes_general[i], moves[i].from);
      moves[i].waits = false;
      goes_on = true;
    }
    if (goes_on || waiting == nullptr) continue;
    const Gp aside = waiting->from;
    a_.mov(x86::rax, aside);
    for (Move& each : moves) {
      if (each.waits && each.from == aside) each.from = x86::rax;
    }
    goes_on = true;
  }
  for (u32 i = 0; i < count; ++i) {
    if (moves[i].from.isValid()) continue;
    const Home floating = float_of(number(i));
    if (floating != no_home && (regs_.dirty & bit(floating)) != 0) {
      a_.movq(homes_general[i], xmm(floating));
    } else {
      a_.mov(homes_general[i], slot(number(i)));
    }
  }
  forget_all();
}

void Emitter::call(u32 function, u16 window, u32 next) {
  const runtime::FuncInfo& callee = program_.functions()[function];
  begin_call(window, callee.param_slots, next);
  if (function == index_) {
    a_.call(entry_);
  } else {
    a_.mov(x86::rax, at::worker(at::entries));
    a_.call(x86::ptr(x86::rax, static_cast<i32>(function) * 8, 8));
  }
  end_call(window, callee.result_slots != 0, next, a_.newLabel());
}

// Gives the arguments, keeps the caller's own values, writes the header of the callee's frame and
// goes over to it. Leaves rcx.
void Emitter::begin_call(u16 window, u32 arguments, u32 next) {
  Homes stored = 0;
  const u32 in_slots = u32{window} + arguments_in_homes;
  for (const Zone::Assigned& each : analysis_.zones()[zone_].assigned) {
    if (each.slot + 1 < window || (each.slot >= in_slots && each.slot < window + arguments)) {
      stored |= bit(each.home);
    }
  }
  flush(regs_.dirty & stored);
  give_arguments(window, arguments);
  a_.mov(x86::rax, u64{window} << 32 | (function_.code_begin + next));
  a_.mov(slot(window - 1u), x86::rax);
  a_.add(x86::rbx, i32{window} * 8);
}

// `from_slots` is where code goes on that has made the call in another way.
void Emitter::end_call(u16 window, bool has_result, u32 next, Label from_slots) {
  a_.sub(x86::rbx, i32{window} * 8);
  if (!has_result) {
    a_.bind(from_slots);
    return resume_at(next);
  }
  results_.push_back({next, from_slots, a_.newLabel(), window});
  a_.bind(results_.back().after);
  if (analysis_.is_clean_32(window)) a_.mov(x86::eax, x86::eax);
  define(window, x86::rax);
}

// Puts the number of the function that an indirect call names into rcx, and the address of the
// functions, with where the function's is from there in units of 8, into rax and rdx. Goes to
// `slow` where it is none of this instance's own, or of another type.
void Emitter::find_callee(bool in_table, Label slow) {
  using runtime::FuncInfo;
  const u16 reference = isa::field_b(w_);
  if (in_table) {
    const Gp index = use(reference, x86::rax);
    find_table(isa::field_c(w_), x86::rcx);
    a_.mov(x86::eax, index.r32());
    a_.mov(x86::rcx, find_element(x86::rax, x86::rdx, slow));
  } else {
    const Gp value = use(reference, x86::rcx);
    if (value.id() != x86::rcx.id()) a_.mov(x86::rcx, value);
  }
  // A reference is {function:32, instance + 1:32}.
  a_.mov(x86::rdx, instance());
  a_.mov(x86::edx, x86::ptr(x86::rdx, at::index, 4));
  a_.inc(x86::edx);
  a_.mov(x86::rax, x86::rcx);
  a_.shr(x86::rax, 32);
  a_.mov(x86::ecx, x86::ecx);
  a_.cmp(x86::eax, x86::edx);
  a_.jne(slow);
  a_.lea(x86::eax, x86::ptr(x86::rcx, -static_cast<i32>(program_.imported_functions())));
  a_.cmp(x86::eax, static_cast<u32>(module_.functions.size()));
  a_.jae(slow);
  if (variant_.hardened) {
    a_.mov(x86::edx, program_.imported_functions());
    a_.cmovae(x86::ecx, x86::edx);
  }
  a_.mov(x86::rax, at::worker(at::functions));
  static_assert(sizeof(FuncInfo) == 24);
  a_.lea(x86::rdx, x86::ptr(x86::rcx, x86::rcx, 1));
  a_.cmp(x86::ptr(x86::rax, x86::rdx, 3, offsetof(FuncInfo, type), 4),
         program_.canonical_types()[isa::field_bc(code_[pc_ + 1])]);
  a_.jne(slow);
}

// In machine code where the callee is of this instance; the interpreter makes all other calls, and
// refuses what is none.
void Emitter::call_indirect(u16 window, u32 next) {
  const mod::FuncType& type = module_.types[isa::field_bc(code_[pc_ + 1])];
  const Label slow = a_.newLabel();
  const Label done = a_.newLabel();
  find_callee(isa::op_of(w_) == Op::call_table, slow);
  slow_paths_.push_back({slow, done, pc_, Routine::fallback, zone_, regs_});
  // For `compile`, where it is not compiled yet.
  a_.mov(at::worker(at::target), x86::rcx);
  begin_call(window, type.param_slots(), next);
  a_.mov(x86::rax, at::worker(at::entries));
  a_.call(x86::ptr(x86::rax, x86::rcx, 3, 0, 8));
  end_call(window, type.result_slots() != 0, next, done);
}

// --- Tail calls: the callee's frame takes the place of this one, over the same header; it returns
// to where this one would. Where there is no room for it, or no code yet, the interpreter makes the
// call.

// Goes to `slow` where the code in rdx is none. Uses rcx.
void Emitter::check_compiled(Label slow) {
  a_.mov(x86::rcx, at::worker(at::routines));
  a_.cmp(x86::rdx, x86::ptr(x86::rcx, static_cast<i32>(Routine::compile) * 8, 8));
  a_.je(slow);
}

// The arguments become the first slots of this frame. Leaves rdx.
void Emitter::give_arguments_below(u16 arguments, u32 count) {
  const u32 others = count - std::min(count, arguments_in_homes);
  const u16 from = static_cast<u16>(arguments + arguments_in_homes);
  flush(regs_.dirty & homes_in(from, others));
  give_arguments(arguments, count);
  move_range(arguments_in_homes, from, others);
}

void Emitter::tail(u32 function, u16 arguments) {
  const runtime::FuncInfo& callee = program_.functions()[function];
  const Label slow = a_.newLabel();
  slow_paths_.push_back({slow, slow, pc_, Routine::fallback, zone_, regs_});
  a_.lea(x86::rax, slot(callee.window_slots));
  a_.cmp(x86::rax, limit());
  a_.ja(slow);
  if (function == index_) {
    give_arguments_below(arguments, callee.param_slots);
    a_.jmp(entry_room_);
    return;
  }
  a_.mov(x86::rdx, at::worker(at::entries));
  a_.mov(x86::rdx, x86::ptr(x86::rdx, static_cast<i32>(function) * 8, 8));
  check_compiled(slow);
  give_arguments_below(arguments, callee.param_slots);
  a_.jmp(x86::rdx);
}

void Emitter::tail_indirect(u16 arguments) {
  using runtime::FuncInfo;
  const Label slow = a_.newLabel();
  find_callee(isa::op_of(w_) == Op::tail_table, slow);
  slow_paths_.push_back({slow, slow, pc_, Routine::fallback, zone_, regs_});
  a_.movzx(x86::eax, x86::ptr(x86::rax, x86::rdx, 3, offsetof(FuncInfo, window_slots), 2));
  a_.lea(x86::rax, x86::ptr(x86::rbx, x86::rax, 3));
  a_.cmp(x86::rax, limit());
  a_.ja(slow);
  a_.mov(x86::rdx, at::worker(at::entries));
  a_.mov(x86::rdx, x86::ptr(x86::rdx, x86::rcx, 3, 0, 8));
  check_compiled(slow);
  give_arguments_below(arguments, module_.types[isa::field_bc(code_[pc_ + 1])].param_slots());
  a_.jmp(x86::rdx);
}

bool Emitter::emit_call(Op op) {
  const u16 window = field_a(w_);
  switch (op) {
    case Op::call:
      return call(isa::field_bc(w_), window, pc_ + 1), true;
    case Op::call_i32_add_i:
    case Op::call_i64_add_i:
      binary_imm(x86::Inst::kIdAdd, op == Op::call_i64_add_i, extra(3), extra(0),
                 signed_16(extra(2)));
      return call(isa::field_bc(w_), window, pc_ + 2), true;
    case Op::call_import:
      by_runtime(Routine::host_call);
      return resume_at(pc_ + 1), true;
    case Op::call_table:
    case Op::call_ref:
      return call_indirect(window, pc_ + 2), true;
    case Op::tail:
      return tail(isa::field_bc(w_), window), true;
    case Op::tail_table:
    case Op::tail_ref:
      return tail_indirect(window), true;
    default:
      return false;
  }
}

// --- What the runtime executes ------------------------------------------------------------------

// It executes the instruction at `pc`, and code goes on at `after`. Jumps, no call: the CPU would
// go on to expect a return where the process stops instead.
void Emitter::execute(u32 pc, Routine routine, Label after) {
  a_.mov(x86::esi, function_.code_begin + pc);
  a_.lea(x86::rcx, x86::ptr(after));
  a_.mov(x86::rax, at::worker(at::routines));
  a_.jmp(x86::ptr(x86::rax, static_cast<i32>(routine) * 8));
}

// It executes this instruction, and goes on with it where it stopped on the way.
void Emitter::by_runtime(Routine routine) {
  flush(regs_.dirty);
  forget_all();
  if (isa::info(isa::op_of(w_)).has(isa::bulk)) resume_at(pc_);
  const Label after = a_.newLabel();
  execute(pc_, routine, after);
  a_.bind(after);
  landing();
}

void Emitter::slow_path(const SlowPath& path) {
  const isa::OpInfo& op = isa::info(isa::op_of(code_[path.pc]));
  a_.bind(path.label);
  enter_zone(path.zone);
  regs_ = path.regs;
  flush(regs_.dirty);
  if (op.has(isa::bulk)) resume_at(path.pc);
  if (op.has(isa::ends)) return execute(path.pc, path.routine, path.after);
  const Label back = a_.newLabel();
  execute(path.pc, path.routine, back);
  a_.bind(back);
  landing();
  for (Home home = 0; home < max_homes && !op.has(isa::calls); ++home) {
    if ((path.regs.valid & bit(home)) != 0) load_home(home);
  }
  a_.jmp(path.after);
}

}  // namespace atollvm::jit
