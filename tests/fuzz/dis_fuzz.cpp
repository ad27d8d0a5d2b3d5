// Module files to text and back: a verified module comes back byte for byte, and the text of one
// that is not even valid still assembles or is refused in order.
#include <cstdlib>

#include "assembler/text/disassemble.hpp"
#include "tests/support/reassemble.hpp"
#include "vm/module/codec.hpp"
#include "vm/verify/verify.hpp"

using namespace atollvm;

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
  auto module = mod::read({data, size});
  if (!module.ok()) return 0;
  const std::string source = text::disassemble(*module);
  const text::Assembly again = test::reassemble(source);
  const auto verified = verify::verify(*module);
  if (!verified.ok()) return 0;
  if (!again.ok() || mod::write(again.module) != mod::write(**verified)) std::abort();
  return 0;
}
