// What sockets are as capabilities: a connection is a stream.
#pragma once

#include <atomic>
#include <memory>

#include "stdlib/host/stream.hpp"
#include "stdlib/net/socket.hpp"

namespace atollvm::host {

// All that may be done with a connection; with a listener; with a socket for datagrams.
inline constexpr cap::Rights connection_rights =
    cap::right_read | cap::right_write | cap::right_stat | cap::right_option;
inline constexpr cap::Rights listener_rights = cap::right_accept | cap::right_stat;
inline constexpr cap::Rights datagrams_rights =
    cap::right_read | cap::right_write | cap::right_stat | cap::right_option;

class Connection final : public Stream {
 public:
  explicit Connection(std::shared_ptr<net::Socket> socket) : socket_(std::move(socket)) {}

  vfs::Outcome<u32> read(std::span<u8> bytes, vfs::Wait) override { return socket_->read(bytes); }
  vfs::Outcome<u32> write(std::span<const u8> bytes, vfs::Wait) override {
    return socket_->write(bytes);
  }
  vfs::Outcome<vfs::Stat> stat(vfs::Wait) override { return socket_->stat(); }
  [[nodiscard]] std::optional<int> wait_fd() const override {
    const int fd = socket_->fd();
    return fd < 0 ? std::nullopt : std::optional(fd);
  }
  [[nodiscard]] cap::Readiness* readiness() override { return socket_->readiness(); }
  [[nodiscard]] net::Socket* socket() const override { return socket_.get(); }

 private:
  const std::shared_ptr<net::Socket> socket_;
};

class Listener final : public cap::Object {
 public:
  explicit Listener(std::shared_ptr<net::Socket> socket)
      : Object(cap::Kind::listener), socket(std::move(socket)) {}
  const std::shared_ptr<net::Socket> socket;
};

class Datagrams final : public cap::Object {
 public:
  // `from_all`: datagrams from anybody are received, else those that the rules name.
  Datagrams(std::shared_ptr<net::Socket> socket, bool from_all)
      : Object(cap::Kind::datagrams), socket(std::move(socket)), from_all(from_all) {}
  // As the socket does, without those that are not to be received. Errors: also again when many of
  // them came in a row.
  vfs::Outcome<net::Socket::Received> receive(std::span<u8> bytes, bool peek = false) const;

  const std::shared_ptr<net::Socket> socket;
  std::atomic<bool> from_all;
};

// The socket behind a connection, a listener or datagrams; null: it is none of these.
net::Socket* socket_of(const cap::Object& object);

}  // namespace atollvm::host
