// Reading and writing through handles of streams and files.
#include <string.h>

#include <algorithm>

#include "stdlib/host/stream.hpp"
#include "stdlib/host/support.hpp"

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

// Of an attempt on `taken` bytes.
HostResult count_result(HostContext& context, u32 taken, const Outcome<u32>& outcome) {
  settle_io(context, taken, outcome);
  if (const Errno* error = error_of(outcome)) return context.error32(*error);
  return context.result_i32(static_cast<i32>(std::get<u32>(outcome)));
}

// Where a read puts its bytes, once the guest's memory may have moved.
struct Target {
  u32 address = 0;
  u32 size = 0;

  [[nodiscard]] std::optional<std::span<u8>> in(const HostContext& context) const {
    return context.memory(address, size);
  }
};

// Reads in the pool into a buffer of ours, and copies when that is done.
template <class Read>
HostResult read_in_pool(HostContext& context, Target target, Read read) {
  return loop::of(context).work(context, [target, read]() -> runtime::Finish {
    auto buffer = std::make_shared<std::vector<u8>>(target.size);
    const Outcome<u32> outcome = read(std::span<u8>(*buffer));
    return [target, buffer, outcome](HostContext& later) {
      const auto to = target.in(later);
      if (!to) return later.error32(Errno::fault);
      if (const u32* size = std::get_if<u32>(&outcome); size != nullptr && *size > 0) {
        memcpy(to->data(), buffer->data(), *size);
      }
      return count_result(later, target.size, outcome);
    };
  });
}

// Writes in the pool from a copy.
template <class Write>
HostResult write_in_pool(HostContext& context, std::span<const u8> bytes, Write write) {
  auto buffer = std::make_shared<std::vector<u8>>(bytes.begin(), bytes.end());
  return loop::of(context).work(context, [buffer, write]() -> runtime::Finish {
    const Outcome<u32> outcome = write(std::span<const u8>(*buffer));
    return [taken = static_cast<u32>(buffer->size()), outcome](HostContext& later) {
      return count_result(later, taken, outcome);
    };
  });
}

HostResult read_stream(HostContext& context, const std::shared_ptr<Stream>& stream, Target target) {
  const u32 taken = take_io_bytes(context, target.size);
  if (taken == 0) return context.error32(Errno::dquot);
  const Target now{target.address, taken};
  const auto to = now.in(context);
  if (!to) return context.error32(Errno::fault);
  const Outcome<u32> outcome = stream->read(*to, Wait::never);
  if (!must_wait(outcome)) return count_result(context, taken, outcome);
  if (const std::optional<int> fd = stream->wait_fd()) {
    settle_io(context, taken, outcome);
    return loop::of(context).when_readable(context, *fd, [stream, target](HostContext& later) {
      return read_stream(later, stream, target);
    });
  }
  return read_in_pool(context, now,
                      [stream](std::span<u8> bytes) { return stream->read(bytes, Wait::allowed); });
}

HostResult write_stream(HostContext& context, const std::shared_ptr<Stream>& stream,
                        Target source) {
  const u32 taken = take_io_bytes(context, source.size);
  if (taken == 0) return context.error32(Errno::dquot);
  const auto from = Target{source.address, taken}.in(context);
  if (!from) return context.error32(Errno::fault);
  const Outcome<u32> outcome = stream->write(*from, Wait::never);
  if (!must_wait(outcome)) return count_result(context, taken, outcome);
  if (const std::optional<int> fd = stream->wait_fd()) {
    settle_io(context, taken, outcome);
    return loop::of(context).when_writable(context, *fd, [stream, source](HostContext& later) {
      return write_stream(later, stream, source);
    });
  }
  return write_in_pool(context, *from, [stream](std::span<const u8> bytes) {
    return stream->write(bytes, Wait::allowed);
  });
}

HostResult read_file(HostContext& context, std::span<u8> bytes, std::optional<u64> at) {
  const u32 taken = take_io_bytes(context, bytes.size());
  if (taken == 0 && !bytes.empty()) return context.error32(Errno::dquot);
  const auto file = object_of<vfs::File>(context);
  const Outcome<u32> outcome = file->read(bytes.first(taken), at, Wait::never);
  if (!must_wait(outcome)) return count_result(context, taken, outcome);
  return read_in_pool(context, {context.arg_u32(1), taken},
                      [file, at](std::span<u8> to) { return file->read(to, at, Wait::allowed); });
}

HostResult write_file(HostContext& context, std::span<const u8> bytes, std::optional<u64> at,
                      bool append) {
  const u32 taken = take_io_bytes(context, bytes.size());
  if (taken == 0 && !bytes.empty()) return context.error32(Errno::dquot);
  const auto file = object_of<vfs::File>(context);
  const vfs::WriteMode mode{append, vfs::Durability::none};
  const Outcome<u32> outcome = file->write(bytes.first(taken), at, mode, Wait::never);
  if (!must_wait(outcome)) return count_result(context, taken, outcome);
  return write_in_pool(context, bytes.first(taken), [file, at, mode](std::span<const u8> from) {
    return file->write(from, at, mode, Wait::allowed);
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
  if (!is_stream(context)) return read_file(context, *to, std::nullopt);
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
    return write_file(context, *from, std::nullopt, (rights & cap::right_write) == 0);
  }
  return write_stream(context, object_of<Stream>(context),
                      {context.arg_u32(1), static_cast<u32>(from->size())});
}

HostResult call_pread(Environment&, HostContext& context) {
  const auto to = transfer(context);
  if (!to) return context.error32(Errno::fault);
  const std::optional<u64> at = unsigned_arg(context, 3);
  if (!at) return context.error32(Errno::inval);
  return read_file(context, *to, at);
}

HostResult call_pwrite(Environment&, HostContext& context) {
  const auto from = transfer(context);
  if (!from) return context.error32(Errno::fault);
  const std::optional<u64> at = unsigned_arg(context, 3);
  if (!at) return context.error32(Errno::inval);
  return write_file(context, *from, at, false);
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
