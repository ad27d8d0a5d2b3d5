#include "assembler/wasm/dwarf_lines.hpp"
#include "assembler/wasm/form.hpp"
#include "assembler/wasm/function.hpp"
#include "assembler/wasm/source_map.hpp"
#include "assembler/wasm/wasm.hpp"

namespace atollvm::wasm {

namespace {

// Room for all the code and its labels at once: growing step by step, the old and the new code are
// in memory together. Compilers' code takes 0.2 to 0.35 words and 0.03 labels a byte; room that is
// left over is address space only, as nobody writes to it.
void reserve_code(Image& image) {
  usize bytes = 0;
  for (const Body& body : image.bodies) bytes += body.end - body.begin;
  image.module.code.reserve(bytes * 3 / 8);
  image.module.labels.reserve(bytes / 16);
}

}  // namespace

base::Result<mod::Module> translate(std::span<const u8> bytes, const TranslateOptions& options) {
  auto image = read_image(bytes);
  if (!image) return std::move(image).error();
  // Before the code: messages name functions.
  read_names(*image);
  LineTable lines;
  if (options.line_table) {
    lines = dwarf_lines(*image);
    if (const std::string url = source_map_url(*image);
        lines.lines.empty() && !url.empty() && options.source_map) {
      if (const auto json = options.source_map(url)) lines = source_map_lines(*json, *image);
    }
    image->module.files = std::move(lines.files);
  }
  reserve_code(*image);
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
