#include "stdlib/vfs/volume_store.hpp"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include <algorithm>
#include <chrono>

#include "stdlib/vfs/memory_tree.hpp"

namespace atollvm::vfs {
namespace {

using base::Error;
using base::ErrorCode;

constexpr u64 most_pending = u64{8} << 20;
constexpr std::chrono::milliseconds longest_pending(1000);

// The volumes that are open in this program. An entry stays until its file is closed.
struct Registry {
  std::mutex mutex;
  std::condition_variable closed;
  std::map<VolumeStore::Key, std::weak_ptr<VolumeStore>> volumes;
};
Registry& registry() {
  static Registry* const all = new Registry;  // volumes can outlive static objects
  return *all;
}

}  // namespace

bool is_open_volume(const std::string& path) {
  struct stat status{};
  if (stat(path.c_str(), &status) != 0) return false;
  Registry& all = registry();
  const std::lock_guard turn(all.mutex);
  const auto found = all.volumes.find({status.st_dev, status.st_ino});
  return found != all.volumes.end() && !found->second.expired();
}

i64 volume_now() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME_COARSE, &now);
  return i64{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

void set_volume_times(VolumeInode& inode, const Times& times) {
  const i64 now = volume_now();
  if (times.accessed_ns) inode.accessed_ns = *times.accessed_ns;
  if (times.modified_ns) inode.modified_ns = *times.modified_ns;
  if (times.accessed_now) inode.accessed_ns = now;
  if (times.modified_now) inode.modified_ns = now;
  inode.changed_ns = now;
}

bool is_volume_name(std::string_view name) {
  return !name.empty() && name.size() <= max_name && name != "." && name != ".." &&
         name.find('/') == std::string_view::npos && name.find('\0') == std::string_view::npos;
}

VolumeNode::VolumeNode(std::shared_ptr<VolumeStore> owner, i64 inode)
    : store(std::move(owner)), id(inode) {}
VolumeNode::~VolumeNode() { store->closed(id); }

base::Result<std::shared_ptr<VolumeStore>> VolumeStore::open(const std::string& path,
                                                             const VolumeOptions& options) {
  const auto refuse = [&path](int error) {
    return Error{error == ENOENT ? ErrorCode::not_found : ErrorCode::io, path, strerror(error)};
  };
  if (path.find('\0') != std::string::npos) return refuse(ENOENT);
  Registry& all = registry();
  std::unique_lock turn(all.mutex);
  struct stat status{};
  if (stat(path.c_str(), &status) != 0) return refuse(errno);
  const Key key{status.st_dev, status.st_ino};
  std::shared_ptr<VolumeStore> known;
  all.closed.wait(turn, [&] {
    const auto found = all.volumes.find(key);
    return found == all.volumes.end() || (known = found->second.lock()) != nullptr;
  });
  if (known != nullptr) return known;
  // A lock of its own: SQLite's end as soon as anyone in this program closes the file.
  Descriptor lock(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!lock || fstat(lock.get(), &status) != 0) return refuse(errno);
  if (Key{status.st_dev, status.st_ino} != key) return refuse(EAGAIN);
  if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return refuse(errno);
    return Error{ErrorCode::io, path,
                 "the volume is in use by another program: end that one first"};
  }
  auto database = VolumeDatabase::open(path, options);
  if (!database) return std::move(database).error();
  auto store = std::make_shared<VolumeStore>(key, std::move(lock), *std::move(database));
  // Orphans are left of a program that was killed; the largest number says which is the next.
  const Errno error = store->change(volume_frees, 0, [&store] {
    store->collect_orphans();
    VolumeRows rows(store->database(), VolumeQuery::last_inode, {});
    const i64 last = rows.next() ? rows.number(0) : 0;
    if (last < volume_root || last > most_volume_inode) store->database().fail(Errno::io);
    store->next_inode_ = last + 1;
    const auto root = store->inode(volume_root);
    if (!root || root->type != FileType::directory) store->database().fail(Errno::io);
    return Errno::success;
  });
  if (error != Errno::success) {
    turn.unlock();  // closing takes it
    return Error{ErrorCode::malformed, path, "it is damaged: its files can't be read"};
  }
  all.volumes[key] = store;
  return store;
}

VolumeStore::VolumeStore(Key key, Descriptor lock, std::unique_ptr<VolumeDatabase> database)
    : key_(key),
      lock_(std::move(lock)),
      device_(next_device()),
      database_(std::move(database)),
      clock_([this] { keep_time(); }) {}

VolumeStore::~VolumeStore() {
  {
    const std::lock_guard lock(mutex_);
    is_ending_ = true;
  }
  changed_.notify_all();
  clock_.join();
  {
    const std::lock_guard lock(mutex_);
    collect(take_closed());
    static_cast<void>(commit());
    database_.reset();
  }
  Registry& all = registry();
  const std::lock_guard turn(all.mutex);
  lock_ = Descriptor();
  all.volumes.erase(key_);
  all.closed.notify_all();
}

// Commits what has waited long enough.
void VolumeStore::keep_time() {
  std::unique_lock lock(mutex_);
  while (!is_ending_) {
    changed_.wait(lock, [this] { return is_ending_ || is_pending_; });
    changed_.wait_for(lock, longest_pending, [this] { return is_ending_; });
    if (!is_ending_) static_cast<void>(commit());
  }
}

Errno VolumeStore::enter(u64 pages) {
  if (is_broken_) return Errno::io;
  collect(take_closed());
  if (is_broken_) return Errno::io;
  if (!database_->in_transaction() && !database_->begin()) return database_->take_error();
  if (!has_room(pages)) {
    const Errno error = database_->take_error();
    return error == Errno::success ? Errno::nospc : error;
  }
  database_->savepoint();
  return database_->take_error();
}

// Rows can grow a little without room: half of the spare pages are for that, the others for
// removing.
bool VolumeStore::has_room(u64 pages) {
  if (pages == volume_frees) return true;
  const u64 spare = pages == volume_keeps ? volume_spare_pages / 2 : 0;
  return database_->pages_used() + pages <= database_->pages_allowed() + spare;
}

Errno VolumeStore::leave(bool keep, u64 bytes) {
  Errno error = database_->take_error();
  if (keep && error == Errno::success && database_->release()) {
    pending_bytes_ += bytes + volume_page;
    if (!is_pending_) {
      is_pending_ = true;
      changed_.notify_all();
    }
    return pending_bytes_ >= most_pending ? commit() : Errno::success;
  }
  if (error == Errno::success) error = database_->take_error();
  // Some errors undo the whole transaction, with calls that were answered before.
  if (!database_->in_transaction() || !database_->undo()) is_broken_ = true;
  static_cast<void>(database_->take_error());
  return error;
}

Errno VolumeStore::commit() {
  is_pending_ = false;
  pending_bytes_ = 0;
  if (is_broken_) return Errno::io;
  if (!database_->in_transaction()) return Errno::success;
  if (!database_->commit()) is_broken_ = true;
  return database_->take_error();
}

Errno VolumeStore::sync() {
  const std::lock_guard lock(mutex_);
  if (const Errno error = commit(); error != Errno::success) return error;
  // After a sync that failed nobody knows what is on the disk.
  if (!database_->flush()) is_broken_ = true;
  return database_->take_error();
}

std::optional<VolumeInode> VolumeStore::inode_of(VolumeRows& rows) {
  VolumeInode inode;
  inode.id = rows.number(0);
  const i64 type = rows.number(1);
  inode.links = rows.number(2);
  inode.size = rows.number(3);
  inode.accessed_ns = rows.number(4);
  inode.modified_ns = rows.number(5);
  inode.changed_ns = rows.number(6);
  inode.parent = rows.number(7);
  inode.type = static_cast<FileType>(type);
  bool ok = inode.id >= volume_root && inode.id <= most_volume_inode && inode.links >= 0 &&
            inode.size >= 0 && static_cast<u64>(inode.size) <= most_volume_file &&
            (type == 3 || type == 4 || type == 7);
  if (type == 7) {
    inode.target = rows.bytes(8);
    ok = ok && check_path(inode.target) == Errno::success;
  }
  if (!ok) database_->fail(Errno::io);
  return inode;
}

std::optional<VolumeInode> VolumeStore::inode(i64 id) {
  VolumeRows rows(*database_, VolumeQuery::find_inode, {id});
  if (!rows.next()) return std::nullopt;
  return inode_of(rows);
}

Outcome<std::optional<VolumeInode>> VolumeStore::find(const VolumeInode& folder,
                                                      std::string_view name) {
  if (folder.links == 0) return Errno::noent;
  VolumeRows rows(*database_, VolumeQuery::find_entry, {folder.id, name});
  if (!rows.next()) {
    if (database_->has_failed()) return Errno::io;
    return std::optional<VolumeInode>();
  }
  auto found = inode_of(rows);
  if (database_->has_failed()) return Errno::io;
  return found;
}

void VolumeStore::put(const VolumeInode& inode) {
  VolumeRows(*database_, VolumeQuery::set_inode,
             {inode.id, inode.links, inode.size, inode.accessed_ns, inode.modified_ns,
              inode.changed_ns, inode.parent})
      .run();
}

VolumeInode VolumeStore::make(VolumePlace& place, FileType type, std::string_view target) {
  VolumeInode inode;
  if (next_inode_ > most_volume_inode) {
    database_->fail(Errno::nospc);
    return inode;
  }
  inode.id = next_inode_++;
  inode.type = type;
  const bool is_folder = type == FileType::directory;
  inode.links = is_folder ? 2 : 1;
  inode.accessed_ns = inode.modified_ns = inode.changed_ns = volume_now();
  inode.target = target;
  inode.parent = is_folder ? place.folder->id : 0;
  const std::span<const u8> text(reinterpret_cast<const u8*>(target.data()), target.size());
  const bool ok =
      VolumeRows(*database_, VolumeQuery::add_inode,
                 {inode.id, static_cast<i64>(type), inode.links, inode.size, inode.accessed_ns,
                  inode.modified_ns, inode.changed_ns, inode.parent, text})
          .run();
  if (ok) add_entry(*place.folder, place.name, inode);
  return inode;
}

void VolumeStore::add_entry(VolumeInode& folder, std::string_view name, const VolumeInode& inode) {
  i64 cookie = 1;
  {
    VolumeRows rows(*database_, VolumeQuery::last_cookie, {folder.id});
    if (rows.next()) cookie = rows.number(0) + 1;
  }
  if (cookie <= 0 || cookie >= i64{1} << 62) database_->fail(Errno::nospc);
  VolumeRows(*database_, VolumeQuery::add_entry, {folder.id, name, inode.id, cookie}).run();
  if (inode.type == FileType::directory) ++folder.links;
  folder.modified_ns = folder.changed_ns = volume_now();
  put(folder);
}

void VolumeStore::remove_entry(const VolumePlace& place) {
  const std::string_view name = place.name;
  VolumeRows(*database_, VolumeQuery::remove_entry, {place.folder->id, name}).run();
  VolumeInode folder = *place.folder;
  if (place.node->type == FileType::directory && folder.links > 2) --folder.links;
  folder.modified_ns = folder.changed_ns = volume_now();
  put(folder);
}

void VolumeStore::unlink(VolumeInode inode) {
  inode.links = inode.type == FileType::directory ? 0 : std::max<i64>(inode.links - 1, 0);
  if (inode.links == 0) {
    nodes_mutex_.lock();
    const bool is_open = nodes_.contains(inode.id);
    nodes_mutex_.unlock();
    if (!is_open) {
      remove_inode(inode.id, inode.type, static_cast<u64>(inode.size));
      return;
    }
  }
  inode.changed_ns = volume_now();
  put(inode);
}

bool VolumeStore::is_empty(const VolumeInode& folder) {
  VolumeRows rows(*database_, VolumeQuery::has_entries, {folder.id});
  return !rows.next();
}

void VolumeStore::remove_inode(i64 id, FileType type, u64 size) {
  if (type == FileType::regular) cut(id, size, 0);
  VolumeRows(*database_, VolumeQuery::remove_inode, {id}).run();
}

void VolumeStore::cut(i64 id, u64 old_size, u64 size) {
  const u64 end = std::max(old_size, u64{1});
  if (size >= end) return;
  cache_.drop(volume_place(id, size / volume_block), volume_place(id, most_volume_block));
  if (const u64 kept = size % volume_block; kept != 0) {
    VolumeRows(*database_, VolumeQuery::cut_block,
               {volume_place(id, size / volume_block), static_cast<i64>(kept)})
        .run();
  }
  const u64 first = (size + volume_block - 1) / volume_block;
  const u64 last = (end - 1) / volume_block;
  while (first <= last && !database_->has_failed()) {
    VolumeRows(*database_, VolumeQuery::remove_blocks,
               {volume_place(id, first), volume_place(id, last)})
        .run();
    if (sqlite3_changes64(database_->handle()) < 1000) break;
  }
}

std::vector<i64> VolumeStore::take_closed() {
  const std::lock_guard lock(nodes_mutex_);
  return std::exchange(closed_, {});
}

// Takes away inodes that have no names and no handles any more. In a call of its own, which is no
// guest's.
void VolumeStore::collect(std::vector<i64> ids) {
  if (ids.empty() || is_broken_) return;
  if (!database_->in_transaction()) database_->begin();
  database_->savepoint();
  for (const i64 id : ids) {
    const auto found = inode(id);
    if (found && found->links == 0) {
      remove_inode(id, found->type, static_cast<u64>(found->size));
    }
  }
  static_cast<void>(leave(true, 0));
}

void VolumeStore::collect_orphans() {
  while (!database_->has_failed()) {
    std::vector<VolumeInode> orphans;
    {
      VolumeRows rows(*database_, VolumeQuery::orphans, {});
      while (rows.next()) {
        VolumeInode each;
        each.id = rows.number(0);
        each.type = static_cast<FileType>(rows.number(1));
        each.size = rows.number(2);
        if (each.id <= volume_root || each.id > most_volume_inode || each.size < 0 ||
            static_cast<u64>(each.size) > most_volume_file) {
          database_->fail(Errno::io);
        }
        orphans.push_back(each);
      }
    }
    if (orphans.empty()) return;
    for (const VolumeInode& each : orphans) {
      if (database_->has_failed()) return;
      remove_inode(each.id, each.type, static_cast<u64>(each.size));
      // An index that is made up can go on telling of what is not there.
      if (sqlite3_changes64(database_->handle()) != 1) database_->fail(Errno::io);
    }
  }
}

std::shared_ptr<VolumeNode> VolumeStore::node(const VolumeInode& inode) {
  const std::lock_guard lock(nodes_mutex_);
  std::weak_ptr<VolumeNode>& known = nodes_[inode.id];
  std::shared_ptr<VolumeNode> node = known.lock();
  if (node == nullptr) {
    node = std::make_shared<VolumeNode>(shared_from_this(), inode.id);
    node->size = static_cast<u64>(inode.size);
    known = node;
  }
  return node;
}

void VolumeStore::closed(i64 id) {
  const std::lock_guard lock(nodes_mutex_);
  const auto found = nodes_.find(id);
  if (found == nodes_.end() || !found->second.expired()) return;
  nodes_.erase(found);
  closed_.push_back(id);
}

Stat VolumeStore::stat_of(const VolumeInode& inode) const {
  Stat stat;
  stat.device = device_;
  stat.inode = static_cast<u64>(inode.id);
  stat.type = inode.type;
  stat.links = static_cast<u64>(inode.links);
  stat.size = inode.type == FileType::link ? inode.target.size() : static_cast<u64>(inode.size);
  stat.accessed_ns = inode.accessed_ns;
  stat.modified_ns = inode.modified_ns;
  stat.changed_ns = inode.changed_ns;
  return stat;
}

}  // namespace atollvm::vfs
