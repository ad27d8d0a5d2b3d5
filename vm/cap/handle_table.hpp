// A process's handle table: small numbers to capabilities. Belongs to the process's thread.
#pragma once

#include <variant>
#include <vector>

#include "vm/cap/object.hpp"

namespace atollvm::cap {

using Handle = u32;

class HandleTable {
 public:
  // At most `limit` handles may be open at once.
  explicit HandleTable(u32 limit) : limit_(limit) {}

  // Gives the capability the lowest free number. Errors: mfile at the limit.
  std::variant<Handle, Errno> insert(Capability capability);

  // The capability, if it has all of `needed`. Errors: badf when there is no such handle or its
  // object is of another kind, notcapable when a right is missing or it was revoked.
  std::variant<Capability*, Errno> find(Handle handle, Kind kind, Rights needed);
  // The same for any kind and no right.
  Capability* find(Handle handle);

  // Forgets a handle. Errors: badf.
  Errno close(Handle handle);
  // A new handle to the same object with `rights`, which must be a subset (else notcapable).
  std::variant<Handle, Errno> attenuate(Handle handle, Rights rights);

  [[nodiscard]] u32 open_count() const { return open_; }

 private:
  std::vector<Capability> slots_;  // a null object is a free slot
  u32 limit_;
  u32 open_ = 0;
  u32 first_free_ = 0;  // no free slot below
};

}  // namespace atollvm::cap
