#include "assembler/text/lexer.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "assembler/text/diagnostics.hpp"

namespace atollvm::text {

namespace {

constexpr usize max_source = 0x7fff'ffff;  // bytes

enum Class : u8 { other, space, letter, digit };

constexpr std::array<u8, 256> make_classes() {
  std::array<u8, 256> classes{};
  for (u32 c = 0; c < 256; ++c) {
    if (c == ' ' || c == '\t' || c == '\r') classes[c] = space;
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_') classes[c] = letter;
    if (c >= '0' && c <= '9') classes[c] = digit;
  }
  return classes;
}
constexpr std::array<u8, 256> classes = make_classes();

u8 class_of(char c) { return classes[static_cast<u8>(c)]; }
bool is_word(char c) { return class_of(c) >= letter; }

int digit_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return 16;
}

// Words that begin an item or a statement: at the start of a line they end what was left open.
bool begins_statement(Symbol symbol) {
  switch (static_cast<Keyword>(symbol)) {
    case Keyword::func:
    case Keyword::var:
    case Keyword::if_:
    case Keyword::while_:
    case Keyword::loop:
    case Keyword::for_:
    case Keyword::switch_:
    case Keyword::break_:
    case Keyword::continue_:
    case Keyword::export_:
    case Keyword::import_:
    case Keyword::extern_:
    case Keyword::macro:
    case Keyword::struct_:
    case Keyword::enum_:
    case Keyword::const_:
      return true;
    default:
      return false;
  }
}

bool begins_item(Symbol symbol) {
  switch (static_cast<Keyword>(symbol)) {
    case Keyword::func:
    case Keyword::export_:
    case Keyword::import_:
    case Keyword::extern_:
    case Keyword::macro:
      return true;
    default:
      return false;
  }
}

class Lexer {
 public:
  Lexer(File& file, u32 number, Names& names, Reporter& reporter)
      : file_(file),
        number_(number),
        names_(names),
        reporter_(reporter),
        begin_(file.text.data()),
        end_(begin_ + file.text.size()),
        at_(begin_) {}

  void run() {
    if (file_.text.size() > max_source) {
      error(begin_, 1, "the source is larger than 2 GiB");
      end_ = begin_;
    }
    file_.tokens.reserve(file_.text.size() / 4 + 16);
    file_.line_begins.push_back(0);
    const usize bad = find_invalid_utf8({begin_, static_cast<usize>(end_ - begin_)});
    if (bad == std::string_view::npos) {
      while (at_ != end_) next();
    } else {
      error(begin_ + bad, 1, "this is not valid UTF-8");
    }
    end_of_line();
    close_all();
    push(Kind::end, at_);
  }

 private:
  void error(const char* begin, usize length, std::string message, std::string hint = {}) {
    reporter_.error({number_, offset(begin), static_cast<u32>(std::max<usize>(length, 1))},
                    std::move(message), std::move(hint));
  }
  [[nodiscard]] u32 offset(const char* at) const { return static_cast<u32>(at - begin_); }
  [[nodiscard]] char peek(usize ahead = 0) const {
    return static_cast<usize>(end_ - at_) > ahead ? at_[ahead] : '\0';
  }

  void push(Kind kind, const char* begin, u32 value = 0) {
    Token token;
    token.begin = offset(begin);
    token.value = value;
    token.length = static_cast<u32>(std::min<usize>(static_cast<usize>(at_ - begin), 0xffffff));
    token.kind = kind;
    file_.tokens.push_back(token);
    last_ = kind;
  }

  // Whether a statement goes on after this token, on the next line.
  [[nodiscard]] bool continues() const {
    if (last_ >= Kind::arrow && last_ != Kind::bang) return true;
    if (last_ == Kind::comma) return true;
    if (last_ != Kind::name) return false;
    const auto word = static_cast<Keyword>(file_.tokens.back().value);
    return word == Keyword::and_ || word == Keyword::or_ || word == Keyword::not_;
  }

  void end_of_line() {
    if (nesting_ != 0 || last_ == Kind::newline || last_ == Kind::end || continues()) return;
    const char* here = at_;
    push(Kind::newline, here);
    file_.tokens.back().length = 1;
  }

  void next() {
    const char* begin = at_;
    const char c = *at_;
    switch (class_of(c)) {
      case space:
        do ++at_;
        while (at_ != end_ && class_of(*at_) == space);
        return;
      case letter:
        return name(begin);
      case digit:
        return number(begin);
      default:
        break;
    }
    switch (c) {
      case '\n':
        end_of_line();
        ++at_;
        file_.line_begins.push_back(offset(at_));
        return;
      case ';':
        ++at_;
        nesting_ = 0;
        if (last_ != Kind::newline && last_ != Kind::end) push(Kind::newline, begin);
        return;
      case '"':
        return string(begin);
      case '\'':
        return character(begin);
      case '$':
        return dollar(begin);
      case '/':
        if (peek(1) == '/') return line_comment();
        if (peek(1) == '*') return block_comment(begin);
        return punctuation(begin, Kind::slash, 1);
      case '{':
        open_brace(begin);
        return;
      case '}':
        close_brace(begin);
        return;
      default:
        return operation(begin, c);
    }
  }

  void name(const char* begin) {
    u32 hash = Names::seed;
    for (;;) {
      do hash = Names::step(hash, *at_++);
      while (at_ != end_ && is_word(*at_));
      if (peek() != '.' || !is_word(peek(1))) break;
      hash = Names::step(hash, *at_++);
    }
    const std::string_view text(begin, static_cast<usize>(at_ - begin));
    const Symbol symbol = names_.intern(text, hash);
    if (symbol == static_cast<Symbol>(Keyword::nan) && peek() == ':' && peek(1) == '0' &&
        (peek(2) == 'x' || peek(2) == 'X')) {
      at_ += 3;
      while (at_ != end_ && is_word(*at_)) ++at_;
      return push(Kind::real, begin);
    }
    if (symbol < word_count && (nesting_ != 0 || !braces_.empty())) recover(begin, symbol);
    push(Kind::name, begin, symbol);
  }

  // A line that begins like an item or statement is one, whatever was left open above it.
  void recover(const char* begin, Symbol symbol) {
    if (!begins_statement(symbol)) return;
    const u32 line_begin = file_.line_begins.back();
    if (nesting_ != 0) {
      const Token& before = file_.tokens.back();
      const bool first =
          before.begin < line_begin &&
          std::all_of(
              begin_ + line_begin, begin, [](char each) { return class_of(each) == space; });
      if (first) {
        nesting_ = 0;
        // The line before ends where its last token does.
        const char* here = at_;
        at_ = begin_ + before.begin + before.length;
        push(Kind::newline, at_);
        file_.tokens.back().length = 1;
        at_ = here;
      }
    }
    if (!braces_.empty() && begin_ + line_begin == begin && begins_item(symbol)) {
      const char* here = at_;
      at_ = begin;
      close_all();
      at_ = here;
    }
  }

  void number(const char* begin) {
    u32 base = 10;
    if (*at_ == '0' && (peek(1) == 'x' || peek(1) == 'X')) base = 16;
    if (*at_ == '0' && (peek(1) == 'o' || peek(1) == 'O')) base = 8;
    if (*at_ == '0' && (peek(1) == 'b' || peek(1) == 'B')) base = 2;
    if (base != 10) at_ += 2;
    u64 value = 0;
    bool overflow = false;
    bool any = false;
    for (; at_ != end_; ++at_) {
      if (*at_ == '_') continue;
      const auto digit = static_cast<u32>(digit_value(*at_));
      if (digit >= base) break;
      overflow |= __builtin_mul_overflow(value, u64{base}, &value);
      overflow |= __builtin_add_overflow(value, u64{digit}, &value);
      any = true;
    }
    if (real(begin, base)) return;
    if (at_ != end_ && (is_word(*at_))) {
      while (at_ != end_ && is_word(*at_)) ++at_;
      error(begin, static_cast<usize>(at_ - begin), "this is not a number",
            base == 10 ? "names begin with a letter; numbers may hold `_` between digits"
                       : "a digit does not fit the base");
      return push(Kind::integer, begin, 0);
    }
    if (!any) error(begin, static_cast<usize>(at_ - begin), "digits are missing");
    if (overflow) {
      error(begin, static_cast<usize>(at_ - begin), "the number does not fit 64 bits");
      value = 0;
    }
    if (value <= 0xffffffffu) return push(Kind::integer, begin, static_cast<u32>(value));
    file_.wides.push_back({value, base == 10});
    push(Kind::wide, begin, static_cast<u32>(file_.wides.size() - 1));
  }

  // Goes on when a number turns out to be a float.
  bool real(const char* begin, u32 base) {
    if (base != 10 && base != 16) return false;
    const char exponent = base == 10 ? 'e' : 'p';
    bool is_real = false;
    if (peek() == '.' && digit_value(peek(1)) < static_cast<int>(base)) {
      is_real = true;
      ++at_;
      while (at_ != end_ && (*at_ == '_' || digit_value(*at_) < static_cast<int>(base))) ++at_;
    }
    if ((peek() | 0x20) == exponent) {
      const usize sign = peek(1) == '+' || peek(1) == '-' ? 1 : 0;
      if (class_of(peek(1 + sign)) == digit) {
        is_real = true;
        at_ += 1 + sign;
        while (at_ != end_ && (class_of(*at_) == digit || *at_ == '_')) ++at_;
      }
    }
    if (!is_real) return false;
    if (at_ != end_ && is_word(*at_)) {
      while (at_ != end_ && is_word(*at_)) ++at_;
      error(begin, static_cast<usize>(at_ - begin), "this is not a number");
    }
    push(Kind::real, begin);
    return true;
  }

  void string(const char* begin) {
    for (++at_; at_ != end_ && *at_ != '"' && *at_ != '\n'; ++at_) {
      if (*at_ == '\\' && at_ + 1 != end_ && at_[1] != '\n') ++at_;
    }
    if (at_ == end_ || *at_ == '\n') {
      error(begin, static_cast<usize>(at_ - begin), "the string does not end on its line",
            "write `\"` at its end; `\\n` stands for a new line");
    } else {
      ++at_;
    }
    push(Kind::string, begin);
  }

  void character(const char* begin) {
    ++at_;
    std::string bytes;
    u32 value = 0;
    if (at_ == end_ || *at_ == '\n' || *at_ == '\'') {
      if (peek() == '\'') ++at_;
      error(begin, static_cast<usize>(at_ - begin), "a character is missing between the quotes");
      return push(Kind::integer, begin, 0);
    }
    usize at = offset(at_);
    const char* wrong = decode_character(file_.text, at, bytes);
    at_ = begin_ + at;
    if (wrong != nullptr) {
      error(begin, static_cast<usize>(at_ - begin), wrong);
    } else {
      value = code_point(bytes);
    }
    if (peek() == '\'') {
      ++at_;
    } else if (wrong == nullptr) {
      while (at_ != end_ && is_word(*at_)) ++at_;
      if (peek() == '\'') ++at_;
      error(begin, static_cast<usize>(at_ - begin), "the character has no closing `'`",
            "strings stand in `\"`");
    }
    push(Kind::integer, begin, value);
  }

  static u32 code_point(const std::string& bytes) {
    const u8 first = static_cast<u8>(bytes[0]);
    if (bytes.size() == 1) return first;
    u32 value = first & (0x7fu >> bytes.size());
    for (usize i = 1; i < bytes.size(); ++i)
      value = value << 6 | (static_cast<u8>(bytes[i]) & 0x3f);
    return value;
  }

  void dollar(const char* begin) {
    u32 value = 0;
    for (++at_; at_ != end_ && class_of(*at_) == digit; ++at_) {
      if (value <= 0xffff) value = value * 10 + static_cast<u32>(*at_ - '0');
    }
    if (at_ == begin + 1) error(begin, 1, "a register number is missing after `$`");
    push(Kind::dollar, begin, value);
  }

  void line_comment() {
    const void* found = std::memchr(at_, '\n', static_cast<usize>(end_ - at_));
    at_ = found != nullptr ? static_cast<const char*>(found) : end_;
  }

  void block_comment(const char* begin) {
    u64 depth = 1;
    for (at_ += 2; depth != 0;) {
      if (end_ - at_ < 2) {
        at_ = end_;
        return error(begin, 2, "the comment does not end", "write `*/`; comments nest");
      }
      if (at_[0] == '*' && at_[1] == '/') {
        --depth;
        at_ += 2;
      } else if (at_[0] == '/' && at_[1] == '*') {
        ++depth;
        at_ += 2;
      } else if (*at_++ == '\n') {
        file_.line_begins.push_back(offset(at_));
      }
    }
  }

  void open_brace(const char* begin) {
    nesting_ = 0;
    braces_.push_back(static_cast<u32>(file_.tokens.size()));
    punctuation(begin, Kind::lbrace, 1);
  }

  void close_brace(const char* begin) {
    nesting_ = 0;
    ++at_;
    if (braces_.empty()) return error(begin, 1, "no `{` is open here");
    match(begin);
  }

  void match(const char* begin) {
    const u32 open = braces_.back();
    braces_.pop_back();
    file_.tokens[open].value = static_cast<u32>(file_.tokens.size());
    push(Kind::rbrace, begin, open);
  }

  // Only the innermost of the braces that are still open is reported.
  void close_all() {
    if (braces_.empty()) return;
    error(begin_ + file_.tokens[braces_.back()].begin, 1, "this `{` is not closed");
    if (last_ != Kind::newline) push(Kind::newline, at_);
    while (!braces_.empty()) {
      match(at_);
      push(Kind::newline, at_);
    }
  }

  void punctuation(const char* begin, Kind kind, usize length) {
    at_ = begin + length;
    push(kind, begin);
  }

  void operation(const char* begin, char c) {
    const char n = peek(1);
    switch (c) {
      case '(':
        ++nesting_;
        return punctuation(begin, Kind::lparen, 1);
      case '[':
        ++nesting_;
        return punctuation(begin, Kind::lbracket, 1);
      case ')':
        nesting_ -= nesting_ != 0;
        return punctuation(begin, Kind::rparen, 1);
      case ']':
        nesting_ -= nesting_ != 0;
        return punctuation(begin, Kind::rbracket, 1);
      case ',':
        return punctuation(begin, Kind::comma, 1);
      case ':':
        return punctuation(begin, Kind::colon, 1);
      case '?':
        return punctuation(begin, Kind::question, 1);
      case '~':
        return punctuation(begin, Kind::tilde, 1);
      case '+':
        return punctuation(begin, Kind::plus, 1);
      case '*':
        return punctuation(begin, Kind::star, 1);
      case '%':
        return punctuation(begin, Kind::percent, 1);
      case '^':
        return punctuation(begin, Kind::caret, 1);
      case '-':
        return n == '>' ? punctuation(begin, Kind::arrow, 2) : punctuation(begin, Kind::minus, 1);
      case '=':
        if (n == '=') return punctuation(begin, Kind::eq, 2);
        return n == '>' ? punctuation(begin, Kind::becomes, 2)
                        : punctuation(begin, Kind::assign, 1);
      case '!':
        return n == '=' ? punctuation(begin, Kind::ne, 2) : punctuation(begin, Kind::bang, 1);
      case '&':
        return n == '&' ? punctuation(begin, Kind::and_and, 2) : punctuation(begin, Kind::amp, 1);
      case '|':
        return n == '|' ? punctuation(begin, Kind::or_or, 2) : punctuation(begin, Kind::pipe, 1);
      case '<':
        if (n == '<') return punctuation(begin, Kind::shl, 2);
        return n == '=' ? punctuation(begin, Kind::le, 2) : punctuation(begin, Kind::lt, 1);
      case '>':
        if (n == '>') return punctuation(begin, Kind::shr, 2);
        return n == '=' ? punctuation(begin, Kind::ge, 2) : punctuation(begin, Kind::gt, 1);
      case '.':
        if (n == '.') return punctuation(begin, Kind::dots, 2);
        break;
      default:
        break;
    }
    // A run of characters that are not part of the language is one mistake.
    do ++at_;
    while (at_ != end_ && (static_cast<u8>(*at_) & 0xc0) == 0x80);
    error(begin, static_cast<usize>(at_ - begin), "this character means nothing here");
    while (at_ != end_ && *at_ != '\n' && *at_ != '{' && *at_ != '}') ++at_;
  }

  File& file_;
  u32 number_;
  Names& names_;
  Reporter& reporter_;
  const char* begin_;
  const char* end_;
  const char* at_;
  Kind last_ = Kind::end;
  u32 nesting_ = 0;  // open parentheses and brackets
  std::vector<u32> braces_;
};

void append_utf8(u32 value, std::string& out) {
  if (value < 0x80) {
    out += static_cast<char>(value);
  } else if (value < 0x800) {
    out += static_cast<char>(0xc0 | value >> 6);
    out += static_cast<char>(0x80 | (value & 0x3f));
  } else if (value < 0x10000) {
    out += static_cast<char>(0xe0 | value >> 12);
    out += static_cast<char>(0x80 | (value >> 6 & 0x3f));
    out += static_cast<char>(0x80 | (value & 0x3f));
  } else {
    out += static_cast<char>(0xf0 | value >> 18);
    out += static_cast<char>(0x80 | (value >> 12 & 0x3f));
    out += static_cast<char>(0x80 | (value >> 6 & 0x3f));
    out += static_cast<char>(0x80 | (value & 0x3f));
  }
}

}  // namespace

void lex(File& file, u32 file_number, Names& names, Reporter& reporter) {
  Lexer(file, file_number, names, reporter).run();
}

usize find_invalid_utf8(std::string_view text) {
  usize at = 0;
  while (at < text.size()) {
    u64 chunk = 0;
    if (text.size() - at >= 8) {
      std::memcpy(&chunk, text.data() + at, 8);
      if ((chunk & 0x8080808080808080u) == 0) {
        at += 8;
        continue;
      }
    }
    const u8 first = static_cast<u8>(text[at]);
    if (first < 0x80) {
      ++at;
      continue;
    }
    const u32 length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || text.size() - at < length) return at;
    u32 value = first & (0x7fu >> length);
    for (u32 i = 1; i < length; ++i) {
      const u8 byte = static_cast<u8>(text[at + i]);
      if ((byte & 0xc0) != 0x80) return at;
      value = value << 6 | (byte & 0x3f);
    }
    if (length == 3 && (value < 0x800 || (value >= 0xd800 && value <= 0xdfff))) return at;
    if (length == 4 && (value < 0x10000 || value > 0x10ffff)) return at;
    at += length;
  }
  return std::string_view::npos;
}

const char* decode_character(std::string_view text, usize& at, std::string& out) {
  const char c = text[at++];
  if (c != '\\') {
    out += c;
    while (at < text.size() && (static_cast<u8>(text[at]) & 0xc0) == 0x80) out += text[at++];
    return nullptr;
  }
  const char escape = at < text.size() ? text[at++] : '\0';
  switch (escape) {
    case 'n':
      out += '\n';
      return nullptr;
    case 't':
      out += '\t';
      return nullptr;
    case 'r':
      out += '\r';
      return nullptr;
    case '0':
      out += '\0';
      return nullptr;
    case '\\':
    case '"':
    case '\'':
      out += escape;
      return nullptr;
    case 'x': {
      const int high = at < text.size() ? digit_value(text[at]) : 16;
      const int low = at + 1 < text.size() ? digit_value(text[at + 1]) : 16;
      if (high > 15 || low > 15) return "`\\x` needs two hexadecimal digits";
      at += 2;
      out += static_cast<char>(high * 16 + low);
      return nullptr;
    }
    case 'u': {
      u32 value = 0;
      u32 digits = 0;
      if (at < text.size() && text[at] == '{') {
        for (++at; at < text.size() && digit_value(text[at]) < 16 && digits < 7; ++at, ++digits) {
          value = value * 16 + static_cast<u32>(digit_value(text[at]));
        }
      }
      if (digits == 0 || at >= text.size() || text[at] != '}' || value > 0x10ffff ||
          (value >= 0xd800 && value <= 0xdfff)) {
        return "`\\u` needs a character's number in braces, as in `\\u{1F600}`";
      }
      ++at;
      append_utf8(value, out);
      return nullptr;
    }
    default:
      return "unknown escape; known are \\n \\t \\r \\0 \\\\ \\\" \\' \\xNN \\u{N}";
  }
}

}  // namespace atollvm::text
