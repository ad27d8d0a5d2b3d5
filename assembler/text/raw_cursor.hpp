// A place in a token list, for the raw parsers. Its failures throw Stop after the report.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "assembler/text/diagnostics.hpp"
#include "assembler/text/lexer.hpp"
#include "assembler/text/raw.hpp"

namespace atollvm::text {

struct RawCursor {
  const File& file;
  u32 file_number;
  Reporter& reporter;
  u32 at;

  [[nodiscard]] const Token& peek(u32 ahead = 0) const {
    return file.tokens[std::min<usize>(at + ahead, file.tokens.size() - 1)];
  }
  [[nodiscard]] bool is(Kind kind) const { return peek().kind == kind; }
  [[nodiscard]] bool is_word(std::string_view word) const {
    return is(Kind::name) && file.spelling(peek()) == word;
  }
  [[nodiscard]] bool is_number() const { return is(Kind::integer) || is(Kind::wide); }
  [[nodiscard]] bool is_name() const { return is(Kind::name) || is(Kind::string); }
  bool accept(Kind kind) { return is(kind) && (++at, true); }
  bool accept_word(std::string_view word) { return is_word(word) && (++at, true); }

  void report(u32 token, std::string message, std::string hint = {}) {
    const Token& place = file.tokens[token];
    reporter.error({file_number, place.begin, std::max<u32>(place.length, 1)}, std::move(message),
                   std::move(hint));
  }
  [[noreturn]] void fail(u32 token, std::string message, std::string hint = {}) {
    report(token, std::move(message), std::move(hint));
    throw Stop{};
  }
  [[noreturn]] void fail_here(std::string message, std::string hint = {}) {
    fail(at, std::move(message), std::move(hint));
  }
  void expect(Kind kind, std::string_view what) {
    if (!accept(kind)) fail_here(fmt::format("{} is missing here", what));
  }
  void expect_word(std::string_view word) {
    if (!accept_word(word)) fail_here(fmt::format("`{}` is missing here", word));
  }

  // An unsigned number of at most `limit`.
  u64 number(u64 limit, std::string_view what) {
    if (!is_number()) fail_here(fmt::format("{} is missing here", what));
    const Token& token = peek();
    const u64 value = token.kind == Kind::wide ? file.wides[token.value].value : token.value;
    if (value > limit) fail_here(fmt::format("{} is at most {}", what, limit));
    ++at;
    return value;
  }
  // A number of `bits` bits, perhaps with a sign; without one it may use all bits unless
  // `is_signed`. Result: two's complement, cut to `bits`.
  u64 immediate(u32 bits, bool is_signed) {
    const u32 first = at;
    const bool negative = accept(Kind::minus);
    const u64 value = number(~u64{0}, "a number");
    const u64 half = u64{1} << (bits - 1);
    const u64 mask = half | (half - 1);
    if (negative ? value > half : value > (is_signed ? half - 1 : mask)) {
      fail(first, fmt::format("the number does not fit {} bits", bits));
    }
    return (negative ? ~value + 1 : value) & mask;
  }

  // A name or string, unless the next token is neither: RawFunction::none.
  u32 optional_name() { return is_name() ? at++ : RawFunction::none; }
  // A name, string or index.
  u32 reference(std::string_view what) {
    if (!is_name() && !is_number())
      fail_here(fmt::format("the name or index of {} is missing", what));
    return at++;
  }
  std::string string(std::string_view what) {
    if (!is(Kind::string)) fail_here(fmt::format("{} is missing: a string in quotes", what));
    return decoded(at++);
  }
  // What a string token holds; its mistakes are reported.
  std::string decoded(u32 token) {
    std::string out;
    if (const char* wrong = decode(file, token, out)) report(token, wrong);
    return out;
  }

  u64 float_bits(bool is_f64);
  mod::ValType value_type();
  mod::FuncType signature();
  void end_of_statement();
  // After a mistake: to the end of the line, over whole `{ }`.
  void skip_statement();

  static const char* decode(const File& file, u32 token, std::string& out);
};

}  // namespace atollvm::text
