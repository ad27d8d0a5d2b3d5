#include "assembler/text/document.hpp"

#include <algorithm>
#include <optional>

#include "assembler/text/diagnostics.hpp"
#include "assembler/text/lexer.hpp"

namespace atollvm::text {

namespace {

std::string_view trimmed(std::string_view text) {
  const usize begin = text.find_first_not_of(" \t\r");
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

class Documenter {
 public:
  explicit Documenter(const File& file) : file_(file) {}

  Documentation run() {
    Documentation result;
    result.text = head();
    u32 line = 0;  // after the item before
    for (u32 at = 0; kind(at) != Kind::end;) {
      if (kind(at) == Kind::newline) {
        ++at;
        continue;
      }
      const u32 end = end_of_item(at);
      const u32 first_line = line_of(file_.tokens[at].begin);
      for (; line < first_line; ++line) find_section(line_text(line));
      if (auto item = describe(at, end)) result.items.push_back(*std::move(item));
      at = end;
    }
    return result;
  }

 private:
  [[nodiscard]] Kind kind(u32 at) const { return file_.tokens[at].kind; }
  [[nodiscard]] bool is(u32 at, Keyword word) const {
    return kind(at) == Kind::name && file_.tokens[at].value == static_cast<Symbol>(word);
  }

  // Lines are counted from 0 here.
  [[nodiscard]] u32 line_of(u32 offset) const {
    const auto after = std::upper_bound(file_.line_begins.begin(), file_.line_begins.end(), offset);
    return static_cast<u32>(after - file_.line_begins.begin()) - 1;
  }
  [[nodiscard]] std::string_view line_text(u32 line) const {
    const std::string_view text(file_.text);
    const u32 begin = file_.line_begins[line];
    return trimmed(text.substr(begin, text.find('\n', begin) - begin));
  }

  [[nodiscard]] u32 end_of_item(u32 at) const {
    for (; kind(at) != Kind::newline && kind(at) != Kind::end; ++at) {
      if (kind(at) == Kind::lbrace) at = file_.tokens[at].value;
    }
    return at;
  }

  // The text of a comment's line, without its slashes and the space after them.
  static std::string_view without_slashes(std::string_view line) {
    line.remove_prefix(line.starts_with("///") ? 3 : 2);
    if (line.starts_with(' ')) line.remove_prefix(1);
    return line;
  }

  // `// --- NAME ----`
  void find_section(std::string_view line) {
    if (!line.starts_with("// --- ")) return;
    const std::string_view inner = line.substr(7);
    section_ = trimmed(inner.substr(0, inner.find_last_not_of('-') + 1));
  }

  // The comment that begins in the first line, if no item is next to it that it belongs to.
  [[nodiscard]] std::string head() const {
    std::string text;
    u32 line = 0;
    bool only_docs = true;
    for (; line < file_.line_begins.size() && line_text(line).starts_with("//"); ++line) {
      if (line_text(line).starts_with("// --- ")) break;
      only_docs = only_docs && line_text(line).starts_with("///");
      text.append(line == 0 ? "" : "\n").append(without_slashes(line_text(line)));
    }
    const bool of_an_item =
        only_docs && line < file_.line_begins.size() && !line_text(line).empty();
    return of_an_item ? std::string() : text;
  }

  // The lines `///` right above an item.
  [[nodiscard]] std::string comment_above(u32 line) const {
    u32 first = line;
    while (first > 0 && line_text(first - 1).starts_with("///")) --first;
    std::string text;
    for (u32 i = first; i < line; ++i) {
      text.append(i == first ? "" : "\n").append(without_slashes(line_text(i)));
    }
    return text;
  }

  // The source of the tokens from `begin` to the one before `end`; at least one.
  [[nodiscard]] std::string source_text(u32 begin, u32 end) const {
    const u32 from = file_.tokens[begin].begin;
    const Token& last = file_.tokens[end - 1];
    return file_.text.substr(from, last.begin + last.length - from);
  }

  std::optional<DocItem> describe(u32 at, u32 end) {
    DocItem item;
    const u32 line = line_of(file_.tokens[at].begin);
    item.text = comment_above(line);
    const bool exported = is(at, Keyword::export_);
    if (item.text.empty() && !exported) return std::nullopt;
    u32 word = at;
    // `export "name"`, `packed`, `raw`, `import` and so on stand before the word.
    while (word + 1 < end && (is(word, Keyword::export_) || is(word, Keyword::packed) ||
                              is(word, Keyword::raw) || is(word, Keyword::import_) ||
                              is(word, Keyword::extern_) || kind(word) == Kind::string ||
                              (is(word, Keyword::test) && is(word + 1, Keyword::func)))) {
      ++word;
    }
    if (kind(word) != Kind::name || is(word, Keyword::module) || is(word, Keyword::use)) {
      return std::nullopt;
    }
    item.kind = file_.spelling(file_.tokens[word]);
    u32 name = word + 1;
    if (is(name, Keyword::passive)) ++name;
    if (name < end && kind(name) == Kind::name) item.name = file_.spelling(file_.tokens[name]);
    if (item.name.find("__") != item.name.npos) return std::nullopt;
    item.section = section_;
    item.line = line + 1;
    item.signature = source_text(at, signature_end(word, end));
    return item;
  }

  // Where the contents of functions, macros and data begin.
  [[nodiscard]] u32 signature_end(u32 word, u32 end) const {
    Kind begin = Kind::end;
    if (is(word, Keyword::func) || is(word, Keyword::macro)) begin = Kind::lbrace;
    if (is(word, Keyword::data) || is(word, Keyword::elem)) begin = Kind::assign;
    u32 at = word;
    while (at < end && kind(at) != begin) {
      // Braces of others belong to them.
      at = kind(at) == Kind::lbrace ? file_.tokens[at].value + 1 : at + 1;
    }
    return std::min(at, end);
  }

  const File& file_;
  std::string section_;
};

}  // namespace

Documentation document(const Source& source) {
  std::vector<std::unique_ptr<File>> files;
  files.push_back(std::make_unique<File>());
  files[0]->name = source.name;
  files[0]->text = source.text;
  Names names = Names::fixed();
  Reporter reporter(files, Options{}.max_errors);
  try {
    lex(*files[0], 0, names, reporter);
  } catch (Enough&) {
    // What has been found is enough to read.
  }
  Documentation result;
  result.diagnostics = reporter.take();
  if (!result.ok()) return result;
  return Documenter(*files[0]).run();
}

}  // namespace atollvm::text
