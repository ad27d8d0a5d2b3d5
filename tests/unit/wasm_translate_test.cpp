// WebAssembly functions as they run once translated; and modules that are made to need much.
#include "assembler/wasm/wasm.hpp"
#include "tests/support/process.hpp"
#include "tests/support/wasm_bytes.hpp"

using namespace atollvm;
using namespace atollvm::test;

namespace {

constexpr u8 i32_type = 0x7f;

// A module of one function with these locals (groups) and this code, less its last end.
ByteString module_of(const ByteString& type, const ByteString& locals, const ByteString& code) {
  WasmBytes module;
  module.section(1, list({type})).section(3, list({leb(0)}));
  module.section(10, list({sized(locals + code + ByteString{0x0b})}));
  return module.bytes;
}

std::vector<u64> results_of(const ByteString& bytes, const std::vector<u64>& arguments) {
  auto module = wasm::translate(bytes);
  REQUIRE_MESSAGE(module.ok(), (module.ok() ? "" : module.error().text()));
  auto verified = verify::verify(*std::move(module));
  REQUIRE_MESSAGE(verified.ok(), (verified.ok() ? "" : verified.error().text()));
  const auto process = process_of(runtime::Program::make(*std::move(verified)));
  return call(*process, 0, arguments);
}

}  // namespace

TEST_CASE("a local that is set twice while its old value is on the operand stack") {
  // get 0, get 1, set 0, set 0, get 0
  const ByteString bytes = module_of(func_type({i32_type, i32_type}, {i32_type}), {0},
                                     {0x20, 0, 0x20, 1, 0x21, 0, 0x21, 0, 0x20, 0});
  CHECK(results_of(bytes, {5, 7}) == std::vector<u64>{5});
}
