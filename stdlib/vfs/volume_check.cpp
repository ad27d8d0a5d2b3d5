// What must hold in a volume, looked at as a whole.
#include <fmt/format.h>

#include <functional>
#include <unordered_map>

#include "stdlib/vfs/volume_store.hpp"

namespace atollvm::vfs {
namespace {

using base::Error;
using base::ErrorCode;

constexpr usize most_faults = 100;

struct Seen {
  FileType type = FileType::unknown;
  i64 links = 0;
  i64 parent = 0;
  u64 size = 0;
  i64 names = 0;    // entries that name it
  i64 folders = 0;  // of a directory: those in it
  bool is_reached = false;
};

// Reads the tables one after the other.
class Checker {
 public:
  explicit Checker(sqlite3* database) : database_(database) {}

  std::vector<VolumeFault> run() {
    // What SQLite finds makes all else doubtful.
    each("PRAGMA integrity_check(100)", [this](sqlite3_stmt* row) {
      const auto* const text = reinterpret_cast<const char*>(sqlite3_column_text(row, 0));
      if (text != nullptr && std::string_view(text) != "ok") fault("database", text);
    });
    if (!faults_.empty()) return std::move(faults_);
    each(
        "SELECT id, type, links, size, parent, target, typeof(target), accessed, modified, changed "
        "FROM inodes",
        [this](sqlite3_stmt* row) { inode(row); });
    if (!seen_.contains(volume_root)) fault("inode 1", "the root is missing");
    each("SELECT parent, name, inode, cookie, typeof(name) FROM entries",
         [this](sqlite3_stmt* row) { entry(row); });
    for (const auto& [id, one] : seen_) counts(id, one);
    for (auto& [id, one] : seen_) reach(id, one);
    each("SELECT place, length(data), typeof(data) FROM blocks ORDER BY place",
         [this](sqlite3_stmt* row) { block(row); });
    return std::move(faults_);
  }

 private:
  void fault(std::string place, std::string text) {
    if (faults_.size() < most_faults) faults_.push_back({std::move(place), std::move(text)});
  }

  void each(const char* query, const std::function<void(sqlite3_stmt*)>& use) {
    sqlite3_stmt* rows = nullptr;
    int status = sqlite3_prepare_v2(database_, query, -1, &rows, nullptr);
    while (status == SQLITE_OK || status == SQLITE_ROW) {
      status = sqlite3_step(rows);
      if (status == SQLITE_ROW) use(rows);
    }
    if (status != SQLITE_DONE) fault("database", sqlite3_errstr(status));
    sqlite3_finalize(rows);
  }

  static std::string text_of(sqlite3_stmt* row, int column) {
    const void* const data = sqlite3_column_blob(row, column);
    const int size = sqlite3_column_bytes(row, column);
    return data == nullptr ? std::string()
                           : std::string(static_cast<const char*>(data), static_cast<usize>(size));
  }
  static std::string name_of(i64 id, FileType type) {
    const char* const kind = type == FileType::directory ? "directory"
                             : type == FileType::link    ? "link"
                                                         : "file";
    return fmt::format("{} {}", kind, id);
  }

  void inode(sqlite3_stmt* row) {
    const i64 id = sqlite3_column_int64(row, 0);
    const i64 type = sqlite3_column_int64(row, 1);
    Seen one;
    one.type = static_cast<FileType>(type);
    one.links = sqlite3_column_int64(row, 2);
    one.parent = sqlite3_column_int64(row, 4);
    const i64 size = sqlite3_column_int64(row, 3);
    one.size = static_cast<u64>(size);
    const std::string place = fmt::format("inode {}", id);
    for (const int column : {1, 2, 3, 4, 7, 8, 9}) {
      if (sqlite3_column_type(row, column) != SQLITE_INTEGER) {
        fault(place, fmt::format("column {} is no number", sqlite3_column_name(row, column)));
        return;
      }
    }
    if (id < 1 || id > most_volume_inode) fault(place, "its number is out of bounds");
    if (type != 3 && type != 4 && type != 7) return fault(place, "it has no type that there is");
    if (one.links < 0 || size < 0 || one.size > most_volume_file) {
      fault(place, "its size or its number of links is out of bounds");
    }
    const bool has_target = text_of(row, 6) != "null";
    if (one.type == FileType::link) {
      if (text_of(row, 6) != "blob" || check_path(text_of(row, 5)) != Errno::success) {
        fault(place, "what the link says is no relative path");
      }
    } else if (has_target) {
      fault(place, "it is no link and has a target");
    }
    if (one.type != FileType::regular && size != 0) fault(place, "only files have a size");
    if (one.type != FileType::directory && one.parent != 0) {
      fault(place, "only directories have a parent");
    }
    seen_.emplace(id, one);
  }

  void entry(sqlite3_stmt* row) {
    const i64 parent = sqlite3_column_int64(row, 0);
    const i64 id = sqlite3_column_int64(row, 2);
    const i64 cookie = sqlite3_column_int64(row, 3);
    const std::string name = text_of(row, 1);
    const std::string place = fmt::format("entry `{}` of directory {}", name, parent);
    for (const int column : {0, 2, 3}) {
      if (sqlite3_column_type(row, column) != SQLITE_INTEGER) {
        return fault(place, "it has columns that are no numbers");
      }
    }
    if (text_of(row, 4) != "blob" || !is_volume_name(name)) fault(place, "it is no name");
    if (cookie < 1 || cookie >= i64{1} << 62) fault(place, "its cookie is out of bounds");
    const auto folder = seen_.find(parent);
    if (folder == seen_.end() || folder->second.type != FileType::directory) {
      fault(place, "there is no such directory");
    }
    const auto found = seen_.find(id);
    if (found == seen_.end()) {
      return fault(place, fmt::format("there is no inode {}, which it names", id));
    }
    Seen& one = found->second;
    ++one.names;
    if (one.type != FileType::directory) return;
    if (folder != seen_.end()) ++folder->second.folders;
    if (one.parent != parent) {
      fault(place, fmt::format("directory {} says that it lies in {}", id, one.parent));
    }
  }

  void counts(i64 id, const Seen& one) {
    const std::string place = name_of(id, one.type);
    if (one.links == 0) {
      if (one.names != 0) fault(place, "it has names, but counts none");
      return;
    }
    if (one.type == FileType::directory) {
      const i64 names = id == volume_root ? 0 : 1;
      if (one.names != names) fault(place, fmt::format("{} entries name it, not one", one.names));
      if (one.links != one.folders + 2) {
        fault(place, fmt::format("it counts {} links, but has {}", one.links, one.folders + 2));
      }
    } else if (one.links != one.names) {
      fault(place, fmt::format("it counts {} links, but has {}", one.links, one.names));
    }
  }

  // Each directory leads up to the root.
  void reach(i64 id, Seen& one) {
    if (one.type != FileType::directory || one.links == 0) return;
    std::vector<Seen*> way;
    i64 at = id;
    Seen* here = &one;
    while (!here->is_reached && at != volume_root) {
      if (way.size() > seen_.size()) {
        return fault(name_of(id, one.type), "it lies in itself: it can't be reached from the root");
      }
      way.push_back(here);
      at = here->parent;
      const auto above = seen_.find(at);
      if (above == seen_.end()) return fault(name_of(id, one.type), "it lies nowhere");
      here = &above->second;
    }
    for (Seen* const each : way) each->is_reached = true;
  }

  void block(sqlite3_stmt* row) {
    const u64 at = static_cast<u64>(sqlite3_column_int64(row, 0));
    const i64 id = static_cast<i64>(at >> volume_block_bits);
    const u64 number = at & ((u64{1} << volume_block_bits) - 1);
    const i64 length = sqlite3_column_int64(row, 1);
    const std::string place = fmt::format("block {} of file {}", number, id);
    const auto found = seen_.find(id);
    if (found == seen_.end() || found->second.type != FileType::regular) {
      return fault(place, "there is no such file");
    }
    if (text_of(row, 2) != "blob" || length < 1 || static_cast<u64>(length) > volume_block) {
      return fault(place, "it has not the size of a block");
    }
    const u64 begin = number * volume_block;
    const u64 size = found->second.size;
    if (begin >= size) return fault(place, "it lies behind the file's end");
    if (begin + static_cast<u64>(length) > size) zeros(place, static_cast<i64>(at), size - begin);
  }

  // What lies behind the end must not come to be seen when the file grows.
  void zeros(const std::string& place, i64 at, u64 from) {
    sqlite3_blob* blob = nullptr;
    std::vector<u8> bytes;
    if (sqlite3_blob_open(database_, "main", "blocks", "data", at, 0, &blob) == SQLITE_OK) {
      bytes.resize(static_cast<usize>(sqlite3_blob_bytes(blob)) - static_cast<usize>(from));
      if (sqlite3_blob_read(blob, bytes.data(), static_cast<int>(bytes.size()),
                            static_cast<int>(from)) != SQLITE_OK) {
        fault(place, "it can't be read");
      }
    }
    sqlite3_blob_close(blob);
    for (const u8 byte : bytes) {
      if (byte != 0) return fault(place, "there is something behind the file's end");
    }
  }

  sqlite3* database_;
  std::unordered_map<i64, Seen> seen_;
  std::vector<VolumeFault> faults_;
};

Error failed() { return Error{ErrorCode::io, "", "the volume can't be read or written: check it"}; }

}  // namespace

std::vector<VolumeFault> VolumeStore::check() {
  const std::lock_guard lock(mutex_);
  collect(take_closed());
  if (is_broken_) return {{"database", "an earlier call has failed: open the volume again"}};
  sqlite3_progress_handler(database_->handle(), 0, nullptr, nullptr);
  auto faults = Checker(database_->handle()).run();
  database_->limit_steps();
  return faults;
}

base::Result<VolumeInfo> VolumeStore::info() {
  VolumeInfo info;
  const Errno error = read([&] {
    info.size = database_->size();
    info.used = database_->pages_used() * volume_page;
    VolumeRows rows(*database_, VolumeQuery::count_inodes, {});
    if (rows.next()) info.inodes = static_cast<u64>(rows.number(0));
    return Errno::success;
  });
  if (error != Errno::success) return failed();
  return info;
}

base::Status VolumeStore::grow(u64 size) {
  const u64 now = database_->size();
  if (size < now || size > most_volume_size) {
    return Error{ErrorCode::usage, "",
                 fmt::format("the volume has {} bytes, and can be given up to {}: not {}", now,
                             most_volume_size, size)};
  }
  const Errno error = change(volume_frees, 0, [&] {
    database_->set_size(size);
    return Errno::success;
  });
  if (error != Errno::success || sync() != Errno::success) return failed();
  return {};
}

}  // namespace atollvm::vfs
