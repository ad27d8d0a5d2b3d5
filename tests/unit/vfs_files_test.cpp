// What every writable file system promises of its files (stdlib/vfs/vfs.hpp).
#include <map>
#include <thread>

#include "tests/support/file_systems.hpp"

using namespace atollvm;
using namespace atollvm::test;
using cap::Errno;

namespace {

constexpr u64 most = static_cast<u64>(INT64_MAX);

bool is_one_of(Errno error, std::initializer_list<Errno> all) {
  return std::find(all.begin(), all.end(), error) != all.end();
}

u64 seek(vfs::File& file, i64 offset, u32 whence) {
  const auto position = file.seek(offset, whence);
  REQUIRE(error_of(position) == Errno::success);
  return std::get<u64>(position);
}

u64 size_of(vfs::File& file) {
  const auto stat = attempt([&](Wait wait) { return file.stat(wait); });
  REQUIRE(error_of(stat) == Errno::success);
  return std::get<vfs::Stat>(stat).size;
}

Errno truncate(vfs::File& file, u64 size) {
  return attempt([&](Wait wait) { return file.truncate(size, wait); });
}
Errno allocate(vfs::File& file, u64 at, u64 size) {
  return attempt([&](Wait wait) { return file.allocate(at, size, wait); });
}

}  // namespace

TEST_CASE("file systems: opening, by each flag") {
  on_each(
      [](const Root& root) {
        root.put("file", "text");
        REQUIRE(root.mkdir("d") == Errno::success);
        REQUIRE(root.make_link("file", "link") == Errno::success);
        REQUIRE(root.make_link("d", "dlink") == Errno::success);
        REQUIRE(root.make_link("new", "dangling") == Errno::success);
      },
      [](const Root& root) {
        struct Row {
          const char* path;
          u32 flags;
          vfs::Access access;
          Errno error;
        };
        using namespace vfs;
        const Row rows[] = {
            {"file", 0, reading, Errno::success},
            {"file", 0, writing, Errno::success},
            {"file", 0, both, Errno::success},
            {"file", open_create, writing, Errno::success},
            {"file", open_create | open_exclusive, writing, Errno::exist},
            {"d", open_create | open_exclusive, reading, Errno::exist},
            {"link", open_create | open_exclusive, writing, Errno::exist},
            {"dangling", open_create | open_exclusive, writing, Errno::exist},
            {"file", open_directory, reading, Errno::notdir},
            {"file/", 0, reading, Errno::notdir},
            {"file/.", 0, reading, Errno::notdir},
            {"file/x", 0, reading, Errno::notdir},
            {"file/x", open_create, writing, Errno::notdir},
            {"d", 0, reading, Errno::success},
            {"d", open_directory, {}, Errno::success},
            {"d/", open_directory, {}, Errno::success},
            {"d/.", 0, reading, Errno::success},
            {"d", 0, writing, Errno::isdir},
            {"d", 0, both, Errno::isdir},
            {"d", open_create, reading, Errno::isdir},
            {"d", open_truncate, reading, Errno::isdir},
            {"d", open_directory | open_truncate, reading, Errno::isdir},
            {"d", open_directory, writing, Errno::isdir},
            {"new/", open_create, writing, Errno::isdir},
            {"file", open_create | open_directory, reading, Errno::inval},
            {"file", open_exclusive, reading, Errno::inval},
            {"file", open_flags_all + 1, reading, Errno::inval},
            {"none", 0, reading, Errno::noent},
            {"none", open_truncate, writing, Errno::noent},
            {"none/x", open_create, writing, Errno::noent},
            {"", 0, reading, Errno::noent},
            {"", open_create, writing, Errno::noent},
            {"link", 0, reading, Errno::success},
            {"link", open_nofollow, reading, Errno::loop},
            {"link", open_nofollow | open_create, writing, Errno::loop},
            {"dlink", open_directory, {}, Errno::success},
            {"dlink/", open_directory | open_nofollow, {}, Errno::success},
            {"dangling", 0, reading, Errno::noent},
            {"dangling", open_nofollow, reading, Errno::loop},
        };
        for (const Row& row : rows) {
          CAPTURE(row.path);
          CAPTURE(row.flags);
          CHECK(error_of(root.open(row.path, row.flags, row.access)) == row.error);
        }
        CHECK(error_of(root.open("dlink", open_directory | open_nofollow, {})) != Errno::success);
        CHECK(root.text("file") == "text");
        // Through a dangling link the file comes to be where it leads.
        root.put("dangling", "made");
        CHECK(root.text("new") == "made");
        CHECK(root.status("dangling", false).type == vfs::FileType::link);
        // Truncation needs no right to write.
        CHECK(error_of(root.open("file", open_truncate, reading)) == Errno::success);
        CHECK(root.text("file").empty());
      });
}

TEST_CASE("file systems: what a file is open for") {
  on_each([](const Root& root) { root.put("file", "text"); },
          [](const Root& root) {
            u8 byte = 0;
            const auto read_only = root.file("file", 0, reading);
            CHECK(write_error(*read_only, "x", std::nullopt) == Errno::badf);
            CHECK(write_error(*read_only, "x", 0) == Errno::badf);
            CHECK(truncate(*read_only, 0) == Errno::badf);
            CHECK(allocate(*read_only, 0, 1) == Errno::badf);
            const auto write_only = root.file("file", 0, writing);
            CHECK(error_of(read_into(*write_only, {&byte, 1}, 0)) == Errno::badf);
            CHECK(error_of(read_into(*write_only, {&byte, 1}, std::nullopt)) == Errno::badf);
            CHECK(write_at(*write_only, "T", 0) == 1);
            CHECK(root.text("file") == "Text");
            // Who had it open sees it.
            CHECK(read_text(*read_only, 0) == "Text");
          });
}

TEST_CASE("file systems: positions") {
  on_each([](const Root& root) { root.put("file", "0123456789"); },
          [](const Root& root) {
            const auto file = root.file("file", 0, both);
            CHECK(read_text(*file, std::nullopt, 3) == "012");
            CHECK(read_text(*file, 5, 2) == "56");
            CHECK(read_text(*file, std::nullopt, 3) == "345");
            CHECK(write_at(*file, "AB", std::nullopt) == 2);
            CHECK(write_at(*file, "Z", 0) == 1);
            CHECK(seek(*file, 0, 1) == 8);
            CHECK(seek(*file, -2, 1) == 6);
            CHECK(read_text(*file, std::nullopt) == "AB89");
            CHECK(read_text(*file, std::nullopt).empty());
            CHECK(seek(*file, -1, 2) == 9);
            CHECK(seek(*file, 20, 0) == 20);
            CHECK(read_text(*file, std::nullopt).empty());
            CHECK(error_of(file->seek(-1, 0)) == Errno::inval);
            CHECK(error_of(file->seek(-21, 1)) == Errno::inval);
            CHECK(error_of(file->seek(-11, 2)) == Errno::inval);
            CHECK(error_of(file->seek(0, 3)) == Errno::inval);
            CHECK(error_of(file->seek(INT64_MIN, 1)) == Errno::inval);
            CHECK(seek(*file, 0, 1) == 20);
            CHECK(read_text(*file, 10).empty());
            CHECK(read_text(*file, most).empty());
            CHECK(error_of(attempt([&](Wait wait) { return file->read({}, most + 1, wait); })) ==
                  Errno::inval);
            // A position of another handle is another one.
            const auto other = root.file("file", 0, reading);
            CHECK(read_text(*other, std::nullopt) == "Z12345AB89");
            CHECK(write_at(*file, "", std::nullopt) == 0);
            CHECK(size_of(*file) == 10);
          });
}

TEST_CASE("file systems: appending") {
  on_each([](const Root& root) { root.put("file", "one"); },
          [](const Root& root) {
            const auto file = root.file("file", vfs::open_append, both);
            CHECK(write_at(*file, "two", std::nullopt) == 3);
            CHECK(seek(*file, 0, 1) == 6);
            CHECK(seek(*file, 0, 0) == 0);
            CHECK(write_at(*file, "!", std::nullopt) == 1);
            CHECK(root.text("file") == "onetwo!");
            // With a position it goes there.
            CHECK(write_at(*file, "O", 0) == 1);
            CHECK(root.text("file") == "Onetwo!");
            const auto plain = root.file("file", 0, writing);
            CHECK(write_at(*plain, "?", std::nullopt, {true, vfs::Durability::none}) == 1);
            CHECK(seek(*plain, 0, 1) == 8);
            CHECK(root.text("file") == "Onetwo!?");
            CHECK(write_at(*plain, "s", std::nullopt, {true, vfs::Durability::all}) == 1);
            CHECK(root.text("file") == "Onetwo!?s");
          });
}

TEST_CASE("file systems: holes, sizes and what does not fit") {
  on_each([](const Root& root) {
    const auto file = root.file("file", vfs::open_create, both);
    constexpr u64 far = u64{1} << 40;
    CHECK(write_at(*file, "end", far) == 3);
    CHECK(size_of(*file) == far + 3);
    CHECK(read_text(*file, far - 2, 5) == std::string("\0\0end", 5));
    CHECK(read_text(*file, 12345, 3) == std::string(3, '\0'));
    CHECK(truncate(*file, 5000) == Errno::success);
    CHECK(read_text(*file, 4999, 5) == std::string(1, '\0'));
    CHECK(write_at(*file, "xyz", 4097) == 3);
    CHECK(truncate(*file, 4098) == Errno::success);
    CHECK(truncate(*file, 4100) == Errno::success);
    // What was cut off does not come back.
    CHECK(read_text(*file, 4096) == std::string("\0x\0\0", 4));
    CHECK(truncate(*file, 10) == Errno::success);
    CHECK(write_at(*file, "!", 5000) == 1);
    CHECK(read_text(*file, 4096, 4) == std::string(4, '\0'));
    CHECK(truncate(*file, most + 1) == Errno::fbig);
    CHECK(write_error(*file, "x", most) == Errno::fbig);
    CHECK(is_one_of(write_error(*file, "xx", most - 1), {Errno::fbig, Errno::success}));
    CHECK(write_error(*file, "x", most + 1) == Errno::inval);
    CHECK(truncate(*file, 0) == Errno::success);
    CHECK(size_of(*file) == 0);

    CHECK(allocate(*file, 0, 0) == Errno::inval);
    CHECK(allocate(*file, most, 1) == Errno::fbig);
    CHECK(allocate(*file, 1, most) == Errno::fbig);
    CHECK(allocate(*file, ~u64{0}, ~u64{0}) == Errno::fbig);
    CHECK(is_one_of(allocate(*file, 0, most), {Errno::fbig, Errno::nospc}));
    CHECK(size_of(*file) == 0);
    CHECK(allocate(*file, 100, 70'000) == Errno::success);
    CHECK(size_of(*file) == 70'100);
    CHECK(read_text(*file, 70'097) == std::string(3, '\0'));
    CHECK(allocate(*file, 0, 10) == Errno::success);
    CHECK(size_of(*file) == 70'100);

    const auto advise = [&](u64 at, u64 size) {
      return attempt(
          [&](Wait wait) { return file->advise(at, size, vfs::Advice::sequential, wait); });
    };
    CHECK(advise(0, 0) == Errno::success);
    CHECK(advise(most, most) == Errno::inval);
    const auto sync = [&](vfs::Durability how) {
      return attempt([&](Wait wait) { return file->sync(how, wait); });
    };
    CHECK(sync(vfs::Durability::data) == Errno::success);
    CHECK(sync(vfs::Durability::all) == Errno::success);
    CHECK(root.sync() == Errno::success);
  });
}

TEST_CASE("file systems: bytes in every way of cutting them") {
  on_each([](const Root& root) {
    std::string want;
    const auto file = root.file("file", vfs::open_create, both);
    u64 state = 7;
    const auto random = [&state](u64 below) {
      state = state * 6364136223846793005 + 1442695040888963407;
      return (state >> 33) % below;
    };
    for (int i = 0; i < 200; ++i) {
      const u64 at = random(200'000);
      if (random(8) == 0) {
        REQUIRE(truncate(*file, at) == Errno::success);
        want.resize(at);
        continue;
      }
      const std::string text(random(9000) + 1, static_cast<char>('a' + i % 26));
      REQUIRE(write_at(*file, text, at) == text.size());
      if (want.size() < at + text.size()) want.resize(at + text.size());
      want.replace(at, text.size(), text);
    }
    REQUIRE(size_of(*file) == want.size());
    std::string got;
    while (true) {
      const std::string part = read_text(*file, got.size(), random(7000) + 1);
      if (part.empty()) break;
      got += part;
    }
    CHECK((got == want));
  });
}

TEST_CASE("file systems: a file that is removed or replaced while it is open") {
  on_each([](const Root& root) { root.put("file", "text"); },
          [](const Root& root) {
            const auto reader = root.file("file", 0, reading);
            const auto writer = root.file("file", 0, both);
            REQUIRE(root.remove("file") == Errno::success);
            CHECK(error_of(root.stat("file")) == Errno::noent);
            CHECK(write_at(*writer, "more", 4) == 4);
            CHECK(read_text(*writer, 0) == "textmore");
            CHECK(read_text(*reader, 0) == "textmore");
            root.put("file", "new");
            CHECK(read_text(*reader, 0) == "textmore");
            const auto later = root.file("file", 0, reading);
            root.put("other", "other");
            REQUIRE(root.rename("other", "file") == Errno::success);
            CHECK(read_text(*later, 0) == "new");
            CHECK(root.text("file") == "other");
            const auto stat = attempt([&](Wait wait) { return writer->stat(wait); });
            REQUIRE(error_of(stat) == Errno::success);
            CHECK(std::get<vfs::Stat>(stat).links == 0);
          });
}

TEST_CASE("file systems: times") {
  on_each(
      [](const Root& root) {
        root.put("file", "text");
        REQUIRE(root.mkdir("d") == Errno::success);
        REQUIRE(root.make_link("file", "link") == Errno::success);
      },
      [](const Root& root) {
        const vfs::Times old{1'000'000'007, 2'000'000'009};
        for (const char* path : {"file", "d", "d/", "."}) {
          CAPTURE(path);
          REQUIRE(root.times(path, true, old) == Errno::success);
          CHECK(root.status(path).accessed_ns == 1'000'000'007);
          CHECK(root.status(path).modified_ns == 2'000'000'009);
        }
        CHECK(root.text("file") == "text");
        // Only what is given changes.
        REQUIRE(root.times("link", true, {.modified_ns = -5}) == Errno::success);
        CHECK(root.status("file").modified_ns == -5);
        REQUIRE(root.times("link", false, {1, 3}) == Errno::success);
        CHECK(root.status("link", false).modified_ns == 3);
        CHECK(root.status("file").modified_ns == -5);
        REQUIRE(root.times("file", true, {.modified_now = true}) == Errno::success);
        CHECK(root.status("file").modified_ns > 1'500'000'000'000'000'000);
        CHECK(root.times("none", true, old) == Errno::noent);
        CHECK(root.times("file/", true, old) == Errno::notdir);
        const auto file = root.file("file", 0, both);
        REQUIRE(attempt([&](Wait wait) { return file->set_times(old, wait); }) == Errno::success);
        CHECK(root.status("file").modified_ns == 2'000'000'009);
        REQUIRE(write_at(*file, "x", 0) == 1);
        CHECK(root.status("file").modified_ns > 1'500'000'000'000'000'000);
        // A name that comes or goes changes its directory.
        REQUIRE(root.times("d", true, old) == Errno::success);
        root.put("d/new", "");
        CHECK(root.status("d").modified_ns > 1'500'000'000'000'000'000);
        REQUIRE(root.times("d", true, old) == Errno::success);
        REQUIRE(root.remove("d/new") == Errno::success);
        CHECK(root.status("d").modified_ns > 1'500'000'000'000'000'000);
      });
}

TEST_CASE("file systems: what is the same file says so") {
  on_each(
      [](const Root& root) {
        root.put("a", "text");
        REQUIRE(root.mkdir("d") == Errno::success);
      },
      [](const Root& root) {
        const auto same = [&](const char* first, const char* second) {
          const vfs::Stat one = root.status(first);
          const vfs::Stat two = root.status(second);
          return one.device == two.device && one.inode == two.inode;
        };
        REQUIRE(root.link("a", "b") == Errno::success);
        root.put("c", "text");
        CHECK(same("a", "b"));
        CHECK(!same("a", "c"));
        CHECK(same("d", "d/../d/."));
        CHECK(!same("d", "."));
        CHECK(root.status("a").links == 2);
        const vfs::Stat directory = root.status("d");
        root.put("d/new", "");
        CHECK(root.status("d").inode == directory.inode);
        CHECK(root.status("d").type == vfs::FileType::directory);
        CHECK(root.status("a").type == vfs::FileType::regular);
      });
}

TEST_CASE("file systems: several threads on one file") {
  on_each([](const Root& root) {
    root.put("log", "");
    constexpr int threads = 4;
    constexpr int turns = 200;
    const auto appended = root.file("log", vfs::open_append, writing);
    std::vector<std::thread> all;
    for (int i = 0; i < threads; ++i) {
      all.emplace_back([&, i] {
        const std::string own(7, static_cast<char>('a' + i));
        const std::span bytes(reinterpret_cast<const u8*>(own.data()), own.size());
        for (int turn = 0; turn < turns; ++turn) {
          static_cast<void>(appended->write(bytes, std::nullopt, {}, Wait::allowed));
        }
      });
    }
    for (std::thread& each : all) each.join();
    // Each piece is whole.
    const auto file = root.file("log", 0, reading);
    REQUIRE(size_of(*file) == u64{7} * threads * turns);
    std::map<char, int> seen;
    for (int i = 0; i < threads * turns; ++i) {
      const std::string piece = read_text(*file, std::nullopt, 7);
      CHECK((piece == std::string(7, piece[0])));
      ++seen[piece[0]];
    }
    CHECK(seen.size() == threads);
    for (const auto& [letter, count] : seen) CHECK(count == turns);
  });
}
