// Changes of a directory's names, as those who watch it are told. Internal to the folder, but for
// Watch.
//
// What is told is of the names in one directory, and not below; or of one of them alone, which is
// how a file is watched. Nothing outside of it is named: what is moved away was removed, what is
// moved in was created.
//
// Threads: any, at once.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "stdlib/vfs/posix.hpp"

namespace atollvm::vfs {

// The numbers are part of the guest interface (append-only).
enum class WatchEvent : u32 {
  created = 1,   // made, linked or moved in; it may have replaced what had the name
  removed = 2,   // or moved away
  renamed = 3,   // within the directory; it may have replaced what had the name
  changed = 4,   // a file's bytes, size or times
  overflow = 5,  // so much happened at once that events are missing
  gone = 6,      // the directory was removed: the last event
};

// The most that events which nobody has read yet take.
inline constexpr usize watch_bytes = usize{1} << 16;

// Somebody's view of the changes. Its end stops them.
class Watch {
 public:
  Watch() = default;
  virtual ~Watch() = default;
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  // Whole events, as many as fit, each of the guest's structure WatchEvent and its names; 0: there
  // will be none. Errors: again (wait until wait_fd() can be read), range (not even one fits).
  virtual Outcome<u32> read(std::span<u8> to) = 0;
  [[nodiscard]] virtual int wait_fd() const = 0;
};

// Events that wait to be read, in the guest's form: those of one name, or of all if that is empty.
// Threads: one at a time.
class WatchEvents {
 public:
  explicit WatchEvents(std::string_view only) : only_(only) {}

  void put(WatchEvent event, std::string_view name = {}, std::string_view old_name = {});
  // As Watch::read; without events again, or 0 after `gone`.
  Outcome<u32> take(std::span<u8> to);
  [[nodiscard]] bool empty() const { return at_ == bytes_.size(); }
  [[nodiscard]] bool has_ended() const { return has_ended_; }

 private:
  void append(WatchEvent event, std::string_view name, std::string_view old_name);

  const std::string only_;
  std::vector<u8> bytes_;
  usize at_ = 0;    // of the first event that was not taken
  usize last_ = 0;  // of the last one
  bool has_ended_ = false;
};

// Who watches which directories of a file system that tells of its own operations, and the names of
// the files that are open for writing: a change of bytes is told under the name that the file was
// opened by, or has since then.
//
// Its lock is taken after all others of a file system. Its functions are called in the order in
// which the changes happen.
class Watches : public std::enable_shared_from_this<Watches> {
 public:
  using Id = std::pair<u64, u64>;  // of a file or directory in its file system

  // An open file and its name. Null pointers to it are good everywhere.
  class Opened;

  // Of `folder`, or of its name `only`. It keeps `holder`. Errors: mfile, nfile.
  Outcome<std::shared_ptr<Watch>> add(Id folder, std::string_view only,
                                      std::shared_ptr<void> holder);
  std::shared_ptr<Opened> opened(Id file, Id folder, std::string_view name);

  void created(Id folder, std::string_view name);
  // `file`: what had the name.
  void removed(Id folder, std::string_view name, Id file);
  // The same for a directory.
  void removed_folder(Id folder, std::string_view name, Id removed);
  void renamed(Id folder, std::string_view name, Id to, std::string_view to_name, Id file);
  // What had a name that something else is about to get by renaming.
  void replaced(Id folder, std::string_view name, Id old);
  void changed(Id folder, std::string_view name);
  void changed(const std::shared_ptr<Opened>& file);

  // Whether telling of a name has any effect: for who would have to find out a lot for it.
  [[nodiscard]] bool is_needed() const {
    return any() || file_count_.load(std::memory_order_relaxed) != 0;
  }

 private:
  class Queue;
  void tell(Id folder, WatchEvent event, std::string_view name, std::string_view old_name = {});
  void forget(const Queue& queue);
  void forget(const Opened& file);
  void drop_name(Id file, Id folder, std::string_view name);

  [[nodiscard]] bool any() const { return count_.load(std::memory_order_relaxed) != 0; }

  std::mutex mutex_;
  std::atomic<usize> count_ = 0;  // of queues
  std::atomic<usize> file_count_ = 0;
  std::multimap<Id, Queue*> queues_;
  std::multimap<Id, Opened*> files_;
};

}  // namespace atollvm::vfs
