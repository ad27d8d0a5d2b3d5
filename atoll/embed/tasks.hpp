// What stands behind Scheduler, Machine, Task, Mailbox and Grant.
#pragma once

#include <atoll/machine.hpp>

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "atoll/embed/impl.hpp"
#include "atoll/embed/start_up.hpp"
#include "scheduler/core/scheduler.hpp"
#include "vm/runtime/module_object.hpp"

namespace atollvm {

struct Grant::Impl {
  cap::Capability capability;
  std::shared_ptr<const cap::Account> machine;  // that it comes from; null: none
};

// Whether this is a thread of a scheduler: what waits for others would hold them up there.
bool is_on_worker();
// Calls `function`, which waits, and comes back when it has; on a worker, at once.
void off_workers(std::function<void()> function);
// Marks the calling thread as a worker.
void mark_worker();
Error waits_on_worker(std::string_view what);

// A longer time is no limit: no clock could hold it.
inline constexpr std::chrono::hours longest_time{24 * 365 * 100};

// Waits for so long at most.
template <class Condition>
bool wait_until(std::condition_variable& changed, std::unique_lock<std::mutex>& lock,
                std::chrono::nanoseconds timeout, const Condition& condition) {
  if (timeout < longest_time) return changed.wait_for(lock, timeout, condition);
  changed.wait(lock, condition);
  return true;
}

struct Scheduler::Impl {
  Impl(std::shared_ptr<Engine::Impl> of, runtime::MemoryStrategy strategy,
       const sched::Scheduler::Options& options);

  std::shared_ptr<Engine::Impl> engine;
  runtime::MemoryStrategy memory;
  sched::Scheduler scheduler;
};

// Somebody of this program who follows a process: what its `owner` points to, which nobody else
// is told of. It is kept alive until the process is gone; and until that has ended, so are the
// process, its machine and its scheduler for who holds `mutex`.
struct Follower {
  virtual ~Follower() = default;

  std::mutex mutex;
  std::condition_variable changed;
  // Under the mutex:
  sched::Scheduler* scheduler = nullptr;
  sched::Machine* machine = nullptr;
  sched::Pid pid = 0;
  const mod::FuncType* type = nullptr;  // of its function; null: it has none
  bool has_ended = false;
  bool is_gone = false;            // nothing is left of it
  ProcessEnd end;                  // once it has ended
  std::shared_ptr<Follower> self;  // while it is not gone

  // Starts a process that it follows. Gives its number.
  static base::Result<sched::Pid> spawn(const std::shared_ptr<Follower>& follower,
                                        sched::Scheduler& on, sched::Machine& in,
                                        sched::Spawn& what);
  // On a worker.
  void finish(ProcessEnd with);
  void leave();
  // False: it has ended.
  bool kill(sched::Exit why);
};

struct Task::Impl final : Follower {};

struct Machine::Impl {
  explicit Impl(std::shared_ptr<Scheduler::Impl> of) : on(std::move(of)) {}

  std::shared_ptr<Scheduler::Impl> on;
  sched::Machine* machine = nullptr;
  host::Environment environment;
  Imports imports;
  std::vector<runtime::HostFunction> functions;  // Atoll's own
  Grants grants;
  std::function<void(Pid, const ProcessEnd&)> on_end;

  // Modules that it has run, while somebody else has them too: with what their imports are here.
  std::mutex linked_mutex;
  std::map<const runtime::Program*, std::shared_ptr<runtime::ModuleObject>> linked;

  [[nodiscard]] sched::Scheduler& scheduler() const { return on->scheduler; }
  // Errors: as ModuleObject::make.
  base::Result<std::shared_ptr<runtime::ModuleObject>> link(
      const std::shared_ptr<const runtime::Program>& program);
  // Why no process may be started with these.
  [[nodiscard]] std::optional<Error> refuses(std::uint32_t weight, std::uint8_t priority) const;
  // On a worker.
  void ended(sched::Task& task, const runtime::Outcome& outcome, sched::Exit why) const;
};

// A process without guest code.
struct HostProcess : Follower {
  // On a worker, when a message has come.
  virtual runtime::Outcome turn(sched::Task& running) = 0;
};

struct Mailbox::Impl final : HostProcess {
  explicit Impl(const MailboxOptions& of) : options(of) {}

  const MailboxOptions options;
  // Under the mutex:
  bool is_called = false;   // options.on_message runs
  bool is_dropped = false;  // the program has let go of it: no further calls
  // The same, while it has not ended:
  sched::Tag searched = sched::tag_any;  // what was looked for last
  // Takes the oldest message with the tag out; null: there is none.
  sched::MessagePtr take(sched::Tag tag);
  [[nodiscard]] sched::Task& task();

  runtime::Outcome turn(sched::Task& running) override;
};

sched::MailboxLimits to_internal(const MailboxLimits& limits);

}  // namespace atollvm
