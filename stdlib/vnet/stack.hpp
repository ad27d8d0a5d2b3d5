// The Internet Protocol of one machine: its sockets.
#pragma once

#include <deque>
#include <functional>
#include <list>

#include "stdlib/vnet/fragments.hpp"
#include "stdlib/vnet/node.hpp"
#include "stdlib/vnet/stream.hpp"

namespace atollvm::vnet {

struct StackLimits {
  // At once, of all kinds, with connections that nobody has (any more, or yet).
  u32 sockets = 256;
  // Bytes of a connection's buffers, 4096 to max_buffer each.
  u32 send_buffer = 64 << 10;
  u32 receive_buffer = 64 << 10;
  // Bytes of datagrams that wait at a socket.
  u32 datagrams = 256 << 10;
};
inline constexpr u32 max_buffer = 16 << 20;

// A socket that takes connections.
class Listener final {
 public:
  Listener(Stack& stack, const Endpoint& local, std::optional<u32> backlog)
      : stack_(stack), local_(local), backlog_(backlog) {}

  // Errors: again; badf when it is closed.
  Outcome<std::shared_ptr<Stream>> accept();
  void close();
  // From now on so many may wait.
  void listen(u32 backlog);
  [[nodiscard]] bool listens() const { return backlog_.has_value() && !is_closed_; }
  [[nodiscard]] const Endpoint& local() const { return local_; }
  [[nodiscard]] bool is_readable() const { return !ready_.empty() || is_closed_; }
  void on_change(std::function<void()> callback) { on_change_ = std::move(callback); }

 private:
  friend class Stack;
  friend class Stream;
  // Of a connection that is being made: it is there now, or nothing became of it.
  void completed(const std::shared_ptr<Stream>& stream);
  void failed() { --half_open_; }
  [[nodiscard]] bool is_full() const { return ready_.size() + half_open_ > *backlog_; }

  Stack& stack_;
  const Endpoint local_;
  std::optional<u32> backlog_;
  usize half_open_ = 0;
  std::deque<std::shared_ptr<Stream>> ready_;
  std::function<void()> on_change_;
  bool is_closed_ = false;
};

class DatagramSocket final {
 public:
  DatagramSocket(Stack& stack, const Endpoint& local) : stack_(stack), local_(local) {}

  using Received = net::Socket::Received;
  // One that is longer than `bytes` is cut off. `peek`: it stays. Errors: again; badf when it is
  // closed.
  Outcome<Received> receive(std::span<u8> bytes, bool peek = false);
  // Bytes of the first one.
  [[nodiscard]] usize waiting() const {
    return waiting_.empty() ? 0 : waiting_.front().bytes.size();
  }
  // Errors: msgsize, acces (no such address to send to), netunreach, hostunreach, badf.
  Outcome<u32> send(Span bytes, const Endpoint& to);
  void close();
  [[nodiscard]] const Endpoint& local() const { return local_; }
  [[nodiscard]] bool is_readable() const { return !waiting_.empty() || is_closed_; }
  void on_change(std::function<void()> callback) { on_change_ = std::move(callback); }
  // Datagrams for which there was no room.
  [[nodiscard]] u64 dropped() const { return dropped_; }

 private:
  friend class Stack;
  struct Waiting {
    Endpoint from;
    Bytes bytes;
  };
  void take(const Endpoint& from, Span payload);

  Stack& stack_;
  const Endpoint local_;
  std::deque<Waiting> waiting_;
  usize charged_ = 0;
  u64 dropped_ = 0;
  std::function<void()> on_change_;
  bool is_closed_ = false;
};

class Stack final : public Node {
 public:
  Stack(Fabric& fabric, std::string name, const StackLimits& limits);
  ~Stack() override;

  // Errors: nfile, netunreach (no route, or no address of that family), addrnotavail (no port is
  // left), acces (no such address to connect to).
  Outcome<std::shared_ptr<Stream>> connect(const Endpoint& to);
  // `at`: an address of its own or of loopback, or all (0.0.0.0, ::); port 0: any that is free.
  // Without a backlog it refuses connections until it is told to listen(). Errors: nfile,
  // addrnotavail, addrinuse.
  Outcome<std::shared_ptr<Listener>> listen(const Endpoint& at, std::optional<u32> backlog);
  Outcome<std::shared_ptr<DatagramSocket>> open_datagrams(const Endpoint& at);

  [[nodiscard]] const StackLimits& limits() const { return limits_; }
  [[nodiscard]] u32 sockets() const { return sockets_; }
  // What its sockets and fragments hold, and its packets on the links of its own.
  [[nodiscard]] usize memory() const;
  // Whether an address is its own, or loopback.
  [[nodiscard]] bool is_own(const Address& address) const;

  void receive(Port& at, Packet&& packet) override;

 private:
  friend class Fabric;
  friend class Listener;
  friend class DatagramSocket;
  friend class Stream;

  // Ends all sockets, without a packet.
  void shut();
  void add(const std::shared_ptr<Stream>& stream);
  // Counts a connection no more, if nobody has it and nothing is left of it.
  void settle(Stream& stream);
  // The largest payload of a segment to an address.
  [[nodiscard]] u32 mss(const Address& to) const;
  // Nothing: it is on its way.
  std::optional<Errno> send(const Address& to, Packet&& packet);
  // The payload goes on with `more`.
  std::optional<Errno> send_segment(Stream& stream, const Segment& segment, Span more);
  void deliver(Packet&& packet);
  void deliver_tcp(const IpHeader& header, const Packet& packet);
  void deliver_udp(const IpHeader& header, Span packet);
  void deliver_icmp(const IpHeader& header, Span packet);
  void refuse(const IpHeader& header, const Segment& segment);
  void accept(const IpHeader& header, const Segment& segment);
  // What a socket that sends there has as its address.
  [[nodiscard]] Outcome<Address> source_for(const Address& to) const;
  [[nodiscard]] bool is_free(Protocol protocol, const Endpoint& local) const;
  // With a port, if it has none. Errors: addrinuse.
  Outcome<Endpoint> bind(Protocol protocol, const Endpoint& at);
  u32 first_sequence();
  void ended(Stream& stream);
  // Keeps it for the time that late segments may come.
  void is_waiting(Stream& stream);

  const StackLimits limits_;
  Chance chance_;
  u32 sequence_;
  u16 next_port_;
  u32 sockets_ = 0;
  Reassembler reassembler_;
  std::unique_ptr<Direction> loopback_;
  std::unordered_map<Flow, std::shared_ptr<Stream>, FlowHash> streams_;
  std::list<Flow> waiting_;  // of them in time_wait; the oldest first
  std::unordered_map<Endpoint, std::shared_ptr<Listener>, EndpointHash> listeners_;
  std::unordered_map<Endpoint, std::shared_ptr<DatagramSocket>, EndpointHash> datagrams_;
};

}  // namespace atollvm::vnet
