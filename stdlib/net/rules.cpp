#include "stdlib/net/rules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "vm/base/near_miss.hpp"
#include "vm/base/utf8.hpp"

namespace atollvm::net {
namespace {

constexpr usize max_rules = 1000;
constexpr usize max_text = 64 << 10;
constexpr u32 max_connections = 65536;
constexpr u64 max_rate = u64{1} << 46;  // a second
constexpr std::string_view action_words[] = {"connect", "listen", "udp", "udp-listen"};

struct Mistake {
  std::string message;
};

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

// Decimal digits alone, and no zero in front.
std::optional<u64> number_in(std::string_view text, u64 most) {
  u64 number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  const bool is_padded = text.size() > 1 && text[0] == '0';
  if (error != std::errc() || rest != end || is_padded || number > most) return std::nullopt;
  return number;
}

bool takes_names(Action action) { return action == Action::connect || action == Action::udp; }

std::optional<Mistake> read_ports(std::string_view text, Rule& rule) {
  if (text == "*") {
    rule.first_port = 1;
    rule.last_port = 65535;
    return std::nullopt;
  }
  const usize dash = text.find('-');
  const auto first = number_in(text.substr(0, dash), 65535);
  const auto last = dash == text.npos ? first : number_in(text.substr(dash + 1), 65535);
  if (!first || !last) {
    return Mistake{fmt::format("`{}` are no ports: write 443, 8000-8099 or *", text)};
  }
  if (*first > *last) return Mistake{fmt::format("the ports {} end before they begin", text)};
  if (*first == 0 && (takes_names(rule.action) || *last != 0)) {
    return Mistake{takes_names(rule.action)
                       ? "there is no port 0 to connect or send to"
                       : "port 0, one that the host chooses, is a rule of its own"};
  }
  rule.first_port = static_cast<u16>(*first);
  rule.last_port = static_cast<u16>(*last);
  return std::nullopt;
}

// "ADDRESS" or "ADDRESS/LENGTH".
std::optional<Mistake> read_prefix(std::string_view text, Rule& rule) {
  const usize slash = text.find('/');
  const std::string_view host = text.substr(0, slash);
  const auto address = parse_address(host);
  if (!address) return Mistake{fmt::format("`{}` is no address", host)};
  const bool is_mapped = address->family == Family::v4 && host.find(':') != host.npos;
  const u32 most = address->family == Family::v4 && !is_mapped ? 32 : 128;
  u32 length = most;
  if (slash != text.npos) {
    const auto number = number_in(text.substr(slash + 1), most);
    if (!number) {
      return Mistake{fmt::format("`{}` is no length of a prefix: it is 0 to {}",
                                 text.substr(slash + 1), most)};
    }
    length = static_cast<u32>(*number);
  }
  if (is_mapped) {
    if (length < 96) {
      return Mistake{"IPv4 addresses that are written as IPv6 have prefixes of 96 bits or more"};
    }
    length -= 96;
  }
  Prefix& prefix = rule.prefix;
  prefix = {*address, static_cast<u8>(length)};
  for (usize bit = length; bit < prefix.address.bytes.size() * 8; ++bit) {
    prefix.address.bytes[bit / 8] &= static_cast<u8>(~(0x80u >> bit % 8));
  }
  if (prefix.address != *address) {
    return Mistake{fmt::format("{} has bits behind the prefix: write {}/{}", text,
                               to_text(prefix.address), length)};
  }
  rule.host = Rule::Host::prefix;
  return std::nullopt;
}

std::optional<Mistake> read_host(std::string_view text, Rule& rule) {
  if (text == "*") {
    rule.host = Rule::Host::any;
    return std::nullopt;
  }
  const std::string_view host = text.substr(0, text.find('/'));
  const bool is_address = parse_address(host).has_value();
  if (is_address || host.size() != text.size()) return read_prefix(text, rule);
  if (takes_names(rule.action) && text == "public") {
    rule.host = Rule::Host::publics;
    return std::nullopt;
  }
  auto name = canonical_name(text);
  if (!name) {
    return Mistake{fmt::format(
        "`{}` is neither an address, like 10.0.0.1 or 10.0.0.0/8, nor the name of a host", text)};
  }
  if (!takes_names(rule.action)) {
    return Mistake{
        fmt::format("to listen takes an address of this host, like 127.0.0.1, not the "
                    "name `{}`",
                    text)};
  }
  // It would be read back as the word.
  if (*name == "public") return Mistake{"`public` is a word: no host can be named so in a rule"};
  rule.host = Rule::Host::name;
  rule.name = *std::move(name);
  return std::nullopt;
}

std::optional<Mistake> read_rule(std::string_view text, Rule& rule) {
  const usize colon = text.find(':');
  const std::string_view word = text.substr(0, colon);
  const auto* const action = std::ranges::find(action_words, word);
  if (action == std::end(action_words)) {
    if (word == "dns") return Mistake{"write dns alone: it has no hosts or ports"};
    base::NearMiss near(word);
    for (const std::string_view each : action_words) near.consider(each);
    near.consider("dns");
    const std::string hint = near.hint();
    return Mistake{fmt::format(
        "there is no rule `{}`; {}", word,
        hint.empty() ? "there are connect, listen, udp, udp-listen, dns, connections, bandwidth, "
                       "packets and names"
                     : hint)};
  }
  rule.action = static_cast<Action>(action - std::begin(action_words));
  const char* const form = takes_names(rule.action) ? "HOST:PORTS" : "ADDRESS:PORTS";
  const auto incomplete = [&] {
    return Mistake{fmt::format("write {}:{}, for example {}:127.0.0.1:8080", word, form, word)};
  };
  if (colon == text.npos) return incomplete();
  std::string_view rest = text.substr(colon + 1);
  std::string_view host;
  if (rest.starts_with('[')) {
    const usize close = rest.find(']');
    if (close == rest.npos || !rest.substr(close + 1).starts_with(':')) return incomplete();
    host = rest.substr(1, close - 1);
    rest.remove_prefix(close + 2);
    if (host.find(':') == host.npos) return Mistake{"only IPv6 addresses are in brackets"};
    if (host.find('%') != host.npos) return Mistake{"an address with a scope (%) can't be named"};
  } else {
    const usize last = rest.rfind(':');
    if (last == rest.npos) return incomplete();
    host = rest.substr(0, last);
    rest.remove_prefix(last + 1);
    if (host.find(':') != host.npos) {
      return Mistake{fmt::format("an IPv6 address is in brackets: write {}:[ADDRESS]:PORTS", word)};
    }
  }
  if (host.empty() || rest.empty()) return incomplete();
  if (auto mistake = read_host(host, rule)) return mistake;
  return read_ports(rest, rule);
}

// Whether the rule's addresses are all of the kind that an address is special by.
bool names_special(const Rule& rule, const Prefix& range) {
  return rule.host == Rule::Host::prefix && contains(range, rule.prefix);
}

bool allows(const Rule& rule, const Address& address, std::string_view name, bool is_own) {
  Prefix range;
  if (special_kind(address, &range)) {
    const bool is_unspecified = range.length == (address.family == Family::v4 ? 32 : 128) &&
                                address == Address{address.family, {}};
    const bool is_all = is_unspecified && !takes_names(rule.action) && rule.host == Rule::Host::any;
    return is_all || (names_special(rule, range) && contains(rule.prefix, address));
  }
  switch (rule.host) {
    case Rule::Host::any:
      return true;
    case Rule::Host::publics:
      return is_public(address);
    case Rule::Host::prefix:
      return contains(rule.prefix, address);
    case Rule::Host::name:
      return rule.name == name &&
             (is_local_name(name) ? is_loopback(address) : is_own || is_public(address));
  }
  return false;
}

bool has_port(const Rule& rule, u16 port) {
  return rule.first_port <= port && port <= rule.last_port;
}

}  // namespace

bool is_local_name(std::string_view name) {
  return name == "localhost" || name.ends_with(".localhost");
}

std::string to_text(const Rule& rule) {
  std::string host = "*";
  if (rule.host == Rule::Host::publics) host = "public";
  if (rule.host == Rule::Host::name) host = rule.name;
  if (rule.host == Rule::Host::prefix) {
    const bool is_v4 = rule.prefix.address.family == Family::v4;
    host = to_text(rule.prefix.address);
    if (rule.prefix.length != (is_v4 ? 32 : 128)) host += fmt::format("/{}", rule.prefix.length);
    if (!is_v4) host = fmt::format("[{}]", host);
  }
  std::string ports = fmt::format("{}", rule.first_port);
  if (rule.first_port == 1 && rule.last_port == 65535) {
    ports = "*";
  } else if (rule.first_port != rule.last_port) {
    ports += fmt::format("-{}", rule.last_port);
  }
  return fmt::format("{}:{}:{}", action_words[static_cast<u8>(rule.action)], host, ports);
}

struct Rules::Limit {
  std::string_view name;
  u64 least;
  u64 most;
  u64 Rules::* field;  // null: connections_
  bool is_size;
  std::string_view form;
};
constexpr Rules::Limit Rules::limits[] = {
    {"connections", 0, max_connections, nullptr, false, "connections=N, a number up to 65536"},
    {"bandwidth", 1, max_rate, &Rules::bandwidth_, true,
     "bandwidth=SIZE, bytes a second like 500k or 2M"},
    {"packets", 1, max_rate, &Rules::packets_, false,
     "packets=N, a number of datagrams a second from 1 on"},
    {"names", 1, max_rate, &Rules::names_, false,
     "names=N, a number of lookups a second from 1 on"},
};

std::optional<std::string> Rules::take_limit(std::string_view text, u32& seen) {
  const usize equals = text.find('=');
  const auto* const limit = equals == text.npos
                                ? std::end(limits)
                                : std::ranges::find(limits, text.substr(0, equals), &Limit::name);
  if (limit == std::end(limits)) return std::nullopt;
  std::string_view value = text.substr(equals + 1);
  if (limit->field != nullptr && value.ends_with("/s")) value.remove_suffix(2);
  u32 shift = 0;
  if (limit->is_size && !value.empty()) {
    const usize unit = std::string_view("kMG").find(value.back());
    if (unit != std::string_view::npos) {
      shift = 10 * (static_cast<u32>(unit) + 1);
      value.remove_suffix(1);
    }
  }
  const auto number = number_in(value, limit->most >> shift);
  if (!number || *number < limit->least) return fmt::format("write {}", limit->form);
  const u32 bit = 1u << (limit - std::begin(limits));
  if ((seen & bit) != 0) return fmt::format("the limit of {} is there twice", limit->name);
  seen |= bit;
  if (limit->field != nullptr) {
    this->*limit->field = *number << shift;
  } else {
    connections_ = static_cast<u32>(*number);
  }
  return "";
}

base::Result<Rules> Rules::parse(std::string_view text) {
  const auto wrong = [](std::string_view place, std::string message) {
    return base::Error{base::ErrorCode::usage, base::printable(place),
                       base::printable(message, 300)};
  };
  if (text.size() > max_text) return wrong("", "more than 64 KiB of rules for a network");
  Rules rules;
  u32 seen = 0;
  std::string_view rest = text;
  while (true) {
    const usize comma = rest.find(',');
    const std::string_view each = trimmed(rest.substr(0, comma));
    if (each.empty()) {
      return wrong(text, "a rule is empty: write, for example, connect:example.org:443");
    }
    if (each == "dns") {
      rules.dns_ = true;
    } else if (auto limit = rules.take_limit(each, seen)) {
      if (!limit->empty()) return wrong(each, *std::move(limit));
    } else {
      Rule rule;
      if (auto mistake = read_rule(each, rule)) return wrong(each, std::move(mistake->message));
      if (std::ranges::find(rules.rules_, rule) == rules.rules_.end()) {
        if (rules.rules_.size() == max_rules) return wrong(each, "more than 1000 rules");
        rules.rules_.push_back(std::move(rule));
      }
    }
    if (comma == rest.npos) return rules;
    rest.remove_prefix(comma + 1);
  }
}

std::string Rules::text() const {
  std::string text;
  const auto add = [&text](std::string_view each) {
    if (!text.empty()) text += ',';
    text += each;
  };
  for (const Rule& each : rules_) add(to_text(each));
  if (dns_) add("dns");
  if (connections_ != default_connections) add(fmt::format("connections={}", connections_));
  for (const Limit& each : limits) {
    if (each.field == nullptr || this->*each.field == cap::Rate::unlimited) continue;
    add(fmt::format("{}={}", each.name, this->*each.field));
  }
  return text.empty() ? fmt::format("connections={}", connections_) : text;
}

std::optional<std::string> Rules::refuses(Action action, const Endpoint& endpoint,
                                          std::string_view name, bool is_own) const {
  if (endpoint.port == 0 && takes_names(action)) return "there is no port 0";
  bool is_reached = false;  // by a name, but for the address
  for (const Rule& each : rules_) {
    if (each.action != action || !has_port(each, endpoint.port)) continue;
    if (allows(each, endpoint.address, name, is_own)) return std::nullopt;
    if (each.host == Rule::Host::name && each.name == name) is_reached = true;
  }
  if (const auto kind = special_kind(endpoint.address)) {
    return fmt::format("no rule names this address, which is {}", *kind);
  }
  if (is_reached) {
    return fmt::format("the rule for {} allows {} addresses only", name,
                       is_local_name(name) ? "loopback" : "public");
  }
  return "no rule allows it";
}

bool Rules::may_resolve(std::string_view name) const {
  return dns_ || std::ranges::any_of(rules_, [name](const Rule& each) {
           return each.host == Rule::Host::name && each.name == name;
         });
}

bool Rules::may_resolve(Action action, std::string_view name, u16 port) const {
  return dns_ || std::ranges::any_of(rules_, [&](const Rule& each) {
           return each.action == action && each.host == Rule::Host::name && each.name == name &&
                  has_port(each, port);
         });
}

bool Rules::has_broadcast() const {
  return std::ranges::any_of(rules_, [](const Rule& each) {
    return each.action == Action::udp && each.host == Rule::Host::prefix &&
           each.prefix == Prefix{{Family::v4, {255, 255, 255, 255}}, 32};
  });
}

}  // namespace atollvm::net
