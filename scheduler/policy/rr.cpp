// Round robin: one queue; who is ready goes to its end.
#include "scheduler/policy/ring.hpp"

namespace atollvm::policy {

namespace {

class RoundRobin final : public Policy {
 public:
  void ready(Entry& entry, u64, Wake) noexcept override { append(entry); }

  Entry* pick(u64) noexcept override {
    Node* const first = queue_.front();
    if (first == nullptr) return nullptr;
    auto* const entry = static_cast<Entry*>(first);
    RoundRobin::remove(*entry);
    return entry;
  }

  void account(Entry& entry, u64, Stop why, u64) noexcept override {
    if (why == Stop::preempted) append(entry);
  }

  void remove(Entry& entry) noexcept override {
    queue_.remove(entry);
    entry.queued = false;
    --size_;
  }

 private:
  void append(Entry& entry) noexcept {
    queue_.push_back(entry);
    entry.queued = true;
    ++size_;
  }

  Ring queue_;
};

}  // namespace

std::unique_ptr<Policy> make_rr() { return std::make_unique<RoundRobin>(); }

}  // namespace atollvm::policy
