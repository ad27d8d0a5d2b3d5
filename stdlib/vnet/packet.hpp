// Packets as they are on a wire: IPv4 (RFC 791) without options, IPv6 (RFC 8200) with no extension
// header but that of fragments, and in them TCP (RFC 9293), UDP (RFC 768) and the errors of ICMP
// (RFC 792) and ICMPv6 (RFC 4443). What is read is taken to be hostile.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "stdlib/net/address.hpp"

namespace atollvm::vnet {

using net::Address;
using net::Endpoint;
using net::Family;

using Bytes = std::vector<u8>;
using Span = std::span<const u8>;

enum class Protocol : u8 { icmp = 1, tcp = 6, udp = 17, icmp6 = 58 };

inline constexpr usize v4_header_size = 20;
inline constexpr usize v6_header_size = 40;
inline constexpr usize v6_fragment_header_size = 8;
inline constexpr usize udp_header_size = 8;
inline constexpr usize tcp_header_size = 20;
inline constexpr usize max_datagram = 65507;  // bytes of payload, with either family
inline constexpr u8 default_hops = 64;
inline constexpr usize quoted_bytes = 256;  // of a packet, in errors about it

// The header of IP.
struct IpHeader {
  Address source;
  Address destination;
  Protocol protocol = Protocol::udp;
  u8 hops = default_hops;
  u32 identification = 0;
  // Of a fragment: the place of its payload, in bytes.
  bool is_fragment = false;
  bool has_more = false;
  u32 offset = 0;
  usize header_size = 0;  // with the extension header, if there is one

  [[nodiscard]] Span payload(Span packet) const { return packet.subspan(header_size); }
};
// Nothing: it is not one, or one that is not taken.
std::optional<IpHeader> read_ip(Span packet);
// A packet with that header; fragments have their header.
Bytes write_ip(const IpHeader& header, Span payload);
// Takes a hop away. False: it was the last one.
bool take_hop(Bytes& packet);
// A packet in parts of at most `mtu` bytes; one that fits stays as it is.
std::vector<Bytes> fragment(Bytes packet, usize mtu, u32 identification);

namespace flag {
inline constexpr u8 fin = 1;
inline constexpr u8 syn = 2;
inline constexpr u8 rst = 4;
inline constexpr u8 psh = 8;
inline constexpr u8 ack = 16;
}  // namespace flag

struct Segment {
  u16 source_port = 0;
  u16 destination_port = 0;
  u32 sequence = 0;
  u32 acknowledgement = 0;
  u8 flags = 0;
  u16 window = 0;
  std::optional<u16> mss{};
  std::optional<u8> scale{};  // of the window
  Span payload{};

  [[nodiscard]] bool has(u8 bits) const { return (flags & bits) != 0; }
  // Numbers that it takes.
  [[nodiscard]] u32 length() const {
    return static_cast<u32>(payload.size()) + (has(flag::syn) ? 1 : 0) + (has(flag::fin) ? 1 : 0);
  }
};
std::optional<Segment> read_tcp(const IpHeader& header, Span packet);
// The payload in two pieces, one after the other.
Bytes write_tcp(const Address& source, const Address& destination, const Segment& segment,
                Span more = {});

struct Datagram {
  u16 source_port = 0;
  u16 destination_port = 0;
  Span payload{};
};
std::optional<Datagram> read_udp(const IpHeader& header, Span packet);
Bytes write_udp(const Address& source, const Address& destination, const Datagram& datagram);

enum class Unreachable : u8 { network, host, port, prohibited, hops };
struct IcmpError {
  Unreachable kind = Unreachable::host;
  Span quoted{};  // the beginning of the packet
};
std::optional<IcmpError> read_icmp(const IpHeader& header, Span packet);
Bytes write_icmp(const Address& source, const Address& destination, Unreachable kind, Span quoted);

// What a packet, or one that is quoted in an error and may be cut off, belongs to.
struct Flow {
  Protocol protocol = Protocol::udp;
  Endpoint source;
  Endpoint destination;

  bool operator==(const Flow&) const = default;
  [[nodiscard]] Flow reversed() const { return {protocol, destination, source}; }
};
struct FlowHash {
  usize operator()(const Flow& flow) const;
};
struct AddressHash {
  usize operator()(const Address& address) const;
};
struct EndpointHash {
  usize operator()(const Endpoint& endpoint) const;
};
// Of TCP and UDP without fragments. `is_quoted`: no checksum and length is looked at.
std::optional<Flow> read_flow(Span packet, bool is_quoted = false);
// Of TCP.
std::optional<u32> read_quoted_sequence(Span packet);
// Gives a packet of TCP or UDP another source and destination; of an error of ICMP, whose quoted
// packet gets `flow`, its own destination.
void rewrite(Bytes& packet, const Flow& flow);
void rewrite_icmp(Bytes& packet, const Address& source, const Address& destination,
                  const Flow& quoted);

}  // namespace atollvm::vnet
