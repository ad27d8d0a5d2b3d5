// The processes of one worker that wait until a time: a heap with four children to a node. Each
// knows its place, so that it can be taken out when what it waits for comes first.
#pragma once

#include <utility>
#include <vector>

#include "vm/base/types.hpp"

namespace atollvm::sched {

// T has `u64 deadline` and `u32 timer_place`.
template <class T>
class Timers {
 public:
  static constexpr u64 never = ~u64{0};

  // Nanoseconds; never: nobody waits.
  [[nodiscard]] u64 first() const { return heap_.empty() ? never : heap_.front()->deadline; }
  [[nodiscard]] usize size() const { return heap_.size(); }
  // Throws std::bad_alloc.
  void add(T& item) {
    heap_.push_back(&item);
    up(static_cast<u32>(heap_.size()) - 1, item);
  }
  void remove(T& item) {
    const u32 hole = item.timer_place;
    T& moved = *heap_.back();
    heap_.pop_back();
    if (&moved == &item) return;
    if (hole > 0 && moved.deadline < heap_[(hole - 1) / 4]->deadline) {
      up(hole, moved);
    } else {
      down(hole, moved);
    }
  }
  // The one whose time came first, taken out. Not when empty.
  T& pop() {
    T& item = *heap_.front();
    remove(item);
    return item;
  }

 private:
  void put(u32 place, T& item) {
    heap_[place] = &item;
    item.timer_place = place;
  }
  void up(u32 place, T& item) {
    while (place > 0) {
      const u32 parent = (place - 1) / 4;
      if (heap_[parent]->deadline <= item.deadline) break;
      put(place, *heap_[parent]);
      place = parent;
    }
    put(place, item);
  }
  void down(u32 place, T& item) {
    const u32 size = static_cast<u32>(heap_.size());
    while (true) {
      const u32 begin = place * 4 + 1;
      if (begin >= size) break;
      u32 least = begin;
      for (u32 child = begin + 1; child < size && child < begin + 4; ++child) {
        if (heap_[child]->deadline < heap_[least]->deadline) least = child;
      }
      if (heap_[least]->deadline >= item.deadline) break;
      put(place, *heap_[least]);
      place = least;
    }
    put(place, item);
  }

  std::vector<T*> heap_;
};

}  // namespace atollvm::sched
