// What the areas of WASI's functions share. Internal to the folder.
#pragma once

#include <string.h>

#include <optional>
#include <span>
#include <string>

#include "stdlib/host/attempt.hpp"
#include "stdlib/host/socket.hpp"
#include "stdlib/wasi/descriptor.hpp"

namespace atollvm::wasi {

using cap::Errno;
using cap::Kind;
using host::Environment;
using host::error_of;
using runtime::HostContext;
using runtime::HostResult;
using vfs::Outcome;
using vfs::Wait;

// One call of a guest, as the gate lets it through.
struct Call {
  Environment& environment;
  HostContext& context;
  Edition edition;
  // Of the handle parameter, if there is one; valid while the handle is open.
  Descriptor* descriptor = nullptr;

  [[nodiscard]] u32 u32_at(u32 index) const { return context.arg_u32(index); }
  [[nodiscard]] u64 u64_at(u32 index) const { return context.arg_u64(index); }
  template <class T>
  [[nodiscard]] std::shared_ptr<T> object() const {
    return std::static_pointer_cast<T>(context.capability().object);
  }
  [[nodiscard]] Kind kind() const { return context.capability().object->kind(); }
};

// The calls themselves, by their names in wasi.def.
#define WASI_AREA(title)
#define WASI_CALL(name, parameters, handle, kinds, wrong, rights, restart) \
  HostResult call_##name(Call& call);
#include "stdlib/wasi/wasi.def"

// One turn of a call moves at most this many bytes, so that it does not hold the thread long.
inline constexpr u32 max_turn = 1 << 20;

// Ends a call with an errno.
inline HostResult give(HostContext& context, Errno error) {
  return context.result_i32(static_cast<i32>(error));
}
inline HostResult give(const Call& call, Errno error) { return give(call.context, error); }

// Guest memory; nothing when it is not all inside. Without bytes any address will do.
inline std::optional<std::span<u8>> bytes_at(const HostContext& context, u32 address, u32 size) {
  if (size == 0) return std::span<u8>();
  return context.memory(address, size);
}

// A number in guest memory, which need not be aligned.
template <class T>
[[nodiscard]] T load(std::span<const u8> bytes, usize at) {
  T value;
  memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}
template <class T>
void store(std::span<u8> bytes, usize at, T value) {
  memcpy(bytes.data() + at, &value, sizeof value);
}

// Writes a number to guest memory and ends the call: success, or fault.
template <class T>
HostResult give_number(HostContext& context, u32 address, T value) {
  const auto to = context.memory(address, sizeof value);
  if (!to) return give(context, Errno::fault);
  store<T>(*to, 0, value);
  return give(context, Errno::success);
}

// The path of parameters `index` and the next. Errors: fault, nametoolong, ilseq (not UTF-8).
Outcome<std::string> path_at(const Call& call, u32 index);

// Whether a call has waited for a socket as long as its timeout says; sets the deadline at first.
bool is_over(const net::Socket& socket, bool write, std::optional<u64>& deadline);

// sock_recv and sock_send, of a connection or datagrams. Flags of receiving: WASI's riflags.
inline constexpr u32 receive_peek = 1u << 0;
inline constexpr u32 receive_wait_all = 1u << 1;
HostResult receive(Call& call, u32 flags);
HostResult send(Call& call);

// The structure filestat, at most this many bytes in either edition.
inline constexpr u32 max_filestat = 64;
u32 filestat_size(Edition edition);
HostResult put_filestat(HostContext& context, Edition edition, u32 address,
                        const Outcome<vfs::Stat>& outcome);

// Times from two timestamps and fstflags. Errors: inval (flags), overflow (later than 2262).
Outcome<vfs::Times> times_from(u64 accessed, u64 modified, u32 flags);

// For attempts that give only an error.
template <class Attempt>
HostResult attempt_errno(HostContext& context, Attempt attempt,
                         host::Blocks blocks = host::Blocks::long_time) {
  return host::attempt_or_work(
      context, std::move(attempt),
      [](HostContext& later, Errno error) { return give(later, error); }, blocks);
}

}  // namespace atollvm::wasi
