// Sockets of the host, never blocking, each counted by the network that it was made of.
#pragma once

#include <memory>
#include <span>

#include "stdlib/net/network.hpp"
#include "stdlib/vfs/posix.hpp"

namespace atollvm::net {

using cap::Errno;
using vfs::Outcome;

// The numbers are part of the guest interface (append-only).
inline constexpr u32 shutdown_read = 1;
inline constexpr u32 shutdown_write = 2;
enum class Option : u32 {
  nodelay = 1,    // 1: send at once, however little; 0: collect
  keepalive = 2,  // ask the other end after so many seconds without a word; 0: never
};

// Threads: any. Errors of all calls: again (wait for fd()), and the host's.
class Socket {
 public:
  // Takes over what the network has counted.
  Socket(std::shared_ptr<Network> network, vfs::Descriptor descriptor)
      : network_(std::move(network)), descriptor_(std::move(descriptor)) {}
  ~Socket() { network_->give(); }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  [[nodiscard]] int fd() const { return descriptor_.get(); }
  [[nodiscard]] Network& network() const { return *network_; }

  // `peek`: the bytes stay to be read again.
  Outcome<u32> read(std::span<u8> bytes, bool peek = false) const;
  // Without SIGPIPE.
  Outcome<u32> write(std::span<const u8> bytes) const;
  // `how`: shutdown_ bits. Errors: notconn, inval.
  [[nodiscard]] Errno shutdown(u32 how) const;
  [[nodiscard]] Outcome<Endpoint> local() const;
  // Errors: notconn.
  [[nodiscard]] Outcome<Endpoint> remote() const;
  // Errors: inval (no such option, or value), notsup.
  [[nodiscard]] Errno set(Option option, i32 value) const;

  // Of a listener: the next connection. Errors: nfile (the network's limit); the connection waits
  // on.
  struct Accepted {
    std::shared_ptr<Socket> socket;
    Endpoint remote;
  };
  [[nodiscard]] Outcome<Accepted> accept() const;

  // Of datagrams. One that is longer than `bytes` is cut off.
  struct Received {
    u32 size = 0;
    Endpoint from;
  };
  Outcome<Received> receive(std::span<u8> bytes) const;
  Outcome<u32> send(std::span<const u8> bytes, const Endpoint& to) const;

  // What became of connecting: again, as long as nothing has.
  [[nodiscard]] Errno connected() const;

 private:
  const std::shared_ptr<Network> network_;
  const vfs::Descriptor descriptor_;
};

// None of these asks the rules. Errors: nfile (the network's limit, or the host's), and the host's.
// Begins to connect: see connected().
Outcome<std::shared_ptr<Socket>> connect(const std::shared_ptr<Network>& network,
                                         const Endpoint& to);
// Of IPv6, takes IPv6 alone. `backlog`: connections that may wait to be taken.
Outcome<std::shared_ptr<Socket>> listen(const std::shared_ptr<Network>& network, const Endpoint& at,
                                        u32 backlog);
Outcome<std::shared_ptr<Socket>> open_datagrams(const std::shared_ptr<Network>& network,
                                                const Endpoint& at);

}  // namespace atollvm::net
