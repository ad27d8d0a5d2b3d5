// First come first served: one queue, slices without an end.
#include "scheduler/policy/ring.hpp"

namespace atollvm::policy {

namespace {

class FirstCome final : public Policy {
 public:
  void ready(Entry& entry, u64, Wake) noexcept override {
    queue_.push_back(entry);
    queued(entry);
  }

  Entry* pick(u64) noexcept override {
    Node* const first = queue_.front();
    if (first == nullptr) return nullptr;
    auto* const entry = static_cast<Entry*>(first);
    FirstCome::remove(*entry);
    return entry;
  }

  [[nodiscard]] u64 slice(const Entry&) const noexcept override { return no_slice_end; }

  // Whoever was stopped in spite of the slice was there first.
  void account(Entry& entry, u64, Stop why, u64) noexcept override {
    if (why != Stop::preempted) return;
    queue_.push_front(entry);
    queued(entry);
  }

  void remove(Entry& entry) noexcept override {
    queue_.remove(entry);
    entry.queued = false;
    --size_;
  }

 private:
  void queued(Entry& entry) noexcept {
    entry.queued = true;
    ++size_;
  }

  Ring queue_;
};

}  // namespace

std::unique_ptr<Policy> make_fcfs() { return std::make_unique<FirstCome>(); }

}  // namespace atollvm::policy
