// Reading directories. A cookie is where the entry after this one begins: 0 is ".", 1 is "..", and
// from 2 on follow the cookies of the file system.
#include <algorithm>
#include <vector>

#include "stdlib/wasi/support.hpp"

namespace atollvm::wasi {
namespace {

constexpr u64 first_real_cookie = 2;
constexpr u32 header_size = 24;

struct Listing {
  std::shared_ptr<vfs::Directory> directory;
  u64 cookie = 0;
  u32 address = 0;
  u32 size = 0;
  u32 used = 0;
  u32 count_at = 0;
  bool is_cut = false;  // the quota has no room for all that the guest wants
  host::Share share{};
};

struct Batch {
  std::vector<vfs::Entry> entries;
  bool is_end = false;
};

// The entries from a cookie on, with cookies as guests see them.
Outcome<Batch> next_entries(vfs::Directory& directory, u64 cookie, u32 bytes, Wait wait) {
  Batch batch;
  if (cookie < first_real_cookie) {
    const Outcome<vfs::Stat> self = directory.stat(".", true, wait);
    if (const Errno* error = error_of(self)) return *error;
    // Where the parent is does not concern the guest: it may be outside.
    const u64 inode = std::get<vfs::Stat>(self).inode;
    const vfs::FileType type = vfs::FileType::directory;
    if (cookie == 0) batch.entries.push_back({1, inode, type, "."});
    batch.entries.push_back({first_real_cookie, inode, type, ".."});
    cookie = first_real_cookie;
  }
  Outcome<std::vector<vfs::Entry>> found = directory.list(cookie - first_real_cookie, bytes, wait);
  if (const Errno* error = error_of(found)) return *error;
  auto& entries = std::get<std::vector<vfs::Entry>>(found);
  batch.is_end = entries.empty();
  for (vfs::Entry& each : entries) {
    each.next += first_real_cookie;
    batch.entries.push_back(std::move(each));
  }
  return batch;
}

// Adds an entry, or as much of it as there is room for.
void put_entry(std::span<u8> to, u32& used, const vfs::Entry& entry) {
  u8 header[header_size] = {};
  store<u64>(header, 0, entry.next);
  store<u64>(header, 8, entry.inode);
  store<u32>(header, 16, static_cast<u32>(entry.name.size()));
  store<u8>(header, 20, static_cast<u8>(entry.type));
  const auto put = [&](const void* bytes, usize size) {
    const u32 part = static_cast<u32>(std::min<usize>(size, to.size() - used));
    if (part != 0) memcpy(to.data() + used, bytes, part);
    used += part;
  };
  put(header, header_size);
  put(entry.name.data(), entry.name.size());
}

HostResult run(HostContext& context, Listing listing) {
  const auto attempt = [directory = listing.directory, cookie = listing.cookie,
                        bytes = listing.size - listing.used](Wait wait) {
    return next_entries(*directory, cookie, bytes, wait);
  };
  const auto done = [listing](HostContext& later, const Outcome<Batch>& outcome) {
    Listing next = listing;
    const auto end = [&](Errno error) {
      host::settle_io(later, next.share, next.used);
      return give(later, error);
    };
    if (const Errno* error = error_of(outcome)) return end(*error);
    const auto to = bytes_at(later, next.address, next.size);
    if (!to) return end(Errno::fault);
    const Batch& batch = std::get<Batch>(outcome);
    for (const vfs::Entry& each : batch.entries) {
      if (next.used == next.size) break;
      put_entry(*to, next.used, each);
      next.cookie = each.next;
    }
    // Less than was asked for means to the guest that there is no more.
    if (next.used == next.size && next.is_cut) return end(Errno::dquot);
    if (batch.is_end || next.used == next.size) {
      host::settle_io(later, next.share, next.used);
      return give_number<u32>(later, next.count_at, next.used);
    }
    return run(later, std::move(next));
  };
  return host::attempt_or_work(context, attempt, done);
}

}  // namespace

HostResult call_fd_readdir(Call& call) {
  Listing listing{host::as_seen(call.context, call.object<vfs::Directory>())};
  listing.address = call.u32_at(1);
  listing.size = call.u32_at(2);
  listing.cookie = call.u64_at(3);
  listing.count_at = call.u32_at(4);
  if (!bytes_at(call.context, listing.address, listing.size)) return give(call, Errno::fault);
  if (!call.context.memory(listing.count_at, 4)) return give(call, Errno::fault);
  listing.share = host::take_io(call.context, listing.size, nullptr, /*is_whole=*/true);
  listing.is_cut = listing.share.size() < listing.size;
  listing.size = listing.share.size();
  const host::Share share = listing.share;
  return host::with_share(call.context, share,
                          [listing = std::move(listing)](HostContext& now, const host::Share&) {
                            return run(now, listing);
                          });
}

}  // namespace atollvm::wasi
