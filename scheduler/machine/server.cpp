#include "scheduler/machine/server.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <system_error>

#include "scheduler/machine/protocol.hpp"
#include "vm/base/utf8.hpp"

namespace atollvm::machine {

using base::Error;
using base::ErrorCode;

namespace {

constexpr usize chunk = 64 << 10;
constexpr int backlog = 128;
constexpr int refused_pause = 100;  // ms, when the system has no descriptor or thread to spare

u64 now() {
  return static_cast<u64>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                              std::chrono::steady_clock::now().time_since_epoch())
                              .count());
}

// Lines out of pieces. A line that is too long is dropped as it comes, and reported once.
class Lines {
 public:
  void add(std::string_view bytes) {
    if (begin_ > chunk) {
      buffer_.erase(0, begin_);
      looked_ -= begin_;
      begin_ = 0;
    }
    buffer_ += bytes;
  }
  enum class Found : u8 { none, line, too_long };
  // `line` is good until the next call of either.
  Found next(std::string_view& line) {
    while (true) {
      const usize end = buffer_.find('\n', looked_);
      if (end == std::string::npos) {
        looked_ = buffer_.size();
        if (looked_ - begin_ <= max_request) return Found::none;
        const bool is_new = !skips_;
        skips_ = true;
        buffer_.clear();
        begin_ = looked_ = 0;
        return is_new ? Found::too_long : Found::none;
      }
      line = std::string_view(buffer_).substr(begin_, end - begin_);
      begin_ = looked_ = end + 1;
      if (!skips_) return Found::line;
      skips_ = false;
    }
  }
  // What is left where the peer has ended without a newline.
  std::string_view rest() { return skips_ ? "" : std::string_view(buffer_).substr(begin_); }

 private:
  std::string buffer_;
  usize begin_ = 0;   // of the line
  usize looked_ = 0;  // up to here there is no newline in it
  bool skips_ = false;
};

// False: not ready before `timeout` (ms; -1: none), or the server stops.
bool wait_for(int fd, short events, int stop, int timeout) {
  struct pollfd polled[2] = {{fd, events, 0}, {stop, POLLIN, 0}};
  int count = 0;
  do {
    count = poll(polled, 2, timeout);
  } while (count < 0 && errno == EINTR);
  return count > 0 && polled[1].revents == 0;
}

}  // namespace

Server::Descriptor& Server::Descriptor::operator=(Descriptor&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

Server::Descriptor::~Descriptor() {
  if (fd_ >= 0) close(fd_);
}

base::Result<std::unique_ptr<Server>> Server::start(const ServerOptions& options,
                                                    Operator& machines) {
  std::unique_ptr<Server> server(new Server(options, machines));
  if (base::Status status = server->lock(); !status) return std::move(status).error();
  if (base::Status status = server->listen(); !status) return std::move(status).error();
  try {
    server->thread_ = std::thread([server = server.get()] { server->accept_loop(); });
  } catch (const std::system_error&) {
    return Error{ErrorCode::io, options.path, "no thread for the control socket"};
  }
  return server;
}

Server::~Server() {
  stopping_.store(true);
  if (stop_.ok()) eventfd_write(stop_.get(), 1);
  if (thread_.joinable()) thread_.join();
  // Before the lock goes with its descriptor: afterwards the path may be another server's.
  if (is_bound_) unlink(options_.path.c_str());
}

base::Status Server::lock() {
  const std::string path = options_.path + ".lock";
  lock_ =
      Descriptor(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600));
  if (!lock_.ok()) return Error{ErrorCode::io, base::printable(path, 200), std::strerror(errno)};
  if (flock(lock_.get(), LOCK_EX | LOCK_NB) == 0) return {};
  if (errno != EWOULDBLOCK) {
    return Error{ErrorCode::io, base::printable(path, 200), std::strerror(errno)};
  }
  return Error{ErrorCode::usage, base::printable(options_.path, 200),
               "another atoll serves this socket; choose another path, or end that one"};
}

base::Status Server::listen() {
  const std::string& path = options_.path;
  const std::string shown = base::printable(path, 200);
  const auto failed = [&] { return Error{ErrorCode::io, shown, std::strerror(errno)}; };
  struct sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return Error{ErrorCode::limit, shown, "the path of a socket has at most 107 bytes"};
  }
  std::ranges::copy(path, address.sun_path);

  struct stat status = {};
  if (lstat(path.c_str(), &status) == 0) {
    if (!S_ISSOCK(status.st_mode)) {
      return Error{ErrorCode::usage, shown, "is there already, and is no socket"};
    }
    if (unlink(path.c_str()) != 0) return failed();
  }
  stop_ = Descriptor(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!stop_.ok()) return failed();
  socket_ = Descriptor(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket_.ok()) return failed();
  if (bind(socket_.get(), reinterpret_cast<const struct sockaddr*>(&address), sizeof(address)) !=
      0) {
    return failed();
  }
  is_bound_ = true;
  // Nobody can connect before listen(), so the mode that the umask gave it does no harm. The umask
  // itself belongs to the whole program.
  if (chmod(path.c_str(), 0600) != 0) return failed();
  if (::listen(socket_.get(), backlog) != 0) return failed();
  return {};
}

void Server::accept_loop() {
  while (wait_for(socket_.get(), POLLIN, stop_.get(), -1) || !is_stopping()) accept_one();
  for (Connection& each : connections_) each.thread.join();
}

void Server::reap() {
  std::erase_if(connections_, [](Connection& each) {
    if (!each.is_done.load()) return false;
    each.thread.join();
    return true;
  });
}

void Server::accept_one() {
  Descriptor socket(accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  const int error = errno;
  reap();
  if (!socket.ok()) {
    const bool is_short = error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS;
    if (is_short) wait_for(stop_.get(), POLLIN, stop_.get(), refused_pause);
    return;
  }
  const auto refuse = [&](std::string_view why) {
    const std::string line =
        fmt::format(R"({{"id":null,"error":{{"code":"limit","message":"{}"}}}})"
                    "\n",
                    why);
    // What does not go at once does not matter.
    static_cast<void>(::send(socket.get(), line.data(), line.size(), MSG_NOSIGNAL));
  };
  if (connections_.size() >= options_.max_peers) return refuse("too many connections");
  Connection& connection = connections_.emplace_back();
  try {
    connection.socket = std::move(socket);
    connection.thread = std::thread([this, &connection] {
      serve(connection);
      shutdown(connection.socket.get(), SHUT_RDWR);
      connection.is_done.store(true);
    });
  } catch (const std::system_error&) {
    socket = std::move(connection.socket);
    connections_.pop_back();
    refuse("no thread for another connection");
  }
}

void Server::serve(const Connection& connection) {
  const int socket = connection.socket.get();
  Session session(operator_);
  Lines lines;
  std::string out;
  std::string bytes(chunk, '\0');
  bool has_ended = false;  // the peer sends no more
  while (!is_stopping()) {
    std::string_view line;
    for (auto found = lines.next(line); found != Lines::Found::none; found = lines.next(line)) {
      if (found == Lines::Found::too_long) {
        Session::refuse_line(out);
      } else {
        session.request(line, now(), out);
      }
      if (!send(socket, out)) return;
      out.clear();
      if (is_stopping()) return;
    }
    session.advance(now(), out);
    if (!send(socket, out)) return;
    out.clear();

    const auto due = session.due();
    if (has_ended && !due) return;
    int timeout = -1;
    if (due) {
      const u64 time = now();
      timeout = *due <= time ? 0 : static_cast<int>((*due - time + 999'999) / 1'000'000);
    }
    // Of a peer that has ended only a hang-up is news.
    struct pollfd polled[2] = {{socket, static_cast<short>(has_ended ? 0 : POLLIN), 0},
                               {stop_.get(), POLLIN, 0}};
    if (poll(polled, 2, timeout) < 0 && errno != EINTR) return;
    if ((polled[0].revents & (POLLIN | POLLHUP | POLLERR)) == 0) continue;
    const ssize_t got = has_ended ? -1 : recv(socket, bytes.data(), bytes.size(), 0);
    if (got < 0 && !has_ended && (errno == EAGAIN || errno == EINTR)) continue;
    if (got < 0) return;
    if (got == 0) {
      has_ended = true;
      if (!lines.rest().empty()) lines.add("\n");
      continue;
    }
    lines.add(std::string_view(bytes).substr(0, static_cast<usize>(got)));
  }
}

bool Server::send(int socket, std::string_view bytes) const {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent > 0) {
      bytes.remove_prefix(static_cast<usize>(sent));
    } else if (errno == EAGAIN) {
      if (!wait_for(socket, POLLOUT, stop_.get(), static_cast<int>(options_.patience.count()))) {
        return false;
      }
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

}  // namespace atollvm::machine
