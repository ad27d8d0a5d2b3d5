// The first compiled tier.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "vm/base/result.hpp"
#include "vm/runtime/process.hpp"

namespace atollvm::jit {

// How much compiled code there may be for the workers that have a pool, and what is compiled.
struct PoolOptions {
  // Bytes of machine code, and of what is known of it, all together. More than 1 GiB is as 1 GiB.
  u64 limit = u64{256} << 20;
  // For run_auto: so many calls and turns of loops of a function are interpreted, about, before it
  // is compiled.
  u32 warm_up = 2000;
  // Where a program has too much code for its part of the pool, what has been used is kept for so
  // many times the time that all of the program's code took to compile; a second at most.
  u32 patience = 10;
};
// The code of a program goes to the pool of the worker that ran it first. For Worker::pool.
std::shared_ptr<runtime::NativePool> make_pool(const PoolOptions& options);

// Whether this build and host have it: x86-64, and executable memory.
bool is_available();

// The same as interp::run, in machine code: functions are compiled when they are first called.
// Where it is not available the interpreter runs.
runtime::Outcome run(runtime::Process& process);

// The same, with functions interpreted until they have been called, or their loops have turned,
// often enough that their compilation is worth its time; where fuel is counted, as `run`.
runtime::Outcome run_auto(runtime::Process& process);

// The same as `run`, in code that is hardened against who wrote the program: see docs/rationale.md,
// "Hardened code".
runtime::Outcome run_hardened(runtime::Process& process);

// Instructions that the machine code of a function of the program's own leaves to the interpreter,
// as words of Module::code. Nothing: it can't be compiled here. `function` counts the index space.
std::optional<std::vector<u32>> interpreted(const runtime::Program& program, u32 function);

// What has been compiled of a program so far. Any thread.
struct CompiledStats {
  u32 functions = 0;
  u64 code_bytes = 0;
  u64 nanoseconds = 0;  // that it took, of all threads
  u32 discarded = 0;    // functions whose code was thrown away to make room
};
CompiledStats compiled(const runtime::Program& program);

// From now on the compiled functions of all programs are written to FOLDER/jit-PID.dump, for
// Linux's perf. Gives the path. Errors: io; usage, one is written already. Any thread.
base::Result<std::string> write_jitdump(const std::string& folder);

// From now on tells gdb of the compiled functions of all programs, by its interface for that: it
// shows them by name, and finds the callers of what they call. Any thread.
void register_with_gdb();

// Makes all memory executable that machine code can ever come to, so that this process of the
// operating system need not ask for that any more, and may be forbidden to. What is not in use then
// is behind the end of a file: SIGBUS. Errors: io, the host refuses. Any thread.
base::Status fix_executable_memory();

// What code is made for, as it differs from process to process.
struct Variant {
  bool guarded = false;  // accesses that memory 0's guard catches are not compared with its size
  bool counts_fuel = false;  // exactly; and NaN bits are canonical
  bool hardened = false;     // see x64_hardening.cpp
};

// The machine code of one of a program's own functions, in its order, for people to read.
struct Listed {
  // The word of Module::code that it is of. At the function's begin also the entry; at its end (the
  // word after it) what is out of the way of the rest.
  u32 pc = 0;
  std::string text;  // lines: the instruction as Intel writes it, its bytes in hexadecimal
};
// `function` counts the index space; memories that can't be guarded are compared with. Errors:
// `unsupported`, there is no compiled tier; `limit`, the function is too large.
base::Result<std::vector<Listed>> list(const runtime::Program& program, u32 function,
                                       Variant variant);

}  // namespace atollvm::jit
