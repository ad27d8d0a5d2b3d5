// Compiles large functions, so that the workers that met with them go on: on one thread of its own,
// one after the other, at less than usual a share of the CPU.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>

#include "vm/jit/code.hpp"

namespace atollvm::jit {

class Background {
 public:
  // Any thread. False: not now, as the holder has another one in the line, or there is no thread.
  // Else it is made. Throws std::bad_alloc.
  static bool add(std::shared_ptr<const runtime::Program> program, Code& code, u32 function);

 private:
  struct Job {
    std::shared_ptr<const runtime::Program> program;  // whose code it is
    Code* code;
    u32 function;
  };
  [[noreturn]] void work();
  static Background& get();

  std::mutex mutex_;
  std::condition_variable added_;
  std::deque<Job> jobs_;
  bool has_thread_ = false;
};

}  // namespace atollvm::jit
