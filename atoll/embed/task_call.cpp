// Calls of a machine's process by a host function that it waits for.
#include <algorithm>
#include <exception>
#include <utility>

#include "atoll/embed/impl.hpp"
#include "scheduler/core/scheduler.hpp"

namespace atollvm {

namespace {

using runtime::Trap;

struct TaskCall final : Callee {
  sched::Task* task = nullptr;

  bool call(std::uint32_t function, std::uint64_t* values, std::size_t arguments,
            std::size_t results) noexcept override;
  bool refuse(ErrorCode code, const char* why);
  runtime::Outcome run();
};

bool TaskCall::refuse(ErrorCode code, const char* why) {
  error = Error{code, "", why};
  return false;
}

// Until the call ends; nobody else runs on this worker meanwhile.
runtime::Outcome TaskCall::run() {
  using Kind = runtime::Outcome::Kind;
  const u64 begin = loop::monotonic_ns();
  while (true) {
    sched::Worker& worker = *static_cast<sched::Worker*>(task->worker()->core);
    const runtime::Outcome how = worker.scheduler().run()(*task);
    switch (how.kind) {
      case Kind::waiting:
        // A long call of the guest's that is made in pieces goes on.
        if (!std::exchange(task->yields, false)) {
          task->deadline = sched::Task::never;
          task->waits_for_message = false;
          if (task->in_line.load() != sched::InLine::no) {
            worker.scheduler().leave_line(*task, &worker);
          }
          return how;
        }
        [[fallthrough]];
      case Kind::preempted:
      case Kind::rested: {
        if (task->dying.load()) return task->stop(Trap::interrupted);
        const u64 ran = loop::monotonic_ns() - begin;
        const u64 limit = task->terms->cpu_limit;
        const u64 left = limit - std::min(task->cpu, limit);
        if (ran >= left || ran >= task->machine->cpu_left()) {
          if (ran >= left) task->cpu = limit;  // whatever the worker's clock says
          return task->stop(Trap::time_limit);
        }
        break;
      }
      default:
        return how;
    }
  }
}

bool TaskCall::call(std::uint32_t function, std::uint64_t* values, std::size_t arguments,
                    std::size_t results) noexcept {
  using Kind = runtime::Outcome::Kind;
  static_cast<void>(arguments);
  HostState& state = HostState::of_worker();
  if (state.ends) return refuse(ErrorCode::usage, "the process ends");
  try {
    if (!task->put_aside()) {
      return refuse(
          ErrorCode::usage,
          "the process waits for too many calls of its host functions, or for a Deferred");
    }
    struct TakeUp {
      runtime::Process& process;
      ~TakeUp() { process.take_up(); }
    } const at_end{*task};
    const runtime::Program& program = task->program();
    if (!task->begin(task->instance(), program.functions()[function], values)) {
      return refuse(ErrorCode::limit, "its frame is larger than what is left of the stack limit");
    }
    const runtime::Outcome how = run();
    if (how.kind == Kind::finished) {
      for (usize i = 0; i < results; ++i) values[i] = task->results()[i];
      return true;
    }
    if (how.kind == Kind::pending || how.kind == Kind::waiting) {
      task->stop(Trap::host_error);
      return refuse(ErrorCode::usage, "the call would wait, and a worker can't");
    }
    Outcome outcome;
    outcome.kind = Outcome::Kind::trapped;
    outcome.trap = static_cast<atollvm::Trap>(how.trap);
    if (how.kind == Kind::exited) {
      outcome.kind = Outcome::Kind::exited;
      outcome.exit_code = how.exit_code;
      state.ends = runtime::HostResult::exited(how.exit_code);
    } else if (how.kind == Kind::out_of_fuel) {
      outcome.trap = atollvm::Trap::out_of_fuel;
    } else if (how.trap == Trap::interrupted || how.trap == Trap::time_limit) {
      state.ends = runtime::HostResult::rest();  // the worker knows why it ends
    } else if (how.trap == Trap::host_error) {
      outcome.message = std::exchange(state.message, {});
    }
    outcome.trace = to_public(task->trace());
    error = call_error(outcome);
  } catch (const std::exception&) {
    return refuse(ErrorCode::io, "out of memory");
  }
  return false;
}

}  // namespace

void* task_callee(runtime::Process& process) {
  thread_local TaskCall call;
  call.task = static_cast<sched::Task*>(&process);
  return static_cast<Callee*>(&call);
}

}  // namespace atollvm
