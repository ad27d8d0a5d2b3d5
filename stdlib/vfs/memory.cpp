#include "stdlib/vfs/memory.hpp"

#include <algorithm>
#include <utility>

#include "stdlib/vfs/memory_objects.hpp"
#include "stdlib/vfs/path.hpp"

namespace atollvm::vfs {
namespace {

// Directories above one that a directory is moved to: all are looked at, under the lock.
constexpr u32 most_depth = 10'000;

void change_links(MemoryBytes& bytes, i64 change) {
  const std::lock_guard lock(bytes.mutex);
  bytes.links += static_cast<u64>(change);
  bytes.touch_changed();
}

// A name for what stays or goes; under the tree's lock.
void unlink(MemoryNode& node) {
  if (node.type == FileType::regular) {
    change_links(static_cast<MemoryBytes&>(node), -1);
    return;
  }
  if (node.type == FileType::directory) {
    auto& folder = static_cast<MemoryFolder&>(node);
    folder.links = 0;
    folder.parent = nullptr;
  } else {
    --node.links;
  }
  node.touch_changed();
}

bool is_folder(const MemoryPlace& place) {
  return place.node != nullptr && place.node->type == FileType::directory;
}

// Whether `folder` is `of` or lies in it; nothing: too deep to say.
std::optional<bool> is_below(const MemoryFolder* folder, const MemoryNode* of) {
  for (u32 depth = 0; depth < most_depth; ++depth) {
    if (folder == of) return true;
    if (folder == nullptr) return false;
    folder = folder->parent;
  }
  return std::nullopt;
}

// What is wrong with an existing name that must be one of a directory.
Errno check_existing(const MemoryPlace& place, bool must_be_directory) {
  if (place.node == nullptr) return Errno::noent;
  return must_be_directory && !is_folder(place) ? Errno::notdir : Errno::success;
}
// And with one that must not be there.
Errno check_free(const MemoryPlace& place) {
  if (place.must_be_directory) {
    if (const Errno error = check_existing(place, true); error != Errno::success) return error;
  }
  return place.node == nullptr ? Errno::success : Errno::exist;
}

}  // namespace

// The place of a name itself, which no link at the end leads away from.
Outcome<MemoryPlace> MemoryDirectory::find_name(std::string_view path, Errno dots) {
  if (const Errno error = check_path(path); error != Errno::success) return error;
  const LastName last = split_last(path);
  Outcome<MemoryPlace> found = find_in_memory(*folder_, last.whole(), false);
  MemoryPlace* const place = std::get_if<MemoryPlace>(&found);
  if (place == nullptr) return found;
  if (place->folder == nullptr) return dots;
  place->must_be_directory = last.must_be_directory;
  return found;
}

Errno MemoryDirectory::put(MemoryPlace& place, std::shared_ptr<MemoryNode> node) {
  if (node == nullptr || !store_->bytes.take(MemoryStore::name_cost(place.name))) {
    return Errno::nospc;
  }
  if (node->type != FileType::directory) node->links = 1;
  place.folder->add(place.name, std::move(node));
  store_->watches->created(place.folder->id(), place.name);
  return Errno::success;
}

Outcome<std::shared_ptr<cap::Object>> MemoryDirectory::open(std::string_view path, u32 flags,
                                                            Access access, Wait) {
  if (const Errno error = check_open(path, flags, access); error != Errno::success) return error;
  const bool create = (flags & open_create) != 0;
  const bool exclusive = (flags & open_exclusive) != 0;
  const bool truncate = (flags & open_truncate) != 0;
  bool is_new = false;
  std::shared_ptr<MemoryNode> node;
  std::shared_ptr<Watches::Opened> opened;
  {
    const std::lock_guard lock(store_->mutex);
    const bool follow = (flags & open_nofollow) == 0 && !exclusive;
    Outcome<MemoryPlace> found = find_in_memory(*folder_, path, follow);
    if (const Errno* error = std::get_if<Errno>(&found)) return *error;
    MemoryPlace& place = std::get<MemoryPlace>(found);
    node = place.node;
    if (node == nullptr) {
      if (!create) return Errno::noent;
      if (place.must_be_directory) return Errno::isdir;
      is_new = true;
      node = store_->make<MemoryBytes>(0);
      if (const Errno error = put(place, node); error != Errno::success) return error;
    } else if (exclusive) {
      return Errno::exist;
    }
    if ((access.write || truncate) && node->type == FileType::regular) {
      opened = store_->watches->opened(node->id(), place.folder->id(), place.name);
    }
  }
  if (node->type == FileType::link) {
    return (flags & open_directory) != 0 ? Errno::notdir : Errno::loop;
  }
  if (node->type == FileType::directory) {
    if (create || truncate || access.write) return Errno::isdir;
    return std::make_shared<MemoryDirectory>(store_, std::static_pointer_cast<MemoryFolder>(node));
  }
  if ((flags & open_directory) != 0) return Errno::notdir;
  auto bytes = std::static_pointer_cast<MemoryBytes>(node);
  if (truncate && !is_new) {
    const std::lock_guard lock(bytes->mutex);
    static_cast<void>(bytes->pages.resize(0));
    bytes->touch_modified();
    store_->watches->changed(opened);
  }
  return make_memory_file(store_, std::move(bytes), access, (flags & open_append) != 0,
                          std::move(opened));
}

Outcome<Stat> MemoryDirectory::stat(std::string_view path, bool follow, Wait) {
  const std::lock_guard lock(store_->mutex);
  const Outcome<MemoryPlace> found = find_in_memory(*folder_, path, follow);
  if (const Errno* error = std::get_if<Errno>(&found)) return *error;
  const MemoryPlace& place = std::get<MemoryPlace>(found);
  if (place.node == nullptr) return Errno::noent;
  return stat_of(*place.node);
}

Errno MemoryDirectory::set_times(std::string_view path, bool follow, const Times& times, Wait) {
  const std::lock_guard lock(store_->mutex);
  const Outcome<MemoryPlace> found = find_in_memory(*folder_, path, follow);
  if (const Errno* error = std::get_if<Errno>(&found)) return *error;
  const MemoryPlace& place = std::get<MemoryPlace>(found);
  if (place.node == nullptr) return Errno::noent;
  set_times_of(*place.node, times);
  if (place.folder != nullptr) store_->watches->changed(place.folder->id(), place.name);
  return Errno::success;
}

Outcome<std::vector<Entry>> MemoryDirectory::list(u64 cookie, u32 bytes, Wait) {
  if (cookie > static_cast<u64>(INT64_MAX)) return Errno::inval;
  const usize most = std::clamp<u32>(bytes, 4096, 1 << 16);
  std::vector<Entry> entries;
  const std::lock_guard lock(store_->mutex);
  if (cookie == 0) end_ = folder_->next_cookie;
  const u64 end = end_;
  usize used = 0;
  for (auto each = folder_->slots.lower_bound(cookie);
       each != folder_->slots.end() && each->first < end && used < most; ++each) {
    const auto& [name, node] = each->second;
    entries.push_back({each->first + 1, node->inode, node->type, name});
    used += 24 + name.size();
  }
  return entries;
}

Errno MemoryDirectory::make_directory(std::string_view path, Wait) {
  const std::lock_guard lock(store_->mutex);
  Outcome<MemoryPlace> found = find_name(path, Errno::exist);
  if (const Errno* error = std::get_if<Errno>(&found)) return *error;
  MemoryPlace& place = std::get<MemoryPlace>(found);
  if (place.node != nullptr) return Errno::exist;
  return put(place, store_->make<MemoryFolder>(0));
}

Errno MemoryDirectory::remove_file(std::string_view path, Wait) {
  Doomed doomed;
  const std::lock_guard lock(store_->mutex);
  Outcome<MemoryPlace> found = find_name(path, Errno::isdir);
  if (const Errno* error = std::get_if<Errno>(&found)) return *error;
  MemoryPlace& place = std::get<MemoryPlace>(found);
  const Errno error = check_existing(place, place.must_be_directory);
  if (error != Errno::success) return error;
  if (is_folder(place)) return Errno::isdir;
  doomed = std::move(place.node);
  place.folder->remove(place.name);
  unlink(*doomed);
  store_->watches->removed(place.folder->id(), place.name, doomed->id());
  store_->bytes.give(MemoryStore::name_cost(place.name));
  return Errno::success;
}

Errno MemoryDirectory::remove_directory(std::string_view path, Wait) {
  Doomed doomed;
  const std::lock_guard lock(store_->mutex);
  Outcome<MemoryPlace> found = find_name(path, Errno::inval);
  if (const Errno* error = std::get_if<Errno>(&found)) return *error;
  MemoryPlace& place = std::get<MemoryPlace>(found);
  if (const Errno error = check_existing(place, true); error != Errno::success) return error;
  if (!static_cast<MemoryFolder&>(*place.node).slots.empty()) return Errno::notempty;
  doomed = std::move(place.node);
  place.folder->remove(place.name);
  unlink(*doomed);
  store_->watches->removed_folder(place.folder->id(), place.name, doomed->id());
  store_->bytes.give(MemoryStore::name_cost(place.name));
  return Errno::success;
}

Errno MemoryDirectory::rename(std::string_view path, Directory& to, std::string_view to_path,
                              Wait) {
  if (to.file_system() != file_system()) return Errno::xdev;
  Doomed doomed;
  const std::lock_guard lock(store_->mutex);
  Outcome<MemoryPlace> from = find_name(path, Errno::busy);
  if (const Errno* error = std::get_if<Errno>(&from)) return *error;
  Outcome<MemoryPlace> onto = static_cast<MemoryDirectory&>(to).find_name(to_path, Errno::busy);
  if (const Errno* error = std::get_if<Errno>(&onto)) return *error;
  return move(std::get<MemoryPlace>(from), std::get<MemoryPlace>(onto), doomed);
}

// Renames what was found; what is replaced is doomed.
Errno MemoryDirectory::move(MemoryPlace& source, MemoryPlace& place, Doomed& doomed) {
  const bool as_directory = source.must_be_directory || place.must_be_directory;
  if (const Errno error = check_existing(source, as_directory); error != Errno::success) {
    return error;
  }
  if (source.node == place.node) return Errno::success;  // two names of one file
  if (is_folder(source)) {
    const std::optional<bool> into_itself = is_below(place.folder, source.node.get());
    if (!into_itself) return Errno::nametoolong;
    if (*into_itself) return Errno::inval;
    if (place.node != nullptr && !is_folder(place)) return Errno::notdir;
    if (is_folder(place) && !static_cast<MemoryFolder&>(*place.node).slots.empty()) {
      return Errno::notempty;
    }
  } else if (is_folder(place)) {
    return Errno::isdir;
  }
  const u64 old_cost = MemoryStore::name_cost(source.name);
  const u64 new_cost = place.node == nullptr ? MemoryStore::name_cost(place.name) : 0;
  if (new_cost > old_cost) {
    if (!store_->bytes.take(new_cost - old_cost)) return Errno::nospc;
  } else {
    store_->bytes.give(old_cost - new_cost);
  }
  const u64 own_cookie = source.folder->remove(source.name);
  // A stream meets the entry once: a name that stays keeps its place, and so does what only gets
  // another name.
  if (place.node != nullptr) {
    const u64 cookie = place.folder->remove(place.name);
    doomed = std::move(place.node);
    unlink(*doomed);
    store_->watches->replaced(place.folder->id(), place.name, doomed->id());
    place.folder->add(cookie, place.name, source.node);
  } else if (source.folder == place.folder) {
    place.folder->add(own_cookie, place.name, source.node);
  } else {
    place.folder->add(place.name, source.node);
  }
  if (source.node->type == FileType::regular) {
    change_links(static_cast<MemoryBytes&>(*source.node), 0);
  } else {
    source.node->touch_changed();
  }
  store_->watches->renamed(source.folder->id(), source.name, place.folder->id(), place.name,
                           source.node->id());
  return Errno::success;
}

Errno MemoryDirectory::link(std::string_view path, Directory& to, std::string_view to_path, Wait) {
  if (to.file_system() != file_system()) return Errno::xdev;
  const std::lock_guard lock(store_->mutex);
  Outcome<MemoryPlace> from = find_name(path, Errno::perm);
  if (const Errno* error = std::get_if<Errno>(&from)) return *error;
  Outcome<MemoryPlace> onto = static_cast<MemoryDirectory&>(to).find_name(to_path, Errno::exist);
  if (const Errno* error = std::get_if<Errno>(&onto)) return *error;
  return add_link(std::get<MemoryPlace>(from), std::get<MemoryPlace>(onto));
}

Errno MemoryDirectory::add_link(const MemoryPlace& source, MemoryPlace& place) {
  if (const Errno error = check_existing(source, source.must_be_directory);
      error != Errno::success) {
    return error;
  }
  if (const Errno error = check_free(place); error != Errno::success) return error;
  if (is_folder(source)) return Errno::perm;
  if (source.node->links >= most_links) return Errno::mlink;
  if (!store_->bytes.take(MemoryStore::name_cost(place.name))) return Errno::nospc;
  if (source.node->type == FileType::regular) {
    change_links(static_cast<MemoryBytes&>(*source.node), 1);
  } else {
    ++source.node->links;
    source.node->touch_changed();
  }
  place.folder->add(place.name, source.node);
  store_->watches->created(place.folder->id(), place.name);
  return Errno::success;
}

Errno MemoryDirectory::make_link(std::string_view target, std::string_view path, Wait) {
  if (const Errno error = check_path(target); error != Errno::success) return error;
  const std::lock_guard lock(store_->mutex);
  Outcome<MemoryPlace> found = find_name(path, Errno::exist);
  if (const Errno* error = std::get_if<Errno>(&found)) return *error;
  MemoryPlace& place = std::get<MemoryPlace>(found);
  if (const Errno error = check_free(place); error != Errno::success) return error;
  return put(place, store_->make<MemoryLink>(target.size(), target));
}

Outcome<std::string> MemoryDirectory::read_link(std::string_view path, Wait) {
  const std::lock_guard lock(store_->mutex);
  const Outcome<MemoryPlace> found = find_in_memory(*folder_, path, false);
  if (const Errno* error = std::get_if<Errno>(&found)) return *error;
  const MemoryPlace& place = std::get<MemoryPlace>(found);
  if (place.node == nullptr) return Errno::noent;
  if (place.node->type != FileType::link) return Errno::inval;
  return static_cast<MemoryLink&>(*place.node).target;
}

Outcome<std::shared_ptr<Watch>> MemoryDirectory::watch(std::string_view path, Wait) {
  const std::lock_guard lock(store_->mutex);
  Outcome<MemoryPlace> found = find_in_memory(*folder_, path, true);
  if (const Errno* error = std::get_if<Errno>(&found);
      error != nullptr && *error != Errno::noent && *error != Errno::loop) {
    return *error;
  }
  const auto* followed = std::get_if<MemoryPlace>(&found);
  if (followed != nullptr && is_folder(*followed)) {
    if (followed->node->links == 0) return Errno::noent;
    return store_->watches->add(followed->node->id(), {}, store_);
  }
  found = find_name(path, Errno::noent);
  if (const Errno* error = std::get_if<Errno>(&found)) return *error;
  const MemoryPlace& place = std::get<MemoryPlace>(found);
  if (const Errno error = check_existing(place, place.must_be_directory); error != Errno::success) {
    return error;
  }
  return store_->watches->add(place.folder->id(), place.name, store_);
}

std::shared_ptr<Directory> make_memory(const MemoryLimits& limits) {
  auto store = std::make_shared<MemoryStore>(limits);
  store->root = std::make_shared<MemoryFolder>(*store);
  return std::make_shared<MemoryDirectory>(store, store->root);
}

}  // namespace atollvm::vfs
