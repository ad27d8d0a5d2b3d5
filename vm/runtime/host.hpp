// Host functions: how guests call out, and how a call that takes time completes later.
//
// A host function runs on the thread that runs the process. It must not block for long: work that
// can block is started elsewhere, `HostContext::suspend` gives the ticket, and the function
// returns `HostResult::pending()`. It must check every number that comes from the guest, and must
// not keep guest addresses after it returned.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "vm/cap/handle_table.hpp"
#include "vm/module/module.hpp"
#include "vm/runtime/trap.hpp"

namespace atollvm::runtime {

using Slot = u64;

class Process;
class HostContext;

// How a host function ended.
struct HostResult {
  enum class Status : u8 {
    value,    // results are in place
    trap,     // the process traps
    exit,     // the process ends with an exit code
    pending,  // the process is parked until its Completion finishes
    rest,     // as value, and the process gives way to others
    waiting,  // it is parked until its scheduler resumes it; then the function is called anew
  };
  Status status = Status::value;
  Trap trap = Trap::host_error;
  u32 exit_code = 0;

  static HostResult value() { return {}; }
  static HostResult trapped(Trap why) { return {Status::trap, why, 0}; }
  static HostResult exited(u32 code) { return {Status::exit, Trap::host_error, code}; }
  static HostResult pending() { return {Status::pending, Trap::host_error, 0}; }
  static HostResult rest() { return {Status::rest, Trap::host_error, 0}; }
  static HostResult waiting() { return {Status::waiting, Trap::host_error, 0}; }
};

// Ends a parked call: writes results and guest memory through the context, and says how the call
// ended (`pending` only after another `suspend`). Runs on the process's thread.
using Finish = std::function<HostResult(HostContext&)>;

// Where completions for one process arrive. Internal to the runtime.
class CompletionPort;

// The ticket for one parked call. Copies mean the same call. Any thread.
class Completion {
 public:
  Completion() = default;
  // Makes the process ready again, `finish` runs before it goes on. The first call counts; calls
  // after that, or after the process ended, do nothing. May be called before the host function
  // has returned pending.
  void finish(Finish finish) const;

 private:
  friend class CompletionPort;
  std::weak_ptr<CompletionPort> port_;
  u64 generation_ = 0;
};

// What a host function works with during one call.
class HostContext {
 public:
  HostContext(Process& process, Slot* window) : process_(process), window_(window) {}

  [[nodiscard]] Process& process() const { return process_; }
  [[nodiscard]] cap::HandleTable& handles() const;

  // Parameter number `index` of the call.
  [[nodiscard]] u32 arg_u32(u32 index) const { return static_cast<u32>(window_[index]); }
  [[nodiscard]] i32 arg_i32(u32 index) const { return static_cast<i32>(arg_u32(index)); }
  [[nodiscard]] u64 arg_u64(u32 index) const { return window_[index]; }
  [[nodiscard]] i64 arg_i64(u32 index) const { return static_cast<i64>(window_[index]); }

  // The parameters, and where the results go: there is room for the larger number of both.
  [[nodiscard]] Slot* slots() const { return window_; }

  // Sets the call's one result.
  HostResult result_i32(i32 value) const { return set(static_cast<u32>(value)); }
  HostResult result_i64(i64 value) const { return set(static_cast<u64>(value)); }
  // Sets it to -error.
  HostResult error32(cap::Errno error) const { return result_i32(-static_cast<i32>(error)); }
  HostResult error64(cap::Errno error) const { return result_i64(-static_cast<i64>(error)); }

  // `length` bytes of memory 0 of the calling instance at `address`, or nothing if they are not
  // all inside (or there is no memory). Valid until this host function returns.
  [[nodiscard]] std::optional<std::span<u8>> memory(u32 address, u32 length) const;

  // The capability that the gate found for the handle parameter of a function that takes one.
  [[nodiscard]] const cap::Capability& capability() const { return *capability_; }

  // The ticket for parking this call; return pending() after it. `cancel` runs on the process's
  // thread if the process ends before the call was finished. `is_job`: it waits for nobody else,
  // but is being carried out: a snapshot of the machine lets it come to its end first.
  Completion suspend(std::function<void()> cancel = {}, bool is_job = false) const;

 private:
  friend class Process;
  HostResult set(Slot value) const {
    window_[0] = value;
    return HostResult::value();
  }

  Process& process_;
  Slot* window_;
  const cap::Capability* capability_ = nullptr;
};

// How a host function gives an error number to the guest.
enum class ErrorSign : u8 {
  negative,  // -errno, where results that are not negative mean success (Atoll's own calls)
  positive,  // errno, where 0 means success (WASI)
};

// A function that guests can import. `module` and `name` are what an import says; the type must
// be equal. When `takes_handle`, parameter `handle_index` is a handle (i32) that must be of `kind`
// with `rights`; otherwise the call gives badf (no such handle), `wrong_kind` or notcapable, with
// the sign that `errors` says, without running.
struct HostFunction {
  std::string module;
  std::string name;
  mod::FuncType type;
  std::function<HostResult(HostContext&)> call;
  bool takes_handle = false;
  cap::Kind kind = cap::Kind::host;
  cap::Rights rights = cap::rights_none;
  u8 handle_index = 0;
  cap::Errno wrong_kind = cap::Errno::badf;
  ErrorSign errors = ErrorSign::negative;
  bool is_io = false;        // one that takes a handle: counts as an operation, beyond whose quota
                             // the call gives dquot, and beyond whose rate it waits
  bool restartable = false;  // a restored snapshot calls it again; else it fails with canceled
  std::optional<u8>
      timeout_index;  // the parameter that says for how long it waits at most, i64 ns;
                      // negative: for ever. With `is_io`, of what rates make it wait
};

}  // namespace atollvm::runtime
