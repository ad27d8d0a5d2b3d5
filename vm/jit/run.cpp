#include <algorithm>
#include <optional>

#include "vm/interp/shell.hpp"
#include "vm/jit/calls.hpp"
#include "vm/jit/code.hpp"
#include "vm/jit/fuel.hpp"
#include "vm/jit/jit.hpp"
#include "vm/jit/routines.hpp"
#include "vm/jit/x64_emitter.hpp"

namespace atollvm::jit {

using interp::Flow;
using interp::State;
using isa::Word;
using runtime::FuncInfo;
using runtime::Outcome;
using runtime::Process;
using runtime::Slot;
using runtime::Trap;
using runtime::Worker;

namespace {

constexpr u32 go_on = 0;
constexpr u32 left(Left how) { return static_cast<u32>(how); }

// So many slots of the guest's stack may come before the host's stack is begun anew: each call
// takes 8 bytes of it, and a slot at least of the guest's. Host functions may call the guest again,
// so that there are as many such parts on the host's stack as calls are nested.
constexpr u64 slots_at_once = u64{4} << 10;

// So many calls and turns of loops are interpreted at most before it is asked again what to
// compile.
constexpr u32 most_turns_at_once = 500;
// The same where fuel is counted, and this many instructions.
constexpr u32 most_steps_at_once = 10'000;
// Who stopped by its own wish is likely to do so again soon: so many turns are made before machine
// code is entered, which costs about as much as it saves on these.
constexpr i32 turns_after_rest = 16;

State state_at(Worker* worker, const Word* pc, Slot* fp) {
  const runtime::Native& native = worker->native;
  const Process& process = *worker->process;
  const i64 fuel = process.counts_fuel() ? native.fuel : process.fuel();
  return State{pc, fp, native.memory, native.memory_size, fuel, worker};
}

u32 leave_with(Worker* worker, Outcome outcome) {
  worker->native.outcome = outcome;
  return left(Left::with_outcome);
}

// What compiled code needs of a state.
void give(const State& s) {
  s.worker->native.fp = s.fp;
  s.worker->native.memory = s.memory;
  s.worker->native.memory_size = s.memory_size;
  s.worker->native.fuel = s.fuel;
}

u32 leave_to_go_on(const State& s) {
  interp::save(s, s.pc);
  return left(Left::to_go_on);
}

// Functions that the interpreter calls are left to, so that what the host's stack allows is no
// limit for them.
constexpr u64 no_ceiling = ~u64{0};
void set_ceiling(Worker* worker, u64 ceiling) {
  u64& now = worker->native.ceiling;
  const bool counts = std::min(now, ceiling) < worker->process->stack_slots();
  now = ceiling;
  if (counts) worker->process->arm();
}

// The function that the call before the header at `fp` names; an indirect one has left it in
// Native::target.
u32 callee_of(const Worker* worker, const Slot* fp) {
  const runtime::Program& program = *worker->instance->program;
  const Word call = program.code()[program.instruction_at(runtime::header_pc(fp[-1]) - 1)];
  const isa::Op op = isa::op_of(call);
  if (op == isa::Op::call_table || op == isa::Op::call_ref) {
    return static_cast<u32>(reinterpret_cast<std::uintptr_t>(worker->native.target));
  }
  return isa::field_bc(call);
}

// What the code has paid for the instructions after the one at `pc`.
i64 paid_after(const Worker* worker, u32 pc) {
  if (!worker->process->counts_fuel()) return 0;
  const runtime::Program& program = *worker->instance->program;
  const mod::Function& function =
      program.module().functions[program.function_at(pc) - program.imported_functions()];
  return fuel_after(program.module(), function, pc - function.code_begin);
}

// Before the interpreter executes the instruction at hand and takes its fuel: gives back what the
// code has paid for it and for those after it. Gives what is to be taken again for these.
i64 give_back_fuel(State& s) {
  const isa::OpInfo& op = isa::info(isa::op_of(*s.pc));
  if (!s.worker->process->counts_fuel() || op.has(isa::bulk)) return 0;
  const i64 after = paid_after(s.worker, static_cast<u32>(s.pc - s.worker->code));
  s.fuel += op.fuel + after;
  return after;
}

// Whether the worker is to leave its code for a moment, and nothing else.
bool leaves_for_a_moment(Worker* worker) {
  if (!Resident::of(*worker).take_request()) return false;
  worker->process->arm();
  return worker->limit.load(std::memory_order_relaxed) != nullptr;
}

// Enters a function whose frame's header is written, where its code can't or may not. That of a
// tail call has any header, and its caller has looked for the room: it overflows nothing here.
u32 enter_slowly(Worker* worker, u32 function, Slot* fp, bool interpreted) {
  const FuncInfo& callee = worker->functions[function];
  if (leaves_for_a_moment(worker)) interpreted = true;
  const Slot header = fp[-1];
  const u16 window = runtime::header_window(header);
  // As during the call.
  State s = state_at(worker, worker->code + runtime::header_pc(header) - 1, fp - window);
  if (!interp::grow_stack(s, window, callee.window_slots)) {
    s.pc = worker->code + worker->instance->program->instruction_at(runtime::header_pc(header) - 1);
    return leave_with(worker, interp::trap_here(s, Trap::stack_overflow).outcome());
  }
  fp = s.fp + window;
  const bool is_out_of_fuel = worker->process->counts_fuel() && s.fuel < 0;
  const bool stops = !interp::has_room(s, fp, callee) || is_out_of_fuel;
  const u64 above = static_cast<u64>(fp - worker->process->stack()) + callee.window_slots;
  if (!stops && !interpreted) {
    s.fp = fp;
    give(s);
    return go_on;
  }
  interp::start_frame(s, callee, fp);
  if (is_out_of_fuel) return leave_with(worker, interp::stop_here(s).outcome());
  // The host's stack is to be begun anew, or the process is to stop.
  if (interpreted || above > worker->native.ceiling) return leave_to_go_on(s);
  return leave_with(worker, interp::stop_here(s).outcome());
}

// What a pool's options mean for run_auto: a function is compiled that has been met with `times`
// times, by asking every so many turns.
struct WarmUp {
  u32 times;
  i32 turns;
};
WarmUp warm_up_of(const Process& process) {
  const u32 turns = Pool::of(*process.worker()).options().warm_up;
  const u32 at_once = std::clamp(turns / 2, 1u, most_turns_at_once);
  return {turns / at_once, static_cast<i32>(at_once)};
}
// Of run().
constexpr WarmUp at_once{0, most_turns_at_once};

// Interprets until it is to be asked again what to compile. False: that is so.
bool interpret(Process& process, Outcome& outcome, i32 turns_at_once) {
  runtime::Native& native = process.worker()->native;
  if (native.turns_unasked <= 0) native.turns_unasked = turns_at_once;
  native.turns = native.turns_unasked;
  const u64 begin = now();
  outcome = interp::run_counted(process);
  native.spent = now() - begin;
  native.turns_unasked = std::min(native.turns, turns_at_once);
  return native.turns >= 0 || outcome.kind != Outcome::Kind::preempted;
}

// Interprets who has rested for a few turns; the same. These turns count for nothing: most who do
// so rest again, and a switch is to cost no more than the interpreter's.
bool interpret_after_rest(Process& process, Outcome& outcome) {
  runtime::Native& native = process.worker()->native;
  native.turns = turns_after_rest;
  outcome = interp::run_counted(process);
  return native.turns >= 0 || outcome.kind != Outcome::Kind::preempted;
}

// Interprets for a while where fuel is counted; the same. Up to a function's start or a loop's,
// from where code can go on.
bool interpret_exactly(Process& process, Outcome& outcome) {
  State s = interp::load(process);
  bool is_turn = false;
  for (u64 steps = 0; steps < most_steps_at_once || !is_turn; ++steps) {
    const Word* const at = s.pc;
    if (!interp::step_one(s, true, outcome)) return true;
    is_turn = s.pc <= at || isa::info(isa::op_of(*at)).has(isa::calls);
  }
  interp::save(s, s.pc);
  return false;
}

// What compiled code keeps of a worker while it runs; of a run within a host call of another run,
// until that goes on.
class Residence {
 public:
  Residence(Process& process, const Host& host, u32 warm_up, bool hardened)
      : process_(process),
        native_(process.worker()->native),
        resident_(Resident::of(*process.worker())) {
    if (native_.stack != nullptr) outer_ = native_;
    native_.stack = nullptr;
    native_.routines = host.routines();
    native_.warm_up = warm_up;
    native_.hardened = hardened;
  }
  ~Residence() {
    leave();
    if (!outer_) return;
    native_ = *outer_;
    process_.arm();
  }
  Residence(const Residence&) = delete;
  Residence& operator=(const Residence&) = delete;

  // No code is in use any more but that which is looked for from now on. The outer run's mark holds
  // for the inner ones.
  void look() {
    if (!outer_) resident_.enter();
  }
  void enter(const Code& code) {
    give(interp::load(process_));
    native_.entries = code.entries();
    native_.ceiling = process_.saved.fp + slots_at_once;
    native_.spent = 0;
    native_.stack = this;  // Enter says where; until then any address does for arm()
    if (native_.ceiling < process_.stack_slots()) process_.arm();
  }
  void leave() {
    if (!outer_) resident_.leave();
    if (native_.stack == nullptr) return;
    native_.stack = nullptr;
    if (native_.ceiling < process_.stack_slots()) process_.arm();
  }

 private:
  Process& process_;
  runtime::Native& native_;
  Resident& resident_;
  std::optional<runtime::Native> outer_;
};

// False: there is no memory for it.
bool becomes_resident(Worker& worker) {
  if (worker.resident != nullptr) return true;
  try {
    worker.resident = std::make_unique<Resident>(worker);
  } catch (const std::bad_alloc&) {
    return false;
  }
  return true;
}

// Emitted code has no signature before it that -fsanitize=function could look at.
#if defined(__clang__)
[[clang::no_sanitize("function")]]
#endif
Outcome run_compiled(Process& process, WarmUp warm_up, u32 warm_up_first, bool hardened = false) {
  const Host* const host = Host::get();
  Worker& worker = *process.worker();
  if (host == nullptr || !becomes_resident(worker)) {
    return interp::run_shell(process, process.counts_fuel());
  }
  Residence residence(process, *host, warm_up.times, hardened);
  Outcome outcome;
  for (u32 needed = warm_up_first;; needed = warm_up.times) {
    residence.look();
    Code* const code = Code::of(process);
    const u32 pc = process.saved.pc;
    const void* const at = code == nullptr ? nullptr : code->resume(worker, pc, needed);
    if (at == nullptr) {
      residence.leave();
      if (!process.counts_fuel()) {
        if (interpret(process, outcome, warm_up.turns)) return outcome;
      } else if (code == nullptr || code->is_refused_at(pc)) {
        return interp::run_shell(process, true);
      } else if (interpret_exactly(process, outcome)) {
        return outcome;
      }
      continue;
    }
    residence.enter(*code);
    if (host->enter()(&worker, at) == Left::with_outcome) return worker.native.outcome;
  }
}

}  // namespace

namespace calls {

u32 entry(Worker* worker, u32 function, Slot* fp) noexcept {
  return enter_slowly(worker, function, fp, false);
}

u32 fallback(Worker* worker, u32 pc, Slot* fp) noexcept {
  const Word* const at = worker->code + pc;
  const isa::OpInfo& op = isa::info(isa::op_of(*at));
  const u64 ceiling = worker->native.ceiling;
  if (op.has(isa::calls)) set_ceiling(worker, no_ceiling);
  State s = state_at(worker, at, fp);
  const i64 after = give_back_fuel(s);
  Outcome outcome;
  if (!interp::step_one(s, worker->process->counts_fuel(), outcome)) {
    return leave_with(worker, outcome);
  }
  s.fuel -= after;
  // Only what calls or ends goes elsewhere; what ends does so also where the next function begins.
  if (op.has(isa::ends) || (op.has(isa::calls) && s.pc != at + isa::length(at))) {
    return leave_to_go_on(s);
  }
  if (op.has(isa::calls)) set_ceiling(worker, ceiling);
  give(s);
  return go_on;
}

template <isa::Op op>
u32 execute(Worker* worker, u32 pc, Slot* fp) noexcept {
  const Word* const at = worker->code + pc;
  State s = state_at(worker, at, fp);
  const i64 after = give_back_fuel(s);
  Outcome outcome;
  const bool goes_on =
      worker->process->counts_fuel()
          ? interp::execute<op, interp::Counts::fuel>(s, interp::Insn(at), outcome)
          : interp::execute<op, interp::Counts::nothing>(s, interp::Insn(at), outcome);
  if (!goes_on) return leave_with(worker, outcome);
  s.fuel -= after;
  give(s);
  return go_on;
}
#define INSTANCE(op) template u32 execute<isa::Op::op>(Worker*, u32, Slot*) noexcept;
ATOLL_RUNTIME_OPERATIONS(INSTANCE)
#undef INSTANCE

template <bool exact>
u32 call_from(Worker* worker, u32 pc, Slot* fp) {
  const Word* const at = worker->code + pc;
  State s = state_at(worker, at, fp);
  const interp::Insn w(at);
  using Call = interp::Body<isa::Op::call_import>;
  Flow flow = Call::run<exact>(s, w);
  if (flow.is_slow()) [[unlikely]] {
    set_ceiling(worker, no_ceiling);
    flow = Call::run_slow<exact>(s, w);
    if (flow.goes_on()) return leave_to_go_on(s);
  }
  if (!flow.goes_on()) return leave_with(worker, flow.outcome());
  give(s);
  return go_on;
}

u32 host_call(Worker* worker, u32 pc, Slot* fp) noexcept {
  return worker->process->counts_fuel() ? call_from<true>(worker, pc, fp)
                                        : call_from<false>(worker, pc, fp);
}

u32 stop(Worker* worker, u32 pc, Slot* fp) noexcept {
  const State s = state_at(worker, worker->code + pc, fp);
  const bool is_out_of_fuel = worker->process->counts_fuel() && s.fuel < 0;
  if (!is_out_of_fuel && leaves_for_a_moment(worker)) return leave_to_go_on(s);
  return leave_with(worker, interp::stop_here(s).outcome());
}

u32 trap(Worker* worker, u32 pc, Slot* fp, u32 trap) noexcept {
  State s = state_at(worker, worker->code + pc, fp);
  s.fuel += paid_after(worker, pc);
  return leave_with(worker, interp::trap_here(s, static_cast<Trap>(trap)).outcome());
}

u32 compile(Worker* worker, u32, Slot* fp) noexcept {
  const u32 function = callee_of(worker, fp);
  worker->native.target =
      Code::of(*worker->process)->function(*worker, function, worker->native.warm_up);
  if (worker->native.target != nullptr) return go_on;
  const u32 arguments = std::min<u32>(worker->functions[function].param_slots, arguments_in_homes);
  std::copy_n(worker->native.arguments, arguments, fp);
  return enter_slowly(worker, function, fp, true);
}

u32 returned(Worker* worker, u32, Slot* fp) noexcept {
  State s = state_at(worker, nullptr, fp);
  const Flow flow = interp::leave_any_frame(s);
  if (!flow.goes_on()) return leave_with(worker, flow.outcome());
  Code* const code = Code::of(*worker->process);
  const u32 pc = static_cast<u32>(s.pc - worker->code);
  worker->native.target =
      code == nullptr ? nullptr : code->resume(*worker, pc, worker->native.warm_up);
  if (worker->native.target == nullptr) return leave_to_go_on(s);
  worker->native.entries = code->entries();
  give(s);
  return go_on;
}

}  // namespace calls

base::Status fix_executable_memory() {
  const Host* const host = Host::get();
  return host == nullptr ? base::Status() : host->memory().open_all();
}

bool is_available() { return Host::get() != nullptr; }

Outcome run(Process& process) {
  return interp::run_by(process, [](Process& p, bool) { return run_compiled(p, at_once, 0); });
}
Outcome run_hardened(Process& process) {
  return interp::run_by(process,
                        [](Process& p, bool) { return run_compiled(p, at_once, 0, true); });
}

namespace {

[[gnu::noinline]] Outcome run_warming_up(Process& process, bool exact) {
  // Turns are not counted where fuel is.
  if (exact) return run_compiled(process, at_once, 0);
  const WarmUp warm_up = warm_up_of(process);
  process.worker()->native.spent = 0;
  Outcome early;
  // Whoever ends soon needs no memory for code.
  if (process.current().program->native() == nullptr) {
    if (interpret(process, early, warm_up.turns)) return early;
  }
  return run_compiled(process, warm_up, process.has_rested ? Code::never : warm_up.times);
}

}  // namespace

Outcome run_auto(Process& process) {
  using Kind = Outcome::Kind;
  const Outcome outcome = interp::run_by(process, [](Process& p, bool exact) {
    if (p.has_rested && !exact) {
      Outcome early;
      if (interpret_after_rest(p, early)) return early;
    }
    return run_warming_up(p, exact);
  });
  constexpr u32 rests = 1u << static_cast<u32>(Kind::rested) |
                        1u << static_cast<u32>(Kind::pending) |
                        1u << static_cast<u32>(Kind::waiting);
  process.has_rested = (rests >> static_cast<u32>(outcome.kind) & 1) != 0;
  return outcome;
}

}  // namespace atollvm::jit
