// What gdb needs to know of machine code: which function it is of, and how to find its callers; see
// jit::register_with_gdb.
#pragma once

#include <span>
#include <string_view>

#include "vm/jit/code_memory.hpp"

namespace atollvm::jit::gdb {

// Where code has its caller's frame.
enum class Unwind : u8 {
  function,  // below the return address, where the stack ends
  routine,   // the same, where rbp points: a routine that has called the runtime
  entered,   // the way in, when it has jumped into compiled code: below what it keeps of its caller
  returned,  // the same, where rbp points
};
struct Part {
  u32 begin = 0;  // in the block
  u32 end = 0;
  Unwind unwind = Unwind::function;
};

// Tells gdb of a block of code, where that is asked for. Before the code is executed. Any thread.
void add(const CodeMemory::Block& block, std::string_view name, std::span<const Part> parts);
// Before the block is given back. Any thread.
void remove(const CodeMemory::Block& block);

}  // namespace atollvm::jit::gdb
