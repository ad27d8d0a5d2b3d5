#include "stdlib/vfs/volume.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "stdlib/vfs/volume_store.hpp"

namespace atollvm::vfs {
namespace {

constexpr i64 most_volume_links = 65'000;
// Directories above one that a directory is moved to: all are looked at.
constexpr u32 most_volume_depth = 10'000;

class VolumeDirectory final : public Directory {
 public:
  explicit VolumeDirectory(std::shared_ptr<VolumeNode> node)
      : node_(std::move(node)), store_(*node_->store) {}

  Outcome<std::shared_ptr<cap::Object>> open(std::string_view path, u32 flags, Access access,
                                             Wait wait) override;
  Outcome<Stat> stat(std::string_view path, bool follow, Wait wait) override;
  Errno set_times(std::string_view path, bool follow, const Times& times, Wait wait) override;
  Outcome<std::vector<Entry>> list(u64 cookie, u32 bytes, Wait wait) override;
  Errno make_directory(std::string_view path, Wait wait) override;
  Errno remove_file(std::string_view path, Wait wait) override;
  Errno remove_directory(std::string_view path, Wait wait) override;
  Errno rename(std::string_view path, Directory& to, std::string_view to_path, Wait wait) override;
  Errno link(std::string_view path, Directory& to, std::string_view to_path, Wait wait) override;
  Errno make_link(std::string_view target, std::string_view path, Wait wait) override;
  Outcome<std::string> read_link(std::string_view path, Wait wait) override;
  Errno sync(Wait wait) override { return wait == Wait::never ? Errno::again : store_.sync(); }
  Outcome<std::shared_ptr<Watch>> watch(std::string_view path, Wait wait) override;
  [[nodiscard]] std::string_view type_name() const override { return "volume"; }
  [[nodiscard]] const void* file_system() const override { return &store_; }
  [[nodiscard]] VolumeStore& store() const { return store_; }

 private:
  Outcome<VolumePlace> find(std::string_view path, bool follow);
  Outcome<VolumeInode> find_node(std::string_view path, bool follow);
  Outcome<VolumePlace> find_name(std::string_view path, Errno dots);
  Errno move(VolumePlace& source, VolumePlace& place);
  std::optional<bool> is_below(const VolumeInode& folder, i64 of);

  // A name that a call works on, for those who watch; found by the call, told of when it is done.
  struct Named {
    Watches::Id folder;
    std::string name;
    Watches::Id node{};
    bool is_folder = false;
    [[nodiscard]] bool is_set() const { return !name.empty(); }
  };
  static Named named(const VolumePlace& place);
  static void tell_created(Watches& watches, const Named& what) {
    watches.created(what.folder, what.name);
  }
  // Does `work` on the place that `path` names, then tells those who watch. `dots`: the error of a
  // path that ends with `.` or `..`.
  template <class Work, class Tell>
  Errno change_name(std::string_view path, Errno dots, u64 pages, const Work& work,
                    const Tell& tell);

  const std::shared_ptr<VolumeNode> node_;
  VolumeStore& store_;
  // Entries that were made since the stream began are not in it: who makes one for each that he
  // reads comes to an end.
  std::atomic<u64> end_{static_cast<u64>(INT64_MAX)};
};

VolumeDirectory::Named VolumeDirectory::named(const VolumePlace& place) {
  if (!place.folder) return {};
  Named result{watch_id(place.folder->id), place.name};
  if (place.node) {
    result.node = watch_id(place.node->id);
    result.is_folder = place.node->type == FileType::directory;
  }
  return result;
}

bool is_folder(const VolumePlace& place) {
  return place.node && place.node->type == FileType::directory;
}
// What is wrong with an existing name that must be one of a directory.
Errno check_existing(const VolumePlace& place, bool must_be_directory) {
  if (!place.node) return Errno::noent;
  return must_be_directory && !is_folder(place) ? Errno::notdir : Errno::success;
}
// And with one that must not be there.
Errno check_free(const VolumePlace& place) {
  if (place.must_be_directory) {
    if (const Errno error = check_existing(place, true); error != Errno::success) return error;
  }
  return place.node ? Errno::exist : Errno::success;
}

Outcome<VolumePlace> VolumeDirectory::find(std::string_view path, bool follow) {
  const auto start = store_.inode(node_->id);
  if (!start || start->type != FileType::directory) return Errno::io;
  return walk_in(store_, *start, path, follow);
}

Outcome<VolumeInode> VolumeDirectory::find_node(std::string_view path, bool follow) {
  Outcome<VolumePlace> found = find(path, follow);
  if (const Errno* const error = std::get_if<Errno>(&found)) return *error;
  VolumePlace& place = std::get<VolumePlace>(found);
  if (!place.node) return Errno::noent;
  return *std::move(place.node);
}

// The place of a name itself, which no link at the end leads away from.
Outcome<VolumePlace> VolumeDirectory::find_name(std::string_view path, Errno dots) {
  if (const Errno error = check_path(path); error != Errno::success) return error;
  const LastName last = split_last(path);
  Outcome<VolumePlace> found = find(last.whole(), false);
  VolumePlace* const place = std::get_if<VolumePlace>(&found);
  if (place == nullptr) return found;
  if (!place->folder) return dots;
  place->must_be_directory = last.must_be_directory;
  return found;
}

Outcome<std::shared_ptr<cap::Object>> VolumeDirectory::open(std::string_view path, u32 flags,
                                                            Access access, Wait wait) {
  if (const Errno error = check_open(path, flags, access); error != Errno::success) return error;
  if (wait == Wait::never) return Errno::again;
  const bool create = (flags & open_create) != 0;
  const bool exclusive = (flags & open_exclusive) != 0;
  const bool truncate = (flags & open_truncate) != 0;
  const bool follow = (flags & open_nofollow) == 0 && !exclusive;
  std::shared_ptr<VolumeNode> node;
  VolumeInode inode;
  Named what;
  bool is_new = false;
  std::shared_ptr<Watches::Opened> opened;
  const auto settle = [&]() -> Errno {
    Outcome<VolumePlace> found = find(path, follow);
    if (const Errno* const error = std::get_if<Errno>(&found)) return *error;
    VolumePlace& place = std::get<VolumePlace>(found);
    what = named(place);
    is_new = !place.node;
    if (!place.node) {
      if (!create) return Errno::noent;
      if (place.must_be_directory) return Errno::isdir;
      if (!store_.has_room(volume_name_pages)) return Errno::nospc;
      inode = store_.make(place, FileType::regular);
      return Errno::success;
    }
    if (exclusive) return Errno::exist;
    inode = *std::move(place.node);
    const bool directory = (flags & open_directory) != 0;
    if (inode.type == FileType::link) return directory ? Errno::notdir : Errno::loop;
    if (inode.type == FileType::directory) {
      if (create || truncate || access.write) return Errno::isdir;
      return Errno::success;
    }
    if (directory) return Errno::notdir;
    if (truncate) {
      store_.cut(inode.id, static_cast<u64>(inode.size), 0);
      inode.size = 0;
      inode.modified_ns = inode.changed_ns = volume_now();
      store_.put(inode);
    }
    return Errno::success;
  };
  const auto take = [&] {
    node = store_.node(inode);
    if (truncate) node->size = 0;
    if ((access.write || truncate) && inode.type == FileType::regular) {
      opened = store_.watches().opened(watch_id(inode.id), what.folder, what.name);
    }
    if (is_new) {
      store_.watches().created(what.folder, what.name);
    } else if (truncate) {
      store_.watches().changed(opened);
    }
  };
  Errno error = Errno::success;
  if (create || truncate) {
    error = store_.change(truncate ? volume_frees : volume_keeps, 0, settle, take);
  } else {
    error = store_.read([&] {
      const Errno settled = settle();
      if (settled == Errno::success && !store_.database().has_failed()) take();
      return settled;
    });
  }
  if (error != Errno::success) return error;
  if (inode.type == FileType::directory) return std::make_shared<VolumeDirectory>(node);
  return make_volume_file(std::move(node), access, (flags & open_append) != 0, std::move(opened));
}

Outcome<Stat> VolumeDirectory::stat(std::string_view path, bool follow, Wait wait) {
  if (wait == Wait::never) return Errno::again;
  return store_.read([&]() -> Outcome<Stat> {
    const Outcome<VolumeInode> found = find_node(path, follow);
    if (const Errno* const error = std::get_if<Errno>(&found)) return *error;
    return store_.stat_of(std::get<VolumeInode>(found));
  });
}

Errno VolumeDirectory::set_times(std::string_view path, bool follow, const Times& times,
                                 Wait wait) {
  if (wait == Wait::never) return Errno::again;
  Named what;
  return store_.change(
      volume_keeps, 0,
      [&] {
        Outcome<VolumePlace> found = find(path, follow);
        if (const Errno* const error = std::get_if<Errno>(&found)) return *error;
        VolumePlace& place = std::get<VolumePlace>(found);
        if (!place.node) return Errno::noent;
        what = named(place);
        set_volume_times(*place.node, times);
        store_.put(*place.node);
        return Errno::success;
      },
      [&] {
        if (what.is_set()) store_.watches().changed(what.folder, what.name);
      });
}

Outcome<std::vector<Entry>> VolumeDirectory::list(u64 cookie, u32 bytes, Wait wait) {
  if (cookie > static_cast<u64>(INT64_MAX)) return Errno::inval;
  if (wait == Wait::never) return Errno::again;
  const usize most = std::clamp<u32>(bytes, 4096, 1 << 16);
  return store_.read([&]() -> Outcome<std::vector<Entry>> {
    if (cookie == 0) {
      VolumeRows last(store_.database(), VolumeQuery::last_cookie, {node_->id});
      end_ = last.next() ? static_cast<u64>(last.number(0)) + 1 : 0;
    }
    std::vector<Entry> entries;
    usize used = 0;
    VolumeRows rows(store_.database(), VolumeQuery::list_entries,
                    {node_->id, static_cast<i64>(cookie), static_cast<i64>(end_.load())});
    i64 before = static_cast<i64>(cookie) - 1;
    while (used < most && rows.next()) {
      const i64 at = rows.number(0);
      const i64 inode = rows.number(2);
      const i64 type = rows.number(3);
      std::string name(rows.bytes(1));
      if (at <= before || at < 1 || at == INT64_MAX || inode < 1 || !is_volume_name(name) ||
          (type != 3 && type != 4 && type != 7)) {
        return Errno::io;
      }
      before = at;
      used += 24 + name.size();
      entries.push_back({static_cast<u64>(at) + 1, static_cast<u64>(inode),
                         static_cast<FileType>(type), std::move(name)});
    }
    return entries;
  });
}

template <class Work, class Tell>
Errno VolumeDirectory::change_name(std::string_view path, Errno dots, u64 pages, const Work& work,
                                   const Tell& tell) {
  Named what;
  const auto change = [&] {
    Outcome<VolumePlace> found = find_name(path, dots);
    if (const Errno* const error = std::get_if<Errno>(&found)) return *error;
    VolumePlace& place = std::get<VolumePlace>(found);
    what = named(place);
    return work(place);
  };
  return store_.change(pages, 0, change, [&] { tell(store_.watches(), what); });
}

Errno VolumeDirectory::make_directory(std::string_view path, Wait wait) {
  if (wait == Wait::never) return Errno::again;
  const auto make = [&](VolumePlace& place) {
    if (place.node) return Errno::exist;
    store_.make(place, FileType::directory);
    return Errno::success;
  };
  return change_name(path, Errno::exist, volume_name_pages, make, tell_created);
}

Errno VolumeDirectory::remove_file(std::string_view path, Wait wait) {
  if (wait == Wait::never) return Errno::again;
  const auto remove = [&](VolumePlace& place) {
    const Errno error = check_existing(place, place.must_be_directory);
    if (error != Errno::success) return error;
    if (is_folder(place)) return Errno::isdir;
    store_.remove_entry(place);
    store_.unlink(*std::move(place.node));
    return Errno::success;
  };
  return change_name(path, Errno::isdir, volume_frees, remove,
                     [](Watches& watches, const Named& what) {
                       watches.removed(what.folder, what.name, what.node);
                     });
}

Errno VolumeDirectory::remove_directory(std::string_view path, Wait wait) {
  if (wait == Wait::never) return Errno::again;
  const auto remove = [&](VolumePlace& place) {
    if (const Errno error = check_existing(place, true); error != Errno::success) return error;
    if (place.node->id == volume_root) return Errno::io;  // nothing that is sound names it
    if (!store_.is_empty(*place.node)) return Errno::notempty;
    store_.remove_entry(place);
    store_.unlink(*std::move(place.node));
    return Errno::success;
  };
  return change_name(path, Errno::inval, volume_frees, remove,
                     [](Watches& watches, const Named& what) {
                       watches.removed_folder(what.folder, what.name, what.node);
                     });
}

Errno VolumeDirectory::rename(std::string_view path, Directory& to, std::string_view to_path,
                              Wait wait) {
  if (to.file_system() != file_system()) return Errno::xdev;
  if (wait == Wait::never) return Errno::again;
  Named source;
  Named target;
  return store_.change(
      volume_keeps, 0,
      [&] {
        Outcome<VolumePlace> from = find_name(path, Errno::busy);
        if (const Errno* const error = std::get_if<Errno>(&from)) return *error;
        Outcome<VolumePlace> onto =
            static_cast<VolumeDirectory&>(to).find_name(to_path, Errno::busy);
        if (const Errno* const error = std::get_if<Errno>(&onto)) return *error;
        source = named(std::get<VolumePlace>(from));
        target = named(std::get<VolumePlace>(onto));
        return move(std::get<VolumePlace>(from), std::get<VolumePlace>(onto));
      },
      [&] {
        if (source.node == target.node) return;  // two names of one file: nothing was done
        Watches& watches = store_.watches();
        if (target.node != Watches::Id{}) {
          watches.replaced(target.folder, target.name, target.node);
        }
        watches.renamed(source.folder, source.name, target.folder, target.name, source.node);
      });
}

// Whether `folder` is `of` or lies in it; nothing: too deep to say.
std::optional<bool> VolumeDirectory::is_below(const VolumeInode& folder, i64 of) {
  i64 id = folder.id;
  for (u32 depth = 0; depth < most_volume_depth; ++depth) {
    if (id == of) return true;
    if (id == volume_root) return false;
    const auto above = store_.inode(id);
    if (!above) return false;
    id = above->parent;
  }
  return std::nullopt;
}

// Renames what was found.
Errno VolumeDirectory::move(VolumePlace& source, VolumePlace& place) {
  const bool as_directory = source.must_be_directory || place.must_be_directory;
  if (const Errno error = check_existing(source, as_directory); error != Errno::success) {
    return error;
  }
  if (place.node && source.node->id == place.node->id) return Errno::success;
  if (is_folder(source)) {
    const std::optional<bool> into_itself = is_below(*place.folder, source.node->id);
    if (!into_itself) return Errno::nametoolong;
    if (*into_itself) return Errno::inval;
    if (place.node && !is_folder(place)) return Errno::notdir;
    if (is_folder(place) && !store_.is_empty(*place.node)) return Errno::notempty;
  } else if (is_folder(place)) {
    return Errno::isdir;
  }
  if (place.name.size() > source.name.size() && !store_.has_room(volume_name_pages)) {
    return Errno::nospc;
  }
  VolumeDatabase& database = store_.database();
  const bool same_folder = source.folder->id == place.folder->id;
  const std::string_view old_name = source.name;
  const std::string_view new_name = place.name;
  VolumeInode moved = *source.node;
  // A stream meets the entry once: a name that stays keeps its place, and so does what only gets
  // another name.
  if (place.node) {
    store_.remove_entry(source);
    VolumeRows(database, VolumeQuery::set_entry, {place.folder->id, new_name, moved.id}).run();
    store_.unlink(*place.node);
    // Where one directory takes another's place, the folder has as many as before.
    auto folder = store_.inode(place.folder->id);
    if (!folder) return Errno::io;
    folder->modified_ns = folder->changed_ns = volume_now();
    store_.put(*folder);
  } else if (same_folder) {
    VolumeRows(database, VolumeQuery::rename_entry, {place.folder->id, old_name, new_name}).run();
    VolumeInode folder = *place.folder;
    folder.modified_ns = folder.changed_ns = volume_now();
    store_.put(folder);
  } else {
    store_.remove_entry(source);
    store_.add_entry(*place.folder, new_name, moved);
  }
  if (is_folder(source)) moved.parent = place.folder->id;
  moved.changed_ns = volume_now();
  store_.put(moved);
  return Errno::success;
}

Errno VolumeDirectory::link(std::string_view path, Directory& to, std::string_view to_path,
                            Wait wait) {
  if (to.file_system() != file_system()) return Errno::xdev;
  if (wait == Wait::never) return Errno::again;
  Named what;
  const auto add = [&] {
    Outcome<VolumePlace> from = find_name(path, Errno::perm);
    if (const Errno* const error = std::get_if<Errno>(&from)) return *error;
    Outcome<VolumePlace> onto = static_cast<VolumeDirectory&>(to).find_name(to_path, Errno::exist);
    if (const Errno* const error = std::get_if<Errno>(&onto)) return *error;
    VolumePlace& source = std::get<VolumePlace>(from);
    VolumePlace& place = std::get<VolumePlace>(onto);
    if (const Errno error = check_existing(source, source.must_be_directory);
        error != Errno::success) {
      return error;
    }
    if (const Errno error = check_free(place); error != Errno::success) return error;
    if (is_folder(source)) return Errno::perm;
    VolumeInode inode = *source.node;
    if (inode.links >= most_volume_links) return Errno::mlink;
    ++inode.links;
    inode.changed_ns = volume_now();
    what = named(place);
    store_.put(inode);
    store_.add_entry(*place.folder, place.name, inode);
    return Errno::success;
  };
  return store_.change(volume_name_pages, 0, add, [&] { tell_created(store_.watches(), what); });
}

Errno VolumeDirectory::make_link(std::string_view target, std::string_view path, Wait wait) {
  if (const Errno error = check_path(target); error != Errno::success) return error;
  if (wait == Wait::never) return Errno::again;
  const auto make = [&](VolumePlace& place) {
    if (const Errno error = check_free(place); error != Errno::success) return error;
    store_.make(place, FileType::link, target);
    return Errno::success;
  };
  return change_name(path, Errno::exist, volume_name_pages, make, tell_created);
}

Outcome<std::string> VolumeDirectory::read_link(std::string_view path, Wait wait) {
  if (wait == Wait::never) return Errno::again;
  return store_.read([&]() -> Outcome<std::string> {
    Outcome<VolumeInode> found = find_node(path, false);
    if (const Errno* const error = std::get_if<Errno>(&found)) return *error;
    VolumeInode& inode = std::get<VolumeInode>(found);
    if (inode.type != FileType::link) return Errno::inval;
    return std::move(inode.target);
  });
}

Outcome<std::shared_ptr<Watch>> VolumeDirectory::watch(std::string_view path, Wait wait) {
  if (wait == Wait::never) return Errno::again;
  return store_.read([&]() -> Outcome<std::shared_ptr<Watch>> {
    Outcome<VolumePlace> found = find(path, true);
    if (const Errno* const error = std::get_if<Errno>(&found);
        error != nullptr && *error != Errno::noent && *error != Errno::loop) {
      return *error;
    }
    const auto* const followed = std::get_if<VolumePlace>(&found);
    if (followed != nullptr && is_folder(*followed)) {
      if (followed->node->links == 0) return Errno::noent;
      return store_.watches().add(watch_id(followed->node->id), {}, node_);
    }
    found = find_name(path, Errno::noent);
    if (const Errno* const error = std::get_if<Errno>(&found)) return *error;
    const VolumePlace& place = std::get<VolumePlace>(found);
    if (const Errno error = check_existing(place, place.must_be_directory);
        error != Errno::success) {
      return error;
    }
    return store_.watches().add(watch_id(place.folder->id), place.name, node_);
  });
}

base::Result<VolumeStore*> store_of(Directory& root) {
  auto* const volume = dynamic_cast<VolumeDirectory*>(&root);
  if (volume == nullptr) {
    return base::Error{base::ErrorCode::usage, "", "it is no directory of a volume"};
  }
  return &volume->store();
}

}  // namespace

base::Status create_volume(const std::string& path, u64 size) {
  if (size < least_volume_size || size > most_volume_size) {
    return base::Error{base::ErrorCode::usage, path,
                       fmt::format("a volume has {} to {} bytes, not {}", least_volume_size,
                                   most_volume_size, size)};
  }
  return VolumeDatabase::create(path, size);
}

base::Result<std::shared_ptr<Directory>> open_volume(const std::string& path,
                                                     const VolumeOptions& options) {
  auto store = VolumeStore::open(path, options);
  if (!store) return std::move(store).error();
  VolumeInode root;
  root.id = volume_root;
  return std::shared_ptr<Directory>(std::make_shared<VolumeDirectory>((*store)->node(root)));
}

base::Result<VolumeInfo> volume_info(Directory& root) {
  auto store = store_of(root);
  if (!store) return std::move(store).error();
  return (*store)->info();
}

base::Status grow_volume(Directory& root, u64 size) {
  auto store = store_of(root);
  if (!store) return std::move(store).error();
  return (*store)->grow(size);
}

base::Result<std::vector<VolumeFault>> check_volume(Directory& root) {
  auto store = store_of(root);
  if (!store) return std::move(store).error();
  return (*store)->check();
}

}  // namespace atollvm::vfs
