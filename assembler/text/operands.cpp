// Operands of instructions: registers, constants, folded instructions, memory operands.
#include "assembler/text/function.hpp"

namespace atollvm::text {

void FunctionCompiler::check_type(const Token& at, ValType expected, ValType actual) {
  if (expected == actual) return;
  std::string hint;
  const auto is = [&](ValType to, ValType from) { return expected == to && actual == from; };
  if (is(ValType::i64, ValType::i32)) hint = "widen it: (i64.extend_i32_s x) or _u";
  if (is(ValType::i32, ValType::i64)) hint = "narrow it: (i32.wrap_i64 x)";
  if (is(ValType::f64, ValType::f32)) hint = "widen it: (f64.promote_f32 x)";
  if (is(ValType::f32, ValType::f64)) hint = "round it: (f32.demote_f64 x)";
  if (is(ValType::f64, ValType::i32)) hint = "convert it: (f64.convert_i32_s x) or _u";
  if (is(ValType::f32, ValType::i32)) hint = "convert it: (f32.convert_i32_s x) or _u";
  if (is(ValType::i32, ValType::f64)) hint = "convert it: (i32.trunc_f64_s x) or _u";
  if (is(ValType::i32, ValType::f32)) hint = "convert it: (i32.trunc_f32_s x) or _u";
  if (actual == ValType::funcref && at.kind == Kind::name && (&at)[1].kind == Kind::lparen) {
    hint = "call it: (call " + std::string(file_->spelling(at)) + "(...))";
  }
  // Of an instruction in parentheses the operation is shown.
  const Token& shown = at.kind == Kind::lparen ? (&at)[1] : at;
  fail(shown,
       "expected " + std::string(name_of(expected)) + ", but " + text_of(shown) + " is " +
           std::string(name_of(actual)),
       std::move(hint));
}

// An operand whose type is not known beforehand.
Value FunctionCompiler::any_operand() {
  Value value;
  const Token& token = *at_;
  value.token = &token;
  if (const Register* found = find_register(token)) {
    ++at_;
    value.type = found->type;
    value.slot = found->slot;
    return value;
  }
  if (token.kind == Kind::lparen && at_[1].kind == Kind::name &&
      is_operation(at_[1].value, operation_count_)) {
    ++at_;
    const Result result = instruction({}, std::nullopt);
    expect(Kind::rparen, "`)` after the instruction");
    value.type = result.type;
    value.slot = result.slot;
    return value;
  }
  if (token.kind == Kind::name) {
    const Binding bound = binding(token.value);
    switch (bound.kind) {
      case Bind::function:
        ++at_;
        value.kind = Value::function;
        value.type = ValType::funcref;
        value.item = bound.index;
        return value;
      case Bind::label:
      case Bind::address:
        fail(token, text_of(token) + " is neither a register nor a constant here");
      case Bind::global:
        fail(token, text_of(token) + " is a global",
             "read it: (global.get " + std::string(text(token.value)) + ")");
      default:
        break;
    }
    if (is_operation_here()) {
      fail(token, "an instruction as an operand stands in parentheses",
           "(" + std::string(text(token.value)) + " ...)");
    }
  }
  if (token.kind == Kind::lbracket) {
    fail(token, "a memory operand cannot stand here", "load it first: (i32.load [...])");
  }
  value.kind = Value::constant;
  value.number = constant();
  value.type = value.number.kind == Const::Kind::integer ? ValType::i32
               : value.number.kind == Const::Kind::null  ? ValType::funcref
                                                         : ValType::f64;
  return value;
}

Value FunctionCompiler::operand(ValType type) {
  Value value = any_operand();
  if (value.kind == Value::constant) {
    // Its type is what is wanted, if it can be.
    if (value.number.base == Const::Base::none) bits(value.number, type, *value.token);
    value.type = type;
    return value;
  }
  check_type(*value.token, type, value.type);
  return value;
}

// The register that holds the operand; a constant gets a temporary one.
u16 FunctionCompiler::in_register(const Value& value, ValType type) {
  switch (value.kind) {
    case Value::reg:
      return value.slot;
    case Value::constant: {
      const u16 slot = temp();
      load_constant(slot, type, value.number, *value.token);
      return slot;
    }
    case Value::function: {
      const u16 slot = temp();
      const u32 number = use_function(unit_, value.item);
      if (number & own_function_bit) {
        unit_.own_refs.push_back(static_cast<u32>(unit_.module.code.size()));
      }
      emit_wide(Op::ref_func, slot, number & ~own_function_bit);
      return slot;
    }
  }
  return 0;
}

// Evaluates an operand straight into a slot.
void FunctionCompiler::operand_into(u16 slot, ValType type) {
  const Token& token = *at_;
  const u32 mark = top();
  if (token.kind == Kind::lparen && at_[1].kind == Kind::name &&
      is_operation(at_[1].value, operation_count_)) {
    ++at_;
    const Result result = instruction({Dest::slot, slot}, type);
    check_type(at_[-1], type, result.type);
    expect(Kind::rparen, "`)` after the instruction");
    move(slot, result.slot);
  } else {
    const Value value = operand(type);
    switch (value.kind) {
      case Value::reg:
        move(slot, value.slot);
        break;
      case Value::constant:
        load_constant(slot, type, value.number, token);
        break;
      case Value::function: {
        const u32 number = use_function(unit_, value.item);
        if (number & own_function_bit) {
          unit_.own_refs.push_back(static_cast<u32>(unit_.module.code.size()));
        }
        emit_wide(Op::ref_func, slot, number & ~own_function_bit);
        break;
      }
    }
  }
  release(mark);
}

// The constant as a 16-bit immediate, when it fits.
std::optional<i16> FunctionCompiler::immediate(const Value& value, ValType type) {
  if (value.kind != Value::constant || value.number.kind != Const::Kind::integer ||
      value.number.base != Const::Base::none) {
    return std::nullopt;
  }
  if (type != ValType::i32 && type != ValType::i64) return std::nullopt;
  const i64 number =
      type == ValType::i32 ? static_cast<i32>(value.number.integer) : value.number.integer;
  if (number < -0x8000 || number > 0x7fff) return std::nullopt;
  return static_cast<i16>(number);
}

// --- Memory operands ----------------------------------------------------------------------------

Address FunctionCompiler::address() {
  const Token& token = *at_;
  if (token.kind == Kind::name && at_[1].kind != Kind::lbracket) {
    const Binding bound = binding(token.value);
    if (bound.kind == Bind::address) {
      ++at_;
      Address result = addresses_[bound.index];
      result.token = &token;
      return result;
    }
  }
  Address result;
  result.token = &token;
  if (!is(Kind::lbracket) && at_[1].kind != Kind::lbracket) {
    fail(token, "expected a memory operand, found " + found(),
         find_register(token) != nullptr ? "[" + std::string(text(token.value)) + "]" : "");
  }
  if (token.kind == Kind::name) {
    result.memory = unit_.memories[item(Bind::memory, "memory")].index;
  }
  expect(Kind::lbracket, "`[` and a memory operand");
  address_term(result, false);
  while (!is(Kind::rbracket)) {
    if (accept(Kind::plus)) {
      address_term(result, false);
    } else if (accept(Kind::minus)) {
      address_term(result, true);
    } else {
      missing("`+`, `-` or `]`");
    }
  }
  ++at_;
  return result;
}

// One of the terms that are added: a register, register * constant, an instruction, a constant.
void FunctionCompiler::address_term(Address& address, bool negative) {
  const Token& token = *at_;
  const bool folded = token.kind == Kind::lparen && at_[1].kind == Kind::name &&
                      is_operation(at_[1].value, operation_count_);
  const Register* found = find_register(token);
  if (!folded && found == nullptr) {
    // Constants up to the next + or -, which have the same strength.
    const Const value = binary(10);
    const Const sum = address.offset;
    Token op = token;
    op.kind = negative ? Kind::minus : Kind::plus;
    address.offset = combine(op, sum, value);
    if (address.offset.kind != Const::Kind::integer) fail(token, "an address is an integer");
    return;
  }
  if (negative) fail(token, "only constants can be subtracted in a memory operand");
  u16 slot = 0;
  if (folded) {
    ++at_;
    const Result result = instruction({}, ValType::i32);
    expect(Kind::rparen, "`)` after the instruction");
    check_type(token, ValType::i32, result.type);
    slot = result.slot;
  } else {
    ++at_;
    check_type(token, ValType::i32, found->type);
    slot = found->slot;
  }
  if (is(Kind::star)) {
    ++at_;
    const Token& scale = *at_;
    const i64 factor = as_integer(unary(), scale);
    if (address.has_index) fail(token, "a memory operand has at most one index");
    address.has_index = true;
    address.index = slot;
    address.scale = factor;
  } else if (!address.has_base) {
    address.has_base = true;
    address.base = slot;
  } else if (!address.has_index) {
    address.has_index = true;
    address.index = slot;
    address.scale = 1;
  } else {
    fail(token, "a memory operand has at most two registers");
  }
}

}  // namespace atollvm::text
