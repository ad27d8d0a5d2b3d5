#include "cli/flame.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <map>

#include "cli/xml.hpp"

namespace atollvm::cli {

namespace {

constexpr double width = 1200;
constexpr double side = 10;  // left free on both sides
constexpr double row = 17;
constexpr double head = 50;
constexpr double narrowest = 0.1;  // that is drawn
constexpr double letter = 6.8;     // of the font, about
constexpr size_t color_count = 6;  // classes c0 to c5 below

constexpr const char* style = R"(<style>
text { font: 11px monospace; fill: #222; pointer-events: none }
.title { font: bold 15px sans-serif } .note { font: 12px sans-serif } .back { fill: #fff }
.c0 { fill: #f2a65a } .c1 { fill: #eebb4d } .c2 { fill: #e98a5b } .c3 { fill: #e6c86e }
.c4 { fill: #dd7f6a } .c5 { fill: #f0b27a } rect:hover { stroke: #222 }
@media (prefers-color-scheme: dark) { .back { fill: #16181c } .title, .note { fill: #ddd } }
</style>
)";

// A function as called by the functions above it.
struct Node {
  std::uint64_t samples = 0;  // with those of what it calls
  std::uint64_t own = 0;
  std::map<std::string, Node> callees;
};

Node tree_of(const std::vector<StackSamples>& stacks) {
  Node root;
  for (const StackSamples& stack : stacks) {
    Node* node = &root;
    node->samples += stack.count;
    for (const std::string& function : stack.functions) {
      node = &node->callees[function];
      node->samples += stack.count;
    }
    node->own += stack.count;
  }
  return root;
}

// At most so many characters.
std::string shortened(const std::string& text, size_t most) {
  size_t characters = 0;
  size_t cut = text.size();
  for (size_t at = 0; at < text.size(); ++at) {
    if ((static_cast<unsigned char>(text[at]) & 0xc0) == 0x80) continue;  // goes on with one
    if (characters + 2 == most) cut = std::min(cut, at);
    if (++characters > most) return text.substr(0, cut) + "..";
  }
  return text;
}

class Drawing {
 public:
  explicit Drawing(const Node& root) : samples_(static_cast<double>(root.samples)) {
    draw("all", root, 0, 0);
  }
  [[nodiscard]] size_t rows() const { return boxes_.size(); }

  // The outermost functions at the bottom.
  [[nodiscard]] std::string text(double top) const {
    std::string svg;
    for (size_t depth = boxes_.size(); depth-- > 0;) {
      const double y = top + row * static_cast<double>(boxes_.size() - 1 - depth);
      for (const Box& box : boxes_[depth]) svg += box_text(box, y);
    }
    return svg;
  }

 private:
  struct Box {
    std::string name;
    const Node* node;
    double x;
    double width;
  };

  void draw(const std::string& name, const Node& node, double before, size_t depth) {
    const double scale = (width - 2 * side) / samples_;
    const double wide = scale * static_cast<double>(node.samples);
    if (!(wide >= narrowest)) return;
    if (boxes_.size() <= depth) boxes_.resize(depth + 1);
    boxes_[depth].push_back({name, &node, side + scale * before, wide});
    for (const auto& [callee, its] : node.callees) {
      draw(callee, its, before, depth + 1);
      before += static_cast<double>(its.samples);
    }
  }

  [[nodiscard]] std::string box_text(const Box& box, double y) const {
    size_t color = 0;
    for (const char each : box.name) color = color * 31 + static_cast<unsigned char>(each);
    std::string svg = fmt::format(
        "<g><title>{}: {} samples, {:.2f} %, {} of them its own</title>"
        "<rect class=\"c{}\" x=\"{:.2f}\" y=\"{:.0f}\" width=\"{:.2f}\" height=\"{:.0f}\" "
        "rx=\"1\"/>",
        xml_escaped(box.name, false), box.node->samples,
        100 * static_cast<double>(box.node->samples) / samples_, box.node->own, color % color_count,
        box.x, y, std::max(box.width - 0.5, narrowest), row - 1);
    const auto letters = static_cast<size_t>((box.width - 6) / letter * (box.width > 6 ? 1 : 0));
    if (letters >= 3) {
      svg += fmt::format("<text x=\"{:.2f}\" y=\"{:.0f}\">{}</text>", box.x + 3, y + row - 5,
                         xml_escaped(shortened(box.name, letters), false));
    }
    return svg + "</g>\n";
  }

  double samples_;
  std::vector<std::vector<Box>> boxes_;  // by depth
};

}  // namespace

std::string folded(const std::vector<StackSamples>& stacks) {
  std::string text;
  for (const StackSamples& stack : stacks) {
    for (size_t i = 0; i < stack.functions.size(); ++i) {
      if (i > 0) text += ';';
      for (const char each : stack.functions[i]) {
        // The format has no way to write these.
        const bool is_control = static_cast<unsigned char>(each) < 0x20 || each == 0x7f;
        text += is_control ? '?' : each == ';' ? ':' : each;
      }
    }
    text += fmt::format(" {}\n", stack.count);
  }
  return text;
}

std::string flame_svg(const std::string& title, const std::vector<StackSamples>& stacks) {
  const Node root = tree_of(stacks);
  const Drawing drawing(root);
  const double height = head + row * static_cast<double>(std::max<size_t>(drawing.rows(), 1)) + 10;
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" "
      "height=\"{1}\">\n{2}<rect class=\"back\" width=\"{0}\" height=\"{1}\"/>\n"
      "<text class=\"title\" x=\"{3}\" y=\"22\">{4}</text>\n"
      "<text class=\"note\" x=\"{3}\" y=\"40\">{5}</text>\n",
      width, height, style, side, xml_escaped(title, false),
      root.samples == 0
          ? "no samples"
          : fmt::format("{} samples; each function lies above its caller", root.samples));
  return svg + drawing.text(head) + "</svg>\n";
}

}  // namespace atollvm::cli
