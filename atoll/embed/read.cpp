#include "atoll/embed/read.hpp"

#include <span>

#include "assembler/wasm/image.hpp"
#include "assembler/wasm/wasm.hpp"
#include "vm/module/codec.hpp"

namespace atollvm {

base::Result<mod::Module> read_any(std::string_view bytes) {
  const std::span data(reinterpret_cast<const u8*>(bytes.data()), bytes.size());
  return wasm::is_wasm(data) ? wasm::translate(data) : mod::read(data);
}

base::Result<verify::VerifiedModule> read_verified(std::string_view bytes) {
  auto module = read_any(bytes);
  if (!module) return std::move(module).error();
  return verify::verify(*std::move(module));
}

}  // namespace atollvm
