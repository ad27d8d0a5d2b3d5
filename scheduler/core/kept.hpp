// Processes that have ended, to be begun again: with the record, stack, instance and memory that
// they have. To make these takes a quarter of a short process's life.
//
// One for each worker, on its thread. What is kept is nobody's: it is charged to no machine. It is
// at most some 9 MiB, usually 1.
#pragma once

#include <memory>
#include <utility>

#include "scheduler/core/task.hpp"
#include "vm/base/sanitizers.hpp"

namespace atollvm::sched {

class Kept {
 public:
  Kept() = default;
  Kept(const Kept&) = delete;
  Kept& operator=(const Kept&) = delete;
  ~Kept() { clear(); }

  void clear() {
    while (first_ != nullptr) delete take_first();
  }

  // Keeps one that has ended and that nobody finds any more, or destroys it. What it has charged
  // goes back.
  void keep(Task& task) {
    const bool can_begin = task.can_begin_again();
    const u64 program = can_begin ? task.instance().linked->number : 0;
    if (first_ == nullptr) program_ = program;
    if (!can_begin || program != program_ || count_ == most) {
      delete &task;
      // In the long run those are kept that end.
      if (can_begin && program != program_) delete take_first();
      return;
    }
    task.end_for_now();
    ++count_;
    task.next = std::exchange(first_, &task);
  }
  // One that ran this; null: there is none.
  std::unique_ptr<Task> take(const runtime::LinkedProgram& program) {
    if (first_ == nullptr || program.number != program_) return nullptr;
    return std::unique_ptr<Task>(take_first());
  }

 private:
  // AddressSanitizer is to see what uses a process that has ended.
  static constexpr u32 most = ATOLL_ASAN == 0 ? 1024 : 16;

  Task* take_first() {
    auto& task = static_cast<Task&>(static_cast<policy::Entry&>(*first_));
    first_ = std::exchange(task.next, nullptr);
    --count_;
    return &task;
  }

  policy::Node* first_ = nullptr;
  u64 program_ = 0;  // LinkedProgram::number of all that are here
  u32 count_ = 0;
};

}  // namespace atollvm::sched
