// Sockets, never blocking, each counted by the network that it was made of: of the host, or where
// else the network has them.
#pragma once

#include <memory>
#include <span>

#include "stdlib/net/network.hpp"
#include "stdlib/vfs/posix.hpp"
#include "vm/cap/readiness.hpp"

namespace atollvm::net {

using cap::Errno;
using vfs::Outcome;

// The numbers are part of the guest interface (append-only).
inline constexpr u32 shutdown_read = 1;
inline constexpr u32 shutdown_write = 2;
enum class Option : u32 {
  nodelay = 1,    // 1: send at once, however little; 0: collect
  keepalive = 2,  // ask the other end after so many seconds without a word; 0: never
  // Milliseconds that WASI's calls wait to read, or to write; 0: for ever.
  receive_timeout = 3,
  send_timeout = 4,
  receive_buffer = 5,  // bytes, about
  send_buffer = 6,
  error = 7,    // to get: the errno of what failed meanwhile, which is forgotten then
  listens = 8,  // to get: 1 or 0
};
// Threads: any. Errors of all calls: again (wait for fd() or readiness()), and those of the
// network.
class Socket {
 public:
  // Takes over what the network has counted.
  explicit Socket(std::shared_ptr<Network> network) : network_(std::move(network)) {}
  virtual ~Socket() { network_->give(); }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  [[nodiscard]] Network& network() const { return *network_; }
  // The host's descriptor, or -1: then there is a Readiness.
  [[nodiscard]] virtual int fd() const { return -1; }
  [[nodiscard]] virtual cap::Readiness* readiness() { return nullptr; }
  // Of the descriptor of this socket alone, for ever; it is never duplicated. 0: there is none.
  [[nodiscard]] virtual u64 number() const { return 0; }

  // `peek`: the bytes stay to be read again.
  virtual Outcome<u32> read(std::span<u8> bytes, bool peek = false) = 0;
  // As read() in a call that would wait: also again, without asking the system, where the last read
  // took all that there was and trying at once has been in vain before.
  virtual Outcome<u32> read_or_wait(std::span<u8> bytes) { return read(bytes); }
  // Without SIGPIPE.
  virtual Outcome<u32> write(std::span<const u8> bytes) = 0;
  // `how`: shutdown_ bits. Errors: notconn, inval.
  [[nodiscard]] virtual Errno shutdown(u32 how) = 0;
  [[nodiscard]] virtual Outcome<Endpoint> local() const = 0;
  // Errors: notconn.
  [[nodiscard]] virtual Outcome<Endpoint> remote() const = 0;
  [[nodiscard]] virtual Outcome<vfs::Stat> stat() const = 0;
  // Errors: inval (no such option, or value), notsup.
  [[nodiscard]] Errno set(Option option, i32 value);
  // Errors: inval.
  [[nodiscard]] Outcome<u32> get(Option option);
  // Milliseconds; 0: none.
  [[nodiscard]] u32 timeout(bool write) const { return timeouts_[write ? 1 : 0].load(); }

  // Of one that open() has made. None of these asks the rules.
  [[nodiscard]] Errno bind(const Endpoint& at);
  // Whether bind() has given it an address or port that the network did not choose.
  [[nodiscard]] bool has_place() const { return has_place_.load(); }
  [[nodiscard]] virtual Errno listen(u32 backlog) = 0;
  // Begins to connect a stream: inprogress, as a rule, and see connected(). Of datagrams, says whom
  // they are sent to and come from; of nobody, an endpoint without a port.
  [[nodiscard]] virtual Errno connect(const Endpoint& to) = 0;

  // Of a listener: the next connection. Errors: nfile (the network's limit); the connection waits
  // on.
  struct Accepted {
    std::shared_ptr<Socket> socket;
    Endpoint remote;
  };
  [[nodiscard]] virtual Outcome<Accepted> accept() = 0;

  // Of datagrams. One that is longer than `bytes` is cut off.
  struct Received {
    u32 size = 0;
    Endpoint from;
    bool is_cut = false;
  };
  virtual Outcome<Received> receive(std::span<u8> bytes, bool peek = false) = 0;
  virtual Outcome<u32> send(std::span<const u8> bytes, const Endpoint& to) = 0;

  // What became of connecting: again, as long as nothing has.
  [[nodiscard]] virtual Errno connected() const = 0;

 protected:
  [[nodiscard]] const std::shared_ptr<Network>& shared_network() const { return network_; }

 private:
  // The timeouts are not among these; values are of the right range.
  virtual Errno set_option(Option option, i32 value) = 0;
  virtual Outcome<u32> get_option(Option option) = 0;
  virtual Errno bind_to(const Endpoint& at) = 0;

  const std::shared_ptr<Network> network_;
  std::atomic<u32> timeouts_[2] = {0, 0};
  std::atomic<bool> has_place_{false};
};

Outcome<std::shared_ptr<Socket>> open(const std::shared_ptr<Network>& network, Family family,
                                      Type type);
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
