// The format: tools/perf/Documentation/jitdump-specification.txt of Linux.
#include "vm/jit/jitdump.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <mutex>
#include <string>

#include "vm/jit/jit.hpp"

namespace atollvm::jit {

namespace {

struct Header {
  u32 magic = 0x4a695444;
  u32 version = 1;
  u32 size = sizeof(Header);
  u32 machine = 62;  // EM_X86_64
  u32 pad = 0;
  u32 process = 0;
  u64 time = 0;
  u64 flags = 0;
};
static_assert(sizeof(Header) == 40);

struct CodeLoad {
  u32 id = 0;  // JIT_CODE_LOAD
  u32 size = 0;
  u64 time = 0;
  u32 process = 0;
  u32 thread = 0;
  u64 address = 0;
  u64 code_address = 0;
  u64 code_size = 0;
  u64 index = 0;
};
static_assert(sizeof(CodeLoad) == 56);

std::atomic<int> file{-1};
std::mutex mutex;  // of the file's place and the index
u64 next_index = 0;

// perf's clock where it is told so (-k mono).
u64 timestamp() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<u64>(time.tv_sec) * 1'000'000'000 + static_cast<u64>(time.tv_nsec);
}

void append(std::string& to, const void* bytes, usize size) {
  to.append(static_cast<const char*>(bytes), size);
}

}  // namespace

base::Result<std::string> write_jitdump(const std::string& folder) {
  const u32 process = static_cast<u32>(getpid());
  const std::string path = folder + "/jit-" + std::to_string(process) + ".dump";
  const auto refused = [&path] {
    return base::Error{base::ErrorCode::io, path, std::strerror(errno)};
  };
  const std::lock_guard lock(mutex);
  if (file.load() >= 0) return base::Error{base::ErrorCode::usage, path, "one is written already"};
  // Nobody else's file, nor one that a link leads to; perf reads it once the process has ended.
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return refused();
  const int made = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (made < 0) return refused();
  Header header;
  header.process = process;
  header.time = timestamp();
  // By this mapping perf finds the file.
  const bool is_written = write(made, &header, sizeof header) == sizeof header;
  if (!is_written ||
      mmap(nullptr, sizeof header, PROT_READ | PROT_EXEC, MAP_PRIVATE, made, 0) == MAP_FAILED) {
    const base::Error error = refused();
    close(made);
    return error;
  }
  file.store(made);
  return path;
}

void jitdump::add(const CodeMemory::Block& block, std::string_view name) {
  if (file.load() < 0) return;
  name = name.substr(0, name.find('\0'));  // readers end it there
  CodeLoad load;
  load.size = static_cast<u32>(sizeof load + name.size() + 1 + block.size);
  load.time = timestamp();
  load.process = static_cast<u32>(getpid());
  load.thread = static_cast<u32>(syscall(SYS_gettid));
  load.address = load.code_address = reinterpret_cast<std::uintptr_t>(block.code);
  load.code_size = block.size;
  const std::lock_guard lock(mutex);
  load.index = next_index++;
  std::string record;
  append(record, &load, sizeof load);
  append(record, name.data(), name.size());
  record += '\0';
  append(record, block.writable, block.size);
  // A dump that can't be written as a whole (a full disk) ends here.
  if (write(file.load(), record.data(), record.size()) != static_cast<ssize_t>(record.size())) {
    file.store(-1);
  }
}

}  // namespace atollvm::jit
