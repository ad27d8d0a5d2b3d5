// All instructions but control and calls.
#include <fmt/format.h>

#include <limits>

#include "assembler/wasm/function.hpp"
#include "assembler/wasm/reader.hpp"

namespace atollvm::wasm {

namespace {

bool fits_i16(i64 value) {
  return value >= std::numeric_limits<i16>::min() && value <= std::numeric_limits<i16>::max();
}

// As it is in its type, signed.
i64 signed_value(ValType type, u64 bits) {
  return type == ValType::i32 ? static_cast<i32>(static_cast<u32>(bits)) : static_cast<i64>(bits);
}

}  // namespace

void FunctionTranslator::instruction(u8 code) {
  switch (code) {
    case 0x00:
      if (live_) emit_.op(Op::unreachable);
      return unreachable();
    case 0x01:
      return;
    case 0x02:
      return begin_block(Block::block);
    case 0x03:
      return begin_block(Block::loop);
    case 0x04:
      return begin_block(Block::if_);
    case 0x05:
      return begin_else();
    case 0x0b:
      return end_block();
    case 0x0c:
      return branch(in_.leb_u32());
    case 0x0d:
      return branch_if(in_.leb_u32());
    case 0x0e:
      return branch_table();
    case 0x0f:
      return return_all();
    case 0x10:
      return call(false);
    case 0x11:
      return call_indirect(false);
    case 0x12:
      return call(true);
    case 0x13:
      return call_indirect(true);
    case 0x1a:
      pop_any();
      return;
    case 0x1b:
      return select(false);
    case 0x1c:
      return select(true);
    case 0x20:
      return local_get(in_.leb_u32());
    case 0x21:
      return local_set(in_.leb_u32(), false);
    case 0x22:
      return local_set(in_.leb_u32(), true);
    case 0x23:
      return global_get();
    case 0x24:
      return global_set();
    case 0x25:
      return table_get();
    case 0x26:
      return table_set();
    case 0x3f: {
      zero_byte();
      if (!need_memory()) return;
      if (high_ != none) bring_home();
      const u32 slot = result_slot(height());
      if (live_) emit_.op(Op::memory_size, slot, 0);
      return push_temporary(ValType::i32, slot);
    }
    case 0x40: {
      zero_byte();
      if (!need_memory()) return;
      u32 position = 0;
      const u32 pages = pop_slot(ValType::i32, position);
      const u32 slot = result_slot(position);
      if (live_) emit_.op(Op::memory_grow, slot, pages, 0);
      return push_temporary(ValType::i32, slot);
    }
    case 0x41:
      return push_constant(ValType::i32, static_cast<u32>(in_.leb_i32()));
    case 0x42:
      return push_constant(ValType::i64, static_cast<u64>(in_.leb_i64()));
    case 0x43:
      return push_constant(ValType::f32, in_.fixed<u32>());
    case 0x44:
      return push_constant(ValType::f64, in_.fixed<u64>());
    case 0xd0:
      return reference_null();
    case 0xd1: {
      const u32 position = height() - 1;
      const Entry entry = pop_any();
      if (entry.type != bottom && !mod::is_reference(entry.type)) {
        return invalid("type mismatch: ref.is_null needs a reference");
      }
      u32 slot = 0;
      if (live_) {
        const u32 operand = slot_of(entry, position);
        slot = result_slot(position);
        emit_.op(Op::ref_is_null, slot, operand);
      }
      return push_temporary(ValType::i32, slot);
    }
    case 0xd2:
      return reference_func();
    case 0xfc:
      return prefixed();
    default:
      break;
  }
  if (code >= first_load && code < first_store) return load(accesses[code - first_load]);
  if (code >= first_store && code <= last_store) return store(accesses[code - first_load]);
  if (code >= first_numeric && code <= last_numeric) {
    const Numeric& row = numeric_table[code - first_numeric];
    if (row.operands == 2) return binary(row, code);
    if (!row.retype) return unary(row.op, row.in, row.out);
    if (height() == control_.back().height) {
      pop_nothing(row.in);
      return push_temporary(row.out, 0);
    }
    Entry& entry = stack_.back();
    if (entry.type != row.in) check_type(row.in, entry.type);
    entry.type = row.out;
    if (row.out == ValType::i32) entry.bits = static_cast<u32>(entry.bits);
    return;
  }
  if (const char* proposal = proposal_of_operation(code)) {
    return unsupported("an instruction", proposal);
  }
  malformed("illegal opcode");
}

// --- Numbers ---

// Pops an operand: its slot, and the position where it was. Slot 0 in dead code.
u32 FunctionTranslator::pop_slot(ValType type, u32& position) {
  const Entry entry = pop(type);
  position = height();
  return live_ ? slot_of(entry, position) : 0;
}

void FunctionTranslator::unary(Op op, ValType in, ValType out) {
  u32 position = 0;
  const u32 operand = pop_slot(in, position);
  if (!live_) return push_temporary(out, 0);
  const u32 slot = result_slot(position);
  emit_.op(op, slot, operand);
  push_temporary(out, slot);
}

bool FunctionTranslator::made_byte(u32 slot) {
  if (!emit_.last_defines(slot)) return false;
  switch (isa::op_of(*emit_.last())) {
    case Op::i32_load8_u:
    case Op::i32_load8_u_long:
    case Op::i32_load8_u_x:
    case Op::i32_load8_u_step:
    case Op::i32_load8_u_w:
    case Op::i32_load8_u_xw:
      return true;
    default:
      return false;
  }
}

void FunctionTranslator::binary(const Numeric& row, u8 code) {
  const Entry b = pop(row.in);
  const Entry a = pop(row.in);
  // Compilers mask what they loaded as a byte.
  if (row.op == Op::i32_and && live_ && a.kind == Kind::local && b.kind == Kind::constant &&
      (b.bits & 0xff) == 0xff && byte_in_[a.slot] == emit_.block()) {
    return push_local(ValType::i32, a.slot);
  }
  const u32 position = height();
  if (!live_) return push_temporary(row.out, 0);
  if ((a.kind == Kind::constant || b.kind == Kind::constant) &&
      immediate(row, code, a, b, position)) {
    return push_temporary(row.out, home(position));
  }
  const u32 left = slot_of(a, position);
  const u32 right = slot_of(b, position + 1);
  const u32 slot = result_slot(position);
  if (fuse(row.op, left, right, slot)) return push_temporary(row.out, slot);
  emit_.op(row.op, slot, row.swap ? right : left, row.swap ? left : right);
  push_temporary(row.out, slot);
}

// The operation with one operand as an immediate, where there is one for it.
bool FunctionTranslator::immediate(const Numeric& row, u8 code, const Entry& a, const Entry& b,
                                   u32 position) {
  const bool left = b.kind != Kind::constant;
  const Entry& constant = left ? a : b;
  const Entry& other = left ? b : a;
  if (other.kind == Kind::constant) return false;
  i64 value = signed_value(row.in, constant.bits);
  Op op = left ? row.imm_left : row.imm;
  const bool is_64 = row.in == ValType::i64;
  if (!left && (code == 0x6b || code == 0x7d)) {  // sub
    op = is_64 ? Op::i64_add_i : Op::i32_add_i;
    if (value == std::numeric_limits<i64>::min()) return false;
    value = -value;
  } else if (!left && (code == 0x78 || code == 0x8a)) {  // rotr
    op = is_64 ? Op::i64_rotl_i : Op::i32_rotl_i;
    value = static_cast<i64>(0 - static_cast<u64>(value)) & (is_64 ? 63 : 31);
  } else if (!left && ((code >= 0x74 && code <= 0x77) || (code >= 0x86 && code <= 0x89))) {
    value &= is_64 ? 63 : 31;  // shl, shr, rotl
  }
  if (op == Op::nop || !fits_i16(value)) return false;
  const u32 slot = result_slot(position);
  const u32 bits = static_cast<u16>(value);
  if (op == Op::i32_add_i && add_to_sum(other.slot, bits, slot)) return true;
  emit_.op(op, slot, other.slot, bits);
  return true;
}

// --- Locals and globals ---

void FunctionTranslator::local_get(u32 index) {
  const ValType type = local_type(index);
  if (type == bottom) return;
  push_local(type, index);
}

void FunctionTranslator::local_set(u32 index, bool tee) {
  const ValType type = local_type(index);
  if (type == bottom) return;
  const Entry entry = pop(type);
  const bool same = entry.kind == Kind::local && entry.slot == index;
  if (live_ && !same) {
    u32 byte_in = 0;
    if (entry.kind == Kind::local) byte_in = byte_in_[entry.slot];
    if (entry.kind == Kind::temporary && made_byte(entry.slot)) byte_in = emit_.block();
    byte_in_[index] = byte_in;
    const bool kept = keep_old(index);
    if (!kept && entry.kind == Kind::temporary && emit_.last_defines(entry.slot)) {
      const Word* last = emit_.last();
      const Op op = isa::op_of(*last);
      const bool adds = op == Op::f64_mul_add || op == Op::f32_mul_add;
      const bool subtracts = op == Op::f64_sub_mul || op == Op::f32_sub_mul;
      if ((adds || subtracts) && static_cast<u16>(last[1]) == index) {
        const u32 b = isa::field_b(*last);
        const u32 c = isa::field_c(*last);
        const bool f64 = op == Op::f64_mul_add || op == Op::f64_sub_mul;
        emit_.remove_last();
        emit_.op(adds ? (f64 ? Op::f64_acc_add : Op::f32_acc_add)
                      : (f64 ? Op::f64_acc_sub : Op::f32_acc_sub),
                 index, b, c);
      } else {
        emit_.set_last_result(index);
        emit_.join_sums(locals_);
      }
    } else if (entry.kind != Kind::local || !emit_.copy_sum(entry.slot, index)) {
      put(entry, index);
    }
  }
  if (tee) push_local(type, index);
}

void FunctionTranslator::global_get() {
  const u32 index = in_.leb_u32();
  if (!in_.ok()) return;
  if (index >= image_.globals.size()) return invalid(fmt::format("unknown global {}", index));
  const bool import = index < image_.globals.size() - out_.globals.size();
  if (high_ != none) bring_home();
  const u32 slot = live_ ? result_slot(height()) : 0;
  if (live_) emit_.op_wide(import ? Op::global_get_import : Op::global_get, slot, index);
  push_temporary(image_.globals[index].type, slot);
}

void FunctionTranslator::global_set() {
  const u32 index = in_.leb_u32();
  if (!in_.ok()) return;
  if (index >= image_.globals.size()) return invalid(fmt::format("unknown global {}", index));
  if (!image_.globals[index].is_mutable) {
    return invalid(fmt::format("global {} is immutable", index));
  }
  const bool import = index < image_.globals.size() - out_.globals.size();
  u32 position = 0;
  const u32 slot = pop_slot(image_.globals[index].type, position);
  if (live_) emit_.op_wide(import ? Op::global_set_import : Op::global_set, slot, index);
}

void FunctionTranslator::select(bool typed) {
  ValType type = bottom;
  if (typed) {
    const u32 count = in_.leb_u32();
    if (in_.ok() && count != 1) return invalid("invalid result arity: select gives one result");
    if (!read_value_type(type)) return;
  }
  const Entry condition = pop(ValType::i32);
  const Entry b = typed ? pop(type) : pop_any();
  const Entry a = typed ? pop(type) : pop_any();
  if (!typed) {
    if (mod::is_reference(a.type) || mod::is_reference(b.type)) {
      return invalid("type mismatch: select without a type is for numbers");
    }
    if (a.type != b.type) check_type(a.type, b.type);
    type = a.type == bottom ? b.type : a.type;
  }
  if (!live_) return push_temporary(type, 0);
  const u32 position = height();
  const u32 c = slot_of(condition, position + 2);
  const u32 left = slot_of(a, position);
  const u32 right = slot_of(b, position + 1);
  const u32 slot = result_slot(position);
  emit_.op_ext(Op::select, slot, left, right, isa::encode_ext(static_cast<u16>(c)));
  push_temporary(type, slot);
}

// --- Memory ---

bool FunctionTranslator::need_memory() {
  if (!image_.memories.empty()) return true;
  invalid("unknown memory 0");
  return false;
}

void FunctionTranslator::zero_byte() {
  if (in_.byte() != 0) malformed("zero byte expected");
}

u32 FunctionTranslator::memory_argument(const Access& access) {
  const u32 align = in_.leb_u32();
  if (align >= 32) {
    malformed("malformed memory operation flags");
  } else if (align > access.log2) {
    invalid("alignment must not be larger than natural");
  }
  const u32 offset = in_.leb_u32();
  need_memory();
  return offset;
}

u32 FunctionTranslator::address_slot(const Entry& address, u32 position, u64& offset) {
  if (address.kind == Kind::constant && offset + address.bits <= 0xffff'ffff) {
    offset += address.bits;
    return constant_slot({ValType::i32, Kind::constant, 0, none, 0}, position);
  }
  return slot_of(address, position);
}

void FunctionTranslator::load(const Access& access) {
  u64 offset = memory_argument(access);
  const Entry address = pop(ValType::i32);
  const u32 position = height();
  if (!live_ || !in_.ok()) return push_temporary(access.type, 0);
  const u32 base = address_slot(address, position, offset);
  const u32 slot = result_slot(position);
  Address fused;
  if (offset == 0 && take_address(access, base, fused)) {
    if (fused.form == Address::Form::both) {
      emit_.op_ext(fused.op, slot, fused.a, fused.b, fused.extension);
    } else {
      emit_.op(fused.op, slot, fused.a, fused.b);
    }
  } else if (offset <= 0xffff) {
    emit_.op(access.op, slot, base, static_cast<u32>(offset));
  } else {
    emit_.op_ext(access.long_op, slot, base, 0, offset);
  }
  push_temporary(access.type, slot);
}

void FunctionTranslator::store(const Access& access) {
  u64 offset = memory_argument(access);
  const Entry value = pop(access.type);
  const Entry address = pop(ValType::i32);
  const u32 position = height();
  if (!live_ || !in_.ok()) return;
  const u32 base = address_slot(address, position, offset);
  const u32 from = slot_of(value, position + 1);
  Address fused;
  if (fuse_sum_into_memory(access, base, from, offset)) return;
  // A stepped store would store its address as it was before the step.
  if (offset == 0 && from != base && take_address(access, base, fused)) {
    switch (fused.form) {
      case Address::Form::index:
        emit_.op(fused.op, fused.a, fused.b, from);
        break;
      case Address::Form::immediate:
        emit_.op(fused.op, fused.a, from, fused.b);
        break;
      case Address::Form::both:
        emit_.op_ext(fused.op, fused.a, fused.b, from, fused.extension);
        break;
    }
  } else if (offset <= 0xffff) {
    emit_.op(access.op, base, from, static_cast<u32>(offset));
  } else {
    emit_.op_ext(access.long_op, base, from, 0, offset);
  }
}

// --- References, tables, bulk operations ---

void FunctionTranslator::reference_null() {
  ValType type{};
  if (read_reference_type(type)) push_constant(type, 0);
}

void FunctionTranslator::reference_func() {
  const u32 index = in_.leb_u32();
  if (!in_.ok()) return;
  if (index >= image_.function_types.size()) {
    return invalid(fmt::format("unknown function {}", index));
  }
  if (!image_.declared[index]) {
    return invalid(
        fmt::format("undeclared function reference: function {} is in no element "
                    "segment, export or global",
                    index));
  }
  if (high_ != none) bring_home();
  const u32 slot = live_ ? result_slot(height()) : 0;
  if (live_) emit_.op_wide(Op::ref_func, slot, index);
  push_temporary(ValType::funcref, slot);
}

bool FunctionTranslator::read_table(u32& index) {
  index = in_.leb_u32();
  if (!in_.ok()) return false;
  if (index < image_.tables.size()) return true;
  invalid(fmt::format("unknown table {}", index));
  return false;
}

void FunctionTranslator::table_get() {
  u32 table = 0;
  if (!read_table(table)) return;
  u32 position = 0;
  const u32 index = pop_slot(ValType::i32, position);
  const u32 slot = live_ ? result_slot(position) : 0;
  if (live_) emit_.op(Op::table_get, slot, index, table);
  push_temporary(image_.tables[table].element, slot);
}

void FunctionTranslator::table_set() {
  u32 table = 0;
  if (!read_table(table)) return;
  u32 position = 0;
  const u32 value = pop_slot(image_.tables[table].element, position);
  const u32 index = pop_slot(ValType::i32, position);
  if (live_) emit_.op(Op::table_set, index, value, table);
}

void FunctionTranslator::prefixed() {
  const u32 code = in_.leb_u32();
  if (!in_.ok()) return;
  if (code < 8) return unary(saturating[code].op, saturating[code].in, saturating[code].out);
  if (code <= 17) return bulk(code);
  malformed("illegal opcode");
}

void FunctionTranslator::bulk(u32 code) {
  u32 position = 0;
  u32 first = 0;
  u32 second = 0;
  const auto known_data = [&](u32 index) {
    if (!in_.ok()) return false;
    // Without a data section no index is known, count or not.
    if (!image_.data_count && !out_.datas.empty()) {
      return malformed("data count section required"), false;
    }
    if (index < image_.data_count.value_or(0)) return true;
    return invalid(fmt::format("unknown data segment {}", index)), false;
  };
  const auto known_element = [&](u32 index) {
    if (!in_.ok()) return false;
    if (index < out_.elems.size()) return true;
    return invalid(fmt::format("unknown elem segment {}", index)), false;
  };
  // Three i32 operands, as memory and table operations have them, but for the middle one.
  u32 slots[3];
  const auto pop_three = [&](ValType middle) {
    slots[2] = pop_slot(ValType::i32, position);
    slots[1] = pop_slot(middle, position);
    slots[0] = pop_slot(ValType::i32, position);
  };
  const auto emit_three = [&](Op op, Word extension) {
    if (live_) emit_.op_ext(op, slots[0], slots[1], slots[2], extension);
  };
  switch (code) {
    case 8:  // memory.init
      first = in_.leb_u32();
      zero_byte();
      if (!known_data(first) || !need_memory()) return;
      pop_three(ValType::i32);
      return emit_three(Op::memory_init, isa::encode_ext(0, 0, first));
    case 9:  // data.drop
      first = in_.leb_u32();
      if (!known_data(first)) return;
      if (live_) emit_.op_wide(Op::data_drop, 0, first);
      return;
    case 10:  // memory.copy
      zero_byte();
      zero_byte();
      if (!need_memory()) return;
      pop_three(ValType::i32);
      return emit_three(Op::memory_copy, isa::encode_ext(0, 0));
    case 11:  // memory.fill
      zero_byte();
      if (!need_memory()) return;
      pop_three(ValType::i32);
      return emit_three(Op::memory_fill, isa::encode_ext(0));
    case 12:  // table.init
      first = in_.leb_u32();
      if (!read_table(second) || !known_element(first)) return;
      if (out_.elems[first].type != image_.tables[second].element) {
        return invalid("type mismatch: the segment and the table hold different types");
      }
      pop_three(ValType::i32);
      return emit_three(Op::table_init, isa::encode_ext(static_cast<u16>(second), 0, first));
    case 13:  // elem.drop
      first = in_.leb_u32();
      if (!known_element(first)) return;
      if (live_) emit_.op_wide(Op::elem_drop, 0, first);
      return;
    case 14:  // table.copy
      if (!read_table(first) || !read_table(second)) return;
      if (image_.tables[first].element != image_.tables[second].element) {
        return invalid("type mismatch: the tables hold different types");
      }
      pop_three(ValType::i32);
      return emit_three(Op::table_copy,
                        isa::encode_ext(static_cast<u16>(first), static_cast<u16>(second)));
    case 15: {  // table.grow
      if (!read_table(first)) return;
      const u32 count = pop_slot(ValType::i32, position);
      const u32 value = pop_slot(image_.tables[first].element, position);
      const u32 slot = live_ ? result_slot(position) : 0;
      if (live_) {
        emit_.op_ext(Op::table_grow, slot, value, count, isa::encode_ext(static_cast<u16>(first)));
      }
      return push_temporary(ValType::i32, slot);
    }
    case 16: {  // table.size
      if (!read_table(first)) return;
      if (high_ != none) bring_home();
      const u32 slot = live_ ? result_slot(height()) : 0;
      if (live_) emit_.op(Op::table_size, slot, first);
      return push_temporary(ValType::i32, slot);
    }
    default:  // 17, table.fill
      if (!read_table(first)) return;
      pop_three(image_.tables[first].element);
      return emit_three(Op::table_fill, isa::encode_ext(static_cast<u16>(first)));
  }
}

}  // namespace atollvm::wasm
