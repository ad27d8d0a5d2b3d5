// The linker: several modules to one.
//
// - Imports from the module "" (`extern`) are what any other input exports under that name; imports
//   from a module that is the name of another input are that input's exports. All other imports
//   stay.
// - Memory 0 of all inputs becomes one memory: static data lie one after another in the order of
//   the inputs, moved by the relocations that objects carry (docs/format.md). Its size is all
//   static data and the largest free space that an input asks for.
// - What cannot be reached from exports, start functions, and segments with an effect is dropped:
//   functions, imports, globals, tables, types, segments; names and lines with them.
// - Several start functions run in the order of the inputs.
#pragma once

#include <string>
#include <vector>

#include "vm/base/result.hpp"
#include "vm/module/module.hpp"

namespace atollvm::link {

struct Input {
  std::string file;  // as errors name it
  mod::Module module;
};

struct Options {
  std::string name;                  // of the output; empty: that of the first input
  std::vector<std::string> exports;  // those that stay; empty: all
};

// The same inputs give the same module; it is verified. Errors: not_found (a symbol that no input
// defines), invalid (duplicate exports, types that do not match, inputs that cannot be joined, an
// input or result that the verifier refuses), malformed (relocations). The message has a line for
// each mistake, with the file. Reentrant.
base::Result<mod::Module> link(std::vector<Input> inputs, const Options& options = {});

}  // namespace atollvm::link
