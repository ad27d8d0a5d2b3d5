// A compiler for Motu, a toy language, to Atoll assembly, with Atoll in the same program:
//   toy FILE.motu [ARGUMENTS...]   compiles and runs
//   toy --emit FILE.motu           prints the assembly text
// The same compiler as toy.py, part by part; both make the same text. docs/write-a-compiler.md
// explains it.
#include "check.hpp"

#include <atoll/module.hpp>
#include <atoll/process.hpp>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <tuple>

namespace {

using namespace motu;

// --- Generator -----------------------------------------------------------------------------------

string type_of(string_view type) { return type == "int" ? "i64" : type == "float" ? "f64" : "i32"; }

// The name in the assembly text. All that libraries define has a `_` or a capital letter; what ends
// in one `_` and was nobody's name is the compiler's own.
string name_of(const Token& token) {
  // Words of the assembly language and names of host calls that a Motu name may be too.
  bool plain = !one_of(
      token.text,
      {"back",    "br",     "break",  "call",        "close", "const",  "continue", "enum",
       "exit",    "export", "extern", "externref",   "f32",   "f64",    "for",      "func",
       "funcref", "i16",    "i32",    "i64",         "i8",    "import", "inf",      "len",
       "lock",    "loop",   "macro",  "mov",         "nan",   "nop",    "null",     "open",
       "pread",   "pwrite", "read",   "receive",     "ret",   "revoke", "seek",     "select",
       "spawn",   "stat",   "struct", "switch",      "sync",  "tail",   "truncate", "u16",
       "u32",     "u64",    "u8",     "unreachable", "var",   "write"});
  for (const char c : token.text) plain &= is_digit(c) || (is_letter(c) && c >= 'a');
  return plain ? token.text : token.text + "_";
}

string literal(const Node& node) {
  if (node.kind == "float") return node.value;
  // A decimal number may not be that large.
  return node.number == INT64_MIN ? "0x8000000000000000" : std::to_string(node.number);
}

bool any(const Node& node, bool (*test)(const Node&)) {
  for (const Node& part : node.parts) {
    if (test(part)) return true;
  }
  return false;
}

// Whether the value takes statements of its own: `and` and `or` become branches.
bool branchy(const Node& node) {
  return one_of(node.token.kind, {"and", "or"}) || any(node, branchy);
}

// Whether it takes such statements as a condition, which branches anyway.
bool hard(const Node& node) {
  return one_of(node.token.kind, {"and", "or", "not"}) ? any(node, hard) : branchy(node);
}

// Whether it calls or may trap, so that its place matters.
bool has_place(const Node& node) {
  return node.kind == "call" || one_of(node.token.kind, {"/", "%"}) || any(node, has_place);
}

string swapped(string_view op) {
  const std::pair<const char*, const char*> pairs[] = {{"+", "+"},   {"*", "*"},  {"==", "=="},
                                                       {"!=", "!="}, {"<", ">"},  {"<=", ">="},
                                                       {">", "<"},   {">=", "<="}};
  for (const auto& [from, to] : pairs) {
    if (op == from) return to;
  }
  return "";
}

string operation_of(string_view op) {
  const std::pair<const char*, const char*> names[] = {
      {"+", "add"}, {"-", "sub"}, {"*", "mul"}, {"/", "div"}, {"%", "rem"}, {"==", "eq"},
      {"!=", "ne"}, {"<", "lt"},  {"<=", "le"}, {">", "gt"},  {">=", "ge"}};
  for (const auto& [from, to] : names) {
    if (op == from) return to;
  }
  return "";
}

class Generator {
 public:
  explicit Generator(const string& file) {
    file_ = "\"";
    for (const char c : file) (c == '"' || c == '\\' ? file_ += '\\' : file_) += c;
    file_ += "\"";
  }

  string program(const std::vector<Function>& functions, const string& name) {
    string bodies;
    const Function* main = nullptr;
    for (const Function& each : functions) {
      bodies += function(each);
      if (each.name.text == "main") main = &each;
    }
    string usage;
    for (const auto& param : main->params) usage += " " + param.first.text;
    for (char& c : usage) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    string head = "// Made of " + file_ + " by the compiler of samples/toy.\n" +
                  "use std.int\nuse std.io\nuse std.sys\n\n";
    for (std::size_t i = 0; i < texts_.size(); ++i) {
      head += "data text" + std::to_string(i + 1) + "_ = " + texts_[i] + "\n";
    }
    return head + "data usage_ = \"usage: " + name + usage + "\\n\"\n" + bodies + start(*main);
  }

 private:
  // What runs `main`: the program's arguments are integers.
  static string start(const Function& main) {
    const std::size_t count = main.params.size();
    std::vector<string> arguments;
    for (std::size_t i = 1; i <= count; ++i) {
      arguments.push_back("(call argument_(" + std::to_string(i) + "))");
    }
    string out = R"(
func usage_exit_() {
    call io_print_error(usage_, len(usage_))
    call exit(2)
    ret
}

func end_line_() {
    call io_put_byte(io_out, '\n')
    call io_flush(io_out)
    ret
}
)";
    if (count != 0) {
      out += R"(
reserve word_ 32

func argument_(i: i32) -> i64 {
    var n: i32, value: i64, error: i32 = 1
    call args_get(i, word_, 32) -> n
    if i32.ge_s n, 0 { call int_parse_i64(word_, n, 10) -> value, error }
    if error { call usage_exit_() }
    ret value
}
)";
    }
    return out + "\nexport \"main\" func start_() -> i32 {\n    var code: i64\n" +
           "    if i32.ne (call args_count()), " + std::to_string(count + 1) +
           " { call usage_exit_() }\n    call main(" + join(arguments, ", ") + ")" +
           (main.result.empty() ? "" : " -> code") +
           "\n    if (call io_flush(io_out)) { ret 1 }\n    ret (i32.wrap_i64 code)\n}\n";
  }

  string function(const Function& function) {
    out_.clear();
    constants_.clear();
    indent_ = 1;
    loops_ = temps_ = labels_ = 0;
    named_file_ = false;
    block(function.body);
    std::vector<string> params;
    for (const auto& [name, type] : function.params) {
      params.push_back(name_of(name) + ": " + type_of(type));
    }
    string head = "\nfunc " + name_of(function.name) + "(" + join(params, ", ") + ")" +
                  (function.result.empty() ? "" : " -> " + type_of(function.result)) + " {\n";
    for (std::size_t i = 0; i < constants_.size(); ++i) {
      head += "    var c" + std::to_string(i + 1) + "_: " + constants_[i] + "\n";
    }
    return head + out_ + "}\n";
  }

  void emit(const string& text) { out_ += string(4 * indent_, ' ') + text + "\n"; }

  void nested(const Node& node, std::size_t leave_out = 0) {
    ++indent_;
    block(node, leave_out);
    --indent_;
  }

  void block(const Node& node, std::size_t leave_out = 0) {
    for (std::size_t i = 0; i + leave_out < node.parts.size(); ++i) {
      line(node.parts[i].token);
      statement(node.parts[i]);
    }
  }

  // Traces show the place in the source, not in the assembly text.
  void line(const Token& token) {
    emit("line " + (named_file_ ? "" : file_ + " ") + std::to_string(token.line) + " " +
         std::to_string(token.column));
    named_file_ = true;
  }

  // --- Statements ---

  void statement(const Node& node) {
    const std::vector<Node>& parts = node.parts;
    const string name = name_of(node.token);
    if (node.kind == "let") {
      const string var = "var " + name + ": " + type_of(parts[0].type);
      if (is_literal(parts[0])) return emit(var + " = " + literal(parts[0]));
      emit(var);
      into(name, parts[0]);
    } else if (node.kind == "set") {
      // Parts of a hard value are stored before others read the variable.
      if (hard(parts[0])) return emit("mov " + name + ", " + temp(parts[0]));
      into(name, parts[0]);
    } else if (node.kind == "if") {
      if_statement(node);
    } else if (node.kind == "while") {
      while_statement(node);
    } else if (node.kind == "return") {
      if (parts.empty()) return emit("ret");
      if (parts[0].kind != "call" || parts[0].token.kind != "name") {
        return emit("ret " + operand(parts[0]));
      }
      emit("tail" + instruction(parts[0]).substr(4));
    } else if (node.kind == "call statement") {
      emit(instruction(parts[0]));
    } else {
      for (const Node& part : parts) print(part);
      if (node.kind == "print") emit("call end_line_()");
    }
  }

  void print(const Node& part) {
    if (part.kind == "string") {
      if (part.token.text != "\"\"") emit(print_text(part.token.text));
    } else if (part.type == "bool") {
      emit("if " + condition(part) + " {");
      emit("    " + print_text("\"true\""));
      emit("} else {");
      emit("    " + print_text("\"false\""));
      emit("}");
    } else {
      emit("call io_print_" + type_of(part.type) + "(" + operand(part) + ")");
    }
  }

  string print_text(const string& text) {
    const string data = "text" + std::to_string(number_in(texts_, text)) + "_";
    return "call io_print(" + data + ", len(" + data + "))";
  }

  // From 1; what is not there is added.
  static std::size_t number_in(std::vector<string>& list, const string& text) {
    for (std::size_t i = 0; i < list.size(); ++i) {
      if (list[i] == text) return i + 1;
    }
    list.push_back(text);
    return list.size();
  }

  void if_statement(const Node& node) {
    emit("if " + condition(node.parts[0]) + " {");
    nested(node.parts[1]);
    const Node* rest = node.parts.size() == 3 ? &node.parts[2] : nullptr;
    while (rest != nullptr && rest->parts.size() == 1 && rest->parts[0].kind == "if") {
      const Node& inner = rest->parts[0];
      if (hard(inner.parts[0]) || has_place(inner.parts[0])) break;
      emit("} else if " + condition(inner.parts[0]) + " {");
      nested(inner.parts[1]);
      rest = inner.parts.size() == 3 ? &inner.parts[2] : nullptr;
    }
    if (rest != nullptr && !rest->parts.empty()) {
      emit("} else {");
      nested(*rest);
    }
    emit("}");
  }

  void while_statement(const Node& node) {
    const Node& test = node.parts[0];
    const Node& body = node.parts[1];
    ++loops_;
    if (test.kind == "bool" && test.number == 1) {
      emit("loop {");
      nested(body);
    } else if (hard(test)) {
      emit("loop {");
      ++indent_;
      emit("if not " + condition(test) + " { break }");
      block(body);
      --indent_;
    } else if (counts(test, body)) {
      counting_loop(test, body);
    } else {
      emit("while " + condition(test) + " {");
      nested(body);
    }
    emit("}");
    --loops_;
  }

  // Whether it is: while i < limit { ...; i = i + 1; }
  static bool counts(const Node& test, const Node& body) {
    if (test.token.kind != "<" || test.parts[0].type != "int" || body.parts.empty()) return false;
    const Node& i = test.parts[0];
    const Node& limit = test.parts[1];
    const Node& last = body.parts.back();
    if (i.kind != "name" || !one_of(limit.kind, {"name", "int"}) || last.kind != "set")
      return false;
    const Node& step = last.parts[0];
    return limit.token.text != i.token.text && last.token.text == i.token.text &&
           step.token.kind == "+" && step.kind == "binary" && step.parts[0].kind == "name" &&
           step.parts[0].token.text == i.token.text && step.parts[1].kind == "int" &&
           step.parts[1].number == 1;
  }

  // One operation counts, compares and goes back.
  void counting_loop(const Node& test, const Node& body) {
    const Node& limit = test.parts[1];
    const string again = "again" + std::to_string(++labels_) + "_";
    const string end = limit.kind == "int" ? constant(limit) : name_of(limit.token);
    emit("if " + condition(test) + " {");
    emit(again + ":");
    nested(body, 1);
    ++indent_;
    line(body.parts.back().token);
    emit("back.i64.inc.lt_s " + name_of(test.parts[0].token) + ", " + end + ", " + again);
    --indent_;
  }

  // --- Conditions: they branch, and make no values ---

  string condition(const Node& node) {
    if (hard(node)) return temp(node);
    if (node.kind == "bool") return "i32.const " + std::to_string(node.number);
    if (node.kind == "name") return name_of(node.token);
    const string& op = node.token.kind;
    if (!one_of(op, {"and", "or", "not"})) return instruction(node);
    std::vector<string> parts;
    for (const Node& part : node.parts) {
      const string text = condition(part);
      const bool other = one_of(part.token.kind, {"and", "or"}) && part.token.kind != op;
      parts.push_back(other ? "(" + text + ")" : text);
    }
    return op == "not" ? "not " + parts[0] : join(parts, " " + op + " ");
  }

  // --- Values ---

  string temp(const Node& node) {
    const string name = "t" + std::to_string(++temps_) + "_";
    emit("var " + name + ": " + type_of(node.type));
    into(name, node);
    return name;
  }

  // Puts a value right where it belongs.
  void into(const string& name, const Node& node) {
    const string& op = node.token.kind;
    if (is_literal(node)) {
      emit(type_of(node.type) + ".const " + name + ", " + literal(node));
    } else if (node.kind == "name") {
      emit("mov " + name + ", " + name_of(node.token));
    } else if (one_of(op, {"and", "or"}) && hard(node)) {
      into(name, node.parts[0]);
      emit("if " + string(op == "or" ? "not " : "") + name + " {");
      ++indent_;
      into(name, node.parts[1]);
      --indent_;
      emit("}");
    } else if (one_of(op, {"and", "or"})) {
      emit("if " + condition(node) + " {");
      emit("    i32.const " + name + ", 1");
      emit("} else {");
      emit("    i32.const " + name + ", 0");
      emit("}");
    } else if (node.kind == "call" && op == "name") {
      emit(instruction(node) + " -> " + name);
    } else {
      const auto [operation, operands] = parts_of(node);
      emit(operation + " " + name + ", " + join(operands, ", "));
    }
  }

  // A register, a constant, or an instruction in parentheses.
  string operand(const Node& node) {
    if (is_literal(node)) return literal(node);
    if (node.kind == "name") return name_of(node.token);
    if (one_of(node.token.kind, {"and", "or"})) return temp(node);
    return "(" + instruction(node) + ")";
  }

  // In their order, also where one of them takes statements, which stand before all.
  std::vector<string> operands(const std::vector<Node>& nodes) {
    std::size_t last = 0;
    for (std::size_t i = 0; i < nodes.size(); ++i) last = branchy(nodes[i]) ? i : last;
    std::vector<string> out;
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      out.push_back(i < last && !nodes[i].parts.empty() ? temp(nodes[i]) : operand(nodes[i]));
    }
    return out;
  }

  string instruction(const Node& node) {
    if (node.kind == "call" && node.token.kind == "name") {
      return "call " + name_of(node.token) + "(" + join(operands(node.parts), ", ") + ")";
    }
    const auto [operation, list] = parts_of(node);
    return operation + " " + join(list, ", ");
  }

  // In a loop, what no immediate form takes is loaded once, before.
  string constant(const Node& node) {
    if (loops_ == 0) return literal(node);
    const string text = type_of(node.type) + " = " + literal(node);
    return "c" + std::to_string(number_in(constants_, text)) + "_";
  }

  // The operation and its operands.
  std::pair<string, std::vector<string>> parts_of(const Node& node) {
    string op = node.token.kind;
    std::vector<Node> parts = node.parts;
    const string type = type_of(parts[0].type);
    if (node.kind == "call") {
      return {op == "int" ? "i64.trunc_f64_s" : "f64.convert_i64_s", operands(parts)};
    }
    if (node.kind == "unary") {
      if (op == "not") return {"i32.eqz", operands(parts)};
      if (type == "f64") return {"f64.neg", operands(parts)};
      return {"i64.sub", {"0", operands(parts)[0]}};
    }
    if (is_literal(parts[0]) && !is_literal(parts[1]) && !swapped(op).empty()) {
      op = swapped(op);
      std::swap(parts[0], parts[1]);
    }
    string name = operation_of(op);
    const bool divides = one_of(op, {"/", "%"});
    const bool immediate = type == "i64" && !divides;
    if (type == "i64" && (divides || one_of(name, {"lt", "le", "gt", "ge"}))) name += "_s";
    const bool product = parts[0].token.kind == "*" && parts[0].kind == "binary";
    if (one_of(op, {"+", "-"}) && product && type == "f64") {
      name = "mul_" + name;
      parts = {parts[0].parts[0], parts[0].parts[1], parts[1]};
    }
    std::vector<string> list = operands(parts);
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const bool small =
          parts[i].kind == "int" && parts[i].number > -(1 << 15) && parts[i].number < 1 << 15;
      if (one_of(parts[i].kind, {"int", "float"}) && !(immediate && small && i == 1)) {
        list[i] = constant(parts[i]);
      }
    }
    return {type + "." + name, list};
  }

  string file_, out_;
  std::vector<string> texts_, constants_;
  std::size_t indent_ = 1;
  int loops_ = 0, temps_ = 0, labels_ = 0;
  bool named_file_ = false;
};

// --- The command ---------------------------------------------------------------------------------

// The assembly text, or an empty one after it told the mistakes.
string compile(const string& file, const string& source) {
  std::vector<Mistake> mistakes;
  try {
    std::vector<Token> tokens = Lexer(source).lex();
    const Token end = tokens.back();
    std::vector<Function> functions = Parser(std::move(tokens)).program();
    mistakes = Checker(functions, end).program();
    std::sort(mistakes.begin(), mistakes.end(), [](const Mistake& x, const Mistake& y) {
      return std::tie(x.token.line, x.token.column) < std::tie(y.token.line, y.token.column);
    });
    if (mistakes.empty()) {
      string name = file.substr(file.find_last_of('/') + 1);
      if (name.ends_with(".motu")) name.resize(name.size() - 5);
      for (char& c : name) c = is_letter(c) || is_digit(c) || c == '-' ? c : '_';
      return Generator(file).program(functions, name);
    }
  } catch (Mistake& mistake) {
    mistakes.push_back(std::move(mistake));
  }
  for (const Mistake& each : mistakes) std::fputs(text_of(each, file, source).c_str(), stderr);
  return "";
}

int failed(const string& what) {
  std::fprintf(stderr, "toy: %s\n", what.c_str());
  return 126;
}

// The exit codes are those of the command `atoll`.
int run(const string& text, std::vector<string> arguments) {
  const atollvm::Engine engine;
  const auto module = atollvm::Module::assemble(engine, {"<made of " + arguments[0] + ">", text},
                                                atollvm::no_source_files);
  if (!module) return failed(module.error().text());
  atollvm::ProcessOptions options;
  options.arguments = std::move(arguments);
  options.output = 1;
  options.error = 2;
  auto process = atollvm::Process::create(engine, *module, options);
  if (!process) return failed(process.error().text());
  const auto outcome = process->run();
  if (!outcome) return failed(outcome.error().text());
  if (outcome->kind == atollvm::Outcome::Kind::exited) {
    return static_cast<int>(outcome->exit_code & 0xff);
  }
  failed("trap: " + string(to_text(outcome->trap)));
  for (const atollvm::TraceFrame& frame : outcome->trace) {
    std::fprintf(stderr, "  at %s (%s)\n", frame.name.c_str(), frame.location.c_str());
  }
  return 134;
}

}  // namespace

int main(int count, char** words) {
  std::vector<string> arguments(words + 1, words + count);
  const bool emit = !arguments.empty() && arguments[0] == "--emit";
  if (emit) arguments.erase(arguments.begin());
  if (arguments.empty() || (emit && arguments.size() != 1)) {
    std::fputs("usage: toy FILE [ARGUMENTS...]\n       toy --emit FILE\n", stderr);
    return 2;
  }
  std::ifstream input(arguments[0], std::ios::binary);
  if (!input) return failed(arguments[0] + ": can't be read");
  const string source{std::istreambuf_iterator<char>(input), {}};
  const string text = compile(arguments[0], source);
  if (text.empty()) return 1;
  if (!emit) return run(text, std::move(arguments));
  std::fputs(text.c_str(), stdout);
  return 0;
}
