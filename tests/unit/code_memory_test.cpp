// Memory for machine code: what it holds runs, nothing else does, and no mapping is both writable
// and executable.
#include "vm/jit/code_memory.hpp"

#include <doctest/doctest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

using namespace atollvm;
using base::ErrorCode;
using jit::CodeMemory;
using Block = CodeMemory::Block;

namespace {

constexpr usize mib = 1 << 20;

bool is_emulated() { return std::getenv("ATOLL_EMULATED") != nullptr; }

std::unique_ptr<CodeMemory> make(usize limit) {
  auto made = CodeMemory::make(limit);
  if (!made) FAIL(made.error().text());
  return std::move(made).value();
}

Block take(CodeMemory& memory, usize bytes) {
  auto taken = memory.take(bytes);
  if (!taken) FAIL(taken.error().text());
  return *taken;
}

// A function that returns `number`, and its size in bytes.
constexpr usize function_bytes = 8;
void write_function(u8* at, u16 number) {
#if defined(__x86_64__)
  const u8 low = static_cast<u8>(number), high = static_cast<u8>(number >> 8);
  const std::array<u8, function_bytes> code{0xb8, low, high, 0, 0, 0xc3, 0xcc, 0xcc};
#else
  const std::array<u32, 2> code{0x52800000U | u32{number} << 5, 0xd65f03c0};
#endif
  static_assert(sizeof code == function_bytes);
  std::memcpy(at, code.data(), function_bytes);
}

#if defined(__clang__)
// UndefinedBehaviorSanitizer would look for a signature before the code.
__attribute__((no_sanitize("function")))
#endif
int call(const u8* code) {
  return reinterpret_cast<int (*)()>(reinterpret_cast<std::uintptr_t>(code))();
}

bool is_all_traps(const u8* at, usize bytes) {
#if defined(__x86_64__)
  constexpr u32 trap = 0xcccccccc;
#else
  constexpr u32 trap = 0xd4200000;
#endif
  for (usize i = 0; i < bytes; i += sizeof trap) {
    if (std::memcmp(at + i, &trap, sizeof trap) != 0) return false;
  }
  return true;
}

// How a child ends that does this: the signal's number, or minus what `what` returns.
int end_of_child(const std::function<int()>& what) {
  std::fflush(nullptr);  // ThreadSanitizer's children would write it, too
  const pid_t child = fork();
  if (child == 0) {
    const rlimit none{};
    setrlimit(RLIMIT_CORE, &none);
    for (const int signal : {SIGSEGV, SIGTRAP, SIGBUS, SIGILL}) std::signal(signal, SIG_DFL);
    _exit(what());
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

int end_of_call(const u8* code) {
  return end_of_child([&] { return call(code); });
}
int end_of_read(const u8* at) {
  return end_of_child([&] { return *static_cast<const volatile u8*>(at) & 0; });
}
int end_of_write(u8* at) {
  return end_of_child([&] {
    *static_cast<volatile u8*>(at) = 0;
    return 0;
  });
}

// From now on this call of the kernel fails with EACCES, if its third argument has all of `bits`.
bool refuse(u32 number, u32 bits) {
  constexpr u32 load = BPF_LD | BPF_W | BPF_ABS, is_equal = BPF_JMP | BPF_JEQ | BPF_K;
  std::array<sock_filter, 7> filter{{
      {load, 0, 0, offsetof(seccomp_data, nr)},
      {is_equal, 0, 4, number},
      {load, 0, 0, offsetof(seccomp_data, args[2])},  // its low half
      {BPF_ALU | BPF_AND | BPF_K, 0, 0, bits},
      {is_equal, 0, 1, bits},
      {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | EACCES},
      {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
  }};
  const sock_fprog program{filter.size(), filter.data()};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

// Permissions of the mapping that has `at`, as in "r-xs"; empty: none has it.
std::string permissions(const void* at) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    usize end_of_first = 0;
    const u64 begin = std::stoull(line, &end_of_first, 16);
    usize end_of_second = 0;
    const u64 end = std::stoull(line.substr(end_of_first + 1), &end_of_second, 16);
    const u64 place = reinterpret_cast<std::uintptr_t>(at);
    if (place >= begin && place < end) return line.substr(end_of_first + end_of_second + 2, 4);
  }
  return "";
}

u64 mappings_writable_and_executable() {
  u64 count = 0;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    const std::string allowed = line.substr(line.find(' ') + 1, 4);
    count += allowed[1] == 'w' && allowed[2] == 'x';
  }
  return count;
}

}  // namespace

TEST_CASE("code_memory: what is written and finished runs, also in the place of other code") {
  const auto memory = make(mib);
  for (const u16 number : {1, 7, 65535}) {
    const Block block = take(*memory, 100);
    REQUIRE(is_all_traps(block.code, block.size));
    write_function(block.writable, number);
    write_function(block.writable + block.size - function_bytes, number / 2);
    memory->finish(block);
    CHECK(call(block.code) == number);
    CHECK(call(block.code + block.size - function_bytes) == number / 2);
    memory->give(block);
  }
  // Neighbours in a page, each finished while the others are in use.
  std::vector<Block> blocks;
  for (u16 i = 0; i < 1000; ++i) {
    blocks.push_back(take(*memory, function_bytes));
    write_function(blocks.back().writable, i);
    memory->finish(blocks.back());
    REQUIRE(call(blocks.back().code) == i);
    REQUIRE(call(blocks[i / 2].code) == i / 2);
  }
  for (u16 i = 0; i < 1000; ++i) REQUIRE(call(blocks[i].code) == i);
}

TEST_CASE("code_memory: no mapping is writable and executable, and code stays read-only") {
  CHECK(mappings_writable_and_executable() == 0);
  const auto memory = make(4 * mib);
  const Block first = take(*memory, 1);
  const Block large = take(*memory, mib);
  write_function(first.writable, 1);
  memory->finish(first);
  CHECK(call(first.code) == 1);
  CHECK(mappings_writable_and_executable() == 0);
  for (const Block& block : {first, large}) {
    CHECK(permissions(block.code) == "r-xs");
    CHECK(permissions(block.code + block.size - 1) == "r-xs");
    CHECK(permissions(block.writable) == "rw-s");
    CHECK(permissions(block.writable + block.size - 1) == "rw-s");
  }
  for (const u8* base : {first.code, static_cast<const u8*>(first.writable)}) {
    CHECK(permissions(base + memory->limit() - 1) == "---s");
    // Emulators leave out what lies beside what they reserve.
    if (is_emulated()) continue;
    CHECK(permissions(base - 1) == "---p");
    CHECK(permissions(base - CodeMemory::guard) == "---p");
    CHECK(permissions(base + memory->limit()) == "---p");
    CHECK(permissions(base + memory->limit() + CodeMemory::guard - 1) == "---p");
  }
  CHECK(mprotect(const_cast<u8*>(first.code), CodeMemory::guard, PROT_READ | PROT_WRITE) != 0);
  CHECK(permissions(first.code) == "r-xs");
  memory->give(first);
  memory->give(large);
  CHECK(mappings_writable_and_executable() == 0);
}

TEST_CASE("code_memory: guards and what was never used give SIGSEGV, what is free SIGTRAP") {
  const auto memory = make(2 * CodeMemory::step);
  const Block block = take(*memory, 100);
  const Block given = take(*memory, 1000);
  write_function(block.writable, 21);
  write_function(given.writable, 22);
  memory->finish(block);
  memory->finish(given);
  CHECK(end_of_call(block.code) == -21);
  CHECK(end_of_call(given.code) == -22);
  memory->give(given);

  CHECK(is_all_traps(given.code, given.size));
  CHECK(end_of_call(given.code) == SIGTRAP);
  CHECK(end_of_call(given.code + 512) == SIGTRAP);
  CHECK(end_of_call(block.code + block.size - 4) == SIGTRAP);
  CHECK(end_of_call(block.code + CodeMemory::step - 4) == SIGTRAP);
  CHECK(end_of_call(block.code + CodeMemory::step) == SIGSEGV);
  CHECK(end_of_read(block.code + CodeMemory::step) == SIGSEGV);
  for (const u8* guard : {block.code - CodeMemory::guard, block.code + memory->limit()}) {
    CHECK(end_of_call(guard) == SIGSEGV);
    CHECK(end_of_call(guard + CodeMemory::guard - 4) == SIGSEGV);
    CHECK(end_of_read(guard) == SIGSEGV);
    CHECK(end_of_read(guard + CodeMemory::guard - 1) == SIGSEGV);
  }
  CHECK(end_of_write(const_cast<u8*>(block.code)) == SIGSEGV);
  CHECK(call(block.code) == 21);
}

TEST_CASE("code_memory: all of it can be made executable before it is there") {
  const auto memory = make(mib);
  const Block before = take(*memory, 100);
  REQUIRE(memory->open_all().ok());
  const Block block = take(*memory, CodeMemory::step);
  write_function(block.writable, 23);
  memory->finish(block);
  CHECK(end_of_call(block.code) == -23);
  for (const u8* at : {memory->base(), memory->base() + memory->limit() - 1}) {
    CHECK(permissions(at) == "r-xs");
  }
  CHECK(mappings_writable_and_executable() == 0);
  CHECK(end_of_call(memory->base() + memory->limit() - CodeMemory::step) == SIGBUS);
  CHECK(permissions(memory->base() - 1) == "---p");
  CHECK(permissions(memory->base() + memory->limit()) == "---p");
  memory->give(block);
  memory->give(before);
}

TEST_CASE("code_memory: a child executes, and does not have the writable view") {
  const auto memory = make(mib);
  const Block block = take(*memory, 100);
  write_function(block.writable, 3);
  memory->finish(block);
  CHECK(end_of_call(block.code) == -3);
  // Emulators don't take the kernel's advice on children.
  if (is_emulated()) return;
  CHECK(end_of_child([&] { return permissions(block.code) == "r-xs" ? 1 : 2; }) == -1);
  CHECK(end_of_child([&] { return permissions(block.writable).empty() ? 1 : 2; }) == -1);
  CHECK(end_of_read(block.writable) == SIGSEGV);
  CHECK(end_of_write(block.writable) == SIGSEGV);
  CHECK(call(block.code) == 3);
}

TEST_CASE("code_memory: blocks are aligned, apart, at the first place, and joined again") {
  const auto memory = make(8 * mib);
  const Block whole = take(*memory, memory->limit());
  CHECK(whole.size == memory->limit());
  memory->give(whole);
  std::mt19937 random(1);
  const auto any = [&](usize bound) {
    return std::uniform_int_distribution<usize>(0, bound)(random);
  };

  std::map<usize, Block> taken;  // by offset
  usize used = 0, refused = 0;
  const auto give_any = [&] {
    const auto block = std::next(taken.begin(), static_cast<i64>(any(taken.size() - 1)));
    const u8 last = static_cast<u8>(block->first / 64);
    REQUIRE(block->second.code[0] == last);
    REQUIRE(block->second.code[block->second.size - 1] == last);
    used -= block->second.size;
    memory->give(block->second);
    REQUIRE(is_all_traps(block->second.code, std::min<usize>(block->second.size, 256)));
    taken.erase(block);
  };
  const usize count = is_emulated() ? 2000 : 20'000;
  for (usize i = 0, blocks = 0; blocks < count; ++i) {
    // To the limit and back to nearly nothing.
    if (!taken.empty() && any(99) < (i / 1000 % 2 == 0 ? 35 : 65)) {
      give_any();
      continue;
    }
    const usize bytes = any(9) == 0 ? any(mib) : any(9000);
    const usize size = (std::max<usize>(bytes, 1) + 63) / 64 * 64;
    usize expected = 0;
    for (const auto& [at, block] : taken) {
      if (at - expected >= size) break;
      expected = at + block.size;
    }
    auto block = memory->take(bytes);
    if (memory->limit() - expected < size) {
      REQUIRE(!block.ok());
      REQUIRE(block.error().code == ErrorCode::limit);
      ++refused;
    } else {
      REQUIRE(block.ok());
      REQUIRE(block->code == whole.code + expected);
      REQUIRE(block->writable == whole.writable + expected);
      REQUIRE(block->size == size);
      REQUIRE(reinterpret_cast<std::uintptr_t>(block->code) % CodeMemory::alignment == 0);
      REQUIRE(is_all_traps(block->code, std::min<usize>(size, 256)));
      block->writable[0] = block->writable[size - 1] = static_cast<u8>(expected / 64);
      taken.emplace(expected, *block);
      ++blocks;
      used += size;
    }
    REQUIRE(memory->used() == used);
  }
  CHECK(refused > count / 200);
  while (!taken.empty()) give_any();
  CHECK(memory->used() == 0);
  const Block again = take(*memory, memory->limit());
  CHECK(again.code == whole.code);
  CHECK(is_all_traps(again.code, again.size));
}

TEST_CASE("code_memory: the limit holds") {
  for (const usize bad : {usize{0}, CodeMemory::largest_limit + 1, ~usize{0}}) {
    const auto made = CodeMemory::make(bad);
    REQUIRE(!made.ok());
    CHECK(made.error().code == ErrorCode::usage);
  }
  CHECK(make(CodeMemory::largest_limit)->limit() == CodeMemory::largest_limit);
  CHECK(make(CodeMemory::step + 1)->limit() == 2 * CodeMemory::step);

  const auto memory = make(1);
  CHECK(memory->limit() == CodeMemory::step);
  CHECK(memory->used() == 0);
  for (const usize bytes : {memory->limit() + 1, ~usize{0}, ~usize{0} - 62}) {
    const auto block = memory->take(bytes);
    REQUIRE(!block.ok());
    CHECK(block.error().code == ErrorCode::limit);
  }
  CHECK(take(*memory, 0).size == CodeMemory::alignment);
  const Block rest = take(*memory, memory->limit() - CodeMemory::alignment);
  CHECK(memory->used() == memory->limit());
  CHECK(memory->take(0).error().text() ==
        "code memory: no room for 0 bytes: 262144 of 262144 are in use");
  memory->give(rest);
  CHECK(memory->used() == CodeMemory::alignment);
  CHECK(take(*memory, rest.size).code == rest.code);
}

TEST_CASE("code_memory: contains() knows the executable view") {
  const auto memory = make(2 * CodeMemory::step);
  const Block block = take(*memory, 100);
  CHECK(memory->contains(block.code));
  CHECK(memory->contains(block.code + memory->limit() - 1));
  CHECK(!memory->contains(block.code - 1));
  CHECK(!memory->contains(block.code + memory->limit()));
  CHECK(!memory->contains(block.writable));
  CHECK(!memory->contains(nullptr));
  CHECK(!memory->contains(memory.get()));
  CHECK(!make(mib)->contains(block.code));
}

TEST_CASE("code_memory: a host that refuses it is an error that says so") {
  // What make() says after `prepare`, as "message" compares: 1 it does, 2 it does not, 3 unknown.
  const auto refusal = [](const std::function<bool()>& prepare, const std::string& message) {
    return -end_of_child([&] {
      if (!prepare()) return 3;
      const auto made = CodeMemory::make(mib);
      return !made.ok() && made.error().code == ErrorCode::io && made.error().text() == message ? 1
                                                                                                : 2;
    });
  };
  CHECK(refusal(
            [] {
              const rlimit small{CodeMemory::step - 1, RLIM_INFINITY};
              return setrlimit(RLIMIT_FSIZE, &small) == 0;
            },
            "code memory: the host limits the size of files (ulimit -f): File too large") == 1);
  // Emulators have no filters.
  if (is_emulated()) return;
  CHECK(refusal([] { return refuse(SYS_memfd_create, 0); },
                "code memory: the host refuses memfd_create, as seccomp can: Permission denied") ==
        1);
  CHECK(refusal([] { return refuse(SYS_mprotect, PROT_EXEC); },
                "code memory: the host refuses executable memory, as seccomp and SELinux can: "
                "Permission denied") == 1);
  // Later, too.
  const auto memory = make(mib);
  CHECK(end_of_child([&] {
          if (!refuse(SYS_fallocate, 0)) return 3;
          const auto made = memory->take(mib);
          return !made.ok() && made.error().code == ErrorCode::io && memory->used() == 0 ? 1 : 2;
        }) == -1);
}

TEST_CASE("code_memory: threads take, execute and give, also each other's") {
  const u64 rounds = is_emulated() ? 500 : 10'000;
  constexpr u64 workers = 4;
  const auto memory = make(4 * mib);
  struct Function {
    Block block;
    int number = 0;
  };
  std::mutex mutex;
  std::vector<Function> passed_on;
  std::array<u64, workers> wrong{};
  const auto work = [&](u64 worker) {
    std::mt19937 random(static_cast<u32>(worker));
    const auto any = [&](usize bound) {
      return std::uniform_int_distribution<usize>(0, bound)(random);
    };
    std::vector<Function> own(16);
    for (u64 i = 0; i < rounds; ++i) {
      Function& function = own[any(own.size() - 1)];
      if (function.block.code != nullptr) {
        wrong[worker] += call(function.block.code) != function.number;
        if (any(1) == 0) {
          const std::lock_guard lock(mutex);
          passed_on.push_back(function);
          function = {};
          if (passed_on.size() > 30) {
            std::swap(passed_on[any(passed_on.size() - 1)], passed_on.back());
            function = passed_on.back();
            passed_on.pop_back();
          }
        }
      }
      if (function.block.code != nullptr) {
        wrong[worker] += call(function.block.code) != function.number;
        memory->give(function.block);
        function = {};
      }
      auto block = memory->take(any(3) == 0 ? any(40'000) : any(500));
      if (!block || !is_all_traps(block->code, block->size)) {
        ++wrong[worker];
        continue;
      }
      function = {*block, static_cast<int>(any(65535))};
      for (usize at = 0; at + function_bytes <= block->size; at += 512)
        write_function(block->writable + at, static_cast<u16>(function.number));
      memory->finish(*block);
      wrong[worker] += !memory->contains(block->code) || memory->used() < block->size;
    }
    for (const Function& function : own)
      if (function.block.code != nullptr) memory->give(function.block);
  };
  std::vector<std::thread> threads;
  for (u64 i = 0; i < workers; ++i) threads.emplace_back(work, i);
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == std::array<u64, workers>{});
  for (const Function& function : passed_on) memory->give(function.block);
  CHECK(memory->used() == 0);
  CHECK(take(*memory, memory->limit()).size == memory->limit());
}
