#include "atoll/embed/objects.hpp"

#include <fmt/format.h>

#include <array>
#include <bit>

#include "stdlib/vfs/fields.hpp"
#include "stdlib/wasi/wasi.hpp"

namespace atollvm {

namespace {

using vfs::split_fields;
constexpr char separator = vfs::field_separator;
constexpr std::string_view names = "names";
constexpr std::string_view network_word = "network";
constexpr const char* stream_words[] = {"stdin", "stdout", "stderr"};

std::optional<i64> offset_in(std::string_view text) {
  const auto number = vfs::number_in<i64>(text);
  return number && *number < 0 ? std::nullopt : number;
}

u64 position_of(vfs::File& file) {
  const auto position = file.seek(0, 1);
  const u64* const value = std::get_if<u64>(&position);
  return value != nullptr ? *value : 0;
}

bool may_write(cap::Rights rights) {
  return (rights & (cap::right_write | cap::right_append)) != 0;
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

// "GUEST\0PATH" of the innermost granted directory that has it; of two that with more rights.
std::optional<std::string> GrantedObjects::place_of(std::string_view host_path) const {
  std::optional<std::string> best;
  std::pair<usize, int> quality{0, 0};
  for (const Grants::Directory& each : grants_.directories) {
    const auto folder = each.object->origin();
    if (!folder) continue;
    const auto path = below(folder->path, host_path);
    const std::pair own{folder->path.size(), std::popcount(each.rights)};
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
    case cap::Kind::network:
      return object == grants_.network ? std::optional(std::string(network_word)) : std::nullopt;
    case cap::Kind::directory: {
      for (const Grants::Directory& each : grants_.directories) {
        if (each.object == object) return each.guest + separator + ".";
      }
      if (auto kept = kept_place_of(*object)) return kept;
      const auto origin = static_cast<const vfs::Directory&>(*object).origin();
      return origin ? place_of(origin->path) : std::nullopt;
    }
    case cap::Kind::file: {
      if (auto kept = kept_place_of(*object)) return kept;
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
  if (kind == cap::Kind::network) {
    rights &= net::network_rights;
    return description == network_word ? grants_.network : nullptr;
  }
  if (kind == cap::Kind::stream) {
    std::array<std::string_view, 2> fields;
    if (!split_fields(description, fields)) return nullptr;
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
      rights_[own[i].get()] = i == 0 ? cap::right_read : cap::right_write;
      return own[i];
    }
    return nullptr;
  }
  if (kind != cap::Kind::directory && kind != cap::Kind::file) return nullptr;
  const usize end = description.find(separator);
  if (end == std::string_view::npos) return nullptr;
  for (usize i = 0; i < grants_.directories.size(); ++i) {
    const Grants::Directory& each = grants_.directories[i];
    if (each.guest != description.substr(0, end)) continue;
    const std::string_view rest = description.substr(end + 1);
    std::shared_ptr<cap::Object> object;
    if (!rest.starts_with(separator)) {
      object = open_by_path(each, kind, rest);
    } else if (kept_[i] != nullptr) {
      object = kept_[i]->restore(kind, rest.substr(1), may_write(each.rights));
    }
    if (object == nullptr || object->kind() != kind) return nullptr;
    rights &= each.rights;
    rights_[object.get()] = each.rights;
    return object;
  }
  return nullptr;
}

// Of "PATH", or "PATH\0ACCESS\0POSITION" for a file.
std::shared_ptr<cap::Object> GrantedObjects::open_by_path(const Grants::Directory& from,
                                                          cap::Kind kind, std::string_view text) {
  const bool is_file = kind == cap::Kind::file;
  if (!is_file && text == ".") return from.object;
  std::array<std::string_view, 3> fields{text};
  if (is_file && !split_fields(text, fields)) return nullptr;
  vfs::Access access;
  u32 flags = vfs::open_directory;
  if (is_file) {
    access.read = fields[1].find('r') != std::string_view::npos;
    access.write = may_write(from.rights) && fields[1].find('w') != std::string_view::npos;
    flags = fields[1].find('a') != std::string_view::npos ? vfs::open_append : 0;
    if (!access.read && !access.write) return nullptr;
  }
  auto opened = from.object->open(fields[0], flags, access, vfs::Wait::allowed);
  if (std::get_if<vfs::Errno>(&opened) != nullptr) return nullptr;
  auto object = std::get<std::shared_ptr<cap::Object>>(std::move(opened));
  if (!is_file || object->kind() != kind) return object;
  const auto offset = offset_in(fields[2]);
  const auto sought = static_cast<vfs::File&>(*object).seek(offset.value_or(0), 0);
  return offset && std::get_if<u64>(&sought) != nullptr ? object : nullptr;
}

// --- File systems in memory -----------------------------------------------------------------

GrantedObjects::GrantedObjects(const Grants& grants) : grants_(grants) {
  for (const Grants::Directory& each : grants.directories) kept_.push_back(each.object->kept());
}

// "GUEST\0\0" and what its file system says.
std::optional<std::string> GrantedObjects::kept_place_of(cap::Object& object) {
  for (usize i = 0; i < kept_.size(); ++i) {
    if (kept_[i] == nullptr) continue;
    const auto text = kept_[i]->describe(object);
    if (text) return grants_.directories[i].guest + separator + separator + *text;
  }
  return std::nullopt;
}

vfs::Kept* GrantedObjects::find_kept(std::string_view guest) const {
  for (usize i = 0; i < kept_.size(); ++i) {
    if (grants_.directories[i].guest == guest) return kept_[i].get();
  }
  return nullptr;
}

std::vector<std::string> GrantedObjects::file_systems() {
  std::vector<std::string> guests;
  for (usize i = 0; i < kept_.size(); ++i) {
    if (kept_[i] != nullptr) guests.push_back(grants_.directories[i].guest);
  }
  return guests;
}

void GrantedObjects::write_file_system(std::string_view name, base::Writer& to) {
  vfs::Kept& kept = *find_kept(name);
  to.number(static_cast<u8>(kept.kind()));
  kept.write(to);
}

bool GrantedObjects::read_file_system(std::string_view name, base::Reader& from,
                                      const base::Take& take) {
  vfs::Kept* const kept = find_kept(name);
  if (kept == nullptr || from.number<u8>() != static_cast<u8>(kept->kind())) return false;
  from.where = "file system " + std::string(name);
  kept->read(from, take);
  return true;
}

std::string GrantedObjects::describe(const cap::Facet& facet) { return wasi::describe(facet); }

bool GrantedObjects::restore(std::string_view description, cap::Capability& capability) {
  if (description.empty()) return true;
  const auto found = rights_.find(capability.object.get());
  return found != rights_.end() && wasi::restore(description, found->second, capability);
}

}  // namespace atollvm
