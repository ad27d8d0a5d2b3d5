#include "stdlib/vfs/volume.hpp"

#include <algorithm>

#include <atoll/volume.hpp>

#include "atoll/embed/impl.hpp"
#include "stdlib/vfs/archive.hpp"
#include "stdlib/vfs/copy_tree.hpp"
#include "stdlib/vfs/host_directory.hpp"
#include "stdlib/vfs/posix.hpp"

namespace atollvm {
namespace {

constexpr vfs::Wait wait = vfs::Wait::allowed;

std::optional<Error> outcome(base::Status status) {
  if (status.ok()) return std::nullopt;
  return to_public(std::move(status).error());
}

// A path in a volume as its root takes it.
std::string below_root(std::string_view path) {
  path.remove_prefix(std::min(path.find_first_not_of('/'), path.size()));
  while (path.ends_with('/')) path.remove_suffix(1);
  return path.empty() ? "." : std::string(path);
}

// A path of the host as a directory and a name in it.
struct HostPlace {
  std::string folder;
  std::string name;
};
HostPlace cut_host(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  const usize slash = path.rfind('/');
  const std::string last = slash == std::string::npos ? path : path.substr(slash + 1);
  if (last.empty() || last == "." || last == "..") return {path, "."};
  if (slash == std::string::npos) return {".", path};
  return {slash == 0 ? "/" : path.substr(0, slash), last};
}

std::string last_name(const std::string& path) {
  const usize slash = path.rfind('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

bool is_directory(vfs::Directory& root, const std::string& path) {
  const auto stat = root.stat(path, true, wait);
  const auto* const found = std::get_if<vfs::Stat>(&stat);
  return found != nullptr && found->type == vfs::FileType::directory;
}

// Where a copy of `source` goes that is to be `path`.
std::string target_of(vfs::Directory& root, const std::string& path, const std::string& source) {
  if (last_name(source) == "." || !is_directory(root, path)) return path;
  return path == "." ? last_name(source) : path + "/" + last_name(source);
}

Result<std::shared_ptr<vfs::Directory>> enter(vfs::Directory& root, const std::string& path) {
  auto opened = root.open(path, vfs::open_directory, {}, wait);
  if (const cap::Errno* const error = std::get_if<cap::Errno>(&opened)) {
    return Error{*error == cap::Errno::noent ? ErrorCode::not_found : ErrorCode::io, path,
                 std::string(vfs::text_of(*error))};
  }
  return std::static_pointer_cast<vfs::Directory>(std::get<0>(opened));
}

}  // namespace

struct Volume::Impl {
  std::shared_ptr<vfs::Directory> root;
};

Volume::Volume(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Volume::~Volume() = default;
Volume::Volume(Volume&&) noexcept = default;
Volume& Volume::operator=(Volume&&) noexcept = default;

std::optional<Error> Volume::create(const std::string& path, std::uint64_t size) {
  return outcome(vfs::create_volume(path, size));
}

Result<Volume> Volume::open(const std::string& path) {
  auto root = vfs::open_volume(path);
  if (!root) return to_public(std::move(root).error());
  return Volume(std::make_unique<Impl>(Impl{*std::move(root)}));
}

Result<VolumeInfo> Volume::info() const {
  const auto info = vfs::volume_info(*impl_->root);
  if (!info) return to_public(info.error());
  return VolumeInfo{info->size, info->used, info->inodes};
}

Result<std::vector<VolumeEntry>> Volume::list(const std::string& path, bool below) const {
  const auto folder = enter(*impl_->root, below_root(path));
  if (!folder) return folder.error();
  std::vector<VolumeEntry> entries;
  const auto done = vfs::walk_tree(*folder, below, [&](const vfs::TreeEntry& each) {
    VolumeEntry entry;
    entry.path = each.path;
    entry.kind = each.stat.type == vfs::FileType::directory ? VolumeEntry::Kind::directory
                 : each.stat.type == vfs::FileType::link    ? VolumeEntry::Kind::link
                                                            : VolumeEntry::Kind::file;
    entry.size = each.stat.size;
    entry.links = each.stat.links;
    entry.modified_ns = each.stat.modified_ns;
    entry.target = each.target;
    entries.push_back(std::move(entry));
    return base::Status();
  });
  if (!done) return to_public(done.error());
  std::ranges::sort(entries, {}, &VolumeEntry::path);
  return entries;
}

std::optional<Error> Volume::copy_in(const std::string& host, const std::string& path) {
  const HostPlace place = cut_host(host);
  const auto from = vfs::open_host_directory(place.folder);
  if (!from) return to_public(from.error());
  const std::string to = target_of(*impl_->root, below_root(path), place.name);
  return outcome(vfs::copy_tree(**from, place.name, *impl_->root, to));
}

std::optional<Error> Volume::copy_out(const std::string& path, const std::string& host) const {
  const HostPlace place = cut_host(host);
  const auto to = vfs::open_host_directory(place.folder);
  if (!to) return to_public(to.error());
  const std::string from = below_root(path);
  return outcome(vfs::copy_tree(*impl_->root, from, **to, target_of(**to, place.name, from)));
}

std::optional<Error> Volume::import_from(const std::string& host, const std::string& path) {
  auto from = vfs::is_file(host) ? vfs::open_archive(host, {}) : vfs::open_host_directory(host);
  if (!from) return to_public(std::move(from).error());
  return outcome(vfs::copy_tree(**from, ".", *impl_->root, below_root(path)));
}

std::optional<Error> Volume::export_to(const std::string& path,
                                       const std::function<bool(std::string_view)>& write) const {
  const auto folder = enter(*impl_->root, below_root(path));
  if (!folder) return folder.error();
  return outcome(vfs::write_tar(*folder, write));
}

Result<std::vector<VolumeFault>> Volume::check() const {
  auto found = vfs::check_volume(*impl_->root);
  if (!found) return to_public(std::move(found).error());
  std::vector<VolumeFault> faults;
  for (vfs::VolumeFault& each : *found) {
    faults.push_back({std::move(each.place), std::move(each.text)});
  }
  return faults;
}

std::optional<Error> Volume::grow(std::uint64_t size) {
  return outcome(vfs::grow_volume(*impl_->root, size));
}

std::optional<Error> Volume::sync() {
  const cap::Errno error = impl_->root->sync(wait);
  if (error == cap::Errno::success) return std::nullopt;
  return Error{ErrorCode::io, "", std::string(vfs::text_of(error))};
}

}  // namespace atollvm
