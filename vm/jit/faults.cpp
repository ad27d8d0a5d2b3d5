#include "vm/jit/faults.hpp"

#include <signal.h>
#include <ucontext.h>

#include "vm/jit/code.hpp"
#include "vm/runtime/guard.hpp"

namespace atollvm::jit {

namespace {

struct sigaction before;
const Host* catcher = nullptr;  // once faults are caught

// Goes on with the trap of the access that has failed. False: it was none.
bool become_trap(const siginfo_t& info, ucontext_t& context) {
  greg_t* const registers = context.uc_mcontext.gregs;
  const u8* const at = reinterpret_cast<const u8*>(registers[REG_RIP]);
  if (!catcher->memory().contains(at)) return false;
  const runtime::Worker& worker = *reinterpret_cast<const runtime::Worker*>(registers[REG_R14]);
  const std::uintptr_t memory = static_cast<std::uintptr_t>(registers[REG_R15]);
  const std::uintptr_t address = reinterpret_cast<std::uintptr_t>(info.si_addr);
  if (memory != reinterpret_cast<std::uintptr_t>(worker.native.memory)) return false;
  if (address - memory >= runtime::guarded_reserve) return false;
  const std::optional<u32> pc = Code::accessing(at);
  if (!pc) return false;
  registers[REG_RSI] = *pc;
  registers[REG_RCX] = static_cast<greg_t>(runtime::Trap::memory_bounds);
  registers[REG_RIP] =
      reinterpret_cast<greg_t>(catcher->routines()[static_cast<usize>(Routine::trap)]);
  return true;
}

void pass_on(int signal, siginfo_t* info, void* context) {
  if ((before.sa_flags & SA_SIGINFO) != 0) return before.sa_sigaction(signal, info, context);
  if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
    return before.sa_handler(signal);
  }
  // It comes again.
  sigaction(signal, &before, nullptr);
}

void handle(int signal, siginfo_t* info, void* context) {
  if (!become_trap(*info, *static_cast<ucontext_t*>(context))) pass_on(signal, info, context);
}

}  // namespace

bool catches_faults() {
  static const bool done = [] {
    catcher = Host::get();
    if (catcher == nullptr) return false;
    struct sigaction ours = {};
    ours.sa_sigaction = handle;
    ours.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigemptyset(&ours.sa_mask);
    return sigaction(SIGSEGV, nullptr, &before) == 0 && sigaction(SIGSEGV, &ours, nullptr) == 0;
  }();
  return done;
}

}  // namespace atollvm::jit
