#include "stdlib/vnet/drawing.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace atollvm::vnet {
namespace {

constexpr u32 column_width = 170;
constexpr u32 row_height = 150;
constexpr u32 box_width = 150;
constexpr u32 box_height = 52;
constexpr u32 margin = 20;
constexpr u32 bar_height = 22;
constexpr u32 below_bar = 40;  // where a bar's boxes begin

struct Unit {
  u64 size;
  const char* name;
};
constexpr Unit times[] = {{1'000'000'000, "s"}, {1'000'000, "ms"}, {1000, "us"}, {1, "ns"}};
constexpr Unit rates[] = {
    {1'000'000'000, "Gbit/s"}, {1'000'000, "Mbit/s"}, {1000, "kbit/s"}, {1, "bit/s"}};

// In the largest unit that it is a whole of, or has a few decimals of.
template <usize count>
std::string in_units(u64 number, const Unit (&units)[count]) {
  for (const Unit& each : units) {
    if (number < each.size) continue;
    return fmt::format("{:.6g} {}", static_cast<f64>(number) / static_cast<f64>(each.size),
                       each.name);
  }
  return fmt::format("0 {}", units[count - 1].name);
}

std::string in_percent(u32 in_a_million) {
  return fmt::format("{:.6g}%", static_cast<f64>(in_a_million) / 10'000);
}

std::string link_text(const Port& port) {
  const std::string up = to_text(port.to_switch().settings());
  const std::string down = to_text(port.from_switch().settings());
  if (up == down) return up;
  return fmt::format("out: {}; in: {}", up.empty() ? "clean" : up, down.empty() ? "clean" : down);
}

std::string addresses_of(const Port& port) {
  std::string text;
  for (const Family family : {Family::v4, Family::v6}) {
    const auto& address = port.address(family);
    if (address) text += (text.empty() ? "" : ", ") + net::to_text(*address);
  }
  return text;
}

std::string prefix_text(const net::Prefix& prefix) {
  return fmt::format("{}/{}", net::to_text(prefix.address), prefix.length);
}

std::string prefixes_of(const Switch& at) {
  std::string text;
  for (const net::Prefix& each : at.prefixes()) {
    text += (text.empty() ? "" : ", ") + prefix_text(each);
  }
  return text;
}

std::vector<std::string> partitions_of(const Fabric& fabric) {
  std::vector<std::string> lines;
  const auto& nodes = fabric.nodes();
  for (usize i = 0; i < nodes.size(); ++i) {
    for (usize j = i + 1; j < nodes.size(); ++j) {
      const bool is_out = fabric.is_cut(*nodes[i], *nodes[j]);
      const bool is_back = fabric.is_cut(*nodes[j], *nodes[i]);
      if (!is_out && !is_back) continue;
      const char* const how = is_out && is_back ? "and" : is_out ? "to" : "from";
      lines.push_back(fmt::format("nothing passes {} {} {} {}",
                                  is_out && is_back ? "between"
                                  : is_out          ? "from"
                                                    : "to",
                                  nodes[i]->name(), how, nodes[j]->name()));
    }
  }
  return lines;
}

}  // namespace

std::string to_text(const LinkSettings& settings) {
  if (settings.is_down) return "down";
  std::string text;
  const auto add = [&](const std::string& part) {
    if (!text.empty()) text += ", ";
    text += part;
  };
  if (settings.latency != 0 || settings.jitter != 0) {
    std::string part = in_units(settings.latency, times);
    if (settings.jitter != 0) part += " +- " + in_units(settings.jitter, times);
    add(part);
  }
  if (settings.bandwidth != 0) add(in_units(settings.bandwidth, rates));
  if (settings.queue != LinkSettings().queue) add(fmt::format("queue of {}", settings.queue));
  if (settings.loss != 0) add("loss " + in_percent(settings.loss));
  if (settings.duplication != 0) add("duplication " + in_percent(settings.duplication));
  if (settings.reordering != 0) add("reordering " + in_percent(settings.reordering));
  return text;
}

std::string draw_text(const Fabric& fabric) {
  std::string text;
  for (const auto& each : fabric.switches()) {
    text += fmt::format("{}  {}\n", each->name(), prefixes_of(*each));
    usize longest = 0;
    for (const Port* const port : each->ports()) {
      longest = std::max(longest, port->node().name().size());
    }
    for (const Port* const port : each->ports()) {
      const bool is_last = port == each->ports().back();
      text += fmt::format("{} {:<{}}  {}", is_last ? "`--" : "|--", port->node().name(), longest,
                          addresses_of(*port));
      if (const std::string faults = link_text(*port); !faults.empty())
        text += "  [" + faults + "]";
      text += '\n';
    }
  }
  for (const auto& each : fabric.nodes()) {
    for (const Route& route : each->routes()) {
      if (!route.via) continue;
      text += fmt::format("{}: {} by {}\n", each->name(), prefix_text(route.prefix),
                          net::to_text(*route.via));
    }
  }
  for (const std::string& line : partitions_of(fabric)) text += line + '\n';
  return text;
}

// Names and addresses have no character that XML would need another way of writing for.
std::string draw_svg(const Fabric& fabric) {
  const auto row_of = [&](const Switch& at) {
    const auto& all = fabric.switches();
    const auto found =
        std::find_if(all.begin(), all.end(), [&](const auto& each) { return each.get() == &at; });
    return static_cast<u32>(found - all.begin());
  };
  const auto bar_top = [&](const Switch& at) { return margin + row_of(at) * row_height; };
  const auto columns = std::max<usize>(fabric.nodes().size(), 1);
  const auto partitions = partitions_of(fabric);
  const usize width = 2 * margin + columns * column_width;
  const usize height = 2 * margin + fabric.switches().size() * row_height + partitions.size() * 18;
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} "
      "{1}\" font-family=\"sans-serif\" font-size=\"12\">\n"
      "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
      width, height);
  std::string boxes;
  for (usize i = 0; i < fabric.nodes().size(); ++i) {
    const Node& node = *fabric.nodes()[i];
    if (node.ports().empty()) continue;
    const usize left = margin + i * column_width + (column_width - box_width) / 2;
    const usize top = bar_top(node.ports().front()->at()) + bar_height + below_bar;
    for (usize k = 0; k < node.ports().size(); ++k) {
      const Port& port = *node.ports()[k];
      const u32 bar = bar_top(port.at());
      // Each NIC at a place of its own, from the bar above or the one below.
      const usize x = left + (k + 1) * box_width / (node.ports().size() + 1);
      const bool is_above = bar < top;
      const std::string faults = link_text(port);
      const bool is_down =
          port.to_switch().settings().is_down || port.from_switch().settings().is_down;
      svg += fmt::format(
          "<line x1=\"{0}\" y1=\"{1}\" x2=\"{0}\" y2=\"{2}\" stroke=\"{3}\" stroke-width=\"2\"{4}>"
          "<title>{5}: {6}{7}</title></line>\n",
          x, is_above ? bar + bar_height : top + box_height, is_above ? top : usize{bar},
          is_down          ? "#c62828"
          : faults.empty() ? "#546e7a"
                           : "#ef6c00",
          is_down ? " stroke-dasharray=\"4 4\"" : "", port.name(), addresses_of(port),
          faults.empty() ? "" : "; " + faults);
    }
    const bool is_router = node.kind() == Node::Kind::router;
    boxes += fmt::format(
        "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"{}\" fill=\"{}\" "
        "stroke=\"#37474f\"/>\n"
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\" font-weight=\"bold\">{}</text>\n"
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\" font-size=\"10\">{}</text>\n",
        left, top, box_width, box_height, is_router ? 26 : 4, is_router ? "#fff3e0" : "#e8f5e9",
        left + box_width / 2, top + 22, node.name(), left + box_width / 2, top + 40,
        addresses_of(*node.ports().front()));
  }
  for (const auto& each : fabric.switches()) {
    const u32 top = bar_top(*each);
    boxes += fmt::format(
        "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"3\" fill=\"#bbdefb\" "
        "stroke=\"#1565c0\"/>\n"
        "<text x=\"{}\" y=\"{}\"><tspan font-weight=\"bold\">{}</tspan> {}</text>\n",
        margin, top, width - 2 * margin, bar_height, margin + 8, top + 15, each->name(),
        prefixes_of(*each));
  }
  svg += boxes;
  for (usize i = 0; i < partitions.size(); ++i) {
    svg += fmt::format("<text x=\"{}\" y=\"{}\" fill=\"#c62828\">{}</text>\n", margin,
                       height - margin - (partitions.size() - 1 - i) * 18, partitions[i]);
  }
  return svg + "</svg>\n";
}

}  // namespace atollvm::vnet
