// What a machine is made of, and the files that say so. docs/machines.md describes the format.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "scheduler/core/message.hpp"
#include "scheduler/machine/config.hpp"
#include "scheduler/machine/topology.hpp"
#include "scheduler/policy/policy.hpp"
#include "vm/base/result.hpp"

namespace atollvm::machine {

inline constexpr u64 unlimited = ~u64{0};
inline constexpr usize max_machine_file = 1 << 20;
inline constexpr usize max_machines = 10'000;
inline constexpr usize max_path = 4095;  // bytes

struct Directory {
  std::string host;  // absolute, unless the file's folder was given as a relative one
  std::string guest;
  bool writable = false;
};

// What a type takes, stdlib/vfs/mount.hpp says; it is looked at when the machine starts.
struct Mount {
  std::string type;
  std::string source;  // absolute, as Directory::host; empty: none
  std::string guest;
  bool writable = true;
  std::optional<u64> bytes;
  std::optional<u64> inodes;
  std::string upper;  // as source
  bool append_only = false;
  bool no_delete = false;
  bool no_modules = false;
  bool hidden = false;
};

// What is granted of that which an image asks for; docs/images.md.
struct ImageGrant {
  std::string guest;   // the path that the image has
  std::string source;  // absolute, as Directory::host; empty: of what is in memory
  bool writable = true;
};

// Of a machine: all its processes together. Bytes and nanoseconds.
struct MachineLimits {
  u64 memory = u64{4} << 30;  // linear memories, stacks, tables, mailboxes
  u64 fuel = unlimited;
  u64 cpu_time = unlimited;
  u64 processes = 100'000;
  u64 handles = 1'000'000;
  u64 io_bytes = unlimited;       // read and written
  u64 io_operations = unlimited;  // calls that read or write
  u64 io_bytes_rate = unlimited;  // a second
  u64 io_operations_rate = unlimited;
};

// Of the root process, and of those that it spawns unless it asks for less.
struct ProcessLimits {
  u64 memory = u64{4} << 30;  // linear memories
  u64 stack = u64{1} << 20;
  u64 table_elements = 10'000'000;
  u64 fuel = unlimited;
  u64 cpu_time = unlimited;
  u64 handles = 1024;
  u64 mailbox_messages = 100'000;
  u64 mailbox_bytes = u64{64} << 20;
  u64 io_bytes = unlimited;
  u64 io_operations = unlimited;
  u64 io_bytes_rate = unlimited;  // a second
  u64 io_operations_rate = unlimited;
  sched::Overflow overflow = sched::Overflow::refuse;
};

// What becomes of a machine whose root process has ended.
struct RestartRule {
  enum class When : u8 { never, on_failure, always };
  When when = When::never;
  // After this many restarts in any `within`, the next one is not made: the machine has failed.
  u32 intensity = 3;
  u64 within = 5'000'000'000;
  // The pause before a restart: doubles with each one in `within`, up to `max_backoff`.
  u64 backoff = 100'000'000;
  u64 max_backoff = 10'000'000'000;
};

struct MachineSpec {
  std::string name;                    // 1 to 64 of A-Z a-z 0-9 . _ -, the first no sign
  std::string module;                  // path of the root process's module, or of an image
  std::vector<ImageGrant> grants;      // of an image
  std::string verify;                  // path of the key that must have signed it; empty: none
  std::vector<std::string> arguments;  // that follow the name of the program
  std::vector<std::pair<std::string, std::string>> environment;  // by name
  std::vector<Directory> directories;
  std::vector<Mount> mounts;
  std::string network;  // rules, as stdlib/net/rules.hpp has them; empty: it has none
  std::vector<std::string> listeners;  // "ADDRESS:PORT" where connections are taken for it
  // With NICs its network is the virtual one that these are of; without rules it may do there what
  // it likes.
  std::vector<NicSpec> nics;
  std::vector<RouteSpec> routes;
  std::vector<std::string> names;  // that the root process is registered by
  // Paths. Standard input: empty, there is none. Standard output and error are appended to; empty:
  // they go to the log. Of the log, empty: no file.
  std::string input;
  std::string output;
  std::string error;
  std::string log;
  u32 weight = policy::default_weight;
  MachineLimits limits;
  ProcessLimits process;
  RestartRule restart;
};

struct MachineFile {
  std::string policy;  // the name of a row of policy::all()
  u32 workers = 0;     // 0: one for each processor
  TopologySpec topology;
  std::vector<MachineSpec> machines;
};

// Reads a machine file; `name` is for messages, relative paths are relative to `folder`. Errors:
// malformed (no TOML), invalid (both with "name:line:column" as place), limit.
base::Result<MachineFile> read_machine_file(std::string_view name, std::string_view text,
                                            std::string_view folder);
// Reads one machine, out of a file or a request. Without a `folder`, paths must be absolute.
MachineSpec read_machine(Reader& reader, const Node& node, std::string_view folder);
// The description that read_machine reads as the same again. Only with absolute paths.
nlohmann::ordered_json to_json(const MachineSpec& spec);

// Whether a text can be a machine's name.
bool is_machine_name(std::string_view name);

}  // namespace atollvm::machine
