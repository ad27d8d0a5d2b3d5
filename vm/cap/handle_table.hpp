// A process's handle table: small numbers to capabilities. Belongs to the process's thread.
#pragma once

#include <span>
#include <variant>
#include <vector>

#include "vm/cap/account.hpp"
#include "vm/cap/object.hpp"

namespace atollvm::cap {

using Handle = u32;

class HandleTable {
 public:
  // At most `limit` handles may be open at once. Each is charged to `machine`, unless that is null;
  // it must outlive the table.
  explicit HandleTable(u32 limit, Meter* machine = nullptr) : limit_(limit), machine_(machine) {}
  ~HandleTable() {
    if (machine_ != nullptr) machine_->give(open_);
  }
  HandleTable(const HandleTable&) = delete;
  HandleTable& operator=(const HandleTable&) = delete;

  // Where its handles are charged from now on; those that are open are so already.
  void charge_to(Meter* machine) { machine_ = machine; }

  // Gives the capability the lowest free number; its object must not be null. Constant time.
  // Errors: mfile at the limit, nfile at the machine's.
  std::variant<Handle, Errno> insert(Capability capability);
  // The same for one that has been charged to the machine already. Errors: mfile.
  std::variant<Handle, Errno> adopt(Capability capability);

  // The capability, if its object is of (one of) `kind` and it has all of `needed`. Valid until the
  // next insert or close. Errors: badf when there is no such handle or its object is of another
  // kind, notcapable when a right is missing or it was revoked.
  std::variant<Capability*, Errno> find(Handle handle, Kind kind, Rights needed);
  // The capability, whatever its kind, and revoked or not; null: no such handle. Valid as above.
  Capability* find(Handle handle);

  // Forgets a handle. Errors: badf.
  Errno close(Handle handle);
  // The same, but what it was charged is somebody else's now: it has moved.
  Errno hand_over(Handle handle);
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
  // revoked together with the old one, and also through `by`, unless that is null. Errors: also
  // badf, mfile, nfile; mlink (it would depend on too many revokers).
  std::variant<Handle, Errno> attenuate(Handle handle, Rights rights,
                                        const std::shared_ptr<const Revocation>& by = nullptr);

  // By number; null objects are free numbers. All numbers behind are free.
  [[nodiscard]] std::span<const Capability> slots() const { return slots_; }
  // Gives the capability the number behind all slots(); a null object leaves it free. Errors: mfile
  // at the limit.
  Errno append(Capability capability);

  [[nodiscard]] u32 open_count() const { return open_; }

 private:
  // Each level has a bit for each word (each slot, at the bottom) below it: set when that is full.
  using Level = std::vector<u64>;

  Errno forget(Handle handle, bool gives_back);
  [[nodiscard]] u32 lowest_free() const;
  void mark(u32 slot, bool used);

  std::vector<Capability> slots_;  // a null object is a free slot
  std::vector<Level> levels_;      // from the slots up to a single word
  u32 limit_;
  u32 open_ = 0;
  Meter* machine_;
};

}  // namespace atollvm::cap
