// The shell of tail calls: each operation is a function whose arguments are the State, kept in
// CPU registers by the preserve_none convention, and which ends by jumping to the next one.
#include "vm/interp/shell.hpp"

#if defined(__clang__)

namespace atollvm::interp {

namespace {

using Handler = void (*)();  // really HandlerFn; a function type can't name itself
#define ATOLL_HANDLER_PARAMS                                                       \
  const Word *pc, Slot *fp, u8 *memory, u64 memory_size, i64 fuel, Worker *worker, \
      const Handler *table
typedef Flow (*HandlerFn)(const Word*, Slot*, u8*, u64, i64, Worker*, const Handler*)
    __attribute__((preserve_none));

// Goes to the instruction at s.pc. A macro because a guaranteed tail call must be written in the
// function that makes it.
#define ATOLL_NEXT(s)                                                                  \
  [[clang::musttail]] return reinterpret_cast<HandlerFn>(table[opcode(Insn((s).pc))])( \
      (s).pc, (s).fp, (s).memory, (s).memory_size, (s).fuel, worker, table)

// Leaving with a trap, by a tail call too: a handler that calls nothing keeps its arguments where
// they are. The trap's code takes the place of the memory's size.
[[gnu::cold, gnu::noinline]] __attribute__((preserve_none)) Flow trap_exit(ATOLL_HANDLER_PARAMS) {
  static_cast<void>(memory);
  static_cast<void>(table);
  return leave_trap(worker, pc, fp, fuel, static_cast<Trap>(memory_size)).as_stop();
}
#define ATOLL_TRAP(s, trap)                                                                \
  [[clang::musttail]] return trap_exit((s).pc, (s).fp, (s).memory, static_cast<u64>(trap), \
                                       (s).fuel, worker, table)

// The slow paths, apart so that the fast ones need no stack frame. The fuel is debited already.
template <Op op, bool exact>
[[gnu::cold, gnu::noinline]] __attribute__((preserve_none)) Flow slow(ATOLL_HANDLER_PARAMS) {
  State s{pc, fp, memory, memory_size, fuel, worker};
  [[maybe_unused]] const Insn w(pc);
  const Flow flow = Body<op>::template run_slow<exact>(s, w);
  if (!flow.goes_on()) return flow;
  ATOLL_NEXT(s);
}

template <Op op, Counts counts>
__attribute__((preserve_none)) Flow handle(ATOLL_HANDLER_PARAMS) {
  constexpr bool exact = counts == Counts::fuel;
  State s{pc, fp, memory, memory_size, fuel, worker};
  [[maybe_unused]] const Insn w(pc);
  if constexpr (exact) s.fuel -= op_fuel[static_cast<u16>(op)];
  using Result = BodyResult<op, exact>;
  if constexpr (std::is_void_v<Result>) {
    Body<op>::template run<exact>(s, w);
    s.pc += words_of<op>;
    ATOLL_NEXT(s);
  } else if constexpr (std::is_same_v<Result, Check>) {
    const Check check = Body<op>::template run<exact>(s, w);
    if (!check.ok()) [[unlikely]]
      ATOLL_TRAP(s, check.trap());
    s.pc += words_of<op>;
    ATOLL_NEXT(s);
  } else if constexpr (std::is_same_v<Result, bool> || std::is_same_v<Result, Taken>) {
    while (true) {
      const auto taken = Body<op>::template run<exact>(s, w);
      if constexpr (std::is_same_v<Result, Taken>) {
        if (taken == Taken::trap) [[unlikely]]
          ATOLL_TRAP(s, Trap::memory_bounds);
      }
      // Each arm dispatches: a shared dispatch would make the guest's pc a conditional move.
      if (!static_cast<bool>(taken)) {
        s.pc += words_of<op>;
        ATOLL_NEXT(s);
      }
      s.pc = target_of<op>(s.pc, w);
      if constexpr (goes_back<op>) {
        if (must_stop<exact>(s)) [[unlikely]]
          return stop_here(s);
        if (is_last_turn<op, counts>(s)) [[unlikely]]
          return leave_counted(worker, s.pc, s.fp, s.fuel);
      }
      // A scan usually is its own target, and turns without any dispatch.
      if (!is_scan<op> || s.pc != pc) ATOLL_NEXT(s);
      if constexpr (exact) s.fuel -= op_fuel[static_cast<u16>(op)];
    }
  } else if constexpr (std::is_same_v<Result, Returns>) {
    if (Body<op>::template run<exact>(s, w) == Returns::yes) {
      if (leave_frame(s).is_slow()) [[unlikely]] {
        [[clang::musttail]] return slow<op, exact>(s.pc, s.fp, s.memory, s.memory_size, s.fuel,
                                                   worker, table);
      }
      ATOLL_NEXT(s);
    }
    s.pc += words_of<op>;
    ATOLL_NEXT(s);
  } else {
    static_assert(std::is_same_v<Result, Flow>);
    const Flow flow = Body<op>::template run<exact>(s, w);
    if constexpr (has_slow<op>) {
      if (flow.is_slow()) [[unlikely]] {
        [[clang::musttail]] return slow<op, exact>(s.pc, s.fp, s.memory, s.memory_size, s.fuel,
                                                   worker, table);
      }
    }
    if (!flow.goes_on()) [[unlikely]]
      return flow;
    if (is_last_turn<op, counts>(s)) [[unlikely]]
      return leave_counted(worker, s.pc, s.fp, s.fuel);
    ATOLL_NEXT(s);
  }
}

// Those that count turns are apart, the others the same.
template <Op op, Counts counts>
constexpr Counts counts_of = counts == Counts::turns && !is_turn<op> ? Counts::nothing : counts;

template <Counts counts>
const Handler handlers[] = {
#define OP(number, id, ...) reinterpret_cast<Handler>(&handle<Op::id, counts_of<Op::id, counts>>),
#include "vm/isa/opcodes.def"
#undef OP
};

// A function of its own and without sanitizers: a preserve_none chain must not be entered from a
// frame that they lay out anew. clang 19 keeps such a frame's base in rbx, which the chain changes.
[[gnu::noinline]] [[clang::no_sanitize("address", "undefined", "coverage")]]
Outcome run_table(runtime::Process& process, const Handler* table) {
  const State s = load(process);
  return reinterpret_cast<HandlerFn>(table[opcode(Insn(s.pc))])(s.pc, s.fp, s.memory, s.memory_size,
                                                                s.fuel, s.worker, table)
      .outcome();
}

}  // namespace

Outcome run_shell(runtime::Process& process, bool exact) {
  return run_table(process, exact ? handlers<Counts::fuel> : handlers<Counts::nothing>);
}
Outcome run_counted(runtime::Process& process) {
  return run_table(process, handlers<Counts::turns>);
}

}  // namespace atollvm::interp

#endif
