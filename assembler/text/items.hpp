// The items of a program: everything outside of function bodies.
#pragma once

#include "assembler/text/parser.hpp"

namespace atollvm::text {

// Reads the items of a file whose tokens are there, and of those that it uses.
void collect_items(Unit& unit, u32 file);

// Gives the items that exist once in the module (memories, globals, tables) their numbers, and
// own functions theirs; then looks at constants and structures that nobody uses, for mistakes.
void number_items(Unit& unit);

// The number that a use of a function item takes: of its index space for imports, else to be moved
// behind the imports at the end.
u32 use_function(Unit& unit, u32 item);

// Puts all but the functions into the module.
void build_module(Unit& unit);

}  // namespace atollvm::text
