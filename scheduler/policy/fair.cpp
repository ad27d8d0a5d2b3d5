// Weighted fair shares in two steps: of the machines by their weights, and of each machine's
// processes by theirs. In each step there is virtual time: who runs gains the time that it ran,
// divided by its weight, and who has the least runs next.
//
// The queue's own virtual time V is the greatest that was picked in order. Who wakes within a slice
// of V runs before all that wait in order; if it is below V it first gets V: what was not used
// while it slept is gone, nothing can be hoarded. Who wakes further above V has had more than its
// share and waits in order. So nobody can jump the queue for more than two slices before V has
// moved on, and V moves on only when the others have run. Who starts is put one slice above V, and
// in order: starting ever new processes gains nothing.
//
// A machine's share is of all workers: what it ran on others is charged here too, so it gets less
// here. What others tell late, or what it ran where nobody else wanted to, is at most a debt of a
// few slices.
#include <atomic>
#include <vector>

#include "scheduler/policy/wheel.hpp"

namespace atollvm::policy {

namespace {

// Nanoseconds that a machine runs on a worker until others hear of it.
constexpr u64 tell_every = 250'000;
// Slices that a machine can owe for what it ran elsewhere.
constexpr u64 most_slices = 4;

// One step: the ready nodes of a machine, or the machines that have ready nodes.
class ShareQueue {
 public:
  [[nodiscard]] bool empty() const noexcept { return owed_.empty() && wheel_.empty(); }
  [[nodiscard]] u64 virtual_now() const noexcept { return now_; }
  [[nodiscard]] const Node* first_owed() const noexcept { return owed_.front(); }

  void start(Node& node, u64 slice) noexcept {
    node.key = now_ + ticks(slice, node);
    node.fraction = 0;
    queue(node);
  }
  void wake(Node& node, u64 slice) noexcept {
    if (node.key > now_ && node.key >= now_ + ticks(slice, node)) return queue(node);
    if (node.key < now_) {
      node.key = now_;
      node.fraction = 0;
    }
    node.level = owed_level;
    owed_.push_back(node);
  }
  void queue(Node& node) noexcept {
    if (node.key > now_ + max_debt) node.key = now_ + max_debt;
    wheel_.push(node, now_);
  }
  void remove(Node& node) noexcept {
    if (node.level == owed_level) {
      owed_.remove(node);
    } else {
      wheel_.remove(node);
    }
  }
  // Queues a node that could have gone on. One that ran as owed goes on as owed until its slice
  // above V is used: it lost the CPU to others that are owed.
  void resume(Node& node, u64 slice) noexcept {
    if (node.level != owed_level || node.key >= now_ + ticks(slice, node)) return queue(node);
    owed_.push_front(node);
  }
  // Charges a node that is queued here.
  void charge_queued(Node& node, u64 ran, u64 slice) noexcept {
    const u64 before = node.key;
    charge(node, ran, node.inverse);
    if (node.level == owed_level) {
      if (node.key < now_ + ticks(slice, node)) return;
    } else if (node.key == before && node.next == &node) {  // in one tick, each gets its turn
      return;
    }
    remove(node);
    queue(node);
  }
  // Charges a node that is not queued for what it ran on other workers.
  void charge_elsewhere(Node& node, u64 ran, u64 slice) noexcept {
    if (ran == 0) return;
    const u64 most = std::max(node.key, now_ + ticks(slice * most_slices, node));
    charge(node, ran, node.inverse);
    node.key = std::min(node.key, most);
  }
  // The next to run; it stays queued. Moves V.
  Node* front() noexcept {
    if (Node* const owed = owed_.front()) return owed;
    Node* const node = wheel_.front();
    if (node != nullptr && node->key > now_) now_ = node->key;
    return node;
  }

  // Whether this node, which was picked, ran before those that wait in order.
  static bool ran_as_owed(const Node& node) noexcept { return node.level == owed_level; }

 private:
  static constexpr u8 owed_level = 255;

  // The virtual time of a slice, at least one tick.
  static u64 ticks(u64 slice, const Node& node) noexcept {
    return std::max<u64>(virtual_time(slice, node.inverse) >> fraction_bits, 1);
  }

  u64 now_ = 0;
  Ring owed_;
  Wheel wheel_;
};

struct Machine : Node {
  ShareQueue entries;
  const Group* group = nullptr;
  u64 untold = 0;  // ns that it ran here, and are not in group->used yet
  u64 seen = 0;    // of group->used
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
      machine->seen = group.used.load(std::memory_order_relaxed);
    }
    machine->inverse = inverse_of(std::clamp(group.weight, min_weight, max_weight));
  }

  void remove_group(const Group& group) noexcept override { machines_[group.index].reset(); }

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
    if (machine.queued) return;
    machine.queued = true;
    const u64 used = machine.group->used.load(std::memory_order_relaxed);
    machines_ready_.charge_elsewhere(machine, used - machine.seen, slice_);
    machine.seen = used;
    machines_ready_.wake(machine, slice_);
  }

  Entry* pick(u64) noexcept override {
    Node* const first = machines_ready_.front();
    if (first == nullptr) return nullptr;
    auto& machine = *static_cast<Machine*>(first);
    auto* const entry = static_cast<Entry*>(machine.entries.front());
    taken(*entry, machine);
    return entry;
  }

  void account(Entry& entry, u64 ran, Stop why, u64) noexcept override {
    Machine& machine = machine_of(entry);
    machine.untold += ran;
    if (machine.untold >= tell_every) tell(machine);
    if (machine.queued) {
      machines_ready_.charge_queued(machine, ran, slice_);
    } else {
      charge(machine, ran, machine.inverse);
    }
    charge(entry, ran, entry.inverse);
    if (why == Stop::preempted) {
      machine.entries.resume(entry, slice_);
      entry.queued = true;
      ++size_;
      if (!machine.queued) {
        machine.queued = true;
        machines_ready_.resume(machine, slice_);
      }
    } else {
      remember(entry, machine);
    }
  }

  [[nodiscard]] bool urgent(const Entry& running) const noexcept override {
    const Machine& own = machine_of(running);
    const Node* const machine = machines_ready_.first_owed();
    if (machine != nullptr && machine != &own && !ShareQueue::ran_as_owed(own)) return true;
    return own.entries.first_owed() != nullptr && !ShareQueue::ran_as_owed(running);
  }

  void remove(Entry& entry) noexcept override { taken(entry, machine_of(entry)); }

  Entry* steal(u64 now) noexcept override {
    Entry* const entry = pick(now);
    if (entry != nullptr) remember(*entry, machine_of(*entry));
    return entry;
  }

 private:
  // Tells other workers what a machine ran here, and hears what it ran there.
  void tell(Machine& machine) noexcept {
    const u64 before = machine.group->used.fetch_add(machine.untold, std::memory_order_relaxed);
    const u64 elsewhere = before - machine.seen;
    machine.seen = before + machine.untold;
    machine.untold = 0;
    if (elsewhere == 0) return;
    if (machine.queued) machines_ready_.remove(machine);
    machines_ready_.charge_elsewhere(machine, elsewhere, slice_);
    if (machine.queued) machines_ready_.resume(machine, slice_);
  }

  [[nodiscard]] Machine& machine_of(const Entry& entry) const noexcept {
    return *machines_[entry.group->index];
  }

  void taken(Entry& entry, Machine& machine) noexcept {
    machine.entries.remove(entry);
    entry.queued = false;
    --size_;
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
  std::vector<std::unique_ptr<Machine>> machines_;
  const u32 home_ = next_home.fetch_add(1, std::memory_order_relaxed);
};

}  // namespace

std::unique_ptr<Policy> make_fair() { return std::make_unique<Fair>(); }

}  // namespace atollvm::policy
