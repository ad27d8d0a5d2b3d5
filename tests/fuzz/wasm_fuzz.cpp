// Any bytes are refused as WebAssembly in order, or give a module that the verifier accepts.
#include <cstdio>
#include <cstdlib>

#include "assembler/wasm/wasm.hpp"
#include "vm/verify/verify.hpp"

using namespace atollvm;

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
  auto module = wasm::translate({data, size});
  if (!module.ok()) {
    if (!module.error().message.empty()) return 0;
    std::fprintf(stderr, "an error without a reason\n");
    std::abort();
  }
  const auto verified = verify::verify(std::move(*module));
  if (!verified.ok()) {
    std::fprintf(stderr, "%s\n", verified.error().text().c_str());
    std::abort();
  }
  return 0;
}
