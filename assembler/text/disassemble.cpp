#include "assembler/text/disassemble.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <tuple>
#include <unordered_map>

#include "assembler/text/floats.hpp"
#include "assembler/text/quote.hpp"

namespace atollvm::text {

namespace {

using isa::OperandKind;
using isa::Word;
using mod::ConstOp;
using mod::ExternKind;
using mod::NameSpace;

constexpr u32 comment_column = 44;
constexpr u32 items_in_a_line = 4;
constexpr usize data_in_a_line = 64;  // bytes

NameSpace space_of(ExternKind kind) {
  switch (kind) {
    case ExternKind::function:
      return NameSpace::function;
    case ExternKind::table:
      return NameSpace::table;
    case ExternKind::memory:
      return NameSpace::memory;
    case ExternKind::global:
      return NameSpace::global;
  }
  return NameSpace::function;
}

std::string_view word_of(NameSpace space) {
  switch (space) {
    case NameSpace::function:
      return "func";
    case NameSpace::global:
      return "global";
    case NameSpace::table:
      return "table";
    case NameSpace::memory:
      return "memory";
    case NameSpace::type:
      return "type";
    case NameSpace::data:
      return "data";
    case NameSpace::elem:
      return "elem";
    case NameSpace::local:
      return "local";
  }
  return "func";
}

// How often each name of an index space occurs in it.
using NameCounts = std::unordered_map<std::string_view, u32>;

class Printer {
 public:
  Printer(const mod::Module& module, const DisassembleOptions& options)
      : m_(module), options_(options) {
    for (const mod::Name& name : m_.names) {
      if (name.space != NameSpace::local) ++names_[static_cast<u8>(name.space)][name.text];
    }
    for (const std::string& file : m_.files) ++files_[file];
    for (u32 i = 0; i < m_.imports.size(); ++i) ++imported_[static_cast<u8>(m_.imports[i].kind)];
  }

  std::string print() {
    if (options_.function) {
      types();  // the function names its own
      out_.clear();
      function(*options_.function);
      return std::move(out_);
    }
    line("raw module {}", quote(m_.name));
    types();
    imports();
    tables();
    memories();
    globals();
    exports();
    elems();
    datas();
    for (const mod::CustomSection& custom : m_.customs) {
      put("raw custom {} = ", quote(custom.name));
      bytes(custom.bytes);
    }
    files();
    for (u32 i = 0; i < m_.functions.size(); ++i) function(i);
    leftovers();
    return std::move(out_);
  }

 private:
  template <class... T>
  void put(fmt::format_string<T...> format, const T&... parts) {
    fmt::vformat_to(std::back_inserter(out_), format, fmt::make_format_args(parts...));
  }
  template <class... T>
  void line(fmt::format_string<T...> format, const T&... parts) {
    put(format, parts...);
    out_ += '\n';
  }

  // --- Names ------------------------------------------------------------------------------------

  [[nodiscard]] u32 imported(ExternKind kind) const { return imported_[static_cast<u8>(kind)]; }

  // "INDEX NAME", as an item is introduced.
  [[nodiscard]] std::string head(NameSpace space, u32 index) const {
    const std::string_view name = m_.name_of(space, index);
    return name.empty() ? fmt::format("{}", index) : fmt::format("{} {}", index, name_text(name));
  }
  static std::string name_text(std::string_view name) {
    return is_plain_name(name) ? std::string(name) : quote(name);
  }
  // An item as an operand.
  [[nodiscard]] std::string ref(NameSpace space, u64 index) const {
    const std::string_view name =
        index <= ~u32{0} ? m_.name_of(space, static_cast<u32>(index)) : std::string_view();
    if (name.empty() || names_[static_cast<u8>(space)].at(name) != 1) {
      return fmt::format("{}", index);
    }
    return name_text(name);
  }

  // --- Types ------------------------------------------------------------------------------------

  static std::string list(const std::vector<mod::ValType>& types) {
    std::string text;
    for (mod::ValType type : types) {
      if (!text.empty()) text += ", ";
      text += mod::name_of(type);
    }
    return text;
  }
  static std::string signature(const mod::FuncType& type) {
    std::string text = "(" + list(type.params) + ")";
    if (!type.results.empty()) text += " -> " + list(type.results);
    return text;
  }
  // The signature that a function's type index stands for, with the index where it is not the
  // first type of that signature.
  std::string signature_of(u32 type) {
    if (type >= m_.types.size()) return fmt::format("() type {}", type);
    std::string text = signature(m_.types[type]);
    if (first_type_.at(text) != type) text += " type " + ref(NameSpace::type, type);
    return text;
  }

  void types() {
    for (u32 i = 0; i < m_.types.size(); ++i) {
      std::string text = signature(m_.types[i]);
      line("raw type {} = func{}", head(NameSpace::type, i), text);
      first_type_.emplace(std::move(text), i);
    }
  }

  static std::string range(const mod::Range& range) {
    return range.max ? fmt::format("{} .. {}", range.min, *range.max)
                     : fmt::format("{}", range.min);
  }
  static std::string table_type(const mod::TableType& type) {
    return fmt::format("{} {}", mod::name_of(type.element), range(type.size));
  }
  static std::string memory_type(const mod::MemoryType& type) {
    return range(type.size) + (type.page_shift == 16 ? " pages" : "");
  }
  static std::string global_type(const mod::GlobalType& type) {
    return fmt::format("{}{}", type.is_mutable ? "mut " : "", mod::name_of(type.type));
  }

  // --- Items ------------------------------------------------------------------------------------

  void imports() {
    std::array<u32, 4> next{};
    for (const mod::Import& import : m_.imports) {
      const NameSpace space = space_of(import.kind);
      const std::string item = head(space, next[static_cast<u8>(import.kind)]++);
      put("raw import {} {}", word_of(space), item);
      switch (import.kind) {
        case ExternKind::function:
          put("{}", signature_of(import.func_type));
          break;
        case ExternKind::table:
          put(": {}", table_type(import.table));
          break;
        case ExternKind::memory:
          put(": {}", memory_type(import.memory));
          break;
        case ExternKind::global:
          put(": {}", global_type(import.global));
          break;
      }
      line(" from {} {}", quote(import.module), quote(import.name));
    }
  }

  void tables() {
    u32 index = imported(ExternKind::table);
    for (const mod::Table& table : m_.tables) {
      put("raw table {}: {}", head(NameSpace::table, index++), table_type(table.type));
      if (!table.init.empty()) put(" = {}", expression(table.init));
      out_ += '\n';
    }
  }

  void memories() {
    u32 index = imported(ExternKind::memory);
    for (const mod::MemoryType& memory : m_.memories) {
      line("raw memory {}: {}", head(NameSpace::memory, index++), memory_type(memory));
    }
  }

  void globals() {
    u32 index = imported(ExternKind::global);
    for (const mod::Global& global : m_.globals) {
      line("raw global {}: {} = {}", head(NameSpace::global, index++), global_type(global.type),
           expression(global.init));
    }
  }

  void exports() {
    for (const mod::Export& item : m_.exports) {
      const NameSpace space = space_of(item.kind);
      line("raw export {} {} {}", word_of(space), ref(space, item.index), quote(item.name));
    }
    if (m_.start) line("raw start {}", ref(NameSpace::function, *m_.start));
  }

  [[nodiscard]] std::string expression(const mod::ConstExpr& expr) const {
    std::string text = "(";
    for (const ConstOp& op : expr) {
      if (text.size() > 1) text += ", ";
      text += const_op(op);
    }
    return text + ")";
  }
  [[nodiscard]] std::string const_op(const ConstOp& op) const {
    switch (op.kind) {
      case ConstOp::Kind::i32_const:
        return fmt::format("i32.const {}", static_cast<i32>(op.value));
      case ConstOp::Kind::i64_const:
        return fmt::format("i64.const {}", static_cast<i64>(op.value));
      case ConstOp::Kind::f32_const:
        return "f32.const " + f32_text(static_cast<u32>(op.value));
      case ConstOp::Kind::f64_const:
        return "f64.const " + f64_text(op.value);
      case ConstOp::Kind::global_get:
        return "global.get " + ref(NameSpace::global, op.value);
      case ConstOp::Kind::ref_null:
        return "ref.null";
      case ConstOp::Kind::ref_func:
        return "ref.func " + ref(NameSpace::function, op.value);
      case ConstOp::Kind::i32_add:
        return "i32.add";
      case ConstOp::Kind::i32_sub:
        return "i32.sub";
      case ConstOp::Kind::i32_mul:
        return "i32.mul";
      case ConstOp::Kind::i64_add:
        return "i64.add";
      case ConstOp::Kind::i64_sub:
        return "i64.sub";
      case ConstOp::Kind::i64_mul:
        return "i64.mul";
    }
    return "unknown";
  }

  void elems() {
    for (u32 i = 0; i < m_.elems.size(); ++i) {
      const mod::ElemSegment& segment = m_.elems[i];
      put("raw elem {}: {} ", head(NameSpace::elem, i), mod::name_of(segment.type));
      if (segment.mode == mod::SegmentMode::active) {
        put("at table {} {}", ref(NameSpace::table, segment.table), expression(segment.offset));
      } else {
        put("{}", segment.mode == mod::SegmentMode::declared ? "declared" : "passive");
      }
      put(" = [");
      for (usize k = 0; k < segment.items.size(); ++k) {
        if (k != 0) out_ += k % items_in_a_line == 0 ? ",\n    " : ", ";
        put("{}", expression(segment.items[k]));
      }
      line("]");
    }
  }

  void datas() {
    for (u32 i = 0; i < m_.datas.size(); ++i) {
      const mod::DataSegment& segment = m_.datas[i];
      put("raw data {}: ", head(NameSpace::data, i));
      if (segment.mode == mod::SegmentMode::active) {
        put("at memory {} {} = ", ref(NameSpace::memory, segment.memory),
            expression(segment.offset));
      } else {
        put("passive = ");
      }
      bytes(segment.bytes);
    }
  }

  // Strings, one a line, broken behind line ends and between characters.
  void bytes(std::string_view data) {
    const bool single = data.size() <= data_in_a_line &&
                        data.substr(0, data.size() - 1).find('\n') == std::string_view::npos;
    if (data.empty() || single) return line("{}", quote(data));
    while (!data.empty()) {
      usize length = std::min(data.size(), data_in_a_line);
      const usize line_end = data.substr(0, length).find('\n');
      if (line_end != std::string_view::npos) {
        length = line_end + 1;
      } else {
        const auto continues = [&] {
          return length < data.size() && (static_cast<u8>(data[length]) & 0xc0) == 0x80;
        };
        for (u32 i = 0; i < 3 && continues() && length > 1; ++i) --length;
      }
      put("\n    {}{}", quote(data.substr(0, length)), length < data.size() ? "," : "");
      data.remove_prefix(length);
    }
    out_ += '\n';
  }

  // Only where the `line`s of the functions would not make the same list.
  void files() {
    std::vector<std::string_view> used;
    std::unordered_map<std::string_view, bool> seen;
    for (const mod::Line& entry : m_.lines) {
      if (entry.file >= m_.files.size()) continue;
      if (seen.emplace(m_.files[entry.file], true).second) used.push_back(m_.files[entry.file]);
    }
    if (std::equal(used.begin(), used.end(), m_.files.begin(), m_.files.end())) return;
    for (const std::string& file : m_.files) line("raw file {}", quote(file));
  }

  [[nodiscard]] std::string file_ref(u32 file) const {
    if (file >= m_.files.size() || files_.at(m_.files[file]) != 1) return fmt::format("{}", file);
    return quote(m_.files[file]);
  }

  // --- Code -------------------------------------------------------------------------------------

  struct Body {
    const Word* code = nullptr;
    u32 begin = 0;  // in Module::code
    u32 size = 0;
    std::vector<bool> starts;    // at each word, whether an instruction begins there
    std::vector<u32> label_pcs;  // sorted: those that can stand as labels
  };

  void function(u32 i) {
    const mod::Function& function = m_.functions[i];
    const u32 index = imported(ExternKind::function) + i;
    Body body;
    body.begin = std::min<u32>(function.code_begin, static_cast<u32>(m_.code.size()));
    body.size = std::min<u32>(function.code_size, static_cast<u32>(m_.code.size()) - body.begin);
    body.code = m_.code.data() + body.begin;
    find_instructions(body);
    line("\nraw func {}{} locals {} frame {} {{", head(NameSpace::function, index),
         signature_of(function.type), function.local_slots, function.frame_slots);
    locals(index);
    const u32 label_begin = std::min<u32>(function.label_begin, static_cast<u32>(m_.labels.size()));
    const u32 label_end =
        label_begin +
        std::min<u32>(function.label_count, static_cast<u32>(m_.labels.size()) - label_begin);
    std::vector<mod::Label> labels;
    for (u32 k = label_begin; k < label_end; ++k) {
      const mod::Label& label = m_.labels[k];
      if (label.pc < body.size && body.starts[label.pc]) {
        labels.push_back(label);
        body.label_pcs.push_back(label.pc);
      } else {
        line("    label {} {}", label.pc, label.defined);
      }
    }
    last_file_ = ~u32{0};
    hidden_lines(body);
    instructions(body, labels);
    line("}}");
  }

  static void find_instructions(Body& body) {
    body.starts.assign(body.size, false);
    for (u64 pc = 0; pc < body.size;) {
      body.starts[pc] = true;
      u64 length = 1;
      if (isa::raw_op(body.code[pc]) < isa::op_count) {
        length = isa::length(body.code + pc);
        if (length > body.size - pc) length = 1;
      }
      pc += length;
    }
  }

  void locals(u32 index) {
    const auto key = std::tuple(NameSpace::local, index, u32{0});
    auto at = std::lower_bound(m_.names.begin(), m_.names.end(), key,
                               [](const mod::Name& name, const auto& wanted) {
                                 return std::tuple(name.space, name.index, name.slot) < wanted;
                               });
    for (; at != m_.names.end() && at->space == NameSpace::local && at->index == index; ++at) {
      if (at->slot <= 0xffff) line("    name ${} {}", at->slot, name_text(at->text));
    }
  }

  [[nodiscard]] auto line_from(u32 pc) const {
    return std::lower_bound(m_.lines.begin(), m_.lines.end(), pc,
                            [](const mod::Line& entry, u32 word) { return entry.pc < word; });
  }
  void line_entry(const mod::Line& entry) {
    put("    line ");
    if (entry.file != last_file_) put("{} ", file_ref(entry.file));
    last_file_ = entry.file;
    put("{} {}", entry.line, entry.column);
  }

  // Entries of the line table within instructions.
  void hidden_lines(const Body& body) {
    for (auto at = line_from(body.begin); at != m_.lines.end() && at->pc - body.begin < body.size;
         ++at) {
      const u32 pc = at->pc - body.begin;
      if (body.starts[pc]) continue;
      line_entry(*at);
      line(" at {}", pc);
    }
  }

  void instructions(const Body& body, const std::vector<mod::Label>& labels) {
    auto label = labels.begin();
    auto entry = line_from(body.begin);
    for (u32 pc = 0; pc < body.size; ++pc) {
      if (!body.starts[pc]) continue;
      while (entry != m_.lines.end() && entry->pc < body.begin + pc) ++entry;
      if (entry != m_.lines.end() && entry->pc == body.begin + pc) {
        line_entry(*entry);
        out_ += '\n';
      }
      if (label != labels.end() && label->pc == pc) {
        line("{}({}):", label_name(body, pc), label->defined);
        ++label;
      }
      u32 end = pc + 1;
      while (end < body.size && !body.starts[end]) ++end;
      const usize begin = out_.size();
      out_ += "    ";
      if (!instruction(body, pc, end)) {
        // Nothing in the text of an instruction would give these words.
        out_.resize(begin);
        for (u32 at = pc; at < end; ++at) line("    word 0x{:x}", body.code[at]);
        continue;
      }
      if (options_.annotate) annotation(body.begin + pc, out_.size() - begin);
      out_ += '\n';
      if (options_.behind) out_ += options_.behind(body.begin + pc);
    }
  }

  void annotation(u32 pc, usize width) {
    out_.append(width < comment_column ? comment_column - width : 1, ' ');
    put("// {}", pc);
    const mod::Line* entry = m_.line_at(pc);
    if (entry == nullptr || entry->file >= m_.files.size()) return;
    // Between quotes nothing ends the comment.
    const std::string file = quote(m_.files[entry->file]);
    put("  {}:{}:{}", std::string_view(file).substr(1, file.size() - 2), entry->line,
        entry->column);
  }

  static std::string label_name(const Body& body, u64 pc) {
    const auto at = std::lower_bound(body.label_pcs.begin(), body.label_pcs.end(), pc);
    return fmt::format("L{}", at - body.label_pcs.begin());
  }
  static bool has_label(const Body& body, u64 pc) {
    return std::binary_search(body.label_pcs.begin(), body.label_pcs.end(), pc);
  }

  // Prints the instruction of words pc .. end - 1; false if there is none with just these bits.
  bool instruction(const Body& body, u32 pc, u32 end) {
    const Word* code = body.code + pc;
    if (isa::raw_op(*code) >= isa::op_count) return false;
    const isa::Op op = isa::op_of(*code);
    const isa::FormatInfo& format = isa::format_of(op);
    if (isa::length(code) != end - pc) return false;
    out_ += isa::info(op).name;
    std::array<Word, 2> printed = {static_cast<Word>(op), 0};
    bool first = true;
    for (const isa::Operand& operand : format.list()) {
      const u64 bits = isa::read_field(code, operand.field);
      isa::write_field(printed.data(), operand.field, bits);
      if (operand.kind == OperandKind::window_copy) {
        if (bits != isa::field_a(*code)) return false;
        continue;
      }
      out_ += first ? " " : ", ";
      first = false;
      if (!print_operand(body, pc, operand, bits)) return false;
    }
    return printed[0] == code[0] && (format.words != 2 || printed[1] == code[1]);
  }

  bool print_operand(const Body& body, u32 pc, const isa::Operand& operand, u64 bits) {
    switch (operand.kind) {
      case OperandKind::use:
      case OperandKind::def:
      case OperandKind::use_def:
      case OperandKind::use_range:
      case OperandKind::def_range:
      case OperandKind::window:
      case OperandKind::window_copy:
        put("${}", bits);
        return true;
      case OperandKind::count:
      case OperandKind::offset:
        put("{}", bits);
        return true;
      case OperandKind::imm16:
        put("{}", static_cast<i16>(bits));
        return true;
      case OperandKind::imm32:
        put("{}", static_cast<i32>(bits));
        return true;
      case OperandKind::imm64:
        put("{}", static_cast<i64>(bits));
        return true;
      case OperandKind::bits32:
        out_ += f32_text(static_cast<u32>(bits));
        return true;
      case OperandKind::bits64:
        out_ += f64_text(bits);
        return true;
      case OperandKind::forward:
        return target(body, pc + bits, bits != 0);
      case OperandKind::backward:
        return target(body, pc - bits, bits <= pc);
      case OperandKind::targets:
        return targets(body, pc, bits);
      case OperandKind::func:
      case OperandKind::func_import:
      case OperandKind::func_any:
        out_ += ref(NameSpace::function, bits);
        return true;
      case OperandKind::type:
        out_ += ref(NameSpace::type, bits);
        return true;
      case OperandKind::global:
        out_ += ref(NameSpace::global, bits);
        return true;
      case OperandKind::table:
        out_ += ref(NameSpace::table, bits);
        return true;
      case OperandKind::memory:
        out_ += ref(NameSpace::memory, bits);
        return true;
      case OperandKind::elem:
        out_ += ref(NameSpace::elem, bits);
        return true;
      case OperandKind::data:
        out_ += ref(NameSpace::data, bits);
        return true;
    }
    return false;
  }

  bool target(const Body& body, u64 pc, bool in_range) {
    if (!in_range || !has_label(body, pc)) return false;
    out_ += label_name(body, pc);
    return true;
  }

  bool targets(const Body& body, u32 pc, u64 count) {
    if (count == 0) return false;
    const Word* code = body.code + pc;
    if (count % 2 == 1 && code[isa::target_words(count)] >> 32 != 0) return false;
    out_ += '[';
    for (u64 i = 0; i < count; ++i) {
      if (i + 1 == count) {
        out_ += "], ";
      } else if (i != 0) {
        out_ += ", ";
      }
      const u32 distance = isa::table_target(code, i);
      if (!target(body, u64{pc} + distance, distance != 0)) return false;
    }
    return true;
  }

  // --- What no item holds -----------------------------------------------------------------------

  [[nodiscard]] u64 index_count(NameSpace space) const {
    switch (space) {
      case NameSpace::function:
        return imported(ExternKind::function) + m_.functions.size();
      case NameSpace::global:
        return imported(ExternKind::global) + m_.globals.size();
      case NameSpace::table:
        return imported(ExternKind::table) + m_.tables.size();
      case NameSpace::memory:
        return imported(ExternKind::memory) + m_.memories.size();
      case NameSpace::type:
        return m_.types.size();
      case NameSpace::data:
        return m_.datas.size();
      case NameSpace::elem:
        return m_.elems.size();
      case NameSpace::local:
        return 0;
    }
    return 0;
  }

  void leftovers() {
    for (const mod::Name& name : m_.names) {
      if (name.space != NameSpace::local) {
        if (name.index < index_count(name.space) && !name.text.empty()) continue;
        line("raw name {} {} {}", word_of(name.space), name.index, quote(name.text));
      } else if (name.index < imported(ExternKind::function) || name.slot > 0xffff ||
                 name.index >= index_count(NameSpace::function)) {
        line("raw name local {} {} {}", name.index, name.slot, quote(name.text));
      }
    }
    u64 code_end = 0;
    for (const mod::Function& function : m_.functions) {
      code_end = std::max(code_end, u64{function.code_begin} + function.code_size);
    }
    for (const mod::Line& entry : m_.lines) {
      if (entry.pc < std::min<u64>(code_end, m_.code.size())) continue;
      line("raw line {} {} {} {}", entry.pc, entry.file, entry.line, entry.column);
    }
  }

  const mod::Module& m_;
  const DisassembleOptions& options_;
  std::string out_;
  std::array<NameCounts, 7> names_;
  NameCounts files_;
  std::array<u32, 4> imported_{};
  std::unordered_map<std::string, u32> first_type_;  // by signature
  u32 last_file_ = 0;                                // of the `line` printed last in this function
};

}  // namespace

std::string disassemble(const mod::Module& module, const DisassembleOptions& options) {
  return Printer(module, options).print();
}

}  // namespace atollvm::text
