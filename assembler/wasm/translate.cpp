#include "assembler/wasm/dwarf_lines.hpp"
#include "assembler/wasm/form.hpp"
#include "assembler/wasm/function.hpp"
#include "assembler/wasm/wasm.hpp"

namespace atollvm::wasm {

base::Result<mod::Module> translate(std::span<const u8> bytes, const TranslateOptions& options) {
  auto image = read_image(bytes);
  if (!image) return std::move(image).error();
  // Before the code: messages name functions.
  read_names(*image);
  LineTable lines;
  if (options.line_table) {
    lines = dwarf_lines(*image);
    image->module.files = std::move(lines.files);
  }
  FunctionTranslator translator(*image, lines.lines);
  for (u32 i = 0; i < image->bodies.size(); ++i) {
    if (auto error = translator.translate(i)) {
      if (error->code == base::ErrorCode::invalid) {
        if (auto malformed = find_malformed(*image, i)) return std::move(*malformed);
      }
      return std::move(*error);
    }
  }
  mod::Module module = std::move(image->module);
  if (!options.names) module.names.clear();
  if (module.lines.empty()) module.files.clear();
  return module;
}

}  // namespace atollvm::wasm
