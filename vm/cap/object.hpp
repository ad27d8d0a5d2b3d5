// Capabilities: objects that a process can reach through its handles, and rights to them.
#pragma once

#include <memory>

#include "vm/base/types.hpp"

namespace atollvm::cap {

// What an object is: one bit. A host call names the kind that it works on, or a set of kinds.
enum class Kind : u8 {
  stream = 1 << 0,      // standard input and output, pipes
  file = 1 << 1,        // an open regular file
  directory = 1 << 2,   // an open directory
  name_space = 1 << 3,  // a process's mount table
  host = 1 << 4,        // an embedder's own object
};
constexpr Kind operator|(Kind a, Kind b) {
  return static_cast<Kind>(static_cast<u8>(a) | static_cast<u8>(b));
}
// Whether `kind` is in `set`.
constexpr bool is_one_of(Kind kind, Kind set) {
  return (static_cast<u8>(kind) & static_cast<u8>(set)) != 0;
}

// Rights to an object: a set of bits that can only shrink. The numbers are part of the guest
// interface (append-only).
using Rights = u32;
inline constexpr Rights right_read = 1u << 0;      // read bytes
inline constexpr Rights right_write = 1u << 1;     // write bytes anywhere
inline constexpr Rights right_append = 1u << 2;    // write bytes at the end only
inline constexpr Rights right_create = 1u << 3;    // make new files and directories
inline constexpr Rights right_remove = 1u << 4;    // remove and rename away
inline constexpr Rights right_list = 1u << 5;      // read directory entries
inline constexpr Rights right_stat = 1u << 6;      // read sizes, times, kinds
inline constexpr Rights right_truncate = 1u << 7;  // set the size
inline constexpr Rights right_times = 1u << 8;     // set times
inline constexpr Rights right_link = 1u << 9;      // make and read links
inline constexpr Rights right_open = 1u << 10;     // open what lies below
inline constexpr Rights right_sync = 1u << 11;     // flush to the disk
inline constexpr Rights rights_none = 0;
inline constexpr Rights rights_all = (1u << 12) - 1;

// Errors that host calls give guests, as negative results. Numbers are WASI preview 1's errno.
enum class Errno : u16 {
  success = 0,
  toobig = 1,
  acces = 2,
  again = 6,
  badf = 8,
  busy = 10,
  canceled = 11,
  exist = 20,
  fault = 21,
  fbig = 22,
  ilseq = 25,
  intr = 27,
  inval = 28,
  io = 29,
  isdir = 31,
  loop = 32,
  mfile = 33,
  mlink = 34,
  nametoolong = 37,
  nfile = 41,
  noent = 44,
  nomem = 48,
  nospc = 51,
  nosys = 52,
  notdir = 54,
  notempty = 55,
  notsup = 58,
  overflow = 61,
  perm = 63,
  pipe = 64,
  range = 68,
  rofs = 69,
  spipe = 70,
  txtbsy = 74,
  xdev = 75,
  notcapable = 76,
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

// An object with rights to it, and the switch that takes them away again.
struct Capability {
  std::shared_ptr<Object> object;
  Rights rights = rights_none;
  std::shared_ptr<const bool> revoked;  // null: can't be revoked
};

}  // namespace atollvm::cap
