// What every writable file system promises of its directories (stdlib/vfs/vfs.hpp).
#include <atomic>
#include <map>
#include <set>
#include <thread>

#include "tests/support/file_systems.hpp"

using namespace atollvm;
using namespace atollvm::test;
using cap::Errno;
using Strings = std::vector<std::string>;

namespace {

void make_tree(const Root& root) {
  REQUIRE(root.mkdir("d") == Errno::success);
  REQUIRE(root.mkdir("d/e") == Errno::success);
  REQUIRE(root.mkdir("empty") == Errno::success);
  root.put("a", "a");
  root.put("b", "b");
  root.put("d/e/f", "f");
  REQUIRE(root.make_link("d/e", "to_e") == Errno::success);
  REQUIRE(root.make_link("a", "to_a") == Errno::success);
  REQUIRE(root.make_link("../a", "d/up_a") == Errno::success);
  REQUIRE(root.make_link("none", "dangling") == Errno::success);
  REQUIRE(root.make_link("loop2", "loop1") == Errno::success);
  REQUIRE(root.make_link("loop1", "loop2") == Errno::success);
  REQUIRE(root.make_link("self/x", "self") == Errno::success);
  REQUIRE(root.make_link("..", "up") == Errno::success);
  REQUIRE(root.make_link("../x", "out") == Errno::success);
  REQUIRE(root.make_link("../to_e/../../..", "d/up_by_link") == Errno::success);
}

// 41 links after each other.
void make_chain(const Root& root) {
  make_tree(root);
  root.put("chain0", "end");
  for (int i = 1; i <= 41; ++i) {
    REQUIRE(root.make_link("chain" + std::to_string(i - 1), "chain" + std::to_string(i)) ==
            Errno::success);
  }
}

const Strings strange_names = {
    "\xff\xfe", "\x01", "a b\n", "ü", "\\", "...", "-", ".hidden", std::string(255, 'n')};

}  // namespace

TEST_CASE("file systems: paths") {
  on_each_to_read(make_chain, [](const Root& root) {
    struct Row {
      std::string path;
      Errno error;
    };
    const std::string long_name(255, 'n');
    const Row rows[] = {
        {"a", Errno::success},
        {"./a", Errno::success},
        {"d/../a", Errno::success},
        {"d//e///f", Errno::success},
        {"d/e/../../d/./e/f", Errno::success},
        {"to_e/f", Errno::success},
        {"to_e/../e/f", Errno::success},  // ".." after the link was followed
        {"to_e/../up_a", Errno::success},
        {"d/up_a", Errno::success},
        {".", Errno::success},
        {"d/e/../..", Errno::success},
        {"to_e/", Errno::success},
        {"a/", Errno::notdir},
        {"a/.", Errno::notdir},
        {"a/..", Errno::notdir},
        {"to_a/", Errno::notdir},
        {"a/x", Errno::notdir},
        {"none", Errno::noent},
        {"none/..", Errno::noent},
        {"dangling", Errno::noent},
        {"dangling/x", Errno::noent},
        {"", Errno::noent},
        {"loop1", Errno::loop},
        {"loop1/x", Errno::loop},
        {"self", Errno::loop},
        {"..", Errno::notcapable},
        {"../", Errno::notcapable},
        {"d/../..", Errno::notcapable},
        {"d/e/../../../a", Errno::notcapable},
        {"/", Errno::notcapable},
        {"/a", Errno::notcapable},
        {"up", Errno::notcapable},
        {"up/a", Errno::notcapable},
        {"out", Errno::notcapable},
        {"d/up_by_link", Errno::notcapable},
        {std::string("a\0b", 3), Errno::inval},
        {std::string("\0", 1), Errno::inval},
        {long_name, Errno::noent},
        {long_name + "n", Errno::nametoolong},
        {"d/" + long_name + "n/x", Errno::nametoolong},
        {std::string(4096, 'x'), Errno::nametoolong},
        {std::string(5000, '/') + "a", Errno::nametoolong},
    };
    for (const Row& row : rows) {
      CAPTURE(row.path);
      CHECK(error_of(root.stat(row.path)) == row.error);
      CHECK(error_of(root.open(row.path, 0, reading)) == row.error);
    }
    std::string deep;
    for (int i = 0; i < 100; ++i) deep += "d/../";
    CHECK(root.text(deep + "a") == "a");
    // From a directory inside, what is beside it is outside.
    const Root inner = root.directory("d/e");
    CHECK(inner.text("f") == "f");
    CHECK(inner.text("./f") == "f");
    CHECK(error_of(inner.stat("..")) == Errno::notcapable);
    CHECK(error_of(inner.stat("../e/f")) == Errno::notcapable);
    CHECK(error_of(root.directory("d").stat("up_a")) == Errno::notcapable);
    // 40 links lead somewhere, 41 do not.
    CHECK(root.text("chain40") == "end");
    CHECK(error_of(root.stat("chain41")) == Errno::loop);
  });
}

TEST_CASE("file systems: names are bytes") {
  on_each([](const Root& root) {
    const Strings& names = strange_names;
    for (const std::string& each : names) root.put(each, each);
    for (const std::string& each : names) CHECK(root.text(each) == each);
    Strings want = names;
    std::sort(want.begin(), want.end());
    CHECK((sorted_names(root) == want));
    const std::string too_long(256, 'n');
    CHECK(error_of(root.open(too_long, vfs::open_create, writing)) == Errno::nametoolong);
    CHECK(root.mkdir(too_long) == Errno::nametoolong);
    CHECK(root.make_link("a", too_long) == Errno::nametoolong);
    CHECK(root.link("-", too_long) == Errno::nametoolong);
    CHECK(root.rename("-", too_long) == Errno::nametoolong);
    CHECK(root.text("-") == "-");
  });
}

TEST_CASE("file systems: what is there is listed and read") {
  on_each_to_read(
      [](const Root& root) {
        for (const std::string& each : strange_names) root.put(each, each);
        REQUIRE(root.mkdir("d") == Errno::success);
        REQUIRE(root.mkdir("d/empty") == Errno::success);
        for (int i = 0; i < 700; ++i) root.put("d/file" + std::to_string(i), std::to_string(i));
        root.put("d/one", "text");
        REQUIRE(root.link("d/one", "d/two") == Errno::success);
        REQUIRE(root.make_link("d/one", "link") == Errno::success);
        REQUIRE(root.times("d/one", true, {.modified_ns = 1'234'000'000'000}) == Errno::success);
      },
      [](const Root& root) {
        Strings want = strange_names;
        want.insert(want.end(), {"d", "link"});
        std::sort(want.begin(), want.end());
        CHECK((sorted_names(root) == want));
        for (const std::string& each : strange_names) CHECK(root.text(each) == each);
        const Root d = root.directory("d");
        for (const u32 bytes : {0u, 4096u, 100'000u}) {
          const Strings names = d.names(bytes);
          CHECK(names.size() == 703);
          CHECK(std::set<std::string>(names.begin(), names.end()).size() == 703);
        }
        CHECK(d.directory("empty").names().empty());
        for (int i = 0; i < 700; ++i)
          CHECK(d.text("file" + std::to_string(i)) == std::to_string(i));
        CHECK(d.text("two") == "text");
        CHECK(root.text("link") == "text");
        CHECK(root.text("link/") == "error 54");
        const auto target = root.read_link("link");
        REQUIRE(error_of(target) == Errno::success);
        CHECK(std::get<std::string>(target) == "d/one");
        CHECK(error_of(root.read_link("d")) == Errno::inval);
        const auto entries = root.list(0);
        REQUIRE(error_of(entries) == Errno::success);
        for (const vfs::Entry& each : std::get<std::vector<vfs::Entry>>(entries)) {
          const vfs::Stat stat = root.status(each.name, false);
          CHECK(each.type == stat.type);
          CHECK(each.inode == stat.inode);
        }
        CHECK(root.status("link", false).size == 5);
        CHECK(root.status("d").links == 3);
        const vfs::Stat one = root.status("d/one");
        CHECK(one.modified_ns == 1'234'000'000'000);
        CHECK(one.size == 4);
        CHECK(one.links == 2);
        CHECK(one.inode == root.status("d/two").inode);
        CHECK(one.inode != root.status("d/file0").inode);
        CHECK(error_of(d.list(~u64{0})) != Errno::again);
        const auto file = d.file("one", 0, reading);
        CHECK(read_text(*file, std::nullopt, 3) == "tex");
        CHECK(read_text(*file, 1, 2) == "ex");
        CHECK(read_text(*file, std::nullopt) == "t");
        CHECK(read_text(*file, std::nullopt).empty());
        CHECK(error_of(file->seek(-1, 0)) == Errno::inval);
        CHECK(error_of(file->seek(0, 3)) == Errno::inval);
        REQUIRE(error_of(file->seek(-2, 2)) == Errno::success);
        CHECK(read_text(*file, std::nullopt) == "xt");
        CHECK(write_error(*file, "x", 0) == Errno::badf);
        CHECK(attempt([&](Wait wait) { return file->truncate(0, wait); }) == Errno::badf);
      });
}

TEST_CASE("file systems: making and removing") {
  on_each(make_tree, [](const Root& root) {
    CHECK(root.mkdir("a") == Errno::exist);
    CHECK(root.mkdir("d") == Errno::exist);
    CHECK(root.mkdir("d/") == Errno::exist);
    CHECK(root.mkdir("dangling") == Errno::exist);
    CHECK(root.mkdir(".") == Errno::exist);
    CHECK(root.mkdir("d/..") == Errno::exist);
    CHECK(root.mkdir("..") == Errno::notcapable);
    CHECK(root.mkdir("none/x") == Errno::noent);
    CHECK(root.mkdir("a/x") == Errno::notdir);
    CHECK(root.mkdir("") == Errno::noent);
    CHECK(root.mkdir("up/x") == Errno::notcapable);
    CHECK(root.mkdir("new/") == Errno::success);
    CHECK(root.mkdir("to_e/new") == Errno::success);
    CHECK(root.status("d/e/new").type == vfs::FileType::directory);

    CHECK(root.remove("none") == Errno::noent);
    CHECK(root.remove("d") == Errno::isdir);
    CHECK(root.remove("d/") == Errno::isdir);
    CHECK(root.remove(".") == Errno::isdir);
    CHECK(root.remove("..") == Errno::notcapable);
    CHECK(root.remove("a/") == Errno::notdir);
    CHECK(root.remove("to_e/") == Errno::notdir);
    CHECK(root.remove("to_a") == Errno::success);
    CHECK(root.text("a") == "a");
    CHECK(root.remove("a") == Errno::success);
    CHECK(root.remove("a") == Errno::noent);
    CHECK(root.remove("loop1") == Errno::success);
    CHECK(root.remove("d/up_a") == Errno::success);

    CHECK(root.rmdir("none") == Errno::noent);
    CHECK(root.rmdir("b") == Errno::notdir);
    CHECK(root.rmdir("to_e") == Errno::notdir);
    CHECK(root.rmdir("to_e/") == Errno::notdir);
    CHECK(root.rmdir("d") == Errno::notempty);
    CHECK(root.rmdir(".") == Errno::inval);
    CHECK(root.rmdir("d/e/..") == Errno::inval);
    CHECK(root.rmdir("..") == Errno::notcapable);
    CHECK(root.rmdir("empty/") == Errno::success);
    CHECK(root.rmdir("empty") == Errno::noent);
    // What is made anew has nothing of what was there.
    CHECK(root.remove("d/e/f") == Errno::success);
    CHECK(root.rmdir("d/e/new") == Errno::success);
    CHECK(root.rmdir("d/e") == Errno::success);
    CHECK(root.mkdir("d/e") == Errno::success);
    CHECK(root.directory("d/e").names().empty());
    CHECK(root.rmdir("d/e") == Errno::success);
    root.put("d/e", "a file");
    CHECK(root.text("d/e") == "a file");
    CHECK(root.text("to_e") == "a file");
  });
}

TEST_CASE("file systems: renaming") {
  on_each(
      [](const Root& root) {
        make_tree(root);
        REQUIRE(root.link("a", "a2") == Errno::success);
      },
      [](const Root& root) {
        CHECK(root.rename("none", "x") == Errno::noent);
        CHECK(root.rename("none", "none/x") == Errno::noent);
        CHECK(root.rename("a", "none/x") == Errno::noent);
        CHECK(root.rename("a", "b/x") == Errno::notdir);
        CHECK(root.rename("a", "../x") == Errno::notcapable);
        CHECK(root.rename("../a", "x") == Errno::notcapable);
        CHECK(root.rename("a", "up/x") == Errno::notcapable);
        CHECK(root.rename("a", "out") == Errno::success);  // the link itself is replaced
        CHECK(root.text("out") == "a");
        CHECK(root.rename("out", "a") == Errno::success);
        CHECK(root.rename("a", "d") == Errno::isdir);
        CHECK(root.rename("a/", "x") == Errno::notdir);
        CHECK(root.rename("a", "x/") == Errno::notdir);
        CHECK(root.rename("to_e/", "x") == Errno::notdir);
        CHECK(root.rename(".", "x") == Errno::busy);
        CHECK(root.rename("d/..", "x") == Errno::busy);
        CHECK(root.rename("a", ".") == Errno::busy);
        CHECK(root.rename("a", "a") == Errno::success);
        CHECK(root.rename("d", "d") == Errno::success);
        CHECK(root.text("a") == "a");
        CHECK(root.rename("a", "b") == Errno::success);
        CHECK(root.text("b") == "a");
        CHECK(error_of(root.stat("a")) == Errno::noent);
        CHECK(root.rename("b", "d/e/f") == Errno::success);
        CHECK(root.text("to_e/f") == "a");
        CHECK(root.rename("to_e", "link") == Errno::success);
        CHECK(root.status("link", false).type == vfs::FileType::link);
        CHECK(root.text("link/f") == "a");
        const Root inner = root.directory("d/e");
        CHECK(inner.rename("f", root, "f") == Errno::success);
        CHECK(root.rename("f", inner, "g") == Errno::success);
        CHECK(root.text("d/e/g") == "a");
      });
}

TEST_CASE("file systems: renaming directories") {
  on_each(
      [](const Root& root) {
        make_tree(root);
        CHECK(root.rename("d", "a") == Errno::notdir);
        CHECK(root.rename("d", "d/e/x") == Errno::inval);
        CHECK(root.rename("d", "d/e") == Errno::inval);
        CHECK(root.rename("d", "to_e/x") == Errno::inval);
        CHECK(root.rename("d/e", "d") == Errno::notempty);
        CHECK(root.rename("empty", "d") == Errno::notempty);
        CHECK(root.rename("empty", "to_e") == Errno::notdir);
        const Root inner = root.directory("d/e");
        CHECK(root.rename("d", inner, "x") == Errno::inval);
        CHECK(root.rename("d", "empty") == Errno::success);
        CHECK(error_of(root.stat("d")) == Errno::noent);
        CHECK(root.text("empty/e/f") == "f");
        // A handle goes on to be the same directory, wherever it is.
        CHECK(inner.text("f") == "f");
        inner.put("g", "g");
        CHECK(root.text("empty/e/g") == "g");
        CHECK(root.rename("empty/e", "moved/") == Errno::success);
        CHECK(inner.rename("g", inner, "h") == Errno::success);
        CHECK(root.text("moved/h") == "g");
        CHECK(root.rename("moved", "moved/x") == Errno::inval);
        CHECK((root.directory("empty").names() == Strings{"up_a", "up_by_link"} ||
               root.directory("empty").names() == Strings{"up_by_link", "up_a"}));
      },
      [](const Root&) {});
}

TEST_CASE("file systems: links") {
  on_each([](const Root& root) { make_tree(root); },
          [](const Root& root) {
            CHECK(root.link("none", "x") == Errno::noent);
            CHECK(root.link("a", "b") == Errno::exist);
            CHECK(root.link("a", "d") == Errno::exist);
            CHECK(root.link("a", "dangling") == Errno::exist);
            CHECK(root.link("d", "x") == Errno::perm);
            CHECK(root.link(".", "x") == Errno::perm);
            CHECK(root.link("a", ".") == Errno::exist);
            CHECK(root.link("a", "x/") == Errno::noent);
            CHECK(root.link("a/", "x") == Errno::notdir);
            CHECK(root.link("a", "../x") == Errno::notcapable);
            CHECK(root.link("../a", "x") == Errno::notcapable);
            CHECK(root.link("a", "d/a2") == Errno::success);
            root.put("d/a2", "changed");
            CHECK(root.text("a") == "changed");
            CHECK(root.remove("a") == Errno::success);
            CHECK(root.text("d/a2") == "changed");
            CHECK(root.status("d/a2").links == 1);
            // Two names of one file: renaming one to the other changes nothing.
            CHECK(root.link("d/a2", "a3") == Errno::success);
            CHECK(root.rename("d/a2", "a3") == Errno::success);
            CHECK(root.text("d/a2") == "changed");
            CHECK(root.text("a3") == "changed");
            // Of a link itself.
            CHECK(root.link("to_e", "to_e2") == Errno::success);
            CHECK(root.status("to_e2", false).type == vfs::FileType::link);

            const auto target = root.read_link("to_e");
            REQUIRE(error_of(target) == Errno::success);
            CHECK(std::get<std::string>(target) == "d/e");
            CHECK(error_of(root.read_link("d")) == Errno::inval);
            CHECK(error_of(root.read_link("b")) == Errno::inval);
            CHECK(error_of(root.read_link(".")) == Errno::inval);
            CHECK(error_of(root.read_link("none")) == Errno::noent);
            CHECK(root.status("to_e", false).size == 3);
            CHECK(root.make_link("x", "b") == Errno::exist);
            CHECK(root.make_link("x", "dangling") == Errno::exist);
            CHECK(root.make_link("x", "none/y") == Errno::noent);
            CHECK(root.make_link("x", "y/") == Errno::noent);
            CHECK(root.make_link("x", "d/") == Errno::exist);
            CHECK(root.make_link("x", "b/") == Errno::notdir);
            CHECK(root.make_link("x", ".") == Errno::exist);
            CHECK(root.make_link("/etc/passwd", "y") == Errno::notcapable);
            CHECK(root.make_link("", "y") == Errno::noent);
            CHECK(root.make_link(std::string("a\0b", 3), "y") == Errno::inval);
            CHECK(root.make_link(std::string(4096, 'x'), "y") == Errno::nametoolong);
            CHECK(root.make_link("../../../x", "y") == Errno::success);
            CHECK(error_of(root.stat("y")) == Errno::notcapable);
            CHECK(root.make_link("d/", "slash") == Errno::success);
            CHECK(root.text("slash/e/f") == "f");
            CHECK(root.make_link("b/", "file_slash") == Errno::success);
            CHECK(error_of(root.stat("file_slash")) == Errno::notdir);
          });
}

TEST_CASE("file systems: between two of them nothing is renamed or linked") {
  const ScratchDirectory scratch;
  const Root one(vfs::make_memory({}));
  const Root two(vfs::make_memory({}));
  const Root host(in_folder(scratch, "data"));
  const Root over(vfs::make_overlay(host.object(), vfs::make_memory({})));
  const Root* const all[] = {&one, &two, &host, &over};
  for (const Root* each : all) each->put("f", "f");
  for (const Root* from : all) {
    for (const Root* to : all) {
      if (from == to) continue;
      CHECK(from->rename("f", *to, "g") == Errno::xdev);
      CHECK(from->link("f", *to, "g") == Errno::xdev);
    }
  }
}

TEST_CASE("file systems: entries") {
  on_each(
      [](const Root& root) {
        make_tree(root);
        REQUIRE(root.mkdir("many") == Errno::success);
        for (int i = 0; i < 700; ++i) root.put("many/file" + std::to_string(i), "");
      },
      [](const Root& root) {
        CHECK(root.directory("empty").names().empty());
        CHECK((sorted_names(root) == Strings{"a", "b", "d", "dangling", "empty", "loop1", "loop2",
                                             "many", "out", "self", "to_a", "to_e", "up"}));
        for (int i = 700; i < 1000; ++i) root.put("many/file" + std::to_string(i), "");
        for (int i = 0; i < 1000; i += 10) {
          REQUIRE(root.remove("many/file" + std::to_string(i)) == Errno::success);
        }
        const Root many = root.directory("many");
        for (const u32 bytes : {0u, 4096u, 100'000u}) {
          const Strings names = many.names(bytes);
          CHECK(names.size() == 900);
          CHECK(std::set<std::string>(names.begin(), names.end()).size() == 900);
        }
        const auto entries = root.list(0);
        REQUIRE(error_of(entries) == Errno::success);
        for (const vfs::Entry& each : std::get<std::vector<vfs::Entry>>(entries)) {
          CAPTURE(each.name);
          const vfs::Stat stat = root.status(each.name, false);
          CHECK(each.type == stat.type);
          CHECK(each.inode == stat.inode);
        }
        CHECK(error_of(many.list(~u64{0})) != Errno::again);
      });
}

// Names that come, go and are renamed while a stream is read; those that stay are seen once.
TEST_CASE("file systems: entries that stay are seen once") {
  on_each(
      [](const Root& root) {
        REQUIRE(root.mkdir("many") == Errno::success);
        for (int i = 0; i < 600; ++i) root.put("many/stay" + std::to_string(i), "");
        for (int i = 0; i < 300; ++i) root.put("many/go" + std::to_string(i), "");
      },
      [](const Root& root) {
        const Root many = root.directory("many");
        std::map<std::string, int> seen;
        int turn = 0;
        for (u64 cookie = 0;;) {
          const auto some = many.list(cookie, 0);
          REQUIRE(error_of(some) == Errno::success);
          const auto& entries = std::get<std::vector<vfs::Entry>>(some);
          if (entries.empty()) break;
          for (const vfs::Entry& each : entries) ++seen[each.name];
          cookie = entries.back().next;
          REQUIRE(turn < 300);
          for (int i = 0; i < 10; ++i, ++turn) {
            if (turn >= 300) break;
            const std::string number = std::to_string(turn);
            static_cast<void>(root.remove("many/go" + number));
            root.put("many/new" + number, "");
            // What is written to stays, too.
            root.put("many/stay" + number, "changed");
            REQUIRE(root.rename("many/new" + number, "many/renamed" + number) == Errno::success);
            REQUIRE(root.rename("many/renamed" + number,
                                "many/stay" + std::to_string(599 - turn)) == Errno::success);
          }
        }
        for (int i = 0; i < 600; ++i) {
          CAPTURE(i);
          CHECK(seen["stay" + std::to_string(i)] == 1);
        }
        for (const auto& [name, count] : seen) CHECK(count == 1);
      });
}

TEST_CASE("file systems: who makes an entry for each that is read comes to an end") {
  const Root root(vfs::make_memory({}));
  for (int i = 0; i < 100; ++i) root.put("f" + std::to_string(i), "");
  int count = 0;
  for (u64 cookie = 0;;) {
    const auto some = root.list(cookie, 0);
    const auto& entries = std::get<std::vector<vfs::Entry>>(some);
    if (entries.empty()) break;
    for (const vfs::Entry& each : entries) {
      REQUIRE(root.rename(each.name, each.name + "x") == Errno::success);
      root.put("new" + std::to_string(count++), "");
    }
    cookie = entries.back().next;
    REQUIRE(count <= 100);
  }
  CHECK(count == 100);
}

TEST_CASE("file systems: a directory that is removed while it is open") {
  on_each(
      [](const Root& root) {
        REQUIRE(root.mkdir("d") == Errno::success);
        root.put("d/f", "f");
      },
      [](const Root& root) {
        const Root open = root.directory("d");
        CHECK(open.names().size() == 1);
        REQUIRE(open.remove("f") == Errno::success);
        REQUIRE(root.rmdir("d") == Errno::success);
        CHECK(open.names().empty());
        CHECK(error_of(open.open("f", vfs::open_create, writing)) == Errno::noent);
        CHECK(open.mkdir("x") == Errno::noent);
        CHECK(open.make_link("x", "y") == Errno::noent);
        root.put("f", "f");
        CHECK(root.rename("f", open, "f") == Errno::noent);
        CHECK(root.link("f", open, "f") == Errno::noent);
        CHECK(error_of(open.stat("f")) == Errno::noent);
        REQUIRE(root.mkdir("d") == Errno::success);
        root.put("d/g", "g");
        CHECK(open.names().empty());
        CHECK(error_of(open.stat("g")) == Errno::noent);
        CHECK(error_of(open.open("h", vfs::open_create, writing)) == Errno::noent);
      });
}

TEST_CASE("file systems: deep trees") {
  on_each([](const Root& root) {
    Root at = root;
    for (int i = 0; i < 300; ++i) {
      REQUIRE(at.mkdir("d") == Errno::success);
      at = at.directory("d");
    }
    at.put("f", "deep");
    CHECK(at.text("f") == "deep");
  });
}

// Two threads that rename directories into each other never make a loop, and nothing is lost.
TEST_CASE("file systems: renames against each other") {
  on_each([](const Root& root) {
    REQUIRE(root.mkdir("a") == Errno::success);
    REQUIRE(root.mkdir("b") == Errno::success);
    const auto turns = [&](const char* one, const char* two) {
      const std::string inside = std::string(two) + "/" + one;
      for (int i = 0; i < 300; ++i) {
        auto& directory = *root.object();
        static_cast<void>(directory.rename(one, directory, inside, Wait::allowed));
        static_cast<void>(directory.rename(inside, directory, one, Wait::allowed));
      }
    };
    std::thread first(turns, "a", "b");
    std::thread second(turns, "b", "a");
    first.join();
    second.join();
    static_cast<void>(root.rename("a/b", "b"));
    static_cast<void>(root.rename("b/a", "a"));
    CHECK((sorted_names(root) == Strings{"a", "b"}));
    CHECK(root.directory("a").names().empty());
    CHECK(root.directory("b").names().empty());
  });
}

TEST_CASE("file systems: several threads in one directory") {
  on_each(
      [](const Root& root) {
        REQUIRE(root.mkdir("d") == Errno::success);
        root.put("d/first", "first");
      },
      [](const Root& root) {
        std::atomic<int> won{0};
        std::vector<std::thread> all;
        for (int i = 0; i < 4; ++i) {
          all.emplace_back([&, i] {
            auto& directory = *root.object();
            const std::string own = "d/own" + std::to_string(i);
            for (int turn = 0; turn < 50; ++turn) {
              const std::string shared = "d/shared" + std::to_string(turn);
              const auto made = directory.open(shared, vfs::open_create | vfs::open_exclusive,
                                               writing, Wait::allowed);
              if (error_of(made) == Errno::success) ++won;
              static_cast<void>(directory.open(own, vfs::open_create, writing, Wait::allowed));
              static_cast<void>(directory.stat("d/first", true, Wait::allowed));
              static_cast<void>(directory.list(0, 4096, Wait::allowed));
              static_cast<void>(directory.rename(own, directory, own + "x", Wait::allowed));
              static_cast<void>(directory.link("d/first", directory, own, Wait::allowed));
              static_cast<void>(directory.remove_file(own, Wait::allowed));
            }
          });
        }
        for (std::thread& each : all) each.join();
        CHECK(won == 50);
        CHECK(root.text("d/first") == "first");
        CHECK(root.status("d/first").links == 1);
        CHECK(root.directory("d").names().size() == 55);
      });
}
