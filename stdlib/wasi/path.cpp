// Calls on paths. Each path is relative to a directory's descriptor and stays below it: the
// directory's backend sees to that.
#include <algorithm>

#include "stdlib/wasi/support.hpp"

namespace atollvm::wasi {
namespace {

constexpr u32 lookup_follow = 1;

// Whether to follow a link at the end of a path, from lookupflags.
std::optional<bool> follows(u32 flags) {
  if ((flags & ~lookup_follow) != 0) return std::nullopt;
  return flags != 0;
}

// The directory of the call, as its process sees it.
std::shared_ptr<vfs::Directory> directory_of(const Call& call) {
  return host::as_seen(call.context, call.object<vfs::Directory>());
}

// A call on one path that gives only an error.
template <class Attempt>
HostResult path_call(Call& call, u32 path_index, Attempt attempt) {
  Outcome<std::string> path = path_at(call, path_index);
  if (const Errno* error = error_of(path)) return give(call, *error);
  return attempt_errno(
      call.context,
      [directory = directory_of(call), path = std::get<std::string>(std::move(path)),
       attempt](Wait wait) { return attempt(*directory, path, wait); },
      host::Blocks::briefly);
}

struct Place {
  std::shared_ptr<vfs::Directory> directory;
  std::string path;
};

// What may be done with something by its name.
constexpr Rights by_name = right_path_open | right_path_readlink | right_path_filestat_get |
                           right_path_filestat_set_size | right_path_filestat_set_times |
                           right_path_link_source | right_path_rename_source |
                           right_path_unlink_file | right_path_remove_directory;

// The second directory and path of a call that moves or links something there. Moving may not add
// to what can be done with it. Errors: badf, notdir, notcapable, and those of paths.
Outcome<Place> target_of(Call& call, u32 handle_index, Rights needed) {
  const cap::Handle handle = call.u32_at(handle_index);
  const auto found = call.context.handles().find(handle, Kind::directory, cap::rights_none);
  if (const Errno* error = std::get_if<Errno>(&found)) {
    const bool is_open = call.context.handles().find(handle) != nullptr;
    return *error == Errno::badf && is_open ? Errno::notdir : *error;
  }
  cap::Capability& capability = *std::get<cap::Capability*>(found);
  const Descriptor& to = descriptor_of(capability);
  const Descriptor& from = *call.descriptor;
  if ((to.base & needed) != needed) return Errno::notcapable;
  if ((to.inheriting & ~from.inheriting) != 0) return Errno::notcapable;
  if ((to.base & by_name & ~from.base) != 0) return Errno::notcapable;
  const cap::Rights source = call.context.capability().rights;
  if ((capability.rights & ~source & unsaid_rights) != 0) return Errno::notcapable;
  Outcome<std::string> path = path_at(call, handle_index + 1);
  if (const Errno* error = error_of(path)) return *error;
  return Place{
      host::as_seen(call.context, std::static_pointer_cast<vfs::Directory>(capability.object)),
      std::get<std::string>(std::move(path))};
}

// oflags.
constexpr u32 open_create = 1;
constexpr u32 open_directory = 2;
constexpr u32 open_exclusive = 4;
constexpr u32 open_truncate = 8;

struct Opening {
  std::shared_ptr<vfs::Directory> directory;
  std::string path;
  u32 flags = 0;  // vfs::open_
  vfs::Access access{};
  Rights base = 0;
  Rights inheriting = 0;
  cap::Rights most = cap::rights_none;  // of those that WASI can't say
  u32 descriptor_flags = 0;
};

// What the rights that are asked for need of the file. Only reading, writing and flushing are
// refused when the directory does not give them; others are left out, because many programs ask
// for all there are.
Errno set_access(Opening& opening, const Descriptor& parent, Rights wanted) {
  Rights needed = wanted & (right_fd_read | right_fd_write);
  if ((opening.descriptor_flags & (flag_sync | flag_rsync)) != 0) needed |= right_fd_sync;
  if ((needed & ~parent.inheriting) != 0) return Errno::notcapable;
  constexpr Rights any_sync = right_fd_sync | right_fd_datasync;
  if ((opening.descriptor_flags & flag_dsync) != 0 && (parent.inheriting & any_sync) == 0) {
    return Errno::notcapable;
  }
  opening.base = wanted & parent.inheriting;
  opening.access.read = (opening.base & right_fd_read) != 0;
  opening.access.write = (opening.base & right_fd_write) != 0;
  const bool is_file = (opening.flags & vfs::open_directory) == 0;
  if (is_file && opening.access.write && only_appends(opening.most) &&
      (opening.descriptor_flags & flag_append) == 0) {
    return Errno::notcapable;
  }
  // Programs that only read ask for these, too: they don't make the file open for writing.
  if (!opening.access.write) opening.base &= ~(right_fd_allocate | right_fd_filestat_set_size);
  return Errno::success;
}

// What was opened, as the opening asked for it. Of one of the process's own handles what that may,
// at most.
Outcome<cap::Capability> opened_as(HostContext& context, std::shared_ptr<cap::Object> opened,
                                   const Opening& opening,
                                   const std::shared_ptr<const cap::Revocation>& through) {
  Rights base = opening.base;
  cap::Rights most = opening.most;
  std::shared_ptr<const cap::Revocation> revocation = through;
  if (host::is_own_handle(*opened)) {
    const Outcome<cap::Capability*> own = host::own_handle(context, *opened);
    if (const Errno* error = error_of(own)) return *error;
    cap::Capability& capability = *std::get<cap::Capability*>(own);
    const Rights allowed = descriptor_of(capability).base;
    if ((base & ~allowed & (right_fd_read | right_fd_write)) != 0) return Errno::notcapable;
    base &= allowed;
    most &= capability.rights;
    auto both = cap::Revocation::both(capability.revocation, through);
    if (!both) return Errno::mlink;
    revocation = *std::move(both);
    opened = capability.object;
  }
  return make_capability(std::move(opened), base, opening.inheriting, opening.descriptor_flags,
                         std::move(revocation), most);
}

}  // namespace

HostResult call_path_open(Call& call) {
  const Descriptor& parent = *call.descriptor;
  const u32 count_at = call.u32_at(8);
  if (!call.context.memory(count_at, 4)) return give(call, Errno::fault);
  Outcome<std::string> path = path_at(call, 2);
  if (const Errno* error = error_of(path)) return give(call, *error);
  const std::optional<bool> follow = follows(call.u32_at(1));
  const u32 oflags = call.u32_at(4);
  constexpr u32 oflags_all = open_create | open_directory | open_exclusive | open_truncate;
  Opening opening{directory_of(call), std::get<std::string>(std::move(path))};
  opening.descriptor_flags = call.u32_at(7);
  opening.most = call.context.capability().rights;
  if (!follow || (oflags & ~oflags_all) != 0) return give(call, Errno::inval);
  if ((opening.descriptor_flags & ~flags_all) != 0) return give(call, Errno::inval);

  Rights needed = 0;
  if ((oflags & open_create) != 0) {
    needed |= right_path_create_file;
    opening.flags |= vfs::open_create;
  }
  if ((oflags & open_truncate) != 0) {
    needed |= right_path_filestat_set_size;
    opening.flags |= vfs::open_truncate;
  }
  if ((oflags & open_directory) != 0) opening.flags |= vfs::open_directory;
  if ((oflags & open_exclusive) != 0) opening.flags |= vfs::open_exclusive;
  if (!*follow) opening.flags |= vfs::open_nofollow;
  if ((parent.base & needed) != needed) return give(call, Errno::notcapable);
  if (const Errno error = set_access(opening, parent, call.u64_at(5)); error != Errno::success) {
    return give(call, error);
  }
  opening.inheriting = call.u64_at(6) & parent.inheriting;

  using Opened = Outcome<std::shared_ptr<cap::Object>>;
  const auto done = [opening, count_at, revocation = call.context.capability().revocation](
                        HostContext& later, const Opened& opened) {
    if (const Errno* error = error_of(opened)) return give(later, *error);
    Outcome<cap::Capability> capability =
        opened_as(later, std::get<std::shared_ptr<cap::Object>>(opened), opening, revocation);
    if (const Errno* error = error_of(capability)) return give(later, *error);
    const auto made = later.handles().insert(std::get<cap::Capability>(std::move(capability)));
    if (const Errno* error = std::get_if<Errno>(&made)) return give(later, *error);
    return give_number<u32>(later, count_at, std::get<cap::Handle>(made));
  };
  return host::attempt_or_work(
      call.context,
      [opening](Wait wait) {
        return opening.directory->open(opening.path, opening.flags, opening.access, wait);
      },
      done, host::Blocks::briefly);
}

HostResult call_path_create_directory(Call& call) {
  return path_call(call, 1, [](vfs::Directory& directory, std::string_view path, Wait wait) {
    return directory.make_directory(path, wait);
  });
}

HostResult call_path_remove_directory(Call& call) {
  return path_call(call, 1, [](vfs::Directory& directory, std::string_view path, Wait wait) {
    return directory.remove_directory(path, wait);
  });
}

HostResult call_path_unlink_file(Call& call) {
  return path_call(call, 1, [](vfs::Directory& directory, std::string_view path, Wait wait) {
    return directory.remove_file(path, wait);
  });
}

HostResult call_path_filestat_get(Call& call) {
  const u32 address = call.u32_at(4);
  if (!call.context.memory(address, filestat_size(call.edition))) return give(call, Errno::fault);
  Outcome<std::string> path = path_at(call, 2);
  if (const Errno* error = error_of(path)) return give(call, *error);
  const std::optional<bool> follow = follows(call.u32_at(1));
  if (!follow) return give(call, Errno::inval);
  return host::attempt_or_work(
      call.context,
      [directory = directory_of(call), path = std::get<std::string>(std::move(path)),
       follow = *follow](Wait wait) { return directory->stat(path, follow, wait); },
      [address, edition = call.edition](HostContext& later, const Outcome<vfs::Stat>& outcome) {
        return put_filestat(later, edition, address, outcome);
      },
      host::Blocks::briefly);
}

HostResult call_path_filestat_set_times(Call& call) {
  const std::optional<bool> follow = follows(call.u32_at(1));
  if (!follow) return give(call, Errno::inval);
  const Outcome<vfs::Times> times = times_from(call.u64_at(4), call.u64_at(5), call.u32_at(6));
  if (const Errno* error = error_of(times)) return give(call, *error);
  return path_call(call, 2,
                   [follow = *follow, times = std::get<vfs::Times>(times)](
                       vfs::Directory& directory, std::string_view path, Wait wait) {
                     return directory.set_times(path, follow, times, wait);
                   });
}

HostResult call_path_link(Call& call) {
  // A link to what another link leads to is not offered.
  if (call.u32_at(1) != 0) return give(call, Errno::inval);
  Outcome<Place> target = target_of(call, 4, right_path_link_target);
  if (const Errno* error = error_of(target)) return give(call, *error);
  return path_call(call, 2,
                   [to = std::get<Place>(std::move(target))](vfs::Directory& directory,
                                                             std::string_view path, Wait wait) {
                     return directory.link(path, *to.directory, to.path, wait);
                   });
}

HostResult call_path_rename(Call& call) {
  Outcome<Place> target = target_of(call, 3, right_path_rename_target);
  if (const Errno* error = error_of(target)) return give(call, *error);
  return path_call(call, 1,
                   [to = std::get<Place>(std::move(target))](vfs::Directory& directory,
                                                             std::string_view path, Wait wait) {
                     return directory.rename(path, *to.directory, to.path, wait);
                   });
}

HostResult call_path_symlink(Call& call) {
  Outcome<std::string> text = path_at(call, 0);
  if (const Errno* error = error_of(text)) return give(call, *error);
  return path_call(call, 3,
                   [text = std::get<std::string>(std::move(text))](
                       vfs::Directory& directory, std::string_view path, Wait wait) {
                     return directory.make_link(text, path, wait);
                   });
}

HostResult call_path_readlink(Call& call) {
  const u32 address = call.u32_at(3);
  const u32 size = call.u32_at(4);
  const u32 count_at = call.u32_at(5);
  if (!bytes_at(call.context, address, size)) return give(call, Errno::fault);
  if (!call.context.memory(count_at, 4)) return give(call, Errno::fault);
  Outcome<std::string> path = path_at(call, 1);
  if (const Errno* error = error_of(path)) return give(call, *error);
  return host::attempt_or_work(
      call.context,
      [directory = directory_of(call), path = std::get<std::string>(std::move(path))](Wait wait) {
        return directory->read_link(path, wait);
      },
      [address, size, count_at](HostContext& later, const Outcome<std::string>& outcome) {
        if (const Errno* error = error_of(outcome)) return give(later, *error);
        const auto to = bytes_at(later, address, size);
        if (!to) return give(later, Errno::fault);
        const auto& text = std::get<std::string>(outcome);
        const u32 used = static_cast<u32>(std::min(text.size(), to->size()));
        if (used != 0) memcpy(to->data(), text.data(), used);
        return give_number<u32>(later, count_at, used);
      },
      host::Blocks::briefly);
}

}  // namespace atollvm::wasi
