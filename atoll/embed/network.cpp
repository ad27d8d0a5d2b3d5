#include <atoll/process.hpp>

#include "atoll/embed/impl.hpp"
#include "atoll/embed/start_up.hpp"
#include "stdlib/net/rules.hpp"

namespace atollvm {

std::optional<Error> check_network_rules(std::string_view rules) {
  auto parsed = net::Rules::parse(rules);
  if (parsed) return std::nullopt;
  return to_public(std::move(parsed).error());
}

std::optional<Error> check_listener(std::string_view address) {
  auto parsed = parse_listener(address);
  if (parsed) return std::nullopt;
  return to_public(std::move(parsed).error());
}

}  // namespace atollvm
