#include "assembler/wasm/line_table.hpp"

#include <algorithm>
#include <tuple>

namespace atollvm::wasm {

const CodeLine* LineTable::at(u32 offset) const {
  const auto after =
      std::upper_bound(lines.begin(), lines.end(), offset,
                       [](u32 wanted, const CodeLine& line) { return wanted < line.offset; });
  if (after == lines.begin()) return nullptr;
  const CodeLine& line = *(after - 1);
  return line.line != 0 ? &line : nullptr;
}

void sort_lines(LineTable& table) {
  std::vector<CodeLine>& lines = table.lines;
  // The end of one sequence is often where another begins: ends go first.
  const auto order = [](const CodeLine& x, const CodeLine& y) {
    return std::make_tuple(x.offset, x.line != 0) < std::make_tuple(y.offset, y.line != 0);
  };
  if (!std::is_sorted(lines.begin(), lines.end(), order)) {
    std::stable_sort(lines.begin(), lines.end(), order);
  }
  usize kept = 0;
  for (usize i = 0; i < lines.size(); ++i) {
    const CodeLine line = lines[i];
    if (i + 1 < lines.size() && lines[i + 1].offset == line.offset) continue;
    if (kept != 0) {
      const CodeLine& before = lines[kept - 1];
      if (line.line == before.line &&
          (line.line == 0 || (line.file == before.file && line.column == before.column))) {
        continue;
      }
    }
    lines[kept++] = line;
  }
  lines.resize(kept);
}

}  // namespace atollvm::wasm
