// Registers and labels of a function, and how far their names are known.
#include "assembler/text/function.hpp"

namespace atollvm::text {

void FunctionCompiler::bind(Symbol symbol, Binding meaning) {
  meaning.frame = unit_.frame;
  scopes_.push_back({symbol, unit_.bindings[symbol]});
  unit_.bindings[symbol] = meaning;
}

void FunctionCompiler::leave_scope(usize mark) {
  while (scopes_.size() > mark) {
    unit_.bindings[scopes_.back().symbol] = scopes_.back().old;
    scopes_.pop_back();
  }
}

void FunctionCompiler::too_many(const Token& token) {
  if (full_) throw Stop{};
  full_ = true;
  fail(token, "too many registers: a function may name 32768");
}

u16 FunctionCompiler::add_register(const Token& name, ValType type) {
  const Binding bound = binding(name.value);
  if (bound.kind != Bind::none) {
    const bool local = bound.kind >= Bind::reg;
    fail(name, text_of(name) + (local ? " is defined already" : " is the name of an item already"),
         "nothing may shadow another name");
  }
  const u16 slot = static_cast<u16>(locals_);
  if (locals_ >= temp_base) too_many(name);
  ++locals_;
  bind(name.value, {Bind::reg, static_cast<u32>(registers_.size())});
  registers_.push_back({type, slot});
  if (unit_.options.local_names) {
    unit_.local_names.push_back(
        {static_cast<u32>(unit_.module.functions.size() - 1), slot, name.value});
  }
  return slot;
}

// A register without a name, for the limit of a loop.
u16 FunctionCompiler::add_hidden() {
  if (!free_hidden_.empty()) {
    const u16 slot = free_hidden_.back();
    free_hidden_.pop_back();
    return slot;
  }
  if (locals_ >= temp_base) too_many(*at_);
  return static_cast<u16>(locals_++);
}

const Register* FunctionCompiler::find_register(const Token& token) {
  if (token.kind != Kind::name) return nullptr;
  const Binding bound = binding(token.value);
  if (bound.kind != Bind::reg) return nullptr;
  return &registers_[bound.index];
}

const Register& FunctionCompiler::register_here(const char* what) {
  const Register* found = find_register(*at_);
  if (found == nullptr) {
    if (!is(Kind::name)) missing(what);
    const Binding bound = binding(at_->value);
    if (bound.kind == Bind::none && at_->value >= reserved_words && !is_operation_here()) {
      fail(*at_, "unknown register " + text_of(*at_), near_miss(text(at_->value), {Bind::reg}));
    }
    fail(*at_, text_of(*at_) + " is not a register");
  }
  ++at_;
  return *found;
}

u32 FunctionCompiler::new_label() {
  Label label;
  label.frame = unit_.frame;
  labels_.push_back(label);
  return static_cast<u32>(labels_.size() - 1);
}

// The label of this name in the function, or in the macro's expansion.
u32 FunctionCompiler::named_label(const Token& token) {
  const Symbol symbol = token.value;
  if (label_of_[symbol] != 0) {
    const u32 held = label_of_[symbol] - 1;
    if (labels_[held].frame == unit_.frame) return held;
  }
  const u32 label = new_label();
  labels_[label].name = symbol;
  labels_[label].token = &token;
  labels_[label].file = file_number_;
  label_scopes_.push_back({symbol, label_of_[symbol]});
  label_of_[symbol] = label + 1;
  return label;
}

// Ends the function's or macro's labels; all of them must have a place.
void FunctionCompiler::leave_labels(usize mark) {
  for (usize i = mark; i < label_scopes_.size() && !skipped_; ++i) {
    const Label& label = labels_[label_of_[label_scopes_[i].symbol] - 1];
    if (label.pc != no_label) continue;
    NearMiss near(text(label.name));
    for (const Label& other : labels_) {
      if (other.pc != no_label && other.token != nullptr && other.frame == label.frame) {
        near.consider(text(other.name));
      }
    }
    unit_.reporter.error({label.file, label.token->begin, label.token->length},
                         "there is no label " + quoted(text(label.name)), near.hint());
  }
  while (label_scopes_.size() > mark) {
    label_of_[label_scopes_.back().symbol] = label_scopes_.back().old;
    label_scopes_.pop_back();
  }
}

u32 FunctionCompiler::label_operand() {
  const Token& token = *at_;
  if (!is(Kind::name)) missing("a label");
  const Binding bound = binding(token.value);
  if (bound.kind == Bind::label) {
    ++at_;
    return bound.index;
  }
  new_name("a label");
  const u32 label = named_label(token);
  return label;
}

}  // namespace atollvm::text
