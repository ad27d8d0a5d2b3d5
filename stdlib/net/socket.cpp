#include "stdlib/net/socket.hpp"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>

namespace atollvm::net {
namespace {

Errno last_error() { return errno == EINTR ? Errno::again : vfs::from_errno(errno); }

bool set_number(int fd, int level, int name, int value) {
  return setsockopt(fd, level, name, &value, sizeof value) == 0;
}

Outcome<std::shared_ptr<Socket>> open_socket(const std::shared_ptr<Network>& network, Family family,
                                             int type) {
  if (!network->take()) return Errno::nfile;
  vfs::Descriptor descriptor(
      ::socket(family == Family::v4 ? AF_INET : AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const int error = errno;
  auto socket = std::make_shared<Socket>(network, std::move(descriptor));
  if (socket->fd() < 0) return vfs::from_errno(error);
  if (family == Family::v6) set_number(socket->fd(), IPPROTO_IPV6, IPV6_V6ONLY, 1);
  return socket;
}

template <class Ask>
Outcome<Endpoint> endpoint_of(int fd, Ask ask) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (ask(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return vfs::from_errno(errno);
  const auto endpoint = from_host(reinterpret_cast<const sockaddr*>(&address), size);
  if (!endpoint) return Errno::afnosupport;
  return *endpoint;
}

template <class Call>
int with_address(const Endpoint& endpoint, Call call) {
  sockaddr_storage address;
  const u32 size = to_host(endpoint, address);
  return call(reinterpret_cast<const sockaddr*>(&address), static_cast<socklen_t>(size));
}

}  // namespace

Socket::Socket(std::shared_ptr<Network> network, vfs::Descriptor descriptor)
    : network_(std::move(network)), descriptor_(std::move(descriptor)), number_([] {
        static std::atomic<u64> last{0};
        return last.fetch_add(1, std::memory_order_relaxed) + 1;
      }()) {}

Outcome<u32> Socket::read(std::span<u8> bytes, bool peek) const {
  const ssize_t size = recv(fd(), bytes.data(), bytes.size(), MSG_DONTWAIT | (peek ? MSG_PEEK : 0));
  if (size < 0) return last_error();
  return static_cast<u32>(size);
}

// What comes in small pieces is asked for once in 16 of them whether it comes faster now. It does
// not matter which of several readers changes the numbers.
Outcome<u32> Socket::read_or_wait(std::span<u8> bytes) const {
  constexpr u8 took_all = 128;
  constexpr u8 most_tries = 16;
  const u8 before = luck_.load(std::memory_order_relaxed);
  if ((before & took_all) != 0 && before != took_all) {
    luck_.store(before - took_all - 1, std::memory_order_relaxed);
    return Errno::again;
  }
  const Outcome<u32> outcome = read(bytes);
  u8 after = before & ~took_all;
  if (const u32* const size = std::get_if<u32>(&outcome)) {
    if ((before & took_all) != 0) after = 0;
    if (*size < bytes.size()) after |= took_all;
  } else if ((before & took_all) != 0) {
    after = most_tries;
  }
  luck_.store(after, std::memory_order_relaxed);
  return outcome;
}

Outcome<u32> Socket::write(std::span<const u8> bytes) const {
  const ssize_t size = ::send(fd(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (size < 0) return last_error();
  return static_cast<u32>(size);
}

Errno Socket::shutdown(u32 how) const {
  if (how == 0 || how > (shutdown_read | shutdown_write)) return Errno::inval;
  const int word = how == shutdown_read ? SHUT_RD : how == shutdown_write ? SHUT_WR : SHUT_RDWR;
  return ::shutdown(fd(), word) == 0 ? Errno::success : vfs::from_errno(errno);
}

Outcome<Endpoint> Socket::local() const { return endpoint_of(fd(), getsockname); }
Outcome<Endpoint> Socket::remote() const { return endpoint_of(fd(), getpeername); }

Errno Socket::set(Option option, i32 value) {
  bool done = false;
  switch (option) {
    case Option::receive_timeout:
    case Option::send_timeout:
      if (value < 0) return Errno::inval;
      timeouts_[option == Option::send_timeout ? 1 : 0].store(static_cast<u32>(value));
      return Errno::success;
    case Option::receive_buffer:
    case Option::send_buffer:
      if (value < 0) return Errno::inval;
      done = set_number(fd(), SOL_SOCKET, option == Option::send_buffer ? SO_SNDBUF : SO_RCVBUF,
                        value);
      break;
    case Option::nodelay:
      if (value != 0 && value != 1) return Errno::inval;
      done = set_number(fd(), IPPROTO_TCP, TCP_NODELAY, value);
      break;
    case Option::keepalive:
      if (value < 0 || value > 32767) return Errno::inval;
      done = (value == 0 || set_number(fd(), IPPROTO_TCP, TCP_KEEPIDLE, value)) &&
             set_number(fd(), SOL_SOCKET, SO_KEEPALIVE, value != 0 ? 1 : 0);
      break;
    default:
      return Errno::inval;
  }
  if (done) return Errno::success;
  return errno == ENOPROTOOPT || errno == EOPNOTSUPP ? Errno::notsup : vfs::from_errno(errno);
}

Outcome<u32> Socket::get(Option option) const {
  const auto number = [this](int level, int name) -> Outcome<u32> {
    int value = 0;
    socklen_t size = sizeof value;
    if (getsockopt(fd(), level, name, &value, &size) != 0) return vfs::from_errno(errno);
    return static_cast<u32>(value);
  };
  switch (option) {
    case Option::nodelay:
      return number(IPPROTO_TCP, TCP_NODELAY);
    case Option::keepalive: {
      const auto is_on = number(SOL_SOCKET, SO_KEEPALIVE);
      const u32* const on = std::get_if<u32>(&is_on);
      return on == nullptr || *on == 0 ? is_on : number(IPPROTO_TCP, TCP_KEEPIDLE);
    }
    case Option::receive_timeout:
      return timeout(false);
    case Option::send_timeout:
      return timeout(true);
    case Option::receive_buffer:
      return number(SOL_SOCKET, SO_RCVBUF);
    case Option::send_buffer:
      return number(SOL_SOCKET, SO_SNDBUF);
    case Option::error: {
      const auto error = number(SOL_SOCKET, SO_ERROR);
      const u32* const value = std::get_if<u32>(&error);
      if (value == nullptr) return error;
      return static_cast<u32>(vfs::from_errno(static_cast<int>(*value)));
    }
    case Option::listens:
      return number(SOL_SOCKET, SO_ACCEPTCONN);
  }
  return Errno::inval;
}

Errno Socket::bind(const Endpoint& at) {
  const int result = with_address(at, [&](const sockaddr* address, socklen_t size) {
    set_number(fd(), SOL_SOCKET, SO_REUSEADDR, 1);
    return ::bind(fd(), address, size);
  });
  if (result != 0) return vfs::from_errno(errno);
  if (!is_any(at)) has_place_.store(true);
  return Errno::success;
}

Errno Socket::listen(u32 backlog) const {
  return ::listen(fd(), static_cast<int>(std::min(backlog, 4096u))) == 0 ? Errno::success
                                                                         : vfs::from_errno(errno);
}

Errno Socket::connect(const Endpoint& to) const {
  if (to.port == 0) {
    const sockaddr nobody{AF_UNSPEC, {}};
    return ::connect(fd(), &nobody, sizeof nobody) == 0 ? Errno::success : vfs::from_errno(errno);
  }
  const int result = with_address(
      to, [&](const sockaddr* address, socklen_t size) { return ::connect(fd(), address, size); });
  if (result == 0) return Errno::success;
  return errno == EINTR ? Errno::inprogress : vfs::from_errno(errno);
}

Outcome<Socket::Accepted> Socket::accept() const {
  if (!network_->take()) return Errno::nfile;
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  const int made =
      accept4(fd(), reinterpret_cast<sockaddr*>(&address), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
  const int error = errno;
  // Takes over what was counted, also where there is none.
  auto socket = std::make_shared<Socket>(network_, vfs::Descriptor(made));
  if (made < 0) {
    // One that ended while it waited: there may be others.
    return error == EINTR || error == ECONNABORTED ? Errno::again : vfs::from_errno(error);
  }
  const auto remote = from_host(reinterpret_cast<const sockaddr*>(&address), size);
  if (!remote) return Errno::afnosupport;
  return Accepted{std::move(socket), *remote};
}

Outcome<Socket::Received> Socket::receive(std::span<u8> bytes, bool peek) const {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  const ssize_t size =
      recvfrom(fd(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_TRUNC | (peek ? MSG_PEEK : 0),
               reinterpret_cast<sockaddr*>(&address), &length);
  if (size < 0) return last_error();
  const auto from = from_host(reinterpret_cast<const sockaddr*>(&address), length);
  if (!from) return Errno::again;
  const auto all = static_cast<usize>(size);
  return Received{static_cast<u32>(std::min(all, bytes.size())), *from, all > bytes.size()};
}

Outcome<u32> Socket::send(std::span<const u8> bytes, const Endpoint& to) const {
  const ssize_t size = with_address(to, [&](const sockaddr* address, socklen_t length) {
    return static_cast<int>(
        sendto(fd(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL, address, length));
  });
  if (size < 0) return last_error();
  return static_cast<u32>(size);
}

Errno Socket::connected() const {
  pollfd one{fd(), POLLOUT, 0};
  if (poll(&one, 1, 0) <= 0) return Errno::again;
  int error = 0;
  socklen_t size = sizeof error;
  if (getsockopt(fd(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) return vfs::from_errno(errno);
  return vfs::from_errno(error);
}

Outcome<std::shared_ptr<Socket>> open(const std::shared_ptr<Network>& network, Family family,
                                      Type type) {
  auto opened = open_socket(network, family, type == Type::stream ? SOCK_STREAM : SOCK_DGRAM);
  auto* const socket = std::get_if<std::shared_ptr<Socket>>(&opened);
  if (socket != nullptr && type == Type::datagrams && network->rules().has_broadcast()) {
    set_number((*socket)->fd(), SOL_SOCKET, SO_BROADCAST, 1);
  }
  return opened;
}

Outcome<std::shared_ptr<Socket>> connect(const std::shared_ptr<Network>& network,
                                         const Endpoint& to) {
  auto opened = open_socket(network, to.address.family, SOCK_STREAM);
  auto* const socket = std::get_if<std::shared_ptr<Socket>>(&opened);
  if (socket == nullptr) return opened;
  const int result = with_address(to, [&](const sockaddr* address, socklen_t size) {
    return ::connect((*socket)->fd(), address, size);
  });
  if (result != 0 && errno != EINPROGRESS && errno != EINTR) return vfs::from_errno(errno);
  return opened;
}

Outcome<std::shared_ptr<Socket>> listen(const std::shared_ptr<Network>& network, const Endpoint& at,
                                        u32 backlog) {
  auto opened = open_socket(network, at.address.family, SOCK_STREAM);
  auto* const socket = std::get_if<std::shared_ptr<Socket>>(&opened);
  if (socket == nullptr) return opened;
  const int fd = (*socket)->fd();
  set_number(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  const int result = with_address(
      at, [&](const sockaddr* address, socklen_t size) { return ::bind(fd, address, size); });
  if (result != 0 || ::listen(fd, static_cast<int>(std::min(backlog, 4096u))) != 0) {
    return vfs::from_errno(errno);
  }
  return opened;
}

Outcome<std::shared_ptr<Socket>> open_datagrams(const std::shared_ptr<Network>& network,
                                                const Endpoint& at) {
  auto opened = open(network, at.address.family, Type::datagrams);
  auto* const socket = std::get_if<std::shared_ptr<Socket>>(&opened);
  if (socket == nullptr) return opened;
  const int result = with_address(at, [&](const sockaddr* address, socklen_t size) {
    return ::bind((*socket)->fd(), address, size);
  });
  if (result != 0) return vfs::from_errno(errno);
  return opened;
}

}  // namespace atollvm::net
