// Statements of a function's body.
#include "assembler/text/function.hpp"

namespace atollvm::text {

// From `{` to the matching `}`, which stays for messages: the caller moves over it.
void FunctionCompiler::block() {
  const Deeper deeper(unit_, place());
  const Token* end = file_->tokens.data() + at_->value;
  ++at_;
  const usize mark = scopes_.size();
  const std::optional<SourcePlace> line = line_;
  for (skip_newlines(); at_ < end; skip_newlines()) {
    const u32 temporaries = temps_;
    const Token& first = *at_;
    try {
      statement();
      expect_end();
    } catch (Stop&) {
      failed_ = true;
      skip_to_statement(first, end);
      // What was meant to end here does, as far as later messages go.
      if (ends_control(first)) reachable_ = false;
    }
    temps_ = temporaries;
  }
  at_ = end;
  line_ = line;
  leave_scope(mark);
}

// After a mistake: to the end of the statement that begins at `first`.
void FunctionCompiler::skip_to_statement(const Token& first, const Token* end) {
  for (; at_ < end && !at_end(); ++at_) {
    // After an open parenthesis the next statement stands in this one.
    if (at_ != &first && ends_control(*at_)) skipped_ = true;
    if (is(Kind::lbrace)) {
      skipped_ = true;
      at_ = file_->tokens.data() + at_->value;
    }
  }
}

bool FunctionCompiler::ends_control(const Token& token) const {
  if (token.kind != Kind::name || !is_operation(token.value, operation_count_)) return false;
  switch (mnemonics()[token.value - first_operation].shape) {
    case Shape::ret:
    case Shape::tail:
    case Shape::tail_table:
    case Shape::tail_ref:
    case Shape::jump:
    case Shape::jump_table:
      return true;
    default:
      return false;
  }
}

void FunctionCompiler::statement() {
  const Token& token = *at_;
  if (token.kind != Kind::name) missing("a statement");
  if (macro_depth_ != 0 && ++unit_.statements > max_statements) {
    report(token, "macros expand to more than 4 million statements");
    throw Enough{};
  }
  const bool label = at_[1].kind == Kind::colon;
  if (is(Keyword::line) && (at_[1].kind == Kind::string || at_[1].kind == Kind::integer)) {
    return line_statement();
  }
  if (!label) {
    if (!reachable_) {
      // After other mistakes it may only look so.
      if (!failed_) {
        report(token, "this statement cannot be reached",
               "remove it, or give it a label that something branches to");
      }
      dead_code_ = true;
      reachable_ = true;
    }
    add_line(token);
  }
  if (is_operation_here()) return instruction_statement();
  if (label) return define_label();
  switch (static_cast<Keyword>(token.value)) {
    case Keyword::var:
      ++at_;
      return var_statement();
    case Keyword::if_:
      ++at_;
      return if_statement();
    case Keyword::while_:
      return while_statement(no_label);
    case Keyword::loop:
      return loop_statement(no_label);
    case Keyword::for_:
      return for_statement(no_label);
    case Keyword::switch_:
      ++at_;
      return switch_statement();
    case Keyword::break_:
      ++at_;
      return leave_loop(true);
    case Keyword::continue_:
      ++at_;
      return leave_loop(false);
    case Keyword::else_:
      fail(token, "`else` without an `if` before it");
    default:
      return name_statement();
  }
}

// The place in another source that what follows was made of.
void FunctionCompiler::line_statement() {
  if (macro_depth_ != 0) fail(*at_, "`line` has no place in a macro");
  ++at_;
  SourcePlace place{line_ ? line_->file : 0, 0, 0};
  if (is(Kind::string)) {
    place.file = unit_.line_file(string());
  } else if (!line_) {
    fail(*at_, "the first `line` of a function names the file", "line \"prog.toy\" 12 5");
  }
  place.line = static_cast<u32>(integer("a line number", 1, 0xffff'ffff));
  place.column = static_cast<u32>(integer("a column number", 1, 0xffff'ffff));
  line_ = place;
}

// A macro, or nothing known.
void FunctionCompiler::name_statement() {
  const Token& token = *at_;
  if (at_[1].kind == Kind::bang) return expand_macro(token);
  const Binding bound = binding(token.value);
  if (bound.kind == Bind::macro) {
    fail(token, "a macro is used with `!`", std::string(text(token.value)) + "!(...)");
  }
  if (bound.kind == Bind::function) {
    fail(token, "a function is called by `call`",
         "call " + std::string(text(token.value)) + "(...)");
  }
  if (bound.kind != Bind::none) {
    fail(token, "a statement cannot begin with " + text_of(token),
         "the operation comes first: i32.add d, a, b");
  }
  if (token.value < reserved_words) {
    fail(token, text_of(token) + " cannot stand inside of a function");
  }
  NearMiss near(text(token.value));
  for (const Mnemonic& mnemonic : mnemonics()) near.consider(mnemonic.name);
  for (const char* word : {"var", "if", "while", "loop", "for", "switch", "break", "continue"}) {
    near.consider(word);
  }
  const bool dotted = text(token.value).find('.') != std::string_view::npos;
  fail(token, (dotted ? "unknown operation " : "unknown statement ") + text_of(token), near.hint());
}

void FunctionCompiler::var_statement() {
  do {
    const Token& name = *at_;
    new_name("a register's name");
    expect(Kind::colon, "`:` and the register's type");
    const ValType type = value_type();
    if (!accept(Kind::assign)) {
      add_register(name, type);
      continue;
    }
    // The name is known after its value.
    const u16 slot = static_cast<u16>(locals_);
    if (straight_ && !mod::is_reference(type) && is_zero_literal()) {
      ++at_;  // every register is zero when the function starts
    } else {
      try {
        operand_into(slot, type);
      } catch (Stop&) {
        // The names after it are declared all the same.
        failed_ = true;
        for (u32 depth = 0; !at_end() && !is(Kind::rbrace) && !is(Kind::lbrace); ++at_) {
          if (depth == 0 && is(Kind::comma)) break;
          if (is(Kind::lparen) || is(Kind::lbracket)) ++depth;
          if (is(Kind::rparen) || is(Kind::rbracket)) depth -= depth != 0;
        }
      }
    }
    add_register(name, type);
  } while (accept(Kind::comma));
}

bool FunctionCompiler::is_zero_literal() const {
  if (at_->kind != Kind::integer || at_->value != 0) return false;
  const Kind next = at_[1].kind;
  return next == Kind::newline || next == Kind::comma || next == Kind::rbrace;
}

void FunctionCompiler::define_label() {
  const Token& token = *at_;
  const Binding bound = binding(token.value);
  u32 label = 0;
  if (bound.kind == Bind::label) {
    label = bound.index;
    ++at_;
  } else {
    new_name("a label");
    label = named_label(token);
  }
  ++at_;  // the colon
  if (labels_[label].pc != no_label) {
    fail(token, "the label " + text_of(token) + " is defined twice");
  }
  bind_label(label);
  labels_[label].token = &token;
  labels_[label].file = file_number_;
  if (!reachable_) {
    labels_[label].dead_start = true;
    reachable_ = true;
  }
  skip_newlines();
  if (is(Keyword::while_)) {
    add_line(*at_);
    return while_statement(label);
  }
  if (is(Keyword::loop)) {
    add_line(*at_);
    return loop_statement(label);
  }
  if (is(Keyword::for_)) {
    add_line(*at_);
    return for_statement(label);
  }
  // Another statement may stand on the same line.
  if (!is(Kind::rbrace) && !is(Kind::end)) statement();
}

}  // namespace atollvm::text
