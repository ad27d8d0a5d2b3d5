// Nodes, what they are joined by, and how a packet finds its next hop.
#pragma once

#include <string>
#include <unordered_map>

#include "stdlib/vnet/link.hpp"

namespace atollvm::vnet {

class Fabric;
class Node;
class Switch;

// What sees packets: `now` is virtual time.
using Capture = std::function<void(u64 now, Span packet)>;

// A NIC with its link to a switch.
class Port {
 public:
  Port(Fabric& fabric, Node& node, Switch& at);

  [[nodiscard]] Node& node() const { return node_; }
  [[nodiscard]] Switch& at() const { return at_; }
  [[nodiscard]] bool has(const Address& address) const;
  // Its address of a family; nothing: it has none.
  [[nodiscard]] const std::optional<Address>& address(Family family) const {
    return family == Family::v4 ? v4_ : v6_;
  }
  [[nodiscard]] Direction& to_switch() { return to_switch_; }
  [[nodiscard]] Direction& from_switch() { return from_switch_; }
  [[nodiscard]] const Direction& to_switch() const { return to_switch_; }
  [[nodiscard]] const Direction& from_switch() const { return from_switch_; }
  // "NODE-SWITCH".
  [[nodiscard]] std::string name() const;

  // To the port that has `hop`. False: none has.
  bool send(Packet&& packet, const Address& hop);

 private:
  friend class Fabric;
  void cross(Packet&& packet);
  void arrive(Packet&& packet);
  void see(Packet& packet, const Capture& capture) const;

  Fabric& fabric_;
  Node& node_;
  Switch& at_;
  std::optional<Address> v4_;
  std::optional<Address> v6_;
  Capture capture_;
  Direction to_switch_;
  Direction from_switch_;
};

class Switch {
 public:
  Switch(std::string name, std::vector<net::Prefix> prefixes)
      : name_(std::move(name)), prefixes_(std::move(prefixes)) {}

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const std::vector<net::Prefix>& prefixes() const { return prefixes_; }
  [[nodiscard]] const std::vector<Port*>& ports() const { return ports_; }
  [[nodiscard]] Port* find(const Address& address) const;

 private:
  friend class Fabric;
  friend class Port;
  const std::string name_;
  const std::vector<net::Prefix> prefixes_;
  std::vector<Port*> ports_;
  std::unordered_map<Address, Port*, AddressHash> by_address_;
  Capture capture_;
};

struct Route {
  net::Prefix prefix;
  std::optional<Address> via;  // nothing: who has the address is at the port itself
  Port* port = nullptr;
};

// A stack or a router.
class Node {
 public:
  enum class Kind : u8 { stack, router };

  Node(Fabric& fabric, Kind kind, std::string name)
      : fabric_(fabric), kind_(kind), name_(std::move(name)) {}
  virtual ~Node() = default;
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  [[nodiscard]] Fabric& fabric() const { return fabric_; }
  [[nodiscard]] Kind kind() const { return kind_; }
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const std::vector<std::unique_ptr<Port>>& ports() const { return ports_; }
  [[nodiscard]] const std::vector<Route>& routes() const { return routes_; }
  // The one with the longest prefix, of several the first; or null.
  [[nodiscard]] const Route* route(const Address& to) const;
  // The port that has an address, or null.
  [[nodiscard]] Port* port_with(const Address& address) const;

  virtual void receive(Port& at, Packet&& packet) = 0;

 protected:
  // Sends by a route, in fragments if it has to. Nothing: it is on its way; else why not.
  std::optional<Unreachable> send_by(const Route& route, const Address& to, Packet&& packet);

 private:
  friend class Fabric;
  Fabric& fabric_;
  const Kind kind_;
  const std::string name_;
  std::vector<std::unique_ptr<Port>> ports_;
  std::vector<Route> routes_;
  u32 identification_ = 0;
};

}  // namespace atollvm::vnet
