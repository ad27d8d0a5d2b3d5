// What `atoll repl` must know of its input before the assembler sees it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <atoll/value.hpp>

namespace atollvm::cli {

// Whether brackets, a block comment or a statement are still open at the end: there is more to
// come.
bool is_unfinished(std::string_view text);

// Whether a text has more than comments in it.
bool has_words(std::string_view text);

// What a text defines, if it begins with an item's word.
struct Definition {
  std::string kind;  // "func", "struct", ...; empty: the text is no definition
  std::string name;  // may be empty
};
Definition definition_in(std::string_view text);

struct Variable {
  std::string name;
  ValueType type = ValueType::i32;
  std::uint64_t bits = 0;  // as in Value
  bool declared = false;   // by the line at hand
};

// The variables that `var` statements declare outside of blocks, with numbers as types. Where the
// text is wrong, the assembler says so.
std::vector<Variable> declared_in(std::string_view text);

}  // namespace atollvm::cli
