// Prints JSON with one value on a line: json_pretty [FILE]. Strings and numbers stay as they are
// written; what is not JSON is an error with its place.
#include <algorithm>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <string_view>

namespace {

constexpr int deepest = 1000;

class Printer {
 public:
  Printer(std::string_view text, std::string& output) : in(text), out(output) {}

  // False: it is not JSON; problem() says why.
  bool run() {
    if (!value(0)) return false;
    skip_space();
    if (at != in.size()) return fail("text after the value");
    out += '\n';
    return true;
  }
  std::string problem() const { return reason + " at byte " + std::to_string(at); }

 private:
  bool fail(std::string why) {
    if (reason.empty()) reason = std::move(why);
    return false;
  }
  char peek() const { return at < in.size() ? in[at] : '\0'; }
  bool is_digit() const { return peek() >= '0' && peek() <= '9'; }
  void skip_space() { at = std::min(in.find_first_not_of(" \t\r\n", at), in.size()); }
  bool accept(char wanted) {
    skip_space();
    if (peek() != wanted) return false;
    ++at;
    return true;
  }
  void new_line(int depth) {
    out += '\n';
    out.append(static_cast<size_t>(depth) * 4, ' ');
  }

  bool value(int depth) {
    skip_space();
    if (depth > deepest) return fail("nested too deep");
    switch (peek()) {
      case '{':
        return list(depth, '{', '}');
      case '[':
        return list(depth, '[', ']');
      case '"':
        return string();
      case 't':
        return word("true");
      case 'f':
        return word("false");
      case 'n':
        return word("null");
      default:
        return number();
    }
  }

  bool list(int depth, char open, char close) {
    ++at;
    out += open;
    if (accept(close)) {
      out += close;
      return true;
    }
    do {
      new_line(depth + 1);
      skip_space();
      if (open == '{') {
        if (peek() != '"') return fail("a name was expected");
        if (!string()) return false;
        if (!accept(':')) return fail("':' was expected");
        out += ": ";
      }
      if (!value(depth + 1)) return false;
      if (accept(close)) {
        new_line(depth);
        out += close;
        return true;
      }
      out += ',';
    } while (accept(','));
    return fail(std::string("',' or '") + close + "' was expected");
  }

  bool string() {
    const size_t start = at++;
    while (at < in.size() && in[at] != '"') {
      if (static_cast<unsigned char>(in[at]) < ' ') return fail("a control character");
      at += in[at] == '\\' ? 2 : 1;
    }
    if (at >= in.size()) return fail("a string without an end");
    ++at;
    out += in.substr(start, at - start);
    return true;
  }

  bool word(std::string_view text) {
    if (!in.substr(at).starts_with(text)) return fail("an unknown word");
    at += text.size();
    out += text;
    return true;
  }

  bool digits() {
    if (!is_digit()) return fail("a digit was expected");
    while (is_digit()) ++at;
    return true;
  }

  bool number() {
    const size_t start = at;
    if (peek() == '-') ++at;
    if (peek() == '0') {
      ++at;
    } else if (!digits()) {
      return false;
    }
    if (peek() == '.') {
      ++at;
      if (!digits()) return false;
    }
    if (peek() == 'e' || peek() == 'E') {
      ++at;
      if (peek() == '+' || peek() == '-') ++at;
      if (!digits()) return false;
    }
    out += in.substr(start, at - start);
    return true;
  }

  std::string_view in;
  std::string& out;
  size_t at = 0;
  std::string reason;
};

std::string all_of(std::istream& stream) {
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

}  // namespace

int main(int argc, char** argv) {
  std::string text;
  if (argc > 1) {
    std::ifstream file(argv[1], std::ios::binary);
    if (!file) {
      std::cerr << "json_pretty: can't open " << argv[1] << '\n';
      return 1;
    }
    text = all_of(file);
  } else {
    text = all_of(std::cin);
  }
  std::string output;
  Printer printer(text, output);
  if (!printer.run()) {
    std::cerr << "json_pretty: " << printer.problem() << '\n';
    return 1;
  }
  std::cout << output;
  return 0;
}
