// Capabilities: objects that a process can reach through its handles, and rights to them.
#pragma once

#include <memory>
#include <string_view>

#include "vm/base/types.hpp"
#include "vm/cap/revocation.hpp"

namespace atollvm::cap {

// What an object is: one bit. A host call names the kind that it works on, or a set of kinds.
enum class Kind : u16 {
  stream = 1 << 0,      // standard input and output, pipes, connections
  file = 1 << 1,        // an open regular file
  directory = 1 << 2,   // an open directory
  name_space = 1 << 3,  // a process's mount table
  host = 1 << 4,        // an embedder's own object
  module = 1 << 5,      // a module that processes can be started from
  revoker = 1 << 6,     // what takes capabilities away again
  network = 1 << 7,     // what sockets are made of
  listener = 1 << 8,    // a socket that takes connections; these are streams
  datagrams = 1 << 9,   // a socket for datagrams
};
constexpr Kind operator|(Kind a, Kind b) {
  return static_cast<Kind>(static_cast<u16>(a) | static_cast<u16>(b));
}
// Whether `kind` is in `set`.
constexpr bool is_one_of(Kind kind, Kind set) {
  return (static_cast<u16>(kind) & static_cast<u16>(set)) != 0;
}

// Rights to an object: a set of bits that can only shrink. The numbers are part of the guest
// interface (append-only).
using Rights = u32;
#define RIGHT(name, bit, text) inline constexpr Rights right_##name = 1u << (bit);
#include "vm/cap/rights.def"
#undef RIGHT
inline constexpr Rights rights_none = 0;
inline constexpr Rights rights_all = rights_none
#define RIGHT(name, bit, text) | right_##name
#include "vm/cap/rights.def"
#undef RIGHT
    ;

// Errors that host calls give guests, as negative results. Numbers are WASI preview 1's errno.
enum class Errno : u16 {
  success = 0,
#define ERRNO(name, number, text) name = number,
#include "vm/cap/errnos.def"
#undef ERRNO
};

// A thing that handles name. Shared between handles; the last one closes it.
class Object {
 public:
  explicit Object(Kind kind) : kind_(kind) {}
  virtual ~Object() = default;
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;

  [[nodiscard]] Kind kind() const { return kind_; }

 private:
  Kind kind_;
};

// What an interface with notions of its own about handles (WASI's finer rights, its flags) keeps
// for one of them. One interface makes facets, so each knows the type of those that it finds.
class Facet {
 public:
  virtual ~Facet() = default;
  // The guest's path of a directory that is given at the start; empty: it is none.
  [[nodiscard]] virtual std::string_view mount() const { return {}; }
};

// What takes away the capabilities that were made to depend on it. Its end takes nothing away.
class Revoker final : public Object {
 public:
  Revoker() : Object(Kind::revoker) {}
  ~Revoker() override { switch_->has_revoker.store(false, std::memory_order_release); }

  // At once, everywhere, for ever.
  void revoke() { switch_->is_revoked.store(true, std::memory_order_release); }
  // For a capability that is to depend on it.
  [[nodiscard]] const std::shared_ptr<const Revocation>& revocation() const { return revocation_; }

 private:
  const std::shared_ptr<Revocation::State> switch_ = std::make_shared<Revocation::State>();
  const std::shared_ptr<const Revocation> revocation_ = std::make_shared<Revocation>(switch_);
};

// An object with rights to it, and what takes them away again.
struct Capability {
  std::shared_ptr<Object> object;
  Rights rights = rights_none;
  std::shared_ptr<const Revocation> revocation{};  // null: can't be revoked
  // Of this handle alone: a handle attenuated from it begins without one. Null: none.
  std::shared_ptr<Facet> facet{};

  [[nodiscard]] bool is_revoked() const {
    return revocation != nullptr && revocation->is_revoked();
  }
};

}  // namespace atollvm::cap
