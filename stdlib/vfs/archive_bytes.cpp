#include "stdlib/vfs/archive_bytes.hpp"

#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>

namespace atollvm::vfs {

Outcome<u32> HostBytes::read(std::span<u8> to, u64 at, Wait wait) const {
  if (at >= size_ || to.empty()) return u32{0};
  to = to.first(static_cast<usize>(std::min<u64>(to.size(), size_ - at)));
  const iovec part{to.data(), to.size()};
  const auto offset = static_cast<off_t>(at);
  ssize_t size = 0;
  do {
    size = wait == Wait::never ? preadv2(file_.get(), &part, 1, offset, RWF_NOWAIT)
                               : pread(file_.get(), to.data(), to.size(), offset);
  } while (size < 0 && errno == EINTR);
  if (size > 0) return static_cast<u32>(size);
  if (size == 0) return Errno::io;  // it was cut off
  if (wait == Wait::never && (errno == EOPNOTSUPP || errno == ENOSYS)) return Errno::again;
  return from_errno(errno);
}

void UnpackedBytes::append(std::span<const u8> bytes) {
  size_ += bytes.size();
  while (!bytes.empty()) {
    if (chunks_.empty() || chunks_.back().size() == chunk_size) chunks_.emplace_back();
    std::vector<u8>& last = chunks_.back();
    // What has begun a second chunk is large.
    if (chunks_.size() > 1) last.reserve(chunk_size);
    const auto some = bytes.first(std::min(bytes.size(), chunk_size - last.size()));
    last.insert(last.end(), some.begin(), some.end());
    bytes = bytes.subspan(some.size());
  }
}

Outcome<u32> UnpackedBytes::read(std::span<u8> to, u64 at, Wait) const {
  usize done = 0;
  while (done < to.size() && at < size_) {
    const std::vector<u8>& chunk = chunks_[static_cast<usize>(at / chunk_size)];
    const usize from = static_cast<usize>(at % chunk_size);
    const usize some = std::min(to.size() - done, chunk.size() - from);
    std::copy_n(chunk.begin() + static_cast<std::ptrdiff_t>(from), some,
                to.begin() + static_cast<std::ptrdiff_t>(done));
    done += some;
    at += some;
  }
  return static_cast<u32>(done);
}

}  // namespace atollvm::vfs
