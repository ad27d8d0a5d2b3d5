// What a program has, and this module does not need.
#pragma once

#include "assembler/text/unit.hpp"

namespace atollvm::text {

// Finds what is left out: of libraries, what the program does not reach; and the tests that are not
// kept, with what only they reach. Data, globals, tables, elements and types are marked as unused,
// functions are taken when something uses them. Linear in the tokens.
void leave_out(Unit& unit);

}  // namespace atollvm::text
