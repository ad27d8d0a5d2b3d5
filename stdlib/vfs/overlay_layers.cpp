#include "stdlib/vfs/overlay_layers.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace atollvm::vfs {
namespace {

// A copy that is not whole yet. With the lock, there is one at most.
constexpr std::string_view half_copy = ".wh..wh.copy";
// Where the cookies of the upper layer begin. No file system of the host has higher ones.
constexpr u64 upper_cookies = u64{1} << 63;

bool is_own(std::string_view name) { return name.starts_with(whiteout_prefix); }

std::string whiteout_of(std::string_view name) {
  return std::string(whiteout_prefix) + std::string(name);
}

template <class T>
Errno error_in(const Outcome<T>& outcome) {
  const Errno* const error = std::get_if<Errno>(&outcome);
  return error == nullptr ? Errno::success : *error;
}
// What a name that is not there gives.
bool is_missing(Errno error) { return error == Errno::noent || error == Errno::nametoolong; }

// Some file systems end with the highest number there is, and what is added to a cookie on the way
// to the guest must not wrap.
u64 to_upper_cookie(u64 cookie) { return upper_cookies | std::min(cookie, upper_cookies - 3); }

Outcome<std::shared_ptr<Directory>> open_directory_at(Directory& at, std::string_view name,
                                                      Wait wait) {
  auto opened = at.open(name, open_directory | open_nofollow, {}, wait);
  if (const Errno* error = std::get_if<Errno>(&opened)) return *error;
  return std::static_pointer_cast<Directory>(std::get<std::shared_ptr<cap::Object>>(opened));
}
Outcome<std::shared_ptr<File>> open_file_at(Directory& at, std::string_view name, u32 flags,
                                            Access access) {
  auto opened = at.open(name, flags | open_nofollow, access, Wait::allowed);
  if (const Errno* error = std::get_if<Errno>(&opened)) return *error;
  auto& object = std::get<std::shared_ptr<cap::Object>>(opened);
  if (object->kind() != cap::Kind::file) return Errno::isdir;
  return std::static_pointer_cast<File>(object);
}

Errno copy_bytes(File& from, File& to) {
  std::vector<u8> buffer(1 << 16);
  u64 at = 0;
  while (true) {
    const Outcome<u32> got = from.read(buffer, at, Wait::allowed);
    if (const Errno error = error_in(got); error != Errno::success) return error;
    const u32 size = std::get<u32>(got);
    if (size == 0) return to.truncate(at, Wait::allowed);
    std::span<const u8> rest(buffer.data(), size);
    // Zeros become a hole, which takes no room.
    if (std::ranges::all_of(rest, [](u8 byte) { return byte == 0; })) rest = {};
    for (u64 here = at; !rest.empty();) {
      const Outcome<u32> put = to.write(rest, here, {}, Wait::allowed);
      if (const Errno error = error_in(put); error != Errno::success) return error;
      rest = rest.subspan(std::get<u32>(put));
      here += std::get<u32>(put);
    }
    at += size;
  }
}

Times times_of(const Stat& stat) { return {stat.accessed_ns, stat.modified_ns}; }

}  // namespace

std::string Overlay::path_of(const Layered& folder, std::string_view name) {
  return folder.path.empty() ? std::string(name) : folder.path + '/' + std::string(name);
}

Errno Overlay::refresh(Layered& folder, Wait wait) {
  if (folder.lower == nullptr) return Errno::success;
  if (removed_.contains(folder.path)) {
    folder.lower = nullptr;
    return Errno::success;
  }
  if (folder.upper != nullptr) return Errno::success;
  std::shared_ptr<Directory> at = upper_;
  std::string_view rest = folder.path;
  while (!rest.empty()) {
    const usize end = std::min(rest.find('/'), rest.size());
    auto next = open_directory_at(*at, rest.substr(0, end), wait);
    if (const Errno error = error_in(next); error != Errno::success) {
      return is_missing(error) ? Errno::success : error;
    }
    at = std::get<std::shared_ptr<Directory>>(std::move(next));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  folder.upper = std::move(at);
  return Errno::success;
}

Outcome<bool> Overlay::shows_lower(const Layered& folder, std::string_view name, Wait wait) {
  if (folder.lower == nullptr || is_own(name)) return false;
  if (folder.upper != nullptr) {
    const Errno error = error_in(folder.upper->stat(whiteout_of(name), false, wait));
    if (error == Errno::success) return false;
    if (!is_missing(error)) return error;
  }
  const Errno error = error_in(folder.lower->stat(name, false, wait));
  if (error == Errno::success) return true;
  if (is_missing(error)) return false;
  return error;
}

Outcome<OverlayName> Overlay::look(const Layered& folder, std::string_view name, Wait wait) {
  if (is_own(name)) return OverlayName{};
  if (folder.upper != nullptr) {
    const Outcome<Stat> found = folder.upper->stat(name, false, wait);
    const Errno error = error_in(found);
    if (error == Errno::success) return OverlayName{true, true, std::get<Stat>(found)};
    if (!is_missing(error)) return error;
  }
  const Outcome<bool> shows = shows_lower(folder, name, wait);
  if (const Errno error = error_in(shows); error != Errno::success) return error;
  if (!std::get<bool>(shows)) return OverlayName{};
  const Outcome<Stat> found = folder.lower->stat(name, false, wait);
  if (const Errno error = error_in(found); error != Errno::success) return error;
  return OverlayName{true, false, std::get<Stat>(found)};
}

Outcome<Layered> Overlay::enter(const OverlayPlace& place, Wait wait) {
  if (place.name.empty()) return place.folder;
  Layered next;
  if (place.found.in_upper) {
    auto upper = open_directory_at(*place.folder.upper, place.name, wait);
    if (const Errno error = error_in(upper); error != Errno::success) return error;
    next.upper = std::get<std::shared_ptr<Directory>>(std::move(upper));
  }
  const Outcome<bool> shows = shows_lower(place.folder, place.name, wait);
  if (const Errno error = error_in(shows); error != Errno::success) return error;
  if (std::get<bool>(shows)) {
    auto lower = open_directory_at(*place.folder.lower, place.name, wait);
    const Errno error = error_in(lower);
    // A file or link below, where the upper layer has a directory, counts no more.
    const bool is_other = error == Errno::notdir || error == Errno::loop;
    if (error != Errno::success && !(is_other && next.upper != nullptr)) return error;
    if (error == Errno::success) {
      next.lower = std::get<std::shared_ptr<Directory>>(std::move(lower));
      next.path = path_of(place.folder, place.name);
    }
  }
  return next;
}

// A directory stays the same one when it gets an upper part.
Outcome<Stat> Overlay::stat(const Layered& folder, Wait wait) {
  Directory* const first = folder.upper != nullptr ? folder.upper.get() : folder.lower.get();
  if (first == nullptr) return Errno::noent;
  Outcome<Stat> found = first->stat(".", true, wait);
  Stat* const own = std::get_if<Stat>(&found);
  if (own == nullptr || folder.upper == nullptr || folder.lower == nullptr) return found;
  const Outcome<Stat> below = folder.lower->stat(".", true, wait);
  if (const Errno error = error_in(below); error != Errno::success) return error;
  own->device = std::get<Stat>(below).device;
  own->inode = std::get<Stat>(below).inode;
  return found;
}

// Nothing has the number that is given where there is none to be had.
Watches::Id Overlay::id(const Layered& folder) {
  const Outcome<Stat> found = stat(folder, Wait::allowed);
  const Stat* const own = std::get_if<Stat>(&found);
  return own == nullptr ? Watches::Id{} : Watches::Id{own->device, own->inode};
}

Outcome<OverlayPlace> Overlay::find(const Layered& start, std::string_view path, bool follow,
                                    Wait wait) {
  if (const Errno error = check_path(path); error != Errno::success) return error;
  Names names(path);
  std::vector<Layered> way{start};
  while (true) {
    Outcome<std::string> next = names.next();
    if (const Errno error = error_in(next); error != Errno::success) return error;
    std::string& name = std::get<std::string>(next);
    const bool last = names.empty();
    OverlayPlace place;
    place.must_be_directory = names.must_be_directory();
    if (name == "..") way.pop_back();
    if (way.empty()) return Errno::notcapable;
    place.folder = way.back();
    if (name == "." || name == "..") {
      if (!last) continue;
      const Outcome<Stat> own = stat(place.folder, wait);
      if (const Errno error = error_in(own); error != Errno::success) return error;
      place.found = {true, place.folder.upper != nullptr, std::get<Stat>(own)};
      return place;
    }
    place.name = std::move(name);
    const Outcome<OverlayName> found = look(place.folder, place.name, wait);
    if (const Errno error = error_in(found); error != Errno::success) return error;
    place.found = std::get<OverlayName>(found);
    const FileType type = place.found.stat.type;
    if (!place.found.exists && !last) return Errno::noent;
    if (place.found.exists && type == FileType::link &&
        (!last || follow || place.must_be_directory)) {
      Directory& layer = place.found.in_upper ? *place.folder.upper : *place.folder.lower;
      const Outcome<std::string> target = layer.read_link(place.name, wait);
      if (const Errno error = error_in(target); error != Errno::success) return error;
      const Errno error = names.follow(std::get<std::string>(target));
      if (error != Errno::success) return error;
      continue;
    }
    const bool is_other = place.found.exists && type != FileType::directory;
    if (last) {
      if (is_other && place.must_be_directory) return Errno::notdir;
      return place;
    }
    if (is_other) return Errno::notdir;
    if (way.size() > max_walk_depth) return Errno::nametoolong;
    Outcome<Layered> inner = enter(place, wait);
    if (const Errno error = error_in(inner); error != Errno::success) return error;
    way.push_back(std::get<Layered>(std::move(inner)));
  }
}

Outcome<std::vector<Entry>> Overlay::list(Layered& folder, u64 cookie, u32 bytes, Wait wait) {
  std::vector<Entry> result;
  if (folder.lower != nullptr && (cookie & upper_cookies) == 0) {
    while (result.empty()) {
      Outcome<std::vector<Entry>> some = folder.lower->list(cookie, bytes, wait);
      if (const Errno error = error_in(some); error != Errno::success) return error;
      auto& entries = std::get<std::vector<Entry>>(some);
      if (entries.empty()) break;
      for (Entry& each : entries) {
        cookie = each.next;
        const Outcome<OverlayName> found = look(folder, each.name, wait);
        if (const Errno error = error_in(found); error != Errno::success) return error;
        const auto& name = std::get<OverlayName>(found);
        const Outcome<bool> shows = shows_lower(folder, each.name, wait);
        if (const Errno error = error_in(shows); error != Errno::success) return error;
        if (!name.exists || !std::get<bool>(shows)) continue;
        if (name.in_upper && !name.is_folder()) each.inode = name.stat.inode;
        each.type = name.stat.type;
        result.push_back(std::move(each));
      }
    }
    if (!result.empty()) return result;
    cookie = upper_cookies;
  }
  if (folder.upper == nullptr) return result;
  const u64 mark = folder.lower == nullptr ? 0 : upper_cookies;
  cookie &= ~mark;
  while (result.empty()) {
    Outcome<std::vector<Entry>> some = folder.upper->list(cookie, bytes, wait);
    if (const Errno error = error_in(some); error != Errno::success) return error;
    auto& entries = std::get<std::vector<Entry>>(some);
    if (entries.empty()) break;
    for (Entry& each : entries) {
      cookie = each.next;
      if (is_own(each.name)) continue;
      const Outcome<bool> shows = shows_lower(folder, each.name, wait);
      if (const Errno error = error_in(shows); error != Errno::success) return error;
      if (std::get<bool>(shows)) continue;
      if (mark != 0) each.next = to_upper_cookie(each.next);
      result.push_back(std::move(each));
    }
  }
  return result;
}

Errno Overlay::copy_up(Layered& folder) {
  if (folder.upper != nullptr) return Errno::success;
  if (folder.lower == nullptr) return Errno::noent;
  std::shared_ptr<Directory> upper = upper_;
  std::shared_ptr<Directory> lower = lower_;
  std::string_view rest = folder.path;
  while (!rest.empty()) {
    const std::string_view name = rest.substr(0, rest.find('/'));
    rest.remove_prefix(std::min(name.size() + 1, rest.size()));
    auto next_lower = open_directory_at(*lower, name, Wait::allowed);
    if (const Errno error = error_in(next_lower); error != Errno::success) return error;
    lower = std::get<std::shared_ptr<Directory>>(std::move(next_lower));
    auto next = open_directory_at(*upper, name, Wait::allowed);
    if (error_in(next) == Errno::noent) {
      const Outcome<Stat> own = lower->stat(".", true, Wait::allowed);
      if (const Errno error = error_in(own); error != Errno::success) return error;
      const Errno made = upper->make_directory(name, Wait::allowed);
      if (made != Errno::success) return made;
      next = open_directory_at(*upper, name, Wait::allowed);
      if (error_in(next) == Errno::success) {
        Directory& at = *std::get<std::shared_ptr<Directory>>(next);
        static_cast<void>(at.set_times(".", true, times_of(std::get<Stat>(own)), Wait::allowed));
      }
    }
    if (const Errno error = error_in(next); error != Errno::success) return error;
    upper = std::get<std::shared_ptr<Directory>>(std::move(next));
  }
  folder.upper = std::move(upper);
  return Errno::success;
}

Errno Overlay::copy_file(OverlayPlace& place, bool with_bytes) {
  Directory& lower = *place.folder.lower;
  Directory& upper = *place.folder.upper;
  const auto source = open_file_at(lower, place.name, 0, {true, false});
  if (const Errno error = error_in(source); error != Errno::success) return error;
  const auto made = open_file_at(upper, half_copy, open_create | open_truncate, {false, true});
  if (const Errno error = error_in(made); error != Errno::success) return error;
  File& copy = *std::get<std::shared_ptr<File>>(made);
  Errno error = Errno::success;
  if (with_bytes) error = copy_bytes(*std::get<std::shared_ptr<File>>(source), copy);
  if (error == Errno::success) error = copy.set_times(times_of(place.found.stat), Wait::allowed);
  if (error == Errno::success) error = upper.rename(half_copy, upper, place.name, Wait::allowed);
  if (error != Errno::success) static_cast<void>(upper.remove_file(half_copy, Wait::allowed));
  return error;
}

Errno Overlay::copy_up(OverlayPlace& place, bool with_bytes) {
  if (const Errno error = copy_up(place.folder); error != Errno::success) return error;
  if (place.found.in_upper) return Errno::success;
  Directory& upper = *place.folder.upper;
  if (place.found.stat.type == FileType::link) {
    const auto target = place.folder.lower->read_link(place.name, Wait::allowed);
    if (const Errno error = error_in(target); error != Errno::success) return error;
    const Errno error = upper.make_link(std::get<std::string>(target), place.name, Wait::allowed);
    if (error != Errno::success) return error;
    static_cast<void>(
        upper.set_times(place.name, false, times_of(place.found.stat), Wait::allowed));
  } else if (place.found.stat.type == FileType::regular) {
    if (const Errno error = copy_file(place, with_bytes); error != Errno::success) return error;
    const auto [first, end] = readers_.equal_range(path_of(place.folder, place.name));
    for (auto each = first; each != end; ++each) {
      const std::shared_ptr<LowerFile> reader = each->second.lock();
      if (reader == nullptr) continue;
      const auto file = open_file_at(upper, place.name, 0, {true, false});
      if (const Errno error = error_in(file); error != Errno::success) return error;
      reader->replace(std::get<std::shared_ptr<File>>(file));
    }
    readers_.erase(first, end);
  } else {
    return Errno::notsup;
  }
  const Outcome<OverlayName> now = look(place.folder, place.name, Wait::allowed);
  if (const Errno error = error_in(now); error != Errno::success) return error;
  place.found = std::get<OverlayName>(now);
  return Errno::success;
}

Errno Overlay::make_room(OverlayPlace& place) {
  if (is_own(place.name)) return Errno::perm;
  return copy_up(place.folder);
}

Errno Overlay::hide(OverlayPlace& place) {
  const Outcome<bool> shows = shows_lower(place.folder, place.name, Wait::allowed);
  if (const Errno error = error_in(shows); error != Errno::success) return error;
  if (!std::get<bool>(shows)) return Errno::success;
  if (const Errno error = copy_up(place.folder); error != Errno::success) return error;
  return error_in(
      open_file_at(*place.folder.upper, whiteout_of(place.name), open_create, {false, true}));
}

Errno Overlay::check_empty(Layered& folder) {
  const Outcome<std::vector<Entry>> some = list(folder, 0, 0, Wait::allowed);
  if (const Errno error = error_in(some); error != Errno::success) return error;
  return std::get<std::vector<Entry>>(some).empty() ? Errno::success : Errno::notempty;
}

Errno Overlay::clear(const Layered& folder) {
  if (folder.lower != nullptr) removed_.insert(folder.path);
  if (folder.upper == nullptr) return Errno::success;
  while (true) {
    const auto some = folder.upper->list(0, 0, Wait::allowed);
    if (const Errno error = error_in(some); error != Errno::success) return error;
    const auto& entries = std::get<std::vector<Entry>>(some);
    if (entries.empty()) return Errno::success;
    for (const Entry& each : entries) {
      if (!is_own(each.name)) return Errno::notempty;
      const Errno error = folder.upper->remove_file(each.name, Wait::allowed);
      if (error != Errno::success) return error;
    }
  }
}

void Overlay::note_reader(std::string path, const std::shared_ptr<LowerFile>& reader) {
  if (readers_.size() >= purge_at_) {
    std::erase_if(readers_, [](const auto& each) { return each.second.expired(); });
    purge_at_ = 2 * readers_.size() + 64;
  }
  readers_.emplace(std::move(path), reader);
}

// --- Files --------------------------------------------------------------------------------------

std::shared_ptr<File> LowerFile::file() {
  const std::lock_guard lock(mutex_);
  return file_;
}

LowerFile::State LowerFile::state() {
  const std::lock_guard lock(mutex_);
  return {path_, file_, is_copied_, position_};
}

void LowerFile::replace(std::shared_ptr<File> file) {
  const std::lock_guard lock(mutex_);
  file_ = std::move(file);
  is_copied_ = true;
}

Outcome<u32> LowerFile::read(std::span<u8> bytes, std::optional<u64> at, Wait wait) {
  if (at) return file()->read(bytes, at, wait);
  while (true) {
    std::unique_lock lock(mutex_);
    const std::shared_ptr<File> from = file_;
    const u64 start = position_;
    lock.unlock();
    const Outcome<u32> size = from->read(bytes, start, wait);
    if (error_in(size) != Errno::success) return size;
    lock.lock();
    // Somebody else may have read these bytes meanwhile.
    if (position_ != start) continue;
    position_ += std::get<u32>(size);
    return size;
  }
}

Outcome<u64> LowerFile::seek(i64 offset, u32 whence) {
  constexpr u64 most = static_cast<u64>(INT64_MAX);
  const std::lock_guard lock(mutex_);
  if (whence == 2) {
    const Outcome<u64> end = file_->seek(offset, 2);
    if (const u64* position = std::get_if<u64>(&end)) position_ = *position;
    return end;
  }
  if (whence > 2) return Errno::inval;
  const u64 position = (whence == 1 ? position_ : 0) + static_cast<u64>(offset);
  if (position > most) return Errno::inval;
  position_ = position;
  return position;
}

Errno LowerFile::set_times(const Times& times, Wait wait) {
  if (wait == Wait::never) return Errno::again;
  const std::lock_guard lock(overlay_->mutex);
  if (!is_copied_) {
    Outcome<OverlayPlace> found = overlay_->find(overlay_->root(), path_, false, wait);
    if (const Errno error = error_in(found); error != Errno::success) {
      return error == Errno::noent ? Errno::rofs : error;
    }
    OverlayPlace& place = std::get<OverlayPlace>(found);
    // It was removed, and the lower layer's own times stay as they are.
    const bool is_it = place.found.exists && !place.found.in_upper &&
                       Overlay::path_of(place.folder, place.name) == path_;
    if (!is_it) return Errno::rofs;
    if (const Errno error = overlay_->copy_up(place); error != Errno::success) return error;
    if (!is_copied_) return Errno::rofs;
  }
  return file()->set_times(times, wait);
}

}  // namespace atollvm::vfs
