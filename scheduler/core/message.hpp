// Messages, and the mailboxes that they wait in.
#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "vm/base/blocks.hpp"
#include "vm/base/types.hpp"
#include "vm/cap/account.hpp"
#include "vm/cap/object.hpp"

namespace atollvm::sched {

// {generation:31, index:32} of a process's place in the Table; positive as an i64. 0: none.
using Pid = u64;

using Tag = i32;
// Guests send tags from 0 on; these are the system's. Part of the guest interface.
inline constexpr Tag tag_any = INT32_MIN;  // receive: whatever comes
inline constexpr Tag tag_exit = -1;        // a linked process ended
inline constexpr Tag tag_down = -2;        // a monitored process ended

inline constexpr u32 max_message_bytes = 16 << 20;
inline constexpr u32 max_message_handles = 8;
// The system's that may lie in one mailbox: as many as a machine has processes, usually.
inline constexpr u32 max_system_messages = 1 << 20;

// Handles on their way. They are charged to a machine all the time.
struct Parcel {
  explicit Parcel(cap::Meter* meter) : charged(meter) {}
  ~Parcel();
  Parcel(const Parcel&) = delete;
  Parcel& operator=(const Parcel&) = delete;

  std::vector<cap::Capability> handles;
  usize moved = 0;      // of these, the first ones: their charge has moved on with them
  cap::Meter* charged;  // null: what they are charged is somebody else's
};

// What messages take of a mailbox.
struct Load {
  u64 bytes = 0;
  u32 messages = 0;
  u32 handles = 0;

  Load& operator+=(const Load& more) {
    bytes += more.bytes;
    messages += more.messages;
    handles += more.handles;
    return *this;
  }
  Load& operator-=(const Load& less) {
    bytes -= less.bytes;
    messages -= less.messages;
    handles -= less.handles;
    return *this;
  }
  friend Load operator+(Load a, const Load& b) { return a += b; }
};

// Its bytes follow it in memory.
struct Message {
  Message* next = nullptr;
  Pid sender = 0;
  u64 reference = 0;  // of the monitor that it is about; 0: of none
  Tag tag = 0;
  u32 size = 0;                    // bytes
  std::unique_ptr<Parcel> parcel;  // null: no handles

  [[nodiscard]] u8* bytes() { return reinterpret_cast<u8*>(this + 1); }
  [[nodiscard]] const u8* bytes() const { return reinterpret_cast<const u8*>(this + 1); }
  [[nodiscard]] u32 handle_count() const {
    return parcel == nullptr ? 0 : static_cast<u32>(parcel->handles.size());
  }
  // What it counts against the limit of a mailbox.
  [[nodiscard]] u64 charge() const { return sizeof(Message) + size; }
  [[nodiscard]] Load load() const { return load_of(size, handle_count()); }
  // Of one with so many bytes and handles.
  static Load load_of(u32 size, u32 handles) { return {sizeof(Message) + size, 1, handles}; }
  // Null: the host has no memory.
  static Message* make(u32 size) noexcept;
  static void destroy(Message* message) noexcept;
};

struct DestroyMessage {
  void operator()(Message* message) const noexcept { Message::destroy(message); }
};
using MessagePtr = std::unique_ptr<Message, DestroyMessage>;

// What happens to a message that a mailbox has no room for. Part of the guest interface.
enum class Overflow : u8 {
  refuse = 0,  // the sender gets an error
  newest = 1,  // it is dropped
  oldest = 2,  // the oldest ones are dropped until it fits
  kill = 3,    // the receiver ends
  wait = 4,    // the sender waits until there is room
};

struct MailboxLimits {
  u64 bytes = 64 << 20;
  u32 messages = 100'000;
  u32 handles = 1024;  // as many as the receiver may have open itself
  Overflow overflow = Overflow::refuse;
  bool operator==(const MailboxLimits&) const = default;

  [[nodiscard]] bool allow(const Load& load) const {
    return load.messages <= messages && load.bytes <= bytes && load.handles <= handles;
  }
  [[nodiscard]] MailboxLimits half() const {
    return {bytes / 2, messages / 2, handles / 2, overflow};
  }
};

// First in, first out, with a private part that the receiver may search at leisure and a part where
// others append. What is called "shared" is done under the lock of the receiver's place in the
// Table; the rest by the receiver alone.
class Mailbox {
 public:
  Mailbox() = default;
  ~Mailbox();
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  // Shared. Whether a message may be appended.
  [[nodiscard]] bool has_room(const Message& message, const MailboxLimits& limits) const {
    return messages() < limits.messages && bytes() + message.charge() <= limits.bytes &&
           (message.parcel == nullptr || handles() + u64{message.handle_count()} <= limits.handles);
  }
  // Shared. Whether there are more than max_system_messages beyond the limit.
  [[nodiscard]] bool is_flooded(const MailboxLimits& limits) const {
    return messages() >= u64{limits.messages} + max_system_messages;
  }
  // Shared. Charges the machine's memory for a message to be appended; where it `must`, also beyond
  // the limit. False: there is no room, and nothing changed. A mailbox's first free_bytes are
  // charged with its process; one that has grown is charged up to an eighth ahead.
  bool pay(cap::Meter& memory, const Message& message, bool must = false) {
    return bytes() + message.charge() <= free_bytes + paid_ || pay_more(memory, message, must);
  }
  // Shared. Gives back what is charged for more than lies here; `ahead`: not all of it, while
  // messages come and go.
  void settle(cap::Meter& memory, bool ahead) {
    if (paid_ != 0) give_back(memory, ahead);
  }
  [[nodiscard]] u64 paid() const { return paid_; }
  // Takes what lies here as paid for, and gives that.
  u64 count_paid() { return paid_ = std::max(bytes(), free_bytes) - free_bytes; }
  // Shared. Appends without asking whether there is room.
  void append(MessagePtr message);
  // Shared, where the overflow rule is `oldest`: takes the oldest message out. Null: there is none.
  MessagePtr take_oldest();
  // Shared. Whether something was appended that find() has not seen.
  [[nodiscard]] bool has_news() const {
    return arrived_.load(std::memory_order_relaxed) != nullptr;
  }
  // Shared: hands what was appended over to the receiver.
  void collect();

  // The receiver's. Looks at up to `budget` messages after the last one that it looked at, since
  // rewind(); null: none has the tag. `budget` counts down; 0 afterwards: it was not enough.
  Message* find(Tag tag, u32& budget);
  // The receiver's: takes out what find() gave last.
  MessagePtr take();
  // The receiver's: takes out the message that a monitor brought, if it is there.
  void drop_down(u64 reference);
  void rewind() { seen_ = nullptr; }
  // When nobody appends any more: destroys messages. `budget` counts down; false: it was not
  // enough.
  bool drop(u32& budget);

  // All messages in their order. While nobody sends or receives.
  template <class Visit>
  void for_each(const Visit& visit) const {
    for (const Message* each = first_; each != nullptr; each = each->next) visit(*each);
    for (const Message* each = arrived_.load(std::memory_order_relaxed); each != nullptr;
         each = each->next) {
      visit(*each);
    }
  }

  // As of now, from any thread.
  [[nodiscard]] u32 messages() const {
    return appended_ - removed_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] u32 handles() const {
    return appended_handles_ - removed_handles_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] u64 bytes() const {
    return appended_bytes_ - removed_bytes_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] Load load() const { return {bytes(), messages(), handles()}; }

 private:
  static constexpr u64 free_bytes = 256;

  void count_out(const Message& message);
  bool pay_more(cap::Meter& memory, const Message& message, bool must);
  void give_back(cap::Meter& memory, bool ahead);

  std::atomic<Message*> arrived_{nullptr};  // where others append
  Message* last_arrived_ = nullptr;
  Message* first_ = nullptr;  // the receiver's
  Message* last_ = nullptr;
  Message* seen_ = nullptr;  // the last that find() passed; null: none
  u32 appended_ = 0;
  std::atomic<u32> removed_{0};
  u32 appended_handles_ = 0;
  std::atomic<u32> removed_handles_{0};
  u64 appended_bytes_ = 0;
  std::atomic<u64> removed_bytes_{0};
  u64 paid_ = 0;  // bytes beyond free_bytes
};

// --- Short and often called ---

inline Message* Message::make(u32 size) noexcept {
  void* const place = base::take_block(sizeof(Message) + size);
  if (place == nullptr) return nullptr;
  Message* const message = new (place) Message;
  message->size = size;
  return message;
}

inline void Message::destroy(Message* message) noexcept {
  const usize size = sizeof(Message) + message->size;
  message->~Message();
  base::give_block(message, size);
}

inline void Mailbox::append(MessagePtr message) {
  ++appended_;
  appended_bytes_ += message->charge();
  if (message->parcel != nullptr) appended_handles_ += message->handle_count();
  Message* const added = message.release();
  if (has_news()) {
    last_arrived_->next = added;
  } else {
    arrived_.store(added, std::memory_order_relaxed);
  }
  last_arrived_ = added;
}

inline void Mailbox::collect() {
  Message* const added = arrived_.load(std::memory_order_relaxed);
  if (added == nullptr) return;
  (first_ == nullptr ? first_ : last_->next) = added;
  last_ = last_arrived_;
  arrived_.store(nullptr, std::memory_order_relaxed);
}

// Only the receiver removes, or others under its lock where nothing is private: so one at a time.
inline void Mailbox::count_out(const Message& message) {
  removed_.store(removed_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  removed_bytes_.store(removed_bytes_.load(std::memory_order_relaxed) + message.charge(),
                       std::memory_order_relaxed);
  if (message.parcel == nullptr) return;
  removed_handles_.store(removed_handles_.load(std::memory_order_relaxed) + message.handle_count(),
                         std::memory_order_relaxed);
}

inline Message* Mailbox::find(Tag tag, u32& budget) {
  for (Message* each = seen_ == nullptr ? first_ : seen_->next; each != nullptr;
       each = each->next) {
    if (tag == tag_any || each->tag == tag) return each;
    seen_ = each;
    if (--budget == 0) return nullptr;
  }
  return nullptr;
}

inline MessagePtr Mailbox::take() {
  Message*& link = seen_ == nullptr ? first_ : seen_->next;
  Message* const found = link;
  link = found->next;
  if (last_ == found) last_ = seen_;
  rewind();
  count_out(*found);
  return MessagePtr(found);
}

}  // namespace atollvm::sched
