// Reading. All that comes is an attacker's until it is checked; nothing of the machine is touched
// before all of it was.
#include <string.h>

#include <algorithm>
#include <set>
#include <unordered_set>

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
using runtime::Slot;
using sched::Pid;
using sched::Table;
using sched::Task;

namespace {

constexpr usize max_program = 1 << 30;  // bytes
// Bytes of the host that a machine may take beside what its limits are about: programs, places,
// objects, file systems, links and monitors. Packed, they could be a million times smaller than
// here.
constexpr u64 max_beside = u64{1} << 30;
constexpr u64 bond_bytes = 160;  // of a link or monitor, at both ends
constexpr u64 revoker_bytes = 256;
constexpr u32 max_programs = 1 << 16;
constexpr u32 max_file_systems = 1 << 16;
constexpr usize max_arguments = 255;         // as a guest can give to spawn
constexpr u32 max_functions = 3;             // start, initializer, entry
constexpr u64 max_number = INT64_MAX;        // of what counts up, so that it doesn't wrap
constexpr i64 least_fuel = -(i64{1} << 40);  // more than any block of code can lack

// What is behind a handle whose object can't come back. Of no kind, so no call takes it.
class LostObject final : public cap::Object {
 public:
  LostObject() : Object(cap::Kind{}) {}
};

// The number of something else in the image, which is all that such a description is.
u32 number_in(std::string_view description) {
  u32 number = none;
  if (description.size() == sizeof number) memcpy(&number, description.data(), sizeof number);
  return number;
}

class MachineReader {
 public:
  MachineReader(sched::Scheduler& scheduler, sched::Machine& machine, Objects& objects,
                const Bounds& bounds, Source& source)
      : scheduler_(scheduler),
        machine_(machine),
        objects_(objects),
        bounds_(bounds),
        from_(source) {}

  base::Result<Summary> read();

 private:
  void read_programs();
  void read_functions();
  void read_revokers();
  void read_objects();
  void read_file_systems();
  std::shared_ptr<cap::Object> module_object(std::string_view description);
  void read_table();
  void read_process();
  std::unique_ptr<Task> read_task();
  void read_later(Task& task);
  void read_instance(Task& task);
  void read_table(Task& task, runtime::Table& table);
  void read_memory(Task& task, runtime::Memory& memory);
  void read_call(Task& task, u8 flags);
  void refill_table(Task& task, const StoppedCall& call);
  cap::Capability read_capability(u32 number);
  std::shared_ptr<const cap::Revocation> read_revocation();
  void read_handles(Task& task);
  void read_messages(Task& task);
  void read_bonds(Task& task);
  void read_names();
  void read_timers();

  // Takes its part of what all processes may have together.
  bool take(u64& left, u64 amount, const char* what) {
    if (amount > left) {
      from_.fail(ErrorCode::limit, std::string("more ") + what + " than the machine may have");
      return false;
    }
    left -= amount;
    return true;
  }
  bool take_beside(u64 bytes, const char* what) { return take(beside_left_, bytes, what); }
  bool take_memory(u64 bytes) { return take(memory_left_, bytes, "memory"); }
  [[nodiscard]] Task* find(Pid pid) const {
    const u32 index = static_cast<u32>(pid);
    Task* const found = index < places_.size() ? places_[index] : nullptr;
    return found != nullptr && found->pid == pid ? found : nullptr;
  }
  // When what is left from now on will have passed.
  [[nodiscard]] u64 deadline(u64 left) const {
    return left >= Task::never - now_ ? Task::never - 1 : now_ + left;
  }

  struct Program {
    explicit Program(std::shared_ptr<const runtime::Program> program) : code(std::move(program)) {}
    CodeMap code;
    const Instance* first = nullptr;
    std::shared_ptr<cap::Object> module;  // of handles to it; null: none yet
    u64 least_memory = 0;                 // of an instance
  };
  struct Shared {
    cap::Kind kind{};
    std::string description;
    std::shared_ptr<cap::Object> object;  // null: not asked for yet
    cap::Rights rights = cap::rights_all;
  };
  struct Link {
    Pid from;
    Pid to;
  };
  struct Monitor {
    Pid from;
    Pid to;
    u64 reference;
    sched::Tag tag;
  };

  sched::Scheduler& scheduler_;
  sched::Machine& machine_;
  Objects& objects_;
  const Bounds& bounds_;
  Reader from_;
  const u64 now_ = loop::monotonic_ns();
  u64 memory_left_ = bounds_.memory_bytes;
  u64 beside_left_ = max_beside;
  u64 handles_left_ = bounds_.handles;
  u64 fuel_left_ = bounds_.fuel;
  Summary summary_;
  std::vector<std::unique_ptr<Program>> programs_;
  std::vector<const CodeMap*> codes_;  // of the process's instances
  std::vector<const runtime::HostFunction*> functions_;
  std::vector<std::shared_ptr<cap::Revoker>> revokers_;
  std::vector<Shared> shared_;
  sched::MachineState state_;
  std::vector<Task*> places_;
  std::vector<Link> links_;
  std::vector<Monitor> monitors_;
};

// --- What processes share -----------------------------------------------------------------

void MachineReader::read_programs() {
  const u32 count = from_.number<u32>();
  from_.check(count <= max_programs, "more programs than can be");
  for (u32 i = 0; from_.ok() && i < count; ++i) {
    from_.where = "program " + std::to_string(i);
    const std::string bytes = from_.string(max_program);
    if (!from_.ok() || !take_beside(bytes.size(), "programs")) return;
    const u8 charged = from_.number<u8>();
    if (!from_.check(charged <= 1, "no such state of a program")) return;
    auto module = mod::read({reinterpret_cast<const u8*>(bytes.data()), bytes.size()});
    if (!module) return from_.fail(module.error().code, module.error().text());
    auto verified = verify::verify(*std::move(module));
    if (!verified) return from_.fail(verified.error().code, verified.error().text());
    std::optional<cap::LastingCharge> charge;
    if (charged == 1) {
      charge.emplace(machine_.shared_account(), runtime::footprint(**verified));
      if (!*charge) return from_.fail(ErrorCode::limit, "more memory than the machine may have");
    }
    programs_.push_back(
        std::make_unique<Program>(runtime::Program::make(*std::move(verified), std::move(charge))));
    Program& program = *programs_.back();
    const mod::Module& made = program.code.program().module();
    for (const mod::Table& table : made.tables) {
      program.least_memory += table.type.size.min * sizeof(u64);
    }
    program.least_memory += made.globals.size() * sizeof(runtime::GlobalCell);
  }
}

void MachineReader::read_functions() {
  from_.where = "host functions";
  const u32 count = from_.number<u32>();
  from_.check(count <= machine_.options().more_host.size() + machine_.options().host.size(),
              "more host functions than there are");
  for (u32 i = 0; from_.ok() && i < count; ++i) {
    const std::string module = from_.string(max_description);
    const std::string name = from_.string(max_description);
    const runtime::HostFunction* found = nullptr;
    for (const auto& functions : {machine_.options().more_host, machine_.options().host}) {
      for (const runtime::HostFunction& each : functions) {
        if (found == nullptr && each.module == module && each.name == name) found = &each;
      }
    }
    if (from_.ok() && found == nullptr) {
      from_.fail(ErrorCode::not_found, "a call waits in a function that is not there");
    }
    functions_.push_back(found);
  }
}

void MachineReader::read_revokers() {
  from_.where = "revokers";
  const u32 count = from_.number<u32>();
  for (u32 i = 0; from_.ok() && i < count; ++i) {
    const u8 revoked = from_.number<u8>();
    if (!from_.check(revoked <= 1, "no such state of a revoker")) return;
    if (!take_beside(revoker_bytes, "revokers")) return;
    revokers_.push_back(std::make_shared<cap::Revoker>());
    if (revoked == 1) revokers_.back()->revoke();
  }
}

// What a handle depends on; null: nothing.
std::shared_ptr<const cap::Revocation> MachineReader::read_revocation() {
  const u8 count = from_.number<u8>();
  if (count == 0) return nullptr;
  from_.check(count <= cap::Revocation::max_switches, "a handle that depends on too many revokers");
  std::vector<cap::Revocation::Switch> switches;
  for (u8 i = 0; from_.ok() && i < count; ++i) {
    const u32 number = from_.number<u32>();
    if (!from_.check(number < revokers_.size(), "no such revoker")) return nullptr;
    switches.push_back(revokers_[number]->revocation()->switches().front());
  }
  if (!take_beside(sizeof(cap::Revocation) + count * sizeof(switches[0]), "revokers"))
    return nullptr;
  return std::make_shared<const cap::Revocation>(std::move(switches));
}

void MachineReader::read_objects() {
  from_.where = "objects";
  const u32 count = from_.number<u32>();
  for (u32 i = 0; from_.ok() && i < count; ++i) {
    Shared& shared = shared_.emplace_back();
    const u8 kind = from_.number<u8>();
    shared.kind = static_cast<cap::Kind>(kind);
    shared.description = from_.string(max_description);
    if (!take_beside(sizeof(Shared) + sizeof(LostObject) + shared.description.size(), "objects")) {
      return;
    }
    if (kind == 0) shared.object = std::make_shared<LostObject>();
    if (shared.kind == cap::Kind::module) shared.object = module_object(shared.description);
    if (shared.kind == cap::Kind::revoker) {
      const u32 number = number_in(shared.description);
      if (!from_.check(number < revokers_.size(), "a revoker that is none")) return;
      shared.object = revokers_[number];
    }
    from_.check((kind & (kind - 1)) == 0, "an object of several kinds");
  }
}

void MachineReader::read_file_systems() {
  from_.where = "file systems";
  const u32 count = from_.number<u32>();
  from_.check(count <= max_file_systems, "more file systems than can be");
  std::set<std::string> names;
  for (u32 i = 0; from_.ok() && i < count; ++i) {
    from_.where = "file system " + std::to_string(i);
    std::string name = from_.string(max_description);
    if (!take_beside(name.size() + sizeof(name) + 64, "file systems")) return;
    PiecesSource pieces(from_);
    Reader inner(pieces);
    inner.where = from_.where;
    const base::Take take = [&](u64 bytes) {
      if (!take_beside(bytes, "file systems")) inner.fail(ErrorCode::limit, "too much");
      return inner.ok();
    };
    const bool is_new = names.insert(name).second;
    if (!from_.check(is_new, "two of one name")) return;
    const bool is_there = objects_.read_file_system(name, inner, take);
    if (!inner.ok()) {
      from_.where = inner.where;
      from_.fail(inner.status().error().code, inner.status().error().message);
    }
    from_.check(!is_there || !pieces.next(), "something else follows");
    pieces.skip();
    ++summary_.file_systems;
    if (!is_there) ++summary_.lost_file_systems;
  }
}

// Null: not of a program.
std::shared_ptr<cap::Object> MachineReader::module_object(std::string_view description) {
  const u32 number = number_in(description);
  if (!from_.check(number < programs_.size(), "a module that is no program")) return nullptr;
  Program& program = *programs_[number];
  if (program.module != nullptr) return program.module;
  const sched::Machine::Options& machine = machine_.options();
  auto made = runtime::ModuleObject::make(program.code.shared(), machine.host, machine.more_host);
  // Lost where something that it imports is not there.
  if (made) {
    program.module = *std::move(made);
  } else {
    program.module = std::make_shared<LostObject>();
  }
  return program.module;
}

void MachineReader::read_table() {
  from_.where = "machine";
  state_.cpu_time = from_.number<u64>();
  state_.next_timer_id = from_.number<u64>();
  from_.check(state_.cpu_time <= max_number && state_.next_timer_id - 1 < max_number,
              "a number that would wrap");
  const u32 count = from_.number<u32>();
  if (!from_.check(count <= Table::max_processes, "more processes than there can be")) return;
  if (!take_beside(u64{count} * (sizeof(Table::Place) + sizeof(u32)), "places of processes"))
    return;
  state_.generations = from_.numbers<u32>(count);
  for (const u32 each : state_.generations) {
    if (!from_.check(each - 1 <= Table::last_generation, "a place that was never used")) return;
  }
  places_.resize(state_.generations.size());
}

// --- Processes ----------------------------------------------------------------------------

void MachineReader::read_process() {
  std::unique_ptr<Task> made = read_task();
  if (made == nullptr) return;
  Task& task = *made;
  ++summary_.processes;
  if (task.is_main) summary_.main = task.pid;
  places_[static_cast<u32>(task.pid)] = &task;
  state_.tasks.push_back(std::move(made));
}

std::unique_ptr<Task> MachineReader::read_task() {
  const Pid pid = from_.number<u64>();
  const Pid parent = from_.number<u64>();
  const u8 flags = from_.number<u8>();
  if (!from_.ok()) return nullptr;
  from_.where = "process " + std::to_string(pid);
  const u32 index = static_cast<u32>(pid);
  from_.check(index < places_.size() && state_.generations[index] == pid >> 32 &&
                  pid >> 32 <= Table::last_generation && places_[index] == nullptr,
              "a number that is no process's, or another one's");
  from_.check((flags & ~flags_all) == 0, "unknown flags");
  from_.check((flags & flag_main) == 0 || summary_.main == 0, "a second main process");

  const runtime::Limits& most = bounds_.process;
  runtime::Options options;
  runtime::Limits& limits = options.limits;
  limits.memory_bytes = std::min(from_.number<u64>(), most.memory_bytes);
  limits.stack_bytes = std::min(from_.number<u64>(), most.stack_bytes);
  limits.table_elements = std::min(from_.number<u64>(), most.table_elements);
  limits.handles = std::min(from_.number<u32>(), most.handles);
  const u64 fuel_limit = from_.number<u64>();
  const i64 fuel = from_.number<i64>();
  const bool counts_fuel = (flags & flag_counts_fuel) != 0;
  if (counts_fuel) {
    limits.fuel = std::min(fuel_limit, most.fuel.value_or(~u64{0}));
    from_.check(fuel >= least_fuel, "less fuel than can be");
    take(fuel_left_, static_cast<u64>(std::max<i64>(fuel, 0)), "fuel");
  } else if (most.fuel) {
    from_.fail(ErrorCode::limit, "does not count its fuel, as it must here");
  }
  options.io = bounds_.io;
  options.io_rate = bounds_.io_rate;
  options.memory = bounds_.memory;
  options.host = machine_.options().host;
  options.more_host = machine_.options().more_host;
  sched::MailboxLimits mailbox;
  mailbox.messages = std::min(from_.number<u32>(), bounds_.mailbox_messages);
  mailbox.bytes = std::min(from_.number<u64>(), bounds_.mailbox_bytes);
  mailbox.handles = std::min(from_.number<u32>(), limits.handles);
  const u8 overflow = from_.number<u8>();
  from_.check(overflow <= static_cast<u8>(sched::Overflow::wait), "no such overflow rule");
  mailbox.overflow = static_cast<sched::Overflow>(overflow);
  if (!from_.ok()) return nullptr;

  sched::Terms terms{mailbox, bounds_.cpu_limit};
  const u32 weight = from_.number<u32>();
  const u8 priority = from_.number<u8>();
  const u64 length = from_.number<u64>();
  const u64 cpu = from_.number<u64>();
  terms.cpu_limit = std::min(from_.number<u64>(), terms.cpu_limit);
  const u64 next_reference = from_.number<u64>();
  from_.check(cpu <= max_number && next_reference <= max_number, "a number that would wrap");
  if (!from_.ok()) return nullptr;

  auto made = std::make_unique<Task>(options, terms, machine_.common_terms(terms), machine_);
  Task& task = *made;
  task.pid = pid;
  task.parent = parent;
  task.is_main = (flags & flag_main) != 0;
  task.traps_exits = (flags & flag_traps_exits) != 0;
  if (counts_fuel) task.set_fuel(fuel);
  task.set_weight(weight);
  task.Node::priority = std::min(priority, policy::max_priority);
  task.set_length(length);
  task.cpu = cpu;
  if (next_reference != 0) task.rare().next_reference = next_reference;
  const u64 left = from_.number<u64>();
  if ((flags & flag_pending) != 0 && left != Task::never) task.deadline = deadline(left);
  read_later(task);
  if (from_.number<u32>() != 1) {
    from_.fail(ErrorCode::unsupported, "has several instances");
  }
  if (from_.ok()) read_instance(task);
  if (from_.ok()) read_call(task, flags);
  if (from_.ok()) read_handles(task);
  if (from_.ok()) read_messages(task);
  if (from_.ok()) read_bonds(task);
  return from_.ok() ? std::move(made) : nullptr;
}

// What these are, prepare() looks at when their time has come.
void MachineReader::read_later(Task& task) {
  const u32 count = from_.number<u32>();
  if (count == 0) return;
  if (!from_.check(count <= max_functions, "more functions to call than can be")) return;
  auto later = std::make_unique<Task::Later>();
  later->functions = from_.numbers<u32>(count);
  const u32 arguments = from_.number<u32>();
  if (!from_.check(arguments <= max_arguments, "more arguments than can be")) return;
  later->arguments = from_.numbers<Slot>(arguments);
  task.rare().later = std::move(later);
}

void MachineReader::read_instance(Task& task) {
  const u32 number = from_.number<u32>();
  if (!from_.check(number < programs_.size(), "no such program")) return;
  Program& program = *programs_[number];
  codes_.assign({&program.code});
  if (!take_memory(program.least_memory)) return;
  const auto added = ProcessParts(task).add_bare_instance(program.code.shared(), program.first);
  if (!added) return from_.fail(added.error().code, added.error().text());
  Instance& instance = task.instance(*added);
  if (program.first == nullptr) program.first = &instance;
  const mod::Module& module = instance.program->module();
  for (runtime::GlobalCell& cell : instance.globals) cell = {from_.number<u64>(), 0};
  const usize segments = module.elems.size() + module.datas.size();
  for (usize i = 0; i < segments; ++i) {
    const u8 dropped = from_.number<u8>();
    from_.check(dropped <= 1, "no such state of a segment");
    if (dropped == 1) instance.dropped.set(i);
  }
  for (runtime::Table* const table : instance.tables) read_table(task, *table);
  for (runtime::Memory* const memory : instance.memories) read_memory(task, *memory);
}

void MachineReader::read_table(Task& task, runtime::Table& table) {
  constexpr u64 piece = 1 << 13;
  const u64 size = from_.number<u64>();
  if (!from_.check(size >= table.elements.size(), "a table below its least size")) return;
  const auto bytes = [&](u64 at, u64 count) {
    return std::span(reinterpret_cast<u8*>(table.elements.data() + at), count * sizeof(u64));
  };
  if (!from_.bytes(bytes(0, table.elements.size()))) return;
  while (from_.ok() && table.elements.size() < size) {
    const u64 at = table.elements.size();
    const u64 count = std::min(piece, size - at);
    if (!take_memory(count * sizeof(u64))) return;
    if (!task.reserve_table(table, count)) {
      return from_.fail(ErrorCode::limit, "a table above its limit");
    }
    from_.bytes(bytes(at, count));
    table.elements.extend(count);
  }
}

void MachineReader::read_memory(Task& task, runtime::Memory& memory) {
  const u64 size = from_.number<u64>();
  const u8 shift = memory.type().page_shift;
  if (!from_.check(size >= memory.size() && size >> shift << shift == size,
                   "a memory of a size that it can't have")) {
    return;
  }
  if (!take_memory(size)) return;
  const u64 more = (size - memory.size()) >> shift;
  if (more != 0 && task.grow_memory(memory, more) < 0) {
    return from_.fail(ErrorCode::limit, "a memory above its limit");
  }
  summary_.memory_bytes += size;
  summary_.stored_bytes += read_pages(from_, memory);
}

void MachineReader::read_call(Task& task, u8 flags) {
  StoppedCall call;
  const u32 function = from_.number<u32>();
  call.instance = from_.number<u32>();
  const u32 host_caller = from_.number<u32>();
  call.fp = from_.number<u64>();
  call.pc = from_.number<u32>();
  call.bulk = from_.number<u64>();
  call.paid = (flags & flag_paid) != 0;
  const bool is_pending = (flags & flag_pending) != 0;
  const bool is_canceled = (flags & flag_canceled) != 0;
  const bool is_tail = (flags & flag_tail_call) != 0;
  from_.check(is_pending || (!is_canceled && !is_tail), "a flag of calls that are under way");
  from_.check(is_pending ? function < functions_.size() && host_caller < task.instance_count()
                         : function == none && host_caller == none,
              "no such host function, or no such instance that called it");
  if (is_pending && from_.ok()) {
    call.parked = is_tail ? Process::Parked::tail_call : Process::Parked::call;
    call.parked_in = functions_[function];
  }
  ProcessParts parts(task);
  const u64 count = from_.number<u64>();
  if (count > parts.most_stack_slots()) {
    return from_.fail(ErrorCode::limit, "a stack above its limit");
  }
  call.slots = from_.numbers<Slot>(count);
  if (!from_.ok()) return;
  std::string wrong;
  const u64 needed = check_stack(call, codes_, wrong);
  if (needed == 0) return from_.invalid(std::move(wrong));
  if (needed > parts.most_stack_slots()) {
    return from_.fail(ErrorCode::limit, "a stack above its limit");
  }
  if (!take_memory(needed * sizeof(Slot))) return;
  if (!parts.set_stack(call.slots, needed)) throw std::bad_alloc();
  task.saved = {.fp = call.fp, .bulk = call.bulk, .pc = call.pc, .paid = call.paid};
  task.parked = call.parked;
  task.enter(task.instance(call.instance));
  if (!is_pending) {
    task.state = Process::State::runnable;
    if (call.bulk != 0) refill_table(task, call);
    return;
  }
  task.state = Process::State::pending;
  task.parked_in = call.parked_in;
  task.ends = is_canceled ? Process::Ends::canceled : Process::Ends::again;
  task.host_caller = &task.instance(host_caller);
  ++(is_canceled ? summary_.canceled_calls : summary_.restarted_calls);
}

// What a table that is being made larger has behind its end is not in the image: it is all one.
void MachineReader::refill_table(Task& task, const StoppedCall& call) {
  const isa::Word* const word = task.current().program->code() + call.pc;
  if (isa::op_of(*word) != isa::Op::table_grow) return;
  runtime::Table& table =
      *task.current().tables[static_cast<u16>(isa::read_field(word, isa::Field::e0))];
  const Slot* const frame = call.slots.data() + call.fp;
  if (!take_memory(call.bulk * sizeof(u64))) return;
  if (!task.reserve_table(table, static_cast<u32>(frame[isa::field_c(*word)]))) {
    return from_.fail(ErrorCode::limit, "a table above its limit");
  }
  std::fill_n(table.elements.data() + table.elements.size(), call.bulk, frame[isa::field_b(*word)]);
}

// --- Handles and messages -----------------------------------------------------------------

// Of the object with this number, which was read before.
cap::Capability MachineReader::read_capability(u32 number) {
  cap::Capability capability;
  capability.rights = from_.number<u32>() & cap::rights_all;
  capability.revocation = read_revocation();
  const std::string facet = from_.string(max_description);
  from_.check(number < shared_.size(), "no such object");
  if (!from_.ok() || !take(handles_left_, 1, "handles")) return {};
  ++summary_.handles;
  Shared& shared = shared_[number];
  if (shared.object == nullptr) {
    shared.object = objects_.restore(shared.kind, shared.description, shared.rights);
    if (shared.object == nullptr) shared.object = std::make_shared<LostObject>();
  }
  capability.object = shared.object;
  capability.rights &= shared.rights;
  if (shared.object->kind() == cap::Kind{}) {
    ++summary_.lost_handles;
  } else if (shared.object->kind() != shared.kind) {
    from_.invalid("an object of another kind");
  } else if (!facet.empty() && !objects_.restore(facet, capability)) {
    from_.invalid("a handle that says what can't be said of it");
  }
  return capability;
}

void MachineReader::read_handles(Task& task) {
  const u32 count = from_.number<u32>();
  for (u32 i = 0; from_.ok() && i < count; ++i) {
    const u32 number = from_.number<u32>();
    cap::Capability capability;
    if (number != none) capability = read_capability(number);
    if (!from_.ok()) return;
    if (task.handles().append(std::move(capability)) != cap::Errno::success) {
      from_.fail(ErrorCode::limit, "more handles than it may have");
    }
  }
}

void MachineReader::read_messages(Task& task) {
  const sched::MailboxLimits& limits = task.terms->mailbox;
  const u32 count = from_.number<u32>();
  // Those of the system come whether there is room or not.
  u64 messages = 0;
  u64 system = 0;
  u64 bytes = 0;
  u64 handles = 0;
  for (u32 i = 0; from_.ok() && i < count; ++i) {
    const Pid sender = from_.number<u64>();
    const u64 reference = from_.number<u64>();
    const sched::Tag tag = from_.number<sched::Tag>();
    const u32 size = from_.number<u32>();
    const u8 handle_count = from_.number<u8>();
    from_.check(tag >= sched::tag_down, "a message with no such tag");
    if (!from_.check(size <= sched::max_message_bytes && handle_count <= sched::max_message_handles,
                     "a message larger than can be")) {
      return;
    }
    if (!take_memory(sizeof(sched::Message) + size)) return;
    sched::MessagePtr message(sched::Message::make(size));
    if (message == nullptr) throw std::bad_alloc();
    message->sender = sender;
    message->reference = reference;
    message->tag = tag;
    from_.bytes({message->bytes(), size});
    if (handle_count != 0) {
      message->parcel = std::make_unique<sched::Parcel>(nullptr);
      for (u32 k = 0; from_.ok() && k < handle_count; ++k) {
        message->parcel->handles.push_back(read_capability(from_.number<u32>()));
      }
    }
    if (tag < 0 || reference != 0) {
      from_.check(handle_count == 0, "a message of the system's with handles");
      ++system;
    } else {
      ++messages;
      bytes += message->charge();
      handles += handle_count;
    }
    if (messages > limits.messages || bytes > limits.bytes || handles > limits.handles ||
        system > u64{limits.messages} + sched::max_system_messages) {
      from_.fail(ErrorCode::limit, "more messages than it may have");
    }
    ++summary_.messages;
    if (from_.ok()) task.mailbox.append(std::move(message));
  }
}

// --- What binds processes -----------------------------------------------------------------

void MachineReader::read_bonds(Task& task) {
  const u32 links = from_.number<u32>();
  for (u32 i = 0; from_.ok() && i < links; ++i) {
    if (!take_beside(bond_bytes, "links")) return;
    links_.push_back({task.pid, from_.number<u64>()});
    from_.check(task.pid < links_.back().to, "a link that belongs to the other one");
  }
  const u32 monitors = from_.number<u32>();
  for (u32 i = 0; from_.ok() && i < monitors; ++i) {
    const u64 reference = from_.number<u64>();
    if (!take_beside(bond_bytes, "monitors")) return;
    const Pid other = from_.number<u64>();
    const sched::Tag tag = from_.number<sched::Tag>();
    monitors_.push_back({task.pid, other, reference, tag});
    from_.check(task.found_rare() != nullptr && reference - 1 < task.found_rare()->next_reference,
                "a monitor that was never asked for");
    from_.check(tag >= 0 || tag == sched::tag_down, "a monitor with no such tag");
  }
}

void MachineReader::read_names() {
  from_.where = "names";
  const u32 count = from_.number<u32>();
  for (u32 i = 0; from_.ok() && i < count; ++i) {
    std::string name = from_.string(max_name);
    const Pid pid = from_.number<u64>();
    Task* const task = find(pid);
    if (!from_.check(task != nullptr && !name.empty(), "a name of no process")) return;
    if (!from_.check(task->bound().names.size() < sched::Scheduler::max_names,
                     "more names of a process than can be")) {
      return;
    }
    task->bound().names.insert(name);
    from_.check(state_.names.emplace(std::move(name), pid).second, "a name of two processes");
  }
}

void MachineReader::read_timers() {
  from_.where = "timers";
  std::unordered_set<u64> ids;
  std::unordered_map<const Task*, usize> counts;
  const u32 count = from_.number<u32>();
  for (u32 i = 0; from_.ok() && i < count; ++i) {
    sched::Timer timer{};
    timer.task = find(from_.number<u64>());
    timer.deadline = deadline(from_.number<u64>());
    timer.id = from_.number<u64>();
    timer.tag = from_.number<sched::Tag>();
    timer.value = from_.number<u64>();
    from_.check(timer.task != nullptr, "a timer of no process");
    from_.check(timer.tag >= 0, "a timer with no such tag");
    from_.check(timer.id - 1 < state_.next_timer_id - 1 && ids.insert(timer.id).second,
                "a timer with a number that it can't have");
    if (!from_.ok()) return;
    from_.check(++counts[timer.task] <= sched::Scheduler::max_timers,
                "more timers of a process than can be");
    state_.timers.push_back(timer);
  }
}

base::Result<Summary> MachineReader::read() {
  from_.where = "start of the image";
  u8 first[sizeof image_magic];
  from_.bytes(first);
  if (from_.ok() && !std::equal(std::begin(image_magic), std::end(image_magic), first)) {
    return Error{ErrorCode::malformed, from_.where, "this is no image of a machine"};
  }
  const u32 version = from_.number<u32>();
  if (from_.ok() && version != image_version) {
    return Error{ErrorCode::unsupported, from_.where,
                 "version " + std::to_string(version) + " of images is not known"};
  }
  read_programs();
  read_functions();
  read_revokers();
  read_objects();
  if (from_.ok()) read_file_systems();
  read_table();
  const u32 count = from_.number<u32>();
  if (count > machine_.options().max_processes) {
    from_.fail(ErrorCode::limit, "more processes than the machine may have");
  }
  for (u32 i = 0; from_.ok() && i < count; ++i) read_process();
  for (const Link& each : links_) {
    from_.where = "process " + std::to_string(each.from);
    Task* const other = find(each.to);
    if (!from_.check(other != nullptr, "a link to no process")) break;
    find(each.from)->bound().links.insert(each.to);
    other->bound().links.insert(each.from);
  }
  for (const Monitor& each : monitors_) {
    from_.where = "process " + std::to_string(each.from);
    Task* const other = find(each.to);
    if (!from_.check(other != nullptr, "a monitor of no process")) break;
    const sched::Relations::Watch watch{each.to, each.tag};
    from_.check(find(each.from)->bound().watching.emplace(each.reference, watch).second,
                "two monitors with one number");
    other->bound().watchers.emplace(each.from, each.reference);
  }
  if (from_.ok()) read_names();
  if (from_.ok()) read_timers();
  from_.where = "end of the image";
  from_.check(from_.number<u32>() == end_mark, "something else follows");
  if (!from_.ok()) return from_.status().error();
  if (base::Status adopted = scheduler_.adopt(machine_, state_); !adopted) return adopted.error();
  return summary_;
}

}  // namespace

base::Result<Summary> read(sched::Scheduler& scheduler, sched::Machine& machine, Objects& objects,
                           const Bounds& bounds, Source& source) {
  try {
    return MachineReader(scheduler, machine, objects, bounds, source).read();
  } catch (const std::bad_alloc&) {
    return Error{ErrorCode::limit, machine.options().name, "the host has no memory for it"};
  }
}

}  // namespace atollvm::snapshot
