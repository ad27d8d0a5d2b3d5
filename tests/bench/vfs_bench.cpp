// What the backends of file systems cost by themselves, without a guest. Prints lines of a name and
// nanoseconds of CPU time, each the least of several rounds; tests/bench/groups/files.py has what
// they are.
#include <stdlib.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "stdlib/vfs/host_directory.hpp"
#include "stdlib/vfs/memory.hpp"
#include "stdlib/vfs/overlay.hpp"

using namespace atollvm;
using vfs::Wait;

namespace {

constexpr int rounds = 7;

double cpu_ns() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

void check(bool ok, const char* what) {
  if (ok) return;
  std::fprintf(stderr, "vfs_bench: %s\n", what);
  std::exit(1);
}

template <class F>
void figure(const std::string& name, long count, F turn) {
  double least = 1e300;
  for (int i = 0; i < rounds; ++i) {
    const double begin = cpu_ns();
    turn(count);
    least = std::min(least, (cpu_ns() - begin) / static_cast<double>(count));
  }
  std::printf("%s %.1f\n", name.c_str(), least);
}

std::shared_ptr<vfs::File> file_of(vfs::Directory& root, const std::string& name) {
  const auto opened = root.open(name, vfs::open_create, {true, true}, Wait::allowed);
  check(opened.index() == 0, "can't open");
  return std::static_pointer_cast<vfs::File>(std::get<0>(opened));
}

void measure(const std::string& name, vfs::Directory& root) {
  constexpr u64 size = 1 << 20;
  const auto file = file_of(root, "file");
  std::vector<u8> all(size, 7);
  check(file->write(all, 0, {}, Wait::allowed).index() == 0, "can't write");
  u8 bytes[64];
  figure(name + ".read.64.ns", 300'000, [&](long count) {
    static_cast<void>(file->seek(0, 0));
    for (long i = 0; i < count; ++i) {
      if (std::get<u32>(file->read(bytes, std::nullopt, Wait::never)) == 0) {
        static_cast<void>(file->seek(0, 0));
      }
    }
  });
  figure(name + ".read.64.anywhere.ns", 300'000, [&](long count) {
    u64 at = 1;
    for (long i = 0; i < count; ++i) {
      at = at * 6364136223846793005 + 1442695040888963407;
      check(file->read(bytes, (at >> 33) % (size - 64), Wait::never).index() == 0, "can't read");
    }
  });
  figure(name + ".write.64.anywhere.ns", 300'000, [&](long count) {
    u64 at = 1;
    for (long i = 0; i < count; ++i) {
      at = at * 6364136223846793005 + 1442695040888963407;
      check(file->write(bytes, (at >> 33) % (size - 64), {}, Wait::never).index() == 0,
            "can't write");
    }
  });
  figure(name + ".read.65536.ns", 10'000, [&](long count) {
    for (long i = 0; i < count; ++i) {
      const std::span to(all.data(), 1 << 16);
      check(file->read(to, u64(i % 16) << 16, Wait::never).index() == 0, "can't read");
    }
  });
  figure(name + ".stat.ns", 100'000, [&](long count) {
    for (long i = 0; i < count; ++i) {
      check(root.stat("file", true, Wait::allowed).index() == 0, "can't stat");
    }
  });
  figure(name + ".small.ns", 20'000, [&](long count) {
    for (long i = 0; i < count; ++i) {
      static_cast<void>(file_of(root, "new")->write(bytes, 0, {}, Wait::allowed));
      check(root.remove_file("new", Wait::allowed) == cap::Errno::success, "can't remove");
    }
  });
}

}  // namespace

int main() {
  std::string folder = "/tmp/vfs-bench-XXXXXX";
  check(mkdtemp(folder.data()) != nullptr, "can't make a folder");
  const auto host = vfs::open_host_directory(folder);
  check(host.ok(), "can't open the folder");
  measure("memory", *vfs::make_memory({}));
  measure("overlay", *vfs::make_overlay(*host, vfs::make_memory({})));
  measure("host", **host);
  static_cast<void>((*host)->remove_file("file", Wait::allowed));
  std::remove(folder.c_str());
}
