#include <atoll/machine.hpp>

#include <algorithm>
#include <system_error>
#include <thread>
#include <utility>

#include "atoll/embed/scheduled.hpp"
#include "atoll/embed/tasks.hpp"
#include "vm/interp/interp.hpp"
#include "vm/jit/jit.hpp"

namespace atollvm {

namespace {

constexpr unsigned most_workers = 256;
constexpr usize longest_name = 255;

thread_local bool on_worker = false;

constexpr bool same(ExitReason mine, sched::ExitKind theirs) {
  return static_cast<int>(mine) == static_cast<int>(theirs);
}
static_assert(same(ExitReason::normal, sched::ExitKind::normal) &&
              same(ExitReason::trap, sched::ExitKind::trap) &&
              same(ExitReason::mailbox, sched::ExitKind::mailbox) &&
              same(ExitReason::stopped, sched::ExitKind::stopped));
static_assert(static_cast<int>(Overflow::wait) == static_cast<int>(sched::Overflow::wait) &&
              static_cast<int>(Overflow::newest) == static_cast<int>(sched::Overflow::newest));

template <RunTier tier>
runtime::Outcome run_process(runtime::Process& process) {
  mark_worker();
  if (process.instance_count() != 0) return tier(process);
  auto& follower = *static_cast<Follower*>(process.owner);
  return static_cast<HostProcess&>(follower).turn(static_cast<sched::Task&>(process));
}

RunTier run_process_of(const EngineOptions& options) {
  const RunTier tier = tier_of(options);
  if (tier == jit::run) return run_process<jit::run>;
  if (tier == jit::run_auto) return run_process<jit::run_auto>;
  if (tier == jit::run_hardened) return run_process<jit::run_hardened>;
  return run_process<interp::run>;
}

bool is_crash(sched::ExitKind kind) {
  using enum sched::ExitKind;
  return kind == trap || kind == fuel || kind == time || kind == memory || kind == mailbox;
}

bool is_weight(std::uint32_t weight) {
  return weight >= policy::min_weight && weight <= policy::max_weight;
}

ProcessInfo info_of(const sched::Task& task, bool is_paused) {
  const sched::Census held = task.census(false);
  ProcessInfo info;
  info.pid = task.pid;
  info.parent = task.parent;
  info.state =
      is_paused ? ProcessInfo::State::paused : static_cast<ProcessInfo::State>(task.phase_now());
  info.is_mailbox = task.instance_count() == 0;
  info.weight = task.policy::Entry::weight;
  info.priority = task.Node::priority;
  if (task.relations != nullptr) {
    info.names.assign(task.relations->names.begin(), task.relations->names.end());
    std::ranges::sort(info.names);
    info.links = task.relations->links.size();
  }
  info.cpu_time = std::chrono::nanoseconds(held.cpu);
  info.memory_bytes = held.memory_bytes;
  info.stack_bytes = held.stack_bytes;
  info.handles = held.handles;
  info.messages = task.mailbox.messages();
  info.mailbox_bytes = task.mailbox.bytes();
  return info;
}

}  // namespace

bool is_on_worker() { return on_worker; }
void mark_worker() { on_worker = true; }

void off_workers(std::function<void()> function) {
  if (!on_worker) {
    function();
    return;
  }
  std::thread(std::move(function)).detach();
}

Error waits_on_worker(std::string_view what) {
  return {ErrorCode::usage, "", "a worker can't wait: no " + std::string(what) + " there"};
}

// --- Words --------------------------------------------------------------------------------------

std::string_view to_text(ExitReason reason) noexcept {
  switch (reason) {
    case ExitReason::normal:
      return "ended";
    case ExitReason::code:
      return "exit code";
    case ExitReason::trap:
      return "trap";
    case ExitReason::killed:
      return "killed";
    case ExitReason::fuel:
      return "out of fuel";
    case ExitReason::time:
      return "out of CPU time";
    case ExitReason::memory:
      return "out of memory";
    case ExitReason::mailbox:
      return "mailbox full";
    case ExitReason::noproc:
      return "no such process";
    case ExitReason::stopped:
      return "machine ended";
  }
  return "";
}

std::string to_text(const Exit& exit) {
  std::string text(to_text(exit.reason));
  if (exit.reason == ExitReason::code) text += " " + std::to_string(exit.code);
  if (exit.reason == ExitReason::trap) {
    text.append(": ").append(to_text(static_cast<Trap>(exit.code)));
  }
  return text;
}

std::string ProcessEnd::text() const {
  return message.empty() ? to_text(exit) : to_text(exit) + ": " + message;
}

sched::MailboxLimits to_internal(const MailboxLimits& limits) {
  sched::MailboxLimits result;
  result.bytes = limits.bytes;
  result.messages = limits.messages;
  result.overflow = static_cast<sched::Overflow>(limits.overflow);
  return result;
}

// --- Grants -------------------------------------------------------------------------------------

Grant::Grant(std::shared_ptr<HostObject> object) {
  if (object == nullptr) return;
  impl_ = std::make_shared<Impl>(
      Impl{{std::make_shared<ObjectHolder>(std::move(object)), cap::rights_all}, nullptr});
}

Result<cap::Capability> Access::capability(const Grant& grant, const sched::Machine& machine) {
  if (grant.impl_ == nullptr) return Error{ErrorCode::usage, "", "an empty Grant"};
  const cap::Capability& capability = grant.impl_->capability;
  // What a module imports is the functions of one machine, which go with it.
  if (capability.object->kind() == cap::Kind::module &&
      grant.impl_->machine != machine.shared_account()) {
    return Error{ErrorCode::usage, "", "a module that another machine has loaded"};
  }
  return capability;
}

Grant Access::grant(cap::Capability capability, std::shared_ptr<const cap::Account> machine) {
  Grant made;
  made.impl_ =
      std::make_shared<Grant::Impl>(Grant::Impl{std::move(capability), std::move(machine)});
  return made;
}

std::shared_ptr<HostObject> Grant::object() const {
  if (impl_ == nullptr || impl_->capability.object->kind() != cap::Kind::host) return nullptr;
  return static_cast<const ObjectHolder&>(*impl_->capability.object).object();
}

// --- Schedulers ---------------------------------------------------------------------------------

Scheduler::Impl::Impl(std::shared_ptr<Engine::Impl> of, runtime::MemoryStrategy strategy,
                      const sched::Scheduler::Options& options)
    : engine(std::move(of)),
      memory(strategy),
      scheduler(with_pool(options, *engine), run_process_of(engine->options)) {}

Scheduler::Scheduler(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<Scheduler> Scheduler::create(const Engine& engine, const SchedulerOptions& options) {
  if (options.workers > most_workers) {
    return Error{ErrorCode::usage, "",
                 "a scheduler has " + std::to_string(most_workers) + " workers at most"};
  }
  sched::Scheduler::Options inner;
  inner.workers =
      options.workers != 0 ? options.workers : std::max(std::thread::hardware_concurrency(), 1u);
  const auto policy = find_policy(options.policy);
  if (!policy) return to_public(policy.error());
  inner.policy = *policy;
  inner.slice_ns = static_cast<u64>(std::chrono::nanoseconds(options.slice).count());
  inner.stress = options.stress;
  try {
    auto impl = std::make_unique<Impl>(
        Access::impl(engine), static_cast<runtime::MemoryStrategy>(engine.options().memory), inner);
    // A host function may have the last one of those who keep it.
    return Scheduler(std::shared_ptr<Impl>(
        impl.release(), [](Impl* last) { off_workers([last] { delete last; }); }));
  } catch (const std::system_error&) {
    return Error{ErrorCode::io, "", "no threads for the scheduler"};
  }
}

unsigned Scheduler::workers() const {
  return static_cast<unsigned>(impl_->scheduler.workers().size());
}

// --- Those who follow processes -----------------------------------------------------------------

// From the end on nobody takes what was kept for it: the worker that ends it waits for the mutex
// before the process goes.
base::Result<sched::Pid> Follower::spawn(const std::shared_ptr<Follower>& follower,
                                         sched::Scheduler& on, sched::Machine& in,
                                         sched::Spawn& what) {
  const std::lock_guard guard(follower->mutex);
  follower->scheduler = &on;
  follower->machine = &in;
  follower->self = follower;
  what.owner = follower.get();
  auto pid = on.spawn(in, what);
  if (pid) {
    follower->pid = *pid;
  } else {
    follower->self.reset();
  }
  return pid;
}

void Follower::finish(ProcessEnd with) {
  {
    const std::lock_guard guard(mutex);
    has_ended = true;
    end = std::move(with);
  }
  changed.notify_all();
}

void Follower::leave() {
  std::shared_ptr<Follower> last;
  {
    const std::lock_guard guard(mutex);
    is_gone = true;
    last = std::move(self);
  }
  changed.notify_all();
}

bool Follower::kill(sched::Exit why) {
  const std::lock_guard guard(mutex);
  return !has_ended && scheduler->kill(*machine, pid, why);
}

Pid Task::pid() const { return impl_->pid; }

Result<ProcessEnd> Task::wait() const {
  std::unique_lock lock(impl_->mutex);
  if (!impl_->is_gone && on_worker) return waits_on_worker("wait()");
  impl_->changed.wait(lock, [&] { return impl_->is_gone; });
  return impl_->end;
}

std::optional<ProcessEnd> Task::wait_for(std::chrono::nanoseconds timeout) const {
  std::unique_lock lock(impl_->mutex);
  if (!on_worker) wait_until(impl_->changed, lock, timeout, [&] { return impl_->is_gone; });
  if (!impl_->is_gone) return std::nullopt;
  return impl_->end;
}

bool Task::kill() const { return impl_->kill({sched::ExitKind::killed, 0}); }

// --- Machines -----------------------------------------------------------------------------------

static ProcessEnd end_of(const sched::Task& task, const runtime::Outcome& outcome,
                         sched::Exit why) {
  ProcessEnd end;
  end.exit = {static_cast<ExitReason>(why.kind), why.code};
  end.cpu_time = std::chrono::nanoseconds(task.cpu);
  if (task.counts_fuel()) end.fuel_left = static_cast<u64>(std::max<i64>(task.fuel(), 0));
  if (outcome.kind == runtime::Outcome::Kind::trapped &&
      outcome.trap == runtime::Trap::host_error) {
    end.message = std::exchange(HostState::of_worker().message, {});
  }
  try {
    if (is_crash(why.kind)) end.trace = to_public(task.trace());
    const auto* const follower = static_cast<const Follower*>(task.owner);
    if (follower != nullptr && follower->type != nullptr &&
        outcome.kind == runtime::Outcome::Kind::finished) {
      end.results = Access::to_values(*follower->type, task.results());
    }
  } catch (const std::bad_alloc&) {
    // That it has ended has to be told all the same.
  }
  return end;
}

void Machine::Impl::ended(sched::Task& task, const runtime::Outcome& outcome,
                          sched::Exit why) const {
  mark_worker();
  auto* const follower = static_cast<Follower*>(task.owner);
  if (follower == nullptr && !on_end) return;
  ProcessEnd end = end_of(task, outcome, why);
  if (on_end && task.instance_count() != 0) {
    try {
      on_end(task.pid, end);
    } catch (...) {
      // There is nobody to tell.
    }
  }
  if (follower != nullptr) follower->finish(std::move(end));
}

base::Result<std::shared_ptr<runtime::ModuleObject>> Machine::Impl::link(
    const std::shared_ptr<const runtime::Program>& program) {
  const std::lock_guard guard(linked_mutex);
  const auto found = linked.find(program.get());
  if (found != linked.end()) return found->second;
  auto made =
      runtime::ModuleObject::make(program, machine->options().host, machine->options().more_host);
  if (!made) return std::move(made).error();
  std::erase_if(linked, [](const auto& each) {
    return each.second.use_count() == 1 && each.second->program().use_count() == 1;
  });
  linked.emplace(program.get(), *made);
  return made;
}

Machine::Machine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Machine::Machine(Machine&& other) noexcept = default;
Machine& Machine::operator=(Machine&& other) noexcept {
  std::swap(impl_, other.impl_);
  return *this;
}

Machine::~Machine() {
  if (impl_ == nullptr) return;
  off_workers([impl = std::shared_ptr<Impl>(std::move(impl_))] {
    impl->scheduler().remove_machine(*impl->machine);
  });
}

std::optional<Error> Machine::Impl::refuses(std::uint32_t weight, std::uint8_t priority) const {
  if (!is_weight(weight) || priority > policy::max_priority) {
    return Error{ErrorCode::usage, machine->options().name,
                 "a weight is from 1 to 1,000,000, a priority from 0 to 31"};
  }
  if (machine->cpu_left() == 0) {
    return Error{ErrorCode::limit, machine->options().name, "has used up its CPU time"};
  }
  return std::nullopt;
}

Result<Machine> Machine::create(const Scheduler& scheduler, const MachineOptions& options) {
  if (!is_weight(options.weight)) {
    return Error{ErrorCode::usage, options.name, "a weight is from 1 to 1,000,000"};
  }
  auto impl = std::make_unique<Impl>(scheduler.impl_);
  impl->environment.arguments = options.arguments;
  for (const auto& [name, value] : options.environment) {
    impl->environment.variables.push_back(name + "=" + value);
  }
  impl->imports = options.imports;
  impl->functions = all_host_calls(impl->environment);
  impl->on_end = options.on_end;
  auto grants = open_grants(streams_of(options.input, options.output, options.error),
                            options.directories, options.mounts, options.network);
  if (!grants) return to_public(std::move(grants).error());
  impl->grants = *std::move(grants);

  sched::Machine::Options inner;
  inner.name = options.name;
  inner.weight = options.weight;
  inner.max_processes = options.limits.processes;
  inner.host = impl->functions;
  if (const auto& own = Access::impl(impl->imports)) inner.more_host = own->functions;
  constexpr u64 unlimited = cap::Meter::unlimited;
  inner.limits = {options.limits.memory_bytes,
                  options.limits.handles,
                  options.limits.io_bytes.value_or(unlimited),
                  options.limits.io_operations.value_or(unlimited),
                  options.limits.io_bytes_rate.value_or(unlimited),
                  options.limits.io_operations_rate.value_or(unlimited)};
  // Workers may tell of it when the rest of the machine has gone.
  const auto made = std::make_shared<sched::Machine*>(nullptr);
  if (const auto time = options.limits.cpu_time) {
    inner.cpu_limit = static_cast<u64>(std::max<i64>(time->count(), 0));
    inner.on_cpu_limit = [made, &on = impl->scheduler()] {
      on.kill_all(**made, {sched::ExitKind::time, 0});
    };
  }
  inner.on_end = [raw = impl.get()](sched::Task& task, const runtime::Outcome& outcome,
                                    sched::Exit why) { raw->ended(task, outcome, why); };
  inner.on_gone = [](void* owner) {
    if (owner != nullptr) static_cast<Follower*>(owner)->leave();
  };
  impl->machine = *made = &impl->scheduler().add_machine(std::move(inner));
  return Machine(std::move(impl));
}

// Where a process was to be linked with one that ended meanwhile: it is told.
static void check_link(sched::Scheduler& scheduler, sched::Machine& machine, sched::Pid pid,
                       sched::Pid parent) {
  if (scheduler.find(machine, parent)) return;
  {
    const sched::Table::Held held = scheduler.find(machine, pid);
    if (!held || held->relations == nullptr || held->relations->links.erase(parent) == 0) return;
    machine.account().memory.give(sched::link_bytes);
  }
  scheduler.signal(machine, pid, parent, {sched::ExitKind::noproc, 0}, nullptr);
}

Result<Task> Machine::spawn(const Module& module, std::string_view function,
                            std::span<const Value> arguments, const SpawnOptions& options) {
  Impl& impl = *impl_;
  const auto& program = Access::impl(module)->program;
  std::vector<u32> stages;
  if (function.empty()) {
    stages = find_stages(*program, std::nullopt);
    if (stages.empty()) return to_public(no_entry(*program));
  } else {
    const auto index = Access::find_own(*program, function);
    if (!index) return index.error();
    stages = find_stages(*program, *index);
  }
  const mod::FuncType& type = program->module().types[program->type_of(stages.back())];
  const auto slots = Access::to_slots(type, function, arguments);
  if (!slots) return slots.error();
  if (const auto error = impl.refuses(options.weight, options.priority)) return *error;
  sched::Spawn what;
  what.program = program;
  what.functions = stages;
  what.arguments = *slots;
  what.is_main = function.empty();
  what.limits = to_internal(options.limits);
  what.io = io_of(options.limits);
  what.io_rate = io_rate_of(options.limits);
  what.memory = impl.on->memory;
  what.mailbox = to_internal(options.mailbox);
  if (const auto time = options.limits.time; time && *time < longest_time) {
    what.cpu_limit = static_cast<u64>(std::max<i64>(std::chrono::nanoseconds(*time).count(), 0));
  }
  what.weight = options.weight;
  what.priority = options.priority;
  what.parent = options.parent;
  what.link = options.is_linked;
  if (options.is_linked && !impl.scheduler().find(*impl.machine, options.parent)) {
    return Error{ErrorCode::not_found, std::string(function), "has no process to be linked with"};
  }
  if (options.standard_handles) what.handles = first_handles(impl.grants, uses_wasi(*program));
  for (const Grant& each : options.grants) {
    auto capability = Access::capability(each, *impl.machine);
    if (!capability) return std::move(capability).error();
    what.handles.push_back(*std::move(capability));
  }
  const auto linked = impl.link(program);
  if (linked) {
    what.like = &(*linked)->like();
  } else if (linked.error().code != base::ErrorCode::limit) {  // else it shares nothing
    return to_public(linked.error());
  }
  auto made = std::make_shared<Task::Impl>();
  made->type = &type;
  const auto pid = Follower::spawn(made, impl.scheduler(), *impl.machine, what);
  if (!pid) return to_public(pid.error());
  if (options.is_linked) check_link(impl.scheduler(), *impl.machine, *pid, options.parent);
  return Task(std::move(made));
}

Result<Grant> Machine::grant(const Module& module) const {
  auto linked = impl_->link(Access::impl(module)->program);
  if (!linked) return to_public(std::move(linked).error());
  return Access::grant({*std::move(linked), cap::right_read}, impl_->machine->shared_account());
}

bool Machine::kill(Pid pid) {
  return impl_->scheduler().kill(*impl_->machine, pid, {sched::ExitKind::killed, 0});
}

Result<std::monostate> Machine::pause() {
  if (on_worker) return waits_on_worker("pause()");
  impl_->scheduler().pause(*impl_->machine);
  return std::monostate();
}

void Machine::resume() { impl_->scheduler().resume(*impl_->machine); }

Result<std::monostate> Machine::register_name(std::string_view name, Pid pid) {
  const auto error = [&](ErrorCode code, const char* what) {
    return Error{code, std::string(name), what};
  };
  if (name.empty() || name.size() > longest_name) {
    return error(ErrorCode::usage, "a name has 1 to 255 bytes");
  }
  switch (impl_->scheduler().name(*impl_->machine, std::string(name), pid)) {
    case sched::Scheduler::Named::taken:
      return error(ErrorCode::usage, "is the name of another process");
    case sched::Scheduler::Named::no_process:
      return error(ErrorCode::not_found, "there is no such process");
    case sched::Scheduler::Named::too_many:
      return error(ErrorCode::limit, "the process has too many names");
    case sched::Scheduler::Named::no_memory:
      return error(ErrorCode::limit, "the machine has no memory for it");
    case sched::Scheduler::Named::yes:
      break;
  }
  return std::monostate();
}

bool Machine::unregister_name(std::string_view name) {
  return impl_->scheduler().unname(*impl_->machine, std::string(name));
}

Pid Machine::find(std::string_view name) const {
  return impl_->scheduler().find(*impl_->machine, std::string(name));
}

std::optional<ProcessInfo> Machine::info(Pid pid) const {
  const sched::Table::Held held = impl_->scheduler().find(*impl_->machine, pid);
  if (!held) return std::nullopt;
  return info_of(*held, impl_->machine->is_paused());
}

std::vector<ProcessInfo> Machine::processes() const {
  std::vector<Pid> pids;
  impl_->machine->table().for_each([&](const sched::Task& task) { pids.push_back(task.pid); });
  std::vector<ProcessInfo> all;
  for (const Pid pid : pids) {
    if (auto found = info(pid)) all.push_back(*std::move(found));
  }
  return all;
}

MachineInfo Machine::info() const {
  const sched::Machine& machine = *impl_->machine;
  const cap::Account& account = machine.account();
  MachineInfo info;
  info.processes = machine.processes();
  info.is_paused = machine.is_paused();
  info.cpu_time = std::chrono::nanoseconds(machine.cpu_time());
  info.memory_bytes = account.memory.used();
  info.handles = account.handles.used();
  info.io_bytes = account.io_bytes.used();
  info.io_operations = account.io_operations.used();
  return info;
}

}  // namespace atollvm
