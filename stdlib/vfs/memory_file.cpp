// Files in memory: their bytes have one lock, and each open file's position another one.
#include <algorithm>

#include "stdlib/vfs/memory_objects.hpp"

namespace atollvm::vfs {
namespace {

constexpr u64 most_offset = static_cast<u64>(INT64_MAX);

}  // namespace

// The time of reading is set when it tells something: that it was read since it was written.
u32 MemoryFile::read_at(std::span<u8> to, u64 at) {
  const std::lock_guard lock(bytes_->mutex);
  const u32 size = bytes_->pages.read(to, at);
  if (bytes_->accessed_ns <= bytes_->modified_ns) bytes_->touch_accessed();
  return size;
}

Outcome<u32> MemoryFile::read(std::span<u8> to, std::optional<u64> at, Wait) {
  if (!access_.read) return Errno::badf;
  if (at) {
    if (*at > most_offset) return Errno::inval;
    return read_at(to, *at);
  }
  const std::lock_guard lock(position_mutex_);
  const u32 size = read_at(to, position_);
  position_ += size;
  return size;
}

Outcome<u32> MemoryFile::write(std::span<const u8> from, std::optional<u64> at, WriteMode mode,
                               Wait) {
  if (!access_.write) return Errno::badf;
  if (at && *at > most_offset) return Errno::inval;
  std::unique_lock<std::mutex> position;
  if (!at) position = std::unique_lock(position_mutex_);
  const std::lock_guard lock(bytes_->mutex);
  Pages& pages = bytes_->pages;
  const u64 start = at ? *at : mode.append || append_ ? pages.size() : position_;
  const Outcome<u32> written = pages.write(from, start);
  const u32* const size = std::get_if<u32>(&written);
  if (size == nullptr) return written;
  if (*size != 0) {
    bytes_->touch_modified();
    store_->watches->changed(place_);
  }
  if (!at) position_ = start + *size;
  return written;
}

Outcome<u64> MemoryFile::seek(i64 offset, u32 whence) {
  if (whence > 2) return Errno::inval;
  const std::lock_guard lock(position_mutex_);
  u64 from = whence == 1 ? position_ : 0;
  if (whence == 2) {
    const std::lock_guard bytes_lock(bytes_->mutex);
    from = bytes_->pages.size();
  }
  // Both are below 2^63, so this can't wrap.
  const u64 position = from + static_cast<u64>(offset);
  if (position > most_offset) return Errno::inval;
  position_ = position;
  return position;
}

MemoryFile::State MemoryFile::state() {
  const std::lock_guard lock(position_mutex_);
  return {bytes_, access_, append_, position_};
}

Errno MemoryFile::truncate(u64 size, Wait) {
  if (!access_.write) return Errno::badf;
  const std::lock_guard lock(bytes_->mutex);
  const Errno error = bytes_->pages.resize(size);
  if (error == Errno::success) {
    bytes_->touch_modified();
    store_->watches->changed(place_);
  }
  return error;
}

Errno MemoryFile::allocate(u64 at, u64 size, Wait) {
  if (!access_.write) return Errno::badf;
  if (size == 0) return Errno::inval;
  const std::lock_guard lock(bytes_->mutex);
  const Errno error = bytes_->pages.reserve(at, size);
  if (error == Errno::success) {
    bytes_->touch_modified();
    store_->watches->changed(place_);
  }
  return error;
}

Errno MemoryFile::advise(u64 at, u64 size, Advice, Wait) {
  return at > most_offset || size > most_offset - at ? Errno::inval : Errno::success;
}

std::shared_ptr<File> make_memory_file(std::shared_ptr<MemoryStore> store,
                                       std::shared_ptr<MemoryBytes> bytes, Access access,
                                       bool append, std::shared_ptr<Watches::Opened> place) {
  return std::make_shared<MemoryFile>(std::move(store), std::move(bytes), access, append,
                                      std::move(place));
}

}  // namespace atollvm::vfs
