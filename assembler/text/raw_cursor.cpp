#include "assembler/text/raw_cursor.hpp"

#include <optional>

#include "assembler/text/floats.hpp"

namespace atollvm::text {

const char* RawCursor::decode(const File& file, u32 token, std::string& out) {
  std::string_view text = file.spelling(file.tokens[token]);
  if (text.starts_with('"')) text.remove_prefix(1);
  if (text.ends_with('"')) text.remove_suffix(1);
  const char* wrong = nullptr;
  for (usize at = 0; at < text.size();) {
    if (const char* message = decode_character(text, at, out)) wrong = message;
  }
  return wrong;
}

std::string item_name(const File& file, u32 token) {
  const Token& name = file.tokens[token];
  if (name.kind != Kind::string) return std::string(file.spelling(name));
  std::string out;
  RawCursor::decode(file, token, out);
  return out;
}

u64 RawCursor::float_bits(bool is_f64) {
  const u32 first = at;
  const bool negative = accept(Kind::minus);
  const bool is_literal = is(Kind::real) || is_number() || is_word("inf") || is_word("nan");
  if (!is_literal) fail_here("a float is missing here");
  const std::string_view spelling = file.spelling(peek());
  ++at;
  if (is_f64) {
    const auto bits = f64_bits(spelling);
    if (!bits) fail(first, "this is no f64 number");
    return *bits | u64{negative} << 63;
  }
  const auto bits = f32_bits(spelling);
  if (!bits) fail(first, "this is no f32 number");
  return *bits | u32{negative} << 31;
}

mod::ValType RawCursor::value_type() {
  using mod::ValType;
  for (ValType type : {ValType::i32, ValType::i64, ValType::f32, ValType::f64, ValType::v128,
                       ValType::funcref, ValType::externref}) {
    if (accept_word(mod::name_of(type))) return type;
  }
  fail_here("a type is missing here", "one of i32, i64, f32, f64, funcref, externref");
}

mod::FuncType RawCursor::signature() {
  mod::FuncType type;
  expect(Kind::lparen, "`(`");
  if (!accept(Kind::rparen)) {
    do type.params.push_back(value_type());
    while (accept(Kind::comma));
    expect(Kind::rparen, "`)`");
  }
  if (accept(Kind::arrow)) {
    do type.results.push_back(value_type());
    while (accept(Kind::comma));
  }
  return type;
}

void RawCursor::end_of_statement() {
  if (is(Kind::newline) || is(Kind::end) || is(Kind::rbrace)) return;
  fail_here("the end of the line is missing here");
}

void RawCursor::skip_statement() {
  while (!is(Kind::newline) && !is(Kind::end) && !is(Kind::rbrace)) {
    at = is(Kind::lbrace) ? peek().value : at;
    ++at;
  }
}

}  // namespace atollvm::text
