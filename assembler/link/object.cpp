#include "assembler/link/object.hpp"

#include <algorithm>
#include <cstring>

#include "vm/verify/verify.hpp"

namespace atollvm::link {

namespace {

using mod::ExternKind;

constexpr u64 max_address = u64{1} << 32;

class Bytes {
 public:
  explicit Bytes(std::string_view bytes) : bytes_(bytes) {}

  [[nodiscard]] bool empty() const { return bytes_.empty(); }
  // LEB128, at most 64 bits.
  std::optional<u64> varint() {
    u64 value = 0;
    for (u32 shift = 0; shift < 64 && !bytes_.empty(); shift += 7) {
      const u8 byte = static_cast<u8>(bytes_[0]);
      bytes_.remove_prefix(1);
      if (shift == 63 && byte > 1) return std::nullopt;
      value |= u64{byte & 0x7fu} << shift;
      if (byte < 0x80) return value;
    }
    return std::nullopt;
  }
  std::optional<u8> byte() {
    if (bytes_.empty()) return std::nullopt;
    const u8 byte = static_cast<u8>(bytes_[0]);
    bytes_.remove_prefix(1);
    return byte;
  }

 private:
  std::string_view bytes_;
};

bool has_field(const isa::FormatInfo& format, isa::OperandKind kind, isa::Field field) {
  const auto list = format.list();
  return std::any_of(list.begin(), list.end(), [&](const isa::Operand& operand) {
    return operand.kind == kind && operand.field == field;
  });
}

// Whether the place exists and holds what the relocation says.
bool fits(const mod::Module& module, const Reloc& reloc) {
  switch (reloc.kind) {
    case Reloc::Kind::code_address:
    case Reloc::Kind::code_heap_base:
    case Reloc::Kind::code_offset: {
      if (reloc.index >= module.code.size()) return false;
      const isa::Word word = module.code[reloc.index];
      if (isa::raw_op(word) >= isa::op_count) return false;
      const isa::FormatInfo& format = isa::format_of(isa::op_of(word));
      if (reloc.kind != Reloc::Kind::code_offset) {
        return has_field(format, isa::OperandKind::imm32, isa::Field::bc);
      }
      return reloc.index + 1 < module.code.size() &&
             has_field(format, isa::OperandKind::offset, isa::Field::e);
    }
    case Reloc::Kind::data_address:
    case Reloc::Kind::data_heap_base:
      return reloc.index < module.datas.size() && reloc.offset < max_address &&
             reloc.offset + 4 <= module.datas[reloc.index].bytes.size();
  }
  return false;
}

bool read_relocs(Object& object, std::string_view section) {
  Bytes in(section);
  const auto count = in.varint();
  if (!count || *count > section.size()) return false;
  for (u64 i = 0; i < *count; ++i) {
    Reloc reloc;
    const auto kind = in.byte();
    const auto index = in.varint();
    if (!kind || *kind > 4 || !index) return false;
    reloc.kind = static_cast<Reloc::Kind>(*kind);
    reloc.index = *index;
    if (reloc.kind == Reloc::Kind::data_address || reloc.kind == Reloc::Kind::data_heap_base) {
      const auto offset = in.varint();
      if (!offset) return false;
      reloc.offset = *offset;
    }
    if (!fits(object.module, reloc)) return false;
    object.relocs.push_back(reloc);
  }
  const auto end = in.varint();
  const auto align = in.varint();
  if (!end || *end > max_address || !align || *align > 65'536 || (*align & (*align - 1)) != 0 ||
      !in.empty()) {
    return false;
  }
  object.data_end = *end;
  object.data_align = std::max<u64>(*align, 16);
  return true;
}

}  // namespace

u32 Object::count(ExternKind kind) const {
  switch (kind) {
    case ExternKind::function:
      return imported(kind) + static_cast<u32>(module.functions.size());
    case ExternKind::table:
      return imported(kind) + static_cast<u32>(module.tables.size());
    case ExternKind::memory:
      return imported(kind) + static_cast<u32>(module.memories.size());
    case ExternKind::global:
      return imported(kind) + static_cast<u32>(module.globals.size());
  }
  return 0;
}

const mod::FuncType& Object::func_type(u32 function) const {
  const u32 imports_ = imported(ExternKind::function);
  return module.types[function < imports_ ? import(ExternKind::function, function).func_type
                                          : module.functions[function - imports_].type];
}
const mod::TableType& Object::table_type(u32 table) const {
  const u32 imports_ = imported(ExternKind::table);
  return table < imports_ ? import(ExternKind::table, table).table
                          : module.tables[table - imports_].type;
}
const mod::MemoryType& Object::memory_type(u32 memory) const {
  const u32 imports_ = imported(ExternKind::memory);
  return memory < imports_ ? import(ExternKind::memory, memory).memory
                           : module.memories[memory - imports_];
}
const mod::GlobalType& Object::global_type(u32 global) const {
  const u32 imports_ = imported(ExternKind::global);
  return global < imports_ ? import(ExternKind::global, global).global
                           : module.globals[global - imports_].type;
}

base::Result<Object> open_object(std::string file, mod::Module module) {
  auto verified = verify::verify(std::move(module));
  if (!verified.ok()) {
    base::Error error = verified.error();
    error.place = error.place.empty() ? file : file + ": " + error.place;
    return error;
  }
  Object object;
  object.file = std::move(file);
  object.module = **verified;
  for (u32 i = 0; i < object.module.imports.size(); ++i) {
    object.imports[static_cast<u8>(object.module.imports[i].kind)].push_back(i);
  }
  auto& customs = object.module.customs;
  const auto section = std::find_if(customs.begin(), customs.end(), [](const auto& custom) {
    return custom.name == reloc_section;
  });
  if (section != customs.end()) {
    object.is_object = true;
    if (!read_relocs(object, section->bytes)) {
      return base::Error{base::ErrorCode::malformed, object.file,
                         "the custom section atoll.reloc does not fit the module"};
    }
    customs.erase(section);
  } else if (object.count(ExternKind::memory) != 0) {
    // Nobody knows which part of the memory it takes for static data: all.
    const mod::MemoryType& memory = object.memory_type(0);
    object.data_end = memory.size.min << memory.page_shift;
  }
  return object;
}

void relocate(Object& object, u64 heap_base) {
  mod::Module& m = object.module;
  for (const Reloc& reloc : object.relocs) {
    const bool heap =
        reloc.kind == Reloc::Kind::code_heap_base || reloc.kind == Reloc::Kind::data_heap_base;
    const u64 sum = heap ? heap_base : object.delta;
    switch (reloc.kind) {
      case Reloc::Kind::code_address:
      case Reloc::Kind::code_heap_base: {
        isa::Word& word = m.code[reloc.index];
        const u32 value = static_cast<u32>(isa::field_bc(word) + sum);
        word = (word & 0xffff'ffff) | isa::Word{value} << 32;
        break;
      }
      case Reloc::Kind::code_offset:
        m.code[reloc.index + 1] += sum;
        break;
      case Reloc::Kind::data_address:
      case Reloc::Kind::data_heap_base: {
        char* at = m.datas[reloc.index].bytes.data() + reloc.offset;
        u32 value = 0;
        std::memcpy(&value, at, 4);
        value += static_cast<u32>(sum);
        std::memcpy(at, &value, 4);
        break;
      }
    }
  }
  if (object.delta == 0) return;
  for (mod::DataSegment& data : m.datas) {
    if (data.mode != mod::SegmentMode::active || data.memory != 0) continue;
    const u32 delta = static_cast<u32>(object.delta);
    if (data.offset.size() == 1 && data.offset[0].kind == mod::ConstOp::Kind::i32_const) {
      data.offset[0].value = static_cast<u32>(data.offset[0].value + delta);
    } else {
      data.offset.push_back({mod::ConstOp::Kind::i32_const, delta});
      data.offset.push_back({mod::ConstOp::Kind::i32_add, 0});
    }
  }
}

}  // namespace atollvm::link
