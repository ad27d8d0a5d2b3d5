// if, while, loop, for, switch: plain branches.
#include <algorithm>

#include "assembler/text/function.hpp"
#include "assembler/text/relations.hpp"

namespace atollvm::text {

// After a mistake in the head of a structure: its body is compiled all the same.
void FunctionCompiler::skip_to_body() {
  failed_ = true;
  while (!at_end() && !is(Kind::lbrace) && !is(Kind::rbrace)) ++at_;
}

void FunctionCompiler::body() {
  if (!is(Kind::lbrace)) missing("`{`");
  block();
  ++at_;
}

// --- Conditions ---------------------------------------------------------------------------------

// A condition is first cut at `and`, `or`, `not` and parentheses into a tree, because a branch
// depends on what comes after it; then leaves are compiled where they stand.
u32 FunctionCompiler::condition_tree(const Token*& token) {
  u32 left = condition_conjunction(token);
  while (token->kind == Kind::name && token->value == static_cast<Symbol>(Keyword::or_)) {
    ++token;
    const u32 right = condition_conjunction(token);
    nodes_.push_back({Node::either, left, right, nullptr});
    left = static_cast<u32>(nodes_.size() - 1);
  }
  return left;
}

u32 FunctionCompiler::condition_conjunction(const Token*& token) {
  u32 left = condition_factor(token);
  while (token->kind == Kind::name && token->value == static_cast<Symbol>(Keyword::and_)) {
    ++token;
    const u32 right = condition_factor(token);
    nodes_.push_back({Node::both, left, right, nullptr});
    left = static_cast<u32>(nodes_.size() - 1);
  }
  return left;
}

u32 FunctionCompiler::condition_factor(const Token*& token) {
  const Deeper deeper(unit_, place(*token));
  if (token->kind == Kind::name && token->value == static_cast<Symbol>(Keyword::not_)) {
    ++token;
    const u32 inner = condition_factor(token);
    nodes_.push_back({Node::negation, inner, 0, nullptr});
    return static_cast<u32>(nodes_.size() - 1);
  }
  if (token->kind == Kind::lparen) {
    const Token* inside = token + 1;
    const u32 inner = condition_tree(inside);
    if (inside->kind == Kind::rparen) {
      const Token* after = inside + 1;
      const bool whole =
          after->kind == Kind::lbrace || after->kind == Kind::rparen ||
          after->kind == Kind::newline || after->kind == Kind::end ||
          (after->kind == Kind::name && (after->value == static_cast<Symbol>(Keyword::and_) ||
                                         after->value == static_cast<Symbol>(Keyword::or_)));
      if (whole) {
        token = after;
        return inner;
      }
    } else {
      at_ = inside;
      missing("`)`");
    }
    // A constant expression that begins with a parenthesis.
  }
  const Token* begin = token;
  for (u32 depth = 0;; ++token) {
    const Kind kind = token->kind;
    if (kind == Kind::newline || kind == Kind::end || kind == Kind::lbrace ||
        kind == Kind::rbrace) {
      break;
    }
    if (kind == Kind::lparen || kind == Kind::lbracket) ++depth;
    if (kind == Kind::rparen || kind == Kind::rbracket) {
      if (depth == 0) break;
      --depth;
    }
    if (depth == 0 && kind == Kind::name &&
        (token->value == static_cast<Symbol>(Keyword::and_) ||
         token->value == static_cast<Symbol>(Keyword::or_))) {
      break;
    }
  }
  nodes_.push_back({Node::leaf, 0, 0, begin});
  return static_cast<u32>(nodes_.size() - 1);
}

void FunctionCompiler::condition(u32 label, bool sense) {
  if (is(Kind::lbrace) || at_end()) missing("a condition");
  const usize mark = nodes_.size();
  const Token* end = at_;
  const u32 root = condition_tree(end);
  if (end->kind != Kind::lbrace) {
    at_ = end;
    missing("`{`");
  }
  branch_node(root, label, sense);
  nodes_.resize(mark);
}

void FunctionCompiler::branch_node(u32 number, u32 label, bool sense) {
  const Node node = nodes_[number];
  switch (node.kind) {
    case Node::leaf: {
      at_ = node.token;
      const u32 mark = top();
      branch_leaf(label, sense);
      release(mark);
      // Closing parentheses around whole conditions belong to the tree.
      while (is(Kind::rparen)) ++at_;
      if (!is(Kind::lbrace) && !is(Keyword::and_) && !is(Keyword::or_))
        missing("`and`, `or` or `{`");
      return;
    }
    case Node::negation:
      return branch_node(node.left, label, !sense);
    case Node::both:
    case Node::either:
      break;
  }
  // `both` that is false, or `either` that is true, is known after its first part.
  if ((node.kind == Node::either) == sense) {
    branch_node(node.left, label, sense);
    branch_node(node.right, label, sense);
    return;
  }
  const u32 skip = new_label();
  branch_node(node.left, skip, !sense);
  branch_node(node.right, label, sense);
  if (labels_[skip].uses != 0) bind_label(skip);
}

void FunctionCompiler::branch_leaf(u32 label, bool sense) {
  Compare compare{ValType::i32, Rel::ne, true, 0, 0};
  if (is_operation_here()) {
    const Token& token = *at_;
    const Mnemonic& mnemonic = mnemonics()[token.value - first_operation];
    if (mnemonic.shape == Shape::compare) {
      ++at_;
      const Rel rel = sense ? mnemonic.rel : inverse(mnemonic.rel, is_float(mnemonic.type));
      return jump_if(compare_operands(mnemonic.type, rel), label);
    }
    if (mnemonic.op == Op::i32_eqz || mnemonic.op == Op::i64_eqz) {
      ++at_;
      compare.type = mnemonic.op == Op::i64_eqz ? ValType::i64 : ValType::i32;
      compare.a = operand_register(compare.type);
      compare.rel = sense ? Rel::eq : Rel::ne;
      return jump_if(compare, label);
    }
    const Result made = instruction({}, ValType::i32);
    check_type(token, ValType::i32, made.type);
    compare.a = made.slot;
  } else {
    compare.a = operand_register(ValType::i32);
  }
  compare.rel = sense ? Rel::ne : Rel::eq;
  jump_if(compare, label);
}

// --- if -----------------------------------------------------------------------------------------

// Whether the block that begins at `brace` is one jump without an `else` behind it; a condition
// then branches to the jump's target itself.
const Token* FunctionCompiler::lone_jump(const Token* brace) const {
  if (brace->kind != Kind::lbrace) return nullptr;
  const Token* token = brace + 1;
  while (token->kind == Kind::newline) ++token;
  if (token->kind != Kind::name) return nullptr;
  const Token* statement = token++;
  const Symbol symbol = statement->value;
  const bool branch = is_operation(symbol, operation_count_) &&
                      mnemonics()[symbol - first_operation].shape == Shape::jump;
  const bool leaves = symbol == static_cast<Symbol>(Keyword::break_) ||
                      symbol == static_cast<Symbol>(Keyword::continue_);
  if (!branch && !leaves) return nullptr;
  if (token->kind == Kind::name) ++token;
  while (token->kind == Kind::newline) ++token;
  if (token->kind != Kind::rbrace) return nullptr;
  for (++token; token->kind == Kind::newline;) ++token;
  return at_word(*token, Keyword::else_) ? nullptr : statement;
}

const Token* FunctionCompiler::condition_end() {
  const usize mark = nodes_.size();
  const Token* end = at_;
  condition_tree(end);
  nodes_.resize(mark);
  return end;
}

void FunctionCompiler::if_statement() {
  if (!is(Kind::lbrace) && !at_end()) {
    const Token* head = at_;
    const Token* brace = condition_end();
    if (const Token* jump_token = lone_jump(brace)) {
      at_ = jump_token + 1;
      const u32 target = is_operation(jump_token->value, operation_count_)
                             ? label_operand()
                             : loop_target(at_word(*jump_token, Keyword::break_));
      at_ = head;
      condition(target, true);
      at_ = file_->tokens.data() + brace->value + 1;
      return;
    }
  }
  const u32 done = new_label();
  for (;;) {
    const u32 otherwise = new_label();
    try {
      condition(otherwise, false);
    } catch (Stop&) {
      skip_to_body();
    }
    const usize mark = scopes_.size();
    body();
    leave_scope(mark);
    // `else` may stand on the next line.
    const Token* after = at_;
    while (after->kind == Kind::newline) ++after;
    const bool has_else =
        after->kind == Kind::name && after->value == static_cast<Symbol>(Keyword::else_);
    if (has_else) at_ = after + 1;
    if (has_else && reachable_) jump(done);
    reachable_ = reachable_ && !has_else;
    if (labels_[otherwise].uses != 0) bind_label(otherwise);
    if (!has_else) break;
    if (accept(Keyword::if_)) {
      add_line(at_[-1]);
      continue;
    }
    body();
    break;
  }
  if (labels_[done].uses != 0) bind_label(done);
}

// --- Loops --------------------------------------------------------------------------------------

void FunctionCompiler::loop_body(u32 done, u32 again, u32 loop_label) {
  loops_.push_back({loop_label, done, again, macro_depth_});
  try {
    body();
  } catch (...) {
    loops_.pop_back();
    throw;
  }
  loops_.pop_back();
}

void FunctionCompiler::while_statement(u32 loop_label) {
  const Token* head = ++at_;
  const u32 done = new_label();
  const u32 again = new_label();
  const u32 begin = new_label();
  const bool forever = is(Kind::integer) && at_->value != 0 && at_[1].kind == Kind::lbrace;
  bool good = true;
  try {
    if (forever) {
      ++at_;
    } else {
      condition(done, false);
    }
  } catch (Stop&) {
    skip_to_body();
    good = false;
  }
  bind_label(begin);
  loop_body(done, again, loop_label);
  const Token* end = at_;
  if (labels_[again].uses != 0) bind_label(again);
  if (reachable_ && good) {
    if (forever) {
      jump(begin);
    } else {
      add_line(*head);
      at_ = head;
      condition(begin, true);
      at_ = end;
    }
  }
  if (labels_[done].uses != 0) bind_label(done);
}

void FunctionCompiler::loop_statement(u32 loop_label) {
  ++at_;
  const u32 done = new_label();
  const u32 begin = new_label();
  bind_label(begin);
  loop_body(done, begin, loop_label);
  if (reachable_) jump(begin);
  if (labels_[done].uses != 0) bind_label(done);
}

void FunctionCompiler::leave_loop(bool is_break) { jump(loop_target(is_break)); }

// The label to which the `break` or `continue` before goes.
u32 FunctionCompiler::loop_target(bool is_break) {
  const Token& word = at_[-1];
  const u32 around = static_cast<u32>(loops_.size());
  u32 found = around;
  if (is(Kind::name)) {
    const Token& token = *at_;
    const u32 label = label_operand();
    for (u32 i = 0; i < around; ++i) {
      if (loops_[i].label == label) found = i;
    }
    if (found == around) {
      fail(token, "no loop around here has the label " + text_of(token));
    }
  } else {
    if (around == 0 || loops_.back().macro_depth != macro_depth_) {
      fail(word, text_of(word) + " stands outside of a loop");
    }
    found = around - 1;
  }
  return is_break ? loops_[found].done : loops_[found].again;
}

void FunctionCompiler::for_statement(u32 loop_label) {
  ++at_;
  const u32 done = new_label();
  const u32 again = new_label();
  const u32 begin = new_label();
  const usize mark = scopes_.size();
  const usize hidden_mark = hidden_in_use_.size();
  Counting counting;
  bool good = true;
  try {
    for_head(counting, done);
  } catch (Stop&) {
    skip_to_body();
    good = false;
  }
  bind_label(begin);
  loop_body(done, again, loop_label);
  if (labels_[again].uses != 0) bind_label(again);
  if (reachable_ && good) {
    const bool wide = counting.type == ValType::i64;
    const bool is_unsigned = counting.is_unsigned;
    Op op = wide ? (is_unsigned ? Op::back_i64_inc_lt_u : Op::back_i64_inc_lt_s)
                 : (is_unsigned ? Op::back_i32_inc_lt_u : Op::back_i32_inc_lt_s);
    if (counting.has_step) {
      op = wide ? (is_unsigned ? Op::back_i64_add_lt_u : Op::back_i64_add_lt_s)
                : (is_unsigned ? Op::back_i32_add_lt_u : Op::back_i32_add_lt_s);
    }
    count_back(op, counting.counter, counting.step, counting.limit, begin);
  }
  while (hidden_in_use_.size() > hidden_mark) {
    free_hidden_.push_back(hidden_in_use_.back());
    hidden_in_use_.pop_back();
  }
  leave_scope(mark);
  if (labels_[done].uses != 0) bind_label(done);
}

u16 FunctionCompiler::hidden() {
  const u16 slot = add_hidden();
  hidden_in_use_.push_back(slot);
  return slot;
}

// `unsigned? NAME (: TYPE)? in FIRST .. LIMIT (step STEP)?`, up to the test before the first turn.
void FunctionCompiler::for_head(Counting& counting, u32 done) {
  if (is(Keyword::unsigned_) && at_[1].kind == Kind::name && !at_word(at_[1], Keyword::in)) {
    counting.is_unsigned = true;
    ++at_;
  }
  const Token& name = *at_;
  if (at_[1].kind == Kind::colon) {
    new_name("a register's name");
    ++at_;
    const Token& type_token = *at_;
    counting.type = value_type();
    if (counting.type != ValType::i32 && counting.type != ValType::i64) {
      fail(type_token, "a loop counts an i32 or an i64");
    }
    counting.counter = add_register(name, counting.type);
  } else {
    const Register counter = register_here("the register that counts");
    if (counter.type != ValType::i32 && counter.type != ValType::i64) {
      fail(name, "a loop counts an i32 or an i64");
    }
    counting.type = counter.type;
    counting.counter = counter.slot;
  }
  if (!accept(Keyword::in)) missing("`in`");
  const u32 mark = top();
  std::optional<i64> first_value;
  if (is(Kind::integer) && at_[1].kind == Kind::dots) first_value = at_->value;
  operand_into(counting.counter, counting.type);
  expect(Kind::dots, "`..` and the limit");
  const Token& limit_token = *at_;
  const bool plain_register = find_register(limit_token) != nullptr;
  const Value limit = operand(counting.type);
  std::optional<i16> small = immediate(limit, counting.type);
  if (plain_register) {
    counting.limit = limit.slot;
  } else {
    counting.limit = hidden();
    if (limit.kind == Value::constant) {
      load_constant(counting.limit, counting.type, limit.number, limit_token);
    } else {
      move(counting.limit, in_register(limit, counting.type));
    }
  }
  if (accept(Keyword::step)) {
    const Token& step_token = *at_;
    const Value step = operand(counting.type);
    if (step.kind == Value::constant) {
      if (step.number.kind != Const::Kind::integer || step.number.integer <= 0) {
        fail(step_token, "the step must be positive");
      }
      if (step.number.integer != 1) {
        counting.has_step = true;
        counting.step = hidden();
        load_constant(counting.step, counting.type, step.number, step_token);
      }
    } else if (find_register(step_token) != nullptr) {
      counting.has_step = true;
      counting.step = step.slot;
    } else {
      counting.has_step = true;
      counting.step = hidden();
      move(counting.step, in_register(step, counting.type));
    }
  }
  release(mark);
  if (!is(Kind::lbrace)) missing("`step` or `{`");
  // The test before the first turn, unless constants show that it passes.
  if (first_value && small && *first_value < *small) return;
  const Rel outside = counting.is_unsigned ? Rel::ge_u : Rel::ge_s;
  if (small) {
    jump_if({counting.type, outside, true, counting.counter, static_cast<u16>(*small)}, done);
  } else {
    const Rel rel = counting.is_unsigned ? Rel::le_u : Rel::le_s;
    jump_if({counting.type, rel, false, counting.limit, counting.counter}, done);
  }
}

bool FunctionCompiler::at_word(const Token& token, Keyword word) {
  return token.kind == Kind::name && token.value == static_cast<Symbol>(word);
}

}  // namespace atollvm::text
