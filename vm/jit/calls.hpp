// What routines call: the runtime's part of compiled code. They give 0 to go on, or a Left.
#pragma once

#include "vm/runtime/process.hpp"

namespace atollvm::jit::calls {

u32 entry(runtime::Worker* worker, u32 function, runtime::Slot* fp) noexcept;
u32 fallback(runtime::Worker* worker, u32 pc, runtime::Slot* fp) noexcept;
template <isa::Op op>  // of ATOLL_RUNTIME_OPERATIONS
u32 execute(runtime::Worker* worker, u32 pc, runtime::Slot* fp) noexcept;
u32 host_call(runtime::Worker* worker, u32 pc, runtime::Slot* fp) noexcept;
u32 stop(runtime::Worker* worker, u32 pc, runtime::Slot* fp) noexcept;
u32 trap(runtime::Worker* worker, u32 pc, runtime::Slot* fp, u32 trap) noexcept;
u32 compile(runtime::Worker* worker, u32 unused, runtime::Slot* fp) noexcept;
u32 returned(runtime::Worker* worker, u32 unused, runtime::Slot* fp) noexcept;

}  // namespace atollvm::jit::calls
