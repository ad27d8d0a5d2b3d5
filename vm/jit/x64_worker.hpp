// What emitted code has in registers, and where it finds what belongs to the worker, whose address
// is in r14.
#pragma once

#include <asmjit/x86.h>

#include <cstddef>
#include <type_traits>

#include "vm/jit/analysis.hpp"
#include "vm/runtime/process.hpp"

namespace atollvm::jit {

// By number.
inline constexpr asmjit::x86::Gp homes_general[] = {
    asmjit::x86::rsi, asmjit::x86::rdi, asmjit::x86::r8,  asmjit::x86::r9,
    asmjit::x86::r10, asmjit::x86::r11, asmjit::x86::rbp, asmjit::x86::r12};
static_assert(arguments_in_homes == std::extent_v<decltype(runtime::Native::arguments)>);

}  // namespace atollvm::jit

namespace atollvm::jit::at {

using runtime::Instance;
using runtime::Native;
using runtime::Table;
using runtime::Worker;

// Both compilers lay classes that have no standard layout out as the others.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Winvalid-offsetof"

inline constexpr usize native = offsetof(Worker, native);
inline constexpr usize limit = offsetof(Worker, limit);
inline constexpr usize instance = offsetof(Worker, instance);
inline constexpr usize functions = offsetof(Worker, functions);
inline constexpr usize entries = offsetof(Worker, native) + offsetof(Native, entries);
inline constexpr usize routines = offsetof(Worker, native) + offsetof(Native, routines);
inline constexpr usize target = offsetof(Worker, native) + offsetof(Native, target);

// In an instance: its index, and the addresses of its lists.
inline constexpr i32 index = offsetof(Instance, index);
inline constexpr i32 memories =
    offsetof(Instance, memories) + base::Few<runtime::Memory*>::items_offset();
inline constexpr i32 tables = offsetof(Instance, tables) + base::Few<Table*>::items_offset();

// In a table.
inline constexpr i32 elements = offsetof(Table, elements) + runtime::Elements::data_offset();
inline constexpr i32 size = offsetof(Table, elements) + runtime::Elements::size_offset();

#pragma GCC diagnostic pop

// 8 bytes of the worker.
inline asmjit::x86::Mem worker(usize offset) {
  return asmjit::x86::ptr(asmjit::x86::r14, static_cast<i32>(offset), 8);
}

}  // namespace atollvm::jit::at
