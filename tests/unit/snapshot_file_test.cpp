// The file of a snapshot: what is written comes back, and anything else is refused as a whole.
#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "scheduler/snapshot/atomic_file.hpp"
#include "scheduler/snapshot/file.hpp"

namespace atollvm::snapshot {
namespace {

namespace fs = std::filesystem;

class Folder {
 public:
  Folder() {
    char name[] = "/tmp/atoll-snapshot-XXXXXX";
    path_ = mkdtemp(name);
  }
  ~Folder() { fs::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] std::string file(const std::string& name) const { return path_ + "/" + name; }
  [[nodiscard]] usize entries() const {
    return static_cast<usize>(std::distance(fs::directory_iterator(path_), {}));
  }

 private:
  std::string path_;
};

using Bytes = std::vector<u8>;

// Every other 64 KiB can be packed, the rest can't.
Bytes sample(usize size) {
  std::mt19937 random(1);
  Bytes bytes(size);
  for (usize i = 0; i < size; ++i) {
    bytes[i] = (i >> 16) % 2 == 0 ? static_cast<u8>(random()) : static_cast<u8>(i >> 10);
  }
  return bytes;
}

std::string read_all(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
void write_all(const std::string& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

const std::string header = R"({"machine": "store"})";

base::Result<u64> write_file(const std::string& path, std::span<const u8> image, u32 threads,
                             usize piece) {
  auto writer = FileWriter::create(path, header, threads);
  if (!writer) return writer.error();
  while (!image.empty()) {
    const auto part = image.first(std::min(piece, image.size()));
    if (base::Status status = (*writer)->write(part); !status) return status.error();
    image = image.subspan(part.size());
  }
  if (base::Status status = (*writer)->seal(); !status) return status.error();
  return (*writer)->finish();
}

// The image of a file, read in pieces, and nothing behind it.
base::Result<Bytes> read_file(const std::string& path, u32 threads, usize piece) {
  auto reader = FileReader::open(path, threads);
  if (!reader) return reader.error();
  CHECK((*reader)->header() == header);
  Bytes image((*reader)->image_bytes());
  for (std::span<u8> rest(image); !rest.empty();) {
    const auto part = rest.first(std::min(piece, rest.size()));
    if (base::Status status = (*reader)->read(part); !status) return status.error();
    rest = rest.subspan(part.size());
  }
  if (base::Status status = (*reader)->end(); !status) return status.error();
  return image;
}

TEST_CASE("snapshot file: what is written comes back") {
  const Folder folder;
  const std::string path = folder.file("a.snap");
  for (const usize size :
       {usize{0}, usize{1}, block_bytes - 1, block_bytes, block_bytes + 1, 9 * block_bytes + 77}) {
    for (const u32 threads : {1u, 2u, 5u}) {
      const Bytes image = sample(size);
      const auto written = write_file(path, image, threads, threads == 2 ? 4096 : 3 << 20);
      REQUIRE(written.ok());
      CHECK(*written == fs::file_size(path));
      const auto read = read_file(path, threads, threads == 2 ? 70'001 : 5 << 20);
      REQUIRE_MESSAGE(read.ok(), read.error().text());
      CHECK(*read == image);
    }
  }
  struct stat status = {};
  REQUIRE(stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 07777) == 0600);
  CHECK(folder.entries() == 1);
}

TEST_CASE("snapshot file: all blocks are read, and not more") {
  const Folder folder;
  const std::string path = folder.file("a.snap");
  REQUIRE(write_file(path, sample(3 * block_bytes), 2, block_bytes).ok());
  auto reader = FileReader::open(path);
  REQUIRE(reader.ok());
  CHECK_FALSE((*reader)->end().ok());
  Bytes bytes(3 * block_bytes);
  REQUIRE((*reader)->read(bytes).ok());
  CHECK((*reader)->end().ok());
  const base::Status more = (*reader)->read(std::span(bytes).first(1));
  REQUIRE_FALSE(more.ok());
  CHECK(more.error().message.find("the image ends too early") != std::string::npos);
  auto again = FileReader::open(path);
  REQUIRE(again.ok());
  REQUIRE((*again)->read(std::span(bytes).first(2 * block_bytes + 1)).ok());
  CHECK_FALSE((*again)->end().ok());
}

TEST_CASE("snapshot file: cut off anywhere, or with any byte changed, it is refused") {
  const Folder folder;
  const std::string path = folder.file("a.snap");
  REQUIRE(write_file(path, sample(4000), 1, 4000).ok());
  const std::string good = read_all(path);
  REQUIRE(good.size() > 3000);
  for (usize size = 0; size < good.size(); ++size) {
    write_all(path, std::string_view(good).substr(0, size));
    const auto read = FileReader::open(path);
    CHECK_MESSAGE(!read.ok(), size);
    if (read.ok()) continue;
    CHECK(read.error().code == base::ErrorCode::malformed);
    CHECK(read.error().place == path);
    const bool says =
        read.error().message.find(size < 8 ? "is no snapshot" : "is cut off") != std::string::npos;
    CHECK_MESSAGE(says, size << ": " << read.error().message);
  }
  std::string bad = good;
  for (usize at = 0; at < good.size(); ++at) {
    bad[at] = static_cast<char>(bad[at] ^ (1 << (at % 8)));
    write_all(path, bad);
    CHECK_MESSAGE(!FileReader::open(path).ok(), at);
    bad[at] = good[at];
  }
  write_all(path, good + "x");
  const auto longer = FileReader::open(path);
  REQUIRE_FALSE(longer.ok());
  CHECK(longer.error().message.find("something behind its end") != std::string::npos);
  write_all(path, good);
  CHECK(FileReader::open(path).ok());
}

TEST_CASE("snapshot file: foreign files and other versions") {
  const Folder folder;
  const std::string path = folder.file("a.snap");
  REQUIRE(write_file(path, sample(10), 1, 10).ok());
  std::string newer = read_all(path);
  newer[8] = static_cast<char>(file_version + 1);
  write_all(path, newer);
  const auto version = FileReader::open(path);
  REQUIRE_FALSE(version.ok());
  CHECK(version.error().code == base::ErrorCode::unsupported);
  CHECK(version.error().message ==
        "the snapshot has version 2, and this Atoll reads version 1; restore it with the Atoll "
        "that wrote it");
  write_all(path, "[[machine]]\nname = \"store\"\n");
  for (const std::string& each : {path, std::string("/dev/zero"), std::string("/tmp")}) {
    const auto foreign = FileReader::open(each);
    REQUIRE_FALSE(foreign.ok());
    CHECK(foreign.error().code == base::ErrorCode::malformed);
    CHECK(foreign.error().message == "is no snapshot; `atoll snapshot` writes them");
  }
  const auto none = FileReader::open(folder.file("none"));
  REQUIRE_FALSE(none.ok());
  CHECK(none.error().code == base::ErrorCode::not_found);
}

TEST_CASE("snapshot file: an error leaves the older file as it was") {
  const Folder folder;
  const std::string path = folder.file("a.snap");
  REQUIRE(write_file(path, sample(100), 1, 100).ok());
  const std::string before = read_all(path);
  {
    auto writer = FileWriter::create(path, header);
    REQUIRE(writer.ok());
    REQUIRE((*writer)->write(sample(3 * block_bytes)).ok());
    CHECK(folder.entries() == 2);
  }
  CHECK(read_all(path) == before);
  CHECK(folder.entries() == 1);

  // The host takes no more of the file than this.
  struct rlimit old = {};
  REQUIRE(getrlimit(RLIMIT_FSIZE, &old) == 0);
  const auto before_signal = std::signal(SIGXFSZ, SIG_IGN);
  const struct rlimit small = {1 << 20, old.rlim_max};
  REQUIRE(setrlimit(RLIMIT_FSIZE, &small) == 0);
  const auto written = write_file(path, sample(9 * block_bytes), 2, block_bytes);
  REQUIRE(setrlimit(RLIMIT_FSIZE, &old) == 0);
  std::signal(SIGXFSZ, before_signal);
  REQUIRE_FALSE(written.ok());
  CHECK(written.error().code == base::ErrorCode::io);
  CHECK(written.error().place == path);
  CHECK(read_all(path) == before);
  CHECK(folder.entries() == 1);
}

TEST_CASE("atomic file: where it can't be") {
  const Folder folder;
  const auto code = [](const std::string& path) {
    const auto made = AtomicFile::create(path);
    REQUIRE_FALSE(made.ok());
    return made.error().code;
  };
  CHECK(code(folder.file("none/a")) == base::ErrorCode::not_found);
  CHECK(code("/dev/null") == base::ErrorCode::usage);
  CHECK(code(folder.file("")) == base::ErrorCode::io);
  CHECK(code(folder.file("..")) == base::ErrorCode::io);
  CHECK(code(folder.file(std::string("a\0b", 3))) == base::ErrorCode::not_found);
  REQUIRE(symlink("target", folder.file("link").c_str()) == 0);
  CHECK(code(folder.file("link")) == base::ErrorCode::usage);
  CHECK(is_left_over(".atoll-123-4.part"));
  CHECK_FALSE(is_left_over("atoll.part"));
}

}  // namespace
}  // namespace atollvm::snapshot
