// Virtual networks, as machine files describe them (docs/machines.md). Addresses, prefixes, names
// and rules are texts here: who makes the network reads them, and tells mistakes by their places.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/machine/config.hpp"

namespace atollvm::machine {

// Of a link: nothing where it stays as it is. ns, bits in a second, packets, and how many in a
// million.
struct LinkSpec {
  std::optional<u64> latency{};
  std::optional<u64> jitter{};
  std::optional<u64> bandwidth{};
  std::optional<u32> queue{};
  std::optional<u32> loss{};
  std::optional<u32> duplicate{};
  std::optional<u32> reorder{};
  std::optional<bool> down{};
};

struct NicSpec {
  std::string place;  // for messages
  std::string at;     // the switch
  std::vector<std::string> addresses;
  LinkSpec link;  // both directions
  // Of routers:
  std::string rules;  // empty: all is allowed
  bool translates = false;
};

struct RouteSpec {
  std::string place;
  std::string to;
  std::string via;
};

// What comes to a port of a router's address at a switch goes on to somebody.
struct ForwardSpec {
  std::string place;
  bool is_datagrams = false;
  std::string from;  // "SWITCH:PORT"
  std::string to;    // "ADDRESS:PORT"
};

struct SwitchSpec {
  std::string place;
  std::string name;
  std::vector<std::string> prefixes;
};

struct RouterSpec {
  std::string place;
  std::string name;
  std::vector<NicSpec> nics;
  std::vector<RouteSpec> routes;
  std::vector<ForwardSpec> forwards;
};

struct TopologySpec {
  u64 seed = 1;
  u32 mtu = 1500;
  std::vector<SwitchSpec> switches;
  std::vector<RouterSpec> routers;
};

inline constexpr usize max_nics = 64;  // of one
inline constexpr usize max_routes = 200;
inline constexpr usize max_forwards = 1000;
inline constexpr usize max_switches = 1000;  // and routers

// Out of a table that has other keys, too.
std::vector<NicSpec> read_nics(Reader& reader, const Node& node, bool is_router);
std::vector<RouteSpec> read_routes(Reader& reader, const Node& node);
// The keys of a link; `known` ones are checked by the caller.
LinkSpec read_link(Reader& reader, const Node& node);
extern const std::initializer_list<std::string_view> link_keys;
// The tables `network`, `switch` and `router` of a machine file.
TopologySpec read_topology(Reader& reader, const Node& root);

nlohmann::ordered_json to_json(const NicSpec& nic);
nlohmann::ordered_json to_json(const RouteSpec& route);

}  // namespace atollvm::machine
