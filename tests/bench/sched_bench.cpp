// What a policy costs: prints lines "POLICY ENTRIES NANOSECONDS" for picking an entry and putting
// it back, with that many ready, each having run for 300 ns. The least of 5 runs.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <random>
#include <vector>

#include "scheduler/policy/policy.hpp"

namespace {

using namespace atollvm;
using namespace atollvm::policy;

double measure(const Row& row, u32 count, bool is_woken) {
  const auto policy = row.make();
  const Group group;
  policy->add_group(group);
  // As members of process records of 512 bytes would be, in no order.
  struct alignas(64) Record {
    Entry entry;
    u8 rest[512 - sizeof(Entry)];
  };
  std::vector<Record> records(count);
  std::vector<Record*> order(count);
  for (u32 i = 0; i < count; ++i) order[i] = &records[i];
  std::shuffle(order.begin(), order.end(), std::mt19937(1));
  for (Record* record : order) {
    record->entry.group = &group;
    policy->ready(record->entry, 0, Wake::started);
  }
  double best = 1e9;
  u64 now = 0;
  const u32 rounds = 1'000'000;
  for (u32 run = 0; run < 5; ++run) {
    const auto start = std::chrono::steady_clock::now();
    for (u32 i = 0; i < rounds; ++i) {
      Entry* const entry = policy->pick(now);
      now += 300;
      policy->account(*entry, 300, is_woken ? Stop::waits : Stop::preempted, now);
      if (is_woken) policy->ready(*entry, now, Wake::woken);
    }
    const std::chrono::duration<double, std::nano> taken = std::chrono::steady_clock::now() - start;
    best = std::min(best, taken.count() / rounds);
  }
  return best;
}

}  // namespace

int main() {
  for (const Row& row : all()) {
    for (const u32 count : {2u, 1000u, 100'000u}) {
      std::printf("%s.preempted %u %.2f\n", row.name.data(), count, measure(row, count, false));
      std::printf("%s.woken %u %.2f\n", row.name.data(), count, measure(row, count, true));
    }
  }
}
