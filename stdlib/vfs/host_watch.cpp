#include "stdlib/vfs/host_watch.hpp"

#include <errno.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <string>

namespace atollvm::vfs {
namespace {

// Reads of the kernel's queue in one call: what names another one than is watched gives no event.
constexpr int most_reads = 16;

class HostWatch final : public Watch {
 public:
  HostWatch(Descriptor queue, std::string_view only) : queue_(std::move(queue)), events_(only) {}

  Outcome<u32> read(std::span<u8> to) override {
    const std::lock_guard lock(mutex_);
    for (int i = 0; i < most_reads && events_.empty() && !events_.has_ended(); ++i) {
      alignas(inotify_event) std::array<char, 4096> buffer;
      const ssize_t size = ::read(queue_.get(), buffer.data(), buffer.size());
      if (size < 0 && errno == EAGAIN) {
        settle_move();
        if (events_.empty()) return Errno::again;
      } else if (size < 0) {
        return errno == EINTR ? Errno::again : from_errno(errno);
      }
      for (ssize_t at = 0; at < size;) {
        inotify_event event;
        memcpy(&event, buffer.data() + at, sizeof event);
        const char* const name = buffer.data() + at + sizeof event;
        note(event, {name, strnlen(name, event.len)});
        at += static_cast<ssize_t>(sizeof event + event.len);
      }
    }
    // Nobody would be woken for it.
    if (events_.empty()) settle_move();
    return events_.take(to);
  }
  [[nodiscard]] int wait_fd() const override { return queue_.get(); }

 private:
  void note(const inotify_event& event, std::string_view name) {
    const u32 mask = event.mask;
    const bool is_move = (mask & IN_MOVED_TO) != 0 && !moved_.empty() && event.cookie == cookie_;
    if (!is_move) settle_move();
    if ((mask & IN_Q_OVERFLOW) != 0) {
      events_.put(WatchEvent::overflow);
    } else if ((mask & (IN_DELETE_SELF | IN_UNMOUNT | IN_IGNORED)) != 0) {
      events_.put(WatchEvent::gone);
    } else if (name.empty()) {
      return;  // of the directory itself
    } else if ((mask & IN_MOVED_FROM) != 0) {
      moved_ = name;
      cookie_ = event.cookie;
    } else if (is_move) {
      events_.put(WatchEvent::renamed, name, std::exchange(moved_, {}));
    } else if ((mask & (IN_CREATE | IN_MOVED_TO)) != 0) {
      events_.put(WatchEvent::created, name);
    } else if ((mask & IN_DELETE) != 0) {
      events_.put(WatchEvent::removed, name);
    } else if ((mask & (IN_MODIFY | IN_ATTRIB)) != 0) {
      events_.put(WatchEvent::changed, name);
    }
  }
  // What was moved, but not to where it is seen.
  void settle_move() {
    if (moved_.empty()) return;
    events_.put(WatchEvent::removed, std::exchange(moved_, {}));
  }

  const Descriptor queue_;
  std::mutex mutex_;
  WatchEvents events_;
  // The first half of a move that was read, and the kernel's number of it.
  std::string moved_;
  u32 cookie_ = 0;
};

}  // namespace

Outcome<std::shared_ptr<Watch>> watch_host_directory(int directory, std::string_view only) {
  Descriptor queue(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!queue) return errno == ENOSYS ? Errno::notsup : from_errno(errno);
  const std::string path = "/proc/self/fd/" + std::to_string(directory);
  const u32 events = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_MODIFY | IN_ATTRIB |
                     IN_DELETE_SELF | IN_EXCL_UNLINK;
  if (inotify_add_watch(queue.get(), path.c_str(), events) < 0) {
    if (errno == ENOSPC) return Errno::mfile;
    return errno == ENOENT || errno == ENOSYS ? Errno::notsup : from_errno(errno);
  }
  return std::make_shared<HostWatch>(std::move(queue), only);
}

}  // namespace atollvm::vfs
