// Guests on a virtual network: the same host calls as on the host's.
#include <chrono>
#include <thread>

#include "stdlib/host/socket.hpp"
#include "stdlib/vnet/live.hpp"
#include "tests/support/guest.hpp"
#include "vnet.hpp"

using namespace atollvm;
using namespace atollvm::test;
using cap::Errno;
using Status = runtime::HostResult::Status;

namespace {

constexpr i64 text_at = 1024;
constexpr i64 address_at = 2048;
constexpr i64 data_at = 32768;
constexpr i64 second = 1'000'000'000;

// Two machines on one switch, another one behind a router.
struct Net {
  std::shared_ptr<vnet::Live> live = std::make_shared<vnet::Live>(1);
  std::shared_ptr<vnet::Attachment> near, other, far;

  explicit Net(const vnet::StackLimits& limits = {}) {
    const vnet::Live::Turn turn(*live);
    vnet::Switch& lan = *tests::made(
        turn->add_switch("lan", {tests::prefix("10.0.0.0", 24), tests::prefix("fd00::", 64)}));
    vnet::Switch& wan = *tests::made(turn->add_switch("wan", {tests::prefix("10.9.0.0", 24)}));
    vnet::Router& router = *tests::made(turn->add_router("router"));
    tests::made(
        turn->attach(router, lan, std::vector{tests::at("10.0.0.254"), tests::at("fd00::fe")}));
    tests::made(turn->attach(router, wan, std::vector{tests::at("10.9.0.254")}));
    const auto join = [&](std::string_view name, vnet::Switch& at, std::string_view via) {
      vnet::Stack& stack = *tests::made(turn->add_stack(name, limits));
      tests::made(turn->attach(stack, at));
      tests::made(turn->add_route(stack, tests::prefix("0.0.0.0", 0), tests::at(via)));
      return std::make_shared<vnet::Attachment>(live, stack);
    };
    near = join("near", lan, "10.0.0.254");
    other = join("other", lan, "10.0.0.254");
    far = join("far", wan, "10.9.0.254");
  }
};

struct VirtualGuest : Guest {
  std::vector<std::string> lines;  // of the log
  std::shared_ptr<net::Network> network;
  i64 handle = 0;

  explicit VirtualGuest(const std::shared_ptr<vnet::Attachment>& at,
                        std::string_view rules = net::all_rules) {
    auto parsed = net::Rules::parse(rules);
    REQUIRE(parsed.ok());
    network = std::make_shared<net::Network>(
        *parsed, [this](std::string_view line) { lines.emplace_back(line); }, at);
    handle = grant(network, net::network_rights);
    process->on_ready([this] { loop.wake(); });
  }

  i64 wait(std::string_view name) {
    while (!process->ready()) loop.run_once(true);
    runtime::HostResult ended = process->complete(window);
    while (ended.status == Status::pending) {
      while (!process->ready()) loop.run_once(true);
      ended = process->complete(window);
    }
    REQUIRE(ended.status == Status::value);
    return result(name);
  }
  i64 connect(std::string_view host, i64 port, i64 timeout = 5 * second) {
    put(text_at, host);
    return (*this)("tcp_connect", {handle, text_at, static_cast<i64>(host.size()), port, timeout});
  }
  i64 listen(std::string_view host, i64 port, i64 backlog = 10) {
    put(text_at, host);
    return (*this)("tcp_listen", {handle, text_at, static_cast<i64>(host.size()), port, backlog});
  }
  i64 accept(i64 listener, i64 timeout = 5 * second) {
    return (*this)("tcp_accept", {listener, address_at, timeout});
  }
  i64 open_datagrams(std::string_view host, i64 port) {
    put(text_at, host);
    return (*this)("udp_open", {handle, text_at, static_cast<i64>(host.size()), port});
  }
  void put_address(std::string_view host, u16 port) const {
    const auto parsed = net::parse_address(host);
    REQUIRE(parsed.has_value());
    const u32 words[2] = {static_cast<u32>(parsed->family), port};
    memcpy(memory(address_at), words, sizeof words);
    memcpy(memory(address_at + 8), parsed->bytes.data(), 16);
  }
  i64 send(i64 socket, std::string_view bytes, std::string_view host, u16 port) {
    put(data_at, bytes);
    put_address(host, port);
    return (*this)("udp_send", {socket, data_at, static_cast<i64>(bytes.size()), address_at});
  }
  [[nodiscard]] std::string address(u32 at = address_at) const {
    const bool is_v4 = number<u32>(at) == 4;
    const auto* const bytes = memory(at + 8);
    return to_text(net::Endpoint{is_v4 ? net::make_v4(bytes) : net::make_v6(bytes),
                                 static_cast<u16>(number<u32>(at + 4))});
  }
  i64 write(i64 stream, std::string_view bytes) {
    put(data_at, bytes);
    return (*this)("write", {stream, data_at, static_cast<i64>(bytes.size())});
  }
  std::string read(i64 stream, i64 most = 1000) {
    const i64 size = (*this)("read", {stream, data_at, most});
    REQUIRE(size >= 0);
    return text(data_at, static_cast<usize>(size));
  }
};

}  // namespace

TEST_CASE("vnet sockets: a connection on a switch, to its end") {
  Net net;
  VirtualGuest server(net.near), client(net.other);
  const i64 listener = server.listen("0.0.0.0", 80);
  REQUIRE(listener > 0);
  CHECK(server.start("tcp_accept", {listener, address_at, -1}).status == Status::pending);
  const i64 from = client.connect("near", 80);
  REQUIRE(from > 0);
  const i64 to = server.wait("tcp_accept");
  REQUIRE(to > 0);
  CHECK(server.address().starts_with("10.0.0.2:"));
  CHECK(client.write(from, "hello") == 5);
  CHECK(server.read(to) == "hello");
  CHECK(server.start("read", {to, data_at, 100}).status == Status::pending);
  CHECK(client.write(from, "again") == 5);
  CHECK(server.wait("read") == 5);
  CHECK(client("socket_address", {from, 1, address_at}) == 0);
  CHECK(client.address() == "10.0.0.1:80");
  CHECK(client("socket_shutdown", {from, net::shutdown_write}) == 0);
  CHECK(server.read(to).empty());
  CHECK(server.write(to, "answer") == 6);
  CHECK(client.read(from) == "answer");
  CHECK(server("close", {to}) == 0);
  CHECK(client.read(from).empty());
  CHECK(client("close", {from}) == 0);
  CHECK(server.network->sockets() == 1);
  CHECK(client.network->sockets() == 0);
  CHECK(client.connect("near", 81) == -Errno::connrefused);
}

TEST_CASE("vnet sockets: writing waits until there is room, by either path") {
  for (const bool has_fault : {false, true}) {
    Net net;
    if (has_fault) {
      const vnet::Live::Turn turn(*net.live);
      vnet::LinkSettings slow;
      slow.latency = 1'000'000;
      turn->set_link(*net.near->stack()->ports()[0], slow, slow);
    }
    VirtualGuest server(net.near), client(net.other);
    const i64 listener = server.listen("0.0.0.0", 80);
    const i64 from = client.connect("10.0.0.1", 80);
    const i64 to = server.accept(listener);
    REQUIRE(from > 0);
    REQUIRE(to > 0);
    u64 sent = 0;
    while (true) {
      const auto begun = client.start("write", {from, data_at, 20'000});
      if (begun.status == Status::pending) break;
      const i64 count = client.result("write");
      REQUIRE(count > 0);
      sent += static_cast<u64>(count);
      REQUIRE(sent < 1'000'000);
    }
    u64 taken = 0;
    while (taken < sent) taken += server.read(to, 30'000).size();
    const i64 last = client.wait("write");
    CHECK(last > 0);
    while (taken < sent + static_cast<u64>(last)) taken += server.read(to, 30'000).size();
    CHECK(taken == sent + static_cast<u64>(last));
  }
}

TEST_CASE("vnet sockets: datagrams, names and IPv6") {
  Net net;
  VirtualGuest server(net.near), client(net.other);
  const i64 at = server.open_datagrams("::", 53);
  REQUIRE(at > 0);
  CHECK(server.start("udp_receive", {at, data_at, 100, address_at, -1}).status == Status::pending);
  const i64 from = client.open_datagrams("::", 0);
  REQUIRE(from > 0);
  REQUIRE(client.send(from, "question", "fd00::1", 53) == 8);
  CHECK(server.wait("udp_receive") == 8);
  CHECK(server.text(data_at, 8) == "question");
  CHECK(server.address().starts_with("[fd00::2]:"));
  client.put(text_at, "near");
  CHECK(client("host_lookup", {client.handle, text_at, 4, address_at, 4, second}) == 2);
  CHECK(client.address() == "10.0.0.1:0");
  client.put(text_at, "none");
  CHECK(client("host_lookup", {client.handle, text_at, 4, address_at, 4, second}) == -Errno::noent);
  CHECK(client("udp_receive", {from, data_at, 100, 0, 1'000'000}) == -Errno::timedout);
}

TEST_CASE("vnet sockets: rules hold, and refusals are told") {
  Net net;
  VirtualGuest server(net.near);
  VirtualGuest client(net.other, "connect:near:80,connect:10.9.0.0/24:1-99");
  CHECK(server.listen("0.0.0.0", 80) > 0);
  CHECK(client.connect("near", 80) > 0);
  CHECK(client.connect("near", 81) == -Errno::acces);
  CHECK(client.connect("10.0.0.1", 80) == -Errno::acces);
  CHECK(client.connect("10.9.0.1", 7) == -Errno::connrefused);
  CHECK(client.listen("0.0.0.0", 80) == -Errno::acces);
  CHECK(client.lines.size() == 3);
  CHECK(client.connect("224.0.0.1", 80) == -Errno::acces);
  // The host is not there.
  CHECK(server.connect("127.0.0.1", 80) > 0);
  CHECK(server.connect("192.0.2.1", 80, second / 20) == -Errno::netunreach);
}

TEST_CASE("vnet sockets: step by step, as BSD has it") {
  Net net;
  VirtualGuest server(net.near), client(net.far);
  const i64 listener = server("socket_open", {server.handle, 4, 1});
  REQUIRE(listener > 0);
  server.put_address("0.0.0.0", 0);
  CHECK(server("socket_bind", {listener, address_at}) == 0);
  CHECK(server("socket_option_get", {listener, static_cast<i64>(net::Option::listens)}) == 0);
  CHECK(server("socket_address", {listener, 0, address_at}) == 0);
  const auto port = server.number<u32>(address_at + 4);
  CHECK(port >= 49152);
  CHECK(client.connect("10.0.0.1", port) == -Errno::connrefused);
  CHECK(server("socket_listen", {listener, 5}) == 0);
  CHECK(server("socket_option_get", {listener, static_cast<i64>(net::Option::listens)}) == 1);
  const i64 from = client("socket_open", {client.handle, 4, 1});
  CHECK(client("socket_option", {from, static_cast<i64>(net::Option::nodelay), 1}) == 0);
  client.put_address("10.0.0.1", static_cast<u16>(port));
  const i64 begun = client("socket_connect", {from, address_at, text_at, 0, 0});
  CHECK((begun == 0 || begun == -Errno::inprogress));
  CHECK(client("socket_option_get", {from, static_cast<i64>(net::Option::nodelay)}) == 1);
  const i64 to = server.accept(listener);
  REQUIRE(to > 0);
  CHECK(server.address().starts_with("10.9.0.1:"));
  CHECK(client("socket_connect", {from, address_at, text_at, 0, -1}) == 0);
  CHECK(client("socket_connect", {from, address_at, text_at, 0, -1}) == -Errno::isconn);
  CHECK(server.write(to, "x") == 1);
  CHECK(client.read(from) == "x");
}

TEST_CASE("vnet sockets: partitions while they wait; a machine goes") {
  Net net;
  VirtualGuest server(net.near), client(net.other);
  const i64 listener = server.listen("0.0.0.0", 80);
  const i64 from = client.connect("near", 80);
  const i64 to = server.accept(listener);
  CHECK(client.start("read", {from, data_at, 100}).status == Status::pending);
  {
    const vnet::Live::Turn turn(*net.live);
    vnet::Node* const one[] = {net.near->stack()};
    vnet::Node* const two[] = {net.other->stack()};
    turn->partition(one, two);
  }
  CHECK(server.write(to, "lost, and sent again") == 20);
  CHECK_FALSE(client.process->ready());
  {
    const vnet::Live::Turn turn(*net.live);
    turn->heal();
  }
  CHECK(client.wait("read") == 20);
  CHECK(client.start("read", {from, data_at, 100}).status == Status::pending);
  net.other->remove();
  CHECK(client.wait("read") == -Errno::connreset);
  CHECK(client("tcp_connect", {client.handle, text_at, 4, 80, second}) == -Errno::noent);
  CHECK(client.connect("10.0.0.1", 80) == -Errno::netunreach);
  CHECK(client("close", {from}) == 0);
  CHECK(server.start("tcp_accept", {listener, address_at, -1}).status == Status::pending);
  net.near->remove();
  CHECK(server.wait("tcp_accept") < 0);
}

TEST_CASE("vnet sockets: buffers are charged, and sockets counted") {
  Net net;
  cap::AccountLimits limits;
  limits.memory = 300 << 10;
  const auto account = std::make_shared<cap::Account>(limits);
  net.other->charge_to(account);
  VirtualGuest server(net.near), client(net.other);
  REQUIRE(server.listen("0.0.0.0", 80) > 0);
  const i64 first = client.connect("near", 80);
  CHECK(first > 0);
  CHECK(client.connect("near", 80) > 0);
  CHECK(client.connect("near", 80) == -Errno::nomem);
  CHECK(client("close", {first}) == 0);
  CHECK(client.connect("near", 80) > 0);
  client.process.reset();
  CHECK(account->memory.used() == 0);
}

TEST_CASE("vnet sockets: who waits may end first") {
  Net net;
  VirtualGuest server(net.near), client(net.other);
  const i64 listener = server.listen("0.0.0.0", 80);
  CHECK(server.start("tcp_accept", {listener, address_at, second * 60}).status == Status::pending);
  server.process.reset();
  CHECK(client.connect("near", 80) == -Errno::connrefused);
}
