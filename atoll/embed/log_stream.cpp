#include "atoll/embed/log_stream.hpp"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "vm/base/utf8.hpp"

namespace atollvm {

namespace {

// One call holds the log's lock for so many bytes and lines at most.
constexpr usize max_write = 64 << 10;
constexpr usize max_lines = 1 << 10;
// What a record counts besides its text, as the log itself does.
constexpr usize line_charge = 64;
// A follower is given time when so much waits; the log holds four times as much.
constexpr usize max_waiting = machine::Log::max_bytes / 4;
constexpr eventfd_t full = UINT64_MAX - 1;  // an eventfd with this value can't be written to

class LogStream final : public host::Stream {
 public:
  LogStream(std::shared_ptr<Output> output, machine::LogStream stream)
      : output_(std::move(output)), stream_(stream) {}
  vfs::Outcome<u32> write(std::span<const u8> bytes, vfs::Wait) override {
    return output_->write(stream_, bytes);
  }
  vfs::Outcome<vfs::Stat> stat(vfs::Wait) override { return vfs::Stat(); }
  [[nodiscard]] std::optional<int> wait_fd() const override { return output_->gate(); }

 private:
  std::shared_ptr<Output> output_;
  machine::LogStream stream_;
};

// A stream over a descriptor of its own.
base::Result<std::shared_ptr<host::Stream>> open_stream(const std::string& path, int flags) {
  struct Owned {
    vfs::Descriptor fd;
    std::shared_ptr<host::Stream> stream;
  };
  auto owned = std::make_shared<Owned>();
  owned->fd = vfs::Descriptor(open(path.c_str(), flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640));
  if (!owned->fd) {
    return base::Error{errno == ENOENT ? base::ErrorCode::not_found : base::ErrorCode::io,
                       base::printable(path, 200), std::strerror(errno)};
  }
  owned->stream = host::make_stream(owned->fd.get());
  return std::shared_ptr<host::Stream>(owned, owned->stream.get());
}

}  // namespace

thread_local i64 writing_process = 0;

u64 real_time() {
  return static_cast<u64>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                              std::chrono::system_clock::now().time_since_epoch())
                              .count());
}

base::Result<std::shared_ptr<Output>> Output::make(bool is_followed) {
  auto output = std::make_shared<Output>();
  output->is_followed_ = is_followed;
  output->gate_ = vfs::Descriptor(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!output->gate_) return base::Error{base::ErrorCode::io, "", std::strerror(errno)};
  return output;
}

vfs::Outcome<u32> Output::write(machine::LogStream stream, std::span<const u8> bytes) {
  std::string_view text(reinterpret_cast<const char*>(bytes.data()),
                        std::min(bytes.size(), max_write));
  usize lines = 0;
  for (usize at = text.find('\n'); at != std::string_view::npos; at = text.find('\n', at + 1)) {
    if (++lines == max_lines) text = text.substr(0, at + 1);
  }
  if (is_followed_) {
    const std::lock_guard guard(mutex_);
    if (is_closed_) return cap::Errno::again;
    waiting_ += text.size() + (lines + 1) * line_charge;
    if (waiting_ > max_waiting) is_closed_ = eventfd_write(gate_.get(), full) == 0;
  }
  log.write(stream, writing_process, text, real_time());
  return static_cast<u32>(text.size());
}

void Output::all_taken() {
  const std::lock_guard guard(mutex_);
  waiting_ = 0;
  if (!is_closed_) return;
  eventfd_t value = 0;
  eventfd_read(gate_.get(), &value);
  is_closed_ = false;
}

std::shared_ptr<host::Stream> log_stream(std::shared_ptr<Output> output,
                                         machine::LogStream stream) {
  return std::make_shared<LogStream>(std::move(output), stream);
}

base::Result<std::shared_ptr<host::Stream>> open_input(const std::string& path) {
  return open_stream(path, O_RDONLY);
}

base::Result<std::shared_ptr<host::Stream>> open_output(const std::string& path) {
  return open_stream(path, O_WRONLY | O_APPEND | O_CREAT);
}

}  // namespace atollvm
