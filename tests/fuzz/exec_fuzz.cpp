// Bytes to a verified program, run in several ways under tight limits: all must agree, and none
// may crash. The first byte varies the arguments.
#include <cstdio>
#include <cstdlib>

#include "tests/support/compare.hpp"

extern "C" int LLVMFuzzerTestOneInput(const atollvm::u8* data, atollvm::usize size);

extern "C" int LLVMFuzzerTestOneInput(const atollvm::u8* data, atollvm::usize size) {
  using namespace atollvm::test;
  Entropy entropy({data, size});
  const atollvm::u64 seed = entropy.byte();
  const Comparison comparison = compare_runs(ProgramGenerator(entropy).make(), seed);
  if (!comparison.error.empty()) {
    std::fprintf(stderr, "%s\n", comparison.error.c_str());
    std::abort();
  }
  return 0;
}
