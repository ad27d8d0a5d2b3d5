#include "stdlib/vnet/events.hpp"

#include <algorithm>

namespace atollvm::vnet {

Timer::~Timer() { cancel(); }

void Timer::set(u64 at) {
  at_ = std::max(at, events_.now_);
  order_ = events_.order_++;
  if (index_ == unset) {
    events_.heap_.push_back(this);
    index_ = events_.heap_.size() - 1;
  }
  events_.sift(*this, index_);
}

void Timer::cancel() {
  if (index_ == unset) return;
  const usize hole = index_;
  index_ = unset;
  Timer* const last = events_.heap_.back();
  events_.heap_.pop_back();
  if (last != this) events_.sift(*last, hole);
}

bool Events::is_before(const Timer& a, const Timer& b) {
  return a.at_ != b.at_ ? a.at_ < b.at_ : a.order_ < b.order_;
}

void Events::place(Timer& timer, usize index) {
  heap_[index] = &timer;
  timer.index_ = index;
}

void Events::sift(Timer& timer, usize index) {
  while (index > 0 && is_before(timer, *heap_[(index - 1) / 2])) {
    place(*heap_[(index - 1) / 2], index);
    index = (index - 1) / 2;
  }
  while (true) {
    usize child = 2 * index + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && is_before(*heap_[child + 1], *heap_[child])) ++child;
    if (!is_before(*heap_[child], timer)) break;
    place(*heap_[child], index);
    index = child;
  }
  place(timer, index);
}

std::optional<u64> Events::next() const {
  if (heap_.empty()) return std::nullopt;
  return heap_.front()->at_;
}

bool Events::run(u64 until, u64 most) {
  while (!heap_.empty() && heap_.front()->at_ <= until) {
    if (most-- == 0) return false;
    Timer& timer = *heap_.front();
    now_ = std::max(now_, timer.at_);
    timer.cancel();
    timer.due();
  }
  now_ = std::max(now_, until);
  return true;
}

u64 Chance::next() {
  state_ += 0x9e3779b97f4a7c15;
  u64 mixed = state_;
  mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
  mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
  return mixed ^ (mixed >> 31);
}

}  // namespace atollvm::vnet
