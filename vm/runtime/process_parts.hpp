// What a stopped process is made of, for who writes it out and for who makes one of what was
// written. A process belongs to one thread at a time, here as everywhere.
#pragma once

#include <algorithm>
#include <new>

#include "vm/runtime/process.hpp"

namespace atollvm::runtime {

class ProcessParts {
 public:
  explicit ProcessParts(Process& process) : process_(process) {}

  // How many calls wait for the end of one that a host function made.
  [[nodiscard]] usize aside() const {
    return process_.extra_ == nullptr ? 0 : process_.extra_->aside.size();
  }
  [[nodiscard]] u64 stack_slots() const { return process_.stack_capacity_; }
  // The most that its limits allow.
  [[nodiscard]] u64 most_stack_slots() const { return process_.stack_max_; }
  [[nodiscard]] cap::HandleTable* handles() const {
    return process_.holdings_ == nullptr ? nullptr : &process_.holdings_->handles;
  }

  // An instance as add_instance makes it, but its active segments are still to be applied.
  base::Result<u32> add_bare_instance(std::shared_ptr<const Program> program,
                                      const Instance* like) {
    return process_.add(std::move(program), like, false);
  }
  // Gives a process that has no stack one of `capacity` slots, within its limits, that begins with
  // `slots`; the rest is zero. False: the host has no memory.
  bool set_stack(std::span<const Slot> slots, u64 capacity) {
    std::unique_ptr<Slot[]> stack(new (std::nothrow) Slot[capacity]);
    if (stack == nullptr) return false;
    std::fill(std::copy(slots.begin(), slots.end(), stack.get()), stack.get() + capacity, Slot{0});
    process_.stack_ = std::move(stack);
    process_.stack_capacity_ = static_cast<u32>(capacity);
    return true;
  }

 private:
  Process& process_;
};

}  // namespace atollvm::runtime
