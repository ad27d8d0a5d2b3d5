// The kernel keeps the position and moves it atomically, also for jobs in the pool.
#include "stdlib/vfs/host_file.hpp"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>

namespace atollvm::vfs {
namespace {

// Writes up to this size (bytes) go straight into the page cache where the file system can't say
// beforehand whether it would block.
constexpr usize direct_write = 1 << 16;

class HostFile final : public File {
 public:
  HostFile(Descriptor descriptor, Access access, bool append)
      : descriptor_(std::move(descriptor)), access_(access), append_(append) {}

  Outcome<u32> read(std::span<u8> bytes, std::optional<u64> at, Wait wait) override;
  Outcome<u32> write(std::span<const u8> bytes, std::optional<u64> at, WriteMode mode,
                     Wait wait) override;
  Outcome<u64> seek(i64 offset, u32 whence) override;
  Outcome<Stat> stat(Wait wait) override;
  Errno truncate(u64 size, Wait wait) override;
  Errno allocate(u64 at, u64 size, Wait wait) override;
  Errno advise(u64 at, u64 size, Advice advice, Wait wait) override;
  Errno sync(Durability durability, Wait wait) override;
  Errno set_times(const Times& times, Wait wait) override;
  [[nodiscard]] std::optional<Origin> origin() const override;

 private:
  Outcome<u32> write_blocking(std::span<const u8> bytes, std::optional<u64> at, WriteMode mode);

  Descriptor descriptor_;
  Access access_;
  bool append_;
  std::atomic<bool> can_try_write_{true};  // the file system knows RWF_NOWAIT for writes
};

// -1 is the kernel's word for the position.
constexpr off_t own_position = -1;

bool is_offset(std::optional<u64> at) { return !at || *at <= static_cast<u64>(INT64_MAX); }
// Of bytes at a place, those that end below 2^63: the kernel refuses all otherwise.
template <class Bytes>
Bytes below_most(Bytes bytes, std::optional<u64> at) {
  if (!at) return bytes;
  return bytes.first(
      static_cast<usize>(std::min<u64>(bytes.size(), static_cast<u64>(INT64_MAX) - *at)));
}
off_t to_offset(std::optional<u64> at) { return at ? static_cast<off_t>(*at) : own_position; }

// Runs a call until no signal interrupts it.
template <class Call>
ssize_t uninterrupted(const Call& call) {
  ssize_t result = 0;
  do {
    result = call();
  } while (result < 0 && errno == EINTR);
  return result;
}

// The kernel or the file system does not know the flag.
bool is_unknown(int error) { return error == EOPNOTSUPP || error == ENOSYS; }

Outcome<u32> HostFile::read(std::span<u8> bytes, std::optional<u64> at, Wait wait) {
  if (!access_.read) return Errno::badf;
  if (!is_offset(at)) return Errno::inval;
  bytes = below_most(bytes, at);
  const iovec part{bytes.data(), bytes.size()};
  const int fd = descriptor_.get();
  const ssize_t size = uninterrupted([&] {
    if (wait == Wait::never) return preadv2(fd, &part, 1, to_offset(at), RWF_NOWAIT);
    return at ? pread(fd, bytes.data(), bytes.size(), to_offset(at))
              : ::read(fd, bytes.data(), bytes.size());
  });
  if (size >= 0) return static_cast<u32>(size);
  if (wait == Wait::never && is_unknown(errno)) return Errno::again;
  return from_errno(errno);
}

Outcome<u32> HostFile::write(std::span<const u8> bytes, std::optional<u64> at, WriteMode mode,
                             Wait wait) {
  if (!access_.write) return Errno::badf;
  if (!is_offset(at)) return Errno::inval;
  if (!bytes.empty() && at == static_cast<u64>(INT64_MAX)) return Errno::fbig;
  bytes = below_most(bytes, at);
  mode.append = !at && (mode.append || append_);
  if (wait == Wait::allowed) return write_blocking(bytes, at, mode);
  if (mode.durability != Durability::none) return Errno::again;
  if (can_try_write_.load(std::memory_order_relaxed)) {
    const iovec part{const_cast<u8*>(bytes.data()), bytes.size()};
    const int flags = RWF_NOWAIT | (mode.append ? RWF_APPEND : 0);
    const ssize_t size =
        uninterrupted([&] { return pwritev2(descriptor_.get(), &part, 1, to_offset(at), flags); });
    if (size >= 0) return static_cast<u32>(size);
    if (!is_unknown(errno)) return from_errno(errno);
    can_try_write_.store(false, std::memory_order_relaxed);
  }
  if (bytes.size() > direct_write) return Errno::again;
  return write_blocking(bytes, at, mode);
}

Outcome<u32> HostFile::write_blocking(std::span<const u8> bytes, std::optional<u64> at,
                                      WriteMode mode) {
  const iovec part{const_cast<u8*>(bytes.data()), bytes.size()};
  const int fd = descriptor_.get();
  const ssize_t size = uninterrupted([&] {
    if (at) return pwrite(fd, bytes.data(), bytes.size(), to_offset(at));
    if (!mode.append) return ::write(fd, bytes.data(), bytes.size());
    const ssize_t appended = pwritev2(fd, &part, 1, own_position, RWF_APPEND);
    if (appended >= 0 || !is_unknown(errno)) return appended;
    // Without the flag (emulators) others could write between these two.
    if (lseek(fd, 0, SEEK_END) < 0) return ssize_t{-1};
    return ::write(fd, bytes.data(), bytes.size());
  });
  if (size < 0) return from_errno(errno);
  if (mode.durability != Durability::none) {
    const Errno error = sync(mode.durability, Wait::allowed);
    if (error != Errno::success) return error;
  }
  return static_cast<u32>(size);
}

Outcome<u64> HostFile::seek(i64 offset, u32 whence) {
  if (whence > 2) return Errno::inval;
  constexpr std::array<int, 3> from{SEEK_SET, SEEK_CUR, SEEK_END};
  const off_t position = lseek(descriptor_.get(), offset, from[whence]);
  return position >= 0 ? Outcome<u64>(static_cast<u64>(position)) : from_errno(errno);
}

std::optional<Origin> HostFile::origin() const {
  auto path = path_of(descriptor_.get());
  if (!path) return std::nullopt;
  return Origin{*std::move(path), access_, append_};
}

Outcome<Stat> HostFile::stat(Wait) {
  struct stat status{};
  if (fstat(descriptor_.get(), &status) != 0) return from_errno(errno);
  return from_stat(status);
}

Errno HostFile::truncate(u64 size, Wait wait) {
  if (!access_.write) return Errno::badf;
  if (size > static_cast<u64>(INT64_MAX)) return Errno::fbig;
  if (wait == Wait::never) return Errno::again;
  return ftruncate(descriptor_.get(), static_cast<off_t>(size)) == 0 ? Errno::success
                                                                     : from_errno(errno);
}

Errno HostFile::allocate(u64 at, u64 size, Wait wait) {
  if (!access_.write) return Errno::badf;
  if (size == 0) return Errno::inval;
  constexpr u64 most = static_cast<u64>(INT64_MAX);
  if (at > most || size > most - at) return Errno::fbig;
  if (wait == Wait::never) return Errno::again;
  const int error = static_cast<int>(uninterrupted([&] {
    return fallocate(descriptor_.get(), 0, static_cast<off_t>(at), static_cast<off_t>(size));
  }));
  return error == 0 ? Errno::success : from_errno(errno);
}

Errno HostFile::advise(u64 at, u64 size, Advice advice, Wait wait) {
  constexpr u64 most = static_cast<u64>(INT64_MAX);
  if (at > most || size > most - at) return Errno::inval;
  if (wait == Wait::never) return Errno::again;
  constexpr std::array<int, 6> kernel{POSIX_FADV_NORMAL,   POSIX_FADV_SEQUENTIAL,
                                      POSIX_FADV_RANDOM,   POSIX_FADV_WILLNEED,
                                      POSIX_FADV_DONTNEED, POSIX_FADV_NOREUSE};
  return from_errno(posix_fadvise(descriptor_.get(), static_cast<off_t>(at),
                                  static_cast<off_t>(size), kernel[static_cast<usize>(advice)]));
}

Errno HostFile::sync(Durability durability, Wait wait) {
  if (wait == Wait::never) return Errno::again;
  const int fd = descriptor_.get();
  const int error = durability == Durability::data ? fdatasync(fd) : fsync(fd);
  return error == 0 ? Errno::success : from_errno(errno);
}

Errno HostFile::set_times(const Times& times, Wait wait) {
  if (wait == Wait::never) return Errno::again;
  const std::array<timespec, 2> values = to_timespecs(times);
  return futimens(descriptor_.get(), values.data()) == 0 ? Errno::success : from_errno(errno);
}

}  // namespace

std::shared_ptr<File> make_host_file(Descriptor descriptor, Access access, bool append) {
  return std::make_shared<HostFile>(std::move(descriptor), access, append);
}

std::array<timespec, 2> to_timespecs(const Times& times) {
  const auto convert = [](std::optional<i64> time, bool now) {
    constexpr i64 second = 1'000'000'000;
    if (now) return timespec{0, UTIME_NOW};
    if (!time) return timespec{0, UTIME_OMIT};
    const i64 before = *time % second < 0 ? 1 : 0;  // seconds round down
    return timespec{static_cast<time_t>(*time / second - before),
                    static_cast<long>(*time % second + before * second)};
  };
  return {convert(times.accessed_ns, times.accessed_now),
          convert(times.modified_ns, times.modified_now)};
}

}  // namespace atollvm::vfs
