// Overlays: what is below stays as it is, whatever is done above.
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/file_systems.hpp"

using namespace atollvm;
using namespace atollvm::test;
using cap::Errno;
using Strings = std::vector<std::string>;

namespace {

// Files below, and an overlay of them.
struct Layers {
  ScratchDirectory scratch;
  std::string lower = scratch / "lower";
  Root root{nullptr};

  explicit Layers(bool keeps = false) {
    namespace fs = std::filesystem;
    fs::create_directories(lower + "/d/e");
    put_text(lower + "/a", "lower a");
    put_text(lower + "/b", "lower b");
    put_text(lower + "/d/f", "lower f");
    put_text(lower + "/d/e/g", "lower g");
    REQUIRE(symlink("d/f", (lower + "/link").c_str()) == 0);
    REQUIRE(symlink("../outside", (lower + "/out").c_str()) == 0);
    REQUIRE(symlink("/etc/passwd", (lower + "/absolute").c_str()) == 0);
    REQUIRE(mkfifo((lower + "/fifo").c_str(), 0600) == 0);
    REQUIRE(link((lower + "/a").c_str(), (lower + "/a2").c_str()) == 0);
    put_text(scratch / "outside", "outside");
    before_ = digest();
    root = open(keeps);
  }
  ~Layers() {
    CHECK(digest() == before_);
    CHECK(text_of(scratch / "outside") == "outside");
  }
  Layers(const Layers&) = delete;
  Layers& operator=(const Layers&) = delete;

  [[nodiscard]] Root open(bool keeps) const {
    return Root(vfs::make_overlay(granted(lower),
                                  keeps ? in_folder(scratch, "upper") : vfs::make_memory({})));
  }

 private:
  // All that is below: names, sizes, bytes, times of writing.
  [[nodiscard]] std::string digest() const {
    std::string text;
    Strings lines;
    for (const auto& each : std::filesystem::recursive_directory_iterator(lower)) {
      struct stat status{};
      REQUIRE(lstat(each.path().c_str(), &status) == 0);
      std::string line = each.path().string() + " " + std::to_string(status.st_ino) + " " +
                         std::to_string(status.st_nlink) + " " +
                         std::to_string(status.st_mtim.tv_sec) + "." +
                         std::to_string(status.st_mtim.tv_nsec);
      if (S_ISREG(status.st_mode)) line += " " + text_of(each.path().string());
      lines.push_back(line);
    }
    std::sort(lines.begin(), lines.end());
    for (const std::string& each : lines) text += each + "\n";
    return text;
  }
  std::string before_;
};

}  // namespace

TEST_CASE("overlay: all that changes files leaves the lower layer as it is") {
  for (const bool keeps : {false, true}) {
    const Layers layers(keeps);
    const Root& root = layers.root;
    CHECK(root.text("a") == "lower a");
    const vfs::Stat old = root.status("a");
    const auto file = root.file("a", 0, both);
    CHECK(root.status("a").modified_ns == old.modified_ns);
    REQUIRE(write_at(*file, "UPPER", 0) == 5);
    CHECK(root.text("a") == "UPPER a");
    CHECK(root.text("a2") == "lower a");  // a shared file is one only below
    root.put("b", "cut");
    CHECK(root.text("b") == "cut");
    REQUIRE(root.times("d/f", true, {1, 2}) == Errno::success);
    CHECK(root.status("d/f").modified_ns == 2);
    CHECK(root.text("d/f") == "lower f");
    REQUIRE(root.times("d/e", true, {1, 2}) == Errno::success);
    CHECK(root.status("d/e").modified_ns == 2);
    CHECK(root.text("d/e/g") == "lower g");
    REQUIRE(root.link("d/e/g", "g2") == Errno::success);
    root.put("g2", "both");
    CHECK(root.text("d/e/g") == "both");
    REQUIRE(root.rename("d/e/g", "a2") == Errno::success);
    CHECK(root.text("a2") == "both");
    CHECK(error_of(root.stat("d/e/g")) == Errno::noent);
    REQUIRE(root.rename("link", "moved") == Errno::success);
    CHECK(root.text("moved") == "lower f");
    const auto allocated = root.file("a2", 0, both);
    REQUIRE(attempt([&](Wait wait) { return allocated->truncate(2, wait); }) == Errno::success);
    CHECK(root.text("a2") == "bo");
    const auto reader = root.file("d/f", 0, reading);
    CHECK(attempt([&](Wait wait) { return reader->set_times({5, 6}, wait); }) == Errno::success);
    CHECK(root.status("d/f").modified_ns == 6);
  }
}

TEST_CASE("overlay: who reads a file sees it change") {
  const Layers layers;
  const Root& root = layers.root;
  const auto reader = root.file("a", 0, reading);
  const auto other = root.file("a", 0, reading);
  CHECK(read_text(*reader, std::nullopt, 3) == "low");
  const auto writer = root.file("a", 0, writing);
  REQUIRE(write_at(*writer, "UPPER", 0) == 5);
  CHECK(read_text(*reader, std::nullopt) == "ER a");
  CHECK(read_text(*other, std::nullopt) == "UPPER a");
  CHECK(write_error(*reader, "x", 0) == Errno::badf);
  CHECK(attempt([&](Wait wait) { return reader->truncate(0, wait); }) == Errno::badf);
  CHECK(attempt([&](Wait wait) { return reader->allocate(0, 1, wait); }) == Errno::badf);
  // What was removed is read on, and has no times to set.
  const auto gone = root.file("b", 0, reading);
  REQUIRE(root.remove("b") == Errno::success);
  CHECK(read_text(*gone, std::nullopt) == "lower b");
  CHECK(attempt([&](Wait wait) { return gone->set_times({1, 2}, wait); }) == Errno::rofs);
  root.put("b", "other");
  CHECK(read_text(*gone, 0) == "lower b");
  CHECK(attempt([&](Wait wait) { return gone->set_times({1, 2}, wait); }) == Errno::rofs);
  // Nor when another file of below is what its path leads to now.
  const auto moved = root.file("d/f", 0, reading);
  REQUIRE(root.remove("d/f") == Errno::success);
  REQUIRE(root.remove("d/e/g") == Errno::success);
  REQUIRE(root.rmdir("d/e") == Errno::success);
  REQUIRE(root.rmdir("d") == Errno::success);
  REQUIRE(root.make_link(".", "d") == Errno::success);
  REQUIRE(root.link("a2", "f") == Errno::success);
  CHECK(attempt([&](Wait wait) { return moved->set_times({1, 2}, wait); }) == Errno::rofs);
  CHECK(error_of(gone->seek(-1, 0)) == Errno::inval);
  CHECK(error_of(gone->seek(0, 3)) == Errno::inval);
  CHECK(std::get<u64>(gone->seek(-1, 2)) == 6);
  CHECK(read_text(*gone, std::nullopt) == "b");
}

TEST_CASE("overlay: directories from below") {
  const Layers layers;
  const Root& root = layers.root;
  CHECK(root.rename("d", "x") == Errno::xdev);
  CHECK(root.rename("d/e", "x") == Errno::xdev);
  CHECK(root.rename("d", "a") == Errno::notdir);
  REQUIRE(root.mkdir("own") == Errno::success);
  root.put("own/file", "own");
  CHECK(root.rename("own", "d") == Errno::notempty);
  const Root open = root.directory("d");
  const Root inner = root.directory("d/e");
  REQUIRE(inner.remove("g") == Errno::success);
  CHECK(root.rmdir("d") == Errno::notempty);
  // One of its own goes in the place of an empty one.
  REQUIRE(root.rename("own", "d/e") == Errno::success);
  CHECK(root.text("d/e/file") == "own");
  CHECK((root.directory("d/e").names() == Strings{"file"}));
  CHECK(inner.names().empty());
  CHECK(error_of(inner.open("x", vfs::open_create, writing)) == Errno::noent);
  REQUIRE(root.remove("d/e/file") == Errno::success);
  REQUIRE(root.rmdir("d/e") == Errno::success);
  REQUIRE(root.remove("d/f") == Errno::success);
  CHECK(open.names().empty());
  REQUIRE(root.rmdir("d") == Errno::success);
  REQUIRE(root.mkdir("d") == Errno::success);
  CHECK(root.directory("d").names().empty());
  CHECK(open.names().empty());
  CHECK(open.mkdir("x") == Errno::noent);
  REQUIRE(root.rename("d", "e") == Errno::success);
  CHECK(error_of(root.stat("d")) == Errno::noent);
}

TEST_CASE("overlay: a directory keeps its number, and handles to it what they are") {
  const Layers layers;
  const Root& root = layers.root;
  const Root early = root.directory("d/e");
  const vfs::Stat before = root.status("d/e");
  root.put("d/e/new", "new");
  CHECK(root.status("d/e").inode == before.inode);
  CHECK(root.status("d/e").device == before.device);
  CHECK(early.status(".").inode == before.inode);
  CHECK(early.text("new") == "new");
  early.put("newer", "newer");
  CHECK((sorted_names(root.directory("d/e")) == Strings{"g", "new", "newer"}));
}

TEST_CASE("overlay: its own names are nobody's") {
  for (const bool keeps : {false, true}) {
    const Layers layers(keeps);
    const Root& root = layers.root;
    REQUIRE(root.remove("a") == Errno::success);
    REQUIRE(root.remove("link") == Errno::success);
    CHECK((sorted_names(root) == Strings{"a2", "absolute", "b", "d", "fifo", "out"}));
    CHECK(error_of(root.stat(".wh.a")) == Errno::noent);
    CHECK(error_of(root.open(".wh.a", 0, reading)) == Errno::noent);
    CHECK(error_of(root.open(".wh.a", vfs::open_create, writing)) == Errno::perm);
    CHECK(error_of(root.open("d/.wh.f", vfs::open_create, writing)) == Errno::perm);
    CHECK(root.remove(".wh.a") == Errno::noent);
    CHECK(root.rename(".wh.a", "x") == Errno::noent);
    CHECK(root.rename("b", ".wh.x") == Errno::perm);
    CHECK(root.link("b", ".wh.x") == Errno::perm);
    CHECK(root.mkdir(".wh.b") == Errno::perm);
    CHECK(root.make_link("x", ".wh.b") == Errno::perm);
    CHECK(root.make_link(".wh.a", "to_whiteout") == Errno::success);
    CHECK(error_of(root.stat("to_whiteout")) == Errno::noent);
    CHECK(error_of(root.open("to_whiteout", vfs::open_create, writing)) == Errno::perm);
    CHECK(error_of(root.stat("a")) == Errno::noent);
    CHECK(root.text("b") == "lower b");
  }
}

TEST_CASE("overlay: what leads out, and what is no file") {
  const Layers layers;
  const Root& root = layers.root;
  for (const char* path : {"out", "absolute", "out/x", "../outside", "/etc/passwd", "d/../../x"}) {
    CAPTURE(path);
    CHECK(error_of(root.open(path, 0, reading)) == Errno::notcapable);
    CHECK(error_of(root.open(path, vfs::open_create, writing)) == Errno::notcapable);
    CHECK(error_of(root.stat(path)) == Errno::notcapable);
  }
  CHECK(error_of(root.open("fifo", 0, reading)) == Errno::notsup);
  CHECK(error_of(root.open("fifo", 0, writing)) == Errno::notsup);
  CHECK(root.rename("fifo", "x") == Errno::notsup);
  // A link itself is renamed; an absolute one can't be made anew.
  CHECK(root.rename("out", "out2") == Errno::success);
  CHECK(error_of(root.stat("out2")) == Errno::notcapable);
  CHECK(root.rename("absolute", "x") == Errno::notcapable);
  CHECK(error_of(root.stat("absolute", false)) == Errno::success);
  CHECK(root.remove("fifo") == Errno::success);
  CHECK(root.remove("absolute") == Errno::success);
  CHECK(error_of(root.stat("fifo")) == Errno::noent);
}

TEST_CASE("overlay: what does not fit above is not half there") {
  const Layers layers;
  put_text(layers.scratch / "large", std::string(300'000, 'x'));
  std::filesystem::create_directories(layers.scratch / "other");
  put_text(layers.scratch / "other/large", std::string(300'000, 'x'));
  const Root root(
      vfs::make_overlay(granted(layers.scratch / "other"), vfs::make_memory({100'000, ~u64{0}})));
  CHECK(error_of(root.open("large", 0, writing)) == Errno::nospc);
  CHECK(root.rename("large", "x") == Errno::nospc);
  CHECK(root.text("large").size() == 4096);
  CHECK((root.names() == Strings{"large"}));
  CHECK(root.status("large").size == 300'000);
  // What is cut off need not be copied.
  root.put("large", "small");
  CHECK(root.text("large") == "small");
}

TEST_CASE("overlay: holes stay holes") {
  const Layers layers;
  std::filesystem::create_directories(layers.scratch / "other");
  put_text(layers.scratch / "other/sparse", "begin");
  REQUIRE(truncate((layers.scratch / "other/sparse").c_str(), 50'000'000) == 0);
  const Root root(
      vfs::make_overlay(granted(layers.scratch / "other"), vfs::make_memory({200'000, ~u64{0}})));
  const auto file = root.file("sparse", 0, both);
  CHECK(root.status("sparse").size == 50'000'000);
  CHECK(read_text(*file, 0, 6) == std::string("begin\0", 6));
  CHECK(read_text(*file, 49'999'999) == std::string(1, '\0'));
}

TEST_CASE("overlay: changes in a directory are there again") {
  const Layers layers(true);
  {
    const Root& root = layers.root;
    root.put("a", "changed");
    REQUIRE(root.remove("b") == Errno::success);
    REQUIRE(root.remove("d/e/g") == Errno::success);
    REQUIRE(root.rmdir("d/e") == Errno::success);
    REQUIRE(root.mkdir("d/e") == Errno::success);
    root.put("d/e/own", "own");
    REQUIRE(root.rename("d/f", "f") == Errno::success);
  }
  const Root again = layers.open(true);
  CHECK(again.text("a") == "changed");
  CHECK((sorted_names(again) == Strings{"a", "a2", "absolute", "d", "f", "fifo", "link", "out"}));
  CHECK((sorted_names(again.directory("d")) == Strings{"e"}));
  CHECK((sorted_names(again.directory("d/e")) == Strings{"own"}));
  CHECK(again.text("f") == "lower f");
  CHECK(error_of(again.stat("b")) == Errno::noent);
}
