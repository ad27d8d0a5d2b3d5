#include "cli/repl_text.hpp"

#include <algorithm>
#include <iterator>
#include <optional>

namespace atollvm::cli {

namespace {

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '.';
}

// Words, line ends and single other characters of a text; comments and the insides of quotes are
// left out.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  // The next one; nothing at the end.
  std::optional<std::string_view> next() {
    for (;;) {
      if (at_ >= text_.size()) return std::nullopt;
      const std::string_view rest = text_.substr(at_);
      if (rest.starts_with("//")) {
        at_ = std::min(text_.find('\n', at_), text_.size());
      } else if (rest.starts_with("/*")) {
        skip_comment();
      } else if (rest[0] == ' ' || rest[0] == '\t' || rest[0] == '\r') {
        ++at_;
      } else {
        break;
      }
    }
    const size_t begin = at_++;
    if (is_word(text_[begin])) {
      while (at_ < text_.size() && is_word(text_[at_])) ++at_;
    } else if (text_[begin] == '"' || text_[begin] == '\'') {
      skip_quoted(text_[begin]);
    } else if (text_.substr(begin, 2) == "->" || text_.substr(begin, 2) == "=>") {
      ++at_;
    }
    return text_.substr(begin, at_ - begin);
  }

  [[nodiscard]] bool open_comment() const { return open_comment_; }

 private:
  void skip_comment() {
    int depth = 0;
    do {
      const std::string_view two = text_.substr(at_, 2);
      depth += two == "/*" ? 1 : two == "*/" ? -1 : 0;
      at_ += two == "/*" || two == "*/" ? 2 : 1;
    } while (depth > 0 && at_ < text_.size());
    open_comment_ = depth > 0;
  }
  // A quoted text ends with its line.
  void skip_quoted(char quote) {
    while (at_ < text_.size() && text_[at_] != '\n') {
      const char c = text_[at_];
      at_ += c == '\\' && at_ + 1 < text_.size() ? 2 : 1;
      if (c == quote) break;
    }
    at_ = std::min(at_, text_.size());
  }

  std::string_view text_;
  size_t at_ = 0;
  bool open_comment_ = false;
};

bool opens(std::string_view word) { return word == "(" || word == "[" || word == "{"; }
bool closes(std::string_view word) { return word == ")" || word == "]" || word == "}"; }

// As in the language: a statement goes on after these.
bool continues(std::string_view word) {
  constexpr std::string_view operators = ",+-*/%&|^~=?:<>";
  return word == "->" || word == "=>" || word == "and" || word == "or" || word == "not" ||
         (word.size() == 1 && operators.find(word[0]) != operators.npos);
}

std::optional<ValueType> number_type(std::string_view word) {
  for (const ValueType type : {ValueType::i32, ValueType::i64, ValueType::f32, ValueType::f64}) {
    if (word == to_text(type)) return type;
  }
  return std::nullopt;
}

}  // namespace

bool is_unfinished(std::string_view text) {
  Scanner scanner(text);
  int depth = 0;
  std::string_view last;
  while (const auto word = scanner.next()) {
    if (*word == "\n") continue;
    depth += opens(*word) ? 1 : closes(*word) ? -1 : 0;
    last = *word;
  }
  // A label ends with a colon.
  return depth > 0 || scanner.open_comment() || (continues(last) && last != ":");
}

bool has_words(std::string_view text) {
  Scanner scanner(text);
  while (const auto word = scanner.next()) {
    if (*word != "\n") return true;
  }
  return false;
}

Definition definition_in(std::string_view text) {
  constexpr std::string_view kinds[] = {"func", "const",   "enum",   "struct", "memory",
                                        "data", "reserve", "global", "table",  "elem",
                                        "type", "use",     "macro",  "start",  "module"};
  constexpr std::string_view before[] = {"export", "packed", "import", "extern", "raw", "test"};
  Scanner scanner(text);
  std::optional<std::string_view> word = scanner.next();
  while (word && *word == "\n") word = scanner.next();
  bool is_item = false;
  while (word && std::find(std::begin(before), std::end(before), *word) != std::end(before)) {
    word = scanner.next();
    if (word && word->starts_with('"')) word = scanner.next();
    is_item = true;
  }
  if (!word || std::find(std::begin(kinds), std::end(kinds), *word) == std::end(kinds)) return {};
  Definition result{std::string(*word), {}};
  word = scanner.next();
  if (word && (*word == "passive" || *word == "module")) word = scanner.next();
  // `data` and its kin are names too, where nothing follows them that an item has.
  if (!word || *word == "\n") return is_item ? result : Definition{};
  if (is_word((*word)[0])) {
    result.name = *word;
  } else if (!word->starts_with('"')) {
    return is_item ? result : Definition{};
  }
  return result;
}

std::vector<Variable> declared_in(std::string_view text) {
  std::vector<Variable> found;
  Scanner scanner(text);
  int depth = 0;
  bool at_start = true;   // of a statement
  bool in_var = false;    // in a `var` statement outside of blocks
  std::string_view name;  // that a type may follow
  bool typed = false;
  while (const auto word = scanner.next()) {
    if (*word == "\n" || *word == ";") {
      if (depth == 0) {
        at_start = true;
        if (!typed && in_var && *word == "\n") continue;  // the statement goes on after a comma
        in_var = false;
      }
      continue;
    }
    if (opens(*word)) ++depth;
    if (closes(*word)) --depth;
    if (at_start && depth == 0 && *word == "var") {
      in_var = true;
      name = {};
      typed = false;
    } else if (in_var && depth == 0) {
      if (*word == ",") {
        name = {};
        typed = false;
      } else if (name.empty() && !typed) {
        name = *word;
      } else if (const auto type = number_type(*word); type && !typed) {
        found.push_back({std::string(name), *type, 0, true});
        typed = true;
      }
    }
    at_start = false;
  }
  return found;
}

}  // namespace atollvm::cli
