#include "atoll/embed/operator.hpp"

#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <utility>

#include "atoll/embed/operator_entry.hpp"

namespace atollvm {

using machine::MachineState;
using machine::MachineStatus;
using machine::unlimited;
using sched::ExitKind;

namespace {

constexpr u64 ms = 1'000'000;
// Processes that were being started are ended with the next look.
constexpr u64 end_again_every = 20 * ms;
constexpr usize max_frames = 8;  // of a crash in the log

void pause_shortly() {
  const timespec shortly{0, 200'000};
  nanosleep(&shortly, nullptr);
}

base::Error taken(const std::string& name) {
  return {base::ErrorCode::usage, name, "there is a machine of this name"};
}

bool is_crash(ExitKind kind) {
  return kind == ExitKind::trap || kind == ExitKind::fuel || kind == ExitKind::time ||
         kind == ExitKind::memory || kind == ExitKind::mailbox;
}

std::string_view text_of(ExitKind kind) {
  switch (kind) {
    case ExitKind::killed:
      return "killed by another process";
    case ExitKind::fuel:
      return "used up its fuel";
    case ExitKind::time:
      return "used up its CPU time";
    case ExitKind::memory:
      return "the host has no memory for what it does";
    case ExitKind::mailbox:
      return "its mailbox was full";
    case ExitKind::noproc:
      return "was bound to a process that was not there";
    default:
      return "";
  }
}

std::string text_of(const machine::Exit& exit) {
  if (exit.reason == ExitKind::normal) return "normally";
  if (exit.reason == ExitKind::code) return fmt::format("with exit code {}", exit.code);
  if (exit.reason == ExitKind::trap) return "by a trap: " + exit.message;
  return exit.message.empty() ? "stopped" : exit.message;
}

std::optional<u64> counted(u64 limit) {
  return limit == unlimited ? std::nullopt : std::optional(limit);
}

}  // namespace

runtime::Limits limits_of(const machine::MachineSpec& spec) {
  runtime::Limits limits;
  limits.memory_bytes = std::min(spec.process.memory, spec.limits.memory);
  limits.stack_bytes = spec.process.stack;
  limits.table_elements = spec.process.table_elements;
  limits.handles = fit(std::min(spec.process.handles, spec.limits.handles));
  limits.fuel = counted(std::min(spec.process.fuel, spec.limits.fuel));
  return limits;
}

// --- Life ---------------------------------------------------------------------------------

Machines::Machines(const Options& options)
    : engine_(options.engine),
      policy_(options.scheduler.policy != nullptr ? options.scheduler.policy->name
                                                  : policy::all().front().name),
      started_(real_time()),
      is_followed_(options.is_followed),
      every_(options.every),
      state_(options.state),
      networks_(options.networks),
      scheduler_(std::make_unique<sched::Scheduler>(
          with_pool(options.scheduler, *Access::impl(engine_)), tier_of(engine_.options()))),
      watcher_([this] { watch(); }) {
  if (state_ != nullptr) keeper_ = std::thread([this] { keep_all(); });
}

Machines::~Machines() {
  stop();
  {
    const std::lock_guard guard(news_mutex_);
    is_over_ = true;
  }
  news_.notify_all();
  watcher_.join();
  if (keeper_.joinable()) keeper_.join();
  scheduler_.reset();
}

void Machines::stop() {
  {
    const std::lock_guard guard(mutex_);
    stopping_ = true;
  }
  keep_last();
  std::unique_lock lock(mutex_);
  for (const auto& [name, entry] : entries_) {
    entry->is_last = true;
    if (entry->state == MachineState::restarting) entry->state = MachineState::ended;
    if (entry->is_up()) end(*entry, ExitKind::stopped, "the server has stopped");
  }
  wake();
  changed_.wait(lock, [&] {
    return std::ranges::none_of(entries_, [](const auto& each) { return each.second->is_up(); });
  });
}

void Machines::wake() {
  {
    const std::lock_guard guard(news_mutex_);
    woken_ = true;
  }
  news_.notify_all();
}

// The thread that follows up the ends of machines.
void Machines::watch() {
  while (true) {
    std::vector<RootEnd> root_ends;
    std::vector<Entry*> used_up;
    u64 next = 0;
    {
      const std::lock_guard guard(mutex_);
      {
        const std::lock_guard news(news_mutex_);
        root_ends.swap(root_ends_);
        used_up.swap(used_up_);
        woken_ = false;
      }
      for (Entry* const each : used_up) {
        each->is_used_up = true;
        if (each->is_up() && !each->is_ending) {
          end(*each, ExitKind::time, "the machine used up its CPU time");
        }
      }
      for (RootEnd& each : root_ends) {
        Entry& entry = *each.entry;
        entry.root_ended = true;
        entry.exit = std::move(each.exit);
        if (!entry.is_ending) end(entry, ExitKind::stopped, "");
      }
      next = tend(loop::monotonic_ns());
    }
    std::unique_lock lock(news_mutex_);
    const auto has_news = [&] {
      return woken_ || is_over_ || !root_ends_.empty() || !used_up_.empty();
    };
    const u64 now = loop::monotonic_ns();
    if (next == sched::Task::never) {
      news_.wait(lock, has_news);
    } else if (next > now) {
      news_.wait_for(lock, std::chrono::nanoseconds(next - now), has_news);
    }
    if (is_over_) return;
  }
}

u64 Machines::tend(u64 now) {
  u64 next = sched::Task::never;
  for (auto at = entries_.begin(); at != entries_.end();) {
    Entry& entry = *at->second;
    if (entry.is_ending) {
      if (entry.root_ended && entry.machine->is_empty()) {
        finish(entry, now);
      } else {
        if (now >= entry.end_again) {
          scheduler_->kill_all(*entry.machine, {entry.end_reason, 0});
          entry.end_again = now + end_again_every;
        }
        next = std::min(next, now + ms / 2);
      }
    }
    if (entry.state == MachineState::restarting) {
      if (now < entry.restart_at) {
        next = std::min(next, entry.restart_at);
      } else {
        ++entry.restart_count;
        if (const base::Status begun = begin(entry); !begun) {
          entry.say("can't be started again: " + begun.error().text());
          entry.state = MachineState::failed;
          mark(entry);
          if (!first_failure_) first_failure_ = entry.exit;
        }
      }
    }
    if (entry.is_destroyed && !entry.is_up()) {
      scheduler_->remove_machine(*entry.machine);
      entry.leave();
      {
        const std::lock_guard guard(news_mutex_);
        std::erase(used_up_, &entry);
      }
      at = entries_.erase(at);
      changed_.notify_all();
    } else {
      ++at;
    }
  }
  return next;
}

// --- Processes ----------------------------------------------------------------------------

// Opens what the machine is granted of the host.
base::Status Machines::grant(Entry& entry) {
  const machine::MachineSpec& spec = entry.plan;
  Streams streams;
  auto input = open_input(spec.input.empty() ? "/dev/null" : spec.input);
  if (!input) return std::move(input).error();
  streams.input = *std::move(input);
  streams.output = log_stream(entry.output, machine::LogStream::output);
  streams.error = log_stream(entry.output, machine::LogStream::error);
  for (auto [path, stream] :
       {std::pair(&spec.output, &streams.output), std::pair(&spec.error, &streams.error)}) {
    if (path->empty()) continue;
    auto opened = open_output(*path);
    if (!opened) return std::move(opened).error();
    *stream = *std::move(opened);
  }
  std::vector<DirectoryGrant> directories;
  for (const machine::Directory& each : spec.directories) {
    directories.push_back({each.host, each.guest, each.writable});
  }
  std::vector<Mount> mounts;
  for (const machine::Mount& each : spec.mounts) {
    mounts.push_back({each.type, each.source, each.guest, each.writable, each.bytes, each.inodes,
                      each.upper, each.append_only, each.no_delete, each.no_modules, each.hidden});
  }
  const NetworkGrant network{spec.network,
                             [output = entry.output](std::string_view line) {
                               output->log.say(fmt::format("network: {}", line), real_time());
                             },
                             spec.listeners};
  entry.grants.listeners.clear();  // those of the run before would hold the ports
  auto grants = open_grants(std::move(streams), directories, mounts, network, entry.attachment);
  if (!grants) return std::move(grants).error();
  entry.grants = *std::move(grants);
  return {};
}

base::Status Machines::begin(Entry& entry) {
  const machine::MachineSpec& spec = entry.plan;
  sched::Spawn what;
  what.limits = limits_of(spec);
  if (spec.limits.fuel != unlimited)
    what.limits.fuel = std::min(*what.limits.fuel, entry.fuel_left);
  const u64 used = entry.machine->cpu_time();
  if (used >= spec.limits.cpu_time || (what.limits.fuel && *what.limits.fuel == 0)) {
    return base::Error{base::ErrorCode::limit, spec.name,
                       "the machine has used up its CPU time or fuel"};
  }
  if (entry.stages.empty()) return no_entry(*entry.program);
  if (base::Status granted = grant(entry); !granted) return granted;
  what.handles = first_handles(entry.grants, entry.calls.uses_wasi);
  what.program = entry.program;
  what.functions = entry.stages;
  what.io = {spec.process.io_bytes, spec.process.io_operations};
  what.io_rate = {spec.process.io_bytes_rate, spec.process.io_operations_rate};
  what.mailbox.messages = fit(spec.process.mailbox_messages);
  what.mailbox.bytes = spec.process.mailbox_bytes;
  what.mailbox.overflow = spec.process.overflow;
  what.cpu_limit = spec.process.cpu_time;
  what.is_main = true;
  entry.fuel_back.store(0);
  entry.is_quiet.store(false);
  entry.root_ended = entry.is_ending = entry.is_last = false;
  entry.end_message.clear();
  // It has its names before it runs.
  if (!spec.names.empty()) scheduler_->pause(*entry.machine);
  entry.say(entry.restart_count == 0 ? "started"
                                     : fmt::format("started, restart {}", entry.restart_count));
  const auto pid = scheduler_->spawn(*entry.machine, what);
  if (!pid) {
    scheduler_->resume(*entry.machine);
    entry.say("has no process: " + pid.error().text());
    return pid.error();
  }
  entry.root = *pid;
  for (const std::string& name : spec.names) {
    static_cast<void>(scheduler_->name(*entry.machine, name, *pid));
  }
  if (spec.limits.fuel != unlimited) entry.fuel_left -= *what.limits.fuel;
  entry.started = real_time();
  entry.state = MachineState::running;
  scheduler_->resume(*entry.machine);
  mark(entry);
  wake();
  return {};
}

// Lets all its processes end; `finish` follows when they have.
void Machines::end(Entry& entry, ExitKind why, std::string message) {
  if (entry.end_message.empty()) entry.end_message = std::move(message);
  entry.is_ending = true;
  entry.is_quiet.store(true);
  entry.end_reason = why;
  entry.end_again = loop::monotonic_ns() + end_again_every;
  // Paused: processes that spawn without end would be quicker.
  scheduler_->pause(*entry.machine);
  scheduler_->kill_all(*entry.machine, {why, 0});
  wake();
}

void Machines::finish(Entry& entry, u64 now) {
  mark(entry);
  scheduler_->resume(*entry.machine);
  entry.output->log.end(real_time());
  entry.is_ending = false;
  ++entry.ends;
  entry.root = 0;
  if (entry.spec.limits.fuel != unlimited) entry.fuel_left += entry.fuel_back.load();
  if (!entry.end_message.empty() && entry.exit->reason == entry.end_reason) {
    entry.exit->message = entry.end_message;
  }
  entry.state = MachineState::ended;
  entry.say("ended " + text_of(*entry.exit));
  if (!entry.is_last) {
    const auto verdict = entry.restarts.ended(entry.exit->reason, now);
    if (verdict == machine::Restarts::Verdict::restarts && !entry.is_used_up) {
      entry.state = MachineState::restarting;
      entry.restart_at = now + entry.restarts.pause();
    } else if (verdict != machine::Restarts::Verdict::stays) {
      entry.state = MachineState::failed;
      entry.say(entry.is_used_up ? "failed: it has nothing left to use"
                                 : "failed: it was restarted too often");
    }
  }
  if (entry.state != MachineState::restarting && entry.exit->reason != ExitKind::normal &&
      !first_failure_) {
    first_failure_ = entry.exit;
  }
  changed_.notify_all();
}

// On a worker, which mutex_ must not hold up: pause() waits for workers.
void Machines::ended(Entry& entry, sched::Task& task, const runtime::Outcome& outcome,
                     sched::Exit why) {
  if (task.counts_fuel()) {
    entry.fuel_back.fetch_add(static_cast<u64>(std::max<i64>(task.fuel(), 0)));
  }
  const bool crashed = is_crash(why.kind);
  if (!task.is_main && !crashed) return;
  machine::Exit exit{why.kind, why.kind == ExitKind::code ? why.code : 0,
                     std::string(text_of(why.kind))};
  if (why.kind == ExitKind::trap) exit.message = runtime::text(outcome.trap);
  if (crashed && !entry.is_quiet.load()) {
    const u64 now = real_time();
    entry.output->log.say(fmt::format("process {}: {}{}", task.pid,
                                      why.kind == ExitKind::trap ? "trap: " : "", exit.message),
                          now);
    usize frames = 0;
    for (const runtime::TraceFrame& each : task.trace()) {
      if (frames++ == max_frames) break;
      entry.output->log.say(each.location.empty()
                                ? fmt::format("  at {}", each.name)
                                : fmt::format("  at {} ({})", each.name, each.location),
                            now);
    }
  }
  if (!task.is_main) return;
  {
    const std::lock_guard guard(news_mutex_);
    root_ends_.push_back({&entry, std::move(exit)});
  }
  news_.notify_all();
}

// --- What runs ----------------------------------------------------------------------------

// Of each machine, by its group.
std::vector<u64> Machines::count_messages() {
  u32 groups = 0;
  for (const auto& [name, entry] : entries_) {
    groups = std::max(groups, entry->machine->group().index + 1);
  }
  std::vector<u64> totals(groups);
  for (const auto& [name, entry] : entries_) {
    u64& total = totals[entry->machine->group().index];
    entry->machine->table().for_each(
        [&](const sched::Task& task) { total += task.mailbox.messages(); });
  }
  return totals;
}

MachineStatus Machines::status(const Entry& entry, const std::vector<u64>& messages) const {
  MachineStatus status;
  status.name = entry.spec.name;
  status.state = entry.state;
  status.weight = entry.spec.weight;
  status.processes = entry.machine->processes();
  status.root = static_cast<i64>(entry.root);
  status.cpu = entry.machine->cpu_time();
  const cap::Account& account = entry.machine->account();
  status.memory = account.memory.used();
  status.memory_limit = entry.spec.limits.memory;
  status.messages = messages[entry.machine->group().index];
  status.handles = account.handles.used();
  status.io_bytes = account.io_bytes.used();
  status.io_operations = account.io_operations.used();
  status.restarts = entry.restart_count;
  status.created = entry.created;
  status.started = entry.started;
  status.exit = entry.exit;
  return status;
}

MachineStatus Machines::status(const Entry& entry) { return status(entry, count_messages()); }

base::Result<std::shared_ptr<Machines::Entry>> Machines::find(const std::string& name) {
  const auto found = entries_.find(name);
  if (found == entries_.end() || found->second->is_destroyed) return no_machine(name);
  return found->second;
}

machine::Info Machines::info() {
  const std::lock_guard guard(mutex_);
  machine::Info info{policy_, static_cast<u32>(scheduler_->workers().size()), started_,
                     entries_.size(), 0};
  for (const auto& [name, entry] : entries_) info.processes += entry->machine->processes();
  return info;
}

base::Result<std::vector<MachineStatus>> Machines::machines(const std::string& name) {
  const std::lock_guard guard(mutex_);
  if (!name.empty()) {
    const auto entry = find(name);
    if (!entry) return entry.error();
    return std::vector{status(**entry)};
  }
  const std::vector<u64> messages = count_messages();
  std::vector<MachineStatus> result;
  for (const auto& [each, entry] : entries_) {
    if (!entry->is_destroyed) result.push_back(status(*entry, messages));
  }
  return result;
}

base::Result<std::vector<machine::ProcessStatus>> Machines::processes(
    const machine::ProcessQuery& query) {
  const std::lock_guard guard(mutex_);
  if (!query.machine.empty()) {
    if (const auto entry = find(query.machine); !entry) return entry.error();
  }
  // Machines in the order of their names, then by pid.
  struct Found {
    sched::Pid pid;
    const Entry* entry;
  };
  std::vector<Found> found;
  for (const auto& [name, entry] : entries_) {
    if (found.size() >= query.limit) break;
    if (!(query.machine.empty() || query.machine == name) || name < query.after_machine) continue;
    const i64 after = name == query.after_machine ? query.after_pid : -1;
    const usize first = found.size();
    entry->machine->table().for_each([&](const sched::Task& task) {
      if (static_cast<i64>(task.pid) > after) found.push_back({task.pid, entry.get()});
    });
    std::ranges::sort(found.begin() + static_cast<std::ptrdiff_t>(first), found.end(), {},
                      &Found::pid);
  }
  std::vector<machine::ProcessStatus> result;
  for (const Found& each : found) {
    if (result.size() == query.limit) break;
    const auto task = scheduler_->find(*each.entry->machine, each.pid);
    if (!task) continue;
    const sched::Census held = task->census(false);
    machine::ProcessStatus status;
    status.machine = each.entry->spec.name;
    status.pid = static_cast<i64>(each.pid);
    status.parent = static_cast<i64>(task->parent);
    status.state = each.entry->machine->is_paused()
                       ? machine::ProcessState::paused
                       : static_cast<machine::ProcessState>(task->phase_now());
    status.weight = task->weight;
    status.priority = task->Node::priority;
    status.cpu = held.cpu;
    status.memory = held.memory_bytes + held.stack_bytes + task->mailbox.bytes();
    status.stack = held.stack_bytes;
    status.messages = task->mailbox.messages();
    status.mailbox_bytes = task->mailbox.bytes();
    status.handles = held.handles;
    if (task->relations != nullptr) {
      status.links = task->relations->links.size();
      const auto& names = task->relations->names;
      if (!names.empty()) status.name = *std::ranges::min_element(names);
    }
    result.push_back(std::move(status));
  }
  return result;
}

base::Result<std::vector<machine::LogRecord>> Machines::logs(const machine::LogQuery& query) {
  std::shared_ptr<Output> output;
  {
    const std::lock_guard guard(mutex_);
    const auto entry = find(query.machine);
    if (!entry) return entry.error();
    output = (*entry)->output;
  }
  return output->log.read(query.after, query.limit);
}

void Machines::all_taken(const std::string& name) {
  const std::lock_guard guard(mutex_);
  if (const auto entry = find(name)) (*entry)->output->all_taken();
}

bool Machines::have_ended() {
  const std::lock_guard guard(mutex_);
  return std::ranges::none_of(entries_, [](const auto& each) {
    return each.second->is_up() || each.second->state == MachineState::restarting;
  });
}

std::optional<machine::Exit> Machines::first_failure() {
  const std::lock_guard guard(mutex_);
  return first_failure_;
}

// --- Requests -----------------------------------------------------------------------------

// What its processes are told of the host, and what they may call.
void Machines::equip(Entry& entry, const std::function<HostCalls()>& calls) {
  const machine::MachineSpec& spec = entry.plan;
  entry.environment.arguments = {spec.module};
  entry.environment.arguments.insert(entry.environment.arguments.end(), spec.arguments.begin(),
                                     spec.arguments.end());
  for (const auto& [name, value] : spec.environment) {
    entry.environment.variables.push_back(name + "=" + value);
  }
  entry.calls = calls();
  for (runtime::HostFunction& each : entry.calls.functions) {
    if (each.name != "write" && each.name != "fd_write") continue;
    each.call = [inner = std::move(each.call)](runtime::HostContext& context) {
      writing_process = static_cast<i64>(static_cast<sched::Task&>(context.process()).pid);
      const runtime::HostResult result = inner(context);
      writing_process = 0;
      return result;
    };
  }
}

base::Status Machines::open_log(Entry& entry) {
  auto output = Output::make(is_followed_);
  if (!output) return std::move(output).error();
  entry.output = *std::move(output);
  if (!entry.spec.log.empty()) {
    base::Status opened = entry.output->log.append_to(entry.spec.log);
    if (!opened) return std::move(opened).error();
  }
  return {};
}

base::Status Machines::join(Entry& entry) {
  if (entry.plan.nics.empty()) return {};
  if (networks_ == nullptr) {
    return base::Error{base::ErrorCode::usage, entry.plan.nics.front().place,
                       "the server has no virtual networks"};
  }
  auto joined = networks_->join(entry.plan);
  if (!joined) return std::move(joined).error();
  entry.attachment = *std::move(joined);
  return {};
}

sched::Machine& Machines::make_machine(Entry& entry) {
  const machine::MachineSpec& spec = entry.spec;
  sched::Machine::Options machine;
  machine.name = spec.name;
  machine.weight = spec.weight;
  machine.max_processes = fit(spec.limits.processes);
  machine.limits = {spec.limits.memory,        spec.limits.handles,
                    spec.limits.io_bytes,      spec.limits.io_operations,
                    spec.limits.io_bytes_rate, spec.limits.io_operations_rate};
  machine.cpu_limit = spec.limits.cpu_time;
  machine.on_cpu_limit = [this, raw = &entry] {
    {
      const std::lock_guard guard(news_mutex_);
      used_up_.push_back(raw);
    }
    news_.notify_all();
  };
  machine.host = entry.calls.functions;
  machine.on_end = [this, raw = &entry](sched::Task& task, const runtime::Outcome& outcome,
                                        sched::Exit why) { ended(*raw, task, outcome, why); };
  sched::Machine& made = scheduler_->add_machine(std::move(machine));
  if (entry.attachment != nullptr) entry.attachment->charge_to(made.shared_account());
  return made;
}

// Makes it one of the machines, if it can be.
base::Status Machines::add(const std::shared_ptr<Entry>& entry) {
  const std::string& name = entry->spec.name;
  if (entries_.contains(name)) return taken(name);
  if (stopping_) return base::Error{base::ErrorCode::usage, name, "the server stops"};
  if (entries_.size() >= machine::max_machines) {
    return base::Error{base::ErrorCode::limit, name,
                       fmt::format("a server has {} machines at most", machine::max_machines)};
  }
  if (entry->machine == nullptr) entry->machine = &make_machine(*entry);
  entries_.emplace(name, entry);
  return {};
}

base::Result<MachineStatus> Machines::create(const machine::MachineSpec& spec) {
  {
    const std::lock_guard guard(mutex_);
    if (entries_.contains(spec.name)) return taken(spec.name);
  }
  auto entry = std::make_shared<Entry>(spec);
  if (base::Status opened = open_image(*entry, false); !opened) return std::move(opened).error();
  const auto module = module_of(engine_, *entry);
  if (!module) return module.error();
  entry->program = Access::impl(*module)->program;
  const runtime::Program& program = *entry->program;
  entry->stages = find_stages(program, std::nullopt);
  if (entry->stages.empty()) return no_entry(program);
  equip(*entry, [&] { return host_calls(program, entry->environment); });
  // One is made to see that it can be.
  runtime::Options options;
  options.limits = limits_of(entry->plan);
  options.host = entry->calls.functions;
  if (auto made = runtime::Process::create(entry->program, options); !made) {
    return std::move(made).error();
  }
  if (base::Status opened = open_log(*entry); !opened) return std::move(opened).error();
  if (base::Status joined = join(*entry); !joined) return std::move(joined).error();
  say_ungranted(*entry);
  entry->created = real_time();
  entry->fuel_left = spec.limits.fuel;

  {
    const std::lock_guard guard(mutex_);
    if (base::Status added = add(entry); !added) return std::move(added).error();
  }
  return recorded(entry);
}

base::Result<MachineStatus> Machines::start(const std::string& name) {
  std::unique_lock lock(mutex_);
  const auto found = find(name);
  if (!found) return found.error();
  Entry& entry = **found;
  if (stopping_) return base::Error{base::ErrorCode::usage, name, "the server stops"};
  if (entry.is_up() || entry.state == MachineState::restarting) {
    return base::Error{base::ErrorCode::usage, name, "the machine runs"};
  }
  entry.restarts = machine::Restarts(entry.spec.restart);
  base::Status begun = begin(entry);
  if (!begun) return std::move(begun).error();
  return settled(lock, *found);
}

base::Result<MachineStatus> Machines::pause(const std::string& name) {
  std::unique_lock lock(mutex_);
  const auto found = find(name);
  if (!found) return found.error();
  Entry& entry = **found;
  if (entry.state != MachineState::running || entry.is_ending) {
    return base::Error{base::ErrorCode::usage, name, "only a running machine can be paused"};
  }
  scheduler_->pause(*entry.machine);
  entry.state = MachineState::paused;
  entry.say("paused");
  mark(entry);
  return settled(lock, *found);
}

base::Result<MachineStatus> Machines::resume(const std::string& name) {
  std::unique_lock lock(mutex_);
  auto found = find(name);
  while (found && (*found)->is_held) {
    changed_.wait(lock);
    found = find(name);
  }
  if (!found) return found.error();
  Entry& entry = **found;
  if (entry.state != MachineState::paused || entry.is_ending) {
    return base::Error{base::ErrorCode::usage, name, "the machine is not paused"};
  }
  entry.state = MachineState::running;
  entry.say("resumed");
  mark(entry);
  scheduler_->resume(*entry.machine);
  // A restored one may have used up its CPU time before.
  if (entry.machine->cpu_left() == 0) {
    entry.is_used_up = true;
    end(entry, ExitKind::time, "the machine used up its CPU time");
  }
  return settled(lock, *found);
}

base::Result<MachineStatus> Machines::kill(const std::string& name, i64 pid) {
  std::unique_lock lock(mutex_);
  const auto found = find(name);
  if (!found) return found.error();
  const std::shared_ptr<Entry> entry = *found;
  const auto number = static_cast<sched::Pid>(pid);
  if (pid != 0 && number != entry->root) {
    if (!entry->is_up() || !scheduler_->kill(*entry->machine, number, {ExitKind::killed, 0})) {
      return base::Error{base::ErrorCode::not_found, name, fmt::format("has no process {}", pid)};
    }
    // It goes at its next safepoint, or when a call comes back that can't be called off.
    const auto table = entry->machine->shared_table();
    lock.unlock();
    for (int i = 0; i < 5000 && table->find(number); ++i) pause_shortly();
    lock.lock();
    const auto again = find(name);
    if (!again) return again.error();
    return status(**again);
  }
  entry->is_last = true;
  if (entry->state == MachineState::restarting) {
    entry->state = MachineState::ended;
    mark(*entry);
  } else if (entry->is_up()) {
    end(*entry, ExitKind::killed, "killed by the operator");
    changed_.wait(lock, [&, before = entry->ends] { return entry->ends != before; });
  } else if (entry->state != MachineState::ended) {
    return base::Error{base::ErrorCode::usage, name, "the machine does not run"};
  }
  if (entry->is_destroyed) return no_machine(name);
  return settled(lock, entry);
}

base::Status Machines::destroy(const std::string& name) {
  std::unique_lock lock(mutex_);
  const auto found = find(name);
  if (!found) return found.error();
  const std::shared_ptr<Entry> entry = *found;
  lock.unlock();
  if (base::Status forgotten = forget(*entry); !forgotten) return forgotten;
  lock.lock();
  entry->is_last = entry->is_destroyed = true;
  if (entry->state == MachineState::restarting) entry->state = MachineState::ended;
  if (entry->is_up()) end(*entry, ExitKind::stopped, "destroyed by the operator");
  wake();
  changed_.notify_all();
  changed_.wait(lock, [&] {
    const auto at = entries_.find(name);
    return at == entries_.end() || at->second != entry;
  });
  return {};
}

}  // namespace atollvm
