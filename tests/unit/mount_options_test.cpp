// What the options of mounts keep guests from: through Atoll's own calls and through WASI's, on
// every file system.
#include <algorithm>

#include "atoll/embed/start_up.hpp"
#include "stdlib/vfs/dev.hpp"
#include "stdlib/vfs/mount.hpp"
#include "tests/support/file_systems.hpp"
#include "tests/support/wasi_guest.hpp"

using namespace atollvm;
using namespace atollvm::test;
using cap::Rights;

namespace {

constexpr i64 path_at = 1024;
constexpr i64 to_at = 8192;
constexpr i64 data_at = 32768;

vfs::Mount mount_with(std::string_view options) {
  auto mount = vfs::parse_mount("memory::/m:" + std::string(options));
  REQUIRE_MESSAGE(mount.ok(), (mount.ok() ? "" : mount.error().text()));
  return *std::move(mount);
}

// A guest with one file system at "/m", mounted with these options.
struct MountedGuest : Guest {
  std::shared_ptr<vfs::NameSpace> names = std::make_shared<vfs::NameSpace>();
  i64 root = 0;

  MountedGuest(const std::shared_ptr<vfs::Directory>& directory, std::string_view options) {
    REQUIRE(names->mount("/m", directory, vfs::rights_of(mount_with(options))).ok());
    root = grant(names, cap::rights_all);
  }
  i64 at(std::string_view call, i64 dir, std::string_view path, std::vector<i64> more = {}) {
    put(path_at, path);
    std::vector<i64> arguments = {dir, path_at, static_cast<i64>(path.size())};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return (*this)(call, arguments);
  }
  i64 open(std::string_view path, u32 flags, Rights rights) {
    return at("open", root, path, {flags, static_cast<i64>(rights)});
  }
  i64 two(std::string_view call, std::string_view path, std::string_view to) {
    put(to_at, to);
    return at(call, root, path, {root, to_at, static_cast<i64>(to.size())});
  }
  i64 write(i64 file, std::string_view bytes) {
    put(data_at, bytes);
    return (*this)("write", {file, data_at, static_cast<i64>(bytes.size())});
  }
};

void two_files(const Root& root) {
  root.put("file", "old");
  root.put("other", "other");
  REQUIRE(root.mkdir("d") == Errno::success);
}

}  // namespace

TEST_CASE("mount options: append: files only grow, and no name goes") {
  on_each(two_files, [](const Root& root) {
    MountedGuest guest(root.object(), "append");
    const auto no = -Errno::notcapable;
    CHECK(guest.open("/m/file", 0, cap::right_write) == no);
    CHECK(guest.open("/m/file", 0, cap::right_truncate) == no);
    CHECK(guest.open("/m/file", vfs::open_truncate, cap::right_append) == no);
    CHECK(guest.open("/m/new", vfs::open_create | vfs::open_truncate, cap::right_append) == no);
    CHECK(guest.at("remove_at", guest.root, "/m/file") == no);
    CHECK(guest.at("rmdir_at", guest.root, "/m/d") == no);
    CHECK(guest.two("rename_at", "/m/file", "/m/new") == no);
    CHECK(guest.two("rename_at", "/m/other", "/m/file") == no);
    CHECK(guest.at("set_times_at", guest.root, "/m/file", {0, 0, 0}) == no);
    const i64 file = guest.open("/m/file", 0, cap::right_append | cap::right_read);
    REQUIRE(file >= 0);
    CHECK(guest("seek", {file, 0, 0}) == 0);
    CHECK(guest.write(file, "+new") == 4);
    CHECK(guest("seek", {file, 1, 0}) == 1);
    CHECK(guest.write(file, "+") == 1);
    guest.put(data_at, "x");
    CHECK(guest("pwrite", {file, data_at, 1, 0}) == no);
    CHECK(guest("truncate", {file, 0}) == no);
    CHECK(guest("set_times", {file, 0, 0}) == no);
    CHECK(root.text("file") == "old+new+");
    // What is there is no less by what is made: new names, and those through a directory.
    const i64 made = guest.open("/m/new", vfs::open_create, cap::right_append);
    REQUIRE(made >= 0);
    CHECK(guest.write(made, "made") == 4);
    CHECK(root.text("new") == "made");
    const i64 d = guest.open("/m/d", vfs::open_directory,
                             cap::rights_all & vfs::rights_of(mount_with("append")));
    REQUIRE(d >= 0);
    CHECK(guest.at("open", d, "x", {vfs::open_create, cap::right_write}) == no);
    CHECK(guest.at("open", d, "x", {vfs::open_create, cap::right_append}) >= 0);
    CHECK(guest.at("remove_at", d, "x") == no);
    CHECK(guest.two("link_at", "/m/file", "/m/second") == 0);
    CHECK(guest.open("/m/second", 0, cap::right_write) == no);
  });
}

TEST_CASE("mount options: append: nothing is brought to where more may be done") {
  on_each(two_files, [](const Root& root) {
    MountedGuest guest(root.object(), "append");
    REQUIRE(guest.names->mount("/all", root.object(), cap::rights_all).ok());
    CHECK(guest.two("link_at", "/m/file", "/all/second") == -Errno::notcapable);
    CHECK(guest.two("rename_at", "/m/file", "/all/second") == -Errno::notcapable);
  });
}

TEST_CASE("mount options: nodelete: names stay, what they hold does not") {
  on_each(two_files, [](const Root& root) {
    MountedGuest guest(root.object(), "nodelete");
    CHECK(guest.at("remove_at", guest.root, "/m/file") == -Errno::notcapable);
    CHECK(guest.at("rmdir_at", guest.root, "/m/d") == -Errno::notcapable);
    CHECK(guest.two("rename_at", "/m/file", "/m/new") == -Errno::notcapable);
    CHECK(guest.two("rename_at", "/m/other", "/m/file") == -Errno::notcapable);
    const i64 file = guest.open("/m/file", vfs::open_truncate, cap::right_write);
    REQUIRE(file >= 0);
    CHECK(guest.write(file, "new") == 3);
    CHECK(root.text("file") == "new");
    CHECK(guest.at("mkdir_at", guest.root, "/m/e") == 0);
  });
}

TEST_CASE("mount options: nomodules") {
  on_each_to_read(two_files, [](const Root& root) {
    for (const bool is_allowed : {true, false}) {
      MountedGuest guest(root.object(), is_allowed ? "ro" : "ro,nomodules");
      const i64 loading = guest.open("/m/file", 0, cap::right_load);
      CHECK((loading >= 0) == is_allowed);
      if (!is_allowed) CHECK(loading == -Errno::notcapable);
      const i64 file = guest.open("/m/file", 0, cap::right_read);
      REQUIRE(file >= 0);
      CHECK(guest("module_open", {file, data_at, 8}) == -Errno::notcapable);
      // Nobody runs this process who could start others.
      if (is_allowed) CHECK(guest("module_open", {loading, data_at, 8}) == -Errno::nosys);
    }
  });
}

TEST_CASE("mount options: in WASI") {
  constexpr Rights append = cap::rights_all & ~(cap::right_write | cap::right_truncate |
                                                cap::right_times | cap::right_remove);
  REQUIRE(vfs::rights_of(mount_with("append")) == append);
  on_each(two_files, [](const Root& root) {
    WasiGuest guest;
    const i64 d = guest.insert(
        wasi::preopen(root.object(), "/m", vfs::rights_of(mount_with("append,nomodules"))));
    const i64 all = guest.insert(wasi::preopen(root.object(), "/all", vfs::rights_read_write));
    constexpr u64 read_write = wasi::right_fd_read | wasi::right_fd_write;
    // As libc opens: for all rights that there are.
    CHECK(guest.path_open(d, "file", {0, ~u64{0}, ~u64{0}}) == Errno::notcapable);
    CHECK(guest.path_open(d, "file", {WasiGuest::trunc, read_write, 0, wasi::flag_append}) ==
          Errno::notcapable);
    CHECK(guest.path_call("path_unlink_file", d, "file") == Errno::notcapable);
    CHECK(guest.path_call("path_remove_directory", d, "d") == Errno::notcapable);
    CHECK(guest.rename(d, "file", d, "new") == Errno::notcapable);
    CHECK(guest.rename(d, "file", all, "new") == Errno::notcapable);
    CHECK(guest.link(d, "file", all, "new") == Errno::notcapable);
    CHECK(guest.link(d, "file", d, "second") == Errno::success);
    const i64 file = guest.open(d, "file", {0, ~u64{0}, ~u64{0}, wasi::flag_append});
    REQUIRE(file >= 0);
    CHECK(guest.write(file, "+new") == Errno::success);
    CHECK(guest("fd_fdstat_set_flags", {file, 0}) == Errno::notcapable);
    CHECK(guest("fd_fdstat_set_flags", {file, wasi::flag_append}) == Errno::success);
    CHECK(guest("fd_pwrite", {file, WasiGuest::vectors_at, 1, 0, WasiGuest::result_at}) ==
          Errno::notcapable);
    CHECK(guest("fd_filestat_set_size", {file, 0}) == Errno::notcapable);
    CHECK(guest("fd_allocate", {file, 0, 100}) == Errno::notcapable);
    CHECK(root.text("file") == "old+new");
    // The handle is no more for Atoll's own calls.
    const cap::Capability* const made = guest.process->handles().find(static_cast<u32>(file));
    CHECK((made->rights & ~vfs::rights_of(mount_with("append,nomodules"))) == 0);
    CHECK((made->rights & cap::right_append) != 0);
    const i64 below = guest.open(d, "d", {WasiGuest::directory, ~wasi::right_fd_write, ~u64{0}});
    REQUIRE(below >= 0);
    CHECK(guest.path_open(below, "x", {WasiGuest::creat, read_write, 0}) == Errno::notcapable);
    CHECK(guest.open(below, "x", {WasiGuest::creat, read_write, 0, wasi::flag_append}) >= 0);
    CHECK(guest.path_call("path_unlink_file", below, "x") == Errno::notcapable);
  });
}

TEST_CASE("mount options: hidden: there by its handle alone") {
  const ScratchDirectory scratch;
  std::filesystem::create_directories(scratch / "all/secret");
  Mount all = *parse_mount("dir:" + (scratch / "all") + ":/");
  Mount hidden = *parse_mount("memory::/secret:hidden,nodelete");
  CHECK(hidden.hidden);
  auto grants = open_grants(streams_of(-1, -1, -1), {}, std::vector{hidden, all}, {});
  REQUIRE(grants.ok());
  // Atoll's own programs find it behind the name space.
  Guest guest;
  const auto handles = first_handles(*grants, false);
  REQUIRE(handles.size() == 5);
  CHECK(handles[4].rights == (cap::rights_all & ~cap::right_remove));
  const i64 root = guest.grant(handles[3].object, handles[3].rights);
  const i64 own = guest.grant(handles[4].object, handles[4].rights);
  for (const std::string_view path : {"/secret", "/secret/", "/secret/x", "/x/../secret"}) {
    guest.put(path_at, path);
    CHECK(guest("stat_at", {root, path_at, static_cast<i64>(path.size()), 0, data_at}) ==
          -Errno::noent);
  }
  guest.put(path_at, "file");
  CHECK(guest("open", {own, path_at, 4, vfs::open_create, cap::right_write}) >= 0);
  CHECK(guest("remove_at", {own, path_at, 4}) == -Errno::notcapable);
  const auto& names = static_cast<const vfs::NameSpace&>(*handles[3].object);
  CHECK(names.mounts().size() == 1);
  // WASI's behind all that have names, and it has none.
  const auto wasi_handles = first_handles(*grants, true);
  REQUIRE(wasi_handles.size() == 5);
  WasiGuest other;
  const i64 named = other.insert(wasi_handles[3]);
  const i64 last = other.insert(wasi_handles[4]);
  CHECK(other("fd_prestat_get", {named, WasiGuest::data_at}) == Errno::success);
  CHECK(other("fd_prestat_get", {last, WasiGuest::data_at}) == Errno::badf);
  CHECK(other.open(last, "file", {0, wasi::right_fd_read}) >= 0);
  CHECK(other.path_call("path_unlink_file", last, "file") == Errno::notcapable);
}

TEST_CASE("mount options: links and renames don't show what is hidden") {
  on_each(
      [](const Root& root) {
        two_files(root);
        REQUIRE(root.mkdir("d/in") == Errno::success);
        REQUIRE(root.mkdir("d/in/secret") == Errno::success);
        root.put("d/in/secret/file", "hidden");
        root.put("d/in/open", "open");
      },
      [](const Root& root) {
        for (const bool is_mount : {false, true}) {
          CAPTURE(is_mount);
          MountedGuest guest(root.object(), "rw");
          if (is_mount) {
            REQUIRE(guest.names->reserve("/m/d/in/secret").ok());
          } else {
            guest.root = guest.at("name_space_hide", guest.root, "/m/d/in/secret");
            REQUIRE(guest.root >= 0);
          }
          // Neither from there nor to there, by whatever spelling.
          for (const char* const path :
               {"/m/d/in/secret", "/m/d/in/secret/", "/m/d/in/secret/file", "/m/x/../d/in/secret",
                "/m/d/./in/secret/../secret/file"}) {
            CAPTURE(path);
            for (const char* const call : {"rename_at", "link_at"}) {
              CHECK(guest.two(call, path, "/m/seen") == -Errno::noent);
              CHECK(guest.two(call, "/m/file", path) == -Errno::noent);
            }
            CHECK(guest.open(path, 0, cap::right_read) == -Errno::noent);
            CHECK(guest.at("remove_at", guest.root, path) == -Errno::noent);
            CHECK(guest.at("rmdir_at", guest.root, path) == -Errno::noent);
            CHECK(guest.at("mkdir_at", guest.root, path) == -Errno::noent);
          }
          // What it lies in keeps its name: below another one it would be there.
          for (const char* const path : {"/m/d", "/m/d/in", "/m/d/in/", "/m/d/in/.", "/m/e/../d"}) {
            CAPTURE(path);
            CHECK(guest.two("rename_at", path, "/m/seen") == -Errno::busy);
            CHECK(guest.two("rename_at", path, "/m/d/seen") == -Errno::busy);
          }
          CHECK(guest.open("/m/seen/in/secret/file", 0, cap::right_read) == -Errno::noent);
          CHECK(guest.open("/m/d/seen/secret/file", 0, cap::right_read) == -Errno::noent);
          CHECK(root.text("d/in/secret/file") == "hidden");
        }
        // What lies beside it can be renamed.
        MountedGuest guest(root.object(), "rw");
        REQUIRE(guest.names->reserve("/m/d/in/secret").ok());
        if (guest.open("/m/file", 0, cap::right_write) >= 0) {
          CHECK(guest.two("rename_at", "/m/d/in/open", "/m/d/in/name") == 0);
        }
      });
}

TEST_CASE("mount options: what has fewer rights by its name keeps it") {
  on_each(two_files, [](const Root& root) {
    MountedGuest guest(root.object(), "rw");
    if (guest.two("rename_at", "/m/d", "/m/x") != 0) return;  // one to read only
    REQUIRE(guest.two("rename_at", "/m/x", "/m/d") == 0);
    REQUIRE(guest.at("mkdir_at", guest.root, "/m/d/in") == 0);
    const i64 less = guest.at("name_space_attenuate", guest.root, "/m/d/in",
                              {static_cast<i64>(vfs::rights_read_only)});
    REQUIRE(less >= 0);
    guest.put(path_at, "/m/d");
    guest.put(to_at, "/m/x");
    CHECK(guest("rename_at", {less, path_at, 4, less, to_at, 4}) == -Errno::busy);
    CHECK(guest.two("rename_at", "/m/d", "/m/x") == 0);
  });
}

TEST_CASE("mount options: a name space with fewer rights") {
  on_each(two_files, [](const Root& root) {
    MountedGuest guest(root.object(), "rw");
    REQUIRE(guest.names->mount("/m/d/tmp", vfs::make_memory({}), cap::rights_all).ok());
    const i64 whole = guest.root;
    constexpr Rights to_read = vfs::rights_read_only;
    const auto less = [&](i64 of, std::string_view path, Rights rights) {
      return guest.at("name_space_attenuate", of, path, {static_cast<i64>(rights)});
    };
    const auto makes = [&](i64 names, std::string_view path) {
      const i64 made =
          guest.at("open", names, path, {vfs::open_create, static_cast<i64>(cap::right_write)});
      if (made < 0) CHECK(made == -Errno::notcapable);
      if (made >= 0) CHECK(guest("close", {made}) == 0);
      return made >= 0;
    };
    // A mount, with what is mounted below it.
    const i64 all_read = less(whole, "/", to_read);
    REQUIRE(all_read >= 0);
    CHECK(!makes(all_read, "/m/a"));
    CHECK(!makes(all_read, "/m/d/tmp/a"));
    CHECK(makes(whole, "/m/a"));
    // A part of one, under its name.
    const i64 part = less(whole, "/m/d", to_read);
    REQUIRE(part >= 0);
    CHECK(makes(part, "/m/b"));
    CHECK(!makes(part, "/m/d/b"));
    CHECK(!makes(part, "/m/x/../d/./b"));
    CHECK(!makes(part, "/m/d/tmp/b"));
    CHECK(makes(part, "/m/d/../c"));
    CHECK(guest.at("stat_at", part, "/m/d/", {0, data_at}) == 0);
    CHECK(guest.at("stat_at", part, "/m/file/", {0, data_at}) == -Errno::notdir);
    // Only less, also when it is asked for more, and with hiding.
    const i64 more = less(part, "/m", cap::rights_all);
    CHECK(!makes(more, "/m/d/b"));
    CHECK(makes(more, "/m/c"));
    const i64 deeper = less(part, "/m/d/e/f", cap::rights_all);
    CHECK(!makes(deeper, "/m/d/e/f"));
    const i64 hidden = guest.at("name_space_hide", part, "/m/d");
    CHECK(less(hidden, "/m/d", to_read) == -Errno::noent);
    CHECK(less(hidden, "/m/d/x", to_read) == -Errno::noent);
    const i64 same = less(hidden, "/m", to_read);
    CHECK(guest.at("stat_at", same, "/m/d", {0, data_at}) == -Errno::noent);
    CHECK(guest.at("stat_at", same, "/m/file", {0, data_at}) == 0);
    CHECK(!makes(same, "/m/c"));
    // What there is no mount at, and no path.
    CHECK(less(whole, "/other", to_read) == -Errno::noent);
    CHECK(less(whole, "", to_read) == -Errno::noent);
    CHECK(less(whole, "/..", to_read) == -Errno::notcapable);
    CHECK(guest("name_space_attenuate", {whole, Guest::memory_size, 1, 0}) == -Errno::fault);
    i64 chain = guest("handle_attenuate", {whole, cap::rights_all});
    for (int i = 0; i < 64; ++i) {
      const i64 next = less(chain, "/m/n" + std::to_string(i), to_read);
      REQUIRE(next >= 0);
      CHECK(guest("close", {chain}) == 0);
      chain = next;
    }
    CHECK(less(chain, "/m/more", to_read) == -Errno::mlink);
    CHECK(less(chain, "/m/n1", to_read) >= 0);
    CHECK(guest.at("name_space_hide", chain, "/m/more") == -Errno::mlink);
  });
}
