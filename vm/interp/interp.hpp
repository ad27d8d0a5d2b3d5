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

}  // namespace atollvm::interp
