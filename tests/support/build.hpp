// Building modules for tests: instructions from their formats, labels resolved, module parts added
// with their indexes given back. Nothing is checked, so that broken modules can be built too.
//
//   ModuleBuilder m;
//   CodeBuilder f(m.type({ValType::i32}, {ValType::i32}), 1, 2);  // 1 local slot, frame of 2
//   Label loop = f.label();
//   f.bind(loop).emit(Op::i32_add_i, {0, 0, -1}).emit(Op::back_i32_ne_i, {0, 0, loop});
//   f.emit(Op::ret_1, {0});
//   m.export_function("main", m.add(f));
//   auto verified = verify::verify(m.module);
#pragma once

#include <algorithm>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "vm/isa/isa.hpp"
#include "vm/module/module.hpp"

namespace atollvm::test {

using isa::Op;
using isa::Word;
using mod::ValType;

// A branch target of one CodeBuilder.
struct Label {
  u32 id = 0;
};

// An operand: a number (register, index, immediate: cut to the field) or a branch target.
struct Arg {
  template <class T>
    requires std::is_integral_v<T>
  Arg(T number) : bits(static_cast<u64>(static_cast<i64>(number))) {}
  Arg(Label target) : bits(target.id), is_label(true) {}

  u64 bits = 0;
  bool is_label = false;
};

// The code of one function.
class CodeBuilder {
 public:
  // `type`: index of the function's type. Slots as in mod::Function.
  CodeBuilder(u32 type, u32 local_slots, u32 frame_slots) {
    function_.type = type;
    function_.local_slots = static_cast<u16>(local_slots);
    function_.frame_slots = static_cast<u16>(frame_slots);
  }

  // A new target, not placed yet; `defined` slots hold values there (default: the locals).
  Label label() { return label(function_.local_slots); }
  Label label(u32 defined) {
    labels_.push_back({0, static_cast<u16>(defined)});
    bound_.push_back(false);
    return {static_cast<u32>(labels_.size() - 1)};
  }
  // Places a target here.
  CodeBuilder& bind(Label target) {
    labels_[target.id].pc = here();
    bound_[target.id] = true;
    return *this;
  }

  // Appends an instruction; `args` in the order of its format, without window_copy (filled in)
  // and, for br_table, followed by the targets in place of their number.
  CodeBuilder& emit(Op op, std::initializer_list<Arg> args = {}) {
    return emit(op, std::vector<Arg>(args));
  }
  CodeBuilder& emit(Op op, const std::vector<Arg>& args) {
    const isa::FormatInfo& format = isa::format_of(op);
    const u32 at = here();
    code_.push_back(isa::encode(op));
    for (u8 i = 1; i < format.words; ++i) code_.push_back(0);
    usize next = 0;
    u64 window = 0;
    for (const isa::Operand& operand : format.list()) {
      if (operand.kind == isa::OperandKind::window_copy) {
        isa::write_field(&code_[at], operand.field, window);
        continue;
      }
      if (operand.kind == isa::OperandKind::targets) {
        const u64 count = args.size() - next;
        isa::write_field(&code_[at], operand.field, count);
        code_.resize(code_.size() + isa::target_words(count));
        for (u32 i = 0; i < count; ++i, ++next) {
          fixups_.push_back({at, static_cast<u32>(args[next].bits), Place::table, {}, i});
        }
        continue;
      }
      const Arg arg = next < args.size() ? args[next] : Arg(0);
      ++next;
      if (operand.kind == isa::OperandKind::window) window = arg.bits;
      if (arg.is_label) {
        fixups_.push_back({at, static_cast<u32>(arg.bits), Place::field, operand, 0});
      } else {
        isa::write_field(&code_[at], operand.field, arg.bits);
      }
    }
    return *this;
  }
  // Appends a word as it is.
  CodeBuilder& raw(Word word) { return code_.push_back(word), *this; }

  // Word index of the next instruction.
  [[nodiscard]] u32 here() const { return static_cast<u32>(code_.size()); }

  // The function, its code with branches resolved, and its bound labels sorted by place.
  struct Built {
    mod::Function function;
    std::vector<Word> code;
    std::vector<mod::Label> labels;
  };
  [[nodiscard]] Built build() const {
    Built built{function_, code_, {}};
    for (const Fixup& fixup : fixups_) {
      const u32 target = labels_[fixup.label].pc;
      if (fixup.place == Place::table) {
        built.code[fixup.at + 1 + fixup.index / 2] |= Word{target - fixup.at}
                                                      << (fixup.index % 2 * 32);
      } else {
        const bool back = fixup.operand.kind == isa::OperandKind::backward;
        isa::write_field(&built.code[fixup.at], fixup.operand.field,
                         back ? fixup.at - target : target - fixup.at);
      }
    }
    for (usize i = 0; i < labels_.size(); ++i) {
      if (bound_[i]) built.labels.push_back(labels_[i]);
    }
    std::sort(built.labels.begin(), built.labels.end(),
              [](const mod::Label& x, const mod::Label& y) { return x.pc < y.pc; });
    return built;
  }

 private:
  enum class Place : u8 { field, table };
  struct Fixup {
    u32 at;
    u32 label;
    Place place;
    isa::Operand operand;
    u32 index;
  };
  mod::Function function_;
  std::vector<Word> code_;
  std::vector<mod::Label> labels_;
  std::vector<bool> bound_;
  std::vector<Fixup> fixups_;
};

// A module under construction. Add imports of a kind before own definitions of that kind.
class ModuleBuilder {
 public:
  mod::Module module;  // free to be changed

  // Index of a function type; the same type is added once.
  u32 type(std::vector<ValType> params, std::vector<ValType> results) {
    const mod::FuncType wanted{std::move(params), std::move(results)};
    for (u32 i = 0; i < module.types.size(); ++i) {
      if (module.types[i] == wanted) return i;
    }
    module.types.push_back(wanted);
    return static_cast<u32>(module.types.size() - 1);
  }
  u32 import_function(std::string from, std::string name, u32 type_index) {
    mod::Import import = start_import(std::move(from), std::move(name), mod::ExternKind::function);
    import.func_type = type_index;
    return add_import(std::move(import));
  }
  u32 import_global(std::string from, std::string name, mod::GlobalType type) {
    mod::Import import = start_import(std::move(from), std::move(name), mod::ExternKind::global);
    import.global = type;
    return add_import(std::move(import));
  }
  u32 import_memory(std::string from, std::string name, mod::MemoryType type) {
    mod::Import import = start_import(std::move(from), std::move(name), mod::ExternKind::memory);
    import.memory = type;
    return add_import(std::move(import));
  }
  u32 import_table(std::string from, std::string name, mod::TableType type) {
    mod::Import import = start_import(std::move(from), std::move(name), mod::ExternKind::table);
    import.table = type;
    return add_import(std::move(import));
  }
  // Adds a function; gives its index in the function index space.
  u32 add(const CodeBuilder& code) {
    CodeBuilder::Built built = code.build();
    built.function.code_begin = static_cast<u32>(module.code.size());
    built.function.code_size = static_cast<u32>(built.code.size());
    built.function.label_begin = static_cast<u32>(module.labels.size());
    built.function.label_count = static_cast<u32>(built.labels.size());
    module.code.insert(module.code.end(), built.code.begin(), built.code.end());
    module.labels.insert(module.labels.end(), built.labels.begin(), built.labels.end());
    module.functions.push_back(built.function);
    return module.imported(mod::ExternKind::function) +
           static_cast<u32>(module.functions.size() - 1);
  }
  u32 memory(u64 min, std::optional<u64> max = {}, u8 page_shift = 16) {
    module.memories.push_back({{min, max}, page_shift});
    return module.imported(mod::ExternKind::memory) + static_cast<u32>(module.memories.size() - 1);
  }
  u32 table(u64 min, std::optional<u64> max = {}, ValType element = ValType::funcref) {
    module.tables.push_back({{element, {min, max}}, {}});
    return module.imported(mod::ExternKind::table) + static_cast<u32>(module.tables.size() - 1);
  }
  u32 global(ValType type, bool is_mutable, mod::ConstOp init) {
    module.globals.push_back({{type, is_mutable}, {init}});
    return module.imported(mod::ExternKind::global) + static_cast<u32>(module.globals.size() - 1);
  }
  // Passive segments; index of the segment.
  u32 data(std::string bytes) {
    mod::DataSegment segment;
    segment.bytes = std::move(bytes);
    module.datas.push_back(std::move(segment));
    return static_cast<u32>(module.datas.size() - 1);
  }
  u32 elem(const std::vector<u32>& functions) {
    mod::ElemSegment segment;
    for (u32 function : functions) segment.items.push_back({ref_func(function)});
    module.elems.push_back(std::move(segment));
    return static_cast<u32>(module.elems.size() - 1);
  }
  void export_function(std::string name, u32 index) {
    module.exports.push_back({std::move(name), mod::ExternKind::function, index});
  }

  // Constant operations.
  static mod::ConstOp i32_const(u32 value) { return {mod::ConstOp::Kind::i32_const, value}; }
  static mod::ConstOp i64_const(u64 value) { return {mod::ConstOp::Kind::i64_const, value}; }
  static mod::ConstOp ref_func(u32 index) { return {mod::ConstOp::Kind::ref_func, index}; }
  static mod::ConstOp ref_null() { return {mod::ConstOp::Kind::ref_null, 0}; }
  static mod::ConstOp global_get(u32 index) { return {mod::ConstOp::Kind::global_get, index}; }

 private:
  static mod::Import start_import(std::string from, std::string name, mod::ExternKind kind) {
    mod::Import import;
    import.module = std::move(from);
    import.name = std::move(name);
    import.kind = kind;
    return import;
  }
  u32 add_import(mod::Import import) {
    const u32 index = module.imported(import.kind);
    module.imports.push_back(std::move(import));
    return index;
  }
};

}  // namespace atollvm::test
