// How host calls, in whatever folder, do what may block.
#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "stdlib/host/host.hpp"
#include "stdlib/host/stream.hpp"
#include "stdlib/net/socket.hpp"
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

// What to wait for until a socket, a stream can be read (written); nothing: only the pool can wait.
inline loop::Loop::Interest interest_of(net::Socket& socket, bool write) {
  return {socket.fd(), write, socket.number(), socket.readiness()};
}
inline std::optional<loop::Loop::Interest> interest_of(Stream& stream, bool write) {
  if (net::Socket* const socket = stream.socket()) return interest_of(*socket, write);
  if (cap::Readiness* const readiness = stream.readiness()) {
    return loop::Loop::Interest{-1, write, 0, readiness};
  }
  const std::optional<int> fd = stream.wait_fd();
  return fd ? std::optional(loop::Loop::Interest{*fd, write}) : std::nullopt;
}

// What a call may do now, of quotas and rates; it is counted, and settle_io() comes afterwards.
struct Share {
  runtime::IoShare io;
  std::shared_ptr<cap::Rate> link{};   // of a network that the bytes go through; null: none
  std::shared_ptr<cap::Rate> count{};  // of which it is one; null: none

  [[nodiscard]] u32 size() const { return static_cast<u32>(io.bytes); }
};
// How many of so many bytes, at most 4 GiB, the guest may still read or write, in one turn. 0:
// beyond its quota. Of some that can't be fewer, `is_whole`, those that its quota has.
inline Share take_io(const HostContext& context, usize wanted, std::shared_ptr<cap::Rate> link = {},
                     bool is_whole = false) {
  const runtime::IoShare io = context.process().take_io_bytes(wanted, is_whole, link.get());
  return {io, std::move(link)};
}
// So many bytes were read or written, or it came to an error; what is left is not counted.
inline void settle_io(const HostContext& context, const Share& share,
                      const vfs::Outcome<u32>& outcome) {
  const u32* const moved = std::get_if<u32>(&outcome);
  context.process().settle_io_bytes(share.io, moved == nullptr ? 0 : *moved, share.link.get());
  if (moved == nullptr && share.count != nullptr) share.count->give(1);
}
// One more of what a rate counts (null: none), for the same call.
void take_one(Share& share, std::shared_ptr<cap::Rate> of);
// Parks a call, which has done nothing before if it `is_unbegun`, until its share may be used, or
// until the deadline (if there is one): then nothing is counted, and `late` is run.
HostResult wait_for_share(HostContext& context, const Share& share, bool is_unbegun,
                          runtime::Finish finish, std::optional<u64> deadline = {},
                          runtime::Finish late = {});
// Does `go(context, share)` once the share may be used, in a call that has done nothing before. At
// the deadline, if that comes first, the call gives timedout. `go` is copied and must own what it
// uses.
template <class Go>
HostResult with_share(HostContext& context, const Share& share, Go go,
                      std::optional<u64> deadline = {}) {
  if (share.io.at == 0) [[likely]]
    return go(context, share);
  return wait_for_share(
      context, share, /*is_unbegun=*/true,
      [share, go = std::move(go)](HostContext& later) { return go(later, share); }, deadline,
      [](HostContext& later) { return later.error32(Errno::timedout); });
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
