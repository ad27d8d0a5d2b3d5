// A paused machine as bytes, and back: the image that a snapshot file holds. docs/snapshots.md has
// the format, and what comes back and what does not.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "scheduler/core/scheduler.hpp"
#include "vm/base/result.hpp"
#include "vm/base/stream.hpp"
#include "vm/cap/object.hpp"

namespace atollvm::snapshot {

// Where an image goes, and where it comes from.
using base::Sink;
using base::Source;

// What an embedder knows of the objects that handles name. A description is a few bytes (at most
// max_description) that only the same class understands; nothing of the host that wrote it may be
// needed to understand it. One that is read is an attacker's: it may ask for nothing that the
// machine was not granted anew. Called on the thread that writes or reads; may block on files.
class Objects {
 public:
  virtual ~Objects() = default;
  // Nothing: the object can't come back.
  virtual std::optional<std::string> describe(const std::shared_ptr<cap::Object>& object) = 0;
  // Of an object of `kind`; null: it can't come back here. `rights` are cut to those that the
  // machine has to it; none of them left is as null.
  virtual std::shared_ptr<cap::Object> restore(cap::Kind kind, std::string_view description,
                                               cap::Rights& rights) = 0;
  // The same for the facet of a handle; "": none.
  virtual std::string describe(const cap::Facet& facet) = 0;
  // Gives a handle, with its object and rights in place, its facet, and cuts what the facet says
  // to what the machine has. False: this is no description, or does not fit the object.
  virtual bool restore(std::string_view description, cap::Capability& capability) = 0;

  // The file systems that an image holds by themselves, by the names under which they are found
  // again. Asked for when all objects have been described.
  virtual std::vector<std::string> file_systems() { return {}; }
  virtual void write_file_system(std::string_view, base::Writer&) {}
  // Read before the objects are restored, each name once. Memory of the host that the bytes do not
  // stand for is asked of `take`. False: the machine has none of that name and kind; what is left
  // of it is passed over.
  virtual bool read_file_system(std::string_view, base::Reader&, const base::Take&) {
    return false;
  }
};
inline constexpr usize max_description = 1 << 16;

// No object comes back.
class NoObjects final : public Objects {
 public:
  std::optional<std::string> describe(const std::shared_ptr<cap::Object>&) override {
    return std::nullopt;
  }
  std::shared_ptr<cap::Object> restore(cap::Kind, std::string_view, cap::Rights&) override {
    return nullptr;
  }
  std::string describe(const cap::Facet&) override { return {}; }
  bool restore(std::string_view, cap::Capability&) override { return true; }
};

// What the restored processes may have.
struct Bounds {
  // Of each process: its own limits are lowered to these, and what it holds must fit. With `fuel`
  // each must count its fuel.
  runtime::Limits process;
  runtime::IoAmount io;       // that each begins anew with
  runtime::IoAmount io_rate;  // a second
  runtime::MemoryStrategy memory = runtime::MemoryStrategy::checked;
  u64 cpu_limit = sched::Task::never;  // ns
  u32 mailbox_messages = ~u32{0};
  u64 mailbox_bytes = ~u64{0};
  // Of all processes together.
  u64 memory_bytes = ~u64{0};  // linear memories, stacks, tables and mailboxes
  u64 handles = ~u64{0};
  u64 fuel = ~u64{0};  // that they have left
};

struct Summary {
  u64 processes = 0;
  sched::Pid main = 0;   // the main process, if it is there (Spawn::is_main)
  u64 memory_bytes = 0;  // of linear memories, as guests see them
  u64 stored_bytes = 0;  // of these, in the image: pages that are not all zero
  u64 messages = 0;
  u64 handles = 0;          // open ones and those in messages
  u64 lost_handles = 0;     // of these, to objects that can't come back: every use gives an error
  u64 canceled_calls = 0;   // host calls under way that fail with `canceled` after a restore
  u64 restarted_calls = 0;  // and those that are made anew
  u64 file_systems = 0;
  u64 lost_file_systems = 0;  // of these, that the machine has none for
};

// Writes a machine that is paused. It stays as it is: resume it or remove it afterwards. Who ends
// its processes meanwhile (kill, remove_machine) has an effect when write() has returned; its
// timers go off then, if it is resumed or not. Not on a worker. Errors: usage (not paused), the
// sink's, unsupported (what can't be written: a call that a host function makes of a guest),
// limit (a machine with more than the format can say).
base::Result<Summary> write(sched::Scheduler& scheduler, sched::Machine& machine, Objects& objects,
                            Sink& sink);

// Reads an image into a machine that is paused and has no processes, and never had any. Its host
// functions (Machine::Options::host and more_host) are what the programs' imports may name: give
// all that any program may use. Its name, weight and limits are the machine's own. After success
// resume() lets the processes go on. After an error none of them was made; remove the machine.
// The image is hostile input: nothing in it can do more than a hostile module could, and memory is
// only taken for what is really there. Errors: malformed or invalid (with where), unsupported
// (version), not_found (a host function that is not there), limit (Bounds, max_processes, the
// host's memory), the source's.
base::Result<Summary> read(sched::Scheduler& scheduler, sched::Machine& machine, Objects& objects,
                           const Bounds& bounds, Source& source);

}  // namespace atollvm::snapshot
