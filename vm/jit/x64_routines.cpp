#include <asmjit/x86.h>

#include <cstddef>
#include <cstring>

#include "vm/jit/calls.hpp"
#include "vm/jit/gdb.hpp"
#include "vm/jit/jitdump.hpp"
#include "vm/jit/pool.hpp"
#include "vm/jit/routines.hpp"
#include "vm/jit/x64_worker.hpp"

namespace atollvm::jit {

using namespace asmjit;
using runtime::Native;
using runtime::Worker;

namespace {

x86::Mem native(usize offset) { return at::worker(at::native + offset); }

// Loads what the runtime may have changed.
void reload(x86::Assembler& a) {
  a.mov(x86::rbx, native(offsetof(Native, fp)));
  a.mov(x86::r15, native(offsetof(Native, memory)));
  a.mov(x86::r13, native(offsetof(Native, memory_size)));
  a.mov(x86::r12, native(offsetof(Native, fuel)));
}

// Calls a function of the runtime with (worker, esi, frame, ecx), whatever the alignment of the
// stack; rbp is no home then. In code that does not count fuel r12 is a home as others.
template <class Function>
void call(x86::Assembler& a, Function* function) {
  a.mov(native(offsetof(Native, fuel)), x86::r12);
  a.mov(x86::rdi, x86::r14);
  a.mov(x86::rdx, x86::rbx);
  a.mov(x86::rbp, x86::rsp);
  a.and_(x86::rsp, -16);
  a.mov(x86::rax, reinterpret_cast<u64>(function));
  a.call(x86::rax);
  a.mov(x86::rsp, x86::rbp);
}

constexpr x86::Gp kept[] = {x86::rbx, x86::rbp, x86::r12, x86::r13, x86::r14, x86::r15};

}  // namespace

base::Status Host::make() {
  // Addresses alone; where these are few, for fewer programs.
  auto memory = CodeMemory::make(CodeMemory::largest_limit);
  if (!memory) memory = CodeMemory::make(usize{256} << 20);
  if (!memory) return memory.error();
  memory_ = std::move(*memory);

  CodeHolder holder;
  holder.init(Environment::host());
  x86::Assembler a(&holder);
  Label labels[static_cast<usize>(Routine::count)];
  for (Label& label : labels) label = a.newLabel();
  // What is reached by indirect branches; for hardened code.
  const auto land = [&](const Label& label) {
    a.bind(label);
    a.endbr64();
  };
  const auto begin = [&](Routine routine) { land(labels[static_cast<usize>(routine)]); };
  const Label enter = a.newLabel();
  const Label leave = a.newLabel();
  const Label returned = a.newLabel();

  land(enter);
  for (const x86::Gp& each : kept) a.push(each);
  a.sub(x86::rsp, 8);
  a.mov(x86::r14, x86::rdi);
  a.mov(native(offsetof(Native, stack)), x86::rsp);
  reload(a);
  a.lea(x86::rax, x86::ptr(returned));
  a.push(x86::rax);
  a.jmp(x86::rsi);

  // Where a function returns to whose caller is not on this stack.
  a.bind(returned);
  a.mov(x86::ptr(x86::rbx, 0, 8), x86::rax);
  call(a, &calls::returned);
  a.test(x86::eax, x86::eax);
  a.jnz(leave);
  reload(a);
  a.lea(x86::rax, x86::ptr(returned));
  a.push(x86::rax);
  a.jmp(native(offsetof(Native, target)));

  // With what it gives in eax.
  a.bind(leave);
  a.mov(x86::rsp, native(offsetof(Native, stack)));
  a.add(x86::rsp, 8);
  for (usize i = std::size(kept); i-- > 0;) a.pop(kept[i]);
  a.ret();

  begin(Routine::entry);
  call(a, &calls::entry);
  a.test(x86::eax, x86::eax);
  a.jnz(leave);
  reload(a);
  a.ret();

  const auto executing = [&](Routine routine, auto* function) {
    begin(routine);
    a.push(x86::rcx);
    call(a, function);
    a.test(x86::eax, x86::eax);
    a.jnz(leave);
    reload(a);
    a.pop(x86::rcx);
    a.jmp(x86::rcx);
  };
  executing(Routine::fallback, &calls::fallback);
  executing(Routine::host_call, &calls::host_call);
#define EXECUTING(op) executing(Routine::op, &calls::execute<isa::Op::op>);
  ATOLL_RUNTIME_OPERATIONS(EXECUTING)
#undef EXECUTING

  begin(Routine::stop);
  call(a, &calls::stop);
  a.jmp(leave);

  begin(Routine::trap);
  call(a, &calls::trap);
  a.jmp(leave);

  begin(Routine::compile);
  const auto argument = [](u32 i) { return native(offsetof(Native, arguments) + i * sizeof(u64)); };
  for (u32 i = 0; i < arguments_in_homes; ++i) a.mov(argument(i), homes_general[i]);
  call(a, &calls::compile);
  a.test(x86::eax, x86::eax);
  a.jnz(leave);
  for (u32 i = 0; i < arguments_in_homes; ++i) a.mov(homes_general[i], argument(i));
  a.jmp(native(offsetof(Native, target)));

  if (holder.flatten() != kErrorOk || holder.resolveUnresolvedLinks() != kErrorOk) {
    return base::Error{base::ErrorCode::limit, "jit", "the routines can't be encoded"};
  }
  auto block = memory_->take(Compiled::header + holder.codeSize());
  if (!block) return block.error();
  std::memset(block->writable, 0, Compiled::header);
  holder.copyFlattenedData(block->writable + Compiled::header, block->size - Compiled::header);
  memory_->finish(*block);
  block_ = {block->code + Compiled::header, block->writable + Compiled::header,
            block->size - Compiled::header};
  jitdump::add(block_, name_);
  const auto address = [&](const Label& label) { return block_.code + holder.labelOffset(label); };
  for (usize i = 0; i < std::size(labels); ++i) routines_[i] = address(labels[i]);
  const u8* const way_in = address(enter);
  static_assert(sizeof enter_ == sizeof way_in);
  std::memcpy(&enter_, &way_in, sizeof enter_);
  returned_at_ = static_cast<u32>(holder.labelOffset(returned));
  leave_at_ = static_cast<u32>(holder.labelOffset(leave));
  routines_at_ = static_cast<u32>(holder.labelOffset(labels[static_cast<usize>(Routine::entry)]));
  return {};
}

void Host::register_with_gdb() const {
  using gdb::Unwind;
  const gdb::Part parts[] = {
      {0, returned_at_, Unwind::entered},
      {returned_at_, leave_at_, Unwind::returned},
      {leave_at_, routines_at_, Unwind::entered},
      {routines_at_, static_cast<u32>(block_.size), Unwind::routine},
  };
  gdb::add(block_, name_, parts);
}

}  // namespace atollvm::jit
