#include "assembler/text/parser.hpp"

#include <utility>

namespace atollvm::text {

u32 Unit::intern_type(const std::vector<ValType>& params, const std::vector<ValType>& results) {
  std::string key;
  for (ValType type : params) key += static_cast<char>(type);
  key += ')';
  for (ValType type : results) key += static_cast<char>(type);
  const auto [at, is_new] =
      type_numbers_.try_emplace(std::move(key), static_cast<u32>(module.types.size()));
  if (is_new) module.types.push_back({params, results});
  return at->second;
}

std::string Parser::found() const {
  switch (at_->kind) {
    case Kind::end:
      return "the end of the file";
    case Kind::newline:
      return file_->spelling(*at_) == ";" ? "`;`" : "the end of the line";
    default:
      return text_of(*at_);
  }
}

std::string Parser::operator_hint() const {
  if (at_ == file_->tokens.data()) return {};
  const Token& before = at_[-1];
  if (before.kind != Kind::rparen &&
      (before.kind != Kind::name || binding(before.value).kind != Bind::reg)) {
    return {};
  }
  static constexpr std::pair<Kind, const char*> operations[] = {
      {Kind::plus, "i32.add"},    {Kind::minus, "i32.sub"},     {Kind::star, "i32.mul"},
      {Kind::slash, "i32.div_s"}, {Kind::percent, "i32.rem_s"}, {Kind::amp, "i32.and"},
      {Kind::pipe, "i32.or"},     {Kind::caret, "i32.xor"},     {Kind::shl, "i32.shl"},
      {Kind::shr, "i32.shr_s"},   {Kind::lt, "i32.lt_s"},       {Kind::le, "i32.le_s"},
      {Kind::gt, "i32.gt_s"},     {Kind::ge, "i32.ge_s"},       {Kind::eq, "i32.eq"},
      {Kind::ne, "i32.ne"}};
  for (const auto& [kind, operation] : operations) {
    if (is(kind)) return std::string("operators are for constants: (") + operation + " a, b)";
  }
  return {};
}

void Parser::missing(const char* what) {
  fail(*at_, std::string("expected ") + what + ", found " + found(), operator_hint());
}

void Parser::expect_end() {
  if (at_end() || is(Kind::rbrace)) return;
  fail(*at_, "expected the end of the statement, found " + found(), operator_hint());
}

void Parser::skip_statement() {
  for (;; ++at_) {
    if (at_end() || is(Kind::rbrace)) return;
    if (is(Kind::lbrace)) at_ = file_->tokens.data() + at_->value;
  }
}

Symbol Parser::new_name(const char* what) {
  if (!is(Kind::name)) missing(what);
  const Symbol symbol = at_->value;
  if (symbol < reserved_words) {
    fail(*at_, text_of(*at_) + " is a keyword and cannot be a name");
  }
  if (is_operation(symbol, operation_count_)) {
    fail(*at_, text_of(*at_) + " is an operation and cannot be a name");
  }
  if (text(symbol).find('.') != std::string_view::npos) {
    fail(*at_, "a name cannot have a dot: " + text_of(*at_));
  }
  ++at_;
  return symbol;
}

std::string Parser::near_miss(std::string_view wanted, std::initializer_list<Bind> kinds) const {
  NearMiss near(wanted);
  for (Symbol symbol = 0; symbol < unit_.bindings.size() && symbol < unit_.names.size(); ++symbol) {
    for (Bind kind : kinds) {
      if (binding(symbol).kind == kind) near.consider(text(symbol));
    }
  }
  return near.hint();
}

u32 Parser::item(Bind kind, const char* what) {
  if (!is(Kind::name)) missing(("a " + std::string(what)).c_str());
  const Binding bound = binding(at_->value);
  if (bound.kind != kind) {
    if (bound.kind == Bind::none) {
      fail(*at_, "there is no " + std::string(what) + " " + text_of(*at_),
           near_miss(text(at_->value), {kind}));
    }
    fail(*at_, text_of(*at_) + " is not a " + what, near_miss(text(at_->value), {kind}));
  }
  ++at_;
  return bound.index;
}

std::optional<ValType> Parser::value_type_here() const {
  if (!is(Kind::name)) return std::nullopt;
  switch (static_cast<Keyword>(at_->value)) {
    case Keyword::i32:
      return ValType::i32;
    case Keyword::i64:
      return ValType::i64;
    case Keyword::f32:
      return ValType::f32;
    case Keyword::f64:
      return ValType::f64;
    case Keyword::funcref:
      return ValType::funcref;
    case Keyword::externref:
      return ValType::externref;
    default:
      return std::nullopt;
  }
}

ValType Parser::value_type() {
  const auto type = value_type_here();
  if (!type) {
    std::string hint = "types are i32, i64, f32, f64, funcref, externref";
    if (is(Keyword::i8) || is(Keyword::u8) || is(Keyword::i16) || is(Keyword::u16) ||
        is(Keyword::u32)) {
      hint = "a register of type i32 holds it; loads and stores have the width";
    }
    fail(*at_, "expected a type, found " + found(), std::move(hint));
  }
  ++at_;
  return *type;
}

std::string Parser::string() {
  if (!is(Kind::string)) missing("a string");
  const std::string_view quotes = file_->spelling(*at_);
  const std::string_view inner = quotes.substr(0, quotes.size() - (quotes.ends_with('"') ? 1 : 0));
  std::string out;
  out.reserve(inner.size());
  for (usize at = 1; at < inner.size();) {
    const usize begin = at;
    if (const char* wrong = decode_character(inner, at, out)) {
      unit_.reporter.error(
          {file_number_, at_->begin + static_cast<u32>(begin), static_cast<u32>(at - begin)},
          wrong);
    }
  }
  ++at_;
  return out;
}

}  // namespace atollvm::text
