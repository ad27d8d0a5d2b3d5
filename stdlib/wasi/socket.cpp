// Listeners and connections.
#include "stdlib/host/socket.hpp"
#include "stdlib/wasi/support.hpp"

namespace atollvm::wasi {
namespace {

struct Accepting {
  std::shared_ptr<cap::Object> listener;
  std::shared_ptr<const cap::Revocation> revocation;
  Rights rights;  // of the connection
  u32 flags;      // likewise
  bool nonblocking;
  u32 to;  // where its number goes
  std::optional<u64> deadline{};
};

HostResult accept(HostContext& context, const std::shared_ptr<Accepting>& state) {
  if (!context.memory(state->to, 4)) return give(context, Errno::fault);
  net::Socket& socket = *host::socket_of(*state->listener);
  auto outcome = socket.accept();
  if (host::must_wait(outcome)) {
    if (state->nonblocking || is_over(socket, false, state->deadline)) {
      return give(context, Errno::again);
    }
    const loop::Loop::Interest interest = host::interest_of(socket, false);
    return loop::of(context).when_any(context, {&interest, 1}, state->deadline,
                                      [state](HostContext& later) { return accept(later, state); });
  }
  if (const Errno* const error = error_of(outcome)) return give(context, *error);
  auto connection = std::make_shared<host::Connection>(
      std::move(std::get<net::Socket::Accepted>(outcome).socket));
  const auto made = context.handles().insert(
      make_capability(std::move(connection), state->rights, 0, state->flags, state->revocation));
  if (const Errno* const error = std::get_if<Errno>(&made)) return give(context, *error);
  return give_number<u32>(context, state->to, std::get<cap::Handle>(made));
}

// Errors: notsock, notconn (a listener), notcapable.
Errno check_connection(const Call& call, Rights needed) {
  if (call.kind() == Kind::listener) return Errno::notconn;
  if (host::socket_of(*call.context.capability().object) == nullptr) return Errno::notsock;
  return (call.descriptor->base & needed) == needed ? Errno::success : Errno::notcapable;
}

}  // namespace

HostResult call_sock_accept(Call& call) {
  if (host::socket_of(*call.context.capability().object) == nullptr) {
    return give(call, Errno::notsock);
  }
  if (call.kind() == Kind::datagrams) return give(call, Errno::notsup);
  if ((call.descriptor->base & right_sock_accept) == 0) return give(call, Errno::notcapable);
  const u32 flags = call.u32_at(1);
  if ((flags & ~flag_nonblock) != 0) return give(call, Errno::inval);
  const auto state = std::make_shared<Accepting>(Accepting{
      call.object<cap::Object>(), call.context.capability().revocation, call.descriptor->inheriting,
      flags, (call.descriptor->flags & flag_nonblock) != 0, call.u32_at(2)});
  return accept(call.context, state);
}

HostResult call_sock_recv(Call& call) {
  const Errno error = check_connection(call, right_fd_read);
  if (error != Errno::success) return give(call, error);
  const u32 flags = call.u32_at(3);
  if ((flags & ~(receive_peek | receive_wait_all)) != 0) return give(call, Errno::inval);
  return receive(call, flags);
}

HostResult call_sock_send(Call& call) {
  const Errno error = check_connection(call, right_fd_write);
  if (error != Errno::success) return give(call, error);
  if (call.u32_at(3) != 0) return give(call, Errno::inval);
  return send(call);
}

HostResult call_sock_shutdown(Call& call) {
  const u32 how = call.u32_at(1);
  Rights needed = right_sock_shutdown;
  if ((how & net::shutdown_read) != 0) needed |= right_fd_read;
  if ((how & net::shutdown_write) != 0) needed |= right_fd_write;
  const Errno error = check_connection(call, needed);
  if (error != Errno::success) return give(call, error);
  return give(call, host::socket_of(*call.context.capability().object)->shutdown(how));
}

}  // namespace atollvm::wasi
