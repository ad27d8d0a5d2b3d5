// An open volume: what its handles share. Internal to the folder.
#pragma once

#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "stdlib/vfs/posix.hpp"
#include "stdlib/vfs/volume_cache.hpp"
#include "stdlib/vfs/volume_database.hpp"
#include "stdlib/vfs/walk.hpp"
#include "stdlib/vfs/watch.hpp"

namespace atollvm::vfs {

class VolumeStore;

// A row of inodes.
struct VolumeInode {
  i64 id = 0;
  FileType type = FileType::unknown;
  i64 links = 0;  // of a directory: 2 and one for each directory in it; 0: it was removed
  i64 size = 0;   // of a file
  i64 accessed_ns = 0;
  i64 modified_ns = 0;
  i64 changed_ns = 0;
  i64 parent = 0;      // of a directory
  std::string target;  // of a link
};

// What is open; handles to one inode share it.
struct VolumeNode {
  VolumeNode(std::shared_ptr<VolumeStore> owner, i64 inode);
  ~VolumeNode();
  VolumeNode(const VolumeNode&) = delete;
  VolumeNode& operator=(const VolumeNode&) = delete;

  const std::shared_ptr<VolumeStore> store;
  const i64 id;
  std::atomic<u64> size = 0;  // of a file
};

using VolumePlace = WalkPlace<VolumeInode>;

// For change(): it takes no pages to speak of; it gives some back, also where all are taken.
inline constexpr u64 volume_keeps = 0;
inline constexpr u64 volume_frees = ~u64{0};

// Threads: any. What works on rows is called with `mutex` held, within read() or change(); when it
// fails in the database, what it gives does not matter.
class VolumeStore : public std::enable_shared_from_this<VolumeStore> {
 public:
  using Key = std::pair<u64, u64>;  // device and inode of the host's file

  static base::Result<std::shared_ptr<VolumeStore>> open(const std::string& path,
                                                         const VolumeOptions& options);
  VolumeStore(Key key, Descriptor lock, std::unique_ptr<VolumeDatabase> database);
  ~VolumeStore();
  VolumeStore(const VolumeStore&) = delete;
  VolumeStore& operator=(const VolumeStore&) = delete;

  // What a call gives: f's own, or an error of the database's.
  template <class F>
  auto read(F f) -> decltype(f()) {
    const std::lock_guard lock(mutex_);
    if (is_broken_) return Errno::io;
    auto outcome = f();
    if (const Errno error = database_->take_error(); error != Errno::success) {
      note_loss();
      return error;
    }
    return outcome;
  }
  // The same for what changes the volume: whole or not at all. `pages`: how many more it may take,
  // or volume_keeps or volume_frees. `bytes`: how many are written.
  // `done` is called when it was done, before others see it.
  template <class F, class Done>
  auto change(u64 pages, u64 bytes, F f, Done done) -> decltype(f()) {
    const std::lock_guard lock(mutex_);
    const Changing changing(changes_);
    if (const Errno error = enter(pages); error != Errno::success) return error;
    auto outcome = f();
    const bool ok = !is_error(outcome);
    if (const Errno error = leave(ok, bytes); error != Errno::success) return error;
    if (ok) done();
    return outcome;
  }
  template <class F>
  auto change(u64 pages, u64 bytes, F f) -> decltype(f()) {
    return change(pages, bytes, f, [] {});
  }
  Errno sync();
  // Within read(), after an error: it may have undone the transaction with calls that were
  // answered.
  void note_loss() {
    if (is_pending_ && !database_->in_transaction()) is_broken_ = true;
  }
  // With `mutex` held: within read(), or when a change is done.
  [[nodiscard]] Watches& watches() { return *watches_; }
  // Within change().
  bool has_room(u64 pages);

  // What was read lately. Before a row of a block changes it must not be here any more.
  [[nodiscard]] VolumeCache& cache() { return cache_; }
  // What a call gives that works on the cache and on nodes alone, if nothing changed meanwhile;
  // else, and where it gives nothing, again. Any thread; never blocks.
  template <class F>
  Outcome<u32> try_read(F f) {
    const u64 before = changes_;
    if (before % 2 != 0) return Errno::again;
    const std::optional<u32> outcome = f();
    if (is_broken_) return Errno::io;
    if (!outcome || changes_ != before) return Errno::again;
    return *outcome;
  }

  // --- Rows ---
  [[nodiscard]] VolumeDatabase& database() { return *database_; }
  std::optional<VolumeInode> inode(i64 id);
  // Stores what may change of it.
  void put(const VolumeInode& inode);
  // A new inode, with a name; the directory is stored, too.
  VolumeInode make(VolumePlace& place, FileType type, std::string_view target = {});
  void add_entry(VolumeInode& folder, std::string_view name, const VolumeInode& inode);
  void remove_entry(const VolumePlace& place);
  // A name less; what has none left goes, or is kept while it is open.
  void unlink(VolumeInode inode);
  bool is_empty(const VolumeInode& folder);
  // Takes away what a file has from `size` on.
  void cut(i64 id, u64 old_size, u64 size);

  // For walk_in.
  Outcome<std::optional<VolumeInode>> find(const VolumeInode& folder, std::string_view name);
  static FileType type_of(const VolumeInode& inode) { return inode.type; }
  static Outcome<std::string> target_of(const VolumeInode& link) { return link.target; }

  std::shared_ptr<VolumeNode> node(const VolumeInode& inode);
  void closed(i64 id);
  [[nodiscard]] Stat stat_of(const VolumeInode& inode) const;

  base::Result<VolumeInfo> info();
  base::Status grow(u64 size);
  std::vector<VolumeFault> check();

 private:
  // Lets who reads without the mutex see that something changes, or has.
  class Changing {
   public:
    explicit Changing(std::atomic<u64>& changes) : changes_(changes) { ++changes_; }
    ~Changing() { ++changes_; }
    Changing(const Changing&) = delete;
    Changing& operator=(const Changing&) = delete;

   private:
    std::atomic<u64>& changes_;
  };

  static bool is_error(Errno outcome) { return outcome != Errno::success; }
  template <class T>
  static bool is_error(const Outcome<T>& outcome) {
    return std::holds_alternative<Errno>(outcome);
  }
  Errno enter(u64 pages);
  Errno leave(bool keep, u64 bytes);
  Errno commit();
  void remove_inode(i64 id, FileType type, u64 size);
  std::vector<i64> take_closed();
  void collect(std::vector<i64> ids);
  void collect_orphans();
  void keep_time();
  std::optional<VolumeInode> inode_of(VolumeRows& rows);

  const Key key_;
  Descriptor lock_;  // holds the host's lock of the file
  const u64 device_;
  const std::shared_ptr<Watches> watches_ = std::make_shared<Watches>();
  std::mutex mutex_;
  std::condition_variable changed_;
  std::unique_ptr<VolumeDatabase> database_;
  VolumeCache cache_;
  std::atomic<u64> changes_ = 0;         // odd: one is under way
  std::atomic<bool> is_broken_ = false;  // a transaction was lost
  bool is_ending_ = false;
  bool is_pending_ = false;  // there is something to commit
  u64 pending_bytes_ = 0;
  i64 next_inode_ = 0;
  std::mutex nodes_mutex_;  // taken after `mutex_`
  std::map<i64, std::weak_ptr<VolumeNode>> nodes_;
  std::vector<i64> closed_;  // that may be orphans
  std::thread clock_;
};

// The host's coarse clock, as the kernel's own file systems take it.
i64 volume_now();
void set_volume_times(VolumeInode& inode, const Times& times);
inline Watches::Id watch_id(i64 inode) { return {0, static_cast<u64>(inode)}; }
inline i64 volume_place(i64 inode, u64 block) {
  return static_cast<i64>(static_cast<u64>(inode) << volume_block_bits | block);
}
bool is_volume_name(std::string_view name);
// The pages that a change of names takes at most, and so many blocks.
inline constexpr u64 volume_name_pages = 24;
constexpr u64 pages_of_blocks(u64 blocks) {
  return blocks * (volume_block / volume_page + 3) + volume_name_pages;
}

std::shared_ptr<File> make_volume_file(std::shared_ptr<VolumeNode> node, Access access, bool append,
                                       std::shared_ptr<Watches::Opened> place);

}  // namespace atollvm::vfs
