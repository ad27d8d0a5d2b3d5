// A virtual network: switches, stacks and routers, names, and the time that they have in common.
// docs/virtual-networks.md has the model. One thread at a time; nothing in it waits.
#pragma once

#include <set>
#include <string_view>

#include "stdlib/vnet/router.hpp"
#include "stdlib/vnet/stack.hpp"
#include "vm/base/result.hpp"

namespace atollvm::vnet {

class Fabric {
 public:
  static constexpr usize default_mtu = 1500;
  static constexpr usize least_mtu = 1280;
  static constexpr usize most_mtu = 65535;
  static constexpr usize max_routes = 256;  // of one node

  // `mtu` is brought into the limits.
  explicit Fabric(u64 seed, usize mtu = default_mtu);

  // --- Making it. Names are canonical (net::canonical_name()), without dots, and of each switch
  // and node another. Errors: usage, with what to do.

  // One prefix of each family at most.
  base::Result<Switch*> add_switch(std::string_view name, std::vector<net::Prefix> prefixes);
  base::Result<Stack*> add_stack(std::string_view name, const StackLimits& limits = {});
  base::Result<Router*> add_router(std::string_view name);
  // A NIC. Of each of the switch's families it has the address that is given, or else the lowest
  // that is free.
  base::Result<Port*> attach(Node& node, Switch& at, std::span<const Address> addresses = {});
  // What goes to `prefix` goes on to `via`, which is on one of the node's networks.
  base::Result<Route> add_route(Node& node, const net::Prefix& prefix, const Address& via);
  // Ends a node, with all its sockets: Stack's connections end with connreset.
  void remove(Node& node);

  [[nodiscard]] Switch* find_switch(std::string_view name) const;
  [[nodiscard]] Node* find_node(std::string_view name) const;
  [[nodiscard]] const std::vector<std::unique_ptr<Switch>>& switches() const { return switches_; }
  [[nodiscard]] const std::vector<std::unique_ptr<Node>>& nodes() const { return nodes_; }
  // The addresses of a canonical name, as a node finds them; none: there is no such name there.
  [[nodiscard]] std::vector<Address> resolve(const Node& asks, std::string_view name) const;

  // --- Time.

  [[nodiscard]] u64 now() const { return events_.now(); }
  // When something is to happen next.
  [[nodiscard]] std::optional<u64> next() const { return events_.next(); }
  // Turns time. At most `most` events: false when there are more.
  bool run(u64 until, u64 most = ~u64{0}) { return events_.run(until, most); }

  // --- Faults and captures, at any time.

  void set_link(Port& port, const LinkSettings& to_switch, const LinkSettings& from_switch);
  // No packet passes from any of `from` to any of `to` any more, and none the other way unless
  // it `is_one_way`.
  void partition(std::span<Node* const> from, std::span<Node* const> to, bool is_one_way = false);
  // Ends these partitions; or all.
  void heal(std::span<Node* const> from, std::span<Node* const> to);
  void heal();
  [[nodiscard]] bool is_cut(const Node& from, const Node& to) const;
  // What a NIC sends and gets, or what comes to a switch. Nothing ends it.
  void capture(Port& port, Capture capture);
  void capture(Switch& at, Capture capture);

  // --- For its parts.

  [[nodiscard]] Events& events() { return events_; }
  [[nodiscard]] usize mtu() const { return mtu_; }
  // Changes with everything that a way depends on.
  [[nodiscard]] u64 epoch() const { return epoch_; }
  void changed() { ++epoch_; }
  [[nodiscard]] u64 seed() const { return seed_; }
  // Another one for each part that asks.
  u64 next_seed();

 private:
  base::Result<std::string> new_name(std::string_view name) const;

  const u64 seed_;
  const usize mtu_;
  u64 epoch_ = 1;
  Chance seeds_;
  Events events_;
  std::vector<std::unique_ptr<Switch>> switches_;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::set<std::pair<const Node*, const Node*>> cuts_;
};

}  // namespace atollvm::vnet
