#include "stdlib/vnet/packet.hpp"

#include <string.h>

#include <algorithm>

namespace atollvm::vnet {
namespace {

constexpr u8 next_is_fragment = 44;
constexpr u16 v4_more_fragments = 0x2000;
constexpr u16 v4_dont_fragment = 0x4000;
constexpr u8 option_end = 0;
constexpr u8 option_nothing = 1;
constexpr u8 option_mss = 2;
constexpr u8 option_scale = 3;
constexpr usize icmp_header_size = 8;

u16 get16(Span bytes, usize at) { return static_cast<u16>(bytes[at] << 8 | bytes[at + 1]); }
u32 get32(Span bytes, usize at) {
  return static_cast<u32>(get16(bytes, at)) << 16 | get16(bytes, at + 2);
}
void set16(std::span<u8> bytes, usize at, u32 value) {
  bytes[at] = static_cast<u8>(value >> 8);
  bytes[at + 1] = static_cast<u8>(value);
}
void set32(std::span<u8> bytes, usize at, u32 value) {
  set16(bytes, at, value >> 16);
  set16(bytes, at + 2, value & 0xffff);
}

// The Internet's checksum (RFC 1071), in pieces; each but the last has an even number of bytes.
class Checksum {
 public:
  void add(Span bytes) {
    usize at = 0;
    for (; at + 1 < bytes.size(); at += 2) sum_ += get16(bytes, at);
    if (at < bytes.size()) sum_ += static_cast<u64>(bytes[at]) << 8;
  }
  void add(u64 number) { sum_ += number; }
  [[nodiscard]] u16 value() const {
    u64 sum = sum_;
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<u16>(~sum);
  }

 private:
  u64 sum_ = 0;
};

usize address_size(Family family) { return family == Family::v4 ? 4 : 16; }
Span bytes_of(const Address& address) {
  return Span(address.bytes).first(address_size(address.family));
}

// Of what is behind IP's header, with the header that it adds for the sum.
u16 transport_checksum(const Address& source, const Address& destination, Protocol protocol,
                       Span bytes) {
  Checksum sum;
  if (protocol != Protocol::icmp) {
    sum.add(bytes_of(source));
    sum.add(bytes_of(destination));
    sum.add(static_cast<u64>(protocol));
    sum.add(bytes.size());
  }
  sum.add(bytes);
  return sum.value();
}

bool is_known(u8 protocol) {
  return protocol == static_cast<u8>(Protocol::tcp) || protocol == static_cast<u8>(Protocol::udp) ||
         protocol == static_cast<u8>(Protocol::icmp) ||
         protocol == static_cast<u8>(Protocol::icmp6);
}

// `is_quoted`: there may be less than the header says.
std::optional<IpHeader> read_v4(Span packet, bool is_quoted) {
  if (packet.size() < v4_header_size || packet[0] != 0x45) return std::nullopt;
  const usize total = get16(packet, 2);
  if (total < v4_header_size || (!is_quoted && total != packet.size())) return std::nullopt;
  Checksum sum;
  sum.add(packet.first(v4_header_size));
  if (sum.value() != 0) return std::nullopt;
  IpHeader header;
  header.source = net::make_v4(&packet[12]);
  header.destination = net::make_v4(&packet[16]);
  if (!is_known(packet[9]) || packet[9] == static_cast<u8>(Protocol::icmp6)) return std::nullopt;
  header.protocol = static_cast<Protocol>(packet[9]);
  header.hops = packet[8];
  header.identification = get16(packet, 4);
  const u16 word = get16(packet, 6);
  header.has_more = (word & v4_more_fragments) != 0;
  header.offset = (word & 0x1fffu) * 8;
  header.is_fragment = header.has_more || header.offset != 0;
  header.header_size = v4_header_size;
  return header;
}

std::optional<IpHeader> read_v6(Span packet, bool is_quoted) {
  if (packet.size() < v6_header_size) return std::nullopt;
  const usize total = v6_header_size + get16(packet, 4);
  if (!is_quoted && total != packet.size()) return std::nullopt;
  IpHeader header;
  header.source = net::make_v6(&packet[8]);
  header.destination = net::make_v6(&packet[24]);
  // IPv4 addresses have no place here.
  if (header.source.family != Family::v6 || header.destination.family != Family::v6) {
    return std::nullopt;
  }
  header.hops = packet[7];
  header.header_size = v6_header_size;
  u8 next = packet[6];
  if (next == next_is_fragment) {
    if (packet.size() < v6_header_size + v6_fragment_header_size) return std::nullopt;
    next = packet[v6_header_size];
    const u16 word = get16(packet, v6_header_size + 2);
    header.is_fragment = true;
    header.has_more = (word & 1) != 0;
    header.offset = word & 0xfff8u;
    header.identification = get32(packet, v6_header_size + 4);
    header.header_size += v6_fragment_header_size;
  }
  if (!is_known(next) || next == static_cast<u8>(Protocol::icmp)) return std::nullopt;
  header.protocol = static_cast<Protocol>(next);
  return header;
}

std::optional<IpHeader> read_header(Span packet, bool is_quoted) {
  if (packet.empty()) return std::nullopt;
  return packet[0] >> 4 == 4   ? read_v4(packet, is_quoted)
         : packet[0] >> 4 == 6 ? read_v6(packet, is_quoted)
                               : std::nullopt;
}

void put_v4_checksum(std::span<u8> packet) {
  set16(packet, 10, 0);
  Checksum sum;
  sum.add(packet.first(v4_header_size));
  set16(packet, 10, sum.value());
}

bool has_good_checksum(const IpHeader& header, Span payload) {
  return transport_checksum(header.source, header.destination, header.protocol, payload) == 0;
}

// Where the checksum is.
usize checksum_at(Protocol protocol) {
  return protocol == Protocol::tcp ? 16 : protocol == Protocol::udp ? 6 : 2;
}

void put_checksum(const Address& source, const Address& destination, Protocol protocol,
                  std::span<u8> bytes) {
  const usize at = checksum_at(protocol);
  set16(bytes, at, 0);
  u16 sum = transport_checksum(source, destination, protocol, bytes);
  if (sum == 0 && protocol == Protocol::udp) sum = 0xffff;
  set16(bytes, at, sum);
}

void put_addresses(std::span<u8> packet, const Address& source, const Address& destination) {
  const usize at = source.family == Family::v4 ? 12 : 8;
  const usize size = address_size(source.family);
  memcpy(&packet[at], source.bytes.data(), size);
  memcpy(&packet[at + size], destination.bytes.data(), size);
  if (source.family == Family::v4) put_v4_checksum(packet);
}

struct IcmpCode {
  u8 type;
  u8 code;
};
// In the order of Unreachable.
constexpr IcmpCode v4_codes[] = {{3, 0}, {3, 1}, {3, 3}, {3, 13}, {11, 0}};
constexpr IcmpCode v6_codes[] = {{1, 0}, {1, 3}, {1, 4}, {1, 1}, {3, 0}};

void mix(u64& hash, u64 value) {
  hash = (hash ^ value) * 0x9e3779b97f4a7c15;
  hash ^= hash >> 29;
}

}  // namespace

std::optional<IpHeader> read_ip(Span packet) { return read_header(packet, false); }

Bytes write_ip(const IpHeader& header, Span payload) {
  Bytes packet;
  if (header.source.family == Family::v4) {
    packet.resize(v4_header_size + payload.size());
    packet[0] = 0x45;
    set16(packet, 2, static_cast<u32>(packet.size()));
    set16(packet, 4, header.identification & 0xffff);
    set16(packet, 6,
          header.is_fragment ? (header.has_more ? v4_more_fragments : 0u) | header.offset / 8
          : header.protocol == Protocol::tcp ? v4_dont_fragment
                                             : 0u);
    packet[8] = header.hops;
    packet[9] = static_cast<u8>(header.protocol);
    put_addresses(packet, header.source, header.destination);
  } else {
    const usize extra = header.is_fragment ? v6_fragment_header_size : 0;
    packet.resize(v6_header_size + extra + payload.size());
    packet[0] = 0x60;
    set16(packet, 4, static_cast<u32>(extra + payload.size()));
    packet[6] = header.is_fragment ? next_is_fragment : static_cast<u8>(header.protocol);
    packet[7] = header.hops;
    if (header.is_fragment) {
      packet[v6_header_size] = static_cast<u8>(header.protocol);
      set16(packet, v6_header_size + 2, header.offset | (header.has_more ? 1 : 0));
      set32(packet, v6_header_size + 4, header.identification);
    }
    put_addresses(packet, header.source, header.destination);
  }
  std::copy(payload.begin(), payload.end(),
            packet.end() - static_cast<std::ptrdiff_t>(payload.size()));
  return packet;
}

bool take_hop(Bytes& packet) {
  u8& hops = packet[packet[0] >> 4 == 4 ? 8 : 7];
  if (hops <= 1) return false;
  --hops;
  if (packet[0] >> 4 == 4) put_v4_checksum(packet);
  return true;
}

std::vector<Bytes> fragment(Bytes packet, usize mtu, u32 identification) {
  std::vector<Bytes> parts;
  if (packet.size() <= mtu) {
    parts.push_back(std::move(packet));
    return parts;
  }
  auto header = read_ip(packet);
  if (!header || header->is_fragment) return parts;
  const Span payload = header->payload(packet);
  header->is_fragment = true;
  header->identification = identification;
  const usize headers = header->source.family == Family::v4
                            ? v4_header_size
                            : v6_header_size + v6_fragment_header_size;
  const usize most = (mtu - headers) / 8 * 8;
  for (usize at = 0; at < payload.size(); at += most) {
    header->offset = static_cast<u32>(at);
    header->has_more = payload.size() - at > most;
    parts.push_back(write_ip(*header, payload.subspan(at, std::min(most, payload.size() - at))));
  }
  return parts;
}

std::optional<Segment> read_tcp(const IpHeader& header, Span packet) {
  const Span bytes = header.payload(packet);
  if (header.protocol != Protocol::tcp || header.is_fragment || bytes.size() < tcp_header_size) {
    return std::nullopt;
  }
  const usize size = static_cast<usize>(bytes[12] >> 4) * 4;
  if (size < tcp_header_size || size > bytes.size() || !has_good_checksum(header, bytes)) {
    return std::nullopt;
  }
  Segment segment;
  segment.source_port = get16(bytes, 0);
  segment.destination_port = get16(bytes, 2);
  segment.sequence = get32(bytes, 4);
  segment.acknowledgement = get32(bytes, 8);
  segment.flags = bytes[13] & 0x3f;
  segment.window = get16(bytes, 14);
  segment.payload = bytes.subspan(size);
  for (Span options = bytes.subspan(tcp_header_size, size - tcp_header_size); !options.empty();) {
    if (options[0] == option_end) break;
    if (options[0] == option_nothing) {
      options = options.subspan(1);
      continue;
    }
    if (options.size() < 2 || options[1] < 2 || options[1] > options.size()) return std::nullopt;
    if (options[0] == option_mss && options[1] == 4) segment.mss = get16(options, 2);
    if (options[0] == option_scale && options[1] == 3) segment.scale = options[2];
    options = options.subspan(options[1]);
  }
  return segment;
}

Bytes write_tcp(const Address& source, const Address& destination, const Segment& segment,
                Span more) {
  const usize size =
      tcp_header_size + (segment.mss ? 4 : 0) + (segment.scale ? 4 : 0);  // with one of nothing
  Bytes bytes(size);
  bytes.reserve(size + segment.payload.size() + more.size());
  set16(bytes, 0, segment.source_port);
  set16(bytes, 2, segment.destination_port);
  set32(bytes, 4, segment.sequence);
  set32(bytes, 8, segment.acknowledgement);
  bytes[12] = static_cast<u8>(size / 4 << 4);
  bytes[13] = segment.flags;
  set16(bytes, 14, segment.window);
  usize at = tcp_header_size;
  if (segment.mss) {
    bytes[at] = option_mss;
    bytes[at + 1] = 4;
    set16(bytes, at + 2, *segment.mss);
    at += 4;
  }
  if (segment.scale) {
    bytes[at] = option_nothing;
    bytes[at + 1] = option_scale;
    bytes[at + 2] = 3;
    bytes[at + 3] = *segment.scale;
  }
  bytes.insert(bytes.end(), segment.payload.begin(), segment.payload.end());
  bytes.insert(bytes.end(), more.begin(), more.end());
  put_checksum(source, destination, Protocol::tcp, bytes);
  IpHeader header;
  header.source = source;
  header.destination = destination;
  header.protocol = Protocol::tcp;
  return write_ip(header, bytes);
}

std::optional<Datagram> read_udp(const IpHeader& header, Span packet) {
  const Span bytes = header.payload(packet);
  if (header.protocol != Protocol::udp || header.is_fragment || bytes.size() < udp_header_size ||
      get16(bytes, 4) != bytes.size()) {
    return std::nullopt;
  }
  const bool has_none = get16(bytes, 6) == 0 && header.source.family == Family::v4;
  if (!has_none && (get16(bytes, 6) == 0 || !has_good_checksum(header, bytes))) {
    return std::nullopt;
  }
  return Datagram{get16(bytes, 0), get16(bytes, 2), bytes.subspan(udp_header_size)};
}

Bytes write_udp(const Address& source, const Address& destination, const Datagram& datagram) {
  Bytes bytes(udp_header_size);
  set16(bytes, 0, datagram.source_port);
  set16(bytes, 2, datagram.destination_port);
  set16(bytes, 4, static_cast<u32>(udp_header_size + datagram.payload.size()));
  bytes.insert(bytes.end(), datagram.payload.begin(), datagram.payload.end());
  put_checksum(source, destination, Protocol::udp, bytes);
  IpHeader header;
  header.source = source;
  header.destination = destination;
  header.protocol = Protocol::udp;
  return write_ip(header, bytes);
}

std::optional<IcmpError> read_icmp(const IpHeader& header, Span packet) {
  const Span bytes = header.payload(packet);
  const bool is_v4 = header.source.family == Family::v4;
  if (header.protocol != (is_v4 ? Protocol::icmp : Protocol::icmp6) || header.is_fragment ||
      bytes.size() < icmp_header_size || !has_good_checksum(header, bytes)) {
    return std::nullopt;
  }
  const auto& codes = is_v4 ? v4_codes : v6_codes;
  const auto* const found = std::find_if(std::begin(codes), std::end(codes), [&](IcmpCode each) {
    return each.type == bytes[0] && each.code == bytes[1];
  });
  if (found == std::end(codes)) return std::nullopt;
  return IcmpError{static_cast<Unreachable>(found - codes), bytes.subspan(icmp_header_size)};
}

Bytes write_icmp(const Address& source, const Address& destination, Unreachable kind, Span quoted) {
  const bool is_v4 = source.family == Family::v4;
  const IcmpCode code = (is_v4 ? v4_codes : v6_codes)[static_cast<u8>(kind)];
  Bytes bytes(icmp_header_size);
  bytes[0] = code.type;
  bytes[1] = code.code;
  bytes.insert(bytes.end(), quoted.begin(), quoted.end());
  IpHeader header;
  header.source = source;
  header.destination = destination;
  header.protocol = is_v4 ? Protocol::icmp : Protocol::icmp6;
  put_checksum(source, destination, header.protocol, bytes);
  return write_ip(header, bytes);
}

usize AddressHash::operator()(const Address& address) const {
  u64 words[2];
  memcpy(words, address.bytes.data(), sizeof words);
  u64 hash = static_cast<u64>(address.family);
  mix(hash, words[0]);
  mix(hash, words[1]);
  return hash;
}

usize EndpointHash::operator()(const Endpoint& endpoint) const {
  u64 hash = AddressHash{}(endpoint.address);
  mix(hash, endpoint.port);
  return hash;
}

usize FlowHash::operator()(const Flow& flow) const {
  u64 hash = static_cast<u64>(flow.protocol);
  mix(hash, EndpointHash{}(flow.source));
  mix(hash, EndpointHash{}(flow.destination));
  return hash;
}

std::optional<Flow> read_flow(Span packet, bool is_quoted) {
  const auto header = read_header(packet, is_quoted);
  if (!header || header->is_fragment ||
      (header->protocol != Protocol::tcp && header->protocol != Protocol::udp)) {
    return std::nullopt;
  }
  if (!is_quoted && !(header->protocol == Protocol::tcp ? read_tcp(*header, packet).has_value()
                                                        : read_udp(*header, packet).has_value())) {
    return std::nullopt;
  }
  const Span bytes = header->payload(packet);
  if (bytes.size() < 4) return std::nullopt;
  return Flow{
      header->protocol, {header->source, get16(bytes, 0)}, {header->destination, get16(bytes, 2)}};
}

std::optional<u32> read_quoted_sequence(Span packet) {
  const auto header = read_header(packet, true);
  if (!header || header->is_fragment || header->protocol != Protocol::tcp ||
      packet.size() < header->header_size + 8) {
    return std::nullopt;
  }
  return get32(header->payload(packet), 4);
}

void rewrite(Bytes& packet, const Flow& flow) {
  const auto header = read_ip(packet);
  if (!header) return;
  const std::span<u8> bytes = std::span(packet).subspan(header->header_size);
  put_addresses(packet, flow.source.address, flow.destination.address);
  set16(bytes, 0, flow.source.port);
  set16(bytes, 2, flow.destination.port);
  put_checksum(flow.source.address, flow.destination.address, flow.protocol, bytes);
}

void rewrite_icmp(Bytes& packet, const Address& source, const Address& destination,
                  const Flow& quoted) {
  const auto header = read_ip(packet);
  if (!header) return;
  const std::span<u8> bytes = std::span(packet).subspan(header->header_size);
  const std::span<u8> inner = bytes.subspan(icmp_header_size);
  const auto inner_header = read_header(inner, true);
  if (!inner_header || inner.size() < inner_header->header_size + 4) return;
  // The checksum of what is quoted stays what it was: nobody can check it.
  put_addresses(inner, quoted.source.address, quoted.destination.address);
  set16(inner, inner_header->header_size, quoted.source.port);
  set16(inner, inner_header->header_size + 2, quoted.destination.port);
  put_addresses(packet, source, destination);
  put_checksum(source, destination, header->protocol, bytes);
}

}  // namespace atollvm::vnet
