// What a parked call may wait for that is no descriptor of the host.
#pragma once

#include <functional>

#include "vm/base/types.hpp"

namespace atollvm::cap {

// Threads: any.
class Readiness {
 public:
  virtual ~Readiness() = default;

  struct State {
    bool is_ready = false;  // an attempt would not give `again`
    bool has_ended = false;
    u64 bytes = 0;  // that can be read now
  };
  [[nodiscard]] virtual State state(bool write) = 0;
  // Has `ready` called once when an attempt to read (write) would not give `again`: on whatever
  // thread, or in this call if that is so now. Gives a ticket.
  virtual u64 wait(bool write, std::function<void()> ready) = 0;
  // `ready` is not called any more, or is being called on another thread.
  virtual void forget(u64 ticket) = 0;
};

}  // namespace atollvm::cap
