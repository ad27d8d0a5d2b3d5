// Volumes: reads that wait for nobody.
#include <atomic>
#include <thread>

#include "tests/support/volumes.hpp"

using namespace atollvm;
using namespace atollvm::test;
using cap::Errno;

namespace {

constexpr usize block = 1 << 16;

// What reading without waiting gives; nothing: it would have to wait.
std::optional<std::string> at_once(vfs::File& file, usize size, std::optional<u64> at = {}) {
  std::string bytes(size, '?');
  const auto got = file.read({reinterpret_cast<u8*>(bytes.data()), size}, at, Wait::never);
  if (got.index() != 0) {
    CHECK(std::get<Errno>(got) == Errno::again);
    return std::nullopt;
  }
  bytes.resize(std::get<0>(got));
  return bytes;
}
std::string in_pool(vfs::File& file, usize size, std::optional<u64> at = {}) {
  std::string bytes(size, '?');
  const auto got = file.read({reinterpret_cast<u8*>(bytes.data()), size}, at, Wait::allowed);
  REQUIRE(got.index() == 0);
  bytes.resize(std::get<0>(got));
  return bytes;
}
std::string pattern(usize size, u32 seed) {
  std::string text(size, '\0');
  for (usize i = 0; i < size; ++i) text[i] = static_cast<char>((i / 7 + seed * 31) % 251);
  return text;
}

}  // namespace

TEST_CASE("volume cache: reading in order waits for one block of several, and not for the end") {
  const ScratchDirectory scratch;
  const Root root(in_volume(scratch));
  const std::string text = pattern(20 * block + 1000, 1);
  root.put("file", text);
  const auto file = root.file("file", 0, reading);
  for (const usize size : {usize{1000}, usize{block}, usize{100'000}}) {
    REQUIRE(std::get<0>(file->seek(0, 0)) == 0);
    std::string all;
    usize waits = 0;
    while (true) {
      auto piece = at_once(*file, size);
      if (!piece) {
        ++waits;
        piece = in_pool(*file, size);
      }
      if (piece->empty()) break;
      all += *piece;
    }
    CHECK(all == text);
    CHECK(waits <= 8);
  }
  CHECK(at_once(*file, 10) == "");
  CHECK(at_once(*file, 10, text.size() + 5) == "");
  CHECK(at_once(*file, 0, 0) == "");
  // What is read again.
  const auto other = root.file("file", 0, reading);
  static_cast<void>(in_pool(*other, 10, 15 * block + 3));
  static_cast<void>(in_pool(*other, 10, 15 * block + 90));
  CHECK(at_once(*other, 10, 15 * block + 200) == text.substr(15 * block + 200, 10));
}

TEST_CASE("volume cache: nobody reads what is no more") {
  const ScratchDirectory scratch;
  const Root root(in_volume(scratch));
  const std::string text = pattern(3 * block, 2);
  root.put("file", text);
  const auto file = root.file("file", 0, both);
  const auto fill = [&] {
    for (int i = 0; i < 2; ++i) {
      for (u64 at = 0; at < 3; ++at) static_cast<void>(in_pool(*file, 10, at * block));
    }
  };
  const auto now = [&](u64 at, usize size) {
    auto some = at_once(*file, size, at);
    return some ? *some : in_pool(*file, size, at);
  };
  fill();
  REQUIRE(at_once(*file, 20, block - 10) == text.substr(block - 10, 20));
  write_at(*file, "new", block - 1);
  CHECK(now(block - 2, 5) == text.substr(block - 2, 1) + "new" + text.substr(block + 2, 1));
  fill();
  REQUIRE(file->truncate(block + 5, Wait::allowed) == Errno::success);
  CHECK(now(block + 3, 10).size() == 2);
  CHECK(now(2 * block, 10).empty());
  fill();
  REQUIRE(file->truncate(3 * block, Wait::allowed) == Errno::success);
  CHECK(now(block + 5, 10) == std::string(10, '\0'));
  CHECK(now(2 * block, 10) == std::string(10, '\0'));
  fill();
  REQUIRE(file->allocate(3 * block, 10, Wait::allowed) == Errno::success);
  CHECK(now(3 * block - 1, 100) == std::string(11, '\0'));
  // Another file that gets the number of one that went.
  const u64 inode = root.status("file").inode;
  const auto last = root.file("last", vfs::open_create, both);
  write_at(*last, pattern(block, 3), 0);
  for (int i = 0; i < 2; ++i) static_cast<void>(in_pool(*last, 10, 5));
  CHECK(at_once(*last, 10, 5).has_value());
  CHECK(root.status("last").inode != inode);
  REQUIRE(root.remove("last") == Errno::success);
  CHECK(in_pool(*last, 10, 5) == pattern(block, 3).substr(5, 10));
}

TEST_CASE("volume cache: any calls give the same as in memory") {
  for (u64 seed = 1; seed <= 6; ++seed) {
    CAPTURE(seed);
    const ScratchDirectory scratch;
    REQUIRE(vfs::create_volume(scratch / "volume", u64{6} << 20).ok());
    const Root volume(in_volume(scratch));
    const Root memory(vfs::make_memory({}));
    Random random{seed * 7919};
    u64 hits = 0;
    std::shared_ptr<vfs::File> files[3][2];
    const auto open = [&](usize i) {
      const std::string name = "f" + std::to_string(i);
      files[i][0] = volume.file(name, vfs::open_create, both);
      files[i][1] = memory.file(name, vfs::open_create, both);
    };
    for (usize i = 0; i < 3; ++i) open(i);
    for (int step = 0; step < 1500; ++step) {
      CAPTURE(step);
      const usize which = random(3);
      auto& [one, other] = files[which];
      const u64 at = random(2) == 0 ? random(20) * 20'000 : random(400'000);
      const u64 kind = random(20);
      if (kind < 3) {
        const std::string text =
            pattern(random(2) == 0 ? random(300) + 1 : random(150'000) + 1, static_cast<u32>(step));
        const std::span bytes(reinterpret_cast<const u8*>(text.data()), text.size());
        const auto written = one->write(bytes, at, {}, Wait::allowed);
        // In a full volume nothing of it is done.
        if (written.index() == 0) {
          REQUIRE(other->write(bytes, at, {}, Wait::allowed) == written);
        } else {
          CHECK(std::get<Errno>(written) == Errno::nospc);
        }
      } else if (kind == 3) {
        REQUIRE(one->truncate(at, Wait::allowed) == Errno::success);
        REQUIRE(other->truncate(at, Wait::allowed) == Errno::success);
      } else if (kind == 4 && random(8) == 0) {
        const std::string name = "f" + std::to_string(which);
        REQUIRE(volume.remove(name) == Errno::success);
        REQUIRE(memory.remove(name) == Errno::success);
        open(which);
      } else if (kind == 5 && random(4) == 0) {
        REQUIRE(volume.sync() == Errno::success);
      } else {
        const bool in_order = random(3) != 0;
        const usize size = random(3) == 0 ? random(150'000) : random(5000);
        const std::optional<u64> from = in_order ? std::nullopt : std::optional(at);
        if (in_order && random(10) == 0) {
          static_cast<void>(one->seek(static_cast<i64>(at), 0));
          static_cast<void>(other->seek(static_cast<i64>(at), 0));
        }
        auto got = at_once(*one, size, from);
        if (got) ++hits;
        if (!got) got = in_pool(*one, size, from);
        REQUIRE(*got == in_pool(*other, size, from));
      }
    }
    CHECK(hits > 300);
    CHECK(faults_of(*volume).empty());
  }
}

TEST_CASE("volume cache: who reads at once sees a write whole or not at all") {
  const ScratchDirectory scratch;
  const Root root(in_volume(scratch));
  root.put("file", std::string(4 * block, 'a'));
  std::atomic<bool> is_over = false;
  std::atomic<u64> hits = 0, torn = 0;
  std::vector<std::thread> readers;
  for (int i = 0; i < 2; ++i) {
    readers.emplace_back([&, i] {
      const auto file = root.file("file", 0, reading);
      const u64 at = block / 2 + static_cast<u64>(i) * 1000;
      std::vector<u8> bytes(2 * block);
      while (!is_over) {
        auto got = file->read(bytes, at, Wait::never);
        if (got.index() == 0) ++hits;
        if (got.index() != 0) got = file->read(bytes, at, Wait::allowed);
        if (got.index() != 0 || std::get<0>(got) != bytes.size() ||
            std::any_of(bytes.begin(), bytes.end(), [&](u8 each) { return each != bytes[0]; })) {
          ++torn;
        }
      }
    });
  }
  const auto file = root.file("file", 0, writing);
  for (int turn = 0; turn < 300; ++turn) {
    const std::string text(4 * block, static_cast<char>('a' + turn % 26));
    if (turn % 10 == 9) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    write_at(*file, text, 0);
  }
  is_over = true;
  for (std::thread& each : readers) each.join();
  CHECK(torn == 0);
  MESSAGE(hits.load() << " at once");
}

TEST_CASE("volume cache: a disk that can't be read gives io, and what was lost is not there") {
  Disk& disk = Disk::get();
  disk.tracks = false;
  for (const bool is_pending : {false, true}) {
    CAPTURE(is_pending);
    const ScratchDirectory scratch;
    const std::string path = scratch / "volume";
    REQUIRE(vfs::create_volume(path, u64{256} << 20).ok());
    {
      const Root root(vfs::open_volume(path, {Disk::name}).value());
      const auto made = root.file("file", vfs::open_create, writing);
      for (u64 i = 0; i < 10; ++i) write_at(*made, pattern(4 << 20, 4), i * (4 << 20));
      REQUIRE(root.sync() == Errno::success);
    }
    const Root root(vfs::open_volume(path, {Disk::name}).value());
    const auto file = root.file("file", 0, reading);
    CHECK(in_pool(*file, 100) == pattern(100, 4));
    CHECK(at_once(*file, 100).has_value());
    REQUIRE(root.sync() == Errno::success);
    if (is_pending) root.put("new", "not committed");
    disk.fails_reads = true;
    std::vector<u8> bytes(block);
    const auto failed = file->read(bytes, 30 << 20, Wait::allowed);
    CHECK(failed == vfs::Outcome<u32>(Errno::io));
    disk.fails_reads = false;
    const auto after = file->read(bytes, 30 << 20, Wait::allowed);
    // SQLite undoes what was not committed.
    CHECK((after.index() == 0) == !is_pending);
    if (is_pending) {
      const auto now = file->read(std::span(bytes).first(10), 100, Wait::never);
      CHECK(now == vfs::Outcome<u32>(Errno::io));
      CHECK(root.sync() == Errno::io);
    }
  }
  disk.forget();
}
