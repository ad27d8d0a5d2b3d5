// Virtual networks as they are shown.
#include "stdlib/vnet/drawing.hpp"
#include "tests/unit/vnet.hpp"

using namespace atollvm;
using namespace atollvm::tests;

namespace {

// Whether each element that begins ends, in order.
bool is_balanced(std::string_view xml) {
  std::vector<std::string_view> open;
  for (usize at = xml.find('<'); at != xml.npos; at = xml.find('<', at + 1)) {
    const usize end = xml.find('>', at);
    if (end == xml.npos) return false;
    const std::string_view tag = xml.substr(at + 1, end - at - 1);
    if (tag.ends_with('/')) continue;
    const std::string_view name = tag.substr(tag.starts_with('/') ? 1 : 0, tag.find(' '));
    if (!tag.starts_with('/')) {
      open.push_back(name);
    } else if (open.empty() || open.back() != name) {
      return false;
    } else {
      open.pop_back();
    }
  }
  return open.empty();
}

usize count_of(std::string_view text, std::string_view what) {
  usize count = 0;
  for (usize at = text.find(what); at != text.npos; at = text.find(what, at + 1)) ++count;
  return count;
}

}  // namespace

TEST_CASE("vnet drawings: faults in words") {
  CHECK(vnet::to_text(vnet::LinkSettings{}) == "");
  CHECK(vnet::to_text(vnet::LinkSettings{.latency = 10 * ms, .jitter = 2'500'000}) ==
        "10 ms +- 2.5 ms");
  CHECK(vnet::to_text(vnet::LinkSettings{.jitter = 7}) == "0 ns +- 7 ns");
  CHECK(vnet::to_text(vnet::LinkSettings{.bandwidth = 1'500'000, .queue = 5, .loss = 12'345}) ==
        "1.5 Mbit/s, queue of 5, loss 1.2345%");
  CHECK(vnet::to_text(vnet::LinkSettings{.duplication = 1, .reordering = 1'000'000}) ==
        "duplication 0.0001%, reordering 100%");
  CHECK(vnet::to_text(vnet::LinkSettings{.latency = 1, .is_down = true}) == "down");
}

TEST_CASE("vnet drawings: text and SVG") {
  vnet::Fabric fabric(1);
  CHECK(vnet::draw_text(fabric).empty());
  CHECK(is_balanced(vnet::draw_svg(fabric)));
  auto* const inside = made(fabric.add_switch("inside", {prefix("10.1.0.0", 24)}));
  auto* const outside =
      made(fabric.add_switch("outside", {prefix("10.2.0.0", 24), prefix("fd02::", 64)}));
  auto* const router = made(fabric.add_router("router"));
  auto* const a = made(fabric.add_stack("a"));
  auto* const b = made(fabric.add_stack("b"));
  made(fabric.add_stack("unplugged"));
  made(fabric.attach(*router, *inside));
  made(fabric.attach(*router, *outside));
  auto* const port = made(fabric.attach(*a, *inside));
  auto* const other = made(fabric.attach(*b, *outside));
  made(fabric.add_route(*a, prefix("0.0.0.0", 0), at("10.1.0.1")));
  fabric.set_link(*port, {.latency = 10 * ms}, {.latency = 10 * ms});
  fabric.set_link(*other, {}, {.is_down = true});
  vnet::Node* const one[] = {a};
  vnet::Node* const two[] = {b};
  fabric.partition(two, one, true);
  CHECK(vnet::draw_text(fabric) ==
        "inside  10.1.0.0/24\n"
        "|-- router  10.1.0.1\n"
        "`-- a       10.1.0.2  [10 ms]\n"
        "outside  10.2.0.0/24, fd02::/64\n"
        "|-- router  10.2.0.1, fd02::1\n"
        "`-- b       10.2.0.2, fd02::2  [out: clean; in: down]\n"
        "a: 0.0.0.0/0 by 10.1.0.1\n"
        "nothing passes to a from b\n");
  fabric.partition(one, two);
  CHECK(vnet::draw_text(fabric).ends_with("nothing passes between a and b\n"));
  const std::string svg = vnet::draw_svg(fabric);
  CHECK(is_balanced(svg));
  CHECK(count_of(svg, "<line") == 4);
  CHECK(count_of(svg, "stroke-dasharray") == 1);
  CHECK(count_of(svg, "<title>a-inside: 10.1.0.2; 10 ms</title>") == 1);
  CHECK(count_of(svg, "nothing passes between a and b") == 1);
}
