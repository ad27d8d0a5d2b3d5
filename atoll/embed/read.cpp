#include "atoll/embed/read.hpp"

#include <span>

#include "assembler/wasm/image.hpp"
#include "assembler/wasm/wasm.hpp"
#include "vm/module/codec.hpp"

namespace atollvm {

base::Result<mod::Module> read_any(std::string_view bytes, const LoadOptions& options) {
  const std::span data(reinterpret_cast<const u8*>(bytes.data()), bytes.size());
  if (!wasm::is_wasm(data)) return mod::read(data);
  wasm::TranslateOptions inner;
  if (options.reader) {
    inner.source_map = [&options](std::string_view url) -> std::optional<std::string> {
      if (url.starts_with("./")) url.remove_prefix(2);
      if (url.empty() || url.find('/') != url.npos) return std::nullopt;
      auto found = options.reader(options.name, url);
      if (!found) return std::nullopt;
      return std::move(found->text);
    };
  }
  return wasm::translate(data, inner);
}

base::Result<verify::VerifiedModule> read_verified(std::string_view bytes,
                                                   const LoadOptions& options) {
  auto module = read_any(bytes, options);
  if (!module) return std::move(module).error();
  return verify::verify(*std::move(module));
}

}  // namespace atollvm
