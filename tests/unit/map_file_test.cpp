// Files mapped into memories: sealed copies, shared and written to apart.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "stdlib/vfs/host_file.hpp"
#include "stdlib/vfs/memory.hpp"
#include "tests/support/guest.hpp"
#include "tests/support/snapshots.hpp"
#include "tests/unit/machines.hpp"
#include "vm/base/sanitizers.hpp"
#include "vm/base/zero.hpp"

using namespace atollvm;
using namespace atollvm::test;
using cap::Errno;
using runtime::map_granule;
using Strategy = runtime::MemoryStrategy;

namespace {

class Fixed final : public runtime::SharedBytes {
 public:
  explicit Fixed(u64 pages) : size_(pages * map_granule), fd_(memfd_create("test", MFD_CLOEXEC)) {
    for (u64 i = 0; i < pages; ++i) {
      const std::string text(map_granule, static_cast<char>('a' + i % 26));
      REQUIRE(pwrite(fd_, text.data(), text.size(), static_cast<off_t>(i * map_granule)) ==
              static_cast<ssize_t>(map_granule));
    }
  }
  ~Fixed() override { close(fd_); }
  [[nodiscard]] int fd() const override { return fd_; }
  [[nodiscard]] u64 size() const override { return size_; }

 private:
  u64 size_;
  int fd_;
};

std::unique_ptr<runtime::Memory> memory_of(u64 pages, Strategy strategy) {
  return runtime::Memory::create({{pages, {}}, 16}, u64{1} << 32, strategy);
}

// A file of the host's with so many bytes, whose values go on from `first`.
struct HostFile {
  std::string path = "/tmp/atoll-map-XXXXXX";
  int fd = mkostemp(path.data(), O_CLOEXEC);

  HostFile() { REQUIRE(fd >= 0); }
  explicit HostFile(usize size, u8 first = 0) : HostFile() { fill(size, first); }
  ~HostFile() {
    close(fd);
    unlink(path.c_str());
  }
  static u8 value(usize at, u8 first) { return static_cast<u8>(first + at + (at >> 8)); }
  void fill(usize size, u8 first) const {
    std::string text(size, 0);
    for (usize i = 0; i < size; ++i) text[i] = static_cast<char>(value(i, first));
    REQUIRE(pwrite(fd, text.data(), size, 0) == static_cast<ssize_t>(size));
  }
  [[nodiscard]] std::shared_ptr<vfs::File> open() const {
    return vfs::make_host_file(vfs::Descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC)),
                               {true, false}, false);
  }
};

// With a memory that can be mapped into, or one that is too small.
struct MapGuest : Guest {
  explicit MapGuest(u64 bytes, u64 limit = u64{1} << 32, Strategy strategy = Strategy::checked) {
    ModuleBuilder module;
    module.memory(bytes, bytes, 0);
    runtime::Options options;
    options.limits.memory_bytes = limit;
    options.memory = strategy;
    use(process_of(module, options));
  }
  i64 map(i64 h, i64 p, i64 n, i64 at) { return (*this)("map_file", {h, p, n, at}); }
};

}  // namespace

TEST_CASE("memory: mapped bytes are read, written to apart, and stay when it grows") {
  for (const auto strategy : {Strategy::checked, Strategy::guarded}) {
    const auto shared = std::make_shared<Fixed>(4);
    auto one = memory_of(40, strategy);
    const auto other = memory_of(40, strategy);
    REQUIRE(one->can_map());
    one->base()[0] = 1;
    one->base()[map_granule * 7] = 2;
    REQUIRE(one->map(map_granule * 2, map_granule * 4, shared, 0));
    REQUIRE(other->map(0, map_granule * 2, shared, map_granule));
    CHECK(shared.use_count() == 3);
    CHECK(one->held_bytes() == shared->size());
    CHECK(one->base()[map_granule * 2 - 1] == 0);
    CHECK(one->base()[map_granule * 2] == 'a');
    CHECK(one->base()[map_granule * 6 - 1] == 'd');
    CHECK(one->base()[map_granule * 6] == 0);
    CHECK(other->base()[0] == 'b');
    one->base()[map_granule * 3 + 5] = 'X';
    CHECK(other->base()[5] == 'b');
    // A piece in the middle of another one.
    REQUIRE(one->map(map_granule * 4, map_granule, shared, 0));
    for (int i = 0; i < 3; ++i) {
      const u64 grown = one->pages();
      REQUIRE(one->grow(grown) == static_cast<i64>(grown));
      CHECK(one->base()[0] == 1);
      CHECK(one->base()[map_granule * 2] == 'a');
      CHECK(one->base()[map_granule * 3 + 4] == 'b');
      CHECK(one->base()[map_granule * 3 + 5] == 'X');
      CHECK(one->base()[map_granule * 4] == 'a');
      CHECK(one->base()[map_granule * 5] == 'd');
      CHECK(one->base()[map_granule * 7] == 2);
      CHECK(one->base()[one->size() - 1] == 0);
    }
    while (!one->release(map_granule * 3)) {
    }
    CHECK(other->base()[map_granule] == 'c');
    // Mapped over, it is not held any more.
    const auto last = std::make_shared<Fixed>(2);
    REQUIRE(other->map(0, map_granule * 2, last, 0));
    one.reset();
    CHECK(shared.use_count() == 1);
    CHECK(other->held_bytes() == last->size());
  }
}

TEST_CASE("memory: there are not too many mapped pieces") {
  const auto shared = std::make_shared<Fixed>(1);
  const auto memory = memory_of(400, Strategy::checked);
  for (u64 i = 0; i < runtime::Mappings::most; ++i) {
    REQUIRE(memory->map(i * 2 * map_granule, map_granule, shared, 0));
  }
  CHECK_FALSE(memory->map(300 * map_granule, map_granule, shared, 0));
  CHECK(memory->base()[300 * map_granule] == 0);
  REQUIRE(memory->map(0, map_granule, shared, 0));  // in place of another one
  CHECK_FALSE(memory_of(2, Strategy::checked)->can_map());
  // What goes gives room.
  for (u32 i = 0; i < 2 * runtime::Mappings::most_of_all / runtime::Mappings::most; ++i) {
    const auto each = memory_of(200, Strategy::checked);
    for (u64 piece = 0; piece < runtime::Mappings::most; ++piece) {
      REQUIRE(each->map(piece * 2 * map_granule, map_granule, shared, 0));
    }
    if (i == 20 && ATOLL_SANITIZED) break;
  }
}

TEST_CASE("map_file: in memories that are mapped, and in small ones") {
  const HostFile file(200'000);
  for (const u64 size : {u64{4} << 20, u64{256} << 10}) {
    for (const auto strategy : {Strategy::checked, Strategy::guarded}) {
      MapGuest guest(size, u64{1} << 32, strategy);
      const i64 h = guest.grant(file.open(), cap::rights_all);
      const auto holds = [&](u32 p, u32 count, usize from) {
        for (u32 i = 0; i < count; ++i) {
          if (*guest.memory(p + i) != HostFile::value(from + i, 0)) return false;
        }
        return true;
      };
      memset(guest.memory(), 0xee, size);
      CHECK(guest.map(h, 0, 65536, 65536) == 65536);
      CHECK(holds(0, 65536, 65536));
      CHECK(*guest.memory(65536) == 0xee);
      // The rest of the last 64 KiB is zero, and what is behind stays.
      CHECK(guest.map(h, 65536, 70'000, 0) == 70'000);
      CHECK(holds(65536, 70'000, 0));
      CHECK(base::is_zero(guest.memory(65536 + 70'000), 2 * 65536 - 70'000));
      CHECK(*guest.memory(3 * 65536) == 0xee);
      CHECK(guest.map(h, 0, 2 * 65536, 3 * 65536) == 200'000 - 3 * 65536);
      CHECK(holds(0, 200'000 - 3 * 65536, 3 * 65536));
      CHECK(*guest.memory(65536) == HostFile::value(0, 0));
      // Host functions write there as anywhere.
      CHECK(guest("pread", {h, 0, 100, 50}) == 100);
      CHECK(holds(0, 100, 50));
      CHECK(guest.map(h, 0, 65536, 4 * 65536) == 0);
      CHECK(guest.map(h, 0, 0, 0) == 0);

      CHECK(guest.map(h, 100, 100, 0) == -Errno::inval);
      CHECK(guest.map(h, 0, 100, 4096) == -Errno::inval);
      CHECK(guest.map(h, 0, 100, -65536) == -Errno::inval);
      CHECK(guest.map(h, static_cast<i64>(size), 1, 0) == -Errno::fault);
      CHECK(guest.map(h, static_cast<i64>(size) - 65536, 65537, 0) == -Errno::fault);
      CHECK(guest.map(h, 65536, -1, 0) == -Errno::fault);
      CHECK(guest.map(h, 0, 65536, INT64_MAX - 65535) == 0);
      const i64 write_only = guest.grant(file.open(), cap::right_write);
      CHECK(guest.map(write_only, 0, 1, 0) == -Errno::notcapable);
    }
  }
}

TEST_CASE("map_file: a file that is cut off or changes does not change what is mapped") {
  const HostFile file(8 * 65536);
  MapGuest guest(4 << 20);
  const i64 h = guest.grant(file.open(), cap::rights_all);
  REQUIRE(guest.map(h, 0, 8 * 65536, 0) == 8 * 65536);
  REQUIRE(ftruncate(file.fd, 10) == 0);
  for (u32 i = 0; i < 8 * 65536; i += 1000) CHECK(*guest.memory(i) == HostFile::value(i, 0));
  CHECK(guest.map(h, 1 << 20, 65536, 0) == 10);
  file.fill(65536, 100);
  CHECK(*guest.memory(5) == HostFile::value(5, 0));
  CHECK(guest.map(h, 1 << 20, 65536, 0) == 65536);
  CHECK(*guest.memory((1 << 20) + 5) == HostFile::value(5, 100));
}

TEST_CASE("map_file: what it does not take, and how much") {
  MapGuest guest(4 << 20, 5 << 20);
  const HostFile file;
  const i64 h = guest.grant(file.open(), cap::rights_all);
  CHECK(guest.map(h, 0, 65536, 0) == 0);  // an empty file
  REQUIRE(ftruncate(file.fd, (i64{1} << 30) + 1) == 0);
  CHECK(guest.map(h, 0, 65536, 0) == -Errno::fbig);
  // In no machine, the limit of its memories counts.
  REQUIRE(ftruncate(file.fd, (1 << 20) + 1) == 0);
  CHECK(guest.map(h, 0, 65536, 0) == -Errno::nomem);
  REQUIRE(ftruncate(file.fd, 1 << 20) == 0);
  CHECK(guest.map(h, 0, 65536, 0) == 65536);
  CHECK(guest.map(h, 65536, 65536, 65536) >= -Errno::nomem);
  const i64 device =
      guest.grant(vfs::make_host_file(vfs::Descriptor(open("/dev/zero", O_RDONLY | O_CLOEXEC)),
                                      {true, false}, false),
                  cap::rights_all);
  CHECK(guest.map(device, 0, 65536, 0) == -Errno::inval);
  // Of other file systems as well.
  const auto memory = vfs::make_memory({});
  auto opened = memory->open("x", vfs::open_create, {true, true}, vfs::Wait::allowed);
  auto made = std::static_pointer_cast<vfs::File>(std::get<0>(opened));
  REQUIRE(std::get<u32>(made->write(std::vector<u8>(100, 7), 0, {}, vfs::Wait::allowed)) == 100);
  MapGuest other(4 << 20);
  const i64 own = other.grant(made, cap::rights_all);
  CHECK(other.map(own, 65536, 65536, 0) == 100);
  CHECK(*other.memory(65536 + 99) == 7);
  CHECK(*other.memory(65536 + 100) == 0);
  // A quota of I/O: what is read.
  runtime::Options options;
  options.io.bytes = 150;
  ModuleBuilder module;
  module.memory(4 << 20, 4 << 20, 0);
  other.use(process_of(module, options));
  const i64 last = other.grant(made, cap::rights_all);
  CHECK(other.map(last, 0, 65536, 0) == 100);
  CHECK(other.process->io_used().bytes == 100);
  CHECK(other.map(last, 0, 65536, 0) == -Errno::dquot);
  CHECK(other.process->io_used().bytes == 100);
}

namespace {

// Kilobytes of the host's memory that this program's pages are, each for its part.
i64 proportional_kib() {
  std::ifstream file("/proc/self/smaps_rollup");
  std::string line;
  while (std::getline(file, line)) {
    if (line.starts_with("Pss:")) return std::stoll(line.substr(4));
  }
  return 0;
}

// Until what a file says now is not what it could say in the next moment.
void settle() { std::this_thread::sleep_for(std::chrono::milliseconds(1100)); }

constexpr const char* mapper = R"(
memory 4259840
data path = "/d/file"
data child_name = "child"
data ready = "."
const AT = 65536
// Maps the file and gives the sum of a byte of each of its pages.
func mapped() -> i64 {
    var h: i32, n: i32, at: i32, sum: i64
    call open(ROOT, path, len(path), 0, RIGHT_READ) -> h
    call is(90, (i32.ge_s h, 0), 1)
    call map_file(h, AT, 4194304, 0) -> n
    call is(91, n, 4194304)
    call is(92, (call close(h)), 0)
    loop {
        i64.add sum, sum, (i64.load8_u [at + AT])
        i32.add at, at, 4096
        if i32.ge_u at, n { break }
    }
    ret sum
}
)";

}  // namespace

TEST_CASE("map_file: the processes of a machine share one copy, which it is charged for once") {
  const std::string directory = "/tmp/atoll-shared-map";
  std::filesystem::create_directory(directory);
  const auto fill = [&](char byte) {
    std::ofstream(directory + "/file") << std::string(4 << 20, byte);
  };
  fill(1);
  settle();
  const Pipe pipe;
  constexpr u64 copy = 4 << 20;
  MachineGuest guest(std::string(mapper) + R"(
reserve how sizeof(SpawnOptions) align 8
export func child() {
    var n: i32
    call is64(1, (call mapped()), 1024)
    // To write to it changes nothing for others.
    i32.store8 [AT + 4096 * 5], 9
    call write(STDOUT, ready, 1) -> n
    call receive(TAG_ANY, AT, 0, -1, 0) -> n
    ret
}
export func main() -> i32 {
    var pid: i64, i: i32, n: i32
    i32.store [how + SpawnOptions.flags], SPAWN_STDIO
    loop {
        call start(child_name, len(child_name), 0, 0, how) -> pid
        i32.add i, i, 1
        if i32.ge_s i, 50 { break }
    }
    call is64(2, (call mapped()), 1024)
    call receive(TAG_ANY, AT, 0, -1, 0) -> n
    ret 0
}
)",
                     limited({}));
  guest.directories = {{directory, "/d", false}};
  guest.output = pipe.ends[1];
  const i64 before = proportional_kib();
  REQUIRE(guest.start().ok());
  for (usize count = 0; count < 50; count += pipe.text().size()) {
    if (guest.how().code != 0) FAIL("it ended: ", guest.how().code);
    MachineGuest::nap();
  }
  const u64 used = guest.machine().account().memory.used();
  CHECK(used >= 50 * (copy + 65536));
  CHECK(used < 51 * (copy + 65536 + 65536) + 6 * copy);
  const i64 resident = proportional_kib() - before;
  MESSAGE("50 processes that map 4 MiB: ", resident, " KiB");
#if !ATOLL_SANITIZED
  if (std::getenv("ATOLL_EMULATED") == nullptr) CHECK(resident < 50 * 4096 / 4);
#endif
  guest.end_all();  // nothing is charged any more
  std::filesystem::remove_all(directory);
}

TEST_CASE("map_file: another version of a file is another copy; limits are errors") {
  const std::string directory = "/tmp/atoll-changed-map";
  std::filesystem::create_directory(directory);
  std::ofstream(directory + "/file") << std::string(4 << 20, 1);
  settle();
  const std::string body = std::string(mapper) + R"(
data other = "/d/other"
export func main() -> i32 {
    var first: i64, second: i64, h: i32, n: i32
    call mapped() -> first
    call is64(1, first, 1024)
    call used_memory() -> first
    // Of the same version there is only one.
    call is64(2, (call mapped()), 1024)
    call is64(3, (call used_memory()), first)
    call open(ROOT, path, len(path), 0, RIGHT_WRITE) -> h
    call is(4, (call pwrite(h, AT, 4096, 0)), 4096)
    i32.store8 [AT], 77
    call is(5, (call pwrite(h, AT, 1, 4096)), 1)
    call is64(6, (call mapped()), 1024 + 76)
    // The copy of before is gone with the last one who had it.
    call used_memory() -> second
    call is64(7, second, first)
    ret 0
}
)";
  MachineGuest guest(body, limited({}));
  guest.directories = {{directory, "/d", true}};
  guest.check();
  std::ofstream(directory + "/file") << std::string(4 << 20, 1);
  MachineGuest poor(std::string(mapper) + R"(
export func main() -> i32 {
    var h: i32
    call open(ROOT, path, len(path), 0, RIGHT_READ) -> h
    call is(1, (call map_file(h, AT, 65536, 0)), -E_NOMEM)
    ret 0
}
)",
                    limited({.memory = 6 << 20}));
  poor.directories = {{directory, "/d", false}};
  poor.check();
  std::filesystem::remove_all(directory);
}

TEST_CASE("map_file: a snapshot holds what is mapped as any bytes") {
  const HostFile file(300'000, 3);
  Guests guests;
  sched::Spawn spawn;
  spawn.handles.push_back({file.open(), cap::rights_all});
  const Engine engine(test::engine_options());
  const auto program = Access::impl(assembled(engine, R"(
memory 4194304
const AT = 65536
export func main() -> i32 {
    call is(1, (call map_file(0, AT, 300000, 0)), 300000)
    i32.store8 [AT + 70000], 5
    call is(2, (call clock_sleep(500_000_000)), 0)
    call is(3, (i32.load8_u [AT + 299999]), (i32.and (i32.add 300002, 299999 / 256), 255))
    call is(4, (i32.load8_u [AT + 70000]), 5)
    call is(5, (i32.load8_u [AT + 300000]), 0)
    call is(6, (memory.grow 4194304), 4194304)
    call is(7, (i32.load8_u [AT + 70000]), 5)
    call is(8, (i32.load8_u [AT + 299999]), (i32.and (i32.add 300002, 299999 / 256), 255))
    ret 0
}
)"))
                           ->program;
  const sched::Pid main = guests.start(program, spawn);
  REQUIRE(main != 0);
  const auto has_mapped = [&] {
    const auto held = guests.scheduler().find(guests.machine(), main);
    return !held || (held->phase_now() == sched::Task::Phase::waiting &&
                     held->deadline != sched::Task::never);
  };
  while (!has_mapped()) nap_shortly();
  guests.pause();
  std::string image;
  REQUIRE(guests.write(image).ok());
  Guests moved;
  REQUIRE(moved.read(image).ok());
  moved.resume();
  CHECK(moved.wait_for_main().code == 0);
  guests.resume();
  CHECK(guests.wait_for_main().code == 0);
}
