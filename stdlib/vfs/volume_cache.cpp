#include "stdlib/vfs/volume_cache.hpp"

#include <algorithm>
#include <vector>

#include "stdlib/vfs/volume_store.hpp"

namespace atollvm::vfs {

bool VolumeCache::read(i64 inode, u64 at, std::span<u8> to) {
  if (to.size() > most_read) return false;
  std::array<std::shared_ptr<const Block>, most_read / volume_block + 1> blocks;
  const u64 first = at / volume_block;
  const u64 last = (at + std::max<usize>(to.size(), 1) - 1) / volume_block;
  {
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock) return false;
    for (u64 block = first; block <= last; ++block) {
      const auto found = blocks_.find(volume_place(inode, block));
      if (found == blocks_.end()) return false;
      // What was read to its end is the next to go: who reads on comes back last.
      const bool is_passed = (block + 1) * volume_block <= at + to.size();
      turns_.splice(is_passed ? turns_.end() : turns_.begin(), turns_, found->second.turn);
      blocks[static_cast<usize>(block - first)] = found->second.block;
    }
  }
  for (usize done = 0; done < to.size();) {
    const usize offset = static_cast<usize>((at + done) % volume_block);
    const usize size = std::min<usize>(to.size() - done, volume_block - offset);
    const Block& block = *blocks[static_cast<usize>((at + done) / volume_block - first)];
    std::copy_n(block.begin() + offset, size, to.begin() + static_cast<std::ptrdiff_t>(done));
    done += size;
  }
  return true;
}

bool VolumeCache::has(i64 place) {
  const std::lock_guard lock(mutex_);
  return blocks_.contains(place);
}

void VolumeCache::put(i64 place, std::shared_ptr<const Block> block) {
  const std::lock_guard lock(mutex_);
  const auto [held, is_new] = blocks_.try_emplace(place);
  held->second.block = std::move(block);
  if (is_new) {
    turns_.push_front(place);
    held->second.turn = turns_.begin();
  }
  if (blocks_.size() > most_blocks) {
    blocks_.erase(turns_.back());
    turns_.pop_back();
  }
}

void VolumeCache::drop(i64 first, i64 last) {
  const std::lock_guard lock(mutex_);
  for (auto each = blocks_.lower_bound(first); each != blocks_.end() && each->first <= last;) {
    turns_.erase(each->second.turn);
    each = blocks_.erase(each);
  }
}

bool VolumeCache::note(i64 place) {
  const std::lock_guard lock(mutex_);
  // By the inode and the block, of which neighbours are read one after the other.
  const u64 number = static_cast<u64>(place);
  i64& slot = noted_[(number ^ number >> volume_block_bits) % noted_.size()];
  return std::exchange(slot, place) == place;
}

}  // namespace atollvm::vfs
