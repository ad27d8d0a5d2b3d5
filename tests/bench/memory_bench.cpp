// What small linear memories cost: prints lines "NAME VALUE". A name that ends in .ns: nanoseconds
// for making one, touching some of it and destroying it, or for a part of that, CPU time of the
// thread, the least of 9 runs; in .wall_ns: by the clock, on that many threads at once. In .bytes:
// resident bytes of each of 100,000 that are alive.
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "vm/runtime/memory.hpp"
#include "vm/runtime/strips.hpp"

namespace {

using namespace atollvm;
using runtime::Memory;
using Memories = std::vector<std::unique_ptr<Memory>>;

constexpr u64 page = 65536;

std::unique_ptr<Memory> make(u64 bytes) {
  auto memory = Memory::create({{bytes, {}}, 0}, u64{1} << 32, runtime::MemoryStrategy::checked);
  if (memory == nullptr) {
    std::fprintf(stderr, "memory_bench: no memory of %llu bytes\n",
                 static_cast<unsigned long long>(bytes));
    std::exit(1);
  }
  return memory;
}

// Inline: a call that is interrupted by the page fault takes 400 ns longer than a store.
[[gnu::always_inline]] inline void touch(u8* at, u64 bytes) {
  for (u64 i = 0; i < bytes; i += 64) *static_cast<volatile u8*>(at + i) = 1;
}

double cpu_now() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

template <class Work>
double least(const Work& work) {
  double best = 1e18;
  for (int run = 0; run < 9; ++run) best = std::min(best, work());
  return best;
}

// One after the other, each touching `touched` bytes at its start.
double one_by_one(u64 bytes, u64 touched) {
  constexpr u64 count = 4096;
  return least([&] {
    const double start = cpu_now();
    for (u64 i = 0; i < count; ++i) touch(make(bytes)->base(), touched);
    return (cpu_now() - start) / count;
  });
}

// `alive` at once, of which ever another one is replaced.
double replaced(u64 bytes, u64 touched, u64 alive) {
  Memories all;
  for (u64 i = 0; i < alive; ++i) {
    all.push_back(make(bytes));
    touch(all.back()->base(), touched);
  }
  std::mt19937 random(1);
  constexpr u64 count = 4096;
  return least([&] {
    const double start = cpu_now();
    for (u64 i = 0; i < count; ++i) {
      auto& memory = all[random() % alive];
      memory.reset();
      memory = make(bytes);
      touch(memory->base(), touched);
    }
    return (cpu_now() - start) / count;
  });
}

// The same on `threads` threads at once, by the clock.
double on_threads(u64 bytes, u64 touched, u64 threads) {
  constexpr u64 count = 20'000;
  return least([&] {
    const auto start = std::chrono::steady_clock::now();
    std::vector<std::thread> running;
    for (u64 i = 0; i < threads; ++i) {
      running.emplace_back([&] {
        for (u64 k = 0; k < count; ++k) {
          const auto memory = make(bytes);
          touch(memory->base(), touched);
        }
      });
    }
    for (std::thread& thread : running) thread.join();
    const std::chrono::duration<double, std::nano> taken = std::chrono::steady_clock::now() - start;
    return taken.count() / count;
  });
}

u64 resident_bytes() {
  unsigned long long all = 0, resident = 0;
  std::FILE* const file = std::fopen("/proc/self/statm", "r");
  if (file == nullptr || std::fscanf(file, "%llu %llu", &all, &resident) != 2) std::exit(1);
  std::fclose(file);
  return resident * static_cast<u64>(sysconf(_SC_PAGESIZE));
}

void many(u64 count) {
  const u64 before = resident_bytes();
  Memories all;
  all.reserve(count);
  double start = cpu_now();
  for (u64 i = 0; i < count; ++i) {
    all.push_back(make(page));
    touch(all.back()->base(), 4096);
  }
  std::printf("many.made.ns %.0f\n", (cpu_now() - start) / static_cast<double>(count));
  std::printf("many.resident.bytes %.0f\n",
              static_cast<double>(resident_bytes() - before) / static_cast<double>(count));
  std::printf("many.strips %llu\n", static_cast<unsigned long long>(runtime::strip_usage().strips));
  start = cpu_now();
  all.clear();
  std::printf("many.destroyed.ns %.0f\n", (cpu_now() - start) / static_cast<double>(count));
}

}  // namespace

int main() {
  for (const u64 bytes : {64, 1024, 4096, 8192, 16384, 65536, 262144, 1 << 20, 2 << 20}) {
    const u64 touched = std::min<u64>(bytes, 4096);
    std::printf("one.%llu.ns %.0f\n", static_cast<unsigned long long>(bytes),
                one_by_one(bytes, touched));
  }
  std::printf("one.65536.untouched.ns %.0f\n", one_by_one(page, 0));
  std::printf("one.65536.all.ns %.0f\n", one_by_one(page, page));
  std::printf("replaced.65536.of_1000.ns %.0f\n", replaced(page, 4096, 1000));
  std::printf("replaced.65536.of_20000.ns %.0f\n", replaced(page, 4096, 20'000));
  for (const u64 threads : {1, 2}) {
    std::printf("threads_%llu.65536.wall_ns %.0f\n", static_cast<unsigned long long>(threads),
                on_threads(page, 4096, threads));
    std::printf("threads_%llu.65536.untouched.wall_ns %.0f\n",
                static_cast<unsigned long long>(threads), on_threads(page, 0, threads));
  }
  many(100'000);
}
