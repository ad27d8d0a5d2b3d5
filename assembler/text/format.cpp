#include "assembler/text/format.hpp"

#include <algorithm>
#include <optional>

#include "assembler/text/diagnostics.hpp"
#include "assembler/text/lexer.hpp"

namespace atollvm::text {

namespace {

constexpr u32 step = 4;

struct Piece {
  enum class What : u8 { token, separator, line_comment, block_comment };
  What what = What::token;
  Kind kind = Kind::end;  // of a token
  u32 token = 0;          // number of the token, or of the one that follows
  std::string_view text;
  bool space_before = false;  // in the source
  bool space_after = false;

  [[nodiscard]] bool is(Kind wanted) const { return what == What::token && kind == wanted; }
  [[nodiscard]] bool is_comment() const {
    return what == What::line_comment || what == What::block_comment;
  }
};

struct SourceLine {
  std::vector<Piece> pieces;  // none: blank
};

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r'; }

// Tokens, comments and `;` of a source, line by line.
class Splitter {
 public:
  explicit Splitter(const File& file) : file_(file), text_(file.text) {}

  std::vector<SourceLine> split() {
    lines_.emplace_back();
    usize at = 0;
    for (u32 i = 0; i < file_.tokens.size(); ++i) {
      const Token& token = file_.tokens[i];
      if (token.kind == Kind::newline) continue;
      gap(at, token.kind == Kind::end ? text_.size() : token.begin, i);
      if (token.kind == Kind::end) break;
      at = token.begin + token.length;
      add({Piece::What::token, token.kind, i, text_.substr(token.begin, token.length), false,
           false},
          token.begin, at);
    }
    return std::move(lines_);
  }

 private:
  void add(Piece piece, usize begin, usize end) {
    piece.space_before = begin > 0 && is_space(text_[begin - 1]);
    piece.space_after = end < text_.size() && is_space(text_[end]);
    lines_.back().pieces.push_back(piece);
  }

  // What stands between two tokens.
  void gap(usize at, usize end, u32 next) {
    while (at < end) {
      const usize begin = at;
      if (text_[at] == '\n') {
        lines_.emplace_back();
        ++at;
      } else if (text_[at] == ';') {
        ++at;
        add({Piece::What::separator, Kind::newline, next, text_.substr(begin, 1), false, false},
            begin, at);
      } else if (text_.substr(at, 2) == "//") {
        at = std::min(text_.find('\n', at), end);
        usize stop = at;
        while (is_space(text_[stop - 1])) --stop;
        add({Piece::What::line_comment, Kind::end, next, text_.substr(begin, stop - begin), false,
             false},
            begin, stop);
      } else if (text_.substr(at, 2) == "/*") {
        at = block_comment_end(at);
        add({Piece::What::block_comment, Kind::end, next, text_.substr(begin, at - begin), false,
             false},
            begin, at);
      } else {
        ++at;
      }
    }
  }

  [[nodiscard]] usize block_comment_end(usize at) const {
    u32 depth = 0;
    do {
      if (text_.substr(at, 2) == "/*") {
        ++depth;
        at += 2;
      } else if (text_.substr(at, 2) == "*/") {
        --depth;
        at += 2;
      } else {
        ++at;
      }
    } while (depth != 0 && at < text_.size());
    return at;
  }

  const File& file_;
  std::string_view text_;
  std::vector<SourceLine> lines_;
};

bool is_operator(Kind kind) {
  switch (kind) {
    case Kind::arrow:
    case Kind::dots:
    case Kind::becomes:
    case Kind::assign:
    case Kind::question:
    case Kind::plus:
    case Kind::minus:
    case Kind::star:
    case Kind::slash:
    case Kind::percent:
    case Kind::amp:
    case Kind::pipe:
    case Kind::caret:
    case Kind::shl:
    case Kind::shr:
    case Kind::lt:
    case Kind::le:
    case Kind::gt:
    case Kind::ge:
    case Kind::eq:
    case Kind::ne:
    case Kind::and_and:
    case Kind::or_or:
      return true;
    default:
      return false;
  }
}

bool is_opener(const Piece& piece) {
  return piece.is(Kind::lparen) || piece.is(Kind::lbracket) || piece.is(Kind::lbrace);
}
bool is_closer(const Piece& piece) {
  return piece.is(Kind::rparen) || piece.is(Kind::rbracket) || piece.is(Kind::rbrace);
}

class Layouter {
 public:
  explicit Layouter(const File& file) : file_(file) {}

  std::string run(const std::vector<SourceLine>& lines) {
    bool blank = false;
    for (const SourceLine& line : lines) {
      if (line.pieces.empty()) {
        blank = true;
        continue;
      }
      const bool closes = line.pieces[0].is(Kind::rbrace);
      if (blank && !out_.empty() && !closes && !opened_) out_.push_back({});
      blank = false;
      one_line(line.pieces);
    }
    align_comments();
    std::string text;
    for (const Line& line : out_) {
      text += line.code;
      if (!line.comment.empty()) {
        if (!line.code.empty()) text.append(line.gap, ' ');
        text += line.comment;
      }
      text += '\n';
    }
    return text;
  }

 private:
  struct Line {
    std::string code;            // with its indentation, and comments that are not at the end
    std::string_view comment{};  // at the end of code
    u32 gap = 2;
    bool alone = false;  // a comment line, or one that a comment breaks
  };
  struct Open {
    Kind kind;
    u32 indent;  // of what is in it
    bool list;   // braces of an enumeration or structure: commas end entries
  };

  void one_line(const std::vector<Piece>& pieces) {
    Line line;
    const u32 indent = indentation(pieces);
    // A comment line keeps its place in the list of lines, not in a column.
    usize count = pieces.size();
    if (count > 1 && pieces.back().what == Piece::What::line_comment) {
      line.comment = pieces.back().text;
      --count;
    }
    line.code.assign(indent, ' ');
    for (usize i = 0; i < count; ++i) {
      const Piece& piece = pieces[i];
      if (i > 0 && spaced(pieces, i)) line.code += ' ';
      line.code += piece.text;
      line.alone |= piece.text.find('\n') != std::string_view::npos;
      track(piece, indent);
    }
    if (pieces.back().what == Piece::What::line_comment && count == pieces.size()) {
      line.alone = true;  // no code to align with
    }
    const auto code_end = std::find_if(pieces.rbegin(), pieces.rend(),
                                       [](const Piece& piece) { return !piece.is_comment(); });
    opened_ = code_end != pieces.rend() ? code_end->is(Kind::lbrace) : false;
    out_.push_back(std::move(line));
  }

  u32 indentation(const std::vector<Piece>& pieces) {
    continuation_ = 0;
    // Closing brackets at the start belong to the lines of their openers.
    usize closers = 0;
    while (closers < pieces.size() && is_closer(pieces[closers])) ++closers;
    if (closers > 0) {
      const usize depth = std::min(closers, open_.size());
      if (depth == 0) return 0;
      const Open& open = open_[open_.size() - depth];
      return open.indent - step;
    }
    const u32 indent = open_.empty() ? 0 : open_.back().indent;
    if (is_label(pieces)) return indent >= step ? indent - step : 0;
    continuation_ = continues(pieces) ? step : 0;
    return indent + continuation_;
  }

  // Whether the line goes on with a statement that began before it, outside of brackets.
  [[nodiscard]] bool continues(const std::vector<Piece>& pieces) const {
    if (!last_token_ || pieces[0].token != *last_token_ + 1) return false;
    return open_.empty() || (open_.back().kind == Kind::lbrace && !open_.back().list);
  }

  // `name:` or `name(3):` alone.
  static bool is_label(const std::vector<Piece>& pieces) {
    usize count = pieces.size();
    while (count > 0 && pieces[count - 1].is_comment()) --count;
    if (count < 2 || !pieces[0].is(Kind::name) || !pieces[count - 1].is(Kind::colon)) return false;
    return count == 2 || (count == 5 && pieces[1].is(Kind::lparen) && pieces[2].is(Kind::integer) &&
                          pieces[3].is(Kind::rparen));
  }

  void track(const Piece& piece, u32 indent) {
    if (piece.what != Piece::What::token) return;
    last_token_ = piece.token;
    if (is_opener(piece)) {
      // A block belongs to the beginning of its statement.
      const bool is_block = piece.kind == Kind::lbrace;
      const u32 base = is_block ? indent - continuation_ : indent;
      open_.push_back({piece.kind, base + step, is_block && is_list(piece)});
    } else if (is_closer(piece) && !open_.empty()) {
      open_.pop_back();
    }
  }

  [[nodiscard]] bool is_list(const Piece& brace) const {
    if (brace.token < 2) return false;
    const Token& word = file_.tokens[brace.token - 2];
    return word.kind == Kind::name && (word.value == static_cast<Symbol>(Keyword::enum_) ||
                                       word.value == static_cast<Symbol>(Keyword::struct_));
  }

  // --- Spaces within a line ---------------------------------------------------------------------

  // Whether a sign, `~` or `!` belongs to the operand after it. After something that ends an
  // operand the source decides: `ret -1` is no subtraction.
  static bool is_prefix(const std::vector<Piece>& pieces, usize i) {
    const Piece& piece = pieces[i];
    if (piece.is(Kind::tilde) || piece.is(Kind::bang)) return true;
    if (!piece.is(Kind::minus) && !piece.is(Kind::plus)) return false;
    usize before = i;
    while (before > 0 && pieces[before - 1].what == Piece::What::block_comment) --before;
    if (before == 0) return !piece.space_after;
    const Piece& left = pieces[before - 1];
    if (left.what == Piece::What::separator) return true;
    const bool ends_operand = left.is(Kind::name) || left.is(Kind::integer) ||
                              left.is(Kind::wide) || left.is(Kind::real) || left.is(Kind::string) ||
                              left.is(Kind::dollar) || left.is(Kind::rparen) ||
                              left.is(Kind::rbracket);
    if (!ends_operand) return true;
    return left.is(Kind::name) && piece.space_before && !piece.space_after;
  }

  // A colon of `c ? a : b`.
  static bool is_choice(const std::vector<Piece>& pieces, usize colon) {
    int depth = 0;
    int colons = 0;
    for (usize i = colon; i > 0; --i) {
      const Piece& piece = pieces[i - 1];
      if (is_closer(piece)) ++depth;
      if (is_opener(piece) && --depth < 0) return false;
      if (depth != 0) continue;
      if (piece.is(Kind::comma)) return false;
      if (piece.is(Kind::colon)) ++colons;
      if (piece.is(Kind::question) && colons-- == 0) return true;
    }
    return false;
  }

  // Whether a space stands before piece i, which is not the first.
  static bool spaced(const std::vector<Piece>& pieces, usize i) {
    const Piece& left = pieces[i - 1];
    const Piece& right = pieces[i];
    if (right.what == Piece::What::separator) return false;
    if (left.what == Piece::What::separator || left.is_comment() || right.is_comment()) return true;
    if (right.is(Kind::comma) || right.is(Kind::rparen) || right.is(Kind::rbracket)) return false;
    if (left.is(Kind::lparen) || left.is(Kind::lbracket)) return false;
    if (right.is(Kind::colon)) return is_choice(pieces, i);
    if (left.is(Kind::comma) || left.is(Kind::colon)) return true;
    if (left.is(Kind::lbrace) || right.is(Kind::lbrace) || right.is(Kind::rbrace)) return true;
    if (right.is(Kind::bang)) return !left.is(Kind::name) || right.space_before;
    if (is_operator(left.kind) || left.is(Kind::tilde) || left.is(Kind::bang)) {
      if (!is_prefix(pieces, i - 1)) return true;
      // `- -1` must not become a comment or another operator.
      return right.is(Kind::minus) || right.is(Kind::plus) || right.is(Kind::assign) ||
             right.is(Kind::eq) || right.is(Kind::becomes) || right.is(Kind::gt);
    }
    if (is_operator(right.kind)) return true;
    if (right.is(Kind::lparen) || right.is(Kind::lbracket)) return right.space_before;
    if (left.is(Kind::rbracket)) return right.space_before;
    return true;
  }

  // --- Comments at line ends --------------------------------------------------------------------

  static u32 width(std::string_view text) { return characters(text); }

  void align_comments() {
    for (usize begin = 0; begin < out_.size();) {
      if (out_[begin].comment.empty() || out_[begin].alone) {
        ++begin;
        continue;
      }
      usize end = begin;
      u32 column = 0;
      for (; end < out_.size() && !out_[end].comment.empty() && !out_[end].alone; ++end) {
        column = std::max(column, width(out_[end].code) + 2);
      }
      for (; begin < end; ++begin) out_[begin].gap = column - width(out_[begin].code);
    }
  }

  const File& file_;
  std::vector<Line> out_;
  std::vector<Open> open_;
  std::optional<u32> last_token_;
  u32 continuation_ = 0;  // how much deeper the line is as its statement began before it
  bool opened_ = false;   // the last line ended with `{`
};

// The lexer's view of a text.
struct Lexed {
  std::vector<std::unique_ptr<File>> files;
  std::vector<Diagnostic> diagnostics;
};

Lexed lex_source(const Source& source) {
  Lexed lexed;
  auto file = std::make_unique<File>();
  file->name = source.name;
  file->text = source.text;
  lexed.files.push_back(std::move(file));
  Names names = Names::fixed();
  Reporter reporter(lexed.files, Options{}.max_errors);
  try {
    lex(*lexed.files[0], 0, names, reporter);
  } catch (Enough&) {
    // What has been found is enough to read.
  }
  lexed.diagnostics = reporter.take();
  return lexed;
}

// Whether two texts have the same tokens and statement ends.
bool same_tokens(const File& x, const File& y) {
  return std::equal(x.tokens.begin(), x.tokens.end(), y.tokens.begin(), y.tokens.end(),
                    [&](const Token& a, const Token& b) {
                      if (a.kind != b.kind) return false;
                      return a.kind == Kind::newline || x.spelling(a) == y.spelling(b);
                    });
}

}  // namespace

Formatted format_source(const Source& source) {
  Formatted result;
  const Lexed lexed = lex_source(source);
  result.diagnostics = lexed.diagnostics;
  if (!result.ok()) return result;
  const File& file = *lexed.files[0];
  result.text = Layouter(file).run(Splitter(file).split());
  // Where brackets are left open, a line's first word can mean something else at another place:
  // such a source does not assemble, and stays as it is.
  const Lexed again = lex_source({source.name, result.text});
  if (!again.diagnostics.empty() || !same_tokens(file, *again.files[0])) result.text = source.text;
  return result;
}

}  // namespace atollvm::text
