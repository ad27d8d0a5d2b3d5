// A virtual network in real time, used by many threads: its lock, its clock, and who waits.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "stdlib/vnet/fabric.hpp"
#include "vm/cap/account.hpp"

namespace atollvm::vnet {

// Any thread.
class Live final : public std::enable_shared_from_this<Live> {
 public:
  explicit Live(u64 seed, usize mtu = Fabric::default_mtu);
  ~Live();
  Live(const Live&) = delete;
  Live& operator=(const Live&) = delete;

  // The fabric's lock. When it is taken, and again before it is given up, what is due happens; who
  // is woken by that is told afterwards, on this thread. One at a time in a thread.
  class Turn {
   public:
    explicit Turn(Live& live);
    ~Turn();
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    Fabric* operator->() const { return &live_.fabric_; }
    Fabric& operator*() const { return live_.fabric_; }

   private:
    Live& live_;
    std::unique_lock<std::mutex> lock_;
  };

  // Has something called when the lock is given up. With the lock held.
  void call_later(std::function<void()> call) { calls_.push_back(std::move(call)); }
  // Monotonic ns at which the fabric's time is 0.
  [[nodiscard]] u64 began() const { return began_; }

 private:
  // In one turn; what is left is the clock's.
  static constexpr u64 most_events = 4096;

  void catch_up();
  void tick();

  const u64 began_;
  std::mutex mutex_;
  Fabric fabric_;
  std::vector<std::function<void()>> calls_;
  // The clock, a thread from the first event that is in the future on.
  std::condition_variable news_;
  u64 planned_ = 0;  // the fabric's time at which it looks again; ~0: when it is told to
  bool is_over_ = false;
  std::thread clock_;
  bool* is_gone_ = nullptr;  // of the clock, while it calls: its own calls may end all this
};

// A stack as what networks of guests get their sockets from.
class Attachment final : public net::Provider, public std::enable_shared_from_this<Attachment> {
 public:
  Attachment(std::shared_ptr<Live> live, Stack& stack) : live_(std::move(live)), stack_(&stack) {}

  Outcome<std::shared_ptr<net::Socket>> open(const std::shared_ptr<net::Network>& network,
                                             Family family, net::Type type) override;
  std::vector<Address> resolve(const std::string& name) override;
  // Who is charged for buffers from now on; before, nobody is.
  void charge_to(std::shared_ptr<cap::Account> account);
  // Ends the stack with all its sockets: these give errors from now on.
  void remove();

  [[nodiscard]] Live& live() const { return *live_; }
  // Null when it was removed. With the lock held.
  [[nodiscard]] Stack* stack() const { return stack_; }
  // Nothing: there is no room for a socket's buffers.
  struct Charge {
    std::optional<cap::LastingCharge> memory{};
  };
  std::optional<Charge> charge(u64 bytes) const;

 private:
  const std::shared_ptr<Live> live_;
  Stack* stack_;
  std::shared_ptr<cap::Account> account_;
};

}  // namespace atollvm::vnet
