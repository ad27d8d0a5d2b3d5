// How compiled code counts fuel: a block's is taken at its begin, and what traps on the way gives
// back what the rest of the block would have cost. So at each safepoint as much is left as the
// interpreter would have left.
//
// A block begins at a function's start and at labels, and behind what branches, calls or ends. Bulk
// operations are in no block: the runtime takes their fuel, which depends on their lengths.
#pragma once

#include "vm/module/module.hpp"

namespace atollvm::jit {

// Whether the next instruction begins a block.
bool ends_fuel_block(isa::Op op);

// What the instructions cost from the one at `pc` on, to the end of its block; 0 for a bulk
// operation. `pc` is a word of the function's.
u32 fuel_from(const mod::Module& module, const mod::Function& function, u32 pc);

// The same from the instruction after it on.
u32 fuel_after(const mod::Module& module, const mod::Function& function, u32 pc);

}  // namespace atollvm::jit
