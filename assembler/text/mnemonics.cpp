#include "assembler/text/mnemonics.hpp"

#include <string_view>
#include <vector>

namespace atollvm::text {

namespace {

using isa::Format;
using isa::Op;
using mod::ValType;

ValType type_of(char letter) {
  switch (letter) {
    case 'I':
      return ValType::i64;
    case 'f':
      return ValType::f32;
    case 'F':
      return ValType::f64;
    default:
      return ValType::i32;
  }
}

struct Relation {
  std::string_view name;
  Rel rel;
};
constexpr Relation int_relations[] = {{"eq", Rel::eq},     {"ne", Rel::ne},     {"lt_s", Rel::lt_s},
                                      {"lt_u", Rel::lt_u}, {"gt_s", Rel::gt_s}, {"gt_u", Rel::gt_u},
                                      {"le_s", Rel::le_s}, {"le_u", Rel::le_u}, {"ge_s", Rel::ge_s},
                                      {"ge_u", Rel::ge_u}};
constexpr Relation float_relations[] = {
    {"eq", Rel::eq}, {"ne", Rel::ne},   {"lt", Rel::lt},   {"gt", Rel::gt},   {"le", Rel::le},
    {"ge", Rel::ge}, {"nlt", Rel::nlt}, {"nle", Rel::nle}, {"ngt", Rel::ngt}, {"nge", Rel::nge}};

struct Numeric {
  std::string_view name;
  ValType type;
  bool is_float;
};
constexpr Numeric numerics[] = {{"i32", ValType::i32, false},
                                {"i64", ValType::i64, false},
                                {"f32", ValType::f32, true},
                                {"f64", ValType::f64, true}};

bool cut_suffix(std::string& name, std::string_view suffix) {
  if (!name.ends_with(suffix)) return false;
  name.resize(name.size() - suffix.size());
  return true;
}

u8 width_of(std::string_view name) {
  const std::string_view access = name.substr(4);
  if (access.find('8') != std::string_view::npos) return 1;
  if (access.find("16") != std::string_view::npos) return 2;
  if (access.find("32") != std::string_view::npos) return 4;
  return name[1] == '6' ? 8 : 4;
}

class Builder {
 public:
  std::vector<Mnemonic> build() {
    compares();
    for (u32 number = 0; number < isa::op_count; ++number) add(static_cast<Op>(number));
    further();
    aliases();
    return std::move(list_);
  }

 private:
  [[nodiscard]] Mnemonic* find(std::string_view name) {
    for (Mnemonic& mnemonic : list_) {
      if (mnemonic.name == name) return &mnemonic;
    }
    return nullptr;
  }

  Mnemonic& make(std::string name, Shape shape) {
    list_.push_back(Mnemonic{});
    list_.back().name = std::move(name);
    list_.back().shape = shape;
    return list_.back();
  }

  // All comparisons and branches on them, spelled with every relation.
  void compares() {
    for (const Numeric& numeric : numerics) {
      const auto relations = numeric.is_float ? std::span<const Relation>(float_relations)
                                              : std::span<const Relation>(int_relations);
      for (const Relation& relation : relations) {
        const std::string name = std::string(numeric.name) + "." + std::string(relation.name);
        for (const char* prefix : {"", "br.", "back."}) {
          if (*prefix == 0 && relation.rel >= Rel::nlt) continue;
          Mnemonic& made = make(prefix + name, *prefix == 0 ? Shape::compare : Shape::jump_compare);
          made.rel = relation.rel;
          made.type = numeric.type;
        }
      }
    }
  }

  void add(Op op) {
    const isa::OpInfo& info = isa::info(op);
    std::string name(info.name);
    if (find(name) != nullptr) return;
    if (name.ends_with(".w") || name.ends_with(".xb")) {
      make(name, Shape::raw_only).op = op;
      return;
    }
    const char operand = info.signature.empty() ? ' ' : info.signature.back();
    switch (info.format) {
      case Format::dss:
        if (!name.ends_with(".x")) arithmetic(name, op, type_of(operand));
        return;
      case Format::dsi:
      case Format::sss:
      case Format::sif:
      case Format::sib:
      case Format::load_long:
      case Format::store_long:
      case Format::d_imm64:
        return;  // other forms of an operation
      case Format::load:
      case Format::store: {
        const bool is_load = info.format == Format::load;
        Mnemonic& made = make(name, is_load ? Shape::load : Shape::store);
        made.op = op;
        made.longer = *isa::find(name + ".long");
        made.indexed = *isa::find(name + ".x");
        made.width = width_of(name);
        made.type = type_of(is_load ? info.signature.front() : operand);
        return;
      }
      case Format::d_imm32:
      case Format::d_bits32:
      case Format::d_bits64: {
        Mnemonic& made = make(name, Shape::constant);
        made.type = type_of(info.signature.front());
        return;
      }
      case Format::mem_forward:
      case Format::mem_back: {
        // Either spelling goes where the label is; `op` is the forward one.
        Mnemonic& made = make(name, Shape::jump_load);
        const std::string_view what = std::string_view(name).substr(name.find('.') + 1);
        made.op = *isa::find("br." + std::string(what));
        made.longer = *isa::find(what.starts_with("load8") ? "i32.load8_u" : "i32.load");
        made.width = what.starts_with("load8") ? 1 : 4;
        return;
      }
      case Format::call_sum:
      case Format::mov_range:
      case Format::mov_2:
      case Format::mov_3:
      case Format::dsm:
      case Format::dsi_2:
      case Format::sms:
        make(name, Shape::raw_only).op = op;
        return;
      case Format::xsb:
      case Format::xssb: {
        Mnemonic& made = make(name, Shape::count_back);
        made.op = op;
        made.type = type_of(operand);
        made.rel = name.ends_with("ne") ? Rel::ne : name.ends_with("lt_u") ? Rel::lt_u : Rel::lt_s;
        return;
      }
      case Format::jump:
      case Format::jump_back:
        make(name, Shape::jump).op = op;
        return;
      case Format::br_table:
        make(name, Shape::jump_table).op = op;
        return;
      case Format::ret_range:
        return;
      default:
        make(name, special(name)).op = op;
    }
  }

  static Shape special(std::string_view name) {
    constexpr std::pair<std::string_view, Shape> shapes[] = {
        {"mov", Shape::mov},
        {"call", Shape::call},
        {"call.import", Shape::call},
        {"call.table", Shape::call_table},
        {"call.ref", Shape::call_ref},
        {"tail", Shape::tail},
        {"tail.import", Shape::tail},
        {"tail.table", Shape::tail_table},
        {"tail.ref", Shape::tail_ref},
        {"ret", Shape::ret},
        {"ret.1", Shape::ret},
        {"global.get", Shape::global_get},
        {"global.get.import", Shape::global_get},
        {"global.set", Shape::global_set},
        {"global.set.import", Shape::global_set}};
    for (const auto& [text, shape] : shapes) {
      if (text == name) return shape;
    }
    return Shape::generic;
  }

  void arithmetic(const std::string& name, Op op, ValType type) {
    Mnemonic& made = make(name, Shape::arithmetic);
    made.op = op;
    made.type = type;
    made.result = type;
    std::string base = name.substr(4);
    made.negate = base == "sub" || base == "rotr";
    if (base == "sub") base = "add";
    if (base == "rotr") base = "rotl";
    if (const auto imm = isa::find(name.substr(0, 4) + base + ".i")) {
      made.has_imm = true;
      made.imm = *imm;
    }
    made.commutes = base == "mul" || base == "and" || base == "or" || base == "xor" ||
                    (base == "add" && !made.negate);
  }

  void further() {
    make("br.if", Shape::jump_if);
    make("br.ifz", Shape::jump_ifz);
    for (const auto& [to, from] : {std::pair(0, 2), {2, 0}, {1, 3}, {3, 1}}) {
      Mnemonic& made =
          make(std::string(numerics[to].name) + ".reinterpret_" + std::string(numerics[from].name),
               Shape::reinterpret);
      made.type = numerics[from].type;
      made.result = numerics[to].type;
    }
  }

  // Every name of the instruction set can be written; the form is the assembler's choice.
  void aliases() {
    for (const isa::OpInfo& info : isa::op_table) {
      if (find(info.name) != nullptr) continue;
      std::string base(info.name);
      if (base == "ret.n") base = "ret";
      if (!cut_suffix(base, ".i") && !cut_suffix(base, ".long")) cut_suffix(base, ".x");
      Mnemonic copy = *find(base);
      copy.name = std::string(info.name);
      list_.push_back(std::move(copy));
    }
  }

  std::vector<Mnemonic> list_;
};

}  // namespace

std::span<const Mnemonic> mnemonics() {
  static const std::vector<Mnemonic> list = Builder().build();
  return list;
}

}  // namespace atollvm::text
