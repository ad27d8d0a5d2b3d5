// Many processes on a few threads: schedulers, the machines on them, and the processes, messages
// and mailboxes of these. docs/processes.md says what processes are to guests, docs/machines.md
// what a machine is; docs/embedding.md has an example.
//
// What is called a worker here is a thread of a scheduler. Host functions run there, and the
// functions that mailboxes and machines call; they must not block for long. What waits (pause(),
// wait(), receive()) is refused there. Exceptions that such functions throw end at the library.
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
#include <atoll/host.hpp>
#include <atoll/module.hpp>
#include <atoll/process.hpp>
#include <atoll/result.hpp>
#include <atoll/trap.hpp>
#include <atoll/value.hpp>

#pragma GCC visibility push(default)
namespace atollvm {

// The number of a process: it means something in its machine alone, and is never given again there.
// Guests see it as an i64 above 0. 0: none.
using Pid = std::uint64_t;

struct SchedulerOptions {
  unsigned workers = 0;                   // 1 to 256; 0: one for each CPU
  std::string policy;                     // "fair" (also if empty), "rr", "fcfs", "sjf", "priority"
  std::chrono::microseconds slice{1000};  // how long a process runs while others are ready
  std::uint64_t stress = 0;               // for tests: as Scheduling::stress
};

// Threads that run the processes of machines. Copies mean the same scheduler, and its machines keep
// it: the threads end with the last of them all. Threads: any, at once.
class Scheduler {
 public:
  // Starts the threads. Errors: not_found (no such policy), usage (the number of workers), io (no
  // threads).
  static Result<Scheduler> create(const Engine& engine, const SchedulerOptions& options = {});

  [[nodiscard]] unsigned workers() const;

 private:
  friend class Machine;
  struct Impl;
  explicit Scheduler(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

// Why a process ended; the numbers are those of guests (ExitInfo).
enum class ExitReason : std::uint8_t {
  normal,   // returned, or ended itself with exit code 0
  code,     // ended itself with another exit code, or was told to by process_exit
  trap,     // `code` is the Trap
  killed,   // by somebody else
  fuel,     // its fuel was used up
  time,     // its CPU time was, or that of its machine
  memory,   // the host had no memory for it
  mailbox,  // its mailbox was full, and its overflow rule says so
  noproc,   // it was bound to a process that was not there
  stopped,  // its machine was ended
};
// "exit code", "trap", "killed" and so on. Any thread.
std::string_view to_text(ExitReason reason) noexcept;

struct Exit {
  ExitReason reason = ExitReason::normal;
  std::uint32_t code = 0;  // the exit code, or the Trap's number; else 0
};
// "exit code 3", "trap: integer divide by zero", "killed": for people. Any thread.
std::string to_text(const Exit& exit);

// The end of a process of a machine.
struct ProcessEnd {
  Exit exit;
  // Of the Trap host_error: what the host function said (Caller::fail, an exception's what()).
  std::string message;
  // The stack at that moment, innermost first, as in Outcome; empty if it ended by itself.
  std::vector<TraceFrame> trace;
  std::vector<Value> results;  // of its function, if that returned
  std::chrono::nanoseconds cpu_time{0};
  std::optional<std::uint64_t> fuel_left;  // when Limits::fuel counts it

  // As to_text() of the exit says it, and the message.
  [[nodiscard]] std::string text() const;
};

// Something that a process may hold by a handle: an object of this program, a module, or what a
// guest has sent. Modules can't go to other machines. Copies mean the same. Threads: any, at once.
class Grant {
 public:
  Grant() = default;  // of nothing: where one is needed, that is an error of usage
  explicit Grant(std::shared_ptr<HostObject> object);

  // The object of this program; null: it is something else.
  [[nodiscard]] std::shared_ptr<HostObject> object() const;
  template <class T>
  [[nodiscard]] std::shared_ptr<T> object() const {
    return std::dynamic_pointer_cast<T>(object());
  }

 private:
  friend struct Access;
  struct Impl;
  std::shared_ptr<const Impl> impl_;
};

// What becomes of a message that does not fit into a mailbox.
enum class Overflow : std::uint8_t {
  refuse,  // the sender gets an error
  newest,  // it is dropped
  oldest,  // the oldest ones are dropped
  kill,    // the receiver ends
  wait,    // a guest that sends waits until there is room; this program gets an error
};

struct MailboxLimits {
  std::uint32_t messages = 100'000;               // that wait
  std::uint64_t bytes = std::uint64_t{64} << 20;  // of these messages
  Overflow overflow = Overflow::refuse;
};

struct SpawnOptions {
  // Of the process; those that it starts have the same or less. `time` is CPU time here.
  Limits limits;
  MailboxLimits mailbox;
  std::uint32_t weight = 100;  // 1 to 1,000,000: its share in its machine under "fair"
  std::uint8_t priority = 16;  // 0 to 31, the most urgent, under "priority"
  // Whether it begins with the machine's streams and directories, by the handles that every program
  // begins with (0 to 3, or WASI's descriptors).
  bool standard_handles = true;
  std::vector<Grant> grants;  // its next handles
  // A process of the machine or a Mailbox; the guest asks for it by process_parent. `is_linked`:
  // when one of both ends otherwise than normally, the other one does or is told, as by
  // process_link.
  Pid parent = 0;
  bool is_linked = false;
};

// What all processes of a machine together may have. Reaching a limit is the error of the one that
// asks for more; docs/machines.md says what is counted.
struct MachineLimits {
  std::uint64_t memory_bytes = std::uint64_t{4} << 30;
  std::uint32_t processes = 100'000;  // at once, mailboxes included
  std::uint64_t handles = 1'000'000;  // open at once, and in messages
  // Since the machine was made. All processes and mailboxes end when the CPU time is used up, and
  // there are no further ones.
  std::optional<std::chrono::nanoseconds> cpu_time;
  std::optional<std::uint64_t> io_bytes;
  std::optional<std::uint64_t> io_operations;
  // The same in a second, beyond which calls wait; at least 1.
  std::optional<std::uint64_t> io_bytes_rate;
  std::optional<std::uint64_t> io_operations_rate;
};

struct MachineOptions {
  std::string name;            // for messages
  std::uint32_t weight = 100;  // 1 to 1,000,000: its share of the CPU under "fair"
  MachineLimits limits;
  // What its processes may be told, and be given (SpawnOptions::standard_handles); as in
  // ProcessOptions.
  std::vector<std::string> arguments;
  std::vector<std::pair<std::string, std::string>> environment;
  std::vector<DirectoryGrant> directories;
  std::vector<Mount> mounts;
  NetworkGrant network;
  int input = -1;
  int output = -1;
  int error = -1;
  // Functions of this program, which run on workers, several at once. They outlive the machine.
  Imports imports;
  // Called on a worker when a process has ended, also one that a guest started, before others hear
  // of it; not for mailboxes. The results are there for those that this program started.
  std::function<void(Pid pid, const ProcessEnd& end)> on_end;
};

struct ProcessInfo {
  enum class State : std::uint8_t { ready, running, waiting, paused };
  Pid pid = 0;
  Pid parent = 0;  // 0: none
  State state = State::ready;
  bool is_mailbox = false;  // of this program
  std::uint32_t weight = 0;
  std::uint8_t priority = 0;
  std::vector<std::string> names;  // that it is found by
  std::uint64_t links = 0;
  // As of the end of its last slice, if it is not waiting:
  std::chrono::nanoseconds cpu_time{0};
  std::uint64_t memory_bytes = 0;  // linear memories
  std::uint64_t stack_bytes = 0;   // of the VM stack
  std::uint32_t handles = 0;
  // Now:
  std::uint32_t messages = 0;  // that wait
  std::uint64_t mailbox_bytes = 0;
};

struct MachineInfo {
  std::uint32_t processes = 0;  // mailboxes included
  bool is_paused = false;
  std::chrono::nanoseconds cpu_time{0};  // about a slice for each worker behind
  std::uint64_t memory_bytes = 0;        // all that limits.memory_bytes counts
  std::uint64_t handles = 0;
  std::uint64_t io_bytes = 0;
  std::uint64_t io_operations = 0;
};

// A process of a machine that this program started, to be waited for. Copies mean the same process;
// it does not end with them. Valid also when the machine has gone. Threads: any, at once.
class Task {
 public:
  [[nodiscard]] Pid pid() const;
  // Waits until it has ended and nothing is left of it, names and memory included, and gives its
  // end; again each time. Errors: usage (on a worker).
  [[nodiscard]] Result<ProcessEnd> wait() const;
  // The same, for so long at most; at once if it is 0 or on a worker. Nothing: it has not ended.
  [[nodiscard]] std::optional<ProcessEnd> wait_for(std::chrono::nanoseconds timeout) const;
  // Ends it: its next safepoint is its last, and nothing else in it runs. False: it has ended.
  bool kill() const;

 private:
  friend class Machine;
  struct Impl;
  explicit Task(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<Impl> impl_;
};

// The system's tags; those of others are 0 and above.
inline constexpr std::int32_t any_tag = INT32_MIN;  // receive: whatever comes
inline constexpr std::int32_t exit_tag = -1;        // a linked process has ended
inline constexpr std::int32_t down_tag = -2;        // a monitored process has ended

struct Message {
  Pid sender = 0;  // 0: this program or, for the system's tags, the system
  std::int32_t tag = 0;
  std::string bytes;
  std::vector<Grant> grants;  // the handles that came with it; they are the receiver's now
};

// What a message with exit_tag or down_tag says.
struct EndNews {
  Pid pid = 0;                  // of the process that has ended
  std::uint64_t reference = 0;  // of the monitor; 0: it was a link
  Exit exit;
};
// Nothing: it is another message. Any thread.
std::optional<EndNews> end_news(const Message& message);

class Mailbox;

struct MailboxOptions {
  MailboxLimits limits;
  std::uint32_t handles = 1024;  // in messages that wait
  std::uint32_t weight = 100;    // as in SpawnOptions
  std::uint8_t priority = 16;
  // Ends of linked processes come as messages; else one that is not normal ends the mailbox.
  bool traps_exits = true;
  // Called on a worker with each message, in their order, one at a time; there is no receive()
  // then. What it throws ends the mailbox, as a host function's exception does a process.
  std::function<void(Mailbox& mailbox, const Message& message)> on_message;
};

// This program's own process in a machine: guests send to its number, link and monitor it, register
// it by a name and may kill it, as any other; what it does is up to the program. Threads: any,
// several at once, also of the functions that wait; destroyed or moved by one when no other uses
// it, before or after its machine.
class Mailbox {
 public:
  // Its end is a normal one. Waits until its on_message function has come back, which is not called
  // again; on a worker it does not wait.
  ~Mailbox();
  Mailbox(Mailbox&& other) noexcept;
  Mailbox& operator=(Mailbox&& other) noexcept;

  [[nodiscard]] Pid pid() const;

  // As Machine::send, with the mailbox as sender.
  Result<std::monostate> send(Pid to, std::int32_t tag, std::string_view bytes,
                              std::span<const Grant> grants = {});
  // Waits for a message with that tag, and gives the oldest one; the others stay. Those that come
  // while the machine is paused are seen when it is resumed, or when the time is over. Errors:
  // usage (the mailbox has ended; with on_message; on a worker).
  Result<Message> receive(std::int32_t tag = any_tag);
  // The same, for so long at most; at once if it is 0, also on a worker. Nothing: none has come.
  Result<std::optional<Message>> receive_for(std::chrono::nanoseconds timeout,
                                             std::int32_t tag = any_tag);

  // Binds the mailbox and a process: the end of either is told to the other. A process that is not
  // there has ended with ExitReason::noproc. Errors: usage (the mailbox has ended), limit (of the
  // machine).
  Result<std::monostate> link(Pid pid);
  void unlink(Pid pid);
  // A message with down_tag when the process has ended, or with ExitReason::noproc if there is
  // none. Gives the monitor's reference. Errors: as link().
  Result<std::uint64_t> monitor(Pid pid);
  // Such a message, if it lies here already, goes too.
  void demonitor(std::uint64_t reference);

  // Why it has ended; nothing: it has not.
  [[nodiscard]] std::optional<ProcessEnd> end() const;

 private:
  friend class Machine;
  friend struct Access;
  struct Impl;
  Mailbox(std::shared_ptr<Impl> impl, bool owns) : impl_(std::move(impl)), owns_(owns) {}
  std::shared_ptr<Impl> impl_;
  bool owns_ = true;
};

// A tenant: processes that share limits, a part of the CPU and names, and that nothing of another
// machine reaches. Threads: any, at once; also on workers, but where it says otherwise. Destroyed
// or moved by one thread, when no thread but workers uses it.
class Machine {
 public:
  // Errors: io, not_found and denied (a directory), usage (two grants of one guest path), limit.
  static Result<Machine> create(const Scheduler& scheduler, const MachineOptions& options = {});
  // Ends all its processes and waits for that; on a worker it does not wait.
  ~Machine();
  Machine(Machine&& other) noexcept;
  Machine& operator=(Machine&& other) noexcept;

  // Starts a process with a memory of its own, which runs the module's start function and
  // `_initialize`, if there are such, then the exported function. An empty name means the module's
  // entry, as Process::run() finds it: what `main` gives is the exit code. Errors: not_found (the
  // function, an import), usage (arguments, a weight or priority out of range, an empty Grant),
  // limit (of the machine or the process, or the machine ends), invalid (a segment outside its
  // memory or table).
  Result<Task> spawn(const Module& module, std::string_view function,
                     std::span<const Value> arguments = {}, const SpawnOptions& options = {});

  // A further address of this program in the machine. Errors: usage (a weight or priority out of
  // range), limit (of the machine).
  Result<Mailbox> open_mailbox(const MailboxOptions& options = {});
  // Sends to a process of the machine, from this program (Message::sender 0). Errors: not_found (no
  // such process), limit (its mailbox is full; the machine's memory or handles), usage (a tag below
  // 0; more than 16 MiB or 8 grants; an empty Grant, or another machine's module).
  Result<std::monostate> send(Pid to, std::int32_t tag, std::string_view bytes,
                              std::span<const Grant> grants = {});

  // A module as a guest loads one (module_load): who gets it can start processes of the module, in
  // this machine alone. Errors: not_found (an import), invalid (an import's type), limit (imports).
  [[nodiscard]] Result<Grant> grant(const Module& module) const;

  // Ends a process or mailbox of this program, whoever started it. False: there is none.
  bool kill(Pid pid);
  // Lets none of its processes run, and none of the functions of its mailboxes, until it is
  // resumed: when pause() comes back, none does. Time goes on. Errors: usage (on a worker).
  Result<std::monostate> pause();
  void resume();

  // Names by which guests (name_find) and this program find processes. They go with the process.
  // Errors: usage (taken; not 1 to 255 bytes), not_found (no such process), limit.
  Result<std::monostate> register_name(std::string_view name, Pid pid);
  // False: there is no such name.
  bool unregister_name(std::string_view name);
  // 0: nobody has it.
  [[nodiscard]] Pid find(std::string_view name) const;

  // Nothing: there is no such process.
  [[nodiscard]] std::optional<ProcessInfo> info(Pid pid) const;
  // Of all; those that come and go meanwhile may be left out.
  [[nodiscard]] std::vector<ProcessInfo> processes() const;
  [[nodiscard]] MachineInfo info() const;

 private:
  struct Impl;
  explicit Machine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace atollvm
#pragma GCC visibility pop
