// The order of virtual time.
#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <set>
#include <vector>

#include "scheduler/policy/wheel.hpp"

using namespace atollvm;
using namespace atollvm::policy;

TEST_CASE("a wheel gives each node once, in order as long as they are not very many") {
  std::mt19937_64 random(1);
  for (const u32 count : {250u, 50'000u}) {
    Wheel wheel;
    std::vector<Node> nodes(count);
    std::multiset<u64> keys;
    for (Node& node : nodes) {
      node.key = 1000 + random() % 1'000'000;
      keys.insert(node.key);
      wheel.push(node, 1000);
    }
    u32 early = 0;
    for (Node* node = wheel.front(); node != nullptr; node = wheel.front()) {
      wheel.remove(*node);
      if (node->key != *keys.begin()) ++early;
      REQUIRE(keys.contains(node->key));
      keys.erase(keys.find(node->key));
    }
    CHECK(keys.empty());
    CHECK(early <= count / 256);
  }
}

TEST_CASE("a wheel keeps order while nodes come back further on, at any distance") {
  std::mt19937_64 random(2);
  for (const u32 far : {3u, 8u, 14u, 22u, 30u}) {
    Wheel wheel;
    std::vector<Node> nodes(500);
    u64 now = 64 * 64 * 64 - 20;
    for (Node& node : nodes) {
      node.key = now + random() % (u64{1} << far);
      wheel.push(node, now);
    }
    for (u32 i = 0; i < 50'000; ++i) {
      Node& node = *wheel.front();
      REQUIRE(node.key >= now);
      now = node.key;
      if (i % 64 == 0) {
        const auto least = std::ranges::min_element(nodes, {}, &Node::key);
        REQUIRE(now == least->key);
      }
      wheel.remove(node);
      node.key += random() % (u64{1} << random() % (far + 1));
      wheel.push(node, now);
    }
  }
}

TEST_CASE("a wheel with very many in one block moves a few at a time") {
  // As many start far above the queue's time as a guest of little weight makes.
  constexpr u32 count = 60'000;
  for (const u64 above : {u64{200}, u64{16'000}, u64{1} << 20}) {
    Wheel wheel;
    std::vector<Node> nodes(count);
    std::vector<u8> levels(count);
    std::vector<u32> turns(count);
    u64 now = (u64{1} << 24) - 100;
    for (Node& node : nodes) {
      node.key = now + above;
      wheel.push(node, now);
    }
    for (u32 i = 0; i < 3 * count; ++i) {
      const bool looks = i % 1000 < 3;
      if (looks) std::ranges::transform(nodes, levels.begin(), &Node::level);
      Node& node = *wheel.front();
      if (looks) {
        u32 moved = 0;
        for (u32 each = 0; each < count; ++each) moved += levels[each] != nodes[each].level;
        CHECK(moved <= 256);
      }
      now = std::max(now, node.key);
      wheel.remove(node);
      const auto index = static_cast<usize>(&node - nodes.data());
      ++turns[index];
      node.key = std::max(node.key, now) + 1 + index % 3 * above / 64;
      wheel.push(node, now);
    }
    CHECK(*std::ranges::min_element(turns) >= 1);
    CHECK(*std::ranges::max_element(turns) <= 9);
  }
}
