#include "stdlib/vnet/live.hpp"

#include <chrono>

#include "stdlib/vnet/virtual_socket.hpp"
#include "vm/base/monotonic.hpp"

namespace atollvm::vnet {

Live::Live(u64 seed, usize mtu) : began_(base::monotonic_ns()), fabric_(seed, mtu) {}

Live::~Live() {
  {
    const std::lock_guard lock(mutex_);
    is_over_ = true;
  }
  news_.notify_all();
  if (clock_.get_id() == std::this_thread::get_id()) {
    *is_gone_ = true;
    clock_.detach();
  } else if (clock_.joinable()) {
    clock_.join();
  }
}

Live::Turn::Turn(Live& live) : live_(live), lock_(live.mutex_) { live_.catch_up(); }

Live::Turn::~Turn() {
  // What was just sent arrives, where nothing keeps it.
  live_.fabric_.run(live_.fabric_.now(), most_events);
  const auto next = live_.fabric_.next();
  if (next && (*next < live_.planned_ || !live_.clock_.joinable())) {
    if (!live_.clock_.joinable()) live_.clock_ = std::thread([live = &live_] { live->tick(); });
    live_.planned_ = *next;
    live_.news_.notify_one();
  }
  std::vector<std::function<void()>> calls;
  calls.swap(live_.calls_);
  lock_.unlock();
  for (const auto& each : calls) each();
}

void Live::catch_up() { fabric_.run(base::monotonic_ns() - began_, most_events); }

void Live::tick() {
  std::vector<std::function<void()>> calls;
  std::unique_lock<std::mutex> lock(mutex_);
  while (!is_over_) {
    catch_up();
    if (!calls_.empty()) {
      calls.swap(calls_);
      bool is_gone = false;
      is_gone_ = &is_gone;
      auto self = weak_from_this().lock();
      lock.unlock();
      for (const auto& each : calls) each();
      calls.clear();
      self.reset();
      if (is_gone) return;
      lock.lock();
      continue;
    }
    const auto next = fabric_.next();
    planned_ = next.value_or(~u64{0});
    const u64 now = base::monotonic_ns() - began_;
    if (!next) {
      news_.wait(lock);
    } else if (*next > now) {
      news_.wait_for(lock, std::chrono::nanoseconds(*next - now));
    }
  }
}

void Attachment::charge_to(std::shared_ptr<cap::Account> account) {
  const Live::Turn turn(*live_);
  account_ = std::move(account);
}

Outcome<std::shared_ptr<net::Socket>> Attachment::open(const std::shared_ptr<net::Network>& network,
                                                       Family family, net::Type type) {
  if (!network->take()) return Errno::nfile;
  auto socket = std::make_shared<VirtualSocket>(network, shared_from_this(), family, type);
  return std::shared_ptr<net::Socket>(std::move(socket));
}

std::vector<Address> Attachment::resolve(const std::string& name) {
  const Live::Turn turn(*live_);
  if (stack_ == nullptr) return {};
  return turn->resolve(*stack_, name);
}

void Attachment::remove() {
  const Live::Turn turn(*live_);
  if (stack_ == nullptr) return;
  turn->remove(*stack_);
  stack_ = nullptr;
}

std::optional<Attachment::Charge> Attachment::charge(u64 bytes) const {
  if (account_ == nullptr) return Charge{};
  cap::LastingCharge memory(account_, bytes);
  if (!memory) return std::nullopt;
  return Charge{std::move(memory)};
}

}  // namespace atollvm::vnet
