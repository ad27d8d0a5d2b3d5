// Source text to tokens, in one pass.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "assembler/text/names.hpp"

namespace atollvm::text {

enum class Kind : u8 {
  end,      // after the last token
  newline,  // end of a statement: a line's end, or `;`
  name,     // value: symbol; also words and operations, also dotted
  integer,  // value: the number
  wide,     // value: index into File::wides
  real,     // a float literal
  string,   // with its quotes
  dollar,   // $N; value: N
  lparen,
  rparen,
  lbracket,
  rbracket,
  lbrace,  // value: index of the matching token
  rbrace,  // value: index of the matching token
  comma,
  colon,
  arrow,    // ->
  dots,     // ..
  becomes,  // =>
  assign,   // =
  question,
  bang,
  tilde,
  plus,
  minus,
  star,
  slash,
  percent,
  amp,
  pipe,
  caret,
  shl,
  shr,
  lt,
  le,
  gt,
  ge,
  eq,
  ne,
  and_and,
  or_or,
};

struct Token {
  u32 begin = 0;  // byte in the text
  u32 value = 0;
  u32 length : 24 = 0;  // bytes; at most 2^24 - 1 are counted
  Kind kind : 8 = Kind::end;
};

// An integer literal of more than 32 bits.
struct Wide {
  u64 value;
  bool decimal;
};

// A source text and what the lexer finds in it.
struct File {
  std::string name;
  std::string text;
  bool library = false;  // found by `use std.xyz`: what nobody uses is left out
  std::vector<Token> tokens;
  std::vector<u32> line_begins;
  std::vector<Wide> wides;

  [[nodiscard]] std::string_view spelling(const Token& token) const {
    return std::string_view(text).substr(token.begin, token.length);
  }
};

class Reporter;

// Fills in all but name and text.
void lex(File& file, u32 file_number, Names& names, Reporter& reporter);

// Where the first byte that is not part of valid UTF-8 is, or npos.
usize find_invalid_utf8(std::string_view text);

// Decodes one character or escape of a quoted text at `at`, which it moves on, into `out`.
// Returns a message when it is wrong.
const char* decode_character(std::string_view text, usize& at, std::string& out);

}  // namespace atollvm::text
