#include "vm/runtime/strips.hpp"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstring>
#include <mutex>
#include <new>
#include <numeric>
#include <span>
#include <utility>

#include "vm/base/poison.hpp"

namespace atollvm::runtime {

namespace {

constexpr u64 smallest_size = 16 << 10;
constexpr u64 largest_size = 1 << 20;
// A size's first strip has 1 MiB or 4 slots; each further one as much as all before, up to this.
constexpr u64 first_strip_bytes = 1 << 20;
constexpr u64 largest_strip_bytes = 64 << 20;
constexpr u64 most_waiting_bytes = 4 << 20;
constexpr u64 most_empty_bytes = 64 << 20;

// A set of a strip's slots.
class SlotSet {
 public:
  [[nodiscard]] bool empty() const { return words_used_ == 0; }
  void add(u64 slot) {
    words_[slot / 64] |= u64{1} << slot % 64;
    words_used_ |= u64{1} << slot / 64;
  }
  // Removes the least; the set is not empty.
  u64 take_least() {
    const int word = std::countr_zero(words_used_);
    const int bit = std::countr_zero(words_[word]);
    words_[word] &= words_[word] - 1;
    if (words_[word] == 0) words_used_ &= words_used_ - 1;
    return static_cast<u64>(word) * 64 + static_cast<u64>(bit);
  }

 private:
  u64 words_used_ = 0;  // a bit for each word that is not 0
  std::array<u64, largest_strip_bytes / smallest_size / 64> words_{};
};
static_assert(largest_strip_bytes / smallest_size / 64 <= 64);

}  // namespace

// Guarded by its size's mutex, but for what never changes.
struct Strip {
  // Its place in one of its size's lists.
  struct Place {
    Strip* before = nullptr;
    Strip* after = nullptr;
    bool is_in = false;
  };

  class SlotSize* owner;
  u8* base;
  u64 slots;
  u64 taken = 0;
  u64 waiting_count = 0;
  u64 discarding = 0;     // slots, by threads that do not hold the mutex
  bool is_empty = false;  // nothing is taken or being discarded: its owner counts it
  SlotSet zero{};
  SlotSet waiting{};
  Place with_zero{};
  Place with_waiting{};
};

namespace {

template <Strip::Place Strip::* place>
class StripList {
 public:
  [[nodiscard]] Strip* front() const { return front_; }
  void push_front(Strip* strip) {
    if ((strip->*place).is_in) return;
    strip->*place = {nullptr, front_, true};
    (front_ != nullptr ? (front_->*place).before : back_) = strip;
    front_ = strip;
  }
  void push_back(Strip* strip) {
    if ((strip->*place).is_in) return;
    strip->*place = {back_, nullptr, true};
    (back_ != nullptr ? (back_->*place).after : front_) = strip;
    back_ = strip;
  }
  void remove(Strip* strip) {
    const Strip::Place at = strip->*place;
    if (!at.is_in) return;
    (at.before != nullptr ? (at.before->*place).after : front_) = at.after;
    (at.after != nullptr ? (at.after->*place).before : back_) = at.before;
    strip->*place = {};
  }

 private:
  Strip* front_ = nullptr;
  Strip* back_ = nullptr;
};

// Makes a range of a strip zero, of which nothing is in use.
void discard(const iovec& range) {
  // Whether the kernel's advice does what Linux says: qemu-user before 7.1 takes it and does
  // nothing. Found out by the first discard.
  enum class Advice : u8 { unknown, works, ignored };
  static std::atomic<Advice> advice = Advice::unknown;

  u8* const at = static_cast<u8*>(range.iov_base);
  const Advice known = advice.load(std::memory_order_relaxed);
  if (known == Advice::unknown) *static_cast<volatile u8*>(at) = 1;
  // It is refused for locked pages.
  bool done = known != Advice::ignored && madvise(at, range.iov_len, MADV_DONTNEED) == 0;
  if (done && known == Advice::unknown) {
    done = *static_cast<volatile u8*>(at) == 0;
    advice.store(done ? Advice::works : Advice::ignored, std::memory_order_relaxed);
  }
  if (!done) std::memset(at, 0, range.iov_len);
}

void discard(std::span<iovec> ranges) {
  for (const iovec& range : ranges) base::unpoison(range.iov_base, range.iov_len);
  // At once: since Linux 6.14 the process may name itself so, and since 6.13 advise itself
  // anything.
  constexpr int self = -10000;  // PIDFD_SELF
  const auto total =
      std::accumulate(ranges.begin(), ranges.end(), u64{0},
                      [](u64 sum, const iovec& range) { return sum + range.iov_len; });
  const bool done =
      ranges.size() > 1 && syscall(SYS_process_madvise, self, ranges.data(), ranges.size(),
                                   MADV_DONTNEED, 0) == static_cast<long>(total);
  for (const iovec& range : ranges) {
    if (!done) discard(range);
    base::poison(range.iov_base, range.iov_len);
  }
}

}  // namespace

// The strips of one size of slots.
class SlotSize {
 public:
  void set_size(u64 bytes) { bytes_ = bytes; }
  StripSlot take();
  void release(Strip* strip, u8* base);
  void add_usage(StripUsage& usage);

 private:
  using Lock = std::unique_lock<std::mutex>;

  bool add_strip();
  void discard_waiting(Lock& lock);
  void note_empty(Strip* strip, Lock& lock);
  bool unmap(Strip* strip, Lock& lock);

  std::mutex mutex_;
  u64 bytes_ = 0;  // of a slot
  StripList<&Strip::with_zero> with_zero_;
  StripList<&Strip::with_waiting> with_waiting_;
  u64 waiting_ = 0;  // slots
  u64 taken_ = 0;    // slots
  u64 strips_ = 0;
  u64 reserved_ = 0;     // bytes
  u64 empty_bytes_ = 0;  // of strips of which nothing is taken
};

StripSlot SlotSize::take() {
  Lock lock(mutex_);
  // Waiting slots are the last resort: one by one they cost a call of the kernel each.
  if (with_zero_.front() == nullptr && !add_strip()) discard_waiting(lock);
  Strip* const strip = with_zero_.front();
  if (strip == nullptr) return {};
  const u64 slot = strip->zero.take_least();
  if (strip->zero.empty()) with_zero_.remove(strip);
  if (strip->is_empty) {
    strip->is_empty = false;
    empty_bytes_ -= strip->slots * bytes_;
  }
  ++strip->taken;
  ++taken_;
  return {strip->base + slot * bytes_, bytes_, strip};
}

void SlotSize::release(Strip* strip, u8* base) {
  base::poison(base, bytes_);
  Lock lock(mutex_);
  strip->waiting.add(static_cast<u64>(base - strip->base) / bytes_);
  with_waiting_.push_back(strip);
  ++strip->waiting_count;
  ++waiting_;
  --strip->taken;
  --taken_;
  if (strip->taken == 0) note_empty(strip, lock);
  if (waiting_ * bytes_ >= most_waiting_bytes) discard_waiting(lock);
}

// A new strip, all of it zero. False: the host has no address space for a single slot.
bool SlotSize::add_strip() {
  const u64 least = std::max(first_strip_bytes, 4 * bytes_);
  u64 bytes = std::clamp(std::bit_floor(reserved_), least, largest_strip_bytes);
  void* base = MAP_FAILED;
  for (;; bytes /= 2) {
    base = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                -1, 0);
    if (base != MAP_FAILED || bytes == bytes_) break;
  }
  if (base == MAP_FAILED) return false;
  Strip* const strip = new (std::nothrow)
      Strip{.owner = this, .base = static_cast<u8*>(base), .slots = bytes / bytes_};
  if (strip == nullptr) {
    munmap(base, bytes);
    return false;
  }
  // One touched byte must cost a page of 4 KiB and not one of 2 MiB. A kernel without huge pages
  // refuses.
  madvise(base, bytes, MADV_NOHUGEPAGE);
  base::poison(base, bytes);
  for (u64 slot = 0; slot < strip->slots; ++slot) strip->zero.add(slot);
  with_zero_.push_front(strip);
  ++strips_;
  reserved_ += bytes;
  return true;
}

// The lock is open while the kernel works: other threads go on taking and releasing.
void SlotSize::discard_waiting(Lock& lock) {
  // What others release meanwhile is theirs to discard.
  for (u64 left = waiting_; left > 0 && with_waiting_.front() != nullptr;) {
    std::array<std::pair<Strip*, u64>, most_waiting_bytes / smallest_size> batch;
    std::array<iovec, batch.size()> ranges;
    u64 count = 0;
    u64 range_count = 0;
    for (Strip* strip; count < batch.size() && (strip = with_waiting_.front()) != nullptr;) {
      const u64 slot = strip->waiting.take_least();
      if (strip->waiting.empty()) with_waiting_.remove(strip);
      --strip->waiting_count;
      ++strip->discarding;
      batch[count++] = {strip, slot};
      u8* const at = strip->base + slot * bytes_;
      iovec* const last = range_count > 0 ? &ranges[range_count - 1] : nullptr;
      if (last != nullptr && static_cast<u8*>(last->iov_base) + last->iov_len == at) {
        last->iov_len += bytes_;
      } else {
        ranges[range_count++] = {at, bytes_};
      }
    }
    waiting_ -= count;
    left -= std::min(left, count);
    lock.unlock();
    discard(std::span(ranges.data(), range_count));
    lock.lock();
    for (const auto& [strip, slot] : std::span(batch.data(), count)) {
      strip->zero.add(slot);
      --strip->discarding;
      if (strip->taken > 0) {
        with_zero_.push_front(strip);
      } else {
        with_zero_.push_back(strip);
        note_empty(strip, lock);
      }
    }
  }
}

// For a strip of which nothing is taken. It may be gone afterwards.
void SlotSize::note_empty(Strip* strip, Lock& lock) {
  if (strip->discarding > 0 || strip->is_empty) return;
  const u64 bytes = strip->slots * bytes_;
  strip->is_empty = true;
  empty_bytes_ += bytes;
  with_zero_.remove(strip);
  if (empty_bytes_ > most_empty_bytes && unmap(strip, lock)) return;
  // Others before it, so that it stays empty.
  if (!strip->zero.empty()) with_zero_.push_back(strip);
}

// False: the kernel had to split a mapping, and has too many.
bool SlotSize::unmap(Strip* strip, Lock& lock) {
  const u64 bytes = strip->slots * bytes_;
  with_waiting_.remove(strip);
  lock.unlock();
  base::unpoison(strip->base, bytes);
  const bool done = munmap(strip->base, bytes) == 0;
  if (!done) base::poison(strip->base, bytes);
  lock.lock();
  if (!done) {
    if (!strip->waiting.empty()) with_waiting_.push_back(strip);
    return false;
  }
  empty_bytes_ -= bytes;
  reserved_ -= bytes;
  waiting_ -= strip->waiting_count;
  --strips_;
  delete strip;
  return true;
}

void SlotSize::add_usage(StripUsage& usage) {
  const Lock lock(mutex_);
  usage.strips += strips_;
  usage.reserved += reserved_;
  usage.taken += taken_;
  usage.waiting += waiting_;
}

namespace {

// Sizes from `smallest` on, each twice the one before.
class Pool {
 public:
  Pool() {
    for (u64 i = 0; i < sizes_.size(); ++i) sizes_[i].set_size(smallest_ << i);
  }
  SlotSize& size_for(u64 bytes) {
    return sizes_[std::bit_width((std::max(bytes, smallest_) - 1) / smallest_)];
  }
  [[nodiscard]] u64 largest() const { return smallest_ <= largest_size ? largest_size : 0; }
  StripUsage usage() {
    StripUsage usage;
    for (SlotSize& size : sizes_) size.add_usage(usage);
    return usage;
  }

 private:
  u64 smallest_ = std::max(smallest_size, static_cast<u64>(sysconf(_SC_PAGESIZE)));
  std::array<SlotSize, std::bit_width(largest_size / smallest_size)> sizes_;
};

// Never destroyed: memories may be released after the end of main().
Pool& pool() {
  static Pool& only = *new Pool;
  return only;
}

}  // namespace

u64 largest_strip_slot() { return pool().largest(); }

StripSlot take_strip_slot(u64 bytes) { return pool().size_for(bytes).take(); }

void release_strip_slot(Strip* strip, u8* base) { strip->owner->release(strip, base); }

StripUsage strip_usage() { return pool().usage(); }

}  // namespace atollvm::runtime
