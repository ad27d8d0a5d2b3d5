// Raw functions among other items: the names in their operands are looked up here.
#include <algorithm>

#include "assembler/text/function.hpp"
#include "assembler/text/raw.hpp"

namespace atollvm::text {

namespace {

using isa::OperandKind;

class RawItem : public Parser {
 public:
  RawItem(Unit& unit, u32 item) : Parser(unit, unit.functions[item].name), item_(item) {}

  void compile() {
    u32 at = unit_.functions[item_].raw_begin;
    const RawFunction raw = parse_raw_function(*file_, file_number_, at, unit_.reporter);
    const u32 begin = static_cast<u32>(unit_.module.code.size());
    mod::Function made;
    made.type = unit_.functions[item_].type;
    made.code_begin = begin;
    made.code_size = static_cast<u32>(raw.code.size());
    made.label_begin = static_cast<u32>(unit_.module.labels.size());
    made.label_count = static_cast<u32>(raw.labels.size());
    made.local_slots = raw.local_slots;
    made.frame_slots = raw.frame_slots;
    unit_.module.functions.push_back(made);
    unit_.module.code.insert(unit_.module.code.end(), raw.code.begin(), raw.code.end());
    unit_.module.labels.insert(unit_.module.labels.end(), raw.labels.begin(), raw.labels.end());
    for (const RawReference& reference : raw.references) {
      try {
        resolve(reference, begin + reference.word);
      } catch (Stop&) {
      }
    }
    for (const mod::Name& local : raw.locals) {
      if (!unit_.options.local_names) break;
      unit_.local_names.push_back({static_cast<u32>(unit_.module.functions.size() - 1), local.slot,
                                   unit_.made_name(local.text)});
    }
    for (const RawLine& line : raw.lines) add_line(line, begin);
  }

 private:
  void add_line(const RawLine& line, u32 begin) {
    const Token& token = file_->tokens[line.file];
    if (token.kind != Kind::string) {
      report(token, "a file has a number in raw programs only", "write its name");
      return;
    }
    if (!unit_.options.line_table) return;
    unit_.module.lines.push_back(
        {begin + line.pc, unit_.line_file(item_name(*file_, line.file)), line.line, line.column});
  }

  void resolve(const RawReference& reference, u32 word) {
    go({file_number_, reference.token});
    u64 index = 0;
    bool moves = false;
    switch (reference.operand.kind) {
      case OperandKind::func:
      case OperandKind::func_import:
      case OperandKind::func_any: {
        const u32 number = use_function(unit_, item(Bind::function, "function"));
        moves = (number & own_function_bit) != 0;
        const bool wants_import = reference.operand.kind == OperandKind::func_import;
        if (reference.operand.kind != OperandKind::func_any && moves == wants_import) {
          fail(at_[-1], text_of(at_[-1]) + (moves ? " is not imported" : " is imported"));
        }
        index = number & ~own_function_bit;
        break;
      }
      case OperandKind::type:
        index = unit_.type_indexes[item(Bind::type, "function type")];
        break;
      case OperandKind::global:
        index = unit_.globals[item(Bind::global, "global")].index;
        break;
      case OperandKind::table:
        index = unit_.tables[item(Bind::table, "table")].index;
        break;
      case OperandKind::memory:
        // Memory 0 may have no name.
        if (is(Kind::integer) && at_->value == 0) break;
        index = unit_.memories[item(Bind::memory, "memory")].index;
        break;
      case OperandKind::elem:
        index = unit_.elems[item(Bind::elem, "passive element list")].segment;
        break;
      default:
        index = unit_.datas[item(Bind::passive_data, "passive data item")].segment;
        break;
    }
    if (moves) unit_.own_refs.push_back(word);
    isa::write_field(&unit_.module.code[word], reference.operand.field, index);
  }

  u32 item_;
};

}  // namespace

void compile_raw(Unit& unit, u32 item) { RawItem(unit, item).compile(); }

}  // namespace atollvm::text
