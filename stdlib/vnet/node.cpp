#include "stdlib/vnet/node.hpp"

#include <algorithm>

#include "stdlib/vnet/fabric.hpp"

namespace atollvm::vnet {

Port::Port(Fabric& fabric, Node& node, Switch& at)
    : fabric_(fabric),
      node_(node),
      at_(at),
      to_switch_(fabric.events(), fabric.next_seed(),
                 [this](Packet&& packet) { cross(std::move(packet)); }),
      from_switch_(fabric.events(), fabric.next_seed(),
                   [this](Packet&& packet) { arrive(std::move(packet)); }) {}

bool Port::has(const Address& address) const { return v4_ == address || v6_ == address; }

std::string Port::name() const { return node_.name() + "-" + at_.name(); }

void Port::see(Packet& packet, const Capture& capture) const {
  if (!capture) return;
  packet.is_clean = false;
  capture(fabric_.now(), packet.bytes);
}

bool Port::send(Packet&& packet, const Address& hop) {
  Port* const to = at_.find(hop);
  if (to == nullptr || to == this) return false;
  if (packet.sender == nullptr) packet.sender = &node_;
  packet.from = this;
  packet.to = to;
  see(packet, capture_);
  to_switch_.send(std::move(packet));
  return true;
}

// At the switch.
void Port::cross(Packet&& packet) {
  see(packet, at_.capture_);
  if (fabric_.is_cut(node_, packet.to->node_)) return;
  Port& to = *packet.to;
  to.from_switch_.send(std::move(packet));
}

void Port::arrive(Packet&& packet) {
  if (fabric_.is_cut(*packet.sender, node_)) return;
  see(packet, capture_);
  node_.receive(*this, std::move(packet));
}

Port* Switch::find(const Address& address) const {
  const auto found = by_address_.find(address);
  return found == by_address_.end() ? nullptr : found->second;
}

const Route* Node::route(const Address& to) const {
  const Route* best = nullptr;
  for (const Route& each : routes_) {
    if (net::contains(each.prefix, to) &&
        (best == nullptr || each.prefix.length > best->prefix.length)) {
      best = &each;
    }
  }
  return best;
}

Port* Node::port_with(const Address& address) const {
  for (const auto& each : ports_) {
    if (each->has(address)) return each.get();
  }
  return nullptr;
}

std::optional<Unreachable> Node::send_by(const Route& route, const Address& to, Packet&& packet) {
  const Address hop = route.via.value_or(to);
  if (packet.bytes.size() <= fabric_.mtu()) {
    if (!route.port->send(std::move(packet), hop)) return Unreachable::host;
    return std::nullopt;
  }
  for (Bytes& part : fragment(std::move(packet.bytes), fabric_.mtu(), ++identification_)) {
    Packet one;
    one.bytes = std::move(part);
    one.is_clean = false;
    one.sender = packet.sender;
    if (!route.port->send(std::move(one), hop)) return Unreachable::host;
  }
  return std::nullopt;
}

}  // namespace atollvm::vnet
