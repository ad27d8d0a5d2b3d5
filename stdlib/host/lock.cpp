// Advisory locks on files.
#include <optional>
#include <utility>

#include "scheduler/core/scheduler.hpp"
#include "stdlib/host/support.hpp"
#include "stdlib/vfs/locks.hpp"

namespace atollvm::host {
namespace {

using vfs::Outcome;
using vfs::Wait;

struct Wish {
  std::shared_ptr<vfs::File> file;
  vfs::Lock lock;
  std::optional<u64> deadline;  // monotonic ns; nothing: never
  bool waits = false;
};

HostResult give(const HostContext& context, Errno error) {
  return context.error32(error == Errno::again ? Errno::timedout : error);
}

// Of a file that its locks know.
HostResult take(HostContext& context, const Wish& wish) {
  const Errno error = wish.file->locks().take(wish.lock);
  if (error != Errno::again || !wish.waits) return give(context, error);
  const auto wait = std::make_shared<vfs::LockWait>();
  std::function<void()> ready;
  const HostResult parked = loop::of(context).until(
      context, wish.deadline,
      [file = wish.file, wait](HostContext& later) { return give(later, wait->settle()); },
      [file = wish.file, wait] { wait->abandon(); }, ready);
  wish.file->locks().wait(wait, wish.lock, std::move(ready));
  return parked;
}

// The range of parameters 2 and 3; nothing: there is none like it.
std::optional<vfs::Lock> range_of(const HostContext& context, u32 kind) {
  const i64 from = context.arg_i64(2);
  const i64 size = context.arg_i64(3);
  if (kind > static_cast<u32>(vfs::LockKind::exclusive) || from < 0 || size < 0) {
    return std::nullopt;
  }
  const u64 first = static_cast<u64>(from);
  const u64 end = size == 0 ? vfs::Lock::to_the_end : first + static_cast<u64>(size);
  return vfs::Lock{static_cast<vfs::LockKind>(kind), first, end};
}

}  // namespace

HostResult call_lock(Environment&, HostContext& context) {
  const auto lock = range_of(context, context.arg_u32(1));
  Wish wish{std::static_pointer_cast<vfs::File>(context.capability().object), {}, {}};
  if (!lock || wish.file->type() != vfs::FileType::regular) return context.error32(Errno::inval);
  constexpr cap::Rights any_write = cap::right_write | cap::right_append;
  if (lock->kind == vfs::LockKind::exclusive && (context.capability().rights & any_write) == 0) {
    return context.error32(Errno::notcapable);
  }
  wish.lock = *lock;
  const i64 timeout = context.arg_i64(4);
  wish.waits = timeout != 0;
  if (timeout > 0) wish.deadline = deadline_after(timeout);
  if (wish.file->locks().is_known()) return take(context, wish);
  return attempt_or_work(
      context, [file = wish.file](Wait wait) { return file->stat(wait); },
      [wish](HostContext& later, const Outcome<vfs::Stat>& outcome) {
        if (const Errno* error = error_of(outcome)) return later.error32(*error);
        const auto& stat = std::get<vfs::Stat>(outcome);
        const Errno known = wish.file->locks().know(stat.device, stat.inode, account_of(later));
        return known == Errno::success ? take(later, wish) : later.error32(known);
      });
}

}  // namespace atollvm::host
