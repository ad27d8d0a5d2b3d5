#include "stdlib/vnet/stack.hpp"

#include <algorithm>

#include "stdlib/vnet/fabric.hpp"

namespace atollvm::vnet {
namespace {

constexpr u16 first_own_port = 49152;
constexpr u32 own_ports = 65536 - first_own_port;
constexpr u32 max_backlog = 4096;
constexpr usize datagram_cost = 256;
constexpr u8 loopback_v6[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
constexpr u8 loopback_v4[4] = {127, 0, 0, 1};

Address any_of(Family family) { return {family, {}}; }

StackLimits sound(StackLimits limits) {
  limits.send_buffer = std::clamp(limits.send_buffer, 4096u, max_buffer);
  limits.receive_buffer = std::clamp(limits.receive_buffer, 4096u, max_buffer);
  return limits;
}

// A map's keys, which it may lose while they are gone through.
template <class Map>
std::vector<typename Map::mapped_type> values_of(const Map& map) {
  std::vector<typename Map::mapped_type> values;
  values.reserve(map.size());
  for (const auto& [key, value] : map) values.push_back(value);
  return values;
}

}  // namespace

Stack::Stack(Fabric& fabric, std::string name, const StackLimits& limits)
    : Node(fabric, Kind::stack, std::move(name)),
      limits_(sound(limits)),
      chance_(fabric.next_seed()),
      sequence_(static_cast<u32>(chance_.next())),
      next_port_(static_cast<u16>(chance_.below(own_ports))),
      loopback_(
          std::make_unique<Direction>(fabric.events(), fabric.next_seed(),
                                      [this](Packet&& packet) { deliver(std::move(packet)); })) {}

Stack::~Stack() { shut(); }

void Stack::shut() {
  for (const auto& each : values_of(streams_)) {
    each->set_counted(false);
    each->drop();
  }
  for (const auto& each : values_of(listeners_)) each->close();
  for (const auto& each : values_of(datagrams_)) each->close();
}

bool Stack::is_own(const Address& address) const {
  return net::is_loopback(address) || port_with(address) != nullptr;
}

usize Stack::memory() const {
  usize sum = reassembler_.bytes() + loopback_->bytes();
  for (const auto& [flow, each] : streams_) sum += each->memory();
  for (const auto& [at, each] : datagrams_) sum += each->charged_;
  for (const auto& each : ports()) sum += each->to_switch().bytes();
  return sum;
}

u32 Stack::mss(const Address& to) const {
  const usize headers = to.family == Family::v4 ? v4_header_size : v6_header_size;
  return static_cast<u32>(fabric().mtu() - headers - tcp_header_size);
}

u32 Stack::first_sequence() {
  return sequence_ += 0x10000 + static_cast<u32>(chance_.below(0x10000));
}

// --- Addresses and ports ---

Outcome<Address> Stack::source_for(const Address& to) const {
  if (net::is_loopback(to)) {
    return to.family == Family::v4 ? net::make_v4(loopback_v4) : net::make_v6(loopback_v6);
  }
  if (port_with(to) != nullptr) return to;
  const Route* const found = route(to);
  if (found == nullptr || !found->port->address(to.family)) return Errno::netunreach;
  return *found->port->address(to.family);
}

bool Stack::is_free(Protocol protocol, const Endpoint& local) const {
  const auto is_taken_in = [&](const auto& sockets) {
    const Address any = any_of(local.address.family);
    if (local.address != any) {
      return sockets.contains(local) || sockets.contains({any, local.port});
    }
    return std::any_of(sockets.begin(), sockets.end(), [&](const auto& each) {
      return each.first.port == local.port && each.first.address.family == local.address.family;
    });
  };
  return protocol == Protocol::tcp ? !is_taken_in(listeners_) : !is_taken_in(datagrams_);
}

Outcome<Endpoint> Stack::bind(Protocol protocol, const Endpoint& at) {
  if (at.address != any_of(at.address.family) && !is_own(at.address)) return Errno::addrnotavail;
  Endpoint local = at;
  if (at.port != 0) {
    if (!is_free(protocol, local)) return Errno::addrinuse;
    return local;
  }
  for (u32 tries = 0; tries < own_ports; ++tries) {
    local.port = static_cast<u16>(first_own_port + next_port_++ % own_ports);
    if (is_free(protocol, local)) return local;
  }
  return Errno::addrinuse;
}

// --- Making sockets ---

Outcome<std::shared_ptr<Stream>> Stack::connect(const Endpoint& to) {
  if (net::special_kind(to.address) || to.port == 0) return Errno::acces;
  if (sockets_ >= limits_.sockets) return Errno::nfile;
  const auto source = source_for(to.address);
  if (const auto* const error = std::get_if<Errno>(&source)) return *error;
  Endpoint local{std::get<Address>(source), 0};
  for (u32 tries = 0; tries < own_ports; ++tries) {
    local.port = static_cast<u16>(first_own_port + next_port_++ % own_ports);
    if (local == to || streams_.contains({Protocol::tcp, to, local}) ||
        !is_free(Protocol::tcp, local)) {
      continue;
    }
    const auto stream = std::make_shared<Stream>(*this, local, to, first_sequence());
    add(stream);
    stream->begin_connecting();
    return stream;
  }
  return Errno::addrnotavail;
}

Outcome<std::shared_ptr<Listener>> Stack::listen(const Endpoint& at, std::optional<u32> backlog) {
  if (sockets_ >= limits_.sockets) return Errno::nfile;
  const auto local = bind(Protocol::tcp, at);
  if (const auto* const error = std::get_if<Errno>(&local)) return *error;
  const auto& endpoint = std::get<Endpoint>(local);
  auto listener = std::make_shared<Listener>(*this, endpoint, std::nullopt);
  if (backlog) listener->listen(*backlog);
  listeners_.emplace(endpoint, listener);
  ++sockets_;
  return listener;
}

Outcome<std::shared_ptr<DatagramSocket>> Stack::open_datagrams(const Endpoint& at) {
  if (sockets_ >= limits_.sockets) return Errno::nfile;
  const auto local = bind(Protocol::udp, at);
  if (const auto* const error = std::get_if<Errno>(&local)) return *error;
  const auto& endpoint = std::get<Endpoint>(local);
  auto socket = std::make_shared<DatagramSocket>(*this, endpoint);
  datagrams_.emplace(endpoint, socket);
  ++sockets_;
  return socket;
}

void Stack::add(const std::shared_ptr<Stream>& stream) {
  streams_.emplace(Flow{Protocol::tcp, stream->remote(), stream->local()}, stream);
  stream->set_counted(true);
  ++sockets_;
}

void Stack::settle(Stream& stream) {
  const bool is_over =
      stream.state() == Stream::State::closed || stream.state() == Stream::State::time_wait;
  if (!stream.is_counted() || !stream.is_orphan() || !is_over) return;
  stream.set_counted(false);
  --sockets_;
}

void Stack::ended(Stream& stream) {
  const Flow flow{Protocol::tcp, stream.remote(), stream.local()};
  const auto waiting = std::find(waiting_.begin(), waiting_.end(), flow);
  if (waiting != waiting_.end()) waiting_.erase(waiting);
  settle(stream);
  streams_.erase(flow);
}

void Stack::is_waiting(Stream& stream) {
  settle(stream);
  if (waiting_.size() >= std::max(limits_.sockets, 1u)) {
    const auto oldest = streams_.find(waiting_.front());
    if (oldest != streams_.end()) oldest->second->drop();
  }
  waiting_.push_back({Protocol::tcp, stream.remote(), stream.local()});
}

// --- Sending ---

std::optional<Errno> Stack::send(const Address& to, Packet&& packet) {
  if (is_own(to)) {
    loopback_->send(std::move(packet));
    return std::nullopt;
  }
  const Route* const found = route(to);
  if (found == nullptr) return Errno::netunreach;
  if (send_by(*found, to, std::move(packet))) return Errno::hostunreach;
  return std::nullopt;
}

std::optional<Errno> Stack::send_segment(Stream& stream, const Segment& segment, Span more) {
  Packet packet;
  packet.bytes = write_tcp(stream.local().address, stream.remote().address, segment, more);
  packet.origin = stream.weak_from_this();
  packet.epoch = fabric().epoch();
  return send(stream.remote().address, std::move(packet));
}

// --- Receiving ---

void Stack::receive(Port&, Packet&& packet) {
  const auto header = read_ip(packet.bytes);
  if (!header || port_with(header->destination) == nullptr || net::is_loopback(header->source)) {
    return;
  }
  if (header->is_fragment) {
    auto whole = reassembler_.add(fabric().now(), *header, packet.bytes);
    if (!whole) return;
    packet.bytes = *std::move(whole);
  }
  deliver(std::move(packet));
}

void Stack::deliver(Packet&& packet) {
  const auto header = read_ip(packet.bytes);
  if (!header || header->is_fragment) return;
  switch (header->protocol) {
    case Protocol::tcp:
      return deliver_tcp(*header, packet);
    case Protocol::udp:
      return deliver_udp(*header, packet.bytes);
    case Protocol::icmp:
    case Protocol::icmp6:
      return deliver_icmp(*header, packet.bytes);
  }
}

void Stack::deliver_tcp(const IpHeader& header, const Packet& packet) {
  const auto segment = read_tcp(header, packet.bytes);
  if (!segment) return;
  const Flow flow{Protocol::tcp,
                  {header.source, segment->source_port},
                  {header.destination, segment->destination_port}};
  const bool opens = segment->has(flag::syn) && !segment->has(flag::ack | flag::rst | flag::fin);
  const auto found = streams_.find(flow);
  if (found != streams_.end()) {
    const auto stream = found->second;
    if (!opens || !stream->is_replaced_by(*segment)) return stream->take(*segment, packet);
    stream->drop();
  }
  if (opens) return accept(header, *segment);
  if (!segment->has(flag::rst)) refuse(header, *segment);
}

void Stack::accept(const IpHeader& header, const Segment& segment) {
  const Endpoint local{header.destination, segment.destination_port};
  auto listener = listeners_.find(local);
  if (listener == listeners_.end()) {
    listener = listeners_.find({any_of(local.address.family), local.port});
  }
  if (listener == listeners_.end() || !listener->second->listens()) return refuse(header, segment);
  // Asked again, there may be room.
  if (listener->second->is_full() || sockets_ >= limits_.sockets) return;
  const auto stream = std::make_shared<Stream>(
      *this, local, Endpoint{header.source, segment.source_port}, first_sequence());
  ++listener->second->half_open_;
  add(stream);
  stream->begin_accepting(segment, listener->second);
}

void Stack::refuse(const IpHeader& header, const Segment& segment) {
  Segment answer;
  answer.source_port = segment.destination_port;
  answer.destination_port = segment.source_port;
  if (segment.has(flag::ack)) {
    answer.sequence = segment.acknowledgement;
    answer.flags = flag::rst;
  } else {
    answer.acknowledgement = segment.sequence + segment.length();
    answer.flags = flag::rst | flag::ack;
  }
  Packet packet;
  packet.bytes = write_tcp(header.destination, header.source, answer);
  send(header.source, std::move(packet));
}

void Stack::deliver_udp(const IpHeader& header, Span packet) {
  const auto datagram = read_udp(header, packet);
  if (!datagram || datagram->source_port == 0) return;
  const Endpoint local{header.destination, datagram->destination_port};
  auto socket = datagrams_.find(local);
  if (socket == datagrams_.end()) {
    socket = datagrams_.find({any_of(local.address.family), local.port});
  }
  if (socket != datagrams_.end()) {
    return socket->second->take({header.source, datagram->source_port}, datagram->payload);
  }
  Packet error;
  error.bytes = write_icmp(header.destination, header.source, Unreachable::port,
                           packet.first(std::min(packet.size(), quoted_bytes)));
  send(header.source, std::move(error));
}

void Stack::deliver_icmp(const IpHeader& header, Span packet) {
  const auto error = read_icmp(header, packet);
  if (!error) return;
  const auto flow = read_flow(error->quoted, true);
  const auto sequence = read_quoted_sequence(error->quoted);
  if (!flow || !sequence || flow->protocol != Protocol::tcp) return;
  const auto found = streams_.find(flow->reversed());
  if (found == streams_.end()) return;
  const auto stream = found->second;
  stream->take_unreachable(error->kind == Unreachable::network ? Errno::netunreach
                           : error->kind == Unreachable::port  ? Errno::connrefused
                                                               : Errno::hostunreach,
                           *sequence);
}

// --- Listeners ---

Outcome<std::shared_ptr<Stream>> Listener::accept() {
  if (is_closed_) return Errno::badf;
  if (ready_.empty()) return Errno::again;
  auto stream = std::move(ready_.front());
  ready_.pop_front();
  return stream;
}

void Listener::completed(const std::shared_ptr<Stream>& stream) {
  --half_open_;
  if (is_closed_) return stream->discard();
  ready_.push_back(stream);
  if (on_change_) on_change_();
}

void Listener::listen(u32 backlog) { backlog_ = std::min(backlog, max_backlog); }

void Listener::close() {
  if (is_closed_) return;
  is_closed_ = true;
  for (const auto& each : ready_) each->discard();
  ready_.clear();
  if (on_change_) on_change_();
  on_change_ = {};
  --stack_.sockets_;
  stack_.listeners_.erase(Endpoint(local_));
}

// --- Datagrams ---

Outcome<DatagramSocket::Received> DatagramSocket::receive(std::span<u8> bytes, bool peek) {
  if (is_closed_) return Errno::badf;
  if (waiting_.empty()) return Errno::again;
  const Waiting& first = waiting_.front();
  const usize count = std::min(bytes.size(), first.bytes.size());
  std::copy_n(first.bytes.begin(), count, bytes.begin());
  const Received received{static_cast<u32>(count), first.from, count < first.bytes.size()};
  if (peek) return received;
  charged_ -= first.bytes.size() + datagram_cost;
  waiting_.pop_front();
  return received;
}

Outcome<u32> DatagramSocket::send(Span bytes, const Endpoint& to) {
  if (is_closed_) return Errno::badf;
  if (bytes.size() > max_datagram) return Errno::msgsize;
  if (net::special_kind(to.address) || to.port == 0) return Errno::acces;
  if (to.address.family != local_.address.family) return Errno::netunreach;
  Address source = local_.address;
  if (source == any_of(source.family)) {
    const auto found = stack_.source_for(to.address);
    if (const auto* const error = std::get_if<Errno>(&found)) return *error;
    source = std::get<Address>(found);
  } else if (net::is_loopback(source) && !stack_.is_own(to.address)) {
    return Errno::netunreach;
  }
  Packet packet;
  packet.bytes = write_udp(source, to.address, {local_.port, to.port, bytes});
  if (const auto error = stack_.send(to.address, std::move(packet))) return *error;
  return static_cast<u32>(bytes.size());
}

void DatagramSocket::take(const Endpoint& from, Span payload) {
  if (charged_ + payload.size() + datagram_cost > stack_.limits().datagrams) {
    ++dropped_;
    return;
  }
  charged_ += payload.size() + datagram_cost;
  waiting_.push_back({from, Bytes(payload.begin(), payload.end())});
  if (waiting_.size() == 1 && on_change_) on_change_();
}

void DatagramSocket::close() {
  if (is_closed_) return;
  is_closed_ = true;
  waiting_.clear();
  if (on_change_) on_change_();
  on_change_ = {};
  --stack_.sockets_;
  stack_.datagrams_.erase(Endpoint(local_));
}

}  // namespace atollvm::vnet
