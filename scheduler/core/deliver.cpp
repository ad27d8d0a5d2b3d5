// Messages on their way: from processes, and from the system about ends of others.
#include <cstring>
#include <utility>

#include "scheduler/core/scheduler.hpp"

namespace atollvm::sched {

namespace {

// What the bytes of tag_exit and tag_down messages are. Part of the guest interface.
struct ExitInfo {
  u64 pid;
  u64 reference;
  u32 kind;
  u32 code;
};
static_assert(sizeof(ExitInfo) == 24);

}  // namespace

// `must`: it is charged already, in whatever way.
Scheduler::Sent Scheduler::deliver(const Machine& machine, Pid to, MessagePtr& message, bool must,
                                   Worker* here, Task* sender) {
  Table::Held held = machine.table().find(to);
  if (!held) return Sent::no_process;
  if (!held->mailbox.has_room(*message, held->terms->mailbox)) [[unlikely]] {
    return deliver_to_full(std::move(held), message, must, here, sender);
  }
  return append(held, message, must, here);
}

// Into a mailbox that has room.
[[gnu::always_inline]] inline Scheduler::Sent Scheduler::append(Table::Held& held,
                                                                MessagePtr& message, bool must,
                                                                Worker* here) {
  Mailbox& mailbox = held->mailbox;
  if (!mailbox.pay(held->machine->account().memory, *message, must)) [[unlikely]] {
    return Sent::no_memory;
  }
  const Tag tag = message->tag;
  mailbox.append(std::move(message));
  if (held->waits_for(tag)) {
    // It does nothing now, and need not take its lock when it goes on.
    mailbox.collect();
    rouse(std::move(held), here);
  }
  return Sent::yes;
}

Scheduler::Sent Scheduler::deliver_to_full(Table::Held to, MessagePtr& message, bool must,
                                           Worker* here, Task* sender) {
  std::vector<MessagePtr> dropped;  // not under the lock: handles go with them, and may wake others
  Table::Held held = std::move(to);
  Mailbox& mailbox = held->mailbox;
  const MailboxLimits& limits = held->terms->mailbox;
  switch (limits.overflow) {
    case Overflow::refuse:
      return Sent::full;
    case Overflow::newest:
      held.release();
      message.reset();
      return Sent::yes;
    case Overflow::oldest:
      while (!mailbox.has_room(*message, limits)) {
        dropped.push_back(mailbox.take_oldest());
        // It is larger than the whole mailbox.
        if (dropped.back() == nullptr) return Sent::yes;
      }
      return append(held, message, must, here);
    case Overflow::kill:
      doom(*held, {ExitKind::mailbox, 0});
      wake(std::move(held), here);
      message.reset();
      return Sent::yes;
    case Overflow::wait:
      return sender != nullptr ? stand_in_line(held, *sender, message->load()) : Sent::full;
  }
  return Sent::full;
}

// A message of the system's to a held process. The limits of its mailbox and machine don't count;
// but one that lets too many lie can't be told any more, and must not go on as if nothing had
// happened.
void Scheduler::hear(Table::Held held, Pid from, u64 reference, Tag tag, Exit why, Worker* here) {
  MessagePtr message;
  const bool flooded = held->mailbox.is_flooded(held->terms->mailbox);
  if (!flooded) message.reset(Message::make(sizeof(ExitInfo)));
  if (message == nullptr) {
    doom(*held, {flooded ? ExitKind::mailbox : ExitKind::memory, 0});
    wake(std::move(held), here);
    return;
  }
  const ExitInfo info{from, reference, static_cast<u32>(why.kind), why.code};
  std::memcpy(message->bytes(), &info, sizeof info);
  message->tag = tag;
  message->reference = reference;
  held->mailbox.pay(held->machine->account().memory, *message, /*must=*/true);
  held->mailbox.append(std::move(message));
  if (held->waits_for(tag)) wake(std::move(held), here);
}

void Scheduler::signal(Table::Held held, Pid from, Exit why, Worker* here) {
  if (held->traps_exits) {
    hear(std::move(held), from, 0, tag_exit, why, here);
  } else if (why.kind != ExitKind::normal) {
    doom(*held, why);
    wake(std::move(held), here);
  }
}

Scheduler::Bound Scheduler::signal(const Machine& machine, Pid to, Pid from, Exit why,
                                   Worker* here) {
  Table::Held held = find(machine, to);
  if (!held) return Bound::no_process;
  // Nothing has been charged for the message before.
  const cap::Charge room(held->traps_exits ? &machine.account().memory : nullptr, link_bytes);
  if (!room) return Bound::no_memory;
  signal(std::move(held), from, why, here);
  return Bound::yes;
}

}  // namespace atollvm::sched
