// Networks as guests use them: connections, listeners, datagrams, and what rules refuse.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "stdlib/host/socket.hpp"
#include "tests/support/guest.hpp"

using namespace atollvm;
using namespace atollvm::test;
using cap::Errno;
using Status = runtime::HostResult::Status;

namespace {

constexpr i64 text_at = 1024;
constexpr i64 address_at = 2048;
constexpr i64 data_at = 32768;
constexpr i64 second = 1'000'000'000;

struct NetGuest : Guest {
  std::vector<std::string> lines;  // of the log
  std::shared_ptr<net::Network> network;
  i64 handle = 0;

  explicit NetGuest(std::string_view rules) {
    auto parsed = net::Rules::parse(rules);
    REQUIRE(parsed.ok());
    network = std::make_shared<net::Network>(
        *parsed, [this](std::string_view line) { lines.emplace_back(line); });
    handle = grant(network, net::network_rights);
  }

  i64 connect(std::string_view host, i64 port, i64 timeout = 5 * second) {
    put(text_at, host);
    return (*this)("tcp_connect", {handle, text_at, static_cast<i64>(host.size()), port, timeout});
  }
  i64 listen(std::string_view host, i64 port) {
    put(text_at, host);
    return (*this)("tcp_listen", {handle, text_at, static_cast<i64>(host.size()), port, 10});
  }
  i64 open_datagrams(std::string_view host, i64 port) {
    put(text_at, host);
    return (*this)("udp_open", {handle, text_at, static_cast<i64>(host.size()), port});
  }
  i64 lookup(std::string_view name, i64 timeout = 5 * second) {
    put(text_at, name);
    return (*this)("host_lookup",
                   {handle, text_at, static_cast<i64>(name.size()), address_at, 4, timeout});
  }
  i64 accept(i64 listener, i64 timeout = 5 * second) {
    return (*this)("tcp_accept", {listener, address_at, timeout});
  }
  // The address that a call has left.
  [[nodiscard]] std::string address(u32 at = address_at) const {
    const bool is_v4 = number<u32>(at) == 4;
    const auto* const bytes = memory(at + 8);
    return to_text(net::Endpoint{is_v4 ? net::make_v4(bytes) : net::make_v6(bytes),
                                 static_cast<u16>(number<u32>(at + 4))});
  }
  [[nodiscard]] i64 port() const { return number<u32>(address_at + 4); }
  i64 port_of(i64 socket) {
    REQUIRE((*this)("socket_address", {socket, 0, address_at}) == 0);
    return port();
  }
  void put_address(std::string_view host, u16 port) const {
    const auto parsed = net::parse_address(host);
    REQUIRE(parsed.has_value());
    const u32 words[2] = {static_cast<u32>(parsed->family), port};
    memcpy(memory(address_at), words, sizeof words);
    memcpy(memory(address_at + 8), parsed->bytes.data(), 16);
  }
};

// A socket of the test's own on 127.0.0.1.
struct HostSocket {
  int fd;
  u16 port = 0;

  explicit HostSocket(int type) : fd(socket(AF_INET, type | SOCK_CLOEXEC, 0)) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    REQUIRE(bind(fd, reinterpret_cast<sockaddr*>(&at), size) == 0);
    REQUIRE(getsockname(fd, reinterpret_cast<sockaddr*>(&at), &size) == 0);
    port = ntohs(at.sin_port);
  }
  ~HostSocket() { close(fd); }
  HostSocket(const HostSocket&) = delete;
  HostSocket& operator=(const HostSocket&) = delete;

  void send_to(u16 other, std::string_view text) const {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons(other);
    REQUIRE(sendto(fd, text.data(), text.size(), 0, reinterpret_cast<sockaddr*>(&to), sizeof to) ==
            static_cast<ssize_t>(text.size()));
  }
};

}  // namespace

TEST_CASE("net: a connection is a stream with two ends") {
  NetGuest guest("listen:127.0.0.1:0,connect:127.0.0.1:*");
  const i64 listener = guest.listen("127.0.0.1", 0);
  REQUIRE(listener >= 0);
  const i64 port = guest.port_of(listener);
  CHECK(guest.address() == "127.0.0.1:" + std::to_string(port));
  CHECK(guest.accept(listener, 0) == -Errno::timedout);
  const i64 client = guest.connect("127.0.0.1", port);
  REQUIRE(client >= 0);
  const i64 server = guest.accept(listener);
  REQUIRE(server >= 0);
  const i64 from = guest.port();
  CHECK(guest.port_of(client) == from);
  CHECK(guest("socket_address", {client, 1, address_at}) == 0);
  CHECK(guest.port() == port);
  CHECK(guest("socket_address", {client, 2, address_at}) == -Errno::inval);
  CHECK(guest("socket_address", {listener, 1, address_at}) == -Errno::notconn);
  for (const i64 each : {client, server}) {
    CHECK(guest("handle_rights", {each}) == host::connection_rights);
  }

  REQUIRE(guest.start("read", {server, data_at, 100}).status == Status::pending);
  guest.loop.run_once(false);
  CHECK(!guest.process->ready());
  const auto object = guest.process->handles().find(static_cast<u32>(client))->object;
  const u8 early[] = {'e', 'a', 'r', 'l', 'y'};
  CHECK(std::get<u32>(static_cast<host::Stream&>(*object).write(early, vfs::Wait::never)) == 5);
  while (!guest.process->ready()) guest.loop.run_once(true);
  CHECK(guest.process->complete(guest.window).status == Status::value);
  CHECK(guest.result("read") == 5);
  CHECK(guest.text(data_at, 5) == "early");
  guest.put(data_at, "hello");
  CHECK(guest("write", {client, data_at, 5}) == 5);
  CHECK(guest("read", {server, data_at + 100, 100}) == 5);
  CHECK(guest.text(data_at + 100, 5) == "hello");
  CHECK(guest("socket_option", {client, 1, 1}) == 0);
  CHECK(guest("socket_option", {client, 2, 30}) == 0);
  CHECK(guest("socket_option", {client, 2, 0}) == 0);
  for (const auto& [option, value] :
       {std::pair(0, 1), {7, 1}, {8, 1}, {9, 1}, {1, 2}, {2, -1}, {3, -1}, {6, -1}, {-1, 0}}) {
    CHECK(guest("socket_option", {client, option, value}) == -Errno::inval);
  }
  CHECK(guest("stat", {client, data_at}) == 0);
  CHECK(guest.number<u8>(data_at + 16) == 6);
  CHECK(guest("seek", {client, 0, 0}) == -Errno::spipe);

  // Half closed: the other direction goes on.
  CHECK(guest("socket_shutdown", {client, 0}) == -Errno::inval);
  CHECK(guest("socket_shutdown", {client, 4}) == -Errno::inval);
  CHECK(guest("socket_shutdown", {client, 2}) == 0);
  CHECK(guest("read", {server, data_at, 100}) == 0);
  CHECK(guest("write", {client, data_at, 1}) == -Errno::pipe);
  CHECK(guest("write", {server, data_at, 3}) == 3);
  CHECK(guest("read", {client, data_at, 100}) == 3);
  CHECK(guest("close", {server}) == 0);
  CHECK(guest("read", {client, data_at, 100}) == 0);
  CHECK(guest.lines.empty());
}

TEST_CASE("net: reading and writing with a limit of time") {
  NetGuest guest("listen:127.0.0.1:0,connect:127.0.0.1:*");
  const i64 listener = guest.listen("127.0.0.1", 0);
  REQUIRE(listener >= 0);
  const i64 client = guest.connect("127.0.0.1", guest.port_of(listener));
  const i64 server = guest.accept(listener);
  REQUIRE(server >= 0);
  for (const i64 timeout : {i64{0}, i64{1}, i64{10'000'000}}) {
    CHECK(guest("read_within", {server, data_at, 10, timeout}) == -Errno::timedout);
  }
  CHECK(guest("read_within", {server, data_at, 0, 0}) == 0);
  CHECK(guest("read_within", {server, i64{0xffffffff}, 10, 0}) == -Errno::fault);
  CHECK(guest("write_within", {server, i64{0xffffffff}, 10, 0}) == -Errno::fault);
  guest.put(data_at, "hello");
  CHECK(guest("write_within", {client, data_at, 5, 0}) == 5);
  CHECK(guest("read_within", {server, data_at + 100, 3, 5 * second}) == 3);
  CHECK(guest("read_within", {server, data_at + 100, 100, -1}) == 2);

  // What comes in time, and ends the wait.
  REQUIRE(guest.start("read_within", {server, data_at, 100, 60 * second}).status ==
          Status::pending);
  guest.loop.run_once(false);
  CHECK(!guest.process->ready());
  auto object = guest.process->handles().find(static_cast<u32>(client))->object;
  const u8 early[] = {'e', 'a', 'r', 'l', 'y'};
  CHECK(std::get<u32>(static_cast<host::Stream&>(*object).write(early, vfs::Wait::never)) == 5);
  while (!guest.process->ready()) guest.loop.run_once(true);
  CHECK(guest.process->complete(guest.window).status == Status::value);
  CHECK(guest.result("read_within") == 5);
  CHECK(guest.loop.waiting() == 0);

  object.reset();

  // Nobody reads: sooner or later there is no more room.
  i64 wrote = 1;
  for (int i = 0; i < 100000 && wrote > 0; ++i) {
    wrote = guest("write_within", {client, 0, 60000, 1'000'000});
  }
  CHECK(wrote == -Errno::timedout);
  CHECK(guest("close", {client}) == 0);
  while (wrote != 0) {
    wrote = guest("read_within", {server, 0, 60000, 5 * second});
    REQUIRE(wrote >= 0);
  }
}

TEST_CASE("net: IPv6, and IPv4 in its clothes") {
  NetGuest guest("listen:[::1]:0,listen:127.0.0.1:0,connect:[::1]:*,connect:127.0.0.1:*");
  const i64 fourth = guest.listen("::ffff:127.0.0.1", 0);
  REQUIRE(fourth >= 0);
  const i64 port = guest.port_of(fourth);
  CHECK(guest.address() == "127.0.0.1:" + std::to_string(port));
  CHECK(guest.connect("::ffff:127.0.0.1", port) >= 0);
  CHECK(guest("socket_address", {fourth, 0, address_at}) == 0);
  const i64 sixth = guest.listen("::1", 0);
  if (sixth == -Errno::addrnotavail || sixth == -Errno::afnosupport) return;  // none here
  REQUIRE(sixth >= 0);
  const i64 other = guest.port_of(sixth);
  const i64 client = guest.connect("::1", other);
  REQUIRE(client >= 0);
  CHECK(guest.accept(sixth) >= 0);
  CHECK(guest.address().starts_with("[::1]:"));
}

TEST_CASE("net: what no rule allows is refused, and told with the reason") {
  NetGuest guest("connect:10.0.0.0/8:443,connect:example.org:443,udp:10.0.0.0/8:53");
  CHECK(guest.connect("127.0.0.1", 443) == -Errno::acces);
  CHECK(guest.connect("10.0.0.1", 80) == -Errno::acces);
  CHECK(guest.connect("::ffff:127.0.0.1", 443) == -Errno::acces);
  CHECK(guest.connect("::1", 443) == -Errno::acces);
  CHECK(guest.connect("169.254.169.254", 443) == -Errno::acces);
  CHECK(guest.connect("example.com", 443) == -Errno::acces);
  CHECK(guest.connect("example.org", 80) == -Errno::acces);
  CHECK(guest.connect("localhost", 443) == -Errno::acces);
  CHECK(guest.listen("127.0.0.1", 443) == -Errno::acces);
  CHECK(guest.listen("0.0.0.0", 0) == -Errno::acces);
  CHECK(guest.lookup("example.net") == -Errno::acces);
  CHECK(guest.open_datagrams("0.0.0.0", 53) == -Errno::acces);
  CHECK(guest.open_datagrams("127.0.0.1", 0) == -Errno::acces);
  const i64 datagrams = guest.open_datagrams("0.0.0.0", 0);
  guest.put_address("127.0.0.1", 53);
  CHECK(guest("udp_send", {datagrams, data_at, 1, address_at}) == -Errno::acces);
  guest.put_address("10.0.0.1", 0);
  CHECK(guest("udp_send", {datagrams, data_at, 1, address_at}) == -Errno::acces);
  REQUIRE(guest.lines.size() == 16);
  CHECK(guest.lines[0] == "refused to connect to 127.0.0.1:443: no rule allows it");
  CHECK(guest.lines[2] == "refused to connect to 127.0.0.1:443: no rule allows it");
  CHECK(guest.lines[4] ==
        "refused to connect to 169.254.169.254:443: no rule names this address, which is "
        "link-local");
  CHECK(guest.lines[5] ==
        "refused to connect to example.com:443: no rule has this name and port, and there is no "
        "rule dns");
  CHECK(guest.lines[7] == "refused to connect to 127.0.0.1:443 (localhost): no rule allows it");
  CHECK(guest.lines[11] ==
        "refused to look example.net up: no rule has this name, and "
        "there is no rule dns");
  CHECK(guest.lines[15] == "refused to send datagrams to 10.0.0.1:0: there is no port 0");
  // What is no address, and no name, is nothing that rules are asked about.
  for (const char* const bad : {"", "127.1", "0x7f000001", "0177.0.0.1", "2130706433", "a b",
                                "[::1]", "fe80::1%lo", "127.0.0.1:80"}) {
    CHECK(guest.connect(bad, 443) == -Errno::inval);
    CHECK(guest.listen(bad, 443) == -Errno::inval);
  }
  for (const i64 port : {i64{0}, i64{65536}, i64{-1}, i64{65536 + 443}}) {
    CHECK(guest.connect("10.0.0.1", port) == -Errno::inval);
  }
  CHECK(guest.connect(std::string(255, 'a'), 443) == -Errno::nametoolong);
  REQUIRE(guest.lines.size() == 16 + 2 * 9 + 4);
  CHECK(guest.lines[18] ==
        "refused to connect to \"127.1\", port 443: that is neither an address nor a name");
  CHECK(guest.lines[19].starts_with("refused to listen at \"127.1\", port 443: "));
  CHECK(guest.lines[34] == "refused to connect to \"10.0.0.1\", port 0: there is no such port");
  // The guest's own bytes are harmless in the log.
  CHECK(guest.connect("a\x1b[2J\n\"\\", 443) == -Errno::inval);
  CHECK(guest.lines.back().starts_with(
      "refused to connect to \"a\\x1b[2J\\x0a\\x22\\x5c\", port 443: "));
  CHECK(guest.lookup("::1%lo") == -Errno::inval);
  CHECK(guest.lines.back() ==
        "refused to look \"::1%lo\" up: that is neither an address nor a name");
  // A guest can't fill the log.
  for (u32 i = 0; i < 200; ++i) CHECK(guest.connect("127.0.0.1", 443) == -Errno::acces);
  CHECK(guest.lines.size() == net::Network::max_lines + 1);
  CHECK(guest.lines.back() == "further refusals are not told");
  CHECK(guest.network->sockets() == 1);
}

TEST_CASE("net: a name that resolves to something else each time") {
  HostSocket inside(SOCK_STREAM);
  REQUIRE(listen(inside.fd, 10) == 0);
  const std::string port = std::to_string(inside.port);
  NetGuest guest("connect:example.org:" + port);
  u32 asked = 0;
  std::vector<const char*> answers = {"127.0.0.1"};
  guest.environment.resolve = [&](std::string_view name) {
    CHECK(name == "example.org");
    ++asked;
    std::vector<net::Address> addresses;
    for (const char* const each : answers) addresses.push_back(*net::parse_address(each));
    return addresses;
  };
  CHECK(guest.connect("Example.ORG.", inside.port) == -Errno::acces);
  answers = {"::ffff:127.0.0.1", "0.0.0.0",         "::",      "::1",
             "10.1.1.1",         "169.254.169.254", "fe80::1", "64:ff9b::7f00:1"};
  CHECK(guest.connect("example.org", inside.port) == -Errno::acces);
  // It is resolved once a call: what was checked is what is connected to.
  CHECK(asked == 2);
  CHECK(guest.lines.size() == 9);
  CHECK(guest.lines[0].ends_with(
      "(example.org): the rule for example.org allows public addresses only"));
  answers = {};
  CHECK(guest.connect("example.org", inside.port) == -Errno::noent);

  // Of several addresses those are tried that a rule allows.
  NetGuest both("connect:127.0.0.0/8:" + port + ",dns");
  both.environment.resolve = [](std::string_view) {
    return std::vector{*net::parse_address("10.1.1.1"), *net::parse_address("127.0.0.2"),
                       *net::parse_address("127.0.0.1")};
  };
  const i64 client = both.connect("anything.example", inside.port);
  REQUIRE(client >= 0);
  CHECK(both("socket_address", {client, 1, address_at}) == 0);
  CHECK(both.address() == "127.0.0.1:" + port);
  CHECK(both.lookup("anything.example") == 3);
  CHECK(both.address() == "10.1.1.1:0");
  CHECK(both.address(address_at + 48) == "127.0.0.1:0");
}

TEST_CASE("net: looking names up") {
  NetGuest guest("dns");
  CHECK(guest.lookup("localhost") == 2);
  CHECK(guest.address() == "127.0.0.1:0");
  CHECK(guest.address(address_at + 24) == "[::1]:0");
  CHECK(guest.lookup("192.0.2.1") == 1);
  CHECK(guest.lookup("127.1") == -Errno::inval);
  const i64 unknown = guest.lookup("nosuch.invalid");
  CHECK((unknown == -Errno::noent || unknown == -Errno::again || unknown == -Errno::timedout));
  CHECK(guest("host_lookup", {guest.handle, text_at, 9, Guest::memory_size - 24, 2, 0}) ==
        -Errno::fault);
  // Given up while it is asked.
  guest.put(text_at, "nosuch.invalid");
  REQUIRE(guest.start("host_lookup", {guest.handle, text_at, 14, address_at, 1, -1}).status ==
          Status::pending);
  guest.process.reset();
}

TEST_CASE("net: nobody there, and nobody who answers") {
  HostSocket closed(SOCK_STREAM);
  NetGuest guest("connect:127.0.0.1:*,connect:localhost:*");
  CHECK(guest.connect("127.0.0.1", closed.port) == -Errno::connrefused);
  CHECK(guest.connect("localhost", closed.port) == -Errno::connrefused);
  CHECK(guest.network->sockets() == 0);

  // When no more connections may wait, the host does not answer.
  REQUIRE(listen(closed.fd, 0) == 0);
  i64 last = 0;
  for (u32 i = 0; i < 4 && last >= 0; ++i)
    last = guest.connect("127.0.0.1", closed.port, 100'000'000);
  CHECK(last == -Errno::timedout);
  CHECK(guest.loop.waiting() == 0);
  guest.put(text_at, "127.0.0.1");
  REQUIRE(guest.start("tcp_connect", {guest.handle, text_at, 9, closed.port, -1}).status ==
          Status::pending);
  CHECK(guest.loop.waiting() == 1);
  guest.process.reset();
  CHECK(guest.loop.waiting() == 0);
  CHECK(guest.network->sockets() == 0);
}

TEST_CASE("net: sockets are counted, whoever has them") {
  NetGuest guest("listen:127.0.0.1:0,connect:127.0.0.1:*,connections=3");
  const i64 listener = guest.listen("127.0.0.1", 0);
  const i64 port = guest.port_of(listener);
  const i64 one = guest.connect("127.0.0.1", port);
  const i64 two = guest.connect("127.0.0.1", port);
  REQUIRE(two >= 0);
  CHECK(guest.connect("127.0.0.1", port) == -Errno::nfile);
  CHECK(guest.listen("127.0.0.1", 0) == -Errno::nfile);
  CHECK(guest.accept(listener) == -Errno::nfile);
  CHECK(guest.open_datagrams("0.0.0.0", 0) == -Errno::nfile);
  CHECK(guest("close", {two}) == 0);
  const i64 server = guest.accept(listener);
  REQUIRE(server >= 0);
  CHECK(guest.network->sockets() == 3);
  guest.process.reset();
  CHECK(guest.network->sockets() == 0);
  static_cast<void>(one);
}

TEST_CASE("net: what a handle allows is in the handle") {
  NetGuest guest("listen:127.0.0.1:0,connect:127.0.0.1:*");
  const i64 listener = guest.listen("127.0.0.1", 0);
  const i64 port = guest.port_of(listener);
  const i64 client = guest.connect("127.0.0.1", port);

  // Another process, with other rules, goes on with what it is passed; nothing opens more there.
  NetGuest other("dns");
  const i64 passed = other.grant(guest.process->handles().find(static_cast<u32>(listener))->object,
                                 cap::right_accept);
  CHECK(other.connect("127.0.0.1", port) == -Errno::acces);
  const i64 server = other.accept(passed);
  REQUIRE(server >= 0);
  CHECK(other("socket_address", {passed, 0, address_at}) == -Errno::notcapable);
  CHECK(other.network->sockets() == 0);
  CHECK(guest.network->sockets() == 3);
  CHECK(other("tcp_connect", {passed, text_at, 9, port, -1}) == -Errno::badf);
  CHECK(other("read", {passed, data_at, 1}) == -Errno::badf);

  // Fewer rights, and a revoker for all that was made through a handle.
  const i64 reader = guest("handle_attenuate", {client, cap::right_read});
  CHECK(guest("write", {reader, data_at, 1}) == -Errno::notcapable);
  CHECK(guest("socket_shutdown", {reader, 2}) == -Errno::notcapable);
  CHECK(guest("socket_shutdown", {reader, 3}) == -Errno::notcapable);
  CHECK(guest("socket_option", {reader, 1, 1}) == -Errno::notcapable);
  const i64 by = guest("revoker_make");
  const i64 lent = guest("handle_revocable", {guest.handle, by, cap::right_connect});
  guest.put(text_at, "127.0.0.1");
  CHECK(guest("tcp_listen", {lent, text_at, 9, 0, 1}) == -Errno::notcapable);
  const i64 made = guest("tcp_connect", {lent, text_at, 9, port, -1});
  REQUIRE(made >= 0);
  CHECK(guest("write", {made, data_at, 1}) == 1);
  CHECK(guest("revoke", {by}) == 0);
  CHECK(guest("write", {made, data_at, 1}) == -Errno::notcapable);
  CHECK(guest("tcp_connect", {lent, text_at, 9, port, -1}) == -Errno::notcapable);
  CHECK(guest("write", {client, data_at, 1}) == 1);
}

TEST_CASE("net: datagrams") {
  NetGuest guest("udp:127.0.0.1:*,udp-listen:127.0.0.1:0");
  const i64 server = guest.open_datagrams("127.0.0.1", 0);
  const i64 client = guest.open_datagrams("0.0.0.0", 0);
  REQUIRE(server >= 0);
  REQUIRE(client >= 0);
  const i64 port = guest.port_of(server);
  CHECK(guest("udp_receive", {server, data_at, 10, address_at, 0}) == -Errno::timedout);
  guest.put_address("127.0.0.1", static_cast<u16>(port));
  guest.put(data_at, "datagram");
  CHECK(guest("udp_send", {client, data_at, 8, address_at}) == 8);
  CHECK(guest("udp_send", {client, data_at, 0, address_at}) == 0);
  CHECK(guest("udp_send", {client, data_at, 65536, address_at}) == -Errno::msgsize);
  CHECK(guest("udp_receive", {server, data_at + 100, 4, address_at, second}) == 4);
  CHECK(guest.text(data_at + 100, 4) == "data");
  CHECK(guest.address().starts_with("127.0.0.1:"));
  CHECK(guest.port() == [&] {
    const i64 from = guest.port();
    guest.port_of(client);
    return from;
  }());
  CHECK(guest("udp_receive", {server, data_at, 100, 0, second}) == 0);
  for (const i64 bad : {i64{Guest::memory_size - 23}, i64{0xffffffff}}) {
    CHECK(guest("udp_send", {client, data_at, 1, bad}) == -Errno::fault);
    CHECK(guest("udp_receive", {client, data_at, 1, bad, 0}) == -Errno::fault);
    CHECK(guest("udp_receive", {client, bad, 100, 0, 0}) == -Errno::fault);
    CHECK(guest("socket_address", {client, 0, bad}) == -Errno::fault);
  }
  guest.put_address("127.0.0.1", 1);
  guest.memory(address_at)[0] = 5;
  CHECK(guest("udp_send", {client, data_at, 1, address_at}) == -Errno::inval);
}

TEST_CASE("net: datagrams from whom the rules don't name are not seen") {
  HostSocket known(SOCK_DGRAM);
  HostSocket stranger(SOCK_DGRAM);
  NetGuest guest("udp:127.0.0.1:" + std::to_string(known.port));
  const i64 client = guest.open_datagrams("0.0.0.0", 0);
  const u16 port = static_cast<u16>(guest.port_of(client));
  for (u32 i = 0; i < 100; ++i) stranger.send_to(port, "strange");
  known.send_to(port, "known");
  CHECK(guest("udp_receive", {client, data_at, 100, address_at, 5 * second}) == 5);
  CHECK(guest.text(data_at, 7) == std::string("known\0\0", 7));
  CHECK(guest.port() == known.port);
  stranger.send_to(port, "strange");
  CHECK(guest("udp_receive", {client, data_at, 100, address_at, 10'000'000}) == -Errno::timedout);
}

namespace {

constexpr i64 stream_type = 1;
constexpr i64 datagrams_type = 2;
constexpr i64 now = 0;

struct StepGuest : NetGuest {
  using NetGuest::NetGuest;

  i64 open(i64 type, i64 family = 4) { return (*this)("socket_open", {handle, family, type}); }
  i64 bind(i64 socket, std::string_view host, u16 port) {
    put_address(host, port);
    return (*this)("socket_bind", {socket, address_at});
  }
  i64 connect_to(i64 socket, std::string_view host, u16 port, i64 timeout = 5 * second,
                 std::string_view name = {}) {
    put_address(host, port);
    put(text_at, name);
    return (*this)("socket_connect",
                   {socket, address_at, text_at, static_cast<i64>(name.size()), timeout});
  }
};

}  // namespace

TEST_CASE("net: sockets step by step") {
  StepGuest guest("listen:127.0.0.1:0,connect:127.0.0.1:*");
  CHECK(guest("socket_open", {guest.handle, 4, 3}) == -Errno::inval);
  CHECK(guest.open(stream_type, 5) == -Errno::afnosupport);
  const i64 listener = guest.open(stream_type);
  CHECK(guest("tcp_accept", {listener, 0, now}) == -Errno::inval);
  CHECK(guest.bind(listener, "127.0.0.1", 7) == -Errno::acces);
  CHECK(guest.bind(listener, "0.0.0.0", 0) == 0);  // as without it
  CHECK(guest("socket_listen", {listener, 5}) == -Errno::acces);
  CHECK(guest.bind(listener, "127.0.0.1", 0) == 0);
  CHECK(guest.bind(listener, "127.0.0.1", 0) == -Errno::inval);
  CHECK(guest("socket_option_get", {listener, 8}) == 0);
  CHECK(guest("socket_listen", {listener, 5}) == 0);
  CHECK(guest("socket_option_get", {listener, 8}) == 1);
  CHECK(guest("socket_option_get", {listener, 9}) == -Errno::inval);
  const auto port = static_cast<u16>(guest.port_of(listener));
  CHECK(guest("tcp_accept", {listener, 0, now}) == -Errno::timedout);

  const i64 client = guest.open(stream_type);
  CHECK(guest("read", {client, data_at, 1}) == -Errno::notconn);
  CHECK(guest.connect_to(client, "127.0.0.1", 0) == -Errno::inval);
  CHECK(guest.connect_to(client, "10.0.0.1", port) == -Errno::acces);
  CHECK(guest.connect_to(client, "127.0.0.1", port) == 0);
  CHECK(guest.connect_to(client, "127.0.0.1", port) == -Errno::isconn);
  const i64 server = guest.accept(listener);
  REQUIRE(server >= 0);
  CHECK(guest.port() == guest.port_of(client));
  guest.put(data_at, "hello");
  CHECK(guest("write", {client, data_at, 5}) == 5);
  CHECK(guest("read", {server, data_at + 100, 100}) == 5);
  CHECK(guest("close", {listener}) == 0);

  // Where from is not the guest's to choose.
  const i64 placed = guest.open(stream_type);
  CHECK(guest.bind(placed, "127.0.0.1", 0) == 0);
  CHECK(guest.connect_to(placed, "127.0.0.1", port) == -Errno::acces);
  const i64 refused = guest.open(stream_type);
  CHECK(guest.connect_to(refused, "127.0.0.1", port) == -Errno::connrefused);
  const i64 later = guest.open(stream_type);
  const i64 begun = guest.connect_to(later, "127.0.0.1", port, now);
  CHECK((begun == -Errno::inprogress || begun == -Errno::connrefused));
  for (const i64 each : {client, server, placed, refused, later}) guest("close", {each});
  CHECK(guest.network->sockets() == 0);

  // What the network's handle does not allow, its sockets do not.
  const i64 less = guest("handle_attenuate", {guest.handle, cap::right_connect});
  REQUIRE(less >= 0);
  CHECK(guest("socket_open", {less, 4, datagrams_type}) == -Errno::notcapable);
  const i64 only = guest("socket_open", {less, 4, stream_type});
  CHECK(guest.bind(only, "127.0.0.1", 0) == -Errno::notcapable);
  CHECK(guest("socket_listen", {only, 1}) == -Errno::notcapable);
  CHECK(guest("tcp_accept", {only, 0, now}) == -Errno::notcapable);
}

TEST_CASE("net: a socket connects to an address by its name") {
  StepGuest guest("connect:example.org:*,connect:localhost:*");
  std::vector<const char*> answers = {"127.0.0.1", "192.0.2.1"};
  guest.environment.resolve = [&](std::string_view) {
    std::vector<net::Address> addresses;
    for (const char* const each : answers) addresses.push_back(*net::parse_address(each));
    return addresses;
  };
  CHECK(guest.lookup("example.org") == 2);
  CHECK(guest.lookup("example.com") == -Errno::acces);
  HostSocket inside(SOCK_STREAM);
  REQUIRE(listen(inside.fd, 10) == 0);
  const i64 socket = guest.open(stream_type);
  CHECK(guest.connect_to(socket, "127.0.0.1", inside.port) == -Errno::acces);
  CHECK(guest.connect_to(socket, "127.0.0.1", inside.port, second, "example.com") == -Errno::acces);
  // Its rule allows public addresses only.
  CHECK(guest.connect_to(socket, "127.0.0.1", inside.port, second, "example.org") == -Errno::acces);
  CHECK(guest.connect_to(socket, "8.8.8.8", 53, second, "example.org") == -Errno::acces);
  CHECK(guest.connect_to(socket, "127.0.0.2", inside.port, second, "localhost") == -Errno::acces);
  CHECK(guest.connect_to(socket, "127.0.0.1", inside.port, second, "localhost") == 0);
}

TEST_CASE("net: sockets for datagrams, step by step") {
  StepGuest guest("udp:127.0.0.1:*,udp-listen:127.0.0.1:0");
  HostSocket other(SOCK_DGRAM);
  const i64 socket = guest.open(datagrams_type);
  CHECK(guest("handle_rights", {socket}) ==
        static_cast<i64>(host::datagrams_rights | cap::right_datagrams));
  CHECK(guest.connect_to(socket, "10.0.0.1", 1) == -Errno::acces);
  CHECK(guest.bind(socket, "127.0.0.1", 7) == -Errno::acces);
  CHECK(guest.bind(socket, "127.0.0.1", 0) == 0);
  const auto port = static_cast<u16>(guest.port_of(socket));
  CHECK(guest.connect_to(socket, "127.0.0.1", other.port) == 0);
  HostSocket third(SOCK_DGRAM);
  third.send_to(port, "no");
  other.send_to(port, "yes");
  CHECK(guest("udp_receive", {socket, data_at, 100, address_at, 5 * second}) == 3);
  CHECK(guest.text(data_at, 3) == "yes");
  CHECK(guest.connect_to(socket, "127.0.0.1", 0) == 0);
  CHECK(guest("socket_option", {socket, 3, 250}) == 0);
  CHECK(guest("socket_option_get", {socket, 3}) == 250);
}
