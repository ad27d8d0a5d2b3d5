// What the host calls' areas share. Internal to the folder.
#pragma once

#include <string>
#include <utility>

#include "stdlib/host/host.hpp"
#include "stdlib/vfs/name_space.hpp"

namespace atollvm::host {

using cap::Errno;
using cap::Kind;
using runtime::HostContext;
using runtime::HostResult;

inline constexpr Kind no_kind{};

// One call reads or writes at most this many bytes, so that it does not hold the thread long.
inline constexpr u32 max_transfer = 1 << 20;

// The calls themselves, by their names in hostcalls.def.
#define HOSTCALL_AREA(title)
#define HOSTCALL(name, parameters, result, kinds, rights, restart, doc) \
  HostResult call_##name(Environment& environment, HostContext& context);
#include "stdlib/host/hostcalls.def"

template <class T>
const Errno* error_of(const vfs::Outcome<T>& outcome) {
  return std::get_if<Errno>(&outcome);
}
inline const Errno* error_of(const Errno& error) {
  return error == Errno::success ? nullptr : &error;
}

// Whether an attempt with Wait::never has to be made again in the pool.
template <class T>
bool must_wait(const T& outcome) {
  const Errno* const error = error_of(outcome);
  return error != nullptr && *error == Errno::again;
}

// Makes `attempt(wait)` at once if it need not block, else in the pool, and gives what came of it
// to `done(context, outcome)` on the process's thread. Both are copied and must own what they use;
// `attempt` must not touch what belongs to the process's thread.
template <class Attempt, class Done>
HostResult attempt_or_work(Environment& environment, HostContext& context, Attempt attempt,
                           Done done) {
  auto outcome = attempt(vfs::Wait::never);
  if (!must_wait(outcome)) return done(context, std::move(outcome));
  return environment.loop.work(
      context, [attempt = std::move(attempt), done = std::move(done)]() -> runtime::Finish {
        return [done, late = attempt(vfs::Wait::allowed)](HostContext& later) {
          return done(later, late);
        };
      });
}

// For attempts that give only an error: the call's result is 0 or -error.
template <class Attempt>
HostResult attempt_errno(Environment& environment, HostContext& context, Attempt attempt) {
  return attempt_or_work(environment, context, std::move(attempt),
                         [](HostContext& later, Errno error) { return later.error32(error); });
}

// The 64 bytes of the guest's structure Stat (see constants.cpp) at `address`: 0 or -error.
HostResult put_stat(HostContext& context, u32 address, const vfs::Outcome<vfs::Stat>& outcome);
// Whether there is room for them.
bool has_stat_room(const HostContext& context, u32 address);

inline constexpr i64 time_keep = INT64_MIN;
vfs::Times times_from(i64 accessed, i64 modified);

}  // namespace atollvm::host
