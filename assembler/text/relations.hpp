// Comparisons: which operation is which, and what is the opposite.
#pragma once

#include <optional>

#include "assembler/text/mnemonics.hpp"

namespace atollvm::text {

constexpr bool is_float(mod::ValType type) {
  return type == mod::ValType::f32 || type == mod::ValType::f64;
}

// True exactly when `rel` is false, also with a NaN.
Rel inverse(Rel rel, bool floats);
// The relation of b to a.
Rel swapped(Rel rel);
// Whether operations on two registers have this relation; if not, they have the swapped one.
bool in_registers(Rel rel);

// The operation that gives 0 or 1; there is none for nlt, nle.
isa::Op compare_op(mod::ValType type, Rel rel, bool immediate);
// The forward branch.
isa::Op branch_op(mod::ValType type, Rel rel, bool immediate);
// The backward branch to a forward one; for br.load* it is the other one.
isa::Op backward(isa::Op forward);
isa::Op memory_backward(isa::Op forward);
// The conditional return of an immediate branch: returns when the branch is not taken.
std::optional<isa::Op> return_op(isa::Op branch);
// The scan that goes back while what is loaded has this relation to a register; i32 and i64.
isa::Op scan_op(mod::ValType type, Rel rel);

}  // namespace atollvm::text
