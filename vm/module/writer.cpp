#include <algorithm>
#include <bit>
#include <cstring>

#include "vm/module/codec.hpp"
#include "vm/module/sections.hpp"

namespace atollvm::mod {

static_assert(std::endian::native == std::endian::little, "words are written as they are");

namespace {

class Writer {
 public:
  explicit Writer(const Module& module) : module_(module) {}

  std::string write() {
    out_.reserve(module_.code.size() * sizeof(isa::Word) + 4096);
    out_.append(magic, sizeof magic);
    raw(out_, &format_version, sizeof format_version);
    list(SectionId::types, module_.types);
    list(SectionId::imports, module_.imports);
    list(SectionId::functions, module_.functions);
    list(SectionId::tables, module_.tables);
    list(SectionId::memories, module_.memories);
    list(SectionId::globals, module_.globals);
    list(SectionId::exports, module_.exports);
    if (module_.start) {
      put_u(*module_.start);
      section(SectionId::start);
    }
    list(SectionId::elements, module_.elems);
    list(SectionId::data, module_.datas);
    labels();
    code();
    names();
    lines();
    for (const CustomSection& custom : module_.customs) {
      put(custom.name);
      payload_ += custom.bytes;
      section(SectionId::custom);
    }
    return std::move(out_);
  }

 private:
  static void raw(std::string& to, const void* bytes, usize size) {
    to.append(static_cast<const char*>(bytes), size);
  }
  static void uleb(std::string& to, u64 value) {
    while (value >= 0x80) {
      to.push_back(static_cast<char>(value | 0x80));
      value >>= 7;
    }
    to.push_back(static_cast<char>(value));
  }

  // --- Pieces of a payload
  // ------------------------------------------------------------------------

  void put_byte(u8 byte) { payload_.push_back(static_cast<char>(byte)); }
  void put_u(u64 value) { uleb(payload_, value); }
  void put_s(i64 value) {
    while (value < -64 || value > 63) {
      put_byte(static_cast<u8>(value | 0x80));
      value >>= 7;
    }
    put_byte(static_cast<u8>(value & 0x7f));
  }
  void put(const std::string& text) {
    put_u(text.size());
    payload_ += text;
  }
  void put(const std::vector<ValType>& types) {
    put_u(types.size());
    for (ValType type : types) put_byte(static_cast<u8>(type));
  }
  void put(const FuncType& type) {
    put(type.params);
    put(type.results);
  }
  void put(const Range& range) {
    put_byte(range.max ? 1 : 0);
    put_u(range.min);
    if (range.max) put_u(*range.max);
  }
  void put(const TableType& type) {
    put_byte(static_cast<u8>(type.element));
    put(type.size);
  }
  void put(const MemoryType& type) {
    put_byte(type.page_shift);
    put(type.size);
  }
  void put(const GlobalType& type) {
    put_byte(static_cast<u8>(type.type));
    put_byte(type.is_mutable ? 1 : 0);
  }
  void put(const Import& import) {
    put(import.module);
    put(import.name);
    put_byte(static_cast<u8>(import.kind));
    switch (import.kind) {
      case ExternKind::function:
        return put_u(import.func_type);
      case ExternKind::table:
        return put(import.table);
      case ExternKind::memory:
        return put(import.memory);
      case ExternKind::global:
        return put(import.global);
    }
  }
  void put(const Function& function) {
    put_u(function.type);
    put_u(function.code_size);
    put_u(function.label_count);
    put_u(function.local_slots);
    put_u(function.frame_slots);
  }
  void put(const Export& item) {
    put(item.name);
    put_byte(static_cast<u8>(item.kind));
    put_u(item.index);
  }
  void put(const ConstOp& op) {
    put_byte(static_cast<u8>(op.kind));
    switch (op.kind) {
      case ConstOp::Kind::i32_const:
        return put_s(static_cast<i32>(static_cast<u32>(op.value)));
      case ConstOp::Kind::i64_const:
        return put_s(static_cast<i64>(op.value));
      case ConstOp::Kind::f32_const:
        return raw(payload_, &op.value, 4);
      case ConstOp::Kind::f64_const:
        return raw(payload_, &op.value, 8);
      case ConstOp::Kind::global_get:
      case ConstOp::Kind::ref_func:
        return put_u(op.value);
      default:
        return;
    }
  }
  void put(const ConstExpr& expr) {
    put_u(expr.size());
    for (const ConstOp& op : expr) put(op);
  }
  void put(const Table& table) {
    put(table.type);
    put(table.init);
  }
  void put(const Global& global) {
    put(global.type);
    put(global.init);
  }
  void put(const ElemSegment& segment) {
    put_byte(static_cast<u8>(segment.mode));
    put_byte(static_cast<u8>(segment.type));
    if (segment.mode == SegmentMode::active) {
      put_u(segment.table);
      put(segment.offset);
    }
    const bool only_functions =
        std::all_of(segment.items.begin(), segment.items.end(), [](const ConstExpr& item) {
          return item.size() == 1 && item[0].kind == ConstOp::Kind::ref_func;
        });
    put_byte(static_cast<u8>(only_functions ? ItemForm::functions : ItemForm::expressions));
    put_u(segment.items.size());
    for (const ConstExpr& item : segment.items) {
      if (only_functions) {
        put_u(item[0].value);
      } else {
        put(item);
      }
    }
  }
  void put(const DataSegment& segment) {
    put_byte(static_cast<u8>(segment.mode));
    if (segment.mode == SegmentMode::active) {
      put_u(segment.memory);
      put(segment.offset);
    }
    put(segment.bytes);
  }

  // --- Sections
  // -----------------------------------------------------------------------------------

  // Appends the payload gathered so far as a section.
  void section(SectionId id) {
    out_.push_back(static_cast<char>(id));
    uleb(out_, payload_.size());
    out_ += payload_;
    payload_.clear();
  }

  template <class T>
  void list(SectionId id, const std::vector<T>& entries) {
    if (entries.empty()) return;
    put_u(entries.size());
    for (const T& entry : entries) put(entry);
    section(id);
  }

  void labels() {
    if (module_.labels.empty()) return;
    for (const Function& function : module_.functions) {
      u32 before = 0;
      for (u32 i = 0; i < function.label_count; ++i) {
        const Label& label = module_.labels[function.label_begin + i];
        put_u(label.pc - before);
        put_u(label.defined);
        before = label.pc;
      }
    }
    section(SectionId::labels);
  }

  void code() {
    if (module_.code.empty()) return;
    const u64 bytes = module_.code.size() * sizeof(isa::Word);
    // The length of the size does not depend on the padding: bytes is a multiple of 8, so adding
    // less than 8 never carries into another 7-bit group.
    std::string size;
    uleb(size, bytes);
    const u32 padding = code_padding(out_.size() + 1 + size.size());
    out_.push_back(static_cast<char>(SectionId::code));
    uleb(out_, bytes + padding);
    out_.append(padding, '\0');
    raw(out_, module_.code.data(), bytes);
  }

  void names() {
    if (module_.name.empty() && module_.names.empty()) return;
    put(module_.name);
    put_u(module_.names.size());
    const Name* before = nullptr;
    for (const Name& name : module_.names) {
      const bool same_space = before != nullptr && before->space == name.space;
      put_byte(static_cast<u8>(name.space));
      put_u(name.index - (same_space ? before->index : 0));
      if (name.space == NameSpace::local) put_u(name.slot);
      put(name.text);
      before = &name;
    }
    section(SectionId::names);
  }

  void lines() {
    if (module_.files.empty() && module_.lines.empty()) return;
    put_u(module_.files.size());
    for (const std::string& file : module_.files) put(file);
    put_u(module_.lines.size());
    Line before;
    for (const Line& line : module_.lines) {
      put_u(line.pc - before.pc);
      put_u(zigzag(line.file - before.file));
      put_u(zigzag(line.line - before.line));
      put_u(line.column);
      before = line;
    }
    section(SectionId::lines);
  }

  const Module& module_;
  std::string out_;
  std::string payload_;
};

}  // namespace

std::string write(const Module& module) { return Writer(module).write(); }

}  // namespace atollvm::mod
