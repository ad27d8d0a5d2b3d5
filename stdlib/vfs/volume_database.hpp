// A volume's file as a database: its opening, its statements and its transactions. Internal to the
// folder; the only header that knows of SQLite.
//
// The file is not trusted. What a row holds is checked by whoever reads it: `number` and `bytes`
// here check the type alone.
#pragma once

#include <sqlite3.h>

#include <array>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "stdlib/vfs/volume.hpp"

namespace atollvm::vfs {

inline constexpr u64 volume_page = 8192;
inline constexpr u64 volume_block = u64{1} << 16;
// What the database may take above the limit, so that files can be removed in a full volume.
inline constexpr u64 volume_spare_pages = 64;
// Rows of blocks are numbered by the file, then by the block in it.
inline constexpr u32 volume_block_bits = 28;
inline constexpr u64 most_volume_block = (u64{1} << volume_block_bits) - 1;
inline constexpr i64 most_volume_inode = (i64{1} << 35) - 1;
inline constexpr i64 volume_root = 1;
static_assert(most_volume_file == volume_block << volume_block_bits);

// The statements there are; their text is in volume_database.cpp.
enum class VolumeQuery : u8 {
  begin,
  commit,
  rollback,
  savepoint,
  release,
  undo,
  page_count,
  free_count,
  find_entry,
  find_inode,
  add_inode,
  set_inode,
  remove_inode,
  orphans,
  last_inode,
  add_entry,
  set_entry,
  rename_entry,
  remove_entry,
  has_entries,
  last_cookie,
  list_entries,
  add_block,
  has_block,
  cut_block,
  remove_blocks,
  set_size,
  count_inodes,
  count
};

// Threads: one at a time.
class VolumeDatabase {
 public:
  // Makes the file, which must not be there.
  static base::Status create(const std::string& path, u64 size);
  static base::Result<std::unique_ptr<VolumeDatabase>> open(const std::string& path,
                                                            const VolumeOptions& options);
  ~VolumeDatabase();
  VolumeDatabase(const VolumeDatabase&) = delete;
  VolumeDatabase& operator=(const VolumeDatabase&) = delete;

  [[nodiscard]] sqlite3* handle() const { return database_; }
  [[nodiscard]] u64 size() const { return size_; }
  // Takes a new size limit, which is then stored. In a transaction.
  void set_size(u64 size);
  // Pages that are in use, and that may be.
  u64 pages_used();
  [[nodiscard]] u64 pages_allowed() const { return size_ / volume_page; }

  // Statements end with an error after so many steps that no sound volume takes them.
  void limit_steps();

  // --- Transactions. False: it failed, see error(). ---
  bool begin();
  bool commit();
  bool savepoint();
  bool release();
  // Undoes what was done since the savepoint, and releases it.
  bool undo();
  [[nodiscard]] bool in_transaction() const { return sqlite3_get_autocommit(database_) == 0; }
  // Waits until what was committed is on the disk.
  bool flush();

  // --- Errors: the first one since the last take_error() is kept. ---
  void fail(Errno error) {
    if (error_ == Errno::success) error_ = error;
  }
  // What SQLite said; false: an error.
  bool note(int status);
  Errno take_error() { return std::exchange(error_, Errno::success); }
  [[nodiscard]] bool has_failed() const { return error_ != Errno::success; }

  // A part of a block's row `place`; what the row does not hold is left alone. Gives the bytes that
  // the row holds; 0: there is none.
  u64 read_block(i64 place, u64 offset, std::span<u8> to);
  // The row must hold these bytes.
  bool write_block(i64 place, u64 offset, std::span<const u8> from);

 private:
  friend class VolumeRows;
  VolumeDatabase() = default;
  base::Status connect(const std::string& path, int flags, const char* system);
  base::Status prepare(const std::string& path);
  base::Status check_schema(const std::string& path);
  bool run(VolumeQuery query);

  sqlite3* database_ = nullptr;
  std::array<sqlite3_stmt*, static_cast<usize>(VolumeQuery::count)> statements_{};
  sqlite3_blob* reader_ = nullptr;
  u64 size_ = 0;
  Errno error_ = Errno::success;
};

// One use of a statement.
class VolumeRows {
 public:
  using Value = std::variant<i64, std::string_view, std::span<const u8>>;

  VolumeRows(VolumeDatabase& database, VolumeQuery query, std::initializer_list<Value> values);
  ~VolumeRows();
  VolumeRows(const VolumeRows&) = delete;
  VolumeRows& operator=(const VolumeRows&) = delete;

  // Whether there is another row. Not after an error.
  bool next();
  // For statements without rows; false: an error.
  bool run();
  // Of the row. A value of another type is an error, and 0 or "".
  i64 number(int column);
  std::string_view bytes(int column);
  bool is_null(int column);

 private:
  VolumeDatabase& database_;
  sqlite3_stmt* statement_;
};

}  // namespace atollvm::vfs
