// How much compiled code there may be, whose it is, and when it is thrown away.
//
// Code of a function is put aside where room is needed: nothing leads to it any more. It is freed
// when no worker can be in it. For that there are epochs, a number that goes up when something has
// been put aside. A worker marks itself with the epoch before it looks for code to enter, and takes
// the mark off when it has left all of it; what was put aside at an epoch is freed once no mark is
// older. Code that a marked worker has found stays as it is, whoever throws it away.
//
// To see what is used, a clock's hand goes over the functions: it lets the entry of one lead to
// `compile` again, which puts it back when the function is called. Who was not called, nor entered
// otherwise, before the hand comes again can go.
#pragma once

#include <array>
#include <chrono>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "vm/jit/code_memory.hpp"
#include "vm/jit/jit.hpp"
#include "vm/runtime/process.hpp"

namespace atollvm::jit {

class Code;
class Pool;

// Nanoseconds of a clock that only goes on.
inline u64 now() {
  return static_cast<u64>(
      std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count());
}

// The machine code of a function. It lies in its block behind `header`, which holds its address.
struct Compiled {
  struct Point {
    u32 pc;
    u32 offset;
  };
  static constexpr usize header = CodeMemory::alignment;

  Compiled() = default;
  ~Compiled();  // gives the block back
  Compiled(const Compiled&) = delete;
  Compiled& operator=(const Compiled&) = delete;
  [[nodiscard]] const u8* begin() const { return block.code + header; }
  // Without the header.
  [[nodiscard]] CodeMemory::Block code_block() const {
    return {begin(), block.writable + header, block.size - header};
  }
  // Of memory, with all of this.
  [[nodiscard]] u64 bytes() const {
    return sizeof *this + block.size + (resumes.size() + faults.size()) * sizeof(Point);
  }

  CodeMemory::Block block;
  std::vector<Point> resumes;  // by pc
  std::vector<Point> faults;   // by offset
  // Whether it has been entered since the hand was there.
  std::atomic<bool> used{true};

  // --- Under the host's lock.
  Code* code = nullptr;  // null: put aside
  u32 function = 0;
  usize place = 0;      // in its holder's ring
  u64 nanoseconds = 0;  // that it took
  u64 asked_at = 0;     // when the hand was there
  u64 aside_since = 0;  // the epoch
};

// Whose code it is, of a pool: a program, or all that the guests of one machine have loaded.
struct Holder {
  std::vector<Compiled*> ring;
  usize hand = 0;
  u64 bytes = 0;
  u64 nanoseconds = 0;                   // that the code in `ring` took
  u32 codes = 0;                         // that have it as holder
  std::atomic<bool> is_queueing{false};  // for the background thread
};

// A worker that runs compiled code.
class Resident final : public runtime::NativeResident {
 public:
  explicit Resident(runtime::Worker& of);  // throws std::bad_alloc
  ~Resident() override;
  static Resident& of(runtime::Worker& worker) { return static_cast<Resident&>(*worker.resident); }

  // From here on code that is found stays. When the epoch is the mark's, so does what was found
  // under that mark before: nothing has been put aside since.
  void enter() {
    u64 epoch = epoch_.load();
    for (u64 mark = 0; mark != epoch; epoch = epoch_.load()) mark_.store(mark = epoch);
  }
  void leave() { mark_.store(0, std::memory_order_release); }
  // 0: it is in no code.
  [[nodiscard]] u64 mark() const { return mark_.load(); }
  // Asks it to leave at its next safepoint. Under the host's lock.
  void ask_to_leave() {
    asked_.store(true);
    worker.limit.store(nullptr);
  }
  // Whether it was asked; not any more.
  bool take_request() { return asked_.load(std::memory_order_relaxed) && asked_.exchange(false); }

  runtime::Worker& worker;
  // What it has found for safepoints: where the same is asked again and again, by processes that
  // take turns, no search is due.
  struct Found {
    const Code* code = nullptr;
    const u8* at = nullptr;
    u64 mark = 0;  // for which it holds
    u32 pc = 0;
  };
  std::array<Found, 64> found{};

 private:
  friend class Pool;
  static std::atomic<u64> epoch_;
  std::atomic<u64> mark_{0};
  std::atomic<bool> asked_{false};
};

// All but options() under the host's lock.
class Pool final : public runtime::NativePool, public std::enable_shared_from_this<Pool> {
 public:
  explicit Pool(const PoolOptions& options);
  ~Pool() override;
  // That of a worker.
  static Pool& of(const runtime::Worker& worker);

  [[nodiscard]] const PoolOptions& options() const { return options_; }

  Holder& join(const void* who);
  void leave(const void* who);

  // Counts bytes for code of a holder, and puts other code aside where room becomes scarce. False:
  // there is no room now.
  bool reserve(Holder& holder, u64 bytes);
  void give_back(Holder& holder, u64 bytes);
  // Puts about so many bytes aside, or more.
  void make_room(Holder& holder, u64 bytes);
  // Of a function whose bytes are reserved, from when it is published on.
  void add(Holder& holder, Compiled& compiled);
  // Of one that goes.
  void remove(Holder& holder, Compiled& compiled);

  [[nodiscard]] u64 used() const { return used_; }

 private:
  u64 put_aside(Holder& from, u64 bytes, u64 patience, bool must);
  void put_aside(Holder& from, Compiled& compiled);
  void free_aside(u64 bytes);

  const PoolOptions options_;
  u64 used_ = 0;
  u64 aside_ = 0;                                   // bytes of what is
  std::vector<std::unique_ptr<Compiled>> waiting_;  // put aside, by epoch
  std::unordered_map<const void*, std::unique_ptr<Holder>> holders_;
};

}  // namespace atollvm::jit
