#include "stdlib/vfs/host_directory.hpp"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <mutex>

#include "stdlib/vfs/host_file.hpp"
#include "stdlib/vfs/host_watch.hpp"
#include "stdlib/vfs/path.hpp"

namespace atollvm::vfs {
namespace {

// Its address says that a directory is one of ours.
constexpr char host_file_system = 0;

// A place for a name.
struct Place {
  Descriptor parent;  // none: the directory itself
  std::string name;   // one name, neither "." nor ".."
  bool must_be_directory = false;
};

class HostDirectory final : public Directory {
 public:
  HostDirectory(Descriptor directory, Resolver resolver)
      : directory_(std::move(directory)), resolver_(resolver) {}

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
  Errno sync(Wait wait) override;
  Outcome<std::shared_ptr<Watch>> watch(std::string_view path, Wait wait) override;
  [[nodiscard]] std::optional<Origin> origin() const override;
  [[nodiscard]] std::string_view type_name() const override { return "dir"; }
  [[nodiscard]] const void* file_system() const override { return &host_file_system; }

 private:
  Outcome<Descriptor> open_path(std::string_view path, int flags, Wait wait);
  Outcome<Place> find_place(std::string_view path, Errno dots, Wait wait);
  [[nodiscard]] int parent_of(const Place& place) const {
    return place.parent ? place.parent.get() : directory_.get();
  }
  Errno check_directory(const Place& place);
  Errno remove(std::string_view path, int flags, Wait wait);

  Descriptor directory_;  // perhaps O_PATH: only to start from
  Resolver resolver_;
  std::mutex listing_mutex_;
  Descriptor listing_;  // for entries: opened when first asked
};

Outcome<Descriptor> HostDirectory::open_path(std::string_view path, int flags, Wait wait) {
  if (const Errno error = check_path(path); error != Errno::success) return error;
  return open_beneath(resolver_, directory_.get(), std::string(path), flags, 0666, wait);
}

Outcome<std::shared_ptr<cap::Object>> HostDirectory::open(std::string_view path, u32 flags,
                                                          Access access, Wait wait) {
  const bool create = (flags & open_create) != 0;
  const bool directory = (flags & open_directory) != 0;
  const bool truncate = (flags & open_truncate) != 0;
  if (const Errno error = check_open(path, flags, access); error != Errno::success) return error;
  // Nothing is cached that does not exist yet, and the kernel does not create without waiting.
  if (wait == Wait::never && (create || truncate)) return Errno::again;

  // A device or pipe must not make the call wait, nor become the controlling terminal; what it
  // turned out to be is looked at before anybody gets to use it.
  int how = O_NONBLOCK | O_NOCTTY;
  if (access.write || truncate) {
    how |= access.read ? O_RDWR : O_WRONLY;
  } else {
    how |= O_RDONLY;
  }
  if (create) how |= O_CREAT;
  if ((flags & open_exclusive) != 0) how |= O_EXCL;
  if (directory) how |= O_DIRECTORY;
  if ((flags & open_nofollow) != 0) how |= O_NOFOLLOW;
  Outcome<Descriptor> opened = open_path(path, how, wait);
  if (const Errno* error = std::get_if<Errno>(&opened)) return *error;
  Descriptor& descriptor = std::get<Descriptor>(opened);
  struct stat status{};
  if (fstat(descriptor.get(), &status) != 0) return from_errno(errno);
  if (S_ISDIR(status.st_mode)) {
    return std::make_shared<HostDirectory>(std::move(descriptor), resolver_);
  }
  if (!S_ISREG(status.st_mode)) return Errno::notsup;
  if (truncate && ftruncate(descriptor.get(), 0) != 0) return from_errno(errno);
  return make_host_file(std::move(descriptor), access, (flags & open_append) != 0);
}

Outcome<Stat> HostDirectory::stat(std::string_view path, bool follow, Wait wait) {
  Outcome<Descriptor> opened = open_path(path, O_PATH | (follow ? 0 : O_NOFOLLOW), wait);
  if (const Errno* error = std::get_if<Errno>(&opened)) return *error;
  struct stat status{};
  if (fstat(std::get<Descriptor>(opened).get(), &status) != 0) return from_errno(errno);
  return from_stat(status);
}

Errno HostDirectory::set_times(std::string_view path, bool follow, const Times& times, Wait wait) {
  if (wait == Wait::never) return Errno::again;
  Outcome<Descriptor> opened = open_path(path, O_PATH | (follow ? 0 : O_NOFOLLOW), wait);
  if (const Errno* error = std::get_if<Errno>(&opened)) return *error;
  const std::array<timespec, 2> values = to_timespecs(times);
  const int fd = std::get<Descriptor>(opened).get();
  if (utimensat(fd, "", values.data(), AT_EMPTY_PATH) == 0) return Errno::success;
  return from_errno(errno);
}

Outcome<std::vector<Entry>> HostDirectory::list(u64 cookie, u32 bytes, Wait wait) {
  if (cookie > static_cast<u64>(INT64_MAX)) return Errno::inval;
  if (wait == Wait::never) return Errno::again;
  const std::lock_guard lock(listing_mutex_);
  if (!listing_) {
    const int fd = openat(directory_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) return std::vector<Entry>{};  // it was removed
    if (fd < 0) return from_errno(errno);
    listing_ = Descriptor(fd);
  }
  if (lseek(listing_.get(), static_cast<off_t>(cookie), SEEK_SET) < 0) return from_errno(errno);
  // As the kernel lays them out: linux_dirent64.
  struct Header {
    u64 inode;
    i64 next;
    u16 size;
    u8 type;
  };
  constexpr usize name_offset = offsetof(Header, type) + 1;
  std::vector<Entry> entries;
  std::vector<char> buffer(std::clamp<u32>(bytes, 4096, 1 << 16));
  while (entries.empty()) {
    const long size = syscall(SYS_getdents64, listing_.get(), buffer.data(), buffer.size());
    if (size == 0 || (size < 0 && errno == ENOENT)) break;  // the end, or it was removed
    if (size < 0) return from_errno(errno);
    for (usize at = 0; at + name_offset < static_cast<usize>(size);) {
      Header header;
      memcpy(&header, buffer.data() + at, name_offset);
      const char* const name = buffer.data() + at + name_offset;
      if (header.size <= name_offset || header.size > static_cast<usize>(size) - at) break;
      const std::string_view text(name, strnlen(name, header.size - name_offset));
      at += header.size;
      if (text == "." || text == "..") continue;
      Entry entry{static_cast<u64>(header.next), header.inode, FileType::unknown,
                  std::string(text)};
      switch (header.type) {
        case DT_BLK:
          entry.type = FileType::block;
          break;
        case DT_CHR:
          entry.type = FileType::character;
          break;
        case DT_DIR:
          entry.type = FileType::directory;
          break;
        case DT_LNK:
          entry.type = FileType::link;
          break;
        case DT_REG:
          entry.type = FileType::regular;
          break;
        case DT_SOCK:
          entry.type = FileType::socket;
          break;
        default:
          break;
      }
      entries.push_back(std::move(entry));
    }
  }
  return entries;
}

// `dots`: the error for a path whose last name is "." or "..", which name no place for a new name,
// but a directory that is there.
Outcome<Place> HostDirectory::find_place(std::string_view path, Errno dots, Wait wait) {
  if (const Errno error = check_path(path); error != Errno::success) return error;
  const LastName last = split_last(path);
  if (last.is_dots()) {
    // Whether it leads outside is for the resolver to say.
    const Outcome<Descriptor> opened = open_path(last.whole(), O_PATH, wait);
    const Errno* const error = std::get_if<Errno>(&opened);
    return error != nullptr ? *error : dots;
  }
  Place place{{}, std::string(last.name), last.must_be_directory};
  if (!last.folder.empty()) {
    Outcome<Descriptor> parent = open_path(last.folder, O_PATH | O_DIRECTORY, wait);
    if (const Errno* error = std::get_if<Errno>(&parent)) return *error;
    place.parent = std::move(std::get<Descriptor>(parent));
  }
  return place;
}

// For names with a trailing slash, where the system call gets the bare name.
Errno HostDirectory::check_directory(const Place& place) {
  if (!place.must_be_directory) return Errno::success;
  struct stat status{};
  if (fstatat(parent_of(place), place.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    return from_errno(errno);
  }
  return S_ISDIR(status.st_mode) ? Errno::success : Errno::notdir;
}

Errno HostDirectory::make_directory(std::string_view path, Wait wait) {
  if (wait == Wait::never) return Errno::again;
  const Outcome<Place> found = find_place(path, Errno::exist, wait);
  if (const Errno* error = std::get_if<Errno>(&found)) return *error;
  const Place& place = std::get<Place>(found);
  return mkdirat(parent_of(place), place.name.c_str(), 0777) == 0 ? Errno::success
                                                                  : from_errno(errno);
}

Errno HostDirectory::remove(std::string_view path, int flags, Wait wait) {
  if (wait == Wait::never) return Errno::again;
  const Errno dots = flags == AT_REMOVEDIR ? Errno::inval : Errno::isdir;
  const Outcome<Place> found = find_place(path, dots, wait);
  if (const Errno* error = std::get_if<Errno>(&found)) return *error;
  const Place& place = std::get<Place>(found);
  if (const Errno error = check_directory(place); error != Errno::success) return error;
  return unlinkat(parent_of(place), place.name.c_str(), flags) == 0 ? Errno::success
                                                                    : from_errno(errno);
}

Errno HostDirectory::remove_file(std::string_view path, Wait wait) { return remove(path, 0, wait); }

Errno HostDirectory::remove_directory(std::string_view path, Wait wait) {
  return remove(path, AT_REMOVEDIR, wait);
}

Errno HostDirectory::rename(std::string_view path, Directory& to, std::string_view to_path,
                            Wait wait) {
  if (wait == Wait::never) return Errno::again;
  if (to.file_system() != file_system()) return Errno::xdev;
  auto& target = static_cast<HostDirectory&>(to);
  Outcome<Place> from = find_place(path, Errno::busy, wait);
  if (const Errno* error = std::get_if<Errno>(&from)) return *error;
  const Outcome<Place> onto = target.find_place(to_path, Errno::busy, wait);
  if (const Errno* error = std::get_if<Errno>(&onto)) return *error;
  Place source = std::move(std::get<Place>(from));
  const Place& place = std::get<Place>(onto);
  source.must_be_directory |= place.must_be_directory;
  if (const Errno error = check_directory(source); error != Errno::success) return error;
  return renameat(parent_of(source), source.name.c_str(), target.parent_of(place),
                  place.name.c_str()) == 0
             ? Errno::success
             : from_errno(errno);
}

Errno HostDirectory::link(std::string_view path, Directory& to, std::string_view to_path,
                          Wait wait) {
  if (wait == Wait::never) return Errno::again;
  if (to.file_system() != file_system()) return Errno::xdev;
  auto& target = static_cast<HostDirectory&>(to);
  const Outcome<Place> from = find_place(path, Errno::perm, wait);
  if (const Errno* error = std::get_if<Errno>(&from)) return *error;
  const Outcome<Place> onto = target.find_place(to_path, Errno::exist, wait);
  if (const Errno* error = std::get_if<Errno>(&onto)) return *error;
  const Place& source = std::get<Place>(from);
  const Place& place = std::get<Place>(onto);
  if (const Errno error = check_directory(source); error != Errno::success) return error;
  if (const Errno error = target.check_directory(place); error != Errno::success) return error;
  return linkat(parent_of(source), source.name.c_str(), target.parent_of(place), place.name.c_str(),
                0) == 0
             ? Errno::success
             : from_errno(errno);
}

Errno HostDirectory::make_link(std::string_view target, std::string_view path, Wait wait) {
  // A target is a path that may lead anywhere but must not be absolute: programs outside may
  // follow it. What it leads to is looked at when it is followed.
  if (const Errno error = check_path(target); error != Errno::success) return error;
  if (wait == Wait::never) return Errno::again;
  const Outcome<Place> found = find_place(path, Errno::exist, wait);
  if (const Errno* error = std::get_if<Errno>(&found)) return *error;
  const Place& place = std::get<Place>(found);
  if (const Errno error = check_directory(place); error != Errno::success) return error;
  return symlinkat(std::string(target).c_str(), parent_of(place), place.name.c_str()) == 0
             ? Errno::success
             : from_errno(errno);
}

Outcome<std::string> HostDirectory::read_link(std::string_view path, Wait wait) {
  Outcome<Descriptor> opened = open_path(path, O_PATH | O_NOFOLLOW, wait);
  if (const Errno* error = std::get_if<Errno>(&opened)) return *error;
  std::array<char, max_path + 1> text;
  const ssize_t size = readlinkat(std::get<Descriptor>(opened).get(), "", text.data(), text.size());
  // The empty path gives ENOENT for what is not a link.
  if (size < 0) return errno == ENOENT ? Errno::inval : from_errno(errno);
  return std::string(text.data(), static_cast<usize>(size));
}

std::optional<Origin> HostDirectory::origin() const {
  auto path = path_of(directory_.get());
  if (!path) return std::nullopt;
  return Origin{*std::move(path)};
}

Errno HostDirectory::sync(Wait wait) {
  if (wait == Wait::never) return Errno::again;
  const Descriptor readable(openat(directory_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!readable) return from_errno(errno);
  return fsync(readable.get()) == 0 ? Errno::success : from_errno(errno);
}

Outcome<std::shared_ptr<Watch>> HostDirectory::watch(std::string_view path, Wait wait) {
  if (wait == Wait::never) return Errno::again;
  const Outcome<Descriptor> opened = open_path(path, O_PATH | O_DIRECTORY, wait);
  if (const auto* folder = std::get_if<Descriptor>(&opened)) {
    return watch_host_directory(folder->get(), {});
  }
  const Errno error = std::get<Errno>(opened);
  // It is no directory, and no link to one.
  if (error != Errno::notdir && error != Errno::noent && error != Errno::loop) return error;
  const Outcome<Place> found = find_place(path, error, wait);
  if (const Errno* other = std::get_if<Errno>(&found)) return *other;
  const Place& place = std::get<Place>(found);
  struct stat status{};
  if (place.must_be_directory) return error;
  if (fstatat(parent_of(place), place.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    return from_errno(errno);
  }
  return watch_host_directory(parent_of(place), place.name);
}

}  // namespace

base::Result<std::shared_ptr<Directory>> open_host_directory(const std::string& path,
                                                             Resolver resolver) {
  const auto refuse = [&path](int error) {
    return base::Error{error == ENOENT ? base::ErrorCode::not_found : base::ErrorCode::io, path,
                       strerror(error)};
  };
  if (path.find('\0') != std::string::npos) return refuse(ENOENT);
  const int fd = open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return refuse(errno);
  std::shared_ptr<Directory> directory = std::make_shared<HostDirectory>(Descriptor(fd), resolver);
  return directory;
}

}  // namespace atollvm::vfs
