// The code of one function as it is written: instructions, labels, branches, constant slots.
//
// Slot numbers are provisional: locals count from 0, temporaries from `locals`, and slots that hold
// constants of the whole function from 0xffff downward. How many of the last there are is known at
// the end only; `finish` then puts them between the locals and the temporaries.
#pragma once

#include <span>
#include <vector>

#include "assembler/wasm/op_shape.hpp"
#include "vm/module/module.hpp"

namespace atollvm::wasm {

using isa::Op;
using isa::Word;

class Emitter {
 public:
  static constexpr u32 none = ~u32{0};
  static constexpr u32 max_constants = 64;
  // Temporaries must stay below.
  static constexpr u32 slot_limit = 0x10000 - 2 * max_constants;

  // Begins a function. `long_branches`: conditional branches may span more than 16 bits.
  void reset(u32 locals, bool long_branches);

  // --- Instructions -----------------------------------------------------------------------------
  // Word index of the next instruction.
  [[nodiscard]] u32 here() const { return size_; }

  void op(Op operation, u32 a = 0, u32 b = 0, u32 c = 0) {
    begin(1);
    words_[size_++] =
        isa::encode(operation, static_cast<u16>(a), static_cast<u16>(b), static_cast<u16>(c));
  }
  void op_wide(Op operation, u32 a, u32 bc) {
    begin(1);
    words_[size_++] = isa::encode_wide(operation, static_cast<u16>(a), bc);
  }
  void op_ext(Op operation, u32 a, u32 b, u32 c, Word extension) {
    begin(2);
    words_[size_++] =
        isa::encode(operation, static_cast<u16>(a), static_cast<u16>(b), static_cast<u16>(c));
    words_[size_++] = extension;
  }
  // A constant of any type by its bits.
  void constant(mod::ValType type, u32 slot, u64 bits);
  // Copies `count` slots as if through a buffer.
  void move(u32 to, u32 from, u32 count = 1);

  // --- The last instruction, for fusing ---------------------------------------------------------
  // The last or the one before it, or none where a label may be between. Invalid after changes.
  [[nodiscard]] const Word* last() const { return last_ == none ? nullptr : &words_[last_]; }
  [[nodiscard]] const Word* before_last() const {
    return before_last_ == none ? nullptr : &words_[before_last_];
  }
  // Takes the last instruction back, twice or thrice if need be; the one before it is then the
  // last.
  void remove_last() {
    size_ = last_;
    last_ = before_last_;
    before_last_ = third_last_;
    third_last_ = none;
  }
  // Whether the last instruction's one result is `slot`; then it can be given another.
  [[nodiscard]] bool last_defines(u32 slot) const {
    return last_ != none && shape_of(words_[last_]).defines_a &&
           isa::field_a(words_[last_]) == slot;
  }
  void set_last_result(u32 slot) {
    words_[last_] = (words_[last_] & ~(Word{0xffff} << 16)) | Word{slot} << 16;
  }
  // The last instruction and the one before change places, if both are such sums and neither needs
  // the other's result.
  bool swap_sums();
  // Sums of a slot and an immediate (i32.add.i) go in pairs: the last two become one, if both are
  // of locals; the last one is made for a second slot too, if it made `from`; and a pair whose
  // second makes `slot` of itself becomes two again.
  void join_sums(u32 locals);
  bool copy_sum(u32 from, u32 to);
  void split_sums(u32 slot);
  // No fusing over this place.
  void barrier() {
    last_ = before_last_ = third_last_ = none;
    ++block_;
  }
  // Differs between places that a label may be between, in all functions.
  [[nodiscard]] u32 block() const { return block_; }

  // --- Constants of the function ----------------------------------------------------------------
  // A slot that holds the constant wherever the function is; none if there are too many.
  u32 constant_slot(mod::ValType type, u64 bits);

  // --- Labels and branches ----------------------------------------------------------------------
  // A place to branch to; freed by binding it.
  struct Label {
    u32 first_fixup = none;  // forward branches to it
    u32 record = none;       // of a loop: its entry in the labels, else none
  };
  // A label at this place for backward branches; `defined` is provisional (without constants).
  Label loop_label(u32 defined);
  // Puts a forward label here; whether any branch goes there.
  bool bind(const Label& label, u32 defined);
  // A conditional branch `operation` with operands a and b (its forward form), to a label. With
  // long branches it puts a label behind itself: exactly the slots below `defined` are defined
  // then.
  void branch(Op operation, u32 a, u32 b, Label& target, u32 defined);
  [[nodiscard]] bool long_branches() const { return long_branches_; }
  // A backward branch by its own operation, of one word, with operands a and b. Not with long
  // branches.
  void branch_back(Op operation, u32 a, u32 b, Label& target);
  // The same for operations of two words: a, b, c, and the distance behind them.
  void branch_back_by(Op operation, u32 a, u32 b, u32 c, Label& target);
  // And for scans: the loaded value, the address, its step, the bound.
  void branch_back_scan(Op operation, u32 loaded, u32 address, u32 step, u32 bound, Label& target);
  void jump(Label& target);
  // br_table over targets: `targets` are labels that will be bound after it.
  void table(u32 index, std::span<Label* const> targets);

  // --- The end ----------------------------------------------------------------------------------
  // A branch did not fit: the function has to be written again with long branches.
  [[nodiscard]] bool overflow() const { return overflow_; }
  // Appends the function to the module's code, labels and lines; gives its record.
  struct Line {
    u32 pc, file, line, column;
  };
  std::vector<Line>& lines() { return lines_; }
  mod::Function finish(mod::Module& module, u32 type, u32 frame_slots);

 private:
  struct Fixup {
    u32 pc;    // of the branch's first word
    u32 next;  // of the same label
    u32 kind;  // conditional, jump, or 2 + the number of the br_table's target
  };
  static constexpr u32 conditional_fixup = 0;
  static constexpr u32 jump_fixup = 1;
  static constexpr u32 table_fixup = 2;
  struct LabelRecord {
    u32 pc;
    u16 defined;
    bool targeted;
  };
  struct Constant {
    mod::ValType type;
    u64 bits;
  };

  void begin(u32 words) {
    if (size_ + words > words_.size()) [[unlikely]]
      grow(words);
    third_last_ = before_last_;
    before_last_ = last_;
    last_ = size_;
  }
  [[gnu::noinline]] void grow(u32 words);
  void move_one(u32 to, u32 from);
  void add_fixup(Label& label, u32 pc, u32 kind);
  u32 back_distance(const Label& label);
  void set_record(u32 pc, u32 defined, bool targeted);
  void rebase(Word* code, u32 size) const;

  std::vector<Word> words_;  // the first size_ count
  u32 size_ = 0;
  u32 last_ = none;
  u32 before_last_ = none;
  u32 third_last_ = none;
  u32 block_ = 0;
  u32 locals_ = 0;
  bool long_branches_ = false;
  bool overflow_ = false;
  std::vector<Fixup> fixups_;
  std::vector<LabelRecord> records_;
  std::vector<Constant> constants_;
  std::vector<Line> lines_;
};

// The conditional branch taken where `operation` (a forward form) is not. `swaps`: with the
// operands in the other order.
struct Inverse {
  Op operation;
  bool swaps;
};
Inverse inverse_of(Op branch);

// The backward form of a conditional forward branch.
constexpr Op backward_of(Op branch) {
  constexpr u16 distance = static_cast<u16>(Op::back_i32_eq) - static_cast<u16>(Op::br_i32_eq);
  static_assert(static_cast<u16>(Op::back_f64_nle) - static_cast<u16>(Op::br_f64_nle) == distance);
  static_assert(static_cast<u16>(Op::back_i64_eq_i) - static_cast<u16>(Op::br_i64_eq_i) ==
                distance);
  constexpr u16 memory_distance =
      static_cast<u16>(Op::back_load8_z) - static_cast<u16>(Op::br_load8_z);
  static_assert(static_cast<u16>(Op::back_load32_nz) - static_cast<u16>(Op::br_load32_nz) ==
                memory_distance);
  const bool memory = branch >= Op::br_load8_z && branch <= Op::br_load32_nz;
  return static_cast<Op>(static_cast<u16>(branch) + (memory ? memory_distance : distance));
}

}  // namespace atollvm::wasm
