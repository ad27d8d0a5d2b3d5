// SlotSet against a plain array of flags.
#include "vm/verify/slot_set.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <vector>

using namespace atollvm;

TEST_CASE("slot set: random steps give what an array of flags gives") {
  for (const u32 slots : {70u, 300u, 5000u, 65'535u}) {
    std::mt19937 random(slots);
    verify::SlotSet set;
    std::vector<char> model(slots + 1);
    const auto fill = [&](u32 first, u32 end, bool value) {
      for (u32 i = first; i < end; ++i) model[i] = value ? 1 : 0;
    };
    for (u32 step = 0; step < std::min(5000u, 3'000'000 / slots); ++step) {
      const u32 slot = static_cast<u32>(random() % slots);
      const u32 end = slot + static_cast<u32>(random() % (slots - slot + 1));
      const u32 near_end = std::min(slots, slot + static_cast<u32>(random() % 130));
      switch (random() % 16) {
        case 0:
          set.reset(slot);
          fill(0, slots, false);
          fill(0, slot, true);
          break;
        case 1:
          set.remove_from(slot);
          fill(slot, slots, false);
          break;
        case 2:
          set.add_range(slot, end);
          fill(slot, end, true);
          break;
        case 3:
        case 4:
        case 5:
          set.add_range(slot, near_end);
          fill(slot, near_end, true);
          break;
        case 6:
        case 7:
          set.add(set.first_missing() < slots ? set.first_missing() : 0);
          for (u32 i = 0; i < slots; ++i) {
            if (model[i] == 0) {
              model[i] = 1;
              break;
            }
          }
          break;
        default:
          set.add(slot);
          model[slot] = 1;
          break;
      }
      u32 missing = 0;
      while (model[missing] != 0) ++missing;
      REQUIRE(set.first_missing() == missing);
      const u32 probe = static_cast<u32>(random() % slots);
      REQUIRE(set.has(probe) == (model[probe] != 0));
      u32 in_range = slot;
      while (in_range < end && model[in_range] != 0) ++in_range;
      REQUIRE(set.missing_in(slot, end) == in_range);
    }
  }
}
