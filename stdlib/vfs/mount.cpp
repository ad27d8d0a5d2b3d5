#include "stdlib/vfs/mount.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <vector>

#include "stdlib/vfs/archive.hpp"
#include "stdlib/vfs/dev.hpp"
#include "stdlib/vfs/host_directory.hpp"
#include "stdlib/vfs/image.hpp"
#include "stdlib/vfs/memory.hpp"
#include "stdlib/vfs/name_space.hpp"
#include "stdlib/vfs/overlay.hpp"
#include "stdlib/vfs/posix.hpp"
#include "stdlib/vfs/proc.hpp"
#include "stdlib/vfs/volume.hpp"

namespace atollvm::vfs {
namespace {

using Opening = base::Result<std::shared_ptr<Directory>>;

bool is_within(std::string_view folder, std::string_view path) {
  if (folder == "/") return true;
  return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

std::shared_ptr<Directory> new_memory(const Mount& mount) {
  MemoryLimits limits;
  limits.bytes = mount.bytes.value_or(limits.bytes);
  limits.inodes = mount.inodes.value_or(limits.inodes);
  return make_memory(limits);
}

Opening open_whole_archive(const Mount& mount) {
  ArchiveLimits limits;
  limits.bytes = mount.bytes.value_or(limits.bytes);
  limits.entries = mount.inodes.value_or(limits.entries);
  return open_archive(mount.source, limits);
}

// A file is a volume, an image, of which its file system is meant, or an archive.
Opening open_lower(const Mount& mount) {
  if (is_volume(mount.source)) return open_volume(mount.source);
  if (is_image(mount.source)) return open_image_root(mount.source);
  return is_file(mount.source) ? open_archive(mount.source, {}) : open_host_directory(mount.source);
}

Opening open_layers(const Mount& mount) {
  auto lower = open_lower(mount);
  if (!lower) return lower;
  if (mount.upper.empty()) return make_overlay(*std::move(lower), new_memory(mount));
  auto upper = open_host_directory(mount.upper);
  if (!upper) return upper;
  const auto below = (*lower)->origin();
  const auto above = (*upper)->origin();
  if (below && above &&
      (is_within(below->path, above->path) || is_within(above->path, below->path))) {
    return base::Error{base::ErrorCode::usage, mount.upper,
                       "an overlay's changes can't lie in the directory that it covers, nor around "
                       "it: give another `upper`"};
  }
  return make_overlay(*std::move(lower), *std::move(upper));
}

constexpr MountType types[] = {
    {.name = "dir",
     .source = "a directory",
     .open = [](const Mount& mount) { return open_host_directory(mount.source); }},
    {.name = "memory",
     .has_limits = true,
     .open = [](const Mount& mount) -> Opening { return new_memory(mount); }},
    {.name = "overlay",
     .source = "a directory",
     .has_limits = true,
     .has_upper = true,
     .open = open_layers},
    {.name = "archive",
     .source = "an archive",
     .has_limits = true,
     .is_read_only = true,
     .open = open_whole_archive},
    {.name = "image",
     .source = "a file",
     .is_read_only = true,
     .open = [](const Mount& mount) { return open_image_root(mount.source); }},
    {.name = "volume",
     .source = "a file",
     .open = [](const Mount& mount) { return open_volume(mount.source); }},
    {.name = "dev", .open = [](const Mount&) -> Opening { return make_dev(); }},
    {.name = "proc",
     .is_read_only = true,
     .open = [](const Mount&) -> Opening { return make_proc(); }},
};

const MountType* find_type(std::string_view name) {
  const auto* const found = std::ranges::find(types, name, &MountType::name);
  return found == std::end(types) ? nullptr : found;
}

std::string type_names() {
  std::string text;
  for (const MountType& each : types) {
    if (!text.empty()) text += ", ";
    text += each.name;
  }
  return text;
}

// What is wrong with a mount's parts; "": nothing.
std::string mistake_in(const Mount& mount) {
  const MountType* const type = find_type(mount.type);
  if (type == nullptr) {
    return fmt::format("there is no type of mount `{}`; there are {}", mount.type, type_names());
  }
  if (type->source != nullptr && mount.source.empty()) {
    return fmt::format("a mount of the type {} needs {} of the host", mount.type, type->source);
  }
  const bool has_limits = mount.bytes || mount.inodes;
  const auto refuse = [&mount](const char* what) {
    return fmt::format("a mount of the type {} has no {}", mount.type, what);
  };
  if (type->source == nullptr && !mount.source.empty()) return refuse("directory of the host");
  if (!type->has_limits && has_limits) return refuse("size or inodes");
  if (!type->has_upper && !mount.upper.empty()) return refuse("upper");
  if (!mount.upper.empty() && has_limits) {
    return "an overlay has an upper directory, or size and inodes of its memory, not both";
  }
  if (mount.guest.empty()) return "a mount needs a path for the guest";
  if (mount.append_only && !is_writable(mount)) {
    return "a mount that can only be read has no `append`";
  }
  return {};
}

std::optional<u64> number_in(std::string_view text, bool is_size) {
  u64 number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc()) return std::nullopt;
  const std::string_view unit(rest, static_cast<usize>(end - rest));
  if (unit.empty()) return number;
  const usize power =
      unit.size() == 1 && is_size ? std::string_view("kMG").find(unit[0]) : std::string_view::npos;
  if (power == std::string_view::npos) return std::nullopt;
  const u64 shift = 10 * (power + 1);
  if (number > UINT64_MAX >> shift) return std::nullopt;
  return number << shift;
}

struct Flag {
  std::string_view name;
  bool Mount::* field;
  bool value = true;
};
constexpr Flag mount_flags[] = {
    {"ro", &Mount::writable, false},   {"rw", &Mount::writable},
    {"append", &Mount::append_only},   {"nodelete", &Mount::no_delete},
    {"nomodules", &Mount::no_modules}, {"hidden", &Mount::is_hidden},
};

// Takes one option in; "": well, else what is wrong.
std::string take_option(std::string_view option, Mount& mount) {
  const usize equals = std::min(option.find('='), option.size());
  const std::string_view key = option.substr(0, equals);
  const std::string_view value = option.substr(std::min(equals + 1, option.size()));
  const auto* const flag = std::ranges::find(mount_flags, option, &Flag::name);
  if (flag != std::end(mount_flags)) {
    mount.*flag->field = flag->value;
  } else if (key == "upper" && !value.empty()) {
    mount.upper = value;
  } else if (key == "size" || key == "inodes") {
    const std::optional<u64> number = number_in(value, key == "size");
    if (!number) {
      return fmt::format("`{}` is not a {}", value,
                         key == "size" ? "size (bytes, or like 64k, 16M, 2G)" : "number");
    }
    (key == "size" ? mount.bytes : mount.inodes) = *number;
  } else {
    return fmt::format(
        "there is no option `{}`; there are ro, append, nodelete, nomodules, hidden, size=SIZE, "
        "inodes=N, upper=DIR",
        option);
  }
  return {};
}

std::vector<std::string_view> cut(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  while (true) {
    const usize end = text.find(at);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

}  // namespace

std::span<const MountType> mount_types() { return types; }

bool is_writable(const Mount& mount) {
  const MountType* const type = find_type(mount.type);
  return mount.writable && type != nullptr && !type->is_read_only;
}

cap::Rights rights_of(const Mount& mount) {
  cap::Rights rights = is_writable(mount) ? rights_read_write : rights_read_only;
  if (mount.append_only) {
    rights &= ~(cap::right_write | cap::right_truncate | cap::right_times | cap::right_remove);
  }
  if (mount.no_delete) rights &= ~cap::right_remove;
  if (mount.no_modules) rights &= ~cap::right_load;
  return rights;
}

base::Result<Mount> parse_mount(std::string_view text) {
  const auto refuse = [text](std::string why) {
    return base::Error{base::ErrorCode::usage, std::string(text), std::move(why)};
  };
  const std::vector<std::string_view> parts = cut(text, ':');
  if (parts.size() < 3 || parts.size() > 4) {
    return refuse("a mount is written TYPE:SOURCE:GUEST or TYPE:SOURCE:GUEST:OPTIONS");
  }
  Mount mount;
  mount.type = parts[0];
  mount.source = parts[1];
  mount.guest = parts[2];
  if (parts.size() == 4) {
    for (const std::string_view option : cut(parts[3], ',')) {
      std::string why = take_option(option, mount);
      if (option == "rw" && why.empty() && !is_writable(mount) &&
          find_type(mount.type) != nullptr) {
        why = fmt::format("a mount of the type {} can only be read", mount.type);
      }
      if (!why.empty()) return refuse(std::move(why));
    }
  }
  if (std::string why = mistake_in(mount); !why.empty()) return refuse(std::move(why));
  return mount;
}

Opening open_mount(const Mount& mount) {
  if (std::string why = mistake_in(mount); !why.empty()) {
    return base::Error{base::ErrorCode::usage, mount.guest, std::move(why)};
  }
  return find_type(mount.type)->open(mount);
}

}  // namespace atollvm::vfs
