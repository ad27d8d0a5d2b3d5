// Files mapped into the memories of guests: sealed copies, each shared by the processes of one
// machine. Nothing that happens to the file reaches a copy: a mapping of the file itself would end
// the host's program (SIGBUS) when somebody cuts it off. Machines share nothing with each other, as
// they could tell by time what others have mapped.
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <map>
#include <mutex>

#include "stdlib/host/support.hpp"
#include "stdlib/vfs/posix.hpp"

namespace atollvm::host {
namespace {

using runtime::map_granule;
using vfs::Outcome;
using vfs::Wait;

constexpr u64 most_bytes = u64{1} << 30;  // of a file
constexpr u32 most_copies = 256;          // of one machine
constexpr u32 most_tries = 3;
// The clocks of file systems stand still for some time: a file may have changed again since.
constexpr i64 settled_after_ns = 1'000'000'000;

constexpr u64 round_up(u64 bytes) { return (bytes + map_granule - 1) / map_granule * map_granule; }

// A file as it was at some time.
struct Version {
  u64 device = 0;
  u64 inode = 0;
  u64 size = 0;
  i64 modified = 0;
  i64 changed = 0;

  explicit Version(const vfs::Stat& stat)
      : device(stat.device),
        inode(stat.inode),
        size(stat.size),
        modified(stat.modified_ns),
        changed(stat.changed_ns) {}
  Version() = default;
  auto operator<=>(const Version&) const = default;

  // Whether another version of it would be told from it.
  [[nodiscard]] bool is_settled() const {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    const i64 ns = static_cast<i64>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
    return changed > 0 && std::max(modified, changed) <= ns - settled_after_ns;
  }
};

class Copy;
using CopyPtr = std::shared_ptr<const Copy>;
// Whose it is, a machine's account or a process in none, and what.
using Name = std::pair<const void*, Version>;

// Those that can be shared.
struct Copies {
  std::mutex mutex;
  std::map<Name, std::weak_ptr<const Copy>> all;
};
Copies& copies() {
  static Copies& only = *new Copies;  // processes may end later than the program's statics
  return only;
}

class Copy final : public runtime::SharedBytes {
 public:
  Copy(vfs::Descriptor file, const Name& name, std::optional<cap::LastingCharge> charge)
      : version(name.second),
        owner_(name.first),
        file_(std::move(file)),
        charge_(std::move(charge)) {}
  ~Copy() override {
    const std::lock_guard lock(copies().mutex);
    const auto at = copies().all.find({owner_, version});
    // Another one may have come in its place.
    if (at != copies().all.end() && at->second.expired()) copies().all.erase(at);
  }

  [[nodiscard]] int fd() const override { return file_.get(); }
  [[nodiscard]] u64 size() const override { return round_up(version.size); }
  const Version version;

 private:
  const void* const owner_;
  const vfs::Descriptor file_;
  const std::optional<cap::LastingCharge> charge_;
};

// Null: there is none.
CopyPtr find_copy(const Name& name) {
  const std::lock_guard lock(copies().mutex);
  const auto at = copies().all.find(name);
  return at == copies().all.end() ? nullptr : at->second.lock();
}

// The one that others share from now on: this one, unless somebody was quicker.
CopyPtr publish(const Name& name, CopyPtr copy) {
  const std::lock_guard lock(copies().mutex);
  std::weak_ptr<const Copy>& place = copies().all[name];
  if (CopyPtr other = place.lock()) return other;
  place = copy;
  return copy;
}

// Those of a machine that are shared.
u32 count_copies(const void* owner) {
  const std::lock_guard lock(copies().mutex);
  Version first;
  first.modified = first.changed = INT64_MIN;
  u32 count = 0;
  for (auto at = copies().all.lower_bound({owner, first});
       at != copies().all.end() && at->first.first == owner; ++at) {
    ++count;
  }
  return count;
}

// What a job in the pool needs.
struct CopyJob {
  std::shared_ptr<vfs::File> file;
  std::shared_ptr<cap::Account> account;  // null: `room` counts
  const void* process = nullptr;
  u64 room = 0;  // bytes that a copy may take
  Share share{};
  bool is_cut = false;  // more may not be read

  [[nodiscard]] Name name(const Version& version) const {
    return {account != nullptr ? static_cast<const void*>(account.get()) : process, version};
  }
  // For a memory that nothing can be mapped into: bytes at a place of the file. Else 0.
  u64 wanted = 0;
  u64 at = 0;
};

struct Made {
  Errno error = Errno::success;
  CopyPtr copy;  // null: `bytes` are what was wanted
  std::vector<u8> bytes;
  u32 read = 0;  // of the file
};

Outcome<Version> version_of(vfs::File& file, Wait wait) {
  const Outcome<vfs::Stat> status = file.stat(wait);
  if (const Errno* error = error_of(status)) return *error;
  const auto& stat = std::get<vfs::Stat>(status);
  if (stat.type != vfs::FileType::regular) return Errno::inval;
  if (stat.size > most_bytes) return Errno::fbig;
  return Version(stat);
}

// Fills the descriptor; again: the file is not, or no more, as it was said to be.
Errno fill(const CopyJob& job, const Version& version, int to, u32& read) {
  if (ftruncate(to, static_cast<off_t>(round_up(version.size))) != 0) return Errno::nomem;
  std::vector<u8> buffer(std::min<u64>(version.size, max_transfer));
  for (u64 done = 0; done < version.size;) {
    const std::span<u8> piece(buffer.data(), std::min<u64>(buffer.size(), version.size - done));
    const Outcome<u32> some = job.file->read(piece, done, Wait::allowed);
    if (const Errno* error = error_of(some)) return *error;
    const u32 size = std::get<u32>(some);
    if (size == 0) return Errno::again;
    read = std::max(read, static_cast<u32>(done + size));
    for (u32 put = 0; put < size;) {
      const ssize_t moved =
          pwrite(to, piece.data() + put, size - put, static_cast<off_t>(done + put));
      if (moved < 0 && errno == EINTR) continue;
      if (moved <= 0) return Errno::nomem;
      put += static_cast<u32>(moved);
    }
    done += size;
  }
  const Outcome<Version> now = version_of(*job.file, Wait::allowed);
  if (const Errno* error = error_of(now)) return *error;
  if (std::get<Version>(now) != version) return Errno::again;
  constexpr int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
  return fcntl(to, F_ADD_SEALS, seals) == 0 ? Errno::success : Errno::notsup;
}

Errno make_copy(const CopyJob& job, Made& made) {
  const Outcome<Version> found = version_of(*job.file, Wait::allowed);
  if (const Errno* error = error_of(found)) return *error;
  const auto& version = std::get<Version>(found);
  const Name name = job.name(version);
  const bool is_shared = version.is_settled();
  if (is_shared) made.copy = find_copy(name);
  if (made.copy != nullptr) return Errno::success;
  if (version.size > job.share.size()) return job.is_cut ? Errno::dquot : Errno::again;
  const u64 bytes = round_up(version.size);
  std::optional<cap::LastingCharge> charge;
  if (job.account != nullptr) {
    if (count_copies(job.account.get()) >= most_copies) return Errno::nfile;
    charge.emplace(job.account, bytes + sizeof(Copy));
    if (!*charge) return Errno::nomem;
  } else if (bytes > job.room) {
    return Errno::nomem;
  }
  vfs::Descriptor to(memfd_create("atoll-file", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!to) return vfs::from_errno(errno);
  if (const Errno error = fill(job, version, to.get(), made.read); error != Errno::success) {
    return error;
  }
  auto copy = std::make_shared<const Copy>(std::move(to), name, std::move(charge));
  made.copy = is_shared ? publish(name, std::move(copy)) : std::move(copy);
  return Errno::success;
}

Errno read_wanted(const CopyJob& job, Made& made) {
  const Outcome<Version> found = version_of(*job.file, Wait::allowed);
  if (const Errno* error = error_of(found)) return *error;
  made.bytes.resize(std::min<u64>(job.wanted, job.share.size()));
  while (made.read < made.bytes.size()) {
    const Outcome<u32> some =
        job.file->read(std::span(made.bytes).subspan(made.read), job.at + made.read, Wait::allowed);
    if (const Errno* error = error_of(some)) return *error;
    if (std::get<u32>(some) == 0) break;
    made.read += std::get<u32>(some);
  }
  if (made.read == job.share.size() && job.is_cut) return Errno::dquot;
  made.bytes.resize(made.read);
  return Errno::success;
}

Made run(const CopyJob& job) {
  Made made;
  try {
    for (u32 tries = 0; tries < most_tries; ++tries) {
      made.error = job.wanted != 0 ? read_wanted(job, made) : make_copy(job, made);
      if (made.error != Errno::again) break;
    }
  } catch (const std::bad_alloc&) {
    made.error = Errno::nomem;
  }
  return made;
}

// Where the guest wants them.
struct Piece {
  u32 address = 0;
  u32 size = 0;
  u64 at = 0;  // in the file

  // What is looked at before anything happens.
  [[nodiscard]] std::optional<Errno> refuses(const HostContext& context) const {
    if (address % map_granule != 0 || at % map_granule != 0) return Errno::inval;
    const bool is_inside = size == 0 || (context.memory(address, size).has_value() &&
                                         address + round_up(size) <= memory(context).size());
    return is_inside ? std::nullopt : std::optional(Errno::fault);
  }
  [[nodiscard]] static runtime::Memory& memory(const HostContext& context) {
    return *context.process().host_caller->memories.front();
  }
};

HostResult place(HostContext& context, const Piece& target, const CopyPtr& copy) {
  const u64 size = copy->version.size;
  if (target.at >= size) return context.result_i32(0);
  const u64 bytes = std::min<u64>(target.size, size - target.at);
  runtime::Memory& memory = Piece::memory(context);
  if (!memory.map(target.address, round_up(bytes), copy, target.at)) {
    return context.error32(Errno::nomem);
  }
  // Where the copy goes on behind what was asked for.
  if (target.at + bytes < size)
    memset(memory.base() + target.address + bytes, 0, round_up(bytes) - bytes);
  return context.result_i32(static_cast<i32>(bytes));
}

HostResult finish(HostContext& context, const Piece& target, const Share& share, const Made& made) {
  settle_io(context, share, made.read);
  if (made.error != Errno::success) return context.error32(made.error);
  if (made.copy != nullptr) return place(context, target, made.copy);
  if (made.bytes.empty()) return context.result_i32(0);
  u8* const to = Piece::memory(context).base() + target.address;
  const u64 size = made.bytes.size();
  memcpy(to, made.bytes.data(), size);
  memset(to + size, 0, round_up(size) - size);
  return context.result_i32(static_cast<i32>(size));
}

// What a copy may take of the memory of a process that is in no machine.
u64 room_of(const runtime::Process& process, const runtime::Memory& memory) {
  const u64 used = process.usage().memory_bytes + memory.held_bytes();
  const u64 limit = process.limits().memory_bytes;
  return limit - std::min(limit, used);
}

}  // namespace

HostResult call_map_file(Environment&, HostContext& context) {
  const i64 at = context.arg_i64(3);
  const Piece target{context.arg_u32(1), context.arg_u32(2), static_cast<u64>(at)};
  if (at < 0) return context.error32(Errno::inval);
  if (const auto error = target.refuses(context)) return context.error32(*error);
  if (target.size == 0) return context.result_i32(0);
  const runtime::Memory& memory = Piece::memory(context);
  const auto job = std::make_shared<CopyJob>();
  job->file = std::static_pointer_cast<vfs::File>(context.capability().object);
  job->account = account_of(context);
  job->process = &context.process();
  u64 wanted = most_bytes;  // to be read
  if (!memory.can_map()) {
    wanted = job->wanted = target.size;
    job->at = target.at;
  } else if (const Outcome<Version> known = version_of(*job->file, Wait::never);
             const auto* const version = std::get_if<Version>(&known)) {
    const CopyPtr copy = version->is_settled() ? find_copy(job->name(*version)) : nullptr;
    if (copy != nullptr) return place(context, target, copy);
    wanted = version->size;
  }
  if (job->account == nullptr) job->room = room_of(context.process(), memory);
  job->share = take_io(context, wanted, nullptr, /*is_whole=*/true);
  job->is_cut = job->share.size() < wanted;
  return with_share(context, job->share, [job, target](HostContext& now, const Share& share) {
    return loop::of(now).work(now, [job, target, share]() -> runtime::Finish {
      return [made = std::make_shared<const Made>(run(*job)), target, share](HostContext& later) {
        return finish(later, target, share, *made);
      };
    });
  });
}

}  // namespace atollvm::host
