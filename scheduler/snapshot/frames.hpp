// The stack of a process that was read: whether it is one that a process can have. Internal to the
// folder.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "vm/runtime/process.hpp"

namespace atollvm::snapshot {

// Where in a program's code something can stop or go on.
class CodeMap {
 public:
  explicit CodeMap(std::shared_ptr<const runtime::Program> program);

  [[nodiscard]] const runtime::Program& program() const { return *program_; }
  [[nodiscard]] const std::shared_ptr<const runtime::Program>& shared() const { return program_; }
  // A function's first word, a back edge's target, the word after a call, a bulk operation.
  [[nodiscard]] bool is_safepoint(u32 pc) const {
    return pc < marks_.size() && (marks_[pc] & safepoint) != 0;
  }
  // The instruction at a safepoint; null: it is none whose work is done in pieces.
  [[nodiscard]] const isa::Word* bulk_at(u32 pc) const;
  // The first word of the call that ends before `pc`, perhaps a tail call; nothing: there is none.
  [[nodiscard]] std::optional<u32> call_before(u32 pc) const;
  // Of a call: its type.
  [[nodiscard]] const mod::FuncType& type_of_call(u32 call) const;
  // The module's function (not of the index space) that has this word.
  [[nodiscard]] const mod::Function& function_at(u32 pc) const;

 private:
  static constexpr u8 start = 1;  // of an instruction
  static constexpr u8 safepoint = 2;
  static constexpr u8 call = 4;

  std::shared_ptr<const runtime::Program> program_;
  std::vector<u8> marks_;  // of each word
};

// A stopped call, as the image has it.
struct StoppedCall {
  u64 fp = 0;
  u64 bulk = 0;
  u32 pc = 0;
  u32 instance = 0;
  bool paid = false;
  runtime::Process::Parked parked = runtime::Process::Parked::no;
  const runtime::HostFunction* parked_in = nullptr;
  std::vector<runtime::Slot> slots;  // up to the end of the top frame
};

// The slots that the stack must have room for; or an error message in `wrong`. `codes` has the
// program of each of the process's instances.
//
// This and the verifier together make a restored process as harmless as one that got there by
// itself: each frame's code stays inside of its frame, whose slots are all inside of the stack,
// and what is under a frame is where its caller goes on, in a program of the process. What slots
// hold is of no matter: references are checked at use, numbers are read at their own width, and
// temporaries that the verifier proved undefined, which no code reads, are as good as others.
u64 check_stack(const StoppedCall& call, const std::vector<const CodeMap*>& codes,
                std::string& wrong);

// How many slots of the stack belong to the top frame and those below.
u64 used_slots(const runtime::Program& program, const runtime::Process& process);

}  // namespace atollvm::snapshot
