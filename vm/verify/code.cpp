// One forward pass over each function. What it keeps:
//  - `defined_` is exactly the set of slots that hold values here on every way to here: at a label
//    it is the label's record, and every branch to the label (forward or backward) was or will be
//    checked against that record, so one pass is enough;
//  - `marks_` says for each word of the function whether a label is there, so a branch is checked
//  in
//    constant time. It is sized for the longest function and cleaned through the labels.
#include <fmt/format.h>

#include "vm/base/utf8.hpp"
#include "vm/module/limits.hpp"
#include "vm/verify/context.hpp"
#include "vm/verify/op_rules.hpp"
#include "vm/verify/slot_set.hpp"

namespace atollvm::verify {

namespace {

using isa::Op;
using isa::OperandKind;
using isa::Word;

constexpr u32 targeted = 0x8000'0000;  // flag of a mark; the rest is the label's number plus 1
constexpr u32 no_type = ~u32{0};

class CodeChecker {
 public:
  explicit CodeChecker(const Context& context) : context_(context), rules_(op_rules()) {
    u32 longest = 0;
    for (const mod::Function& function : context.module.functions) {
      longest = std::max(longest, function.code_size);
    }
    marks_.resize(longest);
  }

  // Checks own function number `index`.
  bool check(u32 index) {
    index_ = index;
    function_ = &context_.module.functions[index];
    code_ = context_.module.code.data() + function_->code_begin;
    labels_ = context_.module.labels.data() + function_->label_begin;
    shape_ = context_.shapes[function_->type];
    return check_frame() && mark_labels() && walk() && check_targeted();
  }

  std::optional<base::Error> error;
  bool uses_floats = false;

 private:
  // --- Errors ---------------------------------------------------------------------------------

  [[nodiscard]] std::string function_place() const {
    const u32 index = context_.imported_functions + index_;
    const std::string_view name = context_.module.name_of(mod::NameSpace::function, index);
    if (name.empty()) return fmt::format("function {}", index);
    return fmt::format("function {} ({})", base::printable(name), index);
  }

  bool fail_place(std::string place, std::string message) {
    error = base::Error{base::ErrorCode::invalid, std::move(place), std::move(message)};
    return false;
  }

  // At the instruction being checked.
  template <class... T>
  [[gnu::cold, gnu::noinline]] bool fail(fmt::format_string<T...> format, T... parts) {
    const u16 op = isa::raw_op(code_[pc_]);
    const std::string name = op < isa::op_count ? ", " + std::string(isa::op_table[op].name) : "";
    return fail_place(fmt::format("{}, word {}{}", function_place(), pc_, name),
                      fmt::vformat(format, fmt::make_format_args(parts...)));
  }

  template <class... T>
  [[gnu::cold, gnu::noinline]] bool fail_function(fmt::format_string<T...> format, T... parts) {
    return fail_place(function_place(), fmt::vformat(format, fmt::make_format_args(parts...)));
  }

  template <class... T>
  [[gnu::cold, gnu::noinline]] bool fail_label(u32 label, fmt::format_string<T...> format,
                                               T... parts) {
    return fail_place(
        fmt::format("{}, label {} at word {}", function_place(), label, labels_[label].pc),
        fmt::vformat(format, fmt::make_format_args(parts...)));
  }

  // --- The function as a whole ------------------------------------------------------------------

  bool check_frame() {
    if (function_->local_slots < shape_.params) {
      return fail_function("{} local slots are fewer than the {} slots of the parameters",
                           function_->local_slots, shape_.params);
    }
    if (function_->frame_slots < function_->local_slots) {
      return fail_function("a frame of {} slots is smaller than the {} local slots",
                           function_->frame_slots, function_->local_slots);
    }
    return true;
  }

  bool mark_labels() {
    for (u32 i = 0; i < function_->label_count; ++i) {
      const mod::Label& label = labels_[i];
      if (i > 0 && label.pc <= labels_[i - 1].pc) {
        return fail_label(i, "labels are not in order: the label before is at word {}",
                          labels_[i - 1].pc);
      }
      if (label.pc >= function_->code_size) {
        return fail_label(i, "the function has only {} words", function_->code_size);
      }
      if (label.defined < function_->local_slots || label.defined > function_->frame_slots) {
        return fail_label(i, "{} defined slots are outside of {}..{}, the locals and the frame",
                          label.defined, function_->local_slots, function_->frame_slots);
      }
      marks_[label.pc] = i + 1;
    }
    return true;
  }

  bool check_targeted() {
    for (u32 i = 0; i < function_->label_count; ++i) {
      u32& mark = marks_[labels_[i].pc];
      if ((mark & targeted) == 0) return fail_label(i, "no branch goes to this label");
      mark = 0;
    }
    return true;
  }

  bool walk() {
    const u32 size = function_->code_size;
    u32 label = 0;
    bool reached = true;  // the instruction before goes on here
    defined_.reset(function_->local_slots);
    for (pc_ = 0; pc_ < size;) {
      if (label < function_->label_count && labels_[label].pc <= pc_) {
        const mod::Label& here = labels_[label];
        if (here.pc < pc_) return fail_label(label, "a label inside of an instruction");
        if (reached && defined_.first_missing() < here.defined) {
          return fail("slot {} is not defined on the way into the label, which needs {} slots",
                      defined_.first_missing(), here.defined);
        }
        defined_.reset(here.defined);
        ++label;
      } else if (!reached) {
        return fail("code that cannot be reached: after an end of control only a label may follow");
      }
      const Word word = code_[pc_];
      if (isa::raw_op(word) >= isa::op_count) {
        return fail("unknown operation {}", isa::raw_op(word));
      }
      const OpRules& rules = rules_[isa::raw_op(word)];
      const u64 words = rules.words != 0 ? rules.words : isa::length(code_ + pc_);
      if (words > size - pc_) {
        return fail("the instruction takes {} words, the function has only {} more", words,
                    size - pc_);
      }
      if (!instruction(rules, static_cast<u32>(words))) return false;
      uses_floats |= rules.floats;
      reached = (rules.flags & isa::ends) == 0;
      pc_ += static_cast<u32>(words);
    }
    if (label < function_->label_count)
      return fail_label(label, "a label inside of an instruction");
    if (reached) return fail_function("control runs off the end of the code");
    return true;
  }

  // --- One instruction --------------------------------------------------------------------------

  bool instruction(const OpRules& rules, u32 words) {
    const Word* code = code_ + pc_;
    if ((code[0] & rules.zero[0]) != 0 || (rules.words == 2 && (code[1] & rules.zero[1]) != 0)) {
      return fail("bits that no operand uses are not zero");
    }
    for (u8 i = 0; i < rules.use_count; ++i) {
      const u32 slot = rules.uses[i].read(code);
      if (slot >= function_->frame_slots || !defined_.has(slot)) return bad_use(slot);
    }
    // What a call writes are arguments: before it takes the window.
    if ((rules.flags & isa::calls) != 0 && !defines(rules)) return false;
    if (rules.needs_memory && context_.memories == 0) return fail("the module has no memory 0");
    if (rules.other_count != 0 && !others(rules, words)) return false;
    if (rules.returned >= 0 && !returns(static_cast<u32>(rules.returned))) return false;
    return (rules.flags & isa::calls) != 0 || defines(rules);
  }

  bool defines(const OpRules& rules) {
    for (u8 i = 0; i < rules.def_count; ++i) {
      const u32 slot = rules.defs[i].read(code_ + pc_);
      if (slot >= function_->frame_slots) return outside(slot);
      defined_.add(slot);
    }
    return true;
  }

  bool outside(u32 slot) {
    return fail("slot {} is outside of the frame of {} slots", slot, function_->frame_slots);
  }
  bool bad_use(u32 slot) {
    if (slot >= function_->frame_slots) return outside(slot);
    return fail("slot {} is used, but not defined here", slot);
  }

  bool range(const char* what, u32 first, u32 count) {
    if (first + count > function_->frame_slots) {
      return fail("{} {}..{} are outside of the frame of {} slots", what, first,
                  i64{first} + count - 1, function_->frame_slots);
    }
    return true;
  }
  bool used_range(const char* what, u32 first, u32 count) {
    if (!range(what, first, count)) return false;
    const u32 missing = defined_.missing_in(first, first + count);
    if (missing < first + count) return fail("slot {} is used, but not defined here", missing);
    return true;
  }

  bool index(const char* what, u64 number, u64 count) {
    if (number >= count) return fail("{} {} does not exist: there are {}", what, number, count);
    return true;
  }

  // All operands but single slots.
  bool others(const OpRules& rules, u32 words) {
    const Word* code = code_ + pc_;
    const Op op = isa::op_of(code[0]);
    u32 window = 0;
    u32 callee = no_type;
    u32 count = 0;
    SlotRange use_range;
    SlotRange def_range;
    u32 tables[2] = {0, 0};
    u32 table_count = 0;
    for (u8 i = 0; i < rules.other_count; ++i) {
      const isa::Operand operand = rules.others[i];
      const u64 bits = isa::read_field(code, operand.field);
      switch (operand.kind) {
        case OperandKind::use_range:
          use_range = {static_cast<u32>(bits), true};
          break;
        case OperandKind::def_range:
          def_range = {static_cast<u32>(bits), true};
          break;
        case OperandKind::count:
          count = static_cast<u32>(bits);
          break;
        case OperandKind::imm16:
        case OperandKind::imm32:
        case OperandKind::imm64:
        case OperandKind::bits32:
        case OperandKind::bits64:
          break;
        case OperandKind::offset:
          if (bits > mod::limits::memory_offset) return fail("offset {} is not below 2^32", bits);
          break;
        case OperandKind::forward:
          if (!forward(bits, words)) return false;
          break;
        case OperandKind::backward:
          if (!backward(bits)) return false;
          break;
        case OperandKind::targets:
          if (!table_targets(bits, words)) return false;
          break;
        case OperandKind::window:
          window = static_cast<u32>(bits);
          break;
        case OperandKind::window_copy:
          if (bits != window) {
            return fail("the copy of the window is {}, but the window is {}", bits, window);
          }
          break;
        case OperandKind::func:
          if (!index("function", bits, context_.functions.size())) return false;
          if (bits < context_.imported_functions) {
            return fail("function {} is imported: it is called by the .import form", bits);
          }
          callee = context_.functions[bits];
          break;
        case OperandKind::func_import:
          if (!index("imported function", bits, context_.imported_functions)) return false;
          callee = context_.functions[bits];
          break;
        case OperandKind::func_any:
          if (!index("function", bits, context_.functions.size())) return false;
          break;
        case OperandKind::type:
          if (!index("type", bits, context_.shapes.size())) return false;
          callee = static_cast<u32>(bits);
          break;
        case OperandKind::global:
          if (!global(op, bits)) return false;
          break;
        case OperandKind::table:
          if (!index("table", bits, context_.tables.size())) return false;
          tables[table_count++] = static_cast<u32>(bits);
          break;
        case OperandKind::memory:
          if (!index("memory", bits, context_.memories)) return false;
          break;
        case OperandKind::elem:
          if (!index("element segment", bits, context_.module.elems.size())) return false;
          if (table_count == 1 && context_.module.elems[bits].type != context_.tables[tables[0]]) {
            return fail("element segment {} and table {} have different types", bits, tables[0]);
          }
          break;
        case OperandKind::data:
          if (!index("data segment", bits, context_.module.datas.size())) return false;
          break;
        case OperandKind::use:
        case OperandKind::def:
        case OperandKind::use_def:
          break;  // instruction() has them
      }
    }
    if (table_count == 2 && context_.tables[tables[0]] != context_.tables[tables[1]]) {
      return fail("tables {} and {} have different types", tables[0], tables[1]);
    }
    if ((rules.flags & isa::calls) != 0) {
      if (table_count == 1 && context_.tables[tables[0]] != mod::ValType::funcref) {
        return fail("table {} does not hold functions", tables[0]);
      }
      return (rules.flags & isa::ends) != 0 ? tail_call(window, callee) : call(window, callee);
    }
    if (use_range.present) return ranges(op, use_range, def_range, count);
    return true;
  }

  struct SlotRange {
    u32 first = 0;
    bool present = false;
  };

  // mov.n and ret.n.
  bool ranges(Op op, SlotRange use, SlotRange def, u32 count) {
    if (def.present) {
      if (count == 0) return fail("the count must be at least 1");
      if (!range("slots", def.first, count) || !used_range("slots", use.first, count)) return false;
      defined_.add_range(def.first, def.first + count);
      return true;
    }
    if (op == Op::ret_n && count < 2) {
      return fail("a count of {}: ret and ret.1 return fewer than 2 slots", count);
    }
    return returns(count) && used_range("slots", use.first, count);
  }

  bool returns(u32 count) {
    if (count != shape_.results) {
      return fail("returns {} slots, but the function's type has {}", count, shape_.results);
    }
    return true;
  }

  bool global(Op op, u64 number) {
    if (!index("global", number, context_.globals.size())) return false;
    const bool by_import = op == Op::global_get_import || op == Op::global_set_import;
    if (by_import != (number < context_.imported_globals)) {
      return fail("global {} is {}imported: the {} form is for it", number, by_import ? "not " : "",
                  by_import ? "plain" : ".import");
    }
    const bool sets = op == Op::global_set || op == Op::global_set_import;
    if (sets && !context_.globals[number].is_mutable) {
      return fail("global {} cannot be changed", number);
    }
    return true;
  }

  // --- Branches ---------------------------------------------------------------------------------

  bool forward(u64 distance, u32 words) {
    if (distance < words) {
      return fail("a distance of {} words forward leads into the branch of {} words", distance,
                  words);
    }
    if (distance >= function_->code_size - pc_) {
      return fail("a distance of {} words leads out of the function, which has {} more", distance,
                  function_->code_size - pc_);
    }
    return branch(pc_ + static_cast<u32>(distance));
  }

  bool backward(u64 distance) {
    if (distance > pc_) {
      return fail("a distance of {} words back leads before the function's start", distance);
    }
    return branch(pc_ - static_cast<u32>(distance));
  }

  bool table_targets(u64 count, u32 words) {
    const Word* code = code_ + pc_;
    if (count == 0) return fail("a table without targets");
    if (count % 2 != 0 && code[words - 1] >> 32 != 0) {
      return fail("the unused half of the last word is not zero");
    }
    for (u64 i = 0; i < count; ++i) {
      if (!forward(isa::table_target(code, i), words)) return false;
    }
    return true;
  }

  bool branch(u32 target) {
    u32& mark = marks_[target];
    if (mark == 0) return fail("the target at word {} is not a label", target);
    mark |= targeted;
    const u16 needed = labels_[(mark & ~targeted) - 1].defined;
    if (defined_.first_missing() < needed) {
      return fail("slot {} is not defined at the branch; the label at word {} needs {} slots",
                  defined_.first_missing(), target, needed);
    }
    return true;
  }

  // --- Calls ------------------------------------------------------------------------------------

  bool call(u32 window, u32 type) {
    const Shape shape = context_.shapes[type];
    if (window <= function_->local_slots) {
      return fail("the window at slot {} leaves no slot for the header above the {} locals", window,
                  function_->local_slots);
    }
    const u32 size = std::max(shape.params, shape.results);
    if (window + size > function_->frame_slots) {
      return fail("the window at slot {} with {} slots is outside of the frame of {} slots", window,
                  size, function_->frame_slots);
    }
    if (!used_range("arguments", window, shape.params)) return false;
    defined_.remove_from(window - 1);
    defined_.add_range(window, window + shape.results);
    return true;
  }

  bool tail_call(u32 window, u32 type) {
    if (context_.shapes[type].result_class != shape_.result_class) {
      return fail("the results of type {} are not those of the function's type {}", type,
                  function_->type);
    }
    return used_range("arguments", window, context_.shapes[type].params);
  }

  const Context& context_;
  const std::array<OpRules, isa::op_count>& rules_;
  u32 index_ = 0;
  const mod::Function* function_ = nullptr;
  const Word* code_ = nullptr;          // of the function
  const mod::Label* labels_ = nullptr;  // of the function
  Shape shape_;                         // of the function
  u32 pc_ = 0;
  SlotSet defined_;
  std::vector<u32> marks_;
};

}  // namespace

base::Result<bool> check_code(const Context& context) {
  CodeChecker checker(context);
  for (u32 i = 0; i < context.module.functions.size(); ++i) {
    if (!checker.check(i)) return *std::move(checker.error);
  }
  return checker.uses_floats;
}

}  // namespace atollvm::verify
