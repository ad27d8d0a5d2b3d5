// Any text gives a mistake, or rules whose canonical text gives the same rules; names and addresses
// have one form, and no text is both.
#include <cstdlib>
#include <string_view>

#include "stdlib/net/rules.hpp"

using namespace atollvm;

namespace {

void check_host(std::string_view text) {
  const auto address = net::parse_address(text);
  const auto name = net::canonical_name(text);
  if (address && name) std::abort();
  if (address && net::parse_address(net::to_text(*address)) != address) std::abort();
  if (name && net::canonical_name(*name) != name) std::abort();
}

void check_verdicts(const net::Rules& rules, const net::Rules& again) {
  for (const char* const host : {"127.0.0.1", "10.1.2.3", "169.254.169.254", "224.0.0.1", "8.8.8.8",
                                 "::1", "fe80::1", "2606:4700::1", "::", "64:ff9b::7f00:1"}) {
    for (const u16 port : {0, 1, 80, 443, 65535}) {
      const net::Endpoint endpoint{*net::parse_address(host), port};
      for (const auto action :
           {net::Action::connect, net::Action::listen, net::Action::udp, net::Action::udp_listen}) {
        const auto why = rules.refuses(action, endpoint, "example.org");
        if (why != again.refuses(action, endpoint, "example.org")) std::abort();
        if (why && why->empty()) std::abort();
      }
      if (port == 0 && !rules.refuses(net::Action::connect, endpoint)) std::abort();
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_host(text);
  const auto rules = net::Rules::parse(text);
  if (!rules) {
    if (rules.error().message.empty()) std::abort();
    return 0;
  }
  const auto again = net::Rules::parse(rules->text());
  if (!again || again->text() != rules->text()) std::abort();
  check_verdicts(*rules, *again);
  return 0;
}
