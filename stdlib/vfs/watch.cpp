#include "stdlib/vfs/watch.hpp"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>

namespace atollvm::vfs {
namespace {

// Before the names, as the guest's structure has it.
struct Header {
  u32 event;
  u32 name_size;
  u32 old_name_size;
};
static_assert(sizeof(Header) == 12);

Header header_at(const std::vector<u8>& bytes, usize at) {
  Header header;
  memcpy(&header, bytes.data() + at, sizeof header);
  return header;
}

}  // namespace

// --- Events -------------------------------------------------------------------------------------

void WatchEvents::put(WatchEvent event, std::string_view name, std::string_view old_name) {
  if (has_ended_) return;
  if (event == WatchEvent::gone) {
    has_ended_ = true;
  } else if (!only_.empty() && event == WatchEvent::renamed) {
    if (name != only_ && old_name != only_) return;
    event = name == only_ ? WatchEvent::created : WatchEvent::removed;
    name = only_;
    old_name = {};
  } else if (!only_.empty() && event != WatchEvent::overflow && name != only_) {
    return;
  }
  const usize size = sizeof(Header) + name.size() + old_name.size();
  const bool is_full = bytes_.size() - at_ + size > watch_bytes - 2 * sizeof(Header);
  if (!is_full || event == WatchEvent::gone) {
    append(event, name, old_name);
  } else {
    append(WatchEvent::overflow, {}, {});
  }
}

// But for what the last event says already.
void WatchEvents::append(WatchEvent event, std::string_view name, std::string_view old_name) {
  if (!empty()) {
    const Header last = header_at(bytes_, last_);
    const std::string_view last_name(
        reinterpret_cast<const char*>(bytes_.data()) + last_ + sizeof last, last.name_size);
    const bool is_same = last.event == static_cast<u32>(event) && last_name == name;
    const bool adds_nothing = event == WatchEvent::changed || event == WatchEvent::overflow;
    if (is_same && adds_nothing) return;
  }
  if (at_ > bytes_.size() / 2) {
    bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<i64>(at_));
    at_ = 0;
  }
  last_ = bytes_.size();
  const Header header{static_cast<u32>(event), static_cast<u32>(name.size()),
                      static_cast<u32>(old_name.size())};
  const auto* const head = reinterpret_cast<const u8*>(&header);
  bytes_.insert(bytes_.end(), head, head + sizeof header);
  bytes_.insert(bytes_.end(), name.begin(), name.end());
  bytes_.insert(bytes_.end(), old_name.begin(), old_name.end());
}

Outcome<u32> WatchEvents::take(std::span<u8> to) {
  if (empty()) return has_ended_ ? Outcome<u32>(u32{0}) : Outcome<u32>(Errno::again);
  usize end = at_;
  while (end < bytes_.size()) {
    const Header header = header_at(bytes_, end);
    const usize next = end + sizeof header + header.name_size + header.old_name_size;
    if (next - at_ > to.size()) break;
    end = next;
  }
  const usize size = end - at_;
  if (size == 0) return Errno::range;
  memcpy(to.data(), bytes_.data() + at_, size);
  at_ = end;
  if (empty()) {
    bytes_ = {};
    at_ = 0;
  }
  return static_cast<u32>(size);
}

// --- Who watches --------------------------------------------------------------------------------

class Watches::Queue final : public Watch {
 public:
  Queue(std::shared_ptr<Watches> owner, Id of, std::string_view only, std::shared_ptr<void> holder,
        Descriptor bell)
      : folder(of),
        holder_(std::move(holder)),
        owner_(std::move(owner)),
        bell_(std::move(bell)),
        events_(only) {}
  ~Queue() override { owner_->forget(*this); }

  Outcome<u32> read(std::span<u8> to) override {
    const std::lock_guard lock(mutex_);
    const Outcome<u32> taken = events_.take(to);
    u64 rings = 0;
    // Who waits for an end that was told already must not wait.
    if (events_.empty() && !events_.has_ended()) {
      static_cast<void>(::read(bell_.get(), &rings, sizeof rings));
    }
    return taken;
  }
  [[nodiscard]] int wait_fd() const override { return bell_.get(); }

  void put(WatchEvent event, std::string_view name, std::string_view old_name) {
    const std::lock_guard lock(mutex_);
    const bool was_empty = events_.empty();
    events_.put(event, name, old_name);
    if (!was_empty || events_.empty()) return;
    const u64 ring = 1;
    static_cast<void>(!::write(bell_.get(), &ring, sizeof ring));
  }

  const Id folder;

 private:
  const std::shared_ptr<void> holder_;  // ends after the others
  const std::shared_ptr<Watches> owner_;
  const Descriptor bell_;
  std::mutex mutex_;
  WatchEvents events_;
};

class Watches::Opened {
 public:
  Opened(std::shared_ptr<Watches> watches, Id of) : owner(std::move(watches)), file(of) {}
  ~Opened() { owner->forget(*this); }
  Opened(const Opened&) = delete;
  Opened& operator=(const Opened&) = delete;

  const std::shared_ptr<Watches> owner;
  const Id file;
  // With the owner's lock.
  Id folder;
  std::string name;  // empty: it has gone
};

Outcome<std::shared_ptr<Watch>> Watches::add(Id folder, std::string_view only,
                                             std::shared_ptr<void> holder) {
  Descriptor bell(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!bell) return from_errno(errno);
  auto queue =
      std::make_shared<Queue>(shared_from_this(), folder, only, std::move(holder), std::move(bell));
  const std::lock_guard lock(mutex_);
  queues_.emplace(folder, queue.get());
  count_.fetch_add(1, std::memory_order_relaxed);
  return queue;
}

std::shared_ptr<Watches::Opened> Watches::opened(Id file, Id folder, std::string_view name) {
  auto one = std::make_shared<Opened>(shared_from_this(), file);
  const std::lock_guard lock(mutex_);
  one->folder = folder;
  one->name = name;
  files_.emplace(file, one.get());
  file_count_.fetch_add(1, std::memory_order_relaxed);
  return one;
}

void Watches::forget(const Queue& queue) {
  const std::lock_guard lock(mutex_);
  auto [each, end] = queues_.equal_range(queue.folder);
  each = std::find_if(each, end, [&queue](const auto& one) { return one.second == &queue; });
  if (each == end) return;
  queues_.erase(each);
  count_.fetch_sub(1, std::memory_order_relaxed);
}

void Watches::forget(const Opened& file) {
  const std::lock_guard lock(mutex_);
  auto [each, end] = files_.equal_range(file.file);
  each = std::find_if(each, end, [&file](const auto& one) { return one.second == &file; });
  if (each == end) return;
  files_.erase(each);
  file_count_.fetch_sub(1, std::memory_order_relaxed);
}

void Watches::tell(Id folder, WatchEvent event, std::string_view name, std::string_view old_name) {
  const auto [first, end] = queues_.equal_range(folder);
  for (auto each = first; each != end; ++each) each->second->put(event, name, old_name);
}

void Watches::drop_name(Id file, Id folder, std::string_view name) {
  const auto [first, end] = files_.equal_range(file);
  for (auto each = first; each != end; ++each) {
    Opened& one = *each->second;
    if (one.folder == folder && one.name == name) one.name.clear();
  }
}

void Watches::created(Id folder, std::string_view name) {
  if (!any()) return;
  const std::lock_guard lock(mutex_);
  tell(folder, WatchEvent::created, name);
}

void Watches::removed(Id folder, std::string_view name, Id file) {
  if (!is_needed()) return;
  const std::lock_guard lock(mutex_);
  drop_name(file, folder, name);
  tell(folder, WatchEvent::removed, name);
}

void Watches::removed_folder(Id folder, std::string_view name, Id removed) {
  if (!any()) return;
  const std::lock_guard lock(mutex_);
  tell(folder, WatchEvent::removed, name);
  tell(removed, WatchEvent::gone, {});
}

void Watches::renamed(Id folder, std::string_view name, Id to, std::string_view to_name, Id file) {
  if (!is_needed()) return;
  const std::lock_guard lock(mutex_);
  const auto [first, end] = files_.equal_range(file);
  for (auto each = first; each != end; ++each) {
    Opened& one = *each->second;
    if (one.folder != folder || one.name != name) continue;
    one.folder = to;
    one.name = to_name;
  }
  if (folder == to) return tell(folder, WatchEvent::renamed, to_name, name);
  tell(folder, WatchEvent::removed, name);
  tell(to, WatchEvent::created, to_name);
}

void Watches::replaced(Id folder, std::string_view name, Id old) {
  if (!is_needed()) return;
  const std::lock_guard lock(mutex_);
  drop_name(old, folder, name);
  tell(old, WatchEvent::gone, {});
}

void Watches::changed(Id folder, std::string_view name) {
  if (!any()) return;
  const std::lock_guard lock(mutex_);
  tell(folder, WatchEvent::changed, name);
}

void Watches::changed(const std::shared_ptr<Opened>& file) {
  if (file == nullptr || !any()) return;
  const std::lock_guard lock(mutex_);
  if (!file->name.empty()) tell(file->folder, WatchEvent::changed, file->name);
}

}  // namespace atollvm::vfs
