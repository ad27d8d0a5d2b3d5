// The compiled code of a program.
#pragma once

#include <memory>
#include <optional>

#include "vm/jit/jit.hpp"
#include "vm/jit/pool.hpp"
#include "vm/jit/routines.hpp"
#include "vm/runtime/process.hpp"

namespace atollvm::jit {

// Functions are compiled one by one, when they are called or have been met with often enough. What
// function() and resume() give holds as long as the worker is marked (see Resident). Any thread.
class Code {
 public:
  // Of a process's current program, for such memory as it has; made if there is none. Null: the
  // host has no code memory.
  static Code* of(runtime::Process& process);
  // The instruction whose access of guarded memory is at an address of compiled code, which this
  // thread is executing; as a word of Module::code. Async-signal-safe.
  static std::optional<u32> accessing(const u8* at);
  ~Code();
  Code(const Code&) = delete;
  Code& operator=(const Code&) = delete;

  // As what a function must have been met with: it is not compiled now.
  static constexpr u32 never = UINT32_MAX;

  // Of all functions of the index space, where machine code calls them.
  [[nodiscard]] const void* const* entries() const;
  // The function's code. Where there is none yet it is compiled, if it has been met with `warm_up`
  // times before, each question being such a meeting, or if Native::spent is more than that takes.
  // Null: not yet, there is no room for it now, or it can't be compiled. A large one is left to
  // another thread. The worker's process is in it.
  const void* function(runtime::Worker& worker, u32 function, u32 warm_up);
  // The same for where the code goes on at a safepoint with all in slots. Null also: nowhere.
  const void* resume(runtime::Worker& worker, u32 pc, u32 warm_up);
  // Whether the function that holds this word is never compiled, whoever asks.
  [[nodiscard]] bool is_refused_at(u32 pc) const;

  // Compiles it on this thread, however large, unless that is done or under way.
  void compile(u32 function);

  [[nodiscard]] CompiledStats stats() const;

  // --- For Pool, under the host's lock. Code that is in use.
  void open(Compiled& compiled);    // calls reach it
  void close(Compiled& compiled);   // they ask for it first
  void forget(Compiled& compiled);  // nobody finds it any more

 private:
  friend class Background;
  struct Own {
    std::atomic<Compiled*> compiled{nullptr};
    std::atomic<u32> met{0};
  };
  Code(const runtime::Program& program, const Host& host, std::shared_ptr<Pool> pool,
       Variant variant);
  [[nodiscard]] Own& own(u32 function) const {
    return own_[function - program_.imported_functions()];
  }
  Compiled* find(runtime::Worker& worker, u32 function, u32 warm_up);
  // Makes the code of a function that is `pending`.
  Compiled* make(u32 function);
  Compiled* emit(u32 function, u64 begin);

  const runtime::Program& program_;
  const Host& host_;
  const std::shared_ptr<Pool> pool_;
  Holder& holder_;
  const Variant variant_;
  std::unique_ptr<std::atomic<const void*>[]> entries_;
  std::unique_ptr<Own[]> own_;  // own functions
  CompiledStats stats_;         // under the host's lock
  // Stand for functions that have no code.
  static Compiled refused_;  // can't be compiled
  static Compiled pending_;  // some thread is compiling it, or is to do so
  static Compiled crowded_;  // there was no room for it
  static bool is_code(const Compiled* compiled) {
    return compiled != nullptr && compiled != &refused_ && compiled != &pending_ &&
           compiled != &crowded_;
  }
};

}  // namespace atollvm::jit
