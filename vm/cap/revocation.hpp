// Taking capabilities away again: a revoker, and what a capability knows of the revokers that it
// depends on. Any thread.
#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "vm/base/types.hpp"

namespace atollvm::cap {

// The revokers that a capability depends on: any of them takes it away, for ever. Immutable, and
// shared by the capabilities that were made of one.
class Revocation {
 public:
  // What a revoker and the capabilities that depend on it share.
  struct State {
    std::atomic<bool> is_revoked = false;
    std::atomic<bool> has_revoker = true;  // so it can still be
  };
  using Switch = std::shared_ptr<const State>;
  // More revokers than this can't be over one capability.
  static constexpr usize max_switches = 16;

  explicit Revocation(Switch one) : switches_{std::move(one)} {}
  // At most max_switches.
  explicit Revocation(std::vector<Switch> all) : switches_(std::move(all)) {}

  [[nodiscard]] std::span<const Switch> switches() const { return switches_; }

  [[nodiscard]] bool is_revoked() const {
    return std::any_of(switches_.begin(), switches_.end(), [](const Switch& each) {
      return each->is_revoked.load(std::memory_order_acquire);
    });
  }

  // What depends on all that two others (null: on none) depend on. Nothing: those are too many.
  static std::optional<std::shared_ptr<const Revocation>> both(
      const std::shared_ptr<const Revocation>& one,
      const std::shared_ptr<const Revocation>& other) {
    if (other == nullptr || one == other) return one;
    if (one == nullptr) return other;
    auto all = std::make_shared<Revocation>(*one);
    for (const Switch& each : other->switches_) {
      if (std::find(all->switches_.begin(), all->switches_.end(), each) == all->switches_.end()) {
        all->switches_.push_back(each);
      }
    }
    if (all->switches_.size() > max_switches) return std::nullopt;
    return all;
  }

 private:
  std::vector<Switch> switches_;
};

}  // namespace atollvm::cap
