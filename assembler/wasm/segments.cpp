// Element and data segments (specification, sections 5.5.12, 5.5.14 and 5.5.16, validated as 3.4.6
// and 3.4.7 say). Whether active ones fit is checked at instantiation.
#include "assembler/wasm/reader.hpp"
#include "vm/module/limits.hpp"

namespace atollvm::wasm {

namespace {

namespace limits = mod::limits;
using mod::SegmentMode;
using mod::ValType;

// The bits of an element segment's kind.
constexpr u32 elem_not_active = 1;
constexpr u32 elem_has_table = 2;  // of an active segment; of others: it is declarative
constexpr u32 elem_expressions = 4;

void read_element(Reader& reader, mod::ElemSegment& segment) {
  const u32 kind = reader.in.leb_u32();
  if (kind > 7) {
    reader.malformed("malformed element segment kind {}", kind);
    return;
  }
  const bool active = (kind & elem_not_active) == 0;
  const bool expressions = (kind & elem_expressions) != 0;
  ValType table_element = ValType::funcref;
  if (active) {
    segment.mode = SegmentMode::active;
    const std::vector<mod::TableType>& tables = reader.image.tables;
    reader.here();
    if ((kind & elem_has_table) != 0) {
      segment.table = reader.index("table", tables.size());
    } else if (tables.empty()) {
      reader.invalid("unknown table 0: there are 0");
    }
    if (!reader.ok()) return;
    table_element = tables[segment.table].element;
    segment.offset = reader.constant(ValType::i32);
  } else {
    segment.mode = (kind & elem_has_table) != 0 ? SegmentMode::declared : SegmentMode::passive;
  }
  reader.here();
  if ((kind & (elem_not_active | elem_has_table)) != 0) {
    if (expressions) {
      segment.type = reader.reference_type();
    } else if (const u8 type = reader.in.byte(); type != 0) {
      reader.malformed("malformed element kind 0x{:02x}", type);
    }
  }
  if (reader.ok() && active && segment.type != table_element) {
    reader.invalid("type mismatch: elements of type {} for table {} of {}",
                   mod::name_of(segment.type), segment.table, mod::name_of(table_element));
  }
  const u32 number = reader.count("elements", limits::const_ops, 1);
  segment.items.resize(number);
  for (u32 i = 0; i < number && reader.ok(); ++i) {
    if (expressions) {
      segment.items[i] = reader.constant(segment.type);
    } else {
      segment.items[i] = {{mod::ConstOp::Kind::ref_func, reader.declared_function()}};
      reader.add_const_op();
    }
  }
}

void read_segment(Reader& reader, mod::DataSegment& segment) {
  const u32 kind = reader.in.leb_u32();
  if (kind > 2) {
    reader.malformed("malformed data segment kind {}", kind);
    return;
  }
  if (kind != 1) {
    segment.mode = SegmentMode::active;
    const usize memories = reader.image.memories.size();
    reader.here();
    if (kind == 2) {
      segment.memory = reader.index("memory", memories);
    } else if (memories == 0) {
      reader.invalid("unknown memory 0: there are 0");
    }
    segment.offset = reader.constant(ValType::i32);
  }
  reader.here();
  const u32 size = reader.in.leb_u32();
  if (reader.ok() && size > reader.in.left()) {
    reader.malformed("unexpected end: {} bytes of data, {} are left", size, reader.in.left());
    return;
  }
  const std::span<const u8> bytes = reader.in.take(size);
  segment.bytes.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

}  // namespace

void read_elements(Reader& reader) {
  std::vector<mod::ElemSegment>& segments = reader.image.module.elems;
  segments.resize(reader.count("element segments", limits::elem_segments, 3));
  for (u32 i = 0; i < segments.size() && reader.ok(); ++i) {
    reader.begin_entry(i);
    read_element(reader, segments[i]);
  }
}

void read_data_count(Reader& reader) {
  reader.here();
  const u32 number = reader.in.leb_u32();
  reader.within(number, limits::data_segments, "data segments");
  reader.image.data_count = number;
}

void read_data(Reader& reader) {
  Image& image = reader.image;
  std::vector<mod::DataSegment>& segments = image.module.datas;
  const u32 number = reader.count("data segments", limits::data_segments, 2);
  if (reader.ok() && image.data_count.value_or(number) != number) {
    reader.malformed("data count and data section have inconsistent lengths: {} and {}",
                     *image.data_count, number);
    return;
  }
  segments.resize(number);
  for (u32 i = 0; i < number && reader.ok(); ++i) {
    reader.begin_entry(i);
    read_segment(reader, segments[i]);
  }
}

}  // namespace atollvm::wasm
