#include "stdlib/net/address.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>

namespace atollvm::net {
namespace {

constexpr Prefix v4_range(u8 a, u8 b, u8 c, u8 d, u8 length) {
  return {{Family::v4, {a, b, c, d}}, length};
}
// Of the first 48 bits.
constexpr Prefix v6_range(u16 a, u16 b, u16 c, u8 length) {
  const auto high = [](u16 word) { return static_cast<u8>(word >> 8); };
  const auto low = [](u16 word) { return static_cast<u8>(word & 0xff); };
  return {{Family::v6, {high(a), low(a), high(b), low(b), high(c), low(c)}}, length};
}

struct Special {
  Prefix range;
  std::string_view kind;
};
// The first that an address is in counts.
constexpr Special specials[] = {
    {v4_range(0, 0, 0, 0, 32), "unspecified"},
    {v4_range(0, 0, 0, 0, 8), "of this network"},
    {v4_range(169, 254, 0, 0, 16), "link-local"},
    {v4_range(224, 0, 0, 0, 4), "multicast"},
    {v4_range(255, 255, 255, 255, 32), "broadcast"},
    {v4_range(240, 0, 0, 0, 4), "reserved"},
    {v6_range(0, 0, 0, 128), "unspecified"},
    {v6_range(0xfe80, 0, 0, 10), "link-local"},
    {v6_range(0xfec0, 0, 0, 10), "site-local"},
    {v6_range(0xff00, 0, 0, 8), "multicast"},
    // Others may take these for the IPv4 address within.
    {v6_range(0, 0, 0, 96), "IPv4-compatible"},
    {v6_range(0x64, 0xff9b, 0, 96), "translated (NAT64)"},
    {v6_range(0x64, 0xff9b, 1, 48), "translated (NAT64)"},
    {v6_range(0x2001, 0, 0, 32), "tunnelled (Teredo)"},
    {v6_range(0x2002, 0, 0, 16), "tunnelled (6to4)"},
};

constexpr Prefix not_public[] = {
    v4_range(10, 0, 0, 0, 8),     v4_range(100, 64, 0, 0, 10), v4_range(127, 0, 0, 0, 8),
    v4_range(172, 16, 0, 0, 12),  v4_range(192, 0, 0, 0, 24),  v4_range(192, 0, 2, 0, 24),
    v4_range(192, 168, 0, 0, 16), v4_range(198, 18, 0, 0, 15), v4_range(198, 51, 100, 0, 24),
    v4_range(203, 0, 113, 0, 24), v6_range(0x2001, 0, 0, 23),  v6_range(0x2001, 0x0db8, 0, 32),
    v6_range(0x3fff, 0, 0, 20),
};
constexpr Prefix global_v6 = v6_range(0x2000, 0, 0, 3);

bool is_v6_loopback(const Address& address) {
  return address.family == Family::v6 && address.bytes[15] == 1 &&
         std::all_of(address.bytes.begin(), address.bytes.end() - 1,
                     [](u8 byte) { return byte == 0; });
}

bool is_digit(char letter) { return letter >= '0' && letter <= '9'; }
bool is_letter(char letter) { return letter >= 'a' && letter <= 'z'; }

// What some parser takes for a number: "10", "017", "0x7f", "0x".
bool is_numeric(std::string_view part) {
  if (std::all_of(part.begin(), part.end(), is_digit)) return true;
  if (!part.starts_with("0x")) return false;
  return std::all_of(part.begin() + 2, part.end(), [](char letter) {
    return is_digit(letter) || (letter >= 'a' && letter <= 'f');
  });
}

}  // namespace

Address make_v4(const u8* bytes) {
  Address address;
  memcpy(address.bytes.data(), bytes, 4);
  return address;
}

Address make_v6(const u8* bytes) {
  constexpr u8 mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (memcmp(bytes, mapped, sizeof mapped) == 0) return make_v4(bytes + sizeof mapped);
  Address address{Family::v6, {}};
  memcpy(address.bytes.data(), bytes, 16);
  return address;
}

// inet_pton is strict: four decimal parts without leading zeros, no scope.
std::optional<Address> parse_address(std::string_view text) {
  char copy[INET6_ADDRSTRLEN + 1];
  if (text.size() >= sizeof copy || text.find('\0') != text.npos) return std::nullopt;
  copy[text.copy(copy, text.size())] = '\0';
  u8 bytes[16];
  if (inet_pton(AF_INET, copy, bytes) == 1) return make_v4(bytes);
  if (inet_pton(AF_INET6, copy, bytes) == 1) return make_v6(bytes);
  return std::nullopt;
}

std::string to_text(const Address& address) {
  char text[INET6_ADDRSTRLEN];
  const int family = address.family == Family::v4 ? AF_INET : AF_INET6;
  return inet_ntop(family, address.bytes.data(), text, sizeof text);
}

std::optional<Prefix> parse_prefix(std::string_view text) {
  const usize slash = text.find('/');
  if (slash == text.npos) return std::nullopt;
  const auto address = parse_address(text.substr(0, slash));
  const std::string_view digits = text.substr(slash + 1);
  u32 length = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
  if (!address || error != std::errc() || end != digits.data() + digits.size() ||
      (digits.size() > 1 && digits[0] == '0') ||
      length > (address->family == Family::v4 ? 32 : 128)) {
    return std::nullopt;
  }
  return Prefix{*address, static_cast<u8>(length)};
}

bool contains(const Prefix& prefix, const Address& address) {
  if (prefix.address.family != address.family) return false;
  const usize whole = prefix.length / 8;
  if (memcmp(prefix.address.bytes.data(), address.bytes.data(), whole) != 0) return false;
  const u32 rest = prefix.length % 8;
  if (rest == 0) return true;
  const u32 mask = 0xffu << (8 - rest) & 0xffu;
  return ((prefix.address.bytes[whole] ^ address.bytes[whole]) & mask) == 0;
}

bool contains(const Prefix& outer, const Prefix& inner) {
  return outer.length <= inner.length && contains(outer, inner.address);
}

std::optional<std::string_view> special_kind(const Address& address, Prefix* range) {
  if (is_v6_loopback(address)) return std::nullopt;
  const auto* const found =
      std::find_if(std::begin(specials), std::end(specials),
                   [&](const Special& each) { return contains(each.range, address); });
  if (found == std::end(specials)) return std::nullopt;
  if (range != nullptr) *range = found->range;
  return found->kind;
}

bool is_loopback(const Address& address) {
  return contains(v4_range(127, 0, 0, 0, 8), address) || is_v6_loopback(address);
}

bool is_public(const Address& address) {
  if (special_kind(address)) return false;
  if (address.family == Family::v6 && !contains(global_v6, address)) return false;
  return std::none_of(std::begin(not_public), std::end(not_public),
                      [&](const Prefix& each) { return contains(each, address); });
}

std::string to_text(const Endpoint& endpoint) {
  const std::string address = to_text(endpoint.address);
  const bool is_v4 = endpoint.address.family == Family::v4;
  return (is_v4 ? address : "[" + address + "]") + ":" + std::to_string(endpoint.port);
}

std::optional<Endpoint> parse_endpoint(std::string_view text) {
  const usize colon = text.rfind(':');
  if (colon == text.npos) return std::nullopt;
  const std::string_view digits = text.substr(colon + 1);
  std::string_view host = text.substr(0, colon);
  const bool is_v6 = host.find(':') != host.npos;
  if (is_v6) {
    if (host.front() != '[' || host.back() != ']') return std::nullopt;
    host = host.substr(1, host.size() - 2);
  }
  u16 port = 0;
  const char* const end = digits.data() + digits.size();
  const auto [rest, error] = std::from_chars(digits.data(), end, port);
  const auto address = parse_address(host);
  if (error != std::errc() || rest != end || !address) return std::nullopt;
  return Endpoint{*address, port};
}

u32 to_host(const Endpoint& endpoint, sockaddr_storage& to) {
  memset(&to, 0, sizeof to);
  if (endpoint.address.family == Family::v4) {
    sockaddr_in own{};
    own.sin_family = AF_INET;
    own.sin_port = htons(endpoint.port);
    memcpy(&own.sin_addr, endpoint.address.bytes.data(), sizeof own.sin_addr);
    memcpy(&to, &own, sizeof own);
    return sizeof own;
  }
  sockaddr_in6 own{};
  own.sin6_family = AF_INET6;
  own.sin6_port = htons(endpoint.port);
  memcpy(&own.sin6_addr, endpoint.address.bytes.data(), sizeof own.sin6_addr);
  memcpy(&to, &own, sizeof own);
  return sizeof own;
}

std::optional<Endpoint> from_host(const sockaddr* from, u32 size) {
  if (size >= sizeof(sockaddr_in) && from->sa_family == AF_INET) {
    sockaddr_in own{};
    memcpy(&own, from, sizeof own);
    return Endpoint{make_v4(reinterpret_cast<const u8*>(&own.sin_addr)), ntohs(own.sin_port)};
  }
  if (size >= sizeof(sockaddr_in6) && from->sa_family == AF_INET6) {
    sockaddr_in6 own{};
    memcpy(&own, from, sizeof own);
    return Endpoint{make_v6(reinterpret_cast<const u8*>(&own.sin6_addr)), ntohs(own.sin6_port)};
  }
  return std::nullopt;
}

std::optional<std::string> canonical_name(std::string_view text) {
  if (text.ends_with('.')) text.remove_suffix(1);
  if (text.empty() || text.size() > 253) return std::nullopt;
  std::string name(text);
  for (char& letter : name) {
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
  }
  std::string_view rest = name;
  while (true) {
    const std::string_view part = rest.substr(0, rest.find('.'));
    const bool is_sound =
        !part.empty() && part.size() <= 63 && part.front() != '-' && part.back() != '-' &&
        std::all_of(part.begin(), part.end(), [](char letter) {
          return is_letter(letter) || is_digit(letter) || letter == '-' || letter == '_';
        });
    if (!is_sound) return std::nullopt;
    if (part.size() == rest.size()) {
      if (is_numeric(part)) return std::nullopt;
      return name;
    }
    rest.remove_prefix(part.size() + 1);
  }
}

}  // namespace atollvm::net
