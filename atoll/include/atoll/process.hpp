// Processes: isolated guests. A process can compute, and nothing else but what its options grant.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <atoll/engine.hpp>
#include <atoll/function.hpp>
#include <atoll/host.hpp>
#include <atoll/memory.hpp>
#include <atoll/module.hpp>
#include <atoll/result.hpp>
#include <atoll/trap.hpp>
#include <atoll/value.hpp>

#pragma GCC visibility push(default)
namespace atollvm {

// A directory of the host that a guest may use, with all that is below it. No path of the guest
// leaves it: not by "..", absolute paths, symbolic links or renames.
struct DirectoryGrant {
  std::string host;       // path on the host; opened when the process is created
  std::string guest;      // path by which the guest names it
  bool writable = false;  // else the guest can only read
};

// A file system in the guest's name space. A new one of any type but "dir" is made for
// each process (or machine) that is created with it, and ends with that and its last open file.
struct Mount {
  std::string type;  // "dir": as a DirectoryGrant; "memory"; "overlay": a directory (or an archive)
                     // of the host, all changes to which are kept apart; "archive": a tar or zip
                     // archive, which can only be read; "dev": devices; "proc": texts about the
                     // process, which can only be read. See docs/file-systems.md
  std::string source{};  // path on the host; empty for "memory", "dev" and "proc"
  std::string guest;     // path by which the guest names it
  bool writable = true;  // else the guest can only read
  // Of "memory", and of what "overlay" keeps in memory: limits of all that it holds, with some
  // bytes for each name and file, and of files, directories and links. Without them: 64 MiB, and no
  // limit but that. Of "archive": of what it holds unpacked, and of its entries; 512 MiB and
  // 1,048,576.
  std::optional<std::uint64_t> bytes{};
  std::optional<std::uint64_t> inodes{};
  // Of "overlay": a directory of the host that keeps the changes, in place of memory. One overlay
  // uses it at a time.
  std::string upper{};
  // What the guest may not do below it, besides: change files but by writing at their end, and
  // remove or rename anything; remove or rename; make modules of files.
  bool append_only = false;
  bool no_delete = false;
  bool no_modules = false;
  // It has no name: its path, and all below, is not there, and the guest has a handle to its
  // directory behind those that it has anyway.
  bool hidden = false;
};
// A mount as the command line has it: "memory::/tmp:size=16M", "overlay:src:/src",
// "dir:data:/d:ro". Errors: usage.
Result<Mount> parse_mount(std::string_view text);

// The host's network, as far as rules allow it (docs/networks.md).
struct NetworkGrant {
  // "connect:example.org:443,listen:127.0.0.1:8080,dns"; empty: the guest has no network.
  std::string rules{};
  // Takes lines, without newlines, that tell of what was refused, and why. Called on threads that
  // run guests, one at a time, and on that which makes the process or machine, which it outlives.
  std::function<void(std::string_view line)> log{};
  // Sockets that take connections there, made for the guest: "127.0.0.1:8080", "[::1]:0". With port
  // 0 the host chooses one, which `log` is told. No rule is needed for them; they and their
  // connections count for `connections`.
  std::vector<std::string> listeners{};
};

// What is wrong with rules, with what to write instead: usage. Nothing: they are sound.
std::optional<Error> check_network_rules(std::string_view rules);
// The same for the address of a listener.
std::optional<Error> check_listener(std::string_view address);

// Limits of one process. Reaching one is the guest's error, never the host's.
struct Limits {
  std::uint64_t memory_bytes = std::uint64_t{1} << 32;  // linear memories together
  std::uint64_t stack_bytes = std::uint64_t{1} << 20;   // VM stack
  std::uint64_t table_elements = 10'000'000;            // all tables together
  std::uint32_t handles = 1024;                         // open at once
  // Exact units of work (docs/isa.md gives each operation's); without it nothing is counted.
  std::optional<std::uint64_t> fuel;
  // What it reads and writes through handles: bytes, and calls on streams, files and directories.
  // More is the error dquot of the call.
  std::optional<std::uint64_t> io_bytes;
  std::optional<std::uint64_t> io_operations;
  // The same in a second, beyond which calls wait; at least 1.
  std::optional<std::uint64_t> io_bytes_rate;
  std::optional<std::uint64_t> io_operations_rate;
  // Wall time of each run().
  std::optional<std::chrono::milliseconds> time;
};

// One function on a guest's stack.
struct TraceFrame {
  std::uint64_t depth = 0;     // 0: the innermost; where frames are left out, numbers are too
  std::uint32_t function = 0;  // index
  std::uint32_t word = 0;      // in the module's code: of the failing instruction, or of the call
  std::string name;            // function name, "func[12]" when it has none
  std::string location;        // "file:line:column", or empty
};

// How a run ended.
struct Outcome {
  enum class Kind : std::uint8_t {
    exited,       // main returned, or the guest ended itself: exit_code
    returned,     // the function of call() returned: results()
    trapped,      // `trap` says why
    out_of_fuel,  // run() goes on after add_fuel()
    time_limit,   // Limits::time passed
    interrupted,  // by interrupt()
  };
  Kind kind = Kind::exited;
  std::uint32_t exit_code = 0;
  Trap trap = Trap::unreachable;  // for all kinds but exited and returned
  // Of Trap::host_error: what the host function said (Caller::fail, an exception's what()).
  std::string message;
  // The stack at that moment, innermost first; empty for exited and returned. Of a very deep one,
  // some frames in the middle are left out.
  std::vector<TraceFrame> trace;
};

// How run() runs a program that starts processes of its own (host calls `spawn` and so on), and all
// of those. Other programs, and those with functions of the embedder's own, run in the calling
// thread, where such host calls give -E_NOSYS.
struct Scheduling {
  unsigned workers = 0;                   // threads that run processes; 0: one for each CPU
  std::string policy;                     // "fair" (also if empty), "rr", "fcfs", "sjf", "priority"
  std::chrono::microseconds slice{1000};  // how long a process runs while others are ready
  std::uint32_t max_processes = 1 << 20;  // at once
  std::uint32_t max_messages = 100'000;   // that lie in one mailbox
  // Not 0: a seed. For tests: run() stops processes at random safepoints, very often, moves them
  // between the threads, and lets them sleep for moments. A guest that does not depend on timing
  // ends as it does without.
  std::uint64_t stress = 0;
  // Called from a worker's thread, one at a time, when another process than the main one has ended
  // by a trap or a limit.
  std::function<void(std::uint64_t pid, const Outcome& outcome)> on_crash;
};

struct ProcessOptions {
  std::vector<std::string> arguments;  // the first is the program's name, by custom
  std::vector<std::pair<std::string, std::string>> environment;
  std::vector<DirectoryGrant> directories;
  std::vector<Mount> mounts;  // WASI's programs find them behind the directories
  NetworkGrant network;
  // File descriptors of the host for the guest's standard streams; -1: the guest has none. They
  // stay the caller's, and must stay open while the process lives.
  int input = -1;
  int output = -1;
  int error = -1;
  // The program's own functions, which guests may import. The functions outlive the process.
  Imports imports;
  // Functions that the module imports and nobody provides trap (unknown_import) when they are
  // called; else such a module has no process.
  bool trap_unknown_imports = false;
  Limits limits;
  Scheduling scheduling;
  // Not 0: how much CPU time a sample of Process::profile() stands for. It costs some speed, and
  // processes of a Scheduling are preempted about so often.
  std::chrono::microseconds profile{0};
};

// Calls that were under way in samples of a guest.
struct StackSamples {
  // Their functions, the outermost first; "[calls left out]" stands for the middle of a very deep
  // stack, "[other stacks]" for what differs from the first 100,000.
  std::vector<std::string> functions;
  std::uint64_t count = 0;
};

// What a process has used.
struct Stats {
  std::chrono::nanoseconds run_time{0};  // wall time in run(), all together
  std::uint64_t memory_bytes = 0;        // linear memories; they never shrink
  std::uint64_t stack_bytes = 0;         // of the VM stack; it grows by halves
  std::uint64_t table_elements = 0;
  std::optional<std::uint64_t> fuel_used;  // when Limits::fuel counts it
  // What has been compiled of its module, for all its processes, and how long that took.
  std::uint32_t compiled_functions = 0;
  std::uint64_t code_bytes = 0;
  std::chrono::nanoseconds compile_time{0};
  // Of these functions, those whose code was thrown away to make room (EngineOptions::code_memory).
  std::uint32_t discarded_functions = 0;
  // What Scheduling::stress did in all processes of the run: stops, and of these, moves and naps.
  std::uint64_t stress_stops = 0;
  std::uint64_t stress_moves = 0;
  std::uint64_t stress_naps = 0;
};

// One isolated guest. Threads: one at a time (not always the same), but for interrupt().
class Process {
 public:
  // Makes a process of a module: finds its imports, opens the granted directories, sets memories
  // and tables up. Runs nothing. Errors: not_found (an import, or a directory), io, denied, limit
  // (memory, tables, handles), invalid (a data or element segment outside its memory or table),
  // usage (two grants of one guest path, a bad descriptor).
  static Result<Process> create(const Engine& engine, const Module& module,
                                const ProcessOptions& options = {});
  ~Process();
  Process(Process&& other) noexcept;
  Process& operator=(Process&& other) noexcept;

  // Runs the module's start function, if it has one, then its entry: the export `_start` of type
  // () (a WASI command), else `_initialize` of type () (a WASI reactor) and `main` of type
  // () -> i32 (the exit code) or (), as far as they are there. The exit code is 0 where nothing
  // gives another. Blocks until the guest ends or reaches a limit. Again after out_of_fuel: goes
  // on. A program that imports host calls of processes is run with all that it starts, as
  // Scheduling says, until its main process ends: of that are the outcome and the statistics, and
  // it can't go on after out_of_fuel. Errors: not_found (no entry of such a type, no such policy),
  // usage (it has ended already), io (no event loop could be made, or no threads).
  Result<Outcome> run();
  // The same with the exported function `entry`, of type () -> i32 or (), in the place of `main`;
  // empty: run().
  Result<Outcome> run(std::string_view entry);

  // Calls an exported function. The first call runs the module's start function and, if it has
  // one, `_initialize` before. Blocks as run() does; any number of calls, but none after run() or
  // after the guest trapped or ended itself. Gives `returned`, or what stopped it; after
  // out_of_fuel, the same call again goes on. Errors: not_found (no such export), usage
  // (arguments of other types or another number; references other than null; it has ended
  // already), io.
  Result<Outcome> call(std::string_view function, std::span<const Value> arguments);
  // Of the call that returned last.
  [[nodiscard]] std::vector<Value> results() const;

  // An exported function with a C++ type, e.g. function<std::int32_t(std::int32_t, double)>("f"),
  // for numbers only (GuestNumber); several results are a std::tuple. Its calls are those of
  // call(), at a fraction of the cost; Stats::run_time leaves them out when there is no time
  // limit. Errors: not_found (no such function of the module's own), usage (it has another type).
  template <class Signature>
  Result<Function<Signature>> function(std::string_view name) const {
    Result<std::uint32_t> index = find_function(name, Function<Signature>::type());
    if (!index) return std::move(index).error();
    return Function<Signature>(impl_.get(), *index);
  }
  // How the run or call before ended: the newest Outcome.
  [[nodiscard]] const Outcome& outcome() const;

  // The module's memory of that index; of size 0 if there is none. It goes with the process.
  [[nodiscard]] Memory memory(std::uint32_t index = 0) const;
  // An exported global. Errors: not_found; usage (set: it is immutable, of another type, or a
  // reference that is not null).
  [[nodiscard]] Result<Value> global(std::string_view name) const;
  Result<std::monostate> set_global(std::string_view name, const Value& value);

  // A new handle of the guest to an object that is not null: the lowest free number (WASI's and
  // Atoll's own come first). Errors: limit (Limits::handles).
  Result<std::uint32_t> insert(std::shared_ptr<HostObject> object);
  // Takes an object away: closes all handles of the guest to it, those too that the guest made of
  // others, whichever it closed itself. Gives their number.
  std::uint32_t revoke(const std::shared_ptr<HostObject>& object);
  // As Caller::object and Caller::close, between runs and calls: for handles that guests give back.
  [[nodiscard]] std::shared_ptr<HostObject> object(std::uint32_t handle) const;
  template <class T>
  [[nodiscard]] std::shared_ptr<T> object(std::uint32_t handle) const {
    return std::dynamic_pointer_cast<T>(object(handle));
  }
  bool close(std::uint32_t handle);

  // More fuel for a process whose fuel is counted; else nothing.
  void add_fuel(std::uint64_t amount);

  // Makes a run() under way, or the next one, end as interrupted: within milliseconds, whatever
  // the guest does or waits for. Any thread, and async-signal-safe; the process must not be moved
  // or destroyed meanwhile.
  void interrupt() noexcept;

  [[nodiscard]] Stats stats() const;

  // Where CPU time went, by samples of this process and of those that it started, when
  // ProcessOptions::profile asks for them; in the order of the functions' names. A sample is taken
  // where the guest can stop next, at the begin of a function or of a loop's turn: what it takes
  // until then counts for where it is by then.
  [[nodiscard]] std::vector<StackSamples> profile() const;

 private:
  struct Impl;
  friend struct Access;
  explicit Process(std::unique_ptr<Impl> impl);
  friend bool detail::run_function(void*, std::uint32_t, std::uint64_t*, std::size_t,
                                   std::size_t) noexcept;
  friend Error detail::function_error(void*);
  [[nodiscard]] Result<std::uint32_t> find_function(std::string_view name,
                                                    const FunctionType& type) const;
  std::unique_ptr<Impl> impl_;
};

}  // namespace atollvm
#pragma GCC visibility pop
