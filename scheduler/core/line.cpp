#include "scheduler/core/line.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "scheduler/core/scheduler.hpp"

namespace atollvm::sched {

namespace {

// Who are called at once: the receiver does it between two messages.
constexpr usize most_called = 256;

}  // namespace

Scheduler::Sent Scheduler::look_for_room(Task& sender, Pid to, const Load& load) {
  Table::Held held = find(*sender.machine, to);
  if (!held) return Sent::no_process;
  const MailboxLimits& limits = held->terms->mailbox;
  if (limits.overflow != Overflow::wait || limits.allow(held->mailbox.load() + load)) {
    return Sent::yes;
  }
  return stand_in_line(held, sender, load);
}

// There is no room now.
Scheduler::Sent Scheduler::stand_in_line(Table::Held& held, Task& sender, const Load& load) {
  if (!held->terms->mailbox.allow(load)) return Sent::too_large;
  if (held->pid == sender.pid) return Sent::full;  // nobody else would make room
  Line& line = held->bound().line;
  Ticket& ticket = sender.rare().ticket;
  const bool again = sender.in_line.load() != InLine::no;
  if (!again) ticket = {held->pid, line.next_number++, load};
  const bool added = line.senders.try_emplace(ticket.number, sender.pid, ticket.load).second;
  if (again && added) line.promised -= ticket.load;  // it was called, and others were quicker
  sender.in_line.store(InLine::waits);
  held->has_line.store(true);
  return Sent::waits;
}

void Scheduler::call(Table::Held sender, Worker* here) {
  InLine waits = InLine::waits;
  if (!sender || !sender->in_line.compare_exchange_strong(waits, InLine::called)) return;
  wake(std::move(sender), here);
}

u16 Scheduler::call_senders(Table::Held held, bool idle, Worker* here) {
  const MailboxLimits& limits = held->terms->mailbox;
  Line& line = held->bound().line;
  Load taken = held->mailbox.load() + line.promised;
  const MailboxLimits half = limits.half();
  if (!idle && !half.allow(taken)) {
    const u32 over = taken.messages - std::min(taken.messages, half.messages + 1);
    return static_cast<u16>(std::min(over, u32{UINT16_MAX}));
  }
  std::array<Pid, most_called> called;
  usize count = 0;
  while (count < called.size() && !line.senders.empty()) {
    const Line::Sender& first = line.senders.begin()->second;
    if (!limits.allow(taken + first.load)) break;
    taken += first.load;
    line.promised += first.load;
    called[count++] = first.pid;
    line.senders.erase(line.senders.begin());
  }
  held->has_line.store(!line.senders.empty());
  const Machine& machine = *held->machine;
  held.release();
  for (usize i = 0; i < count; ++i) call(find(machine, called[i]), here);
  return 0;
}

// It may be called until this has the lock of the receiver; so what counts is who is in the line.
void Scheduler::leave_line(Task& sender, Worker* here) {
  const Ticket& ticket = sender.rare().ticket;
  sender.in_line.store(InLine::no);
  Table::Held held = find(*sender.machine, ticket.at);
  if (!held) return;
  Line& line = held->bound().line;
  if (line.senders.erase(ticket.number) == 0) line.promised -= ticket.load;
  held->has_line.store(!line.senders.empty());
  if (line.senders.empty()) return;
  const bool idle = held->phase_now() == Task::Phase::waiting;
  call_senders(std::move(held), idle, here);
}

}  // namespace atollvm::sched
