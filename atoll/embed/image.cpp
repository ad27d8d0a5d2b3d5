#include <atoll/image.hpp>

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "atoll/embed/image_manifest.hpp"
#include "atoll/embed/image_tar.hpp"
#include "atoll/embed/impl.hpp"
#include "atoll/embed/signature.hpp"
#include "stdlib/vfs/archive.hpp"
#include "stdlib/vfs/image.hpp"
#include "stdlib/vfs/memory.hpp"
#include "stdlib/vfs/posix.hpp"

namespace atollvm {
namespace {

constexpr u64 max_manifest_bytes = 1 << 20;
constexpr u64 max_module_bytes = 256 << 20;
constexpr u64 max_listed_bytes = 64 << 20;  // of paths and targets
// Of the member with the signature, and the end.
constexpr usize tail_bytes = 4 * tar_block;

Error file_error(const std::string& path, int error) {
  return {error == ENOENT ? ErrorCode::not_found : ErrorCode::io, path, strerror(error)};
}

// Whether the last bytes are those of a signed image.
bool is_tail(std::string_view tail) {
  return tail.size() == tail_bytes &&
         tail == signature_tail(tail.substr(tar_block, signature_bytes));
}

Result<std::string> read_all(int fd, const std::string& path, u64 size) {
  std::string bytes(size, '\0');
  for (usize at = 0; at < bytes.size();) {
    const ssize_t got = pread(fd, bytes.data() + at, bytes.size() - at, static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return file_error(path, errno);
    if (got == 0) return Error{ErrorCode::io, path, "it became shorter while it was read"};
    at += static_cast<usize>(got);
  }
  return bytes;
}

// A file in memory that nobody can change.
Result<vfs::Descriptor> sealed(const std::string& path, std::string_view bytes) {
  vfs::Descriptor file(memfd_create("atoll-image", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file) return file_error(path, errno);
  while (!bytes.empty()) {
    const ssize_t put = write(file.get(), bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return file_error(path, errno);
    bytes.remove_prefix(static_cast<usize>(put));
  }
  if (fcntl(file.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0)
    return file_error(path, errno);
  return file;
}

}  // namespace

struct Image::Impl {
  std::string path;      // for messages
  std::string source;    // where its bytes are
  vfs::Descriptor held;  // the bytes that were checked, if any were
  std::shared_ptr<vfs::Directory> files;
  ImageManifest manifest;
  bool is_signed = false;

  // A member; at most so many bytes.
  [[nodiscard]] Result<std::string> read(std::string_view name, u64 most) const {
    return read_in(*files, name, most);
  }
  [[nodiscard]] Result<std::string> read_in(vfs::Directory& from, std::string_view name,
                                            u64 most) const {
    const auto opened = from.open(name, vfs::open_nofollow, {true, false}, vfs::Wait::allowed);
    const auto* const object = std::get_if<std::shared_ptr<cap::Object>>(&opened);
    const std::string place = path + ": " + std::string(name);
    if (object == nullptr || (*object)->kind() != cap::Kind::file) {
      return Error{ErrorCode::malformed, place, "the image has no such file"};
    }
    auto& file = static_cast<vfs::File&>(**object);
    const auto stat = file.stat(vfs::Wait::allowed);
    const auto* const known = std::get_if<vfs::Stat>(&stat);
    if (known == nullptr || known->size > most) {
      return Error{ErrorCode::limit, place, fmt::format("has more than {} bytes", most)};
    }
    std::string bytes(known->size, '\0');
    for (usize at = 0; at < bytes.size();) {
      const auto got = file.read({reinterpret_cast<u8*>(bytes.data()) + at, bytes.size() - at}, at,
                                 vfs::Wait::allowed);
      const u32* const size = std::get_if<u32>(&got);
      if (size == nullptr || *size == 0) return Error{ErrorCode::io, place, "can't be read"};
      at += *size;
    }
    return bytes;
  }
};

bool Image::is_image(const std::string& path) { return vfs::is_image(path); }
const ImageManifest& Image::manifest() const noexcept { return impl_->manifest; }
bool Image::is_signed() const noexcept { return impl_->is_signed; }
Result<std::string> Image::module_bytes() const {
  return impl_->read(vfs::image_module, max_module_bytes);
}

Result<std::string> Image::file_bytes(const std::string& path) const {
  const auto opened = impl_->files->open(vfs::image_root, vfs::open_directory | vfs::open_nofollow,
                                         {}, vfs::Wait::allowed);
  const auto* const root = std::get_if<std::shared_ptr<cap::Object>>(&opened);
  const Error missing{ErrorCode::not_found, impl_->path + ": " + path, "there is no such file"};
  if (root == nullptr) return missing;
  auto bytes = impl_->read_in(static_cast<vfs::Directory&>(**root),
                              std::string_view(path).substr(path.starts_with('/') ? 1 : 0),
                              max_module_bytes);
  return bytes || bytes.error().code != ErrorCode::malformed ? bytes : missing;
}

Result<std::vector<ImageFile>> Image::files() const {
  std::vector<ImageFile> result;
  if (!impl_->manifest.has_root) return result;
  const auto broken = [this](const std::string& path) {
    return Error{ErrorCode::io, impl_->path + ": " + path, "can't be read"};
  };
  u64 taken = 0;
  std::vector<std::string> folders{""};
  while (!folders.empty()) {
    const std::string folder = std::move(folders.back());
    folders.pop_back();
    const auto opened =
        impl_->files->open(std::string(vfs::image_root) + folder,
                           vfs::open_directory | vfs::open_nofollow, {}, vfs::Wait::allowed);
    const auto* const object = std::get_if<std::shared_ptr<cap::Object>>(&opened);
    if (object == nullptr) return broken(folder);
    auto& directory = static_cast<vfs::Directory&>(**object);
    for (u64 cookie = 0;;) {
      const auto listed = directory.list(cookie, 1 << 16, vfs::Wait::allowed);
      const auto* const entries = std::get_if<std::vector<vfs::Entry>>(&listed);
      if (entries == nullptr) return broken(folder);
      if (entries->empty()) break;
      cookie = entries->back().next;
      for (const vfs::Entry& each : *entries) {
        ImageFile file{folder + '/' + each.name};
        if (each.type == vfs::FileType::directory) {
          file.type = ImageFile::Type::directory;
          folders.push_back(file.path);
        } else if (each.type == vfs::FileType::link) {
          file.type = ImageFile::Type::link;
          auto target = directory.read_link(each.name, vfs::Wait::allowed);
          if (std::holds_alternative<vfs::Errno>(target)) return broken(file.path);
          file.target = std::get<std::string>(std::move(target));
        } else {
          const auto stat = directory.stat(each.name, false, vfs::Wait::allowed);
          if (std::holds_alternative<vfs::Errno>(stat)) return broken(file.path);
          file.size = std::get<vfs::Stat>(stat).size;
        }
        taken += file.path.size() + file.target.size();
        if (taken > max_listed_bytes) {
          return Error{ErrorCode::limit, impl_->path, "its paths take more than 64 MiB"};
        }
        result.push_back(std::move(file));
      }
    }
  }
  std::ranges::sort(result, {}, &ImageFile::path);
  return result;
}

Result<Image> Image::open(const std::string& path, std::string_view public_key) {
  const vfs::Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status{};
  if (!file || fstat(file.get(), &status) != 0) return file_error(path, errno);
  if (!vfs::is_image(path)) {
    return Error{ErrorCode::malformed, path, "it is no image; `atoll pack` makes one"};
  }
  auto impl = std::make_shared<Impl>();
  impl->path = impl->source = path;
  const u64 size = static_cast<u64>(status.st_size);
  if (size >= tail_bytes) {
    std::string tail(tail_bytes, '\0');
    const ssize_t got =
        pread(file.get(), tail.data(), tail.size(), static_cast<off_t>(size - tail_bytes));
    impl->is_signed = got == ssize_t{tail_bytes} && is_tail(tail);
  }
  if (!public_key.empty()) {
    if (size > max_image) return Error{ErrorCode::limit, path, "an image has at most 1 GiB"};
    Result<std::string> bytes = read_all(file.get(), path, size);
    if (!bytes) return std::move(bytes).error();
    const std::string_view all = *bytes;
    if (all.size() < tail_bytes || !is_tail(all.substr(all.size() - tail_bytes))) {
      return Error{ErrorCode::denied, path,
                   "it has no signature; `atoll pack --sign KEY` makes one"};
    }
    const auto checked = check_signature(
        all.substr(0, all.size() - tail_bytes),
        all.substr(all.size() - tail_bytes + tar_block, signature_bytes), public_key);
    if (!checked) {
      Error error = to_public(checked.error());
      if (error.code == ErrorCode::denied) error.place = path;
      return error;
    }
    Result<vfs::Descriptor> held = sealed(path, all);
    if (!held) return std::move(held).error();
    impl->held = *std::move(held);
    impl->source = fmt::format("/proc/self/fd/{}", impl->held.get());
  }
  auto files = vfs::open_archive(impl->source, {});
  if (!files) {
    Error error = to_public(std::move(files).error());
    if (error.place == impl->source) error.place = path;
    return error;
  }
  impl->files = *std::move(files);
  const Result<std::string> text = impl->read(vfs::image_manifest, max_manifest_bytes);
  if (!text) return text.error();
  auto manifest = read_manifest(path + ": " + std::string(vfs::image_manifest), *text);
  if (!manifest) return to_public(std::move(manifest).error());
  impl->manifest = *std::move(manifest);
  const bool has_root = std::holds_alternative<std::shared_ptr<cap::Object>>(impl->files->open(
      vfs::image_root, vfs::open_directory | vfs::open_nofollow, {}, vfs::Wait::allowed));
  if (has_root != impl->manifest.has_root) {
    return Error{ErrorCode::malformed, path,
                 has_root ? "it has a `root` that its manifest does not tell of"
                          : "it has no `root`, but its manifest tells of one"};
  }
  return Image(std::move(impl));
}

std::optional<Error> Image::apply(std::span<const ImageGrant> grants,
                                  ProcessOptions& options) const {
  const ImageManifest& manifest = impl_->manifest;
  // What nobody was asked for is no more than a mount has by itself.
  const auto unasked = [](const std::optional<u64>& bytes) {
    return bytes ? std::optional(std::min(*bytes, vfs::MemoryLimits().bytes)) : bytes;
  };
  std::vector<Mount> mounts;
  if (manifest.has_root) {
    Mount root{manifest.is_overlay ? "overlay" : "image", impl_->source, "/"};
    root.writable = manifest.is_overlay;
    root.bytes = unasked(manifest.bytes);
    mounts.push_back(std::move(root));
  }
  for (const ImageGrant& grant : grants) {
    const auto same = [&](const auto& each) { return each.guest == grant.guest; };
    if (std::ranges::none_of(manifest.mounts, same)) {
      return Error{
          ErrorCode::usage, grant.guest,
          "the image asks for nothing of this name; `atoll pack --show` lists what it does"};
    }
    if (std::ranges::count_if(grants, same) > 1) {
      return Error{ErrorCode::usage, grant.guest, "is granted twice"};
    }
  }
  for (const ImageMount& each : manifest.mounts) {
    const auto grant = std::ranges::find(grants, each.guest, &ImageGrant::guest);
    const bool is_memory = each.type == "memory";
    if (grant == grants.end() && !is_memory) {
      if (!each.is_required) continue;
      return Error{ErrorCode::denied, impl_->path,
                   fmt::format("it needs {}{}{}: give it one by `--grant {}=PATH`", each.guest,
                               each.about.empty() ? "" : ", ", each.about, each.guest)};
    }
    Mount mount{each.type, grant == grants.end() ? "" : grant->source, each.guest};
    mount.writable =
        each.writable && each.type != "archive" && (grant == grants.end() || grant->writable);
    mount.bytes = each.bytes;
    if (is_memory && grant == grants.end()) mount.bytes = unasked(each.bytes);
    mounts.push_back(std::move(mount));
  }
  options.mounts.insert(options.mounts.begin(), mounts.begin(), mounts.end());
  if (options.arguments.empty()) options.arguments.push_back(manifest.name);
  if (options.arguments.size() == 1) {
    options.arguments.insert(options.arguments.end(), manifest.arguments.begin(),
                             manifest.arguments.end());
  }
  for (const auto& [key, value] : manifest.environment) {
    const auto same = [&key](const auto& own) { return own.first == key; };
    if (std::ranges::none_of(options.environment, same)) {
      options.environment.emplace_back(key, value);
    }
  }
  Limits& limits = options.limits;
  const auto lower = [](auto& limit, const std::optional<u64>& wanted) {
    if (wanted) limit = static_cast<std::decay_t<decltype(limit)>>(std::min<u64>(limit, *wanted));
  };
  lower(limits.memory_bytes, manifest.memory_bytes);
  lower(limits.stack_bytes, manifest.stack_bytes);
  lower(limits.handles, manifest.handles);
  if (manifest.fuel) limits.fuel = std::min(limits.fuel.value_or(*manifest.fuel), *manifest.fuel);
  return std::nullopt;
}

}  // namespace atollvm
