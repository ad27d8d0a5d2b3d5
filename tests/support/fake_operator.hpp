// Machines that do nothing, for tests of the control protocol: requests change their states, and
// all figures are known. "store" runs with three processes, "batch" has not been started.
#pragma once

#include <algorithm>
#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "scheduler/machine/operator.hpp"

namespace atollvm::test {

class FakeOperator : public machine::Operator {
 public:
  using MachineStatus = machine::MachineStatus;
  using State = machine::MachineState;
  template <class T>
  using Result = base::Result<T>;

  static constexpr u64 second = 1'000'000'000;
  static constexpr u64 begin = 1'800'000'000 * second;

  FakeOperator() {
    machine::MachineSpec spec;
    spec.name = "store";
    spec.weight = 200;
    spec.limits.memory = u64{256} << 20;
    static_cast<void>(create(spec));
    static_cast<void>(start("store"));
    spec = {};
    spec.name = "batch";
    static_cast<void>(create(spec));
    log("store", machine::LogStream::system, 0, "started");
    log("store", machine::LogStream::output, 4294967297, "listening on port 7000");
  }

  void log(const std::string& name, machine::LogStream stream, i64 pid, const std::string& text) {
    const std::lock_guard guard(mutex_);
    auto& log = machines_.at(name).log;
    const u64 number = ++machines_.at(name).records;
    log.push_back({number, begin + number * second, stream, pid, text});
    if (log.size() > 5000) log.erase(log.begin());
  }
  // CPU time that a machine has had, all of it by its first process.
  void set_cpu(const std::string& name, u64 cpu) {
    const std::lock_guard guard(mutex_);
    machines_.at(name).status.cpu = cpu;
  }
  // How many processes a started machine has.
  void set_processes(const std::string& name, u64 count) {
    const std::lock_guard guard(mutex_);
    machines_.at(name).status.processes = count;
  }
  // How long a snapshot takes.
  std::chrono::milliseconds snapshot_time{0};
  // The description of the machine created last.
  machine::MachineSpec spec() {
    const std::lock_guard guard(mutex_);
    return spec_;
  }

  machine::Info info() override {
    const std::lock_guard guard(mutex_);
    u64 processes = 0;
    for (const auto& [name, each] : machines_) processes += each.status.processes;
    return {"fair", 2, begin, machines_.size(), processes};
  }

  Result<std::vector<MachineStatus>> machines(const std::string& name) override {
    const std::lock_guard guard(mutex_);
    std::vector<MachineStatus> result;
    for (const auto& [key, each] : machines_) {
      if (name.empty() || key == name) result.push_back(each.status);
    }
    if (result.empty() && !name.empty()) return missing(name);
    return result;
  }

  Result<std::vector<machine::ProcessStatus>> processes(
      const machine::ProcessQuery& query) override {
    const std::lock_guard guard(mutex_);
    if (!query.machine.empty() && !machines_.contains(query.machine)) return missing(query.machine);
    std::vector<machine::ProcessStatus> result;
    for (const auto& [name, each] : machines_) {
      if (name < query.after_machine || (!query.machine.empty() && name != query.machine)) continue;
      for (u64 i = 0; i < each.status.processes; ++i) {
        const i64 pid = each.status.root + static_cast<i64>(i);
        if (name == query.after_machine && pid <= query.after_pid) continue;
        if (result.size() == query.limit) return result;
        machine::ProcessStatus process;
        process.machine = name;
        process.pid = pid;
        process.parent = i == 0 ? 0 : each.status.root;
        process.name = i == 0 ? name : "";
        process.state = each.status.state == State::paused ? machine::ProcessState::paused
                        : i == 0                           ? machine::ProcessState::running
                                                           : machine::ProcessState::waiting;
        process.weight = 100;
        process.priority = 16;
        process.cpu = i == 0 ? each.status.cpu : 0;
        process.memory = u64{64} << 10;
        process.stack = 1024;
        process.messages = i;
        process.mailbox_bytes = i * 100;
        process.handles = 4;
        process.links = 1;
        result.push_back(process);
      }
    }
    return result;
  }

  Result<std::vector<machine::LogRecord>> logs(const machine::LogQuery& query) override {
    const std::lock_guard guard(mutex_);
    const auto found = machines_.find(query.machine);
    if (found == machines_.end()) return missing(query.machine);
    const auto& log = found->second.log;
    if (!query.after) {
      const usize count = std::min<usize>(query.limit, log.size());
      return std::vector(log.end() - static_cast<std::ptrdiff_t>(count), log.end());
    }
    std::vector<machine::LogRecord> result;
    for (const auto& each : log) {
      if (each.number > *query.after && result.size() < query.limit) result.push_back(each);
    }
    return result;
  }

  Result<MachineStatus> create(const machine::MachineSpec& spec) override {
    const std::lock_guard guard(mutex_);
    if (machines_.contains(spec.name)) {
      return base::Error{base::ErrorCode::usage, spec.name, "there is a machine of this name"};
    }
    spec_ = spec;
    MachineStatus status;
    status.name = spec.name;
    status.weight = spec.weight;
    status.memory_limit = spec.limits.memory;
    status.created = begin;
    machines_[spec.name].status = status;
    return status;
  }

  Result<MachineStatus> start(const std::string& name) override {
    return change(name, [&](MachineStatus& status) {
      if (status.state == State::running || status.state == State::paused) return false;
      status.state = State::running;
      status.started = begin + second;
      status.exit.reset();
      status.root = 4294967297;
      status.processes = 3;
      status.cpu = second / 4;
      status.memory = u64{192} << 10;
      status.messages = 3;
      status.handles = 12;
      return true;
    });
  }
  Result<MachineStatus> pause(const std::string& name) override {
    return change(name, [](MachineStatus& status) {
      if (status.state != State::running) return false;
      status.state = State::paused;
      return true;
    });
  }
  Result<MachineStatus> resume(const std::string& name) override {
    return change(name, [](MachineStatus& status) {
      if (status.state != State::paused) return false;
      status.state = State::running;
      return true;
    });
  }

  Result<MachineStatus> kill(const std::string& name, i64 pid) override {
    bool is_there = true;
    auto result = change(name, [&](MachineStatus& status) {
      const auto last = status.root + static_cast<i64>(status.processes);
      if (pid != 0 && (pid < status.root || pid >= last)) return is_there = false, true;
      status.processes = pid == 0 || pid == status.root ? 0 : status.processes - 1;
      if (status.processes != 0) return true;
      status.state = State::ended;
      status.root = 0;
      status.memory = status.messages = status.handles = 0;
      status.exit = machine::Exit{sched::ExitKind::killed, 0, "killed by the operator"};
      return true;
    });
    if (is_there) return result;
    return base::Error{base::ErrorCode::not_found, name, "has no process " + std::to_string(pid)};
  }

  base::Status destroy(const std::string& name) override {
    const std::lock_guard guard(mutex_);
    if (machines_.erase(name) == 0) return missing(name);
    return {};
  }

  Result<machine::SnapshotInfo> snapshot(const std::string& name,
                                         const std::string& file) override {
    const auto found = machines(name);
    if (!found) return found.error();
    std::this_thread::sleep_for(snapshot_time);
    if (file.starts_with("/proc/")) {
      return base::Error{base::ErrorCode::io, file, "Permission denied"};
    }
    return machine::SnapshotInfo{65536, found->front().processes};
  }
  Result<MachineStatus> restore(const machine::RestoreRequest& request) override {
    machine::MachineSpec spec = request.spec.value_or(machine::MachineSpec());
    spec.weight += request.grants ? 1 : 0;
    if (spec.name.empty()) spec.name = "old";
    if (!request.name.empty()) spec.name = request.name;
    if (request.file.ends_with(".txt")) {
      return base::Error{base::ErrorCode::malformed, request.file, "is no snapshot"};
    }
    if (auto made = create(spec); !made) return made;
    static_cast<void>(start(spec.name));
    return pause(spec.name);
  }

 private:
  struct Machine {
    MachineStatus status;
    std::vector<machine::LogRecord> log;
    u64 records = 0;
  };

  static base::Error missing(const std::string& name) {
    return {base::ErrorCode::not_found, name, "there is no such machine"};
  }

  // `action` gives false where the state does not allow it.
  template <class Action>
  Result<MachineStatus> change(const std::string& name, Action action) {
    const std::lock_guard guard(mutex_);
    const auto found = machines_.find(name);
    if (found == machines_.end()) return missing(name);
    if (!action(found->second.status)) {
      return base::Error{base::ErrorCode::usage, name, "the machine's state does not allow it"};
    }
    return found->second.status;
  }

  std::mutex mutex_;
  std::map<std::string, Machine> machines_;
  machine::MachineSpec spec_;
};

}  // namespace atollvm::test
