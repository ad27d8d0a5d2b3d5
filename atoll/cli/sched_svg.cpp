#include "cli/sched_svg.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cli/xml.hpp"

namespace atollvm::cli {

namespace {

constexpr double width = 720;
constexpr double left = 60;
constexpr double plot_width = 520;
constexpr double cdf_height = 260;
constexpr double share_height = 110;
constexpr size_t color_count = 8;  // classes c0 to c7 below

constexpr const char* style = R"(<style>
text { font: 12px sans-serif; fill: #222 } .title { font-size: 15px; font-weight: bold }
.back { fill: #fff } .axis { stroke: #888; fill: none } .grid { stroke: #ddd; fill: none }
.line { fill: none; stroke-width: 2 }
.c0 { stroke: #1f6fb4 } .c1 { stroke: #d9541e } .c2 { stroke: #2a8f3c } .c3 { stroke: #9a3fb0 }
.c4 { stroke: #a77c00 } .c5 { stroke: #c2185b } .c6 { stroke: #008c95 } .c7 { stroke: #666 }
@media (prefers-color-scheme: dark) {
text { fill: #ddd } .back { fill: #16181c } .axis { stroke: #888 } .grid { stroke: #333 }
.c0 { stroke: #6fb3ef } .c1 { stroke: #ff8f5c } .c2 { stroke: #6fd183 } .c3 { stroke: #d79be6 }
.c4 { stroke: #e6c34a } .c5 { stroke: #ff7fb0 } .c6 { stroke: #4fd6df } .c7 { stroke: #aaa }
}
</style>
)";

std::string text_at(double x, double y, const std::string& text, const char* anchor = "start") {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>\n", x, y, anchor,
                     xml_escaped(text, false));
}
std::string line_at(const char* kind, double x1, double y1, double x2, double y2) {
  return fmt::format("<path class=\"{}\" d=\"M{:.1f} {:.1f}L{:.1f} {:.1f}\"/>\n", kind, x1, y1, x2,
                     y2);
}
// An entry of a legend, the n-th from `top` on.
std::string legend(size_t n, double top, const std::string& name) {
  const double y = top + 10 + 18 * static_cast<double>(n);
  return fmt::format("<path class=\"line c{}\" d=\"M{} {}h20\"/>\n", n % color_count,
                     left + plot_width + 14, y) +
         text_at(left + plot_width + 40, y + 4, name);
}

std::string seconds_text(double seconds) {
  if (seconds < 1e-6) return fmt::format("{:.3g} ns", seconds * 1e9);
  if (seconds < 1e-3) return fmt::format("{:.3g} us", seconds * 1e6);
  if (seconds < 1) return fmt::format("{:.3g} ms", seconds * 1e3);
  return fmt::format("{:.3g} s", seconds);
}

std::string cdf(const std::vector<tools::Replay>& replays, double top) {
  double low = 1e300;
  double high = 1e-9;
  for (const auto& each : replays) {
    if (each.response_cdf.empty()) continue;
    low = std::min(low, each.response_cdf.front());
    high = std::max(high, each.response_cdf.back());
  }
  std::string svg = text_at(left, top - 10, "Response time: share of bursts done within");
  const double bottom = top + cdf_height;
  for (int i = 0; i <= 4; ++i) {
    const double y = bottom - cdf_height * i / 4;
    svg += line_at(i == 0 ? "axis" : "grid", left, y, left + plot_width, y);
    svg += text_at(left - 6, y + 4, fmt::format("{} %", 25 * i), "end");
  }
  if (low > high) return svg + text_at(left + 10, top + 20, "nothing was completed");
  const double first = std::floor(std::log10(std::max(low, 1e-9)));
  const double last = std::max(std::ceil(std::log10(high)), first + 1);
  const auto x_of = [&](double seconds) {
    const double power = std::clamp(std::log10(std::max(seconds, 1e-9)), first, last);
    return left + plot_width * (power - first) / (last - first);
  };
  for (double power = first; power <= last; ++power) {
    const double x = x_of(std::pow(10, power));
    svg += line_at("grid", x, top, x, bottom);
    svg += text_at(x, bottom + 18, seconds_text(std::pow(10, power) * 1.0000001), "middle");
  }
  for (size_t n = 0; n < replays.size(); ++n) {
    const auto& values = replays[n].response_cdf;
    if (!values.empty()) {
      svg += fmt::format("<path class=\"line c{}\" d=\"", n % color_count);
      for (size_t i = 0; i < values.size(); ++i) {
        const double share = static_cast<double>(i) / static_cast<double>(values.size() - 1);
        svg += fmt::format("{}{:.1f} {:.1f}", i == 0 ? 'M' : 'L', x_of(values[i]),
                           bottom - cdf_height * share);
      }
      svg += "\"/>\n";
    }
    svg += legend(n, top, replays[n].policy);
  }
  return svg;
}

std::string shares(const tools::Replay& replay, double top) {
  const double bottom = top + share_height;
  std::string svg = text_at(left, top - 8, "CPU shares over time: " + replay.policy);
  for (int i = 0; i <= 2; ++i) {
    const double y = bottom - share_height * i / 2;
    svg += line_at(i == 0 ? "axis" : "grid", left, y, left + plot_width, y);
    svg += text_at(left - 6, y + 4, fmt::format("{} %", 50 * i), "end");
  }
  svg += text_at(left, bottom + 16, "0 s");
  svg += text_at(left + plot_width, bottom + 16, seconds_text(replay.elapsed), "end");
  for (size_t n = 0; n < replay.groups.size(); ++n) {
    const auto& parts = replay.groups[n].parts;
    svg += fmt::format("<path class=\"line c{}\" d=\"", n % color_count);
    for (size_t i = 0; i < parts.size(); ++i) {
      const double x =
          left + plot_width * (static_cast<double>(i) + 0.5) / static_cast<double>(parts.size());
      svg +=
          fmt::format("{}{:.1f} {:.1f}", i == 0 ? 'M' : 'L', x, bottom - share_height * parts[i]);
    }
    svg += "\"/>\n";
    if (n < 6) svg += legend(n, top, replay.groups[n].name);
  }
  return svg;
}

}  // namespace

std::string sched_svg(const std::string& title, const std::vector<tools::Replay>& replays) {
  std::string body = cdf(replays, 70);
  double height = 70 + cdf_height + 40;
  for (const auto& each : replays) {
    if (each.groups.size() < 2) continue;
    body += shares(each, height + 24);
    height += 24 + share_height + 30;
  }
  return fmt::format(
             "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" "
             "height=\"{1}\">\n{2}<rect class=\"back\" width=\"{0}\" height=\"{1}\"/>\n"
             "<text class=\"title\" x=\"{3}\" y=\"28\">{4}</text>\n",
             width, height, style, left, xml_escaped(title, false)) +
         body + "</svg>\n";
}

}  // namespace atollvm::cli
