// The engine: what modules and processes of one host program share.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <atoll/result.hpp>

#pragma GCC visibility push(default)
namespace atollvm {

// How accesses to linear memory are kept inside it. The results are the same for a guest.
enum class MemoryStrategy : std::uint8_t {
  checked,  // exact size, compared at each access; small and quick to set up
  // 4 GiB of address space and a guard reserved for each memory; it never moves. Compiled code lets
  // the guard catch what is outside: the first such code sets a handler of SIGSEGV, which passes on
  // what is not its own to the handler that was there before. Whoever sets one later must do so
  // too.
  guarded,
};

// How code is executed. The results are the same for a guest.
enum class Tier : std::uint8_t {
  interp,     // interpreted
  jit,        // each function is compiled to machine code when it is first called
  automatic,  // interpreted at first, compiled where it is used more, also within a running loop
};

struct EngineOptions {
  MemoryStrategy memory = MemoryStrategy::checked;
  // Of processes (`Process`). Where the host has no compiled tier code is interpreted whatever this
  // says; where fuel is counted `automatic` is as `jit`.
  Tier tier = Tier::automatic;
  // Machine code is made so that programs find less in it to attack the host program with, at some
  // cost: docs/rationale.md, "Hardened code". `automatic` is as `jit` then, and `interp` is as it
  // is.
  bool hardened = false;
  // Bytes of machine code, and of what is kept about it, for all that the engine runs; about, and
  // all engines of a host program together have at most 1 GiB. Where it is full, code that was not
  // used of late is thrown away, first of the program that has most; what finds no room is
  // interpreted. 0: nothing is compiled.
  std::uint64_t code_memory = std::uint64_t{256} << 20;
  // With `automatic`: so many calls and turns of loops are interpreted before a function is
  // compiled, about.
  std::uint32_t warm_up = 2000;
};

// There is no global state: a program may have several engines, and they know nothing of each
// other. Copies mean the same engine; modules and processes keep theirs alive.
// Threads: any, at once.
class Engine {
 public:
  struct Impl;  // opaque

  explicit Engine(const EngineOptions& options = {});

  [[nodiscard]] const EngineOptions& options() const noexcept;

 private:
  friend struct Access;
  std::shared_ptr<Impl> impl_;
};

// From now on writes all functions that are compiled in the host program to FOLDER/jit-PID.dump, so
// that Linux's perf names and shows them: `perf record -k mono`, `perf inject --jit`. Gives the
// path. Errors: io, with nothing changed; usage, one is written already; unsupported, the host has
// no compiled tier. Threads: any.
Result<std::string> write_jitdump(const std::string& folder);

// From now on tells gdb of all functions that are compiled in the host program, by its JIT
// compilation interface: it shows them by name and finds the callers of what they call. Takes
// about 1 KiB of memory for each function. Threads: any.
void register_with_gdb();

// The version of this library, "major.minor.patch".
std::string_view version() noexcept;

}  // namespace atollvm
#pragma GCC visibility pop
