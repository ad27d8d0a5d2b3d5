#include "stdlib/net/network.hpp"

#include <fmt/format.h>

namespace atollvm::net {
namespace {

constexpr std::string_view doing[] = {"connect to", "listen at", "send datagrams to",
                                      "receive datagrams at"};

// Any bytes, so that they do nothing to who reads them on a terminal or line by line.
std::string quoted(std::string_view text) {
  std::string result = "\"";
  for (const char each : text) {
    const auto byte = static_cast<u8>(each);
    if (byte < 32 || byte > 126 || each == '"' || each == '\\') {
      result += fmt::format("\\x{:02x}", byte);
    } else {
      result += each;
    }
  }
  return result + '"';
}

}  // namespace

bool Network::allows(Action action, const Endpoint& endpoint, std::string_view name) {
  const auto why = rules_.refuses(action, endpoint, name, provider_ != nullptr);
  if (!why) return true;
  std::string what = fmt::format("{} {}", doing[static_cast<u8>(action)], to_text(endpoint));
  if (!name.empty()) what += fmt::format(" ({})", name);
  tell(what, *why);
  return false;
}

bool Network::allows_resolving(std::string_view name) {
  if (rules_.may_resolve(name)) return true;
  tell(fmt::format("look {} up", name), "no rule has this name, and there is no rule dns");
  return false;
}

bool Network::allows_resolving(Action action, std::string_view name, u16 port) {
  if (rules_.may_resolve(action, name, port)) return true;
  tell(fmt::format("{} {}:{}", doing[static_cast<u8>(action)], name, port),
       "no rule has this name and port, and there is no rule dns");
  return false;
}

void Network::refused(Action action, std::string_view host, u32 port, std::string_view why) {
  tell(fmt::format("{} {}, port {}", doing[static_cast<u8>(action)], quoted(host), port), why);
}

void Network::refused_lookup(std::string_view host, std::string_view why) {
  tell(fmt::format("look {} up", quoted(host)), why);
}

bool Network::take() {
  u32 count = sockets_.load(std::memory_order_relaxed);
  do {
    if (count >= rules_.connections()) return false;
  } while (!sockets_.compare_exchange_weak(count, count + 1, std::memory_order_relaxed));
  return true;
}

void Network::tell(const std::string& what, std::string_view why) {
  if (!log_) return;
  const std::lock_guard lock(mutex_);
  if (lines_ > max_lines) return;
  if (lines_++ == max_lines) {
    log_("further refusals are not told");
  } else {
    log_(fmt::format("refused to {}: {}", what, why));
  }
}

}  // namespace atollvm::net
