// Networks: connections, listeners, datagrams, names of hosts.
#include <string.h>

#include <algorithm>

#include "stdlib/host/socket.hpp"
#include "stdlib/host/support.hpp"

namespace atollvm::host {

net::Socket* socket_of(const cap::Object& object) {
  switch (object.kind()) {
    case Kind::stream:
      return static_cast<const Stream&>(object).socket();
    case Kind::listener:
      return static_cast<const Listener&>(object).socket.get();
    case Kind::datagrams:
      return static_cast<const Datagrams&>(object).socket.get();
    default:
      return nullptr;
  }
}

vfs::Outcome<net::Socket::Received> Datagrams::receive(std::span<u8> bytes, bool peek) const {
  constexpr u32 max_dropped = 64;  // in one turn
  for (u32 dropped = 0; dropped < max_dropped; ++dropped) {
    auto outcome = socket->receive(bytes, peek);
    const auto* const received = std::get_if<net::Socket::Received>(&outcome);
    if (received == nullptr || from_all.load() ||
        !socket->network().rules().refuses(net::Action::udp, received->from)) {
      return outcome;
    }
    if (peek) static_cast<void>(socket->receive(bytes));
    std::ranges::fill(bytes.first(received->size), u8{0});
  }
  return Errno::again;
}

namespace {

using loop::Loop;
using net::Action;
using net::Address;
using net::Endpoint;
using net::Network;
using net::Socket;
using vfs::Outcome;

constexpr usize max_addresses = 16;  // of one name that are tried

// The structure SocketAddress (see constants.cpp).
struct GuestAddress {
  u32 family;
  u32 port;
  u8 bytes[16];
};
static_assert(sizeof(GuestAddress) == 24);

GuestAddress to_guest(const Endpoint& endpoint) {
  GuestAddress result{static_cast<u32>(endpoint.address.family), endpoint.port, {}};
  memcpy(result.bytes, endpoint.address.bytes.data(), sizeof result.bytes);
  return result;
}

Errno put_address(const HostContext& context, u32 at, const Endpoint& endpoint) {
  const auto to = context.memory(at, sizeof(GuestAddress));
  if (!to) return Errno::fault;
  const GuestAddress address = to_guest(endpoint);
  memcpy(to->data(), &address, sizeof address);
  return Errno::success;
}

// Errors: fault, inval.
Outcome<Endpoint> get_address(const HostContext& context, u32 at) {
  const auto from = context.memory(at, sizeof(GuestAddress));
  if (!from) return Errno::fault;
  GuestAddress address;
  memcpy(&address, from->data(), sizeof address);
  if ((address.family != 4 && address.family != 6) || address.port > 65535) return Errno::inval;
  return Endpoint{address.family == 4 ? net::make_v4(address.bytes) : net::make_v6(address.bytes),
                  static_cast<u16>(address.port)};
}

bool has_room(const HostContext& context, u32 at) {
  return at == 0 || context.memory(at, sizeof(GuestAddress)).has_value();
}

// Monotonic ns; nothing: there is none. Negative timeouts mean for ever.
std::optional<u64> deadline_in(i64 timeout) {
  return timeout < 0 ? std::nullopt : std::optional(deadline_after(timeout));
}

bool is_over(std::optional<u64> deadline) { return deadline && loop::monotonic_ns() >= *deadline; }

HostResult wait_for(HostContext& context, Socket& socket, bool write, std::optional<u64> deadline,
                    runtime::Finish finish) {
  const Loop::Interest interest = interest_of(socket, write);
  if (!deadline) return loop::of(context).when_ready(context, interest, std::move(finish));
  return loop::of(context).when_any(context, {&interest, 1}, deadline, std::move(finish));
}

template <class T>
std::shared_ptr<T> object_behind(const HostContext& context) {
  return std::static_pointer_cast<T>(context.capability().object);
}

// A new handle for what was made through another one, with which it can be revoked.
HostResult give(HostContext& context, std::shared_ptr<cap::Object> object, cap::Rights rights,
                const std::shared_ptr<const cap::Revocation>& revocation) {
  return give_handle(context, context.handles().insert({std::move(object), rights, revocation}));
}

// The text of a host in parameters 1 and 2. Errors: fault, nametoolong.
Outcome<std::string> host_text(const HostContext& context) {
  const auto bytes = context.memory(context.arg_u32(1), context.arg_u32(2));
  if (!bytes) return Errno::fault;
  if (bytes->size() > 254) return Errno::nametoolong;
  return std::string(bytes->begin(), bytes->end());
}

constexpr std::string_view no_address = "that is neither an address nor a name";
constexpr std::string_view no_port = "there is no such port";
constexpr std::string_view chosen_place = "who connects does not choose from where";

// Tells of a host and port that can't be asked about.
HostResult refuse_endpoint(const HostContext& context, Network& network, Action action,
                           const std::string& host, u32 port, std::string_view why) {
  network.refused(action, host, port, why);
  return context.error32(Errno::inval);
}

// A port in a parameter. Errors: inval.
std::optional<u16> port_at(const HostContext& context, u32 index) {
  const u32 port = context.arg_u32(index);
  return port > 65535 ? std::nullopt : std::optional(static_cast<u16>(port));
}

constexpr u8 loopback_v4[4] = {127, 0, 0, 1};
constexpr u8 loopback_v6[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};

std::vector<Address> addresses_of(const Loop::Lookup& lookup) {
  std::vector<Address> addresses;
  for (const sockaddr_storage& each : lookup.addresses) {
    const auto one = net::from_host(reinterpret_cast<const sockaddr*>(&each), sizeof each);
    if (one && addresses.size() < max_addresses) addresses.push_back(one->address);
  }
  return addresses;
}

// Gives the addresses of a host by its canonical name to `done(context, addresses or error)`.
// Errors: noent, again (the resolver has no answer now), timedout.
template <class Done>
HostResult ask(Environment& environment, HostContext& context, const std::string& name,
               std::optional<u64> deadline, Done done) {
  using Found = Outcome<std::vector<Address>>;
  if (environment.resolve) {
    auto addresses = environment.resolve(name);
    if (addresses.empty()) return done(context, Found(Errno::noent));
    if (addresses.size() > max_addresses) addresses.resize(max_addresses);
    return done(context, Found(std::move(addresses)));
  }
  return loop::of(context).lookup(
      context, name, deadline,
      [done = std::move(done)](HostContext& later, const Loop::Lookup& lookup) {
        switch (lookup.end) {
          case Loop::Lookup::End::timed_out:
            return done(later, Found(Errno::timedout));
          case Loop::Lookup::End::failed:
            return done(later, Found(Errno::again));
          default:
            break;
        }
        auto addresses = addresses_of(lookup);
        if (addresses.empty()) return done(later, Found(Errno::noent));
        return done(later, Found(std::move(addresses)));
      });
}

// The same, of a name that is the host's own without asking, and else when the network's rate has
// it.
template <class Done>
HostResult resolve(Environment& environment, HostContext& context, const Network& network,
                   const std::string& name, std::optional<u64> deadline, Done done) {
  if (net::is_local_name(name)) {
    return done(context, Outcome<std::vector<Address>>(
                             std::vector{net::make_v4(loopback_v4), net::make_v6(loopback_v6)}));
  }
  if (net::Provider* const provider = network.provider()) {
    auto addresses = provider->resolve(name);
    if (addresses.empty()) return done(context, Outcome<std::vector<Address>>(Errno::noent));
    if (addresses.size() > max_addresses) addresses.resize(max_addresses);
    return done(context, Outcome<std::vector<Address>>(std::move(addresses)));
  }
  Share share;
  take_one(share, network.names());
  return with_share(
      context, share,
      [&environment, name, deadline, done = std::move(done)](HostContext& now, const Share&) {
        return ask(environment, now, name, deadline, done);
      },
      deadline);
}

// --- Connecting ---

struct Connecting {
  std::shared_ptr<Network> network;
  std::shared_ptr<const cap::Revocation> revocation;
  std::optional<u64> deadline;
  std::vector<Endpoint> left{};  // to try, the next one last
  std::shared_ptr<Socket> socket{};
  std::optional<u64> until{};     // of this socket
  Errno error = Errno::timedout;  // of the last one
};

// Each of several addresses gets its share of the time that is left.
void set_share(Connecting& state) {
  state.until = state.deadline;
  if (!state.deadline) return;
  const u64 now = loop::monotonic_ns();
  if (now < *state.deadline) state.until = now + (*state.deadline - now) / (state.left.size() + 1);
}

HostResult connect_next(HostContext& context, const std::shared_ptr<Connecting>& state) {
  while (true) {
    if (state->socket == nullptr) {
      if (state->left.empty()) return context.error32(state->error);
      const Endpoint to = state->left.back();
      state->left.pop_back();
      set_share(*state);
      auto begun = net::connect(state->network, to);
      if (const Errno* const error = error_of(begun)) {
        state->error = *error;
        continue;
      }
      state->socket = std::get<0>(std::move(begun));
    }
    const Errno outcome = state->socket->connected();
    if (outcome == Errno::success) {
      return give(context, std::make_shared<Connection>(std::move(state->socket)),
                  connection_rights, state->revocation);
    }
    if (outcome == Errno::again && !is_over(state->until)) {
      return wait_for(context, *state->socket, true, state->until,
                      [state](HostContext& later) { return connect_next(later, state); });
    }
    state->error = outcome == Errno::again ? Errno::timedout : outcome;
    state->socket = nullptr;
  }
}

HostResult connect_to(HostContext& context, const std::shared_ptr<Connecting>& state,
                      const std::vector<Address>& addresses, std::string_view name, u16 port) {
  for (const Address& each : addresses) {
    const Endpoint endpoint{each, port};
    if (state->network->allows(Action::connect, endpoint, name)) state->left.push_back(endpoint);
  }
  if (state->left.empty()) return context.error32(Errno::acces);
  std::reverse(state->left.begin(), state->left.end());
  return connect_next(context, state);
}

// A socket that was made before.
HostResult await_connection(HostContext& context, const std::shared_ptr<cap::Object>& object,
                            const Endpoint& to, std::optional<u64> deadline) {
  Socket& socket = *socket_of(*object);
  const Errno outcome = socket.connected();
  // Only connecting again tells the kernel that this is known.
  if (outcome == Errno::success) static_cast<void>(socket.connect(to));
  if (outcome != Errno::again) return context.error32(outcome);
  if (is_over(deadline)) return context.error32(Errno::timedout);
  return wait_for(context, socket, true, deadline, [object, to, deadline](HostContext& later) {
    return await_connection(later, object, to, deadline);
  });
}

HostResult connect_socket(HostContext& context, const std::shared_ptr<cap::Object>& object,
                          const Endpoint& to, bool waits, std::optional<u64> deadline) {
  const Errno begun = socket_of(*object)->connect(to);
  if (begun != Errno::inprogress || !waits) return context.error32(begun);
  return await_connection(context, object, to, deadline);
}

// --- Waiting for others ---

HostResult accept_connection(HostContext& context, const std::shared_ptr<cap::Object>& listener,
                             u32 from, std::optional<u64> deadline,
                             const std::shared_ptr<const cap::Revocation>& revocation) {
  if (!has_room(context, from)) return context.error32(Errno::fault);
  Socket* const socket = socket_of(*listener);
  if (socket == nullptr) return context.error32(Errno::notsock);
  auto outcome = socket->accept();
  if (must_wait(outcome)) {
    if (is_over(deadline)) return context.error32(Errno::timedout);
    return wait_for(context, *socket, false, deadline,
                    [listener, from, deadline, revocation](HostContext& later) {
                      return accept_connection(later, listener, from, deadline, revocation);
                    });
  }
  if (const Errno* const error = error_of(outcome)) return context.error32(*error);
  auto& accepted = std::get<Socket::Accepted>(outcome);
  if (from != 0) put_address(context, from, accepted.remote);
  return give(context, std::make_shared<Connection>(std::move(accepted.socket)), connection_rights,
              revocation);
}

struct Receiving {
  std::shared_ptr<Datagrams> datagrams;
  u32 address;
  u32 size;
  u32 from;
  std::optional<u64> deadline;
};

HostResult receive_datagram(HostContext& context, const Receiving& state);

HostResult receive_datagram(HostContext& context, const Receiving& state, const Share& share) {
  if (!has_room(context, state.from) || !context.memory(state.address, state.size)) {
    return context.error32(Errno::fault);
  }
  const auto to = context.memory(state.address, state.size);
  const auto outcome = state.datagrams->receive(*to);
  if (const Errno* const error = error_of(outcome)) {
    settle_io(context, share, *error);
    if (*error != Errno::again) return context.error32(*error);
    if (is_over(state.deadline)) return context.error32(Errno::timedout);
    return wait_for(context, *state.datagrams->socket, false, state.deadline,
                    [state](HostContext& later) { return receive_datagram(later, state); });
  }
  const auto& received = std::get<Socket::Received>(outcome);
  settle_io(context, share, Outcome<u32>(received.size));
  if (state.from != 0) put_address(context, state.from, received.from);
  return context.result_i32(static_cast<i32>(received.size));
}

// One datagram of at most so many bytes does `go(context, share)`, as with_share.
template <class Go>
HostResult with_datagram(HostContext& context, const Network& network, u32 size, Go go,
                         std::optional<u64> deadline = {}) {
  Share share = take_io(context, size, network.bandwidth(), /*is_whole=*/true);
  if (share.size() < size) {
    settle_io(context, share, Errno::dquot);
    return context.error32(Errno::dquot);
  }
  take_one(share, network.packets());
  return with_share(context, share, std::move(go), deadline);
}

HostResult receive_datagram(HostContext& context, const Receiving& state) {
  return with_datagram(
      context, state.datagrams->socket->network(), state.size,
      [state](HostContext& now, const Share& share) { return receive_datagram(now, state, share); },
      state.deadline);
}

HostResult send_datagram(HostContext& context, const std::shared_ptr<Datagrams>& datagrams,
                         u32 address, u32 size, const Endpoint& to) {
  const auto send = [datagrams, address, size, to](HostContext& now, const Share& share) {
    const auto bytes = now.memory(address, size);
    if (!bytes) return now.error32(Errno::fault);
    const Outcome<u32> outcome = datagrams->socket->send(*bytes, to);
    settle_io(now, share, outcome);
    if (must_wait(outcome)) {
      return wait_for(now, *datagrams->socket, true, std::nullopt,
                      [datagrams, address, size, to](HostContext& later) {
                        return send_datagram(later, datagrams, address, size, to);
                      });
    }
    if (const Errno* const error = error_of(outcome)) return now.error32(*error);
    return now.result_i32(static_cast<i32>(std::get<u32>(outcome)));
  };
  return with_datagram(context, datagrams->socket->network(), size, send);
}

// The connection that a stream is, or null.
Socket* connection_of(const HostContext& context) {
  return static_cast<Stream&>(*context.capability().object).socket();
}

}  // namespace

HostResult call_tcp_connect(Environment& environment, HostContext& context) {
  const auto text = host_text(context);
  if (const Errno* const error = error_of(text)) return context.error32(*error);
  const auto port = port_at(context, 3);
  const auto state = std::make_shared<Connecting>(Connecting{object_behind<Network>(context),
                                                             context.capability().revocation,
                                                             deadline_in(context.arg_i64(4))});
  const std::string& host = std::get<std::string>(text);
  Network& network = *state->network;
  if (!port || *port == 0) {
    return refuse_endpoint(context, network, Action::connect, host, context.arg_u32(3), no_port);
  }
  if (const auto address = net::parse_address(host)) {
    return connect_to(context, state, {*address}, "", *port);
  }
  const auto name = net::canonical_name(host);
  if (!name) return refuse_endpoint(context, network, Action::connect, host, *port, no_address);
  if (!net::is_local_name(*name) &&
      !state->network->allows_resolving(Action::connect, *name, *port)) {
    return context.error32(Errno::acces);
  }
  return resolve(environment, context, *state->network, *name, state->deadline,
                 [state, name = *name, port = *port](HostContext& later,
                                                     const Outcome<std::vector<Address>>& found) {
                   if (const Errno* const error = error_of(found)) return later.error32(*error);
                   return connect_to(later, state, std::get<0>(found), name, port);
                 });
}

HostResult call_tcp_listen(Environment&, HostContext& context) {
  const auto text = host_text(context);
  if (const Errno* const error = error_of(text)) return context.error32(*error);
  const auto port = port_at(context, 3);
  const auto address = net::parse_address(std::get<std::string>(text));
  const i32 backlog = context.arg_i32(4);
  if (backlog < 0) return context.error32(Errno::inval);
  const auto network = object_behind<Network>(context);
  if (!port || !address) {
    return refuse_endpoint(context, *network, Action::listen, std::get<std::string>(text),
                           context.arg_u32(3), port ? no_address : no_port);
  }
  const Endpoint at{*address, *port};
  if (!network->allows(Action::listen, at)) return context.error32(Errno::acces);
  auto made = net::listen(network, at, static_cast<u32>(backlog));
  if (const Errno* const error = error_of(made)) return context.error32(*error);
  return give(context, std::make_shared<Listener>(std::get<0>(std::move(made))), listener_rights,
              context.capability().revocation);
}

HostResult call_tcp_accept(Environment&, HostContext& context) {
  return accept_connection(context, context.capability().object, context.arg_u32(1),
                           deadline_in(context.arg_i64(2)), context.capability().revocation);
}

HostResult call_socket_shutdown(Environment&, HostContext& context) {
  const u32 how = context.arg_u32(1);
  const cap::Rights needed = ((how & net::shutdown_read) != 0 ? cap::right_read : 0) |
                             ((how & net::shutdown_write) != 0 ? cap::right_write : 0);
  if ((context.capability().rights & needed) != needed) return context.error32(Errno::notcapable);
  Socket* const socket = connection_of(context);
  return context.error32(socket == nullptr ? Errno::notsock : socket->shutdown(how));
}

HostResult call_socket_address(Environment&, HostContext& context) {
  const u32 side = context.arg_u32(1);
  const u32 to = context.arg_u32(2);
  if (!context.memory(to, sizeof(GuestAddress))) return context.error32(Errno::fault);
  Socket* const socket = socket_of(*context.capability().object);
  if (socket == nullptr) return context.error32(Errno::notsock);
  if (side > 1) return context.error32(Errno::inval);
  const auto endpoint = side == 0 ? socket->local() : socket->remote();
  if (const Errno* const error = error_of(endpoint)) return context.error32(*error);
  return context.error32(put_address(context, to, std::get<Endpoint>(endpoint)));
}

HostResult call_socket_option(Environment&, HostContext& context) {
  Socket* const socket = socket_of(*context.capability().object);
  if (socket == nullptr) return context.error32(Errno::notsock);
  return context.error32(
      socket->set(static_cast<net::Option>(context.arg_u32(1)), context.arg_i32(2)));
}

HostResult call_socket_option_get(Environment&, HostContext& context) {
  Socket* const socket = socket_of(*context.capability().object);
  if (socket == nullptr) return context.error32(Errno::notsock);
  const auto value = socket->get(static_cast<net::Option>(context.arg_u32(1)));
  if (const Errno* const error = error_of(value)) return context.error32(*error);
  return context.result_i32(static_cast<i32>(std::get<u32>(value)));
}

HostResult call_socket_open(Environment&, HostContext& context) {
  const u32 family = context.arg_u32(1);
  const auto type = static_cast<net::Type>(context.arg_u32(2));
  const cap::Rights rights = context.capability().rights;
  const bool is_stream = type == net::Type::stream;
  if (!is_stream && type != net::Type::datagrams) return context.error32(Errno::inval);
  // What the network's handle allows is what can be done with the socket.
  cap::Rights own =
      rights & (is_stream ? cap::right_connect | cap::right_listen : cap::right_datagrams);
  if (own == 0) return context.error32(Errno::notcapable);
  if (family != 4 && family != 6) return context.error32(Errno::afnosupport);
  auto made = net::open(object_behind<Network>(context), static_cast<net::Family>(family), type);
  if (const Errno* const error = error_of(made)) return context.error32(*error);
  auto& socket = std::get<0>(made);
  const auto& revocation = context.capability().revocation;
  if (!is_stream) {
    return give(context, std::make_shared<Datagrams>(std::move(socket), false),
                datagrams_rights | own, revocation);
  }
  if ((own & cap::right_listen) != 0) own |= cap::right_accept;
  return give(context, std::make_shared<Connection>(std::move(socket)), connection_rights | own,
              revocation);
}

HostResult call_socket_bind(Environment&, HostContext& context) {
  cap::Object& object = *context.capability().object;
  const bool is_stream = object.kind() == Kind::stream;
  const cap::Rights needed = is_stream ? cap::right_listen : cap::right_datagrams;
  const bool may = (context.capability().rights & needed) != 0;
  const auto at = get_address(context, context.arg_u32(1));
  const auto* const endpoint = std::get_if<Endpoint>(&at);
  const bool is_any = endpoint != nullptr && net::is_any(*endpoint);
  if (!may && !is_any) return context.error32(Errno::notcapable);
  if (const Errno* const error = error_of(at)) return context.error32(*error);
  Socket* const socket = socket_of(object);
  if (socket == nullptr) return context.error32(Errno::notsock);
  const Action action = is_stream ? Action::listen : Action::udp_listen;
  Network& network = socket->network();
  if (is_any && (!may || network.rules().refuses(action, *endpoint))) {
    // As without it: who connects and sends gets a place from the host anyway.
    return context.result_i32(0);
  }
  if (!network.allows(action, *endpoint)) return context.error32(Errno::acces);
  const Errno error = socket->bind(*endpoint);
  if (error == Errno::success && !is_stream) static_cast<Datagrams&>(object).from_all.store(true);
  return context.error32(error);
}

HostResult call_socket_listen(Environment&, HostContext& context) {
  const i32 backlog = context.arg_i32(1);
  Socket* const socket = socket_of(*context.capability().object);
  if (socket == nullptr) return context.error32(Errno::notsock);
  if (backlog < 0) return context.error32(Errno::inval);
  const auto local = socket->local();
  if (const Errno* const error = error_of(local)) return context.error32(*error);
  // What has a place was looked at when it got that.
  const auto& endpoint = std::get<Endpoint>(local);
  if (endpoint.port == 0 && !socket->network().allows(Action::listen, endpoint)) {
    return context.error32(Errno::acces);
  }
  return context.error32(socket->listen(static_cast<u32>(backlog)));
}

HostResult call_socket_connect(Environment& environment, HostContext& context) {
  const auto object = context.capability().object;
  const bool is_stream = object->kind() == Kind::stream;
  const cap::Rights needed = is_stream ? cap::right_connect : cap::right_write;
  if ((context.capability().rights & needed) == 0) return context.error32(Errno::notcapable);
  const auto at = get_address(context, context.arg_u32(1));
  if (const Errno* const error = error_of(at)) return context.error32(*error);
  const auto text = context.memory(context.arg_u32(2), context.arg_u32(3));
  if (!text) return context.error32(Errno::fault);
  const auto& to = std::get<Endpoint>(at);
  Socket* const socket = socket_of(*object);
  if (socket == nullptr) return context.error32(Errno::notsock);
  if (is_stream && to.port == 0) {
    return refuse_endpoint(context, socket->network(), Action::connect, net::to_text(to.address), 0,
                           no_port);
  }
  if (is_stream && socket->has_place()) {
    socket->network().refused(Action::connect, net::to_text(to.address), to.port, chosen_place);
    return context.error32(Errno::acces);
  }
  const auto deadline = deadline_in(context.arg_i64(4));
  const bool waits = context.arg_i64(4) != 0;
  const Action action = is_stream ? Action::connect : Action::udp;
  Network& network = socket->network();
  const bool is_nobody = !is_stream && to.port == 0;
  if (is_nobody || !network.rules().refuses(action, to)) {
    return connect_socket(context, object, to, waits, deadline);
  }
  const auto name =
      net::canonical_name({reinterpret_cast<const char*>(text->data()), text->size()});
  if (!name || !(net::is_local_name(*name) || network.allows_resolving(action, *name, to.port))) {
    if (!name) network.allows(action, to);  // tells of it
    return context.error32(Errno::acces);
  }
  return resolve(environment, context, network, *name, deadline,
                 [object, to, waits, deadline, action, name = *name](
                     HostContext& later, const Outcome<std::vector<Address>>& found) {
                   if (const Errno* const error = error_of(found)) return later.error32(*error);
                   const auto& addresses = std::get<0>(found);
                   const bool is_one = std::ranges::find(addresses, to.address) != addresses.end();
                   Network& its = socket_of(*object)->network();
                   if (!its.allows(action, to, is_one ? name : "")) {
                     return later.error32(Errno::acces);
                   }
                   return connect_socket(later, object, to, waits, deadline);
                 });
}

HostResult call_udp_open(Environment&, HostContext& context) {
  const auto text = host_text(context);
  if (const Errno* const error = error_of(text)) return context.error32(*error);
  const auto port = port_at(context, 3);
  const auto address = net::parse_address(std::get<std::string>(text));
  const auto network = object_behind<Network>(context);
  if (!port || !address) {
    return refuse_endpoint(context, *network, Action::udp_listen, std::get<std::string>(text),
                           context.arg_u32(3), port ? no_address : no_port);
  }
  const Endpoint at{*address, *port};
  // Any address and port: to send, and receive answers, which the rules look at one by one.
  const bool is_any = net::is_any(at);
  if (!is_any && !network->allows(Action::udp_listen, at)) return context.error32(Errno::acces);
  auto made = net::open_datagrams(network, at);
  if (const Errno* const error = error_of(made)) return context.error32(*error);
  return give(context, std::make_shared<Datagrams>(std::get<0>(std::move(made)), !is_any),
              datagrams_rights, context.capability().revocation);
}

HostResult call_udp_send(Environment&, HostContext& context) {
  const u32 address = context.arg_u32(1);
  const u32 size = context.arg_u32(2);
  if (!context.memory(address, size)) return context.error32(Errno::fault);
  const auto to = get_address(context, context.arg_u32(3));
  if (const Errno* const error = error_of(to)) return context.error32(*error);
  const auto datagrams = object_behind<Datagrams>(context);
  const Endpoint& endpoint = std::get<Endpoint>(to);
  if (size > 65535) return context.error32(Errno::msgsize);
  if (!datagrams->socket->network().allows(Action::udp, endpoint)) {
    return context.error32(Errno::acces);
  }
  return send_datagram(context, datagrams, address, size, endpoint);
}

HostResult call_udp_receive(Environment&, HostContext& context) {
  const auto bytes = context.memory(context.arg_u32(1), context.arg_u32(2));
  if (!bytes) return context.error32(Errno::fault);
  return receive_datagram(context, {object_behind<Datagrams>(context), context.arg_u32(1),
                                    static_cast<u32>(std::min<usize>(bytes->size(), 65536)),
                                    context.arg_u32(3), deadline_in(context.arg_i64(4))});
}

HostResult call_host_lookup(Environment& environment, HostContext& context) {
  const auto text = host_text(context);
  if (const Errno* const error = error_of(text)) return context.error32(*error);
  const u32 to = context.arg_u32(3);
  const u32 count = std::min(context.arg_u32(4), static_cast<u32>(max_addresses));
  if (!context.memory(to, count * sizeof(GuestAddress))) return context.error32(Errno::fault);
  const auto finish = [to, count](HostContext& later, const Outcome<std::vector<Address>>& found) {
    if (const Errno* const error = error_of(found)) return later.error32(*error);
    const auto& addresses = std::get<0>(found);
    const u32 number = std::min(count, static_cast<u32>(addresses.size()));
    for (u32 i = 0; i < number; ++i) {
      const u32 at = to + i * static_cast<u32>(sizeof(GuestAddress));
      if (put_address(later, at, {addresses[i], 0}) != Errno::success) {
        return later.error32(Errno::fault);
      }
    }
    return later.result_i32(static_cast<i32>(number));
  };
  const std::string& host = std::get<std::string>(text);
  if (const auto address = net::parse_address(host)) {
    return finish(context, Outcome<std::vector<Address>>(std::vector{*address}));
  }
  const auto name = net::canonical_name(host);
  const auto network = object_behind<Network>(context);
  if (!name) {
    // Nobody means a host by nothing: it is how programs find the network's handle.
    if (!host.empty()) network->refused_lookup(host, no_address);
    return context.error32(Errno::inval);
  }
  if (!net::is_local_name(*name) && !network->allows_resolving(*name)) {
    return context.error32(Errno::acces);
  }
  return resolve(environment, context, *network, *name, deadline_in(context.arg_i64(5)), finish);
}

}  // namespace atollvm::host
