// Routers: between networks, with address translation and rules.
#pragma once

#include "stdlib/net/rules.hpp"
#include "stdlib/vnet/fragments.hpp"
#include "stdlib/vnet/node.hpp"

namespace atollvm::vnet {

class Router final : public Node {
 public:
  static constexpr usize max_flows = 16384;
  static constexpr usize max_flows_of_one = 1024;
  static constexpr usize max_forwards = 1024;

  Router(Fabric& fabric, std::string name);

  // What comes in at a port and is for elsewhere has to be allowed by rules: `connect` for TCP,
  // `udp` for datagrams. Answers are allowed with what they answer. Nothing: all is allowed.
  void set_rules(Port& in, std::optional<net::Rules> rules);
  // What leaves by a port gets that port's address as its source.
  void set_translated(Port& out, bool is_translated);
  // What comes to a port of the router's own address at `in` goes to `to`. False: that port is
  // forwarded already, or there are too many.
  bool forward(Port& in, Protocol protocol, u16 port, const Endpoint& to);

  [[nodiscard]] usize flows() const { return flows_.size() / 2; }
  void receive(Port& at, Packet&& packet) override;

 private:
  // A flow as it comes in, one entry for each direction.
  struct Tracked {
    Flow becomes;
    Flow partner;  // what the other direction comes in as
    Address owner;
    u64 until = 0;
    bool is_closing = false;
    bool is_answered = false;
    bool is_first = false;  // the direction that began
  };
  class Sweep final : public Timer {
   public:
    explicit Sweep(Router& router);

   private:
    void due() override;
    Router& router_;
  };

  // What a packet becomes; null: it is dropped.
  Tracked* track(Port& in, const Flow& flow, Span packet);
  void touch(Tracked& tracked, const Flow& flow, Span packet);
  void sweep();
  void send_error(Port& at, Unreachable kind, Span packet);
  void take_icmp(const IpHeader& header, Packet&& packet);
  // Nothing: none is free.
  std::optional<u16> free_port(const Flow& flow, const Address& source);
  void settings_changed();

  struct PortSettings {
    std::optional<net::Rules> rules{};
    bool is_translated = false;
  };
  struct Forward {
    Protocol protocol;
    Endpoint at;
    Endpoint to;
  };

  std::unordered_map<const Port*, PortSettings> settings_;
  std::vector<Forward> forwards_;
  bool is_tracking_ = false;
  std::unordered_map<Flow, Tracked, FlowHash> flows_;
  std::unordered_map<Address, usize, AddressHash> flows_of_;
  Reassembler reassembler_;
  u16 next_port_ = 0;
  Sweep sweep_;
};

}  // namespace atollvm::vnet
