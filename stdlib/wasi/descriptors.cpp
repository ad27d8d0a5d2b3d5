// Calls on descriptors as such, and on what is behind them but not its bytes.
#include "stdlib/host/socket.hpp"
#include "stdlib/wasi/support.hpp"

namespace atollvm::wasi {
namespace {

constexpr u8 type_unknown = 0;
constexpr u8 type_datagrams = 5;

// WASI has no number for pipes, and programs take a character device for a terminal.
u8 filetype_of(const cap::Object& object) {
  switch (object.kind()) {
    case Kind::directory:
      return static_cast<u8>(vfs::FileType::directory);
    case Kind::file:
      return static_cast<u8>(static_cast<const vfs::File&>(object).type());
    case Kind::listener:
      return static_cast<u8>(vfs::FileType::socket);
    case Kind::datagrams:
      return type_datagrams;
    default:
      break;
  }
  const auto& stream = static_cast<const host::Stream&>(object);
  if (stream.socket() != nullptr) return static_cast<u8>(vfs::FileType::socket);
  if (stream.is_terminal()) return static_cast<u8>(vfs::FileType::character);
  return stream.file() != nullptr ? static_cast<u8>(vfs::FileType::regular) : type_unknown;
}

Outcome<vfs::Stat> stat_of(cap::Object& object, Wait wait) {
  switch (object.kind()) {
    case Kind::directory:
      return static_cast<vfs::Directory&>(object).stat(".", true, wait);
    case Kind::file:
      return static_cast<vfs::File&>(object).stat(wait);
    case Kind::listener:
    case Kind::datagrams: {
      Outcome<vfs::Stat> outcome = host::socket_of(object)->stat();
      if (auto* stat = std::get_if<vfs::Stat>(&outcome)) {
        stat->type = static_cast<vfs::FileType>(filetype_of(object));
      }
      return outcome;
    }
    default:
      break;
  }
  auto& stream = static_cast<host::Stream&>(object);
  Outcome<vfs::Stat> outcome = stream.stat(wait);
  if (auto* stat = std::get_if<vfs::Stat>(&outcome)) {
    stat->type = static_cast<vfs::FileType>(filetype_of(object));
  } else if (std::get<Errno>(outcome) == Errno::notsup) {
    return Errno::badf;  // a stream that the process was not given
  }
  return outcome;
}

HostResult sync(Call& call, vfs::Durability durability) {
  return attempt_errno(call.context, [object = call.object<cap::Object>(), durability](Wait wait) {
    if (object->kind() == Kind::directory) {
      return static_cast<vfs::Directory&>(*object).sync(wait);
    }
    return static_cast<vfs::File&>(*object).sync(durability, wait);
  });
}

}  // namespace

HostResult call_fd_close(Call& call) {
  return give(call, call.context.handles().close(call.u32_at(0)));
}

HostResult call_fd_renumber(Call& call) {
  // What WASI can't close it can't replace either.
  const cap::Capability* const target = call.context.handles().find(call.u32_at(1));
  if (target == nullptr ||
      !cap::is_one_of(target->object->kind(), Kind::stream | Kind::file | Kind::directory |
                                                  Kind::listener | Kind::datagrams)) {
    return give(call, Errno::badf);
  }
  return give(call, call.context.handles().renumber(call.u32_at(0), call.u32_at(1)));
}

HostResult call_fd_prestat_get(Call& call) {
  if (!call.descriptor->preopen) return give(call, Errno::badf);
  const auto to = call.context.memory(call.u32_at(1), 8);
  if (!to) return give(call, Errno::fault);
  store<u32>(*to, 0, 0);  // a directory, the only kind
  store<u32>(*to, 4, static_cast<u32>(call.descriptor->preopen->size()));
  return give(call, Errno::success);
}

HostResult call_fd_prestat_dir_name(Call& call) {
  if (!call.descriptor->preopen) return give(call, Errno::notdir);
  const std::string& name = *call.descriptor->preopen;
  const auto to = bytes_at(call.context, call.u32_at(1), call.u32_at(2));
  if (!to) return give(call, Errno::fault);
  if (to->size() < name.size()) return give(call, Errno::nametoolong);
  if (!name.empty()) memcpy(to->data(), name.data(), name.size());
  return give(call, Errno::success);
}

HostResult call_fd_fdstat_get(Call& call) {
  const auto to = call.context.memory(call.u32_at(1), 24);
  if (!to) return give(call, Errno::fault);
  memset(to->data(), 0, to->size());
  store<u8>(*to, 0, filetype_of(*call.context.capability().object));
  store<u16>(*to, 2, static_cast<u16>(call.descriptor->flags));
  store<u64>(*to, 8, call.descriptor->base);
  store<u64>(*to, 16, call.descriptor->inheriting);
  return give(call, Errno::success);
}

HostResult call_fd_fdstat_set_flags(Call& call) {
  const u32 flags = call.u32_at(1);
  if ((flags & ~flags_all) != 0) return give(call, Errno::inval);
  const bool appends = only_appends(call.context.capability().rights);
  if (appends && (flags & flag_append) == 0) return give(call, Errno::notcapable);
  call.descriptor->flags = flags;
  return give(call, Errno::success);
}

HostResult call_fd_fdstat_set_rights(Call& call) {
  Descriptor& descriptor = *call.descriptor;
  const Rights base = call.u64_at(1);
  const Rights inheriting = call.u64_at(2);
  if ((base & ~descriptor.base) != 0 || (inheriting & ~descriptor.inheriting) != 0) {
    return give(call, Errno::notcapable);
  }
  descriptor.base = base;
  descriptor.inheriting = inheriting;
  cap::Capability* const capability = call.context.handles().find(call.u32_at(0));
  capability->rights &= atoll_rights(call.kind(), base, inheriting);
  return give(call, Errno::success);
}

HostResult call_fd_filestat_get(Call& call) {
  const u32 address = call.u32_at(1);
  if (!call.context.memory(address, filestat_size(call.edition))) return give(call, Errno::fault);
  return host::attempt_or_work(
      call.context,
      [object = call.object<cap::Object>()](Wait wait) { return stat_of(*object, wait); },
      [address, edition = call.edition](HostContext& later, const Outcome<vfs::Stat>& outcome) {
        return put_filestat(later, edition, address, outcome);
      });
}

HostResult call_fd_filestat_set_size(Call& call) {
  return attempt_errno(call.context, [file = call.object<vfs::File>(), size = call.u64_at(1)](
                                         Wait wait) { return file->truncate(size, wait); });
}

HostResult call_fd_filestat_set_times(Call& call) {
  const Outcome<vfs::Times> times = times_from(call.u64_at(1), call.u64_at(2), call.u32_at(3));
  if (const Errno* error = error_of(times)) return give(call, *error);
  return attempt_errno(call.context, [object = call.object<cap::Object>(),
                                      times = std::get<vfs::Times>(times)](Wait wait) {
    if (object->kind() == Kind::directory) {
      return static_cast<vfs::Directory&>(*object).set_times(".", true, times, wait);
    }
    return static_cast<vfs::File&>(*object).set_times(times, wait);
  });
}

HostResult call_fd_advise(Call& call) {
  constexpr u32 last = static_cast<u32>(vfs::Advice::no_reuse);
  if (call.u32_at(3) > last) return give(call, Errno::inval);
  const auto advice = static_cast<vfs::Advice>(call.u32_at(3));
  return attempt_errno(call.context,
                       [file = call.object<vfs::File>(), at = call.u64_at(1), size = call.u64_at(2),
                        advice](Wait wait) { return file->advise(at, size, advice, wait); });
}

HostResult call_fd_allocate(Call& call) {
  return attempt_errno(
      call.context, [file = call.object<vfs::File>(), at = call.u64_at(1),
                     size = call.u64_at(2)](Wait wait) { return file->allocate(at, size, wait); });
}

HostResult call_fd_datasync(Call& call) { return sync(call, vfs::Durability::data); }
HostResult call_fd_sync(Call& call) { return sync(call, vfs::Durability::all); }

}  // namespace atollvm::wasi
