#include "vm/jit/pool.hpp"

#include <algorithm>

#include "vm/jit/code.hpp"
#include "vm/jit/routines.hpp"

namespace atollvm::jit {

namespace {

// So many functions the hand passes at most, each time that room is wanted.
constexpr usize most_passed = 256;
constexpr u64 longest_patience = 1'000'000'000;
// An epoch that has not come.
constexpr u64 unknown = ~u64{0};

// All workers that run compiled code. Under the host's lock.
std::vector<Resident*>& residents() {
  static auto* const all = new std::vector<Resident*>;
  return *all;
}

}  // namespace

std::atomic<u64> Resident::epoch_{1};

Resident::Resident(runtime::Worker& of) : worker(of) {
  const std::lock_guard lock(Host::mutex());
  residents().push_back(this);
}

Resident::~Resident() {
  const std::lock_guard lock(Host::mutex());
  std::erase(residents(), this);
}

namespace {

// With a limit that the sum of all pools' has room for.
PoolOptions bounded(PoolOptions options) {
  options.limit = std::min<u64>(options.limit, CodeMemory::largest_limit);
  return options;
}

}  // namespace

Pool::Pool(const PoolOptions& options) : options_(bounded(options)) {
  Host::add_limit(options_.limit);
}

Pool::~Pool() {
  // All code has gone with its programs, and nobody is in what was put aside.
  Host::add_limit(-options_.limit);
}

Pool& Pool::of(const runtime::Worker& worker) {
  if (worker.pool != nullptr) return static_cast<Pool&>(*worker.pool);
  static const auto* const usual = new auto(std::make_shared<Pool>(PoolOptions{}));
  return **usual;
}

Holder& Pool::join(const void* who) {
  auto& holder = holders_[who];
  if (holder == nullptr) holder = std::make_unique<Holder>();
  ++holder->codes;
  return *holder;
}

void Pool::leave(const void* who) {
  const auto at = holders_.find(who);
  if (--at->second->codes == 0) holders_.erase(at);
}

bool Pool::reserve(Holder& holder, u64 bytes) {
  if (bytes > options_.limit) return false;
  free_aside(2 * bytes);
  // Room is made before it is missing: what is put aside is not free yet.
  if (used_ - aside_ + bytes > options_.limit - options_.limit / 8) make_room(holder, bytes);
  if (used_ + bytes > options_.limit) {
    free_aside(~u64{0});
    if (used_ + bytes > options_.limit) {
      if (aside_ != 0) {
        for (Resident* const each : residents()) {
          if (each->mark() != 0) each->ask_to_leave();
        }
      }
      return false;
    }
  }
  used_ += bytes;
  holder.bytes += bytes;
  return true;
}

void Pool::give_back(Holder& holder, u64 bytes) {
  used_ -= bytes;
  holder.bytes -= bytes;
}

void Pool::add(Holder& holder, Compiled& compiled) {
  compiled.place = holder.ring.size();
  holder.ring.push_back(&compiled);
  holder.nanoseconds += compiled.nanoseconds;
}

void Pool::remove(Holder& holder, Compiled& compiled) {
  holder.ring[compiled.place] = holder.ring.back();
  holder.ring[compiled.place]->place = compiled.place;
  holder.ring.pop_back();
  holder.nanoseconds -= compiled.nanoseconds;
  give_back(holder, compiled.bytes());
  // Nobody takes what he has found of it for that of another function.
  Resident::epoch_.fetch_add(1);
}

// Who holds most gives. So each of N holders gets the N-th part at least, whatever the others do.
// Who has to take it from himself lets code stay for as long as is worth its making: code that is
// needed again at once would be compiled again and again, and the interpreter costs less.
void Pool::make_room(Holder& holder, u64 bytes) {
  Holder* most = &holder;
  for (const auto& each : holders_) {
    if (each.second->bytes > most->bytes + (most == &holder ? bytes : 0)) most = each.second.get();
  }
  const u64 wanted = 4 * bytes;
  if (most == &holder) {
    const u64 patience = std::min(holder.nanoseconds * options_.patience, longest_patience);
    put_aside(holder, wanted, patience, false);
  } else {
    const u64 done = put_aside(*most, wanted, 0, false);
    if (done < bytes) put_aside(*most, bytes - done, 0, true);
  }
}

// Gives how much it was.
u64 Pool::put_aside(Holder& from, u64 bytes, u64 patience, bool must) {
  const u64 time = now();
  u64 done = 0;
  for (usize left = std::min(from.ring.size(), most_passed); left > 0 && done < bytes; --left) {
    if (from.hand >= from.ring.size()) from.hand = 0;
    Compiled& compiled = *from.ring[from.hand];
    if (!must) {
      if (compiled.used.exchange(false)) {
        compiled.asked_at = time;
        compiled.code->close(compiled);
        ++from.hand;
        continue;
      }
      if (time - compiled.asked_at < patience) {
        ++from.hand;
        continue;
      }
    }
    done += compiled.bytes();
    put_aside(from, compiled);
  }
  // After all that leads to code has been changed: who sees this epoch sees that too.
  const u64 epoch = Resident::epoch_.fetch_add(1) + 1;
  for (auto each = waiting_.rbegin(); each != waiting_.rend() && (*each)->aside_since == unknown;
       ++each) {
    (*each)->aside_since = epoch;
  }
  return done;
}

void Pool::put_aside(Holder& from, Compiled& compiled) {
  waiting_.emplace_back(&compiled);
  compiled.code->forget(compiled);
  const u64 bytes = compiled.bytes();
  remove(from, compiled);
  used_ += bytes;
  aside_ += bytes;
  compiled.code = nullptr;
  compiled.aside_since = unknown;
}

// About so many bytes of what was put aside, where nobody is.
void Pool::free_aside(u64 bytes) {
  if (waiting_.empty()) return;
  u64 oldest = ~u64{0};
  for (const Resident* const each : residents()) {
    if (const u64 mark = each->mark(); mark != 0) oldest = std::min(oldest, mark);
  }
  auto end = waiting_.begin();
  for (u64 done = 0; end != waiting_.end() && done < bytes; ++end) {
    if ((*end)->aside_since > oldest) break;
    done += (*end)->bytes();
    aside_ -= (*end)->bytes();
    used_ -= (*end)->bytes();
  }
  waiting_.erase(waiting_.begin(), end);
}

}  // namespace atollvm::jit
