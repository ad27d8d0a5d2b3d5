// A process's handle table: small numbers to capabilities. Belongs to the process's thread.
#pragma once

#include <span>
#include <variant>
#include <vector>

#include "vm/cap/object.hpp"

namespace atollvm::cap {

using Handle = u32;

class HandleTable {
 public:
  // At most `limit` handles may be open at once.
  explicit HandleTable(u32 limit) : limit_(limit) {}

  // Gives the capability the lowest free number; its object must not be null. Constant time.
  // Errors: mfile at the limit.
  std::variant<Handle, Errno> insert(Capability capability);

  // The capability, if its object is of (one of) `kind` and it has all of `needed`. Valid until the
  // next insert or close. Errors: badf when there is no such handle or its object is of another
  // kind, notcapable when a right is missing or it was revoked.
  std::variant<Capability*, Errno> find(Handle handle, Kind kind, Rights needed);
  // The capability, whatever its kind, and revoked or not; null: no such handle. Valid as above.
  Capability* find(Handle handle);

  // Forgets a handle. Errors: badf.
  Errno close(Handle handle);
  // Forgets all handles to whose capabilities `matches`; gives their number. Linear in the table.
  template <class Predicate>
  u32 close_if(Predicate matches) {
    u32 closed = 0;
    for (Handle handle = 0; handle < slots_.size(); ++handle) {
      const Capability& capability = slots_[handle];
      if (capability.object == nullptr || !matches(capability)) continue;
      close(handle);
      ++closed;
    }
    return closed;
  }
  // Closes `to` and gives its number to what `from` was; `from` is free then. Errors: badf when
  // either is not open.
  Errno renumber(Handle from, Handle to);
  // A new handle to the same object with `rights`, which must be a subset (else notcapable). It is
  // revoked together with the old one. Errors: also badf, mfile.
  std::variant<Handle, Errno> attenuate(Handle handle, Rights rights);

  // By number; null objects are free numbers. All numbers behind are free.
  [[nodiscard]] std::span<const Capability> slots() const { return slots_; }
  // Gives the capability the number behind all slots(); a null object leaves it free. Errors: mfile
  // at the limit.
  Errno append(Capability capability);

  [[nodiscard]] u32 open_count() const { return open_; }

 private:
  // Each level has a bit for each word (each slot, at the bottom) below it: set when that is full.
  using Level = std::vector<u64>;

  [[nodiscard]] u32 lowest_free() const;
  void mark(u32 slot, bool used);

  std::vector<Capability> slots_;  // a null object is a free slot
  std::vector<Level> levels_;      // from the slots up to a single word
  u32 limit_;
  u32 open_ = 0;
};

}  // namespace atollvm::cap
