// What is done to volumes by tests that then let them lose something, and what must be left.
#pragma once

#include <sqlite3.h>

#include <cstring>
#include <map>
#include <set>

#include "stdlib/vfs/volume.hpp"
#include "tests/support/file_systems.hpp"

namespace atollvm::test {

// Why the volume at PATH can't be opened; "" if it can be.
inline std::string error_text(const std::string& path) {
  const auto opened = vfs::open_volume(path);
  return opened.ok() ? "" : opened.error().text();
}

struct Random {
  u64 state;
  u64 operator()(u64 below) {
    state = state * 6364136223846793005 + 1442695040888963407;
    return (state >> 33) % below;
  }
};

// Steps that the seed alone says: the first N of them leave the same in every file system.
class Workload {
 public:
  Workload(std::shared_ptr<Directory> root, u64 seed) : root_(std::move(root)), random_{seed} {}

  // Called where a step is half done: opening and writing are two calls.
  std::function<void()> between;

  // Takes the next step; whether it was a sync.
  bool step() {
    const std::string one = name(), other = name();
    const u64 at = random_(3) == 0 ? random_(150'000) : random_(3000);
    const std::string text(random_(random_(4) == 0 ? 70'000 : 500) + 1,
                           static_cast<char>('a' + count_++ % 26));
    const std::span bytes(reinterpret_cast<const u8*>(text.data()), text.size());
    constexpr Wait wait = Wait::allowed;
    const u64 kind = random_(12);
    if (kind < 6) {
      const bool append = kind == 0;
      auto opened =
          root_->open(one, vfs::open_create | (append ? vfs::open_append : 0), both, wait);
      if (between) between();
      if (const auto* const object = std::get_if<0>(&opened)) {
        auto& file = static_cast<vfs::File&>(**object);
        static_cast<void>(
            kind == 5 ? vfs::Outcome<u32>(u32(file.truncate(at, wait)))
                      : file.write(bytes, append ? std::nullopt : std::optional(at), {}, wait));
      }
    } else if (kind == 6) {
      static_cast<void>(root_->rename(one, *root_, other, wait));
    } else if (kind == 7) {
      static_cast<void>(root_->remove_file(one, wait));
    } else if (kind == 8) {
      static_cast<void>(root_->link(one, *root_, other, wait));
    } else if (kind == 9) {
      static_cast<void>(root_->make_directory(folder(), wait));
    } else if (kind == 10) {
      static_cast<void>(random_(2) == 0 ? root_->remove_directory(folder(), wait)
                                        : root_->rename(folder(), *root_, folder(), wait));
    } else {
      static_cast<void>(root_->sync(wait));
      return true;
    }
    return false;
  }

 private:
  std::string folder() { return "d" + std::to_string(random_(3)); }
  std::string name() {
    const std::string file = "f" + std::to_string(random_(8));
    return random_(3) == 0 ? folder() + "/" + file : file;
  }

  std::shared_ptr<Directory> root_;
  Random random_;
  u64 count_ = 0;
};

// A number of all that is there: names, types, what is the same file, bytes.
inline u64 digest_of(Directory& root, u32 depth = 0) {
  u64 sum = 7;
  constexpr Wait wait = Wait::allowed;
  std::vector<std::string> names;
  for (u64 cookie = 0;;) {
    const auto some = root.list(cookie, 1 << 16, wait);
    if (some.index() != 0 || std::get<0>(some).empty()) break;
    for (const auto& each : std::get<0>(some)) names.push_back(each.name);
    cookie = std::get<0>(some).back().next;
  }
  std::sort(names.begin(), names.end());
  const auto mix = [&sum](u64 value) { sum = (sum ^ value) * 0x9e3779b97f4a7c15 + (sum >> 29); };
  for (const std::string& name : names) {
    mix(std::hash<std::string>()(name));
    auto opened = root.open(name, vfs::open_nofollow, reading, wait);
    const auto* const object = std::get_if<0>(&opened);
    if (object == nullptr) continue;
    if ((*object)->kind() == cap::Kind::directory) {
      if (depth < 10) mix(digest_of(static_cast<Directory&>(**object), depth + 1));
      continue;
    }
    auto& file = static_cast<vfs::File&>(**object);
    const auto stat = file.stat(wait);
    if (const auto* const status = std::get_if<0>(&stat)) {
      mix(status->size);
      mix(status->links);
    }
    std::string bytes(1 << 18, '\0');
    for (int i = 0; i < 8; ++i) {
      const auto size =
          file.read({reinterpret_cast<u8*>(bytes.data()), bytes.size()}, std::nullopt, wait);
      if (size.index() != 0 || std::get<0>(size) == 0) break;
      mix(std::hash<std::string_view>()({bytes.data(), std::get<0>(size)}));
    }
  }
  return sum;
}

// The number of steps after which the workload left what is there, from `from` to `to`, the last of
// them perhaps half done; nothing: there is no such number.
inline std::optional<u64> calls_of(Directory& root, u64 seed, u64 from, u64 to) {
  const u64 want = digest_of(root);
  const auto model = vfs::make_memory({});
  Workload workload(model, seed);
  std::optional<u64> found;
  u64 step = 0;
  const auto compare = [&] {
    if (!found && step >= from && digest_of(*model) == want) found = step;
  };
  workload.between = compare;
  for (; step <= to && !found; ++step) {
    compare();
    if (step < to) workload.step();
  }
  return found;
}

inline std::string faults_of(Directory& root) {
  auto faults = vfs::check_volume(root);
  if (!faults.ok()) return faults.error().text();
  std::string text;
  for (const auto& each : *faults) text += each.place + ": " + each.text + "\n";
  return text;
}

// A disk whose writes are kept in order, and may be lost until they are synced. A layer of SQLite's
// above the operating system ("unix") that is used by its name.
class Disk {
 public:
  static Disk& get() {
    static Disk disk;
    return disk;
  }
  static constexpr const char* name = "atoll-test-disk";

  // Called before each write.
  std::function<void()> before_write;
  bool tracks = true;
  bool fails_reads = false;

  // Leaves in `folder` what a computer finds that lost its power now: of what was not synced some
  // writes, and of some only a part.
  void leave(const std::string& folder, const std::string& volume, Random& random) const {
    for (const auto& [path, file] : files_) {
      if (!path.starts_with(volume) || file.is_removed) continue;
      std::string bytes = file.durable;
      const u64 style = random(4);  // none, all, or some of them
      for (const Change& each : file.pending) {
        if (style == 0 || (style >= 2 && random(2) == 0)) continue;
        if (each.is_size) {
          bytes.resize(each.at);
          continue;
        }
        usize begin = 0, end = each.bytes.size();
        if (style == 3 && random(2) == 0) {
          begin = random(end / 512 + 1) * 512;
          end = begin + random(end - begin + 1) / 512 * 512;
        }
        if (bytes.size() < each.at + end) bytes.resize(each.at + end);
        bytes.replace(each.at + begin, end - begin, each.bytes, begin, end - begin);
      }
      put_text(folder + "/volume" + path.substr(volume.size()), bytes);
    }
  }
  void forget() { files_.clear(); }

 private:
  struct Change {
    u64 at;
    std::string bytes;
    bool is_size = false;
  };
  struct File {
    std::string durable;
    std::vector<Change> pending;
    bool is_removed = false;
  };
  struct Handle {
    sqlite3_file base;
    File* file;
    sqlite3_file* below;
  };

  static Handle& of(sqlite3_file* file) { return *reinterpret_cast<Handle*>(file); }

  Disk() {
    below_ = sqlite3_vfs_find("unix");
    layer_ = *below_;
    layer_.zName = name;
    layer_.szOsFile = static_cast<int>(sizeof(Handle)) + below_->szOsFile;
    layer_.xOpen = open;
    layer_.xDelete = remove;
    methods_.iVersion = 1;
    methods_.xClose = [](sqlite3_file* f) { return of(f).below->pMethods->xClose(of(f).below); };
    methods_.xRead = [](sqlite3_file* f, void* to, int size, sqlite3_int64 at) {
      if (get().fails_reads) return SQLITE_IOERR_READ;
      return of(f).below->pMethods->xRead(of(f).below, to, size, at);
    };
    methods_.xWrite = [](sqlite3_file* f, const void* from, int size, sqlite3_int64 at) {
      Disk& disk = get();
      if (disk.tracks) {
        if (disk.before_write) disk.before_write();
        of(f).file->pending.push_back(
            {static_cast<u64>(at),
             std::string(static_cast<const char*>(from), static_cast<usize>(size))});
      }
      return of(f).below->pMethods->xWrite(of(f).below, from, size, at);
    };
    methods_.xTruncate = [](sqlite3_file* f, sqlite3_int64 size) {
      if (get().tracks) of(f).file->pending.push_back({static_cast<u64>(size), {}, true});
      return of(f).below->pMethods->xTruncate(of(f).below, size);
    };
    methods_.xSync = [](sqlite3_file* f, int) {
      if (!get().tracks) return SQLITE_OK;
      File& file = *of(f).file;
      for (const Change& each : file.pending) {
        if (each.is_size) {
          file.durable.resize(each.at);
          continue;
        }
        const u64 end = each.at + each.bytes.size();
        if (file.durable.size() < end) file.durable.resize(end);
        file.durable.replace(each.at, each.bytes.size(), each.bytes);
      }
      file.pending.clear();
      return SQLITE_OK;
    };
    methods_.xFileSize = [](sqlite3_file* f, sqlite3_int64* size) {
      return of(f).below->pMethods->xFileSize(of(f).below, size);
    };
    methods_.xLock = [](sqlite3_file* f, int how) {
      return of(f).below->pMethods->xLock(of(f).below, how);
    };
    methods_.xUnlock = [](sqlite3_file* f, int how) {
      return of(f).below->pMethods->xUnlock(of(f).below, how);
    };
    methods_.xCheckReservedLock = [](sqlite3_file* f, int* is) {
      return of(f).below->pMethods->xCheckReservedLock(of(f).below, is);
    };
    methods_.xFileControl = [](sqlite3_file* f, int what, void* with) {
      return of(f).below->pMethods->xFileControl(of(f).below, what, with);
    };
    methods_.xSectorSize = [](sqlite3_file*) { return 512; };
    methods_.xDeviceCharacteristics = [](sqlite3_file*) { return 0; };
    sqlite3_vfs_register(&layer_, 0);
  }

  static int open(sqlite3_vfs*, const char* path, sqlite3_file* file, int flags, int* out) {
    Disk& disk = get();
    Handle& handle = of(file);
    handle.base.pMethods = nullptr;
    handle.below = reinterpret_cast<sqlite3_file*>(&handle + 1);
    const int status = disk.below_->xOpen(disk.below_, path, handle.below, flags, out);
    if (status != SQLITE_OK) return status;
    const std::string own(path == nullptr ? "" : path);
    File& known = disk.files_[own];
    known.is_removed = false;
    if (disk.tracks && known.pending.empty()) known.durable = text_of(own);
    handle.file = &known;
    handle.base.pMethods = &disk.methods_;
    return status;
  }
  static int remove(sqlite3_vfs*, const char* path, int sync) {
    Disk& disk = get();
    File& file = disk.files_[path];
    file = File{};
    file.is_removed = true;
    return disk.below_->xDelete(disk.below_, path, sync);
  }

  sqlite3_vfs* below_ = nullptr;
  sqlite3_vfs layer_{};
  sqlite3_io_methods methods_{};
  std::map<std::string, File> files_;
};

}  // namespace atollvm::test
