// Messages, and the mailboxes that they wait in.
#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <vector>

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
  ~Parcel() {
    if (charged != nullptr) charged->give(handles.size() - moved);
  }
  Parcel(const Parcel&) = delete;
  Parcel& operator=(const Parcel&) = delete;

  std::vector<cap::Capability> handles;
  usize moved = 0;      // of these, the first ones: their charge has moved on with them
  cap::Meter* charged;  // null: what they are charged is somebody else's
};

// Its bytes follow it in memory.
struct Message {
  Message* next = nullptr;
  Pid sender = 0;
  u64 reference = 0;  // of the monitor that a tag_down is about
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
};

struct MailboxLimits {
  u64 bytes = 64 << 20;
  u32 messages = 100'000;
  u32 handles = 1024;  // as many as the receiver may have open itself
  Overflow overflow = Overflow::refuse;
};

// First in, first out, with a private part that the receiver may search at leisure and a part where
// others append. What is called "shared" is done under the lock of the receiver's place in the
// Table; the rest by the receiver alone.
class Mailbox {
 public:
  explicit Mailbox(const MailboxLimits& limits) : limits_(limits) {}
  ~Mailbox();
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  [[nodiscard]] const MailboxLimits& limits() const { return limits_; }
  // Shared. Whether a message may be appended.
  [[nodiscard]] bool has_room(const Message& message) const {
    return messages() < limits_.messages && bytes() + message.charge() <= limits_.bytes &&
           handles() + u64{message.handle_count()} <= limits_.handles;
  }
  // Shared. Whether there are more than max_system_messages beyond the limit.
  [[nodiscard]] bool is_flooded() const {
    return messages() >= u64{limits_.messages} + max_system_messages;
  }
  // Shared. Charges the machine's memory for a message to be appended; where it `must`, also beyond
  // the limit. False: there is no room, and nothing changed. A mailbox's first free_bytes are
  // charged with its process; one that has grown is charged up to an eighth ahead.
  bool pay(cap::Meter& memory, const Message& message, bool must = false);
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
  // The receiver's: takes out the tag_down of a monitor, if it is there.
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

 private:
  static constexpr u64 free_bytes = 256;

  void count_out(const Message& message);
  void give_back(cap::Meter& memory, bool ahead);

  std::atomic<Message*> arrived_{nullptr};  // where others append
  Message* last_arrived_ = nullptr;
  Message* first_ = nullptr;  // the receiver's
  Message* last_ = nullptr;
  Message* seen_ = nullptr;    // the last that find() passed; null: none
  Message* before_ = nullptr;  // the one before what find() gave
  u32 appended_ = 0;
  std::atomic<u32> removed_{0};
  u32 appended_handles_ = 0;
  std::atomic<u32> removed_handles_{0};
  u64 appended_bytes_ = 0;
  std::atomic<u64> removed_bytes_{0};
  u64 paid_ = 0;  // bytes beyond free_bytes
  MailboxLimits limits_;
};

}  // namespace atollvm::sched
