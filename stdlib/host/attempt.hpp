// How host calls, in whatever folder, do what may block.
#pragma once

#include <utility>

#include "stdlib/host/host.hpp"
#include "stdlib/vfs/vfs.hpp"
#include "vm/runtime/process.hpp"

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

// How many of so many bytes, at most 4 GiB, the guest may still read or write; they are counted.
// 0: beyond its quota.
inline u32 take_io_bytes(const HostContext& context, usize wanted) {
  return static_cast<u32>(context.process().take_io_bytes(wanted));
}
// Of `taken` bytes so many were read or written; the others are not counted.
inline void settle_io(const HostContext& context, u32 taken, const vfs::Outcome<u32>& outcome) {
  const u32* const moved = std::get_if<u32>(&outcome);
  context.process().give_io_bytes(taken - (moved == nullptr ? 0 : *moved));
}

// Whether nobody else waits for the thread: the process is the only one that a scheduler has, or
// none runs it.
bool is_alone(const HostContext& context);

// How long an attempt may block.
enum class Blocks : u8 {
  long_time,
  briefly,  // for a few names of a file system
};

// A directory as the calling process sees it, for an attempt of this call.
std::shared_ptr<vfs::Directory> as_seen(const HostContext& context,
                                        std::shared_ptr<vfs::Directory> directory);
// Whether opening gave a vfs::OwnHandle.
inline bool is_own_handle(const cap::Object& opened) { return opened.kind() == cap::Kind{}; }
// The capability of the calling process that such a one stands for; valid until the next insert or
// close. Errors: noent (it has none, or that was revoked).
vfs::Outcome<cap::Capability*> own_handle(const HostContext& context, const cap::Object& opened);

// Makes `attempt(wait)` at once if it need not block, or blocks briefly and the process is alone:
// going through the pool takes several times as long as most calls on names. Else in the pool.
// Gives what came of it to `done(context, outcome)` on the process's thread. Both are copied and
// must own what they use; `attempt` must not touch what belongs to the process's thread.
template <class Attempt, class Done>
HostResult attempt_or_work(HostContext& context, Attempt attempt, Done done,
                           Blocks blocks = Blocks::long_time) {
  auto outcome = attempt(vfs::Wait::never);
  if (!must_wait(outcome)) return done(context, std::move(outcome));
  if (blocks == Blocks::briefly && is_alone(context)) {
    return done(context, attempt(vfs::Wait::allowed));
  }
  return loop::of(context).work(
      context, [attempt = std::move(attempt), done = std::move(done)]() -> runtime::Finish {
        return [done, late = attempt(vfs::Wait::allowed)](HostContext& later) {
          return done(later, late);
        };
      });
}

}  // namespace atollvm::host
