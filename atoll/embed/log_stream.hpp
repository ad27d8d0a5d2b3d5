// Streams of a machine's processes: into its log, and from and to files.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "scheduler/machine/log.hpp"
#include "stdlib/host/stream.hpp"
#include "stdlib/vfs/posix.hpp"
#include "vm/base/result.hpp"

namespace atollvm {

// Nanoseconds since 1970.
u64 real_time();

// A machine's log, and the gate before it. Threads: any, at once.
class Output {
 public:
  // Errors: io (no descriptor for the gate).
  static base::Result<std::shared_ptr<Output>> make(bool is_followed);

  machine::Log log;

  // Takes at least one byte of at least one; or nothing while the gate is closed.
  vfs::Outcome<u32> write(machine::LogStream stream, std::span<const u8> bytes);
  // A follower has taken all lines: opens the gate.
  void all_taken();
  // Writable while the gate is open.
  [[nodiscard]] int gate() const { return gate_.get(); }

 private:
  bool is_followed_ = false;
  vfs::Descriptor gate_;
  std::mutex mutex_;
  usize waiting_ = 0;  // bytes in the log that the follower has not taken
  bool is_closed_ = false;
};

// The process that writes, for the log; set around its calls, on its worker.
extern thread_local i64 writing_process;

std::shared_ptr<host::Stream> log_stream(std::shared_ptr<Output> output, machine::LogStream stream);
// Opens a file to read, or to append to. Errors: io.
base::Result<std::shared_ptr<host::Stream>> open_input(const std::string& path);
base::Result<std::shared_ptr<host::Stream>> open_output(const std::string& path);

}  // namespace atollvm
