#include "atoll/embed/state_folder.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <optional>

#include "scheduler/machine/spec.hpp"
#include "scheduler/snapshot/atomic_file.hpp"
#include "vm/base/utf8.hpp"

namespace atollvm {

using base::Error;
using base::ErrorCode;

namespace {

namespace fs = std::filesystem;

constexpr const char* record_name = "record";
constexpr std::string_view snapshot_suffix = ".snap";
constexpr usize max_record = 16 << 20;

Error failed(const std::string& path, int error) {
  return {ErrorCode::io, base::printable(path, 200), std::strerror(error)};
}

std::vector<std::string> entries_of(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator each(folder, error), end; !error && each != end;
       each.increment(error)) {
    names.push_back(each->path().filename().string());
  }
  return names;
}

base::Status make_folder(const std::string& path) {
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return failed(path, errno);
  return {};
}

base::Status sync_folder(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return failed(path, errno);
  const int error = fsync(fd) == 0 ? 0 : errno;
  close(fd);
  if (error != 0) return failed(path, error);
  return {};
}

std::optional<u64> snapshot_number(std::string_view name) {
  if (!name.ends_with(snapshot_suffix)) return std::nullopt;
  name.remove_suffix(snapshot_suffix.size());
  u64 number = 0;
  const auto [rest, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc() || rest != name.data() + name.size() || number > u64{1} << 62) {
    return std::nullopt;
  }
  return number;
}

}  // namespace

std::string StateFolder::machine(const std::string& name) const {
  return path_ + "/machines/" + name;
}

base::Result<std::unique_ptr<StateFolder>> StateFolder::open(const std::string& path) {
  std::unique_ptr<StateFolder> folder(new StateFolder(path));
  if (base::Status made = make_folder(path); !made) return std::move(made).error();
  struct stat status = {};
  if (stat(path.c_str(), &status) != 0) return failed(path, errno);
  // What is in it is trusted: it says which directories machines are granted.
  if (!S_ISDIR(status.st_mode) || status.st_uid != geteuid() || (status.st_mode & 022) != 0) {
    return Error{ErrorCode::usage, base::printable(path, 200),
                 "must be a folder of the server's user, in which nobody else may write"};
  }
  const std::string lock = path + "/lock";
  folder->lock_ = ::open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (folder->lock_ < 0) return failed(lock, errno);
  if (flock(folder->lock_, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return failed(lock, errno);
    return Error{ErrorCode::usage, base::printable(path, 200),
                 "another atoll keeps its machines there; choose another folder, or end that one"};
  }
  const std::string machines = path + "/machines";
  if (base::Status made = make_folder(machines); !made) return std::move(made).error();
  if (base::Status synced = sync_folder(path); !synced) return std::move(synced).error();
  for (const std::string& name : entries_of(machines)) {
    if (!machine::is_machine_name(name)) continue;
    const std::string own = folder->machine(name);
    for (const std::string& each : entries_of(own)) {
      if (snapshot::is_left_over(each)) unlink((own + "/" + each).c_str());
    }
    if (access((own + "/" + record_name).c_str(), F_OK) == 0) continue;
    folder->prune(name, 0);
    rmdir(own.c_str());
  }
  return folder;
}

StateFolder::~StateFolder() {
  if (lock_ >= 0) close(lock_);
}

base::Result<std::vector<std::string>> StateFolder::machines() const {
  std::vector<std::string> names;
  for (std::string& name : entries_of(path_ + "/machines")) {
    if (!machine::is_machine_name(name)) continue;
    if (access((machine(name) + "/" + record_name).c_str(), F_OK) == 0) {
      names.push_back(std::move(name));
    }
  }
  std::ranges::sort(names);
  return names;
}

base::Result<std::string> StateFolder::read(const std::string& name) const {
  const std::string path = machine(name) + "/" + record_name;
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return failed(path, errno);
  std::string text;
  ssize_t got = 1;
  while (got > 0 && text.size() <= max_record) {
    const usize size = text.size();
    text.resize(size + (64 << 10));
    do {
      got = ::read(fd, text.data() + size, text.size() - size);
    } while (got < 0 && errno == EINTR);
    const int error = errno;
    text.resize(size + static_cast<usize>(std::max<ssize_t>(got, 0)));
    if (got < 0) {
      close(fd);
      return failed(path, error);
    }
  }
  close(fd);
  return text;
}

base::Status StateFolder::write(const std::string& name, std::string_view record) const {
  const std::string folder = machine(name);
  const bool is_new = access(folder.c_str(), F_OK) != 0;
  if (base::Status made = make_folder(folder); !made) return made;
  if (is_new) {
    if (base::Status synced = sync_folder(path_ + "/machines"); !synced) return synced;
  }
  auto file = snapshot::AtomicFile::create(folder + "/" + record_name);
  if (!file) return std::move(file).error();
  base::Status written =
      (*file)->write({reinterpret_cast<const u8*>(record.data()), record.size()});
  return written ? (*file)->commit() : written;
}

base::Status StateFolder::remove(const std::string& name) const {
  const std::string folder = machine(name);
  const std::string record = folder + "/" + record_name;
  if (unlink(record.c_str()) != 0 && errno != ENOENT) return failed(record, errno);
  if (base::Status synced = sync_folder(folder); !synced) return synced;
  prune(name, 0);
  if (rmdir(folder.c_str()) != 0) return failed(folder, errno);
  return {};
}

std::vector<u64> StateFolder::numbers(const std::string& name) const {
  std::vector<u64> found;
  for (const std::string& each : entries_of(machine(name))) {
    if (const auto number = snapshot_number(each)) found.push_back(*number);
  }
  std::ranges::sort(found, std::greater());
  return found;
}

std::vector<std::string> StateFolder::snapshots(const std::string& name) const {
  std::vector<std::string> paths;
  for (const u64 number : numbers(name)) {
    paths.push_back(fmt::format("{}/{}{}", machine(name), number, snapshot_suffix));
  }
  return paths;
}

std::string StateFolder::next_snapshot(const std::string& name) const {
  const std::vector<u64> all = numbers(name);
  return fmt::format("{}/{}{}", machine(name), all.empty() ? 1 : all.front() + 1, snapshot_suffix);
}

void StateFolder::prune(const std::string& name, usize kept) const {
  const std::vector<std::string> paths = snapshots(name);
  for (usize i = kept; i < paths.size(); ++i) unlink(paths[i].c_str());
}

}  // namespace atollvm
