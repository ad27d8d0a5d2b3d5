#include "stdlib/vfs/locks.hpp"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "stdlib/vfs/vfs.hpp"

namespace atollvm::vfs {

// What is locked of one file, as long as any of its owners is there.
class LockedFile {
 public:
  using Ready = std::vector<std::function<void()>>;  // to be called without the lock

  struct Key {
    u64 device = 0;
    u64 inode = 0;
    bool operator==(const Key&) const = default;
  };
  struct Hash {
    usize operator()(const Key& key) const {
      return std::hash<u64>()(key.inode * 0x9e3779b97f4a7c15 ^ key.device);
    }
  };

  explicit LockedFile(const Key& key) : key_(key) {}
  ~LockedFile();
  LockedFile(const LockedFile&) = delete;
  LockedFile& operator=(const LockedFile&) = delete;

  static std::shared_ptr<LockedFile> find(const Key& key);
  static std::mutex& table_mutex() { return table().mutex; }

  // --- With the lock.
  Errno take(LockOwner& owner, const Lock& lock);
  void queue(LockWait& wait);
  void leave(LockWait& wait) {
    waits_.erase(wait.place_);
    charge_back(*wait.owner_, lock_wait_bytes);
  }
  // Lets go on whoever can.
  void advance(Ready& ready);
  void release_all(LockOwner& owner);

  std::mutex mutex;

 private:
  struct Held {
    LockOwner* owner;
    Lock lock;
  };
  struct Table {
    std::mutex mutex;
    std::unordered_map<Key, std::weak_ptr<LockedFile>, Hash> files;
  };
  static Table& table() {
    static auto* const one = new Table;  // outlives whatever is destroyed at the program's end
    return *one;
  }

  [[nodiscard]] bool is_in_the_way_of(const LockOwner& owner, const Lock& lock) const;
  [[nodiscard]] bool has(const LockOwner& owner, const Lock& lock) const;
  Errno apply(LockOwner& owner, const Lock& lock);
  static bool charge(const LockOwner& owner, u64 bytes) {
    return owner.account_ == nullptr || owner.account_->memory.take(bytes);
  }
  static void charge_back(const LockOwner& owner, u64 bytes) {
    if (owner.account_ != nullptr) owner.account_->memory.give(bytes);
  }

  const Key key_;
  std::vector<Held> held_;
  std::list<LockWait*> waits_;
};

LockedFile::~LockedFile() {
  Table& all = table();
  const std::lock_guard guard(all.mutex);
  // Another one may have come in its place.
  const auto found = all.files.find(key_);
  if (found != all.files.end() && found->second.expired()) all.files.erase(found);
}

// With the table's lock.
std::shared_ptr<LockedFile> LockedFile::find(const Key& key) {
  std::weak_ptr<LockedFile>& place = table().files[key];
  auto file = place.lock();
  if (file == nullptr) {
    file = std::make_shared<LockedFile>(key);
    place = file;
  }
  return file;
}

bool LockedFile::is_in_the_way_of(const LockOwner& owner, const Lock& lock) const {
  return std::ranges::any_of(
      held_, [&](const Held& each) { return each.owner != &owner && each.lock.excludes(lock); });
}

// Whether the owner has all of it already.
bool LockedFile::has(const LockOwner& owner, const Lock& lock) const {
  return std::ranges::any_of(held_, [&](const Held& each) {
    return each.owner == &owner && each.lock.from <= lock.from && each.lock.to >= lock.to &&
           each.lock.kind == lock.kind;
  });
}

Errno LockedFile::take(LockOwner& owner, const Lock& lock) {
  if (lock.kind != LockKind::none && !has(owner, lock)) {
    if (is_in_the_way_of(owner, lock)) return Errno::again;
    const auto excludes = [&](const LockWait* each) { return each->lock_.excludes(lock); };
    if (owner.count_ == 0 && std::ranges::any_of(waits_, excludes)) return Errno::again;
  }
  return apply(owner, lock);
}

// Gives the owner the range, and nothing else of it that it had.
Errno LockedFile::apply(LockOwner& owner, const Lock& lock) {
  Lock whole = lock;
  std::vector<Lock> own;  // what the owner has afterwards
  for (const Held& each : held_) {
    if (each.owner != &owner) continue;
    const Lock& old = each.lock;
    if (lock.kind == old.kind && old.from <= whole.to && whole.from <= old.to) {
      whole.from = std::min(whole.from, old.from);
      whole.to = std::max(whole.to, old.to);
      continue;
    }
    if (!old.overlaps(lock)) {
      own.push_back(old);
      continue;
    }
    if (old.from < lock.from) own.push_back({old.kind, old.from, lock.from});
    if (old.to > lock.to) own.push_back({old.kind, lock.to, old.to});
  }
  if (lock.kind != LockKind::none) own.push_back(whole);
  if (own.size() > owner.count_) {
    const u64 more = own.size() - owner.count_;
    if (held_.size() + more > max_locks) return Errno::nolck;
    if (!charge(owner, more * lock_bytes)) return Errno::nomem;
  } else {
    charge_back(owner, (owner.count_ - own.size()) * lock_bytes);
  }
  std::erase_if(held_, [&](const Held& each) { return each.owner == &owner; });
  for (const Lock& each : own) held_.push_back({&owner, each});
  owner.count_ = own.size();
  return Errno::success;
}

void LockedFile::queue(LockWait& wait) {
  if (waits_.size() >= max_lock_waits) {
    wait.error_ = Errno::nolck;
  } else if (!charge(*wait.owner_, lock_wait_bytes)) {
    wait.error_ = Errno::nomem;
  } else {
    wait.place_ = waits_.insert(waits_.end(), &wait);
    wait.state_ = LockWait::State::waits;
    return;
  }
  wait.state_ = LockWait::State::failed;
}

void LockedFile::advance(Ready& ready) {
  std::vector<const Lock*> ahead;  // of those that go on waiting
  bool all_wait = false;           // for one of these
  for (auto at = waits_.begin(); at != waits_.end();) {
    LockWait& wait = **at++;
    const bool gives_way = wait.owner_->count_ == 0;
    if (gives_way && all_wait) continue;
    const auto excludes = [&](const Lock* each) { return each->excludes(wait.lock_); };
    if ((gives_way && std::ranges::any_of(ahead, excludes)) ||
        is_in_the_way_of(*wait.owner_, wait.lock_)) {
      ahead.push_back(&wait.lock_);
      all_wait |= wait.lock_.kind == LockKind::exclusive && wait.lock_.from == 0 &&
                  wait.lock_.to == Lock::to_the_end;
      continue;
    }
    leave(wait);
    wait.error_ = apply(*wait.owner_, wait.lock_);
    wait.state_ =
        wait.error_ == Errno::success ? LockWait::State::granted : LockWait::State::failed;
    ready.push_back(std::exchange(wait.ready_, nullptr));
  }
}

void LockedFile::release_all(LockOwner& owner) {
  std::erase_if(held_, [&](const Held& each) { return each.owner == &owner; });
  charge_back(owner, owner.count_ * lock_bytes + lock_owner_bytes);
  owner.count_ = 0;
}

// --- Owners --------------------------------------------------------------------------------------

namespace {

// Works on a file with its lock, then lets others go on.
template <class Work>
auto with(LockedFile& file, const Work& work) {
  LockedFile::Ready ready;
  std::unique_lock guard(file.mutex);
  const auto result = work(ready);
  guard.unlock();
  for (const auto& each : ready) each();
  return result;
}

}  // namespace

LockOwner::~LockOwner() {
  if (file_ == nullptr) return;
  with(*file_, [this](LockedFile::Ready& ready) {
    file_->release_all(*this);
    file_->advance(ready);
    return true;
  });
}

bool LockOwner::is_known() const {
  const std::lock_guard guard(LockedFile::table_mutex());
  return file_ != nullptr;
}

Errno LockOwner::know(u64 device, u64 inode, std::shared_ptr<cap::Account> account) {
  const std::lock_guard guard(LockedFile::table_mutex());
  if (file_ != nullptr) return Errno::success;
  if (account != nullptr && !account->memory.take(lock_owner_bytes)) return Errno::nomem;
  account_ = std::move(account);
  file_ = LockedFile::find({device, inode});
  return Errno::success;
}

Errno LockOwner::take(const Lock& lock) {
  return with(*file_, [&](LockedFile::Ready& ready) {
    const Errno error = file_->take(*this, lock);
    // Less than before lets others in.
    if (error == Errno::success && lock.kind != LockKind::exclusive) file_->advance(ready);
    return error;
  });
}

void LockOwner::wait(const std::shared_ptr<LockWait>& wait, const Lock& lock,
                     std::function<void()> ready) {
  wait->file_ = file_;
  with(*file_, [&](LockedFile::Ready& now) {
    wait->owner_ = this;
    wait->lock_ = lock;
    wait->ready_ = std::move(ready);
    file_->queue(*wait);
    if (wait->state_ == LockWait::State::failed) {
      now.push_back(std::exchange(wait->ready_, nullptr));
    } else {
      file_->advance(now);
    }
    return true;
  });
}

Errno LockWait::settle() {
  std::function<void()> unused;  // ends without the lock
  return with(*file_, [&](LockedFile::Ready& ready) {
    unused = std::exchange(ready_, nullptr);
    const State was = std::exchange(state_, State::over);
    if (was != State::waits) return error_;
    file_->leave(*this);
    file_->advance(ready);
    return Errno::timedout;
  });
}

void LockWait::abandon() {
  if (file_ == nullptr) return;
  std::function<void()> unused;
  with(*file_, [&](LockedFile::Ready& ready) {
    unused = std::exchange(ready_, nullptr);
    const State was = std::exchange(state_, State::over);
    if (was == State::waits) file_->leave(*this);
    if (was == State::granted) {
      file_->take(*owner_, {LockKind::none, lock_.from, lock_.to});
    }
    file_->advance(ready);
    return true;
  });
}

}  // namespace atollvm::vfs
