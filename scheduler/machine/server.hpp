// The control socket: serves the protocol of docs/control.md on a Unix socket.
//
// Each connection has a thread of its own, which blocks in poll(2): one that is slow, or waits for
// a long snapshot, holds up nobody else, and holds a line and a reply at most.
#pragma once

#include <atomic>
#include <chrono>
#include <list>
#include <memory>
#include <string>
#include <thread>

#include "scheduler/machine/operator.hpp"
#include "vm/base/result.hpp"

namespace atollvm::machine {

struct ServerOptions {
  std::string path;
  u32 max_peers = 64;  // connections at once; more are told so and closed
  // A connection that takes nothing of a reply for this long is closed.
  std::chrono::milliseconds patience{10'000};
};

// Threads: made and destroyed by one; it calls the Operator from its own.
class Server {
 public:
  // Listens. The socket is for its owner alone (mode 0600), whatever the umask. PATH.lock is locked
  // as long as the server lives, and stays there; so a socket that a killed server has left behind
  // is known as such, and replaced. Errors: usage (another server has the path, or what is there is
  // no socket), limit (a path of more than 107 bytes), io.
  static base::Result<std::unique_ptr<Server>> start(const ServerOptions& options,
                                                     Operator& machines);
  // Closes all connections and removes the socket. Waits for calls of the Operator that are under
  // way.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

 private:
  // Closes what it holds.
  class Descriptor {
   public:
    Descriptor() = default;
    explicit Descriptor(int fd) : fd_(fd) {}
    Descriptor(Descriptor&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
    Descriptor& operator=(Descriptor&& other) noexcept;
    ~Descriptor();
    [[nodiscard]] int get() const { return fd_; }
    [[nodiscard]] bool ok() const { return fd_ >= 0; }

   private:
    int fd_ = -1;
  };
  struct Connection {
    Descriptor socket;
    std::atomic<bool> is_done{false};
    std::thread thread{};
  };

  Server(const ServerOptions& options, Operator& machines)
      : options_(options), operator_(machines) {}
  base::Status lock();
  base::Status listen();
  void accept_loop();
  void accept_one();
  void reap();
  void serve(const Connection& connection);
  bool send(int socket, std::string_view bytes) const;
  [[nodiscard]] bool is_stopping() const { return stopping_.load(std::memory_order_relaxed); }

  ServerOptions options_;
  Operator& operator_;
  std::atomic<bool> stopping_{false};
  Descriptor lock_;
  Descriptor socket_;
  Descriptor stop_;  // readable from the moment of stopping on
  bool is_bound_ = false;
  std::list<Connection> connections_;  // of the thread that accepts
  std::thread thread_;
};

}  // namespace atollvm::machine
