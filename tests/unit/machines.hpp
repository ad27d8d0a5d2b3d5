// Guests in a machine of their own on a scheduler, without the public API.
#pragma once

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "atoll/embed/impl.hpp"
#include "atoll/embed/start_up.hpp"
#include "scheduler/core/scheduler.hpp"
#include "stdlib/host/stream.hpp"
#include "tests/support/tier.hpp"
#include "tests/unit/processes.hpp"

namespace atollvm::test {

// Guests find what their machine is charged by `used_memory` and `used_handles`.
inline constexpr const char* account_imports = R"(
import func used_memory() -> i64 from "test" "used_memory"
import func used_handles() -> i64 from "test" "used_handles"
)";

class MachineGuest {
 public:
  // `options`: its limits, and what else is not made here.
  MachineGuest(const std::string& body, sched::Machine::Options options, unsigned workers = 1)
      : program_(Access::impl(assembled(Engine(test::engine_options()), account_imports + body))
                     ->program),
        scheduler_({.workers = workers}, test::run_tier) {
    functions_ = all_host_calls(environment_);
    const auto meter = [this](const char* name, auto used) {
      runtime::HostFunction function;
      function.module = "test";
      function.name = name;
      function.type = {{}, {mod::ValType::i64}};
      function.call = [used](runtime::HostContext& context) {
        return context.result_i64(static_cast<i64>(used(*context.process().account()).used()));
      };
      functions_.push_back(std::move(function));
    };
    meter("used_memory", [](const cap::Account& account) -> auto& { return account.memory; });
    meter("used_handles", [](const cap::Account& account) -> auto& { return account.handles; });
    options.host = functions_;
    options.on_end = [this](sched::Task& task, const runtime::Outcome& outcome, sched::Exit why) {
      if (!task.is_main) return;
      main_code_ = outcome.kind == runtime::Outcome::Kind::finished && !task.results().empty()
                       ? static_cast<u32>(task.results()[0])
                       : why.code;
      main_end_ = why;
      main_ended_.store(true);
    };
    machine_ = &scheduler_.add_machine(std::move(options));
  }
  ~MachineGuest() { scheduler_.remove_machine(*machine_); }

  // Of the process that start() starts.
  sched::Spawn spawn;
  std::vector<DirectoryGrant> directories;
  std::optional<int> output;

  base::Result<sched::Pid> start() {
    stages_ = find_stages(*program_, std::nullopt);
    const auto handles =
        first_handles({std::make_shared<host::Stream>(),
                       output ? host::make_stream(*output) : std::make_shared<host::Stream>(),
                       std::make_shared<host::Stream>()},
                      directories, {}, {}, false);
    REQUIRE(handles.ok());
    spawn.program = program_;
    spawn.functions = stages_;
    spawn.handles = *handles;
    spawn.is_main = true;
    main_ended_.store(false);
    return scheduler_.spawn(*machine_, spawn);
  }
  // Runs it until it ends, and ends the others; then nothing may be charged any more.
  void run() {
    const auto pid = start();
    if (!pid) MESSAGE(pid.error().text());
    REQUIRE(pid.ok());
    while (!main_ended_.load()) nap();
    end_all();
  }
  void end_all() {
    while (!machine_->is_empty()) {
      scheduler_.kill_all(*machine_, {sched::ExitKind::stopped, 0});
      nap();
    }
    CHECK(machine_->account().memory.used() == 0);
    CHECK(machine_->account().handles.used() == 0);
    CHECK(machine_->processes() == 0);
  }
  // The same, of a guest that checks itself.
  void check() {
    run();
    CHECK(main_end_.kind == sched::ExitKind::normal);
    CHECK(main_code_ == 0);
  }
  static void nap() { std::this_thread::sleep_for(std::chrono::milliseconds(1)); }

  [[nodiscard]] sched::Machine& machine() { return *machine_; }
  [[nodiscard]] sched::Scheduler& scheduler() { return scheduler_; }
  [[nodiscard]] u32 code() const { return main_code_; }
  [[nodiscard]] sched::Exit how() const { return main_end_; }

 private:
  std::shared_ptr<const runtime::Program> program_;
  host::Environment environment_;
  std::vector<runtime::HostFunction> functions_;
  std::vector<u32> stages_;
  u32 main_code_ = 0;
  sched::Exit main_end_;
  std::atomic<bool> main_ended_{false};
  sched::Scheduler scheduler_;
  sched::Machine* machine_ = nullptr;
};

inline sched::Machine::Options limited(const cap::AccountLimits& limits) {
  sched::Machine::Options options;
  options.name = "m";
  options.limits = limits;
  return options;
}

}  // namespace atollvm::test
