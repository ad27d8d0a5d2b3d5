// Linear memories: zero when new, kept when they grow, cheap in great numbers.
#include "vm/runtime/memory.hpp"

#include <doctest/doctest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "vm/base/sanitizers.hpp"
#include "vm/base/zero.hpp"
#include "vm/runtime/strips.hpp"

#if ATOLL_ASAN
#include <sanitizer/asan_interface.h>
#endif

using namespace atollvm;
using runtime::Memory;
using runtime::MemoryStrategy;
using Memories = std::vector<std::unique_ptr<Memory>>;

namespace {

constexpr u64 no_limit = u64{1} << 32;
constexpr u64 page = 65536;

// Sanitizers have memory of their own for each byte of a guest's, and emulators take long: there
// it is some thousands at most.
bool is_small_world() {
#if ATOLL_SANITIZED
  return true;
#else
  return std::getenv("ATOLL_EMULATED") != nullptr;
#endif
}

std::unique_ptr<Memory> bytes(u64 count, u64 limit = no_limit) {
  return Memory::create({{count, {}}, 0}, limit, MemoryStrategy::checked);
}

std::unique_ptr<Memory> pages(u64 count, u64 limit = no_limit) {
  return Memory::create({{count, {}}, 16}, limit, MemoryStrategy::checked);
}

bool is_zero(const Memory& memory, u64 from = 0) {
  return base::is_zero(memory.base() + from, memory.size() - from);
}

u8 pattern(u64 at) { return static_cast<u8>(at * 31 + at / 251 + 7); }

u64 resident_bytes() {
  std::ifstream file("/proc/self/statm");
  u64 all = 0, resident = 0;
  file >> all >> resident;
  return resident * static_cast<u64>(sysconf(_SC_PAGESIZE));
}

// What may wait or be kept empty while nothing is taken, over all sizes: see strips.hpp.
constexpr u64 sizes = 7;
constexpr u64 most_waiting = 4 << 20;
constexpr u64 most_kept = 64 << 20;

}  // namespace

TEST_CASE("memories: new ones are zero, whoever had the bytes before") {
  for (const u64 size : std::vector<u64>{1, 100, 4095, 4096, 8192, 8193, 16384, 16385, 40000, page,
                                         2 * page, 3 * page, 8 * page, 16 * page, 17 * page}) {
    CAPTURE(size);
    const u64 count = is_small_world() ? 8 : std::max<u64>(8, 3 * most_waiting / size / 2);
    for (u32 round = 0; round < 3; ++round) {
      Memories all;
      u64 dirty = 0;
      for (u64 i = 0; i < std::min<u64>(count, 500); ++i) {
        auto memory = bytes(size);
        REQUIRE(memory != nullptr);
        REQUIRE(memory->size() == size);
        if (!is_zero(*memory)) ++dirty;
        std::memset(memory->base(), 0xa5, size);
        all.push_back(std::move(memory));
      }
      CHECK(dirty == 0);
    }
    // One by one, in the same places again and again.
    u64 dirty = 0;
    for (u64 i = 0; i < std::min<u64>(count, 500); ++i) {
      const auto memory = bytes(size);
      if (!is_zero(*memory)) ++dirty;
      std::memset(memory->base(), 0xa5, size);
    }
    CHECK(dirty == 0);
  }
}

TEST_CASE("memories: an empty one grows") {
  for (const auto strategy : {MemoryStrategy::checked, MemoryStrategy::guarded}) {
    const auto memory = Memory::create({{0, {}}, 0}, no_limit, strategy);
    REQUIRE(memory != nullptr);
    CHECK(memory->size() == 0);
    CHECK(memory->grow(0) == 0);
    CHECK(memory->grow(10) == 0);
    CHECK(memory->size() == 10);
    CHECK(is_zero(*memory));
  }
}

TEST_CASE("memories: growth keeps what is there and adds zeros, through all sizes") {
  // Steps small and large, so that each way to grow is taken from each place.
  for (const u64 step : {7, 1000, 4090, 13000, 50000, 300'000, 2'000'000}) {
    for (const u64 first : {0, 1, 4000, 8192, 60000, 1 << 20, 3 << 20}) {
      CAPTURE(step);
      CAPTURE(first);
      const auto memory = bytes(first);
      u64 written = 0, wrong = 0;
      for (u64 i = 0; i < 9; ++i) {
        const u64 before = memory->size();
        REQUIRE(memory->grow(step << i / 3) == static_cast<i64>(before));
        REQUIRE(memory->size() == before + (step << i / 3));
        for (u64 at = 0; at < written; at += 97) wrong += memory->base()[at] != pattern(at);
        if (!is_zero(*memory, written)) ++wrong;
        // Leaves zeros behind: those move too.
        written = memory->size() - memory->size() / 8;
        for (u64 at = 0; at < written; at += 97) memory->base()[at] = pattern(at);
        std::memset(memory->base() + written, 0, memory->size() - written);
      }
      CHECK(wrong == 0);
    }
  }
  const auto memory = pages(1);
  memory->base()[page - 1] = 1;
  for (i64 i = 1; i < 40; ++i) REQUIRE(memory->grow(1) == i);
  CHECK(memory->pages() == 40);
  CHECK(memory->base()[page - 1] == 1);
  CHECK(is_zero(*memory, page));
}

TEST_CASE("memories: types, limits and the host bound growth, and nothing changes then") {
  const auto bounded = Memory::create({{1, 3}, 16}, no_limit, MemoryStrategy::checked);
  bounded->base()[5] = 5;
  CHECK(bounded->grow(3) == -1);
  CHECK(bounded->grow(2) == 1);
  CHECK(bounded->grow(1) == -1);
  CHECK(bounded->size() == 3 * page);
  CHECK(bounded->base()[5] == 5);
  for (const u64 limit : {100, 5000, 70'000, 1 << 20, 3 << 20}) {
    CAPTURE(limit);
    const auto memory = bytes(50, limit);
    CHECK(memory->grow(limit - 50 + 1) == -1);
    CHECK(memory->grow(limit - 50) == 50);
    CHECK(memory->grow(1) == -1);
    CHECK(memory->size() == limit);
    CHECK(bytes(limit + 1, limit) == nullptr);
  }
  CHECK(pages(2, 2 * page - 1) == nullptr);
}

TEST_CASE("memories: no address space left is a refusal") {
  Memories all;
  all.reserve(2000);
  const auto grown = pages(1);
  grown->base()[3] = 3;
  rlimit before{};
  getrlimit(RLIMIT_AS, &before);
  const rlimit none{1 << 20, before.rlim_max};
  setrlimit(RLIMIT_AS, &none);
  // Emulators keep no such limit.
  void* const probe = mmap(nullptr, 32 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  i64 growth = -1;
  bool is_refused = false;
  if (probe == MAP_FAILED) {
    growth = grown->grow(100);
    // What is left in strips is given out first.
    while (!is_refused && all.size() < 2000) {
      all.push_back(pages(8));
      is_refused = all.back() == nullptr;
    }
    is_refused &= pages(17) == nullptr;
  }
  setrlimit(RLIMIT_AS, &before);
  if (probe != MAP_FAILED) {
    munmap(probe, 32 << 20);
    return;
  }
  CHECK(growth == -1);
  CHECK(is_refused);
  CHECK(grown->size() == page);
  CHECK(grown->base()[3] == 3);
  CHECK(grown->grow(100) == 1);
  CHECK(grown->base()[3] == 3);
  CHECK(is_zero(*grown, 4));
  all.clear();
  CHECK(pages(8) != nullptr);
}

TEST_CASE("memories: 100,000 at once, in few mappings, with just their touched pages resident") {
  const u64 count = is_small_world() ? 3000 : 100'000;
  const auto at_start = runtime::strip_usage();
  const u64 resident = resident_bytes();
  {
    Memories all;
    all.reserve(count);
    for (u64 i = 0; i < count; ++i) {
      all.push_back(pages(1));
      REQUIRE(all.back() != nullptr);
      std::memset(all.back()->base() + page / 2, static_cast<int>(i), 4096);
    }
    const auto usage = runtime::strip_usage();
    CHECK(usage.taken == at_start.taken + count);
    CHECK(usage.strips - at_start.strips < count / 64);
    CHECK(usage.reserved - at_start.reserved < 2 * count * page + most_kept);
    if (!is_small_world()) CHECK(resident_bytes() - resident < count * 4300);
    u64 wrong = 0;
    for (u64 i = 0; i < count; ++i) {
      const u8* const base = all[i]->base();
      if (base[page / 2] != static_cast<u8>(i) || base[page / 2 + 4095] != static_cast<u8>(i)) {
        ++wrong;
      }
    }
    CHECK(wrong == 0);
    // In no order.
    std::shuffle(all.begin(), all.end(), std::mt19937(1));
  }
  const auto usage = runtime::strip_usage();
  CHECK(usage.taken == at_start.taken);
  CHECK(usage.reserved <= at_start.reserved + most_kept);
  if (!is_small_world()) CHECK(resident_bytes() < resident + most_waiting + (16 << 20));
}

TEST_CASE("memories: what is free stays within its bounds") {
  const auto at_start = runtime::strip_usage();
  for (const u64 size : {10000, 20000, 50000, 100'000, 200'000, 400'000, 800'000}) {
    Memories all;
    for (u64 i = 0; i < 150; ++i) all.push_back(bytes(size));
    CHECK(runtime::strip_usage().taken == at_start.taken + 150);
    while (!all.empty()) {
      all.pop_back();
      CHECK(runtime::strip_usage().waiting * 16384 <= sizes * most_waiting);
    }
  }
  const auto usage = runtime::strip_usage();
  CHECK(usage.taken == at_start.taken);
  CHECK(usage.reserved <= at_start.reserved + sizes * most_kept);
}

TEST_CASE("memories: locked pages are zeroed too") {
  // The kernel does not discard those.
  std::vector<u8*> locked;
  {
    Memories all;
    for (u64 i = 0; i < 100; ++i) {
      all.push_back(pages(1));
      std::memset(all.back()->base(), 0xa5, page);
      if (i % 9 == 0 && mlock(all.back()->base(), page) == 0) {
        locked.push_back(all.back()->base());
      }
    }
  }
  {
    Memories all;
    u64 dirty = 0;
    for (u64 i = 0; i < 200; ++i) {
      all.push_back(pages(1));
      if (!is_zero(*all.back())) ++dirty;
    }
    CHECK(dirty == 0);
    for (u8* base : locked) munlock(base, page);
  }
}

TEST_CASE("memories: threads make and release them, also each other's") {
  const u64 rounds = is_small_world() ? 300 : 6000;
  constexpr u64 workers = 4;
  const auto at_start = runtime::strip_usage();
  std::mutex mutex;
  Memories passed_on;
  std::array<u64, workers> wrong{};
  const auto work = [&](u64 number) {
    std::mt19937 random(static_cast<u32>(number));
    const auto any = [&](u64 bound) {
      return std::uniform_int_distribution<u64>(0, bound)(random);
    };
    Memories own(24);
    for (u64 i = 0; i < rounds; ++i) {
      std::unique_ptr<Memory>& memory = own[any(own.size() - 1)];
      if (memory != nullptr) {
        for (u64 at = 0; at < memory->size(); at += 4096)
          wrong[number] += memory->base()[at] != number + 1;
        const u64 size = memory->size();
        if (any(3) == 0 &&
            (memory->grow(size) != static_cast<i64>(size) || !is_zero(*memory, size))) {
          ++wrong[number];
        }
        if (any(1) == 0) {
          const std::lock_guard lock(mutex);
          passed_on.push_back(std::move(memory));
          if (passed_on.size() > 40) {
            std::swap(passed_on[any(40)], passed_on.back());
            memory = std::move(passed_on.back());
            passed_on.pop_back();
          }
        }
      }
      memory = bytes(u64{1} << any(18));
      if (memory == nullptr || !is_zero(*memory)) {
        ++wrong[number];
        continue;
      }
      for (u64 at = 0; at < memory->size(); at += 4096)
        memory->base()[at] = static_cast<u8>(number + 1);
    }
  };
  std::vector<std::thread> threads;
  for (u64 i = 0; i < workers; ++i) threads.emplace_back(work, i);
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == std::array<u64, workers>{});
  passed_on.clear();
  CHECK(runtime::strip_usage().taken == at_start.taken);
}

#if ATOLL_ASAN
TEST_CASE("memories: AddressSanitizer sees accesses beyond the size, and after release") {
  const u8* freed = nullptr;
  for (const u64 size : {1, 3000, 10'001, 40'000, 900'001, 1'100'000}) {
    CAPTURE(size);
    const auto memory = bytes(size);
    std::memset(memory->base(), 1, size);
    CHECK(__asan_region_is_poisoned(memory->base(), size) == nullptr);
    CHECK(__asan_address_is_poisoned(memory->base() + size));
    CHECK(memory->grow(1) == static_cast<i64>(size));
    memory->base()[size] = 1;
    CHECK(__asan_address_is_poisoned(memory->base() + size + 1));
    if (size == 40'000) freed = memory->base();
  }
  CHECK(__asan_address_is_poisoned(freed));
  CHECK(__asan_address_is_poisoned(freed + 39'999));
}
#endif
