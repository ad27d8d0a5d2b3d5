#include "scheduler/machine/topology.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "vm/base/utf8.hpp"

namespace atollvm::machine {
namespace {

constexpr usize max_text = 64 << 10;
constexpr u32 million = 1'000'000;

// One text, or a list of them.
std::vector<std::string> one_or_more(Reader& reader, const Node& table, std::string_view key,
                                     usize limit) {
  const Node* const node = table.find(key);
  if (node == nullptr) return {};
  if (node->text() != nullptr) return {reader.text(table, key, "")};
  std::vector<std::string> result;
  const List* const list = node->list();
  const auto mistake = [&](const Node& at) {
    reader.fail(at, fmt::format("`{}` must be a text, or a list of 1 to {} texts", key, limit));
  };
  if (list == nullptr || list->empty() || list->size() > limit) {
    mistake(*node);
    return result;
  }
  for (const Node& each : *list) {
    if (each.text() == nullptr) {
      mistake(each);
      return result;
    }
    result.push_back(*each.text());
  }
  return result;
}

std::string needed(Reader& reader, const Node& table, std::string_view key, std::string_view what) {
  if (table.find(key) == nullptr) {
    reader.fail(table, fmt::format("needs `{}`: {}", key, what));
    return "";
  }
  return reader.text(table, key, "", max_text);
}

// "1.5%", in a million.
std::optional<u32> read_chance(Reader& reader, const Node& table, std::string_view key) {
  const Node* const node = table.find(key);
  if (node == nullptr) return std::nullopt;
  std::optional<double> percent;
  if (node->text() != nullptr && node->text()->ends_with('%')) {
    const std::string_view digits(node->text()->data(), node->text()->size() - 1);
    double value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value,
                                              std::chars_format::fixed);
    if (error == std::errc() && end == digits.data() + digits.size()) percent = value;
  }
  if (!percent || !(*percent >= 0 && *percent <= 100)) {
    reader.fail(*node, fmt::format("`{}` must be a share such as \"0.5%\", from 0% to 100%", key));
    return std::nullopt;
  }
  return static_cast<u32>(std::lround(*percent * (million / 100)));
}

// "10 Mbit", in bits a second.
std::optional<u64> read_bandwidth(Reader& reader, const Node& table, std::string_view key) {
  const Node* const node = table.find(key);
  if (node == nullptr) return std::nullopt;
  constexpr std::pair<std::string_view, double> units[] = {
      {"kbit", 1e3}, {"Mbit", 1e6}, {"Gbit", 1e9}, {"bit", 1}};
  const i64* const number = std::get_if<i64>(&node->value);
  if (number != nullptr && *number >= 0) return static_cast<u64>(*number);
  if (node->text() != nullptr) {
    std::string_view text = *node->text();
    if (text.ends_with("/s")) text.remove_suffix(2);
    for (const auto& [unit, factor] : units) {
      if (!text.ends_with(unit)) continue;
      text.remove_suffix(unit.size());
      while (text.ends_with(' ')) text.remove_suffix(1);
      double value = 0;
      const auto [end, error] =
          std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
      if (error == std::errc() && end == text.data() + text.size() && value >= 0 &&
          value * factor < 1e15) {
        return static_cast<u64>(std::llround(value * factor));
      }
      break;
    }
  }
  reader.fail(*node, fmt::format("`{}` must be bits a second: a number, or a text such as "
                                 "\"10 Mbit/s\" (bit, kbit, Mbit, Gbit); 0: no limit",
                                 key));
  return std::nullopt;
}

std::vector<ForwardSpec> read_forwards(Reader& reader, const Node& node) {
  static constexpr std::string_view protocols[] = {"tcp", "udp"};
  std::vector<ForwardSpec> forwards;
  reader.each_table(node, "forwards", max_forwards, [&](const Node& each) {
    reader.known(each, "a forward", {"protocol", "from", "to"});
    ForwardSpec forward;
    forward.place = reader.place(each);
    forward.is_datagrams = reader.word(each, "protocol", protocols, 0) == 1;
    forward.from = needed(reader, each, "from", "where it comes to, such as \"lan:80\"");
    forward.to = needed(reader, each, "to", "whom it is for, such as \"10.0.0.2:80\"");
    forwards.push_back(std::move(forward));
  });
  return forwards;
}

// Calls `read` with each table of a table of tables: [key.NAME].
template <class Read>
void each_named(Reader& reader, const Node& root, std::string_view key, Read read) {
  const Node* const all = root.find(key);
  if (all == nullptr) return;
  const auto mistake = [&](const Node& at) {
    reader.fail(at, fmt::format("write it as a table with a name: [{}.NAME]", key));
  };
  if (all->table() == nullptr) return mistake(*all);
  if (all->table()->size() > max_switches) {
    return reader.fail(*all, fmt::format("more than {} [{}.NAME]", max_switches, key));
  }
  for (const Member& each : *all->table()) {
    if (each.node.table() == nullptr) return mistake(each.node);
    read(each);
  }
}

}  // namespace

const std::initializer_list<std::string_view> link_keys = {
    "latency", "jitter", "bandwidth", "queue", "loss", "duplicate", "reorder", "down"};

LinkSpec read_link(Reader& reader, const Node& node) {
  LinkSpec link;
  if (node.find("latency") != nullptr) link.latency = reader.time(node, "latency", 0, 0);
  if (node.find("jitter") != nullptr) link.jitter = reader.time(node, "jitter", 0, 0);
  link.bandwidth = read_bandwidth(reader, node, "bandwidth");
  if (node.find("queue") != nullptr) {
    link.queue = static_cast<u32>(reader.integer(node, "queue", 1, 100'000, 1000));
  }
  link.loss = read_chance(reader, node, "loss");
  link.duplicate = read_chance(reader, node, "duplicate");
  link.reorder = read_chance(reader, node, "reorder");
  if (node.find("down") != nullptr) link.down = reader.boolean(node, "down", false);
  return link;
}

std::vector<NicSpec> read_nics(Reader& reader, const Node& node, bool is_router) {
  std::vector<NicSpec> nics;
  reader.each_table(node, "nics", max_nics, [&](const Node& each) {
    std::vector<std::string_view> keys = {"switch", "address"};
    keys.insert(keys.end(), link_keys);
    if (is_router) keys.insert(keys.end(), {"rules", "translate"});
    reader.known(each, "a NIC", keys);
    NicSpec nic;
    nic.place = reader.place(each);
    nic.at = needed(reader, each, "switch", "the name of one");
    nic.addresses = one_or_more(reader, each, "address", 2);
    nic.link = read_link(reader, each);
    if (is_router) {
      nic.rules = reader.text(each, "rules", "", max_text);
      nic.translates = reader.boolean(each, "translate", false);
    }
    nics.push_back(std::move(nic));
  });
  return nics;
}

std::vector<RouteSpec> read_routes(Reader& reader, const Node& node) {
  std::vector<RouteSpec> routes;
  reader.each_table(node, "routes", max_routes, [&](const Node& each) {
    reader.known(each, "a route", {"to", "via"});
    RouteSpec route;
    route.place = reader.place(each);
    route.to = needed(reader, each, "to", "a prefix such as \"0.0.0.0/0\"");
    route.via = needed(reader, each, "via", "an address on one of its switches");
    routes.push_back(std::move(route));
  });
  return routes;
}

TopologySpec read_topology(Reader& reader, const Node& root) {
  TopologySpec topology;
  if (const Node* const node = root.find("network")) {
    reader.known(*node, "`network`", {"seed", "mtu"});
    topology.seed = reader.integer(*node, "seed", 0, INT64_MAX, topology.seed);
    topology.mtu = static_cast<u32>(reader.integer(*node, "mtu", 1280, 65535, topology.mtu));
  }
  each_named(reader, root, "switch", [&](const Member& each) {
    reader.known(each.node, "a switch", {"prefixes"});
    SwitchSpec made;
    made.place = reader.place(each);
    made.name = each.key;
    if (each.node.find("prefixes") == nullptr) {
      reader.fail(each, "a switch needs `prefixes`, such as [\"10.0.0.0/24\", \"fd00::/64\"]");
    }
    made.prefixes = one_or_more(reader, each.node, "prefixes", 2);
    topology.switches.push_back(std::move(made));
  });
  each_named(reader, root, "router", [&](const Member& each) {
    reader.known(each.node, "a router", {"nics", "routes", "forwards"});
    RouterSpec made;
    made.place = reader.place(each);
    made.name = each.key;
    made.nics = read_nics(reader, each.node, true);
    made.routes = read_routes(reader, each.node);
    made.forwards = read_forwards(reader, each.node);
    topology.routers.push_back(std::move(made));
  });
  return topology;
}

nlohmann::ordered_json to_json(const NicSpec& nic) {
  nlohmann::ordered_json json = {{"switch", nic.at}};
  if (!nic.addresses.empty()) json["address"] = nic.addresses;
  const LinkSpec& link = nic.link;
  const auto chance = [&](const char* key, std::optional<u32> value) {
    if (value) json[key] = fmt::format("{}%", static_cast<double>(*value) / (million / 100));
  };
  if (link.latency) json["latency"] = time_text(*link.latency);
  if (link.jitter) json["jitter"] = time_text(*link.jitter);
  if (link.bandwidth) json["bandwidth"] = *link.bandwidth;
  if (link.queue) json["queue"] = *link.queue;
  chance("loss", link.loss);
  chance("duplicate", link.duplicate);
  chance("reorder", link.reorder);
  if (link.down) json["down"] = *link.down;
  return json;
}

nlohmann::ordered_json to_json(const RouteSpec& route) {
  return {{"to", route.to}, {"via", route.via}};
}

}  // namespace atollvm::machine
