// Addresses of the Internet Protocol, as texts and numbers. An IPv4 address that is written as an
// IPv6 one (::ffff:10.0.0.1) is the IPv4 address everywhere. Any thread.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "vm/base/types.hpp"

struct sockaddr;
struct sockaddr_storage;

namespace atollvm::net {

// The numbers are part of the guest interface.
enum class Family : u8 { v4 = 4, v6 = 6 };

struct Address {
  Family family = Family::v4;
  std::array<u8, 16> bytes{};  // in network order; of IPv4 the first four, the others are zero

  bool operator==(const Address&) const = default;
};

// Of 4 or 16 bytes, in network order.
Address make_v4(const u8* bytes);
Address make_v6(const u8* bytes);

// Exactly "127.0.0.1" or "2001:db8::1": no other number of parts, no octal or hexadecimal IPv4, no
// leading zeros there, no scope, no brackets.
std::optional<Address> parse_address(std::string_view text);
// As RFC 5952 has it.
std::string to_text(const Address& address);

// All addresses that begin with the first `length` bits of one.
struct Prefix {
  Address address;
  u8 length = 0;  // bits

  bool operator==(const Prefix&) const = default;
};
// "10.0.0.0/24"; nothing: it is none. Bits behind the prefix stay.
std::optional<Prefix> parse_prefix(std::string_view text);
bool contains(const Prefix& prefix, const Address& address);
// Whether all of `inner` is in `outer`.
bool contains(const Prefix& outer, const Prefix& inner);

// What no rule for many addresses reaches, only one that names it: the kind of such an address in
// words ("link-local"), or nothing. `range`, unless it is null, becomes the whole of that kind.
std::optional<std::string_view> special_kind(const Address& address, Prefix* range = nullptr);
bool is_loopback(const Address& address);
// Whether it is one that anybody on the Internet may have.
bool is_public(const Address& address);

struct Endpoint {
  Address address;
  u16 port = 0;

  bool operator==(const Endpoint&) const = default;
};
// Whether it is any address, and a port that the host chooses.
inline bool is_any(const Endpoint& endpoint) {
  return endpoint.port == 0 && endpoint.address == Address{endpoint.address.family, {}};
}
// "127.0.0.1:80", "[2001:db8::1]:80".
std::string to_text(const Endpoint& endpoint);
// Exactly such a text; the port can be 0.
std::optional<Endpoint> parse_endpoint(std::string_view text);

// For the host's calls: fills `to` and gives the number of bytes that count.
u32 to_host(const Endpoint& endpoint, sockaddr_storage& to);
// Nothing: it is of another family, or too short.
std::optional<Endpoint> from_host(const sockaddr* from, u32 size);

// A host's name in lower case and without the dot at its end, or nothing: letters, digits, '-' and
// '_', in parts of 1 to 63 with dots between, 253 together. A name whose last part could be a
// number (decimal, octal or hexadecimal) is none: others would take it for an address.
std::optional<std::string> canonical_name(std::string_view text);

}  // namespace atollvm::net
