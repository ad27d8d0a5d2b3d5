// Routers of virtual networks: routes, translation, rules; names; who reaches whom.
#include "stdlib/vnet/fabric.hpp"
#include "tests/unit/vnet.hpp"

using namespace atollvm;
using namespace atollvm::tests;
using cap::Errno;

namespace {

// "inside" 10.1.0.0/24 and fd01::/64 with in1, in2; "outside" 10.2.0.0/24 and fd02::/64 with out;
// between them the router, with .254 and ::fe.
struct Routed {
  explicit Routed(u64 seed = 1) : fabric(seed) {
    inside = made(fabric.add_switch("inside", {prefix("10.1.0.0", 24), prefix("fd01::", 64)}));
    outside = made(fabric.add_switch("outside", {prefix("10.2.0.0", 24), prefix("fd02::", 64)}));
    router = made(fabric.add_router("router"));
    const net::Address near[] = {at("10.1.0.254"), at("fd01::fe")};
    const net::Address far[] = {at("10.2.0.254"), at("fd02::fe")};
    in = made(fabric.attach(*router, *inside, near));
    out = made(fabric.attach(*router, *outside, far));
    for (auto* const each : {&in1, &in2}) {
      *each = made(fabric.add_stack(each == &in1 ? "in1" : "in2"));
      made(fabric.attach(**each, *inside));
      made(fabric.add_route(**each, prefix("0.0.0.0", 0), at("10.1.0.254")));
      made(fabric.add_route(**each, prefix("::", 0), at("fd01::fe")));
    }
    there = made(fabric.add_stack("out"));
    made(fabric.attach(*there, *outside));
  }
  void route_back() {
    made(fabric.add_route(*there, prefix("10.1.0.0", 24), at("10.2.0.254")));
    made(fabric.add_route(*there, prefix("fd01::", 64), at("fd02::fe")));
  }
  void run(u64 time = 0) { REQUIRE(fabric.run(fabric.now() + time, 1'000'000)); }
  // What becomes of connecting, and of a few bytes each way.
  Errno reach(vnet::Stack& from, vnet::Stack& to, std::string_view address, u16 port = 80,
              u16 listen_port = 80) {
    const net::Address any{at(address).family, {}};
    const auto listener = value(to.listen({any, listen_port}, 4));
    const auto begun = from.connect({at(address), port});
    if (error(begun) != Errno::success) {
      listener->close();
      return error(begun);
    }
    const auto stream = value(begun);
    run(5 * seconds);
    Errno result = stream->connected();
    if (result == Errno::success) {
      const auto other = value(listener->accept());
      seen = other->remote();
      for (u32 i = 0; i < 3; ++i) {
        value(stream->write(bytes_of("ping")));
        run();
        CHECK(read_from(*other) == "ping");
        value(other->write(bytes_of("pong")));
        run();
        CHECK(read_from(*stream) == "pong");
      }
      CHECK(stream->is_short());
      other->close();
    }
    stream->close();
    listener->close();
    run(200 * seconds);
    return result;
  }

  vnet::Fabric fabric;
  vnet::Switch* inside;
  vnet::Switch* outside;
  vnet::Router* router;
  vnet::Port* in;
  vnet::Port* out;
  vnet::Stack* in1;
  vnet::Stack* in2;
  vnet::Stack* there;
  net::Endpoint seen;  // by who was connected to
};

net::Rules rules(std::string_view text) { return made(net::Rules::parse(text)); }

}  // namespace

TEST_CASE("vnet routers: routes both ways") {
  Routed net;
  CHECK(net.reach(*net.in1, *net.in2, "10.1.0.2") == Errno::success);
  CHECK(net.reach(*net.in1, *net.there, "10.2.0.1") == Errno::again);  // no way back
  net.route_back();
  CHECK(net.reach(*net.in1, *net.there, "10.2.0.1") == Errno::success);
  CHECK(net.seen.address == at("10.1.0.1"));
  CHECK(net.reach(*net.there, *net.in2, "10.1.0.2") == Errno::success);
  CHECK(net.reach(*net.in1, *net.there, "fd02::1") == Errno::success);
  CHECK(net.reach(*net.in1, *net.there, "10.2.0.9") == Errno::hostunreach);
  CHECK(net.reach(*net.in1, *net.there, "10.3.0.9") == Errno::netunreach);
  CHECK(net.reach(*net.in1, *net.there, "fd02::9") == Errno::hostunreach);
  CHECK(net.reach(*net.in1, *net.there, "10.1.0.254") == Errno::connrefused);
}

TEST_CASE("vnet routers: partitions are between ends, whatever is on the way") {
  for (const bool is_translated : {false, true}) {
    Routed net;
    net.router->set_translated(*net.out, is_translated);
    if (!is_translated) net.route_back();
    vnet::Node* const one[] = {net.in1};
    vnet::Node* const other[] = {net.there};
    net.fabric.partition(one, other);
    CHECK(net.reach(*net.in1, *net.there, "10.2.0.1") == Errno::again);
    CHECK(net.reach(*net.in2, *net.there, "10.2.0.1") == Errno::success);
    net.fabric.heal(other, one);
    CHECK(net.reach(*net.in1, *net.there, "10.2.0.1") == Errno::success);
  }
}

TEST_CASE("vnet routers: of several routes the longest prefix") {
  vnet::Fabric fabric(1);
  auto* const one = made(fabric.add_switch("one", {prefix("10.0.0.0", 24)}));
  auto* const stack = made(fabric.add_stack("stack"));
  made(fabric.attach(*stack, *one));
  made(fabric.add_route(*stack, prefix("0.0.0.0", 0), at("10.0.0.10")));
  made(fabric.add_route(*stack, prefix("172.16.0.0", 12), at("10.0.0.11")));
  made(fabric.add_route(*stack, prefix("172.16.5.0", 24), at("10.0.0.12")));
  made(fabric.add_route(*stack, prefix("172.16.5.0", 24), at("10.0.0.13")));
  CHECK(stack->route(at("172.16.5.1"))->via == at("10.0.0.12"));
  CHECK(stack->route(at("172.17.5.1"))->via == at("10.0.0.11"));
  CHECK(stack->route(at("8.8.8.8"))->via == at("10.0.0.10"));
  CHECK_FALSE(stack->route(at("10.0.0.7"))->via.has_value());
  CHECK(stack->route(at("fd00::1")) == nullptr);
}

TEST_CASE("vnet routers: a loop of routes ends") {
  vnet::Fabric fabric(1);
  auto* const one = made(fabric.add_switch("one", {prefix("10.0.0.0", 24)}));
  auto* const stack = made(fabric.add_stack("stack"));
  auto* const left = made(fabric.add_router("left"));
  auto* const right = made(fabric.add_router("right"));
  for (vnet::Node* const each : {static_cast<vnet::Node*>(stack), static_cast<vnet::Node*>(left),
                                 static_cast<vnet::Node*>(right)}) {
    made(fabric.attach(*each, *one));
  }
  made(fabric.add_route(*stack, prefix("0.0.0.0", 0), at("10.0.0.2")));
  made(fabric.add_route(*left, prefix("0.0.0.0", 0), at("10.0.0.3")));
  made(fabric.add_route(*right, prefix("0.0.0.0", 0), at("10.0.0.2")));
  const auto stream = value(stack->connect({at("8.8.8.8"), 80}));
  REQUIRE(fabric.run(0, 1000));
  CHECK(stream->connected() == Errno::hostunreach);
}

TEST_CASE("vnet routers: translation") {
  Routed net;
  net.router->set_translated(*net.out, true);
  CHECK(net.reach(*net.in1, *net.there, "10.2.0.1") == Errno::success);
  CHECK(net.seen.address == at("10.2.0.254"));
  CHECK(net.reach(*net.in2, *net.there, "fd02::1") == Errno::success);
  CHECK(net.seen.address == at("fd02::fe"));
  CHECK(net.reach(*net.in1, *net.there, "10.2.0.1", 81) == Errno::connrefused);
  CHECK(net.reach(*net.in1, *net.there, "10.2.0.77") == Errno::hostunreach);
  CHECK(net.reach(*net.there, *net.in1, "10.2.0.254") == Errno::connrefused);
  CHECK(net.reach(*net.there, *net.in1, "10.1.0.1") == Errno::netunreach);

  // Two with the same port keep apart, also in fragments and by errors.
  const auto server = value(net.there->open_datagrams({at("0.0.0.0"), 53}));
  const auto first = value(net.in1->open_datagrams({at("0.0.0.0"), 5000}));
  const auto second = value(net.in2->open_datagrams({at("0.0.0.0"), 5000}));
  value(first->send(bytes_of(pattern_text(0, 4000, 1)), {at("10.2.0.1"), 53}));
  value(second->send(bytes_of(pattern_text(0, 4000, 2)), {at("10.2.0.1"), 53}));
  net.run();
  u8 buffer[5000];
  for (u32 i = 0; i < 2; ++i) {
    const auto got = value(server->receive(buffer));
    CHECK(got.from.address == at("10.2.0.254"));
    CHECK(got.size == 4000);
    value(server->send(std::span(buffer).first(got.size), got.from));
  }
  net.run();
  for (const auto& [socket, salt] : {std::pair(first, 1), std::pair(second, 2)}) {
    CHECK(value(socket->receive(buffer)).size == 4000);
    CHECK(buffer[77] == pattern(77, static_cast<u64>(salt)));
  }
  CHECK(net.router->flows() == 2);
  net.run(300 * seconds);
  CHECK(net.router->flows() == 0);
}

TEST_CASE("vnet routers: forwarded ports") {
  Routed net;
  CHECK(net.router->forward(*net.out, vnet::Protocol::tcp, 8080, {at("10.1.0.2"), 80}));
  CHECK_FALSE(net.router->forward(*net.out, vnet::Protocol::tcp, 8080, {at("10.1.0.1"), 80}));
  CHECK(net.reach(*net.there, *net.in2, "10.2.0.254", 8080) == Errno::success);
  CHECK(net.seen.address == at("10.2.0.1"));
  CHECK(net.reach(*net.there, *net.in2, "10.2.0.254", 8081) == Errno::connrefused);
}

TEST_CASE("vnet routers: rules are for what begins") {
  Routed net;
  net.route_back();
  net.router->set_rules(*net.in, rules("connect:10.2.0.0/24:80,udp:10.2.0.1:53"));
  net.router->set_rules(*net.out, rules("udp:10.2.0.1:9"));
  CHECK(net.reach(*net.in1, *net.there, "10.2.0.1") == Errno::success);
  CHECK(net.reach(*net.in1, *net.there, "10.2.0.1", 81, 81) == Errno::hostunreach);
  CHECK(net.reach(*net.there, *net.in1, "10.1.0.1") == Errno::hostunreach);
  CHECK(net.reach(*net.in1, *net.in2, "10.1.0.2", 81, 81) == Errno::success);  // not by the router
  // Rules that come later leave what is open, and end what begins.
  const auto listener = value(net.there->listen({at("0.0.0.0"), 80}, 1));
  const auto stream = value(net.in1->connect({at("10.2.0.1"), 80}));
  net.run();
  const auto other = value(listener->accept());
  net.router->set_rules(*net.in, rules("udp:10.2.0.1:9"));
  value(stream->write(bytes_of("on")));
  net.run(seconds);
  CHECK(read_from(*other) == "on");
  const auto later = value(net.in1->connect({at("10.2.0.1"), 80}));
  net.run(seconds);
  CHECK(later->connected() == Errno::hostunreach);
}

TEST_CASE("vnet routers: flows of one address leave room for others") {
  Routed net;
  net.router->set_translated(*net.out, true);
  const auto hostile = value(net.in1->open_datagrams({at("0.0.0.0"), 5000}));
  for (u32 i = 0; i < 60'000; ++i) {
    value(hostile->send({}, {at("10.2.0.1"), static_cast<u16>(1 + i)}));
    net.run();
  }
  CHECK(net.router->flows() == vnet::Router::max_flows_of_one);
  CHECK(net.reach(*net.in1, *net.there, "10.2.0.1") == Errno::again);
  CHECK(net.reach(*net.in2, *net.there, "10.2.0.1") == Errno::success);
}

TEST_CASE("vnet: networks without a router between them are apart") {
  vnet::Fabric fabric(1);
  auto* const one = made(fabric.add_switch("one", {prefix("10.0.0.0", 24)}));
  auto* const two = made(fabric.add_switch("two", {prefix("10.0.0.0", 24)}));
  auto* const a = made(fabric.add_stack("a"));
  auto* const b = made(fabric.add_stack("b"));
  auto* const c = made(fabric.add_stack("c"));
  made(fabric.attach(*a, *one));
  made(fabric.attach(*b, *two));
  made(fabric.attach(*c, *two));
  CHECK(*a->ports()[0]->address(net::Family::v4) == at("10.0.0.1"));
  CHECK(*b->ports()[0]->address(net::Family::v4) == at("10.0.0.1"));
  const auto listener = value(c->listen({at("0.0.0.0"), 80}, 1));
  CHECK(value(a->connect({at("10.0.0.2"), 80}))->connected() == Errno::hostunreach);
  const auto stream = value(b->connect({at("10.0.0.2"), 80}));
  fabric.run(0);
  CHECK(stream->connected() == Errno::success);
}

TEST_CASE("vnet names: near ones by themselves, far ones through routers") {
  Routed net;
  using Addresses = std::vector<net::Address>;
  CHECK(net.fabric.resolve(*net.in1, "in2") == Addresses{at("10.1.0.2"), at("fd01::2")});
  CHECK(net.fabric.resolve(*net.in1, "in1.inside") == Addresses{at("10.1.0.1"), at("fd01::1")});
  CHECK(net.fabric.resolve(*net.in1, "out").empty());
  CHECK(net.fabric.resolve(*net.in1, "out.outside") == Addresses{at("10.2.0.1"), at("fd02::1")});
  CHECK(net.fabric.resolve(*net.in1, "out.inside").empty());
  CHECK(net.fabric.resolve(*net.in1, "in1.nowhere").empty());
  auto* const apart = made(net.fabric.add_switch("apart", {prefix("10.9.0.0", 24)}));
  auto* const alone = made(net.fabric.add_stack("alone"));
  made(net.fabric.attach(*alone, *apart));
  CHECK(net.fabric.resolve(*alone, "out.outside").empty());
  CHECK(net.fabric.resolve(*net.in1, "alone.apart").empty());
}

TEST_CASE("vnet: mistakes in making one say what to do") {
  vnet::Fabric fabric(1);
  auto* const one = made(fabric.add_switch("one", {prefix("10.0.0.0", 30)}));
  const auto why = [](const auto& result) {
    REQUIRE_FALSE(result.ok());
    return result.error().text();
  };
  CHECK(why(fabric.add_switch("ONE", {prefix("10.1.0.0", 24)})) ==
        "one: there is a switch or a node of this name already");
  for (const char* const bad : {"", "a.b", "localhost", "-", "1", "a b"}) {
    CHECK_FALSE(fabric.add_stack(bad).ok());
  }
  CHECK_FALSE(fabric.add_switch("x", {}).ok());
  CHECK_FALSE(fabric.add_switch("x", {prefix("127.0.0.0", 8)}).ok());
  CHECK_FALSE(fabric.add_switch("x", {prefix("224.0.0.0", 8)}).ok());
  CHECK_FALSE(fabric.add_switch("x", {prefix("0.0.0.0", 0)}).ok());
  CHECK_FALSE(fabric.add_switch("x", {prefix("10.0.0.0", 33)}).ok());
  CHECK_FALSE(fabric.add_switch("x", {prefix("10.0.0.1", 24)}).ok());
  CHECK_FALSE(fabric.add_switch("x", {prefix("10.0.0.0", 24), prefix("10.1.0.0", 24)}).ok());
  auto* const a = made(fabric.add_stack("a"));
  const net::Address network[] = {at("10.0.0.0")};
  const net::Address broadcast[] = {at("10.0.0.3")};
  const net::Address elsewhere[] = {at("10.1.0.1")};
  CHECK_FALSE(fabric.attach(*a, *one, network).ok());
  CHECK_FALSE(fabric.attach(*a, *one, broadcast).ok());
  CHECK_FALSE(fabric.attach(*a, *one, elsewhere).ok());
  made(fabric.attach(*a, *one));
  CHECK_FALSE(fabric.attach(*a, *one).ok());
  made(fabric.attach(*made(fabric.add_stack("b")), *one));
  CHECK(why(fabric.attach(*made(fabric.add_stack("c")), *one)) ==
        "c-one: no address of 10.0.0.0/30 is free");
  CHECK_FALSE(fabric.add_route(*a, prefix("10.2.0.0", 24), at("10.3.0.1")).ok());
  CHECK_FALSE(fabric.add_route(*a, prefix("10.2.0.0", 24), at("fd00::1")).ok());
}
