#include "stdlib/vnet/virtual_socket.hpp"

#include <algorithm>

#include "stdlib/vnet/fabric.hpp"

namespace atollvm::vnet {

using Turn = Live::Turn;

namespace {

// What a socket takes without its buffers.
constexpr u64 record_bytes = 1024;

}  // namespace

VirtualSocket::VirtualSocket(std::shared_ptr<net::Network> network,
                             std::shared_ptr<Attachment> attachment, Family family, net::Type type)
    : Socket(std::move(network)),
      attachment_(std::move(attachment)),
      live_(attachment_->live()),
      family_(family),
      type_(type) {}

VirtualSocket::~VirtualSocket() {
  const Turn turn(live_);
  if (stream_ != nullptr) stream_->close();
  drop_listener();
  if (datagrams_ != nullptr) {
    datagrams_->on_change({});
    datagrams_->close();
  }
}

void VirtualSocket::drop_listener() {
  if (listener_ == nullptr) return;
  listener_->on_change({});
  listener_->close();
  listener_ = nullptr;
}

// --- Waiting ---

bool VirtualSocket::is_ready(bool write) const {
  if (stream_ != nullptr) {
    // Somebody waits to be connected, too.
    return write ? stream_->is_writable() : stream_->is_readable();
  }
  if (listener_ != nullptr) return !write && (listener_->is_readable() || !listener_->listens());
  if (datagrams_ != nullptr) return write || is_read_shut_ || datagrams_->is_readable();
  return type_ == net::Type::stream || write || attachment_->stack() == nullptr;
}

VirtualSocket::State VirtualSocket::state(bool write) {
  const Turn turn(live_);
  State state{is_ready(write)};
  if (stream_ != nullptr) {
    state.bytes = write ? 0 : stream_->waiting();
    state.has_ended = stream_->state() == Stream::State::closed;
  } else if (datagrams_ != nullptr && !write) {
    state.bytes = datagrams_->waiting();
  }
  return state;
}

u64 VirtualSocket::wait(bool write, std::function<void()> ready) {
  const Turn turn(live_);
  const u64 ticket = next_ticket_++;
  if (is_ready(write)) {
    live_.call_later(std::move(ready));
  } else {
    waiters_.push_back({ticket, write, std::move(ready)});
  }
  return ticket;
}

void VirtualSocket::forget(u64 ticket) {
  // Goes after the lock: it may hold the last handle of this socket.
  std::function<void()> dropped;
  const Turn turn(live_);
  const auto found = std::ranges::find(waiters_, ticket, &Waiter::ticket);
  if (found == waiters_.end()) return;
  dropped = std::move(found->ready);
  waiters_.erase(found);
}

template <class T>
void VirtualSocket::follow(T& socket) {
  socket.on_change([this] { changed(); });
}

void VirtualSocket::changed() {
  const bool ready[2] = {is_ready(false), is_ready(true)};
  std::erase_if(waiters_, [&](Waiter& each) {
    if (!ready[each.write ? 1 : 0]) return false;
    live_.call_later(std::move(each.ready));
    return true;
  });
}

// --- Making ---

// The buffers as if they were full.
Errno VirtualSocket::charge() {
  if (attachment_->stack() == nullptr) return Errno::netunreach;
  if (charge_) return Errno::success;
  const StackLimits& limits = attachment_->stack()->limits();
  auto charged = attachment_->charge(
      record_bytes + (type_ == net::Type::datagrams ? limits.datagrams
                                                    : limits.send_buffer + limits.receive_buffer));
  if (!charged) return Errno::nomem;
  charge_.emplace(*std::move(charged));
  return Errno::success;
}

Errno VirtualSocket::bind_to(const Endpoint& at) {
  const Turn turn(live_);
  if (at.address.family != family_) return Errno::afnosupport;
  if (stream_ != nullptr || listener_ != nullptr || datagrams_ != nullptr) return Errno::inval;
  if (type_ == net::Type::datagrams) return open_datagrams(at);
  if (const Errno error = charge(); error != Errno::success) return error;
  auto made = attachment_->stack()->listen(at, std::nullopt);
  if (const Errno* const error = std::get_if<Errno>(&made)) return *error;
  listener_ = std::get<0>(std::move(made));
  follow(*listener_);
  return Errno::success;
}

Errno VirtualSocket::open_datagrams(const Endpoint& at) {
  if (const Errno error = charge(); error != Errno::success) return error;
  auto made = attachment_->stack()->open_datagrams(at);
  if (const Errno* const error = std::get_if<Errno>(&made)) return *error;
  datagrams_ = std::get<0>(std::move(made));
  follow(*datagrams_);
  changed();
  return Errno::success;
}

Errno VirtualSocket::listen(u32 backlog) {
  const Turn turn(live_);
  if (type_ != net::Type::stream) return Errno::notsup;
  if (stream_ != nullptr) return Errno::inval;
  if (listener_ == nullptr) {
    if (const Errno error = charge(); error != Errno::success) return error;
    auto made = attachment_->stack()->listen(any(), std::nullopt);
    if (const Errno* const error = std::get_if<Errno>(&made)) return *error;
    listener_ = std::get<0>(std::move(made));
    follow(*listener_);
  }
  listener_->listen(backlog);
  return Errno::success;
}

Errno VirtualSocket::connect(const Endpoint& to) {
  const Turn turn(live_);
  if (type_ == net::Type::datagrams) {
    if (to.port == 0) {
      peer_.reset();
      return Errno::success;
    }
    if (to.address.family != family_) return Errno::afnosupport;
    if (datagrams_ == nullptr) {
      if (const Errno error = open_datagrams(any()); error != Errno::success) return error;
    }
    peer_ = to;
    return Errno::success;
  }
  if (listener_ != nullptr && listener_->listens()) return Errno::isconn;
  if (stream_ != nullptr) {
    const Errno now = stream_->connected();
    if (now == Errno::again) return Errno::already;
    if (std::exchange(is_known_, true)) return now == Errno::success ? Errno::isconn : now;
    return now;
  }
  if (to.address.family != family_) return Errno::afnosupport;
  if (const Errno error = charge(); error != Errno::success) return error;
  drop_listener();
  auto made = attachment_->stack()->connect(to);
  if (const Errno* const error = std::get_if<Errno>(&made)) return *error;
  stream_ = std::get<0>(std::move(made));
  follow(*stream_);
  if (nodelay_) static_cast<void>(stream_->set(net::Option::nodelay, *nodelay_ ? 1 : 0));
  if (keepalive_) static_cast<void>(stream_->set(net::Option::keepalive, *keepalive_));
  return Errno::inprogress;
}

Errno VirtualSocket::connected() const {
  const Turn turn(live_);
  return stream_ == nullptr ? Errno::notconn : stream_->connected();
}

Outcome<net::Socket::Accepted> VirtualSocket::accept() {
  if (!network().take()) return Errno::nfile;
  // Takes over what was counted, also where there is none; goes after the lock.
  auto socket = std::make_shared<VirtualSocket>(shared_network(), attachment_, family_, type_);
  const Turn turn(live_);
  if (listener_ == nullptr || !listener_->listens()) return Errno::inval;
  if (!listener_->is_readable()) return Errno::again;
  if (const Errno error = socket->charge(); error != Errno::success) return error;
  auto outcome = listener_->accept();
  if (const Errno* const error = std::get_if<Errno>(&outcome)) return *error;
  socket->stream_ = std::get<0>(std::move(outcome));
  socket->is_known_ = true;
  socket->follow(*socket->stream_);
  if (nodelay_) static_cast<void>(socket->stream_->set(net::Option::nodelay, *nodelay_ ? 1 : 0));
  if (keepalive_) static_cast<void>(socket->stream_->set(net::Option::keepalive, *keepalive_));
  const Endpoint remote = socket->stream_->remote();
  return Accepted{std::move(socket), remote};
}

// --- Using ---

Outcome<u32> VirtualSocket::read(std::span<u8> bytes, bool peek) {
  if (type_ == net::Type::datagrams) {
    const auto outcome = receive(bytes, peek);
    if (const Errno* const error = std::get_if<Errno>(&outcome)) return *error;
    return std::get<Received>(outcome).size;
  }
  const Turn turn(live_);
  if (stream_ == nullptr) return Errno::notconn;
  return stream_->read(bytes, peek);
}

Outcome<u32> VirtualSocket::write(std::span<const u8> bytes) {
  const Turn turn(live_);
  if (type_ == net::Type::datagrams) {
    if (!peer_ || datagrams_ == nullptr) return Errno::notconn;
    if (is_write_shut_) return Errno::pipe;
    return datagrams_->send(bytes, *peer_);
  }
  if (stream_ == nullptr) return Errno::notconn;
  return stream_->write(bytes);
}

Errno VirtualSocket::shutdown(u32 how) {
  if (how == 0 || how > (net::shutdown_read | net::shutdown_write)) return Errno::inval;
  const Turn turn(live_);
  if (stream_ != nullptr) return stream_->shutdown(how);
  if (type_ == net::Type::stream || !peer_) return Errno::notconn;
  is_read_shut_ = is_read_shut_ || (how & net::shutdown_read) != 0;
  is_write_shut_ = is_write_shut_ || (how & net::shutdown_write) != 0;
  changed();
  return Errno::success;
}

Outcome<Endpoint> VirtualSocket::local() const {
  const Turn turn(live_);
  if (stream_ != nullptr) return stream_->local();
  if (listener_ != nullptr) return listener_->local();
  if (datagrams_ != nullptr) return datagrams_->local();
  return any();
}

Outcome<Endpoint> VirtualSocket::remote() const {
  const Turn turn(live_);
  if (stream_ != nullptr) return stream_->remote();
  if (peer_) return *peer_;
  return Errno::notconn;
}

Outcome<vfs::Stat> VirtualSocket::stat() const {
  vfs::Stat stat;
  stat.type = vfs::FileType::socket;
  stat.links = 1;
  return stat;
}

Errno VirtualSocket::set_option(net::Option option, i32 value) {
  const Turn turn(live_);
  if (type_ == net::Type::datagrams) {
    const bool is_of_streams = option == net::Option::nodelay || option == net::Option::keepalive;
    return is_of_streams ? Errno::notsup : Errno::success;
  }
  if (stream_ != nullptr) return stream_->set(option, value);
  if (option == net::Option::nodelay) nodelay_ = value == 1;
  if (option == net::Option::keepalive) keepalive_ = value;
  return Errno::success;
}

Outcome<u32> VirtualSocket::get_option(net::Option option) {
  const Turn turn(live_);
  if (stream_ != nullptr) return stream_->get(option);
  const bool is_datagrams = type_ == net::Type::datagrams;
  const Stack* const stack = attachment_->stack();
  switch (option) {
    case net::Option::nodelay:
      if (is_datagrams) return Errno::notsup;
      return nodelay_.value_or(false) ? 1u : 0u;
    case net::Option::keepalive:
      if (is_datagrams) return Errno::notsup;
      return static_cast<u32>(keepalive_.value_or(0));
    case net::Option::receive_buffer:
      if (stack == nullptr) return 0u;
      return is_datagrams ? stack->limits().datagrams : stack->limits().receive_buffer;
    case net::Option::send_buffer:
      if (stack == nullptr) return 0u;
      return is_datagrams ? stack->limits().datagrams : stack->limits().send_buffer;
    case net::Option::error:
      return 0u;
    case net::Option::listens:
      return listener_ != nullptr && listener_->listens() ? 1u : 0u;
    default:
      return Errno::inval;
  }
}

Outcome<net::Socket::Received> VirtualSocket::receive(std::span<u8> bytes, bool peek) {
  const Turn turn(live_);
  if (type_ != net::Type::datagrams) return Errno::notsock;
  if (is_read_shut_) return Received{};
  if (datagrams_ == nullptr)
    return attachment_->stack() == nullptr ? Errno::netunreach : Errno::again;
  while (true) {
    auto outcome = datagrams_->receive(bytes, peek);
    const auto* const received = std::get_if<Received>(&outcome);
    if (received == nullptr || !peer_ || received->from == *peer_) return outcome;
    if (peek) static_cast<void>(datagrams_->receive(bytes));
    std::ranges::fill(bytes.first(received->size), u8{0});
  }
}

Outcome<u32> VirtualSocket::send(std::span<const u8> bytes, const Endpoint& to) {
  const Turn turn(live_);
  if (type_ != net::Type::datagrams) return Errno::notsock;
  if (is_write_shut_) return Errno::pipe;
  if (to.address.family != family_) return Errno::afnosupport;
  if (datagrams_ == nullptr) {
    if (const Errno error = open_datagrams(any()); error != Errno::success) return error;
  }
  return datagrams_->send(bytes, to);
}

}  // namespace atollvm::vnet
