// Links, monitors and names of processes.
#include "scheduler/core/scheduler.hpp"

namespace atollvm::sched {

namespace {

// Of one process.
constexpr usize max_monitors = 1 << 20;

}  // namespace

// --- Links and monitors -------------------------------------------------------------------

Scheduler::Bound Scheduler::link(Task& running, Pid other) {
  if (other == running.pid) return Bound::yes;
  const Machine& machine = *running.machine;
  cap::Charge own_side(&machine.account().memory, link_bytes);
  cap::Charge other_side(&machine.account().memory, link_bytes);
  if (!own_side || !other_side) return Bound::no_memory;
  {
    const Table::Held own = running.machine->table().find(running.pid);
    if (own->bound().links.insert(other).second) own_side.keep();
  }
  {
    const Table::Held held = find(machine, other);
    if (held) {
      if (held->bound().links.insert(running.pid).second) other_side.keep();
      return Bound::yes;
    }
  }
  const Table::Held own = running.machine->table().find(running.pid);
  if (own->bound().links.erase(other) != 0) machine.account().memory.give(link_bytes);
  return Bound::no_process;
}

void Scheduler::unlink(Task& running, Pid other) {
  cap::Meter& memory = running.machine->account().memory;
  {
    const Table::Held own = running.machine->table().find(running.pid);
    if (own->relations == nullptr || own->relations->links.erase(other) == 0) return;
    memory.give(link_bytes);
  }
  const Table::Held held = find(*running.machine, other);
  if (held && held->relations != nullptr && held->relations->links.erase(running.pid) != 0) {
    memory.give(link_bytes);
  }
}

Scheduler::Bound Scheduler::monitor(Task& running, Pid other, u64 reference, Tag tag) {
  cap::Meter& memory = running.machine->account().memory;
  cap::Charge charge(&memory, monitor_bytes);
  if (!charge) return Bound::no_memory;
  {
    const Table::Held own = running.machine->table().find(running.pid);
    if (own->bound().watching.size() >= max_monitors) return Bound::too_many;
    own->bound().watching.emplace(reference, Relations::Watch{other, tag});
    charge.keep();
  }
  {
    const Table::Held held = find(*running.machine, other);
    if (held) {
      held->bound().watchers.emplace(running.pid, reference);
      return Bound::yes;
    }
  }
  Table::Held own = running.machine->table().find(running.pid);
  if (own->bound().watching.erase(reference) != 0) memory.give(monitor_bytes);
  hear(std::move(own), other, reference, tag, {ExitKind::noproc, 0}, nullptr);
  return Bound::yes;
}

void Scheduler::demonitor(Task& running, u64 reference) {
  Pid other = 0;
  {
    Table::Held own = running.machine->table().find(running.pid);
    if (own->relations != nullptr) {
      const auto at = own->relations->watching.find(reference);
      if (at != own->relations->watching.end()) {
        other = at->second.pid;
        own->relations->watching.erase(at);
        running.machine->account().memory.give(monitor_bytes);
      }
    }
    if (other == 0) {
      // Its message may have come; it can't any more where the monitor was still there.
      own->mailbox.collect();
      own->mailbox.settle(running.machine->account().memory, /*ahead=*/true);
      if (own->terms->mailbox.overflow != Overflow::oldest) own.release();
      running.mailbox.drop_down(reference);
      return;
    }
  }
  const Table::Held held = find(*running.machine, other);
  if (held && held->relations != nullptr) held->relations->watchers.erase({running.pid, reference});
}

// --- Names --------------------------------------------------------------------------------

// The lock of names comes before those of processes.
Scheduler::Named Scheduler::name(Machine& machine, std::string name, Pid pid) {
  const std::lock_guard guard(machine.names_mutex_);
  if (machine.names_.contains(name)) return Named::taken;
  const Table::Held held = find(machine, pid);
  if (!held) return Named::no_process;
  if (held->bound().names.size() >= max_names) return Named::too_many;
  cap::Charge charge(&machine.account_.memory, name_bytes(name.size()));
  if (!charge) return Named::no_memory;
  held->bound().names.insert(name);
  machine.names_.emplace(std::move(name), pid);
  charge.keep();
  return Named::yes;
}

bool Scheduler::unname(Machine& machine, const std::string& name) {
  const std::lock_guard guard(machine.names_mutex_);
  const auto at = machine.names_.find(name);
  if (at == machine.names_.end()) return false;
  const Table::Held held = find(machine, at->second);
  if (held && held->relations != nullptr && held->relations->names.erase(name) != 0) {
    machine.account_.memory.give(name_bytes(name.size()));
  }
  machine.names_.erase(at);
  return true;
}

Pid Scheduler::find(Machine& machine, const std::string& name) {
  const std::lock_guard guard(machine.names_mutex_);
  const auto at = machine.names_.find(name);
  return at == machine.names_.end() ? 0 : at->second;
}

}  // namespace atollvm::sched
