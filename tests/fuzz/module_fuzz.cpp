// Any bytes: the reader and the verifier accept or refuse them without a crash, and what was read
// is written as it was.
#include <cstdlib>

#include "vm/module/codec.hpp"
#include "vm/verify/verify.hpp"

using namespace atollvm;

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
  auto module = mod::read({data, size});
  if (!module.ok()) {
    if (module.error().place.empty() || module.error().message.empty()) std::abort();
    return 0;
  }
  const std::string again = mod::write(*module);
  if (again != std::string_view(reinterpret_cast<const char*>(data), size)) std::abort();
  const auto verified = verify::verify(std::move(*module));
  if (!verified.ok() && (verified.error().place.empty() || verified.error().message.empty())) {
    std::abort();
  }
  return 0;
}
