#include "atoll/embed/scheduled.hpp"

#include <algorithm>
#include <system_error>

#include "stdlib/host/host.hpp"

namespace atollvm {

base::Result<const policy::Row*> find_policy(std::string_view name) {
  if (name.empty()) return &policy::all().front();
  if (const policy::Row* const row = policy::find(name)) return row;
  std::string names;
  for (const policy::Row& row : policy::all()) {
    names.append(names.empty() ? "" : ", ").append(row.name);
  }
  return base::Error{base::ErrorCode::not_found, std::string(name),
                     "no such scheduling policy; there are " + names};
}

bool uses_processes(const runtime::Program& program) {
  const auto& imports = program.module().imports;
  return std::any_of(imports.begin(), imports.end(), [](const mod::Import& import) {
    return import.module == "atoll" && host::is_process_call(import.name);
  });
}

base::Result<MainEnd> run_scheduled(ScheduledRun run, loop::Loop& loop, sched::Runner& runner) {
  std::mutex mutex;
  std::optional<MainEnd> end;
  run.machine.on_end = [&](sched::Task& task, const runtime::Outcome& outcome, sched::Exit why) {
    using Kind = runtime::Outcome::Kind;
    const bool crashed = why.kind == sched::ExitKind::trap || why.kind == sched::ExitKind::fuel ||
                         why.kind == sched::ExitKind::time || why.kind == sched::ExitKind::memory ||
                         why.kind == sched::ExitKind::mailbox;
    if (!task.is_main) {
      if (!crashed || !run.on_crash) return;
      const std::lock_guard guard(mutex);
      run.on_crash(task.pid, outcome, task.trace());
      return;
    }
    MainEnd found;
    found.outcome = outcome;
    if (outcome.kind == Kind::finished && !task.results().empty()) {
      found.exit_code = static_cast<u32>(task.results()[0]);
    } else if (outcome.kind != Kind::exited && outcome.kind != Kind::finished) {
      found.trace = task.trace();
    }
    found.usage = task.usage();
    found.fuel = task.fuel();
    {
      const std::lock_guard guard(mutex);
      end = std::move(found);
    }
    loop.wake();
  };
  try {
    sched::Scheduler scheduler(run.scheduler, run.tier);
    sched::Machine& machine = scheduler.add_machine(std::move(run.machine));
    run.main.is_main = true;
    const auto pid = scheduler.spawn(machine, run.main);
    if (!pid) return pid.error();
    std::optional<runtime::Trap> asked;
    while (true) {
      {
        const std::lock_guard guard(mutex);
        if (end) break;
      }
      if (const auto why = runner.take_request(); why && !asked) {
        asked = why;
        // The main process first; but under some policies it would wait for others' ends.
        scheduler.kill(machine, *pid, {sched::ExitKind::stopped, 0});
        scheduler.kill_all(machine, {sched::ExitKind::stopped, 0});
      }
      loop.run_once(true);
    }
    scheduler.remove_machine(machine);
    end->stress = scheduler.stress_counts();
    if (asked && end->outcome.kind == runtime::Outcome::Kind::trapped) end->outcome.trap = *asked;
  } catch (const std::system_error&) {
    return base::Error{base::ErrorCode::io, "", "no threads for the scheduler"};
  }
  return *std::move(end);
}

}  // namespace atollvm
