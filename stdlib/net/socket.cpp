#include "stdlib/net/socket.hpp"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>

namespace atollvm::net {
namespace {

Errno last_error() { return errno == EINTR ? Errno::again : vfs::from_errno(errno); }

bool set_number(int fd, int level, int name, int value) {
  return setsockopt(fd, level, name, &value, sizeof value) == 0;
}

u64 next_number() {
  static std::atomic<u64> last{0};
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

class HostSocket final : public Socket {
 public:
  HostSocket(std::shared_ptr<Network> network, vfs::Descriptor descriptor, bool is_stream)
      : Socket(std::move(network)), descriptor_(std::move(descriptor)), is_stream_(is_stream) {}

  [[nodiscard]] int fd() const override { return descriptor_.get(); }
  [[nodiscard]] u64 number() const override { return number_; }
  Outcome<u32> read(std::span<u8> bytes, bool peek) override;
  Outcome<u32> read_or_wait(std::span<u8> bytes) override;
  Outcome<u32> write(std::span<const u8> bytes) override;
  [[nodiscard]] Errno shutdown(u32 how) override;
  [[nodiscard]] Outcome<Endpoint> local() const override;
  [[nodiscard]] Outcome<Endpoint> remote() const override;
  [[nodiscard]] Outcome<vfs::Stat> stat() const override;
  [[nodiscard]] Errno listen(u32 backlog) override;
  [[nodiscard]] Errno connect(const Endpoint& to) override;
  [[nodiscard]] Outcome<Accepted> accept() override;
  Outcome<Received> receive(std::span<u8> bytes, bool peek) override;
  Outcome<u32> send(std::span<const u8> bytes, const Endpoint& to) override;
  [[nodiscard]] Errno connected() const override;

 private:
  Errno set_option(Option option, i32 value) override;
  Outcome<u32> get_option(Option option) override;
  Errno bind_to(const Endpoint& at) override;

  const vfs::Descriptor descriptor_;
  const bool is_stream_;
  const u64 number_ = next_number();
  std::atomic<u8> luck_{0};  // see read_or_wait()
};

// Of the host.
Outcome<std::shared_ptr<HostSocket>> open_socket(const std::shared_ptr<Network>& network,
                                                 Family family, int type) {
  if (!network->take()) return Errno::nfile;
  vfs::Descriptor descriptor(
      ::socket(family == Family::v4 ? AF_INET : AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const int error = errno;
  auto socket = std::make_shared<HostSocket>(network, std::move(descriptor), type == SOCK_STREAM);
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

Outcome<u32> HostSocket::read(std::span<u8> bytes, bool peek) {
  const ssize_t size = recv(fd(), bytes.data(), bytes.size(), MSG_DONTWAIT | (peek ? MSG_PEEK : 0));
  if (size < 0) return last_error();
  return static_cast<u32>(size);
}

// What comes in small pieces is asked for once in 16 of them whether it comes faster now. It does
// not matter which of several readers changes the numbers.
Outcome<u32> HostSocket::read_or_wait(std::span<u8> bytes) {
  constexpr u8 took_all = 128;
  constexpr u8 most_tries = 16;
  const u8 before = luck_.load(std::memory_order_relaxed);
  if ((before & took_all) != 0 && before != took_all) {
    luck_.store(before - took_all - 1, std::memory_order_relaxed);
    return Errno::again;
  }
  const Outcome<u32> outcome = read(bytes, false);
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

Outcome<u32> HostSocket::write(std::span<const u8> bytes) {
  const ssize_t size = ::send(fd(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (size < 0) return last_error();
  return static_cast<u32>(size);
}

Errno HostSocket::shutdown(u32 how) {
  if (how == 0 || how > (shutdown_read | shutdown_write)) return Errno::inval;
  const int word = how == shutdown_read ? SHUT_RD : how == shutdown_write ? SHUT_WR : SHUT_RDWR;
  return ::shutdown(fd(), word) == 0 ? Errno::success : vfs::from_errno(errno);
}

Outcome<Endpoint> HostSocket::local() const { return endpoint_of(fd(), getsockname); }
Outcome<Endpoint> HostSocket::remote() const { return endpoint_of(fd(), getpeername); }

Errno Socket::set(Option option, i32 value) {
  switch (option) {
    case Option::receive_timeout:
    case Option::send_timeout:
      if (value < 0) return Errno::inval;
      timeouts_[option == Option::send_timeout ? 1 : 0].store(static_cast<u32>(value));
      return Errno::success;
    case Option::receive_buffer:
    case Option::send_buffer:
      if (value < 0) return Errno::inval;
      break;
    case Option::nodelay:
      if (value != 0 && value != 1) return Errno::inval;
      break;
    case Option::keepalive:
      if (value < 0 || value > 32767) return Errno::inval;
      break;
    default:
      return Errno::inval;
  }
  return set_option(option, value);
}

Outcome<u32> Socket::get(Option option) {
  switch (option) {
    case Option::receive_timeout:
      return timeout(false);
    case Option::send_timeout:
      return timeout(true);
    default:
      return get_option(option);
  }
}

Errno Socket::bind(const Endpoint& at) {
  const Errno error = bind_to(at);
  if (error == Errno::success && !is_any(at)) has_place_.store(true);
  return error;
}

Errno HostSocket::set_option(Option option, i32 value) {
  bool done = false;
  switch (option) {
    case Option::receive_buffer:
    case Option::send_buffer:
      done = set_number(fd(), SOL_SOCKET, option == Option::send_buffer ? SO_SNDBUF : SO_RCVBUF,
                        value);
      break;
    case Option::nodelay:
      done = set_number(fd(), IPPROTO_TCP, TCP_NODELAY, value);
      break;
    case Option::keepalive:
      done = (value == 0 || set_number(fd(), IPPROTO_TCP, TCP_KEEPIDLE, value)) &&
             set_number(fd(), SOL_SOCKET, SO_KEEPALIVE, value != 0 ? 1 : 0);
      break;
    default:
      return Errno::inval;
  }
  if (done) return Errno::success;
  return errno == ENOPROTOOPT || errno == EOPNOTSUPP ? Errno::notsup : vfs::from_errno(errno);
}

Outcome<u32> HostSocket::get_option(Option option) {
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
    default:
      return Errno::inval;
  }
}

Errno HostSocket::bind_to(const Endpoint& at) {
  const int result = with_address(at, [&](const sockaddr* address, socklen_t size) {
    if (is_stream_) set_number(fd(), SOL_SOCKET, SO_REUSEADDR, 1);
    return ::bind(fd(), address, size);
  });
  return result == 0 ? Errno::success : vfs::from_errno(errno);
}

Outcome<vfs::Stat> HostSocket::stat() const {
  struct stat status{};
  if (fstat(fd(), &status) != 0) return vfs::from_errno(errno);
  return vfs::from_stat(status);
}

Errno HostSocket::listen(u32 backlog) {
  return ::listen(fd(), static_cast<int>(std::min(backlog, 4096u))) == 0 ? Errno::success
                                                                         : vfs::from_errno(errno);
}

Errno HostSocket::connect(const Endpoint& to) {
  if (to.port == 0) {
    const sockaddr nobody{AF_UNSPEC, {}};
    return ::connect(fd(), &nobody, sizeof nobody) == 0 ? Errno::success : vfs::from_errno(errno);
  }
  const int result = with_address(
      to, [&](const sockaddr* address, socklen_t size) { return ::connect(fd(), address, size); });
  if (result == 0) return Errno::success;
  return errno == EINTR ? Errno::inprogress : vfs::from_errno(errno);
}

Outcome<Socket::Accepted> HostSocket::accept() {
  if (!network().take()) return Errno::nfile;
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  const int made =
      accept4(fd(), reinterpret_cast<sockaddr*>(&address), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
  const int error = errno;
  // Takes over what was counted, also where there is none.
  auto socket = std::make_shared<HostSocket>(shared_network(), vfs::Descriptor(made), true);
  if (made < 0) {
    // One that ended while it waited: there may be others.
    return error == EINTR || error == ECONNABORTED ? Errno::again : vfs::from_errno(error);
  }
  const auto remote = from_host(reinterpret_cast<const sockaddr*>(&address), size);
  if (!remote) return Errno::afnosupport;
  return Accepted{std::move(socket), *remote};
}

Outcome<Socket::Received> HostSocket::receive(std::span<u8> bytes, bool peek) {
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

Outcome<u32> HostSocket::send(std::span<const u8> bytes, const Endpoint& to) {
  const ssize_t size = with_address(to, [&](const sockaddr* address, socklen_t length) {
    return static_cast<int>(
        sendto(fd(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL, address, length));
  });
  if (size < 0) return last_error();
  return static_cast<u32>(size);
}

Errno HostSocket::connected() const {
  pollfd one{fd(), POLLOUT, 0};
  if (poll(&one, 1, 0) <= 0) return Errno::again;
  int error = 0;
  socklen_t size = sizeof error;
  if (getsockopt(fd(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) return vfs::from_errno(errno);
  return vfs::from_errno(error);
}

Outcome<std::shared_ptr<Socket>> open(const std::shared_ptr<Network>& network, Family family,
                                      Type type) {
  if (Provider* const provider = network->provider()) return provider->open(network, family, type);
  auto opened = open_socket(network, family, type == Type::stream ? SOCK_STREAM : SOCK_DGRAM);
  if (const Errno* const error = std::get_if<Errno>(&opened)) return *error;
  auto& socket = std::get<0>(opened);
  if (type == Type::datagrams && network->rules().has_broadcast()) {
    set_number(socket->fd(), SOL_SOCKET, SO_BROADCAST, 1);
  }
  return std::shared_ptr<Socket>(std::move(socket));
}

Outcome<std::shared_ptr<Socket>> connect(const std::shared_ptr<Network>& network,
                                         const Endpoint& to) {
  auto opened = open(network, to.address.family, Type::stream);
  auto* const socket = std::get_if<std::shared_ptr<Socket>>(&opened);
  if (socket == nullptr) return opened;
  const Errno error = (*socket)->connect(to);
  if (error != Errno::success && error != Errno::inprogress) return error;
  return opened;
}

Outcome<std::shared_ptr<Socket>> listen(const std::shared_ptr<Network>& network, const Endpoint& at,
                                        u32 backlog) {
  auto opened = open(network, at.address.family, Type::stream);
  auto* const socket = std::get_if<std::shared_ptr<Socket>>(&opened);
  if (socket == nullptr) return opened;
  if (const Errno error = (*socket)->bind(at); error != Errno::success) return error;
  if (const Errno error = (*socket)->listen(backlog); error != Errno::success) return error;
  return opened;
}

Outcome<std::shared_ptr<Socket>> open_datagrams(const std::shared_ptr<Network>& network,
                                                const Endpoint& at) {
  auto opened = open(network, at.address.family, Type::datagrams);
  auto* const socket = std::get_if<std::shared_ptr<Socket>>(&opened);
  if (socket == nullptr) return opened;
  if (const Errno error = (*socket)->bind(at); error != Errno::success) return error;
  return opened;
}

}  // namespace atollvm::net
