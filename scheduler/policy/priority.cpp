// Priorities with ageing: who waits rises by one priority every 100 ms.
//
// As all rise at the same pace, their order does not change while they wait: the next is the one
// with the least (time it became ready - 100 ms * priority). In each priority that is the head of
// its queue, so a pick compares at most 32 heads, whose times are kept together.
#include <bit>

#include "scheduler/policy/ring.hpp"

namespace atollvm::policy {

namespace {

constexpr u64 ageing = 100'000'000;

class Priority final : public Policy {
 public:
  void ready(Entry& entry, u64 now, Wake) noexcept override { append(entry, now); }

  Entry* pick(u64) noexcept override {
    if (occupied_ == 0) return nullptr;
    u32 best = 31 - static_cast<u32>(std::countl_zero(occupied_));
    u64 least = since_[best] + (max_priority - best) * ageing;
    for (u32 rest = occupied_ & ~(1u << best); rest != 0;) {
      const u32 each = 31 - static_cast<u32>(std::countl_zero(rest));
      rest &= ~(1u << each);
      const u64 virtual_since = since_[each] + (max_priority - each) * ageing;
      if (virtual_since < least) {
        least = virtual_since;
        best = each;
      }
    }
    auto* const entry = static_cast<Entry*>(queues_[best].front());
    Priority::remove(*entry);
    return entry;
  }

  void account(Entry& entry, u64, Stop why, u64 now) noexcept override {
    if (why == Stop::preempted) append(entry, now);
  }

  [[nodiscard]] bool urgent(const Entry& running) const noexcept override {
    const u32 own = running.priority < max_priority ? running.priority : max_priority;
    return (static_cast<u64>(occupied_) >> (own + 1)) != 0;
  }

  void remove(Entry& entry) noexcept override {
    Ring& queue = queues_[entry.level];
    queue.remove(entry);
    if (queue.empty()) {
      occupied_ &= ~(1u << entry.level);
    } else {
      since_[entry.level] = queue.front()->key;
    }
    entry.queued = false;
    --size_;
  }

 private:
  void append(Entry& entry, u64 now) noexcept {
    entry.level = entry.priority < max_priority ? entry.priority : max_priority;
    entry.key = now;
    Ring& queue = queues_[entry.level];
    if (queue.empty()) since_[entry.level] = now;
    queue.push_back(entry);
    occupied_ |= 1u << entry.level;
    entry.queued = true;
    ++size_;
  }

  u32 occupied_ = 0;                  // bit n: priority n has entries
  u64 since_[max_priority + 1] = {};  // when the head of each became ready
  Ring queues_[max_priority + 1];
};

}  // namespace

std::unique_ptr<Policy> make_priority() { return std::make_unique<Priority>(); }

}  // namespace atollvm::policy
