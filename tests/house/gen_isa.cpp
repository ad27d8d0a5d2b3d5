// Prints docs/isa.md from the tables of vm/isa:  gen_isa PATH-OF-opcodes.def > docs/isa.md
// The file itself is read only for the headings: the comment directly above a row.
#include <algorithm>
#include <fstream>
#include <iostream>
#include <map>
#include <string>

#include "vm/isa/isa.hpp"

namespace {

using namespace atollvm;
using isa::Field;
using isa::OperandKind;

std::string_view kind_name(OperandKind kind) {
  switch (kind) {
    case OperandKind::use:
      return "use";
    case OperandKind::def:
      return "def";
    case OperandKind::use_def:
      return "use+def";
    case OperandKind::use_range:
      return "use..";
    case OperandKind::def_range:
      return "def..";
    case OperandKind::count:
      return "count";
    case OperandKind::imm16:
      return "imm16";
    case OperandKind::imm32:
      return "imm32";
    case OperandKind::imm64:
      return "imm64";
    case OperandKind::bits32:
      return "bits32";
    case OperandKind::bits64:
      return "bits64";
    case OperandKind::offset:
      return "offset";
    case OperandKind::forward:
      return "forward";
    case OperandKind::backward:
      return "backward";
    case OperandKind::targets:
      return "targets";
    case OperandKind::window:
      return "window";
    case OperandKind::window_copy:
      return "window again";
    case OperandKind::func:
      return "function";
    case OperandKind::func_import:
      return "imported function";
    case OperandKind::func_any:
      return "any function";
    case OperandKind::type:
      return "type";
    case OperandKind::global:
      return "global";
    case OperandKind::table:
      return "table";
    case OperandKind::memory:
      return "memory";
    case OperandKind::elem:
      return "elem";
    case OperandKind::data:
      return "data";
  }
  return "";
}

// What holds the bits of `word` (0 or 1) from the low end, "16" for each field that is free.
std::string picture(const isa::FormatInfo& format, int word) {
  struct Part {
    Field field;
    int word, at, bits;
  };
  static constexpr Part parts[] = {
      {Field::a, 0, 16, 16},  {Field::b, 0, 32, 16},  {Field::c, 0, 48, 16},
      {Field::bc, 0, 32, 32}, {Field::e0, 1, 0, 16},  {Field::e1, 1, 16, 16},
      {Field::e2, 1, 32, 16}, {Field::e3, 1, 48, 16}, {Field::e23, 1, 32, 32},
      {Field::e, 1, 0, 64},
  };
  std::string text = word == 0 ? "op:16" : "";
  for (int at = word == 0 ? 16 : 0; at < 64;) {
    std::string name = "0";
    int bits = 16;
    for (const isa::Operand& operand : format.list()) {
      for (const Part& part : parts) {
        if (part.field != operand.field || part.word != word || part.at != at) continue;
        name = kind_name(operand.kind);
        bits = part.bits;
      }
    }
    if (!text.empty()) text += ", ";
    text += name + ":" + std::to_string(bits);
    at += bits;
  }
  return "{" + text + "}";
}

// Operands as the column `semantics` names them.
std::string operands(const isa::OpInfo& op) {
  std::string text;
  char slot = 'a';
  // Where nothing else is the result, what is read and written is.
  const auto list = isa::info(op.format).list();
  const bool is_result = !op.signature.starts_with('=') &&
                         std::none_of(list.begin(), list.end(),
                                      [](const auto& o) { return o.kind == OperandKind::def; });
  for (const isa::Operand& operand : list) {
    std::string name(kind_name(operand.kind));
    switch (operand.kind) {
      case OperandKind::def:
        name = "d";
        break;
      case OperandKind::def_range:
        name = "d..";
        break;
      case OperandKind::use:
        name = slot++;
        break;
      case OperandKind::use_def:
        name = is_result ? 'd' : slot++;
        break;
      case OperandKind::use_range:
        name = std::string(1, slot++) + "..";
        break;
      case OperandKind::count:
        name = "n";
        break;
      case OperandKind::imm16:
      case OperandKind::imm32:
      case OperandKind::imm64:
      case OperandKind::bits32:
      case OperandKind::bits64:
        name = "imm";
        break;
      case OperandKind::forward:
      case OperandKind::backward:
        name = "target";
        break;
      case OperandKind::targets:
        name = "[targets], last target";
        break;
      case OperandKind::window:
        name = "w";
        break;
      case OperandKind::func:
      case OperandKind::func_import:
      case OperandKind::func_any:
        name = "function";
        break;
      case OperandKind::window_copy:
        continue;
      default:
        break;
    }
    if (!text.empty()) text += ", ";
    text += name;
  }
  return text;
}

std::string types(std::string_view letters) {
  std::string text;
  for (char letter : letters) {
    if (!text.empty()) text += ", ";
    switch (letter) {
      case 'i':
        text += "i32";
        break;
      case 'I':
        text += "i64";
        break;
      case 'f':
        text += "f32";
        break;
      case 'F':
        text += "f64";
        break;
      case 'r':
        text += "ref";
        break;
      default:
        text += "any";
    }
  }
  return text;
}

std::string signature(std::string_view text) {
  const usize equals = text.find('=');
  if (equals == std::string_view::npos) return "";
  const std::string results = types(text.substr(0, equals));
  const std::string params = types(text.substr(equals + 1));
  return results.empty() ? params : params.empty() ? "-> " + results : params + " -> " + results;
}

std::string flags(const isa::OpInfo& op) {
  static constexpr std::pair<isa::Flags, std::string_view> names[] = {{isa::ends, "ends"},
                                                                      {isa::traps, "traps"},
                                                                      {isa::safepoint, "safepoint"},
                                                                      {isa::calls, "calls"},
                                                                      {isa::bulk, "bulk"}};
  std::string text;
  for (const auto& [flag, name] : names) {
    if (!op.has(flag)) continue;
    if (!text.empty()) text += ", ";
    text += name;
  }
  return text;
}

std::string cell(std::string_view text) {
  std::string escaped;
  for (char c : text) {
    if (c == '|') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

// Operation number -> heading above its row.
std::map<u32, std::string> headings(std::istream& table) {
  std::map<u32, std::string> found;
  std::string line, comment;
  while (std::getline(table, line)) {
    if (line.starts_with("OP(") && !comment.empty()) {
      found[static_cast<u32>(std::stoul(line.substr(3)))] = comment;
    }
    if (!line.starts_with("// ")) {
      comment.clear();
    } else if (comment.empty()) {
      comment = line.substr(3);
    } else {
      comment += " " + line.substr(3);
    }
  }
  return found;
}

constexpr std::string_view head = R"(# Instruction set

<!-- Generated from vm/isa/opcodes.def and formats.def by tests/house/gen_isa.cpp: don't edit.
     Make it anew: ninja -C build/release gen_isa && build/release/bin/gen_isa vm/isa/opcodes.def > docs/isa.md -->

Code is a sequence of 64-bit words, little-endian. The first word of an instruction is `{op:16, a:16, b:16, c:16}` from the
low end; some formats have an extension word `{e0:16, e1:16, e2:16, e3:16}`. Registers are the 64-bit slots of the frame, numbered from 0.
i32 and f32 values take the low half of a slot: results are zero-extended, reads ignore the high half.

## Formats
The pictures show the words from the low end; `0` is a field that must be zero. The operands stand in assembly text in the order given
(`window again` is not written).

- **use**, **def**, **use+def**: a slot that is read, written, both. **use..**, **def..**: the first of *count* slots.
- **imm16**: signed. **imm32**: 32 bits, sign-extended by `i64.const`. **bits32**, **bits64**: the bits of a float.
- **offset**: unsigned, added to the address without wrapping round.
- **forward**, **backward**: a branch distance in words, counted from the first word of the branch; forward ones are at least the
  branch's length, backward ones point to where the branch stands or before it. A target must have a label record.
- **targets**: how many targets follow, as 32-bit forward distances, two a word; a free half at the end is zero.
- **window**: first slot of a call window; arguments are its first slots, the frame header is the slot below it. For tail calls:
  the first of the arguments. **window again**: the same number.
- **function**, **type**, **global**, **table**, **memory**, **elem**, **data**: an index (see [format.md](format.md)).
)";

constexpr std::string_view middle = R"(
## Operations
*d* is the result, *a*, *b*, *c* the slot operands in text order, *w* a window. Flags: **ends**: control never falls through;
**traps**: may trap; **safepoint**: the process may stop here; **calls**: has a call window; **bulk**: fuel grows by one for each
64 bytes or 8 elements.
)";

int run(const char* path) {
  std::ifstream file(path);
  if (!file) {
    std::cerr << "gen_isa: cannot read " << path << '\n';
    return 1;
  }
  const auto groups = headings(file);

  std::cout << head << "\n| format | words | operands in text order | picture |\n"
            << "| --- | --- | --- | --- |\n";
  for (const isa::FormatInfo& format : isa::format_table) {
    std::string order;
    for (const isa::Operand& operand : format.list()) {
      if (!order.empty()) order += ", ";
      order += kind_name(operand.kind);
    }
    std::string bits = picture(format, 0);
    if (format.words == 2) bits += " " + picture(format, 1);
    if (format.words == 0) bits += " {forward:32, forward:32} ...";
    std::cout << "| " << format.name << " | "
              << (format.words == 0 ? "1 + targets / 2, rounded up" : std::to_string(format.words))
              << " | " << order << " | `" << bits << "` |\n";
  }

  std::cout << middle;
  for (u32 number = 0; number < isa::op_count; ++number) {
    if (const auto group = groups.find(number); group != groups.end()) {
      const std::string& text = group->second;
      const usize end = text.find_first_of(".:;(");
      std::string title = text.substr(0, end);
      while (title.ends_with(' ')) title.pop_back();
      std::cout << "\n### " << title << "\n";
      if (title != text) std::cout << text << ".\n";
      std::cout
          << "\n| number | operation | operands | types | format | flags | fuel | what it does |\n"
          << "| --- | --- | --- | --- | --- | --- | --- | --- |\n";
    }
    const isa::OpInfo& op = isa::op_table[number];
    std::cout << "| " << number << " | `" << op.name << "` | " << cell(operands(op)) << " | "
              << signature(op.signature) << " | " << isa::info(op.format).name << " | " << flags(op)
              << " | " << int{op.fuel} << " | " << cell(op.semantics) << " |\n";
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: gen_isa PATH-OF-opcodes.def > docs/isa.md\n";
    return 2;
  }
  return run(argv[1]);
}
