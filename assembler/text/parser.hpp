// Reads tokens, and the parts of the language that stand in items and in functions alike:
// names, types, constant expressions.
#pragma once

#include <optional>

#include "assembler/text/unit.hpp"

namespace atollvm::text {

class Parser {
 public:
  Parser(Unit& unit, At at) : unit_(unit) { go(at); }

  // --- Tokens -----------------------------------------------------------------------------------
  void go(At at) {
    file_number_ = at.file;
    file_ = unit_.files[at.file].get();
    at_ = file_->tokens.data() + at.token;
  }
  [[nodiscard]] At here() const {
    return {file_number_, static_cast<u32>(at_ - file_->tokens.data())};
  }
  [[nodiscard]] At where(const Token* token) const {
    return {file_number_, static_cast<u32>(token - file_->tokens.data())};
  }
  [[nodiscard]] bool is(Kind kind) const { return at_->kind == kind; }
  [[nodiscard]] bool is(Keyword word) const {
    return at_->kind == Kind::name && at_->value == static_cast<Symbol>(word);
  }
  [[nodiscard]] bool at_end() const { return at_->kind == Kind::newline || at_->kind == Kind::end; }
  bool accept(Kind kind) {
    if (at_->kind != kind) return false;
    ++at_;
    return true;
  }
  bool accept(Keyword word) {
    if (!is(word)) return false;
    ++at_;
    return true;
  }
  // `what` names what is missing: "`,` after the destination".
  void expect(Kind kind, const char* what) {
    if (!accept(kind)) missing(what);
  }
  // The end of a statement: a line's end, or the brace that ends the block.
  void expect_end();
  void skip_newlines() {
    while (is(Kind::newline)) ++at_;
  }
  // To the next newline outside of braces, or the brace that closes the block.
  void skip_statement();

  // --- Mistakes ---------------------------------------------------------------------------------
  [[nodiscard]] Place place(const Token& token) const {
    return {file_number_, token.begin, token.length};
  }
  [[nodiscard]] Place place() const { return place(*at_); }
  void report(const Token& token, std::string message, std::string hint = {}) {
    unit_.reporter.error(place(token), std::move(message), std::move(hint));
  }
  [[noreturn]] void fail(const Token& token, std::string message, std::string hint = {}) {
    report(token, std::move(message), std::move(hint));
    throw Stop{};
  }
  [[noreturn]] void missing(const char* what);
  // When an operator stands behind a register or an instruction: how it is done instead.
  [[nodiscard]] std::string operator_hint() const;
  // What stands here, for a message: "`x`", "the end of the line".
  [[nodiscard]] std::string found() const;
  [[nodiscard]] std::string_view text(Symbol symbol) const { return unit_.names.text(symbol); }
  [[nodiscard]] std::string text_of(const Token& token) const {
    return quoted(file_->spelling(token));
  }

  // --- Names ------------------------------------------------------------------------------------
  // What a name means here.
  [[nodiscard]] Binding binding(Symbol symbol) const {
    const Binding& bound = unit_.bindings[symbol];
    if (bound.kind >= Bind::reg && bound.frame != unit_.frame) return {};
    // A library does not see the items of the programs that use it: it may name its registers and
    // parameters as it likes. What a macro's parameter stands for has a frame.
    if (file_->library && bound.kind != Bind::none && bound.kind < Bind::reg && bound.frame == 0 &&
        !unit_.file_of(unit_.defined_at[symbol]).library) {
      return {};
    }
    return bound;
  }
  [[nodiscard]] bool is_operation_here() const {
    return at_->kind == Kind::name && is_operation(at_->value, operation_count_);
  }
  // A name that may be given to something: no keyword, no operation, no dots.
  Symbol new_name(const char* what);
  // Suggests names that are bound to one of these kinds.
  [[nodiscard]] std::string near_miss(std::string_view wanted,
                                      std::initializer_list<Bind> kinds) const;
  // Reads the name of an item of this kind; returns its index.
  u32 item(Bind kind, const char* what);

  // --- Types ------------------------------------------------------------------------------------
  [[nodiscard]] std::optional<ValType> value_type_here() const;
  ValType value_type();
  std::string string();

  // --- Constants (constants.cpp, layout.cpp) ----------------------------------------------------
  Const constant();
  // The value of a named constant, data address...; evaluates items on demand.
  const Const& constant_item(u32 index, const Token& use);
  Const name_value(const Token& token);
  // Bounds are inclusive.
  i64 integer(const char* what, i64 min, i64 max);
  // Bits of a constant as a value of a type, in a slot's form.
  u64 bits(const Const& value, ValType type, const Token& at);
  // Finds sizes, and on the way offsets of fields.
  void layout_struct(u32 index, const Token& use);
  struct Extent {
    u64 size = 0;
    u64 align = 1;
    u32 structure = ~0u;
  };
  Extent field_type();
  // Size and alignment of a data item.
  void measure_data(u32 index);
  // Addresses of all data.
  void layout_memory(const Token& use);
  u64 heap_base(const Token& use);
  std::optional<Const> dotted_value(const Token& token);

 protected:
  Const ternary();
  Const binary(int min_level);
  Const unary();
  Const primary();
  Const combine(const Token& op, const Const& x, const Const& y);
  static f64 as_real(const Const& value) {
    return value.kind == Const::Kind::integer ? static_cast<f64>(value.integer) : value.real;
  }
  i64 as_integer(const Const& value, const Token& at);
  Const real_literal(const Token& token);

  Unit& unit_;
  const File* file_ = nullptr;
  u32 file_number_ = 0;
  const Token* at_ = nullptr;
  u32 operation_count_ = static_cast<u32>(mnemonics().size());
};

}  // namespace atollvm::text
