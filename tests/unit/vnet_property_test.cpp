// Random schedules of faults: streams deliver what was sent or fail, nothing crosses a partition,
// memory has its bounds, and the same seed gives the same.
#include <map>

#include "stdlib/vnet/fabric.hpp"
#include "tests/unit/vnet.hpp"

using namespace atollvm;
using namespace atollvm::tests;
using cap::Errno;

namespace {

vnet::LinkSettings random_link(vnet::Chance& chance) {
  vnet::LinkSettings settings;
  if (chance.below(3) == 0) return settings;
  settings.latency = chance.below(50 * ms);
  settings.jitter = chance.below(20 * ms);
  if (chance.below(3) == 0) settings.bandwidth = 100'000 + chance.below(10'000'000);
  if (chance.below(4) == 0) settings.queue = static_cast<u32>(2 + chance.below(50));
  settings.loss = static_cast<u32>(chance.below(250'000));
  settings.duplication = static_cast<u32>(chance.below(200'000));
  settings.reordering = static_cast<u32>(chance.below(300'000));
  settings.is_down = chance.below(20) == 0;
  return settings;
}

struct End {
  std::shared_ptr<vnet::Stream> stream;
  u8 salt = 0;        // of what it sends, which begins with it
  u8 other_salt = 0;  // of what it gets
  usize to_send = 0;
  usize sent = 0;
  usize got = 0;
  bool has_ended = false;  // reading
  Errno error = Errno::success;
};

struct Outcome {
  u64 digest = 0;
  u32 whole = 0;
  u32 failed = 0;
  u32 shorts = 0;
};

class Schedule {
 public:
  explicit Schedule(u64 seed) : chance_(seed), fabric_(seed) {
    auto* const left = made(fabric_.add_switch("left", {prefix("10.1.0.0", 24)}));
    auto* const right =
        made(fabric_.add_switch("right", {prefix("10.2.0.0", 24), prefix("fd02::", 64)}));
    auto* const router = made(fabric_.add_router("router"));
    const net::Address at_left[] = {at("10.1.0.254")};
    const net::Address at_right[] = {at("10.2.0.254"), at("fd02::ffff")};
    ports_.push_back(made(fabric_.attach(*router, *left, at_left)));
    ports_.push_back(made(fabric_.attach(*router, *right, at_right)));
    router->set_translated(*ports_[1], chance_.below(2) == 0);
    const vnet::StackLimits limits{.send_buffer = 8192, .receive_buffer = 16384};
    for (const char* const name : {"a", "b", "c", "d"}) {
      auto* const stack = made(fabric_.add_stack(name, limits));
      const bool is_left = name[0] < 'c';
      ports_.push_back(made(fabric_.attach(*stack, is_left ? *left : *right)));
      made(fabric_.add_route(*stack, prefix("0.0.0.0", 0),
                             is_left ? at("10.1.0.254") : at("10.2.0.254")));
      stacks_.push_back(stack);
    }
    for (vnet::Port* const port : ports_) {
      if (port->node().kind() != vnet::Node::Kind::stack) continue;
      watch(*port);
    }
    for (vnet::Stack* const stack : stacks_) {
      listeners_.push_back(value(stack->listen({at("0.0.0.0"), 80}, 8)));
    }
  }

  Outcome run() {
    for (u32 step = 0; step < 400; ++step) {
      if (step < 200 && chance_.below(10) == 0) connect();
      if (step < 250 && chance_.below(12) == 0) change_link();
      if (step < 250 && chance_.below(25) == 0) change_partition();
      if (chance_.below(30) == 0 && step < 250) change_capture();
      transfer();
      turn(chance_.below(200 * ms));
      check_memory();
    }
    for (vnet::Port* const port : ports_) fabric_.set_link(*port, {}, {});
    heal();
    for (u32 step = 0; step < 3000 && !is_done(); ++step) {
      transfer();
      turn(seconds);
    }
    return finish();
  }

 private:
  void turn(u64 time) { REQUIRE(fabric_.run(fabric_.now() + time, 10'000'000)); }

  void watch(vnet::Port& port) {
    // What comes to a stack comes from none that is cut off from it.
    fabric_.capture(port, [this, &port](u64 now, vnet::Span packet) {
      const auto header = vnet::read_ip(packet);
      REQUIRE(header.has_value());
      digest_ = (digest_ ^ now ^ packet.size()) * 0x9e3779b97f4a7c15;
      for (const u8 byte : packet.subspan(header->header_size)) {
        digest_ = (digest_ ^ byte) * 0x100000001b3;
      }
      if (!port.has(header->destination)) return;
      for (vnet::Stack* const each : stacks_) {
        if (each->ports()[0]->has(header->source)) {
          REQUIRE_FALSE(cuts_.contains({each, &port.node()}));
        }
      }
    });
  }

  void connect() {
    auto* const from = stacks_[chance_.below(4)];
    auto* const to = stacks_[chance_.below(4)];
    const auto address = *to->ports()[0]->address(net::Family::v4);
    const auto stream = from->connect({address, 80});
    if (error(stream) != Errno::success) return;
    End end;
    end.stream = value(stream);
    add(end);
  }
  void add(End end) {
    end.salt = static_cast<u8>(ends_.size());
    end.to_send = chance_.below(100'000);
    ends_.push_back(end);
    REQUIRE(ends_.size() < 256);
    // Resets may be lost.
    CHECK(end.stream->set(net::Option::keepalive, 60) == Errno::success);
  }
  static u8 byte_of(u8 salt, u64 place) { return place == 0 ? salt : pattern(place, salt); }

  void change_link() {
    vnet::Port& port = *ports_[chance_.below(ports_.size())];
    const auto first = random_link(chance_);
    fabric_.set_link(port, first, random_link(chance_));
  }

  void change_partition() {
    if (chance_.below(2) == 0) return heal();
    std::vector<vnet::Node*> from;
    std::vector<vnet::Node*> to;
    for (vnet::Stack* const each : stacks_) (chance_.below(2) == 0 ? from : to).push_back(each);
    const bool is_one_way = chance_.below(2) == 0;
    fabric_.partition(from, to, is_one_way);
    for (vnet::Node* const one : from) {
      for (vnet::Node* const other : to) {
        cuts_[{one, other}] = true;
        if (!is_one_way) cuts_[{other, one}] = true;
      }
    }
  }
  void heal() {
    fabric_.heal();
    cuts_.clear();
  }
  // The short path is for those that nobody watches.
  void change_capture() {
    vnet::Port& port = *ports_[2 + chance_.below(4)];
    if (chance_.below(2) == 0) {
      fabric_.capture(port, vnet::Capture());
    } else {
      watch(port);
    }
  }

  void transfer() {
    for (const auto& listener : listeners_) {
      const auto accepted = listener->accept();
      if (error(accepted) != Errno::success) continue;
      End end;
      end.stream = value(accepted);
      add(end);
    }
    for (End& end : ends_) {
      if (chance_.below(2000) == 0 && end.error == Errno::success) {
        end.stream->abort(Errno::connreset);
        end.error = Errno::connreset;
      }
      if (chance_.below(3) != 0) write(end);
      if (chance_.below(3) != 0) read(end);
      if (end.stream->is_short()) ++shorts_;
    }
  }

  void write(End& end) {
    if (end.stream->connected() == Errno::again || end.error != Errno::success) return;
    const usize count = std::min<usize>(end.to_send - end.sent, 1 + chance_.below(9000));
    if (count == 0) {
      if (end.stream->state() == vnet::Stream::State::established ||
          end.stream->state() == vnet::Stream::State::close_wait) {
        CHECK(end.stream->shutdown(net::shutdown_write) == Errno::success);
      }
      return;
    }
    std::vector<u8> bytes(count);
    for (usize i = 0; i < count; ++i) bytes[i] = byte_of(end.salt, end.sent + i);
    const auto written = end.stream->write(bytes);
    if (const auto* const number = std::get_if<u32>(&written)) {
      end.sent += *number;
    } else if (std::get<Errno>(written) != Errno::again) {
      end.error = std::get<Errno>(written);
    }
  }

  void read(End& end) {
    if (end.has_ended || end.stream->connected() == Errno::again) return;
    u8 buffer[5000];
    const auto count = end.stream->read(std::span(buffer).first(1 + chance_.below(sizeof buffer)));
    if (const auto* const number = std::get_if<u32>(&count)) {
      if (end.got == 0 && *number > 0) end.other_salt = buffer[0];
      bool is_right = true;
      for (u32 i = 0; i < *number; ++i) {
        is_right &= buffer[i] == byte_of(end.other_salt, end.got + i);
      }
      REQUIRE(is_right);
      end.got += *number;
      end.has_ended = *number == 0;
    } else if (std::get<Errno>(count) != Errno::again) {
      end.error = std::get<Errno>(count);
      end.has_ended = true;
    }
  }

  void check_memory() {
    for (vnet::Stack* const stack : stacks_) {
      usize in_flight = 0;
      for (const auto& port : stack->ports()) in_flight += port->to_switch().packets();
      CHECK(in_flight <= 1000);
      CHECK(stack->memory() <= stack->sockets() * (8192 + 16384) + 1000 * 1500 + (256 << 10));
    }
  }

  [[nodiscard]] bool is_done() const {
    return std::all_of(ends_.begin(), ends_.end(), [](const End& end) {
      return end.error != Errno::success || (end.has_ended && end.sent == end.to_send);
    });
  }

  Outcome finish() {
    CHECK(is_done());
    Outcome outcome;
    for (const End& end : ends_) {
      ++(end.error == Errno::success ? outcome.whole : outcome.failed);
      if (end.got == 0) continue;
      // No more than was sent came, and an end only after all of it.
      const usize sent = ends_[end.other_salt].sent;
      CHECK(end.got <= sent);
      if (end.error == Errno::success) CHECK(end.got == sent);
    }
    for (const End& end : ends_) end.stream->close();
    for (const auto& each : listeners_) each->close();
    turn(1000 * seconds);
    for (vnet::Stack* const each : stacks_) {
      CHECK(each->sockets() == 0);
      CHECK(each->memory() == 0);
    }
    outcome.digest = digest_;
    outcome.shorts = shorts_;
    return outcome;
  }

  vnet::Chance chance_;
  vnet::Fabric fabric_;
  std::vector<vnet::Port*> ports_;
  std::vector<vnet::Stack*> stacks_;
  std::vector<std::shared_ptr<vnet::Listener>> listeners_;
  std::vector<End> ends_;
  std::map<std::pair<const vnet::Node*, const vnet::Node*>, bool> cuts_;
  u64 digest_ = 1;
  u32 shorts_ = 0;
};

}  // namespace

TEST_CASE("vnet: streams under random faults") {
  Outcome sum;
  for (u64 seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    const Outcome outcome = Schedule(seed).run();
    sum.whole += outcome.whole;
    sum.failed += outcome.failed;
    sum.shorts += outcome.shorts;
  }
  MESSAGE(sum.whole, " ends were whole, ", sum.failed, " failed, ", sum.shorts,
          " on the short path");
  CHECK(sum.whole > 2 * sum.failed);
  CHECK(sum.failed > 10);
  CHECK(sum.shorts > 100);
}

TEST_CASE("vnet: the same seed gives the same packets") {
  for (const u64 seed : {7, 8, 9}) {
    const u64 first = Schedule(seed).run().digest;
    CHECK(first == Schedule(seed).run().digest);
    CHECK(first != Schedule(seed + 100).run().digest);
  }
}
