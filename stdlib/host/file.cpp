// Reading and writing through handles of streams and files.
#include <string.h>

#include <algorithm>

#include "stdlib/host/stream.hpp"
#include "stdlib/host/support.hpp"
#include "stdlib/net/socket.hpp"

namespace atollvm::host {
namespace {

using vfs::Outcome;
using vfs::Wait;

// The object of the call's handle, as the gate has checked it.
template <class T>
std::shared_ptr<T> object_of(const HostContext& context) {
  return std::static_pointer_cast<T>(context.capability().object);
}

bool is_stream(const HostContext& context) {
  return context.capability().object->kind() == Kind::stream;
}

// The bytes of the guest that parameters 1 and 2 name, cut to what one call may do. All of them
// must be inside of the memory, also those that are cut.
std::optional<std::span<u8>> transfer(const HostContext& context) {
  const auto bytes = context.memory(context.arg_u32(1), context.arg_u32(2));
  if (!bytes) return std::nullopt;
  return bytes->first(std::min<usize>(bytes->size(), max_transfer));
}

// Of an attempt on a share.
HostResult count_result(HostContext& context, const Share& share, const Outcome<u32>& outcome) {
  settle_io(context, share, outcome);
  if (const Errno* error = error_of(outcome)) return context.error32(*error);
  return context.result_i32(static_cast<i32>(std::get<u32>(outcome)));
}

// Where a read puts its bytes and a write has them, once the guest's memory may have moved.
struct Target {
  u32 address = 0;
  u32 size = 0;

  [[nodiscard]] std::optional<std::span<u8>> in(const HostContext& context, u32 most) const {
    return context.memory(address, std::min(size, most));
  }
};

// Reads in the pool into a buffer of ours, and copies when that is done.
template <class Read>
HostResult read_in_pool(HostContext& context, Target target, const Share& share, Read read) {
  return loop::of(context).work(context, [target, share, read]() -> runtime::Finish {
    auto buffer = std::make_shared<std::vector<u8>>(share.size());
    const Outcome<u32> outcome = read(std::span<u8>(*buffer));
    return [target, share, buffer, outcome](HostContext& later) {
      const auto to = target.in(later, share.size());
      if (!to) return later.error32(Errno::fault);
      if (const u32* size = std::get_if<u32>(&outcome); size != nullptr && *size > 0) {
        memcpy(to->data(), buffer->data(), *size);
      }
      return count_result(later, share, outcome);
    };
  });
}

// Writes in the pool from a copy.
template <class Write>
HostResult write_in_pool(HostContext& context, std::span<const u8> bytes, const Share& share,
                         Write write) {
  auto buffer = std::make_shared<std::vector<u8>>(bytes.begin(), bytes.end());
  return loop::of(context).work(context, [buffer, share, write]() -> runtime::Finish {
    const Outcome<u32> outcome = write(std::span<const u8>(*buffer));
    return [share, outcome](HostContext& later) { return count_result(later, share, outcome); };
  });
}

std::shared_ptr<cap::Rate> link_of(const Stream& stream) {
  const net::Socket* const socket = stream.socket();
  return socket == nullptr ? nullptr : socket->network().bandwidth();
}

// Monotonic ns until which a call waits; nothing: for ever.
using Deadline = std::optional<u64>;
bool has_passed(Deadline deadline) { return deadline && loop::monotonic_ns() >= *deadline; }

// Parks a call until its stream is ready, or gives timedout.
HostResult wait_for_stream(HostContext& context, const loop::Loop::Interest& interest,
                           Deadline deadline, runtime::Finish finish) {
  loop::Loop& loop = loop::of(context);
  if (!deadline) return loop.when_ready(context, interest, std::move(finish));
  if (has_passed(deadline)) return context.error32(Errno::timedout);
  return loop.when_any(context, {&interest, 1}, deadline, std::move(finish));
}

HostResult read_stream(HostContext& context, const std::shared_ptr<Stream>& stream, Target target,
                       Deadline deadline = {}) {
  const Share taken = take_io(context, target.size, link_of(*stream));
  if (taken.size() == 0) return context.error32(Errno::dquot);
  return with_share(
      context, taken,
      [stream, target, deadline](HostContext& now, const Share& share) {
        const auto to = target.in(now, share.size());
        if (!to) return now.error32(Errno::fault);
        net::Socket* const socket = stream->socket();
        Outcome<u32> outcome =
            socket == nullptr ? stream->read(*to, Wait::never) : socket->read_or_wait(*to);
        if (must_wait(outcome) && socket != nullptr && has_passed(deadline)) {
          outcome = socket->read(*to);
        }
        if (!must_wait(outcome)) return count_result(now, share, outcome);
        if (const auto interest = interest_of(*stream, false)) {
          settle_io(now, share, outcome);
          return wait_for_stream(now, *interest, deadline,
                                 [stream, target, deadline](HostContext& later) {
                                   return read_stream(later, stream, target, deadline);
                                 });
        }
        return read_in_pool(now, target, share, [stream](std::span<u8> bytes) {
          return stream->read(bytes, Wait::allowed);
        });
      },
      deadline);
}

HostResult write_stream(HostContext& context, const std::shared_ptr<Stream>& stream, Target source,
                        Deadline deadline = {}) {
  const Share taken = take_io(context, source.size, link_of(*stream));
  if (taken.size() == 0) return context.error32(Errno::dquot);
  return with_share(
      context, taken,
      [stream, source, deadline](HostContext& now, const Share& share) {
        const auto from = source.in(now, share.size());
        if (!from) return now.error32(Errno::fault);
        const Outcome<u32> outcome = stream->write(*from, Wait::never);
        if (!must_wait(outcome)) return count_result(now, share, outcome);
        if (const auto interest = interest_of(*stream, true)) {
          settle_io(now, share, outcome);
          return wait_for_stream(now, *interest, deadline,
                                 [stream, source, deadline](HostContext& later) {
                                   return write_stream(later, stream, source, deadline);
                                 });
        }
        return write_in_pool(now, *from, share, [stream](std::span<const u8> bytes) {
          return stream->write(bytes, Wait::allowed);
        });
      },
      deadline);
}

// The timeout in parameter 3.
Deadline deadline_of(const HostContext& context) {
  const i64 timeout = context.arg_i64(3);
  return timeout < 0 ? Deadline() : Deadline(deadline_after(timeout));
}

// `size`: of the bytes that parameter 1 says where they are.
HostResult read_file(HostContext& context, usize size, std::optional<u64> at) {
  const Share taken = take_io(context, size);
  if (taken.size() == 0 && size != 0) return context.error32(Errno::dquot);
  const Target target{context.arg_u32(1), static_cast<u32>(size)};
  return with_share(
      context, taken,
      [file = object_of<vfs::File>(context), target, at](HostContext& now, const Share& share) {
        const auto to = target.in(now, share.size());
        if (!to) return now.error32(Errno::fault);
        const Outcome<u32> outcome = file->read(*to, at, Wait::never);
        if (!must_wait(outcome)) return count_result(now, share, outcome);
        return read_in_pool(now, target, share, [file, at](std::span<u8> bytes) {
          return file->read(bytes, at, Wait::allowed);
        });
      });
}

HostResult write_file(HostContext& context, usize size, std::optional<u64> at, bool append) {
  const Share taken = take_io(context, size);
  if (taken.size() == 0 && size != 0) return context.error32(Errno::dquot);
  const Target source{context.arg_u32(1), static_cast<u32>(size)};
  const vfs::WriteMode mode{append, vfs::Durability::none};
  return with_share(context, taken,
                    [file = object_of<vfs::File>(context), source, at, mode](HostContext& now,
                                                                             const Share& share) {
                      const auto from = source.in(now, share.size());
                      if (!from) return now.error32(Errno::fault);
                      const Outcome<u32> outcome = file->write(*from, at, mode, Wait::never);
                      if (!must_wait(outcome)) return count_result(now, share, outcome);
                      return write_in_pool(now, *from, share,
                                           [file, at, mode](std::span<const u8> bytes) {
                                             return file->write(bytes, at, mode, Wait::allowed);
                                           });
                    });
}

// A position or size from the guest; nothing when it is negative.
std::optional<u64> unsigned_arg(const HostContext& context, u32 index) {
  const i64 number = context.arg_i64(index);
  return number < 0 ? std::nullopt : std::optional<u64>(static_cast<u64>(number));
}

}  // namespace

HostResult call_read(Environment&, HostContext& context) {
  const auto to = transfer(context);
  if (!to) return context.error32(Errno::fault);
  if (to->empty()) return context.result_i32(0);
  if (!is_stream(context)) return read_file(context, to->size(), std::nullopt);
  return read_stream(context, object_of<Stream>(context),
                     {context.arg_u32(1), static_cast<u32>(to->size())});
}

HostResult call_write(Environment&, HostContext& context) {
  const auto from = transfer(context);
  if (!from) return context.error32(Errno::fault);
  const cap::Rights rights = context.capability().rights;
  if ((rights & (cap::right_write | cap::right_append)) == 0) {
    return context.error32(Errno::notcapable);
  }
  if (from->empty()) return context.result_i32(0);
  if (!is_stream(context)) {
    return write_file(context, from->size(), std::nullopt, (rights & cap::right_write) == 0);
  }
  return write_stream(context, object_of<Stream>(context),
                      {context.arg_u32(1), static_cast<u32>(from->size())});
}

HostResult call_read_within(Environment&, HostContext& context) {
  const auto to = transfer(context);
  if (!to) return context.error32(Errno::fault);
  if (to->empty()) return context.result_i32(0);
  return read_stream(context, object_of<Stream>(context),
                     {context.arg_u32(1), static_cast<u32>(to->size())}, deadline_of(context));
}

HostResult call_write_within(Environment&, HostContext& context) {
  const auto from = transfer(context);
  if (!from) return context.error32(Errno::fault);
  if (from->empty()) return context.result_i32(0);
  return write_stream(context, object_of<Stream>(context),
                      {context.arg_u32(1), static_cast<u32>(from->size())}, deadline_of(context));
}

HostResult call_pread(Environment&, HostContext& context) {
  const auto to = transfer(context);
  if (!to) return context.error32(Errno::fault);
  const std::optional<u64> at = unsigned_arg(context, 3);
  if (!at) return context.error32(Errno::inval);
  return read_file(context, to->size(), at);
}

HostResult call_pwrite(Environment&, HostContext& context) {
  const auto from = transfer(context);
  if (!from) return context.error32(Errno::fault);
  const std::optional<u64> at = unsigned_arg(context, 3);
  if (!at) return context.error32(Errno::inval);
  return write_file(context, from->size(), at, false);
}

HostResult call_seek(Environment&, HostContext& context) {
  if (is_stream(context)) return context.error64(Errno::spipe);
  const auto outcome = object_of<vfs::File>(context)->seek(context.arg_i64(1), context.arg_u32(2));
  if (const Errno* error = error_of(outcome)) return context.error64(*error);
  return context.result_i64(static_cast<i64>(std::get<u64>(outcome)));
}

HostResult call_truncate(Environment&, HostContext& context) {
  const std::optional<u64> size = unsigned_arg(context, 1);
  if (!size) return context.error32(Errno::inval);
  return attempt_errno(context, [file = object_of<vfs::File>(context), size = *size](Wait wait) {
    return file->truncate(size, wait);
  });
}

HostResult call_sync(Environment&, HostContext& context) {
  if (context.capability().object->kind() == Kind::directory) {
    return attempt_errno(context, [directory = object_of<vfs::Directory>(context)](Wait wait) {
      return directory->sync(wait);
    });
  }
  return attempt_errno(context, [file = object_of<vfs::File>(context)](Wait wait) {
    return file->sync(vfs::Durability::all, wait);
  });
}

HostResult call_stat(Environment&, HostContext& context) {
  const u32 address = context.arg_u32(1);
  if (!has_stat_room(context, address)) return context.error32(Errno::fault);
  const auto attempt = [object = context.capability().object](Wait wait) -> Outcome<vfs::Stat> {
    switch (object->kind()) {
      case Kind::stream:
        return static_cast<Stream&>(*object).stat(wait);
      case Kind::file:
        return static_cast<vfs::File&>(*object).stat(wait);
      default:
        return static_cast<vfs::Directory&>(*object).stat(".", true, wait);
    }
  };
  return attempt_or_work(context, attempt,
                         [address](HostContext& later, const Outcome<vfs::Stat>& outcome) {
                           return put_stat(later, address, outcome);
                         });
}

HostResult call_set_times(Environment&, HostContext& context) {
  const vfs::Times times = times_from(context.arg_i64(1), context.arg_i64(2));
  return attempt_errno(context, [object = context.capability().object, times](Wait wait) {
    if (object->kind() == Kind::file) {
      return static_cast<vfs::File&>(*object).set_times(times, wait);
    }
    return static_cast<vfs::Directory&>(*object).set_times(".", true, times, wait);
  });
}

}  // namespace atollvm::host
