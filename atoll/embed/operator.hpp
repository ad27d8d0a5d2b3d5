// Machines on one scheduler: what `atoll serve` and `atoll up` run.
#pragma once

#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <atoll/module.hpp>

#include "scheduler/core/scheduler.hpp"
#include "scheduler/machine/operator.hpp"

namespace atollvm {

// Threads: any, several at once.
class Machines final : public machine::Operator {
 public:
  struct Options {
    sched::Scheduler::Options scheduler;
    // Somebody takes all lines out of the logs: machines wait where their logs get full.
    bool is_followed = false;
  };
  // Throws std::system_error where there are no threads.
  explicit Machines(const Options& options);
  // Ends all machines.
  ~Machines() override;

  machine::Info info() override;
  base::Result<std::vector<machine::MachineStatus>> machines(const std::string& name) override;
  base::Result<std::vector<machine::ProcessStatus>> processes(
      const machine::ProcessQuery& query) override;
  base::Result<std::vector<machine::LogRecord>> logs(const machine::LogQuery& query) override;
  base::Result<machine::MachineStatus> create(const machine::MachineSpec& spec) override;
  base::Result<machine::MachineStatus> start(const std::string& name) override;
  base::Result<machine::MachineStatus> pause(const std::string& name) override;
  base::Result<machine::MachineStatus> resume(const std::string& name) override;
  base::Result<machine::MachineStatus> kill(const std::string& name, i64 pid) override;
  base::Status destroy(const std::string& name) override;
  base::Result<machine::SnapshotInfo> snapshot(const std::string& name,
                                               const std::string& file) override;
  base::Result<machine::MachineStatus> restore(const std::string& file,
                                               const std::string& name) override;

  // Ends all machines for good and waits for that; further ones are refused.
  void stop();
  // Whether none runs, or will run by itself.
  bool have_ended();
  // How the first one ended that did not end normally and is not started again.
  std::optional<machine::Exit> first_failure();
  // To be called by who takes all lines of a machine: there are no more now.
  void all_taken(const std::string& name);

 private:
  struct Entry;
  struct Totals;
  using Entries = std::map<std::string, std::shared_ptr<Entry>>;

  // With mutex_ held.
  std::vector<Totals> count();
  machine::MachineStatus status(const Entry& entry, const std::vector<Totals>& totals) const;
  machine::MachineStatus status(const Entry& entry);
  base::Result<std::shared_ptr<Entry>> find(const std::string& name);
  base::Status begin(Entry& entry);
  void end(Entry& entry, sched::ExitKind why, std::string message);
  void finish(Entry& entry, u64 now);
  void check_limits();
  // When it has something to do next by itself; monotonic ns.
  u64 tend(u64 now);

  // On a worker.
  void ended(Entry& entry, sched::Task& task, const runtime::Outcome& outcome, sched::Exit why);

  void watch();
  void wake();

  Engine engine_;
  std::string policy_;
  u64 started_ = 0;
  bool is_followed_ = false;

  std::mutex mutex_;  // no worker takes it
  std::condition_variable changed_;
  Entries entries_;
  bool stopping_ = false;
  std::optional<machine::Exit> first_failure_;
  u64 next_check_ = 0;

  // What the watching thread is to look at.
  struct RootEnd {
    Entry* entry;
    machine::Exit exit;
  };
  std::mutex news_mutex_;
  std::condition_variable news_;
  std::vector<RootEnd> root_ends_;
  bool woken_ = false;
  bool is_over_ = false;

  std::unique_ptr<sched::Scheduler> scheduler_;  // goes before what its machines use
  std::thread watcher_;
};

}  // namespace atollvm
