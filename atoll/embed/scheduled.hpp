// Running a program that starts further processes: it and they get a scheduler of their own.
#pragma once

#include <atoll/process.hpp>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "scheduler/core/runner.hpp"
#include "scheduler/core/scheduler.hpp"
#include "scheduler/loop/loop.hpp"

namespace atollvm {

// A policy of the registry; an empty name means the default. Errors: not_found.
base::Result<const policy::Row*> find_policy(std::string_view name);

// Whether a program imports host calls of processes.
bool uses_processes(const runtime::Program& program);

// How the main process ended.
struct MainEnd {
  runtime::Outcome outcome;
  std::vector<runtime::TraceFrame> trace;
  std::optional<u32> exit_code;  // that its function returned
  runtime::Process::Usage usage;
  i64 fuel = 0;
  sched::StressCounts stress;
};

struct ScheduledRun {
  sched::Scheduler::Options scheduler;
  sched::Scheduler::Run tier = nullptr;  // that runs all processes
  sched::Machine::Options machine;
  sched::Spawn main;
  // Called on a worker, one at a time, when another process than the main one has trapped or run
  // out of what it may use.
  std::function<void(u64 pid, const runtime::Outcome&, std::vector<runtime::TraceFrame>)> on_crash;
};

// Runs the main process until it ends, and then ends the others. The calling thread waits in
// `loop`; `runner` says when it is to stop. Errors: those of Scheduler::spawn, io (no threads).
base::Result<MainEnd> run_scheduled(ScheduledRun run, loop::Loop& loop, sched::Runner& runner);

}  // namespace atollvm
