#include "atoll/embed/networks.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "scheduler/machine/spec.hpp"
#include "vm/base/near_miss.hpp"

namespace atollvm {

void apply_link(const machine::LinkSpec& link, vnet::LinkSettings& settings) {
  settings.latency = link.latency.value_or(settings.latency);
  settings.jitter = link.jitter.value_or(settings.jitter);
  settings.bandwidth = link.bandwidth.value_or(settings.bandwidth);
  settings.queue = link.queue.value_or(settings.queue);
  settings.loss = link.loss.value_or(settings.loss);
  settings.duplication = link.duplicate.value_or(settings.duplication);
  settings.reordering = link.reorder.value_or(settings.reordering);
  settings.is_down = link.down.value_or(settings.is_down);
}

namespace {

using base::Error;
using base::ErrorCode;
using machine::ForwardSpec;
using machine::LinkSpec;
using machine::NicSpec;
using machine::RouteSpec;

Error mistake(const std::string& place, std::string message) {
  return {ErrorCode::invalid, place, std::move(message)};
}
// An error of the fabric, at the place that it comes from.
Error mistake(const std::string& place, const Error& error) {
  return mistake(place, error.place.empty() ? error.message
                                            : fmt::format("{}: {}", error.place, error.message));
}

base::Result<vnet::Switch*> switch_of(const vnet::Fabric& fabric, const std::string& place,
                                      const std::string& name) {
  const auto canonical = net::canonical_name(name);
  vnet::Switch* const found = canonical ? fabric.find_switch(*canonical) : nullptr;
  if (found != nullptr) return found;
  std::string known;
  for (const auto& each : fabric.switches()) {
    known += (known.empty() ? "" : ", ") + each->name();
  }
  return mistake(place, fmt::format("there is no switch `{}`; {}", name,
                                    known.empty() ? "a machine file makes one with [switch.NAME]"
                                                  : "there are " + known));
}

base::Result<vnet::Port*> add_nic(vnet::Fabric& fabric, vnet::Node& node, const NicSpec& nic) {
  const auto at = switch_of(fabric, nic.place, nic.at);
  if (!at) return at.error();
  std::vector<net::Address> addresses;
  for (const std::string& each : nic.addresses) {
    const auto address = net::parse_address(each);
    if (!address) return mistake(nic.place, fmt::format("`{}` is no address", each));
    addresses.push_back(*address);
  }
  auto port = fabric.attach(node, **at, addresses);
  if (!port) return mistake(nic.place, port.error());
  vnet::LinkSettings settings;
  apply_link(nic.link, settings);
  fabric.set_link(**port, settings, settings);
  return *port;
}

base::Status add_routes(vnet::Fabric& fabric, vnet::Node& node,
                        const std::vector<RouteSpec>& routes) {
  for (const RouteSpec& each : routes) {
    const auto prefix = net::parse_prefix(each.to);
    if (!prefix) {
      return mistake(each.place, fmt::format("`{}` is no prefix, such as 10.0.0.0/8", each.to));
    }
    const auto via = net::parse_address(each.via);
    if (!via) return mistake(each.place, fmt::format("`{}` is no address", each.via));
    if (const auto added = fabric.add_route(node, *prefix, *via); !added) {
      return mistake(each.place, added.error());
    }
  }
  return {};
}

base::Status add_forward(vnet::Router& router, const ForwardSpec& forward) {
  const auto to = net::parse_endpoint(forward.to);
  if (!to || to->port == 0) {
    return mistake(forward.place, fmt::format("`{}` is no address and port", forward.to));
  }
  const usize colon = forward.from.rfind(':');
  const auto at = net::parse_endpoint(
      "0.0.0.0" + (colon == forward.from.npos ? std::string() : forward.from.substr(colon)));
  const std::string name = forward.from.substr(0, colon);
  vnet::Port* in = nullptr;
  for (const auto& each : router.ports()) {
    if (each->at().name() == name) in = each.get();
  }
  if (!at || at->port == 0 || in == nullptr) {
    return mistake(forward.place, fmt::format("`from` of a router's forward is SWITCH:PORT, with a "
                                              "switch that it has a NIC on, not `{}`",
                                              forward.from));
  }
  const auto protocol = forward.is_datagrams ? vnet::Protocol::udp : vnet::Protocol::tcp;
  if (!router.forward(*in, protocol, at->port, *to)) {
    return mistake(forward.place, "this port is forwarded already, or there are too many");
  }
  return {};
}

base::Status add_router(vnet::Fabric& fabric, const machine::RouterSpec& spec) {
  const auto made = fabric.add_router(spec.name);
  if (!made) return mistake(spec.place, made.error());
  vnet::Router& router = **made;
  for (const NicSpec& each : spec.nics) {
    const auto port = add_nic(fabric, router, each);
    if (!port) return port.error();
    if (!each.rules.empty()) {
      auto rules = net::Rules::parse(each.rules);
      if (!rules) return mistake(each.place, rules.error());
      router.set_rules(**port, *std::move(rules));
    }
    if (each.translates) router.set_translated(**port, true);
  }
  if (base::Status added = add_routes(fabric, router, spec.routes); !added) return added;
  for (const ForwardSpec& each : spec.forwards) {
    if (base::Status added = add_forward(router, each); !added) return added;
  }
  return {};
}

}  // namespace

base::Result<std::shared_ptr<Networks>> Networks::make(const machine::TopologySpec& topology) {
  const std::shared_ptr<Networks> networks(new Networks(topology));
  if (base::Status built = networks->build(topology); !built) return std::move(built).error();
  return networks;
}

base::Status Networks::build(const machine::TopologySpec& topology) {
  const vnet::Live::Turn turn(*live_);
  for (const machine::SwitchSpec& each : topology.switches) {
    std::vector<net::Prefix> prefixes;
    for (const std::string& text : each.prefixes) {
      const auto prefix = net::parse_prefix(text);
      if (!prefix) {
        return mistake(each.place, fmt::format("`{}` is no prefix, such as 10.0.0.0/24", text));
      }
      prefixes.push_back(*prefix);
    }
    if (const auto made = turn->add_switch(each.name, std::move(prefixes)); !made) {
      return mistake(each.place, made.error());
    }
  }
  for (const machine::RouterSpec& each : topology.routers) {
    if (base::Status added = add_router(*turn, each); !added) return added;
  }
  return {};
}

base::Result<std::shared_ptr<vnet::Attachment>> Networks::join(const machine::MachineSpec& spec) {
  vnet::StackLimits limits;
  const auto rules =
      net::Rules::parse(spec.network.empty() ? net::all_rules : std::string_view(spec.network));
  if (!rules) return rules.error();
  limits.sockets = rules->connections();
  const vnet::Live::Turn turn(*live_);
  const auto made = turn->add_stack(spec.name, limits);
  if (!made) return mistake(spec.nics.front().place, made.error());
  vnet::Stack& stack = **made;
  const auto equip = [&]() -> base::Status {
    for (const NicSpec& each : spec.nics) {
      if (const auto port = add_nic(*turn, stack, each); !port) return port.error();
    }
    return add_routes(*turn, stack, spec.routes);
  };
  if (base::Status equipped = equip(); !equipped) {
    turn->remove(stack);
    return std::move(equipped).error();
  }
  return std::make_shared<vnet::Attachment>(live_, stack);
}

}  // namespace atollvm
