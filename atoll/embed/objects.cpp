#include "atoll/embed/objects.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>

#include "stdlib/wasi/wasi.hpp"

namespace atollvm {

namespace {

// Fields are separated by NUL, which no path has.
constexpr char separator = '\0';
constexpr std::string_view names = "names";
constexpr const char* stream_words[] = {"stdin", "stdout", "stderr"};

template <usize n>
bool split(std::string_view text, std::array<std::string_view, n>& fields) {
  for (usize i = 0; i + 1 < n; ++i) {
    const usize end = text.find(separator);
    if (end == std::string_view::npos) return false;
    fields[i] = text.substr(0, end);
    text.remove_prefix(end + 1);
  }
  fields[n - 1] = text;
  return text.find(separator) == std::string_view::npos;
}

std::optional<i64> offset_in(std::string_view text) {
  i64 number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || rest != end || number < 0) return std::nullopt;
  return number;
}

u64 position_of(vfs::File& file) {
  const auto position = file.seek(0, 1);
  const u64* const value = std::get_if<u64>(&position);
  return value != nullptr ? *value : 0;
}

// The path from a folder; nothing: it is not in it.
std::optional<std::string> below(std::string_view folder, std::string_view path) {
  if (path == folder) return ".";
  if (folder != "/") {
    if (!path.starts_with(folder) || path[folder.size()] != '/') return std::nullopt;
    path.remove_prefix(folder.size());
  }
  return std::string(path.substr(1));
}

}  // namespace

// "GUEST\0PATH" of the innermost granted directory that has it; of two the writable one.
std::optional<std::string> GrantedObjects::place_of(std::string_view host_path) const {
  std::optional<std::string> best;
  std::pair<usize, bool> quality{0, false};
  for (const Grants::Directory& each : grants_.directories) {
    const auto folder = each.object->origin();
    if (!folder) continue;
    const auto path = below(folder->path, host_path);
    const std::pair own{folder->path.size(), each.writable};
    if (!path || (best && own <= quality)) continue;
    best = each.guest + separator + *path;
    quality = own;
  }
  return best;
}

std::optional<std::string> GrantedObjects::describe(const std::shared_ptr<cap::Object>& object) {
  switch (object->kind()) {
    case cap::Kind::stream: {
      const host::Stream* const own[] = {grants_.streams.input.get(), grants_.streams.output.get(),
                                         grants_.streams.error.get()};
      for (usize i = 0; i < 3; ++i) {
        if (object.get() != own[i]) continue;
        vfs::File* const file = own[i]->file();
        return fmt::format("{}{}{}", stream_words[i], separator,
                           i == 0 && file != nullptr ? position_of(*file) : 0);
      }
      return std::nullopt;
    }
    case cap::Kind::name_space:
      return object == grants_.name_space ? std::optional(std::string(names)) : std::nullopt;
    case cap::Kind::directory: {
      for (const Grants::Directory& each : grants_.directories) {
        if (each.object == object) return each.guest + separator + ".";
      }
      const auto origin = static_cast<const vfs::Directory&>(*object).origin();
      return origin ? place_of(origin->path) : std::nullopt;
    }
    case cap::Kind::file: {
      auto& file = static_cast<vfs::File&>(*object);
      const auto origin = file.origin();
      const auto place = origin ? place_of(origin->path) : std::nullopt;
      if (!place) return std::nullopt;
      return fmt::format("{}{}{}{}{}{}{}", *place, separator, origin->access.read ? "r" : "",
                         origin->access.write ? "w" : "", origin->append ? "a" : "", separator,
                         position_of(file));
    }
    default:
      return std::nullopt;
  }
}

std::shared_ptr<cap::Object> GrantedObjects::restore(cap::Kind kind, std::string_view description,
                                                     cap::Rights& rights) {
  if (kind == cap::Kind::name_space) {
    return description == names ? grants_.name_space : nullptr;
  }
  if (kind == cap::Kind::stream) {
    std::array<std::string_view, 2> fields;
    if (!split(description, fields)) return nullptr;
    const std::shared_ptr<host::Stream> own[] = {grants_.streams.input, grants_.streams.output,
                                                 grants_.streams.error};
    for (usize i = 0; i < 3; ++i) {
      if (fields[0] != stream_words[i]) continue;
      const auto offset = offset_in(fields[1]);
      if (!offset) return nullptr;
      if (i == 0 && own[i]->file() != nullptr) {
        static_cast<void>(own[i]->file()->seek(*offset, 0));
      }
      rights &= cap::right_stat | (i == 0 ? cap::right_read : cap::right_write | cap::right_append);
      writable_[own[i].get()] = i != 0;
      return own[i];
    }
    return nullptr;
  }
  std::array<std::string_view, 4> fields;
  if (kind == cap::Kind::directory) {
    std::array<std::string_view, 2> two;
    if (!split(description, two)) return nullptr;
    fields = {two[0], two[1]};
  } else if (kind != cap::Kind::file || !split(description, fields)) {
    return nullptr;
  }
  for (const Grants::Directory& each : grants_.directories) {
    if (each.guest != fields[0]) continue;
    std::shared_ptr<cap::Object> object;
    if (kind == cap::Kind::directory && fields[1] == ".") {
      object = each.object;
    } else {
      vfs::Access access;
      u32 flags = vfs::open_directory;
      if (kind == cap::Kind::file) {
        access.read = fields[2].find('r') != std::string_view::npos;
        access.write = each.writable && fields[2].find('w') != std::string_view::npos;
        flags = fields[2].find('a') != std::string_view::npos ? vfs::open_append : 0;
        if (!access.read && !access.write) return nullptr;
      }
      auto opened = each.object->open(fields[1], flags, access, vfs::Wait::allowed);
      if (std::get_if<vfs::Errno>(&opened) != nullptr) return nullptr;
      object = std::get<std::shared_ptr<cap::Object>>(std::move(opened));
      if (object->kind() != kind) return nullptr;
    }
    if (kind == cap::Kind::file) {
      const auto offset = offset_in(fields[3]);
      auto& file = static_cast<vfs::File&>(*object);
      const auto sought = file.seek(offset.value_or(0), 0);
      if (!offset || std::get_if<u64>(&sought) == nullptr) return nullptr;
    }
    rights &= each.writable ? vfs::rights_read_write : vfs::rights_read_only;
    writable_[object.get()] = each.writable;
    return object;
  }
  return nullptr;
}

std::string GrantedObjects::describe(const cap::Facet& facet) { return wasi::describe(facet); }

bool GrantedObjects::restore(std::string_view description, cap::Capability& capability) {
  if (description.empty()) return true;
  const auto found = writable_.find(capability.object.get());
  return found != writable_.end() && wasi::restore(description, found->second, capability);
}

}  // namespace atollvm
