// switch: a table of targets when the values are dense, else comparisons.
#include <algorithm>

#include "assembler/text/function.hpp"

namespace atollvm::text {

namespace {

struct Case {
  i64 value;
  u32 label;
  const Token* token;
};

// A table is worth its words when at least this many values fill at least a quarter of it.
constexpr usize table_min = 4;
constexpr u64 table_sparse = 4;

}  // namespace

void FunctionCompiler::switch_statement() {
  const u32 mark = top();
  const Token& subject = *at_;
  const Value value = any_operand();
  const ValType type = value.kind == Value::constant ? ValType::i32 : value.type;
  if (type != ValType::i32 && type != ValType::i64) {
    fail(subject, "`switch` needs an i32 or an i64");
  }
  const u16 slot = in_register(value, type);
  if (!is(Kind::lbrace)) missing("`{`");
  ++at_;

  // First all values; the bodies come after the dispatch.
  const u32 done = new_label();
  u32 otherwise = no_label;
  std::vector<Case> cases;
  struct Arm {
    const Token* body;
    u32 label;
  };
  std::vector<Arm> arms;
  for (skip_newlines(); !is(Kind::rbrace); skip_newlines()) {
    const u32 label = new_label();
    if (is(Keyword::else_)) {
      if (otherwise != no_label) fail(*at_, "`switch` has two `else`");
      ++at_;
      otherwise = label;
    } else {
      do {
        const Token& token = *at_;
        Value number;
        number.number = constant();
        const u64 raw = bits(number.number, type, token);
        if (number.number.base != Const::Base::none) fail(token, "an address cannot be a case");
        cases.push_back(
            {type == ValType::i32 ? static_cast<i32>(raw) : static_cast<i64>(raw), label, &token});
      } while (accept(Kind::comma));
    }
    expect(Kind::becomes, "`,` or `=>` after the value");
    if (!is(Kind::lbrace)) missing("`{`");
    arms.push_back({at_, label});
    at_ = file_->tokens.data() + at_->value + 1;
  }
  const Token* end = at_;

  std::stable_sort(cases.begin(), cases.end(),
                   [](const Case& x, const Case& y) { return x.value < y.value; });
  for (usize i = 1; i < cases.size(); ++i) {
    if (cases[i].value == cases[i - 1].value) {
      fail(*cases[i].token, "the value " + std::to_string(cases[i].value) + " stands twice");
    }
  }

  const u32 rest = otherwise != no_label ? otherwise : done;
  const u64 span = cases.empty() ? 0
                                 : static_cast<u64>(cases.back().value) -
                                       static_cast<u64>(cases.front().value) + 1;
  if (type == ValType::i32 && cases.size() >= table_min && span != 0 &&
      span <= cases.size() * table_sparse) {
    const i64 first = cases.front().value;
    u16 index = slot;
    if (first != 0) {
      index = temp();
      if (-first >= -0x8000 && -first <= 0x7fff) {
        emit(Op::i32_add_i, index, slot, static_cast<u16>(-first));
      } else {
        emit_wide(Op::i32_const, index, static_cast<u32>(-first));
        emit(Op::i32_add, index, slot, index);
      }
    }
    std::vector<u32> targets(span, rest);
    for (const Case& one : cases) targets[static_cast<usize>(one.value - first)] = one.label;
    targets.push_back(rest);
    emit_table(index, targets);
  } else {
    for (const Case& one : cases) {
      Compare compare{type, Rel::eq, true, slot, 0};
      const u32 here = top();
      if (one.value >= -0x8000 && one.value <= 0x7fff) {
        compare.b = static_cast<u16>(one.value);
      } else {
        compare.immediate = false;
        compare.b = temp();
        Const number;
        number.integer = one.value;
        load_constant(compare.b, type, number, *one.token);
      }
      release(here);
      last_ = no_label;  // the next case needs the value too
      jump_if(compare, one.label);
    }
    jump(rest);
  }
  release(mark);

  for (usize i = 0; i < arms.size(); ++i) {
    at_ = arms[i].body;
    if (labels_[arms[i].label].uses == 0) {
      fail(*at_, "this `else` cannot be reached");
    }
    bind_label(arms[i].label);
    body();
    if (reachable_ && i + 1 < arms.size()) jump(done);
  }
  at_ = end + 1;
  if (labels_[done].uses != 0) bind_label(done);
}

}  // namespace atollvm::text
