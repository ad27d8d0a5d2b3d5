// Instructions: from a mnemonic and its operands to the best form that the instruction set has.
#include <algorithm>

#include "assembler/text/function.hpp"
#include "assembler/text/relations.hpp"

namespace atollvm::text {

namespace {

using isa::OperandKind;

bool has_result(const Mnemonic& mnemonic) {
  switch (mnemonic.shape) {
    case Shape::arithmetic:
    case Shape::compare:
    case Shape::load:
    case Shape::constant:
    case Shape::mov:
    case Shape::reinterpret:
    case Shape::global_get:
      return true;
    case Shape::generic: {
      const isa::OpInfo& info = isa::info(mnemonic.op);
      return !info.signature.empty() && info.signature.front() != '=';
    }
    default:
      return false;
  }
}

std::optional<ValType> letter_type(char letter) {
  switch (letter) {
    case 'i':
      return ValType::i32;
    case 'I':
      return ValType::i64;
    case 'f':
      return ValType::f32;
    case 'F':
      return ValType::f64;
    default:
      return std::nullopt;
  }
}

}  // namespace

Result FunctionCompiler::result(Dest dest, ValType type) {
  return {type, dest.kind == Dest::slot ? dest.number : temp()};
}

// An instruction in the place of an operand.
Result FunctionCompiler::instruction(Dest dest, std::optional<ValType> wanted) {
  const Deeper deeper(unit_, place());
  const Token& token = *at_;
  if (!is_operation_here()) missing("an instruction");
  const Mnemonic& mnemonic = mnemonics()[token.value - first_operation];
  ++at_;
  switch (mnemonic.shape) {
    case Shape::call:
    case Shape::call_table:
    case Shape::call_ref: {
      const u32 mark = top();
      const Call made = call(mnemonic, token);
      const mod::FuncType& type = unit_.module.types[made.type];
      if (type.results.size() != 1) {
        fail(token, type.results.empty()
                        ? "the function has no result"
                        : "the function has " + std::to_string(type.results.size()) +
                              " results; an operand is one");
      }
      // The result stays in the window, which becomes a temporary in use.
      release(mark);
      const ValType result_type = type.results[0];
      if (dest.kind == Dest::slot) {
        move(dest.number, static_cast<u16>(made.window));
        return {result_type, dest.number};
      }
      temps_ = made.window - temp_base + 1;
      if (temps_ > max_temps_) max_temps_ = temps_;
      return {result_type, static_cast<u16>(made.window)};
    }
    default:
      break;
  }
  if (!has_result(mnemonic)) {
    fail(token, text_of(token) + " has no result and cannot be an operand");
  }
  return produce(mnemonic, token, dest, wanted);
}

// Everything that has one result, but calls. Operands follow.
Result FunctionCompiler::produce(const Mnemonic& mnemonic, const Token& token, Dest dest,
                                 std::optional<ValType> wanted) {
  switch (mnemonic.shape) {
    case Shape::arithmetic:
      return arithmetic(mnemonic, dest);
    case Shape::compare:
      return compare_value(mnemonic, dest);
    case Shape::load:
      return load(mnemonic, token, dest);
    case Shape::constant: {
      const Token& at = *at_;
      const Const value = constant();
      const Result made = result(dest, mnemonic.type);
      load_constant(made.slot, mnemonic.type, value, at);
      return made;
    }
    case Shape::mov:
    case Shape::reinterpret: {
      const u32 mark = top();
      const std::optional<ValType> type =
          mnemonic.shape == Shape::reinterpret ? std::optional(mnemonic.type) : wanted;
      const Value value = type ? operand(*type) : any_operand();
      const ValType source = type ? *type : value.type;
      const u16 slot = in_register(value, source);
      release(mark);
      const Result made =
          result(dest, mnemonic.shape == Shape::reinterpret ? mnemonic.result : source);
      move(made.slot, slot);
      return made;
    }
    case Shape::global_get: {
      const GlobalItem& global = unit_.globals[item(Bind::global, "global")];
      const Result made = result(dest, global.type.type);
      emit_wide(global.import != own ? Op::global_get_import : Op::global_get, made.slot,
                global.index);
      return made;
    }
    default:
      return generic(mnemonic, token, dest, wanted);
  }
}

Result FunctionCompiler::arithmetic(const Mnemonic& mnemonic, Dest dest) {
  const u32 mark = top();
  const ValType type = mnemonic.type;
  Value a = operand(type);
  // A register operand stays as it is; a constant waits for its partner.
  comma();
  Value b = operand(type);
  if (mnemonic.commutes && a.kind == Value::constant && b.kind == Value::reg) std::swap(a, b);
  if (mnemonic.has_imm && b.kind == Value::constant && b.number.base == Const::Base::none) {
    Value constant = b;
    if (mnemonic.negate) {
      // Unsigned negation: the smallest number is its own opposite, and does not fit.
      constant.number.integer = static_cast<i64>(0 - static_cast<u64>(b.number.integer));
      const bool rotates = mnemonic.imm == Op::i32_rotl_i || mnemonic.imm == Op::i64_rotl_i;
      if (rotates) constant.number.integer &= type == ValType::i32 ? 31 : 63;
    }
    if (const auto imm = immediate(constant, type)) {
      const u16 slot = in_register(a, type);
      release(mark);
      const Result made = result(dest, mnemonic.result);
      emit(mnemonic.imm, made.slot, slot, static_cast<u16>(*imm));
      return made;
    }
  }
  const u16 x = in_register(a, type);
  const u16 y = in_register(b, type);
  release(mark);
  const Result made = result(dest, mnemonic.result);
  emit(mnemonic.op, made.slot, x, y);
  return made;
}

// The operands of a comparison, in a form that the instruction set has.
Compare FunctionCompiler::compare_operands(ValType type, Rel rel) {
  Compare compare{type, rel, false, 0, 0};
  Value a = operand(type);
  comma();
  Value b = operand(type);
  if (!immediate(b, type) && immediate(a, type) && b.kind == Value::reg) {
    std::swap(a, b);
    compare.rel = swapped(compare.rel);
  }
  if (const auto imm = immediate(b, type)) {
    compare.immediate = true;
    compare.a = in_register(a, type);
    compare.b = static_cast<u16>(*imm);
    return compare;
  }
  compare.a = in_register(a, type);
  compare.b = in_register(b, type);
  if (!in_registers(compare.rel)) {
    compare.rel = swapped(compare.rel);
    std::swap(compare.a, compare.b);
  }
  return compare;
}

Result FunctionCompiler::compare_value(const Mnemonic& mnemonic, Dest dest) {
  const u32 mark = top();
  const Compare compare = compare_operands(mnemonic.type, mnemonic.rel);
  release(mark);
  const Result made = result(dest, ValType::i32);
  emit(compare_op(compare.type, compare.rel, compare.immediate), made.slot, compare.a, compare.b);
  return made;
}

void FunctionCompiler::jump_compare(const Mnemonic& mnemonic) {
  const u32 mark = top();
  Compare compare = compare_operands(mnemonic.type, mnemonic.rel);
  comma();
  const u32 label = label_operand();
  release(mark);
  jump_if(compare, label);
}

void FunctionCompiler::jump_load(const Mnemonic& mnemonic, const Token& token) {
  need_memory(token);
  const u32 mark = top();
  const Place32 place = resolve(address(), mnemonic.width);
  comma();
  const u32 label = label_operand();
  release(mark);
  const u32 target = labels_[label].pc;
  const bool is_far = target != no_label ? pc() - target > 0xffff : long_branches_;
  if (!is_far && !place.indexed && !place.long_form) {
    return jump_on_memory(mnemonic.op, place.base, static_cast<u16>(place.offset), label);
  }
  const Mnemonic* load = nullptr;
  for (const Mnemonic& candidate : mnemonics()) {
    if (candidate.shape == Shape::load && candidate.op == mnemonic.longer) load = &candidate;
  }
  const u16 slot = temp();
  emit_load(*load, place, slot);
  release(mark);
  const bool if_zero = mnemonic.op == Op::br_load8_z || mnemonic.op == Op::br_load32_z;
  jump_if({ValType::i32, if_zero ? Rel::eq : Rel::ne, true, slot, 0}, label);
}

// The type of the result, for an operation that returns one.
ValType FunctionCompiler::one_result(const Token& token) {
  const std::vector<ValType>& results = type_->results;
  if (results.size() == 1) return results[0];
  fail(token, text_of(token) + " returns one result, but the function has " +
                  std::to_string(results.size()));
}

// Operands as the format lists them; the result, if any, is the first of them there.
Result FunctionCompiler::generic(const Mnemonic& mnemonic, const Token& token, Dest dest,
                                 std::optional<ValType> wanted) {
  const isa::OpInfo& info = isa::info(mnemonic.op);
  const isa::FormatInfo& format = isa::info(info.format);
  std::string_view letters = info.signature;
  char result_letter = ' ';
  if (!letters.empty()) {
    const usize equals = letters.find('=');
    if (equals == 1) result_letter = letters[0];
    letters.remove_prefix(equals + 1);
  }
  if (info.name.starts_with("ret.")) {
    wanted = one_result(token);
    // A sum's type is its operands'.
    if (info.has(isa::ends)) check_type(token, *wanted, *letter_type(letters.front()));
  }
  const u32 mark = top();
  Word words[2] = {static_cast<Word>(mnemonic.op), 0};
  bool first = true;
  bool function_moves = false;
  usize letter = 0;
  std::optional<ValType> common;      // of `*` operands
  std::optional<ValType> table_type;  // of the table named
  std::optional<isa::Field> def;
  u32 memories = 0;
  // Memory operands may be left out: then they are memory 0.
  for (const isa::Operand& operand_info : format.list()) {
    memories += operand_info.kind == OperandKind::memory;
  }
  const bool names_memory =
      memories != 0 && is(Kind::name) && binding(at_->value).kind == Bind::memory;
  if (memories != 0) need_memory(token);
  const auto next = [&] {
    if (!first) comma();
    first = false;
  };
  for (const isa::Operand& part : format.list()) {
    u64 field = 0;
    switch (part.kind) {
      case OperandKind::def:
        def = part.field;
        continue;
      case OperandKind::use_def: {
        // The register that is changed; it stands in the text like a result.
        const Token& at = *at_;
        next();
        const Register& reg = register_here("a register");
        // Beside a result, or where there is none, its type is an operand's.
        const bool is_result = !def && result_letter != ' ';
        const char kind = is_result ? result_letter : letters[letter++];
        if (const auto type = letter_type(kind)) check_type(at, *type, reg.type);
        common = reg.type;
        field = reg.slot;
        break;
      }
      case OperandKind::imm16: {
        next();
        const Token& at = *at_;
        const Const value = constant();
        if (value.kind != Const::Kind::integer || value.base != Const::Base::none ||
            value.integer != static_cast<i16>(value.integer)) {
          fail(at, "expected a constant from -32768 to 32767");
        }
        field = static_cast<u16>(value.integer);
        break;
      }
      case OperandKind::use: {
        next();
        const char kind = letter < letters.size() ? letters[letter++] : '*';
        const Token& at = *at_;
        std::optional<ValType> type = letter_type(kind);
        if (kind == '*') type = common ? common : wanted;
        if (kind == 'r' && table_type) type = table_type;
        if (type) {
          field = operand_register(*type);
        } else {
          const Value value = any_operand();
          if (kind == 'r' && !mod::is_reference(value.type)) {
            fail(at, "expected a reference, but " + text_of(at) + " is " +
                         std::string(name_of(value.type)));
          }
          common = value.type;
          field = in_register(value, value.type);
        }
        if (kind == '*') common = type ? type : common;
        break;
      }
      case OperandKind::table: {
        next();
        const TableItem& table = unit_.tables[item(Bind::table, "table")];
        const Token& at = at_[-1];
        if (table_type && *table_type != table.type.element) {
          fail(at, "the tables have different types");
        }
        table_type = table.type.element;
        field = table.index;
        break;
      }
      case OperandKind::memory:
        if (!names_memory) break;
        next();
        field = unit_.memories[item(Bind::memory, "memory")].index;
        break;
      case OperandKind::elem: {
        next();
        const Token& at = *at_;
        field = item(Bind::elem, "passive element list");
        const ElemItem& elem = unit_.elems[field];
        if (table_type && elem.type != *table_type) {
          fail(at, "the elements have another type than the table");
        }
        field = elem.segment;
        break;
      }
      case OperandKind::data: {
        next();
        field = unit_.datas[item(Bind::passive_data, "passive data item")].segment;
        break;
      }
      case OperandKind::backward: {
        next();
        Label& label = labels_[label_operand()];
        if (label.pc == no_label) {
          fail(token, text_of(token) + " goes backward only", "the label must stand before it");
        }
        ++label.uses;
        field = pc() - label.pc;
        if (field > isa::field_limit(part.field)) fail(token, "the label is too far away");
        break;
      }
      case OperandKind::func_any: {
        next();
        const u32 number = use_function(unit_, item(Bind::function, "function"));
        function_moves = (number & own_function_bit) != 0;
        field = number & ~own_function_bit;
        break;
      }
      default:
        fail(token, text_of(token) + " can be written in raw functions only");
    }
    isa::write_field(words, part.field, field);
  }
  release(mark);
  Result made;
  if (def) {
    ValType type = ValType::i32;
    if (const auto known = letter_type(result_letter)) {
      type = *known;
    } else if (result_letter == 'r') {
      type = table_type ? *table_type : ValType::funcref;
    } else if (common) {
      type = *common;
    }
    made = result(dest, type);
    isa::write_field(words, *def, made.slot);
  }
  if (function_moves) unit_.own_refs.push_back(static_cast<u32>(unit_.module.code.size()));
  last_ = pc();
  unit_.module.code.push_back(words[0]);
  if (format.words == 2) unit_.module.code.push_back(words[1]);
  if (info.has(isa::ends)) ended();
  return made;
}

// A statement that begins with an operation.
void FunctionCompiler::instruction_statement() {
  const Token& token = *at_;
  const Mnemonic& mnemonic = mnemonics()[token.value - first_operation];
  ++at_;
  switch (mnemonic.shape) {
    case Shape::store:
      return store(mnemonic, token);
    case Shape::jump:
      return jump(label_operand());
    case Shape::jump_compare:
      return jump_compare(mnemonic);
    case Shape::jump_if:
    case Shape::jump_ifz: {
      const u32 mark = top();
      const u16 slot = operand_register(ValType::i32);
      comma();
      const u32 label = label_operand();
      release(mark);
      const Rel rel = mnemonic.shape == Shape::jump_if ? Rel::ne : Rel::eq;
      return jump_if({ValType::i32, rel, true, slot, 0}, label);
    }
    case Shape::jump_load:
      return jump_load(mnemonic, token);
    case Shape::jump_table:
      return jump_table();
    case Shape::count_back:
      return count_back_statement(mnemonic, token);
    case Shape::call:
    case Shape::call_table:
    case Shape::call_ref:
      return call_statement(mnemonic, token);
    case Shape::tail:
    case Shape::tail_table:
    case Shape::tail_ref:
      return tail_statement(mnemonic, token);
    case Shape::ret:
      return ret_statement(token);
    case Shape::global_set: {
      const Token& name = *at_;
      const GlobalItem& global = unit_.globals[item(Bind::global, "global")];
      if (!global.type.is_mutable) {
        fail(name, text_of(name) + " cannot be changed", "declare it as `mut`");
      }
      comma();
      const u32 mark = top();
      const u16 slot = operand_register(global.type.type);
      release(mark);
      return emit_wide(global.import != own ? Op::global_set_import : Op::global_set, slot,
                       global.index);
    }
    case Shape::raw_only:
      fail(token, text_of(token) + " can be written in raw functions only");
    default:
      break;
  }
  if (!has_result(mnemonic) ||
      isa::format_of(mnemonic.op).operands[0].kind == OperandKind::use_def) {
    generic(mnemonic, token, {}, std::nullopt);
    return;
  }
  statement_with_result(mnemonic, token);
}

void FunctionCompiler::statement_with_result(const Mnemonic& mnemonic, const Token& token) {
  const Token& name = *at_;
  const Register dest = register_here("the register for the result");
  if (mnemonic.shape == Shape::mov) {
    comma();
    operand_into(dest.slot, dest.type);
    return;
  }
  // memory.size and the like have no further operands unless a memory is named.
  if (!at_end() && !is(Kind::rbrace)) {
    comma();
  }
  const Result made = produce(mnemonic, token, {Dest::slot, dest.slot}, dest.type);
  if (made.type != dest.type) {
    fail(name, "the result is " + std::string(name_of(made.type)) + ", but " + text_of(name) +
                   " is " + std::string(name_of(dest.type)));
  }
}

void FunctionCompiler::jump_table() {
  const u32 mark = top();
  const u16 slot = operand_register(ValType::i32);
  comma();
  expect(Kind::lbracket, "`[` and the labels");
  std::vector<u32> targets;
  if (!is(Kind::rbracket)) {
    do targets.push_back(label_operand());
    while (accept(Kind::comma));
  }
  expect(Kind::rbracket, "`,` or `]`");
  comma();
  targets.push_back(label_operand());
  release(mark);
  emit_table(slot, targets);
}

void FunctionCompiler::emit_table(u16 slot, const std::vector<u32>& targets) {
  const u32 begin = pc();
  emit_wide(Op::br_table, slot, static_cast<u32>(targets.size()));
  unit_.module.code.resize(unit_.module.code.size() + isa::target_words(targets.size()));
  std::vector<std::pair<u32, u32>> back;  // backward target, its trampoline
  for (u32 i = 0; i < targets.size(); ++i) {
    u32 target = targets[i];
    ++labels_[target].uses;
    if (labels_[target].pc != no_label) {
      // Tables lead forward: a jump behind the table leads back.
      const auto known = std::find_if(back.begin(), back.end(),
                                      [&](const auto& entry) { return entry.first == target; });
      if (known == back.end()) {
        const u32 trampoline = new_label();
        ++labels_[trampoline].uses;
        back.emplace_back(target, trampoline);
        target = trampoline;
      } else {
        target = known->second;
      }
    }
    fixups_.push_back({begin, target, i});
  }
  ended();
  for (const auto& [target, trampoline] : back) {
    bind_label(trampoline);
    jump(target);
  }
}

void FunctionCompiler::count_back_statement(const Mnemonic& mnemonic, const Token& token) {
  const ValType type = mnemonic.type;
  const u32 mark = top();
  const Token& name = *at_;
  const Register counter = register_here("the register that counts");
  check_type(name, type, counter.type);
  comma();
  const u16 second = operand_register(type);
  u16 third = 0;
  if (isa::info(mnemonic.op).format == isa::Format::xssb) {
    comma();
    third = operand_register(type);
  }
  comma();
  const u32 label = label_operand();
  release(mark);
  if (labels_[label].pc == no_label) {
    fail(token, text_of(token) + " goes backward only", "the label must stand before it");
  }
  if (isa::info(mnemonic.op).format == isa::Format::xssb) {
    count_back(mnemonic.op, counter.slot, second, third, label);
  } else {
    count_back(mnemonic.op, counter.slot, 0, second, label);
  }
}

}  // namespace atollvm::text
