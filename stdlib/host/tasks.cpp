// Processes, messages, names and timers.
#include "stdlib/host/tasks.hpp"

#include <string.h>

#include <algorithm>
#include <array>

#include "scheduler/core/scheduler.hpp"
#include "stdlib/host/support.hpp"
#include "vm/runtime/module_object.hpp"

namespace atollvm::host {
namespace {

using sched::ExitKind;
using sched::MessagePtr;
using sched::Pid;
using sched::Scheduler;
using sched::Tag;
using sched::Task;

// A search of a long mailbox goes on in the next turn after so many messages.
constexpr u32 search_budget = 4096;
constexpr u32 max_name = 255;
constexpr u32 max_arguments = 255;

sched::Worker* worker_of(const HostContext& context) {
  return static_cast<sched::Worker*>(context.process().worker()->core);
}
Task& task_of(const HostContext& context) { return static_cast<Task&>(context.process()); }

// The running process and what runs it. Only where is_scheduled().
struct Caller {
  explicit Caller(const HostContext& context)
      : worker(*worker_of(context)), scheduler(worker.scheduler()), task(task_of(context)) {}
  sched::Worker& worker;
  Scheduler& scheduler;
  Task& task;

  [[nodiscard]] sched::Machine& machine() const { return *task.machine; }
  // Its place in the table, held.
  [[nodiscard]] sched::Table::Held own() const { return machine().table().hold(task, task.pid); }
};

template <class T>
bool load(const HostContext& context, u64 address, T& value) {
  if (address > UINT32_MAX) return false;  // behind something at the end of a full memory
  const auto bytes = context.memory(static_cast<u32>(address), sizeof value);
  if (bytes) memcpy(&value, bytes->data(), sizeof value);
  return bytes.has_value();
}

std::optional<std::string> name_at(const HostContext& context, u32 address, u32 size,
                                   Errno& error) {
  const auto bytes = context.memory(address, size);
  if (!bytes) {
    error = Errno::fault;
    return std::nullopt;
  }
  if (size == 0 || size > max_name) {
    error = Errno::inval;
    return std::nullopt;
  }
  return std::string(reinterpret_cast<const char*>(bytes->data()), size);
}

// The handles whose numbers are at `address`, as many as there is room for in `numbers`. They stay
// where they are.
std::optional<Errno> read_handles(const HostContext& context, u32 address,
                                  std::span<cap::Handle> numbers) {
  if (numbers.empty()) return std::nullopt;
  const auto bytes = context.memory(address, static_cast<u32>(numbers.size_bytes()));
  if (!bytes) return Errno::fault;
  memcpy(numbers.data(), bytes->data(), bytes->size());
  for (const cap::Handle number : numbers) {
    if (context.handles().find(number) == nullptr) return Errno::badf;
  }
  std::vector<cap::Handle> sorted(numbers.begin(), numbers.end());
  std::sort(sorted.begin(), sorted.end());
  if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end()) return Errno::badf;
  return std::nullopt;
}

// Bytes of messages that are copied at once; of a process that is to stop, fewer.
constexpr u32 piece = 32 << 10;
constexpr u32 last_piece = 4 << 10;

// Copies from where the call before this one stopped. False: the process has to stop first, and
// makes the call anew.
bool copy_on(const Caller& caller, u8* to, const u8* from, u32 size) {
  if (size <= last_piece && !caller.task.transfers()) {
    memcpy(to, from, size);
    return true;
  }
  u32& done = caller.task.rare().transferred;
  while (done < size) {
    const bool stops = caller.worker.limit.load(std::memory_order_relaxed) == nullptr;
    const u32 count = std::min(size - done, stops ? last_piece : piece);
    memcpy(to + done, from + done, count);
    done += count;
    if (stops && done < size) {
      caller.task.yields = true;
      return false;
    }
  }
  done = 0;
  return true;
}

// What a call comes to that has sent nothing.
HostResult not_sent(const HostContext& context, Scheduler::Sent why) {
  using Sent = Scheduler::Sent;
  switch (why) {
    case Sent::waits:
      return HostResult::waiting();
    case Sent::full:
      return context.error32(Errno::again);
    case Sent::no_memory:
      return context.error32(Errno::nomem);
    case Sent::too_large:
      return context.error32(Errno::toobig);
    default:
      return context.error32(Errno::srch);
  }
}

// A message of so many bytes, copied in pieces, one a call. Nothing: it is all in `message`.
[[gnu::noinline]] std::optional<HostResult> copy_in_pieces(const HostContext& context,
                                                           const Caller& caller,
                                                           std::span<const u8> bytes,
                                                           u32 handle_count, MessagePtr& message) {
  cap::Meter& memory = caller.machine().account().memory;
  const u32 size = static_cast<u32>(bytes.size());
  if (!caller.task.transfers()) {
    // Not copied for nothing each time that it is tried.
    const auto room = caller.scheduler.look_for_room(caller.task, context.arg_u64(0),
                                                     sched::Message::load_of(size, handle_count));
    if (room != Scheduler::Sent::yes) return not_sent(context, room);
    message.reset(sched::Message::make(size));
    if (message == nullptr) return context.error32(Errno::nomem);
  } else {
    message = std::move(caller.task.rare().draft);
    memory.give(message->charge());
  }
  if (copy_on(caller, message->bytes(), bytes.data(), size)) return std::nullopt;
  // Many could wait with such a one.
  if (!memory.take(message->charge())) {
    caller.task.rare().transferred = 0;
    caller.task.yields = false;
    return context.error32(Errno::nomem);
  }
  caller.task.rare().draft = std::move(message);
  return HostResult::waiting();
}

HostResult try_to_send(const HostContext& context, const Caller& caller, u32 handles,
                       u32 handle_count) {
  const Tag tag = context.arg_i32(1);
  const auto bytes = context.memory(context.arg_u32(2), context.arg_u32(3));
  if (!bytes) return context.error32(Errno::fault);
  if (tag < 0 || handle_count > sched::max_message_handles) return context.error32(Errno::inval);
  if (bytes->size() > sched::max_message_bytes) return context.error32(Errno::toobig);
  std::array<cap::Handle, sched::max_message_handles> room;
  const std::span<cap::Handle> numbers(room.data(), handle_count);
  if (handle_count != 0) {
    if (const auto error = read_handles(context, handles, numbers)) return context.error32(*error);
  }
  MessagePtr message;
  if (bytes->size() > last_piece) {
    const auto stopped = copy_in_pieces(context, caller, *bytes, handle_count, message);
    if (stopped) return *stopped;
  } else {
    message.reset(sched::Message::make(static_cast<u32>(bytes->size())));
    if (message == nullptr) return context.error32(Errno::nomem);
    memcpy(message->bytes(), bytes->data(), bytes->size());
  }
  message->sender = caller.task.pid;
  message->tag = tag;
  if (handle_count != 0) {
    message->parcel = std::make_unique<sched::Parcel>(&caller.machine().account().handles);
    for (const cap::Handle number : numbers) {
      message->parcel->handles.push_back(*context.handles().find(number));
    }
  }
  const auto sent = caller.scheduler.send(caller.machine(), context.arg_u64(0), message,
                                          &caller.worker, &caller.task);
  if (sent == Scheduler::Sent::yes) {
    for (const cap::Handle number : numbers) context.handles().hand_over(number);
    return context.result_i32(0);
  }
  // They are charged to the sender as before.
  if (message->parcel != nullptr) message->parcel->charged = nullptr;
  return not_sent(context, sent);
}

HostResult send(HostContext& context, u32 handles, u32 handle_count) {
  if (!is_scheduled(context)) return context.error32(Errno::nosys);
  const Caller caller(context);
  const HostResult result = try_to_send(context, caller, handles, handle_count);
  if (caller.task.in_line.load(std::memory_order_relaxed) != sched::InLine::no) [[unlikely]] {
    if (result.status != HostResult::Status::waiting) {
      caller.scheduler.leave_line(caller.task, &caller.worker);
    }
  }
  return result;
}

// The call is over, however it ends.
HostResult received(const HostContext& context, Task& task, i32 result) {
  task.deadline = Task::never;
  task.waits_for_message = false;
  return context.result_i32(result);
}
HostResult received(const HostContext& context, Task& task, Errno error) {
  return received(context, task, -static_cast<i32>(error));
}

HostResult timed_out(const HostContext& context, const Caller& caller) {
  sched::Mailbox& mailbox = caller.task.mailbox;
  if (caller.task.terms->mailbox.overflow == sched::Overflow::oldest) {
    const sched::Table::Held own = caller.own();
    mailbox.rewind();
  } else {
    mailbox.rewind();
  }
  return received(context, caller.task, Errno::timedout);
}

// Others may have waited for the room that a message took, or that a search has left.
void call_senders(const Caller& caller, bool idle) {
  Task& task = caller.task;
  if (!task.has_line.load(std::memory_order_relaxed)) return;
  if (!idle && task.takes_left != 0) {
    --task.takes_left;
    return;
  }
  task.takes_left = caller.scheduler.call_senders(caller.own(), idle, &caller.worker);
}

// Where the guest wants it. `handles`: their numbers, once they are the receiver's.
void write_info(const HostContext& context, const sched::Message& message,
                std::span<const cap::Handle> handles) {
  const u32 at = context.arg_u32(4);
  if (at == 0) return;
  GuestMessageInfo info{};
  info.sender = message.sender;
  info.tag = message.tag;
  info.size = message.size;
  info.handle_count = message.handle_count();
  std::copy(handles.begin(), handles.end(), info.handles);
  memcpy(context.memory(at, sizeof info)->data(), &info, sizeof info);
}

// Where a message stays, as it can't be taken.
HostResult refuse_message(const HostContext& context, Task& task, const sched::Message& message,
                          Errno why) {
  write_info(context, message, {});
  task.mailbox.rewind();
  return received(context, task, why);
}

// What find() gave goes `to` where the guest wants it. `held` is the receiver where others may
// remove messages as well, else nothing.
HostResult give_message(const HostContext& context, const Caller& caller,
                        const sched::Message& message, std::span<u8> to, sched::Table::Held& held) {
  Task& task = caller.task;
  const bool has_info = context.arg_u32(4) != 0;
  if (message.size > to.size()) return refuse_message(context, task, message, Errno::range);
  if (message.parcel != nullptr && has_info) {
    // Without a MessageInfo nobody would know their numbers: they are closed with the message.
    const u32 open = task.handles().open_count();
    const u32 left = task.limits().handles - std::min(task.limits().handles, open);
    if (left < message.handle_count()) {
      return refuse_message(context, task, message, Errno::mfile);
    }
  }
  // Where others may remove it, all is copied at once, below.
  const bool is_alone = !held;
  if (is_alone && !copy_on(caller, to.data(), message.bytes(), message.size)) {
    return HostResult::waiting();
  }
  const MessagePtr taken = task.mailbox.take();
  held.release();
  call_senders(caller, /*idle=*/false);
  if (has_info) {
    std::array<cap::Handle, sched::max_message_handles> handles;
    const u32 handle_count = message.handle_count();
    for (u32 i = 0; i < handle_count; ++i) {
      handles[i] = std::get<cap::Handle>(task.handles().adopt(message.parcel->handles[i]));
      ++message.parcel->moved;
    }
    write_info(context, message, std::span(handles).first(handle_count));
  }
  if (!is_alone && message.size != 0) memcpy(to.data(), message.bytes(), message.size);
  return received(context, task, static_cast<i32>(message.size));
}

HostResult monitor(HostContext& context, Tag tag) {
  if (!is_scheduled(context)) return context.error64(Errno::nosys);
  const Caller caller(context);
  const u64 reference = ++caller.task.rare().next_reference;
  switch (caller.scheduler.monitor(caller.task, context.arg_u64(0), reference, tag)) {
    case Scheduler::Bound::too_many:
      return context.error64(Errno::again);
    case Scheduler::Bound::no_memory:
      return context.error64(Errno::nomem);
    default:
      return context.result_i64(static_cast<i64>(reference));
  }
}

}  // namespace

u64 deadline_after(i64 ns) {
  const u64 now = loop::monotonic_ns();
  return now + std::min(static_cast<u64>(ns), Task::never - 1 - now);
}

bool is_scheduled(const HostContext& context) { return worker_of(context) != nullptr; }

std::shared_ptr<cap::Account> account_of(const HostContext& context) {
  return is_scheduled(context) ? task_of(context).machine->shared_account() : nullptr;
}

bool is_alone(const HostContext& context) {
  if (!is_scheduled(context)) return true;
  const Caller caller(context);
  return caller.scheduler.is_alone(caller.machine());
}

HostResult sleep_until(HostContext& context, u64 deadline) {
  Task& task = task_of(context);
  if (task.deadline == Task::never) {
    task.deadline = deadline;
    return HostResult::waiting();
  }
  if (task.deadline > loop::monotonic_ns()) return HostResult::waiting();
  task.deadline = Task::never;
  return context.result_i32(0);
}

HostResult find_entry(const HostContext& context, const runtime::Program& program, u32 address,
                      u32 size) {
  const auto bytes = context.memory(address, size);
  if (!bytes) return context.error32(Errno::fault);
  const auto index = program.find_export(
      {reinterpret_cast<const char*>(bytes->data()), bytes->size()}, mod::ExternKind::function);
  if (!index || *index < program.imported_functions()) return context.error32(Errno::noent);
  return context.result_i32(static_cast<i32>(*index));
}

HostResult call_process_self(Environment&, HostContext& context) {
  if (!is_scheduled(context)) return context.error64(Errno::nosys);
  return context.result_i64(static_cast<i64>(task_of(context).pid));
}

HostResult call_process_parent(Environment&, HostContext& context) {
  if (!is_scheduled(context)) return context.error64(Errno::nosys);
  return context.result_i64(static_cast<i64>(task_of(context).parent));
}

HostResult call_entry_find(Environment&, HostContext& context) {
  return find_entry(context, context.process().program(), context.arg_u32(0), context.arg_u32(1));
}

HostResult call_spawn(Environment&, HostContext& context) {
  if (!is_scheduled(context)) return context.error64(Errno::nosys);
  const Caller caller(context);
  Task& parent = caller.task;
  const u32 entry = context.arg_u32(0);
  const u32 count = context.arg_u32(2);
  GuestSpawnOptions options{};
  if (context.arg_u32(3) != 0 && !load(context, context.arg_u32(3), options)) {
    return context.error64(Errno::fault);
  }
  GuestSpawnMore more{};
  if ((options.flags & spawn_more) != 0 &&
      !load(context, context.arg_u32(3) + u64{sizeof options}, more)) {
    return context.error64(Errno::fault);
  }
  GuestSpawnRates rates{};
  constexpr u64 before_rates = sizeof options + sizeof more + sizeof(GuestSpawnModule);
  if ((options.flags & spawn_rates) != 0 &&
      !load(context, context.arg_u32(3) + before_rates, rates)) {
    return context.error64(Errno::fault);
  }
  const runtime::Instance* like = &parent.instance();
  if ((options.flags & spawn_module) != 0) {
    cap::Handle handle = 0;
    if (!load(context, context.arg_u32(3) + u64{sizeof options + sizeof more}, handle)) {
      return context.error64(Errno::fault);
    }
    const auto module = context.handles().find(handle, Kind::module, cap::right_read);
    if (const Errno* error = error_of(module)) return context.error64(*error);
    like = &static_cast<const runtime::ModuleObject&>(*std::get<0>(module)->object).like();
  }
  const runtime::Program& program = *like->program;
  if (count > max_arguments) return context.error64(Errno::inval);
  const auto bytes = context.memory(context.arg_u32(1), count * 8);
  if (!bytes) return context.error64(Errno::fault);
  if (entry < program.imported_functions() || entry >= program.functions().size()) {
    return context.error64(Errno::inval);
  }
  const mod::FuncType& type = program.module().types[program.type_of(entry)];
  if (type.params.size() != count || (options.flags & ~spawn_flags) != 0 ||
      options.overflow > static_cast<u32>(sched::Overflow::wait) || options.weight < 0 ||
      options.priority < -1 || options.priority > policy::max_priority) {
    return context.error64(Errno::inval);
  }
  std::array<runtime::Slot, max_arguments> arguments;
  memcpy(arguments.data(), bytes->data(), bytes->size());
  for (u32 i = 0; i < count; ++i) {
    const mod::ValType each = type.params[i];
    if (each == mod::ValType::i32 || each == mod::ValType::f32) {
      arguments[i] = static_cast<u32>(arguments[i]);
    } else if (each != mod::ValType::i64 && each != mod::ValType::f64) {
      return context.error64(Errno::inval);
    }
  }

  sched::Spawn spawn{.like = like, .limits = parent.limits()};  // the limits in their place
  std::array<u32, 3> functions;
  usize stages = 0;
  if (const auto start = program.module().start) functions[stages++] = *start;
  if (const auto initialize = program.initializer()) functions[stages++] = *initialize;
  functions[stages++] = entry;
  spawn.functions = std::span(functions).first(stages);
  spawn.arguments = std::span(arguments).first(count);
  // A child can't get more than its parent may have.
  const auto lower = [](u64& limit, u64 wanted) {
    if (wanted != 0) limit = std::min(limit, wanted);
  };
  lower(spawn.limits.memory_bytes, options.memory);
  lower(spawn.limits.stack_bytes, options.stack);
  if (options.handle_limit != 0) {
    spawn.limits.handles = std::min(spawn.limits.handles, options.handle_limit);
  }
  // Where fuel is counted it is the parent's own that it passes on.
  if (parent.counts_fuel()) {
    const i64 left = std::max<i64>(parent.fuel(), 0);
    const u64 given = options.fuel == 0 ? static_cast<u64>(left) / 2 : options.fuel;
    if (given > static_cast<u64>(left)) return context.error64(Errno::inval);
    spawn.limits.fuel = given;
  } else if (options.fuel != 0) {
    spawn.limits.fuel = options.fuel;
  }
  spawn.io = parent.io_limit();
  lower(spawn.io.bytes, more.io_bytes);
  lower(spawn.io.operations, more.io_operations);
  spawn.io_rate = parent.io_rate();
  lower(spawn.io_rate.bytes, rates.io_bytes_rate);
  lower(spawn.io_rate.operations, rates.io_operations_rate);
  spawn.memory = parent.memory_strategy();
  spawn.mailbox = parent.terms->mailbox;
  if (options.mailbox_messages != 0) {
    spawn.mailbox.messages = std::min(spawn.mailbox.messages, options.mailbox_messages);
  }
  lower(spawn.mailbox.bytes, options.mailbox_bytes);
  spawn.mailbox.overflow = static_cast<sched::Overflow>(options.overflow);
  spawn.cpu_limit = parent.terms->cpu_limit;
  lower(spawn.cpu_limit, options.time);
  if (options.weight != 0) spawn.weight = static_cast<u32>(options.weight);
  spawn.priority =
      options.priority <= 0 ? parent.Node::priority : static_cast<u8>(options.priority);
  spawn.parent = parent.pid;
  spawn.link = (options.flags & spawn_link) != 0;
  if ((options.flags & spawn_monitor) != 0) spawn.monitor = ++parent.rare().next_reference;
  std::vector<cap::Handle> numbers;
  if (options.handle_count != 0) {
    if (options.handle_count > spawn.limits.handles) return context.error64(Errno::mfile);
    // More than are open would not be different ones.
    if (options.handle_count > context.handles().open_count()) return context.error64(Errno::badf);
    numbers.resize(options.handle_count);
    if (const auto error = read_handles(context, options.handles, numbers)) {
      return context.error64(*error);
    }
  }
  if ((options.flags & spawn_stdio) != 0) {
    for (cap::Handle number = 0; number < 4; ++number) {
      const cap::Capability* const own = context.handles().find(number);
      if (own == nullptr) return context.error64(Errno::badf);
      spawn.handles.push_back(*own);
    }
  }
  for (const cap::Handle number : numbers) {
    spawn.handles.push_back(*context.handles().find(number));
  }
  if (spawn.handles.size() > spawn.limits.handles) return context.error64(Errno::mfile);
  // What is moved has been charged; the others are further ones.
  cap::Charge copies(&caller.machine().account().handles, spawn.handles.size() - numbers.size());
  if (!copies) return context.error64(Errno::nfile);
  spawn.handles_are_paid = true;
  const bool counts_fuel = parent.counts_fuel();
  const auto pid = caller.scheduler.spawn(caller.machine(), spawn, &caller.worker);
  if (!pid) {
    if (pid.error().code != base::ErrorCode::limit) return context.error64(Errno::inval);
    return context.error64(caller.machine().is_full() ? Errno::again : Errno::nomem);
  }
  if (counts_fuel) parent.set_fuel(parent.fuel() - static_cast<i64>(*spawn.limits.fuel));
  copies.keep();
  for (const cap::Handle number : numbers) context.handles().hand_over(number);
  return context.result_i64(static_cast<i64>(*pid));
}

HostResult call_process_send(Environment&, HostContext& context) { return send(context, 0, 0); }

HostResult call_process_send_handles(Environment&, HostContext& context) {
  return send(context, context.arg_u32(4), context.arg_u32(5));
}

HostResult call_receive(Environment&, HostContext& context) {
  if (!is_scheduled(context)) return context.error32(Errno::nosys);
  const Caller caller(context);
  Task& task = caller.task;
  const Tag tag = context.arg_i32(0);
  const u32 info_at = context.arg_u32(4);
  // Memory never shrinks, so what is there now is there when the message has come.
  const auto to = context.memory(context.arg_u32(1), context.arg_u32(2));
  if (!to || (info_at != 0 && !context.memory(info_at, sizeof(GuestMessageInfo)))) {
    return context.error32(Errno::fault);
  }
  sched::Mailbox& mailbox = task.mailbox;
  const auto collect = [&] {
    mailbox.collect();
    mailbox.settle(caller.machine().account().memory, /*ahead=*/true);
  };
  // Senders may remove messages too: then nothing is the receiver's alone.
  const bool is_alone = task.terms->mailbox.overflow != sched::Overflow::oldest;
  sched::Table::Held held = is_alone ? sched::Table::Held() : caller.own();
  if (!is_alone) collect();
  u32 budget = search_budget;
  const sched::Message* found = mailbox.find(tag, budget);
  if (found == nullptr && is_alone && budget != 0 && mailbox.has_news()) {
    {
      const sched::Table::Held own = caller.own();
      collect();
    }
    found = mailbox.find(tag, budget);
  }
  if (found != nullptr) return give_message(context, caller, *found, *to, held);
  held.release();
  if (budget == 0) {
    task.yields = true;
    return HostResult::waiting();
  }
  const i64 timeout = context.arg_i64(3);
  if (timeout == 0) {
    call_senders(caller, /*idle=*/true);  // else they are when it parks
    return timed_out(context, caller);
  }
  if (timeout > 0) {
    if (task.deadline == Task::never) {
      task.deadline = deadline_after(timeout);
    } else if (task.deadline <= loop::monotonic_ns()) {
      return timed_out(context, caller);
    }
  }
  task.waits_for_message = true;
  task.wanted = tag;
  return HostResult::waiting();
}

HostResult call_process_yield(Environment&, HostContext& context) {
  context.result_i32(0);
  return HostResult::rest();
}

HostResult call_process_link(Environment&, HostContext& context) {
  if (!is_scheduled(context)) return context.error32(Errno::nosys);
  const Caller caller(context);
  const Pid other = context.arg_u64(0);
  auto bound = caller.scheduler.link(caller.task, other);
  if (bound == Scheduler::Bound::no_process) {
    bound = caller.scheduler.signal(caller.machine(), caller.task.pid, other, {ExitKind::noproc, 0},
                                    &caller.worker);
  }
  return context.error32(bound == Scheduler::Bound::no_memory ? Errno::nomem : Errno::success);
}

HostResult call_process_unlink(Environment&, HostContext& context) {
  if (!is_scheduled(context)) return context.error32(Errno::nosys);
  const Caller caller(context);
  caller.scheduler.unlink(caller.task, context.arg_u64(0));
  return context.result_i32(0);
}

HostResult call_process_monitor(Environment&, HostContext& context) {
  return monitor(context, sched::tag_down);
}

HostResult call_process_monitor_as(Environment&, HostContext& context) {
  const Tag tag = context.arg_i32(1);
  return tag < 0 ? context.error64(Errno::inval) : monitor(context, tag);
}

HostResult call_process_demonitor(Environment&, HostContext& context) {
  if (!is_scheduled(context)) return context.error32(Errno::nosys);
  const Caller caller(context);
  caller.scheduler.demonitor(caller.task, context.arg_u64(0));
  return context.result_i32(0);
}

HostResult call_process_trap_exit(Environment&, HostContext& context) {
  if (!is_scheduled(context)) return context.error32(Errno::nosys);
  const Caller caller(context);
  const sched::Table::Held own = caller.own();
  const bool before = std::exchange(own->traps_exits, context.arg_u32(0) != 0);
  return context.result_i32(before ? 1 : 0);
}

HostResult call_process_exit(Environment&, HostContext& context) {
  if (!is_scheduled(context)) return context.error32(Errno::nosys);
  const Caller caller(context);
  const u32 code = context.arg_u32(1);
  const sched::Exit why{code == 0 ? ExitKind::normal : ExitKind::code, code};
  switch (caller.scheduler.signal(caller.machine(), context.arg_u64(0), caller.task.pid, why,
                                  &caller.worker)) {
    case Scheduler::Bound::no_process:
      return context.error32(Errno::srch);
    case Scheduler::Bound::no_memory:
      return context.error32(Errno::nomem);
    default:
      return context.result_i32(0);
  }
}

HostResult call_process_kill(Environment&, HostContext& context) {
  if (!is_scheduled(context)) return context.error32(Errno::nosys);
  const Caller caller(context);
  const bool found = caller.scheduler.kill(caller.machine(), context.arg_u64(0),
                                           {ExitKind::killed, 0}, &caller.worker);
  return found ? context.result_i32(0) : context.error32(Errno::srch);
}

HostResult call_name_register(Environment&, HostContext& context) {
  if (!is_scheduled(context)) return context.error32(Errno::nosys);
  const Caller caller(context);
  Errno error{};
  auto name = name_at(context, context.arg_u32(0), context.arg_u32(1), error);
  if (!name) return context.error32(error);
  switch (caller.scheduler.name(caller.machine(), *std::move(name), context.arg_u64(2))) {
    case Scheduler::Named::taken:
      return context.error32(Errno::exist);
    case Scheduler::Named::no_process:
      return context.error32(Errno::srch);
    case Scheduler::Named::too_many:
      return context.error32(Errno::again);
    case Scheduler::Named::no_memory:
      return context.error32(Errno::nomem);
    case Scheduler::Named::yes:
      break;
  }
  return context.result_i32(0);
}

HostResult call_name_unregister(Environment&, HostContext& context) {
  if (!is_scheduled(context)) return context.error32(Errno::nosys);
  const Caller caller(context);
  Errno error{};
  const auto name = name_at(context, context.arg_u32(0), context.arg_u32(1), error);
  if (!name) return context.error32(error);
  const bool found = caller.scheduler.unname(caller.machine(), *name);
  return found ? context.result_i32(0) : context.error32(Errno::noent);
}

HostResult call_name_find(Environment&, HostContext& context) {
  if (!is_scheduled(context)) return context.error64(Errno::nosys);
  const Caller caller(context);
  Errno error{};
  const auto name = name_at(context, context.arg_u32(0), context.arg_u32(1), error);
  if (!name) return context.error64(error);
  const Pid pid = caller.scheduler.find(caller.machine(), *name);
  return pid != 0 ? context.result_i64(static_cast<i64>(pid)) : context.error64(Errno::noent);
}

HostResult call_process_info(Environment&, HostContext& context) {
  if (!is_scheduled(context)) return context.error32(Errno::nosys);
  const Caller caller(context);
  const auto to = context.memory(context.arg_u32(1), sizeof(GuestProcessInfo));
  if (!to) return context.error32(Errno::fault);
  GuestProcessInfo info{};
  {
    const sched::Table::Held held = caller.scheduler.find(caller.machine(), context.arg_u64(0));
    if (!held) return context.error32(Errno::srch);
    const sched::Census census = held->census(held->pid == caller.task.pid);
    info.pid = held->pid;
    info.parent = held->parent;
    info.state = static_cast<u32>(held->phase_now());
    info.priority = held->Node::priority;
    info.weight = held->policy::Entry::weight;
    info.links = held->relations == nullptr ? 0 : static_cast<u32>(held->relations->links.size());
    info.messages = held->mailbox.messages();
    info.handles = census.handles;
    info.mailbox_bytes = held->mailbox.bytes();
    info.memory = census.memory_bytes;
    info.stack = census.stack_bytes;
    info.cpu = census.cpu;
    info.traps_exits = held->traps_exits ? 1 : 0;
  }
  memcpy(to->data(), &info, sizeof info);
  return context.result_i32(0);
}

HostResult call_timer_start(Environment&, HostContext& context) {
  if (!is_scheduled(context)) return context.error64(Errno::nosys);
  const Caller caller(context);
  const i64 ns = static_cast<i64>(context.arg_u64(0));
  const Tag tag = context.arg_i32(1);
  if (ns < 0 || tag < 0) return context.error64(Errno::inval);
  const u64 id =
      caller.scheduler.start_timer(caller.task, deadline_after(ns), tag, context.arg_u64(2));
  return id != 0 ? context.result_i64(static_cast<i64>(id)) : context.error64(Errno::again);
}

HostResult call_timer_cancel(Environment&, HostContext& context) {
  if (!is_scheduled(context)) return context.error32(Errno::nosys);
  const Caller caller(context);
  const bool found = caller.scheduler.cancel_timer(caller.task, context.arg_u64(0));
  return found ? context.result_i32(0) : context.error32(Errno::noent);
}

}  // namespace atollvm::host
