// What the processes of one machine hold and use together, and how much of it they may.
//
// Whoever takes something charges it first: where there is no room the taking fails, with an
// ordinary error, and nobody else notices. What is held is given back when it goes; what is used up
// (I/O) stays counted. Never more is charged than the limit, but for what can't be refused (see
// add).
//
// A snapshot does not hold an account: Scheduler::adopt charges anew what processes hold.
#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <utility>

#include "vm/base/types.hpp"
#include "vm/cap/rate.hpp"

namespace atollvm::cap {

// One quantity. Any thread.
class Meter {
 public:
  static constexpr u64 unlimited = ~u64{0};

  explicit Meter(u64 limit = unlimited) : limit_(limit) {}

  // Charges so much, or nothing: then it is false.
  bool take(u64 amount) noexcept {
    u64 used = used_.load(std::memory_order_relaxed);
    do {
      if (used > limit_ || amount > limit_ - used) return false;
    } while (!used_.compare_exchange_weak(used, used + amount, std::memory_order_relaxed));
    return true;
  }
  // Charges as much of it as there is room for, and gives that.
  u64 take_some(u64 amount) noexcept {
    u64 used = used_.load(std::memory_order_relaxed);
    u64 taken = 0;
    do {
      taken = std::min(amount, limit_ - std::min(limit_, used));
    } while (!used_.compare_exchange_weak(used, used + taken, std::memory_order_relaxed));
    return taken;
  }
  // Charges what can't be refused.
  void add(u64 amount) noexcept {
    if (amount != 0) used_.fetch_add(amount, std::memory_order_relaxed);
  }
  // Takes back what was charged.
  void give(u64 amount) noexcept {
    if (amount != 0) used_.fetch_sub(amount, std::memory_order_relaxed);
  }

  [[nodiscard]] u64 used() const { return used_.load(std::memory_order_relaxed); }
  [[nodiscard]] u64 limit() const { return limit_; }

 private:
  std::atomic<u64> used_{0};
  const u64 limit_;
};

// A charge that is given back unless it is kept.
class Charge {
 public:
  // Null: nothing is counted.
  Charge(Meter* meter, u64 amount)
      : meter_(amount == 0 ? nullptr : meter),
        amount_(amount),
        is_taken_(meter_ == nullptr || meter_->take(amount)) {}
  ~Charge() {
    if (is_taken_ && meter_ != nullptr) meter_->give(amount_);
  }
  Charge(const Charge&) = delete;
  Charge& operator=(const Charge&) = delete;

  // Whether there was room for it.
  explicit operator bool() const { return is_taken_; }
  void keep() { meter_ = nullptr; }

 private:
  Meter* meter_;
  u64 amount_;
  bool is_taken_;
};

struct AccountLimits {
  u64 memory = Meter::unlimited;
  u64 handles = Meter::unlimited;
  u64 io_bytes = Meter::unlimited;
  u64 io_operations = Meter::unlimited;
  u64 io_bytes_rate = Rate::unlimited;  // a second
  u64 io_operations_rate = Rate::unlimited;
};

struct Account {
  explicit Account(const AccountLimits& limits = {})
      : memory(limits.memory),
        handles(limits.handles),
        io_bytes(limits.io_bytes),
        io_operations(limits.io_operations),
        io_bytes_rate(limits.io_bytes_rate),
        io_operations_rate(limits.io_operations_rate) {}

  // Bytes: records of processes, linear memories, VM stacks, tables, mailboxes, what binds
  // processes to others.
  alignas(64) Meter memory;
  alignas(64) Meter handles;  // open ones, and those in messages
  Meter io_bytes;             // read and written
  Meter io_operations;        // host calls that need a stream, a file or a directory
  // The same, a second.
  Rate io_bytes_rate;
  Rate io_operations_rate;
};

// Charged memory of an account that lives on as long as this: for what may outlast its machine.
class LastingCharge {
 public:
  // False afterwards: there was no room for it.
  LastingCharge(std::shared_ptr<Account> account, u64 bytes)
      : account_(account->memory.take(bytes) ? std::move(account) : nullptr), bytes_(bytes) {}
  ~LastingCharge() {
    if (account_ != nullptr) account_->memory.give(bytes_);
  }
  LastingCharge(LastingCharge&& other) noexcept = default;
  LastingCharge& operator=(LastingCharge&&) = delete;

  explicit operator bool() const { return account_ != nullptr; }
  [[nodiscard]] const Account* account() const { return account_.get(); }

 private:
  std::shared_ptr<Account> account_;
  u64 bytes_;
};

}  // namespace atollvm::cap
