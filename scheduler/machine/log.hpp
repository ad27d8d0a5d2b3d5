// The log of a machine: the newest lines of what its processes write and of what happens to it.
#pragma once

#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/machine/operator.hpp"
#include "vm/base/result.hpp"

namespace atollvm::machine {

// Threads: any, at once.
class Log {
 public:
  // A longer line is cut in pieces.
  static constexpr usize max_line = 8 << 10;
  // What is kept in memory, with 64 bytes for each line.
  static constexpr usize max_bytes = 1 << 20;

  Log() = default;
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  // Appends each line from now on to a file too, with its time and stream. Errors: io. A file that
  // can't be written later is given up, and the log says so.
  base::Status append_to(const std::string& path);

  // What a process wrote, or Atoll has to say, at `time` (ns since 1970). A line is a record when
  // its newline comes, or another process writes to the stream.
  void write(LogStream stream, i64 pid, std::string_view bytes, u64 time);
  // A whole line of LogStream::system.
  void say(std::string_view text, u64 time);
  // Numbers go on after this one, if there is no record yet; and the newest number.
  void go_on(u64 number);
  [[nodiscard]] u64 newest() const;
  // Ends lines that have no newline yet: the machine has ended.
  void end(u64 time);

  // As Operator::logs.
  [[nodiscard]] std::vector<LogRecord> read(std::optional<u64> after, u32 limit) const;

 private:
  struct Partial {
    i64 pid = 0;
    std::string text;
  };
  // With mutex_ held.
  void take(LogStream stream, i64 pid, std::string text, u64 time);
  void keep(LogRecord record);
  void finish(LogStream stream, u64 time);

  mutable std::mutex mutex_;
  std::deque<LogRecord> records_;
  Partial partial_[3];  // by stream
  usize bytes_ = 0;     // of records_
  u64 number_ = 0;      // of the newest
  int file_ = -1;
};

}  // namespace atollvm::machine
