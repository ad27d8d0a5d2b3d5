#include "scheduler/core/message.hpp"

#include <algorithm>
#include <utility>

namespace atollvm::sched {

Parcel::~Parcel() {
  if (charged != nullptr) charged->give(handles.size() - moved);
}

bool Mailbox::pay_more(cap::Meter& memory, const Message& message, bool must) {
  const u64 needed = bytes() + message.charge();
  // The receiver may have taken something out since pay() looked.
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

void Mailbox::give_back(cap::Meter& memory, bool ahead) {
  const u64 lies = bytes();
  const u64 needed = std::max(lies, free_bytes) - free_bytes;
  if (paid_ <= needed + (ahead ? lies / 4 : 0)) return;
  memory.give(paid_ - needed);
  paid_ = needed;
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

void Mailbox::drop_down(u64 reference) {
  if (reference == 0) return;
  rewind();
  for (Message* each = first_; each != nullptr; seen_ = each, each = each->next) {
    if (each->reference != reference) continue;
    take();
    return;
  }
  rewind();
}

}  // namespace atollvm::sched
