// The module `spectest` that the specification's scripts import from.
#pragma once

#include <memory>

#include "vm/runtime/program.hpp"

namespace atollvm::conformance {

// Globals of 666 and 666.6, a table of 10 to 20 functions, a memory of 1 to 2 pages, and functions
// that take values and print nothing. Made as a guest's module, verified as any other.
std::shared_ptr<const runtime::Program> make_spectest();

}  // namespace atollvm::conformance
