#include "scheduler/snapshot/frames.hpp"

#include <algorithm>

namespace atollvm::snapshot {

using isa::Op;
using runtime::FrameKind;
using runtime::Process;
using runtime::Slot;

CodeMap::CodeMap(std::shared_ptr<const runtime::Program> program)
    : program_(std::move(program)), marks_(program_->module().code.size() + 1) {
  const mod::Module& module = program_->module();
  for (const mod::Function& function : module.functions) {
    const u32 end = function.code_begin + function.code_size;
    marks_[function.code_begin] |= safepoint;
    for (u32 pc = function.code_begin; pc < end;) {
      const isa::Word* const word = module.code.data() + pc;
      const isa::OpInfo& op = isa::info(isa::op_of(*word));
      const u32 length = static_cast<u32>(isa::length(word));
      marks_[pc] |= start;
      if (op.has(isa::bulk)) marks_[pc] |= safepoint;
      if (op.has(isa::calls)) {
        marks_[pc] |= call;
        if (!op.has(isa::ends)) marks_[pc + length] |= safepoint;
      }
      for (const isa::Operand& operand : isa::format_of(isa::op_of(*word)).list()) {
        if (operand.kind != isa::OperandKind::backward) continue;
        marks_[pc - static_cast<u32>(isa::read_field(word, operand.field))] |= safepoint;
      }
      pc += length;
    }
  }
}

const isa::Word* CodeMap::bulk_at(u32 pc) const {
  const isa::Word* const word = program_->code() + pc;
  return isa::info(isa::op_of(*word)).has(isa::bulk) ? word : nullptr;
}

std::optional<u32> CodeMap::call_before(u32 pc) const {
  if (pc == 0 || pc >= marks_.size()) return std::nullopt;
  // The word before is the call or its extension.
  u32 at = pc - 1;
  if ((marks_[at] & start) == 0 && at > 0) --at;
  if ((marks_[at] & (start | call)) != (start | call)) return std::nullopt;
  return at;
}

const mod::FuncType& CodeMap::type_of_call(u32 at) const {
  const mod::Module& module = program_->module();
  const isa::Word* const word = module.code.data() + at;
  switch (isa::op_of(*word)) {
    case Op::call_table:
    case Op::call_ref:
    case Op::tail_table:
    case Op::tail_ref:
      return module.types[isa::field_bc(word[1])];
    default:
      return module.types[program_->type_of(isa::field_bc(*word))];
  }
}

const mod::Function& CodeMap::function_at(u32 pc) const {
  return program_->module().functions[program_->function_at(pc) - program_->imported_functions()];
}

u64 check_stack(const StoppedCall& call, const std::vector<const CodeMap*>& codes,
                std::string& wrong) {
  const auto refuse = [&](u64 fp, const char* why) {
    wrong = "frame at slot " + std::to_string(fp) + ": " + why;
    return u64{0};
  };
  if (call.instance >= codes.size()) return refuse(call.fp, "no such instance");
  const CodeMap* code = codes[call.instance];
  u64 fp = call.fp;
  if (fp == 0 || fp > call.slots.size()) return refuse(fp, "outside of the stack");

  // The top frame.
  u32 inside = call.pc;  // a word of the frame's function
  if (call.parked == Process::Parked::no) {
    if (!code->is_safepoint(call.pc)) return refuse(fp, "does not stop at a safepoint");
    const isa::Word* const bulk = code->bulk_at(call.pc);
    const u32 count_slot = bulk != nullptr ? isa::field_c(*bulk) : 0;
    if (bulk == nullptr && (call.bulk != 0 || call.paid)) {
      return refuse(fp, "a bulk operation is under way where there is none");
    }
    if (call.bulk != 0 && (fp + count_slot >= call.slots.size() ||
                           call.bulk >= static_cast<u32>(call.slots[fp + count_slot]))) {
      return refuse(fp, "more of a bulk operation is done than there is");
    }
  } else {
    const std::optional<u32> at = code->call_before(call.pc);
    if (!at || call.bulk != 0 || call.paid) return refuse(fp, "is not parked in a call");
    const bool is_tail = isa::info(isa::op_of(code->program().code()[*at])).has(isa::ends);
    if (is_tail != (call.parked == Process::Parked::tail_call)) {
      return refuse(fp, "is parked in another kind of call");
    }
    if (!(code->type_of_call(*at) == call.parked_in->type)) {
      return refuse(fp, "is parked in a function of another type");
    }
    inside = *at;
  }
  const mod::Function* function = &code->function_at(inside);
  if (call.slots.size() != fp + function->frame_slots) {
    return refuse(fp, "the stack does not end with the top frame");
  }

  u64 needed = 0;
  while (true) {
    const mod::FuncType& type = code->program().module().types[function->type];
    const u32 results = type.result_slots();
    needed =
        std::max(needed, fp + std::max({u32{function->frame_slots}, results, runtime::min_window}));
    Slot header = call.slots[fp - 1];
    if (header == runtime::frame_header(results, 0, FrameKind::entry)) {
      return fp == 1 ? needed : refuse(fp, "the outermost is not at the stack's start");
    }
    if (header == runtime::frame_header(results, runtime::marker_slots, FrameKind::instance)) {
      if (fp <= runtime::marker_slots + 1) return refuse(fp, "a marker outside of the stack");
      fp -= runtime::marker_slots;
      if (call.slots[fp] >= codes.size()) return refuse(fp, "a marker of no instance");
      code = codes[call.slots[fp]];
      header = call.slots[fp - 1];
    }
    if (runtime::header_kind(header) != FrameKind::guest) return refuse(fp, "no such header");
    const std::optional<u32> at = code->call_before(runtime::header_pc(header));
    if (!at) return refuse(fp, "its caller goes on behind no call");
    const isa::Word word = code->program().code()[*at];
    const u16 window = runtime::header_window(header);
    if (isa::info(isa::op_of(word)).has(isa::ends) || window != isa::field_a(word) ||
        code->type_of_call(*at).result_slots() != results) {
      return refuse(fp, "its caller goes on behind another call");
    }
    if (fp <= window) return refuse(fp, "its caller is outside of the stack");
    fp -= window;
    function = &code->function_at(*at);
  }
}

u64 used_slots(const runtime::Program& program, const runtime::Process& process) {
  const u32 pc = process.saved.pc - (process.parked == Process::Parked::no ? 0 : 1);
  const u32 function = program.function_at(pc) - program.imported_functions();
  return process.saved.fp + program.module().functions[function].frame_slots;
}

}  // namespace atollvm::snapshot
