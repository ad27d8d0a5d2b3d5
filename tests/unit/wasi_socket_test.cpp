// WASI: listeners and their connections.
#include <string.h>

#include "stdlib/host/socket.hpp"
#include "stdlib/wasi/support.hpp"
#include "tests/support/wasi_guest.hpp"

using namespace atollvm;
using namespace atollvm::test;
using namespace atollvm::wasi;
using Status = runtime::HostResult::Status;

namespace {

constexpr u32 result_at = WasiGuest::result_at;
constexpr u32 flags_at = WasiGuest::result_at + 8;
constexpr u32 vectors_at = WasiGuest::vectors_at;
constexpr u32 data_at = WasiGuest::data_at;
constexpr i64 end = WasiGuest::end;
constexpr Errno success = Errno::success;
constexpr u32 nonblock = flag_nonblock;
constexpr u64 listener_base =
    right_fd_fdstat_set_flags | right_fd_filestat_get | right_poll_fd_readwrite | right_sock_accept;
constexpr u64 connection_base = right_fd_read | right_fd_write | right_fd_seek | right_fd_tell |
                                right_fd_fdstat_set_flags | right_fd_filestat_get |
                                right_poll_fd_readwrite | right_sock_shutdown;

struct SocketGuest : WasiGuest {
  std::shared_ptr<net::Network> network = std::make_shared<net::Network>(net::Rules());
  std::shared_ptr<net::Socket> socket;
  i64 listener;

  SocketGuest() {
    auto made = net::listen(network, *net::parse_endpoint("127.0.0.1:0"), 10);
    socket = std::get<0>(std::move(made));
    listener = insert({std::make_shared<host::Listener>(socket), host::listener_rights});
  }
  // A client of the test's own.
  [[nodiscard]] std::shared_ptr<net::Socket> client() const {
    auto made = net::connect(network, std::get<net::Endpoint>(socket->local()));
    return std::get<0>(std::move(made));
  }
  Errno wait() {
    runtime::HostResult ended = runtime::HostResult::pending();
    while (ended.status == Status::pending) {
      while (!process->ready()) loop.run_once(true);
      ended = process->complete(window);
    }
    REQUIRE(ended.status == Status::value);
    return static_cast<Errno>(window[0]);
  }
  Errno receive(i64 fd, u32 size, u32 flags = 0) {
    vectors({{data_at, size}});
    return (*this)("sock_recv", {fd, vectors_at, 1, flags, result_at, flags_at});
  }
  Errno send(i64 fd, std::string_view bytes, u32 flags = 0) {
    put(data_at, bytes);
    vectors({{data_at, static_cast<u32>(bytes.size())}});
    return (*this)("sock_send", {fd, vectors_at, 1, flags, result_at});
  }
  i64 accept(u32 flags = 0) {
    REQUIRE((*this)("sock_accept", {listener, flags, result_at}) == success);
    return value();
  }
};

void write(net::Socket& socket, std::string_view text) {
  const std::vector<u8> bytes(text.begin(), text.end());
  REQUIRE(std::get<u32>(socket.write(bytes)) == text.size());
}

std::string read(net::Socket& socket) {
  std::vector<u8> bytes(100);
  vfs::Outcome<u32> size = Errno::again;
  while (host::must_wait(size)) size = socket.read(bytes);
  REQUIRE(std::holds_alternative<u32>(size));
  return {bytes.begin(), bytes.begin() + std::get<u32>(size)};
}

}  // namespace

TEST_CASE("wasi sockets: what they are") {
  SocketGuest guest;
  const auto listener = guest.fdstat(guest.listener);
  CHECK(listener.type == 6);
  CHECK(listener.base == listener_base);
  CHECK(listener.inheriting == connection_base);
  const auto client = guest.client();
  const i64 fd = guest.accept(nonblock);
  const auto connection = guest.fdstat(fd);
  CHECK(connection.type == 6);
  CHECK(connection.flags == nonblock);
  CHECK(connection.base == connection_base);
  CHECK(guest.process->handles().find(static_cast<u32>(fd))->rights ==
        (host::connection_rights | cap::right_append));
  for (const i64 each : {guest.listener, fd}) {
    CHECK(guest("fd_filestat_get", {each, data_at}) == success);
    CHECK(guest.number<u8>(data_at + 16) == 6);
    CHECK(guest("fd_prestat_get", {each, data_at}) == Errno::badf);
    CHECK(guest("fd_sync", {each}) == Errno::badf);
  }
  CHECK(guest("fd_seek", {fd, 0, 0, result_at}) == Errno::spipe);
  CHECK(guest("fd_read", {guest.listener, 0, 0, result_at}) == Errno::badf);
  CHECK(guest("fd_renumber", {fd, guest.listener}) == success);
  CHECK(guest.send(guest.listener, "moved") == success);
  CHECK(read(*client) == "moved");
  CHECK(guest("fd_close", {guest.listener}) == success);
  CHECK(read(*client).empty());
}

TEST_CASE("wasi sockets: receiving and sending") {
  SocketGuest guest;
  CHECK(guest.start("sock_accept", {guest.listener, 0, result_at}).status == Status::pending);
  const auto client = guest.client();
  REQUIRE(guest.wait() == success);
  const i64 fd = guest.value();
  CHECK(guest.fdstat(fd).flags == 0);

  guest.vectors({{data_at, 10}});
  CHECK(guest.start("sock_recv", {fd, vectors_at, 1, 0, result_at, flags_at}).status ==
        Status::pending);
  write(*client, "hello");
  guest.set<u16>(flags_at, 0xffff);
  CHECK(guest.wait() == success);
  CHECK(guest.read_text() == "hello");
  CHECK(guest.number<u16>(flags_at) == 0);

  write(*client, "again");
  for (int i = 0; i < 2; ++i) {
    CHECK(guest.receive(fd, 3, receive_peek) == success);
    CHECK(guest.read_text() == "aga");
  }
  CHECK(guest.receive(fd, 2, receive_peek | receive_wait_all) == success);
  CHECK(guest.receive(fd, 100) == success);
  CHECK(guest.read_text() == "again");

  guest.vectors({{data_at, 3}, {data_at + 100, 4}});
  CHECK(
      guest.start("sock_recv", {fd, vectors_at, 2, receive_wait_all, result_at, flags_at}).status ==
      Status::pending);
  write(*client, "ab");
  guest.loop.run_once(true);
  write(*client, "cdefgh");
  CHECK(guest.wait() == success);
  CHECK(guest.value() == 7);
  CHECK(guest.text(data_at, 3) == "abc");
  CHECK(guest.text(data_at + 100, 4) == "defg");

  CHECK(guest.send(fd, "answer") == success);
  CHECK(guest.value() == 6);
  CHECK(guest.write(fd, "!") == success);
  CHECK(read(*client) == "answer!");
  CHECK(guest("sock_shutdown", {fd, net::shutdown_write}) == success);
  CHECK(read(*client).empty());
  CHECK(guest.send(fd, "x") == Errno::pipe);
  CHECK(client->shutdown(net::shutdown_write) == success);
  CHECK(guest.receive(fd, 100, receive_wait_all) == success);
  CHECK(guest.read_text() == "h");
  CHECK(guest.receive(fd, 100) == success);
  CHECK(guest.value() == 0);
}

TEST_CASE("wasi sockets: mistakes, and not waiting") {
  SocketGuest guest;
  CHECK(guest("fd_fdstat_set_flags", {guest.listener, nonblock}) == success);
  CHECK(guest("sock_accept", {guest.listener, 0, result_at}) == Errno::again);
  const auto client = guest.client();
  CHECK(guest("sock_accept", {guest.listener, 1, result_at}) == Errno::inval);
  CHECK(guest("sock_accept", {guest.listener, 0, end - 3}) == Errno::fault);
  const i64 fd = guest.accept(nonblock);
  CHECK(guest.receive(fd, 1) == Errno::again);
  CHECK(guest.receive(fd, 1, 4) == Errno::inval);
  CHECK(guest.send(fd, "x", 1) == Errno::inval);
  guest.vectors({{data_at, 1}});
  CHECK(guest("sock_recv", {fd, vectors_at, 1, 0, end - 3, flags_at}) == Errno::fault);
  CHECK(guest("sock_recv", {fd, vectors_at, 1, 0, result_at, end - 1}) == Errno::fault);
  CHECK(guest("sock_send", {fd, end - 4, 1, 0, result_at}) == Errno::fault);
  CHECK(guest("sock_accept", {fd, 0, result_at}) == Errno::notcapable);
  CHECK(guest.receive(guest.listener, 1) == Errno::notconn);
  CHECK(guest.send(guest.listener, "x") == Errno::notconn);
  CHECK(guest("sock_shutdown", {guest.listener, 1}) == Errno::notconn);
  for (const i64 how : {0, 4, -1}) CHECK(guest("sock_shutdown", {fd, how}) == Errno::inval);
}

TEST_CASE("wasi sockets: rights") {
  SocketGuest guest;
  const auto client = guest.client();
  CHECK(guest("fd_fdstat_set_rights", {guest.listener, static_cast<i64>(listener_base),
                                       right_fd_read | right_sock_shutdown}) == success);
  const i64 fd = guest.accept();
  CHECK(guest.fdstat(fd).base == (right_fd_read | right_sock_shutdown));
  CHECK(guest.send(fd, "x") == Errno::notcapable);
  CHECK(guest.write(fd, "x") == Errno::notcapable);
  CHECK(guest("sock_shutdown", {fd, 2}) == Errno::notcapable);
  CHECK(guest("sock_shutdown", {fd, 1}) == success);
  CHECK(guest.receive(fd, 1) == success);
  CHECK(guest.value() == 0);
  CHECK(guest("fd_fdstat_set_rights", {guest.listener, right_fd_filestat_get, 0}) == success);
  CHECK(guest("sock_accept", {guest.listener, 0, result_at}) == Errno::notcapable);
  CHECK(guest.process->handles().find(static_cast<u32>(guest.listener))->rights == cap::right_stat);
}

TEST_CASE("wasi sockets: polling") {
  SocketGuest guest;
  constexpr u32 in_at = 1024;
  constexpr u32 out_at = 4096;
  const auto subscribe = [&](u32 index, u8 type, i64 fd) {
    const u32 at = in_at + index * 48;
    memset(guest.memory(at), 0, 48);
    guest.set<u64>(at, index);
    guest.set<u8>(at + 8, type);
    guest.set<u32>(at + 16, static_cast<u32>(fd));
  };
  const auto poll = [&](i64 count) {
    return guest("poll_oneoff", {in_at, out_at, count, result_at});
  };
  const auto event = [&](u32 index) {
    CHECK(guest.number<u16>(out_at + index * 32 + 8) == 0);
    return guest.number<u64>(out_at + index * 32);
  };
  subscribe(0, 1, guest.listener);
  CHECK(guest.start("poll_oneoff", {in_at, out_at, 1, result_at}).status == Status::pending);
  const auto client = guest.client();
  CHECK(guest.wait() == success);
  CHECK(guest.value() == 1);
  CHECK(event(0) == 0);
  const i64 fd = guest.accept();
  subscribe(1, 1, fd);
  subscribe(2, 2, fd);
  CHECK(poll(3) == success);
  CHECK(guest.value() == 1);
  CHECK(event(0) == 2);
  write(*client, "hello");
  CHECK(poll(2) == success);
  CHECK(guest.value() == 1);
  CHECK(event(0) == 1);
  CHECK(guest.number<u64>(out_at + 16) == 1);  // at least
  const auto second = guest.client();
  CHECK(poll(3) == success);
  CHECK(guest.value() == 3);
  CHECK(guest("fd_fdstat_set_rights", {guest.listener, right_sock_accept, 0}) == success);
  CHECK(poll(1) == success);
  CHECK(guest.number<u16>(out_at + 8) == static_cast<u16>(Errno::notcapable));
}

TEST_CASE("wasi sockets: datagrams") {
  SocketGuest guest;
  const auto any = *net::parse_endpoint("127.0.0.1:0");
  const auto datagrams = [&] { return std::get<0>(net::open_datagrams(guest.network, any)); };
  const auto other = datagrams();
  const auto own = datagrams();
  const i64 fd =
      guest.insert({std::make_shared<host::Datagrams>(own, true), host::datagrams_rights});
  CHECK(guest.fdstat(fd).type == 5);
  CHECK(guest("fd_filestat_get", {fd, data_at}) == success);
  CHECK(guest.number<u8>(data_at + 16) == 5);
  CHECK(guest("sock_accept", {fd, 0, result_at}) == Errno::notsup);
  CHECK(guest.send(fd, "x") == Errno::notconn);
  REQUIRE(own->connect(std::get<net::Endpoint>(other->local())) == success);
  const auto to = std::get<net::Endpoint>(own->local());
  const auto say = [&](std::string_view text) {
    const std::vector<u8> bytes(text.begin(), text.end());
    REQUIRE(std::holds_alternative<u32>(other->send(bytes, to)));
  };
  guest.vectors({{data_at, 3}, {data_at + 100, 4}});
  CHECK(guest.start("sock_recv", {fd, vectors_at, 2, 0, result_at, flags_at}).status ==
        Status::pending);
  say("hello");
  CHECK(guest.wait() == success);
  CHECK(guest.value() == 5);
  CHECK(guest.text(data_at, 3) == "hel");
  CHECK(guest.text(data_at + 100, 2) == "lo");
  say("cut off");
  CHECK(guest.receive(fd, 3, receive_peek) == success);
  CHECK(guest.read_text() == "cut");
  CHECK(guest.number<u16>(flags_at) == 1);
  CHECK(guest.read(fd, 100) == success);
  CHECK(guest.read_text() == "cut off");
  say("");
  say("last");
  CHECK(guest.receive(fd, 100) == success);
  CHECK(guest.value() == 0);
  CHECK(guest.receive(fd, 0) == success);
  CHECK(guest("fd_fdstat_set_flags", {fd, nonblock}) == success);
  CHECK(guest.receive(fd, 100) == Errno::again);
  CHECK(guest.send(fd, "answer") == success);
  CHECK(guest.value() == 6);
  CHECK(guest.send(fd, "") == success);
  CHECK(read(*other) == "answer");
  CHECK(read(*other).empty());
  guest.vectors({{0, 65536}});
  CHECK(guest("sock_send", {fd, vectors_at, 1, 0, result_at}) == Errno::msgsize);
}

TEST_CASE("wasi sockets: timeouts") {
  SocketGuest guest;
  REQUIRE(guest.socket->set(net::Option::receive_timeout, 20) == success);
  CHECK(guest("sock_accept", {guest.listener, 0, result_at}) == Errno::again);
  const auto client = guest.client();
  const i64 fd = guest.accept();
  auto& connection = *guest.process->handles().find(static_cast<u32>(fd))->object;
  REQUIRE(host::socket_of(connection)->set(net::Option::receive_timeout, 20) == success);
  const u64 begin = loop::monotonic_ns();
  CHECK(guest.receive(fd, 1) == Errno::again);
  CHECK(loop::monotonic_ns() - begin >= 20'000'000);
  CHECK(guest.read(fd, 1) == Errno::again);
  write(*client, "x");
  CHECK(guest.read(fd, 1) == success);
}
