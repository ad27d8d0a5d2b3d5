#include "scheduler/core/scheduler.hpp"

#include <time.h>

#include <algorithm>
#include <cstring>
#include <system_error>
#include <utility>

namespace atollvm::sched {

namespace {

using base::Error;
using base::ErrorCode;

// Of one process.
// That go off between two turns of a worker.
constexpr u32 most_timers = 1024;
// What is done of a burial between two turns: messages, links and so on; bytes of memory.
constexpr u32 burial_budget = 1000;
constexpr u64 memory_a_burial = 16 << 20;

}  // namespace

Machine::~Machine() {
  const std::lock_guard guard(scheduler_.machines_mutex_);
  scheduler_.free_groups_.push_back(group_.index);
}

// --- Life ---------------------------------------------------------------------------------

Scheduler::Scheduler(const Options& options, Run run_process) : run_(run_process) {
  const policy::Row& policy = options.policy != nullptr ? *options.policy : policy::all().front();
  const u32 count = std::max<u32>(options.workers, 1);
  for (u32 i = 0; i < count; ++i) {
    workers_.push_back(std::make_unique<Worker>(*this, i, policy.make()));
    workers_.back()->set_time_slice(options.slice_ns);
    workers_.back()->pool = options.pool;
    if (options.stress != 0) workers_.back()->set_stress(options.stress);
  }
  alarm_.emplace(workers_);
  for (const auto& worker : workers_) threads_.emplace_back([&worker] { worker->run(); });
}

Scheduler::~Scheduler() {
  stopping_.store(true);
  while (!is_empty()) {
    for (const auto& machine : machines()) kill_all(*machine, {ExitKind::stopped, 0});
    for (const auto& worker : workers_) worker->nudge();
    const timespec while_they_end{0, 1'000'000};
    if (!is_empty()) nanosleep(&while_they_end, nullptr);
  }
  for (const auto& worker : workers_) worker->nudge();
  for (std::thread& thread : threads_) thread.join();
  alarm_.reset();
  std::vector<std::shared_ptr<Machine>> machines;
  {
    const std::lock_guard guard(machines_mutex_);
    machines.swap(machines_);
  }
  machines.clear();
  workers_.clear();
}

std::vector<std::shared_ptr<Machine>> Scheduler::machines() const {
  const std::lock_guard guard(machines_mutex_);
  return machines_;
}

Machine& Scheduler::add_machine(Machine::Options options) {
  std::shared_ptr<Machine> machine(new Machine(std::move(options), *this));
  machine->group_.weight =
      std::clamp(machine->options_.weight, policy::min_weight, policy::max_weight);
  {
    const std::lock_guard guard(machines_mutex_);
    if (free_groups_.empty()) {
      machine->group_.index = groups_++;
      free_groups_.reserve(groups_);  // so that giving one back needs no memory
    } else {
      machine->group_.index = free_groups_.back();
      free_groups_.pop_back();
    }
    machines_.push_back(machine);
  }
  for (const auto& worker : workers_) worker->tell(machine, true);
  return *machine;
}

void Scheduler::remove_machine(Machine& machine) {
  std::shared_ptr<Machine> last;
  // Processes that spawn without end would be quicker than whoever kills them.
  machine.is_ending_.store(true);
  while (true) {
    kill_all(machine, {ExitKind::stopped, 0});
    std::unique_lock lock(machines_mutex_);
    if (emptied_.wait_for(lock, std::chrono::milliseconds(50),
                          [&] { return machine.is_empty(); })) {
      const auto at = std::find_if(machines_.begin(), machines_.end(),
                                   [&](const auto& each) { return each.get() == &machine; });
      last = std::move(*at);
      machines_.erase(at);
      break;
    }
  }
  for (const auto& worker : workers_) worker->tell(last, false);
}

bool Scheduler::is_empty() const {
  const std::lock_guard guard(machines_mutex_);
  return std::all_of(machines_.begin(), machines_.end(),
                     [](const auto& machine) { return machine->is_empty(); });
}

bool Scheduler::is_alone(const Machine& machine) const {
  if (machine.processes() > 1) return false;
  const std::lock_guard guard(machines_mutex_);
  return machines_.size() == 1;
}

Worker& Scheduler::some_worker() {
  return *workers_[next_worker_.fetch_add(1, std::memory_order_relaxed) % workers_.size()];
}

// --- Processes ----------------------------------------------------------------------------

base::Result<Pid> Scheduler::spawn(Machine& machine, const Spawn& what, Worker* here) {
  if (stopping_.load(std::memory_order_relaxed) ||
      machine.is_ending_.load(std::memory_order_relaxed)) {
    return Error{ErrorCode::limit, "", "the scheduler stops"};
  }
  Table& table = machine.table();
  const bool shares =
      what.like != nullptr && what.like->shares_imports && what.like->linked->is_counted_by(&table);
  runtime::LinkedProgram* const shared = shares ? what.like->linked.get() : nullptr;
  const Pid pid = table.reserve(machine.options_.max_processes, shared);
  if (pid == 0) {
    return Error{ErrorCode::limit, machine.options_.name,
                 machine.is_full() ? "has as many processes as it may have: " +
                                         std::to_string(machine.options_.max_processes)
                                   : "the host has no room for a further process"};
  }
  Task* made = nullptr;  // once others can find it
  try {
    auto status = make(machine, what, {pid, shares}, here, made);
    if (status) return pid;
    table.release(pid, /*is_counted=*/true, shared);
    return std::move(status).error();
  } catch (const std::bad_alloc&) {
    if (made != nullptr) {
      made->owner = machine.options_.owner;  // the caller's has not been taken
      kill(machine, made->pid, {ExitKind::memory, 0});
      made->home_worker->post(*made);
    } else {
      table.release(pid, /*is_counted=*/true, shared);
    }
    return Error{ErrorCode::limit, "", "the host has no memory for this process"};
  }
}

namespace {

// Adds the instance that its program's charge is for.
base::Status add_first(Task& task, const std::shared_ptr<const runtime::Program>& program,
                       const runtime::Instance* like, bool is_counted) {
  auto added = task.add_instance(program, like, {.is_charged = true, .is_counted = is_counted});
  if (!added) return std::move(added).error();
  return {};
}

// The charge of handles that a process has been given goes back with it. Where it is not started
// after all, that is nobody's yet.
class Adoption {
 public:
  Adoption(Task& task, cap::Meter& meter) : task_(task), meter_(meter) {}
  ~Adoption() { meter_.add(count_); }
  Adoption(const Adoption&) = delete;
  Adoption& operator=(const Adoption&) = delete;
  void add(const cap::Capability& capability) {
    task_.handles().adopt(capability);
    ++count_;
  }
  void keep() { count_ = 0; }

 private:
  Task& task_;
  cap::Meter& meter_;
  u64 count_ = 0;
};

}  // namespace

base::Status Scheduler::make(Machine& machine, const Spawn& what, Place place, Worker* here,
                             Task*& made) {
  cap::Account& account = machine.account_;
  const std::shared_ptr<const runtime::Program>& program =
      what.like != nullptr ? what.like->linked->program : what.program;
  const bool is_guest = program != nullptr;
  cap::Charge record(&account.memory,
                     runtime::process_bytes + (is_guest ? program->instance_bytes() : 0));
  const u64 link_cost = what.link ? link_bytes : 0;
  cap::Charge link(&account.memory, link_cost);
  cap::Charge parents(&account.memory, link_cost + (what.monitor != 0 ? monitor_bytes : 0));
  cap::Charge open(what.handles_are_paid ? nullptr : &account.handles, what.handles.size());
  if (!open) {
    return Error{ErrorCode::limit, machine.options_.name, "has as many handles as it may have"};
  }
  if (!record || !link || !parents) {
    return Error{ErrorCode::limit, machine.options_.name,
                 "has no memory left for a further process"};
  }
  if (what.handles.size() > what.limits.handles) {
    return Error{ErrorCode::limit, "", "fewer handles allowed than it is given"};
  }
  runtime::Options options;
  options.limits = what.limits;
  options.io = what.io;
  options.io_rate = what.io_rate;
  options.memory = what.memory;
  options.host = machine.options_.host;
  options.more_host = machine.options_.more_host;
  options.account = &account;
  Terms terms{what.mailbox, what.cpu_limit};
  terms.mailbox.handles = what.limits.handles;
  const Terms& common = machine.common_terms(terms);
  std::unique_ptr<Task> task;
  if (place.shares && here != nullptr) task = here->kept().take(*what.like->linked);
  const bool begins_again = task != nullptr && task->fits(options);
  if (!begins_again) {
    task = std::make_unique<Task>(options, terms, common, machine);
    record.keep();
  }
  if (is_guest) {
    base::Status begun = begins_again ? task->begin_again(options, terms, common, machine)
                                      : add_first(*task, program, what.like, place.shares);
    record.keep();
    if (!begun) return std::move(begun).error();
    const bool only_one = what.functions.size() == 1;
    base::Status prepared = task->prepare(
        what.functions.front(), only_one ? what.arguments : std::span<const runtime::Slot>());
    if (!prepared) return prepared.error();
    if (!only_one) {
      auto later = std::make_unique<Task::Later>();
      later->functions.assign(what.functions.begin() + 1, what.functions.end());
      later->arguments.assign(what.arguments.begin(), what.arguments.end());
      task->rare().later = std::move(later);
    }
  } else {
    task->waits_for_message = true;
    task->phase.store(Task::Phase::waiting);
  }
  task->owner = what.owner != nullptr ? what.owner : machine.options_.owner;
  task->group = &machine.group_;
  task->cpu_is_limited = what.cpu_limit != Task::never || machine.has_cpu_limit();
  task->set_weight(what.weight);
  task->Node::priority = std::min(what.priority, policy::max_priority);
  task->parent = what.parent;
  task->is_main = what.is_main;
  task->home_worker = here != nullptr ? here : &some_worker();
  task->home_worker->admit(*task);
  if (what.link) task->bound().links.insert(what.parent);
  if (what.monitor != 0) task->bound().watchers.emplace(what.parent, what.monitor);
  Adoption adoption(*task, account.handles);
  for (const cap::Capability& each : what.handles) adoption.add(each);
  const Pid pid = place.pid;
  machine.table().add(*task, pid);
  made = task.release();
  link.keep();
  if (what.link || what.monitor != 0) {
    const Table::Held parent = find(machine, what.parent);
    if (parent) {
      if (what.link) parent->bound().links.insert(pid);
      if (what.monitor != 0)
        parent->bound().watching.emplace(what.monitor, Relations::Watch{pid, tag_down});
      parents.keep();
    }
  }
  open.keep();
  adoption.keep();
  if (!is_guest) return {};
  if (here != nullptr) {
    here->accept(*made);
  } else {
    made->home_worker->post(*made);
  }
  return {};
}

// The process's lock is held. False: it is doomed already.
bool Scheduler::doom(Task& task, Exit why) {
  if (task.dying.load(std::memory_order_relaxed) || task.doom_waits) return false;
  Machine& machine = *task.machine;
  task.doom = why;
  if (machine.frozen_.load()) {
    task.doom_waits = true;
    return true;
  }
  task.dying.store(true);
  task.preempt();
  bool was_held = false;
  {
    const std::lock_guard guard(machine.held_mutex_);
    was_held = machine.held_.erase(task.pid) != 0;
  }
  if (was_held) task.home_worker->post(task);
  return true;
}

bool Scheduler::kill(Machine& machine, Pid pid, Exit why, Worker* here) {
  Table::Held held = find(machine, pid);
  if (!held) return false;
  doom(*held, why);
  wake(std::move(held), here);
  return true;
}

void Scheduler::kill_all(Machine& machine, Exit why) {
  std::vector<Pid> all;
  machine.table().for_each([&](Task& task) {
    doom(task, why);
    if (task.phase_now() == Task::Phase::waiting) all.push_back(task.pid);
  });
  for (const Pid pid : all) wake(find(machine, pid), nullptr);
}

const Terms& Machine::common_terms(const Terms& first) {
  std::call_once(has_terms_, [&] { terms_ = first; });
  return terms_;
}

bool Machine::hold(Task& task) {
  const std::lock_guard guard(held_mutex_);
  // doom() sets `dying` before it looks here.
  if (!paused_.load() || task.dying.load()) return false;
  held_.emplace(task.pid, &task);
  return true;
}

void Scheduler::pause(Machine& machine) {
  {
    const std::lock_guard guard(machine.held_mutex_);
    machine.paused_.store(true);
  }
  while (true) {
    bool runs = false;
    machine.table().for_each([&](Task& task) {
      if (task.phase_now() != Task::Phase::running) return;
      if (task.dying.load(std::memory_order_relaxed)) return;
      runs = true;
      task.preempt();
    });
    if (!runs) return;
    const timespec soon{0, 100'000};
    nanosleep(&soon, nullptr);
  }
}

void Scheduler::finish_jobs(Machine& machine, u64 deadline_ns) {
  const auto has_jobs = [&] {
    bool found = false;
    machine.table().for_each([&](const Task& task) {
      found = found || task.phase_now() == Task::Phase::running || task.is_in_job();
    });
    return found;
  };
  if (!has_jobs()) return;
  std::unordered_map<Pid, Task*> held;
  {
    const std::lock_guard guard(machine.held_mutex_);
    machine.finishes_jobs_.store(true);
    held.swap(machine.held_);
  }
  for (const auto& [pid, task] : held) task->home_worker->post(*task);
  const timespec soon{0, 100'000};
  while (has_jobs() && loop::monotonic_ns() < deadline_ns) nanosleep(&soon, nullptr);
  machine.finishes_jobs_.store(false);
  pause(machine);
}

void Scheduler::resume(Machine& machine) {
  std::unordered_map<Pid, Task*> held;
  {
    const std::lock_guard guard(machine.held_mutex_);
    machine.paused_.store(false);
    held.swap(machine.held_);
  }
  for (const auto& [pid, task] : held) task->home_worker->post(*task);
}

// Those that end have no end yet while they tell others of it, when nobody finds them any more.
bool Scheduler::is_still(const Machine& machine) const {
  u32 found = 0;
  bool changes = false;
  machine.table().for_each([&](const Task& task) {
    ++found;
    changes = changes || task.phase_now() == Task::Phase::running || task.dying.load();
  });
  return !changes && machine.table().records() == found;
}

void Scheduler::freeze(Machine& machine) {
  while (true) {
    // Ends are deferred from now on, under the lock of each process.
    if (is_still(machine)) {
      machine.frozen_.store(true);
      if (is_still(machine)) break;
      thaw(machine);
    }
    const timespec soon{0, 100'000};
    nanosleep(&soon, nullptr);
  }
  const std::lock_guard guard(timers_mutex_);
  for (auto at = timers_.begin(); at != timers_.end();) {
    const Timer& timer = at->second;
    if (timer.task->machine != &machine) {
      ++at;
      continue;
    }
    machine.frozen_timers_.push_back(timer);
    timers_of_.erase(timer.task);
    at = timers_.erase(at);
  }
}

void Scheduler::thaw(Machine& machine) {
  {
    const std::lock_guard guard(timers_mutex_);
    for (const Timer& timer : machine.frozen_timers_) add_timer(timer);
    machine.frozen_timers_.clear();
  }
  machine.frozen_.store(false);
  std::vector<std::pair<Pid, Exit>> ends;
  machine.table().for_each([&](Task& task) {
    if (std::exchange(task.doom_waits, false)) ends.emplace_back(task.pid, task.doom);
  });
  for (const auto& [pid, why] : ends) kill(machine, pid, why);
}

base::Status Scheduler::adopt(Machine& machine, MachineState& state) {
  const u32 count = static_cast<u32>(state.tasks.size());
  if (!machine.is_paused() || !machine.is_empty() || machine.table().is_used()) {
    return Error{ErrorCode::usage, machine.options_.name, "is not paused, or had processes before"};
  }
  if (stopping_.load() || machine.is_ending_.load()) {
    return Error{ErrorCode::limit, machine.options_.name, "the scheduler stops"};
  }
  if (count > machine.options_.max_processes) {
    return Error{ErrorCode::limit, machine.options_.name,
                 "may have fewer processes: " + std::to_string(machine.options_.max_processes)};
  }
  try {
    u64 bytes = state.timers.size() * timer_bytes;
    u64 open = 0;
    for (const auto& task : state.tasks) {
      bytes += task->charged() + task->mailbox.count_paid();
      open += task->open_handles() + task->mailbox.handles();
      bytes += task->draft_bytes();
      if (task->relations == nullptr) continue;
      bytes += task->relations->links.size() * link_bytes;
      bytes += task->relations->watching.size() * monitor_bytes;
      for (const std::string& name : task->relations->names) bytes += name_bytes(name.size());
    }
    cap::Account& account = machine.account_;
    cap::Charge memory(&account.memory, bytes);
    cap::Charge handles(&account.handles, open);
    if (!memory || !handles) {
      return Error{ErrorCode::limit, machine.options_.name,
                   "may have less memory or fewer handles than its processes hold"};
    }
    std::vector<Task*> tasks;
    std::unordered_map<Pid, Task*> held;
    for (const auto& task : state.tasks) {
      task->owner = machine.options_.owner;
      task->group = &machine.group_;
      task->cpu_is_limited = task->terms->cpu_limit != Task::never || machine.has_cpu_limit();
      task->home_worker = &some_worker();
      task->home_worker->admit(*task);
      task->publish_census();
      tasks.push_back(task.get());
      held.emplace(task->pid, task.get());
    }
    // All that needs memory comes before the first that others see.
    const std::lock_guard guard(timers_mutex_);
    std::map<TimerKey, Timer> timers;
    std::unordered_map<const Task*, std::map<u64, TimerKey>> timers_of;
    for (const Timer& timer : state.timers) {
      const TimerKey key{timer.deadline, ++timer_sequence_};
      timers.emplace(key, timer);
      timers_of[timer.task].emplace(timer.id, key);
      timer.task->has_timers = true;
    }
    timers_of_.reserve(timers_of_.size() + timers_of.size());
    if (!machine.table().restore(state.generations, tasks)) throw std::bad_alloc();
    timers_.merge(timers);
    timers_of_.merge(timers_of);
    if (!timers_.empty()) next_timer_.store(timers_.begin()->first.deadline);
    machine.next_timer_id_ = state.next_timer_id;
    {
      const std::lock_guard names(machine.names_mutex_);
      machine.names_.swap(state.names);
    }
    machine.cpu_.fetch_add(state.cpu_time);
    const std::lock_guard holds(machine.held_mutex_);
    machine.held_.swap(held);
    memory.keep();
    handles.keep();
    for (Task* const task : tasks) {
      task->charge_to(account);
      task->mailbox.for_each([&](const Message& message) {
        if (message.parcel != nullptr) message.parcel->charged = &account.handles;
      });
    }
  } catch (const std::bad_alloc&) {
    return Error{ErrorCode::limit, machine.options_.name, "the host has no memory for it"};
  }
  for (auto& task : state.tasks) (void)task.release();
  state.tasks.clear();
  workers_.front()->nudge();
  return {};
}

bool Scheduler::bury(Task& task, Exit why, Worker* here) {
  if (!task.has_ended) {
    task.has_ended = true;
    task.machine->table().remove(task.pid);
    task.doom = why;
    // Who hears of its end may start another one in its place.
    if (task.relations != nullptr || task.machine->options_.on_gone) uncount(task);
    if (task.in_line.load() != InLine::no) leave_line(task, here);
  }
  // Nobody finds it any more, so all of it is this thread's.
  u32 budget = burial_budget;
  const bool is_over = (!task.has_timers || drop_timers(task, budget)) &&
                       (task.relations == nullptr || unbind(task, budget, here)) &&
                       task.mailbox.drop(budget) && task.release_memory(memory_a_burial);
  if (!is_over) uncount(task);
  return is_over;
}

// A process that has ended is no longer one of its machine's, though something is left of it.
void Scheduler::uncount(Task& task) {
  if (std::exchange(task.is_counted, false)) task.machine->table().uncount();
}

void Scheduler::forget(Task& task, Worker& here) {
  Machine& machine = *task.machine;
  // All that it holds goes before its machine can.
  machine.account_.memory.give(task.mailbox.paid() + task.draft_bytes());
  void* const owner = task.owner;
  const Pid pid = task.pid;
  const bool is_counted = task.is_counted;
  const auto& linked = task.instance().linked;
  runtime::LinkedProgram* const shared = linked.use_count() == 0 ? linked.get() : nullptr;
  here.kept().keep(task);
  if (machine.options_.on_gone) machine.options_.on_gone(owner);
  if (machine.table().release(pid, is_counted, shared)) {
    const std::lock_guard guard(machines_mutex_);
    emptied_.notify_all();
  }
}

// Each false: the budget did not last.
bool Scheduler::drop_timers(const Task& task, u32& budget) {
  const std::lock_guard guard(timers_mutex_);
  const auto at = timers_of_.find(&task);
  if (at == timers_of_.end()) return true;
  for (std::map<u64, TimerKey>& own = at->second; !own.empty(); own.erase(own.begin())) {
    if (budget == 0) return false;
    --budget;
    timers_.erase(own.begin()->second);
    task.machine->account().memory.give(timer_bytes);
  }
  timers_of_.erase(at);
  return true;
}

bool Scheduler::unbind(Task& task, u32& budget, Worker* here) {
  Machine& machine = *task.machine;
  Relations& bound = *task.relations;
  cap::Meter& memory = machine.account_.memory;
  while (!bound.names.empty()) {
    if (budget == 0) return false;
    --budget;
    const std::lock_guard guard(machine.names_mutex_);
    machine.names_.erase(*bound.names.begin());
    memory.give(name_bytes(bound.names.begin()->size()));
    bound.names.erase(bound.names.begin());
  }
  // They learn that there is nobody.
  while (!bound.line.senders.empty()) {
    if (budget == 0) return false;
    --budget;
    call(find(machine, bound.line.senders.begin()->second.pid), here);
    bound.line.senders.erase(bound.line.senders.begin());
  }
  while (!bound.links.empty()) {
    if (budget == 0) return false;
    --budget;
    Table::Held held = find(machine, *bound.links.begin());
    bound.links.erase(bound.links.begin());
    memory.give(link_bytes);
    // Under one lock: who has undone a link gets no signal by it.
    if (held && held->relations != nullptr && held->relations->links.erase(task.pid) != 0) {
      memory.give(link_bytes);
      signal(std::move(held), task.pid, task.doom, here);
    }
  }
  while (!bound.watching.empty()) {
    if (budget == 0) return false;
    --budget;
    const auto [reference, watch] = *bound.watching.begin();
    bound.watching.erase(bound.watching.begin());
    memory.give(monitor_bytes);
    const Table::Held held = find(machine, watch.pid);
    if (held && held->relations != nullptr) held->relations->watchers.erase({task.pid, reference});
  }
  while (!bound.watchers.empty()) {
    if (budget == 0) return false;
    --budget;
    const auto [other, reference] = *bound.watchers.begin();
    bound.watchers.erase(bound.watchers.begin());
    Table::Held held = find(machine, other);
    if (!held || held->relations == nullptr) continue;
    const auto watch = held->relations->watching.extract(reference);
    if (watch.empty()) continue;
    memory.give(monitor_bytes);
    hear(std::move(held), task.pid, reference, watch.mapped().tag, task.doom, here);
  }
  return true;
}

// --- Timers -------------------------------------------------------------------------------

u64 Scheduler::start_timer(Task& task, u64 deadline, Tag tag, u64 value) {
  const std::lock_guard guard(timers_mutex_);
  cap::Charge charge(&task.machine->account().memory, timer_bytes);
  std::map<u64, TimerKey>& own = timers_of_[&task];
  if (own.size() == max_timers || !charge) {
    if (own.empty()) timers_of_.erase(&task);
    return 0;
  }
  task.has_timers = true;
  const u64 id = task.machine->next_timer_id_++;
  add_timer({&task, deadline, id, tag, value});
  charge.keep();
  return id;
}

bool Scheduler::cancel_timer(Task& task, u64 id) {
  const std::lock_guard guard(timers_mutex_);
  const auto own = timers_of_.find(&task);
  if (own == timers_of_.end()) return false;
  const auto at = own->second.find(id);
  if (at == own->second.end()) return false;
  timers_.erase(at->second);
  own->second.erase(at);
  if (own->second.empty()) timers_of_.erase(own);
  task.machine->account().memory.give(timer_bytes);
  return true;
}

// With timers_mutex_ held.
void Scheduler::add_timer(const Timer& timer) {
  const TimerKey key{timer.deadline, ++timer_sequence_};
  timers_of_[timer.task].emplace(timer.id, key);
  timers_.emplace(key, timer);
  if (timers_.begin()->first.sequence != key.sequence) return;
  next_timer_.store(timer.deadline);
  workers_.front()->nudge();
}

// A process is there as long as it has timers: it takes them out, under their lock, before it goes.
void Scheduler::fire_timers(u64 now, Worker* here) {
  const std::lock_guard guard(timers_mutex_);
  // Where more are due, processes run in between.
  for (u32 left = most_timers; left > 0; --left) {
    if (timers_.empty() || timers_.begin()->first.deadline > now) break;
    const Timer timer = timers_.begin()->second;
    timers_.erase(timers_.begin());
    const auto own = timers_of_.find(timer.task);
    own->second.erase(timer.id);
    if (own->second.empty()) timers_of_.erase(own);
    // The message costs less.
    timer.task->machine->account().memory.give(timer_bytes);
    if (MessagePtr message{Message::make(sizeof timer.value)}) {
      std::memcpy(message->bytes(), &timer.value, sizeof timer.value);
      message->tag = timer.tag;
      message->sender = timer.task->pid;
      deliver(*timer.task->machine, timer.task->pid, message, /*must=*/true, here, nullptr);
    }
  }
  next_timer_.store(timers_.empty() ? Task::never : timers_.begin()->first.deadline);
}

}  // namespace atollvm::sched
