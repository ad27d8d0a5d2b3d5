// Names, DWARF and source maps of any bytes: a table in order whose files exist.
#include <cstdlib>

#include "assembler/wasm/dwarf_lines.hpp"
#include "assembler/wasm/source_map.hpp"

using namespace atollvm;

namespace {

void check(const wasm::LineTable& table) {
  for (usize i = 0; i < table.lines.size(); ++i) {
    const wasm::CodeLine& line = table.lines[i];
    if (i > 0 && table.lines[i - 1].offset >= line.offset) std::abort();
    if (line.line != 0 && line.file >= table.files.size()) std::abort();
  }
}

wasm::Image small_image() {
  static constexpr u8 bytes[] = {0, 'a', 's', 'm', 1, 0, 0,  0, 1, 4, 1, 0x60,
                                 0, 0,   3,   2,   1, 0, 10, 4, 1, 2, 0, 0x0b};
  auto image = wasm::read_image(bytes);
  if (!image) std::abort();
  return *std::move(image);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  // As a module.
  if (auto image = wasm::read_image({data, size})) {
    wasm::read_names(*image);
    check(wasm::dwarf_lines(*image));
    (void)wasm::source_map_url(*image);
  }
  // As a source map.
  static const wasm::Image image = small_image();
  check(wasm::source_map_lines(text, image));
  // As debug sections: the first two bytes say where the texts begin.
  if (size < 2) return 0;
  const std::span<const u8> rest(data + 2, size - 2);
  const usize first = rest.size() * data[0] / 256;
  const usize second = first + (rest.size() - first) * data[1] / 256;
  check(wasm::dwarf_lines(wasm::DebugSections{rest, rest.subspan(first), rest.subspan(second)},
                          1000));
  return 0;
}
