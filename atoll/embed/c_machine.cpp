// The C interface: schedulers, machines, and messages.
#include <algorithm>
#include <cstring>
#include <mutex>

#include "atoll/embed/c_api.hpp"

using namespace atollvm;
using c::attempt;
using c::guard;
using c::make_error;

struct atoll_scheduler {
  Scheduler scheduler;
};
struct atoll_machine {
  Machine machine;
};
struct atoll_mailbox {
  Mailbox mailbox;
};
struct atoll_message {
  Message message;
};
struct atoll_grant {
  Grant grant;
};
struct atoll_task {
  struct End {
    ProcessEnd end;
    std::string text;
  };

  Task task;
  mutable std::mutex mutex;
  mutable std::optional<End> end;  // never changes once it is there

  // Null: it has not ended.
  const End* look(std::chrono::nanoseconds timeout = {}) const {
    auto found = task.wait_for(timeout);
    if (!found) return nullptr;
    const std::lock_guard guard(mutex);
    if (!end) {
      std::string text = found->text();
      end.emplace(*std::move(found), std::move(text));
    }
    return &*end;
  }
};

namespace {

template <class E, class From>
constexpr bool same(E mine, From theirs) {
  return static_cast<int>(mine) == static_cast<int>(theirs);
}
static_assert(same(ATOLL_WAIT, Overflow::wait) && same(ATOLL_OLDEST, Overflow::oldest));
static_assert(same(ATOLL_END_STOPPED, ExitReason::stopped) &&
              same(ATOLL_END_TRAP, ExitReason::trap) &&
              same(ATOLL_END_MAILBOX, ExitReason::mailbox));
static_assert(ATOLL_TAG_ANY == any_tag && ATOLL_TAG_EXIT == exit_tag && ATOLL_TAG_DOWN == down_tag);
static_assert(same(2, ProcessInfo::State::waiting) && same(3, ProcessInfo::State::paused));
static_assert(sizeof(atoll_process_state) == 80 && sizeof(atoll_machine_state) == 56);

const atoll_options& given(const atoll_options* options) {
  static const atoll_options none;
  return options == nullptr ? none : *options;
}

atoll_error* no_overflow(const atoll_options& options) {
  if (options.spawn.mailbox.overflow <= Overflow::wait) return nullptr;
  return make_error(ErrorCode::usage, "there is no such overflow rule");
}

std::chrono::nanoseconds time_of(int64_t timeout) {
  return timeout < 0 ? std::chrono::nanoseconds::max() : std::chrono::nanoseconds(timeout);
}

template <class State>
void copy_out(const State& from, State* to, size_t size) {
  std::memcpy(to, &from, std::min(size, sizeof from));
}

template <class T>
atoll_error* error_of(const Result<T>& result) {
  return result ? nullptr : make_error(result.error());
}

// Gives it to `send`, which takes the bytes and grants as the C++ interface does.
template <class Send>
atoll_error* send_all(const void* bytes, size_t size, const atoll_grant* const* grants,
                      size_t grant_count, const Send& send) {
  return guard([&] {
    std::vector<Grant> all;
    for (size_t i = 0; i < grant_count; ++i) all.push_back(grants[i]->grant);
    return error_of(send(std::string_view(static_cast<const char*>(bytes), size), all));
  });
}

// A function with its environment, which is freed with the last copy.
template <class Function>
struct Callback {
  Function function;
  std::shared_ptr<void> env;
};
template <class Function>
Callback<Function> callback(Function function, void* env, void (*free_env)(void*)) {
  if (free_env == nullptr) free_env = [](void*) {};
  return {function, std::shared_ptr<void>(env, free_env)};  // frees it also when it throws
}

}  // namespace

// --- Options ------------------------------------------------------------------------------------

void atoll_options_io(atoll_options* options, uint64_t bytes, uint64_t operations) {
  options->options.limits.io_bytes = bytes;
  options->options.limits.io_operations = operations;
}
void atoll_options_io_rate(atoll_options* options, uint64_t bytes, uint64_t operations) {
  options->options.limits.io_bytes_rate = bytes;
  options->options.limits.io_operations_rate = operations;
}
void atoll_options_processes(atoll_options* options, uint32_t count) { options->processes = count; }
void atoll_options_weight(atoll_options* options, uint32_t weight) {
  options->spawn.weight = weight;
}
void atoll_options_priority(atoll_options* options, uint8_t priority) {
  options->spawn.priority = priority;
}
void atoll_options_mailbox(atoll_options* options, uint32_t messages, uint64_t bytes,
                           atoll_overflow overflow) {
  const bool known = overflow >= ATOLL_REFUSE && overflow <= ATOLL_WAIT;
  options->spawn.mailbox = {messages, bytes, static_cast<Overflow>(known ? overflow : UINT8_MAX)};
}
void atoll_options_standard_handles(atoll_options* options, bool standard) {
  options->spawn.standard_handles = standard;
}
bool atoll_options_grant(atoll_options* options, const atoll_grant* grant) {
  return attempt([&] {
    options->spawn.grants.push_back(grant->grant);
    return true;
  });
}
void atoll_options_parent(atoll_options* options, uint64_t pid, bool linked) {
  options->spawn.parent = pid;
  options->spawn.is_linked = linked;
}
bool atoll_options_on_end(atoll_options* options,
                          void (*function)(void*, uint64_t, atoll_reason, uint32_t, const char*),
                          void* env, void (*free_env)(void*)) {
  return attempt([&] {
    options->on_end = [kept = callback(function, env, free_env)](Pid pid, const ProcessEnd& end) {
      kept.function(kept.env.get(), pid, static_cast<atoll_reason>(end.exit.reason), end.exit.code,
                    end.text().c_str());
    };
    return true;
  });
}
bool atoll_options_on_message(atoll_options* options,
                              void (*function)(void*, atoll_mailbox*, const atoll_message*),
                              void* env, void (*free_env)(void*)) {
  return attempt([&] {
    options->on_message = [kept = callback(function, env, free_env)](Mailbox& mailbox,
                                                                     const Message& message) {
      atoll_mailbox view{std::move(mailbox)};
      const atoll_message copy{message};
      kept.function(kept.env.get(), &view, &copy);
    };
    return true;
  });
}
void atoll_options_traps_exits(atoll_options* options, bool traps) { options->traps_exits = traps; }

// --- Schedulers and machines --------------------------------------------------------------------

atoll_error* atoll_scheduler_new(const atoll_engine* engine, uint32_t workers, const char* policy,
                                 uint64_t slice, atoll_scheduler** scheduler) {
  return guard([&]() -> atoll_error* {
    SchedulerOptions options;
    options.workers = workers;
    if (policy != nullptr) options.policy = policy;
    constexpr uint64_t most = INT64_MAX / 1000;  // in nanoseconds
    if (slice != 0) {
      options.slice = std::chrono::microseconds(static_cast<std::int64_t>(std::min(slice, most)));
    }
    auto made = Scheduler::create(engine->engine, options);
    if (!made) return make_error(made.error());
    *scheduler = new atoll_scheduler{*std::move(made)};
    return nullptr;
  });
}
void atoll_scheduler_free(atoll_scheduler* scheduler) { delete scheduler; }
uint32_t atoll_scheduler_workers(const atoll_scheduler* scheduler) {
  return scheduler->scheduler.workers();
}

atoll_error* atoll_machine_new(const atoll_scheduler* scheduler, const atoll_options* options,
                               atoll_machine** machine) {
  return guard([&]() -> atoll_error* {
    const atoll_options& all = given(options);
    MachineOptions wanted;
    wanted.weight = all.spawn.weight;
    wanted.limits.memory_bytes = all.options.limits.memory_bytes;
    wanted.limits.processes = all.processes;
    if (all.handles) wanted.limits.handles = *all.handles;
    wanted.limits.cpu_time = all.options.limits.time;
    wanted.limits.io_bytes = all.options.limits.io_bytes;
    wanted.limits.io_operations = all.options.limits.io_operations;
    wanted.limits.io_bytes_rate = all.options.limits.io_bytes_rate;
    wanted.limits.io_operations_rate = all.options.limits.io_operations_rate;
    wanted.arguments = all.options.arguments;
    wanted.environment = all.options.environment;
    wanted.directories = all.options.directories;
    wanted.mounts = all.options.mounts;
    wanted.network = all.options.network;
    wanted.input = all.options.input;
    wanted.output = all.options.output;
    wanted.error = all.options.error;
    wanted.imports = all.options.imports;
    wanted.on_end = all.on_end;
    auto made = Machine::create(scheduler->scheduler, wanted);
    if (!made) return make_error(made.error());
    *machine = new atoll_machine{*std::move(made)};
    return nullptr;
  });
}
void atoll_machine_free(atoll_machine* machine) { delete machine; }

atoll_error* atoll_machine_spawn(atoll_machine* machine, const atoll_module* module,
                                 const char* function, const atoll_value* arguments,
                                 size_t argument_count, const atoll_options* options,
                                 atoll_task** task) {
  return guard([&]() -> atoll_error* {
    const atoll_options& all = given(options);
    if (atoll_error* const error = no_overflow(all)) return error;
    std::vector<Value> values;
    for (size_t i = 0; i < argument_count; ++i) {
      if (arguments[i].type < ATOLL_I32 || arguments[i].type > ATOLL_EXTERNREF) {
        return make_error(ErrorCode::usage, "an argument is of no atoll_type");
      }
      const auto type = static_cast<ValueType>(arguments[i].type);
      values.push_back({type, c::to_slot(arguments[i], type)});
    }
    SpawnOptions wanted = all.spawn;
    wanted.limits = all.options.limits;
    auto made =
        machine->machine.spawn(module->module, function == nullptr ? "" : function, values, wanted);
    if (!made) return make_error(made.error());
    *task = new atoll_task{*std::move(made), {}, {}};
    return nullptr;
  });
}
void atoll_task_free(atoll_task* task) { delete task; }
uint64_t atoll_task_pid(const atoll_task* task) { return task->task.pid(); }
bool atoll_task_wait(atoll_task* task, int64_t timeout) {
  return attempt([&] { return task->look(time_of(timeout)) != nullptr; });
}
bool atoll_task_kill(atoll_task* task) {
  return attempt([&] { return task->task.kill(); });
}

namespace {
const atoll_task::End* end_of(const atoll_task* task) {
  return attempt([&] { return task->look(); });
}
const TraceFrame* frame_of(const atoll_task* task, size_t frame) {
  const atoll_task::End* const end = end_of(task);
  return end != nullptr && frame < end->end.trace.size() ? &end->end.trace[frame] : nullptr;
}
}  // namespace

atoll_reason atoll_task_reason(const atoll_task* task) {
  const auto* const end = end_of(task);
  return end == nullptr ? ATOLL_END_NORMAL : static_cast<atoll_reason>(end->end.exit.reason);
}
uint32_t atoll_task_code(const atoll_task* task) {
  const auto* const end = end_of(task);
  return end == nullptr ? 0 : end->end.exit.code;
}
const char* atoll_task_text(const atoll_task* task) {
  const auto* const end = end_of(task);
  return end == nullptr ? nullptr : end->text.c_str();
}
size_t atoll_task_results(const atoll_task* task, atoll_value* results, size_t room) {
  const auto* const end = end_of(task);
  if (end == nullptr) return 0;
  const auto& all = end->end.results;
  for (size_t i = 0; i < std::min(room, all.size()); ++i) {
    results[i] = c::from_slot(all[i].bits, all[i].type);
  }
  return all.size();
}
uint64_t atoll_task_cpu_time(const atoll_task* task) {
  const auto* const end = end_of(task);
  return end == nullptr ? 0 : static_cast<uint64_t>(end->end.cpu_time.count());
}
const char* atoll_task_trace_function(const atoll_task* task, size_t frame) {
  const TraceFrame* const found = frame_of(task, frame);
  return found == nullptr ? nullptr : found->name.c_str();
}
const char* atoll_task_trace_location(const atoll_task* task, size_t frame) {
  const TraceFrame* const found = frame_of(task, frame);
  return found == nullptr ? nullptr : found->location.c_str();
}

bool atoll_machine_kill(atoll_machine* machine, uint64_t pid) {
  return attempt([&] { return machine->machine.kill(pid); });
}
atoll_error* atoll_machine_pause(atoll_machine* machine) {
  return guard([&] { return error_of(machine->machine.pause()); });
}
void atoll_machine_resume(atoll_machine* machine) { machine->machine.resume(); }
atoll_error* atoll_machine_register(atoll_machine* machine, const char* name, uint64_t pid) {
  return guard([&] { return error_of(machine->machine.register_name(name, pid)); });
}
bool atoll_machine_unregister(atoll_machine* machine, const char* name) {
  return attempt([&] { return machine->machine.unregister_name(name); });
}
uint64_t atoll_machine_find(const atoll_machine* machine, const char* name) {
  return attempt([&] { return machine->machine.find(name); });
}

bool atoll_machine_process(const atoll_machine* machine, uint64_t pid, atoll_process_state* state,
                           size_t size) {
  return attempt([&] {
    const auto found = machine->machine.info(pid);
    if (!found) return false;
    atoll_process_state all{};
    all.pid = found->pid;
    all.parent = found->parent;
    all.state = static_cast<int32_t>(found->state);
    all.mailbox = found->is_mailbox ? 1 : 0;
    all.weight = found->weight;
    all.priority = found->priority;
    all.links = found->links;
    all.cpu_time = static_cast<uint64_t>(found->cpu_time.count());
    all.memory = found->memory_bytes;
    all.stack = found->stack_bytes;
    all.mailbox_bytes = found->mailbox_bytes;
    all.messages = found->messages;
    all.handles = found->handles;
    copy_out(all, state, size);
    return true;
  });
}
size_t atoll_machine_processes(const atoll_machine* machine, uint64_t* pids, size_t room) {
  return attempt([&] {
    const auto all = machine->machine.processes();
    for (size_t i = 0; i < std::min(room, all.size()); ++i) pids[i] = all[i].pid;
    return all.size();
  });
}
void atoll_machine_look(const atoll_machine* machine, atoll_machine_state* state, size_t size) {
  const MachineInfo found = machine->machine.info();
  atoll_machine_state all{};
  all.processes = found.processes;
  all.cpu_time = static_cast<uint64_t>(found.cpu_time.count());
  all.memory = found.memory_bytes;
  all.handles = found.handles;
  all.io_bytes = found.io_bytes;
  all.io_operations = found.io_operations;
  all.paused = found.is_paused ? 1 : 0;
  copy_out(all, state, size);
}

// --- Messages -----------------------------------------------------------------------------------

atoll_error* atoll_grant_new(void* object, const void* type, void (*free_object)(void*),
                             atoll_grant** grant) {
  return c::with_object(object, type, free_object,
                        [&](std::shared_ptr<c::Object> made) -> atoll_error* {
                          *grant = new atoll_grant{Grant(std::move(made))};
                          return nullptr;
                        });
}
atoll_error* atoll_machine_grant(const atoll_machine* machine, const atoll_module* module,
                                 atoll_grant** grant) {
  return guard([&]() -> atoll_error* {
    auto made = machine->machine.grant(module->module);
    if (!made) return make_error(made.error());
    *grant = new atoll_grant{*std::move(made)};
    return nullptr;
  });
}
void atoll_grant_free(atoll_grant* grant) { delete grant; }
void* atoll_grant_object(const atoll_grant* grant, const void* type) {
  const auto found = grant->grant.object<c::Object>();
  return found == nullptr ? nullptr : found->get(type);
}

atoll_error* atoll_machine_send(atoll_machine* machine, uint64_t to, int32_t tag, const void* bytes,
                                size_t size, const atoll_grant* const* grants, size_t grant_count) {
  return send_all(bytes, size, grants, grant_count, [&](std::string_view text, const auto& all) {
    return machine->machine.send(to, tag, text, all);
  });
}

atoll_error* atoll_mailbox_new(atoll_machine* machine, const atoll_options* options,
                               atoll_mailbox** mailbox) {
  return guard([&]() -> atoll_error* {
    const atoll_options& all = given(options);
    if (atoll_error* const error = no_overflow(all)) return error;
    MailboxOptions wanted;
    wanted.limits = all.spawn.mailbox;
    if (all.handles) wanted.handles = *all.handles;
    wanted.weight = all.spawn.weight;
    wanted.priority = all.spawn.priority;
    wanted.traps_exits = all.traps_exits;
    wanted.on_message = all.on_message;
    auto made = machine->machine.open_mailbox(wanted);
    if (!made) return make_error(made.error());
    *mailbox = new atoll_mailbox{*std::move(made)};
    return nullptr;
  });
}
void atoll_mailbox_free(atoll_mailbox* mailbox) { delete mailbox; }
uint64_t atoll_mailbox_pid(const atoll_mailbox* mailbox) { return mailbox->mailbox.pid(); }

atoll_error* atoll_mailbox_send(atoll_mailbox* mailbox, uint64_t to, int32_t tag, const void* bytes,
                                size_t size, const atoll_grant* const* grants, size_t grant_count) {
  return send_all(bytes, size, grants, grant_count, [&](std::string_view text, const auto& all) {
    return mailbox->mailbox.send(to, tag, text, all);
  });
}

atoll_error* atoll_mailbox_receive(atoll_mailbox* mailbox, int32_t tag, int64_t timeout,
                                   atoll_message** message) {
  return guard([&]() -> atoll_error* {
    *message = nullptr;
    auto place = std::make_unique<atoll_message>();  // so that no message is lost for want of it
    if (timeout < 0) {
      auto received = mailbox->mailbox.receive(tag);
      if (!received) return make_error(received.error());
      place->message = *std::move(received);
    } else {
      auto received = mailbox->mailbox.receive_for(time_of(timeout), tag);
      if (!received) return make_error(received.error());
      if (!received->has_value()) return nullptr;
      place->message = **std::move(received);
    }
    *message = place.release();
    return nullptr;
  });
}

atoll_error* atoll_mailbox_link(atoll_mailbox* mailbox, uint64_t pid) {
  return guard([&] { return error_of(mailbox->mailbox.link(pid)); });
}
void atoll_mailbox_unlink(atoll_mailbox* mailbox, uint64_t pid) { mailbox->mailbox.unlink(pid); }
atoll_error* atoll_mailbox_monitor(atoll_mailbox* mailbox, uint64_t pid, uint64_t* reference) {
  return guard([&]() -> atoll_error* {
    const auto made = mailbox->mailbox.monitor(pid);
    if (!made) return make_error(made.error());
    *reference = *made;
    return nullptr;
  });
}
void atoll_mailbox_demonitor(atoll_mailbox* mailbox, uint64_t reference) {
  mailbox->mailbox.demonitor(reference);
}

void atoll_message_free(atoll_message* message) { delete message; }
uint64_t atoll_message_sender(const atoll_message* message) { return message->message.sender; }
int32_t atoll_message_tag(const atoll_message* message) { return message->message.tag; }
const uint8_t* atoll_message_bytes(const atoll_message* message) {
  return reinterpret_cast<const uint8_t*>(message->message.bytes.data());
}
size_t atoll_message_size(const atoll_message* message) { return message->message.bytes.size(); }
atoll_grant* atoll_message_grant(const atoll_message* message, size_t position) {
  if (position >= message->message.grants.size()) return nullptr;
  return attempt([&] { return new atoll_grant{message->message.grants[position]}; });
}
bool atoll_message_end(const atoll_message* message, uint64_t* pid, uint64_t* reference,
                       atoll_reason* reason, uint32_t* code) {
  const auto news = end_news(message->message);
  if (!news) return false;
  if (pid != nullptr) *pid = news->pid;
  if (reference != nullptr) *reference = news->reference;
  if (reason != nullptr) *reason = static_cast<atoll_reason>(news->exit.reason);
  if (code != nullptr) *code = news->exit.code;
  return true;
}
