#include "assembler/text/function.hpp"

#include <algorithm>

namespace atollvm::text {

namespace {

using isa::OperandKind;

// Which 16-bit fields of an operation's words hold slots: bits 0..2 a, b, c, bits 3..6 e0..e3.
std::array<u8, isa::op_count> make_slot_fields() {
  std::array<u8, isa::op_count> result{};
  for (u32 i = 0; i < isa::op_count; ++i) {
    for (const isa::Operand& operand : isa::format_of(static_cast<Op>(i)).list()) {
      switch (operand.kind) {
        case OperandKind::use:
        case OperandKind::def:
        case OperandKind::use_def:
        case OperandKind::use_range:
        case OperandKind::def_range:
        case OperandKind::window:
        case OperandKind::window_copy:
          switch (operand.field) {
            case isa::Field::a:
            case isa::Field::b:
            case isa::Field::c:
              result[i] |= static_cast<u8>(1u << static_cast<u8>(operand.field));
              break;
            case isa::Field::e0:
              result[i] |= 8;
              break;
            case isa::Field::e1:
              result[i] |= 16;
              break;
            case isa::Field::e2:
              result[i] |= 32;
              break;
            case isa::Field::e3:
              result[i] |= 64;
              break;
            default:
              break;
          }
          break;
        default:
          break;
      }
    }
  }
  return result;
}

constexpr u32 max_locals = temp_base;
constexpr u32 max_frame = 65535;

}  // namespace

FunctionCompiler::FunctionCompiler(Unit& unit) : Parser(unit, {0, 0}) {}

void FunctionCompiler::compile(u32 item) {
  const FuncItem& function = unit_.functions[item];
  if (function.broken) return;
  if (function.raw) {
    compile_raw(unit_, item);
    return;
  }
  const usize errors = unit_.reporter.count();
  long_branches_ = false;
  for (;;) {
    begin(item);
    try {
      parameters();
      go(unit_.functions[item].body);
      if (is(Kind::lbrace)) {
        block();
        finish();
      }
    } catch (Stop&) {
      leave_scope(0);
      failed_ = true;
    }
    leave_labels(0);
    leave_scope(0);
    if (unit_.reporter.count() != errors || failed_ || link_branches()) break;
    undo();
    long_branches_ = true;
  }
}

void FunctionCompiler::begin(u32 item) {
  item_ = item;
  code_begin_ = static_cast<u32>(unit_.module.code.size());
  lines_mark_ = unit_.module.lines.size();
  names_mark_ = unit_.local_names.size();
  relocs_mark_ = unit_.relocs.size();
  refs_mark_ = unit_.own_refs.size();
  type_ = &unit_.module.types[unit_.functions[item].type];
  registers_.clear();
  free_hidden_.clear();
  labels_.clear();
  bound_.clear();
  fixups_.clear();
  loops_.clear();
  hidden_in_use_.clear();
  unit_.macro_values.clear();
  addresses_.clear();
  locals_ = temps_ = max_temps_ = 0;
  last_ = no_label;
  unit_.frame = last_frame_ = macro_depth_ = 0;
  reachable_ = straight_ = true;
  failed_ = skipped_ = dead_code_ = full_ = false;
  line_.reset();
  label_of_.resize(unit_.names.size());
  line_cursor_.resize(unit_.files.size());
  mod::Function made;
  made.type = unit_.functions[item].type;
  made.code_begin = code_begin_;
  made.label_begin = static_cast<u32>(unit_.module.labels.size());
  unit_.module.functions.push_back(made);
}

// Forgets what was made, to compile the function again.
void FunctionCompiler::undo() {
  unit_.module.labels.resize(unit_.module.functions.back().label_begin);
  unit_.module.functions.pop_back();
  unit_.module.code.resize(code_begin_);
  unit_.module.lines.resize(lines_mark_);
  unit_.local_names.resize(names_mark_);
  unit_.relocs.resize(relocs_mark_);
  unit_.own_refs.resize(refs_mark_);
}

void FunctionCompiler::parameters() {
  go(unit_.functions[item_].params);
  expect(Kind::lparen, "`(`");
  if (is(Kind::rparen)) return;
  do {
    const Token& name = *at_;
    new_name("a parameter's name");
    expect(Kind::colon, "`:`");
    add_register(name, value_type());
  } while (accept(Kind::comma));
}

void FunctionCompiler::finish() {
  if (reachable_ && !dead_code_ && !skipped_) {
    if (!type_->results.empty()) {
      report(*at_, "the end of the function can be reached without `ret`",
             "the function has " + std::to_string(type_->results.size()) +
                 (type_->results.size() == 1 ? " result" : " results"));
    } else {
      add_line(*at_);
      emit(Op::ret);
    }
  }
  for (const Label& label : labels_) {
    if (label.pc != no_label && label.dead_start && label.uses == 0 && !failed_) {
      unit_.reporter.error({label.file, label.token->begin, label.token->length},
                           "the code from here on cannot be reached",
                           "nothing goes to the label " + quoted(text(label.name)));
    }
  }
  const u32 frame = locals_ + max_temps_;
  if (frame > max_frame || locals_ > max_locals || max_temps_ > max_locals) {
    fail(unit_.token_of(unit_.functions[item_].name),
         "the function needs " + std::to_string(frame) + " registers; the limit is 65535",
         "at most 32768 of them named ones, and as many temporary ones");
  }
  if (locals_ != temp_base && max_temps_ != 0) move_temporaries();
  mod::Function& function = unit_.module.functions.back();
  function.local_slots = static_cast<u16>(locals_);
  function.frame_slots = static_cast<u16>(frame);
  function.code_size = pc();
}

void FunctionCompiler::move_temporaries() {
  static const std::array<u8, isa::op_count> slot_fields = make_slot_fields();
  const u16 down = static_cast<u16>(temp_base - locals_);
  Word* word = unit_.module.code.data() + code_begin_;
  const Word* end = unit_.module.code.data() + unit_.module.code.size();
  const auto fix = [down](Word& target, u32 shift) {
    const u16 slot = static_cast<u16>(target >> shift);
    if (slot >= temp_base) target -= static_cast<Word>(down) << shift;
  };
  while (word < end) {
    const u8 fields = slot_fields[isa::raw_op(*word)];
    const u64 length = isa::length(word);
    if (fields & 1) fix(word[0], 16);
    if (fields & 2) fix(word[0], 32);
    if (fields & 4) fix(word[0], 48);
    if (fields & 8) fix(word[1], 0);
    if (fields & 16) fix(word[1], 16);
    if (fields & 32) fix(word[1], 32);
    if (fields & 64) fix(word[1], 48);
    word += length;
  }
}

// Fills in forward distances and records the labels; false when a distance does not fit.
bool FunctionCompiler::link_branches() {
  Word* code = unit_.module.code.data() + code_begin_;
  for (const Fixup& fixup : fixups_) {
    const u32 distance = labels_[fixup.label].pc - fixup.pc;
    if (fixup.entry == no_label) {
      if (distance > 0xffff) return false;
      code[fixup.pc] |= static_cast<Word>(distance) << 48;
    } else if (fixup.entry == no_label - 1) {
      code[fixup.pc] |= static_cast<Word>(distance) << 32;
    } else {
      code[fixup.pc + 1 + fixup.entry / 2] |= static_cast<Word>(distance) << (fixup.entry % 2 * 32);
    }
  }
  mod::Function& function = unit_.module.functions.back();
  for (const u32 number : bound_) {
    const Label& label = labels_[number];
    if (label.uses == 0) continue;
    auto& list = unit_.module.labels;
    if (list.size() > function.label_begin && list.back().pc == label.pc) continue;
    list.push_back({label.pc, function.local_slots});
  }
  function.label_count = static_cast<u32>(unit_.module.labels.size()) - function.label_begin;
  return true;
}

void FunctionCompiler::add_line(const Token& token) {
  if (!unit_.options.line_table) return;
  if (line_) return push_line(line_->file, line_->line, line_->column);
  const bool in_macro = macro_depth_ != 0;
  const u32 file = in_macro ? macro_use_file_ : file_number_;
  const u32 begin = in_macro ? macro_use_->begin : token.begin;
  const auto& lines = unit_.files[file]->line_begins;
  u32& cursor = line_cursor_[file];
  // Mostly the next line; else a search.
  if (cursor >= lines.size() || lines[cursor] > begin) cursor = 0;
  for (u32 tries = 0; cursor + 1 < lines.size() && lines[cursor + 1] <= begin; ++tries) {
    if (tries < 8) {
      ++cursor;
    } else {
      cursor =
          static_cast<u32>(std::upper_bound(lines.begin(), lines.end(), begin) - lines.begin()) - 1;
    }
  }
  const std::string_view before =
      std::string_view(unit_.files[file]->text).substr(lines[cursor], begin - lines[cursor]);
  push_line(file, cursor + 1, characters(before) + 1);
}

void FunctionCompiler::push_line(u32 file, u32 line, u32 column) {
  const mod::Line made{static_cast<u32>(unit_.module.code.size()), file, line, column};
  auto& list = unit_.module.lines;
  if (!list.empty() && list.back().pc == made.pc) {
    list.back() = made;
  } else {
    list.push_back(made);
  }
}

}  // namespace atollvm::text
