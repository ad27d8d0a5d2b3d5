// What the backends of file systems cost by themselves, without a guest. Prints lines of a name and
// nanoseconds of CPU time, each the least of several rounds; tests/bench/groups/files.py has what
// they are.
#include <sqlite3.h>
#include <stdlib.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "stdlib/vfs/host_directory.hpp"
#include "stdlib/vfs/memory.hpp"
#include "stdlib/vfs/overlay.hpp"
#include "stdlib/vfs/volume.hpp"

using namespace atollvm;
using vfs::Wait;

namespace {

constexpr int rounds = 7;

double cpu_ns() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

void check(bool ok, const char* what) {
  if (ok) return;
  std::fprintf(stderr, "vfs_bench: %s\n", what);
  std::exit(1);
}

template <class F>
void figure(const std::string& name, long count, F turn) {
  double least = 1e300;
  for (int i = 0; i < rounds; ++i) {
    const double begin = cpu_ns();
    turn(count);
    least = std::min(least, (cpu_ns() - begin) / static_cast<double>(count));
  }
  std::printf("%s %.1f\n", name.c_str(), least);
}

std::shared_ptr<vfs::File> file_of(vfs::Directory& root, const std::string& name) {
  const auto opened = root.open(name, vfs::open_create, {true, true}, Wait::allowed);
  check(opened.index() == 0, "can't open");
  return std::static_pointer_cast<vfs::File>(std::get<0>(opened));
}

void measure(const std::string& name, vfs::Directory& root) {
  constexpr u64 size = 1 << 20;
  const auto file = file_of(root, "file");
  std::vector<u8> all(size, 7);
  check(file->write(all, 0, {}, Wait::allowed).index() == 0, "can't write");
  u8 bytes[64];
  figure(name + ".read.64.ns", 300'000, [&](long count) {
    static_cast<void>(file->seek(0, 0));
    for (long i = 0; i < count; ++i) {
      if (std::get<u32>(file->read(bytes, std::nullopt, Wait::never)) == 0) {
        static_cast<void>(file->seek(0, 0));
      }
    }
  });
  figure(name + ".read.64.anywhere.ns", 300'000, [&](long count) {
    u64 at = 1;
    for (long i = 0; i < count; ++i) {
      at = at * 6364136223846793005 + 1442695040888963407;
      check(file->read(bytes, (at >> 33) % (size - 64), Wait::never).index() == 0, "can't read");
    }
  });
  figure(name + ".write.64.anywhere.ns", 300'000, [&](long count) {
    u64 at = 1;
    for (long i = 0; i < count; ++i) {
      at = at * 6364136223846793005 + 1442695040888963407;
      check(file->write(bytes, (at >> 33) % (size - 64), {}, Wait::never).index() == 0,
            "can't write");
    }
  });
  figure(name + ".read.65536.ns", 10'000, [&](long count) {
    for (long i = 0; i < count; ++i) {
      const std::span to(all.data(), 1 << 16);
      check(file->read(to, u64(i % 16) << 16, Wait::never).index() == 0, "can't read");
    }
  });
  figure(name + ".stat.ns", 100'000, [&](long count) {
    for (long i = 0; i < count; ++i) {
      check(root.stat("file", true, Wait::allowed).index() == 0, "can't stat");
    }
  });
  figure(name + ".small.ns", 20'000, [&](long count) {
    for (long i = 0; i < count; ++i) {
      static_cast<void>(file_of(root, "new")->write(bytes, 0, {}, Wait::allowed));
      check(root.remove_file("new", Wait::allowed) == cap::Errno::success, "can't remove");
    }
  });
}

double wall_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

// MB/s in order, in pieces of 64 KiB: of a volume's file, and of blobs in a table of SQLite's with
// the volume's settings, committed as often. In turns, the best of several.
constexpr u64 piece = 1 << 16;
constexpr u64 pieces = 2048;

struct Speed {
  double write = 0;
  double read = 0;
};

template <class Write, class Read>
void turn(Speed& best, Write write, Read read) {
  const double megabytes = static_cast<double>(piece * pieces) / 1e6;
  const double begin = wall_ns();
  write();
  const double middle = wall_ns();
  read();
  const double end = wall_ns();
  best.write = std::max(best.write, megabytes / ((middle - begin) / 1e9));
  best.read = std::max(best.read, megabytes / ((end - middle) / 1e9));
}

void volume_turn(const std::string& path, std::vector<u8>& bytes, Speed& best) {
  check(vfs::create_volume(path, u64{1} << 30).ok(), "can't make a volume");
  {
    const auto root = vfs::open_volume(path);
    check(root.ok(), "can't open a volume");
    const auto file = file_of(**root, "file");
    turn(
        best,
        [&] {
          for (u64 i = 0; i < pieces; ++i) {
            check(file->write(bytes, i * piece, {}, Wait::allowed).index() == 0, "can't write");
          }
          check(file->sync(vfs::Durability::all, Wait::allowed) == cap::Errno::success, "sync");
        },
        [&] {
          for (u64 i = 0; i < pieces; ++i) {
            check(file->read(bytes, i * piece, Wait::allowed).index() == 0, "can't read");
          }
        });
  }
  std::remove(path.c_str());
}

void sqlite_turn(const std::string& path, std::vector<u8>& bytes, Speed& best) {
  sqlite3* database = nullptr;
  check(sqlite3_open(path.c_str(), &database) == SQLITE_OK, "can't open a database");
  const auto run = [database](const char* text) {
    check(sqlite3_exec(database, text, nullptr, nullptr, nullptr) == SQLITE_OK, text);
  };
  run("PRAGMA page_size = 8192; PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL;"
      "PRAGMA synchronous = NORMAL; PRAGMA secure_delete = OFF; PRAGMA cache_size = -16384;"
      "PRAGMA wal_autocheckpoint = 2048;"
      "CREATE TABLE blobs(id INTEGER PRIMARY KEY, data BLOB)");
  sqlite3_stmt* insert = nullptr;
  sqlite3_prepare_v2(database, "INSERT INTO blobs VALUES(?, ?)", -1, &insert, nullptr);
  turn(
      best,
      [&] {
        run("BEGIN");
        for (u64 i = 0; i < pieces; ++i) {
          sqlite3_bind_int64(insert, 1, static_cast<i64>(i));
          sqlite3_bind_blob(insert, 2, bytes.data(), static_cast<int>(piece), SQLITE_STATIC);
          check(sqlite3_step(insert) == SQLITE_DONE, "can't insert");
          sqlite3_reset(insert);
          if (i % 128 == 127) run("COMMIT; BEGIN");
        }
        run("COMMIT");
        sqlite3_file* log = nullptr;
        sqlite3_file_control(database, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log);
        check(log->pMethods->xSync(log, SQLITE_SYNC_NORMAL) == SQLITE_OK, "sync");
      },
      [&] {
        sqlite3_blob* blob = nullptr;
        check(sqlite3_blob_open(database, "main", "blobs", "data", 0, 0, &blob) == SQLITE_OK,
              "can't open a blob");
        for (u64 i = 0; i < pieces; ++i) {
          check(sqlite3_blob_reopen(blob, static_cast<i64>(i)) == SQLITE_OK &&
                    sqlite3_blob_read(blob, bytes.data(), static_cast<int>(piece), 0) == SQLITE_OK,
                "can't read a blob");
        }
        sqlite3_blob_close(blob);
      });
  sqlite3_finalize(insert);
  sqlite3_close(database);
  std::remove(path.c_str());
}

void measure_volume(const std::string& folder) {
  std::vector<u8> bytes(piece, 7);
  Speed volume;
  Speed sqlite;
  for (int i = 0; i < 5; ++i) {
    volume_turn(folder + "/volume", bytes, volume);
    sqlite_turn(folder + "/sqlite", bytes, sqlite);
  }
  std::printf(
      "volume.write.MB %.1f\nsqlite.write.MB %.1f\nvolume.read.MB %.1f\nsqlite.read.MB %.1f\n",
      volume.write, sqlite.write, volume.read, sqlite.read);
}

}  // namespace

int main() {
  std::string folder = "/tmp/vfs-bench-XXXXXX";
  check(mkdtemp(folder.data()) != nullptr, "can't make a folder");
  const auto host = vfs::open_host_directory(folder);
  check(host.ok(), "can't open the folder");
  measure("memory", *vfs::make_memory({}));
  measure("overlay", *vfs::make_overlay(*host, vfs::make_memory({})));
  measure("host", **host);
  static_cast<void>((*host)->remove_file("file", Wait::allowed));
  measure_volume(folder);
  std::remove(folder.c_str());
}
