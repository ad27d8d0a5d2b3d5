// Any bytes as packets, for stacks and routers; and calls, faults and forged segments in any order:
// nothing crashes, goes on for ever, takes more memory than it may, or writes what can't be read.
#include <stdio.h>

#include <algorithm>
#include <cstdlib>
#include <source_location>
#include <vector>

#include "stdlib/vnet/fabric.hpp"

using namespace atollvm;

namespace {

constexpr u64 ms = 1'000'000;

void check(bool is_right, std::source_location where = std::source_location::current()) {
  if (is_right) return;
  fprintf(stderr, "vnet_fuzz.cpp:%u\n", where.line());
  std::abort();
}

class Input {
 public:
  explicit Input(vnet::Span bytes) : rest_(bytes) {}
  [[nodiscard]] bool is_empty() const { return rest_.empty(); }
  u8 byte() {
    if (rest_.empty()) return 0;
    const u8 first = rest_[0];
    rest_ = rest_.subspan(1);
    return first;
  }
  u32 word() { return static_cast<u32>(byte()) << 8 | byte(); }
  vnet::Span take(usize count) {
    const auto taken = rest_.first(std::min(count, rest_.size()));
    rest_ = rest_.subspan(taken.size());
    return taken;
  }
  vnet::Span all() { return take(rest_.size()); }

 private:
  vnet::Span rest_;
};

// What can be read is written the same, translated, and put together again.
void check_packet(vnet::Span bytes, vnet::Reassembler& reassembler) {
  vnet::read_flow(bytes, true);
  vnet::read_quoted_sequence(bytes);
  const auto header = vnet::read_ip(bytes);
  if (!header) return;
  const auto flow = vnet::read_flow(bytes);
  vnet::Bytes copy(bytes.begin(), bytes.end());
  if (const auto error = vnet::read_icmp(*header, bytes)) {
    if (const auto quoted = vnet::read_flow(error->quoted, true)) {
      vnet::rewrite_icmp(copy, header->destination, header->source, *quoted);
      check(vnet::read_icmp(*vnet::read_ip(copy), copy).has_value());
    }
  }
  if (flow) {
    check(flow->protocol == vnet::Protocol::tcp ? vnet::read_tcp(*header, bytes).has_value()
                                                : vnet::read_udp(*header, bytes).has_value());
    vnet::rewrite(copy, flow->reversed());
    check(vnet::read_flow(copy) == flow->reversed());
  }
  vnet::take_hop(copy);
  check(vnet::read_ip(copy).has_value());
  if (header->is_fragment) {
    if (const auto whole = reassembler.add(0, *header, bytes)) {
      check(vnet::read_ip(*whole).has_value());
    }
    check(reassembler.bytes() <= vnet::Reassembler::max_bytes);
  }
}

class Network {
 public:
  explicit Network(u64 seed) : fabric_(seed, 1280) {
    auto& left = **fabric_.add_switch(
        "left", {{*net::parse_address("10.0.0.0"), 24}, {*net::parse_address("fd00::"), 64}});
    auto& right = **fabric_.add_switch("right", {{*net::parse_address("10.1.0.0"), 24}});
    router_ = *fabric_.add_router("router");
    ports_.push_back(*fabric_.attach(*router_, left));
    ports_.push_back(*fabric_.attach(*router_, right));
    for (const char* const name : {"a", "b", "c"}) {
      const vnet::StackLimits limits{
          .sockets = 16, .send_buffer = 4096, .receive_buffer = 4096, .datagrams = 8192};
      auto* const stack = *fabric_.add_stack(name, limits);
      auto& at = name[0] == 'c' ? right : left;
      ports_.push_back(*fabric_.attach(*stack, at));
      const auto via = *at.ports()[0]->address(net::Family::v4);
      check(fabric_.add_route(*stack, {*net::parse_address("0.0.0.0"), 0}, via).ok());
      stacks_.push_back(stack);
    }
    if (seed % 2 == 1) router_->set_translated(*ports_[1], true);
    if (seed % 3 == 1) router_->set_rules(*ports_[0], *net::Rules::parse("connect:*:80,udp:*:*"));
    router_->forward(*ports_[1], vnet::Protocol::tcp, 80, address_of(0, 80));
  }

  void step(Input& input) {
    const u8 what = input.byte();
    vnet::Stack& stack = *stacks_[what / 16 % 3];
    switch (what % 16) {
      case 0:
        return keep(streams_, stack.connect(address_of(input.byte(), input.byte() % 4 + 78)));
      case 1:
        return keep(listeners_,
                    stack.listen({{net::Family::v4, {}}, u16(input.byte() % 4 + 78)}, 2));
      case 2:
        return keep(datagrams_, stack.open_datagrams({{net::Family::v4, {}}, input.byte()}));
      case 3:
        if (listeners_.empty()) return;
        return keep(streams_, listeners_[input.byte() % listeners_.size()]->accept());
      case 4:
        for (const auto& each : streams_) each->write(input.take(input.byte() * 16u));
        return;
      case 5: {
        u8 buffer[3000];
        for (const auto& each : streams_) each->read(std::span(buffer).first(input.word() % 3000));
        return;
      }
      case 6:
        if (!streams_.empty()) {
          const auto error = streams_[input.byte() % streams_.size()]->shutdown(input.byte() % 4);
          (void)error;
        }
        return;
      case 7:
        if (streams_.empty()) return;
        std::swap(streams_.back(), streams_[input.byte() % streams_.size()]);
        streams_.back()->close();
        return streams_.pop_back();
      case 8:
        if (listeners_.empty()) return;
        listeners_.back()->close();
        return listeners_.pop_back();
      case 9: {
        if (datagrams_.empty()) return;
        u8 buffer[3000];
        const auto& socket = datagrams_[input.byte() % datagrams_.size()];
        socket->receive(buffer);
        socket->send(input.take(input.word() % 3000), address_of(input.byte(), input.byte()));
        return;
      }
      case 10:
        return set_link(input);
      case 11: {
        vnet::Node* const from[] = {&stack};
        vnet::Node* const to[] = {stacks_[input.byte() % 3], router_};
        return input.byte() % 2 == 0 ? fabric_.heal() : fabric_.partition(from, to, what > 128);
      }
      case 12:
        fabric_.capture(
            *ports_[input.byte() % ports_.size()],
            what < 128 ? vnet::Capture()
                       : [](u64, vnet::Span packet) { check(vnet::read_ip(packet).has_value()); });
        return;
      case 13:
        return forge(input);
      case 14: {
        vnet::Packet packet;
        const auto bytes = input.take(input.byte());
        packet.bytes.assign(bytes.begin(), bytes.end());
        vnet::Port& port = *ports_[input.byte() % ports_.size()];
        return port.node().receive(port, std::move(packet));
      }
      default:
        return turn(input.byte() * ms * (what > 200 ? 1000 : 1));
    }
  }

  void turn(u64 time) {
    check(fabric_.run(fabric_.now() + time, 200'000));
    for (vnet::Stack* const each : stacks_) {
      check(each->memory() <= 16u * (8192 + 8192) + 2 * (1000u * 1280) + (256 << 10) + (64 << 10));
      check(each->sockets() <= 16);
    }
  }

  // All ends when everybody closes.
  void finish() {
    for (const auto& each : streams_) each->close();
    for (const auto& each : listeners_) each->close();
    for (const auto& each : datagrams_) each->close();
    for (u32 i = 0; i < 200; ++i) turn(20'000 * ms);
    for (vnet::Stack* const each : stacks_) check(each->sockets() == 0);
    check(router_->flows() <= vnet::Router::max_flows);
  }

 private:
  [[nodiscard]] net::Endpoint address_of(u8 which, u16 port) const {
    const auto& of = ports_[which % ports_.size()];
    return {*of->address(net::Family::v4), port};
  }

  template <class Sockets, class Made>
  void keep(Sockets& sockets, Made made) {
    if (auto* const socket = std::get_if<0>(&made)) sockets.push_back(std::move(*socket));
  }

  void set_link(Input& input) {
    vnet::LinkSettings settings;
    settings.latency = input.byte() * ms;
    settings.jitter = input.byte() * ms / 4;
    settings.bandwidth = input.byte() * 10'000u;
    settings.queue = input.byte();
    settings.loss = input.byte() * 2000u;
    settings.duplication = input.byte() * 2000u;
    settings.reordering = input.byte() * 2000u;
    fabric_.set_link(*ports_[input.byte() % ports_.size()], settings,
                     input.byte() % 2 == 0 ? settings : vnet::LinkSettings());
  }

  // A segment with a good checksum, for a connection that there may be.
  void forge(Input& input) {
    net::Endpoint from = address_of(input.byte(), static_cast<u16>(input.word()));
    net::Endpoint to = address_of(input.byte(), static_cast<u16>(input.word()));
    if (!streams_.empty() && input.byte() % 4 != 0) {
      const auto& stream = streams_[input.byte() % streams_.size()];
      from = stream->remote();
      to = stream->local();
    }
    vnet::Segment segment;
    segment.source_port = from.port;
    segment.destination_port = to.port;
    segment.flags = input.byte();
    // From the very numbers, as if they had been seen on the way.
    segment.sequence = last_sequence_ + input.word() - 100;
    segment.acknowledgement = last_acknowledgement_ + input.word() - 100;
    segment.window = static_cast<u16>(input.word());
    if (input.byte() % 2 == 0) segment.mss = static_cast<u16>(input.word());
    if (input.byte() % 2 == 0) segment.scale = input.byte();
    segment.payload = input.take(input.byte());
    vnet::Packet packet;
    packet.bytes = vnet::write_tcp(from.address, to.address, segment);
    for (vnet::Port* const port : ports_) {
      if (port->has(to.address)) return port->node().receive(*port, std::move(packet));
    }
  }

 public:
  void watch() {
    for (vnet::Port* const port : ports_) {
      fabric_.capture(*port, [this](u64, vnet::Span packet) {
        const auto header = vnet::read_ip(packet);
        check(header.has_value());
        if (const auto segment = vnet::read_tcp(*header, packet)) {
          last_sequence_ = segment->sequence;
          last_acknowledgement_ = segment->acknowledgement;
        }
      });
    }
  }

 private:
  vnet::Fabric fabric_;
  vnet::Router* router_ = nullptr;
  std::vector<vnet::Port*> ports_;
  std::vector<vnet::Stack*> stacks_;
  std::vector<std::shared_ptr<vnet::Stream>> streams_;
  std::vector<std::shared_ptr<vnet::Listener>> listeners_;
  std::vector<std::shared_ptr<vnet::DatagramSocket>> datagrams_;
  u32 last_sequence_ = 0;
  u32 last_acknowledgement_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
  Input input({data, size});
  const u8 kind = input.byte();
  if (kind % 4 == 0) {
    vnet::Reassembler reassembler;
    while (!input.is_empty()) {
      const usize count = input.word() % 2000;
      check_packet(input.take(count), reassembler);
    }
    return 0;
  }
  Network network(kind);
  if (kind % 4 == 1) network.watch();
  for (u32 i = 0; i < 2000 && !input.is_empty(); ++i) network.step(input);
  network.finish();
  return 0;
}
