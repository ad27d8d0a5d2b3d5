#include "stdlib/vfs/volume_database.hpp"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vector>

#include "stdlib/vfs/posix.hpp"

namespace atollvm::vfs {
namespace {

using base::Error;
using base::ErrorCode;

constexpr int application = 0x41746f56;  // "AtoV"
constexpr int format_version = 1;
// Steps of SQLite's machine for one statement. Trees of pages that are made up can go on for ever.
constexpr int most_steps = 20'000'000;
// All that the schema is, in the order in which it is made: a file with other text is refused.
struct Definition {
  const char* name;
  const char* text;
};
constexpr Definition schema[] = {
    {"volume", "CREATE TABLE volume(id INTEGER PRIMARY KEY, size INTEGER NOT NULL)"},
    {"inodes",
     "CREATE TABLE inodes(id INTEGER PRIMARY KEY, type INTEGER NOT NULL, links INTEGER NOT NULL, "
     "size INTEGER NOT NULL, accessed INTEGER NOT NULL, modified INTEGER NOT NULL, "
     "changed INTEGER NOT NULL, parent INTEGER NOT NULL, target BLOB)"},
    {"orphans", "CREATE INDEX orphans ON inodes(links) WHERE links = 0"},
    {"entries",
     "CREATE TABLE entries(parent INTEGER NOT NULL, name BLOB NOT NULL, inode INTEGER NOT NULL, "
     "cookie INTEGER NOT NULL, PRIMARY KEY(parent, name)) WITHOUT ROWID"},
    {"cookies", "CREATE UNIQUE INDEX cookies ON entries(parent, cookie)"},
    {"blocks", "CREATE TABLE blocks(place INTEGER PRIMARY KEY, data BLOB NOT NULL)"},
};

constexpr const char* text_of(VolumeQuery query) {
  switch (query) {
    case VolumeQuery::begin:
      return "BEGIN IMMEDIATE";
    case VolumeQuery::commit:
      return "COMMIT";
    case VolumeQuery::rollback:
      return "ROLLBACK";
    case VolumeQuery::savepoint:
      return "SAVEPOINT call";
    case VolumeQuery::release:
      return "RELEASE call";
    case VolumeQuery::undo:
      return "ROLLBACK TO call";
    case VolumeQuery::page_count:
      return "PRAGMA page_count";
    case VolumeQuery::free_count:
      return "PRAGMA freelist_count";
    case VolumeQuery::find_entry:
      return "SELECT i.id, i.type, i.links, i.size, i.accessed, i.modified, i.changed, i.parent, "
             "i.target FROM entries AS e LEFT JOIN inodes AS i ON i.id = e.inode "
             "WHERE e.parent = ?1 AND e.name = ?2";
    case VolumeQuery::find_inode:
      return "SELECT id, type, links, size, accessed, modified, changed, parent, target "
             "FROM inodes WHERE id = ?1";
    case VolumeQuery::add_inode:
      return "INSERT INTO inodes VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    case VolumeQuery::set_inode:
      return "UPDATE inodes SET links = ?2, size = ?3, accessed = ?4, modified = ?5, "
             "changed = ?6, parent = ?7 WHERE id = ?1";
    case VolumeQuery::remove_inode:
      return "DELETE FROM inodes WHERE id = ?1";
    case VolumeQuery::orphans:
      return "SELECT id, type, size FROM inodes WHERE links = 0 LIMIT 100";
    case VolumeQuery::last_inode:
      return "SELECT id FROM inodes ORDER BY id DESC LIMIT 1";
    case VolumeQuery::add_entry:
      return "INSERT INTO entries VALUES(?1, ?2, ?3, ?4)";
    case VolumeQuery::set_entry:
      return "UPDATE entries SET inode = ?3 WHERE parent = ?1 AND name = ?2";
    case VolumeQuery::rename_entry:
      return "UPDATE entries SET name = ?3 WHERE parent = ?1 AND name = ?2";
    case VolumeQuery::remove_entry:
      return "DELETE FROM entries WHERE parent = ?1 AND name = ?2";
    case VolumeQuery::has_entries:
      return "SELECT 1 FROM entries WHERE parent = ?1 LIMIT 1";
    case VolumeQuery::last_cookie:
      return "SELECT cookie FROM entries WHERE parent = ?1 ORDER BY cookie DESC LIMIT 1";
    case VolumeQuery::list_entries:
      return "SELECT e.cookie, e.name, e.inode, i.type FROM entries AS e INDEXED BY cookies "
             "LEFT JOIN inodes AS i ON i.id = e.inode "
             "WHERE e.parent = ?1 AND e.cookie >= ?2 AND e.cookie < ?3 "
             "ORDER BY e.cookie LIMIT 2500";
    case VolumeQuery::add_block:
      return "INSERT OR REPLACE INTO blocks VALUES(?1, ?2)";
    case VolumeQuery::has_block:
      return "SELECT 1 FROM blocks WHERE place = ?1";
    case VolumeQuery::cut_block:
      return "UPDATE blocks SET data = substr(data, 1, ?2) WHERE place = ?1 AND "
             "length(data) > ?2";
    case VolumeQuery::remove_blocks:
      return "DELETE FROM blocks WHERE place IN (SELECT place FROM blocks WHERE place >= ?1 AND "
             "place <= ?2 LIMIT 1000)";
    case VolumeQuery::set_size:
      return "UPDATE volume SET size = ?1 WHERE id = 1";
    case VolumeQuery::count_inodes:
      return "SELECT count(*) FROM inodes";
    case VolumeQuery::count:
      break;
  }
  return nullptr;
}

int stop(void*) { return 1; }

Error refuse(ErrorCode code, const std::string& path, std::string why) {
  return Error{code, path, std::move(why)};
}

// "" or what is wrong with the beginning of the file, before SQLite sees it.
std::optional<Error> look_at_header(const std::string& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status{};
  if (!file || fstat(file.get(), &status) != 0) {
    return refuse(errno == ENOENT ? ErrorCode::not_found : ErrorCode::io, path, strerror(errno));
  }
  if (!S_ISREG(status.st_mode)) {
    return refuse(ErrorCode::io, path, "it is no regular file: a volume must be one");
  }
  u8 head[100] = {};
  const auto number = [&head](usize at, usize bytes) {
    u32 all = 0;
    for (usize i = 0; i < bytes; ++i) all = all << 8 | head[at + i];
    return all;
  };
  if (pread(file.get(), head, sizeof head, 0) != sizeof head ||
      memcmp(head, "SQLite format 3", 16) != 0 || number(68, 4) != u32{application}) {
    return refuse(ErrorCode::malformed, path, "it is no volume: `atoll volume create` makes them");
  }
  if (number(60, 4) != u32{format_version}) {
    return refuse(ErrorCode::unsupported, path,
                  fmt::format("it is a volume of version {}; this program knows {}", number(60, 4),
                              format_version));
  }
  if (number(16, 2) != volume_page || head[18] != 2 || head[19] != 2 || head[20] != 0) {
    return refuse(ErrorCode::malformed, path, "it is damaged: its header is none of a volume");
  }
  // SQLite would play it back, and might remove a file that it names.
  if (access((path + "-journal").c_str(), F_OK) == 0) {
    return refuse(ErrorCode::malformed, path,
                  "beside it is a file that ends with `-journal`, which is none of a volume's: "
                  "take it away");
  }
  return std::nullopt;
}

}  // namespace

bool is_volume(const std::string& path) {
  const auto error = look_at_header(path);
  return !error || error->code == ErrorCode::unsupported ||
         (error->code == ErrorCode::malformed &&
          error->message.find("no volume") == std::string::npos);
}

VolumeDatabase::~VolumeDatabase() {
  sqlite3_blob_close(reader_);
  for (sqlite3_stmt* const each : statements_) sqlite3_finalize(each);
  sqlite3_close(database_);
}

base::Status VolumeDatabase::connect(const std::string& path, int flags, const char* system) {
  // A path is no URI, and no special name such as ":memory:".
  const std::string plain = path.starts_with('/') ? path : "./" + path;
  const int opened = sqlite3_open_v2(
      plain.c_str(), &database_,
      flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE | SQLITE_OPEN_PRIVATECACHE, system);
  if (opened != SQLITE_OK) {
    return refuse(ErrorCode::io, path,
                  fmt::format("it can't be opened to write: {}", sqlite3_errstr(opened)));
  }
  sqlite3_db_config(database_, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(database_, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_db_config(database_, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr);
  sqlite3_db_config(database_, SQLITE_DBCONFIG_ENABLE_VIEW, 0, nullptr);
  sqlite3_db_config(database_, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, nullptr);
  sqlite3_limit(database_, SQLITE_LIMIT_LENGTH, 1 << 20);
  sqlite3_limit(database_, SQLITE_LIMIT_ATTACHED, 0);
  sqlite3_limit(database_, SQLITE_LIMIT_TRIGGER_DEPTH, 1);
  limit_steps();
  // secure_delete: Debian's SQLite overwrites with zeros what is removed, unless told otherwise.
  const std::string settings = fmt::format(
      "PRAGMA page_size = {}; PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0; "
      "PRAGMA temp_store = MEMORY; PRAGMA locking_mode = EXCLUSIVE; PRAGMA secure_delete = OFF; "
      "PRAGMA cache_size = -16384; PRAGMA synchronous = NORMAL; "
      "PRAGMA wal_autocheckpoint = 2048; PRAGMA journal_size_limit = 33554432",
      volume_page);
  const int set = sqlite3_exec(database_, settings.c_str(), nullptr, nullptr, nullptr);
  if (set != SQLITE_OK) return refuse(ErrorCode::io, path, sqlite3_errstr(set));
  return {};
}

base::Status VolumeDatabase::create(const std::string& path, u64 size) {
  // SQLite would go on with a file that is there.
  const Descriptor made(
      ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666));
  if (!made) return refuse(ErrorCode::io, path, strerror(errno));
  auto failed = [&path](std::string why) {
    ::unlink(path.c_str());
    ::unlink((path + "-wal").c_str());
    return refuse(ErrorCode::io, path, std::move(why));
  };
  for (const char* const end : {"-wal", "-journal"}) {
    if (access((path + end).c_str(), F_OK) == 0) {
      ::unlink(path.c_str());
      return refuse(ErrorCode::io, path + end,
                    "it is left over from another volume: remove it, or choose another name");
    }
  }
  VolumeDatabase volume;
  if (auto status = volume.connect(path, SQLITE_OPEN_READWRITE, nullptr); !status.ok()) {
    return failed(status.error().message);
  }
  std::string text = fmt::format(
      "PRAGMA application_id = {}; PRAGMA user_version = {}; PRAGMA journal_mode = WAL;"
      "BEGIN IMMEDIATE;",
      application, format_version);
  for (const Definition& each : schema) text += std::string(each.text) + ";";
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  const i64 time = i64{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
  text += fmt::format(
      "INSERT INTO volume VALUES(1, {}); INSERT INTO inodes VALUES({}, 3, 2, 0, {}, {}, {}, 0, "
      "NULL); COMMIT; PRAGMA wal_checkpoint(TRUNCATE)",
      size, volume_root, time, time, time);
  const int done = sqlite3_exec(volume.database_, text.c_str(), nullptr, nullptr, nullptr);
  if (done != SQLITE_OK) return failed(sqlite3_errstr(done));
  return {};
}

base::Result<std::unique_ptr<VolumeDatabase>> VolumeDatabase::open(const std::string& path,
                                                                   const VolumeOptions& options) {
  if (auto error = look_at_header(path)) return *std::move(error);
  std::unique_ptr<VolumeDatabase> volume(new VolumeDatabase);
  if (auto status = volume->connect(path, SQLITE_OPEN_READWRITE, options.system); !status.ok()) {
    return std::move(status).error();
  }
  if (auto status = volume->prepare(path); !status.ok()) return std::move(status).error();
  return volume;
}

base::Status VolumeDatabase::check_schema(const std::string& path) {
  const auto damaged = [&path](std::string_view what) {
    return refuse(ErrorCode::malformed, path,
                  fmt::format("it is damaged, or none of a volume: {}", what));
  };
  const auto in_use = [&path] {
    return refuse(ErrorCode::io, path,
                  "the volume is in use by another program: end that one first");
  };
  sqlite3_stmt* rows = nullptr;
  const int prepared = sqlite3_prepare_v2(
      database_, "SELECT name, sql FROM sqlite_schema ORDER BY rowid", -1, &rows, nullptr);
  const std::unique_ptr<sqlite3_stmt, int (*)(sqlite3_stmt*)> guard(rows, sqlite3_finalize);
  if ((prepared & 0xff) == SQLITE_BUSY) return in_use();
  if (prepared != SQLITE_OK) return damaged(sqlite3_errstr(prepared));
  const auto column = [rows](int index) -> std::string_view {
    if (sqlite3_column_type(rows, index) != SQLITE_TEXT) return {};
    const auto* const text = reinterpret_cast<const char*>(sqlite3_column_text(rows, index));
    return {text, static_cast<usize>(sqlite3_column_bytes(rows, index))};
  };
  for (const Definition& each : schema) {
    const int step = sqlite3_step(rows);
    if ((step & 0xff) == SQLITE_BUSY) return in_use();
    if (step != SQLITE_ROW) return damaged("a table is missing");
    if (column(0) != each.name || column(1) != each.text) return damaged("its tables are others");
  }
  if (sqlite3_step(rows) != SQLITE_DONE) return damaged("there is a table too many");
  return {};
}

base::Status VolumeDatabase::prepare(const std::string& path) {
  if (auto status = check_schema(path); !status.ok()) return status;
  const auto damaged = [this, &path] {
    return refuse(ErrorCode::malformed, path,
                  fmt::format("it is damaged: {}", sqlite3_errmsg(database_)));
  };
  const auto number_of = [this](const char* text) -> std::optional<i64> {
    sqlite3_stmt* rows = nullptr;
    if (sqlite3_prepare_v2(database_, text, -1, &rows, nullptr) != SQLITE_OK) return std::nullopt;
    std::optional<i64> number;
    if (sqlite3_step(rows) == SQLITE_ROW && sqlite3_column_type(rows, 0) == SQLITE_INTEGER) {
      number = sqlite3_column_int64(rows, 0);
    }
    return sqlite3_finalize(rows) == SQLITE_OK ? number : std::nullopt;
  };
  const auto limit = number_of("SELECT size FROM volume WHERE id = 1");
  if (!limit) return damaged();
  const u64 size = static_cast<u64>(*limit);
  if (size < least_volume_size || size > most_volume_size) {
    return refuse(ErrorCode::malformed, path, "it is damaged: its size is out of bounds");
  }
  for (usize i = 0; i < statements_.size(); ++i) {
    const char* const text = text_of(static_cast<VolumeQuery>(i));
    if (sqlite3_prepare_v3(database_, text, -1, SQLITE_PREPARE_PERSISTENT, &statements_[i],
                           nullptr) != SQLITE_OK) {
      return damaged();
    }
  }
  size_ = size;
  const auto most = number_of(
      fmt::format("PRAGMA max_page_count = {}", size / volume_page + volume_spare_pages).c_str());
  if (!most) return damaged();
  return {};
}

void VolumeDatabase::limit_steps() {
  sqlite3_progress_handler(database_, most_steps, stop, nullptr);
}

void VolumeDatabase::set_size(u64 size) {
  if (!VolumeRows(*this, VolumeQuery::set_size, {static_cast<i64>(size)}).run()) return;
  const std::string text =
      fmt::format("PRAGMA max_page_count = {}", size / volume_page + volume_spare_pages);
  if (note(sqlite3_exec(database_, text.c_str(), nullptr, nullptr, nullptr))) size_ = size;
}

u64 VolumeDatabase::pages_used() {
  const auto count = [this](VolumeQuery query) {
    VolumeRows rows(*this, query, {});
    return rows.next() ? static_cast<u64>(rows.number(0)) : u64{0};
  };
  const u64 all = count(VolumeQuery::page_count);
  const u64 free = count(VolumeQuery::free_count);
  return free < all ? all - free : 0;
}

bool VolumeDatabase::note(int status) {
  switch (status & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
      return true;
    case SQLITE_NOMEM:
      fail(Errno::nomem);
      return false;
    default:
      fail(Errno::io);
      return false;
  }
}

bool VolumeDatabase::run(VolumeQuery query) { return VolumeRows(*this, query, {}).run(); }
bool VolumeDatabase::begin() { return run(VolumeQuery::begin); }
bool VolumeDatabase::commit() {
  sqlite3_blob_close(std::exchange(reader_, nullptr));
  return run(VolumeQuery::commit);
}
bool VolumeDatabase::savepoint() { return run(VolumeQuery::savepoint); }
bool VolumeDatabase::release() { return run(VolumeQuery::release); }
bool VolumeDatabase::undo() {
  sqlite3_blob_close(std::exchange(reader_, nullptr));
  return run(VolumeQuery::undo) && run(VolumeQuery::release);
}

bool VolumeDatabase::flush() {
  sqlite3_file* log = nullptr;
  if (!note(sqlite3_file_control(database_, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log))) {
    return false;
  }
  return log == nullptr || log->pMethods == nullptr ||
         note(log->pMethods->xSync(log, SQLITE_SYNC_NORMAL));
}

u64 VolumeDatabase::read_block(i64 place, u64 offset, std::span<u8> to) {
  int status = SQLITE_ABORT;
  if (reader_ != nullptr) {
    status = sqlite3_blob_reopen(reader_, place);
    if (status != SQLITE_OK) sqlite3_blob_close(std::exchange(reader_, nullptr));
  }
  if (reader_ == nullptr) {
    // Also after an error: a handle that failed can't be used again, not for another row either.
    if (status != SQLITE_ERROR) {
      status = sqlite3_blob_open(database_, "main", "blocks", "data", place, 0, &reader_);
    }
    if (status != SQLITE_OK) {
      sqlite3_blob_close(std::exchange(reader_, nullptr));
      // The primary code alone: there is no such row.
      if (status != SQLITE_ERROR) note(status);
      return 0;
    }
  }
  const u64 size = static_cast<u64>(sqlite3_blob_bytes(reader_));
  if (size == 0 || size > volume_block) {
    fail(Errno::io);
    return 0;
  }
  if (offset < size) {
    const u64 some = std::min<u64>(to.size(), size - offset);
    if (!note(sqlite3_blob_read(reader_, to.data(), static_cast<int>(some),
                                static_cast<int>(offset)))) {
      sqlite3_blob_close(std::exchange(reader_, nullptr));
      return 0;
    }
  }
  return size;
}

bool VolumeDatabase::write_block(i64 place, u64 offset, std::span<const u8> from) {
  sqlite3_blob* writer = nullptr;
  bool ok = note(sqlite3_blob_open(database_, "main", "blocks", "data", place, 1, &writer));
  ok = ok && note(sqlite3_blob_write(writer, from.data(), static_cast<int>(from.size()),
                                     static_cast<int>(offset)));
  const int closed = sqlite3_blob_close(writer);
  return ok && note(closed);
}

VolumeRows::VolumeRows(VolumeDatabase& database, VolumeQuery query,
                       std::initializer_list<Value> values)
    : database_(database), statement_(database.statements_[static_cast<usize>(query)]) {
  int index = 0;
  for (const Value& each : values) {
    ++index;
    if (const auto* const number = std::get_if<i64>(&each)) {
      database_.note(sqlite3_bind_int64(statement_, index, *number));
      continue;
    }
    const auto* const text = std::get_if<std::string_view>(&each);
    const auto bytes = text != nullptr
                           ? std::span(reinterpret_cast<const u8*>(text->data()), text->size())
                           : std::get<std::span<const u8>>(each);
    if (bytes.data() == nullptr) {
      database_.note(sqlite3_bind_null(statement_, index));
    } else {
      database_.note(
          sqlite3_bind_blob64(statement_, index, bytes.data(), bytes.size(), SQLITE_STATIC));
    }
  }
}

VolumeRows::~VolumeRows() {
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

bool VolumeRows::next() {
  if (database_.has_failed()) return false;
  const int status = sqlite3_step(statement_);
  return database_.note(status) && status == SQLITE_ROW;
}

bool VolumeRows::run() {
  next();
  return !database_.has_failed();
}

i64 VolumeRows::number(int column) {
  if (sqlite3_column_type(statement_, column) != SQLITE_INTEGER) {
    database_.fail(Errno::io);
    return 0;
  }
  return sqlite3_column_int64(statement_, column);
}

std::string_view VolumeRows::bytes(int column) {
  if (sqlite3_column_type(statement_, column) != SQLITE_BLOB) {
    database_.fail(Errno::io);
    return {};
  }
  const void* const data = sqlite3_column_blob(statement_, column);
  const int size = sqlite3_column_bytes(statement_, column);
  if (data == nullptr) return {};
  return {static_cast<const char*>(data), static_cast<usize>(size)};
}

bool VolumeRows::is_null(int column) {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

}  // namespace atollvm::vfs
