// Motu: mistakes, the lexer, and the parser.
#pragma once

#include <atoll/diagnostic.hpp>

#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace motu {

using std::string;
using std::string_view;

inline bool one_of(string_view text, std::initializer_list<string_view> list) {
  for (const string_view each : list) {
    if (each == text) return true;
  }
  return false;
}

inline string join(const std::vector<string>& parts, string_view between) {
  string out;
  for (std::size_t i = 0; i < parts.size(); ++i) (i ? out += between : out) += parts[i];
  return out;
}

// --- Mistakes ------------------------------------------------------------------------------------

// `kind`: real, integer, name, string, end, or the keyword or sign itself.
struct Token {
  string kind, text;
  std::uint32_t line = 0, column = 0;
};

struct Mistake {
  Token token;
  string message, hint;
};

[[noreturn]] inline void fail(const Token& token, string message, string hint = "") {
  throw Mistake{token, std::move(message), std::move(hint)};
}

inline std::uint32_t characters(string_view text) {
  std::uint32_t count = 0;
  for (const char c : text) count += (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  return count;
}

// As Atoll's own tools show mistakes.
inline string text_of(const Mistake& mistake, const string& file, const string& source) {
  std::size_t begin = 0;
  for (std::uint32_t line = 1; line < mistake.token.line; ++line) {
    begin = source.find('\n', begin) + 1;
  }
  atollvm::Diagnostic shown;
  shown.file = file;
  shown.line = mistake.token.line;
  shown.column = mistake.token.column;
  shown.width = characters(mistake.token.text);
  shown.message = mistake.message;
  shown.hint = mistake.hint;
  shown.line_text = source.substr(begin, source.find('\n', begin) - begin);
  return to_text(shown, false);
}

// --- Lexer ---------------------------------------------------------------------------------------

inline bool is_digit(char c) { return c >= '0' && c <= '9'; }
inline bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

inline bool is_keyword(string_view text) {
  return one_of(text, {"fn", "let", "if", "else", "while", "return", "print", "put", "true",
                       "false", "and", "or", "not", "int", "float", "bool"});
}

class Lexer {
 public:
  explicit Lexer(const string& source) : source_(source) {}

  std::vector<Token> lex() {
    std::vector<Token> tokens;
    while (at_ < source_.size()) {
      const std::size_t begin = at_;
      string kind = one();
      const string text = source_.substr(begin, at_ - begin);
      if (kind == "sign" || is_keyword(text)) kind = text;
      if (kind != "space") tokens.push_back(token(kind, begin));
      for (std::size_t i = begin; i < at_; ++i) {
        if (source_[i] != '\n') continue;
        ++line_;
        line_begin_ = i + 1;
      }
    }
    tokens.push_back(token("end", at_));
    return tokens;
  }

 private:
  [[nodiscard]] char peek(std::size_t ahead = 0) const {
    return at_ + ahead < source_.size() ? source_[at_ + ahead] : '\0';
  }

  Token token(const string& kind, std::size_t begin) {
    const string_view before = string_view(source_).substr(line_begin_, begin - line_begin_);
    return {kind, source_.substr(begin, at_ - begin), line_, characters(before) + 1};
  }

  void digits() {
    while (is_digit(peek())) ++at_;
  }

  // Moves over one token and gives its kind.
  string one() {
    const char c = peek();
    if (one_of(string_view(&c, 1), {" ", "\t", "\r", "\n"})) {
      ++at_;
      return "space";
    }
    if (c == '/' && peek(1) == '/') {
      while (at_ < source_.size() && peek() != '\n') ++at_;
      return "space";
    }
    if (is_digit(c)) return number();
    if (is_letter(c)) {
      while (is_letter(peek()) || is_digit(peek())) ++at_;
      return "name";
    }
    if (c == '"') return quoted();
    if (one_of(string_view(source_).substr(at_, 2), {"->", "<=", ">=", "==", "!="})) {
      at_ += 2;
      return "sign";
    }
    if (c != '\0' && string_view("-+*/%<>=(){},:;").find(c) != string_view::npos) {
      ++at_;
      return "sign";
    }
    const std::size_t begin = at_++;
    while ((static_cast<unsigned char>(peek()) & 0xc0) == 0x80) ++at_;
    fail(token("", begin), "there is no such character in the language");
  }

  string number() {
    digits();
    if (peek() != '.' || !is_digit(peek(1))) return "integer";
    ++at_;
    digits();
    const bool sign = peek(1) == '+' || peek(1) == '-';
    if (peek() == 'e' && is_digit(peek(sign ? 2 : 1))) {
      at_ += sign ? 2 : 1;
      digits();
    }
    return "real";
  }

  string quoted() {
    const std::size_t begin = at_++;
    for (;; ++at_) {
      const char c = peek();
      if (c == '"') break;
      const bool escape = c == '\\' && one_of(source_.substr(at_ + 1, 1), {"n", "t", "\"", "\\"});
      if (at_ >= source_.size() || c == '\n' || (c == '\\' && !escape)) {
        at_ = begin + 1;
        fail(token("", begin), "this string does not end, or has an unknown escape");
      }
      if (escape) ++at_;
    }
    ++at_;
    return "string";
  }

  const string& source_;
  std::size_t at_ = 0, line_begin_ = 0;
  std::uint32_t line_ = 1;
};

// --- Parser --------------------------------------------------------------------------------------

// An expression or a statement: what it is, its first or main token, its parts.
struct Node {
  string kind;
  Token token;
  std::vector<Node> parts{};
  string value{};           // of a literal as text; the type that a `let` names
  std::int64_t number = 0;  // of int and bool
  string type{};  // of an expression, once it is checked: int, float, bool, or empty for none
};

struct Function {
  Token name;
  std::vector<std::pair<Token, string>> params;
  string result;
  Node body;
};

inline int level_of(string_view op) {
  if (op == "or") return 1;
  if (op == "and") return 2;
  if (one_of(op, {"==", "!=", "<", "<=", ">", ">="})) return 4;
  if (one_of(op, {"+", "-"})) return 5;
  return one_of(op, {"*", "/", "%"}) ? 6 : 0;
}
constexpr int not_level = 3, compare_level = 4, minus_level = 7;
constexpr int max_depth = 100;

class Parser {
 public:
  explicit Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  std::vector<Function> program() {
    std::vector<Function> functions;
    while (!is("end")) functions.push_back(function());
    return functions;
  }

 private:
  [[nodiscard]] const Token& token() const { return tokens_[at_]; }
  [[nodiscard]] bool is(string_view kind) const { return token().kind == kind; }
  const Token& take() { return tokens_[is("end") ? at_ : at_++]; }
  bool accept(string_view kind) { return is(kind) && (++at_, true); }
  const Token& expect(string_view kind, const string& what) {
    if (!is(kind)) {
      fail(token(), "expected " + what + ", found " +
                        (is("end") ? "the end of the file" : "`" + token().text + "`"));
    }
    return take();
  }

  // Counts what nests: Atoll's assembler stops at 256 levels, this parser before.
  void nest() {
    if (++depth_ > max_depth) {
      fail(token(), "this is nested more than " + std::to_string(max_depth) + " deep");
    }
  }

  string type() {
    if (is("float") || is("bool")) return take().kind;
    return expect("int", "a type (int, float, bool)").kind;
  }

  Function function() {
    expect("fn", "`fn`");
    Function made;
    made.name = expect("name", "the function's name");
    expect("(", "`(`");
    while (!is(")")) {
      const Token param = expect("name", "a parameter's name");
      expect(":", "`:` and the parameter's type");
      made.params.emplace_back(param, type());
      if (!accept(",")) break;
    }
    expect(")", "`)`");
    if (accept("->")) made.result = type();
    made.body = block();
    return made;
  }

  Node block() {
    nest();
    expect("{", "`{`");
    Node made{"block", {}};
    while (!is("}") && !is("end")) made.parts.push_back(statement());
    made.token = expect("}", "`}`");
    --depth_;
    return made;
  }

  Node statement() {
    const Token first = token();
    Node node{first.kind, first};
    if (is("if")) return if_statement();
    if (accept("while")) {
      node.parts.push_back(expression());
      node.parts.push_back(block());
      return node;
    }
    if (accept("let")) {
      node.token = expect("name", "the variable's name");
      if (accept(":")) node.value = type();
      expect("=", "`=` and the variable's value");
      node.parts.push_back(expression());
    } else if (accept("return")) {
      if (!is(";")) node.parts.push_back(expression());
    } else if (accept("print") || accept("put")) {
      while (!is(";")) {
        node.parts.push_back(is("string") ? Node{"string", take()} : expression());
        if (!accept(",")) break;
      }
    } else if (is("name") && tokens_[at_ + 1].kind == "=") {
      at_ += 2;
      node.kind = "set";
      node.parts.push_back(expression());
    } else {
      node.kind = "call statement";
      node.parts.push_back(expression());
      if (node.parts[0].kind != "call") fail(first, "expected a statement, found an expression");
    }
    expect(";", "`;`");
    return node;
  }

  Node if_statement() {
    nest();
    Node node{"if", take()};
    node.parts.push_back(expression());
    node.parts.push_back(block());
    if (accept("else")) {
      if (is("if")) {
        Node inner{"block", token()};
        inner.parts.push_back(if_statement());
        node.parts.push_back(std::move(inner));
      } else {
        node.parts.push_back(block());
      }
    }
    --depth_;
    return node;
  }

  // A Pratt parser: takes operators of the level `least` and above.
  Node expression(int least = 1) {
    const int depth = depth_;
    nest();
    Node left = prefix();
    while (level_of(token().kind) >= least) {
      nest();
      Node made{"binary", take()};
      const int level = level_of(made.token.kind);
      made.parts.push_back(std::move(left));
      made.parts.push_back(expression(level + 1));
      left = std::move(made);
      if (level == compare_level && level_of(token().kind) == compare_level) {
        fail(token(), "comparisons do not chain", "a < b and b < c");
      }
    }
    depth_ = depth;
    return left;
  }

  Node prefix() {
    const Token first = token();
    if (accept("integer")) {
      Node made{"int", first};
      const char* end = first.text.data() + first.text.size();
      if (std::from_chars(first.text.data(), end, made.number).ec != std::errc()) {
        fail(first, "the number is above 2^63 - 1");
      }
      return made;
    }
    if (accept("real")) {
      if (std::isinf(std::strtod(first.text.c_str(), nullptr))) {
        fail(first, "the number is too large for a float");
      }
      return {"float", first, {}, first.text};
    }
    if (accept("true") || accept("false")) {
      return {"bool", first, {}, "", first.kind == "true" ? 1 : 0};
    }
    if (accept("not")) return {"unary", first, {expression(not_level + 1)}};
    if (accept("-")) return {"unary", first, {expression(minus_level)}};
    if (accept("(")) {
      Node inner = expression();
      expect(")", "`)`");
      return inner;
    }
    if (accept("int") || accept("float")) return call(first);
    expect("name", "an expression");
    return is("(") ? call(first) : Node{"name", first};
  }

  Node call(const Token& name) {
    expect("(", "`(`");
    Node node{"call", name};
    while (!is(")")) {
      node.parts.push_back(expression());
      if (!accept(",")) break;
    }
    expect(")", "`,` or `)`");
    return node;
  }

  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace motu
