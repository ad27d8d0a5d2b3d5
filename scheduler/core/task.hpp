// A process as the scheduler knows it.
#pragma once

#include <atomic>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "scheduler/core/exit.hpp"
#include "scheduler/core/message.hpp"
#include "scheduler/core/table.hpp"
#include "scheduler/policy/policy.hpp"
#include "vm/runtime/process.hpp"

namespace atollvm::sched {

class Machine;
class Worker;

// What binds processes is charged to their machine's memory; these are prices, in bytes.
inline constexpr u64 link_bytes = 128;     // for either side
inline constexpr u64 monitor_bytes = 192;  // its message included
inline constexpr u64 timer_bytes = 192;    // likewise
inline constexpr u64 name_bytes(usize size) { return 160 + 2 * size; }

// Whom a process is bound to; few have any.
struct Relations {
  std::unordered_set<Pid> links;
  std::unordered_map<u64, Pid> watching;   // monitors of its own, by their references
  std::set<std::pair<Pid, u64>> watchers;  // others' monitors of it, with their references
  std::unordered_set<std::string> names;
};

// What a process holds.
struct Census {
  u64 memory_bytes = 0;
  u64 stack_bytes = 0;
  u64 cpu = 0;  // ns
  u32 handles = 0;
};

class Task final : public runtime::Process, public policy::Entry {
 public:
  enum class Phase : u8 {
    ready,    // in a queue, or on its way to one
    running,  // on a worker, or leaving one
    waiting,  // somebody will make it ready
  };
  static constexpr u64 never = ~u64{0};

  Task(const runtime::Options& options, const MailboxLimits& mailbox_limits, Machine& of_machine)
      : Process(options), machine(&of_machine), mailbox(mailbox_limits) {}

  Pid pid = 0;
  Pid parent = 0;
  Machine* machine;
  Mailbox mailbox;

  // --- Under the lock of its place in the Table.
  std::unique_ptr<Relations> relations;  // null: none
  // Why it must end; the first reason counts. `dying` is read without the lock.
  Exit doom;
  // waiting to ready is the step of whoever wakes it; the other steps are its worker's.
  std::atomic<Phase> phase{Phase::ready};
  std::atomic<bool> dying{false};
  bool doom_waits = false;  // it is to end when its machine is thawed
  bool is_main = false;
  bool traps_exits = false;

  // --- Of its worker; written before it waits.
  bool stays = false;  // it must come back to `home_worker`: something there waits for it
  bool waits_for_message = false;
  // (Here, so that they take no room:) of its worker alone.
  bool timed = false;       // in the worker's Timers
  bool yields = false;      // waits for nothing but its next turn
  bool has_timers = false;  // in the scheduler
  bool has_ended = false;   // its burial is under way
  Tag wanted = tag_any;     // the messages that it waits for
  u32 timer_place = 0;
  Worker* home_worker = nullptr;  // whose queue it comes back to
  // --- Of its worker alone.
  u64 deadline = never;  // of the call that it waits in
  u64 cpu = 0;           // ns that it ran
  u64 cpu_limit = never;
  u64 next_reference = 0;
  // A call that copies a large message is made in pieces: what it sends, and bytes done.
  u32 transferred = 0;
  MessagePtr draft;
  // Functions to call after the first has returned, each without arguments but the last.
  struct Later {
    std::vector<u32> functions;
    usize next = 0;
    std::vector<runtime::Slot> arguments;
  };
  std::unique_ptr<Later> later;

  // Who sees that it does not run sees what it did.
  [[nodiscard]] Phase phase_now() const { return phase.load(std::memory_order_acquire); }
  // Whether a message of this tag ends its waiting. Under the lock.
  [[nodiscard]] bool waits_for(Tag tag) const {
    return phase_now() == Phase::waiting && waits_for_message &&
           (wanted == tag_any || wanted == tag);
  }
  // What it holds. Under the lock; as of its last slice if it is ready or runs elsewhere.
  [[nodiscard]] Census census(bool is_own) const {
    return is_own || phase_now() == Phase::waiting ? count() : published_;
  }
  // On its worker, under the lock.
  void publish_census() { published_ = count(); }
  Relations& bound() {
    if (relations == nullptr) relations = std::make_unique<Relations>();
    return *relations;
  }

 private:
  [[nodiscard]] Census count() const {
    const Usage held = usage();
    return {held.memory_bytes, held.stack_bytes, cpu, open_handles()};
  }
  Census published_;
};

}  // namespace atollvm::sched
