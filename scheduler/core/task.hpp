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
#include "scheduler/core/line.hpp"
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
  struct Watch {
    Pid pid;
    Tag tag;  // of the message that tells of its end
  };
  std::unordered_map<u64, Watch> watching;  // monitors of its own, by their references
  std::set<std::pair<Pid, u64>> watchers;   // others' monitors of it, with their references
  std::unordered_set<std::string> names;
  Line line;  // of senders to it
};

// What a process holds.
struct Census {
  u64 memory_bytes = 0;
  u64 stack_bytes = 0;
  u64 cpu = 0;  // ns
  u32 handles = 0;
};

// What a process may, besides its runtime::Limits.
struct Terms {
  MailboxLimits mailbox;
  u64 cpu_limit = ~u64{0};  // ns
  bool operator==(const Terms&) const = default;
};

class Task final : public runtime::Process, public policy::Entry {
 public:
  enum class Phase : u8 {
    ready,    // in a queue, or on its way to one
    running,  // on a worker, or leaving one
    waiting,  // somebody will make it ready
  };
  static constexpr u64 never = ~u64{0};

  // `common`: where terms like these are kept for as long as the machine is there, see
  // Machine::common_terms(). Throws std::bad_alloc.
  Task(const runtime::Options& options, const Terms& its_terms, const Terms& common,
       Machine& of_machine)
      : Process(options), machine(&of_machine), terms(&common) {
    agree(its_terms, common);
  }

  // See Process::can_begin_again().
  [[nodiscard]] bool can_begin_again() const {
    return Process::can_begin_again() && rare_ == nullptr && bursts == nullptr;
  }
  // As the constructor, see Process::begin_again().
  base::Status begin_again(const runtime::Options& options, const Terms& its_terms,
                           const Terms& common, Machine& of_machine) {
    machine = &of_machine;
    terms = &common;
    agree(its_terms, common);
    return Process::begin_again(options);
  }
  // Before that, of one that has ended: each member below has its first value again.
  void end_for_now() {
    Process::end_for_now();
    static_cast<policy::Entry&>(*this).end_for_now();
    cpu_is_limited = false;
    is_counted = true;
    relations.reset();
    doom = {};
    phase.store(Phase::ready, std::memory_order_relaxed);
    dying.store(false, std::memory_order_relaxed);
    has_line.store(false, std::memory_order_relaxed);
    in_line.store(InLine::no, std::memory_order_relaxed);
    doom_waits = is_main = traps_exits = false;
    stays = waits_for_message = timed = has_run = yields = has_timers = has_ended = false;
    takes_left = 0;
    wanted = tag_any;
    timer_place = 0;
    home_worker = nullptr;
    deadline = never;
    cpu = 0;
    published_.reset();
    std::destroy_at(&mailbox);
    std::construct_at(&mailbox);
  }

  static void* operator new(usize size) {
    void* const block = base::take_block(size);
    if (block == nullptr) throw std::bad_alloc();
    return block;
  }
  static void operator delete(void* task) noexcept { base::give_block(task, sizeof(Task)); }

  // (Here, so that they take no room.)
  bool cpu_is_limited = false;  // its own or its machine's: then each turn is timed
  bool is_counted = true;       // among the machine's processes; its worker's
  Pid pid = 0;
  Pid parent = 0;
  Machine* machine;
  const Terms* terms;
  Mailbox mailbox;

  // --- Under the lock of its place in the Table.
  std::unique_ptr<Relations> relations;  // null: none
  // Why it must end; the first reason counts. `dying` is read without the lock.
  Exit doom;
  // waiting to ready is the step of whoever wakes it; the other steps are its worker's.
  std::atomic<Phase> phase{Phase::ready};
  std::atomic<bool> dying{false};
  std::atomic<bool> has_line{false};  // somebody waits in relations->line
  std::atomic<InLine> in_line{InLine::no};
  bool doom_waits = false;  // it is to end when its machine is thawed
  bool is_main = false;
  bool traps_exits = false;

  // --- Of its worker; written before it waits.
  bool stays = false;  // it must come back to `home_worker`: something there waits for it
  bool waits_for_message = false;
  // (Here, so that they take no room:) of its worker alone.
  bool timed = false;       // in the worker's Timers
  bool has_run = false;     // since it was started
  bool yields = false;      // waits for nothing but its next turn
  bool has_timers = false;  // in the scheduler
  bool has_ended = false;   // its burial is under way
  u16 takes_left = 0;       // messages until it looks who waits for their room
  Tag wanted = tag_any;     // the messages that it waits for
  u32 timer_place = 0;
  Worker* home_worker = nullptr;  // whose queue it comes back to
  // --- Of its worker alone.
  u64 deadline = never;  // of the call that it waits in
  u64 cpu = 0;           // ns that it ran
  // Functions to call after the first has returned, each without arguments but the last.
  struct Later {
    std::vector<u32> functions;
    usize next = 0;
    std::vector<runtime::Slot> arguments;
  };
  // What few have, so that the others are small.
  struct Rare {
    Terms terms;
    u64 next_reference = 0;
    // A call that copies a large message is made in pieces: what it sends, and bytes done.
    MessagePtr draft;
    u32 transferred = 0;
    Ticket ticket;  // where it is in a line
    std::unique_ptr<Later> later;
  };
  // Throws std::bad_alloc.
  Rare& rare() {
    if (rare_ == nullptr) rare_ = std::make_unique<Rare>();
    return *rare_;
  }
  [[nodiscard]] const Rare* found_rare() const { return rare_.get(); }  // null: none
  [[nodiscard]] bool transfers() const { return rare_ != nullptr && rare_->transferred != 0; }
  [[nodiscard]] bool has_later() const { return rare_ != nullptr && rare_->later != nullptr; }
  [[nodiscard]] u64 draft_bytes() const {
    return rare_ == nullptr || rare_->draft == nullptr ? 0 : rare_->draft->charge();
  }

  // Who sees that it does not run sees what it did.
  [[nodiscard]] Phase phase_now() const { return phase.load(std::memory_order_acquire); }
  // Whether a message of this tag ends its waiting. Under the lock.
  [[nodiscard]] bool waits_for(Tag tag) const {
    return phase_now() == Phase::waiting && waits_for_message &&
           (wanted == tag_any || wanted == tag);
  }
  // What it holds. Under the lock; as of its last slice if it is ready or runs elsewhere.
  [[nodiscard]] Census census(bool is_own) const {
    if (is_own || phase_now() == Phase::waiting) return count();
    return published_ == nullptr ? Census() : *published_;
  }
  // On its worker, under the lock. Without memory for it there is none.
  void publish_census() {
    if (published_ == nullptr) published_.reset(new (std::nothrow) Census);
    if (published_ != nullptr) *published_ = count();
  }
  Relations& bound() {
    if (relations == nullptr) relations = std::make_unique<Relations>();
    return *relations;
  }

 private:
  void agree(const Terms& its_terms, const Terms& common) {
    if (its_terms == common) return;
    rare().terms = its_terms;
    terms = &rare().terms;
  }
  [[nodiscard]] Census count() const {
    const Usage held = usage();
    return {held.memory_bytes, held.stack_bytes, cpu, open_handles()};
  }
  std::unique_ptr<Census> published_;
  std::unique_ptr<Rare> rare_;
};

}  // namespace atollvm::sched
