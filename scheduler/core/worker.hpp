// A thread that runs processes: its own queue under a policy, its own timers and event loop.
#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "scheduler/core/clock.hpp"
#include "scheduler/core/kept.hpp"
#include "scheduler/core/stress.hpp"
#include "scheduler/core/task.hpp"
#include "scheduler/core/timers.hpp"
#include "scheduler/loop/loop.hpp"

namespace atollvm::sched {

class Scheduler;

class Worker : public runtime::Worker {
 public:
  static constexpr u64 no_alarm = ~u64{0};
  static constexpr u64 longest_slice = u64{1} << 62;  // so that its end is a time too

  Worker(Scheduler& scheduler, u32 index, std::unique_ptr<policy::Policy> policy);
  ~Worker();

  // Runs processes until the scheduler stops.
  void run();

  // --- Any thread.
  // Queues a process that is ready (and nobody else queues).
  void post(Task& task);
  // Makes the worker look around soon: at once where it waits, else when its process stops next,
  // which is now.
  void nudge();
  [[nodiscard]] u32 ready_count() const { return ready_count_.load(std::memory_order_relaxed); }
  // When the process that runs is to be stopped. Monotonic ns; no_alarm: nothing to stop.
  [[nodiscard]] u64 alarm() const { return alarm_.load(std::memory_order_relaxed); }
  void ring();  // the alarm
  [[nodiscard]] bool is_parked() const { return parked_.load(); }
  // Of a process that is new here and everywhere. Throws std::bad_alloc.
  void admit(Task& task) { policy_->admit(task); }
  // Before run().
  void set_time_slice(u64 ns) { policy_->set_time_slice(std::min(ns, longest_slice)); }
  // Before run(): disturbs what it runs, see Scheduler::Options.
  void set_stress(u64 seed) { stress_ = std::make_unique<Stress>(seed, index_); }
  // Any thread.
  [[nodiscard]] StressCounts stress_counts() const {
    return stress_ != nullptr ? stress_->counts() : StressCounts();
  }

  // --- On this worker's thread.
  // Queues a process that is ready.
  void accept(Task& task) {
    if (task.stays) [[unlikely]]
      call_off(task);
    task.home_worker = this;
    policy_->ready(task, now_, !task.has_run ? policy::Wake::started : policy::Wake::woken);
  }
  [[nodiscard]] Scheduler& scheduler() const { return scheduler_; }
  [[nodiscard]] Kept& kept() { return kept_; }
  // Tells the policy of a machine, or that it has gone. Any thread; before its first process.
  void tell(std::shared_ptr<Machine> machine, bool is_new);

 private:
  void call_off(Task& task);
  void take_posted();
  void look_at_clock();
  void take_news();
  [[nodiscard]] u64 time_turn(const Task& task, bool is_whole);
  [[gnu::noinline]] u64 read_clock();
  [[gnu::cold]] u64 delay_within(u64 ran);
  [[gnu::noinline]] void change_machine(Machine* machine);
  [[gnu::noinline]] void charge_machine(u64 ran);
  void charge(const Machine& machine, u64 ns);
  void flush_charge();
  void wake_sleepers();
  void run_task(Task& task);
  [[nodiscard]] u64 slice_of(Task& task);
  void settle(Task& task, runtime::Outcome outcome, u64 ran);
  [[gnu::noinline]] void finish(Task& task, runtime::Outcome outcome, u64 ran);
  [[nodiscard]] static bool is_spent(const Task& task);
  [[gnu::cold]] void end_from_outside(Task& task, u64 ran, runtime::Trap trap, Exit why);
  void publish_census(Task& task);
  void put_off(Task& task);
  void give_way(Task& task, u64 ran);
  [[gnu::cold]] u64 prepare_stress(Task& task, u64 most);
  [[gnu::cold]] bool disturb(Task& task, u64 ran);
  void park(Task& task, u64 ran);
  void park_for_completion(Task& task, u64 ran);
  template <class HasCome>
  void let_wait(Task& task, const HasCome& has_come);
  bool go_on(Task& task);
  void end(Task& task, Exit why, const runtime::Outcome& outcome);
  void bury(Task& task);
  void idle();
  void share();
  void offer();
  void mix();

  Scheduler& scheduler_;
  u32 index_;
  std::unique_ptr<policy::Policy> policy_;
  loop::Loop loop_;
  Timers<Task> timers_;
  Clock clock_;
  RunDelay delay_;
  bool is_delay_old_ = true;  // it was not asked since this worker had nothing to do
  Kept kept_;
  u64 now_ = 0;             // when the clock was read
  u32 untimed_ = 0;         // turns that may end from now on before it is read again
  u32 wary_ = 0;            // turns that are timed one by one, from now on
  bool is_behind_ = false;  // turns have ended since it was read
  u64 random_;
  u64 looked_at_ = 0;  // what is due: when
  u64 next_poll_ = 0;
  u32 mixed_with_ = 0;  // the worker
  std::atomic<u64> alarm_{no_alarm};
  std::atomic<u32> ready_count_{0};
  std::atomic<u64> progress_{0};                // of the policy
  std::atomic<policy::Node*> posted_{nullptr};  // the last one first, linked by `next`
  std::atomic<bool> parked_{false};
  std::atomic<Worker*> hungry_{nullptr};  // wants some of this one's processes
  struct News {
    std::shared_ptr<Machine> machine;
    bool is_new;
  };
  std::atomic<bool> has_news_{false};
  std::mutex news_mutex_;
  std::vector<News> news_;
  Machine* charged_ = nullptr;  // whose turns these are; `uncharged_` is its CPU time
  u64 uncharged_ = 0;
  std::unique_ptr<Stress> stress_;  // null: none
};

}  // namespace atollvm::sched
