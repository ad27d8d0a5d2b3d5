// What every writable file system tells those who watch it (stdlib/vfs/watch.hpp).
#include "stdlib/vfs/watch.hpp"

#include <poll.h>

#include <cstring>
#include <thread>

#include "stdlib/vfs/name_space.hpp"
#include "tests/support/file_systems.hpp"

using namespace atollvm;
using namespace atollvm::test;
using cap::Errno;
using Strings = std::vector<std::string>;

namespace {

using Watched = vfs::Outcome<std::shared_ptr<vfs::Watch>>;

Watched try_watch(const Root& root, std::string_view path) {
  return attempt([&](Wait wait) { return (*root).watch(path, wait); });
}
std::shared_ptr<vfs::Watch> watch(const Root& root, std::string_view path = ".") {
  const Watched made = try_watch(root, path);
  REQUIRE(error_of(made) == Errno::success);
  return std::get<std::shared_ptr<vfs::Watch>>(made);
}

bool is_readable(vfs::Watch& watch) {
  pollfd one{watch.wait_fd(), POLLIN, 0};
  return poll(&one, 1, 0) == 1;
}

// Events as texts: "created a", "renamed b to a".
Strings parse(std::span<const u8> bytes) {
  static const char* const words[] = {"",        "created",  "removed", "renamed",
                                      "changed", "overflow", "gone"};
  Strings events;
  for (usize at = 0; at < bytes.size();) {
    u32 header[3];
    REQUIRE(bytes.size() - at >= sizeof header);
    memcpy(header, bytes.data() + at, sizeof header);
    at += sizeof header;
    REQUIRE(header[0] >= 1);
    REQUIRE(header[0] <= 6);
    REQUIRE(bytes.size() - at >= u64{header[1]} + header[2]);
    const auto* const text = reinterpret_cast<const char*>(bytes.data() + at);
    std::string event = words[header[0]];
    if (header[2] != 0) event += " " + std::string(text + header[1], header[2]) + " to";
    if (header[1] != 0) event += " " + std::string(text, header[1]);
    events.push_back(std::move(event));
    at += header[1] + header[2];
  }
  return events;
}

// All that there is now; "end" is the last where there will be none.
Strings events_of(vfs::Watch& watch, usize room = 4096, bool is_quiet = true) {
  Strings all;
  std::vector<u8> buffer(room);
  while (true) {
    const vfs::Outcome<u32> size = watch.read(buffer);
    if (error_of(size) == Errno::again) {
      if (is_quiet) CHECK(!is_readable(watch));
      return all;
    }
    REQUIRE(error_of(size) == Errno::success);
    const u32 used = std::get<u32>(size);
    if (used == 0) {
      all.emplace_back("end");
      return all;
    }
    const Strings some = parse(std::span(buffer).first(used));
    all.insert(all.end(), some.begin(), some.end());
  }
}

// One event after another that says the same counts once: how writes are told apart is no promise.
Strings squeezed(Strings events) {
  events.erase(std::unique(events.begin(), events.end()), events.end());
  return events;
}
Strings told(vfs::Watch& watch) { return squeezed(events_of(watch)); }

void make_empty(const Root& root, std::string_view path) {
  static_cast<void>(root.file(path, vfs::open_create, writing));
}

void make_some(const Root& root) {
  REQUIRE(root.mkdir("d") == Errno::success);
  REQUIRE(root.mkdir("other") == Errno::success);
  root.put("d/old", "text");
  root.put("d/below", "text");
  root.put("other/from", "text");
  REQUIRE(root.mkdir("d/empty") == Errno::success);
  REQUIRE(root.make_link("d", "to_d") == Errno::success);
  REQUIRE(root.make_link("old", "d/to_old") == Errno::success);
  REQUIRE(root.make_link("nothing", "dangling") == Errno::success);
}

}  // namespace

TEST_CASE("watch: names of a directory") {
  on_each(make_some, [](const Root& root) {
    const auto d = watch(root, "d");
    const auto again = watch(root, "to_d");
    const auto outer = watch(root);
    CHECK(told(*d).empty());
    CHECK(!is_readable(*d));

    make_empty(root, "d/new");
    CHECK(is_readable(*d));
    CHECK(told(*d) == Strings{"created new"});
    CHECK(!is_readable(*d));
    REQUIRE(root.mkdir("d/folder") == Errno::success);
    REQUIRE(root.make_link("x", "d/soft") == Errno::success);
    REQUIRE(root.link("d/new", "d/hard") == Errno::success);
    CHECK(told(*d) == Strings{"created folder", "created soft", "created hard"});
    REQUIRE(root.rename("d/new", "d/newer") == Errno::success);
    CHECK(told(*d) == Strings{"renamed new to newer"});
    REQUIRE(root.rename("d/old", "d/soft") == Errno::success);
    CHECK(told(*d) == Strings{"renamed old to soft"});
    REQUIRE(root.rename("d/newer", "other/newer") == Errno::success);
    CHECK(told(*d) == Strings{"removed newer"});
    REQUIRE(root.rename("other/from", "d/here") == Errno::success);
    CHECK(told(*d) == Strings{"created here"});
    REQUIRE(root.remove("d/here") == Errno::success);
    REQUIRE(root.rmdir("d/folder") == Errno::success);
    REQUIRE(root.rmdir("d/empty") == Errno::success);
    REQUIRE(root.remove("d/to_old") == Errno::success);
    CHECK(told(*d) == Strings{"removed here", "removed folder", "removed empty", "removed to_old"});
    // What fails is not told, and neither is what changes nothing.
    CHECK(root.mkdir("d/soft") == Errno::exist);
    CHECK(root.remove("d/none") == Errno::noent);
    CHECK(root.rename("d/none", "d/x") == Errno::noent);
    CHECK(root.rename("d/soft", "d/soft") == Errno::success);
    CHECK(root.text("d/soft") == "text");
    CHECK(root.names().size() > 2);
    CHECK(told(*d).empty());
    // Who watches the same is told the same, and what lies below is not told.
    CHECK(told(*again).size() == 12);
    CHECK(told(*outer).empty());
    REQUIRE(root.mkdir("more") == Errno::success);
    REQUIRE(root.rename("more", "moved") == Errno::success);
    CHECK(told(*outer) == Strings{"created more", "renamed more to moved"});
    CHECK(told(*d).empty());
  });
}

TEST_CASE("watch: changes of files") {
  on_each(make_some, [](const Root& root) {
    const auto early = root.file("d/below", 0, both);
    const auto d = watch(root, "d");
    write_at(*early, "more", 0);
    CHECK(told(*d) == Strings{"changed below"});
    // Which name a file has now.
    REQUIRE(root.rename("d/below", "d/b") == Errno::success);
    write_at(*early, "more", 0);
    CHECK(told(*d) == Strings{"renamed below to b", "changed b"});
    CHECK(early->truncate(2, Wait::allowed) == Errno::success);
    CHECK(told(*d) == Strings{"changed b"});
    CHECK(early->set_times({1'000'000'000, 1'000'000'000}, Wait::allowed) == Errno::success);
    CHECK(told(*d) == Strings{"changed b"});
    CHECK(root.times("d/b", true, {2'000'000'000, 2'000'000'000}) == Errno::success);
    CHECK(told(*d) == Strings{"changed b"});
    root.put("d/b", "text");
    CHECK(told(*d) == Strings{"changed b"});
    CHECK(read_text(*early, 0) == "text");
    CHECK(told(*d).empty());
    REQUIRE(root.rename("d/b", "b") == Errno::success);
    write_at(*early, "more", 0);
    CHECK(told(*d) == Strings{"removed b"});
    REQUIRE(root.rename("b", "d/b") == Errno::success);
    write_at(*early, "more", 0);
    CHECK(told(*d) == Strings{"created b", "changed b"});
    REQUIRE(root.remove("d/b") == Errno::success);
    write_at(*early, "more", 0);
    CHECK(told(*d) == Strings{"removed b"});
    root.put("d/b", "another");
    CHECK(told(*d) == Strings{"created b", "changed b"});
    write_at(*early, "more", 0);
    CHECK(told(*d).empty());
    // A file that another one replaces.
    const auto replaced = root.file("d/b", 0, writing);
    root.put("d/c", "c");
    REQUIRE(root.rename("d/c", "d/b") == Errno::success);
    CHECK(told(*d) == Strings{"created c", "changed c", "renamed c to b"});
    write_at(*replaced, "x", 0);
    CHECK(told(*d).empty());
  });
}

TEST_CASE("watch: one name") {
  on_each(make_some, [](const Root& root) {
    const auto one = watch(root, "d/old");
    const auto link = watch(root, "d/to_old");  // the link itself
    CHECK(error_of(try_watch(root, "d/none")) == Errno::noent);
    CHECK(error_of(try_watch(root, "none/x")) == Errno::noent);
    CHECK(error_of(try_watch(root, "d/old/")) == Errno::notdir);
    CHECK(error_of(try_watch(root, "d/old/x")) == Errno::notdir);
    CHECK(error_of(try_watch(root, "../x")) == Errno::notcapable);
    CHECK(error_of(try_watch(root, "/d")) == Errno::notcapable);
    CHECK(error_of(try_watch(root, "")) == Errno::noent);
    CHECK(error_of(try_watch(root, "dangling/")) != Errno::success);
    CHECK(told(*watch(root, "dangling")).empty());
    root.put("d/secret", "x");
    REQUIRE(root.rename("d/secret", "d/secret2") == Errno::success);
    CHECK(told(*one).empty());
    root.put("d/old", "x");
    CHECK(told(*one) == Strings{"changed old"});
    REQUIRE(root.rename("d/secret2", "d/old") == Errno::success);
    CHECK(told(*one) == Strings{"created old"});
    REQUIRE(root.rename("d/old", "d/hidden") == Errno::success);
    CHECK(told(*one) == Strings{"removed old"});
    root.put("d/old", "x");
    CHECK(told(*one) == Strings{"created old", "changed old"});
    REQUIRE(root.rename("d/old", "other/hidden") == Errno::success);
    CHECK(told(*one) == Strings{"removed old"});
    CHECK(told(*link).empty());
    REQUIRE(root.remove("d/to_old") == Errno::success);
    CHECK(told(*link) == Strings{"removed to_old"});
  });
}

TEST_CASE("watch: a directory that goes") {
  on_each(make_some, [](const Root& root) {
    const auto empty = watch(root, "d/empty");
    const auto d = watch(root, "d");
    REQUIRE(root.rmdir("d/empty") == Errno::success);
    CHECK(told(*empty) == Strings{"gone", "end"});
    CHECK(told(*empty) == Strings{"end"});
    CHECK(told(*d) == Strings{"removed empty"});
    // A new one of the name is another one.
    REQUIRE(root.mkdir("d/empty") == Errno::success);
    root.put("d/empty/x", "x");
    CHECK(told(*empty) == Strings{"end"});
    // A directory that is renamed is the same one.
    REQUIRE(root.mkdir("a") == Errno::success);
    const auto a = watch(root, "a");
    REQUIRE(root.rename("a", "b") == Errno::success);
    make_empty(root, "b/x");
    CHECK(told(*a) == Strings{"created x"});
    REQUIRE(root.remove("b/x") == Errno::success);
    REQUIRE(root.mkdir("c") == Errno::success);
    REQUIRE(root.rename("c", "b") == Errno::success);
    CHECK(told(*a) == Strings{"removed x", "gone", "end"});
    const Root kept = root.directory("d/empty");
    REQUIRE(root.remove("d/empty/x") == Errno::success);
    REQUIRE(root.rmdir("d/empty") == Errno::success);
    CHECK(error_of(try_watch(kept, "x")) == Errno::noent);
  });
}

TEST_CASE("watch: room") {
  on_each(make_some, [](const Root& root) {
    const auto d = watch(root, "d");
    make_empty(root, "d/name");
    std::vector<u8> buffer(100);
    CHECK(error_of(d->read(std::span(buffer).first(0))) == Errno::range);
    CHECK(error_of(d->read(std::span(buffer).first(15))) == Errno::range);
    make_empty(root, "d/name2");
    make_empty(root, "d/n");
    const auto first = d->read(std::span(buffer).first(16));
    CHECK(parse(std::span(buffer).first(std::get<u32>(first))) == Strings{"created name"});
    CHECK(events_of(*d, 20) == Strings{"created name2", "created n"});
    // Names of all bytes and lengths.
    const std::string longest(255, '\xff');
    const std::string short_name = "\x01";
    REQUIRE(root.mkdir("d/" + longest) == Errno::success);
    REQUIRE(root.rename("d/" + longest, "d/" + short_name) == Errno::success);
    CHECK(told(*d) == Strings{"created " + longest, "renamed " + longest + " to " + short_name});
  });
}

TEST_CASE("watch: more than there is room for") {
  on_each(make_some, [](const Root& root) {
    const auto d = watch(root, "d");
    const auto other = watch(root, "other");
    const std::string tail(200, 'x');
    REQUIRE(root.mkdir("d/" + tail) == Errno::success);
    for (int i = 0; i < 1000; ++i) {
      const std::string from = i % 2 == 0 ? tail : "b" + tail;
      const std::string to = i % 2 == 0 ? "b" + tail : tail;
      if (root.rename("d/" + from, "d/" + to) != Errno::success) FAIL("rename");
    }
    make_empty(root, "other/x");
    const Strings events = events_of(*d, 1 << 16);
    REQUIRE(!events.empty());
    CHECK(events.front() == "created " + tail);
    if ((*root).type_name() != "dir") {
      CHECK(events.back() == "overflow");
      CHECK(std::count(events.begin(), events.end(), "overflow") == 1);
      CHECK(events.size() < 500);
    }
    CHECK(told(*other) == Strings{"created x"});
    // It goes on after that.
    make_empty(root, "d/y");
    CHECK(told(*d) == Strings{"created y"});
  });
}

TEST_CASE("watch: the kernel's own queue overflows") {
  const ScratchDirectory scratch;
  const Root root(in_folder(scratch, "data"));
  const auto all = watch(root);
  const std::string path = scratch / "data/x";
  for (int i = 0; i < 20'000; ++i) {
    std::filesystem::create_directory(path);
    std::filesystem::remove(path);
  }
  const Strings events = events_of(*all);
  CHECK(std::count(events.begin(), events.end(), "overflow") == 1);
  make_empty(root, "y");
  CHECK(told(*all) == Strings{"created y"});
}

TEST_CASE("watch: nobody is told of what begins with the overlay's own names") {
  const ScratchDirectory scratch;
  const auto lower = in_folder(scratch, "lower");
  Root(lower).put("a", "text");
  Root(lower).put("b", "text");
  const Root root(vfs::make_overlay(lower, in_folder(scratch, "upper")));
  const auto all = watch(root);
  const auto writer = root.file("a", 0, writing);  // copies it
  CHECK(told(*all).empty());
  write_at(*writer, "x", 0);
  REQUIRE(root.remove("b") == Errno::success);
  REQUIRE(root.rename("a", "c") == Errno::success);
  CHECK(told(*all) == Strings{"changed a", "removed b", "renamed a to c"});
}

TEST_CASE("watch: where nothing changes, nothing is watched") {
  if (!vfs::load_archives().ok()) return;
  const ScratchDirectory scratch;
  const Root root(in_archive(scratch, "--format=pax"));
  CHECK(error_of(try_watch(root, ".")) == Errno::notsup);
}

TEST_CASE("watch: those who come and go while others work") {
  on_each(make_some, [](const Root& root) {
    const bool is_quick = (*root).type_name() == "memory";
    const int rounds = is_quick ? 3000 : 300;
    std::atomic<bool> done = false;
    std::thread writer([&] {
      for (int i = 0; i < rounds; ++i) {
        const std::string name = "d/f" + std::to_string(i % 7);
        const auto file = root.open(name, vfs::open_create, writing);
        if (const auto* object = std::get_if<std::shared_ptr<cap::Object>>(&file)) {
          const u8 byte = 1;
          static_cast<void>(
              static_cast<vfs::File&>(**object).write({&byte, 1}, 0, {}, Wait::allowed));
        }
        static_cast<void>((*root).rename(name, *root, "d/g", Wait::allowed));
        static_cast<void>((*root).remove_file("d/g", Wait::allowed));
      }
      done = true;
    });
    const auto steady = watch(root, "d");
    usize seen = 0;
    while (!done) {
      const auto brief = watch(root, "d");
      seen += events_of(*brief, 4096, false).size();
      seen += events_of(*steady, 4096, false).size();
    }
    writer.join();
    seen += events_of(*steady).size();
    CHECK(seen > 0);
  });
}

TEST_CASE("watch: a file system lasts as long as it is watched") {
  std::shared_ptr<vfs::Watch> left;
  {
    const ScratchDirectory scratch;
    on_each(make_some, [&left](const Root& root) {
      left = watch(root, "d");
      make_empty(root, "d/x");
    });
  }
  CHECK(told(*left).front() == "created x");
}
