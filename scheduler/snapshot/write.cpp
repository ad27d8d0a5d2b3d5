// Writing: a pass over all processes finds what they share, which goes first; then each process.
#include <algorithm>
#include <set>
#include <tuple>
#include <unordered_map>

#include "scheduler/core/clock.hpp"
#include "scheduler/loop/loop.hpp"
#include "scheduler/snapshot/frames.hpp"
#include "scheduler/snapshot/pages.hpp"
#include "scheduler/snapshot/pieces.hpp"
#include "scheduler/snapshot/stream.hpp"
#include "vm/module/codec.hpp"
#include "vm/runtime/module_object.hpp"
#include "vm/runtime/process_parts.hpp"

namespace atollvm::snapshot {

using base::Error;
using base::ErrorCode;
using runtime::Instance;
using runtime::Process;
using runtime::ProcessParts;
using sched::Task;

namespace {

// How long is waited for host calls that are being carried out, ns: those that wait for a dead file
// server do so for long.
constexpr u64 most_for_jobs = 1'000'000'000;

// Things that processes share, numbered as they are found.
template <class T>
class Numbered {
 public:
  u32 number_of(const T& item) {
    const auto [at, is_new] = numbers_.try_emplace(&item, static_cast<u32>(items_.size()));
    if (is_new) items_.push_back(&item);
    return at->second;
  }
  [[nodiscard]] const std::vector<const T*>& items() const { return items_; }

 private:
  std::unordered_map<const T*, u32> numbers_;
  std::vector<const T*> items_;
};

class MachineWriter {
 public:
  MachineWriter(sched::Scheduler& scheduler, sched::Machine& machine, Objects& objects, Sink& sink)
      : scheduler_(scheduler), machine_(machine), objects_(objects), to_(sink) {}

  base::Result<Summary> write();

 private:
  base::Status collect();
  void collect(const cap::Capability& capability);
  u32 number_of(const cap::Revocation::Switch& each) { return switches_.number_of(*each); }
  void write_shared();
  void write_file_systems();
  void write_process(Task& task);
  void write_instance(const Instance& instance);
  void write_call(Task& task);
  void write_handle(const cap::Capability& capability);
  void write_messages(const Task& task);
  void write_bonds(const Task& task);
  void write_names();
  void write_timers();
  // What is left until a deadline.
  [[nodiscard]] u64 left(u64 deadline) const {
    if (deadline == Task::never) return Task::never;
    return deadline > now_ ? deadline - now_ : 0;
  }
  [[nodiscard]] const Task* find(sched::Pid pid) const {
    const auto at = by_pid_.find(pid);
    return at == by_pid_.end() ? nullptr : at->second;
  }

  sched::Scheduler& scheduler_;
  sched::Machine& machine_;
  Objects& objects_;
  Writer to_;
  Summary summary_;
  const u64 now_ = loop::monotonic_ns();
  std::vector<Task*> tasks_;
  std::unordered_map<sched::Pid, const Task*> by_pid_;
  Numbered<runtime::Program> programs_;
  Numbered<runtime::HostFunction> functions_;
  Numbered<cap::Object> shared_;
  std::vector<std::optional<std::string>> descriptions_;  // of shared_
  Numbered<cap::Revocation::State> switches_;
  std::set<u32> with_revoker_;  // of switches_, those whose revoker is in the image
};

base::Status MachineWriter::collect() {
  machine_.table().for_each([&](Task& task) { tasks_.push_back(&task); });
  for (Task* const task : tasks_) {
    by_pid_.emplace(task->pid, task);
    const bool is_stopped =
        task->state == Process::State::runnable || task->state == Process::State::pending;
    if (ProcessParts(*task).aside() != 0 || !is_stopped || task->instance_count() != 1) {
      return Error{ErrorCode::unsupported, "process " + std::to_string(task->pid),
                   "is inside of a call that a host function makes, or has several instances"};
    }
    programs_.number_of(task->program());
    if (task->state == Process::State::pending) functions_.number_of(*task->parked_in);
    if (const cap::HandleTable* const handles = ProcessParts(*task).handles()) {
      for (const cap::Capability& each : handles->slots()) collect(each);
    }
    task->mailbox.for_each([&](const sched::Message& message) {
      if (message.parcel == nullptr) return;
      for (const cap::Capability& each : message.parcel->handles) collect(each);
    });
  }
  return {};
}

void MachineWriter::collect(const cap::Capability& capability) {
  if (capability.object == nullptr) return;
  if (capability.revocation != nullptr) {
    for (const auto& each : capability.revocation->switches()) number_of(each);
  }
  if (shared_.number_of(*capability.object) < descriptions_.size()) return;
  std::optional<std::string> description;
  if (capability.object->kind() == cap::Kind::module) {
    const auto& module = static_cast<const runtime::ModuleObject&>(*capability.object);
    const u32 number = programs_.number_of(*module.program());
    description.emplace(reinterpret_cast<const char*>(&number), sizeof number);
  } else if (capability.object->kind() == cap::Kind::revoker) {
    const auto& revoker = static_cast<const cap::Revoker&>(*capability.object);
    const u32 number = number_of(revoker.revocation()->switches().front());
    with_revoker_.insert(number);
    description.emplace(reinterpret_cast<const char*>(&number), sizeof number);
  } else {
    description = objects_.describe(capability.object);
  }
  if (description && description->size() > max_description) description.reset();
  descriptions_.push_back(std::move(description));
}

void MachineWriter::write_shared() {
  to_.bytes(image_magic);
  to_.number(image_version);
  to_.number(static_cast<u32>(programs_.items().size()));
  for (const runtime::Program* const program : programs_.items()) {
    to_.string(mod::write(program->module()));
    to_.number(static_cast<u8>(program->is_charged()));
  }
  to_.number(static_cast<u32>(functions_.items().size()));
  for (const runtime::HostFunction* const function : functions_.items()) {
    to_.string(function->module);
    to_.string(function->name);
  }
  // What somebody else can take away, nobody could any more.
  to_.number(static_cast<u32>(switches_.items().size()));
  for (u32 i = 0; i < switches_.items().size(); ++i) {
    const cap::Revocation::State& state = *switches_.items()[i];
    const bool is_left = state.has_revoker.load(std::memory_order_acquire);
    const bool is_cut = is_left && !with_revoker_.contains(i);
    to_.number(static_cast<u8>(is_cut || state.is_revoked.load(std::memory_order_acquire)));
  }
  to_.number(static_cast<u32>(descriptions_.size()));
  for (usize i = 0; i < descriptions_.size(); ++i) {
    const std::optional<std::string>& description = descriptions_[i];
    to_.number(description ? static_cast<u8>(shared_.items()[i]->kind()) : u8{0});
    to_.string(description ? *description : "");
  }
  write_file_systems();
  to_.number(machine_.cpu_time());
  to_.number(scheduler_.next_timer_id(machine_));
  const std::vector<u32> generations = machine_.table().generations();
  to_.number(static_cast<u32>(generations.size()));
  to_.bytes({reinterpret_cast<const u8*>(generations.data()), generations.size() * sizeof(u32)});
}

void MachineWriter::write_file_systems() {
  const std::vector<std::string> names = objects_.file_systems();
  to_.number(static_cast<u32>(names.size()));
  for (const std::string& name : names) {
    to_.string(name);
    PiecesSink pieces(to_);
    Writer inner(pieces);
    objects_.write_file_system(name, inner);
    inner.flush();
    if (!inner.status()) to_.fail(inner.status().error());
    pieces.end();
    ++summary_.file_systems;
  }
}

void MachineWriter::write_handle(const cap::Capability& capability) {
  if (capability.object == nullptr) {
    to_.number(none);
    return;
  }
  const u32 number = shared_.number_of(*capability.object);
  ++summary_.handles;
  if (!descriptions_[number]) ++summary_.lost_handles;
  to_.number(number);
  to_.number(capability.rights);
  const auto switches = capability.revocation == nullptr
                            ? std::span<const cap::Revocation::Switch>()
                            : capability.revocation->switches();
  to_.number(static_cast<u8>(switches.size()));
  for (const auto& each : switches) to_.number(number_of(each));
  std::string facet;
  if (capability.facet != nullptr) facet = objects_.describe(*capability.facet);
  to_.string(facet.size() > max_description ? std::string_view() : facet);
}

void MachineWriter::write_process(Task& task) {
  ++summary_.processes;
  if (task.is_main) summary_.main = task.pid;
  const bool is_pending = task.state == Process::State::pending;
  const bool is_canceled = is_pending && (task.ends == Process::Ends::canceled ||
                                          (task.ends == Process::Ends::completion &&
                                           !task.parked_in->restartable && !task.is_unbegun));
  if (is_canceled) ++summary_.canceled_calls;
  if (is_pending && !is_canceled) ++summary_.restarted_calls;
  u8 flags = 0;
  const auto flag = [&flags](u8 bit, bool is_set) { flags |= is_set ? bit : 0; };
  flag(flag_main, task.is_main);
  flag(flag_traps_exits, task.traps_exits);
  flag(flag_counts_fuel, task.counts_fuel());
  flag(flag_pending, is_pending);
  flag(flag_tail_call, task.parked == Process::Parked::tail_call);
  flag(flag_canceled, is_canceled);
  flag(flag_paid, task.saved.paid);
  to_.number(task.pid);
  to_.number(task.parent);
  to_.number(flags);

  const runtime::Limits& limits = task.limits();
  to_.number(limits.memory_bytes);
  to_.number(limits.stack_bytes);
  to_.number(limits.table_elements);
  to_.number(limits.handles);
  to_.number(limits.fuel.value_or(0));
  to_.number(task.counts_fuel() ? task.fuel() : i64{0});
  const sched::MailboxLimits& mailbox = task.terms->mailbox;
  const Task::Rare* const rare = task.found_rare();
  to_.number(mailbox.messages);
  to_.number(mailbox.bytes);
  to_.number(mailbox.handles);
  to_.number(static_cast<u8>(mailbox.overflow));
  to_.number(task.weight);
  to_.number(task.Node::priority);
  to_.number(task.length());
  to_.number(task.cpu);
  to_.number(task.terms->cpu_limit);
  to_.number(rare == nullptr ? 0 : rare->next_reference);
  to_.number(is_pending ? left(task.deadline) : Task::never);
  if (!task.has_later()) {
    to_.number(u32{0});
  } else {
    const Task::Later& later = *rare->later;
    const auto functions = std::span(later.functions).subspan(later.next);
    to_.number(static_cast<u32>(functions.size()));
    for (const u32 function : functions) to_.number(function);
    to_.number(static_cast<u32>(later.arguments.size()));
    to_.slots(later.arguments);
  }

  to_.number(task.instance_count());
  write_instance(task.instance());
  write_call(task);
  const cap::HandleTable* const handles = ProcessParts(task).handles();
  const auto open = handles == nullptr ? std::span<const cap::Capability>() : handles->slots();
  to_.number(static_cast<u32>(open.size()));
  for (const cap::Capability& each : open) write_handle(each);
  write_messages(task);
  write_bonds(task);
}

void MachineWriter::write_instance(const Instance& instance) {
  const mod::Module& module = instance.program->module();
  to_.number(programs_.number_of(*instance.program));
  for (const runtime::GlobalCell& cell : instance.globals) to_.number(cell.low);
  const usize segments = module.elems.size() + module.datas.size();
  for (usize i = 0; i < segments; ++i) to_.number(static_cast<u8>(instance.dropped.test(i)));
  for (const runtime::Table* const table : instance.tables) {
    to_.number(table->elements.size());
    to_.slots({table->elements.begin(), table->elements.end()});
  }
  for (const runtime::Memory* const memory : instance.memories) {
    to_.number(memory->size());
    summary_.memory_bytes += memory->size();
    summary_.stored_bytes += write_pages(to_, *memory);
  }
}

void MachineWriter::write_call(Task& task) {
  const Process::Saved& saved = task.saved;
  const bool is_pending = task.state == Process::State::pending;
  to_.number(is_pending ? functions_.number_of(*task.parked_in) : none);
  to_.number(task.current().index);
  to_.number(is_pending ? task.host_caller->index : none);
  to_.number(saved.fp);
  to_.number(saved.pc);
  to_.number(saved.bulk);
  const u64 slots = used_slots(*task.current().program, task);
  to_.number(slots);
  to_.slots({task.stack(), slots});
}

void MachineWriter::write_messages(const Task& task) {
  u32 count = 0;
  task.mailbox.for_each([&](const sched::Message&) { ++count; });
  summary_.messages += count;
  to_.number(count);
  task.mailbox.for_each([&](const sched::Message& message) {
    to_.number(message.sender);
    to_.number(message.reference);
    to_.number(message.tag);
    to_.number(message.size);
    to_.number(static_cast<u8>(message.handle_count()));
    to_.bytes({message.bytes(), message.size});
    if (message.parcel == nullptr) return;
    for (const cap::Capability& each : message.parcel->handles) write_handle(each);
  });
}

// A link is written by the one with the smaller number, a monitor by who watches: so they are
// mutual by themselves. One to a process that has ended says nothing any more.
void MachineWriter::write_bonds(const Task& task) {
  std::vector<sched::Pid> links;
  std::vector<std::tuple<u64, sched::Pid, sched::Tag>> watching;
  if (task.relations != nullptr) {
    for (const sched::Pid other : task.relations->links) {
      if (task.pid < other && find(other) != nullptr) links.push_back(other);
    }
    for (const auto& [reference, watch] : task.relations->watching) {
      if (find(watch.pid) != nullptr) watching.emplace_back(reference, watch.pid, watch.tag);
    }
  }
  std::ranges::sort(links);
  std::ranges::sort(watching);
  to_.number(static_cast<u32>(links.size()));
  for (const sched::Pid other : links) to_.number(other);
  to_.number(static_cast<u32>(watching.size()));
  for (const auto& [reference, other, tag] : watching) {
    to_.number(reference);
    to_.number(other);
    to_.number(tag);
  }
}

void MachineWriter::write_names() {
  std::vector<std::pair<std::string_view, sched::Pid>> names;
  for (const auto& [name, pid] : scheduler_.names(machine_)) {
    if (find(pid) != nullptr) names.emplace_back(name, pid);
  }
  std::ranges::sort(names);
  to_.number(static_cast<u32>(names.size()));
  for (const auto& [name, pid] : names) {
    to_.string(name);
    to_.number(pid);
  }
}

void MachineWriter::write_timers() {
  const std::span<const sched::Timer> timers = scheduler_.timers(machine_);
  to_.number(static_cast<u32>(timers.size()));
  for (const sched::Timer& timer : timers) {
    to_.number(timer.task->pid);
    to_.number(left(timer.deadline));
    to_.number(timer.id);
    to_.number(timer.tag);
    to_.number(timer.value);
  }
}

base::Result<Summary> MachineWriter::write() {
  if (base::Status collected = collect(); !collected) return collected.error();
  write_shared();
  if (!to_.status()) return to_.status().error();
  to_.number(static_cast<u32>(tasks_.size()));
  for (Task* const task : tasks_) {
    write_process(*task);
    if (!to_.status()) return to_.status().error();
  }
  write_names();
  write_timers();
  to_.number(end_mark);
  to_.flush();
  if (!to_.status()) return to_.status().error();
  return summary_;
}

}  // namespace

base::Result<Summary> write(sched::Scheduler& scheduler, sched::Machine& machine, Objects& objects,
                            Sink& sink) {
  if (!machine.is_paused()) {
    return Error{ErrorCode::usage, machine.options().name, "is not paused"};
  }
  scheduler.finish_jobs(machine, loop::monotonic_ns() + most_for_jobs);
  scheduler.freeze(machine);
  const struct Thaw {
    sched::Scheduler& scheduler;
    sched::Machine& machine;
    ~Thaw() { scheduler.thaw(machine); }
  } thaw{scheduler, machine};
  try {
    return MachineWriter(scheduler, machine, objects, sink).write();
  } catch (const std::bad_alloc&) {
    return Error{ErrorCode::limit, machine.options().name, "the host has no memory to write it"};
  }
}

}  // namespace atollvm::snapshot
