// How host calls, in whatever folder, do what may block.
#pragma once

#include <utility>

#include "stdlib/host/host.hpp"
#include "stdlib/vfs/vfs.hpp"

namespace atollvm::host {

using cap::Errno;
using runtime::HostContext;
using runtime::HostResult;

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
HostResult attempt_or_work(HostContext& context, Attempt attempt, Done done) {
  auto outcome = attempt(vfs::Wait::never);
  if (!must_wait(outcome)) return done(context, std::move(outcome));
  return loop::of(context).work(
      context, [attempt = std::move(attempt), done = std::move(done)]() -> runtime::Finish {
        return [done, late = attempt(vfs::Wait::allowed)](HostContext& later) {
          return done(later, late);
        };
      });
}

}  // namespace atollvm::host
