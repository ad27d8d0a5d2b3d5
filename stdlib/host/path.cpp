// Calls on paths. Each finds the directory behind the path, with the rights that the handle and the
// mount both give, and leaves the rest of the path to it.
#include <string.h>

#include "stdlib/host/stream.hpp"
#include "stdlib/host/support.hpp"
#include "stdlib/vfs/watch.hpp"

namespace atollvm::host {
namespace {

using vfs::Outcome;
using vfs::Wait;

struct Place {
  std::shared_ptr<vfs::Directory> directory;
  std::string path;
  cap::Rights rights = cap::rights_none;
  bool holds_mounts = false;  // as in NameSpace::Resolved
};

// The place that the path of `size` bytes at `address` names below a capability of the kinds
// directory or name space. Errors: notcapable when it does not give all of `needed`.
Outcome<Place> find(const HostContext& context, const cap::Capability& capability, u32 address,
                    u32 size, cap::Rights needed) {
  const auto bytes = context.memory(address, size);
  if (!bytes) return Errno::fault;
  const std::string_view path(reinterpret_cast<const char*>(bytes->data()), bytes->size());
  Place place;
  if (capability.object->kind() == Kind::name_space) {
    Outcome<vfs::NameSpace::Resolved> resolved =
        static_cast<const vfs::NameSpace&>(*capability.object).resolve(path);
    if (const Errno* error = error_of(resolved)) return *error;
    auto& found = std::get<vfs::NameSpace::Resolved>(resolved);
    place = {std::move(found.directory), std::move(found.path), found.rights & capability.rights,
             found.holds_mounts};
  } else {
    // Checked before copying: the backend does the rest.
    if (path.size() > vfs::max_path) return Errno::nametoolong;
    place = {std::static_pointer_cast<vfs::Directory>(capability.object), std::string(path),
             capability.rights};
  }
  if ((place.rights & needed) != needed) return Errno::notcapable;
  place.directory = as_seen(context, std::move(place.directory));
  return place;
}

// The same for the handle of parameter 0 and the path of parameters 1 and 2.
Outcome<Place> find(const HostContext& context, cap::Rights needed) {
  return find(context, context.capability(), context.arg_u32(1), context.arg_u32(2), needed);
}

// Whether to follow a link at the end; nothing when there are other flags.
std::optional<bool> follow_flag(u32 flags) {
  if ((flags & ~vfs::open_nofollow) != 0) return std::nullopt;
  return flags == 0;
}

// A call on one path that gives only an error.
template <class Attempt>
HostResult path_call(HostContext& context, cap::Rights needed, Attempt attempt) {
  Outcome<Place> found = find(context, needed);
  if (const Errno* error = error_of(found)) return context.error32(*error);
  return attempt_errno(
      context,
      [place = std::get<Place>(std::move(found)), attempt](Wait wait) {
        return attempt(*place.directory, place.path, wait);
      },
      Blocks::briefly);
}

// A call on two paths: that of parameters 0 to 2, and that of 3 to 5, which may not give more
// rights: else a file could be brought to where more may be done with it.
template <class Attempt>
HostResult call_on_two(HostContext& context, cap::Rights needed, cap::Rights to_needed,
                       Attempt attempt) {
  Outcome<Place> from = find(context, needed);
  if (const Errno* error = error_of(from)) return context.error32(*error);
  const auto handle =
      context.handles().find(context.arg_u32(3), Kind::name_space | Kind::directory, to_needed);
  if (const Errno* error = std::get_if<Errno>(&handle)) return context.error32(*error);
  Outcome<Place> to = find(context, *std::get<cap::Capability*>(handle), context.arg_u32(4),
                           context.arg_u32(5), to_needed);
  if (const Errno* error = error_of(to)) return context.error32(*error);
  Place source = std::get<Place>(std::move(from));
  Place target = std::get<Place>(std::move(to));
  if ((target.rights & ~source.rights) != 0) return context.error32(Errno::notcapable);
  return attempt_errno(
      context,
      [source = std::move(source), target = std::move(target), attempt](Wait wait) {
        return attempt(source, target, wait);
      },
      Blocks::briefly);
}

// Of a handle that the process has: another one.
HostResult copy_own_handle(HostContext& context, const cap::Object& opened, cap::Rights rights,
                           const std::shared_ptr<const cap::Revocation>& through) {
  const Outcome<cap::Capability*> own = own_handle(context, opened);
  if (const Errno* error = error_of(own)) return context.error32(*error);
  const cap::Capability& capability = *std::get<cap::Capability*>(own);
  if ((rights & ~capability.rights) != 0) return context.error32(Errno::notcapable);
  auto revocation = cap::Revocation::both(capability.revocation, through);
  if (!revocation) return context.error32(Errno::mlink);
  return give_handle(context,
                     context.handles().insert({capability.object, rights, *std::move(revocation)}));
}

class WatchStream final : public Stream {
 public:
  WatchStream(std::shared_ptr<vfs::Watch> watch, std::optional<cap::LastingCharge> charge)
      : charge_(std::move(charge)), watch_(std::move(watch)) {}

  Outcome<u32> read(std::span<u8> bytes, Wait) override { return watch_->read(bytes); }
  [[nodiscard]] std::optional<int> wait_fd() const override { return watch_->wait_fd(); }

 private:
  const std::optional<cap::LastingCharge> charge_;
  std::shared_ptr<vfs::Watch> watch_;
};

// Entries as guests read them (see DirEntry in constants.cpp), as many as fit.
HostResult put_entries(HostContext& context, u32 address, u32 size,
                       const Outcome<std::vector<vfs::Entry>>& outcome) {
  if (const Errno* error = error_of(outcome)) return context.error32(*error);
  const auto to = context.memory(address, size);
  if (!to) return context.error32(Errno::fault);
  const auto& entries = std::get<std::vector<vfs::Entry>>(outcome);
  constexpr usize header = 24;
  usize used = 0;
  for (const vfs::Entry& entry : entries) {
    if (entry.name.size() > to->size() || to->size() - entry.name.size() < used + header) break;
    u8* const at = to->data() + used;
    const u32 name_size = static_cast<u32>(entry.name.size());
    memset(at, 0, header);
    memcpy(at, &entry.next, 8);
    memcpy(at + 8, &entry.inode, 8);
    memcpy(at + 16, &name_size, 4);
    at[20] = static_cast<u8>(entry.type);
    memcpy(at + header, entry.name.data(), name_size);
    used += header + name_size;
  }
  if (used == 0 && !entries.empty()) return context.error32(Errno::range);
  return context.result_i32(static_cast<i32>(used));
}

// A handle to a name space with less in it than that of parameter 0, by the path of 1 and 2.
template <class Make>
HostResult give_less(HostContext& context, Make make) {
  const auto bytes = context.memory(context.arg_u32(1), context.arg_u32(2));
  if (!bytes) return context.error32(Errno::fault);
  const cap::Capability& from = context.capability();
  const auto less =
      make(static_cast<const vfs::NameSpace&>(*from.object),
           std::string_view(reinterpret_cast<const char*>(bytes->data()), bytes->size()));
  if (const Errno* error = error_of(less)) return context.error32(*error);
  return give_handle(context,
                     context.handles().insert({std::get<std::shared_ptr<vfs::NameSpace>>(less),
                                               from.rights, from.revocation}));
}

}  // namespace

HostResult call_open(Environment&, HostContext& context) {
  const u32 flags = context.arg_u32(3);
  const cap::Rights rights = context.arg_u32(4);
  cap::Rights needed = cap::right_open | rights;
  if ((flags & vfs::open_create) != 0) needed |= cap::right_create;
  if ((flags & vfs::open_truncate) != 0) needed |= cap::right_truncate;
  Outcome<Place> found = find(context, needed);
  if (const Errno* error = error_of(found)) return context.error32(*error);
  vfs::Access access;
  if ((flags & vfs::open_directory) == 0) {
    access.read = (rights & (cap::right_read | cap::right_load)) != 0;
    access.write = (rights & (cap::right_write | cap::right_append | cap::right_truncate)) != 0;
  }
  using Opened = Outcome<std::shared_ptr<cap::Object>>;
  const auto attempt = [place = std::get<Place>(std::move(found)), flags, access](Wait wait) {
    return place.directory->open(place.path, flags, access, wait);
  };
  const auto done = [rights, revocation = context.capability().revocation](HostContext& later,
                                                                           const Opened& opened) {
    if (const Errno* error = error_of(opened)) return later.error32(*error);
    const auto& object = std::get<std::shared_ptr<cap::Object>>(opened);
    if (is_own_handle(*object)) return copy_own_handle(later, *object, rights, revocation);
    return give_handle(later, later.handles().insert({object, rights, revocation}));
  };
  return attempt_or_work(context, attempt, done, Blocks::briefly);
}

HostResult call_name_space_hide(Environment&, HostContext& context) {
  return give_less(context, [](const vfs::NameSpace& names, std::string_view path) {
    return names.without(path);
  });
}

HostResult call_name_space_attenuate(Environment&, HostContext& context) {
  return give_less(
      context, [rights = context.arg_u32(3)](const vfs::NameSpace& names, std::string_view path) {
        return names.attenuated(path, rights);
      });
}

HostResult call_stat_at(Environment&, HostContext& context) {
  const u32 address = context.arg_u32(4);
  if (!has_stat_room(context, address)) return context.error32(Errno::fault);
  const std::optional<bool> follow = follow_flag(context.arg_u32(3));
  if (!follow) return context.error32(Errno::inval);
  Outcome<Place> found = find(context, cap::right_stat);
  if (const Errno* error = error_of(found)) return context.error32(*error);
  return attempt_or_work(
      context,
      [place = std::get<Place>(std::move(found)), follow = *follow](Wait wait) {
        return place.directory->stat(place.path, follow, wait);
      },
      [address](HostContext& later, const Outcome<vfs::Stat>& outcome) {
        return put_stat(later, address, outcome);
      },
      Blocks::briefly);
}

HostResult call_set_times_at(Environment&, HostContext& context) {
  const std::optional<bool> follow = follow_flag(context.arg_u32(3));
  if (!follow) return context.error32(Errno::inval);
  const vfs::Times times = times_from(context.arg_i64(4), context.arg_i64(5));
  return path_call(
      context, cap::right_times,
      [follow = *follow, times](vfs::Directory& directory, std::string_view path, Wait wait) {
        return directory.set_times(path, follow, times, wait);
      });
}

HostResult call_read_dir(Environment&, HostContext& context) {
  const u32 address = context.arg_u32(2);
  const u32 size = context.arg_u32(3);
  if (!context.memory(address, size)) return context.error32(Errno::fault);
  const auto directory =
      as_seen(context, std::static_pointer_cast<vfs::Directory>(context.capability().object));
  const Share taken = take_io(context, size, nullptr, /*is_whole=*/true);
  if (taken.size() == 0 && size != 0) return context.error32(Errno::dquot);
  const auto list = [directory, cookie = context.arg_u64(1), address, size](HostContext& now,
                                                                            const Share& share) {
    return attempt_or_work(
        now,
        [directory, cookie, most = share.size()](Wait wait) {
          return directory->list(cookie, most, wait);
        },
        [address, size, share](HostContext& later,
                               const Outcome<std::vector<vfs::Entry>>& outcome) {
          const HostResult result = put_entries(later, address, share.size(), outcome);
          const i32 used = later.arg_i32(0);  // the call's result by now
          settle_io(later, share, used < 0 ? 0 : static_cast<u32>(used));
          const bool is_cut = used == -static_cast<i32>(Errno::range) && share.size() < size;
          return is_cut ? later.error32(Errno::dquot) : result;
        });
  };
  return with_share(context, taken, list);
}

HostResult call_watch_at(Environment&, HostContext& context) {
  const auto bytes = context.memory(context.arg_u32(1), context.arg_u32(2));
  if (!bytes) return context.error32(Errno::fault);
  const bool is_itself = context.capability().object->kind() == Kind::directory &&
                         bytes->size() == 1 && bytes->front() == '.';
  Outcome<Place> found = find(context, cap::right_list | (is_itself ? 0 : cap::right_open));
  if (const Errno* error = error_of(found)) return context.error32(*error);
  return attempt_or_work(
      context,
      [place = std::get<Place>(std::move(found))](Wait wait) {
        return place.directory->watch(place.path, wait);
      },
      [revocation = context.capability().revocation](
          HostContext& later, const Outcome<std::shared_ptr<vfs::Watch>>& made) {
        if (const Errno* error = error_of(made)) return later.error32(*error);
        // For the most that it can hold.
        std::optional<cap::LastingCharge> charge;
        if (auto account = account_of(later)) {
          charge.emplace(std::move(account), vfs::watch_bytes);
          if (!*charge) return later.error32(Errno::nomem);
        }
        auto stream = std::make_shared<WatchStream>(std::get<std::shared_ptr<vfs::Watch>>(made),
                                                    std::move(charge));
        return give_handle(
            later, later.handles().insert({std::move(stream), cap::right_read, revocation}));
      },
      Blocks::briefly);
}

HostResult call_mkdir_at(Environment&, HostContext& context) {
  return path_call(context, cap::right_create,
                   [](vfs::Directory& directory, std::string_view path, Wait wait) {
                     return directory.make_directory(path, wait);
                   });
}

HostResult call_remove_at(Environment&, HostContext& context) {
  return path_call(context, cap::right_remove,
                   [](vfs::Directory& directory, std::string_view path, Wait wait) {
                     return directory.remove_file(path, wait);
                   });
}

HostResult call_rmdir_at(Environment&, HostContext& context) {
  return path_call(context, cap::right_remove,
                   [](vfs::Directory& directory, std::string_view path, Wait wait) {
                     return directory.remove_directory(path, wait);
                   });
}

HostResult call_rename_at(Environment&, HostContext& context) {
  return call_on_two(context, cap::right_remove, cap::right_create | cap::right_remove,
                     [](const Place& from, const Place& to, Wait wait) {
                       // Names below it would be others: what they hide would be seen.
                       if (from.holds_mounts) return Errno::busy;
                       return from.directory->rename(from.path, *to.directory, to.path, wait);
                     });
}

HostResult call_link_at(Environment&, HostContext& context) {
  return call_on_two(context, cap::right_link, cap::right_create | cap::right_link,
                     [](const Place& from, const Place& to, Wait wait) {
                       return from.directory->link(from.path, *to.directory, to.path, wait);
                     });
}

HostResult call_symlink_at(Environment&, HostContext& context) {
  const auto bytes = context.memory(context.arg_u32(3), context.arg_u32(4));
  if (!bytes) return context.error32(Errno::fault);
  if (bytes->size() > vfs::max_path) return context.error32(Errno::nametoolong);
  return path_call(context, cap::right_create | cap::right_link,
                   [target = std::string(bytes->begin(), bytes->end())](
                       vfs::Directory& directory, std::string_view path, Wait wait) {
                     return directory.make_link(target, path, wait);
                   });
}

HostResult call_read_link_at(Environment&, HostContext& context) {
  const u32 address = context.arg_u32(3);
  const u32 size = context.arg_u32(4);
  if (!context.memory(address, size)) return context.error32(Errno::fault);
  Outcome<Place> found = find(context, cap::right_stat);
  if (const Errno* error = error_of(found)) return context.error32(*error);
  return attempt_or_work(
      context,
      [place = std::get<Place>(std::move(found))](Wait wait) {
        return place.directory->read_link(place.path, wait);
      },
      [address, size](HostContext& later, const Outcome<std::string>& outcome) {
        if (const Errno* error = error_of(outcome)) return later.error32(*error);
        const auto to = later.memory(address, size);
        if (!to) return later.error32(Errno::fault);
        const auto& text = std::get<std::string>(outcome);
        if (text.size() > to->size()) return later.error32(Errno::range);
        if (!text.empty()) memcpy(to->data(), text.data(), text.size());
        return later.result_i32(static_cast<i32>(text.size()));
      },
      Blocks::briefly);
}

}  // namespace atollvm::host
