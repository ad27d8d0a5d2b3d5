// Motu: the checker.
#pragma once

#include "syntax.hpp"

#include <functional>
#include <map>

namespace motu {

// --- Checker -------------------------------------------------------------------------------------

inline string a(string_view type) {
  if (type == "int") return "an int";
  return type.empty() ? "nothing" : "a " + string(type);
}

inline bool is_literal(const Node& node) { return one_of(node.kind, {"int", "float", "bool"}); }

// Gives each expression its type, and computes what consists of integers alone.
class Checker {
 public:
  Checker(std::vector<Function>& functions, Token end) : list_(functions), end_(std::move(end)) {}

  std::vector<Mistake> program() {
    for (Function& each : list_) {
      guarded([&] { return declare_function(each), false; });
    }
    if (!functions_.contains("main")) {
      mistakes_.push_back({end_, "the program has no function `main`", ""});
    }
    for (Function& each : list_) one_function(each);
    return std::move(mistakes_);
  }

 private:
  // So that one run shows the mistakes of all statements.
  bool guarded(const std::function<bool()>& action) {
    try {
      return action();
    } catch (Mistake& mistake) {
      mistakes_.push_back(std::move(mistake));
      return false;
    }
  }

  void declare_function(const Function& function) {
    const string& name = function.name.text;
    if (functions_.contains(name))
      fail(function.name, "there is a function `" + name + "` already");
    functions_[name] = &function;
    if (name != "main") return;
    for (const auto& [param, type] : function.params) {
      if (type != "int") {
        fail(param, "`main` takes the program's arguments: ints");
      }
    }
    if (!one_of(function.result, {"", "int"})) {
      fail(function.name, "`main` gives an int, the exit code, or nothing");
    }
  }

  void one_function(Function& function) {
    function_ = &function;
    scopes_ = {{}};
    for (const auto& param : function.params) {
      guarded([&] { return declare(param.first, param.second), false; });
    }
    const std::size_t mistakes = mistakes_.size();
    const bool ends = block(function.body);
    if (!function.result.empty() && !ends && mistakes_.size() == mistakes) {
      mistakes_.push_back({function.body.token,
                           "the end of the function can be reached without `return`",
                           "`" + function.name.text + "` gives " + a(function.result)});
    }
  }

  void declare(const Token& token, const string& type) {
    if (functions_.contains(token.text)) {
      fail(token, "`" + token.text + "` is the name of a function");
    }
    for (const auto& scope : scopes_) {
      if (scope.contains(token.text)) {
        fail(token, "there is a variable `" + token.text + "` already");
      }
    }
    scopes_.back()[token.text] = type;
  }

  // Whether the end of the block is never reached.
  bool block(Node& node) {
    scopes_.emplace_back();
    bool ends = false;
    for (Node& each : node.parts) {
      if (ends) {
        mistakes_.push_back({each.token, "this statement cannot be reached", ""});
        break;
      }
      ends = guarded([&] { return statement(each); });
    }
    scopes_.pop_back();
    return ends;
  }

  bool statement(Node& node) {
    std::vector<Node>& parts = node.parts;
    if (node.kind == "let") {
      try {
        value(parts[0]);
        wrong_type(parts[0], node.value);
      } catch (Mistake&) {  // the variable is known all the same, or more mistakes would follow
        guarded([&] { return declare(node.token, node.value), false; });
        throw;
      }
      declare(node.token, parts[0].type);
    } else if (node.kind == "set") {
      const string wanted = variable(node.token);
      want(parts[0], wanted);
    } else if (node.kind == "if") {
      guarded([&] { return want(parts[0], "bool"), false; });
      const bool ends = block(parts[1]);
      return parts.size() == 3 && block(parts[2]) && ends;
    } else if (node.kind == "while") {
      guarded([&] { return want(parts[0], "bool"), false; });
      block(parts[1]);
      return parts[0].kind == "bool" && parts[0].number == 1;
    } else if (node.kind == "return") {
      const string& result = function_->result;
      if (parts.empty() && !result.empty()) {
        fail(node.token, "there is no value, the function gives " + a(result));
      }
      if (!parts.empty() && result.empty()) {
        fail(parts[0].token, "the function gives nothing");
      }
      for (Node& part : parts) want(part, result);
      return true;
    } else if (node.kind == "call statement") {
      expression(parts[0]);
    } else {
      for (Node& part : parts) {
        if (part.kind != "string") value(part);
      }
    }
    return false;
  }

  string variable(const Token& token) {
    for (const auto& scope : scopes_) {
      if (const auto found = scope.find(token.text); found != scope.end()) return found->second;
    }
    fail(token, "there is no variable `" + token.text + "`",
         functions_.contains(token.text) ? "to call it: " + token.text + "(...)"
                                         : "`let` makes one");
  }

  void want(Node& node, string_view type) {
    value(node);
    wrong_type(node, type);
  }

  static void wrong_type(const Node& node, string_view wanted) {
    // Without a type: of a mistake that was told.
    if (node.type == wanted || node.type.empty() || wanted.empty()) return;
    const bool converts = node.type != "bool" && wanted != "bool";
    fail(node.token, "expected " + a(wanted) + ", found " + a(node.type),
         converts ? string(wanted) + "(...)" : "");
  }

  const string& value(Node& node) {
    if (expression(node).empty() && node.kind == "call") {
      fail(node.token, "the function `" + node.token.text + "` gives nothing");
    }
    return node.type;
  }

  const string& expression(Node& node) {
    if (is_literal(node))
      node.type = node.kind;
    else if (node.kind == "name")
      node.type = variable(node.token);
    else if (node.kind == "call")
      node.type = call(node);
    else if (node.kind == "unary")
      node.type = unary(node);
    else
      node.type = binary(node);
    return node.type;
  }

  string call(Node& node) {
    const string& name = node.token.text;
    std::vector<string> params;
    string result = name;
    if (one_of(name, {"int", "float"})) {
      params.emplace_back(name == "int" ? "float" : "int");
    } else if (const auto found = functions_.find(name); found != functions_.end()) {
      for (const auto& param : found->second->params) params.push_back(param.second);
      result = found->second->result;
    } else {
      fail(node.token, "there is no function `" + name + "`");
    }
    if (node.parts.size() != params.size()) {
      fail(node.token, "`" + name + "` has " + std::to_string(params.size()) + " parameter" +
                           (params.size() == 1 ? "" : "s") + ", given are " +
                           std::to_string(node.parts.size()));
    }
    for (std::size_t i = 0; i < params.size(); ++i) want(node.parts[i], params[i]);
    return result;
  }

  string unary(Node& node) {
    Node inner = node.parts[0];
    if (node.token.kind == "not") {
      want(node.parts[0], "bool");
      return "bool";
    }
    const string type = value(inner);
    if (type == "bool") fail(inner.token, "expected a number, found a bool");
    node.parts[0] = inner;
    if (inner.kind == "int") {
      make_int(node, 0 - static_cast<std::uint64_t>(inner.number));
    } else if (inner.kind == "float") {
      node.kind = "float";
      node.parts.clear();
      node.value = inner.value.starts_with('-') ? inner.value.substr(1) : "-" + inner.value;
    }
    return type;
  }

  static void make_int(Node& node, std::uint64_t number) {
    node.kind = "int";
    node.parts.clear();
    node.number = static_cast<std::int64_t>(number);
  }

  string binary(Node& node) {
    const string& op = node.token.kind;
    Node& left = node.parts[0];
    Node& right = node.parts[1];
    if (one_of(op, {"and", "or"})) {
      want(left, "bool");
      want(right, "bool");
      return "bool";
    }
    const string type = value(left);
    if (value(right) != type && !type.empty() && !right.type.empty()) {
      fail(node.token, "`" + op + "` between " + a(type) + " and " + a(right.type),
           "int(...) and float(...) convert");
    }
    if (type == "bool" && !one_of(op, {"==", "!="})) fail(node.token, "`" + op + "` between bools");
    if (type == "float" && op == "%") fail(node.token, "`%` is for ints");
    if (level_of(op) == compare_level) return "bool";
    if (left.kind == "int" && right.kind == "int") fold(node, op, left.number, right.number);
    return type;
  }

  static void fold(Node& node, const string& op, std::int64_t x, std::int64_t y) {
    const auto ux = static_cast<std::uint64_t>(x), uy = static_cast<std::uint64_t>(y);
    if (op == "+") return make_int(node, ux + uy);
    if (op == "-") return make_int(node, ux - uy);
    if (op == "*") return make_int(node, ux * uy);
    if (y == 0 || (x == INT64_MIN && y == -1)) return;  // left to the program, which may trap
    make_int(node, static_cast<std::uint64_t>(op == "/" ? x / y : x % y));
  }

  std::vector<Function>& list_;
  Token end_;
  std::map<string, const Function*> functions_;
  std::vector<Mistake> mistakes_;
  const Function* function_ = nullptr;
  std::vector<std::map<string, string>> scopes_;
};

}  // namespace motu
