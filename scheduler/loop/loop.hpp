// The event loop of one worker thread: what parked host calls wait for. The only user of libuv.
//
// Threads: a Loop belongs to the thread that runs it; every function but wake() is called on that
// thread, and completions of its calls are finished there. A Loop outlives the processes whose
// calls wait in it: when a process ends, its waits are cancelled through the Loop.
//
// Nothing of libuv is created before the first wait, so that programs that never wait don't pay.
#pragma once

#include <sys/socket.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "vm/base/types.hpp"
#include "vm/cap/readiness.hpp"
#include "vm/runtime/host.hpp"

namespace atollvm::runtime {
struct Worker;
}

namespace atollvm::loop {

// Nanoseconds of CLOCK_MONOTONIC: the clock of all deadlines.
u64 monotonic_ns();

class Loop {
 public:
  Loop();
  // Cancels everything. Blocks until jobs that have already begun are done.
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // --- Parking a host call. Each suspends `context`'s call and gives the pending() to return;
  // `finish` runs on the process's thread. If the process ends first, `finish` is dropped.

  // At `deadline_ns` or as soon after as the thread is free. Equal deadlines: in order of calls.
  runtime::HostResult after(runtime::HostContext& context, u64 deadline_ns, runtime::Finish finish);
  // When reading from (writing to) `fd` would not block, or the other end is closed. At once for a
  // descriptor that can't be waited for, such as a regular file. The descriptor must stay open
  // until then: let `finish` hold its owner. Any number of calls may wait for one descriptor, whose
  // flags are not touched. `own` is 0, or the number, which no other ever had, of a descriptor that
  // has never been duplicated: that is asked about on between two waits, until it is closed, which
  // saves system calls.
  runtime::HostResult when_readable(runtime::HostContext& context, int fd, runtime::Finish finish,
                                    u64 own = 0);
  runtime::HostResult when_writable(runtime::HostContext& context, int fd, runtime::Finish finish,
                                    u64 own = 0);
  // When reading from or writing to any of the descriptors would not block, or at the deadline (if
  // there is one), whichever comes first. Each is waited for as above. At once without either.
  struct Interest {
    int fd = -1;
    bool write = false;  // else reading
    u64 own = 0;
    // In place of the descriptor, and to live as long.
    cap::Readiness* readiness = nullptr;
  };
  runtime::HostResult when_any(runtime::HostContext& context, std::span<const Interest> interests,
                               std::optional<u64> deadline_ns, runtime::Finish finish);
  // The same of one, without a deadline.
  runtime::HostResult when_ready(runtime::HostContext& context, const Interest& interest,
                                 runtime::Finish finish);
  // When the process gets its next turn, at once if nobody else wants one: for calls that do long
  // work piece by piece.
  runtime::HostResult soon(runtime::HostContext& context, runtime::Finish finish);
  // When `ready`, which is set here, is called, by whatever thread, or at the deadline, if there is
  // one; calls after that do nothing. `cancel` runs if the process ends first, in place of
  // `finish`.
  runtime::HostResult until(runtime::HostContext& context, std::optional<u64> deadline_ns,
                            runtime::Finish finish, std::function<void()> cancel,
                            std::function<void()>& ready);
  // Runs `job` on a thread of the pool, then the Finish that it gives on the process's thread. The
  // job must own all that it uses: no guest address, nothing that belongs to the process's thread.
  using Job = std::function<runtime::Finish()>;
  runtime::HostResult work(runtime::HostContext& context, Job job);
  // The addresses of a host, which the system is asked for in the pool, where such questions never
  // take all threads; at the deadline (if there is one) `finish` is told that instead.
  struct Lookup {
    enum class End : u8 { found, unknown, failed, timed_out };
    End end = End::failed;
    std::vector<sockaddr_storage> addresses;
  };
  using Found = std::function<runtime::HostResult(runtime::HostContext&, const Lookup&)>;
  runtime::HostResult lookup(runtime::HostContext& context, const std::string& name,
                             std::optional<u64> deadline_ns, Found finish);

  // --- Running.

  // Makes run_once return (now, or the next time it would block). Any thread, async-signal-safe.
  void wake() noexcept;
  // Finishes what is due. When nothing is and `block` is set, first waits for something to become
  // due or for wake(). May return without having finished anything. Throws std::runtime_error when
  // the system refuses an event loop (in a host call the same ends as Trap::host_error).
  // Waits no longer than until the deadline.
  void run_once(bool block, u64 deadline_ns = ~u64{0});
  // Calls that wait now.
  [[nodiscard]] usize waiting() const;

 private:
  struct Impl;
  struct Group;
  Impl& impl();
  runtime::HostResult watch(runtime::HostContext& context, const Interest& interest,
                            runtime::Finish finish);

  std::unique_ptr<Impl> impl_;
  std::atomic<Impl*> running_{nullptr};  // impl_ once it can take wake-ups
  std::atomic<bool> woken_{false};
};

// The loop of the worker that runs a host call's process.
Loop& of(const runtime::HostContext& context);
// Makes it that of a worker.
void serve(runtime::Worker& worker, Loop& loop);

}  // namespace atollvm::loop
