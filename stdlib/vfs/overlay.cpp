#include <utility>

#include "stdlib/vfs/overlay_objects.hpp"

namespace atollvm::vfs {
namespace {

Errno check_existing(const OverlayPlace& place, bool must_be_directory) {
  if (!place.found.exists) return Errno::noent;
  return must_be_directory && !place.found.is_folder() ? Errno::notdir : Errno::success;
}
Errno check_free(const OverlayPlace& place) {
  if (place.must_be_directory) {
    if (const Errno error = check_existing(place, true); error != Errno::success) return error;
  }
  return place.found.exists ? Errno::exist : Errno::success;
}

Watches::Id id_of(const Stat& stat) { return {stat.device, stat.inode}; }

bool is_same(const OverlayName& a, const OverlayName& b) {
  return a.exists && b.exists && a.in_upper == b.in_upper && a.stat.device == b.stat.device &&
         a.stat.inode == b.stat.inode;
}

}  // namespace

Outcome<OverlayPlace> OverlayDirectory::find(std::string_view path, bool follow, Wait wait) {
  if (const Errno error = overlay_->refresh(folder_, wait); error != Errno::success) return error;
  return overlay_->find(folder_, path, follow, wait);
}

Outcome<OverlayPlace> OverlayDirectory::find_name(std::string_view path, Errno dots) {
  if (const Errno error = check_path(path); error != Errno::success) return error;
  const LastName last = split_last(path);
  Outcome<OverlayPlace> found = find(last.whole(), false, Wait::allowed);
  OverlayPlace* const place = std::get_if<OverlayPlace>(&found);
  if (place == nullptr) return found;
  if (place->name.empty()) return dots;
  place->must_be_directory = last.must_be_directory;
  return found;
}

OverlayDirectory::Opened OverlayDirectory::open(std::string_view path, u32 flags, Access access,
                                                Wait wait) {
  if (const Errno error = check_open(path, flags, access); error != Errno::success) return error;
  const auto guard = lock(wait);
  if (!guard) return Errno::again;
  const bool create = (flags & open_create) != 0;
  const bool exclusive = (flags & open_exclusive) != 0;
  const bool follow = (flags & open_nofollow) == 0 && !exclusive;
  Outcome<OverlayPlace> found = find(path, follow, wait);
  if (const Errno* error = std::get_if<Errno>(&found)) return *error;
  OverlayPlace& place = std::get<OverlayPlace>(found);
  if (!place.found.exists) {
    if (!create) return Errno::noent;
    if (place.must_be_directory) return Errno::isdir;
    if (wait == Wait::never) return Errno::again;
    if (const Errno error = overlay_->make_room(place); error != Errno::success) return error;
    auto opened =
        place.folder.upper->open(place.name, flags | open_exclusive | open_nofollow, access, wait);
    const auto* const object = std::get_if<std::shared_ptr<cap::Object>>(&opened);
    if (object == nullptr) return opened;
    note_created(place);
    const Outcome<Stat> own = static_cast<File&>(**object).stat(wait);
    const Stat* const stat = std::get_if<Stat>(&own);
    if (!access.write || stat == nullptr) return opened;
    return note_opened(place, overlay_->id(place.folder), id_of(*stat), std::move(opened));
  }
  if (exclusive) return Errno::exist;
  return open_found(place, flags, access, wait);
}

OverlayDirectory::Opened OverlayDirectory::open_found(OverlayPlace& place, u32 flags, Access access,
                                                      Wait wait) {
  const bool truncate = (flags & open_truncate) != 0;
  const bool directory = (flags & open_directory) != 0;
  if (place.found.is_folder()) {
    if ((flags & open_create) != 0 || truncate || access.write) return Errno::isdir;
    Outcome<Layered> inner = overlay_->enter(place, wait);
    if (const Errno* error = std::get_if<Errno>(&inner)) return *error;
    return std::make_shared<OverlayDirectory>(overlay_, std::get<Layered>(std::move(inner)));
  }
  if (directory) return Errno::notdir;
  if (place.found.stat.type == FileType::link) return Errno::loop;
  if (place.found.stat.type != FileType::regular) return Errno::notsup;
  const u32 rest = (flags & (open_append | open_truncate)) | open_nofollow;
  const bool writes = truncate || access.write;
  if (writes && !place.found.in_upper) {
    if (wait == Wait::never) return Errno::again;
    const Errno error = overlay_->copy_up(place, !truncate);
    if (error != Errno::success) return error;
  }
  if (place.found.in_upper) {
    const Outcome<Stat> folder = writes ? overlay_->stat(place.folder, wait) : Stat{};
    if (const Errno* error = std::get_if<Errno>(&folder)) return *error;
    auto upper = place.folder.upper->open(place.name, rest, access, wait);
    if (!writes || std::get_if<Errno>(&upper) != nullptr) return upper;
    const Watches::Id id = id_of(std::get<Stat>(folder));
    if (truncate) overlay_->watches().changed(id, place.name);
    return note_opened(place, id, id_of(place.found.stat), std::move(upper));
  }
  auto opened = place.folder.lower->open(place.name, rest, access, wait);
  if (std::get_if<Errno>(&opened) != nullptr) return opened;
  std::string own_path = Overlay::path_of(place.folder, place.name);
  auto reader = std::make_shared<LowerFile>(
      overlay_, own_path,
      std::static_pointer_cast<File>(std::get<std::shared_ptr<cap::Object>>(std::move(opened))));
  overlay_->note_reader(std::move(own_path), reader);
  return reader;
}

Outcome<Stat> OverlayDirectory::stat(std::string_view path, bool follow, Wait wait) {
  const auto guard = lock(wait);
  if (!guard) return Errno::again;
  const Outcome<OverlayPlace> found = find(path, follow, wait);
  if (const Errno* error = std::get_if<Errno>(&found)) return *error;
  const OverlayPlace& place = std::get<OverlayPlace>(found);
  if (!place.found.exists) return Errno::noent;
  if (!place.found.is_folder() || place.name.empty()) return place.found.stat;
  const Outcome<Layered> inner = overlay_->enter(place, wait);
  if (const Errno* error = std::get_if<Errno>(&inner)) return *error;
  return overlay_->stat(std::get<Layered>(inner), wait);
}

Errno OverlayDirectory::set_times(std::string_view path, bool follow, const Times& times,
                                  Wait wait) {
  if (wait == Wait::never) return Errno::again;
  const auto guard = lock(wait);
  Outcome<OverlayPlace> found = find(path, follow, wait);
  if (const Errno* error = std::get_if<Errno>(&found)) return *error;
  OverlayPlace& place = std::get<OverlayPlace>(found);
  if (!place.found.exists) return Errno::noent;
  if (!place.found.is_folder()) {
    if (const Errno error = overlay_->copy_up(place); error != Errno::success) return error;
    const Errno error = place.folder.upper->set_times(place.name, false, times, wait);
    Watches& watches = overlay_->watches();
    if (error == Errno::success && watches.is_needed()) {
      watches.changed(overlay_->id(place.folder), place.name);
    }
    return error;
  }
  Outcome<Layered> inner = overlay_->enter(place, wait);
  if (const Errno* error = std::get_if<Errno>(&inner)) return *error;
  Layered& folder = std::get<Layered>(inner);
  if (const Errno error = overlay_->copy_up(folder); error != Errno::success) return error;
  const Errno error = folder.upper->set_times(".", true, times, wait);
  Watches& watches = overlay_->watches();
  if (error == Errno::success && !place.name.empty() && watches.is_needed()) {
    watches.changed(overlay_->id(place.folder), place.name);
  }
  return error;
}

Outcome<std::vector<Entry>> OverlayDirectory::list(u64 cookie, u32 bytes, Wait wait) {
  const auto guard = lock(wait);
  if (!guard) return Errno::again;
  if (const Errno error = overlay_->refresh(folder_, wait); error != Errno::success) return error;
  return overlay_->list(folder_, cookie, bytes, wait);
}

Errno OverlayDirectory::make_directory(std::string_view path, Wait wait) {
  if (wait == Wait::never) return Errno::again;
  const auto guard = lock(wait);
  Outcome<OverlayPlace> found = find_name(path, Errno::exist);
  if (const Errno* error = std::get_if<Errno>(&found)) return *error;
  OverlayPlace& place = std::get<OverlayPlace>(found);
  if (place.found.exists) return Errno::exist;
  if (const Errno error = overlay_->make_room(place); error != Errno::success) return error;
  const Errno error = place.folder.upper->make_directory(place.name, wait);
  if (error == Errno::success) note_created(place);
  return error;
}

Errno OverlayDirectory::remove_file(std::string_view path, Wait wait) {
  if (wait == Wait::never) return Errno::again;
  const auto guard = lock(wait);
  Outcome<OverlayPlace> found = find_name(path, Errno::isdir);
  if (const Errno* error = std::get_if<Errno>(&found)) return *error;
  OverlayPlace& place = std::get<OverlayPlace>(found);
  if (const Errno error = check_existing(place, place.must_be_directory); error != Errno::success) {
    return error;
  }
  if (place.found.is_folder()) return Errno::isdir;
  if (const Errno error = overlay_->hide(place); error != Errno::success) return error;
  if (place.found.in_upper) {
    const Errno error = place.folder.upper->remove_file(place.name, wait);
    if (error != Errno::success) return error;
  }
  if (overlay_->watches().is_needed()) {
    overlay_->watches().removed(overlay_->id(place.folder), place.name, id_of(place.found.stat));
  }
  return Errno::success;
}

// Makes sure that a directory is empty, and leaves of it no more than an upper part without
// anything.
Outcome<Layered> OverlayDirectory::empty_folder(OverlayPlace& place) {
  Outcome<Layered> inner = overlay_->enter(place, Wait::allowed);
  if (std::get_if<Errno>(&inner) != nullptr) return inner;
  Layered& folder = std::get<Layered>(inner);
  if (const Errno error = overlay_->check_empty(folder); error != Errno::success) return error;
  if (const Errno error = overlay_->hide(place); error != Errno::success) return error;
  if (const Errno error = overlay_->clear(folder); error != Errno::success) return error;
  return inner;
}

Errno OverlayDirectory::remove_directory(std::string_view path, Wait wait) {
  if (wait == Wait::never) return Errno::again;
  const auto guard = lock(wait);
  Outcome<OverlayPlace> found = find_name(path, Errno::inval);
  if (const Errno* error = std::get_if<Errno>(&found)) return *error;
  OverlayPlace& place = std::get<OverlayPlace>(found);
  if (const Errno error = check_existing(place, true); error != Errno::success) return error;
  const Outcome<Layered> inner = empty_folder(place);
  if (const Errno* error = std::get_if<Errno>(&inner)) return *error;
  const auto& folder = std::get<Layered>(inner);
  Watches& watches = overlay_->watches();
  const Watches::Id id = watches.is_needed() ? overlay_->id(folder) : Watches::Id{};
  if (folder.upper != nullptr) {
    const Errno error = place.folder.upper->remove_directory(place.name, wait);
    if (error != Errno::success) return error;
  }
  if (watches.is_needed()) watches.removed_folder(overlay_->id(place.folder), place.name, id);
  return Errno::success;
}

Errno OverlayDirectory::rename(std::string_view path, Directory& to, std::string_view to_path,
                               Wait wait) {
  if (wait == Wait::never) return Errno::again;
  if (to.file_system() != file_system()) return Errno::xdev;
  const auto guard = lock(wait);
  Outcome<OverlayPlace> from = find_name(path, Errno::busy);
  if (const Errno* error = std::get_if<Errno>(&from)) return *error;
  Outcome<OverlayPlace> onto = static_cast<OverlayDirectory&>(to).find_name(to_path, Errno::busy);
  if (const Errno* error = std::get_if<Errno>(&onto)) return *error;
  OverlayPlace& source = std::get<OverlayPlace>(from);
  OverlayPlace& place = std::get<OverlayPlace>(onto);
  const bool as_directory = source.must_be_directory || place.must_be_directory;
  if (const Errno error = check_existing(source, as_directory); error != Errno::success) {
    return error;
  }
  if (is_same(source.found, place.found)) return Errno::success;
  return source.found.is_folder() ? rename_folder(source, place) : rename_file(source, place);
}

Errno OverlayDirectory::rename_folder(OverlayPlace& source, OverlayPlace& place) {
  const Outcome<Layered> inner = overlay_->enter(source, Wait::allowed);
  if (const Errno* error = std::get_if<Errno>(&inner)) return *error;
  if (place.found.exists && !place.found.is_folder()) return Errno::notdir;
  if (std::get<Layered>(inner).lower != nullptr) return Errno::xdev;
  Watches::Id replaced;
  if (place.found.exists) {
    const Outcome<Layered> target = overlay_->enter(place, Wait::allowed);
    if (const Errno* error = std::get_if<Errno>(&target)) return *error;
    if (overlay_->watches().is_needed()) replaced = overlay_->id(std::get<Layered>(target));
    // Of two that are above alone, the upper layer says by itself what is wrong.
    if (std::get<Layered>(target).lower != nullptr) {
      const Outcome<Layered> emptied = empty_folder(place);
      if (const Errno* error = std::get_if<Errno>(&emptied)) return *error;
    }
  }
  if (const Errno error = overlay_->make_room(place); error != Errno::success) return error;
  const Errno error =
      source.folder.upper->rename(source.name, *place.folder.upper, place.name, Wait::allowed);
  if (error == Errno::success) note_renamed(source, place, replaced);
  return error;
}

Errno OverlayDirectory::rename_file(OverlayPlace& source, OverlayPlace& place) {
  if (place.found.is_folder()) return Errno::isdir;
  if (const Errno error = overlay_->make_room(place); error != Errno::success) return error;
  if (const Errno error = overlay_->copy_up(source); error != Errno::success) return error;
  if (const Errno error = overlay_->hide(source); error != Errno::success) return error;
  const Errno error =
      source.folder.upper->rename(source.name, *place.folder.upper, place.name, Wait::allowed);
  if (error == Errno::success) note_renamed(source, place, id_of(place.found.stat));
  return error;
}

Errno OverlayDirectory::link(std::string_view path, Directory& to, std::string_view to_path,
                             Wait wait) {
  if (wait == Wait::never) return Errno::again;
  if (to.file_system() != file_system()) return Errno::xdev;
  const auto guard = lock(wait);
  Outcome<OverlayPlace> from = find_name(path, Errno::perm);
  if (const Errno* error = std::get_if<Errno>(&from)) return *error;
  Outcome<OverlayPlace> onto = static_cast<OverlayDirectory&>(to).find_name(to_path, Errno::exist);
  if (const Errno* error = std::get_if<Errno>(&onto)) return *error;
  OverlayPlace& source = std::get<OverlayPlace>(from);
  OverlayPlace& place = std::get<OverlayPlace>(onto);
  if (const Errno error = check_existing(source, source.must_be_directory);
      error != Errno::success) {
    return error;
  }
  if (const Errno error = check_free(place); error != Errno::success) return error;
  if (source.found.is_folder()) return Errno::perm;
  if (const Errno error = overlay_->make_room(place); error != Errno::success) return error;
  if (const Errno error = overlay_->copy_up(source); error != Errno::success) return error;
  const Errno error = source.folder.upper->link(source.name, *place.folder.upper, place.name, wait);
  if (error == Errno::success) note_created(place);
  return error;
}

Errno OverlayDirectory::make_link(std::string_view target, std::string_view path, Wait wait) {
  if (const Errno error = check_path(target); error != Errno::success) return error;
  if (wait == Wait::never) return Errno::again;
  const auto guard = lock(wait);
  Outcome<OverlayPlace> found = find_name(path, Errno::exist);
  if (const Errno* error = std::get_if<Errno>(&found)) return *error;
  OverlayPlace& place = std::get<OverlayPlace>(found);
  if (const Errno error = check_free(place); error != Errno::success) return error;
  if (const Errno error = overlay_->make_room(place); error != Errno::success) return error;
  const Errno error = place.folder.upper->make_link(target, place.name, wait);
  if (error == Errno::success) note_created(place);
  return error;
}

Outcome<std::string> OverlayDirectory::read_link(std::string_view path, Wait wait) {
  const auto guard = lock(wait);
  if (!guard) return Errno::again;
  const Outcome<OverlayPlace> found = find(path, false, wait);
  if (const Errno* error = std::get_if<Errno>(&found)) return *error;
  const OverlayPlace& place = std::get<OverlayPlace>(found);
  if (!place.found.exists) return Errno::noent;
  if (place.found.stat.type != FileType::link) return Errno::inval;
  Directory& layer = place.found.in_upper ? *place.folder.upper : *place.folder.lower;
  return layer.read_link(place.name, wait);
}

Errno OverlayDirectory::sync(Wait wait) {
  if (wait == Wait::never) return Errno::again;
  const auto guard = lock(wait);
  if (const Errno error = overlay_->refresh(folder_, wait); error != Errno::success) return error;
  return folder_.upper == nullptr ? Errno::success : folder_.upper->sync(wait);
}

Outcome<std::shared_ptr<Watch>> OverlayDirectory::watch(std::string_view path, Wait wait) {
  if (wait == Wait::never) return Errno::again;
  const auto guard = lock(wait);
  Outcome<OverlayPlace> found = find(path, true, wait);
  if (const Errno* error = std::get_if<Errno>(&found);
      error != nullptr && *error != Errno::noent && *error != Errno::loop) {
    return *error;
  }
  Watches& watches = overlay_->watches();
  const auto* const followed = std::get_if<OverlayPlace>(&found);
  if (followed != nullptr && followed->found.is_folder()) {
    const Outcome<Layered> inner = overlay_->enter(*followed, wait);
    if (const Errno* error = std::get_if<Errno>(&inner)) return *error;
    return watches.add(overlay_->id(std::get<Layered>(inner)), {}, overlay_);
  }
  found = find_name(path, Errno::noent);
  if (const Errno* error = std::get_if<Errno>(&found)) return *error;
  const OverlayPlace& place = std::get<OverlayPlace>(found);
  if (const Errno error = check_existing(place, place.must_be_directory); error != Errno::success) {
    return error;
  }
  return watches.add(overlay_->id(place.folder), place.name, overlay_);
}

// --- For who watches ----------------------------------------------------------------------------

OverlayDirectory::Opened OverlayDirectory::note_opened(const OverlayPlace& place,
                                                       const Watches::Id& folder,
                                                       const Watches::Id& file, Opened opened) {
  auto object = std::get<std::shared_ptr<cap::Object>>(std::move(opened));
  return std::make_shared<OverlayFile>(overlay_, std::static_pointer_cast<File>(std::move(object)),
                                       overlay_->watches().opened(file, folder, place.name));
}

void OverlayDirectory::note_created(const OverlayPlace& place) {
  Watches& watches = overlay_->watches();
  if (watches.is_needed()) watches.created(overlay_->id(place.folder), place.name);
}

void OverlayDirectory::note_renamed(const OverlayPlace& source, const OverlayPlace& place,
                                    Watches::Id replaced) {
  Watches& watches = overlay_->watches();
  if (!watches.is_needed()) return;
  const Watches::Id to = overlay_->id(place.folder);
  if (place.found.exists) watches.replaced(to, place.name, replaced);
  watches.renamed(overlay_->id(source.folder), source.name, to, place.name,
                  id_of(source.found.stat));
}

std::shared_ptr<Directory> make_overlay(std::shared_ptr<Directory> lower,
                                        std::shared_ptr<Directory> upper) {
  auto overlay = std::make_shared<Overlay>(std::move(lower), std::move(upper));
  const Layered root = overlay->root();
  return std::make_shared<OverlayDirectory>(std::move(overlay), root);
}

}  // namespace atollvm::vfs
