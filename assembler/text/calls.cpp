// Calls: arguments are evaluated straight into the window above the temporaries in use.
#include <algorithm>

#include "assembler/text/function.hpp"

namespace atollvm::text {

// Reads `f(...)`, `table, type, i (...)` or `type, f (...)`, and emits the call.
FunctionCompiler::Call FunctionCompiler::call(const Mnemonic& mnemonic, const Token& token) {
  Call made;
  emit_call(mnemonic, token, made);
  return made;
}

void FunctionCompiler::emit_call(const Mnemonic& mnemonic, const Token& token, Call& made) {
  const bool tail = mnemonic.shape >= Shape::tail && mnemonic.shape <= Shape::tail_ref;
  const u32 mark = top();
  if (mnemonic.shape == Shape::call || mnemonic.shape == Shape::tail) {
    const u32 index = item(Bind::function, "function");
    if (unit_.functions[index].broken) throw Stop{};  // reported already
    made.type = unit_.functions[index].type;
    made.window = temp_base + top() + 1;
    arguments(made.window, unit_.module.types[made.type], token);
    const u32 number = use_function(unit_, index);
    const bool import = unit_.functions[index].import != own;
    const Op op =
        tail ? (import ? Op::tail_import : Op::tail) : (import ? Op::call_import : Op::call);
    const u16 window = static_cast<u16>(made.window);
    const u32 function = number & ~own_function_bit;
    if (op == Op::call) {
      emit_own_call(window, function,
                    static_cast<u32>(unit_.module.types[made.type].params.size()));
    } else {
      if (!import) unit_.own_refs.push_back(static_cast<u32>(unit_.module.code.size()));
      emit_wide(op, window, function);
    }
    release(mark);
    return;
  }
  const bool by_table = mnemonic.shape == Shape::call_table || mnemonic.shape == Shape::tail_table;
  u32 table = 0;
  if (by_table) {
    const Token& name = *at_;
    const TableItem& found = unit_.tables[item(Bind::table, "table")];
    if (found.type.element != ValType::funcref) {
      fail(name, text_of(name) + " does not hold functions");
    }
    table = found.index;
    comma();
  }
  made.type = unit_.type_indexes[item(Bind::type, "function type")];
  comma();
  const u16 callee = operand_register(by_table ? ValType::i32 : ValType::funcref);
  made.window = temp_base + top() + 1;
  arguments(made.window, unit_.module.types[made.type], token);
  const u16 window = static_cast<u16>(made.window);
  if (by_table) {
    emit(tail ? Op::tail_table : Op::call_table, window, callee, static_cast<u16>(table));
  } else {
    emit(tail ? Op::tail_ref : Op::call_ref, window, callee);
  }
  emit_ext(0, window, made.type);
  release(mark);
}

void FunctionCompiler::arguments(u32 window, const mod::FuncType& type, const Token& token) {
  const usize count = type.params.size();
  reserve_window(window, static_cast<u32>(std::max(count, type.results.size())));
  expect(Kind::lparen, "`(` and the arguments");
  usize given = 0;
  if (!is(Kind::rparen)) {
    do {
      if (given == count) {
        fail(*at_, "too many arguments: the function has " + std::to_string(count) +
                       (count == 1 ? " parameter" : " parameters"));
      }
      // The first argument's own calls may use this window's header.
      temps_ = window - temp_base + static_cast<u32>(given) - (given == 0 ? 1 : 0);
      operand_into(static_cast<u16>(window + given), type.params[given]);
      ++given;
    } while (accept(Kind::comma));
  }
  if (given < count && (is(Kind::rparen) || at_end())) {
    fail(is(Kind::rparen) ? *at_ : token,
         "too few arguments: " + std::to_string(given) + " of " + std::to_string(count));
  }
  expect(Kind::rparen, "`,` or `)` after the argument");
}

void FunctionCompiler::call_statement(const Mnemonic& mnemonic, const Token& token) {
  const Call made = call(mnemonic, token);
  const std::vector<ValType>& results = unit_.module.types[made.type].results;
  if (!accept(Kind::arrow)) return;
  usize given = 0;
  do {
    const Token& name = *at_;
    const Register dest = register_here("a register for the result");
    if (given == results.size()) {
      fail(name, "the function has " + std::to_string(results.size()) +
                     (results.size() == 1 ? " result" : " results"));
    }
    check_type(name, results[given], dest.type);
    move(dest.slot, static_cast<u16>(made.window + given));
    ++given;
  } while (accept(Kind::comma));
  if (given < results.size()) {
    fail(token,
         "the function has " + std::to_string(results.size()) + " results, " +
             std::to_string(given) + (given == 1 ? " is taken" : " are taken"),
         "leave out `->` to ignore all of them");
  }
}

void FunctionCompiler::tail_statement(const Mnemonic& mnemonic, const Token& token) {
  const Call made = call(mnemonic, token);
  if (unit_.module.types[made.type].results != type_->results) {
    fail(token, "a tail call's results must be those of the function around it");
  }
  ended();
}

void FunctionCompiler::ret_statement(const Token& token) {
  const std::vector<ValType>& results = type_->results;
  const u32 mark = top();
  if (at_end() || is(Kind::rbrace)) {
    if (!results.empty()) {
      fail(token, "the function has " + std::to_string(results.size()) +
                      (results.size() == 1 ? " result" : " results") + ", none is returned");
    }
    emit(Op::ret);
    return ended();
  }
  if (results.size() == 1) {
    const u16 slot = operand_register(results[0]);
    release(mark);
    if (is(Kind::comma)) fail(*at_, "the function has 1 result");
    emit_return(slot);
    return ended();
  }
  const u16 first = static_cast<u16>(temp_base + top());
  usize given = 0;
  do {
    if (given == results.size()) {
      fail(*at_, results.empty()
                     ? "the function has no results"
                     : "the function has " + std::to_string(results.size()) + " results");
    }
    operand_into(temp(), results[given]);
    ++given;
  } while (accept(Kind::comma));
  if (given < results.size()) {
    fail(token, "the function has " + std::to_string(results.size()) + " results, " +
                    std::to_string(given) + (given == 1 ? " is" : " are") + " returned");
  }
  release(mark);
  emit(Op::ret_n, first, static_cast<u16>(given));
  ended();
}

}  // namespace atollvm::text
