// An intrusive queue: a circular list that costs its owner one pointer.
#pragma once

#include "scheduler/policy/policy.hpp"

namespace atollvm::policy {

class Ring {
 public:
  [[nodiscard]] Node* front() const noexcept { return head_; }
  // Of one that is not empty.
  [[nodiscard]] Node* back() const noexcept { return head_->prev; }
  [[nodiscard]] bool empty() const noexcept { return head_ == nullptr; }

  void push_back(Node& node) noexcept {
    if (head_ == nullptr) {
      node.next = node.prev = head_ = &node;
      return;
    }
    node.next = head_;
    node.prev = head_->prev;
    head_->prev->next = &node;
    head_->prev = &node;
  }
  void push_front(Node& node) noexcept {
    push_back(node);
    head_ = &node;
  }
  void remove(Node& node) noexcept {
    if (node.next == &node) {
      head_ = nullptr;
      return;
    }
    node.prev->next = node.next;
    node.next->prev = node.prev;
    if (head_ == &node) head_ = node.next;
  }

 private:
  Node* head_ = nullptr;
};

}  // namespace atollvm::policy
