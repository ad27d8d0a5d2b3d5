// Sockets of virtual networks, as guests have them.
#pragma once

#include "stdlib/net/socket.hpp"
#include "stdlib/vnet/live.hpp"

namespace atollvm::vnet {

class VirtualSocket final : public net::Socket, public cap::Readiness {
 public:
  // Takes over what the network has counted.
  VirtualSocket(std::shared_ptr<net::Network> network, std::shared_ptr<Attachment> attachment,
                Family family, net::Type type);
  ~VirtualSocket() override;

  [[nodiscard]] cap::Readiness* readiness() override { return this; }
  Outcome<u32> read(std::span<u8> bytes, bool peek) override;
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

  [[nodiscard]] State state(bool write) override;
  u64 wait(bool write, std::function<void()> ready) override;
  void forget(u64 ticket) override;

 private:
  struct Waiter {
    u64 ticket;
    bool write;
    std::function<void()> ready;
  };

  Errno set_option(net::Option option, i32 value) override;
  Outcome<u32> get_option(net::Option option) override;
  Errno bind_to(const Endpoint& at) override;

  // With the lock held.
  [[nodiscard]] bool is_ready(bool write) const;
  template <class T>
  void follow(T& socket);
  void changed();
  Errno charge();
  void drop_listener();
  Errno open_datagrams(const Endpoint& at);
  [[nodiscard]] Endpoint any() const { return {{family_, {}}, 0}; }

  const std::shared_ptr<Attachment> attachment_;
  Live& live_;
  const Family family_;
  const net::Type type_;
  // At most one of them; a stream that has none yet is neither connected nor bound.
  std::shared_ptr<Stream> stream_;
  std::shared_ptr<Listener> listener_;
  std::shared_ptr<DatagramSocket> datagrams_;
  std::optional<Endpoint> peer_;  // of datagrams
  bool is_known_ = false;         // that it is connected
  bool is_read_shut_ = false;     // of datagrams
  bool is_write_shut_ = false;
  std::optional<bool> nodelay_;  // before there is a stream
  std::optional<i32> keepalive_;
  std::optional<Attachment::Charge> charge_;
  std::vector<Waiter> waiters_;
  u64 next_ticket_ = 1;
};

}  // namespace atollvm::vnet
