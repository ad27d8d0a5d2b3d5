// Shortest job first: the entry that is expected to run for the shortest time until it waits.
//
// What is expected is the declared length, or the exponential average of the bursts before, less
// what it has run of the burst already. An entry that has overrun this is expected to run for as
// long again, so that declaring too little gains nothing after the first slice. Lengths are told
// apart to 1/16, in a table of queues. Whoever has waited for a second gets every other pick.
#include <bit>

#include "scheduler/policy/ring.hpp"

namespace atollvm::policy {

namespace {

constexpr u64 patience = 1'000'000'000;
constexpr u32 bucket_count = 1024;

// Sixteen for each power of two.
u32 bucket_of(u64 length) noexcept {
  if (length < 16) return static_cast<u32>(length);
  const u32 power = 63 - static_cast<u32>(std::countl_zero(length));
  return (power - 3) * 16 + static_cast<u32>((length >> (power - 4)) & 15);
}

class ShortestJob final : public Policy {
 public:
  void admit(Entry& entry) override { (void)entry.measured(); }

  void ready(Entry& entry, u64 now, Wake) noexcept override { append(entry, now); }

  Entry* pick(u64 now) noexcept override {
    if (words_ == 0) return nullptr;
    Entry* entry = oldest_;
    const bool is_late = now >= entry->key && now - entry->key >= patience;
    if (!is_late || picked_late_) {
      const u32 word = static_cast<u32>(std::countr_zero(words_));
      const u32 bit = static_cast<u32>(std::countr_zero(bits_[word]));
      entry = static_cast<Entry*>(buckets_[word * 64 + bit].front());
      picked_late_ = false;
    } else {
      picked_late_ = true;
    }
    ShortestJob::remove(*entry);
    return entry;
  }

  void account(Entry& entry, u64 ran, Stop why, u64 now) noexcept override {
    Bursts& bursts = *entry.bursts;
    bursts.current = bursts.current + ran < ran ? ~u64{0} : bursts.current + ran;
    if (why == Stop::preempted) return append(entry, now);
    bursts.average = bursts.average == 0 ? bursts.current : bursts.average / 2 + bursts.current / 2;
    bursts.current = 0;
  }

  void remove(Entry& entry) noexcept override {
    const u32 bucket = u32{entry.level} * 64 + entry.slot;
    buckets_[bucket].remove(entry);
    if (buckets_[bucket].empty()) {
      bits_[entry.level] &= ~(u64{1} << entry.slot);
      if (bits_[entry.level] == 0) words_ &= ~(1u << entry.level);
    }
    const Bursts& bursts = *entry.bursts;
    (bursts.older != nullptr ? bursts.older->bursts->newer : oldest_) = bursts.newer;
    (bursts.newer != nullptr ? bursts.newer->bursts->older : newest_) = bursts.older;
    entry.queued = false;
    --size_;
  }

 private:
  [[nodiscard]] u64 expected(const Entry& entry) const noexcept {
    const Bursts& bursts = *entry.bursts;
    u64 total = bursts.length != 0 ? bursts.length : bursts.average;
    if (total == 0) total = slice_;
    return total > bursts.current ? total - bursts.current : bursts.current;
  }

  void append(Entry& entry, u64 now) noexcept {
    const u32 bucket = bucket_of(expected(entry));
    entry.level = static_cast<u8>(bucket / 64);
    entry.slot = static_cast<u8>(bucket % 64);
    entry.key = now;
    buckets_[bucket].push_back(entry);
    bits_[entry.level] |= u64{1} << entry.slot;
    words_ |= 1u << entry.level;
    entry.bursts->older = newest_;
    entry.bursts->newer = nullptr;
    (newest_ != nullptr ? newest_->bursts->newer : oldest_) = &entry;
    newest_ = &entry;
    entry.queued = true;
    ++size_;
  }

  u32 words_ = 0;  // bit n: bits_[n] isn't 0
  bool picked_late_ = false;
  u64 bits_[bucket_count / 64] = {};
  Ring buckets_[bucket_count];
  Entry* oldest_ = nullptr;
  Entry* newest_ = nullptr;
};

}  // namespace

std::unique_ptr<Policy> make_sjf() { return std::make_unique<ShortestJob>(); }

}  // namespace atollvm::policy
