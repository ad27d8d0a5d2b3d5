#include "stdlib/vnet/router.hpp"

#include <algorithm>

#include "stdlib/vnet/fabric.hpp"

namespace atollvm::vnet {
namespace {

constexpr u64 sweep_interval = 10 * ns_per_second;
// As Linux's connection tracking has them.
constexpr u64 datagrams_unanswered = 30 * ns_per_second;
constexpr u64 datagrams_answered = 180 * ns_per_second;
constexpr u64 stream_opening = 120 * ns_per_second;
constexpr u64 stream_open = 5 * 24 * 3600 * ns_per_second;
constexpr u64 stream_closing = 120 * ns_per_second;
constexpr u16 first_translated_port = 32768;
constexpr u32 translated_ports = 65536 - first_translated_port;
constexpr u32 port_tries = 4096;  // for a port that is free

}  // namespace

Router::Router(Fabric& fabric, std::string name)
    : Node(fabric, Kind::router, std::move(name)), sweep_(*this) {}

Router::Sweep::Sweep(Router& router) : Timer(router.fabric().events()), router_(router) {}
void Router::Sweep::due() { router_.sweep(); }

void Router::set_rules(Port& in, std::optional<net::Rules> rules) {
  settings_[&in].rules = std::move(rules);
  settings_changed();
}

void Router::set_translated(Port& out, bool is_translated) {
  settings_[&out].is_translated = is_translated;
  settings_changed();
}

bool Router::forward(Port& in, Protocol protocol, u16 port, const Endpoint& to) {
  const auto& own = in.address(to.address.family);
  if (!own || port == 0 || forwards_.size() == max_forwards) return false;
  const Endpoint at{*own, port};
  const auto is_same = [&](const Forward& each) {
    return each.protocol == protocol && each.at == at;
  };
  if (std::any_of(forwards_.begin(), forwards_.end(), is_same)) return false;
  forwards_.push_back({protocol, at, to});
  settings_changed();
  return true;
}

// What was allowed goes on to be: as with other routers, rules are for what begins.
void Router::settings_changed() {
  is_tracking_ = !forwards_.empty();
  for (const auto& [port, each] : settings_) is_tracking_ |= each.rules || each.is_translated;
  fabric().changed();
}

void Router::receive(Port& at, Packet&& packet) {
  auto header = read_ip(packet.bytes);
  if (!header || net::is_loopback(header->source) || net::is_loopback(header->destination) ||
      net::special_kind(header->source) || net::special_kind(header->destination)) {
    return;
  }
  if (header->is_fragment && is_tracking_) {
    auto whole = reassembler_.add(fabric().now(), *header, packet.bytes);
    if (!whole) return;
    packet.bytes = *std::move(whole);
    packet.is_clean = false;
    header = read_ip(packet.bytes);
    if (!header) return;
  }
  if (header->protocol == Protocol::icmp || header->protocol == Protocol::icmp6) {
    return take_icmp(*header, std::move(packet));
  }
  if (!is_tracking_) {
    if (port_with(header->destination) != nullptr) {
      return send_error(at, Unreachable::port, packet.bytes);
    }
  } else {
    const auto flow = read_flow(packet.bytes);
    if (!flow) return;
    Tracked* const tracked = track(at, *flow, packet.bytes);
    if (tracked == nullptr) return;
    touch(*tracked, *flow, packet.bytes);
    if (tracked->becomes != *flow) rewrite(packet.bytes, tracked->becomes);
  }
  Bytes before(packet.bytes.begin(),
               packet.bytes.begin() +
                   static_cast<std::ptrdiff_t>(std::min(packet.bytes.size(), quoted_bytes)));
  if (!take_hop(packet.bytes)) return send_error(at, Unreachable::hops, before);
  const auto to = read_ip(packet.bytes);
  const Route* const found = route(to->destination);
  if (found == nullptr) return send_error(at, Unreachable::network, before);
  if (const auto why = send_by(*found, to->destination, std::move(packet))) {
    send_error(at, *why, before);
  }
}

void Router::send_error(Port& at, Unreachable kind, Span packet) {
  const auto flow = read_flow(packet, true);
  if (!flow) return;
  // As it was before it was translated.
  Endpoint back = flow->source;
  Bytes quoted(packet.begin(),
               packet.begin() + static_cast<std::ptrdiff_t>(std::min(packet.size(), quoted_bytes)));
  const auto& own = at.address(back.address.family);
  if (!own) return;
  Packet error;
  if (const auto found = flows_.find(flow->reversed()); found != flows_.end()) {
    const Flow original = found->second.becomes.reversed();
    error.bytes = write_icmp(*own, back.address, kind, quoted);
    rewrite_icmp(error.bytes, *own, original.source.address, original);
    back = original.source;
  } else {
    error.bytes = write_icmp(*own, back.address, kind, quoted);
  }
  if (const Route* const found = route(back.address)) {
    send_by(*found, back.address, std::move(error));
  }
}

// Errors about packets of flows that are known, or for which nothing is tracked.
void Router::take_icmp(const IpHeader& header, Packet&& packet) {
  const auto error = read_icmp(header, packet.bytes);
  if (!error) return;
  Address to = header.destination;
  if (is_tracking_) {
    const auto flow = read_flow(error->quoted, true);
    if (!flow) return;
    // What is quoted went out as it `becomes`; its answers would come in as the reverse.
    const auto found = flows_.find(flow->reversed());
    if (found == flows_.end()) return;
    const Flow original = found->second.becomes.reversed();
    to = original.source.address;
    const bool is_about_translated = original != *flow;
    const Address source = is_about_translated && header.source == flow->destination.address
                               ? original.destination.address
                               : header.source;
    rewrite_icmp(packet.bytes, source, to, original);
  } else if (port_with(to) != nullptr) {
    return;
  }
  if (!take_hop(packet.bytes)) return;
  if (const Route* const found = route(to)) send_by(*found, to, std::move(packet));
}

// --- Flows ---

Router::Tracked* Router::track(Port& in, const Flow& flow, Span packet) {
  if (const auto found = flows_.find(flow); found != flows_.end()) return &found->second;
  if (flow.source.port == 0 || flow.destination.port == 0) return nullptr;
  const auto header = read_ip(packet);
  if (flow.protocol == Protocol::tcp) {
    const auto segment = read_tcp(*header, packet);
    // Nothing else begins one.
    if (!segment || !segment->has(flag::syn) || segment->has(flag::ack | flag::rst)) return nullptr;
  }
  Flow becomes = flow;
  bool is_forwarded = false;
  for (const Forward& each : forwards_) {
    if (each.protocol == flow.protocol && each.at == flow.destination) {
      becomes.destination = each.to;
      is_forwarded = true;
    }
  }
  if (!is_forwarded && port_with(flow.destination.address) != nullptr) {
    send_error(in, Unreachable::port, packet);
    return nullptr;
  }
  const auto settings = settings_.find(&in);
  if (!is_forwarded && settings != settings_.end() && settings->second.rules) {
    const auto action = flow.protocol == Protocol::tcp ? net::Action::connect : net::Action::udp;
    if (settings->second.rules->refuses(action, flow.destination)) {
      send_error(in, Unreachable::prohibited, packet);
      return nullptr;
    }
  }
  const Route* const out = route(becomes.destination.address);
  if (out == nullptr) {
    send_error(in, Unreachable::network, packet);
    return nullptr;
  }
  const Address owner = flow.source.address;
  if (flows() >= max_flows || flows_of_[owner] >= max_flows_of_one) {
    if (flows_of_[owner] == 0) flows_of_.erase(owner);
    return nullptr;
  }
  if (const auto there = settings_.find(out->port);
      there != settings_.end() && there->second.is_translated) {
    const auto& own = out->port->address(flow.source.address.family);
    if (!own) return nullptr;
    const auto port = free_port(becomes, *own);
    if (!port) return nullptr;
    becomes.source = {*own, *port};
  }
  const Flow answer = becomes.reversed();
  if (flows_.contains(answer)) return nullptr;
  ++flows_of_[owner];
  flows_.emplace(answer, Tracked{flow.reversed(), flow, owner});
  Tracked& made = flows_.emplace(flow, Tracked{becomes, answer, owner}).first->second;
  made.is_first = true;
  if (!sweep_.is_set()) sweep_.set(fabric().now() + sweep_interval);
  return &made;
}

std::optional<u16> Router::free_port(const Flow& flow, const Address& source) {
  Flow answer{flow.protocol, flow.destination, {source, flow.source.port}};
  const auto is_free = [&] {
    const auto is_it = [&](const Forward& each) {
      return each.protocol == answer.protocol && each.at == answer.destination;
    };
    return !flows_.contains(answer) && std::none_of(forwards_.begin(), forwards_.end(), is_it);
  };
  if (is_free()) return answer.destination.port;
  for (u32 tries = 0; tries < port_tries; ++tries) {
    answer.destination.port =
        static_cast<u16>(first_translated_port + next_port_++ % translated_ports);
    if (is_free()) return answer.destination.port;
  }
  return std::nullopt;
}

void Router::touch(Tracked& tracked, const Flow& flow, Span packet) {
  const auto found = flows_.find(tracked.partner);
  if (found == flows_.end()) return;
  Tracked& other = found->second;
  if (!tracked.is_first) tracked.is_answered = other.is_answered = true;
  u64 time = tracked.is_answered ? datagrams_answered : datagrams_unanswered;
  if (flow.protocol == Protocol::tcp) {
    const auto segment = read_tcp(*read_ip(packet), packet);
    if (segment->has(flag::fin | flag::rst)) tracked.is_closing = true;
    if (segment->has(flag::rst)) other.is_closing = true;
    // A new connection between the same ends.
    if (segment->has(flag::syn)) tracked.is_closing = other.is_closing = false;
    time = tracked.is_closing && other.is_closing ? stream_closing
           : tracked.is_answered                  ? stream_open
                                                  : stream_opening;
  }
  tracked.until = other.until = fabric().now() + time;
}

void Router::sweep() {
  const u64 now = fabric().now();
  std::erase_if(flows_, [&](const auto& each) {
    if (each.second.until > now) return false;
    const auto own = flows_of_.find(each.second.owner);
    if (each.second.is_first && own != flows_of_.end() && --own->second == 0) flows_of_.erase(own);
    return true;
  });
  if (!flows_.empty()) sweep_.set(now + sweep_interval);
}

}  // namespace atollvm::vnet
