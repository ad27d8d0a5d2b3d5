// One direction of a link, with its faults (docs/virtual-networks.md).
#pragma once

#include <functional>
#include <list>
#include <memory>

#include "stdlib/vnet/events.hpp"
#include "stdlib/vnet/packet.hpp"

namespace atollvm::vnet {

class Node;
class Port;
class Stream;

// A packet on its way.
struct Packet {
  Bytes bytes;
  // Whose segment it is, if it is one: the short path is found by it.
  std::weak_ptr<Stream> origin{};
  u64 epoch = 0;                 // of the fabric when it was sent
  bool is_clean = true;          // it has met no fault and no capture
  const Node* sender = nullptr;  // who sent it first
  // The hop that it is on.
  Port* from = nullptr;
  Port* to = nullptr;
};

struct LinkSettings {
  u64 latency = 0;    // ns
  u64 jitter = 0;     // ns, added to or taken from that
  u64 bandwidth = 0;  // bits in a second; 0: unlimited
  u32 queue = 1000;   // packets
  // In a million:
  u32 loss = 0;
  u32 duplication = 0;
  u32 reordering = 0;
  bool is_down = false;

  bool operator==(const LinkSettings&) const = default;
  [[nodiscard]] bool is_clean() const {
    return latency == 0 && jitter == 0 && bandwidth == 0 && loss == 0 && duplication == 0 &&
           reordering == 0 && !is_down;
  }
};
// Latency and jitter are taken as at most this.
inline constexpr u64 max_latency = 3600'000'000'000;

class Direction {
 public:
  using Deliver = std::function<void(Packet&&)>;
  struct Counts {
    u64 packets = 0;
    u64 bytes = 0;
    u64 lost = 0;     // by chance, or because the link or the way was cut
    u64 dropped = 0;  // because the queue was full
    u64 duplicated = 0;
    u64 reordered = 0;
  };

  Direction(Events& events, u64 seed, Deliver deliver)
      : events_(events), chance_(seed), deliver_(std::move(deliver)) {}

  void send(Packet&& packet);
  [[nodiscard]] const LinkSettings& settings() const { return settings_; }
  // What is under way keeps its times, unless the link is down now: then it is lost.
  void set(const LinkSettings& settings);
  // Loses what is under way and of which `is_lost(packet)`.
  void lose(const std::function<bool(const Packet&)>& is_lost);
  [[nodiscard]] const Counts& counts() const { return counts_; }
  // Of what is under way.
  [[nodiscard]] usize bytes() const { return bytes_; }
  [[nodiscard]] usize packets() const { return flights_.size(); }

 private:
  class Flight final : public Timer {
   public:
    Flight(Direction& owner, Packet&& own)
        : Timer(owner.events_), packet(std::move(own)), owner_(owner) {}
    Packet packet;
    std::list<Flight>::iterator place;

   private:
    void due() override { owner_.arrive(*this); }
    Direction& owner_;
  };
  void depart(Packet&& packet);
  void arrive(Flight& flight);
  void drop(std::list<Flight>::iterator place);

  Events& events_;
  Chance chance_;
  const Deliver deliver_;
  LinkSettings settings_;
  Counts counts_;
  std::list<Flight> flights_;
  usize bytes_ = 0;
  u64 busy_until_ = 0;    // sending
  u64 last_arrival_ = 0;  // of what is in order
};

}  // namespace atollvm::vnet
