// What the control protocol asks of whoever runs the machines. docs/control.md has the meaning of
// each request; the errors here are its errors.
//
// Threads: any, several at once; calls may take as long as they need.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "scheduler/core/exit.hpp"
#include "scheduler/machine/spec.hpp"
#include "vm/base/result.hpp"

namespace atollvm::machine {

// Times are nanoseconds; points in time are since 1970. Sizes are bytes.

struct Info {
  std::string policy;
  u32 workers = 0;
  u64 started = 0;
  u64 machines = 0;
  u64 processes = 0;
};

enum class MachineState : u8 {
  created,  // has not been started yet
  running,
  paused,
  restarting,  // its root process has ended, and is to be started again
  ended,       // has no processes any more
  failed,      // was restarted too often, or can't be
};

struct Exit {
  sched::ExitKind reason = sched::ExitKind::normal;
  u32 code = 0;         // of `code`: the exit code
  std::string message;  // for people; may be empty
};

struct MachineStatus {
  std::string name;
  MachineState state = MachineState::created;
  u32 weight = 0;
  u64 processes = 0;
  i64 root = 0;  // pid; 0: there is none
  u64 cpu = 0;
  u64 memory = 0;
  u64 memory_limit = 0;
  u64 messages = 0;  // in all mailboxes
  u64 handles = 0;
  u64 io_bytes = 0;
  u64 io_operations = 0;
  u64 restarts = 0;
  u64 created = 0;
  std::optional<u64> started;  // the last time
  std::optional<Exit> exit;    // of the root process, the last time
};

// The numbers are the guest interface's STATE_ constants.
enum class ProcessState : u8 { ready, running, waiting, paused };

struct ProcessStatus {
  std::string machine;
  i64 pid = 0;
  i64 parent = 0;    // 0: none
  std::string name;  // that it is registered by; empty: none. Any bytes
  ProcessState state = ProcessState::ready;
  u32 weight = 0;
  u32 priority = 0;
  u64 cpu = 0;
  u64 memory = 0;  // all of it
  u64 stack = 0;
  u64 messages = 0;  // in its mailbox
  u64 mailbox_bytes = 0;
  u64 handles = 0;
  u64 links = 0;
};

struct ProcessQuery {
  std::string machine;  // empty: all
  // Those that come after this process in the order of machines' names, then pids. It need not
  // exist.
  std::string after_machine;
  i64 after_pid = 0;
  u32 limit = 0;  // at most that many
};

enum class LogStream : u8 { output, error, system };

// A line of a machine's log.
struct LogRecord {
  u64 number = 0;  // 1, 2, 3, ... for each machine
  u64 time = 0;
  LogStream stream = LogStream::output;  // system: what Atoll itself has to say
  i64 pid = 0;                           // 0: none
  std::string text;                      // without its newline; any bytes
};

struct LogQuery {
  std::string machine;
  // With it, the oldest records with greater numbers; else the newest ones of all.
  std::optional<u64> after;
  u32 limit = 0;  // at most that many, and of about 1 MiB together, but at least one
};

struct RestoreRequest {
  std::string file;
  std::string name;                 // empty: as it was
  std::optional<MachineSpec> spec;  // what it is from now on, but for its name and module
  // Without a spec: whether it gets all that the file says, directories and files of the host, too.
  bool grants = false;
};

struct SnapshotInfo {
  u64 bytes = 0;  // of the file
  u64 processes = 0;
};

// The virtual networks of a server, while its machines run. Errors of all that takes names:
// not_found.
class NetworkOperator {
 public:
  virtual ~NetworkOperator() = default;

  // The whole, for people.
  virtual std::string show(bool as_svg) = 0;
  enum class Way : u8 { both, out, in };  // seen from the NIC
  // `nic`: "NODE-SWITCH", or the node's name if it has one NIC. What `link` does not say stays.
  virtual base::Status link(const std::string& nic, const LinkSpec& link, Way way) = 0;
  // Of names of machines and routers. `to` empty: all others.
  virtual base::Status partition(const std::vector<std::string>& from,
                                 const std::vector<std::string>& to, bool is_one_way) = 0;
  // Both empty: of all.
  virtual base::Status heal(const std::vector<std::string>& from,
                            const std::vector<std::string>& to) = 0;
  // Writes what comes to NICs or switches to a pcap file, in place of one that is there; without a
  // file, ends that. Errors: io.
  virtual base::Status capture(const std::vector<std::string>& at, const std::string& file) = 0;
};

// Errors of all that takes a machine's name: not_found. Also: usage, where the machine's state does
// not allow it.
class Operator {
 public:
  virtual ~Operator() = default;

  virtual Info info() = 0;
  // In the order of their names. Empty: of all.
  virtual base::Result<std::vector<MachineStatus>> machines(const std::string& name) = 0;
  virtual base::Result<std::vector<ProcessStatus>> processes(const ProcessQuery& query) = 0;
  // Records in the order of their numbers. Some may have been forgotten.
  virtual base::Result<std::vector<LogRecord>> logs(const LogQuery& query) = 0;

  // Errors: usage (the name is taken); what loading the module gives.
  virtual base::Result<MachineStatus> create(const MachineSpec& spec) = 0;
  // A created, ended or failed one.
  virtual base::Result<MachineStatus> start(const std::string& name) = 0;
  virtual base::Result<MachineStatus> pause(const std::string& name) = 0;
  virtual base::Result<MachineStatus> resume(const std::string& name) = 0;
  // Ends one process, or all (pid 0): these are not restarted. Errors: not_found also for the pid.
  virtual base::Result<MachineStatus> kill(const std::string& name, i64 pid) = 0;
  // Ends its processes and forgets it.
  virtual base::Status destroy(const std::string& name) = 0;

  // Writes a file, as a whole or not at all. A running machine is paused meanwhile. Errors: io.
  virtual base::Result<SnapshotInfo> snapshot(const std::string& name, const std::string& file) = 0;
  // Makes a paused machine. Errors: usage (the name is taken), malformed, invalid, unsupported,
  // limit, not_found, io.
  virtual base::Result<MachineStatus> restore(const RestoreRequest& request) = 0;

  // Null: there are no virtual networks.
  virtual NetworkOperator* networks() { return nullptr; }
};

}  // namespace atollvm::machine
