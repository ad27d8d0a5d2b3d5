// Why a process ended.
#pragma once

#include "vm/base/types.hpp"

namespace atollvm::sched {

// The numbers are part of the guest interface (append-only).
enum class ExitKind : u8 {
  normal = 0,   // returned, or exit code 0
  code = 1,     // another exit code
  trap = 2,     // `code` is the trap's number
  killed = 3,   // by another process
  fuel = 4,     // used up its fuel
  time = 5,     // used up its CPU time
  memory = 6,   // beyond a memory limit that can't be reported to it otherwise
  mailbox = 7,  // its mailbox was full and its overflow rule says so
  noproc = 8,   // linked to or monitored what was not there
  stopped = 9,  // its machine was destroyed
};

struct Exit {
  ExitKind kind = ExitKind::normal;
  u32 code = 0;
};

}  // namespace atollvm::sched
