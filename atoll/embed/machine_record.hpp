// What is known of a machine besides its processes, as text: the description in a snapshot's file,
// and the record in a server's folder.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/machine/operator.hpp"
#include "scheduler/machine/spec.hpp"

namespace atollvm {

// Nanoseconds; points in time are since 1970.
struct MachineRecord {
  machine::MachineSpec spec;
  machine::MachineState state = machine::MachineState::created;
  u64 written = 0;
  // It came from somebody else's snapshot: its module is what that holds, not what its path names.
  bool is_foreign = false;
  bool is_image = false;  // it runs an image
  u64 life = 0;           // counts its ends: which of them its snapshots are of
  u64 cpu = 0;
  u64 fuel_left = machine::unlimited;  // that no process has
  u64 restarts = 0;
  std::vector<u64> restart_ages;  // of those that its rule still counts
  u64 created = 0;
  std::optional<u64> started;
  u64 log_records = 0;  // number of the newest one
  std::optional<machine::Exit> exit;
};

// JSON, for people to read.
std::string to_text(const MachineRecord& record);
// `place` is for messages. The text may be an attacker's. Errors: malformed, invalid.
base::Result<MachineRecord> read_record(const std::string& place, std::string_view text);

// A machine as a snapshot claims it, less what the host's operator alone may grant: directories and
// files of the host, and more weight and higher limits than a machine file's defaults.
void cut_to_defaults(machine::MachineSpec& spec);

}  // namespace atollvm
