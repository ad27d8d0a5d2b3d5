// Raw functions and raw programs (docs/assembly.md, section 4): the exact text of a module, read
// from the lexer's tokens.
//
// For the assembler:
// - A program whose main file begins with `raw module` (is_raw_program) is raw as a whole:
//   assemble_raw gives its module.
// - In any other program an item that begins with `raw func` is read by parse_raw_function. It
//   yields code whose operands that name items are still zero; `references` tells where they go:
//   isa::write_field(&code[reference.word], reference.operand.field, index), after item_name() was
//   looked up in the name space of reference.operand.kind.
#pragma once

#include <string>
#include <vector>

#include "assembler/text/diagnostics.hpp"
#include "assembler/text/lexer.hpp"
#include "vm/module/module.hpp"

namespace atollvm::text {

struct RawReference {
  u32 word = 0;          // first word of the instruction, in RawFunction::code
  isa::Operand operand;  // what is named, and the field for its index
  u32 token = 0;         // the name, string or number
};

struct RawLine {
  u32 pc = 0;    // word in RawFunction::code
  u32 file = 0;  // token: string, or number of a file
  u32 line = 0;
  u32 column = 0;
};

struct RawFunction {
  static constexpr u32 none = ~0u;
  u32 item = 0;       // token `func`
  u32 number = none;  // token of the index, if given
  u32 name = none;    // token of the name or string, if given
  u32 type = none;    // token after `type`, if given
  mod::FuncType signature;
  u16 local_slots = 0;
  u16 frame_slots = 0;
  std::vector<isa::Word> code;
  std::vector<mod::Label> labels;
  std::vector<RawReference> references;
  std::vector<RawLine> lines;     // sorted by pc, none twice
  std::vector<mod::Name> locals;  // space local, index 0; sorted by slot, none twice
};

// Reads `raw func ...` of tokens `at`.. and moves `at` past it, also after mistakes, which go to
// the reporter (throws Enough as it does).
RawFunction parse_raw_function(const File& file, u32 file_number, u32& at, Reporter& reporter);

// The text of a token that names an item or is a string: the spelling, or what the quotes hold.
std::string item_name(const File& file, u32 token);

// True if the file begins with `raw module`.
bool is_raw_program(const File& file);

// Reads a raw program, up to its last token. Mistakes go to the reporter (throws Enough).
mod::Module assemble_raw(const File& file, u32 file_number, Reporter& reporter);

}  // namespace atollvm::text
