// The interpreter.
#pragma once

#include "vm/runtime/process.hpp"

namespace atollvm::interp {

// Runs a prepared, preempted or ready process until it finishes, stops or parks. On the thread that
// the process belongs to; not reentrant for one process.
runtime::Outcome run(runtime::Process& process);

// The same, at most `count` instructions, one at a time; preempted when they are used up. For
// debuggers and for comparing tiers.
runtime::Outcome step(runtime::Process& process, u64 count);

// --- For other tiers. ---

// The same as `run`, with `shell` in place of the interpreter between safepoints: it goes on from
// Process::saved and gives the outcome, with the state saved. `exact`: fuel is counted.
using Shell = runtime::Outcome (*)(runtime::Process& process, bool exact);
runtime::Outcome run_by(runtime::Process& process, Shell shell);
// The interpreter as such a shell.
runtime::Outcome run_shell(runtime::Process& process, bool exact);
// The same without exact fuel, at most about as many calls and turns of loops as Native::turns
// says: where that falls below 0 it stops as if preempted, at a function's start or a loop's.
runtime::Outcome run_counted(runtime::Process& process);

}  // namespace atollvm::interp
