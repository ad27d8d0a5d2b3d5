// Nothing leaves a granted directory. Each case runs with both ways of resolving paths.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "stdlib/vfs/copy_tree.hpp"
#include "stdlib/vfs/host_directory.hpp"
#include "stdlib/vfs/memory.hpp"
#include "stdlib/vfs/overlay.hpp"
#include "stdlib/vfs/volume.hpp"
#include "tests/support/files.hpp"

using namespace atollvm;
using namespace atollvm::test;
using cap::Errno;
using vfs::Wait;

namespace {

constexpr vfs::Access reading{true, false};
constexpr vfs::Access writing{false, true};

// root/inside is granted; root/outside must stay as it is.
struct Tree {
  ScratchDirectory root;
  std::string inside = root / "inside";
  std::string outside = root / "outside";

  Tree() {
    namespace fs = std::filesystem;
    fs::create_directories(inside + "/d/e");
    fs::create_directories(outside + "/empty");
    put_text(inside + "/a", "inside");
    put_text(inside + "/d/e/f", "inside");
    put_text(outside + "/a", "outside");
    const auto link = [this](const char* to, const char* at) {
      REQUIRE(symlink(to, (inside + "/" + at).c_str()) == 0);
    };
    link("d", "to_d");
    link("d/e/../../a", "round");
    link("../outside", "out");
    link("../outside/a", "out_file");
    link("../outside/new", "out_new");
    link("/etc/passwd", "absolute");
    link("/", "absolute_root");
    link("..", "up");
    link("../..", "d/up2");
    link("loop2", "loop1");
    link("loop1", "loop2");
    link("self/x", "self");
    link("to_d/../..", "up_by_link");
    link("../inside/a", "out_and_in");
    link("created", "dangling");
    link("a", "chain0");
    for (int i = 1; i <= 41; ++i) {
      link(("chain" + std::to_string(i - 1)).c_str(), ("chain" + std::to_string(i)).c_str());
    }
  }

  void check_outside() const {
    CHECK(text_of(outside + "/a") == "outside");
    CHECK(std::filesystem::is_empty(outside + "/empty"));
    usize count = 0;
    for ([[maybe_unused]] const auto& each : std::filesystem::directory_iterator(outside)) ++count;
    CHECK(count == 2);
    struct stat status{};
    REQUIRE(stat((outside + "/a").c_str(), &status) == 0);
    CHECK(status.st_nlink == 1);
  }
};

// With each way of resolving paths, and as the upper layer of an overlay of nothing, which resolves
// them by itself.
template <class Test>
void for_each_resolver(const Test& test) {
  const auto run = [&test](const Tree& tree, const std::shared_ptr<vfs::Directory>& directory) {
    test(tree, *directory);
    tree.check_outside();
  };
  for (const vfs::Resolver resolver : resolvers()) {
    CAPTURE(resolver == vfs::Resolver::kernel);
    const Tree tree;
    run(tree, granted(tree.inside, resolver));
  }
  CAPTURE("overlaid");
  const Tree tree;
  run(tree, vfs::make_overlay(vfs::make_memory({}), granted(tree.inside)));
}

std::shared_ptr<vfs::Directory> open_volume_at(const std::string& path) {
  auto opened = vfs::open_volume(path);
  REQUIRE_MESSAGE(opened.ok(), (opened.ok() ? "" : opened.error().text()));
  return *opened;
}

// A volume with what is inside. No link in one is absolute: those lead up.
std::shared_ptr<vfs::Directory> volume_of(const Tree& tree) {
  const std::string path = tree.root / "volume";
  REQUIRE(vfs::create_volume(path, u64{16} << 20).ok());
  std::filesystem::remove(tree.inside + "/absolute");
  std::filesystem::remove(tree.inside + "/absolute_root");
  REQUIRE(symlink("../../etc/passwd", (tree.inside + "/absolute").c_str()) == 0);
  REQUIRE(symlink("../..", (tree.inside + "/absolute_root").c_str()) == 0);
  auto volume = open_volume_at(path);
  const base::Status copied = vfs::copy_tree(*granted(tree.inside), ".", *volume, ".");
  REQUIRE_MESSAGE(copied.ok(), (copied.ok() ? "" : copied.error().text()));
  return volume;
}

// The same, and with all of it in a volume: for tests that do not look at the host's files.
template <class Test>
void for_each_kind(const Test& test) {
  for_each_resolver(test);
  CAPTURE("volume");
  const Tree tree;
  const auto volume = volume_of(tree);
  test(tree, *volume);
  tree.check_outside();
  CAPTURE("overlaid volume");
  const Tree other;
  test(other, *vfs::make_overlay(vfs::make_memory({}), volume_of(other)));
  other.check_outside();
}

std::string read_text(cap::Object& object) {
  REQUIRE(object.kind() == cap::Kind::file);
  u8 bytes[100];
  const auto size = static_cast<vfs::File&>(object).read(bytes, 0, Wait::allowed);
  REQUIRE(error_of(size) == Errno::success);
  return {bytes, bytes + std::get<u32>(size)};
}

using Opened = vfs::Outcome<std::shared_ptr<cap::Object>>;

struct Escape {
  const char* path;
  Errno error;
};
const Escape escapes[] = {
    {"..", Errno::notcapable},
    {"../", Errno::notcapable},
    {"../outside/a", Errno::notcapable},
    {"../inside/a", Errno::notcapable},
    {"d/../../outside/a", Errno::notcapable},
    {"d/e/../../../outside/a", Errno::notcapable},
    {"./.././outside/a", Errno::notcapable},
    {"/", Errno::notcapable},
    {"//", Errno::notcapable},
    {"/etc/passwd", Errno::notcapable},
    {"out", Errno::notcapable},
    {"out/", Errno::notcapable},
    {"out/.", Errno::notcapable},
    {"out/a", Errno::notcapable},
    {"out/../inside/a", Errno::notcapable},
    {"out_file", Errno::notcapable},
    {"out_file/", Errno::notcapable},
    {"out_new", Errno::notcapable},
    {"out_and_in", Errno::notcapable},
    {"absolute", Errno::notcapable},
    {"absolute/", Errno::notcapable},
    {"absolute_root/etc/passwd", Errno::notcapable},
    {"up", Errno::notcapable},
    {"up/outside/a", Errno::notcapable},
    {"up_by_link", Errno::notcapable},
    {"to_d/../../outside/a", Errno::notcapable},
    {"to_d/up2/outside/a", Errno::notcapable},
    {"d/up2", Errno::notcapable},
    {"loop1", Errno::loop},
    {"loop1/", Errno::loop},
    {"loop1/x", Errno::loop},
    {"self", Errno::loop},
    {"chain41", Errno::loop},
    {"", Errno::noent},
    {"a/", Errno::notdir},
    {"a/.", Errno::notdir},
    {"a/..", Errno::notdir},
    {"none/../a", Errno::noent},
};

}  // namespace

TEST_CASE("vfs: opening, reading, writing and looking never lead outside") {
  for_each_kind([](const Tree&, vfs::Directory& directory) {
    for (const Escape& escape : escapes) {
      CAPTURE(escape.path);
      CHECK(error_of(directory.open(escape.path, 0, reading, Wait::allowed)) == escape.error);
      CHECK(error_of(directory.open(escape.path, vfs::open_directory, {}, Wait::allowed)) ==
            escape.error);
      CHECK(error_of(directory.stat(escape.path, true, Wait::allowed)) == escape.error);
      CHECK(error_of(directory.open(escape.path, 0, writing, Wait::allowed)) != Errno::success);
      for (const u32 flags :
           {vfs::open_create, vfs::open_truncate, vfs::open_create | vfs::open_truncate,
            vfs::open_create | vfs::open_exclusive, vfs::open_create | vfs::open_append}) {
        CHECK(error_of(directory.open(escape.path, flags, writing, Wait::allowed)) !=
              Errno::success);
      }
      CHECK(directory.set_times(escape.path, true, {0, 0}, Wait::allowed) == escape.error);
    }
  });
}

TEST_CASE("vfs: an absolute link that somebody put into a volume is damage") {
  const ScratchDirectory scratch;
  const std::string path = scratch / "volume";
  REQUIRE(vfs::create_volume(path, u64{1} << 20).ok());
  const std::string stand_in = "\x01" + std::string("etc/passwd");
  REQUIRE(open_volume_at(path)->make_link(stand_in, "link", Wait::allowed) == Errno::success);
  std::string bytes = text_of(path);
  const usize at = bytes.find(stand_in);
  REQUIRE(at != std::string::npos);
  bytes[at] = '/';
  put_text(path, bytes);
  const auto volume = open_volume_at(path);
  CHECK(error_of(volume->read_link("link", Wait::allowed)) == Errno::io);
  CHECK(error_of(volume->open("link", 0, reading, Wait::allowed)) == Errno::io);
  CHECK(error_of(volume->stat("link", false, Wait::allowed)) == Errno::io);
}

TEST_CASE("vfs: making, removing and renaming never lead outside") {
  for_each_kind([](const Tree&, vfs::Directory& directory) {
    // "" and "/x" as they are; others with a name after them that exists outside.
    for (const char* path :
         {"..", "../x", "out/x", "out/a", "out/empty", "up/outside/x", "up/outside/a",
          "d/../../outside/x", "d/../../outside/a", "to_d/up2/outside/a", "up_by_link/outside/a",
          "/etc/x", "absolute_root/x", "out/../inside/a", "../inside/a"}) {
      CAPTURE(path);
      CHECK(directory.make_directory(path, Wait::allowed) == Errno::notcapable);
      CHECK(directory.remove_file(path, Wait::allowed) == Errno::notcapable);
      CHECK(directory.remove_directory(path, Wait::allowed) == Errno::notcapable);
      CHECK(directory.rename(path, directory, "got", Wait::allowed) == Errno::notcapable);
      CHECK(directory.rename("a", directory, path, Wait::allowed) == Errno::notcapable);
    }
    Opened still = directory.open("a", 0, reading, Wait::allowed);
    REQUIRE(error_of(still) == Errno::success);
    CHECK(read_text(*std::get<0>(still)) == "inside");
    // A link as the last name is the thing itself, with or without a slash.
    CHECK(directory.make_directory("out_new", Wait::allowed) == Errno::exist);
    CHECK(directory.make_directory("out_new/", Wait::allowed) == Errno::exist);
    CHECK(directory.remove_directory("out", Wait::allowed) == Errno::notdir);
    CHECK(directory.remove_directory("out/", Wait::allowed) == Errno::notdir);
    CHECK(directory.remove_file("out/", Wait::allowed) == Errno::notdir);
    CHECK(directory.rename("out/", directory, "moved", Wait::allowed) == Errno::notdir);
    CHECK(directory.rename("a", directory, "out", Wait::allowed) == Errno::success);
    still = directory.open("out", 0, reading, Wait::allowed);
    REQUIRE(error_of(still) == Errno::success);
    CHECK(read_text(*std::get<0>(still)) == "inside");
    CHECK(directory.remove_file("out_file", Wait::allowed) == Errno::success);
  });
}

TEST_CASE("vfs: links inside work, also at the end and back and forth") {
  for_each_kind([](const Tree&, vfs::Directory& directory) {
    for (const char* path : {"a", "./a", "d/../a", "round", "to_d/e/f", "to_d/../a", "chain39",
                             "d//e/./f", "to_d/e/../../a"}) {
      CAPTURE(path);
      Opened opened = directory.open(path, 0, reading, Wait::allowed);
      REQUIRE(error_of(opened) == Errno::success);
      CHECK(read_text(*std::get<0>(opened)) == "inside");
    }
    for (const char* path : {"d", "d/", "to_d", "to_d/", ".", "d/..", "to_d/.", "to_d/e/.."}) {
      CAPTURE(path);
      Opened opened = directory.open(path, vfs::open_directory, {}, Wait::allowed);
      REQUIRE(error_of(opened) == Errno::success);
      CHECK(std::get<0>(opened)->kind() == cap::Kind::directory);
    }
    CHECK(error_of(directory.open("to_d", vfs::open_nofollow, {}, Wait::allowed)) == Errno::loop);
    CHECK(error_of(directory.open("chain0", vfs::open_nofollow, reading, Wait::allowed)) ==
          Errno::loop);
    const auto link = directory.stat("out", false, Wait::allowed);
    REQUIRE(error_of(link) == Errno::success);
    CHECK(std::get<vfs::Stat>(link).type == vfs::FileType::link);
    // Through a link to what is not there a file is made where the link points, inside.
    CHECK(error_of(directory.open("dangling", vfs::open_create | vfs::open_exclusive, writing,
                                  Wait::allowed)) == Errno::exist);
    CHECK(error_of(directory.open("dangling", vfs::open_create, writing, Wait::allowed)) ==
          Errno::success);
    CHECK(error_of(directory.stat("created", false, Wait::allowed)) == Errno::success);
  });
}

TEST_CASE("vfs: directories opened from a grant are as closed, each for itself") {
  for_each_kind([](const Tree&, vfs::Directory& directory) {
    Opened opened = directory.open("to_d", vfs::open_directory, {}, Wait::allowed);
    REQUIRE(error_of(opened) == Errno::success);
    auto& below = static_cast<vfs::Directory&>(*std::get<0>(opened));
    CHECK(error_of(below.open("e/f", 0, reading, Wait::allowed)) == Errno::success);
    for (const char* path : {"..", "../a", "e/../../a", "up2", "up2/inside/a", "/a"}) {
      CAPTURE(path);
      CHECK(error_of(below.open(path, 0, reading, Wait::allowed)) == Errno::notcapable);
      if (path == std::string_view("up2")) continue;  // the link itself would be replaced
      CHECK(directory.rename("a", below, path, Wait::allowed) == Errno::notcapable);
    }
    CHECK(directory.rename("a", below, "e/a", Wait::allowed) == Errno::success);
    CHECK(below.rename("e/a", directory, "a", Wait::allowed) == Errno::success);
  });
}

TEST_CASE("vfs: NUL bytes, long names, long paths and wrong flags are refused") {
  using namespace std::string_view_literals;
  for_each_kind([](const Tree&, vfs::Directory& directory) {
    const std::string long_name(256, 'x');
    std::string long_path = "d";
    while (long_path.size() <= vfs::max_path) long_path += "/../d";
    const std::string very_long(100'000, 'x');
    const std::pair<std::string_view, Errno> paths[] = {
        {"a\0"sv, Errno::inval},         {"\0a"sv, Errno::inval},
        {"d\0/../a"sv, Errno::inval},    {long_name, Errno::nametoolong},
        {long_path, Errno::nametoolong}, {very_long, Errno::nametoolong},
    };
    for (const auto& [path, error] : paths) {
      CHECK(error_of(directory.open(path, 0, reading, Wait::allowed)) == error);
      CHECK(error_of(directory.stat(path, false, Wait::allowed)) == error);
      CHECK(directory.make_directory(path, Wait::allowed) == error);
      CHECK(directory.remove_file(path, Wait::allowed) == error);
      CHECK(directory.rename(path, directory, "x", Wait::allowed) == error);
      CHECK(directory.rename("a", directory, path, Wait::allowed) == error);
    }
    for (const u32 flags :
         {vfs::open_exclusive, vfs::open_create | vfs::open_directory, 64u, 0x80000000u, ~0u}) {
      CHECK(error_of(directory.open("a", flags, reading, Wait::allowed)) == Errno::inval);
    }
    CHECK(error_of(directory.open("new/", vfs::open_create, writing, Wait::allowed)) ==
          Errno::isdir);
    CHECK(error_of(directory.open("d", 0, writing, Wait::allowed)) == Errno::isdir);
  });
}

TEST_CASE("vfs: a path may be as long as allowed") {
  for_each_kind([](const Tree&, vfs::Directory& directory) {
    std::string path;
    while (path.size() + 6 <= vfs::max_path) path += "d/../";
    path += "a";
    Opened opened = directory.open(path, 0, reading, Wait::allowed);
    CHECK(error_of(opened) == Errno::success);
  });
}

TEST_CASE("vfs: pipes, devices and sockets are refused without waiting") {
  for_each_resolver([](const Tree& tree, vfs::Directory& directory) {
    REQUIRE(mkfifo((tree.inside + "/fifo").c_str(), 0600) == 0);
    for (const vfs::Access access : {reading, writing, vfs::Access{true, true}, vfs::Access{}}) {
      CHECK(error_of(directory.open("fifo", 0, access, Wait::allowed)) == Errno::notsup);
    }
    CHECK(error_of(directory.open("fifo", vfs::open_truncate, writing, Wait::allowed)) ==
          Errno::notsup);
  });
  for (const vfs::Resolver resolver : resolvers()) {
    const auto devices = granted("/dev", resolver);
    for (const char* path : {"null", "zero", "tty"}) {
      CAPTURE(path);
      CHECK(error_of(devices->open(path, 0, reading, Wait::allowed)) == Errno::notsup);
    }
  }
}

TEST_CASE("vfs: magic links of /proc are refused") {
  for (const vfs::Resolver resolver : resolvers()) {
    const auto process = granted("/proc/self", resolver);
    for (const char* path : {"root", "root/etc/passwd", "cwd", "cwd/.", "exe", "fd/0"}) {
      CAPTURE(path);
      // The walk reads them as ordinary links, to an absolute path or to a name such as "pipe:[1]".
      const Errno error = error_of(process->open(path, 0, reading, Wait::allowed));
      const bool refused =
          error == Errno::loop || error == Errno::notcapable || error == Errno::noent;
      CHECK(refused);
    }
  }
}

TEST_CASE("vfs: hard links are files of the directory that they are in") {
  for_each_resolver([](const Tree& tree, vfs::Directory& directory) {
    REQUIRE(link((tree.inside + "/a").c_str(), (tree.inside + "/hard").c_str()) == 0);
    Opened opened = directory.open("hard", 0, reading, Wait::allowed);
    REQUIRE(error_of(opened) == Errno::success);
    CHECK(read_text(*std::get<0>(opened)) == "inside");
    const auto status = directory.stat("hard", true, Wait::allowed);
    CHECK(std::get<vfs::Stat>(status).links == 2);
    CHECK(directory.remove_file("hard", Wait::allowed) == Errno::success);
    CHECK(text_of(tree.inside + "/a") == "inside");
  });
}

TEST_CASE("vfs: too deep a walk ends with an error, not with all descriptors") {
  Tree tree;
  const auto directory = granted(tree.inside, vfs::Resolver::walk);
  std::string path;
  for (usize i = 0; i < vfs::max_walk_depth + 10; ++i) {
    path += "n/";
    REQUIRE(mkdir((tree.inside + "/" + path).c_str(), 0700) == 0);
  }
  CHECK(error_of(directory->stat(path, true, Wait::allowed)) == Errno::nametoolong);
}

namespace {

// Calls `swap` on another thread again and again while `attempt` runs for a while.
template <class Swap, class Attempt>
void race(const Swap& swap, const Attempt& attempt) {
  std::atomic<bool> stop{false};
  std::thread swapper([&] {
    while (!stop.load(std::memory_order_relaxed)) swap();
  });
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(1);
  while (std::chrono::steady_clock::now() < end) attempt();
  stop.store(true);
  swapper.join();
}

}  // namespace

TEST_CASE("vfs: a directory that turns into a link and back leads nowhere else") {
  for_each_resolver([](const Tree& tree, vfs::Directory& directory) {
    put_text(tree.inside + "/d/a", "inside");
    REQUIRE(rename((tree.inside + "/out").c_str(), (tree.inside + "/d2").c_str()) == 0);
    const std::string one = tree.inside + "/d";
    const std::string two = tree.inside + "/d2";
    u64 good = 0;
    u64 refused = 0;
    bool escaped = false;
    race(
        [&] {
          // RENAME_EXCHANGE: the names swap in one step.
          syscall(SYS_renameat2, AT_FDCWD, one.c_str(), AT_FDCWD, two.c_str(), 2);
        },
        [&] {
          Opened opened = directory.open("d/a", 0, reading, Wait::allowed);
          if (error_of(opened) == Errno::success) {
            escaped |= read_text(*std::get<0>(opened)) != "inside";
            ++good;
          } else {
            ++refused;
          }
          directory.open("d/new", vfs::open_create, writing, Wait::allowed);
          directory.make_directory("d/made", Wait::allowed);
          directory.remove_directory("d/empty", Wait::allowed);
          directory.rename("d/made", directory, "d/made2", Wait::allowed);
          directory.remove_file("d/new", Wait::allowed);
          directory.remove_directory("d/made2", Wait::allowed);
        });
    CHECK(!escaped);
    CHECK(good > 0);
    CHECK(refused > 0);
  });
}

TEST_CASE("vfs: a directory moved away while a path goes up through it leads nowhere else") {
  for_each_resolver([](const Tree& tree, vfs::Directory& directory) {
    const std::string home = tree.inside + "/d/e";
    const std::string away = tree.root / "away";
    u64 good = 0;
    bool escaped = false;
    race(
        [&] {
          rename(home.c_str(), away.c_str());
          rename(away.c_str(), home.c_str());
        },
        [&] {
          // With the directory moved away, "e/.." is the root, and "e/../outside/a" there.
          for (const char* path : {"d/e/../outside/a", "d/e/../../a", "to_d/e/../../outside/a"}) {
            Opened opened = directory.open(path, 0, reading, Wait::allowed);
            if (error_of(opened) != Errno::success) continue;
            escaped |= read_text(*std::get<0>(opened)) != "inside";
            ++good;
          }
        });
    CHECK(!escaped);
    CHECK(good > 0);
    if (std::filesystem::exists(away)) rename(away.c_str(), home.c_str());
  });
}
