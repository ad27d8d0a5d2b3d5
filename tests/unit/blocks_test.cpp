// Small blocks that threads keep, and flags.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <set>
#include <thread>
#include <vector>

#include "vm/base/blocks.hpp"
#include "vm/base/few.hpp"

using namespace atollvm;

TEST_CASE("blocks of all sizes are apart, aligned, and whole") {
  struct Taken {
    u8* at;
    usize size;
  };
  std::vector<Taken> all;
  for (int round = 0; round < 3; ++round) {
    for (usize size = 0; size <= base::largest_kept_block + 40; ++size) {
      u8* const at = static_cast<u8*>(base::take_block(size));
      REQUIRE(at != nullptr);
      CHECK(reinterpret_cast<std::uintptr_t>(at) % alignof(std::max_align_t) == 0);
      std::memset(at, static_cast<int>(size % 251), size);
      all.push_back({at, size});
    }
    // Nobody wrote into another one's.
    for (const Taken& each : all) {
      for (usize i = 0; i < each.size; ++i) REQUIRE(each.at[i] == each.size % 251);
      base::give_block(each.at, each.size);
    }
    all.clear();
  }
  base::give_block(nullptr, 100);
}

TEST_CASE("a block may be given back by another thread, and by one that ends") {
  std::vector<void*> blocks;
  for (int i = 0; i < 1000; ++i) blocks.push_back(base::take_block(600));
  std::thread([&] {
    for (void* const each : blocks) base::give_block(each, 600);
    // It keeps those, and gives them to itself.
    std::set<void*> again;
    for (int i = 0; i < 1000; ++i) again.insert(base::take_block(600));
    CHECK(again.size() == 1000);
    for (void* const each : again) base::give_block(each, 600);
  }).join();
}

TEST_CASE("flags: few and many of them, one by one and in a row") {
  for (const usize count : {0u, 1u, 2u, 62u, 63u, 64u, 65u, 1000u}) {
    base::Flags flags;
    flags.assign(count);
    std::vector<bool> expected(count);
    const auto check = [&] {
      for (usize i = 0; i < count; ++i) REQUIRE(flags.test(i) == expected[i]);
    };
    check();
    for (usize i = 0; i < count; i += 3) {
      flags.set(i);
      expected[i] = true;
    }
    check();
    flags.set(count / 2, count - count / 2);
    std::fill(expected.begin() + static_cast<std::ptrdiff_t>(count / 2), expected.end(), true);
    check();
    flags.set(count, 0);
    check();
    flags.assign(count);
    expected.assign(count, false);
    check();
  }
}
