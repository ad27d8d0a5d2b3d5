// Macros: a body compiled in place, in a frame of its own, in which its parameters mean what was
// given for them, and nothing of the function around it is known.
#include "assembler/text/function.hpp"

namespace atollvm::text {

namespace {
constexpr u32 max_macro_depth = 64;
}

void FunctionCompiler::expand_macro(const Token& name) {
  const u32 index = item(Bind::macro, "macro");
  ++at_;  // `!`
  expect(Kind::lparen, "`(` and the arguments");
  std::vector<Binding> arguments;
  const u32 mark = top();
  if (!is(Kind::rparen)) {
    do arguments.push_back(macro_argument());
    while (accept(Kind::comma));
  }
  if (top() != mark) {
    fail(name, "an instruction cannot be a macro's argument", "put its result into a register");
  }
  expect(Kind::rparen, "`,` or `)` after the argument");
  const At after = here();

  MacroItem& macro = unit_.macros[index];
  if (arguments.size() != macro.param_count) {
    fail(name, "the macro " + text_of(name) + " has " + std::to_string(macro.param_count) +
                   (macro.param_count == 1 ? " parameter" : " parameters") + ", " +
                   std::to_string(arguments.size()) +
                   (arguments.size() == 1 ? " argument is given" : " arguments are given"));
  }
  if (macro.active) fail(name, "the macro " + text_of(name) + " uses itself");
  if (macro_depth_ == max_macro_depth) fail(name, "macros are nested more than 64 deep");

  if (macro_depth_ == 0) {
    macro_use_ = &name;
    macro_use_file_ = file_number_;
    unit_.reporter.set_macro_use(place(name));
  }
  const u32 outer_frame = unit_.frame;
  const usize scope_mark = scopes_.size();
  const usize label_mark = label_scopes_.size();
  ++macro_depth_;
  unit_.macros[index].active = true;
  unit_.frame = ++last_frame_;
  const auto leave = [&] {
    leave_labels(label_mark);
    leave_scope(scope_mark);
    unit_.frame = outer_frame;
    unit_.macros[index].active = false;
    if (--macro_depth_ == 0) unit_.reporter.set_macro_use(std::nullopt);
    go(after);
  };
  try {
    go(macro.params);
    for (const Binding& argument : arguments) {
      const Token& param = *at_;
      if (binding(param.value).kind != Bind::none) {
        fail(param, text_of(param) + " is the name of an item already",
             "nothing may shadow another name");
      }
      bind(param.value, argument);
      ++at_;
      accept(Kind::comma);
    }
    go(macro.body);
    body();
  } catch (Stop&) {
    failed_ = true;
  } catch (...) {
    leave();
    throw;
  }
  leave();
}

// A register, constant, memory operand, label, or an item's name.
Binding FunctionCompiler::macro_argument() {
  const Token& token = *at_;
  const Kind next = at_[1].kind;
  if (token.kind == Kind::name && (next == Kind::comma || next == Kind::rparen)) {
    const Binding bound = binding(token.value);
    if (bound.kind != Bind::none) {
      ++at_;
      return bound;
    }
    const bool word = token.value < reserved_words || is_operation_here() ||
                      text(token.value).find('.') != std::string_view::npos;
    if (!word) {
      ++at_;
      return {Bind::label, named_label(token)};
    }
  }
  if (token.kind == Kind::lbracket || (token.kind == Kind::name && next == Kind::lbracket)) {
    addresses_.push_back(address());
    return {Bind::address, static_cast<u32>(addresses_.size() - 1)};
  }
  if (token.kind == Kind::lparen && at_[1].kind == Kind::name &&
      is_operation(at_[1].value, operation_count_)) {
    fail(token, "an instruction cannot be a macro's argument", "put its result into a register");
  }
  unit_.macro_values.push_back(constant());
  return {Bind::value, static_cast<u32>(unit_.macro_values.size() - 1)};
}

}  // namespace atollvm::text
