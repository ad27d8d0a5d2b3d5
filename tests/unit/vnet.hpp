// Small virtual networks for tests.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "stdlib/vnet/fabric.hpp"

namespace atollvm::tests {

inline constexpr u64 ms = 1'000'000;
inline constexpr u64 seconds = 1000 * ms;

inline net::Address at(std::string_view text) {
  const auto parsed = net::parse_address(text);
  REQUIRE_MESSAGE(parsed.has_value(), text);
  return *parsed;
}
inline net::Prefix prefix(std::string_view text, u8 length) { return {at(text), length}; }

template <class T>
T made(base::Result<T> result) {
  REQUIRE_MESSAGE(result.ok(), (result ? std::string() : result.error().text()));
  return *std::move(result);
}
template <class T>
T value(vfs::Outcome<T> outcome) {
  const bool has_value = std::holds_alternative<T>(outcome);
  REQUIRE_MESSAGE(
      has_value, static_cast<int>(has_value ? cap::Errno::success : std::get<cap::Errno>(outcome)));
  return std::get<T>(std::move(outcome));
}
template <class T>
cap::Errno error(const vfs::Outcome<T>& outcome) {
  const auto* const found = std::get_if<cap::Errno>(&outcome);
  return found == nullptr ? cap::Errno::success : *found;
}

inline std::span<const u8> bytes_of(std::string_view text) {
  return {reinterpret_cast<const u8*>(text.data()), text.size()};
}
// What there is to read now, up to `most`.
inline std::string read_from(vnet::Stream& stream, usize most = 1 << 20) {
  std::string text;
  u8 buffer[4096];
  while (text.size() < most) {
    const auto got =
        stream.read(std::span(buffer).first(std::min(sizeof buffer, most - text.size())));
    const auto* const count = std::get_if<u32>(&got);
    if (count == nullptr || *count == 0) break;
    text.append(reinterpret_cast<const char*>(buffer), *count);
  }
  return text;
}
inline bool is_at_end(vnet::Stream& stream) {
  u8 byte;
  const auto got = stream.read({&byte, 1});
  return std::holds_alternative<u32>(got) && std::get<u32>(got) == 0;
}
// The byte of a stream at a place, and so many of them.
inline u8 pattern(u64 place, u64 salt = 0) {
  return static_cast<u8>((place * 2654435761u + salt * 97) >> 7);
}
inline std::string pattern_text(u64 from, usize count, u64 salt = 0) {
  std::string text(count, '\0');
  for (usize i = 0; i < count; ++i) text[i] = static_cast<char>(pattern(from + i, salt));
  return text;
}

// Stacks "a" (10.0.0.1, fd00::1), "b" (10.0.0.2, fd00::2) on a switch "net".
struct Pair {
  explicit Pair(u64 seed = 1, const vnet::StackLimits& limits = {}, usize mtu = 1500)
      : fabric(seed, mtu) {
    net = made(fabric.add_switch("net", {prefix("10.0.0.0", 24), prefix("fd00::", 64)}));
    a = made(fabric.add_stack("a", limits));
    b = made(fabric.add_stack("b", limits));
    port_a = made(fabric.attach(*a, *net));
    port_b = made(fabric.attach(*b, *net));
  }
  void run(u64 time = 0) { REQUIRE(fabric.run(fabric.now() + time, 1'000'000)); }
  // Both ends of a connection from a to b.
  struct Connection {
    std::shared_ptr<vnet::Stream> from;
    std::shared_ptr<vnet::Stream> to;
  };
  Connection connect(u16 port = 80, std::string_view address = "10.0.0.2") {
    const auto listener = value(b->listen({at(address), port}, 8));
    auto from = value(a->connect({at(address), port}));
    run();
    run(10 * seconds);
    REQUIRE(from->connected() == cap::Errno::success);
    auto to = value(listener->accept());
    listener->close();
    return {std::move(from), std::move(to)};
  }
  void set_links(const vnet::LinkSettings& settings) {
    fabric.set_link(*port_a, settings, settings);
    fabric.set_link(*port_b, settings, settings);
  }

  vnet::Fabric fabric;
  vnet::Switch* net = nullptr;
  vnet::Stack* a = nullptr;
  vnet::Stack* b = nullptr;
  vnet::Port* port_a = nullptr;
  vnet::Port* port_b = nullptr;
};

}  // namespace atollvm::tests
