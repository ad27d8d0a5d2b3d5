// Weighted fair shares in two steps: of the machines by their weights, and of each machine's
// processes by theirs. In each step there is virtual time: who runs gains the time that it ran,
// divided by its weight, and who has the least runs next.
//
// The queue's own virtual time V is the greatest that was picked in order. Who wakes within a slice
// of V runs before all that wait in order; if it is below V it first gets V: what was not used
// while it slept is gone, nothing can be hoarded. Among those, who had used less than its share
// runs first: who mostly sleeps before who is woken again and again. Who wakes further above V has
// had more than its share and waits in order. So nobody can jump the queue for more than two slices
// before V has moved on, and V moves on only when the others have run. Who starts is put one slice
// above V, and in order: starting ever new processes gains nothing.
//
// A machine's share is of all workers: its virtual time is one for all of them, in its Group. Each
// worker adds what it ran there now and then, and takes over what others added. A worker whose next
// machine is behind what another worker runs gives a process of it away, see give(). One that has
// nobody waiting is not behind: its V follows the others'.
#include <atomic>
#include <vector>

#include "scheduler/policy/wheel.hpp"

namespace atollvm::policy {

namespace {

// Nanoseconds that a machine runs on a worker until others hear of it.
constexpr u64 tell_every = 250'000;
// Slices that a machine that other workers run may be behind V when it comes.
constexpr u64 most_behind = 4;
// Slices after which processes of one machine change workers.
constexpr u64 mix_every = 4;

// One step: the ready nodes of a machine, or the machines that have ready nodes.
class ShareQueue {
 public:
  [[nodiscard]] bool empty() const noexcept {
    return fresh_.empty() && owed_.empty() && started_.empty() && wheel_.empty();
  }
  [[nodiscard]] u64 virtual_now() const noexcept { return now_; }
  // Whether somebody is to run before this node, which was picked, has used its slice.
  [[nodiscard]] bool outranks(const Node& picked) const noexcept {
    if (picked.level == fresh_level) return false;
    return !fresh_.empty() || (picked.level != owed_level && !owed_.empty());
  }

  void start(Node& node, u64 slice) noexcept {
    node.key = now_ + ticks(slice, node);
    node.fraction = 0;
    if (!started_.empty() && node.key < started_.back()->key) return queue(node);
    node.level = started_level;
    started_.push_back(node);
  }
  void wake(Node& node, u64 slice) noexcept {
    if (node.key > now_ && node.key >= now_ + ticks(slice, node)) return queue(node);
    if (node.key < now_) {
      node.key = now_;
      node.fraction = 0;
    }
    owe(node);
  }
  // Queues a node, of a key that is not below V, before those in order.
  void owe(Node& node) noexcept {
    const bool is_fresh = node.key == now_;
    node.level = is_fresh ? fresh_level : owed_level;
    (is_fresh ? fresh_ : owed_).push_back(node);
  }
  void queue(Node& node) noexcept {
    if (node.key > now_ + max_debt) node.key = now_ + max_debt;
    wheel_.push(node, now_);
  }
  void remove(Node& node) noexcept {
    if (node.level == fresh_level) {
      fresh_.remove(node);
    } else if (node.level == owed_level) {
      owed_.remove(node);
    } else if (node.level == started_level) {
      started_.remove(node);
    } else {
      wheel_.remove(node);
    }
  }
  // Queues a node that could have gone on. One that ran as owed goes on as owed until its slice
  // above V is used: it lost the CPU to others that are owed.
  void resume(Node& node, u64 slice) noexcept {
    if (!is_owed(node) || node.key >= now_ + ticks(slice, node)) return queue(node);
    node.level = owed_level;
    owed_.push_front(node);
  }
  // Charges a node that is queued here.
  void charge_queued(Node& node, u64 ran, u64 slice) noexcept {
    const u64 before = node.key;
    charge(node, ran, node.inverse);
    if (is_owed(node)) {
      if (node.key < now_ + ticks(slice, node)) {
        if (node.level == fresh_level && node.key > now_) {
          fresh_.remove(node);
          node.level = owed_level;
          owed_.push_front(node);
        }
        return;
      }
    } else if (node.key == before && node.next == &node) {  // in one tick, each gets its turn
      return;
    }
    remove(node);
    queue(node);
  }
  // The next to run; it stays queued. Moves V.
  Node* front() noexcept {
    if (Node* const fresh = fresh_.front()) return fresh;
    if (Node* const owed = owed_.front()) return owed;
    Node* node = wheel_.front();
    Node* const started = started_.front();
    // In one tick those in the wheel have had turns, perhaps: each is to have one before.
    if (node == nullptr || (started != nullptr && started->key <= node->key)) node = started;
    if (node != nullptr && node->key > now_) now_ = node->key;
    return node;
  }
  bool take_moved() noexcept { return wheel_.take_moved(); }

  // Moves V on.
  void advance(u64 to) noexcept { now_ = std::max(now_, to); }
  // The virtual time of a slice, at least one tick.
  static u64 ticks(u64 slice, const Node& node) noexcept {
    return std::max<u64>(virtual_time(slice, node.inverse) >> fraction_bits, 1);
  }

 private:
  // In place of a wheel's level.
  static constexpr u8 owed_level = 255;
  static constexpr u8 fresh_level = 254;
  static constexpr u8 started_level = 253;

  static bool is_owed(const Node& node) noexcept { return node.level >= fresh_level; }

  u64 now_ = 0;
  Ring fresh_;  // who are owed at V
  Ring owed_;   // who are owed, and have used some of their slice above V
  // Who has started, as long as each is behind the one before: most are, for V does not go back.
  // They need not move down a wheel.
  Ring started_;
  Wheel wheel_;
};

struct Machine : Node {
  ShareQueue entries;
  u32 count = 0;  // of them
  const Group* group = nullptr;
  u64 base = 0;    // group->time when it was last looked at; the key is above it by what ran since
  u64 untold = 0;  // ns of that
};

// Tells the queues apart; 0 is none.
std::atomic<u32> next_home{1};

class Fair final : public Policy {
 public:
  void add_group(const Group& group) override {
    if (group.index >= machines_.size()) machines_.resize(group.index + 1);
    auto& machine = machines_[group.index];
    if (machine == nullptr) machine = std::make_unique<Machine>();
    if (machine->group != &group) {
      machine->group = &group;
      machine->key = machine->base = group.time.load(std::memory_order_relaxed);
    }
    machine->inverse = inverse_of(std::clamp(group.weight, min_weight, max_weight));
  }

  void remove_group(const Group& group) noexcept override {
    if (last_ == machines_[group.index].get()) last_ = nullptr;
    machines_[group.index].reset();
  }

  void ready(Entry& entry, u64, Wake why) noexcept override {
    Machine& machine = machine_of(entry);
    ShareQueue& queue = machine.entries;
    if (why == Wake::started) {
      entry.home = home_;
      queue.start(entry, slice_);
    } else {
      if (entry.home != home_) {
        entry.home = home_;
        entry.key = queue.virtual_now() + entry.debt;
      }
      queue.wake(entry, slice_);
    }
    entry.queued = true;
    ++size_;
    ++machine.count;
    if (machine.queued) return;
    machine.queued = true;
    come(machine);
  }

  Entry* pick(u64) noexcept override {
    Node* const first = machines_ready_.front();
    if (first == nullptr) return nullptr;
    auto& machine = *static_cast<Machine*>(first);
    auto* const entry = static_cast<Entry*>(machine.entries.front());
    took_long_ = machine.entries.take_moved();
    taken(*entry, machine);
    return entry;
  }

  void account(Entry& entry, u64 ran, Stop why, u64) noexcept override {
    Machine& machine = machine_of(entry);
    if (ran != 0) {
      charge_machine(machine, ran);
      policy::charge(entry, ran, entry.inverse);
    }
    if (why == Stop::preempted) {
      last_ = &machine;
      machine.entries.resume(entry, slice_);
      entry.queued = true;
      ++size_;
      ++machine.count;
      if (!machine.queued) {
        machine.queued = true;
        machines_ready_.resume(machine, slice_);
      }
    } else {
      remember(entry, machine);
    }
  }

  void charge(const Group& group, u64 ran) noexcept override {
    charge_machine(*machines_[group.index], ran);
  }

  [[nodiscard]] bool urgent(const Entry& running) const noexcept override {
    const Machine& own = machine_of(running);
    return own.entries.outranks(running) || machines_ready_.outranks(own);
  }

  void remove(Entry& entry) noexcept override { taken(entry, machine_of(entry)); }

  [[nodiscard]] u64 progress() const noexcept override { return machines_ready_.virtual_now(); }

  Entry* give(u64 progress_there, usize size_there, u64 now) noexcept override {
    auto* const machine = static_cast<Machine*>(machines_ready_.front());
    if (machine == nullptr) return nullptr;
    if (size_ == 1) {
      if (progress_there > machines_ready_.virtual_now()) {
        machines_ready_.remove(*machine);
        raise(*machine, progress_there);
        machines_ready_.advance(progress_there);
        machines_ready_.queue(*machine);
      }
      return nullptr;
    }
    // The first one runs here at once; the one that ran last would wait longest.
    Machine* const last = last_;
    if (last == nullptr || !last->queued || (last == machine && last->count == 1)) return nullptr;
    // Of two single processes the one of less weight goes: the other can use more of a worker.
    const bool leaves_some = last->count > 1;
    const bool is_behind = (leaves_some || last->inverse >= machine->inverse) &&
                           last->key + ShareQueue::ticks(slice_, *last) < progress_there;
    const bool mixes = leaves_some && now >= next_mix_ && size_there < size_;
    if (!is_behind && !mixes) return nullptr;
    if (mixes) next_mix_ = now + mix_every * slice_;
    auto* const given = static_cast<Entry*>(last->entries.front());
    taken(*given, *last);
    remember(*given, *last);
    return given;
  }

  Entry* steal(u64 now) noexcept override {
    Entry* const entry = pick(now);
    if (entry != nullptr) remember(*entry, machine_of(*entry));
    return entry;
  }

 private:
  void charge_machine(Machine& machine, u64 ran) noexcept {
    machine.untold += ran;
    if (machine.untold >= tell_every) {
      if (machine.queued) machines_ready_.remove(machine);
      policy::charge(machine, ran, machine.inverse);
      tell(machine);
      if (machine.queued) machines_ready_.resume(machine, slice_);
    } else if (machine.queued) {
      machines_ready_.charge_queued(machine, ran, slice_);
    } else {
      policy::charge(machine, ran, machine.inverse);
    }
  }
  // Takes over what other workers ran; whether there was something.
  static bool look(Machine& machine, u64 time) noexcept {
    const u64 elsewhere = time - machine.base;
    machine.key += elsewhere;
    machine.base = time;
    return elsewhere != 0;
  }
  // The same, and adds what ran here. Its key changes: it must not be queued.
  static void tell(Machine& machine) noexcept {
    const u64 own = machine.key - machine.base;
    look(machine, machine.group->time.fetch_add(own, std::memory_order_relaxed));
    machine.base = machine.key;
    machine.untold = 0;
  }
  // Gives a machine that is not queued at least the virtual time `least`, for all workers.
  static void raise(Machine& machine, u64 least) noexcept {
    tell(machine);
    auto& time = machine.group->time;
    u64 now = machine.base;
    while (now < least && !time.compare_exchange_weak(now, least, std::memory_order_relaxed)) {
    }
    machine.fraction = 0;
    machine.key = machine.base = std::max(now, least);
  }

  // Queues a machine that gets its first ready entry.
  void come(Machine& machine) noexcept {
    const bool is_elsewhere = look(machine, machine.group->time.load(std::memory_order_relaxed));
    const u64 now = machines_ready_.virtual_now();
    if (machine.key < now) {
      // Where it runs elsewhere it has not slept, and may be behind.
      const u64 behind = ShareQueue::ticks(slice_ * most_behind, machine);
      const u64 least = is_elsewhere ? now - std::min(now, behind) : now;
      if (machine.key < least) raise(machine, least);
      if (machine.key < now) return machines_ready_.queue(machine);
    } else if (machine.key > now && machine.key >= now + ShareQueue::ticks(slice_, machine)) {
      return machines_ready_.queue(machine);
    }
    machines_ready_.owe(machine);
  }

  [[nodiscard]] Machine& machine_of(const Entry& entry) const noexcept {
    return *machines_[entry.group->index];
  }

  void taken(Entry& entry, Machine& machine) noexcept {
    machine.entries.remove(entry);
    entry.queued = false;
    --size_;
    --machine.count;
    if (!machine.entries.empty()) return;
    machine.queued = false;
    machines_ready_.remove(machine);
  }

  // What it owes, for a wake-up on another worker.
  void remember(Entry& entry, const Machine& machine) noexcept {
    const u64 now = machine.entries.virtual_now();
    entry.debt = entry.key > now ? static_cast<u32>(std::min(entry.key - now, max_debt)) : 0;
  }

  ShareQueue machines_ready_;
  u64 next_mix_ = 0;
  Machine* last_ = nullptr;  // of the entry that was preempted last
  std::vector<std::unique_ptr<Machine>> machines_;
  const u32 home_ = next_home.fetch_add(1, std::memory_order_relaxed);
};

}  // namespace

std::unique_ptr<Policy> make_fair() { return std::make_unique<Fair>(); }

}  // namespace atollvm::policy
