// Compiles one function's body, straight from tokens to words.
//
// While a function is compiled, temporaries are numbered from `temp_base` on; when the number of
// locals is known, one walk over its words moves them down behind the locals. No temporary lives
// from one statement to the next, so at every label exactly the locals are defined.
#pragma once

#include <array>

#include "assembler/text/items.hpp"
#include "vm/isa/isa.hpp"

namespace atollvm::text {

using isa::Op;
using isa::Word;

inline constexpr u32 temp_base = 0x8000;
inline constexpr u32 no_label = ~0u;

struct Register {
  ValType type;
  u16 slot;
};

struct Label {
  u32 pc = no_label;  // words from the function's begin, when bound
  u32 frame = 0;
  Symbol name = 0;
  const Token* token = nullptr;  // of the first use or the definition, for a message
  u32 file = 0;
  u32 uses = 0;
  bool dead_start = false;  // nothing goes there but what comes after
};

// An operand's value: in a register, or a constant that has no register yet.
struct Value {
  enum Kind : u8 { reg, constant, function } kind = reg;
  ValType type = ValType::i32;
  u16 slot = 0;
  Const number;
  u32 item = 0;
  const Token* token = nullptr;
};

// A memory operand: base + index * scale + offset.
struct Address {
  u16 base = 0;
  u16 index = 0;
  bool has_index = false;
  i64 scale = 1;
  u32 memory = 0;
  Const offset;
  bool has_base = false;
  const Token* token = nullptr;
};

// Where an instruction's result goes.
struct Dest {
  enum Kind : u8 { temp, slot } kind = temp;
  u16 number = 0;
};

struct Result {
  ValType type = ValType::i32;
  u16 slot = 0;
};

// A comparison whose operands are ready: of the relations that instructions have.
struct Compare {
  ValType type = ValType::i32;
  Rel rel = Rel::ne;
  bool immediate = false;
  u16 a = 0;
  u16 b = 0;  // register or constant
};

class FunctionCompiler : public Parser {
 public:
  explicit FunctionCompiler(Unit& unit);

  // Compiles a function item, which gets the next number. False after mistakes in it.
  void compile(u32 item);

 private:
  // --- function.cpp: the function as a whole ----------------------------------------------------
  void begin(u32 item);
  void parameters();
  void finish();
  bool link_branches();
  void move_temporaries();
  void undo();
  void add_line(const Token& token);
  void push_line(u32 file, u32 line, u32 column);

  // --- Scopes (scope.cpp) -----------------------------------------------------------------------
  u16 add_register(const Token& name, ValType type);
  u16 add_hidden();
  [[noreturn]] void too_many(const Token& token);
  u16 hidden();
  void bind(Symbol symbol, Binding meaning);
  void leave_scope(usize mark);
  const Register* find_register(const Token& token);
  const Register& register_here(const char* what);
  u32 new_label();
  u32 named_label(const Token& token);
  void leave_labels(usize mark);
  u32 label_operand();

  // --- Emission (emit.cpp) ----------------------------------------------------------------------
  [[nodiscard]] u32 pc() const { return static_cast<u32>(unit_.module.code.size()) - code_begin_; }
  void emit(Op op, u16 a = 0, u16 b = 0, u16 c = 0) {
    last_ = pc();
    unit_.module.code.push_back(isa::encode(op, a, b, c));
  }
  void emit_wide(Op op, u16 a, u32 bc) { unit_.module.code.push_back(isa::encode_wide(op, a, bc)); }
  void emit_ext(u16 e0, u16 e1 = 0, u32 e23 = 0) {
    unit_.module.code.push_back(isa::encode_ext(e0, e1, e23));
  }
  void ended() { reachable_ = false; }
  u16 temp();
  void reserve_window(u32 window, u32 slots);
  [[nodiscard]] u32 top() const { return temps_; }
  void release(u32 mark) { temps_ = mark; }
  void load_constant(u16 slot, ValType type, const Const& value, const Token& at);
  void move(u16 to, u16 from);
  void bind_label(u32 label);
  void jump(u32 label);
  void jump_if(const Compare& compare, u32 label);
  void jump_on_memory(Op op, u16 base, u16 offset, u32 label);
  // --- Fused forms (fuse.cpp) -------------------------------------------------------------------
  [[nodiscard]] const Word* last_instruction() const;
  void take_back();
  void emit_own_call(u16 window, u32 function, u32 arguments);
  void emit_return(u16 slot);
  bool fuse_jump(const Compare& compare, u32 label);
  bool fuse_scan(const Compare& compare, u32 label);
  bool fuse_return(u32 label);

  void count_back(Op op, u16 counter, u16 step, u16 limit, u32 label);

  // --- Operands (operands.cpp) ------------------------------------------------------------------
  Value operand(ValType type);
  Value any_operand();
  void check_type(const Token& at, ValType expected, ValType actual);
  u16 in_register(const Value& value, ValType type);
  u16 operand_register(ValType type) { return in_register(operand(type), type); }
  void operand_into(u16 slot, ValType type);
  std::optional<i16> immediate(const Value& value, ValType type);
  Address address();
  void address_term(Address& address, bool negative);
  void comma() { expect(Kind::comma, "`,` and the next operand"); }

  // --- Instructions (instructions.cpp, memory.cpp) ----------------------------------------------
  // Compiles an instruction that gives a result. `in_place`: a call's result stays in its window.
  Result instruction(Dest dest, std::optional<ValType> wanted);
  Result result(Dest dest, ValType type);
  void instruction_statement();
  void statement_with_result(const Mnemonic& mnemonic, const Token& token);
  Result produce(const Mnemonic& mnemonic, const Token& token, Dest dest,
                 std::optional<ValType> wanted);
  Result arithmetic(const Mnemonic& mnemonic, Dest dest);
  Result compare_value(const Mnemonic& mnemonic, Dest dest);
  Compare compare_operands(ValType type, Rel rel);
  Result load(const Mnemonic& mnemonic, const Token& token, Dest dest);
  void store(const Mnemonic& mnemonic, const Token& token);
  struct Place32 {
    u16 base;
    u16 index;
    bool indexed;
    u64 offset;
    bool long_form;
    u32 memory;
    Const::Base relocation;
  };
  Place32 resolve(const Address& address, u8 width);
  void emit_load(const Mnemonic& mnemonic, const Place32& place, u16 slot);
  void relocate_last(u8 kind);
  Result generic(const Mnemonic& mnemonic, const Token& token, Dest dest,
                 std::optional<ValType> wanted);
  ValType one_result(const Token& token);
  void need_memory(const Token& token);
  void jump_compare(const Mnemonic& mnemonic);
  void jump_load(const Mnemonic& mnemonic, const Token& token);
  void jump_table();
  void emit_table(u16 slot, const std::vector<u32>& targets);
  void count_back_statement(const Mnemonic& mnemonic, const Token& token);

  // --- Calls (calls.cpp) ------------------------------------------------------------------------
  struct Call {
    u32 window = 0;  // slot number
    u32 type = 0;
  };
  Call call(const Mnemonic& mnemonic, const Token& token);
  void arguments(u32 window, const mod::FuncType& type, const Token& token);
  void call_statement(const Mnemonic& mnemonic, const Token& token);
  void tail_statement(const Mnemonic& mnemonic, const Token& token);
  void ret_statement(const Token& token);
  void emit_call(const Mnemonic& mnemonic, const Token& token, Call& made);

  // --- Statements and structure (statements.cpp, control.cpp) -----------------------------------
  void block();
  void skip_to_statement(const Token& first, const Token* end);
  [[nodiscard]] bool ends_control(const Token& token) const;
  void statement();
  void name_statement();
  void var_statement();
  void line_statement();
  [[nodiscard]] bool is_zero_literal() const;
  void define_label();
  void if_statement();
  void while_statement(u32 loop_label);
  void loop_statement(u32 loop_label);
  void for_statement(u32 loop_label);
  struct Counting {
    ValType type = ValType::i32;
    bool is_unsigned = false;
    bool has_step = false;
    u16 counter = 0;
    u16 limit = 0;
    u16 step = 0;
  };
  void for_head(Counting& counting, u32 done);
  [[nodiscard]] static bool at_word(const Token& token, Keyword word);
  void switch_statement();
  void leave_loop(bool is_break);
  u32 loop_target(bool is_break);
  [[nodiscard]] const Token* lone_jump(const Token* brace) const;
  const Token* condition_end();
  void loop_body(u32 done, u32 again, u32 loop_label);
  void body();
  // A condition: jumps to `label` when it is `sense`, else goes on.
  void condition(u32 label, bool sense);
  void skip_to_body();

  struct Node {
    enum Kind : u8 { leaf, both, either, negation } kind = leaf;
    u32 left = 0;
    u32 right = 0;
    const Token* token = nullptr;
  };
  u32 condition_tree(const Token*& token);
  u32 condition_conjunction(const Token*& token);
  u32 condition_factor(const Token*& token);
  void branch_node(u32 node, u32 label, bool sense);
  void branch_leaf(u32 label, bool sense);

  // --- Macros (macros.cpp) ----------------------------------------------------------------------
  void expand_macro(const Token& name);
  Binding macro_argument();

  // State of the function.
  u32 item_ = 0;
  u32 code_begin_ = 0;
  const mod::FuncType* type_ = nullptr;
  std::vector<Register> registers_;
  std::vector<u16> free_hidden_;
  std::vector<u16> hidden_in_use_;
  u32 locals_ = 0;
  u32 last_ = no_label;  // word of the last instruction that emit() made
  u32 temps_ = 0;        // in use
  u32 max_temps_ = 0;
  bool reachable_ = true;
  bool straight_ = true;  // no label yet: everything runs at most once
  bool long_branches_ = false;
  bool failed_ = false;
  bool skipped_ = false;    // a block or a `ret` was not looked at because of a mistake before it
  bool dead_code_ = false;  // found
  bool full_ = false;       // too many registers, reported

  struct Undo {
    Symbol symbol;
    Binding old;
  };
  std::vector<Undo> scopes_;
  std::vector<Label> labels_;
  std::vector<u32> label_of_;  // by symbol: label + 1, or 0
  struct LabelUndo {
    Symbol symbol;
    u32 old;
  };
  std::vector<LabelUndo> label_scopes_;
  std::vector<u32> bound_;  // labels in the order of their places
  struct Fixup {
    u32 pc;
    u32 label;
    u32 entry;  // of a table; no_label: a 16-bit branch; no_label - 1: a 32-bit one
  };
  std::vector<Fixup> fixups_;

  struct Loop {
    u32 label;  // that stands before it, or no_label
    u32 done;
    u32 again;
    u32 macro_depth;
  };
  std::vector<Loop> loops_;
  u32 last_frame_ = 0;
  u32 macro_depth_ = 0;
  const Token* macro_use_ = nullptr;  // of the outermost macro
  u32 macro_use_file_ = 0;
  std::vector<Address> addresses_;  // macro arguments
  std::vector<Node> nodes_;
  std::vector<u32> line_cursor_;  // by file: the line of the last entry
  struct SourcePlace {
    u32 file;
    u32 line;
    u32 column;
  };
  std::optional<SourcePlace> line_;  // of the last `line` of the blocks around here
  usize lines_mark_ = 0;
  usize names_mark_ = 0;
  usize relocs_mark_ = 0;
  usize refs_mark_ = 0;
};

// Compiles a raw function item.
void compile_raw(Unit& unit, u32 item);

}  // namespace atollvm::text
