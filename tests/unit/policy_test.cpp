// The scheduling policies, in simulated time on one worker.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <random>
#include <vector>

#include "scheduler/policy/wheel.hpp"

namespace {

using namespace atollvm;
using namespace atollvm::policy;

constexpr u64 ms = 1'000'000;
constexpr u64 second = 1000 * ms;

// A worker: picks, runs for what the entry wants or the slice allows, accounts. What sleeps wakes
// on time, and cuts the slice short where the policy says so.
class Worker {
 public:
  struct Task : Entry {
    u64 left = 0;   // of the burst that is under way
    u64 work = 0;   // length of each burst; 0: never waits
    u64 sleep = 0;  // between bursts
    u64 wake_at = 0;
    u64 ran = 0;
    u64 last_ran = 0;  // when it last stopped
    u64 longest_wait = 0;
    u64 since = 0;
    u64 bursts = 0;
  };

  explicit Worker(const char* name) : policy(find(name)->make()) {}

  Group& group(u32 weight) {
    groups.emplace_back(static_cast<u32>(groups.size()), weight);
    policy->add_group(groups.back());
    return groups.back();
  }
  Task& add(const Group& group, u32 weight = default_weight, u64 work = 0, u64 sleep = 0) {
    Task& task = tasks.emplace_back();
    policy->admit(task);
    task.group = &group;
    task.set_weight(weight);
    task.work = task.left = work;
    task.sleep = sleep;
    return task;
  }
  void start(Task& task) {
    task.since = now;
    policy->ready(task, now, Wake::started);
  }
  void start_all() {
    for (Task& task : tasks) start(task);
  }

  void run_until(u64 end) {
    while (now < end) {
      wake_sleepers();
      Entry* const entry = policy->pick(now);
      if (entry == nullptr) {
        now = sleepers.empty() ? end : std::min(end, sleepers.front()->wake_at);
        continue;
      }
      run(static_cast<Task&>(*entry), end);
    }
  }

  [[nodiscard]] double share(const Task& task) const {
    return static_cast<double>(task.ran) / static_cast<double>(now);
  }

  std::unique_ptr<Policy> policy;
  std::deque<Group> groups;
  std::deque<Task> tasks;
  u64 now = 0;

 private:
  void run(Task& task, u64 end) {
    task.longest_wait = std::max(task.longest_wait, now - task.since);
    u64 limit = std::min(policy->slice(task), end - now);
    if (task.work != 0) limit = std::min(limit, task.left);
    u64 ran = 0;
    while (ran < limit) {
      const u64 next = sleepers.empty() ? limit : std::min(limit, ran + until_wake());
      now += next - ran;
      ran = next;
      if (wake_sleepers() && policy->urgent(task)) break;
    }
    task.ran += ran;
    task.last_ran = task.since = now;
    Stop why = Stop::preempted;
    if (task.work != 0 && (task.left -= ran) == 0) {
      ++task.bursts;
      why = task.sleep == 0 ? Stop::ended : Stop::waits;
    }
    policy->account(task, ran, why, now);
    if (why != Stop::waits) return;
    task.left = task.work;
    task.wake_at = now + task.sleep;
    const auto later = [](const Task* a, u64 at) { return a->wake_at <= at; };
    sleepers.insert(std::lower_bound(sleepers.begin(), sleepers.end(), task.wake_at, later), &task);
  }
  u64 until_wake() const {
    return sleepers.front()->wake_at > now ? sleepers.front()->wake_at - now : 0;
  }
  bool wake_sleepers() {
    bool any = false;
    while (!sleepers.empty() && sleepers.front()->wake_at <= now) {
      Task& task = *sleepers.front();
      sleepers.pop_front();
      task.since = now;
      policy->ready(task, now, Wake::woken);
      any = true;
    }
    return any;
  }

  std::deque<Task*> sleepers;
};

TEST_CASE("the registry finds each policy by its name") {
  CHECK(all().size() == 5);
  for (const Row& row : all()) {
    CHECK(find(row.name) == &row);
    CHECK(!row.summary.empty());
    const auto policy = row.make();
    CHECK(policy->size() == 0);
    CHECK(policy->pick(0) == nullptr);
    CHECK(policy->steal(0) == nullptr);
  }
  CHECK(find("fair") == all().data());
  CHECK(find("fairest") == nullptr);
  CHECK(find("") == nullptr);
}

TEST_CASE("weights are kept within their bounds") {
  Entry entry;
  CHECK(entry.weight == default_weight);
  entry.set_weight(0);
  CHECK(entry.weight == min_weight);
  entry.set_weight(~u32{0});
  CHECK(entry.weight == max_weight);
}

// --- fair: shares -------------------------------------------------------------------------------

TEST_CASE("fair: shares are of all workers together") {
  // Machines of weights 1, 2 and 5; on which workers their processes start; the shares in percent.
  struct Case {
    std::vector<u32> workers[3];
    double shares[3];
  };
  const Case cases[] = {
      {{{1, 1, 1}, {0, 0}, {0, 0, 1}}, {12.5, 25, 62.5}},
      {{{1, 1, 1, 1}, {0, 0, 0, 0}, {1, 1, 1, 1}}, {12.5, 25, 62.5}},
      {{{0, 0, 0}, {0}, {0, 0, 0, 0, 0, 0, 0, 0, 0}}, {12.5, 25, 62.5}},
      // A single process has at most one worker.
      {{{1}, {0}, {1}}, {100 / 6., 100 / 3., 50}},
  };
  for (const Case& each : cases) {
    std::deque<Group> groups;
    std::unique_ptr<Policy> workers[2] = {find("fair")->make(), find("fair")->make()};
    std::deque<Entry> entries;
    for (const u32 weight : {100u, 200u, 500u}) {
      groups.emplace_back(static_cast<u32>(groups.size()), weight);
      for (auto& worker : workers) worker->add_group(groups.back());
      for (const u32 worker : each.workers[groups.back().index]) {
        entries.emplace_back().group = &groups.back();
        workers[worker]->ready(entries.back(), 0, Wake::started);
      }
    }
    u64 ran[3] = {};
    const u64 slice = default_slice;
    for (u64 now = 0; now < 60 * second; now += slice) {
      Entry* picked[2];
      for (auto& one : workers) {
        Policy& other = *workers[&one == workers];
        const usize ready = other.size() - (other.size() != 0);
        Entry* const given = one->give(other.progress(), ready, now);
        if (given != nullptr) other.ready(*given, now, Wake::woken);
      }
      for (u32 i = 0; i < 2; ++i) picked[i] = workers[i]->pick(now);
      for (u32 i = 0; i < 2; ++i) {
        if (picked[i] == nullptr) continue;
        ran[picked[i]->group->index] += slice;
        workers[i]->account(*picked[i], slice, Stop::preempted, now + slice);
      }
    }
    for (u32 i = 0; i < 3; ++i) {
      const double share = 100 * static_cast<double>(ran[i]) / (2 * 60. * second);
      CAPTURE(&each - cases);
      CAPTURE(share);
      CHECK(std::abs(share - each.shares[i]) < 0.5);
    }
  }
}

TEST_CASE("fair: machines of weights 1:2:5 get 12.5, 25 and 62.5 percent") {
  for (const u32 unit : {1u, 100u, 20'000u}) {
    Worker worker("fair");
    for (const u32 weight : {1u, 2u, 5u}) {
      const Group& group = worker.group(weight * unit);
      // How many processes there are changes nothing, nor their weights.
      for (u32 i = 0; i < 6 - weight; ++i) worker.add(group, 1 + 10 * i);
    }
    worker.start_all();
    worker.run_until(60 * second);
    double shares[3] = {};
    for (const auto& task : worker.tasks) shares[task.group->index] += worker.share(task);
    CHECK(std::abs(shares[0] - 0.125) < 0.001);
    CHECK(std::abs(shares[1] - 0.250) < 0.001);
    CHECK(std::abs(shares[2] - 0.625) < 0.001);
  }
}

TEST_CASE("fair: processes of one machine share by their weights, to a slice for each") {
  Worker worker("fair");
  const Group& group = worker.group(1);
  const u32 weights[] = {1, 2, 5, 40, 100, 300};
  double sum = 0;
  for (const u32 weight : weights) {
    worker.add(group, weight);
    sum += weight;
  }
  worker.start_all();
  worker.run_until(10 * second);
  for (const auto& task : worker.tasks) {
    const double due = 10e9 * task.weight / sum;
    CHECK(std::abs(static_cast<double>(task.ran) - due) < 8.0 * ms);
  }
}

TEST_CASE("fair: weights of 1 and 1,000,000") {
  Worker worker("fair");
  const Group& group = worker.group(1);
  auto& light = worker.add(group, 1);
  auto& heavy = worker.add(group, 1'000'000);
  worker.start_all();
  worker.run_until(3000 * second);
  CHECK(light.ran >= 2 * ms);  // due: 3 ms
  CHECK(light.ran <= 4 * ms);
  CHECK(heavy.longest_wait <= 1 * ms);
}

TEST_CASE("fair: what a machine does not use goes to the others by their weights") {
  Worker worker("fair");
  auto& idle = worker.add(worker.group(5), 100, ms / 2, 10 * ms - ms / 2);  // 5 % of 62.5 %
  auto& one = worker.add(worker.group(1));
  auto& two = worker.add(worker.group(2));
  worker.start_all();
  worker.run_until(30 * second);
  CHECK(std::abs(worker.share(idle) - 0.05) < 0.002);
  CHECK(std::abs(worker.share(one) - 0.95 / 3) < 0.002);
  CHECK(std::abs(worker.share(two) - 1.9 / 3) < 0.002);
}

TEST_CASE("fair: a machine's weight can change, and its index be used again") {
  Worker worker("fair");
  Group& changing = worker.group(100);
  const Group& fixed = worker.group(100);
  auto& a = worker.add(changing);
  auto& b = worker.add(fixed);
  worker.start_all();
  worker.run_until(10 * second);
  CHECK(std::abs(worker.share(a) - 0.5) < 0.001);
  changing.weight = 300;
  worker.policy->add_group(changing);
  worker.run_until(20 * second);
  CHECK(std::abs(worker.share(a) - (0.5 + 0.75) / 2) < 0.001);
  CHECK(std::abs(worker.share(b) - (0.5 + 0.25) / 2) < 0.001);
  worker.policy->remove(a);
  worker.policy->remove_group(changing);
  worker.policy->add_group(changing);
  worker.policy->ready(a, worker.now, Wake::started);
  const u64 before = a.ran;
  worker.run_until(30 * second);
  CHECK(std::abs(static_cast<double>(a.ran - before) - 7.5e9) < 20.0 * ms);
}

TEST_CASE("fair: nothing can be hoarded, and who ran alone owes nothing") {
  for (const bool one_group : {true, false}) {
    Worker worker("fair");
    const Group& group = worker.group(100);
    auto& first = worker.add(group);
    auto& late = worker.add(one_group ? group : worker.group(100), 100, ms, 3600 * second);
    worker.start_all();
    worker.run_until(3599 * second);
    late.work = late.left = 0;  // when it has slept for an hour, it will never sleep again
    worker.run_until(3600 * second + 100 * ms);
    CHECK(late.ran <= 53 * ms);
    const u64 before[] = {first.ran, late.ran};
    worker.run_until(3601 * second + 100 * ms);
    const u64 gained[] = {first.ran - before[0], late.ran - before[1]};
    CHECK(gained[0] > 498 * ms);
    CHECK(gained[1] > 498 * ms);
    CHECK(std::max(first.longest_wait, late.longest_wait) <= 3 * ms);
  }
}

TEST_CASE("fair: sleeping briefly gains no CPU time") {
  // Both want all of the CPU; one of them gives up its slice just before the end of it.
  Worker worker("fair");
  const Group& group = worker.group(1);
  auto& hog = worker.add(group);
  auto& sly = worker.add(group, 100, ms - 1000, 1);
  worker.start_all();
  worker.run_until(10 * second);
  CHECK(worker.share(hog) > 0.495);
  CHECK(worker.share(sly) < 0.505);
}

TEST_CASE("fair: a start flood takes no more than its share") {
  // A process starts children that run for 1 ms and end, as fast as it can: all in one machine.
  Worker worker("fair");
  const Group& group = worker.group(1);
  auto& hog = worker.add(group);
  worker.start(hog);
  for (u32 i = 0; i < 2000; ++i) {
    worker.start(worker.add(group, 100, ms, 0));
    worker.start(worker.add(group, 100, ms, 0));
    worker.run_until(worker.now + ms);
  }
  // Due: 1 / (1 + 2000 on the average).
  CHECK(hog.ran >= 3 * ms);
}

TEST_CASE("fair: virtual time lasts for years") {
  Worker worker("fair");
  const Group& group = worker.group(1);
  auto& light = worker.add(group, 1);
  auto& other = worker.add(group, 1);
  worker.start_all();
  Policy& policy = *worker.policy;
  // Bursts of an hour, for 200 years of CPU time.
  const u64 hour = 3600 * second;
  u64 ran[2] = {};
  for (u32 i = 0; i < 200 * 8766; ++i) {
    Entry* const entry = policy.pick(0);
    REQUIRE(entry != nullptr);
    ran[entry == &light] += 1;
    policy.account(*entry, hour, Stop::preempted, 0);
  }
  CHECK(ran[0] == ran[1]);
  // And after that, still in order to the slice.
  worker.run_until(10 * second);
  CHECK(light.ran >= 4990 * ms);
  CHECK(other.ran >= 4990 * ms);
}

// --- Latency and starvation
// -----------------------------------------------------------------------

TEST_CASE("fair: a sleeper among hogs runs at once") {
  Worker worker("fair");
  const Group& hogs = worker.group(100);
  const Group& others = worker.group(100);
  for (u32 i = 0; i < 100; ++i) worker.add(i % 2 == 0 ? hogs : others);
  for (u32 i = 0; i < 100; ++i) worker.add(others, 100, 10'000, 40 * ms + i * 1000);
  worker.start_all();
  worker.run_until(5 * second);
  for (auto& task : worker.tasks) task.longest_wait = 0;
  worker.run_until(20 * second);
  for (const auto& task : worker.tasks) {
    // Others that woke at the same time, and one slice where its machine had its share before it.
    if (task.work != 0) CHECK(task.longest_wait <= 3 * ms);
    CHECK(task.longest_wait <= 400 * ms);
    CHECK(task.ran > 0);
  }
}

TEST_CASE("fair: who mostly sleeps runs before who is woken again and again") {
  const auto policy = find("fair")->make();
  const Group group;
  policy->add_group(group);
  Entry hog;
  Entry busy;
  Entry sleeper;
  for (Entry* each : {&hog, &busy, &sleeper}) each->group = &group;
  policy->ready(hog, 0, Wake::started);
  policy->account(*policy->pick(0), 100'000, Stop::preempted, 0);
  for (Entry* each : {&busy, &sleeper}) {
    policy->ready(*each, 0, Wake::started);
    policy->remove(*each);
    each->home = 0;  // as if it came from elsewhere, owing nothing
  }
  policy->ready(busy, 0, Wake::woken);
  REQUIRE(policy->pick(0) == &busy);
  policy->account(busy, 200'000, Stop::waits, 0);
  // Both come before the hog; also when the one that was busy is there first, or runs.
  policy->ready(busy, 0, Wake::woken);
  policy->ready(sleeper, 0, Wake::woken);
  REQUIRE(policy->pick(0) == &sleeper);
  policy->account(sleeper, 0, Stop::waits, 0);
  REQUIRE(policy->pick(0) == &busy);
  CHECK_FALSE(policy->urgent(busy));
  policy->ready(sleeper, 0, Wake::woken);
  CHECK(policy->urgent(busy));
  policy->account(busy, 10'000, Stop::preempted, 0);
  REQUIRE(policy->pick(0) == &sleeper);
  policy->account(sleeper, 10'000, Stop::waits, 0);
  CHECK(policy->pick(0) == &busy);
  policy->account(busy, 2'000'000, Stop::preempted, 0);
  CHECK(policy->pick(0) == &hog);
}

TEST_CASE("fair: a sleeper runs at once at any weight") {
  for (const u32 weight : {1u, 100u, max_weight}) {
    Worker worker("fair");
    const Group& group = worker.group(1);
    for (u32 i = 0; i < 50; ++i) worker.add(group);
    auto& sleeper = worker.add(group, weight, 5'000, 200 * ms);
    worker.start_all();
    worker.run_until(20 * second);
    sleeper.longest_wait = 0;
    const u64 before = sleeper.bursts;
    worker.run_until(40 * second);
    CHECK(sleeper.bursts - before >= 98);
    CHECK(sleeper.longest_wait <= 1000);
  }
}

TEST_CASE("fair: a hog that nobody can outbid waits for a bounded time") {
  // 50 sleepers that want 125 % of the CPU together.
  Worker worker("fair");
  const Group& group = worker.group(1);
  auto& hog = worker.add(group);
  for (u32 i = 0; i < 50; ++i) worker.add(group, 100, 250'000, 10 * ms - 250'000 + i);
  worker.start_all();
  worker.run_until(10 * second);
  // Each runs for a slice above V at most, and the rest of the burst that goes beyond it.
  CHECK(hog.longest_wait <= 50 * (ms + 250'000) + ms);
  CHECK(worker.share(hog) > 0.015);  // due: 1/51
}

TEST_CASE("rr: each waits for one slice of each other") {
  Worker worker("rr");
  const Group& group = worker.group(1);
  for (u32 i = 0; i < 50; ++i) worker.add(group, 1 + i);
  worker.start_all();
  worker.run_until(second);
  for (const auto& task : worker.tasks) {
    CHECK(task.ran == 20 * ms);
    CHECK(task.longest_wait == 49 * ms);
  }
}

TEST_CASE("fcfs: each runs to its end, in order of coming") {
  Worker worker("fcfs");
  const Group& group = worker.group(1);
  for (u32 i = 0; i < 5; ++i) worker.add(group, 100, (5 - i) * 100 * ms, 0);
  worker.start_all();
  worker.run_until(2 * second);
  u64 last = 0;
  for (const auto& task : worker.tasks) {
    CHECK(task.last_ran == last + task.work);
    last = task.last_ran;
  }
  // Stopped from outside, it goes on first.
  Policy& policy = *worker.policy;
  Entry a;
  Entry b;
  policy.ready(a, 0, Wake::started);
  policy.ready(b, 0, Wake::started);
  CHECK(policy.slice(a) == no_slice_end);
  REQUIRE(policy.pick(0) == &a);
  policy.account(a, ms, Stop::preempted, 0);
  CHECK(policy.pick(0) == &a);
}

TEST_CASE("sjf: the shortest first, by declared or by measured length") {
  const auto policy = find("sjf")->make();
  Entry entries[6];
  const u64 lengths[] = {70 * ms, 3 * ms, 500, 0, 9 * ms, 20};
  for (u32 i = 0; i < 6; ++i) {
    policy->admit(entries[i]);
    entries[i].set_length(lengths[i]);
    policy->ready(entries[i], 0, Wake::started);
  }
  // The one without a length is taken for one slice.
  for (const u32 i : {5u, 2u, 3u, 1u, 4u, 0u}) {
    Entry* const entry = policy->pick(0);
    REQUIRE(entry == &entries[i]);
    if (i == 3) policy->account(*entry, 30 * ms, Stop::waits, 0);
  }
  CHECK(policy->size() == 0);
  // Measured: 30 ms, then 10 ms, so 20.
  policy->ready(entries[3], 0, Wake::woken);
  REQUIRE(policy->pick(0) == &entries[3]);
  policy->account(entries[3], 10 * ms, Stop::waits, 0);
  entries[1].set_length(19 * ms);
  entries[4].set_length(22 * ms);
  for (const u32 i : {4u, 3u, 1u}) policy->ready(entries[i], 0, Wake::woken);
  for (const u32 i : {1u, 3u, 4u}) CHECK(policy->pick(0) == &entries[i]);
  // Who declares too little is found out.
  entries[5].set_length(1);
  policy->ready(entries[5], 0, Wake::woken);
  policy->ready(entries[2], 0, Wake::woken);
  entries[2].set_length(500);
  REQUIRE(policy->pick(0) == &entries[5]);
  policy->account(entries[5], ms, Stop::preempted, 0);
  CHECK(policy->pick(0) == &entries[2]);
}

TEST_CASE("sjf: who waits for a second gets every other pick") {
  Worker worker("sjf");
  const Group& group = worker.group(1);
  worker.add(group).set_length(3600 * second);
  worker.add(group).set_length(3600 * second);
  for (u32 i = 0; i < 8; ++i) worker.add(group, 100, ms, 1);  // short, and always there
  worker.start_all();
  worker.run_until(30 * second);
  for (u32 i = 0; i < 2; ++i) {
    CHECK(worker.tasks[i].ran >= 25 * ms);
    CHECK(worker.tasks[i].longest_wait <= 1010 * ms);
  }
}

TEST_CASE("priority: the higher first, the lower after 100 ms for each step") {
  Worker worker("priority");
  const Group& group = worker.group(1);
  auto& low = worker.add(group);
  auto& high = worker.add(group);
  auto& same = worker.add(group);
  low.priority = 10;
  high.priority = same.priority = 13;
  worker.start_all();
  worker.run_until(10 * second);
  CHECK(low.longest_wait >= 290 * ms);
  CHECK(low.longest_wait <= 305 * ms);
  CHECK(high.ran > 4900 * ms);
  CHECK(same.ran > 4900 * ms);
  CHECK(high.longest_wait <= 3 * ms);
  // A priority beyond the last is the last.
  Entry odd;
  odd.priority = 255;
  CHECK(!worker.policy->urgent(odd));
  worker.policy->ready(odd, worker.now, Wake::started);
  CHECK(worker.policy->urgent(high));
  CHECK(worker.policy->pick(worker.now) == &odd);
}

TEST_CASE("nobody starves, but under fcfs") {
  for (const Row& row : all()) {
    if (row.name == "fcfs") continue;
    INFO(row.name);
    Worker worker(row.name.data());
    std::mt19937_64 random(7);
    for (u32 g = 0; g < 3; ++g) {
      const Group& group = worker.group(1 + 50 * g);
      for (u32 i = 0; i < 20; ++i) {
        auto& task = i % 3 == 0 ? worker.add(group, 1 + random() % 1000)
                                : worker.add(group, 1 + random() % 1000, 1 + random() % ms, 5 * ms);
        task.priority = random() % (max_priority + 1);
        if (i % 2 == 0) task.set_length(random() % second);
      }
    }
    worker.start_all();
    worker.run_until(120 * second);
    for (const auto& task : worker.tasks) {
      CHECK(task.ran > 0);
      CHECK(worker.now - task.last_ran < 60 * second);
    }
  }
}

// --- All policies: bookkeeping
// --------------------------------------------------------------------

TEST_CASE("random operations: each ready entry is picked once, removed or stolen once") {
  for (const Row& row : all()) {
    for (u32 seed = 1; seed <= 4; ++seed) {
      INFO(row.name << " seed " << seed);
      std::mt19937_64 random(seed);
      const auto policies = std::array{row.make(), row.make()};
      std::deque<Group> groups;
      for (u32 i = 0; i < 5; ++i) {
        groups.emplace_back(i, 1u << (4 * i));
        for (const auto& each : policies) each->add_group(groups.back());
      }
      // Where each entry is: -1 away, 0 or 1 queued there, 2 or 3 picked there.
      std::deque<Entry> entries(300);
      std::vector<int> place(entries.size(), -1);
      std::vector<bool> started(entries.size());
      for (Entry& entry : entries) {
        entry.group = &groups[random() % groups.size()];
        entry.set_weight(static_cast<u32>(u64{1} << (random() % 21)));
        entry.priority = static_cast<u8>(random() % 40);
        for (const auto& each : policies) each->admit(entry);
        entry.set_length(random() % 4 == 0 ? random() >> (random() % 64) : 0);
      }
      const auto index = [&](const Entry* entry) {
        usize at = 0;
        while (&entries[at] != entry) ++at;
        return at;
      };
      usize sizes[2] = {};
      u64 now = 0;
      for (u32 step = 0; step < 30'000; ++step) {
        now += random() % (10 * ms);
        const int side = static_cast<int>(random() % 2);
        Policy& policy = *policies[side];
        const usize at = random() % entries.size();
        switch (random() % 6) {
          case 0:
          case 1:
            if (place[at] != -1) break;
            policy.ready(entries[at], now, started[at] ? Wake::woken : Wake::started);
            started[at] = true;
            place[at] = side;
            ++sizes[side];
            break;
          case 2: {
            Entry* const entry = policy.pick(now);
            REQUIRE((entry == nullptr) == (sizes[side] == 0));
            if (entry == nullptr) break;
            REQUIRE(place[index(entry)] == side);
            place[index(entry)] = side + 2;
            --sizes[side];
            break;
          }
          case 3: {
            if (place[at] < 2) break;
            const int home = place[at] - 2;
            const Stop why = static_cast<Stop>(random() % 3);
            policies[home]->account(entries[at], random() >> (random() % 64), why, now);
            place[at] = why == Stop::preempted ? home : -1;
            sizes[home] += why == Stop::preempted;
            if (why == Stop::ended) started[at] = false;
            break;
          }
          case 4:
            if (place[at] != 0 && place[at] != 1) break;
            policies[place[at]]->remove(entries[at]);
            --sizes[place[at]];
            place[at] = -1;
            break;
          default: {
            Entry* const entry = policy.steal(now);
            REQUIRE((entry == nullptr) == (sizes[side] == 0));
            if (entry == nullptr) break;
            REQUIRE(place[index(entry)] == side);
            policies[1 - side]->ready(*entry, now, Wake::woken);
            place[index(entry)] = 1 - side;
            --sizes[side];
            ++sizes[1 - side];
          }
        }
        REQUIRE(policies[0]->size() == sizes[0]);
        REQUIRE(policies[1]->size() == sizes[1]);
        for (const usize k : {at}) REQUIRE(entries[k].queued == (place[k] == 0 || place[k] == 1));
      }
      for (const auto& each : policies) {
        for (usize left = each->size(); left > 0; --left) CHECK(each->pick(now) != nullptr);
        CHECK(each->pick(now) == nullptr);
      }
    }
  }
}

TEST_CASE("100,000 entries: each gets its turn") {
  for (const Row& row : all()) {
    if (row.name == "fcfs") continue;
    INFO(row.name);
    const auto policy = row.make();
    const Group group;
    policy->add_group(group);
    std::vector<Entry> entries(100'000);
    for (Entry& entry : entries) {
      policy->admit(entry);
      entry.group = &group;
      policy->ready(entry, 0, Wake::started);
    }
    CHECK(policy->size() == entries.size());
    std::vector<u32> turns(entries.size());
    u64 now = 0;
    for (usize i = 0; i < 3 * entries.size(); ++i) {
      Entry* const entry = policy->pick(now);
      REQUIRE(entry != nullptr);
      ++turns[static_cast<usize>(entry - entries.data())];
      now += 1000;
      policy->account(*entry, 1000, Stop::preempted, now);
    }
    CHECK(*std::ranges::min_element(turns) >= 1);
    CHECK(*std::ranges::max_element(turns) <= 7);
  }
}

TEST_CASE("fair: exact order of virtual time, whatever the keys") {
  // Against a plain search for the least: machines of one process each, with bursts of any length.
  const auto policy = find("fair")->make();
  std::mt19937_64 random(3);
  const Group group;
  policy->add_group(group);
  std::deque<Entry> entries(200);
  for (Entry& entry : entries) {
    entry.group = &group;
    entry.set_weight(static_cast<u32>(u64{1} << (random() % 10)));
    policy->ready(entry, 0, Wake::started);
  }
  for (u32 i = 0; i < 50'000; ++i) {
    u64 least = ~u64{0};
    for (const Entry& entry : entries) least = std::min(least, entry.key);
    Entry* const entry = policy->pick(0);
    REQUIRE(entry != nullptr);
    REQUIRE(entry->key == least);
    policy->account(*entry, random() >> (34 + random() % 30), Stop::preempted, 0);
  }
}

TEST_CASE("fair: what is owed goes along to another worker") {
  Worker here("fair");
  Worker there("fair");
  const Group& group = here.group(1);
  there.policy->add_group(group);
  // Other queues have other virtual times.
  auto& own = there.add(group);
  there.start(own);
  there.run_until(100 * second);
  auto& moved = here.add(group);
  auto& stays = here.add(group);
  here.start_all();
  here.run_until(20 * ms);
  REQUIRE(here.policy->pick(here.now) != nullptr);
  here.policy->account(stays.queued ? moved : stays, 50 * ms, Stop::waits, here.now);
  Entry& debtor = stays.queued ? static_cast<Entry&>(moved) : stays;
  there.policy->ready(debtor, there.now, Wake::woken);
  u32 before = 0;
  while (there.policy->pick(0) == &own) {
    there.policy->account(own, ms, Stop::preempted, 0);
    ++before;
  }
  CHECK(before >= 48);
  CHECK(before <= 52);
}

}  // namespace
