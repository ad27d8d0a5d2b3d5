#include "stdlib/vnet/fabric.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace atollvm::vnet {
namespace {

using base::Error;
using base::ErrorCode;
using net::Prefix;

constexpr usize max_ports = 65536;      // of a switch
constexpr usize address_tries = 65536;  // for a free address

Error mistake(std::string place, std::string message) {
  return {ErrorCode::usage, std::move(place), std::move(message)};
}

std::string to_text(const Prefix& prefix) {
  return fmt::format("{}/{}", net::to_text(prefix.address), prefix.length);
}

u32 bits_of(Family family) { return family == Family::v4 ? 32 : 128; }

// The address so far behind the first one of a prefix, if that is in it.
std::optional<Address> address_in(const Prefix& prefix, u32 number) {
  Address address = prefix.address;
  for (usize at = bits_of(address.family) / 8; at-- > 0 && number != 0;) {
    const u32 sum = address.bytes[at] + (number & 0xff);
    address.bytes[at] = static_cast<u8>(sum);
    number = (number >> 8) + (sum >> 8);
  }
  if (number != 0 || !net::contains(prefix, address)) return std::nullopt;
  return address;
}

// Neither the network itself, nor what means all of it.
bool is_for_hosts(const Prefix& prefix, const Address& address) {
  if (!net::contains(prefix, address)) return false;
  const u32 bits = bits_of(address.family);
  if (bits - prefix.length < 2) return true;
  if (address == prefix.address) return false;
  if (address.family == Family::v6) return true;
  for (u32 bit = prefix.length; bit < bits; ++bit) {
    if ((address.bytes[bit / 8] & (0x80u >> bit % 8)) == 0) return true;
  }
  return false;
}

}  // namespace

Fabric::Fabric(u64 seed, usize mtu)
    : seed_(seed), mtu_(std::clamp(mtu, least_mtu, most_mtu)), seeds_(seed) {}

u64 Fabric::next_seed() { return seeds_.next(); }

// --- Making it ---

base::Result<std::string> Fabric::new_name(std::string_view name) const {
  const auto canonical = net::canonical_name(name);
  if (!canonical || canonical->find('.') != canonical->npos || net::is_local_name(*canonical)) {
    return mistake(std::string(name),
                   "this can't be a name in a network: take up to 63 letters, digits and `-`, not "
                   "only digits, and not `localhost`");
  }
  if (find_switch(*canonical) != nullptr || find_node(*canonical) != nullptr) {
    return mistake(*canonical, "there is a switch or a node of this name already");
  }
  return *canonical;
}

base::Result<Switch*> Fabric::add_switch(std::string_view name, std::vector<Prefix> prefixes) {
  auto canonical = new_name(name);
  if (!canonical) return canonical.error();
  if (prefixes.empty() || prefixes.size() > 2 ||
      (prefixes.size() == 2 && prefixes[0].address.family == prefixes[1].address.family)) {
    return mistake(*canonical, "a switch has a prefix of IPv4, one of IPv6, or both");
  }
  for (const Prefix& each : prefixes) {
    const u32 bits = bits_of(each.address.family);
    if (each.length < 4 || each.length > bits || net::special_kind(each.address) ||
        net::is_loopback(each.address)) {
      return mistake(*canonical,
                     fmt::format("{} can't be the prefix of a network: take one such as "
                                 "10.0.0.0/24 or fd00::/64",
                                 to_text(each)));
    }
    for (u32 bit = each.length; bit < bits; ++bit) {
      if ((each.address.bytes[bit / 8] & (0x80u >> bit % 8)) != 0) {
        return mistake(*canonical, fmt::format("{} has bits behind the prefix", to_text(each)));
      }
    }
  }
  switches_.push_back(std::make_unique<Switch>(*std::move(canonical), std::move(prefixes)));
  return switches_.back().get();
}

base::Result<Stack*> Fabric::add_stack(std::string_view name, const StackLimits& limits) {
  auto canonical = new_name(name);
  if (!canonical) return canonical.error();
  auto made = std::make_unique<Stack>(*this, *std::move(canonical), limits);
  Stack* const stack = made.get();
  nodes_.push_back(std::move(made));
  return stack;
}

base::Result<Router*> Fabric::add_router(std::string_view name) {
  auto canonical = new_name(name);
  if (!canonical) return canonical.error();
  auto made = std::make_unique<Router>(*this, *std::move(canonical));
  Router* const router = made.get();
  nodes_.push_back(std::move(made));
  return router;
}

base::Result<Port*> Fabric::attach(Node& node, Switch& at, std::span<const Address> addresses) {
  const std::string place = node.name() + "-" + at.name();
  for (const auto& each : node.ports_) {
    if (&each->at() == &at) return mistake(place, "the node has a NIC on this switch already");
  }
  if (at.ports_.size() == max_ports || node.routes_.size() + 2 > max_routes) {
    return mistake(place, "there are too many NICs");
  }
  std::vector<Address> taken;
  for (const Address& each : addresses) {
    const auto fits = [&](const Prefix& prefix) { return is_for_hosts(prefix, each); };
    if (std::none_of(at.prefixes_.begin(), at.prefixes_.end(), fits)) {
      return mistake(place,
                     fmt::format("{} is no address of the switch's networks", net::to_text(each)));
    }
    if (at.find(each) != nullptr) {
      return mistake(place, fmt::format("{} has {} already", at.find(each)->node().name(),
                                        net::to_text(each)));
    }
    const auto is_same_family = [&](const Address& other) { return other.family == each.family; };
    if (std::any_of(taken.begin(), taken.end(), is_same_family)) {
      return mistake(place, "a NIC has one address of a family");
    }
    taken.push_back(each);
  }
  for (const Prefix& prefix : at.prefixes_) {
    const auto is_same_family = [&](const Address& other) {
      return other.family == prefix.address.family;
    };
    if (std::any_of(taken.begin(), taken.end(), is_same_family)) continue;
    std::optional<Address> free;
    for (u32 number = 0; number < address_tries && !free; ++number) {
      free = address_in(prefix, number);
      if (!free) break;
      if (!is_for_hosts(prefix, *free) || at.find(*free) != nullptr) free.reset();
    }
    if (!free) return mistake(place, fmt::format("no address of {} is free", to_text(prefix)));
    taken.push_back(*free);
  }

  node.ports_.push_back(std::make_unique<Port>(*this, node, at));
  Port* const port = node.ports_.back().get();
  for (const Address& each : taken) {
    (each.family == Family::v4 ? port->v4_ : port->v6_) = each;
    at.by_address_.emplace(each, port);
  }
  at.ports_.push_back(port);
  for (const Prefix& prefix : at.prefixes_) node.routes_.push_back({prefix, {}, port});
  changed();
  return port;
}

base::Result<Route> Fabric::add_route(Node& node, const Prefix& prefix, const Address& via) {
  if (prefix.address.family != via.family || prefix.length > bits_of(via.family)) {
    return mistake(node.name(), "a route's prefix and its next hop are of one family");
  }
  if (node.routes_.size() >= max_routes) return mistake(node.name(), "there are too many routes");
  for (const auto& port : node.ports_) {
    for (const Prefix& each : port->at().prefixes()) {
      if (!net::contains(each, via) || port->has(via)) continue;
      node.routes_.push_back({prefix, via, port.get()});
      changed();
      return node.routes_.back();
    }
  }
  return mistake(node.name(), fmt::format("{} is on none of its networks", net::to_text(via)));
}

void Fabric::remove(Node& node) {
  changed();
  if (node.kind() == Node::Kind::stack) static_cast<Stack&>(node).shut();
  const auto touches = [&](const Packet& packet) {
    return packet.sender == &node || &packet.from->node() == &node || &packet.to->node() == &node;
  };
  for (const auto& each : switches_) {
    for (Port* const port : each->ports_) {
      port->to_switch_.lose(touches);
      port->from_switch_.lose(touches);
    }
    const auto is_its = [&](const Port* port) { return &port->node() == &node; };
    std::erase_if(each->ports_, is_its);
    std::erase_if(each->by_address_, [&](const auto& entry) { return is_its(entry.second); });
  }
  std::erase_if(cuts_, [&](const auto& cut) { return cut.first == &node || cut.second == &node; });
  std::erase_if(nodes_, [&](const auto& each) { return each.get() == &node; });
}

Switch* Fabric::find_switch(std::string_view name) const {
  for (const auto& each : switches_) {
    if (each->name() == name) return each.get();
  }
  return nullptr;
}

Node* Fabric::find_node(std::string_view name) const {
  for (const auto& each : nodes_) {
    if (each->name() == name) return each.get();
  }
  return nullptr;
}

std::vector<Address> Fabric::resolve(const Node& asks, std::string_view name) const {
  const usize dot = name.find('.');
  const std::string_view host = name.substr(0, dot);
  std::vector<const Switch*> near;
  for (const auto& port : asks.ports_) near.push_back(&port->at());
  const usize own = near.size();
  if (dot != name.npos) {
    // Also what routers reach from there.
    for (usize i = 0; i < near.size(); ++i) {
      for (const Port* const port : near[i]->ports()) {
        if (port->node().kind() != Node::Kind::router) continue;
        for (const auto& other : port->node().ports()) {
          if (std::find(near.begin(), near.end(), &other->at()) == near.end()) {
            near.push_back(&other->at());
          }
        }
      }
    }
  }
  std::vector<Address> found;
  const usize count = dot == name.npos ? own : near.size();
  for (usize i = 0; i < count; ++i) {
    if (dot != name.npos && near[i]->name() != name.substr(dot + 1)) continue;
    for (const Port* const port : near[i]->ports()) {
      if (port->node().name() != host) continue;
      for (const Family family : {Family::v4, Family::v6}) {
        if (const auto& address = port->address(family)) found.push_back(*address);
      }
    }
  }
  return found;
}

// --- Faults and captures ---

void Fabric::set_link(Port& port, const LinkSettings& to_switch, const LinkSettings& from_switch) {
  port.to_switch_.set(to_switch);
  port.from_switch_.set(from_switch);
  changed();
}

void Fabric::partition(std::span<Node* const> from, std::span<Node* const> to, bool is_one_way) {
  for (const Node* const one : from) {
    for (const Node* const other : to) {
      if (one == other) continue;
      cuts_.emplace(one, other);
      if (!is_one_way) cuts_.emplace(other, one);
    }
  }
  const auto is_lost = [this](const Packet& packet) {
    const Node& next = packet.to->node();
    return is_cut(packet.from->node(), next) || is_cut(*packet.sender, next);
  };
  for (const auto& each : switches_) {
    for (Port* const port : each->ports_) {
      port->to_switch_.lose(is_lost);
      port->from_switch_.lose(is_lost);
    }
  }
  changed();
}

void Fabric::heal(std::span<Node* const> from, std::span<Node* const> to) {
  for (const Node* const one : from) {
    for (const Node* const other : to) {
      cuts_.erase({one, other});
      cuts_.erase({other, one});
    }
  }
  changed();
}

void Fabric::heal() {
  cuts_.clear();
  changed();
}

bool Fabric::is_cut(const Node& from, const Node& to) const {
  return !cuts_.empty() && cuts_.contains({&from, &to});
}

void Fabric::capture(Port& port, Capture capture) {
  port.capture_ = std::move(capture);
  changed();
}

void Fabric::capture(Switch& at, Capture capture) {
  at.capture_ = std::move(capture);
  changed();
}

}  // namespace atollvm::vnet
