// For every operation and each of its operands: the valid form passes, and each lie is refused.
#include "tests/verify/expect.hpp"

using namespace atollvm;
using namespace atollvm::test;
using isa::OperandKind;

namespace {

constexpr Op all_ops(u32 number) { return static_cast<Op>(number); }

std::string place_of(Op op, u32 at) {
  return "function 2, word " + std::to_string(at) + ", " + std::string(isa::info(op).name);
}

void set_field(mod::Module& module, u32 at, isa::Field field, u64 bits) {
  isa::Word* code = &added_word(module, at);
  isa::Word mask[2] = {0, 0};
  isa::write_field(mask, field, isa::field_limit(field));
  code[0] &= ~mask[0];
  if (mask[1] != 0) code[1] &= ~mask[1];
  isa::write_field(code, field, bits);
}

// Refuses `op` with one field changed.
void refuses_with(Op op, isa::Field field, u64 bits, const std::string& message) {
  u32 at = 0;
  mod::Module module = with(op_function(op, &at));
  set_field(module, at, field, bits);
  refuses(module, place_of(op, at), message);
}

}  // namespace

TEST_CASE("every operation passes in its valid form") {
  for (u32 i = 0; i < isa::op_count; ++i) {
    CAPTURE(isa::op_table[i].name);
    accepts(with(op_function(all_ops(i))));
  }
  accepts(every_op());
  accepts(every_section());
  accepts(mod::Module{});
}

TEST_CASE("every slot operand: outside of the frame, or not defined") {
  for (u32 i = 0; i < isa::op_count; ++i) {
    const Op op = all_ops(i);
    CAPTURE(isa::op_table[i].name);
    for (const isa::Operand& operand : isa::format_of(op).list()) {
      switch (operand.kind) {
        case OperandKind::use:
        case OperandKind::use_def:
          refuses_with(op, operand.field, op_frame - 1, "slot 19 is used, but not defined here");
          [[fallthrough]];
        case OperandKind::def:
          refuses_with(op, operand.field, op_frame, "slot 20 is outside of the frame of 20 slots");
          refuses_with(op, operand.field, 0xffff, "slot 65535 is outside of the frame");
          break;
        case OperandKind::use_range:
          refuses_with(op, operand.field, op_locals - 1, "slot 8 is used, but not defined here");
          [[fallthrough]];
        case OperandKind::def_range:
          refuses_with(op, operand.field, op_frame - 1,
                       "slots 19..20 are outside of the frame of 20 slots");
          break;
        default:
          break;
      }
    }
  }
}

TEST_CASE("every index operand: one past the last") {
  for (u32 i = 0; i < isa::op_count; ++i) {
    const Op op = all_ops(i);
    CAPTURE(isa::op_table[i].name);
    for (const isa::Operand& operand : isa::format_of(op).list()) {
      switch (operand.kind) {
        case OperandKind::func:
        case OperandKind::func_any:
          refuses_with(op, operand.field, 3, "function 3 does not exist: there are 3");
          break;
        case OperandKind::func_import:
          refuses_with(op, operand.field, 1, "imported function 1 does not exist: there are 1");
          break;
        case OperandKind::type:
          refuses_with(op, operand.field, 4, "type 4 does not exist: there are 4");
          break;
        case OperandKind::global:
          refuses_with(op, operand.field, 2, "global 2 does not exist: there are 2");
          break;
        case OperandKind::table:
          refuses_with(op, operand.field, 2, "table 2 does not exist: there are 2");
          break;
        case OperandKind::memory:
          refuses_with(op, operand.field, 2, "memory 2 does not exist: there are 2");
          break;
        case OperandKind::elem:
          refuses_with(op, operand.field, 1, "element segment 1 does not exist: there are 1");
          break;
        case OperandKind::data:
          refuses_with(op, operand.field, 1, "data segment 1 does not exist: there are 1");
          break;
        default:
          break;
      }
    }
  }
}

TEST_CASE("every branch operand: no label, out of the function") {
  for (u32 i = 0; i < isa::op_count; ++i) {
    const Op op = all_ops(i);
    CAPTURE(isa::op_table[i].name);
    for (const isa::Operand& operand : isa::format_of(op).list()) {
      const u64 furthest = isa::field_limit(operand.field);
      if (operand.kind == OperandKind::forward) {
        const u32 words = isa::format_of(op).words;
        if (!isa::info(op).has(isa::ends)) {  // else the label comes at once
          refuses_with(op, operand.field, words, "is not a label");
        }
        refuses_with(op, operand.field, words - 1,
                     "leads into the branch of " + std::to_string(words) + " words");
        refuses_with(op, operand.field, words + 2, "leads out of the function");
        refuses_with(op, operand.field, furthest, "leads out of the function");
      }
      if (operand.kind == OperandKind::backward) {
        refuses_with(op, operand.field, 1, "leads before the function's start");
        refuses_with(op, operand.field, furthest, "leads before the function's start");
      }
      if (operand.kind == OperandKind::forward || operand.kind == OperandKind::backward ||
          operand.kind == OperandKind::targets) {
        u32 at = 0;
        mod::Module module = with(op_function(op, &at));
        added(module).label_count = 0;
        module.labels.clear();
        refuses(module, place_of(op, at), "is not a label");
      }
    }
  }
}

TEST_CASE("every bit that no operand names must be zero") {
  for (u32 i = 0; i < isa::op_count; ++i) {
    const Op op = all_ops(i);
    const isa::FormatInfo& format = isa::format_of(op);
    CAPTURE(isa::op_table[i].name);
    isa::Word named[2] = {0xffff, 0};
    for (const isa::Operand& operand : format.list()) {
      isa::write_field(named, operand.field, isa::field_limit(operand.field));
    }
    for (u32 bit = 0; bit < format.words * 64u; ++bit) {
      if ((named[bit / 64] >> (bit % 64) & 1) != 0) continue;
      u32 at = 0;
      mod::Module module = with(op_function(op, &at));
      added_word(module, at + bit / 64) |= isa::Word{1} << (bit % 64);
      refuses(module, place_of(op, at), "bits that no operand uses are not zero");
    }
  }
}

TEST_CASE("every operation: cut short by the function's end") {
  for (u32 i = 0; i < isa::op_count; ++i) {
    const Op op = all_ops(i);
    if (isa::format_of(op).words == 1) continue;
    CAPTURE(isa::op_table[i].name);
    u32 at = 0;
    CodeBuilder whole = op_function(op, &at);
    mod::Module module = with(whole);
    module.code.resize(added(module).code_begin + at + 1);
    added(module).code_size = at + 1;
    added(module).label_count = 0;
    module.labels.clear();
    refuses(module, place_of(op, at), "the function has only 1 more");
  }
}

TEST_CASE("every operation on memory needs one") {
  for (u32 i = 0; i < isa::op_count; ++i) {
    const Op op = all_ops(i);
    CAPTURE(isa::op_table[i].name);
    // What touches memory says "bytes at" or names a memory operand.
    bool touches = isa::info(op).semantics.find("byte at") != std::string_view::npos ||
                   isa::info(op).semantics.find("bytes at") != std::string_view::npos;
    for (const isa::Operand& operand : isa::format_of(op).list()) {
      touches |= operand.kind == OperandKind::memory;
    }
    u32 at = 0;
    mod::Module module = with(op_function(op, &at));
    std::erase_if(module.imports,
                  [](const mod::Import& import) { return import.kind == mod::ExternKind::memory; });
    module.memories.clear();
    if (touches) {
      refuses(module, place_of(op, at), "memory");
    } else {
      accepts(module);
    }
  }
}

TEST_CASE("every opcode number above the table is refused") {
  for (u32 number : {isa::op_count, isa::op_count + 1, 0x8000u, 0xffffu}) {
    mod::Module module = with(std::move(CodeBuilder(0, 0, 0).emit(Op::ret)));
    added_word(module, 0) = number;
    refuses(module, "function 2, word 0", "unknown operation " + std::to_string(number));
  }
}
