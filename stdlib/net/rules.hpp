// What a guest may do on a network. A list of rules, each of which allows something; all else is
// refused.
//
//   connect:HOST:PORTS      open TCP connections to HOST
//   listen:ADDRESS:PORTS    take TCP connections there
//   udp:HOST:PORTS          send datagrams to HOST, and receive from there
//   udp-listen:ADDRESS:PORTS  receive datagrams there, from anybody
//   dns                     look any name up; without it, those that the rules have
//   connections=N           so many sockets at once (256 without it)
//   bandwidth=SIZE          so many bytes a second, of all sockets and in both directions
//   packets=N               so many datagrams a second, sent and received
//   names=N                 so many lookups a second
//
// ADDRESS is an IPv4 or IPv6 address, a prefix of one (10.0.0.0/8), or `*`, any. What has colons is
// in brackets: [2001:db8::/32]. HOST can also be `public`, any address that is public, or a name.
// PORTS is a number, FIRST-LAST, or `*`, which is 1-65535.
//
// What is asked is about addresses, after a name was resolved. A rule with a name allows the public
// addresses that it resolves to in the same call; of `localhost` and what ends with it, loopback.
// Any others need a rule that names addresses. What special_kind() tells of is in no prefix but one
// of that kind alone.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "stdlib/net/address.hpp"
#include "vm/base/result.hpp"
#include "vm/cap/rate.hpp"

namespace atollvm::net {

enum class Action : u8 { connect, listen, udp, udp_listen };

struct Rule {
  enum class Host : u8 { any, publics, prefix, name };
  Action action = Action::connect;
  Host host = Host::any;
  Prefix prefix{};
  std::string name{};  // canonical
  u16 first_port = 0;
  u16 last_port = 0;

  bool operator==(const Rule&) const = default;
};
std::string to_text(const Rule& rule);

// All that a guest can do on a network of its own.
inline constexpr std::string_view all_rules =
    "connect:*:*,listen:*:*,listen:*:0,udp:*:*,udp-listen:*:*,udp-listen:*:0,dns";

class Rules {
 public:
  static constexpr u32 default_connections = 256;

  // "connect:example.org:443,dns", with spaces around commas ignored. Errors: usage, with the rule
  // as place and what to write.
  static base::Result<Rules> parse(std::string_view text);
  // The same in canonical form: read again, it gives the same rules and the same text.
  [[nodiscard]] std::string text() const;

  // Why something is refused; nothing: it is allowed. `name` is the canonical name that was
  // resolved to the address, or empty; `is_own`: by who makes the rules, so that any address may be
  // meant.
  [[nodiscard]] std::optional<std::string> refuses(Action action, const Endpoint& endpoint,
                                                   std::string_view name = {},
                                                   bool is_own = false) const;
  // Whether a name may be looked up, by itself or (`action`) to do something with a port of it.
  [[nodiscard]] bool may_resolve(std::string_view name) const;
  [[nodiscard]] bool may_resolve(Action action, std::string_view name, u16 port) const;
  // Whether a rule names addresses for broadcast.
  [[nodiscard]] bool has_broadcast() const;
  [[nodiscard]] u32 connections() const { return connections_; }
  // A second; cap::Rate::unlimited without.
  [[nodiscard]] u64 bandwidth() const { return bandwidth_; }
  [[nodiscard]] u64 packets() const { return packets_; }
  [[nodiscard]] u64 names() const { return names_; }

 private:
  struct Limit;
  static const Limit limits[];
  // Null: it is none. Else what is wrong with it, or "".
  std::optional<std::string> take_limit(std::string_view text, u32& seen);
  std::vector<Rule> rules_;
  bool dns_ = false;
  u32 connections_ = default_connections;
  u64 bandwidth_ = cap::Rate::unlimited;
  u64 packets_ = cap::Rate::unlimited;
  u64 names_ = cap::Rate::unlimited;
};

// Whether a name is always the host's own: "localhost", "x.localhost".
bool is_local_name(std::string_view name);

}  // namespace atollvm::net
