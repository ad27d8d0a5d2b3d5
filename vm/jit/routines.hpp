// Machine code that all compiled functions use: the ways in and out, and calls of the runtime.
//
// Compiled code calls a routine with esi = a number (below) and all values in their slots, but for
// `compile`, to which first arguments come in homes as to any function; no home survives. rbx, r13,
// r15 and the fuel in r12, where it is counted, are what they should be when it returns.
#pragma once

#include <mutex>
#include <optional>

#include "vm/jit/code_memory.hpp"
#include "vm/runtime/process.hpp"

namespace atollvm::jit {

// Operations that the runtime executes, by a routine of each, as `fallback` says.
#define ATOLL_RUNTIME_OPERATIONS(X) \
  X(memory_grow)                    \
  X(memory_fill)                    \
  X(memory_copy)                    \
  X(memory_init)                    \
  X(data_drop)                      \
  X(table_grow)                     \
  X(table_fill)                     \
  X(table_copy)                     \
  X(table_init)                     \
  X(elem_drop)

enum class Routine : u8 {
  entry,  // at a function's entry, beyond the limit: makes room, or leaves; esi: the function
  // Executes the instruction esi; leaves where it goes elsewhere than to the next one. Is jumped
  // to, with the address to go on at in rcx.
  fallback,
  host_call,  // the same for a call of an import
  stop,       // leaves at the safepoint esi
  trap,       // leaves with the trap ecx of the instruction esi
  compile,    // stands for a function that is not compiled yet
#define ROUTINE(op) op,
  ATOLL_RUNTIME_OPERATIONS(ROUTINE)
#undef ROUTINE
      count,
};

// What leaving gives to whoever entered.
enum class Left : u32 {
  with_outcome = 1,  // Native::outcome
  to_go_on = 2,      // at Process::saved
};

// Runs compiled code at `target`, with all in slots and the frame at Native::fp.
using Enter = Left (*)(runtime::Worker* worker, const void* target);

// The code memory of this process of the operating system, with the routines in it; made when it is
// first asked for. Any thread.
class Host {
 public:
  // Null: the host refuses executable memory; `why` says how.
  static Host* get();
  // Of all that changes what code there is; not held for long.
  static std::mutex& mutex();
  // What the pools of the host may have together, in bytes; under the lock.
  static void add_limit(u64 bytes);

  // Memory for code of a pool. Nothing: there is none. Any thread.
  [[nodiscard]] std::optional<CodeMemory::Block> take(usize bytes) const;
  [[nodiscard]] CodeMemory& memory() const { return *memory_; }
  [[nodiscard]] Enter enter() const { return enter_; }
  [[nodiscard]] const void* const* routines() const { return routines_; }
  // The routines.
  void register_with_gdb() const;

 private:
  static constexpr const char* name_ = "[routines of compiled code]";

  Host() = default;
  base::Status make();

  std::unique_ptr<CodeMemory> memory_;
  CodeMemory::Block block_;  // of the routines: first the way in,
  u32 returned_at_ = 0;      // then where functions return to whoever entered,
  u32 leave_at_ = 0;         // then the way out,
  u32 routines_at_ = 0;      // then all others
  Enter enter_ = nullptr;
  const void* routines_[static_cast<usize>(Routine::count)] = {};
};

}  // namespace atollvm::jit
