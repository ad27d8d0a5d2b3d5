// A machine as its Machines know it. Internal to operator*.cpp.
#pragma once

#include <algorithm>
#include <atomic>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <atoll/image.hpp>

#include "atoll/embed/impl.hpp"
#include "atoll/embed/log_stream.hpp"
#include "atoll/embed/machine_record.hpp"
#include "atoll/embed/operator.hpp"
#include "atoll/embed/start_up.hpp"
#include "scheduler/machine/restarts.hpp"

namespace atollvm {

struct Machines::Entry {
  explicit Entry(const machine::MachineSpec& of) : spec(of), plan(of), restarts(of.restart) {}
  ~Entry() { leave(); }
  Entry(const Entry&) = delete;
  Entry& operator=(const Entry&) = delete;

  machine::MachineSpec spec;
  std::optional<Image> image;  // that it runs
  machine::MachineSpec plan;   // the spec, with what the image has and was granted
  std::shared_ptr<const runtime::Program> program;
  host::Environment environment;
  HostCalls calls;
  std::vector<u32> stages;
  Grants grants;                                 // of the processes that there are
  std::shared_ptr<vnet::Attachment> attachment;  // to virtual networks; null: it has no NIC
  std::shared_ptr<Output> output;
  sched::Machine* machine = nullptr;

  machine::MachineState state = machine::MachineState::created;
  bool is_foreign = false;    // as in MachineRecord
  bool is_held = false;       // a snapshot is being written: it stays paused
  bool is_ending = false;     // its processes are to end; the state is as before
  bool is_last = false;       // it is not to be started again afterwards
  bool is_destroyed = false;  // it is to be forgotten then
  bool root_ended = false;
  bool is_used_up = false;  // what it may use in its whole life
  sched::ExitKind end_reason = sched::ExitKind::stopped;
  std::string end_message;
  u64 end_again = 0;
  u64 restart_at = 0;
  sched::Pid root = 0;
  u64 created = 0;
  std::optional<u64> started;
  std::optional<machine::Exit> exit;
  u64 restart_count = 0;
  u64 ends = 0;
  machine::Restarts restarts;
  u64 fuel_left = machine::unlimited;
  std::atomic<u64> fuel_back{0};  // that ended processes had left
  std::atomic<bool> is_quiet{false};

  // In the state folder, if there is one.
  std::mutex keep_mutex;      // taken before the Machines' own
  bool is_kept = false;       // under keep_mutex: has a record
  bool needs_record = false;  // it is another one by now
  std::string complaint;      // under keep_mutex: why the last snapshot could not be written

  // Its place in the virtual networks is free from now on.
  void leave() const {
    if (attachment != nullptr) attachment->remove();
  }
  [[nodiscard]] bool is_up() const {
    return state == machine::MachineState::running || state == machine::MachineState::paused;
  }
  void say(std::string_view text) const { output->log.say(text, real_time()); }
};

inline base::Error no_machine(const std::string& name) {
  return {base::ErrorCode::not_found, name, "there is no such machine"};
}

inline u32 fit(u64 number) {
  return static_cast<u32>(std::min<u64>(number, std::numeric_limits<u32>::max()));
}

// Of a machine's root process.
runtime::Limits limits_of(const machine::MachineSpec& spec);

}  // namespace atollvm
