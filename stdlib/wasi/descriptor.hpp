// WASI's view of a handle: rights that are finer than Atoll's, and flags. Internal to the folder.
#pragma once

#include <optional>
#include <string>

#include "stdlib/vfs/vfs.hpp"
#include "stdlib/wasi/wasi.hpp"

namespace atollvm::wasi {

using Rights = u64;
#define WASI_RIGHT(name, bit, kinds, needed) \
  inline constexpr Rights right_##name = Rights{1} << (bit);
#include "stdlib/wasi/rights.def"
#undef WASI_RIGHT

// Flags of a descriptor: WASI preview 1's fdflags.
inline constexpr u32 flag_append = 1u << 0;
inline constexpr u32 flag_dsync = 1u << 1;
inline constexpr u32 flag_nonblock = 1u << 2;
inline constexpr u32 flag_rsync = 1u << 3;
inline constexpr u32 flag_sync = 1u << 4;
inline constexpr u32 flags_all = (1u << 5) - 1;

// The facet of a handle that WASI has seen. Rights only ever shrink.
struct Descriptor final : cap::Facet {
  Rights base = 0;        // what may be done with it
  Rights inheriting = 0;  // what may be done with what is opened through it
  u32 flags = 0;
  std::optional<std::string> preopen;  // the guest's path of a directory given at the start

  [[nodiscard]] std::string_view mount() const override {
    return preopen ? std::string_view(*preopen) : std::string_view();
  }
};

// The rights that can be used on a kind of object, and those that can be handed on to anything.
Rights rights_on(cap::Kind kind);
Rights rights_inheritable();

// Whether writing is writing at the end, for which WASI has no right of its own.
inline bool only_appends(cap::Rights rights) {
  return (rights & (cap::right_write | cap::right_append)) == cap::right_append;
}

// A handle with these rights, cut to its object's kind. Its rights for Atoll's own calls are those
// that allow nothing which the WASI rights don't; of those that WASI can't say, the ones in `most`.
cap::Capability make_capability(std::shared_ptr<cap::Object> object, Rights base, Rights inheriting,
                                u32 flags, std::shared_ptr<const cap::Revocation> revocation,
                                cap::Rights most = cap::rights_all);
// Atoll's rights that go with WASI's.
cap::Rights atoll_rights(cap::Kind kind, Rights base, Rights inheriting);
// Those of them that WASI can't say by rights of its own: a second name gives none of them, either.
inline constexpr cap::Rights unsaid_rights = cap::right_write | cap::right_load | cap::right_lock;

// The facet of a handle. One that Atoll's own calls made gets the rights that Atoll's imply.
Descriptor& descriptor_of(cap::Capability& capability);

}  // namespace atollvm::wasi
