#include "vm/cap/handle_table.hpp"

#include <bit>
#include <utility>

namespace atollvm::cap {
namespace {

constexpr u32 word_bits = 64;

}  // namespace

// The bits of slots and words that do not exist are clear, so a path of clear bits from the top
// always leads to the lowest free slot, which may be one past the end.
u32 HandleTable::lowest_free() const {
  u32 index = 0;
  for (usize level = levels_.size(); level-- > 0;) {
    const u64 word = index < levels_[level].size() ? levels_[level][index] : 0;
    index = index * word_bits + static_cast<u32>(std::countr_one(word));
  }
  return index;
}

void HandleTable::mark(u32 slot, bool used) {
  u32 index = slot;
  bool full = used;
  for (usize level = 0;; ++level) {
    const u32 word = index / word_bits;
    if (level == levels_.size()) {
      levels_.emplace_back();
      // What is below was a single word until now.
      if (level > 0) levels_[level].push_back(levels_[level - 1][0] == ~u64{0} ? 1 : 0);
    }
    Level& bits = levels_[level];
    if (word >= bits.size()) bits.resize(word + 1);
    const u64 bit = u64{1} << (index % word_bits);
    bits[word] = full ? bits[word] | bit : bits[word] & ~bit;
    full = bits[word] == ~u64{0};
    // A new level is needed only when this one has no free bit left in its single word.
    if (level + 1 == levels_.size() && bits.size() == 1 && !full) return;
    index = word;
  }
}

std::variant<Handle, Errno> HandleTable::insert(Capability capability) {
  if (open_ >= limit_) return Errno::mfile;
  Charge charge(machine_, 1);
  if (!charge) return Errno::nfile;
  const auto handle = adopt(std::move(capability));
  charge.keep();
  return handle;
}

std::variant<Handle, Errno> HandleTable::adopt(Capability capability) {
  if (open_ >= limit_) return Errno::mfile;
  const u32 slot = lowest_free();
  if (slot >= slots_.size()) slots_.resize(slot + 1);
  slots_[slot] = std::move(capability);
  mark(slot, true);
  ++open_;
  return slot;
}

Errno HandleTable::append(Capability capability) {
  if (capability.object != nullptr && open_ >= limit_) return Errno::mfile;
  const u32 slot = static_cast<u32>(slots_.size());
  slots_.push_back(std::move(capability));
  const bool is_open = slots_.back().object != nullptr;
  mark(slot, is_open);
  if (is_open) ++open_;
  return Errno::success;
}

Capability* HandleTable::find(Handle handle) {
  if (handle >= slots_.size() || slots_[handle].object == nullptr) return nullptr;
  return &slots_[handle];
}

std::variant<Capability*, Errno> HandleTable::find(Handle handle, Kind kind, Rights needed) {
  Capability* const capability = find(handle);
  if (capability == nullptr || !is_one_of(capability->object->kind(), kind)) return Errno::badf;
  if (capability->is_revoked() || (capability->rights & needed) != needed) return Errno::notcapable;
  return capability;
}

Errno HandleTable::close(Handle handle) { return forget(handle, true); }
Errno HandleTable::hand_over(Handle handle) { return forget(handle, false); }

Errno HandleTable::forget(Handle handle, bool gives_back) {
  Capability* const capability = find(handle);
  if (capability == nullptr) return Errno::badf;
  // Freed first: the object's destructor is the last thing that runs.
  const Capability closed = std::exchange(*capability, {});
  mark(handle, false);
  --open_;
  if (gives_back && machine_ != nullptr) machine_->give(1);
  return Errno::success;
}

Errno HandleTable::renumber(Handle from, Handle to) {
  Capability* const source = find(from);
  Capability* const target = find(to);
  if (source == nullptr || target == nullptr) return Errno::badf;
  if (from == to) return Errno::success;
  // Moved before the target's object is closed, for the reason given in close().
  const Capability closed = std::exchange(*target, std::exchange(*source, {}));
  mark(from, false);
  --open_;
  if (machine_ != nullptr) machine_->give(1);
  return Errno::success;
}

std::variant<Handle, Errno> HandleTable::attenuate(Handle handle, Rights rights,
                                                   const std::shared_ptr<const Revocation>& by) {
  const Capability* const capability = find(handle);
  if (capability == nullptr) return Errno::badf;
  if (capability->is_revoked() || (capability->rights & rights) != rights) return Errno::notcapable;
  auto revocation = Revocation::both(capability->revocation, by);
  if (!revocation) return Errno::mlink;
  return insert({capability->object, rights, *std::move(revocation)});
}

}  // namespace atollvm::cap
