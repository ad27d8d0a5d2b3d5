// Machines that are written to memory and read from there: what tests of snapshots share.
#pragma once

#include <chrono>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "scheduler/snapshot/snapshot.hpp"
#include "stdlib/host/host.hpp"
#include "tests/support/tier.hpp"
#include "vm/module/codec.hpp"

namespace atollvm::test {

struct BytesSink final : snapshot::Sink {
  std::string bytes;
  base::Status write(std::span<const u8> from) override {
    bytes.append(reinterpret_cast<const char*>(from.data()), from.size());
    return {};
  }
};

struct BytesSource final : snapshot::Source {
  explicit BytesSource(std::string_view of) : bytes(of) {}
  std::string_view bytes;
  base::Status read(std::span<u8> to) override {
    if (to.size() > bytes.size()) {
      return base::Error{base::ErrorCode::malformed, "", "the image ends too early"};
    }
    std::memcpy(to.data(), bytes.data(), to.size());
    bytes.remove_prefix(to.size());
    return {};
  }
};

inline void nap_shortly() { std::this_thread::sleep_for(std::chrono::microseconds(200)); }

// A scheduler with one machine whose processes may use all of Atoll's own calls.
class Guests {
 public:
  explicit Guests(u32 workers = 1, sched::Scheduler::Run run = test::run_tier,
                  std::vector<runtime::HostFunction> more = {}, u64 stress = 0)
      : functions_(std::move(more)),
        scheduler_(sched::Scheduler::Options{.workers = workers, .stress = stress}, run) {
    environment_.load = [](std::string_view bytes) -> base::Result<verify::VerifiedModule> {
      auto module = mod::read({reinterpret_cast<const u8*>(bytes.data()), bytes.size()});
      if (!module) return std::move(module).error();
      return verify::verify(*std::move(module));
    };
    std::vector<runtime::HostFunction> own = host::functions(environment_);
    std::move(own.begin(), own.end(), std::back_inserter(functions_));
    sched::Machine::Options options;
    options.name = "m";
    options.max_processes = 100'000;
    options.host = functions_;
    options.on_end = [this](sched::Task& task, const runtime::Outcome&, sched::Exit why) {
      const std::lock_guard guard(mutex_);
      ends_[task.pid] = why;
      if (!task.is_main) return;
      main_ = why;
      main_fuel_ = task.fuel();
    };
    machine_ = &scheduler_.add_machine(options);
  }

  sched::Scheduler& scheduler() { return scheduler_; }
  sched::Machine& machine() { return *machine_; }
  // Starts `main`. Of a program without an entry: 0.
  sched::Pid start(std::shared_ptr<const runtime::Program> program, sched::Spawn spawn = {}) {
    const auto main = program->find_export("main", mod::ExternKind::function);
    if (!main) return 0;
    spawn.program = std::move(program);
    const u32 function = *main;
    spawn.functions = std::span(&function, 1);
    spawn.is_main = true;
    const auto pid = scheduler_.spawn(*machine_, spawn);
    return pid ? *pid : 0;
  }
  void pause() { scheduler_.pause(*machine_); }
  void resume() { scheduler_.resume(*machine_); }
  base::Result<snapshot::Summary> write(std::string& to, snapshot::Objects& objects) {
    BytesSink sink;
    auto summary = snapshot::write(scheduler_, *machine_, objects, sink);
    to = std::move(sink.bytes);
    return summary;
  }
  base::Result<snapshot::Summary> write(std::string& to) {
    snapshot::NoObjects none;
    return write(to, none);
  }
  base::Result<snapshot::Summary> read(std::string_view from, snapshot::Objects& objects,
                                       const snapshot::Bounds& bounds = {}) {
    pause();
    BytesSource source(from);
    return snapshot::read(scheduler_, *machine_, objects, bounds, source);
  }
  base::Result<snapshot::Summary> read(std::string_view from, const snapshot::Bounds& bounds = {}) {
    snapshot::NoObjects none;
    return read(from, none, bounds);
  }
  // How the main process ended; waits for it.
  sched::Exit wait_for_main() {
    while (true) {
      if (const auto end = main_end()) return *end;
      nap_shortly();
    }
  }
  std::optional<sched::Exit> main_end() {
    const std::lock_guard guard(mutex_);
    return main_;
  }
  // That it had left then.
  i64 main_fuel() {
    const std::lock_guard guard(mutex_);
    return main_fuel_;
  }
  void wait_until_empty() {
    while (!machine_->is_empty()) nap_shortly();
  }

 private:
  host::Environment environment_;
  std::vector<runtime::HostFunction> functions_;
  std::mutex mutex_;
  std::map<sched::Pid, sched::Exit> ends_;
  std::optional<sched::Exit> main_;
  i64 main_fuel_ = 0;
  sched::Scheduler scheduler_;
  sched::Machine* machine_ = nullptr;
};

}  // namespace atollvm::test
