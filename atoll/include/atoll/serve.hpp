// Running machines (docs/machines.md): what `atoll serve` and `atoll up` do.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <atoll/engine.hpp>
#include <atoll/result.hpp>

#pragma GCC visibility push(default)
namespace atollvm::serve {

struct Options {
  // Of the scheduler; what is not given here is as the machine file says, or the default.
  std::string policy;           // "fair", "rr", "fcfs", "sjf", "priority"
  unsigned workers = 0;         // threads that run processes, 1 to 256
  Tier tier = Tier::automatic;  // how the code of all machines is executed
  bool hardened = false;        // as EngineOptions has it
  // As in EngineOptions.
  std::uint64_t code_memory = EngineOptions{}.code_memory;
  std::uint32_t warm_up = EngineOptions{}.warm_up;
  // Somebody calls take_lines() again and again: machines wait where they write more than it takes.
  bool is_followed = false;

  // A folder (docs/snapshots.md) in which all machines are kept, to go on after the sudden end of
  // the program: what they are, and snapshots `every` so long (0: only the last ones, at stop()).
  std::string state;  // empty: none
  std::chrono::nanoseconds every{0};
  // Makes the machines that the folder holds anew. Without it the folder must hold none.
  bool recovers = false;
};

// A machine file's text.
struct MachineFile {
  std::string name;  // for messages
  std::string text;
  std::string folder;  // absolute: relative paths are relative to it
};

// A line of a machine's log.
struct Line {
  enum class Stream : std::uint8_t { output, error, system };
  std::string machine;
  Stream stream = Stream::output;  // system: what Atoll itself has to say
  std::string text;                // without its newline; any bytes
};

// How a machine's root process ended.
struct Failure {
  enum class Kind : std::uint8_t { code, trap, fuel, time, other };
  Kind kind = Kind::other;
  std::uint32_t code = 0;  // of `code`
};

// A scheduler and the machines on it. Threads: one at a time.
class Machines {
 public:
  // Starts the scheduler's threads, recovers machines, and creates those of a file that have not
  // been recovered, if there is one. A recovered machine is from now on as the file describes it,
  // if it does. Errors: of the file, as control::read_machines; of the machines, with the name of
  // the module or the machine; not_found (there is no such policy); io (no threads); usage (the
  // folder of the state is in use, or holds machines that are not to be recovered).
  static Result<Machines> create(const Options& options, const std::optional<MachineFile>& file);
  // Ends all machines, and waits for that.
  ~Machines();
  Machines(Machines&& other) noexcept;
  Machines& operator=(Machines&& other) noexcept;

  // Serves the control protocol (docs/control.md) on a Unix socket of this path until the end.
  // Errors: usage (it is in use, or no socket), limit (a path of more than 107 bytes), io.
  Result<std::monostate> listen(const std::string& socket);
  // What is wrong with machines that could not be recovered, or not from their newest snapshot.
  std::vector<std::string> complaints() const;
  // Starts the machines of the file, and lets the recovered ones go on that ran. Errors: of the
  // first one that can't be.
  Result<std::monostate> start();

  // What the machines of the file have written since the call before.
  std::vector<Line> take_lines();
  // Whether no machine runs or will be started again.
  bool have_ended();
  // How the first one ended that failed for good; nothing: none has.
  std::optional<Failure> first_failure();
  // Ends all machines, and waits for that.
  void stop();

 private:
  struct Impl;
  explicit Machines(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace atollvm::serve
#pragma GCC visibility pop
