#include "assembler/wasm/source_map.hpp"

#include <array>
#include <limits>
#include <nlohmann/json.hpp>

#include "assembler/wasm/bytes.hpp"
#include "vm/base/utf8.hpp"
#include "vm/module/limits.hpp"

namespace atollvm::wasm {

namespace {

using Json = nlohmann::json;

// Numbers in base 64: six bits a letter, the highest says that more follow, the lowest of the
// first is the sign.
class Mappings {
 public:
  explicit Mappings(std::string_view text) : text_(text) {}

  [[nodiscard]] bool at_end() const { return at_ == text_.size(); }
  // Whether this is the end of a mapping; steps over the comma.
  [[nodiscard]] bool segment_ends() const { return at_end() || text_[at_] == ','; }
  void next_segment() {
    if (!at_end()) ++at_;
  }

  // False where there is no number of 32 bits.
  bool number(i64& value) {
    u64 bits = 0;
    for (u32 shift = 0; shift <= 30; shift += 5) {
      const i32 digit = at_end() ? -1 : digit_of(text_[at_]);
      if (digit < 0) return false;
      ++at_;
      bits |= static_cast<u64>(digit & 31) << shift;
      if ((digit & 32) != 0) continue;
      value = static_cast<i64>(bits >> 1);
      if ((bits & 1) != 0) value = -value;
      return true;
    }
    return false;
  }

 private:
  static i32 digit_of(char letter) {
    if (letter >= 'A' && letter <= 'Z') return letter - 'A';
    if (letter >= 'a' && letter <= 'z') return letter - 'a' + 26;
    if (letter >= '0' && letter <= '9') return letter - '0' + 52;
    return letter == '+' ? 62 : letter == '/' ? 63 : -1;
  }

  std::string_view text_;
  usize at_ = 0;
};

bool is_u32(i64 value) { return value >= 0 && value <= std::numeric_limits<u32>::max(); }

// Fields of a mapping: each is the difference to that of the mapping before.
struct Position {
  i64 offset = 0;  // in the file
  i64 source = 0;
  i64 line = 0;    // from 0
  i64 column = 0;  // from 0
};

void read_mappings(std::string_view text, const Image& image, u32 code_size, LineTable& table) {
  Mappings mappings(text.substr(0, text.find(';')));
  Position at;
  while (!mappings.at_end() && table.lines.size() < max_lines) {
    if (mappings.segment_ends()) {
      mappings.next_segment();
      continue;
    }
    Position step;
    if (!mappings.number(step.offset)) return;
    const bool mapped = !mappings.segment_ends();
    i64 name = 0;
    if (mapped && (!mappings.number(step.source) || !mappings.number(step.line) ||
                   !mappings.number(step.column))) {
      return;
    }
    if (!mappings.segment_ends() && !mappings.number(name)) return;
    if (!mappings.segment_ends()) return;
    mappings.next_segment();

    at = {at.offset + step.offset, at.source + step.source, at.line + step.line,
          at.column + step.column};
    if (at.offset < image.code_offset || at.offset - image.code_offset >= code_size) continue;
    CodeLine line{static_cast<u32>(at.offset - image.code_offset), 0, 0, 0};
    if (mapped && is_u32(at.source) && at.source < static_cast<i64>(table.files.size()) &&
        is_u32(at.line + 1) && at.line >= 0) {
      line.file = static_cast<u32>(at.source);
      line.line = static_cast<u32>(at.line + 1);
      if (at.column >= 0 && is_u32(at.column + 1)) line.column = static_cast<u32>(at.column + 1);
    }
    table.lines.push_back(line);
  }
}

// The root stands before each name: a budget keeps the names in proportion to the text.
void read_sources(const Json& map, const Json& sources, usize budget, LineTable& table) {
  std::string root;
  if (const auto found = map.find("sourceRoot"); found != map.end() && found->is_string()) {
    root = base::printable(found->get_ref<const std::string&>(), max_file_name);
    if (!root.empty() && root.back() != '/') root += '/';
  }
  for (const Json& source : sources) {
    if (table.files.size() >= mod::limits::files) break;
    const std::string name =
        source.is_string() ? base::printable(source.get_ref<const std::string&>(), max_file_name)
                           : "?";
    const usize size = root.size() + name.size();
    if (size > budget) break;
    budget -= size;
    table.files.push_back(root + name);
  }
}

}  // namespace

std::string source_map_url(const Image& image) {
  Bytes in(image.bytes.data() + image.source_map_url.begin,
           image.bytes.data() + image.source_map_url.end);
  const std::span<const u8> url = in.take(in.leb_u32());
  std::string text(reinterpret_cast<const char*>(url.data()), url.size());
  return base::is_utf8(text) ? text : std::string();
}

LineTable source_map_lines(std::string_view json, const Image& image) {
  LineTable table;
  if (image.bodies.empty()) return table;
  const Json map = Json::parse(json.begin(), json.end(), nullptr, false);
  if (!map.is_object()) return table;
  const auto version = map.find("version");
  const auto sources = map.find("sources");
  const auto mappings = map.find("mappings");
  if (version == map.end() || *version != 3 || sources == map.end() || !sources->is_array() ||
      mappings == map.end() || !mappings->is_string()) {
    return table;
  }
  read_sources(map, *sources, 1'000'000 + 16 * json.size(), table);
  read_mappings(mappings->get_ref<const std::string&>(), image,
                image.bodies.back().end - image.code_offset, table);
  sort_lines(table);
  return table;
}

}  // namespace atollvm::wasm
