#include "scheduler/core/worker.hpp"

#include <algorithm>

#include "scheduler/core/scheduler.hpp"
#include "vm/base/blocks.hpp"

namespace atollvm::sched {

using runtime::Outcome;
using runtime::Trap;

namespace {

// How often a busy worker looks what its event loop has.
constexpr u64 poll_every = 1'000'000;
constexpr u64 charge_every = 1'000'000;
// To read the clock takes a quarter of a short turn's time. Turns up to this long are timed several
// at once: the last one, whichever that is, is charged for all. When one was longer, as many as
// there are processes are timed one by one, so that whoever takes long pays for it.
constexpr u64 short_turn = 2'000;
constexpr u32 most_untimed = 7;  // a power of two less one
// Whoever ran when the system took the CPU away is not charged for that: among thousands that are
// ready it would wait for seconds. To ask the system takes 0.6 us: of times from this on.
constexpr u64 long_time = 100'000;
// That are woken between two turns.
constexpr u32 most_sleepers = 4096;

Exit exit_of(const Outcome& outcome) {
  switch (outcome.kind) {
    case Outcome::Kind::exited:
      return {outcome.exit_code == 0 ? ExitKind::normal : ExitKind::code, outcome.exit_code};
    case Outcome::Kind::trapped:
      return {ExitKind::trap, static_cast<u32>(outcome.trap)};
    case Outcome::Kind::out_of_fuel:
      return {ExitKind::fuel, 0};
    default:
      return {};
  }
}

}  // namespace

Worker::Worker(Scheduler& scheduler, u32 index, std::unique_ptr<policy::Policy> policy)
    : scheduler_(scheduler), index_(index), policy_(std::move(policy)), random_(clock_.now()) {
  loop::serve(*this, loop_);
  core = this;
}

Worker::~Worker() = default;

// --- From other threads -------------------------------------------------------------------

void Worker::post(Task& task) {
  policy::Node* const node = static_cast<policy::Entry*>(&task);
  policy::Node* head = posted_.load(std::memory_order_relaxed);
  do {
    node->next = head;
  } while (!posted_.compare_exchange_weak(head, node));
  nudge();
}

// Either the worker sees what was posted before it parks, or the poster sees that it is parked:
// both are sequentially consistent stores followed by loads.
void Worker::nudge() {
  if (parked_.load()) {
    if (parked_.exchange(false)) loop_.wake();
  } else {
    ring();
  }
}

void Worker::ring() {
  preempt.store(true);
  limit.store(nullptr);
}

void Worker::tell(std::shared_ptr<Machine> machine, bool is_new) {
  {
    const std::lock_guard guard(news_mutex_);
    news_.push_back({std::move(machine), is_new});
    has_news_.store(true);
  }
  nudge();
}

// --- The worker's thread ------------------------------------------------------------------

void Worker::take_news() {
  std::vector<News> news;
  {
    const std::lock_guard guard(news_mutex_);
    news.swap(news_);
    has_news_.store(false);
  }
  for (const News& each : news) {
    if (each.is_new) {
      policy_->add_group(each.machine->group());
    } else {
      if (charged_ == each.machine.get()) change_machine(nullptr);
      policy_->remove_group(each.machine->group());
      kept_.clear();
      base::free_kept_blocks();
    }
  }
}

// What a process waits for in this worker's loop is called off here: it may end on another one.
void Worker::call_off(Task& task) {
  if (task.dying.load()) task.stop(Trap::interrupted);
  if (task.timed) timers_.remove(task);
  task.timed = false;
  task.stays = false;
}

void Worker::take_posted() {
  // Machines are told before their processes come.
  policy::Node* last = posted_.exchange(nullptr);
  if (has_news_.load()) take_news();
  policy::Node* first = nullptr;
  while (last != nullptr) {
    policy::Node* const next = last->next;
    last->next = first;
    first = last;
    last = next;
  }
  while (first != nullptr) {
    policy::Node* const next = first->next;
    first->next = nullptr;
    accept(static_cast<Task&>(static_cast<policy::Entry&>(*first)));
    first = next;
  }
}

void Worker::wake_sleepers() {
  for (u32 left = most_sleepers; left > 0 && timers_.first() <= now_; --left) {
    Task& task = timers_.pop();
    task.timed = false;
    // If it is not found waiting, whoever woke it posts it here.
    scheduler_.wake(task.machine->table().find(task.pid), this);
  }
}

// What a turn that just ended is charged; 0: a later one is. `must`: it is to be timed.
u64 Worker::time_turn(const Task& task, bool must) {
  if (untimed_ != 0 && !must && !task.cpu_is_limited) {
    --untimed_;
    is_behind_ = true;
    return 0;
  }
  const u64 ran = read_clock();
  if (ran > short_turn) wary_ = static_cast<u32>(policy_->size()) + 64;
  // Nobody can know which turns are timed.
  random_ = random_ * 6364136223846793005u + 1442695040888963407u;
  untimed_ = wary_ == 0 ? static_cast<u32>(random_ >> 61) & most_untimed : 0;
  if (wary_ != 0) --wary_;
  return std::max<u64>(ran, 1);
}

// Gives the CPU time since it was called last.
u64 Worker::read_clock() {
  const u64 now = clock_.now();
  is_behind_ = false;
  const u64 ran = now - std::exchange(now_, now);
  return ran < long_time ? ran : ran - delay_within(ran);
}

// What of a time until now the system has had this thread wait for a CPU. What it was late to wake
// it is not part of that.
u64 Worker::delay_within(u64 ran) {
  const u64 delay = delay_.take();
  return std::exchange(is_delay_old_, false) ? 0 : std::min(delay, ran);
}

// The next turn is of another machine, or of none (null): what was not timed is the last one's.
void Worker::change_machine(Machine* machine) {
  if (is_behind_) charge_machine(read_clock());
  flush_charge();
  charged_ = machine;
}

// The machine of the last turn, if there is one, and none of its processes.
void Worker::charge_machine(u64 ran) {
  if (charged_ == nullptr) return;
  policy_->charge(charged_->group(), ran);
  uncharged_ += ran;
}

void Worker::charge(const Machine& machine, u64 ns) {
  uncharged_ += ns;
  if (uncharged_ >= charge_every || machine.has_cpu_limit()) flush_charge();
}

void Worker::flush_charge() {
  if (charged_ != nullptr && uncharged_ != 0) charged_->charge(uncharged_);
  uncharged_ = 0;
}

void Worker::run() {
  delay_.open();
  now_ = clock_.now();
  while (true) {
    if (posted_.load(std::memory_order_relaxed) != nullptr || has_news_.load()) take_posted();
    if (hungry_.load(std::memory_order_relaxed) != nullptr) share();
    if (now_ != looked_at_) look_at_clock();
    policy::Entry* const entry = policy_->pick(now_);
    if (entry == nullptr) {
      if (scheduler_.stopping() && scheduler_.is_empty()) break;
      idle();
      continue;
    }
    ready_count_.store(static_cast<u32>(policy_->size()), std::memory_order_relaxed);
    run_task(static_cast<Task&>(*entry));
  }
  change_machine(nullptr);
  take_news();
}

// Does what is due, after the time was read.
void Worker::look_at_clock() {
  looked_at_ = now_;
  if (timers_.first() <= now_) wake_sleepers();
  if (index_ == 0 && scheduler_.next_timer() <= now_) scheduler_.fire_timers(now_, this);
  if (now_ < next_poll_) return;
  if (std::exchange(is_delay_old_, false)) delay_.take();
  loop_.run_once(false);
  next_poll_ = now_ + poll_every;
  if (policy_->size() > 1) offer();
  mix();
}

// How long a process may run now; 0: its time is used up.
inline u64 Worker::slice_of(Task& task) {
  // Where slices have no end, the rest is looked after all the same.
  u64 most = policy_->slice(task);
  if (most == policy::no_slice_end) most = poll_every;
  if (!task.cpu_is_limited) [[likely]]
    return most;
  return std::min({most, task.terms->cpu_limit - task.cpu, task.machine->cpu_left()});
}

void Worker::run_task(Task& task) {
  task.phase.store(Task::Phase::running, std::memory_order_relaxed);
  if (task.has_ended) [[unlikely]] {
    bury(task);
    return;
  }
  task.has_run = true;
  Machine& machine = *task.machine;
  if (&machine != charged_) change_machine(&machine);
  if (policy_->took_long()) [[unlikely]]
    charge_machine(read_clock());
  Outcome outcome{Outcome::Kind::preempted, Trap::unreachable, 0};
  u64 most = slice_of(task);
  // Acquire: who has it end may have looked at it before, from another thread.
  if (!task.dying.load(std::memory_order_acquire) && most != 0) [[likely]] {
    // What was asked of the process before.
    preempt.store(false, std::memory_order_relaxed);
    if (stress_ != nullptr) [[unlikely]]
      most = prepare_stress(task, most);
    u64 stop_at = std::min(timers_.first(), now_ + most);
    if (index_ == 0) stop_at = std::min(stop_at, scheduler_.next_timer());
    alarm_.store(stop_at, std::memory_order_relaxed);
    task.attach(*this);
    // attach() stored `limit` by sequentially consistent order: either pause() sees the process
    // run, or this sees that its machine is paused.
    if (machine.is_paused()) [[unlikely]] {
      if (!machine.finishes_jobs() || !task.is_in_job()) {
        task.detach();
        put_off(task);
        return;
      }
      task.preempt();
    }
    outcome = scheduler_.run()(task);
    task.detach();
    alarm_.store(no_alarm, std::memory_order_relaxed);
  }
  const bool must = outcome.kind == Outcome::Kind::preempted || stress_ != nullptr || owed != 0;
  u64 ran = time_turn(task, must);
  if (ran != 0) {
    ran += std::exchange(owed, 0);
    task.cpu += ran;
    charge(machine, ran);
  }
  settle(task, outcome, ran);
}

// Whether its CPU time is used up.
inline bool Worker::is_spent(const Task& task) {
  return task.cpu_is_limited &&
         (task.cpu >= task.terms->cpu_limit || task.machine->cpu_left() == 0);
}

// What runs, or could, is stopped and ends.
void Worker::end_from_outside(Task& task, u64 ran, Trap trap, Exit why) {
  const Outcome stopped = task.stop(trap);
  policy_->account(task, ran, policy::Stop::ended, now_);
  end(task, why, stopped);
}

// Puts a process that has stopped where it belongs.
inline void Worker::settle(Task& task, Outcome outcome, u64 ran) {
  using Kind = Outcome::Kind;
  const bool ended = outcome.kind == Kind::exited || outcome.kind == Kind::trapped ||
                     outcome.kind == Kind::out_of_fuel;
  if (!ended) {
    if (task.dying.load()) return end_from_outside(task, ran, Trap::interrupted, task.doom);
    if (is_spent(task)) return end_from_outside(task, ran, Trap::time_limit, {ExitKind::time, 0});
  }
  switch (outcome.kind) {
    case Kind::preempted:
      publish_census(task);
      if (stress_ != nullptr && disturb(task, ran)) return;
      task.phase.store(Task::Phase::ready, std::memory_order_release);
      policy_->account(task, ran, policy::Stop::preempted, now_);
      return;
    case Kind::rested:
      give_way(task, ran);
      return;
    case Kind::waiting:
      if (task.yields || (stress_ != nullptr && stress_->wakes_early())) {
        task.yields = false;
        give_way(task, ran);
        return;
      }
      park(task, ran);
      return;
    case Kind::pending:
      park_for_completion(task, ran);
      return;
    default:
      finish(task, outcome, ran);
  }
}

// A process whose function has returned, or that has come to its end otherwise.
void Worker::finish(Task& task, Outcome outcome, u64 ran) {
  if (outcome.kind == Outcome::Kind::finished && task.has_later()) {
    if (go_on(task)) {
      task.phase.store(Task::Phase::ready, std::memory_order_release);
      policy_->account(task, ran, policy::Stop::preempted, now_);
      return;
    }
    outcome = task.stop(Trap::stack_overflow);
  }
  policy_->account(task, ran, policy::Stop::ended, now_);
  Exit why = exit_of(outcome);
  // What a program's main function returns is its exit code; elsewhere results mean nothing.
  if (outcome.kind == Outcome::Kind::finished && task.is_main && !task.results().empty()) {
    why.code = static_cast<u32>(task.results()[0]);
    if (why.code != 0) why.kind = ExitKind::code;
  }
  end(task, why, outcome);
}

void Worker::publish_census(Task& task) {
  Table::Held held = task.machine->table().hold(task, task.pid);
  task.publish_census();
  // It may compute for long, and have taken messages when it did not see yet that somebody waits.
  if (task.has_line.load()) scheduler_.call_senders(std::move(held), /*idle=*/false, this);
}

// Of a paused machine: its turn comes when that is resumed.
void Worker::put_off(Task& task) {
  alarm_.store(no_alarm, std::memory_order_relaxed);
  task.phase.store(Task::Phase::ready, std::memory_order_release);
  policy_->account(task, 0, policy::Stop::waits, now_);
  if (!task.machine->hold(task)) policy_->ready(task, now_, policy::Wake::woken);
}

void Worker::give_way(Task& task, u64 ran) {
  task.phase.store(Task::Phase::ready, std::memory_order_release);
  policy_->account(task, ran, policy::Stop::waits, now_);
  policy_->ready(task, now_, policy::Wake::woken);
}

// Under stress: when a process is to stop, and how long it may run at most.
u64 Worker::prepare_stress(Task& task, u64 most) {
  // A call of the guest's that waits has a deadline of its own; a nap's is over.
  if (task.state == runtime::Process::State::runnable) task.deadline = Task::never;
  if (stress_->stops_at_once()) {
    task.preempt();
    return most;
  }
  return std::min(most, stress_->slice());
}

// Under stress: what becomes of a process that has stopped and could go on. False: what is usual.
bool Worker::disturb(Task& task, u64 ran) {
  const auto others = scheduler_.workers();
  switch (stress_->turn()) {
    case Stress::Turn::stays:
      return false;
    case Stress::Turn::moves: {
      if (others.size() < 2) return false;
      stress_->count_move();
      task.phase.store(Task::Phase::ready, std::memory_order_release);
      policy_->account(task, ran, policy::Stop::waits, now_);
      others[stress_->other(index_, static_cast<u32>(others.size()))]->post(task);
      return true;
    }
    case Stress::Turn::sleeps:
      stress_->count_sleep();
      task.waits_for_message = false;
      task.deadline = now_ + stress_->nap();
      park(task, ran);
      return true;
  }
  return false;
}

// Lets a process wait, unless `has_come`, asked under its lock, says that it need not any more.
template <class HasCome>
inline void Worker::let_wait(Task& task, const HasCome& has_come) {
  {
    Table::Held held = task.machine->table().hold(task, task.pid);
    if (!has_come() && !task.dying.load(std::memory_order_relaxed)) [[likely]] {
      task.mailbox.settle(task.machine->account().memory, /*ahead=*/false);
      task.phase.store(Task::Phase::waiting, std::memory_order_release);
      if (task.has_line.load()) scheduler_.call_senders(std::move(held), /*idle=*/true, this);
      return;
    }
    task.phase.store(Task::Phase::ready, std::memory_order_release);
  }
  accept(task);
}

void Worker::park(Task& task, u64 ran) {
  policy_->account(task, ran, policy::Stop::waits, now_);
  if (task.deadline != Task::never) {
    timers_.add(task);
    task.timed = true;
    task.stays = true;
  }
  let_wait(task, [&] {
    return task.waits_for_message ? task.mailbox.has_news() : task.in_line.load() == InLine::called;
  });
}

void Worker::park_for_completion(Task& task, u64 ran) {
  policy_->account(task, ran, policy::Stop::waits, now_);
  // Its call waits in this worker's loop.
  task.stays = true;
  // Who has it ready may say so when the machine has gone.
  task.on_ready([this, pid = task.pid, table = task.machine->shared_table()] {
    scheduler_.wake(table->find(pid), nullptr);
  });
  let_wait(task, [&] { return task.runtime::Process::ready(); });
}

// Calls the next of several functions; false: its frame is larger than the stack limit.
bool Worker::go_on(Task& task) {
  Task::Later& later = *task.rare().later;
  const u32 function = later.functions[later.next++];
  const bool is_last = later.next == later.functions.size();
  const bool prepared =
      task.prepare(function, is_last ? std::span<const runtime::Slot>(later.arguments)
                                     : std::span<const runtime::Slot>())
          .ok();
  if (is_last) task.rare().later.reset();
  return prepared;
}

void Worker::end(Task& task, Exit why, const Outcome& outcome) {
  if (task.timed) timers_.remove(task);
  task.timed = false;
  if (const auto& on_end = task.machine->options().on_end) on_end(task, outcome, why);
  if (scheduler_.bury(task, why, this)) {
    scheduler_.forget(task, *this);
  } else {
    policy_->ready(task, now_, policy::Wake::woken);
  }
}

// The next piece of a long burial.
void Worker::bury(Task& task) {
  const bool is_over = scheduler_.bury(task, task.doom, this);
  const u64 ran = read_clock();
  charge(*task.machine, ran);
  policy_->account(task, ran, is_over ? policy::Stop::ended : policy::Stop::preempted, now_);
  if (is_over) scheduler_.forget(task, *this);
}

// --- With nothing to do -------------------------------------------------------------------

void Worker::idle() {
  change_machine(nullptr);
  ready_count_.store(0, std::memory_order_relaxed);
  // Somebody who has more than one ready is asked for some.
  for (const auto& other : scheduler_.workers()) {
    if (other.get() == this || other->ready_count() == 0) continue;
    Worker* nobody = nullptr;
    if (other->hungry_.compare_exchange_strong(nobody, this)) other->nudge();
    break;
  }
  parked_.store(true);
  if (posted_.load() == nullptr && !has_news_.load() && hungry_.load() == nullptr &&
      !(scheduler_.stopping() && scheduler_.is_empty())) {
    u64 until = timers_.first();
    if (index_ == 0) until = std::min(until, scheduler_.next_timer());
    loop_.run_once(true, until);
  }
  parked_.store(false);
  is_delay_old_ = true;
  now_ = clock_.now();
  looked_at_ = 0;
  next_poll_ = now_ + poll_every;
  scheduler_.wake_alarm();
}

// A worker that found nothing anywhere is asleep: it does not hear of what others have got since.
void Worker::offer() {
  for (const auto& other : scheduler_.workers()) {
    if (other.get() == this || !other->is_parked()) continue;
    hungry_.store(other.get());
    share();
    return;
  }
}

// Gives a process to another worker where the policy says so, that shares are of all workers.
void Worker::mix() {
  const auto all = scheduler_.workers();
  if (all.size() == 1) return;
  progress_.store(policy_->progress(), std::memory_order_relaxed);
  mixed_with_ = (mixed_with_ + 1) % static_cast<u32>(all.size());
  if (mixed_with_ == index_) mixed_with_ = (mixed_with_ + 1) % static_cast<u32>(all.size());
  Worker& other = *all[mixed_with_];
  policy::Entry* const entry =
      policy_->give(other.progress_.load(std::memory_order_relaxed), other.ready_count(), now_);
  if (entry != nullptr) other.post(static_cast<Task&>(*entry));
}

// Gives half of what is ready to a worker that has nothing.
void Worker::share() {
  Worker* const thief = hungry_.exchange(nullptr);
  for (usize left = (policy_->size() + 1) / 2; left > 0; --left) {
    policy::Entry* const entry = policy_->steal(now_);
    if (entry == nullptr) break;
    thief->post(static_cast<Task&>(*entry));
  }
}

}  // namespace atollvm::sched
