// Archives, made by others and by enemies (stdlib/vfs/archive.hpp).
#include <thread>

#include "stdlib/vfs/mount.hpp"
#include "tests/support/archives.hpp"
#include "tests/support/file_systems.hpp"

using namespace atollvm;
using namespace atollvm::test;
using cap::Errno;
using Strings = std::vector<std::string>;

namespace {

class Archive {
 public:
  explicit Archive(std::string_view bytes, const vfs::ArchiveLimits& limits = {})
      : path_(scratch_ / "archive") {
    put_text(path_, bytes);
    auto opened = vfs::open_archive(path_, limits);
    if (opened.ok()) {
      root_ = *opened;
    } else {
      error_ = std::move(opened).error();
    }
  }

  // "": it was opened.
  [[nodiscard]] std::string error() const {
    if (root_ != nullptr) return {};
    CHECK(error_.place == path_);
    return error_.message;
  }
  [[nodiscard]] base::ErrorCode code() const { return error_.code; }
  [[nodiscard]] Root root() const {
    REQUIRE_MESSAGE(root_ != nullptr, error_.message);
    return Root(root_);
  }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  ScratchDirectory scratch_;
  std::string path_;
  std::shared_ptr<Directory> root_;
  base::Error error_;
};

std::string error_of_tar(std::initializer_list<TarEntry> entries) {
  return Archive(tar_of(entries)).error();
}
const std::string no_more(1024, '\0');

}  // namespace

TEST_SUITE_BEGIN("archives" * doctest::skip(!vfs::load_archives().ok()));

TEST_CASE("archives: nothing can be written") {
  const Archive archive(tar_of({{"d/", "", '5'}, {"d/file", "text"}, {"link", "", '2', "d"}}));
  const Root root = archive.root();
  using namespace vfs;
  CHECK(error_of(root.open("d/file", 0, writing)) == Errno::rofs);
  CHECK(error_of(root.open("d/file", open_truncate, reading)) == Errno::rofs);
  CHECK(error_of(root.open("d/file", open_create, reading)) == Errno::success);
  CHECK(error_of(root.open("d/file", open_create | open_exclusive, writing)) == Errno::exist);
  CHECK(error_of(root.open("d/new", open_create, writing)) == Errno::rofs);
  CHECK(error_of(root.open("none/new", open_create, writing)) == Errno::noent);
  CHECK(error_of(root.open("d", 0, writing)) == Errno::isdir);
  CHECK(error_of(root.open("link", open_nofollow, reading)) == Errno::loop);
  CHECK(error_of(root.open("link", open_nofollow | open_directory, reading)) == Errno::notdir);
  CHECK(root.mkdir("x") == Errno::rofs);
  CHECK(root.remove("d/file") == Errno::rofs);
  CHECK(root.rmdir("d") == Errno::rofs);
  CHECK(root.rename("d/file", "x") == Errno::rofs);
  CHECK(root.link("d/file", "x") == Errno::rofs);
  CHECK(root.make_link("d", "x") == Errno::rofs);
  CHECK(root.times("d/file", true, {.modified_ns = 1}) == Errno::rofs);
  CHECK(root.times("none", true, {.modified_ns = 1}) == Errno::noent);
  CHECK(root.mkdir("") == Errno::noent);
  CHECK(root.rename("d/file", Root(make_memory({})), "x") == Errno::xdev);
  CHECK(root.sync() == Errno::success);
  CHECK(root.text("d/file") == "text");
}

TEST_CASE("archives: names of each kind") {
  std::string path;
  for (int i = 0; i < 16; ++i) path += std::string(254, static_cast<char>('a' + i)) + "/";
  path += "end";  // 4083 bytes
  const Archive archive(
      pax({{"path", path}}) + tar_block({"short", "pax"}) + gnu_name("./" + std::string(255, 'g')) +
      tar_block({"short", "gnu"}) + pax({{"path", "caf\xc3\xa9"}}) + tar_block({"x", "composed"}) +
      pax({{"path", "cafe\xcc\x81"}}) + tar_block({"x", "apart"}) + pax({{"path", "\xff\xfe"}}) +
      tar_block({"x", "bytes"}) + tar_block({"File", "upper"}) + tar_block({"file", "lower"}) +
      tar_block({"a//b/./c/", "", '5'}) + tar_block({"one\ntwo", "line"}) + no_more);
  const Root root = archive.root();
  CHECK(root.text(path) == "pax");
  CHECK(root.text(std::string(255, 'g')) == "gnu");
  CHECK(root.text("caf\xc3\xa9") == "composed");
  CHECK(root.text("cafe\xcc\x81") == "apart");
  CHECK(root.text("\xff\xfe") == "bytes");
  CHECK(root.text("File") == "upper");
  CHECK(root.text("file") == "lower");
  CHECK(root.text("one\ntwo") == "line");
  CHECK(root.directory("a/b/c").names().empty());
  CHECK(root.status("file").modified_ns == 10'000'000'000);
}

TEST_CASE("archives: entries that can't be meant well") {
  const std::string long_name(256, 'n');
  std::string long_path;
  for (int i = 0; i < 17; ++i) long_path += std::string(254, 'p') + "/";
  const std::tuple<std::string, std::string, std::string> rows[] = {
      {tar_block({"../x", "t"}), "../x", "its name has `..` in it"},
      {tar_block({"a/../../x", "t"}), "a/../../x", "its name has `..` in it"},
      {tar_block({"a/..", "", '5'}), "a/..", "its name has `..` in it"},
      {tar_block({"/etc/passwd", "t"}), "/etc/passwd", "its name is absolute"},
      {tar_block({"", "t"}), "", "it has no name"},
      {tar_block({"./", "t", '0'}), "", "its name"},
      {pax({{"path", long_name}}) + tar_block({"x", "t"}), "nnn",
       "a name in its path is longer than 255 bytes"},
      {pax({{"path", long_path + "x"}}) + tar_block({"x", "t"}), "ppp",
       "its path is longer than 4095 bytes"},
      {tar_block({"file", "t"}) + tar_block({"file/x", "t"}), "file/x",
       "it lies below `file`, which is no directory"},
      {tar_block({"l", "", '2', "/etc"}) + tar_block({"l/passwd", "t"}), "l/passwd",
       "it lies below `l`, which is no directory"},
      {tar_block({"d/x", "t"}) + tar_block({"d", "t"}), "d",
       "a directory with entries has its name"},
      {tar_block({"h", "", '1', "none"}), "h",
       "it is a hard link to `none`, which is not before it"},
      {tar_block({"h", "", '1', "later"}) + tar_block({"later", "t"}), "h",
       "it is a hard link to `later`, which is not before it"},
      {tar_block({"h", "", '1', "/etc/passwd"}), "h",
       "it is a hard link to `/etc/passwd`, which is no name in the archive"},
      {tar_block({"h", "", '1', "../x"}), "h",
       "it is a hard link to `../x`, which is no name in the archive"},
      {tar_block({"h", "", '1', "h"}), "h", "it is a hard link to `h`, which is not before it"},
      {tar_block({"d/", "", '5'}) + tar_block({"h", "", '1', "d"}), "h",
       "it is a hard link to a directory"},
      {tar_block({"l", "", '2', ""}), "l", "it is a link that says nothing"},
  };
  for (const auto& [bytes, name, why] : rows) {
    CAPTURE(why);
    const Archive archive(tar_block({"before", "t"}) + bytes + no_more);
    if (name.empty()) {  // some versions give these a name, others leave them out
      CHECK((archive.error().empty() || archive.code() == base::ErrorCode::malformed));
      continue;
    }
    CHECK(archive.code() == base::ErrorCode::malformed);
    CHECK(archive.error().starts_with("the entry `" + name));
    CHECK(archive.error().ends_with("`: " + why));
  }
}

TEST_CASE("archives: links lead nowhere but inside") {
  const Root root = Archive(tar_of({{"d/", "", '5'},
                                    {"out", "", '2', "../../etc/passwd"},
                                    {"absolute", "", '2', "/etc/passwd"},
                                    {"d/in", "", '2', "../file"},
                                    {"file", "text"},
                                    {"self", "", '2', "self"},
                                    {"hard", "", '1', "./file"},
                                    {"hard_to_link", "", '1', "d/in"}}))
                        .root();
  CHECK(error_of(root.open("out", 0, reading)) == Errno::notcapable);
  CHECK(error_of(root.open("absolute", 0, reading)) == Errno::notcapable);
  CHECK(std::get<std::string>(root.read_link("absolute")) == "/etc/passwd");
  CHECK(root.text("d/in") == "text");
  CHECK(error_of(root.stat("self")) == Errno::loop);
  CHECK(root.text("hard") == "text");
  CHECK(root.status("hard").links == 2);
  CHECK(root.status("hard").inode == root.status("file").inode);
  CHECK(root.status("hard_to_link", false).type == vfs::FileType::link);
  CHECK(error_of(root.directory("d").stat("in")) == Errno::notcapable);
}

TEST_CASE("archives: the last of several entries with a name counts") {
  const Root root = Archive(tar_of({{"file", "one"},
                                    {"keeps", "", '1', "file"},
                                    {"file", "two"},
                                    {"was_file", "t"},
                                    {"was_file", "", '5'},
                                    {"was_file/x", "x"},
                                    {"was_folder", "", '5'},
                                    {"was_folder", "file"},
                                    {"d/x", "x"},
                                    {"d", "", '5'},
                                    {"keeps", "", '1', "keeps"}}))
                        .root();
  CHECK(root.text("file") == "two");
  CHECK(root.text("keeps") == "one");
  CHECK(root.status("keeps").links == 1);
  CHECK(root.text("was_file/x") == "x");
  CHECK(root.text("was_folder") == "file");
  CHECK(root.text("d/x") == "x");
  CHECK(sorted_names(root).size() == 5);
}

TEST_CASE("archives: devices, pipes and sockets are left out") {
  const Root root =
      Archive(tar_of({{"zero", "", '3'}, {"disk", "", '4'}, {"pipe", "", '6'}, {"file", "text"}}))
          .root();
  CHECK((root.names() == Strings{"file"}));
}

TEST_CASE("archives: what is cut off, damaged, or lies about its size") {
  const std::string whole = tar_of({{"a", std::string(2000, 'a')}, {"b", std::string(3000, 'b')}});
  const usize end = whole.size() - 1024;
  // Behind an entry nothing tells that there should be more.
  for (usize size = 0; size < end; size += 100) {
    CAPTURE(size);
    const Archive archive(whole.substr(0, size));
    if (archive.error().empty()) {
      // The padding of the last one may be missing.
      CHECK((size >= 512 + 2000));
      CHECK(archive.root().text("a") == std::string(2000, 'a'));
    } else {
      CHECK((archive.code() == base::ErrorCode::malformed));
    }
  }
  CHECK(error_of_tar({{"big", "text", '0', "", 1'000'000}}) ==
        "the entry `big`: it goes past the end of the archive");
  CHECK(!error_of_tar({{"big", "text", '0', "", (u64{1} << 33) - 1}}).empty());
  std::string damaged = whole;
  damaged[512 + 2048 + 10] ^= 1;
  CHECK(Archive(damaged).error().starts_with("the entry behind `a`: "));
  for (const std::string_view size : {"18446744073709551615", "9223372036854775807", "-1", "x"}) {
    const Archive archive(pax({{"size", size}}) + tar_block({"file", "text"}) + no_more);
    CAPTURE(size);
    if (archive.error().empty()) CHECK(archive.root().text("file").size() <= 4);
  }
  CHECK(Archive("").error().starts_with("it is neither a tar archive"));
  CHECK(Archive("text").error().starts_with("it is neither a tar archive"));
  CHECK(Archive(std::string(100'000, 'x')).code() == base::ErrorCode::malformed);
  const std::string gzip("\x1f\x8b\x08\0\0\0\0\0\0\3", 10);
  CHECK(Archive(gzip + "nonsense that is not deflated").code() == base::ErrorCode::malformed);
}

// Each byte of the headers, changed in several ways: an archive or an error.
TEST_CASE("archives: changed bytes") {
  const std::string tar = gnu_name("long/" + std::string(120, 'n')) + tar_block({"x", "long"}) +
                          pax({{"GNU.sparse.major", "1"},
                               {"GNU.sparse.minor", "0"},
                               {"GNU.sparse.name", "s"},
                               {"GNU.sparse.realsize", "5000"}}) +
                          tar_block({"s", std::string("1\n4096\n904\n") + std::string(501, '\0') +
                                              std::string(904, 's')}) +
                          tar_of({{"l", "", '2', "x"}});
  const std::string zip =
      zip_of({deflated("a", "some text"), {"b", "stored", 0, ~u32{0}, crc32("stored")}});
  const auto use = [](const Archive& archive) {
    if (!archive.error().empty()) return;
    const Root root = archive.root();
    for (const std::string& name : root.names()) static_cast<void>(root.text(name));
  };
  for (const std::string& whole : {tar, zip}) {
    CHECK(Archive(whole).error().empty());
    const usize step = whole.size() > 1000 ? 7 : 1;
    for (usize at = 0; at < whole.size(); at += step) {
      for (const u8 change : {0x01, 0x80, 0xff}) {
        std::string bytes = whole;
        bytes[at] = static_cast<char>(static_cast<u8>(bytes[at]) ^ change);
        use(Archive(bytes));
      }
    }
    for (usize size = 0; size < whole.size(); size += step) use(Archive(whole.substr(0, size)));
  }
}

TEST_CASE("archives: files with holes") {
  const std::string map = "2\n4096\n100\n8192\n50\n";
  const Root root = Archive(pax({{"GNU.sparse.major", "1"},
                                 {"GNU.sparse.minor", "0"},
                                 {"GNU.sparse.name", "s"},
                                 {"GNU.sparse.realsize", "1000000000000"}}) +
                            tar_block({"x", map + std::string(512 - map.size(), '\0') +
                                                std::string(100, 'a') + std::string(50, 'b')}) +
                            tar_of({{"next", "next"}}))
                        .root();
  CHECK(root.status("s").size == 1'000'000'000'000);
  const auto file = root.file("s", 0, reading);
  CHECK(read_text(*file, 0, 10) == std::string(10, '\0'));
  CHECK(read_text(*file, 4000, 1000) == std::string(96, '\0'));
  CHECK(read_text(*file, 4096, 1000) == std::string(100, 'a'));
  CHECK(read_text(*file, 4190, 3) == "aaa");
  CHECK(read_text(*file, 8190, 10) == std::string(2, '\0'));
  CHECK(read_text(*file, 8241, 10) == "b");
  CHECK(read_text(*file, 8242, 10) == std::string(10, '\0'));
  CHECK(read_text(*file, 999'999'999'998, 10) == std::string(2, '\0'));
  CHECK(read_text(*file, 1'000'000'000'000, 10).empty());
  CHECK(root.text("next") == "next");
}

TEST_CASE("archives: zip") {
  const Archive archive(zip_of({deflated("d/packed", "hello hello"),
                                {"stored", "plain bytes", 0, ~u32{0}, crc32("plain bytes")},
                                {"d/", "", 0, ~u32{0}, 0, 0, 040755},
                                {"link", "d/packed", 0, ~u32{0}, crc32("d/packed"), 0, 0120777},
                                {"empty"}}));
  const Root root = archive.root();
  CHECK(root.text("stored") == "plain bytes");
  // Unpacking waits; afterwards nothing does.
  CHECK(error_of((*root).open("d/packed", 0, reading, Wait::never)) == Errno::again);
  CHECK(root.text("d/packed") == "hello hello");
  CHECK(error_of((*root).open("d/packed", 0, reading, Wait::never)) == Errno::success);
  CHECK(root.text("link") == "hello hello");
  CHECK(root.text("empty").empty());
  CHECK(root.status("d/packed").size == 11);
  CHECK((sorted_names(root) == Strings{"d", "empty", "link", "stored"}));
}

TEST_CASE("archives: zip archives that lie") {
  const auto opens = [](const ZipEntry& entry) {
    const Archive archive(zip_of({entry, {"other", "other", 0, ~u32{0}, crc32("other")}}));
    if (!archive.error().empty()) return archive.error();
    CHECK(archive.root().text("other") == "other");
    return archive.root().text(entry.name);
  };
  const std::string io = "error 29";
  CHECK(opens(deflated("a", "text")) == "text");
  ZipEntry entry = deflated("a", "text");
  entry.size = 3;
  CHECK(opens(entry) == io);
  entry.size = 1000;
  CHECK(opens(entry) == io);
  entry = deflated("a", "text");
  entry.crc ^= 1;
  CHECK(opens(entry) == io);
  entry = deflated("a", "text");
  entry.bytes.resize(3);
  CHECK(opens(entry) == io);
  entry = deflated("a", "text");
  entry.method = 77;
  CHECK(opens(entry) == io);
  entry = deflated("a", "text");
  entry.flags = 1;
  CHECK(opens(entry) == "the entry `a`: it is encrypted");
  entry = {"a", "text", 0, ~u32{0}, crc32("text")};
  entry.size = 1'000'000;
  CHECK(!opens(entry).empty());
  for (const u32 offset : {1u, 40u, 1'000'000u, 0xfffffffeu}) {
    entry = deflated("a", "text");
    entry.offset = offset;
    const std::string got = opens(entry);
    CHECK(!got.empty());
    CHECK(got != "text");
  }
  entry = deflated("a", "text");
  entry.local_name = "../../b";
  const std::string other_name = opens(entry);
  CHECK((other_name == "text" || other_name.starts_with("the entry")));
  CHECK(opens(deflated("../a", "text")) == "the entry `../a`: its name has `..` in it");
  CHECK(opens(deflated("/a", "text")) == "the entry `/a`: its name is absolute");
  // libarchive ends a name at a NUL.
  const Archive cut(zip_of({deflated(std::string("a\0b", 3), "text")}));
  if (cut.error().empty()) CHECK(cut.root().text("a") == "text");
}

TEST_CASE("archives: limits") {
  std::string tar;
  for (int i = 0; i < 100; ++i)
    tar += tar_block({"d" + std::to_string(i % 10) + "/" + std::to_string(i), "t"});
  tar += no_more;
  CHECK(Archive(tar, {.entries = 110}).error().empty());
  const Archive many(tar, {.entries = 109});
  CHECK(many.code() == base::ErrorCode::limit);
  CHECK(many.error() ==
        "the archive has more than 109 entries: `inodes` of the mount is the limit");
  // What lies in the file as it is counts for nothing.
  CHECK(Archive(tar, {.bytes = 0}).root().text("d1/11") == "t");
  // Of packed ones, what is held.
  const std::string zip =
      zip_of({deflated("a", std::string(1000, 'a')), deflated("b", std::string(1000, 'b')),
              deflated("c", std::string(500, 'c'))});
  const Archive archive(zip, {.bytes = 1500});
  CHECK(archive.root().text("a").size() == 1000);
  CHECK(archive.root().text("b") == "error 51");
  CHECK(archive.root().text("c").size() == 500);
  CHECK(archive.root().text("a").size() == 1000);
  // Packed as a whole.
  const ScratchDirectory scratch;
  std::filesystem::create_directories(scratch / "data");
  put_text(scratch / "data/zeros", std::string(10'000'000, '\0'));
  for (const char* option : {"-z", "-j", "-J", "--zstd"}) {
    CAPTURE(option);
    make_tar(scratch / "data", scratch / "bomb", option);
    const auto refused = vfs::open_archive(scratch / "bomb", {.bytes = 1'000'000});
    REQUIRE(!refused.ok());
    CHECK(refused.error().code == base::ErrorCode::limit);
    CHECK(refused.error().place == scratch / "bomb");
    CHECK(refused.error().message ==
          "the archive has more than 1000000 bytes when it is unpacked: `size` of the mount is the "
          "limit");
    const auto opened = vfs::open_archive(scratch / "bomb", {});
    REQUIRE(opened.ok());
    CHECK(Root(*opened).status("zeros").size == 10'000'000);
  }
}

TEST_CASE("archives: a file that is cut off under the mount is an error of reading") {
  const Archive archive(tar_of({{"file", std::string(100'000, 'x')}}));
  const auto file = archive.root().file("file", 0, reading);
  CHECK(read_text(*file, 0, 10) == std::string(10, 'x'));
  std::filesystem::resize_file(archive.path(), 1000);
  CHECK(read_text(*file, 0, 1000) == std::string(488, 'x'));
  u8 byte = 0;
  CHECK(error_of(read_into(*file, {&byte, 1}, 50'000)) == Errno::io);
  CHECK(error_of(file->seek(50'000, 0)) == Errno::success);
  CHECK(error_of(read_into(*file, {&byte, 1}, std::nullopt)) == Errno::io);
  CHECK(read_text(*file, 100'000).empty());
  const Archive zip(zip_of({deflated("a", "text")}));
  std::filesystem::resize_file(zip.path(), 10);
  CHECK(zip.root().text("a") == "error 29");
}

TEST_CASE("archives: several threads") {
  const Archive archive(
      zip_of({deflated("a", std::string(60'000, 'a')), deflated("b", std::string(60'000, 'b'))}));
  const Root root = archive.root();
  std::vector<std::thread> threads;
  std::atomic<u32> well = 0;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&root, &well, i] {
      for (int turn = 0; turn < 50; ++turn) {
        const char* const name = (i + turn) % 2 == 0 ? "a" : "b";
        const auto opened = (*root).open(name, 0, reading, Wait::allowed);
        const auto* const object = std::get_if<std::shared_ptr<cap::Object>>(&opened);
        if (object == nullptr) continue;
        std::vector<u8> bytes(60'000);
        const auto size = static_cast<vfs::File&>(**object).read(bytes, 0, Wait::allowed);
        well +=
            size == vfs::Outcome<u32>(60'000u) && bytes.back() == static_cast<u8>(*name) ? 1 : 0;
      }
    });
  }
  for (std::thread& each : threads) each.join();
  CHECK(well == 200);
}

TEST_CASE("archives: many entries, and deep ones") {
  std::string tar;
  std::string path;
  while (path.size() < 4000) path += "d/";
  tar += pax({{"path", path + "x"}}) + tar_block({"x", "deep"});
  for (int i = 0; i < 100'000; ++i) tar += tar_block({"many/" + std::to_string(i)});
  const Archive archive(tar + no_more);
  const Root root = archive.root();
  CHECK(root.text(path + "x") == "deep");
  CHECK(root.directory("many").names(1 << 16).size() == 100'000);
  CHECK(error_of(root.stat("many/99999")) == Errno::success);
}

TEST_CASE("archives: as mounts") {
  const ScratchDirectory scratch;
  put_text(scratch / "a.tar", tar_of({{"file", "below"}}));
  const auto open = [&](const std::string& text) {
    const auto parsed = vfs::parse_mount(text);
    REQUIRE(parsed.ok());
    return vfs::open_mount(*parsed);
  };
  const auto archive = open("archive:" + scratch / "a.tar" + ":/a");
  REQUIRE(archive.ok());
  CHECK(Root(*archive).text("file") == "below");
  CHECK(!open("archive:" + scratch / "a.tar" + ":/a:inodes=0").ok());
  const auto overlay = open("overlay:" + scratch / "a.tar" + ":/a:size=1M");
  REQUIRE(overlay.ok());
  CHECK(Root(*overlay).text("file") == "below");
  Root(*overlay).put("file", "above");
  CHECK(Root(*overlay).text("file") == "above");
  CHECK(Root(*archive).text("file") == "below");
  CHECK(open("archive:" + scratch / "none" + ":/a").error().code == base::ErrorCode::not_found);
  CHECK(open("archive:" + scratch.path().string() + ":/a").error().code == base::ErrorCode::io);
  const auto writable = vfs::parse_mount("archive:x:/a:rw");
  REQUIRE(!writable.ok());
  CHECK(writable.error().message == "a mount of the type archive can only be read");
  CHECK(!vfs::is_writable(*vfs::parse_mount("archive:x:/a")));
  CHECK(vfs::is_writable(*vfs::parse_mount("overlay:x:/a")));
}

TEST_SUITE_END();
