// File systems in memory and overlays that go into a snapshot and come out of it.
#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <random>
#include <string>

#include "atoll/embed/objects.hpp"
#include "stdlib/vfs/archive.hpp"
#include "tests/support/archives.hpp"
#include "tests/support/snapshots.hpp"

namespace atollvm {
namespace {

namespace fs = std::filesystem;
using base::ErrorCode;
using cap::Errno;
using test::BytesSink;
using test::BytesSource;
using vfs::Directory;
using vfs::Wait;
using Object = std::shared_ptr<cap::Object>;

Grants grant(std::vector<Mount> mounts) {
  Streams streams{std::make_shared<host::Stream>(), std::make_shared<host::Stream>(),
                  std::make_shared<host::Stream>()};
  auto opened = open_grants(std::move(streams), {}, mounts, {});
  REQUIRE(opened.ok());
  return *std::move(opened);
}
Mount memory(std::string guest, std::optional<u64> bytes = {}, std::optional<u64> inodes = {}) {
  Mount mount{"memory", "", std::move(guest)};
  mount.bytes = bytes;
  mount.inodes = inodes;
  return mount;
}

Object open_at(Directory& at, std::string_view path, u32 flags = 0, vfs::Access access = {}) {
  auto opened = at.open(path, flags, access, Wait::allowed);
  auto* const object = std::get_if<Object>(&opened);
  return object == nullptr ? nullptr : std::move(*object);
}
std::shared_ptr<vfs::File> file_at(Directory& at, std::string_view path, u32 flags = 0,
                                   vfs::Access access = {true, true}) {
  auto file = open_at(at, path, flags, access);
  REQUIRE(file != nullptr);
  REQUIRE(file->kind() == cap::Kind::file);
  return std::static_pointer_cast<vfs::File>(file);
}
void put(Directory& at, std::string_view path, std::string_view text, u64 offset = 0) {
  const auto file = file_at(at, path, vfs::open_create);
  const std::span bytes(reinterpret_cast<const u8*>(text.data()), text.size());
  const auto written = file->write(bytes, offset, {}, Wait::allowed);
  REQUIRE(std::get_if<u32>(&written) != nullptr);
}
std::string rest_of(vfs::File& file) {
  std::string text;
  u8 piece[4096];
  while (true) {
    const auto size = file.read(piece, std::nullopt, Wait::allowed);
    REQUIRE(std::get_if<u32>(&size) != nullptr);
    if (std::get<u32>(size) == 0) return text;
    text.append(reinterpret_cast<const char*>(piece), std::get<u32>(size));
  }
}
std::string text_at(Directory& at, std::string_view path) {
  return rest_of(*file_at(at, path, 0, {true, false}));
}
vfs::Stat stat_at(Directory& at, std::string_view path) {
  const auto stat = at.stat(path, false, Wait::allowed);
  REQUIRE_MESSAGE(std::get_if<vfs::Stat>(&stat) != nullptr, path);
  return std::get<vfs::Stat>(stat);
}
std::vector<vfs::Entry> list(Directory& at, u64 cookie = 0, u32 bytes = 1 << 16) {
  const auto entries = at.list(cookie, bytes, Wait::allowed);
  REQUIRE(std::get_if<Errno>(&entries) == nullptr);
  return std::get<std::vector<vfs::Entry>>(entries);
}

// What an image holds of some objects and of the file systems that they are in.
struct Image {
  std::vector<std::optional<std::string>> descriptions;
  std::map<std::string, std::string> systems;
};
Image write(const Grants& grants, const std::vector<Object>& objects = {}) {
  GrantedObjects from(grants);
  Image image;
  for (const Object& each : objects) image.descriptions.push_back(from.describe(each));
  for (const std::string& name : from.file_systems()) {
    BytesSink sink;
    base::Writer to(sink);
    from.write_file_system(name, to);
    to.flush();
    REQUIRE(to.status().ok());
    image.systems[name] = sink.bytes;
  }
  return image;
}
base::Status read(GrantedObjects& to, const Image& image, u64 beside = u64{1} << 30) {
  for (const auto& [name, bytes] : image.systems) {
    BytesSource source(bytes);
    base::Reader from(source);
    u64 left = beside;
    const bool is_there = to.read_file_system(name, from, [&](u64 amount) {
      if (amount > left) from.fail(ErrorCode::limit, "more beside");
      left -= std::min(left, amount);
      return from.ok();
    });
    if (!from.ok()) return from.status();
    if (is_there && !source.bytes.empty()) return base::Error{ErrorCode::invalid, "", "more"};
  }
  return {};
}
// The objects again, in `after`.
std::vector<Object> carry(const Grants& before, const Grants& after,
                          const std::vector<Object>& objects) {
  const Image image = write(before, objects);
  GrantedObjects to(after);
  const base::Status status = read(to, image);
  REQUIRE_MESSAGE(status.ok(), status.error().text());
  std::vector<Object> again;
  for (usize i = 0; i < objects.size(); ++i) {
    cap::Rights rights = cap::rights_all;
    again.push_back(image.descriptions[i]
                        ? to.restore(objects[i]->kind(), *image.descriptions[i], rights)
                        : nullptr);
  }
  return again;
}

void check_same(const vfs::Stat& before, const vfs::Stat& after) {
  CHECK(before.inode == after.inode);
  CHECK(before.type == after.type);
  CHECK(before.links == after.links);
  CHECK(before.size == after.size);
  CHECK(before.accessed_ns == after.accessed_ns);
  CHECK(before.modified_ns == after.modified_ns);
  CHECK(before.changed_ns == after.changed_ns);
}

TEST_CASE("snapshot files: a file system in memory comes back whole") {
  const Grants before = grant({memory("/tmp"), memory("/other")});
  Directory& root = *before.directories[0].object;
  REQUIRE(root.make_directory("d", Wait::never) == Errno::success);
  REQUIRE(root.make_directory("d/deep", Wait::never) == Errno::success);
  put(root, "d/file", "hello");
  put(root, "d/sparse", "end", (u64{1} << 40) + 4095);
  put(root, "gone", "gone");
  REQUIRE(root.remove_file("gone", Wait::never) == Errno::success);
  REQUIRE(root.link("d/file", root, "second", Wait::never) == Errno::success);
  REQUIRE(root.make_link("d/file", "link", Wait::never) == Errno::success);
  REQUIRE(root.set_times("d/file", true, {5, 7}, Wait::never) == Errno::success);
  REQUIRE(root.set_times("d", true, {8, -9}, Wait::never) == Errno::success);
  put(*before.directories[1].object, "x", "other");
  const std::string paths[] = {".", "d", "d/deep", "d/file", "d/sparse", "second", "link"};
  std::vector<vfs::Stat> stats;
  for (const std::string& path : paths) stats.push_back(stat_at(root, path));

  const Grants after = grant({memory("/other"), memory("/tmp")});
  carry(before, after, {});
  Directory& again = *after.directories[1].object;
  for (usize i = 0; i < std::size(paths); ++i) {
    CAPTURE(paths[i]);
    check_same(stats[i], stat_at(again, paths[i]));
  }
  CHECK(text_at(again, "d/file") == "hello");
  CHECK(text_at(again, "link") == "hello");
  CHECK(text_at(*after.directories[0].object, "x") == "other");
  const auto sparse = file_at(again, "d/sparse");
  CHECK(std::get<u64>(sparse->seek(-3, 2)) == (u64{1} << 40) + 4095);
  CHECK(rest_of(*sparse) == "end");
  // A number is never given again.
  put(again, "new", "");
  CHECK(stat_at(again, "new").inode == stat_at(root, "second").inode + 4);
  put(again, "second", "J");
  CHECK(text_at(again, "d/file") == "Jello");
  CHECK(text_at(root, "d/file") == "hello");
}

TEST_CASE("snapshot files: open files and directories go on where they were") {
  const Grants before = grant({memory("/tmp")});
  Directory& root = *before.directories[0].object;
  put(root, "file", "0123456789");
  put(root, "removed", "still there");
  REQUIRE(root.make_directory("d", Wait::never) == Errno::success);
  REQUIRE(root.make_directory("e", Wait::never) == Errno::success);
  for (int i = 0; i < 300; ++i) put(root, "d/" + std::to_string(i), "");
  const auto reading = file_at(root, "file", 0, {true, false});
  REQUIRE(std::get<u64>(reading->seek(4, 0)) == 4);
  const auto appending = file_at(root, "file", vfs::open_append, {false, true});
  const auto removed = file_at(root, "removed");
  REQUIRE(root.remove_file("removed", Wait::never) == Errno::success);
  const auto folder = open_at(root, "d");
  const auto empty = open_at(root, "e");
  REQUIRE(root.remove_directory("e", Wait::never) == Errno::success);
  auto some = list(static_cast<Directory&>(*folder), 0, 4096);
  REQUIRE(some.size() < 300);
  REQUIRE(root.remove_file("d/" + some.back().name, Wait::never) == Errno::success);
  REQUIRE(root.remove_file("d/299", Wait::never) == Errno::success);
  put(root, "d/late", "");

  const Grants after = grant({memory("/tmp")});
  const auto again = carry(
      before, after, {reading, appending, removed, folder, empty, before.directories[0].object});
  for (const Object& each : again) REQUIRE(each != nullptr);
  CHECK(again[5] == after.directories[0].object);
  CHECK(rest_of(static_cast<vfs::File&>(*again[0])) == "456789");
  const u8 byte[] = {'x'};
  auto& file = static_cast<vfs::File&>(*again[0]);
  CHECK(std::get<Errno>(file.write(byte, std::nullopt, {}, Wait::never)) == Errno::badf);
  auto& end = static_cast<vfs::File&>(*again[1]);
  CHECK(std::get<u32>(end.write(byte, std::nullopt, {}, Wait::never)) == 1);
  u8 buffer[4];
  CHECK(std::get<Errno>(end.read(buffer, 0, Wait::never)) == Errno::badf);
  CHECK(text_at(*after.directories[0].object, "file") == "0123456789x");
  auto& gone = static_cast<vfs::File&>(*again[2]);
  CHECK(rest_of(gone) == "still there");
  CHECK(std::get<vfs::Stat>(gone.stat(Wait::never)).links == 0);
  CHECK(open_at(*after.directories[0].object, "removed") == nullptr);
  auto& stream = static_cast<Directory&>(*again[3]);
  usize seen = some.size();
  for (u64 cookie = some.back().next;;) {
    const auto more = list(stream, cookie, 4096);
    if (more.empty()) break;
    cookie = more.back().next;
    seen += more.size();
    for (const vfs::Entry& each : more) CHECK(each.name != "late");
  }
  CHECK(seen == 299);
  CHECK(list(stream).size() == 299);
  auto& nowhere = static_cast<Directory&>(*again[4]);
  CHECK(stat_at(nowhere, ".").links == 0);
  CHECK(nowhere.make_directory("x", Wait::never) == Errno::noent);
}

TEST_CASE("snapshot files: limits hold, and count what was brought back") {
  const Grants before = grant({memory("/tmp", 100'000)});
  Directory& root = *before.directories[0].object;
  put(root, "a", std::string(20'000, 'a'));
  REQUIRE(file_at(root, "b", vfs::open_create)->allocate(0, 20'000, Wait::never) == Errno::success);
  REQUIRE(root.make_directory("d", Wait::never) == Errno::success);
  const Image image = write(before);
  // The rest is the same, byte by byte.
  const auto room = [](Directory& at) {
    const auto file = file_at(at, "fill", vfs::open_create);
    u64 size = 0;
    while (file->allocate(size, 4096, Wait::never) == Errno::success) size += 4096;
    std::string name;
    while (at.make_link("t", name += 'n', Wait::never) == Errno::success) size += 1;
    return size;
  };
  const Grants after = grant({memory("/tmp", 100'000)});
  GrantedObjects to(after);
  REQUIRE(read(to, image).ok());
  CHECK(room(*after.directories[0].object) == room(root));
  for (const Mount& less : {memory("/tmp", 40'000), memory("/tmp", {}, 2)}) {
    const Grants small = grant({less});
    GrantedObjects into(small);
    const base::Status status = read(into, image);
    REQUIRE(!status.ok());
    CHECK(status.error().code == ErrorCode::limit);
    CHECK(status.error().text().find("give it a greater `size` or `inodes`") != std::string::npos);
  }
  const Grants three = grant({memory("/tmp", {}, 3)});
  GrantedObjects into(three);
  CHECK(read(into, image).ok());
  const Grants again = grant({memory("/tmp")});
  GrantedObjects poor(again);
  CHECK(read(poor, image, 1000).error().code == ErrorCode::limit);
}

TEST_CASE("snapshot files: what may only be read, and what is not mounted") {
  const Grants before = grant({memory("/tmp")});
  put(*before.directories[0].object, "f", "text");
  const auto file = file_at(*before.directories[0].object, "f");
  Mount less = memory("/tmp");
  less.writable = false;
  const Grants after = grant({less});
  const auto again = carry(before, after, {file});
  REQUIRE(again[0] != nullptr);
  const u8 byte[] = {'x'};
  auto& restored = static_cast<vfs::File&>(*again[0]);
  CHECK(std::get<Errno>(restored.write(byte, 0, {}, Wait::never)) == Errno::badf);
  CHECK(rest_of(restored) == "text");
  CHECK(carry(before, grant({memory("/elsewhere")}), {file})[0] == nullptr);
}

class Folder {
 public:
  Folder() {
    char name[] = "/tmp/atoll-files-XXXXXX";
    path_ = fs::canonical(mkdtemp(name)).string();
    fs::create_directories(path_ + "/lower/d/inner");
    fs::create_directories(path_ + "/upper");
    for (const char* each : {"a", "b", "d/c", "d/inner/e"}) {
      std::ofstream(path_ + "/lower/" + each) << "lower " << each;
    }
  }
  ~Folder() { fs::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] Mount mount(bool on_host) const {
    Mount mount{"overlay", path_ + "/lower", "/o"};
    if (on_host) mount.upper = path_ + "/upper";
    return mount;
  }

 private:
  std::string path_;
};

TEST_CASE("snapshot files: an overlay's changes and what is open in it") {
  for (const bool on_host : {false, true}) {
    CAPTURE(on_host);
    const Folder folder;
    const Grants before = grant({folder.mount(on_host)});
    Directory& root = *before.directories[0].object;
    const auto lower = file_at(root, "a", 0, {true, false});
    REQUIRE(std::get<u64>(lower->seek(6, 0)) == 6);
    const auto copied = file_at(root, "b", 0, {true, false});
    REQUIRE(std::get<u64>(copied->seek(6, 0)) == 6);
    const auto changed = file_at(root, "b", vfs::open_append);
    const auto inner = open_at(root, "d/inner");
    const auto lost = open_at(root, "d");
    REQUIRE(root.remove_file("d/c", Wait::allowed) == Errno::success);
    put(root, "d/new", "new");
    const auto d = open_at(root, "d");
    REQUIRE(root.remove_file("d/inner/e", Wait::allowed) == Errno::success);
    REQUIRE(root.remove_directory("d/inner", Wait::allowed) == Errno::success);
    REQUIRE(root.make_directory("d/inner", Wait::allowed) == Errno::success);
    const Grants after = grant({folder.mount(on_host)});
    const auto again = carry(before, after, {lower, copied, changed, inner, d, lost});
    for (const usize i : {0, 1, 2, 3, 4, 5}) {
      CAPTURE(i);
      REQUIRE(again[i] != nullptr);
    }
    CHECK(rest_of(static_cast<vfs::File&>(*again[0])) == "a");
    CHECK(rest_of(static_cast<vfs::File&>(*again[1])) == "b");
    const u8 byte[] = {'x'};
    auto& end = static_cast<vfs::File&>(*again[2]);
    CHECK(std::get<u32>(end.write(byte, std::nullopt, {}, Wait::allowed)) == 1);
    Directory& tree = *after.directories[0].object;
    CHECK(text_at(tree, "b") == "lower bx");
    CHECK(text_at(tree, "d/new") == "new");
    CHECK(open_at(tree, "d/c") == nullptr);
    // The directory that was removed is not the one that is there now.
    CHECK(list(static_cast<Directory&>(*again[3])).empty());
    put(tree, "d/inner/f", "");
    CHECK(list(static_cast<Directory&>(*again[3])).empty());
    CHECK(list(static_cast<Directory&>(*again[4])).size() == 2);
    // A copy that is made later is seen by who reads the file.
    put(tree, "a", "UPPER ");
    auto& reader = static_cast<vfs::File&>(*again[0]);
    REQUIRE(std::get<u64>(reader.seek(0, 0)) == 0);
    CHECK(rest_of(reader) == "UPPER a");
    // Not into a mount of another kind.
    CHECK(carry(before, grant({memory("/o")}), {changed})[0] == nullptr);
  }
}

// --- Archives

// A tar archive with some files, and an image of the same.
struct ArchiveFolder {
  ArchiveFolder() { write("data.tar", tar("0123456789")); }
  ~ArchiveFolder() { fs::remove_all(path); }
  ArchiveFolder(const ArchiveFolder&) = delete;
  ArchiveFolder& operator=(const ArchiveFolder&) = delete;
  static std::string tar(std::string_view deep) {
    return test::tar_block({"deep/file", std::string(deep)}) +
           test::tar_block({"deep/other", "other"}) +
           test::tar_block({"deep/link", "", '2', "file"}) +
           test::tar_block({"top", "at the top"}) + std::string(1024, '\0');
  }
  void write(const std::string& name, std::string_view bytes) const {
    std::ofstream(path + "/" + name, std::ios::binary) << bytes;
  }
  [[nodiscard]] Mount mount(std::string guest, const std::string& name = "data.tar",
                            const char* type = "archive") const {
    return {type, path + "/" + name, std::move(guest)};
  }
  std::string path = [] {
    char name[] = "/tmp/atoll-archive-XXXXXX";
    return fs::canonical(mkdtemp(name)).string();
  }();
};

// Where there is a libarchive.
TEST_SUITE_BEGIN("archives" * doctest::skip(!vfs::load_archives().ok()));

TEST_CASE("snapshot files: what is open in an archive comes back where the same bytes are") {
  const ArchiveFolder folder;
  const Grants before = grant({folder.mount("/data")});
  Directory& root = *before.directories[0].object;
  const auto file = file_at(root, "deep/file", 0, {true, false});
  REQUIRE(std::get<u64>(file->seek(4, 0)) == 4);
  const auto closed = file_at(root, "top", 0, {false, false});
  const auto deep = open_at(root, "deep");
  const std::vector<Object> objects{file, closed, deep, before.directories[0].object};
  const Image image = write(before, objects);
  CHECK(image.systems.empty());
  for (const auto& each : image.descriptions) {
    REQUIRE(each.has_value());
    CHECK(each->find(folder.path) == std::string::npos);
  }
  const auto check = [&](const Grants& after) {
    const auto again = carry(before, after, objects);
    for (const auto& each : again) REQUIRE(each != nullptr);
    CHECK(rest_of(static_cast<vfs::File&>(*again[0])) == "456789");
    // What it was not open for it is not now.
    u8 byte[1];
    const auto read = static_cast<vfs::File&>(*again[1]).read(byte, std::nullopt, Wait::allowed);
    CHECK(std::get<Errno>(read) == Errno::badf);
    CHECK(text_at(static_cast<Directory&>(*again[2]), "other") == "other");
    CHECK(open_at(static_cast<Directory&>(*again[2]), "../top") == nullptr);
    CHECK(again[3] == after.directories[0].object);
  };
  check(grant({folder.mount("/data")}));
  // Elsewhere, and with another time: the bytes count.
  folder.write("copy.tar", ArchiveFolder::tar("0123456789"));
  fs::last_write_time(folder.path + "/copy.tar",
                      fs::file_time_type::clock::now() - std::chrono::hours(9));
  check(grant({folder.mount("/data", "copy.tar")}));

  // Another archive of the same names, sizes and times.
  folder.write("other.tar", ArchiveFolder::tar("0123456780"));
  std::string longer = ArchiveFolder::tar("0123456789") + std::string(512, '\0');
  folder.write("longer.tar", longer);
  for (const Mount& mount :
       {folder.mount("/data", "other.tar"), folder.mount("/data", "longer.tar"),
        folder.mount("/elsewhere"), memory("/data"), Mount{"dir", folder.path, "/data"}}) {
    const auto again = carry(before, grant({mount}), objects);
    for (const usize i : {0, 1, 2}) CHECK_MESSAGE(again[i] == nullptr, mount.source);
  }
  // It was changed, or cut off, between the mount and the snapshot: nothing is known of it.
  const Grants late = grant({folder.mount("/data", "copy.tar")});
  const auto there = file_at(*late.directories[0].object, "deep/file", 0, {true, false});
  fs::resize_file(folder.path + "/copy.tar", 700);
  CHECK_FALSE(GrantedObjects(late).describe(there).has_value());
}

TEST_CASE("snapshot files: rights to an archive's files, and hostile names of them") {
  const ArchiveFolder folder;
  const Grants before = grant({folder.mount("/data")});
  const auto file = file_at(*before.directories[0].object, "deep/file", 0, {true, false});
  const std::string good = *GrantedObjects(before).describe(file);
  const Grants after = grant({folder.mount("/data")});
  GrantedObjects to(after);
  cap::Rights rights = cap::rights_all;
  REQUIRE(to.restore(cap::Kind::file, good, rights) != nullptr);
  CHECK((rights & (cap::right_write | cap::right_append | cap::right_truncate)) == 0);
  CHECK((rights & cap::right_read) != 0);
  CHECK(to.restore(cap::Kind::directory, good, rights) == nullptr);

  const std::string identity = *after.directories[0].object->identity();
  const std::string zero(1, '\0');
  const auto named = [&](const std::string& path, const std::string& position = "0") {
    return "/data" + zero + zero + "f" + zero + identity + zero + path + zero + "r" + zero +
           position;
  };
  CHECK(to.restore(cap::Kind::file, named("deep/file"), rights) != nullptr);
  CHECK(to.restore(cap::Kind::file, named("deep/file", "9223372036854775807"), rights) != nullptr);
  for (const std::string& text :
       {named("deep/link"), named("deep/none"), named("../top"), named("/top"), named("deep"),
        named("."), named(""), named("top/"), named("top", "-1"), named("top", "x"),
        named("top", "9223372036854775808"), named("top") + zero,
        std::string("/data") + zero + zero, std::string("/data") + zero + zero + "f",
        "/data" + zero + "deep/file" + zero + "w" + zero + "0",
        "/data" + zero + zero + "f" + zero + zero + "top" + zero + "r" + zero + "0",
        "/data" + zero + zero + "l" + zero + "top" + zero + "0"}) {
    CHECK_MESSAGE(to.restore(cap::Kind::file, text, rights) == nullptr, text);
  }
  // Nothing of it is in the image; what claims to be is passed over.
  const std::string piece(1, '\0');
  BytesSource source(piece);
  base::Reader from(source);
  CHECK_FALSE(to.read_file_system("/data", from, [](u64) { return true; }));
  CHECK(from.ok());
}

TEST_CASE("snapshot files: an overlay's files of an archive below") {
  const ArchiveFolder folder;
  const auto mount = [&](const char* name) { return folder.mount("/o", name, "overlay"); };
  const Grants before = grant({mount("data.tar")});
  Directory& root = *before.directories[0].object;
  const auto lower = file_at(root, "deep/file", 0, {true, false});
  REQUIRE(std::get<u64>(lower->seek(7, 0)) == 7);
  put(root, "deep/new", "new");
  const auto upper = file_at(root, "deep/new", 0, {true, false});
  const auto deep = open_at(root, "deep");
  folder.write("copy.tar", ArchiveFolder::tar("0123456789"));
  folder.write("other.tar", ArchiveFolder::tar("9876543210"));
  for (const char* name : {"data.tar", "copy.tar", "other.tar"}) {
    const Grants after = grant({mount(name)});
    const auto again = carry(before, after, {lower, upper, deep});
    CHECK((again[0] != nullptr) == (name != std::string("other.tar")));
    if (again[0] != nullptr) CHECK(rest_of(static_cast<vfs::File&>(*again[0])) == "789");
    // What the overlay keeps by itself is there in any case.
    REQUIRE(again[1] != nullptr);
    CHECK(rest_of(static_cast<vfs::File&>(*again[1])) == "new");
    REQUIRE(again[2] != nullptr);
    CHECK(text_at(*after.directories[0].object, "deep/new") == "new");
  }
  // Without what tells the archive, as of a directory of the host.
  const Grants after = grant({mount("data.tar")});
  GrantedObjects to(after);
  cap::Rights rights = cap::rights_all;
  const std::string zero(1, '\0');
  const std::string bare = "/o" + zero + zero + "l" + zero + "deep/file" + zero + "7";
  CHECK(to.restore(cap::Kind::file, bare, rights) == nullptr);
  CHECK(to.restore(cap::Kind::file, bare + zero, rights) == nullptr);
}

TEST_SUITE_END();

// --- Hostile ones
// ---------------------------------------------------------------------------------

enum Type : u8 { folder_type = 3, file_type = 4, link_type = 7 };

// A section of a file system in memory, from its parts.
class Section {
 public:
  Section(u64 next_inode, u32 nodes) {
    number(u8{1}).number(next_inode).number(~u64{0}).number(nodes);
  }
  Section& node(Type type, u64 inode) {
    number(static_cast<u8>(type)).number(inode);
    return number(i64{0}).number(i64{0}).number(i64{0});
  }
  Section& folder(u64 inode, u64 next_cookie = 100) {
    return node(folder_type, inode).number(next_cookie);
  }
  Section& file(u64 inode, u64 size = 0) { return node(file_type, inode).number(size); }
  Section& run(u64 gap, u32 count, u8 stored) { return number(gap).number(count).number(stored); }
  Section& end() { return run(0, 0, 0); }
  Section& slots(u32 count) { return number(count); }
  Section& slot(u64 cookie, std::string_view name, u32 node) {
    return number(cookie).text(name).number(node);
  }
  Section& text(std::string_view text) { return number(static_cast<u32>(text.size())).raw(text); }
  Section& raw(std::string_view bytes) {
    bytes_ += bytes;
    return *this;
  }
  // What is wrong with it; "": nothing.
  std::string refused(const std::optional<u64>& size = {}) {
    Image image;
    image.systems["/m"] = bytes_;
    const Grants grants = grant({memory("/m", size)});
    GrantedObjects objects(grants);
    const base::Status status = read(objects, image);
    return status ? "" : status.error().message;
  }

 private:
  template <class T>
  Section& number(T value) {
    return raw({reinterpret_cast<const char*>(&value), sizeof value});
  }
  std::string bytes_;
};

TEST_CASE("snapshot files: a file system that can't be is refused") {
  CHECK(Section(2, 1).folder(1).slots(0).refused().empty());
  CHECK(Section(4, 3)
            .folder(1)
            .folder(2)
            .file(3)
            .end()
            .slots(1)
            .slot(1, "a", 1)
            .slots(1)
            .slot(9, "f", 2)
            .refused()
            .empty());
  CHECK(Section(2, 0).refused() == "no root");
  CHECK(Section(0, 1).folder(1).slots(0).refused() == "a number that would wrap");
  CHECK(Section((u64{1} << 63) - 1, 1).refused().find("wrap") == std::string::npos);
  CHECK(Section((u64{1} << 63) + 1, 1).refused() == "a number that would wrap");
  CHECK(Section(2, 1).folder(1, 0).slots(0).refused() == "a number that would wrap");
  CHECK(Section(2, 1).folder(2).slots(0).refused() == "a file's number that was never given");
  CHECK(Section(2, 1).folder(0).slots(0).refused() == "a file's number that was never given");
  CHECK(Section(5, 2).folder(1).folder(1).refused() == "two files of one number");
  CHECK(Section(2, 1).file(1).end().refused() == "a root that is no directory");
  CHECK(Section(2, 1).node(Type(5), 1).refused() == "no such type of file");
  CHECK(Section(3, 2).folder(1).node(link_type, 2).text("").refused() == "a link that can't be");
  CHECK(Section(3, 2).folder(1).node(link_type, 2).text("/etc").refused() ==
        "a link that can't be");
  CHECK(Section(3, 2).folder(1).node(link_type, 2).text(std::string(5000, 'x')).refused() ==
        "a text of 5000 bytes");
  for (const std::string name : {"", ".", "..", "a/b", "/"}) {
    CHECK(Section(3, 2).folder(1).file(2).end().slots(1).slot(1, name, 1).refused() ==
          "a name that can't be");
  }
  const std::string zero("a\0b", 3);
  CHECK(Section(3, 2).folder(1).file(2).end().slots(1).slot(1, zero, 1).refused() ==
        "a name that can't be");
  const auto two = [] { return Section(4, 3).folder(1).folder(2).folder(3); };
  CHECK(two().slots(2).slot(1, "a", 1).slot(2, "a", 2).refused() == "a name twice");
  CHECK(two().slots(2).slot(2, "a", 1).slot(2, "b", 2).refused() == "names in another order");
  CHECK(two().slots(1).slot(0, "a", 1).refused() == "names in another order");
  CHECK(two().slots(1).slot(100, "a", 1).refused() == "names in another order");
  CHECK(two().slots(1).slot(1, "a", 3).refused() == "a name of nothing");
  CHECK(two().slots(1).slot(1, "a", 0).refused() == "a name of nothing");
  const std::string several = "a directory that lies in several, or in itself";
  CHECK(two().slots(2).slot(1, "a", 1).slot(2, "b", 1).refused() == several);
  CHECK(two().slots(1).slot(1, "a", 1).slots(1).slot(1, "b", 1).refused() == several);
  CHECK(
      two().slots(2).slot(1, "a", 1).slot(2, "b", 2).slots(0).slots(1).slot(1, "c", 1).refused() ==
      several);
  CHECK(two().slots(0).slots(1).slot(1, "b", 2).refused() == "names in a removed directory");
  CHECK(two().slots(0).slots(0).slots(1).slot(1, "b", 1).refused() ==
        "names in a removed directory");
  // Pages.
  const auto file = [](u64 size) { return Section(3, 2).folder(1).file(2, size); };
  CHECK(file(u64{1} << 63).refused() == "a file larger than can be");
  CHECK(file(4096).run(1, 1, 0).refused() == "a page behind the end of its file");
  CHECK(file(4096).run(0, 2, 0).refused() == "a page behind the end of its file");
  CHECK(file(4097).run(~u64{0}, 1, 0).refused() == "a page behind the end of its file");
  CHECK(file(8192).run(0, 1, 0).run(1, 1, 0).refused() == "a page behind the end of its file");
  CHECK(file(8192).run(0, 1, 2).refused() == "no such state of a page");
  CHECK(file(8192).run(0, 2, 1).raw("few").refused() == "the image ends too early");
  CHECK(file(INT64_MAX).run((u64{1} << 51) - 1, 1, 0).end().slots(0).refused().empty());
  CHECK(file(INT64_MAX).run(0, 1 << 20, 0).refused().find("more than the mount may") !=
        std::string::npos);
  // Bookkeeping of the host has its own limit.
  CHECK(file(INT64_MAX).run(0, ~u32{0}, 0).refused(~u64{0}) == "more beside");
  const std::string page(4096, 'x');
  CHECK(file(3).run(0, 1, 1).raw(page).end().slots(0).refused().empty());
}

TEST_CASE("snapshot files: a deep tree that is refused at its end") {
  constexpr u32 deep = 200'000;
  Section section(deep + 1, deep);
  for (u32 i = 0; i < deep; ++i) section.folder(i + 1);
  for (u32 i = 0; i + 1 < deep; ++i) section.slots(1).slot(1, "d", i + 1);
  CHECK(section.slots(1).slot(1, "", 1).refused(u64{1} << 30) == "a name that can't be");
}

TEST_CASE("snapshot files: any changed bytes are refused or make a file system") {
  const Folder folder;
  const std::vector<Mount> mounts = {memory("/m", 1 << 20), folder.mount(false)};
  const Grants before = grant(mounts);
  for (const usize i : {0, 1}) {
    Directory& root = *before.directories[i].object;
    REQUIRE(root.make_directory("dir", Wait::allowed) == Errno::success);
    put(root, "dir/file", std::string(5000, 'x'));
    put(root, "sparse", "x", 100'000);
    REQUIRE(root.link("sparse", root, "dir/link", Wait::allowed) == Errno::success);
    REQUIRE(root.make_link("dir", "to", Wait::allowed) == Errno::success);
  }
  Directory& over = *before.directories[1].object;
  REQUIRE(over.remove_file("a", Wait::allowed) == Errno::success);
  const std::vector<Object> objects = {
      file_at(*before.directories[0].object, "sparse"), open_at(over, "dir"), open_at(over, "d"),
      file_at(over, "b", 0, {true, false}), file_at(over, "dir/file")};
  const Image image = write(before, objects);
  std::mt19937_64 random(1);
  u32 accepted = 0;
  for (int round = 0; round < 3000; ++round) {
    Image changed = image;
    for (auto& [name, bytes] : changed.systems) {
      for (u64 n = random() % 4; n > 0; --n) {
        // Mostly not in the pages' bytes.
        const usize at = random() % (random() % 2 == 0 ? 200 : bytes.size());
        bytes[at] = static_cast<char>(random() % 3 == 0 ? random() : bytes[at] ^ 1 << random() % 8);
      }
      if (random() % 50 == 0) bytes.resize(random() % bytes.size());
    }
    for (auto& each : changed.descriptions) {
      if (each && random() % 3 == 0) (*each)[random() % each->size()] = static_cast<char>(random());
    }
    const Grants after = grant(mounts);
    GrantedObjects to(after);
    if (!read(to, changed, 1 << 20)) continue;
    ++accepted;
    for (usize i = 0; i < objects.size(); ++i) {
      cap::Rights rights = cap::rights_all;
      const Object again = to.restore(objects[i]->kind(), *changed.descriptions[i], rights);
      if (again == nullptr) continue;
      if (again->kind() == cap::Kind::file) {
        auto& file = static_cast<vfs::File&>(*again);
        u8 buffer[100];
        static_cast<void>(file.read(buffer, std::nullopt, Wait::allowed));
        static_cast<void>(file.write(buffer, std::nullopt, {}, Wait::allowed));
      } else {
        static_cast<void>(static_cast<Directory&>(*again).list(0, 4096, Wait::allowed));
      }
    }
    for (const auto& each : after.directories) {
      static_cast<void>(each.object->list(0, 4096, Wait::allowed));
      static_cast<void>(each.object->rename("dir", *each.object, "sparse/x", Wait::allowed));
      static_cast<void>(each.object->remove_file("dir/link", Wait::allowed));
    }
  }
  CHECK(accepted > 100);
  CHECK(accepted < 3000);
}

}  // namespace
}  // namespace atollvm
