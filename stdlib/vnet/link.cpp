#include "stdlib/vnet/link.hpp"

#include <algorithm>
#include <iterator>

namespace atollvm::vnet {
namespace {

constexpr u64 least_hold = 1'000'000;  // ns, of what is reordered

// How long so many bytes take.
u64 sending_time(usize bytes, u64 bandwidth) {
  return bandwidth == 0 ? 0 : (bytes * 8 * 1'000'000'000 + bandwidth - 1) / bandwidth;
}

}  // namespace

void Direction::send(Packet&& packet) {
  if (!settings_.is_clean()) packet.is_clean = false;
  if (settings_.is_down || chance_.happens(settings_.loss)) {
    ++counts_.lost;
    return;
  }
  if (chance_.happens(settings_.duplication)) {
    ++counts_.duplicated;
    depart(Packet(packet));
  }
  depart(std::move(packet));
}

void Direction::depart(Packet&& packet) {
  if (flights_.size() >= settings_.queue) {
    ++counts_.dropped;
    return;
  }
  ++counts_.packets;
  counts_.bytes += packet.bytes.size();
  const u64 now = events_.now();
  busy_until_ = std::max(now, busy_until_) + sending_time(packet.bytes.size(), settings_.bandwidth);
  const u64 latency = std::min(settings_.latency, max_latency);
  const u64 jitter = std::min(settings_.jitter, max_latency);
  // Evenly from latency - jitter to latency + jitter, but not below 0.
  u64 delay = latency;
  if (jitter != 0) {
    const u64 shifted = latency + chance_.below(2 * jitter + 1);
    delay = shifted > jitter ? shifted - jitter : 0;
  }
  u64 arrival = busy_until_ + delay;
  if (chance_.happens(settings_.reordering)) {
    ++counts_.reordered;
    arrival = std::max(arrival, last_arrival_) + 1 + chance_.below(latency + least_hold);
  } else {
    arrival = last_arrival_ = std::max(arrival, last_arrival_);
  }
  bytes_ += packet.bytes.size();
  flights_.emplace_back(*this, std::move(packet));
  flights_.back().place = std::prev(flights_.end());
  flights_.back().set(arrival);
}

void Direction::arrive(Flight& flight) {
  Packet packet = std::move(flight.packet);
  bytes_ -= packet.bytes.size();
  flights_.erase(flight.place);
  deliver_(std::move(packet));
}

void Direction::drop(std::list<Flight>::iterator place) {
  ++counts_.lost;
  bytes_ -= place->packet.bytes.size();
  flights_.erase(place);
}

void Direction::lose(const std::function<bool(const Packet&)>& is_lost) {
  for (auto each = flights_.begin(); each != flights_.end();) {
    const auto place = each++;
    if (is_lost(place->packet)) drop(place);
  }
}

void Direction::set(const LinkSettings& settings) {
  settings_ = settings;
  last_arrival_ = 0;
  busy_until_ = 0;
  if (settings_.is_down) lose([](const Packet&) { return true; });
}

}  // namespace atollvm::vnet
