#include "stdlib/vfs/overlay_kept.hpp"

#include <fmt/format.h>
#include <time.h>

#include <array>

#include "stdlib/vfs/fields.hpp"

namespace atollvm::vfs {
namespace {

// Of the host, for each path of a removed directory, besides its bytes.
constexpr u64 path_bytes = 128;
// How long is waited for a call that is being carried out: in steps of 1 ms.
constexpr u32 most_steps = 1000;

// What is behind the first `head`.
std::optional<std::string_view> behind(std::string_view text, std::string_view head) {
  if (!text.starts_with(head)) return std::nullopt;
  return text.substr(head.size());
}

template <class Layer>
std::optional<std::string> path_in(const Directory& root, const Layer& object) {
  const auto folder = root.origin();
  const auto own = object.origin();
  if (!folder || !own) return std::nullopt;
  if (own->path == folder->path) return ".";
  const std::string head = folder->path == "/" ? "/" : folder->path + '/';
  const auto path = behind(own->path, head);
  return path ? std::optional(std::string(*path)) : std::nullopt;
}

std::shared_ptr<cap::Object> open_at(Directory& root, std::string_view path, u32 flags,
                                     Access access) {
  auto opened = root.open(path, flags | open_nofollow, access, Wait::allowed);
  auto* const object = std::get_if<std::shared_ptr<cap::Object>>(&opened);
  return object == nullptr ? nullptr : std::move(*object);
}

}  // namespace

OverlayKept::OverlayKept(std::shared_ptr<Overlay> overlay) : overlay_(std::move(overlay)) {
  std::unique_ptr<Kept> upper = overlay_->upper()->kept();
  if (upper != nullptr && upper->kind() == Kind::memory) {
    memory_.reset(static_cast<MemoryKept*>(upper.release()));
  }
}

std::unique_lock<std::mutex> OverlayKept::lock() {
  std::unique_lock guard(overlay_->mutex, std::try_to_lock);
  for (u32 i = 0; i < most_steps && !guard && !is_stuck_; ++i) {
    const timespec nap{0, 1'000'000};
    nanosleep(&nap, nullptr);
    static_cast<void>(guard.try_lock());
  }
  is_stuck_ = !guard;
  return guard;
}

// --- Writing ------------------------------------------------------------------------------------

std::optional<std::string> OverlayKept::describe_upper(cap::Object& object,
                                                       std::optional<u64> position) {
  if (memory_ != nullptr) return memory_->describe(object, position);
  if (object.kind() == cap::Kind::directory) {
    const auto path = path_in(*overlay_->upper(), static_cast<const Directory&>(object));
    return path ? std::optional(fmt::format("d{}{}", field_separator, *path)) : std::nullopt;
  }
  if (object.kind() != cap::Kind::file) return std::nullopt;
  auto& file = static_cast<File&>(object);
  const auto origin = file.origin();
  const auto path = path_in(*overlay_->upper(), file);
  if (!path) return std::nullopt;
  const Outcome<u64> own = file.seek(0, 1);
  const u64 at = position.value_or(std::get_if<u64>(&own) == nullptr ? 0 : std::get<u64>(own));
  return fmt::format("f{0}{1}{0}{2}{3}{4}{0}{5}", field_separator, *path,
                     origin->access.read ? "r" : "", origin->access.write ? "w" : "",
                     origin->append ? "a" : "", at);
}

// A directory: "o", "+" and the path of its lower part, or "-", and what its upper part is. A lower
// file: "l", its path, its position, and the lower layer's identity if it has one. Else "u", and
// what is open in the upper layer.
std::optional<std::string> OverlayKept::describe(cap::Object& object) {
  const auto guard = lock();
  if (!guard) return std::nullopt;
  if (auto* const directory = dynamic_cast<OverlayDirectory*>(&object)) {
    if (directory->file_system() != overlay_.get()) return std::nullopt;
    const Layered& folder = directory->folder();
    std::string text = fmt::format("o{0}{1}{2}{0}", field_separator,
                                   folder.lower == nullptr ? '-' : '+', folder.path);
    if (folder.upper == nullptr) return text;
    const auto upper = describe_upper(*folder.upper);
    // One that was removed from a directory of the host.
    if (!upper) return std::nullopt;
    return text + *upper;
  }
  if (auto* const file = dynamic_cast<LowerFile*>(&object)) {
    if (file->overlay() != overlay_.get()) return std::nullopt;
    const LowerFile::State state = file->state();
    if (state.is_copied) {
      const auto copy = describe_upper(*state.file, state.position);
      return copy ? std::optional(std::string("u") + field_separator + *copy) : std::nullopt;
    }
    std::string text = fmt::format("l{0}{1}{0}{2}", field_separator, state.path, state.position);
    if (const auto identity = overlay_->lower()->identity()) text += field_separator + *identity;
    return text;
  }
  auto* const file = dynamic_cast<OverlayFile*>(&object);
  const auto upper = describe_upper(file == nullptr ? object : file->file());
  return upper ? std::optional(std::string("u") + field_separator + *upper) : std::nullopt;
}

void OverlayKept::write(base::Writer& to) {
  const auto guard = lock();
  if (!guard) {
    return to.fail({base::ErrorCode::io, "overlay",
                    "a call to it takes too long to be waited for: try again later"});
  }
  to.number(static_cast<u32>(overlay_->removed().size()));
  for (const std::string& path : overlay_->removed()) to.string(path);
  if (memory_ != nullptr) memory_->write(to);
}

// --- Reading ------------------------------------------------------------------------------------

void OverlayKept::read(base::Reader& from, const base::Take& take) {
  const auto guard = std::unique_lock(overlay_->mutex);
  const u32 count = from.number<u32>();
  for (u32 i = 0; from.ok() && i < count; ++i) {
    std::string path = from.string(max_path);
    if (!take(path_bytes + path.size())) return;
    from.check(!path.empty() && overlay_->add_removed(std::move(path)),
               "a removed directory twice, or without a path");
  }
  if (memory_ != nullptr && from.ok()) memory_->read(from, take);
}

std::shared_ptr<cap::Object> OverlayKept::restore_upper(cap::Kind kind,
                                                        std::string_view description,
                                                        bool writable) {
  if (memory_ != nullptr) return memory_->restore(kind, description, writable);
  if (kind == cap::Kind::directory) {
    std::array<std::string_view, 2> fields;
    if (!split_fields(description, fields) || fields[0] != "d") return nullptr;
    return open_at(*overlay_->upper(), fields[1], open_directory, {});
  }
  std::array<std::string_view, 4> fields;
  if (!split_fields(description, fields) || fields[0] != "f") return nullptr;
  const auto position = number_in<i64>(fields[3]);
  const Access access{fields[2].find('r') != std::string_view::npos,
                      writable && fields[2].find('w') != std::string_view::npos};
  if (!position || *position < 0 || (!access.read && !access.write)) return nullptr;
  const u32 flags = fields[2].find('a') != std::string_view::npos ? open_append : 0;
  auto object = open_at(*overlay_->upper(), fields[1], flags, access);
  if (object == nullptr || object->kind() != cap::Kind::file) return nullptr;
  static_cast<void>(static_cast<File&>(*object).seek(*position, 0));
  return object;
}

std::shared_ptr<cap::Object> OverlayKept::restore_directory(std::string_view text) {
  const usize end = text.find(field_separator);
  if (end == std::string_view::npos || end == 0) return nullptr;
  Layered folder;
  const std::string_view path = text.substr(1, end - 1);
  if (text.front() == '+') {
    auto lower =
        path.empty() ? overlay_->lower() : open_at(*overlay_->lower(), path, open_directory, {});
    if (lower == nullptr) return nullptr;
    folder.lower = std::static_pointer_cast<Directory>(std::move(lower));
    folder.path = path;
  } else if (text.front() != '-') {
    return nullptr;
  }
  if (const std::string_view upper = text.substr(end + 1); !upper.empty()) {
    auto object = restore_upper(cap::Kind::directory, upper, true);
    if (object == nullptr || object->kind() != cap::Kind::directory) return nullptr;
    folder.upper = std::static_pointer_cast<Directory>(std::move(object));
  }
  return std::make_shared<OverlayDirectory>(overlay_, std::move(folder));
}

std::shared_ptr<cap::Object> OverlayKept::restore_lower_file(std::string_view text) {
  if (const auto identity = overlay_->lower()->identity()) {
    const auto rest = text.ends_with(field_separator + *identity)
                          ? text.size() - identity->size() - 1
                          : std::string_view::npos;
    if (rest == std::string_view::npos) return nullptr;
    text = text.substr(0, rest);
  }
  std::array<std::string_view, 2> fields;
  if (!split_fields(text, fields)) return nullptr;
  const auto position = number_in<i64>(fields[1]);
  if (!position || *position < 0) return nullptr;
  auto object = open_at(*overlay_->lower(), fields[0], 0, {true, false});
  if (object == nullptr || object->kind() != cap::Kind::file) return nullptr;
  std::string path(fields[0]);
  auto file = std::make_shared<LowerFile>(overlay_, path,
                                          std::static_pointer_cast<File>(std::move(object)));
  static_cast<void>(file->seek(*position, 0));
  overlay_->note_reader(std::move(path), file);
  return file;
}

std::shared_ptr<cap::Object> OverlayKept::restore(cap::Kind kind, std::string_view description,
                                                  bool writable) {
  const auto guard = std::unique_lock(overlay_->mutex);
  const auto rest = [&](char first) {
    return behind(description, std::string(1, first) + field_separator);
  };
  if (const auto upper = rest('u')) {
    // A directory of the upper layer by itself would show whiteouts.
    return kind == cap::Kind::file ? restore_upper(kind, *upper, writable) : nullptr;
  }
  if (const auto lower = rest('l')) {
    return kind == cap::Kind::file ? restore_lower_file(*lower) : nullptr;
  }
  const auto both = rest('o');
  return both && kind == cap::Kind::directory ? restore_directory(*both) : nullptr;
}

std::unique_ptr<Kept> OverlayDirectory::kept() { return std::make_unique<OverlayKept>(overlay_); }

}  // namespace atollvm::vfs
