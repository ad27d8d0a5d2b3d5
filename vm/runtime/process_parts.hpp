// What a stopped process is made of, for who writes it out, for who makes one of what was written,
// and for who looks at its calls. A process belongs to one thread at a time, here as everywhere.
#pragma once

#include <algorithm>

#include "vm/runtime/process.hpp"

namespace atollvm::runtime {

class ProcessParts {
 public:
  explicit ProcessParts(Process& process) : process_(process) {}

  // A call under way.
  struct Call {
    u64 depth = 0;  // 0: the innermost; a gap in the numbers is a gap in the calls
    const Instance* instance = nullptr;
    u32 pc = 0;  // a word of its instruction, the last one for calls of others
  };
  // The calls under way, innermost first, at most `most` (then the outermost follow after a gap).
  static std::vector<Call> calls(const Process& process, usize most);

  // How many calls wait for the end of one that a host function made.
  [[nodiscard]] usize aside() const {
    return process_.extra_ == nullptr ? 0 : process_.extra_->aside.size();
  }
  [[nodiscard]] u64 stack_slots() const { return process_.stack_.capacity(); }
  // The most that its limits allow.
  [[nodiscard]] u64 most_stack_slots() const { return process_.stack_max_; }
  [[nodiscard]] cap::HandleTable* handles() const {
    return process_.holdings_ == nullptr ? nullptr : &process_.holdings_->handles;
  }

  // An instance as add_instance makes it, but its active segments are still to be applied.
  base::Result<u32> add_bare_instance(const std::shared_ptr<const Program>& program,
                                      const Instance* like) {
    return process_.add(program, like, false, {});
  }
  // Links a program in an instance that need not be one of this process: only to functions of the
  // host, if the process has no instances with names. Errors: as add_instance.
  base::Status link(Instance& instance, const std::shared_ptr<const Program>& program) {
    return process_.link(instance, program, nullptr, {});
  }
  // Gives a process that has no stack one of `capacity` slots, within its limits, that begins with
  // `slots`; the rest is zero. False: the host has no memory.
  bool set_stack(std::span<const Slot> slots, u64 capacity) {
    Slots stack(capacity);
    if (stack.capacity() != capacity) return false;
    std::fill(std::copy(slots.begin(), slots.end(), stack.get()), stack.end(), Slot{0});
    process_.stack_ = std::move(stack);
    return true;
  }

 private:
  Process& process_;
};

}  // namespace atollvm::runtime
