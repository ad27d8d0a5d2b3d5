// Machines on one scheduler: what `atoll serve` and `atoll up` run.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <atoll/module.hpp>

#include "atoll/embed/machine_record.hpp"
#include "atoll/embed/networks.hpp"
#include "atoll/embed/start_up.hpp"
#include "atoll/embed/state_folder.hpp"
#include "scheduler/core/scheduler.hpp"
#include "scheduler/machine/operator.hpp"
#include "scheduler/snapshot/file.hpp"

namespace atollvm {

// Threads: any, several at once.
class Machines final : public machine::Operator {
 public:
  struct Options {
    sched::Scheduler::Options scheduler;
    EngineOptions engine;
    // Somebody takes all lines out of the logs: machines wait where their logs get full.
    bool is_followed = false;
    // Where machines are kept, to be recovered after the server's sudden end; null: nowhere.
    std::shared_ptr<StateFolder> state;
    std::shared_ptr<Networks> networks;  // virtual ones that machines may join; null: none
    u64 every = 0;                       // ns between snapshots into it; 0: none but the last ones
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
  base::Result<machine::MachineStatus> restore(const machine::RestoreRequest& request) override;
  machine::NetworkOperator* networks() override { return networks_.get(); }

  // Makes a machine of the state folder anew as it was: from its newest good snapshot (then it is
  // paused), or from its description. With `spec` it is as that says from now on. Gives what is
  // wrong with snapshots, for people, and whether it is to run: it is to be resumed or started.
  struct Recovered {
    std::vector<std::string> complaints;
    bool runs = false;
    bool has_snapshot = false;
  };
  base::Result<Recovered> recover(const std::string& name, const machine::MachineSpec* spec);

  // Ends all machines for good and waits for that; further ones are refused. With a state folder,
  // machines that are up go on from here when they are recovered.
  void stop();
  // Whether none runs, or will run by itself.
  bool have_ended();
  // How the first one ended that did not end normally and is not started again.
  std::optional<machine::Exit> first_failure();
  // To be called by who takes all lines of a machine: there are no more now.
  void all_taken(const std::string& name);

 private:
  struct Entry;
  using Entries = std::map<std::string, std::shared_ptr<Entry>>;

  // With mutex_ held.
  std::vector<u64> count_messages();
  machine::MachineStatus status(const Entry& entry, const std::vector<u64>& messages) const;
  machine::MachineStatus status(const Entry& entry);
  base::Result<std::shared_ptr<Entry>> find(const std::string& name);
  base::Status grant(Entry& entry);
  base::Status begin(Entry& entry);
  void end(Entry& entry, sched::ExitKind why, std::string message);
  void finish(Entry& entry, u64 now);
  base::Status add(const std::shared_ptr<Entry>& entry);
  MachineRecord record_of(const Entry& entry) const;
  // Its record is another one by now.
  void mark(Entry& entry);
  // When it has something to do next by itself; monotonic ns.
  u64 tend(u64 now);

  // Without mutex_. Opens the image that it runs, if it runs one.
  static base::Status open_image(Entry& entry, bool needs_one);
  static base::Result<Module> module_of(const Engine& engine, const Entry& entry);
  static void say_ungranted(const Entry& entry);
  static void equip(Entry& entry, const std::function<HostCalls()>& calls);
  base::Status open_log(Entry& entry);
  // Gives it its place in the virtual networks, if it has NICs.
  base::Status join(Entry& entry);
  sched::Machine& make_machine(Entry& entry);
  base::Result<std::shared_ptr<Entry>> bring_back(const MachineRecord& record,
                                                  const machine::MachineSpec& spec, bool is_foreign,
                                                  snapshot::FileReader& reader);
  base::Result<machine::SnapshotInfo> take(const std::shared_ptr<Entry>& entry,
                                           const std::string& file, bool stays_paused);
  // Its status under `lock`, which is given up for writing its record.
  machine::MachineStatus settled(std::unique_lock<std::mutex>& lock,
                                 const std::shared_ptr<Entry>& entry);
  // The state folder's part. A new machine that can't be recorded is none.
  base::Result<machine::MachineStatus> recorded(const std::shared_ptr<Entry>& entry);
  base::Status keep_record(Entry& entry);
  void keep_snapshot(const std::shared_ptr<Entry>& entry, bool stays_paused);
  base::Status forget(Entry& entry);
  void keep_all();
  void keep_last();

  // On a worker.
  void ended(Entry& entry, sched::Task& task, const runtime::Outcome& outcome, sched::Exit why);

  void watch();
  void wake();

  Engine engine_;
  std::string policy_;
  u64 started_ = 0;
  bool is_followed_ = false;
  u64 every_ = 0;
  std::shared_ptr<StateFolder> state_;
  const std::shared_ptr<Networks> networks_;

  std::mutex mutex_;  // no worker takes it
  std::condition_variable changed_;
  Entries entries_;
  bool stopping_ = false;
  std::optional<machine::Exit> first_failure_;

  // What the watching thread is to look at.
  struct RootEnd {
    Entry* entry;
    machine::Exit exit;
  };
  std::mutex news_mutex_;
  std::condition_variable news_;
  std::vector<RootEnd> root_ends_;
  std::vector<Entry*> used_up_;  // that have had all their CPU time
  bool woken_ = false;
  bool is_over_ = false;
  bool has_marks_ = false;   // some record is another one by now
  bool keeps_last_ = false;  // no more is to be kept

  std::unique_ptr<sched::Scheduler> scheduler_;  // goes before what its machines use
  std::thread watcher_;
  std::thread keeper_;
};

}  // namespace atollvm
