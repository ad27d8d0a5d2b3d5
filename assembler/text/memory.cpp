// Loads and stores: the choice between the short, the long and the indexed form.
#include <bit>

#include "assembler/text/function.hpp"

namespace atollvm::text {

void FunctionCompiler::need_memory(const Token& token) {
  if (!unit_.has_memory()) {
    fail(token, "the program has no memory", "add an item such as `memory 65536`");
  }
}

// Computes what the instruction itself cannot: temporaries hold it.
FunctionCompiler::Place32 FunctionCompiler::resolve(const Address& address, u8 width) {
  const Token& token = *address.token;
  Place32 place{};
  place.memory = address.memory;
  Const offset = address.offset;
  bool has_base = address.has_base;
  place.base = address.base;
  bool indexed = address.has_index;
  if (indexed && address.scale != 1 && address.scale != width) {
    fail(token,
         "the index is scaled by " + std::to_string(address.scale) + ", but the access is " +
             std::to_string(width) + (width == 1 ? " byte wide" : " bytes wide"),
         "multiply it before: [p + (i32.mul i, " + std::to_string(address.scale) + ")]");
  }
  if (offset.base == Const::Base::none &&
      (offset.integer > i64{0xffffffff} || offset.integer < -(i64{1} << 31))) {
    fail(token, "the offset " + std::to_string(offset.integer) + " does not fit 32 bits");
  }
  // Puts base + offset into a temporary and leaves no offset.
  const auto add_offset = [&] {
    const u16 slot = temp();
    if (!has_base) {
      load_constant(slot, ValType::i32, offset, token);
    } else if (offset.base == Const::Base::none && offset.integer >= -0x8000 &&
               offset.integer <= 0x7fff) {
      emit(Op::i32_add_i, slot, place.base, static_cast<u16>(offset.integer));
    } else {
      load_constant(slot, ValType::i32, offset, token);
      emit(Op::i32_add, slot, place.base, slot);
    }
    has_base = true;
    place.base = slot;
    offset = Const{};
  };
  if (indexed && (address.scale != width || place.memory != 0)) {
    // Base and index become one register.
    u16 index = address.index;
    if (address.scale != 1) {
      const u16 scaled = temp();
      emit(Op::i32_shl_i, scaled, index,
           static_cast<u16>(std::countr_zero(static_cast<u32>(address.scale))));
      index = scaled;
    }
    if (has_base) {
      const u16 sum = temp();
      emit(Op::i32_add, sum, place.base, index);
      index = sum;
    }
    place.base = index;
    has_base = true;
    indexed = false;
  }
  const bool plain = offset.base == Const::Base::none;
  if (indexed) {
    if (!has_base || !plain || offset.integer != 0) add_offset();
    place.indexed = true;
    place.index = address.index;
    return place;
  }
  if (!has_base || offset.base == Const::Base::heap || (plain && offset.integer < 0)) add_offset();
  place.relocation = offset.base;
  place.offset = static_cast<u32>(offset.integer);
  place.long_form =
      place.memory != 0 || place.offset > 0xffff || place.relocation != Const::Base::none;
  return place;
}

Result FunctionCompiler::load(const Mnemonic& mnemonic, const Token& token, Dest dest) {
  need_memory(token);
  const u32 mark = top();
  const Place32 place = resolve(address(), mnemonic.width);
  release(mark);
  const Result made = result(dest, mnemonic.type);
  emit_load(mnemonic, place, made.slot);
  return made;
}

void FunctionCompiler::emit_load(const Mnemonic& mnemonic, const Place32& place, u16 slot) {
  if (place.indexed) {
    emit(mnemonic.indexed, slot, place.base, place.index);
  } else if (place.long_form) {
    emit(mnemonic.longer, slot, place.base, static_cast<u16>(place.memory));
    unit_.module.code.push_back(place.offset);
    if (place.relocation != Const::Base::none) relocate_last(1);
  } else {
    emit(mnemonic.op, slot, place.base, static_cast<u16>(place.offset));
  }
}

void FunctionCompiler::store(const Mnemonic& mnemonic, const Token& token) {
  need_memory(token);
  const u32 mark = top();
  const Place32 place = resolve(address(), mnemonic.width);
  comma();
  const u16 value = operand_register(mnemonic.type);
  release(mark);
  if (place.indexed) {
    emit(mnemonic.indexed, place.base, place.index, value);
  } else if (place.long_form) {
    emit(mnemonic.longer, place.base, value, static_cast<u16>(place.memory));
    unit_.module.code.push_back(place.offset);
    if (place.relocation != Const::Base::none) relocate_last(1);
  } else {
    emit(mnemonic.op, place.base, value, static_cast<u16>(place.offset));
  }
}

}  // namespace atollvm::text
