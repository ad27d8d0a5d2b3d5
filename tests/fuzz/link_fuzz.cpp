// Small modules, linked: a program that does what it must, or, of spoilt inputs, a valid module or
// an error with a message.
#include <cstdio>
#include <cstdlib>

#include "tests/support/link_inputs.hpp"

using namespace atollvm;

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
  const auto [made, mistake] = test::LinkGenerator(test::Entropy({data, size})).make();
  const std::string error = mistake.empty() ? test::check_link(made) : mistake;
  if (!error.empty()) {
    std::fprintf(stderr, "%s\n", error.c_str());
    std::abort();
  }
  return 0;
}
