// One function body: validated (core specification, appendix "Validation algorithm") and translated
// in the same pass.
//
// Where values are. A local of the function is the slot of its number. An entry of WebAssembly's
// operand stack is one of:
//   constant   nowhere yet
//   local      in the local's slot, as long as nothing sets the local
//   temporary  in a slot above the locals
// The temporary of stack position p is at home in slot locals + 1 + p. The slot below the home of
// the lowest argument is then free for a call's header whenever nothing lies below it on the stack,
// or only what needs no temporary. At labels every value is one slot lower, at locals + p
// ("merged"), so that the defined slots have no gap, as the verifier's label records demand: a
// block moves what is below it there when it begins (usually nothing is), and its results when they
// go to its label. Three rules keep moves from running over each other:
//   - merged entries are below all others on the stack;
//   - an entry's slot is never below its merged one, and at most two above it ("high": the results
//     of a call whose window had to be one slot higher, because the entry below was at home);
//   - only the topmost entries are high; pushing something onto them brings them home.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "assembler/wasm/bytes.hpp"
#include "assembler/wasm/emitter.hpp"
#include "assembler/wasm/image.hpp"
#include "assembler/wasm/line_table.hpp"
#include "assembler/wasm/numeric.hpp"

namespace atollvm::wasm {

class FunctionTranslator {
 public:
  // `lines` is sorted by offset.
  FunctionTranslator(Image& image, std::span<const CodeLine> lines);

  // Appends own function number `index` to the module's code, labels and lines.
  std::optional<base::Error> translate(u32 index);

 private:
  static constexpr u32 none = ~u32{0};
  static constexpr ValType bottom = ValType{0};  // of an operand that can't be reached

  enum class Kind : u8 { temporary, local, constant };
  struct Entry {
    ValType type = bottom;
    Kind kind = Kind::temporary;
    u16 slot = 0;   // of a temporary or local
    u32 below = 0;  // of a local: the next entry below that is the same local, or none
    u64 bits = 0;   // of a constant
  };

  struct Types {
    const ValType* data = nullptr;
    u32 count = 0;
  };
  static Types types_of(const std::vector<ValType>& types) {
    return {types.data(), static_cast<u32>(types.size())};
  }
  struct BlockType {
    Types params;
    Types results;
  };
  enum class Block : u8 { function, block, loop, if_, else_ };
  struct Control {
    Block kind = Block::block;
    bool dead = false;         // it begins where nothing goes on
    bool unreachable = false;  // the rest of it: operands may have any type
    u32 height = 0;            // of the operand stack below its parameters
    BlockType type;
    Emitter::Label label;
    Emitter::Label otherwise;  // of an if: its else
    u32 last_table = 0;        // the last br_table that names it (they count from 1),
    u32 stub = none;           // and the number of its stub there, or none
    [[nodiscard]] Types branch_types() const {
      return kind == Block::loop ? type.params : type.results;
    }
  };

  // A condition as a branch that is taken when it holds.
  struct Condition {
    Op op = Op::br;
    u32 a = 0;
    u32 b = 0;
  };

  // --- Failures ---
  [[gnu::cold, gnu::noinline]] void fail(base::ErrorCode code, std::string message);
  [[gnu::cold, gnu::noinline]] void invalid(std::string message);
  [[gnu::cold, gnu::noinline]] void malformed(const char* message);
  [[gnu::cold, gnu::noinline]] void wrong_type(ValType wanted, ValType found);
  [[gnu::cold, gnu::noinline]] void unsupported(const char* what, const char* proposal);

  // --- The operand stack (stack.cpp) ---
  [[nodiscard]] u32 height() const { return static_cast<u32>(stack_.size()); }
  [[nodiscard]] u32 home(u32 position) const { return locals_ + 1 + position; }
  [[nodiscard]] u32 merged(u32 position) const { return locals_ + position; }
  void push(Entry entry) {
    if (high_ != none) [[unlikely]]
      bring_home();
    if (merged_ > height()) merged_ = height();
    stack_.push_back(entry);
  }
  void push_temporary(ValType type, u32 slot) {
    push({type, Kind::temporary, static_cast<u16>(slot), none, 0});
  }
  void push_local(ValType type, u32 local) {
    push({type, Kind::local, static_cast<u16>(local), heads_[local], 0});
    heads_[local] = height() - 1;
  }
  void push_constant(ValType type, u64 bits) { push({type, Kind::constant, 0, none, bits}); }
  Entry pop(ValType wanted) {
    if (height() == control_.back().height) [[unlikely]]
      return pop_nothing(wanted);
    const Entry entry = stack_.back();
    stack_.pop_back();
    if (entry.kind == Kind::local) heads_[entry.slot] = entry.below;
    if (entry.type != wanted) [[unlikely]]
      check_type(wanted, entry.type);
    return entry;
  }
  Entry pop_any();
  // No operand is there: an error, but where nothing is reached.
  Entry pop_nothing(ValType wanted);
  void check_type(ValType wanted, ValType found);
  // Takes entries off, whatever their types, down to a height.
  void truncate(u32 to);
  // The slot that will hold the result of an operation at a stack position. What is high below it
  // would be in that slot.
  u32 result_slot(u32 position) {
    if (high_ < position) [[unlikely]]
      bring_home();
    const u32 slot = home(position);
    use_slot(slot);
    return slot;
  }
  void use_slot(u32 slot) {
    if (slot >= frame_) [[unlikely]]
      widen(slot);
  }
  [[gnu::noinline]] void widen(u32 slot);
  // The slot of a value that was at `position` when it was popped; a constant is put into one.
  u32 slot_of(const Entry& entry, u32 position) {
    return entry.kind != Kind::constant ? entry.slot : constant_slot(entry, position);
  }
  u32 constant_slot(const Entry& entry, u32 position);
  // Puts the value of a popped entry into a slot.
  void put(const Entry& entry, u32 slot);
  void bring_home();
  // Moves all entries to their merged slots.
  void merge_all();
  // Moves the topmost `count` entries to the merged slots from `position` on. They keep their
  // records: the caller takes them off or replaces them.
  void place_merged(u32 count, u32 position);
  // Puts locals that are about to be set where their entries on the stack keep the old value;
  // whether there were any.
  bool keep_old(u32 local);
  // Checks that the topmost entries have these types, without taking them.
  void check_top(Types types);
  void pop_types(Types types);
  void push_merged(Types types, u32 position);

  // --- Control (control.cpp) ---
  bool read_block_type(BlockType& type);
  void begin_block(Block kind);
  void begin_else();
  void end_block();
  void end_function();
  void check_end(const Control& control);
  void unreachable();
  void branch(u32 depth);
  void branch_if(u32 depth);
  void branch_table();
  void return_all();
  void emit_return(u32 count);
  Condition take_condition(const Entry& entry, u32 position);
  void emit_branch(Condition condition, Emitter::Label& target);
  void emit_branch_not(Condition condition, Emitter::Label& target);
  Control* target(u32 depth);

  // --- Calls ---
  // Puts the topmost `count` entries into a call window and takes them off; gives the window.
  // `index`: the popped operand of an indirect call; its slot comes back in `index_slot`. With
  // `header`, the slot below the window is free.
  u32 place_arguments(u32 count, bool header, const Entry* index, u32* index_slot);
  void push_results(Types results, u32 window);
  void call(bool tail);
  void call_indirect(bool tail);

  // --- Other instructions ---
  void instruction(u8 code);
  void prefixed();
  void unary(Op op, ValType in, ValType out);
  void binary(const Numeric& row, u8 code);
  // Whether the last instruction loaded a byte, zero-extended, into the slot.
  bool made_byte(u32 slot);
  bool immediate(const Numeric& row, u8 code, const Entry& a, const Entry& b, u32 position);
  void load(const Access& access);
  void store(const Access& access);
  u32 memory_argument(const Access& access);
  bool need_memory();
  // The slot and the offset of an address: a constant becomes part of the offset where it can.
  u32 address_slot(const Entry& address, u32 position, u64& offset);
  void local_get(u32 index);
  void local_set(u32 index, bool tee);
  void global_get();
  void global_set();
  void select(bool typed);
  void reference_null();
  void reference_func();
  void table_get();
  void table_set();
  void bulk(u32 code);
  [[nodiscard]] ValType local_type(u32 index);
  bool run(u32 index, bool long_branches);
  bool read_locals();
  bool read_value_type(ValType& type);
  bool read_reference_type(ValType& type);
  bool read_table(u32& index);
  void zero_byte();
  u32 pop_slot(ValType type, u32& position);
  void add_lines();

  // --- Fusing (fuse.cpp) ---
  // Writes an operation together with the last instruction, if that made one of its operands.
  bool fuse(Op op, u32 left, u32 right, u32 slot);
  // Sums of up to three, one of them shifted or an immediate, that were just made.
  bool fuse_sum(u32 left, u32 right, u32 slot);
  bool add_to_sum(u32 operand, u32 immediate, u32 slot);
  // An access whose address was just made by a sum: takes the sum back.
  struct Address {
    Op op = Op::nop;
    u32 a = 0;
    u32 b = 0;
    enum class Form : u8 {
      index,      // b is a slot
      immediate,  // b is an immediate
      both,       // b is a slot, and the extension word has an immediate
    } form = Form::index;
    isa::Word extension = 0;
  };
  bool take_address(const Access& access, u32 address, Address& fused);
  bool fuse_sum_into_memory(const Access& access, u32 base, u32 from, u64 offset);
  bool fuse_step(Condition condition, Control& to);
  bool fuse_scan(Condition condition, Control& to);
  bool fuse_call(u32 window, u32 count, u32 function);
  bool fuse_return(u32 slot);
  Condition test_of(Op op, u32 slot);

  Image& image_;
  mod::Module& out_;
  std::span<const CodeLine> lines_;
  usize next_line_ = 0;
  const u8* next_line_at_ = nullptr;  // byte of the file, null after the last

  Emitter emit_;
  Bytes in_{nullptr, nullptr};
  u32 function_ = 0;  // index with imports
  const mod::FuncType* type_ = nullptr;
  std::optional<base::Error> error_;
  const u8* at_ = nullptr;  // of the instruction

  std::vector<Entry> stack_;
  std::vector<Control> control_;
  std::vector<u32> heads_;    // by local: the topmost entry of the stack that is it, or none
  std::vector<u32> byte_in_;  // by local: the emitter's block in which it was set to a loaded byte
  std::vector<ValType> local_types_;  // of the first ones
  struct LocalRun {
    u32 end;
    ValType type;
  };
  std::vector<LocalRun> local_runs_;
  std::vector<Emitter::Label*> table_targets_;
  u32 locals_ = 0;
  u32 frame_ = 0;
  u32 merged_ = 0;    // at least this many lowest entries are merged, when not above the height
  u32 high_ = none;   // the lowest high entry
  u32 loops_ = 0;     // around this place
  u32 tables_ = 0;    // br_tables so far
  bool live_ = true;  // control comes here
};

}  // namespace atollvm::wasm
