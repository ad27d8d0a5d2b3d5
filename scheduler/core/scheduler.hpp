// Many processes on a few threads.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "scheduler/core/alarm.hpp"
#include "scheduler/core/worker.hpp"

namespace atollvm::sched {

// A message to a process of this machine at a time.
struct Timer {
  Task* task;
  u64 deadline;  // monotonic ns
  u64 id;        // another for each of the machine
  Tag tag;
  u64 value;
};

// A tenant: processes that share names, limits and a part of the CPU. Outlives its processes.
class Machine {
 public:
  struct Options {
    std::string name;
    u32 weight = policy::default_weight;
    u32 max_processes = 1 << 20;
    // What imports of its processes may name; must outlive the machine.
    std::span<const runtime::HostFunction> host;
    std::span<const runtime::HostFunction> more_host;
    void* owner = nullptr;  // of each process
    cap::AccountLimits limits;
    u64 cpu_limit = Task::never;  // of all its processes together, ns; reached, all of them end
    // Called once it has been reached, on a worker.
    std::function<void()> on_cpu_limit;
    // Called when a process of the machine has ended, on its worker, before others hear of it.
    std::function<void(Task&, const runtime::Outcome&, Exit)> on_end;
    // Called with a process's owner when nothing is left of it: no memory, name or bond.
    std::function<void(void* owner)> on_gone;
  };

  [[nodiscard]] const Options& options() const { return options_; }
  [[nodiscard]] u32 processes() const { return table_->processes(); }
  // Whether nothing is left of any process, not even of one that is just ending.
  [[nodiscard]] bool is_empty() const { return table_->records() == 0; }
  [[nodiscard]] bool is_full() const { return processes() >= options_.max_processes; }
  [[nodiscard]] const policy::Group& group() const { return group_; }
  // What its processes hold and have used. It is not part of a snapshot: restored processes charge
  // again.
  [[nodiscard]] cap::Account& account() const { return account_; }
  // For what may outlast the machine.
  [[nodiscard]] const std::shared_ptr<cap::Account>& shared_account() const {
    return shared_account_;
  }
  // CPU time that its processes have used, ns. At most a slice for each worker behind, without a
  // limit.
  [[nodiscard]] u64 cpu_time() const { return cpu_.load(std::memory_order_relaxed); }
  [[nodiscard]] bool has_cpu_limit() const { return options_.cpu_limit != Task::never; }
  // What is left of it.
  [[nodiscard]] u64 cpu_left() const {
    return options_.cpu_limit - std::min(options_.cpu_limit, cpu_time());
  }
  void charge(u64 ns) {
    const u64 used = cpu_.fetch_add(ns, std::memory_order_relaxed) + ns;
    if (used < options_.cpu_limit || used - ns >= options_.cpu_limit) return;
    if (options_.on_cpu_limit) options_.on_cpu_limit();
  }
  [[nodiscard]] bool is_paused() const { return paused_.load(); }
  // Whether processes whose calls are carried out by the host take the results though it is paused.
  [[nodiscard]] bool finishes_jobs() const { return finishes_jobs_.load(); }
  // Keeps a process that is ready, and that nobody queues, until the machine is resumed. False: the
  // machine runs, or the process is to end: its turn has come. A worker's.
  bool hold(Task& task);
  // Terms that most of its processes have: those of the first one. They stay where they are.
  const Terms& common_terms(const Terms& first);
  // Its processes.
  [[nodiscard]] Table& table() const { return *table_; }
  [[nodiscard]] const std::shared_ptr<Table>& shared_table() const { return table_; }
  ~Machine();

 private:
  friend class Scheduler;
  Machine(Options options, Scheduler& scheduler)
      : options_(std::move(options)),
        scheduler_(scheduler),
        shared_account_(std::make_shared<cap::Account>(options_.limits)) {}

  Options options_;
  Scheduler& scheduler_;
  // Also of those who wake a process when the machine may have gone.
  const std::shared_ptr<Table> table_ = std::make_shared<Table>();
  policy::Group group_;
  std::once_flag has_terms_;
  Terms terms_;
  const std::shared_ptr<cap::Account> shared_account_;
  cap::Account& account_ = *shared_account_;
  std::atomic<bool> is_ending_{false};
  std::atomic<u64> cpu_{0};
  std::mutex names_mutex_;
  std::unordered_map<std::string, Pid> names_;
  std::atomic<bool> paused_{false};
  std::atomic<bool> finishes_jobs_{false};
  std::mutex held_mutex_;  // may be taken under the lock of a process
  std::unordered_map<Pid, Task*> held_;
  u64 next_timer_id_ = 1;  // under the scheduler's timers_mutex_
  std::atomic<bool> frozen_{false};
  std::vector<Timer> frozen_timers_;  // that are kept from going off, in their order
};

// What a machine is besides its options and the objects of the host: what is written of it, and
// what it goes on from elsewhere.
struct MachineState {
  std::vector<std::unique_ptr<Task>> tasks;  // with their pids; none has an owner or a worker
  std::vector<u32> generations;              // of the Table; each task's place is among them
  std::unordered_map<std::string, Pid> names;
  std::vector<Timer> timers;  // of these tasks, in the order in which they were started
  u64 next_timer_id = 1;
  u64 cpu_time = 0;  // ns
};

// What to start.
struct Spawn {
  // Null, without `like`: the process is the host's, without guest code. It waits for messages from
  // the start, and Scheduler::Run does what is to be done when one has come.
  std::shared_ptr<const runtime::Program> program{};
  // Of the same machine: its program is the one to start, and what they can share, they do.
  const runtime::Instance* like = nullptr;
  // Called one after the other; the last one gets the arguments.
  std::span<const u32> functions{};
  std::span<const runtime::Slot> arguments{};
  runtime::Limits limits{};
  runtime::IoAmount io{};       // at most
  runtime::IoAmount io_rate{};  // at most in a second
  runtime::MemoryStrategy memory = runtime::MemoryStrategy::checked;
  MailboxLimits mailbox{};
  u64 cpu_limit = Task::never;  // ns
  u32 weight = policy::default_weight;
  u8 priority = policy::default_priority;
  Pid parent = 0;
  bool link = false;  // with the parent, which must be the running process
  u64 monitor = 0;    // the parent's reference; 0: none
  bool is_main = false;
  void* owner = nullptr;  // null: the machine's
  // What it holds from the start, by number; null objects leave their number free.
  std::vector<cap::Capability> handles{};
  // They are charged to the machine already, and stay so if there is no process.
  bool handles_are_paid = false;
};

class Scheduler {
 public:
  // Of one process.
  static constexpr usize max_timers = 4096;
  static constexpr usize max_names = 4096;

  // The tier that runs a process's code, e.g. interp::run; and that of the host's processes.
  using Run = runtime::Outcome (*)(runtime::Process&);
  struct Options {
    u32 workers = 1;
    const policy::Row* policy = nullptr;  // null: the default
    u64 slice_ns = policy::default_slice;
    // Not 0: a seed. For tests: processes are stopped at safepoints at random, very often, moved
    // between the workers, put to sleep for moments, and woken before what they wait for has come.
    u64 stress = 0;
    // For compiled code, see runtime::Worker; outlives the scheduler.
    runtime::NativePool* pool = nullptr;
  };

  // Starts the threads. Throws std::system_error or std::bad_alloc.
  Scheduler(const Options& options, Run run);
  // Ends every process, then the threads.
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // --- Any thread.
  Machine& add_machine(Machine::Options options);  // throws std::bad_alloc
  // Ends a machine's processes and waits for it; the machine is gone afterwards. Not on a worker.
  void remove_machine(Machine& machine);
  // Errors: those of Process::add_instance and prepare; limit (processes of the machine or of all,
  // memory or handles of the machine).
  base::Result<Pid> spawn(Machine& machine, const Spawn& what, Worker* here = nullptr);
  // Ends a process. False: there is none.
  bool kill(Machine& machine, Pid pid, Exit why, Worker* here = nullptr);
  void kill_all(Machine& machine, Exit why);
  // Lets none of a machine's processes run until it is resumed: when pause() comes back, none does.
  // They can still be ended, and get messages; time goes on for those that wait for it. Not on a
  // worker.
  void pause(Machine& machine);
  void resume(Machine& machine);
  // Lets the host calls that are being carried out on the pool (Loop::work) come to their ends, and
  // the processes of the paused machine take the results, up to their next safepoints. Gives up at
  // `deadline_ns`. Not on a worker, and once at a time.
  void finish_jobs(Machine& machine, u64 deadline_ns);
  // Keeps a paused machine's processes as they are, all of them and all that they are bound to,
  // until it is thawed: timers go off and processes end then. Only what they wait for may be
  // noticed. Whoever spawns processes waits for it by himself. Not on a worker, and once at a time.
  void freeze(Machine& machine);
  void thaw(Machine& machine);
  // Of a frozen machine.
  [[nodiscard]] std::span<const Timer> timers(const Machine& machine) const {
    return machine.frozen_timers_;
  }
  [[nodiscard]] u64 next_timer_id(const Machine& machine) const { return machine.next_timer_id_; }
  [[nodiscard]] const std::unordered_map<std::string, Pid>& names(const Machine& machine) const {
    return machine.names_;
  }
  // Takes processes into a paused machine that never had any; they go on when it is resumed. Of
  // `state` all is as adopt() wants it: pids fit the generations, bonds are mutual, names and
  // timers are those of its tasks. Errors, with nothing changed: usage (not such a machine), limit
  // (processes of the machine or of all, the host's memory).
  base::Status adopt(Machine& machine, MachineState& state);

  // no_memory: of the machine; waits: where there is a `sender`, the running process, it now stands
  // in line for room, and sends anew when it is woken; too_large: there never will be.
  enum class Sent : u8 { yes, no_process, full, no_memory, waits, too_large };
  Sent send(const Machine& machine, Pid to, MessagePtr& message, Worker* here = nullptr,
            Task* sender = nullptr) {
    return deliver(machine, to, message, /*must=*/false, here, sender);
  }

  // Names of a machine's processes.
  enum class Named : u8 { yes, taken, no_process, too_many, no_memory };
  Named name(Machine& machine, std::string name, Pid pid);
  bool unname(Machine& machine, const std::string& name);
  [[nodiscard]] Pid find(Machine& machine, const std::string& name);

  // A message to a process at a time. 0: it has too many such timers already, or its machine has no
  // memory for one more.
  u64 start_timer(Task& task, u64 deadline, Tag tag, u64 value);
  bool cancel_timer(Task& task, u64 id);

  // --- For running processes and workers.
  // A machine's process, held.
  Table::Held find(const Machine& machine, Pid pid) { return machine.table().find(pid); }
  enum class Bound : u8 { yes, no_process, too_many, no_memory };
  Bound link(Task& running, Pid other);
  void unlink(Task& running, Pid other);
  Bound monitor(Task& running, Pid other, u64 reference, Tag tag);
  void demonitor(Task& running, u64 reference);
  // An exit signal, as from a link.
  Bound signal(const Machine& machine, Pid to, Pid from, Exit why, Worker* here);
  // Whether a message is worth making. yes: there is room, or it is not to be waited for.
  Sent look_for_room(Task& sender, Pid to, const Load& load);
  // Of one that stands in a line and now has sent, or won't: the next ones may.
  void leave_line(Task& sender, Worker* here);
  // Of a held process that has_line: calls those in front, as many as there is room for. While it
  // takes messages (not `idle`), that is when half of what it may have is there, so that each can
  // send many at a time. Gives how many it can take before there is a point in asking again.
  u16 call_senders(Table::Held held, bool idle, Worker* here);
  // Makes a held process ready, if it waits.
  void wake(Table::Held held, Worker* here);
  // Takes leave of a process that has ended: frees what it holds, and tells those who are bound to
  // it. From the first call on nobody finds it. False: that was not all, and the worker calls
  // again.
  bool bury(Task& task, Exit why, Worker* here);
  // Of one that is buried; it is gone.
  void forget(Task& task, Worker& here);
  void fire_timers(u64 now, Worker* here);
  [[nodiscard]] u64 next_timer() const { return next_timer_.load(std::memory_order_relaxed); }

  [[nodiscard]] Run run() const { return run_; }
  [[nodiscard]] std::span<const std::unique_ptr<Worker>> workers() const { return workers_; }
  [[nodiscard]] StressCounts stress_counts() const {
    StressCounts sum;
    for (const auto& worker : workers_) sum += worker->stress_counts();
    return sum;
  }
  [[nodiscard]] bool stopping() const { return stopping_.load(std::memory_order_relaxed); }
  // Whether no machine has anything left of a process.
  [[nodiscard]] bool is_empty() const;
  // Whether the running process of this machine is the only one of all machines: then it keeps
  // nobody waiting.
  [[nodiscard]] bool is_alone(const Machine& machine) const;
  void wake_alarm() { alarm_->wake(); }

 private:
  friend class Machine;
  struct TimerKey {
    u64 deadline;
    u64 sequence;  // in the order in which they were started
    auto operator<=>(const TimerKey&) const = default;
  };
  [[nodiscard]] std::vector<std::shared_ptr<Machine>> machines() const;
  bool doom(Task& task, Exit why);
  static void uncount(Task& task);
  [[nodiscard]] bool is_still(const Machine& machine) const;
  struct Place {
    Pid pid;
    bool shares;  // it is counted among the users of what `like` shares
  };
  base::Status make(Machine& machine, const Spawn& what, Place place, Worker* here, Task*& made);
  Sent deliver(const Machine& machine, Pid to, MessagePtr& message, bool must, Worker* here,
               Task* sender);
  Sent deliver_to_full(Table::Held to, MessagePtr& message, bool must, Worker* here, Task* sender);
  static Sent stand_in_line(Table::Held& held, Task& sender, const Load& load);
  void call(Table::Held sender, Worker* here);
  static void rouse(Table::Held waiting, Worker* here);
  Sent append(Table::Held& held, MessagePtr& message, bool must, Worker* here);
  void signal(Table::Held held, Pid from, Exit why, Worker* here);
  void hear(Table::Held held, Pid from, u64 reference, Tag tag, Exit why, Worker* here);
  bool drop_timers(const Task& task, u32& budget);
  bool unbind(Task& task, u32& budget, Worker* here);
  void add_timer(const Timer& timer);
  Worker& some_worker();

  Run run_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<std::thread> threads_;
  std::atomic<bool> stopping_{false};
  std::atomic<u32> next_worker_{0};

  mutable std::mutex machines_mutex_;
  std::vector<std::shared_ptr<Machine>> machines_;
  std::vector<u32> free_groups_;
  u32 groups_ = 0;
  std::condition_variable emptied_;

  std::mutex timers_mutex_;
  std::map<TimerKey, Timer> timers_;
  std::unordered_map<const Task*, std::map<u64, TimerKey>> timers_of_;  // by id
  u64 timer_sequence_ = 0;
  std::atomic<u64> next_timer_{Task::never};

  std::optional<AlarmClock> alarm_;
};

// --- Short and often called ---

inline void Scheduler::wake(Table::Held held, Worker* here) {
  if (held && held->phase_now() == Task::Phase::waiting) rouse(std::move(held), here);
}

inline void Scheduler::rouse(Table::Held waiting, Worker* here) {
  Task& task = *waiting;
  task.phase.store(Task::Phase::ready, std::memory_order_relaxed);
  // From now on it is this thread's to queue.
  const bool comes_here = here != nullptr && (!task.stays || task.home_worker == here);
  Worker& home = comes_here ? *here : *task.home_worker;
  waiting.release();
  if (comes_here) {
    home.accept(task);
  } else {
    home.post(task);
  }
}

}  // namespace atollvm::sched
