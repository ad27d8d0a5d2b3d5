#include "scheduler/core/message.hpp"

#include <algorithm>
#include <cstdlib>
#include <new>
#include <utility>

namespace atollvm::sched {

Message* Message::make(u32 size) noexcept {
  void* const place = std::malloc(sizeof(Message) + size);
  if (place == nullptr) return nullptr;
  Message* const message = new (place) Message;
  message->size = size;
  return message;
}

void Message::destroy(Message* message) noexcept {
  message->~Message();
  std::free(message);
}

Mailbox::~Mailbox() {
  collect();
  while (first_ != nullptr) Message::destroy(std::exchange(first_, first_->next));
}

bool Mailbox::drop(u32& budget) {
  collect();
  while (first_ != nullptr) {
    if (budget == 0) return false;
    --budget;
    Message::destroy(std::exchange(first_, first_->next));
  }
  return true;
}

bool Mailbox::pay(cap::Meter& memory, const Message& message, bool must) {
  const u64 needed = bytes() + message.charge();
  if (needed <= free_bytes + paid_) return true;
  const u64 least = needed - free_bytes - paid_;
  if (must) {
    memory.add(least);
    paid_ += least;
    return true;
  }
  for (const u64 amount : {least + (needed - message.charge()) / 8, least}) {
    if (!memory.take(amount)) continue;
    paid_ += amount;
    return true;
  }
  return false;
}

void Mailbox::give_back(cap::Meter& memory, bool ahead) {
  const u64 lies = bytes();
  const u64 needed = std::max(lies, free_bytes) - free_bytes;
  if (paid_ <= needed + (ahead ? lies / 4 : 0)) return;
  memory.give(paid_ - needed);
  paid_ = needed;
}

void Mailbox::append(MessagePtr message) {
  ++appended_;
  appended_bytes_ += message->charge();
  appended_handles_ += message->handle_count();
  Message* const added = message.release();
  if (has_news()) {
    last_arrived_->next = added;
  } else {
    arrived_.store(added, std::memory_order_relaxed);
  }
  last_arrived_ = added;
}

void Mailbox::collect() {
  Message* const added = arrived_.load(std::memory_order_relaxed);
  if (added == nullptr) return;
  (first_ == nullptr ? first_ : last_->next) = added;
  last_ = last_arrived_;
  arrived_.store(nullptr, std::memory_order_relaxed);
}

// Only the receiver removes, or others under its lock where nothing is private: so one at a time.
void Mailbox::count_out(const Message& message) {
  removed_.store(removed_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  removed_bytes_.store(removed_bytes_.load(std::memory_order_relaxed) + message.charge(),
                       std::memory_order_relaxed);
  removed_handles_.store(removed_handles_.load(std::memory_order_relaxed) + message.handle_count(),
                         std::memory_order_relaxed);
}

MessagePtr Mailbox::take_oldest() {
  collect();
  if (first_ == nullptr) return nullptr;
  MessagePtr oldest(first_);
  if (seen_ == first_) seen_ = nullptr;
  first_ = first_->next;
  if (first_ == nullptr) last_ = nullptr;
  count_out(*oldest);
  return oldest;
}

Message* Mailbox::find(Tag tag, u32& budget) {
  Message* before = seen_;
  for (Message* each = before == nullptr ? first_ : before->next; each != nullptr;
       before = each, each = each->next) {
    if (tag == tag_any || each->tag == tag) {
      before_ = before;
      return each;
    }
    seen_ = each;
    if (--budget == 0) return nullptr;
  }
  return nullptr;
}

MessagePtr Mailbox::take() {
  Message*& link = before_ == nullptr ? first_ : before_->next;
  Message* const found = link;
  link = found->next;
  if (last_ == found) last_ = before_;
  rewind();
  count_out(*found);
  return MessagePtr(found);
}

void Mailbox::drop_down(u64 reference) {
  Message* before = nullptr;
  for (Message* each = first_; each != nullptr; before = each, each = each->next) {
    if (each->tag != tag_down || each->reference != reference) continue;
    before_ = before;
    take();
    return;
  }
}

}  // namespace atollvm::sched
