// Messages between guests and the embedding program.
#include <atoll/machine.hpp>

#include <algorithm>
#include <cstring>
#include <utility>

#include "atoll/embed/tasks.hpp"

namespace atollvm {

namespace {

using sched::MessagePtr;
using sched::Tag;
using Bound = sched::Scheduler::Bound;
using Sent = sched::Scheduler::Sent;

static_assert(any_tag == sched::tag_any && exit_tag == sched::tag_exit &&
              down_tag == sched::tag_down);

// Of messages that are looked at while senders wait.
constexpr u32 search_budget = 4096;

Error has_ended(const ProcessEnd& end) {
  return {ErrorCode::usage, "", "the mailbox has ended: " + end.text()};
}

Error no_machine_memory() { return {ErrorCode::limit, "", "the machine has no memory for it"}; }

Result<std::monostate> send_from(sched::Scheduler& scheduler, const sched::Machine& machine,
                                 Pid from, Pid to, Tag tag, std::string_view bytes,
                                 std::span<const Grant> grants) {
  if (tag < 0 || bytes.size() > sched::max_message_bytes ||
      grants.size() > sched::max_message_handles) {
    return Error{ErrorCode::usage, "",
                 "a message has a tag of 0 or more, at most 16 MiB, and at most 8 grants"};
  }
  MessagePtr message(sched::Message::make(static_cast<u32>(bytes.size())));
  if (message == nullptr) return Error{ErrorCode::limit, "", "the host has no memory for it"};
  message->sender = from;
  message->tag = tag;
  if (!bytes.empty()) std::memcpy(message->bytes(), bytes.data(), bytes.size());
  if (!grants.empty()) {
    auto parcel = std::make_unique<sched::Parcel>(nullptr);
    for (const Grant& each : grants) {
      auto capability = Access::capability(each, machine);
      if (!capability) return std::move(capability).error();
      parcel->handles.push_back(*std::move(capability));
    }
    cap::Meter& handles = machine.account().handles;
    if (!handles.take(grants.size())) {
      return Error{ErrorCode::limit, "", "the machine has as many handles as it may have"};
    }
    parcel->charged = &handles;  // they go back with it
    message->parcel = std::move(parcel);
  }
  switch (scheduler.send(machine, to, message)) {
    case Sent::no_process:
      return Error{ErrorCode::not_found, std::to_string(to), "there is no such process"};
    case Sent::full:
    case Sent::waits:  // not without a process that could
    case Sent::too_large:
      return Error{ErrorCode::limit, std::to_string(to), "its mailbox is full"};
    case Sent::no_memory:
      return no_machine_memory();
    case Sent::yes:
      break;
  }
  return std::monostate();
}

using Account = std::shared_ptr<const cap::Account>;

Message to_public(const sched::Message& message, const Account& machine) {
  Message result;
  result.sender = message.sender;
  result.tag = message.tag;
  result.bytes.assign(reinterpret_cast<const char*>(message.bytes()), message.size);
  if (message.parcel == nullptr) return result;
  for (const cap::Capability& each : message.parcel->handles) {
    result.grants.push_back(Access::grant(each, machine));
  }
  return result;
}

}  // namespace

std::optional<EndNews> end_news(const Message& message) {
  // As Scheduler::hear() writes it.
  struct {
    u64 pid;
    u64 reference;
    u32 kind;
    u32 code;
  } info;
  if ((message.tag != exit_tag && message.tag != down_tag) || message.bytes.size() != sizeof info) {
    return std::nullopt;
  }
  std::memcpy(&info, message.bytes.data(), sizeof info);
  return EndNews{info.pid, info.reference, {static_cast<ExitReason>(info.kind), info.code}};
}

// --- The worker's side --------------------------------------------------------------------------

// It is there until Follower::finish() has had the mutex.
sched::Task& Mailbox::Impl::task() { return *scheduler->find(*machine, pid); }

MessagePtr Mailbox::Impl::take(Tag tag) {
  while (true) {
    sched::Table::Held held = scheduler->find(*machine, pid);
    sched::Mailbox& mailbox = held->mailbox;
    if (mailbox.has_news()) {
      mailbox.collect();
      changed.notify_all();  // others may wait for what came with it
    }
    mailbox.settle(machine->account().memory, /*ahead=*/true);
    if (std::exchange(searched, tag) != tag) mailbox.rewind();
    // Held all the time: the process waits, so that senders may touch what else is its own.
    u32 budget = search_budget;
    MessagePtr taken;
    if (mailbox.find(tag, budget) != nullptr) taken = mailbox.take();
    if (taken == nullptr && budget == 0) continue;
    if (held->has_line.load()) {
      scheduler->call_senders(std::move(held), /*idle=*/taken == nullptr, nullptr);
    }
    return taken;
  }
}

runtime::Outcome Mailbox::Impl::turn(sched::Task& running) {
  using Kind = runtime::Outcome::Kind;
  const runtime::Outcome waiting{Kind::waiting, runtime::Trap::unreachable, 0};
  if (!options.on_message) {
    const std::lock_guard guard(mutex);
    const sched::Table::Held held = scheduler->find(*machine, pid);
    running.mailbox.collect();
    changed.notify_all();
    return waiting;
  }
  const runtime::Worker& worker = *running.worker();
  do {
    MessagePtr message;
    {
      const std::lock_guard guard(mutex);
      if (is_dropped || (message = take(any_tag)) == nullptr) return waiting;
      is_called = true;
    }
    struct Return {
      Impl& mailbox;
      ~Return() {
        const std::lock_guard guard(mailbox.mutex);
        mailbox.is_called = false;
        mailbox.changed.notify_all();
      }
    } const at_end{*this};
    try {
      const Message given = to_public(*message, machine->shared_account());
      message.reset();
      Mailbox view(std::static_pointer_cast<Impl>(self), /*owns=*/false);
      options.on_message(view, given);
    } catch (const std::exception& error) {
      HostState::of_worker().message = error.what();
      return {Kind::trapped, runtime::Trap::host_error, 0};
    } catch (...) {
      return {Kind::trapped, runtime::Trap::host_error, 0};
    }
  } while (!worker.preempt.load() && !running.dying.load());
  return {Kind::rested, runtime::Trap::unreachable, 0};
}

// --- The program's side -------------------------------------------------------------------------

Mailbox::~Mailbox() {
  if (impl_ == nullptr || !owns_) return;
  impl_->kill({sched::ExitKind::normal, 0});
  std::unique_lock lock(impl_->mutex);
  impl_->is_dropped = true;
  if (!is_on_worker()) impl_->changed.wait(lock, [&] { return !impl_->is_called; });
}
Mailbox::Mailbox(Mailbox&& other) noexcept = default;
Mailbox& Mailbox::operator=(Mailbox&& other) noexcept {
  std::swap(impl_, other.impl_);
  std::swap(owns_, other.owns_);
  return *this;
}

Pid Mailbox::pid() const { return impl_->pid; }

Result<std::monostate> Mailbox::send(Pid to, std::int32_t tag, std::string_view bytes,
                                     std::span<const Grant> grants) {
  const std::lock_guard guard(impl_->mutex);
  if (impl_->has_ended) return has_ended(impl_->end);
  return send_from(*impl_->scheduler, *impl_->machine, impl_->pid, to, tag, bytes, grants);
}

Result<Message> Mailbox::receive(std::int32_t tag) {
  if (is_on_worker()) return waits_on_worker("receive()");
  auto received = receive_for(std::chrono::nanoseconds::max(), tag);
  if (!received) return std::move(received).error();
  return **std::move(received);
}

Result<std::optional<Message>> Mailbox::receive_for(std::chrono::nanoseconds timeout,
                                                    std::int32_t tag) {
  if (impl_->options.on_message) {
    return Error{ErrorCode::usage, "", "its messages go to its on_message function"};
  }
  if (is_on_worker()) timeout = std::chrono::nanoseconds(0);
  Account machine;  // its handles go back to that
  MessagePtr message;
  {
    std::unique_lock lock(impl_->mutex);
    wait_until(impl_->changed, lock, timeout,
               [&] { return impl_->has_ended || (message = impl_->take(tag)) != nullptr; });
    if (message == nullptr) {
      if (impl_->has_ended) return has_ended(impl_->end);
      return std::optional<Message>();
    }
    machine = impl_->machine->shared_account();
  }
  return std::optional(to_public(*message, machine));
}

Result<std::monostate> Mailbox::link(Pid pid) {
  const std::lock_guard guard(impl_->mutex);
  if (impl_->has_ended) return has_ended(impl_->end);
  sched::Scheduler& scheduler = *impl_->scheduler;
  Bound bound = scheduler.link(impl_->task(), pid);
  if (bound == Bound::no_process) {
    bound =
        scheduler.signal(*impl_->machine, impl_->pid, pid, {sched::ExitKind::noproc, 0}, nullptr);
  }
  if (bound == Bound::no_memory) return no_machine_memory();
  return std::monostate();
}

void Mailbox::unlink(Pid pid) {
  const std::lock_guard guard(impl_->mutex);
  if (!impl_->has_ended) impl_->scheduler->unlink(impl_->task(), pid);
}

Result<std::uint64_t> Mailbox::monitor(Pid pid) {
  const std::lock_guard guard(impl_->mutex);
  if (impl_->has_ended) return has_ended(impl_->end);
  sched::Task& task = impl_->task();
  const u64 reference = ++task.rare().next_reference;
  switch (impl_->scheduler->monitor(task, pid, reference, down_tag)) {
    case Bound::no_memory:
      return no_machine_memory();
    case Bound::too_many:
      return Error{ErrorCode::limit, "", "the mailbox has too many monitors"};
    default:
      return reference;
  }
}

void Mailbox::demonitor(std::uint64_t reference) {
  const std::lock_guard guard(impl_->mutex);
  if (!impl_->has_ended) impl_->scheduler->demonitor(impl_->task(), reference);
}

std::optional<ProcessEnd> Mailbox::end() const {
  const std::lock_guard guard(impl_->mutex);
  if (!impl_->has_ended) return std::nullopt;
  return impl_->end;
}

Result<Mailbox> Machine::open_mailbox(const MailboxOptions& options) {
  Impl& impl = *impl_;
  if (auto error = impl.refuses(options.weight, options.priority)) return *std::move(error);
  sched::Spawn what;
  what.limits.handles = options.handles;
  what.mailbox = to_internal(options.limits);
  what.weight = options.weight;
  what.priority = options.priority;
  auto made = std::make_shared<Mailbox::Impl>(options);
  const auto pid = Follower::spawn(made, impl.scheduler(), *impl.machine, what);
  if (!pid) return to_public(pid.error());
  {
    const sched::Table::Held held = impl.scheduler().find(*impl.machine, *pid);
    if (held) held->traps_exits = options.traps_exits;
  }
  return Mailbox(std::move(made), /*owns=*/true);
}

Result<std::monostate> Machine::send(Pid to, std::int32_t tag, std::string_view bytes,
                                     std::span<const Grant> grants) {
  return send_from(impl_->scheduler(), *impl_->machine, 0, to, tag, bytes, grants);
}

}  // namespace atollvm
