#include "scheduler/machine/log.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>

#include "vm/base/utf8.hpp"

namespace atollvm::machine {

namespace {

constexpr usize record_bytes = 64;

usize charge(const LogRecord& record) { return record.text.size() + record_bytes; }

// "2027-01-15T08:00:02.250Z stdout TEXT\n".
std::string file_line(const LogRecord& record) {
  constexpr const char* streams[] = {"stdout", "stderr", "system"};
  const auto seconds = static_cast<std::time_t>(record.time / 1'000'000'000);
  std::tm parts = {};
  gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z {} {}\n", parts.tm_year + 1900,
                     parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                     record.time / 1'000'000 % 1000, streams[static_cast<u8>(record.stream)],
                     record.text);
}

// False: errno says why.
bool write_all(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    bytes.remove_prefix(static_cast<usize>(written));
  }
  return true;
}

}  // namespace

Log::~Log() {
  if (file_ >= 0) close(file_);
}

base::Status Log::append_to(const std::string& path) {
  const int file =
      open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
  if (file < 0) {
    return base::Error{base::ErrorCode::io, base::printable(path, 200), std::strerror(errno)};
  }
  const std::lock_guard guard(mutex_);
  if (file_ >= 0) close(file_);
  file_ = file;
  return {};
}

void Log::write(LogStream stream, i64 pid, std::string_view bytes, u64 time) {
  const std::lock_guard guard(mutex_);
  Partial& partial = partial_[static_cast<u8>(stream)];
  if (partial.pid != pid) finish(stream, time);
  partial.pid = pid;
  while (!bytes.empty()) {
    const usize room = max_line - partial.text.size();
    const usize newline = bytes.substr(0, room + 1).find('\n');
    const bool is_whole = newline != std::string_view::npos;
    const usize length = is_whole ? newline : std::min(room, bytes.size());
    partial.text += bytes.substr(0, length);
    bytes.remove_prefix(length + (is_whole ? 1 : 0));
    if (!is_whole && (bytes.empty() || partial.text.size() < max_line)) break;
    take(stream, pid, std::move(partial.text), time);
    partial.text.clear();
  }
}

void Log::say(std::string_view text, u64 time) {
  const std::lock_guard guard(mutex_);
  take(LogStream::system, 0, std::string(text.substr(0, max_line)), time);
}

void Log::end(u64 time) {
  const std::lock_guard guard(mutex_);
  for (const LogStream stream : {LogStream::output, LogStream::error}) finish(stream, time);
}

void Log::finish(LogStream stream, u64 time) {
  Partial& partial = partial_[static_cast<u8>(stream)];
  if (partial.text.empty()) return;
  take(stream, partial.pid, std::move(partial.text), time);
  partial.text.clear();
}

void Log::take(LogStream stream, i64 pid, std::string text, u64 time) {
  keep({++number_, time, stream, pid, std::move(text)});
  if (file_ < 0 || write_all(file_, file_line(records_.back()))) return;
  const int error = errno;
  close(file_);
  file_ = -1;
  keep({++number_, time, LogStream::system, 0,
        fmt::format("the log's file is given up: {}", std::strerror(error))});
}

void Log::keep(LogRecord record) {
  bytes_ += charge(record);
  records_.push_back(std::move(record));
  while (bytes_ > max_bytes) {
    bytes_ -= charge(records_.front());
    records_.pop_front();
  }
}

std::vector<LogRecord> Log::read(std::optional<u64> after, u32 limit) const {
  const std::lock_guard guard(mutex_);
  // Numbers have no gaps.
  const u64 first = records_.empty() ? number_ + 1 : records_.front().number;
  usize begin = records_.size() - std::min<usize>(limit, records_.size());
  if (after) {
    begin =
        *after < first ? 0 : static_cast<usize>(std::min<u64>(*after + 1 - first, records_.size()));
  }
  const usize end = std::min(records_.size(), begin + limit);
  return {records_.begin() + static_cast<std::ptrdiff_t>(begin),
          records_.begin() + static_cast<std::ptrdiff_t>(end)};
}

void Log::go_on(u64 number) {
  const std::lock_guard guard(mutex_);
  if (number_ == 0) number_ = number;
}

u64 Log::newest() const {
  const std::lock_guard guard(mutex_);
  return number_;
}

}  // namespace atollvm::machine
