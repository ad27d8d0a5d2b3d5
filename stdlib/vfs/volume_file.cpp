// Open files of a volume.
#include <algorithm>

#include "stdlib/vfs/volume_store.hpp"

namespace atollvm::vfs {
namespace {

constexpr u64 most_volume_offset = static_cast<u64>(INT64_MAX);
constexpr u64 most_volume_transfer = u64{4} << 20;  // bytes of one read or write
constexpr u64 blocks_ahead = 4;                     // that are read before they are asked for

class VolumeFile final : public File {
 public:
  VolumeFile(std::shared_ptr<VolumeNode> node, Access access, bool append,
             std::shared_ptr<Watches::Opened> place)
      : node_(std::move(node)),
        store_(*node_->store),
        place_(std::move(place)),
        access_(access),
        append_(append) {}

  Outcome<u32> read(std::span<u8> to, std::optional<u64> at, Wait wait) override;
  Outcome<u32> write(std::span<const u8> from, std::optional<u64> at, WriteMode mode,
                     Wait wait) override;
  Outcome<u64> seek(i64 offset, u32 whence) override;
  Outcome<Stat> stat(Wait wait) override;
  Errno truncate(u64 size, Wait wait) override;
  Errno allocate(u64 at, u64 size, Wait wait) override;
  Errno advise(u64 at, u64 size, Advice, Wait) override {
    return at > most_volume_offset || size > most_volume_offset - at ? Errno::inval
                                                                     : Errno::success;
  }
  Errno sync(Durability, Wait wait) override {
    return wait == Wait::never ? Errno::again : store_.sync();
  }
  Errno set_times(const Times& times, Wait wait) override;

 private:
  Outcome<u32> read_cached(std::span<u8> to, u64 at);
  Outcome<u32> read_at(std::span<u8> to, u64 at);
  void keep_blocks(u64 at, u64 end, u64 size);
  Outcome<u32> write_at(std::span<const u8> from, u64 at);
  void write_block(u64 block, u64 offset, std::span<const u8> from);
  // The row, which is there as long as the handle is.
  VolumeInode row();
  void note_change() { store_.watches().changed(place_); }

  const std::shared_ptr<VolumeNode> node_;
  VolumeStore& store_;
  const std::shared_ptr<Watches::Opened> place_;  // null: it is open to read only
  const Access access_;
  const bool append_;
  std::mutex mutex_;  // of what uses the position; taken before the volume's
  std::atomic<u64> position_ = 0;
  std::atomic<u64> next_ = 0;  // where the last read ended
};

VolumeInode VolumeFile::row() {
  auto found = store_.inode(node_->id);
  if (found && found->type == FileType::regular) return *found;
  store_.database().fail(Errno::io);
  return {};
}

Outcome<u32> VolumeFile::read_at(std::span<u8> to, u64 at) {
  return store_.read([&]() -> Outcome<u32> {
    const u64 size = node_->size;
    if (at >= size) return u32{0};
    const u64 all = std::min({u64{to.size()}, size - at, most_volume_transfer});
    if (store_.cache().read(node_->id, at, to.first(static_cast<usize>(all)))) {
      next_ = at + all;
      return static_cast<u32>(all);
    }
    for (u64 done = 0; done < all;) {
      const u64 block = (at + done) / volume_block;
      const u64 offset = (at + done) % volume_block;
      const auto part = to.subspan(static_cast<usize>(done),
                                   static_cast<usize>(std::min(all - done, volume_block - offset)));
      const u64 held = store_.database().read_block(volume_place(node_->id, block), offset, part);
      const u64 filled = held > offset ? std::min<u64>(held - offset, part.size()) : 0;
      std::fill(part.begin() + static_cast<i64>(filled), part.end(), u8{0});
      done += part.size();
    }
    if (!store_.database().has_failed()) keep_blocks(at, at + all, size);
    return static_cast<u32>(all);
  });
}

// What will be read next, if the reads follow one another, and what is read again. An error is that
// of who comes to read it.
void VolumeFile::keep_blocks(u64 at, u64 end, u64 size) {
  const bool follows = at == next_.exchange(end);
  if (follows && end == size) return;
  const u64 first = follows ? end / volume_block : at / volume_block;
  const u64 last = follows ? first + blocks_ahead : (end - 1) / volume_block;
  if (!follows && last - first > blocks_ahead) return;
  for (u64 block = first; block <= last && block * volume_block < size; ++block) {
    const i64 place = volume_place(node_->id, block);
    if ((!follows && !store_.cache().note(place)) || store_.cache().has(place)) continue;
    auto kept = std::make_shared_for_overwrite<VolumeCache::Block>();
    const u64 held = store_.database().read_block(place, 0, *kept);
    std::fill(kept->begin() + held, kept->end(), u8{0});
    if (store_.database().has_failed()) {
      static_cast<void>(store_.database().take_error());
      store_.note_loss();
      return;
    }
    store_.cache().put(place, std::move(kept));
  }
}

Outcome<u32> VolumeFile::read_cached(std::span<u8> to, u64 at) {
  const Outcome<u32> size = store_.try_read([&]() -> std::optional<u32> {
    const u64 all = node_->size;
    if (at >= all) return 0;
    const auto some = to.first(static_cast<usize>(std::min<u64>(to.size(), all - at)));
    if (!store_.cache().read(node_->id, at, some)) return std::nullopt;
    return static_cast<u32>(some.size());
  });
  if (const u32* const some = std::get_if<u32>(&size)) next_ = at + *some;
  return size;
}

Outcome<u32> VolumeFile::read(std::span<u8> to, std::optional<u64> at, Wait wait) {
  if (!access_.read) return Errno::badf;
  if (at && *at > most_volume_offset) return Errno::inval;
  const auto read_from = [&](u64 start) -> Outcome<u32> {
    return wait == Wait::allowed ? read_at(to, start) : read_cached(to, start);
  };
  if (at) return read_from(*at);
  std::unique_lock lock(mutex_, std::defer_lock);
  if (wait == Wait::allowed) {
    lock.lock();
  } else if (!lock.try_lock()) {
    return Errno::again;
  }
  u64 start = position_;
  const Outcome<u32> size = read_from(start);
  // A seek since then came after this read.
  if (const u32* const some = std::get_if<u32>(&size)) {
    position_.compare_exchange_strong(start, start + *some);
  }
  return size;
}

// What a row holds grows by doubling, so that a file that grows by small pieces is not copied for
// each.
void VolumeFile::write_block(u64 block, u64 offset, std::span<const u8> from) {
  VolumeDatabase& database = store_.database();
  const i64 place = volume_place(node_->id, block);
  store_.cache().drop(place, place);
  const u64 end = offset + from.size();
  if (offset == 0 && from.size() == volume_block) {
    VolumeRows(database, VolumeQuery::add_block, {place, from}).run();
    return;
  }
  u8 bytes[volume_block];
  const u64 held = database.read_block(place, 0, {});
  if (held >= end) {
    database.write_block(place, offset, from);
    return;
  }
  if (held != 0) database.read_block(place, 0, {bytes, static_cast<usize>(held)});
  u64 size = 256;
  while (size < end) size *= 2;
  std::fill(bytes + held, bytes + size, u8{0});
  std::copy(from.begin(), from.end(), bytes + offset);
  const std::span<const u8> all(bytes, static_cast<usize>(size));
  VolumeRows(database, VolumeQuery::add_block, {place, all}).run();
}

Outcome<u32> VolumeFile::write_at(std::span<const u8> from, u64 at) {
  VolumeInode inode = row();
  const u64 start = at;
  if (from.size() > most_volume_file || start > most_volume_file - from.size()) return Errno::fbig;
  for (u64 done = 0; done < from.size() && !store_.database().has_failed();) {
    const u64 offset = (start + done) % volume_block;
    const usize size = static_cast<usize>(std::min(from.size() - done, volume_block - offset));
    write_block((start + done) / volume_block, offset,
                from.subspan(static_cast<usize>(done), size));
    done += size;
  }
  inode.size = std::max(inode.size, static_cast<i64>(start + from.size()));
  inode.modified_ns = inode.changed_ns = volume_now();
  store_.put(inode);
  return static_cast<u32>(from.size());
}

Outcome<u32> VolumeFile::write(std::span<const u8> from, std::optional<u64> at, WriteMode mode,
                               Wait wait) {
  if (!access_.write) return Errno::badf;
  if (at && *at > most_volume_offset) return Errno::inval;
  if (wait == Wait::never) return Errno::again;
  from = from.first(static_cast<usize>(std::min<u64>(from.size(), most_volume_transfer)));
  std::unique_lock<std::mutex> position;
  if (!at) position = std::unique_lock(mutex_);
  u64 old = position_;
  u64 start = 0;
  const u64 pages = pages_of_blocks(from.size() / volume_block + 2);
  const Outcome<u32> written = store_.change(
      pages, from.size(),
      [&]() -> Outcome<u32> {
        start = at ? *at : mode.append || append_ ? node_->size.load() : old;
        return from.empty() ? Outcome<u32>(u32{0}) : write_at(from, start);
      },
      [&] {
        if (from.empty()) return;
        node_->size = std::max(node_->size.load(), start + from.size());
        note_change();
      });
  const u32* const size = std::get_if<u32>(&written);
  if (size == nullptr) return written;
  if (!at) position_.compare_exchange_strong(old, start + *size);
  if (mode.durability != Durability::none) {
    if (const Errno error = store_.sync(); error != Errno::success) return error;
  }
  return written;
}

Outcome<u64> VolumeFile::seek(i64 offset, u32 whence) {
  if (whence > 2) return Errno::inval;
  u64 position = 0;
  u64 old = position_;
  do {
    const u64 from = whence == 0 ? 0 : whence == 1 ? old : node_->size.load();
    position = from + static_cast<u64>(offset);
    if (position > most_volume_offset) return Errno::inval;
  } while (!position_.compare_exchange_weak(old, position));
  return position;
}

Outcome<Stat> VolumeFile::stat(Wait wait) {
  if (wait == Wait::never) return Errno::again;
  return store_.read([&]() -> Outcome<Stat> { return store_.stat_of(row()); });
}

Errno VolumeFile::truncate(u64 size, Wait wait) {
  if (!access_.write) return Errno::badf;
  if (size > most_volume_file) return Errno::fbig;
  if (wait == Wait::never) return Errno::again;
  return store_.change(
      size < node_->size ? volume_frees : volume_keeps, 0,
      [&] {
        VolumeInode inode = row();
        store_.cut(inode.id, static_cast<u64>(inode.size), size);
        inode.size = static_cast<i64>(size);
        inode.modified_ns = inode.changed_ns = volume_now();
        store_.put(inode);
        return Errno::success;
      },
      [&] {
        node_->size = size;
        note_change();
      });
}

Errno VolumeFile::allocate(u64 at, u64 size, Wait wait) {
  if (!access_.write) return Errno::badf;
  if (size == 0) return Errno::inval;
  if (size > most_volume_file || at > most_volume_file - size) return Errno::fbig;
  if (wait == Wait::never) return Errno::again;
  const u64 first = at / volume_block;
  const u64 last = (at + size - 1) / volume_block;
  return store_.change(
      pages_of_blocks(last - first + 1), size,
      [&] {
        VolumeInode inode = row();
        for (u64 block = first; block <= last && !store_.database().has_failed(); ++block) {
          const u64 begin = block == first ? at % volume_block : 0;
          const u64 end = block == last ? (at + size - 1) % volume_block + 1 : volume_block;
          const u64 held =
              store_.database().read_block(volume_place(inode.id, block), 0, std::span<u8>());
          if (held >= end) continue;
          const std::vector<u8> zeros(static_cast<usize>(end - std::max(held, begin)));
          write_block(block, std::max(held, begin), zeros);
        }
        inode.size = std::max(inode.size, static_cast<i64>(at + size));
        inode.modified_ns = inode.changed_ns = volume_now();
        store_.put(inode);
        return Errno::success;
      },
      [&] {
        node_->size = std::max(node_->size.load(), at + size);
        note_change();
      });
}

Errno VolumeFile::set_times(const Times& times, Wait wait) {
  if (wait == Wait::never) return Errno::again;
  return store_.change(
      volume_keeps, 0,
      [&] {
        VolumeInode inode = row();
        set_volume_times(inode, times);
        store_.put(inode);
        return Errno::success;
      },
      [&] { note_change(); });
}

}  // namespace

std::shared_ptr<File> make_volume_file(std::shared_ptr<VolumeNode> node, Access access, bool append,
                                       std::shared_ptr<Watches::Opened> place) {
  return std::make_shared<VolumeFile>(std::move(node), access, append, std::move(place));
}

}  // namespace atollvm::vfs
