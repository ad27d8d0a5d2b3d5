// What the host calls' areas share. Internal to the folder.
#pragma once

#include <string>
#include <utility>

#include "stdlib/host/attempt.hpp"
#include "stdlib/host/host.hpp"
#include "stdlib/vfs/name_space.hpp"

namespace atollvm::host {

using cap::Kind;

inline constexpr Kind no_kind{};

// One call reads or writes at most this many bytes, so that it does not hold the thread long.
inline constexpr u32 max_transfer = 1 << 20;

// The calls themselves, by their names in hostcalls.def.
#define HOSTCALL_AREA(title)
#define HOSTCALL(name, parameters, result, kinds, rights, restart, doc) \
  HostResult call_##name(Environment& environment, HostContext& context);
#include "stdlib/host/hostcalls.def"

// For attempts that give only an error: the call's result is 0 or -error.
template <class Attempt>
HostResult attempt_errno(HostContext& context, Attempt attempt, Blocks blocks = Blocks::long_time) {
  return attempt_or_work(
      context, std::move(attempt),
      [](HostContext& later, Errno error) { return later.error32(error); }, blocks);
}

// Ends a call with the number of a new handle, or an error.
inline HostResult give_handle(HostContext& context, const std::variant<cap::Handle, Errno>& made) {
  if (const Errno* error = std::get_if<Errno>(&made)) return context.error32(*error);
  return context.result_i32(static_cast<i32>(std::get<cap::Handle>(made)));
}

// The number of the function of its own that a program exports by the name at `address`, or an
// error.
HostResult find_entry(const HostContext& context, const runtime::Program& program, u32 address,
                      u32 size);

// Whether a scheduler's worker runs the process, not an embedder by itself.
bool is_scheduled(const HostContext& context);
// Of its machine; null: no scheduler's worker runs the process.
std::shared_ptr<cap::Account> account_of(const HostContext& context);
// So many ns from now, which are not negative.
u64 deadline_after(i64 ns);
// Gives 0 at the deadline, monotonic ns. Of a scheduled process.
HostResult sleep_until(HostContext& context, u64 deadline);

// The 64 bytes of the guest's structure Stat (see constants.cpp) at `address`: 0 or -error.
HostResult put_stat(HostContext& context, u32 address, const vfs::Outcome<vfs::Stat>& outcome);
// Whether there is room for them.
bool has_stat_room(const HostContext& context, u32 address);

inline constexpr i64 time_keep = INT64_MIN;
vfs::Times times_from(i64 accessed, i64 modified);

}  // namespace atollvm::host
