#include "vm/jit/code_memory.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/membarrier.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <iterator>

namespace atollvm::jit {

namespace {

using base::Error;
using base::ErrorCode;

#if defined(__x86_64__)
constexpr u32 trap = 0xcccccccc;  // int3, four times
// mov eax, 1; ret. And the same with 2.
constexpr std::array<u8, 6> returns_1{0xb8, 1, 0, 0, 0, 0xc3};
constexpr std::array<u8, 6> returns_2{0xb8, 2, 0, 0, 0, 0xc3};
#elif defined(__aarch64__)
constexpr u32 trap = 0xd4200000;  // brk #0
// movz w0, #1; ret. And the same with 2.
constexpr std::array<u32, 2> returns_1{0x52800020, 0xd65f03c0};
constexpr std::array<u32, 2> returns_2{0x52800040, 0xd65f03c0};
#else
#error "no JIT for this architecture"
#endif

usize round_up(usize bytes, usize unit) { return (bytes + unit - 1) / unit * unit; }

void fill_with_traps(u8* at, usize bytes) {
  std::fill_n(reinterpret_cast<u32*>(at), bytes / sizeof trap, trap);
}

void flush_caches(const u8* at, usize bytes) {
  char* const begin = reinterpret_cast<char*>(const_cast<u8*>(at));
  __builtin___clear_cache(begin, begin + bytes);
}

// What errno says about a call of the kernel.
Error refused(const char* what) {
  return {ErrorCode::io, "code memory", fmt::format("{}: {}", what, std::strerror(errno))};
}

Error execution_refused() {
  return refused("the host refuses executable memory, as seccomp and SELinux can");
}

int make_file() {
  // No file to execve(). Linux before 6.3 does not know the flag; hosts can insist on it.
  constexpr unsigned no_exec_seal = 8;
  const int file = memfd_create("atoll-code", MFD_CLOEXEC | MFD_ALLOW_SEALING | no_exec_seal);
  if (file >= 0 || errno != EINVAL) return file;
  return memfd_create("atoll-code", MFD_CLOEXEC | MFD_ALLOW_SEALING);
}

// A view of `bytes` of the file, not yet accessible, between guards. Null: errno says why.
u8* map_view(int file, usize bytes) {
  const usize all = bytes + 2 * CodeMemory::guard;
  void* const base =
      mmap(nullptr, all, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED) return nullptr;
  u8* const view = static_cast<u8*>(base) + CodeMemory::guard;
  if (mmap(view, bytes, PROT_NONE, MAP_SHARED | MAP_FIXED, file, 0) != MAP_FAILED) return view;
  const int error = errno;
  munmap(base, all);
  errno = error;
  return nullptr;
}

void unmap_view(u8* view, usize bytes) {
  if (view != nullptr) munmap(view - CodeMemory::guard, bytes + 2 * CodeMemory::guard);
}

usize bytes_of_begins(usize limit) { return limit / CodeMemory::alignment / 8; }

#if defined(__clang__)
// It would look for a signature before the code.
__attribute__((no_sanitize("function")))
#endif
int call(const u8* code) {
  return reinterpret_cast<int (*)()>(reinterpret_cast<std::uintptr_t>(code))();
}

}  // namespace

base::Result<std::unique_ptr<CodeMemory>> CodeMemory::make(usize limit_bytes) {
  if (limit_bytes == 0 || limit_bytes > largest_limit) {
    return Error{
        ErrorCode::usage, "code memory",
        fmt::format("the limit is {} bytes: it must be 1 to {}", limit_bytes, largest_limit)};
  }
  std::unique_ptr<CodeMemory> memory(new CodeMemory);
  if (auto done = memory->map_views(round_up(limit_bytes, step)); !done) return done.error();
  // A host that refuses execution does it here.
  if (auto done = memory->open_step(); !done) return done.error();
#if defined(__aarch64__)
  syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0);
#endif
  memory->keeps_old_code_ = !memory->runs_new_code();
  memory->free_.emplace(0, memory->limit_);
  return memory;
}

CodeMemory::~CodeMemory() {
  unmap_view(code_, limit_);
  unmap_view(writable_, limit_);
  if (begins_ != nullptr) munmap(begins_, bytes_of_begins(limit_));
  if (file_ >= 0) close(file_);
}

base::Status CodeMemory::map_views(usize limit) {
  limit_ = limit;
  file_ = make_file();
  if (file_ < 0) return refused("the host refuses memfd_create, as seccomp can");
  writable_ = map_view(file_, limit);
  if (writable_ == nullptr) return refused("the host has no address space");
  if (madvise(writable_, limit, MADV_DONTFORK) != 0)
    return refused("the host refuses MADV_DONTFORK");
  // From here on nothing gets another writable mapping of the file, nor makes one writable, not
  // even a child that has the file. Linux before 5.1 refuses, and goes without.
  constexpr int future_write = 0x10;
  fcntl(file_, F_ADD_SEALS, F_SEAL_SHRINK | future_write);
  code_ = map_view(file_, limit);
  if (code_ == nullptr) return refused("the host has no address space");
  void* const begins = mmap(nullptr, bytes_of_begins(limit), PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (begins == MAP_FAILED) return refused("the host has no address space");
  static_assert(sizeof(std::atomic<u64>) == 8 && std::atomic<u64>::is_always_lock_free);
  begins_ = static_cast<std::atomic<u64>*>(begins);
  return {};
}

// The mutex is held, or nobody else has the object.
base::Status CodeMemory::open_step() {
  // To grow the file beyond this is a signal that ends the process.
  rlimit largest_file{};
  if (getrlimit(RLIMIT_FSIZE, &largest_file) == 0 && opened_ + step > largest_file.rlim_cur) {
    errno = EFBIG;
    return refused("the host limits the size of files (ulimit -f)");
  }
  // Takes the memory too, of which a lack were a SIGBUS later.
  int error = 0;
  do {
    error = fallocate(file_, 0, static_cast<off_t>(opened_), step) == 0 ? 0 : errno;
  } while (error == EINTR);
  if (error != 0) return refused("the host has no memory");
  if (mprotect(writable_ + opened_, step, PROT_READ | PROT_WRITE) != 0) {
    return refused("the host refuses writable memory");
  }
  fill_with_traps(writable_ + opened_, step);
  if (!is_all_open_ && mprotect(code_ + opened_, step, PROT_READ | PROT_EXEC) != 0) {
    return execution_refused();
  }
  flush_caches(code_ + opened_, step);
  opened_ += step;
  return {};
}

base::Status CodeMemory::open_all() {
  const std::lock_guard lock(mutex_);
  if (mprotect(code_, limit_, PROT_READ | PROT_EXEC) != 0) return execution_refused();
  is_all_open_ = true;
  return {};
}

// Whether code that takes the place of other code is what runs. With qemu-user 7.2 it isn't:
// it keeps what it translated and does not see writes by another view.
bool CodeMemory::runs_new_code() {
  const Block block{code_, writable_, alignment};
  const auto run = [&](const auto& instructions) {
    std::memcpy(block.writable, instructions.data(), sizeof instructions);
    finish(block);
    return call(block.code);
  };
  const bool result = run(returns_1) == 1 && run(returns_2) == 2;
  fill_with_traps(block.writable, block.size);
  finish(block);
  return result;
}

base::Result<CodeMemory::Block> CodeMemory::take(usize bytes, usize within) {
  const std::lock_guard lock(mutex_);
  within = std::min(within, limit_);
  const auto fit = std::find_if(free_.begin(), free_.end(), [&](const auto& range) {
    return range.second >= bytes || range.first + bytes > within;
  });
  if (fit == free_.end() || fit->first + bytes > within) {
    return Error{ErrorCode::limit, "code memory",
                 fmt::format("no room for {} bytes: {} of {} are in use", bytes, used_, within)};
  }
  const auto [at, room] = *fit;
  const usize size = round_up(std::max<usize>(bytes, 1), alignment);
  while (opened_ < at + size) {
    if (auto done = open_step(); !done) return done.error();
  }
  free_.erase(fit);
  if (room > size) free_.emplace(at + size, room - size);
  used_ += size;
  const usize unit = at / alignment;
  begins_[unit / 64].fetch_or(u64{1} << unit % 64, std::memory_order_relaxed);
  return Block{code_ + at, writable_ + at, size};
}

const u8* CodeMemory::block_of(const u8* at) const noexcept {
  if (!contains(at)) return nullptr;
  const usize unit = static_cast<usize>(at - code_) / alignment;
  // Those up to the unit's own.
  u64 bits = begins_[unit / 64].load(std::memory_order_relaxed) << (63 - unit % 64);
  if (bits != 0) return code_ + (unit - static_cast<usize>(std::countl_zero(bits))) * alignment;
  for (usize word = unit / 64; word-- > 0;) {
    bits = begins_[word].load(std::memory_order_relaxed);
    if (bits != 0) {
      return code_ + (word * 64 + 63 - static_cast<usize>(std::countl_zero(bits))) * alignment;
    }
  }
  return nullptr;
}

void CodeMemory::finish(const Block& block) {
#if defined(__aarch64__)
  flush_caches(block.writable, block.size);
#endif
  flush_caches(block.code, block.size);
  if (keeps_old_code_) map_again(block);
#if defined(__aarch64__)
  // Other cores may have fetched what was there before. x86-64 watches what it has fetched.
  syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0);
#endif
}

// At one moment for all threads: neighbours of the block can be executing.
void CodeMemory::map_again(const Block& block) {
  const usize at = static_cast<usize>(block.code - code_);
  const usize begin = at / guard * guard;  // whole pages of every host
  const usize end = round_up(at + block.size, guard);
  if (mmap(code_ + begin, end - begin, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED, file_,
           static_cast<off_t>(begin)) == MAP_FAILED) {
    std::abort();
  }
}

void CodeMemory::give(const Block& block) {
  fill_with_traps(block.writable, block.size);
  finish(block);
  const std::lock_guard lock(mutex_);
  const usize at = static_cast<usize>(block.code - code_);
  usize end = at + block.size;
  used_ -= block.size;
  const usize unit = at / alignment;
  begins_[unit / 64].fetch_and(~(u64{1} << unit % 64), std::memory_order_relaxed);
  auto next = free_.lower_bound(at);
  assert(next == free_.end() || end <= next->first);
  if (next != free_.end() && next->first == end) {
    end += next->second;
    next = free_.erase(next);
  }
  if (next != free_.begin()) {
    const auto before = std::prev(next);
    assert(before->first + before->second <= at);
    if (before->first + before->second == at) {
      before->second = end - before->first;
      return;
    }
  }
  free_.emplace_hint(next, at, end - at);
}

usize CodeMemory::used() const {
  const std::lock_guard lock(mutex_);
  return used_;
}

}  // namespace atollvm::jit
