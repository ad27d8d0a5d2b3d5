// The engine: what modules and processes of one host program share.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#pragma GCC visibility push(default)
namespace atollvm {

// How accesses to linear memory are kept inside it. The results are the same for a guest.
enum class MemoryStrategy : std::uint8_t {
  checked,  // exact size, compared at each access; small and quick to set up
  guarded,  // 4 GiB of address space and a guard reserved for each memory; it never moves
};

struct EngineOptions {
  MemoryStrategy memory = MemoryStrategy::checked;
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

// The version of this library, "major.minor.patch".
std::string_view version() noexcept;

}  // namespace atollvm
#pragma GCC visibility pop
