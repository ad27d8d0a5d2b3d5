// Who runs next on one worker: the interface of the scheduling policies, and their registry.
//
// A policy is one worker's run queue. It never reads a clock, makes no system calls, and after
// add_group() and admit() allocates nothing; the same calls give the same picks. Times are
// nanoseconds on any clock that does not run backwards. docs/scheduling.md says what each policy
// promises. Threads: one at a time for each instance, and for each entry; groups are shared by all.
#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <string_view>

#include "vm/base/types.hpp"

namespace atollvm::policy {

inline constexpr u32 min_weight = 1;
inline constexpr u32 max_weight = 1'000'000;
inline constexpr u32 default_weight = 100;
inline constexpr u8 max_priority = 31;  // the most urgent; 0 is the least
inline constexpr u8 default_priority = 16;
inline constexpr u64 default_slice = 1'000'000;  // 1 ms
inline constexpr u64 no_slice_end = ~u64{0};     // runs until it stops by itself

// What a policy queues; its fields belong to the policy while the node is queued.
struct Node {
  Node* next = nullptr;
  Node* prev = nullptr;
  u64 key = 0;       // fair: virtual time in ticks; priority and sjf: when it became ready
  u64 inverse = 0;   // of the weight, see set_weight()
  u32 fraction = 0;  // fair: of a tick
  u8 level = 0;      // where it is queued
  u8 slot = 0;
  bool queued = false;
  u8 priority = default_priority;  // set by the owner while not queued
};

// A machine: a group of entries that shares by its weight. Outlives the policies that know it.
struct Group {
  Group() = default;
  Group(u32 number, u32 its_weight) : index(number), weight(its_weight) {}

  u32 index = 0;  // small: policies keep tables by it
  u32 weight = default_weight;
  mutable std::atomic<u64> time{0};  // fair: virtual time on all workers, in ticks
};

struct Entry;

// What only sjf looks at.
struct Bursts {
  u64 length = 0;          // CPU time that is declared for one burst (until it waits); 0: unknown
  u64 current = 0;         // what the entry has run since it last waited
  u64 average = 0;         // of its bursts; 0: none yet
  Entry* older = nullptr;  // in order of becoming ready
  Entry* newer = nullptr;
};

// A process, as policies see it: a member of the process record. The owner sets group, weight,
// priority and length while the entry is not queued, and keeps it in place while it is.
struct Entry : Node {
  const Group* group = nullptr;
  std::unique_ptr<Bursts> bursts;  // null until a policy or a declared length needs it
  u32 home = 0;                    // fair: the queue that its virtual time is of; 0: none
  u32 debt = 0;  // fair: ticks above the queue's virtual time when it was last seen there
  u32 weight = 0;

  Entry() noexcept { set_weight(default_weight); }
  // As it was made. While not queued, and without bursts.
  void end_for_now() noexcept {
    static_cast<Node&>(*this) = Node();
    group = nullptr;
    home = debt = 0;
    set_weight(default_weight);
  }
  // Clamped to [min_weight, max_weight]. While not queued.
  void set_weight(u32 value) noexcept;
  [[nodiscard]] u64 length() const noexcept { return bursts == nullptr ? 0 : bursts->length; }
  // Of one burst. Throws std::bad_alloc.
  void set_length(u64 value) {
    if (value != 0 || bursts != nullptr) measured().length = value;
  }
  // Throws std::bad_alloc the first time.
  Bursts& measured() {
    if (bursts == nullptr) bursts = std::make_unique<Bursts>();
    return *bursts;
  }
};

enum class Wake : u8 {
  started,  // for the first time
  woken,    // what it waited for has come
};

enum class Stop : u8 {
  preempted,  // could go on: it is queued again by the call itself. To yield is to wait
              // and to be ready at once
  waits,      // comes back through ready()
  ended,      // never comes back
};

class Policy {
 public:
  virtual ~Policy() = default;
  Policy() = default;
  Policy(const Policy&) = delete;
  Policy& operator=(const Policy&) = delete;

  // Makes a group known, or takes over its changed weight. Before its first entry comes. Allocates.
  virtual void add_group(const Group&) {}
  // Forgets a group, none of whose entries is queued or picked. Its index may be used again.
  virtual void remove_group(const Group&) noexcept {}

  // Gets an entry ready for this policy, on whichever worker, before its first ready(). Allocates.
  virtual void admit(Entry&) {}
  // Queues an entry that is not queued. It may come from another worker's instance.
  virtual void ready(Entry&, u64 now, Wake) noexcept = 0;
  // Takes out the entry that runs next; null when none is ready. Several may be out at once.
  virtual Entry* pick(u64 now) noexcept = 0;
  // Whether the last pick() took longer than usual, to keep order: nobody that runs should be
  // charged for it.
  [[nodiscard]] bool took_long() const noexcept { return took_long_; }
  // How long a picked entry may run.
  [[nodiscard]] virtual u64 slice(const Entry&) const noexcept { return slice_; }
  // To be called once for each pick: the CPU time that the entry ran (0: charged elsewhere), and
  // why it stopped.
  virtual void account(Entry&, u64 ran, Stop, u64 now) noexcept = 0;
  // Charges CPU time that no account() told to a group, whose entries may have gone since.
  virtual void charge(const Group&, u64 ran) noexcept { (void)ran; }
  // Whether some ready entry should run before the slice of `running` is over. Asked after ready().
  [[nodiscard]] virtual bool urgent(const Entry& running) const noexcept {
    (void)running;
    return false;
  }
  // Takes out an entry that is queued here, in constant time.
  virtual void remove(Entry&) noexcept = 0;
  // Takes out an entry for another worker, whose instance gets it by ready(entry, now,
  // Wake::woken): the one that pick() would give. What it owes goes with it. No account() follows
  // here.
  virtual Entry* steal(u64 now) noexcept { return pick(now); }

  // How far this worker's queue is, in a measure that all of them share; 0: there is none.
  [[nodiscard]] virtual u64 progress() const noexcept { return 0; }
  // Takes out an entry that another worker, which is so far and has so many entries ready, had
  // better run; null: none. As steal(). To be asked every slice or so, when nothing is picked.
  virtual Entry* give(u64 progress_there, usize size_there, u64 now) noexcept {
    (void)progress_there, (void)size_there, (void)now;
    return nullptr;
  }

  [[nodiscard]] usize size() const noexcept { return size_; }
  [[nodiscard]] u64 time_slice() const noexcept { return slice_; }
  // In nanoseconds, at least 1. Before the first entry.
  void set_time_slice(u64 length) noexcept { slice_ = length > 0 ? length : 1; }

 protected:
  u64 slice_ = default_slice;
  usize size_ = 0;
  bool took_long_ = false;
};

struct Row {
  std::string_view name;
  std::string_view summary;  // one line
  std::unique_ptr<Policy> (*make)();
};

// All policies; the first one is the default.
std::span<const Row> all() noexcept;
// Null: there is none of this name.
const Row* find(std::string_view name) noexcept;

// One for each file; add a row to policy.cpp.
std::unique_ptr<Policy> make_fair();
std::unique_ptr<Policy> make_rr();
std::unique_ptr<Policy> make_fcfs();
std::unique_ptr<Policy> make_sjf();
std::unique_ptr<Policy> make_priority();

}  // namespace atollvm::policy
