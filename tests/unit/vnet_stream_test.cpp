// Connections of virtual networks, and their short path.
#include "stdlib/vnet/fabric.hpp"
#include "tests/unit/vnet.hpp"

using namespace atollvm;
using namespace atollvm::tests;
using cap::Errno;
using State = vnet::Stream::State;

TEST_CASE("vnet streams: bytes both ways, by both families and loopback") {
  for (const char* const address : {"10.0.0.2", "fd00::2"}) {
    Pair pair;
    const auto [from, to] = pair.connect(80, address);
    CHECK(from->remote() == net::Endpoint{at(address), 80});
    CHECK(to->remote() == from->local());
    CHECK(value(from->write(bytes_of("hello"))) == 5);
    pair.run();
    CHECK(read_from(*to) == "hello");
    CHECK(error(to->read({})) == Errno::success);
    u8 byte;
    CHECK(error(to->read({&byte, 1})) == Errno::again);
    CHECK(value(to->write(bytes_of("answer"))) == 6);
    pair.run();
    CHECK(read_from(*from) == "answer");
  }
  Pair pair;
  for (const char* const address : {"127.0.0.1", "::1", "10.0.0.1", "127.9.9.9"}) {
    const auto listener = value(pair.a->listen({at(address), 0}, 1));
    const auto from = value(pair.a->connect({at(address), listener->local().port}));
    pair.run();
    const auto to = value(listener->accept());
    value(from->write(bytes_of("x")));
    pair.run();
    CHECK(read_from(*to) == "x");
  }
}

TEST_CASE("vnet streams: ends, half ends, resets") {
  Pair pair;
  SUBCASE("half closed") {
    const auto [from, to] = pair.connect();
    value(from->write(bytes_of("last")));
    CHECK(from->shutdown(net::shutdown_write) == Errno::success);
    CHECK(error(from->write(bytes_of("x"))) == Errno::pipe);
    pair.run();
    CHECK(read_from(*to) == "last");
    CHECK(is_at_end(*to));
    value(to->write(bytes_of("still")));
    pair.run();
    CHECK(read_from(*from) == "still");
    to->close();
    pair.run();
    CHECK(is_at_end(*from));
    CHECK(from->state() == State::time_wait);
    from->close();
    CHECK(pair.a->sockets() == 0);
    CHECK(pair.b->sockets() == 0);
    pair.run(61 * seconds);
    CHECK(from->state() == State::closed);
    CHECK(pair.a->memory() == 0);
  }
  SUBCASE("both at once") {
    const auto [from, to] = pair.connect();
    from->close();
    to->close();
    pair.run();
    CHECK(from->state() == State::time_wait);
    CHECK(to->state() == State::time_wait);
    pair.run(61 * seconds);
    CHECK(to->state() == State::closed);
  }
  SUBCASE("what nobody read resets") {
    const auto [from, to] = pair.connect();
    value(from->write(bytes_of("unread")));
    pair.run();
    to->close();
    pair.run();
    u8 byte;
    CHECK(error(from->read({&byte, 1})) == Errno::connreset);
    CHECK(error(from->write({&byte, 1})) == Errno::connreset);
    from->close();
    CHECK(pair.a->sockets() == 0);
    CHECK(pair.b->sockets() == 0);
  }
  SUBCASE("what comes after closing resets") {
    const auto [from, to] = pair.connect();
    to->close();
    value(from->write(bytes_of("late")));
    pair.run();
    CHECK(from->state() == State::closed);
    CHECK(to->state() == State::closed);
  }
  SUBCASE("what came before a reset can be read") {
    const auto [from, to] = pair.connect();
    value(from->write(bytes_of("before")));
    pair.run();
    from->abort(Errno::connreset);
    pair.run();
    CHECK(read_from(*to) == "before");
    u8 byte;
    CHECK(error(to->read({&byte, 1})) == Errno::connreset);
  }
  SUBCASE("reading shut") {
    const auto [from, to] = pair.connect();
    CHECK(to->shutdown(net::shutdown_read) == Errno::success);
    for (u32 i = 0; i < 100; ++i) CHECK(value(from->write(bytes_of(pattern_text(0, 10'000)))) > 0);
    pair.run();
    CHECK(is_at_end(*to));
  }
  SUBCASE("options") {
    const auto [from, to] = pair.connect();
    CHECK(from->set(net::Option::nodelay, 1) == Errno::success);
    CHECK(from->set(net::Option::nodelay, 2) == Errno::inval);
    CHECK(from->set(net::Option::keepalive, -1) == Errno::inval);
    CHECK(from->set(static_cast<net::Option>(9), 0) == Errno::inval);
    CHECK(from->shutdown(0) == Errno::inval);
    CHECK(from->shutdown(4) == Errno::inval);
  }
}

TEST_CASE("vnet streams: connecting fails as it should") {
  Pair pair;
  const auto refused = value(pair.a->connect({at("10.0.0.2"), 81}));
  CHECK(refused->connected() == Errno::again);
  pair.run();
  CHECK(refused->connected() == Errno::connrefused);
  refused->close();
  const auto nobody = value(pair.a->connect({at("10.0.0.77"), 81}));
  CHECK(nobody->connected() == Errno::hostunreach);
  nobody->close();
  CHECK(error(pair.a->connect({at("10.9.0.1"), 81})) == Errno::netunreach);
  CHECK(error(pair.a->connect({at("224.0.0.1"), 81})) == Errno::acces);
  CHECK(error(pair.a->connect({at("0.0.0.0"), 81})) == Errno::acces);
  pair.fabric.set_link(*pair.port_b, {.is_down = true}, {.is_down = true});
  const auto lost = value(pair.a->connect({at("10.0.0.2"), 81}));
  pair.run(60 * seconds);
  CHECK(lost->connected() == Errno::again);
  pair.run(200 * seconds);
  CHECK(lost->connected() == Errno::timedout);
  lost->close();
  CHECK(pair.a->sockets() == 0);
}

TEST_CASE("vnet streams: limits of sockets and of those who wait") {
  Pair pair(1, {.sockets = 4});
  const auto listener = value(pair.b->listen({at("0.0.0.0"), 80}, 1));
  CHECK(error(pair.b->listen({at("10.0.0.2"), 80}, 1)) == Errno::addrinuse);
  CHECK(error(pair.b->listen({at("10.0.0.1"), 80}, 1)) == Errno::addrnotavail);
  std::vector<std::shared_ptr<vnet::Stream>> streams;
  for (u32 i = 0; i < 4; ++i) streams.push_back(value(pair.a->connect({at("10.0.0.2"), 80})));
  CHECK(error(pair.a->connect({at("10.0.0.2"), 80})) == Errno::nfile);
  pair.run();
  u32 open = 0;
  for (const auto& each : streams) open += each->connected() == Errno::success ? 1 : 0;
  CHECK(open == 2);  // the backlog and one
  value(listener->accept());
  pair.run(5 * seconds);
  open = 0;
  for (const auto& each : streams) open += each->connected() == Errno::success ? 1 : 0;
  CHECK(open == 3);
  for (const auto& each : streams) each->close();
  listener->close();
  pair.run(200 * seconds);
  CHECK(pair.a->sockets() == 0);
  CHECK(error(listener->accept()) == Errno::badf);
}

TEST_CASE("vnet streams: the short path begins by itself and is not seen") {
  Pair pair;
  const auto [from, to] = pair.connect();
  const u64 before = pair.port_a->to_switch().counts().packets;
  std::string sent;
  std::string got;
  for (u32 i = 0; i < 1000; ++i) {
    const std::string text = pattern_text(sent.size(), 1 + i % 700);
    REQUIRE(value(from->write(bytes_of(text))) == text.size());
    sent += text;
    got += read_from(*to);
    CHECK(from->is_short());
  }
  CHECK(got == sent);
  CHECK(pair.port_a->to_switch().counts().packets == before);

  SUBCASE("who writes waits for who reads") {
    u32 calls = 0;
    from->on_change([&] { ++calls; });
    usize filled = 0;
    while (true) {
      const auto count = from->write(bytes_of(pattern_text(filled, 5000, 1)));
      if (error(count) == Errno::again) break;
      filled += value(count);
    }
    CHECK(filled == 64 << 10);
    CHECK_FALSE(from->is_writable());
    CHECK(read_from(*to, 40'000) == pattern_text(0, 40'000, 1));
    CHECK(calls == 1);
    CHECK(from->is_writable());
    from->on_change({});
  }
  SUBCASE("a fault ends it, and its end brings it back") {
    value(from->write(bytes_of(pattern_text(0, 60'000, 2))));
    pair.set_links({.latency = 10 * ms, .loss = 100'000});
    usize written = 60'000;
    std::string read;
    for (u32 i = 0; i < 10'000 && read.size() < 500'000; ++i) {
      if (written < 500'000) {
        const auto count = from->write(
            bytes_of(pattern_text(written, std::min<usize>(3000, 500'000 - written), 2)));
        if (const auto* const number = std::get_if<u32>(&count)) written += *number;
      }
      CHECK_FALSE(from->is_short());
      pair.run(20 * ms);
      read += read_from(*to);
    }
    CHECK(read == pattern_text(0, 500'000, 2));
    pair.run(100 * seconds);
    pair.set_links({});
    value(from->write(bytes_of("1")));
    CHECK_FALSE(from->is_short());
    pair.run(seconds);
    value(from->write(bytes_of("2")));
    CHECK(from->is_short());
    value(to->write(bytes_of("3")));
    pair.run(seconds);
    CHECK(read_from(*to) == "12");
    CHECK(read_from(*from) == "3");
  }
  SUBCASE("a full buffer stays full by packets") {
    usize filled = 0;
    while (true) {
      const auto count = from->write(bytes_of(pattern_text(filled, 5000, 3)));
      if (error(count) == Errno::again) break;
      filled += value(count);
    }
    pair.set_links({.latency = ms});
    for (u32 i = 0; i < 30; ++i) {
      const auto count = from->write(bytes_of(pattern_text(filled, 5000, 3)));
      if (const auto* const number = std::get_if<u32>(&count)) filled += *number;
      pair.run(100 * ms);
    }
    CHECK(filled == 128 << 10);
    std::string read;
    for (u32 i = 0; i < 1000; ++i) {
      read += read_from(*to, 777);
      pair.run(100 * ms);
    }
    CHECK(read == pattern_text(0, filled, 3));
  }
  SUBCASE("a capture ends it") {
    u32 packets = 0;
    pair.fabric.capture(*pair.port_b, [&](u64, vnet::Span) { ++packets; });
    value(from->write(bytes_of("seen")));
    pair.run();
    CHECK(read_from(*to) == "seen");
    CHECK(packets == 2);
    value(from->write(bytes_of("seen")));
    pair.run();
    CHECK(packets == 4);
  }
  SUBCASE("a partition ends it") {
    vnet::Node* const one[] = {pair.a};
    vnet::Node* const other[] = {pair.b};
    pair.fabric.partition(one, other);
    value(from->write(bytes_of("later")));
    pair.run(5 * seconds);
    CHECK(read_from(*to).empty());
    pair.fabric.heal();
    pair.run(60 * seconds);
    CHECK(read_from(*to) == "later");
  }
  SUBCASE("the end of a machine") {
    pair.fabric.remove(*pair.b);
    CHECK(to->state() == State::closed);
    u8 byte;
    CHECK(error(to->read({&byte, 1})) == Errno::connreset);
    to->close();
    value(from->write(bytes_of("anybody?")));
    pair.run(1500 * seconds);
    CHECK(error(from->read({&byte, 1})) == Errno::timedout);
  }
}

TEST_CASE("vnet streams: keepalive finds out, and a peer that came anew resets") {
  Pair pair;
  const auto [from, to] = pair.connect();
  CHECK(from->set(net::Option::keepalive, 10) == Errno::success);
  pair.run(1000 * seconds);
  CHECK(from->state() == State::established);
  SUBCASE("nobody answers") {
    pair.set_links({.is_down = true});
    pair.run(2000 * seconds);
    u8 byte;
    CHECK(error(from->read({&byte, 1})) == Errno::timedout);
  }
  SUBCASE("somebody else does") {
    pair.fabric.remove(*pair.b);
    pair.b = made(pair.fabric.add_stack("b"));
    pair.port_b = made(pair.fabric.attach(*pair.b, *pair.net));
    pair.run(20 * seconds);
    u8 byte;
    CHECK(error(from->read({&byte, 1})) == Errno::connreset);
  }
}

TEST_CASE("vnet streams: as fast as the link, no faster, and full windows need scaling") {
  for (const u32 buffer : {64u << 10, 1u << 20}) {
    Pair pair(3, {.send_buffer = buffer, .receive_buffer = buffer});
    const auto [from, to] = pair.connect();
    // 100 Mbit/s and 20 ms for the way and back: 250 kB on the way.
    pair.set_links({.latency = 5 * ms, .bandwidth = 100'000'000});
    usize sent = 0;
    usize got = 0;
    const u64 begin = pair.fabric.now();
    const usize whole = 10'000'000;
    while (got < whole && pair.fabric.now() < begin + 100 * seconds) {
      const auto count =
          from->write(bytes_of(pattern_text(sent, std::min<usize>(32'768, whole - sent))));
      if (const auto* const number = std::get_if<u32>(&count)) sent += *number;
      pair.run(ms / 2);
      const std::string text = read_from(*to);
      REQUIRE(text == pattern_text(got, text.size()));
      got += text.size();
    }
    const u64 time = pair.fabric.now() - begin;
    const double rate = static_cast<double>(whole) * 8 / (static_cast<double>(time) / 1e9);
    MESSAGE("buffers of ", buffer, ": ", rate / 1e6, " Mbit/s");
    CHECK(rate < 100e6);
    CHECK(rate > (buffer > 100'000 ? 60e6 : 20e6));
  }
}
