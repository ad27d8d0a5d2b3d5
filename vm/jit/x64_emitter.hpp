// Machine code of one function for x86-64.
//
// Registers: rbx frame, r14 worker, r15 and r13 base and size of memory 0, r12 fuel where it is
// counted; rax, rcx, rdx, xmm0 and xmm1 are free within an instruction; all others are homes of
// slots (Analysis). No home survives a call, so nothing is saved around one: dirty homes go to
// their slots before, and are loaded again when they are used. A call's first arguments are in
// homes (arguments_in_homes) and not in their slots, and so is its first result in rax.
//
// What homes hold at a place is known when its code is emitted: `valid` ones hold their slot's
// value, `dirty` ones hold it alone. At a label the first edge that arrives decides, later ones
// are brought to the same; a loop's header wants what the loop uses.
#pragma once

#include <asmjit/x86.h>

#include <span>
#include <vector>

#include "vm/base/result.hpp"
#include "vm/jit/analysis.hpp"
#include "vm/jit/code.hpp"
#include "vm/jit/jit.hpp"
#include "vm/jit/routines.hpp"
#include "vm/runtime/program.hpp"
#include "vm/runtime/trap.hpp"

namespace atollvm::jit {

using runtime::Trap;

// A place where compiled code can be entered with all in slots, as words of Module::code, and where
// that is in the code.
struct Resume {
  u32 pc = 0;
  u32 offset = 0;
};

// A pc that is none.
inline constexpr u32 no_access = ~u32{0};

struct Emitted {
  std::vector<u8> code;           // position-independent
  std::vector<Resume> resumes;    // by pc
  std::vector<Resume> faults;     // by offset: from where on pc's accesses may fault, or none
  std::vector<u32> fallback_pcs;  // of instructions that the interpreter executes
};

class Emitter {
 public:
  // `function` counts the index space.
  Emitter(const runtime::Program& program, u32 function, Variant variant);
  // Writes all that is emitted there too. Before emit().
  void list(std::vector<Listed>& listing);
  // Errors: limit (the code is too large for the encoder).
  base::Result<Emitted> emit();

 private:
  using Gp = asmjit::x86::Gp;
  using Xmm = asmjit::x86::Xmm;
  using Mem = asmjit::x86::Mem;
  using Label = asmjit::Label;
  using Cond = asmjit::x86::CondCode;
  using Word = isa::Word;

  struct Regs {
    Homes valid = 0;
    Homes dirty = 0;
  };
  struct LabelState {
    u32 pc = 0;
    u16 defined = 0;
    u32 zone = 0;
    const Loop* loop = nullptr;  // whose header it is
    bool seen = false;           // whether `at` holds what the first edge brought
    Regs at;
    bool lands = false;  // by an indirect jump
    Label forward;       // for branches from before it
    Label header;        // for branches back to it
  };
  // How a condition that was just compared decides: by one jump, or together with a parity jump
  // where NaN is (`and_ordered`: taken only if ordered; `or_unordered`: also if not).
  struct Test {
    Cond cond = Cond::kZ;
    enum class Nan : u8 { plain, and_ordered, or_unordered } nan = Nan::plain;
  };
  // Emitted after the function's own code.
  struct EdgeStub {
    Label label;
    Label target;
    u32 zone = 0;
    Homes stores = 0;
    Homes loads = 0;
    Homes dirty = 0;     // at its begin
    bool lands = false;  // by an indirect jump
  };
  struct PollStub {
    Label label;
    Label after;  // where the branch isn't taken
    u32 pc = 0;   // of the branch
    u32 target = 0;
    bool again = false;  // the condition is to be evaluated
    u32 zone = 0;
    Regs regs;
  };
  // The runtime does what the code at hand can't, with what its registers held (`regs`) at the
  // jumps to it; they hold the same again afterwards, unless the instruction ends the function.
  // Emitted after the function's own code.
  struct SlowPath {
    Label label;
    Label after;
    u32 pc = 0;
    Routine routine = Routine::fallback;
    u32 zone = 0;
    Regs regs;
  };
  // Makes a NaN the canonical one.
  struct NanStub {
    Label label;
    Label after;
    Xmm value;
    bool is_64 = false;
  };
  struct TrapStub {
    Label label;
    u32 pc = 0;
    Trap trap = Trap::unreachable;
  };
  // The way in at the safepoint after a call: its first result, which is in a slot there, is in rax
  // at `after`.
  struct ResultStub {
    u32 pc = 0;
    Label label;
    Label after;
    u16 slot = 0;
  };

  // Fields of the instruction at hand: an immediate, and one of its extension word.
  static i32 signed_16(u16 field) { return static_cast<i16>(field); }
  static u64 sign_extended(i32 number) { return static_cast<u64>(i64{number}); }
  [[nodiscard]] u16 extra(u32 number) const {
    return static_cast<u16>(code_[pc_ + 1] >> (number * 16));
  }

  // --- x64_emitter.cpp: the function as a whole, edges.
  void prologue();
  void walk();
  void listed(u32 pc);
  void arrive(LabelState& label);
  void enter_zone(u32 zone);
  void stubs();
  void trap_stubs();
  void resume_at(u32 pc);
  LabelState& label_at(u32 pc);
  // What an edge from here to a label must do first; notes the arrival.
  void edge(LabelState& to, Homes& stores, Homes& loads);
  // The label to jump to for it; `lands`: by an indirect jump.
  Label edge_label(u32 target, bool lands = false);
  void jump(u32 target);
  void jump_if(const Test& test, Label target);
  void jump_unless(const Test& test, Label target);
  void branch(u32 target, const Test& test);
  void back(u32 target);
  void back_after_compare(u32 target, const Test& test);
  void conform(const LabelState& header);
  // Goes to `stop` where the process is to stop at this safepoint.
  void poll(Label stop);
  void take_fuel();
  // Compares as the branch at hand says, without effects.
  Test condition();
  void table_branch();
  void leave();
  Label trap(Trap trap);

  [[nodiscard]] static Mem limit();
  [[nodiscard]] static Mem instance();
  [[nodiscard]] static Gp fuel();

  // --- x64_calls.cpp
  bool emit_call(isa::Op op);
  void take_arguments();
  void give_arguments(u16 arguments, u32 count);
  void call(u32 function, u16 window, u32 next);
  void call_indirect(u16 window, u32 next);
  void find_callee(bool in_table, Label slow);
  void begin_call(u16 window, u32 arguments, u32 next);
  void end_call(u16 window, bool has_result, u32 next, Label from_slots);
  void tail(u32 function, u16 arguments);
  void tail_indirect(u16 arguments);
  void check_compiled(Label slow);
  void give_arguments_below(u16 arguments, u32 count);
  void execute(u32 pc, Routine routine, Label after);
  void by_runtime(Routine routine);
  void slow_path(const SlowPath& path);

  // --- Slots and homes.
  [[nodiscard]] Mem slot(u32 number) const {
    return asmjit::x86::ptr(asmjit::x86::rbx, static_cast<i32>(number * 8), 8);
  }
  [[nodiscard]] Mem slot32(u32 number) const {
    return asmjit::x86::ptr(asmjit::x86::rbx, static_cast<i32>(number * 8), 4);
  }
  [[nodiscard]] Home general_of(u16 number) const { return homes_[usize{number} * 2]; }
  [[nodiscard]] Home float_of(u16 number) const { return homes_[usize{number} * 2 + 1]; }
  static Gp gp(Home home);
  static Gp sized(const Gp& value, bool is_64) {
    if (is_64) return value.r64();
    return value.r32();
  }
  static Xmm xmm(Home home);
  void load_home(Home home);
  void store_home(Home home);
  void flush(Homes homes);
  void flush_below(u32 slots);
  void forget_all() { regs_ = {}; }
  [[nodiscard]] Homes below(u32 slots, u32 zone) const;
  // The value of a slot in a register: its home, or `scratch`.
  Gp use(u16 number, Gp scratch);
  Xmm use_float(u16 number, Xmm scratch);
  // The same as an operand, where memory will do.
  asmjit::Operand source(u16 number, Gp scratch, bool is_64);
  asmjit::Operand source_float(u16 number, Xmm scratch, bool is_64);
  // Of its width, with zeros above.
  Xmm clean_float(u16 number, Xmm scratch, bool is_64);
  // A 32-bit value with zeros above.
  Gp use_clean(u16 number, Gp scratch);
  // Where a result is to be put, and that it is there.
  Gp target(u16 number);
  Xmm target_float(u16 number);
  void define(u16 number, Gp value);
  void define_float(u16 number, Xmm value);
  void drop(Home home) {
    if (home == no_home) return;
    regs_.valid &= ~bit(home);
    regs_.dirty &= ~bit(home);
  }

  // --- x64_integers.cpp
  bool emit_integer(isa::Op op);
  void binary(asmjit::x86::Inst::Id id, bool is_64, bool commutes, u16 d, u16 a, u16 b);
  void binary_imm(asmjit::x86::Inst::Id id, bool is_64, u16 d, u16 a, i32 imm);
  void shift(asmjit::x86::Inst::Id id, bool is_64, u16 d, u16 a, u16 b);
  void divide(bool is_64, bool is_signed, bool remainder);
  void compare_set(bool is_64, Cond cond);
  void compare_set_imm(bool is_64, Cond cond);
  void compare(bool is_64, u16 a, u16 b);
  void compare_imm(bool is_64, u16 a, i32 imm);
  void unary(asmjit::x86::Inst::Id id, bool is_64);
  void move(u16 d, u16 a);
  void moves();
  void select();
  void sum(u16 d, u16 a, u16 b, u32 shift_by, i32 imm);
  void counted_back(bool is_64, bool by_slot);
  bool emit_branch(isa::Op op);
  bool emit_return(isa::Op op);
  void return_slot(u16 number);

  // --- x64_hardening.cpp
  void landing();
  // Whether a number of the guest's must not be seen in the code.
  [[nodiscard]] bool is_blinded(u64 number) const;
  // Puts a number of the guest's into a register, and may use up another one, and the flags.
  void constant(const Gp& to, u64 number, const Gp& scratch);
  // to = base + imm, modulo 2^32. `scratch` is used up.
  void add_constant(const Gp& to, const Gp& base, i32 imm, const Gp& scratch);
  [[nodiscard]] u64 least_bytes(u32 memory) const;

  // --- x64_floats.cpp
  bool emit_float(isa::Op op);
  void float_binary(asmjit::x86::Inst::Id id, bool is_64, u16 d, u16 a,
                    const asmjit::Operand& right);
  void float_minmax(bool is_64, bool is_max);
  void copy_sign(bool is_64);
  void canonical(Xmm value, bool is_64);
  void define_computed(u16 number, Xmm value, bool is_64);
  Test compare_floats(bool is_64, int kind, u16 a, u16 b);
  void float_compare_set(bool is_64, int kind);

  // --- x64_conversions.cpp
  bool emit_conversion(isa::Op op);
  struct Truncation {
    bool from_64 = false;
    bool is_64 = false;
    bool is_signed = false;
    bool saturates = false;
  };
  void float_from_integer(bool to_64, bool from_64, bool is_signed);
  void truncate(const Truncation& to);
  void truncate_upper_half(const Truncation& to, Xmm value, Label fits);
  void saturate(const Truncation& to, Xmm value);

  // --- x64_ranges.cpp
  bool emit_range(isa::Op op);
  [[nodiscard]] Homes homes_in(u32 begin, u32 count) const;
  void store_slot(u16 to, u16 from);
  void move_range(u16 to, u16 from, u32 count);

  // --- x64_memories.cpp
  bool emit_memories(isa::Op op);
  void find_memory(u16 number, const Gp& to);
  Mem in_memory(u16 memory, u16 base, u64 offset, u32 size);
  void few_bytes(Label& helper, Routine routine);
  void copy_helper();
  void fill_helper();

  // --- x64_tables.cpp
  bool emit_table(isa::Op op);
  void find_table(u16 number, const Gp& to);
  Mem find_element(const Gp& number, const Gp& scratch, Label outside);
  Mem element(u16 index);

  // --- x64_memory.cpp
  bool emit_memory(isa::Op op);
  Mem access(Gp base, u64 offset, u32 size);
  Mem plain(u16 base, u64 offset, u32 size);
  Mem stepped(u16 base, i32 imm, u32 size);
  Mem indexed(u16 base, u16 index, u32 shift_by, i32 imm, u32 size);
  // How a load or a store treats bytes.
  struct Width {
    u8 size = 0;
    bool is_signed = false;
    bool is_64 = false;
    bool is_float = false;
  };
  void load(const Width& width, u16 d, const Mem& at);
  void store(const Width& width, const Mem& at, u16 value);
  void scan(bool is_64, Cond cond);
  void global(bool get, bool imported);

  const runtime::Program& program_;
  const mod::Module& module_;
  const mod::Function& function_;
  u32 index_;
  Variant variant_;
  u64 key_ = 0;  // of what is blinded next
  const Word* code_;
  Analysis analysis_;
  // What the encoder refuses would be missing in the code: there is none then.
  struct Refusals final : asmjit::ErrorHandler {
    bool any = false;
    void handleError(asmjit::Error, const char*, asmjit::BaseEmitter*) override { any = true; }
  };
  Refusals refusals_;
  asmjit::CodeHolder holder_;
  asmjit::x86::Assembler a_;
  asmjit::StringLogger logger_;
  std::vector<Listed>* listing_ = nullptr;
  std::vector<LabelState> labels_;
  std::vector<Home> homes_;  // of the zone at hand: general and float ones by slot
  std::vector<EdgeStub> edges_;
  std::vector<PollStub> polls_;
  std::vector<TrapStub> traps_;
  std::vector<NanStub> nans_;
  std::vector<SlowPath> slow_paths_;
  std::vector<ResultStub> results_;
  struct ResumeLabel {
    u32 pc;
    Label label;
  };
  std::vector<ResumeLabel> resumes_;
  std::vector<u32> fallbacks_;
  std::vector<Resume> faults_;
  Label copy_helper_;  // where one is needed
  Label fill_helper_;
  Label entry_;
  Label entry_slow_;
  Label entry_room_;  // with room for the frame
  Label entry_on_;
  Label body_;
  Regs body_regs_;
  u32 zone_ = 0;
  Regs regs_;
  u32 pc_ = 0;
  Word w_ = 0;  // the instruction at pc_
  bool reachable_ = true;
};

}  // namespace atollvm::jit
