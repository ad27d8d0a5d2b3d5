// Packets of virtual networks, fragments, links, and captures.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <fstream>

#include "stdlib/vnet/pcap.hpp"
#include "tests/unit/vnet.hpp"

using namespace atollvm;
using namespace atollvm::tests;
using cap::Errno;

namespace {

u32 number(vnet::Span bytes, usize at, u32 count, bool is_little) {
  u32 value = 0;
  for (u32 i = 0; i < count; ++i) {
    value |= static_cast<u32>(bytes[at + i]) << 8 * (is_little ? i : count - 1 - i);
  }
  return value;
}

// As tcpdump finds it, by other code than that which wrote it: nothing, or what is wrong.
std::string mistake_in_packet(vnet::Span packet) {
  const auto sum = [](vnet::Span bytes, u32 begin) {
    u32 value = begin;
    for (usize i = 0; i < bytes.size(); ++i) {
      value += i % 2 == 0 ? static_cast<u32>(bytes[i]) << 8 : bytes[i];
      value = (value & 0xffff) + (value >> 16);
    }
    return value;
  };
  if (packet.size() < 20) return "short";
  usize headers = 20;
  u32 protocol = packet[9];
  usize addresses = 12;
  usize address_bytes = 8;
  bool is_fragment = false;
  if (packet[0] == 0x45) {
    if (number(packet, 2, 2, false) != packet.size()) return "length";
    if (sum(packet.first(20), 0) != 0xffff) return "header's checksum";
    is_fragment = (number(packet, 6, 2, false) & 0x3fff) != 0;
  } else if (packet[0] == 0x60) {
    if (number(packet, 4, 2, false) + 40 != packet.size()) return "length of IPv6";
    headers = 40;
    protocol = packet[6];
    addresses = 8;
    address_bytes = 32;
    is_fragment = protocol == 44;
  } else {
    return "version";
  }
  if (packet[addresses == 12 ? 8 : 7] == 0) return "no hops";
  if (is_fragment) return "";
  const vnet::Span rest = packet.subspan(headers);
  u32 begin = 0;
  if (protocol != 1) {
    begin = sum(packet.subspan(addresses, address_bytes),
                protocol + static_cast<u32>(rest.size() & 0xffff));
  }
  if (sum(rest, begin) != 0xffff) return "checksum of protocol " + std::to_string(protocol);
  if (protocol == 17 && number(rest, 4, 2, false) != rest.size()) return "length of UDP";
  if (protocol == 6 && static_cast<usize>(rest[12] >> 4) * 4 > rest.size()) return "TCP's header";
  return "";
}

// Each record of a file; fails on what is not strictly as the format has it.
std::vector<std::vector<u8>> packets_of(vnet::Span file) {
  std::vector<std::vector<u8>> packets;
  REQUIRE(file.size() >= 24);
  CHECK(number(file, 0, 4, true) == 0xa1b23c4d);
  CHECK(number(file, 4, 2, true) == 2);
  CHECK(number(file, 6, 2, true) == 4);
  CHECK(number(file, 16, 4, true) >= 65535);
  CHECK(number(file, 20, 4, true) == 101);
  u64 last = 0;
  for (usize at = 24; at < file.size();) {
    REQUIRE(file.size() - at >= 16);
    CHECK(number(file, at + 4, 4, true) < 1'000'000'000);
    const u64 time = u64{number(file, at, 4, true)} * 1'000'000'000 + number(file, at + 4, 4, true);
    CHECK(time >= last);
    last = time;
    const u32 size = number(file, at + 8, 4, true);
    CHECK(number(file, at + 12, 4, true) == size);
    REQUIRE(file.size() - at - 16 >= size);
    const auto bytes = file.subspan(at + 16, size);
    packets.emplace_back(bytes.begin(), bytes.end());
    at += 16 + size;
  }
  return packets;
}

struct Sockets {
  std::shared_ptr<vnet::DatagramSocket> from;
  std::shared_ptr<vnet::DatagramSocket> to;
};
Sockets open_sockets(Pair& pair, std::string_view any = "0.0.0.0") {
  return {value(pair.a->open_datagrams({at(any), 0})),
          value(pair.b->open_datagrams({at(any), 9999}))};
}

std::string receive(vnet::DatagramSocket& socket) {
  std::vector<u8> buffer(70'000);
  const auto got = socket.receive(buffer);
  if (error(got) != Errno::success) return "";
  return {buffer.begin(), buffer.begin() + value(got).size};
}

}  // namespace

TEST_CASE("vnet packets: what is written is read again, and no bit may be another") {
  for (const char* const pair : {"10.0.0.1 10.0.0.2", "fd00::1 fd00::2"}) {
    const std::string_view text = pair;
    const auto source = at(text.substr(0, text.find(' ')));
    const auto destination = at(text.substr(text.find(' ') + 1));
    const std::string payload = pattern_text(0, 33);
    vnet::Segment segment;
    segment.source_port = 1000;
    segment.destination_port = 80;
    segment.sequence = 0xfffffff0;
    segment.acknowledgement = 7;
    segment.flags = vnet::flag::syn | vnet::flag::ack;
    segment.window = 500;
    segment.mss = 1460;
    segment.scale = 3;
    segment.payload = bytes_of(payload).first(20);
    const auto tcp = vnet::write_tcp(source, destination, segment, bytes_of(payload).subspan(20));
    const auto udp = vnet::write_udp(source, destination, {5, 53, bytes_of(payload)});
    const auto icmp = vnet::write_icmp(source, destination, vnet::Unreachable::prohibited, udp);
    const auto header = vnet::read_ip(tcp);
    REQUIRE(header.has_value());
    CHECK(header->source == source);
    CHECK(header->destination == destination);
    const auto read = vnet::read_tcp(*header, tcp);
    REQUIRE(read.has_value());
    CHECK(read->sequence == 0xfffffff0);
    CHECK(read->mss == 1460);
    CHECK(read->scale == 3);
    CHECK(std::equal(read->payload.begin(), read->payload.end(), bytes_of(payload).begin()));
    const auto error = vnet::read_icmp(*vnet::read_ip(icmp), icmp);
    REQUIRE(error.has_value());
    CHECK(error->kind == vnet::Unreachable::prohibited);
    CHECK(vnet::read_flow(error->quoted, true) == vnet::read_flow(udp));
    for (const auto& packet : {tcp, udp, icmp}) {
      CHECK(mistake_in_packet(packet).empty());
      for (usize bit = 0; bit < packet.size() * 8; ++bit) {
        auto other = packet;
        other[bit / 8] ^= static_cast<u8>(1u << bit % 8);
        const auto found = vnet::read_ip(other);
        if (!found) continue;
        // IPv6's header has no checksum of its own: class, flow and hops are nobody's.
        const bool is_free = source.family == net::Family::v6 && bit / 8 < 8;
        if (is_free) continue;
        CHECK_FALSE(vnet::read_tcp(*found, other).has_value());
        CHECK_FALSE(vnet::read_udp(*found, other).has_value());
        CHECK_FALSE(vnet::read_icmp(*found, other).has_value());
      }
      for (usize size = 0; size < packet.size(); ++size) {
        CHECK_FALSE(vnet::read_ip(vnet::Span(packet).first(size)).has_value());
      }
    }
    auto fewer = tcp;
    CHECK(vnet::take_hop(fewer));
    CHECK(mistake_in_packet(fewer).empty());
    vnet::Flow flow{vnet::Protocol::tcp, {destination, 9}, {source, 10}};
    vnet::rewrite(fewer, flow);
    CHECK(vnet::read_flow(fewer) == flow);
    CHECK(mistake_in_packet(fewer).empty());
  }
}

TEST_CASE("vnet fragments: in any order, once; overlaps and leftovers are dropped") {
  for (const char* const pair : {"10.0.0.1 10.0.0.2", "fd00::1 fd00::2"}) {
    const std::string_view text = pair;
    const auto source = at(text.substr(0, text.find(' ')));
    const auto destination = at(text.substr(text.find(' ') + 1));
    const std::string payload = pattern_text(0, 20'000);
    const auto whole = vnet::write_udp(source, destination, {5, 53, bytes_of(payload)});
    vnet::Chance chance(5);
    for (u32 round = 0; round < 50; ++round) {
      auto parts = vnet::fragment(whole, 1280 + chance.below(1000), round);
      CHECK(parts.size() > 8);
      for (usize i = parts.size(); i-- > 1;) std::swap(parts[i], parts[chance.below(i + 1)]);
      vnet::Reassembler reassembler;
      for (usize i = 0; i < parts.size(); ++i) {
        CHECK(mistake_in_packet(parts[i]).empty());
        const auto header = *vnet::read_ip(parts[i]);
        const auto result = reassembler.add(0, header, parts[i]);
        REQUIRE(result.has_value() == (i + 1 == parts.size()));
        if (result) {
          const auto got = vnet::read_udp(*vnet::read_ip(*result), *result);
          REQUIRE(got.has_value());
          CHECK(std::equal(got->payload.begin(), got->payload.end(), bytes_of(payload).begin()));
        } else {
          CHECK_FALSE(reassembler.add(0, header, parts[i]).has_value());
        }
      }
      CHECK(reassembler.bytes() == 0);
    }
    // Two that overlap.
    vnet::Reassembler reassembler;
    const auto parts = vnet::fragment(whole, 1500, 1);
    const auto others = vnet::fragment(whole, 1300, 1);
    reassembler.add(0, *vnet::read_ip(parts[0]), parts[0]);
    reassembler.add(0, *vnet::read_ip(others[1]), others[1]);
    for (const auto& each : parts) {
      CHECK_FALSE(reassembler.add(0, *vnet::read_ip(each), each).has_value());
    }
    // Very many that stay.
    for (u32 i = 0; i < 10'000; ++i) {
      const auto some = vnet::fragment(whole, 9000, i);
      reassembler.add(i, *vnet::read_ip(some[i % 2]), some[i % 2]);
      REQUIRE(reassembler.bytes() <= vnet::Reassembler::max_bytes);
    }
    reassembler.add(100 * seconds, *vnet::read_ip(parts[0]), parts[0]);
    CHECK(reassembler.bytes() < 2000);
  }
}

TEST_CASE("vnet datagrams: of all sizes, to whom they are for") {
  for (const char* const any : {"0.0.0.0", "::"}) {
    Pair pair;
    const auto sockets = open_sockets(pair, any);
    const net::Endpoint to{at(any[0] == ':' ? "fd00::2" : "10.0.0.2"), 9999};
    for (const usize size : {0, 1, 1400, 1472, 1473, 1500, 9000, 65507}) {
      CHECK(value(sockets.from->send(bytes_of(pattern_text(0, size)), to)) == size);
      pair.run();
      CHECK(sockets.to->is_readable());
      CHECK(receive(*sockets.to) == pattern_text(0, size));
    }
    CHECK(error(sockets.from->send(bytes_of(pattern_text(0, 65508)), to)) == Errno::msgsize);
    CHECK(error(sockets.from->send({}, {at("255.255.255.255"), 1})) == Errno::acces);
    CHECK(error(pair.b->open_datagrams({at(any), 9999})) == Errno::addrinuse);
    // More than wait.
    for (u32 i = 0; i < 600; ++i) {
      value(sockets.from->send(bytes_of(pattern_text(0, 1000)), to));
      pair.run();
    }
    CHECK(sockets.to->dropped() > 300);
    CHECK(pair.b->memory() <= 256 << 10);
    sockets.to->close();
    CHECK(pair.b->memory() == 0);
    CHECK(error(sockets.to->send({}, to)) == Errno::badf);
    value(sockets.from->send({}, to));
    pair.run();
  }
}

TEST_CASE("vnet links: latency, order, bandwidth, queues, loss, duplication, reordering") {
  const auto arrivals = [](const vnet::LinkSettings& settings, u32 count, u64 apart, u64 seed = 1) {
    vnet::Events events;
    std::vector<std::pair<u32, u64>> came;
    vnet::Direction link(events, seed, [&](vnet::Packet&& packet) {
      came.emplace_back(number(packet.bytes, 0, 4, true), events.now());
    });
    link.set(settings);
    for (u32 i = 0; i < count; ++i) {
      events.run(i * apart);
      vnet::Packet packet;
      packet.bytes.assign(1000, 0);
      for (u32 byte = 0; byte < 4; ++byte) packet.bytes[byte] = static_cast<u8>(i >> 8 * byte);
      link.send(std::move(packet));
    }
    CHECK(link.bytes() == 1000 * link.packets());
    events.run(10'000 * seconds);
    CHECK(link.bytes() == 0);
    return came;
  };
  auto came = arrivals({.latency = 30 * ms}, 100, ms);
  REQUIRE(came.size() == 100);
  for (u32 i = 0; i < 100; ++i) CHECK(came[i] == std::pair(i, i * ms + 30 * ms));

  came = arrivals({.latency = 30 * ms, .jitter = 10 * ms}, 1000, 50 * ms);
  REQUIRE(came.size() == 1000);
  u64 sum = 0;
  for (u32 i = 0; i < 1000; ++i) {
    const u64 delay = came[i].second - i * 50 * ms;
    CHECK(delay >= 20 * ms);
    CHECK(delay <= 40 * ms);
    sum += delay;
  }
  CHECK(sum / 1000 > 29 * ms);
  CHECK(sum / 1000 < 31 * ms);
  came = arrivals({.latency = 30 * ms, .jitter = 10 * ms}, 1000, ms / 10);
  CHECK(std::is_sorted(came.begin(), came.end()));

  came = arrivals({.bandwidth = 8'000'000}, 500, 0);  // a packet takes 1 ms
  REQUIRE(came.size() == 500);
  for (u32 i = 0; i < 500; ++i) CHECK(came[i] == std::pair(i, (i + 1) * ms));
  CHECK(arrivals({.bandwidth = 8'000'000, .queue = 100}, 500, 0).size() == 100);
  CHECK(arrivals({.latency = ms}, 5000, 0).size() == 1000);

  came = arrivals({.loss = 200'000}, 10'000, ms);
  CHECK(came.size() > 7800);
  CHECK(came.size() < 8200);
  CHECK(came == arrivals({.loss = 200'000}, 10'000, ms));
  CHECK(came != arrivals({.loss = 200'000}, 10'000, ms, 2));
  CHECK(arrivals({.loss = 1'000'000}, 100, ms).empty());
  CHECK(arrivals({.is_down = true}, 100, ms).empty());
  came = arrivals({.duplication = 300'000}, 10'000, ms);
  CHECK(came.size() > 12'700);
  CHECK(came.size() < 13'300);
  came = arrivals({.reordering = 100'000}, 10'000, ms / 10);
  CHECK(came.size() == 10'000);
  CHECK_FALSE(std::is_sorted(came.begin(), came.end()));
}

TEST_CASE("vnet captures: what tools read") {
  Pair pair;
  vnet::Bytes file = vnet::pcap::file_header();
  const auto record = [&](u64 now, vnet::Span packet) {
    const auto bytes = vnet::pcap::record(1'700'000'000 * seconds + now, packet);
    file.insert(file.end(), bytes.begin(), bytes.end());
  };
  pair.fabric.capture(*pair.port_a, record);
  pair.set_links({.latency = ms, .loss = 50'000});
  for (const char* const address : {"10.0.0.2", "fd00::2"}) {
    const auto [from, to] = pair.connect(80, address);
    usize sent = 0;
    std::string got;
    for (u32 i = 0; i < 1000 && got.size() < 50'000; ++i) {
      if (sent < 50'000) {
        const auto count = from->write(bytes_of(pattern_text(sent, 50'000 - sent)));
        if (error(count) == Errno::success) sent += value(count);
      }
      pair.run(50 * ms);
      got += read_from(*to);
    }
    CHECK(got == pattern_text(0, 50'000));
    from->close();
    to->close();
    pair.run(100 * seconds);
  }
  const auto sockets = open_sockets(pair);
  value(sockets.from->send(bytes_of(pattern_text(0, 5000)), {at("10.0.0.2"), 9999}));
  value(sockets.from->send(bytes_of("x"), {at("10.0.0.2"), 9998}));
  pair.run(seconds);

  const auto packets = packets_of(file);
  CHECK(packets.size() > 150);
  for (const auto& each : packets) CHECK(mistake_in_packet(each) == "");

  // The same by a tool of others, where there is one.
  std::string path = "/tmp/atoll-vnet-XXXXXX";
  const int fd = mkstemp(path.data());
  REQUIRE(fd >= 0);
  REQUIRE(write(fd, file.data(), file.size()) == static_cast<ssize_t>(file.size()));
  close(fd);
  const auto output_of = [](const std::string& command) {
    std::string text;
    FILE* const pipe = popen(command.c_str(), "r");
    REQUIRE(pipe != nullptr);
    char buffer[4096];
    for (usize count; (count = fread(buffer, 1, sizeof buffer, pipe)) > 0;)
      text.append(buffer, count);
    pclose(pipe);
    return text;
  };
  const auto count_of = [](std::string_view text, std::string_view what) {
    usize count = 0;
    for (usize i = text.find(what); i != text.npos; i = text.find(what, i + 1)) ++count;
    return count;
  };
  const std::string text = output_of("tcpdump -nvvr " + path + " 2>&1");
  if (text.find("reading from file") == text.npos) {
    MESSAGE("SKIPPED: tcpdump is not installed: only this test's own reader has read the capture");
  } else {
    CHECK(count_of(text, "(correct)") > 100);
    CHECK(count_of(text, "incorrect") == 0);
    CHECK(count_of(text, "bad ") == 0);
    CHECK(count_of(text, "[udp sum ok]") + count_of(text, "udp 5000") > 0);
  }
  const std::string tshark =
      output_of("tshark -nr " + path +
                " -o tcp.check_checksum:TRUE -o udp.check_checksum:TRUE -o ip.check_checksum:TRUE "
                "-Y '_ws.malformed || tcp.checksum.status==0 || udp.checksum.status==0' "
                "2>/dev/null; echo $?");
  if (tshark.ends_with("127\n")) {
    MESSAGE("SKIPPED: tshark is not installed");
  } else {
    CHECK(tshark == "0\n");
  }
  unlink(path.c_str());
}
