// Advisory locks: on files or ranges of their bytes, shared or exclusive. They keep only others'
// locks out: reading and writing goes on as without.
//
// The owner is an open file, as of Linux's open file description locks: all handles to it share its
// locks, which go with it into messages, and end with the last of these handles. One table, for all
// file systems and machines of the program, knows the files that any owner has locked.
//
// Who waits is in a queue. A lock that ends, or a wait, lets those of the others go on for whom
// there is room then, the first to come first; a new lock waits behind those that already wait in
// its way, unless its owner has one of the file: they might wait for that.
//
// Threads: any.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <vector>

#include "vm/cap/account.hpp"
#include "vm/cap/object.hpp"

namespace atollvm::vfs {

using cap::Errno;

class LockedFile;
class LockWait;

enum class LockKind : u8 { none, shared, exclusive };

struct Lock {
  static constexpr u64 to_the_end = ~u64{0};

  LockKind kind = LockKind::none;
  u64 from = 0;         // the first byte
  u64 to = to_the_end;  // the first behind it

  [[nodiscard]] bool overlaps(const Lock& other) const {
    return from < other.to && other.from < to;
  }
  [[nodiscard]] bool excludes(const Lock& other) const {
    return overlaps(other) && (kind == LockKind::exclusive || other.kind == LockKind::exclusive);
  }
};

// Beyond these a lock gives nolck: locks of one file, and calls that wait for it.
inline constexpr usize max_locks = 1024;
inline constexpr usize max_lock_waits = 1024;
// What they are charged to the machine's memory: an open file with locks, each of them, each wait.
inline constexpr u64 lock_owner_bytes = 256;
inline constexpr u64 lock_bytes = 64;
inline constexpr u64 lock_wait_bytes = 512;

// The locks of one open file; they end with it.
class LockOwner {
 public:
  LockOwner() = default;
  ~LockOwner();
  LockOwner(const LockOwner&) = delete;
  LockOwner& operator=(const LockOwner&) = delete;

  // Whether it knows its file, so that the numbers below are not looked at.
  [[nodiscard]] bool is_known() const;
  // Which file it is: device and inode of its Stat. `account` (may be null) is charged from now on.
  // Errors: nomem.
  Errno know(u64 device, u64 inode, std::shared_ptr<cap::Account> account);

  // Makes the range of bytes what `lock` says, whatever of it the owner had before. Only where it
  // is known. Errors: again (others' locks are in the way), nolck, nomem.
  Errno take(const Lock& lock);
  // Waits for the same: `ready` is called once, by whatever thread, when wait->settle() has
  // something to say; maybe at once. The owner must live until that or abandon().
  void wait(const std::shared_ptr<LockWait>& wait, const Lock& lock, std::function<void()> ready);

 private:
  friend class LockedFile;
  friend class LockWait;

  std::shared_ptr<LockedFile> file_;       // with the table's lock until it is known
  std::shared_ptr<cap::Account> account_;  // as well
  u64 count_ = 0;                          // with the file's lock: its locks
};

// A call that waits for a lock.
class LockWait {
 public:
  // Ends the waiting: what came of it. Errors: timedout (nothing yet), and those of take().
  Errno settle();
  // Ends it, and what came of it.
  void abandon();

 private:
  friend class LockOwner;
  friend class LockedFile;
  enum class State : u8 { begins, waits, granted, failed, over };

  std::shared_ptr<LockedFile> file_;
  // With the file's lock:
  LockOwner* owner_ = nullptr;
  Lock lock_;
  std::function<void()> ready_;
  State state_ = State::begins;
  Errno error_ = Errno::success;
  std::list<LockWait*>::iterator place_{};
};

}  // namespace atollvm::vfs
