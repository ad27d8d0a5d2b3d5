// Generated modules, linked, run, and spoilt (tests/fuzz/link_fuzz.cpp goes on from there).
#include <doctest/doctest.h>

#include "tests/support/link_inputs.hpp"

using namespace atollvm;
using namespace atollvm::test;

TEST_CASE("generated modules link to programs that do what they must") {
  u32 whole = 0;
  u32 linked = 0;
  constexpr u32 count = 2000;
  for (u32 seed = 0; seed < count; ++seed) {
    INFO("seed " << seed);
    const std::vector<u8> bytes = random_bytes(seed * u64{7919}, 120);
    const auto [made, mistake] = LinkGenerator(Entropy(bytes)).make();
    REQUIRE(mistake == "");
    REQUIRE(check_link(made) == "");
    whole += made.result.has_value();
    linked += link::link(made.inputs, made.options).ok();
  }
  INFO(whole << " whole, " << linked << " linked");
  CHECK(whole > count / 3);
  CHECK(linked > whole);
  CHECK(linked < count);
}
