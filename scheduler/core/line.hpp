// Senders that wait for room in a mailbox whose rule is Overflow::wait.
//
// A sender that finds no room stands in the receiver's line, and parks. The receiver calls those in
// front when it has taken enough, and keeps the room for them that it called them for. They make
// their call anew; whether they then send or not, they leave the line and what was kept for them is
// free. Others may be quicker than who was called: then that one stands in front again. A process
// stands in one line at most, and leaves it with its end.
#pragma once

#include <map>

#include "scheduler/core/message.hpp"

namespace atollvm::sched {

// Under the lock of the receiver's place.
struct Line {
  struct Sender {
    Pid pid;
    Load load;  // of the message that it has
  };
  std::map<u64, Sender> senders;  // those that wait, by the numbers of their tickets
  u64 next_number = 1;
  Load promised;  // to those who were called and have not left yet
};

// A sender's, while it is in a line.
struct Ticket {
  Pid at = 0;  // the receiver
  u64 number = 0;
  Load load;
};

// `waits` is set by the sender, under the lock of the receiver; `called` by others, under its own;
// `no` by itself.
enum class InLine : u8 { no, waits, called };

}  // namespace atollvm::sched
